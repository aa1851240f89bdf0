// Making and storing the Worker's two secrets: SIGNING_KEYS, the private JWK Set that access tokens are signed with,
// and TOKEN_SECRET, which refresh tokens are authenticated with.

import { createHash, createHmac, generateKeyPairSync, randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";

import { capture, fail, path, wrangler } from "./lib.mjs";

// The algorithms, how a key of each is made, and the members its RFC 7638 thumbprint is of, in alphabetical order.
const KINDS = {
  ES256: { generate: () => jwk(generateKeyPairSync("ec", { namedCurve: "P-256" })), named: ["crv", "kty", "x", "y"] },
  EdDSA: { generate: () => jwk(generateKeyPairSync("ed25519")), named: ["crv", "kty", "x"] },
  RS256: { generate: () => jwk(generateKeyPairSync("rsa", { modulusLength: 3072 })), named: ["e", "kty", "n"] },
  HS256: { generate: () => ({ kty: "oct", k: randomBytes(32).toString("base64url") }) },
};
const jwk = ({ privateKey }) => privateKey.export({ format: "jwk" });

export const ALGORITHMS = Object.keys(KINDS);

/** Fresh secrets, by name. */
export function makeSecrets(alg) {
  return {
    SIGNING_KEYS: JSON.stringify({ keys: [makeKey(alg)] }),
    TOKEN_SECRET: randomBytes(32).toString("base64url"),
  };
}

/**
 * A secret for a resource server to authenticate with, and its entry of RESOURCE_SERVERS. The secret is random, not chosen
 * by anybody, so that its plain hash can stand in a configuration file.
 */
export function makeResourceServer(id, audience) {
  if (!/^[\w.~-]{1,64}$/.test(id ?? ""))
    fail("the id must be 1 to 64 letters, digits, hyphens, dots, underscores and tildes");
  if (!audience) fail("name the audience: the AUDIENCE of the tokens that it may ask about");
  const secret = randomBytes(32).toString("base64url");
  const secret_sha256 = createHash("sha256").update(secret).digest("base64url");
  return { secret, entry: { id, secret_sha256, audience } };
}

/** A fresh private JWK for an algorithm. */
export function makeKey(alg = "ES256") {
  const key = KINDS[alg].generate();
  return { ...key, alg, use: "sig", kid: kidOf({ ...key, alg }) };
}

/** The name of a key: its RFC 7638 thumbprint, but of a symmetric one a MAC under it, as the thumbprint would be a hash of the secret. */
export function kidOf(key) {
  const alg = algorithmOf(key);
  if (alg === "HS256")
    return createHmac("sha256", Buffer.from(key.k, "base64url"))
      .update("portcullis kid of an HS256 key v1")
      .digest("base64url");
  const members = Object.fromEntries(KINDS[alg].named.map((name) => [name, key[name]]));
  return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}

/** The one algorithm a key is for. */
export function algorithmOf({ kty, crv }) {
  return { "EC P-256": "ES256", "OKP Ed25519": "EdDSA", RSA: "RS256", oct: "HS256" }[
    crv === undefined ? kty : `${kty} ${crv}`
  ];
}

/** Writes fresh secrets where `wrangler dev` finds them, readable by their owner only. */
export function writeDevVars(alg) {
  // A new file, because an existing one would keep its own mode.
  rmSync(path(".dev.vars"), { force: true });
  writeFileSync(path(".dev.vars"), devVars(makeSecrets(alg)), { mode: 0o600, flag: "wx" });
}

/** Which of the two secrets the deployed Worker has; none if there is no Worker yet. */
export async function remoteSecrets() {
  const { code, stdout, stderr } = await wrangler(["secret", "list"], capture);
  if (code !== 0 && /Worker "[^"]*".* not found/.test(stdout + stderr)) return [];
  if (code !== 0) fail(`could not list the Worker's secrets:\n${stdout}${stderr}`);
  const names = JSON.parse(stdout).map(({ name }) => name);
  return ["SIGNING_KEYS", "TOKEN_SECRET"].filter((name) => names.includes(name));
}

/** Stores secrets of the Worker, through stdin: a command line is visible to others, and a file would outlive its use. */
export async function putRemoteSecrets(secrets) {
  const { code, stdout, stderr } = await wrangler(["secret", "bulk"], capture, { input: JSON.stringify(secrets) });
  if (code !== 0) fail(`could not store the secrets:\n${stdout}${stderr}`);
  console.log(`stored ${Object.keys(secrets).join(" and ")} as secrets of the Worker`);
}

/** Secrets in the format of .dev.vars: JSON has double quotes, so single ones around it. */
export function devVars({ SIGNING_KEYS, TOKEN_SECRET }) {
  return `SIGNING_KEYS='${SIGNING_KEYS}'\nTOKEN_SECRET='${TOKEN_SECRET}'\n`;
}
