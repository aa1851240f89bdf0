// Logging in and creating accounts with passkeys: POST /passkeys/options, /passkeys/login, /register/passkey/options and
// /register/passkey, against an authenticator in software and against @simplewebauthn/server.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { after, before, test } from "node:test";

import { verifyAuthenticationResponse, verifyRegistrationResponse } from "@simplewebauthn/server";
import { decodeJwt } from "jose";

import { ALGORITHM_NAMES, Authenticator } from "../../support/authenticator.mjs";
import { assertProblem, ISSUER, startWorker } from "../../support/harness.mjs";
import { Mails } from "../../support/mails.mjs";
import { logIn, options, refusals, registerWithPasskey } from "../../support/passkeys.mjs";

const RP_ID = "localhost";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const login = (credential, details) => worker.post("/passkeys/login", { json: { credential, ...details } });
const register = (credential, email, details) =>
  worker.post("/register/passkey", { json: { credential, email, ...details } });
const registrationOptions = (email, details) =>
  options(worker, "/register/passkey/options", { json: { email, ...details } });

let addresses = 0;
const newAddress = () => `new-${++addresses}@example.org`;

/** Asserts that a passkey is refused for this reason, which only the log tells. */
function assertRefused(answer, reason) {
  assertProblem(answer, 400, "passkey_refused");
  assert.equal(answer.body.detail, "The passkey is not accepted. Get new options and try again.");
  assert.deepEqual(refusals(worker), [reason]);
}

test("a passkey creates an account without a password, and logs in with two factors", async () => {
  for (const algorithm of ALGORITHM_NAMES) {
    const user = await registerWithPasskey(worker, { name: "Ada" }, new Authenticator({ algorithm }));
    const { id, created_at, ...passkey } = user.passkey;
    assert.deepEqual(passkey, {
      name: "Passkey",
      last_used_at: null,
      backed_up: false,
      transports: ["internal"],
      aaguid: "00000000-0000-0000-0000-000000000000",
    });
    assert.equal(id, user.authenticator.passkeys[0].id.toString("base64url"));
    assert.equal(await worker.storedHash(user), null);
    for (const session of [user, (await logIn(worker, user)).body]) {
      const { acr, amr, sub } = decodeJwt(session.access_token);
      assert.deepEqual({ acr, amr, sub }, { acr: "aal2", amr: ["pop", "user", "mfa"], sub: user.user.id });
      assert.equal((await worker.me(session.access_token)).body.name, "Ada");
      assert.equal((await worker.refresh(session.refresh_token)).status, 200);
    }
  }
});

test("the options have what browsers need, and asking for them uses no storage", async () => {
  worker.events();
  const { publicKey } = await options(worker);
  const { challenge, ...rest } = publicKey;
  assert.deepEqual(rest, { timeout: 300_000, rpId: RP_ID, allowCredentials: [], userVerification: "required" });
  assert.match(challenge, /^[\w-]{54}$/);
  const [costs] = worker.events("costs").filter(({ route }) => route === "PasskeyOptions");
  assert.deepEqual([costs.d1_round_trips, costs.kv_gets, costs.kv_puts], [0, 0, 0]);
  const email = newAddress();
  const created = (await registrationOptions(email, { name: "Ada" })).publicKey;
  assert.deepEqual(created.rp, { id: RP_ID, name: RP_ID });
  assert.deepEqual([created.user.name, created.user.displayName], [email, "Ada"]);
  assert.equal(Buffer.from(created.user.id, "base64url").length, 16);
  assert.deepEqual(
    created.pubKeyCredParams.map(({ alg }) => alg),
    [-8, -7, -257],
  );
  assert.deepEqual(created.authenticatorSelection, {
    residentKey: "required",
    requireResidentKey: true,
    userVerification: "required",
  });
  assert.deepEqual([created.attestation, created.excludeCredentials], ["none", []]);
});

test("a login needs two round trips to D1 and no password hash", async () => {
  const user = await registerWithPasskey(worker);
  worker.events();
  assert.equal((await logIn(worker, user)).status, 200);
  const [costs] = worker.events("costs").filter(({ route }) => route === "PasskeyLogin");
  assert.equal(costs.d1_round_trips, 2);
});

test("a login records when and with what the session began", async () => {
  const user = await registerWithPasskey(worker);
  const { body } = await logIn(worker, user);
  assert.equal((await worker.sessionRow(body.session_id)).passkey_id, user.passkey.id);
  const { passkeys } = (await worker.get("/me/passkeys", { bearer: body.access_token })).body;
  assert.ok(passkeys[0].last_used_at >= passkeys[0].created_at);
});

test("each check of a login refuses, with one answer", async () => {
  const user = await registerWithPasskey(worker);
  const other = await registerWithPasskey(worker);
  for (const [changes, reason] of [
    [{ type: "webauthn.create" }, "type"],
    [{ origin: "http://localhost:8788" }, "origin"],
    [{ origin: "https://evil.example" }, "origin"],
    [{ crossOrigin: true }, "cross_origin"],
    [{ topOrigin: "https://evil.example" }, "top_origin"],
    [{ rpId: "evil.example" }, "rp_id"],
    [{ up: false }, "user_presence"],
    [{ uv: false }, "user_verification"],
    [{ be: true }, "backup_eligibility"],
    [{ bs: true }, "backup_state"],
    [{ damaged: true }, "signature"],
    [{ signedBy: other.authenticator.passkeys[0] }, "signature"],
    [{ userHandle: other.user.id }, "user_handle"],
    [{ userHandle: undefined }, "no_user_handle"],
    [{ challenge: "AAAA" }, "challenge"],
  ]) {
    refusals(worker);
    assertRefused(await logIn(worker, user, changes), reason);
  }
  const unknown = new Authenticator();
  unknown.create(await registrationOptions(newAddress()));
  assertRefused(await logIn(worker, { authenticator: unknown }), "unknown_credential");
  assert.equal((await logIn(worker, user)).status, 200);
});

test("each check of a registration refuses, and no account exists", async () => {
  const email = newAddress();
  for (const [changes, reason] of [
    [{ type: "webauthn.get" }, "type"],
    [{ origin: "https://evil.example" }, "origin"],
    [{ crossOrigin: true }, "cross_origin"],
    [{ rpId: "evil.example" }, "rp_id"],
    [{ up: false }, "user_presence"],
    [{ uv: false }, "user_verification"],
    [{ bs: true }, "backup_state"],
    [{ fmt: "packed-but-not" }, "attestation_format"],
    [{ coseKey: [1, 2, 3, -7, -1, 1, -2, Buffer.alloc(32, 1), -3, Buffer.alloc(32, 1)] }, "public_key_import"],
    [{ coseKey: [1, 2, 3, -35, -1, 2, -2, Buffer.alloc(48, 1), -3, Buffer.alloc(48, 1)] }, "algorithm"],
  ]) {
    refusals(worker);
    const credential = new Authenticator().create(await registrationOptions(email), changes);
    assertRefused(await register(credential, email), reason);
  }
  assert.equal((await worker.counts()).users, (await worker.counts()).users);
  const taken = await worker.db.prepare("SELECT 1 FROM users WHERE email_key = ?").bind(email).first();
  assert.equal(taken, null);
});

test("a challenge is valid for its purpose only", async () => {
  const user = await registerWithPasskey(worker);
  const { authenticator } = user;
  // A challenge of a registration, answered as a login.
  const { publicKey } = await registrationOptions(newAddress());
  refusals(worker);
  assertRefused(await login(authenticator.get({ publicKey })), "challenge_purpose");
  // The reverse.
  const email = newAddress();
  const creation = await registrationOptions(email);
  creation.publicKey.challenge = (await options(worker)).publicKey.challenge;
  assertRefused(await register(new Authenticator().create(creation), email), "challenge_purpose");
});

test("a challenge expires after five minutes", async () => {
  const user = await registerWithPasskey(worker);
  const credential = user.authenticator.get(await options(worker));
  const email = newAddress();
  const registration = new Authenticator().create(await registrationOptions(email));
  await worker.advance(301);
  refusals(worker);
  assertRefused(await login(credential), "challenge_expired");
  assertRefused(await register(registration, email), "challenge_expired");
});

test("a response logs in once, also if it is sent 50 times at once", async () => {
  for (const counts of [false, true]) {
    const user = await registerWithPasskey(worker, {}, new Authenticator({ counts }));
    const credential = user.authenticator.get(await options(worker));
    const { sessions } = await worker.counts();
    await worker.warmUp(10);
    const answers = await Promise.all(Array.from({ length: 50 }, () => login(credential)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(49).fill(400)]);
    for (const answer of answers.filter(({ status }) => status === 400)) assertProblem(answer, 400, "passkey_refused");
    assert.equal((await worker.counts()).sessions, sessions + 1);
    assertProblem(await login(credential), 400, "passkey_refused");
  }
});

test("several tabs may have options at the same time, and used challenges are forgotten when they expire", async () => {
  const user = await registerWithPasskey(worker);
  const tabs = await Promise.all([options(worker), options(worker), options(worker)]);
  for (const tab of tabs) assert.equal((await login(user.authenticator.get(tab))).status, 200);
  const used = async () => {
    const row = await worker.db
      .prepare("SELECT used_challenges FROM passkeys WHERE credential_id = ?")
      .bind(user.passkey.id)
      .first();
    return Object.keys(JSON.parse(row.used_challenges)).length;
  };
  assert.equal(await used(), 3);
  await worker.advance(301);
  assert.equal((await logIn(worker, user)).status, 200);
  assert.equal(await used(), 1);
});

test("a registration creates one account", async () => {
  const email = newAddress();
  const credential = new Authenticator().create(await registrationOptions(email));
  const answers = await Promise.all(
    [newAddress(), newAddress(), email].map((address) => register(credential, address)),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 400, 400]);
  refusals(worker);
  assertRefused(await register(credential, newAddress()), "used");
});

test("a passkey belongs to one account", async () => {
  const user = await registerWithPasskey(worker);
  const email = newAddress();
  const copied = new Authenticator().create(await registrationOptions(email), {
    id: Buffer.from(user.passkey.id, "base64url"),
  });
  refusals(worker);
  assertRefused(await register(copied, email), "used");
});

test("a counter that goes back is refused, or logged if WEBAUTHN_COUNTER says so", async () => {
  const user = await registerWithPasskey(worker, {}, new Authenticator({ counts: true }));
  assert.equal((await logIn(worker, user, { counter: 7 })).status, 200);
  for (const counter of [7, 6, 0]) {
    refusals(worker);
    assertRefused(await logIn(worker, user, { counter }), "counter");
  }
  // A signature that is not valid is no sign of a copy.
  assertRefused(await logIn(worker, user, { counter: 1, damaged: true }), "signature");
  await worker.update({ vars: { WEBAUTHN_COUNTER: "log" } });
  worker.events();
  assert.equal((await logIn(worker, user, { counter: 3 })).status, 200);
  assert.deepEqual(
    worker.events("passkey_counter_went_back").map(({ level, user_id }) => [level, user_id]),
    [["warn", user.user.id]],
  );
  await worker.update();
  assert.equal((await logIn(worker, user, { counter: 4 })).status, 200);
});

test("a synced passkey stays one, and may begin and end to be copied", async () => {
  const user = await registerWithPasskey(worker, {}, new Authenticator({ backedUp: true }));
  assert.equal(user.passkey.backed_up, true);
  const { body } = await logIn(worker, user, { bs: false });
  assert.equal((await worker.get("/me/passkeys", { bearer: body.access_token })).body.passkeys[0].backed_up, false);
  refusals(worker);
  assertRefused(await logIn(worker, user, { be: false, bs: false }), "backup_eligibility");
});

test("a disabled account is answered like a wrong passkey", async () => {
  const user = await registerWithPasskey(worker);
  await worker.disable(user);
  refusals(worker);
  assertRefused(await logIn(worker, user), "disabled");
  await worker.disable(user, false);
  assert.equal((await logIn(worker, user)).status, 200);
});

test("a change of the account after the check refuses the login", async () => {
  const user = await registerWithPasskey(worker);
  const credential = user.authenticator.get(await options(worker));
  const plan = worker.plan({ at: 1, does: "hold answer" });
  const answer = worker.post("/passkeys/login", { json: { credential }, headers: plan.headers });
  assert.equal(await plan.untilHeld(), true);
  await worker.setColumn(user, "credentials_version", 9);
  refusals(worker);
  plan.release();
  assertRefused(await answer, "used_or_changed");
});

test("an earlier response is refused if a later one of the same authenticator was used meanwhile", async () => {
  const user = await registerWithPasskey(worker, {}, new Authenticator({ counts: true }));
  const [earlier, later] = [await options(worker), await options(worker)].map((ask) => user.authenticator.get(ask));
  const plan = worker.plan({ at: 1, does: "hold answer" });
  const answer = worker.post("/passkeys/login", { json: { credential: earlier }, headers: plan.headers });
  assert.equal(await plan.untilHeld(), true);
  assert.equal((await login(later)).status, 200);
  refusals(worker);
  plan.release();
  assertRefused(await answer, "used_or_changed");
});

test("the body has the form that browsers send", async () => {
  const user = await registerWithPasskey(worker);
  const credential = user.authenticator.get(await options(worker));
  for (const bad of [
    "x",
    {},
    { ...credential, rawId: "AAAA" },
    { ...credential, type: "password" },
    { ...credential, id: `${credential.id}=`, rawId: `${credential.id}=` },
    { ...credential, response: { ...credential.response, signature: "A" } },
  ]) {
    const answer = await login(bad);
    assertProblem(answer, 400, "invalid_request");
    assert.match(answer.body.detail, /^The member credential /);
  }
  assertProblem(await worker.post("/passkeys/login", { json: {} }), 400, "invalid_request");
  assert.equal((await login(credential)).status, 200);
});

test("a taken or bad name is refused before a passkey is made", async () => {
  const { email } = await registerWithPasskey(worker, { username: "first-passkey" });
  const ask = (json) => worker.post("/register/passkey/options", { json });
  assertProblem(await ask({ email }), 409, "email_taken");
  assertProblem(await ask({ email: newAddress(), username: "first-passkey" }), 409, "username_taken");
  assertProblem(await ask({ email: "x" }), 422, "invalid_email");
  assertProblem(await ask({ email: newAddress(), name: "\n" }), 422, "invalid_name");
  const credential = new Authenticator().create(await registrationOptions(newAddress()));
  assertProblem(await register(credential, email), 409, "email_taken");
  await worker.update({ vars: { REGISTRATION: "closed" } });
  assertProblem(await ask({ email: newAddress() }), 403, "registration_closed");
  assertProblem(await register(credential, newAddress()), 403, "registration_closed");
  await worker.update();
});

test("the well-known documents tell browsers and password managers where passkeys are used", async () => {
  assert.deepEqual((await worker.get("/.well-known/webauthn")).body, { origins: [ISSUER] });
  const page = `${ISSUER}/account/security`;
  assert.deepEqual((await worker.get("/.well-known/passkey-endpoints")).body, { enroll: page, manage: page });
  await worker.update({ vars: { PAGES: "off", WEBAUTHN_ORIGINS: `${ISSUER},https://example.net` } });
  assert.deepEqual((await worker.get("/.well-known/webauthn")).body, { origins: [ISSUER, "https://example.net"] });
  assertProblem(await worker.get("/.well-known/passkey-endpoints"), 404, "not_found");
  // They are at the root of the host, also if the issuer has a path.
  await worker.update({ vars: { ISSUER: `${ISSUER}/auth` } });
  assert.deepEqual((await worker.get("/.well-known/webauthn")).body, { origins: [ISSUER] });
  assert.deepEqual((await worker.get("/.well-known/passkey-endpoints")).body.enroll, `${ISSUER}/auth/account/security`);
  await worker.update();
});

test("another origin of WEBAUTHN_ORIGINS and a wider domain are accepted", async () => {
  await worker.update({
    vars: {
      ISSUER: "https://auth.example.org",
      WEBAUTHN_RP_ID: "example.org",
      WEBAUTHN_ORIGINS: "https://app.example.org,https://example.net",
    },
  });
  const origin = "https://app.example.org";
  const user = await registerWithPasskey(worker, {}, new Authenticator({ origin }));
  assert.equal((await logIn(worker, user, { origin: "https://example.net" })).status, 200);
  refusals(worker);
  assertRefused(await logIn(worker, user, { origin: "https://auth.example.org" }), "origin");
  await worker.update();
});

const CHANGES = [
  ["type", "webauthn.other"],
  ["origin", "https://evil.example"],
  ["rpId", "evil.example"],
  ["challenge", "AAAA"],
  ["up", false],
  ["uv", false],
];

/** One change in two ceremonies of three, and with `of` one of these too. */
function randomChanges(...of) {
  const all = [...CHANGES, ...of];
  const changes = randomInt(3) === 0 ? [] : [all[randomInt(all.length)]];
  return Object.fromEntries(changes);
}

/** Whether a promise is fulfilled with `verified`. */
const verified = (promise) =>
  promise.then(
    (result) => result.verified,
    () => false,
  );

test("what is accepted and refused is the same as by @simplewebauthn/server", async () => {
  const outcomes = { created: [0, 0], used: [0, 0] };
  for (let round = 0; round < 30; round += 1) {
    const algorithm = ALGORITHM_NAMES[round % ALGORITHM_NAMES.length];
    const authenticator = new Authenticator({ algorithm, counts: randomInt(2) === 1, backedUp: randomInt(2) === 1 });
    const email = newAddress();
    const creation = await registrationOptions(email);
    const registration = authenticator.create(creation, randomChanges());
    const expected = { expectedOrigin: ISSUER, expectedRPID: RP_ID, requireUserVerification: true };
    const own = await register(registration, email);
    const theirs = await verified(
      verifyRegistrationResponse({
        response: registration,
        expectedChallenge: creation.publicKey.challenge,
        supportedAlgorithmIDs: creation.publicKey.pubKeyCredParams.map(({ alg }) => alg),
        ...expected,
      }),
    );
    assert.equal(own.status, theirs ? 201 : 400, own.text);
    outcomes.created[Number(theirs)] += 1;
    if (!theirs) continue;
    const { registrationInfo } = await verifyRegistrationResponse({
      response: registration,
      expectedChallenge: creation.publicKey.challenge,
      ...expected,
    });
    for (let use = 0; use < 4; use += 1) {
      const request = await options(worker);
      const response = authenticator.get(request, randomChanges(["damaged", true]));
      const answer = await login(response);
      const result = verifyAuthenticationResponse({
        response,
        expectedChallenge: request.publicKey.challenge,
        credential: registrationInfo.credential,
        ...expected,
      });
      const accepted = await verified(result);
      assert.equal(answer.status, accepted ? 200 : 400, answer.text);
      outcomes.used[Number(accepted)] += 1;
      if (accepted) registrationInfo.credential.counter = (await result).authenticationInfo.newCounter;
    }
  }
  for (const [refused, accepted] of Object.values(outcomes)) assert.ok(refused > 0 && accepted > 0);
});

test("with EMAIL_VERIFICATION required, the account exists once the code from the mail comes back", async () => {
  const mailing = await startWorker({ vars: { MAIL: "log", EMAIL_VERIFICATION: "required" } });
  try {
    const email = newAddress();
    const authenticator = new Authenticator();
    const creation = await options(mailing, "/register/passkey/options", { json: { email } });
    const credential = authenticator.create(creation);
    const mails = new Mails(mailing, ["new_device"]);
    const json = { credential, email };
    const waiting = await mailing.post("/register/passkey", { json });
    assert.equal(waiting.status, 202, waiting.text);
    assert.deepEqual(Object.keys(waiting.body), ["challenge"]);
    // The challenge of the passkey is used.
    assertProblem(await mailing.post("/register/passkey", { json }), 400, "passkey_refused");
    assertProblem(await logIn(mailing, { authenticator }), 400, "passkey_refused");
    const { code } = await mails.only("register");
    const { challenge } = waiting.body;
    assert.equal((await mailing.post("/email/verify", { json: { challenge, code } })).status, 204);
    const session = await logIn(mailing, { authenticator });
    assert.equal(session.status, 200, session.text);
    assert.deepEqual([session.body.user.email, session.body.user.email_verified], [email, true]);
    // A taken address has the same answer, and nobody can log in with the passkey.
    const stranger = new Authenticator();
    const again = await options(mailing, "/register/passkey/options", { json: { email } });
    const answer = await mailing.post("/register/passkey", { json: { credential: stranger.create(again), email } });
    assert.equal(answer.status, 202, answer.text);
    assertProblem(await logIn(mailing, { authenticator: stranger }), 400, "passkey_refused");
  } finally {
    await mailing.close();
  }
});
