// `portcullis doctor`: each check on facts, and the command on a local database and on a stand-in for a Cloudflare account.

import assert from "node:assert/strict";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import { examine, GROUPS } from "../../packages/portcullis/src/doctor/checks.mjs";
import { TEMPLATE } from "../../packages/portcullis/src/doctor/configuration.mjs";
import { DATA_SECRET_COLUMNS, LIMITS, RETAINED } from "../../packages/portcullis/src/doctor/database.mjs";
import {
  dataSecretId,
  devVars,
  kidOf,
  makeKey,
  makeSecret,
  makeSecrets,
  REQUIRED_SECRETS,
  SECRETS,
} from "../../packages/portcullis/src/secrets.mjs";
import { path, read, readToml } from "../../scripts/lib.mjs";
import { migrated } from "../support/databases.mjs";
import { localD1 } from "../support/local-d1.mjs";
import { Project } from "../support/project.mjs";

const NOW = 1_800_000_000;
const [HOUR, DAY] = [3600, 86_400];
/** Where wrangler keeps a local database. */
const D1 = "v3/d1/miniflare-D1DatabaseObject";
const CHECKS = Object.values(GROUPS).flat();
const MIGRATIONS = readdirSync(path("migrations")).sort();

/** The facts about a deployment in which everything is right. */
function right() {
  const toml = readToml("wrangler.toml");
  Object.assign(toml.vars, {
    ISSUER: "https://auth.example.com",
    AUDIENCE: "https://api.example.com",
    MAIL: "binding",
  });
  toml.send_email = [{ name: "SEND_EMAIL" }];
  const key = { ...makeKey(), signs_from: NOW - 30 * DAY };
  const values = { ...makeSecrets(), SIGNING_KEYS: JSON.stringify({ keys: [key] }) };
  const recent = Object.fromEntries(RETAINED.map(({ table }) => [table, NOW - HOUR]));
  return {
    remote: true,
    now: NOW,
    toml,
    migrations: MIGRATIONS,
    secrets: { names: REQUIRED_SECRETS, values },
    database: {
      applied: MIGRATIONS,
      state: { now: NOW, has_admin: 1, has_factors: 1, mails: 0, oldest_mail: null, marks: 0, oldest_mark: null },
      oldest: recent,
      texts: [{ table: "totp_secrets", secret: dataSecretId(values.DATA_SECRETS), texts: 2 }],
    },
    size: 1e6,
    deployments: [{ versions: [{ percentage: 100 }] }],
    unanswered: [],
  };
}

/** What a check finds in facts that `change` changes. */
function found(name, change) {
  const facts = right();
  change(facts);
  return examine(facts)
    .filter(({ check }) => check === name)
    .map(({ level, text, fix }) => `${level}: ${text}${fix ? ` | ${fix}` : ""}`);
}

const vars = (variables) => (facts) => Object.assign(facts.toml.vars, variables);
const toml = (settings) => (facts) => Object.assign(facts.toml, settings);
const state = (rows) => (facts) => Object.assign(facts.database.state, rows);
const all =
  (...changes) =>
  (facts) => {
    for (const change of changes) change(facts);
  };
const local = (change) => all(change, (facts) => (facts.remote = false));
const values = (secrets) => (facts) => {
  Object.assign(facts.secrets.values, secrets);
  facts.secrets.names = Object.keys(facts.secrets.values);
};
const without = (name) => (facts) => {
  facts.secrets.names = facts.secrets.names.filter((other) => other !== name);
  if (facts.secrets.values) delete facts.secrets.values[name];
};
const keys = (...set) => values({ SIGNING_KEYS: JSON.stringify({ keys: set }) });
const key = (signs_from, alg) => ({ ...makeKey(alg), signs_from });
const texts =
  (...rows) =>
  (facts) => {
    facts.database.texts = rows.map(([table, secret, texts]) => ({ table, secret, texts }));
  };

/** What each check finds: a change of the right facts, and the findings, as patterns. */
const CASES = {
  worker: [
    [
      (facts) => Object.assign(facts, { deployments: [] }),
      [/^error: the Worker is not deployed \| run npm run deploy$/],
    ],
    [
      (facts) => Object.assign(facts, { deployments: [{ versions: [] }, { versions: [{}, {}] }] }),
      [/^warning: 2 versions of the Worker serve/],
    ],
    [local((facts) => Object.assign(facts, { deployments: undefined })), []],
  ],
  not_checked: [
    [
      (facts) => facts.unanswered.push({ what: "the size is not known", problem: "no\n  permission" }),
      [/^warning: the size is not known: no permission$/],
    ],
  ],
  addresses: [
    [vars({ ISSUER: "http://localhost:8787" }), [/^error: ISSUER is "http:\/\/localhost:8787", .*set ISSUER/]],
    [vars({ ISSUER: "https://127.0.0.1" }), [/^error: ISSUER/]],
    [vars({ AUDIENCE: "http://localhost:8787" }), [/^error: AUDIENCE is "http:/]],
    [vars({ AUDIENCE: "" }), [/^error: AUDIENCE is "", which/]],
    [vars({ AUDIENCE: "orders" }), []],
    [
      local(vars({ ISSUER: "http://localhost:8787", AUDIENCE: "http://localhost:8787" })),
      [/^info: ISSUER/, /^info: AUDIENCE/],
    ],
  ],
  development_origins: [
    [
      vars({
        ALLOWED_ORIGINS: "https://app.example.com, http://localhost:5173, https://localhost, http://a.localhost",
      }),
      [/^warning: ALLOWED_ORIGINS .*: http:\/\/localhost:5173, https:\/\/localhost, http:\/\/a.localhost\. /],
    ],
    [
      vars({ ALSO_ANSWERS_AT: "http://127.0.0.1:80", WEBAUTHN_ORIGINS: "http://localhost" }),
      [/^warning: ALSO_ANSWERS_AT/, /^warning: WEBAUTHN_ORIGINS/],
    ],
    [vars({ ALLOWED_ORIGINS: "https://app.example.com, capacitor://localhost" }), []],
    [vars({ ALLOWED_ORIGINS: "http://localhost:5173", ISSUER: "http://localhost:8787" }), []],
  ],
  docs: [
    [vars({ DOCS: "on" }), [/^warning: DOCS is on/]],
    [vars({ DOCS: "off" }), []],
    [vars({ DOCS: "on", ISSUER: "http://localhost:8787" }), []],
  ],
  mail_log: [
    [vars({ MAIL: "log" }), [/^error: MAIL is "log"/]],
    [vars({ MAIL: "log", ISSUER: "http://localhost:8787" }), []],
  ],
  second_address: [
    [toml({ workers_dev: true, routes: [{ pattern: "auth.example.com" }] }), [/^warning: .*set workers_dev = false/]],
    [toml({ workers_dev: true, route: "auth.example.com/*" }), [/^warning: /]],
    [toml({ workers_dev: false, route: "auth.example.com/*" }), []],
    [toml({ workers_dev: true, routes: [] }), []],
  ],
  preview_urls: [[toml({ preview_urls: true }), [/^warning: preview addresses are on/]]],
  crons: [
    [
      toml({ triggers: { crons: ["17 * * * *"] } }),
      [/^error: the cron "\* \* \* \* \*" is missing: owed revocation marks .*add it to crons/],
    ],
    [toml({ triggers: { crons: ["* * * * *"] } }), [/^error: the cron "17 \* \* \* \*" is missing: old rows/]],
    [toml({ triggers: undefined }), [/^error: /, /^error: /]],
  ],
  rate_limits: [
    [
      vars({ RATE_LIMITS: "credentials=20/60,name=10/60,bad_token=60/60,writes=120/10" }),
      [/^error: the rate limiters: LIMIT_WRITES is 120\/60, but RATE_LIMITS says 120\/10/],
    ],
    [toml({ ratelimits: undefined }), [/LIMIT_CREDENTIALS/, /LIMIT_NAME/, /LIMIT_BAD_TOKEN/, /LIMIT_WRITES/]],
  ],
  bindings: [
    [toml({ kv_namespaces: undefined }), [/^error: the section \[\[kv_namespaces\]\] of REVOCATIONS is missing/]],
    [toml({ d1_databases: [{ binding: "OTHER" }] }), [/^error: the section \[\[d1_databases\]\] of DB is missing/]],
    [
      (facts) => (facts.toml.ratelimits = facts.toml.ratelimits.filter(({ name }) => name !== "LIMIT_CHALLENGE")),
      [/^warning: .* LIMIT_CHALLENGE is missing: no registration needs/],
    ],
    [toml({ send_email: undefined }), [/^error: .* SEND_EMAIL is missing, which MAIL = "binding" needs/]],
    [all(toml({ send_email: undefined }), vars({ MAIL: "http" })), []],
  ],
  assets: [
    [toml({ assets: undefined }), [/^error: \[assets\] has no binding ASSETS/]],
    [all(toml({ assets: undefined }), vars({ PAGES: "off" })), []],
    [
      (facts) => (facts.toml.assets.run_worker_first = ["/api/*"]),
      [/^warning: the platform answers .* \| set run_worker_first = true/],
    ],
  ],
  required_secrets: [
    [
      toml({ secrets: { required: ["SIGNING_KEYS", "TOKEN_SECRET"] } }),
      [/^warning: \[secrets\] does not require DATA_SECRETS, /],
    ],
    [toml({ secrets: undefined }), [/does not require SIGNING_KEYS, TOKEN_SECRET, DATA_SECRETS/]],
  ],
  secrets_in_vars: [[vars({ MAIL_KEY: "abc" }), [/^error: MAIL_KEY is under \[vars\].* secret put MAIL_KEY$/]]],
  compatibility_date: [
    [toml({ compatibility_date: "2025-01-01" }), [/^warning: compatibility_date is 2025-01-01, .*2026-11-17/]],
    [toml({ compatibility_date: undefined }), [/^warning: compatibility_date is missing/]],
    [toml({ compatibility_date: "2030-01-01" }), []],
  ],
  logged_addresses: [
    [toml({ observability: { enabled: true } }), [/^warning: the platform logs the whole address/]],
    [toml({ observability: { logs: { enabled: true, invocation_logs: true } } }), [/^warning: /]],
    [toml({ observability: { enabled: false } }), []],
    [toml({ observability: undefined }), []],
  ],
  secrets: [
    ...REQUIRED_SECRETS.slice(0, 2).map((name) => [
      without(name),
      [new RegExp(`^error: ${name} is missing, needed by the Worker \\| run npm run deploy, which creates it$`)],
    ]),
    [
      all(texts(), without("DATA_SECRETS")),
      [/^error: DATA_SECRETS is missing, needed by second factors \| run npm run deploy/],
    ],
    [local(without("TOKEN_SECRET")), [/needed by the Worker \| add one that npm run keygen prints to .dev.vars/]],
    [
      local((facts) => (facts.secrets = { names: [], values: {} })),
      [/^info: SIGNING_KEYS .* \| run npm run dev, which creates it$/, /^info: TOKEN_SECRET/],
    ],
    [
      vars({ MAIL: "http" }),
      [/^error: MAIL_KEY is missing, needed by MAIL = "http" \| npx wrangler secret put MAIL_KEY$/],
    ],
    [vars({ MAIL: "webhook" }), [/^error: MAIL_WEBHOOK_SECRET is missing, needed by MAIL = "webhook"/]],
    [local(vars({ MAIL: "http" })), [/MAIL_KEY is missing, .* \| add it to .dev.vars, and its name to required/]],
    [vars({ TURNSTILE_SITE_KEY: "0x" }), [/^error: TURNSTILE_SECRET is missing, needed by TURNSTILE_SITE_KEY/]],
    [vars({ SOURCE_HEADER: "X-Real-IP" }), [/^error: SOURCE_SECRET is missing, needed by SOURCE_HEADER/]],
    [values({ SOURCE_SECRET: makeSecret() }), [/^error: SOURCE_SECRET is set without SOURCE_HEADER/]],
    [(facts) => (facts.secrets.names = undefined), []],
  ],
  unknown_values: [
    [
      (facts) => (facts.secrets.values = undefined),
      [/^info: the values of the secrets were not checked.*--file PATH$/],
    ],
  ],
  copy: [
    [(facts) => (facts.secrets.names = [...REQUIRED_SECRETS, "MAIL_KEY"]), [/^warning: your copy lacks MAIL_KEY: /]],
    [local((facts) => (facts.secrets.names = [...REQUIRED_SECRETS, "MAIL_KEY"])), []],
  ],
  secret_values: [
    [values({ TOKEN_SECRET: "c2hvcnQ" }), [/^error: TOKEN_SECRET is not base64url of at least 32 bytes/]],
    [values({ DATA_SECRETS: `${makeSecret()}, not base64!` }), [/^error: DATA_SECRETS is not base64url/]],
    [
      (facts) => values({ DATA_SECRETS: `${makeSecret()}, ${facts.secrets.values.TOKEN_SECRET}=` })(facts),
      [/^error: DATA_SECRETS and TOKEN_SECRET have a value in common/],
    ],
    [
      (facts) => {
        const hs256 = key(0, "HS256");
        keys(hs256)(facts);
        values({ TOKEN_SECRET: `${makeSecret()},${hs256.k}` })(facts);
      },
      [/^error: SIGNING_KEYS and TOKEN_SECRET have a value in common/],
    ],
  ],
  data_secrets: [
    [
      texts(["totp_secrets", "AAAAAAAAAA", 3], ["recovery_codes", "AAAAAAAAAA", 10]),
      [
        /^error: the data secret AAAAAAAAAA is not in DATA_SECRETS, .*: 3 in totp_secrets, 10 in recovery_codes \| add it again/,
      ],
    ],
    [
      without("DATA_SECRETS"),
      [/^error: DATA_SECRETS is missing, but the database has texts under it: 2 in totp_secrets \| restore it/],
    ],
    [
      (facts) => values({ DATA_SECRETS: `${facts.secrets.values.DATA_SECRETS},${makeSecret()}` })(facts),
      [/^info: no text is under the data secret [\w-]{10}, which may be removed/],
    ],
    [
      (facts) => values({ DATA_SECRETS: `${makeSecret()},${facts.secrets.values.DATA_SECRETS}` })(facts),
      [/^info: the data secret [\w-]{10} must stay: texts are under it \(2 in totp_secrets\)$/],
    ],
    [
      (facts) => (facts.secrets.values = undefined),
      [/^info: texts are stored under the data secret [\w-]{10}: 2 in totp_secrets$/],
    ],
    [(facts) => (facts.database = undefined), []],
  ],
  migrations: [
    [
      (facts) => (facts.database = { applied: MIGRATIONS.slice(0, 3) }),
      [
        new RegExp(
          `^error: not applied: ${MIGRATIONS.slice(3).join(", ")} \\| run npm run deploy, which applies them$`,
        ),
      ],
    ],
    [local((facts) => (facts.database = { applied: [] })), [/^info: not applied: .* \| run npm run dev,/]],
    [
      (facts) => (facts.database.applied = [...MIGRATIONS, "0099_future.sql"]),
      [/^warning: the database has migrations of a newer version: 0099_future.sql/],
    ],
    [(facts) => (facts.database = undefined), []],
  ],
  database_size: [
    [(facts) => (facts.size = 0.4e9), [/^info: the database has 400 MB\. The free plan allows 500 MB/]],
    [(facts) => (facts.size = 8e9), [/^warning: the database has 8.0 GB of the 10.0 GB/]],
    [(facts) => (facts.size = 9.6e9), [/^error: the database has 9.6 GB, and writes fail at 10.0 GB/]],
    [(facts) => (facts.size = 0.39e9), []],
    [(facts) => (facts.size = undefined), []],
  ],
  admins: [
    [
      state({ has_admin: 0 }),
      [/^warning: no account is an enabled admin \| make one: npm run grant -- EMAIL admin --remote$/],
    ],
    [
      local(state({ has_admin: 0 })),
      [/^info: no account is an enabled admin \| make one: npm run grant -- EMAIL admin$/],
    ],
  ],
  mail_and_factors: [
    [vars({ MAIL: undefined }), [/^warning: accounts have second factors, but MAIL is not set/]],
    [all(vars({ MAIL: "" }), state({ has_factors: 0 })), []],
  ],
  outbox: [
    [
      state({ mails: 4, oldest_mail: NOW - 5 * HOUR }),
      [/^warning: mails waiting for over an hour: 4, the oldest for 5 hours \| read the reason of mail_delayed/],
    ],
    [
      all(vars({ MAIL: "" }), state({ mails: 1, oldest_mail: NOW - DAY })),
      [/^warning: .* the oldest for 1 day, because MAIL is not set/],
    ],
    [local(state({ mails: 4, oldest_mail: NOW - 5 * HOUR })), []],
  ],
  owed_marks: [
    [state({ marks: 2, oldest_mark: NOW - 1200 }), [/^error: .* owed to KV: 2, the oldest for 20 minutes/]],
    [local(state({ marks: 2, oldest_mark: NOW - 1200 })), []],
  ],
  cleanup: [
    ...RETAINED.map(({ table, age }) => [
      (facts) => (facts.database.oldest[table] = NOW - age(facts) - 25 * HOUR),
      [new RegExp(`^warning: rows are older than their retention: ${table} \\(1 day\\)`)],
    ]),
    ...RETAINED.map(({ table, age }) => [(facts) => (facts.database.oldest[table] = NOW - age(facts) - 23 * HOUR), []]),
    [(facts) => (facts.database.oldest.audit_events = null), []],
    [
      all(vars({ AUDIT_TTL_SECONDS: "864000" }), (facts) => (facts.database.oldest.audit_events = NOW - 12 * DAY)),
      [/audit_events/],
    ],
    [local((facts) => (facts.database.oldest.challenges = 1)), []],
  ],
};

test("a deployment in which everything is right has no errors and no warnings", () => {
  const findings = examine(right());
  assert.deepEqual(
    findings.map(({ group, check, level }) => [group, check, level]),
    [["secrets", "signing_keys", "info"]],
  );
});

test("each check finds what is wrong, says what to do, and nothing else", () => {
  for (const [name, cases] of Object.entries(CASES))
    for (const [index, [change, patterns]] of cases.entries()) {
      const lines = found(name, change);
      assert.equal(lines.length, patterns.length, `${name} ${index}: ${lines.join("\n")}`);
      for (const [position, line] of lines.entries()) assert.match(line, patterns[position], `${name} ${index}`);
    }
  assert.deepEqual([...Object.keys(CASES), "signing_keys"].sort(), CHECKS.map(({ name }) => name).sort());
});

test("the state of each signing key is shown, with what is wrong", () => {
  const lines = (...set) => found("signing_keys", keys(...set));
  const [old, active, next] = [key(NOW - 400 * DAY), key(NOW - 10 * DAY), key(NOW + 900)];
  const name = (key) => `${kidOf(key)} (${key.alg})`;
  assert.deepEqual(lines(active), [`info: ${name(active)} signs (since 2027-01-05T08:00:00Z, 10 days ago)`]);
  assert.deepEqual(lines(old, active, next), [
    `info: ${name(old)} stopped signing at 2027-01-05T08:00:00Z; the next rotation drops it`,
    `info: ${name(active)} signs (since 2027-01-05T08:00:00Z, 10 days ago) until 2027-01-15T08:15:00Z, in 15 minutes`,
    `info: ${name(next)} signs from 2027-01-15T08:15:00Z, in 15 minutes`,
  ]);
  const recent = key(NOW - 60);
  assert.deepEqual(
    lines(active, recent)[0].replace(name(active), "K"),
    [
      "info: K stopped signing at 2027-01-15T07:59:00Z, and verifies until 2027-01-15T08:14:00Z; ",
      "a rotation after 2027-01-22T07:59:00Z drops it",
    ].join(""),
  );

  assert.match(lines(old)[0], /^warning: .* 400 days ago\) \| replace it/);
  const { signs_from: _, ...ageless } = active;
  assert.match(lines(ageless)[0], /^info: .* signs \(its age is not known, because it has no signs_from\)$/);
  assert.match(lines(ageless, key(0))[1], /^info: .* never signs, because another key signs from the same time$/);
  assert.match(lines(next)[0], /^error: no key signs yet \| .*1800000000$/);
  assert.match(lines(active, active)[0], /^error: a key is twice in SIGNING_KEYS/);
  assert.match(lines({ ...active, kid: "other" })[0], /^error: a key has a wrong kid: /);
  assert.match(lines(active, key(NOW + 900, "EdDSA"))[1], /^warning: .* another algorithm than now \| .* accept EdDSA/);

  const symmetric = keys(key(NOW - DAY, "HS256"));
  assert.match(found("signing_keys", symmetric)[0], /^error: SIGNING_KEYS has an HS256 key/);
  assert.match(found("signing_keys", all(symmetric, vars({ ALLOW_HS256: "true" })))[0], /^info: /);
  for (const value of ["{}", "no JSON", '{"keys": []}', '{"keys": [{"kty": "EC"}]}'])
    assert.match(found("signing_keys", values({ SIGNING_KEYS: value }))[0], /^error: SIGNING_KEYS is not a set/);
  const secret = JSON.parse(right().secrets.values.SIGNING_KEYS).keys[0].d;
  assert.ok(!JSON.stringify(examine(right())).includes(secret));
});

test("the configuration of a new project has nothing that the checks of wrangler.toml report as an error or a warning", () => {
  const facts = { ...right(), toml: readToml("wrangler.toml"), remote: false };
  const findings = examine(facts).filter(({ group, level }) => group === "configuration" && level !== "info");
  assert.deepEqual(findings, []);
});

test("what the checks expect is what the repository has", () => {
  const { compatibility_date, triggers, d1_databases, kv_namespaces, ratelimits, secrets } = readToml("wrangler.toml");
  const bindings = (list) => list.map(({ binding, name }) => binding ?? name);
  assert.deepEqual(TEMPLATE, {
    compatibility_date,
    crons: Object.fromEntries(triggers.crons.map((cron) => [cron, TEMPLATE.crons[cron]])),
    d1_databases: bindings(d1_databases),
    kv_namespaces: bindings(kv_namespaces),
    ratelimits: bindings(ratelimits),
  });
  assert.deepEqual(REQUIRED_SECRETS, secrets.required);
  const documented = read("docs/reference/configuration.md").matchAll(/^\| `(\w+)` \| secret \|/gm);
  assert.deepEqual(SECRETS.toSorted(), [...documented].map(([, name]) => name).sort());
  assert.deepEqual(LIMITS, { paid: 10e9, free: 500e6 });
});

test("every column under a data secret is known, and every table that the cleanup empties by time", () => {
  // The comment of such a column names DATA_SECRETS.
  const columns = [...read("schema.sql").matchAll(/^CREATE TABLE (\w+) \(\n([\s\S]*?)^\) STRICT/gm)].flatMap(
    ([, table, body]) =>
      [...body.matchAll(/((?:^ +--.*\n)+)^ +(\w+) /gm)]
        .filter(([, comment]) => comment.includes("DATA_SECRETS"))
        .map(([, , column]) => ({ table, column })),
  );
  assert.deepEqual(DATA_SECRET_COLUMNS, columns);
  const folder = "src/store/sql/cleanup";
  const emptied = readdirSync(path(folder))
    .filter((name) => name.startsWith("delete_"))
    .map((name) => read(`${folder}/${name}`).match(/^DELETE FROM (\w+)/m)[1]);
  // Sessions have no index by time, and throttles are kept while their wait goes on.
  const others = ["refresh_tokens", "throttles"];
  assert.deepEqual([...RETAINED.map(({ table }) => table), ...others].sort(), emptied.sort());
});

test("docs/operations/doctor.md lists the checks", () => {
  const rows = [...read("docs/operations/doctor.md").matchAll(/^\| `(\w+)` \| (.*) \|$/gm)];
  assert.deepEqual(
    rows.map(([, name, about]) => [name, about]),
    CHECKS.map(({ name, about }) => [name, about]),
  );
});

/** Statements that insert a user with an authenticator app under a data secret. */
const withFactor = (secret) => `
  INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at)
  VALUES ('u', 'ada@example.org', 'ada@example.org', '', 0, 0, '["user"]', 0);
  INSERT INTO totp_secrets (id, user_id, secret, created_at, confirmed_at, tries, last_step)
  VALUES ('t', 'u', '${secret}a', 0, 1, 0, 0), ('n', 'u', '${secret}b', unixepoch(), NULL, 0, 0);
  INSERT INTO recovery_codes (user_id, code_hash) VALUES ('u', '${secret}a'), ('u', '${secret}b');`;

test("doctor examines a local project and its database in D1", { timeout: 300_000 }, async (t) => {
  const [real, quick] = [new Project({ real: true }), new Project()];
  t.after(() => [real, quick].map((project) => project.remove()));
  const checks = async (project, folder) => {
    const { code, stdout, stderr } = await project.run("doctor", "--persist-to", folder, "--json");
    const { findings, ...counts } = JSON.parse(stdout || assert.fail(stderr));
    return { code, ...counts, checks: findings.map(({ check, level }) => `${level} ${check}`), findings };
  };
  const checksInD1 = async (folder) => {
    const d1 = await localD1(folder);
    quick.env.STAND_IN_D1 = d1.url;
    return checks(quick, folder).finally(d1.close);
  };
  // Before `dev`: nothing is there yet.
  const empty = await checksInD1(quick.path("empty"));
  assert.deepEqual(
    [empty.code, empty.errors, empty.checks],
    [0, 0, ["info addresses", "info addresses", "info secrets", "info secrets", "info secrets", "info migrations"]],
  );

  const secrets = makeSecrets();
  for (const project of [real, quick]) project.write(".dev.vars", devVars(secrets));
  const state = quick.path("state");
  cpSync(await migrated(), state, { recursive: true });
  const clean = await checks(real, state);
  assert.deepEqual(
    [clean.code, clean.errors, clean.warnings, clean.checks],
    [0, 0, 0, ["info addresses", "info addresses", "info signing_keys", "info admins"]],
  );

  const [file] = readdirSync(join(state, D1)).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  const sqlite = new DatabaseSync(join(state, D1, file));
  sqlite.exec(withFactor(dataSecretId(makeSecret())));
  sqlite.close();
  const lost = await checksInD1(state);
  assert.equal(lost.code, 1);
  assert.deepEqual(
    lost.findings.filter(({ level }) => level !== "info").map(({ check, text }) => [check, text.split(": ").at(-1)]),
    [
      ["data_secrets", "2 in totp_secrets, 2 in recovery_codes"],
      [
        "mail_and_factors",
        "no sign-in asks for a code from a mail, not even after an admin removed the factors, and users get no notices",
      ],
    ],
  );
});

test("doctor --remote examines a deployment, with few calls of wrangler", async (t) => {
  const project = new Project();
  t.after(() => project.remove());
  const { account } = project;
  project.set({ ISSUER: "https://auth.example.com", AUDIENCE: "https://api.example.com" });
  const doctor = (...args) => project.run("doctor", "--remote", ...args);
  const secrets = makeSecrets();
  const lineOf = (stdout, check) => stdout.split("\n").find((line) => line.includes(` ${check}: `));

  // Nothing is deployed.
  account.run("SELECT 1");
  account.change({ failing: { "deployments list": "This Worker does not exist on your account. [code: 10007]" } });
  const none = await doctor();
  assert.equal(none.code, 1, none.stderr);
  assert.match(
    lineOf(none.stdout, "worker"),
    /^ {2}error {4}worker: the Worker is not deployed\. Fix: run npx portcullis deploy$/,
  );
  assert.match(
    lineOf(none.stdout, "migrations"),
    /^ {2}error .*not applied: 0001_initial.sql, .*run npx portcullis deploy/,
  );
  assert.match(none.stdout, /\n5 errors, 0 warnings\n$/);

  // A deployment in which everything is right but that it has no admin.
  account.migrate(path("migrations"));
  account.change({ secrets, deployments: [{ versions: [{}] }], failing: {} });
  account.takeCalls();
  const good = await doctor();
  assert.equal(good.code, 0, good.stdout);
  assert.match(
    good.stdout,
    /^secrets\n {2}info {5}unknown_values: .*\n\ndatabase\n {2}warning {2}admins: .*\n\n0 errors, 1 warning\n$/,
  );
  const calls = account.takeCalls().map((call) => call.replace(/ --command .*/s, ""));
  assert.equal(calls[0], "whoami --json");
  assert.deepEqual(calls.slice(1).sort(), [
    "d1 execute DB --remote --yes --json",
    "d1 info DB --json",
    "deployments list --json",
    "secret list",
  ]);

  // Everything that the database can show is wrong, and the copy has a newer data secret only.
  const now = Math.floor(Date.now() / 1000);
  account.run(`${withFactor(dataSecretId(secrets.DATA_SECRETS))}
    INSERT INTO outbox (id, kind, user_id, email, locale, at, attempts, claimed_until)
    VALUES ('m', 'reset', 'u', 'ada@example.org', 'en', ${now - 2 * HOUR}, 3, 0), ('n', 'reset', NULL, NULL, 'en', 1, 3, 0);
    INSERT INTO owed_marks (user_id, session_id, access_expires_at) VALUES ('u', 's', ${now - HOUR}), ('u', 'r', ${now + HOUR});
    INSERT INTO mail_budgets (key, used, last_at, resets_at, request_id) VALUES ('k', 1, 0, ${now - 3 * DAY}, 'r');`);
  account.change({ size: 9e9 });
  project.write("secrets.env", devVars({ ...secrets, DATA_SECRETS: makeSecret() }));
  const bad = await doctor("--file", "secrets.env", "--json");
  assert.equal(bad.code, 1);
  const { errors, warnings, findings } = JSON.parse(bad.stdout);
  const texts = Object.fromEntries(findings.map(({ check, text }) => [check, text]));
  assert.deepEqual([errors, warnings], [2, 5], bad.stdout);
  assert.match(texts.data_secrets, /is not in DATA_SECRETS.*: 2 in totp_secrets, 2 in recovery_codes$/);
  assert.match(texts.owed_marks, /owed to KV: 1, the oldest for 1 hour\./);
  assert.match(texts.outbox, /over an hour: 1, the oldest for 2 hours, because MAIL is not set/);
  assert.match(texts.cleanup, /retention: mail_budgets \(3 days\)$/);
  assert.match(texts.database_size, /9.0 GB/);
  assert.ok(texts.admins && texts.mail_and_factors && texts.signing_keys);

  // What Cloudflare does not answer is not checked, and the rest is.
  account.change({ failing: { "d1 info": "no permission", "secret list": "no permission" } });
  const partly = await doctor();
  assert.match(partly.stdout, /warning {2}not_checked: the size of the database is not known: .* no permission/);
  assert.match(partly.stdout, /warning {2}not_checked: the names of the secrets are not known: .* no permission/);
  assert.match(partly.stdout, / owed_marks: /);

  account.change({ loggedIn: false });
  const out = await doctor();
  assert.equal(out.code, 1);
  assert.match(out.stderr, /error: not logged in to Cloudflare/);
});

test("doctor refuses wrong arguments, and a copy that does not exist", async (t) => {
  const project = new Project();
  t.after(() => project.remove());
  const misused = await project.run("doctor", "--file", "secrets.env");
  assert.deepEqual([misused.code, misused.stdout], [2, ""]);
  assert.match(misused.stderr, /--file is only valid with --remote\nusage: npx portcullis doctor \[--json\]\n/);
  const missing = await project.run("doctor", "--remote", "--file", "secrets.env");
  assert.deepEqual([missing.code, missing.stdout], [1, ""]);
  assert.match(missing.stderr, /secrets.env does not exist/);
  assert.deepEqual(project.account.takeCalls(), []);
});
