// GET and DELETE /sessions: users see and end their own sessions only.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, from, startWorker } from "../../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const list = (session) => worker.get("/sessions", { bearer: session.access_token });
const end = (session, id) => worker.request("DELETE", `/sessions/${id}`, { bearer: session.access_token });
const endAll = (session, query = "") => worker.request("DELETE", `/sessions${query}`, { bearer: session.access_token });

/** A user with three sessions, the first of which began at registration. */
async function threeSessions() {
  const user = await worker.register();
  const second = (await worker.login(user, from("198.51.100.2", "phone"))).body;
  const third = (await worker.login(user, from("198.51.100.3", "laptop"))).body;
  return { user, second, third };
}

test("the list shows when and from where each session began and was last used, and never a token", async () => {
  const { user, second, third } = await threeSessions();
  await worker.age(1000, second.session_id);
  await worker.age(500, third.session_id);
  await worker.refresh(second.refresh_token, from("198.51.100.9", "phone at home"));
  const { status, headers, body, text } = await list(third);
  assert.deepEqual([status, headers.get("cache-control")], [200, "no-store"]);
  assert.deepEqual([Object.keys(body), body.next_cursor], [["sessions", "next_cursor"], null]);
  const byId = new Map(body.sessions.map((session) => [session.id, session]));
  assert.deepEqual([...byId.keys()].sort(), [user, second, third].map(({ session_id }) => session_id).sort());
  assert.deepEqual(
    body.sessions.map(({ id }) => id),
    [user, third, second].map(({ session_id }) => session_id),
    "the latest session comes first",
  );
  assert.deepEqual(
    body.sessions.filter(({ current }) => current).map(({ id }) => id),
    [third.session_id],
  );
  const row = await worker.sessionRow(second.session_id);
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

test("the list contains no ended or expired sessions, and none of other users", async () => {
  const { user, second, third } = await threeSessions();
  await worker.register();
  await worker.revoke(second.refresh_token);
  await worker.age(604800, third.session_id);
  assert.deepEqual(
    (await list(user)).body.sessions.map(({ id }) => id),
    [user.session_id],
  );
});

test("the pages contain each session once, and sessions that end in the meantime do not shift the others", async () => {
  const user = await worker.register();
  const ids = [user.session_id];
  for (let count = 1; count < 7; count += 1) {
    const { session_id } = (await worker.login(user)).body;
    // Some sessions begin in the same second, some do not.
    if (count % 3 === 0) await worker.age(10);
    ids.push(session_id);
  }
  const page = (query) => worker.get(`/sessions${query}`, { bearer: user.access_token });
  const walked = [];
  let cursor = "";
  do {
    const { status, body } = await page(`?limit=2${cursor && `&cursor=${cursor}`}`);
    assert.equal(status, 200);
    assert.ok(body.sessions.length === 2 || body.next_cursor === null);
    walked.push(...body.sessions.map(({ id }) => id));
    if (walked.length === 4) await end(user, walked[0]);
    cursor = body.next_cursor;
  } while (cursor !== null);
  assert.deepEqual([...walked].sort(), [...ids].sort());
  for (const query of ["?limit=0", "?limit=101", "?limit=x", "?cursor=x", "?cursor=", "?limit=1&limit=1", "?user=x"]) {
    assertProblem(await page(query), 400, "invalid_request");
  }
});

test("an admin sees the sessions of any user, and other users do not", async () => {
  const { user, second, third } = await threeSessions();
  await worker.revoke(second.refresh_token);
  const admin = await worker.registerAdmin();
  const path = `/users/${user.user.id}/sessions`;
  const seen = await worker.get(path, { bearer: admin.access_token });
  assert.equal(seen.status, 200);
  assert.deepEqual(
    seen.body.sessions.map(({ id, current }) => [id, current]).sort(),
    [user, third].map(({ session_id }) => [session_id, false]).sort(),
  );
  const { current, ...own } = (await list(user)).body.sessions.find(({ id }) => id === third.session_id);
  const { current: theirs, ...shown } = seen.body.sessions.find(({ id }) => id === third.session_id);
  assert.deepEqual(shown, own);
  assert.equal((await worker.get(`${path}?limit=1`, { bearer: admin.access_token })).body.sessions.length, 1);
  assertProblem(await worker.get(path, { bearer: user.access_token }), 403, "forbidden");
  assertProblem(await worker.get(path), 401, "missing_token");
  assertProblem(
    await worker.get("/users/AAAAAAAAAAAAAAAAAAAAAA/sessions", { bearer: admin.access_token }),
    404,
    "not_found",
  );
  assertProblem(await worker.get(`${path}?limit=0`, { bearer: admin.access_token }), 400, "invalid_request");
  await worker.revoke(admin.refresh_token);
  assertProblem(await worker.get(path, { bearer: admin.access_token }), 401, "invalid_token");
});

test("a session that is ended is refused at once everywhere, and no other is", async () => {
  const { user, second, third } = await threeSessions();
  worker.events();
  const answer = await end(user, second.session_id);
  assert.deepEqual([answer.status, answer.text], [204, ""]);
  const [{ request_id, ...event }] = worker.events("revoked");
  assert.deepEqual(event, {
    level: "info",
    event: "revoked",
    user_id: user.user.id,
    session_id: second.session_id,
    reason: "ended_by_user",
  });
  assert.deepEqual(
    [
      (await worker.sessionRow(second.session_id)).revoked_reason,
      (await worker.sessionRow(second.session_id)).revoked_ip,
    ],
    ["ended_by_user", "192.0.2.1"],
  );
  await worker.assertEnded(second);
  await worker.assertLive(user);
  await worker.assertLive(third);
});

test("a session can end itself", async () => {
  const { user, second } = await threeSessions();
  assert.equal((await end(second, second.session_id)).status, 204);
  await worker.assertEnded(second);
  await worker.assertLive(user);
});

test("the session of another user, an unknown one, an ended one and an invalid id are the same 404, and nothing ends", async () => {
  const { user, second } = await threeSessions();
  const otherUser = await worker.register();
  await worker.revoke(second.refresh_token);
  const row = await worker.sessionRow(second.session_id);
  const answers = [];
  for (const id of [
    otherUser.session_id,
    "AAAAAAAAAAAAAAAAAAAAAA",
    second.session_id,
    "x",
    "",
    "%27",
    `${user.session_id}=`,
    `${user.session_id.toLowerCase()}x`,
  ]) {
    const answer = await end(user, id);
    assertProblem(answer, 404, "not_found");
    const { request_id, ...body } = answer.body;
    answers.push(JSON.stringify(body));
  }
  assert.equal(new Set(answers).size, 1);
  assert.deepEqual(await worker.sessionRow(second.session_id), row);
  await worker.assertLive(otherUser);
  await worker.assertLive(user);
});

test("DELETE /sessions ends all sessions; with except=current, all but the caller's; with any other query, none", async () => {
  const { user, second, third } = await threeSessions();
  const otherUser = await worker.register();
  for (const query of [
    "?except=Current",
    "?except=",
    "?except=current&x=1",
    "?all",
    "?except=current&except=current",
  ]) {
    assertProblem(await endAll(user, query), 400, "invalid_request");
  }
  await worker.assertLive(third);
  const kept = await endAll(second, "?except=current");
  assert.deepEqual([kept.status, kept.body], [200, { sessions_ended: 2 }]);
  await worker.assertEnded(user);
  await worker.assertEnded(third);
  await worker.assertLive(second);
  assert.deepEqual((await endAll(second, "?except=current")).body, { sessions_ended: 0 });
  assert.deepEqual((await endAll(second)).body, { sessions_ended: 1 });
  await worker.assertEnded(second);
  await worker.assertLive(otherUser);
});

test("a session that has ended, or whose account is disabled or deleted, sees and ends nothing", async () => {
  const endings = {
    revoked: ({ second }) => worker.revoke(second.refresh_token),
    expired: ({ second }) => worker.age(604800, second.session_id),
    disabled: ({ user }) => worker.disable(user),
    deleted: ({ user }) => worker.db.prepare("DELETE FROM users WHERE id = ?").bind(user.user.id).run(),
  };
  for (const [name, ending] of Object.entries(endings)) {
    const sessions = await threeSessions();
    const { second, third } = sessions;
    await ending(sessions);
    const before = await worker.sessionRow(third.session_id);
    for (const answer of [
      await list(second),
      await end(second, third.session_id),
      await endAll(second),
      await endAll(second, "?except=current"),
    ]) {
      assertProblem(answer, 401, "invalid_token");
    }
    assert.deepEqual(await worker.sessionRow(third.session_id), before, name);
  }
});

test("without an access token, no session is shown or ended", async () => {
  for (const [method, path] of [
    ["GET", "/sessions"],
    ["DELETE", "/sessions"],
    ["DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA"],
    ["DELETE", "/sessions/x"],
  ]) {
    assertProblem(await worker.request(method, path), 401, "missing_token");
  }
});
