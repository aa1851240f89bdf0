// The benchmark itself, on the project's own Node. `npm run bench` (scripts/bench.mjs) starts it once all is installed.

import { parseArgs } from "node:util";

import { runIfStarted } from "../scripts/lib.mjs";
import { CASES, Workers } from "./cases.mjs";
import { measure } from "./measure.mjs";
import { compared, machine, table, write } from "./report.mjs";

export const OPTIONS = {
  // Fewer rounds, under a minute and a half.
  quick: { type: "boolean", default: false },
  // Only the cases whose names have this in them.
  case: { type: "string" },
  // Not the comparison, but what happens with many users (bench/scale.mjs).
  scale: { type: "boolean", default: false },
};

async function main(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  if (values.scale) return (await import("./scale.mjs")).scale({ quick: values.quick });

  const chosen = CASES.filter(({ name }) => name.includes(values.case ?? ""));
  const workers = new Workers();
  const results = [];
  try {
    for (const { name, bars = {}, requests, warmUp = 0, rounds: [few, many], competitors, judgedBy = "wall" } of chosen) {
      console.error(`bench: ${name}`);
      const rounds = values.quick ? few : many;
      const measured = await measure({ competitors: await competitors(workers), warmUp, rounds, requests });
      results.push({ name, judgedBy, rounds, requests, competitors: compared(measured, bars, judgedBy) });
    }
  } finally {
    await workers.close();
  }
  const report = { ...machine(), results };
  console.log(`\n${table(report)}`);
  write(report);
}

runIfStarted(import.meta.url, main);
