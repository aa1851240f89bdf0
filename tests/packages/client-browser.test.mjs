// The client as packed, in Chromium: tabs of one browser with a page on another port than the Worker.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { install } from "../../scripts/packages.mjs";
import { launch, relayed, servePages, skip } from "../support/browser.mjs";
import { PASSWORD, startWorker } from "../support/harness.mjs";
import { patiently } from "../support/patience.mjs";

const MODES = ["storage", "cookie"];
/** The lifetime of an access token in these tests, in seconds. */
const LIFETIME = 900;

let worker, server, pages, browser, folder;
before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), "portcullis-client-"));
  const packed = await install("client", folder);
  worker = await startWorker();
  pages = await servePages({ "/client.js": readFileSync(join(packed, "dist", "index.js"), "utf8") });
  server = await relayed(worker, { ALLOWED_ORIGINS: pages.origin, COOKIE_MODE: "refresh" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all([server?.close(), pages?.close(), worker?.close()]);
  if (folder) rmSync(folder, { recursive: true });
});

/** One browser profile, whose tabs have the page with the client open. */
class Profile {
  refreshes = 0;

  static async open(mode, { script } = {}) {
    const context = await browser.newContext();
    // Of all tabs.
    await context.clock.install();
    if (script) await context.addInitScript(script);
    return Object.assign(new Profile(), { context, mode });
  }

  async tab() {
    const page = await this.context.newPage();
    page.on("request", (request) => {
      if (request.method() === "POST" && request.url() === `${server.url}/refresh`) this.refreshes += 1;
    });
    pages.files[`/${this.mode}`] = `<!doctype html><script type="module">
      import { createClient } from "/client.js";
      globalThis.auth = createClient({ url: "${server.url}", mode: "${this.mode}" });
      globalThis.states = [];
      auth.onChange(({ status, user, reason }) => states.push([status, user?.email ?? null, reason].join()));
    </script>`;
    const tab = new Tab(page, `${pages.origin}/${this.mode}`);
    await tab.load();
    return tab;
  }

  tabs(count) {
    return Promise.all(Array.from({ length: count }, () => this.tab()));
  }

  /** Lets time pass, for the Worker and all tabs. */
  async pass(seconds) {
    await worker.advance(seconds);
    await this.context.clock.fastForward(1000 * seconds);
  }
}

class Tab {
  constructor(page, url) {
    Object.assign(this, { page, url });
  }

  async load() {
    await this.page.goto(this.url);
    await this.page.waitForFunction(() => globalThis.auth && auth.state.status !== "loading");
  }

  /** Calls a method of the client. Of an error it returns the code and status. */
  call(method, ...args) {
    return this.page.evaluate(
      ([method, args]) => auth[method](...args).catch(({ code, status }) => ({ code, status })),
      [method, args],
    );
  }

  login({ email }) {
    return this.call("login", { email, password: PASSWORD });
  }

  token() {
    return this.call("getAccessToken");
  }

  state() {
    return this.page.evaluate(() => [auth.state.status, auth.state.user?.email ?? null, auth.state.reason].join());
  }

  states() {
    return this.page.evaluate(() => states);
  }

  /** Waits for a state, "status,address,reason" or its beginning. */
  async until(state) {
    const page = this.page;
    const reached = page.waitForFunction((state) => states.at(-1)?.startsWith(state), state, {
      polling: 20,
      timeout: 0,
    });
    await patiently(reached, `the tab never becomes ${state}`).catch(async (error) => {
      error.message += `, but: ${(await this.states()).join(" ")}`;
      throw error;
    });
  }

  /** Waits until the tab has another access token than this one. */
  async untilNot(token) {
    const changed = async () => {
      while ((await this.token()) === token) await setTimeout(20);
    };
    await patiently(changed(), "the token stays");
  }

  hide(hidden) {
    return this.page.evaluate((hidden) => {
      Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  }
}

/** The number of refreshes of a session, `undefined` once it has ended. */
async function generation({ sid }) {
  const { generation, revoked_at } = await worker.sessionRow(sid);
  return revoked_at === null ? generation : undefined;
}

const sidOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

for (const mode of MODES) {
  describe(`in ${mode} mode`, { skip }, () => {
    let profile, person;
    beforeEach(async () => {
      person = await worker.register();
      profile = await Profile.open(mode);
    });
    afterEach(async () => {
      server.after = undefined;
      await profile.context.close();
    });

    test("a login signs in all tabs, and a reload keeps the session", async () => {
      const [a, b] = await profile.tabs(2);
      assert.equal(await a.state(), "signed_out,,");
      assert.equal((await a.login(person)).email, person.email);
      await b.until(`signed_in,${person.email},signed_in`);
      assert.equal(await b.token(), await a.token());
      await a.load();
      assert.equal(await a.state(), `signed_in,${person.email},restored`);
      assert.equal((await a.call("me")).email, person.email);
    });

    test("five tabs make one request per refresh, 20 times, and stay signed in", async () => {
      const tabs = await profile.tabs(5);
      await tabs[0].login(person);
      for (const tab of tabs) await tab.until("signed_in");
      let token = await tabs[0].token();
      const before = profile.refreshes;
      for (let round = 1; round <= 20; round += 1) {
        await profile.pass(0.86 * LIFETIME);
        await Promise.all(tabs.map((tab) => tab.untilNot(token)));
        const tokens = new Set(await Promise.all(tabs.map((tab) => tab.token())));
        assert.equal(tokens.size, 1, `round ${round}`);
        assert.equal(profile.refreshes - before, round);
        [token] = tokens;
      }
      assert.equal(await generation(sidOf(token)), 20);
      for (const tab of tabs) assert.equal((await tab.states()).filter((state) => !/^signed_in/.test(state)).length, 1);
    });
  });
}
