// The checks of the configuration before `npm run deploy`, with a stand-in for the Worker.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { createTestHarness, unstable_readConfig } from "wrangler";
import { check as checkFolder } from "../../packages/portcullis/src/check-config.mjs";
import { DEFAULTS, limiterProblems, secondAddress } from "../../packages/portcullis/src/config.mjs";
import { Failure } from "../../scripts/lib.mjs";
import { Checkout } from "../support/checkout.mjs";

let checkout, template;
before(() => {
  checkout = new Checkout();
  checkout.link("node_modules");
  template = checkout.read("wrangler.toml");
});
after(() => checkout.remove());

/** Writes a configuration, and a Worker that returns the result of `answer`, a function of `url` and `env`. */
function write(configure, answer) {
  checkout.write("wrangler.toml", configure(template));
  checkout.write(
    "build/release/index.js",
    `export default { fetch: (request, env) => (${answer})(new URL(request.url), env) };`,
  );
}

/** Runs the script with a configuration and a Worker. */
function run(configure, answer) {
  write(configure, answer);
  return checkout.node(["packages/portcullis/src/check-config.mjs"]);
}

/** Checks a configuration in this process. Returns the message of the failure, or `undefined`. */
async function check(configure, answer, makeHarness = quickHarness) {
  write(configure, answer);
  return checkFolder(checkout.folder, makeHarness).catch((error) => {
    assert.ok(error instanceof Failure, error);
    return error.message;
  });
}

/** Runs the Worker in this process, because two workerds take a second to start. */
function quickHarness({ root, workers: [{ config }] }) {
  // A module is evaluated once for each URL.
  const url = `${pathToFileURL(join(root, config.main))}?${crypto.randomUUID()}`;
  const fetch = async (address) => (await import(url)).default.fetch(new Request(address), config.vars);
  return { listen: async () => {}, getWorker: () => ({ fetch }), getLogs: () => [], close: async () => {} };
}

const unchanged = (text) => text;
const setTo = (name, value) => (text) =>
  text.replace(new RegExp(`^#? ?${name} = .*`, "m"), `${name} = ${JSON.stringify(value)}`);
const all =
  (...changes) =>
  (text) =>
    changes.reduce((text, change) => change(text), text);
/** Serves only at the issuer's address, as the Worker does. */
const strict = `(url, { ISSUER }) => {
  const there = url.href === ISSUER + "/healthz";
  return there ? new Response("{}") : Response.json({ code: "wrong_host" }, { status: 421 });
}`;

test("the Worker is checked at its ISSUER", async () => {
  for (const configure of [unchanged, setTo("ISSUER", "https://example.com/auth")]) {
    assert.equal(await check(configure, strict, createTestHarness), undefined);
  }
});

test("a second address is a warning and does not prevent the deployment", async () => {
  const routed = (text) =>
    text.replace(/^workers_dev = true$/m, '$&\nroutes = [{ pattern = "auth.example.com", custom_domain = true }]');
  const { code, stdout, stderr } = await run(all(routed, setTo("ISSUER", "https://auth.example.com")), strict);
  assert.deepEqual([code, stdout], [0, ""]);
  assert.match(stderr, /^\nwarning: workers_dev = true in addition to a route: .*\n$/);
});

test("each variable that the Worker refuses is reported by name, once", async () => {
  const misconfigured = `() => {
    for (const variable of ["AUDIENCE", "ROLES", "ROLES"]) console.log(JSON.stringify({ event: "misconfigured", variable, problem: "is wrong" }));
    return Response.json({ code: "misconfigured" }, { status: 503 });
  }`;
  const { code, stderr } = await run(unchanged, misconfigured);
  assert.deepEqual(
    [code, stderr],
    [
      1,
      "\nerror: the Worker refuses to serve with the variables in wrangler.toml:\n  AUDIENCE is wrong\n  ROLES is wrong\n",
    ],
  );
});

test("an ISSUER that is not a URL is refused by the Worker, not by the script", async () => {
  const misconfigured = `() => Response.json({ code: "misconfigured" }, { status: 503 })`;
  assert.match(await check(setTo("ISSUER", "auth.example.com"), misconfigured), /refuses to serve/);
});

test("the binding that sends mails must be in wrangler.toml", async () => {
  const ok = '() => new Response("{}")';
  const binding = all(setTo("MAIL", "binding"), setTo("MAIL_FROM", "auth@example.org"));
  assert.match(await check(binding, ok), /\[\[send_email\]\] with name = "SEND_EMAIL"/);
  const bound = (text) => text.replace(/^# (\[\[send_email\]\])\n# (name = "SEND_EMAIL")$/m, "$1\n$2");
  assert.equal(await check(all(binding, bound), ok), undefined);
});

test("a missing database does not prevent the deployment, but every other refusal does", async () => {
  const answers = { 503: '{ "code": "unhealthy" }', 421: '{ "code": "wrong_host" }', 404: "not JSON" };
  for (const [status, text] of Object.entries(answers)) {
    const found = await check(unchanged, `() => new Response(${JSON.stringify(text)}, { status: ${status} })`);
    if (status === "503") assert.equal(found, undefined);
    else assert.ok(found.includes(`answered http://localhost:8787/healthz with ${status}: ${text}`), found);
  }
});

test("a second address in addition to a route is reported with the setting that enables it", () => {
  const routed = 'routes = [{ pattern = "auth.example.com", custom_domain = true }]';
  const cases = [
    [["workers_dev = true", routed], "workers_dev = true"],
    [["workers_dev = true", 'route = "auth.example.com/*"'], "workers_dev = true"],
    [["workers_dev = false", "preview_urls = true", routed], "preview_urls = true"],
    [["workers_dev = true", "preview_urls = true", routed], "workers_dev = true and preview_urls = true"],
    [["workers_dev = true"], undefined],
    [["workers_dev = true", "routes = []"], undefined],
    [["workers_dev = false", routed], undefined],
    [[routed], undefined],
  ];
  for (const [lines, named] of cases) {
    checkout.write("addresses.toml", ['name = "addresses"', 'compatibility_date = "2026-11-17"', ...lines].join("\n"));
    const warning = secondAddress(unstable_readConfig({ config: checkout.path("addresses.toml") }));
    assert.equal(
      warning?.split(" in addition to a route: the Worker is also reachable at *.workers.dev")[0],
      named,
      lines.join("; "),
    );
  }
});

test("rate limiters that differ from RATE_LIMITS prevent the deployment", async () => {
  const limited = (name, simple) => (text) =>
    text.replace(new RegExp(`^(name = "${name}"\nnamespace_id = .*\n)simple = .*`, "m"), `$1simple = ${simple}`);
  const problem = "the rate limiters in wrangler.toml:\n  LIMIT_WRITES is 120/10, but RATE_LIMITS says 120/60";
  assert.equal(await check(limited("LIMIT_WRITES", "{ limit = 120, period = 10 }"), strict), problem);
  const said = setTo("RATE_LIMITS", "credentials=20/60, name=10/60, bad_token=60/60, writes = 120 / 10");
  assert.equal(await check(all(limited("LIMIT_WRITES", "{ limit = 120, period = 10 }"), said), strict), undefined);
});

test("the rate limiters in wrangler.toml are those of the default of RATE_LIMITS", () => {
  const { ratelimits } = unstable_readConfig({ config: "wrangler.toml" });
  assert.deepEqual(limiterProblems(ratelimits, DEFAULTS.RATE_LIMITS), []);
  const [first, ...others] = ratelimits;
  assert.deepEqual(limiterProblems(others), ["there is no [[ratelimits]] with the name LIMIT_CREDENTIALS"]);
  const shared = [first, { ...others[0], namespace_id: first.namespace_id }, ...others.slice(1)];
  assert.deepEqual(limiterProblems(shared), ["LIMIT_NAME has the namespace_id of another one"]);
  // Half of LIMIT_CREDENTIALS.
  const limitOf = (binding) => ratelimits.find(({ name }) => name === binding).simple;
  assert.equal(2 * limitOf("LIMIT_CHALLENGE").limit, limitOf("LIMIT_CREDENTIALS").limit);
});

test("a secret that a variable needs has a stand-in, and no other secret has one", async () => {
  for (const [variable, value, secret] of [
    ["MAIL", "http", "MAIL_KEY"],
    ["MAIL", "webhook", "MAIL_WEBHOOK_SECRET"],
    ["TURNSTILE_SITE_KEY", "1x00000000000000000000AA", "TURNSTILE_SECRET"],
    ["SOURCE_HEADER", "X-Real-IP", "SOURCE_SECRET"],
  ]) {
    const answer = `(url, env) => env.${secret} ? new Response("{}") : new Response("none", { status: 500 })`;
    assert.equal(await check(setTo(variable, value), answer), undefined);
    assert.match(await check(unchanged, answer), /with 500: none/, secret);
  }
});
