// The pages on migrating: their commands run on realistic data of the old system, and give lines that the import
// accepts.

import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";

// PostgreSQL in WebAssembly, so that the SQL of the pages runs wherever the tests run.
import { PGlite } from "@electric-sql/pglite";
import { userChecker } from "../../packages/portcullis/src/rules.mjs";
import { capture, path } from "../../scripts/lib.mjs";

const page = (name) => readFileSync(path("docs", "migrating", name), "utf8");
const blocks = (text, language) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, code]) => code);
const NOW = 1_800_000_000;
const UUIDS = Array.from({ length: 40 }, (_, n) => `00112233-4455-6677-8899-aabbccddee${String(n).padStart(2, "0")}`);
const idOf = (uuid) => Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url");

/** Checks lines as the import does. Returns the users by address, without constant columns, and the errors. */
async function check(lines) {
  const checker = await userChecker({
    roles: "user,admin,editor",
    now: NOW,
    cpu_ms: 500,
    memory_kib: 19_456,
    iterations: 2,
    slot_key: "5c".repeat(32),
    allow_admins: true,
  });
  const checked = [...checker.check(Buffer.from(lines.join("\n"))), ...checker.end().slice(0, -1)];
  const users = Object.fromEntries(
    checked
      .filter(({ error }) => error === undefined)
      .map(({ line, email_key, username_key, ...row }) => [row.email, { ...row, roles: JSON.parse(row.roles) }]),
  );
  return {
    users,
    errors: checked.filter(({ error }) => error !== undefined).map(({ line, error }) => `line ${line}: ${error}`),
  };
}

/** The addresses that are not verified. The others are verified at the time of the import. */
function unverified(users) {
  const isVerified = ({ email_verified_at: at }) => {
    assert.ok(at === null || at === NOW);
    return at !== null;
  };
  return Object.keys(users).filter((email) => !isVerified(users[email]));
}

/** The values of these columns. */
const pick = (row, ...names) => names.map((name) => row[name]);

let postgres;
after(async () => (await postgres)?.close());

/** Runs SQL in PostgreSQL, which takes seconds to start, and undoes it. JSON is returned as the text that psql prints. */
async function onPostgres(schema, fill, sql) {
  postgres ??= PGlite.create({ parsers: { 114: (text) => text } });
  return (await postgres).transaction(async (db) => {
    await db.exec(schema);
    await fill(db);
    const answers = [];
    for (const statement of sql) answers.push((await db.query(statement)).rows.map((row) => Object.values(row)));
    await db.rollback();
    return answers;
  });
}

const BETTER_AUTH = `CREATE TABLE user (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, emailVerified INTEGER NOT NULL, image TEXT, createdAt DATE NOT NULL, updatedAt DATE NOT NULL,
    username TEXT UNIQUE, displayUsername TEXT, role TEXT, banned INTEGER, banReason TEXT, banExpires DATE);
  CREATE TABLE account (id TEXT PRIMARY KEY, accountId TEXT NOT NULL, providerId TEXT NOT NULL, userId TEXT NOT NULL REFERENCES user (id), password TEXT, createdAt DATE NOT NULL, updatedAt DATE NOT NULL);`;

/** Inserts a row into SQLite. */
function insert(db, table, row) {
  const columns = Object.keys(row);
  db.prepare(
    `INSERT INTO ${table} (${columns.map((name) => `"${name}"`).join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
  ).run(...Object.values(row));
}

test("better-auth: its SQL gives lines that the import accepts, without users who have no password", async () => {
  const salt = "00112233445566778899aabbccddeeff";
  const password = `${salt}:${scryptSync("a password", salt, 64, { N: 16384, r: 16, p: 1, maxmem: 2 ** 27 }).toString("hex")}`;
  const soon = "2999-01-01T00:00:00.000Z";
  const oldUsers = [
    {
      id: UUIDS[0],
      name: "Ada O'Hara",
      email: "Ada@Example.org",
      createdAt: "2024-02-29T12:00:00.123Z",
      username: "ada.l",
      displayUsername: "Ada.L",
      role: "admin,user",
    },
    { id: "x".repeat(32), name: "", email: "p1@example.org", createdAt: 1709208000123, role: "user", banned: 0 },
    {
      id: "y".repeat(32),
      name: "  Bob\t",
      email: "p2@example.org",
      createdAt: 1709208000,
      username: "bob",
      displayUsername: "Bob the Builder",
      role: null,
      banned: null,
    },
    // Usernames that are invalid here are omitted.
    {
      id: UUIDS[3],
      name: "Bob",
      email: "p3@example.org",
      createdAt: 0,
      username: "_bob_",
      displayUsername: "_bob_",
      role: "",
    },
    {
      id: UUIDS[4],
      name: "Bob",
      email: "p4@example.org",
      createdAt: 0,
      username: "old@example.org",
      role: "Editor, user",
    },
    { id: UUIDS[5], name: "Bob", email: "p5@example.org", createdAt: 0, username: "x".repeat(33), role: "user" },
    // Banned: permanently, until a future time, and until a past time.
    { id: UUIDS[6], name: "Mallory", email: "p6@example.org", createdAt: 0, banned: 1 },
    { id: UUIDS[7], name: "Mallory", email: "p7@example.org", createdAt: 0, banned: 1, banExpires: soon },
    { id: UUIDS[8], name: "Mallory", email: "p8@example.org", createdAt: 0, banned: 1, banExpires: Date.parse(soon) },
    {
      id: UUIDS[9],
      name: "Mallory",
      email: "p9@example.org",
      createdAt: 0,
      banned: 1,
      banExpires: Date.parse(soon) / 1000,
    },
    {
      id: UUIDS[10],
      name: "Mallory",
      email: "p10@example.org",
      createdAt: 0,
      banned: 1,
      banExpires: "2020-01-01T00:00:00.000Z",
    },
    { id: UUIDS[11], name: "Mallory", email: "p11@example.org", createdAt: 0, banned: 1, banExpires: 1577836800000 },
    { id: UUIDS[12], name: "Unverified", email: "p12@example.org", createdAt: 0, emailVerified: 0 },
    // Refused by the import: a second account with the same address, and an invalid address.
    { id: UUIDS[13], name: "Twice", email: "ADA@EXAMPLE.ORG", createdAt: 0 },
    { id: UUIDS[14], name: "Local", email: "root@localhost", createdAt: 0 },
    { id: UUIDS[15], name: "Social", email: "social@example.org", createdAt: 0, social: true },
  ];
  const db = new DatabaseSync(":memory:");
  db.exec(BETTER_AUTH);
  for (const { social, ...oldUser } of oldUsers) {
    insert(db, "user", { emailVerified: 1, updatedAt: 0, ...oldUser });
    if (!social)
      insert(db, "account", {
        id: `a-${oldUser.id}`,
        accountId: oldUser.id,
        providerId: "credential",
        userId: oldUser.id,
        password,
        createdAt: 0,
        updatedAt: 0,
      });
    insert(db, "account", {
      id: `g-${oldUser.id}`,
      accountId: `g-${oldUser.id}`,
      providerId: "google",
      userId: oldUser.id,
      createdAt: 0,
      updatedAt: 0,
    });
  }
  const text = page("better-auth.md");
  const [sql, members] = blocks(text, "sql");
  const run = (statement) =>
    check(
      db
        .prepare(statement)
        .all()
        .map((row) => Object.values(row)[0]),
    );
  const expectedErrors = [/^line 14: the e-mail address is the same as in line 1$/, /^line 15: email: /];

  const plain = await run(sql);
  for (const [index, error] of plain.errors.entries()) assert.match(error, expectedErrors[index]);
  assert.equal(plain.errors.length, 2);
  assert.equal(Object.keys(plain.users).length, 13);
  assert.deepEqual(
    Object.values(plain.users)
      .slice(0, 3)
      .map(({ email, name, created_at }) => [email, name, created_at]),
    [
      ["Ada@Example.org", "Ada O'Hara", 1709208000],
      ["p1@example.org", null, 1709208000],
      ["p2@example.org", "Bob", 1709208000],
    ],
  );
  assert.equal(plain.users["Ada@Example.org"].id, idOf(UUIDS[0]));
  assert.match(plain.users["Ada@Example.org"].password_hash, /^\$scrypt-nfkc\$ln=14,r=16,p=1\$/);

  const { users, errors } = await run(sql.replace(/\n\)\nFROM/, `,\n${members})\nFROM`));
  assert.deepEqual(errors, plain.errors);
  assert.deepEqual(
    Object.values(users)
      .slice(0, 6)
      .map((row) => pick(row, "username", "roles")),
    [
      ["Ada.L", ["user", "admin"]],
      [null, ["user"]],
      ["bob", ["user"]],
      [null, ["user"]],
      [null, ["user", "editor"]],
      [null, ["user"]],
    ],
  );
  assert.deepEqual(
    Object.entries(users)
      .filter(([, { disabled_at }]) => disabled_at !== null)
      .map(([email]) => email),
    ["p6@example.org", "p7@example.org", "p8@example.org", "p9@example.org"],
  );
  assert.deepEqual(unverified(users), ["p12@example.org"]);
  // The page's own query lists the users whose username is omitted, and its condition excludes the unverified users.
  const [, listed] = text.match(/`(SELECT username, email FROM user [^`]*)`/);
  assert.deepEqual(
    db
      .prepare(listed)
      .all()
      .map(({ username }) => username),
    ["_bob_"],
  );
  const verified = await run(sql.replace(/;\s*$/, " AND u.emailVerified"));
  assert.deepEqual(
    Object.keys(plain.users).filter((email) => !(email in verified.users)),
    ["p12@example.org"],
  );
});

const SUPABASE = `CREATE SCHEMA auth;
  CREATE TABLE auth.users (id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255), encrypted_password varchar(255), email_confirmed_at timestamptz, raw_app_meta_data jsonb,
    raw_user_meta_data jsonb, created_at timestamptz, updated_at timestamptz, phone text, banned_until timestamptz, is_sso_user boolean NOT NULL DEFAULT false, deleted_at timestamptz, is_anonymous boolean NOT NULL DEFAULT false);
  CREATE UNIQUE INDEX users_email_partial_key ON auth.users (email) WHERE is_sso_user = false;`;

/** Inserts a row into PostgreSQL. */
const insertInto = (db, table, row) => {
  const columns = Object.keys(row);
  return db.query(
    `INSERT INTO ${table} (${columns.map((name) => `"${name}"`).join(", ")}) VALUES (${columns.map((_, index) => `$${index + 1}`).join(", ")})`,
    Object.values(row),
  );
};

test("Supabase Auth: its SQL gives lines that the import accepts, without users who have no password or no confirmed address", async () => {
  const bcrypt = "$2a$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  const confirmed = "2024-02-29T12:00:05Z";
  const oldUsers = [
    {
      email: "ada@example.org",
      raw_user_meta_data: { full_name: 'Ada O\'Hara "the first"', name: "ada" },
      raw_app_meta_data: { role: "admin" },
    },
    { email: "p1@example.org", raw_user_meta_data: { name: " Bob\n<b>Builder</b>\u2028\u202egpj\u0085 " } },
    { email: "p2@example.org", raw_user_meta_data: { name: "n".repeat(500) } },
    { email: "p3@example.org", raw_user_meta_data: { name: "\n" } },
    { email: "p4@example.org", raw_user_meta_data: null, created_at: null },
    { email: "p5@example.org", raw_user_meta_data: { name: { first: "Eve" } }, banned_until: "2999-01-01T00:00:00Z" },
    { email: "p6@example.org", banned_until: "2020-01-01T00:00:00Z" },
    { email: "p7@example.org", banned_until: "infinity" },
    // Without a password, deleted, unconfirmed.
    { email: "no1@example.org", encrypted_password: "" },
    { email: "no2@example.org", encrypted_password: null },
    { email: "no3@example.org", deleted_at: confirmed },
    { email: "no4@example.org", email_confirmed_at: null },
    { email: null, phone: "43123", is_anonymous: true },
    { email: "" },
    { email: "ADA@example.org" },
  ];
  const fill = async (db) => {
    for (const [index, oldUser] of oldUsers.entries()) {
      await insertInto(db, "auth.users", {
        id: UUIDS[index],
        encrypted_password: bcrypt,
        email_confirmed_at: confirmed,
        created_at: "2024-02-29T12:00:00.123456+02:00",
        ...oldUser,
      });
    }
  };
  const [sql] = blocks(page("supabase-auth.md"), "sql");
  const [, roles] = page("supabase-auth.md").match(/`('roles', json_build_array[^`]*)`/);
  const [plain, unconfirmed, withRoles] = await onPostgres(SUPABASE, fill, [
    sql,
    sql.replace(/\n\s*AND email_confirmed_at IS NOT NULL;/, ""),
    sql.replace("'email', email,", `'email', email, ${roles},`).replace("WHERE", "WHERE email = 'ada@example.org' AND"),
  ]);
  for (const [line] of plain) assert.doesNotMatch(line, /\n/);
  const { users, errors } = await check(plain.map(([line]) => line));
  assert.deepEqual(errors, ["line 9: the e-mail address is the same as in line 1"]);
  assert.deepEqual(
    Object.values(users).map((row) => pick(row, "email", "name", "created_at", "disabled_at")),
    [
      ["ada@example.org", 'Ada O\'Hara "the first"', 1709200800, null],
      ["p1@example.org", "Bob <b>Builder</b> gpj", 1709200800, null],
      ["p2@example.org", "n".repeat(200), 1709200800, null],
      ["p3@example.org", null, 1709200800, null],
      ["p4@example.org", null, NOW, null],
      ["p5@example.org", '{"first": "Eve"}', 1709200800, NOW],
      ["p6@example.org", null, 1709200800, null],
      ["p7@example.org", null, 1709200800, NOW],
    ],
  );
  assert.deepEqual(unverified(users), []);
  assert.deepEqual(unverified((await check(unconfirmed.map(([line]) => line))).users), ["no4@example.org"]);
  assert.deepEqual(pick(users["ada@example.org"], "id", "password_hash", "roles"), [idOf(UUIDS[0]), bcrypt, ["user"]]);
  assert.deepEqual((await check(withRoles.map(([line]) => line))).users["ada@example.org"].roles, ["admin"]);
});

const V2 = "ANXrDknc7fGPpigibZXXZFMX4aoqz44JveK6jQuwY3eH/UyPhvr5xTPeGYEckLxz9A==";
const V3 =
  "AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw==";
const IDENTITY = {
  roles: [
    ["r1", "Admin"],
    ["r2", "User"],
    ["r3", null],
    ["r4", "EDITOR"],
  ],
  users: [
    { UserName: "ada@example.org", Email: "ada@example.org", PasswordHash: V2, roles: ["r1", "r2"] },
    // Changed directly or by the user: the address, but not the username.
    { UserName: "old@example.org", Email: "New@Example.org", roles: ["r3"] },
    { UserName: "OLD2@EXAMPLE.ORG", Email: "old2@example.org" },
    { UserName: "Bob-the.Builder_1", Email: "p3@example.org", roles: ["r4", "r3"] },
    { UserName: "bj\u00f6rn", Email: "p4@example.org" },
    { UserName: "DOMAIN\\eve", Email: "p5@example.org" },
    { UserName: "_eve_", Email: "p6@example.org" },
    { UserName: "ev", Email: "p7@example.org" },
    { UserName: "x".repeat(33), Email: "p8@example.org" },
    { UserName: null, Email: "p9@example.org" },
    { UserName: "two words", Email: "p10@example.org" },
    // Locked out: permanently, until a distant time, for some minutes, in the past, and with lockout off.
    { UserName: "p11", Email: "p11@example.org", LockoutEnd: "9999-12-31T23:59:59.9999999+00:00" },
    { UserName: "p12", Email: "p12@example.org", LockoutEnd: "2999-12-31T00:00:00+00:00" },
    { UserName: "p13", Email: "p13@example.org", LockoutEnd: new Date(Date.now() + 300_000).toISOString() },
    { UserName: "p14", Email: "p14@example.org", LockoutEnd: "2020-01-01T00:00:00+00:00" },
    { UserName: "p15", Email: "p15@example.org", LockoutEnd: "2999-12-31T00:00:00+00:00", LockoutEnabled: false },
    { UserName: "p16", Email: "p16@example.org", EmailConfirmed: false },
    // Users who cannot log in.
    { UserName: "no1", Email: null },
    { UserName: "no2", Email: "no2@example.org", PasswordHash: null },
    // Users whom the import refuses.
    { UserName: "twice", Email: "ADA@example.org" },
    { UserName: "local", Email: "administrator" },
  ].map((user, index) => ({
    Id: UUIDS[index],
    PasswordHash: V3,
    LockoutEnabled: true,
    LockoutEnd: null,
    EmailConfirmed: true,
    ...user,
  })),
};

/** Checks the result that both queries on the page must give. */
async function checkIdentity(lines) {
  const { users, errors } = await check(lines);
  assert.equal(errors.length, 2);
  assert.match(errors[0], /^line 18: the e-mail address is the same as in line 1$/);
  assert.match(errors[1], /^line 19: email: /);
  assert.deepEqual(
    Object.values(users).map((row) => pick(row, "email", "username", "roles", "disabled_at")),
    [
      ["ada@example.org", null, ["user", "admin"], null],
      ["New@Example.org", null, ["user"], null],
      ["old2@example.org", null, ["user"], null],
      ["p3@example.org", "Bob-the.Builder_1", ["editor"], null],
      ...[4, 5, 6, 7, 8, 9, 10].map((n) => [`p${n}@example.org`, null, ["user"], null]),
      ["p11@example.org", "p11", ["user"], NOW],
      ["p12@example.org", "p12", ["user"], NOW],
      ...[13, 14, 15, 16].map((n) => [`p${n}@example.org`, `p${n}`, ["user"], null]),
    ],
  );
  assert.deepEqual(unverified(users), ["p16@example.org"]);
  assert.equal(users["ada@example.org"].id, idOf(UUIDS[0]));
  assert.match(users["ada@example.org"].password_hash, /^\$pbkdf2-sha1\$i=1000\$/);
  assert.match(users["p3@example.org"].password_hash, /^\$pbkdf2-sha512\$i=250\$/);
}

const [forSqlServer, forPostgres, omittedQuery] = blocks(page("aspnet-core-identity.md"), "sql");

test("ASP.NET Core Identity on PostgreSQL: its SQL gives lines that the import accepts, and lists the omitted usernames", async () => {
  // The tables as Npgsql's provider for Entity Framework creates them.
  const schema = `CREATE TABLE "AspNetUsers" ("Id" text PRIMARY KEY, "UserName" varchar(256), "NormalizedUserName" varchar(256) UNIQUE, "Email" varchar(256), "NormalizedEmail" varchar(256), "EmailConfirmed" boolean NOT NULL,
      "PasswordHash" text, "LockoutEnd" timestamptz, "LockoutEnabled" boolean NOT NULL);
    CREATE TABLE "AspNetRoles" ("Id" text PRIMARY KEY, "Name" varchar(256), "NormalizedName" varchar(256) UNIQUE);
    CREATE TABLE "AspNetUserRoles" ("UserId" text REFERENCES "AspNetUsers", "RoleId" text REFERENCES "AspNetRoles", PRIMARY KEY ("UserId", "RoleId"));`;
  const fill = async (db) => {
    for (const [Id, Name] of IDENTITY.roles) await insertInto(db, '"AspNetRoles"', { Id, Name });
    for (const { roles = [], ...user } of IDENTITY.users) {
      // Npgsql stores the maximum time as infinity.
      await insertInto(db, '"AspNetUsers"', {
        ...user,
        LockoutEnd: user.LockoutEnd?.startsWith("9999") ? "infinity" : user.LockoutEnd,
      });
      for (const RoleId of roles) await insertInto(db, '"AspNetUserRoles"', { UserId: user.Id, RoleId });
    }
  };
  const confirmed = forPostgres.replace(/;\s*$/, ' AND u."EmailConfirmed"');
  const [lines, omitted, fewer] = await onPostgres(schema, fill, [forPostgres, omittedQuery, confirmed]);
  await checkIdentity(lines.map(([line]) => line));
  assert.deepEqual(
    omitted.map(([name]) => name),
    ["old@example.org", ...IDENTITY.users.slice(4, 9).map(({ UserName }) => UserName), "two words"],
  );
  assert.equal(lines.length - fewer.length, 1);
});

test("ASP.NET Core Identity on SQL Server: its SQL, translated, gives lines that the import accepts", async () => {
  // No SQL Server is available, so the SQL is translated for SQLite, and the missing functions are defined.
  const translated = forSqlServer
    .replace(/^SELECT \(\n([\s\S]*)\n {2}FOR JSON PATH, WITHOUT_ARRAY_WRAPPER\n\)\n/, "$1\n")
    .replace(/(u\.UserName) COLLATE Latin1_General_BIN2 (NOT )?LIKE ('[^']*')/g, "$2tsql_like($1, $3)")
    .replaceAll(" + ", " || ")
    .replaceAll("LEN(", "length(")
    .replaceAll("AS bit)", "AS INTEGER)");
  assert.doesNotMatch(translated, /FOR JSON|COLLATE| \+ /);
  const db = new DatabaseSync(":memory:");
  const like = (pattern) =>
    new RegExp(
      `^${pattern.replace(/\[[^\]]*\]|%|[.*+?^$()|\\{}]/g, (part) => (part === "%" ? ".*" : part.startsWith("[") ? part : `\\${part}`))}$`,
      "s",
    );
  db.function("tsql_like", (text, pattern) => (text === null ? null : Number(like(pattern).test(text))));
  db.function("string_escape", (text, type) => {
    assert.equal(type, "json");
    return text === null ? null : JSON.stringify(text).slice(1, -1);
  });
  db.function("json_query", (text) => text);
  db.function("sysdatetimeoffset", () => Date.now());
  db.function("dateadd", (_, days, time) => time + days * 86_400_000);
  db.exec(`CREATE TABLE AspNetUsers (Id TEXT PRIMARY KEY, UserName TEXT, Email TEXT, EmailConfirmed INTEGER, PasswordHash TEXT, LockoutEnd INTEGER, LockoutEnabled INTEGER);
    CREATE TABLE AspNetRoles (Id TEXT PRIMARY KEY, Name TEXT);
    CREATE TABLE AspNetUserRoles (UserId TEXT, RoleId TEXT);`);
  for (const [Id, Name] of IDENTITY.roles) insert(db, "AspNetRoles", { Id, Name });
  for (const { roles = [], ...user } of IDENTITY.users) {
    insert(db, "AspNetUsers", {
      ...user,
      EmailConfirmed: Number(user.EmailConfirmed),
      LockoutEnabled: Number(user.LockoutEnabled),
      LockoutEnd: user.LockoutEnd && Date.parse(user.LockoutEnd),
    });
    for (const RoleId of roles) insert(db, "AspNetUserRoles", { UserId: user.Id, RoleId });
  }
  // FOR JSON omits NULL; a bit becomes true or false, and the result of JSON_QUERY stays JSON.
  const line = ({ roles, email_verified, disabled, ...row }) =>
    JSON.stringify({
      ...Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
      ...(roles === null ? {} : { roles: JSON.parse(roles) }),
      email_verified: email_verified === 1,
      disabled: disabled === 1,
    });
  await checkIdentity(db.prepare(translated.replace("day", "'day'")).all().map(line));
});

test("Firebase: its script gives lines that the import accepts, and an id can be converted back from the UUID", async () => {
  const text = page("importing.md");
  const [spelling, script] = blocks(text, "js");
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  const key = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
  writeFileSync(join(folder, "firebase.mjs"), script.replace("…", key));
  const hash = {
    salt: "42xEC+ixf3L2lw==",
    passwordHash: "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
  };
  // Firebase's own API returns base64url.
  const urlSafe = Object.fromEntries(
    Object.entries(hash).map(([name, text]) => [name, text.replaceAll("+", "-").replaceAll("/", "_")]),
  );
  const users = [
    {
      localId: "1",
      email: "a@example.org",
      emailVerified: true,
      ...hash,
      displayName: "Ada",
      createdAt: "1486324000000",
      disabled: true,
    },
    { localId: "2", email: "b@example.org", createdAt: "1" },
    { localId: "3", email: "C@Example.org", ...urlSafe, displayName: "", emailVerified: false },
    { localId: "4", email: "d@example.org", passwordHash: "", salt: "" },
    { localId: "5", phoneNumber: "+43123" },
    { localId: "6", email: "A@EXAMPLE.ORG", ...hash, createdAt: "1" },
  ];
  const { stdout, stderr } = await capture("node", [join(folder, "firebase.mjs")], {
    input: JSON.stringify({ users }),
  });
  rmSync(folder, { recursive: true });
  const { users: moved, errors } = await check(stdout.trim().split("\n"));
  assert.deepEqual(errors, ["line 3: the e-mail address is the same as in line 1"], stderr);
  assert.deepEqual(
    Object.values(moved).map((row) => pick(row, "email", "name", "created_at", "disabled_at")),
    [
      ["a@example.org", "Ada", 1486324000, NOW],
      ["C@Example.org", null, NOW, null],
    ],
  );
  assert.deepEqual(unverified(moved), ["C@Example.org"]);
  for (const { password_hash } of Object.values(moved))
    assert.equal(password_hash, `$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=${key}$${hash.salt}$${hash.passwordHash}`);
  const uuid = new Function("sub", `${spelling} return uuid;`)(
    Buffer.from("00112233445566778899aabbccddeeff", "hex").toString("base64url"),
  );
  assert.equal(uuid, "00112233-4455-6677-8899-aabbccddeeff");
});
