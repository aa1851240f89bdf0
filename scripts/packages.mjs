// Builds the npm packages for browsers and API servers in packages/: JavaScript by esbuild, declarations by the TypeScript of the tests, and the archives that
// `npm publish` uploads.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { capture, fail, misused, namedFile, path, read, run, runIfStarted } from "./lib.mjs";
import { npmPackages, packagesOf } from "./setup.mjs";

const usage = `npm run packages [-- FOLDER]

Builds the packages for browsers and API servers in packages/, and writes their archives for \`npm publish\` to FOLDER, or else build/packages.`;

/** The folders in packages/ that are compiled. scripts/release.mjs packs the other one. */
export const packages = () =>
  readdirSync(path("packages")).filter((name) => existsSync(path("packages", name, "tsconfig.json")));

/**
 * Writes the archive of a package to a folder, and returns its path. It is built in a temporary folder, so that several
 * processes can do so at once.
 */
export async function pack(name, folder) {
  const source = path("packages", name);
  const staged = mkdtempSync(join(tmpdir(), "portcullis-package-"));
  try {
    const dist = join(staged, "dist");
    await run(
      "esbuild",
      [
        ...entryPoints(name),
        ...["--bundle", "--splitting", "--packages=external", "--format=esm", "--target=es2022"],
        ...[`--outdir=${dist}`, "--outbase=src", "--log-level=warning"],
      ],
      { cwd: source },
    );
    const tsc = path("tests", "node_modules", ".bin", "tsc");
    await run(tsc, ["--project", "tsconfig.json", "--outDir", dist], { cwd: source });
    for (const file of ["package.json", "README.md"]) copyFileSync(join(source, file), join(staged, file));
    copyFileSync(path("LICENSE"), join(staged, "LICENSE"));
    return await npmPack(staged, folder);
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

/** Writes the archive of the package in a folder to another, and returns its path. */
export async function npmPack(staged, folder) {
  mkdirSync(folder, { recursive: true });
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const { code, stdout, stderr } = await capture("npm", args, { cwd: staged });
  if (code !== 0) fail(`\`npm pack\` failed:\n${stderr}`);
  const [{ filename }] = JSON.parse(stdout);
  return join(folder, filename);
}

/** The sources of what a package exports. */
function entryPoints(name) {
  const { exports } = JSON.parse(read(`packages/${name}/package.json`));
  const files = Object.values(exports).map((target) => target.default);
  return files.map((file) => file.replace("./dist/", "src/").replace(/\.js$/, ".ts"));
}

/** Installs a package as packed in a folder's node_modules, without its dependencies. Returns where. */
export async function install(name, folder) {
  const { name: full } = JSON.parse(read(`packages/${name}/package.json`));
  const target = join(folder, "node_modules", full);
  mkdirSync(target, { recursive: true });
  const archive = await pack(name, folder);
  await run("tar", ["-xzf", archive, "-C", target, "--strip-components=1"]);
  return target;
}

async function main(args) {
  const [folder] = args;
  const unknown = args.find((arg, index) => index > 0 || arg.startsWith("-"));
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
  await npmPackages();
  await packagesOf("tests", "the packages of the tests");
  const target = folder === undefined ? path("build", "packages") : namedFile(folder);
  for (const name of packages()) console.log(await pack(name, target));
}

runIfStarted(import.meta.url, main, usage);
