// Adds a role to an account, or removes it.
//
//   npm run grant -- ada@example.org admin               in the local database of `npm run dev`
//   npm run grant -- ada@example.org admin --remote      in the deployed database
//   npm run grant -- ada@example.org admin --revoke      removes it; from the last admin only with --force
//
// Access tokens contain the new roles from the next refresh; earlier access tokens keep the old ones until they expire.

import { randomBytes } from "node:crypto";

import { Database, parseCommand, sqlText } from "./d1.mjs";
import { fail, runIfStarted, variable } from "./lib.mjs";
import { rules } from "./rules.mjs";
import { setup } from "./setup.mjs";

const usage = `npm run grant -- EMAIL ROLE [--remote] [--revoke [--force]]

Adds a role to an account, or removes it.
  --remote    changes the deployed database, not that of npm run dev
  --revoke    removes the role
  --force     removes it even from the last admin`;

async function main(args) {
  const options = { revoke: { type: "boolean", default: false }, force: { type: "boolean", default: false } };
  const {
    values: { revoke, force, ...where },
    positionals: [email, role],
  } = parseCommand(args, options, 2, usage);
  await setup();
  const key = await ask("email-key", email);
  // A role that is no longer in ROLES can still be removed.
  if (!revoke) await ask("check-role", "--roles", variable("ROLES"), role);

  const database = new Database(where);
  const [[user]] = await database.query(`SELECT id, roles FROM users WHERE email_key = ${sqlText(key)}`);
  if (!user) fail(`no account has the address ${email}`);
  const roles = JSON.parse(user.roles);
  if (roles.includes(role) !== revoke)
    fail(revoke ? `${email} does not have the role ${role}` : `${email} already has the role ${role}`);

  const newRoles = inOrder(revoke ? roles.filter((other) => other !== role) : [...roles, role]);
  const { changed, currentRoles } = await change(database, user, newRoles, revoke && role === "admin" && !force);
  if (!changed && currentRoles !== user.roles) fail("the account was changed at the same time: run this again");
  if (!changed) fail(`${email} is the last admin. Add another admin first, or use --force.`);
  console.log(
    `${email} ${revoke ? "no longer has" : "has"} the role ${role} (roles: ${newRoles.join(", ") || "none"})`,
  );
}

/** Changes the roles in one transaction, and only if its audit event was inserted. */
async function change(database, { id, roles }, newRoles, keepLastAdmin) {
  const [user, event, before, after] = [id, randomBytes(16).toString("base64url"), roles, JSON.stringify(newRoles)].map(
    sqlText,
  );
  const otherAdmin = `(disabled_at IS NOT NULL OR EXISTS (SELECT 1 FROM admins WHERE admins.id <> ${user}))`;
  const [, changed, [account]] = await database.query(
    "INSERT INTO audit_events (user_id, at, id, kind, count, last_at, detail) " +
      `SELECT id, unixepoch(), ${event}, 'roles_changed', 1, unixepoch(), ${after} FROM users ` +
      `WHERE id = ${user} AND roles = ${before}${keepLastAdmin ? ` AND ${otherAdmin}` : ""}`,
    `UPDATE users SET roles = ${after} WHERE id = ${user} AND EXISTS (SELECT 1 FROM audit_events WHERE user_id = ${user} AND id = ${event}) RETURNING id`,
    `SELECT roles FROM users WHERE id = ${user}`,
  );
  return { changed: changed.length === 1, currentRoles: account?.roles };
}

/** Sorts roles in the order of ROLES, as the Worker stores them; those no longer in ROLES come last. */
function inOrder(roles) {
  const list = variable("ROLES")
    .split(",")
    .map((name) => name.trim());
  const rank = (role) => (list.includes(role) ? list.indexOf(role) : list.length);
  return roles.sort((a, b) => rank(a) - rank(b));
}

async function ask(...args) {
  const { code, stdout, stderr } = await rules(args);
  return code === 0 ? stdout.replace(/\n$/, "") : fail(stderr.trim());
}

runIfStarted(import.meta.url, main, usage);
