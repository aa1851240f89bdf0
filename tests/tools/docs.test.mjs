// The documentation matches the code, and its links are valid.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { COMMANDS } from "../../packages/portcullis/src/commands.mjs";
import { COMMAND_PAGE, withCommands } from "../../scripts/generate.mjs";
import { path, read } from "../../scripts/lib.mjs";
import { ENDPOINTS } from "../support/routes.mjs";

/** The files of the repository, new ones included, whose names have one of these ends. */
function files(...ends) {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: path(".") });
  const names = listed.toString().split("\n");
  return names.filter((name) => ends.some((end) => name.endsWith(end)) && existsSync(path(name)));
}

const pages = files(".md");
/** A page without its code blocks. */
const prose = (page) => read(page).replaceAll(/^```.*?^```/gms, "");
/** The first column of a page's tables, where it is in backticks. */
const firstCells = (page) =>
  [...prose(page).matchAll(/^\| ((?:`[^`|]+`,? ?)+)\|/gm)].flatMap(([, cell]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text),
  );
const rust = (folder) =>
  files(".rs")
    .filter((file) => file.startsWith(folder))
    .map(read)
    .join("\n");
const snakeCase = (name) => name.replaceAll(/(?<!^)[A-Z]/g, "_$&").toLowerCase();

test("every variable is in the reference and in wrangler.toml, with its default in the code", () => {
  const page = "docs/reference/configuration.md";
  const code = rust("src/config/");
  const optional = [...code.matchAll(/reader\.(?:text|number)\(\s*"(\w+)",\s*(?:"([^"]*)"|(\w+)),/g)];
  const required = [...code.matchAll(/reader\.required\(\s*"(\w+)"/g)].map(([, name]) => name);
  const unset = [...code.matchAll(/reader\.optional\(\s*"(\w+)"/g)].map(([, name]) => name);
  assert.ok(optional.length >= 14 && required.length === 4 && unset.length >= 4);
  const rows = [...read(page).matchAll(/^\| `([A-Z0-9_]+)` \| ([^|]+) \|/gm)];
  const documented = new Map(rows.map(([, name, value]) => [name, value.replaceAll("`", "").trim()]));
  assert.equal(documented.size, rows.length, "a variable is documented twice");
  assert.deepEqual([...documented.keys()].sort(), [...optional.map(([, name]) => name), ...required, ...unset].sort());
  for (const [, name, text, number] of optional) {
    const plain = text ?? number.replaceAll("_", "");
    assert.equal(documented.get(name).replace(/^none$/, ""), plain, name);
    assert.match(read("wrangler.toml"), new RegExp(`^# ${name} = "${plain}"$`, "m"));
  }
  // A secret does not belong in wrangler.toml.
  for (const name of unset) {
    const isSecret = documented.get(name) === "secret";
    assert.equal(new RegExp(`^# ${name} = ""$`, "m").test(read("wrangler.toml")), !isSecret, name);
  }
});

test("the six variables in the README have their defaults", () => {
  const rows = (page) => [...read(page).matchAll(/^\| `([A-Z0-9_]+)` \| ([^|]+) \|/gm)];
  const reference = new Map(rows("docs/reference/configuration.md").map(([, name, value]) => [name, value]));
  const shown = rows("README.md");
  assert.equal(shown.length, 6);
  for (const [, name, value] of shown) assert.equal(value, reference.get(name), name);
});

test("the table in docs/api.md lists exactly the routes", () => {
  const documented = firstCells("docs/api.md").filter((text) => /^[A-Z]+ \//.test(text));
  assert.deepEqual(
    documented.sort(),
    ENDPOINTS.map(({ method, pattern }) => `${method} ${pattern.replace("{*", "{")}`).sort(),
  );
});

test("every error is in docs/api.md, with its status", () => {
  const code = read("src/routes/error.rs").replace(/^#\[cfg\(test\)\].*/ms, "");
  const rows = [...prose("docs/api.md").matchAll(/^\| ([\d, ]+) \| ((?:`\w+`,? ?)+)\|/gm)];
  const documented = new Map();
  for (const [, statuses, codes] of rows)
    for (const [, name] of codes.matchAll(/`(\w+)`/g)) documented.set(name, statuses.trim().split(", "));
  assert.ok(documented.size > 25);
  for (const [, status, name] of code.matchAll(/\b(\d{3}),\s*"([a-z_0-9]+)"/g)) {
    // This error is not documented, because the client has disconnected.
    if (name !== "client_left") assert.ok(documented.get(name)?.includes(status), `${status} ${name}`);
  }
  for (const name of documented.keys()) assert.ok(code.includes(`"${name}"`), name);
});

test("every log event is in its reference, with its level", () => {
  const code = read("src/log.rs");
  const body = code.slice(code.indexOf("pub enum Event"), code.indexOf("\nimpl Event"));
  const events = [...body.matchAll(/^ {4}([A-Z]\w+) \{/gm)].map(([, name]) => snakeCase(name));
  assert.ok(events.length > 20);
  const rows = [...prose("docs/reference/log-events.md").matchAll(/^\| `(\w+)` \| (\w+) \|/gm)];
  assert.deepEqual(rows.map(([, name]) => name).sort(), events.sort());

  const levels = code.slice(code.indexOf("fn level("), code.indexOf("_ => Level::Info"));
  const level = new Map();
  for (const [, names, of] of levels.matchAll(/((?:\|?\s*Self::\w+ \{ \.\. \}\s*)+)=> Level::(\w+)/g))
    for (const [, name] of names.matchAll(/Self::(\w+)/g)) level.set(snakeCase(name), of.toLowerCase());
  assert.ok(level.size > 5);
  for (const [, name, documented] of rows) assert.equal(documented, level.get(name) ?? "info", name);
});

test("every audit event and every reason is in its reference", () => {
  const names = [...read("crates/core/src/account/audit.rs").matchAll(/Self::\w+ => "(\w+)"/g)].map(([, name]) => name);
  assert.ok(names.length >= 13);
  const documented = firstCells("docs/reference/audit-events.md");
  for (const name of names) assert.ok(documented.includes(name), name);
  const schema = read("schema.sql");
  for (const name of documented) assert.ok(names.includes(name) || schema.includes(name), name);
});

test("every table of the schema is in the storage reference", () => {
  const tables = [...read("schema.sql").matchAll(/^CREATE TABLE (\w+)/gm)].map(([, name]) => name);
  const section = prose("docs/reference/storage.md").split("### ")[0];
  const documented = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(documented.sort(), tables.sort());
});

test("every link on every page leads to an existing file and heading", () => {
  const anchors = new Map();
  const anchorsOf = (page) => {
    if (!anchors.has(page)) anchors.set(page, headings(page));
    return anchors.get(page);
  };
  let links = 0;
  for (const page of pages) {
    for (const [, target] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split("#");
      const linked = file === "" ? page : join(dirname(page), file);
      assert.ok(existsSync(path(linked)), `${page}: ${target}`);
      if (anchor !== undefined) assert.ok(anchorsOf(linked).has(anchor), `${page}: ${target}`);
      links += 1;
    }
  }
  assert.ok(links > 200);
});

/** The anchors of a page's headings, as GitHub generates them. */
function headings(page) {
  const found = new Set();
  for (const [, heading] of prose(page).matchAll(/^#+ (.*)$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = text.replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let count = 1; found.has(unique); count += 1) unique = `${anchor}-${count}`;
    found.add(unique);
  }
  return found;
}

test("every file that a page or a comment names exists", () => {
  const folders = "src|crates|tests|scripts|bench|examples|docs";
  let named = 0;
  for (const page of pages) {
    const text = read(page);
    const paths = [
      ...text.matchAll(new RegExp(`\`((?:${folders})/[\\w/.-]+)\``, "g")),
      // The list of files in docs/architecture.md.
      ...text.matchAll(new RegExp(`^((?:${folders})/[\\w/.-]*|schema\\.sql) {2,}`, "gm")),
    ];
    for (const [, file] of paths) assert.ok(existsSync(path(file)), `${page}: ${file}`);
    named += paths.length;
  }
  assert.ok(named > 50);
  for (const file of files(".rs", ".mjs", ".sql", ".toml", ".py")) {
    for (const [page] of read(file).matchAll(/\bdocs\/[\w/-]+\.md/g))
      assert.ok(existsSync(path(page)), `${file}: ${page}`);
  }
});

test("every page is in the index of the README", () => {
  const readme = read("README.md");
  const listed = readdirSync(path("docs"), { recursive: true }).filter((name) => name.endsWith(".md"));
  assert.ok(listed.length >= 20);
  for (const name of listed) assert.ok(readme.includes(`](docs/${name})`), name);
  assert.ok(readme.split("\n").length <= 231, "the README has at most 230 lines");
});

test("the reference of the command line has every command as it is", async () => {
  const page = read(COMMAND_PAGE);
  assert.ok((await withCommands(page)) === page, "run `npm run generate`");
  assert.equal([...page.matchAll(/^### /gm)].length, Object.keys(COMMANDS).length);
});

test("every command on the pages exists", () => {
  const { scripts } = JSON.parse(read("package.json"));
  for (const page of pages) {
    for (const [, command] of read(page).matchAll(/npm run (?:--silent )?([a-z]+)/g))
      assert.ok(command in scripts, `${page}: ${command}`);
  }
});
