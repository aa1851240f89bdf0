// Starts the built Worker with the variables of wrangler.toml, and secrets made for the occasion, to see whether it
// serves: a bad variable is to be found here, not by the people who want to log in.

import { createTestHarness, unstable_readConfig } from "wrangler";

import { fail, path, runIfStarted } from "./lib.mjs";
import { makeSecrets } from "./secrets.mjs";

runIfStarted(import.meta.url, async () => {
  const { vars, compatibility_date } = unstable_readConfig({ config: path("wrangler.toml") });
  const modules = { no_bundle: true, find_additional_modules: true, rules: [{ type: "CompiledWasm", globs: ["**/*.wasm"] }] };
  const config = { name: "check", main: "index.js", compatibility_date, ...modules, vars: { ...vars, ...makeSecrets() } };
  // Not where .dev.vars is, which would stand in for what is deployed.
  const server = createTestHarness({ root: path("build"), workers: [{ config }] });
  try {
    await server.listen();
    const response = await server.fetch(`${vars.BASE_PATH ?? ""}/healthz`);
    const { code } = await response.json();
    if (code !== "misconfigured") return;
    const problems = server.getLogs().map(({ message }) => JSON.parse(message)).filter(({ event }) => event === "misconfigured");
    const lines = new Set(problems.map(({ variable, problem }) => `  ${variable} ${problem}`));
    fail(`the Worker refuses to serve with the variables in wrangler.toml:\n${[...lines].join("\n")}`);
  } finally {
    await server.close();
  }
});
