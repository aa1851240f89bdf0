// Third-party clients and resource servers: oauth4webapi and openid-client as OAuth clients; jose, oauth4webapi, Hono,
// jsonwebtoken in Rust and PyJWT in Python as resource servers. They know only the issuer.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { Hono } from "hono";
import { jwk } from "hono/jwk";
import { createRemoteJWKSet, decodeJwt, customFetch as joseFetch, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";

import { makeResourceServer } from "../../packages/portcullis/src/secrets.mjs";
import { forged, startWorker } from "../support/harness.mjs";
import { signingInput, signToken } from "../support/tokens.mjs";

const AUDIENCE = "https://api.example.org";
const api = makeResourceServer("orders-api~1.0", AUDIENCE);
const otherApi = makeResourceServer("other-api", "https://other.example.org");

/** The tested issuers: on loopback, on their own host, and below a path of a shared host. */
const PLACES = {
  "on loopback": { ISSUER: "http://127.0.0.1:8787" },
  "on its own host": { ISSUER: "https://auth.example.org" },
  "below a path": { ISSUER: "https://example.org/auth" },
};

let worker;
before(async () => {
  worker = await startWorker({ vars: { RESOURCE_SERVERS: JSON.stringify([api.entry, otherApi.entry]) } });
});
after(() => worker.close());

/** The network as the clients see it, in which only the issuer exists. */
function fetchFromWorker(issuer) {
  return async (url, init) => {
    assert.equal(new URL(url).origin, new URL(issuer).origin, `a request to ${url}`);
    const response = await worker.ask(String(url), init);
    // The host of the test server is not the one that the clients use.
    return new Response(await response.arrayBuffer(), response);
  };
}

for (const [name, vars] of Object.entries(PLACES)) {
  const { ISSUER } = vars;
  const insecure = ISSUER.startsWith("http:");

  test(`clients of an issuer ${name}`, async (t) => {
    await worker.update({ vars });
    const base = new URL(ISSUER).pathname.replace(/\/$/, "");
    const session = async () => {
      const json = { email: `client-${crypto.randomUUID()}@example.org`, password: "correct horse battery staple" };
      return (await worker.post(`${base}/register`, { json })).body;
    };
    const me = async (token) => (await worker.get(`${base}/me`, { bearer: token })).status;

    for (const algorithm of ["oauth2", "oidc"]) {
      await t.test(`oauth4webapi, by ${algorithm} discovery`, async () => {
        const options = { [oauth.customFetch]: fetchFromWorker(ISSUER), [oauth.allowInsecureRequests]: insecure };
        const issuer = new URL(ISSUER);
        const as = await oauth.processDiscoveryResponse(
          issuer,
          await oauth.discoveryRequest(issuer, { algorithm, ...options }),
        );
        assert.equal(as.issuer, ISSUER);
        const [client, none] = [{ client_id: "first-party" }, oauth.None()];
        const refresh = async (token, as_client = client, auth = none, more = {}) => {
          const response = await oauth.refreshTokenGrantRequest(as, as_client, auth, token, { ...options, ...more });
          return oauth.processRefreshTokenResponse(as, as_client, response);
        };
        const introspect = async (token, { entry, secret } = api) => {
          const server = { client_id: entry.id };
          const response = await oauth.introspectionRequest(
            as,
            server,
            oauth.ClientSecretBasic(secret),
            token,
            options,
          );
          return oauth.processIntrospectionResponse(as, server, response);
        };

        const first = await session();
        // Some clients always send a scope.
        const scope = { additionalParameters: { scope: "openid" } };
        const { access_token, refresh_token, token_type, expires_in } = await refresh(
          first.refresh_token,
          client,
          none,
          scope,
        );
        assert.deepEqual([token_type, expires_in, await me(access_token)], ["bearer", 900, 200]);
        const is = (code, status) => (error) => {
          assert.ok(error instanceof oauth.ResponseBodyError, error);
          assert.deepEqual([error.error, error.status], [code, status]);
          return true;
        };
        await assert.rejects(refresh(forged(refresh_token)), is("invalid_grant", 400));
        await assert.rejects(refresh(refresh_token, { client_id: "another" }), is("invalid_client", 400));
        await assert.rejects(refresh(refresh_token, client, oauth.ClientSecretPost("x")), is("invalid_client", 400));
        const challenged = (error) => {
          assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error);
          assert.deepEqual(
            [error.status, error.cause[0].scheme, error.cause[0].parameters.realm],
            [401, "basic", "portcullis"],
          );
          return true;
        };
        await assert.rejects(refresh(refresh_token, client, oauth.ClientSecretBasic("x")), challenged);

        const request = (token) =>
          new Request("https://api.example.org/orders", { headers: { Authorization: `Bearer ${token}` } });
        const claims = await oauth.validateJwtAccessToken(as, request(access_token), AUDIENCE, {
          ...options,
          signingAlgorithms: ["ES256"],
        });
        assert.equal(claims.sub, first.user.id);
        await assert.rejects(oauth.validateJwtAccessToken(as, request(`${access_token}x`), AUDIENCE, options));
        await assert.rejects(
          oauth.validateJwtAccessToken(as, request(access_token), otherApi.entry.audience, options),
          /aud/,
        );

        const introspected = await introspect(access_token);
        assert.deepEqual(
          [introspected.active, introspected.iss, introspected.sub, introspected.roles],
          [true, ISSUER, first.user.id, ["user"]],
        );
        assert.equal((await introspect(refresh_token)).sid, first.session_id);
        assert.deepEqual(await introspect(access_token, otherApi), { active: false });
        await assert.rejects(introspect(access_token, { ...api, secret: "wrong" }), challenged);

        const revoke = async (token) =>
          oauth.processRevocationResponse(await oauth.revocationRequest(as, client, none, token, options));
        assert.equal(await revoke(refresh_token), undefined);
        assert.deepEqual(
          [await introspect(access_token), await introspect(refresh_token)],
          [{ active: false }, { active: false }],
        );
        await assert.rejects(refresh(refresh_token), is("invalid_grant", 400));
        assert.equal(await revoke("unknown"), undefined);
      });

      await t.test(`openid-client, by ${algorithm} discovery`, async () => {
        const discover = (id, auth) => {
          const execute = insecure ? [openid.allowInsecureRequests] : [];
          return openid.discovery(new URL(ISSUER), id, undefined, auth, {
            algorithm,
            execute,
            [openid.customFetch]: fetchFromWorker(ISSUER),
          });
        };
        const client = await discover("first-party", openid.None());
        assert.equal(client.serverMetadata().issuer, ISSUER);
        const server = await discover(api.entry.id, openid.ClientSecretBasic(api.secret));

        const first = await session();
        const tokens = await openid.refreshTokenGrant(client, first.refresh_token, { scope: "offline_access" });
        assert.deepEqual([tokens.expiresIn() > 890, await me(tokens.access_token)], [true, 200]);
        assert.notEqual(tokens.refresh_token, first.refresh_token);
        const refused = (error) => (config, token, parameters) =>
          assert.rejects(openid.refreshTokenGrant(config, token, parameters), {
            name: "ResponseBodyError",
            error,
            status: 400,
          });
        await refused("invalid_grant")(client, forged(tokens.refresh_token));
        await refused("invalid_client")(await discover("another", openid.None()), tokens.refresh_token);
        await assert.rejects(openid.clientCredentialsGrant(client), {
          name: "ResponseBodyError",
          error: "unsupported_grant_type",
        });

        assert.equal((await openid.tokenIntrospection(server, tokens.access_token)).sub, first.user.id);
        assert.equal((await openid.tokenIntrospection(server, tokens.refresh_token)).active, true);
        await assert.rejects(openid.tokenIntrospection(client, tokens.access_token), {
          name: "WWWAuthenticateChallengeError",
          status: 401,
        });

        assert.equal(await openid.tokenRevocation(client, tokens.access_token), undefined);
        assert.deepEqual(await openid.tokenIntrospection(server, tokens.refresh_token), { active: false });
        await refused("invalid_grant")(client, tokens.refresh_token);
      });
    }

    await t.test("a replay ends the session, as the client sees it", async () => {
      const options = {
        execute: insecure ? [openid.allowInsecureRequests] : [],
        [openid.customFetch]: fetchFromWorker(ISSUER),
      };
      const client = await openid.discovery(new URL(ISSUER), "first-party", undefined, openid.None(), options);
      const { refresh_token, session_id } = await session();
      const next = await openid.refreshTokenGrant(client, refresh_token);
      await worker.age(60, session_id);
      for (const token of [refresh_token, next.refresh_token]) {
        await assert.rejects(openid.refreshTokenGrant(client, token), {
          name: "ResponseBodyError",
          error: "invalid_grant",
        });
      }
    });

    await t.test("jose, from the discovered keys", async () => {
      const fetchIt = fetchFromWorker(ISSUER);
      const { issuer, jwks_uri } = await (await fetchIt(`${ISSUER}/.well-known/openid-configuration`)).json();
      const keys = createRemoteJWKSet(new URL(jwks_uri), { [joseFetch]: fetchIt });
      const { access_token, user } = await session();
      const verify = (token, audience = AUDIENCE) =>
        jwtVerify(token, keys, { issuer, audience, algorithms: ["ES256"], typ: "at+jwt" });
      assert.equal((await verify(access_token)).payload.sub, user.id);
      await assert.rejects(verify(tampered(access_token)), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
      await assert.rejects(verify(access_token, "https://other.example.org"), { claim: "aud" });
    });
  });
}

/** Runs a program with this input, without a proxy, and returns its output. */
function ask(command, args, input) {
  return new Promise((resolve, reject) => {
    const cwd = fileURLToPath(new URL("../..", import.meta.url));
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, no_proxy: "*" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"])
      child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
    child.stdin.on("error", () => {});
    child.on("error", reject).on("close", (code) => resolve({ code, ...output }));
    child.stdin.end(input);
  });
}

/** Tokens for a resource server, each with the expected outcome and, if it is not ours, the audience. */
async function tokenCases({ access_token, refresh_token }) {
  const claims = decodeJwt(access_token);
  const [jwk] = JSON.parse(worker.secrets.SIGNING_KEYS).keys;
  const sign = (change, header, key = jwk) =>
    signToken({ ...key, alg: "ES256", kid: jwk.kid }, { ...claims, ...change }, header);
  const { d, ...publicJwk } = jwk;
  const pem = createPublicKey({ key: publicJwk, format: "jwk" }).export({ type: "spki", format: "pem" });
  const unsigned = (header) => signingInput(header, claims);
  const hs256 = unsigned({ alg: "HS256", kid: jwk.kid, typ: "at+jwt" });
  const now = Math.floor(Date.now() / 1000);
  const another = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  return {
    "the token as it was issued": [access_token, "claims"],
    "the same claims, signed again": [sign(), "claims"],
    "a token from a clock that is ahead": [sign({ iat: now + 30 }), "claims"],
    "changed claims": [tampered(access_token), "refused"],
    "a cut signature": [access_token.slice(0, -4), "refused"],
    "another audience": [access_token, "refused", "https://other.example.org"],
    "a token for another audience": [sign({ aud: "https://other.example.org" }), "refused"],
    "a token of another issuer": [sign({ iss: "https://evil.example" }), "refused"],
    "an expired token": [sign({ exp: now - 1 }), "refused"],
    "a token that is not valid yet": [sign({ nbf: now + 60 }), "refused"],
    "another type": [sign({}, { typ: "JWT" }), "refused"],
    "an unknown key": [sign({}, { kid: "unknown" }, another), "refused"],
    "another key with our kid": [sign({}, {}, another), "refused"],
    "no algorithm": [`${unsigned({ alg: "none", kid: jwk.kid, typ: "at+jwt" })}.`, "refused"],
    "the public key as a secret": [
      `${hs256}.${createHmac("sha256", pem).update(hs256).digest("base64url")}`,
      "refused",
    ],
    "a refresh token": [refresh_token, "refused"],
  };
}

/** Asserts that a resource server gives the expected outcome for every token. */
async function assertOutcomes(t, verify) {
  // The issuer must be reachable at its own URL, so this uses the real address of the test server.
  const issuer = worker.url.origin;
  await worker.update({ vars: { ISSUER: issuer } });
  const user = await worker.register();
  for (const [name, [token, expected, audience = AUDIENCE]] of Object.entries(await tokenCases(user))) {
    await t.test(name, async () => {
      const { code, stdout, stderr } = await verify(token, issuer, audience);
      assert.equal(code, 0, stderr);
      const outcome = JSON.parse(stdout);
      assert.deepEqual(Object.keys(outcome), [expected], stdout);
      if (expected === "claims") assert.deepEqual(outcome.claims, decodeJwt(token));
    });
  }
}

test("Hono, as in the guide", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  t.after(() => rmSync(folder, { recursive: true }));
  symlinkSync(new URL("../../node_modules", import.meta.url), join(folder, "node_modules"));
  const guide = readFileSync(new URL("../../docs/guides/resource-servers.md", import.meta.url), "utf8");
  const [, code] = guide.match(/^```js\n(import \{ Hono \}.*?)^```/ms);
  const apps = new Map();
  const appFor = async (issuer, audience) => {
    const file = join(folder, `${apps.size}.mjs`);
    writeFileSync(
      file,
      code
        .replace('"https://auth.example.com"', JSON.stringify(issuer))
        .replace('"https://api.example.com"', JSON.stringify(audience)),
    );
    const { default: app } = await import(pathToFileURL(file));
    return app.get("/claims", (c) => c.json(c.get("jwtPayload")));
  };
  const ask = async (app, token, path = "/claims") =>
    app.request(path, { headers: { Authorization: `Bearer ${token}` } });

  await assertOutcomes(t, async (token, issuer, audience) => {
    const name = `${issuer} ${audience}`;
    if (!apps.has(name)) apps.set(name, await appFor(issuer, audience));
    const answer = await ask(apps.get(name), token);
    const outcome = answer.status === 200 ? { claims: await answer.json() } : { refused: answer.status };
    assert.ok([200, 401].includes(answer.status), String(answer.status));
    return { code: 0, stdout: JSON.stringify(outcome) };
  });

  const [app] = apps.values();
  const { access_token, user } = await worker.register();
  assert.deepEqual(await (await ask(app, access_token, "/orders")).json(), { user: user.id, roles: ["user"] });
  assert.equal((await app.request("/orders")).status, 401);

  await t.test("the type must be configured", async () => {
    const { keys } = (await worker.get("/.well-known/jwks.json")).body;
    const withoutType = new Hono().use(jwk({ keys, alg: ["ES256"] })).get("/claims", (c) => c.json({}));
    assert.equal((await ask(withoutType, access_token)).status, 401);
  });
});

test("jsonwebtoken, in Rust", async (t) => {
  // Built once, because cargo takes longer to check the build than the program takes to run.
  const example = ["--locked", "--quiet", "--example", "resource_server"];
  const built = await ask("cargo", ["build", ...example], "");
  assert.equal(built.code, 0, built.stderr);
  const program = fileURLToPath(new URL("../../target/debug/examples/resource_server", import.meta.url));
  await assertOutcomes(t, async (token, issuer, audience) => {
    const { jwks_uri } = (await worker.get("/.well-known/oauth-authorization-server")).body;
    const jwks = await (await fetch(jwks_uri)).json();
    return ask(program, [], JSON.stringify({ token, jwks, issuer, audience }));
  });
});

test("PyJWT, in Python", async (t) => {
  // PyJWT is used only if it is installed, because the tests install packages only from the Rust and npm registries.
  const found = await ask("python3", ["-c", "import jwt, cryptography; jwt.PyJWKClient"], "").catch((error) => ({
    code: -1,
    stderr: error.message,
  }));
  if (found.code !== 0) {
    const reason = found.stderr.trim().split("\n").at(-1);
    return t.skip(`python3 here has no PyJWT with cryptography (pip install PyJWT cryptography): ${reason}`);
  }
  await assertOutcomes(t, (token, issuer, audience) =>
    ask("python3", ["examples/resource_server.py", issuer, audience], token),
  );
});

/** The token with changed claims and its old signature. */
function tampered(token) {
  const [head, body, signature] = token.split(".");
  const claims = { ...JSON.parse(Buffer.from(body, "base64url")), roles: ["admin"] };
  return [head, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
}
