// `npm test`: everything that can be checked without the network, cheapest first, ending in the line
// `total: N passed, M failed`. It stops at the first step that fails, which counts as one failure if it is not a test.
//
// It tests the Worker as it is deployed. A part of it, for while you work:
//
//   npm test -- native               only the Rust tests
//   npm test -- e2e [pattern ...]    only the tests against the Worker, built for development as for `npm run dev`: the files,
//                                    or else the test names, that match one of the patterns

import { stripVTControlCharacters } from "node:util";

import { bundle, filesUnder } from "./build.mjs";
import { Failure, fail, heading, misused, read, run, runIfStarted, seconds, tee } from "./lib.mjs";
import { lints } from "./lint.mjs";
import { rulesBinary } from "./rules.mjs";
import { setup } from "./setup.mjs";

const wasm = "wasm32-unknown-unknown";
const tally = { passed: 0, failed: 0 };

const usage = `npm test -- [native | e2e [PATTERN ...]]

Checks everything that can be checked without the network, against the Worker as it is deployed; or a part of it.
  native               only the Rust tests
  e2e [PATTERN ...]    only the tests against the Worker, built for development: the files, or else the test names, that have
                       one of the patterns in them`;

async function main([part, ...patterns]) {
  const parts = {
    undefined: [...lints, native, worker("release"), endToEnd],
    native: [native],
    e2e: [worker("dev"), endToEnd],
  };
  const steps = parts[part] ?? misused(`unknown part ${part}`, usage);
  const unknown = part === "e2e" ? patterns.find((pattern) => pattern.startsWith("-")) : patterns[0];
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
  await step("setup", setup);
  for (const [name, work] of steps) await step(name, () => work(patterns));
}

const native = ["tests, native", nativeTests];
const worker = (profile) => [
  profile === "release" ? "the Worker, as deployed" : "the Worker, for development",
  () => buildWorker(profile),
];
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

async function nativeTests() {
  // All of them, so that the counts are complete.
  const { code, stdout } = await tee("cargo", ["test", "--locked", "--workspace", "--no-fail-fast"]);
  count(
    stripVTControlCharacters(stdout).matchAll(/^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed/gm),
  );
  if (code !== 0) fail("the native tests failed");
}

// What the end-to-end tests start in workerd, without building it again for every file.
async function buildWorker(profile) {
  await bundle(profile);
  // Here, because compiling takes longer than a test may.
  await rulesBinary();
}

async function nodeTests(patterns) {
  // Here, where compiling it takes nothing from a test's time.
  await run("cargo", ["build", "--locked", "--quiet", "--example", "resource_server"]);
  await run("cargo", ["build", "--locked", "--quiet", "--release", "--target", wasm, "-p", "argon2-wasm-check"]);
  const files = ["tests", "bench"].flatMap(filesUnder).filter((file) => file.endsWith(".test.mjs"));
  const options = ["--test", "--test-reporter=spec", "--test-concurrency=2", "--test-timeout=120000"];
  let failed = false;
  for (const chosen of choices(files, patterns)) {
    const { code, stdout } = await tee("node", [...options, ...chosen]);
    const text = stripVTControlCharacters(stdout);
    const summary = (name) => Number([...text.matchAll(new RegExp(`^ℹ ${name} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0);
    // A test that ran into its time limit is "cancelled".
    count([{ groups: { passed: summary("pass"), failed: summary("fail") + summary("cancelled") } }]);
    failed ||= code !== 0;
  }
  if (failed) fail("the end-to-end tests failed");
}

/** What node is run with: with the files that a pattern names, and with the others that have a test that one names. */
function choices(files, patterns) {
  if (patterns.length === 0) return [files];
  const namesFile = (pattern) => files.some((file) => file.includes(pattern));
  const named = files.filter((file) => patterns.some((pattern) => file.includes(pattern)));
  const tests = patterns.filter((pattern) => !namesFile(pattern));
  const missing = tests.find((pattern) => !files.some((file) => read(file).includes(pattern)));
  if (missing !== undefined) fail(`no test matches ${missing}`);
  // A file without a matching test would count as one that passed.
  const holding = files.filter(
    (file) => !named.includes(file) && tests.some((pattern) => read(file).includes(pattern)),
  );
  const byName = [...tests.map((pattern) => `--test-name-pattern=${pattern}`), ...holding];
  return [...(named.length > 0 ? [named] : []), ...(holding.length > 0 ? [byName] : [])];
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
