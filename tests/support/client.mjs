// An HTTP client that opens a TCP connection per request and can close it in the middle of the request.

import assert from "node:assert/strict";
import { connect } from "node:net";

import { assertDocumented } from "./openapi.mjs";
import { patiently } from "./patience.mjs";

/** One request on its own connection. */
export class Client {
  #received = "";
  #begun = Promise.withResolvers();
  #answered = Promise.withResolvers();
  #ended = Promise.withResolvers();

  /** Sends `part` of a request: "headers", "half" (of the body) or "all". `chunked`: without Content-Length. */
  static async send(
    url,
    method,
    path,
    { json, form, bearer, headers = {}, body, chunked = false, plan } = {},
    part = "all",
  ) {
    body ??= json === undefined ? new URLSearchParams(form).toString() : JSON.stringify(json);
    const head = {
      Host: url.host,
      "CF-Connecting-IP": "192.0.2.1",
      "User-Agent": "tests",
      ...(json === undefined && form === undefined
        ? {}
        : { "Content-Type": json ? "application/json" : "application/x-www-form-urlencoded" }),
      ...(chunked ? { "Transfer-Encoding": "chunked" } : { "Content-Length": Buffer.byteLength(body) }),
      ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
      ...(plan === undefined ? {} : plan.headers),
      ...headers,
    };
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
    const client = new Client(await connected(url));
    client.request = { method, target: path, headers: head, body };
    client.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    if (part === "headers") return client;
    const sent = part === "half" ? body.slice(0, body.length / 2) : body;
    if (chunked && sent !== "") client.write(`${Buffer.byteLength(sent).toString(16)}\r\n${sent}\r\n`);
    if (chunked && part === "all") client.write("0\r\n\r\n");
    if (!chunked) client.write(sent);
    return client;
  }

  constructor(socket) {
    this.socket = socket;
    socket.setEncoding("latin1").on("data", (text) => {
      this.#received += text;
      this.#begun.resolve();
      const answer = parsed(this.#received);
      if (answer) this.#answered.resolve(answer);
    });
    socket.on("end", () => this.#ended.resolve());
    // Not every test waits for an answer.
    this.#answered.promise.catch(() => {});
    // A reset by the server also ends the connection.
    socket
      .on("error", () => {})
      .on("close", () => {
        this.#ended.resolve();
        this.#answered.reject(new assert.AssertionError({ message: "the connection ended without a response" }));
      });
  }

  write(text) {
    this.socket.write(text);
  }

  /** Closes the connection by "RST", which resets it, or by "FIN", the normal way. */
  disconnect(how) {
    const closed = new Promise((resolve) => this.socket.once("close", resolve));
    if (how === "RST") this.socket.resetAndDestroy();
    else this.socket.destroy();
    return closed;
  }

  /** Closes the sending side only. */
  halfClose() {
    this.socket.end();
  }

  /** Waits for the first byte of the response. */
  begun() {
    return patiently(this.#begun.promise, "no response begins");
  }

  /** Waits for the response. */
  async answer() {
    const answer = await patiently(this.#answered.promise, "there is no response");
    assertDocumented(this.request, answer);
    return answer;
  }

  /** Waits until the server closes the connection. */
  ended() {
    return patiently(this.#ended.promise, "the connection stays open");
  }
}

/** The response, or `undefined` while it is incomplete. */
function parsed(received) {
  const [head, ...rest] = received.split("\r\n\r\n");
  const [start, ...lines] = head.split("\r\n");
  const headers = new Headers(lines.map((line) => line.split(": ")));
  const [status, text] = [Number(start.split(" ")[1]), rest.join("\r\n\r\n")];
  if (rest.length === 0 || text.length < Number(headers.get("Content-Length"))) return undefined;
  return { status, headers, text, body: /json$/.test(headers.get("Content-Type")) ? JSON.parse(text) : undefined };
}

function connected(url) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const socket = connect({ host: url.hostname, port: Number(url.port), allowHalfOpen: true, noDelay: true }, () =>
    resolve(socket),
  );
  socket.once("error", reject);
  return promise;
}
