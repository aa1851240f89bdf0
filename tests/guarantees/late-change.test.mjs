// A password change that another one overtakes is refused and has no effect.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, PASSWORD, startWorker } from "../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

test("a password change that another one overtakes is refused and begins no session", async () => {
  const user = await worker.register();
  const bearer = user.access_token;
  const change = (new_password) => ({ bearer, json: { current_password: PASSWORD, new_password } });
  // Held after verification, at the call that stores the new password.
  const plan = worker.plan({ at: 2, does: "hold" });
  const late = await worker.send("POST", "/me/password", { ...change("four ponies sing quietly at noon"), plan });
  assert.equal(await plan.untilHeld(), true);
  const { status, body } = await worker.post("/me/password", change("seven quiet harbours at dusk"));
  assert.equal(status, 200);
  plan.release();
  const answer = await late.answer();
  await plan.untilEnded();
  await late.disconnect("FIN");
  assert.equal(answer.status, 401, answer.text);
  const { sessions } = (await worker.get("/sessions", { bearer: body.access_token })).body;
  assert.deepEqual(
    sessions.map(({ id }) => id),
    [body.session_id],
  );
  const { events } = (await worker.get("/me/events", { bearer: body.access_token })).body;
  assert.equal(
    events.filter(({ kind }) => kind === "logged_in").length,
    2,
    "the session of the registration and that of the password change",
  );
  assertProblem(
    await worker.login({ ...user, password: "four ponies sing quietly at noon" }),
    401,
    "invalid_credentials",
  );
});
