// `npm run dev` in a temporary checkout, on a port other than the default, with a resource server and the static assets.

import assert from "node:assert/strict";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { parseEnv } from "node:util";

import { decodeJwt } from "jose";
import { devVars } from "../../packages/portcullis/src/secrets.mjs";
import { path } from "../../scripts/lib.mjs";
import { Checkout } from "../support/checkout.mjs";
import { basic, PASSWORD, POLICIES } from "../support/harness.mjs";
import { patiently } from "../support/patience.mjs";
import { freePort, serve } from "../support/served.mjs";

let checkout;
before(async () => {
  checkout = new Checkout();
  checkout.link("node_modules", ".tools");
  // Everything is installed and built. Installing or building again would change this checkout, so the stand-ins fail.
  for (const name of ["npm", "cargo"]) checkout.program(`programs/${name}`, "process.exit(1);");
  for (const name of readdirSync(path("dist"))) cpSync(path("dist", name), checkout.path("build", "dev", name));
  const { stdout } = await checkout.node([
    "-e",
    'import("./scripts/build.mjs").then(({ buildInputs }) => process.stdout.write(buildInputs()))',
  ]);
  checkout.write("build/dev/index_bg.wasm", "");
  checkout.write("build/dev/.inputs", stdout);
});
after(() => checkout.remove());

test("in a fresh checkout", { timeout: 120_000 }, async (t) => {
  await withDev(checkout.read("wrangler.toml"), [], async ({ url, output }) => {
    await t.test("the output has the code that resets a password", async () => {
      const email = "forgetful@example.org";
      assert.equal((await post(url, "/register", { email, password: PASSWORD })).status, 201);
      const { challenge } = await (await post(url, "/password/forgot", { email })).json();
      const line = await patiently(lineOf(output, '"event":"mail",'), "the output has no mail");
      const mail = JSON.parse(line);
      assert.deepEqual([mail.kind, mail.to], ["reset", email]);
      assert.ok(mail.link.startsWith(`${url}/account/confirm#token=`));
      const json = { challenge, code: mail.code, new_password: "another correct horse battery" };
      assert.equal((await post(url, "/password/reset", json)).status, 200);
    });

    await t.test("every static asset is reached through the Worker only", async () => {
      const folder = checkout.path("web", "dist");
      const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      const files = entries.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length));
      assert.ok(files.includes("/docs/swagger-ui-bundle.js") && files.includes("/docs/index.html"));
      for (const file of files) {
        for (const method of ["GET", "HEAD", "POST", "OPTIONS"]) {
          const { status, headers } = await fetch(url + file, { method });
          const expected = { GET: 200, HEAD: 200, POST: 405, OPTIONS: 204 };
          assert.equal(status, expected[method], `${method} ${file}`);
          assert.match(headers.get("x-request-id"), /^[\w-]{22}$/);
          assert.equal(headers.get("strict-transport-security"), "max-age=63072000; includeSubDomains");
        }
      }
      const page = await fetch(`${url}/docs`);
      assert.deepEqual(
        [page.status, page.url, page.headers.get("content-security-policy")],
        [200, `${url}/docs/`, POLICIES.asset],
      );
      // The platform would answer with a file at the root of the folder.
      const root = await fetch(url);
      assert.equal((await root.json()).service, "portcullis");
    });
  });
});

test("with a resource server, metrics, and a sender in wrangler.toml, without DATA_SECRETS, and with --https", {
  timeout: 120_000,
}, async (t) => {
  const { code, stdout, stderr } = await checkout.node(checkout.command("keygen", "--resource-server", "orders-api"));
  assert.equal(code, 0, stderr);
  const [secret] = stdout.match(/^[\w-]{43}$/m);
  const [line] = stdout.match(/^RESOURCE_SERVERS = .*$/m);
  const [template, secrets] = [checkout.read("wrangler.toml"), checkout.read(".dev.vars")];
  const [, audience] = template.match(/^AUDIENCE = "(.*)"$/m);
  const section = /^# \[\[analytics_engine_datasets\]\]\n# binding = "METRICS"\n# dataset = "portcullis"$/m;
  assert.match(template, section);
  const sender = 'MAIL = "http"\nMAIL_FROM = "auth@example.org"\nMAIL_URL = "http://127.0.0.1:9/"';
  const configured = template
    .replace(/^# RESOURCE_SERVERS = ""$/m, line)
    .replace(section, (lines) => lines.replaceAll(/^# /gm, ""))
    // Wrangler takes only the secrets that are listed from .dev.vars.
    .replace(/^required = \[.*(?=\]$)/m, '$&, "MAIL_KEY"')
    .replace(/^# MAIL = ""$/m, sender);
  const { DATA_SECRETS: _, ...others } = { ...parseEnv(secrets), MAIL_KEY: "key" };
  checkout.write(".dev.vars", devVars(others));
  // For the self-signed certificate.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  let said;
  try {
    await withDev(configured, ["--https"], async ({ url, output }) => {
      said = output;
      const registered = await post(url, "/register", { email: "ada@example.org", password: PASSWORD });

      await t.test("a resource server with an entry from keygen can introspect", async () => {
        const { access_token, user } = await registered.json();
        const { iss, aud } = decodeJwt(access_token);
        assert.deepEqual([registered.status, iss, aud], [201, url, audience]);
        const asked = await fetch(`${url}/introspect`, {
          method: "POST",
          headers: { Authorization: basic("orders-api", secret) },
          body: new URLSearchParams({ token: access_token }),
        });
        const { active, sub } = await asked.json();
        assert.deepEqual([asked.status, active, sub], [200, true, user.id]);
      });

      await t.test(
        "with the binding of the metrics, which drops data points locally, a registration succeeds",
        async () => {
          assert.equal(registered.status, 201);
          await patiently(lineOf(output, '"event":"registered"'), "the registration is not logged");
        },
      );

      await t.test("the issuer and the address are https", async () => {
        const metadata = await fetch(`${url}/.well-known/oauth-authorization-server`);
        assert.deepEqual([new URL(url).protocol, (await metadata.json()).issuer], ["https:", url]);
      });

      await t.test("a .dev.vars without DATA_SECRETS gets one, and keeps its other secrets", () => {
        const { DATA_SECRETS, ...kept } = parseEnv(checkout.read(".dev.vars"));
        assert.match(DATA_SECRETS, /^[\w-]{43}$/);
        assert.deepEqual(kept, others);
      });

      await t.test("no mail is in the output", async () => {
        const email = "sent@example.org";
        assert.equal((await post(url, "/register", { email, password: PASSWORD })).status, 201);
        assert.equal((await post(url, "/password/forgot", { email })).status, 202);
        await patiently(lineOf(output, '"event":"mail_delayed"'), "the mail is not delayed");
        assert.doesNotMatch(output(), /"event":"mail"/);
      });
    });
  } finally {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    checkout.write(".dev.vars", secrets);
  }
  assert.doesNotMatch(said(), /metrics_failed/);
});

const post = (url, path, json) =>
  fetch(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(json),
  });

/** Waits for a line of an output that contains this text. */
async function lineOf(output, text) {
  for (;;) {
    const line = output()
      .split("\n")
      .find((line) => line.includes(text));
    if (line !== undefined) return line.slice(line.indexOf("{"));
    await setTimeout(50);
  }
}

/** Runs `npm run dev` on a free port, with a configuration and flags, while `act` runs. */
async function withDev(configuration, flags, act) {
  const template = checkout.read("wrangler.toml");
  checkout.write("wrangler.toml", configuration);
  const port = await freePort();
  const url = `http${flags.includes("--https") ? "s" : ""}://localhost:${port}`;
  const env = { ...process.env, ...checkout.env, PORT: String(port) };
  const dev = await serve(url, process.execPath, checkout.command("dev", ...flags), { cwd: checkout.folder, env });
  try {
    await act(dev);
  } finally {
    await dev.stop();
    checkout.write("wrangler.toml", template);
  }
}
