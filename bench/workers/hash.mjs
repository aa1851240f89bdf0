// Computes one password hash per request with the implementation named by HASH, and nothing else, so that the cost of a request
// is that of the hash. Answers with the hash in base16. /ready computes none.

import { Buffer } from "node:buffer";
import { scrypt as nodeScrypt } from "node:crypto";
import { promisify } from "node:util";

import { scryptAsync } from "@noble/hashes/scrypt.js";
import { argon2id } from "hash-wasm";

import { ARGON2, PASSWORD, SALT, SCRYPT } from "../parameters.mjs";
// Portcullis's and that of the `argon2` crate, from crates/argon2-simd128/wasm-check.
import argon2Module from "./argon2.wasm";
// From bench/native.
import argon2RustModule from "./argon2-rust.wasm";
// hash-wasm contains these modules as base64 and compiles them at run time, which Workers forbid. In the order of its calls.
import hashWasmFirst from "./hash-wasm-0.wasm";
import hashWasmSecond from "./hash-wasm-1.wasm";

const compiled = [hashWasmFirst, hashWasmSecond];
WebAssembly.compile = async () => compiled.shift();

const { memory, passes, parallelism, tagLength } = ARGON2;
const { dkLen, ...scrypt } = { ...SCRYPT, maxmem: 2 * 128 * SCRYPT.N * SCRYPT.r };
const [password, salt] = [PASSWORD, SALT].map((text) => new TextEncoder().encode(text));

// Instantiates the module on first use, so that an isolate instantiates only the module that it measures.
function inModule(module, hash) {
  let instance;
  return () => {
    instance ??= new WebAssembly.Instance(module);
    const { exports } = instance;
    // The buffer is read again for each hash, because growing the memory replaces it.
    const room = exports.room();
    new Uint8Array(exports.memory.buffer, room).set([...password, ...salt]);
    if (hash(exports) !== 0) throw new Error("refused");
    return new Uint8Array(exports.memory.buffer, room, tagLength);
  };
}

const argon2 = [2, 0x13, memory, passes, parallelism, tagLength, password.length, salt.length, 0, 0];
const HASHES = {
  ours: inModule(argon2Module, (exports) => exports.ours(...argon2)),
  argon2: inModule(argon2Module, (exports) => exports.theirs(...argon2)),
  "argon2-rust": inModule(argon2RustModule, (exports) =>
    exports.hash(memory, passes, parallelism, tagLength, password.length, salt.length),
  ),
  "hash-wasm": () => {
    const cost = { memorySize: memory, iterations: passes, parallelism, hashLength: tagLength };
    return argon2id({ password, salt, ...cost, outputType: "binary" });
  },
  "noble-scrypt": () => scryptAsync(password, salt, { ...scrypt, dkLen }),
  "node-scrypt": () => promisify(nodeScrypt)(password, salt, dkLen, scrypt),
};

export default {
  async fetch(request, { HASH }) {
    if (new URL(request.url).pathname === "/ready") return Response.json({});
    return Response.json({ hash: Buffer.from(await HASHES[HASH]()).toString("hex") });
  },
};
