// Measures one case: its competitors take turns, round by round, and each round is one number of each.

import { performance } from "node:perf_hooks";

import { median, rotated } from "./statistics.mjs";

/**
 * Runs a case. Each of its competitors is a `name` and a `step`, one request with its check, and `cpu`, the CPU time of its
 * process; or a `name` and `start`, which makes those anew for every round. `warmUp`, `rounds` and `requests` (a round and
 * competitor) say how often. Returns of each competitor by round the median latency and the mean CPU time of a request, in
 * milliseconds.
 */
export async function measure({ competitors, warmUp, rounds, requests }) {
  const measured = competitors.map(({ name }) => ({ name, wall: [], cpu: [] }));
  // V8 has compiled what is hot by then.
  for (const { step } of competitors) for (let i = 0; i < warmUp; i += 1) await step();
  for (let round = 0; round < rounds; round += 1) {
    for (const at of rotated(competitors.keys().toArray(), round)) {
      const { wall, cpu } = await measureRound(competitors[at], requests);
      measured[at].wall.push(wall);
      if (cpu !== undefined) measured[at].cpu.push(cpu);
    }
  }
  return measured;
}

async function measureRound(competitor, requests) {
  if (competitor.start) {
    const started = await competitor.start();
    return measureRound(started, requests).finally(() => started.close());
  }
  const { step, cpu } = competitor;
  const latencies = [];
  const cpuBefore = cpu();
  for (let i = 0; i < requests; i += 1) {
    const began = performance.now();
    await step();
    latencies.push(performance.now() - began);
  }
  const cpuAfter = cpu();
  return { wall: median(latencies), cpu: cpuBefore === undefined ? undefined : (cpuAfter - cpuBefore) / requests };
}
