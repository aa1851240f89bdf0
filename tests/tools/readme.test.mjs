// The commands of the README and of the API by example work, pasted in order.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { read } from "../../scripts/lib.mjs";
import { startWorker } from "../support/harness.mjs";

const noCurl = spawnSync("curl", ["--version"]).error ? "there is no curl here" : false;

let worker, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  worker = await startWorker();
});
after(async () => {
  await worker.close();
  rmSync(folder, { recursive: true });
});

test("the quick start of the README works pasted", { skip: noCurl }, async () => {
  const script = commands(section(read("README.md"), "## Quick start"));
  assert.deepEqual(await seen(script), [
    "access_token", // register
    "access_token", // login
    "access_token", // refresh
  ]);
});

test("the API by example works pasted in order", { skip: noCurl }, async () => {
  const pasted = commands(section(read("docs/api.md"), "## By example"));
  assert.match(pasted, /^sleep 31$/m);
  // Not this script sleeps, the Worker's clock is put ahead.
  const ahead = `-H 'X-Test: {"order":true}' -d "{\\"advance\\": $((1000 * $1))}"`;
  const sleep = `sleep() { curl -s -o /dev/null $URL ${ahead}; }`;
  // The quick start has registered Ada already.
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
    "access_token", // its retry
    "invalid_refresh_token", // the replay
    "invalid_refresh_token", // the successor
    "invalid_token", // me
    200, // revoke
    "invalid_token", // me
    "sessions_ended", // everywhere
    "access_token", // the session that the new password begins
    "invalid_refresh_token", // the other session
    "access_token", // its refresh
    204, // the account is gone
  ]);
});

/** A section of a page, to the next heading of its level. */
function section(page, heading) {
  const from = page.indexOf(`\n${heading}\n`);
  assert.notEqual(from, -1, heading);
  const to = page.indexOf("\n## ", from + heading.length);
  return page.slice(from, to === -1 ? undefined : to);
}

const commands = (text) => [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, lines]) => lines).join("\n");

/** What a script prints: of each line the error code, or the first member, or the number. */
async function seen(script) {
  assert.ok(script.includes("URL=http://localhost:8787\n"));
  const output = await bash(script.replace("http://localhost:8787", worker.url.origin));
  assert.deepEqual(readdirSync(folder), [], "nothing is left behind");
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
