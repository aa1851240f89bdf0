// What the end-to-end tests share: the built Worker in workerd with real D1 and KV, and a client with a method per
// endpoint. Traffic stays on loopback. To age a session, `age` changes its row, not the clock.

import assert from "node:assert/strict";
import { argon2Sync, randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import { decodeJwt } from "jose";

import { makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { Client } from "./client.mjs";
import { exchange } from "./exchange.mjs";
import { assertDocumented } from "./openapi.mjs";
import { Runtime } from "./runtime.mjs";
import { signToken } from "./tokens.mjs";

export const ISSUER = "http://localhost:8787";
export const PASSWORD = "correct horse battery staple";
/** The hash parameters are the cheapest that the configuration accepts. */
export const VARS = {
  ISSUER,
  AUDIENCE: "https://api.example.org",
  LOG: "costs",
  ARGON2_MEMORY_KIB: "7168",
  ARGON2_ITERATIONS: "5",
};

/**
 * A running Worker. `vars` and `secrets` override the configuration; `null` removes a variable. `clock`: one of
 * tests/support/clocks.mjs. `prelude`: JavaScript that runs before the build. `limits`: the limits of rate limiters; by default, no
 * test reaches them. `folder`: see tests/support/runtime.mjs.
 */
export async function startWorker({ vars = {}, secrets = {}, ...options } = {}) {
  const configuration = { vars: { ...VARS, ...vars }, secrets: { ...makeSecrets(), ...secrets } };
  const runtime = await Runtime.start(bindings(configuration), options);
  return new Worker(runtime, configuration);
}

/** The variables and secrets that are set, as bindings. */
function bindings({ vars, secrets }) {
  const all = Object.entries({ ...vars, ...secrets });
  return Object.fromEntries(all.filter(([, value]) => value !== null && value !== undefined));
}

/** Sends a body that is not known as a whole. */
async function fetchWhole(url, init) {
  const response = await fetch(url, { ...init, redirect: "manual", duplex: "half" });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** An issuer on loopback: the Worker then answers at any address. */
const LOOPBACK = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])([:/]|$)/;

let users = 0;

export class Worker {
  /** A hash of PASSWORD, as the Worker computes it. */
  #hash;

  constructor(runtime, { vars, secrets }) {
    const { url, db, kv } = runtime;
    Object.assign(this, { runtime, url, db, kv, vars, secrets, issuer: vars.ISSUER });
  }

  async request(method, path, { json, form, bearer, headers = {}, body } = {}) {
    const sent = { "CF-Connecting-IP": "192.0.2.1", "User-Agent": "tests", ...headers };
    if (json !== undefined) {
      body = JSON.stringify(json);
      sent["Content-Type"] ??= "application/json";
    }
    if (form !== undefined) {
      body = new URLSearchParams(form).toString();
      sent["Content-Type"] ??= "application/x-www-form-urlencoded";
    }
    if (bearer !== undefined) sent.Authorization = `Bearer ${bearer}`;
    const init = { method, headers: sent, body };
    const isWhole = body === undefined || typeof body === "string" || body instanceof Uint8Array;
    const { response, issuer } = await this.#send(isWhole ? exchange : fetchWhole, path, init);
    this.#check(path, init, issuer, response);
    return this.answer(response, response.text);
  }

  /** Requests a path at the address of the issuer, or a whole URL, whose scheme, host and port arrive unchanged. */
  async ask(path, init) {
    const { response, issuer } = await this.#send(fetch, path, init);
    const { status, headers } = response;
    this.#check(path, init, issuer, { status, headers, text: await response.clone().text() });
    return response;
  }

  async #send(how, path, init) {
    const issuer = this.issuer ?? "";
    const isElsewhere = path.startsWith("/") && URL.canParse(issuer) && !LOOPBACK.test(issuer);
    const response = await this.runtime.ask(how, isElsewhere ? new URL(issuer).origin + path : path, init);
    return { response, issuer };
  }

  /** Asserts that the document describes a response. */
  #check(path, init, issuer, response) {
    assertDocumented({ method: "GET", ...init, target: path, issuer }, response);
  }

  /** Reads a response, unless its text is known, and checks what every response must have. */
  async answer(response, known) {
    const text = known ?? (await response.text());
    const answer = { status: response.status, headers: response.headers, text, body: undefined };
    // A response to HEAD has a Content-Type and no body.
    if (text !== "" && /^application\/(problem\+)?json$/.test(response.headers.get("Content-Type") ?? ""))
      answer.body = JSON.parse(text);
    checkEveryResponse(answer);
    return answer;
  }

  get(path, options) {
    return this.request("GET", path, options);
  }

  post(path, options) {
    return this.request("POST", path, options);
  }

  patch(path, options) {
    return this.request("PATCH", path, options);
  }

  delete(path, options) {
    return this.request("DELETE", path, options);
  }

  /** Registers a new user and returns the token response together with the address and password. */
  async register(details = {}) {
    const email = details.email ?? `person-${++users}@example.org`;
    const json = { email, password: PASSWORD, ...details };
    const { status, body } = await this.post("/register", { json });
    assert.equal(status, 201, JSON.stringify(body));
    return { ...body, email, password: json.password };
  }

  /** The same with a stored hash that costs nothing to verify, for many wrong attempts. A login replaces the hash. */
  async registerForGuesses(details) {
    const user = await this.register(details);
    await this.setColumn(user, "password_hash", phc({ message: user.password, memory: 64, passes: 1 }));
    return user;
  }

  /** Ends all waits after failed attempts. */
  forgetFailures() {
    return this.db.prepare("DELETE FROM throttles").run();
  }

  login({ email, password }, options) {
    return this.post("/login", { json: { email, password }, ...options });
  }

  /** Lets a stranger fail to log in with an address until further logins have to wait, and sets the wait, in seconds. */
  async throttle({ email }, seconds = 900) {
    for (let count = 0; count < 5; count += 1) await this.login({ email, password: "wrong" });
    await this.db.prepare("UPDATE throttles SET until = last_at + ? WHERE until > last_at").bind(seconds).run();
    assert.equal((await this.login({ email, password: "wrong" })).status, 429);
  }

  /** Begins a session whose refresh token is in a cookie, which requires COOKIE_MODE. */
  async loginByCookie({ email, password }, details, options = page()) {
    const answer = await this.post("/login", {
      json: { email, password, transport: "cookie", ...details },
      ...options,
    });
    assert.equal(answer.status, 200, answer.text);
    return { ...answer.body, email, password, cookie: cookieOf(answer), answer };
  }

  refresh(token, options) {
    return this.post("/refresh", { json: { refresh_token: token }, ...options });
  }

  /** The refresh grant of OAuth. `parameters` adds or replaces parameters. */
  token(refresh_token, parameters, options) {
    return this.post("/token", { form: { grant_type: "refresh_token", refresh_token, ...parameters }, ...options });
  }

  revoke(token, options) {
    return this.post("/revoke", { form: { token }, ...options });
  }

  /** Introspects a token as a resource server, `{ entry, secret }`. */
  introspect(token, server, options) {
    return this.post("/introspect", {
      form: { token },
      headers: { Authorization: basic(server.entry.id, server.secret) },
      ...options,
    });
  }

  /** Authenticates again with the password. */
  stepUp({ access_token, password = PASSWORD }, options) {
    return this.post("/me/step-up", { bearer: access_token, json: { password }, ...options });
  }

  me(token, options) {
    return this.get("/me", { bearer: token, ...options });
  }

  verify(token, options) {
    return this.get("/verify", { bearer: token, ...options });
  }

  /** Restarts as a new isolate on the same data, with these changes to the initial configuration. Returns the isolate, for `resume`. */
  async update({ vars = {}, secrets = {} } = {}) {
    const changed = { vars: { ...this.vars, ...vars }, secrets: { ...this.secrets, ...secrets } };
    const number = await this.runtime.configure(bindings(changed));
    this.issuer = changed.vars.ISSUER;
    return { number, changed };
  }

  /** Continues as one of the last isolates that `update` returned, with the state in which it was left. */
  async resume({ number, changed }) {
    await this.runtime.resume(number);
    this.issuer = changed.vars.ISSUER;
  }

  /** Advances the Worker's clock by that many seconds. The clocks of D1 and the test do not change. */
  advance(seconds) {
    return this.runtime.advance(1000 * seconds);
  }

  /** Replaces rate limiters by stand-ins that count exactly: `{ LIMIT_WRITES: 3 }`. "fail" throws, `null` is missing. */
  limit(limits) {
    return this.runtime.limit(limits);
  }

  /** The keys that the stand-ins were asked since the last call, such as "LIMIT_WRITES session:x". */
  asked() {
    return this.runtime.asked();
  }

  /** A plan of tests/support/wrapper.mjs for one request, with methods to wait for its steps. */
  plan(plan) {
    return this.runtime.plan(plan);
  }

  /** Sends a request, or `part` of it, over its own connection. Resolves once it is sent. */
  send(method, path, options, part) {
    return Client.send(this.url, method, path, options, part);
  }

  /** Runs the scheduled event of a cron expression according to a plan. Resolves once all its work has ended. */
  schedule(cron, plan) {
    return this.runtime.schedule(cron, plan);
  }

  /** The size of the isolate's WebAssembly memory, in KiB. It never shrinks. */
  async memory() {
    const { headers } = await this.get("/.well-known/jwks.json");
    const request = headers.get("x-request-id");
    const costs = this.runtime.log.lines
      .map(eventOf)
      .find(({ event, request_id }) => event === "costs" && request_id === request);
    return costs.memory_kib;
  }

  /** The number of accounts and sessions. */
  counts() {
    return this.db
      .prepare("SELECT (SELECT COUNT(*) FROM users) AS users, (SELECT COUNT(*) FROM refresh_tokens) AS sessions")
      .first();
  }

  /** Disables or enables an account in D1. */
  disable({ user }, disabled = true) {
    return this.db
      .prepare("UPDATE users SET disabled_at = ? WHERE id = ?")
      .bind(disabled ? 1 : null, user.id)
      .run();
  }

  /** Stores a hash of the same password with other parameters than the configured ones. */
  async outdateHash({ user, password }) {
    const outdated = phc({ message: password, memory: 19456, passes: 2 });
    await this.db.prepare("UPDATE users SET password_hash = ? WHERE id = ?").bind(outdated, user.id).run();
    return outdated;
  }

  /** The row of an account. */
  account({ user }) {
    return this.db.prepare("SELECT * FROM users WHERE id = ?").bind(user.id).first();
  }

  /** Sets a column of an account. */
  setColumn({ user }, column, value) {
    return this.db.prepare(`UPDATE users SET ${column} = ? WHERE id = ?`).bind(value, user.id).run();
  }

  /** The hash of an account's password. */
  async storedHash(user) {
    return (await this.account(user)).password_hash;
  }

  /** Whether KV has the mark of an ended session. */
  async isMarked({ session_id }) {
    return (await this.kv.get(`revoked:${session_id}`)) !== null;
  }

  /** Registers a new user and grants the admin role in D1. */
  async registerAdmin() {
    const admin = await this.register();
    await this.setRoles(admin, ["user", "admin"]);
    return admin;
  }

  /** Sets in D1 what a session proved, and returns it with tokens that say so. A code from a mail proves the address, too. */
  async proved(session, amr) {
    const { session_id, user, refresh_token } = session;
    await this.db.prepare("UPDATE refresh_tokens SET amr = ? WHERE session_id = ?").bind(amr, session_id).run();
    if (amr.includes("email")) await this.setColumn(session, "email_verified_at", user.created_at);
    const { status, text, body } = await this.post("/refresh", { json: { refresh_token } });
    assert.equal(status, 200, text);
    return { ...session, ...body };
  }

  /** Registers a new admin whose session has two factors, but whose account has none. */
  async registerStrongAdmin() {
    return this.proved(await this.registerAdmin(), "pwd email otp mfa");
  }

  /** Sets the roles of a user in D1. */
  setRoles({ user }, roles) {
    return this.db.prepare("UPDATE users SET roles = ? WHERE id = ?").bind(JSON.stringify(roles), user.id).run();
  }

  /**
   * Saves an account with its rows in all tables, and returns a function that restores them. Afterwards no notice counts as sent, and no
   * session as ended.
   */
  async snapshot({ user }) {
    const columns = await this.#ownedColumns();
    const owned = Object.entries(columns).map(([table, names]) => [table, names, table === "users" ? "id" : "user_id"]);
    const rows = ([table, names, owner]) =>
      this.db.prepare(`SELECT ${names} FROM ${table} WHERE ${owner} = ?`).bind(user.id);
    const kept = await this.db.batch(owned.map(rows));
    const remove = owned.map(([table, , owner]) =>
      this.db.prepare(`DELETE FROM ${table} WHERE ${owner} = ?`).bind(user.id),
    );
    const insert = owned.flatMap(([table, names], index) =>
      kept[index].results.map((row) => {
        const values = Object.values(row);
        return this.db.prepare(`INSERT INTO ${table} (${names}) VALUES (${values.map(() => "?")})`).bind(...values);
      }),
    );
    const forgetNotices = this.db.prepare("DELETE FROM mail_budgets WHERE key LIKE 'notice:%:' || ?").bind(user.id);
    const marks = (await this.sessionIds({ user })).map((id) => `revoked:${id}`);
    return async () => {
      // Twice, because a delete in one table may insert a row into another.
      await this.db.batch([...remove, ...remove, forgetNotices, ...insert]);
      await this.kv.deleteAll(marks);
    };
  }

  /** The tables with rows of an account, `users` first, and their columns, except generated ones. */
  async #ownedColumns() {
    const { results } = await this.db
      .prepare(
        "SELECT t.name AS name, group_concat(c.name) AS columns FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table' GROUP BY t.name HAVING t.name = 'users' OR SUM(c.name = 'user_id') > 0 ORDER BY t.name <> 'users'",
      )
      .all();
    return Object.fromEntries(results.map(({ name, columns }) => [name, columns]));
  }

  /** The ids of an account's sessions. */
  async sessionIds({ user }) {
    const { results } = await this.db
      .prepare("SELECT session_id AS id FROM refresh_tokens WHERE user_id = ?")
      .bind(user.id)
      .all();
    return results.map(({ id }) => id);
  }

  /** Inserts accounts that all have this hash, or a hash of PASSWORD. */
  async insertUsers(count, password_hash) {
    this.#hash ??= phc({});
    const ids = Array.from({ length: count }, () => randomBytes(16).toString("base64url"));
    const insert = this.db.prepare(
      "INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at) VALUES (?1, ?2, ?2, ?3, 0, 0, '[\"user\"]', unixepoch())",
    );
    const users = ids.map((id) => ({ user: { id }, email: `${id.toLowerCase()}@example.org`, password: PASSWORD }));
    await this.db.batch(users.map(({ user, email }) => insert.bind(user.id, email, password_hash ?? this.#hash)));
    return users;
  }

  /** Waits until the owed marks are written, which happens after the responses. */
  async marksWritten() {
    const owed = () => this.db.prepare("SELECT COUNT(*) AS n FROM owed_marks").first();
    for (let tries = 0; (await owed()).n > 0; tries += 1) {
      assert.ok(tries < 200, "marks are still owed");
      await setTimeout(10);
    }
  }

  /** Runs the cleanup as on another day, because only one walk through the sessions begins per day. */
  async cleanUp() {
    await this.db.prepare("UPDATE cleanup_progress SET begun_at = 0").run();
    await this.schedule("17 * * * *");
  }

  /** The row of a session. */
  sessionRow(session) {
    return this.db.prepare("SELECT * FROM refresh_tokens WHERE session_id = ?").bind(session).first();
  }

  /** Ages a session, or all sessions, by that many seconds. */
  async age(seconds, session = null) {
    const times = ["created_at", "rotated_at", "expires_at", "absolute_expires_at", "access_expires_at"];
    const changes = times.map((column) => `${column} = ${column} - ?1`).join(", ");
    await this.db.batch([
      this.db
        .prepare(`UPDATE refresh_tokens SET ${changes} WHERE ?2 IS NULL OR session_id = ?2`)
        .bind(seconds, session),
      this.db
        .prepare("UPDATE owed_marks SET access_expires_at = access_expires_at - ?1 WHERE ?2 IS NULL OR session_id = ?2")
        .bind(seconds, session),
    ]);
  }

  /** Opens connections in advance, so that the requests of a race arrive together. */
  warmUp(connections) {
    return Promise.all(Array.from({ length: connections }, () => this.get("/.well-known/jwks.json")));
  }

  /** Renames a table while `act` runs, and drops its views, which would follow it to its new name. */
  async without(table, act) {
    const found = await this.db
      .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'view' AND sql LIKE '%' || ? || '%'")
      .bind(table)
      .all();
    const run = (...statements) => this.db.batch(statements.map((sql) => this.db.prepare(sql)));
    await run(...found.results.map(({ name }) => `DROP VIEW ${name}`), `ALTER TABLE ${table} RENAME TO ${table}_away`);
    try {
      return await act();
    } finally {
      await run(`ALTER TABLE ${table}_away RENAME TO ${table}`, ...found.results.map(({ sql }) => sql));
    }
  }

  /** Everything in D1, by table. */
  async dump() {
    const tables =
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name <> 'd1_migrations'";
    const { results } = await this.db.prepare(tables).all();
    const rows = await this.db.batch(results.map(({ name }) => this.db.prepare(`SELECT * FROM "${name}"`)));
    return Object.fromEntries(results.map(({ name }, index) => [name, rows[index].results]));
  }

  /** Changes claims of an access token, and signs it again with the Worker's own key. */
  resign(token, changes, header) {
    const [key] = JSON.parse(this.secrets.SIGNING_KEYS).keys;
    return signToken(key, { ...decodeJwt(token), ...changes }, header);
  }

  /** The same session with an access token whose user authenticated that many seconds ago. */
  authenticatedAgo(session, seconds) {
    const auth_time = decodeJwt(session.access_token).auth_time - seconds;
    return { ...session, access_token: this.resign(session.access_token, { auth_time }) };
  }

  /** Asserts that each of these is refused as an invalid access token, by D1 (/me) and by KV (/verify). */
  async assertInvalid(tokens) {
    for (const token of tokens) {
      for (const check of ["me", "verify"]) {
        const answer = await this[check](token);
        assertProblem(answer, 401, "invalid_token");
        assert.equal(
          answer.headers.get("www-authenticate"),
          'Bearer error="invalid_token", error_description="The access token is not valid."',
        );
      }
    }
  }

  /** Asserts that no token of the session is accepted anywhere. */
  async assertEnded({ access_token, refresh_token }) {
    assertProblem(await this.refresh(refresh_token), 401, "invalid_refresh_token");
    assertProblem(await this.me(access_token), 401, "invalid_token");
    assertProblem(await this.verify(access_token), 401, "invalid_token");
  }

  /** Asserts that the access token of the session is accepted. */
  async assertLive({ access_token }) {
    for (const check of ["me", "verify"]) assert.equal((await this[check](access_token)).status, 200, check);
  }

  /** The events logged since the last call, optionally of one kind. */
  events(kind) {
    const events = this.logged().map(eventOf);
    return events.filter(({ event }) => event !== undefined && (kind === undefined || event === kind));
  }

  /** The lines logged since the last call. */
  logged() {
    return this.runtime.log.take();
  }

  /** The data points since the last call, with METRICS = "records". */
  points() {
    return this.runtime.points.splice(0);
  }

  close() {
    return this.runtime.close();
  }
}

/** The event in a log line, or `{}` for a line of the runtime itself. */
function eventOf(line) {
  return line.startsWith("{") ? JSON.parse(line) : {};
}

/** The content security policies: of static assets, and of everything else. */
export const POLICIES = {
  api: "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  asset:
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  withTurnstile:
    "default-src 'none'; script-src 'self' https://challenges.cloudflare.com; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; frame-src https://challenges.cloudflare.com; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
};

/** The challenge of an endpoint that needs a recent authentication (RFC 9470 §3). */
export const STEP_UP_CHALLENGE =
  'Bearer error="insufficient_user_authentication", error_description="Authenticate again: POST /me/step-up.", max_age=300, acr_values="aal2"';

/** Asserts what holds for every response (ASVS 3.4, RFC 9457, RFC 6750). */
function checkEveryResponse({ status, headers, body, text }) {
  const exactly = {
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    vary: "Origin",
  };
  for (const [name, value] of Object.entries(exactly)) assert.equal(headers.get(name), value, name);
  // Static assets have a policy of their own, errors at the same addresses do not.
  const policies = status === 200 || status === 304 ? Object.values(POLICIES) : [POLICIES.api];
  assert.ok(policies.includes(headers.get("content-security-policy")), headers.get("content-security-policy"));
  assert.match(headers.get("x-request-id"), /^[\w-]{22}$/);
  const caching = { 200: /^(no-store|no-cache|public, max-age=\d+(, immutable)?)$/, 304: /^(no-cache|public, .*)$/ };
  assert.match(headers.get("cache-control"), caching[status] ?? /^no-store$/);
  assert.match(headers.get("cross-origin-resource-policy"), /^(same|cross)-origin$/);
  for (const leak of ["server", "x-powered-by"]) assert.equal(headers.get(leak), null, leak);
  for (const cookie of headers.getSetCookie()) {
    if (cookie.startsWith(DEVICE_COOKIE)) assert.match(cookie, DEVICE_COOKIE_FORMAT);
    else assert.match(cookie, /^__Host-portcullis=[\w-]*; Path=\/; Secure; HttpOnly; SameSite=Strict(; Max-Age=\d+)?$/);
  }
  const challenge = /^(Basic realm="portcullis"|Bearer( error="invalid_token", error_description="[^"\\]+")?)$/;
  if (status === 401 && body?.code !== "step_up_required") assert.match(headers.get("www-authenticate"), challenge);
  if (body?.code === "step_up_required") assert.equal(headers.get("www-authenticate"), STEP_UP_CHALLENGE);
  const refused = /^Bearer error="insufficient_scope", error_description="[^"\\]+"$/;
  if (status === 403 && body?.code === "forbidden") assert.match(headers.get("www-authenticate"), refused);
  // Retry-After is the length of an overloaded queue, or the rest of the hour in which profile changes are limited.
  if (status === 503) assert.match(headers.get("retry-after"), body?.code === "overloaded" ? /^[1-9]\d?$/ : /^5$/);
  if (status === 429) assert.match(headers.get("retry-after"), /^[1-9]\d{0,3}$/);
  if (status >= 400 && text !== "") {
    assert.equal(body.request_id, headers.get("x-request-id"));
    if (headers.get("content-type") === "application/problem+json") {
      assert.equal(body.status, status);
      assert.match(body.code, /^[a-z_]+$/);
    } else {
      assert.match(body.error, /^[a-z_]+$/);
      assert.match(body.error_description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
    }
  }
}

/** Creates an account at the first call, and restores it at each call, because a new account costs a password hash. */
export function restored(getWorker, make) {
  let made;
  return async () => {
    if (made === undefined) {
      const user = await make();
      made = { user, restore: await getWorker().snapshot(user) };
    }
    await made.restore();
    return made.user;
  };
}

/** The options of a request by a page of the issuer's origin, with a cookie. */
export const page = (cookie, headers = {}) => ({
  headers: { "Sec-Fetch-Site": "same-origin", ...(cookie === undefined ? {} : { Cookie: cookie }), ...headers },
});

/** The one cookie that a response sets, as a browser sends it back. */
export function cookieOf({ headers }) {
  const [cookie, ...others] = headers.getSetCookie().filter((cookie) => !cookie.startsWith(DEVICE_COOKIE));
  assert.equal(others.length, 0);
  return cookie.split(";")[0];
}

const DEVICE_COOKIE = "__Host-portcullis-device=";
const DEVICE_COOKIE_FORMAT =
  /^[\w-]+=((pcdt_[\w-]{80}\.?){1,5}; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=15552000|; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=0)$/;

/** The cookie with the device tokens that a response sets. */
export function deviceCookieOf({ headers }) {
  const [cookie, ...others] = headers.getSetCookie().filter((cookie) => cookie.startsWith(DEVICE_COOKIE));
  assert.equal(others.length, 0);
  return cookie.split(";")[0];
}

/** The secret SIGNING_KEYS with these keys, the first of which signs. */
export const keySet = (...keys) => ({ SIGNING_KEYS: JSON.stringify({ keys }) });

/** The headers of a request from this IP address and user agent. */
export const from = (ip, agent = "tests") => ({ headers: { "CF-Connecting-IP": ip, "User-Agent": agent } });

/** An IP address for each number, up to 13,750 of them. */
export const ipAddress = (number) => `198.51.${100 + Math.floor(number / 250)}.${(number % 250) + 1}`;

/** Makes a value for each number below `count`. */
export const many = (count, make) => Array.from({ length: count }, (_, number) => make(number));

/** The Authorization header of RFC 7617. */
export function basic(id, secret) {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
}

/** The PHC string of a hash that Node's OpenSSL computes. */
export function phc({
  message = PASSWORD,
  memory = 7168,
  passes = 5,
  parallelism = 1,
  algorithm = "argon2id",
  saltLength = 16,
  tagLength = 32,
}) {
  const nonce = randomBytes(saltLength);
  const tag = argon2Sync(algorithm, { message, nonce, memory, passes, parallelism, tagLength });
  const [salt, hash] = [nonce, tag].map((bytes) => bytes.toString("base64").replace(/=+$/, ""));
  return `$${algorithm}$v=19$m=${memory},t=${passes},p=${parallelism}$${salt}$${hash}`;
}

/** The same refresh token with an invalid tag. */
export function forged(token) {
  return token.slice(0, -1) + (token.endsWith("A") ? "Q" : "A");
}

/** Asserts an error of RFC 6749 §5.2. */
export function assertOAuthError(answer, status, error) {
  assert.deepEqual(
    [answer.status, answer.headers.get("content-type"), answer.body?.error],
    [status, "application/json", error],
    answer.text,
  );
  assert.deepEqual(Object.keys(answer.body), ["error", "error_description", "request_id"]);
}

/** Asserts a problem of RFC 9457. */
export function assertProblem(answer, status, code) {
  assert.deepEqual(
    [answer.status, answer.headers.get("content-type"), answer.body?.code],
    [status, "application/problem+json", code],
    answer.text,
  );
}
