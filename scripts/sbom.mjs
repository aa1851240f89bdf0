// `npm run sbom`: lists what the released Worker and its pages consist of, in two files of CycloneDX: the crates, by cargo-cyclonedx,
// and the npm packages, by npm. Part of a release, not of `npm test`: cargo-cyclonedx takes three minutes to compile.

import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { capture, env, fail, filesUnder, misused, namedFile, path, readToml, run, runIfStarted } from "./lib.mjs";
import { cargoTool, setup } from "./setup.mjs";

const usage = `npm run sbom [-- FOLDER]

Writes portcullis-rust.cdx.json and portcullis-npm.cdx.json, the lists of crates and npm packages (SBOM), to FOLDER, or else
build/packages.`;

const CARGO_CYCLONEDX = "0.5.9";

async function main(args) {
  const unknown = args.find((arg, index) => index > 0 || arg.startsWith("-"));
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
  await setup();
  await cargoTool("cargo-cyclonedx", CARGO_CYCLONEDX, "3 minutes");
  const folder = args[0] === undefined ? path("build", "packages") : namedFile(args[0]);
  mkdirSync(folder, { recursive: true });
  const crates = join(folder, "portcullis-rust.cdx.json");
  await listCrates(crates);
  const packages = join(folder, "portcullis-npm.cdx.json");
  await listPackages(packages);
  for (const file of [crates, packages]) console.log(file);
}

/**
 * Lists the crates of the Worker, and those that only crates/openapi needs, because cargo resolves the features of a whole workspace. The
 * tool writes a file beside each Cargo.toml.
 */
async function listCrates(file) {
  const name = "portcullis-sbom";
  const target = readToml("rust-toolchain.toml").toolchain.targets[0];
  const what = ["--format", "json", "--spec-version", "1.5", "--target", target, "--no-build-deps"];
  try {
    await run(
      path(".tools", "bin", "cargo-cyclonedx"),
      ["cyclonedx", "--quiet", ...what, "--override-filename", name],
      { env },
    );
    renameSync(path(`${name}.json`), file);
  } finally {
    const written = ["bench", "crates", "examples"]
      .flatMap(filesUnder)
      .filter((found) => found.endsWith(`/${name}.json`));
    for (const found of [...written, `${name}.json`]) rmSync(path(found), { force: true });
  }
}

/** Lists the npm packages, of which those for the pages and the command are released. */
async function listPackages(file) {
  const { code, stdout, stderr } = await capture("npm", ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], {
    env,
  });
  if (code !== 0) fail(`\`npm sbom\` failed, which needs npm 10:\n${stderr}`);
  writeFileSync(file, stdout);
}

runIfStarted(import.meta.url, main, usage);
