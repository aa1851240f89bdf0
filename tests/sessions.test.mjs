// GET and DELETE /sessions: people see and end their own sessions, and nobody else's.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, startWorker } from "./harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const from = (ip, agent) => ({ headers: { "CF-Connecting-IP": ip, "User-Agent": agent } });
const list = (session) => worker.get("/sessions", { bearer: session.access_token });
const end = (session, id) => worker.request("DELETE", `/sessions/${id}`, { bearer: session.access_token });
const endAll = (session, query = "") => worker.request("DELETE", `/sessions${query}`, { bearer: session.access_token });

/** A person with three sessions, the first of which is the one of the registration. */
async function threeSessions() {
  const person = await worker.register();
  const second = (await worker.login(person, from("198.51.100.2", "phone"))).body;
  const third = (await worker.login(person, from("198.51.100.3", "laptop"))).body;
  return { person, second, third };
}

async function assertEnded({ access_token, refresh_token }) {
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
  assertProblem(await worker.me(access_token), 401, "invalid_token");
  assertProblem(await worker.verify(access_token), 401, "invalid_token");
}

async function assertLive({ access_token }) {
  for (const check of ["me", "verify"]) assert.equal((await worker[check](access_token)).status, 200);
}

test("the list shows when and from where each session began and was last used, and never a token", async () => {
  const { person, second, third } = await threeSessions();
  await worker.age(1000, second.session_id);
  await worker.age(500, third.session_id);
  await worker.refresh(second.refresh_token, from("198.51.100.9", "phone at home"));
  const { status, headers, body, text } = await list(third);
  assert.deepEqual([status, headers.get("cache-control")], [200, "no-store"]);
  assert.deepEqual(Object.keys(body), ["sessions"]);
  const byId = new Map(body.sessions.map((session) => [session.id, session]));
  assert.deepEqual([...byId.keys()].sort(), [person, second, third].map(({ session_id }) => session_id).sort());
  assert.equal(body.sessions.at(-1).id, third.session_id, "the one used longest ago comes last");
  assert.deepEqual(body.sessions.filter(({ current }) => current).map(({ id }) => id), [third.session_id]);
  const row = await worker.family(second.session_id);
  assert.deepEqual(byId.get(second.session_id), {
    id: second.session_id,
    current: false,
    created_at: row.created_at,
    created_ip: "198.51.100.2",
    created_user_agent: "phone",
    last_used_at: row.rotated_at,
    last_used_ip: "198.51.100.9",
    last_used_user_agent: "phone at home",
    expires_at: row.expires_at,
    absolute_expires_at: row.absolute_expires_at,
  });
  assert.ok(row.rotated_at > row.created_at);
  assert.doesNotMatch(text, /pcrt_|secret|hash/);
});

test("sessions that have ended or expired, and those of others, are not in the list", async () => {
  const { person, second, third } = await threeSessions();
  await worker.register();
  await worker.revoke(second.refresh_token);
  await worker.age(604800, third.session_id);
  assert.deepEqual((await list(person)).body.sessions.map(({ id }) => id), [person.session_id]);
});

test("ending one session ends that one, at once and everywhere", async () => {
  const { person, second, third } = await threeSessions();
  worker.events();
  const answer = await end(person, second.session_id);
  assert.deepEqual([answer.status, answer.text], [204, ""]);
  const [{ request_id, ...event }] = worker.events("revoked");
  assert.deepEqual(event, { level: "info", event: "revoked", user_id: person.user.id, session_id: second.session_id, reason: "ended_by_user" });
  assert.deepEqual([(await worker.family(second.session_id)).revoked_reason, (await worker.family(second.session_id)).revoked_ip], ["ended_by_user", "192.0.2.1"]);
  await assertEnded(second);
  await assertLive(person);
  await assertLive(third);
});

test("a session may end itself", async () => {
  const { person, second } = await threeSessions();
  assert.equal((await end(second, second.session_id)).status, 204);
  await assertEnded(second);
  await assertLive(person);
});

test("another person's session, an unknown one, an ended one and no id are the same 404, and nothing ends", async () => {
  const { person, second } = await threeSessions();
  const stranger = await worker.register();
  await worker.revoke(second.refresh_token);
  const row = await worker.family(second.session_id);
  const answers = [];
  for (const id of [stranger.session_id, "AAAAAAAAAAAAAAAAAAAAAA", second.session_id, "x", "", "%27", `${person.session_id}=`, person.session_id.toLowerCase() + "x"]) {
    const answer = await end(person, id);
    assertProblem(answer, 404, "not_found");
    const { request_id, ...body } = answer.body;
    answers.push(JSON.stringify(body));
  }
  assert.equal(new Set(answers).size, 1);
  assert.deepEqual(await worker.family(second.session_id), row);
  await assertLive(stranger);
  await assertLive(person);
});

test("ending all ends all; with except=current, all but the caller's; any other query ends none", async () => {
  const { person, second, third } = await threeSessions();
  const stranger = await worker.register();
  for (const query of ["?except=Current", "?except=", "?except=current&x=1", "?all", "?except=current&except=current"]) {
    assertProblem(await endAll(person, query), 400, "invalid_request");
  }
  await assertLive(third);
  const kept = await endAll(second, "?except=current");
  assert.deepEqual([kept.status, kept.body], [200, { sessions_ended: 2 }]);
  await assertEnded(person);
  await assertEnded(third);
  await assertLive(second);
  assert.deepEqual((await endAll(second, "?except=current")).body, { sessions_ended: 0 });
  assert.deepEqual((await endAll(second)).body, { sessions_ended: 1 });
  await assertEnded(second);
  await assertLive(stranger);
});

test("a session that has ended, or whose account is shut out or gone, sees and ends nothing", async () => {
  const endings = {
    revoked: ({ second }) => worker.revoke(second.refresh_token),
    expired: ({ second }) => worker.age(604800, second.session_id),
    disabled: ({ person }) => worker.disable(person),
    deleted: ({ person }) => worker.db.prepare("DELETE FROM users WHERE id = ?").bind(person.user.id).run(),
  };
  for (const [name, ending] of Object.entries(endings)) {
    const sessions = await threeSessions();
    const { second, third } = sessions;
    await ending(sessions);
    const before = await worker.family(third.session_id);
    for (const answer of [await list(second), await end(second, third.session_id), await endAll(second), await endAll(second, "?except=current")]) {
      assertProblem(answer, 401, "invalid_token");
    }
    assert.deepEqual(await worker.family(third.session_id), before, name);
  }
});

test("without an access token there is nothing to see", async () => {
  for (const [method, path] of [["GET", "/sessions"], ["DELETE", "/sessions"], ["DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA"], ["DELETE", "/sessions/x"]]) {
    assertProblem(await worker.request(method, path), 401, "missing_token");
  }
});
