// Waiting for a condition.

import assert from "node:assert/strict";

/** The maximum wait, in milliseconds: only a test that fails waits so long. */
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
