// A checkout in a temporary folder for the tests of the scripts, with stand-ins for npm, cargo and wrangler.

import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

import { capture, env, path } from "../../scripts/lib.mjs";

const COPIED = [
  "scripts",
  // Where it is, is where its commands find the checkout.
  "packages/portcullis",
  "package.json",
  "package-lock.json",
  "Cargo.toml",
  "Cargo.lock",
  "rust-toolchain.toml",
  "wrangler.toml",
];
const LINKED = ["src", "crates", "migrations", "packages/client", "packages/verify"];

export class Checkout {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "portcullis-checkout-"));
    for (const name of COPIED) cpSync(path(name), this.path(name), { recursive: true });
    // Without what is built.
    cpSync(path("web"), this.path("web"), { recursive: true, filter: (name) => name !== path("web", "dist") });
    this.link(...LINKED);
    mkdirSync(this.path("programs"));
  }

  path(...parts) {
    return join(this.folder, ...parts);
  }

  read(name) {
    return readFileSync(this.path(name), "utf8");
  }

  write(name, text) {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  /** Links to files of the real checkout. */
  link(...names) {
    for (const name of names) symlinkSync(path(name), this.path(name));
  }

  /** Adds a program that records its call and then runs `code`, JavaScript in which `args` and `write` are defined. */
  program(name, code = "") {
    const calls = JSON.stringify(this.path("calls.ndjson"));
    const lines = [
      "#!/usr/bin/env node",
      'import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";',
      'import { basename, dirname } from "node:path";',
      "const args = process.argv.slice(2);",
      "const write = (file, text) => (mkdirSync(dirname(file), { recursive: true }), writeFileSync(file, text));",
      `appendFileSync(${calls}, JSON.stringify({ program: basename(process.argv[1]), args, env: process.env }) + "\\n");`,
      code,
    ];
    this.write(name, lines.join("\n"));
    chmodSync(this.path(name), 0o755);
  }

  /** Adds a program that prints a text. It starts faster than one of `program`, and does not record its call. */
  printing(name, text) {
    this.write(name, `#!/bin/sh\nprintf '%s\\n' '${text}'\n`);
    chmodSync(this.path(name), 0o755);
  }

  /** The recorded calls to the programs. */
  calls() {
    if (!existsSync(this.path("calls.ndjson"))) return [];
    return this.read("calls.ndjson")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  /** A PATH in which the programs of this checkout precede those of the machine. */
  get env() {
    return { PATH: [this.path("programs"), process.env.PATH].join(delimiter) };
  }

  /** The command of that name. */
  command(name, ...args) {
    return [this.path("packages/portcullis/src/cli.mjs"), name, ...args];
  }

  /** Runs Node in this checkout. */
  node(args, more = {}) {
    return capture(process.execPath, args, { cwd: this.folder, env: { ...env, ...this.env, ...more } });
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Adds stand-ins for every program that the setup uses. `cargo` is the JavaScript that the stand-in for cargo runs. */
export function withInstallers(checkout, { cargo = "" } = {}) {
  mkdirSync(checkout.path("node_modules"));
  const packages = ["@esbuild", "esbuild", "preact", "smol-toml", "swagger-ui-dist"];
  checkout.link(...packages.map((name) => `node_modules/${name}`));
  checkout.program("programs/npm", 'write("node_modules/.bin/node", "");');
  checkout.program(
    "programs/rustup",
    'if (args[0] === "component" && args[1] === "list") console.log("rustc-x\\ncargo-x");',
  );
  checkout.program("programs/cargo", cargo);
}
