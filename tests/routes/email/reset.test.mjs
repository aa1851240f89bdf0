// POST /password/forgot and /password/reset.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { STOPPED } from "../../support/clocks.mjs";
import { assertProblem, deviceCookieOf, from, PASSWORD, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";

const NEW = "purple otters juggle lanterns";
const CODE = /^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/;

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
  await mails.forget();
});

const forgot = (json, options) => worker.post("/password/forgot", { json, ...options });
const reset = (json, options) => worker.post("/password/reset", { json: { new_password: NEW, ...json }, ...options });

/** Asks for a new password, and returns the challenge with the mail. */
async function asked(user = ada) {
  const { status, body, text } = await forgot({ email: user.email });
  assert.equal(status, 202, text);
  return { challenge: body.challenge, ...(await mails.only("reset")) };
}

test("a code or a link from the mail sets a new password, once", async () => {
  const { challenge, code, token, to, link } = await asked();
  assert.equal(to, ada.email);
  assert.match(code, CODE);
  assert.match(link, /^http:\/\/localhost:8787\/account\/confirm#token=pcml_[\w-]{64}$/);
  const answer = await reset({ challenge, code });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.sessions_ended, 1);
  await worker.assertEnded(ada);
  assertProblem(await worker.login(ada), 401, "invalid_credentials");
  const login = { email: ada.email, password: NEW, device_token: answer.body.device_token };
  assert.equal((await worker.post("/login", { json: login })).status, 200);
  assertProblem(await reset({ challenge, code }), 400, "invalid_code");
  assertProblem(await reset({ token }), 400, "invalid_code");
  await mails.only("password_changed");

  const second = await asked();
  assert.equal((await reset({ token: second.token, new_password: PASSWORD })).status, 200);
  assert.equal((await worker.login(ada)).status, 200);
});

test("a reset begins no session, and its device is known to the account", async () => {
  const { challenge, code } = await asked();
  const { body } = await reset({ challenge, code });
  assert.deepEqual(Object.keys(body), ["sessions_ended", "device_token"]);
  const { n } = await worker.db
    .prepare("SELECT COUNT(*) AS n FROM refresh_tokens WHERE user_id = ? AND revoked_at IS NULL")
    .bind(ada.user.id)
    .first();
  assert.equal(n, 0);
  await worker.throttle({ email: ada.email });
  const login = { email: ada.email, password: NEW };
  assertProblem(await worker.login(login), 429, "too_many_attempts");
  const known = await worker.post("/login", { json: { ...login, device_token: body.device_token } });
  assert.equal(known.status, 200, known.text);
});

test("in cookie mode the device token is in the cookie, too", async () => {
  const { challenge, code } = await asked();
  assert.match(deviceCookieOf(await reset({ challenge, code })), /^__Host-portcullis-device=pcdt_/);
});

test("a code may be typed in any way", async () => {
  const { challenge, code } = await asked();
  const typed = code.toLowerCase().replace("-", " ").replaceAll("0", "o").replaceAll("1", "l");
  assert.equal((await reset({ challenge, code: typed })).status, 200);
});

test("five codes may be tried, and the sixth is not compared", async () => {
  const { challenge, code, token } = await asked();
  const wrong = code === "0000-0000" ? "1111-1111" : "0000-0000";
  for (let tries = 0; tries < 4; tries += 1)
    assertProblem(await reset({ challenge, code: wrong }), 400, "invalid_code");
  assertProblem(await reset({ challenge, code: "not a code" }), 400, "invalid_code");
  assertProblem(await reset({ challenge, code }), 400, "invalid_code");
  assert.equal((await reset({ token })).status, 200, "the link cannot be guessed, so it stays valid");
});

test("a code is valid for half an hour", async () => {
  for (const by of [({ challenge, code }) => ({ challenge, code }), ({ token }) => ({ token })]) {
    const [first, second] = [await asked(), await asked()];
    await worker.advance(1_799);
    assert.equal((await reset(by(first))).status, 200);
    await mails.only("password_changed");
    ada = await worker.register();
    const third = await asked();
    await worker.advance(1_800);
    for (const late of [second, third]) assertProblem(await reset(by(late)), 400, "invalid_code");
  }
});

test("spent, exhausted, expired, foreign and unknown challenges have one answer", async () => {
  const own = await asked();
  const other = await asked(await worker.register());
  const login = await worker.post("/login/email", { json: { email: ada.email } });
  const loginMail = await mails.only("login");
  const answers = [
    await reset({ challenge: other.challenge, code: own.code }),
    await reset({ challenge: login.body.challenge, code: loginMail.code }),
    await reset({ token: loginMail.token }),
    await reset({ challenge: own.challenge.replace(/.$/, (last) => (last === "A" ? "E" : "A")), code: own.code }),
    await reset({ challenge: "", code: own.code }),
    await reset({ token: own.token.replace("pcml_", "pcrl_") }),
    await reset({ token: `pcrl_${Buffer.alloc(48).toString("base64url")}` }),
    await reset({ token: own.challenge }),
  ];
  for (const answer of answers) assertProblem(answer, 400, "invalid_code");
  const texts = answers.map(({ text, body }) => text.replace(body.request_id, ""));
  assert.equal(new Set(texts).size, 1);
  assert.equal((await reset(own)).status, 400, "unknown members are refused");
  assert.equal((await reset({ challenge: own.challenge, code: own.code })).status, 200);
});

test("the request names either challenge and code, or the token", async () => {
  const { challenge, code, token } = await asked();
  for (const json of [{}, { challenge }, { code }, { challenge, code, token }, { challenge, token }, { code, token }])
    assertProblem(await reset(json), 400, "invalid_request");
  for (const json of [{}, { email: ada.email, challenge }, { email: 1 }])
    assertProblem(await forgot(json), 400, "invalid_request");
  assertProblem(await forgot({ email: "no address" }), 422, "invalid_email");
  assert.equal((await reset({ challenge, code })).status, 200, "none of these was an attempt");
});

test("an unusable password is refused, and what the rules refuse for everybody is no attempt", async () => {
  const { challenge, code } = await asked();
  for (let tries = 0; tries < 6; tries += 1)
    assertProblem(await reset({ challenge, code, new_password: "short" }), 422, "password_too_short");
  assertProblem(await reset({ challenge, code, new_password: "x".repeat(1_025) }), 422, "password_too_long");
  const own = `${ada.email} ${ada.email}`;
  assertProblem(await reset({ challenge, code, new_password: own }), 422, "password_too_common");
  assert.equal((await reset({ challenge, code })).status, 200);
});

test("codes of two requests are both valid until one of them is used", async () => {
  const [first, second] = [await asked(), await asked()];
  assert.notEqual(first.challenge, second.challenge);
  assert.notEqual(first.code, second.code);
  assertProblem(await reset({ challenge: second.challenge, code: first.code }), 400, "invalid_code");
  assert.equal((await reset({ challenge: first.challenge, code: first.code })).status, 200);
  assertProblem(await reset({ challenge: second.challenge, code: second.code }), 400, "invalid_code");
});

test("with its challenge a request sends the same code again", async () => {
  const first = await asked();
  const again = await forgot({ challenge: first.challenge });
  assert.equal(again.status, 202);
  assert.equal(again.body.challenge, first.challenge);
  const { code, token } = await mails.only("reset");
  assert.deepEqual([code, token], [first.code, first.token]);
  for (const challenge of ["x", first.token]) {
    const answer = await forgot({ challenge });
    assert.deepEqual([answer.status, answer.body.challenge], [202, challenge]);
  }
  assert.deepEqual(await mails.take(), []);
});

test("one code presented 20 times at once sets one password", async () => {
  const { challenge, code, token } = await asked();
  const json = (number) => (number % 2 ? { token } : { challenge, code });
  const all = Array.from({ length: 20 }, (_, number) =>
    reset({ ...json(number), new_password: `${NEW} ${number}` }, from(`198.51.100.${number}`)),
  );
  const answers = await Promise.all(all);
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const answer of answers.filter(({ status }) => status !== 200))
    assert.ok(["invalid_code", "too_many_requests"].includes(answer.body.code), answer.text);
});

test("an account that has changed since is not reset", async () => {
  const cases = {
    "another password": () =>
      worker.post("/me/password", {
        json: { current_password: PASSWORD, new_password: NEW },
        bearer: ada.access_token,
      }),
    disabled: () => worker.disable(ada),
    "another address": () =>
      worker.db
        .prepare("UPDATE users SET email = ?1, email_key = ?1 WHERE id = ?2")
        .bind(`moved-${ada.user.id.toLowerCase()}@example.org`, ada.user.id)
        .run(),
    deleted: () => worker.delete("/me", { bearer: ada.access_token }),
  };
  for (const [name, change] of Object.entries(cases)) {
    ada = await worker.register();
    const { challenge, code, token } = await asked();
    await change();
    await mails.take();
    const account = await worker.account(ada);
    assertProblem(await reset({ token }), 400, "invalid_code");
    assertProblem(await reset({ challenge, code }), 400, "invalid_code");
    assert.deepEqual(await worker.account(ada), account, name);
  }
});

test("an account that changes while the new password is hashed is not reset", async () => {
  const { challenge, code } = await asked();
  // The second round trip of the reset is the transaction.
  const plan = worker.plan({ at: 2, does: "hold" });
  const answer = reset({ challenge, code }, { headers: plan.headers });
  assert.equal(await plan.untilHeld(), true);
  await worker.disable(ada);
  plan.release();
  assertProblem(await answer, 400, "invalid_code");
  assert.equal((await worker.account(ada)).credentials_version, 0);
});

test("disabled and unknown accounts get no mail", async () => {
  await worker.disable(ada);
  for (const email of [ada.email, "nobody@example.org"]) assert.equal((await forgot({ email })).status, 202);
  assert.deepEqual(await mails.take(), []);
  const { n } = await worker.db.prepare("SELECT COUNT(*) AS n FROM outbox").first();
  assert.equal(n, 0);
});

test("mails go to the address as the account has it", async () => {
  const { to } = await asked({ email: ` ${ada.email.toUpperCase()}` });
  assert.equal(to, ada.email);
});

test("the trail has the mail and the reset", async () => {
  const { challenge, code } = await asked();
  await reset({ challenge, code });
  await mails.take();
  const { body } = await worker.login({ email: ada.email, password: NEW });
  const trail = await worker.get("/me/events", { bearer: body.access_token });
  const events = trail.body.events.map(({ kind, mail, reason }) => [kind, mail, reason].filter(Boolean).join(" "));
  for (const event of ["password_reset", "mail_sent reset", "mail_sent password_changed", "revoked password_reset"])
    assert.ok(events.includes(event), `${event} is not among ${events.join(", ")}`);
});

test("without MAIL nothing is sent, and nothing is stored", async () => {
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: null, EMAIL_VERIFICATION: null } });
  const before = await worker.dump();
  assertProblem(await forgot({ email: ada.email }), 403, "mail_off");
  assertProblem(await forgot({ challenge: "x" }), 403, "mail_off");
  assert.deepEqual(await worker.dump(), before);
  await worker.update();
});
