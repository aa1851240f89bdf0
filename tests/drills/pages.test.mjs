// The list of drills in docs/operations/incidents.md: each page has the same parts, and a test that runs its commands.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { path, read } from "../../scripts/lib.mjs";

const PARTS = ["What you see", "What to do", "What users notice", "How you know that it is over"];
const [, list] = read("docs/operations/incidents.md").match(/^## Drills$(.*?)^## /ms);
const pages = [...list.matchAll(/^\| .* \| \[.*\]\((.*\.md)\) \|$/gm)].map(([, page]) => page);

test("every page of the list has the four parts in this order, numbered steps, and names its test", () => {
  const named = pages.map((page) => {
    const text = read(`docs/operations/${page}`);
    const found = [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title).filter((title) => PARTS.includes(title));
    assert.deepEqual(found, PARTS, page);
    const steps = text.slice(text.indexOf("## What to do"), text.indexOf("## What users notice"));
    assert.match(steps, /^1\. .*^2\. /ms, page);
    const [, file] =
      text.match(/\]\(\.\.\/\.\.\/(tests\/drills\/[a-z-]+\.test\.mjs)\)/) ?? assert.fail(`${page} names no test`);
    assert.ok(existsSync(path(file)), file);
    assert.ok(read(file).includes(`"${page}"`), `${file} does not run ${page}`);
    return file;
  });
  const tests = readdirSync(path("tests", "drills")).filter((name) => name !== "pages.test.mjs");
  assert.deepEqual(named.sort(), tests.map((name) => `tests/drills/${name}`).sort());
});
