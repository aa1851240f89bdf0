// MAX_SESSIONS_PER_USER: the maximum number of sessions of an account. A login above it ends one session and records
// that in the audit trail.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, startWorker } from "../support/harness.mjs";

const LIMIT = 4;

let worker;
before(async () => (worker = await startWorker({ vars: { MAX_SESSIONS_PER_USER: String(LIMIT) } })));
after(() => worker.close());

const from = { headers: { "CF-Connecting-IP": "198.51.100.40", "User-Agent": "the one too many" } };
const listed = async (session) =>
  (await worker.get("/sessions", { bearer: session.access_token })).body.sessions.map(({ id }) => id);

/** A user with the maximum number of sessions: the registration and logins, each ten seconds after the one before. */
async function full() {
  const user = await worker.register();
  const sessions = [user];
  while (sessions.length < LIMIT) {
    await Promise.all(sessions.map(({ session_id }) => worker.age(10, session_id)));
    sessions.push((await worker.login(user)).body);
  }
  await Promise.all(sessions.map(({ session_id }) => worker.age(10, session_id)));
  return { user, sessions };
}

async function login(user) {
  const answer = await worker.login(user, from);
  assert.equal(answer.status, 200);
  return answer.body;
}

test("up to the limit no session ends; above it, the oldest session that was never refreshed ends", async () => {
  const { user, sessions } = await full();
  for (const session of sessions) await worker.assertLive(session);
  const [first, second, third, fourth] = sessions;
  await worker.refresh(first.refresh_token);
  await worker.refresh(third.refresh_token);
  const fifth = await login(user);
  await worker.assertEnded(second);
  const row = await worker.sessionRow(second.session_id);
  assert.deepEqual(
    [row.revoked_reason, row.revoked_ip, row.revoked_user_agent],
    ["evicted", "198.51.100.40", "the one too many"],
  );
  const sixth = await login(user);
  await worker.assertEnded(fourth);
  assert.deepEqual(
    (await listed(sixth)).sort(),
    [first, third, fifth, sixth].map(({ session_id }) => session_id).sort(),
  );
  const { events } = (await worker.get("/me/events", { bearer: sixth.access_token })).body;
  const reasons = events.filter(({ kind }) => kind === "revoked").map(({ reason, session_id }) => [reason, session_id]);
  assert.deepEqual(reasons.sort(), [second, fourth].map(({ session_id }) => ["evicted", session_id]).sort());
});

test("if all were refreshed, the least recently used session ends", async () => {
  const { user, sessions } = await full();
  const order = [2, 0, 3, 1];
  for (const index of order) {
    await worker.refresh(sessions[index].refresh_token);
    await Promise.all(sessions.map(({ session_id }) => worker.age(10, session_id)));
  }
  const newest = await login(user);
  await worker.refresh(newest.refresh_token);
  await worker.assertEnded(sessions[2]);
  await login(user);
  await worker.assertEnded(sessions[0]);
  for (const index of [1, 3]) await worker.assertLive(sessions[index]);
});

test("an expired session ends before any live one, and is recorded as expired", async () => {
  const { user, sessions } = await full();
  await worker.refresh(sessions[3].refresh_token);
  await worker.age(604_800, sessions[3].session_id);
  const { expires_at } = await worker.sessionRow(sessions[3].session_id);
  await login(user);
  const row = await worker.sessionRow(sessions[3].session_id);
  assert.deepEqual([row.revoked_reason, row.revoked_at, row.revoked_ip], ["expired", expires_at, null]);
  for (const session of sessions.slice(0, 3)) await worker.assertLive(session);
});

test("sessions end in this order: expired, never refreshed from the oldest on, least recently used", async () => {
  const { user, sessions } = await full();
  const [used, expired, older, newer] = sessions;
  await worker.refresh(used.refresh_token);
  // Its last use is before the logins of the sessions that were never refreshed.
  await worker.age(100, used.session_id);
  await worker.refresh(expired.refresh_token);
  await Promise.all(sessions.map(({ session_id }) => worker.age(10, session_id)));
  await worker.age(604_800, expired.session_id);
  for (const next of [expired, older, newer, used]) {
    assert.equal((await worker.sessionRow(next.session_id)).revoked_at, null);
    const added = await login(user);
    assert.notEqual((await worker.sessionRow(next.session_id)).revoked_at, null);
    await worker.refresh(added.refresh_token);
  }
});

test("an evicted session is marked in KV before the login is answered", async () => {
  const { user, sessions } = await full();
  const [first, ...others] = sessions;
  const plan = worker.plan({});
  await worker.login(user, { headers: plan.headers });
  const calls = await plan.untilEnded();
  assert.deepEqual(
    calls.filter(({ kind }) => kind === "put").map(({ key, afterResponse }) => [key, afterResponse]),
    [[`revoked:${first.session_id}`, false]],
  );
  assert.ok(await worker.isMarked(first));
  for (const session of others) assert.equal(await worker.isMarked(session), false);
});

test("an ended session does not count, and a failed login ends no session", async () => {
  const { user, sessions } = await full();
  await worker.revoke(sessions[1].refresh_token);
  await login(user);
  for (const index of [0, 2, 3]) await worker.assertLive(sessions[index]);
  assertProblem(await worker.login({ ...user, password: "something else altogether" }), 401, "invalid_credentials");
  for (const index of [0, 2, 3]) await worker.assertLive(sessions[index]);
});

test("a login that is refused because the account changed meanwhile ends no session", async () => {
  const { user, sessions } = await full();
  await worker.update({ vars: { MAX_SESSIONS_PER_USER: "2" } });
  try {
    // Held after verification, at the call that begins the session.
    const plan = worker.plan({ at: 2, does: "hold" });
    const late = worker.login(user, { headers: plan.headers });
    assert.equal(await plan.untilHeld(), true);
    await worker.setColumn(user, "credentials_version", 1);
    plan.release();
    assertProblem(await late, 401, "invalid_credentials");
    for (const session of sessions) await worker.assertLive(session);
  } finally {
    await worker.update();
  }
});

/** A login from an IP address. Resolves once the work after its response has ended. */
async function loginFrom(user, ip, plan = {}) {
  const planned = worker.plan(plan);
  const answer = await worker.login(user, {
    headers: { ...planned.headers, "CF-Connecting-IP": ip, "User-Agent": ip },
  });
  assert.equal(answer.status, 200, answer.text);
  await planned.untilEnded();
  return answer.body;
}
const evictions = async ({ access_token }) =>
  (await worker.get("/me/events", { bearer: access_token })).body.events.filter(
    ({ kind }) => kind === "sessions_evicted",
  );

let ahead = 0;
/** Advances the Worker's clock to the start of the next hour, so that the following logins are within one hour. */
async function nextHour() {
  const seconds = 3600 - ((Math.floor(Date.now() / 1000) + ahead) % 3600);
  ahead += seconds;
  await worker.advance(seconds);
}

test("the audit trail counts evicted sessions by the hour, and the tenth is logged once", async () => {
  const { user } = await full();
  await nextHour();
  worker.events();
  const logins = [];
  for (let number = 1; number <= 12; number += 1) logins.push(await loginFrom(user, `198.51.100.${number}`));
  const last = logins.at(-1);
  const [{ at, last_at, ...entry }, ...more] = await evictions(last);
  assert.equal(more.length, 0);
  assert.ok(at % 3600 === 0 && last_at >= at && last_at - at < 3600);
  assert.deepEqual(entry, {
    kind: "sessions_evicted",
    count: 12,
    session_id: last.session_id,
    ip: "198.51.100.12",
    user_agent: "198.51.100.12",
    other_ip: "198.51.100.1",
    other_user_agent: "198.51.100.1",
  });
  const often = () =>
    worker
      .events("sessions_evicted_often")
      .map(({ level, user_id, session_id, count }) => [level, user_id, session_id, count]);
  assert.deepEqual(often(), [["warn", user.user.id, logins[9].session_id, 10]]);
  await nextHour();
  const later = await loginFrom(user, "198.51.100.13");
  assert.deepEqual(
    (await evictions(later)).map(({ count }) => count),
    [1, 12],
  );
  assert.deepEqual(often(), []);
});

test("several sessions that one login evicts are counted together", async () => {
  const { user } = await full();
  await worker.update({ vars: { MAX_SESSIONS_PER_USER: "1" } });
  try {
    assert.deepEqual(
      (await evictions(await loginFrom(user, "198.51.100.1"))).map(({ count }) => count),
      [4],
    );
  } finally {
    await worker.update();
  }
});

test("a login within the limit, or one that only ends an expired session, counts no evicted session", async () => {
  const { user, sessions } = await full();
  assert.deepEqual(await evictions(user), []);
  await worker.age(604_800, sessions[1].session_id);
  assert.deepEqual(await evictions(await loginFrom(user, "198.51.100.1")), []);
});

test("if evicted sessions cannot be counted, the login succeeds, and the failure is logged", async () => {
  const { user, sessions } = await full();
  worker.events();
  // The calls of D1: the account, the session; after the response: the owed mark, the count.
  const begun = await loginFrom(user, "198.51.100.1", { at: 4, only: "batch", does: "fail" });
  assert.deepEqual(
    worker.events("storage_fault").map(({ cause }) => cause.split(":")[0]),
    ["count_evicted_sessions"],
  );
  assert.deepEqual(await evictions(begun), []);
  await worker.assertEnded(sessions[0]);
});

test("a lowered limit applies at the next login, and to concurrent logins", async () => {
  const { user } = await full();
  await worker.update({ vars: { MAX_SESSIONS_PER_USER: "2" } });
  const begun = await Promise.all([login(user), login(user), login(user)]);
  const last = await login(user);
  const alive = await listed(last);
  assert.deepEqual([alive.length, alive.includes(last.session_id)], [2, true]);
  assert.ok(begun.some(({ session_id }) => alive.includes(session_id)));
  await worker.update();
});

test("a thief's session stays in the list, however many others begin and end", async () => {
  const user = await worker.register();
  const thief = (await worker.login(user)).body;
  await worker.refresh(thief.refresh_token);
  const numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1500)";
  const columns =
    "session_id, user_id, secret_hash, amr, authenticated_at, generation, grace_retries, created_at, rotated_at, expires_at, absolute_expires_at, access_expires_at, revoked_at, revoked_reason";
  await worker.db
    .prepare(
      `INSERT INTO refresh_tokens (${columns}) ${numbers} SELECT printf('%06d', n) || substr(?1, 7), ?1, '', 'pwd', 0, 0, 0, unixepoch() + n, 0, unixepoch() + 600, 0, 0, unixepoch() + n, 'logout' FROM numbers`,
    )
    .bind(user.user.id)
    .run();
  assert.ok((await listed(user)).includes(thief.session_id));
});
