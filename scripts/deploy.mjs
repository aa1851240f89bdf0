// `npm run deploy`: the first deployment and every later one. `npm run deploy -- --dry-run` does what needs no account.
//
// The order keeps one promise: no code serves before what it needs is there.
//   1. The storage: the D1 database with its migrations, and the KV namespace. The code of the last deployment is still
//      running then, so a migration has to suit that too.
//   2. The secrets that are missing. For a Worker that does not exist yet, wrangler first makes an empty one without
//      an address to hold them; that way they pass through stdin, where a first deployment that brings its secrets
//      along would need them in a file.
//   3. The code.
// Each step finds what an earlier or interrupted deployment has done, and goes on from there.

import { writeFileSync } from "node:fs";

import { build, wranglerBuild } from "./build.mjs";
import {
  capture,
  checkFlags,
  fail,
  heading,
  isLoopback,
  path,
  read,
  readToml,
  run,
  runIfStarted,
  variable,
  wrangler,
} from "./lib.mjs";
import { makeSecrets, putRemoteSecrets, remoteSecrets } from "./secrets.mjs";
import { npmPackages, setup } from "./setup.mjs";

const usage = `npm run deploy -- [--dry-run]

Makes the database, the KV namespace and the secrets that are missing at Cloudflare, applies the migrations, deploys the code.
  --dry-run    does what needs no account: builds, and starts the Worker here with the variables of wrangler.toml`;

const { options: release } = wranglerBuild("release");

async function main(args) {
  checkFlags(args, ["--dry-run"], usage);
  const dryRun = args.includes("--dry-run");
  await npmPackages();
  const problem = addressProblem();
  if (problem && !dryRun) fail(problem);
  await setup();
  await build("release");
  await run("node", ["scripts/check-config.mjs"]);
  if (dryRun) {
    await wrangler(["deploy", "--dry-run"], run, release);
    if (problem) console.log(`\nnote: a real deployment would have stopped at this:\n${problem}`);
    return;
  }
  await checkAccount();

  heading("storage");
  const { name, d1_databases, kv_namespaces } = readToml("wrangler.toml");
  if (!bound(kv_namespaces, "REVOCATIONS").id) await createNamespace(`${name}-revocations`);
  const database = bound(d1_databases, "DB");
  if (!database.database_id) await createDatabase(database);
  await wrangler(["d1", "migrations", "apply", "DB", "--remote"]);
  heading("secrets");
  await addMissingSecrets();
  heading("code");
  await wrangler(["deploy"], run, release);
}

// Tokens name these addresses, and whoever checks a token compares them: wrong ones are worse than no deployment.
function addressProblem() {
  const issuer = variable("ISSUER") ?? "";
  if (!/^https:\/\//.test(issuer) || isLoopback(issuer)) {
    return `set ISSUER in wrangler.toml to the https address this Worker will be reached at (it is "${issuer}")`;
  }
  const audience = variable("AUDIENCE") ?? "";
  if (audience === "" || isLoopback(audience)) {
    return `set AUDIENCE in wrangler.toml to whom the access tokens are for, such as your API's address (it is "${audience}")`;
  }
}

const bound = (storage = [], name) =>
  storage.find(({ binding }) => binding === name) ?? fail(`wrangler.toml has no binding ${name}`);

async function checkAccount() {
  const { code, stdout, stderr } = await wrangler(["whoami", "--json"], capture);
  if (code === 0) return;
  if (!stdout.includes('"loggedIn":false')) fail(`could not ask Cloudflare who you are:\n${stdout}${stderr}`);
  fail(
    "not logged in to Cloudflare. Log in with `npx wrangler login`, or set CLOUDFLARE_API_TOKEN " +
      "(and CLOUDFLARE_ACCOUNT_ID, if you have several accounts).",
  );
}

// Wrangler would create it along with the code, but cannot find it again if the code is then refused.
async function createNamespace(title) {
  const find = async () => (await ask(["kv", "namespace", "list"])).find((namespace) => namespace.title === title)?.id;
  let id = await find();
  if (!id) {
    await check(["kv", "namespace", "create", title]);
    console.log(`created the KV namespace ${title}`);
    id = (await find()) ?? fail(`the KV namespace ${title} was created, but is not listed yet: try again in a minute`);
  }
  writeFileSync(path("wrangler.toml"), read("wrangler.toml").replace(/^binding = "REVOCATIONS"$/m, `$&\nid = "${id}"`));
  console.log("wrote the KV namespace's id to wrangler.toml: it is no secret, and belongs in your repository");
}

// A database is found by its name, so wrangler.toml needs no id of it.
async function createDatabase({ database_name: name, jurisdiction }) {
  if ((await ask(["d1", "list", "--json"])).some((database) => database.name === name)) return;
  // It cannot be moved later, so what wrangler.toml says about where to keep it counts here.
  await check(["d1", "create", name, ...(jurisdiction ? ["--jurisdiction", jurisdiction] : [])]);
  console.log(`created the D1 database ${name}`);
}

async function addMissingSecrets() {
  const existing = await remoteSecrets();
  const missing = Object.entries(makeSecrets()).filter(([name]) => !existing.includes(name));
  if (missing.length > 0) await putRemoteSecrets(Object.fromEntries(missing));
  else console.log("the Worker has its secrets already");
}

const ask = async (args) => JSON.parse(await check(args));

// Its output only matters when it fails: that of `create` advises to edit wrangler.toml, which is not needed.
async function check(args) {
  const { code, stdout, stderr } = await wrangler(args, capture);
  return code === 0 ? stdout : fail(`\`wrangler ${args.join(" ")}\` failed:\n${stdout}${stderr}`);
}

runIfStarted(import.meta.url, main, usage);
