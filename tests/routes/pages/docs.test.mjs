// The documentation page and the OpenAPI document: their files, their headers, and when they are served. What the page does
// is in tests/packages/docs-page.test.mjs.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { assertProblem, ISSUER, POLICIES, startWorker } from "../../support/harness.mjs";

const PAGE = "/docs/";
const TYPES = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  txt: "text/plain; charset=utf-8",
};

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const built = (name) => readFileSync(`web/dist/${name}`, "utf8");

test("every file of the page has its type, the policy of pages, and a version to ask about", async () => {
  const names = readdirSync("web/dist/docs");
  assert.ok(names.includes("swagger-ui-bundle.js") && names.includes("swagger-ui.LICENSE.txt"));
  for (const name of names) {
    const { status, headers, text } = await worker.get(PAGE + name);
    assert.deepEqual(
      [status, headers.get("content-type"), headers.get("cache-control"), headers.get("content-security-policy")],
      [200, TYPES[name.split(".").at(-1)], "no-cache", POLICIES.asset],
      name,
    );
    assert.ok(text === built(`docs/${name}`), name);

    const etag = headers.get("etag");
    for (const method of ["GET", "HEAD"]) {
      const same = await worker.request(method, PAGE + name, { headers: { "If-None-Match": etag } });
      assert.deepEqual(
        [same.status, same.text, same.headers.get("etag"), same.headers.get("content-security-policy")],
        [304, "", etag, POLICIES.asset],
        name,
      );
      assert.equal(same.headers.get("content-type"), null);
      const other = await worker.request(method, PAGE + name, { headers: { "If-None-Match": '"another"' } });
      assert.deepEqual([other.status, other.headers.get("etag")], [200, etag]);
    }
  }
  assert.equal((await worker.get(PAGE)).text, built("docs/index.html"));
});

test("the document is JSON, and has a version too", async () => {
  const { status, headers, body } = await worker.get("/openapi.json");
  assert.deepEqual(
    [status, headers.get("content-type"), headers.get("cache-control"), headers.get("content-security-policy")],
    [200, "application/json", "no-cache", POLICIES.asset],
  );
  assert.deepEqual(body, JSON.parse(built("openapi.json")));
});

test("a page without a slash at its end redirects to the one with it, and keeps the query", async () => {
  for (const [path, location] of [
    ["/docs", "/docs/"],
    ["/docs?a=b%20c&d", "/docs/?a=b%20c&d"],
    ["/account", "/account/"],
    ["/account?return_to=https%3A%2F%2Fapp.example.org", "/account/?return_to=https%3A%2F%2Fapp.example.org"],
  ]) {
    const { status, headers } = await worker.get(path);
    assert.deepEqual([status, headers.get("location"), headers.get("cache-control")], [308, location, "no-store"]);
  }
});

test("the links of the page are relative, so that they hold below the path of any issuer", async () => {
  await worker.update({ vars: { ISSUER: `${ISSUER}/auth/v1` } });
  try {
    assert.equal((await worker.get("/auth/v1/docs")).headers.get("location"), "/auth/v1/docs/");
    const { status, text } = await worker.get("/auth/v1/docs/");
    assert.equal(status, 200);
    const links = [...text.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link);
    const own = links.filter((link) => !link.startsWith("data:"));
    assert.ok(own.length >= 5);
    for (const link of own) {
      const { pathname } = new URL(link, `${ISSUER}/auth/v1/docs/`);
      assert.equal((await worker.get(pathname)).status, 200, link);
    }
    for (const path of ["/docs/", "/openapi.json", "/docs/docs.css"]) {
      assertProblem(await worker.get(path), 404, "not_found");
    }
  } finally {
    await worker.update();
  }
});

test("a file that is not there, or another spelling of its name, is 404", async () => {
  for (const name of [
    "nothing.js",
    "docs",
    "docs/docs.css",
    "docs.css/",
    "/docs.css",
    "DOCS.css",
    "docs%2ecss",
    "docs.css%00",
    "docs.css%20",
    "%2e%2e%2fopenapi.json",
    "..%2fopenapi.json",
    ".%2fdocs.css",
    "x/..%2fdocs.css",
    "..;/openapi.json",
    "docs.css;x",
    "docs\u00e4.css",
  ]) {
    assertProblem(await worker.get(PAGE + name), 404, "not_found");
    assert.equal((await worker.request("HEAD", PAGE + name)).status, 404);
  }
  // The files of the folder are nowhere else.
  for (const path of ["/docs.css", "/index.html", "/web/dist/openapi.json", "/openapi.json/", "/docs//", "/Docs/"]) {
    assertProblem(await worker.get(path), 404, "not_found");
  }
});

test("without a value of DOCS, they are served only if the issuer is on loopback", async () => {
  const elsewhere = "https://auth.example.org";
  const paths = ["/docs", PAGE, "/docs/docs.css", "/docs/nothing.js", "/openapi.json"];
  const shown = [308, 200, 200, 404, 200];
  for (const [vars, statuses] of [
    [{}, shown],
    [{ DOCS: "" }, shown],
    [{ DOCS: "on" }, shown],
    [{ DOCS: "off" }, paths.map(() => 404)],
    [{ ISSUER: elsewhere }, paths.map(() => 404)],
    [{ ISSUER: elsewhere, DOCS: "on" }, shown],
  ]) {
    await worker.update({ vars });
    const answers = await Promise.all(paths.map((path) => worker.get(path)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      statuses,
      JSON.stringify(vars),
    );
  }
  // Like unknown paths: no method of theirs is known either.
  await worker.update({ vars: { DOCS: "off" } });
  for (const method of ["GET", "POST", "OPTIONS"]) {
    for (const path of paths) assertProblem(await worker.request(method, path), 404, "not_found");
  }
  assert.equal((await worker.get("/account/config.json")).status, 200);
  await worker.update();
});

test("a file costs neither D1 nor KV, and its content takes no memory of the Worker", async () => {
  const before = await worker.memory();
  const size = Buffer.byteLength(built("docs/swagger-ui-bundle.js"));
  for (let count = 0; count < 5; count += 1) {
    worker.events();
    const { text } = await worker.get("/docs/swagger-ui-bundle.js");
    assert.equal(Buffer.byteLength(text), size);
    const [{ route, d1_round_trips, kv_gets, kv_puts }, ...more] = worker.events("costs");
    assert.deepEqual([route, d1_round_trips, kv_gets, kv_puts, more.length], ["DocsFile", 0, 0, 0, 0]);
  }
  const grown = 1024 * ((await worker.memory()) - before);
  assert.ok(grown < size / 4, `${grown} bytes`);
});

test("if the static assets do not answer, or lack a file of every deployment, the response is a 503", async () => {
  const cause = async (does, path = PAGE, status = 503, code = "storage_unavailable") => {
    const plan = worker.plan({ at: 1, only: "asset", does });
    worker.events();
    assertProblem(await worker.get(path, { headers: plan.headers }), status, code);
    return worker.events("storage_fault").map(({ level, cause }) => `${level} ${cause}`);
  };
  assert.deepEqual(await cause("fail"), ["error read a static asset: Error: injected: the call did not take place"]);
  assert.deepEqual(await cause("status 500"), ["error read a static asset: the status is 500"]);
  for (const [path, file] of [
    [PAGE, "docs/index.html"],
    ["/openapi.json", "openapi.json"],
    ["/account/", "account/index.html"],
    ["/account/login", "account/index.html"],
  ]) {
    const expected = [`error read a static asset: there is no ${file} in [assets] of wrangler.toml`];
    assert.deepEqual(await cause("status 404", path), expected);
  }
  // Any other file may be missing, and a redirect of the platform leads to another spelling.
  for (const does of ["status 404", "status 307"]) {
    assert.deepEqual(await cause(does, "/docs/docs.css", 404, "not_found"), []);
  }

  await worker.update({ vars: { ASSETS: "no binding" } });
  worker.events();
  assertProblem(await worker.get(PAGE), 503, "storage_unavailable");
  assert.match(worker.events("storage_fault")[0].cause, /^read a static asset: /);
  assert.equal((await worker.get("/healthz")).status, 200);
  await worker.update();
  assert.equal((await worker.get(PAGE)).status, 200);
});
