// After 50 failed logins in a row, an unknown device needs a code from a mail beside the password.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { STOPPED } from "../../support/clocks.mjs";
import { assertProblem, startWorker } from "../../support/harness.mjs";
import { Mails } from "../../support/mails.mjs";
import { Throttles, visible } from "../../support/throttles.mjs";

let worker;
let mails;
let throttles;
let ada;
before(async () => {
  // The login by mail alone stays off.
  worker = await startWorker({ vars: { MAIL: "log" }, clock: STOPPED });
  [mails, throttles] = [new Mails(worker), new Throttles(worker)];
});
after(() => worker.close());
beforeEach(async () => {
  await throttles.clear();
  ada = await worker.register();
  await mails.forget();
});

/** Sets the failures in a row of an address. No attempt has to wait. */
async function failed(email, failures) {
  await worker.login({ email, password: "wrong" });
  const update = "UPDATE throttles SET failures = ?1, steps = 0, until = 0 WHERE key = ?2";
  await worker.db.prepare(update).bind(failures, throttles.key("email", email)).run();
}

const login = (json) => worker.post("/login", { json });
async function asked({ email }) {
  const { body } = await worker.post("/login/email", { json: { email } });
  const { code } = await mails.only("login");
  return { challenge: body.challenge, code };
}

test("from 50 failures on, no password is checked without a code, whether it is right or the account exists", async () => {
  const { email, password } = ada;
  await failed(email, 49);
  assert.equal((await worker.login(ada)).status, 200);
  await failed(email, 50);
  await failed("nobody@example.org", 50);
  const before = await throttles.all();
  worker.events();
  const answers = [
    await login({ email, password }),
    await login({ email, password: "wrong" }),
    await login({ email: "nobody@example.org", password }),
  ];
  for (const answer of answers) assertProblem(answer, 403, "mail_code_required");
  assert.equal(new Set(answers.map(visible)).size, 1);
  assert.deepEqual(await throttles.all(), before, "none of them counts");
  for (const { d1_round_trips } of worker.events("costs")) assert.equal(d1_round_trips, 1);
});

test("with a code from the mail the right password signs in, once, and the failures are forgotten", async () => {
  const { email, password } = ada;
  await failed(email, 50);
  const code = await asked(ada);
  const wrong = await login({ email, password: "wrong", ...code });
  assertProblem(wrong, 401, "invalid_credentials");
  await worker.db.prepare("UPDATE throttles SET until = 0").run();
  const right = await login({ email, password, ...code });
  assert.equal(right.status, 200, right.text);
  assert.equal((await throttles.row(throttles.key("email", email))).failures, 0);
  assertProblem(await login({ email, password, ...code }), 400, "invalid_code");
});

test("a wrong code and a code of another user are refused", async () => {
  const { email, password } = ada;
  await failed(email, 50);
  const own = await asked(ada);
  const others = await asked(await worker.register());
  assertProblem(await login({ email, password, ...others }), 400, "invalid_code");
  assertProblem(await login({ email, password, challenge: own.challenge, code: others.code }), 400, "invalid_code");
  for (const json of [{ challenge: own.challenge }, { code: own.code }])
    assertProblem(await login({ email, password, ...json }), 400, "invalid_request");
  assert.equal((await login({ email, password, ...own })).status, 200);
});

test("a known device needs no code", async () => {
  const { email, password, device_token } = ada;
  await failed(email, 60);
  assert.equal((await login({ email, password, device_token })).status, 200);
});

test("without mails, the wait alone delays", async () => {
  await worker.update({ vars: { MAIL: null } });
  const { email, password } = ada;
  await failed(email, 60);
  assert.equal((await login({ email, password })).status, 200);
  await worker.update();
});
