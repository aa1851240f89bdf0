// Reports the results as a Markdown table, as JSON and as a plot.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";

import { env, lockedVersion, path, read } from "../scripts/lib.mjs";
import { plot } from "./plot.mjs";
import { median, ratios, summary } from "./statistics.mjs";

/** The measurements of a case, the ratio of the first competitor to each other one, and whether it meets its target. */
export function compared(measured, targets, judgedBy) {
  const unknown = Object.keys(targets).find((name) => !measured.some((competitor) => competitor.name === name));
  if (unknown !== undefined) throw new Error(`the target names an unknown competitor: ${unknown}`);
  const [ours, ...others] = measured;
  const numbers = ({ name, wall, cpu }) => ({
    name,
    wall: summary(wall),
    cpu: cpu.length > 0 ? summary(cpu) : undefined,
  });
  const against = (other) => {
    const ratio = {
      wall: ratios(ours.wall, other.wall),
      cpu: other.cpu.length > 0 ? ratios(ours.cpu, other.cpu) : undefined,
    };
    const target = targets[other.name];
    const judged = ratio[judgedBy];
    return {
      ...numbers(other),
      ratio,
      target,
      met: target === undefined || judged === undefined ? undefined : judged.median <= target,
    };
  };
  return [numbers(ours), ...others.map(against)];
}

/** The results as a Markdown table, for docs/performance/benchmarks.md. */
export function table({ results }) {
  const hasCpu = results.some(({ competitors }) => competitors.some(({ cpu }) => cpu !== undefined));
  const columns = [
    "case",
    "",
    "latency, ms",
    ...(hasCpu ? ["CPU, ms"] : []),
    "ratio of latency",
    ...(hasCpu ? ["ratio of CPU"] : []),
    "target",
  ];
  const rows = results.flatMap(({ name: of, judgedBy, competitors }) =>
    competitors.map(({ name, wall, cpu, ratio, target, met }, at) => [
      at === 0 ? of : "",
      name,
      spread(wall),
      ...(hasCpu ? [spread(cpu)] : []),
      spread(ratio?.wall),
      ...(hasCpu ? [spread(ratio?.cpu)] : []),
      target === undefined
        ? ""
        : `${judgedBy === "cpu" ? "CPU" : "latency"} ≤ ${target}: ${{ true: "**met**", false: "**target missed**" }[met] ?? "not measured"}`,
    ]),
  );
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const note = hasCpu ? [] : ["", "This system does not report CPU time in nanoseconds, so it is not shown."];
  return [line(columns), `|${"---|".repeat(columns.length)}`, ...rows.map(line), ...note].join("\n");
}

const spread = (value) =>
  value === undefined ? "" : `${digits(value.median)} (${digits(value.low)}–${digits(value.high)})`;
const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/** The results of the floods as Markdown. Latencies are those of successful logins. */
export function floodTable(results) {
  const columns = [
    "beside",
    "logins of another user",
    "median, ms",
    "worst, ms",
    "refused",
    "how the flood was answered",
  ];
  const rows = results.map(({ name, others, flood }) => {
    const millis = others.filter(({ status }) => status === 200).map((one) => one.millis);
    const refused = others.map(({ status }) => status).filter((status) => status !== 200);
    const latency = (value) => (millis.length === 0 ? "" : value(millis).toFixed(0));
    return [
      name,
      String(others.length),
      latency(median),
      latency((all) => Math.max(...all)),
      byStatus(refused),
      byStatus(flood),
    ];
  });
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(columns), `|${"---|".repeat(columns.length)}`, ...rows.map(line)].join("\n");
}

/** The results of the attacks as Markdown. Latencies are those of successful logins. */
export function abuseTable(results) {
  const columns = [
    "attack",
    "how it was answered",
    "victim, known device: median (worst), ms",
    "another user: median (worst), ms",
    "D1 rows read",
    "D1 rows written",
    "KV writes",
    "memory, MiB",
  ];
  const latency = (logins) => {
    const millis = logins.filter((one) => one.kind === "200").map((one) => one.millis);
    const refused = logins.map((one) => one.kind).filter((kind) => kind !== "200");
    const times = millis.length === 0 ? [] : [`${median(millis).toFixed(0)} (${Math.max(...millis).toFixed(0)})`];
    return [...times, ...(refused.length === 0 ? [] : [`refused: ${counted(refused)}`])].join("; ");
  };
  const rows = results.map(({ name, answers, known, unknown, read, written, puts, memoryKib }) => [
    name,
    counted(answers),
    latency(known),
    latency(unknown),
    ...[read, written, puts].map(String),
    (memoryKib / 1024).toFixed(0),
  ]);
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(columns), `|${"---|".repeat(columns.length)}`, ...rows.map(line)].join("\n");
}

/** The latencies of wrong logins by the kind of name, as Markdown. */
export function namesTable(results) {
  const cell = (latencies) => (latencies.length > 0 ? spread(summary(latencies)) : "");
  const rows = results.map(({ name, judged, waiting, forgotten }) => [name, ...[judged, waiting, forgotten].map(cell)]);
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const head = ["name", "401, ms", "429 during a wait, ms", "/password/forgot, ms"];
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

/** Counts texts, in their order. */
function counted(texts) {
  const counts = Map.groupBy(texts.toSorted(), (text) => text);
  return [...counts].map(([text, all]) => `${text}: ${all.length}`).join(", ");
}

function byStatus(statuses) {
  const counts = Map.groupBy(
    statuses.toSorted((a, b) => a - b),
    (status) => status,
  );
  return [...counts].map(([status, all]) => `${status === 0 ? "no answer" : status}: ${all.length}`).join(", ");
}

/** The date, machine and versions of a run, in one sentence. */
export function where({ date, machine, versions }) {
  const { cpu, cores, memory_gib, os } = machine;
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${date.slice(0, 10)}, on ${cpu} with ${cores} cores and ${memory_gib} GiB, ${os}; ${used.join(", ")}.`;
}

/** The date, commit, machine and versions of this run. */
export function machine() {
  const version = (name, folder = "") => JSON.parse(read(`${folder}node_modules/${name}/package.json`)).version;
  const answer = (command, ...args) => spawnSync(command, args, { env, cwd: path(), encoding: "utf8" }).stdout?.trim();
  const peers = Object.keys(JSON.parse(read("bench/package.json")).devDependencies);
  return {
    date: new Date().toISOString(),
    commit: answer("git", "describe", "--always", "--dirty", "--abbrev=12"),
    machine: {
      cpu: cpus()[0]?.model.trim(),
      cores: availableParallelism(),
      memory_gib: Math.round(totalmem() / 2 ** 30),
      // Without the suffix of a custom kernel.
      os: `${type()} ${release().split("-")[0]}`,
    },
    versions: {
      node: process.version.slice(1),
      workerd: version("workerd"),
      wrangler: version("wrangler"),
      rustc: answer("rustc", "--version")?.split(" ")[1],
      "argon2 (crate)": lockedVersion("argon2"),
      "argon2-rust (crate)": lockedVersion("argon2-rust", "bench/native/Cargo.lock"),
      ...Object.fromEntries(peers.map((name) => [name, version(name, "bench/")])),
    },
  };
}

/** Writes the results into bench/results, which Git ignores. */
export async function write(report) {
  mkdirSync(path("bench", "results"), { recursive: true });
  writeFileSync(path("bench", "results", "latest.json"), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(path("bench", "results", "latest.svg"), await plot(report));
  console.log("\nbench: wrote bench/results/latest.json and bench/results/latest.svg");
}
