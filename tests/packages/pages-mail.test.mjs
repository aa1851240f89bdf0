// Codes and links from mails on the account pages, in Chromium with the Worker that serves them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { servePages, skip } from "../support/browser.mjs";
import { ipAddress, PASSWORD } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";
import { announced, assertWrong, button, heading, logIn, Pages } from "../support/pages.mjs";
import { Throttles } from "../support/throttles.mjs";

const NEW = "four ponies sing quietly at noon";

let pages, mails, app;
before(async () => {
  app = await servePages({ "/": "<h1>The app</h1>" });
  pages = await Pages.start({ ...MAIL_VARS, EMAIL_VERIFICATION: "optional", ALLOWED_ORIGINS: app.origin });
  if (skip) return;
  mails = new Mails(pages.worker);
});
after(async () => {
  await pages.close();
  await app.close();
});

const options = { skip };
const field = (page, name) => page.getByLabel(name, { exact: true });
const link = (page, name) => page.getByRole("link", { name, exact: true });

let sources = 0;
/** The options of a request from an IP address of its own, because each may only ask for ten mails an hour. */
function from() {
  sources += 1;
  return { headers: { "CF-Connecting-IP": ipAddress(sources) } };
}
/** The options of a browser with such an address. */
const elsewhere = () => ({ extraHTTPHeaders: from().headers });

/** The only mail with a code since the last call. Notices are no matter here. */
async function codeMail(kind) {
  const found = (await mails.take()).filter(({ code }) => code !== null);
  assert.deepEqual(
    found.map((mail) => mail.kind),
    [kind],
  );
  return found[0];
}

/** A new user, without the mails of the registration, which count against what an address may be sent. */
async function register(details) {
  const person = await pages.register(details);
  await mails.forget();
  return person;
}

/** Opens a link in a browser of its own, which asks for nothing but what the test does. */
const open = (mail, options, work) =>
  pages.visit({ view: mail.link.split("/account/")[1], ...elsewhere(), ...options }, work);

/** Asks for a mail on the login page. */
async function ask(page, person, name) {
  await link(page, name).click();
  await field(page, "E-mail").fill(person.email);
  await button(page, "Send code").click();
  await page.getByText(`If an account has the address ${person.email}, a mail with a code is on its way.`).waitFor();
}

/** Asks for a mail without a page. */
async function request(path, person, kind) {
  const { status, body } = await pages.worker.post(path, { json: { email: person.email }, ...from() });
  assert.equal(status, 202);
  return { ...(await codeMail(kind)), challenge: body.challenge };
}

const canLogIn = async (person, password) => (await pages.worker.login({ ...person, password })).status === 200;

test("a user sets a new password with a code, and returns to the app after the login", options, async () => {
  const person = await register();
  const back = `${app.origin}/`;
  const view = `login?return_to=${encodeURIComponent(back)}`;
  await pages.visit({ view, allowed: [422], origins: [app.origin], ...elsewhere() }, async (page) => {
    await field(page, "E-mail or username").fill(person.email);
    await link(page, "Forgot your password?").click();
    await heading(page, "Set a new password");
    assert.equal(await field(page, "E-mail").inputValue(), person.email, "what was typed");
    await field(page, "E-mail").fill("");
    await button(page, "Send code").click();
    await assertWrong(field(page, "E-mail"), /Fill in this field/);
    await field(page, "E-mail").fill(person.email);
    await button(page, "Send code").click();
    const code = field(page, "Code");
    await code.waitFor();
    const attributes = ["autocomplete", "inputmode", "autocapitalize", "maxlength"].map((name) =>
      code.getAttribute(name),
    );
    assert.deepEqual(await Promise.all(attributes), ["one-time-code", "text", "characters", null]);
    const mail = await codeMail("reset");

    // A reload, and a step back and forth, lose nothing.
    await page.reload();
    await code.waitFor();
    await page.goBack();
    await button(page, "Send code").waitFor();
    await page.goForward();
    await code.waitFor();

    // A pasted code may have spaces, and lower case.
    await code.fill(` ${mail.code.toLowerCase().replace("-", " ")} `);
    await field(page, "New password").fill("passwordpassword");
    await button(page, "Set password").click();
    await assertWrong(field(page, "New password"), /too easy to guess/);
    await field(page, "New password").fill(NEW);
    await button(page, "Set password").click();
    await heading(page, "Your password is set");
    assert.ok(await canLogIn(person, NEW));
    assert.equal((await pages.worker.me(person.bearer)).status, 401, "the sessions have ended");
    await page.goBack();
    await button(page, "Send code").waitFor();
    await page.goForward();
    await link(page, "Log in now").click();
    await logIn(page, { ...person, password: NEW });
    await page.waitForURL(back);
  });
});

test("an address without an account looks the same, and gets no mail", options, async () => {
  await pages.visit({ allowed: [400, 422], ...elsewhere() }, async (page) => {
    await ask(page, { email: "nobody-at-all@example.org" }, "Forgot your password?");
    await field(page, "Code").fill("0000-0000");
    await field(page, "New password").fill(NEW);
    await button(page, "Set password").click();
    await assertWrong(field(page, "Code"), /wrong, expired or already used/);
    const sent = await mails.take();
    assert.ok(!sent.some(({ to }) => to.startsWith("nobody")));
    await link(page, "Use another address").click();
    await field(page, "E-mail").fill("ada");
    await button(page, "Send code").click();
    await assertWrong(field(page, "E-mail"), /Enter an e-mail address/);
  });
});

test("after five wrong codes the page says so, and a new code works", options, async () => {
  const person = await register();
  await pages.visit({ allowed: [400], ...elsewhere() }, async (page) => {
    await page.clock.install();
    await ask(page, person, "Log in with a code by mail");
    const first = await codeMail("login");
    // The mail is sent again with the same code, after a pause.
    assert.equal(await page.getByRole("button", { name: /^Send again in \d+ seconds$/ }).count(), 1);
    await page.clock.runFor(31_000);
    await button(page, "Send again").click();
    await announced(page, "The mail is on its way again.");
    assert.equal((await codeMail("login")).code, first.code);
    const submit = async (code) => {
      await field(page, "Code").fill(code);
      await button(page, "Log in").click();
    };
    for (let tries = 0; tries < 4; tries += 1) {
      await submit("AAAA-AAAA");
      await assertWrong(field(page, "Code"), /wrong, expired or already used/);
    }
    await submit("AAAA-AAAA");
    await assertWrong(field(page, "Code"), /Five codes were wrong/);
    await submit(first.code);
    await assertWrong(field(page, "Code"), /Five codes were wrong/);
    await page.clock.runFor(31_000);
    await button(page, "Send again").click();
    await announced(page, "The mail is on its way again.");
    const second = await codeMail("login");
    assert.notEqual(second.code, first.code);
    await submit(second.code);
    await heading(page, "Profile");
  });
});

test("two codes under way in two tabs do not disturb each other", options, async () => {
  const [ada, grace] = [await register(), await register()];
  await pages.visit(elsewhere(), async (page, context) => {
    await ask(page, ada, "Log in with a code by mail");
    const first = await codeMail("login");
    const other = await context.newPage();
    await other.goto(page.url().replace(/\?.*/, "").replace("/code", "/login"));
    await ask(other, grace, "Log in with a code by mail");
    await codeMail("login");
    await field(page, "Code").fill(first.code);
    await button(page, "Log in").click();
    await heading(page, "Profile");
    await page.getByText(`${ada.email}Verified`, { exact: true }).waitFor();
  });
});

test("a link in a mail sets a new password, and its token is nowhere afterwards", options, async () => {
  const person = await register();
  const mail = await request("/password/forgot", person, "reset");
  await open(mail, { allowed: [400] }, async (page, context) => {
    const sent = [];
    context.on("request", (request) => sent.push(request));
    await heading(page, "Set a new password");
    assert.equal(page.url(), `${pages.url}/account/confirm`);
    assert.equal(await page.evaluate(() => history.length), 2, "the link is no entry of its own");
    await page.getByText(person.email).waitFor();
    await page.reload();
    await field(page, "New password").fill(NEW);
    await button(page, "Set password").click();
    await heading(page, "Your password is set");
    assert.ok(await canLogIn(person, NEW));
    for (const request of sent) {
      const { referer } = await request.allHeaders();
      assert.doesNotMatch(`${request.url()} ${referer}`, /pcml_/);
      assert.equal(new URL(request.url()).origin, pages.url);
    }
    const stored = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, history.state]),
    );
    assert.doesNotMatch(stored, /pcml_/);
    await page.goBack();
    assert.doesNotMatch(page.url(), /pcml_/);
    // The mail is opened once more.
    await page.goto(mail.link);
    await heading(page, "This link no longer works");
    await link(page, "Set a new password").click();
    await button(page, "Send code").waitFor();
  });
});

test("a second link that opens in the same tab replaces the first", options, async () => {
  const [ada, grace] = [await register(), await register()];
  const first = await request("/password/forgot", ada, "reset");
  const second = await request("/password/forgot", grace, "reset");
  await open(first, {}, async (page) => {
    await page.getByText(ada.email).waitFor();
    await page.evaluate((link) => location.assign(link), second.link);
    await page.getByText(grace.email).waitFor();
    assert.equal(page.url(), `${pages.url}/account/confirm`);
  });
});

test("a link without its token says what to do", options, async () => {
  await pages.visit({ view: "confirm" }, async (page) => {
    await heading(page, "Open the link again");
    await link(page, "Log in").click();
    await heading(page, "Log in");
  });
});

test("a login link signs in only in the browser that asked for it, and returns to the app", options, async () => {
  const person = await register();
  const back = `${app.origin}/`;
  const view = `login?return_to=${encodeURIComponent(back)}`;
  await pages.visit({ view, origins: [app.origin], ...elsewhere() }, async (page, context) => {
    await ask(page, person, "Log in with a code by mail");
    const mail = await codeMail("login");
    await open(mail, {}, async (other) => {
      await heading(other, "Your code");
      await other.getByText(mail.code, { exact: true }).waitFor();
      for (const text of [person.email, "Chrome on Linux", ipAddress(sources - 1)])
        await other.getByText(text).waitFor();
      assert.equal(await other.getByRole("button").count(), 0);
    });
    const tab = await context.newPage();
    await tab.goto(mail.link);
    await tab.getByText(`Log in as ${person.email} in this browser.`).waitFor();
    await button(tab, "Log in").click();
    await tab.waitForURL(back);
  });
});

test("a user verifies the address with a code", options, async () => {
  const person = await register();
  await pages.visitAs(person, { allowed: [400], ...elsewhere() }, async (page) => {
    await link(page, "Verify or change").click();
    await heading(page, "E-mail address");
    await button(page, "Send me a code").click();
    const code = field(page, "Code");
    await code.fill("AAAA-AAAA");
    await button(page, "Verify address").click();
    await assertWrong(code, /wrong, expired or already used/);
    await page.reload();
    await code.fill((await codeMail("verify")).code);
    await button(page, "Verify address").click();
    await page.getByText("Verified", { exact: true }).waitFor();
    assert.equal((await pages.worker.me(person.bearer)).body.email_verified, true);
    await link(page, "Profile").last().click();
    await link(page, "Change address").waitFor();
  });
});

test("a verification link needs the signed-in user, or the password", options, async () => {
  for (const isSignedIn of [true, false]) {
    const person = await register();
    await pages.worker.post("/email/verify/send", { json: {}, bearer: person.bearer });
    const mail = await codeMail("verify");
    const verified = async () => (await pages.worker.me(person.bearer)).body.email_verified;
    if (isSignedIn) {
      await pages.visitAs(person, elsewhere(), async (page) => {
        await page.goto(mail.link);
        await heading(page, "Verify your address");
        assert.equal(await field(page, "Password").count(), 0);
        assert.equal(await verified(), false);
        await button(page, "Verify address").click();
        await heading(page, "Address verified");
        await link(page, "Go to your account").click();
        await page.getByText(`${person.email}Verified`, { exact: true }).waitFor();
      });
    } else {
      await open({ link: mail.link.replace("#token=", "#disown=") }, {}, async (page) => {
        await heading(page, "Not your account?");
        await link(page, "Set a new password").click();
        await button(page, "Send code").waitFor();
      });
      await open(mail, { allowed: [403] }, async (page) => {
        await field(page, "Password").fill("not the password");
        await button(page, "Verify address").click();
        await assertWrong(field(page, "Password"), /The password is wrong/);
        await field(page, "Password").fill(PASSWORD);
        await button(page, "Verify address").click();
        await heading(page, "Profile");
      });
    }
    assert.equal(await verified(), true);
  }
});

/** Opens a link as scanners of mail do: GET, HEAD, and a click on every button, without typing anything. */
async function scan(mail) {
  for (const method of ["GET", "HEAD"]) await fetch(mail.link, { method });
  await open(mail, {}, async (page) => {
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.waitForLoadState("networkidle");
    const buttons = page.getByRole("button");
    for (let index = 0; index < (await buttons.count()); index += 1) await buttons.nth(index).click();
    await page.waitForLoadState("networkidle");
  });
}

test("a scanner that opens every link and clicks every button spends nothing", options, async () => {
  const person = await register();
  const challenges = () =>
    pages.worker.db.prepare("SELECT COUNT(*) AS n FROM challenges WHERE user_id = ?").bind(person.user.id).first();
  await pages.worker.post("/email/verify/send", { json: {}, bearer: person.bearer });
  const all = [
    await codeMail("verify"),
    await request("/login/email", person, "login"),
    await request("/password/forgot", person, "reset"),
  ];
  const before = await challenges();
  for (const mail of all) await scan(mail);
  assert.deepEqual(await challenges(), before);
  assert.equal((await pages.worker.me(person.bearer)).body.email_verified, false);
  const reset = all.at(-1);
  await open(reset, {}, async (page) => {
    await field(page, "New password").fill(NEW);
    await button(page, "Set password").click();
    await heading(page, "Your password is set");
  });
});

test("a service without mails offers nothing that needs them", options, async () => {
  await pages.configure({ MAIL: "", EMAIL_LOGIN: "off", EMAIL_VERIFICATION: "off" });
  try {
    const person = await pages.register();
    await pages.visit({}, async (page) => {
      await heading(page, "Log in");
      assert.equal(await link(page, "Forgot your password?").count(), 0);
      await page.goto(`${pages.url}/account/code`);
      await page.getByText("You cannot log in with a code here.").waitFor();
    });
    await pages.visitAs(person, {}, async (page) => {
      await heading(page, "Profile");
      assert.equal(await link(page, "Verify or change").count(), 0);
    });
  } finally {
    await pages.configure();
  }
});

test("a registration that must be verified ends with the code, and returns to the app", options, async () => {
  await pages.configure({ EMAIL_VERIFICATION: "required" });
  try {
    const back = `${app.origin}/`;
    const view = `register?return_to=${encodeURIComponent(back)}`;
    await pages.visit({ view, allowed: [400], origins: [app.origin], ...elsewhere() }, async (page) => {
      await field(page, "E-mail").fill("grace@example.org");
      await field(page, "Password").fill(PASSWORD);
      await button(page, "Register").click();
      await heading(page, "Verify your address");
      const { code } = await codeMail("register");
      await field(page, "Code").fill("AAAA-AAAA");
      await button(page, "Verify address").click();
      await assertWrong(field(page, "Code"), /wrong, expired or already used/);
      await field(page, "Code").fill(code);
      await button(page, "Verify address").click();
      await page.waitForURL(back);
    });
    // A reload forgets the password, which the login then asks for.
    await pages.visit({ view: "register", ...elsewhere() }, async (page) => {
      const person = { email: "hedy@example.org", password: PASSWORD };
      await field(page, "E-mail").fill(person.email);
      await field(page, "Password").fill(PASSWORD);
      await button(page, "Register").click();
      await heading(page, "Verify your address");
      await page.reload();
      await field(page, "Code").fill((await codeMail("register")).code);
      await button(page, "Verify address").click();
      await heading(page, "Log in");
      await logIn(page, person);
      await heading(page, "Profile");
    });
  } finally {
    await pages.configure();
  }
});

test("a registration link asks for the password, or deletes a registration by somebody else", options, async () => {
  await pages.configure({ EMAIL_VERIFICATION: "required" });
  try {
    const pending = async (email) => {
      const { status } = await pages.worker.post("/register", { json: { email, password: PASSWORD }, ...from() });
      assert.equal(status, 202);
      return codeMail("register");
    };
    const own = await pending("katherine@example.org");
    await scan(own);
    await open(own, { allowed: [400, 403] }, async (page) => {
      await heading(page, "Finish your registration");
      await field(page, "Password").fill("not the password");
      await button(page, "Verify address").click();
      await assertWrong(field(page, "Password"), /The password is wrong/);
      await field(page, "Password").fill(PASSWORD);
      await button(page, "Verify address").click();
      await heading(page, "Profile");
      await page.getByText("katherine@example.orgVerified", { exact: true }).waitFor();
    });
    const foreign = await pending("margaret@example.org");
    // The mail has a link for this, too.
    await open({ link: foreign.link.replace("#token=", "#disown=") }, {}, (page) =>
      heading(page, "Delete this registration"),
    );
    await open(foreign, { allowed: [400] }, async (page) => {
      await button(page, "This was not me").click();
      await button(page, "Delete registration").click();
      await assertWrong(field(page, "Code"), /Fill in this field/);
      await field(page, "Code").fill(foreign.code);
      await button(page, "Delete registration").click();
      await heading(page, "Registration deleted");
      await page.goto(foreign.link);
      await heading(page, "This link no longer works");
    });
  } finally {
    await pages.configure();
  }
});

test("a registration that may be verified signs in, and the profile offers to enter the code", options, async () => {
  await pages.visit({ view: "register", ...elsewhere() }, async (page) => {
    await field(page, "E-mail").fill("barbara@example.org");
    await field(page, "Password").fill(PASSWORD);
    await button(page, "Register").click();
    await heading(page, "Profile");
    await page.getByText("We have sent a code to barbara@example.org.").waitFor();
    const { code } = await codeMail("verify");
    await link(page, "Enter the code").click();
    await field(page, "Code").fill(code);
    await button(page, "Verify address").click();
    await page.getByText("Verified", { exact: true }).waitFor();
    await link(page, "Profile").last().click();
    await heading(page, "Profile");
    assert.equal(await link(page, "Enter the code").count(), 0);
  });
});

/** Begins a change of address. Returns the mails with the codes. */
async function beginChange(page, email) {
  await page.goto(`${pages.url}/account/email`);
  await field(page, "New e-mail").fill(email);
  await button(page, "Send codes").click();
  await page.getByText(`We have sent a code to ${email}, and one to your current address.`).waitFor();
  const sent = await mails.take();
  return Object.fromEntries(sent.map((mail) => [mail.kind, mail]));
}

test("a user changes the address with a code from each mailbox", options, async () => {
  const person = await register();
  await pages.visitAs(person, { allowed: [400, 403, 422], ...elsewhere() }, async (page) => {
    await page.goto(`${pages.url}/account/email`);
    await field(page, "New e-mail").fill("ada");
    await button(page, "Send codes").click();
    await assertWrong(field(page, "New e-mail"), /Enter an e-mail address/);
    const { change_new, change_old } = await beginChange(page, "moved@example.org");
    assert.deepEqual([change_new.to, change_old.to], ["moved@example.org", person.email]);
    await page.reload();
    await field(page, "Code from the new address").fill(change_old.code);
    await field(page, "Code from your current address").fill(change_old.code);
    await button(page, "Change address").click();
    await assertWrong(field(page, "Code from the new address"), /wrong, expired or already used/);
    await field(page, "Code from the new address").fill(change_new.code);
    await button(page, "Change address").click();
    await announced(page, "Address changed");
    await page.getByText("moved@example.orgVerified", { exact: true }).waitFor();
    assert.equal((await pages.worker.me(person.bearer)).status, 401, "other sessions have ended");
  });
});

test("without the old mailbox the change waits, and either side cancels it", options, async () => {
  const person = await register();
  const pending = () =>
    pages.worker.db
      .prepare("SELECT COUNT(*) AS n FROM email_changes WHERE user_id = ?")
      .bind(person.user.id)
      .first("n");
  await pages.visitAs(person, elsewhere(), async (page) => {
    const begin = async (email) => {
      const { change_new } = await beginChange(page, email);
      await page.getByRole("checkbox", { name: "I no longer have the old mailbox" }).check();
      await field(page, "Code from the new address").fill(change_new.code);
      await button(page, "Change address").click();
      await page.getByText(`Your address becomes ${email} on`).waitFor();
      assert.equal(await pending(), 1);
      return (await mails.take()).find(({ kind }) => kind === "email_change_pending");
    };
    await begin("later@example.org");
    await page.reload();
    await button(page, "Cancel the change").click();
    await announced(page, "Change cancelled");
    assert.equal(await pending(), 0);

    const notice = await begin("later-still@example.org");
    assert.equal(notice.to, person.email);
    await scan(notice);
    assert.equal(await pending(), 1, "a scanner cancels nothing");
    await open(notice, {}, async (other) => {
      await heading(other, "Cancel the change of address");
      await field(other, "E-mail").fill("somebody@example.org");
      await button(other, "Cancel the change").click();
      await assertWrong(field(other, "E-mail"), /not the address of the account/);
      await field(other, "E-mail").fill(person.email);
      await button(other, "Cancel the change").click();
      await heading(other, "Change cancelled");
      assert.equal(await pending(), 0);
    });
  });
});

test("an admin invites a person, who chooses a password, and later sends a mail for a new one", options, async () => {
  const admin = await pages.worker.registerAdmin();
  await mails.take();
  await pages.visitAs(admin, { view: "admin", allowed: [409, 422], ...elsewhere() }, async (page) => {
    const invite = async (email, roles) => {
      await field(page, "E-mail").fill(email);
      await field(page, "Name optional").fill("Edsger Dijkstra");
      await field(page, "Roles optional").fill(roles);
      await button(page, "Send invitation").click();
    };
    await button(page, "Invite").click();
    await invite(admin.email, "");
    await assertWrong(field(page, "E-mail"), /already exists/);
    await invite("edsger@example.org", "wizard");
    await assertWrong(field(page, "Roles optional"), /There is no such role/);
    await invite("edsger@example.org", "user, admin");
    await announced(page, "Invitation sent");
    await heading(page, "edsger@example.org");
    const mail = await codeMail("invite");
    await scan(mail);
    await open(mail, {}, async (other) => {
      await heading(other, "Welcome");
      await field(other, "New password").fill(NEW);
      await button(other, "Set password").click();
      await link(other, "Log in now").click();
      await logIn(other, { email: "edsger@example.org", password: NEW });
      await heading(other, "Profile");
      await link(other, "People").waitFor();
    });
    await page.reload();
    await button(page, "Send mail").click();
    await announced(page, "Mail sent");
    const reset = await codeMail("reset");
    await open(reset, {}, async (other) => {
      await field(other, "New password").fill(PASSWORD);
      await button(other, "Set password").click();
      await heading(other, "Your password is set");
    });
    assert.ok(await canLogIn({ email: "edsger@example.org" }, PASSWORD));
  });
});

test(
  "after many failed logins the form asks for a code from a mail, and for the address of a username",
  options,
  async () => {
    const throttles = new Throttles(pages.worker);
    for (const kind of ["email", "username"]) {
      const person = await register({ username: `guessed-${kind}` });
      const name = kind === "email" ? person.email : "guessed-username";
      await pages.worker.post("/login", { json: { [kind]: name, password: "wrong" }, ...from() });
      await pages.worker.db
        .prepare("UPDATE throttles SET failures = 50, steps = 0, until = 0 WHERE key = ?")
        .bind(throttles.key(kind, name))
        .run();
      await pages.visit({ allowed: [400, 403], ...elsewhere() }, async (page) => {
        await logIn(page, { email: name });
        await page.getByText("After many failed logins with this name").waitFor();
        if (kind === "username") {
          await field(page, "E-mail of the account").fill(person.email);
          await button(page, "Send code").click();
        }
        await field(page, "Code").waitFor();
        await codeMail("login");
        await field(page, "Code").fill("AAAA-AAAA");
        await button(page, "Log in").click();
        await assertWrong(field(page, "Code"), /wrong, expired or already used/);
        // Another name needs no code of this one.
        await field(page, "E-mail or username").fill("somebody");
        await field(page, "Code").waitFor({ state: "detached" });
        await logIn(page, { email: name });
        if (kind === "username") await button(page, "Send code").click();
        await field(page, "Code").waitFor();
        await field(page, "Code").fill((await codeMail("login")).code);
        await button(page, "Log in").click();
        await heading(page, "Profile");
      });
    }
  },
);
