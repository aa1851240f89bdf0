// Waits with a time limit.

import assert from "node:assert/strict";

/** The maximum wait, in milliseconds. Only a failing test waits that long. */
const PATIENCE = 20_000;

/** Waits for a promise. `missing` is the message of the failure if it does not settle. */
export async function patiently(promise, missing) {
  let timer;
  const late = new Promise((_, reject) => {
    // The error is made only then, because making one takes long.
    timer = setTimeout(() => reject(new assert.AssertionError({ message: missing })), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
