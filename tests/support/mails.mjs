// The mails that a Worker with MAIL = "log" sends.

import assert from "node:assert/strict";
import { createHmac, hkdfSync } from "node:crypto";
import { setTimeout } from "node:timers/promises";

/** The variables of a Worker that sends mails, but none after a registration. */
export const MAIL_VARS = { MAIL: "log", EMAIL_LOGIN: "on" };

/** The mails of a Worker, which are sent after the responses. */
export class Mails {
  #worker;
  #taken = new Set();
  #ignored;

  /** `ignored`: kinds of mail that no method returns. */
  constructor(worker, ignored = []) {
    this.#worker = worker;
    this.#ignored = ignored;
  }

  /** Forgets the mails and the budgets so far. */
  async forget() {
    await this.take();
    await this.#worker.db.batch(
      ["challenges", "mail_budgets"].map((table) => this.#worker.db.prepare(`DELETE FROM ${table}`)),
    );
  }

  /** Waits until nothing is due in the outbox, and returns the mails since the last call. */
  async take() {
    const { db, runtime } = this.#worker;
    const due = () =>
      db.prepare("SELECT COUNT(*) AS n FROM outbox WHERE attempts = 0 OR claimed_until > unixepoch()").first();
    for (let tries = 0; (await due()).n > 0; tries += 1) {
      assert.ok(tries < 300, "the outbox is not empty");
      await setTimeout(10);
    }
    await runtime.heard();
    const lines = runtime.log.lines.filter((line) => line.includes('"event":"mail"') && !this.#taken.has(line));
    for (const line of lines) this.#taken.add(line);
    return lines.map((line) => JSON.parse(line)).filter(({ kind }) => !this.#ignored.includes(kind));
  }

  /** The only mail since the last call, which has this kind. */
  async only(kind) {
    const mails = await this.take();
    assert.deepEqual(
      mails.map((mail) => mail.kind),
      [kind],
    );
    const [mail] = mails;
    return mail.link === null ? mail : { ...mail, token: new URL(mail.link).hash.replace(/^#token=/, "") };
  }
}

/** The code of a row of `challenges`, computed as crates/core/src/mail/challenge.rs documents. */
export function codeOf(row, secret, use = "code") {
  const bytes = (text) => Buffer.from(text, "base64url");
  const key = Buffer.from(hkdfSync("sha256", bytes(secret), "", "portcullis mail code v1", 32));
  const version = Buffer.alloc(8);
  version.writeBigUInt64BE(BigInt(row.credentials_version));
  const mac = createHmac("sha256", key);
  for (const field of [use, row.purpose, bytes(row.id), bytes(row.salt), bytes(row.user_id), version, row.email_key]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.from(field).length);
    mac.update(length).update(field);
  }
  const bits = BigInt(`0x${mac.digest().subarray(0, 5).toString("hex")}`);
  const digits = Array.from({ length: 8 }, (_, index) => Number((bits >> BigInt(35 - 5 * index)) & 31n));
  const text = digits.map((digit) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[digit]).join("");
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}
