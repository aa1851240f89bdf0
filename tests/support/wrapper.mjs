// The Worker that tests/support/runtime.mjs starts: the built one, with D1 and KV that delay, fail and lose what the test says.
//
// A request names in the header X-Test, as JSON, its `number`, which is logged once it is answered, and the `url` to show to the
// Worker, if it is not the one it was sent to.
//
// In the header X-Plan, as JSON, a request names its plan; the scheduled event asks the test for one. `at` is the number of a
// storage call, from 1 on, or "each"; with `only` just calls of that kind are counted. `does` is what happens to it:
//
//   hold           it waits until the test releases it, or the client has reset the connection, and then takes place
//   hold answer    it takes place, and its answer waits
//   hold for ever  it waits for the test alone, whatever the client does
//   fail           it is refused, and nothing takes place
//   lose           it takes place, and is answered as if it had failed
//
// With an `id` the test is told that the request is there, when a call is held, and what was called, once all that the request
// began has ended.

import "./prelude.mjs";

/** By how many milliseconds the test has put the clock ahead. */
let ahead = 0;
const now = Date.now;
Date.now = () => now() + ahead;

/** What answers, and the bindings that it is given: those of workerd, until the test configures others. */
let instance, bindings;
async function use(number, env) {
  [instance, bindings] = [(await import(`./instance-${number}.mjs`)).default, env];
}

/** Does what the test asks of the wrapper itself. */
async function follow({ instance, configuration, statements, method, values, advance }, { DB, REVOCATIONS, TEST }) {
  if (advance !== undefined) {
    ahead += advance;
    return ahead;
  }
  if (configuration !== undefined) return use(instance, { DB, REVOCATIONS, TEST, ...configuration });
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
    if (instance === undefined) await use(0, env);
    // A URL arrives in its normal form, as from Cloudflare.
    const seen = url ?? new URL(request.url).href;
    if (seen !== request.url) request = new Request(seen, request);
    const plan = request.headers.get("X-Plan");
    try {
      if (plan === null) return await instance.fetch(request, bindings, ctx);
      const run = new Run(JSON.parse(plan), bindings, ctx, request.signal);
      try {
        return await instance.fetch(request, run.env, run.ctx);
      } finally {
        run.answered();
      }
    } finally {
      if (number !== undefined) console.log(JSON.stringify({ test: "answered", number }));
    }
  },

  async scheduled(event, env, ctx) {
    if (instance === undefined) await use(0, env);
    const plan = await env.TEST.fetch("http://test/plan");
    const run = new Run(await plan.json(), bindings, ctx);
    try {
      await instance.scheduled(event, run.env, run.ctx);
    } finally {
      run.answered();
    }
  },
};

class Run {
  #plan;
  #test;
  #left;
  #calls = [];
  #pending = 1;
  #isAnswered = false;

  constructor(plan, env, ctx, signal) {
    const { DB, REVOCATIONS, TEST } = env;
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
      // The crate `worker` looks the other methods up, too.
      REVOCATIONS: { ...REVOCATIONS, get: kv("get"), put: kv("put"), getWithMetadata() {}, list() {}, delete() {} },
    };
    this.ctx = {
      waitUntil: (promise) => {
        this.#pending += 1;
        ctx.waitUntil(promise);
        promise.then(
          () => this.#ended(),
          () => this.#ended(),
        );
      },
      passThroughOnException() {},
    };
  }

  answered() {
    this.#isAnswered = true;
    this.#ended();
  }

  #ended() {
    this.#pending -= 1;
    if (this.#pending === 0) this.#say("ended", this.#calls);
  }

  async #call(kind, key, make) {
    this.#calls.push({ kind, key, at: Date.now(), behindAnswer: this.#isAnswered });
    const does = this.#isMeant(kind) ? this.#plan.does : undefined;
    if (does === "hold") await Promise.race([this.#held(), this.#left]);
    if (does === "hold for ever") await this.#held();
    if (does === "fail") throw new Error("injected: not done");
    const answer = await make();
    if (does === "lose") throw new Error("injected: done, and its answer lost");
    if (does === "hold answer") await Promise.race([this.#held(), this.#left]);
    return answer;
  }

  #isMeant(kind) {
    const { at, only = kind } = this.#plan;
    const number = this.#calls.filter((call) => call.kind === only).length;
    return kind === only && (at === "each" || at === (this.#plan.only === undefined ? this.#calls.length : number));
  }

  // Until the test releases it.
  #held() {
    return this.#test.fetch(`http://test/held/${this.#plan.id}`);
  }

  // By the log: it is no work that the runtime would have to wait for.
  #say(what, calls) {
    const { id } = this.#plan;
    if (id !== undefined) console.log(JSON.stringify({ test: what, id, calls }));
  }
}
