// The Worker that tests/support/runtime.mjs starts. It wraps the built Worker, and delays, fails or loses calls of D1,
// KV and the static assets as the test plans.
//
// The header X-Test of a request is JSON: its `number`, which is logged after the response, and the `url` that the
// Worker sees, if it differs from the requested one.
//
// The header X-Cf of a request is what the platform knows of its client (`request.cf`), as JSON.
//
// The variable METRICS is "records" or "throws": a binding of Workers Analytics Engine that does so with data points.
// workerd would drop them.
//
// The variable SEND_EMAIL replaces the binding that sends mails: by none if it is "none", otherwise by one whose every mail fails with
// this code.
//
// The header X-Plan of a request is its plan, as JSON. A scheduled event fetches its plan from the test. `at` is the
// number of a storage call, from 1 on, or "each". With `only`, only calls of that kind count. `does` is what happens:
//
//   hold           the call waits until the test releases it or the client resets the connection
//   hold answer    the call takes place, and its result waits likewise
//   hold for ever  the call waits until the test releases it, whatever the client does
//   fail           the call is an error and does not take place
//   lose           the call takes place, and its result is an error
//   status N       the call does not take place, and its result is a response of that status (static assets only)
//
// A plan with an `id` reports to the test when the request arrives, when a call is held, and, once all work of the
// request has ended, the calls that it made.

import "./prelude.mjs";

import { instantiate } from "./build.mjs";
import { CLOCKS } from "./clocks.mjs";

/** The time by which the test has advanced the clock, in milliseconds. */
let ahead;
const real = { now: Date.now, wait: setTimeout };

/** Begins with the clock of this name, or that of the machine. */
function setClock(name) {
  const { now, wait } = { ...real, ...(name === undefined ? {} : CLOCKS[name](real)) };
  ahead = 0;
  Date.now = () => now() + ahead;
  globalThis.setTimeout = wait;
}
setClock();

/** The handler and its bindings, which are those of workerd until the test configures others. */
let instance, bindings;
/** The last instances with their bindings, by number. Older ones are freed. */
const kept = new Map();
const MAX_KEPT = 8;
let instances = 0;

/** Continues as a new instance, and returns its number. */
function use(env) {
  const metrics = METRICS[env.METRICS];
  instance = instantiate();
  bindings = { ...env, ...(metrics ? { METRICS: metrics } : {}), SEND_EMAIL: sender(env.SEND_EMAIL) };
  instances += 1;
  kept.set(instances, [instance, bindings]);
  kept.delete(instances - MAX_KEPT);
  return instances;
}

function sender(binding) {
  if (typeof binding !== "string") return binding;
  if (binding === "none") return undefined;
  const send = async () => {
    throw Object.assign(new Error("injected: the mail is not sent"), { code: binding });
  };
  return { send };
}

const METRICS = {
  records: { writeDataPoint: (point) => console.log(JSON.stringify({ test: "point", point })) },
  throws: {
    writeDataPoint() {
      throw new TypeError("injected: the data point is refused");
    },
  },
};

/** The stand-ins of rate limiters by name, and the keys that they were asked. */
let limiters = {};
const asked = [];

/**
 * A rate limiter that counts exactly, because the windows of a real one turn with the minute of the clock. The crate
 * `worker` checks the name of its class. With "fail" as its limit, it throws.
 */
class Ratelimit {
  #counts = new Map();

  constructor(name, limit) {
    Object.assign(this, { name, allowed: limit });
  }

  async limit({ key }) {
    asked.push(`${this.name} ${key}`);
    if (this.allowed === "fail") throw new Error("injected: the rate limiter does not answer");
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return { success: count <= this.allowed };
  }
}

/** Replaces the stand-ins, by limits of their names; `null` removes a binding. */
function limit(limits) {
  const standIn = ([name, limit]) => [name, limit === null ? undefined : new Ratelimit(name, limit)];
  limiters = Object.fromEntries(Object.entries(limits).map(standIn));
}

/** The number of the Worker among those that ran in this workerd. */
let worker = 0;

/** The database and the namespace of the Worker. */
const storage = (env) => ({ DB: env[`DB_${worker}`], REVOCATIONS: env[`REVOCATIONS_${worker}`] });

/** The bindings that are not variables. */
function resources(env) {
  const isResource = ([name]) => ["ASSETS", "SEND_EMAIL", "TEST"].includes(name) || name.startsWith("LIMIT_");
  return { ...Object.fromEntries(Object.entries(env).filter(isResource)), ...storage(env) };
}

/** The number of requests, scheduled events and promises of `waitUntil` that have not ended. */
let running = 0;

function counted(promise) {
  const end = () => (running -= 1);
  running += 1;
  promise.then(end, end);
  return promise;
}

const countedContext = (ctx) => ({
  waitUntil: (promise) => ctx.waitUntil(counted(promise)),
  passThroughOnException() {},
});

/** Runs a command that the test sends to the wrapper itself. */
async function follow({ configuration, statements, method, values, advance, limits, ...order }, env) {
  const { DB, REVOCATIONS } = storage(env);
  if (order.worker !== undefined) {
    [worker, limiters] = [order.worker, {}];
    kept.clear();
    setClock();
    return asked.splice(0);
  }
  if (order.resume !== undefined) {
    [instance, bindings] = kept.get(order.resume);
    return;
  }
  if (order.clock !== undefined) return setClock(order.clock);
  if (order.running) return running;
  if (order.heard !== undefined) return console.log(JSON.stringify({ test: "answered", number: order.heard }));
  if (advance !== undefined) {
    ahead += advance;
    return ahead;
  }
  if (limits !== undefined) return limit(limits);
  if (order.asked) return asked.splice(0);
  if (configuration !== undefined) return use({ ...resources(env), ...configuration });
  if (method === "deleteAll") return Promise.all(values[0].map((key) => REVOCATIONS.delete(key)));
  if (method !== undefined) return REVOCATIONS[method](...values);
  return DB.batch(statements.map(({ sql, values }) => DB.prepare(sql).bind(...values)));
}

export default {
  async fetch(request, env, ctx) {
    const { order, number, url } = JSON.parse(request.headers.get("X-Test") ?? "{}");
    if (order) {
      return follow(await request.json(), env).then(
        (done) => Response.json({ done }),
        ({ message }) => Response.json({ error: message }),
      );
    }
    return counted(serve(request, { number, url }, env, ctx));
  },

  scheduled(event, env, ctx) {
    return counted(runScheduled(event, env, ctx));
  },
};

async function serve(request, { number, url }, env, ctx) {
  if (instance === undefined) use({ ...env, ...storage(env) });
  // The URL is normalized, as Cloudflare does.
  const seen = url ?? new URL(request.url).href;
  if (seen !== request.url) request = new Request(seen, request);
  const cf = request.headers.get("X-Cf");
  if (cf !== null) request = new Request(request, { cf: JSON.parse(cf) });
  const plan = request.headers.get("X-Plan");
  try {
    const seenBindings = { ...bindings, ...limiters };
    if (plan === null) return await instance.fetch(request, seenBindings, countedContext(ctx));
    const run = new Run(JSON.parse(plan), seenBindings, ctx, request.signal);
    try {
      return await instance.fetch(request, run.env, run.ctx);
    } finally {
      run.responded();
    }
  } finally {
    if (number !== undefined) console.log(JSON.stringify({ test: "answered", number }));
  }
}

async function runScheduled(event, env, ctx) {
  if (instance === undefined) use({ ...env, ...storage(env) });
  const plan = await env.TEST.fetch("http://test/plan");
  const run = new Run(await plan.json(), bindings, ctx);
  try {
    await instance.scheduled(event, run.env, run.ctx);
  } finally {
    run.responded();
  }
}

class Run {
  #plan;
  #test;
  #left;
  #calls = [];
  #pending = 1;
  #hasResponded = false;

  constructor(plan, env, ctx, signal) {
    const { DB, REVOCATIONS, ASSETS, TEST } = env;
    this.#plan = plan;
    this.#test = TEST;
    this.#left = new Promise((resolve) => signal?.addEventListener("abort", resolve));
    this.#say("begun");
    const kv =
      (kind) =>
      (key, ...rest) =>
        this.#call(kind, key, () => REVOCATIONS[kind](key, ...rest));
    this.env = {
      ...env,
      DB: {
        prepare: (sql) => DB.prepare(sql),
        batch: (statements) => this.#call("batch", undefined, () => DB.batch(statements)),
      },
      ASSETS: { fetch: (...values) => this.#call("asset", undefined, () => ASSETS.fetch(...values)) },
      // The crate `worker` looks up the other methods too, but calls none of them.
      REVOCATIONS: { ...REVOCATIONS, get: kv("get"), put: kv("put"), getWithMetadata() {}, list() {}, delete() {} },
    };
    this.ctx = {
      waitUntil: (promise) => {
        this.#pending += 1;
        ctx.waitUntil(counted(promise));
        promise.then(
          () => this.#ended(),
          () => this.#ended(),
        );
      },
      passThroughOnException() {},
    };
  }

  responded() {
    this.#hasResponded = true;
    this.#ended();
  }

  #ended() {
    this.#pending -= 1;
    if (this.#pending === 0) this.#say("ended", this.#calls);
  }

  async #call(kind, key, make) {
    this.#calls.push({ kind, key, at: Date.now(), afterResponse: this.#hasResponded });
    const does = this.#isMeant(kind) ? this.#plan.does : undefined;
    if (does === "hold") await Promise.race([this.#held(), this.#left]);
    if (does === "hold for ever") await this.#held();
    if (does === "fail") throw new Error("injected: the call did not take place");
    if (does?.startsWith("status ")) return new Response("injected", { status: Number(does.slice("status ".length)) });
    const answer = await make();
    if (does === "lose") throw new Error("injected: the call took place, and its result is lost");
    if (does === "hold answer") await Promise.race([this.#held(), this.#left]);
    return answer;
  }

  #isMeant(kind) {
    const { at, only = kind } = this.#plan;
    const number = this.#calls.filter((call) => call.kind === only).length;
    return kind === only && (at === "each" || at === (this.#plan.only === undefined ? this.#calls.length : number));
  }

  /** Waits until the test releases the call. */
  #held() {
    return this.#test.fetch(`http://test/held/${this.#plan.id}`);
  }

  // Reports by the log, because the runtime does not wait for that.
  #say(what, calls) {
    const { id } = this.#plan;
    if (id !== undefined) console.log(JSON.stringify({ test: what, id, calls }));
  }
}
