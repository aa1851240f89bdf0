// Prints every user as one JSON object per line, in the format of `npm run import`.
//
//   (umask 077; npm run --silent export > users.ndjson)                 from the local database of `npm run dev`
//   (umask 077; npm run --silent export -- --remote > users.ndjson)     from the deployed database
//
// It reads page by page, so a user who registers meanwhile may be missing.

import { once } from "node:events";

import { database, json, parse } from "../command.mjs";
import { Database, sqlText } from "../d1.mjs";
import { checkSilent, packages } from "../place.mjs";

export const about = "Prints every user, including password hashes, one JSON object per line, as `import` reads them.";
export const result = "the users, one JSON object per line; the same without `--json`";
export const forms = ["[--remote] [--json] > users.ndjson"];
export const options = { ...database, json: { ...json.json, help: "accepted: the output is JSON anyway" } };
const PAGE = 10_000;
const COLUMNS = [
  "id",
  "email",
  "email_verified_at",
  "username",
  "name",
  "given_name",
  "family_name",
  "metadata",
  "app_metadata",
  "roles",
  "password_hash",
  "created_at",
  "disabled_at",
];
/** The columns that hold JSON. */
const JSON_COLUMNS = ["metadata", "app_metadata", "roles"];

export async function main(args) {
  const { values } = parse(args, options, 0);
  await packages();
  checkSilent("export", forms[0]);
  console.error(
    "note: the output contains the password hashes and e-mail addresses of all users. Protect it like the database.",
  );
  const db = new Database(values);
  let after = "";
  let count = 0;
  for (;;) {
    const [users] = await db.query(
      `SELECT ${COLUMNS.join(", ")} FROM users WHERE id > ${sqlText(after)} ORDER BY id LIMIT ${PAGE}`,
    );
    if (users.length > 0 && !process.stdout.write(users.map((user) => `${line(user)}\n`).join("")))
      await once(process.stdout, "drain");
    count += users.length;
    if (users.length < PAGE) break;
    console.error(`${count} users so far`);
    after = users.at(-1).id;
  }
  console.error(`exported ${count} users`);
}

/**
 * A user in the format of the import, without members that are null except the password, which the import requires. JSON is
 * copied as text: parsing would round numbers.
 */
function line({ email_verified_at, disabled_at, ...columns }) {
  const present = Object.entries(columns).filter(([name, value]) => value !== null || name === "password_hash");
  const members = present.map(([name, value]) => [name, JSON_COLUMNS.includes(name) ? value : JSON.stringify(value)]);
  if (email_verified_at !== null) members.push(["email_verified", "true"]);
  if (disabled_at !== null) members.push(["disabled", "true"]);
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`;
}
