// The rules of the Worker (crates/rules) in this process, for addresses, roles and users.

import { webcrypto } from "node:crypto";

import { readToml, variable } from "./config.mjs";
import { fail } from "./failure.mjs";
import { rulesUrl } from "./place.mjs";

let loaded;

/** The module of the rules. Its functions throw strings. */
function rules() {
  loaded ??= (async () => {
    // Node 18 has it only as a module.
    globalThis.crypto ??= /** @type {any} */ (webcrypto);
    return import(await rulesUrl());
  })();
  return loaded;
}

/** Applies a rule, and fails with its error. */
function ask(rule) {
  try {
    return rule();
  } catch (error) {
    if (typeof error !== "string") throw error;
    fail(error);
  }
}

/** The key by which an address is compared. */
export async function emailKey(address) {
  const { emailKey } = await rules();
  return ask(() => emailKey(address));
}

/** Fails unless a list of roles contains a role. */
export async function checkRole(role, roles = variable("ROLES")) {
  const { checkRole } = await rules();
  ask(() => checkRole(roles, role));
}

/** Cloudflare's default limit of CPU time per request, in milliseconds. */
const PLATFORM_CPU_MS = 30_000;

/** The settings of wrangler.toml by which users are checked. */
export const settings = () => ({
  roles: variable("ROLES"),
  cpu_ms: readToml("wrangler.toml").limits?.cpu_ms ?? PLATFORM_CPU_MS,
  memory_kib: Number(variable("ARGON2_MEMORY_KIB")),
  iterations: Number(variable("ARGON2_ITERATIONS")),
});

/**
 * Checks the lines of a file of users, which is given in pieces: `check(bytes)` and finally `end()` return what crates/rules says
 * about the lines that have ended. Without a slot key, the slots of the rows are meaningless.
 */
export async function userChecker({ slot_key = "0".repeat(64), ...options }) {
  const { UserChecker } = await rules();
  const all = { ...settings(), now: Math.floor(Date.now() / 1000), allow_admins: false, wrap_weak: false, slot_key };
  const checker = ask(() => new UserChecker(JSON.stringify({ ...all, ...options })));
  const parsed = (text) =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  return { check: (bytes) => parsed(ask(() => checker.check(bytes))), end: () => parsed(ask(() => checker.end())) };
}
