// Failures of storage: the response is a 503 or a fixed 500, nothing is lost, and the next request succeeds.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertOAuthError, assertProblem, startWorker } from "../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** In a new isolate, because an isolate caches the result for a few seconds. */
async function assertUnhealthy(what) {
  await worker.update();
  const health = await worker.get("/healthz");
  assertProblem(health, 503, "unhealthy");
  assert.equal(health.body.detail, `Not answering: ${what}.`);
}

function assertUnavailable(answer) {
  assertProblem(answer, 503, "storage_unavailable");
  assert.equal(answer.body.detail, "Storage did not answer. Try again shortly.");
}

for (const table of ["users", "refresh_tokens"]) {
  test(`without the table ${table}, every operation that needs it is a 503, and nothing is lost`, async () => {
    const user = await worker.register();
    const before = [await worker.counts(), await worker.sessionRow(user.session_id)];
    const newcomer = { email: `newcomer-${table}@example.org`, password: user.password };
    await worker.without(table, async () => {
      worker.events();
      assertUnavailable(await worker.post("/register", { json: newcomer }));
      assertUnavailable(await worker.login(user));
      assertUnavailable(await worker.refresh(user.refresh_token));
      assertUnavailable(await worker.me(user.access_token));
      assertUnavailable(await worker.delete("/sessions", { bearer: user.access_token }));
      const faults = worker.events("storage_fault");
      assert.equal(faults.length, 5);
      for (const { cause, level, request_id } of faults) {
        assert.match(cause, /no such table/);
        assert.equal(level, "error");
        assert.match(request_id, /^[\w-]{22}$/);
      }
      await assertUnhealthy("D1");
      // /verify needs only the signature and KV.
      assert.equal((await worker.verify(user.access_token)).status, 200);
    });
    // The failed registration left no account and no session.
    assert.deepEqual([await worker.counts(), await worker.sessionRow(user.session_id)], before);
    await worker.update();
    assert.equal((await worker.get("/healthz")).status, 200);
    assert.equal((await worker.refresh(user.refresh_token)).status, 200);
    assert.equal((await worker.post("/register", { json: newcomer })).status, 201);
  });
}

test("without the slot key, which every registration needs, the health check fails", async () => {
  const { secret } = await worker.db.prepare("SELECT secret FROM slot_key").first();
  await worker.db.prepare("DELETE FROM slot_key").run();
  await assertUnhealthy("D1");
  await worker.db.prepare("INSERT INTO slot_key (id, secret) VALUES (1, ?)").bind(secret).run();
  await worker.update();
  assert.equal((await worker.get("/healthz")).status, 200);
});

test("a read that fails does not reveal whether an account exists", async () => {
  const user = await worker.register();
  await worker.without("users", async () => {
    for (const email of [user.email, "nobody@example.org"]) assertUnavailable(await worker.login({ ...user, email }));
  });
});

test("a refresh at /token is an OAuth 503 when D1 fails, and a 500 on a corrupt row", async () => {
  const user = await worker.register();
  const answers = [await worker.without("refresh_tokens", () => worker.token(user.refresh_token))];
  await worker.db.prepare("UPDATE users SET roles = 'not json' WHERE id = ?").bind(user.user.id).run();
  answers.push(await worker.token(user.refresh_token));
  assertOAuthError(answers[0], 503, "temporarily_unavailable");
  assertOAuthError(answers[1], 500, "server_error");
  assert.equal(answers[1].body.error_description, "An internal error occurred.");
  await worker.db.prepare("UPDATE users SET roles = '[]' WHERE id = ?").bind(user.user.id).run();
  assert.equal((await worker.token(user.refresh_token)).status, 200);
});

test("a revocation at /revoke is an OAuth 503 when D1 fails, and writes no mark", async () => {
  const user = await worker.register();
  await worker.without("refresh_tokens", async () => {
    for (const token of [user.refresh_token, user.access_token]) {
      const answer = await worker.revoke(token);
      assert.deepEqual([answer.status, answer.body.error], [503, "temporarily_unavailable"]);
    }
  });
  assert.equal(await worker.kv.get(`revoked:${user.session_id}`), null);
  assert.equal((await worker.refresh(user.refresh_token)).status, 200);
});

test("a reuse that cannot be recorded is a 503, and the next replay ends the session", async () => {
  const { refresh_token, session_id } = await worker.register();
  const { body } = await worker.refresh(refresh_token);
  await worker.age(60, session_id);
  await worker.db
    .prepare(
      "CREATE TRIGGER no_revoking BEFORE UPDATE OF revoked_at ON refresh_tokens BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .run();
  assertUnavailable(await worker.refresh(refresh_token));
  assert.equal((await worker.revoke(body.refresh_token)).status, 503);
  assert.equal(await worker.kv.get(`revoked:${session_id}`), null);
  await worker.db.prepare("DROP TRIGGER no_revoking").run();
  assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
  assertProblem(await worker.refresh(body.refresh_token), 401, "invalid_refresh_token");
});

test("a rotation that is not written issues nothing, and can be retried", async () => {
  const { refresh_token, session_id } = await worker.register();
  await worker.db
    .prepare(
      "CREATE TRIGGER no_rotating BEFORE UPDATE OF generation ON refresh_tokens BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .run();
  assertUnavailable(await worker.refresh(refresh_token));
  await worker.db.prepare("DROP TRIGGER no_rotating").run();
  assert.equal((await worker.sessionRow(session_id)).generation, 0);
  assert.equal((await worker.refresh(refresh_token)).status, 200);
});

test("a login whose rehash fails begins no session, and the next one rehashes and begins one", async () => {
  const user = await worker.register();
  const outdated = await worker.outdateHash(user);
  const row = () =>
    worker.db
      .prepare(
        "SELECT password_hash, (SELECT count(*) FROM refresh_tokens WHERE user_id = id) AS sessions FROM users WHERE id = ?",
      )
      .bind(user.user.id)
      .first();
  await worker.db
    .prepare(
      "CREATE TRIGGER no_rehash BEFORE UPDATE OF password_hash ON users BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .run();
  assertUnavailable(await worker.login(user));
  assert.deepEqual(await row(), { password_hash: outdated, sessions: 1 });
  await worker.db.prepare("DROP TRIGGER no_rehash").run();
  assert.equal((await worker.login(user)).status, 200);
  const { password_hash, sessions } = await row();
  assert.notEqual(password_hash, outdated);
  assert.equal(sessions, 2);
});

test("without the audit trail, account changes and logins are errors, and sessions go on", async () => {
  const admin = await worker.registerAdmin();
  const user = await worker.register();
  const [own, as] = [{ bearer: user.access_token }, { bearer: admin.access_token }];
  const account = `/users/${user.user.id}`;
  const row = () => worker.db.prepare("SELECT * FROM users WHERE id = ?").bind(user.user.id).first();
  const before = await row();
  await worker.without("audit_events", async () => {
    assertUnavailable(await worker.login({ ...user, password: "wrong" }));
    assertUnavailable(await worker.login({ ...user, email: "nobody@example.org" }));
    assertUnavailable(await worker.request("PATCH", "/me", { ...own, json: { name: "X" } }));
    assertUnavailable(
      await worker.post("/me/password", {
        ...own,
        json: { current_password: user.password, new_password: "quite another horse battery" },
      }),
    );
    assertUnavailable(await worker.request("DELETE", "/me", own));
    assertUnavailable(await worker.get("/me/events", own));
    assertUnavailable(await worker.request("PATCH", account, { ...as, json: { disabled: true } }));
    assertUnavailable(await worker.request("DELETE", `${account}/sessions`, as));
    assertUnavailable(await worker.request("DELETE", account, as));
    await assertUnhealthy("D1");
    assertUnavailable(await worker.login(user));
    assert.equal((await worker.refresh(user.refresh_token)).status, 200);
  });
  assert.equal((await worker.login(user)).status, 200);
  assert.deepEqual(await row(), before);
  assert.equal((await worker.me(user.access_token)).status, 200);
});

test("a change that fails halfway changes nothing and records no event", async () => {
  const admin = await worker.registerAdmin();
  const user = await worker.register();
  await worker.login(user);
  const [own, as] = [{ bearer: user.access_token }, { bearer: admin.access_token }];
  const account = `/users/${user.user.id}`;
  const passwords = { current_password: user.password, new_password: "quite another horse battery" };
  const changes = {
    "UPDATE OF revoked_at ON refresh_tokens": [
      () => worker.post("/me/password", { ...own, json: passwords }),
      () => worker.request("PATCH", account, { ...as, json: { disabled: true, roles: ["user", "admin"] } }),
      () => worker.request("DELETE", `${account}/sessions`, as),
    ],
    "DELETE ON users": [() => worker.request("DELETE", "/me", own), () => worker.request("DELETE", account, as)],
    "UPDATE OF name ON users": [() => worker.request("PATCH", "/me", { ...own, json: { name: "X" } })],
  };
  const everything = async () => {
    const dump = async (table) => (await worker.db.prepare(`SELECT * FROM ${table}`).all()).results;
    return [
      await dump("users"),
      await dump("refresh_tokens"),
      await dump("audit_events"),
      (await worker.kv.list()).keys,
    ];
  };
  const before = await everything();
  for (const [moment, acts] of Object.entries(changes)) {
    await worker.db
      .prepare(`CREATE TRIGGER halfway BEFORE ${moment} BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
      .run();
    for (const act of acts) assertUnavailable(await act());
    await worker.db.prepare("DROP TRIGGER halfway").run();
    assert.deepEqual(await everything(), before, moment);
  }
  assert.equal((await changes["UPDATE OF name ON users"][0]()).status, 200);
  assert.equal((await changes["UPDATE OF revoked_at ON refresh_tokens"][0]()).status, 200);
});

test("a row that violates the schema is a fixed 500, and the next request succeeds", async () => {
  const user = await worker.register();
  const other = await worker.register();
  await worker.db.prepare("UPDATE users SET roles = 'not json' WHERE id = ?").bind(user.user.id).run();
  worker.events();
  for (const answer of [
    await worker.login(user),
    await worker.me(user.access_token),
    await worker.refresh(user.refresh_token),
  ]) {
    assertProblem(answer, 500, "internal_error");
    assert.equal(answer.body.detail, "An internal error occurred.");
  }
  assert.equal(worker.events("internal_error").length, 3);
  assert.equal((await worker.me(other.access_token)).status, 200);
});

test("if KV fails, a revocation still takes effect in D1, and /verify is a 503", async () => {
  // With a binding of another type, every call of KV throws, as if KV were down.
  await worker.update({ vars: { REVOCATIONS: "not a namespace" } });
  try {
    const user = await worker.register();
    const other = (await worker.login(user)).body;
    assertUnavailable(await worker.verify(user.access_token));
    worker.events();
    assert.equal((await worker.revoke(user.refresh_token)).status, 200);
    const [failure] = worker.events("revocation_mark_failed");
    assert.deepEqual([failure.level, failure.session_id], ["error", user.session_id]);
    assertProblem(await worker.refresh(user.refresh_token), 401, "invalid_refresh_token");
    assertProblem(await worker.me(user.access_token), 401, "invalid_token");
    assert.equal((await worker.delete("/sessions", { bearer: other.access_token })).status, 200);
    assertProblem(await worker.refresh(other.refresh_token), 401, "invalid_refresh_token");
    const health = await worker.get("/healthz");
    assertProblem(health, 503, "unhealthy");
    assert.equal(health.body.detail, "Not answering: KV.");
  } finally {
    await worker.update();
  }
  // The owed mark is written as soon as KV works.
  await worker.schedule("* * * * *");
  await worker.marksWritten();
});

// Requests that end an ended session again, and thus write its mark if it is still owed.
const REPEATS = {
  "revoking a token": ({ refresh_token }) => worker.revoke(refresh_token),
  "revoking an expired access token": async ({ access_token }) =>
    worker.revoke(worker.resign(access_token, { exp: Math.floor(Date.now() / 1000) - 5 })),
  "ending one session": ({ session_id }, other) =>
    worker.delete(`/sessions/${session_id}`, { bearer: other.access_token }),
  "ending all sessions": (_, other) => worker.delete("/sessions", { bearer: other.access_token }),
  "ending all sessions from an ended one": ({ access_token }) => worker.delete("/sessions", { bearer: access_token }),
  "a password change": (_, other) =>
    worker.post("/me/password", {
      bearer: other.access_token,
      json: { current_password: other.password, new_password: "quite another horse battery" },
    }),
  "deleting the account": (_, other) => worker.delete("/me", { bearer: other.access_token }),
  "an admin who ends all sessions": ({ user }, _, admin) =>
    worker.delete(`/users/${user.id}/sessions`, { bearer: admin.access_token }),
  "an admin who disables the account": ({ user }, _, admin) =>
    worker.patch(`/users/${user.id}`, { bearer: admin.access_token, json: { disabled: true } }),
  "an admin who deletes the account": ({ user }, _, admin) =>
    worker.delete(`/users/${user.id}`, { bearer: admin.access_token }),
  "the scheduled event": () => worker.schedule("* * * * *"),
};
for (const [name, again] of Object.entries(REPEATS)) {
  test(`a failed mark is written by ${name}`, async () => {
    const admin = await worker.registerAdmin();
    const user = await worker.register();
    const other = { ...(await worker.login(user)).body, password: user.password };
    const { access_token, session_id } = user;
    // The state after a failure of KV: D1 has the ended session and its owed mark.
    await worker.db
      .prepare("UPDATE refresh_tokens SET revoked_at = unixepoch(), revoked_reason = 'logout' WHERE session_id = ?")
      .bind(session_id)
      .run();
    const owed = () => worker.db.prepare("SELECT * FROM owed_marks WHERE user_id = ?").bind(user.user.id).all();
    assert.deepEqual(
      (await owed()).results.map((mark) => mark.session_id),
      [session_id],
    );
    assert.equal((await worker.verify(access_token)).status, 200);
    await again(user, other, admin);
    assertProblem(await worker.verify(access_token), 401, "invalid_token");
    await worker.marksWritten();
  });
}

test("a mark that has been written is not written again", async () => {
  const { refresh_token, session_id } = await worker.register();
  await worker.revoke(refresh_token);
  await worker.marksWritten();
  await worker.kv.delete(`revoked:${session_id}`);
  for (let count = 0; count < 5; count += 1) assert.equal((await worker.revoke(refresh_token)).status, 200);
  assert.equal(await worker.kv.get(`revoked:${session_id}`), null);
});

test("an owed mark whose access tokens have expired is cleared, not written", async () => {
  const { session_id, user } = await worker.register();
  await worker.db
    .prepare("INSERT INTO owed_marks (user_id, session_id, access_expires_at) VALUES (?, ?, unixepoch() - 61)")
    .bind(user.id, session_id)
    .run();
  await worker.schedule("* * * * *");
  await worker.marksWritten();
  assert.equal(await worker.kv.get(`revoked:${session_id}`), null);
});

test("the scheduled event marks the sessions of an account that was deleted by hand", async () => {
  const { access_token, user } = await worker.register();
  await worker.db.prepare("DELETE FROM users WHERE id = ?").bind(user.id).run();
  assert.equal((await worker.verify(access_token)).status, 200);
  await worker.schedule("* * * * *");
  assertProblem(await worker.verify(access_token), 401, "invalid_token");
});
