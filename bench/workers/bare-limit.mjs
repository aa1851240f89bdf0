// The lower limit for the refusal of a forged token: a Worker that reads the request and asks only a rate limiter.

export default {
  async fetch(request, env) {
    const credential =
      request.method === "POST" ? (await request.json()).refresh_token : request.headers.get("Authorization");
    const source = request.headers.get("CF-Connecting-IP");
    const { success } = await env.LIMIT_BAD_TOKEN.limit({ key: `source:${source}` });
    if (!success) return Response.json({ code: "too_many_requests" }, { status: 429 });
    return Response.json({ code: "invalid_token", detail: `${credential.length} characters` }, { status: 401 });
  },
};
