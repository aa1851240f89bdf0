// Attacks, simulated: how many guesses are judged, what the owner of the account notices, and what each attack costs in D1, KV
// and memory. The clock stands still, and moves only where a test advances it, so a day of guessing takes seconds.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { STOPPED } from "../support/clocks.mjs";
import { assertProblem, ipAddress, many, PASSWORD, startWorker } from "../support/harness.mjs";
import { assertThrottled, Throttles } from "../support/throttles.mjs";

const [HOUR, DAY] = [3600, 86_400];
const NEW = "four ponies sing quietly at noon";
/** The maximum growth of the memory in an attack, in KiB: of 1,000 requests at once, each may take twelve. */
const MAX_GROWTH = 12_288;

let worker, throttles;
before(async () => {
  worker = await startWorker({ clock: STOPPED });
  throttles = new Throttles(worker);
});
after(() => worker.close());
/** Deletes what attacks have left. */
async function forget() {
  await worker.db.batch(["throttles", "audit_events"].map((table) => worker.db.prepare(`DELETE FROM ${table}`)));
  worker.events();
}
beforeEach(forget);

const login = (json, ip, headers) =>
  worker.post("/login", { json: { password: PASSWORD, ...json }, headers: { "CF-Connecting-IP": ip, ...headers } });
const guess = (json, ip, headers) => login({ ...json, password: "wrong" }, ip, headers);
const waitOf = (answer) => Number(answer.headers.get("retry-after"));
const isThrottled = ({ body }) => body.code === "too_many_attempts";

/** What the logged requests have cost since the last call. */
function spent() {
  const costs = worker.events("costs");
  const sum = (member) => costs.reduce((total, cost) => total + cost[member], 0);
  return { trips: sum("d1_round_trips"), written: sum("d1_rows_written"), kv: sum("kv_puts") + sum("kv_gets") };
}
const audited = async () => (await worker.db.prepare("SELECT * FROM audit_events").all()).results;
/** Counts the responses by status and code. */
function tally(answers) {
  const kinds = answers.map(({ status, body }) => (status === 200 ? "200" : body.code));
  return Object.fromEntries([...Map.groupBy(kinds, (kind) => kind)].map(([kind, all]) => [kind, all.length]));
}

test("one source that guesses passwords of one account has 108 guesses judged on the first day, then 4 an hour", async () => {
  const user = await worker.registerForGuesses();
  worker.events();
  const memory = await worker.memory();
  spent();
  const judgedIn = [];
  let [asked, elapsed, judged] = [0, 0, 0];
  for (const end of [DAY, DAY + 6 * HOUR]) {
    const before = judged;
    while (elapsed < end) {
      const answer = await guess({ email: user.email }, "203.0.113.1");
      asked += 1;
      if (isThrottled(answer)) {
        // As soon as the wait is over.
        await worker.advance(waitOf(answer));
        elapsed += waitOf(answer);
      } else {
        assertProblem(answer, 401, "invalid_credentials");
        judged += 1;
      }
    }
    judgedIn.push(judged - before);
  }
  assert.deepEqual(judgedIn, [108, 24]);
  const { trips, written, kv } = spent();
  // A judged guess writes three rows: the throttle and two counts of the audit trail. The first four begin no wait, so they write
  // one count. Each count has one row an hour, whose insertion also writes an index entry. A guess during a wait writes nothing.
  const rows = await audited();
  assert.deepEqual([trips, written, kv], [asked + judged, 3 * judged - 4 + rows.length, 0]);
  assert.ok(rows.length <= 2 * 31, `${rows.length} rows of the audit trail`);
  assert.equal(Object.keys(await throttles.all()).length, 1);
  assert.ok((await worker.memory()) - memory <= MAX_GROWTH);
});

test("1,000 sources that guess one password each, at once, have at most five guesses judged", async () => {
  const user = await worker.register();
  await worker.warmUp(50);
  const memory = await worker.memory();
  spent();
  // The right password is among them.
  const RIGHT = 900;
  const guesses = many(1000, (number) => (number === RIGHT ? login : guess)({ email: user.email }, ipAddress(number)));
  // Meanwhile the owner logs in from a known device.
  const own = login({ email: user.email, device_token: user.device_token }, "192.0.2.7");
  const answers = await Promise.all(guesses);
  const counts = tally(answers);
  assert.equal((await own).status, 200);
  const judged = counts.invalid_credentials ?? 0;
  assert.ok(judged >= 1 && judged <= 5, JSON.stringify(counts));
  assert.equal(counts["200"], undefined, JSON.stringify(counts));
  for (const answer of answers.filter(isThrottled)) assertThrottled(answer, 2);
  assert.equal(judged + (counts.too_many_attempts ?? 0) + (counts.too_many_requests ?? 0), 1000);
  const rows = await audited();
  const { trips, written, kv } = spent();
  assert.ok(trips <= 2000 + 4, `${trips} round trips`);
  // At most two counts of the audit trail per judged guess; the owner's session, its index entry and the forgiven row.
  assert.ok(written <= 3 * judged + rows.length + 3, `${written} rows written`);
  assert.equal(kv, 0);
  assert.deepEqual(Object.keys(await throttles.all()), [throttles.key("email", user.email)]);
  assert.ok((await worker.memory()) - memory <= MAX_GROWTH);
});

test("one source that guesses a password of 1,000 names adds one row for each, and takes no place of known devices", async () => {
  const user = await worker.register();
  await worker.warmUp(50);
  const memory = await worker.memory();
  spent();
  const name = (number) => `sprayed-${number}@example.org`;
  const guesses = many(1000, (number) => guess({ email: name(number) }, "203.0.113.1"));
  const others = many(5, (number) => login({ email: user.email, device_token: user.device_token }, ipAddress(number)));
  const answers = await Promise.all(guesses);
  // The known devices of a user have three places of their own.
  assert.ok((tally(await Promise.all(others))["200"] ?? 0) >= 3);
  const judged = answers.flatMap(({ status }, number) => (status === 401 ? [number] : []));
  const counts = tally(answers);
  assert.equal(judged.length + (counts.too_many_requests ?? 0), 1000, JSON.stringify(counts));
  const keys = new Set(judged.map((number) => throttles.key("email", name(number))));
  assert.deepEqual(new Set(Object.keys(await throttles.all())), keys);
  // All names without an account share a row of the audit trail, which has no source.
  const rows = (await audited()).filter(({ user_id }) => user_id === "");
  assert.deepEqual(
    rows.map(({ kind, count, ip, user_agent }) => [kind, count, ip, user_agent]),
    [["login_failed", judged.length, null, null]],
  );
  const { trips, written, kv } = spent();
  // Registration and five logins aside: two rows for each judged guess, and the index entry of the count.
  assert.ok(trips <= 1000 + judged.length + 2 * 5, `${trips} round trips`);
  assert.ok(written <= 2 * judged.length + 1 + 2 * 5, `${written} rows written`);
  assert.equal(kv, 0);
  assert.ok((await worker.memory()) - memory <= MAX_GROWTH);
});

test("an attacker who asks ten times a minute delays no known device, no session, and a new device by 15 minutes at most", async () => {
  const user = await worker.register({ username: "victim" });
  const key = throttles.key("email", user.email);
  const attack = (json = { email: user.email }) => guess(json, "203.0.113.1");
  // The attacker has reached the longest wait.
  assertProblem(await attack(), 401, "invalid_credentials");
  await worker.db.prepare("UPDATE throttles SET steps = 14, failures = 50, until = last_at + 900").run();
  spent();
  // Half an hour of the attack. Every five minutes the owner logs in from a known device, and each time at once.
  let judged = 0;
  for (let second = 0; second <= HOUR / 2; second += 6) {
    if (second % 300 === 0) {
      const own = await login({ email: user.email, device_token: user.device_token }, "192.0.2.7");
      assert.equal(own.status, 200);
    }
    if (!isThrottled(await attack())) judged += 1;
    await worker.advance(6);
  }
  assert.equal(judged, 2, "one guess every 15 minutes is judged");
  const { written, kv } = spent();
  // Seven logins with two rows each, and one more for the three that reset failures in a row; two guesses with three rows each.
  // The rest are index entries.
  const rows = await audited();
  assert.ok(written <= 7 * 2 + 3 + 2 * 3 + rows.length, `${written} rows written`);
  assert.equal(kv, 0);
  // A signed-in user can change the password during the attack.
  const { access_token } = (await login({ email: user.email, device_token: user.device_token }, "192.0.2.7")).body;
  const json = { current_password: PASSWORD, new_password: NEW };
  const changed = await worker.post("/me/password", { bearer: access_token, json });
  assert.equal(changed.status, 200);
  await attack();
  // A new device waits as long as it is told, and then signs in, unless the attacker asks first after the wait.
  const told = await login({ email: user.email, password: NEW }, "192.0.2.8");
  assert.ok(isThrottled(told) && waitOf(told) <= 900, told.text);
  await worker.advance(waitOf(told) - 1);
  assertThrottled(await attack(), 1);
  await worker.advance(1);
  const own = await login({ email: user.email, password: NEW }, "192.0.2.8");
  assert.equal(own.status, 200);
  // This device is known now. The attacker waits as long as before.
  assert.equal((await throttles.row(key)).failures, 0);
  assertProblem(await attack(), 401, "invalid_credentials");
  assertThrottled(await attack(), 900);
  const known = { email: user.email, password: NEW, device_token: own.body.device_token };
  assert.equal((await login(known, "192.0.2.8")).status, 200);
  // The other name of the account was never delayed.
  assert.equal((await login({ username: "victim", password: NEW }, "192.0.2.9")).status, 200);
});

test("a flood of waiting hashes from one network delays no known device in it", async () => {
  const IP = "203.0.113.5";
  const users = await Promise.all(many(10, () => worker.register()));
  const other = await worker.register();
  const memory = await worker.memory();
  const held = async (act) => {
    const plan = worker.plan({ at: 1, does: "hold answer" });
    const answer = act(plan.headers);
    assert.equal(await plan.untilHeld(), true);
    return { plan, answer };
  };
  const round = async (number) => {
    await forget();
    const flood = [];
    for (let name = 0; name < 120; name += 1)
      flood.push(await held((headers) => guess({ email: `flood-${number}-${name}@example.org` }, IP, headers)));
    const own = [];
    for (const { email, device_token } of users)
      own.push(await held((headers) => login({ email, device_token }, IP, headers)));
    own.push(await held((headers) => login({ email: other.email }, IP, headers)));
    // All of them reach the queue together, the flood first.
    for (const { plan } of [...flood, ...own]) plan.release();
    const all = (sent) => Promise.all(sent.map(({ answer }) => answer));
    return [await all(own), await all(flood)];
  };
  let [answers, flooded] = await round(0);
  // On a slow machine the first hashes end before the last request comes, and the queue is never full.
  for (let number = 1; number < 5 && answers[10].status === 200; number += 1) [answers, flooded] = await round(number);
  assert.deepEqual(
    answers.slice(0, 10).map(({ status }) => status),
    Array(10).fill(200),
  );
  assertProblem(answers[10], 429, "too_many_requests");
  const counts = tally(flooded);
  assert.deepEqual(Object.keys(counts).sort(), ["invalid_credentials", "too_many_requests"], JSON.stringify(counts));
  assert.equal(counts.invalid_credentials + counts.too_many_requests, 120);
  const { trips, written, kv } = spent();
  assert.deepEqual(
    [trips, written, kv],
    [
      120 + counts.invalid_credentials + 2 * 10 + 1,
      // Two rows for each judged guess, and the index entry of their count.
      2 * counts.invalid_credentials + 1 + 2 * 10,
      0,
    ],
  );
  assert.ok((await worker.memory()) - memory <= MAX_GROWTH);
});
