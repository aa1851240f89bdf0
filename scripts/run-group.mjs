// Runs one test file after the other in this process, each of which no other process of scripts/run-tests.mjs has taken. The
// files share the loaded modules, and what tests/support/kept.mjs keeps.
//
//   node scripts/run-group.mjs FOLDER PROCESSES FILE ...
//
// FOLDER notes which files are taken, and which have ended. PROCESSES is the number of processes, each of which begins with a file
// of its own: node:test counts a process without tests as a test.

import assert from "node:assert/strict";
import { tracingChannel } from "node:diagnostics_channel";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, suite } from "node:test";
import { setTimeout } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { closeKept, keep } from "../tests/support/kept.mjs";

const suites = tracingChannel("node.test").end;
/** The clock as it is, whatever a file does to that of JavaScript. */
const clock = () => performance.timeOrigin + performance.now();
const [folder, processes, ...files] = process.argv.slice(2);
let own = 0;
while (!note(`process ${own}`)) own += 1;
keep();
for (const [index, file] of files.entries())
  if ((index === own || index >= Number(processes)) && note(String(index))) await runFile(file, index);
// Nobody waits for a program that does not end, such as the Worker of a file whose hook failed. What is left ends with this process.
const waiting = new AbortController();
const areClosed = await Promise.race([
  closeKept().then(() => true),
  setTimeout(10_000, false, { signal: waiting.signal }),
]);
if (!areClosed) process.exit();
waiting.abort();
setTimeout(10_000, undefined, { ref: false }).then(() => process.exit());

/** Whether this process is the first to note a name. */
function note(name) {
  try {
    mkdirSync(join(folder, name));
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** Runs a file as a suite, so that its hooks are its own. It must leave the clock of the process as it was. */
async function runFile(file, index) {
  const { promise: ended, resolve } = Promise.withResolvers();
  // Not a hook of the suite, which would not run after a hook of the file that fails.
  suites.subscribe(({ name, type }) => type === "suite" && name === file && resolve(undefined));
  suite(file, { timeout: 600_000 }, async () => {
    await import(pathToFileURL(file).href);
    after(() => assert.ok(Math.abs(Date.now() - clock()) < 60_000, "the clock of the process has been changed"));
  });
  await ended;
  note(`${index} has ended`);
}
