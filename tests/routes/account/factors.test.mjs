// Adding and removing authenticator apps and recovery codes: /me/mfa.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../../support/clocks.mjs";
import { Apps, totp, wrongCode } from "../../support/factors.mjs";
import { assertProblem, cookieOf, many, page, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";

let worker;
let mails;
let apps;
let ada;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL_VARS, COOKIE_MODE: "refresh" }, clock: STOPPED });
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
});
after(() => worker.close());
beforeEach(async () => {
  ada = await worker.proved(await worker.register(), "pwd email");
  apps.now(ada);
  await mails.forget();
});
afterEach(() => worker.update());

const factors = async ({ access_token }) => (await worker.get("/me/mfa", { bearer: access_token })).body;
const begin = ({ access_token }, options) => worker.post("/me/mfa/totp", { bearer: access_token, ...options });
const confirm = ({ access_token }, code) =>
  worker.post("/me/mfa/totp/confirm", { bearer: access_token, json: { code } });
const remove = ({ access_token }) => worker.delete("/me/mfa/totp", { bearer: access_token });
const newCodes = ({ access_token }) => worker.post("/me/mfa/recovery-codes", { bearer: access_token });
const version = async (user) => (await worker.account(user)).credentials_version;
const authentication = ({ access_token }) => {
  const { acr, amr } = decodeJwt(access_token);
  return { acr, amr };
};
const secrets = async ({ user }) =>
  (await worker.db.prepare("SELECT * FROM totp_secrets WHERE user_id = ?").bind(user.id).all()).results;
const reset = (user) => worker.setColumn(user, "password_reset_at", apps.now());

/** The factors of the events of one kind. */
async function recorded(session, kind) {
  const { body } = await worker.get("/me/events", { bearer: session.access_token });
  return body.events.filter((event) => event.kind === kind).map(({ factor }) => factor);
}

/** The sign-in of a user who must add a factor, after a code from a mail. */
async function enrolling(user) {
  await worker.update({ vars: { MFA: "required" } });
  const begun = await worker.login(user);
  assertProblem(begun, 401, "email_code_required");
  const { mfa_token } = begun.body;
  const { body } = await worker.post("/login/email", { json: { mfa_token } });
  const { code } = await mails.only("login");
  const answer = await worker.post("/login/mfa", { json: { mfa_token, challenge: body.challenge, mail_code: code } });
  assertProblem(answer, 401, "mfa_enrolment_required");
  return mfa_token;
}

test("an authenticator app is added with a code that it shows", async () => {
  const other = (await worker.login(ada)).body;
  const before = await version(ada);
  const begun = await begin(ada);
  assert.equal(begun.status, 201, begun.text);
  const { secret, otpauth_uri, qr_svg } = begun.body;
  assert.match(secret, /^[A-Z2-7]{32}$/);
  const uri = new URL(otpauth_uri);
  assert.equal(decodeURIComponent(uri.pathname), `/Portcullis:${ada.email}`);
  assert.deepEqual(Object.fromEntries(uri.searchParams), {
    secret,
    issuer: "Portcullis",
    algorithm: "SHA1",
    digits: "6",
    period: "30",
  });
  assert.match(qr_svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" .*<\/svg>$/);
  assert.equal((await factors(ada)).totp, null, "it is no factor yet");
  assert.equal((await worker.login(ada)).status, 200);
  const confirmed = await confirm(ada, totp(secret, apps.now()));
  assert.equal(confirmed.status, 200, confirmed.text);
  const session = confirmed.body;
  assert.deepEqual(authentication(session), { acr: "aal2", amr: ["pwd", "email", "otp", "mfa"] });
  assert.equal(new Set(session.recovery_codes).size, 10);
  for (const code of session.recovery_codes) assert.match(code, /^([A-Z2-7]{6}-){3}[A-Z2-7]{6}$/);
  await worker.assertEnded(ada);
  await worker.assertEnded(other);
  assert.deepEqual(await worker.isMarked(other), true);
  assert.equal(await version(ada), before + 1);
  assert.deepEqual(await factors(session), {
    totp: { created_at: apps.now() },
    passkeys: 0,
    recovery_codes_left: 10,
    mfa: "optional",
    required: false,
  });
  assert.match((await mails.only("factor_added")).kind, /factor_added/);
  assert.deepEqual(await recorded(session, "factor_added"), ["totp"]);
  assertProblem(await worker.login(ada), 401, "mfa_required");
});

test("five codes may be tried, and a new secret can be tried again", async () => {
  const { secret } = (await begin(ada)).body;
  const wrong = wrongCode(secret, apps.now());
  for (const code of [wrong, "", wrong, "x", wrong]) assertProblem(await confirm(ada, code), 400, "invalid_code");
  assertProblem(await confirm(ada, totp(secret, apps.now())), 400, "invalid_code");
  assert.equal((await factors(ada)).totp, null);
  await worker.assertLive(ada);
  const again = (await begin(ada)).body;
  assert.notEqual(again.secret, secret);
  assertProblem(await confirm(ada, totp(secret, apps.now())), 400, "invalid_code");
  assert.equal((await confirm(ada, totp(again.secret, apps.now()))).status, 200);
});

test("a secret waits an hour for its code, and without one there is nothing to confirm", async () => {
  assertProblem(await confirm(ada, "123456"), 400, "invalid_code");
  const { secret } = (await begin(ada)).body;
  await worker.db
    .prepare("UPDATE totp_secrets SET created_at = created_at - 3600 WHERE user_id = ?")
    .bind(ada.user.id)
    .run();
  assertProblem(await confirm(ada, totp(secret, apps.now())), 400, "invalid_code");
});

test("of fifty confirmations at once, one begins a session", async () => {
  const { secret } = (await begin(ada)).body;
  await worker.db.prepare("UPDATE totp_secrets SET tries = -100 WHERE user_id = ?").bind(ada.user.id).run();
  const before = (await worker.sessionIds(ada)).length;
  const answers = await Promise.all(many(50, () => confirm(ada, totp(secret, apps.now()))));
  const right = answers.filter(({ status }) => status === 200);
  assert.equal(right.length, 1);
  assert.equal((await worker.sessionIds(ada)).length, before + 1);
  assert.equal((await factors(right[0].body)).recovery_codes_left, 10);
  await mails.only("factor_added");
});

test("an app that is not confirmed replaces none", async () => {
  const first = await apps.enrol(ada);
  assert.equal((await begin(first)).status, 201);
  assert.equal((await apps.logIn(first, { code: apps.code(first) })).status, 200);
});

test("a replacement keeps the recovery codes and ends the sessions of the old app", async () => {
  const first = await apps.enrol(ada);
  const { secret } = (await begin(first)).body;
  assert.equal((await secrets(ada)).length, 2);
  const confirmed = await confirm(first, totp(secret, apps.now()));
  assert.equal(confirmed.status, 200, confirmed.text);
  assert.equal(confirmed.body.recovery_codes, undefined);
  await worker.assertEnded(first);
  assert.equal((await secrets(ada)).length, 1);
  await apps.advance(30);
  assertProblem(await apps.logIn(ada, { code: totp(first.secret, apps.now()) }), 400, "invalid_code");
  assert.equal((await apps.logIn(ada, { code: totp(secret, apps.now()) })).status, 200);
  assert.equal((await apps.logIn(ada, { recovery_code: first.codes[0] })).status, 200);
});

test("a change of factors needs a recent authentication, with two factors if the account has any", async () => {
  const old = worker.authenticatedAgo(ada, 301);
  for (const act of [begin, (session) => confirm(session, "123456"), remove, newCodes]) {
    assertProblem(await act(old), 401, "step_up_required");
  }
  assert.equal((await worker.get("/me/mfa", { bearer: old.access_token })).status, 200);
});

test("a login by mail adds no app: it needs the password, or an account without one needs one first", async () => {
  await worker.setColumn(ada, "email_verified_at", 1);
  const asked = await worker.post("/login/email", { json: { email: ada.email } });
  const { code } = await mails.only("login");
  const { body } = await worker.post("/login/email/verify", { json: { challenge: asked.body.challenge, code } });
  assertProblem(await begin(body), 401, "step_up_required");
  assertProblem(await confirm(body, "123456"), 401, "step_up_required");
  await worker.setColumn(ada, "password_hash", null);
  assertProblem(await begin(body), 409, "password_required");
});

test("removing the app ends the other sessions, and the last factor takes the recovery codes with it", async () => {
  const user = await apps.enrol(ada);
  const other = await apps.session(user);
  await mails.forget();
  const before = await version(ada);
  assert.equal((await remove(user)).status, 204);
  await worker.assertLive(user);
  await worker.assertEnded(other);
  assert.equal(await version(ada), before + 1);
  assert.deepEqual((await factors(user)).recovery_codes_left, 0);
  await mails.only("factor_removed");
  assert.deepEqual(await recorded(user, "factor_removed"), ["totp"]);
  assert.equal((await worker.login(ada)).status, 200);
  assertProblem(await remove(user), 404, "not_found");
});

test("recovery codes stay as long as the account has a passkey", async () => {
  const user = await apps.enrol(ada);
  await worker.db
    .prepare(
      "INSERT INTO passkeys (credential_id, user_id, public_key, name, transports, aaguid, is_backup_eligible, is_backed_up, counter, created_at, used_challenges) VALUES (?1, ?2, 'x', 'Phone', '[]', 'x', 0, 0, 0, 1, '{}')",
    )
    .bind(`key-${ada.user.id}`, ada.user.id)
    .run();
  await worker.update({ vars: { MFA: "required" } });
  assert.equal((await remove(user)).status, 204);
  assert.equal((await factors(user)).recovery_codes_left, 10);
});

test("the last factor stays where the policy requires one", async () => {
  const user = await apps.enrol(ada);
  await worker.update({ vars: { MFA: "required" } });
  assert.deepEqual((({ mfa, required }) => [mfa, required])(await factors(user)), ["required", true]);
  assertProblem(await remove(user), 409, "last_credential");
  await worker.update({ vars: { MFA: "admins" } });
  assert.deepEqual((({ mfa, required }) => [mfa, required])(await factors(user)), ["admins", false]);
  assert.equal((await remove(user)).status, 204);
});

test("new recovery codes replace the old ones", async () => {
  const user = await apps.enrol(ada);
  await mails.forget();
  const answer = await newCodes(user);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.recovery_codes.length, 10);
  await mails.only("factor_added");
  await worker.assertLive(user);
  assertProblem(await apps.logIn(user, { recovery_code: user.codes[0] }), 400, "invalid_code");
  assert.equal((await apps.logIn(user, { recovery_code: answer.body.recovery_codes[9] })).status, 200);
  assert.equal((await recorded(user, "recovery_codes_created")).length, 1);
});

test("of two requests for new recovery codes at once, the codes of the one that succeeds are valid", async () => {
  const user = await apps.enrol(ada);
  const answers = await Promise.all([newCodes(user), newCodes(user)]);
  const right = answers.filter(({ status }) => status === 200);
  assert.ok(right.length > 0);
  const [code] = right.at(-1).body.recovery_codes;
  const left = (await factors(user)).recovery_codes_left;
  assert.equal(left, 10);
  if (right.length === 1) assert.equal((await apps.logIn(user, { recovery_code: code })).status, 200);
});

test("an account without a factor gets no recovery codes", async () => {
  assertProblem(await newCodes(ada), 404, "not_found");
});

test("a recovery code changes no factors for a day after the password was set by a mail", async () => {
  const user = await apps.enrol(ada);
  const { body } = await apps.logIn(user, { recovery_code: user.codes[0] });
  const session = { ...user, ...body };
  await reset(user);
  for (const act of [begin, (own) => confirm(own, "123456"), remove, newCodes]) {
    assertProblem(await act(session), 403, "recovery_delay");
  }
  const other = await apps.session(user);
  assert.equal((await newCodes(other)).status, 200, "a session with the app may");
  await worker.setColumn(user, "password_reset_at", apps.now() - 86_400);
  assert.equal((await newCodes(session)).status, 200);
});

test("a sign-in that needs a factor adds an app with its mfa_token, and begins its session with it", async () => {
  const bearer = await enrolling(ada);
  const answer = await worker.post("/me/mfa/totp", { bearer });
  assert.equal(answer.status, 201, answer.text);
  const { secret } = answer.body;
  const wrong = await confirm({ access_token: bearer }, wrongCode(secret, apps.now()));
  assertProblem(wrong, 400, "invalid_code");
  const confirmed = await confirm({ access_token: bearer }, totp(secret, apps.now()));
  assert.equal(confirmed.status, 200, confirmed.text);
  assert.deepEqual(authentication(confirmed.body), { acr: "aal2", amr: ["pwd", "email", "otp", "mfa"] });
  assert.equal(confirmed.body.recovery_codes.length, 10);
  await worker.assertEnded(ada);
  await worker.assertLive(confirmed.body);
  assertProblem(await worker.post("/me/mfa/totp", { bearer }), 400, "invalid_mfa_token");
  assert.equal((await worker.refresh(confirmed.body.refresh_token)).status, 200);
});

test("the mfa_token of an enrolment does nothing else, and another one adds no factor", async () => {
  const bearer = await enrolling(ada);
  for (const [method, path] of [
    ["GET", "/me"],
    ["GET", "/me/mfa"],
    ["DELETE", "/me/mfa/totp"],
    ["POST", "/me/mfa/recovery-codes"],
  ]) {
    assertProblem(await worker.request(method, path, { bearer }), 401, "invalid_token");
  }
  assertProblem(await worker.post("/me/mfa/totp", { bearer: `${bearer.slice(0, -1)}_` }), 400, "invalid_mfa_token");
  await apps.advance(600);
  assertProblem(await worker.post("/me/mfa/totp", { bearer }), 400, "invalid_mfa_token");
  const bob = await worker.register().catch(() => null);
  assert.equal(bob, null, "a registration must add a factor, too");
});

test("whoever has only the password cannot add a factor to the account of somebody else", async () => {
  await worker.update({ vars: { MFA: "required" } });
  const begun = await worker.login(ada);
  const { mfa_token } = begun.body;
  assertProblem(await worker.post("/me/mfa/totp", { bearer: mfa_token }), 401, "email_code_required");
  await worker.update();
  const user = await apps.enrol(ada);
  const second = await worker.login(user);
  const refused = await worker.post("/me/mfa/totp", { bearer: second.body.mfa_token });
  assertProblem(refused, 401, "mfa_required");
});

test("the first factor needs a session that began with a code from a mail, where there are mails", async () => {
  const user = await worker.register();
  for (const json of [undefined, {}]) {
    const path = json ? "/me/passkeys/options" : "/me/mfa/totp";
    assertProblem(await worker.post(path, { bearer: user.access_token, json }), 401, "email_code_required");
  }
  const { body } = await worker.post("/login/email", { json: { email: user.email } });
  const { code } = await mails.only("login");
  const proofs = { password: user.password, challenge: body.challenge, mail_code: code };
  const stepped = await worker.post("/me/step-up", { bearer: user.access_token, json: proofs });
  assert.equal(stepped.status, 200, stepped.text);
  assert.deepEqual(authentication(stepped.body), { acr: "aal1", amr: ["pwd", "email"] });
  assert.equal(stepped.body.user.email_verified, true);
  assert.equal((await begin(stepped.body)).status, 201);
  // A later factor does not need the mailbox again.
  const enrolled = await apps.enrol({ ...user, ...stepped.body });
  assert.equal((await begin(await apps.session(enrolled))).status, 201);
});

test("a release without factors begins no session of an account that has one", async () => {
  const user = await apps.enrol(ada);
  // What the statement of such a release inserts.
  const insert = (amr) =>
    worker.db
      .prepare(
        `INSERT INTO refresh_tokens (
          session_id, user_id, secret_hash, generation, grace_retries, created_at, rotated_at,
          expires_at, absolute_expires_at, access_expires_at, amr, authenticated_at
        )
        SELECT ?1, id, 'x', 0, 0, 1, 1, 9999999999, 9999999999, 1, ?2, 1 FROM users WHERE id = ?3
        RETURNING session_id`,
      )
      .bind(`older ${amr}`, amr, user.user.id)
      .all();
  for (const amr of ["pwd", "email"]) assert.deepEqual((await insert(amr)).results, []);
  assert.equal((await insert("pwd otp mfa")).results.length, 1);
  assert.equal((await remove(await apps.session(user))).status, 204);
  assert.equal((await insert("pwd")).results.length, 1, "without a factor, it does");
});

test("of many confirmations with one mfa_token at once, one begins a session", async () => {
  const bearer = await enrolling(ada);
  const { secret } = (await worker.post("/me/mfa/totp", { bearer })).body;
  const answers = await Promise.all(many(5, () => confirm({ access_token: bearer }, totp(secret, apps.now()))));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.equal((await secrets(ada)).length, 1);
});

test("in cookie mode the session of a new app is in the cookie, too", async () => {
  // Without mails, so that the password alone is sufficient for the first factor.
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: null, EMAIL_VERIFICATION: null } });
  const session = await worker.loginByCookie(ada);
  const { secret } = (await begin(session)).body;
  const confirmed = await worker.post("/me/mfa/totp/confirm", {
    bearer: session.access_token,
    json: { code: totp(secret, apps.now()) },
    ...page(session.cookie),
  });
  assert.equal(confirmed.status, 200, confirmed.text);
  assert.match(cookieOf(confirmed), /^__Host-portcullis=pcrt_/);
  assert.equal(confirmed.body.refresh_token, undefined);
});

test("without DATA_SECRETS there are no apps and no recovery codes", async () => {
  const user = await apps.enrol(ada);
  await worker.update({ secrets: { DATA_SECRETS: null } });
  for (const act of [begin, (session) => confirm(session, "123456"), newCodes]) {
    assertProblem(await act(user), 403, "factors_off");
  }
  assert.equal((await factors(user)).recovery_codes_left, 10);
  assert.equal((await remove(user)).status, 204, "an app can be removed");
});

test("what a copied refresh token, a mailbox or a password can do alone ends with the enrolment", async () => {
  const { refresh_token } = (await worker.login(ada)).body;
  const pending = await worker.post("/login/email", { json: { email: ada.email } });
  const { code } = await mails.only("login");
  const user = await apps.enrol(ada);
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
  const byMail = { challenge: pending.body.challenge, code };
  assertProblem(await worker.post("/login/email/verify", { json: byMail }), 400, "invalid_code");
  assertProblem(await worker.login(ada), 401, "mfa_required");
  const copied = (await apps.session(user)).refresh_token;
  const stolen = (await worker.refresh(copied)).body;
  const stepped = await worker.stepUp(stolen);
  assertProblem(stepped, 401, "mfa_required");
  await apps.advance(301);
  assertProblem(await remove((await worker.refresh(stolen.refresh_token)).body), 401, "step_up_required");
});

/** The cost of the request with a response: round trips, rows written, writes of KV. */
function costOf({ headers }) {
  const request = headers.get("x-request-id");
  const lines = worker.runtime.log.lines.filter((line) => line.includes('"event":"costs"') && line.includes(request));
  // What is done after the response has a line without a status.
  const { d1_round_trips, d1_rows_written, kv_puts } = lines
    .map((line) => JSON.parse(line))
    .find(({ status }) => status !== undefined);
  return [d1_round_trips, d1_rows_written, kv_puts];
}

test("every operation has its documented cost", async () => {
  const begun = await begin(ada);
  assert.deepEqual(costOf(begun), [2, 4, 0], "begin");
  const again = await begin(ada);
  assert.deepEqual(costOf(again), [2, 4, 0], "begin again");
  const confirmed = await confirm(ada, totp(again.body.secret, apps.now() - 30));
  assert.deepEqual(costOf(confirmed), [3, 23, 1], "confirm");
  const user = { ...ada, ...confirmed.body, secret: again.body.secret };
  assert.deepEqual(costOf(await worker.get("/me/mfa", { bearer: user.access_token })), [1, 0, 0], "show");
  assert.deepEqual(costOf(await apps.logIn(user, { code: apps.wrong(user) })), [3, 5, 0], "wrong code");
  assert.deepEqual(
    costOf(await apps.logIn(user, { code: apps.code(user) })),
    [3, 10, 0],
    "code, which forgets the wrong one and tells of a new device",
  );
  assert.deepEqual(
    costOf(await apps.logIn(user, { recovery_code: confirmed.body.recovery_codes[0] })),
    [3, 9, 0],
    "recovery code",
  );
  assert.deepEqual(costOf(await newCodes(user)), [2, 24, 0], "new codes");
  assert.deepEqual(costOf(await remove(user)), [2, 22, 2], "remove");
});
