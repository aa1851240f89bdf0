// `npm run bench`: how fast Portcullis is beside what one would use instead, all in local workerd. Prints a table, and
// writes it as JSON and as a plot into bench/results/. The peers are installed here, not with everything else.
//
//   npm run bench -- --quick           fewer rounds
//   npm run bench -- --case refresh    only the cases whose names match
//   npm run bench -- --scale           a million users instead; see docs/performance/scale.md
//   npm run bench -- --flood           somebody's logins beside a flood instead; see docs/reference/cut-off-requests.md

import { parseArgs } from "node:util";

import { bundle } from "./build.mjs";
import { misused, run, runIfStarted } from "./lib.mjs";
import { packagesOf, setup } from "./setup.mjs";

const USAGE = `npm run bench -- [--quick] [--case NAME | --scale | --flood]

Measures Portcullis beside what one would use instead, all on this machine.
  --quick        fewer rounds
  --case NAME    only the cases with that in their names
  --scale        a million users instead
  --flood        somebody else's logins beside a flood instead`;
const OPTIONS = /** @type {const} */ ({
  quick: { type: "boolean" },
  case: { type: "string", multiple: false },
  scale: { type: "boolean" },
  flood: { type: "boolean" },
});
/** The names of the cases, whose file can be read only once all is installed; bench/main.mjs checks that these are they. */
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
  const { scale, flood, quick, case: part } = parse(args);
  await setup();
  await bundle("release");
  if (!scale && !flood) await packagesOf("bench", "what Portcullis is compared with");
  // On the project's own Node, which may be newer than the one that runs this.
  const flags = [...(quick ? ["--quick"] : []), ...(scale ? ["--scale"] : flood ? ["--flood"] : chosen(part))];
  await run("node", ["bench/main.mjs", ...flags]);
}

function parse(args) {
  try {
    const { values } = parseArgs({ args, options: OPTIONS });
    const instead = ["scale", "flood"].filter((name) => values[name]).map((name) => `--${name}`);
    if (instead.length > 1) throw new TypeError("--scale and --flood are run one at a time");
    if (instead.length > 0 && values.case !== undefined) throw new TypeError(`${instead[0]} has no cases`);
    if (chosen(values.case).length === 0) throw new TypeError(`no case is called ${values.case}: ${CASES.join("; ")}`);
    return values;
  } catch (error) {
    misused(error.message, USAGE);
  }
}

const chosen = (part = "") => CASES.filter((name) => name.includes(part));

runIfStarted(import.meta.url, main, USAGE);
