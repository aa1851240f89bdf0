// What every script needs: the project's paths and environment, running a command, and failing clearly.
// Everything here works on any Node since 18, because the first run happens before the project's own Node is there.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { constants, homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const path = (...parts) => join(root, ...parts);
export const read = (name) => readFileSync(path(name), "utf8");
/** A file as it was named on the command line: from where npm was called, which runs its scripts in the project's folder. */
export const namedFile = (name) => resolve(process.env.INIT_CWD ?? ".", name);

const npmBin = path("node_modules", ".bin");
const outerPath = (process.env.PATH ?? "").split(delimiter).filter((dir) => dir && dir !== npmBin);

/** The environment of wrangler: the project's own tools first, no telemetry, no look-ups of the machine's location. */
const wranglerEnv = {
  ...process.env,
  // rustup puts cargo there, and tells only new login shells.
  PATH: [npmBin, ...outerPath, join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin")].join(delimiter),
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  // They would hold what is read from the database, password hashes among it, for anybody on the machine to read.
  WRANGLER_WRITE_LOGS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  ...(process.stdout.isTTY && !process.env.NO_COLOR ? { CARGO_TERM_COLOR: "always", FORCE_COLOR: "1" } : {}),
};

// What signs in to the Cloudflare account, by the names wrangler knows today, knew before and may know later.
const signsIn = (name) => /^(CLOUDFLARE_(?!CF_FETCH_ENABLED$)|CF_|WRANGLER_\w*(TOKEN|SECRET))/.test(name);

/**
 * The environment of every other command: the same without what signs in to Cloudflare. They run the code of others: install
 * scripts of npm packages, build scripts and macros of crates, what the tests start.
 */
export const env = Object.fromEntries(Object.entries(wranglerEnv).filter(([name]) => !signsIn(name)));

/** npm must not run on the Node that lives in the folder it replaces. */
export const envWithoutNpmBin = { ...env, PATH: env.PATH.split(delimiter).slice(1).join(delimiter) };

/** An expected failure: its message is for the user, a stack trace would only hide it. */
export class Failure extends Error {}

/** @returns {never} */
export function fail(message) {
  throw new Failure(message);
}

/**
 * Runs `main` if the calling file is the script that was started, not when it is imported. Asked for help, it prints the usage
 * instead: the forms of the command, an empty line, and what they mean.
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
 * Fails because a script was called in a way it does not know. Shows the forms of its usage, without what they mean.
 * @returns {never}
 */
export function misused(problem, usage) {
  const [forms] = usage.split("\n\n");
  throw Object.assign(new Failure(`${problem}\nusage: ${forms}`), { exitCode: 2 });
}

/** Refuses arguments a script does not know, with its usage. */
export function checkFlags(args, known, usage) {
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) misused(`unknown argument ${unknown}`, usage);
}

/**
 * @typedef {import("node:child_process").SpawnOptions & { input?: string, heard?: (text: string) => void }} Options
 * @typedef {{ code: number, stdout: string, stderr: string }} Ended
 */

/**
 * Runs a command to its end, its output going to ours; throws if it fails.
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
 * Runs a command and keeps its output; `input` goes to its stdin, `heard` gets what it writes to stderr as it comes. Never
 * throws for a command that ran and failed.
 * @param {string} command
 * @param {string[]} args
 * @param {Options} options
 */
export function capture(command, args, { input, ...options } = {}) {
  return start(command, args, { stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"], ...options }, input);
}

/**
 * Runs a command with its output both shown and kept.
 * @param {string} command
 * @param {string[]} args
 * @param {Options} options
 */
export function tee(command, args, options = {}) {
  return start(command, args, { stdio: ["ignore", "pipe", "pipe"], show: true, ...options });
}

/**
 * Runs wrangler on the project's own Node, signed in; with no terminal on its stdin it asks nothing. `env` is added to its
 * environment.
 * @param {string[]} args
 * @param {(command: string, args: string[], options?: Options) => Promise<Ended>} how
 * @param {Options} options
 */
export const wrangler = (args, how = run, { env: more = {}, ...options } = {}) =>
  how("wrangler", args, { env: { ...wranglerEnv, ...more }, ...options });

export function onPath(program) {
  return env.PATH.split(delimiter).some((dir) => existsSync(join(dir, program)));
}

export function heading(text) {
  console.log(`\n== ${text}`);
}

export function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

/** What a TOML file says. Its reader is one of the npm packages: only for what runs once they are installed. */
export function readToml(name) {
  const { parse } = createRequire(import.meta.url)("smol-toml");
  try {
    return parse(read(name));
  } catch (error) {
    fail(`${name} cannot be read: ${error.message}`);
  }
}

/** The Worker's defaults of what the scripts need to know; a test compares them with wrangler.toml's comments. */
export const DEFAULTS = {
  ROLES: "user,admin",
  ALLOW_HS256: "false",
  REFRESH_IDLE_TTL_SECONDS: "604800",
  ARGON2_MEMORY_KIB: "19456",
  ARGON2_ITERATIONS: "2",
};

/** A variable as the Worker reads it: what wrangler.toml sets, or else the default. */
export function variable(name) {
  const value = readToml("wrangler.toml").vars?.[name] ?? "";
  return value === "" ? DEFAULTS[name] : String(value);
}

/** Whether an address is this machine's own. */
export function isLoopback(address) {
  return /^https?:\/\/(localhost|127\.|\[::1\]|0\.0\.0\.0)/.test(address);
}

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
function start(command, args, { show = false, heard = (_text) => {}, ...options }, input) {
  return new Promise((resolve, reject) => {
    // A process group of its own, so that stopping a command also stops what it started. One that reads the
    // terminal has to stay in the terminal's group.
    const detached = options.stdio !== "inherit";
    const child = spawn(command, args, { cwd: root, env, detached, ...options });
    const stop = (signal) => {
      try {
        process.kill(detached ? -child.pid : child.pid, signal);
      } catch {
        // It has ended by itself.
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
      heard(text);
      if (show) process.stderr.write(text);
    });
    child.stdin?.on("error", () => {}).end(input);
    child.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
      running.delete(stop);
      reject(error.code === "ENOENT" ? new Failure(`${command} was not found`) : error);
    });
    child.on("close", (code, signal) => {
      running.delete(stop);
      // The last command to stop ends this process. Until then nothing goes on behind the commands that have stopped.
      if (stoppedBy && running.size === 0) process.exit(exitCode(stoppedBy));
      if (!stoppedBy) resolve({ code: code ?? exitCode(signal), stdout, stderr });
    });
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (running.size === 0) process.exit(exitCode(signal));
    stoppedBy ??= signal;
    // Not SIGHUP: wrangler passes only the other two on to its own process.
    for (const stop of running) stop(signal === "SIGHUP" ? "SIGTERM" : signal);
  });
}

function exitCode(signal) {
  return 128 + (constants.signals[signal] ?? 0);
}
