// What the tests of passkeys share.

import assert from "node:assert/strict";

import { Authenticator } from "./authenticator.mjs";

let users = 0;

/** The options that an endpoint answers. */
export async function options(worker, path = "/passkeys/options", request = {}) {
  const answer = await worker.post(path, request);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

/** Creates an account with a passkey, and returns the token response with the authenticator. */
export async function registerWithPasskey(worker, details = {}, authenticator = new Authenticator()) {
  const email = details.email ?? `passkey-${++users}@example.org`;
  const publicKey = await options(worker, "/register/passkey/options", { json: { email } });
  const credential = authenticator.create(publicKey);
  const { status, body } = await worker.post("/register/passkey", { json: { credential, email, ...details } });
  assert.equal(status, 201, JSON.stringify(body));
  return { ...body, email, authenticator };
}

/** Logs in with a passkey. `changes`: of the answer of the authenticator. `details`: of the request. */
export async function logIn(worker, { authenticator }, changes, details) {
  const credential = authenticator.get(await options(worker), changes);
  return worker.post("/passkeys/login", { json: { credential, ...details } });
}

/** The reasons of refused passkeys in the log since the last call. */
export function refusals(worker) {
  return worker.events("passkey_refused").map(({ reason }) => reason);
}
