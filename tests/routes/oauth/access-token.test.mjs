// Access tokens and other implementations: jose and WebCrypto verify them with the published keys, the Worker accepts
// tokens that WebCrypto signs with the same private key, and no forged token is accepted.

import assert from "node:assert/strict";
import { createHmac, createPublicKey, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";

import { makeResourceServer } from "../../../scripts/secrets.mjs";
import { assertProblem, ISSUER, startWorker } from "../../support/harness.mjs";

const AUDIENCE = "https://api.example.org";
const ES256 = { name: "ECDSA", hash: "SHA-256" };
const P256 = { name: "ECDSA", namedCurve: "P-256" };

let worker, user, privateJwk, publicJwk, header, claims;

before(async () => {
  worker = await startWorker();
  user = await worker.register();
  [privateJwk] = JSON.parse(worker.secrets.SIGNING_KEYS).keys;
  [publicJwk] = (await worker.get("/.well-known/jwks.json")).body.keys;
  header = decodeProtectedHeader(user.access_token);
  claims = decodeJwt(user.access_token);
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
  for (const [name, token] of Object.entries({
    "the same claims": await forge(),
    "the long type": await forge({ header: { typ: "application/at+jwt" } }),
    "the type in another case": await forge({ header: { typ: "AT+JWT" } }),
    "an audience among others": await forge({ claims: { aud: ["other", AUDIENCE] } }),
    "a custom claim": await forge({ claims: { tenant: "acme" } }),
  })) {
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
      const answer = await worker.get(path, { bearer: await forge({ claims: { exp } }) });
      assertProblem(answer, 401, "token_expired");
      assert.match(answer.body.detail, /expired/);
      assert.match(answer.headers.get("www-authenticate"), /error="invalid_token".*expired/);
      assert.equal(answer.headers.get("token-expired"), "true");
    }
  }
  const invalid = await worker.me(await forge({ claims: { exp: 1, iss: "https://other.example" } }));
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

test("only the algorithm of the key is accepted", async () => {
  const publicKey = createPublicKey({ key: publicJwk, format: "jwk" });
  const der = publicKey.export({ type: "spki", format: "der" });
  const pem = publicKey.export({ type: "spki", format: "pem" });
  const raw = Buffer.from(publicJwk.x + publicJwk.y, "base64url");
  const publicKeys = [
    pem,
    pem.trimEnd(),
    ` ${pem}`,
    pem.replaceAll("\n", "\r\n"),
    der,
    JSON.stringify(publicJwk),
    raw,
    "",
    Buffer.alloc(32),
    "secret",
  ];
  const hs256 = (secret) => (input) => createHmac("sha256", secret).update(input).digest();
  const tokens = [
    ...["none", "None", "NONE", "nOnE"].flatMap((alg) => {
      const input = signingInput({ header: { alg } });
      return [input, `${input}.`, `${input}.${signatureOf(user.access_token)}`];
    }),
    ...(await Promise.all(publicKeys.map((secret) => forge({ header: { alg: "HS256" }, sign: hs256(secret) })))),
    ...(await Promise.all(
      ["RS256", "PS256", "ES384", "ES512", "HS384", "EdDSA", "es256", ""].map((alg) => forge({ header: { alg } })),
    )),
  ];
  await worker.assertInvalid(tokens);
});

test("a key is found only by its kid in the key set", async () => {
  const kids = [
    "../../dev/null",
    "' OR 1=1--",
    "|id",
    "k".repeat(4000),
    "",
    1,
    {},
    null,
    [publicJwk.kid],
    `${publicJwk.kid} `,
    "\u{1f511}",
  ];
  await worker.assertInvalid(await Promise.all(kids.map((kid) => forge({ header: { kid } }))));
  await worker.assertInvalid([await forge({ header: { kid: undefined } })]);
});

test("a token with a key, a key URL or an extension in its header is refused, and no URL is fetched", async () => {
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = own.publicKey.export({ format: "jwk" });
  const sign = await signer(own.privateKey.export({ format: "jwk" }));
  let hits = 0;
  const canary = createServer((_, response) => {
    hits += 1;
    response.end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise((resolve) => canary.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${canary.address().port}/`;
  const headers = [{}, { jwk }, { jwk, kid: undefined }, { jku: url }, { x5u: url }, { x5c: ["MIIB"] }];
  await worker.assertInvalid(await Promise.all(headers.map((extra) => forge({ header: extra, sign }))));
  const extensions = [
    { crit: ["exp"] },
    { crit: [] },
    { b64: false, crit: ["b64"] },
    { jwk: publicJwk },
    { cty: "JWT" },
  ];
  await worker.assertInvalid(await Promise.all(extensions.map((extra) => forge({ header: extra }))));
  canary.close();
  assert.equal(hits, 0);
});

test("claims that are wrong, of the wrong type or missing are refused", async () => {
  const future = Math.floor(Date.now() / 1000) + 60;
  const wrong = [
    ...["9999999999", -1, 1.5, null, [], true, {}].flatMap((value) => [{ exp: value }, { iat: value }, { nbf: value }]),
    ...Object.keys(claims).map((name) => ({ [name]: undefined })),
    { nbf: future },
    { iss: `${ISSUER}/` },
    { iss: "https://127.0.0.1:8787" },
    { aud: "https://other.example" },
    { aud: [] },
    { aud: `${AUDIENCE}/` },
    { sub: "" },
    { sub: 1 },
    { sid: "x" },
    { roles: "admin" },
  ];
  await worker.assertInvalid(await Promise.all(wrong.map((change) => forge({ claims: change }))));
  for (const exp of ["1e400", "9223372036854775808"]) {
    const body = JSON.stringify(claims).replace(String(claims.exp), exp);
    await worker.assertInvalid([await forge({ body })]);
  }
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

test("tokens of other types are not access tokens", async () => {
  const types = ["JWT", "dpop+jwt", "logout+jwt", "", null, 1, undefined];
  await worker.assertInvalid(await Promise.all(types.map((typ) => forge({ header: { typ } }))));
  await worker.assertInvalid([user.refresh_token]);
});

test("a token whose sub is another user or unknown is refused where D1 is queried", async () => {
  const other = await worker.register();
  for (const sub of [other.user.id, "AAAAAAAAAAAAAAAAAAAAAA"]) {
    assertProblem(await worker.me(await forge({ claims: { sub } })), 401, "invalid_token");
  }
});

test("signatures that are truncated, extended, encoded differently or out of range are refused", async () => {
  const { access_token } = user;
  const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
  const zero = Buffer.alloc(32);
  const change = (edit) => withSignature(access_token, edit);
  const r = (signature) => signature.subarray(0, 32);
  const s = (signature) => signature.subarray(32);
  await worker.assertInvalid([
    change(() => Buffer.alloc(0)),
    change((signature) => signature.subarray(0, 63)),
    change((signature) => Buffer.concat([signature, zero])),
    change((signature) => Buffer.concat([s(signature), r(signature)])),
    change(() => Buffer.alloc(64)),
    change((signature) => Buffer.concat([zero, s(signature)])),
    change((signature) => Buffer.concat([r(signature), zero])),
    change((signature) => Buffer.concat([order, s(signature)])),
    change((signature) => Buffer.concat([r(signature), order])),
    change(() => Buffer.alloc(64, 0xff)),
    change(derOf),
  ]);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const lastFour = [1, 2, 3, 4].map((back) => access_token.length - back);
  await worker.assertInvalid(lastFour.map((at) => replaceAt(access_token, at, access_token[at] === "A" ? "B" : "A")));
  // The last character has four unused bits: of sixteen characters that decode alike, one is canonical.
  const last = alphabet.indexOf(access_token.at(-1));
  assert.equal(last % 16, 0);
  await worker.assertInvalid(
    Array.from({ length: 15 }, (_, bits) =>
      replaceAt(access_token, access_token.length - 1, alphabet[last + bits + 1]),
    ),
  );
});

test("the compact form has three parts in canonical base64url", async () => {
  const [head, body, signature] = user.access_token.split(".");
  await worker.assertInvalid([
    `${head}.${body}`,
    `${head}.${body}.${signature}.`,
    `.${head}.${body}.${signature}`,
    `${head}.${body}.${signature}=`,
    `${head}=.${body}.${signature}`,
    `${head}.${body}==.${signature}`,
    `${head}.${body}.${signature.replace(/[-_]/g, "+")}+`,
    `${head}.${body}.${signature}.a.b`,
    "a.b.c",
    "...",
    ".".repeat(5000),
    "a".repeat(7000),
  ]);
});

test("duplicate members are refused in either order, even with a valid signature", async () => {
  const head = JSON.stringify(header);
  const body = JSON.stringify(claims);
  const twice = (json, member) => [json.replace("{", `{${member},`), json.replace(/}$/, `,${member}}`)];
  const heads = ['"alg":"none"', '"alg":"ES256"', '"kid":"x"', '"typ":"JWT"'].flatMap((member) => twice(head, member));
  const bodies = ['"sub":"x"', '"exp":9999999999', '"roles":["admin"]', '"x":1,"x":1'].flatMap((member) =>
    twice(body, member),
  );
  await worker.assertInvalid(await Promise.all(heads.map((text) => forge({ head: text }))));
  await worker.assertInvalid(await Promise.all(bodies.map((text) => forge({ body: text }))));
});

test("a header or payload that is not a JSON object in UTF-8 is refused, however deep or long", async () => {
  const bodies = [
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    '{"a":"\\ud800"}',
    "\ufeff{}",
    "[]",
    '"x"',
    "",
    `${JSON.stringify(claims)} x`,
    "[".repeat(4000),
    `${JSON.stringify(claims).slice(0, -1)},"x":${"[".repeat(500)}${"]".repeat(500)}}`,
  ];
  await worker.assertInvalid(await Promise.all(bodies.map((body) => forge({ body }))));
  await worker.assertInvalid(await Promise.all(bodies.map((head) => forge({ head }))));
});

/** A token signed with the Worker's own key unless `sign` says otherwise; `undefined` removes a member. */
async function forge({ sign, ...parts } = {}) {
  const input = signingInput(parts);
  const make = sign ?? (await signer(privateJwk));
  return `${input}.${Buffer.from(await make(input)).toString("base64url")}`;
}

function signingInput({ header: headerChange, claims: claimsChange, head, body } = {}) {
  const text = [
    head ?? JSON.stringify({ ...header, ...headerChange }),
    body ?? JSON.stringify({ ...claims, ...claimsChange }),
  ];
  return text.map((part) => Buffer.from(part).toString("base64url")).join(".");
}

async function signer({ kty, crv, x, y, d }) {
  const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y, d }, P256, false, ["sign"]);
  return (input) => crypto.subtle.sign(ES256, key, Buffer.from(input));
}

function signatureOf(token) {
  return token.slice(token.lastIndexOf(".") + 1);
}

function withSignature(token, edit) {
  const signature = Buffer.from(signatureOf(token), "base64url");
  return token.slice(0, token.lastIndexOf(".") + 1) + Buffer.from(edit(signature)).toString("base64url");
}

/** The same signature in DER, as many libraries produce it. */
function derOf(signature) {
  const integer = (bytes) => {
    const trimmed = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
    const content = trimmed[0] > 0x7f ? Buffer.concat([Buffer.alloc(1), trimmed]) : trimmed;
    return Buffer.concat([Buffer.from([2, content.length]), content]);
  };
  const body = Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

function replaceAt(text, at, replacement) {
  return text.slice(0, at) + replacement + text.slice(at + 1);
}
