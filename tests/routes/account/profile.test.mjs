// Names and metadata, the optional members of a user, on every route that writes or returns them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { assertProblem, PASSWORD, startWorker } from "../../support/harness.mjs";

const NAMES = { name: "Ada", given_name: "Augusta Ada", family_name: "King" };
const METADATA = { theme: "dark", tags: ["a", { b: null }], text: 'quoted " and \u0000' };

let worker, admin;
before(async () => {
  worker = await startWorker();
  admin = await worker.register();
  await worker.setRoles(admin, ["user", "admin"]);
});
after(() => worker.close());

const register = (json) =>
  worker.post("/register", { json: { email: `${crypto.randomUUID()}@example.org`, password: PASSWORD, ...json } });
const me = async ({ access_token }) => (await worker.me(access_token)).body;
const patch = ({ access_token }, json) => worker.patch("/me", { bearer: access_token, json });
const patchAsAdmin = ({ user }, json) => worker.patch(`/users/${user.id}`, { bearer: admin.access_token, json });
/** An object whose compact JSON has this length. */
const ofLength = (bytes) => ({ x: "a".repeat(bytes - '{"x":""}'.length) });
const events = async ({ access_token }) =>
  (await worker.get("/me/events", { bearer: access_token })).body.events.map(({ kind }) => kind);

test("a registration may contain names and metadata, and every response returns them", async () => {
  const { status, body } = await register({ ...NAMES, metadata: METADATA });
  assert.equal(status, 201);
  const shown = { ...NAMES, metadata: METADATA, app_metadata: null };
  for (const user of [
    body.user,
    await me(body),
    (await worker.login({ email: body.user.email, password: PASSWORD })).body.user,
  ]) {
    assert.deepEqual({ ...user, ...shown }, user);
  }
  const refreshed = (await worker.refresh(body.refresh_token)).body.user;
  assert.deepEqual(refreshed, body.user);
  const asAdmin = (await worker.get(`/users/${body.user.id}`, { bearer: admin.access_token })).body;
  assert.deepEqual(asAdmin, { ...body.user, disabled_at: null });
});

test("omitted names and metadata are null", async () => {
  const { body } = await register({});
  const { given_name, family_name, metadata, app_metadata } = await me(body);
  assert.deepEqual([given_name, family_name, metadata, app_metadata], [null, null, null, null]);
});

test("the error for an invalid name or metadata names the member, and no account is created", async () => {
  const before = await worker.counts();
  for (const [json, status, code, member] of [
    [{ given_name: " " }, 422, "invalid_name", "given_name"],
    [{ family_name: "a\nb" }, 422, "invalid_name", "family_name"],
    [{ name: "x".repeat(201) }, 422, "invalid_name", "name"],
    [{ metadata: ofLength(4097) }, 422, "metadata_too_long", "metadata"],
    [{ metadata: [] }, 400, "invalid_request", "metadata"],
    [{ metadata: "{}" }, 400, "invalid_request", "metadata"],
    [{ given_name: 1 }, 400, "invalid_request", "given_name"],
    [{ app_metadata: {} }, 400, "invalid_request", "metadata"],
  ]) {
    const answer = await register(json);
    assertProblem(answer, status, code);
    assert.ok(answer.body.detail.includes(member), answer.body.detail);
  }
  assert.deepEqual(await worker.counts(), before);
  assert.equal((await register({ metadata: ofLength(4096) })).status, 201);
});

test("a user sets, replaces and removes each member separately", async () => {
  const { body: user } = await register({ ...NAMES, metadata: METADATA });
  let expected = await me(user);
  for (const change of [
    { given_name: "Ada" },
    { family_name: null },
    { metadata: { other: 1 } },
    { metadata: null, name: null },
    { metadata: {} },
  ]) {
    const { status, body } = await patch(user, change);
    expected = { ...expected, ...change };
    assert.deepEqual([status, body], [200, expected]);
    assert.deepEqual(await me(user), expected);
  }
  assert.deepEqual((await events(user)).filter((kind) => kind === "profile_changed").length, 1);
});

test("a change to the same value changes nothing and is not recorded", async () => {
  const { body: user } = await register({ ...NAMES, metadata: METADATA });
  assert.equal((await patch(user, { ...NAMES, metadata: METADATA })).status, 200);
  assert.ok(!(await events(user)).includes("profile_changed"));
});

test("a user cannot write app_metadata, and an admin cannot write a name", async () => {
  const { body: user } = await register(NAMES);
  assertProblem(await patch(user, { app_metadata: {} }), 400, "invalid_request");
  assertProblem(await patchAsAdmin(user, { given_name: "Eve" }), 400, "invalid_request");
  assertProblem(await patch(user, {}), 400, "invalid_request");
  assertProblem(await patchAsAdmin(user, {}), 400, "invalid_request");
});

test("an admin writes both kinds of metadata, and each change is recorded once", async () => {
  const { body: user } = await register({ metadata: METADATA });
  const { status, body } = await patchAsAdmin(user, { app_metadata: { plan: "pro" } });
  assert.deepEqual([status, body.metadata, body.app_metadata], [200, METADATA, { plan: "pro" }]);
  assert.equal((await patchAsAdmin(user, { app_metadata: { plan: "pro" } })).status, 200);
  assert.deepEqual((await patchAsAdmin(user, { metadata: null })).body.metadata, null);
  assert.deepEqual((await me(user)).app_metadata, { plan: "pro" });
  assert.deepEqual(
    (await events(user)).filter((kind) => kind === "metadata_changed"),
    ["metadata_changed", "metadata_changed"],
  );
  assertProblem(await patchAsAdmin(user, { app_metadata: ofLength(4097) }), 422, "metadata_too_long");
  assertProblem(await patchAsAdmin(user, { app_metadata: 1 }), 400, "invalid_request");
  const roles = await patchAsAdmin(user, { roles: ["user", "admin"], app_metadata: null });
  assert.deepEqual([roles.body.roles, roles.body.app_metadata], [["user", "admin"], null]);
});

test("a user who is not an admin cannot change the metadata of others", async () => {
  const [{ body: one }, { body: other }] = [await register({}), await register({ metadata: METADATA })];
  const answer = await worker.patch(`/users/${other.user.id}`, { bearer: one.access_token, json: { metadata: null } });
  assertProblem(answer, 403, "forbidden");
  assert.deepEqual((await me(other)).metadata, METADATA);
});

test("a user sees whether the address is verified, and cannot change it", async () => {
  const { body: user } = await register({});
  assert.equal((await me(user)).email_verified, false);
  assertProblem(await patch(user, { email_verified: true }), 400, "invalid_request");
  assertProblem(await patchAsAdmin(user, { email_verified: true }), 400, "invalid_request");
  await worker.setColumn(user, "email_verified_at", 1);
  assert.equal((await me(user)).email_verified, true);
  assert.equal((await patch(user, { name: "Ada" })).body.email_verified, true);
});

test("access tokens contain the claims in ACCESS_TOKEN_CLAIMS, and at most 1 KB of metadata", async () => {
  await worker.update({ vars: { ACCESS_TOKEN_CLAIMS: "given_name, family_name, user_metadata, app_metadata" } });
  try {
    const { body: user } = await register({ ...NAMES, metadata: METADATA });
    await patchAsAdmin(user, { app_metadata: { plan: "pro" } });
    const claims = async () =>
      decodeJwt((await worker.login({ email: user.user.email, password: PASSWORD })).body.access_token);
    const { given_name, family_name, name, user_metadata, app_metadata } = await claims();
    assert.deepEqual(
      { given_name, family_name, name, user_metadata, app_metadata },
      { ...NAMES, name: undefined, user_metadata: METADATA, app_metadata: { plan: "pro" } },
    );
    await patch(user, { metadata: ofLength(1024) });
    const long = await claims();
    assert.deepEqual([long.user_metadata, long.app_metadata], [undefined, { plan: "pro" }]);
    assert.equal(
      (await worker.verify((await worker.login({ email: user.user.email, password: PASSWORD })).body.access_token))
        .status,
      200,
    );
  } finally {
    await worker.update({});
  }
});

test("metadata of more than 16 levels is refused", async () => {
  const nested = (levels) => JSON.parse(`${'{"x":'.repeat(levels)}1${"}".repeat(levels)}`);
  assert.equal((await register({ metadata: nested(16) })).status, 201);
  assertProblem(await register({ metadata: nested(17) }), 422, "metadata_too_deep");
});

test("a member name that serde_json uses internally is treated like any other", async () => {
  // serde_json has a feature that parses the text of this member, each time with a new depth limit.
  const name = "$serde_json::private::RawValue";
  const { status, body } = await register({ metadata: { [name]: "[[1]]", a: 1 } });
  assert.deepEqual([status, body.user.metadata], [201, { [name]: "[[1]]", a: 1 }]);
  let text = "[".repeat(126) + "]".repeat(126);
  for (let round = 0; round < 5; round += 1) text = `{"${name}":${JSON.stringify(text)}}`;
  for (const path of ["/register", "/login", "/refresh", "/revoke"]) {
    const answer = await worker.post(path, { body: `{"x":${text}}`, headers: { "Content-Type": "application/json" } });
    assert.equal(answer.status, 400, path);
  }
  assert.equal((await worker.get("/healthz")).status, 200);
});

test("a repeated member of metadata is refused at any level", async () => {
  const send = (metadata) =>
    worker.post("/register", {
      body: `{"email":"twice@example.org","password":${JSON.stringify(PASSWORD)},"metadata":${metadata}}`,
      headers: { "Content-Type": "application/json" },
    });
  assertProblem(await send('{"a":1,"a":2}'), 400, "invalid_request");
  assertProblem(await send('{"a":[{"b":1,"b":1}]}'), 400, "invalid_request");
});
