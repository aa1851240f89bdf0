// POST /login/mfa and POST /me/step-up with codes of authenticator apps and recovery codes.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../../support/clocks.mjs";
import { Apps, totp } from "../../support/factors.mjs";
import { assertProblem, PASSWORD, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";
import { Throttles, WAITS } from "../../support/throttles.mjs";

let worker;
let mails;
let apps;
let throttles;
let ada;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL_VARS }, clock: STOPPED });
  [mails, apps, throttles] = [new Mails(worker, ["new_device"]), new Apps(worker), new Throttles(worker)];
});
after(() => worker.close());
beforeEach(async () => {
  await throttles.clear();
  ada = await apps.user();
  await mails.forget();
});

const complete = (json) => worker.post("/login/mfa", { json });
const stepUp = ({ access_token }, json) => worker.post("/me/step-up", { bearer: access_token, json });
const authentication = ({ access_token }) => {
  const { acr, amr } = decodeJwt(access_token);
  return { acr, amr };
};
const factorKey = ({ user }) => `factor:${user.id}`;
const verified = (user) => worker.setColumn(user, "email_verified_at", 1);
const codesOf = async ({ user }) =>
  (await worker.db.prepare("SELECT COUNT(*) AS n FROM recovery_codes WHERE user_id = ?").bind(user.id).first()).n;

/** The challenge and the code of a mail to the user. */
async function mailed(json) {
  const { status, body, text } = await worker.post("/login/email", { json });
  assert.equal(status, 202, text);
  return { challenge: body.challenge, mail_code: (await mails.only("login")).code };
}

test("the password and a code begin a session with two factors", async () => {
  const answer = await worker.login(ada);
  assertProblem(answer, 401, "mfa_required");
  assert.deepEqual(answer.body.methods, ["code", "recovery_code"]);
  const completed = await complete({ mfa_token: answer.body.mfa_token, code: apps.code(ada) });
  assert.equal(completed.status, 200, completed.text);
  assert.deepEqual(authentication(completed.body), { acr: "aal2", amr: ["pwd", "otp", "mfa"] });
  assert.equal(completed.body.recovery_codes, undefined);
  await worker.assertLive(completed.body);
});

test("a code of the step before is accepted, and none of an older or a later one", async () => {
  await apps.advance(60);
  const now = apps.now();
  for (const age of [60, 90, -30, -60]) {
    assertProblem(await apps.logIn(ada, { code: totp(ada.secret, now - age) }), 400, "invalid_code");
    await throttles.clear();
  }
  assert.equal((await apps.logIn(ada, { code: totp(ada.secret, now - 30) })).status, 200);
});

test("a code works once, also the one that confirmed the app", async () => {
  const code = apps.code(ada);
  assertProblem(await apps.logIn(ada, { code: totp(ada.secret, apps.now() - 30) }), 400, "invalid_code");
  assert.equal((await apps.logIn(ada, { code })).status, 200);
  assertProblem(await apps.logIn(ada, { code }), 400, "invalid_code");
  assert.equal((await throttles.row(factorKey(ada))).failures, 1, "the sign-in forgot the other one");
});

test("of fifty logins at once with one code, one begins a session", async () => {
  const tokens = await apps.beginMany(ada, 50);
  const before = (await worker.sessionIds(ada)).length;
  const code = apps.code(ada);
  const answers = await Promise.all(tokens.map((mfa_token) => complete({ mfa_token, code })));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.equal((await worker.sessionIds(ada)).length, before + 1);
});

test("a code with spaces is accepted; what is no code is refused and does not count", async () => {
  for (const code of ["", "12345", "1234567", "abcdef", "１２３４５６"]) {
    assertProblem(await apps.logIn(ada, { code }), 400, "invalid_code");
  }
  assert.equal(await throttles.row(factorKey(ada)), undefined);
  const code = apps.code(ada);
  assert.equal((await apps.logIn(ada, { code: `${code.slice(0, 3)} ${code.slice(3)}` })).status, 200);
});

test("a body has exactly one proof", async () => {
  const mfa_token = await apps.begin(ada);
  const code = apps.code(ada);
  for (const json of [
    {},
    { code, recovery_code: ada.codes[0] },
    { code, challenge: "x", mail_code: "y" },
    { code, challenge: "x" },
  ]) {
    assertProblem(await complete({ mfa_token, ...json }), 400, "invalid_request");
  }
  assert.equal((await complete({ mfa_token, code })).status, 200);
});

test("five wrong codes begin waits, in which no code is judged", async () => {
  const wrong = apps.wrong(ada);
  for (const wait of WAITS.slice(0, 8)) {
    assertProblem(await apps.logIn(ada, { code: wrong }), 400, "invalid_code");
    if (wait > 0) {
      const refused = await apps.logIn(ada, { code: apps.code(ada) });
      assertProblem(refused, 429, "too_many_attempts");
      assert.equal(refused.headers.get("retry-after"), String(wait));
      await apps.advance(wait);
    }
  }
  assert.equal((await apps.logIn(ada, { code: apps.code(ada) })).status, 200);
  assert.equal(await throttles.row(factorKey(ada)), undefined, "the completed sign-in forgets them");
});

test("of many right codes after wrong ones at once, none that comes too late is answered as right", async () => {
  const tokens = await apps.beginMany(ada, 12);
  const [last, ...others] = tokens;
  await Promise.all(others.map((mfa_token) => complete({ mfa_token, code: apps.wrong(ada) })));
  assertProblem(await complete({ mfa_token: last, code: apps.code(ada) }), 429, "too_many_attempts");
});

test("a right password neither counts nor forgets wrong codes, and strangers touch them as little", async () => {
  for (let count = 0; count < 3; count += 1) await apps.logIn(ada, { code: apps.wrong(ada) });
  const { failures } = await throttles.row(factorKey(ada));
  assert.equal(failures, 3);
  await apps.begin(ada);
  await worker.throttle(ada);
  assert.equal((await throttles.row(factorKey(ada))).failures, 3);
  await throttles.clear();
});

test("a hundred wrong codes in a row stop codes until a recovery code", async () => {
  await apps.logIn(ada, { code: apps.wrong(ada) });
  await worker.db.prepare("UPDATE throttles SET failures = 99, until = 0 WHERE key = ?").bind(factorKey(ada)).run();
  assertProblem(await apps.logIn(ada, { code: apps.wrong(ada) }), 400, "invalid_code");
  for (const days of [0, 1, 365]) {
    await worker.db
      .prepare("UPDATE throttles SET until = until - ?")
      .bind(days * 86_400)
      .run();
    assertProblem(await apps.logIn(ada, { code: apps.code(ada) }), 403, "codes_stopped");
  }
  assert.equal((await apps.logIn(ada, { recovery_code: ada.codes[0] })).status, 200);
  assert.equal((await apps.logIn(ada, { code: apps.code(ada) })).status, 200);
});

test("an admin sees wrong codes, and lifts what stops them", async () => {
  await apps.logIn(ada, { code: apps.wrong(ada) });
  await worker.db.prepare("UPDATE throttles SET failures = 100, until = 9e9 WHERE key = ?").bind(factorKey(ada)).run();
  const admin = await worker.registerAdmin();
  const path = `/users/${ada.user.id}/throttle`;
  const { body } = await worker.get(path, { bearer: admin.access_token });
  assert.deepEqual(
    body.throttles.filter(({ of }) => of === "code").map(({ failures }) => failures),
    [100],
  );
  assert.equal((await worker.delete(path, { bearer: admin.access_token })).status, 204);
  assert.equal((await apps.logIn(ada, { code: apps.code(ada) })).status, 200);
});

test("a recovery code completes a login once, and the user is told how many are left", async () => {
  const [code] = ada.codes;
  const answer = await apps.logIn(ada, { recovery_code: ` ${code.toLowerCase().replaceAll("-", " ")}` });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(authentication(answer.body), { acr: "aal2", amr: ["pwd", "recovery_code", "mfa"] });
  assert.equal(await codesOf(ada), 9);
  await mails.only("recovery_code_used");
  assertProblem(await apps.logIn(ada, { recovery_code: code }), 400, "invalid_code");
  const { body } = await worker.get("/me/events", { bearer: answer.body.access_token });
  assert.equal(body.events.filter(({ kind }) => kind === "recovery_code_used").length, 1);
});

test("of many logins at once with one recovery code, one begins a session", async () => {
  const tokens = await apps.beginMany(ada, 10);
  const answers = await Promise.all(tokens.map((mfa_token) => complete({ mfa_token, recovery_code: ada.codes[0] })));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.equal(await codesOf(ada), 9);
  await mails.only("recovery_code_used");
});

test("a recovery code of another user and a malformed one are refused", async () => {
  const eve = await apps.user();
  for (const recovery_code of [eve.codes[0], "", "AAAAAA-AAAAAA-AAAAAA-AAAAAA", "0".repeat(24)]) {
    assertProblem(await apps.logIn(ada, { recovery_code }), 400, "invalid_code");
  }
  assert.equal(await codesOf(eve), 10);
});

test("a recovery by mail begins a session that changes nothing, and is told", async () => {
  await verified(ada);
  const { challenge, mail_code: code } = await mailed({ email: ada.email });
  const begun = await worker.post("/login/email/verify", { json: { challenge, code } });
  assertProblem(begun, 401, "mfa_required");
  assert.deepEqual(begun.body.methods, ["recovery_code"], "a mailbox proves nothing that a code would complete");
  const { mfa_token } = begun.body;
  assertProblem(await complete({ mfa_token, code: apps.code(ada) }), 401, "mfa_required");
  const answer = await complete({ mfa_token, recovery_code: ada.codes[0] });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(authentication(answer.body), { acr: undefined, amr: ["email", "recovery_code"] });
  await mails.only("recovery_code_used");
  const bearer = answer.body.access_token;
  for (const [method, path, json] of [
    ["POST", "/me/mfa/totp"],
    ["DELETE", "/me/mfa/totp"],
    ["POST", "/me/mfa/recovery-codes"],
    ["POST", "/me/password", { new_password: "four ponies sing quietly at noon" }],
    ["POST", "/me/email", { new_email: "new@example.org" }],
    ["DELETE", "/me"],
    ["DELETE", "/sessions"],
  ]) {
    assertProblem(await worker.request(method, path, { bearer, json }), 401, "step_up_required");
  }
  await worker.assertLive(answer.body);
});

test("a step-up needs what a login needs, in one request", async () => {
  const { access_token } = ada;
  assertProblem(await stepUp({ access_token }, { password: PASSWORD }), 401, "mfa_required");
  assertProblem(await stepUp({ access_token }, { code: apps.code(ada) }), 401, "proof_required");
  assertProblem(await stepUp({ access_token }, { password: "wrong", code: apps.code(ada) }), 403, "wrong_password");
  assertProblem(await stepUp({ access_token }, { password: PASSWORD, code: apps.wrong(ada) }), 400, "invalid_code");
  const both = { password: PASSWORD, code: apps.code(ada), recovery_code: ada.codes[0] };
  assertProblem(await stepUp({ access_token }, both), 400, "invalid_request");
  const answer = await stepUp({ access_token }, { password: PASSWORD, code: apps.code(ada) });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(authentication(answer.body), { acr: "aal2", amr: ["pwd", "otp", "mfa"] });
  await worker.assertEnded(ada);
  assert.equal(await throttles.row(factorKey(ada)), undefined);
});

test("a step-up with a recovery code uses it up, and one with a code from a mail proves the mailbox", async () => {
  const answer = await stepUp(ada, { password: PASSWORD, recovery_code: ada.codes[3] });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(authentication(answer.body).amr, ["pwd", "recovery_code", "mfa"]);
  assert.equal(await codesOf(ada), 9);
  await mails.only("recovery_code_used");
  const proof = await mailed({ email: ada.email });
  const mailOnly = await stepUp(answer.body, proof);
  assertProblem(mailOnly, 401, "mfa_required");
  assert.deepEqual(mailOnly.body.methods, ["recovery_code"]);
  const all = await stepUp(answer.body, { password: PASSWORD, code: apps.code(ada), ...proof });
  assert.equal(all.status, 200, all.text);
  assert.deepEqual(authentication(all.body).amr, ["pwd", "email", "otp", "mfa"]);
  assertProblem(await stepUp(all.body, { password: PASSWORD, ...proof }), 400, "invalid_code");
});

test("a step-up with another user's code from a mail is refused, and without EMAIL_LOGIN a mailbox alone too", async () => {
  const bob = await worker.register();
  const proof = await mailed({ email: bob.email });
  assertProblem(await stepUp(ada, { ...proof, password: PASSWORD }), 400, "invalid_code");
  assertProblem(await stepUp(ada, { challenge: proof.challenge }), 400, "invalid_request");
  await worker.update({ vars: { EMAIL_LOGIN: "off" } });
  assertProblem(await stepUp(ada, proof), 403, "email_login_off");
  await worker.update();
});

test("wrong codes of a step-up count like those of a login", async () => {
  for (let count = 0; count < 5; count += 1) {
    assertProblem(await stepUp(ada, { password: PASSWORD, code: apps.wrong(ada) }), 400, "invalid_code");
  }
  assertProblem(await stepUp(ada, { password: PASSWORD, code: apps.code(ada) }), 429, "too_many_attempts");
  assertProblem(await apps.logIn(ada, { code: apps.code(ada) }), 429, "too_many_attempts");
});

test("POST /login/email sends the code of a sign-in to the address of its account", async () => {
  const bob = await worker.register();
  await worker.setColumn(bob, "factors_reset_at", 1);
  await mails.forget();
  const begun = await worker.login(bob);
  assertProblem(begun, 401, "email_code_required");
  const { mfa_token } = begun.body;
  for (const json of [
    { mfa_token, email: bob.email },
    { mfa_token, challenge: "x" },
  ]) {
    assertProblem(await worker.post("/login/email", { json }), 400, "invalid_request");
  }
  assertProblem(await worker.post("/login/email", { json: { mfa_token: `${mfa_token}x` } }), 400, "invalid_mfa_token");
  const proof = await mailed({ mfa_token });
  const answer = await complete({ mfa_token, ...proof });
  assert.equal(answer.status, 200, answer.text);
  assertProblem(await worker.post("/login/email", { json: { mfa_token } }), 400, "invalid_mfa_token");
});

test("without DATA_SECRETS codes are refused, and one without its secret is a fault that says so", async () => {
  const mfa_token = await apps.begin(ada);
  await worker.update({ secrets: { DATA_SECRETS: null } });
  for (const proof of [{ code: apps.code(ada) }, { recovery_code: ada.codes[0] }]) {
    assertProblem(await complete({ mfa_token, ...proof }), 403, "factors_off");
  }
  const other = Buffer.from("another secret of 32 bytes, for data").toString("base64url");
  await worker.update({ secrets: { DATA_SECRETS: other } });
  worker.events();
  assertProblem(await complete({ mfa_token, code: apps.code(ada) }), 500, "internal_error");
  const [fault] = worker.events("internal_error");
  assert.match(fault.cause, /DATA_SECRETS lacks the secret [\w-]{10}, under which a text is stored$/);
  assertProblem(await complete({ mfa_token, recovery_code: ada.codes[0] }), 400, "invalid_code");
  await worker.update({ secrets: { DATA_SECRETS: `${other},${worker.secrets.DATA_SECRETS}` } });
  assert.equal((await complete({ mfa_token, recovery_code: ada.codes[0] })).status, 200);
  assert.equal((await apps.logIn(ada, { code: apps.code(ada) })).status, 200);
  await worker.update();
});

/** Sends a request and holds its last storage call, which begins the session, while `act` runs. Returns the answer. */
async function heldAt(at, path, options, act) {
  const plan = worker.plan({ at, does: "hold" });
  const client = await worker.send("POST", path, { ...options, plan });
  assert.equal(await plan.untilHeld(), true);
  await act();
  plan.release();
  const answer = await client.answer();
  await plan.untilEnded();
  await client.disconnect("FIN");
  return answer;
}

test("a right code that comes after the wait has begun begins no session", async () => {
  const mfa_token = await apps.begin(ada);
  const tokens = await apps.beginMany(ada, 5);
  const sessions = (await worker.sessionIds(ada)).length;
  const answer = await heldAt(3, "/login/mfa", { json: { mfa_token, code: apps.code(ada) } }, async () => {
    for (const token of tokens) await complete({ mfa_token: token, code: apps.wrong(ada) });
  });
  assert.equal(answer.status, 429, answer.text);
  assert.equal((await worker.sessionIds(ada)).length, sessions);
});

test("a code, a recovery code and a step-up that come after a change of the account begin no session", async () => {
  for (const change of [
    () => worker.setColumn(ada, "credentials_version", 99),
    () => worker.disable(ada),
    () => worker.db.prepare("DELETE FROM totp_secrets WHERE user_id = ?").bind(ada.user.id).run(),
  ]) {
    ada = await apps.user();
    const json = { mfa_token: await apps.begin(ada), code: apps.code(ada) };
    const answer = await heldAt(3, "/login/mfa", { json }, change);
    assert.equal(answer.status, 400, answer.text);
    ada = await apps.user();
    const stepped = { bearer: ada.access_token, json: { password: PASSWORD, code: apps.code(ada) } };
    const refused = await heldAt(3, "/me/step-up", stepped, change);
    assert.equal(refused.status, 401, refused.text);
  }
  ada = await apps.user();
  const json = { mfa_token: await apps.begin(ada), recovery_code: ada.codes[0] };
  const answer = await heldAt(3, "/login/mfa", { json }, () => worker.setColumn(ada, "credentials_version", 99));
  assert.equal(answer.status, 400, answer.text);
  assert.equal(await codesOf(ada), 10, "the recovery code is not used up");
});
