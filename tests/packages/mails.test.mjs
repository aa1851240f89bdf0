// The mails in a browser: axe finds no violation in light and dark, on a phone and on a desk, and nothing scrolls sideways.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { promisify } from "node:util";

import { path } from "../../scripts/lib.mjs";
import { launch, skip } from "../support/browser.mjs";

const require = createRequire(new URL("../package.json", import.meta.url));

/** One with each part of the layout: a code with one link and with two, a long text, links without a code. */
const SHOWN = ["reset en", "register de", "login de", "email_change_pending de", "new_device en"];

/** What a mail lacks on purpose: the page of the program that shows it has the landmarks. */
const RULES = { region: { enabled: false }, "landmark-one-main": { enabled: false } };

async function examples() {
  const args = ["run", "--quiet", "--locked", "-p", "portcullis-core", "--example", "mails"];
  const { stdout } = await promisify(execFile)("cargo", args, { cwd: path() });
  const mails = stdout.trim().split("\n").map(JSON.parse);
  return new Map(mails.map((mail) => [`${mail.kind} ${mail.locale}`, mail.html]));
}

test("axe finds nothing in a mail in light and dark, on a phone and on a desk", { skip }, async () => {
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  const mails = await examples();
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const requested = [];
    page.on("request", (request) => requested.push(request.url()));
    for (const name of SHOWN) {
      await page.setContent(mails.get(name));
      await page.evaluate(axe);
      for (const [colorScheme, width] of ["light", "dark"].flatMap((scheme) => [640, 320].map((px) => [scheme, px]))) {
        const look = `${name}, ${colorScheme}, ${width} px`;
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 800 });
        const found = await page.evaluate(async (rules) => {
          const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"], rules });
          return violations.map(({ id, nodes }) => [
            id,
            ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`),
          ]);
        }, RULES);
        assert.deepEqual(found, [], look);
        const isScrolling = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        assert.ok(!isScrolling, `${look} scrolls sideways`);
      }
    }
    assert.deepEqual(requested, []);
  } finally {
    await browser.close();
  }
});
