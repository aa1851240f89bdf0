// Runs the program of crates/cli/src/main.rs, which applies the Worker's own rules to the input of scripts.

import { existsSync } from "node:fs";

import { capture, env, fail, path } from "./lib.mjs";

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

/** Runs the program; its source documents the arguments. */
export async function rules(args, options = {}) {
  return capture(await rulesBinary(), args, options);
}
