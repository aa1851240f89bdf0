// A panic fails only the requests in progress in the isolate: the next request gets a new instance.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startWorker } from "../support/harness.mjs";

// Makes the Worker trap at the tenth read of the clock, and logs each instantiation.
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

let worker;
before(async () => (worker = await startWorker({ prelude: TRAP })));
after(() => worker.close());

test("a panic fails its own request, and a new instance serves the next ones", async () => {
  const user = await worker.register();
  const outcomes = [];
  for (let n = 0; n < 12; n += 1) {
    outcomes.push(
      await fetch(new URL("/.well-known/jwks.json", worker.url)).then(
        ({ status }) => status,
        () => "failed",
      ),
    );
  }
  const failed = outcomes.filter((outcome) => outcome !== 200);
  assert.equal(failed.length, 1, String(outcomes));
  assert.ok(failed[0] === "failed" || failed[0] >= 500, String(outcomes));
  assert.equal(outcomes.at(-1), 200);
  const made = worker.logged().filter((line) => line === "instance").length;
  assert.equal(made, 2);
  assert.equal((await worker.refresh(user.refresh_token)).status, 200);
});
