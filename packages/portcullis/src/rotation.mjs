// Rotation of the signing key and of the data secret. One edit of the key set is enough, because each key has the time from which it
// signs.

import { closeSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, writeSync } from "node:fs";

import { fail } from "./failure.mjs";
import { ALGORITHMS, algorithmOf, dataSecretId, kidOf, linesOf, makeKey, makeSecret } from "./secrets.mjs";

/** Seconds allowed to store the set and to deploy it everywhere. */
export const MARGIN = 300;
/** Seconds from publishing a key to signing with it: MARGIN, the max-age of the JWKS, and jose's cacheMaxAge after it. */
export const LEAD = MARGIN + 300 + 600;
/** Maximum size of a secret at Cloudflare, in bytes. */
const MAX_BYTES = 5 * 1024;

/** The time from which a key signs, in unix seconds. */
export const signsFrom = ({ signs_from = 0 }) => signs_from;

/** When a key stopped signing; infinity if it has not. */
export const retirement = (keys, key, now) =>
  Math.min(...keys.map(signsFrom).filter((from) => from > signsFrom(key) && from <= now));

/** Appends a new key to a key set and drops obsolete keys. Throws if a rotation is in progress. */
export function rotate(keySet, { alg, now, idleTtl, force = false }) {
  const pending = keySet.keys.filter((key) => signsFrom(key) > now);
  if (pending.length > 0 && !force) {
    const [{ signs_from }] = pending;
    fail(
      `a rotation is already in progress: key ${nameOf(pending[0])} signs from ${time(signs_from)}. Use --force to add another key after it.`,
    );
  }
  const newest = keySet.keys.reduce((newest, key) => (signsFrom(key) > signsFrom(newest) ? key : newest));
  const signs_from = Math.max(now + LEAD, signsFrom(newest) + 1);
  const added = { ...makeKey(alg ?? algorithmOf(newest)), signs_from };
  // For `idleTtl` after a key retires, /refresh may receive the last access token that it signed and must verify it.
  const retiredAt = (key) => retirement(keySet.keys, key, now);
  const dropped = keySet.keys.filter((key) => retiredAt(key) + idleTtl < now);
  const kept = keySet.keys.filter((key) => !dropped.includes(key));
  const report = [
    ...dropped.map((key) => `dropped  ${nameOf(key)}, which stopped signing at ${time(retiredAt(key))}`),
    ...kept.map(
      (key) =>
        `kept     ${nameOf(key)}${Number.isFinite(retiredAt(key)) ? `, which stopped signing at ${time(retiredAt(key))}` : ""}`,
    ),
    `added    ${nameOf(added)}, which signs from ${time(signs_from)}`,
  ];
  const algorithmChanged = algorithmOf(added) !== algorithmOf(newest);
  return { keySet: { ...keySet, keys: [...kept, added] }, added, algorithmChanged, report };
}

/** Rotates the key set in a file in the format of .dev.vars. The rest of the file does not change. */
export function rotateFile(file, options) {
  const text = secretsFile(file);
  const lines = linesOf(text, "SIGNING_KEYS");
  if (lines.length !== 1) fail(`${file} must have one line SIGNING_KEYS='…', but has ${lines.length}`);
  const [{ value, start, end }] = lines;
  const result = rotate(parseKeySet(value, file), options);
  const json = JSON.stringify(result.keySet);
  if (json.length > MAX_BYTES) {
    fail(
      `the key set would have ${json.length} bytes, but Cloudflare accepts at most ${MAX_BYTES}: rotate to --alg ES256 or EdDSA, or wait until older keys are dropped`,
    );
  }
  replaceFile(file, `${text.slice(0, start)}SIGNING_KEYS='${json}'${text.slice(end)}`);
  return result;
}

/**
 * Puts a new secret before those of DATA_SECRETS, which remain, because the database has texts under them. Adds the line if the file
 * has none. The rest of the file does not change. Returns the id of the new secret, and a report.
 */
export function rotateDataSecrets(file) {
  const text = secretsFile(file);
  const lines = linesOf(text, "DATA_SECRETS");
  if (lines.length > 1) fail(`${file} must have one line DATA_SECRETS='…', but has ${lines.length}`);
  const [line] = lines;
  const kept = line ? line.value.split(",").map((secret) => secret.trim()) : [];
  if (!kept.every((secret) => /^[\w-]{43,}=*$/.test(secret))) fail(`DATA_SECRETS in ${file} is not a list of secrets`);
  const added = makeSecret();
  const list = [added, ...kept].join(",");
  if (list.length > MAX_BYTES) fail(`DATA_SECRETS would exceed the ${MAX_BYTES} bytes that Cloudflare accepts`);
  const edited = `DATA_SECRETS='${list}'`;
  const whole = line
    ? text.slice(0, line.start) + edited + text.slice(line.end)
    : `${text.replace(/[^\n]$/, "$&\n")}${edited}\n`;
  replaceFile(file, whole);
  const id = dataSecretId(added);
  const report = [
    ...kept.map((secret) => `kept     ${dataSecretId(secret)}, under which texts may be stored`),
    `added    ${id}, under which texts are stored from now on`,
  ];
  return { added: id, report };
}

/** The text of a file of secrets. Fails with a one-line message if the file cannot be one. */
export function secretsFile(file) {
  let bytes;
  try {
    bytes = readFileSync(file);
  } catch ({ code }) {
    if (code === "ENOENT") fail(`${file} does not exist`);
    if (code === "EISDIR") fail(`${file} is a folder, not a file of secrets`);
    fail(`${file} cannot be read (${code})`);
  }
  // The marks of UTF-8 and of UTF-16 in both byte orders. Some parsers treat them as part of the first name.
  if (["efbbbf", "fffe", "feff"].some((mark) => bytes.toString("hex", 0, 3).startsWith(mark))) {
    fail(`${file} begins with a byte order mark (BOM): save it as UTF-8 without one`);
  }
  const text = bytes.toString("utf8");
  return text.trim() === "" ? fail(`${file} is empty`) : text;
}

const parseKeySet = (value, file) =>
  keySetOf(value) ?? fail(`SIGNING_KEYS in ${file} is not a set of private keys on one line`);

/** The set of private keys in a value of SIGNING_KEYS; `undefined` if it is none. */
export function keySetOf(value) {
  try {
    const keySet = JSON.parse(value);
    const isValid = (/** @type {any} */ { signs_from = 0, ...key }) =>
      ALGORITHMS.includes(algorithmOf(key)) && Number.isSafeInteger(signs_from);
    if (Array.isArray(keySet.keys) && keySet.keys.length > 0 && keySet.keys.every(isValid)) return keySet;
  } catch {
    // The parser's message would contain parts of the value.
  }
}

// Replaces the file atomically, because it may be the only copy of the old keys.
function replaceFile(file, text) {
  const target = realpathSync(file);
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
      renameSync(temporary, target);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(descriptor);
    }
  } catch ({ code }) {
    fail(`${file} cannot be written (${code})`);
  }
}

/** Unix seconds in RFC 3339 format. */
export const time = (seconds) => new Date(seconds * 1000).toISOString().replace(".000", "");

export const nameOf = (key) => `${kidOf(key)} (${algorithmOf(key)})`;
