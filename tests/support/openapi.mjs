// Compares requests and responses of the tests with the OpenAPI document, so that it describes exactly what the Worker does.

import assert from "node:assert/strict";

import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

import { operationsOf, resolve } from "../../scripts/generate.mjs";
import { read } from "../../scripts/lib.mjs";

export const DOCUMENT = JSON.parse(read("web/openapi.json"));

/** The headers that the document describes once for all responses, and those of HTTP itself. */
const UNLISTED = new Set([
  "content-security-policy",
  "cross-origin-opener-policy",
  "cross-origin-resource-policy",
  "referrer-policy",
  "strict-transport-security",
  "vary",
  "x-content-type-options",
  "access-control-allow-credentials",
  "access-control-allow-origin",
  "access-control-expose-headers",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "keep-alive",
  "transfer-encoding",
]);

const PATHS = Object.keys(DOCUMENT.paths).map((path) => ({
  path,
  pattern: new RegExp(`^${path.replaceAll(".", "\\.").replace("{id}", "[^/]*").replace("{file}", ".*")}$`),
}));
const OPERATIONS = new Map(
  operationsOf(DOCUMENT).map((operation) => [`${operation.method} ${operation.route}`, operation]),
);

const AT_ROOT = ["/.well-known/webauthn", "/.well-known/passkey-endpoints"];
const METADATA = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

const ajv = addFormats(new Ajv({ strict: false, allErrors: true, coerceTypes: false }));
ajv.addSchema({ ...DOCUMENT, $id: "openapi" });
const validators = new Map();

/** Asserts that a value follows the schema at these members of the document. */
export function assertValid(value, members, what) {
  const pointer = members.map((name) => name.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
  if (!validators.has(pointer)) validators.set(pointer, ajv.compile({ $ref: `openapi#/${encodeURI(pointer)}` }));
  const validate = validators.get(pointer);
  assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
}

/** The path of the document for a URL, below the base path of the issuer. */
function documentedPath(url, basePath) {
  const { pathname } = new URL(url);
  // RFC 8414 §3: the path of the issuer follows that of the metadata.
  const metadata = METADATA.find((path) => path + basePath === pathname);
  if (metadata !== undefined) return metadata;
  // Browsers ask for these at the root of the host only.
  if (AT_ROOT.includes(pathname)) return pathname;
  if (!pathname.startsWith(basePath)) return undefined;
  const path = pathname.slice(basePath.length) || "/";
  return PATHS.find(({ pattern }) => pattern.test(path))?.path;
}

/**
 * Asserts that the document describes a response, and the request if it was successful.
 * @param {{ method: string, target: string, headers?: object, body?: unknown, issuer?: string }} request `target`: a path or URL
 * @param {{ status: number, headers: Headers, text: string }} response
 */
export function assertDocumented({ method, target, headers = {}, body, issuer }, { status, headers: received, text }) {
  const url = target.startsWith("/") ? `http://localhost${target}` : target;
  const basePath = URL.canParse(issuer) ? new URL(issuer).pathname.replace(/\/$/, "") : "";
  const path = documentedPath(url, basePath);
  const operation = OPERATIONS.get(`${method === "HEAD" ? "GET" : method} ${path}`);
  const what = `${method} ${path ?? target}: ${status}`;
  if (method === "OPTIONS" && status === 204) return assert.notEqual(path, undefined, what);

  const at = operation
    ? ["paths", path, operation.method.toLowerCase(), "responses", String(status)]
    : ["components", "responses", shared(path, status, received)];
  const found = at.reduce((part, name) => part?.[name], DOCUMENT);
  assert.ok(found, `the document does not describe ${what} ${text}`);
  const members = found.$ref === undefined ? at : found.$ref.split("/").slice(1);
  const response = resolve(found, DOCUMENT);

  const documented = Object.entries(response.headers).map(([name, header]) => [name, resolve(header, DOCUMENT)]);
  for (const [name, { required }] of documented)
    if (required) assert.notEqual(received.get(name), null, `${what}: ${name} is missing`);
  const names = new Set(documented.map(([name]) => name.toLowerCase()));
  for (const name of received.keys())
    assert.ok(names.has(name) || UNLISTED.has(name), `the document does not describe the header ${name} of ${what}`);

  const type = received.get("Content-Type")?.split(";")[0];
  if (response.content === undefined) assert.deepEqual([type, text], [undefined, ""], what);
  else if (response.content["*/*"] === undefined) {
    assert.ok(response.content[type], `the document does not describe the type ${type} of ${what}`);
    // A response to HEAD has no body.
    if (method !== "HEAD") {
      const value = type.endsWith("json") ? JSON.parse(text) : text;
      assertValid(value, [...members, "content", type, "schema"], what);
    }
  }
  if (status < 300) assertRequest(operation, path, new URL(url), { headers, body }, what);
}

/** The name of the response that a path without an operation has. */
function shared(path, status, headers) {
  const name = { 404: "NotFound", 405: "MethodNotAllowed", 421: "WrongHost", 503: "Misconfigured" }[status];
  const isUnknown = path === undefined;
  // Pages that the configuration turns off are unknown, too.
  const mayBeUnknown = isUnknown || DOCUMENT.paths[path].get?.responses[404] !== undefined;
  const isPossible = name === "NotFound" ? mayBeUnknown : name !== "MethodNotAllowed" || !isUnknown;
  assert.ok(name && isPossible, `${path ?? "an unknown path"}: ${status}`);
  return headers.get("Content-Type") === "application/json" ? `OAuth${name}` : name;
}

function assertRequest({ method, parameters = [], requestBody }, path, url, { headers, body }, what) {
  const query = parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name);
  if (query.length > 0)
    for (const name of url.searchParams.keys()) assert.ok(query.includes(name), `${what}: the parameter ${name}`);
  if (requestBody === undefined || !(typeof body === "string" || body instanceof URLSearchParams)) return;
  const type = new Headers(headers).get("Content-Type")?.split(";")[0].trim().toLowerCase();
  assert.ok(requestBody.content[type], `the document does not describe the type ${type} of the request ${what}`);
  const sent = type.endsWith("json") ? JSON.parse(String(body)) : Object.fromEntries(new URLSearchParams(body));
  assertValid(sent, ["paths", path, method.toLowerCase(), "requestBody", "content", type, "schema"], `request ${what}`);
}
