// The Worker's own rules for what comes in beside it: the program of crates/cli/src/main.rs.

import { existsSync } from "node:fs";

import { capture, env, fail, path } from "./lib.mjs";

const binary = path("target", "debug", "rules");
let built;

/** Compiles the program unless it is there as its sources are, and returns its path. `quiet`: does not say that it compiles. */
export function rulesBinary({ quiet = false } = {}) {
  built ??= (async () => {
    const { code, stderr } = await capture(
      "cargo",
      ["build", "--locked", "--workspace", "--bin", "rules", "--target-dir", path("target")],
      { env, heard: quiet ? undefined : tell },
    );
    if (code !== 0) fail(`the rules could not be compiled:\n${stderr}`);
    return existsSync(binary) ? binary : fail(`cargo made no ${binary}`);
  })();
  return built;
}

// Only cargo knows whether there is something to compile.
let told = false;
function tell(text) {
  if (told || !text.includes("Compiling")) return;
  told = true;
  console.log("rules: compiling the Worker's rules for this machine (about a minute the first time)");
}

/** Runs the program; see there for what it takes. */
export async function rules(args, options = {}) {
  return capture(await rulesBinary(), args, options);
}
