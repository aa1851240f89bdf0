// The account pages in Chromium, with the Worker that serves them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { build } from "esbuild";

import { servePages, skip } from "../support/browser.mjs";
import { from, PASSWORD } from "../support/harness.mjs";
import {
  announced,
  assertWrong,
  button,
  confirmPassword,
  described,
  heading,
  logIn,
  Pages,
} from "../support/pages.mjs";
import { padding, sha1, startRangeApi } from "../support/range-api.mjs";

const NEW = "four ponies sing quietly at noon";
const COOKIE = "__Host-portcullis";

let pages, app;
before(async () => {
  app = await servePages({ "/": "<h1>The app</h1>", "/deep/page": "<h1>The app</h1>" });
  pages = await Pages.start({ ALLOWED_ORIGINS: `${app.origin}, https://app.example.test` });
});
after(async () => {
  await pages.close();
  await app.close();
});

const options = { skip };
const field = (page, name) => page.getByLabel(name, { exact: true });
const cookieOf = async (context) => (await context.cookies()).find(({ name }) => name === COOKIE);
const path = (page) => page.evaluate(() => location.pathname + location.search);

test("a visit finds nothing that the visit before has left", options, async () => {
  const found = (page) =>
    page.evaluate(async () => {
      const databases = (await indexedDB.databases()).map(({ name }) => name);
      return [history.length, { ...localStorage }, { ...sessionStorage }, databases, await caches.keys()];
    });
  let [first, used] = [];
  await pages.visit({}, async (page, context) => {
    await heading(page, "Log in");
    [first, used] = [await found(page), context];
    await page.evaluate(async () => {
      history.pushState(null, "", "#left");
      localStorage.setItem("left", "1");
      sessionStorage.setItem("left", "1");
      await caches.open("left");
      await new Promise((resolve) => Object.assign(indexedDB.open("left"), { onsuccess: resolve }));
    });
    const cookie = { value: "1", domain: "localhost", path: "/" };
    await context.addCookies([
      { name: "left", ...cookie },
      { name: COOKIE, ...cookie, secure: true },
    ]);
    await page.route("**/config.json", (route) => route.abort());
    await context.newPage();
  });
  await pages.visit({}, async (page, context) => {
    await heading(page, "Log in");
    assert.equal(context, used);
    assert.deepEqual([await found(page), await context.cookies(), context.pages()], [first, [], [page]]);
  });
  await pages.visit({}, (page) => page.clock.install());
  await pages.visit({}, (_, context) => assert.notEqual(context, used));
});

test("a new user registers, and is then signed in without a token that scripts could read later", options, async () => {
  await pages.visit({ view: "" }, async (page, context) => {
    await heading(page, "Log in");
    assert.equal(await path(page), "/account/login");
    await page.getByRole("link", { name: "Register" }).click();
    await heading(page, "Register");
    await field(page, "E-mail").fill("Ada@example.org");
    await field(page, "Name optional").fill(" Ada Lovelace ");
    await field(page, "Password").fill("short");
    assert.match(await described(field(page, "Password")), /^At least 15 characters/);
    await field(page, "Password").fill(PASSWORD);
    assert.equal(await described(field(page, "Password")), "Long enough.");
    await button(page, "Register").click();
    await heading(page, "Profile");
    assert.equal(await path(page), "/account/profile");
    assert.equal(await field(page, "Name").inputValue(), "Ada Lovelace");
    await page.getByText("Ada@example.org").waitFor();
    const { httpOnly, secure, sameSite } = await cookieOf(context);
    assert.deepEqual([httpOnly, secure, sameSite], [true, true, "Strict"]);
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert.doesNotMatch(stored, /pcrt_|eyJ/);

    await page.reload();
    await heading(page, "Profile");
    await button(page, "Log out").click();
    await heading(page, "Log in");
    await page.getByText("You are logged out.").waitFor();
    assert.equal(await cookieOf(context), undefined);
    await page.goBack();
    await heading(page, "Log in");
  });
});

test(
  "a registration that must be checked first shows the widget of Turnstile, and sends its token",
  options,
  async () => {
    const siteverify = await servePages({
      "/": JSON.stringify({ success: true, hostname: "localhost", action: "register" }),
    });
    const vars = { TURNSTILE_SITE_KEY: "0x4AAA", TURNSTILE_SECRET: "secret", TURNSTILE_URL: siteverify.origin };
    await pages.configure(vars);
    await pages.worker.limit({ LIMIT_CHALLENGE: 0 });
    const turnstile = "https://challenges.cloudflare.com";
    const visit = {
      view: "register",
      allowed: [403],
      origins: [turnstile],
      extraHTTPHeaders: { "CF-Connecting-IP": "203.0.113.7" },
    };
    try {
      await pages.visit(visit, async (page, context) => {
        let loads = 0;
        const body = `window.turnstile = {
        render(element, { sitekey, action, callback }) {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = sitekey + " " + action;
          button.onclick = () => callback("a token");
          element.append(button);
          return "widget";
        },
        remove: () => document.querySelector("form div button").remove(),
      };`;
        await context.route(`${turnstile}/turnstile/v0/api.js?render=explicit`, (route) => {
          loads += 1;
          return route.fulfill({ contentType: "text/javascript", body });
        });
        await field(page, "E-mail").fill("checked@example.org");
        await field(page, "Password").fill(PASSWORD);
        assert.equal(loads, 0);
        await button(page, "Register").click();
        await button(page, "0x4AAA register").click();
        await heading(page, "Profile");
        assert.equal(loads, 1);
      });
    } finally {
      await pages.worker.limit({});
      await pages.configure();
      await siteverify.close();
    }
  },
);

test("a user logs in by address or username, and what was typed stays after a refusal", options, async () => {
  const person = await pages.register({ username: "wilhelmina" });
  await pages.visit({ allowed: [401] }, async (page) => {
    await logIn(page, { ...person, password: "not the password" });
    await page.getByRole("alert").getByText("The password is wrong, or there is no such account.").waitFor();
    assert.equal(await field(page, "E-mail or username").inputValue(), person.email);
    assert.equal(await field(page, "Password").inputValue(), "not the password");
    await field(page, "E-mail or username").fill("wilhelmina");
    await field(page, "Password").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await heading(page, "Profile");
  });
});

test("an empty field is named, and gets the focus, before anything is sent", options, async () => {
  await pages.visit({}, async (page) => {
    await button(page, "Log in").click();
    await assertWrong(field(page, "E-mail or username"), /Fill in this field/);
    await field(page, "E-mail or username").fill("ada");
    assert.equal(await described(field(page, "E-mail or username")), "");
    await button(page, "Log in").click();
    await assertWrong(field(page, "Password"), /Fill in this field/);
  });
});

test("Remember me decides whether the session outlives the browser", options, async () => {
  const person = await pages.register();
  for (const isRemembered of [false, true]) {
    for (const view of ["login", "register"]) {
      await pages.visit({ view }, async (page, context) => {
        if (isRemembered) await page.getByRole("checkbox", { name: "Remember me" }).check();
        if (view === "login") await logIn(page, person);
        else {
          await field(page, "E-mail").fill(`remembered-${isRemembered}@example.org`);
          await field(page, "Password").fill(PASSWORD);
          await button(page, "Register").click();
        }
        await heading(page, "Profile");
        const { expires } = await cookieOf(context);
        assert.equal(expires !== -1, isRemembered, view);
      });
    }
  }
});

test("an error of registration is at its field, and nothing that was typed is lost", options, async () => {
  const person = await pages.register();
  await pages.visit({ view: "register", allowed: [409, 422] }, async (page) => {
    await field(page, "E-mail").fill("ada");
    await field(page, "Password").fill("a password of a kind");
    await button(page, "Register").click();
    await assertWrong(field(page, "E-mail"), /Enter an e-mail address/);
    await field(page, "E-mail").fill(person.email);
    await button(page, "Register").click();
    await assertWrong(field(page, "E-mail"), /already exists/);
    await field(page, "E-mail").fill("new-and-free@example.org");
    await field(page, "Password").fill("passwordpassword");
    await button(page, "Register").click();
    await assertWrong(field(page, "Password"), /too easy to guess/);
    await field(page, "Password").fill("short");
    await button(page, "Register").click();
    await assertWrong(field(page, "Password"), /too short/);
    assert.equal(await field(page, "E-mail").inputValue(), "new-and-free@example.org");
    // What was typed is also there after a look at the other form, but for the password.
    await page.getByRole("link", { name: "Log in" }).click();
    await heading(page, "Log in");
    await page.goBack();
    await heading(page, "Register");
    assert.equal(await field(page, "E-mail").inputValue(), "new-and-free@example.org");
    assert.equal(await field(page, "Password").inputValue(), "");
  });
});

test("where registration is closed, there is no form for it", options, async () => {
  await pages.configure({ REGISTRATION: "closed" });
  await pages.visit({}, async (page) => {
    await heading(page, "Log in");
    assert.equal(await page.getByRole("link", { name: "Register" }).count(), 0);
    await page.goto(`${pages.url}/account/register`);
    await page.getByText("Registration is closed.").waitFor();
    assert.equal(await button(page, "Register").count(), 0);
  });
  await pages.configure();
});

test("a password can be shown and hidden", options, async () => {
  await pages.visit({}, async (page) => {
    await field(page, "Password").fill("as typed");
    await button(page, "Show password").click();
    assert.equal(await field(page, "Password").getAttribute("type"), "text");
    await button(page, "Hide password").click();
    assert.equal(await field(page, "Password").getAttribute("type"), "password");
    assert.equal(await field(page, "Password").inputValue(), "as typed");
  });
});

test("password managers are told what each field is", options, async () => {
  const person = await pages.register();
  const kinds = (page) =>
    page
      .locator("input:not([type=checkbox])")
      .evaluateAll((inputs) => inputs.map(({ name, autocomplete }) => `${name}: ${autocomplete}`));
  await pages.visit({ view: "register" }, async (page) => {
    await heading(page, "Register");
    assert.deepEqual(await kinds(page), ["email: username", "name: name", "password: new-password"]);
  });
  await pages.visitAs(person, { view: "password" }, async (page) => {
    await heading(page, "Password");
    assert.deepEqual(await kinds(page), [
      "username: username",
      "current_password: current-password",
      "new_password: new-password",
    ]);
  });
});

test("a user changes the profile, and an error is at its field", options, async () => {
  await pages.register({ username: "taken-name" });
  const person = await pages.register({ name: "Before" });
  const stored = async () => (await pages.worker.me(person.bearer)).body;
  await pages.visitAs(person, { allowed: [401, 403, 409, 422] }, async (page) => {
    await field(page, "Name").fill("  After ");
    await field(page, "Family name").fill("x".repeat(201));
    await button(page, "Save changes").click();
    await assertWrong(field(page, "Family name"), /1 to 200 characters/);
    assert.equal((await stored()).name, "Before");
    // The same refusal again.
    await button(page, "Save changes").click();
    await page.waitForFunction(() => document.activeElement.name === "family_name");
    await assertWrong(field(page, "Family name"), /1 to 200 characters/);
    await field(page, "Family name").fill("Lovelace");
    await button(page, "Save changes").click();
    await announced(page, "Saved");
    let { name, given_name, family_name } = await stored();
    assert.deepEqual([name, given_name, family_name], ["After", null, "Lovelace"]);
    await page.getByRole("banner").getByText("After").waitFor();
    await field(page, "Name").fill("");
    await button(page, "Save changes").click();
    await page.getByRole("banner").getByText(person.email).waitFor();
    ({ name, family_name } = await stored());
    assert.deepEqual([name, family_name], [null, "Lovelace"]);

    const username = field(page, "Username");
    const save = async (value) => {
      await username.fill(value);
      await button(page, "Save username").click();
    };
    await save("a!");
    await assertWrong(username, /3 to 32 letters.*with a letter or digit at both ends/);
    await save("postmaster");
    await assertWrong(username, /reserved/);
    await save("taken-name");
    await assertWrong(username, /is taken/);

    // It is a login name: some time after the login, the user must authenticate again, and the change then goes on.
    await pages.outdate();
    await page.reload();
    await save("free-name");
    const dialog = await confirmPassword(page, "not the password");
    await assertWrong(field(dialog, "Password"), /The password is wrong/);
    await button(dialog, "Cancel").click();
    await page.getByRole("alert").getByText("Confirm that it is you to continue.").waitFor();
    assert.equal(await username.inputValue(), "free-name");
    await button(page, "Save username").click();
    await confirmPassword(page);
    await announced(page, "Saved");
    await button(page, "Save username").waitFor({ state: "detached" });
    const { sessions } = (await pages.worker.get("/sessions", { bearer: person.bearer })).body;
    assert.equal(sessions.length, 2, "the new session has replaced the one of the page");
    assert.equal((await stored()).username, "free-name");
  });
});

test("a user sees whether the address is verified, in the language of the browser", options, async () => {
  const person = await pages.register();
  const shows = (locale, text) =>
    pages.visitAs(person, { locale }, async (page) => {
      await page.getByText(`${person.email}${text}`, { exact: true }).waitFor();
    });
  await shows("en-US", "Not verified");
  await shows("de-AT", "Nicht bestätigt");
  await pages.worker.setColumn(person, "email_verified_at", 1);
  await shows("en-US", "Verified");
  await shows("de-AT", "Bestätigt");
});

test("changing the password ends the other sessions, and keeps this one", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { view: "password", allowed: [403, 422] }, async (page) => {
    const change = async (current, next) => {
      await field(page, "Current password").fill(current);
      await field(page, "New password").fill(next);
      await button(page, "Change password").click();
    };
    await change("not the password", NEW);
    await assertWrong(field(page, "Current password"), /The password is wrong/);
    assert.equal(await field(page, "New password").inputValue(), NEW);
    await change(PASSWORD, "passwordpassword");
    await assertWrong(field(page, "New password"), /too easy to guess/);
    await change(PASSWORD, NEW);
    await announced(page, "Password changed.");
    assert.equal(await field(page, "New password").inputValue(), "");
    assert.equal((await pages.worker.me(person.bearer)).status, 401);
    await page.getByRole("link", { name: "Sessions" }).click();
    await page.getByText("You are logged in on this device only.").waitFor();
    assert.equal((await pages.worker.login({ ...person, password: NEW })).status, 200);
  });
});

test("a breached password is refused at its field, or a notice says so until it is changed", options, async () => {
  const [first, second] = ["seven velvet trombones", "nine velvet trombones"];
  const api = await startRangeApi();
  const body = [first, second].map((password) => `${sha1(password).suffix}:2\r\n`).join("");
  api.answer = { status: 200, body: padding(800) + body };
  const notice = (page) => page.getByText("Your new password is in a public list of leaked passwords");
  try {
    await pages.configure({ BREACH_CHECK: "refuse", BREACH_CHECK_URL: api.url });
    await pages.visit({ view: "register", allowed: [422] }, async (page) => {
      await field(page, "E-mail").fill("leaked@example.org");
      await field(page, "Password").fill(first);
      await button(page, "Register").click();
      await assertWrong(field(page, "Password"), /in a public list of leaked passwords/);
      await pages.configure({ BREACH_CHECK: "warn", BREACH_CHECK_URL: api.url });
      await button(page, "Register").click();
      await heading(page, "Profile");
      await notice(page).waitFor();

      const change = async (current, next) => {
        await field(page, "Current password").fill(current);
        await field(page, "New password").fill(next);
        await button(page, "Change password").click();
        await announced(page, "Password changed.");
      };
      await page.getByRole("link", { name: "Change password" }).click();
      await heading(page, "Password");
      await change(first, second);
      await notice(page).waitFor();
      await change(second, NEW);
      await notice(page).waitFor({ state: "detached" });
    });
    // Another user of the same browser does not see it.
    await pages.visit({ view: "register" }, async (page) => {
      await field(page, "E-mail").fill("leaked-too@example.org");
      await field(page, "Password").fill(first);
      await button(page, "Register").click();
      await notice(page).waitFor();
      await button(page, "Log out").click();
      await heading(page, "Log in");
      await logIn(page, await pages.register());
      await heading(page, "Profile");
      assert.equal(await notice(page).count(), 0);
    });
  } finally {
    await pages.configure();
    await api.close();
  }
});

test("a user sees their sessions, ends one, and ends all others", options, async () => {
  const person = await pages.register();
  const firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
  const { body: other } = await pages.worker.login(person, from("198.51.100.4", firefox));
  await pages.visitAs(person, { view: "sessions" }, async (page) => {
    const items = page.getByRole("listitem").filter({ hasText: "Active" });
    await items.first().waitFor();
    const [own, ...others] = await items.allInnerTexts();
    assert.match(own, /Chrome on Linux\s+This device/);
    assert.equal(others.length, 2);
    // Not of the own session: that is Log out.
    assert.equal(await button(page, "End").count(), 2);
    const ended = items.filter({ hasText: "Firefox on Windows" });
    await ended.getByText("198.51.100.4").waitFor();
    // Which session it ends is said by its description.
    assert.equal(await described(ended.getByRole("button", { name: "End" })), "Firefox on Windows");
    await ended.getByRole("button", { name: "End" }).click();
    await announced(page, "Session ended");
    assert.equal(await ended.count(), 0);
    assert.equal((await pages.worker.me(other.access_token)).status, 401);
    assert.equal((await pages.worker.me(person.bearer)).status, 200);

    await button(page, "End others").click();
    const dialog = page.getByRole("dialog", { name: "End all other sessions?" });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    assert.equal((await pages.worker.me(person.bearer)).status, 200);
    await button(page, "End others").click();
    await dialog.getByRole("button", { name: "End others" }).click();
    await announced(page, "1 other session ended");
    assert.equal((await pages.worker.me(person.bearer)).status, 401);
    await page.getByText("You are logged in on this device only.").waitFor();
  });
});

test("more sessions than fit on a page are shown on request", options, async () => {
  const person = await pages.register();
  for (let count = 0; count < 52; count += 1) await pages.worker.login(person);
  await pages.visitAs(person, { view: "sessions" }, async (page) => {
    await button(page, "Show more").click();
    await button(page, "Show more").waitFor({ state: "detached" });
    assert.equal(await page.getByRole("listitem").filter({ hasText: "Active" }).count(), 54);
  });
});

test("a user reads what happened to the account", options, async () => {
  const person = await pages.register();
  await pages.worker.login({ ...person, password: "wrong" }, from("198.51.100.7", "guess/1.0"));
  await pages.worker.login({ ...person, password: "wrong" }, from("198.51.100.8", "curl/8.0"));
  await pages.visitAs(person, { view: "activity" }, async (page) => {
    await page.getByRole("heading", { name: "Today" }).waitFor();
    const entries = (await page.getByRole("listitem").allInnerTexts()).map((text) => text.replace(/\s+/g, " "));
    const find = (text) => entries.find((entry) => entry.startsWith(text)) ?? assert.fail(`${text}: ${entries}`);
    assert.match(
      find("Wrong password entered 2 times"),
      /Last at \d\d:\d\d.*curl.*198.51.100.8 First from guess, 198.51/,
    );
    assert.ok(entries.some((entry) => /^Logged in \d\d:\d\d Chrome on Linux/.test(entry)));
    find("Account created");
  });
});

test("sessions that logins evicted are an entry, and ten of them within an hour a warning", options, async () => {
  const person = await pages.register();
  const insert = pages.worker.db.prepare(
    "INSERT INTO audit_events (user_id, at, id, kind, count, last_at) VALUES (?1, ?2, ?3, 'sessions_evicted', ?4, ?2)",
  );
  const now = Math.floor(Date.now() / 1000);
  await pages.worker.db.batch([1, 9, 10].map((count) => insert.bind(person.user.id, now - count, `${count}`, count)));
  await pages.visitAs(person, { view: "activity" }, async (page) => {
    for (const [text, tone] of [
      ["A login ended another session, because there were too many", "plain"],
      ["Logins ended 9 other sessions, because there were too many", "plain"],
      ["Logins ended 10 other sessions, because there were too many", "warn"],
    ]) {
      const entry = page.getByRole("listitem").filter({ hasText: text });
      assert.equal(await entry.locator(".item-icon").getAttribute("class"), `item-icon ${tone}`, text);
    }
  });
});

test("what clients send as their name is shown as text", options, async () => {
  const person = await pages.register();
  await pages.worker.login(person, from("198.51.100.9", "<img/src=x onerror=alert(1)>"));
  await pages.visitAs(person, { view: "sessions" }, async (page) => {
    await page.getByText("<img", { exact: true }).waitFor();
    assert.equal(await page.locator('img[src="x"]').count(), 0);
  });
});

test("a user deletes the account after another authentication", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { allowed: [403, 401] }, async (page) => {
    const dialog = page.getByRole("dialog", { name: "Delete your account?" });
    await pages.outdate();
    await page.reload();
    await button(page, "Delete account").click();
    await dialog.getByRole("button", { name: "Delete account" }).click();
    await confirmPassword(page);
    await heading(page, "Log in");
    await announced(page, "Your account has been deleted.");
    assert.equal((await pages.worker.login(person)).status, 401);
  });
});

test("return_to leads to listed origins only", options, async () => {
  const person = await pages.register();
  const login = (to) => ({ view: `login?return_to=${encodeURIComponent(to)}`, origins: [app.origin] });
  const target = `${app.origin}/deep/page?x=1#y`;
  await pages.visit(login(target), async (page) => {
    await page.getByText(`Log in to continue to ${new URL(app.origin).host}.`).waitFor();
    // The other form keeps it.
    await page.getByRole("link", { name: "Register" }).click();
    await page.getByRole("link", { name: "Log in" }).click();
    await logIn(page, person);
    await page.waitForURL(target);
    // At once if the user is signed in already.
    await page.goto(`${pages.url}/account/${login(target).view}`);
    await page.waitForURL(target);
    await page.goto(`${pages.url}/account/?return_to=${encodeURIComponent(app.origin)}`);
    await page.waitForURL(`${app.origin}/`);
  });
  const { host } = new URL(app.origin);
  const refused = [
    "https://evil.example",
    "https://app.example.test.evil.example",
    "https://app.example.test@evil.example",
    "https://app.example.test:444/",
    "http://app.example.test/",
    `https://${host}/`,
    `http://ada@${host}/`,
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "/account/sessions",
    "https:evil.example",
    "",
  ];
  await pages.visit(login(refused[0]), async (page) => {
    await logIn(page, person);
    await heading(page, "Profile");
    for (const to of refused) {
      await page.goto(`${pages.url}/account/${login(to).view}`);
      await heading(page, "Profile");
      assert.equal(await path(page), "/account/profile", to);
    }
  });
});

test("after a login on the pages, an app on the same site finds the session", options, async () => {
  const person = await pages.register();
  const entryPoints = ["packages/client/src/index.ts"];
  const { outputFiles } = await build({ entryPoints, bundle: true, format: "esm", write: false });
  app.files["/client.js"] = outputFiles[0].text;
  app.files["/signed-in"] = `<!doctype html><link rel="icon" href="data:,"><p></p><script type="module">
    import { createClient } from "/client.js";
    const user = await createClient({ url: "${pages.url}", mode: "cookie" }).restore();
    document.querySelector("p").textContent = user?.email ?? "nobody";
  </script>`;
  const to = `${app.origin}/signed-in`;
  await pages.visit({ view: `login?return_to=${encodeURIComponent(to)}`, origins: [app.origin] }, async (page) => {
    await logIn(page, person);
    await page.waitForURL(to);
    await page.getByText(person.email).waitFor();
  });
});

test("a view that needs a session asks for the login, and is then shown", options, async () => {
  const person = await pages.register();
  await pages.visit({ view: "sessions" }, async (page) => {
    await logIn(page, person);
    await heading(page, "Sessions");
    assert.equal(await path(page), "/account/sessions");
    // The last two are properties of every object.
    for (const view of ["nothing", "constructor", "__proto__"]) {
      await page.goto(`${pages.url}/account/${view}`);
      await heading(page, "Page not found");
    }
    await page.getByRole("link", { name: "Go to your account" }).click();
    await heading(page, "Profile");
  });
});

test("a session that ends elsewhere leads to the login, and what was typed is still there", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { allowed: [401] }, async (page) => {
    await field(page, "Name").fill("Half a sentence");
    await pages.worker.delete("/sessions", { bearer: person.bearer });
    await button(page, "Save changes").click();
    await heading(page, "Log in");
    await page.getByText("Your session has ended. Log in to continue.").waitFor();
    await logIn(page, person);
    await heading(page, "Profile");
    assert.equal(await field(page, "Name").inputValue(), "Half a sentence");
    // But not for another account, nor after a logout.
    await button(page, "Log out").click();
    await heading(page, "Log in");
    assert.equal(await field(page, "E-mail or username").inputValue(), "");
    await logIn(page, await pages.register());
    await heading(page, "Profile");
    assert.equal(await field(page, "Name").inputValue(), "");
    await button(page, "Log out").click();
    await heading(page, "Log in");
    await logIn(page, person);
    await heading(page, "Profile");
    assert.equal(await field(page, "Name").inputValue(), "");
  });
});

test("a logout that does not reach the server says so, and can be repeated", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, {}, async (page, context) => {
    await page.route("**/logout", (route) => route.abort());
    await button(page, "Log out").click();
    await page.getByRole("alert").getByText("so your session may not have ended").waitFor();
    assert.notEqual(await cookieOf(context), undefined);
    await page.unroute("**/logout");
    await button(page, "Try again").click();
    await page.getByText("You are logged out.").waitFor();
    assert.equal(await cookieOf(context), undefined);
  });
});

test("a logout in one tab signs out the others", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, {}, async (page, context) => {
    const other = await context.newPage();
    await other.goto(`${pages.url}/account/activity`);
    await heading(other, "Activity");
    await button(page, "Log out").click();
    await heading(other, "Log in");
  });
});

test("a login as somebody else in another tab is noticed, and can be followed", options, async () => {
  const [person, other] = [await pages.register(), await pages.register()];
  await pages.visitAs(person, {}, async (page, context) => {
    await context.clock.install();
    const tab = await context.newPage();
    await tab.goto(`${pages.url}/account/login`);
    await heading(tab, "Profile");
    await button(tab, "Log out").click();
    await heading(tab, "Log in");
    await logIn(tab, other);
    await heading(tab, "Profile");
    // The first tab had been signed out with the other, and follows the login.
    await page.getByRole("banner").getByText(other.email).waitFor();
    await tab.goto(`${pages.url}/account/login`);
    await tab.evaluate(
      async ([email, password]) => {
        const json = { email, password, transport: "cookie" };
        const headers = { "Content-Type": "application/json" };
        await fetch("/login", { method: "POST", headers, body: JSON.stringify(json) });
      },
      [person.email, PASSWORD],
    );
    await tab.reload();
    await tab.getByRole("banner").getByText(person.email).waitFor();
    await page.getByText("Another account has logged in from this browser.").waitFor();
    await button(page, "Continue with that account").click();
    await page.getByRole("banner").getByText(person.email).waitFor();
  });
});

test("without a connection the page says so, and goes on when it is back", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, {}, async (page, context) => {
    await context.setOffline(true);
    await page.getByText("You are offline.", { exact: true }).waitFor();
    await field(page, "Name").fill("Typed offline");
    await button(page, "Save changes").click();
    await page.getByRole("alert").getByText("You are offline. Check your connection").waitFor();
    await page.getByRole("link", { name: "Activity" }).click();
    await heading(page, "Activity");
    await button(page, "Try again").waitFor();
    // The event `online` can come before requests succeed.
    let failures = 2;
    await page.route("**/me/events*", (route) => (failures-- > 0 ? route.abort() : route.fallback()));
    await context.setOffline(false);
    // By itself.
    await page.getByText("Account created").waitFor();
    await page.getByRole("link", { name: "Profile" }).click();
    assert.equal(await field(page, "Name").inputValue(), "Typed offline");
    await button(page, "Save changes").click();
    await announced(page, "Saved");
    assert.equal((await pages.worker.me(person.bearer)).body.name, "Typed offline");
  });
});

test("while storage fails the page says so with the request id, and tries again on request", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { allowed: [503] }, async (page) => {
    await pages.worker.without("audit_events", async () => {
      await page.getByRole("link", { name: "Activity" }).click();
      const alert = page.getByRole("alert");
      await alert.getByText("The service is not available right now.").waitFor();
      await alert.getByText(/^Reference: [\w-]{22}$/).waitFor();
    });
    await button(page, "Try again").click();
    await page.getByText("Account created").waitFor();
  });
});

test("if the server does not answer at all, the page says so and can begin again", options, async () => {
  await pages.visit({ view: "login", allowed: [500, 503] }, async (page) => {
    await heading(page, "Log in");
    for (const failure of [(route) => route.abort(), (route) => route.fulfill({ status: 503, body: "<h1>Sorry" })]) {
      await page.route("**/account/config.json", failure);
      await page.reload();
      await page.getByRole("alert").waitFor();
      await page.unroute("**/account/config.json");
      await button(page, "Try again").click();
      await heading(page, "Log in");
    }
  });
});

test("a view whose file is missing says so, and is there after a reload", options, async () => {
  const ada = await pages.register();
  await pages.visit({ allowed: [404] }, async (page) => {
    await page.route("**/inside-*.js", (route) => route.fulfill({ status: 404 }));
    await page.reload();
    await logIn(page, ada);
    await page.getByRole("alert").getByText("These pages have been updated.").waitFor();
    await page.unroute("**/inside-*.js");
    await button(page, "Reload").click();
    await heading(page, "Profile");
  });
});

test("a form is sent once, however often its button is pressed", options, async () => {
  const person = await pages.register();
  await pages.visit({}, async (page) => {
    const { promise: held, resolve: release } = Promise.withResolvers();
    let requests = 0;
    await page.route("**/login", async (route) => {
      if (route.request().method() !== "POST") return route.continue();
      requests += 1;
      await held;
      await route.continue();
    });
    await logIn(page, person);
    await page.locator('button[aria-busy="true"]').waitFor();
    for (let count = 0; count < 3; count += 1) await button(page, "Log in").click({ force: true });
    await field(page, "Password").press("Enter");
    // The button keeps the focus while it is busy.
    assert.equal(await page.locator("button:disabled").count(), 0);
    release();
    await heading(page, "Profile");
    assert.equal(requests, 1);
  });
});

test("after too many attempts the page says how long to wait", options, async () => {
  const person = await pages.register();
  for (let count = 0; count < 20; count += 1)
    await pages.worker.patch("/me", { bearer: person.bearer, json: { name: `Name ${count}` } });
  await pages.visitAs(person, { allowed: [429] }, async (page) => {
    await field(page, "Name").fill("One more");
    await button(page, "Save changes").click();
    await page
      .getByRole("timer")
      .getByText(/^Too many attempts\. Try again in \d+ (seconds?|minutes?)\.$/)
      .waitFor();
    assert.equal(await field(page, "Name").inputValue(), "One more");
  });
});

/** The texts that an element has had, beginning with that of now. */
async function texts(locator) {
  const record = await locator.evaluateHandle((element) => {
    const texts = [element.textContent];
    const add = () => texts.at(-1) !== element.textContent && texts.push(element.textContent);
    new MutationObserver(add).observe(element, { childList: true, characterData: true, subtree: true });
    return texts;
  });
  return () => record.jsonValue();
}

test("a throttled login counts down, is read out once, and sends nothing until then", options, async () => {
  const person = await pages.register();
  await pages.worker.throttle(person, 40);
  await pages.visit({ allowed: [429] }, async (page) => {
    await heading(page, "Log in");
    await page.clock.install();
    const sent = [];
    page.on("request", (request) => request.url().endsWith("/login") && sent.push(request.method()));
    const spoken = await texts(page.locator('form [role="status"]'));
    const timer = page.getByRole("timer");
    await logIn(page, person);
    await timer.getByText(/^Too many failed attempts\. Try again in \d\d seconds\.$/).waitFor();
    const submit = button(page, "Log in");
    assert.ok(await submit.isDisabled());
    const isAlone = (await page.getByRole("alert").count()) === 0;
    assert.ok(isAlone, "nothing else would be read out each second");
    assert.equal(await field(page, "E-mail or username").inputValue(), person.email);
    assert.equal(await field(page, "Password").inputValue(), PASSWORD);
    const seconds = async () => Number((await timer.textContent()).match(/\d+/)[0]);
    const before = await seconds();
    await page.clock.runFor(10_000);
    assert.ok((await seconds()) <= before - 10, `${before} to ${await seconds()}`);
    await field(page, "Password").press("Enter");
    await submit.click({ force: true });
    assert.deepEqual(sent, ["POST"]);

    await page.clock.runFor(40_000);
    await timer.getByText("You can try again now.").waitFor();
    const [first, begin, pause, end, ...others] = await spoken();
    assert.match(begin, /^Too many failed attempts\. Try again in \d\d seconds\.$/);
    assert.deepEqual([first, pause, end, others], ["", "", "You can try again now.", []]);
    await pages.worker.db.prepare("DELETE FROM throttles").run();
    await submit.click();
    await heading(page, "Profile");
  });
});

test("a long wait is in minutes, in the user's language, and is that of one name", options, async () => {
  const person = await pages.register();
  await pages.worker.throttle(person, 900);
  await pages.visit({ locale: "de-DE", allowed: [401, 429] }, async (page) => {
    await logIn(page, person);
    const timer = page.getByRole("timer");
    await timer.getByText("Zu viele Fehlversuche. Versuchen Sie es in 15 Minuten erneut.").waitFor();
    await page.locator('input[name="login"]').fill("somebody.else@example.org");
    await timer.waitFor({ state: "detached" });
    await button(page, "Anmelden").click();
    await page.getByRole("alert").getByText("Das Passwort ist falsch").waitFor();
  });
});

test("the countdown of every 429 ends with the right forms, whatever its code", options, async () => {
  const cases = [
    [
      "en-GB",
      "some_new_code",
      "Too many attempts. Try again in",
      ["2 seconds.", "1 second."],
      "You can try again now.",
    ],
    [
      "de-DE",
      undefined,
      "Zu viele Versuche. Versuchen Sie es in",
      ["2 Sekunden erneut.", "1 Sekunde erneut."],
      "Sie können es jetzt erneut versuchen.",
    ],
  ];
  for (const [locale, code, sentence, forms, over] of cases) {
    await pages.visit({ locale, allowed: [429] }, async (page) => {
      await page.locator("h1").waitFor();
      await page.clock.install();
      const headers = { "Retry-After": "2" };
      await page.route("**/login", (route) =>
        route.request().method() === "POST"
          ? route.fulfill({ status: 429, headers, json: { code } })
          : route.continue(),
      );
      await logIn(page, { email: "ada@example.org" });
      const timer = page.getByRole("timer");
      await timer.waitFor();
      const shown = await texts(timer);
      await page.clock.runFor(3_000);
      await timer.getByText(over).waitFor();
      assert.deepEqual((await shown()).slice(-3), [...forms.map((form) => `${sentence} ${form}`), over]);
    });
  }
});

test("the forms that confirm the password wait as well", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { view: "password", allowed: [401, 429] }, async (page) => {
    await heading(page, "Password");
    const confirm = { bearer: person.bearer, json: { password: "wrong" } };
    for (let count = 0; count < 5; count += 1) await pages.worker.post("/me/step-up", confirm);
    await pages.worker.db.prepare("UPDATE throttles SET until = last_at + 900 WHERE until > last_at").run();
    const waits = async (name, area = page) => {
      await button(area, name).click();
      await area.getByRole("timer").getByText("Too many failed attempts. Try again in 15 minutes.").waitFor();
      assert.ok(await button(area, name).isDisabled());
      assert.equal(await area.locator("input[autocomplete=current-password]").inputValue(), PASSWORD);
    };
    await field(page, "Current password").fill(PASSWORD);
    await field(page, "New password").fill("purple otters juggle lanterns");
    await waits("Change password");
    await pages.outdate();
    await page.goto(`${pages.url}/account/profile`);
    await field(page, "Username").fill("somebody-who-waits");
    await button(page, "Save username").click();
    const dialog = page.getByRole("dialog");
    await field(dialog, "Password").fill(PASSWORD);
    await waits("Confirm", dialog);
  });
});

test("the pages speak the first language of the browser that they know", options, async () => {
  const cases = [
    ["de-AT", "Anmelden", "de-AT"],
    ["fr-FR", "Log in", "en"],
    ["en-US", "Log in", "en-US"],
  ];
  for (const [locale, title, language] of cases) {
    await pages.visit({ locale }, async (page) => {
      await heading(page, title);
      assert.equal(await page.locator("html").getAttribute("lang"), language);
      // The title follows the heading.
      await page.waitForFunction((wanted) => document.title === wanted, `${title} · Portcullis`);
    });
  }
});

test("an invalid language of the browser is ignored", options, async () => {
  await pages.visit({}, async (page) => {
    // What Chromium reports on Linux without a locale.
    await page.addInitScript(() => Object.defineProperty(navigator, "languages", { value: ["en-US@posix", "de"] }));
    await page.reload();
    await heading(page, "Anmelden");
  });
});

test("without cookies the session is in the storage, and there is nothing to remember", options, async () => {
  await pages.configure({ COOKIE_MODE: "off" });
  const person = await pages.register();
  await pages.visit({}, async (page, context) => {
    await heading(page, "Log in");
    assert.equal(await page.getByRole("checkbox").count(), 0);
    await logIn(page, person);
    await heading(page, "Profile");
    assert.equal(await cookieOf(context), undefined);
    await page.reload();
    await heading(page, "Profile");
    await button(page, "Log out").click();
    await heading(page, "Log in");
    assert.doesNotMatch(await page.evaluate(() => JSON.stringify({ ...localStorage })), /pcrt_/);
  });
  await pages.configure();
});

test("below a path of the issuer everything works alike", options, async () => {
  await pages.configure({ ISSUER: `${pages.url}/auth` });
  const person = { email: "below@example.org" };
  await pages.visit({ base: "/auth", view: "register" }, async (page) => {
    await field(page, "E-mail").fill(person.email);
    await field(page, "Password").fill(PASSWORD);
    await button(page, "Register").click();
    await heading(page, "Profile");
    assert.equal(await path(page), "/auth/account/profile");
    await page.getByRole("link", { name: "Sessions" }).click();
    await page.getByText("This device", { exact: true }).waitFor();
    assert.equal(await path(page), "/auth/account/sessions");
  });
  await pages.configure();
});
