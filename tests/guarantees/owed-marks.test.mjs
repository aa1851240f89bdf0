// The marks of ended sessions in KV, which /verify reads: each one that D1 records as owed is written, whatever fails
// in between, and none that is known to be written is written again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { read } from "../../scripts/lib.mjs";
import { assertProblem, restored, startWorker } from "../support/harness.mjs";
import { WITHOUT_PAUSES } from "../support/preludes.mjs";

const EVERY_MINUTE = "* * * * *";
const EVERY_HOUR = "17 * * * *";

let worker, admin;
before(async () => {
  worker = await startWorker({ prelude: WITHOUT_PAUSES });
  admin = await worker.registerAdmin();
});
after(() => worker.close());

const NEW_PASSWORD = "another correct horse battery";

/** Every way to end a session before it expires, and which of the user's two sessions it ends. */
const ENDINGS = {
  "POST /revoke": ({ sessions: [, second] }) => ({
    request: ["POST", "/revoke", { form: { token: second.refresh_token } }],
    ended: [second],
  }),
  "DELETE /sessions/{id}": ({ access_token, sessions: [, second] }) => ({
    request: ["DELETE", `/sessions/${second.session_id}`, { bearer: access_token }],
    ended: [second],
  }),
  "DELETE /sessions": ({ access_token, sessions }) => ({
    request: ["DELETE", "/sessions", { bearer: access_token }],
    ended: sessions,
  }),
  "DELETE /sessions?except=current": ({ access_token, sessions: [, second] }) => ({
    request: ["DELETE", "/sessions?except=current", { bearer: access_token }],
    ended: [second],
  }),
  "POST /me/password": ({ access_token, password, sessions: [, second] }) => ({
    request: [
      "POST",
      "/me/password",
      { bearer: access_token, json: { current_password: password, new_password: NEW_PASSWORD } },
    ],
    ended: [second],
  }),
  "DELETE /me": ({ access_token, password, sessions }) => ({
    request: ["DELETE", "/me", { bearer: access_token, json: { current_password: password } }],
    ended: sessions,
  }),
  "PATCH /users/{id} that disables": ({ user, sessions }) => ({
    request: ["PATCH", `/users/${user.id}`, { bearer: admin.access_token, json: { disabled: true } }],
    ended: sessions,
  }),
  "DELETE /users/{id}/sessions": ({ user, sessions }) => ({
    request: ["DELETE", `/users/${user.id}/sessions`, { bearer: admin.access_token }],
    ended: sessions,
  }),
  "DELETE /users/{id}": ({ user, sessions }) => ({
    request: ["DELETE", `/users/${user.id}`, { bearer: admin.access_token }],
    ended: sessions,
  }),
  "a refresh token that was rotated out": ({ refresh_token, sessions: [first] }) => ({
    request: ["POST", "/refresh", { json: { refresh_token } }],
    ended: [first],
  }),
};
/** The requests that the same user can repeat. */
const REPEATABLE = [
  "POST /revoke",
  "DELETE /sessions/{id}",
  "DELETE /sessions?except=current",
  "PATCH /users/{id} that disables",
  "DELETE /users/{id}/sessions",
];

/** An account with two sessions. The first was refreshed longer ago than the grace window. */
const somebody = restored(
  () => worker,
  async () => {
    const user = await worker.register();
    const second = (await worker.login(user)).body;
    const { access_token } = (await worker.refresh(user.refresh_token)).body;
    await worker.age(60, user.session_id);
    return { ...user, access_token, sessions: [user, second] };
  },
);

/** Ends sessions according to a plan, and returns the storage calls. */
async function end(name, plan, user) {
  user ??= await somebody();
  const { request, ended } = ENDINGS[name](user);
  const [method, path, options] = request;
  const watched = worker.plan(plan);
  const answer = await worker.request(method, path, { ...options, headers: watched.headers });
  return { user, ended, answer, calls: await watched.untilEnded() };
}

const puts = (calls) => calls.filter(({ kind }) => kind === "put");

async function assertMarked(ended, expected = true) {
  for (const session of ended) assert.equal(await worker.isMarked(session), expected);
}

/** The storage calls of the scheduled event of every minute, some minutes later. */
async function payDebts(plan) {
  const owing = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%mark_due_at%'";
  for (const { name } of (await worker.db.prepare(owing).all()).results) {
    await worker.db.prepare(`UPDATE "${name}" SET mark_due_at = mark_due_at - 300`).run();
  }
  const watched = await worker.schedule(EVERY_MINUTE, plan);
  return watched.untilEnded();
}

test("the scheduled event runs every minute, and the cleanup every hour", () => {
  const [, crons] = read("wrangler.toml").match(/^crons = (\[.*\])$/m);
  assert.deepEqual(JSON.parse(crons), [EVERY_MINUTE, EVERY_HOUR]);
});

for (const name of Object.keys(ENDINGS)) {
  test(`${name}: the mark is written although the client leaves between D1 and KV`, async () => {
    const user = await somebody();
    const { request, ended } = ENDINGS[name](user);
    const [method, path, options] = request;
    const plan = worker.plan({ at: 1, only: "put", does: "hold" });
    const client = await worker.send(method, path, { ...options, plan });
    assert.equal(await plan.untilHeld(), true);
    await client.leave("RST");
    // A mark is written after the response, so a client that leaves does not delay it.
    plan.release();
    await plan.untilEnded();
    await assertMarked(ended);
  });

  test(`${name}: a mark that fails once is written after the response, after a pause`, async () => {
    const { ended, answer, calls } = await end(name, { at: 1, only: "put", does: "fail" });
    // RFC 9700: the sender of a token that was rotated out learns only that it is invalid.
    assert.ok(answer.status < 300 || answer.status === 401, answer.text);
    await assertMarked(ended);
    const [failed] = puts(calls);
    const [again] = puts(calls).filter((call) => call !== failed && call.key === failed.key);
    assert.ok(again.at - failed.at >= 1000, `after ${again.at - failed.at} ms`);
    assert.equal(again.behindAnswer, true);
    // A mark that is written is no longer owed.
    assert.deepEqual(puts(await payDebts()), []);
  });

  test(`${name}: a mark that fails stays owed, and the scheduled event writes it`, async () => {
    const { ended } = await end(name, { at: "each", only: "put", does: "fail" });
    await assertMarked(ended, false);
    // It stays owed when that fails, too.
    await payDebts({ at: "each", only: "put", does: "fail" });
    await assertMarked(ended, false);
    await payDebts();
    await assertMarked(ended);
    assert.deepEqual(puts(await payDebts()), []);
  });

  test(`${name}: a mark is written although the result of D1 was lost`, async () => {
    const last = (await end(name, {})).calls.findLastIndex(
      ({ kind, behindAnswer }) => kind === "batch" && !behindAnswer,
    );
    const { ended, answer, calls } = await end(name, { at: last + 1, does: "lose" });
    assert.equal(answer.status, 503);
    assert.deepEqual(puts(calls), []);
    await payDebts();
    await assertMarked(ended);
    assert.deepEqual(puts(await payDebts()), []);
  });
}

for (const name of REPEATABLE) {
  test(`${name}: a repeated request writes an owed mark`, async () => {
    for (const plan of [
      { at: "each", only: "put", does: "fail" },
      { at: 1, only: "batch", does: "lose" },
    ]) {
      const { user, ended } = await end(name, plan);
      await assertMarked(ended, false);
      await end(name, {}, user);
      await assertMarked(ended);
    }
  });

  test(`${name}: a repeated request does not write a written mark again`, async () => {
    const { user, ended } = await end(name, {});
    await assertMarked(ended);
    assert.deepEqual(puts((await end(name, {}, user)).calls), []);
  });
}

test("forty revocations of an ended token cost at most one put", async () => {
  const user = await somebody();
  await end("POST /revoke", {}, user);
  const calls = [];
  for (let count = 0; count < 40; count += 1) calls.push(...(await end("POST /revoke", {}, user)).calls);
  assert.ok(puts(calls).length <= 1, `${puts(calls).length} puts`);
});

test("an owed mark that no longer matters is not written", async () => {
  const { ended } = await end("POST /revoke", { at: "each", only: "put", does: "fail" });
  // Longer than an access token lives.
  await worker.age(1000, ended[0].session_id);
  assert.deepEqual(puts(await payDebts()), []);
});

test("a scheduled event that D1 fails leaves the owed marks to the next one", async () => {
  const { ended } = await end("POST /revoke", { at: "each", only: "put", does: "fail" });
  await payDebts({ at: 1, only: "batch", does: "fail" });
  await assertMarked(ended, false);
  await payDebts();
  await assertMarked(ended);
});

test("/verify refuses a session whose owed mark was written", async () => {
  const { ended } = await end("DELETE /sessions/{id}", { at: "each", only: "put", does: "fail" });
  assert.equal((await worker.verify(ended[0].access_token)).status, 200);
  await payDebts();
  assertProblem(await worker.verify(ended[0].access_token), 401, "invalid_token");
});
