// Rotation compared with a small reference model, over HTTP and real D1: random sequences of refreshes with any token
// ever issued, retries, revocations, disabling and waits.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import fc from "fast-check";

import { startWorker } from "../support/harness.mjs";

const GRACE = 30;
const IDLE = 604800;
const ABSOLUTE = 2592000;
/** No wait ends within this many seconds before a boundary, because the clock advances while a test runs. */
const MARGIN = 15;

let worker, user;
before(async () => {
  worker = await startWorker();
  user = await worker.register();
});
after(() => worker.close());

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ refresh: fc.nat({ max: 3 }), times: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ wait: fc.constantFrom(1, GRACE + 5, 1000, IDLE - 1000, IDLE + 1000, ABSOLUTE) }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ disable: true }, { disable: false }) },
  { weight: 1, arbitrary: fc.constant({ revoke: true }) },
);

test("any sequence of steps keeps the guarantees of rotation", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
      await worker.disable(user, false);
      const session = (await worker.login(user)).body;
      const model = { tokens: [session.refresh_token], now: 0, rotatedAt: 0, end: IDLE, alive: true, disabled: false };
      for (const each of steps) await take(each, model, session.session_id);
      await checkLive(model);
    }),
    { numRuns: 40, endOnFailure: false },
  );
});

async function take({ refresh, times, wait, disable, revoke }, model, sessionId) {
  if (wait !== undefined) {
    await worker.age(wait, sessionId);
    model.now += wait;
  } else if (disable !== undefined) {
    await worker.disable(user, disable);
    model.disabled = disable;
  } else if (revoke) {
    assert.equal((await worker.revoke(model.tokens.at(-1))).status, 200);
    model.alive = false;
  } else {
    const age = Math.min(refresh, model.tokens.length - 1);
    await present(age, times, model);
  }
}

/** Presents the token that is `age` generations old, `times` times concurrently. */
async function present(age, times, model) {
  const { tokens, now } = model;
  const inWindow = now - model.rotatedAt < GRACE - MARGIN;
  assert.ok(inWindow || now - model.rotatedAt >= GRACE, "a boundary is too close for the clock");
  const usable = model.alive && !model.disabled && now < model.end;
  const issues = usable && (age === 0 || (age === 1 && inWindow));
  const kills = age > 1 || (age === 1 && !inWindow);
  const token = tokens.at(-1 - age);

  const answers = await Promise.all(Array.from({ length: times }, () => worker.refresh(token)));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [issues ? 200 : 401]);
  if (issues) {
    // There is at most one live token, so all requests got the same one.
    const successors = new Set(answers.map(({ body }) => body.refresh_token));
    assert.equal(successors.size, 1);
    const [successor] = successors;
    if (age === 1) return assert.equal(successor, tokens.at(-1));
    assert.ok(!tokens.includes(successor));
    tokens.push(successor);
    model.rotatedAt = now;
    model.end = Math.min(now + IDLE, ABSOLUTE);
  } else if (kills) {
    model.alive = false;
  }
}

/** Asserts that the newest token of a live session refreshes, and that no token of an ended one does. */
async function checkLive(model) {
  if (!model.alive) {
    for (const token of model.tokens) assert.equal((await worker.refresh(token)).status, 401);
  } else if (!model.disabled && model.now < model.end) {
    assert.equal((await worker.refresh(model.tokens.at(-1))).status, 200);
  }
}
