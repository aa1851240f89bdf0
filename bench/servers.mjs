// Starts the Workers to compare, each in its own workerd process, whose CPU time can be measured, with its own D1 and
// KV in a temporary folder. Requests go directly to the Worker's socket, because Miniflare's entry Worker would add to
// every number.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_readConfig as readConfig, unstable_splitSqlQuery as splitSqlQuery } from "wrangler";
import { makeSecrets } from "../packages/portcullis/src/secrets.mjs";
import { path, read } from "../scripts/lib.mjs";

const deployed = readConfig({ config: path("wrangler.toml") });
/** The rate limiters as deployed, with limits that no benchmark reaches. */
const unlimited = Object.fromEntries(
  deployed.ratelimits.map(({ name }) => [name, { namespace_id: name, simple: { limit: 1_000_000_000, period: 60 } }]),
);
const CLIENT = {
  "CF-Connecting-IP": "192.0.2.1",
  "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
};
const folder = mkdtempSync(join(tmpdir(), "portcullis-bench-"));
// Also if the benchmark fails.
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/**
 * Portcullis as deployed: the bundle that wrangler uploads, the variables of wrangler.toml, the schema. `hear` gets each line of
 * its log. `folder` is that of another bundle.
 */
export async function portcullis({ vars = {}, hear, folder: modulesRoot = path("dist") } = {}) {
  const modules = readdirSync(modulesRoot)
    .filter((name) => /\.(js|wasm)$/.test(name))
    .sort((a, b) => Number(b.endsWith(".js")) - Number(a.endsWith(".js")))
    .map((name) => ({ type: name.endsWith(".js") ? "ESModule" : "CompiledWasm", path: join(modulesRoot, name) }));
  const server = await start({
    modules,
    modulesRoot,
    bindings: { ...deployed.vars, ...makeSecrets(), ...vars },
    ratelimits: unlimited,
    hear,
  });
  await applySchema(server);
  return server;
}

/** Starts a Worker of bench/workers. `wasm` lists the WebAssembly modules that it imports, as `{ name, contents }`. */
export async function peer(name, { bindings = {}, schema = false, wasm = [] } = {}) {
  const modulesRoot = path("bench", "workers");
  const main = { type: "ESModule", path: join(modulesRoot, `${name}.mjs`), contents: await bundled(name) };
  const modules = [
    main,
    ...wasm.map(({ name, contents }) => ({ type: "CompiledWasm", path: join(modulesRoot, name), contents })),
  ];
  const server = await start({ modules, modulesRoot, bindings, ratelimits: unlimited });
  if (schema) await applySchema(server);
  return server;
}

// Bundles a Worker like wrangler.
const bundles = new Map();
async function bundled(name) {
  if (!bundles.has(name)) {
    const { outputFiles } = await build({
      entryPoints: [path("bench", "workers", `${name}.mjs`)],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2024",
      conditions: ["workerd", "worker", "browser"],
      external: ["node:*", "cloudflare:*", "*.wasm"],
      logLevel: "error",
    });
    bundles.set(name, outputFiles[0].text);
  }
  return bundles.get(name);
}

// Workers are started sequentially, so that the new child process belongs to the new Worker.
async function start({ hear, ...worker }) {
  const before = children();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...worker,
      name: "compared",
      compatibilityDate: deployed.compatibility_date,
      compatibilityFlags: deployed.compatibility_flags,
      d1Databases: { DB: "db" },
      kvNamespaces: { REVOCATIONS: "kv" },
      resourcePersistencePath: mkdtempSync(join(folder, "d1-")),
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      // Only errors are printed.
      handleStructuredLogs: ({ level, message }) => {
        hear?.(message);
        if (level === "error") console.error(message);
      },
      cf: false,
      telemetry: { enabled: false },
    }),
  );
  const url = await miniflare.unsafeGetDirectURL("compared");
  const started = children().filter((pid) => !before.includes(pid));
  return new Server({ miniflare, url, pid: started.length === 1 ? started[0] : undefined });
}

class Server {
  constructor(parts) {
    Object.assign(this, parts);
    // One persistent connection, so that the Worker is measured, not TCP.
    this.agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }

  /** Sends a request. Resolves to the status, headers and text of the complete response. */
  request(method, pathname, { json, bearer, headers = {} } = {}) {
    const body = json === undefined ? undefined : JSON.stringify(json);
    const sent = { ...CLIENT, ...headers };
    if (body !== undefined)
      Object.assign(sent, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
    if (bearer !== undefined) sent.Authorization = `Bearer ${bearer}`;
    const { agent, url } = this;
    return new Promise((resolve, reject) => {
      const options = { agent, host: url.hostname, port: url.port, method, path: pathname, headers: sent };
      const request = httpRequest(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        response
          .on("error", reject)
          .on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      request.on("error", reject).end(body);
    });
  }

  /** Sends a request, fails unless the response has this status, and resolves to its JSON. */
  async expect(status, method, pathname, options) {
    const answer = await this.request(method, pathname, options);
    if (answer.status !== status)
      throw new Error(`${method} ${pathname}: ${answer.status} instead of ${status}: ${answer.text}`);
    return answer.text === "" ? undefined : JSON.parse(answer.text);
  }

  /** The CPU time of this Worker's process until now, in milliseconds; undefined if the system does not report it. */
  cpu() {
    return this.pid === undefined ? undefined : cpuOf(this.pid);
  }

  database() {
    return this.miniflare.getD1Database("DB");
  }

  async close() {
    this.agent.destroy();
    await this.miniflare.dispose();
  }
}

async function applySchema(server) {
  const database = await server.database();
  for (const name of readdirSync(path("migrations")).sort()) {
    await database.batch(splitSqlQuery(read(`migrations/${name}`)).map((statement) => database.prepare(statement)));
  }
}

/** The CPU time of a process in milliseconds, from the scheduler's nanosecond count; Linux only. */
export function cpuOf(pid) {
  try {
    const nanoseconds = readdirSync(`/proc/${pid}/task`).map((task) =>
      Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]),
    );
    return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e6;
  } catch {
    return undefined;
  }
}

// The child processes of this process; an empty list without /proc.
function children() {
  try {
    const tasks = readdirSync("/proc/self/task");
    return tasks.flatMap((task) =>
      readFileSync(`/proc/self/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}
