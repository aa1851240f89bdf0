// Runs test files on the project's own Node, three at once, in the given order: `node --test` would sort them.
//
//   node scripts/run-tests.mjs [--name=PATTERN ...] FILE ...

import { run } from "node:test";
import { spec } from "node:test/reporters";

const NAME = "--name=";
const args = process.argv.slice(2);
const isName = (arg) => arg.startsWith(NAME);
const testNamePatterns = args.filter(isName).map((arg) => arg.slice(NAME.length));

run({
  files: args.filter((arg) => !isName(arg)),
  // One more than the smallest machine has processors: most files wait for something part of the time.
  concurrency: 3,
  timeout: 120_000,
  ...(testNamePatterns.length > 0 ? { testNamePatterns } : {}),
})
  .on("test:fail", () => {
    process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);
