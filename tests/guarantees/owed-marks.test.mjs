// The marks of ended sessions in KV, which /verify reads: each mark that D1 records as owed is written, whatever fails
// in between, and a written mark is not written again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { read } from "../../scripts/lib.mjs";
import { WITHOUT_PAUSES } from "../support/clocks.mjs";
import { assertProblem, restored, startWorker } from "../support/harness.mjs";

const EVERY_MINUTE = "* * * * *";
const EVERY_HOUR = "17 * * * *";

let worker, admin;
before(async () => {
  worker = await startWorker({ clock: WITHOUT_PAUSES });
  admin = await worker.registerStrongAdmin();
});
after(() => worker.close());

const NEW_PASSWORD = "another correct horse battery";

/** Gives an account an authenticator app that nobody has. */
const insertApp = (user) =>
  worker.db
    .prepare(
      "INSERT INTO totp_secrets (id, user_id, secret, created_at, confirmed_at, tries, last_step) VALUES (?1, ?1, '', 1, 1, 0, 0)",
    )
    .bind(user.id)
    .run();

/** The ways to end a session before it expires: the request, and which of the user's two sessions it ends. */
const ENDINGS = {
  "POST /revoke": ({ sessions: [, second] }) => ({
    request: ["POST", "/revoke", { form: { token: second.refresh_token } }],
    ended: [second],
  }),
  "POST /logout": ({ sessions: [, second] }) => ({
    request: ["POST", "/logout", { json: {}, bearer: second.access_token }],
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
  "DELETE /me": ({ access_token, sessions }) => ({
    request: ["DELETE", "/me", { bearer: access_token }],
    ended: sessions,
  }),
  "POST /me/step-up": ({ access_token, password, sessions: [first] }) => ({
    request: ["POST", "/me/step-up", { bearer: access_token, json: { password } }],
    ended: [first],
  }),
  "DELETE /me/mfa/totp": async ({ access_token, user, sessions: [, second] }) => {
    await insertApp(user);
    return { request: ["DELETE", "/me/mfa/totp", { bearer: access_token }], ended: [second] };
  },
  "DELETE /users/{id}/mfa": async ({ user, sessions }) => {
    await insertApp(user);
    return { request: ["DELETE", `/users/${user.id}/mfa`, { bearer: admin.access_token }], ended: sessions };
  },
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
const twoSessions = restored(
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
  user ??= await twoSessions();
  const { request, ended } = await ENDINGS[name](user);
  const [method, path, options] = request;
  const watched = worker.plan(plan);
  const answer = await worker.request(method, path, { ...options, headers: watched.headers });
  return { user, ended, answer, calls: await watched.untilEnded() };
}

const puts = (calls) => calls.filter(({ kind }) => kind === "put");

async function assertMarked(ended, expected = true) {
  for (const session of ended) assert.equal(await worker.isMarked(session), expected);
}

/** Runs the scheduled event of every minute, some minutes later, and returns its storage calls. */
async function writeOwedMarks(plan) {
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
  test(`${name}: the mark is written even if the client disconnects between D1 and KV`, async () => {
    const user = await twoSessions();
    const { request, ended } = await ENDINGS[name](user);
    const [method, path, options] = request;
    const plan = worker.plan({ at: 1, only: "put", does: "hold" });
    const client = await worker.send(method, path, { ...options, plan });
    assert.equal(await plan.untilHeld(), true);
    await client.disconnect("RST");
    // A mark is written after the response, so a disconnect does not delay it.
    plan.release();
    await plan.untilEnded();
    await assertMarked(ended);
  });

  test(`${name}: a mark whose write fails once is written after the response and a pause`, async () => {
    const { ended, answer, calls } = await end(name, { at: 1, only: "put", does: "fail" });
    // RFC 9700: the sender of a token that was rotated out learns only that it is invalid.
    assert.ok(answer.status < 300 || answer.status === 401, answer.text);
    await assertMarked(ended);
    const [failed] = puts(calls);
    const [again] = puts(calls).filter((call) => call !== failed && call.key === failed.key);
    assert.ok(again.at - failed.at >= 1000, `after ${again.at - failed.at} ms`);
    assert.equal(again.afterResponse, true);
    // A mark that is written is no longer owed.
    assert.deepEqual(puts(await writeOwedMarks()), []);
  });

  test(`${name}: a mark whose write fails stays owed, and the scheduled event writes it`, async () => {
    const { ended } = await end(name, { at: "each", only: "put", does: "fail" });
    await assertMarked(ended, false);
    // If the scheduled event fails too, it stays owed.
    await writeOwedMarks({ at: "each", only: "put", does: "fail" });
    await assertMarked(ended, false);
    await writeOwedMarks();
    await assertMarked(ended);
    assert.deepEqual(puts(await writeOwedMarks()), []);
  });

  test(`${name}: a mark is written even if the result of D1 is lost`, async () => {
    const last = (await end(name, {})).calls.findLastIndex(
      ({ kind, afterResponse }) => kind === "batch" && !afterResponse,
    );
    const { ended, answer, calls } = await end(name, { at: last + 1, does: "lose" });
    assert.equal(answer.status, 503);
    assert.deepEqual(puts(calls), []);
    await writeOwedMarks();
    await assertMarked(ended);
    assert.deepEqual(puts(await writeOwedMarks()), []);
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
  const user = await twoSessions();
  await end("POST /revoke", {}, user);
  const calls = [];
  for (let count = 0; count < 40; count += 1) calls.push(...(await end("POST /revoke", {}, user)).calls);
  assert.ok(puts(calls).length <= 1, `${puts(calls).length} puts`);
});

test("an owed mark whose access tokens have expired is not written", async () => {
  const { ended } = await end("POST /revoke", { at: "each", only: "put", does: "fail" });
  // Longer than an access token lives.
  await worker.age(1000, ended[0].session_id);
  assert.deepEqual(puts(await writeOwedMarks()), []);
});

test("if D1 fails the scheduled event, the next one writes the owed marks", async () => {
  const { ended } = await end("POST /revoke", { at: "each", only: "put", does: "fail" });
  await writeOwedMarks({ at: 1, only: "batch", does: "fail" });
  await assertMarked(ended, false);
  await writeOwedMarks();
  await assertMarked(ended);
});

test("/verify refuses a session whose owed mark was written", async () => {
  const { ended } = await end("DELETE /sessions/{id}", { at: "each", only: "put", does: "fail" });
  assert.equal((await worker.verify(ended[0].access_token)).status, 200);
  await writeOwedMarks();
  assertProblem(await worker.verify(ended[0].access_token), 401, "invalid_token");
});
