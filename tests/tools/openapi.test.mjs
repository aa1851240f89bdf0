// The OpenAPI document follows from the code, is what other tools accept, and is in the documentation. That it describes what the
// Worker does is checked for every response of the other tests, by tests/support/openapi.mjs.

import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import {
  generateDocument,
  generateLogSchema,
  LOG_SCHEMA,
  operationsOf,
  PAGE,
  resolve,
  withTables,
} from "../../scripts/generate.mjs";
import { path, read } from "../../scripts/lib.mjs";
import { cached } from "../support/cached.mjs";
import { assertValid, DOCUMENT } from "../support/openapi.mjs";
import { ENDPOINTS } from "../support/routes.mjs";
import { tool, typesOfDocument } from "../support/typescript.mjs";

const operations = operationsOf(DOCUMENT);

test("web/openapi.json and the tables in docs/api.md are up to date", async () => {
  const advice = "run `npm run generate`";
  assert.ok((await generateDocument()) === read("web/openapi.json"), advice);
  assert.equal(withTables(read(PAGE), DOCUMENT), read(PAGE), advice);
});

test("docs/reference/log-events.schema.json is up to date", async () => {
  assert.equal(await generateLogSchema(), read(LOG_SCHEMA), "run `npm run generate`");
});

test("the document describes exactly the endpoints of the table, in its order", () => {
  const documented = ({ pattern }) => pattern.replace("{*", "{");
  const rows = ENDPOINTS.map((endpoint) => `${endpoint.method} ${documented(endpoint)}`);
  assert.deepEqual(Object.keys(DOCUMENT.paths), [...new Set(ENDPOINTS.map(documented))]);
  assert.deepEqual(operations.map(({ method, route }) => `${method} ${route}`).toSorted(), rows.toSorted());
  for (const endpoint of ENDPOINTS) {
    const { method, pattern, readsBody, errorFormat } = endpoint;
    const operation = DOCUMENT.paths[documented(endpoint)][method.toLowerCase()];
    assert.equal(operation.requestBody !== undefined, readsBody, `${method} ${pattern}`);
    const { content } = resolve(operation.responses[500], DOCUMENT);
    assert.deepEqual(Object.keys(content), [errorFormat === "OAuth" ? "application/json" : "application/problem+json"]);
  }
});

test("every operation has a name for generated clients, and every text ends as a sentence", () => {
  const ids = operations.map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const { operationId, summary, description, tags, responses, parameters = [] } of operations) {
    assert.match(operationId, /^[a-z]+([A-Z][a-z]+)*$|^getOAuthMetadata$/);
    assert.match(summary, /^[A-Z].*[^.]$/);
    const texts = [
      description,
      ...[...Object.values(responses), ...parameters].map((part) => resolve(part, DOCUMENT).description),
    ];
    for (const text of texts) assert.match(text, /^[`A-Z][\s\S]*[.]$/, operationId);
    assert.ok(DOCUMENT.tags.some(({ name }) => tags[0] === name) && tags.length === 1);
  }
  for (const [name, { properties = {} }] of Object.entries(DOCUMENT.components.schemas))
    for (const [member, schema] of Object.entries(properties))
      assert.ok(schema.description ?? schema.$ref ?? schema.items, `${name}.${member} is not described`);
});

test("every example follows its schema", () => {
  let examples = 0;
  const walk = (value, members) => {
    if (typeof value !== "object" || value === null) return;
    const of = (part, members) => {
      for (const { value: example } of [
        ...(part.example === undefined ? [] : [{ value: part.example }]),
        ...Object.values(part.examples ?? {}),
      ]) {
        assertValid(example, [...members, "schema"], members.join(" "));
        examples += 1;
      }
    };
    if (value.schema !== undefined) of(value, members);
    for (const [name, part] of Object.entries(value)) walk(part, [...members, name]);
  };
  walk(DOCUMENT, []);
  assert.ok(examples > 100);
});

/** What browsers write, which may have further members. */
const OF_BROWSERS = /^(Credential_for_\w+|AssertionResponse|AttestationResponse)$/;

test("every object of a response is closed, so that an undocumented member is an error", () => {
  for (const [name, schema] of Object.entries(DOCUMENT.components.schemas)) {
    if (schema.type !== "object") continue;
    // RFC 6749 §3.2: unknown parameters of a form are ignored. Browsers write the answer to a passkey's options.
    const expected = OF_BROWSERS.test(name) || (name.endsWith("Parameters") ? undefined : false);
    assert.equal(schema.additionalProperties, expected, name);
  }
});

test("the document offers no password grant", () => {
  assert.deepEqual(
    Object.values(DOCUMENT.components.securitySchemes).filter(({ type }) => type === "oauth2"),
    [],
  );
});

test("the Worker contains nothing of the document", () => {
  const modules = readdirSync(path("dist")).filter((name) => name.endsWith(".wasm"));
  assert.equal(modules.length, 1);
  const module = readFileSync(path("dist", modules[0]));
  assert.ok(module.includes("missing_token"));
  for (const text of ["#/components/", "operationId", "describeService"]) assert.ok(!module.includes(text), text);
});

test("Spectral finds nothing in the document", async () => {
  const [ruleset, document] = ["tests/support/spectral.yaml", "web/openapi.json"];
  // It takes seconds, so it is not repeated with what it has accepted.
  await cached("spectral", [ruleset, document], async () => {
    const args = ["lint", "--fail-severity", "hint", "--ruleset", path(ruleset), path(document)];
    const { code, stdout, stderr } = await tool("spectral", args);
    assert.equal(code, 0, stdout + stderr);
  });
});

test("openapi-typescript makes types of the document, which name members and codes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-openapi-"));
  try {
    copyFileSync(join(await typesOfDocument(), "document.ts"), join(folder, "api.ts"));
    writeFileSync(join(folder, "use.ts"), USE);
    const { code, stdout } = await tool("tsc", ["--noEmit", "--strict", "--target", "es2022", "use.ts"], folder);
    assert.equal(code, 0, stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const USE = `
import type { components, operations } from "./api";

type Answer<Operation extends keyof operations, Status extends keyof operations[Operation]["responses"], Type extends string> =
  operations[Operation]["responses"][Status] extends { content: { [type in Type]: infer Body } } ? Body : never;

export const user = (tokens: Answer<"login", 200, "application/json">): string => tokens.user.email;
export const name = ({ name }: components["schemas"]["User"]): string | null => name;
export const code = ({ code }: Answer<"register", 409, "application/problem+json">): "email_taken" | "username_taken" => code;
export const login: operations["login"]["requestBody"]["content"]["application/json"] = { email: "a@example.org", password: "x" };
// @ts-expect-error There is no such code.
export const wrong = ({ code }: Answer<"register", 409, "application/problem+json">): boolean => code === "last_admin";
// @ts-expect-error A password is required.
export const lacking: operations["login"]["requestBody"]["content"]["application/json"] = { email: "a@example.org" };
`;
