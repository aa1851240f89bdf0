// `npm run deny`: every check of cargo-deny, known vulnerabilities included. Those need the RustSec database from
// GitHub, so `npm test` leaves them out: a test must not fail because of the network, or of today's news.

import { checkFlags, path, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

export const cargoDeny = path(".tools", "bin", "cargo-deny");

runIfStarted(import.meta.url, async (args) => {
  checkFlags(args, [], "npm run deny");
  await setup({ deny: true });
  await run(cargoDeny, ["--locked", "check"]);
});
