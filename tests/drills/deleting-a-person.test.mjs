// The drill of docs/operations/deleting-a-person.md.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { Authenticator } from "../support/authenticator.mjs";
import { STOPPED } from "../support/clocks.mjs";
import { Drill } from "../support/drills.mjs";
import { Apps } from "../support/factors.mjs";
import { from } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";
import { options } from "../support/passkeys.mjs";

const IP = "203.0.113.77";
const AGENT = "the browser of Ada";
const EMAIL = "ada@example.org";

let drill, worker, mails, apps;
before(async () => {
  drill = await Drill.start("deleting-a-person.md", { vars: MAIL_VARS, clock: STOPPED });
  worker = drill.worker;
  [mails, apps] = [new Mails(worker, ["new_device"]), new Apps(worker)];
  apps.now(await worker.register());
});
after(() => drill.close());

/** The rows with one of these texts, by table. */
async function rowsWith(...texts) {
  const found = Object.entries(await worker.dump()).flatMap(([table, rows]) =>
    rows.filter((row) => texts.some((text) => JSON.stringify(row).includes(text))).map((row) => ({ table, ...row })),
  );
  return found;
}

/** A user with rows in every table that can have some. */
async function person() {
  const here = from(IP, AGENT);
  const json = { email: EMAIL, password: "correct horse battery staple", username: "countess", name: "Ada Lovelace" };
  const registered = await worker.post("/register", { json, ...here });
  assert.equal(registered.status, 201, registered.text);
  const user = { ...registered.body, ...json };
  const session = await worker.proved(user, "pwd email");
  const { credential, access_token } = await addPasskey(session);
  const ada = await apps.enrol({ ...user, access_token });
  await worker.post("/login", { json: { email: EMAIL, password: "wrong" }, ...here });
  await worker.post("/password/forgot", { json: { email: EMAIL }, ...here });
  await worker.post("/login/email", { json: { email: EMAIL }, ...here });
  await mails.take();
  await worker.db
    .prepare(
      "INSERT INTO outbox (id, kind, user_id, email, locale, at, attempts, claimed_until) VALUES ('mail', 'reset', ?, 'Ada@Example.org', 'en', 0, 1, unixepoch() + 9999)",
    )
    .bind(user.user.id)
    .run();
  assert.ok(credential);
  return ada;
}

async function addPasskey(session) {
  const bearer = session.access_token;
  const authenticator = new Authenticator();
  const credential = authenticator.create(await options(worker, "/me/passkeys/options", { bearer, json: {} }));
  const { status, body, text } = await worker.post("/me/passkeys", { bearer, json: { credential } });
  assert.equal(status, 201, text);
  return { credential, ...body };
}

test("nothing of the person is left but one entry with the id, also in an export", async () => {
  const ada = await person();
  const { id } = ada.user;
  const other = await worker.register();
  const { stdout } = await drill.next();
  assert.equal(JSON.parse(stdout).id, id);
  const tables = new Set((await rowsWith(id, EMAIL, IP)).map(({ table }) => table));
  for (const table of ["users", "refresh_tokens", "audit_events", "challenges", "outbox", "totp_secrets", "passkeys"])
    assert.ok(tables.has(table), table);

  const login = await apps.session(ada);
  assert.equal((await worker.delete("/me", { bearer: login.access_token })).status, 204);
  await drill.next({ values: { ADA_ID: id } });
  const [{ table, kind, ...entry }, ...more] = await rowsWith(
    id,
    EMAIL,
    "Example.org",
    "countess",
    "Lovelace",
    IP,
    AGENT,
  );
  assert.deepEqual([table, kind, more], ["audit_events", "deleted", []]);
  assert.deepEqual([entry.user_id, entry.ip, entry.user_agent], [id, null, null]);

  const lines = [
    { id, email: EMAIL },
    { id: other.user.id, email: other.email },
  ].map((line) => JSON.stringify(line));
  const file = drill.checkout.path("users.ndjson");
  writeFileSync(file, `${lines.join("\n")}\n`);
  await drill.next({ values: { ADA_ID: id } });
  assert.equal(readFileSync(file, "utf8"), `${lines[1]}\n`);
  const left = await drill.next({ values: { ADA_ID: id } });
  assert.deepEqual(JSON.parse(left.stdout)[0].results, [{ kind: "deleted" }]);
  drill.assertDone();
  // The names are free again.
  await worker.register({ email: EMAIL, username: "countess" });
});
