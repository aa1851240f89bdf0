// `npm run deny`: every check of cargo-deny, known vulnerabilities included. Those need the RustSec database from GitHub.
// `npm test` leaves all of it out: compiling cargo-deny takes five minutes, and a test must not fail because of the network,
// or of today's news.

import { checkFlags, path, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

const usage = `npm run deny -- [--offline]

Checks the licences, sources and versions of all dependencies, and asks the RustSec database for known vulnerabilities.
  --offline    without the vulnerabilities, which need the network.`;

async function main(args) {
  checkFlags(args, ["--offline"], usage);
  await setup({ deny: true });
  // Offline it is a check for CI, which does not show warnings.
  const checks = args.includes("--offline")
    ? ["--log-level", "error", "check", "bans", "licenses", "sources"]
    : ["check"];
  await run(path(".tools", "bin", "cargo-deny"), ["--locked", ...checks]);
}

runIfStarted(import.meta.url, main, usage);
