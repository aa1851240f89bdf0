// Repeats on a restored database what has happened to its accounts since the time to which it was restored.
//
//   (umask 077; npm run --silent replay -- --export 2026-11-25T12:00:00Z --remote > since.ndjson)
//                                             before the restore: the audit trail since then, and the accounts that it names
//   npm run replay -- since.ndjson --remote   after the restore: the entries of the trail, and the accounts as they were
//
// Without --remote, both use the local database of `npm run dev`. The second one can be run again. At the end, it reads the accounts and
// lists every change that they do not have, such as an address that another account has in the restored database.

import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { database as databaseOptions, json, parse, text } from "../command.mjs";
import { Database, sqlText, sqlValue } from "../d1.mjs";
import { fail, misused } from "../failure.mjs";
import { printable, show } from "../output.mjs";
import { called, checkSilent, namedFile, packages } from "../place.mjs";

export const about =
  "Prints the audit trail since a time and the accounts that it names, or repeats what such a file says on a restored database, and lists " +
  "what it could not. Exits with 1 if that is anything.";
export const result =
  "with `--export` the entries and accounts, one JSON object per line, the same without `--json`; otherwise " +
  '`{"since", "repeated", "events", "sessions_not_repeated", "missing"}`: numbers of accounts by what was repeated, and a list of `{"id", "what"}`, ' +
  "also if the exit code is 1";
export const forms = ["--export TIME [--remote] > since.ndjson", "FILE [--remote] [--json]"];
export const options = {
  export: text("TIME", "the time to which the database will be restored, such as 2026-11-25T12:00:00Z"),
  ...databaseOptions,
  ...json,
};

/** Rows per query, and statements per transaction. */
const PAGE = 1_000;

/** The columns of an account, by what changes them. Those of `identity` never change. `credentials_version` is raised instead. */
export const COLUMNS = {
  identity: ["id", "created_at", "created_ip", "created_user_agent", "slot"],
  password: ["password_hash", "password_reset_at"],
  state: ["disabled_at"],
  roles: ["roles"],
  address: ["email", "email_key", "email_verified_at"],
  profile: ["username", "username_key", "name", "given_name", "family_name", "metadata", "app_metadata"],
  factors: ["factors_reset_at"],
};

/** The tables with the factors of an account, and their columns beside `user_id`. They belong to the group `factors`. */
export const FACTORS = {
  totp_secrets: ["id", "secret", "created_at", "confirmed_at", "tries", "last_step"],
  passkeys: [
    "credential_id",
    "public_key",
    "name",
    "transports",
    "aaguid",
    "is_backup_eligible",
    "is_backed_up",
    "counter",
    "created_at",
    "last_used_at",
    "used_challenges",
  ],
  recovery_codes: ["code_hash"],
};

/** What an event changed: groups of columns. `deleted`: the account is gone. */
export const CHANGES = {
  deleted: ["deleted"],
  disabled: ["state"],
  enabled: ["state"],
  roles_changed: ["roles"],
  password_changed: ["password"],
  password_reset: ["password", "address", "profile", "factors"],
  invited: ["roles", "profile"],
  invitation_accepted: ["password", "address", "roles", "profile", "factors"],
  // The first proof of a mailbox deletes what the account had before.
  email_verified: ["password", "address", "profile", "factors"],
  email_changed: ["address"],
  profile_changed: ["profile"],
  metadata_changed: ["profile"],
  factor_added: ["factors"],
  factor_removed: ["factors"],
  factors_reset: ["factors"],
  recovery_codes_created: ["factors"],
  recovery_code_used: ["factors"],
};

/** Events after which nothing is left to repeat: SESSIONS_NOT_BEFORE ends what they ended, and refuses what they began. */
export const NOTHING_TO_REPEAT = [
  "login_failed",
  "login_throttled",
  "throttle_lifted",
  "registration_attempted",
  "password_reset_started",
  "email_change_requested",
  "email_change_pending",
  "email_change_cancelled",
  "mail_sent",
  "mail_failed",
  "reuse_detected",
  "sessions_evicted",
  "sessions_ended",
];

const EVENT_COLUMNS = [
  "user_id",
  "at",
  "id",
  "kind",
  "count",
  "last_at",
  "actor_id",
  "session_id",
  "ip",
  "user_agent",
  "other_ip",
  "other_user_agent",
  "detail",
];
const HOUR = 3600;

export async function main(args) {
  const isExport = args.some((arg) => /^--export(=|$)/.test(arg));
  const { values, positionals } = parse(args, options, isExport ? 0 : 1);
  await packages();
  const database = new Database(values);
  if (isExport) return exportSince(database, values.export);
  const file = namedFile(positionals[0]);
  return replay(database, readLines(file));
}

async function exportSince(database, text) {
  const since = Math.floor(Date.parse(text) / 1000);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$/.test(text) || Number.isNaN(since))
    misused(`--export needs a time such as 2026-11-25T12:00:00Z, found ${text}`);
  checkSilent("replay", forms[0]);
  console.error(
    "note: the output contains password hashes, e-mail addresses and second factors. Protect it like the database.",
  );
  const [[{ now, sessions }]] = await database.query(
    "SELECT unixepoch() AS now, (SELECT count(*) FROM refresh_tokens " +
      `WHERE created_at >= ${since} OR revoked_at >= ${since}) AS sessions`,
  );
  if (since > now) fail(`${text} is in the future`);
  await print({ since, exported_at: now, sessions });
  const named = new Set();
  // The entries of an hour share one whose time is the start of the hour.
  const isSince = `at >= ${since - HOUR} AND last_at >= ${since}`;
  const events = await everyRow(
    database,
    (after) =>
      `SELECT ${EVENT_COLUMNS.join(", ")} FROM audit_events WHERE ${isSince} AND (at, user_id, id) > ` +
      `(${after.at ?? 0}, ${sqlText(after.user_id ?? "")}, ${sqlText(after.id ?? "")}) ORDER BY at, user_id, id`,
    async (event) => {
      if (CHANGES[event.kind] !== undefined) named.add(event.user_id);
      await print({ event });
    },
  );
  let accounts = 0;
  for (const ids of pages([...named])) {
    for (const account of await accountsWith(database, ids)) await print({ account });
    accounts += ids.length;
  }
  accounts += await everyRow(
    database,
    (after) => accountSql(`created_at >= ${since} AND id > ${sqlText(after.id ?? "")}`),
    async ({ id, account }) => named.has(id) || print({ account: JSON.parse(account) }),
  );
  console.error(`exported ${events} entries of the audit trail and ${accounts} accounts since ${text}`);
}

/** Passes every row of a query, page by page, to `act`. `query` gets the last row. Returns their number. */
async function everyRow(database, query, act) {
  let last = {};
  for (let count = 0; ; ) {
    const [rows] = await database.query(`${query(last)} LIMIT ${PAGE}`);
    for (const row of rows) await act(row);
    count += rows.length;
    if (rows.length < PAGE) return count;
    last = rows.at(-1);
  }
}

/** The items in groups, of which each is short enough for a statement. */
function pages(items) {
  return Array.from({ length: Math.ceil(items.length / PAGE) }, (_, page) =>
    items.slice(page * PAGE, (page + 1) * PAGE),
  );
}

async function print(value) {
  if (!process.stdout.write(`${JSON.stringify(value)}\n`)) await once(process.stdout, "drain");
}

const members = (columns) => columns.map((name) => `'${name}', ${name}`).join(", ");

/** Selects accounts with their factors and former addresses, each as one JSON text. */
function accountSql(condition) {
  const rows = (table, columns) =>
    `'${table}', json((SELECT json_group_array(json_object(${members(columns)})) FROM ${table} WHERE user_id = users.id))`;
  const tables = Object.entries(FACTORS).map(([table, columns]) => rows(table, columns));
  const all = [members(Object.values(COLUMNS).flat()), ...tables, rows("reserved_emails", ["email_key", "expires_at"])];
  return `SELECT id, json_object(${all.join(", ")}) AS account FROM users WHERE ${condition} ORDER BY id`;
}

/** The accounts with these ids. */
async function accountsWith(database, ids) {
  const list = sqlText(JSON.stringify(ids));
  const [rows] = await database.query(accountSql(`id IN (SELECT value FROM json_each(${list}))`));
  return rows.map(({ account }) => JSON.parse(account));
}

function readLines(file) {
  let lines;
  try {
    const text = readFileSync(file, "utf8");
    lines = text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  } catch (error) {
    fail(`${file} cannot be read: ${error.message}`);
  }
  const [head, ...rest] = lines;
  if (!Number.isInteger(head?.since)) fail(`${file} is not an output of ${called("replay", "--export TIME")}`);
  const accounts = new Map(rest.flatMap(({ account }) => (account ? [[account.id, account]] : [])));
  return { ...head, events: rest.flatMap(({ event }) => event ?? []), accounts };
}

/** What is to be repeated, by account: the groups of columns, and the kinds of the events. In the order of the last events. */
export function plan({ since, events, accounts }) {
  const changes = new Map();
  const change = (id) => changes.get(id) ?? { id, groups: new Set(), kinds: new Set(), at: 0 };
  const unknown = [];
  for (const { user_id: id, kind, last_at: at } of events) {
    if (CHANGES[kind] === undefined) {
      if (!NOTHING_TO_REPEAT.includes(kind)) unknown.push({ id, what: `${kind}: this kind of event is not known` });
      continue;
    }
    const found = change(id);
    for (const group of CHANGES[kind]) found.groups.add(group);
    found.kinds.add(kind);
    changes.set(id, { ...found, at: Math.max(found.at, at) });
  }
  for (const { id, created_at: at } of accounts.values()) {
    if (at < since) continue;
    const found = change(id);
    changes.set(id, { ...found, at: Math.max(found.at, at), isNew: true });
  }
  const isGone = ({ id, groups }) => !accounts.has(id) && !groups.has("deleted");
  const all = [...changes.values()].sort((a, b) => a.at - b.at);
  for (const { id, kinds } of all.filter(isGone))
    unknown.push({ id, what: `${[...kinds].join(", ")}: the export does not have the account` });
  return { changes: all.filter((found) => !isGone(found)), unknown };
}

/** The statements that repeat the changes of an account. Each can be run again, and does nothing if a name is taken. */
function statements({ id, groups, isNew }, account) {
  const isIt = `id = ${sqlText(id)}`;
  if (groups.has("deleted"))
    return [
      `DELETE FROM audit_events WHERE user_id = ${sqlText(id)} AND kind <> 'deleted'`,
      `DELETE FROM refresh_tokens WHERE user_id = ${sqlText(id)}`,
      `DELETE FROM users WHERE ${isIt}`,
    ];
  const own = Object.keys(COLUMNS).filter((group) => groups.has(group) || isNew);
  const create = () => {
    const columns = [...Object.values(COLUMNS).flat(), "credentials_version"];
    const values = columns.map((name) => sqlValue(account[name] ?? (name === "credentials_version" ? 0 : null)));
    return `INSERT OR IGNORE INTO users (${columns.join(", ")}) VALUES (${values.join(", ")})`;
  };
  const update = (group) => {
    const set = COLUMNS[group].map((name) => `${name} = ${sqlValue(account[name])}`);
    const raises = ["password", "address", "factors"].includes(group);
    if (raises) set.push("credentials_version = credentials_version + 1");
    return `UPDATE OR IGNORE users SET ${set.join(", ")} WHERE ${isIt}`;
  };
  const insert = (table, columns, row) =>
    `INSERT OR IGNORE INTO ${table} (user_id, ${columns.join(", ")}) ` +
    `SELECT id, ${columns.map((name) => sqlValue(row[name])).join(", ")} FROM users WHERE ${isIt}`;
  const factors = Object.entries(FACTORS).flatMap(([table, columns]) => [
    `DELETE FROM ${table} WHERE user_id = ${sqlText(id)}`,
    ...account[table].map((row) => insert(table, columns, row)),
  ]);
  return [
    ...(isNew ? [create()] : []),
    ...own.filter((group) => group !== "identity").map(update),
    ...(own.includes("factors") ? factors : []),
    ...(own.includes("address")
      ? account.reserved_emails.map((row) => insert("reserved_emails", ["email_key", "expires_at"], row))
      : []),
  ];
}

async function replay(database, file) {
  const { changes, unknown } = plan(file);
  const entries = file.events.map(
    (event) =>
      `INSERT OR REPLACE INTO audit_events (${EVENT_COLUMNS.join(", ")}) ` +
      `VALUES (${EVENT_COLUMNS.map((name) => sqlValue(event[name])).join(", ")})`,
  );
  const repeated = changes.flatMap((change) => statements(change, file.accounts.get(change.id)));
  // Twice, because an account may get the address or username that another one gives up later in the list.
  await run(database, [...entries, ...repeated, ...repeated]);
  const missing = [...unknown, ...(await differences(database, changes, file.accounts))];
  return report(file, changes, missing);
}

/** Runs the statements by files that only the owner can read, each in one transaction. */
async function run(database, all) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-replay-"));
  // Also after a signal.
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const page of pages(all)) {
    const name = join(folder, "statements.sql");
    writeFileSync(name, page.map((statement) => `${statement};\n`).join(""), { mode: 0o600 });
    await database.run(name);
  }
}

/** The changes that the accounts do not have. */
async function differences(database, changes, accounts) {
  const found = new Map();
  for (const ids of pages(changes.map(({ id }) => id)))
    for (const account of await accountsWith(database, ids)) found.set(account.id, account);
  return changes.flatMap(({ id, groups, isNew }) => {
    const [is, was] = [found.get(id), accounts.get(id)];
    if (groups.has("deleted")) return is === undefined ? [] : [{ id, what: "the account is not deleted" }];
    if (is === undefined)
      return [
        {
          id,
          what: isNew
            ? "the account is not there: another one has its address or username"
            : "the account is not in the restored database: it was imported since, or deleted by hand",
        },
      ];
    const differs = (name) => JSON.stringify(is[name]) !== JSON.stringify(was[name]);
    const own = Object.keys(COLUMNS).filter((group) => groups.has(group) || isNew);
    const names = own.flatMap((group) => [...COLUMNS[group], ...(group === "factors" ? Object.keys(FACTORS) : [])]);
    const different = names.filter(differs);
    return different.length === 0 ? [] : [{ id, what: `not as it was: ${different.join(", ")}` }];
  });
}

function report({ since, events, sessions }, changes, missing) {
  const counts = new Map();
  const count = (what) => counts.set(what, (counts.get(what) ?? 0) + 1);
  const isMissing = new Set(missing.map(({ id }) => id));
  for (const { groups, isNew } of changes.filter(({ id }) => !isMissing.has(id))) {
    if (groups.has("deleted")) count("deleted again");
    else if (isNew) count("created again");
    else for (const group of groups) count(`${group} set again`);
  }
  show(`since ${new Date(since * 1000).toISOString().replace(".000Z", "Z")}:`);
  const repeated = [...counts].sort();
  for (const [what, number] of repeated) show(`  ${number} ${number === 1 ? "account" : "accounts"}: ${what}`);
  show(`  ${events.length} entries of the audit trail inserted again`);
  show(`not in the trail: the logins and ends of ${sessions} sessions, and accounts imported since`);
  show(missing.length === 0 ? "everything was repeated" : `could not be repeated (${missing.length}):`);
  for (const { id, what } of missing) show(printable(`  ${id}  ${what}`));
  if (missing.length > 0) process.exitCode = 1;
  return {
    since,
    repeated: Object.fromEntries(repeated),
    events: events.length,
    sessions_not_repeated: sessions,
    missing,
  };
}
