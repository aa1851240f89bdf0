// The release before and this one, side by side on one database, as in a gradual deployment: what one of them hands out, the other takes.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { decodeJwt } from "jose";

import { read, readToml } from "../../scripts/lib.mjs";
import { Authenticator } from "../support/authenticator.mjs";
import { totp } from "../support/factors.mjs";
import { PASSWORD } from "../support/harness.mjs";
import { RELEASE, sha256, startBoth } from "../support/side-by-side.mjs";

const NEW = "purple otters juggle lanterns";
const MIGRATIONS = readdirSync("migrations").sort();
const VARS = { MAIL: "log", EMAIL_LOGIN: "on", EMAIL_VERIFICATION: "optional", COOKIE_MODE: "refresh" };

let both;
let early;
before(async () => {
  both = await startBoth(VARS);
  await both.migrate(Object.keys(RELEASE.migrations));
  // Sessions and accounts from before the upgrade.
  early = { session: await register(both.before), app: await withApp(both.before, both.before) };
  // The migrations come before the code.
  await both.migrate(MIGRATIONS.filter((name) => !Object.hasOwn(RELEASE.migrations, name)));
});
after(() => both.close());

let users = 0;

async function register(worker, details = {}) {
  const email = `user-${++users}@example.org`;
  const answer = await worker.post("/register", { json: { email, password: PASSWORD, ...details } });
  assert.equal(answer.status, 201, answer.text);
  return { ...answer.body, email };
}

function assertProblem({ status, body, text }, expected, code) {
  assert.deepEqual([status, body?.code ?? body?.error], [expected, code], text);
}

async function ok(promise, status = 200) {
  const answer = await promise;
  assert.equal(answer.status, status, answer.text);
  return answer.body;
}

const refresh = (worker, refresh_token) => worker.post("/refresh", { json: { refresh_token } });
const me = (worker, { access_token }) => worker.get("/me", { bearer: access_token });
const login = (worker, { email }, details) =>
  worker.post("/login", { json: { email, password: PASSWORD, ...details } });

/** Whether a Worker takes an access token, by D1 and by KV. */
async function assertLive(worker, session) {
  await ok(me(worker, session));
  await ok(worker.get("/verify", { bearer: session.access_token }));
}

async function assertEnded(worker, session) {
  assertProblem(await me(worker, session), 401, "invalid_token");
  // The mark is written after the response.
  for (let tries = 0; (await worker.get("/verify", { bearer: session.access_token })).status === 200; tries += 1) {
    assert.ok(tries < 300, "there is no mark");
    await setTimeout(10);
  }
  assertProblem(await refresh(worker, session.refresh_token), 401, "invalid_refresh_token");
}

/** The last mail of a kind to an address. */
async function mail(kind, email) {
  for (let tries = 0; tries < 3000; tries += 1) {
    const mails = both.lines.filter((line) => line.includes('"event":"mail"')).map((line) => JSON.parse(line));
    const found = mails.findLast((mail) => mail.kind === kind && mail.to === email);
    if (found) return { ...found, token: found.link && new URL(found.link).hash.replace(/^#token=/, "") };
    await setTimeout(10);
  }
  assert.fail(`there is no mail ${kind}`);
}

/** A new user with an authenticator app, begun at one Worker and confirmed at the other. */
async function withApp(begins, confirms) {
  const user = await register(begins);
  const { code } = await mail("verify", user.email);
  await ok(begins.post("/email/verify", { json: { challenge: user.challenge, code } }), 204);
  // The first factor needs a code from a mail beside the password.
  const { challenge } = await ok(begins.post("/login/email", { json: { email: user.email } }), 202);
  const { code: mail_code } = await mail("login", user.email);
  const proofs = { password: PASSWORD, challenge, mail_code };
  const session = await ok(confirms.post("/me/step-up", { bearer: user.access_token, json: proofs }));
  const { secret } = await ok(begins.post("/me/mfa/totp", { bearer: session.access_token }), 201);
  const json = { code: totp(secret, Date.now() / 1000 - 30) };
  const confirmed = await ok(confirms.post("/me/mfa/totp/confirm", { bearer: session.access_token, json }));
  return { ...confirmed, email: user.email, secret, codes: confirmed.recovery_codes };
}

test("the migrations of the release are unchanged, and further ones come after them", () => {
  const kept = Object.keys(RELEASE.migrations);
  assert.deepEqual(MIGRATIONS.slice(0, kept.length), kept);
  for (const [name, hash] of Object.entries(RELEASE.migrations)) {
    assert.equal(sha256(read(`migrations/${name}`)), hash, `${name} has changed since the release`);
  }
});

test("both publish the same keys", async () => {
  const [before, now] = await Promise.all(
    [both.before, both.now].map((worker) => ok(worker.get("/.well-known/jwks.json"))),
  );
  assert.deepEqual(now.keys, before.keys);
});

test("sessions and second factors from before the migrations go on in both", async () => {
  let { refresh_token } = early.session;
  for (const worker of [both.now, both.before, both.now]) {
    const session = await ok(refresh(worker, refresh_token));
    for (const other of [both.now, both.before]) await assertLive(other, session);
    ({ refresh_token } = session);
  }
  const begun = await login(both.now, early.app);
  assertProblem(begun, 401, "mfa_required");
  const { mfa_token } = begun.body;
  await ok(both.now.post("/login/mfa", { json: { mfa_token, recovery_code: early.app.codes[0] } }));
});

for (const [from, to] of [
  ["before", "now"],
  ["now", "before"],
]) {
  describe(`the Worker ${to} takes from the Worker ${from}`, () => {
    let a;
    let b;
    before(() => {
      a = both[from];
      b = both[to];
    });

    test("a session, whose reuse it detects", async () => {
      const user = await register(a);
      await assertLive(b, user);
      const next = await ok(refresh(b, user.refresh_token));
      const again = await ok(refresh(a, user.refresh_token));
      assert.equal(again.refresh_token, next.refresh_token, "the successor is the same in both");
      const third = await ok(refresh(a, next.refresh_token));
      const last = await ok(
        b.post("/token", { form: { grant_type: "refresh_token", refresh_token: third.refresh_token } }),
      );
      await assertLive(a, last);
      assertProblem(await refresh(b, user.refresh_token), 401, "invalid_refresh_token");
      await assertEnded(a, last);
    });

    test("a session in a cookie", async () => {
      const { email } = await register(a);
      const page = { Origin: "http://localhost:8787", "Sec-Fetch-Site": "same-origin" };
      const answer = await a.post("/login", {
        json: { email, password: PASSWORD, transport: "cookie" },
        headers: page,
      });
      assert.equal(answer.status, 200, answer.text);
      const cookie = answer.headers
        .getSetCookie()
        .map((line) => line.split(";")[0])
        .join("; ");
      await assertLive(a, await ok(b.post("/refresh", { json: {}, headers: { ...page, Cookie: cookie } })));
    });

    test("a logout", async () => {
      const [one, two] = [await register(a), await register(b)];
      assert.equal((await b.post("/revoke", { form: { token: one.refresh_token } })).status, 200);
      await assertEnded(a, one);
      await ok(a.delete("/sessions", { bearer: two.access_token }));
      await assertEnded(b, two);
    });

    test("a wait after wrong passwords, and a device token that is spared it", async () => {
      const user = await register(a);
      for (let tries = 0; tries < 5; tries += 1) await login(a, user, { password: "a wrong password" });
      assertProblem(await login(b, user), 429, "too_many_attempts");
      await ok(login(b, user, { device_token: user.device_token }));
    });

    test("a new password by mail", async () => {
      const { email } = await register(a);
      const { challenge } = await ok(a.post("/password/forgot", { json: { email } }), 202);
      const { code, token } = await mail("reset", email);
      await ok(b.post("/email/link", { json: { token } }));
      await ok(b.post("/password/reset", { json: { challenge, code, new_password: NEW } }));
      assertProblem(await a.post("/password/reset", { json: { token, new_password: NEW } }), 400, "invalid_code");
      await ok(a.post("/login", { json: { email, password: NEW } }));
    });

    test("an address that its user verifies and changes", async () => {
      const user = await register(a);
      const { code } = await mail("verify", user.email);
      await ok(b.post("/email/verify", { json: { challenge: user.challenge, code } }), 204);
      const new_email = `new-${user.email}`;
      const { challenge } = await ok(a.post("/me/email", { bearer: user.access_token, json: { new_email } }), 202);
      const [next, old] = [await mail("change_new", new_email), await mail("change_old", user.email)];
      const json = { challenge, code: next.code, old_code: old.code };
      const session = await ok(b.post("/me/email/confirm", { bearer: user.access_token, json }));
      assert.equal((await ok(me(a, session))).email, new_email);
    });

    test("a sign-in in two steps, and each code once", async () => {
      const user = await withApp(a, b);
      await assertLive(a, user);
      const begun = await login(a, user);
      assertProblem(begun, 401, "mfa_required");
      const { mfa_token } = begun.body;
      const json = { mfa_token, code: totp(user.secret, Date.now() / 1000) };
      const session = await ok(b.post("/login/mfa", { json }));
      assert.equal(decodeJwt(session.access_token).acr, "aal2");
      await assertLive(a, session);
      const again = await login(b, user);
      for (const worker of [a, b]) {
        const used = { ...json, mfa_token: again.body.mfa_token };
        assertProblem(await worker.post("/login/mfa", { json: used }), 400, "invalid_code");
      }
      const recovery = { mfa_token: again.body.mfa_token, recovery_code: user.codes[0] };
      await ok(a.post("/login/mfa", { json: recovery }));
    });

    test("a passkey", async () => {
      const email = `user-${++users}@example.org`;
      const authenticator = new Authenticator();
      const creation = await ok(a.post("/register/passkey/options", { json: { email } }));
      const json = { credential: authenticator.create(creation), email };
      const user = await ok(b.post("/register/passkey", { json }), 201);
      await assertLive(a, user);
      const credential = authenticator.get(await ok(a.post("/passkeys/options", { json: {} })));
      const session = await ok(b.post("/passkeys/login", { json: { credential } }));
      await assertLive(a, session);
      assertProblem(await a.post("/passkeys/login", { json: { credential } }), 400, "passkey_refused");
    });

    test("a step-up", async () => {
      const user = await register(a);
      const session = await ok(b.post("/me/step-up", { bearer: user.access_token, json: { password: PASSWORD } }));
      await assertLive(a, session);
      await assertEnded(a, user);
    });
  });
}

test("the scheduled events of both run on the new schema", async () => {
  for (const worker of [both.before, both.now])
    for (const cron of readToml("wrangler.toml").triggers.crons)
      assert.equal(await worker.schedule(cron), "ok", worker.name);
  assert.deepEqual(both.errors, []);
});
