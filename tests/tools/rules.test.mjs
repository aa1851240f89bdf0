// crates/rules, which applies the rules of the Worker to imported users, addresses and roles.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { test } from "node:test";

import { Failure } from "../../packages/portcullis/src/failure.mjs";
import { checkRole, emailKey, userChecker } from "../../packages/portcullis/src/rules.mjs";

const NOW = 1_800_000_000;
const HASH = "$pbkdf2-sha256$i=1000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ada = { email: "ada@example.org", password_hash: HASH };

const OPTIONS = {
  roles: "user,admin",
  now: NOW,
  cpu_ms: 500,
  memory_kib: 7168,
  iterations: 5,
  slot_key: "5c".repeat(32),
};

/** The slot of an address with the key in OPTIONS. */
function slotOf(email) {
  const tag = createHmac("sha256", OPTIONS.slot_key).update("portcullis slot v1").update(email).digest();
  return tag.readUInt16BE() >> 4;
}

/** The results for the lines of a file, given as bytes, text or objects, in pieces of that size. */
async function check(lines, changes = {}, size = 65_536) {
  const text = (line) => (typeof line === "string" ? line : JSON.stringify(line));
  const input = Buffer.from(Array.isArray(lines) ? lines.map(text).join("\n") : lines);
  const checker = await userChecker({ ...OPTIONS, ...changes });
  const results = [];
  for (let from = 0; from < input.length; from += size)
    results.push(...checker.check(input.subarray(from, from + size)));
  return [...results, ...checker.end()];
}

test("a user with only the required members gets defaults for the rest", async () => {
  const [{ id, ...row }, end] = await check([ada]);
  assert.match(id, /^[\w-]{22}$/);
  assert.deepEqual(row, {
    line: 1,
    email: "ada@example.org",
    email_key: "ada@example.org",
    email_verified_at: null,
    username: null,
    username_key: null,
    name: null,
    given_name: null,
    family_name: null,
    metadata: null,
    app_metadata: null,
    password_hash: HASH,
    roles: '["user"]',
    created_at: NOW,
    disabled_at: null,
    slot: slotOf("ada@example.org"),
  });
  assert.deepEqual(end, { users: 1, admins: 0, without_password: 0, weak: { "PBKDF2-SHA256": 1 } });
  const [again] = await check([ada]);
  assert.notEqual(again.id, id);
});

test("every member is normalised as at registration", async () => {
  const uuid = "00112233-4455-6677-8899-AABBCCDDEEFF";
  const [row] = await check(
    [
      {
        ...ada,
        id: uuid,
        email: " Ada@B\u00dcCHER.example\n",
        email_verified: true,
        username: "Ada-L",
        name: " Jose\u0301 ",
        given_name: " Jose\u0301",
        family_name: "Lo\u0301pez",
        metadata: { theme: "dark" },
        app_metadata: { plan: ["pro"] },
        roles: ["admin", "user"],
        created_at: "2024-02-29T12:00:00.123+02:00",
        disabled: true,
      },
    ],
    { allow_admins: true },
  );
  assert.deepEqual(row, {
    line: 1,
    id: Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url"),
    email: "Ada@B\u00dcCHER.example",
    email_key: "ada@xn--bcher-kva.example",
    email_verified_at: NOW,
    username: "Ada-L",
    username_key: "ada-l",
    name: "Jos\u00e9",
    given_name: "Jos\u00e9",
    family_name: "L\u00f3pez",
    metadata: '{"theme":"dark"}',
    app_metadata: '{"plan":["pro"]}',
    password_hash: HASH,
    roles: '["user","admin"]',
    created_at: Date.parse("2024-02-29T10:00:00Z") / 1000,
    disabled_at: NOW,
    slot: slotOf("ada@xn--bcher-kva.example"),
  });
});

test("null is the same as an omitted member, and an id in either form is kept", async () => {
  const id = Buffer.alloc(16, 0xfb).toString("base64url");
  const [nulls, own] = await check([
    {
      ...ada,
      id: null,
      email_verified: null,
      username: null,
      name: null,
      given_name: null,
      family_name: null,
      metadata: null,
      app_metadata: null,
      roles: null,
      created_at: null,
      disabled: null,
    },
    {
      email: "b@example.org",
      password_hash: HASH,
      id,
      created_at: 0,
      email_verified: false,
      disabled: false,
      roles: [],
    },
  ]);
  assert.deepEqual(
    [nulls.username, nulls.name, nulls.roles, nulls.created_at, nulls.email_verified_at, nulls.disabled_at],
    [null, null, '["user"]', NOW, null, null],
  );
  assert.deepEqual(
    [own.id, own.created_at, own.email_verified_at, own.disabled_at, own.roles],
    [id, 0, null, null, "[]"],
  );
});

test("hashes of other systems are converted to the stored form", async () => {
  const [row] = await check([
    { ...ada, password_hash: "pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=" },
  ]);
  assert.equal(row.password_hash, "$pbkdf2-sha256$i=12000$c2Vhc2FsdA$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s");
});

test("imported Argon2 hashes are marked as such, even if they do not come from Django", async () => {
  const phc = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const answers = await check(
    [phc, `argon2${phc}`].map((password_hash, n) => ({ email: `${n}@example.org`, password_hash })),
  );
  assert.deepEqual(
    answers.map(({ password_hash }) => password_hash),
    [`argon2${phc}`, `argon2${phc}`, undefined],
  );
});

const bcrypt = (cost) => `$2b$${cost}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW`;

test("a hash that is too expensive to verify in a request is refused, and the error names the setting", async () => {
  const checkCost = (password_hash, cpuMs) => check([{ ...ada, password_hash }], { cpu_ms: cpuMs });
  const [{ error }] = await checkCost(bcrypt(13), 500);
  const [, about, needed] = error.match(
    /^password_hash: verifying it takes about (\d+) ms of CPU time, but cpu_ms in wrangler.toml is 500: set it to at least (\d+) while such hashes exist$/,
  );
  // With the suggested setting the hash is accepted; a cheaper hash is accepted with the original setting.
  assert.ok(Number(about) > 500 && Number(needed) >= Number(about) && Number(needed) % 100 === 0, error);
  assert.equal((await checkCost(bcrypt(13), Number(needed)))[0].password_hash, bcrypt(13));
  assert.equal((await checkCost(bcrypt(10), 500))[0].password_hash, bcrypt(10));
  assert.match((await checkCost(bcrypt(10), 100))[0].error, /is 100: set it to at least \d00 /);
  // The cost of the new hash counts too: with the most expensive parameters, the same hash is refused.
  const [cheap, expensive] = await Promise.all(
    [
      [7168, 5],
      [65_536, 16],
    ].map(([memory_kib, iterations]) =>
      check([{ ...ada, password_hash: bcrypt(10) }], { memory_kib, iterations, cpu_ms: 400 }),
    ),
  );
  assert.deepEqual([cheap[0].password_hash, expensive[0].password_hash], [bcrypt(10), undefined]);
});

test("weak hashes are counted by kind, and wrapped with --wrap-weak", async () => {
  const users = [bcrypt("09"), bcrypt("09"), bcrypt(10), HASH].map((password_hash, n) => ({
    email: `${n}@example.org`,
    password_hash,
  }));
  const plain = await check(users);
  assert.deepEqual(plain.at(-1), { users: 4, admins: 0, without_password: 0, weak: { bcrypt: 2, "PBKDF2-SHA256": 1 } });
  assert.deepEqual(
    plain.slice(0, 4).map(({ password_hash }) => password_hash),
    users.map(({ password_hash }) => password_hash),
  );

  const wrapped = await check(users, { wrap_weak: true });
  assert.deepEqual(wrapped.at(-1), plain.at(-1));
  const outer = "\\$argon2id\\$v=19\\$m=7168,t=5,p=1\\$[\\w+/]{22}\\$[\\w+/]{43}$";
  const hashes = wrapped.slice(0, 4).map(({ password_hash }) => password_hash);
  assert.match(hashes[0], new RegExp(`^\\$wrapped\\$2b\\$09\\$CCCCCCCCCCCCCCCCCCCCC\\.\\$23${outer}`));
  assert.match(hashes[3], new RegExp(`^\\$wrapped\\$pbkdf2-sha256\\$i=1000\\$c2FsdA\\$32${outer}`));
  assert.equal(hashes[2], bcrypt(10));
  // Each wrapped hash has its own salt, and none is wrapped twice.
  assert.notEqual(hashes[0], hashes[1]);
  const again = await check(
    hashes.map((password_hash, n) => ({ email: `${n}@example.org`, password_hash })),
    { wrap_weak: true },
  );
  assert.deepEqual(
    again.slice(0, 4).map(({ password_hash }) => password_hash),
    hashes,
  );
  assert.deepEqual(again.at(-1).weak, {});
  // The outer hash counts towards the cost too.
  assert.match(
    (await check([{ ...ada, password_hash: HASH }], { wrap_weak: true, cpu_ms: 30 }))[0].error,
    /verifying it takes/,
  );
  assert.equal((await check([{ ...ada, password_hash: HASH }], { cpu_ms: 30 }))[0].password_hash, HASH);
});

test("an account without a password needs an explicit null, and is counted", async () => {
  const [row, end] = await check([{ ...ada, password_hash: null }], { wrap_weak: true });
  assert.equal(row.password_hash, null);
  assert.deepEqual(end, { users: 1, admins: 0, without_password: 1, weak: {} });
});

test("admins are accepted only with --allow-admins, and counted", async () => {
  const users = [["user"], ["user", "admin"], ["admin"]].map((roles, n) => ({
    email: `${n}@example.org`,
    password_hash: HASH,
    roles,
  }));
  const refused = await check(users);
  assert.deepEqual(
    refused.map(({ error }) => error),
    [undefined, 'roles: "admin" requires --allow-admins', 'roles: "admin" requires --allow-admins', undefined],
  );
  assert.equal(refused.at(-1).admins, 0);
  const accepted = await check(users, { allow_admins: true });
  assert.deepEqual(
    accepted.slice(0, 3).map(({ roles }) => roles),
    ['["user"]', '["user","admin"]', '["admin"]'],
  );
  assert.equal(accepted.at(-1).admins, 2);
});

/** A value of each JSON type, and the name of the type in the error. */
const KINDS = {
  null: "null",
  true: "true",
  false: "false",
  1: "a number",
  '"x"': "text",
  "[]": "an array",
  "{}": "an object",
};
const WANTED = {
  id: ["text", /null|"x"/],
  email: ["text", /"x"/],
  username: ["text", /null|"x"/],
  name: ["text", /null|"x"/],
  roles: ["an array of text", /null|\[\]/],
  password_hash: ["text", /null|"x"/],
  created_at: ["unix seconds or an RFC 3339 time as text", /null|1|"x"/],
  email_verified: ["true or false", /null|true|false/],
  disabled: ["true or false", /null|true|false/],
};

test("a member of a wrong type is reported with its expected and its actual type", async () => {
  const cases = Object.entries(WANTED).flatMap(([member, [wanted, fits]]) =>
    Object.entries(KINDS)
      .filter(([json]) => !fits.test(json))
      .map(([json, found]) => [member, json, `${member}: expected ${wanted}, found ${found}`]),
  );
  assert.equal(cases.length, 9 * 7 - 20);
  const lines = cases.map(([member, json]) => JSON.stringify({ ...ada, [member]: "?" }).replace('"?"', json));
  const answers = await check(lines.join("\n"));
  assert.deepEqual(
    answers.slice(0, -1).map(({ error }) => error),
    cases.map(([, , error]) => error),
  );
});

const bad = [
  ["{", /EOF/],
  ["[]", /^not a JSON object$/],
  ["{} x", /missing field `email`/],
  [`${JSON.stringify(ada)} {}`, /trailing/],
  [`{"email":"a@example.org","email":"b@example.org","password_hash":"${HASH}"}`, /duplicate field `email`/],
  [{ ...ada, role: "admin" }, /^role: unknown field `role`/],
  [{ ...ada, "a\u001b[2J\u202e\u2028\u0007b": 1 }, /^a\\u\{1b\}\[2J\\u\{202e\}\\u\{2028\}\\u\{7\}b: unknown field/],
  [{ ...ada, ["x".repeat(5000)]: 1 }, /^x{400}…$/],
  [{ email: "ada@example.org" }, /missing field `password_hash`/],
  [{ ...ada, email: "ada" }, /^email: .*exactly one @/],
  [{ ...ada, username: "a" }, /^username: .*must be/],
  [{ ...ada, username: "ada@example.org" }, /^username: .*must be/],
  [{ ...ada, name: "a\nb" }, /^name: .*must be/],
  [{ ...ada, name: "a\0b" }, /^name: .*must be/],
  [{ ...ada, roles: ["root"] }, /^roles: "root" is not a role: ROLES in wrangler.toml has user,admin$/],
  [{ ...ada, roles: ["\u001b]0;owned\u0007"] }, /^roles: "\\u\{1b\}\]0;owned\\u\{7\}" is not a role/],
  [{ ...ada, roles: ["user", "user"] }, /^roles: a role is repeated$/],
  [{ ...ada, roles: ["user", 1] }, /^roles: expected an array of text, found a number in it$/],
  [{ ...ada, roles: [["user"]] }, /^roles: expected an array of text, found an array in it$/],
  [[null, "a@example.org", null, null, ["admin"], HASH, null, null], /^not a JSON object$/],
  [{ ...ada, id: "00000000-0000-0000-0000-000000000000" }, /^id: .*not all zero/],
  [{ ...ada, id: "AAAAAAAAAAAAAAAAAAAAAA" }, /^id: .*not all zero/],
  [
    { ...ada, password_hash: "5f4dcc3b5aa765d61d8327deb882cf99" },
    /^password_hash: not a password hash of a known format/,
  ],
  [{ ...ada, password_hash: `$wp${bcrypt(10)}` }, /^password_hash: .*WordPress 6.8/],
  [{ ...ada, password_hash: bcrypt(15) }, /^password_hash: .*too costly/],
  [
    {
      ...ada,
      password_hash: "$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    },
    /^password_hash: .*too costly/,
  ],
  [{ ...ada, created_at: NOW * 1000 }, /^created_at: .*milliseconds/],
  [{ ...ada, created_at: -1 }, /^created_at: expected unix seconds .*, found -1$/],
  [{ ...ada, created_at: 1.5 }, /^created_at: expected unix seconds .*, found 1.5$/],
  [{ ...ada, created_at: "2024-02-30T00:00:00Z" }, /^created_at: .*RFC 3339/],
  [{ ...ada, created_at: "2024-02-01 00:00:00" }, /^created_at: .*RFC 3339/],
  [{ ...ada, created_at: "1969-12-31T00:00:00Z" }, /^created_at: before 1970$/],
  [{ ...ada, id: "42" }, /^id: must be/],
  [{ ...ada, id: "00112233-4455-6677-8899-aabbccddeef" }, /^id: must be/],
  [{ ...ada, id: "001122334455-6677-8899-aabb-ccddeeff" }, /^id: must be/],
  [{ ...ada, id: "+0112233-4455-6677-8899-aabbccddeeff" }, /^id: must be/],
  [JSON.stringify({ ...ada, name: "x".repeat(70_000) }), /64 KiB/],
];

test("an invalid line is reported with its number and the reason, and does not affect the other lines", async () => {
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

test("invalid UTF-8 is an error of its line only", async () => {
  const input = Buffer.concat([
    Buffer.from('{"email":"\xff@example.org"}\n', "latin1"),
    Buffer.from(JSON.stringify(ada)),
  ]);
  const [error, row] = await check(input);
  assert.deepEqual(error, { line: 1, error: "not UTF-8" });
  assert.equal(row.line, 2);
});

test("two lines must not share an id, an address or a username, in any spelling", async () => {
  const id = randomUUID();
  const user = (n, more) => ({ email: `u${n}@example.org`, password_hash: HASH, ...more });
  const answers = await check([
    user(1, { id, username: "one" }),
    user(2, { id: id.toUpperCase() }),
    user(3, { id: Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url") }),
    user(4, { email: "U1@EXAMPLE.org" }),
    user(5, { username: "ONE" }),
    // An id and a username may be equal.
    user(6, { id: "abcdefghijklmnopqrstug" }),
    user(7, { username: "abcdefghijklmnopqrstug" }),
  ]);
  assert.deepEqual(
    answers.map(({ error }) => error),
    [
      undefined,
      "the id is the same as in line 1",
      "the id is the same as in line 1",
      "the e-mail address is the same as in line 1",
      "the username is the same as in line 1",
      undefined,
      undefined,
      undefined,
    ],
  );
});

test("empty lines are counted, a byte order mark is ignored, and lines may end in CRLF", async () => {
  const answers = await check(
    `\ufeff${JSON.stringify(ada)}\r\n\r\n  \n${JSON.stringify({ ...ada, email: "b@example.org" })}\r\n`,
  );
  assert.deepEqual(
    answers.map(({ line }) => line),
    [1, 4, undefined],
  );
  assert.equal(answers.at(-1).users, 2);
  assert.deepEqual(await check(""), [{ users: 0, admins: 0, without_password: 0, weak: {} }]);
});

test("ROLES must be valid names", async () => {
  for (const list of ["", "user,", "user,Admin", "user,1st", "us er", 'user,"x"'])
    await assert.rejects(checkRole("user", list), /^Error: ROLES in wrangler.toml must/);
  await checkRole("support-2nd_line", "user, support-2nd_line, admin");
  await assert.rejects(checkRole("Admin", "user,admin"), /^Error: "Admin" is not a role/);
});

test("the key of an address is that by which the Worker compares it, or the error says why there is none", async () => {
  assert.equal(await emailKey(" Ada@Example.ORG"), "ada@example.org");
  await assert.rejects(emailKey("ada"), (error) => error instanceof Failure && /exactly one @/.test(error.message));
});

test("a file gives the same results in pieces of any size, in the order of its lines", async () => {
  const lines = Array.from({ length: 300 }, (_, n) => ({
    id: randomUUID(),
    email: `\u00e4${n}@example.org`,
    password_hash: n % 7 === 0 ? "none" : HASH,
  }));
  const whole = await check(lines);
  assert.deepEqual(
    whole.slice(0, -1).map(({ line, email, error }) => (error === undefined ? `${line} ${email}` : `${line}`)),
    lines.map(({ email }, n) => (n % 7 === 0 ? `${n + 1}` : `${n + 1} ${email}`)),
  );
  for (const size of [1, 7, 1000]) assert.deepEqual(await check(lines, {}, size), whole);
});

test("the current Argon2 parameters must be ones that the Worker accepts", async () => {
  for (const [memory_kib, iterations] of [
    [7168, 4],
    [64, 1],
    [4_294_967_295, 1],
  ])
    await assert.rejects(userChecker({ ...OPTIONS, memory_kib, iterations }), /^Error: ARGON2_MEMORY_KIB/);
});

test("invalid options are refused", async () => {
  const cases = [{ slot_key: "5c" }, { now: "soon" }, { cpu_ms: -1 }, { iterations: 1.5 }, { after: 2 }];
  for (const changes of cases)
    await assert.rejects(userChecker({ ...OPTIONS, ...changes }), Failure, JSON.stringify(changes));
});
