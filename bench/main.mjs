// Runs the benchmark on the project's own Node. scripts/bench.mjs starts it after installation, optionally with
// `--quick`, followed by `--scale`, `--flood`, `--abuse` or, after an optional `--before=FOLDER`, the names of the cases.

import assert from "node:assert/strict";

import { CASES as NAMES } from "../scripts/bench.mjs";
import { runIfStarted } from "../scripts/lib.mjs";

const BEFORE = "--before=";

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
  const before = names[0]?.startsWith(BEFORE) ? names.shift().slice(BEFORE.length) : undefined;
  await compare(names, quick, before);
}

async function compare(names, quick, before) {
  // Imported here, because --scale, --flood and --abuse do not install the packages to compare with.
  const { CASES, competitors, Workers } = await import("./cases.mjs");
  const { measure } = await import("./measure.mjs");
  const { compared, machine, table, where, write } = await import("./report.mjs");
  assert.deepEqual(
    CASES.map(({ name }) => name),
    NAMES,
  );
  const cases = CASES.filter(({ name, own }) => names.includes(name) && (own || !before));
  const workers = new Workers({ before });
  const results = [];
  try {
    for (const benchmark of cases) {
      const {
        name,
        requests,
        warmUp = 0,
        rounds: [few, many],
        judgedBy = "wall",
      } = benchmark;
      // Those of the build before are met by any build.
      const targets = before ? {} : (benchmark.targets ?? {});
      console.error(`bench: ${name}`);
      const rounds = quick ? few : many;
      const compete = await competitors(benchmark, workers, before);
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
