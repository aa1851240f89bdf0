// Clients that disconnect in the middle of a request leak no memory. More than a thousand do here. WebAssembly memory
// never shrinks, so a leak of one KiB per client is detected.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { Authenticator } from "../support/authenticator.mjs";
import { basic, PASSWORD, startWorker } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";
import { ROUTES, WITH_BODY } from "../support/routes.mjs";

/** The maximum growth of the memory, in KiB. */
const MAX_GROWTH = 256;
/** The number of clients that disconnect together, each with its own account and address. */
const WAVE = 60;
/** The size of a body, nearly the maximum, so that a leaked body is detected. */
const BODY_BYTES = 16_000;

const resourceServer = makeResourceServer("hang-ups", "https://api.example.org");
const json = (value, by) => ({
  body: JSON.stringify(value).padEnd(BODY_BYTES),
  type: "application/json",
  bearer: by?.access_token,
});
const form = (values) => ({
  body: `${new URLSearchParams(values)}&x=`.padEnd(BODY_BYTES, "x"),
  type: "application/x-www-form-urlencoded",
});
let newcomers = 0;

const authenticator = new Authenticator();
const ceremony = { challenge: "AAAA", rp: { id: "localhost" }, user: { id: "AAAAAAAAAAAAAAAAAAAAAA" } };
/** The registration and a use of a passkey that no account has. */
const registration = authenticator.create({ publicKey: ceremony });
const unknown = authenticator.get({ publicKey: ceremony });
/** The token of a sign-in that needs a further proof. */
let mfa_token;

/** A request for each route that reads a body. */
const REQUESTS = {
  "POST /register": () => json({ email: `newcomer-${++newcomers}@example.org`, password: PASSWORD }),
  "POST /login": ({ email, password }) => json({ email, password }),
  "POST /refresh": ({ refresh_token }) => json({ refresh_token }),
  "POST /logout": () => json({ refresh_token: sessionOwner.refresh_token }),
  "POST /token": ({ refresh_token }) => form({ grant_type: "refresh_token", refresh_token }),
  "POST /revoke": () => form({ token: sessionOwner.refresh_token }),
  "POST /introspect": ({ access_token }) => ({
    ...form({ token: access_token }),
    authorization: basic(resourceServer.entry.id, resourceServer.secret),
  }),
  "PATCH /me": (user) => json({ name: "Ada" }, user),
  "POST /login/mfa": () => json({ mfa_token, challenge: mailed.challenge, mail_code: "00000000" }),
  "POST /me/step-up": (user) => json({ password: "not the right one" }, user),
  "POST /me/mfa/totp/confirm": (user) => json({ code: "000000" }, user),
  "POST /me/password": (user) =>
    json({ current_password: "not the right one", new_password: "another horse battery" }, user),
  "POST /register/passkey/options": () => json({ email: `newcomer-${++newcomers}@example.org` }),
  "POST /register/passkey": ({ email }) => json({ credential: registration, email }),
  "POST /login/mfa/options": () => json({ mfa_token }),
  "POST /passkeys/login": () => json({ credential: unknown }),
  "POST /me/passkeys/options": (user) => json({}, user),
  "POST /me/passkeys": (user) => json({ credential: registration }, user),
  "PATCH /me/passkeys/{id}": (user) => ({ ...json({ name: "Mine" }, user), path: "/me/passkeys/unknown" }),
  "POST /login/email": ({ email }) => json({ email }),
  "POST /login/email/verify": () => json({ challenge: mailed.challenge, code: "00000000" }),
  "POST /password/forgot": ({ email }) => json({ email }),
  "POST /password/reset": () => json({ challenge: mailed.challenge, code: "00000000", new_password: PASSWORD }),
  "POST /email/verify/send": () => json({ challenge: mailed.challenge }),
  "POST /email/verify": () => json({ challenge: mailed.challenge, code: "00000000" }),
  "POST /email/link": () => json({ token: mailed.token }),
  "POST /email/disown": () => json({ challenge: mailed.challenge, code: "00000000" }),
  "POST /users": () => json({ email: `newcomer-${++newcomers}@example.org` }, admin),
  "POST /me/email": (user) => json({ new_email: "new@example.com" }, user),
  "POST /me/email/confirm": (user) =>
    json({ challenge: mailed.challenge, code: "00000000", old_code: "00000000" }, user),
  "POST /me/email/cancel": (user) => json({}, user),
  "PATCH /users/{id}": ({ user }) => ({ ...json({ disabled: false }, admin), path: `/users/${user.id}` }),
};
const ALL = Object.keys(REQUESTS);
const HASHING = ["POST /register", "POST /login", "POST /me/password", "POST /me/step-up"];
const OTHERS = ALL.filter((route) => !HASHING.includes(route));

/** The stages at which clients disconnect: the part of the request that they send, its plan, and the moment. */
const STAGES = {
  "after the headers": { part: "headers", disconnect: (all, disconnectAll) => disconnectAll(all) },
  "after half of the body": { part: "half", disconnect: (all, disconnectAll) => disconnectAll(all) },
  "during the query of D1": {
    plan: { at: 1, does: "hold answer" },
    disconnect: async (all, disconnectAll) => {
      await disconnectAll(all);
      for (const { plan } of all) plan.release();
    },
  },
  "while waiting for a password hash": {
    plan: { at: 1, does: "hold answer" },
    disconnect: async (all, disconnectAll) => {
      for (const { plan } of all) plan.release();
      // Password hashes run one after the other.
      await Promise.race(all.map(({ plan }) => plan.untilEnded()));
      await disconnectAll(all);
    },
  },
  "during the response": {
    plan: { at: 1, does: "hold answer" },
    disconnect: async (all, disconnectAll) => {
      for (const { plan } of all) plan.release();
      await disconnectAll(all);
    },
  },
};

let worker, users, admin, sessionOwner, base;
/** The challenge of a mail and the token of its link. */
let mailed;
before(async () => {
  worker = await startWorker({ vars: { RESOURCE_SERVERS: JSON.stringify([resourceServer.entry]), ...MAIL_VARS } });
  users = [];
  while (users.length < WAVE) users.push(await worker.register());
  const { body } = await worker.post("/password/forgot", { json: { email: users[0].email } });
  mailed = { challenge: body.challenge, ...(await new Mails(worker).only("reset")) };
  [admin, sessionOwner] = [await worker.registerAdmin(), await worker.register()];
  const waiting = await worker.register();
  await worker.setColumn(waiting, "factors_reset_at", 1);
  mfa_token = (await worker.login(waiting)).body.mfa_token;
  // The measurement begins after one wave per stage.
  for (const stage of Object.keys(STAGES)) await hangUp(stage, stage.includes("hash") ? HASHING : ALL, WAVE);
  base = await worker.memory();
});
after(() => worker.close());

/** Makes `count` clients send a request, on each route in turn, and disconnect at a stage, by RST and FIN in turn. */
async function hangUp(stage, routes, count) {
  const { part, plan, disconnect } = STAGES[stage];
  for (let sent = 0; sent < count; sent += WAVE) {
    const wave = Array.from({ length: Math.min(WAVE, count - sent) }, (_, turn) =>
      begin(routes, sent + turn, turn, plan, part),
    );
    const all = await Promise.all(wave);
    await disconnect(all, (requests) => Promise.all(requests.map(({ client, how }) => client.disconnect(how))));
    await Promise.all(all.map(({ plan }) => plan.untilEnded()));
  }
}

async function begin(routes, number, turn, planned, part) {
  const route = routes[number % routes.length];
  const round = Math.floor(number / routes.length);
  const plan = worker.plan(planned);
  const { body, type, bearer, authorization, path } = REQUESTS[route](users[turn]);
  const [method, pattern] = route.split(" ");
  const headers = {
    "CF-Connecting-IP": `192.0.2.${turn}`,
    "Content-Type": type,
    ...(authorization ? { Authorization: authorization } : {}),
  };
  const client = await worker.send(
    method,
    path ?? pattern,
    { body, bearer, headers, chunked: round % 4 > 1, plan },
    part,
  );
  await plan.untilBegun();
  if (planned !== undefined) assert.equal(await plan.untilHeld(), true, `${route} makes no storage call`);
  return { client, plan, how: round % 2 === 0 ? "RST" : "FIN" };
}

async function assertNoGrowth() {
  const grown = (await worker.memory()) - base;
  assert.ok(grown <= MAX_GROWTH, `${grown} KiB more than the ${base} KiB before`);
}

for (const [stage, routes, count] of [
  ["after the headers", ALL, 300],
  ["after half of the body", ALL, 300],
  ["during the query of D1", OTHERS, 300],
  ["during the query of D1", HASHING, 60],
  ["while waiting for a password hash", HASHING, 60],
  ["during the response", OTHERS, 300],
  ["during the response", HASHING, 60],
]) {
  const which =
    routes === ALL
      ? "every route with a body"
      : routes === OTHERS
        ? "the routes that hash nothing"
        : "the routes that hash a password";
  test(`${count} clients that disconnect ${stage}, on ${which}, leak no memory`, async () => {
    await hangUp(stage, routes, count);
    await assertNoGrowth();
  });
}

test("exactly the routes that read a body according to the table read one", async () => {
  assert.deepEqual(ALL.toSorted(), WITH_BODY.toSorted());
  for (const [path, method] of ROUTES) {
    const client = await worker.send(
      method,
      path.replace("{id}", admin.user.id),
      { headers: { "Content-Length": 2 }, body: "" },
      "headers",
    );
    client.halfClose();
    const { text } = await client.answer();
    await client.disconnect("FIN");
    assert.equal(
      text.includes("The body is incomplete."),
      ALL.includes(`${method} ${path}`),
      `${method} ${path}: ${text}`,
    );
  }
});

test("the next client is served", async () => {
  assert.equal((await worker.login(users[0])).status, 200);
});
