// `npm run lint`: static checks. `npm test` begins with them; `npm run format` applies the automatic fixes.

import { checkFlags, heading, run, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

const wasm = "wasm32-unknown-unknown";
const without = (...packages) => packages.flatMap((name) => ["--exclude", name]);
const clippy = (...where) => run("cargo", ["clippy", "--locked", "--workspace", ...where, "--", "-D", "warnings"]);

/** @type {[string, () => Promise<unknown>][]} name and check, the cheapest first */
export const lints = [
  ["format and lints, JavaScript", () => run("biome", ["check", "--error-on-warnings"])],
  ["types, JavaScript", () => run("tsc", ["--project", "tsconfig.json"])],
  ["types, account pages", () => run("tsc", ["--project", "web/tsconfig.json"])],
  ["format, Rust", () => run("cargo", ["fmt", "--all", "--check"])],
  ["lints, Rust, native", () => clippy("--all-targets")],
  // Without what is native only: the build tool of the Worker, its OpenAPI document, and the example of a server.
  [
    "lints, Rust, WebAssembly",
    () => clippy(...without("portcullis-build", "portcullis-openapi", "orders-api-axum"), "--target", wasm),
  ],
];

const usage = `npm run lint

Checks format, lints and types of the JavaScript, and format and lints of the Rust for both targets.`;

async function main(args) {
  checkFlags(args, [], usage);
  await setup();
  for (const [name, work] of lints) {
    heading(name);
    await work();
  }
}

runIfStarted(import.meta.url, main, usage);
