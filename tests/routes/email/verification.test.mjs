// POST /email/verify/send and /email/verify, for an account.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { STOPPED } from "../../support/clocks.mjs";
import { assertProblem, from, PASSWORD, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";

let worker;
let mails;
let ada;
before(async () => {
  worker = await startWorker({ vars: MAIL_VARS, clock: STOPPED });
  mails = new Mails(worker);
});
after(() => worker.close());
beforeEach(async () => {
  ada = await worker.register();
  await mails.forget();
});

const send = (json, bearer) => worker.post("/email/verify/send", { json, bearer });
const verify = (json, options) => worker.post("/email/verify", { json, ...options });
const isVerified = async (user = ada) => (await worker.account(user)).email_verified_at !== null;

/** Asks for a code for the signed-in user, and returns the challenge with the mail. */
async function asked(user = ada) {
  const { status, body, text } = await send({}, user.access_token);
  assert.equal(status, 202, text);
  return { challenge: body.challenge, ...(await mails.only("verify")) };
}

test("a code verifies the address, and the sessions stay", async () => {
  const { challenge, code } = await asked();
  const answer = await verify({ challenge, code });
  assert.deepEqual([answer.status, answer.text], [204, ""]);
  assert.equal((await worker.me(ada.access_token)).body.email_verified, true);
  await worker.assertLive(ada);
  assertProblem(await verify({ challenge, code }), 400, "invalid_code");
  const { events } = (await worker.get("/me/events", { bearer: ada.access_token })).body;
  assert.equal(events.filter(({ kind }) => kind === "email_verified").length, 1);
});

test("a link verifies the address only together with a session or the password", async () => {
  const { token } = await asked();
  assertProblem(await verify({ token }), 401, "missing_token");
  assertProblem(await verify({ token }, { bearer: "x" }), 401, "invalid_token");
  const other = await worker.register();
  assertProblem(await verify({ token }, { bearer: other.access_token }), 400, "invalid_code");
  assertProblem(await verify({ token, password: "wrong" }), 403, "wrong_password");
  assert.equal(await isVerified(), false);
  assert.equal((await verify({ token, password: PASSWORD })).status, 204);
  assert.equal(await isVerified(), true);

  ada = await worker.register();
  const second = await asked();
  assert.equal((await verify({ token: second.token }, { bearer: ada.access_token })).status, 204);
  assert.equal(await isVerified(), true);
});

test("wrong passwords beside a link count as failed logins", async () => {
  const { token } = await asked();
  for (let tries = 0; tries < 5; tries += 1)
    assertProblem(await verify({ token, password: "wrong" }), 403, "wrong_password");
  assertProblem(await verify({ token, password: PASSWORD }), 429, "too_many_attempts");
  assertProblem(await worker.login(ada), 429, "too_many_attempts");
  await worker.forgetFailures();
  assert.equal((await verify({ token, password: PASSWORD })).status, 204);
});

test("the mail of a challenge is sent again without a session", async () => {
  const first = await asked();
  const again = await send({ challenge: first.challenge });
  assert.deepEqual([again.status, again.body.challenge], [202, first.challenge]);
  const { code } = await mails.only("verify");
  assert.equal(code, first.code);
  const unknown = await send({ challenge: "pcch_x" });
  assert.deepEqual([unknown.status, unknown.body.challenge], [202, "pcch_x"]);
  assert.deepEqual(await mails.take(), []);
});

test("without a challenge a request needs an access token", async () => {
  assertProblem(await send({}), 401, "missing_token");
  assertProblem(await send({}, "x"), 401, "invalid_token");
  await worker.disable(ada);
  assertProblem(await send({}, ada.access_token), 401, "invalid_token");
  assert.deepEqual(await mails.take(), []);
});

test("five codes may be tried within ten minutes", async () => {
  const [first, second] = [await asked(), await asked()];
  const wrong = first.code === "0000-0000" ? "1111-1111" : "0000-0000";
  for (let tries = 0; tries < 5; tries += 1)
    assertProblem(await verify({ challenge: first.challenge, code: wrong }), 400, "invalid_code");
  assertProblem(await verify({ challenge: first.challenge, code: first.code }), 400, "invalid_code");
  await worker.advance(600);
  assertProblem(await verify({ challenge: second.challenge, code: second.code }), 400, "invalid_code");
  assert.equal(await isVerified(), false);
});

test("one code presented 20 times at once verifies once", async () => {
  const { challenge, code } = await asked();
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, number) => verify({ challenge, code }, from(`198.51.100.${number}`))),
  );
  assert.equal(answers.filter(({ status }) => status === 204).length, 1);
});

test("a code for another purpose does not verify", async () => {
  const { body } = await worker.post("/password/forgot", { json: { email: ada.email } });
  const { code, token } = await mails.only("reset");
  assertProblem(await verify({ challenge: body.challenge, code }), 400, "invalid_code");
  assertProblem(await verify({ token }, { bearer: ada.access_token }), 400, "invalid_code");
  assert.equal(await isVerified(), false);
});

test("malformed requests are refused and change nothing", async () => {
  const { challenge, code, token } = await asked();
  const before = await worker.dump();
  for (const json of [{}, { challenge }, { code }, { challenge, code, token }, { challenge, code, password: "x" }])
    assertProblem(await verify(json), 400, "invalid_request");
  for (const json of [{ email: ada.email }, { challenge: 1 }]) assertProblem(await send(json), 400, "invalid_request");
  assert.deepEqual(await worker.dump(), before);
});
