// Takes the screenshots of docs/guides/pages.md, docs/images, of the pages as the Worker serves them, with made-up people. Run it
// after a change of their look:
//
//   npm test -- e2e pages && npm exec -- node tests/screenshots.mjs
//
// On Linux the text is in Open Sans, which comes with the browser, so that the images do not depend on the machine.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { checkFlags, fail, path, run, runIfStarted } from "../scripts/lib.mjs";
import { atLocalhost, launch, skip } from "./support/browser.mjs";
import { from, PASSWORD, startWorker } from "./support/harness.mjs";

const usage = `npm exec -- node tests/screenshots.mjs

Takes the screenshots of the account pages in docs/images.`;

const OUT = path("docs", "images");
const DAY = 86_400;
const CHROME =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1";
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
const OTHERS = [
  "Alan Turing",
  "Barbara Liskov",
  "Edsger Dijkstra",
  "Grace Hopper",
  "Hedy Lamarr",
  "Katherine Johnson",
  "Margaret Hamilton",
];
const addressOf = (name) => `${name.toLowerCase().replace(" ", ".")}@example.org`;

const desk = { viewport: { width: 1280, height: 800 } };
const phone = { viewport: { width: 320, height: 640 }, colorScheme: "dark" };

/** Answers a request of the page in the place of the Worker. */
const answered = (page, path, status, body) =>
  page.route(
    ({ pathname }) => pathname === path,
    (route) => route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) }),
  );
const button = (page, name) => page.getByRole("button", { name, exact: true });

/** An account with all factors, whose login Ada's other images do not need. */
async function withFactors(page) {
  const now = Math.floor(Date.now() / 1000);
  const passkey = { transports: [], aaguid: "00000000-0000-0000-0000-000000000000" };
  const list = [
    { id: "A", name: "MacBook", created_at: now - 40 * DAY, last_used_at: now - 7200, backed_up: true, ...passkey },
    { id: "B", name: "Security key", created_at: now - 9 * DAY, last_used_at: null, backed_up: false, ...passkey },
  ];
  await answered(page, "/me/passkeys", 200, { passkeys: list });
  const totp = { created_at: now - 40 * DAY };
  const status = { totp, passkeys: 2, recovery_codes_left: 8, mfa: "optional", required: false };
  await answered(page, "/me/mfa", 200, status);
  await page.reload();
}

async function secondStep(page) {
  await answered(page, "/login", 401, { code: "mfa_required", mfa_token: "pcmf_", methods: ["code", "recovery_code"] });
  await page.getByLabel("E-mail or username").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await button(page, "Log in").click();
  await page.getByLabel("Code from the app").waitFor();
}

async function addingApp(page) {
  await button(page, "Set up an authenticator app").click();
  await page.getByAltText("QR code").waitFor();
  await button(page, "Confirm").scrollIntoViewIfNeeded();
}

/** A day on which somebody tried leaked passwords in the night. */
async function eventfulDay(page) {
  const now = Math.floor(Date.now() / 3_600_000) * 3600;
  const hour = (at, index) => {
    const isAttack = [9, 10, 11].includes(index);
    const logins = Math.round(22 + 18 * Math.sin((index - 12) / 3.6)) + (index % 3);
    const counts = { logins, registrations: index % 5 === 2 ? 2 : 0, failed_logins: (index % 4) + (isAttack ? 30 : 0) };
    const waits = { throttled: isAttack ? index - 7 : 0, refused: isAttack ? 12 * (index - 8) : 0 };
    const mails = { mails_sent: Math.round(logins / 7) + (isAttack ? 3 : 0), mails_failed: 0 };
    return { at, ...counts, ...waits, reuse_detected: index === 17 ? 1 : 0, ...mails };
  };
  const hours = Array.from({ length: 24 }, (_, index) => hour(now - 3600 * (23 - index), index));
  const names = Object.keys(hours[0]).filter((name) => name !== "at");
  const total = Object.fromEntries(names.map((name) => [name, hours.reduce((sum, hour) => sum + hour[name], 0)]));
  await answered(page, "/stats", 200, { since: hours[0].at, total, hours, mails_waiting: 0, metrics: "read" });
  await page.reload();
}

async function confirming(page) {
  await withFactors(page);
  await answered(page, "/me/mfa/recovery-codes", 401, { code: "step_up_required" });
  await button(page, "New codes").click();
  await button(page.getByRole("dialog"), "New codes").click();
  await button(page, "Use your password").click();
  await page.getByLabel("Code from the app").waitFor();
}

/** The name of each image, the view, whether a user is signed in, the window, and how its state is reached from the view. */
const IMAGES = [
  ["login", "login", false, desk],
  ["profile", "profile", true, desk],
  ["sessions", "sessions", true, desk],
  ["people", "admin", true, desk],
  ["stats", "stats", true, desk, eventfulDay],
  ["login-phone", "login", false, phone],
  ["sessions-phone", "sessions", true, phone],
  ["activity-phone", "activity", true, phone],
  ["security", "security", true, desk, withFactors],
  ["second-step-phone", "login", false, phone, secondStep],
  ["authenticator-app-phone", "security", true, phone, addingApp],
  ["step-up-phone", "security", true, phone, confirming],
];

async function main(args) {
  checkFlags(args, [], usage);
  if (skip) fail(skip);
  const folder = mkdtempSync(join(tmpdir(), "portcullis-screenshots-"));
  const worker = await startWorker();
  const browser = await launch({ env: { ...process.env, ...(await fonts(folder)) } });
  try {
    const url = await atLocalhost(worker, { COOKIE_MODE: "refresh" });
    const user = await people(worker);
    mkdirSync(OUT, { recursive: true });
    for (const [name, view, isSignedIn, window, reach] of IMAGES) {
      const context = await browser.newContext({
        userAgent: CHROME,
        locale: "en-GB",
        reducedMotion: "reduce",
        ...window,
      });
      const page = await context.newPage();
      await page.setExtraHTTPHeaders({ "CF-Connecting-IP": "203.0.113.7" });
      await page.goto(`${url}/account/login`);
      if (isSignedIn) {
        await page.getByLabel("E-mail or username").fill(user.email);
        await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
        await page.getByRole("button", { name: "Log in", exact: true }).click();
        await page.waitForURL("**/profile");
        await page.goto(`${url}/account/${view}`);
      }
      await reach?.(page);
      await page.waitForLoadState("networkidle");
      await page.screenshot({ path: join(OUT, `${name}.png`) });
      await context.close();
      // Each login is a session of its own, of which one image shows the list.
      if (isSignedIn) await worker.db.prepare("DELETE FROM refresh_tokens WHERE created_ip = '203.0.113.7'").run();
    }
  } finally {
    await browser.close();
    await worker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ada, who is an admin, with a past of some days, and others. */
async function people(worker) {
  const details = { name: "Ada Lovelace", given_name: "Ada", family_name: "Lovelace", username: "ada" };
  const json = { email: addressOf("Ada Lovelace"), password: PASSWORD, ...details };
  const { body } = await worker.post("/register", { json, ...from("198.51.100.24", CHROME) });
  const ada = { ...body, email: json.email, password: PASSWORD };
  await worker.setRoles(ada, ["user", "admin"]);
  for (const name of OTHERS) {
    const other = await worker.register({ email: addressOf(name), name });
    if (name === "Hedy Lamarr") await worker.disable(other);
  }
  const joined = worker.db.prepare(
    "UPDATE users SET created_at = created_at - ? - ? * (length(email) % 7) WHERE id <> ''",
  );
  await joined.bind(40 * DAY, 9 * DAY).run();
  await worker.age(6 * DAY);
  await worker.login(ada, from("192.0.2.44", FIREFOX));
  await worker.age(DAY);
  await worker.login({ ...ada, password: "wrong" }, from("203.0.113.90", FIREFOX));
  await worker.login({ ...ada, password: "wrong" }, from("203.0.113.91", FIREFOX));
  await worker.db.prepare("UPDATE audit_events SET at = at - ?1, last_at = last_at - ?1").bind(DAY).run();
  await worker.login(ada, from("198.51.100.25", IPHONE));
  await worker.age(5 * 3_600);
  return ada;
}

/** The variables of the environment with which the browser finds its own fonts first. */
async function fonts(folder) {
  if (process.platform !== "linux") return {};
  const packed = path("tests", "node_modules", "@sparticuz", "chromium", "bin", "fonts.tar.br");
  writeFileSync(join(folder, "fonts.tar"), brotliDecompressSync(readFileSync(packed)));
  await run("tar", ["-xf", join(folder, "fonts.tar"), "-C", folder]);
  const file = join(folder, "open-sans.conf");
  const prefer = (family) =>
    `<alias binding="strong"><family>${family}</family><prefer><family>Open Sans</family></prefer></alias>`;
  writeFileSync(
    file,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>${folder}</dir>
      <cachedir>${folder}/cache</cachedir>${prefer("system-ui")}${prefer("sans-serif")}</fontconfig>`,
  );
  return { FONTCONFIG_FILE: file };
}

runIfStarted(import.meta.url, main, usage);
