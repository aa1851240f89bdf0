// POST /login: who may log in, and that a refusal does not reveal its reason.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, PASSWORD, phc, startWorker } from "../../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const login = (json, options) => worker.post("/login", { json: { password: PASSWORD, ...json }, ...options });

test("a user logs in by e-mail address or username, in any case, and each login begins a session", async () => {
  const user = await worker.register({ email: "Ada@Example.org", username: "Ada-L", name: "Ada" });
  const sessions = new Set([user.session_id]);
  const tokens = new Set([user.refresh_token]);
  const names = [
    { email: "Ada@Example.org" },
    { email: " ADA@EXAMPLE.ORG\n" },
    { username: "Ada-L" },
    { username: "ada-l" },
    { username: "ADA-L" },
  ];
  for (const name of names) {
    worker.events();
    const { status, headers, body } = await login(name);
    assert.equal(status, 200);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("pragma"), "no-cache");
    assert.deepEqual(
      Object.keys(body).sort(),
      Object.keys(user)
        .filter((key) => !["email", "password"].includes(key))
        .sort(),
    );
    assert.deepEqual(body.user, user.user);
    const [{ request_id, ...event }] = worker.events("login_succeeded");
    assert.equal(request_id, headers.get("x-request-id"));
    assert.deepEqual(event, {
      level: "info",
      event: "login_succeeded",
      user_id: user.user.id,
      session_id: body.session_id,
      rehashed: false,
    });
    assert.equal((await worker.me(body.access_token)).status, 200);
    sessions.add(body.session_id);
    tokens.add(body.refresh_token);
  }
  assert.deepEqual([sessions.size, tokens.size], [names.length + 1, names.length + 1]);
  // A login ends no other session.
  assert.equal((await worker.refresh(user.refresh_token)).status, 200);
});

test("exactly one of e-mail address and username is required, as text, and no other member is accepted", async () => {
  const user = await worker.register({ username: "one-of-two" });
  const { email } = user;
  for (const json of [
    {},
    { email, username: "one-of-two" },
    { email: null },
    { email: null, username: null },
    { email: [email] },
    { email: { $ne: "" } },
    { username: 1 },
    { email, password: null },
    { email, password: undefined },
    { email, password: [PASSWORD] },
    { email, role: "admin" },
    { email, grant_type: "password" },
    { name: email },
  ]) {
    assertProblem(await login(json), 400, "invalid_request");
  }
  for (const json of [
    { email, username: null },
    { email: null, username: "one-of-two" },
  ]) {
    assert.equal((await worker.post("/login", { json: { ...json, password: PASSWORD } })).status, 200);
  }
});

test("an unknown account, a wrong password and a disabled account get the same response", async () => {
  const user = await worker.register({ username: "known-one" });
  const disabled = await worker.register({ username: "disabled-one" });
  await worker.setColumn(disabled, "disabled_at", 1);
  const before = await worker.counts();
  worker.events();

  const unknown = ["unknown_account", null];
  const wrong = ["wrong_password", user.user.id];
  const answers = new Set();
  for (const [json, [reason, user_id]] of [
    [{ email: "nobody@example.org" }, unknown],
    [{ username: "nobody-here" }, unknown],
    [{ email: user.email, password: "not the right password" }, wrong],
    [{ username: "known-one", password: "not the right password" }, wrong],
    [{ email: user.email, password: "" }, wrong],
    [{ email: disabled.email }, ["disabled", disabled.user.id]],
    [{ username: "disabled-one" }, ["disabled", disabled.user.id]],
    [{ username: "disabled-one", password: "not the right password" }, ["wrong_password", disabled.user.id]],
    // An invalid identifier is treated as an unknown one.
    ...[
      "",
      "known-one",
      "a@b",
      "a@b@example.org",
      "nobody@example.org\0",
      "x".repeat(5000),
      "%@example.org",
      `${user.email}' --`,
    ].map((email) => [{ email }, unknown]),
    ...["", "ab", user.email, "known_one'--", "known-one ", "kn\u043ewn-one", "known%", "x".repeat(5000)].map(
      (username) => [{ username }, unknown],
    ),
    // Longer than any valid password, so no account is looked up.
    [{ email: user.email, password: PASSWORD + "x".repeat(1024) }, ["password_too_long", null]],
    [{ email: "nobody@example.org", password: "x".repeat(8000) }, ["password_too_long", null]],
  ]) {
    const { status, headers, text, body } = await login(json);
    const others = [...headers].filter(([name]) => !["x-request-id", "date"].includes(name));
    answers.add(JSON.stringify([status, others, text.replace(body.request_id, "")]));
    const [event] = worker.events("login_failed");
    assert.deepEqual([event.reason, event.user_id], [reason, user_id], JSON.stringify(json).slice(0, 100));
  }
  assert.equal(answers.size, 1, [...answers].join("\n"));
  assert.match([...answers][0], /^\[401,.*\["www-authenticate","Bearer"\].*invalid_credentials/);
  assert.deepEqual(await worker.counts(), before);

  await worker.setColumn(disabled, "disabled_at", null);
  assert.equal((await login({ email: disabled.email })).status, 200);
});

test("the whole password is verified, exactly as it was set", async () => {
  const password = "The quick brown fox, no: the Quick red one! ".repeat(3).trim();
  const user = await worker.register({ password });
  for (const other of [
    ...[1, 15, 64, 72, 127, 128].map((length) => password.slice(0, length)),
    `${password}x`,
    `${password} `,
    ` ${password}`,
    `${password}\0`,
    `${password}\n`,
    password.toLowerCase(),
    password.toUpperCase(),
    password.replaceAll(" ", "\u00a0"),
    password.replaceAll(" ", ""),
  ]) {
    await worker.forgetFailures();
    assertProblem(await worker.login({ ...user, password: other }), 401, "invalid_credentials");
  }
  assert.equal((await worker.login(user)).status, 200);
});

test("canonically equivalent spellings are one password, and compatible ones are not", async () => {
  const spell = (sign) => `a long password with ${sign}`;
  for (const [chosen, same] of [
    ["caf\u00e9", "cafe\u0301"],
    ["cafe\u0301", "caf\u00e9"],
    ["\u00c5", "\u212b"], // ANGSTROM SIGN
    ["\ud55c", "\u1112\u1161\u11ab"], // Hangul
    ["q\u0307\u0323", "q\u0323\u0307"], // order of marks
  ]) {
    const user = await worker.register({ password: spell(chosen) });
    assert.equal((await worker.login({ ...user, password: spell(same) })).status, 200, same);
  }
  for (const [chosen, compatible] of [
    ["\ufb01re", "fire"],
    ["\uff46ire", "fire"],
    ["x\u00b2", "x2"],
    ["\u2460", "1"],
    ["\u00bd", "1\u20442"],
    ["\u2026", "..."],
    ["a\u00a0b", "a b"],
    ["\u017f", "s"],
  ]) {
    const user = await worker.register({ password: spell(chosen) });
    assertProblem(await worker.login({ ...user, password: spell(compatible) }), 401, "invalid_credentials");
    assert.equal((await worker.login({ ...user, password: spell(chosen) })).status, 200);
  }
});

test("a login renews a hash with outdated parameters, once", async () => {
  const user = await worker.register();
  const logIn = async () => {
    worker.events();
    assert.equal((await worker.login(user)).status, 200);
    return worker.events("login_succeeded")[0].rehashed;
  };
  for (const outdated of [
    { memory: 19456, passes: 2 },
    { memory: 8192 },
    { passes: 6 },
    { parallelism: 2 },
    { algorithm: "argon2i" },
    { saltLength: 8 },
    { tagLength: 16 },
  ]) {
    const old = phc(outdated);
    await worker.setColumn(user, "password_hash", old);
    await worker.forgetFailures();
    assertProblem(await worker.login({ ...user, password: `${PASSWORD}!` }), 401, "invalid_credentials");
    assert.equal(await worker.storedHash(user), old);

    assert.equal(await logIn(), true, JSON.stringify(outdated));
    const renewed = await worker.storedHash(user);
    assert.match(renewed, /^\$argon2id\$v=19\$m=7168,t=5,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    assert.equal(await logIn(), false);
    assert.equal(await worker.storedHash(user), renewed);
    assertProblem(await worker.login({ ...user, password: `${PASSWORD}!` }), 401, "invalid_credentials");
  }
  const current = phc({});
  await worker.setColumn(user, "password_hash", current);
  assert.equal(await logIn(), false);
  assert.equal(await worker.storedHash(user), current);
});

test("every hash has its own salt", async () => {
  const hashes = await Promise.all(
    [worker.register(), worker.register()].map(async (user) => worker.storedHash(await user)),
  );
  assert.notEqual(hashes[0].split("$")[4], hashes[1].split("$")[4]);
  assert.notEqual(hashes[0].split("$")[5], hashes[1].split("$")[5]);
});

test("the origin of a session is stored as the platform reports it, and other headers are ignored", async () => {
  const user = await worker.register();
  const agent = 'Browser/1 (\\"}; \'--) {"event":"x"}';
  const spoofed = Object.fromEntries(
    ["X-Forwarded-For", "X-Real-IP", "True-Client-IP", "X-Client-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4"].map(
      (name) => [name, "203.0.113.66"],
    ),
  );
  for (const [ip, agentSent, agentStored] of [
    ["198.51.100.7", agent, agent],
    ["2001:db8::7", "u".repeat(2000), "u".repeat(256)],
  ]) {
    const headers = { ...spoofed, Forwarded: "for=203.0.113.66", "CF-Connecting-IP": ip, "User-Agent": agentSent };
    const { body } = await worker.login(user, { headers });
    const row = await worker.sessionRow(body.session_id);
    assert.deepEqual([row.created_ip, row.created_user_agent], [ip, agentStored]);
    assert.deepEqual([row.rotated_ip, row.rotated_user_agent], [ip, agentStored]);
    assert.doesNotMatch(JSON.stringify(row), /203\.0\.113\.66/);
  }
});

test("an invalid or too costly stored hash is a 500 for that account only, and reveals nothing", async () => {
  const [damaged, healthy] = [await worker.register(), await worker.register()];
  for (const hash of [
    "",
    "canary",
    "$argon2id$v=19$m=7168,t=5,p=1$",
    "$2b$12$canarycanarycanarycanarycanarycanarycanarycanarycanary",
    phc({}).replace("argon2id", "scrypt"),
    phc({}).replace("m=7168", "m=4194304"),
    phc({}).slice(0, -20).concat("!"),
  ]) {
    await worker.setColumn(damaged, "password_hash", hash);
    worker.events();
    const answer = await worker.login(damaged);
    assertProblem(answer, 500, "internal_error");
    assert.equal(answer.body.detail, "An internal error occurred.");
    const [event] = worker.events("internal_error");
    assert.deepEqual([event.level, event.request_id], ["error", answer.body.request_id]);
    assert.doesNotMatch(event.cause, /canary/);
    assert.equal((await worker.login(healthy)).status, 200);
  }
});

test("an account without a password accepts none, and nothing in it changes", async () => {
  const user = await worker.register();
  const bare = (sql) => worker.db.prepare(sql).bind(user.user.id).first();
  await worker.db.prepare("UPDATE users SET password_hash = NULL WHERE id = ?").bind(user.user.id).run();
  const before = await bare("SELECT * FROM users WHERE id = ?");
  const own = { bearer: user.access_token };
  for (const password of [user.password, "", "null", "another correct horse battery"]) {
    await worker.forgetFailures();
    worker.events();
    assertProblem(await worker.login({ ...user, password }), 401, "invalid_credentials");
    const [{ user_id, reason }] = worker.events("login_failed");
    assert.deepEqual([user_id, reason], [user.user.id, "no_password"]);
    const change = { current_password: password, new_password: "quite another horse battery" };
    assertProblem(await worker.post("/me/password", { ...own, json: change }), 403, "wrong_password");
    assertProblem(await worker.stepUp({ ...user, password }), 403, "wrong_password");
  }
  assert.deepEqual(await bare("SELECT * FROM users WHERE id = ?"), before);
  assert.equal((await worker.me(user.access_token)).status, 200);
  assert.equal((await worker.refresh(user.refresh_token)).status, 200);
});

test("a login whose password is changed during verification begins no session", async () => {
  const user = await worker.register();
  // Local D1 runs on the thread that hashes, so no change can run during verification. Instead, a view returns another
  // credentials_version at every read.
  const columns = "id, email, email_key, username, username_key, name, password_hash, roles, created_at, disabled_at";
  await worker.db.batch([
    worker.db.prepare("ALTER TABLE users RENAME TO users_away"),
    worker.db.prepare(
      `CREATE VIEW users AS SELECT ${columns}, abs(random() % 1000000000) AS credentials_version FROM users_away`,
    ),
  ]);
  worker.events();
  const answer = await worker.login(user);
  await worker.db.batch([
    worker.db.prepare("DROP VIEW users"),
    worker.db.prepare("ALTER TABLE users_away RENAME TO users"),
  ]);
  assertProblem(answer, 401, "invalid_credentials");
  assert.equal(worker.events("login_failed")[0].reason, "account_changed");
  const sessions = await worker.db
    .prepare("SELECT count(*) AS n FROM refresh_tokens WHERE user_id = ?")
    .bind(user.user.id)
    .first("n");
  assert.equal(sessions, 1);
  assert.equal((await worker.login(user)).status, 200);
});
