// The checks of wrangler.toml.

import { isLoopback, isPublic, limiterProblems, openAddresses } from "../config.mjs";
import { called } from "../place.mjs";
import { REQUIRED_SECRETS, SECRETS } from "../secrets.mjs";
import { error, info, listOf, variableOf, warning } from "./finding.mjs";

/** What the wrangler.toml of this version has. A test compares it with that file. */
export const TEMPLATE = {
  compatibility_date: "2026-11-17",
  crons: {
    "* * * * *": "owed revocation marks are not written, and mails are not sent again",
    "17 * * * *": "old rows are never deleted",
  },
  d1_databases: ["DB"],
  kv_namespaces: ["REVOCATIONS"],
  ratelimits: ["LIMIT_CREDENTIALS", "LIMIT_NAME", "LIMIT_BAD_TOKEN", "LIMIT_WRITES", "LIMIT_CHALLENGE"],
};

const DEPLOY = `run ${called("deploy")}`;
/** @param {string} [then] */
const edit = (what, then = DEPLOY) => `${what} in wrangler.toml, then ${then}`;
/** Whether the configuration is that of a deployment. */
const isForDeployment = (facts) => isPublic(variableOf(facts, "ISSUER") ?? "");
const origins = ["ALLOWED_ORIGINS", "ALSO_ANSWERS_AT", "WEBAUTHN_ORIGINS"];

/** @type {import("./finding.mjs").Check[]} */
export const CONFIGURATION = [
  {
    name: "addresses",
    about: "`ISSUER` is not an https address, or `AUDIENCE` is missing or on loopback. Information without `--remote`",
    find(facts) {
      const [issuer, audience] = ["ISSUER", "AUDIENCE"].map((name) => variableOf(facts, name) ?? "");
      const found = facts.remote ? error : info;
      return [
        ...(isPublic(issuer)
          ? []
          : [
              found(
                `ISSUER is "${issuer}", which is not the https address of a deployment`,
                edit("set ISSUER to the address of the Worker"),
              ),
            ]),
        ...(audience !== "" && !isLoopback(audience)
          ? []
          : [
              found(
                `AUDIENCE is "${audience}", which does not name the API of a deployment`,
                edit("set AUDIENCE to the address of your API"),
              ),
            ]),
      ];
    },
  },
  {
    name: "development_origins",
    about: "`ALLOWED_ORIGINS`, `ALSO_ANSWERS_AT` or `WEBAUTHN_ORIGINS` of a deployment has an http or loopback origin",
    find(facts) {
      if (!isForDeployment(facts)) return [];
      return origins.flatMap((name) => {
        const left = listOf(variableOf(facts, name)).filter((item) => /^http:/.test(item) || isLoopback(item));
        if (left.length === 0) return [];
        const text = `${name} has origins of development: ${left.join(", ")}. Any program on a user's machine can serve pages there`;
        return [warning(text, edit("remove them"))];
      });
    },
  },
  {
    name: "docs",
    about: "`DOCS` of a deployment is `on`",
    find: (facts) =>
      isForDeployment(facts) && variableOf(facts, "DOCS") === "on"
        ? [
            warning(
              "DOCS is on: everybody can read the documentation page and openapi.json",
              edit('remove DOCS = "on"'),
            ),
          ]
        : [],
  },
  {
    name: "mail_log",
    about: "`MAIL` of a deployment is `log`",
    find: (facts) =>
      isForDeployment(facts) && variableOf(facts, "MAIL") === "log"
        ? [error('MAIL is "log", with which the Worker does not serve at this ISSUER', edit("choose another sender"))]
        : [],
  },
  {
    name: "second_address",
    about: "`workers_dev` is `true` beside a route",
    find: ({ toml }) =>
      openAddresses(toml).includes("workers_dev = true")
        ? [
            warning(
              "the Worker has a route and is also at *.workers.dev, where no firewall or rate limiting rule of your zone applies",
              edit("set workers_dev = false"),
            ),
          ]
        : [],
  },
  {
    name: "preview_urls",
    about: "`preview_urls` is `true`",
    find: ({ toml }) =>
      toml.preview_urls === true
        ? [
            warning(
              "preview addresses are on, and each gives access to the production database",
              edit("set preview_urls = false"),
            ),
          ]
        : [],
  },
  {
    name: "crons",
    about: "a time of `[triggers]` is missing",
    find({ toml }) {
      const set = toml.triggers?.crons ?? [];
      const missing = Object.entries(TEMPLATE.crons).filter(([cron]) => !set.includes(cron));
      return missing.map(([cron, effect]) =>
        error(`the cron "${cron}" is missing: ${effect}`, edit("add it to crons under [triggers]")),
      );
    },
  },
  {
    name: "rate_limits",
    about: "the sections `[[ratelimits]]` differ from `RATE_LIMITS`, or share a `namespace_id`",
    find: (facts) =>
      limiterProblems(facts.toml.ratelimits, variableOf(facts, "RATE_LIMITS")).map((problem) =>
        error(`the rate limiters: ${problem}`, edit("make the sections [[ratelimits]] and RATE_LIMITS agree")),
      ),
  },
  {
    name: "bindings",
    about: "a binding of this version is missing, or `[[send_email]]` with `MAIL` = `binding`",
    find(facts) {
      const { toml } = facts;
      const lacks = (section, name, key = "binding") => !toml[section]?.some((entry) => entry[key] === name);
      const fix = edit("copy the section from the wrangler.toml of this version");
      const missing = (section, name) => `the section [[${section}]] of ${name} is missing`;
      const found = [];
      for (const section of /** @type {const} */ (["d1_databases", "kv_namespaces"]))
        for (const name of TEMPLATE[section].filter((name) => lacks(section, name)))
          found.push(error(missing(section, name), fix));
      // `rate_limits` reports those that RATE_LIMITS names.
      if (lacks("ratelimits", "LIMIT_CHALLENGE", "name"))
        found.push(
          warning(`${missing("ratelimits", "LIMIT_CHALLENGE")}: no registration needs a Turnstile token`, fix),
        );
      if (variableOf(facts, "MAIL") === "binding" && lacks("send_email", "SEND_EMAIL", "name"))
        found.push(error(`${missing("send_email", "SEND_EMAIL")}, which MAIL = "binding" needs`, fix));
      return found;
    },
  },
  {
    name: "assets",
    about: "`[assets]` has no binding `ASSETS`, or answers before the Worker",
    find(facts) {
      const { assets = {} } = facts.toml;
      if (assets.binding !== "ASSETS") {
        const fix = edit("copy the section [assets] from the wrangler.toml of this version");
        return variableOf(facts, "PAGES") === "off"
          ? []
          : [error("[assets] has no binding ASSETS, so the account pages answer 503", fix)];
      }
      if (assets.run_worker_first === true) return [];
      const text = "the platform answers with files before the Worker, without its security headers";
      return [warning(text, edit("set run_worker_first = true under [assets]"))];
    },
  },
  {
    name: "required_secrets",
    about:
      "`required` under `[secrets]` lacks a secret of every Worker, so that `dev` does not read it and `deploy` uploads code without it",
    find({ toml }) {
      const missing = REQUIRED_SECRETS.filter((name) => !toml.secrets?.required?.includes(name));
      if (missing.length === 0) return [];
      return [
        warning(
          `[secrets] does not require ${missing.join(", ")}, so the Worker can be deployed without`,
          edit("add the names to required under [secrets]"),
        ),
      ];
    },
  },
  {
    name: "secrets_in_vars",
    about: "a secret is under `[vars]`",
    find: ({ toml }) =>
      SECRETS.filter((name) => Object.hasOwn(toml.vars ?? {}, name)).map((name) =>
        error(
          `${name} is under [vars], which everybody reads who has wrangler.toml or access to the dashboard`,
          `remove it from wrangler.toml, and store a new value with npx wrangler secret put ${name}`,
        ),
      ),
  },
  {
    name: "compatibility_date",
    about: "`compatibility_date` is older than that of this version",
    find({ toml }) {
      const date = String(toml.compatibility_date ?? "");
      if (date >= TEMPLATE.compatibility_date) return [];
      const text = `compatibility_date is ${date || "missing"}, but this version was tested with ${TEMPLATE.compatibility_date}`;
      return [warning(text, edit(`set compatibility_date = "${TEMPLATE.compatibility_date}"`))];
    },
  },
  {
    name: "logged_addresses",
    about: "`[observability]` logs the whole address of every request, which may contain a token",
    find({ toml: { observability = {} } }) {
      const { enabled = observability.enabled, invocation_logs } = observability.logs ?? {};
      if (enabled !== true || invocation_logs === false) return [];
      const text = "the platform logs the whole address of every request, which may contain a token";
      return [warning(text, edit("set invocation_logs = false under [observability.logs]"))];
    },
  },
];
