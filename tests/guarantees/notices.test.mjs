// Notices: what users are told by mail about their account, how often, and that they cost nothing where nobody is told.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { assertProblem, deviceCookieOf, PASSWORD, page, startWorker } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";

const NEW = "purple otters juggle lanterns";
const DAY = 86_400;

let worker;
let mails;
let ada;
before(async () => {
  worker = await startWorker({ vars: { ...MAIL_VARS, COOKIE_MODE: "refresh", MAX_SESSIONS_PER_USER: "2" } });
  mails = new Mails(worker);
});
after(() => worker.close());
beforeEach(async () => {
  await worker.forgetFailures();
  ada = await worker.register();
  await mails.forget();
});

const kinds = async () => (await mails.take()).map(({ kind, to }) => [kind, to]);
const known = (user = ada) =>
  worker.post("/login", { json: { email: user.email, password: PASSWORD, device_token: user.device_token } });
/** The costs of the request with a response. Leaves the log as it is, because it has the mails. */
const costsOf = ({ headers }) => {
  const request = headers.get("x-request-id");
  const lines = worker.runtime.log.lines.filter((line) => line.includes('"event":"costs"') && line.includes(request));
  // What is done after the response has a line without a status.
  const own = lines.map((line) => JSON.parse(line)).find(({ status }) => status !== undefined);
  const { status, d1_round_trips, d1_rows_written, d1_rows_read, kv_gets, kv_puts } = own;
  return { status, d1_round_trips, d1_rows_written, d1_rows_read, kv_gets, kv_puts };
};
/** Lets the budgets of notices begin that many seconds earlier. */
const ageBudgets = (seconds) =>
  worker.db.prepare("UPDATE mail_budgets SET resets_at = resets_at - ?").bind(seconds).run();

test("a change of the password is told", async () => {
  const json = { current_password: PASSWORD, new_password: NEW };
  assertProblem(
    await worker.post("/me/password", { bearer: ada.access_token, json: { ...json, current_password: "wrong" } }),
    403,
    "wrong_password",
  );
  assert.deepEqual(await kinds(), []);
  assert.equal((await worker.post("/me/password", { bearer: ada.access_token, json })).status, 200);
  assert.deepEqual(await kinds(), [["password_changed", ada.email]]);
});

test("a mailbox that nobody has proved to have gets three notices at once, of all accounts with it", async () => {
  const change = async (user, password, next) => {
    const json = { current_password: password, new_password: next };
    const answer = await worker.post("/me/password", { bearer: user.access_token, json });
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  };
  const twice = async (user) => change(await change(user, PASSWORD, NEW), NEW, PASSWORD);
  const [local, domain] = ada.email.split("@");
  const twin = await worker.register({ email: `${local}+twin@${domain}` });
  for (const user of [ada, twin]) await twice(user);
  assert.equal((await kinds()).length, 3);
  await mails.forget();
  await worker.setColumn(ada, "email_verified_at", 1);
  const changed = await twice((await worker.login(ada)).body);
  await twice(changed);
  assert.equal((await kinds()).filter(([kind]) => kind === "password_changed").length, 4, "a proved one gets all");
});

test("the first login from a new device is told, once a day; not the registration, nor a known device", async () => {
  const newcomer = await worker.register();
  assert.deepEqual(await kinds(), []);
  assert.equal((await known(newcomer)).status, 200);
  assert.deepEqual(await kinds(), []);
  const first = await worker.login(ada);
  assert.equal(first.status, 200);
  assert.deepEqual(await kinds(), [["new_device", ada.email]]);
  await worker.login(ada);
  assert.deepEqual(await kinds(), [], "once a day");
  await worker.login(newcomer);
  assert.deepEqual(await kinds(), [["new_device", newcomer.email]], "per account");
  await ageBudgets(DAY - 60);
  await worker.login(ada);
  assert.deepEqual(await kinds(), []);
  await ageBudgets(60);
  await worker.login(ada);
  assert.deepEqual(await kinds(), [["new_device", ada.email]]);
  // A token of another account, or of older credentials, makes no device known.
  await ageBudgets(DAY);
  await known({ ...ada, device_token: newcomer.device_token });
  assert.deepEqual(await kinds(), [["new_device", ada.email]]);
});

test("a browser is known by its cookie", async () => {
  const { answer } = await worker.loginByCookie(ada);
  await mails.forget();
  const json = { email: ada.email, password: PASSWORD, transport: "cookie" };
  assert.equal((await worker.post("/login", { json, ...page(deviceCookieOf(answer)) })).status, 200);
  assert.deepEqual(await kinds(), []);
});

test("a login by mail from a new device is told; not the first proof of the mailbox, nor a known device", async () => {
  const byMail = async (details) => {
    const { body } = await worker.post("/login/email", { json: { email: ada.email } });
    const { code } = await mails.only("login");
    const answer = await worker.post("/login/email/verify", { json: { challenge: body.challenge, code, ...details } });
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  };
  const { device_token } = await byMail();
  assert.deepEqual(await kinds(), []);
  await byMail({ device_token });
  assert.deepEqual(await kinds(), []);
  await byMail();
  assert.deepEqual(await kinds(), [["new_device", ada.email]]);
});

test("reuse of a refresh token is told, at most once an hour", async () => {
  const reuse = async () => {
    const session = (await known()).body;
    await worker.refresh(session.refresh_token);
    await worker.age(60, session.session_id);
    assertProblem(await worker.refresh(session.refresh_token), 401, "invalid_refresh_token");
    return session;
  };
  const session = await reuse();
  assert.deepEqual(await kinds(), [["reuse_detected", ada.email]]);
  await worker.refresh(session.refresh_token);
  await reuse();
  assert.deepEqual(await kinds(), []);
  await ageBudgets(3_600);
  await reuse();
  assert.deepEqual(await kinds(), [["reuse_detected", ada.email]]);
});

test("a wait of a name is told to its owner, at most once an hour; failures of the user are not", async () => {
  const fail = () => worker.login({ email: ada.email, password: "wrong" });
  for (let tries = 0; tries < 4; tries += 1) assertProblem(await fail(), 401, "invalid_credentials");
  assert.deepEqual(await kinds(), []);
  assertProblem(await fail(), 401, "invalid_credentials");
  assert.deepEqual(await kinds(), [["throttled", ada.email]]);
  assertProblem(await fail(), 429, "too_many_attempts");
  await worker.db.prepare("UPDATE throttles SET until = 0").run();
  await fail();
  assertProblem(await fail(), 429, "too_many_attempts");
  assert.deepEqual(await kinds(), [], "once an hour");
  await ageBudgets(3_600);
  await worker.db.prepare("UPDATE throttles SET until = 0").run();
  await fail();
  assert.deepEqual(await kinds(), [["throttled", ada.email]]);
  await worker.forgetFailures();
  await mails.forget();
  const json = { current_password: "wrong", new_password: NEW };
  for (let tries = 0; tries < 12; tries += 1) await worker.post("/me/password", { bearer: ada.access_token, json });
  assert.deepEqual(await kinds(), []);
});

test("failed logins of an unknown, a disabled and a known name are alike, also when a wait begins", async () => {
  const disabled = await worker.register();
  await worker.disable(disabled);
  const seen = {};
  for (const email of [ada.email, disabled.email, "nobody-at-all@example.org"]) {
    seen[email] = [];
    for (let tries = 0; tries < 7; tries += 1) {
      const answer = await worker.login({ email, password: "wrong" });
      const headers = Object.fromEntries(answer.headers);
      for (const name of ["x-request-id", "date", "retry-after"]) delete headers[name];
      const { d1_rows_read, ...costs } = costsOf(answer);
      assert.ok(d1_rows_read <= 20, `${d1_rows_read} rows read`);
      const body = answer.text.replace(/"request_id":"[^"]+"/, "");
      seen[email].push({ headers, body, length: answer.text.length, costs });
    }
    // The rows are gone, whether a mail was sent or not.
    const sent = await kinds();
    assert.deepEqual(sent, email === ada.email ? [["throttled", ada.email]] : []);
    assert.equal((await worker.db.prepare("SELECT COUNT(*) AS n FROM outbox").first()).n, 0);
  }
  const [own, ...others] = Object.values(seen);
  for (const other of others) assert.deepEqual(other, own);
  const rows = own.map(({ costs }) => costs.d1_rows_written);
  // The first failure of an hour writes an index entry; the fifth begins a wait, whose notice writes four rows.
  assert.deepEqual(rows, [3, 2, 2, 2, 8, 0, 0]);
});

test("evictions are told once they are many", async () => {
  const newest = () => known();
  for (let logins = 0; logins < 10; logins += 1) await newest();
  await worker.marksWritten();
  assert.deepEqual(await kinds(), []);
  for (let logins = 0; logins < 4; logins += 1) await newest();
  await waitFor(
    async () =>
      (
        await worker.db
          .prepare("SELECT SUM(count) AS n FROM audit_events WHERE kind = 'sessions_evicted' AND user_id = ?")
          .bind(ada.user.id)
          .first()
      ).n >= 12,
  );
  assert.deepEqual(await kinds(), [["evicted", ada.email]]);
});

async function waitFor(condition) {
  for (let tries = 0; !(await condition()); tries += 1) {
    assert.ok(tries < 300, "the condition does not become true");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The costs of a login from a known device, a refresh and a failed login of a new user. */
async function usualCosts() {
  const user = await worker.register();
  const session = (await known(user)).body;
  const measured = [];
  for (const act of [
    () => worker.refresh(session.refresh_token),
    // Ends the oldest session, because the account has the maximum.
    () => known(user),
    () => worker.login({ email: user.email, password: "wrong" }),
  ]) {
    const { d1_rows_read, ...costs } = costsOf(await act());
    assert.ok(d1_rows_read <= 20, `${d1_rows_read} rows read`);
    measured.push(costs);
  }
  return measured;
}

test("a login from a known device, a refresh and a failed login cost the same with mails as without", async () => {
  const withMails = await usualCosts();
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: null, EMAIL_VERIFICATION: null } });
  try {
    assert.deepEqual(withMails, await usualCosts());
  } finally {
    await worker.update();
  }
});

test("a login from a new device writes four rows more, in the same round trips", async () => {
  const costs = async (act) => {
    return costsOf(await act());
  };
  const [known_, unknown] = [await costs(() => known()), await costs(() => worker.login(ada))];
  assert.equal(unknown.d1_round_trips, known_.d1_round_trips);
  // The session, a session beyond the maximum, the notice and its budget.
  assert.deepEqual([known_.d1_rows_written, unknown.d1_rows_written], [2, 2 + 3 + 4]);
  await mails.take();
});

test("without MAIL, nobody is told anything", async () => {
  await worker.update({ vars: { MAIL: null, EMAIL_LOGIN: null, EMAIL_VERIFICATION: null } });
  try {
    await worker.login(ada);
    for (let tries = 0; tries < 6; tries += 1) await worker.login({ email: ada.email, password: "wrong" });
    const { n } = await worker.db
      .prepare("SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM mail_budgets) AS n")
      .first();
    assert.equal(n, 0);
  } finally {
    await worker.update();
  }
});
