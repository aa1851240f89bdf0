import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, createPublicKey } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";

import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from "jose";

import { variable } from "../../scripts/lib.mjs";
import { devVars, makeKey, makeResourceServer, makeSecrets } from "../../scripts/secrets.mjs";

test("the public key of a generated signing key verifies its signatures, and the kid is the RFC 7638 thumbprint", async () => {
  for (const alg of ["ES256", "EdDSA", "RS256"]) {
    const [key] = JSON.parse(makeSecrets(alg).SIGNING_KEYS).keys;
    const { d, p, q, dp, dq, qi, ...publicKey } = key;
    const token = await new SignJWT().setProtectedHeader({ alg }).sign(await importJWK(key));
    await jwtVerify(token, await importJWK(publicKey));
    assert.equal(key.alg, alg);
    assert.equal(key.kid, await calculateJwkThumbprint(publicKey));
    if (alg === "RS256")
      assert.ok(createPublicKey({ key: publicKey, format: "jwk" }).asymmetricKeyDetails.modulusLength >= 3072);
  }
  assert.deepEqual(
    JSON.parse(makeSecrets().SIGNING_KEYS).keys.map(({ alg }) => alg),
    ["ES256"],
  );
});

test("a generated symmetric key is random, and its kid is not its thumbprint", async () => {
  const key = makeKey("HS256");
  assert.equal(Buffer.from(key.k, "base64url").length, 32);
  assert.match(key.kid, /^[\w-]{43}$/);
  assert.notEqual(key.kid, await calculateJwkThumbprint(key));
  assert.notEqual(key.kid, makeKey("HS256").kid);
});

test("secrets can be read back from the .dev.vars format, and are different each time", () => {
  const secrets = makeSecrets();
  assert.deepEqual({ ...parseEnv(devVars(secrets)) }, secrets);
  assert.equal(Buffer.from(secrets.TOKEN_SECRET, "base64url").length, 32);
  assert.notEqual(secrets.TOKEN_SECRET, makeSecrets().TOKEN_SECRET);
});

test("the entry of a resource server has the hash of its secret, and its id needs no encoding in a form or in Basic", () => {
  const { secret, entry } = makeResourceServer("orders-api", "https://api.example.org");
  assert.equal(Buffer.from(secret, "base64url").length, 32);
  const secret_sha256 = createHash("sha256").update(secret).digest("base64url");
  assert.deepEqual(entry, { id: "orders-api", secret_sha256, audience: "https://api.example.org" });
  assert.notEqual(secret, makeResourceServer("orders-api", "https://api.example.org").secret);
  for (const id of [undefined, "", "a b", "a:b", "a+b", "\u00e4", "x\n", "a".repeat(65)])
    assert.throws(() => makeResourceServer(id, "x"), /the id must be/);
  assert.throws(() => makeResourceServer("orders-api"), /audience/);
});

test("the command prints the entry of a resource server as a line for wrangler.toml", () => {
  const keygen = (...args) =>
    spawnSync(process.execPath, [fileURLToPath(new URL("../../scripts/keygen.mjs", import.meta.url)), ...args], {
      encoding: "utf8",
    });
  for (const [audience, given] of [
    [variable("AUDIENCE"), []],
    ["O'Hara's \"API\"", ["O'Hara's \"API\""]],
  ]) {
    const { status, stdout, stderr } = keygen("--resource-server", "orders-api", ...given);
    assert.equal(status, 0, stderr);
    const [secret] = stdout.match(/^[\w-]{43}$/m);
    // A literal string in TOML has no escapes, and ends at the next quote.
    const [, json] = stdout.match(/^RESOURCE_SERVERS = '([^'\n]*)'$/m);
    const secret_sha256 = createHash("sha256").update(secret).digest("base64url");
    assert.deepEqual(JSON.parse(json), [{ id: "orders-api", secret_sha256, audience }]);
  }
  for (const args of [[], ["a", "b", "c"]]) {
    const { status, stderr } = keygen("--resource-server", ...args);
    assert.deepEqual([status, /usage:.*\n.*\n.*--resource-server ID \[AUDIENCE\]/.test(stderr)], [2, true]);
  }
});
