import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { parseEnv } from "node:util";

import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from "jose";

import { devVars, makeResourceServer, makeSecrets } from "./secrets.mjs";

test("a made signing key signs what its public half verifies, and is named by its RFC 7638 thumbprint", async () => {
  const [key] = JSON.parse(makeSecrets().SIGNING_KEYS).keys;
  const { d, ...publicKey } = key;
  const token = await new SignJWT().setProtectedHeader({ alg: "ES256" }).sign(await importJWK(key));
  await jwtVerify(token, await importJWK(publicKey));
  assert.equal(key.kid, await calculateJwkThumbprint(publicKey));
});

test("secrets survive the format of .dev.vars, and no two are alike", () => {
  const secrets = makeSecrets();
  assert.deepEqual({ ...parseEnv(devVars(secrets)) }, secrets);
  assert.equal(Buffer.from(secrets.TOKEN_SECRET, "base64url").length, 32);
  assert.notEqual(secrets.TOKEN_SECRET, makeSecrets().TOKEN_SECRET);
});

test("a resource server's entry has the hash of its secret, and its id can be written in a form and in Basic as it is", () => {
  const { secret, entry } = makeResourceServer("orders-api", "https://api.example.org");
  assert.equal(Buffer.from(secret, "base64url").length, 32);
  const secret_sha256 = createHash("sha256").update(secret).digest("base64url");
  assert.deepEqual(entry, { id: "orders-api", secret_sha256, audience: "https://api.example.org" });
  assert.notEqual(secret, makeResourceServer("orders-api", "https://api.example.org").secret);
  for (const id of [undefined, "", "a b", "a:b", "a+b", "\u00e4", "x\n", "a".repeat(65)]) assert.throws(() => makeResourceServer(id, "x"), /the id must be/);
  assert.throws(() => makeResourceServer("orders-api"), /audience/);
});
