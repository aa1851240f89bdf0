// npm run import of more users than one chunk holds, into local databases, one of which a Worker then uses.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";

import { checkoutWithStandIn, Databases } from "../support/databases.mjs";
import { phc } from "../support/harness.mjs";

/** The number of users that an import loads or moves at once, and in the test in which it is killed. */
const CHUNK = 25_000;
const SMALL_CHUNK = 400;
const IMPORT = "packages/portcullis/src/commands/import.mjs";
const CHEAP = "$pbkdf2-sha256$i=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SECRET = `cafe\u0301 au lait`;
const HASH = phc({ message: SECRET, memory: 64, passes: 1 });

let databases;
before(async () => {
  databases = await Databases.make();
});
after(() => databases.remove());

/** Writes a file of users, the last of whom is an admin with the password SECRET. Returns its path. */
function fileOf(count) {
  const users = Array.from({ length: count }, (_, n) => ({
    email: `Person.${n}@Example.org`,
    username: `person-${n}`,
    name: `Ada O'Lovelace; "${n}"\\`,
    password_hash: n === count - 1 ? HASH : CHEAP,
    roles: n === count - 1 ? ["user", "admin"] : undefined,
    created_at: 1_700_000_000 + n,
  }));
  return databases.file(`${count}.ndjson`, users);
}

/** Asserts that an import has said what it checked, and that the database has its users. */
function assertImported(database, count, { code, stdout, stderr }) {
  assert.equal(code, 0, stderr);
  assert.ok(stdout.startsWith(`checked ${count} users\n1 of them is an admin\n`), stdout);
  const weak = `${count} hashes are weaker than OWASP's minimum (1 Argon2, ${count - 1} PBKDF2-SHA256): until `;
  assert.ok(stdout.includes(weak) && stdout.includes("--wrap-weak"), stdout);
  assert.ok(stdout.endsWith(`\nimported ${count} users\n`), stdout);
  assert.deepEqual(database.counts(), { users: count, staging: [] });
  const [sums] = database.rows(
    "SELECT COUNT(DISTINCT email_key) AS emails, COUNT(DISTINCT username_key) AS usernames, SUM(created_at - 1700000000) AS sum, MIN(length(id)) AS shortest, SUM(credentials_version) AS versions FROM users",
  );
  assert.deepEqual(sums, {
    emails: count,
    usernames: count,
    sum: (count * (count - 1)) / 2,
    shortest: 22,
    versions: 0,
  });
}

test("more users than a chunk holds are imported in D1, and can log in", { timeout: 300_000 }, async () => {
  const database = databases.empty("many");
  const users = CHUNK + 500;
  const last = users - 1;
  const imported = await database.inD1("import", fileOf(users), "--allow-admins");
  assertImported(database, users, imported);
  const steps = ["loaded", "moved"].flatMap((done) => [CHUNK, users].map((count) => `${done} ${count} of ${users}\n`));
  assert.ok(imported.stdout.includes(steps.join("")), imported.stdout);

  const worker = await database.serve();
  try {
    const login = (json) => worker.post("/login", { json });
    assert.equal((await login({ username: `person-${last}`, password: "another one" })).status, 401);
    for (const password of [SECRET, SECRET.normalize("NFC")]) {
      const answer = await login({ email: `person.${last}@example.org`, password });
      assert.equal(answer.status, 200);
      const { email, username, name, roles, created_at } = answer.body.user;
      assert.deepEqual(
        { email, username, name, roles, created_at },
        {
          email: `Person.${last}@Example.org`,
          username: `person-${last}`,
          name: `Ada O'Lovelace; "${last}"\\`,
          roles: ["user", "admin"],
          created_at: 1_700_000_000 + last,
        },
      );
    }
    const { access_token } = (await login({ username: `person-${last}`, password: SECRET })).body;
    const { events } = (await worker.get("/me/events", { bearer: access_token })).body;
    const [made] = events.filter(({ kind }) => kind === "roles_changed");
    assert.deepEqual([made.roles, "by" in made], [["user", "admin"], false]);
  } finally {
    await worker.close();
  }
  const [{ password_hash }] = database.rows(
    `SELECT password_hash FROM users WHERE email_key = 'person.${last}@example.org'`,
  );
  assert.match(password_hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

test("an import that is killed twice completes when it is run again", { timeout: 300_000 }, async (t) => {
  const database = databases.empty("killed");
  database.checkout = checkoutWithStandIn();
  t.after(() => database.checkout.remove());
  const script = database.checkout.read(IMPORT);
  const chunk = /^const CHUNK = 25_000;$/m;
  assert.match(script, chunk);
  database.checkout.write(IMPORT, script.replace(chunk, `const CHUNK = ${SMALL_CHUNK};`));

  // When the import is killed, wrangler may still write the next chunk.
  const users = 10 * SMALL_CHUNK;
  const file = fileOf(users);
  for (const [done, table] of [
    ["loaded", "import_users"],
    ["moved", "users"],
  ]) {
    await importUntil(`${done} ${SMALL_CHUNK} of`, database, file, "--allow-admins");
    const [{ count }] = database.rows(`SELECT COUNT(*) AS count FROM ${table}`);
    assert.ok(count >= SMALL_CHUNK && count < users - SMALL_CHUNK, `${count} ${table}`);
  }
  // Until it completes, another file is refused.
  const other = await database.quick(
    "import",
    databases.file("other.ndjson", [{ email: "other@example.org", password_hash: CHEAP }]),
  );
  assert.equal(other.code, 1);
  const unfinished = `an import of another file, .*, is unfinished \\(\\d+ of its ${users} users are imported\\).*--restart`;
  assert.match(other.stderr, new RegExp(unfinished));

  const completed = await database.inD1("import", file, "--allow-admins");
  assertImported(database, users, completed);
  const continued = `continuing: \\d+ users remain to be moved\n(moved \\d+ of ${users}\n)+imported`;
  assert.match(completed.stdout, new RegExp(continued));
});

/** Runs the import until it prints this text, and then kills it. */
function importUntil(output, database, file, ...flags) {
  return new Promise((resolve, reject) => {
    const child = spawn("node", database.checkout.command("import", file, ...flags, ...database.options), {
      cwd: database.checkout.folder,
      env: { ...database.env, ...database.checkout.env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (more) => {
      text += more;
      if (text.includes(output)) child.kill("SIGKILL");
    });
    child
      .on("error", reject)
      .on("close", () =>
        text.includes(output) ? resolve() : reject(new Error(`the import ended unexpectedly:\n${text}`)),
      );
  });
}
