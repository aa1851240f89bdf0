// The configuration of the Worker in wrangler.toml.

import { createRequire } from "node:module";

import { fail } from "./failure.mjs";
import { read } from "./place.mjs";

/** Parses a TOML file. The parser is an npm package, so call this only after installation. */
export function readToml(name) {
  const { parse } = createRequire(import.meta.url)("smol-toml");
  try {
    return parse(read(name));
  } catch (error) {
    fail(`${name} cannot be read: ${error.message}`);
  }
}

/** Defaults of the Worker that the commands need; a test compares them with the comments in wrangler.toml. */
export const DEFAULTS = {
  ROLES: "user,admin",
  ALLOW_HS256: "false",
  ACCESS_TOKEN_TTL_SECONDS: "900",
  REFRESH_IDLE_TTL_SECONDS: "604800",
  ARGON2_MEMORY_KIB: "19456",
  AUDIT_TTL_SECONDS: "7776000",
  RATE_LIMITS: "credentials=20/60,name=10/60,bad_token=60/60,writes=120/60",
  ARGON2_ITERATIONS: "2",
};

/** The value of a variable of the Worker: that in wrangler.toml, otherwise the default. */
export function variable(name) {
  const value = readToml("wrangler.toml").vars?.[name] ?? "";
  return value === "" ? DEFAULTS[name] : String(value);
}

/** Whether a URL refers to this machine. */
export function isLoopback(address) {
  return /^https?:\/\/(localhost|127\.|\[::1\]|0\.0\.0\.0)/.test(address);
}

/** The port of `dev`. */
export function localPort() {
  const text = process.env.PORT ?? "8787";
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65536 ? text : fail(`PORT is not a valid port: ${text}`);
}

/**
 * The issuer of `dev` at that address. It must be the local address, not that of production or of another port.
 */
export function localIssuer(url) {
  const issuer = variable("ISSUER") ?? fail("wrangler.toml sets no ISSUER");
  if (!URL.canParse(issuer)) fail(`ISSUER in wrangler.toml is not a URL: "${issuer}"`);
  const { origin, pathname, protocol } = new URL(issuer);
  // The Worker refuses an http ISSUER here as in production.
  if (origin === url || (protocol === "http:" && !isLoopback(issuer))) return issuer;
  return `${url}${pathname.replace(/\/$/, "")}`;
}

/** Whether an address is one that a deployment can have. */
export const isPublic = (address) => /^https:\/\//.test(address) && !isLoopback(address);

/** How the sections [[ratelimits]] differ from RATE_LIMITS. The Worker itself reports an invalid text. */
export function limiterProblems(ratelimits = [], text = DEFAULTS.RATE_LIMITS) {
  const limits = text.split(",").map((item) => item.trim().match(/^(\w+)\s*=\s*(\d+)\s*\/\s*(\d+)$/) ?? []);
  const problems = limits.flatMap(([, name, limit, period]) => {
    if (name === undefined) return [];
    const binding = `LIMIT_${name.toUpperCase()}`;
    const simple = ratelimits.find((limiter) => limiter.name === binding)?.simple;
    if (simple === undefined) return [`there is no [[ratelimits]] with the name ${binding}`];
    if (simple.limit === Number(limit) && simple.period === Number(period)) return [];
    return [`${binding} is ${simple.limit}/${simple.period}, but RATE_LIMITS says ${limit}/${period}`];
  });
  const ids = ratelimits.map(({ namespace_id }) => namespace_id);
  const shared = ratelimits.filter(({ namespace_id }, index) => ids.indexOf(namespace_id) !== index);
  return [...problems, ...shared.map(({ name }) => `${name} has the namespace_id of another one`)];
}

/**
 * A warning if the Worker is reachable at *.workers.dev in addition to a route. Firewall and rate limiting rules belong to a
 * zone and do not apply to *.workers.dev.
 */
export function secondAddress(toml) {
  const settings = openAddresses(toml);
  if (settings.length === 0) return undefined;
  return (
    `${settings.join(" and ")} in addition to a route: the Worker is also reachable at *.workers.dev, where the firewall and rate ` +
    "limiting rules of your zone do not apply. Set it to false in wrangler.toml."
  );
}

/** The settings that open addresses in addition to a route. */
export function openAddresses({ route, routes = [], ...addresses }) {
  if (route === undefined && routes.length === 0) return [];
  return ["workers_dev", "preview_urls"].filter((name) => addresses[name] === true).map((name) => `${name} = true`);
}
