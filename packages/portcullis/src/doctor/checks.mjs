// All checks of `doctor`, by group. docs/operations/doctor.md lists them; a test compares it with this list.
//
// A check is a pure function over facts, which facts.mjs gathers. It finds nothing if the facts that it needs are missing.

import { CONFIGURATION } from "./configuration.mjs";
import { DATABASE, DEPLOYMENT, SCHEDULED } from "./database.mjs";
import { SECRET_CHECKS } from "./secrets.mjs";

export const GROUPS = {
  deployment: DEPLOYMENT,
  configuration: CONFIGURATION,
  secrets: SECRET_CHECKS,
  database: DATABASE,
  "scheduled work": SCHEDULED,
};

/** What all checks find, in their order. */
export const examine = (facts) =>
  Object.entries(GROUPS).flatMap(([group, checks]) =>
    checks.flatMap(({ name, find }) => find(facts).map((finding) => ({ group, check: name, ...finding }))),
  );
