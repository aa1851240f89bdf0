// Runs SQL on the local or the deployed database of the Worker, by `wrangler d1 execute`.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { fail } from "./failure.mjs";
import { called, statements } from "./place.mjs";
import { capture, wrangler } from "./programs.mjs";

/** Number of attempts while the database is locked, one second apart. */
const MAX_TRIES = 10;
/** Maximum size of the rows in one statement, in bytes: D1 accepts statements of at most 100,000. */
export const MAX_STATEMENT_BYTES = 80_000;

export class Database {
  /** @param {{ remote?: boolean, "persist-to"?: string }} options */
  constructor({ remote, "persist-to": persistTo }) {
    this.where = remote ? ["--remote"] : ["--local", ...(persistTo ? ["--persist-to", persistTo] : [])];
  }

  /** Runs statements in one transaction and returns the rows of each. */
  query(...statements) {
    return this.execute("--command", statements.join(";\n"));
  }

  /** Runs the statements of a file in one transaction. Meanwhile the deployed database answers no other query. */
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
      // The local database is a file, to which another process such as `dev` may be writing.
      const isBusy = this.where.includes("--local") && /database is locked|internal error; reference/.test(problem);
      if (!isBusy || tries === MAX_TRIES) refuse(problem);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function refuse(problem) {
  if (/no such table: users/.test(problem))
    fail(`the database has no tables yet: run \`${called("dev")}\` or \`${called("deploy")}\` first`);
  fail(`the database reported an error: ${problem}`);
}

// Wrangler may print messages before the JSON.
function parseJson(text) {
  try {
    return JSON.parse(text.slice(text.search(/^[[{]/m)));
  } catch {
    return undefined;
  }
}

/**
 * A statement that inserts rows, which are a JSON array of arrays. `field` makes the expression of a column from its value; `where` is a
 * condition on a row, whose array is `value`.
 */
export function insertRows(
  table,
  columns,
  rows,
  { verb = "INSERT OR IGNORE", field = (_, value) => value, where = "TRUE" } = {},
) {
  const fields = columns.map((column, index) => field(column, `value ->> ${index}`)).join(", ");
  return `${verb} INTO ${table} (${columns.join(", ")}) SELECT ${fields} FROM json_each(${sqlText(rows)}) WHERE ${where}`;
}

/** A value as an SQL literal. */
export const sqlValue = (value) =>
  value === null ? "NULL" : typeof value === "number" ? String(value) : sqlText(value);

/** A statement of the Worker, in src/store/sql/. Its parameters become literals, since wrangler accepts no parameters. */
export function workerSql(name, ...values) {
  const sql = readFileSync(join(statements, `${name}.sql`), "utf8").replaceAll(/^--.*\n/gm, "");
  const used = new Set();
  const complete = sql.replaceAll(/\?(\d+)/g, (_, number) => {
    used.add(number);
    return sqlValue(values[number - 1]);
  });
  if (used.size !== values.length) throw new Error(`${name} has ${used.size} parameters, not ${values.length}`);
  return complete.trim();
}

/** A string as an SQL literal. A literal cannot contain NUL, and no column may hold one. */
export function sqlText(text) {
  if (text.includes("\0")) fail("a string with NUL cannot be stored");
  const quoted = `'${text.replaceAll("'", "''")}'`;
  // Wrangler treats these two words as a transaction even inside a literal.
  return quoted.replaceAll("BEGIN TRANSACTION", "BEGIN' || ' TRANSACTION");
}
