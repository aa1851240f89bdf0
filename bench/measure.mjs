// Measures one case: in each round all competitors take turns, and each contributes one number.

import { performance } from "node:perf_hooks";

import { median, rotated } from "./statistics.mjs";

/**
 * Runs a case. A competitor has a `name`, `step`, which sends one request and checks the response, and `cpu`, the CPU
 * time of its process; or `name` and `start`, which creates `step` and `cpu` in each round. `warmUp` is the number of
 * requests before the measurement, `requests` the number per round and competitor. Returns the median latency and the
 * mean CPU time per request for each competitor and round, in milliseconds.
 */
export async function measure({ competitors, warmUp, rounds, requests }) {
  const measured = competitors.map(({ name }) => ({ name, wall: [], cpu: [] }));
  // After the warm-up, V8 has optimized the hot code.
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
