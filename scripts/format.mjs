// `npm run format`: rewrites the JavaScript and the Rust as `npm run lint` wants them.

import { checkFlags, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

const usage = `npm run format

Formats the JavaScript, its JSON and the Rust, and repairs those lints of the JavaScript whose repair is safe.`;

async function main(args) {
  checkFlags(args, [], usage);
  await setup();
  await run("cargo", ["fmt", "--all"]);
  // Fails if something is left that has to be repaired by hand.
  await run("biome", ["check", "--write", "--error-on-warnings"]);
}

runIfStarted(import.meta.url, main, usage);
