// npm run grant, on local databases.

import assert from "node:assert/strict";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { checkoutWithStandIn, Databases, STAND_IN } from "../support/databases.mjs";

let databases;
before(async () => {
  databases = await Databases.make();
});
after(() => databases.remove());

test("roles are granted and revoked, with one event each, but not the role of the last admin", {
  timeout: 300_000,
}, async () => {
  const database = databases.empty("roles");
  const insert = (id, address, roles, disabled) =>
    database.run(
      `INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at, disabled_at) VALUES ('${id}', '${address}', lower('${address}'), '', 0, 0, '${JSON.stringify(roles)}', 0, ${disabled})`,
    );
  insert("id-o", "Person-O''Hara@example.org", ["user"], null);
  insert("id-b", "person-b@example.org", ["user"], null);
  insert("id-d", "person-d@example.org", ["auditor", "admin"], 1);
  insert("id-c", "person-c@example.org", ["user", "admin", "auditor"], 1);
  const grantWith =
    (method) =>
    async (...args) => {
      const { code, stdout, stderr } = await database[method]("grant", ...args);
      return [code, `${stdout}${stderr}`.trim()];
    };
  // Changes that a statement decides run in real D1, the others in the faster SQLite of Node.
  const [grant, grantInD1] = [grantWith("quick"), grantWith("inD1")];
  const [o, b, c] = ["Person-O'Hara@example.org", "person-b@example.org", "person-c@example.org"];
  const refused = async (args, code, why, run = grant) => {
    const [found, text] = await run(...args);
    assert.equal(found, code, text);
    assert.match(text, why);
  };
  await refused([], 2, /usage: npm run grant/);
  await refused([o, "admin", "--forced"], 2, /usage: npm run grant/);
  await refused([o, "root"], 1, /"root" is not a role/);
  await refused(["person", "admin"], 1, /exactly one @/);
  await refused(["nobody@example.org", "admin"], 1, /no account has the address nobody@example.org/);
  await refused([o, "admin", "--revoke"], 1, /does not have the role admin/);
  assert.deepEqual(await grantInD1(o, "admin"), [0, `${o} has the role admin (roles: user, admin)`]);
  await refused([o, "admin"], 1, /already has the role admin/);
  // The user c is disabled, and does not count as an admin.
  await refused([o, "admin", "--revoke"], 1, /is the last admin.*--force/, grantInD1);
  assert.equal((await grant(c, "admin", "--revoke"))[0], 0);
  // A role that is no longer in the list can be revoked.
  assert.equal((await grant(c, "auditor", "--revoke"))[0], 0);
  // Roles are in the order of the list, as the Worker stores them, and unknown ones are last.
  assert.deepEqual(await grant("person-d@example.org", "user"), [
    0,
    "person-d@example.org has the role user (roles: user, admin, auditor)",
  ]);
  assert.equal((await grant(b, "admin"))[0], 0);
  assert.deepEqual(await grantInD1(o, "admin", "--revoke"), [0, `${o} no longer has the role admin (roles: user)`]);
  await refused([b, "admin", "--revoke"], 1, /is the last admin/);
  assert.equal((await grant(b, "admin", "--revoke", "--force"))[0], 0);

  const rolesOf = Object.fromEntries(database.rows("SELECT id, roles FROM users").map(({ id, roles }) => [id, roles]));
  assert.deepEqual(rolesOf, {
    "id-o": '["user"]',
    "id-b": '["user"]',
    "id-c": '["user"]',
    "id-d": '["user","admin","auditor"]',
  });
  const events = database.rows(
    "SELECT *, abs(at - unixepoch()) < 300 AND at = last_at AS now, length(id) AS length FROM audit_events",
  );
  const seen = events.map(({ user_id, kind, count, now, length, detail, ...others }) => {
    const { id, at, last_at, ...rest } = others;
    assert.deepEqual(
      [kind, count, now, length, new Set(Object.values(rest))],
      ["roles_changed", 1, 1, 22, new Set([null])],
    );
    return `${user_id} ${detail}`;
  });
  assert.deepEqual(seen.sort(), [
    'id-b ["user","admin"]',
    'id-b ["user"]',
    'id-c ["user","auditor"]',
    'id-c ["user"]',
    'id-d ["user","admin","auditor"]',
    'id-o ["user","admin"]',
    'id-o ["user"]',
  ]);
});

/** The stand-in for wrangler. Once it has failed, there is a file `failed` among its temporary ones. */
const WRANGLER = `#!/bin/sh
"${STAND_IN}" "$@" && exit
touch "$TMPDIR/failed"
exit 1
`;

test("the command waits for a database that another process is writing to", { timeout: 120_000 }, async (t) => {
  const database = databases.empty("busy");
  database.run(
    "INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at) VALUES ('id', 'a@example.org', 'a@example.org', '', 0, 0, '[]', 0)",
  );
  const failed = join(database.temporary, "failed");
  const program = databases.file("wrangler", WRANGLER.trim().split("\n"));
  chmodSync(program, 0o755);
  database.checkout = checkoutWithStandIn(program);
  t.after(() => database.checkout.remove());
  await database.locked(async (free) => {
    let isWaiting = true;
    const grant = database.byWrangler("INSERT", "grant", "a@example.org", "admin").finally(() => (isWaiting = false));
    while (isWaiting && !existsSync(failed)) await setTimeout(20);
    free();
    const { code, stderr } = await grant;
    assert.equal(code, 0, stderr);
  });
  assert.ok(existsSync(failed));
  assert.deepEqual(database.rows("SELECT roles FROM users"), [{ roles: '["admin"]' }]);
});
