// The drill of docs/operations/moving.md, with wrangler's own export and import on local databases.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { capture, path, wrangler } from "../../scripts/lib.mjs";
import { STOPPED } from "../support/clocks.mjs";
import { Databases } from "../support/databases.mjs";
import { Drill } from "../support/drills.mjs";
import { Apps } from "../support/factors.mjs";
import { assertProblem } from "../support/harness.mjs";

let drill, worker, databases;
before(async () => {
  [drill, databases] = [await Drill.start("moving.md", { clock: STOPPED }), await Databases.make()];
  worker = drill.worker;
});
after(async () => {
  await drill.close();
  await databases.remove();
});

/** Runs wrangler in a folder, whose local database is below it. */
async function run(folder, ...args) {
  const { code, stdout, stderr } = await wrangler([...args, "--cwd", folder], capture);
  assert.equal(code, 0, stdout + stderr);
}

/** A folder with the settings of the database, in which wrangler finds `state`. */
function place(name, state) {
  const folder = join(databases.folder, name);
  mkdirSync(join(folder, ".wrangler"), { recursive: true });
  cpSync(path("wrangler.toml"), join(folder, "wrangler.toml"));
  if (state !== undefined) cpSync(state, join(folder, ".wrangler", "state"), { recursive: true });
  return folder;
}

test("the new database has every row, table, index and trigger, and every session continues", {
  timeout: 300_000,
}, async (t) => {
  const apps = new Apps(worker);
  const [ada, ended] = [await worker.register({ username: "ada.l", name: 'O\'Hara; "x"' }), await worker.register()];
  apps.now(ada);
  const factor = await apps.user();
  await worker.setRoles(ada, ["user", "admin"]);
  assert.equal((await worker.revoke(ended.access_token)).status, 200);
  await worker.marksWritten();

  await t.test("1. out of service", async () => {
    await drill.next();
    assertProblem(await worker.me(ada.access_token), 503, "misconfigured");
  });

  const old = databases.empty("old");
  const moved = await drill.backup();
  const rows = await worker.dump();
  const isGenerated = (name) => ["is_ended", "is_aal2", "is_admin", "is_confirmed"].includes(name);
  old.open((sqlite) => {
    // Sessions before factors, because a trigger ignores a session that begins without one.
    sqlite.exec("PRAGMA foreign_keys = OFF");
    for (const table of [
      "users",
      "refresh_tokens",
      ...Object.keys(rows).filter((name) => !/^(users|refresh_tokens)$/.test(name)),
    ]) {
      sqlite.exec(`DELETE FROM ${table}`);
      for (const row of rows[table]) {
        const names = Object.keys(row).filter((name) => !isGenerated(name));
        const insert = `INSERT INTO ${table} (${names}) VALUES (${names.map(() => "?")})`;
        sqlite.prepare(insert).run(...names.map((name) => row[name]));
      }
    }
  });

  await t.test("2. to 4. the export has everything, and the import into an empty database too", async () => {
    await drill.next();
    await drill.next();
    await drill.next();
    const [exported, created, imported] = drill.calls().slice(-3);
    assert.deepEqual(exported, ["d1", "export", "DB", "--remote", "--output", "portcullis.sql"]);
    assert.deepEqual(created, ["d1", "create", "portcullis-eu", "--jurisdiction=eu"]);
    assert.deepEqual(imported, ["d1", "execute", "DB", "--remote", "--file", "portcullis.sql"]);
    const file = join(databases.folder, "portcullis.sql");
    const local = (args) => args.map((arg) => ({ "--remote": "--local", "portcullis.sql": file })[arg] ?? arg);
    await run(place("from", join(databases.folder, "old")), ...local(exported));
    await run(place("to"), ...local(imported), "--yes");
    const copy = databases.absent(join("to", ".wrangler", "state"));
    const schema =
      "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY type, name";
    const plain = (found) => found.map(({ sql, ...entry }) => ({ ...entry, sql: sql.replace("IF NOT EXISTS ", "") }));
    assert.deepEqual(plain(copy.rows(schema)), plain(old.rows(schema)));
    for (const table of [...Object.keys(rows), "d1_migrations"])
      assert.deepEqual(copy.rows(`SELECT * FROM ${table}`), old.rows(`SELECT * FROM ${table}`), table);
  });

  await t.test("5. in another account, the marks are written again", async () => {
    await moved();
    await worker.kv.delete(`revoked:${ended.session_id}`);
    await drill.next();
    await drill.next();
    drill.assertDone();
    assert.equal((await worker.verify(ended.access_token)).status, 200, "the new namespace has no mark");
    await worker.schedule("* * * * *");
    assertProblem(await worker.verify(ended.access_token), 401, "invalid_token");
    assert.ok(!existsSync(drill.checkout.path("portcullis.sql")));
  });

  await t.test("6. every session continues", async () => {
    await worker.assertLive(ada);
    assert.equal((await worker.refresh(ada.refresh_token)).status, 200);
    assert.equal((await apps.logIn(factor, { code: apps.code(factor) })).status, 200);
  });
});
