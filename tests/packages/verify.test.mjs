// @portcullis/verify as npm packs it: against the Worker, and against an issuer of the test's own whose keys, faults and time
// it controls.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, mock, test } from "node:test";

import { decodeJwt } from "jose";
import { makeKey, makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { path } from "../../scripts/lib.mjs";
import { ISSUER, keySet, startWorker } from "../support/harness.mjs";
import { installed } from "../support/installed.mjs";
import { Forge, INVALID_TOKENS, validTokens } from "../support/invalid-tokens.mjs";
import { signToken } from "../support/tokens.mjs";
import { problemsOf } from "../support/typescript.mjs";

const AUDIENCE = "https://api.example.org";
const api = makeResourceServer("orders-api~1.0", AUDIENCE);
const otherApi = makeResourceServer("other-api", "https://other.example.org");

let verifyPackage, worker;
let createVerifier, requireRole, VerifyError, withAccessToken, expressToken;

before(async () => {
  verifyPackage = await installed("verify", ["jose", "hono", "@types/node"]);
  ({ createVerifier, requireRole, VerifyError } = await verifyPackage.import("@portcullis/verify"));
  ({ withAccessToken } = await verifyPackage.import("@portcullis/verify/fetch"));
  ({ accessToken: expressToken } = await verifyPackage.import("@portcullis/verify/express"));
  worker = await startWorker({ vars: { RESOURCE_SERVERS: JSON.stringify([api.entry, otherApi.entry]) } });
});
after(async () => {
  verifyPackage.remove();
  await worker.close();
});

/** The service binding of a Worker beside ours: whatever is fetched arrives there with its URL. */
const auth = { fetch: (url, init) => worker.ask(url, init) };
/** A verifier of the Worker's tokens. */
const verifierOfWorker = (options) => createVerifier({ issuer: ISSUER, audience: AUDIENCE, auth, ...options });

/** Asserts that it is refused with this code, and returns the error. */
async function refused(promise, code) {
  const error = await promise.then(
    () => assert.fail(`accepted, instead of ${code}`),
    (error) => error,
  );
  assert.ok(error instanceof VerifyError, error);
  assert.equal(error.code, code, String(error.cause));
  const challenge = error.headers["WWW-Authenticate"];
  assert.equal(challenge === undefined, error.status === 503);
  return error;
}

/** An issuer in the test: its key set and how it answers. */
class TestIssuer {
  static count = 0;
  issuer = `https://issuer-${++TestIssuer.count}.example.org`;
  keys = [makeKey()];
  requests = [];
  answer = () => Response.json({ keys: this.keys.map(({ d, ...publicJwk }) => publicJwk) });
  verifier = createVerifier({ issuer: this.issuer, audience: AUDIENCE, auth: this });

  fetch(url, init) {
    this.requests.push(url);
    return this.answer(url, init);
  }

  /** A token that expires in a day, signed by the last key. */
  token(claims = {}, header = {}, key = this.keys.at(-1)) {
    const now = Math.floor(Date.now() / 1000);
    const id = "AAAAAAAAAAAAAAAAAAAAAA";
    const ids = { sub: id, sid: id, jti: id, client_id: "first-party", roles: ["user"] };
    const all = { iss: this.issuer, aud: AUDIENCE, ...ids, iat: now, exp: now + 86_400, ...claims };
    return signToken(key, all, header);
  }

  verify(token = this.token(), options = undefined) {
    return this.verifier.verify(token, options);
  }
}

/** Stops the clock, which the test then advances. */
function stopClock(t) {
  mock.timers.enable({ apis: ["Date", "AbortSignal.timeout"], now: 1_800_000_000_000 });
  t.after(() => mock.timers.reset());
  return (seconds) => mock.timers.tick(1000 * seconds);
}

const down = () => Promise.reject(new TypeError("fetch failed"));

test("the claims of the Worker's tokens are returned, for every kind of key", async () => {
  for (const algorithm of ["ES256", "EdDSA", "RS256"]) {
    const vars = { ISSUER: `https://${algorithm.toLowerCase()}.example.org` };
    await worker.update({ vars, secrets: keySet(makeKey(algorithm)) });
    const { access_token, user, session_id } = await worker.register();
    const claims = await verifierOfWorker({ issuer: vars.ISSUER }).verify(access_token);
    assert.deepEqual(claims, decodeJwt(access_token));
    assert.deepEqual([claims.sub, claims.sid, claims.roles], [user.id, session_id, ["user"]]);
  }
  await worker.update();
});

test("what the Worker accepts and refuses is accepted and refused here", async (t) => {
  const person = await worker.register();
  const forge = new Forge(JSON.parse(worker.secrets.SIGNING_KEYS).keys[0], person.access_token);
  const { verify } = verifierOfWorker();
  for (const [name, token] of Object.entries(await validTokens(forge)))
    await t.test(name, async () => assert.deepEqual(await verify(token), decodeJwt(token)));
  for (const [name, tokens] of Object.entries(INVALID_TOKENS)) {
    await t.test(name, async () => {
      for (const token of [...(await tokens(forge)), person.refresh_token, "", undefined, 7, {}])
        await refused(verify(token), "invalid_token");
    });
  }
  assert.equal((await verify(person.access_token)).sub, person.user.id);
});

test("a key is used with its own algorithm only", async (t) => {
  const advance = stopClock(t);
  const issuer = new TestIssuer();
  issuer.keys = [makeKey("EdDSA"), makeKey("RS256"), makeKey("ES256")];
  for (const key of issuer.keys) {
    await issuer.verify(issuer.token({}, {}, key));
    for (const other of issuer.keys.filter(({ alg }) => alg !== key.alg)) {
      await refused(issuer.verify(issuer.token({}, { alg: other.alg }, key)), "invalid_token");
      await refused(issuer.verify(issuer.token({}, { kid: other.kid }, key)), "invalid_token");
    }
  }
  // Keys that are not for access tokens.
  const unusable = new TestIssuer();
  const [key] = unusable.keys;
  const others = [{ use: "enc" }, { alg: "ES384" }, { crv: "P-384" }, { kty: "oct" }, { kid: undefined }];
  unusable.answer = () =>
    Response.json({ keys: [null, ...others.map((change) => ({ ...key, d: undefined, ...change }))] });
  await refused(unusable.verify(), "keys_unavailable");
  // The other keys of the set are used.
  const { answer } = unusable;
  unusable.answer = async () => {
    const { keys } = await answer().json();
    return Response.json({ keys: [...keys, { ...key, d: undefined }] });
  };
  advance(2);
  await unusable.verify();
});

test("a token is expired from the second of its exp on", async (t) => {
  const advance = stopClock(t);
  const issuer = new TestIssuer();
  const now = Math.floor(Date.now() / 1000);
  const [token, early] = [issuer.token({ exp: now + 900 }), issuer.token({ nbf: now + 900 })];
  const foreign = issuer.token({ exp: now + 900, aud: "https://other.example.org" });
  const tampered = `${token.slice(0, -8)}${token.at(-8) === "A" ? "B" : "A"}${token.slice(-7)}`;
  advance(899);
  await issuer.verify(token);
  await refused(issuer.verify(early), "invalid_token");
  advance(1);
  const error = await refused(issuer.verify(token), "token_expired");
  assert.equal(
    error.headers["WWW-Authenticate"],
    'Bearer error="invalid_token", error_description="The access token has expired."',
  );
  await issuer.verify(early);
  // Only a token that was valid is reported as expired.
  await refused(issuer.verify(foreign), "invalid_token");
  await refused(issuer.verify(tampered), "invalid_token");
});

test("keys are fetched once in five minutes", async (t) => {
  const advance = stopClock(t);
  const issuer = new TestIssuer();
  await Promise.all([issuer.verify(), issuer.verify()]);
  // Requests do not wait for each other.
  assert.deepEqual(issuer.requests, Array(2).fill(`${issuer.issuer}/.well-known/jwks.json`));
  advance(299);
  await issuer.verify();
  assert.equal(issuer.requests.length, 2);
  advance(1);
  await issuer.verify();
  await issuer.verify();
  assert.equal(issuer.requests.length, 3);
  // A verifier per request shares them.
  await createVerifier({ issuer: issuer.issuer, audience: AUDIENCE, auth: issuer }).verify(issuer.token());
  assert.equal(issuer.requests.length, 3);
  // A key that the issuer has removed is refused after five minutes.
  const token = issuer.token();
  issuer.keys = [makeKey()];
  advance(299);
  await issuer.verify(token);
  advance(1);
  await refused(issuer.verify(token), "invalid_token");
});

test("after the clock is set back, keys are fetched at once", async (t) => {
  const advance = stopClock(t);
  const setBack = () => mock.timers.setTime(Date.now() - 7_200_000);
  const issuer = new TestIssuer();
  const token = issuer.token();
  await issuer.verify(token);
  setBack();
  await issuer.verify(token);
  assert.equal(issuer.requests.length, 2);
  // Otherwise a removed key would be accepted until the clock is again where it was.
  issuer.keys = [makeKey()];
  setBack();
  await refused(issuer.verify(token), "invalid_token");
  // Nor does a pause become longer.
  const { answer } = issuer;
  issuer.answer = down;
  advance(300);
  await issuer.verify();
  setBack();
  await refused(issuer.verify(), "keys_unavailable");
  issuer.answer = answer;
  setBack();
  await issuer.verify();
});

test("while the issuer does not answer, known keys are used for an hour", async (t) => {
  const advance = stopClock(t);
  for (const fault of [
    down,
    () => new Response("unavailable", { status: 503 }),
    () => new Response("<html>", { status: 200 }),
    () => Response.json({ keys: "none" }),
    () => Response.json({ keys: [] }),
    () => Response.json({ keys: [null, { kty: "EC", crv: "P-384", kid: "a" }] }),
    () => Response.json(null),
    () => Response.redirect("https://evil.example/jwks.json"),
  ]) {
    const issuer = new TestIssuer();
    await issuer.verify();
    const { answer } = issuer;
    issuer.answer = fault;
    advance(300);
    for (let again = 0; again < 3; again += 1) await issuer.verify();
    // A failed fetch is tried again after 30 seconds.
    assert.equal(issuer.requests.length, 2);
    advance(29);
    await issuer.verify();
    assert.equal(issuer.requests.length, 2);
    advance(1);
    await issuer.verify();
    assert.equal(issuer.requests.length, 3);
    advance(3600 - 331);
    await issuer.verify();
    advance(1);
    const error = await refused(issuer.verify(), "keys_unavailable");
    assert.ok(error.cause instanceof Error);
    assert.deepEqual([error.status, error.headers["Retry-After"]], [503, "5"]);
    // Then it is tried again after two seconds, so that the outage ends soon.
    for (const [seconds, requests] of [
      [0, 4],
      [1, 5],
      [1, 5],
      [1, 6],
    ]) {
      advance(seconds);
      await refused(issuer.verify(), "keys_unavailable");
      assert.equal(issuer.requests.length, requests);
    }
    issuer.answer = answer;
    advance(2);
    await issuer.verify();
  }
});

test("without any keys, a token is neither accepted nor called invalid", async (t) => {
  const advance = stopClock(t);
  const issuer = new TestIssuer();
  const { answer } = issuer;
  issuer.answer = down;
  await refused(issuer.verify(), "keys_unavailable");
  await refused(issuer.verify(issuer.token({}, { kid: "unknown" })), "keys_unavailable");
  assert.equal(issuer.requests.length, 1);
  // A malformed token needs no key.
  await refused(issuer.verify("x"), "invalid_token");
  issuer.answer = answer;
  advance(2);
  await issuer.verify();
  // A key that cannot be imported.
  const broken = new TestIssuer();
  const [{ d, ...key }] = broken.keys;
  broken.answer = () => Response.json({ keys: [{ ...key, x: key.y, y: key.x }] });
  await refused(broken.verify(), "keys_unavailable");
});

test("an unknown key is looked for once in 30 seconds", async (t) => {
  const advance = stopClock(t);
  const issuer = new TestIssuer();
  await issuer.verify();
  assert.equal(issuer.requests.length, 1);
  const [old, next] = [issuer.keys[0], makeKey()];
  const unknown = () => issuer.verify(issuer.token({}, { kid: "unknown" }, old));
  // The keys have just been fetched.
  for (let again = 0; again < 3; again += 1) await refused(unknown(), "invalid_token");
  assert.equal(issuer.requests.length, 1);
  advance(30);
  for (let again = 0; again < 3; again += 1) await refused(unknown(), "invalid_token");
  assert.equal(issuer.requests.length, 2);
  advance(30);
  issuer.keys = [old, next];
  await issuer.verify(issuer.token({}, {}, next));
  assert.equal(issuer.requests.length, 3);
  // Whoever sends unknown keys does not delay the next fetch of those that are known.
  const { answer } = issuer;
  issuer.answer = down;
  advance(30);
  for (let again = 0; again < 3; again += 1) await refused(unknown(), "keys_unavailable");
  assert.equal(issuer.requests.length, 4);
  await issuer.verify();
  issuer.answer = answer;
  advance(30);
  await refused(unknown(), "invalid_token");
  assert.equal(issuer.requests.length, 5);
});

test("an unknown key is not called invalid while it is looked for", async (t) => {
  const advance = stopClock(t);
  const issuer = new TestIssuer();
  await issuer.verify();
  const [old, next] = [issuer.keys[0], makeKey()];
  const { answer } = issuer;
  const [known, unknown] = [issuer.token(), issuer.token({}, {}, next)];
  advance(30);
  issuer.answer = () => new Promise(() => {});
  void issuer.verify(unknown);
  issuer.answer = answer;
  issuer.keys = [old, next];
  await refused(issuer.verify(unknown), "keys_unavailable");
  await issuer.verify(known);
  // Nor afterwards, if the request has been cancelled.
  advance(1);
  await refused(issuer.verify(unknown), "keys_unavailable");
  assert.equal(issuer.requests.length, 2);
  advance(1);
  await issuer.verify(unknown);
  assert.equal(issuer.requests.length, 3);
});

test("a request that was cancelled while it fetched the keys holds up no other", async () => {
  const issuer = new TestIssuer();
  const { answer } = issuer;
  issuer.answer = () => new Promise(() => {});
  void issuer.verify();
  issuer.answer = answer;
  await issuer.verify();
});

test("an issuer that accepts and does not answer is given up after five seconds", async (t) => {
  const advance = stopClock(t);
  const silent = createServer(() => {});
  await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.after(() => silent.closeAllConnections());
  t.after(() => silent.close());
  const issuer = `http://127.0.0.1:${silent.address().port}`;
  const arrived = new Promise((resolve) => silent.once("request", resolve));
  // Without a binding, over the network.
  const pending = refused(
    createVerifier({ issuer, audience: AUDIENCE }).verify(new TestIssuer().token({ iss: issuer })),
    "keys_unavailable",
  );
  await arrived;
  advance(5);
  // The mocked clock aborts with the other of the two names.
  assert.match((await pending).cause.name, /^(Timeout|Abort)Error$/);
});

test("a redirect of the issuer is not followed", async (t) => {
  const paths = [];
  const redirecting = createServer(({ url }, response) => {
    paths.push(url);
    response.writeHead(302, { Location: "/elsewhere" }).end();
  });
  await new Promise((resolve) => redirecting.listen(0, "127.0.0.1", resolve));
  t.after(() => redirecting.close());
  const issuer = `http://127.0.0.1:${redirecting.address().port}`;
  const { verify } = createVerifier({ issuer, audience: AUDIENCE });
  await refused(verify(new TestIssuer().token({ iss: issuer })), "keys_unavailable");
  assert.deepEqual(paths, ["/.well-known/jwks.json"]);
});

test("a token of an ended session is refused once KV has the mark", async () => {
  const verifier = verifierOfWorker({ revocations: worker.kv });
  const { access_token, refresh_token, session_id } = await worker.register();
  assert.equal((await verifier.verify(access_token)).sid, session_id);
  await worker.revoke(refresh_token);
  await worker.marksWritten();
  const error = await refused(verifier.verify(access_token), "token_revoked");
  assert.match(error.headers["WWW-Authenticate"], /^Bearer error="invalid_token"/);
  // Without the namespace, only the signature counts.
  await verifierOfWorker().verify(access_token);
});

test("KV is asked only about valid tokens, and its failure is not an answer", async () => {
  const issuer = new TestIssuer();
  const asked = [];
  const revocations = {
    get: async (...args) => {
      asked.push(args);
      throw new Error("KV is down");
    },
  };
  const verifier = createVerifier({ issuer: issuer.issuer, audience: AUDIENCE, auth: issuer, revocations });
  await refused(verifier.verify(issuer.token({ aud: "x" })), "invalid_token");
  assert.deepEqual(asked, []);
  const error = await refused(verifier.verify(issuer.token()), "revocations_unavailable");
  assert.deepEqual([error.status, error.cause.message], [503, "KV is down"]);
  assert.deepEqual(asked, [["revoked:AAAAAAAAAAAAAAAAAAAAAA", { cacheTtl: 30 }]]);
});

test("introspection knows at once that a session has ended, and the current roles", async () => {
  const { id } = api.entry;
  const verifier = verifierOfWorker({ introspection: { id, secret: api.secret } });
  const person = await worker.register();
  const check = () => verifier.verify(person.access_token, { introspect: true });
  assert.deepEqual(await check(), decodeJwt(person.access_token));
  await worker.setRoles(person, ["user", "admin"]);
  assert.deepEqual((await check()).roles, ["user", "admin"]);
  assert.deepEqual((await verifier.verify(person.access_token)).roles, ["user"]);
  await worker.revoke(person.refresh_token);
  await refused(check(), "token_revoked");
  await verifier.verify(person.access_token);
});

test("introspection that fails is not an answer, and forged tokens do not reach it", async () => {
  const person = await worker.register();
  const asked = [];
  const counting = {
    fetch: (url, init) => {
      asked.push(url);
      return auth.fetch(url, init);
    },
  };
  const ask = (server, token = person.access_token, fetcher = counting) =>
    verifierOfWorker({ auth: fetcher, introspection: { id: server.entry.id, secret: server.secret } }).verify(token, {
      introspect: true,
    });
  await ask(api);
  const before = asked.length;
  await refused(ask(api, worker.resign(person.access_token, { iss: "https://other.example" })), "invalid_token");
  assert.equal(asked.length, before);
  const error = await refused(ask({ ...api, secret: "wrong" }), "revocations_unavailable");
  assert.match(error.cause.message, /answered 401/);
  // A server of another audience learns nothing about the token.
  await refused(ask(otherApi), "token_revoked");
  const { jti } = decodeJwt(person.access_token);
  const answering = (members) => () => Response.json({ active: true, token_use: "access_token", jti, ...members });
  const answers = {
    "without roles": answering({}),
    "with a role that is not a string": answering({ roles: ["user", 7] }),
    "with a list in the roles": answering({ roles: [["admin"]] }),
    "with roles in a string": answering({ roles: "admin" }),
    "": () => new Response(""),
    "of a refresh token": () => Response.json({ active: true, token_use: "refresh_token" }),
    "about another token": () => Response.json({ active: true, token_use: "access_token", jti: "x", roles: [] }),
    null: () => Response.json(null),
    "an error": () => new Response("{}", { status: 500 }),
    "no answer": down,
  };
  for (const [name, answer] of Object.entries(answers)) {
    const fetcher = { fetch: async () => answer() };
    const code = name === "null" ? "token_revoked" : "revocations_unavailable";
    await refused(ask(api, person.access_token, fetcher), code);
  }
});

test("acr and maxAge are challenges by which a client can ask for another authentication", async (t) => {
  const advance = stopClock(t);
  const issuer = new TestIssuer();
  const now = Math.floor(Date.now() / 1000);
  const token = issuer.token({ acr: "mfa", auth_time: now });
  const challenge = async (token, options) => {
    const error = await refused(issuer.verify(token, options), "insufficient_user_authentication");
    assert.equal(error.status, 401);
    return error.headers["WWW-Authenticate"];
  };
  await issuer.verify(token, { acr: "mfa", maxAge: 0 });
  await issuer.verify(token, { acr: ["phr", "mfa"] });
  const text = "This requires a more recent or a stronger authentication.";
  const error = `Bearer error="insufficient_user_authentication", error_description="${text}"`;
  assert.equal(await challenge(token, { acr: ["phr", "phrh"] }), `${error}, acr_values="phr phrh"`);
  advance(300);
  await issuer.verify(token, { maxAge: 300 });
  advance(1);
  assert.equal(await challenge(token, { maxAge: 300 }), `${error}, max_age="300"`);
  assert.equal(await challenge(token, { acr: "mfa", maxAge: 0 }), `${error}, acr_values="mfa", max_age="0"`);
  // A token that does not say how its user authenticated.
  assert.equal(await challenge(issuer.token(), { acr: "mfa" }), `${error}, acr_values="mfa"`);
  assert.equal(await challenge(issuer.token(), { maxAge: 99_999 }), `${error}, max_age="99999"`);
  await challenge(issuer.token({ auth_time: "1800000000", acr: ["mfa"] }), { maxAge: 300 });
  await challenge(issuer.token({ acr: ["mfa"] }), { acr: "mfa" });
  // An invalid token is reported as such.
  await refused(issuer.verify(issuer.token({ aud: "x" }), { acr: "phr" }), "invalid_token");
});

test("an option that cannot work is an error of the program", async () => {
  const options = { issuer: ISSUER, audience: AUDIENCE };
  for (const issuer of [
    ...[undefined, "", "auth.example.org", "http://auth.example.org", "http://localhost.evil.org", "ftp://localhost"],
    ...["https://auth.example.org/", "https://auth.example.org/auth/", "https://Auth.example.org"],
    ...["https://auth.example.org:443", "https://auth.example.org?x=1", "https://auth.example.org/a?"],
    ...["https://auth.example.org#x", "https://auth.example.org/a#", "https://:p@a.org", " https://auth.example.org"],
    "https://u@a.org",
  ])
    assert.throws(() => createVerifier({ ...options, issuer }), TypeError, issuer);
  for (const issuer of ["https://auth.example.org/auth", "http://localhost:8787", "http://127.0.0.1", "http://[::1]:1"])
    createVerifier({ ...options, issuer });
  for (const audience of [undefined, "", ["a"]])
    assert.throws(() => createVerifier({ ...options, audience }), TypeError);
  // A missing binding of a Worker is undefined.
  for (const wrong of [undefined, null, "", {}, "REVOCATIONS", { get: 1, fetch: 1, id: 1, secret: 1 }]) {
    for (const name of ["revocations", "auth", "introspection"])
      assert.throws(() => createVerifier({ ...options, [name]: wrong }), TypeError, name);
  }
  for (const introspection of [{ id: "orders-api" }, { id: "", secret: "x" }, { id: "orders-api", secret: undefined }])
    assert.throws(() => createVerifier({ ...options, introspection }), TypeError);
  const issuer = new TestIssuer();
  for (const name of ["acr", "maxAge", "introspect"])
    await assert.rejects(issuer.verify(issuer.token(), { [name]: undefined }), TypeError, name);
  const verifier = createVerifier(options);
  for (const wrong of [
    { introspect: true },
    { acr: [] },
    { acr: 'a"b' },
    { acr: "a b" },
    { maxAge: -1 },
    { maxAge: 1.5 },
  ])
    await assert.rejects(verifier.verify("x", wrong), TypeError);
});

test("a role is required", () => {
  const claims = { roles: ["user", "editor"] };
  requireRole(claims, "editor");
  requireRole(claims, "admin", "user");
  for (const roles of [["admin"], [], ["Editor"]]) {
    assert.throws(
      () => requireRole(claims, ...roles),
      (error) => error instanceof VerifyError && error.code === "forbidden" && error.status === 403,
    );
  }
});

test("a fetch handler gets the claims, and clients get challenges", async () => {
  const issuer = new TestIssuer();
  const seen = [];
  const handler = withAccessToken(issuer.verifier, (request, claims, env, ctx) => {
    seen.push([request.url, claims.sub, env, ctx]);
    if (request.url.endsWith("/admin")) requireRole(claims, "admin");
    if (request.url.endsWith("/broken")) throw new RangeError("broken");
    return new Response("ok");
  });
  const ask = (authorization, url = "https://api.example.org/") =>
    handler(new Request(url, { headers: authorization === undefined ? {} : { Authorization: authorization } }), 1, 2);
  for (const scheme of ["Bearer", "bearer", "BEARER "])
    assert.equal((await ask(`${scheme} ${issuer.token()}`)).status, 200);
  assert.deepEqual(seen[0], ["https://api.example.org/", "AAAAAAAAAAAAAAAAAAAAAA", 1, 2]);
  seen.length = 0;

  const problem = async (response) => {
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.equal(response.headers.get("cache-control"), "no-store");
    const { status, code, type, title, detail } = await response.json();
    assert.deepEqual([response.status, type], [status, "about:blank"]);
    assert.ok(title.length > 0 && detail.length > 0);
    return [status, code, response.headers.get("www-authenticate")?.replace(/, error_description=.*/, "") ?? null];
  };
  for (const none of [undefined, "", "Bearer", "Bearer ", "Basic YTpi", "Bearerx"])
    assert.deepEqual(await problem(await ask(none)), [401, "missing_token", "Bearer"]);
  for (const other of ["Bearer a,", 'Digest username="a, Bearer b", realm = "b", uri=/me'])
    assert.equal((await problem(await ask(other)))[0], 401);
  const token = issuer.token();
  for (const several of [
    `Bearer ${token}, Bearer ${token}`,
    `Bearer ${token},b`,
    `Bearer, Bearer ${token}`,
    `Basic YTpi, Bearer ${token}`,
    `Bearer ${token}, Basic YTpi==`,
    `Digest username="a", Bearer ${token}`,
  ])
    assert.deepEqual(await problem(await ask(several)), [400, "invalid_request", 'Bearer error="invalid_request"']);
  for (const wrong of ["Bearer x", `Bearer ${token} x`, `Bearer "${token}"`, `Bearer ${token}, realm="x"`])
    assert.deepEqual(await problem(await ask(wrong)), [401, "invalid_token", 'Bearer error="invalid_token"']);
  const expired = await ask(`Bearer ${issuer.token({ exp: 1 })}`);
  assert.deepEqual(await problem(expired), [401, "token_expired", 'Bearer error="invalid_token"']);
  assert.deepEqual(seen, []);
  const forbidden = await ask(`Bearer ${token}`, "https://api.example.org/admin");
  assert.deepEqual(await problem(forbidden), [403, "forbidden", 'Bearer error="insufficient_scope"']);
  await assert.rejects(ask(`Bearer ${token}`, "https://api.example.org/broken"), RangeError);

  // The verifier may come from the bindings.
  const fromEnv = withAccessToken(
    (_, env) => env.verifier,
    () => new Response("ok"),
  );
  const request = new Request("https://api.example.org/", { headers: { Authorization: `Bearer ${token}` } });
  assert.equal((await fromEnv(request, { verifier: issuer.verifier })).status, 200);
});

test("the middleware for Express also serves node:http", async (t) => {
  const issuer = new TestIssuer();
  const middleware = expressToken(issuer.verifier);
  const server = createServer((request, response) =>
    middleware(request, response, (error) => response.end(error ? "error" : request.claims.sub)),
  );
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const ask = (headers) => fetch(`http://127.0.0.1:${server.address().port}/`, { headers });
  const good = await ask({ Authorization: `Bearer ${issuer.token()}` });
  assert.deepEqual([good.status, await good.text()], [200, "AAAAAAAAAAAAAAAAAAAAAA"]);
  const bad = await ask({});
  assert.deepEqual([bad.status, bad.headers.get("www-authenticate")], [401, "Bearer"]);
  assert.equal((await bad.json()).code, "missing_token");
  // Of several headers, Node keeps only the first in `headers`.
  const token = `Bearer ${issuer.token()}`;
  for (const Authorization of [
    [token, token],
    [token, "Bearer x"],
    [token, "Basic YTpi"],
    ["Bearer x", token],
  ]) {
    const { port } = server.address();
    const response = await new Promise((resolve, reject) =>
      get({ port, host: "127.0.0.1", headers: { Authorization } }, resolve).on("error", reject),
    );
    assert.equal(response.statusCode, 400);
    assert.match(response.headers["www-authenticate"], /^Bearer error="invalid_request"/);
    assert.equal(JSON.parse(await text(response)).code, "invalid_request");
  }
});

test("the middleware for Express is silent if the app answered while the token was verified", async (t) => {
  const issuer = new TestIssuer();
  let settled;
  const server = createServer((request, response) => {
    if (request.url === "/broken") response.setHeader = () => assert.fail("broken");
    issuer.answer = async () => {
      if (request.url === "/late") await new Promise((resolve) => response.writeHead(504).end("time limit", resolve));
      throw new TypeError("fetch failed");
    };
    settled = expressToken(issuer.verifier)(request, response, (error) => response.writeHead(500).end(error.message));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const ask = async (path) => {
    const headers = { Authorization: `Bearer ${issuer.token()}` };
    const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers });
    const text = await response.text();
    await settled;
    return [response.status, text];
  };
  assert.deepEqual(await ask("/late"), [504, "time limit"]);
  // An error while it answers is the app's to handle.
  assert.deepEqual(await ask("/broken"), [500, "broken"]);
});

test("the types compile in a program that uses them, and wrong uses do not", () => {
  const program = `
import { createServer } from "node:http";
import { Hono } from "hono";
import { createVerifier, requireRole, VerifyError, type AccessToken, type Verifier } from "@portcullis/verify";
import { accessToken, requireRole as role, type AccessTokenEnv } from "@portcullis/verify/hono";
import { accessToken as express } from "@portcullis/verify/express";
import { withAccessToken } from "@portcullis/verify/fetch";

interface Env { AUTH: { fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> }; ISSUER: string }
const verifier: Verifier = createVerifier({ issuer: "https://auth.example.com", audience: "https://api.example.com" });
const claims: AccessToken = await verifier.verify("x", { acr: ["mfa"], maxAge: 300 });
requireRole(claims, "admin");
const ofEnv = (env: Env) => createVerifier({ issuer: env.ISSUER, audience: "a", auth: env.AUTH });

const app = new Hono<{ Bindings: Env } & AccessTokenEnv>();
app.use(accessToken((c) => ofEnv(c.env)));
app.get("/", role("admin"), (c) => c.json({ user: c.get("claims").sub satisfies string }));
export default { fetch: withAccessToken((_request, env: Env) => ofEnv(env), (_request, claims, env) => new Response(claims.sub + env.ISSUER)) };
createServer((request, response) => express(verifier)(request, response, () => response.end()));

try { await verifier.verify("x"); } catch (error) {
  if (error instanceof VerifyError && error.code === "token_expired") console.log(error.status satisfies 400 | 401 | 403 | 503);
}
// @ts-expect-error
createVerifier({ issuer: "https://auth.example.com" });
// @ts-expect-error
verifier.verify("x", { maxAge: "300" });
// @ts-expect-error
if (new VerifyError("invalid_token").code === "no_such_code") console.log();
`;
  const file = join(verifyPackage.folder, "program.mts");
  writeFileSync(file, program);
  const compilerOptions = { strict: true, noEmit: true, module: "nodenext", target: "es2022", types: ["node"] };
  assert.equal(problemsOf(file, compilerOptions), "");
  // TypeScript 7 checks the declarations of Hono and Node too.
  const all = { ...compilerOptions, skipDefaultLibCheck: true };
  writeFileSync(
    join(verifyPackage.folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: all, files: ["program.mts"] }),
  );
  const { status, stdout } = spawnSync(path("node_modules", ".bin", "tsc"), ["-p", verifyPackage.folder], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout);
});
