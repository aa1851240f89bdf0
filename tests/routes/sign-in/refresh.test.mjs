// POST /refresh: rotation, the grace window, reuse, and the end of a session.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { makeKey, makeSecrets } from "../../../packages/portcullis/src/secrets.mjs";
import { assertProblem, forged, startWorker } from "../../support/harness.mjs";
import { signingInput, signToken } from "../../support/tokens.mjs";

const GRACE = 30;
const IDLE = 604800;
const ABSOLUTE = 2592000;

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

test("a refresh returns the successor, and an access token of the same session", async () => {
  const first = await worker.register();
  const { status, body } = await worker.refresh(first.refresh_token);
  assert.equal(status, 200);
  const { access_token, refresh_token, ...rest } = body;
  assert.deepEqual(rest, {
    token_type: "Bearer",
    expires_in: 900,
    refresh_expires_in: IDLE,
    session_id: first.session_id,
    user: first.user,
  });
  assert.equal(decodeJwt(access_token).sid, first.session_id);
  assert.notEqual(decodeJwt(access_token).jti, decodeJwt(first.access_token).jti);
  assert.notEqual(refresh_token, first.refresh_token);
  const { generation, amr, authenticated_at, created_at } = await worker.sessionRow(first.session_id);
  assert.deepEqual([generation, amr, authenticated_at], [1, "pwd", created_at]);
  assert.equal((await worker.refresh(refresh_token)).status, 200);
});

test("fifty parallel refreshes of one token get the same successor, in every round", async () => {
  const { session_id, ...session } = await worker.register();
  let token = session.refresh_token;
  for (let round = 1; round <= 5; round += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => worker.refresh(token)));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    const successors = new Set(answers.map(({ body }) => body.refresh_token));
    assert.equal(successors.size, 1);
    const { generation, grace_retries } = await worker.sessionRow(session_id);
    assert.deepEqual({ generation, grace_retries }, { generation: round, grace_retries: 49 });
    [token] = successors;
  }
  // The newest token still refreshes.
  assert.equal((await worker.refresh(token)).status, 200);
  assert.equal((await worker.sessionRow(session_id)).generation, 6);
});

test("without a grace window one of fifty parallel refreshes succeeds, and the session ends as reused", async () => {
  await worker.update({ vars: { REFRESH_GRACE_SECONDS: "0" } });
  try {
    await worker.warmUp(50);
    for (let round = 0; round < 5; round += 1) {
      const { refresh_token, session_id } = await worker.register();
      const answers = await Promise.all(Array.from({ length: 50 }, () => worker.refresh(refresh_token)));
      const successes = answers.filter(({ status }) => status === 200);
      assert.equal(successes.length, 1);
      assert.equal((await worker.sessionRow(session_id)).revoked_reason, "reuse");
      assertProblem(await worker.refresh(successes[0].body.refresh_token), 401, "invalid_refresh_token");
    }
  } finally {
    await worker.update();
  }
});

test("a client that lost the response gets the same successor until the window closes", async () => {
  const { refresh_token, session_id } = await worker.register();
  const lost = await worker.refresh(refresh_token);
  await worker.age(10, session_id);
  const row = await worker.sessionRow(session_id);
  const retried = await worker.refresh(refresh_token);
  assert.equal(retried.status, 200);
  assert.equal(retried.body.refresh_token, lost.body.refresh_token);
  // Only the count and the expiry of the newest access token change: a retry does not extend the window.
  const { access_expires_at, ...after } = await worker.sessionRow(session_id);
  assert.ok(access_expires_at >= row.access_expires_at + 10);
  assert.deepEqual(after, { ...without(row, "access_expires_at"), grace_retries: 1 });
  await worker.age(GRACE - 10, session_id);
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
});

test("a replay after the window ends the session, including the successor and the access tokens", async () => {
  const { refresh_token, session_id } = await worker.register();
  const { body } = await worker.refresh(refresh_token);
  assert.equal((await worker.verify(body.access_token)).status, 200);
  await worker.age(GRACE, session_id);
  worker.events();
  assertProblem(
    await worker.refresh(refresh_token, { headers: { "CF-Connecting-IP": "198.51.100.7" } }),
    401,
    "invalid_refresh_token",
  );
  const [event] = worker.events("reuse_detected");
  assert.deepEqual([event.level, event.session_id, event.reason], ["warn", session_id, "predecessor"]);
  const { revoked_reason, revoked_ip, revoked_at } = await worker.sessionRow(session_id);
  assert.deepEqual([revoked_reason, revoked_ip], ["reuse", "198.51.100.7"]);
  assert.ok(revoked_at > 0);
  assertProblem(await worker.refresh(body.refresh_token), 401, "invalid_refresh_token");
  assertProblem(await worker.me(body.access_token), 401, "invalid_token");
  assertProblem(await worker.verify(body.access_token), 401, "invalid_token");
});

test("a token older than the predecessor is reuse even within the window", async () => {
  for (const rotations of [2, 3, 7]) {
    const { refresh_token, session_id } = await worker.register();
    let newest = refresh_token;
    for (let count = 0; count < rotations; count += 1) newest = (await worker.refresh(newest)).body.refresh_token;
    worker.events();
    assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
    assert.equal(worker.events("reuse_detected")[0].reason, "older");
    assertProblem(await worker.refresh(newest), 401, "invalid_refresh_token");
    assert.equal((await worker.sessionRow(session_id)).revoked_reason, "reuse");
  }
});

test("reuse ends only its own session, and no other session of the user", async () => {
  const user = await worker.register();
  const other = (await worker.login(user)).body;
  const { body } = await worker.refresh(user.refresh_token);
  await worker.refresh(body.refresh_token);
  await worker.refresh(user.refresh_token);
  assert.equal((await worker.sessionRow(user.session_id)).revoked_reason, "reuse");
  assert.equal((await worker.refresh(other.refresh_token)).status, 200);
});

test("a session that is not refreshed ends at its idle timeout", async () => {
  const { refresh_token, session_id } = await worker.register();
  await worker.age(IDLE - 5, session_id);
  const { body } = await worker.refresh(refresh_token);
  assert.equal(body.refresh_expires_in, IDLE);
  await worker.age(IDLE, session_id);
  worker.events();
  assertProblem(await worker.refresh(body.refresh_token), 401, "invalid_refresh_token");
  assert.equal(worker.events("refresh_refused")[0].reason, "expired");
  assertProblem(await worker.me(body.access_token), 401, "invalid_token");
});

test("refreshing never extends the absolute lifetime, and no token outlives it", async () => {
  const { refresh_token, session_id } = await worker.register();
  const end = (await worker.sessionRow(session_id)).absolute_expires_at;
  let token = refresh_token;
  let aged = 0;
  const step = IDLE - 100;
  while (aged + step < ABSOLUTE) {
    await worker.age(step, session_id);
    aged += step;
    const { status, body } = await worker.refresh(token);
    assert.equal(status, 200);
    token = body.refresh_token;
    const row = await worker.sessionRow(session_id);
    assert.equal(row.absolute_expires_at, end - aged);
    assert.ok(row.expires_at <= row.absolute_expires_at);
  }
  // A hundred seconds before the end, tokens are issued with that remaining lifetime only.
  await worker.age(ABSOLUTE - aged - 100, session_id);
  const { body } = await worker.refresh(token);
  assert.ok(body.refresh_expires_in <= 100 && body.refresh_expires_in > 80, String(body.refresh_expires_in));
  assert.equal(body.expires_in, body.refresh_expires_in);
  const { exp, iat } = decodeJwt(body.access_token);
  assert.equal(exp - iat, body.expires_in);
  await worker.age(100, session_id);
  assertProblem(await worker.refresh(body.refresh_token), 401, "invalid_refresh_token");
});

test("every reason for refusal gets the same response", async () => {
  const fresh = () => worker.register();
  const cases = {
    garbage: async () => "pcrt_garbage",
    forged: async () => forged((await fresh()).refresh_token),
    "an access token": async () => (await fresh()).access_token,
    "made with another secret": async () => {
      await worker.update({ secrets: makeSecrets() });
      const { refresh_token } = await fresh();
      await worker.update();
      return refresh_token;
    },
    revoked: async () => {
      const { refresh_token } = await fresh();
      await worker.revoke(refresh_token);
      return refresh_token;
    },
    expired: async () => {
      const { refresh_token, session_id } = await fresh();
      await worker.age(IDLE, session_id);
      return refresh_token;
    },
    disabled: async () => {
      const user = await fresh();
      await worker.disable(user);
      return user.refresh_token;
    },
    deleted: async () => {
      const { refresh_token, user } = await fresh();
      await worker.db.prepare("DELETE FROM users WHERE id = ?").bind(user.id).run();
      return refresh_token;
    },
    reused: async () => {
      const { refresh_token, session_id } = await fresh();
      await worker.refresh(refresh_token);
      await worker.age(GRACE, session_id);
      return refresh_token;
    },
    "another secret in the row": async () => {
      const { refresh_token, session_id } = await fresh();
      await worker.db
        .prepare("UPDATE refresh_tokens SET secret_hash = 'x' WHERE session_id = ?")
        .bind(session_id)
        .run();
      return refresh_token;
    },
  };
  const answers = [];
  for (const [name, arrange] of Object.entries(cases)) {
    const answer = await worker.refresh(await arrange());
    assertProblem(answer, 401, "invalid_refresh_token");
    const { request_id, ...body } = answer.body;
    const headers = [...answer.headers].filter(([header]) => !["x-request-id", "date"].includes(header));
    answers.push([name, JSON.stringify({ body, headers })]);
  }
  for (const [name, answer] of answers) assert.equal(answer, answers[0][1], name);
});

test("a token with any character changed is invalid, and changes nothing", async () => {
  const { refresh_token, session_id } = await worker.register();
  const before = await worker.sessionRow(session_id);
  // In the prefix, the session id, the generation, the secret and the tag; the Rust tests change every character.
  for (const at of [0, 6, 26, 29, 31, 60, 73, 95]) {
    const changed = refresh_token.slice(0, at) + (refresh_token[at] === "A" ? "B" : "A") + refresh_token.slice(at + 1);
    assertProblem(await worker.refresh(changed), 401, "invalid_refresh_token");
  }
  for (const changed of [
    forged(refresh_token),
    `${refresh_token} `,
    `${refresh_token}=`,
    refresh_token.slice(5),
    refresh_token.toUpperCase(),
  ]) {
    assertProblem(await worker.refresh(changed), 401, "invalid_refresh_token");
  }
  assert.deepEqual(await worker.sessionRow(session_id), before);
});

test("a body without exactly one refresh token as text is refused", async () => {
  for (const json of [
    {},
    { refresh_token: 1 },
    { refresh_token: null },
    { refresh_token: ["x"] },
    { refresh_token: "x", more: 1 },
    [],
  ]) {
    assertProblem(await worker.post("/refresh", { json }), 400, "invalid_request");
  }
  assertProblem(await worker.post("/refresh", { form: { refresh_token: "x" } }), 415, "unsupported_media_type");
});

test("the row has the origin of the last refresh, and the log reports a retry from another origin", async () => {
  const from = (ip, agent) => ({
    headers: { "CF-Connecting-IP": ip, "User-Agent": agent, "X-Forwarded-For": "203.0.113.99" },
  });
  const { refresh_token, session_id } = await worker.register();
  await worker.refresh(refresh_token, from("198.51.100.1", "first"));
  const row = await worker.sessionRow(session_id);
  assert.deepEqual([row.created_ip, row.created_user_agent], ["192.0.2.1", "tests"]);
  assert.deepEqual([row.rotated_ip, row.rotated_user_agent], ["198.51.100.1", "first"]);
  worker.events();
  await worker.refresh(refresh_token, from("198.51.100.1", "first"));
  await worker.refresh(refresh_token, from("198.51.100.2", "second"));
  const logged = worker
    .events("grace_retry")
    .map(({ retries, same_ip, same_user_agent }) => [retries, same_ip, same_user_agent]);
  assert.deepEqual(logged, [
    [1, true, true],
    [2, false, false],
  ]);
  assert.equal((await worker.sessionRow(session_id)).rotated_ip, "198.51.100.1");
});

test("changed roles are in the token of the next refresh", async () => {
  const { refresh_token, user } = await worker.register();
  await worker.db.prepare("UPDATE users SET roles = ? WHERE id = ?").bind('["user","admin"]', user.id).run();
  const { body } = await worker.refresh(refresh_token);
  assert.deepEqual(decodeJwt(body.access_token).roles, ["user", "admin"]);
  assert.deepEqual(body.user.roles, ["user", "admin"]);
});

test("an access token sent with the refresh token must be of the same session, and may have expired", async () => {
  const user = await worker.register();
  const { session_id } = user;
  const [key] = JSON.parse(worker.secrets.SIGNING_KEYS).keys;
  const claims = decodeJwt(user.access_token);
  let token = user.refresh_token;
  const now = Math.floor(Date.now() / 1000);
  for (const [what, access_token] of [
    ["its own", user.access_token],
    ["its own, expired", signToken(key, { ...claims, iat: now - 1000, exp: now - 100 })],
    ["its own, expired long ago", signToken(key, { ...claims, iat: 1, exp: 2 })],
    ["its own, from a clock that is ahead", signToken(key, { ...claims, iat: now + 600, exp: now + 900 })],
    ["its own, issued under another ISSUER", signToken(key, { ...claims, iss: "https://other.example" })],
    ["its own, issued for another AUDIENCE", signToken(key, { ...claims, aud: "https://other.example" })],
  ]) {
    const { status, body } = await worker.post("/refresh", { json: { refresh_token: token, access_token } });
    assert.equal(status, 200, what);
    // The response has the same members as without the access token.
    assert.deepEqual(Object.keys(body), Object.keys((await worker.refresh(token)).body));
    token = body.refresh_token;
  }

  const other = await worker.register();
  const sibling = (await worker.login(user)).body;
  const [head, body, signature] = user.access_token.split(".");
  const refusals = {
    "another session's": sibling.access_token,
    "another user's": other.access_token,
    "of this session, but of another user": signToken(key, { ...claims, sub: other.user.id }),
    "of another session, but of this user": signToken(key, { ...claims, sid: other.session_id }),
    "signed by another key with the same kid": signToken({ ...makeKey(), kid: key.kid }, claims),
    "signed by an unknown key": signToken(makeKey(), claims),
    "with another signature": `${head}.${body}.${signature.slice(0, -4)}AAAA`,
    "without a signature": `${head}.${body}.`,
    "with the algorithm none": `${signingInput({ alg: "none", kid: key.kid, typ: "at+jwt" }, claims)}.`,
    "of another type": signToken(key, claims, { typ: "JWT" }),
    "without exp": signToken(key, { ...claims, exp: undefined }),
    "with an exp that is text": signToken(key, { ...claims, exp: "9999999999" }),
    "the refresh token": token,
    garbage: "garbage",
    "only dots": "..",
    empty: "",
  };
  const GENUINE = Object.keys(refusals).slice(0, 4);
  const row = await worker.sessionRow(session_id);
  for (const [what, access_token] of Object.entries(refusals)) {
    worker.events();
    assertProblem(
      await worker.post("/refresh", { json: { refresh_token: token, access_token } }),
      401,
      "invalid_refresh_token",
    );
    const events = worker.events();
    const [{ reason, session_id: refused }] = events.filter(({ event }) => event === "refresh_refused");
    assert.deepEqual([reason, refused], ["access_token", session_id], what);
    // A genuine one is compared in D1, which takes two round trips. Any other one does not reach D1.
    const { d1_round_trips } = events.find(({ event }) => event === "costs");
    assert.equal(d1_round_trips, GENUINE.includes(what) ? 2 : 0, what);
  }
  assert.deepEqual(await worker.sessionRow(session_id), row);

  for (const access_token of [1, {}, [], true]) {
    assertProblem(
      await worker.post("/refresh", { json: { refresh_token: token, access_token } }),
      400,
      "invalid_request",
    );
  }
  assert.equal((await worker.post("/refresh", { json: { refresh_token: token, access_token: null } })).status, 200);
  // With the right access token, reuse is detected as usual.
  assertProblem(
    await worker.post("/refresh", { json: { refresh_token: user.refresh_token, access_token: user.access_token } }),
    401,
    "invalid_refresh_token",
  );
  assert.equal((await worker.sessionRow(session_id)).revoked_reason, "reuse");
});

test("the token secret and the signing key can be rotated without logging users out", async () => {
  const { refresh_token, access_token } = await worker.register();
  const { SIGNING_KEYS, TOKEN_SECRET } = worker.secrets;
  const next = makeSecrets();
  const keys = (...sets) => JSON.stringify({ keys: sets.flatMap((set) => JSON.parse(set).keys) });

  await worker.update({
    secrets: {
      SIGNING_KEYS: keys(next.SIGNING_KEYS, SIGNING_KEYS),
      TOKEN_SECRET: `${next.TOKEN_SECRET},${TOKEN_SECRET}`,
    },
  });
  assert.equal((await worker.me(access_token)).status, 200);
  const { status, body } = await worker.refresh(refresh_token);
  assert.equal(status, 200);

  await worker.update({ secrets: next });
  assertProblem(await worker.me(access_token), 401, "invalid_token");
  assert.equal((await worker.me(body.access_token)).status, 200);
  assert.equal((await worker.refresh(body.refresh_token)).status, 200);
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
  await worker.update();
});

function without({ ...object }, member) {
  delete object[member];
  return object;
}
