import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEnv } from "node:util";

import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from "jose";

import { devVars, makeSecrets } from "./secrets.mjs";

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
