// Hashing takes turns: what many log-ins at once cost, and that others are answered in between.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { assertProblem, phc, startWorker } from "../support/harness.mjs";

const BURST = 100;
/** Of "correct horse", by another implementation. */
const BCRYPT_12 = "$2b$12$abcdefghijklmnopqrstuuFDJRuYeKkCzo3Wy7h8SxhBSHBAHiPK2";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** The WebAssembly memory after each request that was logged since the last call. */
const memory = () => worker.events("costs").map(({ memory_kib }) => memory_kib);

/** Accounts with one password, as many as that, without hashing it for each. */
async function crowd(count, password_hash) {
  const template = await worker.register();
  const ids = Array.from({ length: count }, () => randomBytes(16).toString("base64url"));
  const insert = worker.db.prepare(
    "INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at) SELECT ?1, ?2, ?2, COALESCE(?4, password_hash), 0, slot, roles, created_at FROM users WHERE id = ?3",
  );
  const people = ids.map((id) => ({ email: `${id.toLowerCase()}@example.org`, password: template.password, id }));
  await worker.db.batch(people.map(({ id, email }) => insert.bind(id, email, template.user.id, password_hash ?? null)));
  return people;
}

/** A source of its own for each number. */
const from = (number) => ({
  headers: { "CF-Connecting-IP": `198.51.${100 + Math.floor(number / 250)}.${(number % 250) + 1}` },
});

test("a hundred log-ins at once all succeed, in the order they came, in the memory of one", async () => {
  const people = await crowd(BURST);
  await worker.login(people[0]);
  await worker.warmUp(BURST);
  const [one] = memory().slice(-1);
  const served = [];
  const logins = people.map(async (person, turn) => {
    const answer = await worker.login(person, from(turn));
    served.push(turn);
    return answer.status;
  });
  assert.deepEqual(new Set(await Promise.all(logins)), new Set([200]));
  // Before they come to hash, and after, requests may overtake one another.
  const displaced = served.filter((turn, place) => Math.abs(turn - place) > BURST / 10);
  assert.ok(displaced.length <= BURST / 10, `served in the order ${served.join(" ")}`);
  const after = memory();
  assert.equal(after.length, BURST);
  // Each waiting request is some KiB, a hash would be 7 MiB.
  assert.ok(Math.max(...after) - one < 1024, `${one} KiB after one, ${Math.max(...after)} KiB after a hundred`);
});

test("others are answered between the hashes", async () => {
  const people = await crowd(BURST / 2);
  const { access_token } = (await worker.login(people[0])).body;
  await worker.warmUp(BURST);
  const served = [];
  const keep = (name) => (answer) => served.push(name) && answer.status;
  const logins = people.map((person, turn) => worker.login(person, from(turn)).then(keep("login")));
  const others = async () => {
    for (let count = 0; count < 4; count += 1) {
      const answers = ["/me", "/verify", "/healthz"].map((path) =>
        worker.get(path, { bearer: access_token }).then(keep(path)),
      );
      assert.deepEqual(await Promise.all(answers), [200, 200, 200]);
    }
  };
  const [statuses] = await Promise.all([Promise.all(logins), others()]);
  assert.deepEqual(new Set(statuses), new Set([200]));
  const waited = served.findLastIndex((name) => name !== "login");
  assert.ok(
    waited < 36 + 12,
    `twelve requests, four rounds, were answered when ${waited - 11} of ${BURST / 2} log-ins were`,
  );
});

test("more than may wait are refused, and the others served", async () => {
  const people = await crowd(400);
  const answers = await Promise.all(people.map((person, turn) => worker.login(person, from(turn))));
  const refused = answers.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 0 && refused.length < 400 - 200, `${refused.length} were refused`);
  for (const answer of refused) {
    assertProblem(answer, 503, "overloaded");
    assert.match(answer.headers.get("retry-after"), /^[1-5]$/, "what waits is at most four seconds of work");
  }
  const { count } = worker.events("overloaded")[0];
  assert.equal(count, 1, "the first is told at once");
  assert.equal((await worker.login(people[0])).status, 200);
});

test("one source holds a quarter of the places, and others are served beside it", async () => {
  const people = await crowd(130);
  await worker.warmUp(130);
  const flood = people.slice(0, 120).map((person) => worker.login(person, from(1)));
  const others = people.slice(120).map((person, turn) => worker.login(person, from(2 + turn)));
  assert.deepEqual(new Set((await Promise.all(others)).map(({ status }) => status)), new Set([200]));
  const answers = await Promise.all(flood);
  const refused = answers.filter(({ status }) => status !== 200);
  for (const answer of refused) assertProblem(answer, 429, "too_many_requests");
  assert.ok(refused.length > 0 && refused.length <= 120 - 64, `${refused.length} were refused`);
});

test("one account has four places, whoever asks, and a single source three of them, whether there is such an account or not", async () => {
  const [person] = await crowd(1);
  for (const email of [person.email, "nobody.at.all@example.org"]) {
    await worker.warmUp(12);
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => worker.login({ email, password: "wrong" }, from(1))),
    );
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(new Set(statuses), new Set([401, 429]), statuses.join(" "));
    for (const answer of answers.filter(({ status }) => status === 429))
      assertProblem(answer, 429, "too_many_requests");
  }
  const flood = Array.from({ length: 12 }, () => worker.login({ ...person, password: "wrong" }, from(1)));
  const [owner] = await Promise.all([worker.login(person, from(2)), ...flood]);
  assert.equal(owner.status, 200);
});

test("a log-in by a text that is somebody's id takes no place of theirs", async () => {
  const person = await worker.register();
  const flood = Array.from({ length: 12 }, () =>
    worker.post("/login", { json: { email: person.user.id, password: "wrong" }, ...from(1) }),
  );
  const own = worker.patch("/me", {
    bearer: person.access_token,
    json: { username: "undisturbed", current_password: person.password },
    ...from(1),
  });
  assert.equal((await own).status, 200);
  await Promise.all(flood);
});

test("a hash is priced, so that dear ones are refused earlier, and do not keep today's waiting", async () => {
  const dear = await crowd(30, BCRYPT_12);
  const [ours] = await crowd(1);
  await worker.warmUp(31);
  const served = [];
  const keep = (name) => (answer) => served.push(name) && answer.status;
  const logins = dear.map((person, turn) =>
    worker.login({ ...person, password: "correct horse" }, from(turn)).then(keep("dear")),
  );
  const own = setTimeout(100)
    .then(() => worker.login(ours, from(100)))
    .then(keep("ours"));
  const statuses = await Promise.all([...logins, own]);
  assert.equal(statuses.at(-1), 200);
  const answered = statuses.filter((status) => status === 200).length - 1;
  assert.ok(
    answered >= 2 && statuses.filter((status) => status === 503).length === dear.length - answered,
    statuses.join(" "),
  );
  const behind = served.slice(served.indexOf("ours")).length - 1;
  assert.ok(behind >= 1, `all ${answered} dear ones were served before ours`);
});

test("hashes that need more memory than today's do not add up", async () => {
  const person = await worker.register();
  const [store] = [worker.db.prepare("UPDATE users SET password_hash = ? WHERE id = ?")];
  const lookAround = async () => {
    for (let count = 0; count < 20; count += 1) {
      const { access_token } = (await worker.login(person)).body;
      await worker.verify(access_token);
    }
  };
  worker.events();
  for (const dearer of [
    { memory: 19_456, passes: 2 },
    { memory: 47_104, passes: 1 },
    { memory: 65_536, passes: 1 },
    { memory: 65_536, passes: 2 },
  ]) {
    await store.bind(phc(dearer), person.user.id).run();
    await lookAround();
  }
  const most = Math.max(...memory());
  // That of today, 7 MiB, the dearest, and what else there is.
  assert.ok(most < (7 + 64 + 12) * 1024, `${most} KiB`);
});
