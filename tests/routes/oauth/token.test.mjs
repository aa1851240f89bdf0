// POST /token: the refresh grant of OAuth (RFC 6749 §6), with the rules of /refresh and the errors of OAuth.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { assertOAuthError, basic, forged, startWorker } from "../../support/harness.mjs";

const GRACE = 30;
const IDLE = 604800;
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
const authorization = (value) => ({ headers: { Authorization: value } });

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** Asserts that no token of the session is accepted on any route. */
async function assertEnded(session) {
  assertOAuthError(await worker.token(session.refresh_token), 400, "invalid_grant");
  await worker.assertEnded(session);
}

test("the grant returns the same members as /refresh: those of RFC 6749 and our own", async () => {
  const first = await worker.register();
  const { status, headers, body } = await worker.token(first.refresh_token);
  assert.equal(status, 200);
  assert.deepEqual(
    [headers.get("content-type"), headers.get("cache-control"), headers.get("pragma")],
    ["application/json", "no-store", "no-cache"],
  );
  const { access_token, refresh_token, ...rest } = body;
  assert.deepEqual(rest, {
    token_type: "Bearer",
    expires_in: 900,
    refresh_expires_in: IDLE,
    session_id: first.session_id,
    user: first.user,
  });
  assert.equal(decodeJwt(access_token).sid, first.session_id);
  assert.notEqual(refresh_token, first.refresh_token);
  assert.equal((await worker.sessionRow(first.session_id)).generation, 1);
  assert.equal((await worker.me(access_token)).status, 200);
  assert.equal((await worker.refresh(refresh_token)).status, 200);
});

test("parameters that a public client may send are accepted, and unknown ones are ignored", async () => {
  const first = await worker.register();
  let token = first.refresh_token;
  for (const more of [
    { client_id: "first-party" },
    { scope: "", client_id: "", client_secret: "" },
    { scope: "openid" },
    { scope: "offline_access openid profile email", client_id: "first-party" },
    { scope: " " },
    { resource: "https://api.example.org", audience: "x", tenant: "y", user: "z" },
  ]) {
    const { status, body } = await worker.token(token, more);
    assert.equal(status, 200, JSON.stringify(more));
    token = body.refresh_token;
  }
  assert.equal(
    (
      await worker.token(
        token,
        {},
        { headers: { "Content-Type": 'Application/X-WWW-Form-Urlencoded; charset="UTF-8"' } },
      )
    ).status,
    200,
  );
});

test("an access token in the Authorization header is ignored, valid or not, because some libraries always send one", async () => {
  const first = await worker.register();
  const other = await worker.register();
  let token = first.refresh_token;
  const expired = worker.resign(first.access_token, { iat: 1000, exp: 1900 });
  for (const value of [
    ...[first.access_token, expired, other.access_token, token, "x", "null", ""].map((bearer) => `Bearer ${bearer}`),
    `bearer ${expired}`,
    "Bearer",
    "",
  ]) {
    const { status, body } = await worker.token(token, { client_id: "first-party" }, authorization(value));
    assert.equal(status, 200, value);
    assert.equal(body.session_id, first.session_id);
    token = body.refresh_token;
  }
  // An access token does not authenticate the request either.
  assertOAuthError(
    await worker.post("/token", { form: { grant_type: "refresh_token" }, bearer: first.access_token }),
    400,
    "invalid_request",
  );
  assertOAuthError(await worker.token("x", {}, { bearer: first.access_token }), 400, "invalid_grant");
  assertOAuthError(
    await worker.token(token, { client_secret: "x" }, { bearer: first.access_token }),
    400,
    "invalid_client",
  );
  assert.equal((await worker.token(token)).status, 200);
});

test("fifty parallel refreshes, on both endpoints, get the same successor", async () => {
  const { session_id, ...session } = await worker.register();
  let token = session.refresh_token;
  for (let round = 1; round <= 5; round += 1) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? worker.token(token) : worker.refresh(token))),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    const successors = new Set(answers.map(({ body }) => body.refresh_token));
    assert.equal(successors.size, 1);
    [token] = successors;
    assert.equal((await worker.sessionRow(session_id)).generation, round);
  }
});

test("a client that lost the response gets the same successor until the window closes", async () => {
  const { refresh_token, session_id } = await worker.register();
  const lost = await worker.token(refresh_token);
  await worker.age(GRACE - 5, session_id);
  worker.events();
  assert.equal((await worker.token(refresh_token)).body.refresh_token, lost.body.refresh_token);
  assert.deepEqual(
    worker.events("grace_retry").map(({ retries }) => retries),
    [1],
  );
  await worker.age(5, session_id);
  assertOAuthError(await worker.token(refresh_token), 400, "invalid_grant");
  assert.equal((await worker.sessionRow(session_id)).revoked_reason, "reuse");
});

test("a replay of any rotated-out token ends the session, and is logged as on /refresh", async () => {
  for (const rotations of [1, 2, 3, 20]) {
    const first = await worker.register();
    let newest = first;
    for (let count = 0; count < rotations; count += 1) newest = (await worker.token(newest.refresh_token)).body;
    await worker.age(GRACE, first.session_id);
    worker.events();
    assertOAuthError(
      await worker.token(first.refresh_token, {}, { headers: { "CF-Connecting-IP": "198.51.100.7" } }),
      400,
      "invalid_grant",
    );
    const [event] = worker.events("reuse_detected");
    assert.deepEqual(
      [event.level, event.session_id, event.reason],
      ["warn", first.session_id, rotations === 1 ? "predecessor" : "older"],
    );
    const { revoked_reason, revoked_ip } = await worker.sessionRow(first.session_id);
    assert.deepEqual([revoked_reason, revoked_ip], ["reuse", "198.51.100.7"]);
    await assertEnded(newest);
  }
});

test("every reason for refusal gets the same response", async () => {
  const cases = {
    garbage: () => "garbage",
    "not UTF-8": () => "\ud800",
    forged: ({ refresh_token }) => forged(refresh_token),
    "an access token": ({ access_token }) => access_token,
    revoked: ({ refresh_token }) => worker.revoke(refresh_token),
    "logged out everywhere": ({ access_token }) => worker.delete("/sessions", { bearer: access_token }),
    "ended from the list": ({ access_token, session_id }) =>
      worker.request("DELETE", `/sessions/${session_id}`, { bearer: access_token }),
    expired: ({ session_id }) => worker.age(IDLE, session_id),
    disabled: (user) => worker.disable(user),
    deleted: ({ user }) => worker.db.prepare("DELETE FROM users WHERE id = ?").bind(user.id).run(),
    reused: async ({ refresh_token, session_id }) => {
      await worker.token(refresh_token);
      await worker.age(GRACE, session_id);
    },
    "another secret in the row": ({ session_id }) =>
      worker.db.prepare("UPDATE refresh_tokens SET secret_hash = 'x' WHERE session_id = ?").bind(session_id).run(),
  };
  const answers = [];
  for (const [name, arrange] of Object.entries(cases)) {
    const user = await worker.register();
    const arranged = await arrange(user);
    const answer = await worker.token(typeof arranged === "string" ? arranged : user.refresh_token);
    assertOAuthError(answer, 400, "invalid_grant");
    const { request_id, ...body } = answer.body;
    const headers = [...answer.headers].filter(([header]) => !["x-request-id", "date"].includes(header));
    answers.push([name, JSON.stringify({ body, headers })]);
  }
  for (const [name, answer] of answers) assert.equal(answer, answers[0][1], name);
});

test("a request with an invalid form, grant or client is refused and does not change the token", async () => {
  const { refresh_token, session_id, email, password } = await worker.register();
  const before = await worker.sessionRow(session_id);
  const good = { grant_type: "refresh_token", refresh_token };
  const without = (parameters, name) =>
    Object.fromEntries(Object.entries(parameters).filter(([other]) => other !== name));
  const post = (form, options) => worker.post("/token", { form, ...options });

  for (const form of [
    {},
    without(good, "grant_type"),
    without(good, "refresh_token"),
    { ...good, grant_type: "" },
    { ...good, refresh_token: "" },
    [...Object.entries(good), ["refresh_token", refresh_token]],
    [...Object.entries(good), ["grant_type", "refresh_token"]],
    [...Object.entries(good), ["scope", ""], ["scope", ""]],
    [...Object.entries(good), ["unknown", "1"], ["unknown", "2"]],
  ]) {
    assertOAuthError(await post(form), 400, "invalid_request");
  }
  assertOAuthError(await worker.post(`/token?${new URLSearchParams(good)}`, { form: {} }), 400, "invalid_request");

  const grants = [
    "password",
    "authorization_code",
    "client_credentials",
    "implicit",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "Refresh_Token",
    "refresh_token ",
  ];
  for (const grant_type of grants) assertOAuthError(await post({ ...good, grant_type }), 400, "unsupported_grant_type");
  assertOAuthError(await post({ grant_type: "password", username: email, password }), 400, "unsupported_grant_type");

  for (const parameters of [
    { client_id: "another" },
    { client_id: "First-Party" },
    { client_secret: "x" },
    { client_id: "first-party", client_secret: "x" },
    { client_id: "another", client_secret: "x" },
    { client_assertion: "x", client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" },
  ]) {
    const answer = await worker.token(refresh_token, parameters);
    assertOAuthError(answer, 400, "invalid_client");
    assert.equal(answer.headers.get("www-authenticate"), null);
  }
  const refused = [
    basic("first-party", "x"),
    basic("first-party", ""),
    basic("", ""),
    "Basic",
    "Digest x",
    "DPoP x",
    "x",
    "Bearerx",
  ];
  // An access token together with a second credential is not ignored.
  for (const value of [
    ...refused,
    `Bearer x, ${basic("first-party", "x")}`,
    `${basic("first-party", "x")}, Bearer x`,
    "Bearer x, Bearer x",
  ]) {
    const answer = await worker.token(refresh_token, {}, authorization(value));
    assertOAuthError(answer, 401, "invalid_client");
    assert.equal(answer.headers.get("www-authenticate"), 'Basic realm="portcullis"');
  }
  assertOAuthError(
    await worker.token(refresh_token, { client_secret: "x" }, authorization(basic("first-party", "x"))),
    400,
    "invalid_request",
  );

  const text = new URLSearchParams(good).toString();
  for (const type of [
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=x",
    `${FORM["Content-Type"]}, text/plain`,
    "",
  ]) {
    const body = type === "application/json" ? JSON.stringify(good) : text;
    assertOAuthError(await worker.post("/token", { body, headers: { "Content-Type": type } }), 415, "invalid_request");
  }
  assertOAuthError(
    await worker.post("/token", { body: text, headers: { ...FORM, "Content-Encoding": "gzip" } }),
    415,
    "invalid_request",
  );
  const chunks = () => ReadableStream.from([Buffer.from(text), Buffer.from(`&x=${"x".repeat(16384)}`)]);
  for (const body of [`${text}&x=${"x".repeat(16384)}`, chunks()]) {
    assertOAuthError(await worker.post("/token", { body, headers: FORM }), 413, "invalid_request");
  }
  for (const method of ["GET", "PUT", "DELETE"]) {
    const answer = await worker.request(method, `/token?${text}`);
    assertOAuthError(answer, 405, "invalid_request");
    assert.equal(answer.headers.get("allow"), "POST, OPTIONS");
  }

  assert.deepEqual(await worker.sessionRow(session_id), before);
  assert.equal((await worker.token(refresh_token)).status, 200);
});

test("only the configured client is accepted", async () => {
  await worker.update({ vars: { CLIENT_ID: "urn:app mobile" } });
  try {
    const { refresh_token } = await worker.register();
    assertOAuthError(await worker.token(refresh_token, { client_id: "first-party" }), 400, "invalid_client");
    assert.equal((await worker.token(refresh_token, { client_id: "urn:app mobile" })).status, 200);
  } finally {
    await worker.update();
  }
});
