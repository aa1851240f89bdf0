// Prints a link with which a user sets a new password, for example if no mail reaches them.
//
//   npm run reset -- ada@example.org               in the local database of `npm run dev`
//   npm run reset -- ada@example.org --remote      in the deployed database
//
// The link is valid for 30 minutes and once. The database has only a hash of it.

import { failChanged, findAccount, issuerOf, linkOptions, makeLink, RESET, showLink } from "../accounts.mjs";
import { database, json, parse } from "../command.mjs";
import { Database } from "../d1.mjs";
import { fail } from "../failure.mjs";
import { called, setup } from "../place.mjs";

export const about = "Prints a link with which the user sets a new password, within 30 minutes and once.";
export const result = 'the link: `{"id", "email", "link", "expires_at"}`';
export const forms = ["EMAIL [--remote] [--issuer URL] [--json]"];
export const options = { ...database, ...linkOptions, ...json };

export async function main(args) {
  const {
    values,
    positionals: [address],
  } = parse(args, options, 1);
  await setup();
  const issuer = issuerOf(values);
  const db = new Database(values);
  const [{ user, now, credentials_version: credentialsVersion }] = await findAccount(db, address);
  if (user.disabled_at !== null)
    fail(`${address} is disabled, so it cannot get a new password: ${called("user", `enable ${address}`)}`);
  const made = await makeLink(db, { id: user.id, now, credentialsVersion }, RESET, issuer);
  return showLink(values, RESET, user, made ?? failChanged(address), issuer);
}
