// The first and every later deployment. `--dry-run` changes nothing: it checks, and says what a deployment would do.
//
// The code is deployed only after everything that it needs:
//   1. Storage: the D1 database with its migrations, and the KV namespace. The previous code is still running then, so each
//      migration must be compatible with it.
//   2. Missing secrets. If the Worker does not exist yet, wrangler first creates an empty one without an address. So the
//      secrets are passed by stdin; to upload them together with the first code, they would have to be in a file.
//   3. The code.
// Each step detects what an earlier or interrupted deployment has done and continues from there.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import {
  appliedMigrations,
  check,
  checkAccount,
  findNamespace,
  hasDatabase,
  isLoggedIn,
  migrationsIn,
} from "../cloudflare.mjs";
import { flag, json, parse } from "../command.mjs";
import { isLoopback, isPublic, readToml, variable } from "../config.mjs";
import { Database } from "../d1.mjs";
import { fail } from "../failure.mjs";
import { heading, say } from "../output.mjs";
import { packages, path, read, setup, worker } from "../place.mjs";
import { run, wrangler } from "../programs.mjs";
import { makeSecrets, neededSecrets, putRemoteSecrets, REQUIRED_SECRETS, remoteSecrets, SECRETS } from "../secrets.mjs";

export const about =
  "Creates the database, the KV namespace and the secrets that are missing at Cloudflare, applies the migrations, deploys the code.";
export const result =
  '`{"deployed", "url"}`; with `--dry-run` `{"deployed", "problem"}`, where `problem` is why a deployment would be refused, or `null`';
export const forms = ["[--dry-run] [--json]"];
export const options = {
  "dry-run": flag(
    "changes nothing: starts the Worker locally with the variables of wrangler.toml, and says what a deployment would do. Needs no " +
      "account, but says less without one",
  ),
  ...json,
};

const CHECK = fileURLToPath(new URL("../check-config.mjs", import.meta.url));

export async function main(args) {
  const {
    values: { "dry-run": dryRun },
  } = parse(args, options, 0);
  await packages();
  const problem = addressProblem();
  if (problem && !dryRun) fail(problem);
  await setup();
  const { options: built } = await worker("release");
  await run("node", [CHECK]);
  if (dryRun) {
    await wrangler(["deploy", "--dry-run"], run, built);
    const plan = await makePlan();
    heading("what a deployment would do");
    showPlan(plan);
    if (problem) say(`\nnote: a real deployment would have stopped with this error:\n${problem}`);
    return { deployed: false, problem: problem ?? null, plan };
  }
  await checkAccount();

  heading("storage");
  const { namespace, title, database } = storage();
  if (!namespace.id) await createNamespace(title);
  if (!database.database_id) await createDatabase(database);
  await wrangler(["d1", "migrations", "apply", "DB", "--remote"]);
  heading("secrets");
  await addMissingSecrets();
  heading("code");
  await wrangler(["deploy"], run, built);
  return { deployed: true, url: variable("ISSUER") };
}

// Tokens contain these addresses and resource servers compare them, so wrong ones are worse than no deployment.
function addressProblem() {
  const issuer = variable("ISSUER") ?? "";
  if (!isPublic(issuer)) {
    return `set ISSUER in wrangler.toml to the https address this Worker will be reached at (it is "${issuer}")`;
  }
  const audience = variable("AUDIENCE") ?? "";
  if (audience === "" || isLoopback(audience)) {
    return `set AUDIENCE in wrangler.toml to the audience of the access tokens, such as your API's address (it is "${audience}")`;
  }
}

const bound = (storage = [], name) =>
  storage.find(({ binding }) => binding === name) ?? fail(`wrangler.toml has no binding ${name}`);

/** The storage in wrangler.toml. */
function storage() {
  const { name, d1_databases, kv_namespaces } = readToml("wrangler.toml");
  const namespace = bound(kv_namespaces, "REVOCATIONS");
  return { namespace, title: `${name}-revocations`, database: bound(d1_databases, "DB") };
}

/**
 * What a deployment would do, in the order in which it would. Without an account, everything that it needs is in the plan, and
 * `account` is false.
 */
async function makePlan() {
  const { namespace, title, database } = storage();
  const migrations = migrationsIn(database);
  const wanted = {
    namespace: title,
    database: database.database_name,
    migrations,
    secrets: REQUIRED_SECRETS,
    unset: neededSecrets(variable).map(({ secret }) => secret),
  };
  const account = await isLoggedIn();
  if (!account) return { account, ...wanted };
  const [hasNamespace, exists, secrets] = await Promise.all([
    namespace.id !== undefined || findNamespace(title).then((id) => id !== undefined),
    database.database_id !== undefined || hasDatabase(database.database_name),
    remoteSecrets(SECRETS),
  ]);
  const applied = exists ? await appliedMigrations(new Database({ remote: true })) : [];
  const isMissing = (name) => !secrets.includes(name);
  return {
    account,
    namespace: hasNamespace ? null : title,
    database: exists ? null : database.database_name,
    migrations: migrations.filter((name) => !applied.includes(name)),
    secrets: REQUIRED_SECRETS.filter(isMissing),
    unset: wanted.unset.filter(isMissing),
  };
}

function showPlan({ account, namespace, database, migrations, secrets, unset }) {
  const missing = account ? "" : " (unless it exists)";
  const list = (names) => names.join(", ");
  const steps = [
    namespace && `create the KV namespace ${namespace}${missing}`,
    database && `create the D1 database ${database}${missing}`,
    migrations.length > 0 &&
      `apply the migrations ${list(migrations)}${account ? "" : " (those that are not applied)"}`,
    secrets.length > 0 && `create the secrets ${list(secrets)}${account ? "" : " (those that are missing)"}`,
    unset.length > 0 && `stop, because you have to set ${list(unset)} first${account ? "" : " (unless it is set)"}`,
    !(account && unset.length > 0) && "upload the code, last",
  ].filter(Boolean);
  for (const [index, step] of steps.entries()) say(`${index + 1}. ${step}`);
  if (!account) say("Nothing is known about what exists, because wrangler is not logged in to Cloudflare.");
}

// Wrangler would create it together with the code, but does not find it again if Cloudflare then rejects the code.
async function createNamespace(title) {
  let id = await findNamespace(title);
  if (!id) {
    await check(["kv", "namespace", "create", title]);
    say(`created the KV namespace ${title}`);
    id =
      (await findNamespace(title)) ??
      fail(`the KV namespace ${title} was created but is not listed yet: try again in a minute`);
  }
  writeFileSync(path("wrangler.toml"), read("wrangler.toml").replace(/^binding = "REVOCATIONS"$/m, `$&\nid = "${id}"`));
  say("wrote the id of the KV namespace to wrangler.toml: it is not secret; commit it to your repository");
}

// Wrangler finds a database by its name, so wrangler.toml needs no id.
async function createDatabase({ database_name: name, jurisdiction }) {
  if (await hasDatabase(name)) return;
  // The jurisdiction in wrangler.toml is set here, because it cannot be changed later.
  await check(["d1", "create", name, ...(jurisdiction ? ["--jurisdiction", jurisdiction] : [])]);
  say(`created the D1 database ${name}`);
}

async function addMissingSecrets() {
  const existing = await remoteSecrets();
  const missing = Object.entries(makeSecrets()).filter(([name]) => !existing.includes(name));
  if (missing.length > 0) await putRemoteSecrets(Object.fromEntries(missing));
  else say("the Worker already has its secrets");
  const needed = neededSecrets(variable);
  const set = needed.length > 0 ? await remoteSecrets(needed.map(({ secret }) => secret)) : [];
  const unset = needed.filter(({ secret }) => !set.includes(secret));
  const lines = unset.map(({ secret, by }) => `  npx wrangler secret put ${secret}    # for ${by}`).join("\n");
  if (unset.length > 0)
    fail(`the variables in wrangler.toml need more secrets. Set them, then deploy again:\n${lines}`);
}
