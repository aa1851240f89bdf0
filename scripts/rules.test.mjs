// src/bin/rules.rs, which reads what comes in beside the Worker by the Worker's own rules.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, test } from "node:test";

import { rules, rulesBinary } from "./rules.mjs";

const NOW = 1_800_000_000;
const HASH = "$pbkdf2-sha256$i=1000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ada = { email: "ada@example.org", password_hash: HASH };

before(() => rulesBinary());

/** What is printed of the lines of a file, given as text or as the objects to be put there. */
async function check(lines) {
  const input = typeof lines === "string" ? lines : lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  const { code, stdout, stderr } = await rules(["check-users", "--roles", "user,admin", "--now", String(NOW)], { input });
  assert.equal(code, 0, stderr);
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

test("a user with nothing but the needful gets the rest", async () => {
  const [{ id, ...row }, end] = await check([ada]);
  assert.match(id, /^[\w-]{22}$/);
  assert.deepEqual(row, {
    line: 1,
    email: "ada@example.org",
    email_key: "ada@example.org",
    username: null,
    username_key: null,
    name: null,
    password_hash: HASH,
    roles: '["user"]',
    created_at: NOW,
    disabled_at: null,
  });
  assert.deepEqual(end, { users: 1 });
  const [again] = await check([ada]);
  assert.notEqual(again.id, id);
});

test("every member is normalised as at registration", async () => {
  const uuid = "00112233-4455-6677-8899-AABBCCDDEEFF";
  const [row] = await check([
    { ...ada, id: uuid, email: " Ada@B\u00dcCHER.example\n", username: "Ada-L", name: " Jose\u0301 ", roles: ["admin", "user"], created_at: "2024-02-29T12:00:00.123+02:00", disabled: true },
  ]);
  assert.deepEqual(row, {
    line: 1,
    id: Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url"),
    email: "Ada@B\u00dcCHER.example",
    email_key: "ada@xn--bcher-kva.example",
    username: "Ada-L",
    username_key: "ada-l",
    name: "Jos\u00e9",
    password_hash: HASH,
    roles: '["user","admin"]',
    created_at: Date.parse("2024-02-29T10:00:00Z") / 1000,
    disabled_at: NOW,
  });
});

test("null is as good as nothing, and ids are kept in either form", async () => {
  const id = Buffer.alloc(16, 0xfb).toString("base64url");
  const [nulls, own] = await check([
    { ...ada, id: null, username: null, name: null, roles: null, created_at: null, disabled: null },
    { email: "b@example.org", password_hash: HASH, id, created_at: 0, disabled: false, roles: [] },
  ]);
  assert.deepEqual([nulls.username, nulls.name, nulls.roles, nulls.created_at, nulls.disabled_at], [null, null, '["user"]', NOW, null]);
  assert.deepEqual([own.id, own.created_at, own.disabled_at, own.roles], [id, 0, null, "[]"]);
});

test("hashes of other systems become the stored form", async () => {
  const [row] = await check([{ ...ada, password_hash: "pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=" }]);
  assert.equal(row.password_hash, "$pbkdf2-sha256$i=12000$c2Vhc2FsdA$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s");
});

const bad = [
  ["{", /EOF/],
  ["[]", /not a JSON object/],
  ["{} x", /missing field `email`/],
  [`${JSON.stringify(ada)} {}`, /trailing/],
  [`{"email":"a@example.org","email":"b@example.org","password_hash":"${HASH}"}`, /duplicate field `email`/],
  [{ ...ada, role: "admin" }, /unknown field `role`/],
  [{ email: "ada@example.org" }, /missing field `password_hash`/],
  [{ ...ada, password_hash: null }, /password_hash|null/],
  [{ ...ada, email: "ada" }, /exactly one @/],
  [{ ...ada, username: "a" }, /username must be/],
  [{ ...ada, username: "ada@example.org" }, /username must be/],
  [{ ...ada, name: "a\nb" }, /name must be/],
  [{ ...ada, name: "a\0b" }, /name must be/],
  [{ ...ada, roles: ["root"] }, /"root" is not a role: ROLES in wrangler.toml has user,admin/],
  [{ ...ada, roles: ["user", "admin", "user"] }, /one of them twice/],
  [{ ...ada, roles: "admin" }, /invalid type/],
  [[null, "a@example.org", null, null, ["admin"], HASH, null, null], /not a JSON object/],
  [{ ...ada, id: "00000000-0000-0000-0000-000000000000" }, /not all zero/],
  [{ ...ada, id: "AAAAAAAAAAAAAAAAAAAAAA" }, /not all zero/],
  [{ ...ada, password_hash: "5f4dcc3b5aa765d61d8327deb882cf99" }, /password_hash: not a password hash of a known form/],
  [{ ...ada, password_hash: "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" }, /too costly/],
  [{ ...ada, password_hash: "$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }, /too costly/],
  [{ ...ada, created_at: NOW * 1000 }, /milliseconds/],
  [{ ...ada, created_at: -1 }, /created_at must be/],
  [{ ...ada, created_at: 1.5 }, /created_at must be/],
  [{ ...ada, created_at: "2024-02-30T00:00:00Z" }, /RFC 3339/],
  [{ ...ada, created_at: "2024-02-01 00:00:00" }, /RFC 3339/],
  [{ ...ada, created_at: "1969-12-31T00:00:00Z" }, /1970/],
  [{ ...ada, disabled: 1 }, /boolean/],
  [{ ...ada, id: "42" }, /id must be/],
  [{ ...ada, id: "00112233-4455-6677-8899-aabbccddeef" }, /id must be/],
  [{ ...ada, id: "001122334455-6677-8899-aabb-ccddeeff" }, /id must be/],
  [{ ...ada, id: "+0112233-4455-6677-8899-aabbccddeeff" }, /id must be/],
  [JSON.stringify({ ...ada, name: "x".repeat(70_000) }), /64 KiB/],
];

test("a line that cannot be taken says why, by its number, and the others go on", async () => {
  const good = (n) => ({ email: `good-${n}@example.org`, password_hash: HASH });
  const answers = await check([good(0), ...bad.map(([line]) => line), good(1)]);
  assert.equal(answers.length, bad.length + 3);
  for (const [index, [line, why]] of bad.entries()) {
    const { line: number, error } = answers[index + 1];
    assert.equal(number, index + 2);
    assert.match(error, why, JSON.stringify(line).slice(0, 200));
    assert.doesNotMatch(error, /\bline 1\b/);
  }
  assert.deepEqual([answers.at(-2).email, answers.at(-2).line], ["good-1@example.org", bad.length + 2]);
});

test("what is not UTF-8 is an error of its line alone", async () => {
  const input = Buffer.concat([Buffer.from('{"email":"\xff@example.org"}\n', "latin1"), Buffer.from(JSON.stringify(ada))]);
  const { stdout } = await rules(["check-users", "--roles", "user,admin", "--now", "1"], { input });
  const [error, row] = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(error, { line: 1, error: "not UTF-8" });
  assert.equal(row.line, 2);
});

test("no two lines share an id, an address or a username, in any spelling", async () => {
  const id = randomUUID();
  const user = (n, more) => ({ email: `u${n}@example.org`, password_hash: HASH, ...more });
  const answers = await check([
    user(1, { id, username: "one" }),
    user(2, { id: id.toUpperCase() }),
    user(3, { id: Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url") }),
    user(4, { email: "U1@EXAMPLE.org" }),
    user(5, { username: "ONE" }),
    // An id is no username.
    user(6, { id: "abcdefghijklmnopqrstug" }),
    user(7, { username: "abcdefghijklmnopqrstug" }),
  ]);
  assert.deepEqual(answers.map(({ error }) => error), [
    undefined,
    "the id is that of line 1",
    "the id is that of line 1",
    "the e-mail address is that of line 1",
    "the username is that of line 1",
    undefined,
    undefined,
    undefined,
  ]);
});

test("empty lines count, a byte order mark does not, line ends may be those of Windows", async () => {
  const answers = await check(`\ufeff${JSON.stringify(ada)}\r\n\r\n  \n${JSON.stringify({ ...ada, email: "b@example.org" })}\r\n`);
  assert.deepEqual(answers.map(({ line }) => line), [1, 4, undefined]);
  assert.deepEqual(answers.at(-1), { users: 2 });
  assert.deepEqual(await check(""), [{ users: 0 }]);
});

test("ROLES must be names", async () => {
  for (const list of ["", "user,", "user,Admin", "user,1st", "us er", 'user,"x"']) {
    const { code, stderr } = await rules(["check-role", "--roles", list, "user"]);
    assert.equal(code, 1, list);
    assert.match(stderr, /^ROLES in wrangler.toml must/);
  }
  assert.equal((await rules(["check-role", "--roles", "user, support-2nd_line, admin", "support-2nd_line"])).code, 0);
  assert.match((await rules(["check-role", "--roles", "user,admin", "Admin"])).stderr, /"Admin" is not a role/);
});

test("an address has a key, or says what is wrong with it", async () => {
  assert.equal((await rules(["email-key", " Ada@Example.ORG"])).stdout, "ada@example.org\n");
  const { code, stdout, stderr } = await rules(["email-key", "ada"]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /exactly one @/);
});

test("wrong arguments are 2", async () => {
  for (const args of [[], ["email-key"], ["check-users"], ["check-users", "--roles", "user,admin", "--now", "soon"], ["check-users", "--roles", "user,admin", "--now", "1", "--after", "2"]]) assert.equal((await rules(args)).code, 2);
});
