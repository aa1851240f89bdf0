// Chromium for the tests, and servers of pages for it. Another port of localhost is same-site with the Worker. Sibling and
// foreign domains are served over https, because over plain http they get no cookie and send no Sec-Fetch headers.

import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import bundled from "@sparticuz/chromium";
import { chromium } from "playwright-core";

import { keeps } from "./kept.mjs";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  // The pages of a site in a context share a process.
  "--renderer-process-limit=1",
  // All domains of the tests lead to this machine.
  "--host-resolver-rules=MAP *.test 127.0.0.1",
];

const found = await find();

/** Why there is no browser, for the option `skip` of a test; false if there is one. In CI its absence is an error. */
export const skip = found === undefined ? "no browser: install Chrome, or set CHROME_PATH to a Chromium" : false;
if (skip && process.env.CI) throw new Error(skip);

let kept;

/**
 * Starts the browser. The test files of one process share it, each with contexts of its own. With options of playwright, it is another
 * one.
 */
export async function launch(options) {
  if (options) return chromium.launch({ ...found, args: FLAGS, ...options });
  if (kept === undefined) {
    const browser = await chromium.launch({ ...found, args: FLAGS });
    if (!keeps(() => browser.close())) return browser;
    kept = browser;
  }
  return {
    newContext: (options) => kept.newContext(options),
    newPage: (options) => kept.newPage(options),
    close: () => Promise.all(kept.contexts().map((context) => context.close())),
  };
}

/** Where the browser is, in the words of playwright. */
async function find() {
  if (process.env.CHROME_PATH) return { executablePath: process.env.CHROME_PATH };
  if (process.platform === "linux" && process.arch === "x64") return unpacked();
  try {
    await (await chromium.launch({ channel: "chrome", args: FLAGS })).close();
    return { channel: "chrome" };
  } catch {
    return undefined;
  }
}

/** The browser of the npm package, which is unpacked to a temporary folder. */
async function unpacked() {
  const { version } = createRequire(import.meta.url)("../node_modules/@sparticuz/chromium/package.json");
  const target = join(tmpdir(), `portcullis-chromium-${version}`);
  if (!existsSync(target)) {
    // Elsewhere first, because other tests must not find half a browser.
    const folder = mkdtempSync(`${target}-`);
    const { TMPDIR } = process.env;
    process.env.TMPDIR = folder;
    try {
      await bundled.executablePath();
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
    }
    try {
      renameSync(folder, target);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      // Another test was faster.
      if (!existsSync(target)) throw error;
    }
  }
  const env = existsSync("/etc/fonts") ? {} : { env: { ...process.env, FONTCONFIG_FILE: fontsOf(target) } };
  return { executablePath: join(target, "chromium"), ...env };
}

/** Writes a configuration with the fonts of the package, for a machine without fonts. The package's own names other folders. */
function fontsOf(target) {
  const file = join(target, "portcullis-fonts.conf");
  writeFileSync(
    file,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
    <fontconfig><dir>${join(target, "fonts")}</dir><cachedir>${join(target, "fonts-cache")}</cachedir></fontconfig>`,
  );
  return file;
}

/**
 * Serves files on a port of localhost: an object from paths to texts, buffers, or functions of the request that give a
 * Response. Paths may be added later.
 */
export async function servePages(files) {
  const server = await listening(http.createServer((request, response) => answer(files, request, response)));
  return { origin: `http://localhost:${server.port}`, files, close: server.close };
}

/** Serves several domains over https, on one port: an object from names to files, as for `servePages`, or to a Worker. */
export async function serveDomains(domains) {
  const server = await listening(
    https.createServer(certificate(), (request, response) => {
      const served = domains[request.headers.host.split(":")[0]];
      return served?.runtime
        ? relay(served, request, response, undefined, "https")
        : answer(served ?? {}, request, response);
    }),
  );
  return { origin: (name) => `https://${name}:${server.port}`, domains, close: server.close };
}

/**
 * A Worker at a port of localhost, as its issuer, behind a relay that can `stop` and `start`. `after`, if set, is called with
 * the path between the Worker's response and its delivery, and loses the response if it returns false.
 */
export async function relayed(worker, vars = {}) {
  const server = http.createServer((request, response) => relay(worker, request, response, relayed.after));
  let { port, close } = await listening(server);
  const relayed = {
    url: `http://localhost:${port}`,
    after: undefined,
    stop: () => close(),
    start: async () => ({ close } = await listening(server, port)),
    close: () => close(),
  };
  await worker.update({ vars: { ISSUER: relayed.url, ...vars } });
  return relayed;
}

/** Makes a Worker the issuer at its port of localhost. Returns its address. */
export async function atLocalhost(worker, vars = {}) {
  const url = `http://localhost:${worker.url.port}`;
  await worker.update({ vars: { ISSUER: url, ...vars } });
  return url;
}

async function listening(server, port = 0) {
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { port: server.address().port, close };
}

const TYPES = {
  ".css": "text/css",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
};

async function answer(files, request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  const file = files[pathname];
  const type = TYPES[extname(pathname)] ?? "text/html; charset=utf-8";
  if (typeof file === "function") return write(await file(request), response);
  const status = file === undefined ? 404 : 200;
  response.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" }).end(file ?? "");
}

/** Passes a request on to a Worker, which sees the address that the browser requested. */
function relay(worker, request, response, after = () => true, scheme = "http") {
  const url = `${scheme}://${request.headers.host}${request.url}`;
  const headers = { ...request.headers, "x-test": JSON.stringify({ url }) };
  const { port } = worker.url;
  const passed = http.request({ host: "127.0.0.1", port, path: request.url, method: request.method, headers });
  passed.on("response", async (answer) => {
    const body = Buffer.concat(await answer.toArray());
    // A preflight is not the request.
    if (request.method !== "OPTIONS" && (await after(request.url)) === false) return response.destroy();
    response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders).end(body);
  });
  passed.on("error", () => response.destroy());
  response.on("close", () => passed.destroy());
  request.pipe(passed);
}

async function write(answer, response) {
  const headers = Object.fromEntries([...answer.headers].filter(([name]) => name !== "set-cookie"));
  response.writeHead(answer.status, { ...headers, "Set-Cookie": answer.headers.getSetCookie() });
  if (answer.body === null) response.end();
  else await pipeline(Readable.fromWeb(answer.body), response);
}

/** A new key and a certificate of it, by nobody and without names: open pages with `ignoreHTTPSErrors`. */
function certificate() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const der = (tag, ...parts) => {
    const content = Buffer.concat(parts);
    const { length } = content;
    const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
    return Buffer.concat([Buffer.from([tag, ...size]), content]);
  };
  const oid = (hex) => der(0x06, Buffer.from(hex, "hex"));
  const sequence = (...parts) => der(0x30, ...parts);
  const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
  const name = sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from("tests")))));
  const validity = sequence(...["200101000000Z", "491231235959Z"].map((time) => der(0x17, Buffer.from(time))));
  const serial = der(0x02, Buffer.from([1]));
  const key = publicKey.export({ type: "spki", format: "der" });
  // Version 1 (RFC 5280 §4.1), which has no extensions.
  const signed = sequence(serial, ecdsaWithSha256, name, validity, name, key);
  const signature = der(0x03, Buffer.from([0]), sign("sha256", signed, privateKey));
  const cert = sequence(signed, ecdsaWithSha256, signature).toString("base64");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    cert: `-----BEGIN CERTIFICATE-----\n${cert.replaceAll(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`,
  };
}
