// A panic ends what the isolate is doing, and no more than that: the next request finds a new instance.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { startWorker } from "../support/harness.mjs";

// The tenth time that the Worker reads the clock, it goes as when it traps: none of the calls it is in returns.
const TRAP = `
  const { Instance } = WebAssembly;
  WebAssembly.Instance = function (...parts) {
    console.log("instance");
    return new Instance(...parts);
  };
  const now = Date.now;
  let reads = 0;
  Date.now = () => {
    if (!new Error().stack.includes("__wbg_now")) return now();
    reads += 1;
    if (reads === 10) throw new WebAssembly.RuntimeError("unreachable");
    return now();
  };
`;

let worker, dist;
before(async () => {
  dist = mkdtempSync(join(tmpdir(), "portcullis-"));
  cpSync("dist", dist, { recursive: true });
  const built = join(dist, "index.js");
  writeFileSync(built, `${TRAP}${readFileSync(built, "utf8")}`);
  worker = await startWorker({ dist });
});
after(async () => {
  await worker.close();
  rmSync(dist, { recursive: true });
});

test("a panic fails its own request, and what comes after is served by a new instance", async () => {
  const person = await worker.register();
  const outcomes = [];
  for (let n = 0; n < 12; n += 1) {
    outcomes.push(
      await worker.server.fetch("/.well-known/jwks.json").then(
        ({ status }) => status,
        () => "failed",
      ),
    );
  }
  const failed = outcomes.filter((outcome) => outcome !== 200);
  assert.equal(failed.length, 1, String(outcomes));
  assert.ok(failed[0] === "failed" || failed[0] >= 500, String(outcomes));
  assert.equal(outcomes.at(-1), 200);
  const made = worker.server.getLogs().filter(({ message }) => message === "instance").length;
  assert.equal(made, 2);
  assert.equal((await worker.refresh(person.refresh_token)).status, 200);
});
