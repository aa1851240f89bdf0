// The npm package `portcullis` as its users get it: packed, in an empty folder, on a machine with Node and npm alone. npm loads what
// the package depends on from the registry, unless it is in its cache.

import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { parseEnv } from "node:util";

import { COMMANDS } from "../../packages/portcullis/src/commands.mjs";
import { buildRules } from "../../scripts/build.mjs";
import { capture, env as environment, path, read, readToml } from "../../scripts/lib.mjs";
import { packCommand, sums, template } from "../../scripts/release.mjs";
import { PASSWORD } from "../support/harness.mjs";
import { STAND_IN } from "../support/project.mjs";
import { freePort, serve } from "../support/served.mjs";

const INSTALLED = "node_modules/portcullis";
const SECRETS = ["DATA_SECRETS", "SIGNING_KEYS", "TOKEN_SECRET"];

let folder, app, archive, env, made;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  app = join(folder, "app");
  env = await userEnv();
  const [profile] = read("build/.dist-inputs").split("\n");
  await buildRules("rules");
  archive = await packCommand(folder, { worker: profile, rules: "rules" });
  // Here npx installs no program of the platform: `init` needs none. The project that it makes gets them all.
  const less = ["--omit=optional", "--ignore-scripts", "--prefer-offline"];
  const init = "unset npm_config_omit npm_config_ignore_scripts npm_config_prefer_offline; portcullis init app --json";
  made = await run(folder, "npx", ...less, "--package", archive, "-c", init);
  assert.equal(made.code, 0, made.stderr);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The environment of a user with Node and npm alone. npm has a home of its own, with the downloads that this machine has cached. */
async function userEnv() {
  const programs = join(folder, "programs");
  const cache = join(folder, "cache");
  for (const name of [programs, cache, join(folder, "home")]) mkdirSync(name);
  const onPath = (name) =>
    environment.PATH.split(delimiter)
      .map((dir) => join(dir, name))
      .find(existsSync);
  symlinkSync(process.execPath, join(programs, "node"));
  for (const name of ["npm", "npx", "sh"]) symlinkSync(realpathSync(onPath(name)), join(programs, name));
  const { stdout } = await capture("npm", ["config", "get", "cache", "registry"]);
  const config = parseEnv(stdout);
  if (existsSync(join(config.cache, "_cacache"))) symlinkSync(join(config.cache, "_cacache"), join(cache, "_cacache"));
  // What connects this machine with the registry, and the JavaScript that it has compiled.
  const network = Object.entries(environment).filter(([name]) =>
    /proxy|cert|^npm_config_(.*registry|ca|cafile|strict_ssl|fetch_.*)$|^NODE_COMPILE_CACHE$/i.test(name),
  );
  return {
    ...Object.fromEntries(network),
    HOME: join(folder, "home"),
    PATH: programs,
    npm_config_cache: cache,
    npm_config_registry: config.registry,
    npm_config_update_notifier: "false",
  };
}

/** Runs a program as that user. */
const run = (cwd, command, ...args) => capture(join(env.PATH, command), args, { cwd, env });
/** Runs a command in the project, and returns its output. */
async function portcullis(...args) {
  const { code, stdout, stderr } = await run(app, "node", `${INSTALLED}/src/cli.mjs`, ...args);
  assert.equal(code, 0, stdout + stderr);
  return { stdout, stderr };
}
/** The result of a command with --json. */
const json = async (...args) => JSON.parse((await portcullis(...args, "--json")).stdout);
/** A module of the package in the project. */
const installed = (name) => import(pathToFileURL(join(app, INSTALLED, "src", name)).href);

/** Runs `act` while a stand-in replaces the wrangler of the project, which takes two seconds to start. */
async function withStandIn(act) {
  const wrangler = join(app, "node_modules", "wrangler", "bin", "wrangler.js");
  const original = readFileSync(wrangler);
  const state = ["--persist-to", join(app, ".wrangler", "state")];
  writeFileSync(wrangler, `process.argv.push(...${JSON.stringify(state)}); import(${JSON.stringify(STAND_IN)});\n`);
  try {
    return await act();
  } finally {
    writeFileSync(wrangler, original);
  }
}

test("init makes a project with this version of the package, and with no program but Node and npm", {
  timeout: 600_000,
}, () => {
  assert.deepEqual(readdirSync(env.PATH), ["node", "npm", "npx", "sh"]);
  const { folder: where, files } = JSON.parse(made.stdout);
  assert.equal(realpathSync(where), realpathSync(app));
  const { version } = JSON.parse(read("package.json"));
  const named = `portcullis-${version}.tgz`;
  const expected = [
    ".gitignore",
    "README.md",
    "node_modules",
    "package-lock.json",
    "package.json",
    named,
    "wrangler.toml",
  ];
  assert.deepEqual(files.sort(), expected);
  const { scripts, dependencies } = JSON.parse(readFileSync(join(app, "package.json"), "utf8"));
  assert.deepEqual(
    Object.keys(scripts),
    Object.keys(COMMANDS).filter((name) => name !== "init"),
  );
  assert.deepEqual(dependencies, { portcullis: `file:${named}` });
});

test("the package has the version and the dependencies of the repository", () => {
  const root = JSON.parse(read("package.json"));
  const { version, dependencies, engines } = JSON.parse(read("packages/portcullis/package.json"));
  assert.deepEqual([version, engines], [root.version, root.engines]);
  for (const [name, wanted] of Object.entries(dependencies)) assert.equal(wanted, root.devDependencies[name], name);
  const { node } = root.devDependencies;
  assert.ok(read("packages/portcullis/src/commands/init.mjs").includes(`OWN_NODE = "${node}"`));
  const { engines: wrangler } = JSON.parse(read("node_modules/wrangler/package.json"));
  assert.equal(wrangler.node, ">=22.12.0");
});

test("the configuration of a project is that of the repository, but for the paths and the build", () => {
  const text = readFileSync(join(app, "wrangler.toml"), "utf8");
  assert.equal(text, template(read("wrangler.toml")));
  assert.doesNotMatch(text, /npm run/);
  const { build, ...expected } = readToml("wrangler.toml");
  expected.main = `${INSTALLED}/dist/worker/index.js`;
  expected.assets.directory = `${INSTALLED}/dist/assets`;
  expected.d1_databases[0].migrations_dir = `${INSTALLED}/dist/migrations`;
  assert.deepEqual({ ...readToml(relative(path("."), join(app, "wrangler.toml"))) }, expected);
  assert.throws(() => template("name = 'other'"), /wrangler.toml has nothing like/);
});

test("the commands of the package work on a database of its own", { timeout: 600_000 }, async (t) => {
  const port = await freePort();
  env.PORT = String(port);
  const url = `http://localhost:${port}`;
  const post = (route, body) =>
    fetch(url + route, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const dev = await serve(url, join(env.PATH, "npx"), ["portcullis", "dev", "--json"], { cwd: app, env });
  try {
    await t.test("dev serves the Worker and its pages, and keeps its secrets in the project", async () => {
      assert.equal((await fetch(`${url}/account`)).status, 200);
      assert.equal((await fetch(`${url}/openapi.json`)).status, 200);
      const email = "ada@example.org";
      assert.equal((await post("/register", { email, password: PASSWORD })).status, 201);
      assert.equal((await post("/login", { email, password: PASSWORD })).status, 200);
      assert.match(dev.output(), new RegExp(`^\\{"url":"${url}","account_pages":"${url}/account",.*\\}$`, "m"));
      const secrets = parseEnv(readFileSync(join(app, ".dev.vars"), "utf8"));
      assert.deepEqual(Object.keys(secrets).sort(), SECRETS);
    });

    await t.test("grant changes the account, with the wrangler on which the package depends", async () => {
      const { stdout } = await portcullis("grant", "ada@example.org", "admin");
      assert.match(stdout, /has the role admin \(roles: user, admin\)/);
    });

    const quick = (name, act) => t.test(name, () => withStandIn(act));
    await quick("grant, user and reset change the account", async () => {
      const revoked = await json("grant", "ada@example.org", "admin", "--revoke", "--force");
      assert.deepEqual([revoked.email, revoked.roles], ["ada@example.org", ["user"]]);
      const { link } = await json("user", "add", "grace@example.org", "--name", "Grace", "--role", "admin");
      assert.ok(link.startsWith(`${url}/account/confirm#token=`), link);
      const grace = await json("user", "show", "grace@example.org");
      assert.deepEqual([grace.name, grace.roles, grace.id.length], ["Grace", ["admin"], 22]);
      assert.ok(grace.events.some(({ kind }) => kind === "password_reset_started"));
      assert.match((await portcullis("reset", "ada@example.org")).stdout, /\nIt is for npx portcullis dev at http:/);
      const reset = await json("reset", "ada@example.org");
      assert.ok(reset.link.startsWith(`${url}/account/confirm#token=`), reset.link);
    });

    await quick("an export can be imported into another database, whose users keep their passwords", async () => {
      const { stdout, stderr } = await portcullis("export");
      assert.match(stderr, /^exported 2 users$/m);
      const file = join(app, "users.ndjson");
      writeFileSync(file, stdout);
      const emails = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).email);
      assert.deepEqual(emails.sort(), ["ada@example.org", "grace@example.org"]);

      writeFileSync(file, stdout.replaceAll(/"id":"[^"]*",/g, "").replaceAll("@example.org", "@example.com"));
      const totals = await json("import", file, "--allow-admins");
      assert.deepEqual(totals, { users: 2, admins: 1, without_password: 1, weak: {} });
      const login = await post("/login", { email: "ada@example.com", password: PASSWORD });
      assert.equal(login.status, 200, await login.text());
    });
  } finally {
    await dev.stop();
  }
});

test("keygen prints secrets for a file, or as JSON", async () => {
  const { stdout } = await portcullis("keygen");
  assert.deepEqual(Object.keys(parseEnv(stdout)).sort(), SECRETS);
  assert.deepEqual(Object.keys(await json("keygen")).sort(), SECRETS);
  const { secret, entry } = await json("keygen", "--resource-server", "orders-api", "https://orders.example.com");
  assert.deepEqual([secret.length, entry.id, entry.audience], [43, "orders-api", "https://orders.example.com"]);
  writeFileSync(join(app, "secrets.env"), stdout);
  const { alg, signs_from } = await json("keygen", "--rotate", "--file", "secrets.env");
  assert.ok(alg === "ES256" && signs_from > Date.now() / 1000);
  assert.match((await json("keygen", "--rotate", "--data", "--file", "secrets.env")).added, /^[\w-]{10}$/);
});

test("deploy --dry-run checks the Worker and its configuration", { timeout: 240_000 }, async () => {
  const { deployed, problem } = await json("deploy", "--dry-run");
  assert.deepEqual([deployed, /^set ISSUER in wrangler.toml/.test(problem)], [false, true]);
});

test("a command that cannot run says why, with its exit code", { timeout: 120_000 }, async () => {
  const program = join(app, INSTALLED, "src", "cli.mjs");
  const refused = async (where, args, code, why) => {
    const ended = await run(where, "node", program, ...args);
    assert.deepEqual([ended.code, ended.stdout], [code, ""], ended.stderr);
    assert.match(ended.stderr, why);
  };
  await refused(app, ["serve"], 2, /^\nerror: unknown command serve\nusage: portcullis COMMAND \[--help\]\n$/);
  await refused(
    app,
    ["grant", "ada@example.org"],
    2,
    /expected 2 arguments, found 1\nusage: npx portcullis grant EMAIL ROLE/,
  );
  await refused(app, ["init"], 1, /is not an empty folder, and nothing is overwritten/);
  await withStandIn(() =>
    refused(app, ["reset", "nobody@example.org", "--json"], 1, /no account has the address nobody@example.org/),
  );
  for (const [name, ...args] of [["dev"], ["deploy"], ["export"], ["keygen", "--dev"], ["reset", "ada@example.org"]])
    await refused(folder, [name, ...args], 1, /there is no wrangler.toml in .*npx portcullis init/);
});

test("the command lists its commands, and each describes itself", async () => {
  const { stdout: all } = await portcullis("--help");
  const { usageOf } = await installed("command.mjs");
  const { COMMANDS: packed } = await installed("commands.mjs");
  for (const name of Object.keys(COMMANDS)) {
    assert.match(all, new RegExp(`^ {2}${name} {2,}[A-Z].*\\.$`, "m"));
    const usage = usageOf(name, await packed[name]());
    assert.match(usage, new RegExp(`^npx portcullis ${name}\\b`));
    assert.doesNotMatch(usage, /npm run/);
    // The program prints the same of each.
    if (name === "dev") assert.equal((await portcullis(name, "--help")).stdout, `usage: ${usage}\n`);
  }
  assert.equal((await portcullis("--version")).stdout, `${JSON.parse(read("package.json")).version}\n`);
});

test("the checksums of a release are those of its archives", async () => {
  writeFileSync(join(folder, "a.txt"), "abc");
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(sums([join(folder, "a.txt")]), `${abc}  a.txt\n`);
});
