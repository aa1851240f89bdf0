// Runs the program of crates/cli/src/main.rs, which applies the Worker's own rules to the input of scripts.

import { existsSync } from "node:fs";

import { capture, env, fail, path, readToml, variable } from "./lib.mjs";

const binary = path("target", "debug", "rules");
let built;

/** Compiles the program unless it is up to date, and returns its path. With `quiet`, prints no message. */
export function rulesBinary({ quiet = false } = {}) {
  built ??= (async () => {
    const { code, stderr } = await capture(
      "cargo",
      ["build", "--locked", "--workspace", "--bin", "rules", "--target-dir", path("target")],
      { env, onStderr: quiet ? undefined : report },
    );
    if (code !== 0) fail(`the rules could not be compiled:\n${stderr}`);
    return existsSync(binary) ? binary : fail(`cargo did not create ${binary}`);
  })();
  return built;
}

// Prints a message once if cargo reports that it compiles.
let reported = false;
function report(text) {
  if (reported || !text.includes("Compiling")) return;
  reported = true;
  console.log("rules: compiling the Worker's rules for this machine (about a minute the first time)");
}

/** Cloudflare's default limit of CPU time per request, in milliseconds. */
const PLATFORM_CPU_MS = 30_000;

/** The settings of wrangler.toml that determine which hashes are accepted. */
export function limits() {
  const { limits } = readToml("wrangler.toml");
  const argon2 = [variable("ARGON2_MEMORY_KIB"), variable("ARGON2_ITERATIONS")];
  return { cpuMs: limits?.cpu_ms ?? PLATFORM_CPU_MS, argon2: argon2.join(",") };
}

/** The arguments of `check-users`. Without a slot key, the slots of the rows are meaningless. */
export function checkUsers({ now, slotKey = "0".repeat(64), flags }) {
  const { cpuMs, argon2 } = limits();
  const options = { roles: variable("ROLES"), now, "cpu-ms": cpuMs, argon2, "slot-key": slotKey };
  return ["check-users", ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]), ...flags];
}

/** Runs the program and returns its output, or fails with its error. */
export async function ask(args, options) {
  const { code, stdout, stderr } = await rules(args, options);
  return code === 0 ? stdout.replace(/\n$/, "") : fail(stderr.trim());
}

/** Runs the program; its source documents the arguments. */
export async function rules(args, options = {}) {
  return capture(await rulesBinary(), args, options);
}
