// The module of docs/guides/browser.md in several tabs, which share storage and locks as in a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";

import { decodeJwt } from "jose";

import { startWorker } from "../support/harness.mjs";

const guide = readFileSync(new URL("../../docs/guides/browser.md", import.meta.url), "utf8");
const [, session, call] = guide.match(/^```js\n(.*?)^```.*?^```js\n(.*?)^```/ms);
const openTab = new Function(
  "localStorage",
  "navigator",
  "fetch",
  `${`${session}\n${call}`.replaceAll("export ", "")}\nreturn { accessToken, logIn, logOut, call };`,
);

let worker, browser;
before(async () => (worker = await startWorker()));
after(() => worker.close());
beforeEach(async () => {
  browser = new Browser();
  browser.user = await worker.register();
});

/** A browser: the state that its tabs share, and a network that records requests and can fail. */
class Browser {
  requests = [];
  items = new Map();
  network = (send) => send();

  tab() {
    const items = this.items;
    const localStorage = {
      getItem: (name) => items.get(name) ?? null,
      setItem: (name, value) => void items.set(name, value),
      removeItem: (name) => void items.delete(name),
    };
    const fetch = (url, { signal, ...options }) => {
      const { pathname } = new URL(url);
      this.requests.push(pathname);
      assert.ok(signal === undefined ? pathname === "/me" : signal instanceof AbortSignal, pathname);
      return this.network(() => worker.ask(pathname, options), pathname);
    };
    return openTab(localStorage, navigator, fetch);
  }

  /** Opens tabs, and logs the user in in the first one. */
  async tabs(count) {
    const tabs = Array.from({ length: count }, () => this.tab());
    const { email, password } = this.user;
    assert.equal((await tabs[0].logIn({ email, password })).status, 200);
    this.session = decodeJwt(this.stored().access_token).sid;
    this.requests.length = 0;
    return tabs;
  }

  stored() {
    return JSON.parse(this.items.get("session") ?? null);
  }

  /** Makes the stored access token expire for the page. */
  expire() {
    this.items.set("session", JSON.stringify({ ...this.stored(), expires_at: Date.now() }));
  }

  /** The number of refreshes of the session, read from D1; undefined once it has ended. */
  async generation() {
    const { generation, revoked_at } = await worker.sessionRow(this.session);
    return revoked_at === null ? generation : undefined;
  }
}

test("while the access token is valid, no tab refreshes", async () => {
  const [a, b] = await browser.tabs(2);
  assert.equal(await a.accessToken(), browser.stored().access_token);
  assert.equal((await b.call("https://api.example.com/me")).status, 200);
  assert.deepEqual(browser.requests, ["/me"]);
});

test("when the access token has expired, one of twenty tabs refreshes, and all get the new token", async () => {
  const tabs = await browser.tabs(20);
  browser.expire();
  const first = browser.stored().access_token;
  const tokens = await Promise.all(tabs.map(({ accessToken }) => accessToken()));
  assert.deepEqual([new Set(tokens).size, browser.requests, await browser.generation()], [1, ["/refresh"], 1]);
  assert.notEqual(tokens[0], first);
  assert.equal((await worker.me(tokens[0])).status, 200);
});

test("twenty tabs whose calls are refused with the same access token refresh once", async () => {
  const tabs = await browser.tabs(20);
  const first = browser.stored().access_token;
  await Promise.all(tabs.map(({ accessToken }) => accessToken(first)));
  assert.deepEqual([browser.requests, await browser.generation()], [["/refresh"], 1]);
});

test("a refused call is repeated with a new token", async () => {
  const [tab] = await browser.tabs(1);
  const { refresh_token } = browser.stored();
  browser.items.set(
    "session",
    JSON.stringify({ access_token: "not.a.token", refresh_token, expires_at: Date.now() + 60_000 }),
  );
  assert.equal((await tab.call("https://api.example.com/me")).status, 200);
  assert.deepEqual(browser.requests, ["/me", "/refresh", "/me"]);
});

test("without a session a call is not sent, and after its end a refused call is not repeated", async () => {
  assert.equal(await browser.tab().call("https://api.example.com/me"), null);
  const [tab] = await browser.tabs(1);
  await worker.revoke(browser.stored().refresh_token);
  assert.equal(await tab.call("https://api.example.com/me"), null);
  assert.deepEqual(browser.requests, ["/me", "/refresh"]);
});

test("tabs that refresh one after another, after the grace window, keep the session", async () => {
  const tabs = await browser.tabs(3);
  for (let turn = 0; turn < 6; turn += 1) {
    await worker.age(60);
    browser.expire();
    assert.notEqual(await tabs[turn % 3].accessToken(), null);
  }
  assert.equal(await browser.generation(), 6);
});

test("a tab that keeps its own copy of the refresh token ends the session for all", async () => {
  const [tab] = await browser.tabs(1);
  const copy = browser.stored().refresh_token;
  browser.expire();
  assert.notEqual(await tab.accessToken(), null);
  // A replay within the grace window does not end it.
  assert.equal((await worker.refresh(copy)).body.refresh_token, browser.stored().refresh_token);
  await worker.age(60);
  assert.equal((await worker.refresh(copy)).status, 401);
  assert.equal(await browser.generation(), undefined);
  assert.equal(await tab.accessToken(browser.stored().access_token), null);
  assert.equal(browser.stored(), null);
});

test("after a lost response the refresh is repeated, and the session does not end", async () => {
  const [tab] = await browser.tabs(1);
  browser.expire();
  let lost = 0;
  browser.network = async (send) => {
    const answer = await send();
    lost += 1;
    if (lost === 1) throw new TypeError("fetch failed");
    return answer;
  };
  assert.notEqual(await tab.accessToken(), null);
  assert.deepEqual([browser.requests, await browser.generation()], [["/refresh", "/refresh"], 1]);
});

test("while the network is down or the Worker answers 503, the tokens are kept", async () => {
  const [tab] = await browser.tabs(1);
  browser.expire();
  const before = browser.stored();
  const failures = [
    () => Promise.reject(new TypeError("fetch failed")),
    () => Promise.resolve(new Response("{}", { status: 503 })),
  ];
  for (const failure of failures) {
    browser.network = failure;
    await assert.rejects(tab.accessToken(), /fetch failed|not refreshed: 503/);
    assert.deepEqual(browser.stored(), before);
  }
  browser.network = (send) => send();
  assert.notEqual(await tab.accessToken(), null);
});

test("a logout applies to every tab, even while another is refreshing", async () => {
  const [a, b, c] = await browser.tabs(3);
  browser.expire();
  const { promise: held, resolve: release } = Promise.withResolvers();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers();
  browser.network = async (send, pathname) => {
    if (pathname === "/refresh") {
      arrive();
      await held;
    }
    return send();
  };
  const refreshing = a.accessToken();
  await arrived;
  const leaving = b.logOut();
  release();
  assert.notEqual(await refreshing, null);
  await leaving;
  assert.deepEqual([browser.stored(), await c.accessToken(), await browser.generation()], [null, null, undefined]);
  assert.deepEqual(browser.requests, ["/refresh", "/revoke"]);
});

test("a logout that fails is reported, and the tokens are deleted anyway", async () => {
  const [tab] = await browser.tabs(1);
  browser.network = () => Promise.reject(new TypeError("fetch failed"));
  await assert.rejects(tab.logOut(), /fetch failed/);
  assert.equal(browser.stored(), null);
  await tab.logOut();
});

test("a refused login leaves the user signed out", async () => {
  const tab = browser.tab();
  assert.equal((await tab.logIn({ email: browser.user.email, password: "not the password" })).status, 401);
  assert.deepEqual([browser.stored(), await tab.accessToken()], [null, null]);
});
