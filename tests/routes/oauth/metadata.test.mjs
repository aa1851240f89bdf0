// The metadata of RFC 8414 and OpenID Connect Discovery: their well-known paths and their members.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeResourceServer } from "../../../packages/portcullis/src/secrets.mjs";
import { assertProblem, ISSUER, startWorker } from "../../support/harness.mjs";

const OAUTH = "/.well-known/oauth-authorization-server";
const OPENID = "/.well-known/openid-configuration";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

const document = (issuer) => ({
  issuer,
  token_endpoint: `${issuer}/token`,
  token_endpoint_auth_methods_supported: ["none"],
  grant_types_supported: ["refresh_token"],
  revocation_endpoint: `${issuer}/revoke`,
  revocation_endpoint_auth_methods_supported: ["none"],
  acr_values_supported: ["aal1", "aal2"],
  jwks_uri: `${issuer}/.well-known/jwks.json`,
});

async function assertDocument(path, expected) {
  const { status, headers, body } = await worker.get(path);
  assert.equal(status, 200, path);
  const [type, cache, policy] = ["content-type", "cache-control", "cross-origin-resource-policy"].map((name) =>
    headers.get(name),
  );
  assert.deepEqual([type, cache, policy], ["application/json", "public, max-age=300", "cross-origin"]);
  assert.deepEqual(body, expected, path);
}

async function assertNothingAt(...paths) {
  for (const path of paths) assertProblem(await worker.get(path), 404, "not_found");
}

test("both well-known paths return the same document, without empty members", async () => {
  for (const path of [OAUTH, OPENID]) await assertDocument(path, document(ISSUER));
  assert.equal((await worker.get(OAUTH)).text, (await worker.get(OPENID)).text);
  for (const path of [OAUTH, OPENID]) {
    await assertNothingAt(`${path}/`, `${path}/auth`, `/auth${path}`, path.toUpperCase(), `/${path}`, `${path}.json`);
    const answer = await worker.post(path, { form: {} });
    assertProblem(answer, 405, "method_not_allowed");
    assert.equal(answer.headers.get("allow"), "GET, HEAD, OPTIONS");
  }
});

test("every endpoint in the metadata exists and supports the listed methods", async () => {
  const server = makeResourceServer("orders-api", "https://api.example.org");
  await worker.update({ vars: { RESOURCE_SERVERS: JSON.stringify([server.entry]) } });
  const { body } = await worker.get(OAUTH);
  assert.deepEqual(body, {
    ...document(ISSUER),
    introspection_endpoint: `${ISSUER}/introspect`,
    introspection_endpoint_auth_methods_supported: ["client_secret_basic"],
  });
  const at = (member) => body[member].replace(ISSUER, "");
  const { access_token, refresh_token } = await worker.register();
  assert.equal((await worker.get(at("jwks_uri"))).body.keys.length, 1);
  const [grant_type] = body.grant_types_supported;
  assert.equal((await worker.post(at("token_endpoint"), { form: { grant_type, refresh_token } })).status, 200);
  const Authorization = `Basic ${btoa(`${server.entry.id}:${server.secret}`)}`;
  const introspect = async () =>
    (await worker.post(at("introspection_endpoint"), { form: { token: access_token }, headers: { Authorization } }))
      .body.active;
  assert.equal(await introspect(), true);
  assert.equal((await worker.post(at("revocation_endpoint"), { form: { token: access_token } })).status, 200);
  assert.equal(await introspect(), false);
  await worker.update();
});

test("the issuer is exactly the configured one, whatever host the request has", async () => {
  const headers = { "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", Forwarded: "host=evil.example" };
  const elsewhere = "https://elsewhere.example";
  for (const issuer of [
    ISSUER,
    "https://auth.example.org",
    "https://auth.example.org:8443",
    "https://xn--mnchen-3ya.example",
  ]) {
    await worker.update({ vars: { ISSUER: issuer, ALSO_ANSWERS_AT: elsewhere } });
    for (const host of [elsewhere, ""]) {
      for (const path of [OAUTH, OPENID])
        assert.deepEqual((await worker.get(host + path, { headers })).body, document(issuer));
    }
  }
  await worker.update();
});

test("the metadata of an issuer with a path is where RFC 8414 and OpenID Connect Discovery expect it", async () => {
  const issuer = "https://example.org/auth/v1";
  await worker.update({ vars: { ISSUER: issuer } });
  const places = [`${OAUTH}/auth/v1`, `${OPENID}/auth/v1`, `/auth/v1${OPENID}`, `/auth/v1${OAUTH}`];
  for (const path of places) await assertDocument(path, document(issuer));
  for (const name of [OAUTH, OPENID]) {
    await assertNothingAt(
      name,
      `${name}/auth`,
      `${name}/auth/v1/`,
      `${name}/auth/v2`,
      `${name}auth/v1`,
      `/auth${name}`,
      `/auth/v1${name}/auth/v1`,
      `${name}/auth/v1/auth/v1`,
    );
  }
  // A path after any other well-known name does not bypass the base path.
  await assertNothingAt("/.well-known/jwks.json/auth/v1", "/me/auth/v1", "/.well-known/jwks.json", "/me");
  for (const path of places) {
    const [get, head, options] = [
      await worker.get(path),
      await worker.request("HEAD", path),
      await worker.request("OPTIONS", path),
    ];
    assert.deepEqual(
      [head.status, head.text, head.headers.get("cache-control")],
      [200, "", get.headers.get("cache-control")],
    );
    assert.deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
    const refused = await worker.post(path, { form: {} });
    assertProblem(refused, 405, "method_not_allowed");
  }
  assert.equal((await worker.get("/auth/v1/.well-known/jwks.json")).body.keys.length, 1);
  await worker.update();
});

test("a page of an allowed origin may read the metadata, and a page of another origin may not", async () => {
  const origin = "https://app.example.org";
  await worker.update({ vars: { ALLOWED_ORIGINS: origin, ISSUER: "https://example.org/auth" } });
  for (const path of [`${OPENID}/auth`, `/auth${OPENID}`]) {
    const allowed = async (Origin) =>
      (await worker.get(path, { headers: { Origin } })).headers.get("access-control-allow-origin");
    assert.deepEqual([await allowed(origin), await allowed("https://evil.example")], [origin, null]);
  }
  await worker.update();
});
