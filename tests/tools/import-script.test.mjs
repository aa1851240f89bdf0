import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import fc from "fast-check";
import { unstable_readConfig as readConfig, unstable_splitSqlQuery as splitSqlQuery } from "wrangler";
import { Chunks, Errors } from "../../packages/portcullis/src/commands/import.mjs";
import { Database, sqlText } from "../../packages/portcullis/src/d1.mjs";
import { settings } from "../../packages/portcullis/src/rules.mjs";
import { Failure, path, read } from "../../scripts/lib.mjs";

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(
      fc.constantFrom(
        "'",
        "''",
        '"',
        "`",
        "[",
        "]",
        ";",
        "--",
        "/*",
        "*/",
        "\n",
        "\r\n",
        "\\",
        "BEGIN TRANSACTION",
        "COMMIT;",
        "\u2028",
        "\u{1f600}",
        "é",
        "%",
        "?1",
      ),
    )
    .map((parts) => parts.join("")),
);
const storable = anyText.filter((text) => !text.includes("\0"));
const sqlite = new DatabaseSync(":memory:");

test("any text is one SQL literal with the same value, however it is split", () => {
  fc.assert(
    fc.property(storable, (text) => {
      const literal = sqlText(text);
      assert.equal(sqlite.prepare(`SELECT ${literal} AS text`).get().text, text);
      assert.deepEqual(splitSqlQuery(`SELECT ${literal};\nSELECT 2`), [`SELECT ${literal}`, "SELECT 2"]);
    }),
    { numRuns: 2000 },
  );
  assert.throws(() => sqlText("a\0b"), Failure);
});

test("chunks contain the rows unchanged, and no statement is too long", () => {
  const number = fc.nat({ max: 4_000_000_000 });
  const row = fc.record({
    id: storable,
    email: storable,
    email_key: storable,
    email_verified_at: fc.option(number),
    username: fc.option(storable),
    username_key: fc.option(storable),
    name: fc.option(storable),
    given_name: fc.option(storable),
    family_name: fc.option(storable),
    metadata: fc.option(storable),
    app_metadata: fc.option(storable),
    password_hash: fc.string({ maxLength: 1024 }).filter((text) => !text.includes("\0")),
    roles: storable,
    created_at: number,
    disabled_at: fc.option(number),
    slot: fc.nat({ max: 4095 }),
  });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 60 }), fc.integer({ min: 1, max: 25 }), (rows, chunk) => {
      const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
      try {
        const chunks = new Chunks(folder, chunk);
        for (const [index, columns] of rows.entries()) chunks.add({ ...columns, line: 2 * index + 1 });
        const done = chunks.end();
        assert.deepEqual(
          done.map(({ total }) => total),
          done.map((_, index) => Math.min((index + 1) * chunk, rows.length)),
        );
        assert.deepEqual(
          done.map(({ last, total }) => [last, total]),
          done.map(({ total }) => [2 * total - 1, total]),
        );
        const db = new DatabaseSync(":memory:");
        db.exec(
          "CREATE TABLE import_users (line INTEGER PRIMARY KEY, id TEXT, email TEXT, email_key TEXT, email_verified_at INTEGER, username TEXT, username_key TEXT, name TEXT, given_name TEXT, family_name TEXT, metadata TEXT, app_metadata TEXT, password_hash TEXT, roles TEXT, created_at INTEGER, disabled_at INTEGER, slot INTEGER) STRICT",
        );
        for (const { file } of done) {
          assert.equal(statSync(file).mode & 0o777, 0o600);
          for (const statement of splitSqlQuery(readFileSync(file, "utf8"))) {
            assert.ok(Buffer.byteLength(statement) < 100_000);
            db.exec(statement);
          }
        }
        const stored = db
          .prepare("SELECT * FROM import_users ORDER BY line")
          .all()
          .map((columns) => ({ ...columns }));
        assert.deepEqual(
          stored,
          rows.map((columns, index) => ({ line: 2 * index + 1, ...columns })),
        );
      } finally {
        rmSync(folder, { recursive: true });
      }
    }),
    { numRuns: 60 },
  );
});

test("D1 accepts the statements for a thousand long rows", () => {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  const chunks = new Chunks(folder);
  const long = "'\u{1f600}".repeat(200);
  for (let line = 1; line <= 1000; line += 1)
    chunks.add({
      line,
      id: `${line}`,
      email: long,
      email_key: long,
      username: null,
      username_key: null,
      name: long,
      password_hash: "'".repeat(1024),
      roles: "[]",
      created_at: 0,
      disabled_at: null,
    });
  const [{ file }] = chunks.end();
  const statements = splitSqlQuery(readFileSync(file, "utf8"));
  assert.ok(statements.length > 10);
  for (const statement of statements) assert.ok(Buffer.byteLength(statement) <= 100_000);
  rmSync(folder, { recursive: true });
});

test("the local and the deployed database get the same queries", () => {
  assert.deepEqual(new Database({ remote: true }).where, ["--remote"]);
  assert.deepEqual(new Database({ remote: false, "persist-to": "x" }).where, ["--local", "--persist-to", "x"]);
});

test("the CPU limit of a request and the current Argon2 parameters are read from wrangler.toml", async () => {
  const { cpu_ms, memory_kib, iterations } = settings();
  assert.equal(cpu_ms, readConfig({ config: path("wrangler.toml") }).limits.cpu_ms);
  assert.match(read("wrangler.toml"), new RegExp(`^cpu_ms = ${cpu_ms}$`, "m"));
  assert.ok(memory_kib > 1000 && iterations > 0);
});

test("the first errors are shown, and all errors are counted", () => {
  const errors = new Errors(undefined, "users.ndjson");
  assert.doesNotThrow(() => errors.report("nothing"));
  errors.add(3, "roles: x");
  assert.throws(
    () => errors.report("nothing was imported"),
    new Failure("line 3: roles: x\n\n1 error: nothing was imported"),
  );
  for (let line = 4; line <= 40; line += 1) errors.add(line, "y");
  assert.throws(
    () => errors.report("nothing"),
    /line 22: y\nand 18 more: --all-errors FILE [\s\S]*\n\n38 errors: nothing/,
  );
});
