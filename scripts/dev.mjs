// Runs Portcullis on this machine: `npm run dev`, or with another port `PORT=9000 npm run dev`. Its database and keys
// stay in .wrangler/state; delete that folder to start afresh. Wrangler builds again when a source changes.

import { createServer } from "node:net";

import { build } from "./build.mjs";
import { checkFlags, Failure, fail, isLoopback, run, runIfStarted, wrangler, wranglerString } from "./lib.mjs";
import { setup } from "./setup.mjs";

const usage = `[PORT=8787] npm run dev

Builds Portcullis and serves it on 127.0.0.1, with a database and keys of its own on this machine.`;

async function main(args) {
  checkFlags(args, [], usage);
  const port = portOf(process.env.PORT ?? "8787");
  const url = `http://127.0.0.1:${port}`;
  const issuer = localIssuer(url);
  await checkPort(port);
  await setup();
  await build();
  await wrangler(["d1", "migrations", "apply", "DB", "--local"]);

  console.log(`\nPortcullis will answer at ${url}. Try: curl ${url}${wranglerString("BASE_PATH") ?? ""}/healthz\n`);
  await wrangler(["dev", "--ip", "127.0.0.1", "--port", port, ...issuer], run, { stdio: "inherit" });
}

// What is configured for production must not be where local tokens say they are from, nor a port that is not used. Whom they
// are for stays what wrangler.toml says: a name and no address, which RESOURCE_SERVERS and other servers compare.
function localIssuer(url) {
  const issuer = wranglerString("ISSUER") ?? fail("wrangler.toml sets no ISSUER");
  if (!URL.canParse(issuer)) fail(`ISSUER in wrangler.toml is not a URL: "${issuer}"`);
  const { origin, pathname, protocol } = new URL(issuer);
  // One that would be refused in production is refused here too.
  if (origin === url || (protocol === "http:" && !isLoopback(issuer))) return [];
  return ["--var", `ISSUER:${url}${pathname.replace(/\/$/, "")}`];
}

// Wrangler would find out only after everything else, and advise an option that is not ours.
function checkPort(port) {
  return new Promise((resolve, reject) => {
    const taken = (error) =>
      error.code === "EADDRINUSE" ? new Failure(`port ${port} is in use. Try another: PORT=9000 npm run dev`) : error;
    const server = createServer().once("error", (error) => reject(taken(error)));
    server.listen({ host: "127.0.0.1", port: Number(port) }, () => server.close(resolve));
  });
}

function portOf(text) {
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65536 ? text : fail(`PORT is not a port: ${text}`);
}

runIfStarted(import.meta.url, main, usage);
