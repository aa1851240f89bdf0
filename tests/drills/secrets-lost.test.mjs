// The drill of docs/operations/secrets-lost.md.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";
import { Apps } from "../support/factors.mjs";
import { assertProblem } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";
import { logIn, registerWithPasskey } from "../support/passkeys.mjs";

let drill, worker, mails, apps;
before(async () => {
  drill = await Drill.start("secrets-lost.md", { vars: MAIL_VARS, clock: STOPPED });
  worker = drill.worker;
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
  apps.now(await worker.register());
});
after(() => drill.close());

test("new secrets are stored; authenticator apps stay with the Worker's data secret, and go with it", async (t) => {
  const [ada, factor, passkey] = [await worker.register(), await apps.user(), await registerWithPasskey(worker)];
  await mails.forget();

  await t.test("only the copy is lost", async () => {
    await drill.next();
    await drill.next();
    assert.deepEqual(Object.keys(drill.copy()).sort(), ["SIGNING_KEYS", "TOKEN_SECRET"]);
    assert.equal((await worker.get("/healthz")).status, 200);
    await worker.assertInvalid([ada.access_token]);
    assert.equal((await worker.refresh(ada.refresh_token)).status, 401);
    assert.equal((await worker.login(ada)).status, 200);
    assert.equal((await apps.logIn(factor, { code: apps.code(factor) })).status, 200);
  });

  await t.test("the data secret is lost, too", async () => {
    await drill.next();
    assert.deepEqual(Object.keys(drill.copy()).sort(), ["DATA_SECRETS", "SIGNING_KEYS", "TOKEN_SECRET"]);
    assert.equal((await worker.get("/healthz")).status, 200);
    await apps.advance(60);
    // The password is not enough: the next sign-in needs a code from a mail.
    const answer = await worker.login(factor);
    assertProblem(answer, 401, "email_code_required");
    const { mfa_token } = answer.body;
    const asked = await worker.post("/login/email", { json: { mfa_token } });
    const { code } = await mails.only("login");
    const json = { mfa_token, challenge: asked.body.challenge, mail_code: code };
    const { status, body, text } = await worker.post("/login/mfa", { json });
    assert.equal(status, 200, text);
    const again = await apps.enrol({ ...factor, ...body });
    assert.equal((await apps.logIn(again, { code: apps.code(again) })).status, 200);
    assert.equal((await logIn(worker, passkey)).status, 200);
    assert.equal((await worker.login(ada)).status, 200);
  });
  drill.assertDone();
});
