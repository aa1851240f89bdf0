// The admin page in Chromium, with the Worker that serves it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { skip } from "../support/browser.mjs";
import { PASSWORD } from "../support/harness.mjs";
import { announced, assertWrong, button, heading, logIn, Pages } from "../support/pages.mjs";

let pages, admin;
before(async () => {
  pages = await Pages.start();
  if (skip) return;
  admin = await pages.register();
  await pages.worker.setRoles(admin, ["user", "admin"]);
});
after(() => pages.close());

const options = { skip };
const rows = (page) => page.getByRole("row");
const ofPerson = ({ user }) => `admin?person=${user.id}`;
const asAdmin = (method, person, json) =>
  pages.worker.request(method, `/users/${person.user.id}`, { bearer: admin.bearer, json });

test("an admin finds people by the beginning of their address, page by page", options, async () => {
  await pages.worker.insertUsers(110);
  const person = await pages.register({ email: "zenobia+test@example.org", name: "Zenobia" });
  await pages.visitAs(admin, {}, async (page) => {
    await page.getByRole("link", { name: "People" }).click();
    await heading(page, "People");
    await rows(page).nth(50).waitFor();
    assert.equal(await rows(page).count(), 51);
    await button(page, "Show more").click();
    await rows(page).nth(100).waitFor();
    const search = page.getByRole("searchbox", { name: "Search by the beginning of the e-mail address" });
    await search.fill("zenobia+");
    await rows(page).nth(2).waitFor({ state: "detached" });
    await page.getByRole("link", { name: person.email }).click();
    await heading(page, person.email);
    await page.getByText("Zenobia", { exact: true }).waitFor();
    await page.goBack();
    await heading(page, "People");
    assert.equal(await search.inputValue(), "zenobia+");
    await rows(page).nth(1).waitFor();
    assert.equal(await rows(page).count(), 2);
    await search.fill("nobody-of-this-name");
    await page.getByText("No address begins with “nobody-of-this-name”.").waitFor();
    await button(page, "Clear").click();
    await rows(page).nth(50).waitFor();
  });
});

test("an admin adds and removes roles, and is told of roles that cannot be set", options, async () => {
  const person = await pages.register();
  const roles = async () => (await asAdmin("GET", person)).body.roles;
  await pages.visitAs(admin, { view: ofPerson(person), allowed: [409, 422] }, async (page) => {
    const role = page.getByLabel("Add a role");
    await role.fill("wizard");
    await button(page, "Add").click();
    await assertWrong(role, /There is no such role/);
    assert.deepEqual(await roles(), ["user"]);
    await role.fill("admin");
    await page.keyboard.press("Enter");
    await announced(page, "Saved");
    assert.deepEqual(await roles(), ["user", "admin"]);
    assert.equal(await role.inputValue(), "");
    await page.getByText("Roles changed to user, admin").waitFor();
    await button(page, "Remove admin").click();
    await button(page, "Remove admin").waitFor({ state: "detached" });
    assert.deepEqual(await roles(), ["user"]);

    await page.goto(`${pages.url}/account/${ofPerson(admin)}`);
    await heading(page, admin.email);
    await button(page, "Remove admin").click();
    await page.getByRole("alert").getByText("This is the last administrator").waitFor();
  });
});

test("roles that another admin changed meanwhile are shown, and nothing is undone", options, async () => {
  const person = await pages.register();
  await asAdmin("PATCH", person, { roles: ["user", "admin"] });
  await pages.visitAs(admin, { view: ofPerson(person) }, async (page) => {
    await button(page, "Remove admin").waitFor();
    await asAdmin("PATCH", person, { roles: ["user"] });
    await button(page, "Remove user").click();
    await page.getByRole("alert").getByText("The roles were changed meanwhile.").waitFor();
    await button(page, "Remove admin").waitFor({ state: "detached" });
    assert.deepEqual((await asAdmin("GET", person)).body.roles, ["user"]);
    await button(page, "Remove user").click();
    await page.getByText("No roles.").waitFor();
    assert.deepEqual((await asAdmin("GET", person)).body.roles, []);
  });
});

test("an address that is no id of a person asks the server nothing", options, async () => {
  for (const id of ["..", ".", "", "%2e%2e", "x", `${admin.user.id}/sessions`]) {
    await pages.visitAs(admin, { view: `admin?person=${id}` }, async (page) => {
      await heading(page, "No such account");
    });
  }
});

test("an admin disables and enables an account", options, async () => {
  const person = await pages.register();
  await pages.visitAs(admin, { view: ofPerson(person) }, async (page) => {
    await page.getByText("Active", { exact: true }).waitFor();
    await button(page, "Disable").click();
    await page.getByRole("dialog", { name: "Disable this account?" }).getByRole("button", { name: "Disable" }).click();
    await page.getByText("Disabled now").waitFor();
    await page.getByText("Not logged in anywhere.").waitFor();
    assert.equal((await pages.worker.login(person)).status, 401);
    await button(page, "Enable").click();
    await button(page, "Disable").waitFor();
    assert.equal((await pages.worker.login(person)).status, 200);
  });
});

test("an admin sees whether the address of a person is verified", options, async () => {
  const person = await pages.register();
  const shows = (text) =>
    pages.visitAs(admin, { view: ofPerson(person) }, async (page) => {
      await page
        .getByRole("definition")
        .filter({ hasText: new RegExp(`^${text}$`) })
        .waitFor();
    });
  await shows("Not verified");
  await pages.worker.setColumn(person, "email_verified_at", 1);
  await shows("Verified");
});

test("an admin sees the sessions and the trail of a person, and ends all sessions", options, async () => {
  const person = await pages.register();
  await pages.worker.login(person);
  await pages.visitAs(admin, { view: ofPerson(person) }, async (page) => {
    await page.getByText("Account created").waitFor();
    assert.equal(await button(page, "End").count(), 0);
    await button(page, "End all").click();
    await page.getByRole("dialog", { name: "End all sessions?" }).getByRole("button", { name: "End all" }).click();
    await announced(page, "2 sessions ended");
    await page.getByText("An administrator ended all sessions").waitFor();
    assert.equal((await pages.worker.me(person.bearer)).status, 401);
  });
});

test(
  "an admin sees the failed attempts on an account and lifts the delay, and its owner reads of both",
  options,
  async () => {
    const person = await pages.register({ username: "often-guessed" });
    await pages.visitAs(admin, { view: ofPerson(person) }, async (page) => {
      await page.getByText("Account created").waitFor();
      assert.equal(await button(page, "Lift").count(), 0);
      await pages.worker.throttle(person);
      await pages.worker.post("/login", { json: { username: "often-guessed", password: "wrong" } });
      await page.reload();
      const failures = page.getByRole("region", { name: "Failed attempts" });
      const items = failures.getByRole("listitem");
      await items.first().waitFor();
      const [email, username, ...others] = await items.all();
      assert.deepEqual(others, []);
      assert.match(
        await email.textContent(),
        /^Logins with the e-mail address\s*Delayed until \d\d:\d\d\s*5 failed attempts/,
      );
      assert.match(await username.textContent(), /^Logins with the username\s*1 failed attemptLast/);
      await button(page, "Lift").click();
      const dialog = page.getByRole("dialog", { name: "Lift the delay?" });
      await button(dialog, "Cancel").click();
      assert.equal((await pages.worker.login(person)).status, 429);
      await button(page, "Lift").click();
      await button(dialog, "Lift").click();
      await announced(page, "Delay lifted");
      await failures.waitFor({ state: "detached" });
      await page.waitForFunction(() => document.activeElement.matches("h1"));
      await page.getByText("An administrator ended the delay after wrong passwords").waitFor();
    });
    await pages.visitAs(person, { view: "activity" }, async (page) => {
      await page.getByText("Further attempts were delayed after wrong passwords", { exact: true }).waitFor();
      await page.getByText("An administrator ended the delay after wrong passwords", { exact: true }).waitFor();
    });
  },
);

test("an admin deletes an account, but not the own one", options, async () => {
  const person = await pages.register();
  await pages.visitAs(admin, { view: ofPerson(person), allowed: [404] }, async (page) => {
    await button(page, "Delete").click();
    const dialog = page.getByRole("dialog", { name: "Delete this account?" });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    assert.equal((await asAdmin("GET", person)).status, 200);
    await button(page, "Delete").click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await announced(page, "Account deleted");
    await heading(page, "People");
    assert.equal((await asAdmin("GET", person)).status, 404);
    await page.goto(`${pages.url}/account/${ofPerson(person)}`);
    await heading(page, "No such account");
    await page.goto(`${pages.url}/account/${ofPerson(admin)}`);
    await page.getByText("This is your own account.").waitFor();
    assert.equal(await button(page, "Delete").count(), 0);
  });
});

test("those who are no admins are told so", options, async () => {
  const person = await pages.register();
  for (const view of ["admin", "stats"]) {
    await pages.visitAs(person, { view }, async (page) => {
      await heading(page, "For administrators only");
      for (const name of ["People", "Last 24 hours"]) assert.equal(await page.getByRole("link", { name }).count(), 0);
    });
  }
});

/** Answers GET /stats in the place of the Worker, with logins that the metrics know in one hour. */
async function answerStats(page, { metrics, logins, failed_logins }) {
  const now = Math.floor(Date.now() / 3_600_000) * 3600;
  const unknown = metrics === "read" ? 0 : null;
  const known = { throttled: 0, reuse_detected: 0, mails_sent: 0, mails_failed: 0, failed_logins: 0 };
  const none = { ...known, logins: unknown, registrations: unknown, refused: unknown };
  const hours = Array.from({ length: 24 }, (_, index) => ({ at: now - 3600 * (23 - index), ...none }));
  hours[21] = { ...hours[21], logins, failed_logins };
  const body = { since: hours[0].at, total: { ...none, logins, failed_logins }, hours, mails_waiting: 3, metrics };
  await page.route(
    ({ pathname }) => pathname === "/stats",
    (route) => route.fulfill({ contentType: "application/json", body: JSON.stringify(body) }),
  );
  await button(page, "Update").click();
}
/** The tile with this name. */
const tile = (page, name) => page.getByRole("listitem").filter({ has: page.getByText(name, { exact: true }) });

test("an admin sees the numbers of the last 24 hours, and updates them", options, async () => {
  const person = await pages.register();
  await pages.worker.db.prepare("DELETE FROM audit_events").run();
  await pages.worker.login({ ...person, password: "wrong" });
  await pages.visitAs(admin, {}, async (page) => {
    await page.getByRole("link", { name: "Last 24 hours" }).click();
    await heading(page, "Last 24 hours");
    await tile(page, "Failed logins").getByText("1", { exact: true }).waitFor();
    await tile(page, "Failed logins")
      .getByText(/^Most: 1 at \d\d:00$/)
      .waitFor();
    await tile(page, "Reused tokens").getByText("0", { exact: true }).waitFor();
    assert.equal(await page.getByText("Most:").count(), 1);
    await pages.worker.login({ ...person, password: "wrong" });
    await button(page, "Update").click();
    await tile(page, "Failed logins").getByText("2", { exact: true }).waitFor();
  });
});

test("numbers of the metrics are shown if there are any, and are not zero if they are not known", options, async () => {
  await pages.visitAs(admin, { view: "stats" }, async (page) => {
    await page.getByText("Set METRICS_URL and METRICS_TOKEN to see them here.").waitFor();
    for (const name of ["Logins", "Registrations", "Refused requests"])
      await tile(page, name).getByText("Not known").waitFor();
    await answerStats(page, { metrics: "read", logins: 1234, failed_logins: 0 });
    await tile(page, "Logins").getByText("1,234", { exact: true }).waitFor();
    await tile(page, "Logins").getByText("Most: 1,234 at").waitFor();
    await tile(page, "Refused requests").getByText("0", { exact: true }).waitFor();
    await tile(page, "Mails waiting").getByText("3", { exact: true }).waitFor();
    const heights = await tile(page, "Logins")
      .locator("rect")
      .evaluateAll((bars) => bars.map((bar) => bar.getAttribute("height")));
    assert.deepEqual(
      heights,
      heights.map((_, index) => (index === 21 ? "24" : "0.75")),
    );
    assert.equal(await page.getByText("METRICS_URL").count(), 0);
    await answerStats(page, { metrics: "unavailable", logins: null, failed_logins: 7 });
    await page.getByText("because the metrics did not answer").waitFor();
    await tile(page, "Failed logins").getByText("7", { exact: true }).waitFor();
    await tile(page, "Logins").getByText("Not known").waitFor();
  });
});

test("numbers that could not be updated stay, with the reason", options, async () => {
  await pages.visitAs(admin, { view: "stats", allowed: [503] }, async (page) => {
    await tile(page, "Mails sent").waitFor();
    const body = JSON.stringify({ status: 503, code: "storage_unavailable" });
    await page.route(
      ({ pathname }) => pathname === "/stats",
      (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body }),
    );
    await button(page, "Update").click();
    await page.getByRole("alert").getByText("The service is not available right now.").waitFor();
    await tile(page, "Mails sent").waitFor();
  });
});

test("an admin who is none any more learns it from the server", options, async () => {
  const person = await pages.register();
  await pages.worker.setRoles(person, ["user", "admin"]);
  await pages.visitAs(person, { allowed: [403] }, async (page) => {
    await pages.worker.setRoles(person, ["user"]);
    await page.getByRole("link", { name: "People" }).click();
    await heading(page, "For administrators only");
  });
});

test(
  "only admins fetch the admin page, and a page from before an update asks to be loaded again",
  options,
  async () => {
    const fetched = [];
    await pages.visit({ allowed: [404] }, async (page) => {
      page.on("request", (request) => fetched.push(new URL(request.url()).pathname));
      await logIn(page, await pages.register());
      await heading(page, "Profile");
      assert.ok(!fetched.some((path) => path.includes("/admin-")));
      await button(page, "Log out").click();
      await heading(page, "Log in");
      // As after a deployment, which replaces the files.
      await page.route("**/admin-*.js", (route) => route.fulfill({ status: 404 }));
      await logIn(page, { ...admin, password: PASSWORD });
      await page.getByRole("link", { name: "People" }).click();
      await page.getByRole("alert").getByText("These pages have been updated.").waitFor();
      await page.unroute("**/admin-*.js");
      await button(page, "Reload").click();
      await rows(page).first().waitFor();
    });
  },
);
