// The data points for Workers Analytics Engine: one for each login, registration, failed login, refusal and reuse. No
// other request has one, and a binding that fails changes no response.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { assertProblem, forged, many, PASSWORD, startWorker } from "../support/harness.mjs";

/** A hash of "correct horse battery staple" by libxcrypt, about twenty times as expensive as ours. */
const BCRYPT_12 = "$2b$12$abcdefghijklmnopqrstuu0sDWleciW5uGBGYwxpcgAsh9WK4bWNy";

let worker, user;
before(async () => {
  worker = await startWorker({ vars: { METRICS: "records" } });
  user = await worker.register({ username: "measured" });
});
after(() => worker.close());

/** A data point of a request without a known origin. */
const point = (kind, reason, endpoint, country = "", network = "", name = "") => ({
  indexes: [kind],
  blobs: [kind, reason, endpoint, country, network, name],
  doubles: [1],
});

/** The data point of a failed login with a name, whose labelled hash `pointsOf` replaces by this text. */
const failed = (reason, country, network) => point("login_failed", reason, "Login", country, network, "name");
const NAME = /^[\w-]{4}\.[\w-]{4}$/;

/** The data points that `act` causes. */
async function pointsOf(act) {
  worker.points();
  await act();
  return worker.points().map((found) => ({ ...found, blobs: found.blobs.map((blob) => blob.replace(NAME, "name")) }));
}

/** Logins that are in the hashing queue together, each from an IP address of its own. */
async function atOnce(logins) {
  const begun = logins.map((login, number) => {
    const plan = worker.plan({ at: 1, does: "hold answer" });
    const headers = { ...plan.headers, "CF-Connecting-IP": `2001:db8:${number.toString(16)}::1` };
    return { plan, answer: worker.login(login, { headers }) };
  });
  for (const { plan } of begun) await plan.untilHeld();
  for (const { plan } of begun) plan.release();
  return Promise.all(begun.map(({ answer }) => answer));
}

test("a registration, a login and a failed login have a data point, with the reason of a failure", async () => {
  const email = "registered@example.org";
  assert.deepEqual(await pointsOf(() => worker.register({ email })), [point("registration", "", "Register")]);
  assert.deepEqual(await pointsOf(() => worker.login(user)), [point("login", "", "Login")]);
  const disabled = await worker.register();
  await worker.disable(disabled);
  const unset = await worker.register();
  await worker.setColumn(unset, "password_hash", null);
  for (const [reason, who] of [
    ["wrong_password", { ...user, password: "not the right one" }],
    ["unknown_account", { email: "nobody@example.org", password: PASSWORD }],
    ["password_too_long", { ...user, password: "x".repeat(2000) }],
    ["disabled", disabled],
    ["no_password", unset],
  ]) {
    const found = await pointsOf(async () => assertProblem(await worker.login(who), 401, "invalid_credentials"));
    assert.deepEqual(found, [reason === "password_too_long" ? point("login_failed", reason, "Login") : failed(reason)]);
  }
});

test("a wrong current password has a data point with the endpoint that asked for it", async () => {
  const json = { current_password: "not the right one", new_password: "seven quiet harbours at dusk" };
  const found = await pointsOf(() => worker.post("/me/password", { bearer: user.access_token, json }));
  assert.deepEqual(found, [point("login_failed", "wrong_current_password", "ChangePassword")]);
  const again = await pointsOf(() => worker.stepUp({ ...user, password: "not the right one" }));
  assert.deepEqual(again, [point("login_failed", "wrong_current_password", "StepUp")]);
});

test("a reuse has a data point, at /refresh and at /token", async () => {
  for (const [ask, endpoint] of [
    ["refresh", "Refresh"],
    ["token", "Token"],
  ]) {
    const session = (await worker.login(user)).body;
    const { refresh_token } = (await worker.refresh(session.refresh_token)).body;
    await worker.refresh(refresh_token);
    const found = await pointsOf(() => worker[ask](session.refresh_token));
    assert.deepEqual(found, [point("reuse", "older", endpoint)]);
  }
});

test("failures of one name have the same hash, whether the name exists or not, and those of others another one", async () => {
  worker.points();
  const names = [];
  for (const email of [
    user.email,
    user.email.toUpperCase(),
    "nobody@example.org",
    "NOBODY@example.org",
    "x@example.org",
  ]) {
    await worker.login({ email, password: "not the right one" });
    names.push(worker.points()[0].blobs[5]);
  }
  assert.deepEqual([names[0], names[2], new Set(names).size], [names[1], names[3], 3]);
  const [key] = names[0].split(".");
  assert.ok(names.every((name) => name.startsWith(`${key}.`)));
});

test("a refused request has a data point with its code, also where the log counts several together", async () => {
  const busy = await worker.register();
  let codes;
  const found = await pointsOf(async () => {
    const answers = await atOnce(many(8, () => ({ ...busy, password: "not the right one" })));
    codes = answers.map(({ body }) => body.code);
  });
  // On a busy machine, five may have failed before the last is refused.
  const refusals = codes.filter((code) => code !== "invalid_credentials");
  assert.ok(refusals.includes("too_many_requests") && refusals.length < 8, codes.join(" "));
  const expected = [
    ...many(8 - refusals.length, () => failed("wrong_password")),
    ...refusals.map((code) => point("refused", code, "Login")),
  ];
  const sorted = (points) => points.map((one) => JSON.stringify(one.blobs)).toSorted();
  assert.deepEqual(sorted(found), sorted(expected));
  await worker.patch("/me", { bearer: busy.access_token, json: { name: "1" } });
  await worker.db.prepare("UPDATE audit_events SET count = 20 WHERE id = 'profile_changed'").run();
  const change = () => worker.patch("/me", { bearer: busy.access_token, json: { name: "2" } });
  const refused = await pointsOf(async () => assertProblem(await change(), 429, "too_many_requests"));
  assert.deepEqual(refused, [point("refused", "too_many_requests", "UpdateMe")]);
});

test("a request that finds the hashing queue full has a data point", async () => {
  const users = await worker.insertUsers(30, BCRYPT_12);
  let codes;
  const found = await pointsOf(async () => (codes = (await atOnce(users)).map(({ body }) => body.code)));
  const refusals = codes.filter((code) => code === "overloaded");
  assert.ok(refusals.length > 1, `${refusals.length} of 30 were refused`);
  assert.deepEqual(
    found.filter(({ indexes }) => indexes[0] === "refused"),
    refusals.map((code) => point("refused", code, "Login")),
  );
});

test("no other request has a data point", async () => {
  const session = (await worker.login(user)).body;
  const bearer = session.access_token;
  const admin = await worker.registerAdmin();
  const found = await pointsOf(async () => {
    const { refresh_token } = (await worker.refresh(session.refresh_token)).body;
    assert.equal((await worker.refresh(session.refresh_token)).status, 200, "a grace retry");
    assert.equal((await worker.token(refresh_token)).status, 200);
    assert.equal((await worker.verify(bearer)).status, 200);
    assert.equal((await worker.me(bearer)).status, 200);
    assertProblem(await worker.refresh(forged(session.refresh_token)), 401, "invalid_refresh_token");
    assertProblem(await worker.verify(`${bearer}x`), 401, "invalid_token");
    assertProblem(await worker.get("/users", { bearer }), 403, "forbidden");
    assertProblem(await worker.login({}), 400, "invalid_request");
    await worker.get("/sessions", { bearer });
    await worker.get("/users", { bearer: admin.access_token });
    await worker.get("/stats", { bearer: admin.access_token });
    await worker.patch("/me", { bearer, json: { name: "No point" } });
    await worker.get("/healthz");
    await worker.revoke(refresh_token);
  });
  assert.deepEqual(found, []);
});

test("a data point has the country and the network that the platform reports, and nothing that identifies a user", async () => {
  const origin = { country: "NZ", asn: 64496, city: "Wellington", asOrganization: "Example" };
  const headers = { "X-Cf": JSON.stringify(origin), "CF-Connecting-IP": "203.0.113.9" };
  const json = { email: user.email, password: "not the right one" };
  const found = await pointsOf(() => worker.post("/login", { json, headers }));
  assert.deepEqual(found, [failed("wrong_password", "NZ", "64496")]);
  const partial = await pointsOf(() => worker.login(user, { headers: { "X-Cf": '{"country":null,"asn":"x"}' } }));
  assert.deepEqual(partial, [point("login", "", "Login")]);
});

test("without the binding, or with one that fails, every response is the same, and the failure is logged once", async () => {
  const outcomes = async () => {
    await worker.forgetFailures();
    const { status } = await worker.login(user);
    const { body } = await worker.login({ ...user, password: "not the right one" });
    const { refresh_token } = (await worker.login(user)).body;
    await worker.refresh((await worker.refresh(refresh_token)).body.refresh_token);
    const reuse = await worker.refresh(refresh_token);
    const registered = await worker.register();
    return [status, body.code, reuse.body.code, typeof registered.access_token];
  };
  const expected = [200, "invalid_credentials", "invalid_refresh_token", "string"];
  for (const [METRICS, failures] of [
    [null, []],
    ["throws", [["warn", "injected: the data point is refused"]]],
    ["no binding at all", [["warn", "writeDataPoint is not a function"]]],
  ]) {
    await worker.update({ vars: { METRICS } });
    worker.events();
    assert.deepEqual(await outcomes(), expected);
    const events = worker.events();
    const logged = events.filter(({ event }) => event === "metrics_failed");
    assert.equal(logged.length, failures.length);
    for (const [index, [level, cause]] of failures.entries()) {
      assert.equal(logged[index].level, level);
      assert.ok(logged[index].cause.includes(cause), logged[index].cause);
    }
    assert.deepEqual(
      events.filter(({ level }) => level === "error"),
      [],
    );
  }
  await worker.update();
});

test("the code reports every event that has a data point to the metrics", () => {
  const source = new URL("../../src/", import.meta.url);
  const names = readdirSync(source, { recursive: true }).filter((name) => name.endsWith(".rs"));
  let reported = 0;
  for (const name of names.filter((name) => !["log.rs", "metrics.rs"].includes(name))) {
    const code = readFileSync(new URL(name, source), "utf8").replaceAll(/\s+/g, " ");
    for (const [, before] of code.matchAll(
      /(.{0,40})Event::(?:Registered|LoginSucceeded|LoginFailed|ReuseDetected) \{/g,
    )) {
      assert.match(before, /metrics::report\( ?context, request, &$/, name);
      reported += 1;
    }
  }
  assert.ok(reported >= 7, `${reported}`);
});
