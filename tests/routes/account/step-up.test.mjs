// POST /me/step-up, and the sensitive changes that need a recent authentication.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { read } from "../../../scripts/lib.mjs";
import {
  assertOAuthError,
  assertProblem,
  cookieOf,
  PASSWORD,
  page,
  STEP_UP_CHALLENGE,
  startWorker,
} from "../../support/harness.mjs";
import { MAIL_VARS } from "../../support/mails.mjs";
import { BEARER_ROUTES } from "../../support/routes.mjs";

const NEW = "four ponies sing quietly at noon";
const AGE = 1000;

let worker;
before(async () => (worker = await startWorker({ vars: { ...MAIL_VARS, COOKIE_MODE: "refresh" } })));
after(() => worker.close());

const claimsOf = ({ access_token }) => decodeJwt(access_token);
const authentication = (session) => {
  const { auth_time, acr, amr } = claimsOf(session);
  return { auth_time, acr, amr };
};
const stepUp = (session, json, options) =>
  worker.post("/me/step-up", { bearer: session.access_token, json, ...options });

/** A session whose user authenticated long ago, in D1 and in its tokens. */
async function longAgo(user) {
  const session = { ...user, ...(user.refresh_token === undefined ? (await worker.login(user)).body : {}) };
  await worker.db
    .prepare("UPDATE refresh_tokens SET authenticated_at = authenticated_at - ? WHERE session_id = ?")
    .bind(AGE, session.session_id)
    .run();
  return worker.authenticatedAgo(session, AGE);
}

/** Enrols a second factor in D1. */
const enrol = ({ user }) =>
  worker.db
    .prepare(
      "INSERT INTO totp_secrets (id, user_id, secret, created_at, confirmed_at, tries, last_step) VALUES (?, ?, '', 1, 1, 0, 0)",
    )
    .bind(randomBytes(16).toString("base64url"), user.id)
    .run();

/** Everything that the account has in D1. */
async function stored({ user }) {
  const tables = ["users", "refresh_tokens", "audit_events", "throttles"];
  const { users, ...others } = Object.fromEntries(
    Object.entries(await worker.dump()).filter(([table]) => tables.includes(table)),
  );
  const own = (rows) => rows.filter((row) => row.user_id === user.id || row.key === `user:${user.id}`);
  return [users.find(({ id }) => id === user.id), ...Object.values(others).map(own)];
}

async function unchanged(user, act) {
  const before = await stored(user);
  await act();
  assert.deepEqual(await stored(user), before);
}

test("a step-up ends the session of the caller and begins another one, which has just authenticated", async () => {
  const user = await longAgo(await worker.register());
  const other = (await worker.login(user)).body;
  const { auth_time: before } = claimsOf(other);
  worker.events();
  const answer = await stepUp(user, { password: PASSWORD });
  assert.equal(answer.status, 200, answer.text);
  const renewed = answer.body;
  const logged = worker.events("revoked").map(({ session_id, reason }) => [session_id, reason]);
  assert.deepEqual(logged, [[user.session_id, "renewed"]]);
  assert.deepEqual(Object.keys(renewed), Object.keys(other));
  assert.notEqual(renewed.session_id, user.session_id);
  const [own, old] = [authentication(renewed), authentication(user)];
  assert.deepEqual([own.acr, own.amr], ["aal1", ["pwd"]]);
  assert.ok(own.auth_time >= before && own.auth_time > old.auth_time + AGE - 60, `${own.auth_time}`);
  const { authenticated_at, amr } = await worker.sessionRow(renewed.session_id);
  assert.deepEqual([authenticated_at, amr], [own.auth_time, "pwd"]);
  await worker.assertEnded(user);
  await worker.marksWritten();
  assert.ok(await worker.isMarked(user));
  const row = await worker.sessionRow(user.session_id);
  assert.deepEqual([row.revoked_reason, row.revoked_ip], ["renewed", "192.0.2.1"]);
  for (const session of [renewed, other]) await worker.assertLive(session);
  assert.equal((await worker.refresh(renewed.refresh_token)).status, 200);
  const { events } = (await worker.get("/me/events", { bearer: renewed.access_token })).body;
  const ending = events.find(({ kind, session_id }) => kind === "revoked" && session_id === user.session_id);
  assert.equal(ending.reason, "renewed");
  assert.ok(!events.some(({ kind }) => kind === "reuse_detected"));
});

test("a step-up keeps the device of the user known, and sends no mail about a new one", async () => {
  const user = await worker.register();
  await worker.marksWritten();
  await worker.db.prepare("DELETE FROM outbox").run();
  worker.events();
  const { device_token } = (await stepUp(user, { password: PASSWORD })).body;
  await worker.throttle(user);
  assert.equal((await worker.post("/login", { json: { ...credentials(user), device_token } })).status, 200);
  await worker.forgetFailures();
  assert.deepEqual(
    worker.events("mail").filter(({ kind }) => kind === "new_device"),
    [],
  );
});
const credentials = ({ email, password }) => ({ email, password });

test("a wrong password is 403 and counts; a missing one is 400 and does not", async () => {
  const user = await worker.register();
  await unchanged(user, async () => {
    const missing = await stepUp(user, {});
    assertProblem(missing, 400, "invalid_request");
    for (const json of [{ password: 1 }, { password: PASSWORD, current_password: PASSWORD }, [PASSWORD], PASSWORD])
      assertProblem(await stepUp(user, json), 400, "invalid_request");
    assertProblem(await stepUp(user, { password: "x".repeat(1025) }), 403, "wrong_password");
  });
  for (const password of ["wrong", "", `${PASSWORD} `])
    assertProblem(await stepUp(user, { password }), 403, "wrong_password");
  const { events } = (await worker.get("/me/events", { bearer: user.access_token })).body;
  const failed = events.filter(({ kind }) => kind === "login_failed");
  assert.equal(
    failed.reduce((sum, { count }) => sum + count, 0),
    3,
  );
  await worker.assertLive(user);
});

test("after five wrong passwords a step-up waits, and the right one that follows the wait forgets them", async () => {
  const user = await worker.registerForGuesses();
  for (let count = 0; count < 5; count += 1) await stepUp(user, { password: "wrong" });
  for (const password of ["wrong", PASSWORD]) assertProblem(await stepUp(user, { password }), 429, "too_many_attempts");
  assert.equal((await worker.login(user)).status, 200, "a login has waits of its own");
  await worker.db.prepare("UPDATE throttles SET until = 0 WHERE key = ?").bind(`user:${user.user.id}`).run();
  assert.equal((await stepUp(user, { password: PASSWORD })).status, 200);
  const row = worker.db.prepare("SELECT * FROM throttles WHERE key = ?").bind(`user:${user.user.id}`);
  assert.equal(await row.first(), null);
});

test("a session that is not in force cannot step up", async () => {
  for (const [name, end] of Object.entries({
    revoked: (user) => worker.revoke(user.refresh_token),
    expired: ({ session_id }) => worker.age(604_800, session_id),
    disabled: (user) => worker.disable(user),
  })) {
    const user = await worker.register();
    await end(user);
    await unchanged(user, async () =>
      assertProblem(await stepUp(user, { password: PASSWORD }), 401, "invalid_token", name),
    );
  }
  assertProblem(await worker.post("/me/step-up", { json: { password: PASSWORD } }), 401, "missing_token");
});

test("a session that ends, or an account that changes, while the password is verified gets no new session", async () => {
  for (const [name, change] of Object.entries({
    "ended session": (user) => worker.revoke(user.refresh_token),
    "disabled account": (user) => worker.disable(user),
    "other credentials": (user) => worker.setColumn(user, "credentials_version", 7),
  })) {
    const user = await worker.register();
    const plan = worker.plan({ at: 2, does: "hold" });
    const json = { password: PASSWORD };
    const client = await worker.send("POST", "/me/step-up", { bearer: user.access_token, json, plan });
    assert.equal(await plan.untilHeld(), true);
    await change(user);
    plan.release();
    const answer = await client.answer();
    await plan.untilEnded();
    await client.disconnect("FIN");
    assert.equal(answer.status, 401, `${name}: ${answer.text}`);
    assert.match(answer.text, /invalid_token/);
    assert.deepEqual(await worker.sessionIds(user), [user.session_id], name);
  }
});

test("after a lost result the old session has ended, so no session is doubled", async () => {
  const user = await worker.register();
  const plan = worker.plan({ at: 2, does: "lose" });
  const answer = await stepUp(user, { password: PASSWORD }, { headers: plan.headers });
  assertProblem(answer, 503, "storage_unavailable");
  await plan.untilEnded();
  assert.equal((await worker.sessionRow(user.session_id)).revoked_reason, "renewed");
  assertProblem(await worker.me(user.access_token), 401, "invalid_token");
  // The mark is owed, and the next scheduled event writes it.
  await worker.schedule("* * * * *");
  await worker.marksWritten();
  assert.ok(await worker.isMarked(user));
  assert.equal((await worker.login(user)).status, 200);
});

test("of several step-ups of one session at once, one succeeds", async () => {
  const user = await worker.register();
  await worker.warmUp(4);
  const answers = await Promise.all(Array.from({ length: 4 }, () => stepUp(user, { password: PASSWORD })));
  const [first, ...others] = answers.toSorted((a, b) => a.status - b.status);
  assert.equal(first.status, 200);
  // One source has few places in the hashing queue.
  for (const { body } of others) assert.ok(["invalid_token", "too_many_requests"].includes(body.code), body.code);
  assert.equal((await worker.sessionIds(user)).length, 2);
});

test("in cookie mode the new session is in a cookie, too, and another site gets none", async () => {
  const user = await worker.register();
  const session = await worker.loginByCookie(user, { remember: false });
  const elsewhere = page(session.cookie, { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" });
  assertProblem(await stepUp(session, { password: PASSWORD }, elsewhere), 403, "csrf_refused");
  const answer = await stepUp(session, { password: PASSWORD }, page(session.cookie));
  assert.equal(answer.status, 200, answer.text);
  assert.doesNotMatch(answer.text, /pcrt_/);
  assert.notEqual(cookieOf(answer), session.cookie);
  assert.equal((await worker.sessionRow(session.session_id)).revoked_reason, "renewed");
  const { transport, remember } = await worker.sessionRow(answer.body.session_id);
  assert.deepEqual([transport, remember], ["cookie", 0]);
  const refresh = (cookie) => worker.post("/refresh", { json: {}, ...page(cookie) });
  assert.equal((await refresh(cookieOf(answer))).status, 200);
  assertProblem(await refresh(session.cookie), 401, "invalid_refresh_token");
});

test("with a second factor the password is not sufficient for a step-up", async () => {
  const user = await worker.register();
  await enrol(user);
  await unchanged(user, async () => {
    const answer = await stepUp(user, { password: PASSWORD });
    assertProblem(answer, 401, "mfa_required");
    assert.deepEqual([answer.body.methods, answer.body.mfa_token], [["code", "recovery_code"], undefined]);
    assert.equal(answer.headers.get("www-authenticate"), "Bearer");
  });
  await worker.assertLive(user);
});

// Sensitive changes.

/** The request of each sensitive change, by a caller with a recent authentication. `target`: another user. */
const SENSITIVE = {
  "PATCH /me": () => ({ json: { username: `fresh-${randomBytes(4).toString("hex")}` } }),
  "DELETE /me": () => ({}),
  "POST /me/password": () => ({ json: { current_password: PASSWORD, new_password: NEW } }),
  "POST /me/email": () => ({ json: { new_email: `fresh-${randomBytes(4).toString("hex")}@example.com` } }),
  "DELETE /sessions": () => ({}),
  "DELETE /sessions/{id}": async (user) => ({ id: (await worker.login(user)).body.session_id }),
  "POST /users": () => ({ json: { email: `guest-${randomBytes(4).toString("hex")}@example.com` } }),
  "PATCH /users/{id}": (_, target) => ({ id: target.user.id, json: { disabled: true } }),
  "DELETE /users/{id}": (_, target) => ({ id: target.user.id }),
  "DELETE /users/{id}/sessions": (_, target) => ({ id: target.user.id }),
  "POST /users/{id}/password-reset": (_, target) => ({ id: target.user.id }),
  "DELETE /users/{id}/throttle": (_, target) => ({ id: target.user.id }),
};
/** Those that need a factor, which the files factors.test.mjs and passkeys.test.mjs test. */
const OF_FACTORS = [
  "POST /me/mfa/totp",
  "DELETE /me/mfa/totp",
  "POST /me/mfa/totp/confirm",
  "POST /me/mfa/recovery-codes",
  "POST /me/passkeys",
  "POST /me/passkeys/options",
  "DELETE /me/passkeys/{id}",
  "DELETE /users/{id}/mfa",
];

test("the sensitive changes are those that are documented to need a step-up", () => {
  const { paths, components } = JSON.parse(read("web/openapi.json"));
  const codes = (response) =>
    JSON.stringify(response.$ref ? components.responses[response.$ref.split("/").at(-1)] : response);
  const documented = BEARER_ROUTES.filter(([path, method]) => {
    const { responses } = paths[path][method.toLowerCase()];
    return method !== "GET" && "401" in responses && codes(responses["401"]).includes("step_up_required");
  });
  assert.deepEqual(
    documented.map(([path, method]) => `${method} ${path}`).toSorted(),
    [...Object.keys(SENSITIVE), ...OF_FACTORS].toSorted(),
  );
});

for (const [route, requestOf] of Object.entries(SENSITIVE)) {
  test(`${route} refuses an authentication of more than 300 seconds ago, and accepts one after a step-up`, async () => {
    const [user, target] = [await worker.registerAdmin(), await worker.register()];
    const [method, path] = route.split(" ");
    const { id, ...options } = await requestOf(user, target);
    const ask = ({ access_token }) =>
      worker.request(method, path.replace("{id}", id), { bearer: access_token, ...options });
    for (const refused of [
      worker.authenticatedAgo(user, 301),
      // A token of a release without the claims.
      { access_token: worker.resign(user.access_token, { auth_time: undefined, acr: undefined, amr: undefined }) },
      // A recovery by mail, which is less than the factors of the account.
      {
        access_token: worker.resign(user.access_token, { acr: undefined, amr: ["email", "recovery_code"] }),
      },
    ]) {
      await unchanged(target, () =>
        unchanged(user, async () => {
          const answer = await ask(refused);
          assertProblem(answer, 401, "step_up_required");
          assert.equal(answer.headers.get("www-authenticate"), STEP_UP_CHALLENGE);
        }),
      );
    }
    const renewed = (await stepUp(worker.authenticatedAgo(user, 301), { password: PASSWORD })).body;
    const { status, text } = await ask(renewed);
    assert.ok(status < 300, `${status} ${text}`);
  });
}

test("everything else accepts an authentication of long ago", async () => {
  const admin = await longAgo(await worker.registerAdmin());
  const bearer = admin.access_token;
  for (const path of ["/me", "/sessions", "/me/events", "/users", `/users/${admin.user.id}`, "/verify"])
    assert.equal((await worker.get(path, { bearer })).status, 200, path);
  const json = { name: "Ada", given_name: "Ada", metadata: { theme: "dark" } };
  assert.equal((await worker.patch("/me", { bearer, json })).status, 200);
  assert.equal((await worker.post("/me/email/cancel", { bearer, json: {} })).status, 204);
  // The own session ends without a step-up.
  assert.equal((await worker.delete(`/sessions/${admin.session_id}`, { bearer })).status, 204);
});

test("an old access token without the claims is accepted where no recent authentication is needed, and can step up", async () => {
  const user = await worker.register();
  const access_token = worker.resign(user.access_token, { auth_time: undefined, acr: undefined, amr: undefined });
  await worker.assertLive({ access_token });
  const { status, body } = await stepUp({ access_token }, { password: PASSWORD });
  assert.equal(status, 200);
  assert.equal((await worker.delete("/me", { bearer: body.access_token })).status, 204);
});

// A copied token never becomes fresh.

test("/refresh and /token copy when and how the user authenticated, and change neither", async () => {
  const user = await longAgo(await worker.register());
  const { auth_time } = claimsOf(user);
  const row = await worker.sessionRow(user.session_id);
  let token = user.refresh_token;
  for (const [name, ask] of [
    ["/refresh", () => worker.refresh(token)],
    ["a retry in the grace window", () => worker.refresh(token)],
    ["/token", () => worker.token(token)],
  ]) {
    const { status, body } = await ask();
    assert.equal(status, 200, name);
    assert.deepEqual(authentication(body), { auth_time, acr: "aal1", amr: ["pwd"] }, name);
    assertProblem(await worker.delete("/me", { bearer: body.access_token }), 401, "step_up_required");
    if (name !== "/refresh") token = body.refresh_token;
  }
  const { authenticated_at, amr } = await worker.sessionRow(user.session_id);
  assert.deepEqual([authenticated_at, amr], [row.authenticated_at, row.amr]);
});

test("a copied refresh token never becomes fresh: the step-up of its user ends it", async () => {
  const user = await longAgo(await worker.register());
  const copy = user.refresh_token;
  const renewed = (await stepUp(user, { password: PASSWORD })).body;
  assertProblem(await worker.refresh(copy), 401, "invalid_refresh_token");
  assertOAuthError(await worker.token(copy), 400, "invalid_grant");
  for (const path of ["/me", "/verify"]) {
    await worker.marksWritten();
    assertProblem(await worker.get(path, { bearer: user.access_token }), 401, "invalid_token");
  }
  await worker.assertLive(renewed);
});

test("a new password does not make an authentication more recent", async () => {
  const user = worker.authenticatedAgo(await worker.register(), 200);
  const json = { current_password: PASSWORD, new_password: NEW };
  const { body } = await worker.post("/me/password", { bearer: user.access_token, json });
  assert.deepEqual(authentication(body), authentication(user));
  assert.equal((await worker.sessionRow(body.session_id)).authenticated_at, claimsOf(user).auth_time);
});

test("a login by mail proves a mailbox and no assurance, and is recent", async () => {
  const user = await worker.register();
  await worker.db.prepare("UPDATE refresh_tokens SET amr = 'email' WHERE session_id = ?").bind(user.session_id).run();
  const { body } = await worker.refresh(user.refresh_token);
  const { acr, amr } = claimsOf(body);
  assert.deepEqual([acr, amr], [undefined, ["email"]]);
  assert.equal((await worker.delete("/me", { bearer: body.access_token })).status, 204);
});
