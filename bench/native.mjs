// Computes a native hash for each line of input and prints it in base16: with `node:crypto`, which uses OpenSSL's
// Argon2, or with a native module.

import { argon2Sync } from "node:crypto";
import { createInterface } from "node:readline";

import { Algorithm, hashRawSync, Version } from "@node-rs/argon2";

import { ARGON2, PASSWORD, SALT } from "./parameters.mjs";

const { memory, passes, parallelism, tagLength } = ARGON2;
const HASHES = {
  "node:crypto": () =>
    argon2Sync("argon2id", { message: PASSWORD, nonce: SALT, memory, passes, parallelism, tagLength }),
  "@node-rs/argon2": () => {
    const cost = { memoryCost: memory, timeCost: passes, parallelism, outputLen: tagLength };
    return hashRawSync(PASSWORD, {
      ...cost,
      salt: Buffer.from(SALT),
      algorithm: Algorithm.Argon2id,
      version: Version.V0x13,
    });
  },
};
const hash = HASHES[process.argv[2]];

createInterface({ input: process.stdin }).on("line", () => console.log(hash().toString("hex")));
