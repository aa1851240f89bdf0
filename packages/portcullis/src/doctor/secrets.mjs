// The checks of the secrets.

import { called, docs } from "../place.mjs";
import { keySetOf, nameOf, retirement, signsFrom, time } from "../rotation.mjs";
import { algorithmOf, dataSecretId, kidOf, neededSecrets, REQUIRED_SECRETS } from "../secrets.mjs";
import { duration, error, info, listOf, variableOf, warning } from "./finding.mjs";

/** The age at which a signing key should be replaced, in seconds. NIST SP 800-57 has 1 to 3 years. */
const MAX_KEY_AGE = 365 * 86_400;
/** The smallest secret of a list, in bytes. */
const MIN_SECRET_BYTES = 32;

/** The secrets that are lists of base64url. */
const LISTS = ["TOKEN_SECRET", "DATA_SECRETS", "SOURCE_SECRET", "MAIL_WEBHOOK_SECRET"];

const rotating = docs("operations/rotating-keys.md");

/** The secrets that the configuration needs, and why. */
function needed(facts) {
  // `data_secrets` reports it otherwise: a new secret would not help.
  const isNew = (name) => name !== "DATA_SECRETS" || !facts.database?.texts?.length;
  return [
    ...REQUIRED_SECRETS.filter(isNew).map((name) => [name, name === "DATA_SECRETS" ? "second factors" : "the Worker"]),
    ...neededSecrets((name) => variableOf(facts, name)).map(({ secret, by }) => [secret, by]),
  ];
}

/** How a missing secret is set. */
function setting(name, { remote, secrets: { names } }) {
  if (REQUIRED_SECRETS.includes(name) && (remote || names.length === 0))
    return `run ${called(remote ? "deploy" : "dev")}, which creates it`;
  if (REQUIRED_SECRETS.includes(name)) return `add one that ${called("keygen")} prints to .dev.vars`;
  return remote
    ? `npx wrangler secret put ${name}`
    : `add it to .dev.vars, and its name to required under [secrets] in wrangler.toml`;
}

/** @type {import("./finding.mjs").Check[]} */
export const SECRET_CHECKS = [
  {
    name: "secrets",
    about:
      "a secret is missing: `SIGNING_KEYS`, `TOKEN_SECRET`, `DATA_SECRETS`, that of `MAIL`, `TURNSTILE_SECRET` beside `TURNSTILE_SITE_KEY`, " +
      "`SOURCE_SECRET` beside `SOURCE_HEADER`. Information without `--remote` if there are none at all",
    find(facts) {
      const { names } = facts.secrets;
      if (names === undefined) return [];
      const has = (name) => names.includes(name);
      const missing = needed(facts).filter(([name]) => !has(name));
      // `dev` makes them when it first runs.
      const found = facts.remote || names.length > 0 ? error : info;
      return [
        ...missing.map(([name, by]) => found(`${name} is missing, needed by ${by}`, setting(name, facts))),
        ...(has("SOURCE_SECRET") && variableOf(facts, "SOURCE_HEADER") === undefined
          ? [
              error(
                "SOURCE_SECRET is set without SOURCE_HEADER, with which the Worker does not serve",
                "set SOURCE_HEADER in wrangler.toml, or delete the secret",
              ),
            ]
          : []),
      ];
    },
  },
  {
    name: "unknown_values",
    about:
      "with `--remote`, the values of the secrets are not known: Cloudflare never shows them. Name your copy with `--file`",
    find: ({ remote, secrets: { values } }) =>
      remote && values === undefined
        ? [
            info(
              "the values of the secrets were not checked, because Cloudflare never shows them",
              "name your copy: --file PATH",
            ),
          ]
        : [],
  },
  {
    name: "copy",
    about: "with `--file`, your copy lacks a secret that the Worker has",
    find({ remote, secrets: { names, values } }) {
      const missing = remote && names && values ? names.filter((name) => values[name] === undefined) : [];
      if (missing.length === 0) return [];
      const text = `your copy lacks ${missing.join(", ")}: a value that the Worker has and you do not cannot be rotated`;
      return [warning(text, "add it, if you have it elsewhere")];
    },
  },
  {
    name: "secret_values",
    about: "a secret is not base64url of at least 32 bytes, or two secrets have the same value",
    find({ secrets: { values = {} } }) {
      const lists = LISTS.filter((name) => values[name] !== undefined).map((name) => ({
        name,
        items: values[name].split(",").map((item) => item.trim().replace(/=+$/, "")),
      }));
      const isGood = (item) => /^[\w-]+$/.test(item) && Buffer.from(item, "base64url").length >= MIN_SECRET_BYTES;
      const keys = (keySetOf(values.SIGNING_KEYS)?.keys ?? []).flatMap(({ k }) => (k === undefined ? [] : [k]));
      const all = [...lists, { name: "SIGNING_KEYS", items: keys }];
      return [
        ...lists
          .filter(({ items }) => !items.every(isGood))
          .map(({ name }) =>
            error(
              `${name} is not base64url of at least ${MIN_SECRET_BYTES} bytes, so the Worker does not serve`,
              `replace it by one that ${called("keygen")} prints`,
            ),
          ),
        ...all.flatMap(({ name, items }, index) =>
          all
            .slice(0, index)
            .filter((other) => other.items.some((item) => items.includes(item)))
            .map((other) =>
              error(
                `${name} and ${other.name} have a value in common, with which the Worker does not serve`,
                `replace one of them: ${rotating}`,
              ),
            ),
        ),
      ];
    },
  },
  {
    name: "signing_keys",
    about:
      "no key of `SIGNING_KEYS` signs, the set is invalid, an HS256 key is there without `ALLOW_HS256`, the key that signs is older than a " +
      "year. Lists the keys, and which of them is about to sign or to be dropped",
    find(facts) {
      const value = facts.secrets.values?.SIGNING_KEYS;
      if (value === undefined) return [];
      const set = keySetOf(value);
      if (set === undefined)
        return [error("SIGNING_KEYS is not a set of private keys", `replace it by the output of ${called("keygen")}`)];
      return [...problemsOfKeys(set.keys, facts), ...set.keys.map((key) => stateOf(key, set.keys, facts))];
    },
  },
  {
    name: "data_secrets",
    about:
      "a row of the database names a secret that `DATA_SECRETS` does not have. Lists the secrets that no row names, which may be removed",
    find(facts) {
      const { names, values } = facts.secrets;
      const texts = facts.database?.texts;
      if (texts === undefined) return [];
      const named = new Set(texts.map(({ secret }) => secret));
      const shown = (id) =>
        texts
          .filter(({ secret }) => secret === id)
          .map(({ table, texts }) => `${texts} in ${table}`)
          .join(", ");
      if (names?.includes("DATA_SECRETS") === false && named.size > 0)
        return [
          error(
            `DATA_SECRETS is missing, but the database has texts under it: ${[...named].map(shown).join(", ")}`,
            "restore it from your copy. Do not create another one, under which they cannot be read",
          ),
        ];
      if (values?.DATA_SECRETS === undefined)
        return [...named].map((id) => info(`texts are stored under the data secret ${id}: ${shown(id)}`));
      const ids = listOf(values.DATA_SECRETS).map(dataSecretId);
      return [
        ...[...named]
          .filter((id) => !ids.includes(id))
          .map((id) =>
            error(
              `the data secret ${id} is not in DATA_SECRETS, but texts are under it, which are lost without it: ${shown(id)}`,
              "add it again after the others, from an older copy",
            ),
          ),
        ...ids
          .slice(1)
          .map((id) =>
            named.has(id)
              ? info(`the data secret ${id} must stay: texts are under it (${shown(id)})`)
              : info(`no text is under the data secret ${id}, which may be removed from DATA_SECRETS`),
          ),
      ];
    },
  },
];

function problemsOfKeys(keys, facts) {
  const problems = [];
  const kids = keys.map(kidOf);
  const wrong = keys.filter(({ kid }, index) => kid !== undefined && kid !== kids[index]);
  const fix = "remove the kid, which need not be given";
  if (wrong.length > 0) problems.push(error(`a key has a wrong kid: ${wrong.map(nameOf).join(", ")}`, fix));
  if (new Set(kids).size < kids.length) problems.push(error("a key is twice in SIGNING_KEYS", "remove one of the two"));
  if (keys.some((key) => algorithmOf(key) === "HS256") && variableOf(facts, "ALLOW_HS256") !== "true")
    problems.push(
      error(
        "SIGNING_KEYS has an HS256 key, with which the Worker does not serve unless ALLOW_HS256 is set",
        "remove it; or, if every server that verifies may also make tokens, set ALLOW_HS256 in wrangler.toml",
      ),
    );
  if (!keys.some((key) => signsFrom(key) <= facts.now))
    problems.push(
      error("no key signs yet", `set the "signs_from" of a key to the current time, ${Math.floor(facts.now)}`),
    );
  return problems;
}

/** What a key does at this time, and what happens next. */
function stateOf(key, keys, facts) {
  const { now } = facts;
  const [from, name] = [signsFrom(key), nameOf(key)];
  const latest = keys.filter((other) => signsFrom(other) <= now);
  // Of several keys that began at the same time, the first one signs.
  const active = latest.reduce(
    (best, other) => (best && signsFrom(best) >= signsFrom(other) ? best : other),
    undefined,
  );
  const next = keys.filter((other) => signsFrom(other) > now).sort((a, b) => signsFrom(a) - signsFrom(b))[0];
  if (from > now) {
    const accepted = active && algorithmOf(active) !== algorithmOf(key);
    const text = `${name} signs from ${time(from)}, in ${duration(from - now)}`;
    return accepted
      ? warning(
          `${text}, with another algorithm than now`,
          `let every server that verifies accept ${algorithmOf(key)} by then`,
        )
      : info(text);
  }
  if (key === active) {
    const age = now - from;
    const since =
      from === 0 ? "its age is not known, because it has no signs_from" : `since ${time(from)}, ${duration(age)} ago`;
    if (next)
      return info(`${name} signs (${since}) until ${time(signsFrom(next))}, in ${duration(signsFrom(next) - now)}`);
    if (from > 0 && age > MAX_KEY_AGE) return warning(`${name} signs (${since})`, `replace it: ${rotating}`);
    return info(`${name} signs (${since})`);
  }
  const stopped = retirement(keys, key, now);
  if (!Number.isFinite(stopped)) return info(`${name} never signs, because another key signs from the same time`);
  const end = stopped + Number(variableOf(facts, "ACCESS_TOKEN_TTL_SECONDS"));
  const droppable = stopped + Number(variableOf(facts, "REFRESH_IDLE_TTL_SECONDS"));
  const verifies = end > now ? `, and verifies until ${time(end)}` : "";
  const drop = droppable < now ? "the next rotation drops it" : `a rotation after ${time(droppable)} drops it`;
  return info(`${name} stopped signing at ${time(stopped)}${verifies}; ${drop}`);
}
