// Passkeys of an account: adding, listing, renaming and removing them, and using them as a second factor and for a step-up.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { Authenticator } from "../../support/authenticator.mjs";
import { assertProblem, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";
import { logIn, options, refusals, registerWithPasskey } from "../../support/passkeys.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

const optionsOf = (session, json = {}, on = worker) =>
  options(on, "/me/passkeys/options", { json, bearer: session.access_token });
const send = (session, json, request, on = worker) =>
  on.post("/me/passkeys", { json, bearer: session.access_token, ...request });
const list = async (session) => {
  const { status, body } = await worker.get("/me/passkeys", { bearer: session.access_token });
  assert.equal(status, 200);
  return body.passkeys;
};
const remove = (session, { id }, on = worker) => on.delete(`/me/passkeys/${id}`, { bearer: session.access_token });

/** Adds a passkey, and returns the new session with the authenticator. */
async function add(
  { recovery_codes, ...session },
  details = {},
  { authenticator = new Authenticator(), on = worker, ...request } = {},
) {
  const credential = authenticator.create(await optionsOf(session, {}, on));
  const answer = await send(session, { credential, ...details }, request, on);
  assert.equal(answer.status, 201, answer.text);
  return { ...session, ...answer.body, authenticator };
}

/** Begins a login with the password, which needs a second factor. */
async function begin({ email, password }) {
  const answer = await worker.login({ email, password });
  assertProblem(answer, 401, "mfa_required");
  return answer.body;
}
const mfaOptions = (mfa_token) => options(worker, "/login/mfa/options", { json: { mfa_token } });
const complete = (mfa_token, credential) => worker.post("/login/mfa", { json: { mfa_token, credential } });
const stepUp = (session, json) => worker.post("/me/step-up", { json, bearer: session.access_token });

function assertRefused(answer, reason) {
  assertProblem(answer, 400, "passkey_refused");
  assert.deepEqual(refusals(worker), [reason]);
}

const eventsOf = async (session, kind) => {
  const { body } = await worker.get("/me/events", { bearer: session.access_token });
  return body.events.filter((event) => event.kind === kind);
};

test("a user adds a passkey, which begins a session with two factors and ends all others", async () => {
  const user = await worker.register();
  const other = (await worker.login(user)).body;
  const before = await worker.account(user);
  const session = await add(user, {}, { headers: { "User-Agent": WINDOWS } });
  assert.equal(session.passkey.name, "Firefox, Windows");
  const { amr, acr, sub } = decodeJwt(session.access_token);
  assert.deepEqual({ amr, acr, sub }, { amr: ["pwd", "pop", "user", "mfa"], acr: "aal2", sub: user.user.id });
  for (const ended of [user, other]) assertProblem(await worker.me(ended.access_token), 401, "invalid_token");
  assert.equal((await worker.me(session.access_token)).status, 200);
  assert.equal((await worker.account(user)).credentials_version, before.credentials_version + 1);
  assert.equal((await worker.sessionRow(session.session_id)).passkey_id, session.passkey.id);
  // The first factor comes with recovery codes, the next does not.
  assert.equal(new Set(session.recovery_codes).size, 10);
  const next = await add(session, { name: " Security key " });
  assert.equal("recovery_codes" in next, false);
  const { body } = await worker.get("/me/mfa", { bearer: next.access_token });
  assert.deepEqual([body.passkeys, body.recovery_codes_left], [2, 10]);
  assert.deepEqual((await list(next)).map(({ name }) => name).sort(), ["Firefox, Windows", "Security key"]);
  const details = (await eventsOf(next, "factor_added")).map(({ factor }) => factor);
  assert.deepEqual(details.sort(), ["passkey:Firefox, Windows", "passkey:Security key"]);
});

test("the options name the account and exclude its passkeys", async () => {
  const user = await worker.register({ name: "Ada" });
  const session = await add(user);
  const { publicKey } = await optionsOf(session);
  assert.deepEqual(publicKey.user, { id: user.user.id, name: user.email, displayName: "Ada" });
  assert.deepEqual(publicKey.excludeCredentials, [
    { type: "public-key", id: session.passkey.id, transports: ["internal"] },
  ]);
  const { publicKey: request } = await optionsOf(session, { for: "step_up" });
  assert.deepEqual([request.rpId, request.allowCredentials], ["localhost", []]);
});

test("adding and removing need a recent authentication, using and renaming do not", async () => {
  const session = await add(await worker.register());
  const old = await worker.authenticatedAgo(session, 301);
  assertProblem(
    await worker.post("/me/passkeys/options", { json: {}, bearer: old.access_token }),
    401,
    "step_up_required",
  );
  const credential = new Authenticator().create(await optionsOf(session));
  assertProblem(await send(old, { credential }), 401, "step_up_required");
  assertProblem(await remove(old, session.passkey), 401, "step_up_required");
  assert.equal((await list(old)).length, 1);
  await optionsOf(old, { for: "step_up" });
  const renamed = await worker.patch(`/me/passkeys/${session.passkey.id}`, {
    json: { name: "Mine" },
    bearer: old.access_token,
  });
  assert.equal(renamed.body.name, "Mine");
});

test("an account has at most ten passkeys", async () => {
  let session = await add(await worker.register());
  const credential = new Authenticator().create(await optionsOf(session));
  await worker.db
    .prepare(
      "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9) INSERT INTO passkeys SELECT credential_id || n, user_id, public_key, name, transports, aaguid, is_backup_eligible, is_backed_up, counter, created_at, last_used_at, used_challenges, used_by FROM passkeys, n WHERE user_id = ?",
    )
    .bind(session.user.id)
    .run();
  assertProblem(await send(session, { credential }), 409, "too_many_passkeys");
  const answer = await worker.post("/me/passkeys/options", { json: {}, bearer: session.access_token });
  assertProblem(answer, 409, "too_many_passkeys");
  const [, second] = await list(session);
  assert.equal((await remove(session, second)).status, 204);
  session = await add(session);
  assert.equal((await list(session)).length, 10);
});

test("a registration is for one session, and works once", async () => {
  const user = await worker.register();
  const other = await worker.register();
  const credential = new Authenticator().create(await optionsOf(user));
  refusals(worker);
  assertRefused(await send(other, { credential }), "challenge_purpose");
  const second = (await worker.login(user)).body;
  assertRefused(await send(second, { credential }), "challenge_purpose");
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(user, { credential })));
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
  // Options of a login are none of a registration.
  const session = { ...user, ...answers.find(({ status }) => status === 201).body };
  const creation = await optionsOf(session);
  creation.publicKey.challenge = (await optionsOf(session, { for: "step_up" })).publicKey.challenge;
  refusals(worker);
  assertRefused(await send(session, { credential: new Authenticator().create(creation) }), "challenge_purpose");
  for (const [changes, reason] of [
    [{ uv: false }, "user_verification"],
    [{ origin: "https://evil.example" }, "origin"],
  ]) {
    const bad = new Authenticator().create(await optionsOf(session), changes);
    assertRefused(await send(session, { credential: bad }), reason);
  }
  assertProblem(await send(session, { credential, name: "" }), 422, "invalid_name");
});

test("a login with the password needs the passkey", async () => {
  const user = await worker.register();
  const session = await add(user);
  const { mfa_token, methods } = await begin(user);
  assert.deepEqual(methods, ["credential", "recovery_code"]);
  // Asking for options counts no try.
  for (let count = 0; count < 6; count += 1) await mfaOptions(mfa_token);
  const answer = await complete(mfa_token, session.authenticator.get(await mfaOptions(mfa_token)));
  assert.equal(answer.status, 200, answer.text);
  const { amr, acr } = decodeJwt(answer.body.access_token);
  assert.deepEqual({ amr, acr }, { amr: ["pwd", "pop", "user", "mfa"], acr: "aal2" });
  assert.equal((await worker.sessionRow(answer.body.session_id)).passkey_id, session.passkey.id);
  // The sign-in is over.
  assertProblem(await worker.post("/login/mfa/options", { json: { mfa_token } }), 400, "invalid_mfa_token");
  assertProblem(await worker.post("/login/mfa/options", { json: { mfa_token: "x" } }), 400, "invalid_mfa_token");
});

test("the passkey that completes a login is one of the user, for this login, within five tries", async () => {
  const user = await worker.register();
  const session = await add(user);
  const other = await registerWithPasskey(worker);
  const { mfa_token } = await begin(user);
  const creation = await mfaOptions(mfa_token);
  refusals(worker);
  assertRefused(await complete(mfa_token, other.authenticator.get(creation)), "other_user");
  const elsewhere = await mfaOptions((await begin(user)).mfa_token);
  assertRefused(await complete(mfa_token, session.authenticator.get(elsewhere)), "challenge_purpose");
  assertRefused(await complete(mfa_token, session.authenticator.get(await options(worker))), "challenge_purpose");
  assertRefused(await complete(mfa_token, session.authenticator.get(creation, { damaged: true })), "signature");
  assertRefused(await complete(mfa_token, session.authenticator.get(creation, { uv: false })), "user_verification");
  assertProblem(await complete(mfa_token, session.authenticator.get(creation)), 400, "invalid_mfa_token");
  // A response for a sign-in is none for a login.
  const again = await mfaOptions((await begin(user)).mfa_token);
  const credential = session.authenticator.get(again);
  refusals(worker);
  assertRefused(await worker.post("/passkeys/login", { json: { credential } }), "challenge_purpose");
});

test("one proof completes a login", async () => {
  const user = await worker.register();
  const session = await add(user);
  const { mfa_token } = await begin(user);
  const credential = session.authenticator.get(await mfaOptions(mfa_token));
  const json = { mfa_token, credential, code: "123456" };
  assertProblem(await worker.post("/login/mfa", { json }), 400, "invalid_request");
  assert.equal((await complete(mfa_token, credential)).status, 200);
});

test("a passkey authenticates the caller again", async () => {
  const session = await add(await worker.register());
  const old = await worker.authenticatedAgo(session, 1000);
  const credential = session.authenticator.get(await optionsOf(old, { for: "step_up" }));
  const answer = await stepUp(old, { credential });
  assert.equal(answer.status, 200, answer.text);
  const { amr, acr, auth_time, iat } = decodeJwt(answer.body.access_token);
  assert.deepEqual([amr, acr, auth_time], [["pop", "user", "mfa"], "aal2", iat]);
  assertProblem(await worker.me(old.access_token), 401, "invalid_token");
  assertProblem(await stepUp(old, { credential }), 401, "invalid_token");
  await optionsOf(answer.body);
});

test("the passkey of a step-up is one of the caller, for this session", async () => {
  const user = await worker.register();
  const session = await add(user);
  const other = await registerWithPasskey(worker);
  const second = (await logIn(worker, session)).body;
  const request = await optionsOf(session, { for: "step_up" });
  refusals(worker);
  assertRefused(await stepUp(session, { credential: other.authenticator.get(request) }), "other_user");
  assertRefused(await stepUp(second, { credential: session.authenticator.get(request) }), "challenge_purpose");
  const login = await options(worker);
  assertRefused(await stepUp(session, { credential: session.authenticator.get(login) }), "challenge_purpose");
  const credential = session.authenticator.get(request);
  assertProblem(await stepUp(session, { credential, code: "123456" }), 400, "invalid_request");
  assert.equal((await stepUp(session, { credential })).status, 200);
});

test("a user sees and renames only their own passkeys", async () => {
  const session = await add(await worker.register());
  const other = await registerWithPasskey(worker);
  const rename = (id, json) => worker.patch(`/me/passkeys/${id}`, { json, bearer: session.access_token });
  const { body } = await rename(session.passkey.id, { name: " Jose\u0301 " });
  assert.deepEqual(body, { ...session.passkey, name: "José" });
  assert.deepEqual(await list(session), [body]);
  for (const id of [other.passkey.id, "unknown", "options"]) {
    const answer = await rename(id, { name: "Mine" });
    if (id === "options") assertProblem(answer, 405, "method_not_allowed");
    else assertProblem(answer, 404, "not_found");
  }
  for (const name of ["", "\n", "n".repeat(201)])
    assertProblem(await rename(session.passkey.id, { name }), 422, "invalid_name");
  assertProblem(await remove(session, other.passkey), 404, "not_found");
  assertProblem(await remove(session, { id: "unknown" }), 404, "not_found");
  assert.equal((await list(other)).length, 1);
});

test("removing a passkey ends the sessions that it began, and nobody can use it", async () => {
  const user = await worker.register();
  const first = await add(user, { name: "Lost" });
  const session = await add(first, { name: "Kept" });
  const lost = await logIn(worker, first);
  const { mfa_token } = await begin(user);
  const pending = first.authenticator.get(await mfaOptions(mfa_token));
  const before = await worker.account(user);
  assert.equal((await remove(session, first.passkey)).status, 204);
  assertProblem(await worker.me(lost.body.access_token), 401, "invalid_token");
  await worker.marksWritten();
  assert.ok(await worker.isMarked(lost.body));
  assert.equal((await worker.sessionRow(lost.body.session_id)).revoked_reason, "passkey_removed");
  assert.equal((await worker.me(session.access_token)).status, 200);
  assert.equal((await worker.account(user)).credentials_version, before.credentials_version + 1);
  refusals(worker);
  assertRefused(await logIn(worker, first), "unknown_credential");
  assertProblem(await complete(mfa_token, pending), 400, "invalid_mfa_token");
  assert.equal((await eventsOf(session, "factor_removed"))[0].factor, "passkey:Lost");
  // The session that the passkey began may be that of the caller.
  assert.equal((await remove(session, session.passkey)).status, 204);
  assertProblem(await worker.me(session.access_token), 401, "invalid_token");
  // Without a factor, the password is sufficient, and there is nothing to recover.
  const { body } = await worker.login(user);
  assert.equal((await worker.get("/me/mfa", { bearer: body.access_token })).body.recovery_codes_left, 0);
});

test("a session that renews one that a passkey began ends with the passkey, too", async () => {
  const user = await worker.register();
  const first = await add(user);
  const session = await add(first, {}, { authenticator: first.authenticator });
  const thief = (await logIn(worker, session)).body;
  const json = { current_password: user.password, new_password: "four ponies sing quietly at noon" };
  const renewed = await worker.post("/me/password", { json, bearer: thief.access_token });
  assert.equal(renewed.status, 200, renewed.text);
  const owner = (await logIn(worker, session, { passkey: session.authenticator.passkeys[0] })).body;
  assert.equal((await remove(owner, session.passkey)).status, 204);
  assertProblem(await worker.me(renewed.body.access_token), 401, "invalid_token");
  assert.equal((await worker.me(owner.access_token)).status, 200);
});

test("a removed passkey cannot be registered again before every challenge has expired", async () => {
  const user = await worker.register();
  const session = await add(user);
  assert.equal((await remove(session, session.passkey)).status, 204);
  const again = { ...user, ...(await worker.login(user)).body };
  const id = Buffer.from(session.passkey.id, "base64url");
  refusals(worker);
  const credential = new Authenticator().create(await optionsOf(again), { id });
  assertRefused(await send(again, { credential }), "used");
  await worker.advance(301);
  const later = { ...user, ...(await worker.login(user)).body };
  const { passkey } = (await send(later, { credential: new Authenticator().create(await optionsOf(later), { id }) }))
    .body;
  assert.equal(passkey.id, session.passkey.id);
});

test("the last way to log in stays", async () => {
  const user = await registerWithPasskey(worker);
  assertProblem(await remove(user, user.passkey), 409, "last_credential");
  const session = await add(user, {});
  assert.equal("recovery_codes" in session, false);
  // Of two removals at once, one is carried out at most.
  const passkeys = await list(session);
  await Promise.all(passkeys.map((passkey) => remove(session, passkey)));
  const { n } = await worker.db
    .prepare("SELECT COUNT(*) AS n FROM passkeys WHERE user_id = ?")
    .bind(user.user.id)
    .first();
  assert.equal(n, 1);
});

test("a code by mail is a way to log in, unless the policy requires a factor", async () => {
  const mailing = await startWorker({ vars: MAIL_VARS });
  try {
    const mails = new Mails(mailing, ["new_device"]);
    const user = await registerWithPasskey(mailing);
    await mailing.update({ vars: { MFA: "required" } });
    assertProblem(await remove(user, user.passkey, mailing), 409, "last_credential");
    await mailing.update({ vars: { EMAIL_LOGIN: "off" } });
    assertProblem(await remove(user, user.passkey, mailing), 409, "last_credential");
    await mailing.update();
    await mails.take();
    assert.equal((await remove(user, user.passkey, mailing)).status, 204);
    await mails.only("factor_removed");
    const other = await mailing.proved(await mailing.register(), "pwd email");
    await add(other, { name: "Key of Ada" }, { on: mailing });
    await mails.only("factor_added");
  } finally {
    await mailing.close();
  }
});

test("an account that needs a factor adds a passkey with its mfa_token", async () => {
  await worker.update({ vars: { MFA: "required" } });
  const { email, password } = { email: "enrolling@example.org", password: "correct horse battery staple" };
  const answer = await worker.post("/register", { json: { email, password } });
  assertProblem(answer, 401, "mfa_enrolment_required");
  const enrolling = { access_token: answer.body.mfa_token };
  const authenticator = new Authenticator();
  const creation = await optionsOf(enrolling);
  const credential = authenticator.create(creation);
  // The token opens nothing else.
  assert.equal((await worker.get("/me/passkeys", { bearer: enrolling.access_token })).status, 401);
  const added = await send(enrolling, { credential });
  assert.equal(added.status, 201, added.text);
  assert.equal(added.body.recovery_codes.length, 10);
  assert.deepEqual(decodeJwt(added.body.access_token).acr, "aal2");
  assertProblem(await send(enrolling, { credential }), 400, "invalid_mfa_token");
  assert.equal((await logIn(worker, { authenticator })).status, 200);
  // A new account with a passkey has what the policy requires.
  await registerWithPasskey(worker);
  await worker.update();
});

test("a passkey of an account with an unverified address also needs a code by mail, where that is required", async () => {
  const mailing = await startWorker({ vars: MAIL_VARS });
  try {
    const mails = new Mails(mailing, ["new_device"]);
    const user = await registerWithPasskey(mailing);
    await mailing.update({ vars: { EMAIL_VERIFICATION: "required" } });
    const credential = user.authenticator.get(await options(mailing));
    const waiting = await mailing.post("/passkeys/login", { json: { credential } });
    assertProblem(waiting, 401, "email_code_required");
    // The response is used up.
    assertProblem(await mailing.post("/passkeys/login", { json: { credential } }), 400, "passkey_refused");
    const { mfa_token } = waiting.body;
    const { challenge } = (await mailing.post("/login/email", { json: { mfa_token } })).body;
    const { code } = (await mails.take()).at(-1);
    const json = { mfa_token, challenge, mail_code: code };
    const answer = await mailing.post("/login/mfa", { json });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(decodeJwt(answer.body.access_token).amr, ["email", "pop", "user", "mfa"]);
    assert.equal((await mailing.sessionRow(answer.body.session_id)).passkey_id, user.passkey.id);
  } finally {
    await mailing.close();
  }
});

test("without DATA_SECRETS, passkeys work and come without recovery codes", async () => {
  await worker.update({ secrets: { DATA_SECRETS: null } });
  const user = await registerWithPasskey(worker);
  assert.equal("recovery_codes" in user, false);
  assert.equal((await logIn(worker, user)).status, 200);
  const session = await add(await worker.register());
  assert.equal("recovery_codes" in session, false);
  await worker.update();
});
