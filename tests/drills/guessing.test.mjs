// The drill of docs/operations/under-attack.md: a wave of guessing. tests/guarantees/abuse.test.mjs has the details.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Drill } from "../support/drills.mjs";
import { assertProblem, from, ipAddress, many } from "../support/harness.mjs";

let drill, worker;
before(async () => {
  drill = await Drill.start("under-attack.md");
  worker = drill.worker;
});
after(() => drill.close());

test("a wave is seen in the log and the database, known devices log in, and an admin lifts the wait", async () => {
  const admin = await worker.registerStrongAdmin();
  const [target, bystander] = [await worker.registerForGuesses(), await worker.registerForGuesses()];
  const login = ({ email, password }, device_token, options) =>
    worker.post("/login", { json: { email, password, device_token }, ...options });
  const known = (await login(target)).body.device_token;
  worker.events();

  // What you see.
  for (const source of many(5, ipAddress))
    assertProblem(await login({ ...target, password: "wrong" }, undefined, from(source)), 401, "invalid_credentials");
  for (const number of many(3, (n) => n))
    assertProblem(
      await login({ email: `listed-${number}@example.org`, password: "wrong" }, undefined, from(ipAddress(9))),
      401,
      "invalid_credentials",
    );
  await worker.db.prepare("UPDATE throttles SET until = last_at + 900 WHERE until > last_at").run();
  assertProblem(await login(target, undefined, from(ipAddress(7))), 429, "too_many_attempts");
  const reasons = worker.events().map(({ event, reason }) => [event, reason].join(" "));
  for (const [seen, count] of [
    ["login_failed wrong_password", 5],
    ["login_failed unknown_account", 3],
    ["too_many_requests throttled", 1],
  ])
    assert.equal(reasons.filter((line) => line === seen).length, count, seen);
  const { stdout } = await drill.next();
  assert.deepEqual(JSON.parse(stdout)[0].results, [{ names: 4, waiting: 1, fifty: 0 }]);
  drill.assertDone();

  // An admin sees the wait.
  const path = `/users/${target.user.id}/throttle`;
  const { throttles } = (await worker.get(path, { bearer: admin.access_token })).body;
  assert.deepEqual(
    throttles.map(({ of, failures }) => [of, failures]),
    [["email", 5]],
  );

  // What users notice.
  assert.equal((await login(target, known)).status, 200);
  assert.equal((await login(bystander)).status, 200);
  await worker.assertLive(target);

  // The admin lifts the wait.
  assert.equal((await worker.delete(path, { bearer: admin.access_token })).status, 204);
  assert.equal((await login(target)).status, 200);

  // How you know that it is over.
  drill.repeat();
  await worker.db.prepare("UPDATE throttles SET last_at = last_at - 3600, until = until - 3600").run();
  const over = JSON.parse((await drill.next()).stdout)[0].results[0];
  assert.equal(over.names, 0);
});
