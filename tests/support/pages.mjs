// The account pages in Chromium, as the Worker serves them. Closing a visit fails the test if the page violated its policy, wrote
// an error to the console, requested anything from another origin, or got an error that the test did not expect.

import assert from "node:assert/strict";

import { atLocalhost, launch, skip } from "./browser.mjs";
import { page as asPage, PASSWORD, startWorker } from "./harness.mjs";
import { Profiles } from "./profiles.mjs";

/** A Worker at its own address, and a browser. */
export class Pages {
  static async start(vars = {}) {
    const pages = new Pages();
    if (skip) return pages;
    pages.vars = { COOKIE_MODE: "refresh", ...vars };
    pages.worker = await startWorker();
    pages.url = await atLocalhost(pages.worker, pages.vars);
    pages.browser = await launch();
    pages.profiles = new Profiles(pages.browser, pages.url, (context) => context.addInitScript(reportMistakes));
    return pages;
  }

  async close() {
    await this.browser?.close();
    await this.worker?.close();
  }

  /** Continues with these changes to the configuration, or with none. */
  configure(vars = {}) {
    return this.worker.update({ vars: { ISSUER: this.url, ...this.vars, ...vars } });
  }

  /**
   * Opens a page in a browser profile of its own, which ends when `work` is done.
   * @param {{ view?: string, allowed?: (number | string)[], base?: string, origins?: string[], signIn?: Function } & object} options
   *   the view; the statuses of errors that the page may get; the path of the issuer; other origins that it may go to; what
   *   precedes. Others are those of playwright's contexts
   */
  async visit({ view = "login", allowed = [], base = "", origins = [], signIn, ...options }, work) {
    const profile = await this.profiles.take({ locale: "en-GB", ...options });
    const { context, page } = profile;
    const problems = [];
    const watch = (page) => this.#watch(page, problems, { allowed, origins: [this.url, ...origins] });
    watch(page);
    context.on("page", watch);
    page.setDefaultTimeout(20_000);
    let hasPassed = false;
    try {
      await signIn?.(page, context);
      await page.goto(`${this.url}${base}/account/${view}`);
      await work(page, context);
      assert.deepEqual(problems, []);
      hasPassed = true;
    } catch (error) {
      if (problems.length > 0 && error.message !== problems[0]) error.message += `\n${problems.join("\n")}`;
      throw error;
    } finally {
      await this.profiles.leave(profile, hasPassed && origins.length === 0);
    }
  }

  #watch(page, problems, { allowed, origins }) {
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      // The browser's own line about a failed request. The responses are watched below.
      if (message.text().startsWith("Failed to load resource")) return;
      if (message.type() === "error") problems.push(message.text());
    });
    page.on("request", (request) => {
      const { origin } = new URL(request.url());
      if (!origins.includes(origin)) problems.push(`a request to ${request.url()}`);
    });
    page.on("response", (response) => {
      // Who has never logged in has no cookie yet: the first refresh is refused.
      const isFirst = response.status() === 401 && new URL(response.url()).pathname.endsWith("/refresh");
      if (response.status() >= 400 && !allowed.includes(response.status()) && !isFirst)
        problems.push(`${response.status()} ${response.url()}`);
    });
  }

  /** A new user, with what a test wants to know of them. */
  async register(details) {
    const person = await this.worker.register(details);
    return { ...person, bearer: person.access_token };
  }

  /** Makes every login so old that changes need another one. An open page notices with its next refresh. */
  async outdate() {
    await this.worker.db.prepare("UPDATE refresh_tokens SET authenticated_at = authenticated_at - 301").run();
  }

  /** Opens a view of a user who is signed in, by a request in the place of the form, which costs two more pages. */
  visitAs(person, { view = "profile", extraHTTPHeaders, ...options }, work) {
    const signIn = async (page, context) => {
      const agent = await page.evaluate(() => navigator.userAgent);
      const headers = { ...asPage().headers, ...extraHTTPHeaders, "User-Agent": agent };
      const { answer } = await this.worker.loginByCookie(person, { remember: false }, { headers });
      await context.addCookies(answer.headers.getSetCookie().map(cookieOf));
    };
    return this.visit({ view, extraHTTPHeaders, signIn, ...options }, async (page, context) => {
      await page.locator("h1").waitFor();
      await work(page, context);
    });
  }
}

/** What the policy of the page forbade is an error in its console, and so is a focus that is lost because its dialog is closed. */
function reportMistakes() {
  const { focus } = HTMLElement.prototype;
  HTMLElement.prototype.focus = function (...options) {
    if (this.closest("dialog:not([open])") !== null) console.error("focus: the dialog is closed");
    focus.apply(this, options);
  };
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
    console.error(`policy: ${violatedDirective} ${blockedURI}`),
  );
}

/** A cookie that the Worker sets, in the words of playwright. Cookies belong to a host, whatever its port and scheme. */
function cookieOf(header) {
  const [pair, ...attributes] = header.split("; ");
  const [name, value] = pair.split(/=(.*)/s);
  const maxAge = attributes.find((attribute) => attribute.startsWith("Max-Age="))?.split("=")[1];
  const expires = maxAge === undefined ? -1 : Math.floor(Date.now() / 1000) + Number(maxAge);
  return { name, value, expires, domain: "localhost", path: "/", httpOnly: true, secure: true, sameSite: "Strict" };
}

/** Fills in and sends the form, whatever its language. */
export async function logIn(page, { email, password = PASSWORD }) {
  await page.locator('input[name="login"]').fill(email);
  await page.locator('input[name="password"]').fill(password);
  await page.locator('button[type="submit"]').click();
}

/** Fills in and sends the dialog in which a user authenticates again. */
export async function confirmPassword(page, password = PASSWORD) {
  const dialog = page.getByRole("dialog", { name: "Confirm that it is you" });
  await dialog.getByLabel("Password", { exact: true }).fill(password);
  await dialog.getByRole("button", { name: "Confirm" }).click();
  return dialog;
}

/** Waits for the view with this heading. */
export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
export const button = (page, name) => page.getByRole("button", { name, exact: true });
/** Waits for what is shown, and read out, after something was done. */
export const announced = (page, text) => page.getByRole("status").getByText(text).waitFor();

/** The text that describes a field: its errors and hints. */
export const described = (field) =>
  field.evaluate((element) =>
    (element.getAttribute("aria-describedby") ?? "")
      .split(" ")
      .map((id) => document.getElementById(id)?.textContent)
      .join(" "),
  );

/** Asserts that a field is marked as wrong for this reason, and has the focus. */
export async function assertWrong(field, reason) {
  await field.and(field.page().locator('[aria-invalid="true"]')).waitFor();
  assert.match(await described(field), reason);
  assert.ok(await field.evaluate((element) => element === document.activeElement), "it has the focus");
}
