// npm run reset, on local databases.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";

import { Databases } from "../support/databases.mjs";

let databases;
before(async () => {
  databases = await Databases.make();
});
after(() => databases.remove());

test("a link for a new password is printed and recorded, and the database has only its hash", {
  timeout: 300_000,
}, async () => {
  const database = databases.empty("reset");
  const insert = (id, address, disabled) =>
    database.run(
      `INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at, disabled_at) VALUES ('${id}', '${address}', lower('${address}'), '', 3, 0, '["user"]', 0, ${disabled})`,
    );
  insert("id-o", "Person-O''Hara@example.org", null);
  insert("id-d", "disabled@example.org", 1);
  const o = "Person-O'Hara@example.org";

  const refused = async (args, code, why) => {
    const found = await database.quick("reset", ...args);
    assert.equal(found.code, code, found.stdout);
    assert.equal(found.stdout, "");
    assert.match(found.stderr, why);
  };
  await refused([], 2, /usage: npm run reset/);
  await refused(["person"], 1, /exactly one @/);
  await refused(["nobody@example.org"], 1, /no account has the address nobody@example.org/);
  await refused(["disabled@example.org"], 1, /disabled@example.org is disabled.*npm run user -- enable/);
  for (const issuer of ["http://example.org", "https://example.org/?a", "https://a:b@example.org", "example.org"])
    await refused([o, "--issuer", issuer], 2, /--issuer is not an https address/);
  // The stand-in for wrangler would fail otherwise.
  const remote = await databases.checkout.node(databases.checkout.command("reset", o, "--remote"));
  assert.equal(remote.code, 1);
  assert.match(remote.stderr, /ISSUER in wrangler.toml is not the https address of the deployment/);
  const counts =
    "SELECT (SELECT COUNT(*) FROM challenges) AS challenges, (SELECT COUNT(*) FROM audit_events) AS events";
  assert.deepEqual(database.rows(counts), [{ challenges: 0, events: 0 }]);

  // The real D1 and wrangler.
  const { code, stdout, stderr } = await database.byWrangler("INSERT", "reset", "person-o'hara@example.org", "--json");
  assert.equal(code, 0, stderr);
  const { link, expires_at, ...account } = JSON.parse(stdout);
  assert.deepEqual(account, { id: "id-o", email: o });
  const [address, token] = link.split("#token=");
  assert.equal(address, "http://localhost:8787/account/confirm");
  assert.match(token, /^pcrl_[\w-]{64}$/);
  const bytes = Buffer.from(token.slice("pcrl_".length), "base64url");
  const [{ salt, ...row }, ...others] = database.rows("SELECT * FROM challenges");
  assert.deepEqual(others, []);
  assert.match(salt, /^[\w-]{22}$/);
  assert.ok(Math.abs(row.created_at - Date.now() / 1000) < 300);
  assert.deepEqual(row, {
    id: bytes.subarray(0, 16).toString("base64url"),
    purpose: "reset",
    user_id: "id-o",
    email_key: "person-o'hara@example.org",
    new_email: null,
    new_email_key: null,
    credentials_version: 3,
    roles: null,
    token_hash: createHash("sha256").update(bytes.subarray(16)).digest("base64url"),
    source: "",
    tries: 0,
    created_at: row.created_at,
    expires_at: row.created_at + 1800,
    ip: null,
    user_agent: null,
    locale: "en",
    spent_by: null,
  });
  assert.equal(expires_at, row.expires_at);
  const [{ id, ...event }, ...more] = database.rows("SELECT * FROM audit_events");
  assert.deepEqual(more, []);
  assert.match(id, /^[\w-]{22}$/);
  const { user_id, at, kind, count, last_at, ...rest } = event;
  assert.deepEqual(
    [user_id, at, kind, count, last_at, new Set(Object.values(rest))],
    ["id-o", row.created_at, "password_reset_started", 1, at, new Set([null])],
  );

  // The link leads to the address that is given, else to that of `npm run dev`. Each link has its own secret.
  const linkOf = async (...args) => {
    const { code, stdout, stderr } = await database.quick("reset", o, ...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  assert.match(
    await linkOf("--issuer", "https://id.example.org/auth/"),
    /^With this link, Person-O'Hara@example.org sets .* 30 minutes.*\nhttps:\/\/id.example.org\/auth\/account\/confirm#token=pcrl_[\w-]{64}\n$/,
  );
  database.env.PORT = "9000";
  const toml = databases.checkout.read("wrangler.toml");
  databases.checkout.write("wrangler.toml", toml.replace(/^ISSUER = .*$/m, 'ISSUER = "https://example.org/auth/"'));
  assert.match(await linkOf(), /\nhttp:\/\/localhost:9000\/auth\/account\/confirm#.*\nIt is for npm run dev at http:/);
  assert.deepEqual(database.rows("SELECT COUNT(DISTINCT token_hash) AS hashes FROM challenges"), [{ hashes: 3 }]);
  assert.deepEqual(database.rows("SELECT COUNT(*) AS events FROM audit_events"), [{ events: 3 }]);
});
