// What exists in the Cloudflare account.

import { readdirSync } from "node:fs";

import { fail } from "./failure.mjs";
import { path } from "./place.mjs";
import { capture, wrangler } from "./programs.mjs";

/** Whether wrangler has an account. */
export async function isLoggedIn() {
  const { code, stdout, stderr } = await wrangler(["whoami", "--json"], capture);
  if (code === 0) return true;
  if (!stdout.includes('"loggedIn":false')) fail(`could not determine the Cloudflare account:\n${stdout}${stderr}`);
  return false;
}

/** Fails unless wrangler has an account. */
export async function checkAccount() {
  if (await isLoggedIn()) return;
  fail(
    "not logged in to Cloudflare. Log in with `npx wrangler login`, or set CLOUDFLARE_API_TOKEN " +
      "(and CLOUDFLARE_ACCOUNT_ID, if you have several accounts).",
  );
}

/** Runs wrangler, and shows its output only if it fails: `create` advises to edit wrangler.toml, which is unnecessary. */
export async function check(args) {
  const { code, stdout, stderr } = await wrangler(args, capture);
  return code === 0 ? stdout : fail(`\`wrangler ${args.join(" ")}\` failed:\n${stdout}${stderr}`);
}

/** The answer of wrangler as JSON. */
export const ask = async (args) => JSON.parse(await check(args));

/** The id of the KV namespace with that title. */
export const findNamespace = async (title) =>
  (await ask(["kv", "namespace", "list"])).find((namespace) => namespace.title === title)?.id;

/** Whether there is a D1 database with that name. */
export const hasDatabase = async (name) =>
  (await ask(["d1", "list", "--json"])).some((database) => database.name === name);

/** The names of the migrations of this version, in the order in which wrangler applies them. */
export const migrationsIn = ({ migrations_dir: folder = "migrations" } = {}) =>
  readdirSync(path(folder))
    .filter((name) => name.endsWith(".sql"))
    .sort();

/** The statement that lists the migrations that wrangler has applied. */
export const APPLIED = "SELECT name FROM d1_migrations ORDER BY id";

/** The names of the migrations that are applied. */
export async function appliedMigrations(database) {
  try {
    const [rows] = await database.query(APPLIED);
    return rows.map(({ name }) => name);
  } catch (error) {
    if (isIncomplete(error)) return [];
    throw error;
  }
}

/** Whether a query failed because the database lacks tables or columns. */
export const isIncomplete = ({ message }) => /no such (table|column)|has no tables yet/.test(message);
