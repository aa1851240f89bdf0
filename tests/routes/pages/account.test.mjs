// Which addresses are account pages, and what they are told of the configuration. What the pages do is in tests/packages.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { assertProblem, ISSUER, POLICIES, startWorker } from "../../support/harness.mjs";
import { MAIL_VARS } from "../../support/mails.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const index = () => readFileSync("web/dist/account/index.html", "utf8");

test("the page has one segment below /account for each of its views", async () => {
  for (const path of ["/account/", "/account/login", "/account/sessions?x=1", "/account/admin", "/account/%61"]) {
    const { status, headers, text } = await worker.get(path);
    assert.deepEqual(
      [status, headers.get("content-type"), headers.get("content-security-policy")],
      [200, "text/html; charset=utf-8", POLICIES.asset],
      path,
    );
    assert.equal(text, index());
    const etag = headers.get("etag");
    assert.equal((await worker.get(path, { headers: { "If-None-Match": etag } })).status, 304);
  }
  for (const path of ["/account//", "/account/login/", "/account/a/b", "/accounts", "/account/nothing.js"]) {
    assertProblem(await worker.get(path), 404, "not_found");
  }
});

test("every file that the page names is served", async () => {
  const links = [...index().matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link);
  const own = links.filter((link) => !/^[a-z]+:/.test(link));
  assert.ok(own.some((link) => link.endsWith(".js")) && own.some((link) => link.endsWith(".css")));
  for (const link of own) {
    const { status, headers } = await worker.get(new URL(link, `${ISSUER}/account/`).pathname);
    assert.deepEqual([status, headers.get("content-security-policy")], [200, POLICIES.asset], link);
    // A name with a hash of the content stays valid.
    const isHashed = /-[A-Z2-7]{8}\.(js|css)$/.test(link);
    assert.equal(headers.get("cache-control"), isHashed ? "public, max-age=31536000, immutable" : "no-cache", link);
  }
});

test("the pages are told of the configuration what they need", async () => {
  const told = async (vars) => {
    await worker.update({ vars });
    const { status, headers, body } = await worker.get("/account/config.json");
    assert.deepEqual(
      [status, headers.get("content-type"), headers.get("cache-control")],
      [200, "application/json", "no-store"],
    );
    return body;
  };
  assert.deepEqual(await told({}), {
    issuer: ISSUER,
    cookie_mode: "off",
    registration: "open",
    mail: false,
    email_login: false,
    email_verification: "off",
    password_min_length: 15,
    return_origins: [],
  });
  assert.equal((await told({ COOKIE_MODE: "refresh" })).cookie_mode, "refresh");
  const ALLOWED_ORIGINS = "https://app.example.org, http://localhost:5173, capacitor://localhost";
  const issuer = "https://auth.example.org";
  assert.deepEqual(await told({ ISSUER: issuer, REGISTRATION: "closed", PASSWORD_MIN_LENGTH: "8", ALLOWED_ORIGINS }), {
    issuer,
    cookie_mode: "off",
    registration: "closed",
    mail: false,
    email_login: false,
    email_verification: "off",
    password_min_length: 8,
    return_origins: ["https://app.example.org"],
  });
  const { mail, email_login, email_verification } = await told({ ...MAIL_VARS, EMAIL_VERIFICATION: "optional" });
  assert.deepEqual([mail, email_login, email_verification], [true, true, "optional"]);
  const local = await told({ ALLOWED_ORIGINS });
  assert.deepEqual(local.return_origins, ["https://app.example.org", "http://localhost:5173"]);
  await worker.update();
});

test("PAGES can turn them off, and their addresses are then like unknown ones", async () => {
  const paths = ["/account", "/account/", "/account/login", "/account/config.json", "/account/nothing.js"];
  await worker.update({ vars: { PAGES: "off" } });
  for (const path of paths) {
    for (const method of ["GET", "POST", "OPTIONS"]) {
      assertProblem(await worker.request(method, path), 404, "not_found");
    }
  }
  assert.equal((await worker.get("/docs/")).status, 200);
  await worker.update({ vars: { PAGES: "" } });
  assert.equal((await worker.get("/account/config.json")).status, 200);
  await worker.update();
});
