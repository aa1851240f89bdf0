// Rotating the signing key: one edit of the key set carries the whole rotation, because each key says from when on it
// signs, and the Worker goes by the clock.

import { closeSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, writeSync } from "node:fs";

import { fail } from "./lib.mjs";
import { ALGORITHMS, algorithmOf, kidOf, makeKey } from "./secrets.mjs";

/** Seconds in which the set has to be stored, and to arrive everywhere. */
export const MARGIN = 300;
/** Seconds a new key is published before it signs: what a cache may hold the JWKS for, its max-age of 300, and jose's cacheMaxAge of 600 on top of a cache in between. */
export const LEAD = MARGIN + 300 + 600;
/** Bytes of a secret that Cloudflare takes. */
const MOST_BYTES = 5 * 1024;

/** The file's key set with a fresh key behind it, and what was done to it. Throws if a rotation is still under way. */
export function rotate(keySet, { alg, now, idleTtl, force = false }) {
  const began = (key) => key.signs_from ?? 0;
  const pending = keySet.keys.filter((key) => began(key) > now);
  if (pending.length > 0 && !force) {
    const [{ signs_from }] = pending;
    fail(
      `a rotation is under way already: key ${nameOf(pending[0])} signs from ${time(signs_from)} on. To add another one behind it: --force`,
    );
  }
  const newest = keySet.keys.reduce((newest, key) => (began(key) > began(newest) ? key : newest));
  const signs_from = Math.max(now + LEAD, began(newest) + 1);
  const added = { ...makeKey(alg ?? algorithmOf(newest)), signs_from };
  // An access token that it signed last may come with a refresh token for so long: /refresh asks whose it was.
  const retiredAt = (key) => Math.min(...keySet.keys.map(began).filter((from) => from > began(key) && from <= now));
  const dropped = keySet.keys.filter((key) => retiredAt(key) + idleTtl < now);
  const kept = keySet.keys.filter((key) => !dropped.includes(key));
  const report = [
    ...dropped.map((key) => `dropped  ${nameOf(key)}, which signs no more since ${time(retiredAt(key))}`),
    ...kept.map(
      (key) =>
        `kept     ${nameOf(key)}${Number.isFinite(retiredAt(key)) ? `, which signs no more since ${time(retiredAt(key))}` : ""}`,
    ),
    `added    ${nameOf(added)}, which signs from ${time(signs_from)} on`,
  ];
  const changed = algorithmOf(added) !== algorithmOf(newest);
  return { keySet: { ...keySet, keys: [...kept, added] }, added, changed, report };
}

/** Rotates the key set in a file of the format of .dev.vars, and leaves the rest of the file as it is. */
export function rotateFile(file, options) {
  const text = secretsFile(file);
  const lines = [...text.matchAll(/^[ \t]*(?:export[ \t]+)?SIGNING_KEYS[ \t]*=[ \t]*(.*?)[ \t]*$/gm)];
  if (lines.length !== 1) fail(`${file} must have one line SIGNING_KEYS='…', and has ${lines.length}`);
  const [line] = lines;
  const result = rotate(parseKeySet(line[1], file), options);
  const json = JSON.stringify(result.keySet);
  if (json.length > MOST_BYTES) {
    fail(
      `the key set would have ${json.length} bytes, and Cloudflare takes ${MOST_BYTES}: rotate to --alg ES256 or EdDSA, or wait until older keys are dropped`,
    );
  }
  const edited = `SIGNING_KEYS='${json}'`;
  replaceFile(file, text.slice(0, line.index) + edited + text.slice(line.index + line[0].length));
  return result;
}

/** The text of a file of secrets; what cannot be one is told in a line. */
function secretsFile(file) {
  let bytes;
  try {
    bytes = readFileSync(file);
  } catch ({ code }) {
    if (code === "ENOENT") fail(`there is no ${file}`);
    if (code === "EISDIR") fail(`${file} is a folder, not a file of secrets`);
    fail(`${file} cannot be read (${code})`);
  }
  // Of UTF-8 and of UTF-16 in either order. Not every reader of such files skips it; to others it is a part of the first name.
  if (["efbbbf", "fffe", "feff"].some((mark) => bytes.toString("hex", 0, 3).startsWith(mark))) {
    fail(`${file} begins with a byte order mark (BOM): save it as UTF-8 without one`);
  }
  const text = bytes.toString("utf8");
  return text.trim() === "" ? fail(`${file} is empty`) : text;
}

function parseKeySet(value, file) {
  const bare = value.replace(/^(['"`])(.*)\1$/, "$2");
  try {
    const keySet = JSON.parse(bare);
    const sound = (/** @type {any} */ { signs_from = 0, ...key }) =>
      ALGORITHMS.includes(algorithmOf(key)) && Number.isSafeInteger(signs_from);
    if (Array.isArray(keySet.keys) && keySet.keys.length > 0 && keySet.keys.every(sound)) return keySet;
  } catch {
    // Told below, without what the parser would show of the value.
  }
  fail(`SIGNING_KEYS in ${file} is not a set of private keys on one line`);
}

// Either the old file or the new one is there, whatever happens meanwhile: the old keys exist nowhere else.
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

/** A time as people read it. */
export const time = (seconds) => new Date(seconds * 1000).toISOString().replace(".000", "");

const nameOf = (key) => `${kidOf(key)} (${algorithmOf(key)})`;
