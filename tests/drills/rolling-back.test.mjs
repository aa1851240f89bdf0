// The drill of docs/operations/rolling-back.md: what a version of before does not have.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";

let drill, worker;
before(async () => {
  drill = await Drill.start("rolling-back.md", { clock: STOPPED });
  worker = drill.worker;
});
after(() => drill.close());

test("sessions continue, but those that SESSIONS_NOT_BEFORE ended are refused only once it is set again", async () => {
  const early = await worker.register();
  await worker.advance(60);
  const SESSIONS_NOT_BEFORE = String(decodeJwt(early.access_token).iat + 30);
  await worker.update({ vars: { SESSIONS_NOT_BEFORE } });
  const late = await worker.register();
  await worker.assertInvalid([early.access_token]);

  // The version of before has the variables of before.
  await drill.next();
  assert.deepEqual(drill.calls(), [["rollback"]]);
  await worker.update();
  await worker.assertLive(late);
  await worker.assertLive(early);

  drill.set(`SESSIONS_NOT_BEFORE = "${SESSIONS_NOT_BEFORE}"`);
  // The drill has no repository: the earlier release is there already.
  await drill.next({ values: { "git restore --source=LAST_GOOD_RELEASE --": ": git restore" } });
  await worker.assertInvalid([early.access_token]);
  assert.equal((await worker.refresh(early.refresh_token)).status, 401);
  await worker.assertLive(late);
  assert.equal((await worker.refresh(late.refresh_token)).status, 200);
  drill.assertDone();
});
