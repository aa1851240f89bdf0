// Runs Portcullis on this machine: `npm run dev`, or with another port `PORT=9000 npm run dev`. Its database and keys
// stay in .wrangler/state; delete that folder to start afresh. Wrangler builds again when a source changes: for development,
// which takes seconds. What is deployed is built for release.

import { createServer } from "node:net";

import { build, wranglerBuild } from "./build.mjs";
import { checkFlags, fail, isLoopback, run, runIfStarted, variable, wrangler } from "./lib.mjs";
import { rulesBinary } from "./rules.mjs";
import { setup } from "./setup.mjs";

/** The address of localhost that every machine has. Given the name itself, workerd binds only one of its addresses. */
const LOOPBACK = "127.0.0.1";

const usage = `[PORT=8787] npm run dev

Builds Portcullis for development and serves it on localhost, with a database and keys of its own on this machine.`;

async function main(args) {
  checkFlags(args, [], usage);
  const port = portOf(process.env.PORT ?? "8787");
  const url = `http://localhost:${port}`;
  await checkPort(port);
  await setup();
  const issuer = localIssuer(url);
  await build("dev");
  await wrangler(["d1", "migrations", "apply", "DB", "--local"]);

  const base = new URL(variable("ISSUER")).pathname.replace(/\/$/, "");
  console.log(`\nPortcullis will answer at ${url}${base}. Try: curl ${url}${base}/healthz\n`);
  // In the background, so that `npm run grant` finds them compiled. It reports the error if they do not compile.
  rulesBinary({ quiet: true }).catch(() => {});
  const { script, options } = wranglerBuild("dev");
  await wrangler(["dev", script, "--ip", LOOPBACK, "--port", port, ...issuer], run, { stdio: "inherit", ...options });
}

// What is configured for production must not be where local tokens say they are from, nor a port that is not used. Whom they
// are for stays what wrangler.toml says: a name and no address, which RESOURCE_SERVERS and other servers compare.
function localIssuer(url) {
  const issuer = variable("ISSUER") ?? fail("wrangler.toml sets no ISSUER");
  if (!URL.canParse(issuer)) fail(`ISSUER in wrangler.toml is not a URL: "${issuer}"`);
  const { origin, pathname, protocol } = new URL(issuer);
  // One that would be refused in production is refused here too.
  if (origin === url || (protocol === "http:" && !isLoopback(issuer))) return [];
  return ["--var", `ISSUER:${url}${pathname.replace(/\/$/, "")}`];
}

// Wrangler would find out only after everything else, and advise an option that is not ours. Clients that try
// IPv6 first would reach another server on the IPv6 address of localhost.
async function checkPort(port) {
  const errors = await Promise.all([LOOPBACK, "::1"].map((host) => errorOfListening(host, Number(port))));
  if (errors.some((error) => error?.code === "EADDRINUSE"))
    fail(`port ${port} is in use. Try another: PORT=9000 npm run dev`);
  // Not every machine has IPv6.
  if (errors[0]) throw errors[0];
}

function errorOfListening(host, port) {
  return new Promise((resolve) => {
    const server = createServer().once("error", resolve);
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}

function portOf(text) {
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65536 ? text : fail(`PORT is not a port: ${text}`);
}

runIfStarted(import.meta.url, main, usage);
