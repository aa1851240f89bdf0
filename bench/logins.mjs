// Logins and requests for mails on connections of their own, for the benchmarks of floods and of attacks.

import { request as httpRequest } from "node:http";
import { performance } from "node:perf_hooks";

/** Time limit of a response, in milliseconds. */
const MAX_MILLIS = 30_000;

/** An IP address for each number. */
export const source = (number) => `198.51.${100 + Math.floor(number / 250)}.${number % 250}`;

/** Sends a login from an IP address, as `post`. */
export const login = (server, json, from, agent) => post(server, "/login", json, from, agent);

/**
 * Posts JSON from an IP address. Resolves to the status (0 without a response), the text and the latency. `agent`: `false` for a new
 * connection.
 */
export function post({ url }, path, json, from, agent = false) {
  const body = JSON.stringify(json);
  const headers = {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    "CF-Connecting-IP": from,
  };
  const began = performance.now();
  return new Promise((resolve) => {
    const end = (status, text) => resolve({ status, text, millis: performance.now() - began });
    const options = {
      agent,
      host: url.hostname,
      port: url.port,
      method: "POST",
      path,
      headers,
      signal: AbortSignal.timeout(MAX_MILLIS),
    };
    const request = httpRequest(options, (response) => {
      let text = "";
      response
        .setEncoding("utf8")
        .on("data", (chunk) => (text += chunk))
        .on("end", () => end(response.statusCode, text))
        .on("error", () => end(0, ""));
    });
    request.on("error", () => end(0, "")).end(body);
  });
}
