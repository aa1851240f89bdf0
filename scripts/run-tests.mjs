// Runs test files on the project's own Node, in the given order: `node --test` would sort them. Three processes take the files
// from one list, so that they load what the files share only three times. See scripts/run-group.mjs.
//
//   node scripts/run-tests.mjs [--name=PATTERN ...] FILE ...

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

import { path } from "./lib.mjs";

/** One more than the smallest machine has processors: most files wait for something part of the time. */
const PROCESSES = 3;
/** Garbage is collected less often than by default, because a request of a test leaves much of it. */
const HEAP = ["--max-semi-space-size=64"];
const NAME = "--name=";
const args = process.argv.slice(2);
const isName = (arg) => arg.startsWith(NAME);
const files = args.filter((arg) => !isName(arg));
const testNamePatterns = args.filter(isName).map((arg) => arg.slice(NAME.length));

// A process for each file of a selection by name: a group would wait for a file whose tests are all skipped.
const isByName = testNamePatterns.length > 0;
const notes = mkdtempSync(join(tmpdir(), "portcullis-tests-"));
process.on("exit", () => {
  const noted = new Set(readdirSync(notes));
  rmSync(notes, { recursive: true });
  const lost = isByName ? [] : files.filter((_, index) => !noted.has(`${index} has ended`));
  if (lost.length === 0) return;
  console.error(`these files have not ended: ${lost.join(" ")}`);
  process.exitCode = 1;
});

const processes = Math.min(PROCESSES, files.length);
run({
  concurrency: PROCESSES,
  ...(isByName
    ? { files, testNamePatterns, timeout: 120_000 }
    : {
        files: Array(processes).fill(path("scripts", "run-group.mjs")),
        argv: [notes, String(processes), ...files],
        execArgv: HEAP,
      }),
})
  .on("test:fail", () => {
    process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);
