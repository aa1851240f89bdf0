// PATCH and DELETE /me, POST /me/password: users change their own account, and only the members that they may change.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, PASSWORD, startWorker } from "../../support/harness.mjs";

const NEW = "four ponies sing quietly at noon";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const patch = (session, json) => worker.patch("/me", { bearer: session.access_token, json });
const change = (session, json, options) =>
  worker.post("/me/password", { bearer: session.access_token, json, ...options });
const remove = (session, options) => worker.delete("/me", { bearer: session.access_token, ...options });
const passwords = (new_password, current_password = PASSWORD) => ({ current_password, new_password });
const events = async ({ user }) =>
  (await worker.db.prepare("SELECT * FROM audit_events WHERE user_id = ? ORDER BY at, id").bind(user.id).all()).results;
const kinds = async (user) => (await events(user)).map(({ kind }) => kind);
const json = { "Content-Type": "application/json" };

/** Asserts that `act` neither changes the account nor records an event. */
async function unchanged(user, act) {
  const before = [await worker.account(user), await worker.sessionRow(user.session_id), await events(user)];
  await act();
  assert.deepEqual([await worker.account(user), await worker.sessionRow(user.session_id), await events(user)], before);
}

test("the display name and the username can be set, kept and removed, separately and together", async () => {
  const user = await worker.register();
  const shown = {
    id: user.user.id,
    email: user.email,
    email_verified: false,
    username: null,
    name: null,
    given_name: null,
    family_name: null,
    metadata: null,
    app_metadata: null,
    roles: ["user"],
    created_at: user.user.created_at,
  };
  for (const [sent, changes] of [
    [{ name: "Ada" }, { name: "Ada" }],
    [{ username: "Ada.L" }, { username: "Ada.L" }],
    [{ name: null }, { name: null }],
    [
      { username: "ada-2", name: "Ada L." },
      { username: "ada-2", name: "Ada L." },
    ],
    [
      { username: null, name: "Countess" },
      { username: null, name: "Countess" },
    ],
    [{ username: "ada_3" }, { username: "ada_3" }],
    [
      { username: null, name: null },
      { username: null, name: null },
    ],
  ]) {
    const { status, body } = await patch(user, sent);
    Object.assign(shown, changes);
    assert.deepEqual([status, body], [200, shown], JSON.stringify(sent));
    assert.deepEqual((await worker.me(user.access_token)).body, shown);
  }
  const unchanged = await events(user);
  assert.deepEqual(
    unchanged.map(({ kind, count }) => [kind, count]),
    [["profile_changed", 7]],
  );
  worker.events();
  for (const same of [{ name: null }, { username: null }, { name: null, username: null }])
    assert.equal((await patch(user, same)).status, 200);
  assert.deepEqual(await events(user), unchanged, "setting the current value is not a change");
  assert.deepEqual(worker.events("account_changed"), []);
});

test("a new username logs in at once, and the previous one no longer does", async () => {
  const user = await worker.register({ username: "before.it" });
  const login = (username) => worker.post("/login", { json: { username, password: PASSWORD } });
  await patch(user, { username: "After.It" });
  assert.equal((await login("after.IT")).status, 200);
  assertProblem(await login("before.it"), 401, "invalid_credentials");
  await patch(user, { username: null });
  assertProblem(await login("After.It"), 401, "invalid_credentials");
});

test("a display name is trimmed and normalised to NFC", async () => {
  const user = await worker.register();
  assert.equal((await patch(user, { name: "  Jose\u0301 \u1f600 " })).body.name, "Jos\u00e9 \u1f600");
});

test("read-only members, wrong types and empty changes are refused, and nothing changes", async () => {
  const user = await worker.register({ username: "unchanging", name: "Same" });
  await unchanged(user, async () => {
    for (const bad of [
      { roles: ["admin"] },
      { name: "x", roles: ["user", "admin"] },
      { name: "x", email: "other@example.org" },
      { email_key: "x" },
      { id: "AAAAAAAAAAAAAAAAAAAAAA", name: "x" },
      { password_hash: "x" },
      { password: NEW },
      { disabled: false },
      { disabled_at: null },
      { created_at: 1 },
      { Name: "x" },
      { name: 1 },
      { name: ["x"] },
      { name: {} },
      { name: true },
      { username: false, name: "x" },
      { username: 12345 },
      { username: ["abc"] },
      {},
      [],
      ["x", "y"],
      null,
      "x",
      1,
    ]) {
      assertProblem(await patch(user, bad), 400, "invalid_request");
    }
    for (const body of [
      "",
      "{",
      '{"name":"a","name":"b"}',
      '{"name":null,"name":"b"}',
      '{"name":"a"}x',
      '{"name":"a"}{"name":"b"}',
    ]) {
      assertProblem(
        await worker.patch("/me", { bearer: user.access_token, body, headers: json }),
        400,
        "invalid_request",
      );
    }
    assertProblem(
      await worker.patch("/me", { bearer: user.access_token, form: { name: "x" } }),
      415,
      "unsupported_media_type",
    );
  });
});

test("an invalid username or display name is 422, and a valid one sent with it is not stored either", async () => {
  const user = await worker.register({ username: "rule.abiding", name: "Same" });
  await unchanged(user, async () => {
    for (const username of [
      "ab",
      "a".repeat(33),
      "-abc",
      "abc.",
      "a b c",
      "a@b.c",
      "\u00e4da",
      "ad\u0430",
      "",
      " abc",
    ]) {
      assertProblem(await patch(user, { username, name: "Other" }), 422, "invalid_username");
    }
    for (const name of ["", "   ", "a\nb", "a\u202eb", "n".repeat(201), "\u0000"]) {
      assertProblem(await patch(user, { username: "another.one", name }), 422, "invalid_name");
    }
  });
});

test("a reserved username is 422 and changes nothing", async () => {
  const user = await worker.register({ username: "unreserved", name: "Same" });
  await unchanged(user, async () => {
    for (const username of ["admin", "Web-Master", "no.reply"]) {
      assertProblem(await patch(user, { username, name: "Other" }), 422, "username_reserved");
    }
  });
  await worker.disable(user);
  assertProblem(await patch(user, { username: "admin" }), 401, "invalid_token");
});

test("a user keeps an imported username that is reserved, and may change its case", async () => {
  const user = await worker.register({ name: "Same" });
  await worker.db
    .prepare("UPDATE users SET username = 'Support', username_key = 'support' WHERE id = ?")
    .bind(user.user.id)
    .run();
  assert.equal((await worker.post("/login", { json: { username: "SUPPORT", password: PASSWORD } })).status, 200);
  for (const changes of [{ name: "Other" }, { username: "Support", name: "Another" }, { username: "SUPPORT" }]) {
    const { status, body } = await patch(user, changes);
    assert.deepEqual([status, body], [200, { ...body, ...changes }]);
  }
  await unchanged(user, async () => {
    for (const username of ["sup.port", "admin"])
      assertProblem(await patch(user, { username }), 422, "username_reserved");
  });
  // Once removed, it cannot be set again.
  assert.equal((await patch(user, { username: null })).status, 200);
  assertProblem(await patch(user, { username: "support" }), 422, "username_reserved");
});

test("the username of another user is 409 in any case; users may change the case of their own", async () => {
  const user = await worker.register({ username: "mine" });
  await worker.register({ username: "Theirs" });
  await unchanged(user, async () => {
    for (const username of ["Theirs", "theirs", "THEIRS"])
      assertProblem(await patch(user, { username, name: "Other" }), 409, "username_taken");
  });
  for (const username of ["mine", "MINE"]) {
    const { status, body } = await patch(user, { username });
    assert.deepEqual([status, body.username], [200, username]);
  }
});

test("when several users request one username concurrently, one gets it", async () => {
  const users = [await worker.register(), await worker.register(), await worker.register()];
  for (let round = 0; round < 5; round += 1) {
    await worker.warmUp(users.length);
    const answers = await Promise.all(users.map((user) => patch(user, { username: `wanted-${round}` })));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409]);
  }
  const counts = (await Promise.all(users.map(events))).flat().map(({ count }) => count);
  assert.equal(
    counts.reduce((a, b) => a + b, 0),
    5,
  );
});

test("changing the username requires a recent authentication; changing the display name does not", async () => {
  const user = await worker.register({ username: "guarded" });
  const old = worker.authenticatedAgo(user, 301);
  await unchanged(user, async () => {
    for (const username of ["unguarded", "GUARDED", null])
      assertProblem(await patch(old, { username, name: "x" }), 401, "step_up_required");
    assertProblem(await patch(user, { username: "unguarded", current_password: PASSWORD }), 400, "invalid_request");
    assert.equal((await patch(old, { username: "guarded" })).status, 200);
  });
  assert.equal((await patch(old, { username: "guarded", name: "Named" })).body.name, "Named");
  assert.equal((await patch(worker.authenticatedAgo(user, 290), { username: "unguarded" })).status, 200);
});

test("a profile can be changed twenty times per hour", async () => {
  const user = await worker.register();
  for (let count = 0; count < 20; count += 1) assert.equal((await patch(user, { name: `Name ${count}` })).status, 200);
  await unchanged(user, async () => {
    const answer = await patch(user, { name: "One more" });
    assertProblem(answer, 429, "too_many_requests");
    assert.ok(Number(answer.headers.get("retry-after")) <= 3600);
    assert.equal((await patch(user, { name: "Name 19" })).status, 200, "setting the current value is not a change");
  });
  await worker.db
    .prepare("UPDATE audit_events SET at = at - 3600, last_at = last_at - 3600 WHERE user_id = ?")
    .bind(user.user.id)
    .run();
  assert.equal((await patch(user, { name: "One more" })).body.name, "One more");
});

test("a password change ends every session at once, including the caller's, and begins a new one", async () => {
  const user = await worker.register();
  const own = (await worker.login(user)).body;
  const other = (await worker.login(user)).body;
  const otherUser = await worker.register();
  worker.events();
  const { status, body: renewed } = await change(own, passwords(NEW));
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(renewed), Object.keys(own), "the token response");
  assert.deepEqual(renewed.user, own.user);
  const [{ request_id, ...event }] = worker.events("account_changed");
  assert.deepEqual(event, {
    level: "info",
    event: "account_changed",
    user_id: user.user.id,
    change: "password_changed",
    sessions_ended: 3,
  });
  for (const ended of [user, own, other]) {
    await worker.assertEnded(ended);
    assert.equal((await worker.sessionRow(ended.session_id)).revoked_reason, "password_changed");
  }
  for (const live of [renewed, otherUser]) await worker.assertLive(live);
  const { status: refreshed, body: successor } = await worker.refresh(renewed.refresh_token);
  assert.equal(refreshed, 200);
  assertProblem(await worker.login(user), 401, "invalid_credentials");
  assert.equal((await worker.login({ ...user, password: NEW })).status, 200);
  // The new password can be changed in turn, from the refreshed session.
  assertProblem(await change(successor, passwords(PASSWORD)), 403, "wrong_password");
  assert.equal((await change(successor, passwords(PASSWORD, NEW))).status, 200);
  await worker.assertEnded(successor);
});

test("the current password is accepted in NFD", async () => {
  const password = "f\u00fcnf gr\u00fcne P\u00e4ferde traben";
  const user = await worker.register({ password });
  assert.equal((await change(user, passwords(NEW, password.normalize("NFD")))).status, 200);
});

test("changing the password requires the current one, and each wrong one counts as a failed login", async () => {
  const user = await worker.register();
  const other = (await worker.login(user)).body;
  const before = await worker.account(user);
  for (const wrong of [`${PASSWORD} `, "", PASSWORD.toUpperCase()]) {
    assertProblem(await change(user, passwords(NEW, wrong)), 403, "wrong_password");
  }
  assertProblem(await change(user, passwords(NEW, "x".repeat(1025))), 403, "wrong_password");
  assert.deepEqual(await worker.account(user), before);
  const failed = (await events(user)).map(({ kind, ip }) => [kind, ip]);
  assert.deepEqual([...new Set(failed.map(String))], ["login_failed,192.0.2.1"]);
  assert.equal(
    (await events(user)).reduce((sum, { count }) => sum + count, 0),
    3,
  );
  await worker.assertLive(other);
});

test("only an account without a password adds one without the current one", async () => {
  const user = await worker.register();
  await unchanged(user, async () => {
    for (const body of [{ new_password: NEW }, passwords(NEW, null)])
      assertProblem(await change(user, body), 403, "wrong_password");
  });
  await worker.setColumn(user, "password_hash", null);
  assertProblem(await change(user, passwords(NEW)), 403, "wrong_password");
  const { status, body } = await change(user, { new_password: NEW });
  assert.equal(status, 200);
  await worker.assertEnded(user);
  await worker.assertLive(body);
  assert.equal((await worker.login({ ...user, password: NEW })).status, 200);
});

test("an invalid new password is refused before any hashing", async () => {
  const user = await worker.register({ username: "clementina", name: "Clementina Vanderbilt" });
  await unchanged(user, async () => {
    for (const [password, code] of [
      ["four ponies", "password_too_short"],
      ["", "password_too_short"],
      ["x".repeat(1025), "password_too_long"],
      ["passwordpassword", "password_too_common"],
      ["clementina vanderbilt", "password_too_common"],
      ["vanderbiltclementina", "password_too_common"],
      [`${user.email}1`, "password_too_common"],
    ]) {
      // A wrong current password would be a counted 403, but it is not verified yet.
      assertProblem(await change(user, passwords(password, "wrong")), 422, code);
    }
  });
});

test("a body with other members than the two passwords is refused", async () => {
  const user = await worker.register();
  await unchanged(user, async () => {
    for (const bad of [
      {},
      { current_password: PASSWORD },
      { ...passwords(NEW), user_id: user.user.id },
      { ...passwords(NEW), sessions: "keep" },
      passwords(null),
      passwords(123456789012345),
      passwords([NEW]),
      [PASSWORD, NEW],
      null,
    ]) {
      assertProblem(await change(user, bad), 400, "invalid_request");
    }
    assertProblem(await change(user, passwords("x".repeat(17_000))), 413, "body_too_large");
    assertProblem(
      await worker.post("/me/password", { bearer: user.access_token, form: passwords(NEW) }),
      415,
      "unsupported_media_type",
    );
  });
});

test("exactly one of several concurrent password changes succeeds, and its password logs in", async () => {
  const user = await worker.register();
  const wanted = [`${NEW} one`, `${NEW} two`, `${NEW} three`];
  await worker.warmUp(wanted.length);
  const answers = await Promise.all(wanted.map((password) => change(user, passwords(password))));
  assert.deepEqual(
    answers.map(({ status }) => status).sort(),
    [200, 401, 401],
    "the first change ends the session of the other requests",
  );
  const { access_token, session_id } = answers.find(({ status }) => status === 200).body;
  const { sessions } = (await worker.get("/sessions", { bearer: access_token })).body;
  assert.deepEqual(
    sessions.map(({ id }) => id),
    [session_id],
    "the refused changes begin no session",
  );
  for (const [index, password] of wanted.entries()) {
    assert.equal((await worker.login({ ...user, password })).status, answers[index].status === 200 ? 200 : 401);
  }
  assert.equal((await worker.account(user)).credentials_version, 1);
  assert.deepEqual(
    (await kinds(user)).filter((kind) => kind === "password_changed"),
    ["password_changed"],
  );
});

test("nothing is changed or deleted if the credentials change after they were read", async () => {
  const user = await worker.register();
  const { sql } = await worker.db.prepare("SELECT sql FROM sqlite_schema WHERE name = 'callers'").first();
  const view = (text) => worker.db.batch([worker.db.prepare("DROP VIEW callers"), worker.db.prepare(text)]);
  // The view's version is one ahead of the version read at verification, as after another change.
  await view(sql.replace("u.credentials_version", "u.credentials_version + 1 AS credentials_version"));
  try {
    await unchanged(user, async () => {
      assertProblem(await change(user, passwords(NEW)), 403, "wrong_password");
      assertProblem(await remove(user), 401, "invalid_token");
    });
  } finally {
    await view(sql);
  }
  assert.equal((await change(user, passwords(NEW))).status, 200);
});

test("without an active session nothing can be changed", async () => {
  const endings = {
    revoked: (user) => worker.revoke(user.refresh_token),
    expired: ({ session_id }) => worker.age(604800, session_id),
    disabled: (user) => worker.disable(user),
  };
  for (const [name, end] of Object.entries(endings)) {
    const user = await worker.register();
    await end(user);
    await unchanged(user, async () => {
      for (const answer of [await patch(user, { name: "x" }), await change(user, passwords(NEW)), await remove(user)])
        assertProblem(answer, 401, "invalid_token", name);
    });
  }
  for (const answer of [
    await worker.patch("/me", { json: { name: "x" } }),
    await worker.post("/me/password", { json: passwords(NEW) }),
    await worker.delete("/me"),
  ]) {
    assertProblem(answer, 401, "missing_token");
  }
});

test("deleting one's own account requires a recent authentication, and no password", async () => {
  const user = await worker.register();
  const old = worker.authenticatedAgo(user, 301);
  await unchanged(user, async () => assertProblem(await remove(old), 401, "step_up_required"));
  await worker.assertLive(user);
  assert.equal((await remove(user)).status, 204);
});

test("a deleted account is gone everywhere at once, and its e-mail address and username are free", async () => {
  const details = { email: "Gone.Person@example.org", username: "gone.person" };
  const user = await worker.register(details);
  const other = (await worker.login(user)).body;
  const ended = (await worker.login(user)).body;
  await worker.revoke(ended.refresh_token);
  const otherUser = await worker.register();
  worker.events();
  const answer = await remove(other);
  assert.deepEqual([answer.status, answer.text], [204, ""]);
  const [{ request_id, sessions_ended, ...event }] = worker.events("account_changed");
  assert.deepEqual(event, { level: "info", event: "account_changed", user_id: user.user.id, change: "deleted" });
  for (const session of [user, other]) {
    await worker.assertEnded(session);
    for (const path of ["/sessions", "/me/events"])
      assertProblem(await worker.get(path, { bearer: session.access_token }), 401, "invalid_token");
    assertProblem(await remove(session), 401, "invalid_token");
    assert.equal((await worker.revoke(session.refresh_token)).status, 200);
  }
  assertProblem(await worker.login(user), 401, "invalid_credentials");
  assertProblem(
    await worker.post("/login", { json: { username: details.username, password: PASSWORD } }),
    401,
    "invalid_credentials",
  );
  await worker.assertLive(otherUser);
  const again = await worker.register(details);
  assert.notEqual(again.user.id, user.user.id);
  await worker.assertEnded(user);
  const trail = (await worker.get("/me/events", { bearer: again.access_token })).body.events;
  assert.deepEqual(trail.map(({ kind }) => kind).sort(), ["logged_in", "registered"]);
});

test("no personal data of a deleted account is left in D1, only one event that records the deletion", async () => {
  const from = { headers: { "CF-Connecting-IP": "203.0.113.77", "User-Agent": "canary agent" } };
  const admin = await worker.registerAdmin();
  const { status, body: session } = await worker.post("/register", {
    json: { email: "Canary.P\u00e9rson@example.org", username: "Canary-User", name: "Canary Name", password: PASSWORD },
    ...from,
  });
  assert.equal(status, 201);
  const user = { ...session, email: session.user.email, password: PASSWORD };
  const reused = (await worker.login(user, from)).body;
  await worker.refresh(reused.refresh_token, from);
  await worker.age(60, reused.session_id);
  await worker.refresh(reused.refresh_token, from);
  await worker.login({ ...user, password: NEW }, from);
  await worker.patch("/me", { bearer: session.access_token, json: { name: "Canary Again" }, ...from });
  const renewed = (await change(session, passwords(`canary ${NEW}`), from)).body;
  await worker.patch(`/users/${user.user.id}`, { bearer: admin.access_token, json: { roles: ["user", "admin"] } });
  const canary = /canary|203\.0\.113\.77|p\u00e9rson/i;
  const tables = async (pattern) =>
    Object.entries(await worker.dump()).flatMap(([table, rows]) =>
      rows.filter((found) => pattern.test(JSON.stringify(found))).map(() => table),
    );
  assert.deepEqual([...new Set(await tables(canary))].sort(), ["audit_events", "refresh_tokens", "users"]);
  assert.equal((await remove(renewed, from)).status, 204);
  await worker.marksWritten();
  assert.deepEqual(await tables(canary), []);
  assert.deepEqual(await tables(new RegExp(user.user.id)), ["audit_events"]);
  for (const { session_id } of [session, reused, renewed]) assert.deepEqual(await tables(new RegExp(session_id)), []);
  const [{ at, last_at, id, ...left }] = await events(user);
  const nothing = {
    actor_id: null,
    session_id: null,
    ip: null,
    user_agent: null,
    other_ip: null,
    other_user_agent: null,
    detail: null,
  };
  assert.deepEqual(left, { user_id: user.user.id, kind: "deleted", count: 1, ...nothing });
  assert.ok(at === last_at && Math.abs(at - Date.now() / 1000) < 60);
  // A later refresh restores nothing.
  await worker.refresh(reused.refresh_token, from);
  assert.deepEqual(await tables(canary), []);
  await remove(admin);
});

test("the last admin cannot delete their account; an admin who is not the last can", async () => {
  await worker.db.prepare(`UPDATE users SET roles = '["user"]'`).run();
  const [first, second] = [await worker.registerAdmin(), await worker.registerAdmin()];
  await worker.disable(second);
  await unchanged(first, async () => assertProblem(await remove(first), 409, "last_admin"));
  await worker.assertLive(first);
  await worker.disable(second, false);
  assert.equal((await remove(first)).status, 204);
  assertProblem(await remove(second), 409, "last_admin");
});
