// Shared by all scripts: the project's paths and environment, running commands, and errors. The commands of packages/portcullis
// use the same.
// Everything here works on Node 18 and later, because the first run happens before the project's own Node is installed.

import { existsSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

import { readToml } from "../packages/portcullis/src/config.mjs";
import { fail, misused, report } from "../packages/portcullis/src/failure.mjs";
import { path } from "../packages/portcullis/src/place.mjs";
import { env } from "../packages/portcullis/src/programs.mjs";

export { DEFAULTS, readToml, variable } from "../packages/portcullis/src/config.mjs";
export { Failure, fail, misused } from "../packages/portcullis/src/failure.mjs";
export { heading, say, seconds } from "../packages/portcullis/src/output.mjs";
export { namedFile, path, read } from "../packages/portcullis/src/place.mjs";
export { capture, env, run, tee, wrangler } from "../packages/portcullis/src/programs.mjs";

/** npm must not run on the Node in the folder that it replaces. */
export const envWithoutNpmBin = { ...env, PATH: env.PATH.split(delimiter).slice(1).join(delimiter) };

/**
 * Runs `main` if the calling file was started as a script, not imported. With --help it prints the usage instead: the forms of
 * the command, an empty line, and their description.
 * @param {string} url
 * @param {(args: any) => unknown} main
 * @param {string} [usage]
 */
export async function runIfStarted(url, main, usage) {
  if (!process.argv[1] || url !== pathToFileURL(realpathSync(process.argv[1])).href) return;
  const args = process.argv.slice(2);
  if (usage !== undefined && args.some((arg) => arg === "--help" || arg === "-h"))
    return console.log(`usage: ${usage}`);
  try {
    await main(args);
  } catch (error) {
    report(error, usage);
  }
}

/** Fails with the usage if an argument is unknown. */
export function checkFlags(args, known, usage) {
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
}

export function onPath(program) {
  return env.PATH.split(delimiter).some((dir) => existsSync(join(dir, program)));
}

/** The project's files in a folder and its subfolders, sorted so that the order is the same on every machine. */
export function filesUnder(dir) {
  return readdirSync(path(dir), { withFileTypes: true })
    .filter(({ name }) => name !== "node_modules")
    .flatMap((entry) => (entry.isDirectory() ? filesUnder(`${dir}/${entry.name}`) : [`${dir}/${entry.name}`]))
    .sort();
}

/** The version of a crate in Cargo.lock, or in another lock file. */
export function lockedVersion(crate, file = "Cargo.lock") {
  const { version } =
    readToml(file).package.find(({ name }) => name === crate) ?? fail(`${file} does not name ${crate}`);
  return version;
}
