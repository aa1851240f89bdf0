// Every npm command prints its usage, and refuses unknown arguments.

import assert from "node:assert/strict";
import { test } from "node:test";

import { capture, read } from "../../scripts/lib.mjs";

const { scripts } = JSON.parse(read("package.json"));
const commands = Object.keys(scripts);
/** Runs a script as npm does. */
const ask = (name, argument) => capture("sh", ["-c", `${scripts[name]} "$@"`, "sh", argument]);
const usageOf = (name) => new RegExp(`^usage: .*npm (run )?(--silent )?${name}\\b`, "m");

test("every command prints its usage for --help and -h, and does nothing else", async () => {
  assert.ok(commands.length >= 10);
  for (const name of commands) {
    const { code, stdout, stderr } = await ask(name, "--help");
    assert.deepEqual([code, stderr], [0, ""], name);
    assert.match(stdout, usageOf(name));
    assert.match(stdout, /\n\n[A-Z][\s\S]*\.\n/, `${name} has no description`);
    assert.deepEqual(await ask(name, "-h"), { code, stdout, stderr }, `${name} -h`);
  }
});

test("npm passes --help to the command", async () => {
  const { code, stdout, stderr } = await capture("npm", [
    "run",
    "--silent",
    "grant",
    "--",
    "somebody@example.org",
    "--help",
  ]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^usage: npm run grant/);
});

test("init, which makes a project of the package, refuses in a checkout", async () => {
  const { code, stdout, stderr } = await capture("node", ["packages/portcullis/src/cli.mjs", "init"]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^\nerror: a checkout needs no project\. `npm run release` makes the package/);
});

test("every command exits with 2 and prints its usage for an unknown option", async () => {
  for (const name of commands) {
    const { code, stdout, stderr } = await ask(name, "--no-such-option");
    assert.deepEqual([code, stdout], [2, ""], `${name}: ${stderr}`);
    assert.match(stderr, /^\nerror: .*--no-such-option/);
    assert.match(stderr, usageOf(name));
  }
});
