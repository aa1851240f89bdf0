// The addresses at which the Worker serves: its issuer's and those of ALSO_ANSWERS_AT, or any if the issuer is on
// loopback.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { assertOAuthError, assertProblem, startWorker } from "../support/harness.mjs";
import { OAUTH_PATHS, ROUTES } from "../support/routes.mjs";

const ISSUER = "https://auth.example.org";
const OAUTH = "/.well-known/oauth-authorization-server";
const OPENID = "/.well-known/openid-configuration";
/** Other addresses than the issuer's; some resemble it. */
const ELSEWHERE = [
  "http://auth.example.org",
  "https://auth.example.org:8443",
  "https://auth.example.org.",
  "https://auth.example.org.evil.example",
  "https://evil-auth.example.org",
  "https://www.auth.example.org",
  "https://example.org",
  "https://portcullis.evil.workers.dev",
  "http://127.0.0.1:8787",
  "https://127.0.0.1:8787",
  "http://localhost:8787",
  "http://[::1]:8787",
];

let worker;
before(async () => (worker = await startWorker({ vars: { ISSUER } })));
after(() => worker.close());

function assertWrongHost(answer, path, origin) {
  if (OAUTH_PATHS.includes(path)) assertOAuthError(answer, 421, "invalid_request");
  else assertProblem(answer, 421, "wrong_host");
  const { host } = new URL(origin);
  assert.ok(!answer.text.includes(host) && !answer.text.includes("example"), answer.text);
}

test("every route is served at the issuer's address", async () => {
  const user = await worker.register();
  for (const [path, method] of ROUTES) {
    const { status } = await worker.request(method, ISSUER + path, { bearer: user.access_token });
    assert.notEqual(status, 421, `${method} ${path}`);
  }
  assertProblem(await worker.get(`${ISSUER}/unknown`), 404, "not_found");
});

test("every path, known or not, gets the same refusal at any other address", async () => {
  const user = await worker.register();
  const requests = [
    ...ROUTES.filter(([path]) => path !== "/healthz"),
    ["/me", "PUT"],
    ["/unknown", "GET"],
    ["/unknown", "OPTIONS"],
    [`${OAUTH}/auth`, "GET"],
  ];
  for (const origin of ELSEWHERE) {
    for (const [path, method] of requests) {
      const url = origin + path;
      assertWrongHost(await worker.request(method, url, { bearer: user.access_token }), path, origin);
      assertWrongHost(
        await worker.request("OPTIONS", url, {
          headers: { "Access-Control-Request-Method": method, Origin: "https://app.example.com" },
        }),
        path,
        origin,
      );
    }
    const head = await worker.request("HEAD", `${origin}/me`, { bearer: user.access_token });
    assert.deepEqual([head.status, head.text], [421, ""]);
  }
});

test("a request to another address changes nothing, and its body is not checked", async () => {
  const { email, password, refresh_token, session_id } = await worker.register();
  const before = [await worker.counts(), await worker.sessionRow(session_id)];
  for (const [path, options] of [
    ["/register", { json: { email: "elsewhere@example.org", password } }],
    ["/login", { json: { email, password } }],
    ["/refresh", { json: { refresh_token } }],
    ["/token", { form: { grant_type: "refresh_token", refresh_token } }],
    ["/revoke", { form: { token: refresh_token } }],
    // At the issuer's address these are 400, 413 and 415.
    ["/login", { json: {} }],
    ["/login", { body: "x".repeat(20_000), headers: { "Content-Type": "application/json" } }],
    ["/login", { body: "x", headers: { "Content-Type": "text/plain" } }],
  ]) {
    assertWrongHost(await worker.post(`https://evil.example${path}`, options), path, "https://evil.example");
  }
  assert.deepEqual([await worker.counts(), await worker.sessionRow(session_id)], before);
});

test("a request to another address is refused before its body arrives", async () => {
  const { hostname: host, port } = worker.url;
  const response = await new Promise((resolve, reject) => {
    const headers = { Host: "evil.example", "Content-Type": "application/json", "Content-Length": "100" };
    const request = httpRequest({ host, port, method: "POST", path: "/login", headers }, (response) => {
      resolve(response);
      request.destroy();
    });
    request.on("error", reject);
    request.flushHeaders();
  });
  assert.equal(response.statusCode, 421);
});

test("no request header makes another address valid", async () => {
  const headers = {
    "X-Forwarded-Host": "auth.example.org",
    "X-Forwarded-Proto": "https",
    "X-Host": "auth.example.org",
    "X-Original-Host": "auth.example.org",
    Forwarded: "host=auth.example.org;proto=https",
    Origin: ISSUER,
  };
  assertProblem(await worker.get("https://evil.example/me", { headers }), 421, "wrong_host");
});

test("the health check is served at any address", async () => {
  for (const origin of [ISSUER, ...ELSEWHERE]) {
    assert.deepEqual((await worker.get(`${origin}/healthz`)).body, { status: "ok" });
    assert.equal((await worker.request("OPTIONS", `${origin}/healthz`)).status, 204);
    for (const path of ["/healthz/", "/healthz/x", "/HEALTHZ"])
      assertProblem(await worker.get(origin + path), ...(origin === ISSUER ? [404, "not_found"] : [421, "wrong_host"]));
  }
  await worker.update({ vars: { ISSUER: `${ISSUER}/auth` } });
  assert.equal((await worker.get("https://evil.example/auth/healthz")).status, 200);
  assertProblem(await worker.get("https://evil.example/healthz"), 421, "wrong_host");
  await worker.update();
});

test("the metadata at the root of the host is served at any address, if the issuer has a path", async () => {
  await worker.update({ vars: { ISSUER: "https://example.org/auth" } });
  for (const origin of ["https://example.org", ...ELSEWHERE]) {
    for (const name of [OAUTH, OPENID]) {
      const { status, body } = await worker.get(`${origin}${name}/auth`);
      assert.deepEqual([status, body.issuer], [200, "https://example.org/auth"]);
      const expected = origin === "https://example.org" ? 200 : 421;
      assert.equal((await worker.get(`${origin}/auth${name}`)).status, expected);
      assert.equal((await worker.get(`${origin}${name}`)).status, expected === 200 ? 404 : 421);
    }
  }
  await worker.update();
  for (const name of [OAUTH, OPENID]) assertProblem(await worker.get(`https://evil.example${name}`), 421, "wrong_host");
});

test("the Worker also serves at the addresses of ALSO_ANSWERS_AT, with the issuer unchanged in tokens and metadata", async () => {
  await worker.update({
    vars: { ALSO_ANSWERS_AT: "https://login.example.net, https://proxy.example.net:8443,http://127.0.0.1:8080" },
  });
  for (const origin of [
    "https://login.example.net",
    "https://proxy.example.net:8443",
    "http://127.0.0.1:8080",
    ISSUER,
  ]) {
    const { status, body } = await worker.post(`${origin}/register`, {
      json: { email: `at-${encodeURIComponent(origin)}@example.org`, password: "correct horse battery staple" },
    });
    assert.equal(status, 201, origin);
    const { iss } = decodeJwt(body.access_token);
    assert.equal(iss, ISSUER);
    assert.equal((await worker.get(origin + OAUTH)).body.token_endpoint, `${ISSUER}/token`);
  }
  for (const origin of [
    "http://login.example.net",
    "https://proxy.example.net",
    "https://login.example.net:8443",
    "http://127.0.0.1:8787",
    "https://evil.example",
  ]) {
    assertProblem(await worker.get(`${origin}/me`), 421, "wrong_host");
  }
  await worker.update();
});

test("with an issuer on loopback, the Worker serves at any address", async () => {
  for (const issuer of ["http://127.0.0.1:8787", "http://localhost:3000", "http://[::1]:8787", "https://localhost"]) {
    await worker.update({ vars: { ISSUER: issuer } });
    for (const origin of ["http://evil.example", ISSUER, "http://127.0.0.1:8787", "http://192.0.2.1:8787"]) {
      assertProblem(await worker.get(`${origin}/me`), 401, "missing_token");
      assert.equal((await worker.get(origin + OAUTH)).body.issuer, issuer);
    }
  }
  await worker.update();
});

test("a page of a listed origin may read the refusal, and one of an unlisted origin may not", async () => {
  const origin = "https://app.example.org";
  await worker.update({ vars: { ALLOWED_ORIGINS: origin } });
  const allowed = async (method, Origin) => {
    const headers = { Origin, "Access-Control-Request-Method": "GET" };
    const { status, headers: received } = await worker.request(method, "https://evil.example/me", { headers });
    assert.equal(status, 421);
    // A preflight without a 2xx status fails, whatever its headers.
    assert.equal(received.get("access-control-allow-methods"), null);
    return received.get("access-control-allow-origin");
  };
  for (const method of ["GET", "OPTIONS"]) {
    assert.equal(await allowed(method, origin), origin);
    assert.equal(await allowed(method, "https://evil.example"), null);
  }
  await worker.update();
});
