import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { unstable_readConfig } from "wrangler";

import { capture, DEFAULTS, namedFile, path, read, variable } from "../../scripts/lib.mjs";

test("a variable has its value in wrangler.toml, or the default documented there", () => {
  const { vars } = unstable_readConfig({ config: path("wrangler.toml") });
  assert.equal(variable("AUDIENCE"), vars.AUDIENCE);
  const shown = new Map(
    [...read("wrangler.toml").matchAll(/^# ([A-Z0-9_]+) = "(.*)"$/gm)].map(([, name, value]) => [name, value]),
  );
  for (const [name, value] of Object.entries(DEFAULTS)) {
    assert.equal(value, shown.get(name), name);
    assert.equal(variable(name), vars[name] ?? value, name);
  }
});

test("a file named on the command line is relative to the caller's folder", () => {
  const { INIT_CWD } = process.env;
  try {
    process.env.INIT_CWD = "/elsewhere";
    assert.deepEqual(["users.ndjson", "../users.ndjson", "/users.ndjson"].map(namedFile), [
      "/elsewhere/users.ndjson",
      "/users.ndjson",
      "/users.ndjson",
    ]);
    delete process.env.INIT_CWD;
    assert.equal(namedFile("users.ndjson"), join(process.cwd(), "users.ndjson"));
  } finally {
    if (INIT_CWD !== undefined) process.env.INIT_CWD = INIT_CWD;
  }
});

test("the stderr of a command is passed on while it runs, and returned", async () => {
  let heard = "";
  const { code, stdout, stderr } = await capture("node", ["-e", "console.error('a'); console.log('b')"], {
    onStderr: (text) => (heard += text),
  });
  assert.deepEqual([code, stdout, stderr, heard], [0, "b\n", "a\n", "a\n"]);
});
