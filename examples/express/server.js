// A server with an API of its own, on Express. It verifies the access tokens of Portcullis with the published keys.
//
//   node ../../scripts/packages.mjs && npm install
//   ISSUER=https://auth.example.com AUDIENCE=https://api.example.com node server.js
//
// With INTROSPECTION_SECRET it can ask Portcullis about a token.

import { createVerifier } from "@portcullis/verify";
import { accessToken, requireRole } from "@portcullis/verify/express";
import express from "express";

const { ISSUER, AUDIENCE, INTROSPECTION_ID = "orders-api", INTROSPECTION_SECRET, PORT = "3000" } = process.env;

const verifier = createVerifier({
  issuer: ISSUER,
  audience: AUDIENCE,
  ...(INTROSPECTION_SECRET && { introspection: { id: INTROSPECTION_ID, secret: INTROSPECTION_SECRET } }),
});

const app = express();

// Until the token expires, this accepts it even if its session has ended.
app.get("/orders", accessToken(verifier), (request, response) => {
  const { sub, roles } = request.claims;
  response.json({ user: sub, roles });
});

app.get("/reports", accessToken(verifier), requireRole("admin"), (_request, response) => {
  response.json({ reports: [] });
});

if (INTROSPECTION_SECRET) {
  // Refuses a token at once after its session has ended, and knows the current roles: for what matters.
  app.post("/payments", accessToken(verifier, { introspect: true }), (request, response) => {
    response.status(201).json({ user: request.claims.sub });
  });
}

const server = app.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
