// Hashing takes turns: what many log-ins at once cost, and that others are answered in between.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, phc, startWorker } from "./harness.mjs";

const BURST = 100;

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** The WebAssembly memory after each request that was logged since the last call. */
const memory = () => worker.events("costs").map(({ memory_kib }) => memory_kib);

test("a hundred log-ins at once all succeed, in the order they came, in the memory of one", async () => {
  const person = await worker.register();
  await worker.login(person);
  await worker.warmUp(BURST);
  const [one] = memory().slice(-1);
  const served = [];
  const logins = Array.from({ length: BURST }, async (_, turn) => {
    const answer = await worker.login(person);
    served.push(turn);
    return answer.status;
  });
  assert.deepEqual(new Set(await Promise.all(logins)), new Set([200]));
  // Before they come to hash, and after, requests may overtake one another by a few.
  const farthest = Math.max(...served.map((turn, place) => Math.abs(turn - place)));
  assert.ok(farthest <= BURST / 10, `served in the order ${served.join(" ")}`);
  const after = memory();
  assert.equal(after.length, BURST);
  // Each waiting request is some KiB, a hash would be 7 MiB.
  assert.ok(Math.max(...after) - one < 1024, `${one} KiB after one, ${Math.max(...after)} KiB after a hundred`);
});

test("others are answered between the hashes", async () => {
  const person = await worker.register();
  await worker.warmUp(BURST);
  const served = [];
  const keep = (name) => (answer) => served.push(name) && answer.status;
  const logins = Array.from({ length: BURST / 2 }, () => worker.login(person).then(keep("login")));
  const others = async () => {
    for (let count = 0; count < 4; count += 1) {
      const answers = ["/me", "/verify", "/healthz"].map((path) => worker.get(path, { bearer: person.access_token }).then(keep(path)));
      assert.deepEqual(await Promise.all(answers), [200, 200, 200]);
    }
  };
  const [statuses] = await Promise.all([Promise.all(logins), others()]);
  assert.deepEqual(new Set(statuses), new Set([200]));
  const waited = served.findLastIndex((name) => name !== "login");
  assert.ok(waited < 36 + 12, `twelve requests, four rounds, were answered when ${waited - 11} of ${BURST / 2} log-ins were`);
});

test("more than may wait are turned away, and the others served", async () => {
  const person = await worker.register();
  const answers = await Promise.all(Array.from({ length: 320 }, () => worker.login(person)));
  const refused = answers.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 0 && refused.length <= 320 - 256, `${refused.length} were refused`);
  for (const answer of refused) assertProblem(answer, 503, "overloaded");
  assert.equal((await worker.login(person)).status, 200);
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
  for (const dearer of [{ memory: 19_456, passes: 2 }, { memory: 47_104, passes: 1 }, { memory: 65_536, passes: 1 }, { memory: 65_536, passes: 2 }]) {
    await store.bind(phc(dearer), person.user.id).run();
    await lookAround();
  }
  const most = Math.max(...memory());
  // That of today, 7 MiB, the dearest, and what else there is.
  assert.ok(most < (7 + 64 + 12) * 1024, `${most} KiB`);
});
