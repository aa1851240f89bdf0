#!/usr/bin/env node
// Replaces wrangler, which takes two seconds of CPU time to start. `d1 execute` on a local database runs in the D1 at the address
// STAND_IN_D1 (local-d1.mjs), or else in Node's own SQLite on the same file. The real wrangler runs if an argument contains the
// text STAND_IN_REAL. If the variable STAND_IN_ACCOUNT names a folder, that is the Cloudflare account, and the commands of a
// deployment act on it (account.mjs makes it).

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
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

const statements = () => split(values.command ?? readFileSync(values.file, "utf8"));

/** As in D1, all statements are one transaction. */
function execute(file) {
  const sqlite = new DatabaseSync(file);
  sqlite.exec("BEGIN IMMEDIATE");
  try {
    const answer = statements().map((statement) => ({ success: true, results: sqlite.prepare(statement).all() }));
    sqlite.exec("COMMIT");
    console.log(JSON.stringify(answer));
  } catch (error) {
    console.log(JSON.stringify({ error: { text: error.message } }));
    process.exitCode = 1;
  }
}

/** Prints the answer of the D1 at that address. */
async function executeInD1(url) {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(statements()) });
  const answer = await response.json();
  console.log(JSON.stringify(answer));
  process.exitCode = Array.isArray(answer) ? 0 : 1;
}

async function runWrangler() {
  const { spawnSync } = await import("node:child_process");
  const program = fileURLToPath(new URL("../../node_modules/.bin/wrangler", import.meta.url));
  process.exitCode = spawnSync(program, process.argv.slice(2), { stdio: "inherit" }).status ?? 1;
}

function localFile() {
  const folder = join(values["persist-to"], "v3", "d1", "miniflare-D1DatabaseObject");
  const file = existsSync(folder) && readdirSync(folder).find((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  return file ? join(folder, file) : ":memory:";
}

if (command === "d1 execute DB" && values.local) {
  const { STAND_IN_REAL: real, STAND_IN_D1: url } = process.env;
  if (real && process.argv.some((arg) => arg.includes(real))) await runWrangler();
  else if (url) await executeInD1(url);
  else execute(localFile());
} else if (process.env.STAND_IN_ACCOUNT) {
  const account = new Account(process.env.STAND_IN_ACCOUNT);
  account.record(process.argv.slice(2).join(" "));
  if (command === "d1 execute DB" && values.remote && !account.refuses(command)) execute(account.database);
  else account.answer(command, values);
} else throw new Error("this stand-in supports only `d1 execute DB --local`");
