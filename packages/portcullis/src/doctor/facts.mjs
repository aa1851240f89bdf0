// Gathers the facts that the checks examine: from wrangler.toml, and from this machine or from the Cloudflare account. Each call of
// wrangler takes seconds, so there are few, at the same time.

import { existsSync, readFileSync } from "node:fs";

import { APPLIED, appliedMigrations, ask, checkAccount, isIncomplete, migrationsIn } from "../cloudflare.mjs";
import { readToml } from "../config.mjs";
import { Database } from "../d1.mjs";
import { Failure } from "../failure.mjs";
import { namedFile, path } from "../place.mjs";
import { secretsFile } from "../rotation.mjs";
import { linesOf, remoteSecrets, SECRETS } from "../secrets.mjs";
import { DATA_SECRET_COLUMNS, MAIL_PATIENCE, MARK_PATIENCE, RETAINED } from "./database.mjs";

const old = `email IS NOT NULL AND at < unixepoch() - ${MAIL_PATIENCE}`;
// A mark has no time of its own. If its session was deleted, the mark is late once it is no longer needed.
const since = "coalesce(s.revoked_at, o.access_expires_at)";
const marks = `FROM owed_marks AS o LEFT JOIN refresh_tokens AS s ON s.session_id = o.session_id WHERE ${since} < unixepoch() - ${MARK_PATIENCE}`;

// Recovery codes have no index by their secret, and owed marks none by time, so these tables are read as a whole. The other
// statements read few rows.
const STATE = [
  "SELECT unixepoch() AS now",
  "EXISTS (SELECT 1 FROM admins) AS has_admin",
  "EXISTS (SELECT 1 FROM totp_secrets WHERE is_confirmed = 1) OR EXISTS (SELECT 1 FROM passkeys) AS has_factors",
  `(SELECT count(*) FROM outbox WHERE ${old}) AS mails`,
  `(SELECT min(at) FROM outbox WHERE ${old}) AS oldest_mail`,
  `(SELECT count(*) ${marks}) AS marks`,
  `(SELECT min(${since}) ${marks}) AS oldest_mark`,
].join(", ");
const OLDEST = `SELECT ${RETAINED.map(
  ({ table, time, where = "TRUE" }) => `(SELECT min(${time}) FROM ${table} WHERE ${where}) AS ${table}`,
).join(", ")}`;
const TEXTS = DATA_SECRET_COLUMNS.map(
  ({ table, column }) =>
    `SELECT '${table}' AS "table", substr(${column}, 1, 10) AS secret, count(*) AS texts FROM ${table} GROUP BY substr(${column}, 1, 10)`,
);

/** Gathers the facts about the deployment, or about this machine. */
export async function gather({ remote, file, ...where }) {
  const toml = readToml("wrangler.toml");
  const unanswered = [];
  const answered = (what, promise) =>
    promise.catch((error) => {
      if (!(error instanceof Failure)) throw error;
      unanswered.push({ what, problem: error.message });
    });
  const local = { remote, toml, migrations: migrationsIn(toml.d1_databases?.[0]), unanswered };
  // Before the account is asked, because the file may not exist.
  const values = remote ? file && secretsIn(secretsFile(namedFile(file))) : devVarsHere();
  if (remote) await checkAccount();
  const [database, names, size, deployments] = await Promise.all([
    answered("the database was not checked", databaseFacts(new Database({ remote, ...where }))),
    remote ? answered("the names of the secrets are not known", remoteSecrets(SECRETS)) : Object.keys(values),
    remote ? answered("the size of the database is not known", sizeOf()) : undefined,
    remote ? answered("the deployments are not known", deploymentsOf()) : undefined,
  ]);
  // The clock of the database is that of the Worker.
  const now = database?.state?.now ?? Math.floor(Date.now() / 1000);
  return { ...local, now, database, secrets: { names, values }, size, deployments };
}

/** What the database says, in one call if it has the schema of this version. */
async function databaseFacts(database) {
  try {
    const [applied, [state], [oldest], ...texts] = await database.query(APPLIED, STATE, OLDEST, ...TEXTS);
    return { applied: applied.map(({ name }) => name), state, oldest, texts: texts.flat() };
  } catch (error) {
    if (!isIncomplete(error)) throw error;
    return { applied: await appliedMigrations(database) };
  }
}

/** The size of the deployed database, in bytes. */
const sizeOf = async () => (await ask(["d1", "info", "DB", "--json"])).database_size;

/** The deployments of the Worker; none if it does not exist. */
async function deploymentsOf() {
  try {
    return await ask(["deployments", "list", "--json"]);
  } catch (error) {
    if (/code: 10007/.test(error.message)) return [];
    throw error;
  }
}

/** The secrets of this machine. */
const devVarsHere = () => (existsSync(path(".dev.vars")) ? secretsIn(readFileSync(path(".dev.vars"), "utf8")) : {});

/** The secrets in a text in the format of .dev.vars, by name. */
function secretsIn(text) {
  const found = SECRETS.flatMap((name) => linesOf(text, name).map(({ value }) => [name, value]));
  return Object.fromEntries(found.filter(([, value]) => value !== ""));
}
