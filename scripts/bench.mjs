// `npm run bench`: compares the speed of Portcullis with alternatives, all in local workerd. Prints a table and writes it as
// JSON and as a plot to bench/results/. The packages to compare with are installed here, not by setup.mjs.
//
//   npm run bench -- --quick           fewer rounds
//   npm run bench -- --case refresh    only the cases whose names contain this
//   npm run bench -- --before FOLDER   compares with another build of Portcullis: a copy of dist/
//   npm run bench -- --scale           a database of a million users; see docs/performance/scale.md
//   npm run bench -- --flood           logins of another user during a flood; see docs/reference/cut-off-requests.md
//   npm run bench -- --abuse           attacks on logins; see docs/performance/benchmarks.md

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { bundle } from "./build.mjs";
import { misused, run, runIfStarted } from "./lib.mjs";
import { packagesOf, setup } from "./setup.mjs";

const USAGE = `npm run bench -- [--quick] [[--case NAME] [--before FOLDER] | --scale | --flood | --abuse]

Compares the speed of Portcullis with alternatives, all on this machine.
  --quick            fewer rounds
  --case NAME        only the cases whose names contain NAME
  --before FOLDER    compares with another build of Portcullis instead: a copy of its folder dist
  --scale            measures a database of a million users instead
  --flood            measures logins of another user during a flood instead
  --abuse            measures attacks on logins instead`;
const OPTIONS = /** @type {const} */ ({
  quick: { type: "boolean" },
  case: { type: "string", multiple: false },
  before: { type: "string", multiple: false },
  scale: { type: "boolean" },
  flood: { type: "boolean" },
  abuse: { type: "boolean" },
});
/** The options that measure something else than the cases. */
const MODES = /** @type {const} */ (["scale", "flood", "abuse"]);
/** The names of the cases. bench/cases.mjs can be imported only after installation; bench/main.mjs checks that these match. */
export const CASES = [
  "hash",
  "hash, first in a fresh isolate",
  "refresh",
  "/verify",
  "/me",
  "register",
  "login",
  "a forged refresh token",
  "a forged access token",
];

async function main(args) {
  const { quick, case: part, before, ...values } = parse(args);
  const mode = MODES.find((name) => values[name]);
  await setup();
  await bundle("release");
  if (mode === undefined) await packagesOf("bench", "the packages of the benchmark");
  // The project's own Node may be newer than the one that runs this script.
  const flags = [
    ...(quick ? ["--quick"] : []),
    ...(before === undefined ? [] : [`--before=${resolve(before)}`]),
    ...(mode === undefined ? matching(part) : [`--${mode}`]),
  ];
  await run("node", ["bench/main.mjs", ...flags]);
}

function parse(args) {
  try {
    const { values } = parseArgs({ args, options: OPTIONS });
    const modes = MODES.filter((name) => values[name]).map((name) => `--${name}`);
    if (modes.length > 1) throw new TypeError(`${modes.join(" and ")} exclude each other`);
    if (modes.length > 0 && values.case !== undefined) throw new TypeError(`${modes[0]} has no cases`);
    if (modes.length > 0 && values.before !== undefined) throw new TypeError(`${modes[0]} compares no builds`);
    if (values.before !== undefined && !existsSync(join(values.before, "index.js")))
      throw new TypeError(`${values.before} has no build: it must be a copy of the folder dist`);
    if (matching(values.case).length === 0) throw new TypeError(`no case matches ${values.case}: ${CASES.join("; ")}`);
    return values;
  } catch (error) {
    misused(error.message, USAGE);
  }
}

const matching = (part = "") => CASES.filter((name) => name.includes(part));

runIfStarted(import.meta.url, main, USAGE);
