// The checks of the database, of the scheduled work that it shows, and of what is deployed.

import { called, docs } from "../place.mjs";
import { duration, error, info, variableOf, warning } from "./finding.mjs";

/**
 * The columns with texts under a data secret. Each text begins with the id of the secret. A test compares them with schema.sql.
 */
export const DATA_SECRET_COLUMNS = [
  { table: "totp_secrets", column: "secret" },
  { table: "recovery_codes", column: "code_hash" },
  { table: "signing_keys", column: "private_key" },
];

/**
 * The time of the oldest row of each table that the cleanup empties by an index, and how long the row may stay after it, in seconds. A
 * test compares the tables with the statements of the cleanup.
 */
export const RETAINED = [
  { table: "audit_events", time: "at", age: (facts) => Number(variableOf(facts, "AUDIT_TTL_SECONDS")) + 3600 },
  { table: "challenges", time: "expires_at", age: () => 604_800 },
  { table: "deleted_passkeys", time: "expires_at", age: () => 0 },
  { table: "mail_budgets", time: "resets_at", age: () => 0 },
  { table: "pending_sign_ins", time: "expires_at", age: () => 0 },
  { table: "registrations", time: "expires_at", age: () => 0 },
  { table: "reserved_emails", time: "expires_at", age: () => 0 },
  { table: "totp_secrets", time: "created_at", age: () => 3600, where: "confirmed_at IS NULL" },
];

/** How long a mail may wait, in seconds. */
export const MAIL_PATIENCE = 3600;
/** How long a revocation mark may be owed, in seconds. One run writes 800, so that a large revocation takes some minutes. */
export const MARK_PATIENCE = 600;
/** How late the cleanup may be, in seconds. It runs every hour. */
const CLEANUP_PATIENCE = 86_400;

/** Maximum size of a database, in bytes, on the paid plan and on the free one. */
export const LIMITS = { paid: 10e9, free: 500e6 };
const isNear = (size, limit) => size >= 0.8 * limit;

const gigabytes = (bytes) => (bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);
const scale = `read ${docs("performance/scale.md")}`;
const setMail = `set MAIL in wrangler.toml: ${docs("operations/mail.md")}`;

/** @type {import("./finding.mjs").Check[]} */
export const DATABASE = [
  {
    name: "migrations",
    about:
      "migrations are not applied, or the database has some that this version does not know. The former is information without `--remote`",
    find({ remote, database, migrations }) {
      if (database?.applied === undefined) return [];
      const missing = migrations.filter((name) => !database.applied.includes(name));
      const unknown = database.applied.filter((name) => !migrations.includes(name));
      const found = remote ? error : info;
      return [
        ...(missing.length > 0
          ? [
              found(
                `not applied: ${missing.join(", ")}`,
                `run ${called(remote ? "deploy" : "dev")}, which applies them`,
              ),
            ]
          : []),
        ...(unknown.length > 0
          ? [
              warning(
                `the database has migrations of a newer version: ${unknown.join(", ")}`,
                "use the version with which it was deployed last",
              ),
            ]
          : []),
      ];
    },
  },
  {
    name: "database_size",
    about: "with `--remote`, the database has 80 % of the 10 GB that D1 allows, or of the 500 MB of the free plan",
    find({ size }) {
      if (size === undefined) return [];
      const text = `the database has ${gigabytes(size)}`;
      if (size >= 0.95 * LIMITS.paid) return [error(`${text}, and writes fail at ${gigabytes(LIMITS.paid)}`, scale)];
      if (isNear(size, LIMITS.paid)) return [warning(`${text} of the ${gigabytes(LIMITS.paid)} that D1 allows`, scale)];
      if (isNear(size, LIMITS.free))
        return [
          info(`${text}. The free plan allows ${gigabytes(LIMITS.free)}, the paid plan ${gigabytes(LIMITS.paid)}`),
        ];
      return [];
    },
  },
  {
    name: "admins",
    about: "no account is an enabled admin. Information without `--remote`",
    find({ remote, database }) {
      if (database?.state === undefined || database.state.has_admin) return [];
      const fix = `make one: ${called("grant", `EMAIL admin${remote ? " --remote" : ""}`)}`;
      return [(remote ? warning : info)("no account is an enabled admin", fix)];
    },
  },
  {
    name: "mail_and_factors",
    about: "`MAIL` is not set, but accounts have second factors",
    find(facts) {
      if (!facts.database?.state?.has_factors || variableOf(facts, "MAIL") !== undefined) return [];
      const text =
        "accounts have second factors, but MAIL is not set: no sign-in asks for a code from a mail, not even after an admin removed the " +
        "factors, and users get no notices";
      return [warning(text, setMail)];
    },
  },
];

/** @type {import("./finding.mjs").Check[]} */
export const SCHEDULED = [
  {
    name: "outbox",
    about: "with `--remote`, mails have waited for over an hour",
    find(facts) {
      const { mails, oldest_mail } = facts.database?.state ?? {};
      if (!facts.remote || !mails) return [];
      const text = `mails waiting for over an hour: ${mails}, the oldest for ${duration(facts.now - oldest_mail)}`;
      return variableOf(facts, "MAIL") === undefined
        ? [warning(`${text}, because MAIL is not set`, setMail)]
        : [warning(text, "read the reason of mail_delayed in the log: npx wrangler tail")];
    },
  },
  {
    name: "owed_marks",
    about: "with `--remote`, sessions ended over ten minutes ago and have no revocation mark in KV yet",
    find({ remote, now, database }) {
      const { marks, oldest_mark } = database?.state ?? {};
      if (!remote || !marks) return [];
      const text = `revocation marks owed to KV: ${marks}, the oldest for ${duration(now - oldest_mark)}. API servers accept those sessions`;
      return [error(text, 'find out why the cron "* * * * *" does not write them: npx wrangler tail')];
    },
  },
  {
    name: "cleanup",
    about: "with `--remote`, a row stayed a day longer than its retention",
    find(facts) {
      const oldest = facts.database?.oldest;
      if (!facts.remote || oldest === undefined) return [];
      const late = RETAINED.flatMap(({ table, age }) => {
        const time = oldest[table];
        const since = facts.now - (time ?? facts.now) - age(facts);
        return since > CLEANUP_PATIENCE ? [`${table} (${duration(since)})`] : [];
      });
      if (late.length === 0) return [];
      return [
        warning(
          `rows are older than their retention: ${late.join(", ")}`,
          'find out why the cron "17 * * * *" does not delete them: npx wrangler tail',
        ),
      ];
    },
  },
];

/** @type {import("./finding.mjs").Check[]} */
export const DEPLOYMENT = [
  {
    name: "worker",
    about: "with `--remote`, the Worker was never deployed, or several versions of it serve",
    find({ deployments }) {
      if (deployments === undefined) return [];
      const last = deployments.at(-1);
      if (last === undefined) return [error("the Worker is not deployed", `run ${called("deploy")}`)];
      const versions = last.versions ?? [];
      return versions.length > 1
        ? [warning(`${versions.length} versions of the Worker serve at the same time`, `run ${called("deploy")}`)]
        : [];
    },
  },
  {
    name: "not_checked",
    about: "Cloudflare or the database did not answer a question, so that some checks were not made",
    find: ({ unanswered }) =>
      unanswered.map(({ what, problem }) => warning(`${what}: ${problem.trim().replaceAll(/\s+/g, " ")}`)),
  },
];
