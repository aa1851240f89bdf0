// Imports the users of another system, or of an export, into the database. The file has one JSON object per line.
//
//   npm run import -- users.ndjson               into the local database of `npm run dev`
//   npm run import -- users.ndjson --remote      into the deployed database
//   npm run import -- users.ndjson --restart     discards an unfinished import of another file
//     --allow-admins      accepts users with the role admin
//     --wrap-weak         wraps weak hashes in a hash of the current cost
//     --all-errors FILE   writes all errors to that file
//
// All or nothing, except after an interruption, when the same command continues where it stopped:
//   1. Check every line with the Worker's own rules (crates/rules). On any error nothing is written.
//   2. Load the rows in chunks into a separate table.
//   3. Compare them with the existing users. On any conflict no user is written.
//   4. Move them to `users` in chunks, each in one transaction.

import { createHash } from "node:crypto";
import {
  closeSync,
  createReadStream,
  fchmodSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { database, flag, json, parse, text } from "../command.mjs";
import { Database, insertRows, MAX_STATEMENT_BYTES, sqlText } from "../d1.mjs";
import { Failure, fail } from "../failure.mjs";
import { say } from "../output.mjs";
import { namedFile, setup } from "../place.mjs";
import { userChecker } from "../rules.mjs";

export const about = "Imports the users of another system, or of an export: all of them or, on any error, none.";
export const result = 'the numbers of users: `{"users", "admins", "without_password", "weak"}`';
export const forms = [
  "users.ndjson [--remote] [--restart] [--allow-admins] [--wrap-weak] [--all-errors FILE] [--json]",
];
export const options = {
  ...database,
  restart: flag("discards an unfinished import of another file"),
  "allow-admins": flag("accepts users with the role admin"),
  "wrap-weak": flag("wraps weak hashes in a hash of the current cost"),
  "all-errors": text("FILE", "writes all errors to that file"),
  ...json,
};

/** Users per chunk: starting wrangler takes one or two seconds, and a D1 statement may take at most thirty. */
const CHUNK = 25_000;
/** Number of errors that are printed. */
const MAX_SHOWN = 20;
/** Conflicts per query. */
const PAGE = 10_000;
/** Interval between progress messages during the check, in milliseconds. */
const PROGRESS_MILLIS = 15_000;

const columns = {
  line: "INTEGER PRIMARY KEY",
  id: "TEXT NOT NULL",
  email: "TEXT NOT NULL",
  email_key: "TEXT NOT NULL",
  email_verified_at: "INTEGER",
  username: "TEXT",
  username_key: "TEXT",
  name: "TEXT",
  given_name: "TEXT",
  family_name: "TEXT",
  metadata: "TEXT",
  app_metadata: "TEXT",
  password_hash: "TEXT",
  roles: "TEXT NOT NULL",
  created_at: "INTEGER NOT NULL",
  disabled_at: "INTEGER",
  slot: "INTEGER NOT NULL",
};
const names = Object.keys(columns);
const SLOT_KEY = "SELECT secret FROM slot_key";

export async function main(args) {
  const {
    values,
    positionals: [name],
  } = parse(args, options, 1);
  const file = namedFile(name);
  checkFile(file);
  const errors = new Errors(values["all-errors"], file);
  await setup();
  const db = new Database(values);
  // The rows contain password hashes: only the owner can read this folder, and it is deleted at exit.
  const folder = mkdtempSync(join(tmpdir(), "portcullis-import-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

  const slotKey = await findSlotKey(db);
  const checked = await check(file, folder, values, slotKey, errors);
  const { loaded, line } = await begin(db, checked, slotKey, values.restart);
  if (!loaded) await load(db, checked, line);
  const rows = await compare(db, checked.totals.users, errors);
  try {
    await move(db, checked.totals.users, rows);
  } catch (error) {
    // Usually a user registered meanwhile; then this reports the conflict.
    await compare(db, checked.totals.users, errors);
    throw error;
  }
  say(`imported ${checked.totals.users} users`);
  return checked.totals;
}

function checkFile(file) {
  const stats = statSync(file, { throwIfNoEntry: false }) ?? fail(`${file} does not exist`);
  if (stats.isDirectory()) fail(`${file} is a folder, not a file`);
  if (stats.isFile() && stats.size === 0) fail(`${file} is empty`);
}

/** The key that determines slots; `undefined` if it cannot be read, so that errors in the file are reported first. */
async function findSlotKey(database) {
  try {
    const [[row]] = await database.query(SLOT_KEY);
    return row?.secret;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

/** Writes the rows as chunks of SQL to the folder. Throws on any error, so that no chunk is run. */
async function check(file, folder, { "allow-admins": allow_admins, "wrap-weak": wrap_weak }, slotKey, errors) {
  const checker = await userChecker({ allow_admins, wrap_weak, slot_key: slotKey });
  // The hash covers the file and the option that changes its rows.
  const hash = createHash("sha256").update(wrap_weak ? "wrapped\n" : "");
  const chunks = new Chunks(folder);
  let totals;
  let reported = Date.now();
  const take = (results) => {
    for (const { error, ...row } of results) {
      if (row.users !== undefined) totals = row;
      else if (error === undefined) chunks.add(row);
      else errors.add(row.line, error);
      if (Date.now() - reported > PROGRESS_MILLIS) {
        say(`checking: line ${row.line}`);
        reported = Date.now();
      }
    }
  };
  // Wrapping a hash takes tens of milliseconds. A signal is handled between two pieces.
  for await (const bytes of createReadStream(file, { highWaterMark: wrap_weak ? 2048 : 65_536 })) {
    hash.update(bytes);
    take(checker.check(bytes));
  }
  take(checker.end());
  errors.report("nothing was imported");
  if (totals.users === 0) fail(`${file} contains no users`);
  for (const line of summary(totals, wrap_weak)) say(line);
  return { hash: hash.digest("hex"), totals, chunks: chunks.end() };
}

function summary({ users, admins, without_password: withoutPassword, weak }, wrapWeak) {
  const kinds = Object.entries(weak);
  const count = kinds.reduce((sum, [, number]) => sum + number, 0);
  const list = `${count} ${count === 1 ? "hash is" : "hashes are"} weaker than OWASP's minimum (${kinds.map(([name, number]) => `${number} ${name}`).join(", ")})`;
  const advice = wrapWeak
    ? "each is wrapped in a hash of the current cost"
    : "until these users log in, an attacker with the database can guess their passwords quickly. --wrap-weak wraps the hashes in hashes of the current cost";
  return [
    `checked ${users} users`,
    ...(admins > 0 ? [`${admins} of them ${admins === 1 ? "is an admin" : "are admins"}`] : []),
    ...(withoutPassword > 0
      ? [`${withoutPassword} of them ${withoutPassword === 1 ? "has" : "have"} no password`]
      : []),
    ...(count > 0 ? [`${list}: ${advice}`] : []),
  ];
}

/** Finds the state of an interrupted import of this file, or prepares a new import. */
async function begin(database, { hash, totals: { users } }, slotKey, restart) {
  const definitions = Object.entries(columns)
    .map(([name, type]) => `${name} ${type}`)
    .join(", ");
  const answers = await database.query(
    // Aborts the transaction if the table does not exist.
    "SELECT 1 FROM users LIMIT 0",
    SLOT_KEY,
    ...(restart ? dropTables : []),
    "CREATE TABLE IF NOT EXISTS import_file (hash TEXT NOT NULL, users INTEGER NOT NULL, loaded INTEGER NOT NULL) STRICT",
    `CREATE TABLE IF NOT EXISTS import_users (${definitions}) STRICT`,
    `INSERT INTO import_file (hash, users, loaded) SELECT ${sqlText(hash)}, ${users}, 0 WHERE NOT EXISTS (SELECT 1 FROM import_file)`,
    "SELECT hash, users, loaded, (SELECT MAX(line) FROM import_users) AS line, (SELECT COUNT(*) FROM import_users) AS rows FROM import_file",
  );
  const [found] = answers.at(-1);
  if (answers[1][0]?.secret !== slotKey) fail("the slot key of the database could not be read before: run this again");
  const loaded = found.loaded !== 0;
  if (found.hash !== hash) {
    const state = loaded
      ? `${found.users - found.rows} of its ${found.users} users are imported`
      : "none of its users is imported yet";
    fail(
      `an import of another file, or of this one with or without --wrap-weak, is unfinished (${state}). Run that again to finish it, or add --restart to discard it.`,
    );
  }
  if (loaded) say(`continuing: ${found.rows} users remain to be moved`);
  else if (found.rows > 0) say(`continuing: ${found.rows} users are already loaded`);
  return { loaded, line: found.line ?? 0 };
}

/** Loads the chunks after that line. A wrangler process of an interrupted import may be loading the same rows. */
async function load(database, { chunks, totals: { users } }, line) {
  for (const { file, last, total } of chunks) {
    if (last <= line) continue;
    await database.run(file);
    say(`loaded ${total} of ${users}`);
  }
}

/** The columns that are unique among users, and their names in messages. */
const unique = { id: "id", email_key: "e-mail address", username_key: "username" };

/** Selects the lines after `after` whose value in that column belongs to an existing account, and their number. */
const conflictsOf = (column, after, limit) =>
  `SELECT i.line, COUNT(*) OVER () AS total FROM import_users AS i CROSS JOIN users AS u ON u.${column} = i.${column} ` +
  `WHERE i.${column} IS NOT NULL AND i.line > ${after} ORDER BY i.line LIMIT ${limit}`;

/** Reports rows that conflict with existing users in a unique column. Returns the number of rows to move. */
async function compare(database, users, errors) {
  const [, [{ rows, loaded }], ...found] = await database.query(
    "UPDATE import_file SET loaded = 1 WHERE users = (SELECT COUNT(*) FROM import_users)",
    "SELECT loaded, (SELECT COUNT(*) FROM import_users) AS rows FROM import_file",
    ...Object.keys(unique).map((column) => conflictsOf(column, 0, MAX_SHOWN)),
  );
  if (loaded === 0) fail(`${rows} of ${users} users were loaded: run this again with --restart`);
  const count = found.reduce((sum, [row]) => sum + (row?.total ?? 0), 0);
  if (count === 0) return rows;
  const conflicts = Object.entries(unique).map(([column, what], index) => ({
    column,
    what,
    lines: found[index].map(({ line }) => line),
  }));
  for (const conflict of errors.reportsAll ? conflicts : []) conflict.lines = await allLines(database, conflict.column);
  const conflictLines = conflicts.flatMap(({ what, lines }) => lines.map((line) => ({ line, what })));
  for (const { line, what } of conflictLines.sort((a, b) => a.line - b.line))
    errors.add(line, `the ${what} belongs to an existing account`);
  if (rows === users) await database.query(...dropTables);
  errors.report(rows === users ? "nothing was imported" : unfinished(users - rows, users), count);
}

async function allLines(database, column) {
  const all = [];
  for (;;) {
    const [found] = await database.query(conflictsOf(column, all.at(-1) ?? 0, PAGE));
    for (const { line } of found) all.push(line);
    if (found.length < PAGE) return all;
  }
}

const unfinished = (
  moved,
  users,
) => `${moved} of ${users} users are imported, and these accounts were created meanwhile.
Skip each of these lines, with --remote or --local as in the import, and run this again:
  npx wrangler d1 execute DB --command "DELETE FROM import_users WHERE line = N"`;

/** Moves a number of rows to `users`. */
async function move(database, users, rows) {
  const chunk = `FROM import_users ORDER BY line LIMIT ${CHUNK}`;
  const columnsOfUsers = names.filter((name) => name !== "line").join(", ");
  for (let left = rows; ; left -= CHUNK) {
    const isLast = left <= CHUNK;
    await database.query(
      `INSERT INTO users (${columnsOfUsers}, credentials_version) SELECT ${columnsOfUsers}, 0 ${chunk}`,
      // The same event as by `grant`. It is the only one of the account, so the user id can be its id.
      "INSERT INTO audit_events (user_id, at, id, kind, count, last_at, detail) " +
        `SELECT id, unixepoch(), id, 'roles_changed', 1, unixepoch(), roles FROM users WHERE is_admin = 1 AND id IN (SELECT id ${chunk})`,
      ...(isLast ? dropTables : [`DELETE FROM import_users WHERE line IN (SELECT line ${chunk})`]),
    );
    say(`moved ${isLast ? users : users - left + CHUNK} of ${users}`);
    if (isLast) return;
  }
}

const dropTables = ["DROP TABLE IF EXISTS import_users", "DROP TABLE IF EXISTS import_file"];

/** Errors in lines. Prints the first ones, and writes all to a file if one is given. */
export class Errors {
  count = 0;
  /** @type {string[]} */
  messages = [];

  constructor(name, input) {
    this.reportsAll = name !== undefined;
    if (!this.reportsAll) return;
    this.file = namedFile(name);
    if (statSync(this.file, { throwIfNoEntry: false })?.isFile() && realpathSync(this.file) === realpathSync(input)) {
      fail(`--all-errors would overwrite ${input}`);
    }
    try {
      this.descriptor = openSync(this.file, "w", 0o600);
      fchmodSync(this.descriptor, 0o600);
    } catch (error) {
      fail(`--all-errors cannot write ${this.file}: ${error.message}`);
    }
  }

  add(line, what) {
    const message = `line ${line}: ${what}`;
    this.count += 1;
    if (this.messages.length < MAX_SHOWN) this.messages.push(message);
    if (this.reportsAll) writeSync(this.descriptor, `${message}\n`);
  }

  /** Throws if there are errors. `count` is their total number if not all were added. */
  report(outcome, count = this.count) {
    if (count === 0) return;
    const rest = count - this.messages.length;
    const more =
      rest > 0
        ? [
            `and ${rest} more: ${this.reportsAll ? `all are in ${this.file}` : "--all-errors FILE writes all to a file"}`,
          ]
        : [];
    throw new Failure(
      `${[...this.messages, ...more].join("\n")}\n\n${count} ${count === 1 ? "error" : "errors"}: ${outcome}`,
    );
  }
}

/** Writes rows to SQL files, each with enough rows for one run of wrangler. */
export class Chunks {
  /** @type {{ file: string, last: number, total: number }[]} the completed files */
  done = [];
  /** State of the current file. */
  file;
  descriptor;
  inFile = 0;
  /** @type {string[]} rows of the current statement */
  rows = [];
  bytes = 0;
  /** Rows in all files. */
  total = 0;
  last = 0;

  constructor(folder, chunk = CHUNK) {
    this.folder = folder;
    this.chunk = chunk;
  }

  add(row) {
    const values = JSON.stringify(names.map((name) => row[name]));
    const bytes = Buffer.byteLength(sqlText(values));
    if (this.bytes + bytes > MAX_STATEMENT_BYTES) this.endStatement();
    this.rows.push(values);
    this.bytes += bytes + 1;
    this.last = row.line;
    this.total += 1;
    this.inFile += 1;
    if (this.inFile === this.chunk) this.endFile();
  }

  end() {
    if (this.inFile > 0) this.endFile();
    return this.done;
  }

  endStatement() {
    if (this.rows.length === 0) return;
    this.file ??= join(this.folder, `${this.done.length}.sql`);
    this.descriptor ??= openSync(this.file, "wx", 0o600);
    writeSync(this.descriptor, `${insertRows("import_users", names, `[${this.rows.join(",")}]`)};\n`);
    this.rows = [];
    this.bytes = 0;
  }

  endFile() {
    this.endStatement();
    closeSync(this.descriptor);
    this.done.push({ file: this.file, last: this.last, total: this.total });
    this.file = undefined;
    this.descriptor = undefined;
    this.inFile = 0;
  }
}
