// The documentation page in a real browser: its form logs in, and Swagger UI then sends the access token.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { atLocalhost, launch, skip } from "../support/browser.mjs";
import { PASSWORD, startWorker } from "../support/harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** It tries to choose what the page shows. */
const QUERY = "?url=https://evil.example/openapi.json&configUrl=https://evil.example/x.json";
const DESK = { width: 1280, height: 720 };

let worker, url, browser, context, page, requests, violations;
before(async () => {
  if (skip) return;
  worker = await startWorker();
  url = await atLocalhost(worker);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await worker?.close();
});
afterEach(async (t) => {
  if (!t.passed) isOpen = false;
});

let isOpen = false;

/**
 * Opens the page without a session, with a clock that a test can advance. A page that a test has opened is used again, because
 * Swagger UI takes seconds to read the document.
 */
async function open({ viewport = DESK } = {}) {
  if (isOpen) await logOut();
  else await load(`${url}/docs/${QUERY}`);
  isOpen = true;
  await page.setViewportSize(viewport);
}

async function load(address) {
  await context?.close();
  context = await browser.newContext();
  page = await context.newPage();
  await page.clock.install();
  [requests, violations] = [[], []];
  page.on("request", (request) => requests.push(request));
  // Chromium reports violations of the policy, and errors of scripts, to the console.
  page.on("console", (message) => message.type() === "error" && violations.push(message.text()));
  page.on("pageerror", (error) => violations.push(error.message));
  await page.goto(address);
  await page.locator(".swagger-ui .opblock").first().waitFor();
}

/** The response of an operation, sent by "Execute" of Swagger UI. */
async function execute(method, path) {
  const block = page.locator(".opblock").filter({ has: page.locator(`[data-path="${path}"]`) });
  const operation = block.and(page.locator(`.opblock-${method}`));
  if ((await operation.locator(".opblock-body").count()) === 0)
    await operation.locator(".opblock-summary-control").click();
  const answered = page.waitForResponse((response) => new URL(response.url()).pathname === path);
  await operation.getByRole("button", { name: "Execute" }).click();
  return answered;
}

async function logIn(name, password) {
  await top().getByLabel("E-mail or username").fill(name);
  await top().getByLabel("Password").fill(password);
  await top().getByRole("button", { name: "Log in" }).click();
}

async function logOut() {
  if (await signedIn().isVisible()) await top().getByRole("button", { name: "Log out" }).click();
  await top().getByLabel("E-mail or username").waitFor();
  [requests, violations] = [[], []];
}

/** What is above Swagger UI. */
const top = () => page.locator(".docs-login");

const signedIn = () => top().getByText("Signed in as");
const alert = () => top().getByRole("alert");

/** No policy was violated, no script failed, and nothing was requested elsewhere. */
function assertQuiet(expected = []) {
  assert.deepEqual(violations, expected);
  const elsewhere = requests.map((request) => request.url()).filter((target) => !/^(data|blob):/.test(target));
  assert.deepEqual([...new Set(elsewhere.map((target) => new URL(target).origin))], [url]);
}

test("nothing in the address of the page chooses what it shows", { skip }, async () => {
  await open();
  assertQuiet();
});

test("the form logs in, Try it out sends the access token, and Log out ends the session", { skip }, async () => {
  await open();
  const person = await worker.register({ username: "ada", name: "Ada" });
  for (const name of [person.email, "ada"]) {
    assert.equal((await execute("get", "/me")).status(), 401);
    await logIn(name, PASSWORD);
    await signedIn().waitFor();
    assert.match(await page.locator("#account").textContent(), new RegExp(person.email));
    const response = await execute("get", "/me");
    assert.equal(response.status(), 200);
    assert.equal((await response.json()).email, person.email);
    await page.locator(".live-responses-table").getByText(person.email).first().waitFor();

    await top().getByRole("button", { name: "Log out" }).click();
    await top().getByLabel("E-mail or username").waitFor();
    assert.equal((await execute("get", "/me")).status(), 401);
    const { results } = await worker.db
      .prepare("SELECT revoked_at FROM refresh_tokens WHERE user_id = ?")
      .bind(person.user.id)
      .all();
    // That of the registration is open.
    assert.equal(results.filter(({ revoked_at }) => revoked_at === null).length, 1);
  }
  const failed = "Failed to load resource: the server responded with a status of 401 (Unauthorized)";
  assertQuiet([failed, failed, failed, failed]);
});

test("a refused login, and a service that does not answer, are explained", { skip }, async () => {
  await open();
  await logIn("nobody@example.org", PASSWORD);
  await alert().getByText("There is no such account, or the password is wrong.").waitFor();
  assert.equal(await top().getByLabel("E-mail or username").inputValue(), "nobody@example.org");

  await context.setOffline(true);
  await top().getByRole("button", { name: "Log in" }).click();
  await alert().getByText("The service does not answer. Try again.").waitFor();
  await context.setOffline(false);
  await page.route("**/login", (route) => route.fulfill({ status: 502, body: "<h1>Bad gateway</h1>" }));
  await top().getByRole("button", { name: "Log in" }).click();
  await alert().getByText("The service answers 502.").waitFor();
  await page.unroute("**/login");

  const person = await worker.register();
  await logIn(person.email, PASSWORD);
  await signedIn().waitFor();
  assert.equal(await page.locator("#problem").textContent(), "");
});

test("on loopback it registers a test account, and shows its password", { skip }, async () => {
  await open();
  await top().getByRole("button", { name: "Register a test account" }).click();
  await signedIn().waitFor();
  const text = await page.locator("#account").textContent();
  const [, email] = text.match(/Signed in as (test-[0-9a-f]{8}@example\.org)\./);
  const password = await page.locator("#new-password code").textContent();
  assert.equal((await worker.login({ email, password })).status, 200);
  assert.equal((await (await execute("get", "/me")).json()).email, email);
  assertQuiet();
});

test("no token is kept in the browser, whether of the form or typed into Authorize", { skip }, async () => {
  await open();
  await page.locator(".auth-wrapper").getByRole("button", { name: "Authorize" }).click();
  const dialog = page.locator(".modal-ux");
  await dialog.getByLabel("auth-bearer-value").fill("typed");
  const scheme = dialog.locator(".auth-container").filter({ has: page.getByLabel("auth-bearer-value") });
  await scheme.getByRole("button", { name: "Apply credentials" }).click();
  await dialog.getByRole("button", { name: "Close" }).first().click();
  assert.equal((await execute("get", "/me")).request().headers().authorization, "Bearer typed");
  await top().getByRole("button", { name: "Register a test account" }).click();
  await signedIn().waitFor();
  const stored = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
  );
  assert.equal(stored, '[{},{},""]');
});

test("a refresh that is answered after the next login does not replace that session", { skip }, async () => {
  const [ada, bob] = [await worker.register(), await worker.register()];
  await open();
  await logIn(ada.email, PASSWORD);
  await signedIn().waitFor();
  const late = Promise.withResolvers();
  await page.route("**/refresh", async (route) => {
    const response = await route.fetch();
    await late.promise;
    await route.fulfill({ response });
  });
  const asked = page.waitForRequest("**/refresh");
  await page.clock.fastForward(720_000);
  await asked;
  await top().getByRole("button", { name: "Log out" }).click();
  await logIn(bob.email, PASSWORD);
  await page.locator("#account").getByText(bob.email).waitFor();
  const answered = page.waitForResponse("**/refresh");
  late.resolve();
  await answered;
  assert.equal((await (await execute("get", "/me")).json()).email, bob.email);
  await page.unroute("**/refresh");
});

test("the page refreshes before the access token expires, and says when the session has ended", { skip }, async () => {
  const person = await worker.register();
  await open();
  await logIn(person.email, PASSWORD);
  await signedIn().waitFor();
  const first = (await execute("get", "/me")).request().headers().authorization;

  const refreshed = page.waitForResponse((response) => response.url() === `${url}/refresh`);
  await page.clock.fastForward(720_000);
  assert.equal((await refreshed).status(), 200);
  const second = (await execute("get", "/me")).request().headers().authorization;
  assert.match(second, /^Bearer eyJ/);
  assert.notEqual(second, first);

  // While the service does not answer, the session stays.
  await context.setOffline(true);
  await page.clock.fastForward(720_000);
  await context.setOffline(false);
  await signedIn().waitFor();
  await worker.delete("/sessions", { bearer: person.access_token });
  const ended = alert().getByText("The session has ended. Log in again.");
  // Again, because the page may plan its next attempt only after the clock has jumped.
  for (let tries = 0; tries < 50 && (await ended.count()) === 0; tries += 1) {
    await page.clock.fastForward(60_000);
    await setTimeout(200);
  }
  await ended.waitFor();
  assert.equal((await execute("get", "/me")).request().headers().authorization, undefined);
});

test("above Swagger UI axe finds nothing, and at 320 px nothing is cut off, in light and dark", { skip }, async () => {
  await open({ viewport: { width: 320, height: 640 } });
  // The operations that other tests have opened are wider.
  for (const operation of await page.locator(".opblock.is-open .opblock-summary-control").elementHandles())
    await operation.click();
  await page.evaluate(axe);
  const assertClean = async () => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const found = await page.evaluate(() =>
        globalThis.axe.run({ include: [[".docs-top"], [".docs-login"]] }, { resultTypes: ["violations"] }),
      );
      assert.deepEqual(
        found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
        [],
        colorScheme,
      );
      const { width, cut } = await page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        cut: [...document.querySelectorAll(".docs-top *, .docs-login *")]
          .filter((element) => element.getBoundingClientRect().right > innerWidth)
          .map(({ outerHTML }) => outerHTML),
      }));
      assert.deepEqual([width, cut], [320, []], colorScheme);
    }
  };
  await assertClean();
  await logIn("nobody@example.org", PASSWORD);
  await alert().getByText("There is no such account").waitFor();
  await assertClean();
  await top().getByRole("button", { name: "Register a test account" }).click();
  await signedIn().waitFor();
  await assertClean();
});
