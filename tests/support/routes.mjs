// The endpoints, parsed from the table in src/routes/mod.rs. A row that cannot be parsed is an error.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const ROW =
  /^(?<name>\w+): (?<method>Get|Post|Patch|Delete) "(?<pattern>\/[\w/.{}*-]*)" => [\w:]+, (?<body>Read|Ignored), (?<errorFormat>Problem|OAuth), (?<limit>None|Credentials|Writes);$/;

/** A file for each pattern that leaves the rest of the path open. */
const FILES = { "/docs/{*file}": "/docs/docs.css", "/account/{*file}": "/account/login" };

/** The rows of the table: `name`, `method`, `pattern`, `path` (with a file), `readsBody`, `errorFormat`, `limit`. */
export const ENDPOINTS = rows(readFileSync(new URL("../../src/routes/mod.rs", import.meta.url), "utf8"));

function rows(source) {
  const [, table] = source.match(/^endpoints! \{\n(.*?)^\}$/ms) ?? assert.fail("src/routes/mod.rs has no table");
  return table
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { groups } = line.trim().match(ROW) ?? assert.fail(`not a row of the table: ${line}`);
      const { name, method, pattern, body, errorFormat, limit } = groups;
      const path = pattern.includes("*") ? (FILES[pattern] ?? assert.fail(`no file for ${pattern}`)) : pattern;
      return { name, method: method.toUpperCase(), pattern, path, readsBody: body === "Read", errorFormat, limit };
    });
}

/** Every endpoint: its path and method. */
export const ROUTES = ENDPOINTS.map(({ path, method }) => [path, method]);

const named = ({ method, path }) => `${method} ${path}`;

/** Every endpoint that reads a body, such as "POST /login". */
export const WITH_BODY = ENDPOINTS.filter(({ readsBody }) => readsBody).map(named);

/** The paths with OAuth errors. */
export const OAUTH_PATHS = ENDPOINTS.filter(({ errorFormat }) => errorFormat === "OAuth").map(({ path }) => path);

/** Every endpoint that requires no access token. The tests expect every other one, new ones included, to require it. */
const WITHOUT_BEARER = [
  "GET /",
  "POST /register",
  "POST /register/passkey/options",
  "POST /register/passkey",
  "POST /login",
  "POST /login/email",
  "POST /login/email/verify",
  "POST /login/mfa",
  "POST /login/mfa/options",
  "POST /passkeys/options",
  "POST /passkeys/login",
  "POST /password/forgot",
  "POST /password/reset",
  "POST /email/verify/send",
  "POST /email/verify",
  "POST /email/disown",
  "POST /email/link",
  "POST /refresh",
  "POST /logout",
  "POST /me/email/cancel",
  "POST /token",
  "POST /revoke",
  "POST /introspect",
  "GET /.well-known/oauth-authorization-server",
  "GET /.well-known/openid-configuration",
  "GET /.well-known/jwks.json",
  "GET /.well-known/webauthn",
  "GET /.well-known/passkey-endpoints",
  "GET /healthz",
  "GET /openapi.json",
  "GET /docs",
  "GET /docs/docs.css",
  "GET /account",
  "GET /account/config.json",
  "GET /account/login",
];
for (const route of WITHOUT_BEARER) assert.ok(ENDPOINTS.map(named).includes(route), `there is no ${route}`);

/** Every endpoint that requires an access token: its path and method. */
export const BEARER_ROUTES = ENDPOINTS.filter((endpoint) => !WITHOUT_BEARER.includes(named(endpoint))).map(
  ({ path, method }) => [path, method],
);

/** The methods of a path, as `Allow` lists them. */
export function allowed(path) {
  const methods = ROUTES.filter(([own]) => own === path).flatMap(([, method]) =>
    method === "GET" ? ["GET", "HEAD"] : [method],
  );
  return [...methods, "OPTIONS"].join(", ");
}
