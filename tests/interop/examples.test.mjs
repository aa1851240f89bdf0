// The examples of resource servers, run as they are, against the Worker.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { createTestHarness, unstable_readConfig } from "wrangler";
import { makeKey, makeResourceServer, makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { path, read, run } from "../../scripts/lib.mjs";
import { keySet, PASSWORD, startWorker, VARS } from "../support/harness.mjs";
import { installed } from "../support/installed.mjs";
import { Forge, INVALID_TOKENS, validTokens } from "../support/invalid-tokens.mjs";
import { patiently } from "../support/patience.mjs";
import { freePort } from "../support/served.mjs";

const api = makeResourceServer("orders-api", VARS.AUDIENCE);
const RESOURCE_SERVERS = JSON.stringify([api.entry]);

let packages;
before(async () => {
  packages = await installed("verify", ["jose", "hono", "express"]);
});
after(() => packages.remove());

/** Copies an example to where the packages are installed. */
function copied(name) {
  const folder = join(packages.folder, name);
  cpSync(path("examples", name), folder, { recursive: true, filter: (file) => !file.includes("node_modules") });
  return folder;
}

test("the examples depend on the archive that scripts/packages.mjs writes", () => {
  const { version } = JSON.parse(read("packages/verify/package.json"));
  for (const name of ["hono-worker", "express"]) {
    const { dependencies } = JSON.parse(read(`examples/${name}/package.json`));
    assert.equal(dependencies["@portcullis/verify"], `file:../../build/packages/portcullis-verify-${version}.tgz`);
  }
  assert.ok(readdirSync(packages.folder).includes(`portcullis-verify-${version}.tgz`));
});

/** Asserts the response to a request with that token, if any: its status, and its body or code. */
async function expects(ask, [method, url], token, status, expected) {
  const response = await ask(url, { method, headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } });
  const text = await response.text();
  assert.equal(response.status, status, text);
  const body = text === "" ? undefined : JSON.parse(text);
  if (status < 400) return assert.deepEqual(body, expected);
  assert.equal(body.code, expected, text);
  const challenge = response.headers.get("www-authenticate");
  const error = { missing_token: undefined, forbidden: "insufficient_scope", invalid_request: "invalid_request" };
  const name = expected in error ? error[expected] : "invalid_token";
  assert.match(challenge, name === undefined ? /^Bearer$/ : new RegExp(`^Bearer error="${name}"`));
  return assert.equal(response.headers.get("content-type"), "application/problem+json");
}

/** Asserts that an example accepts and refuses the same tokens as the Worker. */
async function judgesAlike(ask, secrets, { access_token, refresh_token }) {
  const forge = new Forge(JSON.parse(secrets.SIGNING_KEYS).keys[0], access_token);
  const orders = ["GET", "/orders"];
  const body = { user: forge.claims.sub, roles: ["user"] };
  for (const token of Object.values(await validTokens(forge))) await expects(ask, orders, token, 200, body);
  for (const tokens of Object.values(INVALID_TOKENS))
    for (const token of await tokens(forge)) await expects(ask, orders, token, 401, "invalid_token");
  await expects(ask, orders, refresh_token, 401, "invalid_token");
  await expects(ask, orders, undefined, 401, "missing_token");
  await expects(ask, orders, `${access_token}, Bearer ${access_token}`, 400, "invalid_request");
  await expects(ask, orders, await forge.make({ claims: { exp: 1 } }), 401, "token_expired");
  await expects(ask, ["GET", "/reports"], access_token, 403, "forbidden");
  const admin = await forge.make({ claims: { roles: ["user", "admin"] } });
  await expects(ask, ["GET", "/reports"], admin, 200, { reports: [] });
}

describe("behind a service binding and with the namespace of Portcullis", () => {
  const { ISSUER, AUDIENCE } = VARS;
  const secrets = makeSecrets();
  let server, url, portcullis;
  before(async () => {
    await run("cargo", ["run", "--quiet", "--locked", "--profile", "tool", "-p", "portcullis-build", "--", "example"]);
    const { name, compatibility_date, services, kv_namespaces } = unstable_readConfig({
      config: path("examples", "rust-worker", "wrangler.toml"),
    });
    const rules = [{ type: "CompiledWasm", globs: ["**/*.wasm"] }];
    const main = { main: "build/example/index.js", base_dir: "build/example", no_bundle: true };
    server = createTestHarness({
      root: path("."),
      workers: [
        {
          configPath: join(copied("hono-worker"), "wrangler.toml"),
          vars: { ISSUER, AUDIENCE },
          secrets: { INTROSPECTION_SECRET: api.secret },
        },
        {
          config: {
            ...{ name, compatibility_date, services, kv_namespaces, rules },
            ...{ ...main, find_additional_modules: true, vars: { ISSUER, AUDIENCE } },
          },
        },
        { configPath: "wrangler.toml", prebuiltWorkerDir: "dist", vars: { ...VARS, RESOURCE_SERVERS }, secrets },
      ],
    });
    ({ url } = await server.listen());
    portcullis = server.getWorker("portcullis");
    await portcullis.applyD1Migrations("DB");
  });
  after(() => server?.close());

  async function register(email) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ email, password: PASSWORD });
    const response = await portcullis.fetch(`${ISSUER}/register`, { method: "POST", headers, body });
    assert.equal(response.status, 201);
    return response.json();
  }

  /** Ends a session, and waits until KV has its mark. */
  async function revoke({ refresh_token, session_id }) {
    const body = new URLSearchParams({ token: refresh_token });
    assert.equal((await portcullis.fetch(`${ISSUER}/revoke`, { method: "POST", body })).status, 200);
    const { REVOCATIONS } = await portcullis.getEnv();
    const marked = async () => {
      while ((await REVOCATIONS.get(`revoked:${session_id}`)) === null);
    };
    await patiently(marked(), "no mark is written");
  }

  test("hono-worker", async (t) => {
    const ask = (target, init) => fetch(new URL(target, url), init);
    assert.equal((await ask("/")).status, 200);
    await judgesAlike(ask, secrets, await register("ada@example.org"));

    await t.test("a session that ends", async () => {
      const session = await register("bob@example.org");
      const { access_token, user } = session;
      await expects(ask, ["GET", "/orders"], access_token, 200, { user: user.id, roles: ["user"] });
      await expects(ask, ["POST", "/payments"], access_token, 201, { user: user.id });
      await revoke(session);
      await expects(ask, ["GET", "/orders"], access_token, 401, "token_revoked");
      await expects(ask, ["POST", "/payments"], access_token, 401, "token_revoked");
    });

    await t.test("a route that asks for a second factor challenges the client", async () => {
      const { access_token } = await register("eve@example.org");
      const remove = (token) => ask("/orders", { method: "DELETE", headers: { Authorization: `Bearer ${token}` } });
      const response = await remove(access_token);
      const text = "This requires a more recent or a stronger authentication.";
      const error = `Bearer error="insufficient_user_authentication", error_description="${text}"`;
      assert.equal(response.status, 401);
      assert.equal(response.headers.get("www-authenticate"), `${error}, acr_values="mfa", max_age="300"`);
      const forge = new Forge(JSON.parse(secrets.SIGNING_KEYS).keys[0], access_token);
      const stronger = await forge.make({ claims: { acr: "mfa", auth_time: Math.floor(Date.now() / 1000) } });
      assert.equal((await remove(stronger)).status, 204);
    });
  });

  test("rust-worker", async () => {
    const worker = server.getWorker("orders-api-rust");
    const ask = (target, init) => worker.fetch(new URL(target, url), init);
    await judgesAlike(ask, secrets, await register("grace@example.org"));
    const session = await register("alan@example.org");
    await expects(ask, ["GET", "/orders"], session.access_token, 200, { user: session.user.id, roles: ["user"] });
    await revoke(session);
    await expects(ask, ["GET", "/orders"], session.access_token, 401, "token_revoked");
  });
});

/** Starts a program that prints its address, and returns what asks it. */
async function started(t, command, args, options) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let output = "";
  const address = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        const [url] = /^http:\/\/127\.0\.0\.1:\d+$/m.exec(output) ?? [];
        if (url !== undefined) resolve(url);
      });
    }
    child.on("error", reject).on("close", () => reject(new Error(`it ended by itself:\n${output}`)));
  });
  t.after(async () => {
    const closed = new Promise((resolve) => child.on("close", resolve));
    child.kill();
    await closed;
  });
  const url = await patiently(address, "the example does not start");
  return (target, init) => fetch(url + target, init);
}

/** The Worker at an address that is its issuer. */
async function issuing() {
  const worker = await startWorker({ vars: { RESOURCE_SERVERS } });
  const issuer = worker.url.origin;
  await worker.update({ vars: { ISSUER: issuer } });
  return { worker, issuer };
}

test("express", async (t) => {
  const { worker, issuer } = await issuing();
  t.after(() => worker.close());
  const env = { ...process.env, ISSUER: issuer, AUDIENCE: VARS.AUDIENCE, INTROSPECTION_SECRET: api.secret, PORT: "0" };
  const ask = await started(t, process.execPath, ["server.js"], { cwd: copied("express"), env });
  await judgesAlike(ask, worker.secrets, await worker.register());

  const { access_token, refresh_token, user } = await worker.register();
  await expects(ask, ["POST", "/payments"], access_token, 201, { user: user.id });
  await worker.revoke(refresh_token);
  await expects(ask, ["POST", "/payments"], access_token, 401, "token_revoked");
  // A server that checks only the signature accepts the token until it expires.
  await expects(ask, ["GET", "/orders"], access_token, 200, { user: user.id, roles: ["user"] });
});

test("axum", async (t) => {
  // Built once, because cargo takes longer to check the build than the program takes to start.
  await run("cargo", ["build", "--locked", "--quiet", "-p", "orders-api-axum"]);
  const { worker, issuer } = await issuing();
  t.after(() => worker.close());
  const env = { ...process.env, ISSUER: issuer, AUDIENCE: VARS.AUDIENCE, PORT: "0" };
  const ask = await started(t, path("target", "debug", "orders-api-axum"), [], { env });
  const user = await worker.register();
  await judgesAlike(ask, worker.secrets, user);

  await t.test("a route that needs a recent authentication", async () => {
    const payouts = ({ access_token }) => ask("/payouts", { headers: { Authorization: `Bearer ${access_token}` } });
    assert.equal((await payouts(user)).status, 200);
    const old = worker.authenticatedAgo(user, 301);
    const refused = await payouts(old);
    assert.deepEqual([refused.status, (await refused.json()).code], [401, "insufficient_user_authentication"]);
    assert.equal(
      refused.headers.get("www-authenticate"),
      'Bearer error="insufficient_user_authentication", error_description="This requires a more recent or a stronger authentication.", max_age="300"',
    );
    // A refresh does not help, a step-up does.
    const session = await worker.register();
    await worker.db.prepare("UPDATE refresh_tokens SET authenticated_at = authenticated_at - 301").run();
    const refreshed = (await worker.refresh(session.refresh_token)).body;
    assert.equal((await payouts(refreshed)).status, 401);
    const renewed = (await worker.stepUp({ ...refreshed, password: PASSWORD })).body;
    assert.equal((await payouts(renewed)).status, 200);
  });

  await t.test("other kinds of keys", async () => {
    for (const [algorithm, status] of [
      ["EdDSA", 200],
      // Not supported: the answer is that of a server that cannot tell, not that the token is invalid.
      ["RS256", 503],
    ]) {
      await worker.update({ vars: { ISSUER: issuer }, secrets: keySet(makeKey(algorithm)) });
      const fresh = await started(t, path("target", "debug", "orders-api-axum"), [], { env });
      const { access_token } = await worker.register();
      const response = await fresh("/orders", { headers: { Authorization: `Bearer ${access_token}` } });
      assert.equal(response.status, status, algorithm);
    }
  });

  await t.test("an issuer that does not answer", async () => {
    const alone = await started(t, path("target", "debug", "orders-api-axum"), [], {
      env: { ...env, ISSUER: `http://127.0.0.1:${await freePort()}` },
    });
    const token = worker.resign(user.access_token, {});
    const response = await alone("/orders", { headers: { Authorization: `Bearer ${token}` } });
    assert.deepEqual([response.status, (await response.json()).code], [503, "keys_unavailable"]);
    assert.equal(response.headers.get("retry-after"), "5");
  });
});
