// Known devices: failed logins from unknown devices do not delay a device that has completed a sign-in, nor the other way round.
// The clock stands still, and moves only where a test advances it.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { STOPPED } from "../support/clocks.mjs";
import { assertProblem, deviceCookieOf, forged, PASSWORD, page, startWorker } from "../support/harness.mjs";
import { allVerifiedAtOnce, assertThrottled, Throttles, visible } from "../support/throttles.mjs";

const DAY = 86_400;
const NEW = "four ponies sing quietly at noon";
const COOKIE = "__Host-portcullis-device";

let worker, throttles;
before(async () => {
  worker = await startWorker({ clock: STOPPED, vars: { COOKIE_MODE: "refresh" } });
  throttles = new Throttles(worker);
});
after(() => worker.close());
beforeEach(() => throttles.clear());

const login = ({ email }, json, options) =>
  worker.post("/login", { json: { email, password: PASSWORD, ...json }, ...options });
const invalid = (answer) => assertProblem(answer, 401, "invalid_credentials");
const sessionsOf = async (user) => (await worker.sessionIds(user)).length;

/** The id of the device in a token, as the key of its row. */
function deviceRow(token) {
  const bytes = Buffer.from(token.slice("pcdt_".length), "base64url");
  return throttles.row(`device:${bytes.subarray(24, 40).toString("base64url")}`);
}
const nameRow = ({ email }) => throttles.row(throttles.key("email", email));

/** Makes unknown devices wait for a minute, whatever failed before. */
async function holdUnknown(user) {
  await worker.db.prepare("DELETE FROM throttles WHERE key = ?").bind(throttles.key("email", user.email)).run();
  invalid(await login(user, { password: "wrong" }));
  await throttles.hold(user);
  return nameRow(user);
}

/** Asserts that a login of the user with this token is one of a known device. */
async function assertKnown(user, device_token) {
  await holdUnknown(user);
  assert.equal((await login(user, { device_token })).status, 200, "the device is known");
}

/** Asserts that a login of the user with this token waits like one without a token. */
async function assertUnknown(user, device_token, options) {
  await holdUnknown(user);
  const [answer, other] = [await login(user, { device_token }, options), await login(user, {})];
  assertThrottled(answer, 64);
  assert.equal(visible(answer), visible(other));
}

test("each completed sign-in and password change answers with the token of a new device", async () => {
  const user = await worker.registerForGuesses();
  assert.match(user.device_token, /^pcdt_[\w-]{80}$/);
  const again = (await login(user, { device_token: user.device_token })).body.device_token;
  assert.notEqual(again, user.device_token);
  const other = (await login(user, {})).body.device_token;
  assert.notEqual(other, user.device_token);
  for (const token of [user.device_token, again, other]) await assertKnown(user, token);
  const refreshed = await worker.refresh(user.refresh_token);
  assert.equal(refreshed.body.device_token, undefined);
  const json = { current_password: PASSWORD, new_password: NEW };
  const changed = (await worker.post("/me/password", { bearer: user.access_token, json })).body;
  await holdUnknown(user);
  assert.equal((await login(user, { password: NEW, device_token: changed.device_token })).status, 200);
});

test("failures that make a name wait do not delay a known device", async () => {
  const user = await worker.registerForGuesses();
  for (let number = 1; number <= 5; number += 1) invalid(await login(user, { password: "wrong" }));
  assertThrottled(await login(user, {}), 2);
  assert.equal((await login(user, { device_token: user.device_token })).status, 200);
});

test("a device is known to its own user only", async () => {
  const [user, other] = [await worker.registerForGuesses(), await worker.registerForGuesses()];
  await assertUnknown(user, other.device_token);
  await assertKnown(user, user.device_token);
  // Wrong passwords with the token of another user count against the name, not against that device.
  await throttles.clear();
  invalid(await login(user, { password: "wrong", device_token: other.device_token }));
  assert.deepEqual(Object.keys(await throttles.all()), [throttles.key("email", user.email)]);
  // An unknown account is answered alike, with any token.
  const nobody = { email: "nobody@example.org" };
  for (let number = 1; number <= 5; number += 1) invalid(await login(nobody, { device_token: user.device_token }));
  assertThrottled(await login(nobody, { device_token: user.device_token }), 2);
});

test("a device is known by each name of its user", async () => {
  const user = await worker.registerForGuesses({ username: "device-owner" });
  const json = { username: "device-owner", password: PASSWORD };
  for (let number = 1; number <= 5; number += 1)
    invalid(await worker.post("/login", { json: { ...json, password: "wrong" } }));
  assertThrottled(await worker.post("/login", { json }), 2);
  assert.equal((await worker.post("/login", { json: { ...json, device_token: user.device_token } })).status, 200);
});

test("an invalid device token is ignored", async () => {
  const user = await worker.registerForGuesses();
  const token = user.device_token;
  const invalidTokens = {
    "a wrong tag": forged(token),
    "another version": Buffer.from(token.slice(5), "base64url"),
    "a refresh token": user.refresh_token,
    "an access token": user.access_token,
    "no token": "",
    "a prefix": "pcdt_",
    "a longer one": `${token}A`,
    padding: `${token}==`,
    spaces: ` ${token}`,
    "a long text": "x".repeat(9000),
  };
  const bytes = invalidTokens["another version"];
  bytes[23] += 1;
  invalidTokens["another version"] = `pcdt_${bytes.toString("base64url")}`;
  for (const invalidToken of Object.values(invalidTokens)) await assertUnknown(user, invalidToken);
  // Without a wait, the login is that of a new device.
  await throttles.clear();
  for (const invalidToken of Object.values(invalidTokens)) {
    const { status, body } = await login(user, { device_token: invalidToken });
    assert.equal(status, 200);
    assert.notEqual(body.device_token, token);
  }
  await assertKnown(user, token);
});

test("a device token is accepted under each secret of the list, and under no other", async () => {
  const user = await worker.registerForGuesses();
  const old = worker.secrets.TOKEN_SECRET;
  const secret = makeSecrets().TOKEN_SECRET;
  const holdUnder = async () => {
    // The hash of a name depends on the first secret.
    await throttles.clear();
    for (let number = 1; number <= 5; number += 1) invalid(await login(user, { password: "wrong" }));
  };
  try {
    await worker.update({ secrets: { TOKEN_SECRET: secret } });
    await holdUnder();
    assertThrottled(await login(user, { device_token: user.device_token }), 2);
    await worker.update({ secrets: { TOKEN_SECRET: `${secret},${old}` } });
    await holdUnder();
    const { status, body } = await login(user, { device_token: user.device_token });
    assert.equal(status, 200);
    await worker.update({ secrets: { TOKEN_SECRET: secret } });
    await holdUnder();
    assert.equal((await login(user, { device_token: body.device_token })).status, 200);
  } finally {
    await worker.update();
  }
});

test("a device token expires after 180 days", async () => {
  const user = await worker.registerForGuesses();
  await worker.advance(179 * DAY);
  await assertKnown(user, user.device_token);
  await worker.advance(DAY);
  await assertUnknown(user, user.device_token);
});

// What makes all devices of a user unknown.
const asAdmin = async (method, path, json) => {
  const admin = await worker.registerAdmin();
  const { status } = await worker.request(method, path, { bearer: admin.access_token, json });
  assert.equal(status, 200);
};
const VOIDING = {
  "a password change": async ({ access_token }) => {
    const json = { current_password: PASSWORD, new_password: NEW };
    assert.equal((await worker.post("/me/password", { bearer: access_token, json })).status, 200);
    return NEW;
  },
  "DELETE /sessions": async ({ access_token }) =>
    assert.equal((await worker.delete("/sessions", { bearer: access_token })).status, 200),
  "DELETE /sessions?except=current": async ({ access_token }) =>
    assert.equal((await worker.delete("/sessions?except=current", { bearer: access_token })).status, 200),
  "an admin who ends all sessions": ({ user }) => asAdmin("DELETE", `/users/${user.id}/sessions`),
  "an admin who disables and enables the account": async ({ user }) => {
    await asAdmin("PATCH", `/users/${user.id}`, { disabled: true });
    await asAdmin("PATCH", `/users/${user.id}`, { disabled: false });
  },
};
for (const [name, act] of Object.entries(VOIDING)) {
  test(`after ${name} every device is unknown, until its next sign-in`, async () => {
    const user = await worker.registerForGuesses();
    const second = (await login(user, {})).body.device_token;
    const password = (await act(user)) ?? PASSWORD;
    for (const token of [user.device_token, second]) await assertUnknown(user, token);
    await throttles.clear();
    const { status, body } = await login(user, { password, device_token: second });
    assert.equal(status, 200);
    await holdUnknown(user);
    assert.equal((await login(user, { password, device_token: body.device_token })).status, 200);
    assertThrottled(await login(user, { password, device_token: second }), 64);
  });
}

for (const [name, act] of Object.entries({
  "ending another session": (user, other) =>
    worker.delete(`/sessions/${other.session_id}`, { bearer: user.access_token }),
  "a logout": (_, other) => worker.post("/logout", { json: { refresh_token: other.refresh_token } }),
  "a profile change": (user) => worker.patch("/me", { bearer: user.access_token, json: { name: "Ada" } }),
  "a refused DELETE /sessions": async (_, other) => {
    await worker.revoke(other.refresh_token);
    return worker.delete("/sessions", { bearer: other.access_token });
  },
})) {
  test(`after ${name} devices are still known`, async () => {
    const user = await worker.registerForGuesses();
    const other = (await login(user, {})).body;
    await act(user, other);
    for (const token of [user.device_token, other.device_token]) await assertKnown(user, token);
  });
}

test("failures of a device count against that device only", async () => {
  const user = await worker.registerForGuesses();
  const before = await holdUnknown(user);
  for (let number = 1; number <= 3; number += 1)
    invalid(await login(user, { password: "wrong", device_token: user.device_token }));
  assert.deepEqual(await nameRow(user), before);
  const { failures, until } = await deviceRow(user.device_token);
  assert.deepEqual([failures, until], [3, 0]);
  // Another device of the user has its own count.
  await throttles.clear();
  const other = (await login(user, {})).body.device_token;
  assert.equal(await deviceRow(other), undefined);
});

test("a sign-in of a device resets the failures in a row of the name, but neither its wait nor the failures of the device", async () => {
  const user = await worker.registerForGuesses();
  const held = await holdUnknown(user);
  invalid(await login(user, { password: "wrong", device_token: user.device_token }));
  assert.equal((await login(user, { device_token: user.device_token })).status, 200);
  // A thief of the token has no more attempts than before.
  assert.equal((await deviceRow(user.device_token)).failures, 1);
  assert.deepEqual(await nameRow(user), { ...held, failures: 0 });
  assertThrottled(await login(user, {}), 64);
  // From 50 failures in a row on every wait would be 15 minutes. After the sign-in it is that of the 11th failure again.
  await worker.advance(64);
  invalid(await login(user, { password: "wrong" }));
  assertThrottled(await login(user, {}), 128);
  assert.equal((await nameRow(user)).failures, 1);
});

test("a login of a device that cannot be completed resets no failures", async () => {
  const user = await worker.registerForGuesses();
  const held = await holdUnknown(user);
  const sessions = await sessionsOf(user);
  await worker.db
    .prepare("CREATE TRIGGER failing BEFORE UPDATE ON throttles BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    .run();
  const answer = await login(user, { device_token: user.device_token });
  await worker.db.prepare("DROP TRIGGER failing").run();
  assertProblem(answer, 503, "storage_unavailable");
  assert.deepEqual(await nameRow(user), held);
  assert.equal(await sessionsOf(user), sessions);
});

test("after ten failures a device is unknown for a day, and its owner can sign in from it like from any unknown one", async () => {
  const user = await worker.registerForGuesses();
  const token = user.device_token;
  for (let number = 1; number <= 10; number += 1) {
    await holdUnknown(user);
    invalid(await login(user, { password: "wrong", device_token: token }));
  }
  const row = await deviceRow(token);
  assert.deepEqual([row.failures, row.until - row.last_at], [10, DAY]);
  // Its attempts count against the name.
  await assertUnknown(user, token);
  await worker.advance(64);
  const { failures } = await nameRow(user);
  invalid(await login(user, { password: "wrong", device_token: token }));
  assert.equal((await nameRow(user)).failures, failures + 1);
  assert.deepEqual(await deviceRow(token), row);
  await worker.advance(128);
  const { status, body } = await login(user, { device_token: token });
  assert.equal(status, 200);
  assert.equal((await nameRow(user)).failures, 0);
  // The sign-in returned a new token, which is known. The old one is still unknown.
  await assertKnown(user, body.device_token);
  await assertUnknown(user, token);
  await worker.advance(DAY);
  await assertKnown(user, token);
});

test("after a day, a device that has failed has ten attempts again", async () => {
  const user = await worker.registerForGuesses();
  const token = user.device_token;
  for (let day = 0; day < 2; day += 1) {
    for (let number = 1; number <= 10; number += 1)
      invalid(await login(user, { password: "wrong", device_token: token }));
    await assertUnknown(user, token);
    await worker.advance(DAY);
  }
});

test("after 50 failures a device is unknown for good", async () => {
  const user = await worker.registerForGuesses();
  const token = user.device_token;
  for (let number = 1; number <= 50; number += 1) {
    invalid(await login(user, { password: "wrong", device_token: token }));
    if (number % 10 === 0 && number < 50) await worker.advance(DAY);
  }
  assert.equal((await deviceRow(token)).failures, 50);
  await worker.advance(100 * DAY);
  await assertUnknown(user, token);
});

test("of many guesses from a device at once, those after its tenth failure are not judged", async () => {
  const user = await worker.registerForGuesses();
  const sessions = await sessionsOf(user);
  const answers = await allVerifiedAtOnce(worker, [...Array(13).fill("wrong"), PASSWORD], (password, options) =>
    login(user, { password, device_token: user.device_token }, options),
  );
  for (const answer of answers.slice(0, 10)) invalid(answer);
  // It may try again after a second, as an unknown device.
  for (const answer of answers.slice(10)) assertThrottled(answer, 1);
  assert.equal(new Set(answers.slice(10).map(visible)).size, 1, "the right guess is answered like the wrong ones");
  assert.equal(await sessionsOf(user), sessions);
  assert.equal((await deviceRow(user.device_token)).failures, 10);
  assert.equal(await nameRow(user), undefined);
  assert.equal((await login(user, { device_token: user.device_token })).status, 200);
});

test("a login of a device costs two round trips and two rows, like any other", async () => {
  const user = await worker.register();
  const costOf = async (json) => {
    worker.events();
    assert.equal((await login(user, json)).status, 200);
    const [{ d1_round_trips, d1_rows_written, kv_puts }] = worker.events("costs");
    return [d1_round_trips, d1_rows_written, kv_puts];
  };
  assert.deepEqual(await costOf({}), [2, 2, 0]);
  assert.deepEqual(await costOf({ device_token: user.device_token }), [2, 2, 0]);
  await holdUnknown(user);
  assert.deepEqual(await costOf({ device_token: user.device_token }), [2, 3, 0]);
});

test("a device token is neither a refresh token nor an access token", async () => {
  const { device_token } = await worker.registerForGuesses();
  assertProblem(await worker.refresh(device_token), 401, "invalid_refresh_token");
  assertProblem(await worker.me(device_token), 401, "invalid_token");
  assertProblem(await worker.verify(device_token), 401, "invalid_token");
  const { status, body } = await worker.token(device_token);
  assert.deepEqual([status, body.error], [400, "invalid_grant"]);
});

test("a device token is written neither to D1 nor to the log", async () => {
  worker.logged();
  const user = await worker.registerForGuesses();
  const byCookie = await worker.loginByCookie(user);
  await login(user, { password: "wrong", device_token: user.device_token });
  await login(user, { device_token: user.device_token });
  const kept = JSON.stringify([await worker.dump(), worker.logged(), (await worker.kv.list()).keys]);
  assert.ok(kept.includes(user.user.id));
  assert.doesNotMatch(kept, /pcdt_/);
  for (const token of [user.device_token, deviceCookieOf(byCookie.answer).split("=")[1]])
    assert.ok(!kept.includes(token.slice(-22)), "the tag of a token");
});

// The cookie.

/** Logs in by cookie, like a browser with these cookies, and returns the tokens in the cookie of devices. */
async function byCookie(user, cookie) {
  const options = page(cookie);
  const { answer } = await worker.loginByCookie({ ...user, password: PASSWORD }, {}, options);
  assert.equal(answer.body.device_token, undefined, "the token is only in the cookie");
  return tokensOf(answer);
}
/** The users of tokens. The token of a login is always a new one. */
const usersOf = (tokens) => tokens.map((token) => token.slice("pcdt_".length).slice(0, 21));
const tokensOf = (answer) => deviceCookieOf(answer).split("=")[1].split(".");
const cookieOf = (tokens) => `${COOKIE}=${tokens.join(".")}`;

test("the cookie of a device makes it known, and no script of the page sees the token", async () => {
  const user = await worker.registerForGuesses();
  const tokens = await byCookie(user);
  assert.equal(tokens.length, 1);
  await holdUnknown(user);
  assert.deepEqual(usersOf(await byCookie(user, cookieOf(tokens))), usersOf(tokens));
  // A login that takes its refresh token in the body uses the cookie too.
  const { status, body, headers } = await login(user, {}, page(cookieOf(tokens)));
  assert.equal(status, 200);
  assert.deepEqual(usersOf([body.device_token]), usersOf(tokens));
  assert.deepEqual(headers.getSetCookie(), []);
});

test("the cookie keeps the tokens of five users, the newest first", async () => {
  const users = [];
  for (let number = 0; number < 6; number += 1) users.push(await worker.registerForGuesses());
  let tokens = [];
  const newest = [];
  for (const user of users) {
    tokens = await byCookie(user, tokens.length === 0 ? undefined : cookieOf(tokens));
    newest.unshift(tokens[0]);
    assert.deepEqual(tokens, newest.slice(0, 5));
  }
  // The oldest user is unknown again, all others are known.
  await holdUnknown(users[0]);
  assertThrottled(await login(users[0], {}, page(cookieOf(tokens))), 64);
  for (const user of users.slice(1)) {
    await holdUnknown(user);
    assert.equal((await login(user, {}, page(cookieOf(tokens)))).status, 200);
  }
  // A user who signs in again moves to the front, and is not in the cookie twice.
  const again = await byCookie(users[2], cookieOf(tokens));
  assert.deepEqual(usersOf(again.slice(0, 1)), usersOf([tokens[3]]));
  assert.deepEqual(
    again.slice(1),
    tokens.filter((token) => token !== tokens[3]),
  );
  // A password change keeps the tokens of others.
  const json = { current_password: PASSWORD, new_password: NEW };
  const session = await worker.loginByCookie(users[2], {}, page(cookieOf(again)));
  const both = `${session.cookie}; ${cookieOf(again)}`;
  const changed = await worker.post("/me/password", { bearer: session.access_token, json, ...page(both) });
  assert.equal(changed.status, 200);
  assert.deepEqual(tokensOf(changed).slice(1), again.slice(1));
});

test("invalid, foreign, repeated and too many tokens in the cookie do no harm", async () => {
  const [user, other] = [await worker.registerForGuesses(), await worker.registerForGuesses()];
  const [own] = await byCookie(user);
  const [foreign] = await byCookie(other);
  for (const [cookie, tokens] of [
    [cookieOf(["", "x", forged(own), own]), [own]],
    [cookieOf([own, own, own]), [own]],
    [cookieOf([foreign, own]), [own, foreign]],
    [cookieOf([foreign, foreign, own]), [own, foreign, foreign]],
  ]) {
    await holdUnknown(user);
    assert.deepEqual(usersOf(await byCookie(user, cookie)), usersOf(tokens), cookie);
  }
  // Only the first five are read, and a repeated cookie is ignored, because it is unclear which one the Worker set.
  for (const cookie of [
    cookieOf([...Array(5).fill(foreign), own]),
    cookieOf([...Array(2000).fill("x"), own]),
    `${cookieOf([own])}; ${cookieOf([foreign])}`,
    `${cookieOf([own])}; ${cookieOf([own])}`,
    `${COOKIE}=${own}; ${COOKIE}=`,
    `${COOKIE.replace("__Host-", "")}=${own}`,
    `${COOKIE}=`,
  ]) {
    await holdUnknown(user);
    assertThrottled(await login(user, {}, page(cookie)), 64);
  }
  await throttles.clear();
  const tokens = await byCookie(user, `${cookieOf([own])}; ${cookieOf([foreign])}`);
  assert.equal(tokens.length, 1);
});

test("deleting an account removes its tokens from the cookie, and keeps those of others", async () => {
  const [user, other] = [await worker.registerForGuesses(), await worker.registerForGuesses()];
  const [foreign] = await byCookie(other);
  const remove = async (account, cookie) => {
    const answer = await worker.delete("/me", { bearer: account.access_token, ...page(cookie) });
    assert.equal(answer.status, 204);
    return answer.headers.getSetCookie();
  };
  const [own] = await byCookie(user);
  const [left, ...more] = await remove(user, cookieOf([own, foreign]));
  assert.deepEqual([left.split(";")[0], more], [cookieOf([foreign]), []]);
  assert.deepEqual(await remove(await worker.registerForGuesses(), cookieOf([foreign])), []);
  const [gone] = await remove(other, cookieOf([foreign]));
  assert.match(gone, /^__Host-portcullis-device=; .*Max-Age=0$/);
});

test("without cookie mode the cookie is ignored", async () => {
  const user = await worker.registerForGuesses();
  const [own] = await byCookie(user);
  try {
    await worker.update({ vars: { COOKIE_MODE: "off" } });
    await holdUnknown(user);
    assertThrottled(await login(user, {}, page(cookieOf([own]))), 64);
    assert.equal((await login(user, { device_token: own })).status, 200);
  } finally {
    await worker.update();
  }
});
