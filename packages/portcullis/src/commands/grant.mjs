// Adds a role to an account, or removes it.
//
//   npm run grant -- ada@example.org admin               in the local database of `npm run dev`
//   npm run grant -- ada@example.org admin --remote      in the deployed database
//   npm run grant -- ada@example.org admin --revoke      removes it; from the last admin only with --force
//
// Access tokens contain the new roles from the next refresh; earlier access tokens keep the old ones until they expire.

import { act, failChanged, findAccount, IS_NOT_LAST_ADMIN } from "../accounts.mjs";
import { database, flag, json, parse } from "../command.mjs";
import { variable } from "../config.mjs";
import { Database, sqlText, workerSql } from "../d1.mjs";
import { fail } from "../failure.mjs";
import { show } from "../output.mjs";
import { setup } from "../place.mjs";
import { checkRole } from "../rules.mjs";

export const about = "Adds a role to an account, or removes it.";
export const result = 'the account: `{"id", "email", "roles"}`';
export const forms = ["EMAIL ROLE [--remote] [--revoke [--force]] [--json]"];
export const options = {
  ...database,
  revoke: flag("removes the role"),
  force: flag("removes it even from the last admin"),
  ...json,
};

export async function main(args) {
  const {
    values: { revoke, force, ...where },
    positionals: [email, role],
  } = parse(args, options, 2);
  await setup();
  // A role that is no longer in ROLES can still be removed.
  if (!revoke) await checkRole(role);

  const db = new Database(where);
  const [{ user, now, roles }] = await findAccount(db, email);
  if (user.roles.includes(role) !== revoke)
    fail(revoke ? `${email} does not have the role ${role}` : `${email} already has the role ${role}`);

  const newRoles = inOrder(revoke ? user.roles.filter((other) => other !== role) : [...user.roles, role]);
  const detail = JSON.stringify(newRoles);
  const removesAdmin = revoke && role === "admin" && !force;
  const { done, account } = await act(
    db,
    { id: user.id, now },
    {
      kind: "roles_changed",
      detail,
      condition: `roles = ${sqlText(roles)}${removesAdmin ? ` AND ${IS_NOT_LAST_ADMIN}` : ""}`,
      effects: (...event) => [workerSql("admin/update_roles", ...event, detail)],
    },
  );
  if (!done && account?.roles !== roles) failChanged(email);
  if (!done) fail(`${email} is the last admin. Add another admin first, or use --force.`);
  show(`${email} ${revoke ? "no longer has" : "has"} the role ${role} (roles: ${newRoles.join(", ") || "none"})`);
  return { id: user.id, email: user.email, roles: newRoles };
}

/** Sorts roles in the order of ROLES, as the Worker stores them; those no longer in ROLES come last. */
function inOrder(roles) {
  const list = variable("ROLES")
    .split(",")
    .map((name) => name.trim());
  const rank = (role) => (list.includes(role) ? list.indexOf(role) : list.length);
  return roles.sort((a, b) => rank(a) - rank(b));
}
