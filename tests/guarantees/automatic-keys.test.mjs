// Signing keys that rotate themselves (KEY_ROTATION = "automatic"). The clocks of the test and of the Worker stand still between calls of
// `advance`, and that of the Worker is ahead by less than a second. Two isolates work on one storage: an isolate is one instance of the Worker, and the requests go to one of them.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { createRemoteJWKSet, customFetch, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";

import { dataSecretId, makeKey, makeSecret } from "../../packages/portcullis/src/secrets.mjs";
import { STOPPED } from "../support/clocks.mjs";
import { decrypted } from "../support/data.mjs";
import { assertProblem, ISSUER, keySet, startWorker } from "../support/harness.mjs";
import { signToken } from "../support/tokens.mjs";

const [HOUR, DAY] = [3600, 86_400];
/** As in crates/core/src/token/rotation.rs. */
const [PERIOD, AHEAD, LEAD] = [30 * DAY, 7 * DAY, 3 * HOUR];
const ON = { vars: { KEY_ROTATION: "automatic" } };
const CRON = "17 * * * *";

const now = Date.now;
/** The time that is shown, in milliseconds. */
let shown;
const seconds = () => Math.floor(Date.now() / 1000);
async function advance(time) {
  shown += 1000 * time;
  await worker.advance(time);
}

let worker, base;
before(async () => {
  worker = await startWorker({ clock: STOPPED });
  shown = 1000 * decodeJwt((await worker.register()).access_token).iat;
  Date.now = () => shown;
  [base] = JSON.parse(worker.secrets.SIGNING_KEYS).keys;
});
after(() => {
  Date.now = now;
  return worker.close();
});
beforeEach(async () => {
  await worker.db.prepare("DELETE FROM signing_keys").run();
  await worker.kv.delete("signing-keys");
  // To the middle of a period, where no next key is made yet.
  await advance(PERIOD - (seconds() % PERIOD) + 10 * DAY);
});

const run = (plan) => worker.schedule(CRON, plan);
const rows = async () => (await worker.db.prepare("SELECT * FROM signing_keys ORDER BY period").all()).results;
const kept = async () => JSON.parse(await worker.kv.get("signing-keys"));
const kidOf = ({ access_token }) => decodeProtectedHeader(access_token).kid;
const jwks = () => worker.get("/.well-known/jwks.json");
const published = async () => (await jwks()).body.keys.map(({ kid }) => kid);
const keyReads = () => worker.events("costs").filter(({ route }) => route === "Keys");

/** Associated data as documented, for Node's crypto. */
function place({ period, kid, algorithm, created_at, activates_at, retires_at, expires_at }) {
  const numbers = [period, created_at, activates_at, retires_at, expires_at].map((number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(number));
    return bytes;
  });
  const texts = [kid, algorithm].flatMap((text) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return [length, Buffer.from(text)];
  });
  return { table: "signing_keys", column: "private_key", row: Buffer.concat([...numbers, ...texts]) };
}

/** The private JWK of a row. */
const opened = (row) => ({
  ...JSON.parse(decrypted(row.private_key, worker.secrets.DATA_SECRETS, place(row)).toString()),
  alg: row.algorithm,
  kid: row.kid,
});

/** Lets the scheduled event make a key, and time pass until it signs. Continues as an isolate that knows nothing. */
async function withActiveKey() {
  await worker.update(ON);
  await run();
  await advance(LEAD);
  await run();
  const isolate = await worker.update(ON);
  worker.events();
  return { row: (await rows())[0], isolate };
}

/** Makes one request in which storage calls fail. Returns the answer and the calls. */
async function during(plan, act) {
  const watched = worker.plan(plan);
  const answer = await act({ headers: watched.headers });
  return { answer, calls: await watched.untilEnded() };
}

/** A token of a session, signed now by a key. */
const tokenOf = (key, session, lifetime = 600) => {
  const iat = seconds();
  return signToken(key, { ...decodeJwt(session.access_token), iat, exp: iat + lifetime });
};

test("five rotations: clients with caches verify every token at two isolates, and no session ends", async () => {
  const vars = { ...ON.vars, REFRESH_IDLE_TTL_SECONDS: "31536000", SESSION_TTL_SECONDS: "31536000" };
  const isolates = [await worker.update({ vars }), await worker.update({ vars })];
  let turn = 0;
  const other = () => {
    turn = 1 - turn;
    return worker.resume(isolates[turn]);
  };
  await other();

  /** What an HTTP cache has, for as long as Cache-Control says. */
  let cached;
  const fetched = async () => {
    if (cached === undefined || Date.now() >= cached.until) {
      await other();
      const { text, headers } = await jwks();
      const [, maxAge] = headers.get("cache-control").match(/^public, max-age=(\d+)$/);
      cached = { text, until: Date.now() + 1000 * maxAge };
    }
    return new Response(cached.text, { headers: { "Content-Type": "application/json" } });
  };
  /** A server that reads the keys again after that many seconds, and never because of an unknown key. */
  const client = (seconds) => {
    const options = { cacheMaxAge: 1000 * seconds, cooldownDuration: 3_600_000_000, [customFetch]: fetched };
    const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", worker.url), options);
    const state = { failures: new Set(), verified: 0 };
    state.verify = async (token) => {
      try {
        const expected = { issuer: ISSUER, audience: "https://api.example.org", typ: "at+jwt" };
        await jwtVerify(token, keys, { ...expected, clockTolerance: 2, currentDate: new Date(Date.now()) });
        state.verified += 1;
      } catch (error) {
        state.failures.add(error.code ?? String(error));
      }
    };
    return state;
  };
  const clients = Array.from({ length: 5 }, () => client(600));
  // The control: for longer than a key is published before it signs.
  const late = client(20 * DAY);

  const user = await worker.register();
  let { refresh_token, access_token } = user;
  let issued = 0;
  const signers = [];
  const tokens = [];
  let lastRun = 0;
  /** The scheduled event, every hour at most, a refresh, and everybody who verifies. */
  async function live(span, step) {
    for (const end = seconds() + span; seconds() < end; await advance(Math.min(step, Math.max(1, end - seconds())))) {
      await other();
      if (seconds() >= lastRun + HOUR) {
        lastRun = seconds();
        await run();
      }
      await other();
      const refreshed = await worker.post("/refresh", { json: { refresh_token, access_token } });
      assert.equal(refreshed.status, 200, refreshed.text);
      ({ refresh_token, access_token } = refreshed.body);
      issued += 1;
      tokens.push(access_token);
      const kid = kidOf({ access_token });
      if (signers.at(-1) !== kid) signers.push(kid);
      const oldest = tokens.find((token) => decodeJwt(token).exp > seconds() + 10);
      await other();
      assert.equal((await worker.verify(access_token)).status, 200);
      assert.equal((await worker.me(oldest)).status, 200);
      for (const token of [access_token, oldest]) {
        await Promise.all([...clients, late].map(({ verify }) => verify(token)));
      }
    }
  }

  await live(HOUR, 600);
  await live(LEAD - HOUR, HOUR);
  for (let rotation = 0; rotation < 5; rotation += 1) {
    // In large steps until shortly before the end of the period, and in small ones from there on.
    await live(PERIOD - (seconds() % PERIOD) - 1500, 3 * DAY);
    await live(PERIOD - (seconds() % PERIOD) + 1500, 500);
    assert.equal((await published()).includes(signers.at(-1)), true);
  }

  await run();
  assert.equal(signers.length, 7, "the configured key, that of the first period, and five more");
  assert.equal(signers[0], base.kid);
  assert.equal(new Set(signers).size, 7);
  for (const { failures, verified } of clients) assert.deepEqual([[...failures], verified], [[], 2 * issued]);
  assert.deepEqual([...late.failures], ["ERR_JWKS_NO_MATCHING_KEY"]);
  const all = await rows();
  assert.deepEqual(
    all.map(({ kid }) => kid),
    signers.slice(1),
    "kept for a year, as long as a client may be away",
  );
  for (const [index, row] of all.entries()) {
    assert.equal(row.retires_at, (row.period + 1) * PERIOD);
    if (index > 0) {
      assert.deepEqual([row.period, row.activates_at], [all[index - 1].period + 1, all[index - 1].retires_at]);
      assert.ok(row.activates_at - row.created_at >= AHEAD - 3 * DAY && row.activates_at - row.created_at <= AHEAD);
    }
  }
  const log = worker.events();
  const kids = (kind) => log.filter(({ event }) => event === kind).map(({ kid }) => kid);
  assert.deepEqual(kids("key_created"), signers.slice(1));
  assert.deepEqual(kids("key_activated"), signers);
  // The keys that have retired: a token that one signs now is refused. The last one retired a moment ago.
  for (const row of all.slice(0, -2)) assertProblem(await worker.me(tokenOf(opened(row), user)), 401, "invalid_token");
  assert.equal((await worker.me(tokenOf(opened(all.at(-2)), user))).status, 200);
});

test("a key is stored encrypted, with all that its row says as associated data", async () => {
  const { row } = await withActiveKey();
  const jwk = opened(row);
  assert.deepEqual([jwk.kty, jwk.crv, row.algorithm], ["EC", "P-256", "ES256"]);
  const session = await worker.register();
  assert.equal(kidOf(session), row.kid);
  assert.equal((await worker.me(tokenOf(jwk, session))).status, 200);
  const everything = JSON.stringify([await worker.dump(), await worker.kv.get("signing-keys"), worker.logged()]);
  const secret = Buffer.from(jwk.d, "base64url");
  for (const encoding of ["base64url", "base64", "hex"]) assert.ok(!everything.includes(secret.toString(encoding)));
  assert.deepEqual((await jwks()).body.keys.at(-1), {
    kty: "EC",
    crv: "P-256",
    x: jwk.x,
    y: jwk.y,
    use: "sig",
    alg: "ES256",
    kid: row.kid,
  });
});

test("of two scheduled events at once, the first makes the key, and both use it", async () => {
  const [first, second] = [await worker.update(ON), await worker.update(ON)];
  await worker.resume(first);
  const { writes } = await counted();
  const plan = worker.plan({ only: "batch", at: writes, does: "hold" });
  const slow = run(plan);
  assert.ok(await plan.untilHeld(), "it has made a key and not stored it yet");
  await worker.resume(second);
  await run();
  const [winner, ...more] = await rows();
  assert.deepEqual(more, []);
  plan.release();
  await slow;
  assert.deepEqual(await rows(), [winner]);
  assert.deepEqual((await kept()).keys, [winner]);
  assert.equal(worker.events("key_created").length, 1);
  await advance(LEAD);
  for (const isolate of [first, second]) {
    await worker.resume(isolate);
    assert.deepEqual(await published(), [base.kid, winner.kid]);
    assert.equal(kidOf(await worker.register()), winner.kid);
  }
});

/** The number of the batch with which the scheduled event stores a new key. Later runs of a day clean up less. */
async function counted() {
  let calls;
  for (let times = 0; times < 2; times += 1) {
    calls = await (await run()).untilEnded();
    await worker.db.prepare("DELETE FROM signing_keys").run();
    await worker.kv.delete("signing-keys");
  }
  worker.events();
  return { writes: calls.filter(({ kind }) => kind === "batch").length };
}

test("a row that somebody changed is not used, is logged once, and stops no other key", async () => {
  const { row } = await withActiveKey();
  const session = await worker.register();
  const other = { ...row, kid: makeKey("ES256").kid, period: row.period + 1 };
  const changes = [
    { kid: other.kid },
    { algorithm: "EdDSA" },
    { created_at: row.created_at + 1 },
    { activates_at: row.activates_at - 1 },
    { retires_at: row.retires_at + PERIOD },
    { expires_at: row.expires_at + 1 },
    { private_key: `${row.private_key.slice(0, -1)}${row.private_key.endsWith("A") ? "B" : "A"}` },
    { private_key: "" },
  ];
  const write = async (changed) => {
    await worker.db.prepare("DELETE FROM signing_keys").run();
    for (const { period, kid, algorithm, created_at, activates_at, retires_at, expires_at, private_key } of changed) {
      await worker.db
        .prepare("INSERT INTO signing_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(period, kid, algorithm, created_at, activates_at, retires_at, expires_at, private_key)
        .run();
    }
    await worker.kv.delete("signing-keys");
  };
  for (const change of changes) {
    const name = JSON.stringify(change);
    await write([{ ...row, ...change }]);
    await worker.update(ON);
    worker.events();
    assertProblem(await worker.verify(session.access_token), 401, "invalid_token");
    assert.deepEqual(await published(), [base.kid], name);
    assert.equal(kidOf((await worker.login(session)).body), base.kid, name);
    await advance(600);
    await jwks();
    const refused = worker.events("key_refused");
    assert.deepEqual(
      refused.map(({ level, period, kid }) => [level, period, kid]),
      [["error", row.period, change.kid ?? row.kid]],
      name,
    );
    // The scheduled event does not copy it to KV, where no key brings it back.
    await run();
    assert.deepEqual((await kept()).keys, [], name);
  }
  // The text of another row, and another period.
  await write([row, other]);
  await worker.update(ON);
  worker.events();
  assert.deepEqual(await published(), [base.kid, row.kid]);
  assert.equal(worker.events("key_refused").length, 1);
  await write([{ ...row, period: row.period + 1 }]);
  await worker.update(ON);
  assert.deepEqual(await published(), [base.kid]);
  // What is no time.
  for (const created_at of [-1, "9223372036854775807"]) {
    await write([row, { ...other, created_at }]);
    await worker.update(ON);
    assert.deepEqual(await published(), [base.kid, row.kid], String(created_at));
    await run();
    assert.equal((await kept()).keys.length, 1);
  }
  assert.deepEqual(worker.events("storage_fault"), []);
});

test("an old row that is written again signs nothing, and nobody accepts its tokens", async () => {
  const { row } = await withActiveKey();
  const session = await worker.register();
  const key = opened(row);
  await advance(row.expires_at - seconds());
  await worker.db.prepare("DELETE FROM signing_keys WHERE period > ?").bind(row.period).run();
  await worker.update(ON);
  assert.equal(kidOf((await worker.login(session)).body), base.kid);
  assert.deepEqual(await published(), [base.kid]);
  assertProblem(await worker.verify(tokenOf(key, session)), 401, "invalid_token");
});

test("a cold start reads KV only; an outage of D1 or of KV stops nobody", async () => {
  const { row } = await withActiveKey();
  const session = await worker.register();
  assert.equal(kidOf(session), row.kid);
  const verify = (options) => worker.verify(session.access_token, options);
  const cold = () => worker.update(ON);

  await cold();
  const usual = await during({}, verify);
  assert.equal(usual.answer.status, 200);
  assert.deepEqual(
    usual.calls.map(({ kind, key }) => [kind, key]),
    [
      ["get", "signing-keys"],
      ["get", `revoked:${session.session_id}`],
    ],
  );
  // D1 does not answer, and the list in KV is old, too.
  for (const passed of [0, 3 * HOUR]) {
    await advance(passed);
    await cold();
    const token = tokenOf(opened(row), session);
    const plan = { only: "batch", at: "each", does: "fail" };
    const { answer, calls } = await during(plan, (options) => worker.verify(token, options));
    assert.equal(answer.status, 200);
    assert.equal(calls.filter(({ kind }) => kind === "batch").length, passed === 0 ? 0 : 1);
    assert.equal(worker.events("storage_fault").length, passed === 0 ? 0 : 1);
    assert.deepEqual(await published(), [base.kid, row.kid]);
  }
  await run();
  // KV does not answer. /verify needs it for marks, and the others do not.
  const { access_token } = (await worker.login(session)).body;
  for (const act of [
    (options) => worker.me(access_token, options),
    (options) => worker.get("/.well-known/jwks.json", options),
    (options) => worker.login(session, options),
  ]) {
    await cold();
    const { answer } = await during({ only: "get", at: "each", does: "fail" }, act);
    assert.equal(answer.status, 200);
    if (answer.body.access_token) assert.equal(kidOf(answer.body), row.kid);
  }
  // Neither answers: what is unknown is not judged, and keys that would be incomplete are not published.
  await cold();
  const fail = { at: "each", does: "fail" };
  const unknown = await during(fail, (options) => worker.verify(access_token, options));
  assertProblem(unknown.answer, 503, "storage_unavailable");
  assertProblem(await worker.verify(access_token), 503, "storage_unavailable");
  await cold();
  const { answer } = await during(fail, (options) => worker.get("/.well-known/jwks.json", options));
  assertProblem(answer, 503, "storage_unavailable");
  assertProblem(await jwks(), 503, "storage_unavailable");
  // Only the keys cannot be read: those of SIGNING_KEYS verify and sign.
  await cold();
  await worker.kv.delete("signing-keys");
  await worker.without("signing_keys", async () => {
    const own = tokenOf(base, session);
    assert.equal((await worker.verify(own)).status, 200);
    assert.equal((await worker.me(own)).status, 200);
    assert.equal(kidOf((await worker.login(session)).body), base.kid);
  });
  await advance(10);
  assert.equal((await worker.me(access_token)).status, 200, "and it recovers");
});

test("no request reads keys while the copy is new; then one does so after its reply", async () => {
  const { row } = await withActiveKey();
  const session = await worker.register();
  assert.equal(keyReads().length, 1, "the cold start");
  const costs = async (act) => {
    worker.events();
    const { status } = await act();
    const [{ d1_round_trips, d1_rows_written, kv_gets, kv_puts }, ...more] = worker.events("costs");
    assert.deepEqual(more, []);
    return [status, d1_round_trips, d1_rows_written, kv_gets, kv_puts];
  };
  let { refresh_token } = session;
  const operations = [
    [() => worker.login(session), [200, 2, 2, 0, 0]],
    [() => worker.verify(session.access_token), [200, 0, 0, 1, 0]],
    [() => worker.me(session.access_token), [200, 1, 0, 0, 0]],
    [jwks, [200, 0, 0, 0, 0]],
    [() => worker.get("/.well-known/oauth-authorization-server"), [200, 0, 0, 0, 0]],
    [
      async () => {
        const answer = await worker.refresh(refresh_token);
        ({ refresh_token } = answer.body);
        return answer;
      },
      [200, 1, 1, 0, 0],
    ],
  ];
  await worker.login(session);
  for (const [act, expected] of operations) assert.deepEqual(await costs(act), expected, String(act));

  const read = [["get", "signing-keys", true]];
  const reads = ({ calls }) =>
    calls.filter(({ key }) => key === "signing-keys").map(({ kind, key, afterResponse }) => [kind, key, afterResponse]);
  await advance(300);
  for (const expected of [read, []]) {
    const done = await during({}, (options) => worker.verify(session.access_token, options));
    assert.deepEqual(reads(done), expected);
  }
  await advance(300);
  const renewed = await during({}, (options) => worker.refresh(refresh_token, options));
  assert.deepEqual(reads(renewed), read);
  // A copy that may lack the key that signs is read before it is used.
  await advance(HOUR);
  const late = await during({}, (options) => worker.refresh(renewed.answer.body.refresh_token, options));
  assert.deepEqual(reads(late), [["get", "signing-keys", false]]);
  // And whoever publishes reads an old one before.
  await advance(300);
  const publishing = await during({}, (options) => worker.get("/.well-known/jwks.json", options));
  assert.deepEqual(reads(publishing), [["get", "signing-keys", false]]);
  assert.deepEqual(await published(), [base.kid, row.kid]);
});

test("an unknown kid has the keys read once, and forged ones not more often than every ten seconds", async () => {
  // This isolate knows only what was there before the key was made.
  const idle = await worker.update(ON);
  assert.deepEqual(await published(), [base.kid]);
  await withActiveKey();
  const session = await worker.register();
  await worker.resume(idle);
  worker.events();
  const answers = await Promise.all(Array.from({ length: 20 }, () => worker.verify(session.access_token)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(keyReads().length, 1);

  const forge = () => tokenOf(makeKey("ES256"), session);
  for (const expected of [0, 1, 1]) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => worker.verify(forge())));
    for (const answer of answers) assertProblem(answer, 401, "invalid_token");
    for (let count = 0; count < 10; count += 1) assertProblem(await worker.me(forge()), 401, "invalid_token");
    assert.equal(keyReads().length, expected);
    await advance(10);
  }
});

test("keys from before KEYS_NOT_BEFORE are neither used nor published, and are replaced", async () => {
  const { row } = await withActiveKey();
  const session = await worker.register();
  const leaked = opened(row);
  const since = { vars: { ...ON.vars, KEYS_NOT_BEFORE: String(row.created_at + 1) } };
  const same = { vars: { ...ON.vars, KEYS_NOT_BEFORE: String(row.created_at) } };
  await worker.update(same);
  assert.equal((await worker.verify(tokenOf(leaked, session))).status, 200);
  await worker.update(since);
  for (const path of ["/verify", "/me"]) {
    assertProblem(await worker.get(path, { bearer: tokenOf(leaked, session) }), 401, "invalid_token");
  }
  assert.deepEqual(await published(), [base.kid]);
  const refreshed = (await worker.refresh(session.refresh_token)).body;
  assert.equal(kidOf(refreshed), base.kid, "the session goes on");
  worker.events();
  await run();
  const [fresh, ...more] = await rows();
  assert.deepEqual([more, fresh.period], [[], row.period]);
  assert.notEqual(fresh.kid, row.kid);
  assert.deepEqual(
    (await kept()).keys.map(({ kid }) => kid),
    [fresh.kid],
  );
  assert.equal(worker.events("key_deleted")[0].kid, row.kid);
  await advance(LEAD);
  assert.equal(kidOf((await worker.login(session)).body), fresh.kid);
  await run();
  assert.deepEqual(await rows(), [fresh], "nothing brings the old key back");
});

test("turning the rotation off and on loses nobody", async () => {
  const { row, isolate: on } = await withActiveKey();
  const session = await worker.register();
  assert.equal(kidOf(session), row.kid);

  const off = await worker.update();
  worker.events();
  assert.deepEqual(await published(), [base.kid, row.kid]);
  assert.equal((await worker.verify(session.access_token)).status, 200);
  const { refresh_token, access_token } = session;
  const refreshed = await worker.post("/refresh", { json: { refresh_token, access_token } });
  assert.equal(refreshed.status, 200);
  assert.equal(kidOf(refreshed.body), base.kid);
  // Without a request for the keys, the first token of such a key has them read.
  await worker.update();
  assert.equal((await worker.verify(session.access_token)).status, 200);
  // The other deployment still runs.
  await worker.resume(on);
  assert.equal((await worker.verify(refreshed.body.access_token)).status, 200);
  const again = (await worker.refresh(refreshed.body.refresh_token)).body;
  assert.equal(kidOf(again), row.kid);
  await worker.resume(off);
  assert.equal((await worker.verify(again.access_token)).status, 200);

  worker.events();
  await run();
  assert.deepEqual(await rows(), [row]);
  assert.equal((await kept()).active, base.kid);
  assert.deepEqual(
    worker.events("key_activated").map(({ kid, retired }) => [kid, retired]),
    [[base.kid, row.kid]],
  );
  await worker.update(ON);
  await run();
  assert.deepEqual(await rows(), [row], "on again: the same key");
  assert.equal(kidOf((await worker.login(session)).body), row.kid);
  // Off for longer than anybody needs the key. A client that was away comes back with its old tokens.
  await worker.update();
  await advance(row.retires_at + 7 * DAY - seconds() - 2);
  await run();
  assert.deepEqual(await rows(), [row]);
  assert.deepEqual(await published(), [base.kid]);
  await advance(2);
  await run();
  assert.deepEqual(await rows(), []);
});

test("with KEY_ROTATION manual and no keys, the scheduled event reads one list and does nothing else", async () => {
  await worker.update();
  worker.events();
  await run();
  assert.equal(await worker.kv.get("signing-keys"), null);
  const [{ kv_gets, kv_puts }] = worker.events("costs");
  assert.deepEqual([kv_gets, kv_puts], [0, 0]);
  const session = await worker.register();
  worker.events();
  await worker.login(session);
  await worker.verify(session.access_token);
  await worker.me(session.access_token);
  assert.deepEqual(keyReads(), []);
  // Only what publishes keys, and a token with an unknown kid.
  await jwks();
  await jwks();
  assert.deepEqual(
    keyReads().map(({ d1_round_trips, kv_gets }) => [d1_round_trips, kv_gets]),
    [[0, 1]],
  );
  // Without data secrets, no such key can be opened.
  await worker.update({ secrets: { DATA_SECRETS: null } });
  await jwks();
  assertProblem(await worker.verify(tokenOf(makeKey("ES256"), session)), 401, "invalid_token");
  assert.deepEqual(keyReads(), []);
});

test("the scheduled event encrypts keys under the first data secret, and the old one is then not needed", async () => {
  const { row } = await withActiveKey();
  const session = await worker.register();
  const added = makeSecret();
  const both = { DATA_SECRETS: `${added},${worker.secrets.DATA_SECRETS}` };
  // Also with manual rotation.
  await worker.update({ secrets: both });
  worker.events();
  await run();
  const [encrypted] = await rows();
  assert.ok(encrypted.private_key.startsWith(dataSecretId(added)));
  assert.deepEqual({ ...encrypted, private_key: "" }, { ...row, private_key: "" });
  assert.deepEqual((await kept()).keys, [encrypted]);
  assert.deepEqual(
    worker.events("reencrypted").map(({ secrets }) => secrets),
    [1],
  );
  await run();
  assert.deepEqual(await rows(), [encrypted]);
  await worker.update({ ...ON, secrets: { DATA_SECRETS: added } });
  assert.equal((await worker.verify(session.access_token)).status, 200);
  assert.equal(kidOf((await worker.login(session)).body), row.kid);
  // Under a secret that is not configured: SIGNING_KEYS signs, and the log names the secret.
  await worker.update({ ...ON, secrets: { DATA_SECRETS: makeSecret() } });
  worker.events();
  assert.equal(kidOf((await worker.login(session)).body), base.kid);
  const [{ cause }] = worker.events("key_refused");
  assert.ok(cause.includes(dataSecretId(added)), cause);
});

test("a key that D1 lost in a restore comes back from KV", async () => {
  const { row } = await withActiveKey();
  const session = await worker.register();
  await worker.db.prepare("DELETE FROM signing_keys").run();
  await run();
  assert.deepEqual(await rows(), [row]);
  assert.equal(worker.events("key_restored")[0].kid, row.kid);
  assert.equal((await worker.verify(session.access_token)).status, 200);
});

test("a failure of storage leaves the keys as they are, and the next run goes on", async () => {
  await worker.update(ON);
  const { writes } = await counted();
  for (const [does, made] of [
    ["fail", 0],
    ["lose", 1],
  ]) {
    await run({ only: "batch", at: writes, does });
    assert.equal((await rows()).length, made, does);
    assert.equal(await worker.kv.get("signing-keys"), null);
    assert.equal(worker.events("storage_fault").length, 1);
  }
  const [row] = await rows();
  await run({ only: "put", at: "each", does: "fail" });
  assert.equal(worker.events("storage_fault").length, 1);
  await run({ only: "get", at: "each", does: "fail" });
  assert.deepEqual([await rows(), (await kept()).keys], [[row], [row]]);
  assert.equal(worker.events("storage_fault").length, 1);
});

test("with a symmetric key in SIGNING_KEYS, the metadata name the published keys as soon as there are any", async () => {
  const symmetric = { vars: { ...ON.vars, ALLOW_HS256: "true" }, secrets: keySet(makeKey("HS256")) };
  const uri = async () => (await worker.get("/.well-known/oauth-authorization-server")).body.jwks_uri;
  await worker.update(symmetric);
  assert.equal(await uri(), undefined);
  await run();
  assert.equal(await uri(), `${ISSUER}/.well-known/jwks.json`);
});
