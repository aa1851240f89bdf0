// Starts the built Worker with the variables of wrangler.toml, and secrets made for the occasion, to see whether it
// serves: a bad variable is to be found here, not by the people who want to log in.

import { createTestHarness } from "wrangler";

import { fail, runIfStarted, wranglerString } from "./lib.mjs";
import { makeSecrets } from "./secrets.mjs";

runIfStarted(import.meta.url, async () => {
  const server = createTestHarness({ workers: [{ configPath: "wrangler.toml", secrets: makeSecrets() }] });
  try {
    await server.listen();
    const response = await server.fetch(`${wranglerString("BASE_PATH") ?? ""}/healthz`);
    const { code } = await response.json();
    if (code !== "misconfigured") return;
    const problems = server.getLogs().map(({ message }) => JSON.parse(message)).filter(({ event }) => event === "misconfigured");
    const lines = new Set(problems.map(({ variable, problem }) => `  ${variable} ${problem}`));
    fail(`the Worker refuses to serve with the variables in wrangler.toml:\n${[...lines].join("\n")}`);
  } finally {
    await server.close();
  }
});
