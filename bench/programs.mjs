// Starts what hashes outside of workerd: programs that take a line and answer with a hash in base64 on another.

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

  /** One hash. */
  async hash() {
    this.child.stdin.write("hash\n");
    const { value, done } = await this.#answers.next();
    return done ? fail(`${this.child.spawnfile} ended`) : value;
  }

  cpu() {
    return cpuOf(this.child.pid);
  }

  close() {
    this.child.stdin.end();
  }
}
