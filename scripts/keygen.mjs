// Makes the Worker's two secrets: SIGNING_KEYS, the private JWK Set that access tokens are signed with, and
// TOKEN_SECRET, which refresh tokens are authenticated with. Or rotates the signing key in a set there is.
//
//   npm run keygen                                   prints them, in the format of .dev.vars
//   npm run keygen -- --dev                          stores them in .dev.vars, for `npm run dev`
//   npm run keygen -- --remote                       stores them as secrets of the deployed Worker
//   npm run keygen -- --rotate --dev                 adds the next signing key to .dev.vars
//   npm run keygen -- --rotate --file secrets.env    adds it to a kept copy of the secrets, to be stored from there
//   npm run keygen -- --resource-server ID [AUDIENCE]
//                                                    prints a secret for a server that asks /introspect, and its entry of
//                                                    RESOURCE_SERVERS; AUDIENCE is that of wrangler.toml unless it is named
//
// --alg ES256 (the default), EdDSA, RS256 or HS256; of --rotate the default is that of the newest key.
// Replacing secrets ends every session, so --dev and --remote refuse to, unless told with --force.

import { existsSync, utimesSync } from "node:fs";
import { relative } from "node:path";
import { parseArgs } from "node:util";

import { fail, misused, namedFile, path, runIfStarted, variable } from "./lib.mjs";
import { LEAD, MARGIN, rotateFile, time } from "./rotation.mjs";
import {
  ALGORITHMS,
  devVars,
  makeResourceServer,
  makeSecrets,
  putRemoteSecrets,
  remoteSecrets,
  writeDevVars,
} from "./secrets.mjs";
import { npmPackages, setup } from "./setup.mjs";

const usage = `npm run keygen -- [--alg ${ALGORITHMS.join("|")}] [--dev | --remote] [--force]
       npm run keygen -- --rotate (--dev | --file <path>) [--alg …] [--force]
       npm run keygen -- --resource-server ID [AUDIENCE]

Makes the Worker's two secrets and prints them, adds the next signing key to a set there is, or makes the secret of a server
that asks /introspect.
  --dev             stores them in .dev.vars, for npm run dev
  --remote          stores them as secrets of the deployed Worker
  --rotate          adds a signing key, to .dev.vars or to a kept copy of the secrets
  --file <path>     that copy
  --alg             the kind of key: ES256 unless it is named, of --rotate that of the newest key
  --force           replaces secrets there are, which ends every session; with --rotate, adds a key behind one that does not sign yet`;

async function main(args) {
  if (args[0] === "--resource-server") return printResourceServer(args.slice(1));
  const { dev, remote, rotate, force, file, alg } = flags(args);
  await npmPackages();
  if (alg === "HS256" && variable("ALLOW_HS256") !== "true") {
    // Not to stdout, where the secrets may go.
    console.error('note: an HS256 key is refused until ALLOW_HS256 in wrangler.toml is "true"');
  }
  if (rotate) return rotateIn(dev ? path(".dev.vars") : namedFile(file), { alg, force, dev });
  if (dev) {
    if (existsSync(path(".dev.vars")) && !force) {
      fail(".dev.vars exists. Replacing its secrets ends every local session: add --force if you mean it.");
    }
    writeDevVars(alg);
    reloadDev();
    console.log("stored fresh secrets in .dev.vars");
  }
  if (remote) {
    await setup();
    const existing = await remoteSecrets();
    if (existing.length > 0 && !force) {
      fail(
        `the Worker already has ${existing.join(" and ")}. Replacing them ends every session: add --force if you mean it.`,
      );
    }
    await putRemoteSecrets(makeSecrets(alg));
  }
  if (!dev && !remote) process.stdout.write(devVars(makeSecrets(alg)));
}

function rotateIn(file, { alg, force, dev }) {
  const idleTtl = Number(variable("REFRESH_IDLE_TTL_SECONDS"));
  const now = Math.floor(Date.now() / 1000);
  const { added, changed, report } = rotateFile(file, { alg, force, idleTtl, now });
  console.log(report.join("\n"));
  if (added.alg === "HS256")
    console.log("Its k has to be with every server that verifies by it before then: it is not in the JWKS.");
  else if (changed) console.log(`Servers that take one algorithm alone have to take ${added.alg} too before then.`);
  if (dev) return reloadDev();
  // Those who verify have to see it before it signs, however long they cache the JWKS.
  console.log(`\nStore it now: npx wrangler secret bulk ${relative(namedFile("."), file)}`);
  console.log(
    `If that is later than ${time(added.signs_from - LEAD + MARGIN)}, first set its "signs_from" to ${LEAD} seconds ahead.`,
  );
}

// A running `npm run dev` reads .dev.vars along with wrangler.toml, which is what it watches.
function reloadDev() {
  const now = new Date();
  utimesSync(path("wrangler.toml"), now, now);
}

function flags(args) {
  const flag = /** @type {const} */ ({ type: "boolean", default: false });
  const options = /** @type {const} */ ({
    dev: flag,
    remote: flag,
    rotate: flag,
    force: flag,
    file: { type: "string" },
    alg: { type: "string" },
  });
  let values;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    refuse(error.message);
  }
  const { dev, remote, rotate, file, alg } = values;
  if (alg !== undefined && !ALGORITHMS.includes(alg)) refuse(`unknown algorithm ${alg}`);
  if (rotate && remote)
    refuse("Cloudflare never shows a stored secret, so it is the kept copy that is rotated: --file");
  if (rotate && dev === (file !== undefined)) refuse("--rotate takes one of --dev and --file");
  if (!rotate && file !== undefined) refuse("--file is for --rotate");
  return values;
}

const refuse = (problem) => misused(problem, usage);

async function printResourceServer([id, named, ...more]) {
  if (more.length > 0 || id === undefined)
    refuse("--resource-server takes an id, and the audience if it is another than AUDIENCE");
  await npmPackages();
  const { secret, entry } = makeResourceServer(id, named ?? variable("AUDIENCE"));
  // Within single quotes TOML knows no escapes, but JSON does.
  const json = JSON.stringify(entry).replaceAll("'", "\\u0027");
  console.log(`secret, for that server alone, shown this once:\n\n${secret}\n`);
  console.log(`under [vars] in wrangler.toml, in place of the line that is there:\n\nRESOURCE_SERVERS = '[${json}]'\n`);
  console.log(
    "or, if it lists servers already: a comma and the {…} of this line, behind the last of them, within the brackets",
  );
}

runIfStarted(import.meta.url, main, usage);
