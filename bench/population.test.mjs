// Tests the data that `npm run bench -- --scale` generates, on the current schema.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { read } from "../scripts/lib.mjs";
import { ADMINS, addressOf, populate, sizes, usernameOf } from "./population.mjs";

const SIZE = { users: 500, sessions: 2_500, now: 1_800_000_000 };
const KEPT = 90 * 86_400;

let folder, file, summary;
const counts = [];
before(() => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  file = fill("one.sqlite", SIZE);
});
after(() => rmSync(folder, { recursive: true }));

function fill(name, size) {
  const made = join(folder, name);
  const sqlite = new DatabaseSync(made);
  sqlite.exec(read("schema.sql"));
  sqlite.close();
  summary = populate(made, { ...size, progress: (done, all) => counts.push([done, all]) });
  return made;
}

/** The rows of a statement. */
function rows(sql, name = file) {
  const sqlite = new DatabaseSync(name, { readOnly: true });
  try {
    return sqlite
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    sqlite.close();
  }
}
const number = (sql) => Object.values(rows(sql)[0])[0];

test("the numbers of rows are as requested, every row has an owner, and the file is valid", () => {
  assert.deepEqual(summary, { users: 500, sessions: 2_500, events: 250, due: 500 });
  for (const [table, count] of Object.entries({ users: 500, refresh_tokens: 2_500, audit_events: 250 }))
    assert.equal(number(`SELECT COUNT(*) FROM ${table}`), count);
  assert.deepEqual(rows("PRAGMA foreign_key_check"), []);
  assert.deepEqual(rows("PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
  assert.deepEqual(rows("PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
  assert.deepEqual(counts.at(-1), [3_250, 3_250]);
  assert.ok(sizes(file).parts.refresh_tokens > 2_500 * 300 && sizes(file).total > sizes(file).parts.refresh_tokens);
});

test("sessions are in every state, in the documented numbers", () => {
  const { now } = SIZE;
  const countWhere = (condition) => number(`SELECT COUNT(*) FROM refresh_tokens WHERE ${condition}`);
  assert.equal(countWhere(`COALESCE(revoked_at, expires_at) < ${now - KEPT}`), 500);
  assert.equal(countWhere(`COALESCE(revoked_at, expires_at) < ${now - KEPT} AND revoked_at IS NULL`), 250);
  assert.equal(countWhere(`revoked_at IS NULL AND expires_at > ${now}`), 750);
  assert.equal(countWhere(`revoked_at IS NULL AND expires_at BETWEEN ${now - KEPT} AND ${now}`), 750);
  assert.equal(countWhere(`revoked_at >= ${now - KEPT}`), 500);
  // The values are consistent, as in rows of the Worker.
  assert.equal(
    countWhere(
      "created_at > rotated_at OR rotated_at > expires_at OR expires_at > absolute_expires_at OR length(session_id) <> 22 OR length(secret_hash) <> 43",
    ),
    0,
  );
  assert.equal(countWhere(`rotated_at > ${now} OR revoked_at > ${now}`), 0);
  assert.equal(number(`SELECT COUNT(*) FROM audit_events WHERE at < ${now - KEPT - 3600}`), 25);
});

test("users are found by e-mail address, and there are admins", () => {
  assert.deepEqual(rows("SELECT COUNT(*) AS count FROM admins"), [{ count: ADMINS }]);
  assert.deepEqual(rows(`SELECT username_key FROM users WHERE email_key = '${addressOf(9)}'`), [
    { username_key: usernameOf(9) },
  ]);
  assert.deepEqual(rows(`SELECT username_key FROM users WHERE email_key = '${addressOf(10)}'`), [
    { username_key: null },
  ]);
});

test("the same seed gives the same data, another seed different data", () => {
  const all = (name) => rows("SELECT * FROM refresh_tokens ORDER BY session_id", name);
  assert.deepEqual(all(fill("again.sqlite", SIZE)), all(file));
  assert.notDeepEqual(all(fill("other.sqlite", { ...SIZE, seed: 2 })), all(file));
});
