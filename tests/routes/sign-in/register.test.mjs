// POST /register: accepted requests, every refusal, and that a refusal stores nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { assertProblem, PASSWORD, startWorker } from "../../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const JSON_TYPE = { "Content-Type": "application/json" };
/** The required members of a new account. */
const fresh = (() => {
  let count = 0;
  return () => ({ email: `fresh-${++count}@example.org`, password: PASSWORD });
})();

/** Sends a request that must be refused, and asserts that nothing was stored. */
async function assertRefused(request, status, code) {
  const before = await worker.counts();
  const answer = await worker.post("/register", request);
  assertProblem(answer, status, code);
  assert.deepEqual(await worker.counts(), before);
  return answer.body.detail;
}

async function assertInvalid(body) {
  return assertRefused({ body, headers: JSON_TYPE }, 400, "invalid_request");
}

test("a new user is signed in at once, and the data is stored as entered", async () => {
  const json = {
    email: "  Ada.Lovelace+x@Example.ORG ",
    password: PASSWORD,
    username: "Ada.L-1_x",
    name: " Jose\u0301 \u{1f680} ",
  };
  worker.events();
  const { status, headers, body } = await worker.post("/register", { json });
  assert.equal(status, 201);
  assert.equal(headers.get("content-type"), "application/json");
  assert.equal(headers.get("cache-control"), "no-store");
  assert.equal(headers.get("pragma"), "no-cache");

  const { access_token, refresh_token, session_id, device_token, user, ...rest } = body;
  assert.match(device_token, /^pcdt_[\w-]{80}$/);
  assert.deepEqual(rest, { token_type: "Bearer", expires_in: 900, refresh_expires_in: 604800 });
  const { id, created_at, ...profile } = user;
  assert.deepEqual(profile, {
    email: "Ada.Lovelace+x@Example.ORG",
    email_verified: false,
    username: "Ada.L-1_x",
    name: "Jos\u00e9 \u{1f680}",
    given_name: null,
    family_name: null,
    metadata: null,
    app_metadata: null,
    roles: ["user"],
  });
  for (const made of [id, session_id]) assert.match(made, /^[\w-]{22}$/);

  const { sub, sid, iat, roles } = decodeJwt(access_token);
  assert.deepEqual({ sub, sid, iat, roles }, { sub: id, sid: session_id, iat: created_at, roles: ["user"] });
  assert.deepEqual((await worker.me(access_token)).body, user);
  assert.equal((await worker.refresh(refresh_token)).status, 200);

  const [{ request_id, ...event }] = worker.events("registered");
  assert.equal(request_id, headers.get("x-request-id"));
  assert.deepEqual(event, { level: "info", event: "registered", user_id: id, session_id });
});

test("username and name may be null, which is the same as omitting them", async () => {
  const { status, body } = await worker.post("/register", { json: { ...fresh(), username: null, name: null } });
  assert.deepEqual([status, body.user.username, body.user.name], [201, null, null]);
});

test("username and name are optional, and null if omitted", async () => {
  const { user } = await worker.register();
  assert.deepEqual([user.username, user.name, user.roles], [null, null, ["user"]]);
});

test("a taken address is refused in every equivalent spelling", async () => {
  await worker.register({ email: "jos\u00e9.k@example.org" });
  for (const email of [
    "jos\u00e9.k@example.org",
    "JOS\u00c9.K@EXAMPLE.ORG",
    "Jos\u00e9.k@Example.Org",
    " jos\u00e9.k@example.org\t\n",
    "\u3000jos\u00e9.k@example.org\u00a0",
    "jose\u0301.k@example.org",
    "JOSE\u0301.\u212a@example.org", // KELVIN SIGN, which is canonically K
  ]) {
    await assertRefused({ json: { email, password: PASSWORD } }, 409, "email_taken");
  }
});

test("an address in any case, in any script, is one account", async () => {
  const unique = fresh().email.split("@")[0];
  for (const [registered, ...others] of [
    // A final sigma: lowercasing gives it only at the end of a word.
    [
      "\u03b3\u03b9\u03c9\u03c1\u03b3\u03bf\u03c2",
      "\u0393\u0399\u03a9\u03a1\u0393\u039f\u03a3",
      "\u0393\u03b9\u03c9\u03c1\u03b3\u03bf\u03c3",
    ],
    ["stra\u00dfe", "STRASSE", "Stra\u1e9ee", "strasse"],
    ["\u0130stanbul", "i\u0307STANBUL"],
  ]) {
    const address = (local) => `${unique}.${local}@example.gr`;
    const user = await worker.register({ email: address(registered) });
    assert.equal(user.user.email, address(registered));
    for (const other of others) {
      await assertRefused({ json: { email: address(other), password: PASSWORD } }, 409, "email_taken");
      const { status, body } = await worker.login({ email: address(other), password: user.password });
      assert.equal(status, 200);
      assert.equal(body.user.email, address(registered));
    }
  }
});

test("an address that only resembles a taken one is another address", async () => {
  await worker.register({ email: "kai@example.org" });
  for (const email of [
    "kai+1@example.org",
    "k.ai@example.org",
    "k\u0430i@example.org",
    "k\uff41i@example.org",
    "ka\u0131@example.org",
    "kai@example.com",
  ]) {
    assert.equal((await worker.register({ email })).user.email, email);
  }
});

test("a taken username is refused in every case", async () => {
  await worker.register({ username: "Grace.H" });
  for (const username of ["Grace.H", "grace.h", "GRACE.H"]) {
    await assertRefused({ json: { ...fresh(), username } }, 409, "username_taken");
  }
  await worker.register({ username: "grace-h" });
});

test("a reserved username is refused, in any case and with any separators", async () => {
  const reserved = [
    "admin",
    "Administrator",
    "ROOT",
    "support",
    "postmaster",
    "hostmaster",
    "webmaster",
    "abuse",
    "noreply",
    "no-reply",
    "No_Reply",
    "security",
    "system",
    "help",
    "info",
    "m.e",
    "api",
    "www",
    "ad.min",
    "a-d_m.i-n",
  ];
  for (const username of reserved) {
    const detail = await assertRefused({ json: { ...fresh(), username } }, 422, "username_reserved");
    assert.equal(detail, "The username is reserved. Choose another.");
  }
  for (const username of ["admin1", "the-admin", "supporter", "me.too"]) await worker.register({ username });
});

test("an invalid address is refused with the rule that it breaks", async () => {
  const label = "d".repeat(63);
  const domain = `${label}.${label}.${"d".repeat(61)}`;
  const table = {
    "exactly one @": ["", "   ", "ada", "a@b@example.org", "ada\uff20example.org", "@@"],
    "before the @": [
      "@example.org",
      ".a@example.org",
      "a.@example.org",
      "a..b@example.org",
      "a b@example.org",
      "a\0b@example.org",
      "a\r\nBcc: b@example.org",
      '"a"@example.org',
      "a(c)@example.org",
      "Ada <a@example.org",
      "a,b@example.org",
      "a\u200bb@example.org",
      "\u202ea@example.org",
      "a\\b@example.org",
      "a;b@example.org",
      "\ufeffa@example.org",
      `${"l".repeat(65)}@example.org`,
    ],
    "after the @": [
      "a@",
      "a@example",
      "a@.org",
      "a@example.org.",
      "a@example..org",
      "a@-example.org",
      "a@example-.org",
      "a@[127.0.0.1]",
      "a@[IPv6:::1]",
      "a@exam ple.org",
      "a@example.org>",
      "a@ex_ample.org",
      "a@example.org(c)",
      "a@exa\u200dmple.org",
      "a@example.org\0",
      `a@d${label}.org`,
    ],
    "254 bytes": [`${"l".repeat(64)}@${domain}d`, `a@${"d.".repeat(5000)}org`],
  };
  for (const [reason, addresses] of Object.entries(table)) {
    for (const email of addresses) {
      const detail = await assertRefused({ json: { email, password: PASSWORD } }, 422, "invalid_email");
      assert.ok(detail.includes(reason), `${JSON.stringify(email)}: ${detail}`);
    }
  }
  await worker.register({ email: `${"l".repeat(64)}@${domain}` });
});

test("an invalid username or name is refused with its rule", async () => {
  const bad = {
    username: [
      "",
      "ab",
      "a".repeat(33),
      "_ab",
      "ab-",
      ".ab",
      "a b c",
      "ada@example.org",
      "\u00e4da",
      "ad\u0430",
      "ada\n",
      " ada",
      "a\0da",
      "ada'--",
    ],
    name: ["", "   ", "a\nb", "a\0b", "a\u0007b", "a\u0085b", "n".repeat(201), "\u{1f600}".repeat(201)],
  };
  const reasons = { username: "3 to 32 ASCII letters", name: "1 to 200 characters" };
  for (const [member, values] of Object.entries(bad)) {
    for (const value of values) {
      const detail = await assertRefused({ json: { ...fresh(), [member]: value } }, 422, `invalid_${member}`);
      assert.ok(detail.includes(reasons[member]), detail);
    }
  }
  await worker.register({ username: "abc", name: "\u{1f600}".repeat(200) });
  await worker.register({ username: "a".repeat(32), name: "\u05d0\u05d3\u05d4 \u00e9\u4f60\u597d" });
});

/** A password of this length in bytes that no rule refuses as a pattern. */
const longPassword = (bytes) => `${"correct horse battery staple ".repeat(40).slice(0, bytes - 1)}x`;

test("an invalid password is refused with the reason", async () => {
  const mine = { email: "Only.Myself@example.org", username: "only-myself-here", name: "Only Myself Herself" };
  const table = {
    password_too_short: [
      "",
      "x",
      "fourteen chars",
      "fourteen chare\u0301",
      "\u{1f600}\u{1f680}\u{1f98a}\u{1f9e1}\u{1f40d}\u{1f422}\u{1f433}",
    ],
    password_too_long: [longPassword(1025), `${"\u{1f600}\u{1f680}".repeat(128)}x`, "x".repeat(8000)],
    password_too_common: [
      "qwertyuiop12345",
      "QwertyUIOP12345",
      "passwordpassword",
      "123456789012345",
      "987654321098765",
      "abcdefghijklmno",
      "aaaaaaaaaaaaaaa",
      " ".repeat(15),
      "abcabcabcabcabca",
      "\u{1f600}".repeat(64),
      "only.myself@example.org",
      "ONLY.MYSELF@EXAMPLE.ORG",
      "only-myself-here",
      "ONLY-myself-HERE",
      "only myself herself",
      "Only.MyselfOnly.Myself",
      "30secondstomars",
      "2222333344445555",
      "qazwsxedcrfvtgbyhn",
      "cristianoronaldo",
      "CristianoRonaldo",
      "30secondstomars!",
    ],
  };
  const reasons = {
    password_too_short: "at least 15 characters",
    password_too_long: "at most 1024 bytes",
    password_too_common: "too easy to guess",
  };
  for (const [code, passwords] of Object.entries(table)) {
    for (const password of passwords) {
      const detail = await assertRefused({ json: { ...mine, password } }, 422, code);
      assert.ok(detail.includes(reasons[code]), `${JSON.stringify(password)}: ${detail}`);
    }
  }
  // The lower case of a sigma depends on the characters around it.
  const name =
    "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3 \u039f \u0399\u0398\u0391\u039a\u0397\u03a3\u0399\u039f\u03a3";
  await assertRefused({ json: { ...fresh(), name, password: name } }, 422, "password_too_common");
});

test("any other password is accepted, and every character of it counts", async () => {
  const emoji = Array.from({ length: 64 }, (_, index) => String.fromCodePoint(0x1f600 + ((index * 7) % 79))).join("");
  for (const [password, ...others] of [
    ["fifteen chars !", "fifteen chars !!"],
    [emoji, emoji.slice(2), emoji.slice(0, -2)],
    [
      "  spaces at both ends  ",
      "spaces at both ends",
      "  spaces at both ends",
      "spaces at both ends  ",
      "  spaces at both ends ",
    ],
    ["with\0nul inside it", "with", "with\0", "withnul inside it", "with\0nul inside i"],
    ["tabs\tand\nnew\r\nlines", "tabs\tand\nnew\nlines", "tabs and\nnew\r\nlines"],
    ["\u05d0\u05d1\u05d2 right to left \u202e", "\u05d0\u05d1\u05d2 right to left "],
    [longPassword(1024), longPassword(1023), `${longPassword(1024).slice(0, -1)}y`],
  ]) {
    const user = await worker.register({ password });
    assert.equal((await worker.login(user)).status, 200, JSON.stringify(password));
    for (const other of others) {
      assertProblem(await worker.login({ ...user, password: other }), 401, "invalid_credentials");
    }
  }
});

test("unknown members are refused at any level, so that a user cannot set their own roles", async () => {
  const evil = {
    role: "admin",
    roles: ["admin"],
    is_admin: true,
    admin: 1,
    isAdmin: true,
    permissions: ["*"],
    scope: "admin",
    id: "AAAAAAAAAAAAAAAAAAAAAA",
    user_id: "x",
    sub: "x",
    created_at: 0,
    email_verified: true,
    email_key: "x",
    username_key: "x",
    password_hash: "x",
    credentials_version: 9,
    disabled_at: null,
    session_id: "x",
    expires_in: 1e9,
    client_id: "x",
    Email: "x@example.org",
    "email ": "x@example.org",
    "": "x",
  };
  for (const [member, value] of Object.entries(evil)) {
    for (const json of [
      { ...fresh(), [member]: value },
      { ...fresh(), user: { [member]: value } },
      { ...fresh(), name: { [member]: value } },
    ]) {
      await assertRefused({ json }, 400, "invalid_request");
    }
  }
  // As text, because in an object literal they are not ordinary members.
  for (const member of ["__proto__", "constructor", "prototype"]) {
    await assertInvalid(`{"email":"evil@example.org","password":"${PASSWORD}","${member}":{"roles":["admin"]}}`);
  }
  const detail = await assertRefused({ json: { ...fresh(), "<script>`, expected `": 1 } }, 400, "invalid_request");
  assert.match(
    detail,
    /^A member is unknown\. The allowed members are: email, password, username, name, given_name, family_name, metadata, transport, remember, turnstile_token\.$/,
  );

  const { status, body } = await worker.post("/register?role=admin&roles[]=admin&email=evil@example.org", {
    json: fresh(),
  });
  assert.equal(status, 201);
  assert.deepEqual(body.user.roles, ["user"]);
});

test("a member of another type is refused and never converted", async () => {
  const good = { email: "types@example.org", password: PASSWORD, username: "types", name: "Types" };
  const wrong = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e999",
    "[]",
    '["types@example.org"]',
    "{}",
    '{"$ne":""}',
    '{"$gt":""}',
    "[".repeat(5000),
  ];
  for (const member of Object.keys(good)) {
    // Optional members may be null.
    const refused = ["email", "password"].includes(member) ? wrong : wrong.filter((value) => value !== "null");
    for (const value of refused) {
      const members = Object.entries(good).map(
        ([name, text]) => `"${name}":${name === member ? value : JSON.stringify(text)}`,
      );
      await assertInvalid(`{${members.join(",")}}`);
    }
  }
});

test("a missing member is named in the error", async () => {
  const { email, password } = fresh();
  for (const [json, member] of [
    [{}, "email"],
    [{ password }, "email"],
    [{ email }, "password"],
    [{ username: "someone", password }, "email"],
  ]) {
    assert.equal(await assertRefused({ json }, 400, "invalid_request"), `The member ${member} is missing.`);
  }
});

test("a body that is not exactly one JSON object with unique members is refused", async () => {
  const members = `"email":"strict@example.org","password":"${PASSWORD}"`;
  for (const body of [
    "",
    " ",
    "null",
    "true",
    "1",
    '"text"',
    "[]",
    `[{${members}}]`,
    `["strict@example.org","${PASSWORD}"]`,
    `["strict@example.org","${PASSWORD}",null,null]`,
    `{${members}`,
    `{${members}}}`,
    `{${members}} x`,
    `{${members}}{${members}}`,
    `{${members}}\0`,
    `{${members},}`,
    `{,${members}}`,
    `{${members},"name":NaN}`,
    `{${members},"name":'x'}`,
    `{${members},"name":"\n"}`,
    `{${members},"name":"\\x41"}`,
    `{${members}} // comment`,
    `{/* comment */${members}}`,
    `{${members},name:"x"}`,
    `{${members},"email":"twice@example.org"}`,
    `{${members},"em\\u0061il":"twice@example.org"}`,
    `{${members},"password":"${PASSWORD}"}`,
    `{${members},"name":"a","name":"a"}`,
    `{${members},"name":"\\ud800"}`,
    `{${members},"name":"\\udc00\\ud800"}`,
    `\u{feff}{${members}}`,
    Buffer.from(`{${members},"name":"\xff"}`, "latin1"),
    Buffer.from(`{${members},"name":"\xc0\xae"}`, "latin1"),
    Buffer.from(`{${members},"name":"\xed\xa0\x80"}`, "latin1"), // a surrogate in UTF-8
    Buffer.from(`{${members}}`, "utf16le"),
    "[".repeat(16000),
    '{"a":'.repeat(3000),
    new URLSearchParams(fresh()).toString(),
  ]) {
    await assertInvalid(body);
  }
  // The same members are accepted in one valid object, with white space and escapes.
  const { status } = await worker.post("/register", {
    body: ` \r\n\t{${members} , "n\\u0061me" : "\\ud83d\\ude80" } \n`,
    headers: JSON_TYPE,
  });
  assert.equal(status, 201);
});

test("text with a meaning in SQL, JSON or HTML is stored unchanged", async () => {
  for (const [email, name, password] of [
    ["o'hara@example.org", "Robert'); DROP TABLE users;--", "' OR 1=1; DROP TABLE users;--"],
    ["x'or'1'='1@example.org", 'a"b\\c', '" OR ""="" UNION SELECT *'],
    ["%@example.org", "%", "%%%%%_____%%%%%_LIKE"],
    ["_@example.org", `\${7*7}{{7*7}}<%= 7*7 %>`, "?1 ?2 ?3 :a @b $c NULL"],
    ["null@example.org", "NULL", "\\'; EXEC xp_cmdshell --"],
    ["b@example.org", "<script>alert(1)</script>", '"}],"roles":["admin"]'],
    ["c`d@example.org", '","roles":["admin"],"x":"', "x', roles='[\"admin\"]"],
  ]) {
    const { user } = await worker.register({ email, name, password });
    assert.deepEqual([user.email, user.name, user.roles], [email, name, ["user"]]);
    const login = await worker.login({ email, password });
    assert.deepEqual(login.body.user, user);
    assertProblem(
      await worker.login({ email: email.replace(/[%_]/, "b"), password: "' OR '1'='1' -- is it" }),
      401,
      "invalid_credentials",
    );
  }
});

test("exactly one of fifty concurrent registrations of one address creates an account", async () => {
  const before = await worker.counts();
  const spellings = ["race@example.org", "RACE@example.org", " race@Example.org "];
  const requests = Array.from({ length: 50 }, (_, index) => ({
    json: { email: spellings[index % 3], password: PASSWORD },
  }));
  await assertOneOf(requests, "email_taken", before);
});

test("exactly one of fifty concurrent registrations of one username creates an account", async () => {
  const before = await worker.counts();
  const requests = Array.from({ length: 50 }, (_, index) => ({
    json: { ...fresh(), username: index % 2 ? "racer" : "Racer" },
  }));
  await assertOneOf(requests, "username_taken", before);
});

async function assertOneOf(requests, code, before) {
  const answers = await Promise.all(requests.map((request) => worker.post("/register", request)));
  const [made, ...others] = answers.sort((a, b) => a.status - b.status);
  assert.equal(made.status, 201);
  for (const other of others) assert.ok(["too_many_requests", code].includes(other.body.code), other.text);
  assert.ok(others.some(({ body }) => body.code === code));
  assert.deepEqual(await worker.counts(), { users: before.users + 1, sessions: before.sessions + 1 });
  assert.equal((await worker.refresh(made.body.refresh_token)).status, 200);
}

// Concurrent requests rarely overlap between the check and the insert, so a trigger inserts the rival at that point.
test("a registration whose address or username is taken between check and insert gets the same refusal, and stores nothing", async () => {
  const columns =
    "id, email, email_key, username, username_key, name, password_hash, credentials_version, slot, roles, created_at";
  for (const [code, ...keys] of [
    ["email_taken", "NEW.email_key", "'rival'"],
    ["username_taken", "'rival@example.org'", "NEW.username_key"],
  ]) {
    const rival = `INSERT INTO users (${columns}) VALUES ('rival', '', ${keys[0]}, '', ${keys[1]}, '', '', 0, 0, '[]', 0)`;
    await worker.db
      .prepare(`CREATE TRIGGER rival BEFORE INSERT ON users WHEN NEW.id <> 'rival' BEGIN ${rival}; END`)
      .run();
    try {
      await assertRefused({ json: { ...fresh(), username: "in-between" } }, 409, code);
    } finally {
      await worker.db.prepare("DROP TRIGGER rival").run();
    }
  }
  await worker.register({ username: "in-between" });
});

test("while registration is closed, no account can be created, and existing users are not affected", async () => {
  const user = await worker.register();
  await worker.update({ vars: { REGISTRATION: "closed" } });
  try {
    assert.equal(await assertRefused({ json: fresh() }, 403, "registration_closed"), "Registration is closed.");
    await assertRefused({ json: { email: user.email, password: PASSWORD } }, 403, "registration_closed");
    assert.equal((await worker.login(user)).status, 200);
    assert.equal((await worker.refresh(user.refresh_token)).status, 200);
  } finally {
    await worker.update();
  }
  await worker.register();
});
