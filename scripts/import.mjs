// Brings the users of another system, or of an export, into the database: one JSON object a line.
//
//   npm run import -- users.ndjson               into the local database, that of `npm run dev`
//   npm run import -- users.ndjson --remote      into the deployed one
//   npm run import -- users.ndjson --restart     begins again, where an import of another file was left unfinished
//     --allow-admins      takes admins too
//     --wrap-weak         puts a hash of today's cost around weak ones
//     --all-errors FILE   writes all errors into that file, not just the first
//
// All or nothing, but for an interruption, after which the same command goes on where it stopped:
//   1. Check every line by the Worker's own rules (crates/cli/src/main.rs). With any error nothing is written.
//   2. Load the rows, in chunks, into a table of their own.
//   3. Compare them with the users there are. With any conflict no user is written.
//   4. Move them into `users`, chunk by chunk. A chunk leaves the table in the transaction that makes its users.

import { spawn } from "node:child_process";
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
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";

import { Database, parseCommand, sqlText } from "./d1.mjs";
import { env, Failure, fail, namedFile, readToml, root, runIfStarted, variable } from "./lib.mjs";
import { rulesBinary } from "./rules.mjs";
import { setup } from "./setup.mjs";

const usage =
  "npm run import -- users.ndjson [--remote] [--restart] [--allow-admins] [--wrap-weak] [--all-errors FILE]";
/** Users a chunk: starting wrangler takes a second or two, D1's longest statement thirty. */
const CHUNK = 25_000;
/** Of the rows in one statement, in bytes: D1 takes 100,000 a statement. */
const STATEMENT_BYTES = 80_000;
const SHOWN = 20;
/** Conflicts that are asked for at once. */
const PAGE = 10_000;
/** What a request may take of the CPU on Cloudflare where wrangler.toml does not say, in milliseconds. */
const PLATFORM_CPU_MS = 30_000;
/** How often it says how far it is while it checks, in milliseconds. */
const EVERY = 15_000;

const columns = {
  line: "INTEGER PRIMARY KEY",
  id: "TEXT NOT NULL",
  email: "TEXT NOT NULL",
  email_key: "TEXT NOT NULL",
  username: "TEXT",
  username_key: "TEXT",
  name: "TEXT",
  given_name: "TEXT",
  family_name: "TEXT",
  metadata: "TEXT",
  app_metadata: "TEXT",
  password_hash: "TEXT NOT NULL",
  roles: "TEXT NOT NULL",
  created_at: "INTEGER NOT NULL",
  disabled_at: "INTEGER",
  slot: "INTEGER NOT NULL",
};
const names = Object.keys(columns);
const SLOT_KEY = "SELECT secret FROM slot_key";

async function main(args) {
  const flag = { type: "boolean", default: false };
  const options = { restart: flag, "allow-admins": flag, "wrap-weak": flag, "all-errors": { type: "string" } };
  const {
    values,
    positionals: [name],
  } = parseCommand(args, options, 1, usage);
  const file = namedFile(name);
  checkFile(file);
  const errors = new Errors(values["all-errors"], file);
  await setup();
  const database = new Database(values);
  // The rows carry password hashes: this folder is its owner's alone, and goes with the process, unless that is killed.
  const folder = mkdtempSync(join(tmpdir(), "portcullis-import-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

  const slotKey = await findSlotKey(database);
  const checked = await check(file, folder, values, slotKey, errors);
  const { loaded, line } = await begin(database, checked, slotKey, values.restart);
  if (!loaded) await load(database, checked, line);
  const rows = await compare(database, checked.users, errors);
  try {
    await move(database, checked.users, rows);
  } catch (error) {
    // Most likely somebody registered meanwhile: then this says who.
    await compare(database, checked.users, errors);
    throw error;
  }
  console.log(`imported ${checked.users} users`);
}

function checkFile(file) {
  const stats = statSync(file, { throwIfNoEntry: false }) ?? fail(`there is no file ${file}`);
  if (stats.isDirectory()) fail(`${file} is a folder, not a file`);
  if (stats.isFile() && stats.size === 0) fail(`${file} is empty`);
}

/** What of wrangler.toml decides which hashes are taken. */
export function limits() {
  const { limits } = readToml("wrangler.toml");
  const argon2 = [variable("ARGON2_MEMORY_KIB"), variable("ARGON2_ITERATIONS")];
  return { cpuMs: limits?.cpu_ms ?? PLATFORM_CPU_MS, argon2: argon2.join(",") };
}

/** The key that makes slots of addresses; `undefined` where it cannot be read. What is wrong with the file is reported first. */
async function findSlotKey(database) {
  try {
    const [[row]] = await database.query(SLOT_KEY);
    return row?.secret;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

/** Writes the rows as chunks of SQL into the folder. With any error it throws, and they are never run. */
async function check(file, folder, { "allow-admins": allowAdmins, "wrap-weak": wrapWeak }, slotKey, errors) {
  const started = Math.floor(Date.now() / 1000);
  const { cpuMs, argon2 } = limits();
  const flags = [...(allowAdmins ? ["--allow-admins"] : []), ...(wrapWeak ? ["--wrap-weak"] : [])];
  const args = [
    "check-users",
    "--roles",
    variable("ROLES"),
    "--now",
    String(started),
    "--cpu-ms",
    String(cpuMs),
    "--argon2",
    argon2,
    "--slot-key",
    slotKey ?? "0".repeat(64),
    ...flags,
  ];
  const program = spawn(await rulesBinary(), args, { cwd: root, env, stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise((resolve, reject) => program.on("error", reject).on("close", resolve));
  let stderr = "";
  program.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));

  // Of the file, and of what makes other rows of it.
  const hash = createHash("sha256").update(wrapWeak ? "wrapped\n" : "");
  const hashed = new PassThrough().on("data", (bytes) => hash.update(bytes));
  // That the program left off reading says less than why it did.
  const fed = pipeline(createReadStream(file), hashed, program.stdin).catch((error) =>
    error.code === "EPIPE" ? undefined : Promise.reject(error),
  );
  const chunks = new Chunks(folder);
  let totals;
  let told = Date.now();
  for await (const text of lines(program.stdout)) {
    const { error, ...row } = JSON.parse(text);
    if (row.users !== undefined) totals = row;
    else if (error === undefined) chunks.add(row);
    else errors.add(row.line, error);
    if (Date.now() - told > EVERY) {
      console.log(`checking: line ${row.line}`);
      told = Date.now();
    }
  }
  await fed;
  if ((await ended) !== 0 || totals === undefined) fail(`${file} could not be checked: ${stderr.trim()}`);
  errors.report("nothing was imported");
  if (totals.users === 0) fail(`${file} has no users in it`);
  for (const sentence of summary(totals, wrapWeak)) console.log(sentence);
  return { hash: hash.digest("hex"), users: totals.users, chunks: chunks.end() };
}

function summary({ users, admins, weak }, wrapWeak) {
  const kinds = Object.entries(weak);
  const count = kinds.reduce((sum, [, number]) => sum + number, 0);
  const list = `${count} ${count === 1 ? "hash is" : "hashes are"} weak, below OWASP's floors (${kinds.map(([name, number]) => `${number} ${name}`).join(", ")})`;
  const advice = wrapWeak
    ? "each is wrapped in a hash of today's cost"
    : "until their owners log in, whoever gets hold of the database guesses their passwords fast. --wrap-weak wraps them in hashes of today's cost";
  return [
    `checked ${users} users`,
    ...(admins > 0 ? [`${admins} of them ${admins === 1 ? "is an admin" : "are admins"}`] : []),
    ...(count > 0 ? [`${list}: ${advice}`] : []),
  ];
}

/** The lines of a stream. Not `readline`'s, which also end at characters that JSON may have in a text. */
async function* lines(stream) {
  let rest = "";
  for await (const text of stream.setEncoding("utf8")) {
    const [first, ...more] = text.split("\n");
    rest += first;
    for (const line of more) {
      yield rest;
      rest = line;
    }
  }
}

/** Finds what an interrupted import of this file has done, or makes room for a new one. */
async function begin(database, { hash, users }, slotKey, restart) {
  const definitions = Object.entries(columns)
    .map(([name, type]) => `${name} ${type}`)
    .join(", ");
  const answers = await database.query(
    // Fails, and everything with it, where there is no such table.
    "SELECT 1 FROM users LIMIT 0",
    SLOT_KEY,
    ...(restart ? forget : []),
    "CREATE TABLE IF NOT EXISTS import_file (hash TEXT NOT NULL, users INTEGER NOT NULL, loaded INTEGER NOT NULL) STRICT",
    `CREATE TABLE IF NOT EXISTS import_users (${definitions}) STRICT`,
    `INSERT INTO import_file (hash, users, loaded) SELECT ${sqlText(hash)}, ${users}, 0 WHERE NOT EXISTS (SELECT 1 FROM import_file)`,
    "SELECT hash, users, loaded, (SELECT MAX(line) FROM import_users) AS line, (SELECT COUNT(*) FROM import_users) AS rows FROM import_file",
  );
  const [found] = answers.at(-1);
  if (answers[1][0]?.secret !== slotKey)
    fail("the slot key of the database could not be read at first: run this again");
  const loaded = found.loaded !== 0;
  if (found.hash !== hash) {
    const state = loaded
      ? `${found.users - found.rows} of its ${found.users} users are in`
      : "none of its users is in yet";
    fail(
      `an import of another file, or of this one with or without --wrap-weak, is unfinished (${state}). Start that again to finish it, or add --restart to forget it.`,
    );
  }
  if (loaded) console.log(`going on: ${found.rows} users are still to be moved`);
  else if (found.rows > 0) console.log(`going on: ${found.rows} users are loaded already`);
  return { loaded, line: found.line ?? 0 };
}

/** Loads the chunks behind that line. A wrangler that outlived an interrupted import may just be doing the same. */
async function load(database, { chunks, users }, line) {
  for (const { file, last, total } of chunks) {
    if (last <= line) continue;
    await database.run(file);
    console.log(`loaded ${total} of ${users}`);
  }
}

/** What no two users may share, by its column. */
const shared = { id: "id", email_key: "e-mail address", username_key: "username" };

/** The lines whose value in that column is that of an account there is, behind a line, and how many those are. */
const conflictsOf = (column, after, limit) =>
  `SELECT i.line, COUNT(*) OVER () AS total FROM import_users AS i CROSS JOIN users AS u ON u.${column} = i.${column} ` +
  `WHERE i.${column} IS NOT NULL AND i.line > ${after} ORDER BY i.line LIMIT ${limit}`;

/** Looks for users that are there already, by every value that no two may share. How many rows are to be moved. */
async function compare(database, users, errors) {
  const [, [{ rows, loaded }], ...found] = await database.query(
    "UPDATE import_file SET loaded = 1 WHERE users = (SELECT COUNT(*) FROM import_users)",
    "SELECT loaded, (SELECT COUNT(*) FROM import_users) AS rows FROM import_file",
    ...Object.keys(shared).map((column) => conflictsOf(column, 0, SHOWN)),
  );
  if (loaded === 0) fail(`of ${users} users ${rows} were loaded: run this again with --restart`);
  const count = found.reduce((sum, [row]) => sum + (row?.total ?? 0), 0);
  if (count === 0) return rows;
  const named = Object.entries(shared).map(([column, what], index) => ({
    column,
    what,
    lines: found[index].map(({ line }) => line),
  }));
  for (const conflict of errors.wantsAll ? named : []) conflict.lines = await allLines(database, conflict.column);
  const sentences = named.flatMap(({ what, lines }) => lines.map((line) => ({ line, what })));
  for (const { line, what } of sentences.sort((a, b) => a.line - b.line))
    errors.add(line, `the ${what} is that of an account there is`);
  if (rows === users) await database.query(...forget);
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

const unfinished = (moved, users) => `${moved} of ${users} users are in, and these accounts were made meanwhile.
Leave such a line out, with --remote or --local as you import, and run this again:
  npx wrangler d1 execute DB --command "DELETE FROM import_users WHERE line = N"`;

/** Moves so many rows into `users`. */
async function move(database, users, rows) {
  const chunk = `FROM import_users ORDER BY line LIMIT ${CHUNK}`;
  const columnsOfUsers = names.filter((name) => name !== "line").join(", ");
  for (let left = rows; ; left -= CHUNK) {
    const isLast = left <= CHUNK;
    await database.query(
      `INSERT INTO users (${columnsOfUsers}, credentials_version) SELECT ${columnsOfUsers}, 0 ${chunk}`,
      // As `npm run grant` leaves it. There is one such event of the account, which its id can name.
      "INSERT INTO audit_events (user_id, at, id, kind, count, last_at, detail) " +
        `SELECT id, unixepoch(), id, 'roles_changed', 1, unixepoch(), roles FROM users WHERE is_admin = 1 AND id IN (SELECT id ${chunk})`,
      ...(isLast ? forget : [`DELETE FROM import_users WHERE line IN (SELECT line ${chunk})`]),
    );
    console.log(`moved ${isLast ? users : users - left + CHUNK} of ${users}`);
    if (isLast) return;
  }
}

const forget = ["DROP TABLE IF EXISTS import_users", "DROP TABLE IF EXISTS import_file"];

/** What is wrong with the lines: the first are shown, and all of them go into a file, if one is named. */
export class Errors {
  count = 0;
  /** @type {string[]} */
  sentences = [];

  constructor(name, input) {
    this.wantsAll = name !== undefined;
    if (!this.wantsAll) return;
    this.file = namedFile(name);
    if (statSync(this.file, { throwIfNoEntry: false })?.isFile() && realpathSync(this.file) === realpathSync(input)) {
      fail(`--all-errors would write over ${input}`);
    }
    try {
      this.descriptor = openSync(this.file, "w", 0o600);
      fchmodSync(this.descriptor, 0o600);
    } catch (error) {
      fail(`--all-errors cannot write ${this.file}: ${error.message}`);
    }
  }

  add(line, what) {
    const sentence = `line ${line}: ${what}`;
    this.count += 1;
    if (this.sentences.length < SHOWN) this.sentences.push(sentence);
    if (this.wantsAll) writeSync(this.descriptor, `${sentence}\n`);
  }

  /** Ends with what was added, if anything was. `count` says how many there are, if not all were. */
  report(consequence, count = this.count) {
    if (count === 0) return;
    const rest = count - this.sentences.length;
    const more =
      rest > 0
        ? [
            `and ${rest} more: ${this.wantsAll ? `all of them are in ${this.file}` : "--all-errors FILE writes all of them into a file"}`,
          ]
        : [];
    throw new Failure(
      `${[...this.sentences, ...more].join("\n")}\n\n${count} ${count === 1 ? "error" : "errors"}: ${consequence}`,
    );
  }
}

/** Rows as files of SQL, each with so many that one run of wrangler is worth it. */
export class Chunks {
  /** @type {{ file: string, last: number, total: number }[]} the files that are written */
  done = [];
  /** Of the current file. */
  file;
  descriptor;
  inFile = 0;
  /** @type {string[]} of the current statement */
  rows = [];
  bytes = 0;
  /** Of all files. */
  total = 0;
  last = 0;

  constructor(folder, chunk = CHUNK) {
    this.folder = folder;
    this.chunk = chunk;
  }

  add(row) {
    const values = JSON.stringify(names.map((name) => row[name]));
    const bytes = Buffer.byteLength(sqlText(values));
    if (this.bytes + bytes > STATEMENT_BYTES) this.endStatement();
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
    const fields = names.map((_, index) => `value ->> ${index}`).join(", ");
    writeSync(
      this.descriptor,
      `INSERT OR IGNORE INTO import_users (${names.join(", ")}) SELECT ${fields} FROM json_each(${sqlText(`[${this.rows.join(",")}]`)});\n`,
    );
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

runIfStarted(
  import.meta.url,
  main,
  `${usage}\n\nBrings the users of another system, or of an export, into the database.`,
);
