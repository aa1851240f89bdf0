// POST /introspect (RFC 7662): who may call it, what it reports about a token, and that changes take effect at once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { makeResourceServer, makeSecrets } from "../../../packages/portcullis/src/secrets.mjs";
import { assertOAuthError, assertProblem, basic, forged, ISSUER, startWorker } from "../../support/harness.mjs";

const AUDIENCE = "https://api.example.org";
const IDLE = 604800;
const GRACE = 30;
/** The number of rounds per way to end a session, because an end that takes effect late fails only some of them. */
const ROUNDS = 12;
const api = makeResourceServer("orders-api", AUDIENCE);
const second = makeResourceServer("billing.v2~test_1", AUDIENCE);
const otherApi = makeResourceServer("other-api", "https://other.example.org");
const RESOURCE_SERVERS = JSON.stringify([api.entry, second.entry, otherApi.entry]);

let worker;
before(async () => (worker = await startWorker({ vars: { RESOURCE_SERVERS } })));
after(() => worker.close());

const isActive = async (token, server = api) => {
  const { status, body } = await worker.introspect(token, server);
  assert.equal(status, 200);
  return body.active;
};

/** Asserts that a token is reported as inactive, with no other member. */
async function assertInactive(token, server = api) {
  const { status, headers, text } = await worker.introspect(token, server);
  assert.deepEqual(
    [status, headers.get("content-type"), headers.get("cache-control"), text],
    [200, "application/json", "no-store", '{"active":false}'],
  );
}

test("an active access token is reported with its claims and the current values in D1", async () => {
  const user = await worker.register({ username: "Ada" });
  const { status, headers, body } = await worker.introspect(user.access_token, api);
  assert.equal(status, 200);
  assert.deepEqual([headers.get("content-type"), headers.get("cache-control")], ["application/json", "no-store"]);
  const { iat, exp, jti } = decodeJwt(user.access_token);
  assert.deepEqual(body, {
    active: true,
    token_use: "access_token",
    token_type: "Bearer",
    iss: ISSUER,
    sub: user.user.id,
    aud: AUDIENCE,
    client_id: "first-party",
    iat,
    exp,
    jti,
    sid: user.session_id,
    roles: ["user"],
    auth_time: iat,
    acr: "aal1",
    amr: ["pwd"],
    username: "Ada",
  });
  assert.deepEqual((await worker.introspect(user.access_token, second)).body, body);
  const nameless = await worker.register();
  assert.equal("username" in (await worker.introspect(nameless.access_token, api)).body, false);
});

test("the authentication is that of the token, and an older token has none", async () => {
  const user = await worker.register();
  const authentication = async (claims) => {
    const { body } = await worker.introspect(worker.resign(user.access_token, claims), api);
    assert.equal(body.active, true);
    return { auth_time: body.auth_time, acr: body.acr, amr: body.amr };
  };
  const strong = { auth_time: 1_700_000_000, acr: "aal2", amr: ["pop", "user", "mfa"] };
  assert.deepEqual(await authentication(strong), strong);
  const recovered = { auth_time: 1_700_000_000, acr: undefined, amr: ["email", "recovery_code"] };
  assert.deepEqual(await authentication(recovered), recovered);
  const none = { auth_time: undefined, acr: undefined, amr: undefined };
  assert.deepEqual(await authentication(none), none);
});

test("an active refresh token is reported with its user and its expiry, and introspection does not change it", async () => {
  const user = await worker.register();
  await worker.age(100, user.session_id);
  const { body } = await worker.refresh(user.refresh_token);
  const before = await worker.sessionRow(user.session_id);
  const answer = await worker.introspect(body.refresh_token, api);
  assert.deepEqual(answer.body, {
    active: true,
    token_use: "refresh_token",
    iss: ISSUER,
    sub: user.user.id,
    aud: AUDIENCE,
    client_id: "first-party",
    iat: before.rotated_at,
    exp: before.expires_at,
    sid: user.session_id,
  });
  assert.ok(before.rotated_at > before.created_at);
  assert.deepEqual(await worker.sessionRow(user.session_id), before);
});

test("a rotated-out refresh token is inactive even in its grace window, and introspecting it is not reuse", async () => {
  const { refresh_token, session_id } = await worker.register();
  const { body } = await worker.refresh(refresh_token);
  await assertInactive(refresh_token);
  await worker.age(GRACE + 60, session_id);
  worker.events();
  await assertInactive(refresh_token);
  assert.deepEqual(
    worker.events().map(({ event }) => event),
    ["costs"],
  );
  assert.equal((await worker.sessionRow(session_id)).revoked_at, null);
  assert.equal(await isActive(body.refresh_token), true);
  assert.equal((await worker.refresh(body.refresh_token)).status, 200);
});

test("an invalid or expired token, one for another audience and one of a disabled account get the same bytes", async () => {
  const user = await worker.register();
  const cases = {
    garbage: () => ["garbage", "pcrt_garbage", "a.b.c", ".", " ", "{}", '{"active":true}', "x".repeat(10_000)],
    forged: ({ refresh_token, access_token }) => [
      forged(refresh_token),
      `${access_token}x`,
      access_token.replace(/\..*\./, ".e30."),
    ],
    "padded or cut": ({ refresh_token, access_token }) => [
      `${refresh_token} `,
      ` ${access_token}`,
      access_token.slice(0, -1),
      refresh_token.slice(5),
    ],
    expired: async ({ session_id, refresh_token, access_token }) => {
      await worker.age(IDLE, session_id);
      return [refresh_token, access_token];
    },
    disabled: async (one) => {
      await worker.disable(one);
      return [one.refresh_token, one.access_token];
    },
    "of another user's session": async ({ access_token }) => [worker.resign(access_token, { sub: user.user.id })],
    "of no session": async ({ access_token }) => [worker.resign(access_token, { sid: "AAAAAAAAAAAAAAAAAAAAAA" })],
    "past its exp": async ({ access_token }) => [worker.resign(access_token, { exp: Math.floor(Date.now() / 1000) })],
    "not yet valid": async ({ access_token }) => [
      worker.resign(access_token, { nbf: Math.floor(Date.now() / 1000) + 60 }),
    ],
    "of another issuer": async ({ access_token }) => [worker.resign(access_token, { iss: "https://evil.example" })],
    "for another audience": async ({ access_token }) => [worker.resign(access_token, { aud: otherApi.entry.audience })],
    "of another type": async ({ access_token }) => [worker.resign(access_token, {}, { typ: "JWT" })],
    "another secret in the row": async (one) => {
      await worker.db
        .prepare("UPDATE refresh_tokens SET secret_hash = 'x' WHERE session_id = ?")
        .bind(one.session_id)
        .run();
      return [one.refresh_token];
    },
  };
  for (const [name, arrange] of Object.entries(cases)) {
    await test(name, async () => {
      for (const token of await arrange(await worker.register())) await assertInactive(token);
    });
  }
  // Only the change makes them inactive: the same claims, signed with the same key, are an active token.
  assert.equal(await isActive(worker.resign(user.access_token)), true);
  assert.equal(await isActive(user.refresh_token), true);
});

test("a server gets no information about a token for another audience", async () => {
  const { access_token, refresh_token } = await worker.register();
  for (const token of [access_token, refresh_token, forged(refresh_token), "garbage"])
    await assertInactive(token, otherApi);
});

const ENDINGS = {
  "its refresh token is revoked": ({ refresh_token }) => worker.revoke(refresh_token),
  "its access token is revoked": ({ access_token }) => worker.revoke(access_token),
  "the user logs out everywhere": ({ access_token }) => worker.delete("/sessions", { bearer: access_token }),
  "the user ends it": ({ access_token, session_id }) =>
    worker.request("DELETE", `/sessions/${session_id}`, { bearer: access_token }),
  "a rotated-out token is replayed": async ({ refresh_token, session_id }) => {
    const { body } = await worker.refresh(refresh_token);
    await worker.age(GRACE, session_id);
    await worker.refresh(refresh_token);
    return body;
  },
  "the account is disabled": (user) => worker.disable(user),
  "the account is deleted": ({ user }) => worker.db.prepare("DELETE FROM users WHERE id = ?").bind(user.id).run(),
};
for (const [name, end] of Object.entries(ENDINGS)) {
  test(`a session's tokens are inactive at once when ${name}, every time`, async () => {
    const user = await worker.register();
    const revive = await worker.snapshot(user);
    for (let round = 0; round < ROUNDS; round += 1) {
      await revive();
      assert.deepEqual([await isActive(user.access_token), await isActive(user.refresh_token)], [true, true]);
      const { access_token, refresh_token } = await end(user);
      for (const token of [user.access_token, user.refresh_token, access_token, refresh_token]) {
        if (token) await assertInactive(token);
      }
    }
  });
}

test("changed roles are reported at once, also for a token issued before the change", async () => {
  const { access_token, user } = await worker.register();
  for (const roles of [["user", "admin"], [], ["user"]]) {
    await worker.db.prepare("UPDATE users SET roles = ? WHERE id = ?").bind(JSON.stringify(roles), user.id).run();
    assert.deepEqual((await worker.introspect(access_token, api)).body.roles, roles);
  }
  assert.deepEqual(decodeJwt(access_token).roles, ["user"]);
});

test("only a configured resource server gets an answer, and all other callers get the same refusal", async () => {
  const { access_token, refresh_token } = await worker.register();
  const { id } = api.entry;
  const refused = [
    undefined,
    "",
    basic(id, ""),
    basic(id, "wrong"),
    basic(id, second.secret),
    basic(id, api.entry.secret_sha256),
    basic(id, `${api.secret} `),
    basic(id, ` ${api.secret}`),
    basic(id, `${api.secret}&x=y`),
    basic("unknown", api.secret),
    basic("", api.secret),
    basic("", ""),
    basic(id.toUpperCase(), api.secret),
    basic("first-party", ""),
    basic(second.entry.id, api.secret),
    basic(id, "x".repeat(100_000)),
    "Basic",
    "Basic ",
    "Basic !!!",
    `Basic ${id}:${api.secret}`,
    `Basic ${Buffer.from(id).toString("base64")}`,
    `Basic ${Buffer.from([0xff, 0x3a, 0xff]).toString("base64")}`,
    `${basic(id, api.secret)}, ${basic(id, api.secret)}`,
    basic(id, api.secret).replace("Basic", "Digest"),
    `Bearer ${access_token}`,
    `Bearer ${api.secret}`,
  ];
  const answers = new Set();
  for (const token of [access_token, refresh_token, "garbage"]) {
    for (const authorization of refused) {
      const headers = authorization === undefined ? {} : { Authorization: authorization };
      const answer = await worker.post("/introspect", { form: { token }, headers });
      assertOAuthError(answer, 401, "invalid_client");
      assert.equal(answer.headers.get("www-authenticate"), 'Basic realm="portcullis"');
      const { request_id, ...body } = answer.body;
      const own = [...answer.headers].filter(([name]) => !["x-request-id", "date"].includes(name));
      answers.add(JSON.stringify({ body, own }));
    }
  }
  assert.equal(answers.size, 1, [...answers].join("\n"));
  // A secret in the body is not accepted, and a second one in addition to Basic is an invalid request.
  const credentials = { client_id: id, client_secret: api.secret };
  assertOAuthError(
    await worker.post("/introspect", { form: { token: access_token, ...credentials } }),
    401,
    "invalid_client",
  );
  const Authorization = basic(id, api.secret);
  assertOAuthError(
    await worker.post("/introspect", { form: { token: access_token, ...credentials }, headers: { Authorization } }),
    400,
    "invalid_request",
  );
});

test("the log has the reason why a caller is refused, and nothing that it sent", async () => {
  worker.events();
  for (const headers of [
    {},
    { Authorization: basic("c4n4ry", "c4n4ry") },
    { Authorization: basic(api.entry.id, "c4n4ry") },
  ]) {
    await worker.post("/introspect", { form: { token: "c4n4ry" }, headers });
  }
  const events = worker.events();
  const refused = events.filter(({ event }) => event === "introspection_refused");
  assert.deepEqual(
    refused.map(({ reason }) => reason),
    ["no_credentials", "unknown_id", "wrong_secret"],
  );
  assert.doesNotMatch(JSON.stringify(events), /c4n4ry/);
});

test("credentials are accepted in every form that RFC 6749 and RFC 7617 allow", async () => {
  const { access_token } = await worker.register();
  const { entry, secret } = second;
  const encodeAll = (text) => [...text].map((char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`).join("");
  const plain = basic(entry.id, secret);
  for (const Authorization of [
    plain,
    basic(encodeAll(entry.id), encodeAll(secret)),
    plain.replace("Basic", "bAsIc"),
    plain.replace(" ", "  "),
  ]) {
    const { status, body } = await worker.post("/introspect", {
      form: { token: access_token },
      headers: { Authorization },
    });
    assert.deepEqual([status, body.active], [200, true]);
  }
});

test("the caller is authenticated before the request is validated, and the request before the token", async () => {
  const { access_token } = await worker.register();
  const Authorization = basic(api.entry.id, api.secret);
  const post = (options, path = "/introspect") => worker.post(path, { headers: { Authorization }, ...options });
  const bad = [
    [{ form: {} }, 400],
    [{ form: { token: "" } }, 400],
    [
      {
        form: [
          ["token", access_token],
          ["token", access_token],
        ],
      },
      400,
    ],
    [
      {
        form: [
          ["token", access_token],
          ["a", "1"],
          ["a", "2"],
        ],
      },
      400,
    ],
    [{ json: { token: access_token } }, 415],
    [{ body: `token=${access_token}`, headers: { "Content-Type": "text/plain", Authorization } }, 415],
  ];
  for (const [options, status] of bad) {
    assertOAuthError(await post(options), status, "invalid_request");
    assertOAuthError(
      await post({ ...options, headers: { ...options.headers, Authorization: "Basic eDp5" } }),
      401,
      "invalid_client",
    );
  }
  assertOAuthError(await post({ form: { token: "x".repeat(17_000) } }), 413, "invalid_request");
  assertOAuthError(await post({ form: {} }, `/introspect?token=${access_token}`), 400, "invalid_request");
  for (const method of ["GET", "PUT", "DELETE"]) {
    const answer = await worker.request(method, `/introspect?token=${access_token}`, { headers: { Authorization } });
    assertOAuthError(answer, 405, "invalid_request");
    assert.equal(answer.headers.get("allow"), "POST, OPTIONS");
  }
  for (const more of [
    { token_type_hint: "access_token" },
    { token_type_hint: "refresh_token" },
    { token_type_hint: "pigeon" },
    { token_type_hint: "" },
    { client_id: api.entry.id },
  ]) {
    assert.equal((await post({ form: { token: access_token, ...more } })).body.active, true);
  }
});

test("if D1 fails, the response is a 503, unless the caller or the token is refused without D1", async () => {
  const { access_token, refresh_token } = await worker.register();
  for (const table of ["users", "refresh_tokens"]) {
    await worker.without(table, async () => {
      for (const token of [access_token, refresh_token])
        assertOAuthError(await worker.introspect(token, api), 503, "temporarily_unavailable");
      assertOAuthError(await worker.introspect(access_token, { ...api, secret: "wrong" }), 401, "invalid_client");
      for (const token of [`${access_token}x`, forged(refresh_token)]) await assertInactive(token);
      await assertInactive(access_token, otherApi);
    });
  }
  assert.equal(await isActive(access_token), true);
});

test("if KV fails, introspection still works, because it does not read KV", async () => {
  await worker.update({ vars: { REVOCATIONS: "not a namespace" } });
  try {
    const { access_token, refresh_token } = await worker.register();
    assert.equal(await isActive(access_token), true);
    await worker.revoke(refresh_token);
    await assertInactive(access_token);
  } finally {
    await worker.update();
  }
});

test("with no resource server configured, every caller is refused", async () => {
  const { access_token } = await worker.register();
  for (const unset of [null, "", "[]"]) {
    await worker.update({ vars: { RESOURCE_SERVERS: unset } });
    assertOAuthError(await worker.introspect(access_token, api), 401, "invalid_client");
  }
  await worker.update();
  assert.equal(await isActive(access_token), true);
});

test("tokens of a rotated token secret and signing key stay active until the old ones are removed", async () => {
  const { access_token, refresh_token } = await worker.register();
  const { SIGNING_KEYS, TOKEN_SECRET } = worker.secrets;
  const next = makeSecrets();
  const keys = (...sets) => JSON.stringify({ keys: sets.flatMap((set) => JSON.parse(set).keys) });
  await worker.update({
    secrets: {
      SIGNING_KEYS: keys(next.SIGNING_KEYS, SIGNING_KEYS),
      TOKEN_SECRET: `${next.TOKEN_SECRET},${TOKEN_SECRET}`,
    },
  });
  assert.deepEqual([await isActive(access_token), await isActive(refresh_token)], [true, true]);
  await worker.update({ secrets: next });
  for (const token of [access_token, refresh_token]) await assertInactive(token);
  await worker.update();
});

test("an access token is not accepted as a refresh token, nor the reverse, even with a hint", async () => {
  const { access_token, refresh_token } = await worker.register();
  for (const token of [`pcrt_${access_token}`, `${access_token.split(".")[0]}.${refresh_token}.x`])
    await assertInactive(token);
  assertProblem(await worker.me(refresh_token), 401, "invalid_token");
});
