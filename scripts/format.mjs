// `npm run format`: formats the JavaScript and the Rust as `npm run lint` requires.

import { checkFlags, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

const usage = `npm run format

Formats JavaScript, JSON and Rust, and applies the safe fixes of the JavaScript lints.`;

async function main(args) {
  checkFlags(args, [], usage);
  await setup();
  await run("cargo", ["fmt", "--all"]);
  // Fails if a lint remains that has no safe fix.
  await run("biome", ["check", "--write", "--error-on-warnings"]);
}

runIfStarted(import.meta.url, main, usage);
