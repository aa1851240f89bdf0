// The Worker's entry, in place of the one that worker-build writes, which makes three proxies a request to do what the
// functions of wasm-bindgen do by themselves: after a panic, the next call makes a new instance (tests/panic.test.mjs).

import { fetch, scheduled } from "./index.js";

// Every wait of a future goes through this, or through a promise where it is missing, which takes workerd half as long.
globalThis.queueMicrotask = undefined;

export default { fetch, scheduled };
