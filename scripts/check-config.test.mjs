// What `npm run deploy` looks at before it deploys, with a Worker in place of ours.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Checkout } from "../tests/checkout.mjs";

let checkout, template;
before(() => {
  checkout = new Checkout();
  checkout.link("node_modules");
  template = checkout.read("wrangler.toml");
});
after(() => checkout.remove());

/** Checks a configuration with a Worker that answers what this function of `url` and `env` returns. */
function check(configure, answer) {
  checkout.write("wrangler.toml", configure(template));
  checkout.write("build/index.js", `export default { fetch: (request, env) => (${answer})(new URL(request.url), env) };`);
  return checkout.node(["scripts/check-config.mjs"]);
}

const asItIs = (text) => text;
const setTo = (name, value) => (text) => text.replace(new RegExp(`^#? ?${name} = .*`, "m"), `${name} = ${JSON.stringify(value)}`);
const all = (...changes) => (text) => changes.reduce((text, change) => change(text), text);
/** As the Worker does it: only the issuer's own origin is answered. */
const strict = `(url, { ISSUER, BASE_PATH = "" }) => {
  const there = url.origin === new URL(ISSUER).origin && url.pathname === BASE_PATH + "/healthz";
  return there ? new Response("{}") : Response.json({ code: "wrong_host" }, { status: 421 });
}`;

test("the Worker is asked where it says that it is", async () => {
  for (const configure of [asItIs, setTo("ISSUER", "https://auth.example.com"), all(setTo("ISSUER", "https://example.com/auth"), setTo("BASE_PATH", "/auth"))]) {
    const { code, stdout, stderr } = await check(configure, strict);
    assert.deepEqual([code, stdout, stderr], [0, "", ""]);
  }
});

test("what the Worker refuses its configuration for is told by name, once", async () => {
  const misconfigured = `() => {
    for (const variable of ["AUDIENCE", "ROLES", "ROLES"]) console.log(JSON.stringify({ event: "misconfigured", variable, problem: "is wrong" }));
    return Response.json({ code: "misconfigured" }, { status: 503 });
  }`;
  const { code, stderr } = await check(asItIs, misconfigured);
  assert.deepEqual([code, stderr], [1, "\nerror: the Worker refuses to serve with the variables in wrangler.toml:\n  AUDIENCE is wrong\n  ROLES is wrong\n"]);
});

test("an ISSUER that is no address is for the Worker to refuse", async () => {
  const { code, stderr } = await check(setTo("ISSUER", "auth.example.com"), `() => Response.json({ code: "misconfigured" }, { status: 503 })`);
  assert.deepEqual([code, /refuses to serve/.test(stderr)], [1, true]);
});

test("that there is no database to ask here is no reason not to deploy, but every other refusal is", async () => {
  const answers = { 200: "{}", 503: '{ "code": "unhealthy" }', 421: '{ "code": "wrong_host" }', 500: '{ "code": "internal_error" }', 404: "not JSON" };
  for (const [status, text] of Object.entries(answers)) {
    const { code, stdout, stderr } = await check(asItIs, `() => new Response(${JSON.stringify(text)}, { status: ${status} })`);
    if (["200", "503"].includes(status)) assert.deepEqual([code, stdout, stderr], [0, "", ""], status);
    else assert.deepEqual([code, stderr.includes(`answers http://127.0.0.1:8787/healthz with ${status}: ${text}`)], [1, true], stderr);
  }
});

test("a second address beside a route is warned of, by what opens it", async () => {
  const routed = 'routes = [{ pattern = "auth.example.com", custom_domain = true }]';
  const doors = (...lines) => (text) => text.replace(/^preview_urls = .*$/m, "").replace(/^workers_dev = .*$/m, lines.join("\n"));
  const warned = [
    [["workers_dev = true", routed], "workers_dev = true"],
    [["workers_dev = true", 'route = "auth.example.com/*"'], "workers_dev = true"],
    [["workers_dev = false", "preview_urls = true", routed], "preview_urls = true"],
    [["workers_dev = true", "preview_urls = true", routed], "workers_dev = true and preview_urls = true"],
    [["workers_dev = true"], undefined],
    [["workers_dev = true", "routes = []"], undefined],
    [["workers_dev = false", routed], undefined],
    [[routed], undefined],
  ];
  for (const [lines, named] of warned) {
    const { code, stdout, stderr } = await check(doors(...lines), `() => new Response("{}")`);
    assert.deepEqual([code, stdout], [0, ""], stderr);
    const warning = `\nwarning: ${named} beside a route: the Worker answers at *.workers.dev too, where no rule of your zone is in front of it. One door is enough: set it to false in wrangler.toml.\n`;
    assert.equal(stderr, named === undefined ? "" : warning);
  }
});
