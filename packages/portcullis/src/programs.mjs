// Runs other programs, and ends them when the command is ended.
//
// Everything here works on Node 18, because the first command in a checkout runs before the project's own Node is installed.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants, homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";

import { Failure, fail } from "./failure.mjs";
import { messages } from "./output.mjs";
import { isPackage, path, project } from "./place.mjs";

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
  const ended = await start(command, args, { stdio: ["ignore", messages(), 2], ...options });
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
export function wrangler(args, how = run, { env: more = {}, ...options } = {}) {
  const [command, ...first] = isPackage ? ["node", ownWrangler()] : ["wrangler"];
  return how(command, [...first, ...args], { env: { ...wranglerEnv, ...more }, ...options });
}

// That of the package, which is not necessarily in PATH.
function ownWrangler() {
  const manifest = createRequire(import.meta.url).resolve("wrangler/package.json");
  return join(dirname(manifest), "bin", "wrangler.js");
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
    const detached = [options.stdio].flat()[0] !== "inherit";
    const child = spawn(command, args, { cwd: project, env, detached, ...options });
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
