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
//   npm run keygen -- --backup                       prints a private key for `npm run restore`, as age-keygen does
//
// --alg ES256 (the default), EdDSA, RS256 or HS256; with --rotate the default is the algorithm of the newest key.
// Replacing secrets ends every session, so --dev and --remote do it only with --force. They never replace DATA_SECRETS, because the
// second factors of all users would be lost.

import { existsSync, utimesSync } from "node:fs";
import { relative } from "node:path";
import { parseArgs } from "node:util";

import { makeIdentity } from "../backup.mjs";
import { flag, json, text } from "../command.mjs";
import { variable } from "../config.mjs";
import { fail, misused } from "../failure.mjs";
import { say, show } from "../output.mjs";
import { called, namedFile, packages, path, setup } from "../place.mjs";
import { LEAD, MARGIN, rotateDataSecrets, rotateFile, time } from "../rotation.mjs";
import {
  ALGORITHMS,
  devVars,
  makeResourceServer,
  makeSecrets,
  putRemoteSecrets,
  remoteSecrets,
  writeDevVars,
} from "../secrets.mjs";

export const about =
  "Generates the Worker's secrets and prints them, adds the next signing key or data secret to existing ones, or generates the secret " +
  "of a server that calls /introspect, or the key pair of backups.";
export const result =
  'the secrets by name, as `wrangler secret bulk` reads them; with `--dev` or `--remote` `{"stored"}`, the names; with `--rotate` the new key, ' +
  '`{"added", "alg", "signs_from"}`; with `--data` the id of the new secret, `{"added"}`; with `--resource-server` `{"secret", "entry"}`; ' +
  'with `--backup` the key pair, `{"identity", "recipient"}`';
export const forms = [
  `[--alg ${ALGORITHMS.join("|")}] [--dev | --remote] [--force] [--json]`,
  "--rotate (--dev | --file PATH) [--alg …] [--force] [--json]",
  "--rotate --data (--dev | --file PATH) [--json]",
  "--resource-server ID [AUDIENCE] [--json]",
  "--backup [--json] > backup-identity.txt",
];
export const options = {
  dev: flag("stores them in .dev.vars, for the local Worker"),
  remote: flag("stores them as secrets of the deployed Worker"),
  rotate: flag("adds a signing key to .dev.vars or to your copy of the secrets"),
  data: flag("with --rotate: adds a secret to DATA_SECRETS instead, before the others"),
  file: text("PATH", "your copy"),
  alg: text("ALG", "algorithm of the key: by default ES256, with --rotate that of the newest key"),
  "resource-server": text(
    "ID",
    "prints a secret for that server and its entry of RESOURCE_SERVERS, for AUDIENCE or another audience",
  ),
  backup: flag(`prints a private key for ${called("restore")}, and its public key for ${called("backup")}`),
  force: flag(
    "replaces existing secrets except DATA_SECRETS, which ends every session; with --rotate, adds a key after one that does not sign yet",
  ),
  ...json,
};

export async function main(args) {
  const { values, positionals } = parsed(args);
  const { dev, remote, rotate, data, force, file, alg, "resource-server": server } = values;
  await packages();
  if (values.backup) {
    const { identity, recipient } = await makeIdentity();
    // The file of an identity as age-keygen writes it.
    show(`# public key: ${recipient}\n${identity}`);
    return { identity, recipient };
  }
  if (server !== undefined) return showResourceServer(server, positionals[0]);
  if (alg === "HS256" && variable("ALLOW_HS256") !== "true") {
    // Not to stdout, which may be redirected to a file of secrets.
    console.error('note: the Worker refuses an HS256 key until ALLOW_HS256 in wrangler.toml is "true"');
  }
  if (rotate) {
    const copy = dev ? path(".dev.vars") : namedFile(file);
    return data ? rotateDataIn(copy, dev) : rotateIn(copy, { alg, force, dev });
  }
  const stored = [];
  if (dev) {
    if (existsSync(path(".dev.vars")) && !force) {
      fail(".dev.vars exists. Replacing its secrets ends every local session: add --force if you mean it.");
    }
    stored.push(...writeDevVars(alg));
    reloadDev();
    say("stored new secrets in .dev.vars");
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
    const secrets = existing.includes("DATA_SECRETS") ? others : { ...others, DATA_SECRETS };
    await putRemoteSecrets(secrets);
    stored.push(...Object.keys(secrets));
  }
  if (dev || remote) return { stored: [...new Set(stored)] };
  const secrets = makeSecrets(alg);
  show(devVars(secrets).trimEnd());
  return secrets;
}

function rotateIn(file, { alg, force, dev }) {
  const idleTtl = Number(variable("REFRESH_IDLE_TTL_SECONDS"));
  const now = Math.floor(Date.now() / 1000);
  const { added, algorithmChanged, report } = rotateFile(file, { alg, force, idleTtl, now });
  say(report.join("\n"));
  if (added.alg === "HS256")
    say("Give its k to every server that verifies its tokens before then: it is not in the JWKS.");
  else if (algorithmChanged) say(`Servers that accept a single algorithm must also accept ${added.alg} before then.`);
  const { kid, signs_from } = added;
  const result = { added: kid, alg: added.alg, signs_from };
  if (dev) {
    reloadDev();
    return result;
  }
  // Verifiers must see the key before it signs, however long they cache the JWKS.
  say(`\nStore it now: npx wrangler secret bulk ${relative(namedFile("."), file)}`);
  say(
    `If it is already later than ${time(signs_from - LEAD + MARGIN)}, first set its "signs_from" to the current time plus ${LEAD} seconds.`,
  );
  return result;
}

function rotateDataIn(file, dev) {
  const { added, report } = rotateDataSecrets(file);
  say(report.join("\n"));
  if (dev) reloadDev();
  else say(`\nStore it now: npx wrangler secret bulk ${relative(namedFile("."), file)}`);
  return { added };
}

// A running `dev` watches wrangler.toml, and reads .dev.vars again when that file changes.
function reloadDev() {
  const now = new Date();
  utimesSync(path("wrangler.toml"), now, now);
}

function parsed(args) {
  let result;
  try {
    result = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    misused(error.message);
  }
  const { dev, remote, rotate, data, force, file, alg, backup, "resource-server": server } = result.values;
  const { positionals } = result;
  const isAlone = !(dev || remote || rotate || data || force || file !== undefined || alg !== undefined);
  if (server !== undefined && (backup || !isAlone)) misused("--resource-server has no other options");
  if (backup && !isAlone) misused("--backup has no other options");
  if (positionals.length > (server === undefined ? 0 : 1)) misused(`unknown argument ${positionals.at(-1)}`);
  if (alg !== undefined && !ALGORITHMS.includes(alg)) misused(`unknown algorithm ${alg}`);
  if (rotate && remote) misused("Cloudflare does not show stored secrets. Rotate your copy of them: use --file");
  if (rotate && dev === (file !== undefined)) misused("--rotate needs either --dev or --file");
  if (data && (!rotate || alg !== undefined)) misused("--data is only valid with --rotate, without --alg");
  if (!rotate && file !== undefined) misused("--file is only valid with --rotate");
  return result;
}

function showResourceServer(id, audience = variable("AUDIENCE")) {
  const { secret, entry } = makeResourceServer(id, audience);
  // A TOML string in single quotes has no escapes, but JSON does.
  const line = JSON.stringify(entry).replaceAll("'", "\\u0027");
  show(`secret, only for that server, not shown again:\n\n${secret}\n`);
  show(`under [vars] in wrangler.toml, instead of the existing line:\n\nRESOURCE_SERVERS = '[${line}]'\n`);
  show("or, if that line already lists servers: append a comma and the {…} of this line, inside the brackets");
  return { secret, entry };
}
