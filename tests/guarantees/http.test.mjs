// HTTP itself, for every endpoint: paths, methods, bodies, the bearer credential, headers, the public keys.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, before, beforeEach, test } from "node:test";

import { decodeJwt, decodeProtectedHeader } from "jose";

import { makeResourceServer, makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { assertOAuthError, assertProblem, basic, ISSUER, PASSWORD, startWorker } from "../support/harness.mjs";
import { assertDocumented } from "../support/openapi.mjs";
import { allowed, BEARER_ROUTES, OAUTH_PATHS, ROUTES, WITH_BODY } from "../support/routes.mjs";

let worker;
let user;
before(async () => {
  worker = await startWorker();
  user = await worker.register();
});
after(() => worker.close());
beforeEach(() => worker.forgetFailures());

const JSON_TYPE = { "Content-Type": "application/json" };
/** A body for each route that reads one, and the expected status. */
const BODIES = {
  "POST /register": { json: { email: "padded@example.org", password: PASSWORD }, status: 201 },
  "POST /login": { json: { email: "nobody@example.org", password: PASSWORD }, status: 401 },
  "POST /refresh": { json: { refresh_token: "x" }, status: 401 },
  "POST /logout": { json: { refresh_token: "x" }, status: 401 },
  "POST /token": { form: "grant_type=refresh_token&refresh_token=x", status: 400 },
  "POST /revoke": { json: { token: "x" }, status: 200 },
  "POST /introspect": { form: "token=x", status: 401 },
  "PATCH /me": { json: { name: "Ada" }, status: 200 },
  "POST /register/passkey/options": { json: { email: "padded-passkey@example.org" }, status: 200 },
  "POST /register/passkey": { json: { credential: {}, email: "padded@example.com" }, status: 400 },
  "POST /login/mfa/options": { json: { mfa_token: "x" }, status: 400 },
  "POST /passkeys/login": { json: { credential: {} }, status: 400 },
  "POST /me/passkeys/options": { json: { for: "step_up" }, status: 200 },
  "POST /me/passkeys": { json: { credential: {} }, status: 400 },
  "PATCH /me/passkeys/{id}": { json: { name: "Mine" }, status: 404 },
  "POST /login/mfa": { json: { mfa_token: "x", challenge: "x", mail_code: "x" }, status: 400 },
  "POST /me/step-up": { json: { password: "wrong" }, status: 403 },
  "POST /me/mfa/totp/confirm": { json: { code: "x" }, status: 400 },
  "POST /me/password": { json: { current_password: "wrong", new_password: "another horse battery" }, status: 403 },
  "POST /login/email": { json: { email: "nobody@example.org" }, status: 403 },
  "POST /login/email/verify": { json: { challenge: "x", code: "x" }, status: 403 },
  "POST /password/forgot": { json: { email: "nobody@example.org" }, status: 403 },
  "POST /password/reset": { json: { token: "x", new_password: "another horse battery" }, status: 400 },
  "POST /email/verify/send": { json: { challenge: "x" }, status: 403 },
  "POST /email/verify": { json: { challenge: "x", code: "x" }, status: 400 },
  "POST /email/link": { json: { token: "x" }, status: 400 },
  "POST /email/disown": { json: { challenge: "x", code: "x" }, status: 400 },
  "POST /users": { json: { email: "padded@example.org" }, status: 403 },
  "POST /me/email": { json: { new_email: "padded@example.com" }, status: 403 },
  "POST /me/email/confirm": { json: { challenge: "x", code: "x", old_code: "x" }, status: 400 },
  "POST /me/email/cancel": { json: { token: "x" }, status: 400 },
  "PATCH /users/{id}": { json: { roles: ["user"] }, status: 403 },
};

/** The method and path of a route, as `user` requests it. */
function requestOf(route) {
  const [method, path] = route.split(" ");
  const isBearer = BEARER_ROUTES.some(([own, ownMethod]) => own === path && ownMethod === method);
  const headers = isBearer ? { Authorization: `Bearer ${user.access_token}` } : {};
  return { method, path: path.replace("{id}", user.user.id), headers };
}

/** Sends a request unchanged: `fetch` normalizes paths, joins repeated headers (given as lists) and refuses methods. */
async function raw(method, path, { headers = {}, body } = {}) {
  const responded = new Promise((resolve, reject) => {
    const { hostname: host, port } = worker.url;
    const sent = { "User-Agent": "tests", ...headers };
    httpRequest({ host, port, method, path, headers: sent }, resolve).on("error", reject).end(body);
  });
  const received = await responded;
  const chunks = await received.toArray();
  const { statusCode: status } = received;
  const sent = Buffer.concat(chunks);
  const response = new Response(status === 204 ? null : sent, { status, headers: received.headers });
  const request = { method, target: path, headers, body: body?.toString() };
  assertDocumented(request, { status, headers: response.headers, text: sent.toString() });
  return worker.answer(response);
}

/** Does the same with each at once, because requests one after the other let both sides wait and start again. */
const each = (items, act) => Promise.all(items.map(act));

test("an unknown path is 404 for any method", async () => {
  for (const path of [
    "//",
    "/unknown",
    "/admin",
    "/register/",
    "/login/x",
    "/.well-known/",
    "/.well-known/jwks",
    "/favicon.ico",
    "/.env",
  ]) {
    for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS"]) {
      assertProblem(await raw(method, path, { headers: JSON_TYPE }), 404, "not_found");
    }
    assert.equal((await raw("HEAD", path)).status, 404);
  }
});

test("a protected path matches only its exact spelling, and requires a token", async () => {
  const headers = { Authorization: `Bearer ${user.access_token}` };
  for (const path of [
    "/me/",
    "//me",
    "///me",
    "/ME",
    "/Me",
    "/me;x",
    "/me;a=b",
    "/%6de",
    "/m%65",
    "/%6D%65",
    "/me%00",
    "/me%20",
    "/me%2f",
    "/%2fme",
    "/me%2fx",
    "/me/x.css",
    "/me.json",
    "/me%3f",
    "/me%23",
    "/%252e/me",
    "/..%2fme",
    "/me%c0%ae",
    "/%ef%bd%8de",
    "/me/.",
    "/x/%2e%2e%2fme",
    "/\\me",
    "/me\\",
    "/me,",
    "/me&x",
    "/x/me",
  ]) {
    assertProblem(await raw("GET", path, { headers }), 404, "not_found");
  }
  // The platform resolves dots before the Worker sees them. A query is not part of a path.
  assert.equal((await raw("GET", "/me/..", { headers })).body.service, "portcullis");
  for (const path of [
    "/./me",
    "/x/../me",
    "/%2e/me",
    "/x/%2E%2e/me",
    "/me?",
    "/me?x=/register",
    "/me?access_token=x",
  ]) {
    assertProblem(await raw("GET", path), 401, "missing_token");
    assert.equal((await raw("GET", path, { headers })).status, 200, path);
  }
});

test("a known path refuses every method it does not support, and lists those it does", async () => {
  const headers = { ...JSON_TYPE, Authorization: `Bearer ${user.access_token}` };
  const before = await worker.counts();
  const others = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "TRACE",
    "PROPFIND",
    "COPY",
    "LOCK",
    "PURGE",
    "SEARCH",
    "QUERY",
    "REPORT",
  ];
  for (const [path] of ROUTES) {
    const refused = others.filter((method) => !allowed(path).split(", ").includes(method));
    await each(refused, async (other) => {
      const answer = await raw(other, path, { headers });
      assert.equal(answer.status, 405, `${other} ${path}`);
      assert.equal(answer.headers.get("allow"), allowed(path));
      // TRACE would return the credential.
      assert.ok(!answer.text.includes(user.access_token));
    });
  }
  assertProblem(await raw("PUT", "/login"), 405, "method_not_allowed");
  assert.deepEqual(await worker.counts(), before);
});

test("a header or parameter with another method name changes nothing", async () => {
  const bearer = { Authorization: `Bearer ${user.access_token}` };
  for (const name of ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]) {
    assert.equal((await raw("GET", "/me?_method=DELETE", { headers: { ...bearer, [name]: "DELETE" } })).status, 200);
    assert.equal((await raw("POST", "/me?_method=GET", { headers: { ...bearer, [name]: "GET" } })).status, 405);
    assert.equal((await raw("GET", "/login", { headers: { ...bearer, [name]: "POST" } })).status, 405);
  }
  assert.equal((await worker.me(user.access_token)).status, 200);
});

test("HEAD is GET without the body", async () => {
  for (const [path] of ROUTES.filter(([, method]) => method === "GET")) {
    for (const headers of [{}, { Authorization: `Bearer ${user.access_token}` }, { Authorization: "Bearer x" }]) {
      const [get, head] = [await raw("GET", path, { headers }), await raw("HEAD", path, { headers })];
      const own = ({ headers }) =>
        [...headers].filter(([name]) => !["x-request-id", "content-length", "date"].includes(name));
      assert.deepEqual([head.status, own(head), head.text], [get.status, own(get), ""]);
      assert.ok([null, get.headers.get("content-length")].includes(head.headers.get("content-length")));
      // A redirect has no body.
      if (get.status < 300 || get.status >= 400) assert.notEqual(get.text, "");
    }
  }
});

test("OPTIONS lists the methods of a path and needs no credential", async () => {
  for (const [path] of ROUTES) {
    const { status, headers, text } = await raw("OPTIONS", path);
    assert.deepEqual([status, headers.get("allow"), text], [204, allowed(path), ""]);
  }
});

test("a body may have at most 16384 bytes, with or without Content-Length", async () => {
  const inChunks = (body) =>
    ReadableStream.from([body.slice(0, 16000), body.slice(16000)].map((chunk) => Buffer.from(chunk)));
  assert.deepEqual(Object.keys(BODIES).toSorted(), WITH_BODY.toSorted());
  for (const [route, { json, form, status }] of Object.entries(BODIES)) {
    const { method, path, headers: own } = requestOf(route);
    const headers = { ...own, ...(json ? JSON_TYPE : { "Content-Type": "application/x-www-form-urlencoded" }) };
    const padded = (length) => (json ? JSON.stringify(json).padEnd(length) : `${form}&x=`.padEnd(length, "x"));
    const send = (body) => worker.request(method, path, { body, headers });
    for (const framed of [(body) => body, inChunks]) {
      for (const length of [16385, 20_000]) {
        const answer = await send(framed(padded(length)));
        assert.equal(answer.status, 413, route);
        assert.match(answer.text, /16384/);
      }
    }
    assert.equal((await send(inChunks(padded(16384)))).status, status, route);
    if (path !== "/register") assert.equal((await send(padded(16384))).status, status, route);
  }
  assertProblem(await worker.post("/login", { body: "x".repeat(16385), headers: JSON_TYPE }), 413, "body_too_large");
  // A route that reads no body checks none.
  assertProblem(await worker.delete("/sessions", { body: "x".repeat(16385) }), 401, "missing_token");
});

test("a body in very many pieces is refused, however short it is", async () => {
  const detail = (pieces) =>
    new Promise((resolve, reject) => {
      const socket = connect(worker.url.port, worker.url.hostname).setNoDelay(true).on("error", reject);
      let answer = "";
      socket.on("data", (data) => {
        answer += data;
        const [, found] = answer.match(/"detail":"([^"]*)"/) ?? [];
        if (found !== undefined) resolve(found, socket.destroy());
      });
      socket.write(
        "POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
      );
      socket.write(`${"1\r\n \r\n".repeat(pieces)}2\r\n{}\r\n0\r\n\r\n`);
    });
  assert.equal(await detail(100), "The member refresh_token is missing.");
  assert.equal(await detail(5_000), "The body arrives in too many pieces.");
});

test("a body of a type that the endpoint does not accept is refused", async () => {
  const form = "application/x-www-form-urlencoded";
  const json = Buffer.from(JSON.stringify({ email: "nobody@example.org", password: PASSWORD }));
  // This endpoint checks the client credentials first.
  const routes = WITH_BODY.filter((route) => route !== "POST /introspect");
  const typed = (route, type) => {
    const { method, path, headers: own } = requestOf(route);
    // Node's client sets no Content-Length for DELETE.
    const headers = { ...own, "Content-Length": json.length };
    return raw(method, path, {
      headers: { ...headers, ...(type === undefined ? {} : { "Content-Type": type }) },
      body: json,
    });
  };
  for (const type of [
    undefined,
    "",
    "text/plain",
    "text/json",
    "text/html",
    "*/*",
    "json",
    "application/",
    "application/jsonp",
    "application/json5",
    "application/*",
    "application/ld+json",
    "application/problem+json",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/json, application/json",
    "application/json,text/plain",
    "application/json; charset=utf-8, text/plain",
    "text/plain; charset=utf-8, application/json",
    'text/plain; x="application/json"',
  ]) {
    await worker.forgetFailures();
    const headers = type === undefined ? {} : { "Content-Type": type };
    for (const route of routes) assert.equal((await typed(route, type)).status, 415, `${route} ${type}`);
    assertProblem(await raw("POST", "/login", { headers, body: json }), 415, "unsupported_media_type");
  }
  for (const route of routes.filter((route) => !OAUTH_PATHS.includes(route.split(" ")[1])))
    assertProblem(await typed(route, form), 415, "unsupported_media_type");
  for (const types of [
    ["application/json", "text/plain"],
    ["application/json;a=b", "text/plain"],
  ]) {
    assert.equal((await raw("POST", "/login", { headers: { "Content-Type": types }, body: json })).status, 415);
  }
  for (const [coding, status] of [
    ["gzip", 415],
    ["br, gzip", 415],
    ["identity", 401],
  ]) {
    const headers = { "Content-Type": "application/json", "Content-Encoding": coding };
    assert.equal((await raw("POST", "/login", { headers, body: json })).status, status, coding);
  }

  for (const type of [
    "application/json",
    "Application/JSON",
    'application/json ; Charset="UTF-8"',
    "application/json; a=b",
    'application/json; a="b,c"',
    "application/json;",
  ]) {
    await worker.forgetFailures();
    assertProblem(
      await raw("POST", "/login", { headers: { "Content-Type": type }, body: json }),
      401,
      "invalid_credentials",
    );
  }
});

test("the charset of JSON or of a form is ignored: a body that is not UTF-8 is invalid", async () => {
  const json = JSON.stringify({ email: "nobody@example.org", password: PASSWORD });
  for (const charset of [
    "utf-8",
    "UTF-8",
    "utf8",
    '"utf-8"',
    "iso-8859-1",
    "us-ascii",
    "windows-1252",
    "utf-16",
    "unknown",
    "",
    "utf-8; charset=utf-16",
  ]) {
    await worker.forgetFailures();
    const post = (path, type, body) =>
      raw("POST", path, { headers: { "Content-Type": `${type}; charset=${charset}` }, body });
    assertProblem(await post("/login", "application/json", json), 401, "invalid_credentials");
    assert.equal((await post("/revoke", "application/json", JSON.stringify({ token: "x" }))).status, 200, charset);
    assert.equal((await post("/revoke", "application/x-www-form-urlencoded", "token=x")).status, 200, charset);
    assertOAuthError(
      await post("/token", "application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token=x"),
      400,
      "invalid_grant",
    );
    assertOAuthError(await post("/introspect", "application/x-www-form-urlencoded", "token=x"), 401, "invalid_client");
    for (const bytes of [Buffer.from(json.replace("nobody", "\u00e4"), "latin1"), Buffer.from(json, "utf16le")]) {
      assertProblem(await post("/login", "application/json", bytes), 400, "invalid_request");
    }
  }
});

test("only PATCH accepts the media type of a merge patch", async () => {
  const admin = await worker.registerAdmin();
  const { user, access_token } = await worker.register({ name: "Ada" });
  const patch = (path, bearer, json, type) => worker.patch(path, { bearer, json, headers: { "Content-Type": type } });
  for (const type of [
    "application/merge-patch+json",
    "Application/Merge-Patch+JSON; charset=utf-8",
    "application/json",
  ]) {
    assert.equal((await patch("/me", access_token, { name: "Countess", username: null }, type)).body.name, "Countess");
    assert.equal((await patch("/me", access_token, { name: null }, type)).body.name, null);
    assert.equal((await patch(`/users/${user.id}`, admin.access_token, { roles: ["user"] }, type)).status, 200);
  }
  const headers = { "Content-Type": "application/merge-patch+json" };
  for (const [method, path] of [
    ["POST", "/login"],
    ["POST", "/me/password"],
    ["POST", "/me/step-up"],
  ]) {
    assertProblem(
      await worker.request(method, path, { bearer: access_token, json: {}, headers }),
      415,
      "unsupported_media_type",
    );
  }
  for (const type of ["application/json-patch+json", "application/merge-patch", "text/plain"]) {
    const answer = await patch("/me", access_token, { name: "x" }, type);
    assertProblem(answer, 415, "unsupported_media_type");
    assert.match(answer.body.detail, /application\/json or application\/merge-patch\+json/);
  }
});

test("the error for a request without a body names the missing member, whatever the Content-Type", async () => {
  const server = makeResourceServer("orders-api", worker.vars.AUDIENCE);
  await worker.update({ vars: { RESOURCE_SERVERS: JSON.stringify([server.entry]) } });
  const { access_token, user } = await worker.registerAdmin();
  const before = await worker.counts();
  for (const [method, path, missing] of [
    ["POST", "/register", "The member email is missing."],
    ["POST", "/login", "The member password is missing."],
    ["POST", "/refresh", "The body must be a JSON object."],
    ["POST", "/logout", "The body must be a JSON object."],
    ["POST", "/me/password", "The member new_password is missing."],
    ["POST", "/me/step-up", "The body must be a JSON object."],
    ["POST", "/me/mfa/totp/confirm", "The member code is missing."],
    ["POST", "/login/mfa", "The member mfa_token is missing."],
    ["PATCH", "/me", "The body must be a JSON object."],
    ["PATCH", `/users/${user.id}`, "The body must be a JSON object."],
    ["POST", "/token", "The parameter grant_type is missing."],
    ["POST", "/revoke", "The parameter token is missing."],
    ["POST", "/introspect", "The parameter token is missing."],
  ]) {
    const bearer = path === "/introspect" ? undefined : access_token;
    const authorization = path === "/introspect" ? { Authorization: basic("orders-api", server.secret) } : {};
    for (const type of [undefined, "application/json", "application/x-www-form-urlencoded", "text/plain"]) {
      const headers = { ...authorization, ...(type === undefined ? {} : { "Content-Type": type }) };
      const { status, body } = await worker.request(method, path, { bearer, headers });
      assert.deepEqual(
        [status, body.detail ?? body.error_description, body.code ?? body.error],
        [400, missing, "invalid_request"],
        `${method} ${path} ${type}`,
      );
    }
  }
  assert.deepEqual(await worker.counts(), before);
  await worker.update();
});

test("every endpoint parses JSON equally strictly", async () => {
  for (const [path, good] of [
    ["/login", { email: "nobody@example.org", password: PASSWORD }],
    ["/refresh", { refresh_token: "x" }],
    ["/revoke", { token: "x" }],
  ]) {
    const [[member, value]] = Object.entries(good);
    const text = JSON.stringify(good);
    for (const body of [
      "",
      "{}",
      "[]",
      "null",
      `[${text}]`,
      text.slice(0, -1),
      `${text}x`,
      `\ufeff${text}`,
      text.replace("}", ',"extra":1}'),
      text.replace("{", `{"${member}":"x",`),
      ...["1", "null", '["x"]'].map((other) => text.replace(JSON.stringify(value), other)),
      Buffer.from(text.replace("x", "\xff"), "latin1"),
      Buffer.from(text, "utf16le"),
    ]) {
      const answer = await worker.post(path, { body, headers: JSON_TYPE });
      assert.equal(answer.status, 400, `${path} ${body}`);
      assert.equal(answer.body.code ?? answer.body.error, "invalid_request");
    }
  }
});

test("an error about a body names the member, and contains nothing of the body", async () => {
  const admin = await worker.registerAdmin();
  const email = "nobody@example.org";
  const [register, login] = [
    { email, password: PASSWORD },
    { email, password: PASSWORD },
  ];
  const path = `/users/${user.user.id}`;
  for (const [method, target, json, expected] of [
    ["POST", "/register", { ...register, email: 12345 }, "The member email must be text, not a number."],
    ["POST", "/register", { ...register, password: null }, "The member password must be text, not null."],
    ["POST", "/register", { ...register, username: ["c4n4ry"] }, "The member username must be text, not an array."],
    ["POST", "/register", { ...register, name: { c4n4ry: 1 } }, "The member name must be text, not an object."],
    ["POST", "/login", { ...login, email: { $ne: "" } }, "The member email must be text, not an object."],
    ["POST", "/login", { ...login, password: true }, "The member password must be text, not a boolean."],
    [
      "POST",
      "/refresh",
      { refresh_token: "x", access_token: 1 },
      "The member access_token must be text, not a number.",
    ],
    ["POST", "/revoke", { token: ["c4n4ry"] }, "The member token must be text, not an array."],
    ["POST", "/revoke", { token: "x", token_type_hint: 1 }, "The member token_type_hint must be text, not a number."],
    [
      "POST",
      "/me/password",
      { current_password: PASSWORD, new_password: 1 },
      "The member new_password must be text, not a number.",
    ],
    ["PATCH", "/me", { name: 1 }, "The member name must be text, not a number."],
    ["PATCH", "/me", { name: "x", username: false }, "The member username must be text, not a boolean."],
    ["POST", "/me/step-up", { password: [] }, "The member password must be text, not an array."],
    ["PATCH", path, { roles: "c4n4ry" }, "The member roles must be an array, not text."],
    ["PATCH", path, { roles: { 0: "user" } }, "The member roles must be an array, not an object."],
    ["PATCH", path, { roles: ["user", 1] }, "The member roles[1] must be text, not a number."],
    ["PATCH", path, { roles: [null] }, "The member roles[0] must be text, not null."],
    ["PATCH", path, { disabled: "true" }, "The member disabled must be a boolean, not text."],
    [
      "PATCH",
      path,
      { disabled: true, c4n4ry: 1 },
      "A member is unknown. The allowed members are: roles, disabled, metadata, app_metadata.",
    ],
  ]) {
    const { status, text, body } = await worker.request(method, target, { json, bearer: admin.access_token });
    assert.deepEqual([status, body.detail ?? body.error_description], [400, expected], `${method} ${target}`);
    assert.doesNotMatch(text, /c4n4ry|12345/);
  }
  for (const [body, expected] of [
    [`{"email":"${email}","password":"\\ud800"}`, "The body is not valid JSON: line 1, column 49."],
    [`{"email":"${email}","email":"c4n4ry"}`, "The member email is repeated."],
    [
      '{"c4n4ry\\u0000\\u001b[2J\\n":1}',
      "A member is unknown. The allowed members are: email, username, password, challenge, code, transport, device_token, remember.",
    ],
  ]) {
    const { status, text, body: problem } = await worker.post("/login", { body, headers: JSON_TYPE });
    assert.deepEqual([status, problem.detail], [400, expected]);
    assert.doesNotMatch(text, /c4n4ry|\\[un]/);
  }
  for (const [target, form, expected] of [
    ["/revoke", "token=c4n4ry&token=x", "The parameter token is repeated."],
    [
      "/token",
      "grant_type=refresh_token&grant_type=refresh_token&refresh_token=x",
      "The parameter grant_type is repeated.",
    ],
    ["/token", "c4n4ry=1&c4n4ry=2", "A parameter is repeated."],
  ]) {
    const { status, text, body } = await worker.post(target, {
      body: form,
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });
    assert.deepEqual([status, body.error_description], [400, expected]);
    assert.doesNotMatch(text, /c4n4ry/);
  }
});

test("the bearer credential is read from one header, and the scheme is case-insensitive", async () => {
  const token = user.access_token;
  const admin = await worker.registerAdmin();
  for (const [pattern, method] of BEARER_ROUTES.filter(([, method]) => method === "GET")) {
    const path = pattern.replace("{id}", user.user.id);
    for (const scheme of ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "]) {
      const headers = { Authorization: `${scheme} ${admin.access_token}` };
      assert.equal((await raw(method, path, { headers })).status, 200, `${scheme} ${path}`);
    }
  }
  const missing = [401, "missing_token", "Bearer"];
  const several = [400, "invalid_request", 'Bearer error="invalid_request"'];
  const invalid = [
    401,
    "invalid_token",
    'Bearer error="invalid_token", error_description="The access token is not valid."',
  ];
  for (const [authorization, [status, code, challenge]] of [
    [undefined, missing],
    ["", missing],
    [token, missing],
    [`Basic ${Buffer.from("a:b").toString("base64")}`, missing],
    [`DPoP ${token}`, missing],
    [`Token ${token}`, missing],
    [`Bearer${token}`, missing],
    [`Bearer:${token}`, missing],
    [`"Bearer" ${token}`, missing],
    [`Digest username="a, Bearer b", realm="b", uri="/me"`, missing],
    ["Bearer", missing],
    ["Bearer ", missing],
    ["bearer   ", missing],
    [["Bearer", ""], missing],
    [`Bearer ${token}, Bearer ${token}`, several],
    [`Bearer ${token},Bearer ${token}`, several],
    [`Bearer ${token}, ${token}`, several],
    [[`Bearer ${token}`, `Bearer ${token}`], several],
    [[`Bearer ${token}`, "Bearer"], several],
    [["Bearer", `Bearer ${token}`], several],
    [["Basic YTpi", `Bearer ${token}`], several],
    [[`Bearer ${token}`, "Basic YTpi"], several],
    [["Basic YTpi", "Basic YTpi"], several],
    [[token, token], several],
    [`Bearer ${token} ${token}`, invalid],
    [`Bearer ${token},`, invalid],
    [`Bearer ${token}, realm="x"`, invalid],
    [`Bearer \t${token}`, invalid],
    ["Bearer x", invalid],
    ["Bearer null", invalid],
    ["Bearer undefined", invalid],
    [`Bearer "${token}"`, invalid],
    [`Bearer {${token}}`, invalid],
    [`Bearer token=${token}`, invalid],
    [`Bearer ${token}=`, invalid],
    [`Bearer %20${token}`, invalid],
    ["Bearer \u00e4", invalid],
    ["Bearer ====", invalid],
    [`Bearer ${"a".repeat(8193)}`, invalid],
    [`Bearer ${token.repeat(16)}`, invalid],
    [`Bearer ${".".repeat(10_000)}`, invalid],
    [`Bearer ${"a".repeat(50_000)}`, invalid],
    [`Bearer ${user.refresh_token}`, invalid],
  ]) {
    const headers = authorization === undefined ? {} : { Authorization: authorization };
    await each(BEARER_ROUTES, async ([path, method]) => {
      const answer = await raw(method, path, { headers });
      assertProblem(answer, status, code);
      assert.equal(answer.headers.get("www-authenticate"), challenge);
    });
  }
  assert.equal((await worker.me(token)).status, 200);
});

test("a token outside the header is ignored", async () => {
  const token = user.access_token;
  for (const [path, method] of BEARER_ROUTES) {
    for (const query of [`access_token=${token}`, `token=${token}`, `authorization=Bearer%20${token}`]) {
      assertProblem(await raw(method, `${path}?${query}`), 401, "missing_token");
    }
    const headers = {
      Cookie: `access_token=${token}`,
      "Proxy-Authorization": `Bearer ${token}`,
      "X-Authorization": `Bearer ${token}`,
    };
    assertProblem(await raw(method, path, { headers }), 401, "missing_token");
  }
  assertProblem(await worker.delete("/sessions", { form: { access_token: token } }), 401, "missing_token");
  assert.equal((await worker.me(token)).status, 200);
});

test("the Host and forwarding headers of a request change nothing", async () => {
  const headers = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil.example",
    "X-Host": "evil.example",
    "X-Original-Host": "evil.example",
    "X-Original-URL": "/healthz",
    "X-Rewrite-URL": "/healthz",
    Forwarded: "host=evil.example",
    Origin: "https://evil.example",
    Referer: "https://evil.example/",
  };
  const json = { email: user.email, password: user.password };
  const { status, body } = await worker.post("http://evil.example/login", { json, headers });
  assert.equal(status, 200);
  const { iss, aud } = decodeJwt(body.access_token);
  assert.deepEqual([iss, aud], [ISSUER, worker.vars.AUDIENCE]);
  for (const path of [
    "/me",
    "/verify",
    "/.well-known/openid-configuration",
    "/.well-known/jwks.json",
    "/healthz",
    "/unknown",
  ]) {
    const [spoofed, plain] = [await worker.get(`http://evil.example${path}`, { headers }), await worker.get(path)];
    assert.equal(spoofed.status, plain.status);
    assert.doesNotMatch(spoofed.text + JSON.stringify([...spoofed.headers]), /evil/);
  }
  assert.equal((await worker.get("http://evil.example/me", { bearer: user.access_token })).status, 200);
});

test("an error contains nothing of the request", async () => {
  const canary = "c4n4ry";
  for (const payload of [
    `<script>${canary}</script>`,
    `%3Cscript%3E${canary}%3C/script%3E`,
    `"><img src=x onerror=${canary}>`,
    `%0d%0aSet-Cookie:%20${canary}=1`,
    `{{${canary}}}`,
    `%00${canary}`,
  ]) {
    // The platform accepts angle brackets and quotes in a path only if they are encoded.
    const path = `/${payload.includes("%") ? payload : encodeURI(payload)}`;
    const answers = [
      await raw("GET", path),
      await raw("POST", path),
      await raw("GET", `/me?x=${path}`),
      await raw("GET", "/me", { headers: { Authorization: `Bearer ${payload}` } }),
      await raw("GET", "/me", {
        headers: { Authorization: `${payload} x`, Origin: payload, Referer: payload, Accept: payload },
      }),
      await raw("POST", "/login", { headers: JSON_TYPE, body: `{"email":"${payload}","password":"x"}` }),
      await raw("POST", "/login", { headers: JSON_TYPE, body: JSON.stringify({ [payload]: payload }) }),
      await raw("POST", "/login", { headers: { "Content-Type": payload }, body: payload }),
      await raw("POST", "/register", {
        headers: JSON_TYPE,
        body: JSON.stringify({ email: payload, password: PASSWORD }),
      }),
      await raw("POST", "/revoke", {
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: `${payload}=1&${payload}=2`,
      }),
    ];
    for (const { status, headers, text } of answers) {
      assert.ok(status >= 400 && status < 500, String(status));
      assert.match(headers.get("content-type"), /^application\/(problem\+)?json$/);
      assert.doesNotMatch(text + JSON.stringify([...headers]), new RegExp(canary));
    }
  }
});

test("the root redirects a browser to the account pages", async () => {
  const headers = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
  const { status, headers: received, text } = await worker.get("/", { headers });
  assert.deepEqual([status, received.get("location"), text], [302, "/account/", ""]);
});

test("without account pages the root is a page for a browser, and JSON with the URL of the metadata for a program", async () => {
  await worker.update({ vars: { PAGES: "off" } });
  try {
    const page = await worker.get("/", {
      headers: { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" },
    });
    assert.deepEqual([page.status, page.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
    const links = [...page.text.matchAll(/href="([^"]*)"/g)].map(([, href]) => href);
    assert.deepEqual(links, ["/.well-known/openid-configuration", "/healthz"]);
    for (const link of links) assert.equal((await worker.get(link)).status, 200, link);
    // The page shows no configuration, and a browser runs and loads nothing.
    assert.doesNotMatch(page.text, /8787|example|<script|<style|<img|<link|\d+\.\d+/);
    for (const Accept of [undefined, "*/*", "application/json", "text/html;q=0, */*"]) {
      const { status, headers, body } = await worker.get("/", { headers: Accept === undefined ? {} : { Accept } });
      assert.deepEqual(
        [status, headers.get("content-type"), headers.get("cache-control")],
        [200, "application/json", "no-store"],
      );
      const metadata_url = `${ISSUER}/.well-known/openid-configuration`;
      assert.deepEqual(body, { service: "portcullis", issuer: ISSUER, metadata_url });
    }
    const head = await raw("HEAD", "/", { headers: { Accept: "text/html" } });
    assert.deepEqual([head.status, head.headers.get("content-type"), head.text], [200, "text/html; charset=utf-8", ""]);
  } finally {
    await worker.update();
  }
});

test("every response has its own request id, which the request cannot choose", async () => {
  const mine = "AAAAAAAAAAAAAAAAAAAAAA";
  const headers = { "X-Request-Id": mine, "X-Correlation-Id": mine, "CF-Ray": mine, Traceparent: mine };
  const paths = ["/me", "/healthz", "/unknown", "/.well-known/jwks.json"];
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => raw("GET", paths[n % 4], { headers })));
  const ids = answers.map(({ headers }) => headers.get("x-request-id"));
  assert.equal(new Set([mine, ...ids]).size, ids.length + 1);
});

test("every event is one line of JSON without input of the client", async () => {
  const forged = '{"level":"error","event":"forged"}';
  const canary = "c4n4ry";
  // In a new isolate, because an isolate logs forged refresh tokens at most once per minute.
  await worker.update();
  worker.events();
  for (const text of [
    `${canary}\n${forged}`,
    `${canary}\r\n${forged}\r\n`,
    `${canary}\u2028${forged}`,
    `${canary}","event":"forged`,
    `${canary}\\","event":"forged`,
    `${canary}\u001b[2J`,
  ]) {
    const headers = { ...JSON_TYPE, "User-Agent": `${canary}","event":"forged","x":"` };
    for (const json of [
      { email: text, password: text },
      { username: text, password: text },
      { email: user.email, password: text },
    ]) {
      await raw("POST", "/login", { headers, body: JSON.stringify(json) });
    }
    await raw("POST", "/register", {
      headers,
      body: JSON.stringify({ email: `"${text}"@example.org`, password: text, name: text }),
    });
    await raw("POST", "/refresh", { headers, body: JSON.stringify({ refresh_token: text }) });
  }
  const lines = worker.logged();
  const kinds = new Set();
  for (const line of lines) {
    assert.doesNotMatch(line, /[\n\r\u2028]/);
    assert.doesNotMatch(line, new RegExp(canary));
    const { event, level, request_id } = JSON.parse(line);
    assert.match(request_id, /^[\w-]{22}$/);
    kinds.add(`${level} ${event}`);
  }
  assert.deepEqual(
    kinds,
    new Set(["info login_failed", "info refresh_refused", "info costs", "warn too_many_requests"]),
  );
});

test("the published keys are public, cacheable, and named by their thumbprints", async () => {
  const signing = JSON.parse(worker.secrets.SIGNING_KEYS).keys;
  const older = JSON.parse(makeSecrets().SIGNING_KEYS).keys;
  await worker.update({ secrets: { SIGNING_KEYS: JSON.stringify({ keys: [...signing, ...older] }) } });
  try {
    const { status, headers, text, body } = await worker.get("/.well-known/jwks.json", {
      headers: { Origin: "https://anyone.example" },
    });
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), "application/json");
    assert.equal(headers.get("cache-control"), "public, max-age=300");
    assert.equal(headers.get("cross-origin-resource-policy"), "cross-origin");
    assert.deepEqual(Object.keys(body), ["keys"]);
    assert.equal(body.keys.length, 2);
    for (const [index, key] of body.keys.entries()) {
      const { kty, crv, x, y } = [...signing, ...older][index];
      const kid = createHash("sha256")
        .update(`{"crv":"${crv}","kty":"${kty}","x":"${x}","y":"${y}"}`)
        .digest("base64url");
      assert.deepEqual(key, { kty, crv, x, y, use: "sig", alg: "ES256", kid });
    }
    for (const { d } of [...signing, ...older]) assert.ok(!text.includes(d));
    assert.notEqual(body.keys[0].kid, body.keys[1].kid);

    const { access_token } = (await worker.login(user)).body;
    const { kid } = decodeProtectedHeader(access_token);
    assert.equal(kid, body.keys[0].kid);
    assert.equal((await worker.me(access_token)).status, 200);
  } finally {
    await worker.update();
  }
});

test("the health check of a healthy Worker is public and cached briefly", async () => {
  const { status, headers, body } = await worker.get("/healthz");
  assert.deepEqual([status, headers.get("cache-control"), body], [200, "no-store", { status: "ok" }]);
});
