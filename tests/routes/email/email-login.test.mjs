// POST /login/email and /login/email/verify.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../../support/clocks.mjs";
import { assertProblem, cookieOf, from, PASSWORD, page, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";

let worker;
let mails;
let ada;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL_VARS, COOKIE_MODE: "refresh" }, clock: STOPPED });
  mails = new Mails(worker);
});
after(() => worker.close());
beforeEach(async () => {
  ada = await worker.register();
  await worker.setColumn(ada, "email_verified_at", 1);
  await mails.forget();
});

const ask = (json, options) => worker.post("/login/email", { json, ...options });
const verify = (json, options) => worker.post("/login/email/verify", { json, ...options });

/** Asks for a code, and returns the challenge with the mail. */
async function asked(user = ada) {
  const { status, body, text } = await ask({ email: user.email });
  assert.equal(status, 202, text);
  return { challenge: body.challenge, ...(await mails.only("login")) };
}

test("a code from the mail begins one session, which says so", async () => {
  const { challenge, code } = await asked();
  const answer = await verify({ challenge, code });
  assert.equal(answer.status, 200, answer.text);
  const session = answer.body;
  assert.equal(session.user.id, ada.user.id);
  await worker.assertLive(session);
  await worker.assertLive(ada);
  assert.equal(decodeJwt(session.access_token).acr, undefined);
  const row = await worker.sessionRow(session.session_id);
  assert.equal(row.amr, "email");
  assertProblem(await verify({ challenge, code }), 400, "invalid_code");
  assert.equal((await worker.login(ada)).status, 200, "the password stays");
});

test("the device of the login is known afterwards", async () => {
  const { challenge, code } = await asked();
  const { device_token } = (await verify({ challenge, code })).body;
  await worker.throttle(ada);
  assertProblem(await worker.login(ada), 429, "too_many_attempts");
  const { email, password } = ada;
  assert.equal((await worker.post("/login", { json: { email, password, device_token } })).status, 200);
});

test("the session may be delivered in a cookie", async () => {
  const { challenge, code } = await asked();
  const answer = await verify({ challenge, code, transport: "cookie", remember: false }, page());
  assert.equal(answer.status, 200, answer.text);
  assert.match(cookieOf(answer), /^__Host-portcullis=pcrt_/);
  assert.equal(answer.body.refresh_token, undefined);
});

test("the link tells the code and which request caused it, and spends nothing", async () => {
  const { body } = await ask({ email: ada.email }, from("203.0.113.7", "Mozilla/5.0 (X11; Linux) Firefox/140.0"));
  const { token, code } = await mails.only("login");
  for (let times = 0; times < 20; times += 1) {
    const { status, body: seen } = await worker.post("/email/link", { json: { token }, ...from(`192.0.2.${times}`) });
    assert.equal(status, 200);
    const { requested_at, expires_at, ...rest } = seen;
    assert.equal(expires_at - requested_at, 600);
    assert.deepEqual(rest, {
      purpose: "login",
      email: ada.email,
      code,
      ip: "203.0.113.7",
      user_agent: "Mozilla/5.0 (X11; Linux) Firefox/140.0",
    });
  }
  assertProblem(await verify({ challenge: token, code }), 400, "invalid_code");
  assert.equal((await verify({ challenge: body.challenge, code })).status, 200);
  assertProblem(await worker.post("/email/link", { json: { token } }), 400, "invalid_code");
  for (const bad of ["", "pcml_", `${token}x`, token.replace(/.$/, "")])
    assertProblem(await worker.post("/email/link", { json: { token: bad } }), 400, "invalid_code");
});

test("a scanner that gets the link, heads it and follows it spends nothing", async () => {
  const { challenge, code, link } = await asked();
  const { pathname } = new URL(link);
  for (const method of ["GET", "HEAD", "GET"])
    await worker.request(method, pathname, { headers: { Accept: "text/html" } });
  assert.equal((await verify({ challenge, code })).status, 200);
});

test("five codes may be tried", async () => {
  const { challenge, code } = await asked();
  const wrong = code === "0000-0000" ? "1111-1111" : "0000-0000";
  for (let tries = 0; tries < 5; tries += 1)
    assertProblem(await verify({ challenge, code: wrong }), 400, "invalid_code");
  assertProblem(await verify({ challenge, code }), 400, "invalid_code");
});

test("a code is valid for ten minutes", async () => {
  const [first, second] = [await asked(), await asked()];
  await worker.advance(599);
  assert.equal((await verify({ challenge: first.challenge, code: first.code })).status, 200);
  await worker.advance(1);
  assertProblem(await verify({ challenge: second.challenge, code: second.code }), 400, "invalid_code");
});

test("one code presented 20 times at once begins one session", async () => {
  const { challenge, code } = await asked();
  const before = await worker.sessionIds(ada);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, number) => verify({ challenge, code }, from(`198.51.100.${number}`))),
  );
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const answer of answers.filter(({ status }) => status !== 200)) assertProblem(answer, 400, "invalid_code");
  assert.equal((await worker.sessionIds(ada)).length, before.length + 1);
});

test("an account that is disabled while its code is compared begins no session", async () => {
  const { challenge, code } = await asked();
  const plan = worker.plan({ at: 2, does: "hold" });
  const answer = verify({ challenge, code }, { headers: plan.headers });
  assert.equal(await plan.untilHeld(), true);
  await worker.disable(ada);
  plan.release();
  assertProblem(await answer, 400, "invalid_code");
});

test("a maximum of sessions applies to logins by mail", async () => {
  await worker.update({ vars: { MAX_SESSIONS_PER_USER: "1" } });
  const { challenge, code } = await asked();
  const session = (await verify({ challenge, code })).body;
  await worker.assertEnded(ada);
  await worker.assertLive(session);
  await worker.update();
});

test("the first login by mail to an unverified address ends what somebody else may have begun", async () => {
  const thief = await worker.register({
    email: `victim-${ada.user.id.toLowerCase()}@example.org`,
    metadata: { mine: 1 },
  });
  const pending = await worker.post("/email/verify/send", { json: {}, bearer: thief.access_token });
  const { code: thiefsCode } = await mails.only("verify");
  const { challenge, code } = await asked(thief);
  const answer = await verify({ challenge, code });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual([answer.body.user.email_verified, answer.body.user.metadata], [true, null]);
  const me = await worker.me(answer.body.access_token);
  assert.deepEqual(me.body, answer.body.user);
  await worker.assertEnded(thief);
  assertProblem(await worker.login({ ...thief, password: PASSWORD }), 401, "invalid_credentials");
  const json = { challenge: pending.body.challenge, code: thiefsCode };
  assertProblem(await worker.post("/email/verify", { json }), 400, "invalid_code");
  const account = await worker.account(thief);
  assert.deepEqual([account.password_hash, account.metadata, account.credentials_version], [null, null, 1]);
  const { events } = (await worker.get("/me/events", { bearer: answer.body.access_token })).body;
  assert.ok(events.some(({ kind }) => kind === "email_verified"));
});

test("a later login by mail ends nothing", async () => {
  const { challenge, code } = await asked();
  assert.equal((await verify({ challenge, code })).status, 200);
  await worker.assertLive(ada);
  assert.equal((await worker.account(ada)).credentials_version, 0);
});

test("EMAIL_LOGIN turns the login by mail off", async () => {
  const { challenge, code } = await asked();
  await worker.update({ vars: { EMAIL_LOGIN: "off" } });
  const before = await worker.dump();
  assertProblem(await verify({ challenge, code }), 403, "email_login_off");
  assert.deepEqual(await worker.dump(), before);
  await worker.update();
  assert.equal((await verify({ challenge, code })).status, 200);
});

test("malformed requests are refused and change nothing", async () => {
  const { challenge, code } = await asked();
  const before = await worker.dump();
  for (const json of [{}, { challenge }, { code }, { challenge, code, extra: 1 }, { challenge: 1, code }])
    assertProblem(await verify(json), 400, "invalid_request");
  assertProblem(await verify({ challenge, code, transport: "header" }), 400, "invalid_request");
  assertProblem(await ask({ email: "x" }), 422, "invalid_email");
  assertProblem(await ask({ email: ada.email, password: "x" }), 400, "invalid_request");
  assert.deepEqual(await worker.dump(), before);
});
