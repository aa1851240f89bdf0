#!/usr/bin/env node
// Replaces wrangler in the drills: what it would do at Cloudflare, it does to the Worker of the test. SQL runs in the D1 of that
// Worker. Secrets go to a file, which the test applies. Other commands are only recorded.

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, parseEnv } from "node:util";

const folder = process.env.DRILL;
const { url } = JSON.parse(readFileSync(join(folder, "target.json"), "utf8"));
const args = process.argv.slice(2);

const flag = { type: "boolean" };
const text = { type: "string" };
const options = { remote: flag, yes: flag, json: flag, command: text, file: text };
const [group, action, name] = args;

/** Splits SQL into statements at semicolons outside of quotes. */
const split = (sql) => sql.match(/(?:'[^']*'|[^';])+/g).filter((statement) => statement.trim() !== "");

async function execute() {
  const { values } = parseArgs({ args: args.slice(3), options });
  if (!values.remote) throw new Error("a drill is about the deployed database: --remote is missing");
  const statements = split(values.command ?? readFileSync(values.file, "utf8")).map((sql) => ({ sql, values: [] }));
  const headers = { "X-Test": '{"order":true}' };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ statements }) });
  const { done, error } = await response.json();
  console.log(JSON.stringify(error === undefined ? done : { error: { text: error } }));
  process.exitCode = error === undefined ? 0 : 1;
}

function store(secrets) {
  const file = join(folder, "secrets.json");
  const stored = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  writeFileSync(file, JSON.stringify({ ...stored, ...secrets }));
}

const stdin = () => readFileSync(0, "utf8").trim();

appendFileSync(join(folder, "calls.ndjson"), `${JSON.stringify(args)}\n`);
if (group === "d1" && action === "execute") await execute();
// The drill of moving exports and imports by the real wrangler, beside this.
else if (group === "d1" && action === "export") writeFileSync(args[args.indexOf("--output") + 1], "SELECT 1;\n");
else if (group === "secret" && action === "put") store({ [name]: stdin() });
else if (group === "secret" && action === "bulk") store(parseEnv(readFileSync(name, "utf8")));
