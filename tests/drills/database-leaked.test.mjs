// The drill of docs/operations/database-leaked.md.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";
import { Apps } from "../support/factors.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";

const BCRYPT = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const NEW = "four ponies sing quietly at noon";

let drill, worker, mails, apps;
before(async () => {
  drill = await Drill.start("database-leaked.md", { vars: MAIL_VARS, clock: STOPPED });
  worker = drill.worker;
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
  apps.now(await worker.register());
});
after(() => drill.close());

test("nothing in a copy is of use: sessions end, weak hashes go, and authenticator apps go on", async () => {
  const [ada, weak, factor] = [await worker.register(), await worker.register(), await apps.user()];
  await worker.setColumn(weak, "password_hash", BCRYPT);
  await mails.forget();
  const strong = await worker.storedHash(ada);

  await drill.next();
  const copy = drill.copy();
  const { SIGNING_KEYS, TOKEN_SECRET, DATA_SECRETS } = drill.secrets;
  assert.notEqual(copy.SIGNING_KEYS, SIGNING_KEYS);
  assert.notEqual(copy.TOKEN_SECRET, TOKEN_SECRET);
  assert.equal(copy.DATA_SECRETS.split(",").length, 2);
  assert.ok(copy.DATA_SECRETS.endsWith(`,${DATA_SECRETS}`), "the former data secret still decrypts");
  for (const user of [ada, weak, factor]) {
    await worker.assertInvalid([user.access_token]);
    assert.equal((await worker.refresh(user.refresh_token)).status, 401);
  }

  await apps.advance(60);
  const time = String(apps.now() - 30);
  drill.set(drill.block("toml").replace("1796083200", time));
  await drill.next();
  assert.equal((await worker.login(ada)).status, 200);
  await worker.forgetFailures();

  await drill.next();
  assert.equal(await worker.storedHash(weak), null);
  assert.equal(await worker.storedHash(ada), strong);
  assert.equal((await worker.login(weak)).status, 401);
  const asked = await worker.post("/password/forgot", { json: { email: weak.email } });
  const { code } = await mails.only("reset");
  const json = { challenge: asked.body.challenge, code, new_password: NEW };
  assert.equal((await worker.post("/password/reset", { json })).status, 200);
  assert.equal((await worker.login({ ...weak, password: NEW })).status, 200);
  assert.equal((await apps.logIn(factor, { code: apps.code(factor) })).status, 200);

  // The scheduled event encrypts the secrets of the apps under the new data secret.
  await worker.cleanUp();
  const { secret } = await worker.db
    .prepare("SELECT secret FROM totp_secrets WHERE user_id = ?")
    .bind(factor.user.id)
    .first();
  await worker.update({ vars: drill.vars, secrets: { ...copy, DATA_SECRETS: copy.DATA_SECRETS.split(",")[0] } });
  await apps.advance(60);
  assert.equal((await apps.logIn(factor, { code: apps.code(factor) })).status, 200, secret.slice(0, 10));

  // Of those who have a password and existed before, only the user with the weak hash has a new one.
  const before = "SELECT count(*) AS n FROM users WHERE password_hash IS NOT NULL AND created_at < ?";
  const { n } = await worker.db.prepare(before).bind(Number(time)).first();
  const { stdout } = await drill.next({ values: { 1796083200: time } });
  assert.equal(JSON.parse(stdout)[0].results[0].old, n - 1);
  drill.assertDone();
});
