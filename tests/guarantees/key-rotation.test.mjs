// A rotation of the signing key as fifty resource servers see it, each with its own cached key set, which an unknown
// key does not refresh. The test advances their clock and the Worker's.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createRemoteJWKSet, customFetch, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";

import { makeKey } from "../../packages/portcullis/src/secrets.mjs";
import { assertProblem, ISSUER, keySet, startWorker } from "../support/harness.mjs";
import { signToken } from "../support/tokens.mjs";

/** How long a resource server caches the key set, in seconds, as in its Cache-Control. */
const CACHE = 300;
/** How long a key is published before it signs, and the lifetime of a token, in seconds. */
const LEAD = 600;
const TTL = 900;
/** The time from one token to the next, in seconds. */
const STEP = 45;

const [old, next] = [makeKey("ES256"), makeKey("EdDSA")];
const seconds = () => Date.now() / 1000;

/** Advances the clock of this process, where the resource servers are, and that of the Worker. */
const now = Date.now;
let ahead = 0;
Date.now = () => now() + ahead;
async function advance(time) {
  ahead += 1000 * time;
  await worker.advance(time);
}

let worker;
before(async () => (worker = await startWorker({ secrets: keySet(old) })));
after(() => {
  Date.now = now;
  return worker.close();
});

test("fifty servers with cached keys go through a rotation without one failed verification", async () => {
  const user = await worker.register();
  const clients = Array.from({ length: 50 }, () => client());
  // The control: a server that gets the next key a cache lifetime after it begins to sign. Its verification must fail.
  const late = client((key) => key.kid === old.kid || seconds() >= activation + CACHE);
  let activation = Infinity;
  let { refresh_token, access_token } = user;
  const issued = [];
  const signedBy = new Set();

  /** Until that time, all servers verify each new token and the oldest one that has not expired. */
  async function live(until) {
    while (seconds() < until) {
      ({ refresh_token, access_token } = (await worker.refresh(refresh_token)).body);
      signedBy.add(decodeProtectedHeader(access_token).kid);
      issued.push(access_token);
      const oldest = issued.find((token) => decodeJwt(token).exp > seconds() + 10) ?? access_token;
      const tokens = [access_token, oldest];
      await Promise.all([...clients, late].map(({ verify }) => verify(tokens)));
      assert.equal((await worker.verify(access_token)).status, 200);
      assert.equal((await worker.me(access_token)).status, 200);
      await advance(Math.min(STEP, Math.max(1, until - seconds())));
    }
  }
  const published = async () => (await worker.get("/.well-known/jwks.json")).body.keys.map(({ kid }) => kid);

  await live(seconds() + 1.5 * CACHE);
  assert.deepEqual(await published(), [old.kid]);
  const lastWithOldKey = { access_token, refresh_token };

  activation = Math.ceil(seconds() + LEAD);
  await worker.update({ secrets: keySet(old, { ...next, signs_from: activation }) });
  assert.deepEqual(await published(), [old.kid, next.kid]);
  await live(activation - 30);
  assert.deepEqual([...signedBy], [old.kid]);
  // The next key is published and already verifies.
  assert.equal((await worker.me(forged(next, user, TTL))).status, 200);

  await advance(activation - seconds());
  await live(activation + CACHE + 60);
  assert.deepEqual([...signedBy], [old.kid, next.kid]);
  assert.deepEqual(await published(), [old.kid, next.kid]);

  await live(activation + TTL + CACHE + 60);
  assert.deepEqual(await published(), [next.kid]);

  for (const token of issued) {
    const inTime = decodeJwt(token).iat >= activation ? next : old;
    assert.equal(decodeProtectedHeader(token).kid, inTime.kid);
  }
  for (const { failures, verified } of clients) assert.deepEqual([failures, verified], [[], 2 * issued.length]);
  assert.deepEqual([...new Set(late.failures)], ["ERR_JWKS_NO_MATCHING_KEY"]);

  // The tokens of the old key have expired, and a new one that it signs is invalid.
  for (const path of ["/me", "/verify"]) {
    assertProblem(await worker.get(path, { bearer: lastWithOldKey.access_token }), 401, "token_expired");
    assertProblem(await worker.get(path, { bearer: forged(old, user, 600) }), 401, "invalid_token");
    assert.equal((await worker.get(path, { bearer: forged(next, user, 600) })).status, 200);
  }
});

test("a client that is inactive during a rotation can refresh while the old key is in the set", async () => {
  await worker.update({ secrets: keySet(old) });
  const [sleeper, another, late] = [await worker.register(), await worker.register(), await worker.register()];
  // The old key stopped signing an hour ago.
  const activation = Math.floor(seconds()) - 3600;
  await worker.update({ secrets: keySet(old, { ...next, signs_from: activation }) });
  assertProblem(await worker.me(forged(old, sleeper, 600)), 401, "invalid_token");
  const json = ({ refresh_token }, { access_token }) => ({ json: { refresh_token, access_token } });
  assertProblem(await worker.post("/refresh", json(another, sleeper)), 401, "invalid_refresh_token");
  const { status, body } = await worker.post("/refresh", json(sleeper, sleeper));
  assert.equal(status, 200);
  assert.equal((await worker.me(body.access_token)).status, 200);

  await worker.update({ secrets: keySet({ ...next, signs_from: activation }) });
  assertProblem(await worker.post("/refresh", json(late, late)), 401, "invalid_refresh_token");
  assert.equal((await worker.refresh(late.refresh_token)).status, 200);
});

test("a key without signs_from after the first key verifies until it is removed", async () => {
  await worker.update({ secrets: keySet(old) });
  const user = await worker.register();
  await worker.update({ secrets: keySet(next, old) });
  assert.deepEqual(
    (await worker.get("/.well-known/jwks.json")).body.keys.map(({ kid }) => kid),
    [next.kid, old.kid],
  );
  assert.equal((await worker.me(forged(old, user, 600))).status, 200);
  await worker.update({ secrets: keySet(next) });
  assertProblem(await worker.me(forged(old, user, 600)), 401, "invalid_token");
  const { body } = await worker.refresh(user.refresh_token);
  assert.equal(decodeProtectedHeader(body.access_token).kid, next.kid);
});

/** A server that verifies with jose and its own cached key set, which contains the keys that `sees` accepts. */
function client(sees = () => true) {
  const fetched = async () => {
    const { text, body } = await worker.get("/.well-known/jwks.json");
    assert.ok(text.length > 0);
    return Response.json({ keys: body.keys.filter(sees) });
  };
  const options = { cacheMaxAge: 1000 * CACHE, cooldownDuration: 3_600_000, [customFetch]: fetched };
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", worker.url), options);
  const state = { failures: [], verified: 0 };
  state.verify = async (tokens) => {
    for (const token of tokens) {
      try {
        await jwtVerify(token, keys, {
          issuer: ISSUER,
          audience: "https://api.example.org",
          typ: "at+jwt",
          clockTolerance: 2,
          currentDate: new Date(Date.now()),
        });
        state.verified += 1;
      } catch (error) {
        state.failures.push(error.code ?? String(error));
      }
    }
  };
  return state;
}

/** A token with the user's claims, issued now and signed by a key. */
function forged(key, user, lifetime) {
  const now = Math.floor(seconds());
  return signToken(key, { ...decodeJwt(user.access_token), iat: now, exp: now + lifetime });
}
