// The account pages for everybody: axe finds no violation in any state of any view, in light and dark, on a phone and on a desk; the
// keyboard reaches everything.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { skip } from "../support/browser.mjs";
import { from, PASSWORD } from "../support/harness.mjs";
import { MAIL_VARS, Mails } from "../support/mails.mjs";
import { announced, button, heading, logIn, Pages } from "../support/pages.mjs";

const require = createRequire(new URL("../package.json", import.meta.url));
const AXE = skip ? "" : readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1";

let pages, mails, admin, disabled;
before(async () => {
  pages = await Pages.start(MAIL_VARS);
  if (skip) return;
  mails = new Mails(pages.worker);
  admin = await pages.register({ name: "Ada Lovelace", username: "ada.lovelace" });
  await pages.worker.setRoles(admin, ["user", "admin"]);
  await pages.worker.login(admin, from("198.51.100.20", IPHONE));
  await pages.worker.login({ ...admin, password: "wrong" }, from("198.51.100.21", "curl/8.9"));
  disabled = await pages.register({
    email: "a-long-address-that-does-not-fit-on-a-phone@mail.subdomain.example.org",
    name: "A name that is rather long as well, so that it has to break",
  });
  await pages.worker.disable(disabled);
  await pages.worker.throttle(disabled);
});
after(() => pages.close());

const options = { skip };
/** The views in the navigation of an admin. */
const VIEWS = ["Profile", "Password", "Security", "Sessions", "Activity", "Last 24 hours", "People"];
const field = (page, name) => page.getByLabel(name, { exact: true });

/** Asserts that axe finds nothing, by all its rules or by `rules`, and that the page does not scroll sideways. */
async function assertAccessible(page, state, rules) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const found = await page.evaluate(async (runOnly) => {
    const { violations } = await globalThis.axe.run(document, {
      resultTypes: ["violations"],
      ...(runOnly && { runOnly }),
    });
    return violations.map(({ id, nodes }) => [
      id,
      ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`),
    ]);
  }, rules);
  assert.deepEqual(found, [], state);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${state} scrolls sideways`);
}

/** The rules of axe about colours, to which the dark look is limited, because it changes nothing else. */
const RULES_ON_COLOURS = ["color-contrast", "link-in-text-block"];

/** Asserts that the dark look of a page consists of custom properties that are colours or shadows. */
async function assertDarkIsColours(page) {
  const set = await page.evaluate(() =>
    [...document.styleSheets]
      .flatMap(({ cssRules }) => [...cssRules])
      .filter((rule) => rule instanceof CSSMediaRule && rule.conditionText.includes("prefers-color-scheme"))
      .flatMap(({ cssRules }) => [...cssRules])
      .flatMap(({ style }) => [...style].map((name) => [name, style.getPropertyValue(name)])),
  );
  assert.ok(set.length > 0, "there is a dark look");
  for (const [name, value] of set)
    assert.match(`${name}: ${value}`, /^--[\w-]+: *(none|([-0-9px ]+ )?(#[0-9a-f]+|rgb\([^)]*\)))$/);
}

/** The states of all views, each reached from the one before. The last member says what to wait for. */
const STATES_OUTSIDE = [
  ["login", (page) => heading(page, "Log in")],
  [
    "login, refused before it is sent",
    async (page) => {
      await button(page, "Log in").click();
      await page.getByText("Fill in this field.").first().waitFor();
    },
  ],
  [
    "login, refused",
    async (page) => {
      await logIn(page, { email: "nobody@example.org" });
      await page.getByRole("alert").waitFor();
    },
  ],
  [
    "login, throttled",
    async (page) => {
      await logIn(page, disabled);
      await page.getByText("Too many failed attempts.").first().waitFor();
    },
  ],
  [
    "login, throttled no longer",
    async (page) => {
      await page.clock.install();
      await field(page, "E-mail or username").fill("nobody@example.org");
      await logIn(page, disabled);
      await page.getByRole("timer").getByText("Too many failed attempts.").waitFor();
      await page.clock.runFor(900_000);
      await page.getByRole("timer").getByText("You can try again now.").waitFor();
    },
  ],
  ["register", (page) => page.getByRole("link", { name: "Register" }).click()],
  [
    "register, refused",
    async (page) => {
      await field(page, "E-mail").fill("ada");
      await field(page, "Password").fill(PASSWORD);
      await button(page, "Show password").click();
      await button(page, "Register").click();
      await page.getByText("Enter an e-mail address").waitFor();
    },
  ],
];
/** Answers a request of the page as the Worker would, in states that are too many to reach for real. */
const answered = (page, path, status, body) =>
  page.route(`**${path}`, (route) =>
    route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) }),
  );
const CHALLENGE = `pcch_${"A".repeat(43)}`;

/** Opens a link whose mail has this purpose. */
async function openLink(page, purpose, code) {
  const [requested_at, expires_at] = [1_796_083_200, 1_796_083_800];
  const { email } = disabled;
  const link = {
    purpose,
    email,
    requested_at,
    expires_at,
    ip: "2001:db8::1",
    user_agent: IPHONE,
    ...(code && { code }),
  };
  await page.unroute("**/email/link");
  await answered(page, "/email/link", 200, link);
  await page.goto(`${pages.url}/account/login`);
  await page.goto(`${pages.url}/account/confirm#token=pcml_${"B".repeat(60)}`);
}
const STATES_OF_MAILS = [
  [
    "forgotten password",
    async (page) => {
      await page.getByRole("link", { name: "Forgot your password?" }).click();
      await heading(page, "Set a new password");
    },
  ],
  [
    "forgotten password, wrong code",
    async (page) => {
      await field(page, "E-mail").fill(disabled.email);
      await button(page, "Send code").click();
      await field(page, "Code").fill("AAAA-AAAA");
      await field(page, "New password").fill(PASSWORD);
      await button(page, "Set password").click();
      await page.getByText("wrong, expired or already used").waitFor();
    },
  ],
  [
    "new password set",
    async (page) => {
      await page.goto(`${pages.url}/account/forgot?step=done`);
      await heading(page, "Your password is set");
    },
  ],
  [
    "code login",
    async (page) => {
      await page.goto(`${pages.url}/account/code`);
      await field(page, "E-mail").fill(disabled.email);
      await button(page, "Send code").click();
      await field(page, "Code").waitFor();
    },
  ],
  [
    "registration, code",
    async (page) => {
      await answered(page, "/register", 202, { challenge: CHALLENGE });
      await page.goto(`${pages.url}/account/login`);
      await page.getByRole("link", { name: "Register" }).click();
      await field(page, "E-mail").fill("new@example.org");
      await field(page, "Password").fill(PASSWORD);
      await button(page, "Register").click();
      await heading(page, "Verify your address");
    },
  ],
  ...[
    ["reset", "Set a new password"],
    ["invite", "Welcome"],
    ["verify", "Verify your address"],
    ["login", "Your code", "7K01-QZ1M"],
    ["change", "Cancel the change of address"],
    ["register", "Finish your registration"],
  ].map(([purpose, title, code]) => [
    `link: ${purpose}`,
    async (page) => {
      await openLink(page, purpose, code);
      await heading(page, title);
    },
  ]),
  [
    "link: register, by somebody else",
    async (page) => {
      await button(page, "This was not me").click();
      await heading(page, "Delete this registration");
    },
  ],
  [
    "link: login, in the browser that asked for it",
    async (page) => {
      await page.evaluate(
        (challenge) => localStorage.setItem("portcullis:asked", JSON.stringify([{ challenge }])),
        `pcch_${"B".repeat(43)}`,
      );
      await openLink(page, "login", "7K01-QZ1M");
      await page.getByText("in this browser").waitFor();
    },
  ],
  [
    "link, not live",
    async (page) => {
      await page.unroute("**/email/link");
      await page.reload();
      await heading(page, "This link no longer works");
    },
  ],
];
const MFA_TOKEN = `pcmf_${"A".repeat(43)}`;
const CODES = Array.from({ length: 10 }, (_, row) => `7K01QZ-1M9XB2-44TCAD-WXY00${row}`);
const APP = {
  secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
  otpauth_uri: "otpauth://totp/Portcullis:ada@example.org?secret=JBSWY3DPEHPK3PXP",
  qr_svg: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M1 1h7v7h-7z"/></svg>',
};
const NO_FACTORS = { totp: null, passkeys: 0, recovery_codes_left: 0, mfa: "optional", required: false };
const FACTORS = {
  totp: { created_at: 1_796_083_200 },
  passkeys: 2,
  recovery_codes_left: 2,
  mfa: "admins",
  required: true,
};
const PASSKEYS = ["Laptop", "A security key with a name that is rather long"].map((name, index) => ({
  id: `AAA${index}`,
  name,
  created_at: 1_796_083_200,
  last_used_at: index === 0 ? 1_796_083_200 : null,
  backed_up: index === 0,
  transports: [],
  aaguid: "00000000-0000-0000-0000-000000000000",
}));

/** Begins a login that needs more than the password. */
async function incomplete(page, code, more = {}) {
  await page.unroute("**/login");
  await page.goto(`${pages.url}/account/login`);
  await answered(page, "/login", 401, { status: 401, code, mfa_token: MFA_TOKEN, ...more });
  await logIn(page, disabled);
}
const STATES_OF_FACTORS = [
  [
    "second step, passkey",
    async (page) => {
      await incomplete(page, "mfa_required", { methods: ["credential", "code", "recovery_code"] });
      await button(page, "Use a passkey").waitFor();
    },
  ],
  [
    "second step, wrong code",
    async (page) => {
      await answered(page, "/login/mfa", 400, { status: 400, code: "invalid_code" });
      await button(page, "Use your authenticator app").click();
      await field(page, "Code from the app").fill("123456");
      await button(page, "Continue").click();
      await page.getByText("wrong or already used").waitFor();
    },
  ],
  [
    "second step, recovery code",
    async (page) => {
      await button(page, "Use a recovery code").click();
      await field(page, "Recovery code").waitFor();
    },
  ],
  [
    "second step, adding a factor",
    async (page) => {
      await incomplete(page, "mfa_enrolment_required");
      await heading(page, "Add a second factor");
    },
  ],
  [
    "second step, adding an app",
    async (page) => {
      await answered(page, "/me/mfa/totp", 201, APP);
      await button(page, "Set up an authenticator app").click();
      await page.getByAltText("QR code").waitFor();
    },
  ],
];
const STATES_OF_SECURITY = [
  [
    "security, nothing yet",
    async (page) => {
      await answered(page, "/me/mfa", 200, NO_FACTORS);
      await page.getByRole("link", { name: "Security" }).click();
      await page.getByText("You have no passkeys yet.").waitFor();
    },
  ],
  [
    "security, adding an app",
    async (page) => {
      await answered(page, "/me/mfa/totp", 201, APP);
      await button(page, "Set up an authenticator app").click();
      await page.getByAltText("QR code").waitFor();
    },
  ],
  [
    "security, adding a passkey",
    async (page) => {
      await button(page, "Add a passkey").click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "security, all there is, after a new password",
    async (page) => {
      await page.unroute("**/me/mfa");
      await answered(page, "/me/mfa", 200, FACTORS);
      await answered(page, "/me/passkeys", 200, { passkeys: PASSKEYS });
      await page.evaluate(() => sessionStorage.setItem("portcullis:reset", "1"));
      await page.reload();
      await button(page, "Everything is mine").waitFor();
    },
  ],
  [
    "security, confirming with a passkey",
    async (page) => {
      await answered(page, "/me/mfa/recovery-codes", 401, { status: 401, code: "step_up_required" });
      await button(page, "New codes").click();
      await button(page.getByRole("dialog"), "New codes").click();
      await button(page, "Use a passkey").waitFor();
    },
  ],
  [
    "security, confirming with the password and a code",
    async (page) => {
      await button(page, "Use your password").click();
      await field(page, "Code from the app").waitFor();
    },
  ],
  [
    "security, recovery codes",
    async (page) => {
      await page.unroute("**/me/mfa/recovery-codes");
      await answered(page, "/me/mfa/recovery-codes", 200, { recovery_codes: CODES });
      await page.keyboard.press("Escape");
      await button(page.getByRole("dialog"), "New codes").click();
      await button(page, "I have saved them").waitFor();
    },
  ],
];
const STATES_INSIDE = [
  ["profile", (page) => heading(page, "Profile")],
  [
    "profile, saved",
    async (page) => {
      await field(page, "Given name").fill(`Ada ${Math.random()}`);
      await button(page, "Save changes").click();
      await announced(page, "Saved");
    },
  ],
  [
    "profile, with another username",
    async (page) => {
      await field(page, "Username").fill("!");
      await button(page, "Save username").click();
      await page.getByText("with a letter or digit at both ends").waitFor();
    },
  ],
  [
    "profile, deleting the account",
    async (page) => {
      await button(page, "Delete account").click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "address",
    async (page) => {
      await page.keyboard.press("Escape");
      await page.getByRole("link", { name: "Verify or change" }).click();
      await heading(page, "E-mail address");
    },
  ],
  [
    "address, codes",
    async (page) => {
      await button(page, "Send me a code").click();
      await field(page, "Code").waitFor();
      await mails.take();
      await answered(page, "/me/email", 202, { challenge: CHALLENGE });
      await field(page, "New e-mail").fill("new@example.org");
      await button(page, "Send codes").click();
      await field(page, "Code from your current address").waitFor();
    },
  ],
  [
    "address, changes later",
    async (page) => {
      await answered(page, "/me/email/confirm", 202, {});
      const pending_email = { email: "new@example.org", takes_effect_at: 1_796_083_200 };
      await page.route("**/me", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...(await response.json()), pending_email } });
      });
      await field(page, "Code from the new address").fill("AAAA-AAAA");
      await page.getByRole("checkbox", { name: "I no longer have the old mailbox" }).check();
      await button(page, "Change address").click();
      await page.getByText("Your address becomes new@example.org").waitFor();
    },
  ],
  [
    "password",
    async (page) => {
      await page.getByRole("link", { name: "Password" }).click();
      await heading(page, "Password");
    },
  ],
  [
    "sessions",
    async (page) => {
      await page.getByRole("link", { name: "Sessions" }).click();
      await page.getByText("This device", { exact: true }).waitFor();
    },
  ],
  [
    "sessions, ending others",
    async (page) => {
      await button(page, "End others").click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "activity",
    async (page) => {
      await page.keyboard.press("Escape");
      await page.getByRole("link", { name: "Activity" }).click();
      await page.getByText("Account created").waitFor();
    },
  ],
  [
    "activity, offline",
    async (page, context) => {
      await page.getByRole("link", { name: "Profile" }).click();
      await context.setOffline(true);
      await page.getByRole("link", { name: "Activity" }).click();
      await page.getByRole("alert").waitFor();
    },
  ],
  [
    "the last 24 hours",
    async (page, context) => {
      await context.setOffline(false);
      await page.getByText("Account created").waitFor();
      await page.getByRole("link", { name: "Last 24 hours" }).click();
      await page.getByText("Most:").first().waitFor();
    },
  ],
  [
    "people",
    async (page) => {
      await page.getByRole("link", { name: "People" }).click();
      await page.getByRole("row").nth(1).waitFor();
    },
  ],
  [
    "people, inviting",
    async (page) => {
      await button(page, "Invite").click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "a person",
    async (page) => {
      await page.keyboard.press("Escape");
      await page.getByRole("link", { name: disabled.email }).click();
      await page.getByText("Delayed until").waitFor();
      await page.getByText("Account created").waitFor();
    },
  ],
  [
    "a person, lifting the delay",
    async (page) => {
      await button(page, "Lift").click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "a person, deleting",
    async (page) => {
      await page.keyboard.press("Escape");
      await button(page, "Delete").click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "people, none found",
    async (page) => {
      await page.keyboard.press("Escape");
      await page.goto(`${pages.url}/account/admin?email=nobody-of-this-name`);
      await page.getByText("No address begins with").waitFor();
    },
  ],
  [
    "no such person",
    async (page) => {
      await page.goto(`${pages.url}/account/admin?person=nobody`);
      await heading(page, "No such account");
    },
  ],
  [
    "no such page",
    async (page) => {
      await page.goto(`${pages.url}/account/nothing`);
      await heading(page, "Page not found");
    },
  ],
  [
    "loading",
    async (page) => {
      await page.route(/\/sessions$/, (route) =>
        route.request().resourceType() === "fetch" ? undefined : route.continue(),
      );
      await page.goto(`${pages.url}/account/sessions`);
      await page.locator(".skeleton").first().waitFor();
    },
  ],
];

/** Each state is reached in the first look, on a phone. Other tests reach it on a desk. One thing changes from each to the next. */
const LOOKS = [
  { colorScheme: "light", width: 320 },
  { colorScheme: "dark", width: 320 },
  { colorScheme: "dark", width: 1280 },
  { colorScheme: "light", width: 1280 },
];

test("axe finds nothing in light and dark, on a phone and on a desk", options, async () => {
  // With reduced motion, no transition between two looks is under way when axe measures colours.
  const reducedMotion = "reduce";
  const look = { reducedMotion, viewport: { width: 320, height: 800 } };
  // Every state is reached once, because reaching it takes longer than to change the look.
  const assertAccessibleInAllLooks = async (page, state) => {
    for (const { colorScheme, width } of LOOKS) {
      await page.emulateMedia({ colorScheme, reducedMotion });
      await page.setViewportSize({ width, height: 800 });
      const rules = colorScheme === "dark" ? RULES_ON_COLOURS : undefined;
      await assertAccessible(page, `${state}, ${colorScheme}, ${width} px`, rules);
    }
    await page.setViewportSize({ width: LOOKS[0].width, height: 800 });
  };
  const walk = async (page, context, states) => {
    // Later documents have it from the beginning, which costs less than to send it again.
    await context.addInitScript(AXE);
    for (const [state, reach] of states) {
      await reach(page, context);
      await assertDarkIsColours(page);
      await assertAccessibleInAllLooks(page, state);
    }
  };
  await pages.visit({ ...look, allowed: [401, 422, 429] }, (page, context) => walk(page, context, STATES_OUTSIDE));
  await pages.visit({ ...look, allowed: [400] }, (page, context) => walk(page, context, STATES_OF_MAILS));
  await pages.visitAs(admin, { ...look, allowed: [404, 422] }, (page, context) => walk(page, context, STATES_INSIDE));
  await pages.visit({ ...look, allowed: [400, 401] }, (page, context) => walk(page, context, STATES_OF_FACTORS));
  await pages.visitAs(admin, { ...look, allowed: [401] }, (page, context) => walk(page, context, STATES_OF_SECURITY));
  await pages.visitAs(admin, { ...look, locale: "de-DE" }, (page) =>
    assertAccessibleInAllLooks(page, "profile, in German"),
  );
});

/** The names of what Tab reaches, in order, until it leaves the page. */
async function tabs(page) {
  const names = [];
  for (let count = 0; count < 40; count += 1) {
    await page.keyboard.press("Tab");
    const name = await page.evaluate(() => {
      const { activeElement } = document;
      if (activeElement === document.body) return null;
      const label = activeElement.labels?.[0]?.textContent ?? activeElement.ariaLabel ?? activeElement.textContent;
      const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
      const isVisible = outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
      return isVisible ? label.trim() : `${label} has no focus ring`;
    });
    if (name === null) return names;
    names.push(name);
  }
  return assert.fail(`Tab does not leave the page: ${names}`);
}

test("the keyboard reaches everything in the order of the page, and shows where it is", options, async () => {
  await pages.visit({}, async (page) => {
    await heading(page, "Log in");
    const fields = ["E-mail or username", "Password", "Show password", "Remember me"];
    const links = ["Forgot your password?", "Log in with a code by mail", "Register"];
    assert.deepEqual(await tabs(page), [...fields, "Log in", "Log in with a passkey", ...links]);
    await field(page, "E-mail or username").focus();
    await page.keyboard.type(admin.email);
    await page.keyboard.press("Tab");
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    await heading(page, "Profile");
    const around = ["Skip to content", "Log out", ...VIEWS];
    await page.evaluate(() => document.activeElement.blur());
    await page.goto(`${pages.url}/account/sessions`);
    await button(page, "End").first().waitFor();
    const names = await tabs(page);
    const ends = names.filter((name) => name === "End");
    assert.deepEqual(names, [...around, "End others", ...ends]);
    assert.ok(ends.length > 0);
  });
});

test("after a change of view the focus is at its heading", options, async () => {
  await pages.visitAs(admin, {}, async (page) => {
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    await page.getByRole("link", { name: "Activity" }).press("Enter");
    await heading(page, "Activity");
    assert.equal(await focused(), "Activity");
    assert.equal(await page.title(), "Activity · Portcullis");
    await page.goBack();
    await heading(page, "Profile");
    assert.equal(await focused(), "Profile");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.name), "name");
  });
});

test("the first wrong field gets the focus, and keeps it while it is corrected", options, async () => {
  await pages.visit({}, async (page) => {
    const focused = () => page.evaluate(() => document.activeElement.name);
    await button(page, "Log in").press("Enter");
    await page.locator('[aria-invalid="true"]').nth(1).waitFor();
    assert.equal(await focused(), "login");
    await page.keyboard.type("ada");
    assert.equal(await focused(), "login");
    assert.equal(await page.getByLabel("E-mail or username").inputValue(), "ada");
  });
});

test("who goes back is where they were, with the focus at the heading", options, async () => {
  await pages.visitAs(admin, { viewport: { width: 320, height: 400 } }, async (page) => {
    const top = () => page.evaluate(() => scrollY);
    await page.evaluate(() => scrollTo(0, 300));
    // A click by the mouse would first scroll to the link.
    await page.getByRole("link", { name: "Password" }).dispatchEvent("click");
    await heading(page, "Password");
    assert.equal(await top(), 0);
    await page.goBack();
    await heading(page, "Profile");
    await page.waitForFunction(() => scrollY === 300 && document.activeElement.textContent === "Profile");
  });
});

test("the link at the top skips what all views have", options, async () => {
  await pages.visitAs(admin, { view: "sessions" }, async (page) => {
    await button(page, "End others").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "End others");
  });
});

test("a dialog keeps the focus, closes at Escape, and gives the focus back", options, async () => {
  await pages.visitAs(admin, { view: "sessions" }, async (page) => {
    await button(page, "End others").press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    const isInside = () => page.evaluate(() => document.activeElement.closest("dialog") !== null);
    assert.ok(await isInside());
    for (let count = 0; count < 6; count += 1) {
      await page.keyboard.press("Tab");
      // Between the last and the first control the browser itself has the focus.
      const isOutside = await page.evaluate(() => document.activeElement === document.body);
      assert.ok(isOutside || (await isInside()));
    }
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "End others");
    // A click beside it closes it as well.
    await button(page, "End others").click();
    await dialog.waitFor();
    await page.mouse.click(5, 5);
    await dialog.waitFor({ state: "detached" });
  });
});

test("text may be twice as large", options, async () => {
  await pages.visitAs(admin, { viewport: { width: 640, height: 800 } }, async (page) => {
    for (const view of VIEWS) {
      await page.getByRole("link", { name: view }).click();
      await heading(page, view);
      await page.evaluate(() => document.documentElement.style.setProperty("font-size", "200%"));
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), view);
    }
  });
});
