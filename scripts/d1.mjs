// The database of the Worker on the command line, the local or the deployed one, through `wrangler d1 execute`.

import { parseArgs } from "node:util";

import { capture, fail, misused, wrangler } from "./lib.mjs";

/** The options every command on the database has. */
const common = {
  // The deployed database, not that of `npm run dev`.
  remote: { type: "boolean", default: false },
  // Where the local one is, if not in .wrangler/state. For the tests.
  "persist-to": { type: "string" },
};

/** Reads a command line; what does not fit is an error of the usage, which ends with 2. */
export function parseCommand(args, options, positionals, usage) {
  let parsed;
  try {
    parsed = parseArgs({ args, options: { ...common, ...options }, allowPositionals: true });
    if (parsed.positionals.length !== positionals) throw new TypeError(`expected ${positionals} arguments`);
    if (parsed.values.remote && parsed.values["persist-to"])
      throw new TypeError("--persist-to is for the local database");
  } catch (error) {
    misused(error.message, usage);
  }
  return parsed;
}

/** How often a database that is locked is asked, with a second between. */
const TRIES = 10;

export class Database {
  constructor({ remote, "persist-to": persistTo }) {
    this.where = remote ? ["--remote"] : ["--local", ...(persistTo ? ["--persist-to", persistTo] : [])];
  }

  /** Runs statements in one transaction and returns the rows of each. */
  query(...statements) {
    return this.execute("--command", statements.join(";\n"));
  }

  /** Runs the statements of a file in one transaction. The deployed database answers nobody else meanwhile. */
  run(file) {
    return this.execute("--file", file);
  }

  async execute(...source) {
    for (let tries = 1; ; tries += 1) {
      const { code, stdout, stderr } = await wrangler(
        ["d1", "execute", "DB", ...this.where, "--yes", "--json", ...source],
        capture,
      );
      const answer = parseJson(stdout);
      if (code === 0 && Array.isArray(answer)) return answer.map(({ results }) => results);
      const problem = answer?.error?.text ?? `${stdout}${stderr}`.trim();
      // The local one is a file, which another process may be writing to, such as `npm run dev`.
      const isBusy = this.where.includes("--local") && /database is locked|internal error; reference/.test(problem);
      if (!isBusy || tries === TRIES) refuse(problem);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function refuse(problem) {
  if (/no such table: users/.test(problem))
    fail("the database has no tables yet: run `npm run dev` or `npm run deploy` first");
  fail(`the database did not do it: ${problem}`);
}

// Wrangler may say something before the JSON.
function parseJson(text) {
  try {
    return JSON.parse(text.slice(text.search(/^[[{]/m)));
  } catch {
    return undefined;
  }
}

/** A text as SQL. There is no way to write NUL in a literal, and no column that may hold one. */
export function sqlText(text) {
  if (text.includes("\0")) fail("a text with a NUL cannot be stored");
  const quoted = `'${text.replaceAll("'", "''")}'`;
  // Wrangler takes these two words for a transaction wherever they are.
  return quoted.replaceAll("BEGIN TRANSACTION", "BEGIN' || ' TRANSACTION");
}
