// schema.sql and the migrations: both produce the same schema, and released migrations never change.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const migrations = readdirSync(new URL("../../migrations/", import.meta.url)).sort();

/** Every table and index that a script creates, without comments and line breaks. */
function schemaOf(...scripts) {
  const db = new DatabaseSync(":memory:");
  for (const script of scripts) db.exec(script);
  const rows = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").all();
  return rows.map(({ sql, ...row }) => ({
    ...row,
    sql: sql
      ?.replace(/--.*$/gm, "")
      .replace(/\s+/g, " ")
      .replace(/ ?([(),]) ?/g, "$1"),
  }));
}

test("the migrations and schema.sql produce the same schema", () => {
  const fromMigrations = schemaOf(...migrations.map((name) => read(`migrations/${name}`)));
  assert.ok(fromMigrations.length >= 10);
  assert.deepEqual(fromMigrations, schemaOf(read("schema.sql")));
});

test("the migrations keep sessions, and their reasons have the current names", () => {
  const db = new DatabaseSync(":memory:");
  const [before, after] = [migrations.slice(0, 2), migrations.slice(2)];
  for (const name of before) db.exec(read(`migrations/${name}`));
  db.exec("PRAGMA foreign_keys = OFF");
  const columns =
    "session_id, user_id, secret_hash, amr, authenticated_at, generation, grace_retries, created_at, rotated_at, expires_at, absolute_expires_at, access_expires_at, revoked_at, revoked_reason";
  for (const reason of ["session_limit", "logout", null]) {
    db.prepare(
      `INSERT INTO refresh_tokens (${columns}) VALUES (?1, 'u', '', 'pwd', 0, 0, 0, 0, 0, 1, 1, 1, ?2, ?3)`,
    ).run(`of ${reason}`, reason && 1, reason);
  }
  for (const name of after) db.exec(read(`migrations/${name}`));
  const rows = db.prepare("SELECT session_id, revoked_at, revoked_reason FROM refresh_tokens").all();
  assert.deepEqual(
    rows.map((row) => Object.values(row)),
    [
      ["of logout", 1, "logout"],
      ["of null", null, null],
      ["of session_limit", 1, "evicted"],
    ],
  );
});

/** The SHA-256 of each released migration. A release adds a line; lines are never changed or removed. */
const RELEASED = {
  "0001_initial.sql": "ddf22ce9c1bfc2be87a76d578dcd158ef3266c4cebb8ccf4edff9435d581e293",
};

test("a released migration never changes, because databases have run it", () => {
  for (const [name, hash] of Object.entries(RELEASED)) {
    assert.ok(migrations.includes(name), name);
    assert.equal(
      createHash("sha256")
        .update(read(`migrations/${name}`))
        .digest("hex"),
      hash,
      name,
    );
  }
});

test("migrations are numbered without a gap", () => {
  assert.deepEqual(
    migrations.map((name) => Number(name.slice(0, 4))),
    migrations.map((_, index) => index + 1),
  );
});

test("schema.sql explains every table and column", () => {
  const lines = read("schema.sql").split("\n");
  const explained = (index) => /^\s*--/.test(lines[index - 1]);
  const unexplained = lines.filter(
    (line, index) => /^(CREATE| {2}[a-z_]+ (TEXT|INTEGER))/.test(line) && !explained(index),
  );
  assert.deepEqual(unexplained, []);
});

test("no comment in a SQL file has a semicolon or quote, which break remote execution", () => {
  const files = ["schema.sql", ...migrations.map((name) => `migrations/${name}`)];
  for (const file of files) {
    for (const [comment] of read(file).matchAll(/--.*$/gm)) assert.doesNotMatch(comment, /[;']/, file);
  }
});
