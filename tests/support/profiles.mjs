// Browser profiles for visits of one origin, each with a page. A new profile costs more than what most tests do in it, because the
// browser starts processes for it, which begin cold. So a profile that a test has left is emptied, and used again.

/** What a test may do to a profile that is not undone here. Such a profile is not used again. */
const LASTING = {
  context: ["addInitScript", "exposeBinding", "exposeFunction", "grantPermissions", "newCDPSession", "setOffline"],
  page: ["addInitScript", "emulateMedia", "exposeBinding", "exposeFunction", "setExtraHTTPHeaders", "setViewportSize"],
  clock: ["install", "setFixedTime", "setSystemTime"],
};

/** What a test may listen to. */
const EVENTS = ["console", "dialog", "page", "pageerror", "request", "requestfailed", "response"];

export class Profiles {
  /** Those that nobody uses, by the options of their contexts. */
  #idle = new Map();

  /** `prepare` is called with each new context. */
  constructor(browser, origin, prepare) {
    Object.assign(this, { browser, origin, prepare });
  }

  /** A profile in which nothing has been opened: `{ context, page }`. The options are those of playwright's contexts. */
  async take({ extraHTTPHeaders = {}, ...options }) {
    const key = JSON.stringify(options);
    const profile = this.#idle.get(key)?.pop() ?? (await this.#create(key, options));
    await profile.context.setExtraHTTPHeaders(extraHTTPHeaders);
    return profile;
  }

  async #create(key, options) {
    const context = await this.browser.newContext(options);
    await this.prepare(context);
    const page = await context.newPage();
    const profile = { key, context, page, session: await context.newCDPSession(page), isChanged: false };
    for (const [name, methods] of Object.entries(LASTING)) {
      const changed = { context, page, clock: context.clock }[name];
      for (const method of methods) {
        const call = changed[method].bind(changed);
        changed[method] = (...args) => {
          profile.isChanged = true;
          return call(...args);
        };
      }
    }
    return profile;
  }

  /** Ends the use of a profile, which may be used again if its test has passed, and has been to this origin only. */
  async leave(profile, isReusable) {
    const { context, page } = profile;
    if (!isReusable || profile.isChanged || page.isClosed()) return context.close();
    for (const other of context.pages()) if (other !== page) await other.close();
    // Its scripts end before their traces are removed. This empty document, unlike one that `goto` opens, is in the same process,
    // and of the same origin, which is that of sessionStorage.
    await page.evaluate(() => location.replace("about:blank"));
    await page.waitForURL("about:blank");
    await page.evaluate(() => sessionStorage.clear());
    for (const target of [page, context]) {
      await target.unrouteAll({ behavior: "ignoreErrors" });
      for (const event of EVENTS) target.removeAllListeners(event);
    }
    await profile.session.send("Storage.clearDataForOrigin", { origin: this.origin, storageTypes: "all" });
    await profile.session.send("Page.resetNavigationHistory");
    await page.mouse.move(0, 0);
    if (!this.#idle.has(profile.key)) this.#idle.set(profile.key, []);
    this.#idle.get(profile.key).push(profile);
  }
}
