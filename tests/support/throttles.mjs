// The rows of the table `throttles`, for tests that run with the clock STOPPED.

import assert from "node:assert/strict";
import { createHmac, hkdfSync } from "node:crypto";

import { assertProblem } from "./harness.mjs";

const KINDS = { email: 0, username: 1, malformed: 2 };

/** The wait after each number of failures, in seconds. The first four begin none. */
export const WAITS = [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900];

/** The throttles of a Worker. */
export class Throttles {
  constructor(worker) {
    this.worker = worker;
  }

  /** All rows, by key. */
  async all() {
    const { results } = await this.worker.db.prepare("SELECT * FROM throttles ORDER BY key").all();
    return Object.fromEntries(results.map(({ key, ...row }) => [key, row]));
  }

  /** The row with this key; `undefined` if there is none. */
  async row(key) {
    return (await this.all())[key];
  }

  clear() {
    return this.worker.db.prepare("DELETE FROM throttles").run();
  }

  /** The key of the row of a name: 24 bits of an HMAC. */
  key(kind, name) {
    const secret = Buffer.from(this.worker.secrets.TOKEN_SECRET, "base64url");
    const key = Buffer.from(hkdfSync("sha256", secret, "", "portcullis name v1", 32));
    const tag = createHmac("sha256", key).update(Uint8Array.of(KINDS[kind])).update(name).digest();
    return `name:${tag.subarray(0, 3).toString("base64url")}`;
  }

  /** Makes attempts with an e-mail address wait, as after ten failures. One attempt that fails must have preceded. */
  async hold({ email }, seconds = 64) {
    const update = "UPDATE throttles SET steps = 10, failures = 10, until = last_at + ? WHERE key = ? RETURNING key";
    const { results } = await this.worker.db.prepare(update).bind(seconds, this.key("email", email)).all();
    assert.equal(results.length, 1, "no attempt has failed");
  }
}

/**
 * Makes attempts with these passwords, all of which verify theirs before the first is counted, and then lets them go on one after
 * another. Returns the answers, in order.
 */
export async function allVerifiedAtOnce(worker, passwords, attempt) {
  const held = [];
  for (const password of passwords) {
    const plan = worker.plan({ at: 2, does: "hold" });
    const answer = attempt(password, { headers: plan.headers });
    assert.equal(await plan.untilHeld(), true);
    held.push({ plan, answer });
  }
  const answers = [];
  for (const { plan, answer } of held) {
    plan.release();
    answers.push(await answer);
  }
  return answers;
}

/** Asserts that an attempt must wait this long. */
export function assertThrottled(answer, seconds) {
  assertProblem(answer, 429, "too_many_attempts");
  assert.equal(answer.headers.get("retry-after"), String(seconds));
}

/** What a client can see of a response, apart from its random parts. */
export function visible({ status, headers, text }) {
  const id = headers.get("x-request-id");
  const seen = [...headers].filter(([name]) => name !== "date").map(([name, value]) => `${name}: ${value}`);
  return [status, ...seen, text].join("\n").replaceAll(id, "REQUEST ID");
}
