// Password hashing by Portcullis and by alternatives: in workerd, each in its own isolate, and natively.

import { argon2Sync, scryptSync } from "node:crypto";
import { readFileSync } from "node:fs";

import { capture, env, fail, path } from "../scripts/lib.mjs";
import { ARGON2, PASSWORD, SALT, SCRYPT } from "./parameters.mjs";
import { Program } from "./programs.mjs";
import { peer } from "./servers.mjs";

const { N, r } = SCRYPT;
const EXPECTED = {
  argon2: argon2Sync("argon2id", { message: PASSWORD, nonce: SALT, ...ARGON2 }).toString("hex"),
  scrypt: scryptSync(PASSWORD, SALT, SCRYPT.dkLen, { ...SCRYPT, maxmem: 2 * 128 * N * r }).toString("hex"),
};

const IN_WORKERD = {
  Portcullis: "ours",
  "`argon2` crate, opt-level 3": "argon2",
  "argon2-rust, SIMD128": "argon2-rust",
  "hash-wasm": "hash-wasm",
  "scrypt, `@noble/hashes`": "noble-scrypt",
  "scrypt, `node:crypto` of workerd": "node-scrypt",
};

/** All implementations, ready to be measured; each must be closed. Portcullis is the first. */
export async function hashers() {
  const wasm = await modules();
  const { memory, passes, parallelism, tagLength } = ARGON2;
  const programs = [
    ["node:crypto (OpenSSL), native", "node", [path("bench", "native.mjs"), "node:crypto"]],
    ["@node-rs/argon2, native", "node", [path("bench", "native.mjs"), "@node-rs/argon2"]],
    [
      "argon2-rust, native AVX2",
      path("target", "bench", "release", "argon2-native"),
      [PASSWORD, SALT, memory, passes, parallelism, tagLength],
    ],
  ];
  const all = [];
  for (const [name, hash] of Object.entries(IN_WORKERD)) all.push(await inIsolate(name, hash, wasm));
  for (const program of programs) all.push(...(await native(...program)));
  return all;
}

/** The implementations in workerd, each started in a fresh isolate for a single hash. */
export async function firstHashers() {
  const wasm = await modules();
  return Object.entries(IN_WORKERD).map(([name, hash]) => ({ name, start: () => inIsolate(name, hash, wasm) }));
}

async function inIsolate(name, hash, wasm) {
  const server = await peer("hash", { bindings: { HASH: hash }, wasm });
  const expected = hash.endsWith("scrypt") ? EXPECTED.scrypt : EXPECTED.argon2;
  const step = async () => check(name, (await server.expect(200, "GET", "/")).hash, expected);
  // The isolate must have loaded its scripts before the measurement.
  await server.expect(200, "GET", "/ready");
  return { name, step, cpu: () => server.cpu(), close: () => server.close() };
}

// An empty list if the machine lacks the instructions that the program uses.
async function native(name, command, args) {
  const program = new Program(command, args);
  if ((await program.hash()) === "") {
    program.close();
    console.error(`bench: this machine has no AVX2, so ${name} is skipped`);
    return [];
  }
  const step = async () => check(name, await program.hash(), EXPECTED.argon2);
  return [{ name, step, cpu: () => program.cpu(), close: () => program.close() }];
}

function check(name, hash, expected) {
  if (hash !== expected) throw new Error(`${name} computed the hash ${hash} instead of ${expected}`);
}

let made;
function modules() {
  made ??= makeModules();
  return made;
}

async function makeModules() {
  await cargo("build", "--locked", "--target", "wasm32-unknown-unknown", "-p", "argon2-wasm-check");
  const compared = ["--manifest-path", path("bench", "native", "Cargo.toml")];
  await cargo("build", "--locked", "--bin", "argon2-native", ...compared);
  await cargo(
    "build",
    "--locked",
    "--lib",
    "--target",
    "wasm32-unknown-unknown",
    ...compared,
    "--config",
    'build.rustflags=["-Ctarget-feature=+simd128"]',
  );
  const built = (name) => readFileSync(path("target", "bench", "wasm32-unknown-unknown", "release", name));
  return [
    { name: "argon2.wasm", contents: built("argon2_wasm_check.wasm") },
    { name: "argon2-rust.wasm", contents: built("argon2_compared.wasm") },
    ...(await modulesOfHashWasm()).map((contents, at) => ({ name: `hash-wasm-${at}.wasm`, contents })),
  ];
}

// The alternatives are compiled for maximum speed, whatever the profile of the Worker is.
async function cargo(...args) {
  const options = { env: { ...env, CARGO_PROFILE_RELEASE_OPT_LEVEL: "3" } };
  const { code, stderr } = await capture(
    "cargo",
    [...args, "--release", "--target-dir", path("target", "bench")],
    options,
  );
  if (code !== 0) fail(`the programs to compare with could not be compiled:\n${stderr}`);
}

async function modulesOfHashWasm() {
  const { compile } = WebAssembly;
  const compiled = [];
  WebAssembly.compile = (bytes) => {
    compiled.push(new Uint8Array(bytes));
    return compile(bytes);
  };
  try {
    const { argon2id } = await import("hash-wasm");
    await argon2id({
      password: "x",
      salt: "8 bytes.",
      memorySize: 8,
      iterations: 1,
      parallelism: 1,
      hashLength: 32,
      outputType: "binary",
    });
  } finally {
    WebAssembly.compile = compile;
  }
  return compiled;
}
