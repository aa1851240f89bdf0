// A Worker with an API of its own, behind Hono. It verifies the access tokens of Portcullis, a Worker of the same account: it
// gets the keys through the service binding AUTH, and reads the revocation marks in Portcullis' KV namespace.

import { createVerifier } from "@portcullis/verify";
import { accessToken, requireRole } from "@portcullis/verify/hono";
import { Hono } from "hono";

const verifier = ({ env }) =>
  createVerifier({
    issuer: env.ISSUER,
    audience: env.AUDIENCE,
    auth: env.AUTH,
    revocations: env.REVOCATIONS,
    introspection: { id: env.INTROSPECTION_ID, secret: env.INTROSPECTION_SECRET },
  });

const app = new Hono();
app.get("/", (c) => c.text("An API that wants an access token of Portcullis, as at /orders."));

// Refuses a token within about a minute after its session has ended.
app.get("/orders", accessToken(verifier), (c) => {
  const { sub, roles } = c.get("claims");
  return c.json({ user: sub, roles });
});

app.get("/reports", accessToken(verifier), requireRole("admin"), (c) => c.json({ reports: [] }));

// Refuses it at once, and knows the current roles: for what matters.
app.post("/payments", accessToken(verifier, { introspect: true }), (c) => c.json({ user: c.get("claims").sub }, 201));

// Asks for an authentication with a second factor, in the last five minutes (RFC 9470).
app.delete("/orders", accessToken(verifier, { acr: "mfa", maxAge: 300 }), (c) => c.body(null, 204));

export default app;
