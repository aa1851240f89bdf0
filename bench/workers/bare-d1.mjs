// The lower limit for /refresh: a Worker that accepts the same POST and does only one UPDATE ... RETURNING by primary key, on a
// row like that of a session. It verifies and signs nothing.

const STATEMENT = `UPDATE refresh_tokens
  SET generation = generation + 1, rotated_at = ?2, rotated_ip = ?3, rotated_user_agent = ?4, expires_at = ?2 + 604800
  WHERE session_id = ?1
  RETURNING generation`;

export default {
  async fetch(request, env) {
    const { refresh_token } = await request.json();
    const [session, , secret] = refresh_token.split(".");
    const { headers } = request;
    const row = await env.DB.prepare(STATEMENT)
      .bind(session, Math.floor(Date.now() / 1000), headers.get("CF-Connecting-IP"), headers.get("User-Agent"))
      .first();
    if (row === null) return Response.json({ code: "invalid_refresh_token" }, { status: 401 });
    return Response.json({ refresh_token: `${session}.${row.generation}.${secret}`, expires_in: 900 });
  },
};
