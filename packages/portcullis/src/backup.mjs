// The format of backups: which tables are in them, and how their lines are written and read.
//
// A backup is a file of age (https://age-encryption.org/v1), in it gzip, in it lines of JSON:
//   {"portcullis_backup":1,"version":…,"at":…,"migrations":[…]}      the format, the release, the time and the schema
//   {"table":"users","columns":[…]}                                  once per table, before its rows
//   ["id",…]                                                         one per row, with a value per column
//   {"rows":{"users":…},"sha256":…}                                  what is complete: the hash is of all lines between
// So `age --decrypt --identity FILE users.backup | gunzip` shows it. The hash does not cover the first line: the same data always has
// the same hash.

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";

import { Failure, fail, misused } from "./failure.mjs";
import { printable } from "./output.mjs";
import { namedFile } from "./place.mjs";

const FORMAT = 1;

/**
 * The tables in a backup, in the order in which they are restored. Sessions precede second factors: a trigger ignores the insertion of
 * a session without two factors once its user has them.
 *
 * `sessions`: only with --sessions. `owned`: the user must exist. `replaces`: the migrations insert a row.
 * @type {Record<string, { sessions?: boolean, owned?: boolean, replaces?: boolean }>}
 */
export const INCLUDED = {
  slot_key: { replaces: true },
  users: {},
  refresh_tokens: { sessions: true, owned: true },
  owed_marks: { sessions: true },
  reserved_emails: { owned: true },
  totp_secrets: { owned: true },
  recovery_codes: { owned: true },
  passkeys: { owned: true },
  deleted_passkeys: {},
  throttles: {},
  audit_events: {},
};

/** The tables that are in no backup, and why. */
export const EXCLUDED = {
  signing_keys: "whoever has them makes access tokens of any user",
  challenges: "codes and links from before must not work again",
  pending_sign_ins: "they live for minutes",
  registrations: "they wait for a code in challenges",
  email_changes: "a change that the user cancelled since the backup would take effect",
  outbox: "the mails would be sent again",
  mail_budgets: "they limit what is sent now",
  cleanup_progress: "the position in another database",
};

/** Splits a stream into lines, and yields those of each piece. Only LF ends a line, as in JSON texts. */
async function* linesOf(stream) {
  let rest = "";
  for await (const text of stream.setEncoding("utf8")) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    yield lines;
  }
  if (rest !== "") throw new Error("the last line is incomplete");
}

/** The lines of a file of keys, without comments. */
function keysIn(name) {
  const file = namedFile(name);
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) fail(`${file} is not a file`);
  const lines = readFileSync(file, "utf8").split("\n");
  const keys = lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  return keys.length > 0 ? keys : fail(`${file} contains no key`);
}

/** What encrypts to these recipients. */
export async function encrypterTo({ recipient = [], "recipients-file": file }) {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  for (const key of [...recipient, ...(file === undefined ? [] : keysIn(file))]) {
    try {
      encrypter.addRecipient(key);
    } catch {
      // Not the key itself, which could be a private one.
      misused("a recipient is not a public key of age, which begins with age1");
    }
  }
  return encrypter;
}

/** What decrypts with the identities in a file. */
export async function decrypterWith(name) {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  for (const key of keysIn(name)) {
    try {
      decrypter.addIdentity(key);
    } catch {
      fail(`${namedFile(name)} is not a file of identities, each a line that begins with AGE-SECRET-KEY-`);
    }
  }
  return decrypter;
}

/** A new key pair: an identity, which is the private key, and its recipient, which is the public key. */
export async function makeIdentity() {
  const { generateX25519Identity, identityToRecipient } = await import("age-encryption");
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** The lines of a backup from its header and its tables, whose rows come in pages of JSON texts. `done` gets the last line. */
export async function* encode(header, pages, done) {
  const hash = createHash("sha256");
  const covered = (text) => {
    hash.update(text);
    return text;
  };
  yield `${JSON.stringify({ portcullis_backup: FORMAT, ...header })}\n`;
  const rows = {};
  for await (const { table, columns, lines } of pages) {
    if (rows[table] === undefined) yield covered(`${JSON.stringify({ table, columns })}\n`);
    rows[table] = (rows[table] ?? 0) + lines.length;
    if (lines.length > 0) yield covered(`${lines.join("\n")}\n`);
  }
  const end = { rows, sha256: hash.digest("hex") };
  yield `${JSON.stringify(end)}\n`;
  done(end);
}

/** Writes the lines to a file, which exists only once it is complete. */
export async function writeEncrypted(file, encrypter, lines) {
  const partial = `${file}.partial`;
  const gzip = createGzip();
  try {
    const encrypted = Readable.fromWeb(await encrypter.encrypt(Readable.toWeb(gzip)));
    await Promise.all([
      // One page at a time: the default is to read sixteen ahead.
      pipeline(Readable.from(lines, { highWaterMark: 1 }), gzip),
      pipeline(encrypted, createWriteStream(partial, { mode: 0o600 })),
    ]);
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error.syscall === undefined ? error : new Failure(`${partial} cannot be written: ${error.message}`);
  }
}

/**
 * Reads a backup to its end, and calls `take` with the position, table and text of each row. `before`: what an earlier reading returned, from
 * which the file must not differ. Returns the header, the tables and what the
 * last line says. Fails if anything is missing or differs from what was written.
 */
export async function readEncrypted(file, decrypter, take = async (_row) => {}, before = undefined) {
  const damaged = (why) => fail(`${file} is damaged or incomplete: ${why}`);
  const source = createReadStream(file);
  try {
    const plain = await decrypter.decrypt(Readable.toWeb(source));
    const gunzip = createGunzip();
    const reader = new Reader(damaged, file, before);
    await pipeline(Readable.fromWeb(plain), gunzip, async (stream) => {
      for await (const lines of linesOf(stream))
        for (const line of lines) reader.read(line) && (await take(reader.row));
    });
    return reader.end();
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error.syscall !== undefined) fail(`${file} cannot be restored: ${error.message}`);
    if (/no identity matched/.test(error.message)) fail(`${file} is encrypted to none of these identities`);
    if (/^invalid version|non-ASCII/.test(error.message)) fail(`${file} is not a backup: it is no file of age`);
    return damaged(error.message);
  } finally {
    source.destroy();
  }
}

/** Checks the lines of a backup one after the other. */
class Reader {
  header;
  /** @type {{ name: string, columns: string[], rows: number }[]} */
  tables = [];
  last;
  hash = createHash("sha256");
  /** The row of the last line. */
  row = { position: 0, table: undefined, text: "" };

  /** `before`: what an earlier reading of the file returned. Another content must not be written unchecked. */
  constructor(damaged, file, before) {
    this.damaged = damaged;
    this.file = file;
    this.before = before;
  }

  /** Reads a line. Returns whether it is a row. */
  read(line) {
    const value = JSON.parse(line);
    if (this.header === undefined) return this.begin(value);
    if (this.last !== undefined) this.damaged("there are lines after the last");
    if (value.sha256 !== undefined) {
      this.last = value;
      return false;
    }
    this.hash.update(`${line}\n`);
    if (!Array.isArray(value)) return this.beginTable(value);
    const table = this.tables.at(-1) ?? this.damaged("a row is in no table");
    const isValue = (item) => item === null || typeof item === "string" || Number.isSafeInteger(item);
    if (value.length !== table.columns.length || !value.every(isValue))
      this.damaged(`a row of ${table.name} is invalid`);
    table.rows += 1;
    this.row = { position: this.row.position + 1, table, text: line };
    return true;
  }

  begin(header) {
    if (header?.portcullis_backup === undefined) fail(`${this.file} is not a backup of Portcullis`);
    if (header.portcullis_backup !== FORMAT)
      fail(
        `${this.file} has format ${header.portcullis_backup}, and this release reads format ${FORMAT}: use the release ${header.version}`,
      );
    const isName = (value) => typeof value === "string" && printable(value) === value;
    if (
      !isName(header.version) ||
      !Number.isSafeInteger(header.at) ||
      !Array.isArray(header.migrations) ||
      !header.migrations.every(isName)
    )
      this.damaged("its first line is invalid");
    this.header = header;
    return false;
  }

  beginTable({ table: name, columns }) {
    if (!Object.hasOwn(INCLUDED, name)) fail(`${this.file} has a table that this release does not restore: ${name}`);
    const isColumn = (column) => typeof column === "string" && /^[a-z_]+$/.test(column);
    if (this.tables.some((table) => table.name === name) || !Array.isArray(columns) || !columns.every(isColumn))
      this.damaged(`${name} is invalid`);
    const known = this.before?.tables[this.tables.length];
    if (this.before && (known?.name !== name || known.columns.join() !== columns.join()))
      this.damaged("it has changed since it was checked");
    this.tables.push({ name, columns, rows: 0 });
    return false;
  }

  end() {
    if (this.last === undefined) this.damaged("its last line is missing");
    const isSame = this.tables.every(({ name, rows }) => this.last.rows[name] === rows);
    if (!isSame || this.hash.digest("hex") !== this.last.sha256)
      this.damaged("its rows are not those that were written");
    if (this.before && this.before.sha256 !== this.last.sha256) this.damaged("it has changed since it was checked");
    return { header: this.header, tables: this.tables, ...this.last, total: this.row.position };
  }
}
