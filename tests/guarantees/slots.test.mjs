// Every session id contains the slot of its user, so that a database can be split later without changing tokens.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { startWorker } from "../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** The first 12 bits of some bytes. */
const slotIn = (bytes) => bytes.readUInt16BE() >> 4;

async function slotOf(email) {
  const secret = await worker.db.prepare("SELECT secret FROM slot_key").first("secret");
  assert.match(secret, /^[0-9a-f]{64}$/);
  return slotIn(createHmac("sha256", secret).update("portcullis slot v1").update(email).digest());
}

test("every session id of a user begins with the slot of the address, however the session began, and the rest is random", async () => {
  for (let round = 0; round < 3; round += 1) {
    const user = await worker.register();
    const slot = await slotOf(user.email.toLowerCase());
    const login = (await worker.login(user)).body;
    const passwords = { current_password: user.password, new_password: "another correct horse battery" };
    const changed = (await worker.post("/me/password", { bearer: login.access_token, json: passwords })).body;
    const refreshed = (await worker.refresh(changed.refresh_token)).body;
    const row = await worker.db.prepare("SELECT slot FROM users WHERE id = ?").bind(user.user.id).first();
    assert.equal(row.slot, slot);
    const ids = [user, login, changed].map(({ session_id }) => Buffer.from(session_id, "base64url"));
    for (const id of ids) assert.equal(slotIn(id), slot);
    assert.equal(new Set(ids.map((id) => id.subarray(2).toString("hex"))).size, 3);
    // A request can be routed by the refresh token or by the sid of the access token.
    assert.equal(slotIn(Buffer.from(refreshed.refresh_token.slice(5), "base64url")), slot);
    assert.equal(slotIn(Buffer.from(decodeJwt(refreshed.access_token).sid, "base64url")), slot);
  }
});

test("without the slot key registration fails, and everything else works", async () => {
  const user = await worker.register();
  const secret = await worker.db.prepare("SELECT secret FROM slot_key").first("secret");
  for (const bad of [null, "", "x".repeat(64)]) {
    await worker.db.prepare("DELETE FROM slot_key").run();
    if (bad !== null) await worker.db.prepare("INSERT INTO slot_key (id, secret) VALUES (1, ?)").bind(bad).run();
    const json = { email: "nobody@example.org", password: user.password };
    assert.equal((await worker.post("/register", { json })).status, 500);
    assert.equal((await worker.login(user)).status, 200);
  }
  await worker.db.prepare("INSERT OR REPLACE INTO slot_key (id, secret) VALUES (1, ?)").bind(secret).run();
  await worker.register();
});
