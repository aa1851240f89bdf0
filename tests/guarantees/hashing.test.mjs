// The hashing queue: the memory of concurrent logins, and that other requests are served between hashes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { from, ipAddress, phc, startWorker } from "../support/harness.mjs";

const BURST = 60;

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** The WebAssembly memory after each request since the last call, in KiB. */
const memory = () => worker.events("costs").map(({ memory_kib }) => memory_kib);

/** An address for each number. */
const fromAddress = (number) => from(ipAddress(number));

test("sixty concurrent logins succeed in order of arrival, with the memory of one", async () => {
  const users = await worker.insertUsers(BURST);
  await worker.login(users[0]);
  await worker.warmUp(BURST);
  const [one] = memory().slice(-1);
  const [arrived, served] = [[], []];
  const logins = users.map(async (user, turn) => {
    const plan = worker.plan({});
    const { headers } = fromAddress(turn);
    plan.untilBegun().then(() => arrived.push(turn));
    const answer = await worker.login(user, { headers: { ...headers, ...plan.headers } });
    served.push(turn);
    return answer.status;
  });
  assert.deepEqual(new Set(await Promise.all(logins)), new Set([200]));
  // Before and after hashing, requests may overtake one another.
  const displaced = served.filter((turn, place) => Math.abs(arrived.indexOf(turn) - place) > BURST / 10);
  assert.ok(displaced.length <= BURST / 10, `arrived: ${arrived.join(" ")}\nserved: ${served.join(" ")}`);
  const after = memory();
  assert.equal(after.length, BURST);
  // Each waiting request takes some KiB. A second hash would take 7 MiB.
  assert.ok(Math.max(...after) - one < 1024, `${one} KiB after one, ${Math.max(...after)} KiB after ${BURST}`);
});

test("other requests are served between the hashes", async () => {
  const users = await worker.insertUsers(BURST);
  const { access_token } = (await worker.login(users[0])).body;
  await worker.warmUp(BURST);
  const served = [];
  const keep = (name) => (answer) => served.push(name) && answer.status;
  const logins = users.map((user, turn) => worker.login(user, fromAddress(turn)).then(keep("login")));
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
  assert.ok(waited < 36 + 12, `the twelve other requests were answered only after ${waited - 11} of ${BURST} logins`);
});

test("a login name has four places in the queue, at most three for one source, whether or not the account exists", async () => {
  const [user] = await worker.insertUsers(1);
  for (const email of [user.email, "nobody.at.all@example.org"]) {
    await worker.warmUp(12);
    await worker.forgetFailures();
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => worker.login({ email, password: "wrong" }, fromAddress(1))),
    );
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(new Set(statuses), new Set([401, 429]), statuses.join(" "));
    for (const answer of answers.filter(({ status }) => status === 429))
      assert.ok(["too_many_requests", "too_many_attempts"].includes(answer.body.code), answer.text);
  }
  await worker.forgetFailures();
  const flood = Array.from({ length: 12 }, () => worker.login({ ...user, password: "wrong" }, fromAddress(1)));
  const [owner] = await Promise.all([worker.login(user, fromAddress(2)), ...flood]);
  assert.equal(owner.status, 200);
});

test("a login with a user id as its identifier takes no place of that user", async () => {
  const user = await worker.register();
  const flood = Array.from({ length: 12 }, () =>
    worker.post("/login", { json: { email: user.user.id, password: "wrong" }, ...fromAddress(1) }),
  );
  const own = worker.stepUp(user, fromAddress(1));
  assert.equal((await own).status, 200);
  await Promise.all(flood);
});

test("stored hashes that need more memory than ours do not accumulate memory", async () => {
  const user = await worker.register();
  const [store] = [worker.db.prepare("UPDATE users SET password_hash = ? WHERE id = ?")];
  const logInRepeatedly = async () => {
    for (let count = 0; count < 6; count += 1) {
      const { access_token } = (await worker.login(user)).body;
      await worker.verify(access_token);
    }
  };
  worker.events();
  for (const costlier of [
    { memory: 19_456, passes: 2 },
    { memory: 47_104, passes: 1 },
    { memory: 65_536, passes: 1 },
    { memory: 65_536, passes: 2 },
  ]) {
    await store.bind(phc(costlier), user.user.id).run();
    await logInRepeatedly();
  }
  const max = Math.max(...memory());
  // Our hash (7 MiB), the largest stored one (64 MiB), and everything else.
  assert.ok(max < (7 + 64 + 12) * 1024, `${max} KiB`);
});
