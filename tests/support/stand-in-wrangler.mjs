#!/usr/bin/env node
// Replaces wrangler. `d1 execute` on a local database: Node's own SQLite opens the same file, and starts in a tenth of the time. Other
// tests use the real wrangler, to run the statements in D1. If the variable STAND_IN_ACCOUNT names a folder, that is the Cloudflare
// account, and the commands of a deployment act on it (account.mjs makes it).

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";

import { Account } from "./account.mjs";

const flag = { type: "boolean" };
const text = { type: "string" };
const { values, positionals } = parseArgs({
  options: {
    ...{ local: flag, remote: flag, yes: flag, json: flag, "dry-run": flag },
    ...{ "persist-to": text, command: text, file: text, jurisdiction: text },
  },
  allowPositionals: true,
});
const command = positionals.join(" ");

/** Splits SQL into statements at semicolons outside of quotes. */
function split(sql) {
  return sql.match(/(?:'[^']*'|[^';])+/g).filter((statement) => statement.trim() !== "");
}

/** As in D1, all statements are one transaction. */
function execute(file) {
  const sqlite = new DatabaseSync(file);
  sqlite.exec("BEGIN IMMEDIATE");
  try {
    const statements = split(values.command ?? readFileSync(values.file, "utf8"));
    const answer = statements.map((statement) => ({ success: true, results: sqlite.prepare(statement).all() }));
    sqlite.exec("COMMIT");
    console.log(JSON.stringify(answer));
  } catch (error) {
    console.log(JSON.stringify({ error: { text: error.message } }));
    process.exitCode = 1;
  }
}

function localFile() {
  const folder = join(values["persist-to"], "v3", "d1", "miniflare-D1DatabaseObject");
  const file = existsSync(folder) && readdirSync(folder).find((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  return file ? join(folder, file) : ":memory:";
}

if (command === "d1 execute DB" && values.local) execute(localFile());
else if (process.env.STAND_IN_ACCOUNT) {
  const account = new Account(process.env.STAND_IN_ACCOUNT);
  account.record(process.argv.slice(2).join(" "));
  if (command === "d1 execute DB" && values.remote && !account.refuses(command)) execute(account.database);
  else account.answer(command, values);
} else throw new Error("this stand-in supports only `d1 execute DB --local`");
