// `npm run bench`: how fast Portcullis is beside what one would use instead, all in local workerd. Prints a table, and
// writes it as JSON and as a plot into bench/results/. The peers are installed here, not with everything else.
//
//   npm run bench -- --quick           fewer rounds
//   npm run bench -- --case refresh    only the cases whose names match
//   npm run bench -- --scale           a million users instead; see docs/scale.md

import { parseArgs } from "node:util";

import { bundle } from "./build.mjs";
import { Failure, run, runIfStarted } from "./lib.mjs";
import { packagesOf, setup } from "./setup.mjs";

const USAGE = "npm run bench -- [--quick] [--case NAME | --scale]";
const options = { quick: { type: "boolean" }, case: { type: "string" }, scale: { type: "boolean" } };

async function main(args) {
  checkArguments(args);
  await setup();
  await bundle();
  if (!args.includes("--scale")) await packagesOf("bench", "what Portcullis is compared with");
  // On the project's own Node, which may be newer than the one that runs this.
  await run("node", ["bench/main.mjs", ...args]);
}

function checkArguments(args) {
  try {
    const { values } = parseArgs({ args, options });
    if (values.scale && values.case !== undefined) throw new TypeError("--scale has no cases");
  } catch (error) {
    throw Object.assign(new Failure(`${error.message}\nusage: ${USAGE}`), { exitCode: 2 });
  }
}

runIfStarted(import.meta.url, main);
