// Installs what the other scripts need, unless it is installed: npm packages (including the Node that wrangler needs), the Rust
// toolchain and the local secrets. Everything except Rust is installed in this folder. Completed steps are skipped, and
// interrupted ones start again.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import { ensureDevVars } from "../packages/portcullis/src/secrets.mjs";
import {
  capture,
  envWithoutNpmBin,
  fail,
  onPath,
  path,
  read,
  readToml,
  run,
  runIfStarted,
  say,
  seconds,
} from "./lib.mjs";

const CARGO_DENY = "0.20.2";

/** With `deny`, also installs cargo-deny, which only `npm run deny` needs. */
export async function setup({ deny = false } = {}) {
  await npmPackages();
  await rustToolchain();
  if (deny) await cargoDeny();
  ensureDevVars();
}

/** Installs only the npm packages. */
export async function npmPackages() {
  await packagesOf(".", "npm packages", () => {
    if (existsSync(path("node_modules", ".bin", "node"))) return;
    fail(
      "npm did not install the project's own Node, probably because `ignore-scripts` is set: unset it and run this again.",
    );
  });
}

/** Installs the packages in a folder's lock file; `check` verifies the result. */
export async function packagesOf(folder, what, check = () => {}) {
  const hash = createHash("sha256")
    .update(read(`${folder}/package-lock.json`))
    .digest("hex");
  const stamp = path(folder, "node_modules", ".installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;

  await step(what, "20 seconds", async () => {
    // Shows the output only if npm fails: on an older Node it warns about packages that run on the project's own Node.
    const options = { env: envWithoutNpmBin, cwd: path(folder) };
    const { code, stdout, stderr } = await capture("npm", ["ci", "--no-audit", "--no-fund"], options);
    if (code !== 0) fail(`\`npm ci\` failed:\n${stdout}${stderr}`);
  });
  check();
  writeFileSync(stamp, hash);
}

async function rustToolchain() {
  if (!onPath("rustup")) fail("rustup was not found. Install Rust from https://rustup.rs, then run this again.");
  if (!onPath("cc")) {
    fail(
      "no C compiler was found (cc), which Rust links with. " +
        "Install one: build-essential on Debian and Ubuntu, `xcode-select --install` on macOS.",
    );
  }
  const { channel, components, targets } = readToml("rust-toolchain.toml").toolchain;
  const { stdout } = await capture("rustup", ["component", "list", "--installed", "--toolchain", channel]);
  const installed = stdout.split("\n");
  const missing = (names) =>
    names.filter((name) => !installed.some((line) => line === name || line.startsWith(`${name}-`)));
  const rustup = (...args) => step(`Rust ${channel}: ${args.join(" ")}`, "1 minute", () => run("rustup", args));

  if (missing(["rustc", "cargo"]).length > 0) {
    await rustup("toolchain", "install", channel, "--profile", "minimal", "--no-self-update");
  }
  const newComponents = missing(components);
  if (newComponents.length > 0) await rustup("component", "add", "--toolchain", channel, ...newComponents);
  const newTargets = targets.filter((target) => missing([`rust-std-${target}`]).length > 0);
  if (newTargets.length > 0) await rustup("target", "add", "--toolchain", channel, ...newTargets);
}

const cargoDeny = () => cargoTool("cargo-deny", CARGO_DENY, "5 minutes");

/** Installs a tool of cargo in .tools, which only one of the commands needs. */
export async function cargoTool(name, version, duration) {
  const installed = ".tools/.crates.toml";
  const hasTool = () =>
    Object.keys(readToml(installed).v1 ?? {}).some((tool) => tool.startsWith(`${name} ${version} `));
  if (existsSync(path(installed)) && hasTool()) return;
  await step(`${name} ${version}`, duration, async () => {
    // Kept until the installation succeeds, so that after an interruption cargo continues where it stopped.
    const compiled = path(".tools", "compiled");
    const where = ["--root", path(".tools"), "--target-dir", compiled];
    // --locked uses the dependencies that its authors tested, not the newest ones.
    const install = ["install", ...where, "--quiet", "--locked", name, "--version", version];
    const { code, stderr } = await capture("cargo", install);
    if (code !== 0) {
      fail(
        `${name} ${version} could not be installed with the dependencies of its lock file, and no others are tried:\n\n${stderr.trim()}\n\n` +
          "If the network failed, run this again to continue. If the registry lacks a version, use one that has it.",
      );
    }
    rmSync(compiled, { recursive: true, force: true });
  });
}

async function step(what, duration, work) {
  const started = Date.now();
  say(`setup: installing ${what}, once (about ${duration})`);
  await work();
  say(`setup: installed ${what} (${seconds(started)})`);
}

runIfStarted(import.meta.url, () => setup({ deny: true }));
