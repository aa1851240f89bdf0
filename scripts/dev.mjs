// Runs Portcullis on this machine: `npm run dev`, or with another port `PORT=9000 npm run dev`. Its database and keys
// stay in .wrangler/state; delete that folder to start afresh. Wrangler builds again when a source changes.

import { build } from "./build.mjs";
import { checkFlags, fail, run, runIfStarted, wrangler, wranglerString } from "./lib.mjs";
import { setup } from "./setup.mjs";

async function main(args) {
  checkFlags(args, [], "PORT=8787 npm run dev");
  const port = portOf(process.env.PORT ?? "8787");
  await setup();
  await build();
  await wrangler(["d1", "migrations", "apply", "DB", "--local"]);

  const url = `http://127.0.0.1:${port}`;
  console.log(`\nPortcullis will answer at ${url}. Try: curl ${url}${wranglerString("BASE_PATH") ?? ""}/healthz\n`);
  await wrangler(["dev", "--ip", "127.0.0.1", "--port", port, ...localAddresses(url)], run, { stdio: "inherit" });
}

// What is configured for production must not end up in local tokens, nor the port that is not used.
function localAddresses(url) {
  const issuer = wranglerString("ISSUER") ?? fail("wrangler.toml sets no ISSUER");
  const { origin, pathname } = new URL(issuer);
  if (origin === url) return [];
  const localIssuer = url + pathname.replace(/\/$/, "");
  const audience = wranglerString("AUDIENCE") === issuer ? ["--var", `AUDIENCE:${localIssuer}`] : [];
  return ["--var", `ISSUER:${localIssuer}`, ...audience];
}

function portOf(text) {
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65536 ? text : fail(`PORT is not a port: ${text}`);
}

runIfStarted(import.meta.url, main);
