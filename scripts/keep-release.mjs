// Keeps the release build of the Worker as the release before, with which the tests of upgrades run the next one side by side.
//
//   node scripts/keep-release.mjs

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";

import { bundle } from "./build.mjs";
import { checkFlags, path, read, readToml, runIfStarted } from "./lib.mjs";
import { setup } from "./setup.mjs";

export const RELEASE_BEFORE = "tests/fixtures/release-before";

const usage = `node scripts/keep-release.mjs

Builds the Worker for release, and keeps it in ${RELEASE_BEFORE}.`;

async function main(args) {
  checkFlags(args, [], usage);
  await setup();
  await bundle("release");
  rmSync(path(RELEASE_BEFORE), { recursive: true, force: true });
  mkdirSync(path(RELEASE_BEFORE), { recursive: true });
  for (const name of readdirSync(path("dist")).filter((name) => /\.(js|wasm)$/.test(name))) {
    const contents = readFileSync(path("dist", name));
    const params = { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: contents.length };
    writeFileSync(path(RELEASE_BEFORE, `${name}.br`), brotliCompressSync(contents, { params }));
  }
  const sha256 = (name) => createHash("sha256").update(read(name)).digest("hex");
  const migrations = readdirSync(path("migrations")).sort();
  const release = {
    version: JSON.parse(read("package.json")).version,
    compatibility_date: readToml("wrangler.toml").compatibility_date,
    migrations: Object.fromEntries(migrations.map((name) => [name, sha256(`migrations/${name}`)])),
  };
  writeFileSync(path(RELEASE_BEFORE, "release.json"), `${JSON.stringify(release, null, 2)}\n`);
}

runIfStarted(import.meta.url, main, usage);
