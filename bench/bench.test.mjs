// Tests the evaluation of benchmark results. It measures nothing, because other tests would distort the numbers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { capture } from "../scripts/lib.mjs";
import { chart } from "./plot.mjs";
import { abuseTable, compared, floodTable, namesTable, table, where } from "./report.mjs";
import { median, quantile, ratios, rotated, summary } from "./statistics.mjs";

test("a quantile lies between the two nearest values", () => {
  assert.equal(quantile([10, 40, 20, 30], 0.25), 17.5);
  assert.deepEqual(
    [0, 0.5, 1].map((part) => quantile([3, 1, 2], part)),
    [1, 2, 3],
  );
  assert.equal(quantile([7], 0.9), 7);
  assert.throws(() => quantile([], 0.5), RangeError);
});

test("numbers are sorted numerically, and the input does not change", () => {
  const values = [100, 9, 5];
  assert.equal(median(values), 9);
  assert.deepEqual(values, [100, 9, 5]);
});

test("a summary has the median and the quartiles", () => {
  assert.deepEqual(summary([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4 });
});

test("ratios are computed per round, so that the slowdown of a whole round cancels out", () => {
  const theirs = [10, 100, 20, 30];
  assert.deepEqual(
    ratios(
      theirs.map((value) => value / 2),
      theirs,
    ),
    { median: 0.5, low: 0.5, high: 0.5 },
  );
  // The ratio of the medians would be 1.
  assert.equal(ratios([1, 2, 3], [3, 1, 2]).median, 1.5);
  assert.throws(() => ratios([1, 2], [1]), RangeError);
});

test("in one round per competitor, each competitor has every position once", () => {
  const rounds = [0, 1, 2].map((round) => rotated(["a", "b", "c"], round));
  assert.deepEqual(rounds, [
    ["a", "b", "c"],
    ["b", "c", "a"],
    ["c", "a", "b"],
  ]);
  assert.deepEqual(rotated(["a", "b", "c"], 4), rounds[1]);
});

const MEASURED = [
  { name: "Portcullis", wall: [1, 2, 3], cpu: [1, 1, 1] },
  { name: "bare", wall: [1, 1, 2], cpu: [4, 4, 4] },
  { name: "<other>", wall: [10, 10, 10], cpu: [1, 1, 1] },
];

test("a target is the maximum of the median ratio of latency or CPU time over the rounds", () => {
  const met = (targets, by) => compared(MEASURED, targets, by).map((competitor) => competitor.met);
  assert.deepEqual(met({ bare: 1.5, "<other>": 0.19 }, "wall"), [undefined, true, false]);
  assert.deepEqual(met({ bare: 0.24 }, "cpu"), [undefined, false, undefined]);
  assert.throws(() => met({ unknown: 1 }, "wall"), /unknown/);
});

test("the table shows for each target whether it is met, and omits what was not measured", () => {
  const lines = (measured, by) =>
    table({ results: [{ name: "case", judgedBy: by, competitors: compared(measured, { bare: 1.4 }, by) }] }).split(
      "\n",
    );
  assert.deepEqual(lines(MEASURED, "wall").slice(2), [
    "| case | Portcullis | 2.00 (1.50–2.50) | 1.00 (1.00–1.00) |  |  |  |",
    "|  | bare | 1.00 (1.00–1.50) | 4.00 (4.00–4.00) | 1.50 (1.25–1.75) | 0.25 (0.25–0.25) | latency ≤ 1.4: **target missed** |",
    "|  | <other> | 10.0 (10.0–10.0) | 1.00 (1.00–1.00) | 0.20 (0.15–0.25) | 1.00 (1.00–1.00) |  |",
  ]);
  assert.match(lines(MEASURED, "cpu")[3], /CPU ≤ 1.4: \*\*met\*\*/);
  const withoutCpu = lines(
    MEASURED.map((one) => ({ ...one, cpu: [] })),
    "cpu",
  );
  assert.equal(withoutCpu[0], "| case |  | latency, ms | ratio of latency | target |");
  assert.match(withoutCpu[3], /CPU ≤ 1.4: not measured/);
  assert.match(withoutCpu.at(-1), /does not report CPU time/);
});

test("the date, machine and versions are one sentence", () => {
  const machine = { cpu: "Z80", cores: 1, memory_gib: 64, os: "CP/M 2.2" };
  const sentence = where({ date: "2026-11-21T12:00:00.000Z", machine, versions: { node: "24", "hash-wasm": "4" } });
  assert.equal(sentence, "2026-11-21, on Z80 with 1 cores and 64 GiB, CP/M 2.2; node 24, hash-wasm 4.");
});

test("the plot has every ratio with its quartiles, and every target", () => {
  const machine = { cpu: "Z80", cores: 2, os: "Linux" };
  const results = [{ name: "case", judgedBy: "wall", competitors: compared(MEASURED, { bare: 1.4 }, "wall") }];
  const { title, yAxis, series } = chart({
    results,
    machine,
    versions: { workerd: "1" },
    date: "2026-11-21T00:00:00Z",
  });
  assert.match(title.subtext, /^Z80, 2 cores, Linux; workerd 1; 2026-11-21\./);
  assert.deepEqual(yAxis.data, ["{case|case (latency)}", "bare  1.50", "<other>  0.20"]);
  const [ratios, quartiles, targets] = series.map(({ data }) => data);
  assert.deepEqual(
    ratios.map(({ value }) => value),
    ["-", 1.5, 0.2],
  );
  assert.notDeepEqual(ratios[1].itemStyle, ratios[2].itemStyle);
  assert.deepEqual(quartiles, [
    [1, 1.25, 1.75],
    [2, 0.15000000000000002, 0.25],
  ]);
  assert.deepEqual(targets, [[1.4, 1]]);
});

test("the table of floods has the latency of successful logins, and counts the others by status", () => {
  const others = [
    [200, 10],
    [503, 1],
    [200, 30],
    [429, 2],
    [200, 20],
    [503, 1],
  ].map(([status, millis]) => ({ status, millis }));
  const lines = floodTable([
    { name: "nobody", others: [{ status: 200, millis: 1.4 }], flood: [] },
    { name: "a flood", others, flood: [401, 0, 429, 429] },
    { name: "the end", others: [{ status: 503, millis: 1 }], flood: [0] },
  ]).split("\n");
  assert.deepEqual(lines.slice(2), [
    "| nobody | 1 | 1 | 1 |  |  |",
    "| a flood | 6 | 20 | 30 | 429: 1, 503: 2 | no answer: 1, 401: 1, 429: 2 |",
    "| the end | 1 |  |  | 503: 1 | no answer: 1 |",
  ]);
});

test("the table of attacks counts answers by kind, and has the latency of successful logins", () => {
  const login = (kind, millis) => ({ kind, millis });
  const cost = { read: 7, written: 5, puts: 0, memoryKib: 22_528 };
  const lines = abuseTable([
    { name: "nobody", answers: [], known: [login("200", 20)], unknown: [login("200", 21.4)], ...cost },
    {
      name: "an attack",
      answers: ["429 too_many_attempts", "401 invalid_credentials", "429 too_many_attempts"],
      known: [login("200", 10), login("200", 40), login("200", 30)],
      unknown: [login("503 overloaded", 1)],
      ...cost,
    },
  ]).split("\n");
  assert.deepEqual(lines.slice(2), [
    "| nobody |  | 20 (20) | 21 (21) | 7 | 5 | 0 | 22 |",
    "| an attack | 401 invalid_credentials: 1, 429 too_many_attempts: 2 | 30 (40) | refused: 503 overloaded: 1 | 7 | 5 | 0 | 22 |",
  ]);
});

test("the table of names has medians and quartiles", () => {
  const lines = namesTable([{ name: "known", judged: [18, 20, 22], waiting: [1, 1, 1], forgotten: [] }]).split("\n");
  assert.deepEqual(lines.slice(2), ["| known | 20.0 (19.0–21.0) | 1.00 (1.00–1.00) |  |"]);
});

test("an unknown option or case is a usage error", async () => {
  for (const args of [
    ["--fast"],
    ["refresh"],
    ["--case"],
    ["--case", "nothing of that name"],
    ["--scale", "--case", "refresh"],
    ["--flood", "--case", "refresh"],
    ["--flood", "--scale"],
    ["--abuse", "--case", "refresh"],
    ["--abuse", "--flood"],
  ]) {
    const { code, stdout, stderr } = await capture("node", ["scripts/bench.mjs", ...args]);
    assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    assert.match(stderr, /usage: npm run bench/);
  }
});
