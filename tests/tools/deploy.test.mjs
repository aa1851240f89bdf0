// `portcullis deploy` in a project, with a stand-in for wrangler and the Cloudflare account. check-config.test.mjs tests the check of the
// configuration.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";

import { path } from "../../scripts/lib.mjs";
import { Account } from "../support/account.mjs";
import { Project } from "../support/project.mjs";

const SECRETS = ["SIGNING_KEYS", "TOKEN_SECRET", "DATA_SECRETS"];
const MIGRATIONS = readdirSync(path("migrations")).sort();
/** What changes something in the account. */
const CHANGES = /^(kv namespace create|d1 create|d1 migrations apply|secret bulk|deploy)\b/;

let project, toml;
before(() => {
  project = new Project();
  project.set({ ISSUER: "https://auth.example.com", AUDIENCE: "https://api.example.com" });
  toml = project.read("wrangler.toml");
});
after(() => project.remove());
beforeEach((context) => {
  project.write("wrangler.toml", toml);
  project.account = Account.make(project.path("accounts", context.name.replaceAll(/\W+/g, "-")));
});

const changes = () => project.account.takeCalls().filter((call) => CHANGES.test(call) && !call.includes("--dry-run"));
/** What a dry run would do. */
async function plan() {
  const { code, stdout, stderr } = await project.run("deploy", "--dry-run", "--json");
  assert.equal(code, 0, stderr);
  const { deployed, problem, plan } = JSON.parse(stdout);
  assert.equal(deployed, false);
  return { problem, plan };
}

test("a first deployment creates what the code needs before the code, and a later one changes only the code", async () => {
  const first = await project.run("deploy", "--json");
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual(JSON.parse(first.stdout), { deployed: true, url: "https://auth.example.com" });
  assert.deepEqual(changes(), [
    "kv namespace create portcullis-revocations",
    "d1 create portcullis",
    "d1 migrations apply DB --remote",
    "secret bulk",
    "deploy",
  ]);
  assert.deepEqual(Object.keys(project.account.state.secrets), SECRETS);
  assert.match(project.read("wrangler.toml"), /^binding = "REVOCATIONS"\nid = "id-of-portcullis-revocations"$/m);

  const { secrets } = project.account.state;
  const second = await project.run("deploy");
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, /the Worker already has its secrets/);
  assert.deepEqual(changes(), ["d1 migrations apply DB --remote", "deploy"]);
  assert.deepEqual(project.account.state.secrets, secrets);
});

test("a migration that fails stops the deployment before the secrets and the code", async () => {
  project.account.change({ failing: { "d1 migrations apply": "Migration 0005 failed with the following errors" } });
  const { code, stderr } = await project.run("deploy");
  assert.equal(code, 1);
  assert.match(stderr, /Migration 0005 failed[\s\S]*error: `.*d1 migrations apply DB --remote` failed/);
  assert.equal(changes().at(-1), "d1 migrations apply DB --remote");
  const { secrets, deployments } = project.account.state;
  assert.deepEqual([secrets, deployments], [{}, []]);
});

test("a secret that only the operator can set stops the deployment before the code", async () => {
  project.set({ MAIL: "http", MAIL_FROM: "auth@example.com", MAIL_URL: "https://api.example.net/emails" });
  const { code, stderr } = await project.run("deploy");
  assert.equal(code, 1);
  assert.match(stderr, /need more secrets\. .*\n {2}npx wrangler secret put MAIL_KEY {4}# for MAIL = "http"/);
  assert.equal(changes().at(-1), "secret bulk");
});

test("a dry run says what a deployment would do, and changes nothing", async () => {
  const state = project.account.state;
  const all = {
    account: true,
    namespace: "portcullis-revocations",
    database: "portcullis",
    migrations: MIGRATIONS,
    secrets: SECRETS,
    unset: [],
  };
  assert.deepEqual(await plan(), { problem: null, plan: all });
  assert.deepEqual([changes(), project.account.state, project.read("wrangler.toml")], [[], state, toml]);

  // A deployment of an older version, without the secret of the mails.
  project.account.change({
    namespaces: [{ id: "1", title: "portcullis-revocations" }],
    databases: [{ name: "portcullis" }],
    secrets: { SIGNING_KEYS: "", TOKEN_SECRET: "" },
  });
  project.account.migrate(path("migrations"), MIGRATIONS.slice(0, 3));
  project.set({ MAIL: "webhook", MAIL_WEBHOOK_URL: "https://example.com/mails" });
  const { stdout } = await project.run("deploy", "--dry-run");
  const [, shown] = stdout.split("== what a deployment would do\n");
  assert.deepEqual(shown.trim().split("\n"), [
    `1. apply the migrations ${MIGRATIONS.slice(3).join(", ")}`,
    "2. create the secrets DATA_SECRETS",
    "3. stop, because you have to set MAIL_WEBHOOK_SECRET first",
  ]);
  assert.deepEqual(changes(), []);
});

test("a dry run after a deployment has only the code left", async () => {
  assert.equal((await project.run("deploy")).code, 0);
  const { plan: left } = await plan();
  assert.deepEqual(left, { account: true, namespace: null, database: null, migrations: [], secrets: [], unset: [] });
});

test("without an account, a dry run says what it cannot know, and a deployment is refused", async () => {
  project.account.change({ loggedIn: false });
  const { stdout } = await project.run("deploy", "--dry-run");
  assert.match(stdout, /^1\. create the KV namespace portcullis-revocations \(unless it exists\)$/m);
  assert.match(stdout, /^4\. create the secrets SIGNING_KEYS, .* \(those that are missing\)$/m);
  assert.match(stdout, /^5\. upload the code, last\n.*not logged in to Cloudflare/m);
  const { code, stderr } = await project.run("deploy");
  assert.equal(code, 1);
  assert.match(stderr, /error: not logged in to Cloudflare/);
  assert.deepEqual(changes(), []);
});

test("a dry run shows an address that a deployment refuses", async () => {
  project.set({ ISSUER: "http://localhost:8787" });
  assert.match((await plan()).problem, /^set ISSUER in wrangler.toml to the https address/);
  assert.match((await project.run("deploy")).stderr, /error: set ISSUER/);
  assert.deepEqual(changes(), []);
});
