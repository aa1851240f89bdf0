// A database restored by D1 Time Travel, and the SQL in docs/operations/backup.md.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { assertProblem, startWorker } from "../support/harness.mjs";

const page = readFileSync(new URL("../../docs/operations/backup.md", import.meta.url), "utf8");
const [since, endSessions, redo] = [...page.matchAll(/^```sql\n(.*?)^```/gms)].map(([, sql]) => sql);
const CHANGED = "seven quiet harbours at dusk";

let worker, admin, minute, kept, users;
before(async () => {
  worker = await startWorker();
  admin = await worker.registerAdmin();
  const names = ["ended", "refreshed", "changed", "deleted", "disabled", "demoted"];
  users = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await worker.register()])));
  await worker.setRoles(users.demoted, ["user", "admin"]);
  // Makes the earlier events older than the time to which D1 is restored.
  await worker.db.prepare("UPDATE audit_events SET at = at - 60").run();
  minute = Math.floor(Date.now() / 1000) - 1;
  kept = await worker.dump();

  const { ended, refreshed, changed, deleted, disabled, demoted } = users;
  assert.equal((await worker.revoke(ended.refresh_token)).status, 200);
  users.refreshed.next = (await worker.refresh(refreshed.refresh_token)).body;
  const passwords = { current_password: changed.password, new_password: CHANGED };
  assert.equal((await worker.post("/me/password", { json: passwords, bearer: changed.access_token })).status, 200);
  assert.equal((await worker.delete("/me", { bearer: deleted.access_token })).status, 204);
  const change = (user, json) => worker.patch(`/users/${user.user.id}`, { json, bearer: admin.access_token });
  assert.equal((await change(disabled, { disabled: true })).status, 200);
  assert.equal((await change(demoted, { roles: ["user"] })).status, 200);
});
after(() => worker.close());

/** Restores D1, and leaves KV unchanged. */
async function restore() {
  // Deleting sessions inserts owed marks, which a real restore does not, so they are deleted too.
  const tables = ["audit_events", "refresh_tokens", "owed_marks", "users"];
  // `is_ended`, `is_aal2` and `is_admin` are generated columns.
  const insert =
    (table) =>
    ({ is_ended, is_aal2, is_admin, ...row }) =>
      worker.db
        .prepare(`INSERT INTO ${table} (${Object.keys(row)}) VALUES (${Object.keys(row).map(() => "?")})`)
        .bind(...Object.values(row));
  const rows = tables.toReversed().flatMap((table) => kept[table].map(insert(table)));
  await worker.db.batch([...tables.map((table) => worker.db.prepare(`DELETE FROM ${table}`)), ...rows]);
}

const run = (sql) =>
  worker.db.batch(
    sql
      .split(";\n")
      .filter((text) => text.trim() !== "")
      .map((text) => worker.db.prepare(text)),
  );
const hashOf = async ({ user }) =>
  (await worker.db.prepare("SELECT password_hash FROM users WHERE id = ?").bind(user.id).first()).password_hash;

test("a restore undoes revocations, changes and deletions, and the documented steps apply them again", async (t) => {
  const { ended, refreshed, changed, deleted, disabled, demoted } = users;
  const newerHash = await hashOf(changed);

  await t.test("the query lists what must be applied again", async () => {
    const at = new Date(minute * 1000).toISOString();
    const [{ results }] = await run(since.replace("2026-11-25T12:00:00Z", at));
    assert.deepEqual(
      results.map(({ kind, user_id }) => [kind, user_id]).sort(),
      [
        ["deleted", deleted.user.id],
        ["disabled", disabled.user.id],
        ["password_changed", changed.user.id],
        ["roles_changed", demoted.user.id],
      ].sort(),
    );
    assert.equal(results.find(({ kind }) => kind === "roles_changed").detail, '["user"]');
  });

  await restore();
  await t.test("the restore undoes these changes", async () => {
    for (const user of [ended, disabled, deleted]) assert.equal((await worker.me(user.access_token)).status, 200);
    // KV still has the marks.
    assertProblem(await worker.verify(ended.access_token), 401, "invalid_token");
    assertProblem(await worker.refresh(refreshed.next.refresh_token), 401, "invalid_refresh_token");
    assert.deepEqual(worker.events("reuse_detected"), []);
    assert.equal((await worker.login(changed)).status, 200);
    assert.equal((await worker.login({ ...changed, password: CHANGED })).status, 401);
    assert.equal((await worker.login(disabled)).status, 200);
    assert.equal((await worker.login(deleted)).status, 200);
    assert.equal((await worker.get("/users", { bearer: demoted.access_token })).status, 200);
  });

  await restore();
  await t.test("while out of service, every route answers 503, and no token is lost", async () => {
    const [, closed] = page.match(/^echo (\w+) \| npx wrangler secret put TOKEN_SECRET$/m);
    await worker.update({ secrets: { TOKEN_SECRET: closed } });
    for (const answer of [
      await worker.login(ended),
      await worker.refresh(ended.refresh_token),
      await worker.me(ended.access_token),
      await worker.verify(refreshed.access_token),
    ]) {
      assertProblem(answer, 503, "misconfigured");
    }
  });

  await run(endSessions);
  const values = {
    DELETED_ID: deleted.user.id,
    DISABLED_ID: disabled.user.id,
    CHANGED_ID: changed.user.id,
    NEWER_HASH: newerHash,
  };
  await run(Object.entries(values).reduce((sql, [name, value]) => sql.replaceAll(name, () => value), redo));
  await worker.update({ secrets: { TOKEN_SECRET: makeSecrets().TOKEN_SECRET } });

  await t.test("back in service, no earlier token is accepted", async () => {
    await worker.schedule("* * * * *");
    for (const user of [admin, ended, refreshed, refreshed.next, changed, deleted, disabled, demoted]) {
      assertProblem(await worker.refresh(user.refresh_token), 401, "invalid_refresh_token");
      assertProblem(await worker.me(user.access_token), 401, "invalid_token");
      assertProblem(await worker.verify(user.access_token), 401, "invalid_token");
    }
  });

  await t.test("the undone changes are applied again", async () => {
    for (const user of [changed, deleted, disabled])
      assertProblem(await worker.login(user), 401, "invalid_credentials");
    assert.equal((await worker.login({ ...changed, password: CHANGED })).status, 200);
    const { body } = await worker.login(refreshed);
    const { body: trail } = await worker.get("/me/events", { bearer: body.access_token });
    const endings = trail.events.filter(({ kind }) => kind === "revoked");
    assert.deepEqual(
      endings.map(({ session_id, reason }) => [session_id, reason]),
      [[refreshed.session_id, "ended_by_admin"]],
    );
    const dump = await worker.dump();
    const left = [
      ...dump.users.map(({ id }) => id),
      ...dump.refresh_tokens.map(({ user_id }) => user_id),
      ...dump.audit_events.map(({ user_id }) => user_id),
    ];
    assert.ok(!left.includes(deleted.user.id));
  });
});

test("without the SQL, the new secret invalidates refresh tokens, but access tokens stay valid", async () => {
  const user = await worker.register();
  await worker.update({ secrets: { TOKEN_SECRET: makeSecrets().TOKEN_SECRET } });
  assertProblem(await worker.refresh(user.refresh_token), 401, "invalid_refresh_token");
  assert.equal((await worker.me(user.access_token)).status, 200);
});
