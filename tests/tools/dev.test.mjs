// `npm run dev` in a temporary checkout, on a port other than the default, with a resource server and the static assets.

import assert from "node:assert/strict";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { decodeJwt } from "jose";

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

test("on another port, a resource server with an entry from keygen can introspect", { timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await checkout.node(["scripts/keygen.mjs", "--resource-server", "orders-api"]);
  assert.equal(code, 0, stderr);
  const [secret] = stdout.match(/^[\w-]{43}$/m);
  const [line] = stdout.match(/^RESOURCE_SERVERS = .*$/m);
  const template = checkout.read("wrangler.toml");
  const [, audience] = template.match(/^AUDIENCE = "(.*)"$/m);
  checkout.write("wrangler.toml", template.replace(/^# RESOURCE_SERVERS = ""$/m, line));

  const { url, stop } = await runDev(await freePort());
  try {
    const json = { email: "ada@example.org", password: PASSWORD };
    const registered = await fetch(`${url}/register`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(json),
    });
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
  } finally {
    await stop();
  }
});

test("with the binding of the metrics, which drops data points locally, a registration succeeds", {
  timeout: 120_000,
}, async () => {
  const template = checkout.read("wrangler.toml");
  const section = /^# \[\[analytics_engine_datasets\]\]\n# binding = "METRICS"\n# dataset = "portcullis"$/m;
  assert.match(template, section);
  checkout.write(
    "wrangler.toml",
    template.replace(section, (lines) => lines.replaceAll(/^# /gm, "")),
  );
  const { url, stop, output } = await runDev(await freePort());
  try {
    const { status } = await fetch(`${url}/register`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email: "measured@example.org", password: PASSWORD }),
    });
    assert.equal(status, 201);
  } finally {
    await stop();
    checkout.write("wrangler.toml", template);
  }
  assert.match(output(), /"event":"registered"/);
  assert.doesNotMatch(output(), /metrics_failed/);
});

test("in a fresh checkout, the output has the code that resets a password", { timeout: 120_000 }, async () => {
  const { url, stop, output } = await runDev(await freePort());
  const post = (path, json) =>
    fetch(url + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(json),
    });
  try {
    const email = "forgetful@example.org";
    assert.equal((await post("/register", { email, password: PASSWORD })).status, 201);
    const { challenge } = await (await post("/password/forgot", { email })).json();
    const line = await patiently(lineOf(output, '"event":"mail",'), "the output has no mail");
    const mail = JSON.parse(line);
    assert.deepEqual([mail.kind, mail.to], ["reset", email]);
    assert.ok(mail.link.startsWith(`${url}/account/confirm#token=`));
    const json = { challenge, code: mail.code, new_password: "another correct horse battery" };
    assert.equal((await post("/password/reset", json)).status, 200);
  } finally {
    await stop();
  }
});

test("with a sender in wrangler.toml, no mail is in the output", { timeout: 120_000 }, async () => {
  const [template, secrets] = [checkout.read("wrangler.toml"), checkout.read(".dev.vars")];
  const sender = 'MAIL = "http"\nMAIL_FROM = "auth@example.org"\nMAIL_URL = "http://127.0.0.1:9/"';
  // Wrangler takes only the secrets that are listed from .dev.vars.
  const listed = template.replace(/^required = \[.*(?=\]$)/m, '$&, "MAIL_KEY"').replace(/^# MAIL = ""$/m, sender);
  checkout.write("wrangler.toml", listed);
  checkout.write(".dev.vars", `${secrets}MAIL_KEY=key\n`);
  const { url, stop, output } = await runDev(await freePort());
  try {
    const post = (path, json) =>
      fetch(url + path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(json),
      });
    const email = "sent@example.org";
    assert.equal((await post("/register", { email, password: PASSWORD })).status, 201);
    assert.equal((await post("/password/forgot", { email })).status, 202);
    await patiently(lineOf(output, '"event":"mail_delayed"'), "the mail is not delayed");
    assert.doesNotMatch(output(), /"event":"mail"/);
  } finally {
    await stop();
    checkout.write("wrangler.toml", template);
    checkout.write(".dev.vars", secrets);
  }
});

test("with --https, the issuer and the address are https", { timeout: 120_000 }, async () => {
  // For the self-signed certificate.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  const { url, stop } = await runDev(await freePort(), "--https");
  try {
    const metadata = await fetch(`${url}/.well-known/oauth-authorization-server`);
    assert.deepEqual([new URL(url).protocol, (await metadata.json()).issuer], ["https:", url]);
  } finally {
    await stop();
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  }
});

test("every static asset is reached through the Worker only", { timeout: 120_000 }, async () => {
  const { url, stop } = await runDev(await freePort());
  try {
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
  } finally {
    await stop();
  }
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

/** Runs `npm run dev` on that port. */
function runDev(port, ...flags) {
  const env = { ...process.env, ...checkout.env, PORT: String(port) };
  const url = `http${flags.includes("--https") ? "s" : ""}://localhost:${port}`;
  const options = { cwd: checkout.folder, env };
  return serve(url, process.execPath, ["scripts/dev.mjs", ...flags], options);
}
