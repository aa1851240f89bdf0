// The built Worker in workerd, with D1 and KV on disk and no proxy, which would hide a client's disconnect from the
// Worker. tests/support/wrapper.mjs runs in front of the Worker and delays or fails storage calls as a test plans.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { convertV4MiniflareOptions, Miniflare } from "miniflare";

import { read, readToml } from "../../scripts/lib.mjs";
import { exchange } from "./exchange.mjs";
import { keeps } from "./kept.mjs";
import { DATABASE_ID } from "./local-d1.mjs";
import { problemOf } from "./log-lines.mjs";
import { patiently } from "./patience.mjs";
import { Database, namespace } from "./storage.mjs";

const NAME = "portcullis";
const WRAPPER = fileURLToPath(new URL("./wrapper.mjs", import.meta.url));
const CLOCKS = fileURLToPath(new URL("./clocks.mjs", import.meta.url));
/** The maximum number of Workers that run in one workerd one after the other, each with its own database and namespace. */
const WORKERS = 64;

/** Runtimes whose Worker is closed, for the next ones of this process; see tests/support/kept.mjs. */
const idle = [];
const closeIdle = () => Promise.all(idle.splice(0).map(({ miniflare }) => miniflare.dispose()));

// V8 compiles a function of the Worker a second time, with its optimizing compiler, only if it runs much more often than by
// default: most tests end before that pays. The functions that compute hashes still reach this at once. Miniflare passes it on.
process.env.MINIFLARE_WORKERD_V8_FLAGS ??= "--wasm-tiering-budget=400000000";

/** The rate limiters of wrangler.toml, with limits that no test reaches. */
const UNLIMITED = Object.fromEntries(readToml("wrangler.toml").ratelimits.map(({ name }) => [name, 1_000_000]));

/** Rate limiters of miniflare with these limits in a minute. */
function ratelimits(limits) {
  const limiters = Object.entries(limits).map(([name, limit]) => [
    name,
    { namespace_id: name, simple: { limit, period: 60 } },
  ]);
  return Object.fromEntries(limiters);
}

/** The static assets, as a Worker of their own: the platform puts its router in front of the Worker to which they belong. */
const ASSETS = {
  name: "assets",
  modules: true,
  script: "export default { fetch: (request, env) => env.ASSETS.fetch(request) };",
  compatibilityDate: readToml("wrangler.toml").compatibility_date,
  assets: {
    directory: resolve(readToml("wrangler.toml").assets.directory),
    binding: "ASSETS",
    assetConfig: { html_handling: readToml("wrangler.toml").assets.html_handling },
    routerConfig: { has_user_worker: true, invoke_user_worker_ahead_of_assets: true },
  },
};

/**
 * A running Worker and what a test needs to inspect it. `bindings`: its configuration. `clock`: one of tests/support/clocks.mjs. The
 * other options start a workerd that no other Worker uses. `prelude`: JavaScript that runs before the build. `limits`: the limits of
 * rate limiters in a minute, whose windows turn with that of the clock. `folder`: one of wrangler, with the database that the Worker
 * uses, which has the schema.
 */
export class Runtime {
  log = new Log();
  /** The data points that the binding METRICS recorded. */
  points = [];
  db = new Database((statements) => this.#command({ statements }));
  kv = namespace((method, values) => this.#command({ method, values }));
  #plans = new Plans();
  #answers = new Map();
  /** The number of Workers that ran in this workerd before, and their maximum with this one. */
  #earlier = 0;
  #workers;

  constructor(workers) {
    this.#workers = workers;
  }

  static async start(bindings, { clock, ...options } = {}) {
    const isShared = Object.keys(options).length === 0 && keeps(closeIdle);
    const waiting = isShared ? idle.pop() : undefined;
    await waiting?.#follow(bindings);
    const runtime = waiting ?? (await Runtime.#launch(bindings, isShared ? { workers: WORKERS } : options));
    if (clock !== undefined) await runtime.#command({ clock });
    if (options.folder !== undefined) return runtime;
    const migrations = readdirSync("migrations").sort();
    const schema = migrations.map((name) => readFileSync(join("migrations", name), "utf8"));
    await runtime.db.batch(schema.map((sql) => runtime.db.prepare(sql)));
    return runtime;
  }

  static async #launch(bindings, { prelude = "", limits = {}, workers = 1, folder }) {
    const runtime = new Runtime(workers);
    const ofEachWorker = (name) =>
      Object.fromEntries(Array.from({ length: workers }, (_, number) => [`${name}_${number}`, `${name}-${number}`]));
    assert.doesNotMatch(read("wrangler.toml"), /^compatibility_flags/m, "these tests set no compatibility flags");
    const miniflare = startedInMemory(
      convertV4MiniflareOptions({
        workers: [
          {
            name: NAME,
            modules: modules(prelude),
            modulesRoot: resolve("dist"),
            compatibilityDate: readToml("wrangler.toml").compatibility_date,
            bindings,
            d1Databases: folder === undefined ? ofEachWorker("DB") : { DB_0: DATABASE_ID },
            kvNamespaces: ofEachWorker("REVOCATIONS"),
            ratelimits: ratelimits({ ...UNLIMITED, ...limits }),
            email: { send_email: [{ name: "SEND_EMAIL" }] },
            serviceBindings: { ASSETS: ASSETS.name, TEST: (request) => runtime.#plans.answer(request) },
            unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
          },
          ASSETS,
        ],
        resourcePersistencePath: folder && join(folder, "v3"),
        handleStructuredLogs: ({ message }) => runtime.#hear(message),
        cf: false,
        // Keeps what the binding SEND_EMAIL is given.
        unsafeLocalExplorer: true,
        telemetry: { enabled: false },
      }),
    );
    return Object.assign(runtime, { miniflare, url: await miniflare.unsafeGetDirectURL(NAME) });
  }

  /** Becomes the runtime of another Worker with a new isolate's state, clock, database and namespace. */
  async #follow(bindings) {
    this.#earlier += 1;
    await this.#command({ worker: this.#earlier });
    await this.configure(bindings);
    this.log.take();
    this.points.splice(0);
  }

  /**
   * Sends a request by `how`, which is like `fetch`, to a path or a whole URL, which the Worker sees unchanged. Resolves once `log`
   * contains what the Worker logged before its response.
   */
  async ask(how, target, { headers, ...init } = {}) {
    const number = this.#answers.size + 1;
    const logged = Promise.withResolvers();
    this.#answers.set(number, logged);
    const path = target.startsWith("/") ? target : target.replace(/^[a-z]+:\/\/[^/]*/, "") || "/";
    const test = { number, url: target === path ? undefined : target };
    const sent = new Headers(headers);
    sent.set("X-Test", JSON.stringify(test));
    const response = await how(`${this.url.origin}${path}`, { ...init, headers: sent });
    await patiently(logged.promise, "the log does not have the response");
    return response;
  }

  /** Resolves once `log` contains what the Worker has logged. */
  async heard() {
    const number = this.#answers.size + 1;
    const logged = Promise.withResolvers();
    this.#answers.set(number, logged);
    await this.#command({ heard: number });
    await patiently(logged.promise, "the log is not complete");
  }

  /** Continues with another configuration, as a new instance of the Worker, on the same data. Returns its number. */
  configure(bindings) {
    return this.#command({ configuration: bindings });
  }

  /** Continues as one of the last instances, with the state in which it was left. */
  resume(number) {
    return this.#command({ resume: number });
  }

  /** Advances the Worker's clock, not that of D1. */
  advance(milliseconds) {
    return this.#command({ advance: milliseconds });
  }

  /** Replaces rate limiters by stand-ins; see tests/support/wrapper.mjs. */
  limit(limits) {
    return this.#command({ limits });
  }

  /** The keys that the stand-ins were asked since the last call, such as "LIMIT_WRITES session:x". */
  asked() {
    return this.#command({ asked: true });
  }

  /** Sends a command to the wrapper. */
  async #command(order) {
    const headers = new Headers({ "X-Test": '{"order":true}' });
    const { text } = await exchange(this.url, { method: "POST", headers, body: JSON.stringify(order) });
    const { done, error } = JSON.parse(text);
    if (error !== undefined) throw new Error(error);
    return done;
  }

  /** A plan of tests/support/wrapper.mjs for one request. */
  plan(plan) {
    return this.#plans.watch(plan);
  }

  /** Runs the scheduled event of a cron expression according to a plan, or a watched one. Resolves once all its work has ended. */
  async schedule(cron, plan = {}) {
    const watched = plan instanceof Watched ? plan : this.#plans.watch(plan);
    this.#plans.scheduled = watched.plan;
    try {
      await this.miniflare.getWorker(NAME).then((worker) => worker.scheduled({ cron }));
      await watched.untilEnded();
    } finally {
      this.#plans.scheduled = {};
    }
    return watched;
  }

  /** What the simulated binding SEND_EMAIL was given since this workerd started, the newest first. */
  async sentMails() {
    const api = new URL("/cdn-cgi/local/explorer/api/local/email/sending", await this.miniflare.ready);
    const { result } = await (await fetch(api)).json();
    const whole = result.map(async ({ messageId }) => {
      const query = new URLSearchParams({ email_id: messageId.replaceAll(/[<>]/g, "") });
      return (await (await fetch(`${api}?${query}`)).json()).result;
    });
    return Promise.all(whole);
  }

  async close() {
    // Work of this Worker that goes on would log lines during the next test.
    if (this.#workers > this.#earlier + 1 && (await this.#isIdle().catch(() => false))) idle.push(this);
    else await this.miniflare.dispose();
    // Not thrown here, so that the test closes what else it has opened.
    setImmediate(() => this.log.check());
  }

  /** Waits shortly until all work has ended. */
  async #isIdle() {
    for (let tries = 0; tries < 20; tries += 1) {
      if ((await this.#command({ running: true })) === 0) return true;
      await setTimeout(10);
    }
    return false;
  }

  #hear(message) {
    if (!message.startsWith('{"test"')) return this.log.add(message);
    const { test, ...said } = JSON.parse(message);
    if (test === "answered") this.#answers.get(said.number).resolve();
    else if (test === "point") this.points.push(said.point);
    else this.#plans.hear(test, said);
  }
}

/** A folder in memory, if the machine has it. */
const MEMORY = "/dev/shm";

/** Starts miniflare, with its files in memory if there is enough: D1 writes them often, and nobody reads them later. */
function startedInMemory(options) {
  const { TMPDIR } = process.env;
  const { bavail, bsize } = existsSync(MEMORY) ? statfsSync(MEMORY) : { bavail: 0, bsize: 0 };
  if (bavail * bsize > 2 ** 29) process.env.TMPDIR = MEMORY;
  try {
    return new Miniflare(options);
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
}

function modules(prelude) {
  const inDist = (name) => resolve("dist", name);
  const module = (name, contents) => ({ type: "ESModule", path: inDist(name), contents });
  const wasm = readdirSync("dist").filter((name) => name.endsWith(".wasm"));
  return [
    module("wrapper.mjs", readFileSync(WRAPPER, "utf8")),
    module("clocks.mjs", readFileSync(CLOCKS, "utf8")),
    module("prelude.mjs", prelude),
    module("build.mjs", repeatable(readFileSync(inDist("index.js"), "utf8"))),
    ...wasm.map((name) => ({ type: "CompiledWasm", path: inDist(name) })),
  ];
}

/**
 * The build, as a module whose function `instantiate` does what the evaluation of the build does, and returns its default export. A
 * module is evaluated only once, and never freed.
 */
function repeatable(build) {
  const imports = /^import .*;$/gm;
  const exported = /^export \{\n {2}(\w+|\$) as default\n\};$/gm;
  assert.equal(build.match(/^export\b/gm)?.length, 1, "the build exports something else than its handlers");
  assert.match(build, exported);
  const body = build.replaceAll(imports, "").replace(exported, "return $1;");
  return `${build.match(imports).join("\n")}\nexport function instantiate() {\n${body}\n}`;
}

/** The plans of requests, and what the wrapper reports about them. */
class Plans {
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

  hear(what, { id, calls }) {
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

  /** The header that makes a request follow the plan. */
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
    // The request ended without a call that the plan holds.
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

  /** Waits until all work of the request has ended. Returns its storage calls. */
  untilEnded() {
    return patiently(this.#ended.promise, "the work of the request does not end");
  }
}

/** The lines that the Worker logged. */
class Log {
  lines = [];
  #problems = [];

  add(line) {
    this.lines.push(line);
    const problem = problemOf(line);
    if (problem !== undefined) this.#problems.push(problem);
  }

  /** The lines since the last call. Fails if any does not follow the schema of the log. */
  take() {
    this.check();
    return this.lines.splice(0);
  }

  /** Fails if any line does not follow the schema of the log. */
  check() {
    assert.deepEqual(this.#problems.splice(0), []);
  }
}
