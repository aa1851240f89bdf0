// Requests that are cheap for an attacker are cheap for the Worker, and are logged if they reveal something.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, forged, PASSWORD, startWorker } from "../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const costs = () => worker.events("costs").filter(({ status }) => status !== undefined);

test("the health check queries storage once per five seconds, whatever the result", async () => {
  await worker.update();
  worker.events();
  for (let count = 0; count < 5; count += 1) assert.equal((await worker.get("/healthz")).status, 200);
  assert.deepEqual(
    costs().map(({ d1_round_trips, kv_gets }) => [d1_round_trips, kv_gets]),
    [
      [1, 1],
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  );
  await worker.db.prepare("ALTER TABLE cleanup_progress RENAME TO cleanup_progress_away").run();
  await worker.update();
  worker.events();
  for (let count = 0; count < 3; count += 1) assertProblem(await worker.get("/healthz"), 503, "unhealthy");
  const events = worker.events();
  assert.equal(
    events.filter(({ event }) => event === "storage_fault").length,
    1,
    "the cause is logged when it is found",
  );
  assert.deepEqual(
    events.filter(({ event }) => event === "costs").map(({ d1_round_trips }) => d1_round_trips),
    [1, 0, 0],
  );
  await worker.db.prepare("ALTER TABLE cleanup_progress_away RENAME TO cleanup_progress").run();
});

test("the first forged refresh token is logged, and further ones are counted", async () => {
  const { refresh_token, session_id } = await worker.register();
  await worker.update();
  worker.events();
  for (let count = 0; count < 20; count += 1)
    assertProblem(await worker.refresh(forged(refresh_token)), 401, "invalid_refresh_token");
  const lines = () =>
    worker.events("refresh_refused").map(({ reason, count, session_id: named }) => [reason, count, named]);
  assert.deepEqual(lines(), [["not_genuine", 1, null]]);
  // A genuine token identifies its session, so each use is logged.
  await worker.revoke(refresh_token);
  for (let count = 0; count < 2; count += 1) await worker.refresh(refresh_token);
  assert.deepEqual(lines(), Array(2).fill(["revoked", undefined, session_id]));
});

test("registering a taken address is recorded in the audit trail of its user, counted per hour", async () => {
  const user = await worker.register();
  const from = (ip, agent) => ({ headers: { "CF-Connecting-IP": ip, "User-Agent": agent } });
  const attempt = (options, details) =>
    worker.post("/register", {
      json: { email: user.email.toUpperCase(), password: PASSWORD, ...details },
      ...options,
    });
  worker.events();
  assertProblem(await attempt(from("203.0.113.1", "first")), 409, "email_taken");
  assertProblem(await attempt(from("203.0.113.2", "last")), 409, "email_taken");
  const events = worker.events().filter(({ event }) => event !== "costs");
  assert.deepEqual(
    events.map(({ event, reason }) => [event, reason]),
    Array(2).fill(["registration_refused", "email_taken"]),
  );
  const { body } = await worker.get("/me/events", { bearer: user.access_token });
  const [seen, ...more] = body.events.filter(({ kind }) => kind === "registration_attempted");
  assert.equal(more.length, 0);
  const { at, last_at, ...rest } = seen;
  assert.deepEqual(rest, {
    kind: "registration_attempted",
    count: 2,
    ip: "203.0.113.2",
    user_agent: "last",
    other_ip: "203.0.113.1",
    other_user_agent: "first",
  });
  assert.ok(at % 3600 === 0 && last_at - at < 3600);
});

test("a taken username is reported before a taken address, and the response reveals nothing about the address", async () => {
  const user = await worker.register({ username: "first.come" });
  worker.events();
  const answer = await worker.post("/register", {
    json: { email: user.email, username: "First.Come", password: PASSWORD },
  });
  assertProblem(answer, 409, "username_taken");
  const { body } = await worker.get("/me/events", { bearer: user.access_token });
  assert.deepEqual(
    body.events.filter(({ kind }) => kind === "registration_attempted"),
    [],
  );
  assert.deepEqual(
    worker.events("registration_refused").map(({ reason }) => reason),
    ["username_taken"],
  );
});
