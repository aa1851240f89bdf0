// Restores a backup into an empty database with the schema of this release.
//
//   npm run restore -- portcullis.backup --identity FILE               into the local database of `npm run dev`
//   npm run restore -- portcullis.backup --identity FILE --remote      into the deployed database
//     --sessions     continues the sessions in the backup
//
//   1. Read the file to its end. If anything is missing or damaged, nothing is written.
//   2. Check that its schema is known and that the database is empty. Otherwise nothing is written.
//   3. Write the rows in chunks, each in one transaction that also records the position. After an interruption, the same command
//      continues there.

import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { decrypterWith, INCLUDED, readEncrypted } from "../backup.mjs";
import { database, flag, json, parse, text } from "../command.mjs";
import { Database, insertRows, MAX_STATEMENT_BYTES, sqlText } from "../d1.mjs";
import { Failure, fail, misused } from "../failure.mjs";
import { show } from "../output.mjs";
import { called, namedFile, packages } from "../place.mjs";

export const about = `Restores a backup into an empty database. Its sessions are ended, except with --sessions.`;
export const result =
  'what was restored: `{"version", "at", "migrations", "rows", "left_out", "sha256"}`; `rows` and `left_out` are numbers by table';
export const forms = ["FILE --identity FILE [--sessions] [--remote] [--json]"];
export const options = {
  ...database,
  identity: text("FILE", `the private key, printed by ${called("keygen", "--backup")}`),
  sessions: flag("continues the sessions in the backup, also those that were ended since"),
  ...json,
};

/** Maximum number of rows and of bytes in a chunk: wrangler takes a second to start. */
const CHUNK_ROWS = 25_000;
const CHUNK_BYTES = 16_000_000;

/** What the columns of a session get that is not restored in force. */
const ENDED = { revoked_at: "unixepoch()", revoked_reason: "'ended_by_admin'" };

export async function main(args) {
  const {
    values,
    positionals: [name],
  } = parse(args, options, 1);
  if (values.identity === undefined) misused("restore needs --identity");
  const file = namedFile(name);
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) fail(`${file} is not a file`);
  await packages();
  const decrypter = await decrypterWith(values.identity);
  console.error("checking the file");
  const backup = await readEncrypted(file, decrypter);
  const db = new Database(values);
  const hash = `${backup.sha256}${values.sessions ? " with sessions" : ""}`;
  const done = await prepare(db, backup, hash);
  const writer = new Writer(db, { backup, hash, done, sessions: values.sessions });
  try {
    await readEncrypted(file, decrypter, (row) => writer.add(row), backup);
    await writer.end();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    fail(`${error.message}\n\n${writer.done} of ${backup.total} rows are restored. Run this again to continue`);
  }
  return finish(db, backup);
}

/** Checks that the database can take the backup. Returns the number of rows that an interrupted restore wrote. */
async function prepare(db, { header, tables }, hash) {
  const empty = Object.keys(INCLUDED).filter((name) => !INCLUDED[name].replaces);
  const [, migrations, progress, [filled], ...infos] = await db.query(
    // Aborts if the table does not exist.
    "SELECT 1 FROM users LIMIT 0",
    "SELECT name FROM d1_migrations ORDER BY id",
    "SELECT name FROM sqlite_master WHERE name = 'restore_progress'",
    `SELECT ${empty.map((name) => `EXISTS (SELECT 1 FROM ${name}) AS ${name}`).join(", ")}`,
    ...tables.map(({ name }) => `PRAGMA table_info(${name})`),
  );
  const applied = migrations.map(({ name }) => name);
  const missing = header.migrations.filter((name) => !applied.includes(name));
  if (missing.length > 0)
    fail(
      `the backup is of release ${header.version}, with migrations that this database lacks: ${missing.join(", ")}. ` +
        "Apply its migrations, or those of a newer release, first: npx wrangler d1 migrations apply DB",
    );
  for (const [index, { name, columns }] of tables.entries()) checkColumns(name, columns, infos[index]);
  if (progress.length > 0) {
    const [[state]] = await db.query("SELECT hash, MAX(rows) AS rows FROM restore_progress GROUP BY hash");
    if (state.hash !== hash)
      fail("the restore of another file, or of this one with or without --sessions, is unfinished: run that again");
    console.error(`continuing: ${state.rows} rows are already restored`);
    return state.rows;
  }
  const found = Object.keys(filled).filter((name) => filled[name] !== 0);
  if (found.length > 0)
    fail(
      `the database is not empty (${found.join(", ")}): a backup is restored into a database that has only the schema`,
    );
  return 0;
}

function checkColumns(table, columns, infos) {
  const unknown = columns.filter((column) => infos.every(({ name }) => name !== column));
  if (unknown.length > 0) fail(`the backup has columns of ${table} that this database lacks: ${unknown.join(", ")}`);
  // Without them, sessions would be restored in force.
  const always = table === "refresh_tokens" ? Object.keys(ENDED) : [];
  const isNeeded = ({ name, notnull, dflt_value }) =>
    !columns.includes(name) && ((notnull === 1 && dflt_value === null) || always.includes(name));
  const lacking = infos.filter(isNeeded).map(({ name }) => name);
  if (lacking.length > 0) fail(`the backup lacks columns of ${table} that this database needs: ${lacking.join(", ")}`);
}

/** Writes rows in chunks, except those that are already written. */
class Writer {
  /** The file of the chunk, if it has begun. */
  descriptor;
  /** @type {string[]} rows of the statement, as JSON */
  rows = [];
  table;
  bytes = { statement: 0, chunk: 0 };
  /** Rows up to the last one that was added. */
  position = 0;

  constructor(db, { backup, hash, done, sessions }) {
    this.db = db;
    this.hash = hash;
    this.sessions = sessions;
    this.total = backup.total;
    /** Rows that are written. */
    this.done = done;
    this.begun = done;
    // The rows contain password hashes: only the owner can read this folder, and it is deleted at exit.
    const folder = mkdtempSync(join(tmpdir(), "portcullis-restore-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    this.file = join(folder, "chunk.sql");
  }

  async add({ position, table, text }) {
    if (position <= this.begun) return;
    const bytes = Buffer.byteLength(sqlText(text));
    if (table.name !== this.table?.name || this.bytes.statement + bytes > MAX_STATEMENT_BYTES) this.endStatement();
    this.table = table;
    this.rows.push(text);
    this.bytes.statement += bytes + 1;
    this.bytes.chunk += bytes;
    this.position = position;
    if (position - this.done >= CHUNK_ROWS || this.bytes.chunk >= CHUNK_BYTES) await this.end();
  }

  endStatement() {
    if (this.rows.length === 0) return;
    this.descriptor ??= openSync(this.file, "w", 0o600);
    writeSync(this.descriptor, `${insert(this.table, this.rows, this.sessions)};\n`);
    this.rows = [];
    this.bytes.statement = 0;
  }

  /** Writes the chunk to the database. */
  async end() {
    this.endStatement();
    if (this.descriptor === undefined) return;
    const state = [
      "CREATE TABLE IF NOT EXISTS restore_progress (hash TEXT NOT NULL, rows INTEGER PRIMARY KEY) STRICT",
      `INSERT INTO restore_progress (hash, rows) VALUES (${sqlText(this.hash)}, ${this.position})`,
    ];
    writeSync(this.descriptor, `${state.join(";\n")};\n`);
    closeSync(this.descriptor);
    this.descriptor = undefined;
    await this.db.run(this.file);
    this.done = this.position;
    this.bytes.chunk = 0;
    console.error(`restored ${this.done} of ${this.total} rows, to ${this.table.name}`);
  }
}

/**
 * Inserts rows. A row that conflicts with another is left out, as is one whose user is missing: only a change during the backup makes
 * such rows, and they must not make it useless.
 */
function insert({ name, columns }, rows, sessions) {
  const { owned, replaces } = INCLUDED[name];
  return insertRows(name, columns, `[${rows.join(",")}]`, {
    verb: `INSERT OR ${replaces ? "REPLACE" : "IGNORE"}`,
    field: (column, value) =>
      name === "refresh_tokens" && !sessions && column in ENDED ? `COALESCE(${value}, ${ENDED[column]})` : value,
    where: owned ? `EXISTS (SELECT 1 FROM users WHERE id = value ->> ${columns.indexOf("user_id")})` : "TRUE",
  });
}

/** Ends the restore, and reports rows that were left out. */
async function finish(db, { header, tables, sha256 }) {
  const [[counts]] = await db.query(
    `SELECT ${tables.map(({ name }) => `(SELECT COUNT(*) FROM ${name}) AS ${name}`).join(", ")}`,
    "DROP TABLE IF EXISTS restore_progress",
  );
  const leftOut = tables.filter(({ name, rows }) => counts[name] < rows);
  const left_out = Object.fromEntries(leftOut.map(({ name, rows }) => [name, rows - counts[name]]));
  for (const [name, rows] of Object.entries(left_out))
    console.error(`note: ${rows} rows of ${name} are left out: they changed while the backup was made`);
  show(`restored ${counts.users} users from the backup of ${new Date(header.at * 1000).toISOString()}`);
  const { version, at, migrations } = header;
  return { version, at, migrations, rows: counts, left_out, sha256 };
}
