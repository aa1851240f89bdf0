// Starts the built Worker with the variables of wrangler.toml, and secrets made for the occasion, to see whether it
// serves: a bad variable is to be found here, not by the people who want to log in. Warns of a second address.

import { join } from "node:path";

import { createTestHarness, unstable_readConfig } from "wrangler";

import { fail, path, runIfStarted } from "./lib.mjs";
import { makeSecrets } from "./secrets.mjs";

runIfStarted(import.meta.url, async () => {
  const warning = secondDoor(unstable_readConfig({ config: path("wrangler.toml") }));
  if (warning) console.error(`\nwarning: ${warning}`);
  await check(path("."));
});

/** Starts the Worker that is built in a folder, with the wrangler.toml there; fails unless it serves. */
export async function check(folder) {
  const { vars, compatibility_date } = unstable_readConfig({ config: join(folder, "wrangler.toml") });
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
    vars: { ...vars, ...makeSecrets() },
  };
  // Not where .dev.vars is, which would stand in for what is deployed.
  const server = createTestHarness({ root: join(folder, "build", "release"), workers: [{ config }] });
  try {
    await server.listen();
    const url = healthUrl(vars);
    // Not `server.fetch`, behind whose proxy https is http.
    const response = await server.getWorker().fetch(url);
    const text = await response.text();
    const code = codeOf(text);
    // There is no database here.
    if (response.ok || code === "unhealthy") return;
    if (code !== "misconfigured") fail(`the Worker answers ${url} with ${response.status}: ${text}`);
    const problems = server
      .getLogs()
      .map(({ message }) => JSON.parse(message))
      .filter(({ event }) => event === "misconfigured");
    const lines = new Set(problems.map(({ variable, problem }) => `  ${variable} ${problem}`));
    fail(`the Worker refuses to serve with the variables in wrangler.toml:\n${[...lines].join("\n")}`);
  } finally {
    await server.close();
  }
}

/**
 * The warning of a Worker that answers at *.workers.dev beside a route, if this one does. The platform's rules (firewall, rate
 * limits) are those of a zone, and *.workers.dev is not yours.
 */
export function secondDoor({ route, routes = [], ...addresses }) {
  const doors = ["workers_dev", "preview_urls"]
    .filter((name) => addresses[name] === true)
    .map((name) => `${name} = true`);
  if (doors.length === 0 || (route === undefined && routes.length === 0)) return undefined;
  return (
    `${doors.join(" and ")} beside a route: the Worker answers at *.workers.dev too, where no rule of your zone is in front of it. ` +
    "Set it to false in wrangler.toml."
  );
}

// Where the Worker says that it is, whatever it listens on here: to another host it need not answer.
function healthUrl({ ISSUER }) {
  // One that is no address is for the Worker to refuse.
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
