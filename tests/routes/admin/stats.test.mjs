// GET /stats: what happened in the last 24 hours, from the audit trail and, if they are configured, the metrics.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { assertProblem, many, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";
import { startRangeApi } from "../../support/range-api.mjs";

const TOKEN = "a-token-of-the-operator";
const NOTHING = {
  logins: null,
  registrations: null,
  failed_logins: 0,
  throttled: 0,
  refused: null,
  reuse_detected: 0,
  mails_sent: 0,
  mails_failed: 0,
};

let worker, admin, api;
before(async () => {
  worker = await startWorker({ vars: MAIL_VARS });
  admin = await worker.registerAdmin();
  api = await startRangeApi();
});
after(async () => {
  await worker.close();
  await api.close();
});

const stats = async (bearer = admin.access_token) => {
  const answer = await worker.get("/stats", { bearer });
  assert.equal(answer.status, 200, answer.text);
  const { hours, since } = answer.body;
  assert.deepEqual(
    hours.map(({ at }) => at),
    many(24, (number) => since + 3600 * number),
  );
  return answer.body;
};
/** Forgets all that has happened. */
const forget = () =>
  worker.db.batch(["audit_events", "outbox", "throttles"].map((table) => worker.db.prepare(`DELETE FROM ${table}`)));
const startOfHour = () => Math.floor(Date.now() / 1000 / 3600) * 3600;
/** Continues with metrics that can be read, and a service that answers like this. */
async function withMetrics(answer, vars = {}) {
  api.answer = answer;
  await worker.update({ vars: { METRICS_URL: `${api.url}/sql`, ...vars }, secrets: { METRICS_TOKEN: TOKEN } });
}
const points = (...data) => ({ status: 200, body: JSON.stringify({ meta: [], data, rows: data.length }) });

function insertEvents(rows) {
  const insert = worker.db.prepare(
    "INSERT INTO audit_events (user_id, at, id, kind, count, last_at) VALUES (?1, ?2, ?3, ?3, ?4, ?2)",
  );
  return worker.db.batch(rows.map(([user, at, kind, count]) => insert.bind(user, at, kind, count)));
}

test("failed logins, waits, reuse and mails are counted, whether the account exists or not", async () => {
  const user = await worker.register();
  await worker.login(user);
  await worker.refresh(
    (await worker.refresh((await worker.refresh(user.refresh_token)).body.refresh_token)).body.refresh_token,
  );
  await forget();
  await worker.refresh(user.refresh_token);
  await worker.throttle(user);
  await worker.login({ email: "nobody-at-all@example.org", password: "wrong" });
  await worker.post("/login/email", { json: { email: user.email } });
  await new Mails(worker).take();
  // The count of a mail is written after it.
  const { total, hours } = await untilSettled();
  const expected = { ...NOTHING, failed_logins: 6, throttled: 1, reuse_detected: 1, mails_sent: total.mails_sent };
  assert.deepEqual(total, expected);
  // The code, the notice of the wait and that of the reuse.
  assert.equal(total.mails_sent, 3);
  const sum = (name) => hours.reduce((sum, hour) => sum + (hour[name] ?? 0), 0);
  for (const [name, number] of Object.entries(total)) assert.equal(sum(name), number ?? 0, name);
  // The hour may have changed during the test.
  assert.equal(
    hours.slice(0, 22).every((hour) => hour.failed_logins + hour.mails_sent === 0),
    true,
  );
});

/** The stats once no mail waits. */
async function untilSettled() {
  for (let tries = 0; ; tries += 1) {
    const found = await stats();
    if (found.mails_waiting === 0) return found;
    assert.ok(tries < 300, "a mail waits");
  }
}

test("each event is in its hour, and what is older than 24 hours or of another kind is not counted", async () => {
  await forget();
  const now = startOfHour();
  await insertEvents([
    ["a", now - 24 * 3600, "login_failed", 100],
    ["a", now - 22 * 3600, "login_failed", 2],
    ["b", now - 22 * 3600, "login_failed", 3],
    ["a", now - 22 * 3600 + 1799, "reuse_detected", 1],
    ["", now - 3600, "login_failed", 7],
    ["a", now - 3600, "login_throttled", 2],
    ["a", now - 7200, "mail_sent", 4],
    ["b", now - 7200, "mail_failed", 1],
    ["a", now - 7200, "profile_changed", 9],
  ]);
  const { hours, total, since, mails_waiting, metrics } = await stats();
  assert.ok([now, now + 3600].includes(since + 23 * 3600));
  assert.deepEqual([mails_waiting, metrics], [0, "off"]);
  const counted = { failed_logins: 12, throttled: 2, reuse_detected: 1, mails_sent: 4, mails_failed: 1 };
  assert.deepEqual(total, { ...NOTHING, ...counted });
  const at = (time) => hours.find((hour) => hour.at === time);
  assert.deepEqual(at(now - 22 * 3600), { at: now - 22 * 3600, ...NOTHING, failed_logins: 5, reuse_detected: 1 });
  assert.deepEqual(at(now - 3600), { at: now - 3600, ...NOTHING, failed_logins: 7, throttled: 2 });
  assert.deepEqual(at(now - 7200), { at: now - 7200, ...NOTHING, mails_sent: 4, mails_failed: 1 });
});

test("mails that wait for another attempt are counted, and rows for unknown addresses are not", async () => {
  await forget();
  const insert = worker.db.prepare(
    "INSERT INTO outbox (id, kind, email, locale, at, attempts, claimed_until) VALUES (?, 'login', ?, 'en', 0, 1, unixepoch() + 600)",
  );
  await worker.db.batch([insert.bind("a", "a@example.org"), insert.bind("b", "b@example.org"), insert.bind("c", null)]);
  assert.equal((await stats()).mails_waiting, 2);
  await forget();
});

test("with METRICS_URL, logins, registrations and refused requests come from Analytics Engine", async () => {
  await forget();
  const now = startOfHour();
  const answer = points(
    { at: now - 3600, kind: "login", events: "41" },
    { at: now - 7200, kind: "login", events: 1 },
    { at: now - 7200, kind: "registration", events: "2" },
    { at: now - 86_400, kind: "refused", events: "1000" },
    { at: now - 7200, kind: "refused", events: "3" },
  );
  await withMetrics(answer, { METRICS_DATASET: "portcullis_staging" });
  await insertEvents([["a", now - 3600, "login_failed", 5]]);
  api.take();
  const { total, hours, metrics, since } = await stats();
  assert.equal(metrics, "read");
  assert.deepEqual(total, { ...NOTHING, logins: 42, registrations: 2, refused: 3, failed_logins: 5 });
  const none = { ...NOTHING, logins: 0, registrations: 0, refused: 0 };
  const at = (time) => hours.find((hour) => hour.at === time);
  assert.deepEqual(at(now - 3600), { at: now - 3600, ...none, logins: 41, failed_logins: 5 });
  assert.deepEqual(at(now - 7200), { at: now - 7200, ...none, logins: 1, registrations: 2, refused: 3 });
  const [{ method, url, headers, body }, ...more] = api.take();
  assert.deepEqual([method, url, headers.authorization, more], ["POST", "/sql", `Bearer ${TOKEN}`, []]);
  assert.match(body, /^FROM portcullis_staging$/m);
  assert.ok(body.includes(`timestamp >= toDateTime(${since})`) && !/[{}]/.test(body), body);
});

test("if Analytics Engine does not answer as it should, the other numbers are returned, and the log says why", async () => {
  await forget();
  await insertEvents([["a", startOfHour() - 3600, "login_failed", 5]]);
  for (const [reason, answer] of [
    ["status", { status: 403, body: '{"errors":[]}' }],
    ["status", { status: 302, body: "", headers: { Location: "/elsewhere" } }],
    ["malformed", { status: 200, body: "<html>" }],
    ["malformed", points({ at: startOfHour(), kind: "login", events: "many" })],
    ["too_large", { status: 200, body: `${" ".repeat(70_000)}{"data":[]}` }],
  ]) {
    await withMetrics(answer);
    worker.events();
    const { total, metrics } = await stats();
    assert.deepEqual([metrics, total], ["unavailable", { ...NOTHING, failed_logins: 5 }]);
    const [{ level, reason: logged }, ...more] = worker.events("metrics_unavailable");
    assert.deepEqual([level, logged, more.length], ["warn", reason, 0]);
  }
  const closed = await startRangeApi();
  await closed.close();
  await withMetrics(points(), { METRICS_URL: closed.url });
  assert.equal((await stats()).metrics, "unavailable");
  assert.equal(worker.events("metrics_unavailable")[0].reason, "unreachable");
  await worker.update();
});

test("with only one of METRICS_URL and METRICS_TOKEN, the metrics are off, and everything else works", async () => {
  api.take();
  for (const changes of [{ vars: { METRICS_URL: `${api.url}/sql` } }, { secrets: { METRICS_TOKEN: TOKEN } }]) {
    await worker.update(changes);
    assert.equal((await stats()).metrics, "off");
  }
  assert.deepEqual(api.take(), []);
  await worker.update();
});

test("nobody but an admin gets the numbers, and Analytics Engine is not asked for anybody else", async () => {
  await withMetrics(points());
  const user = await worker.register();
  api.take();
  assertProblem(await worker.get("/stats"), 401, "missing_token");
  assertProblem(await worker.get("/stats", { bearer: user.access_token }), 403, "forbidden");
  const ended = await worker.registerAdmin();
  await worker.revoke(ended.refresh_token);
  assertProblem(await worker.get("/stats", { bearer: ended.access_token }), 401, "invalid_token");
  assert.deepEqual(api.take(), []);
  await worker.update();
});

test("an admin with one factor gets the numbers only if MFA allows it", async () => {
  const strong = await worker.registerStrongAdmin();
  await worker.update({ vars: { MFA: "admins" } });
  assertProblem(await worker.get("/stats", { bearer: admin.access_token }), 401, "step_up_required");
  await stats(strong.access_token);
  await worker.update();
});

test("the numbers cost one round trip, and the rows read depend only on what happened in 24 hours", async () => {
  await forget();
  const cost = async () => {
    worker.events();
    await stats();
    const [{ d1_round_trips, d1_rows_written, d1_rows_read }] = worker.events("costs");
    assert.deepEqual([d1_round_trips, d1_rows_written], [1, 0]);
    return d1_rows_read;
  };
  const few = await cost();
  const numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000)";
  const insert = `INSERT INTO audit_events (user_id, at, id, kind, count, last_at) ${numbers} SELECT 'u' || n, ?1, 'login_failed', 'login_failed', 1, ?1 FROM numbers`;
  await worker.db
    .prepare(insert)
    .bind(startOfHour() - 24 * 3600)
    .run();
  assert.ok((await cost()) <= few + 2, "older events are not read");
  await insertEvents(many(50, (number) => [`v${number}`, startOfHour() - 3600, "login_failed", 1]));
  const more = await cost();
  assert.ok(more >= few + 50 && more <= few + 104, `${more} rows read`);
  await forget();
});

test("the query for mails in docs/reference/metrics.md counts them by an index", async () => {
  const page = readFileSync(new URL("../../../docs/reference/metrics.md", import.meta.url), "utf8");
  const [, sql] = page.match(/d1 execute DB --remote --command "(.*)"$/m);
  await forget();
  const at = startOfHour();
  await insertEvents([
    ["a", at, "mail_sent", 4],
    ["b", at, "mail_sent", 1],
    ["a", at - 8 * 86_400, "mail_sent", 9],
    ["a", at, "login_failed", 2],
  ]);
  const day = new Date(at * 1000).toISOString().slice(0, 10);
  assert.deepEqual((await worker.db.prepare(sql).all()).results, [{ day, kind: "mail_sent", mail: null, mails: 5 }]);
  const { results } = await worker.db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
  assert.match(results[0].detail, /^SEARCH audit_events USING INDEX audit_events_at/);
  await forget();
});
