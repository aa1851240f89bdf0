// The cost of each operation, as D1 counts it, does not grow with the number of users or sessions.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { AFTER_RESPONSE, COUNTED } from "../../bench/cost.mjs";
import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { forged, startWorker } from "../support/harness.mjs";
import { logIn, options, registerWithPasskey } from "../support/passkeys.mjs";

const STATEMENTS = new URL("../../src/store/sql/", import.meta.url);

let worker;
const server = makeResourceServer("counted-api", "https://api.example.org");
before(async () => (worker = await startWorker({ vars: { RESOURCE_SERVERS: JSON.stringify([server.entry]) } })));
after(() => worker.close());

/** Calls `look` until it returns a result, and returns that. */
async function waitFor(look) {
  for (let tries = 0; tries < 500; tries += 1) {
    const found = await look();
    if (found) return found;
    await setTimeout(10);
  }
  throw new Error("nothing was found");
}

/** The cost of the one request that `act` makes. */
async function costOf(act) {
  worker.events();
  const answer = await act();
  // Costs without a status are those of work after the responses of earlier requests.
  const [{ event, level, request_id, route, memory_kib, ...cost }, ...more] = worker
    .events("costs")
    .filter(({ status }) => status !== undefined);
  assert.equal(more.length, 0);
  assert.equal(cost.status, answer.status);
  return cost;
}

const cost = (status, d1_round_trips, d1_rows_written, kv_gets, kv_puts) => ({
  status,
  d1_round_trips,
  d1_rows_written,
  kv_gets,
  kv_puts,
});

/** The operations whose price bench/cost.mjs computes, and their names there. */
const IN_THE_CALCULATION = {
  "register without a username": "register",
  login: "login",
  "login with a wrong password again": "login, wrong password",
  refresh: "refresh",
  revoke: "revoke",
  "/verify": "verify",
  "/me": "me",
};

function assertCost({ d1_rows_read, ...counted }, expected, calculated) {
  assert.deepEqual(counted, expected);
  if (calculated !== undefined) {
    const [trips, read, ...others] = calculated;
    assert.deepEqual(
      [counted.d1_round_trips, counted.d1_rows_written, counted.kv_gets, counted.kv_puts],
      [trips, ...others],
    );
    // Reading a range of an index reads one row more, unless the range ends the index.
    assert.ok(Math.abs(d1_rows_read - read) <= 1, `${d1_rows_read} rows read`);
  }
  // The limit does not depend on the size of the tables.
  assert.ok(d1_rows_read <= 20, `${d1_rows_read} rows read`);
}

test("every operation has its expected cost", async () => {
  const user = await worker.register({ username: "counted" });
  const second = (await worker.login(user)).body;
  const third = (await worker.login(user)).body;
  const fourth = (await worker.login(user)).body;
  const refreshed = (await worker.refresh(user.refresh_token)).body;
  const usual = await worker.register();
  await worker.login(usual);
  const owner = await registerWithPasskey(worker);
  await logIn(worker, owner);
  const answers = [owner.authenticator.get(await options(worker))];
  const newcomer = (name, username) => ({
    json: { email: `${name}@example.org`, password: user.password, username },
  });
  const operations = [
    ["register", () => worker.post("/register", newcomer("counted-1", "counted-1")), cost(201, 2, 5, 0, 0)],
    ["register without a username", () => worker.post("/register", newcomer("counted-2")), cost(201, 2, 4, 0, 0)],
    ["register a taken address", () => worker.post("/register", newcomer("counted-1")), cost(409, 2, 2, 0, 0)],
    ["register a taken address again", () => worker.post("/register", newcomer("counted-1")), cost(409, 2, 1, 0, 0)],
    [
      "register a taken username",
      () => worker.post("/register", newcomer("counted-1", "counted-1")),
      cost(409, 1, 0, 0, 0),
    ],
    ["login", () => worker.login(usual), cost(200, 2, 2, 0, 0)],
    ["login with a wrong password", () => worker.login({ ...user, password: "wrong" }), cost(401, 2, 3, 0, 0)],
    ["login with a wrong password again", () => worker.login({ ...user, password: "wrong" }), cost(401, 2, 2, 0, 0)],
    [
      "login to an unknown account",
      () => worker.login({ ...user, email: "nobody@example.org" }),
      cost(401, 2, 3, 0, 0),
    ],
    [
      "login to an unknown account again",
      () => worker.login({ ...user, email: "nobody-else@example.org" }),
      cost(401, 2, 2, 0, 0),
    ],
    ["options of a passkey", () => worker.post("/passkeys/options"), cost(200, 0, 0, 0, 0)],
    [
      "login with a passkey",
      () => worker.post("/passkeys/login", { json: { credential: answers.pop() } }),
      cost(200, 2, 4, 0, 0),
    ],
    ["refresh", () => worker.refresh(refreshed.refresh_token), cost(200, 1, 1, 0, 0)],
    ["grace retry", () => worker.refresh(refreshed.refresh_token), cost(200, 1, 1, 0, 0)],
    ["/token", () => worker.token(refreshed.refresh_token), cost(200, 1, 1, 0, 0)],
    ["/token with a forged refresh token", () => worker.token(forged(refreshed.refresh_token)), cost(400, 0, 0, 0, 0)],
    ["/me", () => worker.me(user.access_token), cost(200, 1, 0, 0, 0)],
    ["listing sessions", () => worker.get("/sessions", { bearer: user.access_token }), cost(200, 1, 0, 0, 0)],
    [
      "ending one session",
      () => worker.request("DELETE", `/sessions/${fourth.session_id}`, { bearer: user.access_token }),
      cost(204, 1, 3, 0, 1),
    ],
    ["/verify", () => worker.verify(user.access_token), cost(200, 0, 0, 1, 0)],
    ["a forged refresh token", () => worker.refresh(forged(user.refresh_token)), cost(401, 0, 0, 0, 0)],
    ["revoking a forged refresh token", () => worker.revoke(forged(user.refresh_token)), cost(200, 0, 0, 0, 0)],
    ["introspecting an access token", () => worker.introspect(user.access_token, server), cost(200, 1, 0, 0, 0)],
    ["introspecting a refresh token", () => worker.introspect(third.refresh_token, server), cost(200, 1, 0, 0, 0)],
    [
      "introspecting a rotated-out refresh token",
      () => worker.introspect(user.refresh_token, server),
      cost(200, 1, 0, 0, 0),
    ],
    [
      "introspecting a forged refresh token",
      () => worker.introspect(forged(user.refresh_token), server),
      cost(200, 0, 0, 0, 0),
    ],
    [
      "introspecting a forged access token",
      () => worker.introspect(`${user.access_token}x`, server),
      cost(200, 0, 0, 0, 0),
    ],
    [
      "introspecting with a wrong secret",
      () => worker.introspect(user.access_token, { ...server, secret: "x" }),
      cost(401, 0, 0, 0, 0),
    ],
    ["/verify of a forged access token", () => worker.verify(`${user.access_token}x`), cost(401, 0, 0, 0, 0)],
    ["/me of a forged access token", () => worker.me(`${user.access_token}x`), cost(401, 0, 0, 0, 0)],
    ["reuse", () => worker.refresh(user.refresh_token), cost(401, 2, 5, 0, 1)],
    ["a refresh of an ended session", () => worker.refresh(refreshed.refresh_token), cost(401, 2, 0, 0, 0)],
    ["revoke", () => worker.revoke(second.refresh_token), cost(200, 1, 3, 0, 1)],
    ["revoke by access token", () => worker.revoke(third.access_token), cost(200, 1, 3, 0, 1)],
    ["revoke again", () => worker.marksWritten().then(() => worker.revoke(third.access_token)), cost(200, 1, 0, 0, 0)],
    ["metadata", () => worker.get("/.well-known/oauth-authorization-server"), cost(200, 0, 0, 0, 0)],
    ["jwks", () => worker.get("/.well-known/jwks.json"), cost(200, 0, 0, 0, 0)],
  ];
  for (const [name, act, expected] of operations) {
    await test(name, async () => {
      await worker.marksWritten();
      assertCost(await costOf(act), expected, COUNTED[IN_THE_CALCULATION[name]]);
    });
  }
  const calculated = operations.map(([name]) => IN_THE_CALCULATION[name]).filter(Boolean);
  assert.deepEqual(calculated.sort(), Object.keys(COUNTED).sort());
});

test("every read and change of an account has its expected cost", async () => {
  const admin = await worker.registerAdmin();
  const user = await worker.register();
  await worker.login(user);
  const [own, as] = [{ bearer: user.access_token }, { bearer: admin.access_token }];
  const account = `/users/${user.user.id}`;
  const [other, third] = [await worker.register(), await worker.register()];
  await worker.login(other);
  const passwords = { current_password: user.password, new_password: "another correct horse battery" };
  // A new event is a row and an index entry; a counted one updates its row. A first username adds an index entry.
  const operations = [
    ["changing a name", () => worker.request("PATCH", "/me", { ...own, json: { name: "Pat" } }), cost(200, 1, 3, 0, 0)],
    [
      "taking a username",
      () => worker.request("PATCH", "/me", { ...own, json: { username: "pat-counted" } }),
      cost(200, 2, 3, 0, 0),
    ],
    [
      "a profile change without a difference",
      () => worker.request("PATCH", "/me", { ...own, json: { username: "pat-counted" } }),
      cost(200, 2, 0, 0, 0),
    ],
    [
      "requesting a reserved username",
      () => worker.request("PATCH", "/me", { ...own, json: { username: "ad.min" } }),
      cost(422, 1, 0, 0, 0),
    ],
    [
      "a wrong current password",
      () => worker.post("/me/password", { ...own, json: { ...passwords, current_password: "wrong" } }),
      cost(403, 2, 4, 0, 0),
    ],
    [
      "changing the password",
      async () => {
        const answer = await worker.post("/me/password", { ...own, json: passwords });
        own.bearer = answer.body.access_token;
        return answer;
      },
      cost(200, 2, 12, 0, 2),
    ],
    ["reading one's own audit trail", () => worker.get("/me/events", own), cost(200, 1, 0, 0, 0)],
    ["listing accounts", () => worker.get("/users?limit=3", as), cost(200, 1, 0, 0, 0)],
    ["reading one account", () => worker.get(account, as), cost(200, 1, 0, 0, 0)],
    ["reading its audit trail", () => worker.get(`${account}/events`, as), cost(200, 1, 0, 0, 0)],
    ["an admin request without the admin role", () => worker.get(account, own), cost(403, 1, 0, 0, 0)],
    [
      "a step-up",
      async () => {
        const answer = await worker.stepUp({ access_token: own.bearer, password: passwords.new_password });
        own.bearer = answer.body.access_token;
        return answer;
      },
      cost(200, 2, 5, 0, 1),
    ],
    [
      "a step-up with a wrong password",
      () => worker.stepUp({ access_token: own.bearer, password: "wrong" }),
      cost(403, 2, 3, 0, 0),
    ],
    ["changing roles", () => worker.request("PATCH", account, { ...as, json: { roles: [] } }), cost(200, 1, 3, 0, 0)],
    [
      "a role change without a difference",
      () => worker.request("PATCH", account, { ...as, json: { roles: [] } }),
      cost(200, 1, 0, 0, 0),
    ],
    ["disabling", () => worker.request("PATCH", account, { ...as, json: { disabled: true } }), cost(200, 1, 6, 0, 1)],
    ["enabling", () => worker.request("PATCH", account, { ...as, json: { disabled: false } }), cost(200, 1, 3, 0, 0)],
    [
      "ending another user's sessions",
      () => worker.delete(`/users/${other.user.id}/sessions`, as),
      cost(200, 1, 9, 0, 2),
    ],
    ["deleting another user", () => worker.delete(`/users/${other.user.id}`, as), cost(204, 1, 6, 0, 0)],
    ["deleting one's own account", () => worker.delete("/me", { bearer: third.access_token }), cost(204, 2, 5, 0, 1)],
  ];
  for (const [name, act, expected] of operations) {
    await test(name, async () => {
      // The marks of the previous operation are written after its response.
      await worker.marksWritten();
      const { d1_rows_read, ...counted } = await costOf(act);
      assert.deepEqual(counted, expected);
      assert.ok(d1_rows_read <= 35, `${d1_rows_read} rows read`);
    });
  }
});

test("a login that rehashes writes one more row", async () => {
  const user = await worker.register();
  await worker.outdateHash(user);
  assertCost(await costOf(() => worker.login(user)), cost(200, 2, 3, 0, 0));
});

test("logging out everywhere is one round trip for any number of sessions", async () => {
  const user = await worker.register();
  for (let count = 0; count < 9; count += 1) await worker.login(user);
  const { d1_rows_read, ...counted } = await costOf(() => worker.delete("/sessions", { bearer: user.access_token }));
  assert.deepEqual(counted, cost(200, 1, 31, 0, 10));
  assert.ok(d1_rows_read <= 80, `${d1_rows_read} rows read`);
});

test("rows read do not depend on the number of users and sessions", async () => {
  const user = await worker.register({ username: "reader" });
  const admin = await worker.registerAdmin();
  // A login reads the user's live sessions, so their number must be the same each time.
  const login = async (json) => {
    const answer = await worker.post("/login", { json: { ...json, password: user.password } });
    await worker.db.prepare("DELETE FROM refresh_tokens WHERE session_id = ?").bind(answer.body.session_id).run();
    return answer;
  };
  const acts = [
    () => login({ email: user.email }),
    () => login({ username: "reader" }),
    () => worker.me(user.access_token),
    () => worker.refresh(user.refresh_token),
    () =>
      worker.post("/register", {
        json: { email: "Reader@example.org", username: "reader", password: user.password },
      }),
    () => worker.get("/users?limit=3", { bearer: admin.access_token }),
    () => worker.get("/users?limit=3&email=read", { bearer: admin.access_token }),
    () => worker.get(`/users/${user.user.id}`, { bearer: admin.access_token }),
    () => worker.get(`/users/${admin.user.id}/events`, { bearer: admin.access_token }),
    () => worker.request("PATCH", `/users/${user.user.id}`, { bearer: admin.access_token, json: { roles: ["user"] } }),
  ];
  const readAll = async () => {
    const rows = [];
    for (const act of acts) rows.push((await costOf(act)).d1_rows_read);
    return rows;
  };
  const few = await readAll();
  const numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3000)";
  await worker.db.batch([
    worker.db.prepare(
      `INSERT INTO users (id, email, email_key, username, username_key, password_hash, credentials_version, slot, roles, created_at) ${numbers} SELECT 'id' || n, 'e' || n, 'e' || n, 'u' || n, 'u' || n, '', 0, 0, '[]', 0 FROM numbers`,
    ),
    worker.db.prepare(
      `INSERT INTO refresh_tokens (session_id, user_id, secret_hash, amr, authenticated_at, generation, grace_retries, created_at, rotated_at, expires_at, absolute_expires_at, access_expires_at) ${numbers} SELECT 'f' || n, 'id' || n, '', 'pwd', 0, 0, 0, 0, 0, 0, 0, 0 FROM numbers`,
    ),
  ]);
  // SQLite may choose another plan for tables with many rows, which reads one row more or less.
  for (const [index, rows] of (await readAll()).entries()) assert.ok(rows <= few[index] + 2, `${acts[index]}: ${rows}`);
});

/** Adds `count` sessions of the user, ended or not. */
function insertSessions({ user }, count, { revoked, accessExpires = 0 }) {
  const numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)";
  const columns =
    "session_id, user_id, secret_hash, amr, authenticated_at, generation, grace_retries, created_at, rotated_at, expires_at, absolute_expires_at, access_expires_at, revoked_at, revoked_reason";
  const values = `printf('%06d', n) || substr(?2, 7), ?2, '', 'pwd', 0, 0, 0, unixepoch() - n, 0, unixepoch() + 600, 0, unixepoch() + ?3, ${revoked ? "unixepoch() - n, 'logout'" : "NULL, NULL"}`;
  return worker.db
    .prepare(`INSERT INTO refresh_tokens (${columns}) ${numbers} SELECT ${values} FROM numbers`)
    .bind(count, user.id, accessExpires)
    .run();
}

test("a refused read reads at most 16 rows, whatever the number of users and events", async () => {
  const busy = await worker.registerAdmin();
  const nonAdmin = await worker.register();
  const ended = await worker.register();
  await worker.revoke(ended.refresh_token);
  await insertSessions(busy, 2000, { revoked: true });
  for (const [path, bearer, status] of [
    ["/users?limit=100", nonAdmin.access_token, 403],
    [`/users/${busy.user.id}/events`, nonAdmin.access_token, 403],
    ["/users?limit=100", ended.access_token, 401],
    [`/users/${busy.user.id}/events`, ended.access_token, 401],
    ["/sessions", ended.access_token, 401],
    ["/me/events", ended.access_token, 401],
  ]) {
    const cost = await costOf(() => worker.get(path, { bearer }));
    assert.equal(cost.status, status, path);
    assert.ok(cost.d1_rows_read <= 16, `${path}: ${cost.d1_rows_read} rows read`);
  }
  await worker.revoke(busy.refresh_token);
  const { status, d1_rows_read } = await costOf(() => worker.delete("/sessions", { bearer: busy.access_token }));
  assert.equal(status, 401);
  assert.ok(d1_rows_read <= 16, `${d1_rows_read} rows read`);
});

test("listing sessions reads no ended ones; the audit trail reads at most a thousand events", async () => {
  const busy = await worker.register();
  await insertSessions(busy, 5000, { revoked: true });
  // D1 counts a row when found in an index, again when read from the table, and again when sorted.
  for (const [path, max] of [
    ["/sessions", 10],
    ["/me/events?limit=1", 4100],
  ]) {
    const { status, d1_rows_read } = await costOf(() => worker.get(path, { bearer: busy.access_token }));
    assert.equal(status, 200);
    assert.ok(d1_rows_read <= max, `${path}: ${d1_rows_read} rows read`);
  }
  const { d1_rows_read } = await costOf(() => worker.login(busy));
  assert.ok(d1_rows_read <= 12, `login: ${d1_rows_read} rows read`);
  assert.equal((await worker.get("/sessions", { bearer: busy.access_token })).body.sessions.length, 2);
});

test("a login above the session limit writes three more rows, counts after the response, and one below it does neither", async () => {
  await worker.update({ vars: { MAX_SESSIONS_PER_USER: "3" } });
  try {
    const user = await worker.register();
    const logIn = async () => {
      worker.events();
      const plan = worker.plan({});
      await worker.login(user, { headers: plan.headers });
      await plan.untilEnded();
      const counted = ({ route, d1_round_trips, d1_rows_written, kv_puts }) =>
        route === "Marks" ? [] : [[route, d1_round_trips, d1_rows_written, kv_puts]];
      return worker.events("costs").flatMap(counted);
    };
    for (let count = 1; count < 3; count += 1) assert.deepEqual(await logIn(), [["Login", 2, 2, 0]]);
    for (const rows of [2, 1])
      assert.deepEqual(await logIn(), [
        ["Login", 2, 5, 1],
        ["Evictions", 1, rows, 0],
      ]);
  } finally {
    await worker.update();
  }
});

test("clearing a written mark from D1 is one round trip after the response", async () => {
  const user = await worker.register();
  await worker.marksWritten();
  worker.events();
  await worker.revoke(user.refresh_token);
  await worker.marksWritten();
  const marksCost = await waitFor(() => worker.events("costs").find(({ route }) => route === "Marks"));
  const { d1_round_trips, d1_rows_read, d1_rows_written, kv_gets, kv_puts } = marksCost;
  assert.deepEqual([d1_round_trips, d1_rows_read, d1_rows_written, kv_gets, kv_puts], AFTER_RESPONSE.revoke);
});

test("one request writes at most 900 marks, and the scheduled event writes the rest", async () => {
  const busy = await worker.register();
  await insertSessions(busy, 1000, { revoked: false, accessExpires: 300 });
  const { status, kv_puts } = await costOf(() => worker.delete("/sessions", { bearer: busy.access_token }));
  assert.deepEqual([status, kv_puts], [200, 900]);
  await waitFor(async () => (await worker.db.prepare("SELECT COUNT(*) AS n FROM owed_marks").first()).n === 101);
  await worker.schedule("* * * * *");
  const { keys, list_complete, cursor } = await worker.kv.list({ prefix: "revoked:" });
  assert.equal(list_complete, false);
  const marked = [...keys, ...(await worker.kv.list({ prefix: "revoked:", cursor })).keys].map(({ name }) => name);
  const ended = (
    await worker.db.prepare("SELECT session_id FROM refresh_tokens WHERE user_id = ?").bind(busy.user.id).all()
  ).results;
  assert.equal(ended.length, 1001);
  for (const { session_id } of ended) assert.ok(marked.includes(`revoked:${session_id}`), session_id);
});

// These statements sort, but only the sessions of one account, or the few registrations of one address.
const SORTS = [
  "audit/find_revocations.sql",
  "sessions/revoke_excess.sql",
  "registration/delete_oldest.sql",
  "stats/count_events.sql",
];

/** The numbers of the parameters that a text names, in ascending order. */
const parametersIn = (text) =>
  [...new Set([...text.matchAll(/\?(\d+)/g)].map(([, number]) => Number(number)))].sort((a, b) => a - b);

const files = readdirSync(STATEMENTS, { recursive: true }).filter((name) => name.endsWith(".sql"));
assert.ok(files.length > 40);
for (const file of files) {
  const [, head, sql] = readFileSync(new URL(file, STATEMENTS), "utf8").match(/^((?:--.*\n)*)([\s\S]*)$/);

  test(`${file} documents its parameters and its cost`, () => {
    assert.deepEqual(parametersIn(head), parametersIn(sql));
    assert.match(head, /^-- (\?1 |No parameters\.$)/m);
    assert.match(head, /^-- Cost: .*\.$/m);
    assert.doesNotMatch(head, /[;']/);
    assert.doesNotMatch(sql, /--/);
  });

  test(`${file} uses an index`, async () => {
    const parameters = Math.max(0, ...parametersIn(sql));
    const values = Array.from({ length: parameters }, () => 1);
    const { results } = await worker.db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .bind(...values)
      .all();
    const details = results.map(({ detail }) => detail);
    if (/\b(WHERE|JOIN)\b/.test(sql))
      assert.ok(
        details.some((detail) => detail.includes("SEARCH")),
        details.join("; "),
      );
    const slow = SORTS.includes(file) ? /^SCAN/ : /^SCAN (?!CONSTANT ROW|\(subquery|json_each)|TEMP B-TREE/;
    for (const detail of details) assert.doesNotMatch(detail, slow, sql);
  });
}

test("only these files contain SQL", () => {
  const sources = readdirSync(new URL("../../src/", import.meta.url), { recursive: true }).filter((name) =>
    name.endsWith(".rs"),
  );
  assert.ok(sources.length > 20);
  for (const name of sources) {
    const code = readFileSync(new URL(`../../src/${name}`, import.meta.url), "utf8").replace(/^\s*\/\/.*$/gm, "");
    assert.doesNotMatch(code, /"[^"\n]*\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b/, name);
  }
});
