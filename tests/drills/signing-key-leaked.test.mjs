// The drill of docs/operations/signing-key-leaked.md.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";

import { Drill } from "../support/drills.mjs";

let drill, worker;
before(async () => {
  drill = await Drill.start("signing-key-leaked.md");
  worker = drill.worker;
});
after(() => drill.close());

const keys = async () => (await worker.get("/.well-known/jwks.json")).body.keys.map(({ kid }) => kid);

test("tokens of the stolen key are refused, sessions continue, and what admins did is listed", async () => {
  const [ada, admin] = [await worker.register(), await worker.registerStrongAdmin()];
  // The thief knows the session of the admin, and makes a token for it with the stolen key.
  const forged = worker.resign(admin.access_token, { jti: "AAAAAAAAAAAAAAAAAAAAAA" });
  const disabled = { bearer: forged, json: { disabled: true } };
  assert.equal((await worker.patch(`/users/${ada.user.id}`, disabled)).status, 200);
  assert.equal((await worker.patch(`/users/${ada.user.id}`, { ...disabled, json: { disabled: false } })).status, 200);
  const [old] = await keys();

  await drill.next();
  const [current, ...others] = await keys();
  assert.deepEqual(others, []);
  assert.notEqual(current, old);
  await worker.assertInvalid([forged, admin.access_token]);
  assert.equal((await worker.refresh(admin.refresh_token)).status, 200);
  const copy = drill.copy();
  assert.equal(JSON.parse(copy.SIGNING_KEYS).keys[0].kid, current);
  assert.deepEqual([copy.TOKEN_SECRET, copy.DATA_SECRETS], [drill.secrets.TOKEN_SECRET, drill.secrets.DATA_SECRETS]);
  for (const name of ["new.env", "rest.env"]) assert.ok(!existsSync(drill.checkout.path(name)), name);

  const { stdout } = await drill.next({ values: { "2026-11-25T12:00:00Z": "2020-01-01T00:00:00Z" } });
  const [{ results }] = JSON.parse(stdout);
  assert.deepEqual(
    results.map(({ kind, user_id, actor_id }) => [kind, user_id, actor_id]),
    ["disabled", "enabled"].map((kind) => [kind, ada.user.id, admin.user.id]),
  );
  drill.assertDone();
});
