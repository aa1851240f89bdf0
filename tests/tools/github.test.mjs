// The workflows, templates and settings for GitHub: the parser of GitHub accepts the workflows, and what they name exists. They were
// not run, because that needs a repository on GitHub.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";

import { build } from "esbuild";
import { parse } from "yaml";

import { path, read, readToml } from "../../scripts/lib.mjs";

const WORKFLOWS = readdirSync(path(".github", "workflows")).map((name) => `.github/workflows/${name}`);
const listed = (...patterns) =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", ...patterns], { cwd: path(".") })
    .toString()
    .split("\n")
    .filter((name) => name !== "" && existsSync(path(name)));
const workflows = WORKFLOWS.map((name) => ({ name, ...parse(read(name)) }));
const jobs = workflows.flatMap((workflow) =>
  Object.entries(workflow.jobs).map(([id, job]) => ({ at: `${workflow.name} ${id}`, workflow, ...job })),
);
const steps = jobs.flatMap(({ at, steps = [] }) => steps.map((step) => ({ at, ...step })));

/** GitHub's own parser of workflows. It is bundled, because it imports JSON in a way that Node refuses. */
async function parser() {
  const [entry] = import.meta.resolve("@actions/workflow-parser").split("file://").slice(1);
  const options = { bundle: true, format: "esm", platform: "browser", write: false };
  const { outputFiles } = await build({ entryPoints: [entry], ...options });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

test("the parser of GitHub accepts every workflow", async () => {
  const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await parser();
  assert.ok(WORKFLOWS.length >= 3);
  for (const name of WORKFLOWS) {
    const { context, value } = parseWorkflow({ name, content: read(name) }, new NoOperationTraceWriter());
    // Also checks that the jobs that others need exist.
    const { errors = [] } = await convertWorkflowTemplate(context, value);
    assert.deepEqual(errors, [], name);
  }
});

test("every action is pinned by its commit, with its version beside it", () => {
  const uses = WORKFLOWS.flatMap((name) => [...read(name).matchAll(/\buses: (.*)$/gm)].map(([, action]) => action));
  assert.ok(uses.length > 8);
  for (const action of uses)
    assert.match(action, /^(actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\.\/\.github\/workflows\/\w+\.yml)$/);
  for (const action of uses.filter((action) => action.startsWith("./"))) assert.ok(existsSync(path(action)), action);
  const versions = new Map(uses.map((action) => [action.split("@")[0], action]));
  assert.equal(new Set(uses).size, versions.size, "one version of each action");
});

test("a workflow may only read, and a job that may write runs no code of the repository", () => {
  for (const { name, permissions } of workflows) assert.deepEqual(permissions, { contents: "read" }, name);
  const writers = jobs.filter(({ permissions = {} }) => Object.values(permissions).includes("write"));
  assert.equal(writers.length, 2);
  for (const { at, steps } of writers) {
    assert.ok(!steps.some(({ uses }) => uses?.startsWith("actions/checkout@")), at);
    for (const { run = "" } of steps) assert.doesNotMatch(run, /\b(npm|npx|node|cargo)\b/, at);
  }
  for (const { at, uses, with: settings } of steps)
    if (uses?.startsWith("actions/checkout@")) assert.equal(settings["persist-credentials"], false, at);
});

test("every job ends by itself, and no command has an expression, whose value could be a command", () => {
  for (const { at, uses, "timeout-minutes": minutes } of jobs) assert.ok(uses !== undefined || minutes <= 60, at);
  for (const { at, run = "" } of steps) assert.doesNotMatch(run, /\$\{\{/, at);
});

test("every npm command exists and is documented", () => {
  const { scripts } = JSON.parse(read("package.json"));
  const commands = steps.flatMap(({ run = "" }) =>
    [...run.matchAll(/\bnpm (?:run )?(?!ci\b)([a-z]+)/g)].map(([, name]) => name),
  );
  assert.deepEqual([...new Set(commands)].sort(), ["deny", "release", "sbom", "test"]);
  for (const name of commands) {
    assert.ok(name in scripts, name);
    assert.match(read("CONTRIBUTING.md"), new RegExp(`^\\| \`npm (run )?${name}\\b`, "m"));
  }
});

test("all parts have the version that a tag must name", () => {
  const { version } = JSON.parse(read("package.json"));
  const packages = listed("packages/*/package.json").map((name) => JSON.parse(read(name)).version);
  const crates = listed("Cargo.toml").map((name) => readToml(name).package.version);
  assert.ok(packages.length >= 2 && crates.length === 1);
  assert.deepEqual(new Set([...packages, ...crates]), new Set([version]));
});

test("Dependabot looks into every folder with a lock file", () => {
  const { version, updates } = parse(read(".github/dependabot.yml"));
  assert.equal(version, 2);
  const folders = (name) =>
    listed(`*${name}`)
      .map((file) => `/${dirname(file)}`.replace("/.", "/"))
      .sort();
  const watched = new Map(updates.map((update) => [update["package-ecosystem"], update]));
  assert.equal(watched.size, updates.length);
  assert.deepEqual(watched.get("cargo").directories, folders("Cargo.lock"));
  assert.deepEqual(watched.get("npm").directories, folders("package-lock.json"));
  for (const [name, { schedule, groups }] of watched) {
    assert.ok(["weekly", "monthly"].includes(schedule.interval), name);
    if (name !== "rust-toolchain") assert.deepEqual(Object.values(groups), [{ patterns: ["*"] }], name);
  }
  assert.deepEqual([...watched.keys()], ["cargo", "npm", "github-actions", "rust-toolchain"]);
});

test("the forms for issues have what GitHub requires, and lead to the security policy", () => {
  const names = readdirSync(path(".github", "ISSUE_TEMPLATE"));
  assert.deepEqual(names.sort(), ["bug.yml", "config.yml", "feature.yml"]);
  const { blank_issues_enabled, contact_links } = parse(read(".github/ISSUE_TEMPLATE/config.yml"));
  assert.equal(blank_issues_enabled, false);
  for (const { name, url, about } of contact_links) {
    assert.ok(name && about);
    assert.match(url, /^https:\/\/github\.com\/.*\/security\/policy$/);
  }
  assert.ok(existsSync(path("SECURITY.md")));
  for (const form of ["bug", "feature"]) {
    const { name, description, body } = parse(read(`.github/ISSUE_TEMPLATE/${form}.yml`));
    assert.ok(name && description, form);
    const ids = body.map(({ id }) => id).filter(Boolean);
    assert.equal(new Set(ids).size, ids.length, form);
    for (const { type, id, attributes, validations } of body) {
      assert.ok(["markdown", "textarea", "input"].includes(type), type);
      if (type === "markdown") assert.match(attributes.value, /SECURITY\.md/);
      else assert.ok(/^[a-z]+$/.test(id) && attributes.label, form);
      assert.ok(validations === undefined || typeof validations.required === "boolean");
    }
  }
  // Every path in the template of pull requests.
  for (const [, file] of read(".github/PULL_REQUEST_TEMPLATE.md").matchAll(/`(\w+\.md)`/g))
    assert.ok(existsSync(path(file)), file);
});
