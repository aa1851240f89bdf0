// POST /users and POST /users/{id}/password-reset: admins invite users, and start resets of passwords.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";

import { assertProblem, many, PASSWORD, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";

const NEW = "four ponies sing quietly at noon";
const UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAAA";

let worker, mails, admin, plain;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL_VARS, ROLES: "user,editor,admin" } });
  mails = new Mails(worker, ["new_device"]);
  [admin, plain] = [await worker.registerAdmin(), await worker.register()];
});
after(() => worker.close());
beforeEach(async () => {
  await worker.update();
  await worker.db.prepare("DELETE FROM mail_budgets").run();
  await mails.take();
});

let addresses = 0;
const address = () => `guest-${++addresses}@example.org`;
const invite = (json, by = admin) => worker.post("/users", { json, bearer: by.access_token });
const startReset = (id, by = admin) => worker.post(`/users/${id}/password-reset`, { bearer: by.access_token });
const accept = (json) => worker.post("/password/reset", { json: { new_password: NEW, ...json } });
const login = (email, password = NEW) => worker.post("/login", { json: { email, password } });
const run = (sql, ...values) =>
  worker.db
    .prepare(sql)
    .bind(...values)
    .run();
const first = (sql, ...values) =>
  worker.db
    .prepare(sql)
    .bind(...values)
    .first();
const rolesOf = async ({ id }) => JSON.parse((await worker.account({ user: { id } })).roles);
const invalid = (answer) => assertProblem(answer, 400, "invalid_code");
const trail = async ({ id }) =>
  (await worker.get(`/users/${id}/events`, { bearer: admin.access_token })).body.events.filter(
    ({ kind }) => kind !== "mail_sent",
  );

/** Invites a user. Returns the account and the mail. */
async function invited(json = {}) {
  const { status, body, text } = await invite({ email: address(), ...json });
  assert.equal(status, 201, text);
  return { user: body, mail: await mails.only("invite") };
}

/** Asserts that nothing in D1 changes while `act` runs, and that it sends no mail. */
async function unchanged(act) {
  const before = await worker.dump();
  await act();
  assert.deepEqual(await worker.dump(), before);
  assert.deepEqual(await mails.take(), []);
}

test("an invited user has an account without a password until the link is used", async () => {
  const email = address();
  worker.events();
  const { user, mail } = await invited({ email: ` ${email} `, name: "Guest", username: "guest-name" });
  const { id, created_at, ...shown } = user;
  assert.deepEqual(shown, {
    email,
    email_verified: false,
    username: "guest-name",
    name: "Guest",
    given_name: null,
    family_name: null,
    metadata: null,
    app_metadata: null,
    roles: ["user"],
    disabled_at: null,
  });
  assert.equal(mail.to, email);
  const { password_hash, created_ip } = await worker.account({ user });
  assert.deepEqual([password_hash, created_ip], [null, null]);
  assertProblem(await login(email, PASSWORD), 401, "invalid_credentials");
  const link = await worker.post("/email/link", { json: { token: mail.token } });
  assert.deepEqual([link.body.purpose, link.body.email, link.body.ip], ["invite", email, null]);
  assert.equal(link.body.expires_at - link.body.requested_at, 604_800);
  const answer = await accept({ token: mail.token });
  assert.deepEqual([answer.status, answer.body.sessions_ended], [200, 0]);
  assert.match(answer.body.device_token, /^pcdt_/);
  const { body } = await login(email);
  assert.deepEqual([body.user.id, body.user.email_verified], [id, true]);
  const events = (await trail(user)).map(({ kind, by, admin_id }) => [kind, by, admin_id]);
  assert.deepEqual(events.sort(), [
    ["invitation_accepted", undefined, undefined],
    ["invited", "admin", admin.user.id],
    ["logged_in", undefined, undefined],
    ["login_failed", undefined, undefined],
    ["registered", undefined, undefined],
  ]);
  // Once.
  invalid(await accept({ token: mail.token, new_password: PASSWORD }));
  assert.equal((await login(email)).status, 200);
  assert.deepEqual(await mails.take(), []);
});

test("the log has the invitation and its acceptance", async () => {
  worker.events();
  const plan = worker.plan({});
  const json = { email: address() };
  const { body } = await worker.post("/users", { json, bearer: admin.access_token, headers: plan.headers });
  await plan.untilEnded();
  const { token } = await mails.only("invite");
  await accept({ token });
  const changes = worker.events("account_changed").map(({ change, user_id, admin_id }) => [change, user_id, admin_id]);
  assert.deepEqual(changes, [
    ["invited", body.id, admin.user.id],
    ["invitation_accepted", body.id, undefined],
  ]);
});

test("roles beyond the first come with the acceptance", async () => {
  for (const [roles, before] of [
    [["user", "editor"], ["user"]],
    [["admin", "user"], ["user"]],
    [["editor"], []],
    [["user"], ["user"]],
    [[], []],
    [undefined, ["user"]],
  ]) {
    const { user, mail } = await invited({ roles });
    assert.deepEqual([user.roles, await rolesOf(user)], [before, before]);
    assert.equal((await accept({ token: mail.token })).status, 200);
    const after = { "admin,user": ["user", "admin"] }[roles] ?? roles ?? ["user"];
    assert.deepEqual(await rolesOf(user), after);
    const { events } = (await worker.get(`/users/${user.id}/events`, { bearer: admin.access_token })).body;
    assert.deepEqual(events.find(({ kind }) => kind === "invited").roles, after);
  }
});

test("a link of the command line sets a password and proves no mailbox", async () => {
  const user = await worker.register({ metadata: { kept: true } });
  for (const purpose of ["reset", "invite"]) {
    const [id, random] = [randomBytes(16), randomBytes(32)];
    const { credentials_version } = await worker.account(user);
    await run(
      "INSERT INTO challenges (id, purpose, user_id, email_key, credentials_version, salt, token_hash, source, tries, created_at, expires_at, locale) VALUES (?1, ?2, ?3, ?4, ?5, ?1, ?6, '', 0, unixepoch(), unixepoch() + 600, 'en')",
      id.toString("base64url"),
      purpose,
      user.user.id,
      user.email,
      credentials_version,
      createHash("sha256").update(random).digest("base64url"),
    );
    const token = `pcrl_${Buffer.concat([id, random]).toString("base64url")}`;
    assert.equal((await accept({ token })).status, 200);
    const account = await worker.account(user);
    assert.deepEqual([account.email_verified_at, account.metadata], [null, '{"kept":true}']);
    assert.equal((await login(user.email)).status, 200);
  }
});

test("roles that an admin changed after the invitation stay", async () => {
  const { user, mail } = await invited({ roles: ["user", "admin"] });
  const changed = await worker.patch(`/users/${user.id}`, { json: { roles: [] }, bearer: admin.access_token });
  assert.equal(changed.status, 200);
  assert.equal((await accept({ token: mail.token })).status, 200);
  assert.deepEqual(await rolesOf(user), []);
});

test("somebody who is no longer an admin grants no further roles", async () => {
  for (const patch of [{ disabled: true }, { roles: ["user"] }]) {
    const former = await worker.registerAdmin();
    const { status, body } = await invite({ email: address(), roles: ["user", "admin"] }, former);
    assert.equal(status, 201);
    const { token } = await mails.only("invite");
    const bearer = admin.access_token;
    assert.equal((await worker.patch(`/users/${former.user.id}`, { bearer, json: patch })).status, 200);
    assert.equal((await accept({ token })).status, 200);
    assert.deepEqual(await rolesOf(body), ["user"]);
  }
});

test("an invitation that is void is an invalid code: expired, disabled, deleted, or overtaken by a reset", async () => {
  const voids = {
    expired: ({ id }) => run("UPDATE challenges SET expires_at = unixepoch() WHERE user_id = ?", id),
    disabled: ({ id }) => worker.patch(`/users/${id}`, { json: { disabled: true }, bearer: admin.access_token }),
    deleted: ({ id }) => worker.delete(`/users/${id}`, { bearer: admin.access_token }),
    "overtaken by a reset": async ({ email }) => {
      await worker.post("/password/forgot", { json: { email } });
      assert.equal((await accept({ token: (await mails.only("reset")).token, new_password: PASSWORD })).status, 200);
      await mails.take();
    },
  };
  for (const [name, act] of Object.entries(voids)) {
    const { user, mail } = await invited({ roles: ["user", "admin"] });
    await act(user);
    invalid(await accept({ token: mail.token }));
    const account = await worker.account({ user });
    if (account !== null) assert.deepEqual(JSON.parse(account.roles), ["user"], name);
  }
});

test("of several acceptances at once, one takes effect", async () => {
  const { user, mail } = await invited({ roles: ["user", "editor"] });
  const passwords = many(3, (number) => `${NEW} ${number}`);
  const answers = await Promise.all(passwords.map((new_password) => accept({ token: mail.token, new_password })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400]);
  const winner = passwords[answers.findIndex(({ status }) => status === 200)];
  assert.equal((await login(user.email, winner)).status, 200);
  assert.deepEqual(await rolesOf(user), ["user", "editor"]);
});

test("a taken or reserved name is refused and changes nothing", async () => {
  const taken = await worker.register({ username: "taken-name" });
  const reserved = address();
  await run("INSERT INTO reserved_emails VALUES (?, (SELECT id FROM users LIMIT 1), unixepoch() + 1000)", reserved);
  await unchanged(async () => {
    assertProblem(await invite({ email: taken.email.toUpperCase() }), 409, "email_taken");
    assertProblem(await invite({ email: reserved }), 409, "email_taken");
    assertProblem(await invite({ email: address(), username: "Taken-Name" }), 409, "username_taken");
  });
});

test("of two invitations of one address at once, one is accepted", async () => {
  const email = address();
  const answers = await Promise.all([invite({ email }), invite({ email })]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409]);
  assert.equal((await mails.take()).length, 1);
});

test("a registration that waits does not hinder an invitation, and its code is void then", async () => {
  await worker.update({ vars: { EMAIL_VERIFICATION: "required" } });
  const email = address();
  const { body } = await worker.post("/register", { json: { email, password: PASSWORD } });
  const { code } = await mails.only("register");
  const { mail } = await invited({ email });
  invalid(await worker.post("/email/verify", { json: { challenge: body.challenge, code } }));
  assert.equal((await accept({ token: mail.token })).status, 200);
  assertProblem(await login(email, PASSWORD), 401, "invalid_credentials");
});

test("strangers cannot keep an admin from inviting by asking for codes", async () => {
  const email = address();
  await worker.post("/password/forgot", { json: { email } });
  const copy =
    "INSERT INTO challenges SELECT id || ?2, purpose, user_id, email_key, new_email, new_email_key, credentials_version, roles, salt, token_hash, source || ?2, tries, created_at, expires_at, ip, user_agent, locale, spent_by FROM challenges WHERE email_key = ?1 AND length(id) = 22";
  for (const suffix of many(25, (number) => `-${number}`)) await run(copy, email, suffix);
  await invited({ email });
});

test("invalid input is refused, changes nothing and names the member", async () => {
  await unchanged(async () => {
    for (const [json, status, code] of [
      [{}, 400, "invalid_request"],
      [{ email: "nobody" }, 422, "invalid_email"],
      [{ email: address(), name: "a\u0000" }, 422, "invalid_name"],
      [{ email: address(), username: "a b" }, 422, "invalid_username"],
      [{ email: address(), username: "admin" }, 422, "username_reserved"],
      [{ email: address(), roles: ["root"] }, 422, "unknown_role"],
      [{ email: address(), roles: ["user", "user"] }, 422, "unknown_role"],
      [{ email: address(), password: PASSWORD }, 400, "invalid_request"],
    ])
      assertProblem(await invite(json), status, code);
  });
});

test("only admins may invite and start resets, and others learn nothing", async () => {
  const ended = (await worker.login(plain)).body;
  await worker.revoke(ended.refresh_token);
  await unchanged(async () => {
    for (const json of [{ email: address() }, { email: plain.email }, { email: address(), roles: ["root"] }])
      assertProblem(await invite(json, plain), 403, "forbidden");
    for (const id of [plain.user.id, UNKNOWN_ID]) assertProblem(await startReset(id, plain), 403, "forbidden");
    assertProblem(await invite({ email: address() }, ended), 401, "invalid_token");
    assertProblem(await startReset(plain.user.id, ended), 401, "invalid_token");
    assertProblem(await worker.post("/users", { json: { email: address() } }), 401, "missing_token");
    assertProblem(await worker.post(`/users/${plain.user.id}/password-reset`), 401, "missing_token");
  });
});

test("an admin who is demoted while the request waits invites nobody", async () => {
  const demoted = await worker.registerAdmin();
  const email = address();
  const plan = worker.plan({ at: 2, does: "hold" });
  const client = await worker.send("POST", "/users", { json: { email }, bearer: demoted.access_token, plan });
  assert.equal(await plan.untilHeld(), true);
  await worker.setRoles(demoted, ["user"]);
  plan.release();
  assert.equal((await client.answer()).status, 403);
  await plan.untilEnded();
  await client.disconnect("FIN");
  assert.equal(await first("SELECT 1 FROM users WHERE email_key = ?", email), null);
  assert.equal(await first("SELECT 1 FROM challenges WHERE email_key = ?", email), null);
  assert.deepEqual(await mails.take(), []);
});

test("without mails, invitations and resets are refused and change nothing", async () => {
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: "off" } });
  await unchanged(async () => {
    assertProblem(await invite({ email: address() }), 403, "mail_off");
    assertProblem(await startReset(plain.user.id), 403, "mail_off");
    assertProblem(await startReset(UNKNOWN_ID), 404, "not_found");
    assertProblem(await invite({ email: address() }, plain), 403, "forbidden");
    assertProblem(await startReset(plain.user.id, plain), 403, "forbidden");
  });
});

test("an admin starts a reset, which the user completes", async () => {
  const user = await worker.register();
  worker.events();
  const plan = worker.plan({});
  const answer = await worker.post(`/users/${user.user.id}/password-reset`, {
    bearer: admin.access_token,
    headers: plan.headers,
  });
  await plan.untilEnded();
  assert.deepEqual([answer.status, answer.text], [202, ""]);
  const mail = await mails.only("reset");
  assert.equal(mail.to, user.email);
  const [change] = worker.events("account_changed");
  assert.deepEqual(
    [change.change, change.user_id, change.admin_id],
    ["password_reset_started", user.user.id, admin.user.id],
  );
  // Nothing has changed so far.
  await worker.assertLive(user);
  const link = await worker.post("/email/link", { json: { token: mail.token } });
  assert.deepEqual([link.body.purpose, link.body.ip, link.body.user_agent], ["reset", null, null]);
  assert.equal((await accept({ token: mail.token })).body.sessions_ended, 1);
  await worker.assertEnded(user);
  assert.equal((await login(user.email)).status, 200);
  const [started] = (await trail(user.user)).filter(({ kind }) => kind === "password_reset_started");
  assert.deepEqual([started.by, started.admin_id, started.ip], ["admin", admin.user.id, undefined]);
});

test("a reset that an admin starts is not limited by strangers, but by three live ones of admins", async () => {
  const user = await worker.register();
  for (let count = 0; count < 4; count += 1) await worker.post("/password/forgot", { json: { email: user.email } });
  assert.equal((await mails.take()).length, 3);
  for (let count = 0; count < 3; count += 1) {
    assert.equal((await startReset(user.user.id)).status, 202);
    await mails.only("reset");
  }
  await unchanged(async () => {
    const answer = await startReset(user.user.id);
    assertProblem(answer, 429, "too_many_requests");
    assert.equal(answer.headers.get("retry-after"), "1800");
  });
  await run("UPDATE challenges SET expires_at = unixepoch() WHERE source = 'admin' AND user_id = ?", user.user.id);
  assert.equal((await startReset(user.user.id)).status, 202);
});

test("a reset of an unknown or disabled account is refused and changes nothing", async () => {
  const disabled = await worker.register();
  await worker.disable(disabled);
  await unchanged(async () => {
    for (const id of [UNKNOWN_ID, "x"]) assertProblem(await startReset(id), 404, "not_found");
    const answer = await startReset(disabled.user.id);
    assertProblem(answer, 400, "invalid_request");
    assert.match(answer.body.detail, /disabled/);
  });
});

test("the mail of an admin goes to the address that the account has in that transaction", async () => {
  const user = await worker.register();
  const plan = worker.plan({ at: 1, does: "hold" });
  const path = `/users/${user.user.id}/password-reset`;
  const client = await worker.send("POST", path, { bearer: admin.access_token, plan });
  assert.equal(await plan.untilHeld(), true);
  const email = address();
  await run("UPDATE users SET email = ?1, email_key = ?1 WHERE id = ?2", email, user.user.id);
  plan.release();
  assert.equal((await client.answer()).status, 202);
  await plan.untilEnded();
  await client.disconnect("FIN");
  assert.equal((await mails.only("reset")).to, email);
});

test("an invitation or reset that storage loses halfway changes nothing", async () => {
  const { mail } = await invited({ roles: ["user", "admin"] });
  const user = await worker.register();
  const moments = {
    "INSERT ON users": [() => invite({ email: address() })],
    "INSERT ON outbox": [() => invite({ email: address() }), () => startReset(user.user.id)],
    "INSERT ON challenges": [() => invite({ email: address() }), () => startReset(user.user.id)],
    "INSERT ON audit_events": [() => invite({ email: address() }), () => startReset(user.user.id)],
    "UPDATE OF roles ON users": [() => accept({ token: mail.token })],
  };
  for (const [moment, acts] of Object.entries(moments)) {
    await run(`CREATE TRIGGER halfway BEFORE ${moment} BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
    await unchanged(async () => {
      for (const act of acts) assertProblem(await act(), 503, "storage_unavailable");
    });
    await run("DROP TRIGGER halfway");
  }
  assert.equal((await accept({ token: mail.token })).status, 200);
});

test("inviting, accepting and starting a reset have the documented costs", async () => {
  const user = await worker.register();
  const costs = {};
  const measure = async (name, act) => {
    worker.events();
    const answer = await act();
    const [{ d1_round_trips, d1_rows_written, kv_puts }] = worker
      .events("costs")
      .filter(({ status }) => status === answer.status);
    costs[name] = [d1_round_trips, d1_rows_written, kv_puts];
    return answer;
  };
  await measure("invite", () => invite({ email: address() }));
  await measure("invite with a username", () => invite({ email: address(), username: "costs-name" }));
  await measure("start a reset", () => startReset(user.user.id));
  await mails.take();
  const { mail } = await invited({ roles: ["user", "editor"] });
  await measure("accept", () => accept({ token: mail.token }));
  assert.deepEqual(costs, {
    invite: [2, 9, 0],
    "invite with a username": [2, 10, 0],
    "start a reset": [1, 7, 0],
    accept: [2, 5, 0],
  });
});

test("an invitation counts against the limit of writes", async () => {
  await worker.limit({ LIMIT_WRITES: 1 });
  try {
    assert.equal((await invite({ email: address() })).status, 201);
    assertProblem(await invite({ email: address() }), 429, "rate_limited");
    assertProblem(await startReset(plain.user.id), 429, "rate_limited");
  } finally {
    await worker.limit({});
  }
});
