// Installs what the other scripts need and is not there yet: npm packages (with the Node that wrangler needs), the
// Rust toolchain, the build tools, the local secrets. Nothing outside this folder but Rust itself. A step that is
// done is skipped, an interrupted one starts again.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import {
  capture,
  envWithoutNpmBin,
  fail,
  lockedVersion,
  onPath,
  path,
  read,
  run,
  runIfStarted,
  seconds,
} from "./lib.mjs";
import { writeDevVars } from "./secrets.mjs";

// Kept until all tools are installed, so that what was compiled before an interruption is not compiled again.
const compiled = path(".tools", "compiled");

/** The tools installed with cargo, each with the minutes that takes on two cores. */
export function tools() {
  return {
    "worker-build": { version: "0.8.7", minutes: 3 },
    // Library and command-line tool have to be the same version, or the build stops.
    "wasm-bindgen-cli": { version: lockedVersion("wasm-bindgen"), minutes: 2 },
    "cargo-deny": { version: "0.20.2", minutes: 5, onlyIf: "deny" },
  };
}

/** `deny`: also cargo-deny, which only the checks need. */
export async function setup({ deny = false } = {}) {
  await npmPackages();
  await rustToolchain();
  await cargoTools(Object.entries(tools()).filter(([, tool]) => deny || tool.onlyIf !== "deny"));
  if (!existsSync(path(".dev.vars"))) {
    writeDevVars();
    console.log("setup: made .dev.vars with fresh secrets for this machine");
  }
}

async function npmPackages() {
  await packagesOf(".", "npm packages", () => {
    if (existsSync(path("node_modules", ".bin", "node"))) return;
    fail("npm left out the project's own Node, as it does with `ignore-scripts` set: unset that, and run this again.");
  });
}

/** Installs the packages of a folder's lock file; `check` looks at what came of it. */
export async function packagesOf(folder, what, check = () => {}) {
  const hash = createHash("sha256")
    .update(read(`${folder}/package-lock.json`))
    .digest("hex");
  const stamp = path(folder, "node_modules", ".installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;

  await step(what, "20 seconds", async () => {
    // Quiet unless it fails: on an older Node it warns about engines, for the packages that bring their own Node.
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
  const { channel, components, targets } = toolchain();
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

function toolchain() {
  const text = read("rust-toolchain.toml");
  const strings = (list) => [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1]);
  const list = (key) => strings(text.match(new RegExp(`^${key} = \\[(.*)\\]`, "m"))[1]);
  return { channel: text.match(/^channel = "([^"]+)"/m)[1], components: list("components"), targets: list("targets") };
}

async function cargoTools(wanted) {
  const installed = existsSync(path(".tools", ".crates.toml")) ? read(".tools/.crates.toml") : "";
  const missing = wanted.filter(([name, { version }]) => !installed.includes(`"${name} ${version} `));
  for (const [name, tool] of missing) await cargoTool(name, tool);
  rmSync(compiled, { recursive: true, force: true });
}

async function cargoTool(name, { version, minutes }) {
  await step(`${name} ${version}`, `${minutes} minutes`, async () => {
    const install = [
      "install",
      "--root",
      path(".tools"),
      "--target-dir",
      compiled,
      "--quiet",
      "--locked",
      name,
      "--version",
      version,
    ];
    // The tools' own lock files are what their authors tested. Without one, whatever was published last night would run here.
    const { code, stderr } = await capture("cargo", install);
    if (code === 0) return;
    fail(
      `${name} ${version} could not be installed with the versions it was released with, and no others are tried:\n\n${stderr.trim()}\n\n` +
        "If the network failed, run this again: it goes on where it stopped. If the registry has no such version, use one that does.",
    );
  });
}

async function step(what, duration, work) {
  const started = Date.now();
  console.log(`setup: installing ${what}, once (about ${duration})`);
  await work();
  console.log(`setup: installed ${what} (${seconds(started)})`);
}

runIfStarted(import.meta.url, () => setup({ deny: true }));
