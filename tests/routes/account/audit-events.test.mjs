// GET /me/events and GET /users/{id}/events: the audit trail of an account, for its user and admins only.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, from, PASSWORD, startWorker } from "../../support/harness.mjs";

const NEW = "four ponies sing quietly at noon";
const AUDIT_TTL = 7_776_000;

let worker, admin;
/** By how much the clock of the Worker is ahead, in seconds. */
let ahead = 0;
before(async () => {
  worker = await startWorker();
  // Failed logins are counted per hour, and a new hour during the tests would begin another row.
  const left = 3600 - (now() % 3600);
  if (left < 120) {
    ahead = Math.ceil(left);
    await worker.advance(ahead);
  }
  admin = await worker.registerAdmin();
});
after(() => worker.close());

/** The time of the Worker, in seconds. */
const now = () => Date.now() / 1000 + ahead;
const by = (ip, user_agent) => ({ ip, user_agent });
const US = by("192.0.2.1", "tests");
const asAdmin = (method, path, json) => worker.request(method, path, { bearer: admin.access_token, json });
const own = (session, query = "") => worker.get(`/me/events${query}`, { bearer: session.access_token });
const wrong = (user) => ({ ...user, password: "something else altogether" });
const stored = async () =>
  (await worker.db.prepare("SELECT * FROM audit_events ORDER BY user_id, at, id").all()).results;

async function login(user, options) {
  const { status, body } = await worker.login(user, options);
  assert.equal(status, 200);
  return body;
}

/** The trail as shown to the user and to an admin. */
async function trails(session) {
  const { status, body } = await own(session);
  assert.deepEqual([status, body.next_cursor], [200, null]);
  return [body.events, (await asAdmin("GET", `/users/${session.user.id}/events`)).body.events];
}

/** Entries without times, sorted, because events of the same second may be in any order. */
const sorted = (entries) =>
  entries
    .map(({ at, last_at, ...rest }) => rest)
    .map((entry) => JSON.stringify(entry, Object.keys(entry).sort()))
    .sort();
const assertEntries = (entries, expected) => assert.deepEqual(sorted(entries), sorted(expected));

/** The entries of all pages in order. */
async function walk(session, limit) {
  const entries = [];
  let cursor = null;
  do {
    assert.ok(entries.length < 100, "the pages do not end");
    const { body } = await own(session, `?limit=${limit}${cursor === null ? "" : `&cursor=${cursor}`}`);
    assert.ok(body.events.length === limit || body.next_cursor === null);
    entries.push(...body.events);
    cursor = body.next_cursor;
  } while (cursor !== null);
  return entries;
}

/** Replays a rotated-out token after the grace window. */
async function reuse(session, refreshes, replay) {
  let tokens = session;
  for (let count = 0; count < refreshes; count += 1)
    tokens = (await worker.refresh(tokens.refresh_token, from("198.51.100.20", "owner"))).body;
  await worker.age(60, session.session_id);
  assertProblem(await worker.refresh(session.refresh_token, replay), 401, "invalid_refresh_token");
}

test("the trail has every event with exactly its members, and only admins see which admin acted", async () => {
  const user = await worker.register({ username: "traced" });
  const sessions = [user];
  for (const [ip, agent] of [
    ["198.51.100.1", "one"],
    ["198.51.100.2", "two"],
    ["198.51.100.3", "three"],
    ["198.51.100.4", "four"],
  ]) {
    sessions.push(await login(user, from(ip, agent)));
  }
  const [, one, two, three, four] = sessions;
  const expected = [
    { kind: "registered", ...US },
    ...sessions.map(({ session_id }, index) => ({
      kind: "logged_in",
      session_id,
      ...(index === 0 ? US : by(`198.51.100.${index}`, ["", "one", "two", "three", "four"][index])),
    })),
  ];
  assertEntries((await trails(user))[0], expected);

  await worker.login(wrong(user), from("198.51.100.5", "guess"));
  await worker.post("/login", {
    json: { username: "traced", password: "wrong" },
    ...from("198.51.100.6", "guess again"),
  });
  const first = { other_ip: "198.51.100.5", other_user_agent: "guess" };
  expected.push({ kind: "login_failed", count: 2, ...by("198.51.100.6", "guess again"), ...first });
  await worker.patch("/me", {
    bearer: user.access_token,
    json: { name: "Traced" },
    ...from("198.51.100.7", "editor"),
  });
  expected.push({ kind: "profile_changed", count: 1, session_id: user.session_id, ...by("198.51.100.7", "editor") });
  await reuse(one, 1, from("203.0.113.1", "thief"));
  await reuse(two, 2, from("203.0.113.2", "other thief"));
  for (const [{ session_id }, detail, thief] of [
    [one, "predecessor", by("203.0.113.1", "thief")],
    [two, "older", by("203.0.113.2", "other thief")],
  ]) {
    expected.push({
      kind: "reuse_detected",
      session_id,
      ...thief,
      other_ip: "198.51.100.20",
      other_user_agent: "owner",
      reuse: detail,
    });
    expected.push({ kind: "revoked", session_id, ...thief, reason: "reuse" });
  }
  await worker.delete(`/sessions/${three.session_id}`, { bearer: user.access_token });
  expected.push({ kind: "revoked", session_id: three.session_id, ...US, reason: "ended_by_user" });
  await worker.revoke(four.refresh_token, from("198.51.100.8", "leaving"));
  expected.push({ kind: "revoked", session_id: four.session_id, ...by("198.51.100.8", "leaving"), reason: "logout" });

  const five = await login(user);
  const careful = by("198.51.100.9", "careful");
  const renewed = (
    await worker.post("/me/password", {
      bearer: five.access_token,
      json: { current_password: PASSWORD, new_password: NEW },
      ...from("198.51.100.9", "careful"),
    })
  ).body;
  expected.push(
    { kind: "logged_in", session_id: five.session_id, ...US },
    { kind: "password_changed", session_id: five.session_id, ...careful },
  );
  for (const { session_id } of [user, five])
    expected.push({ kind: "revoked", session_id, ...careful, reason: "password_changed" });
  expected.push({ kind: "logged_in", session_id: renewed.session_id, ...careful });
  user.password = NEW;
  await worker.delete("/sessions", { bearer: renewed.access_token, ...from("198.51.100.10", "everywhere") });
  expected.push({
    kind: "revoked",
    session_id: renewed.session_id,
    ...by("198.51.100.10", "everywhere"),
    reason: "logout_all",
  });

  const six = await login(user);
  await asAdmin("DELETE", `/users/${user.user.id}/sessions`);
  const seven = await login(user);
  await asAdmin("PATCH", `/users/${user.user.id}`, { roles: ["admin", "user"], disabled: true });
  await worker.login(user, from("198.51.100.11", "after disabling"));
  expected.splice(
    expected.findIndex(({ kind }) => kind === "login_failed"),
    1,
    { kind: "login_failed", count: 3, ...by("198.51.100.11", "after disabling"), ...first },
  );
  await asAdmin("PATCH", `/users/${user.user.id}`, { roles: ["user"], disabled: false });
  const eight = await login(user);
  for (const { session_id } of [six, seven, eight]) expected.push({ kind: "logged_in", session_id, ...US });
  expected.push(
    { kind: "revoked", session_id: six.session_id, reason: "ended_by_admin" },
    { kind: "revoked", session_id: seven.session_id, reason: "disabled" },
  );
  const done = [
    { kind: "sessions_ended" },
    { kind: "disabled" },
    { kind: "enabled" },
    { kind: "roles_changed", roles: ["user", "admin"] },
    { kind: "roles_changed", roles: ["user"] },
  ];

  const [seen, shown] = await trails(eight);
  assertEntries(seen, [...expected, ...done.map((entry) => ({ ...entry, by: "admin" }))]);
  assertEntries(shown, [
    ...expected,
    ...done.map((entry) => ({ ...entry, by: "admin", admin_id: admin.user.id, session_id: admin.session_id })),
  ]);
  assert.ok(!JSON.stringify(seen).includes(admin.user.id) && !JSON.stringify(seen).includes(admin.session_id));
  const read = now();
  for (const { kind, at, last_at } of seen) {
    const counted = ["login_failed", "profile_changed"].includes(kind);
    const times = `${kind}: at ${at}, last at ${last_at}, read ${read}`;
    if (counted) assert.ok(at % 3600 === 0 && read - at < 3750 && read - last_at < 150, times);
    else assert.ok(read - at < 150 && at <= read, times);
    assert.equal(last_at === undefined, !counted);
  }
  assert.deepEqual(
    seen.map(({ at }) => at),
    seen.map(({ at }) => at).sort((a, b) => b - a),
    "the latest event first",
  );
});

test("failed logins are one row per hour, with their count and the origin of the last one", async () => {
  const user = await worker.register();
  for (const [ip, agent] of [
    ["203.0.113.1", "a"],
    ["203.0.113.2", "b"],
    ["203.0.113.3", "c"],
  ])
    await worker.login(wrong(user), from(ip, agent));
  await worker.db
    .prepare("UPDATE audit_events SET at = at - 3600, last_at = last_at - 3600 WHERE user_id = ?")
    .bind(user.user.id)
    .run();
  await worker.forgetFailures();
  await Promise.all(Array.from({ length: 3 }, () => worker.login(wrong(user))));
  for (let count = 0; count < 2; count += 1) await worker.login(wrong(user));
  const [seen] = await trails(user);
  const failed = seen.filter(({ kind }) => kind === "login_failed");
  assert.deepEqual(
    failed.map(({ count, ip, user_agent }) => [count, ip, user_agent]),
    [
      [5, "192.0.2.1", "tests"],
      [3, "203.0.113.3", "c"],
    ],
  );
  assert.equal(failed[0].at - failed[1].at, 3600);
  // A password that is too long is not an attempt, and is not counted.
  await worker.login({ ...user, password: "x".repeat(1025) });
  await worker.forgetFailures();
  await login(user);
  assert.deepEqual(
    (await trails(user))[0].filter(({ kind }) => kind === "login_failed"),
    failed,
  );
});

test("a failed login that is counted after the deletion of the account stores no IP address", async () => {
  const user = await worker.register();
  const plan = worker.plan({ at: 2, does: "hold" });
  const answer = worker.login(wrong(user), { headers: plan.headers });
  await plan.untilHeld();
  await asAdmin("DELETE", `/users/${user.user.id}`);
  const before = await stored();
  plan.release();
  assertProblem(await answer, 401, "invalid_credentials");
  assert.deepEqual(await stored(), before);
});

test("a failed login to an unknown account costs the same as one to a known account, and is not shown to anyone", async () => {
  const user = await worker.register({ username: "counted.too" });
  const unknownUser = { email: "nobody.at.all@example.org", password: "wrong" };
  const costOf = async (json) => {
    worker.events();
    assertProblem(await worker.post("/login", { json }), 401, "invalid_credentials");
    const [{ d1_round_trips, d1_rows_written, kv_gets, kv_puts }] = worker.events("costs");
    return { d1_round_trips, d1_rows_written, kv_gets, kv_puts };
  };
  const first = { d1_round_trips: 2, d1_rows_written: 3, kv_gets: 0, kv_puts: 0 };
  for (const known of [
    { email: user.email, password: "wrong" },
    { username: "counted.too", password: "wrong" },
  ]) {
    await worker.db.prepare("DELETE FROM audit_events WHERE kind = 'login_failed'").run();
    const unknown = known.email ? unknownUser : { username: "nobody.at.all", password: "wrong" };
    for (const expected of [first, { ...first, d1_rows_written: 2 }, { ...first, d1_rows_written: 2 }]) {
      assert.deepEqual(await costOf(known), expected);
      assert.deepEqual(await costOf(unknown), expected);
    }
  }
  const counted = (await stored()).filter(({ kind, user_id }) => kind === "login_failed" && user_id !== user.user.id);
  assert.deepEqual(
    counted.map(({ user_id, count }) => [user_id, count]),
    [["", 3]],
  );
  for (const id of ["", "AAAAAAAAAAAAAAAAAAAAAA", "%20"])
    assertProblem(await asAdmin("GET", `/users/${id}/events`), 404, "not_found");
});

test("pages of any size give the whole trail once and in the same order, even if all events are of one second", async () => {
  const user = await worker.register();
  const sessions = [];
  for (let count = 0; count < 6; count += 1) sessions.push(await login(user));
  for (const session of sessions.slice(0, 4)) await worker.revoke(session.refresh_token);
  for (const name of ["a", "b", "c"])
    await worker.patch("/me", { bearer: user.access_token, json: { name }, ...from("192.0.2.1", name) });
  await worker.login(wrong(user));
  for (const moment of [null, Math.floor(now()) - 10]) {
    if (moment !== null) {
      await worker.db.batch([
        worker.db.prepare("UPDATE users SET created_at = ?1 WHERE id = ?2").bind(moment, user.user.id),
        worker.db.prepare("UPDATE audit_events SET at = ?1 WHERE user_id = ?2").bind(moment, user.user.id),
        worker.db
          .prepare(
            "UPDATE refresh_tokens SET created_at = ?1, revoked_at = CASE WHEN revoked_at IS NULL THEN NULL ELSE ?1 END WHERE user_id = ?2",
          )
          .bind(moment, user.user.id),
      ]);
    }
    const all = (await own(user)).body.events;
    assert.equal(all.length, 1 + 7 + 4 + 1 + 1);
    assert.equal(new Set(all.map((entry) => JSON.stringify(entry))).size, all.length);
    for (let limit = 1; limit <= all.length + 1; limit += 1)
      assert.deepEqual(await walk(user, limit), all, `limit=${limit}`);
  }
});

test("events of the same second are in the order of their occurrence", async () => {
  const user = await worker.register();
  const account = `/users/${user.user.id}`;
  const order = [];
  for (const disabled of [true, false, true, false, true]) {
    await asAdmin("PATCH", account, { disabled });
    order.unshift(disabled ? "disabled" : "enabled");
  }
  const moment = Math.floor(now()) - 10;
  await worker.db.batch([
    worker.db.prepare("UPDATE users SET created_at = ?1 WHERE id = ?2").bind(moment, user.user.id),
    worker.db
      .prepare("UPDATE refresh_tokens SET created_at = ?1, revoked_at = ?1 WHERE user_id = ?2")
      .bind(moment, user.user.id),
  ]);
  const seen = (await asAdmin("GET", `${account}/events`)).body.events;
  assert.deepEqual(
    seen.filter(({ kind }) => kind.endsWith("abled")).map(({ kind }) => kind),
    order,
  );
  assert.deepEqual(
    seen.filter(({ at }) => at === moment).map(({ kind }) => kind),
    ["revoked", "logged_in", "registered"],
  );
});

test("profile changes within one hour are one row", async () => {
  const user = await worker.register();
  for (const name of ["a", "b", "b", "a"]) await worker.patch("/me", { bearer: user.access_token, json: { name } });
  const changes = (await own(user)).body.events.filter(({ kind }) => kind === "profile_changed");
  assert.deepEqual(
    changes.map(({ count }) => count),
    [3],
  );
});

test("events between two pages cause neither repeated nor missing entries", async () => {
  const user = await worker.register();
  for (let count = 0; count < 4; count += 1) await login(user);
  await worker.age(100);
  await worker.db.prepare("UPDATE users SET created_at = created_at - 200 WHERE id = ?").bind(user.user.id).run();
  const all = (await own(user)).body.events;
  const { body } = await own(user, "?limit=3");
  await login(user);
  const rest = (await own(user, `?limit=100&cursor=${body.next_cursor}`)).body.events;
  assert.deepEqual([...body.events, ...rest], all);
});

test("a trail shows nothing older than the retention period except the registration", async () => {
  const user = await worker.register();
  const other = await login(user);
  await worker.revoke(other.refresh_token);
  const today = Math.floor(now());
  const insert = worker.db.prepare(
    "INSERT INTO audit_events (user_id, at, id, kind, count, last_at) VALUES (?1, ?2, ?3, 'profile_changed', 1, ?2)",
  );
  await worker.db.batch([
    insert.bind(user.user.id, today - AUDIT_TTL - 1, "older"),
    insert.bind(user.user.id, today - AUDIT_TTL + 60, "younger"),
    worker.db.prepare("UPDATE users SET created_at = 1000 WHERE id = ?").bind(user.user.id),
    // This session began before the retention period and ended within it.
    worker.db
      .prepare("UPDATE refresh_tokens SET created_at = ? WHERE session_id = ?")
      .bind(today - AUDIT_TTL - 1, other.session_id),
  ]);
  const [seen, shown] = await trails(user);
  assert.deepEqual(seen.map(({ kind }) => kind).sort(), ["logged_in", "profile_changed", "registered", "revoked"]);
  assert.equal(seen.at(-2).at, today - AUDIT_TTL + 60);
  assert.equal(seen.at(-1).at, 1000);
  assert.deepEqual(seen, shown);
  await worker.update({ vars: { AUDIT_TTL_SECONDS: "86400" } });
  assert.deepEqual((await trails(user))[0].map(({ kind }) => kind).sort(), ["logged_in", "registered", "revoked"]);
  await worker.update();
});

test("refreshes, retries and reads record nothing", async () => {
  const user = await worker.register();
  const before = [await stored(), (await own(user)).body.events];
  const { body } = await worker.refresh(user.refresh_token);
  await worker.refresh(user.refresh_token);
  await worker.refresh(body.refresh_token);
  await worker.refresh(`${body.refresh_token}x`);
  for (const path of ["/me", "/verify", "/sessions", "/me/events"])
    await worker.get(path, { bearer: body.access_token });
  assert.deepEqual([await stored(), (await own(user)).body.events], before);
});

test("ten concurrent replays of a rotated-out token are one reuse and one revocation", async () => {
  const user = await worker.register();
  for (let round = 1; round <= 6; round += 1) {
    const other = await login(user);
    await worker.refresh(other.refresh_token);
    await worker.age(60, other.session_id);
    await worker.warmUp(10);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        worker.refresh(other.refresh_token, from(`203.0.113.${index}`, "thief")),
      ),
    );
    for (const answer of answers) assertProblem(answer, 401, "invalid_refresh_token");
    await worker.refresh(other.refresh_token);
    const seen = (await trails(user))[0].filter(({ session_id }) => session_id === other.session_id);
    const [reused, ...more] = seen.filter(({ kind }) => kind === "reuse_detected");
    const endings = seen.filter(({ kind }) => kind === "revoked");
    assert.deepEqual([more.length, endings.map(({ reason, ip }) => [reason, ip])], [0, [["reuse", reused.ip]]]);
  }
});

test("a failed change is not recorded, and a change that cannot be recorded fails", async () => {
  const user = await worker.register();
  await worker.register({ username: "taken.already" });
  const state = async () => [
    await stored(),
    await worker.db.prepare("SELECT * FROM users WHERE id = ?").bind(user.user.id).first(),
    await worker.sessionRow(user.session_id),
  ];
  const before = await state();
  assertProblem(
    await worker.patch("/me", {
      bearer: user.access_token,
      json: { username: "Taken.Already", name: "x" },
    }),
    409,
    "username_taken",
  );
  const target = `/users/${user.user.id}`;
  const changes = [
    () => worker.patch("/me", { bearer: user.access_token, json: { name: "x" } }),
    () =>
      worker.post("/me/password", {
        bearer: user.access_token,
        json: { current_password: PASSWORD, new_password: NEW },
      }),
    () => asAdmin("PATCH", target, { roles: ["admin"], disabled: true }),
  ];
  const deletions = [() => worker.delete("/me", { bearer: user.access_token }), () => asAdmin("DELETE", target)];
  const ending = () => asAdmin("DELETE", `${target}/sessions`);
  for (const [trigger, failing] of [
    ["UPDATE ON users", changes],
    ["DELETE ON users", deletions],
    ["INSERT ON audit_events", [...changes, ...deletions, ending]],
    ["UPDATE ON refresh_tokens", [ending]],
  ]) {
    await worker.db.prepare(`CREATE TRIGGER full BEFORE ${trigger} BEGIN SELECT RAISE(ABORT, 'disk full'); END`).run();
    for (const act of failing) assertProblem(await act(), 503, "storage_unavailable");
    await worker.db.prepare("DROP TRIGGER full").run();
    assert.deepEqual(await state(), before);
  }
  await worker.assertLive(user);
});

test("admins see that an account was deleted and by whom, and others see nothing", async () => {
  const [themselves, removed] = [await worker.register(), await worker.register()];
  await worker.delete("/me", { bearer: themselves.access_token });
  await asAdmin("DELETE", `/users/${removed.user.id}`);
  const left = async ({ user }) => (await asAdmin("GET", `/users/${user.id}/events`)).body;
  for (const [user, extra] of [
    [themselves, {}],
    [removed, { by: "admin", admin_id: admin.user.id, session_id: admin.session_id }],
  ]) {
    const { events, next_cursor } = await left(user);
    assertEntries(events, [{ kind: "deleted", ...extra }]);
    assert.equal(next_cursor, null);
    assertProblem(await own(user), 401, "invalid_token");
  }
  await worker.db
    .prepare("UPDATE audit_events SET at = at - ?1, last_at = last_at - ?1 WHERE user_id = ?2")
    .bind(AUDIT_TTL + 10, removed.user.id)
    .run();
  assertProblem(await asAdmin("GET", `/users/${removed.user.id}/events`), 404, "not_found");
});

test("a trail contains only the user's own events, whatever the cursor", async () => {
  const [user, otherUser] = [await worker.register(), await worker.register()];
  for (let count = 0; count < 2; count += 1)
    await worker.patch("/me", { bearer: otherUser.access_token, json: { name: `Stranger ${count}` } });
  const { body } = await own(otherUser, "?limit=1");
  const ids = (events) => new Set(events.flatMap(({ session_id }) => session_id ?? []));
  for (const cursor of [
    body.next_cursor,
    Buffer.from(`9007199254740991.${otherUser.user.id}`).toString("base64url"),
    Buffer.from("9007199254740991.\u{10ffff}' OR 1=1 --\0").toString("base64url"),
  ]) {
    const answer = await own(user, `?cursor=${cursor}`);
    assert.equal(answer.status, 200);
    assert.ok(!ids(answer.body.events).has(otherUser.session_id));
  }
  assertProblem(
    await worker.get(`/users/${otherUser.user.id}/events`, { bearer: user.access_token }),
    403,
    "forbidden",
  );
  assertProblem(await own(user, `?user_id=${otherUser.user.id}`), 400, "invalid_request");
});
