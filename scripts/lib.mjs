// Shared by all scripts: the project's paths and environment, running commands, and errors.
// Everything here works on Node 18 and later, because the first run happens before the project's own Node is installed.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { constants, homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const path = (...parts) => join(root, ...parts);
export const read = (name) => readFileSync(path(name), "utf8");
/** Resolves a file argument relative to the folder in which npm was called; npm runs scripts in the project's folder. */
export const namedFile = (name) => resolve(process.env.INIT_CWD ?? ".", name);

const npmBin = path("node_modules", ".bin");
const outerPath = (process.env.PATH ?? "").split(delimiter).filter((dir) => dir && dir !== npmBin);

/** The environment of wrangler: the project's own tools first, no telemetry, no requests for the machine's location. */
const wranglerEnv = {
  ...process.env,
  // rustup installs cargo there, but only new login shells have it in PATH.
  PATH: [npmBin, ...outerPath, join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin")].join(delimiter),
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  // The logs would contain data from the database such as password hashes, readable by other users of the machine.
  WRANGLER_WRITE_LOGS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  ...(process.stdout.isTTY && !process.env.NO_COLOR ? { CARGO_TERM_COLOR: "always", FORCE_COLOR: "1" } : {}),
};

// Credentials of the Cloudflare account, by the current, former and possible future variable names of wrangler.
const isCredential = (name) => /^(CLOUDFLARE_(?!CF_FETCH_ENABLED$)|CF_|WRANGLER_\w*(TOKEN|SECRET))/.test(name);

/**
 * The environment of every other command: the same without Cloudflare credentials, because these commands run third-party
 * code, such as install scripts of npm packages and build scripts and macros of crates.
 */
export const env = Object.fromEntries(Object.entries(wranglerEnv).filter(([name]) => !isCredential(name)));

/** npm must not run on the Node in the folder that it replaces. */
export const envWithoutNpmBin = { ...env, PATH: env.PATH.split(delimiter).slice(1).join(delimiter) };

/** An expected failure. Its message is shown without a stack trace. */
export class Failure extends Error {}

/** @returns {never} */
export function fail(message) {
  throw new Failure(message);
}

/**
 * Runs `main` if the calling file was started as a script, not imported. With --help it prints the usage instead: the forms of
 * the command, an empty line, and their description.
 */
export async function runIfStarted(url, main, usage) {
  if (!process.argv[1] || url !== pathToFileURL(realpathSync(process.argv[1])).href) return;
  const args = process.argv.slice(2);
  if (usage !== undefined && args.some((arg) => arg === "--help" || arg === "-h"))
    return console.log(`usage: ${usage}`);
  try {
    await main(args);
  } catch (error) {
    console.error(error instanceof Failure ? `\nerror: ${error.message}` : error);
    process.exitCode = error.exitCode ?? 1;
  }
}

/**
 * Fails because of invalid arguments. Shows the forms of the usage, without their description.
 * @returns {never}
 */
export function misused(problem, usage) {
  const [forms] = usage.split("\n\n");
  throw Object.assign(new Failure(`${problem}\nusage: ${forms}`), { exitCode: 2 });
}

/** Fails with the usage if an argument is unknown. */
export function checkFlags(args, known, usage) {
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
}

/**
 * @typedef {import("node:child_process").SpawnOptions & { input?: string, onStderr?: (text: string) => void }} Options
 * @typedef {{ code: number, stdout: string, stderr: string }} Ended
 */

/**
 * Runs a command and waits for its end, with its output passed through; throws if it fails.
 * @param {string} command
 * @param {string[]} args
 * @param {Options} options
 */
export async function run(command, args, options = {}) {
  const ended = await start(command, args, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (ended.code !== 0) fail(`\`${shown(command, args)}\` failed (exit code ${ended.code})`);
  return ended;
}

/**
 * Runs a command and captures its output. `input` goes to its stdin; `onStderr` receives the output to stderr immediately. Does
 * not throw if the command fails.
 * @param {string} command
 * @param {string[]} args
 * @param {Options} options
 */
export function capture(command, args, { input, ...options } = {}) {
  return start(command, args, { stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"], ...options }, input);
}

/**
 * Runs a command with its output both shown and captured.
 * @param {string} command
 * @param {string[]} args
 * @param {Options} options
 */
export function tee(command, args, options = {}) {
  return start(command, args, { stdio: ["ignore", "pipe", "pipe"], show: true, ...options });
}

/**
 * Runs wrangler on the project's own Node, with the Cloudflare credentials. Without a terminal as stdin it does not prompt.
 * `env` is added to its environment.
 * @param {string[]} args
 * @param {(command: string, args: string[], options?: Options) => Promise<Ended>} how
 * @param {Options} options
 */
export const wrangler = (args, how = run, { env: more = {}, ...options } = {}) =>
  how("wrangler", args, { env: { ...wranglerEnv, ...more }, ...options });

export function onPath(program) {
  return env.PATH.split(delimiter).some((dir) => existsSync(join(dir, program)));
}

/** The project's files in a folder and its subfolders, sorted so that the order is the same on every machine. */
export function filesUnder(dir) {
  return readdirSync(path(dir), { withFileTypes: true })
    .filter(({ name }) => name !== "node_modules")
    .flatMap((entry) => (entry.isDirectory() ? filesUnder(`${dir}/${entry.name}`) : [`${dir}/${entry.name}`]))
    .sort();
}

export function heading(text) {
  console.log(`\n== ${text}`);
}

export function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

/** Parses a TOML file. The parser is an npm package, so call this only after installation. */
export function readToml(name) {
  const { parse } = createRequire(import.meta.url)("smol-toml");
  try {
    return parse(read(name));
  } catch (error) {
    fail(`${name} cannot be read: ${error.message}`);
  }
}

/** Defaults of the Worker that the scripts need; a test compares them with the comments in wrangler.toml. */
export const DEFAULTS = {
  ROLES: "user,admin",
  ALLOW_HS256: "false",
  REFRESH_IDLE_TTL_SECONDS: "604800",
  ARGON2_MEMORY_KIB: "19456",
  ARGON2_ITERATIONS: "2",
};

/** The value of a variable of the Worker: that in wrangler.toml, otherwise the default. */
export function variable(name) {
  const value = readToml("wrangler.toml").vars?.[name] ?? "";
  return value === "" ? DEFAULTS[name] : String(value);
}

/** Whether a URL refers to this machine. */
export function isLoopback(address) {
  return /^https?:\/\/(localhost|127\.|\[::1\]|0\.0\.0\.0)/.test(address);
}

/** The port of `npm run dev`. */
export function localPort() {
  const text = process.env.PORT ?? "8787";
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65536 ? text : fail(`PORT is not a valid port: ${text}`);
}

/**
 * The issuer of `npm run dev` at that address. It must be the local address, not that of production or of another port.
 */
export function localIssuer(url) {
  const issuer = variable("ISSUER") ?? fail("wrangler.toml sets no ISSUER");
  if (!URL.canParse(issuer)) fail(`ISSUER in wrangler.toml is not a URL: "${issuer}"`);
  const { origin, pathname, protocol } = new URL(issuer);
  // The Worker refuses an http ISSUER here as in production.
  if (origin === url || (protocol === "http:" && !isLoopback(issuer))) return issuer;
  return `${url}${pathname.replace(/\/$/, "")}`;
}

/** Whether an address is one that a deployment can have. */
export const isPublic = (address) => /^https:\/\//.test(address) && !isLoopback(address);

/** The version of a crate in Cargo.lock, or in another lock file. */
export function lockedVersion(crate, file = "Cargo.lock") {
  const { version } =
    readToml(file).package.find(({ name }) => name === crate) ?? fail(`${file} does not name ${crate}`);
  return version;
}

const shown = (command, args) => [command, ...args].join(" ");
const running = new Set();
let stoppedBy;

/**
 * @param {string} command
 * @param {string[]} args
 * @param {Options & { show?: boolean }} options
 * @param {string} [input]
 * @returns {Promise<Ended>}
 */
function start(command, args, { show = false, onStderr = (_text) => {}, ...options }, input) {
  return new Promise((resolve, reject) => {
    // In its own process group, so that stopping a command also stops its children. A command that reads the terminal must stay
    // in the terminal's group.
    const detached = options.stdio !== "inherit";
    const child = spawn(command, args, { cwd: root, env, detached, ...options });
    const stop = (signal) => {
      try {
        process.kill(detached ? -child.pid : child.pid, signal);
      } catch {
        // It has already exited.
      }
    };
    running.add(stop);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      if (show) process.stdout.write(text);
    });
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      stderr += text;
      onStderr(text);
      if (show) process.stderr.write(text);
    });
    child.stdin?.on("error", () => {}).end(input);
    child.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
      running.delete(stop);
      reject(error.code === "ENOENT" ? new Failure(`${command} was not found`) : error);
    });
    child.on("close", (code, signal) => {
      running.delete(stop);
      // After a signal, no promise resolves, and this process exits when the last command has ended.
      if (stoppedBy && running.size === 0) process.exit(exitCode(stoppedBy));
      if (!stoppedBy) resolve({ code: code ?? exitCode(signal), stdout, stderr });
    });
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (running.size === 0) process.exit(exitCode(signal));
    stoppedBy ??= signal;
    // Instead of SIGHUP send SIGTERM: wrangler forwards only SIGINT and SIGTERM to its child process.
    for (const stop of running) stop(signal === "SIGHUP" ? "SIGTERM" : signal);
  });
}

function exitCode(signal) {
  return 128 + (constants.signals[signal] ?? 0);
}
