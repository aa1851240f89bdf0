// Compiles the Worker to WebAssembly with the tool in crates/build, and fills web/dist with its static assets. The Worker goes to
// build/release for deployment and `npm test`, to build/dev for `npm run dev` and `npm test -- e2e`, which compiles in seconds. Wrangler also calls this script ([build] in
// wrangler.toml), so it does nothing if no input has changed.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import {
  capture,
  checkFlags,
  env,
  fail,
  filesUnder,
  path,
  read,
  run,
  runIfStarted,
  say,
  seconds,
  wrangler,
} from "./lib.mjs";
import { setup } from "./setup.mjs";
import { buildWeb } from "./web.mjs";

const usage = `npm run build

Compiles the Worker for deployment to build/release, and its static assets to web/dist, unless no input has changed since
the last build.`;

/** The purpose of each profile and the time it takes on two cores. */
const PROFILES = {
  dev: "for development (about 2 minutes the first time, then seconds)",
  release: "for release (2 to 3 minutes)",
};

/** The environment variable with the profile that wrangler builds: release unless `npm run dev` sets it. */
const VARIABLE = "PORTCULLIS_PROFILE";

/** The script and the options with which wrangler uses the build of a profile. */
export const wranglerBuild = (profile) => ({
  script: `build/${profile}/index.js`,
  options: { env: { [VARIABLE]: profile } },
});

/** @param {string} profile dev or release */
export async function build(profile) {
  await buildWeb();
  const inputs = buildInputs();
  const stamp = path("build", profile, ".inputs");
  const outputs = ["index.js", "index_bg.wasm"].map((name) => path("build", profile, name));
  if (outputs.every(existsSync) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;

  const started = Date.now();
  say(`build: compiling the Worker ${PROFILES[profile]}`);
  await compile(profile, run);
  // If a file was saved during the build, the next call builds again.
  if (buildInputs() === inputs) writeFileSync(stamp, inputs);
  say(`build: done (${seconds(started)})`);
}

/**
 * Compiles the rules for the commands to build/rules, or optimized to build/rules-release, unless no input has changed. With `quiet`,
 * prints no message.
 * @param {"rules" | "rules-release"} target
 */
export async function buildRules(target, { quiet = false } = {}) {
  const inputs = hashOf([...SETTINGS, ...["argon2-simd128", "build", "core", "rules"].flatMap(cratesFiles)]);
  const stamp = path("build", target, ".inputs");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;
  if (!quiet) say("rules: compiling the Worker's rules for the commands (about a minute the first time)");
  const { code, stderr } = await compile(target, capture);
  if (code !== 0) fail(`the rules could not be compiled:\n${stderr}`);
  writeFileSync(stamp, inputs);
}

const cratesFiles = (name) => filesUnder(`crates/${name}`);

/** Runs the tool in crates/build. A backtrace would hide the message of a compile error. */
function compile(target, how) {
  const tool = ["run", "--quiet", "--locked", "--profile", "tool", "--package", "portcullis-build"];
  return how("cargo", [...tool, "--", target], { env: { ...env, RUST_BACKTRACE: "0" } });
}

/**
 * Builds the Worker and writes the bundle that wrangler would upload to dist/.
 * @param {string} profile dev or release
 */
export async function bundle(profile) {
  const stamp = path("build", ".dist-inputs");
  const inputs = `${profile}\n${buildInputs()}\n${read("wrangler.toml")}`;
  await build(profile);
  if (existsSync(path("dist")) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;

  rmSync(stamp, { force: true });
  rmSync(path("dist"), { recursive: true, force: true });
  const { script, options } = wranglerBuild(profile);
  await wrangler(["deploy", script, "--dry-run", "--outdir", "dist"], run, options);
  writeFileSync(stamp, inputs);
}

const SETTINGS = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml", "package-lock.json"];

/** A hash of all inputs of the build. */
export const buildInputs = () =>
  hashOf([...SETTINGS, "scripts/build.mjs", "scripts/entry.mjs", ...["crates", "src"].flatMap(filesUnder)]);

/** A hash of those of the files that exist, and of the flags of the compiler. */
function hashOf(files) {
  const hash = createHash("sha256");
  for (const name of files.filter((name) => existsSync(path(name)))) {
    hash.update(`\0${name}\0`).update(readFileSync(path(name)));
  }
  return hash.update(`\0${process.env.RUSTFLAGS ?? ""}`).digest("hex");
}

async function main(args) {
  checkFlags(args, [], usage);
  const profile = process.env[VARIABLE] ?? "release";
  if (!Object.hasOwn(PROFILES, profile)) fail(`${VARIABLE} is "${profile}": it must be dev or release`);
  await setup();
  await build(profile);
}

runIfStarted(import.meta.url, main, usage);
