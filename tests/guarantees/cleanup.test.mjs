// The cleanup deletes rows past their retention, in steps that can be interrupted anywhere, and no other rows.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { startWorker } from "../support/harness.mjs";

const AUDIT_TTL = 7_776_000;
const NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)";

let worker, user;
before(async () => {
  worker = await startWorker();
  user = await worker.register();
});
after(() => worker.close());
beforeEach(async () => {
  await worker.db.batch([
    worker.db.prepare("DELETE FROM refresh_tokens WHERE session_id <> ?").bind(user.session_id),
    worker.db.prepare("DELETE FROM audit_events"),
  ]);
  worker.events();
});

/** The time of a counted event is the start of its hour, so events are kept an hour longer. */
const EVENTS_TTL = AUDIT_TTL + 3600;

/** Inserts sessions of the user that end according to SQL expressions of `n`. Their keys are interleaved. */
function insertSessions(name, count, { expires = "unixepoch() + 600000", revoked = "NULL" }) {
  const columns =
    "session_id, user_id, secret_hash, amr, authenticated_at, generation, grace_retries, created_at, rotated_at, expires_at, absolute_expires_at, access_expires_at, revoked_at, revoked_reason";
  const key = "substr(printf('%08X', n * 2654435761 % 4294967296) || ?2 || 'AAAAAAAAAAAAAAAAAAAAAA', 1, 22)";
  const insert = `INSERT INTO refresh_tokens (${columns}) ${NUMBERS} SELECT ${key}, ?3, '', 'pwd', 0, 0, 0, 0, 0, ${expires}, ${expires}, 0, ${revoked}, CASE WHEN ${revoked} IS NULL THEN NULL ELSE 'logout' END FROM numbers`;
  return worker.db.prepare(insert).bind(count, name, user.user.id).run();
}

function insertEvents(name, count, at) {
  const insert = `INSERT INTO audit_events (user_id, at, id, kind, count, last_at) ${NUMBERS} SELECT 'u' || n % 97, ${at}, ?2 || n, 'profile_changed', 1, ${at} FROM numbers`;
  return worker.db.prepare(insert).bind(count, name).run();
}

const rows = async () => ({
  sessions: (await worker.db.prepare("SELECT * FROM refresh_tokens ORDER BY session_id").all()).results,
  events: (await worker.db.prepare("SELECT * FROM audit_events ORDER BY user_id, at, id").all()).results,
  users: (await worker.db.prepare("SELECT * FROM users ORDER BY id").all()).results,
});
const place = () => worker.db.prepare("SELECT after, upto FROM cleanup_progress WHERE name = 'refresh_tokens'").first();
const continueAt = (upto) =>
  worker.db.prepare("UPDATE cleanup_progress SET upto = ? WHERE name = 'refresh_tokens'").bind(upto).run();
const ids = async () => (await rows()).sessions.map(({ session_id }) => session_id);
const insertEnded = (id) =>
  worker.db
    .prepare(
      "INSERT INTO refresh_tokens (session_id, user_id, secret_hash, amr, authenticated_at, generation, grace_retries, created_at, rotated_at, expires_at, absolute_expires_at, access_expires_at) VALUES (?, ?, '', 'pwd', 0, 0, 0, 0, 0, 1000, 1000, 1000)",
    )
    .bind(id.padEnd(22, "A"), user.user.id)
    .run();

/** Cleans up once, and returns the event that it logs. */
async function cleanUp() {
  await worker.cleanUp();
  const logged = worker.events().filter(({ event }) => event !== "costs");
  assert.equal(logged.length, 1, JSON.stringify(logged));
  const [{ request_id, ...event }] = logged;
  assert.match(request_id, /^[\w-]{22}$/);
  return event;
}

const cleanedUp = (sessions, events, complete = true) => ({
  level: "info",
  event: "cleaned_up",
  sessions,
  events,
  complete,
});

test("with nothing to delete the cleanup deletes nothing", async () => {
  const before = await rows();
  assert.deepEqual(await cleanUp(), cleanedUp(0, 0));
  assert.deepEqual(await rows(), before);
});

test("all expired rows of a large backlog are deleted, and all other rows stay byte for byte", async () => {
  await insertSessions("live", 1800, {});
  await insertSessions("kept", 200, {
    expires: `unixepoch() - ${AUDIT_TTL} + 60 + n`,
    revoked: `CASE n % 2 WHEN 0 THEN unixepoch() - ${AUDIT_TTL} + 60 + n END`,
  });
  await insertEvents("kept", 2000, `unixepoch() - ${AUDIT_TTL} + 60 + n`);
  const living = await rows();
  assert.deepEqual([living.sessions.length, living.events.length], [2001, 2000]);
  await insertSessions("old", 15_000, { expires: `unixepoch() - ${AUDIT_TTL} - n` });
  await insertSessions("out", 15_000, { revoked: `unixepoch() - ${AUDIT_TTL} - n` });
  await insertEvents("old", 30_000, `unixepoch() - ${EVENTS_TTL} - n`);
  const total = { sessions: 0, events: 0 };
  let runs = 0;
  for (let complete = false; !complete; runs += 1) {
    assert.ok(runs < 5, "the cleanup does not complete");
    const event = await cleanUp();
    complete = event.complete;
    total.sessions += event.sessions;
    total.events += event.events;
  }
  assert.deepEqual([runs, total], [1, { sessions: 30_000, events: 30_000 }]);
  assert.deepEqual(await rows(), living);
  assert.deepEqual(await cleanUp(), cleanedUp(0, 0));
  user = { ...user, ...(await worker.refresh(user.refresh_token)).body };
  await worker.assertLive(user);
});

test("the retention is exact: an older row is deleted, a younger one is not", async () => {
  // Some seconds around the limit, and more than the test takes.
  await insertSessions("gone", 3, { expires: `unixepoch() - ${AUDIT_TTL} - n` });
  await insertSessions("gonetoo", 3, { revoked: `unixepoch() - ${AUDIT_TTL} - n` });
  await insertEvents("gone", 3, `unixepoch() - ${EVENTS_TTL} - n`);
  await insertSessions("stays", 3, { expires: `unixepoch() - ${AUDIT_TTL} + 20 + n` });
  await insertSessions("staystoo", 3, { revoked: `unixepoch() - ${AUDIT_TTL} + 20 + n` });
  await insertEvents("stays", 3, `unixepoch() - ${EVENTS_TTL} + 20 + n`);
  assert.deepEqual(await cleanUp(), cleanedUp(6, 3));
  const left = JSON.stringify(await rows());
  assert.ok(!left.includes("gone") && left.includes("stays") && left.includes("staystoo"));
});

test("the retention of an ended session begins at its end, that of any other at its expiry", async () => {
  const old = `unixepoch() - ${AUDIT_TTL} - 100`;
  await insertSessions("early", 1, { expires: "unixepoch() + 600", revoked: old });
  await insertSessions("lately", 1, { expires: "unixepoch() + 600", revoked: "unixepoch() - 100" });
  await insertSessions("expired", 1, { expires: old });
  await insertSessions("endedlate", 1, { expires: old, revoked: "unixepoch() - 100" });
  await insertSessions("living", 1, {});
  assert.deepEqual(await cleanUp(), cleanedUp(2, 0));
  const left = (await ids()).join(" ");
  assert.deepEqual(
    ["early", "lately", "expired", "endedlate", "living"].filter((name) => left.includes(name)),
    ["lately", "endedlate", "living"],
  );
});

/** What sign-ins and requests for mails leave behind: the table, the column that ends a row, and the age at which the row is deleted. */
const SMALL_TABLES = [
  ["challenges", "expires_at", 604_800],
  ["registrations", "expires_at", 0],
  ["reserved_emails", "expires_at", 0],
  ["mail_budgets", "resets_at", 0],
  ["pending_sign_ins", "expires_at", 0],
  ["deleted_passkeys", "expires_at", 0],
];
/** The other columns without a default. */
const COLUMNS = {
  challenges: {
    id: "key",
    purpose: "'register'",
    email_key: "''",
    salt: "''",
    source: "''",
    tries: 0,
    created_at: 0,
    locale: "'en'",
  },
  registrations: { id: "key", email: "''", email_key: "''", password_hash: "''", roles: "''", slot: 0, created_at: 0 },
  reserved_emails: { email_key: "key", user_id: "(SELECT id FROM users LIMIT 1)" },
  mail_budgets: { key: "key", used: 1, last_at: 0, request_id: "''" },
  pending_sign_ins: {
    id: "key",
    user_id: "(SELECT id FROM users LIMIT 1)",
    credentials_version: 0,
    amr: "'pwd'",
    transport: "'body'",
    remember: 1,
    tries: 0,
    created_at: 0,
  },
  deleted_passkeys: { credential_id: "key" },
};
for (const [table, column, age] of SMALL_TABLES) {
  test(`old rows of ${table} are deleted, also a large backlog, and no others`, async () => {
    const own = COLUMNS[table];
    const insert = (name, count, end) =>
      worker.db
        .prepare(
          `INSERT INTO ${table} (${Object.keys(own)}, ${column}) SELECT ${Object.values(own)}, ${end} FROM (${NUMBERS} SELECT n, ?2 || n AS key FROM numbers)`,
        )
        .bind(count, name)
        .run();
    await insert("old", 5000, `unixepoch() - ${age} - n`);
    // Some seconds more than the test takes.
    await insert("kept", 3, `unixepoch() - ${age} + 20 + n`);
    assert.deepEqual(await cleanUp(), cleanedUp(0, 0));
    const { results } = await worker.db.prepare(`SELECT * FROM ${table}`).all();
    assert.deepEqual(results.map((row) => row.id ?? row.key ?? row.email_key ?? row.credential_id).sort(), [
      "kept1",
      "kept2",
      "kept3",
    ]);
  });
}

test("secrets of authenticator apps that were not confirmed within an hour are deleted, and no others", async () => {
  const ids = [];
  for (const [age, confirmed_at] of [
    [3700, null],
    [99999, 1],
    [3500, null],
  ]) {
    const { user } = await worker.register();
    ids.push(user.id);
    await worker.db
      .prepare(
        "INSERT INTO totp_secrets (id, user_id, secret, created_at, confirmed_at, tries, last_step) VALUES (?1, ?1, '', unixepoch() - ?2, ?3, 0, 0)",
      )
      .bind(user.id, age, confirmed_at)
      .run();
  }
  await worker.cleanUp();
  const { results } = await worker.db.prepare("SELECT id FROM totp_secrets").all();
  assert.deepEqual(results.map(({ id }) => id).sort(), ids.slice(1).sort());
  await worker.db.prepare("DELETE FROM totp_secrets").run();
  worker.events();
});

test("a shorter retention deletes more, a longer one nothing", async () => {
  await insertSessions("day", 2, { expires: "unixepoch() - 86401" });
  await insertEvents("day", 2, "unixepoch() - 90001");
  assert.deepEqual(await cleanUp(), cleanedUp(0, 0));
  await worker.update({ vars: { AUDIT_TTL_SECONDS: "86400" } });
  assert.deepEqual(await cleanUp(), cleanedUp(2, 2));
  await worker.update();
});

test("an interrupted walk continues where it stopped, and starts over after the end", async () => {
  const dead = ["-a", "0b", "Mc", "_d", "me", "zf"];
  for (const id of dead) await insertEnded(id);
  await continueAt("Mc".padEnd(22, "A"));
  assert.deepEqual(await cleanUp(), cleanedUp(3, 0));
  const left = await ids();
  assert.deepEqual(
    dead.filter((id) => left.some((own) => own.startsWith(id))),
    ["-a", "0b", "Mc"],
  );
  assert.deepEqual(await place(), { after: "Mc".padEnd(22, "A"), upto: "~" });
  assert.deepEqual(await cleanUp(), cleanedUp(3, 0));
  assert.deepEqual(await ids(), [user.session_id]);
  assert.equal((await place()).after, "");
});

test("a walk begins once a day, and an unfinished one continues", async () => {
  const today = () => worker.schedule("17 * * * *");
  const begunAt = () => worker.db.prepare("SELECT begun_at FROM cleanup_progress").first("begun_at");
  await cleanUp();
  const begun = await begunAt();
  assert.ok(Math.abs(begun - Date.now() / 1000) < 60);
  await insertEnded("Mx");
  await insertEvents("old", 1, "1000");
  await today();
  assert.deepEqual(
    worker.events("cleaned_up").map(({ sessions, events, complete }) => [sessions, events, complete]),
    [[0, 1, true]],
  );
  assert.deepEqual(await place(), { after: "~", upto: "~" });
  await continueAt("");
  await today();
  assert.deepEqual(
    worker.events("cleaned_up").map(({ sessions }) => sessions),
    [1],
  );
  await insertEnded("Mx");
  await worker.db.prepare("UPDATE cleanup_progress SET begun_at = begun_at - 86400").run();
  await today();
  assert.deepEqual(
    worker.events("cleaned_up").map(({ sessions }) => sessions),
    [1],
  );
  assert.ok((await begunAt()) >= begun);
});

test("a stored position before or after all keys does no harm", async () => {
  for (const upto of ["", "~", "}", "zzzzzzzzzzzzzzzzzzzzzz"]) {
    await insertEnded("Mx");
    await continueAt(upto);
    let gone = 0;
    for (let run = 0; run < 2; run += 1) gone += (await cleanUp()).sessions;
    assert.equal(gone, 1, upto);
    await worker.assertLive(user);
  }
});

test("a step that D1 refuses is logged and deletes no live session, and the next cleanup continues", async () => {
  await insertSessions("dead", 5000, { expires: "1000" });
  const count = async () => (await rows()).sessions.length;
  const all = await count();
  const [poisoned] = (
    await worker.db
      .prepare("SELECT session_id FROM refresh_tokens WHERE expires_at = 1000 ORDER BY session_id LIMIT 1 OFFSET 3000")
      .all()
  ).results;
  await worker.db
    .prepare(
      `CREATE TRIGGER stuck BEFORE DELETE ON refresh_tokens WHEN OLD.session_id = '${poisoned.session_id}' BEGIN SELECT RAISE(ABORT, 'disk full'); END`,
    )
    .run();
  const failed = await cleanUp();
  assert.deepEqual([failed.level, failed.event], ["error", "storage_fault"]);
  assert.match(failed.cause, /^delete_old_sessions: .*disk full/);
  const left = await count();
  assert.ok(
    left < all && left > all - 3001,
    "the steps before the failed one deleted rows, and the failed one deleted none",
  );
  const stuckAt = await place();
  assert.ok(stuckAt.upto < poisoned.session_id);
  await worker.assertLive(user);
  // While this row cannot be deleted, no later row is, and no live session is lost.
  assert.equal((await cleanUp()).event, "storage_fault");
  assert.deepEqual([await count(), await place()], [left, stuckAt]);
  await worker.db.prepare("DROP TRIGGER stuck").run();
  assert.deepEqual(await cleanUp(), cleanedUp(left - (all - 5000), 0));
  await worker.assertLive(user);
});

test("if a table or the stored position is missing, the cleanup logs an error and does nothing else", async () => {
  await insertEnded("Mx");
  await worker.db.prepare("ALTER TABLE audit_events RENAME TO audit_events_away").run();
  assert.equal((await cleanUp()).event, "storage_fault");
  await worker.db.prepare("ALTER TABLE audit_events_away RENAME TO audit_events").run();
  assert.equal((await ids()).length, 2);
  const before = await worker.db.prepare("SELECT * FROM cleanup_progress").first();
  await worker.db.prepare("DELETE FROM cleanup_progress").run();
  assert.equal((await cleanUp()).event, "internal_error");
  assert.equal((await ids()).length, 2);
  await worker.db
    .prepare("INSERT INTO cleanup_progress (name, after, upto, begun_at) VALUES (?, ?, ?, 0)")
    .bind(before.name, before.after, "~")
    .run();
  assert.deepEqual(await cleanUp(), cleanedUp(1, 0));
});

test("an invalid configuration is logged, and nothing is deleted", async () => {
  await insertEnded("Mx");
  await worker.update({ vars: { AUDIT_TTL_SECONDS: "60" } });
  worker.events();
  const event = await cleanUp();
  assert.deepEqual([event.level, event.event, event.variable], ["error", "misconfigured", "AUDIT_TTL_SECONDS"]);
  await worker.update();
  worker.events();
  assert.equal((await ids()).length, 2);
  assert.deepEqual(await cleanUp(), cleanedUp(1, 0));
});

test("a step of 2,000 rows costs two statements for sessions, and one for events", async () => {
  await insertSessions("dead", 8000, { expires: "1000" });
  await insertEvents("old", 4500, "1000");
  await worker.cleanUp();
  const [{ route, d1_round_trips, kv_gets, kv_puts, d1_rows_read, d1_rows_written, ...rest }, ...more] =
    worker.events("costs");
  assert.deepEqual([route, rest.status, more.length, kv_gets, kv_puts], ["Cleanup", undefined, 0, 0, 0]);
  // One for failed attempts, seven for small tables, one for the secrets under an older data secret, one for the signing keys, two full
  // steps through the audit trail and one partial, four through the sessions and one to the end.
  assert.equal(d1_round_trips, 1 + 7 + 1 + 1 + 3 + 5);
  // D1 counts a deleted row as one, index entries included; storing the position is one per step.
  assert.equal(d1_rows_written, 8000 + 4500 + 5);
  assert.ok(d1_rows_read <= 4 * 12_500, `${d1_rows_read} rows read`);
});

test("refreshes during the cleanup succeed, and it deletes none of their sessions", async () => {
  await insertSessions("dead", 80_000, { expires: "1000" });
  const sessions = [];
  for (let count = 0; count < 3; count += 1) sessions.push((await worker.login(user)).body);
  worker.events();
  const cleaning = worker.cleanUp();
  let done = false;
  cleaning.then(() => (done = true));
  let answered = 0;
  while (!done) {
    for (const [index, session] of sessions.entries()) {
      const { status, body } = await worker.refresh(session.refresh_token);
      assert.equal(status, 200);
      sessions[index] = body;
    }
    answered += 1;
  }
  // One may run before the cleanup, or wait until its end. More than that run between its steps.
  assert.ok(answered > 2, `${answered} times`);
  assert.deepEqual(
    worker.events("cleaned_up").map(({ sessions, complete }) => [sessions, complete]),
    [[80_000, true]],
  );
  for (const session of sessions) await worker.assertLive(session);
});
