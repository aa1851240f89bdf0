// The methods of the client for codes and links from mails, against the Worker.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { PASSWORD, startWorker } from "../support/harness.mjs";
import { installed } from "../support/installed.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";

const VARS = { ...MAIL_VARS, EMAIL_VERIFICATION: "optional" };
const NEW = "purple otters juggle lanterns";

let worker, mails, installation, createClient;
const clients = [];
before(async () => {
  installation = await installed("client");
  ({ createClient } = await installation.import("@portcullis/client"));
  worker = await startWorker({ vars: VARS });
  mails = new Mails(worker);
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
after(async () => {
  await worker?.close();
  installation?.remove();
});

/** A client in a browser of its own, and the bodies that it sends, by path. */
let sources = 0;
function open() {
  sources += 1;
  const source = `203.0.113.${sources}`;
  const items = new Map();
  const storage = {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
  const bodies = [];
  const send = (url, init) => {
    bodies.push([new URL(url).pathname, init.body && JSON.parse(init.body)]);
    const headers = new Headers(init.headers);
    headers.set("CF-Connecting-IP", source);
    return fetch(url, { ...init, headers });
  };
  const url = worker.url.origin;
  const client = createClient({ url, mode: "storage", storage, fetch: send });
  clients.push(client);
  const devices = () => JSON.parse(items.get(`portcullis:${url}:devices`) ?? "[]");
  return { client, bodies, devices };
}

/** The only mail with a code since the last call. */
async function codeMail(kind) {
  const found = (await mails.take()).filter(({ code }) => code !== null);
  assert.deepEqual(
    found.map((mail) => mail.kind),
    [kind],
  );
  return { ...found[0], token: new URL(found[0].link).hash.replace("#token=", "") };
}

async function register() {
  const person = await worker.register();
  await mails.take();
  return person;
}

const refused = (promise, code) => assert.rejects(promise, (error) => error.code === code);

test("a new password with a code ends every session, and the device stays known", async () => {
  const person = await register();
  const { client, bodies, devices } = open();
  await client.login({ email: person.email, password: PASSWORD });
  const [{ token: known }] = devices();
  const { challenge } = await client.forgotPassword({ email: person.email });
  assert.equal(bodies.at(-1)[1].device_token, known, "the device of the name that was typed");
  const { code } = await codeMail("reset");
  assert.deepEqual(await client.forgotPassword({ challenge }), { challenge });
  assert.equal((await codeMail("reset")).code, code);
  await refused(client.resetPassword({ challenge, code: "AAAA-AAAA", new_password: NEW }), "invalid_code");
  assert.deepEqual(await client.resetPassword({ challenge, code, new_password: NEW }), { sessions_ended: 2 });
  const [{ token, user_id }, ...others] = devices();
  assert.deepEqual([user_id, others], [person.user.id, []]);
  assert.notEqual(token, known);
  await refused(client.me(), "invalid_token");
  assert.equal(client.state.reason, "revoked");
  await client.login({ email: person.email, password: NEW });
  assert.equal(bodies.at(-1)[1].device_token, token);
  assert.equal(devices().length, 1);
});

test("a new password with a link makes the device known to a user who has never logged in on it", async () => {
  const person = await register();
  const { client, bodies, devices } = open();
  await client.forgotPassword({ email: person.email });
  const { token } = await codeMail("reset");
  const link = await client.readMailLink(token);
  assert.deepEqual([link.purpose, link.email, link.code], ["reset", person.email, undefined]);
  await client.resetPassword({ token, new_password: NEW });
  const [device] = devices();
  assert.deepEqual(device.names, [person.email]);
  await client.login({ email: person.email.toUpperCase(), password: NEW });
  assert.equal(bodies.at(-1)[1].device_token, device.token);
  assert.deepEqual(
    devices().map(({ user_id }) => user_id),
    [person.user.id],
  );
  await refused(client.readMailLink(token), "invalid_code");
});

test("a code from a mail signs in like a password, with a device token for the name that was typed", async () => {
  const person = await register();
  const { client, bodies, devices } = open();
  const states = [];
  client.onChange(({ status, reason }) => states.push(`${status} ${reason}`));
  const { challenge } = await client.startEmailLogin({ email: person.email });
  const { code } = await codeMail("login");
  const user = await client.finishEmailLogin({ challenge, code });
  assert.deepEqual([user.id, user.email_verified], [person.user.id, true]);
  assert.equal((await client.me()).id, person.user.id);
  assert.deepEqual(states, ["signed_out null", "signed_in signed_in"]);
  assert.ok(devices()[0].names.includes(person.email));
  const [{ token }] = devices();
  const again = await client.startEmailLogin({ email: person.email });
  await client.finishEmailLogin({ challenge: again.challenge, code: (await codeMail("login")).code });
  const [, sent] = bodies.findLast(([path]) => path === "/login/email/verify");
  assert.equal(sent.device_token, token);
});

test("an unknown address gives a challenge too", async () => {
  const { client } = open();
  const { challenge } = await client.startEmailLogin({ email: "nobody@example.org" });
  await refused(client.finishEmailLogin({ challenge, code: "AAAA-AAAA" }), "invalid_code");
  assert.ok((await mails.take()).every(({ code }) => code === null));
  assert.equal(client.state.status, "signed_out");
});

test("an address is verified with a code, with a link and the session, or with a link and the password", async () => {
  for (const way of ["code", "session", "password"]) {
    const person = await register();
    const { client } = open();
    await client.login({ email: person.email, password: PASSWORD });
    const { challenge } = await client.sendVerification();
    const { code, token } = await codeMail("verify");
    if (way === "code") {
      await client.sendVerification({ challenge });
      assert.equal((await codeMail("verify")).code, code);
      await client.verifyEmail({ challenge, code });
    } else if (way === "session") await client.verifyEmail({ token });
    else {
      const other = open().client;
      await refused(other.verifyEmail({ token }), "missing_token");
      await refused(other.verifyEmail({ token, password: "wrong" }), "wrong_password");
      await other.verifyEmail({ token, password: PASSWORD });
      await client.me();
    }
    assert.equal(client.state.user.email_verified, true, way);
  }
});

test("a registration resolves to what EMAIL_VERIFICATION makes of it", async () => {
  const { client } = open();
  const ada = { email: "ada.mail@example.org", password: PASSWORD };
  const optional = await client.register(ada);
  assert.deepEqual([optional.email, client.state.status], [ada.email, "signed_in"]);
  assert.ok(!("challenge" in client.state.user));
  await client.verifyEmail({ challenge: optional.challenge, code: (await codeMail("verify")).code });
  assert.equal(client.state.user.email_verified, true);

  await worker.update({ vars: { ...VARS, EMAIL_VERIFICATION: "required" } });
  const grace = { email: "grace.mail@example.org", password: PASSWORD };
  const other = open().client;
  const { challenge, ...rest } = await other.register(grace);
  assert.deepEqual([rest, other.state.status], [{}, "signed_out"]);
  await other.verifyEmail({ challenge, code: (await codeMail("register")).code });
  assert.equal((await other.login(grace)).email_verified, true);

  for (const way of ["challenge", "token"]) {
    const foreign = { email: `${way}.mail@example.org`, password: PASSWORD };
    const { challenge } = await open().client.register(foreign);
    const { code, token } = await codeMail("register");
    await open().client.disownRegistration(way === "token" ? { token, code } : { challenge, code });
    await refused(open().client.verifyEmail({ challenge, code }), "invalid_code");
  }
  await worker.update({ vars: VARS });
});

test("an address changes with both codes, or later without the old mailbox, unless it is cancelled", async () => {
  const person = await register();
  const { client, bodies, devices } = open();
  await client.login({ email: person.email, password: PASSWORD });
  const begin = async (new_email) => {
    const { challenge } = await client.changeEmail({ new_email });
    const sent = await mails.take();
    const codeOf = (wanted) => sent.find(({ kind }) => kind === wanted).code;
    return { challenge, code: codeOf("change_new"), old_code: codeOf("change_old") };
  };
  const { old_code, ...lost } = await begin("later.mail@example.org");
  assert.equal(await client.confirmEmailChange({ ...lost, old_mailbox: "lost" }), false);
  await client.cancelEmailChange();
  const again = await begin("later.mail@example.org");
  assert.equal(
    await client.confirmEmailChange({ challenge: again.challenge, code: again.code, old_mailbox: "lost" }),
    false,
  );
  const notice = (await mails.take()).find(({ kind }) => kind === "email_change_pending");
  await open().client.cancelEmailChange({ token: new URL(notice.link).hash.replace(/^#\w+=/, "") });

  await client.login({ email: person.email, password: PASSWORD });
  assert.equal(await client.confirmEmailChange(await begin("moved.mail@example.org")), true);
  assert.equal(client.state.user.email, "moved.mail@example.org");
  assert.equal((await client.me()).email_verified, true, "this session goes on");
  const [device] = devices();
  await client.login({ email: "moved.mail@example.org", password: PASSWORD });
  const [, login] = bodies.findLast(([path]) => path === "/login");
  assert.equal(login.device_token, device.token);
});
