// DELETE /users/{id}/mfa: an admin removes the second factors of a user.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { STOPPED } from "../../support/clocks.mjs";
import { Apps } from "../../support/factors.mjs";
import { assertProblem, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";

let worker;
let mails;
let apps;
let admin;
let ada;
before(async () => {
  worker = await startWorker({ vars: MAIL_VARS, clock: STOPPED });
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
});
after(() => worker.close());
beforeEach(async () => {
  [admin, ada] = [await worker.registerStrongAdmin(), await apps.user()];
  await mails.forget();
});
afterEach(() => worker.update());

const reset = (session, { user }) => worker.delete(`/users/${user.id}/mfa`, { bearer: session.access_token });
const rows = async (table, { user }) =>
  (await worker.db.prepare(`SELECT COUNT(*) AS n FROM ${table} WHERE user_id = ?`).bind(user.id).first()).n;
const addPasskey = ({ user }) =>
  worker.db
    .prepare(
      "INSERT INTO passkeys (credential_id, user_id, public_key, name, transports, aaguid, is_backup_eligible, is_backed_up, counter, created_at, used_challenges) VALUES (?1, ?1, 'x', 'Phone', '[]', 'x', 0, 0, 0, 1, '{}')",
    )
    .bind(user.id)
    .run();

test("a reset removes every factor, ends every session, and tells the user", async () => {
  await addPasskey(ada);
  const other = await apps.session(ada);
  const version = (await worker.account(ada)).credentials_version;
  assert.equal((await reset(admin, ada)).status, 204);
  for (const table of ["totp_secrets", "recovery_codes", "passkeys"]) assert.equal(await rows(table, ada), 0, table);
  await worker.assertEnded(ada);
  await worker.assertEnded(other);
  assert.equal((await worker.account(ada)).credentials_version, version + 1);
  const kept = await worker.db
    .prepare("SELECT * FROM deleted_passkeys WHERE credential_id = ?")
    .bind(ada.user.id)
    .first();
  assert.equal(kept.expires_at, apps.now() + 300, "the challenge of its registration may live for five minutes");
  const mail = await mails.only("factors_reset");
  assert.equal(mail.to, ada.email);
  const { body } = await worker.get(`/users/${ada.user.id}/events`, { bearer: admin.access_token });
  const [event] = body.events.filter(({ kind }) => kind === "factors_reset");
  assert.deepEqual([event.by, event.admin_id, event.ip], ["admin", admin.user.id, undefined]);
});

test("the next sign-in needs a code to the address too, and those after it do not", async () => {
  assert.equal((await reset(admin, ada)).status, 204);
  await mails.forget();
  const begun = await worker.login(ada);
  assertProblem(begun, 401, "email_code_required");
  const { mfa_token } = begun.body;
  const asked = await worker.post("/login/email", { json: { mfa_token } });
  const { code } = await mails.only("login");
  const json = { mfa_token, challenge: asked.body.challenge, mail_code: code };
  assert.equal((await worker.post("/login/mfa", { json })).status, 200);
  assert.equal((await worker.login(ada)).status, 200);
});

test("without mails, the password alone is sufficient after a reset", async () => {
  assert.equal((await reset(admin, ada)).status, 204);
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: "off" } });
  assert.equal((await worker.login(ada)).status, 200);
});

test("a reset forgets wrong codes", async () => {
  for (let count = 0; count < 5; count += 1) await apps.logIn(ada, { code: apps.wrong(ada) });
  assert.equal((await reset(admin, ada)).status, 204);
  const found = await worker.db.prepare("SELECT * FROM throttles WHERE key = ?").bind(`factor:${ada.user.id}`).first();
  assert.equal(found, null);
  await worker.forgetFailures();
});

test("an account without factors stays as it is", async () => {
  const bob = await worker.register();
  assert.equal((await reset(admin, bob)).status, 204);
  await worker.assertLive(bob);
  assert.deepEqual(await mails.take(), []);
  assert.equal((await worker.login(bob)).status, 200);
});

test("no admin removes the own factors, and nobody else removes any", async () => {
  const own = await apps.enrol(admin);
  assertProblem(await reset(own, own), 400, "invalid_request");
  assert.equal(await rows("totp_secrets", own), 1);
  const bob = await worker.proved(await worker.register(), "pwd otp mfa");
  assertProblem(await reset(bob, ada), 403, "forbidden");
  const weak = await worker.registerAdmin();
  assertProblem(await reset(weak, ada), 401, "step_up_required");
  assertProblem(await reset(own, { user: { id: "AAAAAAAAAAAAAAAAAAAAAA" } }), 404, "not_found");
  assertProblem(await reset(worker.authenticatedAgo(own, 301), ada), 401, "step_up_required");
  await worker.update({ vars: { MFA: "admins" } });
  const onlyPassword = await worker.registerAdmin().catch(() => null);
  assert.notEqual(onlyPassword, null, "a new user is no admin yet");
  assertProblem(await reset(onlyPassword, ada), 401, "step_up_required");
  assert.equal(await rows("totp_secrets", ada), 1);
  assert.equal((await reset(own, ada)).status, 204);
});

test("a sign-in that began before the reset ends with it", async () => {
  const mfa_token = await apps.begin(ada);
  assert.equal((await reset(admin, ada)).status, 204);
  const answer = await worker.post("/login/mfa", { json: { mfa_token, code: apps.code(ada) } });
  assertProblem(answer, 400, "invalid_mfa_token");
});

test("who knows the password, has a refresh token or the mailbox gains nothing by a reset", async () => {
  await worker.setColumn(ada, "email_verified_at", 1);
  const { refresh_token } = await apps.session(ada);
  assert.equal((await reset(admin, ada)).status, 204);
  await mails.forget();
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
  assertProblem(await worker.login(ada), 401, "email_code_required");
  const asked = await worker.post("/login/email", { json: { email: ada.email } });
  const { code } = await mails.only("login");
  const byMail = await worker.post("/login/email/verify", { json: { challenge: asked.body.challenge, code } });
  assert.equal(byMail.status, 200, "a mailbox is sufficient for an account without factors, where EMAIL_LOGIN is on");
  const adding = await worker.post("/me/mfa/totp", { bearer: byMail.body.access_token });
  assertProblem(adding, 401, "step_up_required");
});
