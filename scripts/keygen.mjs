// Makes the Worker's two secrets: SIGNING_KEYS, the private JWK Set that access tokens are signed with, and
// TOKEN_SECRET, which refresh tokens are authenticated with.
//
//   npm run keygen               prints them, in the format of .dev.vars
//   npm run keygen -- --dev      stores them in .dev.vars, for `npm run dev`
//   npm run keygen -- --remote   stores them as secrets of the deployed Worker
//
//   npm run keygen -- --resource-server ID AUDIENCE
//                                prints a secret for a server that asks /introspect, and its entry of RESOURCE_SERVERS
//
// Replacing secrets ends every session, so --dev and --remote refuse to, unless told with --force.

import { existsSync } from "node:fs";

import { checkFlags, fail, path, runIfStarted } from "./lib.mjs";
import { devVars, makeResourceServer, makeSecrets, putRemoteSecrets, remoteSecrets, writeDevVars } from "./secrets.mjs";
import { setup } from "./setup.mjs";

const usage = "npm run keygen -- [--dev | --remote] [--force]";

async function main(args) {
  if (args[0] === "--resource-server") return printResourceServer(args.slice(1));
  checkFlags(args, ["--dev", "--remote", "--force"], usage);
  const force = args.includes("--force");
  if (args.includes("--dev")) {
    if (existsSync(path(".dev.vars")) && !force) {
      fail(".dev.vars exists. Replacing its secrets ends every local session: add --force if you mean it.");
    }
    writeDevVars();
    console.log("stored fresh secrets in .dev.vars");
  }
  if (args.includes("--remote")) {
    await setup();
    const existing = await remoteSecrets();
    if (existing.length > 0 && !force) {
      fail(`the Worker already has ${existing.join(" and ")}. Replacing them ends every session: add --force if you mean it.`);
    }
    await putRemoteSecrets(makeSecrets());
  }
  if (!args.includes("--dev") && !args.includes("--remote")) process.stdout.write(devVars(makeSecrets()));
}

function printResourceServer([id, audience, ...more]) {
  if (more.length > 0) fail("usage: npm run keygen -- --resource-server ID AUDIENCE");
  const { secret, entry } = makeResourceServer(id, audience);
  console.log(`secret, for that server alone, shown this once:\n  ${secret}`);
  console.log(`entry, for the array RESOURCE_SERVERS of the Worker:\n  ${JSON.stringify(entry)}`);
}

runIfStarted(import.meta.url, main);
