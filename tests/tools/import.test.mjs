// npm run import and export, on local databases, one of which a Worker then uses.

import assert from "node:assert/strict";
import { createHmac, pbkdf2Sync, randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { capture } from "../../scripts/lib.mjs";
import { Databases } from "../support/databases.mjs";
import { phc } from "../support/harness.mjs";

const CHEAP = "$pbkdf2-sha256$i=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

let databases, folder;
before(async () => {
  databases = await Databases.make();
  folder = databases.folder;
});
after(() => databases.remove());

const user = (n, more) => ({ email: `person-${n}@example.org`, password_hash: CHEAP, ...more });

test("a file with an invalid line, a taken name or an unknown format writes nothing, and export returns what was imported", {
  timeout: 480_000,
}, async () => {
  const [source, copy] = [databases.empty("source"), databases.empty("copy")];
  const ids = [randomUUID(), randomUUID()];
  const full = {
    id: ids[0],
    email: "Ada@Example.org",
    email_verified: true,
    username: "Ada-L",
    name: "Ada; O'Hara\u{1f600}",
    roles: ["user", "admin"],
    password_hash: "$2b$11$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    created_at: "2020-01-01T00:00:00Z",
    // JavaScript would round this number.
    metadata: { account: JSON.rawJSON("9007199254740993") },
    disabled: true,
  };
  const some = [
    full,
    user(1, { id: ids[1] }),
    ...Array.from({ length: 300 }, (_, n) => user(n + 2, { username: `u-${n}`, roles: [] })),
  ];
  const withoutFlag = await source.quick("import", databases.file("some.ndjson", some));
  assert.match(withoutFlag.stderr, /line 1: roles: "admin" requires --allow-admins\n\n1 error: nothing was imported/);
  const done = await source.quick("import", databases.file("some.ndjson", some), "--allow-admins");
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(source.counts(), { users: 302, staging: [] });
  // The event is the one that `npm run grant` would write.
  const [event, ...others] = source.rows(
    "SELECT e.*, u.email FROM audit_events AS e JOIN users AS u ON u.id = e.user_id",
  );
  assert.deepEqual(others, []);
  assert.deepEqual(
    [event.email, event.kind, event.count, event.actor_id, event.detail],
    [full.email, "roles_changed", 1, null, '["user","admin"]'],
  );
  assert.ok(Math.abs(event.at - Date.now() / 1000) < 600 && event.last_at === event.at);
  const [verified, ...unverified] = source.rows("SELECT email, email_verified_at AS at FROM users ORDER BY at IS NULL");
  assert.equal(verified.email, full.email);
  assert.ok(Math.abs(verified.at - Date.now() / 1000) < 600);
  assert.ok(unverified.every(({ at }) => at === null));
  // The slot is computed from the address with the key of this database, as at registration.
  const [{ secret }] = source.rows("SELECT secret FROM slot_key");
  for (const { email_key, slot } of source.rows("SELECT email_key, slot FROM users")) {
    const tag = createHmac("sha256", secret).update("portcullis slot v1").update(email_key).digest();
    assert.equal(slot, tag.readUInt16BE() >> 4, email_key);
  }

  // Invalid lines: up to twenty are reported, and nothing is written.
  const bad = await source.quick(
    "import",
    databases.file("bad.ndjson", [
      user("new"),
      ...Array.from({ length: 25 }, (_, n) => user(`bad-${n}`, { password_hash: "md5" })),
      user("new-2"),
      "{",
    ]),
  );
  assert.equal(bad.code, 1);
  const odd = await source.quick("import", databases.file("odd.ndjson", [user("odd", { "a\u2028b": 1 })]));
  assert.match(odd.stderr, /line 1: a\\u\{2028\}b: unknown field/);
  assert.equal(bad.stderr.match(/^(error: )?line \d+: /gm).length, 20);
  assert.match(
    bad.stderr,
    /error: line 2: password_hash: not a password hash of a known format[\s\S]*line 21:[\s\S]*and 6 more: --all-errors FILE [\s\S]*\n\n26 errors: nothing was imported/,
  );
  const all = await source.quick("import", join(folder, "bad.ndjson"), "--all-errors", "errors.txt");
  assert.match(all.stderr, /and 6 more: all are in .*errors.txt\n\n26 errors/);
  const written = readFileSync(join(folder, "errors.txt"), "utf8").split("\n");
  assert.deepEqual(
    [written.length, written[0].slice(0, 21), written[25].slice(0, 8), written[26]],
    [27, "line 2: password_hash", "line 28:", ""],
  );
  assert.equal(statSync(join(folder, "errors.txt")).mode & 0o777, 0o600);
  // Taken addresses, usernames and ids.
  const taken = await source.quick(
    "import",
    databases.file("taken.ndjson", [
      user("new"),
      user("x", { email: "ADA@example.org" }),
      user("y", { username: "ADA-L" }),
      user("z", { id: ids[1].toUpperCase() }),
    ]),
  );
  assert.equal(taken.code, 1);
  const takenBy = await source.quick(
    "import",
    databases.file(
      "taken-many.ndjson",
      some.map((line, n) => ({ ...line, id: undefined, username: `v-${n}`, roles: [] })),
    ),
    "--all-errors",
    join(folder, "errors.txt"),
  );
  assert.match(takenBy.stderr, /and 282 more: all are in [\s\S]*302 errors: nothing was imported/);
  assert.deepEqual(
    readFileSync(join(folder, "errors.txt"), "utf8"),
    some.map((_, n) => `line ${n + 1}: the e-mail address belongs to an existing account\n`).join(""),
  );
  assert.match(
    taken.stderr,
    /line 2: the e-mail address belongs to an existing account\nline 3: the username belongs .*\nline 4: the id belongs .*\n\n3 errors: nothing was imported/,
  );
  assert.deepEqual(source.counts(), { users: 302, staging: [] });

  const exported = await source.quick("export");
  assert.equal(exported.code, 0, exported.stderr);
  assert.match(exported.stderr, /password hash[\s\S]*exported 302 users/);
  const lines = exported.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const ada = lines.find(({ email }) => email === full.email);
  assert.match(exported.stdout, /"metadata":\{"account":9007199254740993\}/);
  assert.deepEqual(ada, {
    ...full,
    metadata: { account: 9007199254740992 },
    id: Buffer.from(ids[0].replaceAll("-", ""), "hex").toString("base64url"),
    created_at: 1_577_836_800,
  });
  assert.deepEqual(
    lines.map(({ id }) => id),
    lines.map(({ id }) => id).sort(),
  );

  writeFileSync(join(folder, "exported.ndjson"), exported.stdout);
  const again = await copy.quick("import", "exported.ndjson", "--allow-admins", "--all-errors", "none.txt");
  assert.equal(again.code, 0, again.stderr);
  assert.equal(readFileSync(join(folder, "none.txt"), "utf8"), "");
  assert.equal((await copy.quick("export")).stdout, exported.stdout);
  for (const { temporary } of [source, copy])
    assert.deepEqual(
      readdirSync(temporary).filter((name) => name.startsWith("portcullis")),
      [],
    );

  // A failed chunk is rolled back, and the staging tables remain. Another file then requires --restart.
  copy.run(
    "CREATE TRIGGER late BEFORE INSERT ON users WHEN NEW.username = 'late' BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: users.email_key'); END",
  );
  const late = await copy.quick("import", databases.file("late.ndjson", [user("a"), user("b", { username: "late" })]));
  assert.equal(late.code, 1);
  assert.match(late.stderr, /UNIQUE constraint failed/);
  assert.deepEqual(copy.counts(), { users: 302, staging: ["import_file", "import_users"] });
  copy.run("DROP TRIGGER late");
  const restarted = await copy.quick("import", databases.file("other.ndjson", [user("a")]), "--restart");
  assert.equal(restarted.code, 0, restarted.stderr);
  assert.deepEqual(copy.counts(), { users: 303, staging: [] });
});

test("wrapped weak hashes verify in the Worker, and an export keeps them", { timeout: 300_000 }, async () => {
  const [source, copy] = [databases.empty("weak"), databases.empty("weak-copy")];
  const hash = (password) =>
    `$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$${pbkdf2Sync(password, "saltsalt", 1000, 32, "sha256").toString("base64").replace(/=+$/, "")}`;
  const strong = phc({ message: "another password", memory: 19_456, passes: 2 });
  const weak = databases.file("weak.ndjson", [
    user("weak", { password_hash: hash("an old password") }),
    user("strong", { password_hash: strong }),
    // Enough rows for statements of the maximum length in D1.
    ...Array.from({ length: 1000 }, (_, n) => user(n, { name: "\u{1f600}".repeat(60), password_hash: strong })),
  ]);
  const done = await source.byWrangler("--file", "import", weak, "--wrap-weak");
  assert.match(done.stdout, /1 hash is weaker than OWASP's minimum \(1 PBKDF2-SHA256\): each is wrapped/, done.stderr);
  const stored = (name) =>
    source.rows(`SELECT password_hash FROM users WHERE email = 'person-${name}@example.org'`)[0].password_hash;
  assert.match(stored("weak"), /^\$wrapped\$pbkdf2-sha256\$i=1000\$c2FsdHNhbHQ\$32\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.match(stored("strong"), /^argon2\$argon2id\$v=19\$m=19456,t=2,p=1\$/);

  const exported = await source.script("export");
  assert.ok(!existsSync(source.env.WRANGLER_LOG_PATH), "no wrangler log contains the exported rows");
  writeFileSync(join(folder, "weak-exported.ndjson"), exported.stdout);
  const again = await copy.quick("import", "weak-exported.ndjson", "--wrap-weak");
  assert.doesNotMatch(again.stdout, /weaker than/, again.stderr);
  assert.equal((await copy.quick("export")).stdout, exported.stdout);

  const worker = await copy.serve();
  try {
    const login = async (name, password) =>
      (await worker.login({ email: `person-${name}@example.org`, password })).status;
    assert.deepEqual(
      [
        await login("weak", "an old pass"),
        await login("weak", "an old password"),
        await login("strong", "another password"),
      ],
      [401, 200, 200],
    );
  } finally {
    await worker.close();
  }
  const logged =
    "SELECT password_hash FROM users WHERE email IN ('person-weak@example.org', 'person-strong@example.org')";
  for (const { password_hash } of copy.rows(logged))
    assert.match(password_hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

test("a command prints its usage, and reports missing files and tables", { timeout: 120_000 }, async () => {
  const absent = databases.absent("none");
  for (const [name, args, code, why] of [
    ["import", [], 2, /usage: npm run import/],
    ["import", ["a", "b"], 2, /usage: npm run import/],
    ["import", ["a", "--remote"], 2, /--persist-to is for the local database/],
    ["import", [join(folder, "missing.ndjson")], 1, /missing\.ndjson does not exist/],
    ["import", [databases.file("empty.ndjson", [])], 1, /^\nerror: .*empty.ndjson is empty\n$/],
    ["import", [databases.file("blank.ndjson", ["", " "])], 1, /contains no users/],
    ["import", [folder], 1, /^\nerror: .* is a folder, not a file\n$/],
    [
      "import",
      [databases.file("same.ndjson", [user(1)]), "--all-errors", "same.ndjson"],
      1,
      /would overwrite .*same.ndjson/,
    ],
    ["import", [databases.file("same.ndjson", [user(1)]), "--all-errors", folder], 1, /--all-errors cannot write/],
    [
      "import",
      [
        databases.file("dear.ndjson", [
          user(1, { password_hash: "$2b$13$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" }),
        ]),
      ],
      1,
      /line 1: password_hash: verifying it takes about \d+ ms of CPU time, but cpu_ms in wrangler.toml is 500: set it to at least \d+ while/,
    ],
    ["import", [databases.file("one.ndjson", [user(1)])], 1, /no tables yet/],
    ["export", ["x"], 2, /usage: npm run --silent export/],
    ["export", [], 1, /no tables yet/],
  ]) {
    const answer = await absent.quick(name, ...args);
    assert.equal(answer.code, code, answer.stderr);
    assert.match(answer.stderr, why);
  }
  const loud = await capture("npm", ["run", "export"]);
  assert.equal(loud.code, 1);
  assert.match(loud.stderr, /npm run --silent export/);
});
