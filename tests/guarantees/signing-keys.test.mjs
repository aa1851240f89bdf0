// Signing keys of every algorithm: jose and WebCrypto verify their tokens, the Worker accepts tokens that Node signs
// with them, and no key is used with an algorithm other than its own.

import assert from "node:assert/strict";
import { createHmac, createPublicKey } from "node:crypto";
import { after, before, test } from "node:test";

import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";

import { ALGORITHMS, makeKey } from "../../packages/portcullis/src/secrets.mjs";
import { assertProblem, ISSUER, keySet, PASSWORD, startWorker } from "../support/harness.mjs";
import { sign, signingInput } from "../support/tokens.mjs";

const AUDIENCE = "https://api.example.org";
const PUBLIC = ALGORITHMS.filter((alg) => alg !== "HS256");
const WEBCRYPTO = {
  ES256: [
    { name: "ECDSA", namedCurve: "P-256" },
    { name: "ECDSA", hash: "SHA-256" },
  ],
  EdDSA: [{ name: "Ed25519" }, { name: "Ed25519" }],
  RS256: [{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, { name: "RSASSA-PKCS1-v1_5" }],
  HS256: [{ name: "HMAC", hash: "SHA-256" }, { name: "HMAC" }],
};

const keys = Object.fromEntries(ALGORITHMS.map((alg) => [alg, makeKey(alg)]));
/** The configuration in which the key of an algorithm signs, and those of the others only verify. */
const signingWith = (alg) => ({
  vars: { ALLOW_HS256: "true" },
  secrets: keySet(keys[alg], ...ALGORITHMS.filter((other) => other !== alg).map((other) => keys[other])),
});

let worker, user, claims;
before(async () => {
  worker = await startWorker(signingWith("ES256"));
  user = await worker.register();
  claims = decodeJwt(user.access_token);
});
after(() => worker.close());

for (const alg of ALGORITHMS) {
  test(`${alg}: a key set with one key signs, and its tokens verify`, async () => {
    await worker.update({ vars: { ALLOW_HS256: String(alg === "HS256") }, secrets: keySet(keys[alg]) });
    const { access_token } = (await worker.login(user)).body;
    assert.deepEqual(decodeProtectedHeader(access_token), { alg, kid: keys[alg].kid, typ: "at+jwt" });
    assert.equal((await worker.me(access_token)).status, 200);
    assert.equal((await worker.verify(access_token)).status, 200);
    await worker.assertInvalid([user.access_token].filter(() => alg !== "ES256"));

    const { keys: published } = (await worker.get("/.well-known/jwks.json")).body;
    if (alg === "HS256") {
      assert.deepEqual(published, []);
      await jwtVerify(access_token, Buffer.from(keys.HS256.k, "base64url"), {
        issuer: ISSUER,
        audience: AUDIENCE,
        algorithms: [alg],
        typ: "at+jwt",
      });
    } else {
      const { d, p, q, dp, dq, qi, ...publicJwk } = keys[alg];
      assert.deepEqual(published, [publicJwk]);
      const remote = createRemoteJWKSet(new URL("/.well-known/jwks.json", worker.url));
      const { payload } = await jwtVerify(access_token, remote, {
        issuer: ISSUER,
        audience: AUDIENCE,
        algorithms: [alg],
        typ: "at+jwt",
      });
      assert.equal(payload.sub, user.user.id);
      assert.equal(await webCryptoVerifies(alg, publicJwk, access_token), true);
      assert.equal(
        await webCryptoVerifies(alg, publicJwk, `${access_token.slice(0, -20)}AAAA${access_token.slice(-16)}`),
        false,
      );
    }
    // Except for ES256 the signature is deterministic.
    const [head, body, signature] = access_token.split(".");
    if (alg !== "ES256") assert.equal(signature, sign(keys[alg], `${head}.${body}`).toString("base64url"));
  });
}

test("with a key of every algorithm in the set, tokens of each are accepted, and the symmetric key is not published", async () => {
  for (const alg of ALGORITHMS) {
    await worker.update(signingWith(alg));
    const { access_token } = (await worker.login(user)).body;
    assert.equal(decodeProtectedHeader(access_token).alg, alg);
    const published = (await worker.get("/.well-known/jwks.json")).body.keys;
    assert.deepEqual(published.map((key) => key.alg).sort(), [...PUBLIC].sort());
    assert.ok(!JSON.stringify(published).includes(keys.HS256.kid));
    for (const other of ALGORITHMS) {
      const token = forge({ alg: other });
      assert.equal((await worker.me(token)).status, 200, other);
      assert.equal((await worker.verify(token)).status, 200, other);
    }
  }
});

test("no key is used with an algorithm other than its own, whatever the header says", async () => {
  const tokens = [];
  for (const named of ALGORITHMS) {
    const { kid } = keys[named];
    for (const alg of [
      ...ALGORITHMS,
      "none",
      "None",
      "NONE",
      "nOnE",
      "PS256",
      "ES384",
      "HS512",
      "Ed25519",
      named.toLowerCase(),
      "",
    ]) {
      for (const signer of ALGORITHMS) {
        if (alg !== named || signer !== named) tokens.push(forge({ alg, kid, signer }));
      }
      const unsigned = forge({ alg, kid }).replace(/\.[^.]*$/, "");
      if (alg !== named) tokens.push(unsigned, `${unsigned}.`);
    }
  }
  await worker.assertInvalid(tokens);
});

test("no public key is accepted as an HMAC secret, in any encoding", async () => {
  const tokens = [];
  for (const alg of PUBLIC) {
    const jwk = (await worker.get("/.well-known/jwks.json")).body.keys.find((key) => key.alg === alg);
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const pem = key.export({ type: "spki", format: "pem" });
    const raw = Buffer.from(`${jwk.x ?? jwk.n}${jwk.y ?? ""}`, "base64url");
    const pkcs1 =
      alg === "RS256"
        ? [key.export({ type: "pkcs1", format: "pem" }), key.export({ type: "pkcs1", format: "der" })]
        : [];
    const { use, alg: _, kid: __, ...bare } = jwk;
    const secrets = [
      pem,
      pem.trimEnd(),
      ` ${pem}`,
      pem.replaceAll("\n", "\r\n"),
      key.export({ type: "spki", format: "der" }),
      JSON.stringify(jwk),
      JSON.stringify(bare),
      raw,
      ...pkcs1,
    ];
    for (const secret of ["", Buffer.alloc(32), "secret", ...secrets]) {
      const mac = (input) => createHmac("sha256", secret).update(input).digest();
      // With the kid of the public key, and with that of the symmetric key.
      for (const kid of [jwk.kid, keys.HS256.kid]) tokens.push(forge({ alg: "HS256", kid, make: mac }));
    }
  }
  await worker.assertInvalid(tokens);
});

test("a signature has exactly the length for its key, and one valid encoding", async () => {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  for (const alg of ALGORITHMS) {
    const good = forge({ alg });
    const input = good.slice(0, good.lastIndexOf("."));
    const signature = Buffer.from(good.slice(input.length + 1), "base64url");
    const flipped = Buffer.from(signature);
    flipped[5] ^= 1;
    const bad = [
      Buffer.alloc(0),
      signature.subarray(1),
      signature.subarray(0, -1),
      Buffer.concat([signature, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), signature]),
      flipped,
      Buffer.alloc(signature.length),
      Buffer.alloc(signature.length, 0xff),
    ];
    if (alg === "EdDSA") {
      const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
      bad.push(
        Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse()]),
      );
      // The neutral element for R, and zero for S: valid only for a public key of small order.
      bad.push(Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]));
    }
    if (alg === "RS256") {
      const n = BigInt(`0x${Buffer.from(keys.RS256.n, "base64url").toString("hex")}`);
      const larger = (BigInt(`0x${signature.toString("hex")}`) + n).toString(16);
      bad.push(Buffer.from(larger.padStart(larger.length + (larger.length % 2), "0"), "hex"));
    }
    await worker.assertInvalid(bad.map((bytes) => `${input}.${bytes.toString("base64url")}`));
    assert.equal((await worker.me(good)).status, 200);
  }
});

test("a profile claim is in the access tokens if it is configured and the user has a value", async () => {
  const full = { email: "claims@example.org", username: "Claims.User", name: "Zoë" };
  const { user } = await worker.register(full);
  const bare = await worker.register();
  const expectedClaims = { email: full.email, email_verified: false, name: "Zoë", preferred_username: "Claims.User" };
  const names = Object.keys(expectedClaims);
  const profileClaims = async (email) => {
    const { access_token } = (await worker.login({ email, password: PASSWORD })).body;
    assert.equal((await worker.me(access_token)).status, 200);
    const payload = decodeJwt(access_token);
    assert.deepEqual(
      Object.keys(payload)
        .filter((name) => !names.includes(name))
        .sort(),
      Object.keys(claims).sort(),
    );
    return Object.fromEntries(Object.entries(payload).filter(([name]) => names.includes(name)));
  };
  for (const [configured, expected] of [
    ["", []],
    ["email", ["email", "email_verified"]],
    [" name , preferred_username", ["name", "preferred_username"]],
    ["preferred_username,email,name", names],
  ]) {
    await worker.update({ vars: { ACCESS_TOKEN_CLAIMS: configured } });
    assert.deepEqual(
      await profileClaims(user.email),
      Object.fromEntries(expected.map((name) => [name, expectedClaims[name]])),
      configured,
    );
    assert.deepEqual(
      await profileClaims(bare.email),
      expected.includes("email") ? { email: bare.email, email_verified: false } : {},
      configured,
    );
  }
  // The next refresh and the next login tell that the address is verified meanwhile.
  await worker.update({ vars: { ACCESS_TOKEN_CLAIMS: "email" } });
  const session = await worker.register({ email: "soon@example.org" });
  assert.equal(decodeJwt(session.access_token).email_verified, false);
  await worker.setColumn(session, "email_verified_at", 1);
  const refreshed = (await worker.refresh(session.refresh_token)).body;
  for (const { access_token, user: shown } of [refreshed, (await worker.login(session)).body]) {
    assert.deepEqual([decodeJwt(access_token).email_verified, shown.email_verified], [true, true]);
  }
  // Tokens issued before the change stay valid, with or without the claims.
  await worker.update();
  assert.equal((await worker.me(forge({ alg: "ES256", claims: { email: "other@example.org", name: 7 } }))).status, 200);
});

test("with a set in which no key may sign yet, the Worker refuses to serve", async () => {
  const soon = Math.floor(Date.now() / 1000) + 3600;
  await worker.update({ secrets: keySet({ ...keys.ES256, signs_from: soon }) });
  assertProblem(await worker.get("/healthz"), 503, "misconfigured");
  const [{ variable, problem }] = worker.events("misconfigured");
  assert.equal(variable, "SIGNING_KEYS");
  assert.match(problem, /no key may sign yet/);
  await worker.update({ secrets: keySet({ ...keys.ES256, signs_from: soon }, { ...keys.EdDSA, signs_from: 1 }) });
  assert.equal(decodeProtectedHeader((await worker.login(user)).body.access_token).alg, "EdDSA");
});

/** A token with these claims and any header, signed by the key of an algorithm (`signer`). */
function forge({
  alg,
  kid = keys[alg]?.kid,
  signer = ALGORITHMS.includes(alg) ? alg : "ES256",
  make,
  claims: changes,
}) {
  const input = signingInput({ alg, kid, typ: "at+jwt" }, { ...claims, ...changes });
  const made = make ? make(input) : sign(keys[signer], input);
  return `${input}.${made.toString("base64url")}`;
}

async function webCryptoVerifies(alg, publicJwk, token) {
  const [importing, verifying] = WEBCRYPTO[alg];
  const key = await crypto.subtle.importKey("jwk", publicJwk, importing, false, ["verify"]);
  const [head, body, signature] = token.split(".");
  return crypto.subtle.verify(verifying, key, Buffer.from(signature, "base64url"), Buffer.from(`${head}.${body}`));
}
