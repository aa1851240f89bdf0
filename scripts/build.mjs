// Compiles the Worker to WebAssembly, into build/. Wrangler calls this too ([build] in wrangler.toml), so it is
// skipped when nothing that goes into it has changed.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import { checkFlags, env, path, read, run, runIfStarted, seconds, wrangler } from "./lib.mjs";
import { setup, tools } from "./setup.mjs";

const usage = `npm run build

Compiles the Worker into build/, unless it is there already and nothing that goes into it has changed.`;

const stamp = path("build", ".inputs");
const outputs = ["index.js", "index_bg.wasm"].map((name) => path("build", name));

export async function build() {
  const inputs = buildInputs();
  if (outputs.every(existsSync) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;

  const started = Date.now();
  console.log("build: compiling the Worker (1 to 2 minutes the first time)");
  rmSync(stamp, { force: true });
  await run(path(".tools", "bin", "worker-build"), ["--release"], {
    env: {
      ...env,
      // Of a compile error the message is enough.
      RUST_BACKTRACE: "0",
      // worker-build downloads whichever of these it is not given.
      WASM_BINDGEN_BIN: path(".tools", "bin", "wasm-bindgen"),
      WASM_OPT_BIN: path("node_modules", ".bin", "wasm-opt"),
      ESBUILD_BIN: path("scripts", "esbuild.mjs"),
    },
  });
  mkdirSync(path("build"), { recursive: true });
  // What was there before the build began: a file saved while it ran makes the next build run again.
  writeFileSync(stamp, inputs);
  console.log(`build: done (${seconds(started)})`);
}

/** Builds, and bundles what wrangler would upload, into dist/. */
export async function bundle() {
  await build();
  const bundled = path("build", ".dist-inputs");
  const inputs = `${buildInputs()}\n${read("wrangler.toml")}`;
  if (existsSync(path("dist")) && existsSync(bundled) && readFileSync(bundled, "utf8") === inputs) return;

  rmSync(bundled, { force: true });
  rmSync(path("dist"), { recursive: true, force: true });
  await wrangler(["deploy", "--dry-run", "--outdir", "dist"]);
  writeFileSync(bundled, inputs);
}

/** A hash over everything that goes into the build. */
export function buildInputs() {
  const hash = createHash("sha256");
  const settings = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml", "package-lock.json"];
  const crates = ["argon2-simd128", "core"].flatMap((name) => [
    `crates/${name}/Cargo.toml`,
    ...filesUnder(`crates/${name}/src`),
  ]);
  const files = [
    ...settings,
    "scripts/build.mjs",
    "scripts/entry.mjs",
    "scripts/esbuild.mjs",
    ...crates,
    ...filesUnder("src"),
  ];
  for (const name of files.filter((name) => existsSync(path(name)))) {
    hash.update(`\0${name}\0`).update(readFileSync(path(name)));
  }
  return hash.update(`\0${JSON.stringify(tools())}\0${process.env.RUSTFLAGS ?? ""}`).digest("hex");
}

/** The project's files under a folder, in an order that does not depend on the machine. */
export function filesUnder(dir) {
  return readdirSync(path(dir), { withFileTypes: true })
    .filter(({ name }) => name !== "node_modules")
    .flatMap((entry) => (entry.isDirectory() ? filesUnder(`${dir}/${entry.name}`) : [`${dir}/${entry.name}`]))
    .sort();
}

async function main(args) {
  checkFlags(args, [], usage);
  await setup();
  await build();
}

runIfStarted(import.meta.url, main, usage);
