// npm run replay, on local databases. tests/drills/restoring.test.mjs runs it as an operator does.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CHANGES, COLUMNS, FACTORS, NOTHING_TO_REPEAT } from "../../packages/portcullis/src/commands/replay.mjs";
import { read } from "../../scripts/lib.mjs";
import { Databases } from "../support/databases.mjs";

const SINCE = "2026-11-25T12:00:00Z";
const at = Date.parse(SINCE) / 1000;

let databases;
before(async () => {
  databases = await Databases.make();
});
after(() => databases.remove());

const literal = (value) => (typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value));
const insert = (database, table, row) =>
  database.run(`INSERT INTO ${table} (${Object.keys(row)}) VALUES (${Object.values(row).map(literal)})`);
const user = (id, more) => ({
  id,
  email: `${id}@example.org`,
  email_key: `${id}@example.org`,
  password_hash: `hash of ${id}`,
  credentials_version: 3,
  slot: 7,
  roles: '["user"]',
  created_at: 1,
  ...more,
});
const event = (user_id, kind, more) => ({ user_id, at, id: kind, kind, count: 1, last_at: at, ...more });
const account = (database, id) => database.rows(`SELECT * FROM users WHERE id = '${id}'`)[0];

/** The export of a database, in a file. */
async function exported(database, name, how = "quick") {
  const { code, stdout, stderr } = await database[how]("replay", "--export", SINCE);
  assert.equal(code, 0, stderr);
  return databases.file(name, stdout.trim().split("\n"));
}

test("every event of the audit trail is repeated or known to leave nothing", () => {
  const source = read("crates/core/src/account/audit.rs");
  const events = source.slice(source.indexOf("impl AuditEvent"), source.indexOf("pub const fn is_counted"));
  const kinds = [...events.matchAll(/=> "(\w+)"/g)].map(([, kind]) => kind);
  // These are no rows of audit_events.
  const others = ["registered", "logged_in", "revoked"];
  assert.deepEqual([...Object.keys(CHANGES), ...NOTHING_TO_REPEAT, ...others].sort(), kinds.sort());
});

test("every column of an account and of its factors is in the export", () => {
  const database = databases.empty("columns");
  const columnsOf = (table) => database.rows(`SELECT name FROM pragma_table_info('${table}')`).map(({ name }) => name);
  assert.deepEqual([...Object.values(COLUMNS).flat(), "credentials_version"].sort(), columnsOf("users").sort());
  // The request that used a factor last is of no use later.
  const inExport = Object.entries(FACTORS).map(([table, columns]) => [table, [...columns, "user_id"].sort()]);
  for (const [table, columns] of inExport)
    assert.deepEqual(
      columns,
      columnsOf(table)
        .filter((name) => name !== "used_by")
        .sort(),
      table,
    );
  const groups = new Set([...Object.keys(COLUMNS), "deleted"]);
  for (const group of Object.values(CHANGES).flat()) assert.ok(groups.has(group), group);
});

test("invalid arguments and files are refused", async () => {
  const database = databases.empty("refused");
  const fails = async (args, code, why) => {
    const found = await database.quick("replay", ...args);
    assert.deepEqual([found.code, found.stdout], [code, ""], found.stderr);
    assert.match(found.stderr, why);
  };
  await fails([], 2, /usage: npm run --silent replay/);
  for (const time of ["yesterday", "2026-11-25", "2026-13-25T12:00:00Z", "2026-11-25T12:00:00"])
    await fails(["--export", time], 2, /--export needs a time such as/);
  await fails(["--export", "2999-01-01T00:00:00Z"], 1, /is in the future/);
  await fails(["absent.ndjson"], 1, /cannot be read/);
  await fails([databases.file("users.ndjson", [{ id: "a" }])], 1, /is not an output of npm run replay -- --export/);
  await fails([databases.file("broken.ndjson", ["{"])], 1, /cannot be read/);
});

test("changes are repeated in the real D1, also in a second run", { timeout: 300_000 }, async () => {
  const now = databases.empty("now");
  const changed = user("changed", { password_hash: "newer", metadata: '{"a": "O\'Hara; BEGIN TRANSACTION"}' });
  for (const row of [changed, user("disabled", { disabled_at: at }), user("added", { created_at: at })])
    insert(now, "users", row);
  insert(now, "passkeys", {
    credential_id: "key",
    user_id: "changed",
    public_key: "k",
    name: "n",
    transports: "[]",
    aaguid: "",
    is_backup_eligible: 0,
    is_backed_up: 0,
    counter: 0,
    created_at: at,
    used_challenges: "{}",
  });
  const events = [
    event("changed", "password_changed", { ip: "192.0.2.1" }),
    event("changed", "metadata_changed"),
    event("changed", "factor_added", { detail: "passkey:n" }),
    event("changed", "login_failed", { at: at - 1800, count: 2 }),
    event("changed", "roles_changed", { at: at - 9000, last_at: at - 9000, detail: '["user"]' }),
    event("disabled", "disabled", { actor_id: "admin" }),
    event("deleted", "deleted"),
  ];
  for (const row of events) insert(now, "audit_events", row);
  const file = await exported(now, "since.ndjson", "inD1");

  const restored = databases.empty("restored");
  for (const id of ["changed", "disabled", "deleted", "untouched"]) insert(restored, "users", user(id));
  insert(restored, "audit_events", event("deleted", "password_changed", { at: 1, last_at: 1 }));
  const first = await restored.byWrangler("--file", "replay", file);
  assert.equal(first.code, 0, first.stdout + first.stderr);
  assert.match(first.stdout, /6 entries of the audit trail inserted again/);
  const check = () => {
    const { credentials_version, ...is } = account(restored, "changed");
    assert.deepEqual([is.password_hash, is.metadata], ["newer", changed.metadata]);
    assert.ok(credentials_version > 3);
    assert.equal(account(restored, "disabled").disabled_at, at);
    assert.equal(account(restored, "deleted"), undefined);
    assert.equal(account(restored, "added").password_hash, "hash of added");
    assert.deepEqual(account(restored, "untouched"), { ...account(restored, "untouched"), ...user("untouched") });
    const inserted = restored.rows(
      "SELECT user_id, kind, ip, detail, actor_id FROM audit_events ORDER BY user_id, kind",
    );
    const expected = now.rows(
      `SELECT user_id, kind, ip, detail, actor_id FROM audit_events WHERE last_at >= ${at} ORDER BY user_id, kind`,
    );
    assert.deepEqual(inserted, expected);
    assert.deepEqual(restored.rows("SELECT credential_id, user_id FROM passkeys"), [
      { credential_id: "key", user_id: "changed" },
    ]);
  };
  check();
  const second = await restored.quick("replay", file);
  assert.deepEqual([second.code, second.stdout], [0, first.stdout]);
  check();
});

test("what cannot be repeated is listed, and everything else is", { timeout: 300_000 }, async () => {
  const now = databases.empty("conflicts");
  insert(now, "users", user("moved", { email: "taken@example.org", email_key: "taken@example.org", roles: "[]" }));
  insert(now, "users", user("added", { created_at: at, username: "Twice", username_key: "twice" }));
  insert(now, "users", user("imported", { disabled_at: at }));
  const events = [
    event("moved", "email_changed"),
    event("moved", "roles_changed"),
    event("imported", "disabled"),
    event("gone", "password_changed"),
    event("moved", "sent_to_the_moon"),
    event("kept", "deleted"),
  ];
  for (const row of events) insert(now, "audit_events", row);
  const file = await exported(now, "conflicts.ndjson");
  assert.match(readFileSync(file, "utf8"), /"email_key":"taken@example.org"/);

  const restored = databases.empty("with-conflicts");
  for (const row of [
    user("moved"),
    user("other", { email_key: "taken@example.org" }),
    user("twice", { username: "twice", username_key: "twice" }),
    user("kept"),
  ])
    insert(restored, "users", row);
  const { code, stdout } = await restored.quick("replay", file);
  assert.equal(code, 1, stdout);
  const [, list] = stdout.split(/^could not be repeated \(\d+\):$/m);
  assert.deepEqual(
    list
      .trim()
      .split("\n")
      .map((line) => line.trim())
      .sort(),
    [
      "added  the account is not there: another one has its address or username",
      "gone  password_changed: the export does not have the account",
      "imported  the account is not in the restored database: it was imported since, or deleted by hand",
      "moved  not as it was: email, email_key",
      "moved  sent_to_the_moon: this kind of event is not known",
    ],
  );
  assert.deepEqual([account(restored, "moved").roles, account(restored, "moved").email], ["[]", "moved@example.org"]);
  assert.equal(account(restored, "kept"), undefined);
  assert.equal(account(restored, "other").email_key, "taken@example.org");
  // Once the operator has changed what stood in the way, a second run finishes.
  restored.run("UPDATE users SET email_key = 'other@example.net' WHERE id = 'other'");
  assert.doesNotMatch((await restored.quick("replay", file)).stdout, /moved {2}not as it was/);
  assert.equal(account(restored, "moved").email, "taken@example.org");
});

test("an address that one account gives up and another one gets is exchanged in one run", async () => {
  const now = databases.empty("chain");
  insert(now, "users", user("first", { email: "new@example.org", email_key: "new@example.org" }));
  insert(now, "users", user("second", { email: "first@example.org", email_key: "first@example.org" }));
  for (const row of [event("second", "email_changed"), event("first", "email_changed", { last_at: at + 1 })])
    insert(now, "audit_events", row);
  const file = await exported(now, "chain.ndjson");
  const restored = databases.empty("chain-restored");
  for (const id of ["first", "second"]) insert(restored, "users", user(id));
  const { code, stdout } = await restored.quick("replay", file);
  assert.equal(code, 0, stdout);
  assert.equal(account(restored, "second").email, "first@example.org");
});

test("the export and its temporary files can be read only by the owner of the umask", () => {
  const page = read(join("docs", "operations", "restoring.md"));
  assert.match(page, /\(umask 077; npm run --silent replay -- --export/);
});
