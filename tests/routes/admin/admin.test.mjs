// The admin routes: who may use them, what they show, and what they change.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { assertProblem, startWorker } from "../../support/harness.mjs";

const UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAAA";

let worker, admin, plain;
before(async () => {
  worker = await startWorker();
  [admin, plain] = [await worker.registerAdmin(), await worker.register()];
});
after(() => worker.close());

const as = (session, method, path, json) => worker.request(method, path, { bearer: session.access_token, json });
const update = (session, { user }, json) => as(session, "PATCH", `/users/${user.id}`, json);
const show = ({ user }) => as(admin, "GET", `/users/${user.id}`);
const list = async (query = "") => as(admin, "GET", `/users${query}`);
const kinds = async ({ user }) =>
  (
    await worker.db.prepare("SELECT kind FROM audit_events WHERE user_id = ? ORDER BY kind").bind(user.id).all()
  ).results.map(({ kind }) => kind);
const sent = { PATCH: { disabled: true } };

/** Every admin route, with this id where the path has one. */
const routes = (id) => [
  ["GET", "/users"],
  ["GET", "/users?email=person"],
  ["GET", "/stats"],
  ["GET", `/users/${id}`],
  ["GET", `/users/${id}/events`],
  ["PATCH", `/users/${id}`],
  ["DELETE", `/users/${id}/sessions`],
  ["DELETE", `/users/${id}`],
];
const requestAll = (bearer, id) =>
  Promise.all(routes(id).map(([method, path]) => worker.request(method, path, { bearer, json: sent[method] })));

/** A response without its request id. */
const bytes = ({ status, headers, text }) =>
  JSON.stringify([
    status,
    text.replace(/"request_id":"[^"]*"/, ""),
    [...headers].filter(([name]) => name !== "x-request-id"),
  ]);

/** Asserts that nothing in D1 changes while `act` runs. */
async function unchanged(act) {
  const before = await worker.dump();
  await act();
  assert.deepEqual(await worker.dump(), before);
}

/** Inserts numbered users, in the order of their numbers. */
async function insertUsers(prefix, count) {
  const numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2)";
  const user =
    "substr(?1 || '-AAAAAAAAAAAAAAAAAAAAAA', 1, 17) || printf('%04d', n) || 'A', printf('%s-%04d@Example.org', ?1, n), printf('%s-%04d@example.org', ?1, n)";
  const insert = `INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at) ${numbers} SELECT ${user}, '', 0, 0, '["user"]', n FROM numbers`;
  await worker.db.prepare(insert).bind(prefix, count).run();
}

function insertUser(id, email, key = email) {
  const insert =
    "INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at) VALUES (?, ?, ?, '', 0, 0, '[]', 0)";
  return worker.db.prepare(insert).bind(id.padEnd(22, "A"), email, key).run();
}

/** The addresses on all pages; `act` runs after each page. */
async function walk(query, act = () => {}) {
  const pages = [];
  let cursor = null;
  do {
    assert.ok(pages.length < 100, "the pages do not end");
    const { status, body } = await list(`?${query}${cursor === null ? "" : `&cursor=${cursor}`}`);
    assert.equal(status, 200);
    pages.push(body.users.map(({ email }) => email.toLowerCase()));
    cursor = body.next_cursor;
    await act(pages);
  } while (cursor !== null);
  return pages;
}

test("without an access token, or with an expired or invalid one, every route is 401", async () => {
  const expired = worker.resign(admin.access_token, { iat: 1000, exp: 1900 });
  await unchanged(async () => {
    for (const [bearer, code] of [
      [undefined, "missing_token"],
      [expired, "token_expired"],
      [`${admin.access_token}x`, "invalid_token"],
      [admin.refresh_token, "invalid_token"],
    ]) {
      for (const answer of await requestAll(bearer, plain.user.id)) assertProblem(answer, 401, code);
    }
  });
});

test("a user who is not an admin gets the same bytes, whether or not the account exists", async () => {
  await unchanged(async () => {
    worker.events();
    const answers = (
      await Promise.all([admin.user.id, UNKNOWN_ID, "x", ""].map((id) => requestAll(plain.access_token, id)))
    ).flat();
    for (const answer of answers) {
      assertProblem(answer, 403, "forbidden");
      assert.match(answer.headers.get("www-authenticate"), /^Bearer error="insufficient_scope"/);
    }
    assert.equal(new Set(answers.map(bytes)).size, 1);
    const logged = worker.events("forbidden");
    assert.equal(logged.length, answers.length);
    for (const { level, user_id, session_id } of logged)
      assert.deepEqual([level, user_id, session_id], ["warn", plain.user.id, plain.session_id]);
  });
});

test("only admins see the list of roles", async () => {
  await unchanged(async () => {
    const roles = ["nothing-of-the-kind"];
    assertProblem(await update(plain, admin, { roles }), 403, "forbidden");
    assertProblem(await update(plain, { user: { id: UNKNOWN_ID } }, { roles }), 403, "forbidden");
    assertProblem(await update(admin, { user: { id: UNKNOWN_ID } }, { roles }), 404, "not_found");
    assertProblem(await update(admin, plain, { roles }), 422, "unknown_role");
  });
});

test("admins cannot delete their own account by the admin route, because deleting it requires the password", async () => {
  await worker.registerAdmin();
  await unchanged(async () =>
    assertProblem(await as(admin, "DELETE", `/users/${admin.user.id}`), 400, "invalid_request"),
  );
});

test("the role is read from D1 at the time of the request, not from the token", async () => {
  const other = await worker.registerAdmin();
  const token = (await worker.refresh(other.refresh_token)).body.access_token;
  assert.deepEqual(decodeJwt(token).roles, ["user", "admin"]);
  assert.equal((await worker.get("/users", { bearer: token })).status, 200);
  await worker.setRoles(other, ["user"]);
  await unchanged(async () => {
    for (const answer of await requestAll(token, plain.user.id)) assertProblem(answer, 403, "forbidden");
  });
  // A token issued before the user became an admin works too.
  assert.deepEqual(decodeJwt(other.access_token).roles, ["user"]);
  await worker.setRoles(other, ["admin"]);
  for (const [method, path] of routes(other.user.id).slice(0, 5))
    assert.equal((await worker.request(method, path, { bearer: other.access_token })).status, 200);
  assert.equal((await update(other, plain, { disabled: false })).status, 200);
});

test("only the exact role name grants access", async () => {
  const other = await worker.register();
  for (const roles of [["administrator"], ["user", "superadmin"], ["ADMIN"], []]) {
    await worker.setRoles(other, roles);
    await unchanged(async () => {
      for (const answer of await requestAll(other.access_token, plain.user.id)) assertProblem(answer, 403, "forbidden");
    });
  }
});

test("an admin whose session ended, or who is disabled, sees and changes nothing", async () => {
  const endings = {
    revoked: (other) => worker.revoke(other.refresh_token),
    expired: ({ session_id }) => worker.age(604800, session_id),
    disabled: (other) => worker.disable(other),
    deleted: ({ user }) => worker.db.prepare("DELETE FROM users WHERE id = ?").bind(user.id).run(),
  };
  for (const [name, end] of Object.entries(endings)) {
    const other = await worker.registerAdmin();
    await end(other);
    await unchanged(async () => {
      for (const answer of await requestAll(other.access_token, plain.user.id))
        assertProblem(answer, 401, "invalid_token", name);
    });
  }
});

test("an unknown account and an invalid id are the same 404", async () => {
  const odd = [
    UNKNOWN_ID,
    "x",
    "",
    "%27",
    "%00",
    "'--",
    "*",
    "..%2fme",
    `${plain.user.id}=`,
    plain.user.id.slice(0, -1),
    `${plain.user.id}A`,
    encodeURIComponent(`${plain.user.id}' OR 1=1`),
    "A".repeat(3000),
  ];
  const found = new Set();
  await unchanged(async () => {
    for (const id of odd) {
      for (const [method, path] of routes(id).slice(3)) {
        const answer = await as(admin, method, path, sent[method]);
        assertProblem(answer, 404, "not_found");
        found.add(bytes(answer));
      }
    }
  });
  assert.equal(found.size, 1);
  for (const path of [
    `/users/${plain.user.id}/`,
    `/users/${plain.user.id}/password`,
    `/users/${plain.user.id}/sessions/x`,
  ])
    assertProblem(await as(admin, "DELETE", path), 404, "not_found");
});

test("an account is shown as to its user, with disabled_at in addition", async () => {
  const user = await worker.register({ username: "Shown", name: "Shown Name" });
  const { body } = await show(user);
  assert.deepEqual(body, { ...user.user, disabled_at: null });
  assert.deepEqual(Object.keys(body).sort(), [
    "app_metadata",
    "created_at",
    "disabled_at",
    "email",
    "email_verified",
    "family_name",
    "given_name",
    "id",
    "metadata",
    "name",
    "roles",
    "username",
  ]);
  await worker.setColumn(user, "email_verified_at", 1);
  await worker.disable(user);
  const changed = { ...user.user, email_verified: true, disabled_at: 1 };
  assert.deepEqual((await show(user)).body, changed);
  const listed = (await list(`?email=${user.email}`)).body;
  assert.deepEqual(listed, { users: [changed], next_cursor: null });
});

test("the pages of the list contain every account once and in order, whatever the page size", async () => {
  await insertUsers("paged", 123);
  const { results } = await worker.db.prepare("SELECT email_key FROM users ORDER BY email_key").all();
  const all = results.map(({ email_key }) => email_key);
  for (const limit of [7, 41, 50, 100]) {
    const pages = await walk(`limit=${limit}`);
    assert.deepEqual(pages.flat(), all);
    for (const page of pages.slice(0, -1)) assert.equal(page.length, limit);
  }
  assert.equal((await list()).body.users.length, 50);
  // A full last page has no cursor either.
  const pages = await walk("email=paged&limit=41");
  assert.deepEqual(
    pages.map(({ length }) => length),
    [41, 41, 41],
  );
});

test("accounts that are added or deleted between two pages cause neither repeated nor missing accounts", async () => {
  await insertUsers("moving", 120);
  const key = (number, suffix = "") => `moving-${String(number).padStart(4, "0")}${suffix}@example.org`;
  const seen = (
    await walk("email=moving&limit=10", async (pages) => {
      if (pages.length > 11) return;
      const last = pages.length * 10;
      // Deletes the last account of the page and one ahead, and inserts one behind and one ahead of the cursor.
      await worker.db
        .prepare("DELETE FROM users WHERE email_key IN (?, ?)")
        .bind(key(last), key(last + 5))
        .run();
      for (const [number, name] of [
        [last - 3, "behind"],
        [last + 7, "ahead"],
      ]) {
        await insertUser(`${name}${last}`, key(number, name));
      }
    })
  ).flat();
  assert.deepEqual(seen, [...seen].sort());
  assert.equal(new Set(seen).size, seen.length);
  const staying = Array.from({ length: 120 }, (_, index) => index + 1)
    .filter((number) => number % 10 !== 5 && number % 10 !== 0)
    .map((number) => key(number));
  for (const email of staying) assert.ok(seen.includes(email), email);
  assert.ok(seen.some((email) => email.includes("ahead")) && !seen.some((email) => email.includes("behind")));
});

test("a plus in an address is found both literally and percent-encoded", async () => {
  const emails = ["plus+tag@example.org", "plus+other@example.org", "plustag@example.org"];
  for (const email of emails) await worker.register({ email });
  const found = async (query) => (await list(`?${query}`)).body.users.map(({ email }) => email);
  for (const [query, expected] of [
    ["email=plus+tag@example.org", [emails[0]]],
    ["email=plus%2Btag@example.org", [emails[0]]],
    ["email=plus%2btag%40example.org", [emails[0]]],
    [`${new URLSearchParams({ email: emails[0] })}`, [emails[0]]],
    ["email=plus+", [emails[1], emails[0]]],
    ["limit=1&email=plus+t", [emails[0]]],
    ["email=plus%20tag@example.org", []],
    ["email=+", []],
  ]) {
    assert.deepEqual(await found(query), expected, query);
  }
});

test("the limit must be a number from 1 to 100, in digits", async () => {
  for (const limit of [
    "0",
    "101",
    "-1",
    "1e1",
    "%2B5",
    "+5",
    "5.0",
    "",
    "x",
    "0x5",
    "99999999999999999999",
    "%EF%BC%95",
  ]) {
    assertProblem(await list(`?limit=${limit}`), 400, "invalid_request");
    assertProblem(await as(admin, "GET", `/users/${plain.user.id}/events?limit=${limit}`), 400, "invalid_request");
  }
  for (const limit of [1, 100]) assert.equal((await list(`?limit=${limit}`)).body.users.length, limit);
});

test("an invalid cursor and an unknown or repeated parameter are 400", async () => {
  for (const query of [
    "cursor=",
    "cursor=%",
    "cursor=x",
    "cursor=_w",
    "cursor=YQ%3D%3D",
    "cursor=YR",
    "cursor=a%20b",
    "page=2",
    "Limit=5",
    "offset=5",
    "email=a&email=b",
    "limit=5&limit=5",
    "cursor=YQ&cursor=YQ",
    "email[]=a",
    "role=admin",
    "q",
  ]) {
    assertProblem(await list(`?${query}`), 400, "invalid_request", query);
  }
  for (const query of ["cursor=", "cursor=x", "cursor=YQ", "cursor=MS54%3D", "page=2", "email=a", "limit=5&limit=5"]) {
    assertProblem(await as(admin, "GET", `/users/${plain.user.id}/events?${query}`), 400, "invalid_request", query);
  }
});

test("the search matches the beginning of an address, in any case and normal form, and has no wildcards", async () => {
  const emails = [
    "Ren\u00e9e.X@example.org",
    "Ren\u00e9.Y@example.org",
    "rene@example.org",
    "100%real@example.org",
    "100x@example.org",
    "a_b@example.org",
    "aXb@example.org",
    "o'neil@example.org",
    "\u03a3\u03c2@example.org",
    "ida@b\u00fccher.example",
  ];
  for (const [index, email] of emails.entries()) {
    // As registration stores it: a final sigma is unchanged, and the domain is in its ASCII form.
    const key = email.toLowerCase().replace("b\u00fccher", "xn--bcher-kva");
    await insertUser(`search${index}`, email, key);
  }
  const found = async (email) =>
    (await list(`?email=${encodeURIComponent(email)}`)).body.users.map((user) => user.email);
  for (const [prefix, indices] of [
    ["REN\u00c9", [1, 0]],
    ["rene\u0301", [1, 0]],
    ["  ren\u00e9e ", [0]],
    ["rene@", [2]],
    ["100%", [3]],
    ["100_", []],
    ["%", []],
    ["_", []],
    ["a_", [5]],
    ["axb@example.org", [6]],
    ["o'", [7]],
    ["o''", []],
    ["\u03c3", [8]],
    ["ida@b\u00fccher.example", [9]],
    ["IDA@B\u00dcCHER.Example", [9]],
    ["neil", []],
    ["nobody-at-all", []],
    ["\u0000", []],
    ["\ud83d\ude00", []],
    ["\u{10ffff}", []],
    ["' OR 1=1 --", []],
    ["x".repeat(3000), []],
  ]) {
    assert.deepEqual(
      await found(prefix),
      indices.map((index) => emails[index]),
      prefix,
    );
  }
  assert.deepEqual((await list("?email=nobody-at-all")).body, { users: [], next_cursor: null });
});

test("roles are stored in the configured order, whatever order they are sent in", async () => {
  const user = await worker.register();
  for (const [roles, stored] of [
    [
      ["admin", "user"],
      ["user", "admin"],
    ],
    [["admin"], ["admin"]],
    [[], []],
    [["user"], ["user"]],
  ]) {
    const { status, body } = await update(admin, user, { roles });
    assert.deepEqual([status, body], [200, { ...user.user, roles: stored, disabled_at: null }]);
    assert.equal((await worker.account(user)).roles, JSON.stringify(stored));
  }
  assert.deepEqual(await kinds(user), Array(4).fill("roles_changed"));
});

test("unknown or repeated roles are 422, an invalid body is 400, and neither changes anything", async () => {
  await unchanged(async () => {
    for (const roles of [
      ["editor"],
      ["user", "editor"],
      ["user", "user"],
      ["admin", "user", "admin"],
      ["Admin"],
      [" admin"],
      [""],
      ['admin"'],
    ]) {
      assertProblem(await update(admin, plain, { roles, disabled: true }), 422, "unknown_role");
    }
    for (const bad of [
      {},
      null,
      [],
      "admin",
      { roles: "admin" },
      { roles: null },
      { roles: null, disabled: null },
      { roles: [1] },
      { roles: [null] },
      { roles: { 0: "user" } },
      { disabled: null },
      { disabled: 1 },
      { disabled: "true" },
      { disabled: [] },
      { disabled_at: 1 },
      { disabled: true, email: "x@example.org" },
      { roles: ["user"], name: "x" },
      { password: "x" },
    ]) {
      assertProblem(await update(admin, plain, bad), 400, "invalid_request");
    }
    const body = '{"disabled":false,"disabled":true}';
    assertProblem(
      await worker.patch(`/users/${plain.user.id}`, {
        bearer: admin.access_token,
        body,
        headers: { "Content-Type": "application/json" },
      }),
      400,
      "invalid_request",
    );
  });
});

test("roles and disabling can change in one request, and repeating it records nothing", async () => {
  const user = await worker.register();
  worker.events();
  for (let time = 0; time < 3; time += 1) {
    const { status, body } = await update(admin, user, { roles: ["admin", "user"], disabled: true });
    assert.deepEqual(
      [status, body.roles, Math.abs(body.disabled_at - Date.now() / 1000) < 60],
      [200, ["user", "admin"], true],
    );
  }
  const changes = worker.events("account_changed").map(({ request_id, ...event }) => event);
  const common = {
    level: "info",
    event: "account_changed",
    user_id: user.user.id,
    admin_id: admin.user.id,
    sessions_ended: 1,
  };
  assert.deepEqual(changes, [
    { ...common, change: "roles_changed", sessions_ended: 0 },
    { ...common, change: "disabled" },
  ]);
  assert.deepEqual(await kinds(user), ["disabled", "roles_changed"]);
  // Enabling is a change; the roles stay the same.
  assert.equal((await update(admin, user, { roles: ["user", "admin"], disabled: false })).body.disabled_at, null);
  // A null member counts as omitted.
  await unchanged(async () => {
    assert.equal((await update(admin, user, { roles: null, disabled: false })).status, 200);
    assert.equal((await update(admin, user, { roles: ["user", "admin"], disabled: null })).status, 200);
  });
  assert.deepEqual(await kinds(user), ["disabled", "enabled", "roles_changed"]);
  await unchanged(() => update(admin, user, { disabled: false }));
});

test("disabling ends every session at once and everywhere, and enabling revives none", async () => {
  const user = await worker.register();
  const other = (await worker.login(user)).body;
  assert.equal((await update(admin, user, { disabled: true })).status, 200);
  for (const { session_id } of [user, other]) {
    assert.equal((await worker.sessionRow(session_id)).revoked_reason, "disabled");
    assert.notEqual(await worker.kv.get(`revoked:${session_id}`), null);
  }
  assertProblem(await worker.login(user), 401, "invalid_credentials");
  assert.equal((await update(admin, user, { disabled: false })).status, 200);
  for (const session of [user, other]) await worker.assertEnded(session);
  assert.equal((await worker.login(user)).status, 200);
});

test("new roles take effect on admin routes at once, and in tokens from the next refresh on", async () => {
  const user = await worker.register();
  await update(admin, user, { roles: ["user", "admin"] });
  assert.equal((await as(user, "GET", "/users")).status, 200);
  assert.deepEqual((await worker.me(user.access_token)).body.roles, ["user", "admin"]);
  const { body } = await worker.refresh(user.refresh_token);
  assert.deepEqual(
    [body.user.roles, decodeJwt(body.access_token).roles],
    [
      ["user", "admin"],
      ["user", "admin"],
    ],
  );
  await update(admin, user, { roles: [] });
  assertProblem(await as(body, "GET", "/users"), 403, "forbidden");
  assert.deepEqual(decodeJwt((await worker.refresh(body.refresh_token)).body.access_token).roles, []);
});

test("an admin ends all sessions of a user, who may log in again", async () => {
  const user = await worker.register();
  const other = (await worker.login(user)).body;
  const { status, body } = await as(admin, "DELETE", `/users/${user.user.id}/sessions`);
  assert.deepEqual([status, body], [200, { sessions_ended: 2 }]);
  for (const session of [user, other]) await worker.assertEnded(session);
  assert.equal(
    (await worker.sessionRow(other.session_id)).revoked_ip,
    null,
    "a user does not see the address of an admin",
  );
  await worker.assertLive(admin);
  const again = (await worker.login(user)).body;
  await worker.assertLive(again);
});

test("an admin deletes an account once, and only the record of the deletion is left", async () => {
  const user = await worker.register({
    email: "canary.deleted@example.org",
    username: "canary.deleted",
    name: "Canary",
  });
  await worker.patch("/me", { bearer: user.access_token, json: { name: "Canary 2" } });
  const answers = await Promise.all([1, 2].map(() => as(admin, "DELETE", `/users/${user.user.id}`)));
  assert.deepEqual(answers.map(({ status, text }) => [status, text === ""]).sort(), [
    [204, true],
    [404, false],
  ]);
  await worker.assertEnded(user);
  assert.doesNotMatch(JSON.stringify(await worker.dump()), /canary/i);
  assert.deepEqual(await kinds(user), ["deleted"]);
  for (const [method, path] of routes(user.user.id).slice(3)) {
    const answer = await as(admin, method, path, sent[method]);
    if (path.endsWith("/events"))
      assert.deepEqual(
        answer.body.events.map(({ kind, by, admin_id }) => [kind, by, admin_id]),
        [["deleted", "admin", admin.user.id]],
      );
    else assertProblem(answer, 404, "not_found");
  }
  assert.equal((await worker.register({ email: user.email })).email, user.email);
});

test("enabling an account that was disabled directly in D1 ends its remaining sessions", async () => {
  const user = await worker.register();
  await worker.disable(user);
  assert.equal((await update(admin, user, { disabled: false })).status, 200);
  await worker.assertEnded(user);
});

test("the last active admin cannot be demoted, disabled or deleted", async () => {
  await worker.db.prepare(`UPDATE users SET roles = '["user"]' WHERE id <> ?`).bind(admin.user.id).run();
  const second = await worker.registerAdmin();
  await worker.disable(second);
  const attempts = [
    () => update(admin, admin, { roles: ["user"] }),
    () => update(admin, admin, { roles: [] }),
    () => update(admin, admin, { roles: ["user"], disabled: false }),
    () => update(admin, admin, { disabled: true }),
    () => update(admin, admin, { roles: ["user", "admin"], disabled: true }),
    () => as(admin, "DELETE", "/me"),
  ];
  await unchanged(async () => {
    for (const attempt of attempts) assertProblem(await attempt(), 409, "last_admin");
  });
  // A disabled admin does not count and can be demoted. With a second active admin, the first can be demoted, disabled
  // or deleted.
  assert.equal((await update(admin, second, { roles: ["user"] })).status, 200);
  await worker.disable(second, false);
  for (const [remove, expected] of [
    [() => update(admin, admin, { roles: ["user"] }), 200],
    [() => update(admin, admin, { disabled: true }), 200],
    [() => as(admin, "DELETE", "/me"), 204],
  ]) {
    await worker.setRoles(second, ["admin"]);
    assert.equal((await remove()).status, expected);
    assertProblem(await update(second, second, { disabled: true }), 409, "last_admin");
    await worker.setRoles(admin, ["user", "admin"]);
    await worker.disable(admin, false);
    const login = await worker.login(admin);
    if (expected === 200) admin = { ...admin, ...login.body };
  }
});

test("with other roles configured, new users get the first, and admins grant the others", async () => {
  await worker.update({ vars: { ROLES: "member,editor,admin" } });
  const user = await worker.register();
  assert.deepEqual([user.user.roles, decodeJwt(user.access_token).roles], [["member"], ["member"]]);
  const otherAdmin = await worker.registerAdmin();
  assert.deepEqual((await update(otherAdmin, user, { roles: ["editor", "member"] })).body.roles, ["member", "editor"]);
  assertProblem(await update(otherAdmin, user, { roles: ["user"] }), 422, "unknown_role");
  // Roles granted before the list changed stay until they are changed.
  assert.deepEqual((await as(otherAdmin, "GET", `/users/${plain.user.id}`)).body.roles, ["user"]);
});
