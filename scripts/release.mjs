// Builds the npm packages as they are released: the package `portcullis`, with the built Worker, its static assets, its migrations and
// the rules, and the packages for browsers and API servers. Writes their archives and a file of checksums.

import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { build, buildRules } from "./build.mjs";
import { fail, misused, namedFile, path, read, runIfStarted, say, seconds } from "./lib.mjs";
import { npmPack, pack, packages } from "./packages.mjs";
import { packagesOf, setup } from "./setup.mjs";

const usage = `npm run release [-- FOLDER]

Builds the npm package portcullis, which needs neither Rust nor a compiler, and those for browsers and API servers. Writes their
archives and SHA256SUMS to FOLDER, or else build/packages. Publishes nothing.`;

const NAME = "portcullis";
/** Where the package is in a project. */
const INSTALLED = `node_modules/${NAME}`;

/** The wrangler.toml of a new project: that of the repository, with the paths of the package, and without what builds the Worker. */
export function template(toml) {
  const changes = /** @type {const} */ ([
    [/^main = ".*"$/m, `main = "${INSTALLED}/dist/worker/index.js"`],
    [/^\[build\]\n(?:.+\n)+\n/m, ""],
    [/^directory = "web\/dist"$/m, `directory = "${INSTALLED}/dist/assets"`],
    [/^migrations_dir = "migrations"$/m, `migrations_dir = "${INSTALLED}/dist/migrations"`],
  ]);
  let text = toml;
  for (const [pattern, replacement] of changes) {
    if (!pattern.test(text)) fail(`wrangler.toml has nothing like ${pattern}`);
    text = text.replace(pattern, replacement);
  }
  const note = `# The folder docs/ that the comments name is ${INSTALLED}/docs/.\n`;
  return note + text.replaceAll(/`npm run ([a-z]+)(?: --)?/g, `\`npx ${NAME} $1`);
}

/** Writes the archive of the package `portcullis` to a folder, from a Worker and rules that are built. Returns its path. */
export async function packCommand(folder, { worker = "release", rules = "rules-release" } = {}) {
  const staged = mkdtempSync(join(tmpdir(), "portcullis-release-"));
  try {
    const copy = (from, ...to) => cpSync(path(...from), join(staged, ...to), { recursive: true });
    for (const name of ["package.json", "README.md", "src"]) copy(["packages", NAME, name], name);
    for (const name of ["CHANGELOG.md", "LICENSE", "docs"]) copy([name], name);
    copy(["migrations"], "dist", "migrations");
    copy(["web", "dist"], "dist", "assets");
    copy(["src", "store", "sql"], "dist", "sql");
    for (const name of ["index.js", "index_bg.wasm"]) {
      copy(["build", worker, name], "dist", "worker", name);
      copy(["build", rules, name], "dist", "rules", name);
    }
    writeFileSync(join(staged, "dist", "wrangler.toml"), template(read("wrangler.toml")));
    return await npmPack(staged, folder);
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

/** The SHA-256 of files, in the format that `sha256sum --check` reads. */
export const sums = (files) =>
  files.map((file) => `${createHash("sha256").update(readFileSync(file)).digest("hex")}  ${basename(file)}\n`).join("");

async function main(args) {
  const unknown = args.find((arg, index) => index > 0 || arg.startsWith("-"));
  if (unknown !== undefined) misused(`unknown argument ${unknown}`);
  await setup();
  await packagesOf("tests", "the packages of the tests");
  await build("release");
  await buildRules("rules-release");
  const started = Date.now();
  const folder = args[0] === undefined ? path("build", "packages") : namedFile(args[0]);
  mkdirSync(folder, { recursive: true });
  const archives = [await packCommand(folder)];
  for (const name of packages()) archives.push(await pack(name, folder));
  writeFileSync(join(folder, "SHA256SUMS"), sums(archives));
  say(`packed (${seconds(started)})`);
  for (const file of [...archives, join(folder, "SHA256SUMS")]) console.log(file);
}

runIfStarted(import.meta.url, main, usage);
