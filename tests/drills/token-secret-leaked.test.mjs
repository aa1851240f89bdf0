// The drill of docs/operations/token-secret-leaked.md.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";
import { assertProblem, PASSWORD } from "../support/harness.mjs";
import { codeOf, MAIL_VARS, Mails } from "../support/mails.mjs";

let drill, worker, mails;
before(async () => {
  drill = await Drill.start("token-secret-leaked.md", { vars: MAIL_VARS, clock: STOPPED });
  worker = drill.worker;
  mails = new Mails(worker, ["new_device"]);
});
after(() => drill.close());

/** The challenge of a request for a new password, and its code, as a thief of the secret and the database computes it. */
async function stolenCode({ email }) {
  const { body } = await worker.post("/password/forgot", { json: { email } });
  await mails.take();
  const row = await worker.db
    .prepare("SELECT * FROM challenges WHERE email_key = ? AND spent_by IS NULL")
    .bind(email)
    .first();
  return { challenge: body.challenge, code: codeOf(row, drill.secrets.TOKEN_SECRET) };
}
const reset = (json) => worker.post("/password/reset", { json: { new_password: "four ponies sing at noon", ...json } });

test("what the stolen secret makes is refused, and everybody logs in again", async () => {
  const [ada, eve] = [await worker.register(), await worker.register()];
  assert.equal((await reset(await stolenCode(eve))).status, 200, "with the database, the thief takes an account over");
  const code = await stolenCode(ada);

  await drill.next();
  assertProblem(await reset(code), 400, "invalid_code");
  worker.events();
  assertProblem(await worker.refresh(ada.refresh_token), 401, "invalid_refresh_token");
  const [{ reason, count }] = worker.events("refresh_refused");
  assert.deepEqual([reason, count], ["not_genuine", 1]);
  const copy = drill.copy();
  assert.notEqual(copy.TOKEN_SECRET, drill.secrets.TOKEN_SECRET);
  assert.deepEqual([copy.SIGNING_KEYS, copy.DATA_SECRETS], [drill.secrets.SIGNING_KEYS, drill.secrets.DATA_SECRETS]);
  await worker.assertLive(ada);

  await worker.advance(60);
  drill.set(drill.block("toml").replace("1796083200", String(decodeJwt(ada.access_token).iat + 30)));
  await drill.next();
  await worker.assertInvalid([ada.access_token]);
  // The secret in the old copy makes codes that are wrong.
  assertProblem(await reset(await stolenCode(ada)), 400, "invalid_code");
  const { status, body } = await worker.login({ email: ada.email, password: PASSWORD });
  assert.equal(status, 200);
  await worker.assertLive(body);
  drill.assertDone();
});
