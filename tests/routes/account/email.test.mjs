// Changing the address: POST /me/email, /me/email/confirm and /me/email/cancel.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { assertProblem, cookieOf, deviceCookieOf, from, PASSWORD, page, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS, Mails } from "../../support/mails.mjs";

const DAY = 86_400;
const CODE = /^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/;
const WRONG = "0000-0000";

let worker;
let mails;
let ada;
let next;
let addresses = 0;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL_VARS, COOKIE_MODE: "refresh" } });
  mails = new Mails(worker);
});
after(() => worker.close());
beforeEach(async () => {
  ada = await worker.register();
  next = `new-${++addresses}@example.com`;
  await mails.forget();
});

const ask = (user, json, options) =>
  worker.post("/me/email", {
    bearer: user.access_token,
    json: { new_email: next, ...json },
    ...options,
  });
const confirm = (user, json, options) =>
  worker.post("/me/email/confirm", { bearer: user.access_token, json, ...options });
const cancel = (json, options) => worker.post("/me/email/cancel", { json, ...options });
const cron = () => worker.schedule("* * * * *");
/** Two runs at once. The harness can follow one at a time only. */
const twoCrons = async () => {
  const raw = await worker.runtime.miniflare.getWorker("portcullis");
  await Promise.all([raw.scheduled({ cron: "* * * * *" }), raw.scheduled({ cron: "* * * * *" })]);
};
const me = async (user) => (await worker.me(user.access_token)).body;
const pending = (user = ada) =>
  worker.db.prepare("SELECT * FROM email_changes WHERE user_id = ?").bind(user.user.id).first();
const kinds = async (user) =>
  (await worker.get("/me/events", { bearer: user.access_token })).body.events.map(({ kind }) => kind);
const tokenOf = ({ link }) => new URL(link).hash.replace(/^#token=/, "");
const byKind = (all) => Object.fromEntries(all.map((mail) => [mail.kind, mail]));

/** Asks for a change, and returns the challenge with both codes. */
async function asked(user = ada, json = {}) {
  const { status, body, text } = await ask(user, json);
  assert.equal(status, 202, text);
  const { change_new, change_old } = byKind(await mails.take());
  return { challenge: body.challenge, code: change_new?.code, old_code: change_old?.code };
}

/** Says that the old mailbox is lost, and returns the token that cancels the change. */
async function lost(user = ada, json = {}) {
  const { challenge, code } = await asked(user, json);
  const answer = await confirm(user, { challenge, code, old_mailbox: "lost" });
  assert.equal(answer.status, 202, answer.text);
  return tokenOf(await mails.only("email_change_pending"));
}

/** Moves a pending change into the past, instead of waiting. */
const age = (seconds, user = ada) =>
  worker.db
    .prepare(
      "UPDATE email_changes SET requested_at = requested_at - ?1, takes_effect_at = takes_effect_at - ?1, next_notice_at = next_notice_at - ?1 WHERE user_id = ?2",
    )
    .bind(seconds, user.user.id)
    .run();

/** Lets a pending change pass through its notices until it takes effect. */
async function wait(user = ada) {
  for (const days of [3, 3, 1]) {
    await age(days * DAY, user);
    await cron();
  }
}

test("the codes from both mailboxes change the address at once", async () => {
  const second = (await worker.login(ada)).body;
  await mails.forget();
  const before = await worker.account(ada);
  const asking = await ask(ada);
  assert.equal(asking.status, 202, asking.text);
  assert.deepEqual(Object.keys(asking.body), ["challenge"]);
  const sent = byKind(await mails.take());
  assert.deepEqual(Object.keys(sent).toSorted(), ["change_new", "change_old"]);
  assert.deepEqual([sent.change_new.to, sent.change_old.to], [next, ada.email]);
  for (const { code, link } of Object.values(sent)) {
    assert.match(code, CODE);
    assert.equal(link, null);
  }
  assert.notEqual(sent.change_new.code, sent.change_old.code);
  assert.equal((await me(ada)).email, ada.email);

  const { challenge } = asking.body;
  const answer = await confirm(ada, {
    challenge,
    code: sent.change_new.code.toLowerCase(),
    old_code: sent.change_old.code.replace("-", " "),
  });
  assert.equal(answer.status, 200, answer.text);
  const renewed = answer.body;
  assert.deepEqual(Object.keys(renewed), Object.keys(second));
  assert.notEqual(renewed.session_id, ada.session_id);
  assert.deepEqual(renewed.user, await me(renewed));
  assert.deepEqual(renewed.user, { ...ada.user, email: next, email_verified: true });
  await worker.marksWritten();
  for (const session of [ada, second]) {
    await worker.assertEnded(session);
    assert.equal((await worker.sessionRow(session.session_id)).revoked_reason, "email_changed");
  }
  await worker.assertLive(renewed);
  assert.equal((await worker.refresh(renewed.refresh_token)).status, 200);
  const after = await worker.account(ada);
  assert.deepEqual(
    [after.email, after.email_key, after.slot, after.credentials_version],
    [next, next, before.slot, before.credentials_version + 1],
  );
  const notice = await mails.only("email_changed");
  assert.equal(notice.to, ada.email);
  assert.deepEqual((await kinds(renewed)).filter((kind) => kind.startsWith("email_")).toSorted(), [
    "email_change_requested",
    "email_changed",
  ]);
  assertProblem(await worker.login(ada), 401, "invalid_credentials");
  const login = { email: next, password: PASSWORD };
  await worker.throttle({ email: next });
  const known = await worker.post("/login", { json: { ...login, device_token: answer.body.device_token } });
  assert.equal(known.status, 200, known.text);
  const void_ = await worker.post("/login", { json: { ...login, device_token: ada.device_token } });
  assertProblem(void_, 429, "too_many_attempts");
  await worker.forgetFailures();
});

test("in cookie mode, the new session and the new device token are in cookies", async () => {
  const session = await worker.loginByCookie(ada);
  await mails.forget();
  const codes = await asked(session);
  assertProblem(await confirm(session, codes), 403, "csrf_refused");
  const answer = await confirm(session, await asked(session), page(session.cookie));
  assert.equal(answer.status, 200, answer.text);
  assert.doesNotMatch(answer.text, /pcrt_|pcdt_/);
  assert.match(deviceCookieOf(answer), /pcdt_/);
  assert.equal((await worker.post("/refresh", { json: {}, ...page(cookieOf(answer)) })).status, 200);
  assert.equal((await worker.sessionRow(session.session_id)).revoked_reason, "email_changed");
});

test("a request is refused with its reason, and changes nothing", async () => {
  const before = await worker.account(ada);
  assertProblem(await ask(worker.authenticatedAgo(ada, 301)), 401, "step_up_required");
  assertProblem(await ask(ada, { current_password: PASSWORD }), 400, "invalid_request");
  assertProblem(await ask(ada, { new_email: "nobody" }), 422, "invalid_email");
  for (const same of [ada.email, ada.email.toUpperCase()]) {
    const answer = await ask(ada, { new_email: same });
    assertProblem(answer, 400, "invalid_request");
    assert.match(answer.body.detail, /^new_email: /);
  }
  assertProblem(await worker.post("/me/email", { json: { new_email: next } }), 401, "missing_token");
  assertProblem(await confirm(ada, { challenge: "x", code: WRONG }), 400, "invalid_request");
  const both = { challenge: "x", code: WRONG, old_code: WRONG, old_mailbox: "lost" };
  assertProblem(await confirm(ada, both), 400, "invalid_request");
  assertProblem(await confirm(ada, { challenge: "x", code: WRONG, old_mailbox: "found" }), 400, "invalid_request");
  assertProblem(await worker.post("/me/email/confirm", { json: both }), 401, "missing_token");
  assertProblem(await cancel({}), 401, "missing_token");
  assert.deepEqual(await worker.account(ada), before);
  assert.deepEqual(await mails.take(), []);
});

test("without mails, no address can be changed", async () => {
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: null, EMAIL_VERIFICATION: null } });
  try {
    assertProblem(await ask(ada), 403, "mail_off");
  } finally {
    await worker.update();
  }
});

test("wrong passwords of a step-up do not hinder a user who authenticated recently, and are not forgotten", async () => {
  for (let tries = 0; tries < 10; tries += 1) await worker.stepUp({ ...ada, password: "wrong" });
  assertProblem(await worker.stepUp(ada), 429, "too_many_attempts");
  assert.equal((await ask(ada)).status, 202);
  assertProblem(await worker.stepUp(ada), 429, "too_many_attempts");
  await worker.forgetFailures();
});

test("one wrong code is as wrong as two, and five tries are the last", async () => {
  const codes = await asked();
  const wrong = [
    { ...codes, code: WRONG },
    { ...codes, old_code: WRONG },
    { ...codes, code: codes.old_code, old_code: codes.code },
    { ...codes, code: codes.old_code },
    { ...codes, old_code: codes.code },
  ];
  for (const json of wrong) assertProblem(await confirm(ada, json), 400, "invalid_code");
  assertProblem(await confirm(ada, codes), 400, "invalid_code");
  assert.equal((await me(ada)).email, ada.email);
});

test("a spent, an expired, a foreign and an unknown challenge are answered alike", async () => {
  const codes = await asked();
  assertProblem(await confirm(ada, { ...codes, challenge: `${codes.challenge}x` }), 400, "invalid_code");
  const eve = await worker.register();
  assertProblem(await confirm(eve, codes), 400, "invalid_code");
  assertProblem(
    await worker.post("/email/verify", { json: { challenge: codes.challenge, code: codes.code } }),
    400,
    "invalid_code",
  );
  await worker.db.prepare("UPDATE challenges SET expires_at = unixepoch()").run();
  assertProblem(await confirm(ada, codes), 400, "invalid_code");
  const again = await asked();
  const renewed = await confirm(ada, again);
  assert.equal(renewed.status, 200);
  assertProblem(await confirm(renewed.body, again), 400, "invalid_code");
});

test("an ended session, a disabled account and changed credentials change nothing", async () => {
  const codes = await asked();
  const other = (await worker.login(ada)).body;
  await worker.delete(`/sessions/${ada.session_id}`, { bearer: other.access_token });
  assertProblem(await confirm(ada, codes), 401, "invalid_token");
  await worker.disable(ada);
  assertProblem(await confirm(other, codes), 400, "invalid_code");
  await worker.disable(ada, false);
  await worker.setColumn(ada, "credentials_version", 9);
  assertProblem(await confirm(other, codes), 400, "invalid_code");
  assert.equal((await worker.account(ada)).email, ada.email);
});

test("a taken address is answered like a free one, and its owner is told", async () => {
  const eve = await worker.register({ email: `eve-${addresses}@example.org` });
  await mails.forget();
  const free = await ask(ada);
  await mails.forget();
  const taken = await ask(ada, { new_email: eve.email.toUpperCase() });
  assert.equal(taken.status, 202);
  assert.deepEqual(Object.keys(taken.body), Object.keys(free.body));
  assert.equal(taken.text.length, free.text.length);
  const sent = byKind(await mails.take());
  assert.deepEqual(Object.keys(sent).toSorted(), ["account_exists", "change_old"]);
  assert.deepEqual([sent.account_exists.to, sent.account_exists.code], [eve.email, null]);
  const row = await worker.db.prepare("SELECT new_email_key FROM challenges").first();
  assert.equal(row.new_email_key, null, "no code is right");
  await worker.db.prepare("DELETE FROM users WHERE id = ?").bind(eve.user.id).run();
  const codes = { challenge: taken.body.challenge, code: WRONG, old_code: sent.change_old.code };
  assertProblem(await confirm(ada, codes), 400, "invalid_code");
});

test("an address that is taken meanwhile stays with its owner", async () => {
  const codes = await asked();
  const eve = await worker.register({ email: next });
  assertProblem(await confirm(ada, codes), 400, "invalid_code");
  assertProblem(await confirm(ada, { ...codes, old_code: undefined, old_mailbox: "lost" }), 400, "invalid_code");
  assert.equal((await worker.account(ada)).email, ada.email);
  assert.equal((await me(eve)).email, next);
});

test("nobody else gets the former address for 30 days", async () => {
  const renewed = (await confirm(ada, await asked())).body;
  await mails.forget();
  const register = () => worker.post("/register", { json: { email: ada.email, password: PASSWORD } });
  assertProblem(await register(), 409, "email_taken");
  const eve = await worker.register();
  await mails.forget();
  await ask(eve, { new_email: ada.email });
  const sent = byKind(await mails.take());
  assert.deepEqual([Object.keys(sent).toSorted(), sent.account_exists.to], [["account_exists", "change_old"], next]);
  const { expires_at } = await worker.db
    .prepare("SELECT expires_at FROM reserved_emails WHERE email_key = ?")
    .bind(ada.email)
    .first();
  assert.ok(Math.abs(expires_at - Date.now() / 1000 - 30 * DAY) < 60);

  // The user may change back.
  const back = await asked(renewed, { new_email: ada.email });
  assert.equal((await confirm(renewed, back)).status, 200);
  await worker.db.prepare("UPDATE reserved_emails SET expires_at = unixepoch() WHERE email_key = ?").bind(next).run();
  await mails.forget();
  assert.equal((await confirm(eve, await asked(eve, { new_email: next }))).status, 200);
});

test("reservations end with the account, and old ones are cleaned up", async () => {
  const renewed = (await confirm(ada, await asked())).body;
  const count = async () => (await worker.db.prepare("SELECT COUNT(*) AS n FROM reserved_emails").first()).n;
  const all = await count();
  const ended = await worker.delete("/me", { bearer: renewed.access_token });
  assert.equal(ended.status, 204);
  assert.equal(await count(), all - 1);
  await worker.register({ email: ada.email });
  await worker.db.prepare("UPDATE reserved_emails SET expires_at = unixepoch() - 9").run();
  await worker.cleanUp();
  assert.equal(await count(), 0);
});

test("of two changes under way, the first confirmed wins", async () => {
  const first = await asked();
  const second = await asked(ada, { new_email: `other-${next}` });
  const renewed = (await confirm(ada, second)).body;
  assertProblem(await confirm(renewed, first), 400, "invalid_code");
  assert.equal((await me(renewed)).email, `other-${next}`);
});

test("a change at once ends one that waits", async () => {
  await lost();
  const codes = await asked(ada, { new_email: `other-${next}` });
  assert.equal((await confirm(ada, codes)).status, 200);
  assert.equal(await pending(), null);
});

test("a change is confirmed once, however often at once", async () => {
  const codes = await asked();
  await worker.warmUp(5);
  const answers = await Promise.all(Array.from({ length: 5 }, () => confirm(ada, codes)));
  const [first, ...others] = answers.toSorted((a, b) => a.status - b.status);
  assert.equal(first.status, 200);
  // The first one ends the session of the others, too.
  for (const { status, body } of others) assert.ok(["invalid_code", "invalid_token"].includes(body.code), `${status}`);
  assert.equal((await worker.sessionIds(ada)).length, 2);
  assert.equal((await mails.take()).length, 1);
});

test("of two users who confirm one address at once, one gets it", async () => {
  const eve = await worker.register();
  await mails.forget();
  const [own, others] = [await asked(ada), await asked(eve)];
  const answers = await Promise.all([confirm(ada, own), confirm(eve, others)]);
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400]);
});

test("an account is no mail cannon: the user, the mailbox and the source have budgets", async () => {
  const sent = async (user, json, options) => {
    assert.equal((await ask(user, json, options)).status, 202);
    return (await mails.take()).map(({ kind }) => kind).toSorted();
  };
  const two = ["change_new", "change_old"];
  for (let number = 0; number < 3; number += 1)
    assert.deepEqual(await sent(ada, { new_email: `x-${number}-${next}` }, from(`192.0.2.${10 + number}`)), two);
  assert.deepEqual(await sent(ada, { new_email: `x-9-${next}` }, from("192.0.2.20")), [], "the user's budget");
  await mails.forget();
  for (let number = 0; number < 3; number += 1) {
    const user = await worker.register();
    assert.deepEqual(await sent(user, { new_email: next.replace("@", `+${number}@`) }, from(`192.0.2.${number}`)), two);
  }
  assert.deepEqual(await sent(await worker.register(), {}, from("192.0.2.30")), [], "the mailbox's budget");
  await mails.forget();
  for (let number = 0; number < 3; number += 1) {
    const user = await worker.register({ email: `unproved+${number}-${next}` });
    await sent(user, { new_email: `z-${number}-${next}` }, from(`192.0.2.${50 + number}`));
  }
  const unproved = await worker.register({ email: `unproved+3-${next}` });
  assert.deepEqual(
    await sent(unproved, { new_email: `z-3-${next}` }, from("192.0.2.60")),
    [],
    "the old mailbox's budget",
  );
  await mails.forget();
  let count = 0;
  for (let number = 0; number < 12; number += 1) {
    const user = await worker.register();
    await worker.forgetFailures();
    count += (await sent(user, { new_email: `y-${number}-${next}` }, from("192.0.2.40"))).length / 2;
  }
  assert.equal(count, 10, "the source's budget");
});

test("with the old mailbox lost, the address changes after seven days and three notices", async () => {
  await worker.setColumn(ada, "email_verified_at", 1);
  const { challenge, code } = await asked();
  assertProblem(await confirm(ada, { challenge, code: WRONG, old_mailbox: "lost" }), 400, "invalid_code");
  const answer = await confirm(ada, { challenge, code, old_mailbox: "lost" });
  assert.deepEqual([answer.status, answer.text], [202, ""]);
  const first = await mails.only("email_change_pending");
  assert.equal(first.to, ada.email);
  assert.match(first.link, /^http:\/\/localhost:8787\/account\/confirm#token=pcml_[\w-]{64}$/);
  assertProblem(await confirm(ada, { challenge, code, old_mailbox: "lost" }), 400, "invalid_code");
  const row = await pending();
  assert.deepEqual([row.takes_effect_at - row.requested_at, row.next_notice_at - row.requested_at], [7 * DAY, 3 * DAY]);
  assert.deepEqual((await me(ada)).pending_email, { email: next, takes_effect_at: row.takes_effect_at });
  assert.equal((await me(ada)).email, ada.email);
  assert.ok(!("pending_email" in (await worker.login(ada)).body.user));
  await mails.forget();

  await cron();
  assert.deepEqual(await mails.take(), []);
  for (const days of [3, 3]) {
    await age(days * DAY - 60);
    await cron();
    assert.deepEqual(await mails.take(), []);
    await age(60);
    await twoCrons();
    assert.equal((await mails.only("email_change_pending")).link, first.link);
  }
  await age(DAY - 60);
  await cron();
  assert.equal((await me(ada)).email, ada.email);
  const second = (await worker.login(ada)).body;
  await mails.forget();
  await age(60);
  const slot = (await worker.account(ada)).slot;
  await twoCrons();
  await worker.marksWritten();
  const account = await worker.account(ada);
  assert.deepEqual([account.email, account.slot, account.credentials_version], [next, slot, 1]);
  assert.ok(account.email_verified_at > 0);
  for (const session of [ada, second]) await worker.assertEnded(session);
  assert.equal((await mails.only("email_changed")).to, ada.email);
  assert.equal(await pending(), null);
  const login = (await worker.login({ email: next, password: PASSWORD })).body;
  const events = await kinds(login);
  assert.equal(events.filter((kind) => kind === "email_changed").length, 1);
  assertProblem(await worker.post("/register", { json: { email: ada.email, password: PASSWORD } }), 409, "email_taken");
});

test("an address that nobody has proved to have is not kept for whoever registered it", async () => {
  await lost();
  await wait();
  assert.equal((await worker.account(ada)).email, next);
  const { email_verified } = (await worker.register({ email: ada.email })).user;
  assert.equal(email_verified, false, "its owner registers it");
});

test("late notices delay the change", async () => {
  await lost();
  await age(20 * DAY);
  await cron();
  await mails.only("email_change_pending");
  const row = await pending();
  assert.ok(
    row.next_notice_at - Date.now() / 1000 > DAY - 60 && row.takes_effect_at - Date.now() / 1000 > 2 * DAY - 60,
  );
  await cron();
  assert.deepEqual(await mails.take(), []);
  assert.equal((await me(ada)).email, ada.email);
});

test("without mails a change waits, because nobody gets its notices", async () => {
  await lost();
  await age(7 * DAY);
  await worker.db.prepare("UPDATE email_changes SET next_notice_at = takes_effect_at").run();
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: null, EMAIL_VERIFICATION: null } });
  try {
    await cron();
    assert.equal((await worker.account(ada)).email, ada.email);
  } finally {
    await worker.update();
  }
  await cron();
  assert.equal((await worker.account(ada)).email, next);
});

for (const [name, act] of [
  ["changed credentials", () => worker.setColumn(ada, "credentials_version", 9)],
  ["a disabled account", () => worker.disable(ada)],
  ["a new address that is taken", () => worker.register({ email: next })],
]) {
  test(`${name}: the change is dropped when it is due`, async () => {
    await lost();
    await act();
    await wait();
    assert.equal((await worker.account(ada)).email, ada.email);
    assert.equal(await pending(), null);
    await worker.disable(ada, false);
    await mails.forget();
    const [login] = [(await worker.login(ada)).body];
    const { events } = (await worker.get("/me/events", { bearer: login.access_token })).body;
    const dropped = events.find(({ kind }) => kind === "email_change_cancelled");
    assert.equal(dropped?.reason, "outdated", JSON.stringify(events));
    assert.ok(!events.some(({ kind }) => kind === "email_changed"));
  });
}

test("the user cancels a change that waits, and stays signed in", async () => {
  const token = await lost();
  assert.equal((await cancel({}, { bearer: ada.access_token })).status, 204);
  await worker.assertLive(ada);
  assert.equal(await pending(), null);
  assert.equal((await kinds(ada)).filter((kind) => kind === "email_change_cancelled").length, 1);
  assertProblem(await cancel({ token }), 400, "invalid_code");
  // Nothing is pending now, which is what the request asks for.
  assert.equal((await cancel({}, { bearer: ada.access_token })).status, 204);
  assert.equal((await kinds(ada)).filter((kind) => kind === "email_change_cancelled").length, 1);
  await worker.delete("/sessions", { bearer: ada.access_token });
  assertProblem(await cancel({}, { bearer: ada.access_token }), 401, "invalid_token");
});

test("whoever has the old mailbox cancels a change that waits, and every session ends", async () => {
  const token = await lost();
  const shown = await worker.post("/email/link", { json: { token } });
  assert.deepEqual([shown.status, shown.body.purpose, shown.body.email], [200, "change", ada.email]);
  assert.ok(await pending(), "reading a link spends nothing");
  await age(6 * DAY);
  const { credentials_version } = await worker.account(ada);
  assert.equal((await cancel({ token })).status, 204);
  await worker.marksWritten();
  await worker.assertEnded(ada);
  assert.equal(await pending(), null);
  assert.equal((await worker.account(ada)).credentials_version, credentials_version + 1);
  assertProblem(await cancel({ token }), 400, "invalid_code");
  assertProblem(await worker.post("/email/link", { json: { token } }), 400, "invalid_code");
  await wait();
  assert.equal((await worker.account(ada)).email, ada.email);
  const login = (await worker.login(ada)).body;
  const { events } = (await worker.get("/me/events", { bearer: login.access_token })).body;
  assert.equal(events.find(({ kind }) => kind === "email_change_cancelled").reason, "link");
  assert.ok(events.some(({ kind, reason }) => kind === "revoked" && reason === "email_change_cancelled"));
});

test("a link cancels only the change that it tells of", async () => {
  const first = await lost();
  const second = await lost(ada, { new_email: `other-${next}` });
  assertProblem(await cancel({ token: first }), 400, "invalid_code");
  assert.equal((await pending()).new_email, `other-${next}`);
  assert.equal((await cancel({ token: second })).status, 204);
});

test("a notice is not sent once its change is cancelled", async () => {
  await lost();
  await age(3 * DAY);
  const insert =
    "INSERT INTO outbox (id, kind, user_id, email, locale, at, attempts, claimed_until) VALUES (?, 'email_change_pending', ?, ?, 'en', unixepoch(), 0, 0)";
  await worker.db.prepare(insert).bind("AAAAAAAAAAAAAAAAAAAAAA", ada.user.id, ada.email).run();
  await cancel({}, { bearer: ada.access_token });
  await cron();
  assert.deepEqual(await mails.take(), []);
});

test("of a cancellation and a due change at once, one takes effect", async () => {
  const token = await lost();
  await age(7 * DAY);
  await worker.db.prepare("UPDATE email_changes SET next_notice_at = takes_effect_at").run();
  const [answer] = await Promise.all([cancel({ token }), cron()]);
  const { email } = await worker.account(ada);
  assert.deepEqual([answer.status, email], answer.status === 204 ? [204, ada.email] : [400, next]);
});

test("the old mailbox, the new one, an access token, a copy of D1: each alone gains nothing", async () => {
  const codes = await asked();
  const eve = await worker.register();
  // The old mailbox, or the new one, without a session: the codes need a bearer of the account.
  assertProblem(await worker.post("/me/email/confirm", { json: codes }), 401, "missing_token");
  assertProblem(await confirm(eve, codes), 400, "invalid_code");
  // The session and one mailbox.
  for (const json of [
    { old_code: codes.old_code, code: WRONG },
    { code: codes.code, old_code: WRONG },
  ])
    assertProblem(await confirm(ada, { challenge: codes.challenge, ...json }), 400, "invalid_code");
  // An access token whose user authenticated long ago.
  assertProblem(await ask(worker.authenticatedAgo(ada, 301)), 401, "step_up_required");
  // A copy of D1 with another secret computes other codes.
  const token = await lost(ada, { new_email: `other-${next}` });
  await mails.forget();
  const rows = await worker.dump();
  for (const text of [codes.code, codes.old_code, token])
    assert.ok(!JSON.stringify(rows).includes(text.replace("-", "")) && !JSON.stringify(rows).includes(text));
  // The secret without D1: a token over another salt is wrong.
  await worker.db.prepare("UPDATE email_changes SET salt = 'AAAAAAAAAAAAAAAAAAAAAA'").run();
  assertProblem(await cancel({ token }), 400, "invalid_code");
});

test("the costs of a change", async () => {
  await worker.setColumn(ada, "email_verified_at", 1);
  const costs = async (act) => {
    worker.events();
    const { headers } = await act();
    await mails.take();
    const own = worker.events("costs").find(({ request_id }) => request_id === headers.get("x-request-id"));
    return [own.status, own.d1_round_trips, own.d1_rows_written, own.kv_puts];
  };
  let answer;
  // Two rows each for the event, for the budgets of the user, the source and the mailbox, and for both mails; three for the challenge.
  assert.deepEqual(await costs(async () => (answer = await ask(ada))), [202, 2, 15, 0]);
  await mails.forget();
  const codes = await asked();
  // The attempt; the challenge, the event, the mail, the reservation, the challenges, the user; the session that ends with its index entry
  // and its owed mark, and the one that begins.
  const confirmed = async () => {
    const answer = await confirm(ada, codes);
    ada = answer.body;
    return answer;
  };
  assert.deepEqual(await costs(confirmed), [200, 3, 1 + 1 + 2 + 2 + 3 + 1 + 2 + 3 + 2, 1]);
  assert.deepEqual(await costs(() => cancel({}, { bearer: ada.access_token })), [204, 1, 0, 0]);
  await mails.forget();
  const second = await asked(ada, { new_email: `x-${next}` });
  const delayed = { challenge: second.challenge, code: second.code, old_mailbox: "lost" };
  assert.deepEqual(await costs(() => confirm(ada, delayed)), [202, 2, 1 + 1 + 2 + 2 + 2, 0]);
  assert.deepEqual(await costs(() => worker.me(ada.access_token)), [200, 1, 0, 0]);
  assert.deepEqual(await costs(() => cancel({}, { bearer: ada.access_token })), [204, 1, 2 + 1, 0]);
  assert.ok(answer);
});
