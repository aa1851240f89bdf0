// The rate limits: which requests count, by which key, and what a request over the limit costs. Stand-ins for the rate
// limiters count exactly; one test uses those of workerd.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { Authenticator } from "../support/authenticator.mjs";
import {
  assertOAuthError,
  assertProblem,
  basic,
  forged,
  from,
  many,
  PASSWORD,
  restored,
  startWorker,
} from "../support/harness.mjs";
import { BEARER_ROUTES, ENDPOINTS } from "../support/routes.mjs";

const AUDIENCE = "https://api.example.org";
const api = makeResourceServer("orders-api", AUDIENCE);
const POLICIES = {
  credentials: '"credentials";q=20;w=60',
  name: '"name";q=10;w=60',
  bad_token: '"bad_token";q=60;w=60',
  writes: '"writes";q=120;w=60',
};
/** Stand-ins that refuse nothing. */
const OPEN = Object.fromEntries(
  ["CREDENTIALS", "NAME", "BAD_TOKEN", "WRITES", "CHALLENGE"].map((name) => [`LIMIT_${name}`, 1000]),
);

let worker;
before(async () => {
  worker = await startWorker({
    vars: { RESOURCE_SERVERS: JSON.stringify([api.entry]), LOG: "costs", MAIL: "log", EMAIL_LOGIN: "on" },
  });
});
beforeEach(() => limit());
after(() => worker.close());

const admin = restored(
  () => worker,
  () => worker.registerAdmin(),
);

/** Replaces the limiters, and clears what was asked and logged, and the failed logins. */
async function limit(limits = {}) {
  await worker.limit({ ...OPEN, ...limits });
  await worker.forgetFailures();
  await worker.asked();
  worker.runtime.log.take();
}

/** What limiters were asked, except those of names. */
const askedBySource = async () => (await worker.asked()).filter((asked) => !asked.startsWith("LIMIT_NAME "));

/** The source of the last IP address, and the next address. */
let addresses = 0;
const nextAddress = () => `198.51.100.${++addresses}`;

/** Asserts a 429 of a class, and that the request read and wrote nothing. */
function assertLimited(answer, kind, isOAuth = false) {
  if (isOAuth) assertOAuthError(answer, 429, "temporarily_unavailable");
  else assertProblem(answer, 429, "rate_limited");
  assert.equal(answer.headers.get("retry-after"), "60");
  assert.equal(answer.headers.get("ratelimit-policy"), POLICIES[kind]);
  const costs = worker.runtime.log
    .take()
    .map((line) => JSON.parse(line))
    .filter(({ event, request_id }) => event === "costs" && request_id === answer.headers.get("x-request-id"));
  assert.deepEqual(
    costs.map(({ d1_round_trips, kv_gets, kv_puts }) => [d1_round_trips, kv_gets, kv_puts]),
    [[0, 0, 0]],
  );
}

const authenticator = new Authenticator();
const ceremony = { challenge: "AAAA", rp: { id: "localhost" }, user: { id: "AAAAAAAAAAAAAAAAAAAAAA" } };
/** The registration and a use of a passkey that no account has. */
const registration = authenticator.create({ publicKey: ceremony });
const unknown = authenticator.get({ publicKey: ceremony });

/** A valid request to an endpoint, of a new user or of an admin. */
const REQUESTS = {
  Register: () => ({ json: { email: `limited-${++addresses}@example.org`, password: PASSWORD } }),
  Login: () => ({ json: { email: "nobody@example.org", password: PASSWORD } }),
  EmailLogin: () => ({ json: { email: "nobody@example.org" } }),
  EmailLoginVerify: () => ({ json: { challenge: "x", code: "x" } }),
  ForgotPassword: () => ({ json: { email: "nobody@example.org" } }),
  ResetPassword: () => ({ json: { challenge: "x", code: "x", new_password: PASSWORD } }),
  SendVerification: () => ({ json: { challenge: "x" } }),
  VerifyEmail: () => ({ json: { challenge: "x", code: "x" } }),
  Disown: () => ({ json: { challenge: "x", code: "x" } }),
  MailLink: () => ({ json: { token: "x" } }),
  CancelEmail: () => ({ json: { token: "x" } }),
  UpdateMe: () => ({ json: { name: "Ada" } }),
  RegisterPasskeyOptions: () => ({ json: { email: `limited-${++addresses}@example.org` } }),
  RegisterPasskey: () => ({ json: { credential: registration, email: `limited-${++addresses}@example.org` } }),
  LoginMfaOptions: () => ({ json: { mfa_token: "x" } }),
  PasskeyLogin: () => ({ json: { credential: unknown } }),
  MyPasskeyOptions: () => ({ json: {} }),
  AddPasskey: () => ({ json: { credential: registration } }),
  RenamePasskey: () => ({ json: { name: "Mine" } }),
  LoginMfa: () => ({ json: { mfa_token: "x", challenge: "x", mail_code: "x" } }),
  ConfirmTotp: () => ({ json: { code: "000000" } }),
  StepUp: () => ({ json: { password: PASSWORD } }),
  ChangePassword: () => ({ json: { current_password: PASSWORD, new_password: `${PASSWORD}!` } }),
  UpdateUser: () => ({ json: { disabled: true } }),
};

for (const { name, method, path, limit: kind } of ENDPOINTS.filter((endpoint) => endpoint.limit !== "None")) {
  test(`${method} ${path} is answered 429 after the limit of its class, and then costs nothing`, async () => {
    const user = kind === "Writes" ? await admin() : undefined;
    const class_ = kind.toLowerCase();
    const binding = `LIMIT_${kind.toUpperCase()}`;
    const ip = nextAddress();
    const send = () =>
      worker.request(method, path.replace("{id}", "AAAAAAAAAAAAAAAAAAAAAA"), {
        ...REQUESTS[name]?.(),
        bearer: user?.access_token,
        ...from(ip),
      });
    await limit({ [binding]: 0 });
    assertLimited(await send(), class_);
    await limit({ [binding]: 1 });
    const first = await send();
    assert.notEqual(first.status, 429, first.text);
    worker.runtime.log.take();
    const key = user === undefined ? `source:${ip}` : `session:${user.session_id}`;
    assert.deepEqual(
      (await worker.asked()).filter((asked) => asked.startsWith(`${binding} `)),
      [`${binding} ${key}`],
    );
    // A session that has ended is still limited, because the limit comes before storage.
    assertLimited(await send(), class_);
  });
}

test("an endpoint of no class asks no limiter, and neither does a valid token", async () => {
  const user = await admin();
  await limit();
  for (const { name, method, path } of ENDPOINTS.filter((endpoint) => endpoint.limit === "None")) {
    const isBearer = BEARER_ROUTES.some(([own, by]) => own === path && by === method);
    const details = {
      Refresh: { json: { refresh_token: user.refresh_token } },
      Logout: { json: {} },
      Token: { form: { grant_type: "refresh_token", refresh_token: user.refresh_token } },
      Introspect: { form: { token: user.access_token }, headers: { Authorization: basic("orders-api", api.secret) } },
      Revoke: { form: { token: user.refresh_token } },
    };
    const answer = await worker.request(method, path.replace("{id}", user.user.id), {
      bearer: isBearer ? user.access_token : undefined,
      ...details[name],
    });
    assert.ok(answer.status < 500, `${name} ${answer.status}`);
    if (name === "Introspect") assert.notEqual(answer.status, 401);
  }
  assert.deepEqual(await worker.asked(), []);
});

test("a login counts by source, whatever the name, and other sources are not affected", async () => {
  await limit({ LIMIT_CREDENTIALS: 3 });
  const [ip, other] = [nextAddress(), nextAddress()];
  const login = (number, address) =>
    worker.login({ email: `unknown-${number}@example.org`, password: PASSWORD }, from(address));
  const statuses = [];
  for (const number of [0, 1, 2, 3, 4]) statuses.push((await login(number, ip)).status);
  assert.deepEqual(statuses, [401, 401, 401, 429, 429]);
  assertProblem(await login(0, other), 401, "invalid_credentials");
});

test("a login counts by name, from any source and in any spelling, whether an account has it or not", async () => {
  const user = await admin();
  for (const name of [user.email, "nobody@example.org"]) {
    await limit({ LIMIT_NAME: 2 });
    const statuses = [];
    for (const email of [name, name.toUpperCase(), ` ${name}`]) {
      const answer = await worker.login({ email, password: "wrong" }, from(nextAddress()));
      statuses.push(answer.status);
      if (answer.status === 429) assertLimited(answer, "name");
    }
    assert.deepEqual(statuses, [401, 401, 429]);
    const keys = (await worker.asked()).filter((asked) => asked.startsWith("LIMIT_NAME "));
    assert.match(keys[0], /^LIMIT_NAME name:[\w-]{4}$/);
    assert.deepEqual(new Set(keys).size, 1);
    assert.equal((await worker.login({ email: "x@example.org", password: "wrong" })).status, 401, "another name");
  }
});

test("a known device counts by its user instead of by source and name, and only for its own user", async () => {
  const user = await worker.register();
  const other = await worker.register();
  await limit({ LIMIT_CREDENTIALS: 1, LIMIT_NAME: 0 });
  const login = ({ email, password }, device_token) =>
    worker.post("/login", { json: { email, password, device_token }, ...from(ip) });
  const ip = nextAddress();
  assertLimited(await login(user), "name");
  await worker.asked();
  assert.equal((await login(user, user.device_token)).status, 200);
  const [asked, ...others] = await worker.asked();
  assert.equal(asked, `LIMIT_CREDENTIALS devices:${user.user.id}`);
  assert.deepEqual(others, []);
  assertLimited(await login(user, user.device_token), "credentials");
  // The device of another user is asked first, then the source, before any hash.
  const answer = await login(user, other.device_token);
  assertProblem(answer, 429, "rate_limited");
  assert.deepEqual((await worker.asked()).slice(-2), [
    `LIMIT_CREDENTIALS devices:${other.user.id}`,
    `LIMIT_CREDENTIALS source:${ip}`,
  ]);
});

for (const [what, addresses, isOne] of [
  ["addresses of one IPv6 network of 64 bits", ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"], true],
  ["an IPv4 address and the same one mapped to IPv6", ["192.0.2.200", "::ffff:192.0.2.200"], true],
  ["addresses of two IPv6 networks of 64 bits", ["2001:db8:1:3::1", "2001:db8:1:4::1"], false],
  ["two IPv4 addresses of one network", ["192.0.2.201", "192.0.2.202"], false],
]) {
  test(`${what} are ${isOne ? "one source" : "two sources"}`, async () => {
    await limit({ LIMIT_BAD_TOKEN: 1 });
    const user = await admin();
    const refresh = (ip) => worker.refresh(forged(user.refresh_token), from(ip));
    assert.equal((await refresh(addresses[0])).status, 401);
    assert.equal((await refresh(addresses[1])).status, isOne ? 429 : 401);
  });
}

test("requests without an address or from loopback are not limited by source", async () => {
  await limit({ LIMIT_CREDENTIALS: 0, LIMIT_BAD_TOKEN: 0 });
  const user = await admin();
  for (const ip of ["127.0.0.1", "::1", "unknown"]) {
    assertProblem(
      await worker.login({ email: "nobody@example.org", password: PASSWORD }, from(ip)),
      401,
      "invalid_credentials",
    );
    assert.equal((await worker.refresh(forged(user.refresh_token), from(ip))).status, 401);
  }
  assert.deepEqual(await askedBySource(), []);
});

const PROXY_SECRET = "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

test("the header of a proxy tells the source and the address in the audit trail, if the secret is right", async () => {
  const user = await admin();
  await worker.update({ vars: { SOURCE_HEADER: "X-Client" }, secrets: { SOURCE_SECRET: PROXY_SECRET } });
  await limit();
  for (const [what, address, secret, expected] of [
    ["right", "203.0.113.5", PROXY_SECRET, "203.0.113.5"],
    ["another spelling of an address", "2001:DB8:7::1", PROXY_SECRET, "2001:db8:7::1"],
    ["no secret", "203.0.113.6", undefined, "192.0.2.44"],
    ["a wrong secret", "203.0.113.7", `${PROXY_SECRET.slice(0, -1)}9`, "192.0.2.44"],
    ["no address", undefined, PROXY_SECRET, "192.0.2.44"],
    ["several addresses", "203.0.113.8, 203.0.113.9", PROXY_SECRET, "192.0.2.44"],
  ]) {
    const headers = {
      "CF-Connecting-IP": "192.0.2.44",
      ...(address !== undefined && { "X-Client": address }),
      ...(secret !== undefined && { "Portcullis-Source-Secret": secret }),
    };
    const key = `source:${expected.includes(":") ? "2001:db8:7::/64" : expected}`;
    // With a GET request, and with one that reads the client.
    await worker.me(withOtherSignature(user.access_token), { headers });
    const { status, body } = await worker.login(user, { headers });
    assert.equal(status, 200, what);
    assert.deepEqual(await askedBySource(), [`LIMIT_BAD_TOKEN ${key}`, `LIMIT_CREDENTIALS ${key}`], what);
    const { body: list } = await worker.get("/sessions", { bearer: body.access_token });
    assert.equal(list.sessions.find(({ id }) => id === body.session_id).created_ip, expected, what);
  }
  await worker.update();
});

test("without the configuration, the headers of a proxy are ignored", async () => {
  await worker.update();
  await limit();
  const headers = {
    "CF-Connecting-IP": "192.0.2.44",
    "X-Client": "203.0.113.5",
    "Portcullis-Source-Secret": PROXY_SECRET,
  };
  await worker.login({ email: "nobody@example.org", password: PASSWORD }, { headers });
  assert.deepEqual(await askedBySource(), ["LIMIT_CREDENTIALS source:192.0.2.44"]);
});

test("writes count by session, and another session of the user is not affected", async () => {
  const user = await worker.register();
  const { body: second } = await worker.login(user);
  await limit({ LIMIT_WRITES: 2 });
  const change = ({ access_token }) => worker.patch("/me", { json: { name: "Ada" }, bearer: access_token });
  assert.deepEqual([(await change(user)).status, (await change(user)).status], [200, 200]);
  worker.runtime.log.take();
  assertLimited(await change(user), "writes");
  assert.equal((await change(second)).status, 200);
  assert.equal((await worker.me(user.access_token)).status, 200);
});

/** A token with the signature of another one. */
const withOtherSignature = (token) => {
  const [header, claims, signature] = token.split(".");
  return [header, claims, signature.replace(/^./, (first) => (first === "A" ? "B" : "A"))].join(".");
};

const inHeader = (method, path) => (user) =>
  worker.request(method, path.replace("{id}", user.user.id), {
    bearer: withOtherSignature(user.access_token),
    ...at(user),
  });
const at = ({ ip }) => from(ip);
const auth = (user, secret, id = "orders-api") => ({
  headers: { ...from(user.ip).headers, Authorization: basic(id, secret) },
});
/** Requests with something forged: the status of the usual answer, and whether the errors are those of OAuth. */
const FORGED = {
  ...Object.fromEntries(
    BEARER_ROUTES.map(([path, method]) => [`an access token at ${method} ${path}`, [401, inHeader(method, path)]]),
  ),
  "a refresh token at POST /refresh": [401, (user) => worker.refresh(forged(user.refresh_token), at(user))],
  "an access token in the body of POST /refresh": [
    401,
    (user) =>
      worker.post("/refresh", {
        json: { refresh_token: user.refresh_token, access_token: withOtherSignature(user.access_token) },
        ...at(user),
      }),
  ],
  "a refresh token at POST /logout": [
    401,
    (user) => worker.post("/logout", { json: { refresh_token: forged(user.refresh_token) }, ...at(user) }),
  ],
  "an access token at POST /logout": [
    401,
    (user) => worker.post("/logout", { json: {}, bearer: withOtherSignature(user.access_token), ...at(user) }),
  ],
  "a refresh token at POST /token": [400, (user) => worker.token(forged(user.refresh_token), {}, at(user)), true],
  "a refresh token at POST /revoke": [200, (user) => worker.revoke(forged(user.refresh_token), at(user)), true],
  "an access token at POST /revoke": [
    200,
    (user) => worker.revoke(withOtherSignature(user.access_token), at(user)),
    true,
  ],
  "an access token at POST /introspect": [
    200,
    (user) => worker.introspect(withOtherSignature(user.access_token), api, auth(user, api.secret)),
    true,
  ],
  "a refresh token at POST /introspect": [
    200,
    (user) => worker.introspect(forged(user.refresh_token), api, auth(user, api.secret)),
    true,
  ],
  "a secret at POST /introspect": [401, (user) => worker.introspect(user.access_token, api, auth(user, "wrong")), true],
  "a client at POST /introspect": [
    401,
    (user) => worker.introspect(user.access_token, api, auth(user, api.secret, "unknown")),
    true,
  ],
};

for (const [what, [status, send, isOAuth]] of Object.entries(FORGED)) {
  test(`a forged credential counts, and is answered 429 over the limit: ${what}`, async () => {
    const user = { ...(await admin()), ip: nextAddress() };
    await limit({ LIMIT_BAD_TOKEN: 1 });
    assert.equal((await send(user)).status, status);
    assert.deepEqual(await worker.asked(), [`LIMIT_BAD_TOKEN source:${user.ip}`]);
    worker.runtime.log.take();
    assertLimited(await send(user), "bad_token", isOAuth);
    assert.equal((await worker.me(user.access_token, at(user))).status, 200, "a valid token of the same source");
  });
}

test("a missing, malformed or expired token is not counted as forged", async () => {
  const user = await admin();
  await limit({ LIMIT_BAD_TOKEN: 0 });
  await worker.advance(1_000_000);
  assertProblem(await worker.me(user.access_token), 401, "token_expired");
  await worker.advance(-1_000_000);
  assertProblem(await worker.me(undefined), 401, "missing_token");
  assertProblem(await worker.me("x"), 401, "invalid_token");
  assertOAuthError(await worker.post("/introspect", { form: { token: "x" } }), 401, "invalid_client");
  assert.deepEqual(await worker.asked(), []);
});

test("refusals are logged with their class, the first at once", async () => {
  await worker.update();
  await limit({ LIMIT_CREDENTIALS: 0 });
  for (const ip of [nextAddress(), nextAddress()])
    await worker.login({ email: "a@example.org", password: PASSWORD }, from(ip));
  const events = worker.runtime.log.take().map((line) => JSON.parse(line));
  assert.deepEqual(
    events
      .filter(({ event }) => event === "too_many_requests")
      .map(({ level, reason, count }) => [level, reason, count]),
    [["warn", "credentials", 1]],
  );
});

for (const [state, limit_] of [
  ["missing", null],
  ["failing", "fail"],
]) {
  test(`with a ${state} limiter the requests go on, and the log names it once`, async () => {
    const user = await admin();
    await worker.update();
    await limit({ LIMIT_CREDENTIALS: limit_, LIMIT_WRITES: limit_ });
    const login = () => worker.login({ email: "nobody@example.org", password: PASSWORD });
    for (const _ of [1, 2]) {
      assertProblem(await login(), 401, "invalid_credentials");
      assert.equal((await worker.patch("/me", { json: { name: "Ada" }, bearer: user.access_token })).status, 200);
    }
    const events = worker.runtime.log.take().map((line) => JSON.parse(line));
    const reported = events.filter(({ event }) => event === "rate_limiter_unavailable");
    assert.deepEqual(
      reported.map(({ level, binding, cause }) => [level, binding, typeof cause]),
      [
        ["warn", "LIMIT_CREDENTIALS", "string"],
        ["warn", "LIMIT_WRITES", "string"],
      ],
    );
  });
}

test("the header tells the limits of RATE_LIMITS, and pages of allowed origins may read it", async () => {
  const origin = "https://app.example.org";
  await worker.update({
    vars: { RATE_LIMITS: "credentials=7/10,name=10/60,bad_token=60/60,writes=120/60", ALLOWED_ORIGINS: origin },
  });
  await limit({ LIMIT_CREDENTIALS: 0 });
  const { status, headers } = await worker.post("/login", {
    json: { email: "nobody@example.org", password: PASSWORD },
    headers: { Origin: origin },
  });
  assert.deepEqual(
    [status, headers.get("retry-after"), headers.get("ratelimit-policy")],
    [429, "10", '"credentials";q=7;w=10'],
  );
  const exposed = headers.get("access-control-expose-headers").split(", ");
  assert.ok(exposed.includes("Retry-After") && exposed.includes("RateLimit-Policy"));
  await worker.update();
});

test("a rate limiter of workerd refuses the requests over its limit", async () => {
  const limited = await startWorker({ limits: { LIMIT_BAD_TOKEN: 5 } });
  try {
    const answers = await Promise.all(many(20, () => limited.refresh(`pcrt_${"A".repeat(90)}`, from("192.0.2.1"))));
    const refused = answers.filter(({ status }) => status === 429).length;
    // The limiter counts per minute of the clock, which may turn between two of the requests.
    assert.ok([10, 15].includes(refused), `${refused} refused`);
    assert.ok(answers.every(({ status }) => [401, 429].includes(status)));
  } finally {
    await limited.close();
  }
});
