// A Worker that a command serves in a separate process.

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";

/** A free port. */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen({ host: "127.0.0.1", port: 0 }, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/**
 * Starts a command, and waits until a Worker answers at the URL. `stop` ends it and all processes that it started;
 * `output` is what they wrote.
 */
export async function serve(url, command, args, options) {
  const child = spawn(command, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], ...options });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  let hasEnded = false;
  const ended = new Promise((resolve) => child.on("close", resolve)).then(() => (hasEnded = true));
  const stop = async () => {
    if (!hasEnded) process.kill(-child.pid, "SIGTERM");
    await ended;
  };
  const isHealthy = () =>
    fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isHealthy())) {
    if (hasEnded) throw new Error(`the command ended unexpectedly:\n${output}`);
    await setTimeout(100);
  }
  return { url, stop, output: () => output };
}
