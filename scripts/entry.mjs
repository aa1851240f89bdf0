// The Worker's entry: it calls the functions of wasm-bindgen, which make a new instance by themselves at the next call after a
// panic (tests/guarantees/panic.test.mjs).
//
// It also bounds every wait: a wait that never ends never frees its memory (docs/reference/cut-off-requests.md).

import { fetch, scheduled } from "./index.js";

/** How long D1 and KV may take to answer, in milliseconds: well within the 30 s for which the platform follows a request. */
const STORAGE_MILLIS = 20_000;

// Every wait of a future goes through this, or through a promise where it is missing, which takes workerd half as long.
globalThis.queueMicrotask = undefined;

/** Settles like the promise, or rejects with `late()` after `milliseconds`. */
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
// For src/platform/deadline.rs.
globalThis.within = within;

/** A binding, as the Worker uses it: its methods of these names, which always answer. */
function answering(binding, methods) {
  if (binding === undefined) return undefined;
  const late = () => new Error(`no answer within ${STORAGE_MILLIS / 1000} s`);
  const bounded = (method) => [method, (...values) => within(binding[method](...values), STORAGE_MILLIS, late)];
  return { prepare: (sql) => binding.prepare(sql), ...Object.fromEntries(methods.map(bounded)) };
}

// The runtime passes the same one to every request.
let given, bounded;
function bindings(env) {
  if (env !== given) {
    given = env;
    bounded = { ...env, DB: answering(env.DB, ["batch"]), REVOCATIONS: answering(env.REVOCATIONS, ["get", "put"]) };
  }
  return bounded;
}

export default {
  fetch(request, env, context) {
    const answer = fetch(request, bindings(env), context);
    // When a client leaves, the runtime cancels its request at whatever it awaits, but for what it was told to wait for.
    context.waitUntil(answer);
    return answer;
  },
  scheduled: (event, env, context) => scheduled(event, bindings(env), context),
};
