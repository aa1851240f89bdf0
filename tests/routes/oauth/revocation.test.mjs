// Ending sessions: POST /revoke (RFC 7009) and DELETE /sessions, and when each check refuses the tokens.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { assertOAuthError, assertProblem, forged, startWorker } from "../../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** Asserts that the access token is accepted, and the refresh token refreshes. */
async function assertLive(session) {
  await worker.assertLive(session);
  assert.equal((await worker.refresh(session.refresh_token)).status, 200);
}

for (const [kind, how] of Object.entries({
  "a refresh token in a form": (session) => worker.post("/revoke", { form: { token: session.refresh_token } }),
  "a refresh token in JSON": (session) => worker.post("/revoke", { json: { token: session.refresh_token } }),
  "an access token in a form": (session) => worker.post("/revoke", { form: { token: session.access_token } }),
  "an access token in JSON with its hint": (session) =>
    worker.post("/revoke", { json: { token: session.access_token, token_type_hint: "access_token" } }),
  "a refresh token with the wrong hint": (session) =>
    worker.post("/revoke", { form: { token: session.refresh_token, token_type_hint: "access_token" } }),
  "an access token with an unknown hint": (session) =>
    worker.post("/revoke", { form: { token: session.access_token, token_type_hint: "pigeon" } }),
  "a refresh token and other parameters": (session) =>
    worker.post("/revoke", { form: { token: session.refresh_token, client_id: "spa" } }),
})) {
  test(`${kind} ends its session and no other`, async () => {
    const session = await worker.register();
    const other = (await worker.login(session)).body;
    const answer = await how(session);
    assert.deepEqual([answer.status, answer.text], [200, ""]);
    await worker.assertEnded(session);
    await assertLive(other);
  });
}

test("the row has the time, origin and reason of a revocation, and the log has it once", async () => {
  const { refresh_token, session_id, user } = await worker.register();
  const headers = { "CF-Connecting-IP": "198.51.100.9", "User-Agent": "phone" };
  worker.events();
  await worker.revoke(refresh_token, { headers });
  const row = await worker.sessionRow(session_id);
  assert.deepEqual([row.revoked_ip, row.revoked_user_agent, row.revoked_reason], ["198.51.100.9", "phone", "logout"]);
  assert.ok(Math.abs(row.revoked_at - Date.now() / 1000) < 60);
  await worker.revoke(refresh_token);
  assert.deepEqual(await worker.sessionRow(session_id), row);
  const logged = worker.events("revoked").map(({ user_id, session_id: sid, reason }) => [user_id, sid, reason]);
  assert.deepEqual(logged, [[user.id, session_id, "logout"]]);
});

test("a rotated-out refresh token still ends its session, so a logout always succeeds", async () => {
  const session = await worker.register();
  const { body } = await worker.refresh(session.refresh_token);
  assert.equal((await worker.revoke(session.refresh_token)).status, 200);
  await worker.assertEnded(body);
});

test("an invalid or expired token, or one of an ended session, is 200 and changes nothing", async () => {
  const session = await worker.register();
  const ended = await worker.register();
  await worker.revoke(ended.refresh_token);
  const before = await worker.sessionRow(session.session_id);
  for (const token of [
    "garbage",
    "pcrt_garbage",
    "a.b.c",
    forged(session.refresh_token),
    `${session.access_token}x`,
    ended.refresh_token,
    ended.access_token,
  ]) {
    const answer = await worker.revoke(token);
    assert.deepEqual([answer.status, answer.text], [200, ""], token);
  }
  assert.deepEqual(await worker.sessionRow(session.session_id), before);
  await assertLive(session);
});

test("an expired access token still ends its session until the idle timeout", async () => {
  const now = Math.floor(Date.now() / 1000);
  const IDLE = 604_800;
  for (const [ago, ends] of [
    [1, true],
    [IDLE - 60, true],
    [IDLE + 60, false],
  ]) {
    const session = await worker.register();
    const expired = worker.resign(session.access_token, { iat: now - ago - 900, exp: now - ago });
    assertProblem(await worker.me(expired), 401, "token_expired");
    const answer = await worker.revoke(expired);
    assert.deepEqual([answer.status, answer.text], [200, ""]);
    if (ends) await worker.assertEnded(session);
    else await assertLive(session);
    assert.equal((await worker.revoke(`${expired}x`)).status, 200);
  }
  // A token for another audience or issuer, or one not valid yet, ends nothing.
  const session = await worker.register();
  for (const changes of [
    { aud: "https://other.example.org" },
    { iss: "https://other.example.org" },
    { nbf: now + 600 },
  ]) {
    assert.equal((await worker.revoke(worker.resign(session.access_token, { exp: now - 1, ...changes }))).status, 200);
  }
  await assertLive(session);
});

test("a missing, empty or repeated token is an OAuth error", async () => {
  const requests = [
    { form: {} },
    { form: { token: "" } },
    { json: {} },
    { json: { token: "" } },
    { json: { token: 1 } },
    { json: { token: "x", more: 1 } },
    {
      form: [
        ["token", "x"],
        ["token", "x"],
      ],
    },
    {
      form: [
        ["token", "x"],
        ["a", "1"],
        ["a", "2"],
      ],
    },
    { json: [] },
  ];
  for (const request of requests) assertOAuthError(await worker.post("/revoke", request), 400, "invalid_request");
  assertOAuthError(await worker.post("/revoke", { json: { token: null } }), 400, "invalid_request");
  assert.equal((await worker.post("/revoke", { json: { token: "x", token_type_hint: null } })).status, 200);
  assertOAuthError(await worker.post("/revoke?token=x", { form: {} }), 400, "invalid_request");
  assertOAuthError(await worker.get("/revoke?token=x"), 405, "invalid_request");
  assertOAuthError(
    await worker.post("/revoke", { body: "token=x", headers: { "Content-Type": "text/plain" } }),
    415,
    "invalid_request",
  );
  assertOAuthError(await worker.post("/revoke", { form: { token: "x".repeat(17000) } }), 413, "invalid_request");
});

test("log out everywhere ends every session of the user, returns their number, and ends no session of another user", async () => {
  const user = await worker.register();
  const sessions = [user, (await worker.login(user)).body, (await worker.login(user)).body];
  const otherUser = await worker.register();
  worker.events();
  const answer = await worker.delete("/sessions", { bearer: sessions[1].access_token });
  assert.deepEqual([answer.status, answer.body], [200, { sessions_ended: 3 }]);
  const [event] = worker.events("revoked_all");
  assert.deepEqual([event.user_id, event.sessions, event.reason], [user.user.id, 3, "logout_all"]);
  for (const session of sessions) {
    await worker.assertEnded(session);
    assert.equal((await worker.sessionRow(session.session_id)).revoked_reason, "logout_all");
  }
  await assertLive(otherUser);
  assert.equal((await worker.login(user)).status, 200);
});

test("log out everywhere writes marks to KV only for sessions that can still have a valid access token", async () => {
  const user = await worker.register();
  const old = (await worker.login(user)).body;
  const retried = (await worker.login(user)).body;
  const caller = (await worker.login(user)).body;
  // An access token lives 900 s, plus 60 s for clocks that differ.
  await worker.age(961, old.session_id);
  await worker.refresh(retried.refresh_token);
  await worker.age(20, retried.session_id);
  await worker.refresh(retried.refresh_token);
  await worker.age(942, retried.session_id);
  assert.equal((await worker.delete("/sessions", { bearer: caller.access_token })).body.sessions_ended, 4);
  // The grace retry also issued a token, twenty seconds after the rotation.
  assert.deepEqual(
    [
      await worker.isMarked(old),
      await worker.isMarked(retried),
      await worker.isMarked(caller),
      await worker.isMarked(user),
    ],
    [false, true, true, true],
  );
});

test("log out everywhere skips expired sessions whose access tokens have expired too", async () => {
  const user = await worker.register();
  const expired = (await worker.login(user)).body;
  const expire =
    "UPDATE refresh_tokens SET expires_at = unixepoch() - ?1, access_expires_at = unixepoch() - ?1 WHERE session_id = ?2";
  await worker.db.prepare(expire).bind(1, expired.session_id).run();
  assert.equal((await worker.delete("/sessions", { bearer: user.access_token })).body.sessions_ended, 1);
  assert.equal((await worker.sessionRow(expired.session_id)).revoked_at, null);
});

test("log out everywhere ends an expired session whose access token is still valid", async () => {
  const user = await worker.register();
  const shortened = (await worker.login(user)).body;
  await worker.db
    .prepare("UPDATE refresh_tokens SET expires_at = unixepoch() - 1 WHERE session_id = ?")
    .bind(shortened.session_id)
    .run();
  assert.equal((await worker.delete("/sessions", { bearer: user.access_token })).body.sessions_ended, 2);
  assertProblem(await worker.verify(shortened.access_token), 401, "invalid_token");
});

test("a mark lives as long as the issued tokens, whatever lifetime is configured later", async () => {
  const user = await worker.register();
  const other = (await worker.login(user)).body;
  await worker.update({ vars: { ACCESS_TOKEN_TTL_SECONDS: "60" } });
  await worker.revoke(user.refresh_token);
  await worker.age(200, other.session_id);
  await worker.delete("/sessions", { bearer: (await worker.login(user)).body.access_token });
  const { keys } = await worker.kv.list({ prefix: "revoked:" });
  const seconds = ({ session_id }) =>
    keys.find(({ name }) => name === `revoked:${session_id}`).expiration - Date.now() / 1000;
  assert.ok(seconds(user) > 950 && seconds(user) < 965, String(seconds(user)));
  assert.ok(seconds(other) > 750 && seconds(other) < 765, String(seconds(other)));
  await worker.update();
});

test("revoking a session whose last access token expired long ago writes no mark", async () => {
  const { refresh_token, session_id } = await worker.register();
  await worker.age(961, session_id);
  for (let count = 0; count < 2; count += 1) assert.equal((await worker.revoke(refresh_token)).status, 200);
  assert.equal((await worker.sessionRow(session_id)).revoked_reason, "logout");
  assert.equal(await worker.kv.get(`revoked:${session_id}`), null);
});

test("a session that has ended cannot log out the others", async () => {
  const user = await worker.register();
  const other = (await worker.login(user)).body;
  await worker.revoke(user.refresh_token);
  assertProblem(await worker.delete("/sessions", { bearer: user.access_token }), 401, "invalid_token");
  await worker.disable(user);
  assertProblem(await worker.delete("/sessions", { bearer: other.access_token }), 401, "invalid_token");
  assert.equal((await worker.sessionRow(other.session_id)).revoked_at, null);
  assertProblem(await worker.delete("/sessions"), 401, "missing_token");
});

test("a mark lives as long as an access token of the session can, plus one minute", async () => {
  const { access_token, session_id } = await worker.register();
  await worker.revoke(access_token);
  const { keys } = await worker.kv.list({ prefix: `revoked:${session_id}` });
  assert.equal(keys.length, 1);
  const seconds = keys[0].expiration - Date.now() / 1000;
  assert.ok(seconds > 950 && seconds < 965, String(seconds));
});

test("the tokens of a disabled or deleted account are refused at once where D1 is queried", async () => {
  for (const end of [ENDINGS["disabling the account"], ENDINGS["deleting the account"]]) {
    const { access_token, refresh_token, ...user } = await worker.register();
    await end(user);
    assertProblem(await worker.me(access_token), 401, "invalid_token");
    assertProblem(await worker.refresh(refresh_token), 401, "invalid_refresh_token");
  }
});

// Ways to end a session that race a refresh. After the response, no token may be accepted.
const ENDINGS = {
  "a logout by refresh token": ({ refresh_token }) => worker.revoke(refresh_token),
  "a logout by access token": ({ access_token }) => worker.revoke(access_token),
  "a logout everywhere": ({ access_token }) => worker.delete("/sessions", { bearer: access_token }),
  "disabling the account": (user) => worker.disable(user),
  "deleting the account": ({ user }) => worker.db.prepare("DELETE FROM users WHERE id = ?").bind(user.id).run(),
};
for (const [name, end] of Object.entries(ENDINGS)) {
  test(`no token issued by a refresh that races ${name} is accepted afterwards`, async () => {
    const user = await worker.register();
    const endsAccount = name.endsWith("the account");
    let before = 0;
    let after = 0;
    for (let round = 0; round < 10; round += 1) {
      // An account can be disabled or deleted only once, but beginning another session is cheap.
      const session = endsAccount ? await worker.register() : (await worker.login(user)).body;
      // The request is sent at varying times, so that it runs after some refreshes and before others.
      const refreshes = [0, 2, 4, 8, 16].map((delay, index) =>
        setTimeout(delay).then(() =>
          (index % 2 === 0 ? worker.refresh : worker.token).call(worker, session.refresh_token),
        ),
      );
      const ending = setTimeout(round % 12).then(() => end(session));
      const answers = await Promise.all([...refreshes, ending]);
      const issued = answers.filter(({ body }) => body?.refresh_token).map(({ body }) => body);
      before += issued.length;
      after += refreshes.length - issued.length;
      for (const tokens of [session, ...issued]) {
        assertProblem(await worker.refresh(tokens.refresh_token), 401, "invalid_refresh_token");
        assertProblem(await worker.me(tokens.access_token), 401, "invalid_token");
      }
    }
    assert.ok(
      before > 0 && after > 0,
      `no refresh raced: ${before} succeeded before the end, ${after} failed after it`,
    );
  });
}
