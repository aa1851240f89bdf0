// Generates the secrets of the Worker: SIGNING_KEYS, the private JWK Set that signs access tokens, TOKEN_SECRET, which
// authenticates refresh tokens, and DATA_SECRETS, which encrypts columns. Or adds the next signing key or data secret to
// existing ones.
//
//   npm run keygen                                   prints them, in the format of .dev.vars
//   npm run keygen -- --dev                          stores them in .dev.vars, for `npm run dev`
//   npm run keygen -- --remote                       stores them as secrets of the deployed Worker
//   npm run keygen -- --rotate --dev                 adds the next signing key to .dev.vars
//   npm run keygen -- --rotate --file secrets.env    adds it to your copy of the secrets, which you then upload
//   npm run keygen -- --rotate --data --file secrets.env
//                                                    adds the next data secret to your copy, or the first one
//   npm run keygen -- --resource-server ID [AUDIENCE]
//                                                    prints a secret for a server that calls /introspect, and its entry of
//                                                    RESOURCE_SERVERS; AUDIENCE defaults to that in wrangler.toml
//
// --alg ES256 (the default), EdDSA, RS256 or HS256; with --rotate the default is the algorithm of the newest key.
// Replacing secrets ends every session, so --dev and --remote do it only with --force. They never replace DATA_SECRETS, because the
// second factors of all users would be lost.

import { existsSync, utimesSync } from "node:fs";
import { relative } from "node:path";
import { parseArgs } from "node:util";

import { fail, misused, namedFile, path, runIfStarted, variable } from "./lib.mjs";
import { LEAD, MARGIN, rotateDataSecrets, rotateFile, time } from "./rotation.mjs";
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
       npm run keygen -- --rotate --data (--dev | --file <path>)
       npm run keygen -- --resource-server ID [AUDIENCE]

Generates the Worker's secrets and prints them, adds the next signing key or data secret to existing ones, or generates the
secret of a server that calls /introspect.
  --dev             stores them in .dev.vars, for npm run dev
  --remote          stores them as secrets of the deployed Worker
  --rotate          adds a signing key to .dev.vars or to your copy of the secrets
  --data            with --rotate: adds a secret to DATA_SECRETS instead, before the others
  --file <path>     your copy
  --alg             algorithm of the key: by default ES256, with --rotate that of the newest key
  --force           replaces existing secrets except DATA_SECRETS, which ends every session; with --rotate, adds a key after one that does not sign yet`;

async function main(args) {
  if (args[0] === "--resource-server") return printResourceServer(args.slice(1));
  const { dev, remote, rotate, data, force, file, alg } = flags(args);
  await npmPackages();
  if (alg === "HS256" && variable("ALLOW_HS256") !== "true") {
    // Not to stdout, which may be redirected to a file of secrets.
    console.error('note: the Worker refuses an HS256 key until ALLOW_HS256 in wrangler.toml is "true"');
  }
  if (rotate) {
    const copy = dev ? path(".dev.vars") : namedFile(file);
    return data ? rotateDataIn(copy, dev) : rotateIn(copy, { alg, force, dev });
  }
  if (dev) {
    if (existsSync(path(".dev.vars")) && !force) {
      fail(".dev.vars exists. Replacing its secrets ends every local session: add --force if you mean it.");
    }
    writeDevVars(alg);
    reloadDev();
    console.log("stored new secrets in .dev.vars");
  }
  if (remote) {
    await setup();
    const existing = await remoteSecrets();
    if (existing.length > 0 && !force) {
      fail(
        `the Worker already has ${existing.join(", ")}. Replacing them ends every session: add --force if you mean it.`,
      );
    }
    const { DATA_SECRETS, ...others } = makeSecrets(alg);
    await putRemoteSecrets(existing.includes("DATA_SECRETS") ? others : { ...others, DATA_SECRETS });
  }
  if (!dev && !remote) process.stdout.write(devVars(makeSecrets(alg)));
}

function rotateIn(file, { alg, force, dev }) {
  const idleTtl = Number(variable("REFRESH_IDLE_TTL_SECONDS"));
  const now = Math.floor(Date.now() / 1000);
  const { added, algorithmChanged, report } = rotateFile(file, { alg, force, idleTtl, now });
  console.log(report.join("\n"));
  if (added.alg === "HS256")
    console.log("Give its k to every server that verifies its tokens before then: it is not in the JWKS.");
  else if (algorithmChanged)
    console.log(`Servers that accept a single algorithm must also accept ${added.alg} before then.`);
  if (dev) return reloadDev();
  // Verifiers must see the key before it signs, however long they cache the JWKS.
  console.log(`\nStore it now: npx wrangler secret bulk ${relative(namedFile("."), file)}`);
  console.log(
    `If it is already later than ${time(added.signs_from - LEAD + MARGIN)}, first set its "signs_from" to the current time plus ${LEAD} seconds.`,
  );
}

function rotateDataIn(file, dev) {
  console.log(rotateDataSecrets(file).join("\n"));
  if (dev) return reloadDev();
  console.log(`\nStore it now: npx wrangler secret bulk ${relative(namedFile("."), file)}`);
}

// A running `npm run dev` watches wrangler.toml, and reads .dev.vars again when that file changes.
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
    data: flag,
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
  const { dev, remote, rotate, data, file, alg } = values;
  if (alg !== undefined && !ALGORITHMS.includes(alg)) refuse(`unknown algorithm ${alg}`);
  if (rotate && remote) refuse("Cloudflare does not show stored secrets. Rotate your copy of them: use --file");
  if (rotate && dev === (file !== undefined)) refuse("--rotate needs either --dev or --file");
  if (data && (!rotate || alg !== undefined)) refuse("--data is only valid with --rotate, without --alg");
  if (!rotate && file !== undefined) refuse("--file is only valid with --rotate");
  return values;
}

const refuse = (problem) => misused(problem, usage);

async function printResourceServer([id, named, ...more]) {
  if (more.length > 0 || id === undefined)
    refuse("--resource-server needs an id, and the audience if it differs from AUDIENCE");
  await npmPackages();
  const { secret, entry } = makeResourceServer(id, named ?? variable("AUDIENCE"));
  // A TOML string in single quotes has no escapes, but JSON does.
  const json = JSON.stringify(entry).replaceAll("'", "\\u0027");
  console.log(`secret, only for that server, not shown again:\n\n${secret}\n`);
  console.log(`under [vars] in wrangler.toml, instead of the existing line:\n\nRESOURCE_SERVERS = '[${json}]'\n`);
  console.log("or, if that line already lists servers: append a comma and the {…} of this line, inside the brackets");
}

runIfStarted(import.meta.url, main, usage);
