// The Worker's entry, in place of the one that worker-build writes, which makes three proxies a request to do what the
// functions of wasm-bindgen do by themselves: after a panic, the next call makes a new instance (tests/panic.test.mjs).

import { fetch, scheduled } from "./index.js";

// Every wait of a future goes through this, or through a promise where it is missing, which takes workerd half as long.
globalThis.queueMicrotask = undefined;

/** Settles as the promise does, or after so many milliseconds is rejected with what `late` makes. */
function within(promise, milliseconds, late) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late?.()), milliseconds);
    const settle = (how) => (value) => {
      clearTimeout(timer);
      how(value);
    };
    promise.then(settle(resolve), settle(reject));
  });
}
// For src/deadline.rs.
globalThis.within = within;

export default { fetch, scheduled };
