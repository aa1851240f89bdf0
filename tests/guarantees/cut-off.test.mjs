// The cut-off matrix: on every route, at every storage call, the client resets the connection before the call takes
// place, or before its result arrives; or the call fails, or its result is lost.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { decodeJwt } from "jose";

import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { Authenticator } from "../support/authenticator.mjs";
import { WITHOUT_PAUSES } from "../support/clocks.mjs";
import { totp } from "../support/factors.mjs";
import { basic, page, restored, startWorker } from "../support/harness.mjs";
import { codeOf } from "../support/mails.mjs";
import { options } from "../support/passkeys.mjs";
import { ROUTES } from "../support/routes.mjs";

/** The maximum growth of the memory over the whole matrix, in KiB. */
const MAX_GROWTH = 3 * 1024;
/** The routes that hash a password, on which a request may wait in the queue. */
const HASHING = ["POST /register", "POST /login", "POST /me/password", "POST /me/step-up", "POST /password/reset"];

const resourceServer = makeResourceServer("cut-off", "https://api.example.org");

let worker, reader, admin, timekeeper, base;
before(async () => {
  worker = await startWorker({
    clock: WITHOUT_PAUSES,
    vars: {
      RESOURCE_SERVERS: JSON.stringify([resourceServer.entry]),
      COOKIE_MODE: "refresh",
      MAIL: "log",
      EMAIL_LOGIN: "on",
    },
  });
  await keepRegistration();
  [reader, admin, timekeeper] = [await worker.register(), await worker.registerStrongAdmin(), await worker.register()];
  // Verifying an outdated hash takes the most memory.
  await worker.login(await outdated());
  base = await worker.memory();
});
after(() => worker.close());

/** The time of the Worker, whose clock jumps. */
async function clock() {
  timekeeper = (await worker.refresh(timekeeper.refresh_token)).body;
  return decodeJwt(timekeeper.access_token).iat;
}

/** An account with an authenticator app, and recovery codes, of which all sessions ended but one. */
const withApp = restored(
  () => worker,
  async () => {
    const user = await withMailbox();
    const { secret } = await begunApp(user);
    const json = { code: totp(secret, await clock()) };
    const { body } = await worker.post("/me/mfa/totp/confirm", { bearer: user.access_token, json });
    await worker.db.prepare("UPDATE totp_secrets SET last_step = 0 WHERE user_id = ?").bind(user.user.id).run();
    return { ...user, ...body, secret, sessions: [body] };
  },
);

/** An account whose session proved the mailbox, as the first factor needs. */
async function withMailbox() {
  return worker.proved(await worker.register(), "pwd email");
}

async function begunApp({ access_token }) {
  return (await worker.post("/me/mfa/totp", { bearer: access_token })).body;
}

/** The same with the code of now. */
async function withAppCode() {
  const user = await withApp();
  return { ...user, code: totp(user.secret, await clock()) };
}

/** An account with two sessions and an app that waits for its code. */
const withUnconfirmedApp = restored(
  () => worker,
  async () => {
    const user = await withMailbox();
    const other = (await worker.login(user)).body;
    return { ...user, ...(await begunApp(user)), sessions: [user, other] };
  },
);

/** The sign-in of an account with an app, and the code of now. */
const withSignIn = restored(
  () => worker,
  async () => {
    const user = await withApp();
    return { ...user, mfa_token: (await worker.login(user)).body.mfa_token };
  },
);

/** The same without wrong codes. */
async function forgivenSignIn() {
  await worker.forgetFailures();
  return withSignIn();
}

/** An account with two sessions. */
const twoSessions = restored(
  () => worker,
  async () => {
    const user = await worker.register();
    return { ...user, sessions: [user, (await worker.login(user)).body] };
  },
);

/** The same, of which the first may add a factor. */
const twoSessionsAndMailbox = restored(
  () => worker,
  async () => {
    const user = await withMailbox();
    return { ...user, sessions: [user, (await worker.login(user)).body] };
  },
);

/** An account with a session in a cookie and another one. */
const withCookie = restored(
  () => worker,
  async () => {
    const user = await worker.register();
    const { cookie, ...session } = await worker.loginByCookie(user);
    return { ...user, cookie, sessions: [session, user] };
  },
);

/** An account whose first refresh token was rotated out longer ago than the grace window. */
const compromised = restored(
  () => worker,
  async () => {
    const user = await worker.register();
    await worker.refresh(user.refresh_token);
    await worker.age(60, user.session_id);
    return { ...user, sessions: [user], isReuse: true };
  },
);

/** An account whose hash is replaced at the next login. */
const outdated = restored(
  () => worker,
  async () => {
    const user = await worker.register();
    await worker.outdateHash(user);
    return user;
  },
);

let newcomers = 0;
const newcomer = () => ({
  email: `newcomer-${++newcomers}@example.org`,
  password: "correct horse battery staple",
});
const withPassword = ({ email }, password) => ({ json: { email, password } });
const asRefreshGrant = ({ refresh_token }) => ({ form: { grant_type: "refresh_token", refresh_token } });
/** By a user who has just authenticated, however long the matrix takes. */
const by = (user, options) => ({ bearer: worker.authenticatedAgo(user, -86_400).access_token, ...options });
const byAdmin = ({ user }, options) => ({ ...by(admin, options), id: user.id });

/** The reader, whose failed attempts are forgotten. */
async function forgiven() {
  await worker.forgetFailures();
  return reader;
}

/** An account with a code for a purpose. */
const withCode = (purpose, path) =>
  restored(
    () => worker,
    async () => {
      const user = await worker.register();
      const json = purpose === "verify" ? {} : { email: user.email };
      const { body } = await worker.post(path, { json, bearer: user.access_token });
      const row = "SELECT * FROM challenges WHERE user_id = ?";
      const code = codeOf(await worker.db.prepare(row).bind(user.user.id).first(), worker.secrets.TOKEN_SECRET);
      return { ...user, challenge: body.challenge, code, sessions: [user] };
    },
  );
/** An account with the codes of a change of its address. */
const withChangeCodes = restored(
  () => worker,
  async () => {
    const user = await worker.register();
    const json = { new_email: `new-${user.email}` };
    const { body } = await worker.post("/me/email", { json, bearer: user.access_token });
    const row = await worker.db.prepare("SELECT * FROM challenges WHERE user_id = ?").bind(user.user.id).first();
    const code = codeOf({ ...row, email_key: row.new_email_key }, worker.secrets.TOKEN_SECRET);
    const old_code = codeOf(row, worker.secrets.TOKEN_SECRET, "old code");
    return { ...user, challenge: body.challenge, code, old_code, sessions: [user] };
  },
);
/** An account whose sign-in needs a code from a mail, and the code. */
const withPendingSignIn = restored(
  () => worker,
  async () => {
    const { sessions, challenge, code, ...user } = await withLoginCode();
    await worker.setColumn(user, "factors_reset_at", 1);
    const { mfa_token } = (await worker.login(user)).body;
    return { ...user, mfa_token, challenge, code, sessions };
  },
);
/** An account with a passkey, and its session. */
const withPasskey = restored(
  () => worker,
  async () => {
    const user = await withMailbox();
    const authenticator = new Authenticator();
    const credential = authenticator.create(
      await options(worker, "/me/passkeys/options", { json: {}, bearer: user.access_token }),
    );
    const { body } = await worker.post("/me/passkeys", { json: { credential }, bearer: user.access_token });
    return { ...user, ...body, authenticator, sessions: [body] };
  },
);
/** The same, with what the authenticator answers to the options of an endpoint. */
const withResponse =
  (path, requestOf = () => ({})) =>
  async () => {
    const user = await withPasskey();
    const publicKey = await options(worker, path, requestOf(user));
    return { ...user, credential: user.authenticator.get(publicKey) };
  };
/** The same, whose sign-in needs the passkey. */
async function withPasskeySignIn() {
  const user = await withPasskey();
  const { mfa_token } = (await worker.login(user)).body;
  const publicKey = await options(worker, "/login/mfa/options", { json: { mfa_token } });
  return { ...user, mfa_token, credential: user.authenticator.get(publicKey) };
}
/** An account, and the registration of a passkey for it. */
async function withNewPasskey() {
  const user = await twoSessionsAndMailbox();
  const publicKey = await options(worker, "/me/passkeys/options", by(user, { json: {} }));
  return { ...user, credential: new Authenticator().create(publicKey) };
}
/** The reader, and the registration of a passkey for a new account. */
async function withFirstPasskey() {
  const { email } = newcomer();
  const publicKey = await options(worker, "/register/passkey/options", { json: { email } });
  return { ...reader, newcomer: { email, credential: new Authenticator().create(publicKey) } };
}
/** An account whose change of address waits. */
const withPendingChange = restored(
  () => worker,
  async () => {
    const { challenge, code, ...user } = await withChangeCodes();
    await worker.post("/me/email/confirm", {
      json: { challenge, code, old_mailbox: "lost" },
      bearer: user.access_token,
    });
    return user;
  },
);
const [withResetCode, withLoginCode, withVerificationCode] = [
  withCode("reset", "/password/forgot"),
  withCode("login", "/login/email"),
  withCode("verify", "/email/verify/send"),
];

/** A registration that waits for its code: its rows, and what its client knows. */
let registration;
async function keepRegistration() {
  await worker.update({ vars: { EMAIL_VERIFICATION: "required" } });
  const { body } = await worker.post("/register", { json: newcomer() });
  await worker.update();
  const tables = ["registrations", "challenges"];
  const rows = await worker.db.batch(tables.map((table) => worker.db.prepare(`SELECT * FROM ${table}`)));
  const kept = tables.map((table, index) => [table, rows[index].results[0]]);
  registration = { kept, challenge: body.challenge, code: codeOf(kept[1][1], worker.secrets.TOKEN_SECRET) };
}

/** The registration, as it was. */
async function withRegistration() {
  await withoutMails();
  const { kept, ...known } = registration;
  await worker.db.batch([
    worker.db.prepare("DELETE FROM registrations"),
    worker.db.prepare("DELETE FROM users WHERE id = ?").bind(kept[0][1].id),
    worker.db.prepare("DELETE FROM audit_events WHERE user_id = ?").bind(kept[0][1].id),
    ...kept.map(([table, row]) =>
      worker.db
        .prepare(`INSERT INTO ${table} (${Object.keys(row)}) VALUES (${Object.keys(row).map(() => "?")})`)
        .bind(...Object.values(row)),
    ),
  ]);
  return { ...reader, ...known };
}

/** The reader, for whom no mail has been sent. */
async function withoutMails() {
  await worker.db.batch(
    ["challenges", "mail_budgets", "outbox"].map((table) => worker.db.prepare(`DELETE FROM ${table}`)),
  );
  return reader;
}

async function withFailures() {
  const user = await worker.register();
  await worker.login({ ...user, password: "wrong" });
  return user;
}

const codesOf = ({ challenge, code, old_code }) => ({ challenge, code, old_code });

const READING = ROUTES.filter(([, method]) => method === "GET");

/** The cases of each route: the account to arrange, and the request. */
const CASES = {
  // An admin makes the requests that change nothing, about the reader if the path has an id.
  ...Object.fromEntries(READING.map(([path, method]) => [`${method} ${path}`, { "": [() => reader, byAdmin] }])),
  "POST /register": { "": [() => reader, () => ({ json: newcomer() })] },
  "POST /register/passkey/options": { "": [() => reader, () => ({ json: { email: newcomer().email } })] },
  "POST /register/passkey": { "": [withFirstPasskey, ({ newcomer }) => ({ json: newcomer })] },
  "POST /login/mfa/options": { "": [withPasskeySignIn, ({ mfa_token }) => ({ json: { mfa_token } })] },
  "POST /passkeys/options": { "": [() => reader, () => ({})] },
  "POST /passkeys/login": {
    "": [withResponse("/passkeys/options"), ({ credential }) => ({ json: { credential } })],
  },
  "POST /me/passkeys/options": { "": [withPasskey, (user) => by(user, { json: {} })] },
  "POST /me/passkeys": { "": [withNewPasskey, (user) => by(user, { json: { credential: user.credential } })] },
  "PATCH /me/passkeys/{id}": {
    "": [withPasskey, (user) => by(user, { json: { name: "Mine" }, id: user.passkey.id })],
  },
  "DELETE /me/passkeys/{id}": { "": [withPasskey, (user) => by(user, { id: user.passkey.id })] },
  "POST /login": {
    "": [withoutMails, (user) => withPassword(user, user.password)],
    "with a wrong password": [forgiven, (user) => withPassword(user, "wrong")],
    "that replaces a cookie": [
      withCookie,
      ({ email, password, cookie }) => ({ json: { email, password, transport: "cookie" }, ...page(cookie) }),
    ],
    "to an unknown account": [forgiven, () => withPassword({ email: "nobody@example.org" }, "wrong")],
    "with an outdated hash": [outdated, (user) => withPassword(user, user.password)],
  },
  "POST /login/email": { "": [withoutMails, ({ email }) => ({ json: { email } })] },
  "POST /login/email/verify": { "": [withLoginCode, ({ challenge, code }) => ({ json: { challenge, code } })] },
  "POST /login/mfa": {
    "with a passkey": [withPasskeySignIn, ({ mfa_token, credential }) => ({ json: { mfa_token, credential } })],
    "": [withPendingSignIn, ({ mfa_token, challenge, code }) => ({ json: { mfa_token, challenge, mail_code: code } })],
    "with a wrong code": [
      withPendingSignIn,
      ({ mfa_token, challenge }) => ({ json: { mfa_token, challenge, mail_code: "00000000" } }),
    ],
    "with a code of an app": [
      async () => ({ ...(await withSignIn()), now: await clock() }),
      ({ mfa_token, secret, now }) => ({ json: { mfa_token, code: totp(secret, now) } }),
    ],
    "with a wrong code of an app": [forgivenSignIn, ({ mfa_token }) => ({ json: { mfa_token, code: "000000" } })],
    "with a recovery code": [
      withSignIn,
      ({ mfa_token, recovery_codes }) => ({ json: { mfa_token, recovery_code: recovery_codes[0] } }),
    ],
  },
  "POST /password/forgot": {
    "": [withoutMails, ({ email }) => ({ json: { email } })],
    "for an unknown address": [withoutMails, () => ({ json: { email: "nobody@example.org" } })],
  },
  "POST /password/reset": {
    "": [
      withResetCode,
      ({ challenge, code }) => ({ json: { challenge, code, new_password: "another correct horse battery" } }),
    ],
  },
  "POST /email/verify/send": { "": [withoutMails, (user) => by(user, { json: {} })] },
  "POST /email/verify": {
    "": [withVerificationCode, ({ challenge, code }) => ({ json: { challenge, code } })],
    "of a registration": [withRegistration, ({ challenge, code }) => ({ json: { challenge, code } })],
  },
  "POST /email/disown": { "": [withRegistration, ({ challenge, code }) => ({ json: { challenge, code } })] },
  "POST /email/link": { "with a token of no link": [() => reader, () => ({ json: { token: "pcml_" } })] },
  "POST /refresh": {
    "": [twoSessions, ({ refresh_token }) => ({ json: { refresh_token } })],
    "with a cookie": [withCookie, ({ cookie }) => ({ json: {}, ...page(cookie) })],
    "with a token that was rotated out": [compromised, ({ refresh_token }) => ({ json: { refresh_token } })],
  },
  "POST /logout": {
    "with a refresh token": [twoSessions, ({ refresh_token }) => ({ json: { refresh_token } })],
    "with a cookie": [withCookie, ({ cookie }) => ({ json: {}, ...page(cookie) })],
  },
  "POST /token": {
    "": [twoSessions, asRefreshGrant],
    "with a token that was rotated out": [compromised, asRefreshGrant],
  },
  "POST /revoke": {
    "with a refresh token": [twoSessions, ({ refresh_token }) => ({ form: { token: refresh_token } })],
    "with an access token": [twoSessions, ({ access_token }) => ({ form: { token: access_token } })],
  },
  "POST /introspect": {
    "": [
      () => reader,
      ({ access_token }) => ({
        form: { token: access_token },
        headers: { Authorization: basic(resourceServer.entry.id, resourceServer.secret) },
      }),
    ],
  },
  "PATCH /me": { "": [() => reader, (user) => by(user, { json: { name: "Ada" } })] },
  "DELETE /me": {
    "": [twoSessions, (user) => by(user)],
  },
  "POST /me/step-up": {
    "with a passkey": [
      withResponse("/me/passkeys/options", (user) => by(user, { json: { for: "step_up" } })),
      (user) => by(user, { json: { credential: user.credential } }),
    ],
    "": [twoSessions, (user) => by(user, { json: { password: user.password } })],
    "with a wrong password": [forgiven, (user) => by(user, { json: { password: "wrong" } })],
    "with a code": [withAppCode, (user) => by(user, { json: { password: user.password, code: user.code } })],
  },
  "POST /me/mfa/totp": { "": [twoSessionsAndMailbox, (user) => by(user)] },
  "DELETE /me/mfa/totp": { "": [withApp, (user) => by(user)] },
  "POST /me/mfa/totp/confirm": {
    "": [
      async () => ({ ...(await withUnconfirmedApp()), now: await clock() }),
      (user) => by(user, { json: { code: totp(user.secret, user.now) } }),
    ],
  },
  "POST /me/mfa/recovery-codes": { "": [withApp, (user) => by(user)] },
  "DELETE /users/{id}/mfa": { "": [withApp, (user) => byAdmin(user)] },
  "POST /me/password": {
    "": [
      twoSessions,
      (user) => by(user, { json: { current_password: user.password, new_password: "another correct horse battery" } }),
    ],
  },
  "DELETE /sessions": {
    "": [twoSessions, (user) => by(user)],
    "but the current one": [twoSessions, (user) => by(user, { query: "?except=current" })],
  },
  "DELETE /sessions/{id}": { "": [twoSessions, (user) => by(user, { id: user.sessions[1].session_id })] },
  "POST /users": { "": [() => reader, () => byAdmin(reader, { json: { email: newcomer().email } })] },
  "POST /users/{id}/password-reset": { "": [withoutMails, (user) => byAdmin(user)] },
  "PATCH /users/{id}": {
    "that gives a role": [twoSessions, (user) => byAdmin(user, { json: { roles: ["user", "admin"] } })],
    "that disables": [twoSessions, (user) => byAdmin(user, { json: { disabled: true } })],
  },
  "DELETE /users/{id}": { "": [twoSessions, (user) => byAdmin(user)] },
  "POST /me/email": {
    "": [withoutMails, (user) => by(user, { json: { new_email: `to-${user.email}` } })],
  },
  "POST /me/email/confirm": {
    "": [withChangeCodes, (user) => by(user, { json: codesOf(user) })],
    "with a lost mailbox": [
      withChangeCodes,
      (user) => by(user, { json: { ...codesOf(user), old_code: undefined, old_mailbox: "lost" } }),
    ],
  },
  "POST /me/email/cancel": { "": [withPendingChange, (user) => by(user, { json: {} })] },
  "DELETE /users/{id}/throttle": { "": [withFailures, (user) => byAdmin(user)] },
  "DELETE /users/{id}/sessions": { "": [twoSessions, (user) => byAdmin(user)] },
};

/** Sends the request of a case with a plan. */
async function begin(route, [arrange, ask], planned) {
  const user = await arrange();
  const { id, query = "", ...options } = ask(user);
  const [method, path] = route.split(" ");
  // An isolate caches the state of its bindings for some seconds.
  if (route === "GET /healthz") await worker.advance(6);
  const plan = worker.plan(planned);
  const client = await worker.send(method, path.replace("{id}", id) + query, { ...options, plan });
  return { user, plan, client };
}

/** The storage calls of a case without faults, and its status. */
async function undisturbed(route, parts) {
  const { plan, client } = await begin(route, parts, {});
  const { status } = await client.answer();
  const calls = await plan.untilEnded();
  await client.disconnect("FIN");
  return { calls, status };
}

const kinds = (calls) => calls.map(({ kind }) => kind);

/** Asserts that exactly the sessions that D1 has ended are marked for /verify. */
async function assertMarked({ user, sessions = [] }) {
  if (sessions.length === 0) return;
  const rows = worker.db.prepare("SELECT session_id FROM refresh_tokens WHERE user_id = ? AND revoked_at IS NULL");
  const live = new Set((await rows.bind(user.id).all()).results.map(({ session_id }) => session_id));
  for (const session of sessions) {
    const isOver = !live.has(session.session_id);
    assert.equal(
      await worker.isMarked(session),
      isOver,
      isOver ? "an ended session is not marked" : "a live session is marked",
    );
  }
}

/** Asserts that the reuse is logged once, has ended the session, and is in the user's audit trail. */
async function assertReuseRecorded(user) {
  const logged = worker.events("reuse_detected").filter(({ session_id }) => session_id === user.session_id);
  assert.equal(logged.length, 1);
  await worker.assertEnded(user);
  const { body } = await worker.login(user);
  const { events } = (await worker.get("/me/events", { bearer: body.access_token })).body;
  assert.equal(
    events.filter(({ kind, session_id }) => kind === "reuse_detected" && session_id === user.session_id).length,
    1,
  );
}

for (const [route, cases] of Object.entries(CASES)) {
  for (const [name, parts] of Object.entries(cases)) {
    test(`${route} ${name}`.trim(), async (t) => {
      const { calls: all, status } = await undisturbed(route, parts);

      for (const does of ["hold", "hold answer"]) {
        for (const [index, { kind, afterResponse }] of all.entries()) {
          await t.test(
            `a client that disconnects during ${kind} ${index + 1}, ${does === "hold" ? "before it takes place" : "before its result arrives"}`,
            async () => {
              worker.events();
              const { user, plan, client } = await begin(route, parts, { at: index + 1, does });
              assert.equal(await plan.untilHeld(), true);
              await client.disconnect("RST");
              // After the response, the Worker does not notice that the client disconnects.
              if (afterResponse) plan.release();
              const calls = await plan.untilEnded();
              plan.release();
              // A request that waits for its hash may be dropped. Every other one runs to completion.
              const expected = kinds(all).slice(
                0,
                Math.max(index + 1, HASHING.includes(route) ? calls.length : all.length),
              );
              assert.deepEqual(kinds(calls), expected);
              await assertMarked(user);
              if (user.isReuse) await assertReuseRecorded(user);
            },
          );
        }
      }

      for (const does of ["fail", "lose"]) {
        for (const [index, { kind, afterResponse }] of all.entries()) {
          await t.test(
            `${kind} ${index + 1}, ${does === "fail" ? "which fails" : "whose result is lost"}`,
            async () => {
              const { plan, client } = await begin(route, parts, { at: index + 1, does });
              const answer = await client.answer();
              await plan.untilEnded();
              await client.disconnect("FIN");
              // A mark that cannot be written does not fail the request.
              const isReported = kind !== "put" && !afterResponse;
              assert.equal(answer.status, isReported ? 503 : status, answer.text);
            },
          );
        }
      }
      // The Worker still serves.
      assert.equal((await worker.me(reader.access_token)).status, 200);
    });
  }
}

test("the matrix covers every route", () => {
  assert.deepEqual(Object.keys(CASES).sort(), ROUTES.map(([path, method]) => `${method} ${path}`).sort());
});

test("the whole matrix leaks no memory", async () => {
  const grown = (await worker.memory()) - base;
  assert.ok(grown <= MAX_GROWTH, `${grown} KiB`);
});
