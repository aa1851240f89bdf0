// The senders of mails: what an HTTP API, a webhook and Cloudflare's binding are given, and what their answers cause. API and
// webhook are servers on loopback.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";

import { read } from "../../scripts/lib.mjs";
import { IMPATIENT } from "../support/clocks.mjs";
import { assertProblem, startWorker } from "../support/harness.mjs";
import { countInTrail, makeDue, outbox, postAndWait, runOutbox, startMailServer } from "../support/mail-server.mjs";

const FROM = "Acme <auth@example.org>";
const KEY = "re_c4n4ry";
const SECRET = randomBytes(32).toString("base64url");

let api, worker, http, webhook;
before(async () => {
  api = await startMailServer();
  http = { MAIL: "http", MAIL_FROM: FROM, MAIL_URL: `${api.url}/emails`, MAIL_KEY: KEY };
  webhook = { MAIL: "webhook", MAIL_WEBHOOK_URL: `${api.url}/hook/?app=1`, MAIL_WEBHOOK_SECRET: SECRET };
  worker = await startWorker({ vars: { EMAIL_LOGIN: "on", APP_NAME: "Acme", ...http } });
});
after(async () => {
  await worker.close();
  await api.close();
});
beforeEach(async () => {
  await worker.update();
  await worker.db.batch(
    ["DELETE FROM outbox", "DELETE FROM mail_budgets", "DELETE FROM challenges"].map((sql) => worker.db.prepare(sql)),
  );
  api.reset();
  worker.logged();
});

let people = 0;
/** A new user. The address may be one of a user who is gone. */
async function someone(email = `mail-${++people}@example.org`) {
  const user = await worker.register({ email });
  worker.logged();
  return user;
}

const reset = ({ email }, options) => postAndWait(worker, "/password/forgot", { email }, options);
const NEW_PASSWORD = "another correct horse battery";
const CODE = /\b[0-9A-Z]{4}-[0-9A-Z]{4}\b/;

/** Takes the only request that the server got. */
function only() {
  const asked = api.take();
  assert.equal(asked.length, 1);
  return asked[0];
}

/** Asserts that a code or link of a mail sets a new password. */
async function assertWorks(json) {
  const { status } = await postAndWait(worker, "/password/reset", { ...json, new_password: NEW_PASSWORD });
  assert.equal(status, 200);
}

/** The reasons of the log events of a kind since the last call. */
const reasons = (kind) => worker.events(kind).map(({ reason }) => reason);

test("the API gets the mail as JSON, with the key and the id of the mail, and the mail's code works", async () => {
  const user = await someone();
  const { status, body } = await reset(user);
  assert.equal(status, 202);
  const { method, url, headers, body: mail } = only();
  assert.deepEqual([method, url], ["POST", "/emails"]);
  const { authorization, "content-type": type, "user-agent": agent, "idempotency-key": id } = headers;
  assert.deepEqual([authorization, type, agent], [`Bearer ${KEY}`, "application/json", "Portcullis"]);
  assert.match(id, /^[\w-]{22}$/);
  for (const name of ["cookie", "referer", "cf-connecting-ip"]) assert.equal(headers[name], undefined);
  const { subject, text, html, ...rest } = mail;
  assert.deepEqual(rest, {
    from: FROM,
    to: [user.email],
    headers: { "Auto-Submitted": "auto-generated", "X-Portcullis-Mail": id },
  });
  const [code] = text.match(CODE);
  assert.ok(subject.includes("Acme") && !subject.includes(code));
  assert.ok(html.startsWith("<!DOCTYPE html>") && html.includes(code));
  assert.match(text, /valid for 30 minutes/);
  const [, token] = text.match(/\/account\/confirm#token=([\w-]+)/);
  assert.ok(html.includes(token));
  assert.deepEqual(await outbox(worker), []);
  assert.deepEqual(
    worker.events("mail_sent").map(({ mail_id, kind, user_id }) => [mail_id, kind, user_id]),
    [[id, "reset", user.user.id]],
  );
  assert.equal(await countInTrail(worker, user, "mail_sent"), 1);
  await assertWorks({ challenge: body.challenge, code });
});

test("the link of a mail works", async () => {
  await reset(await someone());
  const [, token] = only().body.text.match(/\/account\/confirm#token=([\w-]+)/);
  await assertWorks({ token });
});

test("the log has neither the code nor the address nor the key", async () => {
  const user = await someone();
  api.answers = [{ status: 500 }];
  await reset(user);
  await makeDue(worker);
  await runOutbox(worker);
  const [{ text, body }] = api.take();
  const lines = worker.logged().join("\n");
  assert.match(lines, /mail_delayed.*mail_sent/s);
  for (const secret of [body.text.match(CODE)[0], user.email, KEY, text.match(/#token=([\w-]+)/)[1]])
    assert.ok(!lines.includes(secret), secret);
});

/** Answers after which a mail is sent again: the reason in the log, and the seconds until the next attempt. */
const DELAYS = [
  ["the status 500", "status_500", 60, () => ({ status: 500 })],
  ["the status 503 with a body", "status_503", 60, () => ({ status: 503, body: "<h1>down</h1>" })],
  ["the status 401", "status_401", 60, () => ({ status: 401 })],
  ["the status 403", "status_403", 60, () => ({ status: 403 })],
  ["the status 408", "status_408", 60, () => ({ status: 408 })],
  ["the status 425", "status_425", 60, () => ({ status: 425 })],
  ["the status 429", "status_429", 60, () => ({ status: 429 })],
  ["a Retry-After", "status_429", 300, () => ({ status: 429, headers: { "Retry-After": "300" } })],
  [
    "a Retry-After in the past",
    "status_429",
    60,
    () => ({ status: 429, headers: { "Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT" } }),
  ],
  ["a Retry-After of a day", "status_503", 3600, () => ({ status: 503, headers: { "Retry-After": "86400" } })],
  [
    "a Retry-After as a date",
    "status_503",
    3600,
    () => ({ status: 503, headers: { "Retry-After": new Date(Date.now() + 9e6).toUTCString() } }),
  ],
  ["an invalid Retry-After", "status_503", 60, () => ({ status: 503, headers: { "Retry-After": "soon" } })],
  [
    "a redirect, which is not followed",
    "status_307",
    60,
    () => ({ status: 307, headers: { Location: `${api.url}/other` } }),
  ],
  ["a connection that ends after the mail has arrived", "unreachable", 60, () => "cut"],
];
for (const [name, reason, wait, answer] of DELAYS) {
  test(`after ${name}, the mail is sent again with the same id and code`, async () => {
    const user = await someone();
    api.answers = [answer()];
    const before = Math.floor(Date.now() / 1000);
    assert.equal((await reset(user)).status, 202);
    const [row, ...others] = await outbox(worker);
    assert.deepEqual(others, []);
    const waited = row.claimed_until - before;
    assert.ok(waited >= wait && waited <= wait + 20, `${waited}`);
    assert.equal(row.attempts, 1);
    const [event, ...more] = worker.events("mail_delayed");
    assert.deepEqual(
      [event.level, event.mail_id, event.kind, event.reason, more],
      ["warn", row.id, "reset", reason, []],
    );
    const first = only();
    await runOutbox(worker);
    assert.deepEqual(api.take(), [], "before its time");

    await makeDue(worker);
    await runOutbox(worker);
    const second = only();
    assert.equal(second.headers["idempotency-key"], first.headers["idempotency-key"]);
    assert.equal(second.body.text.match(CODE)[0], first.body.text.match(CODE)[0]);
    assert.deepEqual(await outbox(worker), []);
    assert.equal(await countInTrail(worker, user, "mail_sent"), 1);
    assert.equal(await countInTrail(worker, user, "mail_failed"), 0);
  });
}

for (const status of [400, 404, 410, 413, 422]) {
  test(`after the status ${status}, the mail is given up at once`, async () => {
    const user = await someone();
    api.answer = { status, body: '{"message":"c4n4ry"}' };
    assert.equal((await reset(user)).status, 202);
    assert.deepEqual(await outbox(worker), []);
    const [event, ...more] = worker.events("mail_failed");
    assert.deepEqual([event.level, event.kind, event.reason, more], ["error", "reset", `status_${status}`, []]);
    assert.equal(await countInTrail(worker, user, "mail_failed"), 1);
    assert.equal(await countInTrail(worker, user, "mail_sent"), 0);
    assert.equal(api.take().length, 1);
  });
}

test("a mail is accepted by the status alone, whatever the body of the response", async () => {
  for (const answer of [
    { status: 201, body: "" },
    { status: 202, body: "<h1>thanks</h1>" },
    { status: 200, body: "x".repeat(200_000) },
    { status: 200, body: "x".repeat(200_000), unfinished: true },
  ]) {
    api.answer = answer;
    await reset(await someone());
    assert.equal(worker.events("mail_sent").length, 1);
    assert.deepEqual(await outbox(worker), []);
    assert.equal(api.take().length, 1);
  }
});

test("an API that is down or does not answer only delays the mail", async () => {
  const gone = await startMailServer();
  await gone.close();
  const impatient = await startWorker({ clock: IMPATIENT, vars: { ...http } });
  try {
    const user = await impatient.register();
    for (const [reason, vars] of [
      ["unreachable", { MAIL_URL: gone.url }],
      ["timeout", {}],
    ]) {
      await impatient.update({ vars });
      api.answer = "never";
      await postAndWait(impatient, "/password/forgot", { email: user.email });
      assert.deepEqual(
        impatient.events("mail_delayed").map((event) => event.reason),
        [reason],
      );
    }
    assert.equal((await outbox(impatient)).length, 2);
    assert.equal(api.take().length, 1);
  } finally {
    await impatient.close();
  }
});

test("an unknown address causes the same work in D1, and no mail", async () => {
  const user = await someone();
  const known = await reset(user);
  assert.equal(api.take().length, 1);
  const unknown = await reset({ email: "nobody@example.org" });
  assert.deepEqual(
    unknown.calls.map(({ kind, afterResponse }) => [kind, afterResponse]),
    known.calls.map(({ kind, afterResponse }) => [kind, afterResponse]),
  );
  assert.deepEqual([unknown.status, Object.keys(unknown.body)], [202, ["challenge"]]);
  assert.deepEqual(api.take(), []);
  assert.deepEqual(await outbox(worker), []);
});

test("a domain of another script is sent in ASCII, and an address of 254 bytes as it is", async () => {
  const long = `${"a".repeat(64)}@${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(57)}.org`;
  assert.equal(long.length, 254);
  for (const [email, to] of [
    ["Ada+x@B\u00dccher.example", "Ada+x@xn--bcher-kva.example"],
    ["jos\u00e9@example.org", "jos\u00e9@example.org"],
    [long, long],
  ]) {
    await someone(email);
    await reset({ email });
    assert.deepEqual(only().body.to, [to]);
  }
});

test("no request adds a header or a recipient", async () => {
  const user = await someone();
  for (const email of [
    `${user.email}\r\nBcc: eve@example.org`,
    `${user.email}, eve@example.org`,
    `Ada <${user.email}>`,
  ])
    assertProblem(await worker.post("/password/forgot", { json: { email } }), 422, "invalid_email");
  assert.deepEqual(api.take(), []);
  // No request can store such a name, but an import of another system may have.
  await worker.db
    .prepare("UPDATE users SET name = ?, email_verified_at = 1 WHERE id = ?")
    .bind("Ada\r\nBcc: eve@example.org\r\n\r\n<b>x", user.user.id)
    .run();
  await reset(user, { headers: { "User-Agent": "<script>Bcc: eve@example.org" } });
  const { body, rawHeaders } = only();
  assert.deepEqual([body.to, body.from], [[user.email], FROM]);
  assert.deepEqual(Object.keys(body).toSorted(), ["from", "headers", "html", "subject", "text", "to"]);
  assert.ok(![body.subject, ...Object.values(body.headers), ...rawHeaders].some((text) => /[\r\n]|eve@/.test(text)));
  assert.ok(!`${body.text}${body.html}`.includes("<script") && !`${body.text}${body.html}`.includes("eve@"));
});

test("the name of a user is in a mail only if the address is verified", async () => {
  const user = await worker.register({ email: `named-${++people}@example.org`, name: "Augusta King" });
  await reset(user);
  assert.doesNotMatch(only().body.text, /Augusta/);
  await worker.db.prepare("UPDATE users SET email_verified_at = 1 WHERE id = ?").bind(user.user.id).run();
  await reset(user);
  assert.match(only().body.text, /Augusta King/);
});

test("the language is chosen by Accept-Language among MAIL_LOCALES", async () => {
  const user = await someone();
  const german = { headers: { "Accept-Language": "de-AT, en;q=0.5" } };
  const texts = [];
  for (const [vars, options] of [
    [{}, {}],
    [{}, german],
    [{ MAIL_LOCALES: "en" }, german],
  ]) {
    await worker.update({ vars });
    await reset(user, options);
    texts.push(only().body.html.match(/lang="(\w+)"/)[1]);
  }
  assert.deepEqual(texts, ["en", "de", "en"]);
});

/** The function in docs/operations/mail.md that verifies an event. */
const [, documented] = read("docs/operations/mail.md").match(/^```js\n(.*?)^```$/ms);
const { verify } = await import(`data:text/javascript,${encodeURIComponent(documented)}`);
const verified = ({ headers, text }) => verify(headers, text, SECRET);

/** The header webhook-signature, computed as Standard Webhooks defines it. */
function signature({ headers, text }) {
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${text}`;
  return `v1,${createHmac("sha256", Buffer.from(SECRET, "base64url")).update(signed).digest("base64")}`;
}

test("a mail that verifies an address has a link to verify it and a link to disown it", async () => {
  await worker.update({ vars: webhook });
  const user = await someone();
  await postAndWait(worker, "/email/verify/send", {}, { bearer: user.access_token });
  const { kind, link, other_link } = verified(only());
  assert.equal(kind, "verify");
  const page = `${worker.issuer}/account/confirm#`;
  const [, token] = link.split(`${page}token=`);
  assert.equal(other_link, `${page}disown=${token}`);
  const answer = await worker.post("/email/link", { json: { token } });
  assert.equal(answer.body.purpose, "verify");
});

test("the webhook gets a signed event with code and link", async () => {
  await worker.update({ vars: webhook });
  const user = await someone();
  const { body } = await reset(user, { headers: { "Accept-Language": "de", "CF-Connecting-IP": "192.0.2.7" } });
  const request = only();
  assert.deepEqual([request.method, request.url], ["POST", "/hook/?app=1"]);
  assert.equal(request.headers["content-type"], "application/json");
  assert.equal(request.headers.authorization, undefined);
  assert.equal(request.headers["webhook-signature"], signature(request));
  const { id, code, link, at, expires_at, ...rest } = verified(request);
  assert.match(id, /^[\w-]{22}$/);
  assert.deepEqual(rest, {
    type: "mail",
    kind: "reset",
    to: user.email,
    other_link: null,
    locale: "de",
    ip: "192.0.2.7",
    user_agent: "tests",
    detail: null,
  });
  assert.ok(Math.abs(Date.now() / 1000 - at) < 60);
  assert.equal(expires_at, at + 1800);
  assert.ok(link.startsWith(`${worker.issuer}/account/confirm#token=`));
  await assertWorks({ challenge: body.challenge, code });
  const notice = api.take().map(verified);
  assert.deepEqual(
    notice.map(({ kind, code, link, expires_at }) => [kind, code, link, expires_at]),
    [["password_changed", null, null, null]],
  );
});

test("the documented receiver refuses whatever is not signed, or is old", async () => {
  await worker.update({ vars: webhook });
  await reset(await someone());
  const { headers, text } = only();
  const refuses = (changes, body = text, secret = SECRET) =>
    assert.throws(() => verify({ ...headers, ...changes }, body, secret), /wrong signature|too old/);
  const old = { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) - 301) };
  refuses({ ...old, "webhook-signature": signature({ headers: old, text }) });
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) refuses({ [name]: undefined });
  refuses({ "webhook-id": "other" });
  refuses({ "webhook-signature": "v1," });
  refuses({}, text.replace("reset", "login"));
  refuses({}, text, randomBytes(32).toString("base64url"));
  assert.equal(verify(headers, text, SECRET).kind, "reset");
});

test("the id of an event stays over attempts, and its timestamp and signature are new", async () => {
  await worker.update({ vars: webhook });
  api.answers = ["cut"];
  await reset(await someone());
  const first = verified(only());
  await makeDue(worker);
  await worker.advance(90);
  await runOutbox(worker);
  await worker.advance(-90);
  const second = only();
  assert.equal(second.headers["webhook-id"], first.id);
  assert.ok(Number(second.headers["webhook-timestamp"]) >= first.at + 90);
  assert.equal(second.headers["webhook-signature"], signature(second));
  const { code } = JSON.parse(second.text);
  assert.equal(code, first.code);
});

test("a redirect of the webhook is not followed, and a 400 is final", async () => {
  await worker.update({ vars: webhook });
  const user = await someone();
  api.answers = [{ status: 302, headers: { Location: `${api.url}/other` } }];
  await reset(user);
  assert.equal(api.take().length, 1);
  assert.deepEqual(reasons("mail_delayed"), ["status_302"]);
  api.answers = [{ status: 400 }];
  await makeDue(worker);
  await runOutbox(worker);
  assert.deepEqual(reasons("mail_failed"), ["status_400"]);
  assert.deepEqual(await outbox(worker), []);
});

test("the binding gets the whole mail", async () => {
  await worker.update({ vars: { MAIL: "binding", MAIL_FROM: "B\u00fccher, Inc. <auth@b\u00fccher.example>" } });
  const email = `ada-${++people}@b\u00fccher.example`;
  const user = await someone(email);
  const earlier = await worker.runtime.sentMails();
  const { body } = await reset(user);
  const [{ mail_id }] = worker.events("mail_sent");
  const [{ from, to, subject, headers, text, html }, ...others] = await worker.runtime.sentMails();
  assert.deepEqual(others, earlier);
  assert.match(JSON.stringify(from), /auth@xn--bcher-kva\.example/);
  assert.match(JSON.stringify(from), /B\u00fccher, Inc\./);
  assert.deepEqual([to].flat(), [email.replace("b\u00fccher", "xn--bcher-kva")]);
  assert.equal(headers["Auto-Submitted"], "auto-generated");
  assert.equal(headers["X-Portcullis-Mail"], mail_id);
  assert.match(subject, /Acme/);
  const [code] = text.match(CODE);
  assert.ok(html.includes(code));
  assert.deepEqual(api.take(), []);
  await assertWorks({ challenge: body.challenge, code });
});

for (const [code, event] of [
  ["E_RECIPIENT_SUPPRESSED", "mail_failed"],
  ["E_VALIDATION_ERROR", "mail_failed"],
  ["E_RATE_LIMIT_EXCEEDED", "mail_delayed"],
  ["E_SENDER_NOT_VERIFIED", "mail_delayed"],
]) {
  test(`the error ${code} of the binding is ${event}`, async () => {
    await worker.update({ vars: { MAIL: "binding", SEND_EMAIL: code } });
    await reset(await someone());
    assert.deepEqual(reasons(event), [code]);
    assert.equal((await outbox(worker)).length, event === "mail_delayed" ? 1 : 0);
  });
}

test("without the binding, mails wait for it", async () => {
  await worker.update({ vars: { MAIL: "binding", SEND_EMAIL: "none" } });
  const user = await someone();
  assert.equal((await reset(user)).status, 202);
  assert.deepEqual(reasons("mail_delayed"), ["no_binding"]);
  await worker.update({ vars: { MAIL: "binding" } });
  await makeDue(worker);
  await runOutbox(worker);
  const [{ to }] = await worker.runtime.sentMails();
  assert.deepEqual([to].flat(), [user.email]);
});

test("the log has code and link in one line", async () => {
  await worker.update({ vars: { MAIL: "log" } });
  const user = await someone();
  const { body } = await reset(user);
  const [{ kind, to, code, link }, ...others] = worker.events("mail");
  assert.deepEqual([kind, to, others], ["reset", user.email, []]);
  assert.ok(link.startsWith(`${worker.issuer}/account/confirm#token=`));
  await assertWorks({ challenge: body.challenge, code });
});

test("the operator is warned once at 80 % of MAIL_DAILY_LIMIT, and resets are never refused", async () => {
  await worker.update({ vars: { MAIL_DAILY_LIMIT: "10" } });
  for (let count = 1; count <= 12; count += 1) {
    const user = await someone();
    await reset(user, { headers: { "CF-Connecting-IP": `198.51.100.${count}` } });
    assert.equal(only().body.to[0], user.email);
    const warnings = worker.events("mail_limit_near");
    assert.deepEqual(
      warnings.map(({ level, sent, limit }) => [level, sent, limit]),
      count === 8 ? [["warn", 8, 10]] : [],
    );
  }
  const { used } = await worker.db.prepare("SELECT used FROM mail_budgets WHERE key = 'all'").first();
  assert.equal(used, 12);
  // The next day begins at zero.
  await worker.db.prepare("UPDATE mail_budgets SET resets_at = 0").run();
  await reset(await someone());
  assert.deepEqual(await worker.db.prepare("SELECT used FROM mail_budgets WHERE key = 'all'").first(), { used: 1 });
});

test("a mail that was not accepted does not count", async () => {
  await worker.update({ vars: { MAIL_DAILY_LIMIT: "10" } });
  api.answers = [{ status: 500 }, { status: 400 }];
  for (let count = 0; count < 3; count += 1) await reset(await someone());
  assert.deepEqual(await worker.db.prepare("SELECT used FROM mail_budgets WHERE key = 'all'").first(), { used: 1 });
});

test("strangers cause a tenth of the mails of a day, which leaves the rest to known devices and signed-in users", async () => {
  await worker.update({ vars: { MAIL_DAILY_LIMIT: "20" } });
  const login = (user, json, options) => postAndWait(worker, "/login/email", { email: user.email, ...json }, options);
  const users = [await someone(), await someone(), await someone()];
  let source = 0;
  for (const [index, user] of users.entries()) {
    const { status } = await login(user, {}, { headers: { "CF-Connecting-IP": `198.51.100.${++source}` } });
    assert.equal(status, 202);
    assert.equal(api.take().length, index < 2 ? 1 : 0);
  }
  const [, , refused] = users;
  await login(refused, { device_token: refused.device_token });
  assert.equal(api.take().length, 1, "a known device");
  const verify = await postAndWait(worker, "/email/verify/send", {}, { bearer: refused.access_token });
  assert.equal(verify.status, 202);
  assert.equal(api.take().length, 1, "a signed-in user");
  await reset(refused, { headers: { "CF-Connecting-IP": "198.51.100.99" } });
  assert.equal(api.take().length, 1, "a reset");
});

test("without MAIL_DAILY_LIMIT, mails are not counted", async () => {
  await postAndWait(worker, "/login/email", { email: (await someone()).email });
  assert.equal(api.take().length, 1);
  const { results } = await worker.db.prepare("SELECT key FROM mail_budgets WHERE key IN ('all', 'strangers')").all();
  assert.deepEqual(results, []);
});
