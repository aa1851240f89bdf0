// Cookie mode: the refresh token of a session in a cookie, logout, and protection from cross-site request forgery.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { assertProblem, cookieOf, forged, ISSUER, many, page, startWorker } from "../../support/harness.mjs";

const NAME = "__Host-portcullis";
const LISTED = "https://app.example.org";
const WEB_VIEW = "capacitor://localhost";
const IDLE = 604800;
const DAY = 86400;
const ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict";
const DELETED = [`${NAME}=; ${ATTRIBUTES}; Max-Age=0`];

let worker;
before(async () => {
  worker = await startWorker({ vars: { COOKIE_MODE: "refresh", ALLOWED_ORIGINS: `${LISTED}, ${WEB_VIEW}` } });
});
after(() => worker.close());

/** The cookies that a response sets, without that of the device. */
const cookiesOf = ({ headers }) => headers.getSetCookie().filter((cookie) => cookie.startsWith(`${NAME}=`));

const tokenOf = (cookie) => cookie.slice(NAME.length + 1);

/** Registers a user whose session is in a cookie. */
async function signIn(details, options) {
  const user = await worker.register();
  await worker.revoke(user.refresh_token);
  return worker.loginByCookie(user, details, options);
}

const refresh = (cookie, json = {}, headers) => worker.post("/refresh", { json, ...page(cookie, headers) });
const logout = (cookie, options = {}) => worker.post("/logout", { json: {}, ...page(cookie), ...options });

test("a registration or login that asks for it gets the refresh token in a cookie only", async () => {
  const email = "cookie@example.org";
  const json = { email, password: "correct horse battery staple", transport: "cookie" };
  const registered = await worker.post("/register", { json, ...page() });
  assert.equal(registered.status, 201);
  const loggedIn = await worker.post("/login", { json, ...page() });
  assert.equal(loggedIn.status, 200);
  for (const answer of [registered, loggedIn]) {
    assert.equal("refresh_token" in answer.body, false);
    assert.equal(answer.body.refresh_expires_in, IDLE);
    assert.doesNotMatch(answer.text, /pcrt_/);
    const [cookie] = cookiesOf(answer);
    assert.match(cookie, new RegExp(`^${NAME}=pcrt_[\\w-]+; ${ATTRIBUTES}; Max-Age=${IDLE}$`));
    const { transport, remember } = await worker.sessionRow(answer.body.session_id);
    assert.deepEqual([transport, remember], ["cookie", 1]);
  }
  for (const transport of [undefined, null, "body"]) {
    const answer = await worker.post("/login", { json: { ...json, transport }, ...page() });
    assert.match(answer.body.refresh_token, /^pcrt_/);
    assert.deepEqual(cookiesOf(answer), []);
  }
});

test("a refresh with an empty object reads the cookie and sets its successor", async () => {
  const { cookie, session_id, user } = await signIn();
  worker.events();
  const answer = await refresh(cookie);
  assert.equal(answer.status, 200);
  const { access_token, ...rest } = answer.body;
  assert.deepEqual(rest, { token_type: "Bearer", expires_in: 900, refresh_expires_in: IDLE, session_id, user });
  assert.equal(decodeJwt(access_token).sid, session_id);
  assert.notEqual(cookieOf(answer), cookie);
  assert.match(cookiesOf(answer)[0], new RegExp(`; Max-Age=${IDLE}$`));
  const [{ d1_round_trips, d1_rows_written }] = worker.events("costs");
  assert.deepEqual([d1_round_trips, d1_rows_written], [1, 1]);
  assert.equal((await refresh(cookieOf(answer))).status, 200);
});

test("fifty parallel refreshes of one cookie get the same successor", async () => {
  const { cookie, session_id } = await signIn();
  const answers = await Promise.all(many(50, () => refresh(cookie)));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.equal(new Set(answers.map(cookieOf)).size, 1);
  assert.equal((await worker.sessionRow(session_id)).generation, 1);
});

test("a session that is not remembered ends with the browser, and after a day without a refresh", async () => {
  const { cookie, session_id, answer } = await signIn({ remember: false });
  assert.equal(answer.body.refresh_expires_in, DAY);
  assert.deepEqual(cookiesOf(answer), [`${cookie}; ${ATTRIBUTES}`]);
  await worker.age(DAY - 60, session_id);
  const refreshed = await refresh(cookie);
  assert.equal(refreshed.body.refresh_expires_in, DAY);
  assert.deepEqual(cookiesOf(refreshed), [`${cookieOf(refreshed)}; ${ATTRIBUTES}`]);
  await worker.age(DAY, session_id);
  assertProblem(await refresh(cookieOf(refreshed)), 401, "invalid_refresh_token");
});

test("a session in the body that is not remembered ends after a day without a refresh, too", async () => {
  const user = await worker.register();
  const json = { email: user.email, password: user.password, remember: false };
  const { body } = await worker.post("/login", { json });
  assert.equal(body.refresh_expires_in, DAY);
  assert.equal((await worker.refresh(body.refresh_token)).body.refresh_expires_in, DAY);
});

test("a refresh token in the body is used, and the cookie is neither read nor changed", async () => {
  const inCookie = await signIn();
  const inBody = await worker.register();
  for (const headers of [{}, { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" }]) {
    const answer = await refresh(inCookie.cookie, { refresh_token: inBody.refresh_token }, headers);
    assert.equal(answer.body.session_id, inBody.session_id);
    assert.match(answer.body.refresh_token, /^pcrt_/);
    assert.deepEqual(cookiesOf(answer), []);
  }
  assert.equal((await worker.sessionRow(inCookie.session_id)).generation, 0);
});

test("a missing, repeated, renamed, forged or ended cookie is 401 and is not deleted", async () => {
  const { cookie, user } = await signIn();
  const forgery = `${NAME}=${forged(tokenOf(cookie))}`;
  worker.events();
  for (const sent of [
    undefined,
    "other=1",
    NAME,
    `${NAME}=`,
    `${cookie}; ${cookie}`,
    `${cookie}; other=1; ${NAME}=x`,
    cookie.replace("Host", "HOST"),
    cookie.replace(NAME, "portcullis"),
    `${cookie}x`,
    forgery,
  ]) {
    const answer = await refresh(sent);
    assertProblem(answer, 401, "invalid_refresh_token");
    assert.deepEqual(cookiesOf(answer), [], sent);
  }
  const events = worker.events();
  const costs = events.filter(({ event }) => event === "costs");
  assert.equal(Math.max(...costs.map(({ d1_round_trips }) => d1_round_trips)), 0);
  assert.ok(events.some(({ event, reason }) => event === "refresh_refused" && reason === "repeated_cookie"));
  await worker.disable({ user });
  const ended = await refresh(cookie);
  assertProblem(ended, 401, "invalid_refresh_token");
  assert.deepEqual(cookiesOf(ended), []);
});

test("other cookies beside it do not matter", async () => {
  const { cookie } = await signIn();
  assert.equal((await refresh(`a=1; ${cookie}; __host-portcullis=x`)).status, 200);
});

test("the token of a cookie is never accepted or answered in a body, nor the other way round", async () => {
  const inCookie = await signIn();
  const inBody = await worker.register();
  const token = tokenOf(inCookie.cookie);
  worker.events();
  assertProblem(await worker.refresh(token), 401, "invalid_refresh_token");
  assert.equal((await worker.token(token)).body.error, "invalid_grant");
  assertProblem(await refresh(`${NAME}=${inBody.refresh_token}`), 401, "invalid_refresh_token");
  assert.deepEqual(
    worker.events("refresh_refused").map(({ reason }) => reason),
    ["transport", "transport", "transport"],
  );
  for (const { session_id } of [inCookie, inBody]) {
    const { generation, revoked_at } = await worker.sessionRow(session_id);
    assert.deepEqual([generation, revoked_at], [0, null]);
  }
  assert.equal((await refresh(inCookie.cookie)).status, 200);
});

test("a rotated-out cookie ends the session as reused, also if it is sent in a body", async () => {
  for (const present of [refresh, (cookie) => worker.refresh(tokenOf(cookie))]) {
    const { cookie, session_id } = await signIn();
    await refresh(cookie);
    await worker.age(31, session_id);
    assertProblem(await present(cookie), 401, "invalid_refresh_token");
    assert.equal((await worker.sessionRow(session_id)).revoked_reason, "reuse");
  }
});

test("a page that names its user never refreshes the session of another one", async () => {
  const [ada, bob] = [await signIn(), await worker.register()];
  const own = await refresh(ada.cookie, { user_id: ada.user.id });
  assert.equal(own.status, 200);
  const { generation } = await worker.sessionRow(ada.session_id);
  const successor = cookieOf(own);
  const other = await refresh(successor, { user_id: bob.user.id });
  assertProblem(other, 409, "account_changed");
  assert.deepEqual(cookiesOf(other), []);
  assert.equal((await worker.sessionRow(ada.session_id)).generation, generation);
  for (const json of [
    { refresh_token: bob.refresh_token, user_id: ada.user.id },
    { refresh_token: bob.refresh_token, user_id: ada.user.id, access_token: bob.access_token },
  ]) {
    assertProblem(await worker.post("/refresh", { json }), 409, "account_changed");
  }
  assertProblem(await worker.post("/refresh", { json: { user_id: "x" } }), 400, "invalid_request");
  // The access token of the page does not matter then.
  for (const { access_token } of [ada, bob]) {
    assertProblem(await refresh(successor, { user_id: bob.user.id, access_token }), 409, "account_changed");
  }
  // An ended session is ended for everybody.
  await logout(successor);
  for (const access_token of [undefined, ada.access_token, bob.access_token]) {
    const answer = await refresh(successor, { user_id: bob.user.id, access_token });
    assertProblem(answer, 401, "invalid_refresh_token");
  }
});

test("a rotated-out token ends the session as reused, whatever user and access token are sent with it", async () => {
  const other = await worker.register();
  for (const json of [
    { user_id: other.user.id },
    { user_id: other.user.id, access_token: other.access_token },
    { access_token: other.access_token },
  ]) {
    const { cookie, session_id } = await signIn();
    await refresh(cookie);
    await worker.age(31, session_id);
    assertProblem(await refresh(cookie, json), 401, "invalid_refresh_token");
    assert.equal((await worker.sessionRow(session_id)).revoked_reason, "reuse");
  }
});

test("an access token of another session of the same user rotates nothing", async () => {
  const [first, second] = [await signIn(), await signIn()];
  const other = await worker.loginByCookie(first);
  for (const { access_token } of [other, second]) {
    assertProblem(await refresh(first.cookie, { access_token }), 401, "invalid_refresh_token");
  }
  assert.equal((await worker.sessionRow(first.session_id)).generation, 0);
  assert.equal((await refresh(first.cookie, { access_token: first.access_token })).status, 200);
});

test("a login or registration ends the session whose cookie it replaces, in the same round trip", async () => {
  const first = await signIn();
  worker.events();
  const second = await worker.loginByCookie(first, {}, page(first.cookie));
  const events = worker.events();
  const [{ d1_round_trips, d1_rows_written, kv_puts }] = events.filter(({ event }) => event === "costs");
  assert.deepEqual([d1_round_trips, d1_rows_written, kv_puts], [2, 5, 1]);
  const [{ user_id, session_id }] = events.filter(({ event, reason }) => event === "revoked" && reason === "replaced");
  assert.deepEqual([user_id, session_id], [first.user.id, first.session_id]);
  assert.equal((await worker.sessionRow(first.session_id)).revoked_reason, "replaced");
  await worker.marksWritten();
  assert.equal(await worker.isMarked(first), true);
  const { body: trail } = await worker.get("/me/events", { bearer: second.access_token });
  assert.ok(
    trail.events.some(({ kind, reason }) => kind === "revoked" && reason === "replaced"),
    JSON.stringify(trail),
  );
  // That of another user, too.
  const json = { email: "replacing@example.org", password: first.password, transport: "cookie" };
  const registered = await worker.post("/register", { json, ...page(second.cookie) });
  assert.equal(registered.status, 201);
  assert.equal((await worker.sessionRow(second.session_id)).revoked_reason, "replaced");
  assert.equal((await refresh(cookieOf(registered))).status, 200);
});

test("a failed login, a login in the body, and a cookie that is no session in a cookie end no session", async () => {
  const { cookie, session_id, email, password } = await signIn();
  const body = await worker.register();
  const refused = { email, password: "wrong", transport: "cookie" };
  assertProblem(await worker.post("/login", { json: refused, ...page(cookie) }), 401, "invalid_credentials");
  assert.equal((await worker.post("/login", { json: { email, password }, ...page(cookie) })).status, 200);
  await worker.loginByCookie({ email, password }, {}, page(`${NAME}=${body.refresh_token}`));
  await worker.loginByCookie({ email, password }, {}, page(`${NAME}=${forged(tokenOf(cookie))}`));
  for (const id of [session_id, body.session_id]) assert.equal((await worker.sessionRow(id)).revoked_at, null);
});

test("a cookie whose session has expired is replaced without a trace", async () => {
  const { cookie, session_id, email, password } = await signIn();
  await worker.age(IDLE + 1, session_id);
  await worker.loginByCookie({ email, password }, {}, page(cookie));
  assert.equal((await worker.sessionRow(session_id)).revoked_at, null);
});

test("a new password keeps the delivery of the session", async () => {
  const { access_token, cookie, password, session_id } = await signIn({ remember: false });
  const json = { current_password: password, new_password: "another horse battery staple" };
  const changed = await worker.post("/me/password", { json, bearer: access_token, ...page(cookie) });
  assert.equal(changed.status, 200);
  assert.doesNotMatch(changed.text, /pcrt_/);
  assert.deepEqual(cookiesOf(changed), [`${cookieOf(changed)}; ${ATTRIBUTES}`]);
  assert.equal((await worker.sessionRow(session_id)).revoked_reason, "password_changed");
  assert.equal((await refresh(cookieOf(changed))).status, 200);
});

test("a page of another site cannot get a cookie by a new password, even with an access token", async () => {
  const [attacker, victim] = [await signIn(), await signIn()];
  const json = { current_password: attacker.password, new_password: "another horse battery staple" };
  const options = page(victim.cookie, { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" });
  const answer = await worker.post("/me/password", { json, bearer: attacker.access_token, ...options });
  assertProblem(answer, 403, "csrf_refused");
  for (const { session_id } of [attacker, victim]) {
    assert.equal((await worker.sessionRow(session_id)).revoked_at, null);
  }
});

test("account routes never accept the cookie", async () => {
  const { cookie } = await signIn();
  assertProblem(await worker.get("/me", page(cookie)), 401, "missing_token");
});

test("a logout ends the session of the cookie and deletes the cookie", async () => {
  const signedIn = await signIn();
  const answer = await logout(signedIn.cookie);
  assert.deepEqual([answer.status, answer.text], [204, ""]);
  assert.deepEqual(cookiesOf(answer), DELETED);
  assert.equal((await worker.sessionRow(signedIn.session_id)).revoked_reason, "logout");
  await worker.assertEnded(signedIn);
  // Again, and with a cookie that is no token.
  for (const cookie of [signedIn.cookie, `${NAME}=x`]) {
    const again = await logout(cookie);
    assert.deepEqual([again.status, cookiesOf(again)], [204, DELETED]);
  }
});

test("a logout without a session is 204, and deletes nothing", async () => {
  for (const cookie of [undefined, "other=1"]) {
    const answer = await logout(cookie);
    assert.deepEqual([answer.status, cookiesOf(answer)], [204, []]);
  }
  const several = await logout("__Host-portcullis=a; __Host-portcullis=b");
  assertProblem(several, 401, "invalid_refresh_token");
  assert.deepEqual(cookiesOf(several), []);
});

test("a logout by a token ends its session, and deletes only the cookie of that session", async () => {
  const kept = await signIn();
  for (const send of [
    ({ access_token }) => ({ bearer: access_token, json: {} }),
    ({ refresh_token }) => ({ json: { refresh_token } }),
    // The token in the body wins.
    ({ refresh_token }) => ({ bearer: kept.access_token, json: { refresh_token } }),
  ]) {
    const session = await worker.register();
    const answer = await logout(kept.cookie, send(session));
    assert.deepEqual([answer.status, cookiesOf(answer)], [204, []]);
    assert.equal((await worker.sessionRow(session.session_id)).revoked_reason, "logout");
  }
  assert.equal((await worker.sessionRow(kept.session_id)).revoked_at, null);
  const answer = await logout(kept.cookie, { bearer: kept.access_token });
  assert.deepEqual([answer.status, cookiesOf(answer)], [204, DELETED]);
  await worker.assertEnded(kept);
});

test("a logout takes an expired access token as long as its session could live, and refuses a forged one", async () => {
  const session = await worker.register();
  const { iat } = decodeJwt(session.access_token);
  const expired = (seconds) => worker.resign(session.access_token, { iat: iat - seconds - 900, exp: iat - seconds });
  const post = (bearer) => worker.post("/logout", { json: {}, bearer });
  assertProblem(await post(await expired(IDLE + 10)), 401, "token_expired");
  assert.equal((await worker.sessionRow(session.session_id)).revoked_at, null);
  for (const token of [`${session.access_token}x`, "x"]) assertProblem(await post(token), 401, "invalid_token");
  const forgery = { refresh_token: forged(session.refresh_token) };
  assertProblem(await worker.post("/logout", { json: forgery }), 401, "invalid_refresh_token");
  assert.equal((await worker.sessionRow(session.session_id)).revoked_at, null);
  assert.equal((await post(await expired(IDLE - 100))).status, 204);
  await worker.assertEnded(session);
});

test("a logout with an access token older than that ends the session if its cookie comes along", async () => {
  const [own, other] = [await signIn(), await signIn()];
  const { iat } = decodeJwt(own.access_token);
  const bearer = await worker.resign(own.access_token, { iat: iat - IDLE - 1000, exp: iat - IDLE - 100 });
  assertProblem(await logout(other.cookie, { bearer }), 401, "token_expired");
  assert.equal((await worker.sessionRow(other.session_id)).revoked_at, null);
  const answer = await logout(own.cookie, { bearer });
  assert.deepEqual([answer.status, cookiesOf(answer)], [204, DELETED]);
  await worker.assertEnded(own);
});

test("a logout whose storage fails keeps the cookie, so that it can be repeated", async () => {
  const { cookie, session_id } = await signIn();
  const plan = worker.plan({ at: 1, does: "fail" });
  const options = page(cookie, plan.headers);
  const failed = await worker.post("/logout", { json: {}, ...options });
  assertProblem(failed, 503, "storage_unavailable");
  assert.deepEqual(cookiesOf(failed), []);
  assert.equal((await worker.sessionRow(session_id)).revoked_at, null);
  assert.equal((await logout(cookie)).status, 204);
});

test("a deleted account takes the cookie of its session along, and no other one", async () => {
  const [ada, bob] = [await signIn(), await signIn()];
  const remove = ({ access_token }, cookie) => worker.delete("/me", { bearer: access_token, ...page(cookie) });
  assert.deepEqual(cookiesOf(await remove(ada, bob.cookie)), []);
  const answer = await remove(bob, bob.cookie);
  assert.deepEqual([answer.status, cookiesOf(answer)], [204, DELETED]);
});

/** The requests that use or ask for the cookie, and the status of each if it is accepted. None costs a hash. */
const USES = [
  ["/refresh", {}, 200],
  ["/login", { email: "a@example.org", password: "x".repeat(5000), transport: "cookie" }, 401],
  ["/register", { email: "x", password: "correct horse battery staple", transport: "cookie" }, 422],
  // Last, because it ends the session.
  ["/logout", {}, 204],
];

test("every combination of Sec-Fetch-Site, Origin and Content-Type is accepted or refused as it must be", async () => {
  let { cookie } = await signIn();
  const sites = [null, "same-origin", "same-site", "cross-site", "none", "Same-Origin", "same-origin, cross-site"];
  const origins = [null, ISSUER, LISTED, "https://evil.example", WEB_VIEW, "null"];
  const types = [
    "application/json",
    "Application/JSON; charset=utf-8",
    "text/plain",
    "application/x-www-form-urlencoded",
  ];
  const isAllowed = (site, origin) => {
    if (origin === "null") return false;
    if (site === "same-origin") return true;
    if (site === "same-site") return origin === LISTED;
    return site === null && [ISSUER, LISTED].includes(origin);
  };
  let accepted = 0;
  for (const [path, json, success] of USES) {
    for (const site of sites) {
      for (const origin of origins) {
        for (const type of types) {
          const headers = {
            Cookie: cookie,
            "Content-Type": type,
            ...(site === null ? {} : { "Sec-Fetch-Site": site }),
            ...(origin === null ? {} : { Origin: origin }),
          };
          const answer = await worker.request("POST", path, { body: JSON.stringify(json), headers });
          const message = `${path} ${site} ${origin} ${type}`;
          if (!/json/i.test(type)) assertProblem(answer, 415, "unsupported_media_type", message);
          else if (!isAllowed(site, origin)) assertProblem(answer, 403, "csrf_refused", message);
          else {
            assert.equal(answer.status, success, message);
            accepted += 1;
            if (path === "/refresh") cookie = cookieOf(answer);
          }
          if (answer.status !== success) assert.deepEqual(cookiesOf(answer), [], message);
        }
      }
    }
  }
  assert.equal(accepted, USES.length * 2 * (5 + 1 + 2));
});

test("a refused page is logged with its headers, at most once a minute", async () => {
  await worker.update();
  worker.events();
  const headers = { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" };
  for (let round = 0; round < 3; round += 1) await refresh(`${NAME}=x`, {}, headers);
  const [{ level, site, origin, count }, ...others] = worker.events("csrf_refused");
  assert.deepEqual([level, site, origin, count], ["warn", "cross-site", "https://evil.example", 1]);
  assert.deepEqual(others, []);
});

test("a request that uses no cookie is accepted from anywhere", async () => {
  const user = await worker.register();
  const { cookie } = await signIn();
  const headers = { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example", Cookie: cookie };
  const login = { email: user.email, password: user.password };
  for (const [path, json, status] of [
    ["/login", login, 200],
    ["/refresh", { refresh_token: user.refresh_token }, 200],
    ["/logout", { refresh_token: user.refresh_token }, 204],
  ]) {
    assert.equal((await worker.post(path, { json, headers })).status, status, path);
  }
});

test("only listed origins may send credentials", async () => {
  const preflight = (origin) =>
    worker.request("OPTIONS", "/refresh", {
      headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
    });
  for (const ask of [preflight, (origin) => worker.post("/refresh", { json: {}, headers: { Origin: origin } })]) {
    const allowed = (answer) => answer.headers.get("access-control-allow-credentials");
    assert.equal(allowed(await ask(LISTED)), "true");
    assert.equal(allowed(await ask("https://evil.example")), null);
    assert.equal(allowed(await ask(ISSUER)), null);
  }
});

test("an unknown transport is refused by name", async () => {
  const answer = await worker.post("/login", { json: { email: "a@example.org", password: "x", transport: "header" } });
  assertProblem(answer, 400, "invalid_request");
  assert.equal(answer.body.detail, "The member transport must be one of body, cookie.");
});

test("while cookie mode is off, no cookie is set or refreshed, and logout still takes", async () => {
  const { cookie, session_id, email, password, access_token } = await signIn();
  const kept = await worker.loginByCookie({ email, password });
  await worker.update({ vars: { COOKIE_MODE: "off" } });
  try {
    for (const [path, json] of USES.filter(([, { transport }]) => transport === "cookie")) {
      assertProblem(await worker.post(path, { json, ...page(cookie) }), 400, "cookie_mode_off");
    }
    const change = { current_password: password, new_password: "another horse battery staple" };
    const changed = await worker.post("/me/password", { json: change, bearer: access_token, ...page(cookie) });
    assertProblem(changed, 400, "cookie_mode_off");
    const refused = await refresh(cookie);
    assertProblem(refused, 400, "invalid_request");
    assert.equal(refused.body.detail, "The member refresh_token is missing.");
    for (const id of [session_id, kept.session_id]) {
      const { generation, revoked_at } = await worker.sessionRow(id);
      assert.deepEqual([generation, revoked_at], [0, null]);
    }
    const byCookie = await logout(cookie);
    assert.deepEqual([byCookie.status, cookiesOf(byCookie)], [204, DELETED]);
    assert.equal(byCookie.headers.get("access-control-allow-credentials"), null);
    assert.equal((await worker.sessionRow(session_id)).revoked_reason, "logout");
    const byBearer = await logout(kept.cookie, { bearer: kept.access_token });
    assert.deepEqual([byBearer.status, cookiesOf(byBearer)], [204, DELETED]);
    const { body } = await worker.login({ email, password });
    assert.equal((await worker.post("/logout", { json: { refresh_token: body.refresh_token } })).status, 204);
    await worker.assertEnded(body);
    const listed = await refresh(undefined, {}, { Origin: LISTED });
    assert.equal(listed.headers.get("access-control-allow-origin"), LISTED);
    assert.equal(listed.headers.get("access-control-allow-credentials"), null);
  } finally {
    await worker.update();
  }
});
