// `npm run bench -- --scale`: runs every operation on a database of 1,000 users and 5,000 sessions and on one of
// 1,000,000 and 5,000,000, alternately in two workerd processes; then cleanup, which deletes a fifth of all sessions.
// Fails unless rows and round trips are equal in both and every step of cleanup is within its limit. Latency is only
// reported.
//
//   --quick   20,000 users and 100,000 sessions
//
// The databases are in .wrangler/scale, the results in bench/results/scale.json; Git ignores both.

import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { unstable_getMiniflareWorkerOptions as workerOptions } from "wrangler";
import { makeResourceServer, makeSecrets } from "../packages/portcullis/src/secrets.mjs";
import { capture, fail, heading, path, read, seconds, wrangler } from "../scripts/lib.mjs";
import { COUNTED, costTables } from "./cost.mjs";
import { ADMINS, addressOf, PASSWORD, populate, sizes, usernameOf } from "./population.mjs";
import { summary } from "./statistics.mjs";

// Miniflare as used by wrangler, because wrangler's test API has no option for the folder of the state.
const { Miniflare, convertV4MiniflareOptions } = createRequire(
  createRequire(import.meta.url).resolve("wrangler/package.json"),
)("miniflare");

const SMALL = { users: 1_000, sessions: 5_000 };
const LARGE = { users: 1_000_000, sessions: 5_000_000 };
const QUICK = { users: 20_000, sessions: 100_000 };
/** Bytes per session of a filled database, including the write-ahead log of cleanup. */
const BYTES_PER_SESSION = 1_200;

/** Repetitions of an operation, fewer if it computes a hash, which is slow; and warm-up repetitions before them. */
const ROUNDS = { cheap: 25, hashing: 9, warmUp: 2 };

const FOLDER = path(".wrangler", "scale");
const RESULTS = path("bench", "results", "scale.json");

/** Runs all measurements and prints them. The exit code is 1 if a check fails. */
export async function scale({ quick }) {
  const started = Date.now();
  const large = quick ? QUICK : LARGE;
  checkSpace(large.sessions * BYTES_PER_SESSION);
  const secrets = makeSecrets();
  const introspector = makeResourceServer("scale", "https://api.example.org");
  const sites = [];
  try {
    heading("filling");
    for (const [name, size] of Object.entries({ small: SMALL, large })) sites.push(await fill(name, size));
    heading("every operation");
    for (const site of sites) await site.start({ ...secrets, RESOURCE_SERVERS: JSON.stringify([introspector.entry]) });
    const operations = await compare(sites, introspector);
    console.log(operationsTable(operations, sites));
    await sites[0].stop();
    heading("concurrent refreshes");
    const rate = await refreshRate(sites[1]);
    console.log(
      `${count(rate.perSecond)} per second by ${rate.clients} concurrent clients with ${count(sites[1].rows.sessions)} sessions; client, Worker and D1 on this machine`,
    );
    heading("cleanup");
    const cleaned = await cleanUpAll(sites[1]);
    await sites[1].stop();
    heading("database files");
    const statement = rotations(sites[1].file);
    for (const { name, rows, bytes } of sites) console.log(`${name}: ${bytesText(rows, bytes)}`);
    console.log(
      `the statement of a refresh takes ${statement.median.toFixed(0)} us (${statement.low.toFixed(0)}-${statement.high.toFixed(0)}) in SQLite alone, on random sessions`,
    );
    const result = {
      made: new Date().toISOString(),
      machine: machine(),
      sites: sites.map(({ rows, bytes }) => ({ rows, bytes })),
      operations,
      rate,
      statement,
      cleaned,
    };
    mkdirSync(path("bench", "results"), { recursive: true });
    writeFileSync(RESULTS, `${JSON.stringify(result, null, 2)}\n`);
    heading("cost per month");
    console.log(costTables());
    const unequal = operations.filter(({ equal }) => !equal).map(({ name }) => name);
    if (unequal.length > 0) console.log(`\nnot equal in both: ${unequal.join(", ")}`);
    const miscounted = Object.keys(COUNTED).filter((name) => !isAsCounted(operations, name));
    if (miscounted.length > 0) console.log(`\ndifferent from bench/cost.mjs: ${miscounted.join(", ")}`);
    if (!cleaned.bounded)
      console.log("\na step of cleanup exceeded its limit, or some rows that were due are not deleted");
    console.log(`\nresults: bench/results/scale.json (${seconds(started)})`);
    const passed = unequal.length === 0 && miscounted.length === 0 && cleaned.bounded;
    if (!passed) process.exitCode = 1;
  } finally {
    for (const site of sites) await site.stop();
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

function checkSpace(needed) {
  mkdirSync(FOLDER, { recursive: true });
  const { bavail, bsize } = statfsSync(FOLDER);
  const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  console.log(`needs about ${gigabytes(needed)} in .wrangler/scale; ${gigabytes(bavail * bsize)} are free`);
  if (bavail * bsize < needed) fail("not enough disk space");
}

function machine() {
  const { version } = JSON.parse(read("node_modules/workerd/package.json"));
  return `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} cores; workerd ${version}, Node ${process.versions.node}`;
}

// ---- the two Workers ----

/** Creates a database with the schema and test data, for a Worker that is started later. */
async function fill(name, { users, sessions }) {
  const started = Date.now();
  const folder = join(FOLDER, name);
  rmSync(folder, { recursive: true, force: true });
  const { code, stdout, stderr } = await wrangler(
    ["d1", "migrations", "apply", "DB", "--local", "--persist-to", folder],
    capture,
  );
  if (code !== 0) fail(`the migrations failed:\n${stdout}${stderr}`);
  const files = join(folder, "v3", "d1", "miniflare-D1DatabaseObject");
  const [file] = readdirSync(files).filter((entry) => /^[0-9a-f]{64}\.sqlite$/.test(entry));
  let reported = 0;
  const rows = populate(join(files, file), {
    users,
    sessions,
    progress(done, all) {
      if (done < all && Date.now() - reported < 2000) return;
      reported = Date.now();
      const line = `${name}: ${count(done)} of ${count(all)} rows, ${seconds(started)}, ${process.memoryUsage().rss >> 20} MiB`;
      process.stdout.write(process.stdout.isTTY ? `\r${line}${done < all ? "" : "\n"}` : `${line}\n`);
    },
  });
  return new Site({ name, folder, file: join(files, file), rows, bytes: sizes(join(files, file)) });
}

class Site {
  constructor(parts) {
    Object.assign(this, parts, { lines: new Map(), cleaned: [] });
  }

  async start(bindings) {
    const { workerOptions: options } = workerOptions(path("wrangler.toml"));
    // Only the files of this build: dist/ also contains those of earlier builds.
    const modules = [
      "index.js",
      ...[...read("dist/index.js").matchAll(/ from "\.\/([\w-]+\.wasm)"/g)].map(([, name]) => name),
    ];
    this.runtime = new Miniflare(
      convertV4MiniflareOptions({
        ...options,
        rootPath: path("dist"),
        modulesRoot: path("dist"),
        modules: modules.map((name) => ({
          type: name.endsWith(".js") ? "ESModule" : "CompiledWasm",
          path: path("dist", name),
        })),
        bindings: {
          ...options.bindings,
          ISSUER: "http://127.0.0.1:8787",
          AUDIENCE: "https://api.example.org",
          LOG: "costs",
          ...bindings,
        },
        resourcePersistencePath: join(this.folder, "v3"),
        host: "127.0.0.1",
        port: 0,
        unsafeTriggerHandlers: true,
        handleStructuredLogs: ({ message }) => this.hear(message),
      }),
    );
    this.url = await this.runtime.ready;
    this.db = await this.runtime.getD1Database("DB");
  }

  async stop() {
    await this.runtime?.dispose();
    this.runtime = undefined;
  }

  /** Runs the scheduled event; returns its log line and its costs. */
  async cleanUp() {
    const before = this.cleaned.length;
    const { status } = await fetch(new URL("/cdn-cgi/local/scheduled?cron=17+*+*+*+*", this.url));
    if (status !== 200) fail(`the scheduled event failed with ${status}`);
    for (let tries = 0; tries < 200 && this.cleaned.length === before; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const line = this.cleaned[before] ?? fail("cleanup did not log its result");
    const [trips, read, written] = await this.costOf({ id: line.request_id });
    return { ...line, trips, read, written };
  }

  hear(message) {
    if (!message.startsWith("{")) return;
    const line = JSON.parse(message);
    // Excludes the costs of work after the response.
    if (line.event === "costs" && !["Marks", "Evictions"].includes(line.route)) this.lines.set(line.request_id, line);
    else if (line.event === "cleaned_up") this.cleaned.push(line);
    else if (line.level === "error") console.error(message);
  }

  /** Sends a request; returns the response and the duration in ms. */
  async send(method, target, { json, form, bearer, headers = {} } = {}) {
    const sent = { "User-Agent": "portcullis-bench", ...headers };
    if (json !== undefined) sent["Content-Type"] = "application/json";
    if (bearer !== undefined) sent.Authorization = `Bearer ${bearer}`;
    const body = form === undefined ? json && JSON.stringify(json) : new URLSearchParams(form);
    const started = performance.now();
    const response = await fetch(new URL(target, this.url), { method, headers: sent, body });
    const text = await response.text();
    const took = performance.now() - started;
    return { status: response.status, took, id: response.headers.get("X-Request-Id"), body: text && JSON.parse(text) };
  }

  /** The costs of a request, from the Worker's log line, which may arrive after the response. */
  async costOf({ id }) {
    for (let tries = 0; tries < 200 && !this.lines.has(id); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const line = this.lines.get(id) ?? fail(`the log has no costs for request ${id}`);
    this.lines.delete(id);
    return COSTS.map((name) => line[name]);
  }

  /** Registers a user with one session and a number of others. */
  async newUser(others = 0) {
    this.users = (this.users ?? 0) + 1;
    const email = `new.person.${this.users}@example.org`;
    const { status, body } = await this.send("POST", "/register", { json: { email, password: PASSWORD } });
    if (status !== 201) fail(`${email} could not register: ${JSON.stringify(body)}`);
    const user = { ...body, email, others: [] };
    for (let session = 0; session < others; session += 1) user.others.push(await this.session(email));
    return user;
  }

  /** Begins a session of an existing user. */
  async session(email) {
    const { status, body } = await this.send("POST", "/login", { json: { email, password: PASSWORD } });
    return status === 200 ? body : fail(`${email} could not log in: ${JSON.stringify(body)}`);
  }
}

const COSTS = ["d1_round_trips", "d1_rows_read", "d1_rows_written", "kv_gets", "kv_puts"];

// ---- every operation ----

/**
 * The operations to compare. `act` sends the measured request. Its argument is the result of `prepare`, which runs
 * before every repetition, or of `once`, which runs once. `hashes` is true if one of them computes an Argon2 hash.
 */
function operations({ entry, secret }) {
  const credential = { Authorization: `Basic ${Buffer.from(`${entry.id}:${secret}`).toString("base64")}` };
  const json = (method, target, make) => (site, context) => site.send(method, target, { json: make(context, site) });
  const asCaller =
    (method, target, options = {}) =>
    (site, { access_token }) =>
      site.send(method, target, { ...options, bearer: access_token });
  const asAdmin = (method, target, make) => (site, user) =>
    site.send(method, target(user), { bearer: site.admin.access_token, json: make?.(user) });
  const introspect = (token) => (site, user) =>
    site.send("POST", "/introspect", { headers: credential, form: { token: user[token] } });
  const account = ({ user }) => `/users/${user.id}`;
  let names = 0;
  const newUser = (username) => () => ({
    email: `new.${++names}@example.org`,
    password: PASSWORD,
    ...(username ? { username: `new-${names}` } : {}),
  });
  const sameUser = { once: (site) => site.newUser() };
  const freshUser = (others) => ({ prepare: (site) => site.newUser(others), hashes: true });
  const rotated = async (site, user) =>
    (user.live = (
      await site.send("POST", "/refresh", { json: { refresh_token: user.live ?? user.refresh_token } })
    ).body.refresh_token);
  return [
    { name: "register", act: json("POST", "/register", newUser(false)), hashes: true },
    { name: "register with a username", act: json("POST", "/register", newUser(true)), hashes: true },
    {
      name: "register a taken address",
      act: json("POST", "/register", () => ({ email: addressOf(7), password: PASSWORD })),
    },
    { name: "login", act: json("POST", "/login", () => ({ email: addressOf(8), password: PASSWORD })), hashes: true },
    {
      name: "login by username",
      act: json("POST", "/login", () => ({ username: usernameOf(9), password: PASSWORD })),
      hashes: true,
    },
    {
      name: "login, wrong password",
      act: json("POST", "/login", () => ({ email: addressOf(10), password: "wrong" })),
      hashes: true,
    },
    {
      name: "login, unknown user",
      act: json("POST", "/login", () => ({ email: "nobody@example.org", password: "wrong" })),
      hashes: true,
    },
    { name: "refresh", ...sameUser, act: refreshLive },
    {
      name: "refresh with the access token",
      ...sameUser,
      act: (site, user) => refreshLive(site, user, { access_token: user.access_token }),
    },
    {
      name: "grace retry",
      once: async (site) => {
        const user = await site.newUser();
        await rotated(site, user);
        return user;
      },
      act: json("POST", "/refresh", ({ refresh_token }) => ({ refresh_token })),
    },
    {
      name: "reuse",
      prepare: async (site) => {
        const user = await site.newUser();
        await rotated(site, user);
        await rotated(site, user);
        return user;
      },
      act: json("POST", "/refresh", ({ refresh_token }) => ({ refresh_token })),
      hashes: true,
    },
    {
      name: "forged refresh token",
      ...sameUser,
      act: json("POST", "/refresh", ({ refresh_token }) => ({
        refresh_token: `${refresh_token.slice(0, -1)}${refresh_token.endsWith("A") ? "Q" : "A"}`,
      })),
    },
    { name: "token", ...sameUser, act: (site, user) => refreshLive(site, user, {}, "/token") },
    {
      name: "revoke",
      ...freshUser(0),
      act: (site, { refresh_token }) => site.send("POST", "/revoke", { form: { token: refresh_token } }),
    },
    {
      name: "revoke by access token",
      ...freshUser(0),
      act: (site, { access_token }) => site.send("POST", "/revoke", { form: { token: access_token } }),
    },
    { name: "introspect, access token", ...sameUser, act: introspect("access_token") },
    { name: "introspect, refresh token", ...sameUser, act: introspect("refresh_token") },
    { name: "verify", ...sameUser, act: asCaller("GET", "/verify") },
    { name: "me", ...sameUser, act: asCaller("GET", "/me") },
    {
      name: "change the name",
      ...sameUser,
      act: asCaller("PATCH", "/me", { json: { name: "Ada" } }),
      prepare: async (site, user) => {
        await site.send("PATCH", "/me", { bearer: user.access_token, json: { name: "Somebody else" } });
        return user;
      },
    },
    {
      name: "change the username",
      ...sameUser,
      act: (site, { access_token }) =>
        site.send("PATCH", "/me", { bearer: access_token, json: { username: `changed-${++names}` } }),
    },
    {
      name: "change the password, 2 other sessions",
      ...freshUser(2),
      act: asCaller("POST", "/me/password", {
        json: { current_password: PASSWORD, new_password: "purple otters juggle lanterns" },
      }),
    },
    {
      name: "delete the account, 3 sessions",
      ...freshUser(2),
      act: asCaller("DELETE", "/me"),
    },
    { name: "own audit trail", once: (site) => site.newUser(4), act: asCaller("GET", "/me/events") },
    { name: "list 5 sessions", once: (site) => site.newUser(4), act: asCaller("GET", "/sessions") },
    {
      name: "end one session",
      ...freshUser(1),
      act: (site, { access_token, others }) =>
        site.send("DELETE", `/sessions/${others[0].session_id}`, { bearer: access_token }),
    },
    { name: "end 2 other sessions", ...freshUser(2), act: asCaller("DELETE", "/sessions?except=current") },
    { name: "log out everywhere, 3 sessions", ...freshUser(2), act: asCaller("DELETE", "/sessions") },
    { name: "users, first page", act: asAdmin("GET", () => "/users") },
    {
      name: "users, a page in the middle",
      once: async (site) =>
        (await site.send("GET", "/users?email=katherine", { bearer: site.admin.access_token })).body,
      act: asAdmin("GET", ({ next_cursor }) => `/users?limit=100&cursor=${encodeURIComponent(next_cursor)}`),
    },
    { name: "users by the beginning of an address", act: asAdmin("GET", () => "/users?email=grace.") },
    { name: "user", ...sameUser, act: asAdmin("GET", account) },
    {
      name: "audit trail of a user",
      once: (site) => site.newUser(4),
      act: asAdmin("GET", (user) => `${account(user)}/events`),
    },
    {
      name: "change roles",
      ...sameUser,
      prepare: async (_site, user) => {
        user.roles = user.roles?.length === 0 ? ["user"] : [];
        return user;
      },
      act: asAdmin("PATCH", account, ({ roles }) => ({ roles })),
    },
    { name: "disable a user, 2 sessions", ...freshUser(1), act: asAdmin("PATCH", account, () => ({ disabled: true })) },
    {
      name: "end a user's 2 sessions",
      ...freshUser(1),
      act: asAdmin("DELETE", (user) => `${account(user)}/sessions`),
    },
    { name: "delete a user, 2 sessions", ...freshUser(1), act: asAdmin("DELETE", account) },
    { name: "health", act: (site) => site.send("GET", "/healthz") },
  ];
}

async function refreshLive(site, user, more = {}, target = "/refresh") {
  const parameters = { refresh_token: user.live ?? user.refresh_token, ...more };
  const sent = target === "/token" ? { form: { grant_type: "refresh_token", ...parameters } } : { json: parameters };
  const answer = await site.send("POST", target, sent);
  if (answer.status !== 200) fail(`a refresh was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  user.live = answer.body.refresh_token;
  return answer;
}

/** Runs every operation on both sites alternately and compares the costs. */
async function compare(sites, introspector) {
  for (const site of sites) site.admin = await site.session(addressOf(ADMINS - 1));
  const compared = [];
  for (const operation of operations(introspector)) {
    const runs = sites.map(() => ({ costs: [], took: [], statuses: new Set() }));
    const kept = [];
    for (const site of sites) kept.push(await operation.once?.(site));
    const rounds = operation.hashes ? ROUNDS.hashing : ROUNDS.cheap;
    for (let round = -ROUNDS.warmUp; round < rounds; round += 1) {
      // The databases take turns as the first one, so that the order affects both equally.
      for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const site = sites[index];
        const context = operation.prepare ? await operation.prepare(site, kept[index]) : kept[index];
        const answer = await operation.act(site, context);
        const cost = await site.costOf(answer);
        runs[index].statuses.add(answer.status);
        if (round < 0) continue;
        runs[index].costs.push(cost);
        runs[index].took.push(answer.took);
      }
    }
    compared.push(comparison(operation.name, runs));
  }
  return compared;
}

/** Compares the costs. Ignores a single deviation, because an hourly counter inserts a row when a new hour begins. */
function comparison(name, runs) {
  const [small, large] = runs.map(({ costs, took, statuses }) => {
    const texts = costs.map((cost) => cost.join(" "));
    const usual = [...new Set(texts)].sort((one, other) => times(texts, other) - times(texts, one))[0];
    const constant = times(texts, usual) >= texts.length - 1;
    return {
      status: [...statuses].join(" "),
      ...Object.fromEntries(COSTS.map((cost, index) => [cost, Number(usual.split(" ")[index])])),
      constant,
      ms: summary(took),
    };
  });
  const equal =
    small.constant &&
    large.constant &&
    small.status === large.status &&
    COSTS.every((cost) => small[cost] === large[cost]);
  const noise = Math.max(...[small, large].map(({ ms }) => ms.high - ms.low));
  return {
    name,
    equal,
    ratio: large.ms.median / small.ms.median,
    withinNoise: large.ms.median - small.ms.median <= noise,
    small,
    large,
  };
}

function isAsCounted(compared, name) {
  const found = compared.find((operation) => operation.name === name);
  return found !== undefined && COSTS.every((cost, index) => found.large[cost] === COUNTED[name][index]);
}

const times = (texts, text) => texts.filter((other) => other === text).length;

function operationsTable(compared, sites) {
  const [small, large] = sites.map(({ rows }) => count(rows.users));
  const ms = ({ median, low, high }) => `${median.toFixed(1)} (${low.toFixed(1)}-${high.toFixed(1)})`;
  const costs = (run) => COSTS.map((name) => run[name]).join("/");
  const lines = compared.map(({ name, equal, ratio, withinNoise, small, large }) => [
    ...[name, costs(small), equal ? "same" : costs(large), ms(small.ms), ms(large.ms), ratio.toFixed(2)],
    withinNoise ? "yes" : "no",
  ]);
  return table([
    [
      "operation",
      `trips/read/written/gets/puts, ${small}`,
      large,
      `ms, ${small}`,
      `ms, ${large}`,
      "ratio",
      "within noise",
    ],
    ...lines,
  ]);
}

/** The number of refreshes per second by several clients that refresh as fast as possible. */
async function refreshRate(site, clients = 16, duration = 5_000) {
  const users = [];
  for (let client = 0; client < clients; client += 1) users.push(await site.newUser());
  const end = performance.now() + duration;
  let answered = 0;
  const refreshAll = async (user) => {
    for (; performance.now() < end; answered += 1) await refreshLive(site, user);
  };
  await Promise.all(users.map(refreshAll));
  return { clients, perSecond: Math.round(answered / (duration / 1000)) };
}

// ---- the file ----

/** The time of the statement of a refresh in SQLite without D1, in microseconds, each in a transaction. */
function rotations(file) {
  const sqlite = new DatabaseSync(file);
  try {
    // The cache is at most as large as D1's.
    sqlite.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -64000");
    const now = Math.floor(Date.now() / 1000);
    const live =
      "SELECT session_id, secret_hash, generation FROM refresh_tokens WHERE session_id > ? AND revoked_at IS NULL AND expires_at > ? LIMIT 1";
    const sampled = Array.from({ length: 2_000 }, () =>
      sqlite.prepare(live).get(randomBytes(16).toString("base64url"), now),
    ).filter(Boolean);
    const rotate = sqlite.prepare(read("src/store/sql/sessions/rotate.sql"));
    const took = sampled.map(({ session_id, secret_hash, generation }) => {
      const started = performance.now();
      sqlite.exec("BEGIN");
      const client = ["192.0.2.1", "portcullis-bench"];
      rotate.all(session_id, secret_hash, generation, now, 30, 604_800, ...client, 900, null, "body", 86_400, 0, 0);
      sqlite.exec("COMMIT");
      return (performance.now() - started) * 1000;
    });
    return summary(took);
  } finally {
    sqlite.close();
  }
}

/** Bytes per row, including index entries. */
function bytesText({ users, sessions, events }, { total, parts }) {
  const bytesOf = (names) =>
    Object.entries(parts)
      .filter(([name]) => names.some((own) => name.startsWith(own)))
      .reduce((sum, [, bytes]) => sum + bytes, 0);
  const each = [
    bytesOf(["users"]) / users,
    bytesOf(["refresh_tokens"]) / sessions,
    bytesOf(["audit_events"]) / events,
  ].map(Math.round);
  return `${(total / 1e6).toFixed(0)} MB; ${each[0]} bytes per user, ${each[1]} per session, ${each[2]} per event`;
}

// ---- the cleanup ----

const ADVANCE = read("src/store/sql/cleanup/advance.sql");
const DELETE_SESSIONS = read("src/store/sql/cleanup/delete_sessions.sql");
const [STEP, MAX_STATEMENTS, MAX_EVENT_STEPS] = ["STEP", "MAX_STATEMENTS", "MAX_EVENT_STEPS"].map(constantOfCleanup);
/** A step through the trail is one statement, a step through the sessions two; each step is one round trip. */
const MAX_TRIPS = MAX_EVENT_STEPS + (MAX_STATEMENTS - MAX_EVENT_STEPS) / 2;
const KEPT = 90 * 86_400;

function constantOfCleanup(name) {
  const [, digits] = read("src/store/cleanup.rs").match(new RegExp(`^const ${name}: \\w+ = ([\\d_]+);`, "m"));
  return Number(digits.replaceAll("_", ""));
}

/** Runs cleanup until a walk is complete, while a user refreshes continuously. */
async function cleanUpAll(site) {
  const user = await site.newUser();
  const due = await dueRows(site);
  const refreshes = { alone: [], during: [] };
  const refresh = async (into) => into.push((await refreshLive(site, user)).took);
  for (let times = 0; times < 200; times += 1) await refresh(refreshes.alone);
  const steps = await someSteps(site);
  const runs = [];
  let memory = 0;
  const watch = setInterval(async () => (memory = Math.max(memory, await residentMemory())), 500);
  try {
    for (let complete = false; !complete && runs.length < 100; ) {
      const started = performance.now();
      let running = true;
      const run = site.cleanUp().finally(() => (running = false));
      while (running) await refresh(refreshes.during);
      const { sessions, events, trips, read, written, ...line } = await run;
      complete = line.complete;
      runs.push({ seconds: (performance.now() - started) / 1000, sessions, events, trips, read, written, complete });
      const did = `${count(sessions)} sessions and ${count(events)} events in ${trips} round trips and ${runs.at(-1).seconds.toFixed(1)} s`;
      console.log(
        `run ${runs.length}: ${did}, ${count(read)} rows read, ${count(written)} written${complete ? ", complete" : ""}`,
      );
    }
  } finally {
    clearInterval(watch);
  }
  const left = await dueRows(site);
  const total = (name) => runs.reduce((sum, run) => sum + run[name], 0);
  const result = {
    due,
    left,
    runs,
    walkedRowsPerSecond: site.rows.sessions / total("seconds"),
    deletedRowsPerSecond: total("sessions") / total("seconds"),
    steps,
    refreshMs: {
      alone: summary(refreshes.alone),
      during: { ...summary(refreshes.during), longest: Math.max(...refreshes.during), count: refreshes.during.length },
    },
    memoryMiB: memory,
    bounded: left.sessions === 0 && steps.largest.rows <= STEP && runs.every(({ trips }) => trips <= MAX_TRIPS),
  };
  const { alone, during } = result.refreshMs;
  console.log(
    table([
      ["due", `${count(due.sessions)} sessions, ${count(due.events)} events`],
      ["left", `${count(left.sessions)} sessions, ${count(left.events)} events`],
      ["runs", String(runs.length)],
      [
        "walked",
        `${count(Math.round(result.walkedRowsPerSecond))} rows per second, of which ${count(Math.round(result.deletedRowsPerSecond))} deleted`,
      ],
      [
        "largest step, counted by D1",
        `${steps.largest.rows} rows deleted; ${steps.largest.read} read, ${steps.largest.written} written`,
      ],
      [
        "a step",
        `${steps.ms.median.toFixed(1)} ms (${steps.ms.low.toFixed(1)}-${steps.ms.high.toFixed(1)}), longest ${steps.longest.toFixed(1)}`,
      ],
      ["a refresh before cleanup", `${alone.median.toFixed(1)} ms (${alone.low.toFixed(1)}-${alone.high.toFixed(1)})`],
      [
        "a refresh during cleanup",
        `${during.median.toFixed(1)} ms (${during.low.toFixed(1)}-${during.high.toFixed(1)}), longest ${during.longest.toFixed(1)}, of ${during.count}`,
      ],
      ["maximum memory of workerd", `${memory} MiB`],
    ]),
  );
  return result;
}

/** The number of rows that cleanup should delete now. */
async function dueRows({ db }) {
  const now = Math.floor(Date.now() / 1000);
  const sessions = db
    .prepare("SELECT COUNT(*) AS count FROM refresh_tokens WHERE COALESCE(revoked_at, expires_at) < ?")
    .bind(now - KEPT);
  const events = db.prepare("SELECT COUNT(*) AS count FROM audit_events WHERE at < ?").bind(now - KEPT - 3600);
  const answers = await db.batch([sessions, events]);
  const [
    {
      results: [one],
    },
    {
      results: [other],
    },
  ] = answers;
  return { sessions: one.count, events: other.count };
}

/** Runs the first steps of a walk with the Worker's statements and reads D1's counts for each. */
async function someSteps({ db }) {
  const took = [];
  const largest = { rows: 0, read: 0, written: 0 };
  for (let step = 0; step < 20; step += 1) {
    const now = Math.floor(Date.now() / 1000);
    const started = performance.now();
    const metas = (
      await db.batch([db.prepare(ADVANCE).bind(STEP, now), db.prepare(DELETE_SESSIONS).bind(now - KEPT)])
    ).map(({ meta }) => meta);
    took.push(performance.now() - started);
    largest.rows = Math.max(largest.rows, metas[1].changes);
    largest.read = Math.max(largest.read, metas[0].rows_read + metas[1].rows_read);
    largest.written = Math.max(largest.written, metas[0].rows_written + metas[1].rows_written);
  }
  return { largest, ms: summary(took), longest: Math.max(...took) };
}

/** Memory of the child workerd processes, in MiB. */
async function residentMemory() {
  // `ps` may be missing.
  const { stdout } = await capture("ps", ["-A", "-o", "ppid=,rss=,comm="]).catch(() => ({ stdout: "" }));
  const own = stdout
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([parent, , name]) => Number(parent) === process.pid && name.includes("workerd"));
  return Math.round(own.reduce((sum, [, kibibytes]) => sum + Number(kibibytes), 0) / 1024);
}

// ---- text ----

const count = (number) => number.toLocaleString("en");

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
