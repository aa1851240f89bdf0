// Runs Portcullis on this machine: `npm run dev`, or `PORT=9000 npm run dev` for another port. With `--https` it has a
// self-signed certificate, for Safari, which keeps no Secure cookie of an http address. The database is in
// .wrangler/state, the secrets are in .dev.vars; delete the folder to start with an empty database. Wrangler rebuilds when a
// source file changes, in the dev profile, which takes seconds.

import { createServer } from "node:net";

import { build, wranglerBuild } from "./build.mjs";
import { checkFlags, fail, localIssuer, localPort, path, read, run, runIfStarted, variable, wrangler } from "./lib.mjs";
import { rotateDataSecrets } from "./rotation.mjs";
import { rulesBinary } from "./rules.mjs";
import { linesOf } from "./secrets.mjs";
import { setup } from "./setup.mjs";

/** The address of localhost that exists on every machine. If given the name, workerd binds only one of its addresses. */
const LOOPBACK = "127.0.0.1";

const HTTPS = "--https";

const usage = `[PORT=8787] npm run dev [-- --https]

Builds Portcullis for development and serves it on localhost, with a local database and local keys.
  --https   serves over https, with a self-signed certificate. Safari needs it for cookie mode`;

async function main(args) {
  checkFlags(args, [HTTPS], usage);
  const port = localPort();
  const protocol = args.includes(HTTPS) ? "https" : "http";
  const url = `${protocol}://localhost:${port}`;
  await checkPort(port);
  await setup();
  addDataSecret();
  // AUDIENCE stays as in wrangler.toml: it is a name, not an address, which RESOURCE_SERVERS and other servers compare.
  const issuer = localIssuer(url);
  const override = issuer === variable("ISSUER") ? [] : ["--var", `ISSUER:${issuer}`];
  const logsMails = variable("MAIL") === undefined;
  if (logsMails) override.push("--var", "MAIL:log");
  await build("dev");
  await wrangler(["d1", "migrations", "apply", "DB", "--local"]);

  const base = new URL(issuer).pathname.replace(/\/$/, "");
  const insecure = protocol === "https" ? "-k " : "";
  console.log(`
Portcullis will answer at ${url}${base}
  account pages   ${url}${base}/account
  API docs        ${url}${base}/docs
  by curl         curl ${insecure}${url}${base}/healthz
${logsMails ? "  mails           are not sent: each is a line below, with its code and its link\n" : ""}`);
  // Compiled in the background for the commands about accounts, which report the error if compilation fails.
  rulesBinary({ quiet: true }).catch(() => {});
  const { script, options } = wranglerBuild("dev");
  const address = ["--ip", LOOPBACK, "--port", port, "--local-protocol", protocol];
  await wrangler(["dev", script, ...address, ...override], run, { stdio: "inherit", ...options });
}

// A .dev.vars that an older version created has none.
function addDataSecret() {
  if (linesOf(read(".dev.vars"), "DATA_SECRETS").length > 0) return;
  rotateDataSecrets(path(".dev.vars"));
  console.log("added DATA_SECRETS to .dev.vars");
}

// Wrangler would report this only at the end, with advice about an option that this script lacks. The IPv6 address is checked
// too, because clients that try IPv6 first would reach another server there.
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

runIfStarted(import.meta.url, main, usage);
