// CORS: which pages may call the Worker from a browser and read its responses.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { startWorker } from "../support/harness.mjs";
import { allowed, ROUTES } from "../support/routes.mjs";

const LISTED = [
  "https://app.example.org",
  "http://localhost:5173",
  "http://shop.localhost:3000",
  "capacitor://localhost",
  "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
];

let worker;
let user;
before(async () => {
  worker = await startWorker({ vars: { ALLOWED_ORIGINS: LISTED.join(", ") } });
  user = await worker.register();
});
after(() => worker.close());
beforeEach(() => worker.forgetFailures());

/** The CORS headers of a response. `Vary: Origin` is among the checks of every response. */
const corsHeaders = ({ headers }) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith("access-control-")));

const granted = (origin) => ({
  "access-control-allow-origin": origin,
  "access-control-expose-headers": "WWW-Authenticate, X-Request-Id, Retry-After, RateLimit-Policy, Token-Expired",
});

/** One request for every route and for every kind of refusal. */
const requests = () => [
  ["POST", "/login", 200, { json: { email: user.email, password: user.password } }],
  ["POST", "/login", 401, { json: { email: user.email, password: "wrong" } }],
  ["POST", "/login", 400, { json: {} }],
  ["POST", "/login", 413, { body: "x".repeat(16385) }],
  ["POST", "/login", 415, { body: "x" }],
  ["POST", "/register", 409, { json: { email: user.email, password: user.password } }],
  ["POST", "/register", 422, { json: { email: "x", password: user.password } }],
  ["POST", "/refresh", 401, { json: { refresh_token: "x" } }],
  ["POST", "/token", 400, { form: { grant_type: "refresh_token", refresh_token: "x" } }],
  [
    "POST",
    "/token",
    401,
    { form: { grant_type: "refresh_token", refresh_token: "x" }, headers: { Authorization: "Basic YTpi" } },
  ],
  ["POST", "/revoke", 200, { form: { token: "x" } }],
  ["POST", "/revoke", 400, { form: {} }],
  ["POST", "/introspect", 401, { form: { token: "x" } }],
  ["DELETE", "/sessions", 401],
  ["GET", "/me", 200, { bearer: user.access_token }],
  ["HEAD", "/me", 200, { bearer: user.access_token }],
  ["GET", "/me", 401],
  ["GET", "/verify", 401, { bearer: "x" }],
  ["GET", "/.well-known/oauth-authorization-server", 200],
  ["GET", "/.well-known/openid-configuration", 200],
  ["GET", "/.well-known/jwks.json", 200],
  ["GET", "/healthz", 200],
  ["GET", "/login", 405],
  ["PUT", "/me", 405],
  ["GET", "/unknown", 404],
];

async function assertAll(origin, expected) {
  for (const [method, path, status, options] of requests()) {
    const headers = { ...options?.headers, ...(origin === undefined ? {} : { Origin: origin }) };
    const answer = await worker.request(method, path, { ...options, headers });
    assert.equal(answer.status, status, `${method} ${path}`);
    assert.deepEqual(corsHeaders(answer), expected, `${method} ${path} from ${origin}`);
  }
}

const preflight = (path, origin, headers = {}) =>
  worker.request("OPTIONS", path, { headers: { "Access-Control-Request-Method": "POST", Origin: origin, ...headers } });

const UNLISTED = [
  "null",
  "*",
  "https://app.example.org.evil.example",
  "https://evilapp.example.org",
  "https://evil.app.example.org",
  "https://example.org",
  "https://app-example.org",
  "https://app_example.org",
  "https://app.example.org_",
  "https://app.example.orgx",
  "http://app.example.org",
  "https://app.example.org:443",
  "https://app.example.org:8443",
  "https://app.example.org/",
  "https://app.example.org/path",
  "https://APP.example.org",
  "HTTPS://app.example.org",
  "https://user@app.example.org",
  "app.example.org",
  "//app.example.org",
  "http://localhost",
  "http://localhost:5174",
  "http://localhost:51730",
  "http://127.0.0.1:5173",
  "https://localhost:5173",
  "https://app.example.org, https://evil.example",
  "https://evil.example, https://app.example.org",
  "https://app.example.org https://evil.example",
  "https://app.example.org, http://localhost:5173",
  "https://app.example.org%60.evil.example",
  "http://localhost:3000",
  "http://evil.localhost:3000",
  "http://shop.localhost",
  "capacitor://localhost/",
  "capacitor://evil",
  "ionic://localhost",
  "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba",
  "file://",
  "",
];

test("a page of a listed origin may read every response, refusals included, and send no cookies", async () => {
  for (const origin of LISTED) await assertAll(origin, granted(origin));
});

test("a page of any other origin gets no grant", async () => {
  for (const origin of UNLISTED) {
    for (const [path, options] of [["/me", { bearer: user.access_token }], ["/healthz"], ["/unknown"]]) {
      assert.deepEqual(corsHeaders(await worker.get(path, { ...options, headers: { Origin: origin } })), {}, origin);
    }
  }
  await assertAll("https://evil.example", {});
});

test("a request without an origin gets its response, and no grant", async () => {
  await assertAll(undefined, {});
});

test("a preflight of a listed origin gets the methods of the path and the allowed headers", async () => {
  for (const origin of LISTED) {
    for (const [path] of ROUTES) {
      const answer = await preflight(path, origin, {
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization,x-evil",
        "Access-Control-Request-Private-Network": "true",
      });
      assert.deepEqual([answer.status, answer.text], [204, ""]);
      assert.deepEqual(corsHeaders(answer), {
        ...granted(origin),
        "access-control-allow-headers": "Authorization, Content-Type, traceparent, tracestate, baggage, sentry-trace",
        "access-control-allow-methods": allowed(path),
        "access-control-max-age": "600",
      });
    }
  }
  assert.deepEqual(corsHeaders(await preflight("/unknown", LISTED[0])), granted(LISTED[0]));
  // Without Access-Control-Request-Method, OPTIONS is not a preflight.
  assert.deepEqual(
    corsHeaders(await worker.request("OPTIONS", "/me", { headers: { Origin: LISTED[0] } })),
    granted(LISTED[0]),
  );
});

test("a preflight of any other origin gets no grant", async () => {
  for (const origin of UNLISTED) {
    const answer = await preflight("/login", origin);
    assert.equal(answer.status, 204);
    assert.deepEqual(corsHeaders(answer), {}, origin);
  }
});

test("without a configured origin no origin gets a grant", async () => {
  await worker.update({ vars: { ALLOWED_ORIGINS: null } });
  try {
    for (const origin of [...LISTED, worker.url.origin, "null", ""]) {
      assert.deepEqual(corsHeaders(await worker.get("/me", { headers: { Origin: origin } })), {}, origin);
      assert.deepEqual(corsHeaders(await preflight("/login", origin)), {}, origin);
    }
  } finally {
    await worker.update();
  }
});

test("a refused origin is logged once, with nothing else of the request", async () => {
  // A new isolate has refused no origin yet.
  await worker.update({ vars: { ALLOWED_ORIGINS: LISTED.join(",") } });
  worker.events();
  const refused = () =>
    worker.events("origin_refused").map(({ level, request_id, event, ...rest }) => {
      assert.equal(level, "warn");
      return rest;
    });
  const typo = "https://app.example.org:3000";
  for (let again = 0; again < 3; again += 1) await preflight("/login", typo);
  assert.deepEqual(refused(), [{ origin: typo }]);
  for (const [method, path, options] of [
    ["GET", "/healthz"],
    ["GET", "/unknown"],
    ["PUT", "/me"],
    ["POST", "/login", { json: {} }],
  ]) {
    const headers = { Origin: `https://${method.toLowerCase()}.evil.example` };
    await worker.request(method, path, { ...options, headers });
    await worker.request(method, path, { ...options, headers: { Origin: typo } });
  }
  assert.deepEqual(refused(), [
    { origin: "https://get.evil.example" },
    { origin: "https://put.evil.example" },
    { origin: "https://post.evil.example" },
  ]);
  for (const origin of ["null", "Capacitor://localhost"]) await worker.get("/me", { headers: { Origin: origin } });
  assert.deepEqual(refused(), [{ origin: "null" }, { origin: "Capacitor://localhost" }]);
  // A same-origin page needs no grant.
  for (const origin of [...LISTED, worker.url.origin, "", undefined]) {
    await worker.get("/me", { headers: origin === undefined ? {} : { Origin: origin } });
    if (origin) await preflight("/login", origin);
  }
  assert.deepEqual(refused(), []);
  await worker.get("/me", { headers: { Origin: `https://e.example/"},{"event":"forged" ada@example.org \u00e4<` } });
  await worker.get("/me", { headers: { Origin: `https://${"x".repeat(10_000)}` } });
  const [odd, long] = refused();
  assert.match(odd.origin, /^https:\/\/e\.example\/[\w:?.]+$/);
  assert.match(long.origin, /^https:\/\/x{120}$/);
  await worker.update();
});
