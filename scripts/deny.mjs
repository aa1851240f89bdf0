// `npm run deny`: all checks of cargo-deny, including known vulnerabilities, which need the RustSec database from GitHub. Not
// part of `npm test`: compiling cargo-deny takes five minutes, and tests must not fail because of the network or of a newly
// published vulnerability.

import { checkFlags, path, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

const usage = `npm run deny -- [--offline]

Checks the licences, sources and versions of all dependencies, and looks them up in the RustSec database of vulnerabilities.
  --offline    skips the vulnerabilities, which need the network.`;

async function main(args) {
  checkFlags(args, ["--offline"], usage);
  await setup({ deny: true });
  // CI uses --offline and does not show warnings.
  const checks = args.includes("--offline")
    ? ["--log-level", "error", "check", "bans", "licenses", "sources"]
    : ["check"];
  await run(path(".tools", "bin", "cargo-deny"), ["--locked", ...checks]);
}

runIfStarted(import.meta.url, main, usage);
