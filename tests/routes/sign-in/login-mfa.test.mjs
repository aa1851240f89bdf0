// POST /login/mfa, and which sign-ins need a further proof: the policy MFA, factors that an admin removed, verified addresses.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../../support/clocks.mjs";
import { assertOAuthError, assertProblem, cookieOf, PASSWORD, page, startWorker } from "../../support/harness.mjs";
import { Mails } from "../../support/mails.mjs";
import { Throttles } from "../../support/throttles.mjs";

const WRONG = "0000-0000";
const MAIL = { MAIL: "log" };

let worker;
let mails;
let throttles;
let addresses = 0;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL, COOKIE_MODE: "refresh" }, clock: STOPPED });
  [mails, throttles] = [new Mails(worker, ["new_device"]), new Throttles(worker)];
});
after(() => worker.close());
beforeEach(async () => {
  await throttles.clear();
  await mails.forget();
});
afterEach(() => worker.update());

const complete = (json, options) => worker.post("/login/mfa", { json, ...options });
const sessionsOf = async (user) => (await worker.sessionIds(user)).length;
const pendingOf = ({ user }) =>
  worker.db.prepare("SELECT * FROM pending_sign_ins WHERE user_id = ?").bind(user.id).first();

/** A user whose next sign-in needs a code from a mail, because an admin removed the factors. */
async function reset() {
  const user = await worker.register();
  await worker.setColumn(user, "factors_reset_at", 1);
  await mails.forget();
  return user;
}

/** Logs in, asserts that a further proof is needed, and returns the token. */
async function begun(user, code = "email_code_required", details = {}, options) {
  const answer = await worker.post("/login", {
    json: { email: user.email, password: PASSWORD, ...details },
    ...options,
  });
  assertIncomplete(answer, code);
  return answer.body.mfa_token;
}

function assertIncomplete(answer, code) {
  assertProblem(answer, 401, code);
  assert.match(answer.body.mfa_token, /^pcmf_[\w-]{43}$/);
  assert.equal(answer.headers.get("www-authenticate"), "Bearer");
  assert.deepEqual(answer.headers.getSetCookie(), []);
}

/** The challenge and the code of a mail to the user. */
async function mailed({ email }) {
  const { status, body, text } = await worker.post("/login/email", { json: { email } });
  assert.equal(status, 202, text);
  return { challenge: body.challenge, mail_code: (await mails.only("login")).code };
}

test("a sign-in that needs a code from a mail begins its session with it, and says how the user authenticated", async () => {
  const user = await reset();
  const sessions = await sessionsOf(user);
  worker.events();
  const mfa_token = await begun(user);
  assert.equal(await sessionsOf(user), sessions, "no session begins before");
  assert.deepEqual(worker.events("login_succeeded"), []);
  const proof = await mailed(user);
  const answer = await complete({ mfa_token, ...proof });
  assert.equal(answer.status, 200, answer.text);
  const { acr, amr } = decodeJwt(answer.body.access_token);
  assert.deepEqual([acr, amr], ["aal1", ["pwd", "email"]]);
  assert.equal(answer.body.user.id, user.user.id);
  await worker.assertLive(answer.body);
  assert.equal((await worker.account(user)).factors_reset_at, null, "the next sign-in needs no mail");
  assert.equal((await worker.login(user)).status, 200);
});

test("the session of a completed sign-in is delivered as its login requested", async () => {
  const user = await reset();
  const options = page();
  const mfa_token = await begun(user, "email_code_required", { transport: "cookie", remember: false }, options);
  const proof = await mailed(user);
  const elsewhere = page(undefined, { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" });
  assertProblem(await complete({ mfa_token, ...proof }, elsewhere), 403, "csrf_refused");
  const again = await mailed(user);
  const answer = await complete({ mfa_token, ...again }, options);
  assert.equal(answer.status, 200, answer.text);
  assert.doesNotMatch(answer.text, /pcrt_/);
  assert.match(cookieOf(answer), /^__Host-portcullis=pcrt_/);
  const { transport, remember } = await worker.sessionRow(answer.body.session_id);
  assert.deepEqual([transport, remember], ["cookie", 0]);
});

test("a wrong code, another user's, one of another purpose and an incomplete body are refused", async () => {
  const [user, other] = [await reset(), await worker.register()];
  const mfa_token = await begun(user);
  const proof = await mailed(user);
  assertProblem(await complete({ mfa_token }), 400, "invalid_request");
  assertProblem(await complete({ mfa_token, challenge: proof.challenge }), 400, "invalid_request");
  assertProblem(await complete({ mfa_token, ...proof, password: PASSWORD }), 400, "invalid_request");
  assert.equal((await pendingOf(user)).tries, 0, "what is no proof is no try");
  assertProblem(await complete({ mfa_token, ...proof, mail_code: WRONG }), 400, "invalid_code");
  assertProblem(await complete({ mfa_token, ...(await mailed(other)) }), 400, "invalid_code");
  const forgot = (await worker.post("/password/forgot", { json: { email: user.email } })).body;
  const { code } = await mails.only("reset");
  assertProblem(await complete({ mfa_token, challenge: forgot.challenge, mail_code: code }), 400, "invalid_code");
  assert.equal((await complete({ mfa_token, ...proof })).status, 200);
});

test("five proofs may be tried", async () => {
  const user = await reset();
  const mfa_token = await begun(user);
  const proof = await mailed(user);
  for (let tries = 0; tries < 5; tries += 1)
    assertProblem(await complete({ mfa_token, challenge: "x", mail_code: WRONG }), 400, "invalid_code");
  assertProblem(await complete({ mfa_token, ...proof }), 400, "invalid_mfa_token");
  assert.equal(await sessionsOf(user), 1);
  // The user begins again.
  assert.equal((await complete({ mfa_token: await begun(user), ...proof })).status, 200);
});

test("a sign-in is over after ten minutes", async () => {
  const user = await reset();
  const mfa_token = await begun(user);
  await worker.advance(599);
  const proof = await mailed(user);
  assertProblem(await complete({ mfa_token, ...proof, mail_code: WRONG }), 400, "invalid_code");
  await worker.advance(1);
  assertProblem(await complete({ mfa_token, ...proof }), 400, "invalid_mfa_token");
});

test("forged, foreign and spent tokens are answered alike", async () => {
  const user = await reset();
  const mfa_token = await begun(user);
  const proof = await mailed(user);
  for (const text of ["", "pcmf_", `${mfa_token}A`, mfa_token.replace("pcmf_", "pcch_"), proof.challenge])
    assertProblem(await complete({ mfa_token: text, ...proof }), 400, "invalid_mfa_token");
  assert.equal((await complete({ mfa_token, ...proof })).status, 200);
  assertProblem(await complete({ mfa_token, ...(await mailed(user)) }), 400, "invalid_mfa_token");
  assert.equal(await sessionsOf(user), 2);
});

test("of fifty requests at once that complete a sign-in, one begins a session", async () => {
  const user = await reset();
  const mfa_token = await begun(user);
  const proof = await mailed(user);
  await worker.warmUp(50);
  const answers = await Promise.all(Array.from({ length: 50 }, () => complete({ mfa_token, ...proof })));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const { status, body } of answers.filter((answer) => answer.status !== 200))
    assert.ok(["invalid_mfa_token", "invalid_code"].includes(body.code), `${status} ${body.code}`);
  assert.equal(await sessionsOf(user), 2);
});

test("a sign-in ends with the credentials, the account and the wait that it began with", async () => {
  for (const [name, change, code] of [
    ["other credentials", (user) => worker.setColumn(user, "credentials_version", 9), "invalid_mfa_token"],
    ["a disabled account", (user) => worker.disable(user), "invalid_mfa_token"],
    ["a deleted account", (user) => worker.delete("/me", { bearer: user.access_token }), "invalid_mfa_token"],
  ]) {
    const user = await reset();
    const mfa_token = await begun(user);
    const proof = await mailed(user);
    await change(user);
    const sessions = await sessionsOf(user);
    assertProblem(await complete({ mfa_token, ...proof }), 400, code, name);
    assert.equal(await sessionsOf(user), sessions, name);
  }
});

test("what changes while the code is checked begins no session either", async () => {
  for (const change of [(user) => worker.setColumn(user, "credentials_version", 9), (user) => worker.disable(user)]) {
    const user = await reset();
    const mfa_token = await begun(user);
    const json = { mfa_token, ...(await mailed(user)) };
    const plan = worker.plan({ at: 3, does: "hold" });
    const client = await worker.send("POST", "/login/mfa", { json, plan });
    assert.equal(await plan.untilHeld(), true);
    await change(user);
    plan.release();
    const answer = await client.answer();
    await plan.untilEnded();
    await client.disconnect("FIN");
    assert.equal(answer.status, 400, answer.text);
    assert.equal(await sessionsOf(user), 1);
  }
});

test("a right password alone forgets no failures; the completed sign-in does", async () => {
  const user = await reset();
  for (let count = 0; count < 4; count += 1) await worker.login({ ...user, password: "wrong" });
  const row = () => throttles.row(throttles.key("email", user.email));
  const before = await row();
  assert.equal(before.failures, 4);
  const mfa_token = await begun(user);
  assert.deepEqual(await row(), before);
  assert.equal((await complete({ mfa_token, ...(await mailed(user)) })).status, 200);
  assert.equal((await row()).failures, 0);
});

test("a login that comes too late is stored as no sign-in", async () => {
  const user = await reset();
  for (let count = 0; count < 5; count += 1) await worker.login({ ...user, password: "wrong" });
  await throttles.hold(user, 600);
  assertProblem(await worker.login(user), 429, "too_many_attempts");
  assert.equal(await pendingOf(user), null);
});

test("D1 has nothing that completes a sign-in", async () => {
  const user = await reset();
  const mfa_token = await begun(user);
  const row = await pendingOf(user);
  assert.deepEqual([row.amr, row.transport, row.remember, row.spent_by], ["pwd", "body", 1, null]);
  assert.ok(!JSON.stringify(await worker.dump()).includes(mfa_token.slice(5)));
});

test("the costs of a sign-in in two steps", async () => {
  const user = await reset();
  await worker.setColumn(user, "email_verified_at", 1);
  const costs = async (act) => {
    worker.events();
    const { headers } = await act();
    const own = worker.events("costs").find(({ request_id }) => request_id === headers.get("x-request-id"));
    return [own.status, own.d1_round_trips, own.d1_rows_written, own.kv_puts];
  };
  assert.deepEqual(await costs(() => worker.login(user)), [401, 2, 3, 0]);
  const mfa_token = await begun(user);
  const proof = await mailed(user);
  // One for each try; the sign-in and the code are spent; the session and its index entry; the factors are no longer removed.
  const json = { mfa_token, ...proof, device_token: user.device_token };
  assert.deepEqual(await costs(() => complete(json)), [200, 3, 2 + 2 + 2 + 1, 0]);
  assert.deepEqual(await costs(() => complete(json)), [400, 1, 0, 0]);
});

// The policy MFA.

const ALL_USERS = (id) => [
  ["GET", "/users"],
  ["GET", `/users/${id}`],
  ["GET", `/users/${id}/sessions`],
  ["GET", `/users/${id}/events`],
  ["GET", `/users/${id}/throttle`],
  ["PATCH", `/users/${id}`, { disabled: false }],
  ["POST", `/users/${id}/password-reset`],
  ["POST", "/users", { email: `policy-${++addresses}@example.com` }],
  ["DELETE", `/users/${id}/sessions`],
  ["DELETE", `/users/${id}/throttle`],
  ["DELETE", `/users/${id}`],
];
const withTwoFactors = ({ access_token }) => worker.resign(access_token, { acr: "aal2", amr: ["pwd", "otp", "mfa"] });

for (const MFA of ["admins", "required"]) {
  test(`MFA = "${MFA}": every route about other users needs two factors`, async () => {
    const [admin, target] = [await worker.registerAdmin(), await worker.register()];
    await worker.update({ vars: { MFA } });
    for (const [method, path, json] of ALL_USERS(target.user.id)) {
      const ask = (bearer) => worker.request(method, path, { bearer, json });
      assertProblem(await ask(admin.access_token), 401, "step_up_required");
      const { status, text } = await ask(withTwoFactors(admin));
      assert.ok(status < 300, `${method} ${path}: ${text}`);
    }
  });
}

test('MFA = "optional": one factor is sufficient for admins', async () => {
  const admin = await worker.registerAdmin();
  assert.equal((await worker.get("/users", { bearer: admin.access_token })).status, 200);
});

test('MFA = "admins": an admin must enrol, after a code from a mail; others log in as before', async () => {
  const [admin, user] = [await worker.registerAdmin(), await worker.register()];
  await worker.update({ vars: { MFA: "admins" } });
  await mails.forget();
  const mfa_token = await begun(admin);
  const answer = await complete({ mfa_token, ...(await mailed(admin)) });
  assertIncomplete(answer, "mfa_enrolment_required");
  assert.equal(answer.body.mfa_token, mfa_token, "the same sign-in goes on");
  assert.equal((await pendingOf(admin)).amr, "pwd email");
  assert.equal(await sessionsOf(admin), 1);
  assert.ok((await worker.account(admin)).email_verified_at > 0);
  assert.equal((await worker.login(user)).status, 200);
  // A session from before goes on, and its token asks for a step-up at the routes for admins.
  assert.equal((await worker.refresh(admin.refresh_token)).status, 200);
});

test("without mails an admin must enrol at once", async () => {
  const admin = await worker.registerAdmin();
  await worker.update({ vars: { MFA: "admins", MAIL: null } });
  await begun(admin, "mfa_enrolment_required");
  assert.equal(await sessionsOf(admin), 1);
});

test('MFA = "required": /refresh and /token refuse a session with one factor, and end nothing', async () => {
  const user = await worker.register();
  await worker.update({ vars: { MFA: "required" } });
  worker.events();
  assertProblem(await worker.refresh(user.refresh_token), 401, "invalid_refresh_token");
  assertOAuthError(await worker.token(user.refresh_token), 400, "invalid_grant");
  const refused = worker.events("refresh_refused").map(({ session_id, reason }) => [session_id, reason]);
  assert.deepEqual(refused, Array(2).fill([user.session_id, "mfa_required"]));
  assert.equal((await worker.sessionRow(user.session_id)).revoked_at, null);
  const amr = worker.db.prepare("UPDATE refresh_tokens SET amr = ? WHERE session_id = ?");
  await amr.bind("pwd otp mfa", user.session_id).run();
  const { status, body } = await worker.refresh(user.refresh_token);
  assert.equal(status, 200);
  assert.deepEqual(
    [decodeJwt(body.access_token).acr, decodeJwt(body.access_token).amr],
    ["aal2", ["pwd", "otp", "mfa"]],
  );
  // A token that was rotated out is still reuse.
  await amr.bind("pwd", user.session_id).run();
  await worker.age(60, user.session_id);
  assertProblem(await worker.refresh(user.refresh_token), 401, "invalid_refresh_token");
  assert.equal((await worker.sessionRow(user.session_id)).revoked_reason, "reuse");
});

for (const [name, vars, code] of [
  ["without mails", { MAIL: null }, "mfa_enrolment_required"],
  ["with mails", {}, "email_code_required"],
]) {
  test(`MFA = "required", ${name}: a registration creates the account, which must go on with ${code}`, async () => {
    await worker.update({ vars: { MFA: "required", ...vars } });
    const email = `newcomer-${++addresses}@example.org`;
    const answer = await worker.post("/register", { json: { email, password: PASSWORD } });
    assertIncomplete(answer, code);
    const row = await worker.db.prepare("SELECT * FROM users WHERE email = ?").bind(email).first();
    const user = { user: { id: row.id }, email };
    assert.equal(await sessionsOf(user), 0);
    assert.equal((await pendingOf(user)).amr, "pwd");
    assertProblem(await worker.post("/register", { json: { email, password: PASSWORD } }), 409, "email_taken");
    await begun(user, code);
    if (code === "email_code_required") {
      await mails.forget();
      const next = await complete({ mfa_token: answer.body.mfa_token, ...(await mailed(user)) });
      assertIncomplete(next, "mfa_enrolment_required");
    }
  });
}

test("an address that must be verified is proved in the sign-in", async () => {
  const user = await worker.register();
  await mails.forget();
  await worker.update({ vars: { EMAIL_VERIFICATION: "required" } });
  const mfa_token = await begun(user);
  const answer = await complete({ mfa_token, ...(await mailed(user)) });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.user.email_verified, true);
  assert.ok((await worker.account(user)).email_verified_at > 0);
  assert.equal((await worker.login(user)).status, 200);
});

test("an account with a factor is asked for it, and a code from a mail does not replace it", async () => {
  const user = await worker.register();
  await worker.setColumn(user, "email_verified_at", 1);
  await mails.forget();
  await worker.db
    .prepare(
      "INSERT INTO totp_secrets (id, user_id, secret, created_at, confirmed_at, tries, last_step) VALUES (?, ?, '', 1, 1, 0, 0)",
    )
    .bind(randomBytes(16).toString("base64url"), user.user.id)
    .run();
  const answer = await worker.login(user);
  assertIncomplete(answer, "mfa_required");
  assert.deepEqual(answer.body.methods, ["code", "recovery_code"]);
  const next = await complete({ mfa_token: answer.body.mfa_token, ...(await mailed(user)) });
  assertIncomplete(next, "mfa_required");
  assert.equal(await sessionsOf(user), 1);
});

// Lifetimes.

test("sessions of admins and those with two factors have a lifetime of their own", async () => {
  const brief = { SESSION_TTL_SECONDS: "90000", REFRESH_IDLE_TTL_SECONDS: "3600" };
  const lifetimeOf = async ({ session_id }) => {
    const { created_at, absolute_expires_at } = await worker.sessionRow(session_id);
    return absolute_expires_at - created_at;
  };
  await worker.update({ vars: { ...brief, AAL2_SESSION_TTL_SECONDS: "7200" } });
  const [user, admin] = [await worker.register(), await worker.registerAdmin()];
  assert.deepEqual([await lifetimeOf(user), await lifetimeOf((await worker.login(user)).body)], [90_000, 90_000]);
  const session = (await worker.login(admin)).body;
  assert.equal(await lifetimeOf(session), 7200);
  const renewed = (await worker.stepUp({ ...session, password: PASSWORD })).body;
  assert.equal(await lifetimeOf(renewed), 7200);
  // It is a maximum: a longer one does not extend the others.
  await worker.update({ vars: { ...brief, AAL2_SESSION_TTL_SECONDS: "31536000" } });
  assert.equal(await lifetimeOf((await worker.login(admin)).body), 90_000);
});
