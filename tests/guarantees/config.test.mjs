// Configuration: with an invalid one, the Worker refuses to serve and logs the reason. Unusual valid values apply.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { makeKey, makeResourceServer, makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { assertProblem, ISSUER, keySet, PASSWORD, startWorker } from "../support/harness.mjs";
import { ROUTES } from "../support/routes.mjs";

let worker;
// Each refused value is a configuration.
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** Part of every invalid value where possible, so that a log line with a value is detected. */
const CANARY = "c4n4ry";

/** A key without a `kid`, so that its other members can be changed. */
function namelessKey(alg) {
  const { kid, ...key } = makeKey(alg);
  return key;
}
const [key, otherKey] = [namelessKey(), namelessKey()];
const { entry } = makeResourceServer("orders-api", "https://api.example.org");
const resourceServers = (...changes) => ({
  RESOURCE_SERVERS: JSON.stringify(changes.map((change) => ({ ...entry, ...change }))),
});
const [okp, otherOkp, rsa, otherRsa, oct] = ["EdDSA", "EdDSA", "RS256", "RS256", "HS256"].map(namelessKey);
const shortRsa = (modulusLength) => generateKeyPairSync("rsa", { modulusLength }).privateKey.export({ format: "jwk" });
const base64url = (bytes) => Buffer.from(bytes).toString("base64url");

// The mistake, the change that makes a valid configuration invalid, and the logged problem per variable.
const BAD = [
  ["a missing issuer", { ISSUER: undefined }, { ISSUER: /^is not set$/ }],
  ["an issuer that is null", { ISSUER: null }, { ISSUER: /^is not set$/ }],
  ["an empty issuer", { ISSUER: "" }, { ISSUER: /^is not set$/ }],
  ["an issuer that is not a URL", { ISSUER: CANARY }, { ISSUER: /absolute URL/ }],
  ["an issuer without https", { ISSUER: `http://${CANARY}.example.org` }, { ISSUER: /https/ }],
  ["an issuer that resembles loopback", { ISSUER: `http://localhost.${CANARY}.example` }, { ISSUER: /https/ }],
  ["an issuer with a trailing slash", { ISSUER: `https://${CANARY}.example.org/` }, { ISSUER: /canonical/ }],
  ["an issuer with a query", { ISSUER: `https://auth.example.org?${CANARY}` }, { ISSUER: /canonical/ }],
  ["an issuer with a password", { ISSUER: `https://user:${CANARY}@example.org` }, { ISSUER: /credentials/ }],
  ["a missing audience", { AUDIENCE: undefined }, { AUDIENCE: /^is not set$/ }],
  [
    "a lifetime with a unit",
    { ACCESS_TOKEN_TTL_SECONDS: `15${CANARY}` },
    { ACCESS_TOKEN_TTL_SECONDS: /whole number from 1 to 86400/ },
  ],
  ["an unknown rotation of keys", { KEY_ROTATION: CANARY }, { KEY_ROTATION: /"automatic" or "manual"/ }],
  [
    "automatic rotation without data secrets",
    { KEY_ROTATION: "automatic", DATA_SECRETS: null },
    { KEY_ROTATION: /set DATA_SECRETS/ },
  ],
  ["a time of keys in milliseconds", { KEYS_NOT_BEFORE: "1795651200000" }, { KEYS_NOT_BEFORE: /whole number/ }],
  ["an unknown policy for second factors", { MFA: CANARY }, { MFA: /"optional", "admins" or "required"/ }],
  [
    "a lifetime of admin sessions above a year",
    { AAL2_SESSION_TTL_SECONDS: "31536001" },
    { AAL2_SESSION_TTL_SECONDS: /whole number/ },
  ],
  ["a lifetime of zero", { ACCESS_TOKEN_TTL_SECONDS: "0" }, { ACCESS_TOKEN_TTL_SECONDS: /whole number/ }],
  [
    "a lifetime that is not a string",
    { ACCESS_TOKEN_TTL_SECONDS: 900 },
    { ACCESS_TOKEN_TTL_SECONDS: /put it in quotes/ },
  ],
  [
    "a session shorter than its access tokens",
    { REFRESH_IDLE_TTL_SECONDS: "899" },
    { REFRESH_IDLE_TTL_SECONDS: /not be shorter/ },
  ],
  [
    "an absolute timeout shorter than the idle timeout",
    { SESSION_TTL_SECONDS: "604799" },
    { SESSION_TTL_SECONDS: /not be shorter/ },
  ],
  ["a date", { SESSIONS_NOT_BEFORE: `2026-11-25${CANARY}` }, { SESSIONS_NOT_BEFORE: /whole number from 0 to/ }],
  ["a time in milliseconds", { SESSIONS_NOT_BEFORE: "1796083200000" }, { SESSIONS_NOT_BEFORE: /whole number/ }],
  ["a time of keys in the future", { KEYS_NOT_BEFORE: "4102444799" }, { KEYS_NOT_BEFORE: /^is in the future$/ }],
  ["a time in the future", { SESSIONS_NOT_BEFORE: "4102444799" }, { SESSIONS_NOT_BEFORE: /^is in the future$/ }],
  ["a negative grace window", { REFRESH_GRACE_SECONDS: "-1" }, { REFRESH_GRACE_SECONDS: /from 0 to 300/ }],
  ["a password minimum below eight", { PASSWORD_MIN_LENGTH: "7" }, { PASSWORD_MIN_LENGTH: /from 8 to 64/ }],
  [
    "a word of the organisation that is too short",
    { PASSWORD_CONTEXT_WORDS: `${CANARY},abc` },
    { PASSWORD_CONTEXT_WORDS: /at most 100 words of at least 4 characters/ },
  ],
  ["an unknown breach check", { BREACH_CHECK: CANARY }, { BREACH_CHECK: /"off", "warn" or "refuse"/ }],
  [
    "a range API without https",
    { BREACH_CHECK_URL: `http://${CANARY}.example.org` },
    { BREACH_CHECK_URL: /https \(http on loopback only\)/ },
  ],
  [
    "a range API with a query",
    { BREACH_CHECK: "refuse", BREACH_CHECK_URL: `https://api.example.org?${CANARY}` },
    { BREACH_CHECK_URL: /no query/ },
  ],
  ["Argon2 below the OWASP minimum", { ARGON2_MEMORY_KIB: "19455" }, { ARGON2_MEMORY_KIB: /OWASP/ }],
  ["Argon2 above the memory of an isolate", { ARGON2_MEMORY_KIB: "65537" }, { ARGON2_MEMORY_KIB: /from 1 to 65536/ }],
  ["the wildcard origin", { ALLOWED_ORIGINS: "*" }, { ALLOWED_ORIGINS: /neither/ }],
  ["the origin null", { ALLOWED_ORIGINS: `https://${CANARY}.example.org,null` }, { ALLOWED_ORIGINS: /neither/ }],
  [
    "an origin with a path",
    { ALLOWED_ORIGINS: `https://app.example.org/${CANARY}` },
    { ALLOWED_ORIGINS: /form browsers send.*scheme:\/\/host.*no slash/ },
  ],
  [
    "an app's origin with a slash",
    { ALLOWED_ORIGINS: `https://app.example.org,capacitor://${CANARY}/` },
    { ALLOWED_ORIGINS: /number 2 .*no slash/ },
  ],
  [
    "an origin of an unknown scheme",
    { ALLOWED_ORIGINS: `${CANARY}://localhost` },
    { ALLOWED_ORIGINS: /capacitor:\/\/localhost/ },
  ],
  ["every name on loopback", { ALLOWED_ORIGINS: "http://*.localhost" }, { ALLOWED_ORIGINS: /neither/ }],
  [
    "an address with a path",
    { ALSO_ANSWERS_AT: `https://auth.example.org/${CANARY}` },
    { ALSO_ANSWERS_AT: /exact origins.*no slash/ },
  ],
  [
    "an issuer with an empty segment",
    { ISSUER: `https://auth.example.org//${CANARY}` },
    { ISSUER: /unreserved characters/ },
  ],
  ["an invalid switch of the account pages", { PAGES: CANARY }, { PAGES: /"on" or "off"/ }],
  ["an invalid switch of the documentation", { DOCS: `on${CANARY}` }, { DOCS: /"on" or "off"/ }],
  ["an invalid registration mode", { REGISTRATION: CANARY }, { REGISTRATION: /"open" or "closed"/ }],
  ["resource servers that are not JSON", { RESOURCE_SERVERS: CANARY }, { RESOURCE_SERVERS: /not a JSON array/ }],
  [
    "a resource server with a plaintext secret",
    resourceServers({ secret: CANARY }),
    { RESOURCE_SERVERS: /server 1: it must have/ },
  ],
  [
    "a resource server with half a hash",
    resourceServers({ secret_sha256: CANARY }),
    { RESOURCE_SERVERS: /server 1: "secret_sha256"/ },
  ],
  [
    "a resource server with a colon in its id",
    resourceServers({ id: `${CANARY}:` }),
    { RESOURCE_SERVERS: /server 1: "id"/ },
  ],
  ["two resource servers with one id", resourceServers({}, {}), { RESOURCE_SERVERS: /server 2: the same "id"/ }],
  [
    "two resource servers with one secret",
    resourceServers({}, { id: "other" }),
    { RESOURCE_SERVERS: /server 2: the same secret/ },
  ],
  ["a list that is not a string", { LOG: { [CANARY]: true } }, { LOG: /put it in quotes/ }],
  ["an unknown log event", { LOG: `costs,${CANARY}` }, { LOG: /must list costs and refreshes/ }],
  [
    "an incomplete list of rate limits",
    { RATE_LIMITS: `credentials=20/60,${CANARY}=10/60` },
    { RATE_LIMITS: /each once/ },
  ],
  [
    "a period that no rate limiter has",
    { RATE_LIMITS: `credentials=20/30,${CANARY}` },
    { RATE_LIMITS: /10 or 60 seconds/ },
  ],
  [
    "a domain of passkeys with a scheme",
    { WEBAUTHN_RP_ID: `https://${CANARY}.example` },
    { WEBAUTHN_RP_ID: /domain in lower case/ },
  ],
  ["a domain of passkeys of no page", { WEBAUTHN_RP_ID: `${CANARY}.example` }, { WEBAUTHN_RP_ID: /WEBAUTHN_ORIGINS/ }],
  [
    "an origin of passkeys with a slash",
    { WEBAUTHN_ORIGINS: `https://${CANARY}.example/` },
    { WEBAUTHN_ORIGINS: /number 1/ },
  ],
  ["an unknown rule for counters", { WEBAUTHN_COUNTER: CANARY }, { WEBAUTHN_COUNTER: /"refuse" or "log"/ }],
  ["a header of a proxy without its secret", { SOURCE_HEADER: CANARY }, { SOURCE_HEADER: /SOURCE_SECRET/ }],
  [
    "a secret of a proxy without a header",
    { SOURCE_SECRET: randomBytes(32).toString("base64url") },
    { SOURCE_SECRET: /SOURCE_HEADER/ },
  ],
  [
    "a short secret of a proxy",
    { SOURCE_HEADER: "X-Client", SOURCE_SECRET: base64url(CANARY) },
    { SOURCE_SECRET: /32 random bytes/ },
  ],
  [
    "a site key without the secret of Turnstile",
    { TURNSTILE_SITE_KEY: CANARY },
    { TURNSTILE_SITE_KEY: /TURNSTILE_SECRET/ },
  ],
  [
    "an address of Turnstile without https",
    { TURNSTILE_URL: `http://${CANARY}.example.org` },
    { TURNSTILE_URL: /https/ },
  ],
  [
    "an address of the metrics without https",
    { METRICS_URL: `http://${CANARY}.example.org`, METRICS_TOKEN: CANARY },
    { METRICS_URL: /https/ },
  ],
  [
    "a dataset that would be more than a name in a query",
    { METRICS_DATASET: `${CANARY} WHERE 1` },
    { METRICS_DATASET: /letters, digits and underscores/ },
  ],
  ["an unknown sender of mails", { MAIL: CANARY }, { MAIL: /"log", "binding", "http" or "webhook"/ }],
  ["mails in the log of a public service", { MAIL: "log", ISSUER: "https://auth.example.org" }, { MAIL: /loopback/ }],
  ["the binding without an originator", { MAIL: "binding" }, { MAIL_FROM: /MAIL = "binding" needs it/ }],
  [
    "an API without anything",
    { MAIL: "http" },
    { MAIL_FROM: /"http" needs it/, MAIL_URL: /"http" needs it/, MAIL_KEY: /"http" needs it/ },
  ],
  [
    "a webhook without anything",
    { MAIL: "webhook" },
    { MAIL_WEBHOOK_URL: /"webhook" needs it/, MAIL_WEBHOOK_SECRET: /"webhook" needs it/ },
  ],
  ["an originator that is not an address", { MAIL_FROM: CANARY }, { MAIL_FROM: /a name and an address/ }],
  [
    "an originator of two lines",
    { MAIL_FROM: `A\r\nBcc: ${CANARY}@example.org <auth@example.org>` },
    { MAIL_FROM: /a name and an address/ },
  ],
  ["an API of mails without https", { MAIL_URL: `http://${CANARY}.example.org` }, { MAIL_URL: /https/ }],
  ["a key with a line break", { MAIL_KEY: `${CANARY}\r\nX: y` }, { MAIL_KEY: /visible ASCII/ }],
  [
    "a webhook with a password in its URL",
    { MAIL_WEBHOOK_URL: `https://x:${CANARY}@example.org` },
    { MAIL_WEBHOOK_URL: /credentials/ },
  ],
  ["a short secret of a webhook", { MAIL_WEBHOOK_SECRET: base64url(CANARY) }, { MAIL_WEBHOOK_SECRET: /32 random/ }],
  [
    "a secret of a webhook that is also the token secret",
    { MAIL_WEBHOOK_SECRET: oct.k, TOKEN_SECRET: oct.k },
    { MAIL_WEBHOOK_SECRET: /TOKEN_SECRET/ },
  ],
  ["a daily limit with a unit", { MAIL_DAILY_LIMIT: `100${CANARY}` }, { MAIL_DAILY_LIMIT: /whole number from 0/ }],
  ["an unknown language of mails", { MAIL_LOCALES: `en,${CANARY}` }, { MAIL_LOCALES: /at least one of: en, de/ }],
  ["a name of the app of two lines", { APP_NAME: `A\n${CANARY}` }, { APP_NAME: /one line of at most 60/ }],
  ["a page of help without https", { SUPPORT_URL: `http://${CANARY}.example.org` }, { SUPPORT_URL: /https/ }],
  ["a missing token secret", { TOKEN_SECRET: undefined }, { TOKEN_SECRET: /^is not set$/ }],
  ["the placeholder for a token secret", { TOKEN_SECRET: "replace-me" }, { TOKEN_SECRET: /base64url/ }],
  ["a short token secret", { TOKEN_SECRET: base64url(CANARY) }, { TOKEN_SECRET: /32 bytes/ }],
  ["a token secret that is a repeated word", { TOKEN_SECRET: base64url(CANARY.repeat(8)) }, { TOKEN_SECRET: /random/ }],
  [
    "a token secret that is also a signing key",
    { ...keySet(oct), ALLOW_HS256: "true", TOKEN_SECRET: oct.k },
    { TOKEN_SECRET: /SIGNING_KEYS/ },
  ],
  [
    "a short token secret after a valid one",
    { TOKEN_SECRET: `${makeSecrets().TOKEN_SECRET},${base64url(CANARY)}` },
    { TOKEN_SECRET: /32 bytes/ },
  ],
  ["the placeholder for data secrets", { DATA_SECRETS: "replace-me" }, { DATA_SECRETS: /base64url/ }],
  [
    "a short data secret after a valid one",
    { DATA_SECRETS: `${makeSecrets().DATA_SECRETS},${base64url(CANARY)}` },
    { DATA_SECRETS: /32 bytes/ },
  ],
  ["a data secret that is a repeated word", { DATA_SECRETS: base64url(CANARY.repeat(8)) }, { DATA_SECRETS: /random/ }],
  [
    "a data secret that is also the token secret",
    { DATA_SECRETS: oct.k, TOKEN_SECRET: oct.k },
    { DATA_SECRETS: /TOKEN_SECRET/ },
  ],
  ["missing signing keys", { SIGNING_KEYS: undefined }, { SIGNING_KEYS: /^is not set$/ }],
  ["signing keys that are not JSON", { SIGNING_KEYS: CANARY }, { SIGNING_KEYS: /not a JWK Set/ }],
  ["the placeholder for signing keys", keySet(), { SIGNING_KEYS: /empty/ }],
  ["a key without its private part", keySet({ ...key, d: undefined }), { SIGNING_KEYS: /key 1: the private part/ }],
  ["an unknown algorithm", keySet({ ...key, alg: CANARY }), { SIGNING_KEYS: /key 1: "alg"/ }],
  ["an unknown key type", keySet({ ...key, kty: CANARY }), { SIGNING_KEYS: /key 1: "kty"/ }],
  ["an HS256 key without ALLOW_HS256", keySet(oct), { SIGNING_KEYS: /HS256 key.*set ALLOW_HS256 to "true"/ }],
  [
    "an HS256 key after another key, without ALLOW_HS256",
    { ...keySet(key, oct), ALLOW_HS256: "false" },
    { SIGNING_KEYS: /HS256 key/ },
  ],
  [
    "an HMAC secret that is a repeated word",
    { ...keySet({ ...oct, k: base64url(CANARY.repeat(8)) }), ALLOW_HS256: "true" },
    { SIGNING_KEYS: /key 1: "k" must be random/ },
  ],
  [
    "a short HMAC secret",
    { ...keySet({ ...oct, k: base64url(CANARY.repeat(5)) }), ALLOW_HS256: "true" },
    { SIGNING_KEYS: /key 1: "k".*32 bytes/ },
  ],
  ["an invalid ALLOW_HS256", { ALLOW_HS256: CANARY }, { ALLOW_HS256: /"true" or "false"/ }],
  ["an RSA key of 2048 bits", keySet({ ...shortRsa(2048), alg: "RS256" }), { SIGNING_KEYS: /key 1:.*3072 bits/ }],
  ["an RSA key one bit too short", keySet({ ...shortRsa(3071), alg: "RS256" }), { SIGNING_KEYS: /key 1:.*3072 bits/ }],
  ["an RSA key with another exponent", keySet({ ...rsa, e: "Aw" }), { SIGNING_KEYS: /key 1: "e"/ }],
  ["a key for another algorithm", keySet({ ...rsa, alg: "PS256" }), { SIGNING_KEYS: /key 1: "alg"/ }],
  [
    "a start that is not a number",
    keySet({ ...key, signs_from: CANARY }),
    { SIGNING_KEYS: /key 1: "signs_from" must be unix seconds/ },
  ],
  [
    "a start in milliseconds",
    keySet({ ...key, signs_from: Date.now() }),
    { SIGNING_KEYS: /key 1: "signs_from" must be unix seconds/ },
  ],
  [
    "only keys that start in the future",
    keySet({ ...key, signs_from: 4102444800 }),
    { SIGNING_KEYS: /no key may sign yet/ },
  ],
  [
    "a claim that tokens cannot contain",
    { ACCESS_TOKEN_CLAIMS: `email,${CANARY}` },
    { ACCESS_TOKEN_CLAIMS: /must list claims separated by commas, each at most once/ },
  ],
  ["a claim twice", { ACCESS_TOKEN_CLAIMS: "name,email,name" }, { ACCESS_TOKEN_CLAIMS: /each at most once/ }],
  ["a key whose kid is another thumbprint", keySet({ ...key, kid: CANARY }), { SIGNING_KEYS: /key 1: "kid"/ }],
  ["the same key twice", keySet(key, key), { SIGNING_KEYS: /key 2: the same key/ }],
  // These are well-formed keys: only the cryptography of the runtime detects the mistake.
  ["a point that is not on the curve", keySet({ ...key, y: otherKey.y }), { SIGNING_KEYS: /importKey/ }],
  ["the private part of another key", keySet({ ...key, d: otherKey.d }), { SIGNING_KEYS: /importKey|self-test/ }],
  [
    "a private part of zero",
    keySet({ ...key, d: base64url(Buffer.alloc(32)) }),
    { SIGNING_KEYS: /importKey|self-test/ },
  ],
  [
    "the private part of another Ed25519 key",
    keySet({ ...okp, d: otherOkp.d }),
    { SIGNING_KEYS: /importKey|self-test/ },
  ],
  ["a part of another RSA key", keySet({ ...rsa, dp: otherRsa.dp }), { SIGNING_KEYS: /importKey|self-test/ }],
  ["the modulus of another RSA key", keySet({ ...rsa, n: otherRsa.n }), { SIGNING_KEYS: /importKey|self-test/ }],
  ["a mixed-up key after a valid one", keySet(key, { ...otherKey, d: key.d }), { SIGNING_KEYS: /importKey|self-test/ }],
  // All mistakes are reported at once.
  [
    "several mistakes",
    { ISSUER: CANARY, REGISTRATION: CANARY, TOKEN_SECRET: CANARY },
    { ISSUER: /absolute URL/, REGISTRATION: /"open"/, TOKEN_SECRET: /base64url/ },
  ],
  [
    "nothing at all",
    { ISSUER: undefined, AUDIENCE: undefined, SIGNING_KEYS: undefined, TOKEN_SECRET: undefined },
    { ISSUER: /^is not set$/, AUDIENCE: /^is not set$/, SIGNING_KEYS: /^is not set$/, TOKEN_SECRET: /^is not set$/ },
  ],
];

const REQUESTS = [
  ["GET", "/healthz"],
  ["POST", "/login"],
  ["OPTIONS", "/login"],
  ["HEAD", "/me"],
  ["GET", "/unknown"],
];
/** The mistakes with which every route is requested, whatever configuration it needs. */
const REQUEST_ALL_ROUTES = ["a missing issuer", "a point that is not on the curve", "nothing at all"];
const ALL_REQUESTS = [...REQUESTS, ...ROUTES.map(([path, method]) => [method, path])];

test("with an invalid configuration every route gives the same error, and the log reports the reason without any value", async (t) => {
  const good = { ISSUER: "https://auth.example.org", AUDIENCE: "https://api.example.org", ...makeSecrets() };
  const bodies = new Set();
  for (const [what, changes, problems] of BAD) {
    await t.test(what, async () => {
      // `update` would remove null values.
      await worker.runtime.configure({ ...good, ...changes });
      worker.events();
      for (const [method, path] of REQUEST_ALL_ROUTES.includes(what) ? ALL_REQUESTS : REQUESTS) {
        const answer = await worker.request(method, path, { headers: { Origin: "https://app.example.org" } });
        const request_id = answer.headers.get("x-request-id");
        if (method === "HEAD") {
          assert.deepEqual([answer.status, answer.text], [503, ""]);
        } else {
          assertProblem(answer, 503, "misconfigured");
          bodies.add(answer.text.replace(request_id, ""));
        }
        assert.equal(answer.headers.get("access-control-allow-origin"), null);

        const events = worker.events();
        assert.deepEqual(
          events.map((event) => event.variable),
          Object.keys(problems),
        );
        for (const { problem, variable, ...event } of events) {
          assert.match(problem, problems[variable]);
          assert.deepEqual(event, { level: "error", request_id, event: "misconfigured" });
        }
        assertShowsNoValue(JSON.stringify(events), changes);
      }
    });
  }
  assert.equal(bodies.size, 1, [...bodies].join("\n"));
});

function assertShowsNoValue(log, changes) {
  const values = [changes, key, otherKey, okp, otherOkp, rsa, otherRsa, oct].flatMap((object) => Object.values(object));
  // Short values, such as numbers, may occur in a request id by chance.
  for (const value of [CANARY, ...values.filter((value) => value?.length > 9)]) assert.ok(!log.includes(value), log);
}

test("the Worker serves once the configuration is valid", async () => {
  await worker.update({ vars: { ISSUER: "" } });
  assertProblem(await worker.get("/healthz"), 503, "misconfigured");
  await worker.update();
  assert.equal((await worker.get("/healthz")).status, 200);
  await worker.register();
});

test("every route exists below the path of the issuer, and nowhere else", async () => {
  await worker.update({ vars: { ISSUER: `${ISSUER}/auth/v1` } });
  const { status, body } = await worker.post("/auth/v1/register", {
    json: { email: "based@example.org", password: PASSWORD },
  });
  assert.equal(status, 201);
  assert.equal((await worker.get("/auth/v1/me", { bearer: body.access_token })).status, 200);
  assert.equal((await worker.get("/auth/v1/.well-known/jwks.json")).body.keys.length, 1);
  for (const [path, method] of ROUTES) {
    const options = { bearer: body.access_token };
    assert.notEqual((await worker.request(method, `/auth/v1${path}`)).status, 404, path);
    const outside = [
      "",
      "/auth",
      "/auth/v1x",
      "/auth/v1/",
      "/auth/v1/auth/v1",
      "/AUTH/V1",
      "/x/auth/v1",
      "/auth/v2",
    ].map((base) => base + path);
    // Browsers ask for these at the root of the host only.
    if (/^\/\.well-known\/(webauthn|passkey-endpoints)$/.test(path)) outside.shift();
    for (const other of [...outside, ...(path === "/" ? [] : [`/auth/v1${path.slice(1)}`])]) {
      assertProblem(await worker.request(method, other, options), 404, "not_found");
    }
  }
  for (const path of ["/", "/auth", "/auth/"]) assertProblem(await worker.get(path), 404, "not_found");
  for (const path of ["/auth/v1", "/auth/v1/"]) {
    const { headers } = await worker.get(path, { headers: { Accept: "text/html" } });
    assert.equal(headers.get("location"), "/auth/v1/account/");
    assert.equal((await worker.get(path)).body.issuer, `${ISSUER}/auth/v1`);
  }
});

test("unusual lifetimes, names and minimums apply", async () => {
  await worker.update({
    vars: {
      ISSUER: "https://login.example.org/tenant",
      AUDIENCE: "urn:example:api",
      CLIENT_ID: "mobile",
      ACCESS_TOKEN_TTL_SECONDS: "1",
      REFRESH_IDLE_TTL_SECONDS: "60",
      SESSION_TTL_SECONDS: "60",
      REFRESH_GRACE_SECONDS: "0",
      PASSWORD_MIN_LENGTH: "8",
    },
  });
  const post = (path, json) => worker.post(`/tenant${path}`, { json });
  assertProblem(
    await post("/register", { email: "short@example.org", password: "7 chars" }),
    422,
    "password_too_short",
  );
  const { status, body: user } = await post("/register", { email: "eight@example.org", password: "8 chars!" });
  assert.equal(status, 201);
  assert.deepEqual([user.expires_in, user.refresh_expires_in], [1, 60]);
  const { iss, aud, client_id, iat, exp } = decodeJwt(user.access_token);
  assert.deepEqual(
    [iss, aud, client_id, exp - iat],
    ["https://login.example.org/tenant", "urn:example:api", "mobile", 1],
  );
  // A second passes quickly on a busy machine.
  await worker.advance(-10_000);
  assert.equal((await worker.get("/tenant/me", { bearer: user.access_token })).status, 200);
  await worker.advance(10_000);
  // Without a grace window the first retry is reuse.
  assert.equal((await post("/refresh", { refresh_token: user.refresh_token })).status, 200);
  assertProblem(await post("/refresh", { refresh_token: user.refresh_token }), 401, "invalid_refresh_token");
});

test("an empty variable has its default, like an unset one", async () => {
  const optional = [
    "CLIENT_ID",
    "ACCESS_TOKEN_TTL_SECONDS",
    "PASSWORD_MIN_LENGTH",
    "ALLOWED_ORIGINS",
    "REGISTRATION",
    "LOG",
  ];
  for (const value of ["", null]) {
    await worker.update({ vars: Object.fromEntries(optional.map((name) => [name, value])) });
    const { expires_in, access_token } = await worker.register();
    const { client_id } = decodeJwt(access_token);
    assert.deepEqual([expires_in, client_id], [900, "first-party"]);
    assertProblem(
      await worker.post("/register", { json: { email: "short@example.org", password: "fourteen chars" } }),
      422,
      "password_too_short",
    );
  }
});

test("rotating the token secret logs no user out until the old secret is removed", async () => {
  await worker.update();
  const [before, other] = [await worker.register(), await worker.register()];
  const [oldSecret, newSecret] = [worker.secrets.TOKEN_SECRET, makeSecrets().TOKEN_SECRET];
  await worker.update({ secrets: { TOKEN_SECRET: `${newSecret}, ${oldSecret}` } });
  const { status, body } = await worker.refresh(before.refresh_token);
  assert.equal(status, 200);

  await worker.update({ secrets: { TOKEN_SECRET: newSecret } });
  assert.equal((await worker.refresh(body.refresh_token)).status, 200);
  assertProblem(await worker.refresh(other.refresh_token), 401, "invalid_refresh_token");
});
