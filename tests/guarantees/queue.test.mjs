// The hashing queue: disconnected clients leave it, sources and accounts share it, and its length is limited.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertProblem, ipAddress, many, startWorker } from "../support/harness.mjs";

/** Hashes of "correct horse battery staple" by libxcrypt, about twenty and six times as expensive as ours. */
const BCRYPT_12 = "$2b$12$abcdefghijklmnopqrstuu0sDWleciW5uGBGYwxpcgAsh9WK4bWNy";
const BCRYPT_10 = "$2b$10$abcdefghijklmnopqrstuuGGgFFcYeueaAql8Z7U7CnCTRw4DR77W";
/** One source (an IPv4 address, or an IPv6 /64) may queue one second of work: 54 hashes at 18.3 ms each. */
const PLACES_PER_SOURCE = 54;
/** The places in the queue per login name or account. */
const PLACES_PER_ACCOUNT = 4;

let worker, user;
before(async () => {
  worker = await startWorker();
  user = await worker.register({ username: "queuing" });
});
after(() => worker.close());

const unknownUser = (number) => ({ email: `unknown-${number}@example.org`, password: "not the right one" });
/** A login from an IP address. */
const login = (who, from) => (headers) => worker.login(who, { headers: { "CF-Connecting-IP": from, ...headers } });

/**
 * Makes requests that reach the queue together: each is held at its first result of D1 until all are held. Returns the
 * responses in the order of the requests, and `served`, the numbers of the requests in the order of the responses.
 */
async function atOnce(requests) {
  await worker.forgetFailures();
  const served = [];
  const begun = requests.map((ask, number) => {
    const plan = worker.plan({ at: 1, does: "hold answer" });
    return { plan, answer: ask(plan.headers).finally(() => served.push(number)) };
  });
  for (const { plan } of begun) await plan.untilHeld();
  for (const { plan } of begun) plan.release();
  return { answers: await Promise.all(begun.map(({ answer }) => answer)), served };
}

/** The responses with this status, each of which must have this code. */
function refused(answers, status, code) {
  const refusals = answers.filter((answer) => answer.status === status);
  for (const answer of refusals) assertProblem(answer, status, code);
  return refusals;
}
const tooMany = (answers) => refused(answers, 429, "too_many_requests");
/** The same for attempts with one account, of which those after the fifth failure are throttled if the others have been served by then. */
function tooManyOfAccount(answers) {
  const isThrottled = ({ body }) => body?.code === "too_many_attempts";
  return [...tooMany(answers.filter((answer) => !isThrottled(answer))), ...answers.filter(isThrottled)];
}
const overloaded = (answers) => refused(answers, 503, "overloaded");

/** Sends requests whose clients disconnect once the Worker has received them. */
function hangUp(count, how, from) {
  return Promise.all(
    many(count, async (number) => {
      const plan = worker.plan({});
      const client = await worker.send("POST", "/login", {
        json: unknownUser(number),
        headers: { "CF-Connecting-IP": from(number) },
        plan,
      });
      await plan.untilBegun();
      await client.disconnect(how);
      return plan;
    }),
  );
}

for (const [name, ask] of Object.entries({
  "POST /register": () => ({ json: { email: "leaver@example.org", password: user.password } }),
  "POST /login": () => ({ json: { email: user.email, password: user.password } }),
  "POST /me/password": () => ({
    bearer: user.access_token,
    json: { current_password: user.password, new_password: "another horse battery" },
  }),
  "POST /me/step-up": () => ({ bearer: user.access_token, json: { password: user.password } }),
})) {
  test(`${name}: no hash runs for a client that has reset the connection`, async () => {
    const plan = worker.plan({ at: 1, does: "hold answer" });
    const client = await worker.send(...name.split(" "), { ...ask(), plan });
    assert.equal(await plan.untilHeld(), true);
    // The disconnect releases the held result of D1.
    await client.disconnect("RST");
    assert.deepEqual(
      (await plan.untilEnded()).map(({ kind }) => kind),
      ["batch"],
    );
    plan.release();
    assert.equal((await worker.login(user)).status, 200);
  });
}

test("a client that resets the connection while waiting leaves the queue", async () => {
  const waiting = await Promise.all(
    many(60, async (number) => {
      const plan = worker.plan({ at: 1, does: "hold answer" });
      const client = await worker.send("POST", "/login", {
        json: unknownUser(number),
        headers: { "CF-Connecting-IP": ipAddress(number) },
        plan,
      });
      await plan.untilHeld();
      return { client, plan };
    }),
  );
  for (const { plan } of waiting) plan.release();
  const [first, ...rest] = waiting;
  await first.client.answer();
  await Promise.all(rest.map(({ client }) => client.disconnect("RST")));
  const calls = await Promise.all(rest.map(({ plan }) => plan.untilEnded()));
  const hashed = calls.filter(({ length }) => length > 1);
  // Some hashes ran before the runtime noticed.
  assert.ok(hashed.length < rest.length, `all ${rest.length} were hashed`);
});

for (const [from, where] of [
  ["one source", () => "203.0.113.1"],
  ["330 sources", ipAddress],
]) {
  test(`other users are served after 330 logins from ${from} that reset the connection`, async () => {
    const plans = await hangUp(330, "RST", where);
    const others = await Promise.all(
      many(5, (number) => worker.login(user, { headers: { "CF-Connecting-IP": ipAddress(400 + number) } })),
    );
    // An account has four places, and on a slow machine the flood may briefly fill the queue.
    const refusals = [...tooMany(others), ...overloaded(others)];
    assert.ok(refusals.length <= 2, `${refusals.length} of 5 were refused`);
    assert.deepEqual(
      others.filter((answer) => !refusals.includes(answer)).map(({ status }) => status),
      Array(5 - refusals.length).fill(200),
    );
    await Promise.all(plans.map((plan) => plan.untilEnded()));
  });
}

test("other users are served after 330 logins from one source that close their sending side", async () => {
  const plans = await hangUp(330, "FIN", () => "203.0.113.2");
  assert.equal((await worker.login(user)).status, 200);
  await Promise.all(plans.map((plan) => plan.untilEnded()));
});

test("one source may fill a quarter of the queue; its excess is refused, and other sources are served", async () => {
  const users = await worker.insertUsers(8);
  const flood = many(160, (number) => login(unknownUser(number), "203.0.113.3"));
  const { answers } = await atOnce([...flood, ...users.map((other, number) => login(other, ipAddress(number)))]);
  const others = answers.splice(-users.length);
  assert.deepEqual(
    others.map(({ status }) => status),
    Array(8).fill(200),
  );
  const refusals = tooMany(answers);
  assert.ok(
    refusals.length > 0 && refusals.length <= 160 - PLACES_PER_SOURCE,
    `${refusals.length} of 160 were refused`,
  );
  // The logins that got a place.
  assert.deepEqual(
    new Set(answers.filter((answer) => !refusals.includes(answer)).map(({ status }) => status)),
    new Set([401]),
  );
});

test("an IPv6 source is a /64", async () => {
  const oneNetwork = await atOnce(
    many(160, (number) => login(unknownUser(number), `2001:db8:1:2:${number.toString(16)}::1`)),
  );
  const refusals = tooMany(oneNetwork.answers);
  assert.ok(
    refusals.length > 0 && refusals.length <= 160 - PLACES_PER_SOURCE,
    `${refusals.length} of 160 were refused`,
  );
  const networks = await atOnce(
    many(PLACES_PER_SOURCE + 10, (number) => login(unknownUser(number), `2001:db8:1:${number.toString(16)}::1`)),
  );
  assert.deepEqual(new Set(networks.answers.map(({ status }) => status)), new Set([401]));
});

for (const [name, ask] of Object.entries({
  "an e-mail address in any spelling": (number) => ({
    email: number % 2 ? user.email : ` ${user.email.toUpperCase()}`,
    password: "wrong",
  }),
  "a username in any spelling": (number) => ({
    username: number % 2 ? "queuing" : "Queuing",
    password: "wrong",
  }),
  "an e-mail address without an account": () => ({ email: "nobody-at-all@example.org", password: "wrong" }),
})) {
  test(`${name} has four places over all sources`, async () => {
    const ten = many(
      10,
      (number) => (headers) =>
        worker.post("/login", { json: ask(number), headers: { "CF-Connecting-IP": ipAddress(number), ...headers } }),
    );
    const { answers } = await atOnce(ten);
    const refusals = tooManyOfAccount(answers);
    assert.ok(
      refusals.length > 0 && refusals.length <= 10 - PLACES_PER_ACCOUNT,
      `${refusals.length} of 10 were refused`,
    );
    assert.equal(answers.filter(({ status }) => status === 401).length, 10 - refusals.length);
  });
}

for (const [method, path, json] of [
  ["POST", "/me/password", { current_password: "wrong", new_password: "another horse battery" }],
  ["POST", "/me/step-up", { password: "wrong" }],
]) {
  test(`an account has four places at ${method} ${path}`, async () => {
    const ten = many(
      10,
      (number) => (headers) =>
        worker.request(method, path, {
          bearer: user.access_token,
          json,
          headers: { "CF-Connecting-IP": ipAddress(number), ...headers },
        }),
    );
    const { answers } = await atOnce(ten);
    const refusals = tooManyOfAccount(answers);
    assert.ok(
      refusals.length > 0 && refusals.length <= 10 - PLACES_PER_ACCOUNT,
      `${refusals.length} of 10 were refused`,
    );
    for (const answer of answers.filter((answer) => !refusals.includes(answer)))
      assertProblem(answer, 403, "wrong_password");
  });
}

test("work beyond a few seconds is refused with Retry-After", async () => {
  // In a new isolate, because an isolate counts refusals and logs them at most once per minute.
  await worker.update();
  worker.events();
  const { answers } = await atOnce(many(400, (number) => login(unknownUser(number), ipAddress(number))));
  const refusals = overloaded(answers);
  assert.ok(refusals.length > 0 && refusals.length < 350, `${refusals.length} of 400 were refused`);
  for (const { headers } of refusals) assert.match(headers.get("retry-after"), /^[1-5]$/, "about four seconds of work");
  assert.equal(worker.events("overloaded")[0].count, 1, "the first is logged at once");
  assert.equal(answers.filter(({ status }) => status === 401).length, 400 - refusals.length);
  assert.equal((await worker.login(user)).status, 200);
});

test("expensive hashes count in the queue by their cost, and a cheap one does not wait for all of them", async () => {
  const users = await worker.insertUsers(60, BCRYPT_12);
  const requests = users.map((one, number) => login(one, ipAddress(number)));
  // There are more expensive hashes than the queue holds.
  const OURS = 10;
  requests.splice(OURS, 0, login(user, "203.0.113.4"));
  const { answers, served } = await atOnce(requests);
  assert.equal(answers[OURS].status, 200);
  const refusals = overloaded(answers);
  assert.ok(refusals.length > 30, `${refusals.length} of 60 were refused`);
  const verified = served.filter((number) => number !== OURS && answers[number].status === 200);
  assert.equal(verified.length, 60 - refusals.length);
  const before = verified.filter((number) => served.indexOf(number) < served.indexOf(OURS));
  const earlier = Math.min(OURS, verified.length);
  assert.ok(before.length < earlier, `ours was answered after ${before.length} of ${verified.length}`);
});

test("a correct password with an imported hash waits only once", async () => {
  const users = await worker.insertUsers(12, BCRYPT_10);
  const { answers, served } = await atOnce(
    users.map((one, number) => login(number % 2 ? { ...one, password: "wrong" } : one, ipAddress(number))),
  );
  assert.deepEqual(
    answers.map(({ status }) => status),
    many(12, (number) => (number % 2 ? 401 : 200)),
  );
  const lastWrong = served.findLastIndex((number) => number % 2 === 1);
  const right = served.slice(0, lastWrong).filter((number) => number % 2 === 0);
  assert.ok(right.length >= 3, `served in the order ${served.join(" ")}`);
});
