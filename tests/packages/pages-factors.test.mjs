// Second factors, passkeys and recent authentications on the account pages, in Chromium with its virtual authenticator.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { skip } from "../support/browser.mjs";
import { totp as totpAt } from "../support/factors.mjs";
import { PASSWORD } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";
import { announced, assertWrong, button, confirmPassword, heading, logIn, Pages } from "../support/pages.mjs";

const NEW = "four ponies sing quietly at noon";

let pages, mails;
before(async () => {
  pages = await Pages.start(MAIL_VARS);
  if (!skip) mails = new Mails(pages.worker);
});
after(() => pages.close());

const options = { skip };
/** The code that an app shows now. */
const totp = (secret) => totpAt(secret, Date.now() / 1000);
const field = (page, name) => page.getByLabel(name, { exact: true });
const dialogOf = (page, name) => page.getByRole("dialog", { name });
const logOut = async (page) => {
  await button(page, "Log out").click();
  await heading(page, "Log in");
};

/** The code of the mail that was just sent. The next one is not limited. */
async function mailCode() {
  const { code } = (await mails.take()).find(({ kind }) => kind === "login");
  await pages.worker.db.prepare("DELETE FROM mail_budgets").run();
  return code;
}

/** Fills in the dialog that asks for a code from a mail before the first factor. */
async function confirmMailbox(page) {
  const dialog = dialogOf(page, "Confirm that it is you");
  await button(dialog, "Send code").click();
  await field(dialog, "Code from the mail").waitFor();
  await field(dialog, "Code from the mail").fill(await mailCode());
  await confirmPassword(page);
}

/** Lets the codes of all apps be used again, so that no test waits for the next one. */
const forgetCodes = () => pages.worker.db.prepare("UPDATE totp_secrets SET last_step = last_step - 10").run();

/** Adds an authenticator app to an account. The first factor needs a code from a mail, which also verifies the address. */
async function withApp({ email, ...person }) {
  const { worker } = pages;
  const { challenge } = (await worker.post("/login/email", { json: { email } })).body;
  const proofs = { password: PASSWORD, challenge, mail_code: await mailCode() };
  const bearer = (await worker.post("/me/step-up", { json: proofs, bearer: person.bearer })).body.access_token;
  const { body } = await worker.post("/me/mfa/totp", { json: {}, bearer });
  const confirm = { json: { code: totp(body.secret) }, bearer };
  const confirmed = await pages.worker.post("/me/mfa/totp/confirm", confirm);
  assert.equal(confirmed.status, 200, confirmed.text);
  await forgetCodes();
  const { access_token, recovery_codes } = confirmed.body;
  return { ...person, email, bearer: access_token, secret: body.secret, codes: recovery_codes };
}

/** Logs in with a password and the code of an app. */
async function logInWithApp(page, { secret, ...person }) {
  await logIn(page, person);
  await heading(page, "Second step");
  await field(page, "Code from the app").fill(totp(secret));
  await button(page, "Continue").click();
  await heading(page, "Profile");
  await forgetCodes();
}

/** Adds an authenticator app on the page. Returns its secret and the recovery codes. */
async function addApp(page) {
  await page.getByAltText("QR code for the authenticator app").waitFor();
  const secret = (await page.locator(".secret code").textContent()).replaceAll(" ", "");
  await field(page, "Code from the app").fill(totp(secret).replace(/^.../, "$& "));
  await button(page, "Confirm").click();
  await button(page, "I have saved them").waitFor();
  const codes = await page.locator(".codes li").allTextContents();
  assert.equal(codes.length, 10);
  await forgetCodes();
  return { secret, codes };
}

test("a user adds an authenticator app, logs in with its codes and with a recovery code", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { view: "security", allowed: [400, 401] }, async (page) => {
    await button(page, "Set up an authenticator app").click();
    await confirmMailbox(page);
    await field(page, "Code from the app").fill("000000");
    await button(page, "Confirm").click();
    await assertWrong(field(page, "Code from the app"), /wrong or already used/);
    const { secret, codes } = await addApp(page);
    assert.equal((await pages.worker.me(person.bearer)).status, 401, "other sessions have ended");
    // Codes that nobody has saved do not get lost.
    await page.keyboard.press("Escape");
    const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Download").click()]);
    const saved = readFileSync(await download.path(), "utf8");
    for (const code of codes) assert.ok(saved.includes(code));
    await button(page, "I have saved them").click();
    await page.getByText("10 recovery codes left").waitFor();

    await logOut(page);
    await logIn(page, person);
    await heading(page, "Second step");
    await field(page, "Code from the app").fill("000000");
    await button(page, "Continue").click();
    await assertWrong(field(page, "Code from the app"), /wrong or already used/);
    await field(page, "Code from the app").fill(totp(secret));
    await button(page, "Continue").click();
    await heading(page, "Profile");

    await logOut(page);
    await logIn(page, person);
    await button(page, "Use a recovery code").click();
    await field(page, "Recovery code").fill(codes[0].toLowerCase());
    await button(page, "Continue").click();
    await heading(page, "Profile");
    await page.goto(`${pages.url}/account/security`);
    await page.getByText("9 recovery codes left").waitFor();
  });
});

test("a sign-in that is over begins again", options, async () => {
  const person = await withApp(await pages.register());
  await pages.visit({ allowed: [400, 401] }, async (page) => {
    await logIn(page, person);
    await heading(page, "Second step");
    await button(page, "Back to login").click();
    await heading(page, "Log in");
    await logIn(page, person);
    await heading(page, "Second step");
    await pages.worker.db.prepare("DELETE FROM pending_sign_ins").run();
    await field(page, "Code from the app").fill("123456");
    await button(page, "Continue").click();
    await announced(page, "Log in again.");
    await heading(page, "Log in");
  });
});

test("a change that needs a recent authentication asks for it, and then goes on", options, async () => {
  const person = await withApp(await pages.register());
  await pages.visit({ allowed: [401, 403] }, async (page) => {
    await logInWithApp(page, person);
    await pages.outdate();
    await page.goto(`${pages.url}/account/security`);
    await button(page, "New codes").click();
    await button(dialogOf(page, "Make new recovery codes?"), "New codes").click();
    const dialog = dialogOf(page, "Confirm that it is you");
    await field(dialog, "Password").fill(PASSWORD);
    await button(dialog, "Confirm").click();
    await assertWrong(field(dialog, "Code from the app"), /Fill in this field/);
    await field(dialog, "Code from the app").fill(totp(person.secret));
    await button(dialog, "Confirm").click();
    await button(page, "I have saved them").waitFor();
    const codes = await page.locator(".codes li").allTextContents();
    assert.equal(codes.length, 10);
    assert.ok(!codes.includes(person.codes[0]));
    await button(page, "I have saved them").click();
    await page.getByText("10 recovery codes left").waitFor();
    // It is recent now.
    await button(page, "Remove").click();
    await button(dialogOf(page, "Remove the authenticator app?"), "Remove").click();
    await button(page, "Set up an authenticator app").waitFor();
  });
});

test("where a second factor is required, the login adds one before anything else", options, async () => {
  const person = await pages.register();
  await pages.configure({ MFA: "required" });
  await mails.take();
  await pages.visit({ allowed: [400, 401] }, async (page) => {
    await logIn(page, person);
    await heading(page, "Second step");
    await button(page, "Send code").click();
    await field(page, "Code").waitFor();
    const code = await mailCode();
    await field(page, "Code").fill("AAAA-AAAA");
    await button(page, "Continue").click();
    await assertWrong(field(page, "Code"), /wrong, expired or already used/);
    await field(page, "Code").fill(code);
    await button(page, "Continue").click();
    await heading(page, "Add a second factor");
    await button(page, "Set up an authenticator app").click();
    await addApp(page);
    // Only then it goes on.
    await heading(page, "Recovery codes");
    await button(page, "I have saved them").click();
    await heading(page, "Profile");
  });
  await pages.configure();
});

test("an admin removes the factors of somebody who has lost them, whose login then needs a mail", options, async () => {
  const admin = await pages.register();
  await pages.worker.setRoles(admin, ["user", "admin"]);
  const [boss, person] = [await withApp(admin), await withApp(await pages.register())];
  await pages.visit({ allowed: [401] }, async (page) => {
    await logInWithApp(page, boss);
    await pages.outdate();
    await page.goto(`${pages.url}/account/admin?person=${person.user.id}`);
    await button(page, "Reset").click();
    await button(dialogOf(page, "Remove all passkeys and second factors?"), "Reset").click();
    const dialog = dialogOf(page, "Confirm that it is you");
    await field(dialog, "Code from the app").fill(totp(boss.secret));
    await confirmPassword(page);
    await announced(page, "Passkeys and second factors removed");
    await page.getByText("An administrator removed all passkeys and second factors", { exact: true }).waitFor();
    await page.goto(`${pages.url}/account/admin?person=${boss.user.id}`);
    await page.getByText("This is your own account.").waitFor();
    assert.equal(await button(page, "Reset").count(), 0);
  });
  await mails.take();
  await pages.visit({ allowed: [401] }, async (page) => {
    await logIn(page, person);
    await button(page, "Send code").click();
    await field(page, "Code").waitFor();
    const { code, to } = (await mails.take()).find(({ kind }) => kind === "login");
    assert.equal(to, person.email);
    await field(page, "Code").fill(code);
    await button(page, "Continue").click();
    await heading(page, "Profile");
  });
});

test("after a new password by mail, the login says which factors the account has", options, async () => {
  const person = await withApp(await pages.register());
  await mails.take();
  await pages.visit({ view: "forgot", allowed: [401] }, async (page) => {
    await field(page, "E-mail").fill(person.email);
    await button(page, "Send code").click();
    await heading(page, "Set a new password");
    await field(page, "Code").waitFor();
    await field(page, "Code").fill((await mails.take()).find(({ kind }) => kind === "reset").code);
    await field(page, "New password").fill(NEW);
    await button(page, "Set password").click();
    await page.getByText("your passkeys and second factors are unchanged").waitFor();
    await page.getByRole("link", { name: "Log in now" }).click();
    await logIn(page, { email: person.email, password: NEW });
    await field(page, "Code from the app").fill(totp(person.secret));
    await button(page, "Continue").click();
    await page.getByText("Your account has: Authenticator app, 10 recovery codes left.").waitFor();
    await page.getByRole("link", { name: "Look at them" }).click();
    await heading(page, "Security");
    await button(page, "Everything is mine").click();
    await page.getByText("Your account has:").waitFor({ state: "detached" });
  });
});

/** A device that makes passkeys on a page: `internal`, of which there is one at a time, or `usb`. */
class Authenticator {
  static async plugIn(page, transport = "internal") {
    const session = await page.context().newCDPSession(page);
    await session.send("WebAuthn.enable");
    const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        ctap2Version: "ctap2_1",
        transport,
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    return Object.assign(new Authenticator(), { session, id: { authenticatorId } });
  }

  async credentials() {
    return (await this.session.send("WebAuthn.getCredentials", this.id)).credentials;
  }

  add(credential) {
    return this.session.send("WebAuthn.addCredential", { ...this.id, credential });
  }

  remove(credentialId) {
    return this.session.send("WebAuthn.removeCredential", { ...this.id, credentialId });
  }

  /** Takes the device away. */
  unplug() {
    return this.session.send("WebAuthn.removeVirtualAuthenticator", this.id);
  }
}

/** The virtual authenticator chooses at once what a field offers. Without this, every login form signs in by itself. */
const withoutOffers = (page) =>
  page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  });

const passkeys = (page) => page.locator(".item").filter({ has: page.getByRole("button", { name: "Rename" }) });

/** Adds a passkey at the security view. The first needs a code from a mail, and comes with recovery codes. */
async function addPasskey(page, name) {
  const count = await passkeys(page).count();
  await button(page, "Add a passkey").click();
  await field(page, "Name").fill(name);
  await button(page, "Continue").click();
  if (count === 0) {
    await confirmMailbox(page);
    await button(page, "I have saved them").click();
  }
  await passkeys(page).nth(count).waitFor();
}

test("a user adds, names and removes passkeys, and signs in with them", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { allowed: [400, 401, 409] }, async (page) => {
    await withoutOffers(page);
    const device = await Authenticator.plugIn(page);
    await page.goto(`${pages.url}/account/security`);
    await page.getByText("You have no passkeys yet.").waitFor();
    await addPasskey(page, "Laptop");
    assert.equal((await pages.worker.me(person.bearer)).status, 401, "other sessions have ended");
    await button(page, "Add a passkey").click();
    await button(page, "Continue").click();
    await assertWrong(field(page, "Name"), /already has a passkey/);
    await button(page, "Cancel").click();
    await passkeys(page).getByRole("button", { name: "Rename" }).click();
    await field(page, "Name").fill("My laptop");
    await button(page, "Save changes").click();
    await passkeys(page).getByText("My laptop").waitFor();

    // By the button, without a name, a password and a second step.
    await logOut(page);
    await button(page, "Log in with a passkey").click();
    await heading(page, "Profile");

    // As the second step of a login with the password.
    await logOut(page);
    await logIn(page, person);
    await heading(page, "Second step");
    await button(page, "Use a passkey").click();
    await heading(page, "Profile");

    // To confirm a change.
    await pages.outdate();
    await page.goto(`${pages.url}/account/security`);
    await button(page, "New codes").click();
    await button(dialogOf(page, "Make new recovery codes?"), "New codes").click();
    await button(dialogOf(page, "Confirm that it is you"), "Use a passkey").click();
    await button(page, "I have saved them").click();

    // One that was removed is refused, and the sessions that it began end.
    const [credential] = await device.credentials();
    await passkeys(page).getByRole("button", { name: "Remove" }).click();
    await button(dialogOf(page, "Remove this passkey?"), "Remove").click();
    await heading(page, "Log in");
    assert.equal((await device.credentials()).length, 1);
    await button(page, "Log in with a passkey").click();
    await page.getByRole("alert").getByText("This passkey was not accepted.").waitFor();
    await device.remove(credential.credentialId);
    await logIn(page, person);
    await page.getByText("You have no passkeys yet.").waitFor();
  });
});

test("a browser without the JSON of WebAuthn can do the same", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { allowed: [401] }, async (page) => {
    await withoutOffers(page);
    await page.addInitScript(() => {
      delete PublicKeyCredential.parseCreationOptionsFromJSON;
      delete PublicKeyCredential.parseRequestOptionsFromJSON;
      delete PublicKeyCredential.prototype.toJSON;
    });
    await Authenticator.plugIn(page);
    await page.goto(`${pages.url}/account/security`);
    await addPasskey(page, "Old browser");
    await logOut(page);
    await button(page, "Log in with a passkey").click();
    await heading(page, "Profile");
  });
});

test(
  "the field of the login name offers passkeys, in every tab, and after a login with a password one is offered",
  options,
  async () => {
    const person = await pages.register();
    await pages.visit({ allowed: [401] }, async (page, context) => {
      const device = await Authenticator.plugIn(page);
      assert.equal(await field(page, "E-mail or username").getAttribute("autocomplete"), "username webauthn");
      await logIn(page, person);
      await page.getByText("Log in faster next time").waitFor();
      await page.getByRole("link", { name: "Add a passkey" }).click();
      await field(page, "Name").fill("This tab");
      await button(page, "Continue").click();
      await confirmMailbox(page);
      await button(page, "I have saved them").click();
      await passkeys(page).getByText("This tab").waitFor();

      // Each tab has its options open; the same passkey answers those of both, one after the other.
      const [credential] = await device.credentials();
      await device.remove(credential.credentialId);
      const other = await context.newPage();
      await other.goto(`${pages.url}/account/profile`);
      const second = await Authenticator.plugIn(other);
      await logOut(page);
      await heading(other, "Log in");
      await second.add(credential);
      await other.reload();
      await heading(other, "Profile");
      await heading(page, "Profile");
      const [{ signCount }] = await second.credentials();
      assert.ok(signCount > credential.signCount);
      await second.remove(credential.credentialId);
      await logOut(other);
      await device.add({ ...credential, signCount });
      await page.reload();
      await heading(page, "Profile");
    });
  },
);

test("a copy of a passkey is refused once the original was used", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { allowed: [400, 401] }, async (page) => {
    await withoutOffers(page);
    const device = await Authenticator.plugIn(page);
    await page.goto(`${pages.url}/account/security`);
    await addPasskey(page, "Original");
    const [copy] = await device.credentials();
    await logOut(page);
    await button(page, "Log in with a passkey").click();
    await heading(page, "Profile");
    await logOut(page);
    await device.remove(copy.credentialId);
    await device.add(copy);
    await button(page, "Log in with a passkey").click();
    await page.getByRole("alert").getByText("This passkey was not accepted.").waitFor();
  });
});

test("an account has passkeys of several devices", options, async () => {
  const person = await pages.register();
  await pages.visitAs(person, { allowed: [401] }, async (page) => {
    await withoutOffers(page);
    const laptop = await Authenticator.plugIn(page);
    await page.goto(`${pages.url}/account/security`);
    await addPasskey(page, "Laptop");
    await laptop.unplug();
    const key = await Authenticator.plugIn(page, "usb");
    await addPasskey(page, "Security key");
    assert.equal(await passkeys(page).count(), 2);
    await logOut(page);
    await button(page, "Log in with a passkey").click();
    await heading(page, "Profile");
    assert.equal((await key.credentials()).length, 1);
  });
});

test("a new user registers with a passkey instead of a password, and may set one later", options, async () => {
  // With it, a mail would be another way to log in.
  await pages.configure({ EMAIL_LOGIN: "off" });
  await pages.visit({ view: "register", allowed: [401, 409] }, async (page) => {
    await withoutOffers(page);
    await page.reload();
    await Authenticator.plugIn(page);
    await button(page, "Register with a passkey instead").click();
    await field(page, "E-mail").fill("keys-only@example.org");
    await button(page, "Create a passkey").click();
    await heading(page, "Recovery codes");
    await button(page, "I have saved them").click();
    await heading(page, "Profile");
    await page.goto(`${pages.url}/account/security`);
    await passkeys(page).waitFor();
    await button(page, "Remove").click();
    await button(dialogOf(page, "Remove this passkey?"), "Remove").click();
    await page.getByRole("alert").getByText("This is your only way to log in.").waitFor();
    await page.keyboard.press("Escape");
    await page.goto(`${pages.url}/account/password`);
    await page.getByText("Leave this empty if your account has no password yet.").waitFor();
    await field(page, "New password").fill(PASSWORD);
    await button(page, "Change password").click();
    await announced(page, "Password changed.");
    await logOut(page);
    await button(page, "Log in with a passkey").click();
    await heading(page, "Profile");
  });
  await pages.configure();
});
