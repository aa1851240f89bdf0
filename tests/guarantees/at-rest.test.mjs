// Secrets at rest: after every operation has run once, no row of D1, no entry of KV and no log line contains a token,
// secret, password or signing key, and the log contains no e-mail address.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { startWorker } from "../support/harness.mjs";

const EMAIL = "canary.person@example.org";
const PASSWORDS = ["canary correct horse battery", "canary wrong horse battery", "canary another horse battery"];

const server = makeResourceServer("canary-api", "https://api.example.org");

let worker, tokens, dumps;

before(async () => {
  worker = await startWorker({ vars: { RESOURCE_SERVERS: JSON.stringify([server.entry]), LOG: "costs,refreshes" } });
  worker.events();
  const email = EMAIL;
  const [password, wrong, another] = PASSWORDS;
  const user = await worker.register({ email, password, name: "Canary" });
  await worker.post("/register", { json: { email, password } });
  await worker.login({ email, password: wrong });
  await worker.login({ email: "nobody.canary@example.org", password });
  const second = (await worker.login({ email, password })).body;
  const third = (await worker.login({ email, password })).body;
  const refreshed = (await worker.refresh(user.refresh_token)).body;
  const retried = (await worker.refresh(user.refresh_token)).body;
  const renewed = (await worker.token(second.refresh_token)).body;
  await worker.token(second.refresh_token, { client_secret: PASSWORDS[0] });
  await worker.age(60, user.session_id);
  await worker.refresh(user.refresh_token);
  await worker.refresh(refreshed.refresh_token);
  await worker.me(second.access_token);
  await worker.introspect(second.access_token, server);
  await worker.introspect(second.refresh_token, { ...server, secret: PASSWORDS[0] });
  await worker.get(`/introspect?token=${second.access_token}`);
  await worker.verify(second.access_token);
  await worker.me(`${second.access_token}x`);
  await worker.get(`/me?access_token=${second.access_token}`);
  await worker.get(`/${second.access_token}`);
  await worker.revoke(second.refresh_token);
  await worker.revoke(`${second.refresh_token}x`);
  let bearer = third.access_token;
  await worker.request("PATCH", "/me", {
    bearer,
    json: { username: "canary", name: "Canary" },
  });
  await worker.stepUp({ access_token: bearer, password: wrong });
  bearer = (await worker.stepUp({ access_token: bearer, password })).body.access_token;
  await worker.post("/me/password", { bearer, json: { current_password: wrong, new_password: another } });
  const changed = (
    await worker.post("/me/password", { bearer, json: { current_password: password, new_password: another } })
  ).body;
  bearer = changed.access_token;
  await worker.get("/me/events", { bearer });
  await worker.setRoles(user, ["user", "admin"]);
  await worker.get(`/users?email=${email}`, { bearer });
  await worker.request("PATCH", `/users/${user.user.id}`, { bearer, json: { roles: ["admin"] } });
  await worker.request("DELETE", `/users/${user.user.id}`, { bearer });
  await worker.cleanUp();
  await worker.delete("/sessions", { bearer });
  await worker.post("/login", {
    body: `{"email":"${email}","password":"${password}"`,
    headers: { "Content-Type": "application/json" },
  });
  await worker.db.prepare("ALTER TABLE users RENAME TO gone").run();
  await worker.login({ email, password });
  await worker.refresh(third.refresh_token);
  await worker.db.prepare("ALTER TABLE gone RENAME TO users").run();
  tokens = [user, second, third, refreshed, retried, renewed, changed].flatMap(({ access_token, refresh_token }) => [
    access_token,
    refresh_token,
  ]);

  const logs = worker.logged();
  const { results: tables } = await worker.db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
    .all();
  const rows = await Promise.all(
    tables.map(async ({ name }) => (await worker.db.prepare(`SELECT * FROM "${name}"`).all()).results),
  );
  const { keys } = await worker.kv.list();
  const entries = await Promise.all(keys.map(async (key) => [key, await worker.kv.get(key.name)]));
  dumps = { log: JSON.stringify(logs), D1: JSON.stringify(rows.flat()), KV: JSON.stringify(entries) };
});
after(() => worker.close());

test("the searched stores are not empty", () => {
  assert.ok(JSON.parse(dumps.log).length > 20);
  assert.ok(JSON.parse(dumps.D1).length > 3);
  assert.ok(JSON.parse(dumps.KV).length >= 3);
  assert.ok(dumps.D1.includes(EMAIL));
});

test("no password, token, secret or usable part of one is stored", () => {
  const { SIGNING_KEYS, TOKEN_SECRET, DATA_SECRETS } = worker.secrets;
  const secrets = new Map([
    ...PASSWORDS.map((password) => ["a password", password]),
    ["the token secret", TOKEN_SECRET],
    ["the data secret", DATA_SECRETS],
    ["a resource server's secret", server.secret],
    ["the private key", JSON.parse(SIGNING_KEYS).keys[0].d],
  ]);
  const entries = [...secrets].map(([name, secret]) => [name, secret]);
  for (const token of tokens) {
    entries.push(["a token", token]);
    if (token.startsWith("pcrt_")) {
      const bytes = Buffer.from(token.slice(5), "base64url");
      const sessionSecret = bytes.subarray(20, 52);
      for (const encoding of ["base64url", "base64", "hex"])
        entries.push(["a session secret", sessionSecret.toString(encoding)]);
      entries.push(["a session secret, as encoded in the token", token.slice(5 + 28, 5 + 68)]);
    } else {
      entries.push(["a signature", token.split(".")[2]], ["claims", token.split(".")[1]]);
    }
  }
  for (const [name, secret] of entries) {
    assert.ok(secret.length >= 16, name);
    for (const [place, dump] of Object.entries(dumps)) assert.ok(!dump.includes(secret), `${name} is in ${place}`);
  }
});

test("the log contains no e-mail address and no hash, and each line is one JSON object", () => {
  for (const line of JSON.parse(dumps.log)) assert.equal(typeof JSON.parse(line).event, "string");
  assert.doesNotMatch(dumps.log, /canary|@example|argon2/i);
  for (const { secret_hash } of JSON.parse(dumps.D1)) if (secret_hash) assert.ok(!dumps.log.includes(secret_hash));
});

test("the log has every kind of event that the operations cause", () => {
  const kinds = new Set(JSON.parse(dumps.log).map((line) => JSON.parse(line).event));
  for (const kind of [
    "registered",
    "login_succeeded",
    "login_failed",
    "refreshed",
    "grace_retry",
    "reuse_detected",
    "refresh_refused",
    "revoked",
    "revoked_all",
    "account_changed",
    "cleaned_up",
    "storage_fault",
  ]) {
    assert.ok(kinds.has(kind), kind);
  }
});
