// SESSIONS_NOT_BEFORE: whatever began before that time is refused, whatever the database and other isolates say. What begins
// afterwards is accepted. The clock of the Worker stands still, and moves only where a test advances it.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { decodeJwt } from "jose";

import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { Authenticator } from "../support/authenticator.mjs";
import { STOPPED } from "../support/clocks.mjs";
import { Apps } from "../support/factors.mjs";
import { assertProblem, PASSWORD, page, startWorker } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";
import { logIn, options, refusals, registerWithPasskey } from "../support/passkeys.mjs";

const NEW = "purple otters juggle lanterns";
const DAY = 86_400;
const server = makeResourceServer("api", "https://api.example.org");

let worker, mails, apps;
/** The time of the Worker. */
const now = async () => decodeJwt((await worker.register()).access_token).iat;

before(async () => {
  const vars = { ...MAIL_VARS, COOKIE_MODE: "refresh", RESOURCE_SERVERS: JSON.stringify([server.entry]) };
  worker = await startWorker({ vars, clock: STOPPED });
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
  apps.now(await worker.register());
});
after(() => worker.close());
beforeEach(async () => {
  await worker.update();
  await worker.forgetFailures();
  await mails.forget();
});

let addresses = 0;
const address = () => `cut-off-${++addresses}@example.org`;
const invalid = (answer) => assertProblem(answer, 401, "invalid_refresh_token");
const invalidCode = (answer) => assertProblem(answer, 400, "invalid_code");
const isActive = async (token) => (await worker.introspect(token, server)).body.active;
const reasons = () => worker.events("refresh_refused").map(({ reason }) => reason);

/** Lets a minute pass. Returns the time in its middle. */
async function aMinuteLater() {
  const time = await now();
  await apps.advance(60);
  return time + 30;
}

/** Restarts the Worker with SESSIONS_NOT_BEFORE after what has begun so far. */
async function cutOff(vars) {
  const time = await aMinuteLater();
  await worker.update({ vars: { ...vars, SESSIONS_NOT_BEFORE: String(time) } });
  worker.events();
}

/** Asserts that a session is accepted everywhere. Its refresh token is rotated. */
async function assertAccepted({ access_token, refresh_token }) {
  for (const check of ["me", "verify"]) assert.equal((await worker[check](access_token)).status, 200, check);
  for (const token of [access_token, refresh_token]) assert.equal(await isActive(token), true);
  assert.equal((await worker.refresh(refresh_token)).status, 200);
}

/** Asserts that a session is refused everywhere, and that nothing changes. */
async function assertRefused({ access_token, refresh_token }) {
  const kept = await worker.dump();
  await worker.assertInvalid([access_token]);
  for (const token of [access_token, refresh_token]) assert.equal(await isActive(token), false);
  invalid(await worker.refresh(refresh_token));
  const answer = await worker.token(refresh_token);
  assert.deepEqual([answer.status, answer.body.error], [400, "invalid_grant"]);
  assert.deepEqual(reasons(), ["sessions_not_before", "sessions_not_before"]);
  assert.deepEqual(await worker.dump(), kept);
}

test("sessions of before are refused everywhere, and later ones are accepted", async () => {
  const ada = await worker.register();
  await assertAccepted(await worker.register());
  await cutOff();
  await assertRefused(ada);
  const again = (await worker.login(ada)).body;
  const { sessions } = (await worker.get("/sessions", { bearer: again.access_token })).body;
  assert.deepEqual(
    sessions.map(({ id }) => id),
    [again.session_id],
  );
  await assertAccepted(again);
});

test("a session that begins in the second of the setting is accepted, and one of the second before is not", async () => {
  const [ada, eve] = [await worker.register(), await worker.register()];
  const time = decodeJwt(ada.access_token).iat;
  await worker.update({ vars: { SESSIONS_NOT_BEFORE: String(time) } });
  await assertAccepted(ada);
  await apps.advance(1);
  await worker.update({ vars: { SESSIONS_NOT_BEFORE: String(time + 1) } });
  worker.events();
  await assertRefused(eve);
});

test("a session of before is refused even if another isolate has refreshed it since", async () => {
  const ada = await worker.register();
  const time = await aMinuteLater();
  const refreshed = (await worker.refresh(ada.refresh_token)).body;
  assert.ok(decodeJwt(refreshed.access_token).iat > time);
  await worker.update({ vars: { SESSIONS_NOT_BEFORE: String(time) } });
  worker.events();
  await assertRefused(refreshed);
  // Within the grace window, the predecessor is a retry.
  invalid(await worker.refresh(ada.refresh_token));
  assert.deepEqual(reasons(), ["sessions_not_before"]);
});

test("the cookie of a session of before is refused, and a new one is accepted", async () => {
  const ada = await worker.loginByCookie(await worker.register());
  await cutOff();
  invalid(await worker.post("/refresh", { json: {}, ...page(ada.cookie) }));
  const again = await worker.loginByCookie(ada, {}, page(ada.cookie));
  assert.equal((await worker.post("/refresh", { json: {}, ...page(again.cookie) })).status, 200);
});

test("reuse is detected in sessions of before, and they can be logged out", async () => {
  const [ada, eve] = [await worker.register(), await worker.register()];
  const second = (await worker.refresh(ada.refresh_token)).body;
  await worker.refresh(second.refresh_token);
  await cutOff();
  invalid(await worker.refresh(ada.refresh_token));
  assert.equal(worker.events("reuse_detected").length, 1);
  assert.equal((await worker.revoke(eve.access_token)).status, 200);
  assert.equal((await worker.sessionRow(eve.session_id)).revoked_reason, "logout");
});

test("an access token that does not say when the user authenticated is refused, but only with the setting", async () => {
  const ada = await worker.register();
  const token = worker.resign(ada.access_token, { auth_time: undefined });
  assert.equal((await worker.me(token)).status, 200);
  await worker.update({ vars: { SESSIONS_NOT_BEFORE: "1" } });
  await worker.assertInvalid([token]);
  await worker.assertLive(ada);
});

test("it costs nothing: an accepted refresh has one round trip, and a check of an access token none", async () => {
  await worker.update({ vars: { SESSIONS_NOT_BEFORE: "1" } });
  const ada = await worker.register();
  worker.events();
  const costs = async (act) => {
    assert.equal((await act()).status, 200);
    const [{ d1_round_trips, d1_rows_written, kv_gets }] = worker.events("costs").slice(-1);
    return [d1_round_trips, d1_rows_written, kv_gets];
  };
  assert.deepEqual(await costs(() => worker.verify(ada.access_token)), [0, 0, 1]);
  assert.deepEqual(await costs(() => worker.refresh(ada.refresh_token)), [1, 1, 0]);
});

/** Asks for a mail with a code and a link, and returns the challenge with them. */
async function asked(path, json, kind, bearer) {
  const { status, body, text } = await worker.post(path, { json, bearer });
  assert.equal(status, 202, text);
  return { challenge: body.challenge, ...(await mails.only(kind)) };
}

/** Kinds of mails: how each is asked for, and the requests that use its code and its link. */
const MAILED = {
  "a new password": {
    ask: ({ email }) => asked("/password/forgot", { email }, "reset"),
    redeem: (proof) => worker.post("/password/reset", { json: { new_password: NEW, ...proof } }),
    link: (token) => worker.post("/password/reset", { json: { new_password: NEW, token } }),
    status: 200,
  },
  "a login": {
    ask: ({ email }) => asked("/login/email", { email }, "login"),
    // The page of the link shows its code.
    link: (token) => worker.post("/email/link", { json: { token } }),
    redeem: (proof) => worker.post("/login/email/verify", { json: proof }),
    status: 200,
  },
  "a verification": {
    ask: ({ access_token }) => asked("/email/verify/send", {}, "verify", access_token),
    redeem: (proof) => worker.post("/email/verify", { json: proof }),
    link: (token) => worker.post("/email/verify", { json: { token, password: PASSWORD } }),
    status: 204,
  },
};

for (const [what, { ask, redeem, link, status }] of Object.entries(MAILED)) {
  test(`codes and links of before for ${what} are refused, and later ones are accepted`, async () => {
    const ada = await worker.register();
    const early = await ask(ada);
    await cutOff();
    invalidCode(await redeem({ challenge: early.challenge, code: early.code }));
    invalidCode(await link(early.token));
    const { body } = await worker.login(ada);
    await mails.forget();
    const late = await ask({ ...ada, ...body });
    const answer = await redeem({ challenge: late.challenge, code: late.code });
    assert.equal(answer.status, status, answer.text);
  });
}

test("links of before from invitations and from the command line are refused, and later ones are accepted", async () => {
  const admin = await worker.registerStrongAdmin();
  await mails.forget();
  const invite = async (bearer) => {
    const answer = await worker.post("/users", { bearer, json: { email: address() } });
    assert.equal(answer.status, 201, answer.text);
    return mails.only("invite");
  };
  const accept = (token) => worker.post("/password/reset", { json: { token, new_password: NEW } });
  const early = await invite(admin.access_token);
  await cutOff();
  invalidCode(await accept(early.token));
  const login = await worker.login(admin);
  const { access_token } = await worker.proved({ ...admin, ...login.body }, "pwd email otp mfa");
  await mails.forget();
  assert.equal((await accept((await invite(access_token)).token)).status, 200);
});

test("registrations of before are refused, and later ones become accounts", async () => {
  const vars = { EMAIL_VERIFICATION: "required" };
  const register = async () => {
    const json = { email: address(), password: PASSWORD };
    return { ...(await asked("/register", json, "register")), json };
  };
  const verify = (json) => worker.post("/email/verify", { json });
  const time = await aMinuteLater();
  await worker.update({ vars });
  const early = await register();
  await apps.advance(60);
  await worker.update({ vars: { ...vars, SESSIONS_NOT_BEFORE: String(time + 60) } });
  invalidCode(await verify({ challenge: early.challenge, code: early.code }));
  invalidCode(await verify({ token: early.token, password: PASSWORD }));
  const again = await worker.post("/email/verify/send", { json: { challenge: early.challenge } });
  assert.equal(again.status, 202, "the response tells nothing");
  assert.deepEqual(await mails.take(), []);
  const late = await register();
  assert.equal((await verify({ challenge: late.challenge, code: late.code })).status, 204);
  assert.equal((await worker.login(late.json)).status, 200);
});

/** Asks for a change of the address, and returns the challenge with both codes. */
async function askedForChange({ access_token }) {
  await mails.forget();
  const { status, body, text } = await worker.post("/me/email", {
    bearer: access_token,
    json: { new_email: address() },
  });
  assert.equal(status, 202, text);
  const sent = Object.fromEntries((await mails.take()).map(({ kind, code }) => [kind, code]));
  return { challenge: body.challenge, code: sent.change_new, old_code: sent.change_old };
}
const confirm = ({ access_token }, json) => worker.post("/me/email/confirm", { bearer: access_token, json });

test("codes of before for a change of the address are refused, and later ones are accepted", async () => {
  const ada = await worker.register();
  const early = await askedForChange(ada);
  await cutOff();
  const { body } = await worker.login(ada);
  invalidCode(await confirm(body, early));
  assert.equal((await confirm(body, await askedForChange(body))).status, 200);
});

test("a change of the address that waits since before is dropped without a mail, and its link is refused", async () => {
  const lose = async (session) => {
    const { challenge, code } = await askedForChange(session);
    assert.equal((await confirm(session, { challenge, code, old_mailbox: "lost" })).status, 202);
    return mails.only("email_change_pending");
  };
  const pendingOf = ({ user }) =>
    worker.db.prepare("SELECT * FROM email_changes WHERE user_id = ?").bind(user.id).first();
  const ada = await worker.register();
  const mail = await lose(ada);
  await cutOff();
  const token = new URL(mail.link).hash.replace(/^#token=/, "");
  invalidCode(await worker.post("/me/email/cancel", { json: { token } }));
  const { body } = await worker.login(ada);
  assert.equal((await worker.me(body.access_token)).body.pending_email, undefined);
  for (const days of [3, 3, 1]) {
    await worker.db
      .prepare("UPDATE email_changes SET next_notice_at = next_notice_at - ?1, takes_effect_at = takes_effect_at - ?1")
      .bind(days * DAY)
      .run();
    await worker.schedule("* * * * *");
  }
  assert.deepEqual(await mails.take(), []);
  assert.equal(await pendingOf(ada), null);
  assert.equal((await worker.account(ada)).email, ada.email);
  const { events } = (await worker.get("/me/events", { bearer: body.access_token })).body;
  const [{ reason }] = events.filter(({ kind }) => kind === "email_change_cancelled");
  assert.equal(reason, "outdated");
  await lose(body);
  assert.equal(typeof (await worker.me(body.access_token)).body.pending_email.takes_effect_at, "number");
});

test("a sign-in that waits for a further proof since before is refused, and a later one goes on", async () => {
  const ada = await apps.user();
  await mails.forget();
  const mfa_token = await apps.begin(ada);
  const complete = (json) => worker.post("/login/mfa", { json });
  const refused = (answer) => assertProblem(answer, 400, "invalid_mfa_token");
  await cutOff();
  refused(await complete({ mfa_token, code: apps.code(ada) }));
  refused(await worker.post("/login/mfa/options", { json: { mfa_token } }));
  refused(await worker.post("/login/email", { json: { mfa_token } }));
  assert.deepEqual(await mails.take(), []);
  await assertAccepted(await apps.session(ada));
});

test("a sign-in that waits for the first factor since before cannot add one", async () => {
  const ada = await worker.register();
  const vars = { MFA: "required" };
  await worker.setColumn(ada, "email_verified_at", 1);
  const begin = async () => {
    const { body } = await worker.login(ada);
    const { challenge, code } = await asked("/login/email", { mfa_token: body.mfa_token }, "login");
    const answer = await worker.post("/login/mfa", { json: { mfa_token: body.mfa_token, challenge, mail_code: code } });
    assertProblem(answer, 401, "mfa_enrolment_required");
    return answer.body.mfa_token;
  };
  await worker.update({ vars });
  const early = await begin();
  await apps.advance(60);
  const time = decodeJwt(ada.access_token).iat + 30;
  await worker.update({ vars: { ...vars, SESSIONS_NOT_BEFORE: String(time) } });
  assertProblem(await worker.post("/me/mfa/totp", { bearer: early }), 400, "invalid_mfa_token");
  await mails.forget();
  assert.equal((await worker.post("/me/mfa/totp", { bearer: await begin() })).status, 201);
});

test("challenges of passkeys of before are refused, and later ones are accepted", async () => {
  const ada = await registerWithPasskey(worker);
  const authenticator = new Authenticator();
  const email = address();
  const early = {
    login: ada.authenticator.get(await options(worker)),
    register: authenticator.create(await options(worker, "/register/passkey/options", { json: { email } })),
  };
  await cutOff();
  assertProblem(await worker.post("/passkeys/login", { json: { credential: early.login } }), 400, "passkey_refused");
  const registered = await worker.post("/register/passkey", { json: { credential: early.register, email } });
  assert.equal(registered.status, 400, registered.text);
  assert.deepEqual(refusals(worker), ["sessions_not_before", "sessions_not_before"]);
  assert.equal((await logIn(worker, ada)).status, 200);
  await registerWithPasskey(worker, { email });
});

test("device tokens of before are of unknown devices, and those of the same day but later are of known ones", async () => {
  const ada = await worker.registerForGuesses();
  const login = (device_token) =>
    worker.post("/login", { json: { email: ada.email, password: PASSWORD, device_token } });
  const early = (await login()).body.device_token;
  await worker.throttle(ada);
  assert.equal((await login(early)).status, 200, "the device is known");
  await worker.forgetFailures();
  await cutOff();
  const late = (await login()).body.device_token;
  await worker.throttle(ada);
  assertProblem(await login(early), 429, "too_many_attempts");
  assert.equal((await login(late)).status, 200);
});

/** Requests whose last call would begin or change something: what each needs, and the row on which it depends. */
const OVERTAKEN = {
  "a refresh": {
    row: ["refresh_tokens", "authenticated_at"],
    at: 1,
    begin: async ({ refresh_token }) => ["/refresh", { refresh_token }],
  },
  "a new password by a code": {
    row: ["challenges", "created_at"],
    begin: async (ada) => {
      const { challenge, code } = await MAILED["a new password"].ask(ada);
      return ["/password/reset", { challenge, code, new_password: NEW }];
    },
  },
  "a login by a code": {
    row: ["challenges", "created_at"],
    begin: async (ada) => {
      const { challenge, code } = await MAILED["a login"].ask(ada);
      return ["/login/email/verify", { challenge, code }];
    },
  },
  "a verification": {
    row: ["challenges", "created_at"],
    begin: async (ada) => {
      const { challenge, code } = await MAILED["a verification"].ask(ada);
      return ["/email/verify", { challenge, code }];
    },
  },
  "a change of the address": {
    row: ["challenges", "created_at"],
    begin: async (ada) => ["/me/email/confirm", await askedForChange(ada), ada.access_token],
  },
  "a registration": {
    row: ["challenges", "created_at"],
    vars: { EMAIL_VERIFICATION: "required" },
    begin: async () => {
      const { challenge, code } = await asked("/register", { email: address(), password: PASSWORD }, "register");
      return ["/email/verify", { challenge, code }];
    },
  },
  "a sign-in with a code of an authenticator app": {
    row: ["pending_sign_ins", "created_at"],
    begin: async () => {
      const eve = await apps.user();
      return ["/login/mfa", { mfa_token: await apps.begin(eve), code: apps.code(eve) }];
    },
  },
  "a sign-in with a code from a mail, before the first factor": {
    row: ["pending_sign_ins", "created_at"],
    vars: { MFA: "required" },
    begin: async (ada) => {
      await worker.setColumn(ada, "email_verified_at", 1);
      const { mfa_token } = (await worker.login(ada)).body;
      const { challenge, code } = await asked("/login/email", { mfa_token }, "login");
      return ["/login/mfa", { mfa_token, challenge, mail_code: code }];
    },
  },
};

/** What such a request could change. A code that comes too late may be used up. */
async function remaining() {
  const { users, refresh_tokens, pending_sign_ins, email_changes, audit_events } = await worker.dump();
  return { users, refresh_tokens, pending_sign_ins, email_changes, audit_events };
}

for (const [what, { row, at, vars, begin }] of Object.entries(OVERTAKEN)) {
  test(`a database that is restored while a request runs does not revive ${what}`, async () => {
    const early = { SESSIONS_NOT_BEFORE: "1000" };
    await worker.update({ vars: early });
    const ada = await worker.register();
    await worker.update({ vars: { ...vars, ...early } });
    await mails.forget();
    const [path, json, bearer] = await begin(ada);
    await mails.take();
    // The call with the change is the last one: held there, the request has judged the row before.
    const plan = worker.plan({ at: at ?? 2, does: "hold", only: "batch" });
    const late = await worker.send("POST", path, { json, bearer, plan });
    assert.equal(await plan.untilHeld(), true);
    const [table, column] = row;
    await worker.db.prepare(`UPDATE ${table} SET ${column} = 999`).run();
    const kept = await remaining();
    plan.release();
    const answer = await late.answer();
    await plan.untilEnded();
    await late.disconnect("FIN");
    assert.ok([400, 401].includes(answer.status), answer.text);
    assert.deepEqual(await remaining(), kept);
  });
}

test("a time in the future is refused until it has come", async () => {
  const ada = await worker.register();
  const time = decodeJwt(ada.access_token).iat + 10;
  await worker.update({ vars: { SESSIONS_NOT_BEFORE: String(time) } });
  worker.events();
  assertProblem(await worker.me(ada.access_token), 503, "misconfigured");
  const [{ variable, problem }] = worker.events("misconfigured");
  assert.deepEqual([variable, problem], ["SESSIONS_NOT_BEFORE", "is in the future"]);
  await apps.advance(10);
  await worker.assertInvalid([ada.access_token]);
  assert.equal((await worker.login(ada)).status, 200);
});
