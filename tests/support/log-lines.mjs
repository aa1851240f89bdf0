// Compares the lines that the Worker logs during the tests with the schema and the reference of the log, so that these describe exactly
// what it logs.

import Ajv from "ajv/dist/2020.js";

import { LOG_SCHEMA, logEvents } from "../../scripts/generate.mjs";
import { read } from "../../scripts/lib.mjs";

// The schema allows further members, because later versions may add some. This version has none.
const schema = { ...JSON.parse(read(LOG_SCHEMA)), unevaluatedProperties: false };
const validate = new Ajv({ strict: false, discriminator: false }).compile(schema);
const { oneOf } = schema;

/** The values of `reason` and `cause` that the reference lists for an event; none if it lists examples or refers to another page. */
const REASONS = new Map(
  logEvents().map(({ name, rest }) => {
    const listed = /`(?:reason|cause)`(?: of the last one)?: (?!the check|`status_`)(.*)/.exec(rest)?.[1] ?? "";
    return [name, new Set([...listed.matchAll(/`(\w+)`/g)].map(([, reason]) => reason))];
  }),
);

/** What is wrong with a line of the log, or `undefined`. Other programs than the Worker write no JSON objects. */
export function problemOf(line) {
  if (!line.startsWith("{")) return undefined;
  const entry = JSON.parse(line);
  if (!validate(entry)) return `${reasons(entry)}: ${line}`;
  const listed = REASONS.get(entry.event);
  const reason = entry.reason ?? entry.cause;
  if (listed.size > 0 && reason !== undefined && !listed.has(reason))
    return `the reason is not in the reference: ${line}`;
  return undefined;
}

/** Of the errors, those of the alternative that is meant. */
function reasons({ event }) {
  const index = oneOf.findIndex(({ properties }) => properties.event.const === event);
  if (index === -1) return "the event is not in the schema";
  const meant = validate.errors.filter(
    ({ schemaPath }) => schemaPath.startsWith(`#/oneOf/${index}/`) || !/^#\/oneOf/.test(schemaPath),
  );
  return meant
    .map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
    .join(", ");
}
