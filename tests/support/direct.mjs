// The built Worker in workerd without wrangler's proxy in front, which hides from a Worker that its client left. A wrapper
// Worker (tests/support/direct-worker.mjs) delays and fails its storage calls, and a client speaks HTTP over a TCP socket of its own.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_readConfig as readConfig, unstable_splitSqlQuery as splitSqlQuery } from "wrangler";

import { makeSecrets } from "../../scripts/secrets.mjs";
import { VARS, Worker } from "./harness.mjs";

const NAME = "portcullis";
const WRAPPER = fileURLToPath(new URL("./direct-worker.mjs", import.meta.url));
/** For how long something may be waited for that has to come, in milliseconds: only a test that fails waits so long. */
const PATIENCE = 20_000;

/** How much faster than elsewhere the time goes for an impatient Worker. */
const HASTE = 20;
/** A prelude by which what the Worker waits for at most, which are seconds, is that much shorter, and its clock as fast. */
export const IMPATIENT = `
  const real = { wait: setTimeout, now: Date.now, began: undefined };
  globalThis.setTimeout = (act, milliseconds) => real.wait(act, milliseconds / ${HASTE});
  // There is no clock before the first request.
  Date.now = () => (real.began ??= real.now()) + ${HASTE} * (real.now() - real.began);
`;

/** A prelude by which the clock can be put ahead, by a plan. */
export const LEAPING = `
  const now = Date.now;
  Date.now = () => now() + (globalThis.ahead ?? 0);
`;

/**
 * A running Worker, as `startWorker` of the harness gives it, whose clients are seen to leave. `prelude`: what stands in front
 * of what was built.
 */
export async function startDirect({ vars = {}, secrets = {}, prelude = "" } = {}) {
  const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } = readConfig({
    config: "wrangler.toml",
  });
  const bindings = { ...VARS, ...vars, ...makeSecrets(), ...secrets };
  const test = new TestService();
  const logs = new Logs();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: NAME,
      modules: modules(prelude),
      modulesRoot: resolve("dist"),
      compatibilityDate,
      compatibilityFlags,
      bindings,
      d1Databases: { DB: "db" },
      kvNamespaces: { REVOCATIONS: "kv" },
      serviceBindings: { TEST: (request) => test.answer(request) },
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      handleStructuredLogs: ({ message }) =>
        message.startsWith('{"test"') ? test.hear(JSON.parse(message)) : logs.add(message),
      cf: false,
      telemetry: { enabled: false },
    }),
  );
  const url = await miniflare.unsafeGetDirectURL(NAME);
  const [db, kv] = [await miniflare.getD1Database("DB"), await miniflare.getKVNamespace("REVOCATIONS")];
  for (const name of readdirSync("migrations").sort()) {
    await db.batch(
      splitSqlQuery(readFileSync(join("migrations", name), "utf8")).map((statement) => db.prepare(statement)),
    );
  }
  return new Direct({ miniflare, url, db, kv, test, logs, vars: bindings, secrets: bindings });
}

function modules(prelude) {
  const inDist = (name) => resolve("dist", name);
  const wrapper = { type: "ESModule", path: inDist("direct-worker.mjs"), contents: readFileSync(WRAPPER, "utf8") };
  const built = {
    type: "ESModule",
    path: inDist("index.js"),
    contents: prelude + readFileSync(inDist("index.js"), "utf8"),
  };
  const wasm = readdirSync("dist").filter((name) => name.endsWith(".wasm"));
  return [wrapper, built, ...wasm.map((name) => ({ type: "CompiledWasm", path: inDist(name) }))];
}

class Direct extends Worker {
  // What the harness asks of wrangler's test server.
  server = {
    fetch: (path, init) => fetch(new URL(path, this.url), init),
    getLogs: () => this.logs.lines.map((message) => ({ message })),
    clearLogs: () => this.logs.clear(),
    getWorker: () => this.miniflare.getWorker(NAME),
  };

  /** A request that follows a plan of tests/support/direct-worker.mjs, and the test of it. */
  plan(plan) {
    return this.test.watch(plan);
  }

  /** Sends a request over a connection of its own: all of it, or `part` of it. Resolves once it is on its way. */
  send(method, path, options, part) {
    return Client.send(this.url, method, path, options, part);
  }

  /** Runs the scheduled event of a cron expression as the plan says, to the end of all that it began. */
  async schedule(cron, plan = {}) {
    const watched = this.test.watch(plan);
    this.test.scheduled = watched.plan;
    try {
      await this.server.getWorker().then((worker) => worker.scheduled({ cron }));
    } finally {
      this.test.scheduled = {};
    }
    return watched;
  }

  /** The events logged since the last call, all of them, optionally of one kind. */
  async events(kind) {
    await this.#lastCosts();
    return super.events(kind);
  }

  /** The WebAssembly memory of the isolate, in KiB. It never shrinks. */
  async memory() {
    return (await this.#lastCosts()).memory_kib;
  }

  /** Lines come in the order they were written: with those of one more request, all are there. */
  async #lastCosts() {
    const { headers } = await this.get("/.well-known/jwks.json");
    const request = headers.get("x-request-id");
    return this.logs.find((event) => event.event === "costs" && event.request_id === request);
  }

  close() {
    return this.miniflare.dispose();
  }
}

/** What the wrapper Worker tells. */
class TestService {
  scheduled = {};
  #watched = new Map();

  watch(plan) {
    const watched = new Watched({ ...plan, id: this.#watched.size + 1 });
    this.#watched.set(watched.plan.id, watched);
    return watched;
  }

  async answer(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/plan") return Response.json(this.scheduled);
    await this.#watched.get(Number(pathname.split("/").at(-1))).held();
    return new Response();
  }

  hear({ test: what, id, calls }) {
    this.#watched.get(id)[what](calls);
  }
}

/** A request that follows a plan. */
class Watched {
  #begun = Promise.withResolvers();
  #held = Promise.withResolvers();
  #released = Promise.withResolvers();
  #ended = Promise.withResolvers();

  constructor(plan) {
    this.plan = plan;
  }

  /** What makes a request follow the plan. */
  get headers() {
    return { "X-Plan": JSON.stringify(this.plan) };
  }

  begun() {
    this.#begun.resolve();
  }

  held() {
    this.#held.resolve();
    return this.#released.promise;
  }

  ended(calls) {
    this.#ended.resolve(calls);
    // If it is not held there is no such call.
    this.#held.resolve(false);
  }

  /** Waits until the Worker has the headers of the request. */
  untilBegun() {
    return patiently(this.#begun.promise, "the request does not arrive");
  }

  /** Waits until a call is held; `false` if the request ended without it. */
  async untilHeld() {
    return (await patiently(this.#held.promise, "no call is held")) !== false;
  }

  release() {
    this.#released.resolve();
  }

  /** Waits for the end of all that the request began. The storage calls that it made. */
  untilEnded() {
    return patiently(this.#ended.promise, "what the request began does not end");
  }
}

/** The lines that the Worker logged. */
class Logs {
  lines = [];
  #waiting = new Set();

  add(line) {
    this.lines.push(line);
    for (const waiting of this.#waiting) waiting(line);
  }

  clear() {
    this.lines = [];
  }

  find(isWanted) {
    const event = (line) => (line.startsWith("{") ? JSON.parse(line) : {});
    const found = this.lines.map(event).find(isWanted);
    if (found) return found;
    const { promise, resolve } = Promise.withResolvers();
    const waiting = (line) => isWanted(event(line)) && resolve(event(line));
    this.#waiting.add(waiting);
    return patiently(promise, "a line of the log is missing").finally(() => this.#waiting.delete(waiting));
  }
}

/** One request on a connection of its own. */
export class Client {
  #received = "";
  #begun = Promise.withResolvers();
  #answered = Promise.withResolvers();
  #ended = Promise.withResolvers();

  /** `part`: "headers", "half" (of the body), or all of it. `chunked`: without telling the length. */
  static async send(
    url,
    method,
    path,
    { json, form, bearer, headers = {}, body, chunked = false, plan } = {},
    part = "all",
  ) {
    body ??= json === undefined ? new URLSearchParams(form).toString() : JSON.stringify(json);
    const head = {
      Host: url.host,
      "CF-Connecting-IP": "192.0.2.1",
      "User-Agent": "tests",
      ...(json === undefined && form === undefined
        ? {}
        : { "Content-Type": json ? "application/json" : "application/x-www-form-urlencoded" }),
      ...(chunked ? { "Transfer-Encoding": "chunked" } : { "Content-Length": Buffer.byteLength(body) }),
      ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
      ...(plan === undefined ? {} : plan.headers),
      ...headers,
    };
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
    const client = new Client(await connected(url));
    client.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    if (part === "headers") return client;
    const sent = part === "half" ? body.slice(0, body.length / 2) : body;
    if (chunked && sent !== "") client.write(`${Buffer.byteLength(sent).toString(16)}\r\n${sent}\r\n`);
    if (chunked && part === "all") client.write("0\r\n\r\n");
    if (!chunked) client.write(sent);
    return client;
  }

  constructor(socket) {
    this.socket = socket;
    socket.setEncoding("latin1").on("data", (text) => {
      this.#received += text;
      this.#begun.resolve();
      const answer = parsed(this.#received);
      if (answer) this.#answered.resolve(answer);
    });
    socket.on("end", () => this.#ended.resolve());
    // That the other side resets is one way of ending.
    socket.on("error", () => {}).on("close", () => this.#ended.resolve());
  }

  write(text) {
    this.socket.write(text);
  }

  /** Leaves by "RST", which resets the connection, or by "FIN", which closes it as if all was well. */
  leave(how) {
    const left = new Promise((resolve) => this.socket.once("close", resolve));
    if (how === "RST") this.socket.resetAndDestroy();
    else this.socket.destroy();
    return left;
  }

  /** Says that nothing more is sent, and stays. */
  halfClose() {
    this.socket.end();
  }

  /** Waits for the first byte of the answer. */
  begun() {
    return patiently(this.#begun.promise, "no answer begins");
  }

  /** Waits for the answer. */
  answer() {
    return patiently(this.#answered.promise, "there is no answer");
  }

  /** Waits until the other side closes the connection. */
  ended() {
    return patiently(this.#ended.promise, "the connection stays open");
  }
}

/** An answer of which all has come. */
function parsed(received) {
  const [head, ...rest] = received.split("\r\n\r\n");
  const [start, ...lines] = head.split("\r\n");
  const headers = new Headers(lines.map((line) => line.split(": ")));
  const [status, text] = [Number(start.split(" ")[1]), rest.join("\r\n\r\n")];
  if (rest.length === 0 || text.length < Number(headers.get("Content-Length"))) return undefined;
  return { status, headers, text, body: /json$/.test(headers.get("Content-Type")) ? JSON.parse(text) : undefined };
}

function connected(url) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const socket = connect({ host: url.hostname, port: Number(url.port), allowHalfOpen: true, noDelay: true }, () =>
    resolve(socket),
  );
  socket.once("error", reject);
  return promise;
}

async function patiently(promise, missing) {
  let timer;
  const late = new Promise(
    (_, reject) => (timer = setTimeout(reject, PATIENCE, new assert.AssertionError({ message: missing }))),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
