// The lower limit for every refusal: a Worker that reads the request and answers immediately.

export default {
  async fetch(request) {
    const credential =
      request.method === "POST" ? (await request.json()).refresh_token : request.headers.get("Authorization");
    return Response.json({ code: "invalid_token", detail: `${credential.length} characters` }, { status: 401 });
  },
};
