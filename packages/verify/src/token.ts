import { VerifyError } from "./error.js";

/** The claims of an access token. Times in unix seconds. */
export interface AccessToken {
  iss: string;
  aud: string | string[];
  client_id: string;
  /** The user id. */
  sub: string;
  /** The session id. */
  sid: string;
  /** The token id. */
  jti: string;
  /** The roles at the time of issue; after introspection, the current ones. */
  roles: string[];
  iat: number;
  exp: number;
  /** How the user authenticated (RFC 9470 §6.1). */
  acr?: string;
  /** When the user authenticated. */
  auth_time?: number;
  /** Further claims, such as `email`, if `ACCESS_TOKEN_CLAIMS` of the issuer lists them. */
  [claim: string]: unknown;
}

/** The header of an access token. */
export interface Header {
  alg: string;
  kid: string;
}

/** Maximum size of a token, as in the Worker. */
const MAX_BYTES = 8 * 1024;
/** Three parts in base64url without padding. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** 16 bytes in base64url. The last character has four unused bits, which must be zero. */
const ID = /^[\w-]{21}[AQgw]$/;
/** Other header parameters, such as `crit`, `jwk` and `jku`, request unsupported processing. */
const HEADER_PARAMETERS = ["alg", "kid", "typ"];
/** Maximum nesting of JSON, as in the Worker. */
const MAX_DEPTH = 127;

/**
 * Parses a compact token, and checks what jose does not: the encoding is canonical, no member is repeated, the header has no
 * other parameter, and each claim has its type. jose checks the signature, `typ`, `iss`, `aud` and the times.
 *
 * @throws {VerifyError} `invalid_token`
 */
export function parse(compact: unknown): { header: Header; claims: AccessToken } {
  if (typeof compact !== "string" || compact.length > MAX_BYTES || !COMPACT.test(compact)) throw invalid("form");
  const [head = "", payload = "", signature = ""] = compact.split(".");
  decode(signature);
  const header = parseObject(decode(head));
  const names = Object.keys(header);
  if (names.some((name) => !HEADER_PARAMETERS.includes(name))) throw invalid("header");
  const { alg, kid } = header;
  if (typeof alg !== "string" || typeof kid !== "string") throw invalid("header");
  const claims = parseObject(decode(payload));
  const wrong = Object.entries(CLAIMS).find(([name, isValid]) => !isValid(claims[name]));
  if (wrong !== undefined) throw invalid(`claim ${wrong[0]}`);
  return { header: { alg, kid }, claims: claims as AccessToken };
}

const isString = (value: unknown) => typeof value === "string";
export const isStrings = (value: unknown): value is string[] => Array.isArray(value) && value.every(isString);
const isId = (value: unknown) => typeof value === "string" && ID.test(value);
const isTime = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const CLAIMS: Record<string, (value: unknown) => boolean> = {
  iss: isString,
  aud: (value) => isString(value) || isStrings(value),
  client_id: isString,
  sub: isId,
  sid: isId,
  jti: isId,
  roles: isStrings,
  iat: isTime,
  exp: isTime,
  nbf: (value) => value === undefined || isTime(value),
};

function invalid(why: string): VerifyError {
  return new VerifyError("invalid_token", { cause: new Error(`the token is malformed: ${why}`) });
}

/** Decodes canonical base64url. Otherwise, several texts would be the same token. */
function decode(part: string): Uint8Array {
  let binary: string;
  try {
    binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw invalid("base64url");
  }
  const canonical = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  if (canonical !== part) throw invalid("base64url");
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let text: string, value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw invalid("JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("JSON");
  if (!isUnambiguous(text)) throw invalid("JSON");
  return value as Record<string, unknown>;
}

/**
 * Whether every parser reads this JSON the same way: no object has duplicate members, no string has an unpaired surrogate, and
 * it is not nested too deeply.
 */
function isUnambiguous(json: string): boolean {
  /** The member names of the open objects, and of the open arrays, which have none. */
  const open: Set<string>[] = [];
  for (const [token, text, colon] of json.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g)) {
    if (text === undefined) {
      if (token === "}" || token === "]") open.pop();
      else if (open.push(new Set()) > MAX_DEPTH) return false;
      continue;
    }
    const string: string = JSON.parse(text);
    if (!string.isWellFormed()) return false;
    if (colon === undefined) continue;
    const names = open.at(-1);
    if (names?.has(string)) return false;
    names?.add(string);
  }
  return true;
}
