// `npm run lint`: what is checked without running anything. `npm test` begins with it; `npm run format` repairs what a program
// can repair.

import { checkFlags, heading, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

const clippy = (...where) => run("cargo", ["clippy", "--locked", "--workspace", ...where, "--", "-D", "warnings"]);

/** @type {[string, () => Promise<unknown>][]} each with its name, the cheapest first */
export const lints = [
  ["format and lints, JavaScript", () => run("biome", ["check", "--error-on-warnings"])],
  ["types, JavaScript", () => run("tsc", ["--project", "tsconfig.json"])],
  ["format, Rust", () => run("cargo", ["fmt", "--all", "--check"])],
  ["lints, Rust, native", () => clippy("--all-targets")],
  // But for the tool that builds the Worker, which runs on this machine.
  ["lints, Rust, WebAssembly", () => clippy("--exclude", "portcullis-build", "--target", "wasm32-unknown-unknown")],
];

const usage = `npm run lint

Checks the format, the lints and the types of the JavaScript, and the format and the lints of the Rust, for both targets.`;

async function main(args) {
  checkFlags(args, [], usage);
  await setup();
  for (const [name, work] of lints) {
    heading(name);
    await work();
  }
}

runIfStarted(import.meta.url, main, usage);
