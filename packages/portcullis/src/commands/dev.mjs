// Runs Portcullis on this machine: `npm run dev`, or `PORT=9000 npm run dev` for another port. With `--https` it has a
// self-signed certificate, for Safari, which keeps no Secure cookie of an http address. The database is in
// .wrangler/state, the secrets are in .dev.vars; delete the folder to start with an empty database. In a checkout, wrangler rebuilds
// when a source file changes, in the dev profile, which takes seconds.

import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";

import { flag, json, parse } from "../command.mjs";
import { localIssuer, localPort, variable } from "../config.mjs";
import { fail } from "../failure.mjs";
import { messages, printJson, printsJson, say } from "../output.mjs";
import { called, path, rulesUrl, setup, worker } from "../place.mjs";
import { run, wrangler } from "../programs.mjs";
import { rotateDataSecrets } from "../rotation.mjs";
import { ensureDevVars, linesOf } from "../secrets.mjs";

/** The address of localhost that exists on every machine. If given the name, workerd binds only one of its addresses. */
const LOOPBACK = "127.0.0.1";

export const about =
  "Serves Portcullis on localhost, with a local database and local keys. PORT=9000 sets another port than 8787.";
export const result = 'the addresses, when it answers: `{"url", "account_pages", "api_docs"}`';
export const forms = ["[--https] [--json]"];
export const options = {
  https: flag("serves over https, with a self-signed certificate. Safari needs it for cookie mode"),
  json: { ...json.json, help: "prints the addresses as JSON to stdout when it answers, and everything else to stderr" },
};

export async function main(args) {
  const { values } = parse(args, options, 0);
  const port = localPort();
  const protocol = values.https ? "https" : "http";
  const url = `${protocol}://localhost:${port}`;
  await checkPort(port);
  await setup();
  completeSecrets();
  // AUDIENCE stays as in wrangler.toml: it is a name, not an address, which RESOURCE_SERVERS and other servers compare.
  const issuer = localIssuer(url);
  const override = issuer === variable("ISSUER") ? [] : ["--var", `ISSUER:${issuer}`];
  const logsMails = variable("MAIL") === undefined;
  if (logsMails) override.push("--var", "MAIL:log");
  const { script, options: built } = await worker("dev");
  await wrangler(["d1", "migrations", "apply", "DB", "--local"]);

  const base = `${url}${new URL(issuer).pathname.replace(/\/$/, "")}`;
  const insecure = protocol === "https" ? "-k " : "";
  say(`
Portcullis will answer at ${base}
  account pages   ${base}/account
  API docs        ${base}/docs
  by curl         curl ${insecure}${base}/healthz
${logsMails ? "  mails           are not sent: each is a line below, with its code and its link\n" : ""}`);
  // Compiled in the background for the commands about accounts, which report the error if compilation fails.
  rulesUrl({ quiet: true }).catch(() => {});
  const address = ["--ip", LOOPBACK, "--port", port, "--local-protocol", protocol];
  const ended = new AbortController();
  if (printsJson()) announce(base, ended.signal);
  try {
    await wrangler(["dev", ...script, ...address, ...override], run, { stdio: ["inherit", messages(), 2], ...built });
  } finally {
    ended.abort();
  }
}

/** Prints the addresses once the Worker answers. */
async function announce(url, signal) {
  while (!signal.aborted) {
    // A self-signed certificate is as good as an answer.
    const answers = await fetch(`${url}/healthz`, { signal }).then(
      ({ ok }) => ok,
      ({ cause }) => /CERT/.test(cause?.code),
    );
    if (answers) return printJson({ url, account_pages: `${url}/account`, api_docs: `${url}/docs` });
    await setTimeout(200);
  }
}

/** Creates .dev.vars, or adds the secret that one of an older version lacks. */
function completeSecrets() {
  ensureDevVars();
  const file = path(".dev.vars");
  if (linesOf(readFileSync(file, "utf8"), "DATA_SECRETS").length > 0) return;
  rotateDataSecrets(file);
  say("added DATA_SECRETS to .dev.vars");
}

// Wrangler would report this only at the end, with advice about an option that this script lacks. The IPv6 address is checked
// too, because clients that try IPv6 first would reach another server there.
async function checkPort(port) {
  const errors = await Promise.all([LOOPBACK, "::1"].map((host) => errorOfListening(host, Number(port))));
  if (errors.some((error) => error?.code === "EADDRINUSE"))
    fail(`port ${port} is in use. Try another: PORT=9000 ${called("dev")}`);
  // Not every machine has IPv6.
  if (errors[0]) throw errors[0];
}

function errorOfListening(host, port) {
  return new Promise((resolve) => {
    const server = createServer().once("error", resolve);
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}
