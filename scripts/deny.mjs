// `npm run deny`: every check of cargo-deny, known vulnerabilities included. Those need the RustSec database from
// GitHub, so `npm test` leaves them out: a test must not fail because of the network, or of today's news.

import { checkFlags, path, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

export const cargoDeny = path(".tools", "bin", "cargo-deny");

const usage = `npm run deny

Checks the licences, sources and versions of all dependencies, and asks the RustSec database for known vulnerabilities.`;

async function main(args) {
  checkFlags(args, [], usage);
  await setup({ deny: true });
  await run(cargoDeny, ["--locked", "check"]);
}

runIfStarted(import.meta.url, main, usage);
