// The drill of docs/operations/restoring.md: a database restored by D1 Time Travel.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";
import { Apps } from "../support/factors.mjs";
import { assertProblem, PASSWORD } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";

const CHANGED = "seven quiet harbours at dusk";
const EXAMPLE = "2026-11-25T12:00:00Z";

let drill, worker, admin, minute, restore, users, mails, apps, code, newcomer;
before(async () => {
  drill = await Drill.start("restoring.md", { vars: MAIL_VARS, clock: STOPPED });
  worker = drill.worker;
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
  const names = ["ended", "refreshed", "changed", "deleted", "disabled", "demoted", "moved", "renamed"];
  users = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await worker.register()])));
  apps.now(users.ended);
  users.factor = await apps.user();
  admin = await worker.registerStrongAdmin();
  await worker.setRoles(users.demoted, ["user", "admin"]);
  await mails.forget();
  const asked = await worker.post("/login/email", { json: { email: users.ended.email } });
  code = { challenge: asked.body.challenge, code: (await mails.only("login")).code };
  // What has happened so far is older than the time to which D1 is restored.
  minute = apps.now();
  await worker.db.batch(
    [
      "UPDATE audit_events SET at = at - 7200, last_at = last_at - 7200",
      "UPDATE users SET created_at = created_at - 7200",
    ].map((sql) => worker.db.prepare(sql)),
  );
  restore = await drill.backup();

  const { ended, refreshed, changed, deleted, disabled, demoted, moved, renamed, factor } = users;
  assert.equal((await worker.revoke(ended.refresh_token)).status, 200);
  refreshed.next = (await worker.refresh(refreshed.refresh_token)).body;
  const passwords = { current_password: changed.password, new_password: CHANGED };
  assert.equal((await worker.post("/me/password", { json: passwords, bearer: changed.access_token })).status, 200);
  assert.equal((await worker.delete("/me", { bearer: deleted.access_token })).status, 204);
  const change = (user, json) => worker.patch(`/users/${user.user.id}`, { json, bearer: admin.access_token });
  assert.equal((await change(disabled, { disabled: true })).status, 200);
  assert.equal((await change(demoted, { roles: ["user"] })).status, 200);
  const profile = { name: "Renamed", username: "renamed" };
  assert.equal((await worker.patch("/me", { json: profile, bearer: renamed.access_token })).status, 200);
  // The address that one user gives up is taken by a new one.
  await worker.db.batch([
    worker.db
      .prepare("UPDATE users SET email = 'moved@example.net', email_key = 'moved@example.net' WHERE id = ?")
      .bind(moved.user.id),
    worker.db
      .prepare(
        "INSERT INTO audit_events (user_id, at, id, kind, count, last_at) VALUES (?1, ?2, 'moved', 'email_changed', 1, ?2)",
      )
      .bind(moved.user.id, minute),
  ]);
  newcomer = await worker.register({ email: moved.email });
  const mfa_token = await apps.begin(factor);
  const completed = await worker.post("/login/mfa", { json: { mfa_token, recovery_code: factor.codes[0] } });
  assert.equal(completed.status, 200, completed.text);
  assert.equal((await worker.post("/login/email/verify", { json: code })).status, 200);
  await mails.take();
});
after(() => drill.close());

const loginStatus = async (user) => (await worker.login(user)).status;

test("without the steps, a restore undoes what was ended, changed and deleted", async () => {
  const kept = await drill.backup();
  await restore();
  const { ended, refreshed, changed, deleted, disabled, demoted } = users;
  for (const user of [ended, disabled, deleted]) assert.equal((await worker.me(user.access_token)).status, 200);
  // KV still has the marks.
  assertProblem(await worker.verify(ended.access_token), 401, "invalid_token");
  assertProblem(await worker.refresh(refreshed.next.refresh_token), 401, "invalid_refresh_token");
  assert.equal(await loginStatus(changed), 200);
  assert.equal(await loginStatus({ ...changed, password: CHANGED }), 401);
  for (const user of [disabled, deleted]) assert.equal(await loginStatus(user), 200);
  assert.equal((await worker.get("/users", { bearer: demoted.access_token })).status, 200);
  assert.equal((await worker.post("/login/email/verify", { json: code })).status, 200);
  await kept();
});

test("with the steps, what was ended stays ended, and what was changed and deleted is so again", async (t) => {
  const { ended, refreshed, changed, deleted, disabled, demoted, moved, renamed, factor } = users;
  const everybody = [...Object.values(users), admin, newcomer, refreshed.next];
  const since = new Date(minute * 1000).toISOString().replace(".000Z", "Z");

  await t.test("1. while out of service, every route answers 503, and no token is lost", async () => {
    await drill.next();
    for (const answer of [
      await worker.login(ended),
      await worker.refresh(ended.refresh_token),
      await worker.me(ended.access_token),
      await worker.verify(refreshed.access_token),
    ])
      assertProblem(answer, 503, "misconfigured");
  });

  await t.test("2. and 3. what will be lost is kept, and the database is restored", async () => {
    const { stderr } = await drill.next({ values: { [EXAMPLE]: since } });
    assert.match(stderr, /exported \d+ entries of the audit trail and \d+ accounts since/);
    await drill.next({ values: { [EXAMPLE]: since } });
    assert.ok(drill.calls().some((call) => call.join(" ") === `d1 time-travel restore DB --timestamp=${since}`));
    await restore();
  });

  await t.test("4. what was undone is repeated, and a second run changes nothing", async () => {
    const replayed = await drill.next();
    assert.match(replayed.stdout, /everything was repeated\n$/);
    assert.match(replayed.stdout, /1 account: deleted again/);
    assert.match(replayed.stdout, /1 account: created again/);
    const columns = "id, email_key, password_hash, roles, disabled_at, username_key, factors_reset_at";
    const accounts = async () => (await worker.db.prepare(`SELECT ${columns} FROM users ORDER BY id`).all()).results;
    const kept = await accounts();
    drill.repeat();
    assert.equal((await drill.next()).stdout, replayed.stdout);
    assert.deepEqual(await accounts(), kept);
  });

  // The setting is the time of the Worker, whose clock stands still.
  await apps.advance(60);
  drill.set(drill.block("toml").replace("1796083200", String(decodeJwt(ended.access_token).iat + 30)));
  await drill.next();
  await drill.next();
  drill.assertDone();
  assert.ok(!existsSync(drill.checkout.path("since.ndjson")));

  await t.test("back in service, nothing from before is accepted", async () => {
    for (const { refresh_token, access_token } of everybody.filter(({ access_token }) => access_token)) {
      assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
      assertProblem(await worker.me(access_token), 401, "invalid_token");
      assertProblem(await worker.verify(access_token), 401, "invalid_token");
    }
    assertProblem(await worker.post("/login/email/verify", { json: code }), 400, "invalid_code");
    assert.deepEqual(await mails.take(), [], "no mail is sent again");
  });

  await t.test("the accounts are as they were before the restore", async () => {
    for (const user of [changed, deleted, disabled]) assert.equal(await loginStatus(user), 401);
    assert.equal(await loginStatus({ ...changed, password: CHANGED }), 200);
    const { body } = await worker.login(demoted);
    assert.deepEqual(body.user.roles, ["user"]);
    assert.equal((await worker.login({ email: "moved@example.net", password: PASSWORD })).body.user.id, moved.user.id);
    assert.equal((await worker.login(newcomer)).body.user.id, newcomer.user.id);
    assert.equal((await worker.login({ ...renamed })).body.user.username, "renamed");
    const trail = (await worker.get("/me/events", { bearer: body.access_token })).body.events;
    assert.ok(trail.some(({ kind }) => kind === "roles_changed"));
    const { results } = await worker.db
      .prepare("SELECT kind FROM audit_events WHERE user_id = ?")
      .bind(deleted.user.id)
      .all();
    assert.deepEqual(results, [{ kind: "deleted" }]);
  });

  await t.test("a recovery code that was used does not work again, and the others do", async () => {
    const complete = async (recovery_code) => {
      const mfa_token = await apps.begin(factor);
      return (await worker.post("/login/mfa", { json: { mfa_token, recovery_code } })).status;
    };
    assert.equal(await complete(factor.codes[0]), 400);
    assert.equal(await complete(factor.codes[1]), 200);
  });
});
