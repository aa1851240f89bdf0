// The drill of docs/operations/admin-locked-out.md.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";
import { Apps } from "../support/factors.mjs";
import { assertProblem } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";

const NEW = "four ponies sing quietly at noon";

let drill, worker, mails, apps;
before(async () => {
  drill = await Drill.start("admin-locked-out.md", { vars: MAIL_VARS, clock: STOPPED });
  worker = drill.worker;
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
  apps.now(await worker.register());
});
after(() => drill.close());

test("the only admin, disabled and without password and second factor, gets back in", async () => {
  const grace = await apps.user({ email: "grace@example.org" });
  await worker.setRoles(grace, ["user", "admin"]);
  const ada = await worker.register({ email: "ada@example.org" });
  await worker.disable(grace);
  await mails.forget();

  const shown = await drill.next();
  assert.match(shown.stdout, /disabled +since/);
  await drill.next();
  assert.equal((await worker.account(grace)).disabled_at, null);
  // Links of the command line expire by the clock of D1, so the token is only read here.
  const printed = await drill.next();
  const [, token] = printed.stdout.match(/^https:\/\/auth\.example\.org\/account\/confirm#token=(pcrl_[\w-]+)$/m);
  const reset = await worker.post("/password/reset", { json: { token, new_password: NEW } });
  assert.equal(reset.status, 200, reset.text);
  await mails.take();
  assertProblem(await worker.login({ ...grace, password: NEW }), 401, "mfa_required");

  await drill.next();
  const login = (await worker.login(ada)).body;
  const helper = await apps.enrol(await worker.proved({ ...ada, ...login }, "pwd email"));
  await mails.take();
  const removed = await worker.delete(`/users/${grace.user.id}/mfa`, { bearer: helper.access_token });
  assert.ok([200, 204].includes(removed.status), removed.text);
  await mails.take();

  const answer = await worker.login({ ...grace, password: NEW });
  assertProblem(answer, 401, "email_code_required");
  const { mfa_token } = answer.body;
  const asked = await worker.post("/login/email", { json: { mfa_token } });
  const { code } = await mails.only("login");
  const completed = await worker.post("/login/mfa", {
    json: { mfa_token, challenge: asked.body.challenge, mail_code: code },
  });
  assert.equal(completed.status, 200, completed.text);
  assert.equal((await worker.get("/users", { bearer: completed.body.access_token })).status, 200);

  await drill.next();
  assertProblem(await worker.get("/users", { bearer: helper.access_token }), 403, "forbidden");
  drill.assertDone();
  const trail = (await worker.get(`/users/${grace.user.id}/events`, { bearer: completed.body.access_token })).body
    .events;
  const kinds = trail.map(({ kind }) => kind);
  for (const kind of ["enabled", "password_reset_started", "password_reset", "factors_reset"])
    assert.ok(kinds.includes(kind), kind);
});
