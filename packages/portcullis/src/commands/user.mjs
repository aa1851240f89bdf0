// Creates, shows, disables and enables an account, and lists and ends its sessions.
//
//   npm run user -- show ada@example.org               in the local database of `npm run dev`
//   npm run user -- show ada@example.org --remote      in the deployed database
//
// Disabling an account and ending its sessions do what the admin routes do. The marks of ended sessions are written to KV by the
// Worker's scheduled event, within a minute.

import {
  act,
  failChanged,
  findAccount,
  INVITATION,
  IS_NOT_LAST_ADMIN,
  insertEvent,
  issuerOf,
  linkOptions,
  makeLink,
  showLink,
} from "../accounts.mjs";
import { database as databaseOptions, flag, json, parse, text } from "../command.mjs";
import { Database, sqlText, workerSql } from "../d1.mjs";
import { fail, misused } from "../failure.mjs";
import { show as print, showTable } from "../output.mjs";
import { called, setup } from "../place.mjs";
import { userChecker } from "../rules.mjs";

export const about = "Creates, shows, disables or enables an account, or lists its open sessions.";
export const result =
  '`add`: the link, `{"id", "email", "link", "expires_at"}`. `show`: the user, with `sessions`, the number of open ones, `throttle` and ' +
  '`events`. `disable`, `enable`: `{"id", "disabled_at", "sessions_ended"}`. `sessions`: `{"id", "sessions"}`, with `--end` ' +
  '`{"id", "sessions_ended"}`';
export const forms = [
  "add EMAIL [--name NAME] [--username USERNAME] [--role ROLE]... [--issuer URL] [--remote] [--json]",
  "show EMAIL [--remote] [--json]",
  "disable EMAIL [--remote] [--json]",
  "enable EMAIL [--remote] [--json]",
  "sessions EMAIL [--end] [--remote] [--json]",
];

const profile = {
  name: text("NAME", "the name of the new account"),
  username: text("USERNAME", "its username"),
  role: {
    ...text("ROLE", "a role of the new account, instead of the first of ROLES; may be repeated"),
    multiple: true,
  },
};
const ending = { end: flag("ends all sessions of the account, and makes its device tokens void") };
export const options = { ...databaseOptions, ...profile, ...linkOptions, ...ending, ...json };

const actions = {
  add: { run: add, options: { ...linkOptions, ...profile } },
  show: { run: show, options: {} },
  disable: { run: (...about) => setDisabled(true, ...about), options: {} },
  enable: { run: (...about) => setDisabled(false, ...about), options: {} },
  sessions: { run: sessions, options: ending },
};

/** Number of events that `show` prints. */
const MAX_EVENTS = 10;

export async function main([name, ...args]) {
  if (!Object.hasOwn(actions, name ?? ""))
    misused(`expected ${Object.keys(actions).join(", ")}, found ${name ?? "nothing"}`);
  const action = actions[name];
  const { values, positionals } = parse(args, { ...databaseOptions, ...action.options, ...json }, 1);
  await setup();
  return action.run(new Database(values), positionals[0], values);
}

async function add(database, address, values) {
  const issuer = issuerOf(values);
  const line = {
    email: address,
    name: values.name,
    username: values.username,
    roles: values.role,
    password_hash: null,
  };
  const { email_key: emailKey, username_key: usernameKey } = await check(line);
  const [[taken], [reserved], [{ now }]] = await database.query(
    workerSql("registration/find_taken", emailKey, usernameKey, Math.floor(Date.now() / 1000)),
    `SELECT expires_at FROM reserved_emails WHERE email_key = ${sqlText(emailKey)} AND expires_at > unixepoch()`,
    "SELECT unixepoch() AS now",
  );
  if (taken.owner) fail(`an account already has the address ${address}`);
  if (taken.username_taken) fail(`an account already has the username ${values.username}`);
  if (reserved) fail(`${address} was the address of an account, and is reserved until ${time(reserved.expires_at)}`);

  const row = await check(line, { now, slot_key: taken.slot_key });
  const user = [
    row.id,
    row.email,
    row.email_key,
    row.username,
    row.username_key,
    row.name,
    row.password_hash,
    row.roles,
  ];
  const client = [null, null];
  const profile = [row.given_name, row.family_name, row.metadata];
  const first = [
    workerSql("registration/insert_user", ...user, row.created_at, ...client, row.slot, ...profile),
    ...(values.role ? [insertEvent({ id: row.id, now, kind: "roles_changed", detail: row.roles })] : []),
  ];
  const made = await makeLink(database, { id: row.id, now, credentialsVersion: 0 }, INVITATION, issuer, first);
  return showLink(values, INVITATION, row, made ?? failChanged(address), issuer);
}

/** A row of `users`, by the rules of the import. An operator may create an admin. */
async function check(line, given = {}) {
  const checker = await userChecker({ allow_admins: true, ...given });
  checker.check(Buffer.from(JSON.stringify(line)));
  const [{ error, line: _, ...row }] = checker.end();
  return error === undefined ? row : fail(error);
}

async function show(database, address) {
  const [{ user, now }, [{ sessions }], [throttle], events] = await findAccount(database, address, (id) => [
    `SELECT count(*) AS sessions FROM refresh_tokens WHERE user_id = ${id} AND ${IS_OPEN}`,
    // Failed logins are counted by a hash of the name, whose key only the Worker has.
    `SELECT failures, last_at AS last_failed_at, nullif(until, 0) AS wait_until FROM throttles WHERE key = 'user:' || ${id}`,
    lastEvents(id),
  ]);
  const since = (seconds) => (seconds === null ? "no" : `since ${time(seconds)}`);
  const wait = throttle?.wait_until > now ? `, further ones wait until ${time(throttle.wait_until)}` : "";
  showTable([
    ["id", user.id],
    ["address", `${user.email} (verified: ${since(user.email_verified_at)})`],
    ["username", user.username ?? "none"],
    ["name", user.name ?? "none"],
    ["given name", user.given_name ?? "none"],
    ["family name", user.family_name ?? "none"],
    ["roles", user.roles.join(", ") || "none"],
    ["created", time(user.created_at)],
    ["disabled", since(user.disabled_at)],
    ["password", user.has_password ? "yes" : "none"],
    ["sessions", `${sessions} open`],
    [
      "failures",
      throttle ? `${throttle.failures} wrong current passwords in a row${wait}` : "no wrong current password",
    ],
  ]);
  print(`\nthe last events, at most ${MAX_EVENTS}:`);
  showTable(
    events.map(({ at, kind, count, ip, detail }) => [
      time(at),
      kind,
      count > 1 ? `${count} times` : "",
      ip ?? "",
      detail ?? "",
    ]),
  );
  return { ...user, sessions, throttle: throttle ?? null, events };
}

const IS_OPEN = "is_ended = 0 AND expires_at > unixepoch()";

/** The last entries of the audit trail, which has several sources. Within a second, they have the order of the audit routes. */
function lastEvents(id) {
  const entry = (at, sort, kind, ip, session, table, condition) =>
    `SELECT ${at} AS at, ${sort} AS sort, ${kind} AS kind, 1 AS count, ${ip} AS ip, ${session} AS session_id, NULL AS actor_id, NULL AS detail FROM ${table} WHERE ${condition}`;
  const ofSession = `user_id = ${id}`;
  return [
    "SELECT at, kind, count, ip, session_id, actor_id, detail FROM (",
    [
      entry("created_at", "''", "'registered'", "created_ip", "NULL", "users", `id = ${id}`),
      entry("created_at", "'!' || session_id", "'logged_in'", "created_ip", "session_id", "refresh_tokens", ofSession),
      `SELECT last_at, id, kind, count, ip, session_id, actor_id, detail FROM audit_events WHERE ${ofSession}`,
      `SELECT revoked_at, '~' || session_id, 'revoked', 1, revoked_ip, session_id, NULL, revoked_reason FROM refresh_tokens WHERE ${ofSession} AND is_ended = 1`,
    ].join(" UNION ALL "),
    `) ORDER BY at DESC, sort DESC LIMIT ${MAX_EVENTS}`,
  ].join("");
}

async function setDisabled(disabled, database, address) {
  const state = disabled ? "disabled" : "enabled";
  const isDone = ({ user }) => (user.disabled_at !== null) === disabled;
  const [found] = await findAccount(database, address);
  if (isDone(found)) fail(`${address} is already ${state}`);
  const { now } = found;
  const { done, account, ended } = await end(database, found, {
    kind: state,
    condition: disabled ? `disabled_at IS NULL AND ${IS_NOT_LAST_ADMIN}` : "disabled_at IS NOT NULL",
    effect: (...event) => workerSql("admin/update_disabled", ...event, disabled ? now : null),
    // Enabling also ends sessions, as on the admin route: if the account was disabled by hand, its sessions are still open.
    reason: "disabled",
  });
  if (!done && disabled && account && !isDone(account))
    fail(`${address} is the last admin. Add another admin first: ${called("grant", "EMAIL admin")}`);
  if (!done) failChanged(address);
  print(`${address} is ${state} (sessions ended: ${ended})`);
  return { id: found.user.id, disabled_at: disabled ? now : null, sessions_ended: ended };
}

async function sessions(database, address, { end: ends }) {
  if (ends) {
    const [found] = await findAccount(database, address);
    const { done, ended } = await end(database, found, {
      kind: "sessions_ended",
      condition: "TRUE",
      effect: (...event) => workerSql("admin/void_devices", ...event),
      reason: "ended_by_admin",
    });
    if (!done) failChanged(address);
    print(`${address} is logged out everywhere (sessions ended: ${ended})`);
    return { id: found.user.id, sessions_ended: ended };
  }
  const [{ user }, open] = await findAccount(database, address, (id) => [
    "SELECT session_id AS id, created_at, created_ip, created_user_agent, rotated_at AS last_used_at, rotated_ip AS last_used_ip, " +
      "rotated_user_agent AS last_used_user_agent, expires_at " +
      `FROM refresh_tokens WHERE user_id = ${id} AND ${IS_OPEN} ORDER BY created_at DESC, session_id DESC`,
  ]);
  const heading = ["session", "since", "last used", "from", "with"];
  const line = (session) => [
    session.id,
    time(session.created_at),
    time(session.last_used_at),
    session.last_used_ip ?? "",
    session.last_used_user_agent ?? "",
  ];
  if (open.length === 0) print(`${address} has no open session`);
  else showTable([heading, ...open.map(line)]);
  return { id: user.id, sessions: open };
}

/** Acts on an account and ends its sessions, with that reason. */
async function end(database, { user, now }, { kind, condition, effect, reason }) {
  const [ip, userAgent, kept] = [null, null, null];
  const effects = (...event) => [
    effect(...event),
    workerSql("sessions/revoke_recorded", ...event, reason, ip, userAgent, kept),
  ];
  const { answers, ...result } = await act(database, { id: user.id, now }, { kind, condition, effects });
  return { ...result, ended: answers[1].length };
}

const time = (seconds) => new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
