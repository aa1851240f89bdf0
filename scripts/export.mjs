// Prints every user, one JSON object a line, as `npm run import` takes them.
//
//   (umask 077; npm run --silent export > users.ndjson)                 of the local database, that of `npm run dev`
//   (umask 077; npm run --silent export -- --remote > users.ndjson)     of the deployed one
//
// Page by page: whoever registers meanwhile may be in it or not.

import { once } from "node:events";

import { Database, parseCommand, sqlText } from "./d1.mjs";
import { fail, runIfStarted } from "./lib.mjs";

const usage = "npm run --silent export -- [--remote] > users.ndjson";
const PAGE = 10_000;

async function main(args) {
  const { values } = parseCommand(args, {}, 0, usage);
  if (
    process.env.npm_lifecycle_event === "export" &&
    process.env.npm_config_loglevel !== "silent" &&
    !process.stdout.isTTY
  ) {
    fail(`npm writes lines of its own into the file, unless it is told to be silent: ${usage}`);
  }
  console.error("note: what follows holds everybody's password hash and address. Keep it as you keep the database.");
  const database = new Database(values);
  let after = "";
  let count = 0;
  for (;;) {
    const [users] = await database.query(
      `SELECT id, email, username, name, roles, password_hash, created_at, disabled_at FROM users WHERE id > ${sqlText(after)} ORDER BY id LIMIT ${PAGE}`,
    );
    if (users.length > 0 && !process.stdout.write(users.map((user) => `${JSON.stringify(line(user))}\n`).join("")))
      await once(process.stdout, "drain");
    count += users.length;
    if (users.length < PAGE) break;
    after = users.at(-1).id;
  }
  console.error(`exported ${count} users`);
}

function line({ id, email, username, name, roles, password_hash, created_at, disabled_at }) {
  return {
    id,
    email,
    ...(username === null ? {} : { username }),
    ...(name === null ? {} : { name }),
    roles: JSON.parse(roles),
    ...(password_hash === null ? {} : { password_hash }),
    created_at,
    ...(disabled_at === null ? {} : { disabled: true }),
  };
}

runIfStarted(
  import.meta.url,
  main,
  `${usage}\n\nPrints every user, with their password hashes, as npm run import takes them.`,
);
