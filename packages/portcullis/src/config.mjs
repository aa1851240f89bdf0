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
  REFRESH_IDLE_TTL_SECONDS: "604800",
  ARGON2_MEMORY_KIB: "19456",
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
