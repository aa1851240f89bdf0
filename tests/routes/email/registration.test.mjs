// Registrations if EMAIL_VERIFICATION is "required" or "optional": what they tell, when they become accounts, and what
// remains of the accounts that somebody else registered with the address.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { assertProblem, from, many, PASSWORD, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";
import { patiently } from "../../support/patience.mjs";

const NEW = "four ponies sing quietly at noon";
const WEEK = 604_800;

let worker, mails;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL_VARS, EMAIL_VERIFICATION: "required" } });
  mails = new Mails(worker, ["new_device"]);
  // A reservation needs an account that had the address.
  await worker.insertUsers(1);
});
after(() => worker.close());
beforeEach(async () => {
  await worker.update();
  await worker.db.batch([
    worker.db.prepare("DELETE FROM mail_budgets"),
    worker.db.prepare("UPDATE challenges SET source = 'earlier'"),
  ]);
  await worker.forgetFailures();
  await mails.take();
});

let addresses = 0;
const address = () => `waiting-${++addresses}@example.org`;
const register = (json, options) => worker.post("/register", { json: { password: PASSWORD, ...json }, ...options });
const verify = (json, options) => worker.post("/email/verify", { json, ...options });
const disown = (json) => worker.post("/email/disown", { json });
const sendAgain = (challenge) => worker.post("/email/verify/send", { json: { challenge } });
const login = (email, password = PASSWORD) => worker.post("/login", { json: { email, password } });
const all = async (sql, ...values) =>
  (
    await worker.db
      .prepare(sql)
      .bind(...values)
      .all()
  ).results;
const first = (sql, ...values) =>
  worker.db
    .prepare(sql)
    .bind(...values)
    .first();
const run = (sql, ...values) =>
  worker.db
    .prepare(sql)
    .bind(...values)
    .run();
const waiting = (email) => all("SELECT * FROM registrations WHERE email_key = ? ORDER BY created_at", email);
const accountOf = (email) => first("SELECT * FROM users WHERE email_key = ?", email);
const invalid = (answer) => assertProblem(answer, 400, "invalid_code");
const reserve = (email, seconds = 1000) =>
  run(
    "INSERT INTO reserved_emails (email_key, user_id, expires_at) VALUES (?, (SELECT id FROM users LIMIT 1), unixepoch() + ?)",
    email,
    seconds,
  );

/** Sends a registration. Returns its challenge and its mail. */
async function begin(json = {}) {
  const email = json.email ?? address();
  const { status, body, text } = await register({ email, ...json });
  assert.equal(status, 202, text);
  assert.deepEqual(Object.keys(body), ["challenge"]);
  return { email, challenge: body.challenge, mail: await mails.only("register") };
}

/** An account whose address is verified. */
async function verifiedUser(json) {
  const { email, challenge, mail } = await begin(json);
  assert.equal((await verify({ challenge, code: mail.code })).status, 204);
  const { status, body } = await login(email);
  assert.equal(status, 200);
  return { ...body, email, password: PASSWORD };
}

/** What a client sees of a response, without what is random. */
const visible = ({ status, headers, text }) => ({
  status,
  text: text.replace(/pcch_[\w-]{43}/, "pcch_"),
  headers: [...headers].filter(([name]) => !["x-request-id", "date"].includes(name)),
});

/** The response, the mails that it causes, and the costs of the request before its response. */
async function costOf(act) {
  worker.events();
  const answer = await act();
  const sent = (await mails.take()).map(({ kind, to }) => [kind, to]);
  const [{ d1_round_trips, d1_rows_written, kv_gets, kv_puts }] = worker
    .events("costs")
    .filter(({ status }) => status !== undefined);
  return { answer, sent, cost: { trips: d1_round_trips, written: d1_rows_written, kv: kv_gets + kv_puts } };
}

test("a registration becomes the account that it describes once its code comes back", async () => {
  const email = address();
  const details = { username: "Wai.Ting", name: "Ada", given_name: "Ada", family_name: "L", metadata: { plan: 1 } };
  const registered = await begin({ email: ` ${email.toUpperCase()} `, ...details });
  const { challenge, mail } = registered;
  assert.equal(mail.to, email.toUpperCase());
  assert.equal(await accountOf(email), null);
  const [row] = await waiting(email);
  assert.equal(row.expires_at - row.created_at, WEEK);
  worker.events();
  const answer = await verify({ challenge, code: mail.code.toLowerCase().replace("-", " ") });
  assert.deepEqual([answer.status, answer.text, answer.headers.get("set-cookie")], [204, "", null]);
  const account = await accountOf(email);
  for (const column of ["id", "email", "slot", "created_at", "created_ip", "created_user_agent", "password_hash"])
    assert.equal(account[column], row[column], column);
  assert.ok(account.email_verified_at >= account.created_at);
  assert.deepEqual(await waiting(email), []);
  assert.equal(await first("SELECT 1 FROM refresh_tokens WHERE user_id = ?", account.id), null);
  const logged = worker.events();
  assert.deepEqual(
    logged.filter(({ event }) => event === "registered").map(({ user_id, session_id }) => [user_id, session_id]),
    [[account.id, undefined]],
  );
  const { body } = await login(email);
  const { user } = body;
  const { username, name, given_name, family_name, metadata, email_verified, roles } = user;
  assert.deepEqual({ username, name, given_name, family_name, metadata }, details);
  assert.deepEqual([email_verified, roles], [true, ["user"]]);
  const kinds = async () => {
    const { events } = (await worker.get("/me/events", { bearer: body.access_token })).body;
    return events.map(({ kind }) => kind).sort();
  };
  // The mail is counted after the response.
  const counted = async () => {
    while (!(await kinds()).includes("mail_sent")) await setTimeout(20);
  };
  await patiently(counted(), "the mail is not counted");
  assert.deepEqual(await kinds(), ["email_verified", "logged_in", "mail_sent", "registered"]);
});

test("the response, the mails of others aside, does not tell whether an address is new, pending, taken or reserved", async () => {
  const taken = await verifiedUser();
  const disabled = await verifiedUser();
  await worker.disable(disabled);
  const pending = await begin();
  const reserved = address();
  await reserve(reserved);
  await mails.take();
  const [seen, told] = [[], []];
  const requests = [address(), pending.email, taken.email, disabled.email, reserved];
  for (const email of requests) {
    // Each as the first of a stranger, because a budget that begins writes another row.
    await run("DELETE FROM mail_budgets");
    const { answer, sent, cost } = await costOf(() => register({ email }));
    seen.push({ ...visible(answer), cost });
    told.push(...sent);
  }
  for (const other of seen.slice(1)) assert.deepEqual(other, seen[0]);
  assert.equal(seen[0].status, 202);
  assert.equal(seen[0].cost.trips, 2);
  assert.deepEqual(told.sort(), [
    ["account_exists", taken.email],
    ["register", pending.email],
    ["register", requests[0]],
  ]);
  // Nothing that a stranger sent changed the account.
  assert.equal((await worker.me(taken.access_token)).status, 200);
});

test("registering, verifying and disowning have the documented costs", async () => {
  const costs = {};
  const measure = async (name, act) => {
    const { answer, cost } = await costOf(act);
    assert.ok(answer.status < 300, answer.text);
    costs[name] = [cost.trips, cost.written, cost.kv];
  };
  const email = address();
  await measure("register", () => register({ email }));
  await run("DELETE FROM mail_budgets");
  const [plain, named] = [await begin(), await begin({ username: "costs-name" })];
  const linked = await begin();
  await measure("verify", () => verify({ challenge: plain.challenge, code: plain.mail.code }));
  await measure("verify with a username", () => verify({ challenge: named.challenge, code: named.mail.code }));
  await run("DELETE FROM mail_budgets");
  await run("UPDATE challenges SET source = 'earlier'");
  await measure("register a taken address", () => register({ email: plain.email }));
  await measure("verify by link", () => verify({ token: linked.mail.token, password: PASSWORD }));
  await run("DELETE FROM mail_budgets");
  const other = await begin();
  await measure("disown", () => disown({ challenge: other.challenge, code: other.mail.code }));
  await worker.update({ vars: { EMAIL_VERIFICATION: "optional" } });
  await run("DELETE FROM mail_budgets");
  await measure("register, optional", () => register({ email: address() }));
  assert.deepEqual(costs, {
    // Two rows for each of two budgets, three for the challenge, two for the mail, three for the registration.
    register: [2, 12, 0],
    "register a taken address": [2, 12, 0],
    // The try, the spent challenge, the account with its index entry, the event with its index entry, the registration.
    verify: [2, 7, 0],
    "verify with a username": [2, 8, 0],
    "verify by link": [3, 6, 0],
    disown: [2, 3, 0],
    "register, optional": [2, 13, 0],
  });
});

test("the owner of a taken address is told once per mail, without a code, and sees the attempt in the trail", async () => {
  const user = await verifiedUser();
  await run("DELETE FROM mail_budgets");
  const plan = worker.plan({});
  const { body } = await register({ email: user.email }, { headers: plan.headers });
  await plan.untilEnded();
  const [mail, ...more] = await mails.take();
  assert.deepEqual([mail.kind, mail.to, mail.code, mail.link, more], ["account_exists", user.email, null, null, []]);
  const { events } = (await worker.get("/me/events", { bearer: user.access_token })).body;
  assert.equal(events.filter(({ kind }) => kind === "registration_attempted").length, 1);
  // No code redeems the challenge, and sending it again sends nothing to anybody.
  invalid(await verify({ challenge: body.challenge, code: "00000000" }));
  assert.equal((await sendAgain(body.challenge)).status, 202);
  assert.deepEqual(await mails.take(), []);
  // Further attempts of strangers stay within the budget of the address, of which sending again used one.
  for (let count = 0; count < 5; count += 1) await register({ email: user.email });
  assert.equal((await mails.take()).length, 1);
});

test("a pending registration answers nothing at any way to sign in, and reserves no name", async () => {
  const { email } = await begin({ username: "pending-name" });
  assertProblem(await login(email), 401, "invalid_credentials");
  assertProblem(
    await worker.post("/login", { json: { username: "pending-name", password: PASSWORD } }),
    401,
    "invalid_credentials",
  );
  for (const path of ["/password/forgot", "/login/email"])
    assert.equal((await worker.post(path, { json: { email } })).status, 202);
  assert.deepEqual(await mails.take(), []);
  const other = await verifiedUser({ username: "pending-name" });
  assert.equal(other.user.username, "pending-name");
});

test("input errors and taken usernames are refused for every address", async () => {
  const user = await verifiedUser({ username: "public-name" });
  const before = await worker.dump();
  for (const email of [user.email, address()]) {
    assertProblem(await register({ email, password: "short" }), 422, "password_too_short");
    assertProblem(await register({ email, username: "a b" }), 422, "invalid_username");
    assertProblem(await register({ email, name: "a\u0000" }), 422, "invalid_name");
    assertProblem(await register({ email, username: "Public-Name" }), 409, "username_taken");
  }
  assertProblem(await register({ email: "nobody" }), 422, "invalid_email");
  assert.deepEqual(await worker.dump(), before);
});

test("at most three registrations of an address wait, and a further one replaces the oldest", async () => {
  const email = address();
  const begun = [];
  for (let count = 0; count < 4; count += 1) {
    await run("DELETE FROM mail_budgets");
    await run("UPDATE challenges SET source = 'earlier'");
    await run("UPDATE registrations SET created_at = created_at - 10, expires_at = expires_at - 10");
    begun.push(await begin({ email, name: `N${count}` }));
  }
  assert.deepEqual(
    (await waiting(email)).map(({ name }) => name),
    ["N1", "N2", "N3"],
  );
  invalid(await verify({ challenge: begun[0].challenge, code: begun[0].mail.code }));
  assert.equal((await verify({ challenge: begun[2].challenge, code: begun[2].mail.code })).status, 204);
  assert.equal((await accountOf(email)).name, "N2");
  // The others died with it.
  for (const { challenge, mail } of [begun[1], begun[3]]) invalid(await verify({ challenge, code: mail.code }));
  assert.deepEqual(await waiting(email), []);
});

test("a source replaces its own registrations of an address, not that of another", async () => {
  const email = address();
  const own = await begin({ email, name: "own" });
  for (let count = 0; count < 4; count += 1) {
    await run("DELETE FROM mail_budgets");
    await run("UPDATE challenges SET source = 'earlier' WHERE source <> 'earlier'");
    const json = { email, password: PASSWORD, name: `other ${count}` };
    assert.equal((await worker.post("/register", { json, ...from("203.0.113.77") })).status, 202);
    await mails.take();
  }
  assert.equal((await waiting(email)).length, 3);
  assert.equal((await verify({ challenge: own.challenge, code: own.mail.code })).status, 204);
  assert.equal((await accountOf(email)).name, "own");
});

test("over the budget of mails, a registration is answered alike and replaces none", async () => {
  const email = address();
  for (let count = 0; count < 3; count += 1) await begin({ email, name: `N${count}` });
  const before = await waiting(email);
  const { status, body } = await register({ email, name: "late" });
  assert.equal(status, 202);
  assert.match(body.challenge, /^pcch_/);
  assert.deepEqual(await waiting(email), before);
  assert.deepEqual(await mails.take(), []);
});

test("wrong, exhausted, expired, spent and foreign codes have one error", async () => {
  const { challenge, mail, email } = await begin();
  const other = await begin();
  const answers = [await verify({ challenge, code: other.mail.code }), await verify({ challenge, code: "not a code" })];
  await run("UPDATE challenges SET expires_at = unixepoch() WHERE email_key = ?", email);
  answers.push(await verify({ challenge, code: mail.code }), await verify({ token: mail.token, password: PASSWORD }));
  for (let count = 0; count < 5; count += 1) await verify({ challenge: other.challenge, code: "00000000" });
  answers.push(await verify({ challenge: other.challenge, code: other.mail.code }));
  const spent = await begin();
  await verify({ challenge: spent.challenge, code: spent.mail.code });
  answers.push(await verify({ challenge: spent.challenge, code: spent.mail.code }));
  answers.push(await verify({ challenge: "pcch_x", code: mail.code }));
  // The registration expires before the code of a mail that was sent again.
  const late = await begin();
  await run("UPDATE registrations SET expires_at = unixepoch() WHERE email_key = ?", late.email);
  answers.push(await verify({ challenge: late.challenge, code: late.mail.code }));
  for (const answer of answers) {
    invalid(answer);
    assert.equal(answer.body.detail, answers[0].body.detail);
  }
  for (const { email: unverified } of [{ email }, other, late]) assert.equal(await accountOf(unverified), null);
});

test("the code of a registration is good for nothing else, and other codes are not good for it", async () => {
  const user = await verifiedUser();
  const { challenge, mail } = await begin();
  invalid(await worker.post("/login/email/verify", { json: { challenge, code: mail.code } }));
  invalid(await worker.post("/password/reset", { json: { challenge, code: mail.code, new_password: NEW } }));
  invalid(await verify({ token: mail.token }, { bearer: user.access_token }));
  const forgot = await worker.post("/password/forgot", { json: { email: user.email } });
  const reset = await mails.only("reset");
  for (const act of [verify, disown]) invalid(await act({ challenge: forgot.body.challenge, code: reset.code }));
});

test("the link needs the password of the registration", async () => {
  const { mail, email } = await begin();
  const link = await worker.post("/email/link", { json: { token: mail.token } });
  assert.deepEqual(
    [link.status, link.body.purpose, link.body.email, link.body.code],
    [200, "register", email, undefined],
  );
  assertProblem(await verify({ token: mail.token }), 401, "missing_token");
  assertProblem(await verify({ token: mail.token, password: "wrong" }), 403, "wrong_password");
  assertProblem(await verify({ token: mail.token, password: "x".repeat(2000) }), 403, "wrong_password");
  assert.equal(await accountOf(email), null);
  assert.equal((await verify({ token: mail.token, password: PASSWORD })).status, 204);
  assert.equal((await login(email)).status, 200);
  invalid(await verify({ token: mail.token, password: PASSWORD }));
});

test("guesses of the password of a registration are throttled", async () => {
  const { mail, email } = await begin();
  for (let count = 0; count < 5; count += 1)
    assertProblem(await verify({ token: mail.token, password: "wrong" }), 403, "wrong_password");
  await run("UPDATE throttles SET until = last_at + 900 WHERE until > last_at");
  assertProblem(await verify({ token: mail.token, password: "wrong" }), 429, "too_many_attempts");
  assertProblem(await verify({ token: mail.token, password: PASSWORD }), 429, "too_many_attempts");
  assert.equal(await accountOf(email), null);
});

test("a mail is sent again with the same code, and with a new one once that has expired", async () => {
  const { challenge, mail, email } = await begin();
  const again = await sendAgain(challenge);
  assert.deepEqual([again.status, again.body], [202, { challenge }]);
  assert.equal((await mails.only("register")).code, mail.code);
  await run("UPDATE challenges SET expires_at = unixepoch() WHERE email_key = ?", email);
  const renewed = await sendAgain(challenge);
  assert.equal(renewed.status, 202);
  assert.notEqual(renewed.body.challenge, challenge);
  const { code } = await mails.only("register");
  assert.notEqual(code, mail.code);
  invalid(await verify({ challenge, code }));
  assert.equal((await verify({ challenge: renewed.body.challenge, code })).status, 204);
  // The account has replaced the registration: nothing is sent any more.
  assert.equal((await sendAgain(challenge)).status, 202);
  assert.deepEqual(await mails.take(), []);
});

test("sending again does not tell what became of a registration", async () => {
  const taken = await verifiedUser();
  await mails.take();
  const owned = async () => (await register({ email: taken.email })).body.challenge;
  const disowned = async () => {
    const { challenge, mail } = await begin();
    assert.equal((await disown({ challenge, code: mail.code })).status, 204);
    return challenge;
  };
  const verified = async () => {
    const { challenge, mail } = await begin();
    assert.equal((await verify({ challenge, code: mail.code })).status, 204);
    return challenge;
  };
  for (const expires of ["unixepoch() + 600", "unixepoch()"]) {
    const seen = [];
    for (const make of [async () => (await begin()).challenge, owned, disowned, verified]) {
      const challenge = await make();
      await mails.take();
      await run("DELETE FROM mail_budgets");
      await run(`UPDATE challenges SET expires_at = ${expires}, source = 'earlier'`);
      const { answer, cost } = await costOf(() => sendAgain(challenge));
      seen.push([visible(answer), answer.body.challenge === challenge, cost.trips]);
    }
    for (const other of seen.slice(1)) assert.deepEqual(other, seen[0]);
  }
});

test("a username that was taken in the meantime is a 409 that changes nothing", async () => {
  const { challenge, mail, email } = await begin({ username: "contested" });
  const rival = await verifiedUser({ username: "contested" });
  const before = await worker.dump();
  assertProblem(await verify({ challenge, code: mail.code }), 409, "username_taken");
  const after = await worker.dump();
  const tries = ({ tries: _, ...row }) => row;
  assert.deepEqual(after.challenges.map(tries), before.challenges.map(tries));
  assert.deepEqual({ ...after, challenges: [] }, { ...before, challenges: [] });
  // The challenge is not spent: once the name is free, the code is good.
  await run("UPDATE users SET username = NULL, username_key = NULL WHERE id = ?", rival.user.id);
  assert.equal((await verify({ challenge, code: mail.code })).status, 204);
  assert.equal((await accountOf(email)).username, "contested");
});

test("an address that was taken or reserved in the meantime is an invalid code that changes nothing", async () => {
  const takes = [
    (email) =>
      run(
        "INSERT INTO users (id, email, email_key, credentials_version, slot, roles, created_at) VALUES (?1, ?1, ?1, 0, 0, '[]', 0)",
        email,
      ),
    (email) => reserve(email),
  ];
  for (const take of takes) {
    const { challenge, mail, email } = await begin();
    await take(email);
    const before = await worker.dump();
    invalid(await verify({ challenge, code: mail.code }));
    const after = await worker.dump();
    assert.deepEqual({ ...after, challenges: [] }, { ...before, challenges: [] });
    assert.equal(after.challenges.find(({ email_key }) => email_key === email).spent_by, null);
  }
});

test("of two verifications at once, one makes the account", async () => {
  const { challenge, mail, email } = await begin();
  const answers = await Promise.all(many(4, () => verify({ challenge, code: mail.code })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 400, 400, 400]);
  assert.equal((await login(email)).status, 200);
});

test("of two registrations of one address that are verified at once, one makes the account", async () => {
  const email = address();
  const begun = [await begin({ email, name: "A" }), await begin({ email, name: "B" })];
  const answers = await Promise.all(begun.map(({ challenge, mail }) => verify({ challenge, code: mail.code })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 400]);
  const winner = answers.findIndex(({ status }) => status === 204);
  assert.equal((await accountOf(email)).name, "AB"[winner]);
});

test("the owner of the mailbox deletes a registration of somebody else, by challenge or by link", async () => {
  for (const by of [({ challenge }) => ({ challenge }), ({ mail }) => ({ token: mail.token })]) {
    const begun = await begin();
    const { challenge, mail, email } = begun;
    const again = await sendAgain(challenge);
    await mails.take();
    await run("UPDATE challenges SET expires_at = unixepoch() WHERE email_key = ?", email);
    const renewed = (await sendAgain(challenge)).body.challenge;
    const { code } = await mails.only("register");
    await run("UPDATE challenges SET expires_at = unixepoch() + 600 WHERE email_key = ?", email);
    invalid(await disown({ ...by(begun), code: "00000000" }));
    assert.equal((await waiting(email)).length, 1);
    worker.events();
    const answer = await disown({ ...by(begun), code: mail.code });
    assert.deepEqual([again.status, answer.status, answer.text], [202, 204, ""]);
    assert.equal(worker.events("registration_disowned").length, 1);
    assert.deepEqual(await waiting(email), []);
    // Its other codes are void too.
    invalid(await verify({ challenge: renewed, code }));
    invalid(await disown({ ...by(begun), code: mail.code }));
    assert.equal(await first("SELECT 1 FROM challenges WHERE email_key = ? AND spent_by IS NULL", email), null);
    assert.equal(await accountOf(email), null);
  }
});

test("nothing but a registration that waits can be disowned", async () => {
  const { challenge, mail, email } = await begin();
  assert.equal((await verify({ challenge, code: mail.code })).status, 204);
  const before = await worker.dump();
  invalid(await disown({ challenge, code: mail.code }));
  invalid(await disown({ token: mail.token, code: mail.code }));
  const tries = ({ tries: _, ...row }) => row;
  const after = await worker.dump();
  assert.deepEqual(
    { ...after, challenges: after.challenges.map(tries) },
    { ...before, challenges: before.challenges.map(tries) },
  );
  assert.equal((await login(email)).status, 200);
  assertProblem(await disown({ code: "00000000" }), 400, "invalid_request");
  assertProblem(await disown({ challenge, token: mail.token, code: "00000000" }), 400, "invalid_request");
  assertProblem(await disown({ challenge }), 400, "invalid_request");
});

test("verifying and disowning at once, one of them takes effect", async () => {
  for (let count = 0; count < 4; count += 1) {
    await run("DELETE FROM mail_budgets");
    const { challenge, mail, email } = await begin();
    const json = { challenge, code: mail.code };
    const answers = await Promise.all(count % 2 ? [verify(json), disown(json)] : [disown(json), verify(json)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 400]);
    const isVerified = answers[count % 2 ? 0 : 1].status === 204;
    assert.equal((await accountOf(email)) !== null, isVerified);
    assert.deepEqual(await waiting(email), []);
  }
});

test("a registration that storage loses halfway changes nothing", async () => {
  const triggers = [
    ["INSERT ON registrations", () => register({ email: address() })],
    ["INSERT ON outbox", () => register({ email: address() })],
  ];
  const { challenge, mail } = await begin();
  triggers.push(
    ["INSERT ON users", () => verify({ challenge, code: mail.code })],
    ["INSERT ON audit_events", () => verify({ challenge, code: mail.code })],
    ["DELETE ON registrations", () => verify({ challenge, code: mail.code })],
    ["DELETE ON registrations", () => disown({ challenge, code: mail.code })],
  );
  const state = async () => {
    const { challenges, audit_events: _, ...others } = await worker.dump();
    return { ...others, challenges: challenges.map(({ tries: __, ...row }) => row) };
  };
  const before = await state();
  for (const [moment, act] of triggers) {
    // The throttle of codes allows five tries.
    await run("UPDATE challenges SET tries = 0");
    await run(`CREATE TRIGGER halfway BEFORE ${moment} BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
    assertProblem(await act(), 503, "storage_unavailable");
    await run("DROP TRIGGER halfway");
    assert.deepEqual(await state(), before, moment);
  }
  await run("UPDATE challenges SET tries = 0");
  assert.equal((await verify({ challenge, code: mail.code })).status, 204);
});

test("verification that is optional signs in at once and answers the challenge of the mail", async () => {
  await worker.update({ vars: { EMAIL_VERIFICATION: "optional" } });
  const email = address();
  const { status, body } = await register({ email });
  assert.equal(status, 201);
  assert.match(body.challenge, /^pcch_[\w-]{43}$/);
  assert.equal(body.user.email_verified, false);
  const { code, to } = await mails.only("verify");
  assert.equal(to, email);
  assert.equal((await verify({ challenge: body.challenge, code })).status, 204);
  assert.equal((await worker.me(body.access_token)).body.email_verified, true);
  const cost = await costOf(() => register({ email: address() }));
  assert.equal(cost.cost.trips, 2);
});

test("without verification, a registration sends nothing and answers no challenge", async () => {
  await worker.update({ vars: { EMAIL_VERIFICATION: "off" } });
  const { status, body } = await register({ email: address() });
  assert.deepEqual([status, "challenge" in body], [201, false]);
  assert.deepEqual(await mails.take(), []);
});

test("a registration that strangers may not cause a mail for is signed in all the same", async () => {
  await worker.update({ vars: { EMAIL_VERIFICATION: "optional" } });
  for (let count = 0; count < 10; count += 1) assert.equal((await register({ email: address() })).status, 201);
  assert.equal((await mails.take()).length, 10);
  const { status, body } = await register({ email: address() });
  assert.equal(status, 201);
  assert.match(body.challenge, /^pcch_/);
  assert.deepEqual(await mails.take(), []);
});

test("a reserved address cannot be registered until it is free", async () => {
  for (const EMAIL_VERIFICATION of ["off", "optional"]) {
    await worker.update({ vars: { EMAIL_VERIFICATION } });
    const email = address();
    await reserve(email);
    const before = await worker.dump();
    assertProblem(await register({ email }), 409, "email_taken");
    assert.deepEqual(await worker.dump(), before);
    // The reservation begins between the check and the insertion.
    const late = address();
    const plan = worker.plan({ at: 2, does: "hold" });
    const json = JSON.stringify({ email: late, password: PASSWORD });
    const client = await worker.send("POST", "/register", { json: JSON.parse(json), plan });
    assert.equal(await plan.untilHeld(), true);
    await reserve(late);
    plan.release();
    const answer = await client.answer();
    await plan.untilEnded();
    await client.disconnect("FIN");
    assert.equal(answer.status, 409, answer.text);
    assert.equal(await accountOf(late), null);
    assert.equal(await first("SELECT 1 FROM challenges WHERE email_key = ?", late), null);
    await run("UPDATE reserved_emails SET expires_at = unixepoch() WHERE email_key = ?", email);
    assert.equal((await register({ email })).status, 201);
  }
  assert.deepEqual(
    (await mails.take()).map(({ kind }) => kind),
    ["verify"],
  );
});

/** The ways in which the owner of a mailbox proves it without the session of the account. */
const FIRST_PROOFS = {
  "a new password": async (email) => {
    const { body } = await worker.post("/password/forgot", { json: { email } });
    const { code } = await mails.only("reset");
    const answer = await worker.post("/password/reset", {
      json: { challenge: body.challenge, code, new_password: NEW },
    });
    assert.equal(answer.status, 200);
  },
  "a login by mail": async (email) => {
    const { body } = await worker.post("/login/email", { json: { email } });
    const { code } = await mails.only("login");
    const answer = await worker.post("/login/email/verify", { json: { challenge: body.challenge, code } });
    assert.deepEqual([answer.status, answer.body.user.email_verified, answer.body.user.metadata], [200, true, null]);
    assert.equal((await worker.me(answer.body.access_token)).status, 200);
  },
};
for (const [name, prove] of Object.entries(FIRST_PROOFS)) {
  for (const EMAIL_VERIFICATION of ["off", "optional"]) {
    test(`${name} leaves an attacker nothing who registered the address, with EMAIL_VERIFICATION ${EMAIL_VERIFICATION}`, async () => {
      await worker.update({ vars: { EMAIL_VERIFICATION } });
      const email = address();
      const attacker = (await register({ email, metadata: { mine: true }, username: `attacker-${addresses}` })).body;
      const second = (await login(email)).body;
      await mails.take();
      // The attacker has asked for codes, which went to the victim.
      const pending = [];
      await run("UPDATE challenges SET source = 'earlier'");
      for (const [path, json, kind] of [
        ["/email/verify/send", {}, "verify"],
        ["/password/forgot", { email }, "reset"],
        ["/login/email", { email }, "login"],
      ]) {
        const { body } = await worker.post(path, {
          json,
          bearer: kind === "verify" ? attacker.access_token : undefined,
        });
        pending.push({ kind, challenge: body.challenge, ...(await mails.only(kind)) });
      }
      await run("DELETE FROM mail_budgets");
      await run("UPDATE challenges SET source = 'earlier'");
      await prove(email);
      for (const session of [attacker, second]) await worker.assertEnded(session);
      assertProblem(await login(email), 401, "invalid_credentials");
      assertProblem(
        await worker.post("/login", { json: { username: `attacker-${addresses}`, password: PASSWORD } }),
        401,
        "invalid_credentials",
      );
      // Not even the codes of the attacker's own requests are worth anything now.
      for (const { kind, challenge, code, token } of pending) {
        const redeem = {
          verify: () => verify({ challenge, code }),
          reset: () => worker.post("/password/reset", { json: { challenge, code, new_password: NEW } }),
          login: () => worker.post("/login/email/verify", { json: { challenge, code } }),
        };
        invalid(await redeem[kind]());
        invalid(await worker.post("/email/link", { json: { token } }));
      }
      // The device token is unknown: the failures of strangers delay a login that has it.
      await worker.throttle({ email });
      const withDevice = { json: { email, password: PASSWORD, device_token: attacker.device_token } };
      assertProblem(await worker.post("/login", withDevice), 429, "too_many_attempts");
      const account = await accountOf(email);
      assert.equal(account.metadata, null);
      assert.notEqual(account.email_verified_at, null);
    });
  }
}
