// Shared by the commands about accounts: they find an account by its address, and record what they do in its audit trail.

import { createHash, randomBytes } from "node:crypto";

import { text } from "./command.mjs";
import { isLoopback, isPublic, localIssuer, localPort, variable } from "./config.mjs";
import { sqlText, sqlValue } from "./d1.mjs";
import { fail, misused } from "./failure.mjs";
import { show } from "./output.mjs";
import { called } from "./place.mjs";
import { emailKey } from "./rules.mjs";

/** A condition on a row of `users`: the account is not the last enabled admin. */
export const IS_NOT_LAST_ADMIN =
  "(is_admin = 0 OR disabled_at IS NOT NULL OR EXISTS (SELECT 1 FROM admins WHERE admins.id <> users.id))";

/** How the user gets a new password, and for how long, in seconds. */
export const RESET = { purpose: "reset", lifetime: 1800, shown: "30 minutes" };
export const INVITATION = { purpose: "invite", lifetime: 7 * 86_400, shown: "7 days" };

const random = (size) => randomBytes(size).toString("base64url");

// `now` is the time of the database, so that the clock of this machine does not matter.
const accountWhere = (condition) =>
  "SELECT user, email_key, credentials_version, password_hash IS NOT NULL AS has_password, unixepoch() AS now " +
  `FROM user_objects WHERE ${condition}`;

/** An account of a row of `accountWhere`. */
function accountOf(row) {
  if (row === undefined) return undefined;
  const { user, has_password: hasPassword, ...columns } = row;
  const { roles, metadata: _, app_metadata: __, ...shown } = JSON.parse(user);
  return { ...columns, user: { ...shown, roles: JSON.parse(roles), has_password: hasPassword === 1 }, roles };
}

/**
 * Finds the account with that address. Returns it and the rows of further statements, which get the account's id as an SQL
 * expression.
 */
export async function findAccount(database, address, more = (_id) => []) {
  const isIt = `email_key = ${sqlText(await emailKey(address))}`;
  const [[row], ...answers] = await database.query(accountWhere(isIt), ...more(`(SELECT id FROM users WHERE ${isIt})`));
  return [accountOf(row) ?? fail(`no account has the address ${address}`), ...answers];
}

/** Inserts an event of the command line if the condition on the account's row of `users` holds. Returns a row if it does. */
export const insertEvent = ({ id, now, kind, detail = null, condition = "TRUE", event = random(16) }) =>
  "INSERT INTO audit_events (user_id, at, id, kind, count, last_at, detail) " +
  `SELECT id, ${now}, ${sqlText(event)}, ${sqlText(kind)}, 1, ${now}, ${sqlValue(detail)} ` +
  `FROM users WHERE id = ${sqlText(id)} AND ${condition} RETURNING id`;

/**
 * Acts on an account in one transaction: records the event if the condition on its row of `users` holds, then runs the effects.
 * These are statements that get the account's id and the time and id of the event, and take effect only if the event exists.
 * Returns whether it was recorded, the rows of the effects, and the account afterwards.
 */
export async function act(database, { id, now }, { kind, detail = null, condition, effects, first = [] }) {
  const event = random(16);
  const [recorded, ...answers] = (
    await database.query(
      ...first,
      insertEvent({ id, now, kind, detail, condition, event }),
      ...effects(id, now, event),
      accountWhere(`id = ${sqlText(id)}`),
    )
  ).slice(first.length);
  return { done: recorded.length === 1, account: accountOf(answers.pop()[0]), answers };
}

/** Fails because another process changed the account after it was read. */
export const failChanged = (address) => fail(`${address} was changed at the same time: run this again`);

/**
 * Makes a link with which the user sets a new password, once, in one transaction with the statements in `first`. Returns
 * `undefined` if the account has other credentials than those given, or is disabled.
 */
export async function makeLink(database, { id, now, credentialsVersion }, { purpose, lifetime }, issuer, first = []) {
  const [row, secret] = [randomBytes(16), randomBytes(32)];
  const values = {
    id: sqlText(row.toString("base64url")),
    purpose: sqlText(purpose),
    user_id: "id",
    email_key: "email_key",
    credentials_version: "credentials_version",
    salt: sqlText(random(16)),
    // Whoever reads the database cannot use the link.
    token_hash: sqlText(createHash("sha256").update(secret).digest("base64url")),
    source: "''",
    tries: "0",
    created_at: String(now),
    expires_at: String(now + lifetime),
    locale: "'en'",
  };
  const { done } = await act(
    database,
    { id, now },
    {
      kind: "password_reset_started",
      condition: `disabled_at IS NULL AND credentials_version = ${credentialsVersion}`,
      effects: (user, at, event) => [
        `INSERT INTO challenges (${Object.keys(values).join(", ")}) SELECT ${Object.values(values).join(", ")} FROM users ` +
          `WHERE id = ${sqlText(user)} AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = users.id AND e.at = ${at} AND e.id = ${sqlText(event)})`,
      ],
      first,
    },
  );
  const token = `pcrl_${Buffer.concat([row, secret]).toString("base64url")}`;
  return done ? { link: `${issuer}/account/confirm#token=${token}`, expires_at: now + lifetime } : undefined;
}

/** The options of a command that makes a link. */
export const linkOptions = {
  issuer: text("URL", "the address of the Worker in the link, instead of ISSUER or the local address"),
};

/** The address of the Worker on whose page a link leads. */
export function issuerOf({ remote, issuer }) {
  if (issuer !== undefined) return givenIssuer(issuer);
  const found = remote ? (variable("ISSUER") ?? "") : localIssuer(`http://localhost:${localPort()}`);
  if (remote && !isPublic(found))
    fail(
      `ISSUER in wrangler.toml is not the https address of the deployment (it is "${found}"): set it, or use --issuer`,
    );
  return found.replace(/\/$/, "");
}

function givenIssuer(text) {
  const { origin, pathname, href, protocol } = URL.canParse(text) ? new URL(text) : {};
  const base = `${origin}${pathname}`;
  if (base !== href || !(protocol === "https:" || (protocol === "http:" && isLoopback(base))))
    misused(`--issuer is not an https address: ${text}`);
  return base.replace(/\/$/, "");
}

/** Prints a link, and for whom it is. Returns the same. */
export function showLink({ remote, issuer: given }, { shown }, { id, email }, { link, expires_at }, issuer) {
  show(`With this link, ${email} sets a new password, once, within ${shown}. Send it to nobody else:`);
  show(link);
  if (!remote && given === undefined)
    show(`It is for ${called("dev")} at ${issuer}. For another address, set PORT as there, or use --issuer URL.`);
  return { id, email, link, expires_at };
}
