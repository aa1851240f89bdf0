// The client as packed: its size and types, and its behaviour against the Worker from Node, Workers and a runtime with as little as
// React Native.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import vm from "node:vm";
import { gzipSync } from "node:zlib";

import { buildSync } from "esbuild";
import { decodeJwt } from "jose";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

import { read } from "../../scripts/lib.mjs";
import { PASSWORD, startWorker } from "../support/harness.mjs";
import { installed } from "../support/installed.mjs";
import { until } from "../support/patience.mjs";

let worker, installation, folder, packed, createClient, PortcullisError;
const clients = [];
before(async () => {
  installation = await installed("client");
  folder = installation.folder;
  packed = join(folder, "node_modules", "@portcullis", "client");
  ({ createClient, PortcullisError } = await installation.import("@portcullis/client"));
  worker = await startWorker();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
after(async () => {
  await worker?.close();
  installation?.remove();
});

/** A network that counts requests, and lets a test answer them in the place of the Worker. */
class Network {
  requests = [];
  answer = undefined;

  fetch = async (input, init) => {
    const method = init?.method ?? input.method ?? "GET";
    const request = { url: String(input.url ?? input), headers: new Headers(init?.headers ?? input.headers) };
    this.requests.push(`${method} ${new URL(request.url).pathname}`);
    const send = () => fetch(input, init);
    return this.answer?.(request, send, init) ?? send();
  };
}

function open(options = {}) {
  const network = new Network();
  const client = createClient({ url: worker.url.origin, fetch: network.fetch, ...options });
  clients.push(client);
  const states = [];
  client.onChange(({ status, reason }) => states.push([status, reason].join()));
  return { client, network, states };
}

async function signedIn(options) {
  const person = await worker.register();
  const opened = open(options);
  await opened.client.login({ email: person.email, password: PASSWORD });
  opened.network.requests.length = 0;
  return { ...opened, person };
}

/** A storage in the form of `localStorage`. */
function storage() {
  const items = new Map();
  return {
    items,
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/** Changes an answer of the Worker, so that its access token lives that many seconds for the client. */
const living = (seconds) => async (_, send) => {
  const response = await send();
  if (!response.headers.get("Content-Type")?.includes("json")) return response;
  const body = await response.json();
  return Response.json({ ...body, ...(body.expires_in && { expires_in: seconds }) }, response);
};

const clock = Date.now;

/** Sets the clock of the client, by that many milliseconds more. */
function shiftClock(t, milliseconds) {
  const now = Date.now;
  Date.now = () => now() + milliseconds;
  // Not by `t.mock`, which restores the first of two such clocks.
  t.after(() => (Date.now = clock));
}

/** An hour, in which every access token expires. */
const HOUR = 3_600_000;

const rejects = (promise, expected) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof PortcullisError, String(error));
    assert.deepEqual({ status: error.status, code: error.code }, expected);
    return true;
  });

describe("the package", () => {
  test("is at most 7.5 KB, bundled, minified and gzipped", () => {
    const { outputFiles } = buildSync({
      entryPoints: [join(packed, "dist", "index.js")],
      bundle: true,
      minify: true,
      format: "esm",
      write: false,
    });
    const { length } = gzipSync(outputFiles[0].contents, { level: 9 });
    assert.ok(length > 1000 && length <= 7680, `${length} bytes`);
  });

  test("has no dependencies, and nothing but the module, its types, a README and a licence", () => {
    const manifest = JSON.parse(readFileSync(join(packed, "package.json"), "utf8"));
    assert.equal(manifest.dependencies, undefined);
    const { stdout } = spawnSync("find", [".", "-type", "f"], { cwd: packed, encoding: "utf8" });
    const names = stdout.trim().split("\n").sort();
    const types = names.filter((name) => /^\.\/dist\/\w+\.d\.ts$/.test(name));
    assert.deepEqual(names, ["./LICENSE", "./README.md", ...types, "./dist/index.js", "./package.json"].sort());
  });

  test("has a README that names every method, reason and option", () => {
    const readme = readFileSync(join(packed, "README.md"), "utf8");
    const { client } = open();
    const reasons = read("packages/client/src/types.ts")
      .split("export type Reason")[1]
      .matchAll(/"(\w+)"/g);
    const options = ["client", "core"].flatMap((name) => [
      ...read(`packages/client/src/${name}.ts`)
        .match(/interface C\w+Options .*?\{(.*?)\n\}/s)[1]
        .matchAll(/^ {2}(\w+)\??:/gm),
    ]);
    assert.equal(options.length, 6);
    const names = [...reasons, ...options].map(([, name]) => name);
    assert.ok(names.length >= 12);
    for (const name of names) assert.match(readme, new RegExp(`^\\| \`${name}\` \\|`, "m"), name);
    const methods = Object.entries(client).flatMap(([name, member]) =>
      ["mfa", "passkeys"].includes(name) ? Object.keys(member).map((method) => `${name}.${method}`) : [name],
    );
    for (const name of methods) assert.match(readme, new RegExp(`^\\| .*\`${name}[(\`]`, "m"), name);
  });
});

describe("an account", () => {
  test("from registration to deletion", async () => {
    const { client, states } = open();
    const email = "grace@example.org";
    const user = await client.register({ email, password: PASSWORD, username: "grace" });
    assert.deepEqual([user.email, user.username], [email, "grace"]);
    assert.equal(client.state.user, user);
    assert.equal((await client.updateMe({ name: "Grace", metadata: { theme: "dark" } })).name, "Grace");
    assert.equal(client.state.user.name, "Grace");
    assert.deepEqual((await client.me()).metadata, { theme: "dark" });

    const { client: second, states: secondStates } = open();
    await second.login({ username: "grace", password: PASSWORD });
    const { sessions, next_cursor } = await client.sessions({ limit: 10 });
    assert.deepEqual([sessions.length, next_cursor], [2, null]);
    assert.equal((await client.sessions({ limit: 1, cursor: undefined })).sessions.length, 1);
    await client.endSession(sessions.find(({ current }) => !current).id);
    await rejects(second.me(), { status: 401, code: "invalid_token" });
    assert.deepEqual(secondStates, ["signed_out,", "signed_in,signed_in", "signed_out,revoked"]);

    await rejects(client.changePassword({ current_password: "wrong", new_password: "purple otters juggle lanterns" }), {
      status: 403,
      code: "wrong_password",
    });
    const next = "purple otters juggle lanterns";
    await client.changePassword({ current_password: PASSWORD, new_password: next });
    assert.equal((await client.me()).email, email);
    await second.login({ email, password: next });
    assert.equal(await client.logoutEverywhere({ exceptCurrent: true }), 1);
    assert.equal((await client.me()).email, email);
    const { events } = await client.request("GET", "/me/events?limit=3");
    assert.equal(events.length, 3);
    await client.deleteMe();
    assert.equal(await client.getAccessToken(), null);
    await rejects(client.login({ email, password: next }), { status: 401, code: "invalid_credentials" });
    assert.deepEqual(states, ["signed_out,", "signed_in,signed_in", "signed_in,updated", "signed_out,signed_out"]);
  });

  test("ends its own session by its id, and all of them", async () => {
    const { client, person, states } = await signedIn();
    const { sessions } = await client.sessions();
    await client.endSession(sessions.find(({ current }) => current).id);
    assert.equal(states.at(-1), "signed_out,signed_out");
    await client.login({ email: person.email, password: PASSWORD });
    // This session and the one of the registration.
    assert.equal(await client.logoutEverywhere(), 2);
    assert.deepEqual([states.at(-1), await client.getAccessToken()], ["signed_out,signed_out", null]);
  });

  test("takes nothing but an id for a session to end, and nothing but a path for an endpoint", async () => {
    const { client, network } = await signedIn();
    const id = "0123456789_-abcdefghij";
    for (const odd of ["", ".", "..", "../me", `${id}/`, `${id}\n`, id.slice(1), "current", undefined, null, {}])
      await assert.rejects(client.endSession(odd), TypeError, String(odd));
    for (const odd of ["", "me", "@127.0.0.1/me", ".example.com/me"])
      await assert.rejects(client.request("GET", odd), TypeError, odd);
    assert.deepEqual(network.requests, []);
    await rejects(client.endSession(id), { status: 404, code: "not_found" });
    assert.deepEqual(network.requests, [`DELETE /sessions/${id}`]);
  });

  test("a login that replaces a session ends that one on the server", async () => {
    const { client, person } = await signedIn();
    const { sid } = decodeJwt(await client.getAccessToken());
    await client.login({ email: person.email, password: PASSWORD });
    for (let tries = 0; (await worker.sessionRow(sid)).revoked_at === null; tries += 1) {
      assert.ok(tries < 200, "the session stays");
      await setTimeout(10);
    }
    assert.equal((await client.me()).email, person.email);
  });
});

test("the result says that a new password is in a data breach, the state does not", async () => {
  const { client, network } = open();
  const isNew = /\/(register|me\/password)$/;
  network.answer = async ({ url }, send) => {
    const response = await send();
    if (!isNew.test(url)) return response;
    return Response.json({ ...(await response.json()), password_breached: true }, response);
  };
  const user = await client.register({ email: "breached@example.org", password: PASSWORD });
  assert.deepEqual(user, { ...client.state.user, password_breached: true });
  assert.ok(!("password_breached" in client.state.user));
  const next = "purple otters juggle lanterns";
  const changed = await client.changePassword({ current_password: PASSWORD, new_password: next });
  assert.equal(changed.password_breached, true);
  assert.ok(!("password_breached" in client.state.user));
  network.answer = undefined;
  assert.ok(!("password_breached" in (await client.login({ email: user.email, password: next }))));
});

describe("errors", () => {
  test("have the code, the detail and the request id of the server", async () => {
    const { client } = open();
    const error = await client.register({ email: "not an address", password: PASSWORD }).catch((error) => error);
    assert.ok(error instanceof PortcullisError && error instanceof Error);
    assert.deepEqual([error.name, error.status, error.code], ["PortcullisError", 422, "invalid_email"]);
    assert.match(error.detail, /^[A-Z].*\.$/);
    assert.match(error.requestId, /^[\w-]{22}$/);
    assert.equal(error.retryAfter, undefined);
    assert.equal(error.message, `invalid_email: ${error.detail}`);
  });

  test("of the network, of a proxy and of the wrong server are PortcullisErrors as well", async () => {
    const { client, network } = await signedIn();
    network.answer = () => Promise.reject(new TypeError("fetch failed"));
    await rejects(client.me(), { status: 0, code: "network_error" });
    await rejects(client.login({ email: "a@example.org", password: PASSWORD }), { status: 0, code: "network_error" });
    for (const [status, headers, retryAfter] of [
      [502, {}, undefined],
      [503, { "Retry-After": "7" }, 7],
      [429, { "Retry-After": new Date(Date.now() + 9500).toUTCString() }, 9],
    ]) {
      network.answer = () => new Response("<h1>Bad</h1>", { status, headers });
      const error = await client.me().catch((error) => error);
      assert.deepEqual([error.status, error.code], [status, "unexpected_response"]);
      if (retryAfter === undefined) assert.equal(error.retryAfter, undefined);
      else assert.ok(Math.abs(error.retryAfter - retryAfter) <= 1, error.retryAfter);
    }
    assert.equal(client.state.status, "signed_in");
  });

  test("are what the answers of another server become", async () => {
    const { client, network } = await signedIn();
    const user = { id: "1" };
    const token = {
      access_token: "a",
      refresh_token: "r",
      session_id: "s",
      expires_in: 900,
      refresh_expires_in: 9,
      user,
    };
    const odd = [{ hello: "world" }, null, [], "text", 1, true, { ...token, access_token: 1 }];
    for (const name of ["refresh_token", "session_id", "user"]) odd.push({ ...token, [name]: undefined });
    for (const id of [undefined, 1]) odd.push({ ...token, user: { id } });
    for (const expires_in of [undefined, null, 0, -1, "900", Number.NaN]) odd.push({ ...token, expires_in });
    const answers = odd.map((body) => [JSON.stringify(body), () => Response.json(body)]);
    const endless = JSON.stringify(token).replace("900", "1e999");
    answers.push(["nothing", () => new Response(null)], [endless, () => new Response(endless)]);
    const state = client.state;
    for (const [name, answer] of answers) {
      network.answer = answer;
      const error = await client.login({ email: "a@example.org", password: PASSWORD }).catch((error) => error);
      assert.ok(error instanceof PortcullisError, `${name}: ${error}`);
      assert.deepEqual([error.status, error.code], [200, "unexpected_response"], name);
      for (const call of [client.me, client.logoutEverywhere])
        assert.equal((await call().catch((error) => error)).code, "unexpected_response", name);
      assert.equal(client.state, state);
    }
    network.answer = () => Response.json({ error: { code: 7 }, code: 7, detail: [], request_id: 1 }, { status: 400 });
    const error = await client.login({ email: "a@example.org", password: PASSWORD }).catch((error) => error);
    assert.deepEqual([error.code, error.requestId], ["unexpected_response", undefined]);
    assert.match(error.detail, /^The response is not/);
  });
});

test("requests to the server are not redirected", async (t) => {
  const received = [];
  const listening = async (handler) => {
    const server = http.createServer(handler);
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.closeAllConnections() ?? server.close());
    return `http://127.0.0.1:${server.address().port}`;
  };
  const other = await listening((request, response) => {
    received.push(`${request.method} ${request.url}`);
    response.writeHead(204).end();
  });
  for (const status of [302, 307, 308]) {
    const moved = await listening((request, response) =>
      response.writeHead(status, { Location: other + request.url }).end(),
    );
    const { client, network } = await signedIn();
    network.answer = ({ url }, _, init) => fetch(moved + new URL(url).pathname, init);
    const expected = { status, code: "unexpected_response" };
    await rejects(client.register({ email: "a@example.org", password: PASSWORD }), expected);
    await rejects(client.login({ email: "a@example.org", password: PASSWORD }), expected);
    await rejects(client.deleteMe(), expected);
    await rejects(client.changePassword({ current_password: PASSWORD, new_password: PASSWORD }), expected);
    assert.equal(client.state.status, "signed_in");
    await rejects(client.logout(), expected);
  }
  assert.deepEqual(received, []);
});

describe("fetch", () => {
  /** An API on another port, which says what it received. */
  async function api(t, answer = () => 200) {
    const received = [];
    const server = http.createServer((request, response) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        const { authorization } = request.headers;
        received.push({ authorization, body: Buffer.concat(chunks).toString() });
        response.writeHead(answer(received, authorization)).end();
      });
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.closeAllConnections() ?? server.close());
    return { url: `http://127.0.0.1:${server.address().port}/`, received };
  }

  test("sends the token to the allowed origins only", async (t) => {
    const { url, received } = await api(t);
    const { client } = await signedIn();
    assert.equal((await client.fetch(url)).status, 200);
    const { client: allowed } = await signedIn({ origins: [url] });
    for (const input of [url, new URL(url), new Request(url)]) await allowed.fetch(input, { headers: { "X-A": "1" } });
    await allowed.fetch(url, { headers: { Authorization: "Basic eDp5" } });
    // Not an origin, but one whose name begins with it.
    await assert.rejects(allowed.fetch("https://127.0.0.1.invalid/"));
    const bearer = `Bearer ${await allowed.getAccessToken()}`;
    assert.deepEqual(
      received.map(({ authorization }) => authorization),
      [undefined, bearer, bearer, bearer, "Basic eDp5"],
    );
  });

  test("sends no token to other schemes than http and https", async () => {
    const sent = [];
    const spy = (input, init) => {
      const { protocol } = new URL(input.url ?? input);
      if (protocol.startsWith("http")) return fetch(input, init);
      sent.push([protocol, new Headers(init?.headers).get("Authorization")]);
      return new Response();
    };
    const origins = ["capacitor://localhost", "null", "file:///", "data:,", "blob:null/x", "chrome-extension://x"];
    const { client } = await signedIn({ origins, fetch: spy });
    assert.equal((await client.me()).email, client.state.user.email);
    for (const input of [
      "capacitor://localhost/x",
      "tauri://x",
      "data:,hello",
      "file:///etc/hosts",
      "chrome-extension://x/",
    ])
      await client.fetch(input);
    assert.deepEqual(
      sent,
      ["capacitor:", "tauri:", "data:", "file:", "chrome-extension:"].map((scheme) => [scheme, null]),
    );
    assert.throws(() => open({ origins: ["api.example.com"] }), TypeError);
  });

  test("asks once more with a new token after a 401, with the same body", async (t) => {
    const { url, received } = await api(t, ({ length }) => (length === 1 ? 401 : 200));
    const { client, network } = await signedIn({ origins: [url] });
    const { status } = await client.fetch(new Request(url, { method: "POST", body: "hello" }));
    assert.equal(status, 200);
    assert.deepEqual(
      received.map(({ body }) => body),
      ["hello", "hello"],
    );
    assert.notEqual(received[0].authorization, received[1].authorization);
    assert.equal(received[1].authorization, `Bearer ${await client.getAccessToken()}`);
    assert.deepEqual(network.requests, ["POST /", "POST /refresh", "POST /"]);
  });

  test("does not send a stream twice, but refreshes for the next request", async (t) => {
    const { url, received } = await api(t, ({ length }) => (length === 1 ? 401 : 200));
    const { client } = await signedIn({ origins: [url], fetch: undefined });
    const body = new Blob(["hello"]).stream();
    assert.equal((await client.fetch(url, { method: "POST", body, duplex: "half" })).status, 401);
    assert.equal((await client.fetch(url)).status, 200);
    assert.equal(received.length, 2);
    assert.notEqual(received[0].authorization, received[1].authorization);
  });

  test("causes no flood of refreshes at an API that refuses every token", async (t) => {
    const { url, received } = await api(t, () => 401);
    const { client, network } = await signedIn({ origins: [url] });
    for (let count = 0; count < 5; count += 1) assert.equal((await client.fetch(url)).status, 401);
    assert.equal(network.requests.filter((request) => request === "POST /refresh").length, 1);
    assert.equal(received.length, 6);
    assert.equal(client.state.status, "signed_in");
  });

  test("refreshes after a 401 even if the clock has been set back since the last time", async (t) => {
    const { url } = await api(t, () => 401);
    const { client, network } = await signedIn({ origins: [url] });
    const refreshes = () => network.requests.filter((request) => request === "POST /refresh").length;
    await client.fetch(url);
    assert.equal(refreshes(), 1);
    shiftClock(t, -HOUR);
    // Once because the age of the token is unknown, and once because the API refuses the new one.
    await client.fetch(url);
    assert.equal(refreshes(), 3);
    await client.fetch(url);
    assert.equal(refreshes(), 3);
  });

  test("of ten requests with the same refused token refreshes once", async (t) => {
    const { url } = await api(t, ([first], authorization) => (authorization === first.authorization ? 401 : 200));
    const { client, network } = await signedIn({ origins: [url] });
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.fetch(url)));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(network.requests.filter((request) => request === "POST /refresh").length, 1);
  });

  test("sends requests without a token if nobody is signed in", async () => {
    const { client } = open();
    assert.equal((await client.fetch(`${worker.url.origin}/healthz`)).status, 200);
    await rejects(client.me(), { status: 401, code: "missing_token" });
  });
});

describe("a session", () => {
  test("is kept in memory if reading the storage throws, as an option of the page may do", async () => {
    const person = await worker.register();
    const options = {
      mode: "storage",
      get storage() {
        throw new Error("blocked");
      },
    };
    const client = createClient(Object.create(options, { url: { value: worker.url.origin } }));
    clients.push(client);
    await client.login({ email: person.email, password: PASSWORD });
    assert.equal((await client.me()).email, person.email);
  });

  test("is refreshed once for all who ask at the same time", async (t) => {
    const { client, network } = await signedIn();
    shiftClock(t, HOUR);
    const tokens = await Promise.all(Array.from({ length: 20 }, () => client.getAccessToken()));
    assert.deepEqual([new Set(tokens).size, network.requests], [1, ["POST /refresh"]]);
  });

  test("with a very short or unknown lifetime causes no flood of refreshes", async (t) => {
    const { client, network } = open();
    network.answer = living(0.001);
    const { email } = await worker.register();
    await client.login({ email, password: PASSWORD });
    const begun = Date.now();
    const tokens = new Set();
    while (Date.now() < begun + 1500) {
      tokens.add(await client.getAccessToken());
      await setTimeout(5);
    }
    assert.equal(tokens.size, 2);
    assert.deepEqual(network.requests, ["POST /login", "POST /refresh"]);
    network.answer = living(0);
    shiftClock(t, 5_000);
    await assert.rejects(client.getAccessToken(), PortcullisError);
    await setTimeout(500);
    assert.ok(network.requests.length <= 4, network.requests.join());
    assert.equal(client.state.status, "signed_in");
  });

  test("is refreshed at four fifths of its lifetime", async (t) => {
    const { client, network } = open();
    network.answer = living(2);
    const { email } = await worker.register();
    const now = Date.now();
    Date.now = () => now;
    t.after(() => (Date.now = clock));
    const timers = t.mock.method(globalThis, "setTimeout");
    await client.login({ email, password: PASSWORD });
    Date.now = clock;
    const delays = timers.mock.calls.map(({ arguments: [, delay] }) => delay);
    assert.ok(
      delays.some((delay) => delay >= 1500 && delay <= 1700),
      delays.join(),
    );
    const token = await client.getAccessToken();
    await until(() => network.requests.includes("POST /refresh"), "there is no refresh");
    await until(async () => (await client.getAccessToken()) !== token, "the token stays");
  });

  test("outlives every other failure than invalid_refresh_token", async (t) => {
    const failures = [
      () => Promise.reject(new TypeError("fetch failed")),
      () => new Response("<h1>Log in to the network of the hotel</h1>"),
      () => new Response("<h1>Log in to the network of the hotel</h1>", { status: 401 }),
      () => Response.json({ code: "wrong_host", detail: "" }, { status: 421 }),
      () => Response.json({ code: "too_many_requests", detail: "" }, { status: 429, headers: { "Retry-After": "1" } }),
      () => Response.json({ code: "storage_unavailable", detail: "" }, { status: 503 }),
      () => Response.json({}),
    ];
    for (const failure of failures) {
      const { client, network } = await signedIn();
      shiftClock(t, HOUR);
      network.answer = failure;
      await assert.rejects(client.getAccessToken(), PortcullisError);
      assert.equal(client.state.status, "signed_in");
      network.answer = undefined;
      // It goes on by itself: the first wait is at most 1.25 s.
      network.requests.length = 0;
      await until(() => network.requests.length > 0, failure.toString());
      assert.deepEqual(network.requests, ["POST /refresh"], failure.toString());
      assert.equal(typeof (await client.getAccessToken()), "string");
    }
  });

  test("is refreshed when the clock has been set back, whatever was waited for", async (t) => {
    const { client, network } = await signedIn();
    const token = await client.getAccessToken();
    shiftClock(t, -HOUR);
    const next = await client.getAccessToken();
    assert.notEqual(next, token);
    assert.equal(await client.getAccessToken(), next);
    assert.deepEqual(network.requests, ["POST /refresh"]);

    const problem = { code: "storage_unavailable", detail: "" };
    network.answer = () => Response.json(problem, { status: 503, headers: { "Retry-After": "600" } });
    shiftClock(t, HOUR);
    const refused = { status: 503, code: "storage_unavailable" };
    await rejects(client.getAccessToken(), refused);
    network.answer = undefined;
    await rejects(client.getAccessToken(), refused);
    shiftClock(t, -2 * HOUR);
    assert.notEqual(await client.getAccessToken(), next);
    assert.equal(network.requests.length, 3);
  });

  test("ends with the reason when the server refuses its token", async () => {
    const { client, states, person } = await signedIn({});
    await worker.delete("/sessions", { bearer: person.access_token });
    await rejects(client.me(), { status: 401, code: "invalid_token" });
    assert.deepEqual([states.at(-1), client.state.user], ["signed_out,revoked", null]);
  });

  test("that has been logged out is not revived by a late refresh", async (t) => {
    const { client, network, states } = await signedIn();
    shiftClock(t, HOUR);
    const { promise: held, resolve: release } = Promise.withResolvers();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers();
    network.answer = async (request, send) => {
      const answer = await send();
      if (!request.url.endsWith("/refresh")) return answer;
      arrive();
      await held;
      return answer;
    };
    const refreshing = client.getAccessToken();
    await arrived;
    const leaving = client.logout();
    release();
    await leaving;
    assert.equal(await refreshing, null);
    assert.deepEqual(states.slice(1), ["signed_in,signed_in", "signed_out,signed_out"]);
  });

  test("is signed out even if the server does not hear of it", async () => {
    const { client, network, states } = await signedIn();
    network.answer = () => Promise.reject(new TypeError("fetch failed"));
    await rejects(client.logout(), { status: 0, code: "network_error" });
    assert.equal(states.at(-1), "signed_out,signed_out");
    assert.equal(await client.getAccessToken(), null);
    await client.logout();
  });

  test("is not looked for again where the server refuses the mode", async () => {
    const { client, states, network } = open({ mode: "cookie" });
    await rejects(client.getAccessToken(), { status: 400, code: "invalid_request" });
    assert.deepEqual([states, network.requests], [["loading,", "signed_out,"], ["POST /refresh"]]);
    await rejects(client.restore(), { status: 400, code: "invalid_request" });
    assert.equal(client.state.status, "signed_out");
    await rejects(client.login({ email: "a@example.org", password: PASSWORD }), {
      status: 400,
      code: "cookie_mode_off",
    });
  });

  test("is looked for after the wait for which the server asks, whatever happens in between", async () => {
    const { client, network, states } = open({ mode: "cookie" });
    const wait = { status: 503, headers: { "Retry-After": "1" } };
    network.answer = ({ url }) =>
      url.endsWith("/logout")
        ? new Response(null, { status: 204 })
        : Response.json({ code: "storage_unavailable", detail: "" }, wait);
    await rejects(client.getAccessToken(), { status: 503, code: "storage_unavailable" });
    assert.equal(client.state.status, "loading");
    await client.logout();
    assert.equal(client.state.status, "signed_out");
    await rejects(client.restore(), { status: 503, code: "storage_unavailable" });
    network.answer = () => Response.json({ code: "invalid_refresh_token", detail: "" }, { status: 401 });
    await until(() => client.state.status !== "loading", "it never stops looking");
    assert.deepEqual(states.at(-1), "signed_out,");
  });

  test("is left to itself by a client that is closed", async (t) => {
    const { client, network } = await signedIn();
    shiftClock(t, HOUR);
    network.answer = (_, send) => setTimeout(100).then(send);
    const asking = client.getAccessToken();
    await setTimeout(20);
    client.close();
    await rejects(asking, { status: 0, code: "network_error" });
  });

  test("in a storage is found again by the next client", async () => {
    const shared = storage();
    const { person } = await signedIn({ mode: "storage", storage: shared });
    const { client, network, states } = open({ mode: "storage", storage: shared });
    assert.equal((await client.me()).email, person.email);
    assert.deepEqual([states, network.requests], [["signed_in,restored"], ["GET /me"]]);
    await client.logout();
    assert.deepEqual([...shared.items.keys()], [`portcullis:${worker.url.origin}:devices`]);
  });

  test("in memory or in a cookie leaves no token in a storage", async () => {
    const items = [];
    const stored = { ...storage(), setItem: (_, value) => items.push(value) };
    await signedIn({ mode: "memory", storage: stored });
    assert.deepEqual(items, []);
  });

  test("with damaged or full storage works", async () => {
    const name = `portcullis:${worker.url.origin}`;
    const good = storage();
    await signedIn({ mode: "storage", storage: good });
    const session = JSON.parse(good.items.get(name));
    const damaged = ["", "{", "null", "1", '"text"', "[]", "{}", '{"refresh_token":"x"}', '{"user":null}'];
    for (const member of ["id", "access_token", "refresh_token", "session_id", "user", "at", "expires_in"])
      for (const odd of [undefined, null, true, -1, {}])
        if (member !== "at" || odd !== -1) damaged.push(JSON.stringify({ ...session, [member]: odd }));
    for (const value of damaged) {
      const shared = storage();
      shared.setItem(name, value);
      const { client } = open({ mode: "storage", storage: shared });
      assert.deepEqual([client.state.status, await client.getAccessToken()], ["signed_out", null], value);
    }
    assert.equal(open({ mode: "storage", storage: good }).client.state.status, "signed_in");
    const full = storage();
    full.setItem(`portcullis:${worker.url.origin}`, "old");
    full.setItem = (_, value) => {
      if (value.length > 100) throw new Error("QuotaExceededError");
    };
    const { client } = await signedIn({ mode: "storage", storage: full });
    assert.equal((await client.me()).email, client.state.user.email);
    assert.equal(full.items.size, 0);
    const device = `${name}:devices`;
    const entry = { user_id: "x", names: [client.state.user.email], token: "x" };
    for (const member of ["user_id", "names", "token"])
      for (const odd of [undefined, null, 1]) damaged.push(JSON.stringify([{ ...entry, [member]: odd }]));
    for (const value of [...damaged, "[null]", JSON.stringify([entry])]) {
      const shared = storage();
      shared.setItem(device, value);
      const opened = open({ mode: "storage", storage: shared });
      opened.network.answer = () => Response.json(session);
      assert.equal((await opened.client.login({ email: "x", password: "x" })).id, session.user.id, value);
    }
  });

  test("of two clients with one storage: a change of the user does not bring old tokens back", async () => {
    const shared = storage();
    const { client: a, network } = await signedIn({ mode: "storage", storage: shared });
    const { client: b } = open({ mode: "storage", storage: shared });
    network.answer = (_, send) => (network.requests.length === 1 ? new Response("{}", { status: 401 }) : send());
    await a.me();
    const token = await a.getAccessToken();
    assert.notEqual(await b.getAccessToken(), token);
    await b.updateMe({ name: "Ada" });
    assert.equal(await b.getAccessToken(), token);
    const { client: c } = open({ mode: "storage", storage: shared });
    assert.deepEqual([await c.getAccessToken(), c.state.user.name], [token, "Ada"]);
  });

  test("of two clients with one storage: the one that loses the race keeps the session of the winner", async () => {
    const shared = storage();
    const { client: a, network } = await signedIn({ mode: "storage", storage: shared });
    const { client: b, network: other } = open({ mode: "storage", storage: shared });
    const { promise: held, resolve: release } = Promise.withResolvers();
    other.answer = async (request, send) => {
      if (request.url.endsWith("/me") && request.headers.get("Authorization") !== null && other.requests.length === 1)
        return new Response("{}", { status: 401 });
      const answer = await send();
      if (request.url.endsWith("/refresh")) await held;
      return answer;
    };
    const asking = b.me();
    await until(() => other.requests.includes("POST /refresh"), "there is no refresh");
    network.answer = (request, send) =>
      request.url.endsWith("/me") && network.requests.length === 1 ? new Response("{}", { status: 401 }) : send();
    await a.me();
    const winner = await a.getAccessToken();
    release();
    await asking;
    assert.equal(await b.getAccessToken(), winner);
    assert.equal(JSON.parse(shared.items.get(`portcullis:${worker.url.origin}`)).access_token, winner);
  });
});

describe("a device that has signed in", () => {
  /** A client that records the device tokens that it sends and receives. */
  function openRecorded(options) {
    const opened = open(options);
    const sent = [];
    const received = [];
    opened.network.answer = async ({ url }, send, { body }) => {
      const response = await send();
      if (url.endsWith("/login")) sent.push(JSON.parse(body).device_token);
      if (response.ok)
        received.push(
          (
            await response
              .clone()
              .json()
              .catch(() => undefined)
          )?.device_token,
        );
      return response;
    };
    return { ...opened, sent, received };
  }

  test("logs in at once after a logout, while strangers' failures delay others, who are told how long", async () => {
    const shared = storage();
    const { client, person } = await signedIn({ mode: "storage", storage: shared });
    await client.logout();
    await worker.throttle(person);
    const again = open({ mode: "storage", storage: shared });
    assert.equal(
      (await again.client.login({ email: ` ${person.email.toUpperCase()}`, password: PASSWORD })).email,
      person.email,
    );
    await worker.throttle(person);
    const stranger = open({ mode: "storage", storage: storage() });
    await assert.rejects(stranger.client.login({ email: person.email, password: PASSWORD }), (error) => {
      assert.deepEqual([error.status, error.code], [429, "too_many_attempts"]);
      assert.ok(error.retryAfter > 60 && error.retryAfter <= 900, String(error.retryAfter));
      return true;
    });
    // A refused login is not repeated.
    assert.deepEqual(stranger.network.requests, ["POST /login"]);
  });

  test("sends the token of the user who logs in, whether by address, username or as typed, else the newest", async () => {
    const shared = storage();
    const { client, sent, received } = openRecorded({ mode: "storage", storage: shared });
    const [ada, bob] = [
      await client.register({ email: "Ada.Device@example.org", password: PASSWORD, username: "ada.device" }),
      await client.register({ email: "bob.device@example.org", password: PASSWORD }),
    ];
    const [ofAda, ofBob] = received;
    assert.ok(ofAda && ofBob && ofAda !== ofBob);
    const log = async (name, password = PASSWORD) => {
      await client.login({ ...name, password }).catch(() => {});
      return sent.at(-1);
    };
    assert.equal(await log({ email: "ada.DEVICE@example.org " }, "wrong"), ofAda);
    assert.equal(await log({ username: "Ada.Device" }, "wrong"), ofAda);
    assert.equal(await log({ email: "somebody.else@example.org" }, "wrong"), ofBob);
    // A login answers with a new token.
    assert.equal(await log({ username: ada.username }), ofAda);
    const next = received.filter(Boolean).at(-1);
    assert.notEqual(next, ofAda);
    assert.equal(await log({ email: "somebody.else@example.org" }, "wrong"), next);
    assert.equal(await log({ email: bob.email }, "wrong"), ofBob);
    // The account has another spelling of this address than the one that is typed.
    await client.register({ email: "ida.device@bücher.example", password: PASSWORD });
    const typed = { email: "ida.device@xn--bcher-kva.example" };
    await log(typed);
    const ofIda = received.filter(Boolean).at(-1);
    assert.notEqual(client.state.user.email, typed.email);
    await log({ email: bob.email });
    assert.equal(await log(typed, "wrong"), ofIda);
  });

  test("has a new token after a new password, none after the account is deleted, and at most five", async () => {
    const shared = storage();
    const { client } = open({ mode: "storage", storage: shared });
    const kept = () => JSON.parse(shared.getItem(`portcullis:${worker.url.origin}:devices`));
    const users = [];
    for (let count = 0; count < 6; count += 1) users.unshift((await worker.register()).email);
    for (const email of users.toReversed()) await client.login({ email, password: PASSWORD });
    assert.deepEqual(
      kept().map(({ names }) => names[0]),
      users.slice(0, 5),
    );
    const [before] = kept();
    const next = "purple otters juggle lanterns";
    await client.changePassword({ current_password: PASSWORD, new_password: next });
    assert.equal(kept().length, 5);
    assert.notEqual(kept()[0].token, before.token);
    await worker.throttle({ email: users[0] });
    await client.login({ email: users[0], password: next });
    await client.deleteMe();
    assert.deepEqual(
      kept().map(({ names }) => names[0]),
      users.slice(1, 5),
    );
  });

  test("is known in memory as long as the client exists", async () => {
    const { client, person } = await signedIn();
    await client.logout();
    await worker.throttle(person);
    await client.login({ email: person.email, password: PASSWORD });
    await worker.throttle(person);
    await rejects(open().client.login({ email: person.email, password: PASSWORD }), {
      status: 429,
      code: "too_many_attempts",
    });
  });
});

describe("a call that another user's login overtakes", () => {
  const paths = (network) => network.requests.map((request) => request.replace(/\/sessions\/.*/, "/sessions/{id}"));

  /** A client whose requests to a path the server has answered, without the client knowing, until `release` is called. */
  async function held(t, path, options) {
    const opened = await signedIn(options);
    const other = await worker.register();
    const { promise: gate, resolve: release } = Promise.withResolvers();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers();
    t.after(release);
    opened.network.answer = async ({ url }, send, init) => {
      const answer = await send();
      if (!new URL(url).pathname.startsWith(path)) return answer;
      arrive();
      // As the network does, it takes no longer than the signal lets it.
      const aborted = new Promise((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal.reason));
      });
      await Promise.race([gate, aborted]);
      return answer;
    };
    const login = async () => {
      await arrived;
      await opened.client.login({ email: other.email, password: PASSWORD });
    };
    return { ...opened, other, arrived, release, login };
  }

  const changed = { status: 409, code: "account_changed" };

  test("while it waits for a refresh is not sent", async (t) => {
    const { client, network, other, login, release } = await held(t, "/refresh");
    shiftClock(t, HOUR);
    const calls = [
      () => client.getAccessToken(),
      () => client.fetch(`${worker.url.origin}/me`),
      () => client.fetch(new Request(`${worker.url.origin}/me`, { method: "PATCH", body: "{}" })),
      () => client.me(),
      () => client.updateMe({ name: "Mallory" }),
      () => client.sessions(),
      () => client.endSession("0123456789_-abcdefghij"),
      () => client.logoutEverywhere(),
      () => client.changePassword({ current_password: PASSWORD, new_password: "purple otters juggle lanterns" }),
      () => client.deleteMe(),
    ];
    const refused = Promise.all(calls.map((call) => rejects(call(), changed)));
    await login();
    release();
    await refused;
    assert.deepEqual(
      network.requests.filter((request) => !/ \/(refresh|login|revoke)$/.test(request)),
      [],
    );
    const { email, name } = await client.me();
    assert.deepEqual([email, name], [other.email, null]);
  });

  test("is not sent again after a 401", async (t) => {
    const { client, network, other, login, release } = await held(t, "/me");
    network.answer = (
      (answer) => async (request, send) =>
        answer(request, request.url.endsWith("/me") ? () => new Response("{}", { status: 401 }) : send)
    )(network.answer);
    const calls = [
      client.fetch(`${worker.url.origin}/me`, { method: "DELETE" }),
      client.fetch(`${worker.url.origin}/me`),
    ];
    await login();
    release();
    for (const { status } of await Promise.all(calls)) assert.equal(status, 401);
    assert.deepEqual(
      paths(network).filter((path) => path !== "POST /revoke"),
      ["DELETE /me", "GET /me", "POST /login"],
    );
    assert.equal(client.state.user.email, other.email);
  });

  test("is not sent again after the refresh that a 401 caused", async (t) => {
    const { client, network, login, release } = await held(t, "/refresh");
    const answer = network.answer;
    network.answer = async (request, send, init) =>
      request.url.endsWith("/me") ? new Response("{}", { status: 401 }) : answer(request, send, init);
    const call = client.fetch(`${worker.url.origin}/me`, { method: "DELETE" });
    await login();
    release();
    assert.equal((await call).status, 401);
    assert.deepEqual(
      network.requests.filter((request) => request.endsWith("/me")),
      ["DELETE /me"],
    );
  });

  for (const [name, path, call] of [
    ["deleteMe", "/me", (client) => client.deleteMe()],
    ["logoutEverywhere", "/sessions", (client) => client.logoutEverywhere()],
    ["endSession", "/sessions/", async (client, { sid }) => client.endSession(sid)],
  ])
    for (const mode of ["memory", "storage"])
      test(`ends that user's session only: ${name} in ${mode} mode`, async (t) => {
        const { client, other, login, release, states } = await held(t, path, { mode, storage: storage() });
        const calling = call(client, decodeJwt(await client.getAccessToken()));
        // Its turn may come only after the call.
        const loggingIn = login();
        await Promise.race([loggingIn, setTimeout(500)]);
        release();
        await Promise.all([calling, loggingIn]);
        assert.equal(client.state.user?.email, other.email);
        assert.equal((await client.me()).email, other.email);
        assert.equal(states.at(-1), "signed_in,signed_in");
      });

  for (const [name, call] of [
    ["logoutEverywhere", (client) => client.logoutEverywhere()],
    ["endSession", (client, { sid }) => client.endSession(sid)],
  ])
    test(`ends that user's session only: ${name} whose turn comes after the login`, async (t) => {
      const { client, network, other, arrived, release } = await held(t, "/login");
      const session = decodeJwt(await client.getAccessToken());
      const loggingIn = client.login({ email: other.email, password: PASSWORD });
      await arrived;
      const calling = call(client, session);
      await until(() => network.requests.some((request) => request.startsWith("DELETE")), "nothing is deleted");
      await setTimeout(200);
      release();
      await Promise.all([loggingIn, calling]);
      assert.equal((await client.me()).email, other.email);
    });

  test("changes no password while it waits for its turn", async () => {
    const { client, network, person } = await signedIn();
    const other = await worker.register();
    const login = client.login({ email: other.email, password: PASSWORD });
    const next = "purple otters juggle lanterns";
    const change = rejects(client.changePassword({ current_password: PASSWORD, new_password: next }), changed);
    await login;
    await change;
    assert.ok(!network.requests.includes("POST /me/password"));
    assert.equal((await client.me()).email, other.email);
    await client.login({ email: person.email, password: PASSWORD });
  });

  test("as the same user goes on", async (t) => {
    const { client, person, release } = await held(t, "/refresh");
    shiftClock(t, HOUR);
    const calls = [client.me(), client.getAccessToken()];
    await client.login({ email: person.email, password: PASSWORD });
    release();
    const [{ email }, token] = await Promise.all(calls);
    assert.deepEqual([email, token], [person.email, await client.getAccessToken()]);
  });
});

describe("the client runs", () => {
  const bundle = () =>
    buildSync({
      entryPoints: [join(packed, "dist", "index.js")],
      bundle: true,
      format: "iife",
      globalName: "portcullis",
      write: false,
    }).outputFiles[0].text;

  test("in Node, and does not keep it running", async () => {
    const { email } = await worker.register();
    writeFileSync(
      join(folder, "run.mjs"),
      `import { createClient } from "@portcullis/client";
       const auth = createClient({ url: "${worker.url.origin}", mode: "storage", storage: {
         getItem: () => null, setItem() {}, removeItem() {} } });
       console.log((await auth.login({ email: "${email}", password: "${PASSWORD}" })).email);`,
    );
    const { stdout, stderr, status } = spawnSync(process.execPath, ["run.mjs"], {
      cwd: folder,
      encoding: "utf8",
      timeout: 10_000,
    });
    assert.deepEqual([status, stdout.trim()], [0, email], stderr);
  });

  test("in a Worker, through a service binding", async () => {
    const { email } = await worker.register();
    const script = `${bundle()}
      export default {
        async fetch(request, env) {
          const auth = portcullis.createClient({ url: "http://auth", fetch: (input, init) => env.auth.fetch(input, init) });
          await auth.login({ email: "${email}", password: "${PASSWORD}" });
          const { email } = await auth.me();
          await auth.logout();
          return Response.json({ email, status: auth.state.status });
        },
      };`;
    const pass = async (request) => {
      const { pathname } = new URL(request.url);
      const body = request.method === "GET" ? undefined : await request.text();
      const headers = Object.fromEntries(request.headers);
      return fetch(worker.url.origin + pathname, { method: request.method, headers, body });
    };
    const options = { modules: true, script, compatibilityDate: "2026-11-17", serviceBindings: { auth: pass } };
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({ ...options, cf: false, telemetry: { enabled: false } }),
    );
    try {
      const response = await miniflare.dispatchFetch("http://localhost/");
      assert.deepEqual(JSON.parse(await response.text()), { email, status: "signed_out" });
    } finally {
      await miniflare.dispose();
    }
  });

  test("where there is no more than in React Native", async () => {
    const { email } = await worker.register();
    const has = { fetch, Headers, Request, Response, URL, URLSearchParams, AbortController, queueMicrotask, console };
    const timers = { setTimeout: globalThis.setTimeout, clearTimeout };
    const context = vm.createContext({ ...has, ...timers, stored: storage() });
    const run = `${bundle()}
      globalThis.auth = portcullis.createClient({ url: "${worker.url.origin}", mode: "storage", storage: stored });
      auth.login({ email: "${email}", password: "${PASSWORD}" }).then(() => auth.me())`;
    assert.equal((await vm.runInContext(run, context)).email, email);
    await vm.runInContext("auth.logout().then(() => auth.close())", context);
  });

  test("on the secure storage of a phone, with the code of the guide", async () => {
    const guide = read("docs/guides/native-apps.md");
    const [, code] = guide.match(/^```js\n(.*?)^```/ms);
    const { email } = await worker.register();
    const keychain = new Map();
    // As asynchronous as the real one.
    const after = (work) => setTimeout(5).then(work);
    const SecureStore = {
      getItemAsync: (name) => after(() => keychain.get(name) ?? null),
      setItemAsync: (name, value) => after(() => void keychain.set(name, value)),
      deleteItemAsync: (name) => after(() => void keychain.delete(name)),
    };
    const module = code
      .replaceAll(/^import .*$/gm, "")
      .replaceAll("export ", "")
      .replaceAll("https://auth.example.com", worker.url.origin);
    const start = new Function("createClient", "SecureStore", `${module}\nreturn openAuth();`);
    const openAuth = async () => {
      const client = await start(createClient, SecureStore);
      clients.push(client);
      return client;
    };
    const first = await openAuth();
    await first.login({ email, password: PASSWORD });
    await until(() => keychain.size >= 2, "nothing is stored");
    const second = await openAuth();
    assert.equal((await second.me()).email, email);
    await second.updateMe({ name: "Ada" });
    await second.logout();
    await setTimeout(50);
    assert.deepEqual([...keychain.keys()], ["portcullis-devices"]);
    await worker.throttle({ email });
    const third = await openAuth();
    assert.equal((await third.login({ email, password: PASSWORD })).email, email);
  });
});

describe("second factors", () => {
  const CREDENTIAL = { id: "AAAA", type: "public-key", response: {} };
  const problem = (status, code, more) => Response.json({ status, code, detail: "…", ...more }, { status });

  test("a sign-in that needs one rejects with what it needs, and is completed as the same device", async () => {
    const person = await worker.register();
    const { client, network } = open();
    await client.login({ email: person.email, password: PASSWORD });
    await client.logout();
    const needs = { mfa_token: "pcmf_A", methods: ["code", "credential"] };
    let sent;
    network.answer = async (request, send, init) => {
      if (request.url.endsWith("/login")) return problem(401, "mfa_required", needs);
      if (request.url.endsWith("/login/mfa/options")) return Response.json({ publicKey: { challenge: "AAAA" } });
      if (!request.url.endsWith("/login/mfa")) return send();
      sent = JSON.parse(init.body);
      return Response.json((await worker.login(person)).body);
    };
    const error = await client.login({ email: person.email, password: PASSWORD }).catch((error) => error);
    assert.deepEqual([error.code, error.mfaToken, error.methods], ["mfa_required", "pcmf_A", needs.methods]);
    assert.equal(client.state.status, "signed_out");
    const user = await client.completeLogin({ mfa_token: error.mfaToken, code: "123456" });
    assert.deepEqual([user.email, client.state.status], [person.email, "signed_in"]);
    const { device_token, ...proof } = sent;
    assert.deepEqual(proof, { mfa_token: "pcmf_A", code: "123456" });
    assert.match(device_token, /^pcdt_/);
  });

  test("a refusal for want of a recent authentication causes no refresh, and reaches the page", async () => {
    const { client, network, person } = await signedIn();
    network.answer = async (request, send) => {
      if (request.url.endsWith("/sessions")) return problem(401, "step_up_required");
      if (request.url.endsWith("/other"))
        return new Response("", {
          status: 401,
          headers: { "WWW-Authenticate": 'Bearer error="insufficient_user_authentication"' },
        });
      return send();
    };
    await rejects(client.logoutEverywhere(), { status: 401, code: "step_up_required" });
    assert.equal((await client.fetch(`${worker.url.origin}/other`)).status, 401);
    assert.deepEqual(network.requests, ["DELETE /sessions", "GET /other"]);
    network.answer = undefined;

    const before = await client.getAccessToken();
    await rejects(client.stepUp({ password: "wrong" }), { status: 403, code: "wrong_password" });
    assert.equal((await client.stepUp({ password: PASSWORD })).email, person.email);
    assert.notEqual(decodeJwt(await client.getAccessToken()).sid, decodeJwt(before).sid);
    assert.equal((await worker.me(before)).status, 401, "the session before it has ended");
    assert.equal(await client.logoutEverywhere({ exceptCurrent: true }), 1);
  });

  /** A client whose passkeys are those of `get`. */
  async function withPasskeys(get) {
    const person = await worker.register();
    const asked = [];
    const authenticator = {
      get: (options, ceremony) => {
        asked.push([options.challenge, ceremony.mediation]);
        return get(ceremony);
      },
    };
    const opened = open({ authenticator });
    let count = 0;
    opened.network.answer = async (request, send, init) => {
      if (request.url.endsWith("/passkeys/options")) {
        count += 1;
        return Response.json({ publicKey: { challenge: String(count), timeout: 300_000 } });
      }
      if (!request.url.endsWith("/passkeys/login")) return send();
      assert.deepEqual(JSON.parse(init.body).credential, CREDENTIAL);
      return Response.json((await worker.login(person)).body);
    };
    return { ...opened, person, asked };
  }
  const aborted = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))));

  test("a login with a passkey needs no name", async () => {
    const { client, person } = await withPasskeys(async () => CREDENTIAL);
    assert.equal((await client.passkeys.login()).email, person.email);
    assert.equal(client.state.status, "signed_in");
  });

  test("what goes wrong on the device has a code", async () => {
    const codes = {
      NotAllowedError: "passkey_cancelled",
      AbortError: "passkey_cancelled",
      InvalidStateError: "passkey_exists",
    };
    for (const [name, code] of Object.entries({ ...codes, SecurityError: "passkey_failed" })) {
      const { client } = await withPasskeys(() => Promise.reject(new DOMException("", name)));
      await rejects(client.passkeys.login(), { status: 0, code });
    }
    // Node has no passkeys.
    await rejects(open().client.passkeys.login(), { status: 0, code: "passkeys_unsupported" });
  });

  test("a form that waits for a passkey gets new options before the old ones expire", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval", "Date"], now: Date.now() });
    let choose;
    const chosen = new Promise((resolve) => (choose = resolve));
    const { client, asked } = await withPasskeys((ceremony) => Promise.race([chosen, aborted(ceremony)]));
    const login = client.passkeys.login({ mediation: "conditional" });
    await until(() => asked.length >= 1, "no passkey is asked for");
    t.mock.timers.tick(239_000);
    await setTimeout(20);
    assert.deepEqual(asked, [["1", "conditional"]]);
    t.mock.timers.tick(5_000);
    await until(() => asked.length >= 2, "no passkey is asked for again");
    assert.deepEqual(asked[1], ["2", "conditional"]);
    choose(CREDENTIAL);
    await login;
    assert.equal(client.state.status, "signed_in");
  });

  test("one request for a passkey ends the one before, and a signal ends it too", async () => {
    let isFirst = true;
    const { client, asked } = await withPasskeys((ceremony) => {
      if (!isFirst) return Promise.resolve(CREDENTIAL);
      isFirst = false;
      return aborted(ceremony);
    });
    const cancelled = { status: 0, code: "passkey_cancelled" };
    const first = rejects(client.passkeys.login({ mediation: "conditional" }), cancelled);
    await until(() => asked.length >= 1, "no passkey is asked for");
    await client.passkeys.login();
    await first;
    isFirst = true;
    const controller = new AbortController();
    const second = rejects(client.passkeys.login({ mediation: "conditional", signal: controller.signal }), cancelled);
    await until(() => asked.length >= 3, "no passkey is asked for");
    controller.abort();
    await second;
  });

  test("the id of a passkey cannot change the path", async () => {
    const { client, network } = await signedIn();
    for (const id of ["", "..", "a/b"]) await assert.rejects(client.passkeys.remove(id), TypeError);
    assert.deepEqual(network.requests, []);
  });
});
