// Authenticator apps, computed by Node's crypto, and users who have one.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

import { decodeJwt } from "jose";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The code of an authenticator app with a secret in base 32, at a time in unix seconds (RFC 6238). */
export function totp(secret, seconds) {
  const bits = [...secret].map((character) => ALPHABET.indexOf(character).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(seconds / 30)));
  const mac = createHmac("sha1", key).update(step).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** A code that is wrong at that time. */
export function wrongCode(secret, seconds) {
  const right = [0, 30].map((age) => totp(secret, seconds - age));
  return ["000000", "111111", "222222"].find((code) => !right.includes(code));
}

/** The users of a Worker whose clock is STOPPED, so that the test knows its time. */
export class Apps {
  #worker;
  #now;

  constructor(worker) {
    this.#worker = worker;
  }

  /** The time of the Worker, which began with the first token that it issued. */
  now(session) {
    this.#now ??= decodeJwt(session.access_token).iat;
    return this.#now;
  }

  async advance(seconds) {
    await this.#worker.advance(seconds);
    this.#now += seconds;
  }

  /** Adds an authenticator app with the code of the step before, so that the code of now is not used. */
  async enrol(session, bearer = session.access_token) {
    const worker = this.#worker;
    const begun = await worker.post("/me/mfa/totp", { bearer });
    assert.equal(begun.status, 201, begun.text);
    const { secret } = begun.body;
    const confirmed = await worker.post("/me/mfa/totp/confirm", {
      bearer,
      json: { code: totp(secret, this.now(session) - 30) },
    });
    assert.equal(confirmed.status, 200, confirmed.text);
    return { ...session, ...confirmed.body, secret, codes: confirmed.body.recovery_codes };
  }

  /** A new user with an authenticator app. */
  async user(details) {
    return this.enrol(await this.#worker.proved(await this.#worker.register(details), "pwd email"));
  }

  /** The code of now. */
  code({ secret }) {
    return totp(secret, this.#now);
  }

  wrong({ secret }) {
    return wrongCode(secret, this.#now);
  }

  /** Logs in with the password, and returns the token that goes on. */
  async begin(user, details = {}) {
    const { email, password } = user;
    const answer = await this.#worker.post("/login", { json: { email, password, ...details } });
    assert.equal(answer.status, 401, answer.text);
    assert.match(answer.body.mfa_token, /^pcmf_/);
    return answer.body.mfa_token;
  }

  /** The tokens of a number of logins, one after the other, because hashing limits those at once. */
  async beginMany(user, count) {
    const tokens = [];
    while (tokens.length < count) tokens.push(await this.begin(user));
    return tokens;
  }

  /** Logs in with the password and these proofs. */
  async logIn(user, proofs) {
    const mfa_token = await this.begin(user);
    return this.#worker.post("/login/mfa", { json: { mfa_token, ...proofs } });
  }

  /** The session of a login with the code of now. */
  async session(user) {
    const answer = await this.logIn(user, { code: this.code(user) });
    assert.equal(answer.status, 200, answer.text);
    return { ...user, ...answer.body };
  }
}
