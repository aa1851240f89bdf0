// The setup and the build, with stand-ins for the programs that install and compile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Checkout, withInstallers } from "../support/checkout.mjs";

const CANARY = "canary-of-the-account";
/** Every variable with credentials for wrangler, including former and future ones. */
const CREDENTIALS = Object.fromEntries(
  [
    "CLOUDFLARE_API_TOKEN",
    "CLOUDFLARE_API_KEY",
    "CLOUDFLARE_EMAIL",
    "CLOUDFLARE_ACCOUNT_ID",
    "CLOUDFLARE_API_USER_SERVICE_KEY",
    "CLOUDFLARE_ACCESS_CLIENT_ID",
    "CLOUDFLARE_ACCESS_CLIENT_SECRET",
    "CLOUDFLARE_OF_TOMORROW",
    "CF_API_TOKEN",
    "CF_API_KEY",
    "CF_EMAIL",
    "CF_ACCOUNT_ID",
    "WRANGLER_CF_AUTHORIZATION_TOKEN",
    "WRANGLER_BASIN_SQL_AUTH_TOKEN",
    "WRANGLER_R2_SQL_AUTH_TOKEN",
  ].map((name) => [name, CANARY]),
);

let checkout;
before(() => (checkout = new Checkout()));
after(() => checkout.remove());

test("credentials for Cloudflare are in the environment of wrangler and of no other program", async () => {
  const built = ["index.js", "index_bg.wasm"].map((name) => `write("build/release/${name}", "");`);
  withInstallers(checkout, { cargo: `if (args[0] === "run") { ${built.join(" ")} }` });
  const env = { ...CREDENTIALS, PASSED_ON: "yes", CLOUDFLARE_CF_FETCH_ENABLED: "true" };
  const { code, stdout, stderr } = await checkout.node(["scripts/build.mjs"], env);
  assert.equal(code, 0, stdout + stderr);
  checkout.program("node_modules/.bin/wrangler");
  const all = ["run", "capture", "tee"].map(
    (how) => `await wrangler(["whoami"], ${how}); await ${how}("cargo", ["metadata"]);`,
  );
  const main = `import { capture, run, tee, wrangler } from "./scripts/lib.mjs"; await wrangler(["deploy"]); ${all.join(" ")}`;
  const direct = await checkout.node(["--input-type=module", "-e", main], env);
  assert.equal(direct.code, 0, direct.stdout + direct.stderr);

  const calls = checkout.calls();
  assert.deepEqual([...new Set(calls.map(({ program }) => program))].sort(), ["cargo", "npm", "rustup", "wrangler"]);
  for (const { program, args, env } of calls) {
    const found = Object.keys(env).filter((name) => env[name].includes(CANARY));
    assert.deepEqual(
      found.sort(),
      program === "wrangler" ? Object.keys(CREDENTIALS).sort() : [],
      `${program} ${args.join(" ")}`,
    );
    assert.deepEqual(
      [env.PASSED_ON, env.CLOUDFLARE_CF_FETCH_ENABLED, env.WRANGLER_SEND_METRICS],
      ["yes", "false", "false"],
      program,
    );
  }
});

test("a tool that does not compile with its locked dependencies is not compiled with others", async () => {
  const failing = new Checkout();
  try {
    withInstallers(failing, {
      cargo: 'console.error("error: crate 1.0.1 is not in the registry"); process.exit(101);',
    });
    const { code, stdout, stderr } = await failing.node(["scripts/setup.mjs"]);
    assert.equal(code, 1, stdout);
    const installs = failing.calls().filter(({ program }) => program === "cargo");
    assert.deepEqual(
      installs.map(({ args }) => args.includes("--locked")),
      [true],
    );
    assert.match(
      stderr,
      /^\nerror: cargo-deny 0\.20\.2 could not be installed with the dependencies of its lock file, and no others are tried/,
    );
    assert.match(stderr, /crate 1\.0\.1 is not in the registry/);
  } finally {
    failing.remove();
  }
});

test("the last line of a run of the tests counts what failed, and says so if nothing ran", async () => {
  const results = 'console.log("test result: FAILED. 3 passed; 2 failed; 0 ignored");';
  for (const [printed, total] of [
    [results, "total: 3 passed, 2 failed"],
    ["", "total: 0 passed, 1 failed"],
  ]) {
    const failing = new Checkout();
    try {
      withInstallers(failing, { cargo: `if (args[0] === "test") { ${printed} process.exit(101); }` });
      const { code, stdout, stderr } = await failing.node(["scripts/test.mjs", "native"]);
      assert.deepEqual([code, stdout.trimEnd().split("\n").at(-1)], [1, total], stderr);
      assert.match(stderr, /\nerror: tests, native failed/);
    } finally {
      failing.remove();
    }
  }
});
