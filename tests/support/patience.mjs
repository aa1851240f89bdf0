// Waiting for what has to come.

import assert from "node:assert/strict";

/** How long a test waits for what has to come, in milliseconds: only a test that fails waits so long. */
const PATIENCE = 20_000;

export async function patiently(promise, missing) {
  let timer;
  const late = new Promise(
    (_, reject) => (timer = setTimeout(reject, PATIENCE, new assert.AssertionError({ message: missing }))),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
