// Cookie mode in Chromium: which pages get the cookie, and that no other site can use it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, serveDomains, skip } from "../support/browser.mjs";
import { startWorker } from "../support/harness.mjs";

const AUTH = "auth.example.test";
const APP = "app.example.test";
const UNLISTED = "blog.example.test";
const EVIL = "evil.test";
/** A site of its own, although it is listed. */
const PARTNER = "partner.test";

let worker, served, browser, context;
before(async () => {
  if (skip) return;
  worker = await startWorker({ vars: { COOKIE_MODE: "refresh" } });
  served = await serveDomains({
    [AUTH]: worker,
    [APP]: { "/": "" },
    [UNLISTED]: { "/": "" },
    [EVIL]: { "/": "" },
    [PARTNER]: { "/": "" },
  });
  await worker.update({
    vars: {
      ISSUER: served.origin(AUTH),
      ALLOWED_ORIGINS: [APP, PARTNER].map(served.origin).join(),
      COOKIE_MODE: "refresh",
    },
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await served?.close();
  await worker?.close();
});

/** A page of a domain in a new browser profile, or in the same one. The policy of `GET /` would forbid its scripts. */
async function open(name, profile) {
  context = profile ?? (await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true }));
  const page = await context.newPage();
  await page.goto(`${served.origin(name)}/`);
  return page;
}

/** Posts from a page as a script does: `[status, body]`, or the name of the error if the script may not read the response. */
const post = (page, path, json, options = {}) =>
  page.evaluate(
    async ([url, body, init]) => {
      try {
        const response = await fetch(url, {
          method: "POST",
          credentials: "include",
          headers: { "Content-Type": "application/json" },
          body,
          ...init,
        });
        return [response.status, response.status === 204 ? null : await response.json()];
      } catch (error) {
        return error.name;
      }
    },
    [`${served.origin(AUTH)}${path}`, JSON.stringify(json), options],
  );

/** Signs a new user in from a page. */
async function signIn(page) {
  const { email, password } = await worker.register();
  const [status, body] = await post(page, "/login", { email, password, transport: "cookie" });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

const theCookie = async () => (await context.cookies()).find(({ name }) => name === "__Host-portcullis");
const generation = async ({ session_id }) => (await worker.sessionRow(session_id)).generation;

test("a page of the same site signs in, refreshes and logs out, and no script sees the token", { skip }, async () => {
  const page = await open(APP);
  const session = await signIn(page);
  assert.equal("refresh_token" in session, false);
  const { httpOnly, secure, sameSite, domain, path } = await theCookie();
  assert.deepEqual([httpOnly, secure, sameSite, domain, path], [true, true, "Strict", AUTH, "/"]);
  assert.equal(await page.evaluate("document.cookie"), "");
  const issuers = await open(AUTH, context);
  assert.equal(await issuers.evaluate("document.cookie"), "");

  const before = (await theCookie()).value;
  const [status, refreshed] = await post(page, "/refresh", {});
  assert.deepEqual([status, refreshed.session_id], [200, session.session_id]);
  assert.notEqual((await theCookie()).value, before);
  // Without credentials, the browser does not send the cookie.
  assert.equal((await post(page, "/refresh", {}, { credentials: "omit" }))[0], 401);

  assert.deepEqual(await post(page, "/logout", {}), [204, null]);
  assert.equal(await theCookie(), undefined);
  await worker.assertEnded(session);
  assert.equal((await post(page, "/refresh", {}))[0], 401);
});

test("a page of the issuer's own origin may use the cookie", { skip }, async () => {
  const page = await open(AUTH);
  const session = await signIn(page);
  assert.equal((await post(page, "/refresh", {}))[0], 200);
  assert.equal(await generation(session), 1);
});

test("a page of the same site that is not listed cannot use the cookie", { skip }, async () => {
  const session = await signIn(await open(APP));
  const page = await open(UNLISTED, context);
  for (const path of ["/refresh", "/logout"]) {
    // The preflight fails, so the request is not sent.
    assert.equal(await post(page, path, {}), "TypeError");
    // Without a preflight the type is not JSON.
    assert.equal(await post(page, path, {}, { headers: {}, mode: "cors" }), "TypeError");
  }
  assert.equal(await generation(session), 0);
  assert.equal((await worker.sessionRow(session.session_id)).revoked_at, null);
});

test("a page of another site cannot use the cookie, by a script or by a form", { skip }, async () => {
  const session = await signIn(await open(APP));
  for (const path of ["/refresh", "/logout"]) {
    const page = await open(EVIL, context);
    assert.equal(await post(page, path, {}), "TypeError");
    assert.equal(await post(page, path, {}, { headers: {}, mode: "no-cors" }), "TypeError");
    const url = `${served.origin(AUTH)}${path}`;
    const [response] = await Promise.all([
      page.waitForNavigation(),
      page.evaluate((action) => {
        const form = Object.assign(document.createElement("form"), { method: "post", enctype: "text/plain", action });
        const input = Object.assign(document.createElement("input"), { name: '{"a":"', value: '"}' });
        form.append(input);
        document.body.append(form);
        form.submit();
      }, url),
    ]);
    assert.deepEqual([response.url(), response.status()], [url, 415]);
  }
  assert.equal(await generation(session), 0);
  assert.equal((await worker.sessionRow(session.session_id)).revoked_at, null);
  assert.notEqual(await theCookie(), undefined);
});

test("a listed page of another site cannot use the cookie, and signs in by the body", { skip }, async () => {
  const session = await signIn(await open(APP));
  const page = await open(PARTNER, context);
  const { email, password } = await worker.register();
  assert.equal((await post(page, "/login", { email, password, transport: "cookie" }))[1].code, "csrf_refused");
  // The browser does not send the cookie, so there is nothing to check.
  assert.equal((await post(page, "/refresh", {}))[0], 401);
  assert.deepEqual(await post(page, "/logout", {}), [204, null]);
  assert.equal(await generation(session), 0);
  assert.equal((await worker.sessionRow(session.session_id)).revoked_at, null);
  const [status, body] = await post(page, "/login", { email, password });
  assert.deepEqual([status, body.refresh_token.startsWith("pcrt_")], [200, true]);
});

test("a sibling domain cannot plant a cookie that is taken for the session's", { skip }, async () => {
  const session = await signIn(await open(APP));
  const attacker = await worker.register();
  const sibling = await open(UNLISTED, context);
  for (const planted of [
    "__Host-portcullis=TOKEN; domain=example.test; path=/; secure",
    "__Host-portcullis=TOKEN; path=/; secure",
    "__host-portcullis=TOKEN; domain=example.test; path=/; secure",
    " __Host-portcullis=TOKEN; domain=example.test; path=/; secure",
    "=__Host-portcullis=TOKEN; domain=example.test; path=/; secure",
    "x=1,__Host-portcullis=TOKEN; domain=example.test; path=/; secure",
    "\u00a0__Host-portcullis=TOKEN; domain=example.test; path=/; secure",
  ]) {
    await sibling.evaluate(
      (cookie) => {
        // biome-ignore lint/suspicious/noDocumentCookie: the point of the test
        document.cookie = cookie;
      },
      planted.replace("TOKEN", attacker.refresh_token),
    );
  }
  const page = await open(APP, context);
  const [status, refreshed] = await post(page, "/refresh", {});
  assert.deepEqual([status, refreshed.session_id], [200, session.session_id]);
});
