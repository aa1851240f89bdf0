// Hashing takes turns: what many log-ins at once cost, and that others are answered in between.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startWorker } from "./harness.mjs";

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
