// Runs hashing programs outside of workerd: each reads a line and prints a hash in base16 on a line.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { env, fail } from "../scripts/lib.mjs";
import { cpuOf } from "./servers.mjs";

export class Program {
  #answers;

  constructor(command, args) {
    this.child = spawn(command, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    this.#answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Computes one hash. */
  async hash() {
    this.child.stdin.write("hash\n");
    const { value, done } = await this.#answers.next();
    return done ? fail(`${this.child.spawnfile} ended unexpectedly`) : value;
  }

  cpu() {
    return cpuOf(this.child.pid);
  }

  close() {
    this.child.stdin.end();
  }
}
