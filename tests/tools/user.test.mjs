// npm run user, on local databases.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { after, before, test } from "node:test";

import { Databases } from "../support/databases.mjs";

const NOW = Math.floor(Date.now() / 1000);

let databases;
before(async () => {
  databases = await Databases.make();
});
after(() => databases.remove());

// Changes that a statement decides run in real D1, the others in the faster SQLite of Node.
const runner =
  (database, method, ...options) =>
  async (...args) => {
    const { code, stdout, stderr } = await database[method](...options, "user", ...args);
    assert.equal(code, 0, stderr);
    return args.includes("--json") ? JSON.parse(stdout) : stdout;
  };

async function refused(database, args, code, why) {
  const found = await database.quick("user", ...args);
  assert.deepEqual([found.code, found.stdout], [code, ""]);
  assert.match(found.stderr, why);
}

const near = (seconds) => Math.abs(seconds - Date.now() / 1000) < 300;

test("an account is created by the rules of the import, with a link to set the first password", {
  timeout: 300_000,
}, async () => {
  const database = databases.empty("add");
  const fails = (args, code, why) => refused(database, args, code, why);
  await fails([], 2, /expected add, show, .*\nusage: npm run user/);
  await fails(["remove", "a@example.org"], 2, /found remove/);
  await fails(["add"], 2, /expected 1 arguments/);
  await fails(["show", "a@example.org", "--end"], 2, /--end/);
  await fails(["add", "a@example.org", "--issuer", "http://example.org"], 2, /--issuer is not an https address/);
  await fails(["add", "person"], 1, /email: .*exactly one @/);
  await fails(["add", "a@example.org", "--role", "root"], 1, /roles: "root" is not a role/);
  await fails(["add", "a@example.org", "--username", "a"], 1, /username: .*must be/);
  await fails(["add", "a@example.org", "--name", "a\nb"], 1, /name: .*must be/);
  assert.deepEqual(database.rows("SELECT id FROM users"), []);

  const add = runner(database, "byWrangler", "INSERT");
  const options = ["--name", "Ada O'Hara", "--username", "Ada-L", "--role", "admin", "--role", "user"];
  const { id, link, expires_at, ...account } = await add("add", "Ada@Example.org", ...options, "--json");
  assert.deepEqual(account, { email: "Ada@Example.org" });
  const [{ secret }] = database.rows("SELECT secret FROM slot_key");
  const [{ created_at, ...row }, ...none] = database.rows("SELECT * FROM users");
  assert.deepEqual(none, []);
  assert.ok(near(created_at));
  assert.deepEqual(row, {
    id,
    email: "Ada@Example.org",
    email_key: "ada@example.org",
    username: "Ada-L",
    username_key: "ada-l",
    password_hash: null,
    name: "Ada O'Hara",
    credentials_version: 0,
    roles: '["user","admin"]',
    disabled_at: null,
    created_ip: null,
    created_user_agent: null,
    email_verified_at: null,
    factors_reset_at: null,
    password_reset_at: null,
    slot:
      createHmac("sha256", secret).update("portcullis slot v1").update("ada@example.org").digest().readUInt16BE() >> 4,
    given_name: null,
    family_name: null,
    metadata: null,
    app_metadata: null,
    is_admin: 1,
  });
  const [challenge] = database.rows("SELECT * FROM challenges");
  const bytes = Buffer.from(link.split("#token=pcrl_")[1], "base64url");
  assert.deepEqual(
    [challenge.id, challenge.token_hash],
    [bytes.subarray(0, 16).toString("base64url"), createHash("sha256").update(bytes.subarray(16)).digest("base64url")],
  );
  assert.deepEqual(
    [challenge.purpose, challenge.user_id, challenge.credentials_version, challenge.expires_at],
    ["invite", id, 0, created_at + 7 * 86_400],
  );
  assert.equal(expires_at, challenge.expires_at);
  const events = "SELECT kind, at, detail FROM audit_events ORDER BY kind";
  assert.deepEqual(database.rows(events), [
    { kind: "password_reset_started", at: created_at, detail: null },
    { kind: "roles_changed", at: created_at, detail: '["user","admin"]' },
  ]);

  // Nothing of a second account with the same names is written.
  database.run(
    `INSERT INTO reserved_emails (email_key, user_id, expires_at) VALUES ('old@example.org', '${id}', ${NOW + 3600}), ('free@example.org', '${id}', ${NOW - 3600})`,
  );
  await fails(["add", "ada@example.ORG"], 1, /an account already has the address ada@example.ORG/);
  await fails(["add", "b@example.org", "--username", "ADA-L"], 1, /an account already has the username ADA-L/);
  await fails(["add", "Old@example.org"], 1, /was the address of an account, and is reserved until \d{4}-/);
  assert.equal(database.counts().users, 1);
  assert.equal(database.rows(events).length, 2);

  // Without options, an account has the first role and no event about roles.
  const quick = runner(database, "quick");
  assert.match(
    await quick("add", "free@example.org"),
    /^With this link, free@example.org sets a new password, once, within 7 days.*\nhttp:\/\/localhost:8787\/account\/confirm#token=pcrl_[\w-]{64}\nIt is for npm run dev/,
  );
  const [free] = database.rows("SELECT roles, username, name FROM users WHERE email_key = 'free@example.org'");
  assert.deepEqual(free, { roles: '["user"]', username: null, name: null });
  assert.equal(database.rows(events).length, 3);

  // An export has accounts without a password, and can be imported.
  const exported = await database.quick("export");
  databases.file("exported.ndjson", [exported.stdout.trim()]);
  const copy = databases.empty("copy");
  const imported = await copy.quick("import", "exported.ndjson", "--allow-admins");
  assert.equal(imported.code, 0, imported.stderr);
  assert.match(imported.stdout, /2 of them have no password/);
  const hashes = "SELECT id, password_hash FROM users ORDER BY id";
  assert.deepEqual(copy.rows(hashes), database.rows(hashes));
});

test("an account is shown, disabled and enabled, and its sessions are listed and ended", {
  timeout: 300_000,
}, async () => {
  const database = databases.empty("account");
  const insertUser = (id, roles) =>
    database.run(
      `INSERT INTO users (id, email, email_key, name, password_hash, credentials_version, slot, roles, created_at) VALUES ('${id}', '${id}@Example.org', '${id}@example.org', 'Ada', 'secret-hash', 5, 0, '${JSON.stringify(roles)}', 1000000)`,
    );
  const insertSession = (id, user, more = {}) => {
    const columns = {
      session_id: id,
      user_id: user,
      secret_hash: "",
      generation: 1,
      grace_retries: 0,
      created_at: NOW - 600,
      created_ip: "192.0.2.1",
      rotated_at: NOW - 300,
      rotated_ip: "192.0.2.2",
      rotated_user_agent: "curl\u001b[2J",
      expires_at: NOW + 86_400,
      absolute_expires_at: NOW + 86_400,
      access_expires_at: NOW + 900,
      amr: "pwd",
      authenticated_at: NOW - 600,
      ...more,
    };
    const values = Object.values(columns).map((value) => (typeof value === "number" ? value : `'${value}'`));
    database.run(`INSERT INTO refresh_tokens (${Object.keys(columns).join(", ")}) VALUES (${values.join(", ")})`);
  };
  insertUser("ada", ["user", "admin"]);
  insertUser("bob", ["user"]);
  insertSession("a-1", "ada");
  insertSession("a-2", "ada", { created_at: NOW - 500 });
  insertSession("a-3", "ada", { expires_at: NOW - 10, access_expires_at: NOW - 20 });
  insertSession("a-4", "ada", { created_at: NOW - 9000, revoked_at: NOW - 100, revoked_reason: "logout" });
  insertSession("b-1", "bob");
  database.run(
    `INSERT INTO throttles (key, steps, failures, last_at, until, request_id) VALUES ('user:ada', 4, 7, ${NOW - 5}, ${NOW + 3600}, ''); ` +
      `INSERT INTO audit_events (user_id, at, id, kind, count, last_at, ip) VALUES ('ada', ${NOW - 3000}, 'login_failed', 'login_failed', 4, ${NOW - 5}, '192.0.2.3')`,
  );
  const [quick, inD1] = [runner(database, "quick"), runner(database, "inD1")];
  const ada = "ADA@example.org";
  const fails = (args, why) => refused(database, args, 1, why);
  const version = (id) => database.rows(`SELECT credentials_version AS v FROM users WHERE id = '${id}'`)[0].v;
  const eventsOf = (id) =>
    database.rows(`SELECT * FROM audit_events WHERE user_id = '${id}' AND kind <> 'login_failed'`);
  const reasons = (id) =>
    Object.fromEntries(
      database
        .rows(`SELECT session_id, revoked_reason FROM refresh_tokens WHERE user_id = '${id}' ORDER BY session_id`)
        .map(({ session_id, revoked_reason }) => [session_id, revoked_reason]),
    );

  for (const action of ["show", "disable", "enable", "sessions"])
    await fails([action, "nobody@example.org"], /no account has the address nobody@example.org/);

  const { events, ...shown } = await quick("show", ada, "--json");
  assert.deepEqual(shown, {
    id: "ada",
    email: "ada@Example.org",
    email_verified_at: null,
    username: null,
    name: "Ada",
    given_name: null,
    family_name: null,
    created_at: 1_000_000,
    disabled_at: null,
    roles: ["user", "admin"],
    has_password: true,
    sessions: 2,
    throttle: { failures: 7, last_failed_at: NOW - 5, wait_until: NOW + 3600 },
  });
  assert.deepEqual(
    events.map(({ kind, at, count }) => [kind, NOW - at, count]),
    [
      ["login_failed", 5, 4],
      ["revoked", 100, 1],
      ["logged_in", 500, 1],
      ["logged_in", 600, 1],
      ["logged_in", 600, 1],
      ["logged_in", 9000, 1],
      ["registered", NOW - 1_000_000, 1],
    ],
  );
  const lines = await quick("show", ada);
  assert.match(lines, /^address +ada@Example\.org \(verified: no\)$/m);
  assert.match(lines, /^failures +7 wrong current passwords in a row, further ones wait until \d{4}-/m);
  assert.match(lines, /^\S+Z +login_failed +4 times +192\.0\.2\.3$/m);
  assert.doesNotMatch(lines, /secret-hash/);

  const { sessions } = await quick("sessions", ada, "--json");
  assert.deepEqual(
    sessions.map(({ id, last_used_ip }) => [id, last_used_ip]),
    [
      ["a-2", "192.0.2.2"],
      ["a-1", "192.0.2.2"],
    ],
  );
  // What a client sent does not act on the terminal.
  const listed = await quick("sessions", ada);
  assert.match(listed, /^a-1 .* 192\.0\.2\.2 +curl\ufffd\[2J$/m);

  // The last admin cannot be disabled, as on the admin route.
  await fails(["disable", ada], /is the last admin/);
  await fails(["enable", ada], /is already enabled/);
  assert.deepEqual([eventsOf("ada"), version("ada"), reasons("ada")["a-1"]], [[], 5, null]);

  assert.equal(await inD1("sessions", ada, "--end"), `${ada} is logged out everywhere (sessions ended: 2)\n`);
  assert.deepEqual(reasons("ada"), { "a-1": "ended_by_admin", "a-2": "ended_by_admin", "a-3": null, "a-4": "logout" });
  // Device tokens of an older version are void.
  assert.equal(version("ada"), 6);
  assert.equal(await quick("sessions", ada), `${ada} has no open session\n`);

  const { disabled_at, ...ended } = await inD1("disable", "bob@example.org", "--json");
  assert.deepEqual(ended, { id: "bob", sessions_ended: 1 });
  assert.ok(near(disabled_at));
  assert.deepEqual([reasons("bob"), version("bob")], [{ "b-1": "disabled" }, 6]);
  assert.deepEqual(database.rows("SELECT disabled_at FROM users WHERE id = 'bob'"), [{ disabled_at }]);
  await fails(["disable", "bob@example.org"], /is already disabled/);
  // The Worker writes the marks of the ended sessions.
  assert.deepEqual(
    database.rows("SELECT session_id FROM owed_marks ORDER BY session_id").map(({ session_id }) => session_id),
    ["a-1", "a-2", "b-1"],
  );

  // A session of an account that was disabled by hand does not come back.
  insertSession("b-2", "bob");
  assert.equal(await quick("enable", "bob@example.org"), "bob@example.org is enabled (sessions ended: 1)\n");
  assert.deepEqual([reasons("bob")["b-2"], version("bob")], ["disabled", 7]);
  assert.deepEqual(database.rows("SELECT disabled_at FROM users WHERE id = 'bob'"), [{ disabled_at: null }]);

  const seen = [...eventsOf("ada"), ...eventsOf("bob")].map(({ user_id, kind, count, at, last_at, id, ...others }) => {
    assert.deepEqual([count, near(at), last_at, new Set(Object.values(others))], [1, true, at, new Set([null])]);
    assert.match(id, /^[\w-]{22}$/);
    return `${user_id} ${kind}`;
  });
  assert.deepEqual(seen.sort(), ["ada sessions_ended", "bob disabled", "bob enabled"]);
});
