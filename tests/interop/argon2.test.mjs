// Argon2 in WebAssembly: crates/argon2-simd128 computes the same tags as other implementations, and the Worker contains
// its SIMD128 code. The native tests of the crate cover the scalar code.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { argon2Sync, randomBytes, randomInt } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { cached } from "../support/cached.mjs";

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
// Compiled by `npm test` from crates/argon2-simd128/wasm-check, which documents its exports.
const CHECK = "target/wasm32-unknown-unknown/release/argon2_wasm_check.wasm";
const VARIANTS = ["argon2d", "argon2i", "argon2id"];

let argon2;
before(async () => (argon2 = (await WebAssembly.instantiate(readFileSync(file(CHECK)))).instance.exports));

/** The tag that one of the two implementations in the module computes, or `undefined` if it refuses the parameters. */
function tagOf(implementation, { variant, version, memory, passes, parallelism, tagLength, inputs }) {
  const buffer = () => Buffer.from(argon2.memory.buffer, argon2.room(), 65_536);
  buffer().fill(0xa5);
  Buffer.concat(inputs).copy(buffer());
  const before = Buffer.from(buffer());
  const lengths = inputs.map((input) => input.length);
  const failed = argon2[implementation](variant, version, memory, passes, parallelism, tagLength, ...lengths);
  if (failed === 0) return buffer().subarray(0, tagLength).toString("hex");
  assert.ok(buffer().equals(before), "a failure writes nothing");
}

function nodesTag({
  variant,
  memory,
  passes,
  parallelism,
  tagLength,
  inputs: [message, nonce, secret, associatedData],
}) {
  const parameters = { message, nonce, secret, associatedData, memory, passes, parallelism, tagLength };
  return argon2Sync(VARIANTS[variant], parameters).toString("hex");
}

function anyParameters() {
  const parallelism = randomInt(1, 9);
  const inputs = [
    randomBytes(randomInt(0, 200)),
    randomBytes(randomInt(8, 64)),
    randomBytes(randomInt(0, 64)),
    randomBytes(randomInt(0, 33)),
  ];
  return {
    variant: randomInt(0, 3),
    version: randomInt(0, 2) === 0 ? 0x10 : 0x13,
    memory: 8 * parallelism + randomInt(0, randomInt(0, 2) === 0 ? 40 : 2000),
    passes: randomInt(1, 5),
    parallelism,
    tagLength: randomInt(4, 300),
    inputs,
  };
}

const show = ({ inputs, ...parameters }) =>
  JSON.stringify({ ...parameters, inputs: inputs.map((input) => input.toString("hex")) });

test("for any parameters, the tag is that of OpenSSL and of the argon2 crate, even in reused memory", () => {
  for (let count = 0; count < 400; count += 1) {
    const parameters = anyParameters();
    const tag = tagOf("ours", parameters);
    assert.equal(tag, tagOf("theirs", parameters), show(parameters));
    // OpenSSL supports only this version.
    if (parameters.version === 0x13) assert.equal(tag, nodesTag(parameters), show(parameters));
  }
});

test("the parameters that the Worker uses give OpenSSL's tag", () => {
  const inputs = ["correct horse battery staple", "sixteen bytes...", "", ""].map((text) => Buffer.from(text));
  for (const [memory, passes] of [
    [19_456, 2],
    [7_168, 5],
    [65_536, 1],
  ]) {
    const parameters = { variant: 2, version: 0x13, memory, passes, parallelism: 1, tagLength: 32, inputs };
    assert.equal(tagOf("ours", parameters), nodesTag(parameters));
  }
  assert.equal(argon2.memory_kib(), 65_536);
});

test("parameters that are out of bounds or exceed the memory are refused, and the next hash is correct", () => {
  const inputs = [Buffer.from("password"), Buffer.from("somesalt"), Buffer.alloc(0), Buffer.alloc(0)];
  const good = { variant: 2, version: 0x13, memory: 64, passes: 1, parallelism: 2, tagLength: 32, inputs };
  for (const bad of [
    { parallelism: 0 },
    { parallelism: 2 ** 24, memory: 2 ** 32 - 1 },
    { memory: 15 },
    { passes: 0 },
    { tagLength: 3 },
    { inputs: [inputs[0], Buffer.from("7 bytes"), inputs[2], inputs[3]] },
    // More than a WebAssembly memory can hold: just below the address limit, and far above it.
    { memory: 4_194_300 },
    { memory: 2 ** 32 - 1 },
  ]) {
    assert.equal(tagOf("ours", { ...good, ...bad }), undefined, JSON.stringify(bad));
    assert.equal(tagOf("ours", good), nodesTag(good), `after ${JSON.stringify(bad)}`);
  }
});

test("the Worker contains only the SIMD128 code of Argon2", async () => {
  const index = readFileSync(file("dist/index.js"), "utf8");
  const [name] = index.match(/[\w-]+index_bg\.wasm/);
  // There are two functions G, for the first pass and for later ones. If wasm-opt inlined them into the calling loop,
  // they would run as unoptimized code until the next hash.
  const { simd, scalar } = await compressions(`dist/${name}`);
  assert.deepEqual(simd.map((name) => name.match(/G::\w+/)?.[0]).sort(), ["G::set", "G::xor"]);
  assert.deepEqual(scalar, []);
  // A control that the counts distinguish both kinds: the code of the `argon2` crate is scalar.
  const both = await compressions(CHECK);
  assert.deepEqual([both.simd.length, both.scalar.length], [2, 1]);
});

/** The functions of a module that are Argon2's compression, recognised by 64 multiplications of 32 by 32 bits. */
async function compressions(wasm) {
  // Binaryen takes seconds, and does the same with the same module.
  const folder = await cached("argon2-functions", [wasm], (made) => {
    const counted = functions(file(wasm), join(made, "module.wat"));
    writeFileSync(join(made, "functions.json"), JSON.stringify(counted));
    rmSync(join(made, "module.wat"));
  });
  const counts = JSON.parse(readFileSync(join(folder, "functions.json"), "utf8"));
  assert.ok(counts.length > 50);
  const simd = counts.filter(({ extmul }) => extmul === 64);
  const scalar = counts.filter(({ mul, rot }) => mul >= 16 && rot >= 16);
  const names = (functions) => functions.map(({ name }) => name);
  return { simd: names(simd), scalar: names(scalar) };
}

/** The functions of a module, with the numbers of their instructions of three kinds. */
function functions(wasm, output) {
  // Into a file, because it writes to a pipe in very small pieces.
  const { status } = spawnSync(file("node_modules/.bin/wasm-dis"), ["--all-features", wasm, "-o", output]);
  assert.equal(status, 0);
  const texts = readFileSync(output, "utf8")
    .split(/^ \(func /m)
    .slice(1);
  const count = (text, pattern) => text.match(pattern)?.length ?? 0;
  return texts.map((text) => ({
    name: text.slice(0, text.indexOf(" ")),
    extmul: count(text, /i64x2\.extmul_(?:low|high)_i32x4_u/g),
    mul: count(text, /i64\.mul/g),
    rot: count(text, /i64\.rot[lr]/g),
  }));
}
