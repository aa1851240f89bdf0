// The drill of docs/operations/ending-all-sessions.md.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";

let drill, worker;
before(async () => {
  drill = await Drill.start("ending-all-sessions.md", { clock: STOPPED });
  worker = drill.worker;
});
after(() => drill.close());

test("everybody is logged out, whatever the database says, and logs in again", async () => {
  const users = [await worker.register(), await worker.register()];
  const tokens = users.map(({ access_token }) => access_token);
  for (const user of users) await worker.assertLive(user);
  await worker.advance(60_000 / 1000);
  const time = String(decodeJwt(tokens[0]).iat + 30);

  drill.set(drill.block("toml").replace("1796083200", time));
  await drill.next();
  worker.events();
  for (const { refresh_token } of users) assert.equal((await worker.refresh(refresh_token)).status, 401);
  assert.deepEqual(
    worker.events("refresh_refused").map(({ reason }) => reason),
    ["sessions_not_before", "sessions_not_before"],
  );
  await worker.assertInvalid(tokens);

  const count = { values: { 1796083200: time } };
  const sessions = async () => JSON.parse((await drill.next(count)).stdout)[0].results[0].sessions;
  const { body } = await worker.login(users[0]);
  await worker.assertLive(body);
  assert.equal(await sessions(), 1);
  drill.assertDone();
});
