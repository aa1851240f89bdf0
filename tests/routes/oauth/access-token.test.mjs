// Access tokens and other implementations: jose and WebCrypto verify them with the published keys, the Worker accepts
// tokens that WebCrypto signs with the same private key, and no forged token is accepted.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { createRemoteJWKSet, jwtVerify } from "jose";

import { makeResourceServer } from "../../../packages/portcullis/src/secrets.mjs";
import { assertProblem, ISSUER, startWorker } from "../../support/harness.mjs";
import { Forge, INVALID_TOKENS, signer, validTokens, withSignature } from "../../support/invalid-tokens.mjs";

const AUDIENCE = "https://api.example.org";
const ES256 = { name: "ECDSA", hash: "SHA-256" };
const P256 = { name: "ECDSA", namedCurve: "P-256" };

let worker, user, publicJwk, header, claims, forge;

before(async () => {
  worker = await startWorker();
  user = await worker.register();
  forge = new Forge(JSON.parse(worker.secrets.SIGNING_KEYS).keys[0], user.access_token);
  [publicJwk] = (await worker.get("/.well-known/jwks.json")).body.keys;
  ({ header, claims } = forge);
});
after(() => worker.close());
// After every refusal, the valid token is still accepted.
afterEach(async () => assert.equal((await worker.me(user.access_token)).status, 200));

test("a token has the header and claims of RFC 9068", () => {
  assert.deepEqual(header, { alg: "ES256", kid: publicJwk.kid, typ: "at+jwt" });
  const { jti, iat, exp, ...rest } = claims;
  assert.deepEqual(rest, {
    iss: ISSUER,
    aud: AUDIENCE,
    client_id: "first-party",
    sub: user.user.id,
    sid: user.session_id,
    roles: ["user"],
    auth_time: iat,
    acr: "aal1",
    amr: ["pwd"],
  });
  assert.match(jti, /^[\w-]{22}$/);
  assert.equal(exp - iat, 900);
});

test("jose verifies an access token with the remote key set", async () => {
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", worker.url));
  const options = { issuer: ISSUER, audience: AUDIENCE, algorithms: ["ES256"], typ: "at+jwt" };
  const { payload } = await jwtVerify(user.access_token, keys, options);
  assert.equal(payload.sub, user.user.id);
});

test("WebCrypto verifies an access token with the published key, and rejects a changed one", async () => {
  const key = await crypto.subtle.importKey("jwk", publicJwk, P256, false, ["verify"]);
  const [head, body, signature] = user.access_token.split(".");
  const verify = (input) => crypto.subtle.verify(ES256, key, Buffer.from(signature, "base64url"), Buffer.from(input));
  assert.equal(await verify(`${head}.${body}`), true);
  assert.equal(await verify(`${head}.${body}x`), false);
});

test("a token that WebCrypto signs with the same private key is accepted", async () => {
  for (const [name, token] of Object.entries(await validTokens(forge))) {
    assert.equal((await worker.me(token)).status, 200, name);
    assert.equal((await worker.verify(token)).status, 200, name);
  }
});

test("an ES256 signature with the other value of s is the same token, and is revoked with it", async () => {
  const { access_token, refresh_token } = await worker.register();
  const twin = withSignature(access_token, (signature) => {
    const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    const s = order - BigInt(`0x${signature.subarray(32).toString("hex")}`);
    return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex")]);
  });
  assert.equal((await worker.verify(twin)).status, 200);
  await worker.revoke(access_token);
  for (const token of [access_token, twin]) {
    assertProblem(await worker.verify(token), 401, "invalid_token");
    assertProblem(await worker.me(token), 401, "invalid_token");
  }
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
});

test("only an expired token is reported as expired, with the header that ASP.NET clients expect", async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const exp of [1, now - 1, now]) {
    for (const path of ["/me", "/verify"]) {
      const answer = await worker.get(path, { bearer: await forge.make({ claims: { exp } }) });
      assertProblem(answer, 401, "token_expired");
      assert.match(answer.body.detail, /expired/);
      assert.match(answer.headers.get("www-authenticate"), /error="invalid_token".*expired/);
      assert.equal(answer.headers.get("token-expired"), "true");
    }
  }
  const invalid = await worker.me(await forge.make({ claims: { exp: 1, iss: "https://other.example" } }));
  assertProblem(invalid, 401, "invalid_token");
  assert.equal(invalid.headers.get("token-expired"), null);
});

test("a verified token is checked again on every request", async () => {
  const brief = worker.resign(user.access_token, { exp: Math.floor(Date.now() / 1000) + 60 });
  for (let again = 0; again < 3; again += 1) assert.equal((await worker.verify(brief)).status, 200);
  // A token with another signature or payload is not taken from the cache.
  const [head, payload, signature] = brief.split(".");
  const other = (part) => `${part[0] === "A" ? "B" : "A"}${part.slice(1)}`;
  for (const changed of [`${head}.${payload}.${other(signature)}`, `${head}.${other(payload)}.${signature}`]) {
    assertProblem(await worker.verify(changed), 401, "invalid_token");
  }
  await worker.advance(60);
  assertProblem(await worker.verify(brief), 401, "token_expired");
  await worker.advance(-60);
  const { access_token, refresh_token } = await worker.register();
  await worker.assertLive({ access_token });
  await worker.revoke(refresh_token);
  assertProblem(await worker.verify(access_token), 401, "invalid_token");
});

for (const [name, tokens] of Object.entries(INVALID_TOKENS)) {
  test(name, async () => worker.assertInvalid(await tokens(forge)));
}

test("the key URL in a header is not fetched", async () => {
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sign = await signer(own.privateKey.export({ format: "jwk" }));
  let hits = 0;
  const canary = createServer((_, response) => {
    hits += 1;
    response.end(JSON.stringify({ keys: [own.publicKey.export({ format: "jwk" })] }));
  });
  await new Promise((resolve) => canary.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${canary.address().port}/`;
  await worker.assertInvalid(await forge.all([{ jku: url }, { x5u: url }].map((header) => ({ header, sign }))));
  canary.close();
  assert.equal(hits, 0);
});

test("a token from a clock that is ahead is accepted on every route, and ends its session on /revoke", async () => {
  const server = makeResourceServer("orders-api", AUDIENCE);
  await worker.update({ vars: { RESOURCE_SERVERS: JSON.stringify([server.entry]) } });
  const now = Math.floor(Date.now() / 1000);
  for (const ahead of [1, 60, 86_400, 4_000_000_000]) {
    const user = await worker.registerAdmin();
    const token = worker.resign(user.access_token, { iat: now + ahead });
    await worker.assertLive({ access_token: token });
    for (const path of ["/sessions", "/me/events", "/users", `/users/${user.user.id}`])
      assert.equal((await worker.get(path, { bearer: token })).status, 200, path);
    assert.equal((await worker.patch("/me", { bearer: token, json: { name: "Ada" } })).status, 200);
    const { body } = await worker.introspect(token, server);
    assert.deepEqual([body.active, body.iat], [true, now + ahead]);
    const { body: refreshed } = await worker.post("/refresh", {
      json: { refresh_token: user.refresh_token, access_token: token },
    });
    assert.equal((await worker.revoke(token)).status, 200);
    await worker.assertEnded({ access_token: token, refresh_token: refreshed.refresh_token });
    assert.deepEqual((await worker.introspect(token, server)).body, { active: false });
  }
  // A token that is not valid yet is inactive and ends no session.
  const early = worker.resign(user.access_token, { nbf: now + 60 });
  assert.deepEqual((await worker.introspect(early, server)).body, { active: false });
  assert.equal((await worker.revoke(early)).status, 200);
  await worker.assertLive(user);
  await worker.update();
});

test("a refresh token is not an access token", () => worker.assertInvalid([user.refresh_token]));

test("a token whose sub is another user or unknown is refused where D1 is queried", async () => {
  const other = await worker.register();
  for (const sub of [other.user.id, "AAAAAAAAAAAAAAAAAAAAAA"]) {
    assertProblem(await worker.me(await forge.make({ claims: { sub } })), 401, "invalid_token");
  }
});
