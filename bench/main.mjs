// Runs the benchmark on the project's own Node. scripts/bench.mjs starts it after installation, optionally with
// `--quick`, followed by `--scale`, `--flood`, `--abuse` or the names of the cases.

import assert from "node:assert/strict";

import { CASES as NAMES } from "../scripts/bench.mjs";
import { runIfStarted } from "../scripts/lib.mjs";

async function main(args) {
  const quick = args[0] === "--quick";
  const names = quick ? args.slice(1) : args;
  if (names[0] === "--scale") {
    const { scale } = await import("./scale.mjs");
    await scale({ quick });
    return;
  }
  if (names[0] === "--flood") {
    const { flood } = await import("./flood.mjs");
    await flood({ quick });
    return;
  }
  if (names[0] === "--abuse") {
    const { abuse } = await import("./abuse.mjs");
    await abuse({ quick });
    return;
  }
  await compare(names, quick);
}

async function compare(names, quick) {
  // Imported here, because --scale, --flood and --abuse do not install the packages to compare with.
  const { CASES, Workers } = await import("./cases.mjs");
  const { measure } = await import("./measure.mjs");
  const { compared, machine, table, where, write } = await import("./report.mjs");
  assert.deepEqual(
    CASES.map(({ name }) => name),
    NAMES,
  );
  const cases = CASES.filter(({ name }) => names.includes(name));
  const workers = new Workers();
  const results = [];
  try {
    for (const {
      name,
      targets = {},
      requests,
      warmUp = 0,
      rounds: [few, many],
      competitors,
      judgedBy = "wall",
    } of cases) {
      console.error(`bench: ${name}`);
      const rounds = quick ? few : many;
      const compete = await competitors(workers);
      const measured = await measure({ competitors: compete, warmUp, rounds, requests });
      // Closes competitors that only this case needs.
      for (const { close } of compete) await close?.();
      results.push({ name, judgedBy, rounds, requests, competitors: compared(measured, targets, judgedBy) });
    }
  } finally {
    await workers.close();
  }
  const report = { ...machine(), results };
  console.log(`\n${where(report)}\n\n${table(report)}`);
  await write(report);
}

runIfStarted(import.meta.url, main);
