// Turnstile at POST /register, with a siteverify API of the test.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { assertProblem, from, PASSWORD, POLICIES, startWorker } from "../../support/harness.mjs";

const SECRET = "1x0000000000000000000000000000000AA";
const PASSED = { success: true, hostname: "auth.example.org", action: "register" };

/** What the API answers: an object as JSON, or a function of the response. */
let reply;
/** The requests that the API received. */
const received = [];
const siteverify = createServer(async (request, response) => {
  const chunks = await request.toArray();
  const { method, headers } = request;
  received.push({ method, type: headers["content-type"], body: JSON.parse(Buffer.concat(chunks).toString()) });
  if (typeof reply === "function") reply(response);
  else response.setHeader("Content-Type", "application/json").end(JSON.stringify(reply));
});

let worker, vars;
before(async () => {
  siteverify.listen(0, "127.0.0.1");
  await once(siteverify, "listening");
  vars = {
    ISSUER: "https://auth.example.org",
    ALLOWED_ORIGINS: "https://app.example.org",
    TURNSTILE_URL: `http://127.0.0.1:${siteverify.address().port}/siteverify`,
  };
  worker = await startWorker({ vars, secrets: { TURNSTILE_SECRET: SECRET } });
});
beforeEach(async () => {
  reply = PASSED;
  received.length = 0;
  await worker.limit({ LIMIT_CHALLENGE: 1000 });
  await worker.asked();
  worker.runtime.log.take();
});
after(async () => {
  siteverify.closeAllConnections();
  siteverify.close();
  await worker.close();
});

let people = 0;
const register = (details, options) =>
  worker.post("/register", {
    json: { email: `turnstile-${++people}@example.org`, password: PASSWORD, ...details },
    ...options,
  });
/** Asserts a refusal, which reads and writes nothing. */
function assertRefused(answer, status, code) {
  assertProblem(answer, status, code);
  const events = worker.runtime.log.take().map((line) => JSON.parse(line));
  const [{ d1_round_trips, kv_gets, kv_puts }] = events.filter(({ event }) => event === "costs");
  assert.deepEqual([d1_round_trips, kv_gets, kv_puts], [0, 0, 0]);
  return events.filter(({ event }) => event !== "costs");
}

test("a token is required only from a source that registers often", async () => {
  await worker.limit({ LIMIT_CHALLENGE: 1 });
  assert.equal((await register({}, from("192.0.2.10"))).status, 201);
  worker.runtime.log.take();
  const [event] = assertRefused(await register({}, from("192.0.2.10")), 403, "turnstile_required");
  assert.deepEqual([event.event, event.reason], ["registration_refused", "turnstile_required"]);
  assert.equal((await register({}, from("192.0.2.11"))).status, 201);
  assert.equal((await register({ turnstile_token: "a token" }, from("192.0.2.10"))).status, 201);
  assert.deepEqual(await worker.asked(), [
    "LIMIT_CHALLENGE source:192.0.2.10",
    "LIMIT_CHALLENGE source:192.0.2.10",
    "LIMIT_CHALLENGE source:192.0.2.11",
  ]);
});

test("a token is checked whenever it is sent, with the secret", async () => {
  assert.equal((await register({ turnstile_token: "a token" })).status, 201);
  assert.deepEqual(received, [
    { method: "POST", type: "application/json", body: { secret: SECRET, response: "a token" } },
  ]);
});

test("a page of an allowed origin may get tokens", async () => {
  reply = { ...PASSED, hostname: "app.example.org" };
  assert.equal((await register({ turnstile_token: "a token" })).status, 201);
});

for (const [what, answer] of Object.entries({
  "another host name": { ...PASSED, hostname: "evil.example.org" },
  "no host name": { ...PASSED, hostname: undefined },
  "another action": { ...PASSED, action: "login" },
  "a failure": { success: false, "error-codes": ["timeout-or-duplicate"] },
})) {
  test(`a token is refused if the answer has ${what}`, async () => {
    reply = answer;
    const [event] = assertRefused(await register({ turnstile_token: "a token" }), 403, "turnstile_failed");
    assert.deepEqual([event.event, event.reason], ["registration_refused", "turnstile_failed"]);
  });
}

for (const [what, cause, answer] of [
  ["has the status 500", "status", (response) => response.writeHead(500).end(JSON.stringify(PASSED))],
  ["is not JSON", "answer", (response) => response.end("<html>")],
  ["says that the secret is wrong", "answer", { success: false, "error-codes": ["invalid-input-secret"] }],
  ["is too large", "too_large", (response) => response.end(JSON.stringify({ ...PASSED, cdata: "x".repeat(20_000) }))],
  ["does not come", "timeout", () => {}],
  ["does not end", "timeout", (response) => response.write(JSON.stringify(PASSED))],
]) {
  test(`a registration is refused if the answer ${what}`, async () => {
    await worker.update();
    reply = answer;
    const [event] = assertRefused(await register({ turnstile_token: "a token" }), 503, "turnstile_unavailable");
    assert.deepEqual([event.level, event.event, event.cause], ["error", "turnstile_unavailable", cause]);
  });
}

test("invalid input is refused without using up the token", async () => {
  assertProblem(await register({ email: "x", turnstile_token: "a token" }), 422, "invalid_email");
  assertProblem(await register({ password: "short", turnstile_token: "a token" }), 422, "password_too_short");
  assert.deepEqual(received, []);
});

test("without a secret no token is required or checked, and the pages stay as they are", async () => {
  await worker.update({ secrets: { TURNSTILE_SECRET: null } });
  await worker.limit({ LIMIT_CHALLENGE: 0 });
  assert.equal((await register({ turnstile_token: "a token" })).status, 201);
  assert.equal((await register()).status, 201);
  assert.deepEqual([received, await worker.asked()], [[], []]);
  assert.equal((await worker.get("/account/config.json")).body.turnstile_site_key, undefined);
  const { headers } = await worker.get("/account/login");
  assert.equal(headers.get("content-security-policy"), POLICIES.asset);
});

test("with a site key the pages are told, and may use the script and the frame of Turnstile", async () => {
  await worker.update();
  const policy = async (path) => (await worker.get(path)).headers.get("content-security-policy");
  assert.equal(await policy("/account/login"), POLICIES.asset, "no site key");
  await worker.update({ vars: { TURNSTILE_SITE_KEY: "0x4AAA", DOCS: "on" } });
  assert.equal((await worker.get("/account/config.json")).body.turnstile_site_key, "0x4AAA");
  assert.equal(await policy("/account/login"), POLICIES.withTurnstile);
  assert.equal(await policy("/docs/"), POLICIES.asset);
  await worker.update();
});
