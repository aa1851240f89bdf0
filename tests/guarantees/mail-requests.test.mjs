// Requests for mails: nothing tells whether an account has an address, and nobody can cause many mails.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { STOPPED } from "../support/clocks.mjs";
import { assertProblem, from, ipAddress, PASSWORD, startWorker } from "../support/harness.mjs";
import { codeOf, MAIL_VARS, Mails } from "../support/mails.mjs";
import { visible } from "../support/throttles.mjs";

/** The public routes that send a mail, with the lifetime of their codes. */
const ROUTES = [
  ["/password/forgot", "reset", 1_800],
  ["/login/email", "login", 600],
];

let worker;
let mails;
let ada;
let network = 0;
before(async () => {
  worker = await startWorker({ vars: MAIL_VARS, clock: STOPPED });
  mails = new Mails(worker);
});
after(() => worker.close());
beforeEach(async () => {
  ada = await worker.register();
  await mails.forget();
  network += 1;
});

/** An IPv6 address of a network that no other test uses. */
const source = (number) => `2001:db8:${network}:${number}::1`;
const ask = (path, json, ip = source(0), options = {}) =>
  worker.post(path, { json, headers: { ...from(ip).headers, ...options.headers } });

/** The number of mails that requests cause. */
async function sent(...requests) {
  for (const request of requests) assert.equal((await request()).status, 202);
  return (await mails.take()).length;
}

for (const [path, kind, life] of ROUTES) {
  test(`${path}: known and unknown addresses are alike in bytes, headers, round trips and rows`, async () => {
    const disabled = await worker.register();
    await worker.disable(disabled);
    const seen = new Set();
    const costs = new Set();
    const emails = [ada.email, "nobody@example.org", disabled.email, "ädä@büro.example", `${ada.email}.au`];
    for (const [number, email] of emails.entries()) {
      for (const times of [1, 2, 3, 4, 5]) {
        worker.events();
        const answer = await ask(path, { email }, source(number));
        const { challenge } = answer.body;
        assert.match(challenge, /^pcch_[\w-]{43}$/);
        seen.add(visible(answer).replace(challenge, "CHALLENGE"));
        const [{ d1_round_trips, d1_rows_written }] = worker.events("costs").filter(({ status }) => status === 202);
        costs.add(`${times}: ${d1_round_trips} trips, ${d1_rows_written} rows`);
      }
    }
    assert.equal(seen.size, 1, [...seen].join("\n\n"));
    // Two rows for each of three budgets, three for the challenge and two for the mail. A mailbox gets three mails at once.
    assert.deepEqual([...costs].toSorted(), [
      "1: 2 trips, 11 rows",
      "2: 2 trips, 11 rows",
      "3: 2 trips, 11 rows",
      "4: 2 trips, 4 rows",
      "5: 2 trips, 4 rows",
    ]);
    await mails.take();
  });

  test(`${path}: a mailbox gets three mails, then one per life of a code, and ten a day`, async () => {
    const [local, domain] = ada.email.split("@");
    const to = (number) => () => ask(path, { email: number % 2 ? ada.email.toUpperCase() : ada.email }, source(number));
    assert.equal(await sent(...[1, 2, 3, 4, 5].map(to)), 3);
    await worker.advance(life - 1);
    assert.equal(await sent(to(6)), 0);
    await worker.advance(1);
    assert.equal(await sent(to(7), to(8)), 1);
    let more = 0;
    for (let number = 9; number < 30; number += 1) {
      await worker.advance(life);
      more += await sent(to(number));
    }
    assert.equal(more, 6, "ten a day");
    assert.equal(
      await sent(() => ask(path, { email: `${local}+tag@${domain}` }, source(40))),
      0,
      "of the same mailbox",
    );
    await worker.advance(86_400);
    assert.equal(await sent(to(50), to(51), to(52), to(53)), 3);
  });

  test(`${path}: strangers who use up a mailbox's mails do not use up those of a known device`, async () => {
    for (let number = 1; number < 6; number += 1) await ask(path, { email: ada.email }, source(number));
    assert.equal((await mails.take()).length, 3);
    await worker.setColumn(ada, "email_verified_at", 1);
    const { device_token } = ada;
    const own = () => ask(path, { email: ada.email, device_token });
    assert.equal(await sent(own, own, own, own), 3);
    const [other] = [await worker.register()];
    assert.equal(await sent(() => ask(path, { email: ada.email, device_token: other.device_token }, source(9))), 0);
  });

  test(`${path}: a request beyond the limits gets a challenge without a code, and keeps those under way`, async () => {
    const first = await ask(path, { email: ada.email });
    const [{ code }] = await mails.take();
    const others = [];
    for (let number = 0; number < 25; number += 1) others.push(await ask(path, { email: ada.email }, source(number)));
    await mails.take();
    const { n } = await worker.db.prepare("SELECT COUNT(*) AS n FROM challenges").first();
    assert.equal(n, 3, "a challenge is stored only with a mail");
    const redeem = ({ body }) =>
      kind === "reset"
        ? worker.post("/password/reset", {
            json: { challenge: body.challenge, code, new_password: `purple otters ${life}` },
          })
        : worker.post("/login/email/verify", { json: { challenge: body.challenge, code } });
    assertProblem(await redeem(others.at(-1)), 400, "invalid_code");
    assert.equal((await redeem(first)).status, 200);
  });

  test(`${path}: the limit of credentials counts these requests, too`, async () => {
    await worker.limit({ LIMIT_CREDENTIALS: 2 });
    try {
      const ip = source(0);
      assert.equal((await ask(path, { email: ada.email }, ip)).status, 202);
      assert.equal((await ask(path, { email: "nobody@example.org" }, ip)).status, 202);
      assertProblem(await ask(path, { email: ada.email }, ip), 429, "rate_limited");
    } finally {
      await worker.limit({});
    }
  });
}

test("strangers who use up the other mails of a mailbox leave those for a new password", async () => {
  for (let number = 1; number < 6; number += 1) await ask("/login/email", { email: ada.email }, source(number));
  assert.equal((await mails.take()).length, 3);
  assert.equal(await sent(() => ask("/password/forgot", { email: ada.email }, source(6))), 1);
});

test("a mailbox that nobody has proved to have gets no more from devices, users and accounts than from one", async () => {
  const [local, domain] = ada.email.split("@");
  const login = () => worker.post("/login", { json: { email: ada.email, password: PASSWORD } });
  const devices = [ada, (await login()).body, (await login()).body];
  const twin = await worker.register({ email: `${local}+twin@${domain}` });
  await mails.forget();
  const by = devices.flatMap(({ device_token }) => [1, 2].map(() => ({ email: ada.email, device_token })));
  assert.equal(await sent(...by.map((json, number) => () => ask("/login/email", json, source(number)))), 3);
  await mails.forget();
  const verify = (user) => () => worker.post("/email/verify/send", { bearer: user.access_token, json: {} });
  assert.equal(await sent(...[ada, twin, ada, twin, ada].map(verify)), 3);
  await mails.forget();
  await worker.setColumn(ada, "email_verified_at", 1);
  assert.equal(await sent(...[twin, twin, twin, ada].map(verify)), 4, "a proved one has a budget of its own");
});

test("a source causes ten mails an hour, and an IPv6 network of 48 bits a hundred", async () => {
  const users = await worker.insertUsers(130);
  const to = (number, ip) => () => ask("/password/forgot", { email: users[number].email }, ip);
  const range = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);
  assert.equal(await sent(...range(0, 12).map((number) => to(number, source(1)))), 10);
  const v4 = ipAddress(network);
  assert.equal(await sent(...range(0, 12).map((number) => to(number, v4))), 10);
  await mails.forget();
  const spread = range(0, 120).map((number) => to(number, source(100 + Math.floor(number / 8))));
  assert.equal(await sent(...spread), 100);
  await worker.advance(3_600);
  assert.equal(await sent(to(121, source(1))), 1);
});

test("twenty codes of an address are live at most, three of them from one source", async () => {
  const insert = `INSERT INTO challenges (id, purpose, email_key, salt, source, tries, created_at, expires_at, locale)
    SELECT 'filler-' || value, 'login', ?1, '', ?2, 0, 0, ?3, 'en' FROM json_each(?4)`;
  const fill = (count, source, expires) =>
    worker.db
      .prepare(insert)
      .bind(ada.email, source, expires, JSON.stringify(Array.from({ length: count }, (_, i) => `${source}${i}`)))
      .run();
  const late = 4_000_000_000;
  await fill(20, "expired", 1);
  await fill(19, "others", late);
  assert.equal(await sent(() => ask("/login/email", { email: ada.email })), 1);
  assert.equal(await sent(() => ask("/login/email", { email: ada.email }, source(2))), 0);
  await worker.db.prepare("UPDATE challenges SET spent_by = 'x' WHERE id = 'filler-others0'").run();
  assert.equal(await sent(() => ask("/login/email", { email: ada.email }, source(3))), 1);
});

test("sending a challenge's mail again is limited like the first time, and alike for unknown addresses", async () => {
  const costs = [];
  for (const [number, email] of [ada.email, "nobody@example.org"].entries()) {
    const { challenge } = (await ask("/login/email", { email }, source(number))).body;
    worker.events();
    const counts = [];
    for (let times = 0; times < 4; times += 1) {
      const answer = await ask("/login/email", { challenge }, source(number));
      assert.deepEqual([answer.status, answer.body.challenge], [202, challenge]);
    }
    for (const { d1_round_trips, d1_rows_written } of worker.events("costs").filter(({ status }) => status === 202))
      counts.push([d1_round_trips, d1_rows_written]);
    costs.push(counts);
  }
  assert.deepEqual(costs[0], costs[1]);
  await mails.take();
  const sent = "SELECT count FROM audit_events WHERE user_id = ? AND kind = 'mail_sent'";
  assert.equal((await worker.db.prepare(sent).bind(ada.user.id).first()).count, 3);
});

test("the token secret without D1 yields no code, nor does D1 without the secret", async () => {
  const { challenge } = (await ask("/login/email", { email: ada.email })).body;
  const { code, token } = await mails.only("login");
  const row = await worker.db.prepare("SELECT * FROM challenges").first();
  const { TOKEN_SECRET } = worker.secrets;
  assert.equal(codeOf(row, TOKEN_SECRET), code, "both together yield it");
  assert.notEqual(codeOf({ ...row, salt: "A".repeat(22) }, TOKEN_SECRET), code);
  assert.notEqual(codeOf(row, "A".repeat(43)), code);
  const stored = JSON.stringify(await worker.dump());
  for (const secretText of [code, code.replace("-", ""), token, challenge]) assert.ok(!stored.includes(secretText));
});

test("redeeming a code has the documented cost", async () => {
  const users = [ada, await worker.register(), await worker.register(), await worker.register()];
  await worker.setColumn(users[1], "email_verified_at", 1);
  const costs = {};
  const measure = async (name, user, path, ask, redeem) => {
    const { body } = await worker.post(path, ask);
    const row = await worker.db.prepare("SELECT * FROM challenges WHERE user_id = ?").bind(user.user.id).first();
    worker.events();
    const json = { challenge: body.challenge, code: codeOf(row, worker.secrets.TOKEN_SECRET) };
    const answer = await redeem(json);
    assert.ok(answer.status < 300, answer.text);
    const [{ d1_round_trips, d1_rows_written, d1_rows_read }] = worker
      .events("costs")
      .filter(({ status }) => status === answer.status);
    costs[name] = [d1_round_trips, d1_rows_written];
    assert.ok(d1_rows_read <= 35, `${name}: ${d1_rows_read} rows read`);
  };
  const [first, second, third, fourth] = users;
  const byMail = (json) => worker.post("/login/email/verify", { json });
  await measure("verify", fourth, "/email/verify/send", { json: {}, bearer: fourth.access_token }, (json) =>
    worker.post("/email/verify", { json }),
  );
  await measure("reset", first, "/password/forgot", { json: { email: first.email } }, (json) =>
    worker.post("/password/reset", { json: { ...json, new_password: "purple otters juggle lanterns" } }),
  );
  // From a known device, of which no mail tells.
  const known = (json) => byMail({ ...json, device_token: second.device_token });
  await measure("login", second, "/login/email", { json: { email: second.email } }, known);
  await measure("login, first proof", third, "/login/email", { json: { email: third.email } }, byMail);
  assert.deepEqual(costs, {
    verify: [2, 5],
    reset: [2, 10],
    login: [2, 4],
    "login, first proof": [2, 10],
  });
});
