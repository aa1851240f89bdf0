import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, createPublicKey } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";

import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from "jose";
import {
  dataSecretId,
  devVars,
  makeKey,
  makeResourceServer,
  makeSecrets,
} from "../../packages/portcullis/src/secrets.mjs";
import { variable } from "../../scripts/lib.mjs";
import { Checkout, withInstallers } from "../support/checkout.mjs";
import { decrypted } from "../support/data.mjs";

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
  const other = makeSecrets();
  for (const name of ["TOKEN_SECRET", "DATA_SECRETS"]) {
    assert.equal(Buffer.from(secrets[name], "base64url").length, 32);
    assert.notEqual(secrets[name], other[name]);
  }
  assert.notEqual(secrets.TOKEN_SECRET, secrets.DATA_SECRETS);
});

test("a stored text begins with the id of its secret, and is decrypted in its place only", () => {
  // The test of crates/core/src/at_rest.rs has the same values.
  const secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const stored = "33kD6moDmOMJCQkJCQkJCQkJCQlJzG8S5FgM_vqN6NGzyrIU_uLxK0QH8rOx";
  const place = { table: "totp", column: "secret", row: Buffer.alloc(16, 7) };
  assert.equal(dataSecretId(secret), "33kD6moDmO");
  assert.equal(decrypted(stored, `${makeSecrets().DATA_SECRETS}, ${secret}`, place).toString(), "plaintext");
  for (const other of [{ table: "users" }, { column: "other" }, { row: Buffer.alloc(16, 8) }])
    assert.throws(() => decrypted(stored, secret, { ...place, ...other }), /authenticate/);
  assert.throws(() => decrypted(stored, makeSecrets().DATA_SECRETS, place), /no secret of the list/);
});

test("new secrets replace the old ones, but never those that second factors need", async (t) => {
  const checkout = new Checkout();
  t.after(() => checkout.remove());
  withInstallers(checkout);
  const keygen = (...args) => checkout.node(checkout.command("keygen", ...args));
  const old = makeSecrets();
  checkout.write(".dev.vars", devVars(old));
  assert.equal((await keygen("--dev")).code, 1);
  assert.deepEqual({ ...parseEnv(checkout.read(".dev.vars")) }, old);
  assert.equal((await keygen("--dev", "--force")).code, 0);
  const { DATA_SECRETS, TOKEN_SECRET, SIGNING_KEYS } = parseEnv(checkout.read(".dev.vars"));
  assert.deepEqual(
    [DATA_SECRETS === old.DATA_SECRETS, TOKEN_SECRET === old.TOKEN_SECRET, SIGNING_KEYS === old.SIGNING_KEYS],
    [true, false, false],
  );

  const names = ["DATA_SECRETS", "SIGNING_KEYS", "TOKEN_SECRET"];
  for (const [existing, stored] of [
    [names, ["SIGNING_KEYS", "TOKEN_SECRET"]],
    [["SIGNING_KEYS", "TOKEN_SECRET"], names],
    [[], names],
  ]) {
    const listed = JSON.stringify(existing.map((name) => ({ name })));
    checkout.program(
      "node_modules/.bin/wrangler",
      `if (args[1] === "list") console.log('${listed}');
       else write("stored.json", (await import("node:fs")).readFileSync(0, "utf8"));`,
    );
    const refused = existing.length > 0;
    assert.equal((await keygen("--remote")).code, refused ? 1 : 0);
    assert.equal((await keygen("--remote", "--force")).code, 0);
    assert.deepEqual(Object.keys(JSON.parse(checkout.read("stored.json"))).sort(), stored);
  }
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
    spawnSync(
      process.execPath,
      [fileURLToPath(new URL("../../packages/portcullis/src/cli.mjs", import.meta.url)), "keygen", ...args],
      {
        encoding: "utf8",
      },
    );
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
    assert.deepEqual([status, /usage:.*\n.*\n.*\n.*--resource-server ID \[AUDIENCE\]/.test(stderr)], [2, true]);
  }
});
