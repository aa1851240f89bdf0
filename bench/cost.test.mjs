// Compares docs/performance/scale.md with the calculation, whose input tests/guarantees/costs.test.mjs checks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "../scripts/lib.mjs";
import { BYTES, costTables, HABITS, month } from "./cost.mjs";

const page = read("docs/performance/scale.md");
/** Asserts that the page contains the text, regardless of line breaks. */
const says = (text) => assert.ok(page.replaceAll(/\s+/g, " ").includes(text), text);

test("the cost tables are the computed ones", () => {
  const [, shown] = page.match(/<!-- bench\/cost\.mjs -->\n([\s\S]*?)\n<!-- end -->/);
  assert.equal(shown, costTables());
  // Every cell has a number, even if the habits change.
  assert.doesNotMatch(shown, /NaN|undefined|Infinity/);
});

test("the limits on the page follow from the habits", () => {
  const million = month(1e6);
  const maxUsers = 10e9 / (million.used.gigabytes * 1e3);
  const peak = million.refreshesPerSecond * HABITS.peak;
  says(`**${(maxUsers / 1e6).toFixed(1)} million users**`);
  says(`the busiest second of ${Math.round(1000 / peak)} million users`);
  says(`at ${(maxUsers / 1e6).toFixed(1)} million and ${Math.round((peak * maxUsers) / 1e7) * 10} refreshes a second`);
  const week = month(1e6, { ...HABITS, monthsKept: 37 / 30 });
  says(`of a week instead of three months some ${Math.round(10e3 / week.used.gigabytes / 1e3)} million`);
  says(`full at some ${Math.round(((maxUsers / 1e6) * million.times.login) / 30 / 1e4)}0,000 logins a day`);
  const without = [1e6, 100e6].map((users) =>
    Math.round(month(users, { ...HABITS, verifies: 0 }).total).toLocaleString("en"),
  );
  says(`Without \`/verify\` a million users are $${without[0]}, and a hundred million $${without[1]}`);
});

test("bytes per row are those that cleanup is designed for", () => {
  for (const [table, bytes] of Object.entries({
    users: BYTES.user,
    refresh_tokens: BYTES.session,
    audit_events: BYTES.event,
  }))
    says(`| \`${table}\` | ${bytes} |`);
  assert.ok(read("src/store/cleanup.rs").includes(`let max_sessions = 10_000_000_000 / ${BYTES.session};`));
});

test("dollars follow from the prices and what the plan includes", () => {
  const { used, dollars, total } = month(100e6);
  assert.equal(dollars.rowsWritten, (used.rowsWritten - 50e6) / 1e6);
  assert.equal(dollars.requests, ((used.requests - 10e6) / 1e6) * 0.3);
  assert.ok(used.requests > 10e9 && used.rowsWritten > 5e9);
  assert.ok(Math.abs(total - 5 - Object.values(dollars).reduce((sum, part) => sum + part)) < 1e-6);
  assert.equal(month(100).total, 5);
});
