// Where the commands find what they need. In a checkout of the repository, the Worker and the rules are built from source when they
// are needed, by scripts/. In the npm package they are in dist/, which `npm run release` fills.
//
// Everything here works on Node 18, because the first command in a checkout runs before the project's own Node is installed.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { fail } from "./failure.mjs";

/** The folder of this package. */
export const home = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(home, "dist");
const checkout = join(home, "..", "..");
/** Whether this is the npm package. A checkout has no dist/ here. */
export const isPackage = existsSync(dist);

/** The folder with wrangler.toml and .dev.vars: the checkout, or the user's project. */
export const project = isPackage ? process.cwd() : checkout;
export const path = (...parts) => join(project, ...parts);
/** A file of the project. */
export const read = (name) => readFileSync(path(name), "utf8");
/** Resolves a file argument relative to the folder in which npm was called; npm runs scripts in the project's folder. */
export const namedFile = (name) => resolve(process.env.INIT_CWD ?? ".", name);

/** The Worker's statements. */
export const statements = isPackage ? join(dist, "sql") : path("src", "store", "sql");
/** The configuration of a new project. Only the package has it. */
export const template = join(dist, "wrangler.toml");

/** Where a page of the documentation is. */
export const docs = (page) => `${isPackage ? "node_modules/portcullis/" : ""}docs/${page}`;

/** How a command is called here. */
export function called(name, args = "") {
  if (isPackage) return ["npx portcullis", name, args].filter(Boolean).join(" ");
  // npm would write its own lines to the file.
  const silent = args.includes("> ") ? "--silent " : "";
  return `npm run ${silent}${name}${args === "" || args.startsWith("> ") ? "" : " --"} ${args}`.trim();
}

/** Fails if npm would write its own lines to the file to which the output of a command goes. */
export function checkSilent(name, form) {
  const { npm_lifecycle_event: running, npm_config_loglevel: level } = process.env;
  if (running === name && level !== "silent" && !process.stdout.isTTY)
    fail(`without --silent, npm writes its own lines to the file: ${called(name, form)}`);
}

/** A module in scripts/ of the checkout. */
const script = (name) => import(pathToFileURL(join(checkout, "scripts", name)).href);

/** Installs the npm packages, unless they are installed. */
export async function packages() {
  if (isPackage) return checkProject();
  await (await script("setup.mjs")).npmPackages();
}

/** Installs everything that a command needs, unless it is installed. */
export async function setup() {
  if (isPackage) return checkProject();
  await (await script("setup.mjs")).setup();
}

function checkProject() {
  if (!existsSync(path("wrangler.toml")))
    fail(
      `there is no wrangler.toml in ${project}: change to the folder of a project, or make one with ${called("init")}`,
    );
}

/**
 * Builds the Worker in a profile, dev or release, unless it is built. Returns the arguments and options with which wrangler uses it
 * instead of that in wrangler.toml.
 * @returns {Promise<{ script: string[], options: { env?: Record<string, string> } }>}
 */
export async function worker(profile) {
  if (isPackage) return { script: [], options: {} };
  const { build, wranglerBuild } = await script("build.mjs");
  await build(profile);
  const { script: file, options } = wranglerBuild(profile);
  return { script: [file], options };
}

/** The URL of the rules as a module, which are compiled unless they are. With `quiet`, prints no message. */
export async function rulesUrl({ quiet = false } = {}) {
  if (isPackage) return pathToFileURL(join(dist, "rules", "index.js")).href;
  await (await script("build.mjs")).buildRules("rules", { quiet });
  return pathToFileURL(path("build", "rules", "index.js")).href;
}
