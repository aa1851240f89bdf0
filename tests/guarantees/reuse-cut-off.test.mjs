// Reuse is detected even if the thief disconnects before the response.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertOAuthError, assertProblem, restored, startWorker } from "../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** An account whose first refresh token was stolen, and rotated out longer ago than the grace window. */
const compromised = restored(
  () => worker,
  async () => {
    const user = await worker.register();
    const { body } = await worker.refresh(user.refresh_token);
    await worker.age(60, user.session_id);
    return { ...user, stolen: user.refresh_token, live: body.refresh_token, access_token: body.access_token };
  },
);

const REPLAYS = {
  "/refresh": (refresh_token) => ({ json: { refresh_token } }),
  "/token": (refresh_token) => ({ form: { grant_type: "refresh_token", refresh_token } }),
};

/** Presents the stolen token according to a plan, and waits for the response. */
async function replay(path, { stolen }, plan = {}) {
  const watched = worker.plan(plan);
  const answer = await worker.post(path, { ...REPLAYS[path](stolen), headers: watched.headers });
  return { answer, calls: await watched.untilEnded() };
}

/** The reuse events of the session in the audit trail of the account. */
async function recorded({ email, password, session_id }) {
  const { body } = await worker.login({ email, password });
  const { events } = (await worker.get("/me/events", { bearer: body.access_token })).body;
  return events.filter((event) => event.kind === "reuse_detected" && event.session_id === session_id);
}

/** Asserts that no token of the session is accepted, and that the audit trail and the log have the reuse. */
async function assertDetected(user) {
  const logged = worker.events("reuse_detected").filter(({ session_id }) => session_id === user.session_id);
  assert.equal(logged.length, 1);
  assert.equal((await recorded(user)).length, 1);
  assertProblem(await worker.refresh(user.live), 401, "invalid_refresh_token");
  assertProblem(await worker.me(user.access_token), 401, "invalid_token");
  assertProblem(await worker.verify(user.access_token), 401, "invalid_token");
}

for (const path of Object.keys(REPLAYS)) {
  for (const how of ["RST", "FIN"]) {
    for (const does of ["hold", "hold answer"]) {
      test(`${path}: reuse is detected if the client disconnects by ${how} at any storage call, ${does === "hold" ? "before it takes place" : "before its result arrives"}`, async () => {
        const { calls } = await replay(path, await compromised());
        for (const [index, { kind, afterResponse }] of calls.entries()) {
          const user = await compromised();
          worker.events();
          const plan = worker.plan({ at: index + 1, does });
          const client = await worker.send("POST", path, { ...REPLAYS[path](user.stolen), plan });
          assert.equal(await plan.untilHeld(), true, `${kind} ${index + 1}`);
          await client.disconnect(how);
          if (how === "FIN" || afterResponse) plan.release();
          await plan.untilEnded();
          plan.release();
          await assertDetected(user);
        }
      });
    }
  }

  test(`${path}: the transaction that detects a reuse ends the session and records it`, async () => {
    const { calls } = await replay(path, await compromised());
    const batches = calls.filter(({ kind, afterResponse }) => kind === "batch" && !afterResponse);
    assert.ok(batches.length <= 2, `${batches.length} round trips`);
    const user = await compromised();
    const { answer } = await replay(path, user, { at: batches.length, only: "batch", does: "lose" });
    if (path === "/token") assertOAuthError(answer, 503, "temporarily_unavailable");
    else assertProblem(answer, 503, "storage_unavailable");
    // Read from D1, because presenting the live token would end the session anyway.
    const { revoked_reason } = await worker.sessionRow(user.session_id);
    assert.equal(revoked_reason, "reuse");
    assert.equal((await recorded(user)).length, 1);
    // The second replay records no second event.
    await replay(path, user);
    assert.equal((await recorded(user)).length, 1);
  });
}

test("two hundred replays of one token are one reuse", async () => {
  const user = await compromised();
  for (let wave = 0; wave < 2; wave += 1)
    await Promise.all(Array.from({ length: 100 }, () => replay("/refresh", user)));
  assert.equal((await recorded(user)).length, 1);
});
