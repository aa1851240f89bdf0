// The throttle: failed attempts delay further ones, by 15 minutes at most, and the waits do not tell which accounts exist.
// The clock stands still, and moves only where a test advances it.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { STOPPED } from "../support/clocks.mjs";
import { assertProblem, many, PASSWORD, startWorker } from "../support/harness.mjs";
import { allVerifiedAtOnce, assertThrottled, Throttles, visible, WAITS } from "../support/throttles.mjs";

const HOUR = 3600;
const NEW = "four ponies sing quietly at noon";

let worker, throttles;
before(async () => {
  worker = await startWorker({ clock: STOPPED });
  throttles = new Throttles(worker);
});
after(() => worker.close());
beforeEach(() => throttles.clear());

const login = (json, options) => worker.post("/login", { json: { password: PASSWORD, ...json }, ...options });
const guess = (name, options) => login({ ...name, password: "wrong" }, options);
const invalid = (answer) => assertProblem(answer, 401, "invalid_credentials");

/** Fails that many times, and advances the clock past each wait. */
async function fail(name, count) {
  for (let number = 1; number <= count; number += 1) {
    const answer = await guess(name);
    if (answer.status === 429) {
      await worker.advance(Number(answer.headers.get("retry-after")));
      number -= 1;
    } else invalid(answer);
  }
}

const sessionsOf = async (user) => (await worker.sessionIds(user)).length;
/** The failures and waits in the audit trail of an account, or of all names without one. */
async function counted(user_id) {
  const { results } = await worker.db
    .prepare(
      "SELECT kind, SUM(count) AS count FROM audit_events WHERE user_id = ? AND kind LIKE 'login_%' GROUP BY kind",
    )
    .bind(user_id)
    .all();
  return Object.fromEntries(results.map(({ kind, count }) => [kind, count]));
}
async function costOf(act) {
  worker.events();
  const answer = await act();
  const [{ d1_round_trips, d1_rows_written, kv_puts, kv_gets }] = worker
    .events("costs")
    .filter(({ status }) => status !== undefined);
  return { answer, trips: d1_round_trips, written: d1_rows_written, kv: kv_gets + kv_puts };
}

test("five failures are free, and each further one doubles the wait, up to 15 minutes", async () => {
  const user = await worker.registerForGuesses();
  const key = throttles.key("email", user.email);
  for (const [index, wait] of WAITS.entries()) {
    invalid(await guess({ email: user.email }));
    const { failures, until, last_at } = await throttles.row(key);
    assert.deepEqual([failures, until && until - last_at], [index + 1, wait]);
    if (wait === 0) continue;
    assertThrottled(await guess({ email: user.email }), wait);
    await worker.advance(wait - 1);
    assertThrottled(await login({ email: user.email }), 1);
    await worker.advance(1);
  }
  assert.equal((await login({ email: user.email })).status, 200);
});

test("each hour without a failure halves the next wait", async () => {
  const user = await worker.registerForGuesses();
  await fail({ email: user.email }, 9);
  // The seconds since the last failure, and the wait that the next one begins.
  for (const [quiet, wait] of [
    [32, 64],
    [HOUR - 1, 128],
    [HOUR, 128],
    [2 * HOUR - 1, 128],
    [2 * HOUR, 64],
    [3 * HOUR, 16],
    [4 * HOUR, 2],
    [HOUR, 2],
  ]) {
    await worker.advance(quiet);
    invalid(await guess({ email: user.email }));
    assertThrottled(await guess({ email: user.email }), wait);
  }
  // Failures that are forgotten are free again.
  await worker.advance(3 * HOUR);
  for (let number = 1; number <= 3; number += 1) invalid(await guess({ email: user.email }));
  assertThrottled(await guess({ email: user.email }), 2);
  await worker.advance(24 * HOUR);
  for (let number = 1; number <= 5; number += 1) invalid(await guess({ email: user.email }));
  assertThrottled(await guess({ email: user.email }), 2);
});

test("attempts during a wait are not judged, verify no password and count nowhere", async () => {
  const user = await worker.registerForGuesses();
  const names = [{ email: user.email }, { email: "nobody@example.org" }];
  for (const name of names) await fail(name, 5);
  await worker.advance(2);
  for (const name of names) invalid(await guess(name));
  const before = await worker.dump();
  // A hash that cannot be verified is an error if it is read.
  await worker.setColumn(user, "password_hash", "not a hash");
  for (const json of [
    { email: user.email },
    { email: user.email, password: "wrong" },
    { email: ` ${user.email.toUpperCase()}` },
    { email: "nobody@example.org" },
  ]) {
    const { answer, ...cost } = await costOf(() => login(json));
    assertThrottled(answer, 4);
    assert.deepEqual(cost, { trips: 1, written: 0, kv: 0 });
  }
  assert.equal((await worker.account(user)).password_hash, "not a hash");
  await worker.setColumn(user, "password_hash", before.users.find(({ id }) => id === user.user.id).password_hash);
  assert.deepEqual(await worker.dump(), before);
  await worker.advance(4);
  assert.equal((await login({ email: user.email })).status, 200);
});

test("the audit trail and the log count each failure, and each that begins a wait", async () => {
  const user = await worker.registerForGuesses();
  // In a new isolate, because an isolate logs attempts during waits at most once per minute.
  await worker.update();
  worker.events();
  await fail({ email: user.email }, 7);
  assertThrottled(await login({ email: user.email }), 8);
  assert.deepEqual(await counted(user.user.id), { login_failed: 7, login_throttled: 3 });
  const logged = worker.events();
  const of = (kind) => logged.filter(({ event }) => event === kind);
  assert.deepEqual(
    of("login_failed").map(({ reason, user_id }) => [reason, user_id]),
    Array(7).fill(["wrong_password", user.user.id]),
  );
  assert.deepEqual(
    of("too_many_requests").map(({ reason, count }) => [reason, count]),
    [["throttled", 1]],
  );
  await worker.advance(8);
  const { body } = await login({ email: user.email });
  const { events } = (await worker.get("/me/events", { bearer: body.access_token })).body;
  const shown = events.filter(({ kind }) => kind.startsWith("login_")).map(({ kind, count }) => [kind, count]);
  assert.deepEqual(shown.sort(), [
    ["login_failed", 7],
    ["login_throttled", 3],
  ]);
});

test("from 50 failures in a row on, every wait is 15 minutes, however quiet it was", async () => {
  const user = await worker.registerForGuesses();
  const key = throttles.key("email", user.email);
  for (let number = 1; number <= 49; number += 1) {
    invalid(await guess({ email: user.email }));
    await worker.advance(6 * HOUR);
  }
  assert.deepEqual([(await throttles.row(key)).failures, (await throttles.row(key)).until], [49, 0]);
  for (let number = 50; number <= 52; number += 1) {
    invalid(await guess({ email: user.email }));
    assertThrottled(await guess({ email: user.email }), 900);
    assert.equal((await throttles.row(key)).failures, number);
    await worker.advance(24 * HOUR);
  }
  // After the wait the owner can log in, and a completed sign-in resets the failures in a row.
  assert.equal((await login({ email: user.email })).status, 200);
  assert.equal((await throttles.row(key)).failures, 0);
  for (let number = 1; number <= 5; number += 1) invalid(await guess({ email: user.email }));
  assertThrottled(await guess({ email: user.email }), 2);
});

test("a right password resets failures in a row only if a session begins: not if the account is disabled or has changed", async () => {
  const user = await worker.registerForGuesses();
  const key = throttles.key("email", user.email);
  await fail({ email: user.email }, 3);
  await worker.disable(user);
  invalid(await login({ email: user.email }));
  await worker.disable(user, false);
  assert.equal((await throttles.row(key)).failures, 4);
  // The account changes between the verification and the session.
  const plan = worker.plan({ at: 2, does: "hold" });
  const late = login({ email: user.email }, { headers: plan.headers });
  assert.equal(await plan.untilHeld(), true);
  await worker.setColumn(user, "credentials_version", 7);
  plan.release();
  invalid(await late);
  assert.equal((await throttles.row(key)).failures, 5);
  await worker.advance(2);
  assert.equal((await login({ email: user.email })).status, 200);
  const { failures, steps } = await throttles.row(key);
  assert.deepEqual([failures, steps], [0, 5], "waits get shorter by time only");
});

for (const rightAt of [40, 5, 4, 0]) {
  test(`of 41 guesses at once, with the right one in place ${rightAt + 1}, only those up to the fifth failure are judged`, async () => {
    const user = await worker.registerForGuesses();
    const sessions = await sessionsOf(user);
    const passwords = many(41, (number) => (number === rightAt ? PASSWORD : "wrong"));
    const answers = await allVerifiedAtOnce(worker, passwords, (password, options) =>
      login({ email: user.email, password }, options),
    );
    const inTime = rightAt < 5;
    const statuses = answers.map(({ status }) => status);
    // Five wrong ones are judged, and the right one if it comes before the fifth.
    const judged = Array(5).fill(401);
    if (inTime) judged.splice(rightAt, 0, 200);
    assert.deepEqual(statuses.slice(0, judged.length), judged);
    const late = answers.slice(judged.length);
    for (const answer of late) assertThrottled(answer, 2);
    assert.equal(new Set(late.map(visible)).size, 1, "the right guess is answered like the wrong ones");
    assert.equal(await sessionsOf(user), sessions + (inTime ? 1 : 0));
    const { failures } = await throttles.row(throttles.key("email", user.email));
    assert.equal(failures, inTime ? 5 - rightAt : 5);
    assert.equal((await counted(user.user.id)).login_failed, 5);
  });
}

test("at the end of a wait, one of many guesses at once is judged", async () => {
  const user = await worker.registerForGuesses();
  await fail({ email: user.email }, 5);
  await worker.advance(2);
  const plans = [];
  for (let number = 0; number < 10; number += 1) {
    const plan = worker.plan({ at: 2, does: "hold" });
    const answer = guess({ email: user.email }, { headers: plan.headers });
    assert.equal(await plan.untilHeld(), true);
    plans.push({ plan, answer });
  }
  for (const { plan } of plans) plan.release();
  const statuses = (await Promise.all(plans.map(({ answer }) => answer))).map(({ status }) => status);
  assert.deepEqual(statuses.sort(), [401, ...Array(9).fill(429)]);
});

test("unknown and malformed names are answered, counted and throttled like those of accounts", async () => {
  const user = await worker.register({ username: "throttled-name" });
  const names = {
    known: ["email", { email: user.email }, user.email],
    unknown: ["email", { email: "nobody-at-all@example.org" }, "nobody-at-all@example.org"],
    "known username": ["username", { username: "throttled-name" }, "throttled-name"],
    "unknown username": ["username", { username: "nobody-at-all" }, "nobody-at-all"],
    "malformed address": ["malformed", { email: "no address" }, "no address"],
    "malformed username": ["malformed", { username: "!" }, "!"],
    "empty name": ["malformed", { email: "" }, ""],
    "malformed and long": ["malformed", { username: "x".repeat(9000) }, "x".repeat(9000)],
  };
  // The first failures of an hour write an index entry.
  for (const [, name] of Object.values(names)) invalid(await guess(name));
  await throttles.clear();
  const seen = {};
  for (const [what, [kind, name, text]] of Object.entries(names)) {
    const attempts = [];
    for (let number = 1; number <= 7; number += 1) {
      const { answer, ...cost } = await costOf(() => guess(name));
      attempts.push({ seen: visible(answer), ...cost });
    }
    const { request_id, ...row } = await throttles.row(throttles.key(kind, text));
    assert.match(request_id, /^[\w-]{22}$/);
    seen[what] = { attempts, row };
  }
  for (const [what, one] of Object.entries(seen)) {
    // The first wait of an hour adds an entry to the audit trail. All names without an account share one audit trail.
    one.attempts[4].written = undefined;
    assert.deepEqual(one, seen.known, what);
  }
  const { attempts } = seen.known;
  assert.deepEqual(
    attempts.map(({ trips, kv }) => [trips, kv]),
    [...Array(5).fill([2, 0]), ...Array(2).fill([1, 0])],
  );
  assert.deepEqual([attempts[0].written, attempts[5].written], [2, 0]);
  assert.equal(Object.keys(await throttles.all()).length, Object.keys(names).length);
});

test("the spellings of a name share a row, and a row tells only 24 bits of an HMAC", async () => {
  const user = await worker.registerForGuesses({ username: "Spelled-Name" });
  const spellings = [
    [{ email: user.email }, { email: user.email.toUpperCase() }, { email: ` ${user.email}\n` }],
    [{ username: "spelled-name" }, { username: "SPELLED-NAME" }],
  ];
  for (const names of spellings) for (const name of names) invalid(await guess(name));
  const rows = await throttles.all();
  assert.deepEqual(Object.fromEntries(Object.entries(rows).map(([key, { failures }]) => [key, failures])), {
    [throttles.key("email", user.email)]: 3,
    [throttles.key("username", "spelled-name")]: 2,
  });
  for (const key of Object.keys(rows)) assert.match(key, /^name:[\w-]{4}$/);
});

test("registration, renaming and deletion do not touch the row of a name", async () => {
  const email = "newcomer@example.org";
  await fail({ email }, 3);
  await fail({ username: "old-name" }, 2);
  await fail({ username: "new-name" }, 4);
  const before = await throttles.all();
  const user = await worker.registerForGuesses({ email, username: "old-name" });
  assert.deepEqual(await throttles.all(), before);
  const json = { username: "new-name" };
  assert.equal((await worker.patch("/me", { bearer: user.access_token, json })).status, 200);
  assert.deepEqual(await throttles.all(), before);
  assert.equal((await worker.delete("/me", { bearer: user.access_token })).status, 204);
  assert.deepEqual(await throttles.all(), before);
  invalid(await guess({ username: "new-name" }));
  assertThrottled(await guess({ username: "new-name" }), 2);
});

test("nobody can tell by their waits that an address and a username belong together", async () => {
  const user = await worker.registerForGuesses({ username: "same-person" });
  const [byEmail, byUsername] = [{ email: user.email }, { username: "same-person" }];
  const [emailKey, usernameKey] = [throttles.key("email", user.email), throttles.key("username", "same-person")];
  await fail(byEmail, 5);
  const row = await throttles.row(emailKey);
  // An attacker who makes one name wait sees nothing at the other one.
  for (let number = 1; number <= 4; number += 1) invalid(await guess(byUsername));
  assert.deepEqual(await throttles.row(emailKey), row);
  assertThrottled(await guess(byEmail), 2);
  // A sign-in of the owner with one name does not show at the other one.
  assert.equal((await login(byUsername)).status, 200);
  assert.deepEqual(await throttles.row(emailKey), row);
  assert.equal((await throttles.row(usernameKey)).failures, 0);
  assertThrottled(await guess(byEmail), 2);
  await worker.advance(4 * HOUR);
  for (let number = 1; number <= 3; number += 1) invalid(await guess(byUsername));
  assert.equal((await login(byEmail)).status, 200);
  assert.equal((await throttles.row(usernameKey)).failures, 3);
});

test("a wait does not depend on the source", async () => {
  const user = await worker.registerForGuesses();
  for (let number = 1; number <= 5; number += 1)
    invalid(await guess({ email: user.email }, { headers: { "CF-Connecting-IP": `198.51.100.${number}` } }));
  assertThrottled(await login({ email: user.email }, { headers: { "CF-Connecting-IP": "203.0.113.9" } }), 2);
});

// Storage.

for (const moment of [
  "INSERT ON throttles",
  "UPDATE ON throttles",
  "INSERT ON audit_events",
  "UPDATE ON audit_events",
]) {
  test(`a failure that cannot be counted is a 503, and counts nowhere: ${moment}`, async () => {
    const user = await worker.registerForGuesses();
    if (moment.startsWith("UPDATE")) invalid(await guess({ email: user.email }));
    const before = await worker.dump();
    await failing(moment, async () => {
      for (let number = 1; number <= 7; number += 1)
        assertProblem(await guess({ email: user.email }), 503, "storage_unavailable");
    });
    assert.deepEqual(await worker.dump(), before);
    invalid(await guess({ email: user.email }));
  });
}

for (const moment of ["INSERT ON refresh_tokens", "UPDATE ON throttles"]) {
  test(`a login that cannot be completed is a 503, begins no session and forgets no failure: ${moment}`, async () => {
    const user = await worker.registerForGuesses();
    await fail({ email: user.email }, 4);
    const before = await worker.dump();
    await failing(moment, async () => assertProblem(await login({ email: user.email }), 503, "storage_unavailable"));
    assert.deepEqual(await worker.dump(), before);
    invalid(await guess({ email: user.email }));
    assertThrottled(await login({ email: user.email }), 2);
  });
}

test("no call of storage that fails or whose result is lost loses a count or begins a session", async () => {
  const user = await worker.registerForGuesses();
  const key = throttles.key("email", user.email);
  const sessions = await sessionsOf(user);
  let failures = 0;
  for (const [at, does, password, count] of [
    [1, "fail", "wrong", 0],
    [1, "lose", "wrong", 0],
    [2, "fail", "wrong", 0],
    // The failure is counted, although the client does not learn it.
    [2, "lose", "wrong", 1],
    [1, "fail", PASSWORD, 0],
    [1, "lose", PASSWORD, 0],
    [2, "fail", PASSWORD, 0],
  ]) {
    const plan = worker.plan({ at, does });
    const answer = await login({ email: user.email, password }, { headers: plan.headers });
    assertProblem(answer, 503, "storage_unavailable");
    failures += count;
    assert.equal((await throttles.row(key))?.failures ?? 0, failures, `${does} ${at}`);
    assert.equal((await counted(user.user.id)).login_failed ?? 0, failures, `${does} ${at}`);
    assert.equal(await sessionsOf(user), sessions);
  }
});

test("without the table of throttles no login succeeds", async () => {
  const user = await worker.registerForGuesses();
  const sessions = await sessionsOf(user);
  await worker.db.prepare("ALTER TABLE throttles RENAME TO throttles_away").run();
  for (const json of [{ email: user.email }, { email: "nobody@example.org" }, { email: "malformed" }])
    assertProblem(await login(json), 503, "storage_unavailable");
  await worker.db.prepare("ALTER TABLE throttles_away RENAME TO throttles").run();
  assert.equal(await sessionsOf(user), sessions);
});

/** Runs `act` while a kind of write fails. */
async function failing(moment, act) {
  await worker.db.prepare(`CREATE TRIGGER failing BEFORE ${moment} BEGIN SELECT RAISE(ABORT, 'disk full'); END`).run();
  try {
    await act();
  } finally {
    await worker.db.prepare("DROP TRIGGER failing").run();
  }
}

// Confirmations of the current password by signed-in users.

const CONFIRMATIONS = {
  "POST /me/password": (current_password) => ({ current_password, new_password: NEW }),
  "POST /me/step-up": (password) => ({ password }),
};
const confirm = (route, { access_token }, password, options) =>
  worker.request(...route.split(" "), { bearer: access_token, json: CONFIRMATIONS[route](password), ...options });
const userRow = ({ user }) => throttles.row(`user:${user.id}`);
const wrongPassword = (answer) => assertProblem(answer, 403, "wrong_password");

for (const route of Object.keys(CONFIRMATIONS)) {
  test(`${route}: wrong passwords have waits of their own, and do not delay logins`, async () => {
    const user = await worker.registerForGuesses();
    // A login from an unknown device neither waits nor counts with them.
    await fail({ email: user.email }, 2);
    const nameRow = await throttles.row(throttles.key("email", user.email));
    for (const [index, wait] of WAITS.slice(0, 8).entries()) {
      wrongPassword(await confirm(route, user, "wrong"));
      assert.equal((await userRow(user)).failures, index + 1);
      if (wait === 0) continue;
      const before = [await userRow(user), await counted(user.user.id)];
      for (const password of ["wrong", PASSWORD]) {
        const { answer, ...cost } = await costOf(() => confirm(route, user, password));
        assertThrottled(answer, wait);
        assert.deepEqual(cost, { trips: 1, written: 0, kv: 0 });
      }
      assert.deepEqual([await userRow(user), await counted(user.user.id)], before);
      await worker.advance(wait);
    }
    assert.deepEqual(await throttles.row(throttles.key("email", user.email)), nameRow);
    assert.deepEqual(await counted(user.user.id), { login_failed: 10, login_throttled: 4 });
    const { status } = await confirm(route, user, PASSWORD);
    assert.ok(status < 300, `${status}`);
    assert.equal(await userRow(user), undefined, "the change forgets the failures");
    assert.deepEqual(await throttles.row(throttles.key("email", user.email)), nameRow);
  });

  test(`${route}: a login does not reset wrong current passwords, and waits of logins do not delay it`, async () => {
    const user = await worker.registerForGuesses();
    for (let number = 1; number <= 5; number += 1) wrongPassword(await confirm(route, user, "wrong"));
    const row = await userRow(user);
    const { status, body } = await login({ email: user.email });
    assert.equal(status, 200);
    assert.deepEqual(await userRow(user), row);
    await fail({ email: user.email }, 5);
    assertThrottled(await confirm(route, body, PASSWORD), 2);
    await worker.advance(2);
    await throttles.hold(user, 600);
    assert.ok((await confirm(route, body, PASSWORD)).status < 300);
  });

  test(`${route}: a right password that comes too late changes nothing, and looks like a wrong one`, async () => {
    const user = await worker.registerForGuesses();
    const row = await worker.account(user);
    const answers = await allVerifiedAtOnce(worker, [...Array(7).fill("wrong"), PASSWORD], (password, options) =>
      confirm(route, user, password, options),
    );
    for (const answer of answers.slice(0, 5)) wrongPassword(answer);
    for (const answer of answers.slice(5)) assertThrottled(answer, 2);
    assert.equal(new Set(answers.slice(5).map(visible)).size, 1);
    assert.deepEqual(await worker.account(user), row);
    assert.equal((await userRow(user)).failures, 5);
    assert.equal((await worker.me(user.access_token)).status, 200);
  });
}

test("wrong passwords delay no change that needs none, and no such change forgets them", async () => {
  const user = await worker.registerForGuesses();
  for (let number = 1; number <= 5; number += 1) wrongPassword(await confirm("POST /me/step-up", user, "wrong"));
  const row = await userRow(user);
  for (const json of [{ name: "Ada" }, { username: "not-delayed" }]) {
    assert.equal((await worker.patch("/me", { bearer: user.access_token, json })).status, 200);
    assert.deepEqual(await userRow(user), row);
  }
  assert.equal((await worker.delete("/sessions?except=current", { bearer: user.access_token })).status, 200);
  assert.deepEqual(await userRow(user), row);
  assert.equal((await worker.delete("/me", { bearer: user.access_token })).status, 204);
  assert.equal(await userRow(user), undefined);
});

// Admins.

test("only admins read and lift a throttle, and a refused request reads no failures", async () => {
  const user = await worker.registerForGuesses();
  await fail({ email: user.email }, 5);
  const before = await worker.dump();
  for (const method of ["GET", "DELETE"]) {
    const path = `/users/${user.user.id}/throttle`;
    const { answer, ...cost } = await costOf(() => worker.request(method, path, { bearer: user.access_token }));
    assertProblem(answer, 403, "forbidden");
    assert.deepEqual(cost, { trips: 1, written: 0, kv: 0 });
    assertProblem(await worker.request(method, path), 401, "missing_token");
  }
  assert.deepEqual(await worker.dump(), before);
});

test("the throttle of an unknown user is a 404", async () => {
  const admin = await worker.registerAdmin();
  const before = await worker.dump();
  for (const method of ["GET", "DELETE"])
    for (const id of ["AAAAAAAAAAAAAAAAAAAAAA", "nobody"])
      assertProblem(
        await worker.request(method, `/users/${id}/throttle`, { bearer: admin.access_token }),
        404,
        "not_found",
      );
  assert.deepEqual(await worker.dump(), before);
});

test("an admin sees the failures of an account and forgets them, and the owner logs in", async () => {
  const admin = await worker.registerAdmin();
  const bearer = admin.access_token;
  const user = await worker.registerForGuesses({ username: "delayed" });
  const other = await worker.registerForGuesses();
  const path = `/users/${user.user.id}/throttle`;
  assert.deepEqual((await worker.get(path, { bearer })).body, { throttles: [] });
  await fail({ email: user.email }, 6);
  await fail({ username: "delayed" }, 1);
  for (let number = 1; number <= 5; number += 1) wrongPassword(await confirm("POST /me/step-up", user, "wrong"));
  await fail({ email: other.email }, 1);
  const [email, username, confirmation] = await Promise.all([
    throttles.row(throttles.key("email", user.email)),
    throttles.row(throttles.key("username", "delayed")),
    userRow(user),
  ]);
  assert.deepEqual((await worker.get(path, { bearer })).body, {
    throttles: [
      { of: "email", failures: 6, last_failed_at: email.last_at, wait_until: email.last_at + 4 },
      { of: "username", failures: 1, last_failed_at: username.last_at, wait_until: null },
      { of: "confirmation", failures: 5, last_failed_at: confirmation.last_at, wait_until: confirmation.last_at + 2 },
    ],
  });
  const { answer, ...cost } = await costOf(() => worker.delete(path, { bearer }));
  assert.equal(answer.status, 204);
  // Three rows are deleted; the event and its index entry are inserted.
  assert.deepEqual(cost, { trips: 2, written: 5, kv: 0 });
  assert.deepEqual(Object.keys(await throttles.all()), [throttles.key("email", other.email)]);
  assert.deepEqual((await worker.get(path, { bearer })).body, { throttles: [] });
  const { events } = (await worker.get(`/users/${user.user.id}/events`, { bearer })).body;
  const lifted = events.filter(({ kind }) => kind === "throttle_lifted");
  assert.deepEqual(
    lifted.map(({ by, admin_id, session_id }) => [by, admin_id, session_id]),
    [["admin", admin.user.id, admin.session_id]],
  );
  const { status, body } = await login({ email: user.email });
  assert.equal(status, 200);
  const own = (await worker.get("/me/events", { bearer: body.access_token })).body.events;
  const shown = own.filter(({ kind }) => kind === "throttle_lifted");
  assert.deepEqual(
    shown.map(({ by, admin_id }) => [by, admin_id]),
    [["admin", undefined]],
  );
  assert.deepEqual(await counted(user.user.id), { login_failed: 12, login_throttled: 3 });
});

test("a lift that cannot be recorded lifts nothing", async () => {
  const admin = await worker.registerAdmin();
  const user = await worker.registerForGuesses();
  await fail({ email: user.email }, 5);
  const before = await worker.dump();
  for (const moment of ["INSERT ON audit_events", "DELETE ON throttles"]) {
    await failing(moment, async () => {
      const answer = await worker.delete(`/users/${user.user.id}/throttle`, { bearer: admin.access_token });
      assertProblem(answer, 503, "storage_unavailable");
    });
    assert.deepEqual(await worker.dump(), before);
  }
});

test("the cleanup forgets failures of devices and users after 180 days, and those of names never", async () => {
  const now = (await worker.registerForGuesses()).user.created_at;
  const insert = worker.db.prepare(
    "INSERT INTO throttles (key, steps, failures, last_at, until, request_id) VALUES (?, 1, 1, ?, 0, '')",
  );
  const AGE = 180 * 86_400;
  const kinds = ["device:", "name:", "user:"];
  await worker.db.batch(
    kinds.flatMap((kind) => [
      insert.bind(`${kind}due`, now - AGE - 1),
      insert.bind(`${kind}kept`, now - AGE),
      insert.bind(`${kind}years`, 1),
    ]),
  );
  await worker.cleanUp();
  assert.deepEqual(Object.keys(await throttles.all()), [
    "device:kept",
    "name:due",
    "name:kept",
    "name:years",
    "user:kept",
  ]);
});
