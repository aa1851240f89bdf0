// `npm test`: all checks that need no network, the cheapest first. The last line is `total: N passed, M failed`. It stops at
// the first step that fails, which counts as one failure if it is not a test.
//
// It tests the release build of the Worker. During development, run a part of it:
//
//   npm test -- native               only the Rust tests
//   npm test -- e2e [pattern ...]    only the tests of the Worker, in the dev profile as for `npm run dev`: those whose file
//                                    names, or else test names, contain one of the patterns

import { stripVTControlCharacters } from "node:util";

import { buildRules, bundle } from "./build.mjs";
import { openapiBinary } from "./generate.mjs";
import {
  env,
  Failure,
  fail,
  filesUnder,
  heading,
  misused,
  path,
  read,
  run,
  runIfStarted,
  seconds,
  tee,
} from "./lib.mjs";
import { lints } from "./lint.mjs";
import { packagesOf, setup } from "./setup.mjs";

const wasm = "wasm32-unknown-unknown";
const tally = { passed: 0, failed: 0 };

const usage = `npm test -- [native | e2e [PATTERN ...]]

Runs all checks that need no network, with the release build of the Worker; or a part of them.
  native               only the Rust tests
  e2e [PATTERN ...]    only the tests of the Worker, in the dev profile: those whose file names, or else test names,
                       contain one of the patterns`;

async function main([part, ...patterns]) {
  const parts = {
    undefined: [...lints, native, worker("release"), endToEnd],
    native: [native],
    e2e: [worker("dev"), endToEnd],
  };
  const steps = parts[part] ?? misused(`unknown part ${part}`, usage);
  const unknown = part === "e2e" ? patterns.find((pattern) => pattern.startsWith("-")) : patterns[0];
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
  await step("setup", async () => {
    await setup();
    // Not part of setup, so that `npm run dev` does not wait for a browser and frameworks.
    if (part !== "native") await packagesOf("tests", "the packages of the tests");
  });
  for (const [name, work] of steps) await step(name, () => work(patterns));
}

const native = ["tests, native", nativeTests];
const worker = (profile) => [
  profile === "release" ? "build the Worker, release profile" : "build the Worker, dev profile",
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
  // --no-fail-fast, so that the counts are complete.
  const { code, stdout } = await tee("cargo", ["test", "--locked", "--workspace", "--no-fail-fast"]);
  count(
    stripVTControlCharacters(stdout).matchAll(/^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed/gm),
  );
  if (code !== 0) fail("the native tests failed");
}

// Builds once what every file of the end-to-end tests starts in workerd.
async function buildWorker(profile) {
  await bundle(profile);
  // Compiled here, because they take longer than the time limit of a test.
  await buildRules("rules");
  await openapiBinary();
}

async function nodeTests(patterns) {
  // Compiled here, so that it does not count toward the time limit of a test.
  await run("cargo", ["build", "--locked", "--quiet", "--example", "resource_server"]);
  await run("cargo", ["build", "--locked", "--quiet", "-p", "orders-api-axum"]);
  await run("cargo", ["build", "--locked", "--quiet", "-p", "portcullis-core", "--example", "mails"]);
  await run("cargo", ["run", "--quiet", "--locked", "--profile", "tool", "-p", "portcullis-build", "--", "example"]);
  await run("cargo", ["build", "--locked", "--quiet", "--release", "--target", wasm, "-p", "argon2-wasm-check"]);
  const files = longestFirst(["tests", "bench"].flatMap(filesUnder).filter((file) => file.endsWith(".test.mjs")));
  // Node keeps compiled JavaScript there: every file loads miniflare, and many run wrangler.
  const cached = { ...env, NODE_COMPILE_CACHE: path("build", "node-cache") };
  let failed = false;
  for (const selection of selections(files, patterns)) {
    const { code, stdout } = await tee("node", ["scripts/run-tests.mjs", ...selection], { env: cached });
    const text = stripVTControlCharacters(stdout);
    const summary = (name) => Number([...text.matchAll(new RegExp(`^ℹ ${name} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0);
    // A test that exceeds its time limit is "cancelled".
    count([{ groups: { passed: summary("pass"), failed: summary("fail") + summary("cancelled") } }]);
    failed ||= code !== 0;
  }
  if (failed) fail("the end-to-end tests failed");
}

/** The files that take longest, in this order, so that none of them runs alone at the end. */
const LONGEST = [
  "cut-off",
  "package",
  "client-browser",
  "pages",
  "pages-mail",
  "queue",
  "pages-accessibility",
  "backup",
  "abuse",
  "pages-factors",
  "pages-admin",
  "client",
  "docs-page",
  "dev",
  "import-many",
  "import",
  "examples",
  "time-limits",
  "hang-ups",
  "throttle",
  "argon2",
  "http",
  "deploy",
  "known-devices",
  "registration",
  "foreign-hash",
  "automatic-keys",
  "grant",
];

function longestFirst(files) {
  const longest = LONGEST.map((name) => files.find((file) => file.endsWith(`/${name}.test.mjs`)) ?? fail(`no ${name}`));
  return [...longest, ...files.filter((file) => !longest.includes(file))];
}

/** The arguments of each run of run-tests.mjs: the files whose names match a pattern, and the other files with a matching test. */
function selections(files, patterns) {
  if (patterns.length === 0) return [files];
  const matchesFile = (pattern) => files.some((file) => file.includes(pattern));
  const matching = files.filter((file) => patterns.some((pattern) => file.includes(pattern)));
  const tests = patterns.filter((pattern) => !matchesFile(pattern));
  const missing = tests.find((pattern) => !files.some((file) => read(file).includes(pattern)));
  if (missing !== undefined) fail(`no test matches ${missing}`);
  // A file without a matching test would count as a passed test.
  const filesWithTest = files.filter(
    (file) => !matching.includes(file) && tests.some((pattern) => read(file).includes(pattern)),
  );
  const byName = [...tests.map((pattern) => `--name=${pattern}`), ...filesWithTest];
  return [...(matching.length > 0 ? [matching] : []), ...(filesWithTest.length > 0 ? [byName] : [])];
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
      // Nothing has run if the arguments are wrong.
      if (error.exitCode === 2) throw error;
      console.error(error instanceof Failure ? `\nerror: ${error.message}` : error);
      process.exitCode = 1;
      if (tally.failed === 0) tally.failed = 1;
    }
    console.log(`\n${seconds(started)}`);
    console.log(`total: ${tally.passed} passed, ${tally.failed} failed`);
  },
  usage,
);
