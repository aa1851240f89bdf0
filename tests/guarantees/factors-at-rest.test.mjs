// Second factors at rest: what D1 has of them, and the encryption under another data secret.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { dataSecretId, makeSecret } from "../../packages/portcullis/src/secrets.mjs";
import { STOPPED } from "../support/clocks.mjs";
import { decrypted } from "../support/data.mjs";
import { Apps } from "../support/factors.mjs";
import { assertProblem, startWorker } from "../support/harness.mjs";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const base32 = (bytes) => {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits
    .match(/.{5}/g)
    .map((five) => ALPHABET[Number.parseInt(five, 2)])
    .join("");
};

let worker;
let apps;
let ada;
before(async () => {
  worker = await startWorker({ clock: STOPPED });
  apps = new Apps(worker);
});
after(() => worker.close());
beforeEach(async () => {
  ada = await apps.user();
});

const totpRow = ({ user }) => worker.db.prepare("SELECT * FROM totp_secrets WHERE user_id = ?").bind(user.id).first();
const place = ({ id }) => ({ table: "totp_secrets", column: "secret", row: Buffer.from(id, "base64url") });
const run = () => worker.schedule("17 * * * *");

test("D1 has the secret of an app only encrypted, and of recovery codes only hashes", async () => {
  const dump = JSON.stringify(await worker.dump());
  const row = await totpRow(ada);
  const bytes = decrypted(row.secret, worker.secrets.DATA_SECRETS, place(row));
  assert.equal(base32(bytes), ada.secret, "as Node's crypto decrypts it");
  for (const encoding of ["base64url", "base64", "hex"]) assert.ok(!dump.includes(bytes.toString(encoding)), encoding);
  assert.ok(!dump.includes(ada.secret));
  for (const code of ada.codes) {
    assert.ok(!dump.includes(code) && !dump.includes(code.replaceAll("-", "")));
  }
  const log = worker.logged().join("\n");
  for (const secret of [ada.secret, ...ada.codes, row.secret]) assert.ok(!log.includes(secret));
});

test("the text of another row is valid nowhere else", async () => {
  const eve = await apps.user();
  const [own, other] = [await totpRow(ada), await totpRow(eve)];
  assert.throws(() => decrypted(other.secret, worker.secrets.DATA_SECRETS, place(own)));
  await worker.db.prepare("UPDATE totp_secrets SET secret = ? WHERE id = ?").bind(other.secret, own.id).run();
  assertProblem(await apps.logIn(ada, { code: apps.code(eve) }), 500, "internal_error");
  await worker.db.prepare("UPDATE totp_secrets SET secret = ? WHERE id = ?").bind(own.secret, own.id).run();
  assert.equal((await apps.logIn(ada, { code: apps.code(ada) })).status, 200);
});

test("the scheduled event encrypts secrets under the first data secret, and nothing else", async () => {
  const before = await totpRow(ada);
  await run();
  assert.deepEqual(await totpRow(ada), before, "it is under the first already");
  const old = worker.secrets.DATA_SECRETS;
  const added = makeSecret();
  await worker.update({ secrets: { DATA_SECRETS: `${added},${old}` } });
  worker.events();
  await run();
  const row = await totpRow(ada);
  assert.ok(row.secret.startsWith(dataSecretId(added)));
  assert.deepEqual({ ...row, secret: "" }, { ...before, secret: "" });
  assert.equal(base32(decrypted(row.secret, added, place(row))), ada.secret);
  const [event, ...more] = worker.events("reencrypted");
  assert.ok(event.secrets >= 1 && more.length === 0);
  await run();
  assert.deepEqual(await totpRow(ada), row, "a further run changes nothing");
  assert.deepEqual(worker.events("reencrypted"), []);
  await worker.update({ secrets: { DATA_SECRETS: added } });
  assert.equal((await apps.logIn(ada, { code: apps.code(ada) })).status, 200, "the old secret is no longer needed");
  await worker.update();
  await worker.db.prepare("DELETE FROM totp_secrets").run();
});

test("a secret that cannot be decrypted stays, and keeps no other from being encrypted", async () => {
  const old = worker.secrets.DATA_SECRETS;
  const { id, secret } = await totpRow(ada);
  await apps.user();
  await apps.user();
  await worker.db.prepare("UPDATE totp_secrets SET secret = ?").bind(secret).run();
  const added = makeSecret();
  await worker.update({ secrets: { DATA_SECRETS: `${added},${old}` } });
  worker.events();
  await run();
  assert.ok((await totpRow(ada)).secret.startsWith(dataSecretId(added)), "the others are encrypted");
  const { results } = await worker.db.prepare("SELECT secret FROM totp_secrets WHERE id <> ?").bind(id).all();
  for (const row of results) assert.equal(row.secret, secret, "what cannot be decrypted stays");
  assert.equal(worker.events("internal_error").length, 1);
  await worker.update();
  await worker.db.prepare("DELETE FROM totp_secrets").run();
});

test("an account takes its factors with it", async () => {
  assert.equal((await worker.delete("/me", { bearer: ada.access_token })).status, 204);
  for (const table of ["totp_secrets", "recovery_codes", "pending_sign_ins"]) {
    const { n } = await worker.db
      .prepare(`SELECT COUNT(*) AS n FROM ${table} WHERE user_id = ?`)
      .bind(ada.user.id)
      .first();
    assert.equal(n, 0, table);
  }
});
