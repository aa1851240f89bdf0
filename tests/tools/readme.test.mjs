// The commands in the README and in docs/api.md work when they are pasted in order.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { read } from "../../scripts/lib.mjs";
import { startWorker } from "../support/harness.mjs";

const noCurl = spawnSync("curl", ["--version"]).error ? "curl is not installed" : false;

let worker, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  worker = await startWorker();
});
after(async () => {
  await worker.close();
  rmSync(folder, { recursive: true });
});

test("the quick start in the README works when pasted", { skip: noCurl }, async () => {
  const script = commands(section(read("README.md"), "## Quick start"));
  assert.deepEqual(await seen(script), [
    "access_token", // register
    "access_token", // login
    "access_token", // refresh
  ]);
});

test("the examples in docs/api.md work when pasted in order", { skip: noCurl }, async () => {
  const pasted = commands(section(read("docs/api.md"), "## By example"));
  assert.match(pasted, /^sleep 31$/m);
  // Instead of sleeping, the script advances the Worker's clock.
  const ahead = `-H 'X-Test: {"order":true}' -d "{\\"advance\\": $((1000 * $1))}"`;
  const sleep = `sleep() { curl -s -o /dev/null $URL ${ahead}; }`;
  // The quick start has already registered this address.
  const script = `${sleep}\n${pasted.replaceAll("ada@example.org", "ada.l@example.org")}`;
  assert.deepEqual(await seen(script), [
    "access_token", // register
    "access_token", // login
    "id", // me
    "sessions",
    "events",
    "sub", // verify
    "keys",
    "id", // the new username
    "access_token", // refresh
    "access_token", // the grace retry
    "invalid_refresh_token", // the replay
    "invalid_refresh_token", // the successor
    "invalid_token", // me
    200, // revoke
    "invalid_token", // me
    "sessions_ended", // log out everywhere
    "access_token", // the session that the password change begins
    "invalid_refresh_token", // the other session
    "access_token", // its refresh
    "access_token", // the step-up
    204, // the account is deleted
  ]);
});

/** A section of a page, up to the next heading of the same level. */
function section(page, heading) {
  const from = page.indexOf(`\n${heading}\n`);
  assert.notEqual(from, -1, heading);
  const to = page.indexOf("\n## ", from + heading.length);
  return page.slice(from, to === -1 ? undefined : to);
}

const commands = (text) => [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, lines]) => lines).join("\n");

/** Runs a script. Returns the error code, the first member or the number in each line of its output. */
async function seen(script) {
  assert.ok(script.includes("URL=http://localhost:8787\n"));
  const output = await bash(script.replace("http://localhost:8787", worker.url.origin));
  assert.deepEqual(readdirSync(folder), [], "the script leaves no files");
  return output
    .trim()
    .split("\n")
    .map((line) => {
      const answer = JSON.parse(line);
      return answer.code ?? (typeof answer === "object" ? Object.keys(answer)[0] : answer);
    });
}

function bash(script) {
  return new Promise((resolve, reject) => {
    const child = spawn("bash", ["-eu"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    child
      .on("error", reject)
      .on("close", (code) => (code === 0 ? resolve(output) : reject(new Error(`bash: ${code}\n${output}`))));
    child.stdin.end(script);
  });
}
