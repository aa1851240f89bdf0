// BREACH_CHECK: new passwords are looked up in lists of breached passwords, by a range API on loopback.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { IMPATIENT } from "../../support/clocks.mjs";
import { assertProblem, PASSWORD, startWorker } from "../../support/harness.mjs";
import { padding, sha1, startRangeApi } from "../../support/range-api.mjs";

let api, worker;
before(async () => {
  api = await startRangeApi();
  worker = await startWorker({ vars: { BREACH_CHECK: "refuse", BREACH_CHECK_URL: api.url } });
});
after(async () => {
  await worker.close();
  await api.close();
});
// Each configuration begins a new isolate, which has logged nothing yet. The cache outlives it.
beforeEach(async () => {
  await worker.update();
  api.answer = { status: 200, body: "" };
  api.take();
  worker.logged();
});

const warning = () => worker.update({ vars: { BREACH_CHECK: "warn" } });

let passwords = 0;
/** A password whose prefix no other test has cached. */
const newPassword = () => `trombone velvet harbour ${++passwords}${"abcdefghij"[passwords % 10]}x`;
let people = 0;
const register = (password, options) =>
  worker.post("/register", { json: { email: `breach-${++people}@example.org`, password }, ...options });
const change = ({ access_token, password }, new_password) =>
  worker.post("/me/password", { bearer: access_token, json: { current_password: password, new_password } });

/** The answer of the API that lists a password this often. */
const listing = (password, count = 3, convert = (text) => text) => ({
  status: 200,
  body: `${padding(400)}${convert(sha1(password).suffix)}:${count}\r\n${padding(400)}`,
});

/** Asserts that the log has nothing of the hash of a password. */
function assertNotLogged(password, lines) {
  for (const part of Object.values(sha1(password)))
    for (const line of lines) assert.ok(!line.toUpperCase().includes(part), line);
}

test("a breached password is refused at registration, and nothing is stored", async () => {
  const password = newPassword();
  api.answer = listing(password);
  const counts = await worker.counts();
  assertProblem(await register(password), 422, "password_breached");
  assert.deepEqual(await worker.counts(), counts);
  assertNotLogged(password, worker.logged());
});

test("the refusal does not say how often the password is listed", async () => {
  const password = newPassword();
  api.answer = listing(password, 73_519);
  const { body } = await register(password);
  assert.deepEqual(Object.keys(body).toSorted(), ["code", "detail", "request_id", "status", "title", "type"]);
  assert.match(body.detail, /^The password is in a public list .* data breaches/);
  assert.doesNotMatch(JSON.stringify({ ...body, request_id: "" }), /73|519/);
});

test("a breached new password is refused, and the old one stays", async () => {
  const user = await worker.register();
  const password = newPassword();
  api.answer = listing(password);
  assertProblem(await change(user, password), 422, "password_breached");
  await worker.assertLive(user);
  assert.equal((await worker.login(user)).status, 200);
});

test("only five digits of the hash are sent, and nothing about the user", async () => {
  const password = newPassword();
  assert.equal((await register(password)).status, 201);
  const [{ method, url, headers, rawHeaders, body }, ...others] = api.take();
  assert.deepEqual(others, []);
  assert.deepEqual([method, url, body], ["GET", `/range/${sha1(password).prefix}`, ""]);
  assert.equal(headers["add-padding"], "true");
  assert.equal(headers["user-agent"], "Portcullis");
  const whole = rawHeaders.join("\n").toUpperCase();
  for (const secret of [sha1(password).suffix, password, "example.org", "192.0.2.1"])
    assert.ok(!whole.includes(secret.toUpperCase()), secret);
  for (const name of ["cookie", "authorization", "referer", "cf-connecting-ip"]) assert.equal(headers[name], undefined);
});

test("the hash is of the password in NFC", async () => {
  const password = `${newPassword()} cafe\u0301`;
  api.answer = listing(password);
  assertProblem(await register(password), 422, "password_breached");
});

test("a row in lower case counts", async () => {
  const password = newPassword();
  api.answer = listing(password, 1, (text) => text.toLowerCase());
  assertProblem(await register(password), 422, "password_breached");
});

test("padding, other passwords and the count 0 do not count", async () => {
  for (const body of [(password) => listing(password, 0).body, () => padding(900, 5)]) {
    const password = newPassword();
    api.answer = { status: 200, body: body(password) };
    const { status, body: response } = await register(password);
    assert.equal(status, 201);
    assert.ok(!("password_breached" in response));
    assert.equal(api.take().length, 1);
  }
  assert.deepEqual(worker.events("breach_check_unavailable"), []);
});

test("with warn, the account is created or changed, and the response says so", async () => {
  await warning();
  const [first, second, third] = [newPassword(), newPassword(), newPassword()];
  api.answer = listing(first);
  const { status, body } = await register(first);
  assert.deepEqual([status, body.password_breached], [201, true]);
  api.answer = listing(second);
  const changed = await change({ ...body, password: first }, second);
  assert.deepEqual([changed.status, changed.body.password_breached], [200, true]);
  api.answer = { status: 200, body: padding(800) };
  const good = await change({ ...changed.body, password: second }, third);
  assert.equal(good.status, 200);
  assert.ok(!("password_breached" in good.body));
});

test("a second look-up of the same prefix is answered from the cache", async () => {
  const password = newPassword();
  api.answer = listing(password);
  assertProblem(await register(password), 422, "password_breached");
  assert.equal(api.take().length, 1);
  api.answer = { status: 500, body: "" };
  await worker.update();
  assertProblem(await register(password), 422, "password_breached");
  assert.deepEqual(api.take(), []);
  assert.deepEqual(worker.events("breach_check_unavailable"), []);
});

const DEFECTS = [
  ["the status 500", "status", () => ({ status: 500, body: "" })],
  ["the status 404", "status", () => ({ status: 404, body: "" })],
  ["the status 429", "status", () => ({ status: 429, body: "" })],
  ["a listing with the status 206", "status", (password) => ({ ...listing(password), status: 206 })],
  ["a page", "malformed", () => ({ status: 200, body: "<!doctype html><title>Log in</title>" })],
  [
    "a listing with an incomplete row",
    "malformed",
    (password) => ({ status: 200, body: `${listing(password).body}0A1` }),
  ],
  ["a body over 256 KiB", "too_large", (password) => ({ status: 200, body: listing(password).body + padding(7000) })],
  ["a body that never ends", "too_large", () => ({ status: 200, body: padding(7000), unfinished: true })],
];
for (const [name, reason, answer] of DEFECTS) {
  test(`${name} does not keep anyone from registering, is logged, and is not cached`, async () => {
    const password = newPassword();
    api.answer = answer(password);
    const { status, body } = await register(password);
    assert.equal(status, 201);
    assert.ok(!("password_breached" in body));
    const lines = worker.logged();
    assertNotLogged(password, lines);
    const events = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "breach_check_unavailable");
    assert.deepEqual(
      events.map(({ level, reason, count }) => [level, reason, count]),
      [["warn", reason, 1]],
    );
    api.take();
    api.answer = listing(password);
    assertProblem(await register(password), 422, "password_breached");
    assert.equal(api.take().length, 1);
  });
}

test("a redirect is not followed", async () => {
  const password = newPassword();
  api.answer = { status: 302, body: "", headers: { Location: `${api.url}/elsewhere` } };
  assert.equal((await register(password)).status, 201);
  assert.equal(api.take().length, 1);
  assert.equal(worker.events("breach_check_unavailable")[0].reason, "status");
});

test("an API that refuses connections does not keep anyone from registering", async () => {
  const closed = await startRangeApi();
  await closed.close();
  await worker.update({ vars: { BREACH_CHECK_URL: closed.url } });
  assert.equal((await register(newPassword())).status, 201);
  assert.equal(worker.events("breach_check_unavailable")[0].reason, "unreachable");
});

test("repeated failures are logged once a minute, with their number", async () => {
  api.answer = { status: 500, body: "" };
  for (let times = 0; times < 3; times += 1) assert.equal((await register(newPassword())).status, 201);
  await worker.advance(61);
  assert.equal((await register(newPassword())).status, 201);
  assert.deepEqual(
    worker.events("breach_check_unavailable").map(({ count }) => count),
    [1, 3],
  );
});

test("an API that answers too late, in part or not at all, does not keep anyone from registering", async () => {
  const impatient = await startWorker({
    clock: IMPATIENT,
    vars: { BREACH_CHECK: "refuse", BREACH_CHECK_URL: api.url },
  });
  try {
    for (const answer of ["never", { status: 200, body: "0018A45C4D1DEF8", unfinished: true }]) {
      await impatient.update();
      api.answer = answer;
      const json = { email: `late-${++people}@example.org`, password: newPassword() };
      assert.equal((await impatient.post("/register", { json })).status, 201);
      assert.equal(impatient.events("breach_check_unavailable")[0].reason, "timeout");
    }
    assert.equal(api.take().length, 2);
  } finally {
    await impatient.close();
  }
});

test("the API is asked only about a password that is about to be stored", async () => {
  const user = await worker.register();
  api.take();
  const json = { email: user.email, password: PASSWORD };
  assertProblem(await worker.post("/register", { json }), 409, "email_taken");
  assertProblem(await register("passwordpassword1"), 422, "password_too_common");
  assertProblem(await register("short"), 422, "password_too_short");
  assertProblem(await change(user, "passwordpassword1"), 422, "password_too_common");
  assertProblem(await worker.login({ ...user, password: newPassword() }), 401, "invalid_credentials");
  const { body } = await worker.login(user);
  assert.ok(!("password_breached" in body));
  const refreshed = await worker.refresh(body.refresh_token);
  assert.ok(!("password_breached" in refreshed.body));
  assert.equal((await worker.patch("/me", { bearer: refreshed.body.access_token, json: { name: "Ada" } })).status, 200);
  assert.deepEqual(api.take(), []);
});

test("by default, no API is asked", async () => {
  await worker.update({ vars: { BREACH_CHECK: null } });
  const password = newPassword();
  api.answer = listing(password);
  const { status, body } = await register(password);
  assert.equal(status, 201);
  assert.ok(!("password_breached" in body));
  assert.deepEqual(api.take(), []);
});

test("the URL of the API may have a path", async () => {
  await worker.update({ vars: { BREACH_CHECK_URL: `${api.url}/copy/` } });
  const password = newPassword();
  assert.equal((await register(password)).status, 201);
  assert.deepEqual(
    api.take().map(({ url }) => url),
    [`/copy/range/${sha1(password).prefix}`],
  );
});

test("words of the organisation are parts of guessable passwords", async () => {
  await worker.update({ vars: { BREACH_CHECK: "off", PASSWORD_CONTEXT_WORDS: "Zyxomma Tours, quokka" } });
  const user = await worker.register();
  for (const password of ["zyxommatours2026", "ZYXOMMA TOURS!!", "QuokkaZyxomma26", "quokkaquokkaquokka"]) {
    assertProblem(await register(password), 422, "password_too_common");
    assertProblem(await change(user, password), 422, "password_too_common");
  }
  assert.equal((await register("my quokka juggles lanterns")).status, 201);
  await worker.update({ vars: { BREACH_CHECK: "off" } });
  assert.equal((await register("QuokkaZyxomma26")).status, 201);
});
