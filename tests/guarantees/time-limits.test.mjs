// Time limits for clients and storage: what the Worker responds, and that it leaks no memory. Its clock runs faster
// here.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { IMPATIENT } from "../support/clocks.mjs";
import { assertOAuthError, assertProblem, basic, startWorker } from "../support/harness.mjs";
import { OAUTH_PATHS, WITH_BODY } from "../support/routes.mjs";

/** The maximum growth of the memory, in KiB. */
const MAX_GROWTH = 512;
const WAVE = 100;

const resourceServer = makeResourceServer("time-limits", "https://api.example.org");

let worker, user;
before(async () => {
  worker = await startWorker({
    clock: IMPATIENT,
    vars: { RESOURCE_SERVERS: JSON.stringify([resourceServer.entry]) },
  });
  user = await worker.register();
});
after(() => worker.close());

const json = () => ({ email: user.email, password: user.password });

function assertTooSlow(answer, path) {
  if (OAUTH_PATHS.includes(path)) assertOAuthError(answer, 408, "invalid_request");
  else assertProblem(answer, 408, "request_timeout");
}

for (const chunked of [false, true]) {
  const kind = chunked ? "of an unknown length" : "of a known length";
  test(`a body ${kind} that does not arrive is a 408 on every route, and closes the connection`, async () => {
    const waits = WITH_BODY.flatMap((route) => ["headers", "half"].map((part) => [...route.split(" "), part]));
    const given = waits.map(async ([method, path, part]) => {
      const client = await worker.send(method, path, { json: json(), chunked }, part);
      assertTooSlow(await client.answer(), path);
      await client.ended();
    });
    await Promise.all(given);
  });

  test(`a body ${kind} that arrives byte by byte is a 408`, async () => {
    const client = await worker.send(
      "POST",
      "/login",
      { body: "", chunked, headers: chunked ? {} : { "Content-Length": 16_000 } },
      "headers",
    );
    let open = true;
    const drip = async () => {
      while (open) {
        client.write(chunked ? "1\r\n \r\n" : " ");
        await worker.get("/healthz");
        // What has arrived is read first: a write to a connection that the server has closed would discard it.
        await setImmediate();
      }
    };
    const dripping = drip();
    try {
      assertTooSlow(await client.answer(), "/login");
    } finally {
      open = false;
      await dripping;
      await client.disconnect("RST");
    }
  });

  test(`a body ${kind} that arrives in two parts is read`, async () => {
    const text = JSON.stringify(json());
    const plan = worker.plan({});
    const headers = { "Content-Type": "application/json", ...(chunked ? {} : { "Content-Length": text.length }) };
    const client = await worker.send("POST", "/login", { body: text, chunked, headers, plan }, "half");
    await plan.untilBegun();
    await worker.get("/healthz");
    const rest = text.slice(text.length / 2);
    client.write(chunked ? `${rest.length.toString(16)}\r\n${rest}\r\n0\r\n\r\n` : rest);
    assert.equal((await client.answer()).status, 200);
    await client.disconnect("FIN");
  });
}

test("an incomplete body is a 400", async () => {
  for (const chunked of [false, true]) {
    const client = await worker.send("POST", "/login", { json: json(), chunked }, "half");
    client.halfClose();
    assertProblem(await client.answer(), 400, "invalid_request");
    await client.disconnect("FIN");
  }
});

/** Operations by the kind of their first storage call. */
const OPERATIONS = {
  batch: [
    () => ["POST", "/register", { json: { ...json(), email: "newcomer@example.org" } }],
    () => ["POST", "/login", { json: json() }],
    () => ["POST", "/refresh", { json: { refresh_token: user.refresh_token } }],
    () => ["POST", "/revoke", { form: { token: user.refresh_token } }],
    () => [
      "POST",
      "/introspect",
      {
        form: { token: user.access_token },
        headers: { Authorization: basic(resourceServer.entry.id, resourceServer.secret) },
      },
    ],
    () => ["GET", "/me", { bearer: user.access_token }],
    () => ["DELETE", "/sessions/x", { bearer: user.access_token }],
  ],
  get: [() => ["GET", "/verify", { bearer: user.access_token }]],
};

for (const [call, operations] of Object.entries(OPERATIONS)) {
  test(`a ${call} that storage never answers is a 503 on every route that makes one`, async () => {
    const answered = operations.map(async (operation) => {
      const plan = worker.plan({ at: 1, does: "hold answer" });
      const [method, path, options] = operation();
      const answer = await worker.request(method, path, {
        ...options,
        headers: { ...options.headers, ...plan.headers },
      });
      if (OAUTH_PATHS.includes(path)) assertOAuthError(answer, 503, "temporarily_unavailable");
      else assertProblem(answer, 503, "storage_unavailable");
      await plan.untilEnded();
      plan.release();
    });
    await Promise.all(answered);
    // The calls took place, so the logout ended the session.
    user = { ...user, ...(await worker.login(user)).body };
  });
}

test("a mark that KV never acknowledges does not undo the logout", async () => {
  const { body } = await worker.login(user);
  const plan = worker.plan({ at: 1, only: "put", does: "hold" });
  assert.equal((await worker.revoke(body.refresh_token, { headers: plan.headers })).status, 200);
  await plan.untilEnded();
  plan.release();
  assert.ok(worker.events("revocation_mark_failed").length > 0);
  // The write is retried after the response.
  await worker.marksWritten();
  assert.equal((await worker.verify(body.access_token)).status, 401);
});

/** The growth of the memory over `count` waits, after a first wave, in KiB. */
async function growth(count, wait) {
  const wave = () => Promise.all(Array.from({ length: WAVE }, wait));
  await wave();
  const before = await worker.memory();
  for (let waited = 0; waited < count; waited += WAVE) await wave();
  return (await worker.memory()) - before;
}

const padded = () => JSON.stringify(json()).padEnd(16_000);

test("three hundred clients that send half a body and wait leak no memory", async () => {
  let chunked = false;
  const grown = await growth(300, async () => {
    chunked = !chunked;
    const client = await worker.send("POST", "/login", { body: padded(), chunked }, "half");
    assertTooSlow(await client.answer(), "/login");
    await client.disconnect("RST");
  });
  assert.ok(grown <= MAX_GROWTH, `${grown} KiB`);
});

for (const how of ["RST", "FIN"]) {
  test(`two hundred clients that disconnect by ${how} while storage never answers leak no memory`, async () => {
    const grown = await growth(200, async () => {
      // "hold answer" would release the call when the client resets the connection.
      const plan = worker.plan({ at: 1, does: "hold for ever" });
      const headers = { "Content-Type": "application/json" };
      const client = await worker.send("POST", "/refresh", {
        body: JSON.stringify({ refresh_token: user.refresh_token }).padEnd(16_000),
        headers,
        plan,
      });
      await plan.untilHeld();
      await client.disconnect(how);
      await plan.untilEnded();
      plan.release();
    });
    assert.ok(grown <= MAX_GROWTH, `${grown} KiB`);
  });
}

test("the next client is served", async () => {
  assert.equal((await worker.login(user)).status, 200);
});
