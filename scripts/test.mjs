// `npm test`: everything that can be checked without the network, cheapest first, ending in the line
// `total: N passed, M failed`. It stops at the first step that fails, which counts as one failure if it is not a test.
//
//   npm test -- native          only the Rust tests
//   npm test -- e2e [pattern]   only the tests against the built Worker: the files, or else the test names, that match

import { stripVTControlCharacters } from "node:util";

import { bundle, filesUnder } from "./build.mjs";
import { cargoDeny } from "./deny.mjs";
import { Failure, fail, heading, misused, path, read, run, runIfStarted, seconds, tee } from "./lib.mjs";
import { rulesBinary } from "./rules.mjs";
import { setup } from "./setup.mjs";

const wasm = "wasm32-unknown-unknown";
const tally = { passed: 0, failed: 0 };

const usage = `npm test -- [native | e2e [PATTERN]]

Checks everything that can be checked without the network, or a part of it.
  native           only the Rust tests
  e2e [PATTERN]    only the tests against the built Worker: the files, or else the test names, that have PATTERN in them`;

async function main([part, pattern, ...more]) {
  const parts = { undefined: [...checks, native, worker, endToEnd], native: [native], e2e: [worker, endToEnd] };
  const steps = parts[part] ?? misused(`unknown part ${part}`, usage);
  const [unknown] = part === "e2e" ? more : [pattern];
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
  await step("setup", () => setup({ deny: part === undefined }));
  for (const [name, work] of steps) await step(name, () => work(pattern));
}

const checks = [
  ["format", () => run("cargo", ["fmt", "--all", "--check"])],
  ["lints, native", () => run("cargo", ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])],
  [
    "lints, WebAssembly",
    () => run("cargo", ["clippy", "--locked", "--workspace", "--target", wasm, "--", "-D", "warnings"]),
  ],
  ["dependencies: licenses, sources, bans", checkDependencies],
];
const native = ["tests, native", nativeTests];
const worker = ["the Worker, as deployed", buildWorker];
const endToEnd = ["tests, end to end", nodeTests];

async function step(name, work) {
  heading(name);
  const started = Date.now();
  const failedBefore = tally.failed;
  try {
    await work();
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
    if (tally.failed === failedBefore) tally.failed += 1;
    throw new Failure(`${name} failed (${seconds(started)})`);
  }
  console.log(`-- ok (${seconds(started)})`);
}

// Without what it only warns of, which is for `npm run deny` to show.
function checkDependencies() {
  return run(cargoDeny, ["--locked", "--log-level", "error", "check", "bans", "licenses", "sources"]);
}

async function nativeTests() {
  // All of them, so that the counts are complete.
  const { code, stdout } = await tee("cargo", ["test", "--locked", "--workspace", "--no-fail-fast"]);
  count(
    stripVTControlCharacters(stdout).matchAll(/^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed/gm),
  );
  if (code !== 0) fail("the native tests failed");
}

// What the end-to-end tests start in workerd, without building it again for every file.
async function buildWorker() {
  await bundle();
  // Here, because compiling takes longer than a test may.
  await rulesBinary();
}

async function nodeTests(pattern) {
  // Here, where compiling it takes nothing from a test's time.
  await run("cargo", ["build", "--locked", "--quiet", "--example", "resource_server"]);
  await run("cargo", ["build", "--locked", "--quiet", "--release", "--target", wasm, "-p", "argon2-wasm-check"]);
  const files = ["tests", "bench"].flatMap(filesUnder).filter((file) => file.endsWith(".test.mjs"));
  const options = ["--test", "--test-reporter=spec", "--test-concurrency=2", "--test-timeout=120000"];
  const { code, stdout } = await tee("node", [...options, ...chosen(files, pattern)]);
  const text = stripVTControlCharacters(stdout);
  const summary = (name) => Number([...text.matchAll(new RegExp(`^ℹ ${name} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0);
  // A test that ran into its time limit is "cancelled".
  count([{ groups: { passed: summary("pass"), failed: summary("fail") + summary("cancelled") } }]);
  if (code !== 0) fail("the end-to-end tests failed");
}

// A file without a matching test would count as one that passed.
function chosen(files, pattern) {
  if (pattern === undefined) return files;
  const named = files.filter((file) => file.includes(pattern));
  if (named.length > 0) return named;
  const holding = files.filter((file) => read(file).includes(pattern));
  return holding.length > 0 ? [`--test-name-pattern=${pattern}`, ...holding] : fail(`no test matches ${pattern}`);
}

function count(results) {
  const before = tally.passed + tally.failed;
  for (const { groups } of results) {
    tally.passed += Number(groups.passed);
    tally.failed += Number(groups.failed);
  }
  if (tally.passed + tally.failed === before) fail("no test ran");
}

runIfStarted(
  import.meta.url,
  async (args) => {
    const started = Date.now();
    try {
      await main(args);
    } catch (error) {
      if (error.exitCode !== undefined) throw error;
      console.error(error instanceof Failure ? `\nerror: ${error.message}` : error);
      process.exitCode = 1;
      if (tally.failed === 0) tally.failed = 1;
    }
    console.log(`\n${seconds(started)}`);
    console.log(`total: ${tally.passed} passed, ${tally.failed} failed`);
  },
  usage,
);
