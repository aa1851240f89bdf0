// Races of account changes with refreshes, and of admins with each other: an acknowledged change is final.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { assertProblem, PASSWORD, startWorker } from "../support/harness.mjs";

/** The number of races per way to end a session, each at another point in a series of refreshes. */
const ROUNDS = 8;
const NEW = "four ponies sing quietly at noon";

let worker, admin;
before(async () => {
  worker = await startWorker();
  admin = await worker.registerAdmin();
});
after(() => worker.close());

const asAdmin = (method, path, json) => worker.request(method, path, { bearer: admin.access_token, json });
const admins = async () =>
  (
    await worker.db
      .prepare("SELECT COUNT(*) AS n FROM users WHERE roles LIKE '%\"admin\"%' AND disabled_at IS NULL")
      .first()
  ).n;

async function login(user) {
  const { status, body } = await worker.login(user);
  assert.equal(status, 200);
  return body;
}

/**
 * Refreshes a session repeatedly, each token twice concurrently as two tabs do, until `ended` settles or a refresh is
 * refused. Returns the issued tokens, and whether a refresh was refused.
 */
async function refreshUntil(ended, session) {
  const issued = [session];
  let over = false;
  ended.finally(() => (over = true));
  while (!over) {
    const answers = await Promise.all([0, 1].map(() => worker.refresh(issued.at(-1).refresh_token)));
    const tokens = answers.filter(({ status }) => status === 200).map(({ body }) => body);
    issued.push(...tokens);
    if (tokens.length < answers.length) return { issued, refused: true };
  }
  return { issued, refused: false };
}

/** Runs `act` while sessions are refreshed, later in each round, and returns the results of the refreshes. */
async function race(round, sessions, act) {
  await worker.warmUp(2 * sessions.length + 1);
  const acting = setTimeout(round * 4).then(act);
  const [answer, ...refreshing] = await Promise.all([
    acting,
    ...sessions.map((session) => refreshUntil(acting, session)),
  ]);
  assert.ok([200, 204].includes(answer.status), answer.text);
  return refreshing;
}

/** Asserts that the first tokens of a session and the last ones of both tabs are accepted nowhere. */
function assertNoneAccepted(issued) {
  return Promise.all([issued[0], ...issued.slice(1).slice(-2)].map((tokens) => worker.assertEnded(tokens)));
}

// The ways to end all sessions of a user, and what enables login again, if possible.
const endings = {
  disabling: {
    act: ({ user }) => asAdmin("PATCH", `/users/${user.id}`, { disabled: true }),
    again: ({ user }) => asAdmin("PATCH", `/users/${user.id}`, { disabled: false }),
  },
  "an admin who ends all sessions": {
    act: ({ user }) => asAdmin("DELETE", `/users/${user.id}/sessions`),
    again: () => {},
  },
  "deleting one's own account": {
    act: ({ access_token }) => worker.delete("/me", { bearer: access_token }),
  },
  "an admin who deletes the account": { act: ({ user }) => asAdmin("DELETE", `/users/${user.id}`) },
};
for (const [name, { act, again }] of Object.entries(endings)) {
  test(`no token issued by a refresh that races ${name} is accepted afterwards`, async () => {
    let user;
    const tally = { issued: 0, refused: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const isAgain = again && user !== undefined;
      if (!isAgain) user = await worker.register();
      const session = isAgain ? await login(user) : user;
      const [{ issued, refused }] = await race(round, [session], () => act(session));
      tally.issued += issued.length - 1;
      tally.refused += Number(refused);
      await assertNoneAccepted(issued);
      await again?.(user);
      if (again) await worker.assertEnded(issued.at(-1));
    }
    assert.ok(tally.issued > 0 && tally.refused > 0, `no refresh raced: ${JSON.stringify(tally)}`);
  });
}

test("no token issued by a refresh that races a password change is accepted afterwards, and the new session refreshes", async () => {
  const user = await worker.register();
  let own = user;
  let [current, next] = [PASSWORD, NEW];
  for (let round = 0; round < ROUNDS; round += 1) {
    const other = await login({ ...user, password: current });
    const bearer = own.access_token;
    let renewed;
    const raced = await race(round, [other, own], async () => {
      const answer = await worker.post("/me/password", {
        bearer,
        json: { current_password: current, new_password: next },
      });
      renewed = answer.body;
      return answer;
    });
    for (const { issued } of raced) await assertNoneAccepted(issued);
    const { status, body } = await worker.refresh(renewed.refresh_token);
    assert.equal(status, 200);
    own = body;
    await worker.assertLive(own);
    [current, next] = [next, current];
  }
});

test("a login that races the end of its account is refused, or its session ends with the account", async () => {
  for (let round = 0; round < 6; round += 1) {
    const user = await worker.register();
    await worker.warmUp(6);
    const logins = [0, 10, 20, 40, 60].map((delay) => setTimeout(delay).then(() => worker.login(user)));
    const ending = setTimeout(round * 20).then(() =>
      round % 2
        ? asAdmin("PATCH", `/users/${user.user.id}`, { disabled: true })
        : asAdmin("DELETE", `/users/${user.user.id}`),
    );
    const [, ...answers] = await Promise.all([ending, ...logins]);
    for (const { status, body } of answers) {
      if (status === 200) await worker.assertEnded(body);
      // Of five concurrent logins from one source, some find no free place of the account, or come after five failures.
      else assert.ok(["invalid_credentials", "too_many_requests", "too_many_attempts"].includes(body.code), body.code);
    }
    await worker.forgetFailures();
    assertProblem(await worker.login(user), 401, "invalid_credentials");
  }
});

// What two admins do concurrently.
const moves = {
  "demote each other": (one, other) => [one, "PATCH", `/users/${other.user.id}`, { roles: ["user"] }],
  "disable each other": (one, other) => [one, "PATCH", `/users/${other.user.id}`, { disabled: true }],
  "delete each other": (one, other) => [one, "DELETE", `/users/${other.user.id}`],
  "demote themselves": (one) => [one, "PATCH", `/users/${one.user.id}`, { roles: [] }],
  "delete themselves": (one) => [one, "DELETE", "/me"],
};
for (const [name, move] of Object.entries(moves)) {
  test(`when two admins ${name} at once, one succeeds and one remains`, async () => {
    for (let round = 0; round < 3; round += 1) {
      await worker.db.prepare(`UPDATE users SET roles = '["user"]'`).run();
      const pair = [await worker.registerAdmin(), await worker.registerAdmin()];
      const plans = [move(pair[0], pair[1]), move(pair[1], pair[0])];
      await worker.warmUp(2);
      const answers = await Promise.all(
        plans.map(([{ access_token }, method, path, json]) =>
          worker.request(method, path, { bearer: access_token, json }),
        ),
      );
      assert.equal(answers.filter(({ status }) => status < 300).length, 1, answers.map(({ text }) => text).join("\n"));
      assert.equal(await admins(), 1);
      const refused = answers.find(({ status }) => status >= 300);
      assert.ok(["last_admin", "forbidden", "invalid_token"].includes(refused.body.code), refused.text);
    }
  });
}
