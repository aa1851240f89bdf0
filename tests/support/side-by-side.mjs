// The release before and this build, in one workerd on one database and one namespace, as a gradual deployment runs them.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliDecompressSync } from "node:zlib";

import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_splitSqlQuery as splitSqlQuery } from "wrangler";
import { makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { RELEASE_BEFORE } from "../../scripts/keep-release.mjs";
import { read, readToml } from "../../scripts/lib.mjs";
import { VARS } from "./harness.mjs";

/** The version, the compatibility date and the migrations of the release before, as scripts/keep-release.mjs kept them. */
export const RELEASE = JSON.parse(read(`${RELEASE_BEFORE}/release.json`));

export const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const isModule = (name) => /\.(js|wasm)$/.test(name);

/** The modules of a build, the script first. */
function modules(folder, files) {
  return Object.entries(files)
    .sort(([a], [b]) => Number(b.endsWith(".js")) - Number(a.endsWith(".js")))
    .map(([name, contents]) => ({
      type: name.endsWith(".js") ? "ESModule" : "CompiledWasm",
      path: join(folder, name),
      contents: name.endsWith(".js") ? contents.toString() : contents,
    }));
}

function builtNow() {
  const names = readdirSync("dist").filter(isModule);
  return modules(resolve("dist"), Object.fromEntries(names.map((name) => [name, readFileSync(join("dist", name))])));
}

function builtBefore() {
  const names = readdirSync(RELEASE_BEFORE).filter((name) => name.endsWith(".br"));
  const files = names.map((name) => [
    name.slice(0, -3),
    brotliDecompressSync(readFileSync(join(RELEASE_BEFORE, name))),
  ]);
  return modules(resolve(RELEASE_BEFORE), Object.fromEntries(files));
}

/** Both Workers with the same configuration: `before` and `now`. The database is empty. `errors`: the lines of that level in their log. */
export async function startBoth(vars = {}) {
  const [lines, errors] = [[], []];
  const bindings = { ...VARS, ...vars, ...makeSecrets() };
  const worker = (name, modules, modulesRoot, compatibilityDate) => ({
    name,
    modules,
    modulesRoot,
    compatibilityDate,
    bindings,
    d1Databases: { DB: "db" },
    kvNamespaces: { REVOCATIONS: "kv" },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers: [
        worker("now", builtNow(), resolve("dist"), readToml("wrangler.toml").compatibility_date),
        worker("before", builtBefore(), resolve(RELEASE_BEFORE), RELEASE.compatibility_date),
      ],
      handleStructuredLogs: ({ level, message }) => (level === "error" ? errors : lines).push(message),
      cf: false,
      telemetry: { enabled: false },
    }),
  );
  const db = await miniflare.getD1Database("DB", "now");
  const [now, before] = await Promise.all(
    ["now", "before"].map(async (name) => new Release(name, await miniflare.unsafeGetDirectURL(name), miniflare)),
  );
  /** Applies migrations by name. */
  const migrate = async (names) => {
    for (const name of names)
      await db.batch(splitSqlQuery(read(`migrations/${name}`)).map((statement) => db.prepare(statement)));
  };
  return { now, before, db, lines, errors, migrate, close: () => miniflare.dispose() };
}

let requests = 0;

/** One of the two Workers. */
class Release {
  constructor(name, url, miniflare) {
    Object.assign(this, { name, url, miniflare });
  }

  async request(method, path, { json, form, bearer, headers } = {}) {
    const body = json === undefined ? form && new URLSearchParams(form).toString() : JSON.stringify(json);
    const response = await fetch(new URL(path, this.url), {
      method,
      body,
      redirect: "manual",
      headers: {
        // The mails that one address may cause are limited.
        "CF-Connecting-IP": `2001:db8:${(requests++).toString(16)}::1`,
        "User-Agent": "tests",
        ...(json !== undefined && { "Content-Type": "application/json" }),
        ...(form !== undefined && { "Content-Type": "application/x-www-form-urlencoded" }),
        ...(bearer !== undefined && { Authorization: `Bearer ${bearer}` }),
        ...headers,
      },
    });
    const text = await response.text();
    const isJson = response.headers.get("Content-Type")?.includes("json");
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  }

  get(path, options) {
    return this.request("GET", path, options);
  }

  post(path, options) {
    return this.request("POST", path, options);
  }

  delete(path, options) {
    return this.request("DELETE", path, options);
  }

  /** Runs the scheduled event of a cron expression. */
  async schedule(cron) {
    const worker = await this.miniflare.getWorker(this.name);
    const { outcome } = await worker.scheduled({ cron });
    return outcome;
  }
}
