// Writes users, second factors, throttles and the audit trail to a file, encrypted to public keys. ../backup.mjs has its format.
//
//   npm run backup -- portcullis.backup --recipient age1…              of the local database of `npm run dev`
//   npm run backup -- portcullis.backup --recipient age1… --remote     of the deployed database
//     --sessions     with the sessions
//
// It reads page by page, in the order of the primary keys, so it needs little memory, and the database serves requests meanwhile. What
// changes meanwhile may be in the backup or not.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { EXCLUDED, encode, encrypterTo, INCLUDED, writeEncrypted } from "../backup.mjs";
import { database, flag, json, parse, text } from "../command.mjs";
import { Database, sqlValue } from "../d1.mjs";
import { fail, misused } from "../failure.mjs";
import { show } from "../output.mjs";
import { called, home, namedFile, packages } from "../place.mjs";

export const about =
  "Writes the users, their second factors, the throttles and the audit trail to a file, encrypted to public keys of age. Signing keys " +
  "and secrets are in no backup.";
export const result =
  'the file and what is in it: `{"file", "version", "at", "migrations", "rows", "sha256", "bytes"}`; `rows` are numbers by table';
export const forms = ["FILE (--recipient KEY | --recipients-file FILE) [--sessions] [--remote] [--json]"];
export const options = {
  ...database,
  recipient: {
    ...text("KEY", `a public key, printed by ${called("keygen", "--backup")}; may be repeated`),
    multiple: true,
  },
  "recipients-file": text("FILE", "a file of public keys, one per line"),
  sessions: flag("includes the sessions, which are also the history of logins"),
  ...json,
};

/** Maximum number of rows and of characters in the answer of one call of wrangler, which takes a second to start. */
const PAGE_ROWS = 25_000;
const PAGE_CHARACTERS = 8_000_000;

export async function main(args) {
  const {
    values,
    positionals: [name],
  } = parse(args, options, 1);
  if (values.recipient === undefined && values["recipients-file"] === undefined)
    misused("a backup needs --recipient or --recipients-file");
  const file = namedFile(name);
  if (existsSync(file)) fail(`${file} exists`);
  if (!statSync(join(file, ".."), { throwIfNoEntry: false })?.isDirectory())
    fail(`the folder of ${file} does not exist`);
  await packages();
  const encrypter = await encrypterTo(values);
  const db = new Database(values);
  const { header, tables } = await describe(db, values.sessions);
  let result;
  const lines = encode(header, pages(db, tables), ({ rows, sha256 }) => {
    result = { file, ...header, rows, sha256 };
  });
  await writeEncrypted(file, encrypter, lines);
  const bytes = statSync(file).size;
  show(`wrote ${result.rows.users} users to ${file}: ${bytes} bytes, SHA-256 of the data ${result.sha256}`);
  return { ...result, bytes };
}

/** The header of the backup, and the tables with their columns and numbers of rows. Generated columns are not in table_info. */
async function describe(db, sessions) {
  const names = Object.keys(INCLUDED).filter((table) => sessions || !INCLUDED[table].sessions);
  const [[{ at }], migrations, present, [counts], ...infos] = await db.query(
    // Aborts if the table does not exist.
    "SELECT unixepoch() AS at, (SELECT 1 FROM users LIMIT 0) AS present",
    "SELECT name FROM d1_migrations ORDER BY id",
    "SELECT name FROM sqlite_master WHERE type = 'table'",
    `SELECT ${names.map((table) => `(SELECT COUNT(*) FROM ${table}) AS ${table}`).join(", ")}`,
    ...names.map((table) => `PRAGMA table_info(${table})`),
  );
  if (present.some(({ name }) => name === "restore_progress"))
    fail("a restore into this database is unfinished: finish it first");
  const isUnknown = ({ name }) =>
    !Object.hasOwn(INCLUDED, name) && !Object.hasOwn(EXCLUDED, name) && !/^(sqlite_|_cf_|d1_|import_)/.test(name);
  for (const { name } of present.filter(isUnknown)) console.error(`note: the table ${name} is not in the backup`);
  const tables = names.map((table, index) => {
    const columns = infos[index];
    const key = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
    return { table, columns: columns.map(({ name }) => name), key: key.map(({ name }) => name), count: counts[table] };
  });
  const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  return { header: { version, at, migrations: migrations.map(({ name }) => name) }, tables };
}

/**
 * Reads the tables one after the other, in pages. Tables that are small enough are read in one call. One that does not fit into
 * its part of a page gets whole pages from then on.
 */
async function* pages(db, tables) {
  const pending = tables.map((table) => ({ ...table, after: undefined, read: 0, limit: PAGE_ROWS }));
  while (pending.length > 0) {
    let rows = 0;
    const asked = pending.filter(({ count }, index) => {
      rows += count;
      return index === 0 || (pending[0].read === 0 && rows < PAGE_ROWS);
    });
    const size = Math.floor(PAGE_CHARACTERS / asked.length);
    const answers = await db.query(...asked.map((table) => select(table, size)));
    for (const [index, answer] of answers.entries()) {
      const state = asked[index];
      const { table, columns, key, count } = state;
      const lines = answer.map(({ line }) => line);
      yield { table, columns, lines };
      state.read += lines.length;
      console.error(`${table}: ${state.read} of ${Math.max(count, state.read)}`);
      const isComplete = lines.length < state.limit && lines.reduce((sum, line) => sum + line.length, 0) < size;
      if (!isComplete) {
        const last = JSON.parse(lines.at(-1));
        state.after = key.map((name) => last[columns.indexOf(name)]);
        // The database reads all these rows, so they are not many more than a whole page seems to hold.
        state.limit = Math.min(PAGE_ROWS, Math.ceil((2 * lines.length * PAGE_CHARACTERS) / size));
        break;
      }
      pending.shift();
    }
  }
}

/** Selects the next rows of a table as JSON texts, until their size is reached. */
function select({ table, columns, key, after, limit }, size) {
  const keys = key.join(", ");
  const where = after === undefined ? "" : `WHERE (${keys}) > (${after.map(sqlValue).join(", ")}) `;
  const rows = `SELECT json_array(${columns.join(", ")}) AS line, ${keys} FROM ${table} ${where}ORDER BY ${keys} LIMIT ${limit}`;
  const sums = `SELECT *, SUM(length(line)) OVER (ORDER BY ${keys} ROWS UNBOUNDED PRECEDING) - length(line) AS earlier FROM (${rows})`;
  return `SELECT line FROM (${sums}) WHERE earlier < ${size} ORDER BY ${keys}`;
}
