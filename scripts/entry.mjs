// The entry point of the Worker. It calls the functions of wasm-bindgen, which create a new instance at the next call after a
// panic (tests/guarantees/panic.test.mjs).
//
// It also limits every wait, because a wait that never ends never frees its memory (docs/reference/cut-off-requests.md).

import { fetch, scheduled } from "./index.js";

/** Time limit of D1, KV, the static assets and the binding that sends mails, in milliseconds: well within the 30 s that `waitUntil` allows after a response or disconnect. */
const STORAGE_MILLIS = 20_000;

// wasm-bindgen-futures schedules with queueMicrotask or, if it is missing, with a promise, which takes workerd half the time.
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
// Called by src/platform/deadline.rs.
globalThis.within = within;

/** The binding, with the time limit on these methods. */
function withTimeLimit(binding, methods) {
  if (binding === undefined) return undefined;
  const late = () => new Error(`no answer within ${STORAGE_MILLIS / 1000} s`);
  const limited = (method) => [method, (...values) => within(binding[method](...values), STORAGE_MILLIS, late)];
  return { prepare: (sql) => binding.prepare(sql), ...Object.fromEntries(methods.map(limited)) };
}

// The runtime passes the same object to every request.
let lastEnv, limitedBindings;
function bindings(env) {
  if (env !== lastEnv) {
    lastEnv = env;
    limitedBindings = {
      ...env,
      DB: withTimeLimit(env.DB, ["batch"]),
      REVOCATIONS: withTimeLimit(env.REVOCATIONS, ["get", "put"]),
      ASSETS: withTimeLimit(env.ASSETS, ["fetch"]),
      SEND_EMAIL: withTimeLimit(env.SEND_EMAIL, ["send"]),
    };
  }
  return limitedBindings;
}

export default {
  fetch(request, env, context) {
    const answer = fetch(request, bindings(env), context);
    // When a client disconnects, the runtime cancels its request except for promises passed to waitUntil.
    context.waitUntil(answer);
    return answer;
  },
  scheduled: (event, env, context) => scheduled(event, bindings(env), context),
};
