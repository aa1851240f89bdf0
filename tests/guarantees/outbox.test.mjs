// The outbox: every mail is sent at least once, whatever fails in between, each time with the same id. Time is moved in the
// rows, never waited for.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";

import { many, startWorker } from "../support/harness.mjs";
import { countInTrail, makeDue, outbox, postAndWait, runOutbox, startMailServer } from "../support/mail-server.mjs";

let api, worker, user;
before(async () => {
  api = await startMailServer();
  const http = { MAIL: "http", MAIL_FROM: "auth@example.org", MAIL_URL: api.url, MAIL_KEY: "key" };
  worker = await startWorker({ vars: { EMAIL_LOGIN: "on", ...http } });
});
after(async () => {
  await worker.close();
  await api.close();
});
beforeEach(async () => {
  const tables = ["outbox", "mail_budgets", "challenges"];
  await worker.db.batch(tables.map((table) => worker.db.prepare(`DELETE FROM ${table}`)));
  api.reset();
  user = await worker.register();
  worker.logged();
});

const forgot = (options) => postAndWait(worker, "/password/forgot", { email: user.email }, options);
/** The ids and recipients of the mails that the server got since the last call. */
const taken = () => api.take().map(({ headers, body }) => [headers["idempotency-key"], body.to[0]]);
const reasons = (kind) => worker.events(kind).map(({ reason }) => reason);
const id = () => randomBytes(16).toString("base64url");

/** Inserts notices about the user that are due, and returns their ids. */
async function insertNotices(count, columns = {}) {
  const rows = many(count, (number) => {
    const row = {
      id: id(),
      kind: "password_changed",
      user_id: user.user.id,
      email: `notice-${number}@example.org`,
      locale: "en",
      at: Math.floor(Date.now() / 1000),
      attempts: 0,
      claimed_until: number,
      ...columns,
    };
    const names = Object.keys(row);
    const sql = `INSERT INTO outbox (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
    return { row, statement: worker.db.prepare(sql).bind(...Object.values(row)) };
  });
  await worker.db.batch(rows.map(({ statement }) => statement));
  return rows.map(({ row }) => row.id);
}

/** Moves the mails of the outbox that far into the past, and makes them due. */
function age(seconds) {
  return worker.db.batch([
    worker.db.prepare("UPDATE outbox SET at = at - ?1, claimed_until = 0").bind(seconds),
    worker.db.prepare("UPDATE challenges SET created_at = created_at - ?1, expires_at = expires_at - ?1").bind(seconds),
  ]);
}

/** The storage calls of a request for a code: those before the response, and those after it. */
async function callsOfRequest() {
  const { calls } = await forgot();
  const traces = ["challenges", "audit_events"];
  await worker.db.batch(traces.map((table) => worker.db.prepare(`DELETE FROM ${table}`)));
  api.take();
  worker.logged();
  return { before: calls.filter((call) => !call.afterResponse).length, all: calls.length };
}

test("if the Worker ends between the response and the sending, the scheduled event sends the mail", async () => {
  const { before } = await callsOfRequest();
  // The work after the response waits for ever, as if it had ended.
  const plan = worker.plan({ at: before + 1, does: "hold for ever" });
  const { status } = await worker.post("/password/forgot", { json: { email: user.email }, headers: plan.headers });
  assert.equal(status, 202);
  assert.ok(await plan.untilHeld());
  assert.deepEqual(taken(), []);
  await runOutbox(worker);
  assert.deepEqual(
    taken().map(([, to]) => to),
    [user.email],
  );
  assert.deepEqual(await outbox(worker), []);
  // If it had not ended but was slow, it finds nothing to send.
  plan.release();
  await plan.untilEnded();
  assert.deepEqual(taken(), []);
  assert.equal(await countInTrail(worker, user, "mail_sent"), 1);
});

test("a mail that is being sent is not sent by another run", async () => {
  const { before } = await callsOfRequest();
  const plan = worker.plan({ at: before + 1, does: "hold answer" });
  await worker.post("/password/forgot", { json: { email: user.email }, headers: plan.headers });
  assert.ok(await plan.untilHeld());
  await runOutbox(worker);
  assert.deepEqual(taken(), []);
  plan.release();
  await plan.untilEnded();
  assert.equal(taken().length, 1);
  assert.deepEqual(await outbox(worker), []);
});

test("of two runs that have found the same mail, one sends it", async () => {
  const { before } = await callsOfRequest();
  const slow = worker.plan({ at: before + 1, does: "hold" });
  await worker.post("/password/forgot", { json: { email: user.email }, headers: slow.headers });
  assert.ok(await slow.untilHeld());
  const [arrived, answered] = [Promise.withResolvers(), Promise.withResolvers()];
  api.hold = () => {
    arrived.resolve();
    return answered.promise;
  };
  const run = runOutbox(worker);
  await arrived.promise;
  slow.release();
  await slow.untilEnded();
  assert.equal(taken().length, 1);
  answered.resolve();
  await run;
  assert.deepEqual(taken(), []);
  assert.deepEqual(await outbox(worker), []);
});

test("a mail whose sender has ended is sent again after its lease, with the same id, and counted once", async () => {
  const { before } = await callsOfRequest();
  const plan = worker.plan({ at: before + 1, does: "hold answer" });
  await worker.post("/password/forgot", { json: { email: user.email }, headers: plan.headers });
  assert.ok(await plan.untilHeld());
  const [{ claimed_until }] = await outbox(worker);
  const lease = claimed_until - Date.now() / 1000;
  assert.ok(lease > 30 && lease <= 60, `${lease}`);
  await makeDue(worker);
  await runOutbox(worker);
  plan.release();
  await plan.untilEnded();
  const ids = taken().map(([mail]) => mail);
  assert.equal(ids.length, 2);
  assert.equal(new Set(ids).size, 1);
  assert.deepEqual(await outbox(worker), []);
  assert.equal(await countInTrail(worker, user, "mail_sent"), 1);
});

test("a sender that was overtaken does not move the next attempt", async () => {
  const { before } = await callsOfRequest();
  const plan = worker.plan({ at: before + 1, does: "hold answer" });
  await worker.post("/password/forgot", { json: { email: user.email }, headers: plan.headers });
  assert.ok(await plan.untilHeld());
  await makeDue(worker);
  api.answers = [{ status: 503, headers: { "Retry-After": "3000" } }, { status: 503 }];
  await runOutbox(worker);
  const [postponed] = await outbox(worker);
  plan.release();
  await plan.untilEnded();
  assert.deepEqual(await outbox(worker), [postponed]);
});

for (const does of ["fail", "lose"]) {
  test(`if D1 has a fault (${does}) at any call of a request, no mail is lost, and none is sent more than twice`, async () => {
    const { before, all } = await callsOfRequest();
    assert.ok(all - before >= 2);
    for (let at = 1; at <= all; at += 1) {
      await worker.db.prepare("DELETE FROM challenges").run();
      const plan = worker.plan({ at, does });
      const headers = { ...plan.headers, "CF-Connecting-IP": `198.51.100.${at}` };
      const { status } = await worker.post("/password/forgot", { json: { email: user.email }, headers });
      await plan.untilEnded();
      const waiting = await outbox(worker);
      await makeDue(worker);
      await runOutbox(worker);
      const sent = taken().map(([mail]) => mail);
      assert.equal(new Set(sent).size, status === 202 || waiting.length > 0 ? 1 : 0, `call ${at}: ${status}`);
      assert.ok(sent.length <= 2, `call ${at}`);
      assert.deepEqual(await outbox(worker), []);
      await worker.db.prepare("DELETE FROM mail_budgets").run();
    }
  });

  test(`if D1 has a fault (${does}) at any call of the scheduled event, no mail is lost, and none is sent more than twice`, async () => {
    await insertNotices(7);
    const usual = await (await runOutbox(worker)).untilEnded();
    assert.equal(taken().length, 7);
    for (let at = 1; at <= usual.length; at += 1) {
      await worker.db.prepare("DELETE FROM mail_budgets").run();
      const ids = await insertNotices(7);
      await runOutbox(worker, { at, does });
      const first = taken().map(([mail]) => mail);
      await makeDue(worker);
      await runOutbox(worker);
      const sent = [...first, ...taken().map(([mail]) => mail)];
      assert.deepEqual(new Set(sent), new Set(ids), `call ${at}`);
      for (const mail of ids) assert.ok(sent.filter((other) => other === mail).length <= 2, `call ${at}`);
      assert.deepEqual(await outbox(worker), []);
    }
  });
}

test("a mail that fails does not keep the others from being sent, nor does a corrupt one", async () => {
  const [unknown] = await insertNotices(1, { kind: "of_tomorrow", email: "tomorrow@example.org" });
  const challenge = id();
  await worker.db
    .prepare(
      "INSERT INTO challenges (id, purpose, user_id, email_key, salt, source, tries, created_at, expires_at, locale) " +
        "VALUES (?, 'reset', 'not an id', 'x', 'x', '', 0, 0, unixepoch() + 600, 'en')",
    )
    .bind(challenge)
    .run();
  const [corrupt] = await insertNotices(1, { kind: "reset", challenge_id: challenge, email: "corrupt@example.org" });
  const others = await insertNotices(8);
  const answers = { "notice-0@example.org": 500, "notice-3@example.org": 400, "notice-7@example.org": 302 };
  api.answer = ({ to }) => ({ status: answers[to[0]] ?? 200 });
  await runOutbox(worker);
  assert.equal(taken().length, 8);
  assert.equal(worker.events("mail_sent").length, 5);
  const left = (await outbox(worker)).map((row) => row.id);
  assert.deepEqual(
    left,
    [unknown, others[0], others[7]].toSorted((a, b) => (a < b ? -1 : 1)),
  );
  assert.ok(!left.includes(corrupt));
});

test("a run sends several mails at once, but at most five, and at most 45 in all", async () => {
  const ids = await insertNotices(60);
  let begun = 0;
  const five = Promise.withResolvers();
  api.hold = () => {
    begun += 1;
    if (begun === 5) five.resolve();
    return five.promise;
  };
  await runOutbox(worker);
  const first = taken().map(([mail]) => mail);
  assert.equal(api.most, 5);
  // Those that wait longest come first.
  assert.deepEqual(new Set(first), new Set(ids.slice(0, 45)));
  await runOutbox(worker);
  assert.deepEqual(new Set(taken().map(([mail]) => mail)), new Set(ids.slice(45)));
  assert.deepEqual(await outbox(worker), []);
});

test("a run leaves the requests that the owed marks may take", async () => {
  await insertNotices(45);
  worker.logged();
  const calls = await (await runOutbox(worker)).untilEnded();
  assert.equal(taken().length, 45);
  // Of 1,000 requests of an invocation, the owed marks take at most 816, and each mail one besides its storage calls.
  assert.ok(816 + calls.length + 45 <= 1_000, `${calls.length}`);
});

test("an unavailable API is tried for a day, ever more rarely, then the mail is given up", async () => {
  const [mail] = await insertNotices(1);
  api.answer = { status: 503 };
  const waits = [];
  for (let passed = 0; (await outbox(worker)).length > 0; ) {
    await runOutbox(worker);
    const [row] = await outbox(worker);
    if (row === undefined) break;
    const wait = row.claimed_until - Math.floor(Date.now() / 1000);
    waits.push(Math.round(wait / 60));
    passed += wait;
    assert.ok(passed < 100_000);
    await age(wait);
  }
  assert.deepEqual(waits.slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
  assert.ok(waits.slice(8).every((minutes) => minutes === 60));
  const sent = taken().map(([id]) => id);
  assert.ok(sent.length >= 28 && sent.length <= 32, `${sent.length}`);
  assert.deepEqual(new Set(sent), new Set([mail]));
  const [event] = worker.events("mail_failed");
  assert.deepEqual([event.level, event.mail_id, event.reason], ["error", mail, "status_503"]);
  assert.equal(await countInTrail(worker, user, "mail_failed"), 1);
  assert.equal(await countInTrail(worker, user, "mail_sent"), 0);
});

test("a later attempt says the same, as services demand of one idempotency key", async () => {
  api.answer = { status: 409 };
  await forgot();
  await age(120);
  await runOutbox(worker);
  for (const { body } of api.take()) assert.match(body.text, /valid for 30 minutes/);
  assert.deepEqual(reasons("mail_delayed"), ["status_409", "status_409"]);
});

test("a mail with a code is given up with its code", async () => {
  api.answer = { status: 503 };
  await forgot();
  await age(1_790);
  await runOutbox(worker);
  assert.equal(taken().length, 2);
  await age(10);
  await runOutbox(worker);
  assert.deepEqual(taken(), []);
  assert.deepEqual(reasons("mail_failed"), ["expired"]);
  assert.deepEqual(await outbox(worker), []);
  assert.equal(await countInTrail(worker, user, "mail_failed"), 1);
});

test("a mail that was never tried before its code expired is reported too", async () => {
  const { before } = await callsOfRequest();
  const plan = worker.plan({ at: before + 1, does: "fail" });
  await worker.post("/password/forgot", { json: { email: user.email }, headers: plan.headers });
  await plan.untilEnded();
  await age(1_800);
  await worker.db.prepare("DELETE FROM challenges").run();
  worker.logged();
  await runOutbox(worker);
  assert.deepEqual(reasons("mail_failed"), ["expired"]);
});

test("a mail whose code was used is neither sent again nor reported", async () => {
  api.answers = ["cut"];
  const { body } = await forgot();
  const [{ body: mail }] = api.take();
  const [code] = mail.text.match(/\b[0-9A-Z]{4}-[0-9A-Z]{4}\b/);
  const json = { challenge: body.challenge, code, new_password: "another correct horse battery" };
  assert.equal((await postAndWait(worker, "/password/reset", json)).status, 200);
  assert.match(api.take()[0].body.subject, /password/i);
  await makeDue(worker);
  worker.logged();
  await runOutbox(worker);
  assert.deepEqual(taken(), []);
  assert.deepEqual(await outbox(worker), []);
  assert.deepEqual(worker.events("mail_failed"), []);
});

test("mails wait while MAIL is not set", async () => {
  await worker.update({ vars: { MAIL: null } });
  const [mail] = await insertNotices(1);
  await runOutbox(worker);
  assert.equal((await outbox(worker)).length, 1);
  await worker.update();
  await runOutbox(worker);
  assert.deepEqual(
    taken().map(([sent]) => sent),
    [mail],
  );
});
