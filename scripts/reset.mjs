// Prints a link with which a user sets a new password, for example if no mail reaches them.
//
//   npm run reset -- ada@example.org               in the local database of `npm run dev`
//   npm run reset -- ada@example.org --remote      in the deployed database
//
// The link is valid for 30 minutes and once. The database has only a hash of it.

import { failChanged, findAccount, issuerOf, linkOptions, makeLink, printLink, RESET } from "./accounts.mjs";
import { Database, jsonOption, parseCommand } from "./d1.mjs";
import { fail, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

const usage = `npm run reset -- EMAIL [--remote] [--issuer URL] [--json]

Prints a link with which the user sets a new password, within 30 minutes and once.
  --remote    an account of the deployed database, not of that of npm run dev
  --issuer    the address of the Worker in the link, if it is not ISSUER or that of npm run dev
  --json      prints JSON`;

async function main(args) {
  const {
    values,
    positionals: [address],
  } = parseCommand(args, { ...linkOptions, ...jsonOption }, 1, usage);
  const issuer = issuerOf(values, usage);
  await setup();
  const database = new Database(values);
  const [{ user, now, credentials_version: credentialsVersion }] = await findAccount(database, address);
  if (user.disabled_at !== null)
    fail(`${address} is disabled, so it cannot get a new password: npm run user -- enable ${address}`);
  const made = await makeLink(database, { id: user.id, now, credentialsVersion }, RESET, issuer);
  printLink(values, RESET, user, made ?? failChanged(address), issuer);
}

runIfStarted(import.meta.url, main, usage);
