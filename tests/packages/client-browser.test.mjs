// The client as packed, in Chromium: tabs of one browser with a page on another port than the Worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { launch, relayed, serveDomains, servePages, skip } from "../support/browser.mjs";
import { PASSWORD, startWorker } from "../support/harness.mjs";
import { installed } from "../support/installed.mjs";
import { patiently, until } from "../support/patience.mjs";

const MODES = ["storage", "cookie"];
/** The lifetime of an access token in these tests, in seconds. */
const LIFETIME = 900;

let client, worker, server, pages, browser;
before(async () => {
  if (skip) return;
  client = await installed("client");
  const script = join(client.folder, "node_modules", "@portcullis", "client", "dist", "index.js");
  worker = await startWorker();
  pages = await servePages({ "/client.js": readFileSync(script, "utf8") });
  server = await relayed(worker, { ALLOWED_ORIGINS: pages.origin, COOKIE_MODE: "refresh" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all([server?.close(), pages?.close(), worker?.close()]);
  client?.remove();
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
    pages.files[`/${this.mode}`] = pageOf(this.mode, server.url);
    const tab = new Tab(page, `${pages.origin}/${this.mode}`);
    await tab.load();
    return tab;
  }

  tabs(count) {
    return Promise.all(Array.from({ length: count }, () => this.tab()));
  }

  /** The cookies, except that of the known device, which stays after a logout. */
  async sessionCookies() {
    return (await this.context.cookies()).filter(({ name }) => name !== "__Host-portcullis-device");
  }

  /** Lets time pass, for the Worker and all tabs. */
  async pass(seconds) {
    await worker.advance(seconds);
    await this.context.clock.fastForward(1000 * seconds);
  }

  /** Lets time pass until a condition holds: again, because a page may plan its next attempt only after the clock has jumped. */
  async passUntil(seconds, condition, missing) {
    for (let jumps = 0; !(await condition()); jumps += 1) {
      assert.ok(jumps < 20, missing);
      await this.pass(seconds);
      for (let n = 0; n < 50 && !(await condition()); n += 1) await setTimeout(20);
    }
  }
}

/** A page that has the client. */
const pageOf = (mode, url) => `<!doctype html><script type="module">
  import { createClient } from "/client.js";
  globalThis.auth = createClient({ url: "${url}", mode: "${mode}" });
  globalThis.states = [];
  auth.onChange(({ status, user, reason }) => states.push([status, user?.email ?? null, reason].join()));
</script>`;

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
  untilNot(token) {
    return until(async () => (await this.token()) !== token, "the token stays");
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

/** Lets a tab refresh, and holds the response until `release` is called. */
async function heldRefresh(tab) {
  const acted = Promise.withResolvers();
  const held = Promise.withResolvers();
  server.after = async (path) => {
    if (path !== "/refresh") return true;
    acted.resolve();
    await held.promise;
    return true;
  };
  await worker.advance(LIFETIME);
  await tab.page.context().clock.fastForward(1000 * LIFETIME);
  const refreshing = tab.token();
  await patiently(acted.promise, "there is no refresh");
  return { refreshing, release: held.resolve };
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
      // Nobody has signed in, so there is nothing to ask for.
      assert.equal(profile.refreshes, 0);
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

    test("while the server is stopped the tabs stay signed in, and they go on when it is back", async () => {
      const tabs = await profile.tabs(2);
      await tabs[0].login(person);
      await tabs[1].until("signed_in");
      for (let round = 0; round < 2; round += 1) {
        const token = await tabs[0].token();
        await server.stop();
        await profile.pass(LIFETIME);
        for (const tab of tabs) assert.deepEqual(await tab.token(), { code: "network_error", status: 0 });
        // Later attempts fail, too.
        await profile.pass(60);
        for (const tab of tabs) assert.match(await tab.state(), /^signed_in/);
        await server.start();
        await profile.pass(90);
        for (const tab of tabs) await tab.untilNot(token);
      }
      const token = await tabs[0].token();
      assert.equal(await tabs[1].token(), token);
      assert.notEqual(await generation(sidOf(token)), undefined);
    });

    test("while the server asks to wait, no request is made, and the old token is used as long as it is valid", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      const token = await tab.token();
      await worker.without("refresh_tokens", async () => {
        const before = profile.refreshes;
        await profile.pass(0.86 * LIFETIME);
        await until(() => profile.refreshes > before, "there is no refresh");
        assert.equal(await tab.token(), token);
        await profile.pass(0.14 * LIFETIME);
        const refused = await tab.token();
        assert.deepEqual(refused, { code: "storage_unavailable", status: 503 });
        const asked = profile.refreshes;
        for (let tries = 0; tries < 5; tries += 1) assert.deepEqual(await tab.token(), refused);
        assert.equal(profile.refreshes, asked);
      });
      await profile.pass(60);
      await tab.untilNot(token);
      assert.match(await tab.state(), /^signed_in/);
    });

    test("lost responses cost nothing: the request is repeated with the same token", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      const token = await tab.token();
      let lost = 0;
      server.after = (path) => {
        if (path !== "/refresh" || lost === 3) return true;
        lost += 1;
        return false;
      };
      await profile.pass(0.86 * LIFETIME);
      await until(() => lost >= 2, "no response is lost");
      await profile.passUntil(3, () => lost === 3, "there is no further attempt");
      await profile.passUntil(6, async () => (await tab.token()) !== token, "the token stays");
      // The server acted four times, on one token.
      assert.equal(await generation(sidOf(token)), 1);
      assert.equal((await tab.call("me")).email, person.email);
    });

    test("a reload before the response arrives keeps the session", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      const token = await tab.token();
      const acted = Promise.withResolvers();
      server.after = async (path) => {
        if (path !== "/refresh") return true;
        acted.resolve();
        // The page is gone by then.
        await setTimeout(200);
        return false;
      };
      await profile.pass(0.86 * LIFETIME);
      await patiently(acted.promise, "there is no refresh");
      server.after = undefined;
      await tab.load();
      await tab.untilNot(token);
      assert.match(await tab.state(), /^signed_in/);
      assert.equal(await generation(sidOf(token)), 1);
    });

    test("a laptop that was asleep past the lifetime of the access token refreshes when it wakes up", async () => {
      const tabs = await profile.tabs(2);
      await tabs[0].login(person);
      await tabs[1].until("signed_in");
      const token = await tabs[0].token();
      const before = profile.refreshes;
      await profile.pass(40 * LIFETIME);
      await until(() => profile.refreshes > before, "there is no refresh");
      for (const tab of tabs) await tab.untilNot(token);
      assert.equal(profile.refreshes, before + 1);
      assert.equal((await tabs[1].call("me")).email, person.email);
    });

    test("a clock that is set back leads to a refresh, and stops no later one", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      const before = profile.refreshes;
      await profile.context.clock.setSystemTime(Date.now() - 86_400_000);
      await profile.context.clock.fastForward(5000);
      await until(() => profile.refreshes > before, "there is no refresh");
      await tab.page.evaluate(() => auth.me());
      const token = await tab.token();
      await profile.pass(0.86 * LIFETIME);
      await tab.untilNot(token);
      assert.equal(profile.refreshes, before + 2);
    });

    test("a tab in the background does not refresh ahead of time, but at once when it is shown or asked", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      const token = await tab.token();
      const before = profile.refreshes;
      await tab.hide(true);
      await profile.pass(0.86 * LIFETIME);
      await profile.pass(0.05 * LIFETIME);
      assert.equal(await tab.token(), token);
      assert.equal(profile.refreshes, before);
      await tab.hide(false);
      await tab.untilNot(token);
      const next = await tab.token();
      await tab.hide(true);
      await profile.pass(2 * LIFETIME);
      assert.notEqual(await tab.token(), next);
      assert.equal(profile.refreshes, before + 2);
    });

    test("strangers who guess the password delay other browsers, not one that has signed in before", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      await tab.call("logout");
      await tab.page.close();
      await worker.throttle(person);
      const later = await profile.tab();
      assert.equal((await later.login(person)).email, person.email);
      await worker.throttle(person);
      const stranger = await Profile.open(mode);
      const { page } = await stranger.tab();
      let requests = 0;
      page.on("request", (request) => (requests += Number(request.method() === "POST")));
      const refused = await page.evaluate(
        ([email, password]) =>
          auth.login({ email, password }).catch(({ code, status, retryAfter }) => ({ code, status, retryAfter })),
        [person.email, PASSWORD],
      );
      await stranger.context.close();
      assert.deepEqual([refused.status, refused.code, requests], [429, "too_many_attempts", 1]);
      assert.ok(refused.retryAfter > 60 && refused.retryAfter <= 900, String(refused.retryAfter));
    });

    test("a logout in one tab signs out all, and ends the session", async () => {
      const tabs = await profile.tabs(3);
      await tabs[0].login(person);
      for (const tab of tabs) await tab.until("signed_in");
      const token = await tabs[0].token();
      await tabs[1].call("logout");
      for (const tab of tabs) await tab.until("signed_out,,signed_out");
      for (const tab of tabs) assert.equal(await tab.token(), null);
      assert.equal(await generation(sidOf(token)), undefined);
      await tabs[2].load();
      assert.equal(await tabs[2].state(), "signed_out,,");
      assert.deepEqual(await profile.sessionCookies(), []);
    });

    test("a logout during a refresh wins: the late response signs nobody in", async () => {
      const tabs = await profile.tabs(2);
      await tabs[0].login(person);
      await tabs[1].until("signed_in");
      const token = await tabs[0].token();
      const { refreshing, release } = await heldRefresh(tabs[0]);
      await tabs[1].call("logout");
      await tabs[0].until("signed_out,,signed_out");
      release();
      await refreshing;
      for (const tab of tabs) await tab.until("signed_out,,signed_out");
      assert.equal(await generation(sidOf(token)), undefined);
      await tabs[0].load();
      assert.equal(await tabs[0].state(), "signed_out,,");
    });

    test("a login as another user wins over a refresh under way, and ends the other tab's session only", async () => {
      const [a, b] = await profile.tabs(2);
      const other = await worker.register();
      await a.login(person);
      await b.until("signed_in");
      const { refreshing, release } = await heldRefresh(a);
      assert.equal((await b.login(other)).email, other.email);
      release();
      await refreshing;
      await a.until("signed_out,,account_changed");
      assert.equal(await a.token(), null);
      // What would be sent next is of the new session.
      await b.load();
      assert.equal(await b.state(), `signed_in,${other.email},restored`);
      await profile.pass(2 * LIFETIME);
      assert.equal((await b.call("me")).email, other.email);
      // The other tab can go on as the new user.
      assert.equal((await a.call("restore")).email, other.email);
      assert.equal((await a.call("me")).email, other.email);
    });

    test("what one tab does for a user does not end the session that another user began meanwhile", async () => {
      const [a, b] = await profile.tabs(2);
      const calls = [
        ["/sessions", "logoutEverywhere"],
        ["/me", "deleteMe"],
      ];
      for (const [path, ...call] of calls) {
        const other = await worker.register();
        await a.login(person);
        await b.until(`signed_in,${person.email}`);
        const acted = Promise.withResolvers();
        const held = Promise.withResolvers();
        server.after = async (requested) => {
          if (requested !== path) return true;
          acted.resolve();
          await held.promise;
          return true;
        };
        const calling = a.call(...call);
        await patiently(acted.promise, "there is no request");
        const loggingIn = b.login(other);
        // Its turn may come only after the call.
        await Promise.race([loggingIn, setTimeout(1000)]);
        held.resolve();
        await Promise.all([calling, loggingIn]);
        await b.load();
        assert.equal(await b.state(), `signed_in,${other.email},restored`);
        assert.equal((await b.call("me")).email, other.email);
        await b.call("logout");
      }
    });

    test("a change of the user reaches all tabs, and the next refresh", async () => {
      const [a, b] = await profile.tabs(2);
      await a.login(person);
      await b.until("signed_in");
      await a.call("updateMe", { name: "Ada" });
      await b.until(`signed_in,${person.email},updated`);
      const name = () => b.page.evaluate(() => auth.state.user.name);
      assert.equal(await name(), "Ada");
      const token = await b.token();
      await profile.pass(0.86 * LIFETIME);
      await b.untilNot(token);
      assert.equal(await name(), "Ada");
    });

    test("a session that was ended elsewhere signs out all tabs, with the reason", async () => {
      const tabs = await profile.tabs(2);
      await tabs[0].login(person);
      await tabs[1].until("signed_in");
      const { access_token } = (await worker.login(person)).body;
      await worker.delete("/sessions", { bearer: access_token });
      const answer = await tabs[0].page.evaluate(
        (url) => auth.fetch(`${url}/me`).then(({ status }) => status),
        server.url,
      );
      assert.equal(answer, 401);
      for (const tab of tabs) await tab.until("signed_out,,revoked");
    });

    test("a session that was not used for too long is over, with the reason", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      await tab.hide(true);
      await worker.age(8 * 86_400, sidOf(await tab.token()).sid);
      await profile.pass(8 * 86_400);
      await tab.hide(false);
      await tab.until("signed_out,,expired");
    });

    test("a tab that is suspended with the lock delays the others by five seconds at most", async () => {
      const [a, b] = await profile.tabs(2);
      await a.login(person);
      await b.until("signed_in");
      const token = await a.token();
      await a.page.evaluate((name) => {
        navigator.locks.request(name, () => new Promise(() => {}));
      }, `portcullis:${server.url}`);
      const started = Date.now();
      await profile.pass(0.86 * LIFETIME);
      await b.untilNot(token);
      assert.ok(Date.now() - started > 4000, "the lock was not waited for");
      assert.match(await b.state(), /^signed_in/);
    });

    test("without locks, a tab that loses the race keeps the session of the winner", async () => {
      const bare = await Profile.open(mode, { script: () => Reflect.deleteProperty(Navigator.prototype, "locks") });
      const [a, b] = await bare.tabs(2);
      await a.login(person);
      await b.until("signed_in");
      const token = await a.token();
      const [both, held] = [Promise.withResolvers(), Promise.withResolvers()];
      let asked = 0;
      server.after = async (path) => {
        if (path !== "/refresh" || asked === 2) return true;
        asked += 1;
        // The first response waits for the second one, and that until the first one has been taken up in both tabs.
        if (asked === 2) both.resolve();
        await (asked === 1 ? both : held).promise;
        return true;
      };
      await bare.pass(0.86 * LIFETIME);
      await until(() => asked === 2, "there are not two refreshes at once");
      await a.untilNot(token);
      await b.untilNot(token);
      const winner = await a.token();
      held.resolve();
      await setTimeout(100);
      assert.deepEqual([await a.token(), await b.token()], [winner, winner]);
      await bare.pass(0.86 * LIFETIME);
      await a.untilNot(winner);
      await b.untilNot(winner);
      await bare.context.close();
    });

    test("without BroadcastChannel tabs may refresh twice, and stay signed in", async () => {
      const bare = await Profile.open(mode, { script: () => Reflect.deleteProperty(globalThis, "BroadcastChannel") });
      const tabs = await bare.tabs(2);
      for (const tab of tabs) await tab.login(person);
      for (let round = 0; round < 3; round += 1) {
        const token = await tabs[0].token();
        await bare.pass(LIFETIME);
        for (const tab of tabs) await tab.untilNot(token);
        for (const tab of tabs) assert.equal((await tab.call("me")).email, person.email);
      }
      await bare.context.close();
    });

    test("without BroadcastChannel a tab notices that another user signed in", async () => {
      const bare = await Profile.open(mode, { script: () => Reflect.deleteProperty(globalThis, "BroadcastChannel") });
      const [a, b] = await bare.tabs(2);
      const other = await worker.register();
      await a.login(person);
      if (mode === "storage") await b.until("signed_in");
      await b.login(other);
      await bare.pass(LIFETIME);
      await until(async () => (await a.token()) === null, "the token stays");
      assert.equal(await a.state(), "signed_out,,account_changed");
      assert.equal((await b.call("me")).email, other.email);
      // A refresh in the other tab is no login.
      const token = await b.token();
      await bare.pass(LIFETIME);
      await b.untilNot(token);
      await a.call("getAccessToken");
      assert.equal((await a.states()).at(-1), "signed_out,,account_changed");
      await bare.context.close();
    });

    test("a logout that does not reach the server can be repeated", async () => {
      const tab = await profile.tab();
      await tab.login(person);
      const token = await tab.token();
      await server.stop();
      assert.deepEqual(await tab.call("logout"), { code: "network_error", status: 0 });
      assert.equal(await tab.state(), "signed_out,,signed_out");
      await server.start();
      await tab.call("logout");
      await tab.load();
      assert.equal(await tab.call("restore"), null);
      // Without the cookie, nothing is left to end it with.
      assert.equal(await generation(sidOf(token)), mode === "cookie" ? undefined : 0);
    });

    test("with blocked storage the session works in the tab", async () => {
      const bare = await Profile.open(mode, {
        script: () =>
          Object.defineProperty(globalThis, "localStorage", {
            get() {
              throw new DOMException("Access is denied for this document.", "SecurityError");
            },
          }),
      });
      const tab = await bare.tab();
      assert.equal(await tab.state(), "signed_out,,");
      // Only the server knows whether there is a session.
      assert.equal(bare.refreshes, mode === "cookie" ? 1 : 0);
      await tab.login(person);
      const token = await tab.token();
      await bare.pass(0.86 * LIFETIME);
      await tab.untilNot(token);
      await tab.load();
      assert.match(await tab.state(), mode === "cookie" ? /^signed_in,.*,restored$/ : /^signed_out/);
      await bare.context.close();
    });

    test("with a full storage the session works in the tab", async () => {
      const tab = await profile.tab();
      await tab.page.evaluate(() => {
        for (let length = 2 ** 22; length >= 1; length = Math.floor(length / 2))
          try {
            for (;;) localStorage.setItem(`filler${localStorage.length}`, "x".repeat(length));
          } catch {}
      });
      await tab.login(person);
      const token = await tab.token();
      await profile.pass(0.86 * LIFETIME);
      await tab.untilNot(token);
      assert.equal((await tab.call("me")).email, person.email);
    });
  });
}

describe("fetch", { skip }, () => {
  test("sends the token to the address that it has checked, whatever the base of the document is", async (t) => {
    const received = [];
    const record = (request) => {
      if (request.method !== "OPTIONS") received.push([request.headers.host, request.headers.authorization]);
      const headers = { "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Authorization, X-A" };
      return new Response(null, { status: 204, headers });
    };
    const foreign = await servePages({ "/orders": record });
    t.after(foreign.close);
    pages.files["/orders"] = record;
    pages.files["/frame"] = "<!doctype html>";
    const profile = await Profile.open("storage");
    t.after(() => profile.context.close());
    const tab = await profile.tab();
    await tab.login(await worker.register());
    const token = `Bearer ${await tab.token()}`;
    const ask = (origin) =>
      tab.page.evaluate(async (href) => {
        const base = document.createElement("base");
        base.href = href;
        document.head.replaceChildren(base);
        const frame = document.createElement("iframe");
        frame.src = `${location.origin}/frame`;
        await new Promise((resolve) => {
          frame.onload = resolve;
          document.documentElement.append(frame);
        });
        const { Request: Other, URL: OtherURL } = frame.contentWindow;
        const inputs = [
          "orders",
          "/orders",
          new Request("orders"),
          new Other(`${href}orders`),
          new OtherURL("orders", href),
        ];
        for (const input of inputs) await auth.fetch(input, { headers: { "X-A": "1" } });
      }, `${origin}/`);
    for (const [origin, sent] of [
      [foreign.origin, undefined],
      [pages.origin, token],
    ]) {
      received.length = 0;
      await ask(origin);
      assert.deepEqual(received, Array(5).fill([new URL(origin).host, sent]));
    }
  });
});

describe("in cookie mode", { skip }, () => {
  const open = async () => {
    const profile = await Profile.open("cookie");
    return { profile, tab: await profile.tab() };
  };

  test("a session that is not to be remembered ends with the browser", async () => {
    const person = await worker.register();
    const { profile, tab } = await open();
    await tab.call("login", { email: person.email, password: PASSWORD, remember: false });
    const expires = async () => (await profile.sessionCookies()).map(({ expires }) => expires);
    assert.deepEqual(await expires(), [-1]);
    const token = await tab.token();
    await profile.pass(0.86 * LIFETIME);
    await tab.untilNot(token);
    assert.deepEqual(await expires(), [-1]);
    await profile.context.close();
  });

  test("a tab that finds a session signs in the others, as after a reload during a login", async () => {
    const person = await worker.register();
    const { profile, tab } = await open();
    const other = await profile.tab();
    // The browser keeps the cookie of an answer that no page is there to receive.
    const lostLogin = async ({ email }) => {
      const status = await tab.page.evaluate(
        async ([url, json]) => {
          const headers = { "Content-Type": "application/json" };
          const init = { method: "POST", credentials: "include", headers, body: JSON.stringify(json) };
          return (await fetch(url, init)).status;
        },
        [`${server.url}/login`, { email, password: PASSWORD, transport: "cookie" }],
      );
      assert.equal(status, 200);
      await tab.load();
    };
    await lostLogin(person);
    assert.equal(await tab.state(), "signed_out,,");
    assert.equal((await tab.call("restore")).email, person.email);
    assert.equal(await tab.state(), `signed_in,${person.email},restored`);
    await other.until(`signed_in,${person.email},signed_in`);
    assert.equal(await other.token(), await tab.token());

    // But none follows to another account by itself, however often it is found.
    await other.page.evaluate((url) => {
      globalThis.heard = 0;
      new BroadcastChannel(`portcullis:${url}`).onmessage = ({ data }) => {
        if (data.found) globalThis.heard += 1;
      };
    }, server.url);
    const next = await worker.register();
    await lostLogin(next);
    await other.until("signed_out,,account_changed");
    await tab.load();
    assert.equal(await tab.state(), `signed_in,${next.email},restored`);
    await other.page.waitForFunction(() => globalThis.heard === 2);
    assert.equal(await other.state(), "signed_out,,account_changed");
    await profile.context.close();
  });

  test("what another tab found before a logout does not undo it", async () => {
    const person = await worker.register();
    const { profile, tab } = await open();
    const found = await profile.tab();
    await found.page.evaluate((url) => {
      globalThis.channel = new BroadcastChannel(`portcullis:${url}`);
      channel.onmessage = ({ data }) => {
        if (data.kind === "session") globalThis.message = data;
      };
    }, server.url);
    await tab.login(person);
    await found.page.waitForFunction(() => globalThis.message);
    await tab.call("logout");
    await found.until("signed_out");
    await found.page.evaluate(() => channel.postMessage(message));
    // Messages arrive in the order in which they were sent.
    const next = await worker.register();
    await found.login(next);
    await tab.until(`signed_in,${next.email},signed_in`);
    const states = [
      "signed_out,,",
      `signed_in,${person.email},signed_in`,
      "signed_out,,signed_out",
      `signed_in,${next.email},signed_in`,
    ];
    for (const one of [tab, found]) assert.deepEqual(await one.states(), states);
    await profile.context.close();
  });

  test("a password change and the deletion of the account keep to the cookie", async () => {
    const person = await worker.register();
    const { profile, tab } = await open();
    await tab.login(person);
    const next = "purple otters juggle lanterns";
    await tab.call("changePassword", { current_password: PASSWORD, new_password: next });
    await tab.load();
    assert.equal(await tab.state(), `signed_in,${person.email},restored`);
    await tab.call("deleteMe");
    assert.equal(await tab.state(), "signed_out,,signed_out");
    assert.deepEqual(await profile.sessionCookies(), []);
    await profile.context.close();
  });

  test("the end of all sessions, or of this one by its id, deletes the cookie", async () => {
    const person = await worker.register();
    const { profile, tab } = await open();
    const endThis = async () => tab.call("endSession", sidOf(await tab.token()).sid);
    for (const end of [() => tab.call("logoutEverywhere"), endThis]) {
      await tab.login(person);
      const answer = await end();
      assert.ok([2, undefined].includes(answer), JSON.stringify(answer));
      assert.equal(await tab.state(), "signed_out,,signed_out");
      assert.deepEqual(await profile.sessionCookies(), []);
    }
    await profile.context.close();
  });

  test("passwords and cookies do not follow a redirect, which does not end the session", async (t) => {
    const person = await worker.register();
    const { profile, tab } = await open();
    t.after(() => profile.context.close());
    await tab.login(person);
    const followed = [];
    pages.files["/followed"] = (request) => {
      followed.push(request.method);
      return new Response(null, { status: 204 });
    };
    const redirect = { status: 307, headers: { Location: `${pages.origin}/followed` } };
    pages.files["/moved/refresh"] =
      pages.files["/moved/login"] =
      pages.files["/moved/me"] =
        () => new Response(null, redirect);
    const errors = await tab.page.evaluate(
      async ([url, name, credentials]) => {
        const { createClient } = await import("/client.js");
        localStorage.setItem(name, "1");
        const moved = createClient({ url, mode: "cookie" });
        const anonymous = createClient({ url, mode: "memory" });
        const codes = [];
        for (const call of [() => moved.getAccessToken(), () => moved.login(credentials), () => anonymous.me()])
          codes.push(await call().catch(({ code, status }) => [code, status].join()));
        codes.push(moved.state.status);
        moved.close();
        return codes;
      },
      [`${pages.origin}/moved`, `portcullis:${pages.origin}/moved`, { email: person.email, password: PASSWORD }],
    );
    const refused = "unexpected_response,0";
    assert.deepEqual([errors, followed], [[refused, refused, refused, "loading"], []]);
  });

  test("pages of sibling domains share the session, and foreign ones have none", async () => {
    const page = { "/client.js": pages.files["/client.js"] };
    const hosts = ["app.example.test", "login.example.test", "app.foreign.test"];
    const domains = await serveDomains({
      ...Object.fromEntries(hosts.map((host) => [host, { ...page }])),
      "auth.example.test": worker,
    });
    const issuer = domains.origin("auth.example.test");
    await worker.update({
      vars: { ISSUER: issuer, COOKIE_MODE: "refresh", ALLOWED_ORIGINS: hosts.map(domains.origin).join() },
    });
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    try {
      const [app, login, foreign] = await Promise.all(
        hosts.map(async (host) => {
          domains.domains[host]["/"] = pageOf("cookie", issuer);
          const tab = new Tab(await context.newPage(), `${domains.origin(host)}/`);
          await tab.load();
          return tab;
        }),
      );
      const person = await worker.register();
      await login.login(person);
      assert.equal(await app.state(), "signed_out,,");
      assert.equal((await app.call("restore")).email, person.email);
      assert.equal((await app.call("me")).email, person.email);
      // The browser sends it no cookie.
      assert.equal(await foreign.call("restore"), null);
      assert.deepEqual(await foreign.login(person), { code: "csrf_refused", status: 403 });
    } finally {
      await context.close();
      await domains.close();
    }
  });
});
