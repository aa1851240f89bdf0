// Generates and stores the Worker's secrets: SIGNING_KEYS, the private JWK Set that signs access tokens, TOKEN_SECRET, which
// authenticates refresh tokens, and DATA_SECRETS, which encrypts columns.

import { createHash, createHmac, generateKeyPairSync, hkdfSync, randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import { fail } from "./failure.mjs";
import { say } from "./output.mjs";
import { path } from "./place.mjs";
import { capture, wrangler } from "./programs.mjs";

// For each algorithm, how to generate a key, and the members in its RFC 7638 thumbprint, in alphabetical order.
const KEY_TYPES = {
  ES256: {
    generate: () => jwk(generateKeyPairSync("ec", { namedCurve: "P-256" })),
    thumbprint: ["crv", "kty", "x", "y"],
  },
  EdDSA: { generate: () => jwk(generateKeyPairSync("ed25519")), thumbprint: ["crv", "kty", "x"] },
  RS256: { generate: () => jwk(generateKeyPairSync("rsa", { modulusLength: 3072 })), thumbprint: ["e", "kty", "n"] },
  HS256: { generate: () => ({ kty: "oct", k: randomBytes(32).toString("base64url") }) },
};
const jwk = ({ privateKey }) => privateKey.export({ format: "jwk" });

export const ALGORITHMS = Object.keys(KEY_TYPES);

/** The secrets that every Worker has. */
export const REQUIRED_SECRETS = ["SIGNING_KEYS", "TOKEN_SECRET", "DATA_SECRETS"];

/** New secrets, by name. */
export function makeSecrets(alg) {
  return {
    SIGNING_KEYS: JSON.stringify({ keys: [makeKey(alg)] }),
    TOKEN_SECRET: makeSecret(),
    DATA_SECRETS: makeSecret(),
  };
}

/** A new secret of TOKEN_SECRET or DATA_SECRETS. */
export const makeSecret = () => randomBytes(32).toString("base64url");

/** The id of a secret of DATA_SECRETS: the beginning of every text that is stored under it. See crates/core/src/at_rest.rs. */
export function dataSecretId(secret) {
  const id = hkdfSync("sha256", Buffer.from(secret, "base64url"), "", "portcullis data secret id v1", 8);
  return Buffer.from(id).toString("base64url").slice(0, 10);
}

/**
 * A secret with which a resource server authenticates, and its entry in RESOURCE_SERVERS. The secret is random, so that a
 * configuration file may contain its plain SHA-256.
 */
export function makeResourceServer(id, audience) {
  if (!/^[\w.~-]{1,64}$/.test(id ?? ""))
    fail("the id must be 1 to 64 letters, digits, hyphens, dots, underscores and tildes");
  if (!audience) fail("the audience is missing: the AUDIENCE of the tokens that the server may introspect");
  const secret = makeSecret();
  const secret_sha256 = createHash("sha256").update(secret).digest("base64url");
  return { secret, entry: { id, secret_sha256, audience } };
}

/** A new private JWK for an algorithm. */
export function makeKey(alg = "ES256") {
  const key = KEY_TYPES[alg].generate();
  return { ...key, alg, use: "sig", kid: kidOf({ ...key, alg }) };
}

/** The kid of a key: its RFC 7638 thumbprint, or for a symmetric key a MAC, because a thumbprint would hash the secret. */
export function kidOf(key) {
  const alg = algorithmOf(key);
  if (alg === "HS256")
    return createHmac("sha256", Buffer.from(key.k, "base64url"))
      .update("portcullis kid of an HS256 key v1")
      .digest("base64url");
  const members = Object.fromEntries(KEY_TYPES[alg].thumbprint.map((name) => [name, key[name]]));
  return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}

/** The algorithm of a key. */
export function algorithmOf({ kty, crv }) {
  return { "EC P-256": "ES256", "OKP Ed25519": "EdDSA", RSA: "RS256", oct: "HS256" }[
    crv === undefined ? kty : `${kty} ${crv}`
  ];
}

/**
 * Writes new secrets to .dev.vars, where `wrangler dev` finds them, readable only by the owner. Keeps DATA_SECRETS, without which
 * nobody could use the second factors in the local database. Returns the names of the new ones.
 */
export function writeDevVars(alg) {
  const file = path(".dev.vars");
  const [line] = existsSync(file) ? linesOf(readFileSync(file, "utf8"), "DATA_SECRETS") : [];
  // Deleted first, because an existing file would keep its mode.
  rmSync(file, { force: true });
  const secrets = makeSecrets(alg);
  writeFileSync(file, devVars(line ? { ...secrets, DATA_SECRETS: line.value } : secrets), { mode: 0o600, flag: "wx" });
  return Object.keys(secrets).filter((name) => !(line && name === "DATA_SECRETS"));
}

/** Creates .dev.vars, unless it exists. */
export function ensureDevVars() {
  if (existsSync(path(".dev.vars"))) return;
  writeDevVars();
  say("created .dev.vars with new secrets for this machine");
}

/** The secrets that a variable needs, by its name and, where it matters, its value. The operator sets them. */
const NEEDED = [
  { secret: "MAIL_KEY", by: ["MAIL", "http"] },
  { secret: "MAIL_WEBHOOK_SECRET", by: ["MAIL", "webhook"] },
  { secret: "TURNSTILE_SECRET", by: ["TURNSTILE_SITE_KEY"] },
  { secret: "SOURCE_SECRET", by: ["SOURCE_HEADER"] },
];

/** The secrets that these variables need: each with its name, and what needs it. `get` returns `undefined` if a variable is not set. */
export const neededSecrets = (get) =>
  NEEDED.filter(({ by: [name, value] }) => (value === undefined ? get(name) : get(name) === value)).map(
    ({ secret, by: [name, value] }) => ({ secret, by: value === undefined ? name : `${name} = "${value}"` }),
  );

/** All secrets of the Worker. */
export const SECRETS = [...REQUIRED_SECRETS, ...NEEDED.map(({ secret }) => secret), "METRICS_TOKEN"];

/** Which of these secrets the deployed Worker has; none if the Worker does not exist. */
export async function remoteSecrets(known = REQUIRED_SECRETS) {
  const { code, stdout, stderr } = await wrangler(["secret", "list"], capture);
  if (code !== 0 && /Worker "[^"]*".* not found/.test(stdout + stderr)) return [];
  if (code !== 0) fail(`could not list the Worker's secrets:\n${stdout}${stderr}`);
  const names = JSON.parse(stdout).map(({ name }) => name);
  return known.filter((name) => names.includes(name));
}

/** Stores secrets of the Worker by stdin: a command line is visible to other users, and a file would have to be deleted. */
export async function putRemoteSecrets(secrets) {
  const { code, stdout, stderr } = await wrangler(["secret", "bulk"], capture, { input: JSON.stringify(secrets) });
  if (code !== 0) fail(`could not store the secrets:\n${stdout}${stderr}`);
  say(`stored ${Object.keys(secrets).join(", ")} as secrets of the Worker`);
}

/** Secrets in the format of .dev.vars, in single quotes because JSON contains double ones. */
export function devVars(secrets) {
  return Object.entries(secrets)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join("");
}

/** The lines of a secret in a text of that format: its value, and the part of the text. */
export function linesOf(text, name) {
  const lines = text.matchAll(new RegExp(`^[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=[ \\t]*(.*?)[ \\t]*$`, "gm"));
  return [...lines].map(({ 0: line, 1: value, index }) => ({
    value: value.replace(/^(['"`])(.*)\1$/, "$2"),
    start: index,
    end: index + line.length,
  }));
}
