// npm run import of more users than one chunk holds, into a local database that a Worker then uses.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Databases } from "../support/databases.mjs";
import { phc } from "../support/harness.mjs";

/** The number of users that the import loads or moves at once, and the same while it is killed, which needs fewer users. */
const CHUNK = 25_000;
const SMALL_CHUNK = 4000;
/** More than a chunk for the last import: when an import is killed, wrangler may still write the next chunk. */
const USERS = CHUNK + 2 * SMALL_CHUNK + 1000;
const IMPORT = "packages/portcullis/src/commands/import.mjs";
const CHEAP = "$pbkdf2-sha256$i=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

let databases, folder;
before(async () => {
  databases = await Databases.make();
  folder = databases.folder;
});
after(() => databases.remove());

test("an import that is killed twice completes when it is run again, and its users can log in", {
  timeout: 600_000,
}, async (t) => {
  const database = databases.empty("many");
  const secret = `cafe\u0301 au lait`;
  const users = createWriteStream(join(folder, "many.ndjson"));
  for (let n = 0; n < USERS; n += 1) {
    const hash = n === 27_777 ? phc({ message: secret, memory: 64, passes: 1 }) : CHEAP;
    users.write(
      `${JSON.stringify({ email: `Person.${n}@Example.org`, username: `person-${n}`, name: `Ada O'Lovelace; "${n}"\\`, password_hash: hash, roles: n === 27_777 ? ["user", "admin"] : undefined, created_at: 1_700_000_000 + n })}\n`,
    );
  }
  await new Promise((resolve) => users.end(resolve));
  const script = database.checkout.read(IMPORT);
  const chunk = /^const CHUNK = 25_000;$/m;
  assert.match(script, chunk);
  database.checkout.write(IMPORT, script.replace(chunk, `const CHUNK = ${SMALL_CHUNK};`));

  for (const [done, table] of [
    ["loaded", "import_users"],
    ["moved", "users"],
  ]) {
    await importUntil(`${done} ${SMALL_CHUNK} of`, database, "--allow-admins");
    const [{ count }] = database.rows(`SELECT COUNT(*) AS count FROM ${table}`);
    assert.ok(count >= SMALL_CHUNK && count < USERS - CHUNK, `${count} ${table}`);
  }
  // Until it completes, another file is refused.
  const other = await database.quick(
    "import",
    databases.file("other.ndjson", [{ email: "other@example.org", password_hash: CHEAP }]),
  );
  assert.equal(other.code, 1);
  const unfinished = `an import of another file, .*, is unfinished \\(\\d+ of its ${USERS} users are imported\\).*--restart`;
  assert.match(other.stderr, new RegExp(unfinished));

  const { code, stdout, stderr } = await database.script("import", join(folder, "many.ndjson"), "--allow-admins");
  assert.equal(code, 0, stderr);
  assert.ok(stdout.includes(`checked ${USERS} users\n1 of them is an admin\n`), stdout);
  const weak = `${USERS} hashes are weaker than OWASP's minimum (1 Argon2, ${USERS - 1} PBKDF2-SHA256): until `;
  assert.ok(stdout.includes(weak) && stdout.includes("--wrap-weak"), stdout);
  const continued = `continuing: \\d+ users remain to be moved\n(moved \\d+ of ${USERS}\n)+imported ${USERS} users`;
  assert.match(stdout, new RegExp(continued));
  assert.deepEqual(database.counts(), { users: USERS, staging: [] });
  const [sums] = database.rows(
    "SELECT COUNT(DISTINCT email_key) AS emails, COUNT(DISTINCT username_key) AS usernames, SUM(created_at - 1700000000) AS sum, MIN(length(id)) AS shortest, SUM(credentials_version) AS versions FROM users",
  );
  assert.deepEqual(sums, {
    emails: USERS,
    usernames: USERS,
    sum: (USERS * (USERS - 1)) / 2,
    shortest: 22,
    versions: 0,
  });

  await t.test("an imported user logs in through the Worker", { timeout: 120_000 }, async () => {
    const worker = await database.serve();
    try {
      const login = (json) =>
        fetch(`${worker.url}/login`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(json),
        });
      assert.equal((await login({ username: "person-27777", password: "another one" })).status, 401);
      for (const password of [secret, secret.normalize("NFC")]) {
        const answer = await login({ email: "person.27777@example.org", password });
        assert.equal(answer.status, 200);
        const {
          user: { email, username, name, roles, created_at },
        } = await answer.json();
        assert.deepEqual(
          { email, username, name, roles, created_at },
          {
            email: "Person.27777@Example.org",
            username: "person-27777",
            name: `Ada O'Lovelace; "27777"\\`,
            roles: ["user", "admin"],
            created_at: 1_700_027_777,
          },
        );
      }
      const { access_token } = await (await login({ username: "person-27777", password: secret })).json();
      const { events } = await (
        await fetch(`${worker.url}/me/events`, { headers: { Authorization: `Bearer ${access_token}` } })
      ).json();
      const [made] = events.filter(({ kind }) => kind === "roles_changed");
      assert.deepEqual([made.roles, "by" in made], [["user", "admin"], false]);
    } finally {
      await worker.stop();
    }
    const [{ password_hash }] = database.rows(
      "SELECT password_hash FROM users WHERE email_key = 'person.27777@example.org'",
    );
    assert.match(password_hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });
});

/** Runs the import until it prints this text, and then kills it. */
function importUntil(output, database, ...flags) {
  return new Promise((resolve, reject) => {
    const child = spawn(
      "node",
      database.checkout.command("import", join(folder, "many.ndjson"), ...flags, ...database.options),
      {
        cwd: database.checkout.folder,
        env: { ...database.env, ...database.checkout.env },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
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
