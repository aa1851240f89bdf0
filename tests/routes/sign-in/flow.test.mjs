// The main flow from end to end, as docs/api.md describes it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, PASSWORD, startWorker } from "../../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

test("register, log in, call, refresh, replay, revoke", async () => {
  const registered = await worker.register({ email: "Ada@Example.org", username: "ada", name: "Ada Lovelace" });
  assert.deepEqual(Object.keys(registered.user), [
    "id",
    "email",
    "email_verified",
    "username",
    "name",
    "given_name",
    "family_name",
    "metadata",
    "app_metadata",
    "roles",
    "created_at",
  ]);

  const login = await worker.post("/login", { json: { email: "ada@example.org", password: PASSWORD } });
  assert.equal(login.status, 200);
  const { access_token, refresh_token, device_token, ...rest } = login.body;
  assert.match(device_token, /^pcdt_[\w-]{80}$/);
  assert.notEqual(rest.session_id, registered.session_id);
  assert.deepEqual(rest, {
    token_type: "Bearer",
    expires_in: 900,
    refresh_expires_in: 604800,
    session_id: rest.session_id,
    user: registered.user,
  });

  const me = await worker.me(access_token);
  assert.equal(me.status, 200);
  assert.deepEqual(me.body, registered.user);
  assert.equal((await worker.verify(access_token)).status, 200);

  const refreshed = await worker.refresh(refresh_token);
  assert.equal(refreshed.status, 200);
  assert.notEqual(refreshed.body.refresh_token, refresh_token);
  assert.equal(refreshed.body.session_id, rest.session_id);

  await worker.age(60, rest.session_id);
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
  assertProblem(await worker.refresh(refreshed.body.refresh_token), 401, "invalid_refresh_token");
  assertProblem(await worker.me(refreshed.body.access_token), 401, "invalid_token");

  assert.equal((await worker.revoke(registered.refresh_token)).status, 200);
  assertProblem(await worker.refresh(registered.refresh_token), 401, "invalid_refresh_token");
  assertProblem(await worker.me(registered.access_token), 401, "invalid_token");
  assertProblem(await worker.verify(registered.access_token), 401, "invalid_token");
});
