// Somebody who has one thing of a user (a copied refresh token, the password or the mailbox) gains nothing when the user authenticates
// again, sets a new password, or adds a factor.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { STOPPED } from "../support/clocks.mjs";
import { Apps, totp } from "../support/factors.mjs";
import { assertProblem, PASSWORD, startWorker } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";

const NEW = "purple otters juggle lanterns";

let worker;
let mails;
let apps;
before(async () => {
  worker = await startWorker({ vars: MAIL_VARS, clock: STOPPED });
  mails = new Mails(worker);
  apps = new Apps(worker);
});
after(() => worker.close());

/** Asks for a mail of this kind, and returns what somebody who reads it can send. */
async function mailed(kind, { email }) {
  const path = { reset: "/password/forgot", login: "/login/email" }[kind];
  const { body } = await worker.post(path, { json: { email } });
  const { code } = (await mails.take()).find((mail) => mail.kind === kind);
  return { challenge: body.challenge, code };
}

/** What the user does, after which every session begins anew: the user before it, and what it returns. */
const EVENTS = {
  "a step-up": {
    user: async () => apps.session(await apps.user()),
    act: async (user) => {
      // Each code works once.
      await apps.advance(60);
      const json = { password: PASSWORD, code: apps.code(user) };
      const answer = await worker.post("/me/step-up", { bearer: user.access_token, json });
      assert.equal(answer.status, 200, answer.text);
      return { ...user, ...answer.body };
    },
  },
  "a new password": {
    user: async () => apps.session(await apps.user()),
    act: async (user) => {
      const json = { ...(await mailed("reset", user)), new_password: NEW };
      const answer = await worker.post("/password/reset", { json });
      assert.equal(answer.status, 200, answer.text);
      await apps.advance(60);
      return apps.session({ ...user, password: NEW });
    },
  },
  "an enrolment": {
    user: async () => worker.proved(await worker.register(), "pwd email"),
    act: (user) => apps.enrol(user),
  },
};

/** Asserts that a session changes nothing that matters: neither the factors nor the address. */
async function assertChangesNothing({ access_token }) {
  for (const [method, path, json] of [
    ["delete", "/me/mfa/totp"],
    ["post", "/me/mfa/recovery-codes"],
    ["post", "/me/email", { new_email: "thief@example.org" }],
    ["delete", "/me"],
  ]) {
    assertProblem(await worker[method](path, { bearer: access_token, json }), 401, "step_up_required");
  }
}

for (const [event, { user: create, act }] of Object.entries(EVENTS)) {
  describe(`${event} of the user gives nothing to somebody with`, () => {
    let user;
    beforeEach(async () => {
      apps.now(await worker.register());
      user = await create();
      await mails.forget();
    });

    test("a copied refresh token", async () => {
      const copy = (await worker.refresh(user.refresh_token)).body;
      // A refresh does not make the authentication recent again.
      await assertChangesNothing(worker.authenticatedAgo(copy, 301));
      const renewed = await act(user);
      assertProblem(await worker.refresh(copy.refresh_token), 401, "invalid_refresh_token");
      assertProblem(await worker.get("/me", { bearer: copy.access_token }), 401, "invalid_token");
      await worker.assertLive(renewed);
    });

    test("the password", async () => {
      const { email } = user;
      const begun = await worker.login(user);
      const renewed = await act(user);
      // A session or a sign-in that the password began before is over.
      if (begun.status === 200) await worker.assertEnded(begun.body);
      const login = await worker.post("/login", { json: { email, password: PASSWORD } });
      if (event === "a new password") assertProblem(login, 401, "invalid_credentials");
      else assertProblem(login, 401, "mfa_required");
      for (const mfa_token of [begun.body.mfa_token, login.body.mfa_token].filter(Boolean)) {
        const { challenge, code } = await mailed("login", user);
        const json = { mfa_token, challenge, mail_code: code };
        assert.notEqual((await worker.post("/login/mfa", { json })).status, 200);
        const guess = await worker.post("/login/mfa", { json: { mfa_token, code: apps.wrong(renewed) } });
        assert.equal(guess.status, 400, guess.text);
      }
      await worker.assertLive(renewed);
    });

    test("the mailbox", async () => {
      const before = await mailed("login", user);
      const renewed = await act(user);
      for (const code of [before, await mailed("login", user)]) {
        const answer = await worker.post("/login/email/verify", { json: code });
        assert.notEqual(answer.status, 200);
        if (answer.status === 401) assertProblem(answer, 401, "mfa_required");
      }
      const json = { ...(await mailed("reset", user)), new_password: "seven lazy walruses sing" };
      const reset = await worker.post("/password/reset", { json });
      assert.equal(reset.status, 200, reset.text);
      assert.deepEqual(Object.keys(reset.body).sort(), ["device_token", "sessions_ended"]);
      const login = await worker.post("/login", { json: { email: user.email, password: json.new_password } });
      assertProblem(login, 401, "mfa_required");
      // The user, who has the factor, is not locked out.
      await apps.advance(60);
      const { mfa_token } = login.body;
      const code = totp(renewed.secret, apps.now());
      assert.equal((await worker.post("/login/mfa", { json: { mfa_token, code } })).status, 200);
    });
  });
}
