// Starts the built Worker with the variables of wrangler.toml and temporary secrets, and fails unless it serves, so that an
// invalid variable is found before deployment. Fails too if the rate limiters differ from RATE_LIMITS, and warns of a second
// address.

import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { createTestHarness, unstable_readConfig } from "wrangler";

import { limiterProblems, secondAddress } from "./config.mjs";
import { fail, report } from "./failure.mjs";
import { project } from "./place.mjs";
import { makeSecret, makeSecrets, neededSecrets } from "./secrets.mjs";

/**
 * Starts the Worker that the wrangler.toml of a folder names, with its variables; fails unless it serves. `makeHarness` makes what
 * starts it.
 */
export async function check(folder, makeHarness = createTestHarness) {
  const { main, vars, compatibility_date, ratelimits, send_email } = unstable_readConfig({
    config: join(folder, "wrangler.toml"),
  });
  const differences = limiterProblems(ratelimits, vars.RATE_LIMITS || undefined);
  if (differences.length > 0)
    fail(`the rate limiters in wrangler.toml:\n${differences.map((line) => `  ${line}`).join("\n")}`);
  if (vars.MAIL === "binding" && !send_email?.some(({ name }) => name === "SEND_EMAIL"))
    fail('MAIL = "binding" needs a section [[send_email]] with name = "SEND_EMAIL" in wrangler.toml');
  // `deploy` checks that the Worker has them.
  const needed = neededSecrets((name) => vars[name] || undefined).map(({ secret }) => [secret, makeSecret()]);
  const modules = {
    no_bundle: true,
    find_additional_modules: true,
    rules: [{ type: "CompiledWasm", globs: ["**/*.wasm"] }],
  };
  const config = {
    name: "check",
    main: "index.js",
    compatibility_date,
    ...modules,
    vars: { ...vars, ...makeSecrets(), ...Object.fromEntries(needed) },
  };
  // Not the folder with .dev.vars, which would override the variables.
  const server = makeHarness({ root: dirname(main), workers: [{ config }] });
  try {
    await server.listen();
    const url = healthUrl(vars);
    // Not `server.fetch`: its proxy turns https into http.
    const response = await server.getWorker().fetch(url);
    const text = await response.text();
    const code = codeOf(text);
    // "unhealthy" is expected, because there is no database here.
    if (response.ok || code === "unhealthy") return;
    if (code !== "misconfigured") fail(`the Worker answered ${url} with ${response.status}: ${text}`);
    // The runtime logs lines of its own.
    const problems = server
      .getLogs()
      .filter(({ message }) => message.startsWith("{"))
      .map(({ message }) => JSON.parse(message))
      .filter(({ event }) => event === "misconfigured");
    const lines = new Set(problems.map(({ variable, problem }) => `  ${variable} ${problem}`));
    fail(`the Worker refuses to serve with the variables in wrangler.toml:\n${[...lines].join("\n")}`);
  } finally {
    await server.close();
  }
}

// The request is sent to the ISSUER's address, because the Worker refuses other hosts.
function healthUrl({ ISSUER }) {
  // The Worker itself reports an invalid ISSUER.
  const { origin, pathname } = new URL(URL.canParse(ISSUER) ? ISSUER : "http://127.0.0.1");
  return `${origin}${pathname.replace(/\/$/, "")}/healthz`;
}

function codeOf(text) {
  try {
    return JSON.parse(text).code;
  } catch {
    return undefined;
  }
}

// `deploy` runs this file on the project's own Node.
if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const warning = secondAddress(unstable_readConfig({ config: join(project, "wrangler.toml") }));
  if (warning) console.error(`\nwarning: ${warning}`);
  check(project).catch((error) => report(error));
}
