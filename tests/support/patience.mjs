// Waits with a time limit.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

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

/** Waits until a condition holds, by a clock that no test changes. `missing` is the message of the failure if it never does. */
export async function until(condition, missing) {
  const limit = performance.now() + PATIENCE;
  while (!(await condition())) {
    assert.ok(performance.now() < limit, missing);
    await sleep(10);
  }
}
