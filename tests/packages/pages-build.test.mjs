// The files of the account pages: their size and their strings.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { read } from "../../scripts/lib.mjs";
import { de } from "../../web/strings/de.ts";
import { en } from "../../web/strings/en.ts";

const FOLDER = "web/dist/account";
const files = readdirSync(FOLDER);

/** The size of these files together, in bytes, each compressed by itself. */
function gzipped(names) {
  const sizes = names.map((name) => gzipSync(readFileSync(`${FOLDER}/${name}`), { level: 9 }).length);
  return sizes.reduce((sum, size) => sum + size, 0);
}

test("the login page waits for at most 40 KB gzipped", () => {
  const linked = [...read(`${FOLDER}/index.html`).matchAll(/\b(?:href|src)="([^"]+)"/g)].map(([, name]) => name);
  const size = gzipped(["index.html", ...linked]);
  assert.ok(linked.length > 3 && size <= 40 * 1024, `${size} bytes`);
});

test("all account pages together, every language included, are at most 64 KB gzipped", () => {
  const size = gzipped(files);
  assert.ok(size <= 64 * 1024, `${size} bytes`);
});

test("nothing is inline, and nothing comes from elsewhere", () => {
  const page = readFileSync(`${FOLDER}/index.html`, "utf8");
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?:|["'(]\/\//);
  const styles = files.filter((name) => name.endsWith(".css"));
  assert.equal(styles.length, 1);
  assert.doesNotMatch(readFileSync(`${FOLDER}/${styles[0]}`, "utf8"), /url\(|@import/);
});

test("the name of every script and style sheet contains a hash of its contents", () => {
  for (const name of files)
    if (!["icon.svg", "index.html"].includes(name)) assert.match(name, /^\w+-[A-Z0-9]{8}\.(js|css)$/);
});

test("there is no index.html at the root, which would be served instead of the Worker's answer", () => {
  assert.ok(!readdirSync("web/dist").includes("index.html"));
});

/** The names of all texts with the names of what is filled in. The forms of a plural count as one. */
function texts(strings, prefix = "") {
  return Object.entries(strings).flatMap(([name, value]) => {
    const key = `${prefix}${name}`;
    const isPlural = typeof value === "object" && "other" in value;
    if (typeof value === "object" && !isPlural) return texts(value, `${key}.`);
    const filled = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
    return [`${key}(${filled(isPlural ? value.other : value)})`];
  });
}

test("every language has the same texts, with the same values filled in", () => {
  assert.ok(texts(en).length > 150);
  assert.deepEqual(texts(de), texts(en));
});

test("every file of strings is a language that can be chosen, or the choice itself", () => {
  const names = readdirSync("web/strings").filter((name) => name !== "index.ts");
  const chosen = [...read("web/strings/index.ts").matchAll(/import\("\.\/(\w+\.ts)"\)/g)].map(([, name]) => name);
  assert.deepEqual(names.sort(), ["en.ts", ...chosen].sort());
});

test("no text is unused", () => {
  const sources = ["account", "account/views", "admin", "ui"].flatMap((folder) =>
    readdirSync(`web/${folder}`)
      .filter((name) => /\.tsx?$/.test(name))
      .map((name) => read(`web/${folder}/${name}`)),
  );
  const code = sources.join("\n");
  // Those that are found by names of the API are compared with its documentation below.
  const found = texts(en).filter((key) => !/^(errors|events|reasons|nav)\./.test(key));
  assert.ok(found.length > 100);
  for (const key of found) assert.ok(new RegExp(`\\bs\\.${key.split("(")[0]}\\b`).test(code), key);
});

test("every error of the API has a sentence", () => {
  const codes = [...read("src/routes/error.rs").matchAll(/\brow\(\s*\d+,\s*"(\w+)"/g)].map(([, code]) => code);
  assert.ok(codes.length > 35);
  for (const code of codes) assert.ok(Object.hasOwn(en.errors, code), code);
});

test("every event of the audit trail and every reason has its words", () => {
  const [events, reasons] = read("docs/reference/audit-events.md")
    .split("The `reason` of a revoked session:")
    .map((part) => [...part.matchAll(/^\| ((?:`\w+`,? ?)+) \|/gm)].flatMap(([, cell]) => cell.match(/\w+/g)));
  assert.ok(events.length > 12 && reasons.length > 8);
  assert.deepEqual(Object.keys(en.events).sort(), [...events, "unknown"].sort());
  assert.deepEqual(Object.keys(en.reasons).sort(), reasons.sort());
});
