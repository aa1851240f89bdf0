// npm run backup and restore: what is in a backup, what is not, and which files and databases are refused.

import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";

import { Decrypter, Encrypter } from "age-encryption";
import { decrypterWith, EXCLUDED, encode, INCLUDED, readEncrypted } from "../../packages/portcullis/src/backup.mjs";
import { read } from "../../scripts/lib.mjs";
import { checkoutWithStandIn, Databases } from "../support/databases.mjs";

/** In the test of many users: the heap of the commands in megabytes, the characters that a backup reads at once, and the data. */
const HEAP = 36;
const PAGE = 2_000_000;
const MANY = 17_000;
const METADATA_BYTES = 3200;
/** More users, whose rows are so short that a page with as many characters would have too many rows. */
const SHORT = 3000;
const BACKUP = "packages/portcullis/src/commands/backup.mjs";

let databases, identity, recipient, identityFile;
before(async () => {
  databases = await Databases.make();
  const { code, stdout, stderr } = await keygen();
  assert.equal(code, 0, stderr);
  identityFile = databases.file("identity.txt", [stdout.trim()]);
  ({ recipient, identity } = stdout.match(
    /^# public key: (?<recipient>age1\w+)\n(?<identity>AGE-SECRET-KEY-1\w+)\n$/,
  ).groups);
});
after(() => databases.remove());

const keygen = (...args) => databases.checkout.node(databases.checkout.command("keygen", "--backup", ...args));

const at = (name) => join(databases.folder, name);

/** Inserts a row into a table. Columns that must not be NULL and are not given get a value. */
function insert(sqlite, table, given = {}) {
  const columns = sqlite.prepare(`PRAGMA table_info(${table})`).all();
  const row = {};
  for (const { name, type, notnull } of columns) {
    if (name in given) row[name] = given[name];
    else if (notnull) row[name] = type === "INTEGER" ? 1 : `${table}.${name}`;
  }
  const names = Object.keys(row);
  sqlite
    .prepare(`INSERT OR REPLACE INTO ${table} (${names}) VALUES (${names.map(() => "?")})`)
    .run(...Object.values(row));
}

/** Fills every table. */
function fill(database) {
  database.open((sqlite) => {
    const ada = {
      id: "ada",
      email: "Ada@Example.org",
      email_key: "ada@example.org",
      roles: '["user","admin"]',
      slot: 17,
    };
    const odd = `O'Neil; "x"\\ \u2028 \u{1f511} BEGIN TRANSACTION --\n\t0`;
    insert(sqlite, "users", { ...ada, name: odd, username: "0123", metadata: '{"n":1.0,"big":12345678901234567890}' });
    insert(sqlite, "users", { ...ada, id: "bob", email_key: "bob@example.org", roles: "[]" });
    const session = { user_id: "ada", amr: "pwd", transport: "body", expires_at: 4e9, access_expires_at: 4e9 };
    insert(sqlite, "refresh_tokens", { ...session, session_id: "open" });
    const ended = { session_id: "ended", revoked_at: 1_700_000_000, revoked_reason: "logout" };
    insert(sqlite, "refresh_tokens", { ...session, ...ended });
    const others = [...Object.keys(INCLUDED), ...Object.keys(EXCLUDED)].filter(
      (table) => !["users", "refresh_tokens", "slot_key"].includes(table),
    );
    for (const table of others)
      insert(sqlite, table, { user_id: "ada", transport: "body", purpose: "reset", confirmed_at: 1 });
  });
}

async function backup(database, file, ...args) {
  const { code, stdout, stderr } = await database.quick("backup", file, "--recipient", recipient, ...args);
  assert.equal(code, 0, stderr);
  return { stdout, stderr };
}

const restore = (database, file, ...args) => database.quick("restore", file, "--identity", identityFile, ...args);

async function plain(file) {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return gunzipSync(await decrypter.decrypt(readFileSync(file))).toString();
}

/** The text of a backup without the time at which it was made. */
const untimed = async (file) => (await plain(file)).replace(/"at":\d+/, '"at":0');

/** Writes a backup with any text in it. */
async function forge(name, text) {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  writeFileSync(at(name), await encrypter.encrypt(gzipSync(text)));
  return at(name);
}

/** The text of a backup of that header and these tables. */
async function encoded(header, tables) {
  let text = "";
  for await (const line of encode(header, tables, () => {})) text += line;
  return text;
}

/** The rows of every table in a backup. */
const dump = (database) =>
  Object.fromEntries(Object.keys(INCLUDED).map((table) => [table, database.rows(`SELECT * FROM ${table}`)]));

test("it is decided for every table whether a backup has it", () => {
  const sqlite = new DatabaseSync(":memory:");
  sqlite.exec(read("schema.sql"));
  const tables = sqlite
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all()
    .map(({ name }) => String(name));
  assert.deepEqual(
    Object.keys(INCLUDED).filter((name) => name in EXCLUDED || !tables.includes(name)),
    [],
  );
  assert.deepEqual(
    tables.filter((name) => !(name in INCLUDED) && !(name in EXCLUDED)),
    [],
  );
  assert.ok("signing_keys" in EXCLUDED);
  for (const [table, { owned = false }] of Object.entries(INCLUDED)) {
    const references = sqlite
      .prepare(`PRAGMA foreign_key_list(${table})`)
      .all()
      .map((row) => `${row.from} ${row.table}`);
    assert.deepEqual(references, owned ? ["user_id users"] : [], table);
    // SQLite in D1 has functions of at most 32 arguments.
    assert.ok(sqlite.prepare(`PRAGMA table_info(${table})`).all().length <= 32, table);
  }
});

test("a backup, restored into another database and backed up again, is the same to the byte, in D1", {
  timeout: 240_000,
}, async () => {
  const [source, target] = [databases.empty("source"), databases.empty("target")];
  fill(source);
  const succeeds = async (command) => {
    const { code, stderr } = await command;
    assert.equal(code, 0, stderr);
  };
  const options = ["--recipient", recipient, "--sessions"];
  await succeeds(source.byWrangler("json_array", "backup", at("first.backup"), ...options));
  const restoring = ["restore", at("first.backup"), "--identity", identityFile, "--sessions"];
  await succeeds(target.byWrangler("--file", ...restoring));
  await succeeds(target.inD1("backup", at("second.backup"), ...options));
  assert.equal(await untimed(at("second.backup")), await untimed(at("first.backup")));

  assert.deepEqual(dump(target), dump(source));
  for (const [table, rows] of Object.entries(dump(source))) assert.ok(rows.length > 0, table);
  assert.deepEqual(target.rows("SELECT name FROM sqlite_master WHERE name = 'restore_progress'"), []);
});

test("a backup has the rows of its tables and of no other, and is encrypted", async () => {
  const source = databases.empty("contents");
  fill(source);
  const { stderr } = await backup(source, at("without.backup"));
  assert.match(stderr, /^users: 2 of 2$/m);
  await backup(source, at("with.backup"), "--sessions");
  for (const [name, isWith] of [
    ["without", false],
    ["with", true],
  ]) {
    const text = await plain(at(`${name}.backup`));
    const tables = text.split("\n").flatMap((line) => (line.startsWith('{"table"') ? [JSON.parse(line).table] : []));
    assert.deepEqual(
      tables,
      Object.keys(INCLUDED).filter((table) => isWith || !INCLUDED[table].sessions),
    );
    for (const table of Object.keys(EXCLUDED)) assert.ok(!text.includes(`"${table}.`), table);
    assert.equal(text.includes('"refresh_tokens.'), isWith);
  }
  const bytes = readFileSync(at("with.backup"));
  assert.ok(bytes.toString("latin1").startsWith("age-encryption.org/v1\n-> X25519 "));
  assert.ok(!bytes.includes("example.org"));
  assert.equal(statSync(at("with.backup")).mode & 0o777, 0o600);
});

test("several recipients can each restore, and --json prints what the backup has", async () => {
  const source = databases.empty("recipients");
  fill(source);
  const { stdout: made } = await keygen("--json");
  const other = JSON.parse(made);
  const recipients = databases.file("recipients.txt", ["# two of us", "", recipient, other.recipient]);
  const { code, stdout, stderr } = await source.quick(
    "backup",
    at("two.backup"),
    "--recipients-file",
    recipients,
    "--json",
  );
  assert.equal(code, 0, stderr);
  const { file, rows, sha256, bytes, migrations, at: time, version } = JSON.parse(stdout);
  assert.deepEqual([file, rows.users, bytes], [at("two.backup"), 2, statSync(at("two.backup")).size]);
  assert.deepEqual(migrations.at(0), "0001_initial.sql");
  assert.ok(Math.abs(time - Date.now() / 1000) < 600 && version !== undefined);
  assert.equal(JSON.parse((await plain(file)).trimEnd().split("\n").at(-1)).sha256, sha256);

  const target = databases.empty("recipient");
  const second = databases.file("second.txt", [other.identity]);
  const restored = await target.quick("restore", file, "--identity", second, "--json");
  assert.equal(restored.code, 0, restored.stderr);
  const result = JSON.parse(restored.stdout);
  assert.deepEqual([result.rows.users, result.left_out, result.sha256, result.at], [2, {}, sha256, time]);
});

test("without --sessions, a restore ends the sessions in the backup", async () => {
  const source = databases.empty("open");
  fill(source);
  await backup(source, at("open.backup"), "--sessions");
  const target = databases.empty("closed");
  const { code, stderr } = await restore(target, at("open.backup"));
  assert.equal(code, 0, stderr);
  const sessions = target.rows("SELECT session_id, revoked_at, revoked_reason FROM refresh_tokens ORDER BY session_id");
  assert.deepEqual(sessions[0], { session_id: "ended", revoked_at: 1_700_000_000, revoked_reason: "logout" });
  assert.deepEqual([sessions[1].session_id, sessions[1].revoked_reason], ["open", "ended_by_admin"]);
  assert.deepEqual(target.rows("SELECT * FROM callers"), []);
});

test("backup refuses what it cannot write", async () => {
  const source = databases.empty("refusing");
  const file = at("refused.backup");
  const refused = async (code, pattern, ...args) => {
    const answer = await source.quick("backup", ...args);
    assert.equal(answer.code, code, answer.stderr);
    assert.match(answer.stderr, pattern);
    assert.ok(!existsSync(file) && !existsSync(`${file}.partial`));
    return answer.stderr;
  };
  await refused(2, /needs --recipient or --recipients-file/, file);
  const stderr = await refused(2, /is not a public key of age/, file, "--recipient", identity);
  assert.ok(!stderr.includes(identity));
  await refused(1, /contains no key/, file, "--recipients-file", databases.file("empty.txt", ["# none"]));
  await refused(1, /identity.txt exists/, identityFile, "--recipient", recipient);
  await refused(1, /the folder of .* does not exist/, at("no/such/folder"), "--recipient", recipient);
  source.run("DROP TABLE throttles");
  await refused(1, /no such table: throttles/, file, "--recipient", recipient);
});

test("a restore refuses damaged, incomplete and foreign files, and writes nothing", async () => {
  const source = databases.empty("damage");
  fill(source);
  await backup(source, at("whole.backup"));
  const bytes = readFileSync(at("whole.backup"));
  const text = await plain(at("whole.backup"));
  const [first, ...rest] = text.split("\n");
  const header = JSON.parse(first);
  const write = (name, content) => {
    writeFileSync(at(name), content);
    return at(name);
  };
  const changed = (bytes, position) => bytes.with(position, bytes[position] ^ 1);
  const users = rest.findIndex((line) => line.startsWith('{"table":"users"'));
  const withoutRow = [first, ...rest.toSpliced(users + 1, 1)].join("\n");
  const table = (name, columns, lines = []) => encoded(header, [{ table: name, columns, lines }]);

  const target = databases.empty("untouched");
  const before = dump(target);
  const refused = async (file, pattern, key = identityFile) => {
    const { code, stderr } = await target.quick("restore", file, "--identity", key);
    assert.equal(code, 1, stderr);
    assert.match(stderr, pattern);
    assert.deepEqual(dump(target), before, stderr);
    assert.deepEqual(target.rows("SELECT name FROM sqlite_master WHERE name = 'restore_progress'"), []);
  };
  const damaged = /is damaged or incomplete/;
  await refused(write("cut", bytes.subarray(0, -1)), damaged);
  await refused(write("flipped", changed(bytes, bytes.length - 100)), damaged);
  await refused(write("header", changed(bytes, 60)), /is damaged|none of these identities/);
  await refused(
    await forge("last", text.slice(0, text.lastIndexOf("\n", text.length - 2) + 1)),
    /its last line is missing/,
  );
  await refused(await forge("half", text.slice(0, -20)), damaged);
  await refused(await forge("row", withoutRow), /its rows are not those that were written/);
  await refused(
    await forge("other-row", text.replace("bob@example.org", "eve@example.org")),
    /not those that were written/,
  );
  await refused(await forge("more", `${text}[]\n`), /lines after the last/);
  await refused(await forge("value", await table("throttles", ["key"], ["[1.5]"])), /a row of throttles is invalid/);
  await refused(await forge("other", "{}\n"), /is not a backup of Portcullis/);
  await refused(write("users.ndjson", "{}\n"), /is no file of age/);
  await refused(at("absent"), /is not a file/);
  const { stdout } = await keygen();
  await refused(at("whole.backup"), /encrypted to none of these identities/, write("wrong.txt", stdout));
  await refused(at("whole.backup"), /is not a file of identities/, write("public.txt", recipient));
  await refused(at("whole.backup"), /no-identity is not a file/, at("no-identity"));

  const newer = first.replace('"portcullis_backup":1', '"portcullis_backup":2');
  await refused(await forge("format", [newer, ...rest].join("\n")), /has format 2, and this release reads format 1/);
  const migrations = [...header.migrations, "0999_later.sql"];
  await refused(
    await forge("schema", [JSON.stringify({ ...header, migrations }), ...rest].join("\n")),
    /lacks: 0999_later\.sql\. Apply its migrations/,
  );
  await refused(await forge("table", await table("signing_keys", ["kid"])), /does not restore: signing_keys/);
  await refused(
    await forge("column", await table("throttles", ["key", "later"])),
    /columns of throttles that .*: later/,
  );
  await refused(
    await forge("needed", await table("throttles", ["key"])),
    /lacks columns of throttles .*: steps, failures/,
  );

  await refused(await forge("sql", await table("throttles", ["key) SELECT 1 --"])), /throttles is invalid/);
  await refused(
    await forge("terminal", [JSON.stringify({ ...header, version: "\u001b[2J" }), ...rest].join("\n")),
    /its first line is invalid/,
  );
  // Such sessions would be in force.
  await refused(
    await forge("sessions", await table("refresh_tokens", ["session_id"])),
    /lacks columns of refresh_tokens .*revoked_at, revoked_reason/,
  );
  // What is written is what was checked.
  const decrypter = await decrypterWith(identityFile);
  const checked = await readEncrypted(at("whole.backup"), decrypter);
  const other = await forge("other-table", await table("throttles", ["key"]));
  await assert.rejects(readEncrypted(other, decrypter, undefined, checked), /it has changed since it was checked/);

  const misused = await target.quick("restore", at("whole.backup"));
  assert.equal(misused.code, 2);
  assert.match(misused.stderr, /restore needs --identity/);
});

test("a restore refuses a database that is not empty", async () => {
  const source = databases.empty("full");
  fill(source);
  await backup(source, at("full.backup"));
  const before = dump(source);
  const { code, stderr } = await restore(source, at("full.backup"));
  assert.equal(code, 1);
  assert.match(stderr, /the database is not empty \(users, .*audit_events\)/);
  assert.deepEqual(dump(source), before);
});

test("an unfinished restore can only be continued with its own file and options", async () => {
  const database = databases.empty("unfinished");
  fill(database);
  await backup(database, at("finished.backup"));
  database.run(
    "CREATE TABLE restore_progress (hash TEXT, rows INTEGER); INSERT INTO restore_progress VALUES ('other', 5)",
  );
  const restored = await restore(database, at("finished.backup"));
  assert.deepEqual([restored.code, database.rows("SELECT COUNT(*) AS users FROM users")], [1, [{ users: 2 }]]);
  assert.match(restored.stderr, /with or without --sessions, is unfinished: run that again/);
  const saved = await database.quick("backup", at("unfinished.backup"), "--recipient", recipient);
  assert.equal(saved.code, 1);
  assert.match(saved.stderr, /a restore into this database is unfinished/);
});

test("a backup of an earlier release gets the defaults of the columns that it lacks", async () => {
  const source = databases.empty("older");
  fill(source);
  source.run("UPDATE refresh_tokens SET remember = 0");
  await backup(source, at("current.backup"), "--sessions");
  const [first, ...lines] = (await plain(at("current.backup"))).trimEnd().split("\n");
  const header = JSON.parse(first);
  const tables = [];
  for (const line of lines.slice(0, -1)) {
    if (line.startsWith("{")) tables.push({ ...JSON.parse(line), lines: [] });
    else tables.at(-1).lines.push(line);
  }
  const { columns, lines: sessions } = tables.find(({ table }) => table === "refresh_tokens");
  const index = columns.indexOf("remember");
  const without = sessions.map((line) => JSON.stringify(JSON.parse(line).toSpliced(index, 1)));
  const older = tables.map((table) =>
    table.table === "refresh_tokens" ? { ...table, columns: columns.toSpliced(index, 1), lines: without } : table,
  );
  const file = await forge(
    "older.backup",
    await encoded({ ...header, migrations: header.migrations.slice(0, 1) }, older),
  );
  const target = databases.empty("newer");
  const { code, stderr } = await restore(target, file, "--sessions");
  assert.equal(code, 0, stderr);
  assert.deepEqual(target.rows("SELECT DISTINCT remember FROM refresh_tokens"), [{ remember: 1 }]);
});

test("rows that a change during the backup made contradictory are left out, and reported", async () => {
  const source = databases.empty("changing");
  fill(source);
  await backup(source, at("changing.backup"), "--sessions");
  const text = await plain(at("changing.backup"));
  const [first, ...lines] = text.trimEnd().split("\n");
  const pages = [];
  for (const line of lines.slice(0, -1)) {
    if (line.startsWith("{")) pages.push({ ...JSON.parse(line), lines: [] });
    // The session of a user who registered after the users were read, and an address that was read twice.
    else
      pages
        .at(-1)
        .lines.push(
          line.startsWith('["open"')
            ? line.replace('"ada"', '"eve"')
            : line.replace("bob@example.org", "ada@example.org"),
        );
  }
  const target = databases.empty("changed");
  const file = await forge("contradictory.backup", await encoded(JSON.parse(first), pages));
  const { code, stdout, stderr } = await restore(target, file, "--sessions", "--json");
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout).left_out, { users: 1, refresh_tokens: 1 });
  assert.match(stderr, /1 rows of refresh_tokens are left out/);
  assert.deepEqual(target.rows("SELECT id FROM users"), [{ id: "ada" }]);
});

test("many users are backed up and restored in a small heap, also after an interruption", {
  timeout: 600_000,
}, async (t) => {
  const checkout = checkoutWithStandIn();
  t.after(() => checkout.remove());
  const page = /^const PAGE_CHARACTERS = 8_000_000;$/m;
  assert.match(checkout.read(BACKUP), page);
  checkout.write(BACKUP, checkout.read(BACKUP).replace(page, `const PAGE_CHARACTERS = ${PAGE};`));
  const source = databases.empty("many");
  const insertUsers = (name, count, metadata) =>
    source.run(
      "INSERT INTO users (id, email, email_key, credentials_version, roles, created_at, slot, metadata) " +
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) ` +
        `SELECT '${name}' || i, '${name}' || i, '${name}' || i, 0, '[]', i, i % 4096, ${metadata} FROM n`,
    );
  insertUsers("user", MANY, `'{"a":"' || hex(zeroblob(${METADATA_BYTES / 2})) || '"}'`);
  insertUsers("without", SHORT, "NULL");
  assert.ok(MANY * METADATA_BYTES > 1.4 * HEAP * 2 ** 20);
  const small = (database, ...args) =>
    checkout.node([`--max-old-space-size=${HEAP}`, ...checkout.command(...args, ...database.options)], database.env);
  const made = await small(source, "backup", at("many.backup"), "--recipient", recipient);
  assert.equal(made.code, 0, made.stderr);
  const { length: pages } = made.stderr.match(/^users: \d+ of 20000$/gm);
  assert.ok(pages > 20 && pages < 40, made.stderr);

  const target = databases.empty("many-restored");
  // Stops the restore after some chunks.
  target.run(
    "CREATE TRIGGER stop BEFORE INSERT ON users WHEN NEW.id = 'user9000' BEGIN SELECT RAISE(ABORT, 'stopped'); END",
  );
  const again = ["restore", at("many.backup"), "--identity", identityFile];
  const stopped = await small(target, ...again);
  assert.equal(stopped.code, 1);
  const [, done] = stopped.stderr.match(/stopped\n\n(\d+) of 20\d+ rows are restored\. Run this again to continue/);
  assert.ok(Number(done) > 5000, done);
  const [{ count }] = target.rows("SELECT COUNT(*) AS count FROM users");
  assert.ok(count > 0 && count < MANY);
  target.run("DROP TRIGGER stop");
  const continued = await small(target, ...again);
  assert.equal(continued.code, 0, continued.stderr);
  assert.match(continued.stderr, new RegExp(`continuing: ${done} rows are already restored`));
  const sum = "SELECT COUNT(*) AS count, SUM(created_at) AS sum, MIN(length(metadata)) AS metadata FROM users";
  assert.deepEqual(target.rows(sum), source.rows(sum));
  assert.equal(
    target.rows("SELECT secret FROM slot_key")[0].secret,
    source.rows("SELECT secret FROM slot_key")[0].secret,
  );
});
