import { errors, jwtVerify } from "jose";

import { VerifyError } from "./error.js";
import { type Fetcher, findKey, TIMEOUT } from "./keys.js";
import { type AccessToken, isStrings, parse } from "./token.js";

export interface VerifierOptions {
  /** `ISSUER` of Portcullis: the `iss` of its tokens, and where its keys are fetched. */
  issuer: string;
  /** `AUDIENCE` of Portcullis: the `aud` of its tokens. */
  audience: string;
  /** A service binding to Portcullis. Without one, requests go to `issuer` over the network. */
  auth?: Fetcher;
  /** The KV namespace of Portcullis. With it, a token is refused once KV has the mark of its session. It is only read. */
  revocations?: RevocationMarks;
  /** The credentials of this resource server, for `verify(token, { introspect: true })`. */
  introspection?: { id: string; secret: string };
}

/** The part of a `KVNamespace` that is used. */
export interface RevocationMarks {
  get(key: string, options?: { cacheTtl?: number }): Promise<string | null>;
}

export interface VerifyOptions {
  /** The accepted values of the claim `acr` (RFC 9470). */
  acr?: string | string[];
  /** Maximum time since the user authenticated, in seconds (RFC 9470). */
  maxAge?: number;
  /** Whether to ask `/introspect`, which refuses a revoked session at once and returns the current roles. */
  introspect?: boolean;
}

export interface Verifier {
  /**
   * Verifies an access token.
   *
   * @throws {VerifyError}
   */
  verify(token: string, options?: VerifyOptions): Promise<AccessToken>;
}

/** How long a location of Cloudflare caches a mark or its absence, in seconds: the minimum. */
const MARK_CACHE_TTL = 30;

/** Creates a verifier of the access tokens of one issuer for one audience. A Worker may create one per request: it is cheap. */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, audience, revocations, introspection } = options;
  checkIssuer(issuer);
  if (!isText(audience)) throw new TypeError("audience is missing");
  checkBindings(options);
  const auth = options.auth ?? { fetch: (url, init) => fetch(url, init) };

  return {
    async verify(token, demands = {}) {
      for (const [name, value] of Object.entries(demands)) {
        if (value === undefined) throw new TypeError(`${name} is undefined`);
      }
      const { acr, maxAge, introspect = false } = demands;
      const requirement = { acr: acr === undefined ? undefined : [acr].flat(), maxAge };
      checkRequirement(requirement);
      if (introspect && introspection === undefined) throw new TypeError("createVerifier got no introspection");

      let claims = await checkSignature(token, issuer, audience, auth);
      if (revocations !== undefined) await checkMark(revocations, claims);
      if (introspect && introspection !== undefined) {
        claims = { ...claims, roles: await currentRoles(token, claims, issuer, auth, introspection) };
      }
      const isMet =
        (requirement.acr?.includes(claims.acr as string) ?? true) &&
        (maxAge === undefined || (isNumber(claims.auth_time) && Date.now() / 1000 - claims.auth_time <= maxAge));
      if (!isMet) throw new VerifyError("insufficient_user_authentication", { requirement });
      return claims;
    },
  };
}

/** Over plain http, an attacker on the network could replace the keys. */
function checkIssuer(issuer: string): void {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const isLoopback = ["localhost", "127.0.0.1", "[::1]"].includes(url?.hostname ?? "");
  if (url === undefined || (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback))) {
    throw new TypeError("issuer must be an https URL; http is for localhost only");
  }
  // As in Portcullis, because `iss` is compared byte by byte.
  const isCanonical = url.href.replace(/\/$/, "") === issuer && url.username === "" && url.password === "";
  if (!isCanonical || /[?#]/.test(issuer)) {
    throw new TypeError("issuer must be as in Portcullis: no credentials, query, fragment or slash at the end");
  }
}

/**
 * A missing binding of a Worker is `undefined`. Such an option is not the same as one that is left out: without `revocations`,
 * the tokens of ended sessions would be accepted.
 */
function checkBindings(options: VerifierOptions): void {
  const { auth, revocations, introspection } = options;
  if ("auth" in options && typeof auth?.fetch !== "function") {
    throw new TypeError("auth has no fetch function: is the service binding missing?");
  }
  if ("revocations" in options && typeof revocations?.get !== "function") {
    throw new TypeError("revocations has no get function: is the binding of the KV namespace missing?");
  }
  if ("introspection" in options && !(isText(introspection?.id) && isText(introspection.secret))) {
    throw new TypeError("introspection must have an id and a secret");
  }
}

function checkRequirement({ acr, maxAge }: { acr: string[] | undefined; maxAge: number | undefined }): void {
  // The challenge has the values in a quoted string, separated by spaces.
  if (acr?.length === 0 || acr?.some((value) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value))) {
    throw new TypeError("acr must be one or more names without spaces, quotes and backslashes");
  }
  if (maxAge !== undefined && (!Number.isSafeInteger(maxAge) || maxAge < 0)) {
    throw new TypeError("maxAge must be a number of seconds");
  }
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
const isNumber = (value: unknown): value is number => typeof value === "number";

async function checkSignature(token: string, issuer: string, audience: string, auth: Fetcher): Promise<AccessToken> {
  const { header, claims } = parse(token);
  const key = await findKey(issuer, header.kid, auth);
  if (key === undefined) throw new VerifyError("invalid_token", { cause: new Error("the key is unknown") });
  try {
    await jwtVerify(token, key.jwk, { issuer, audience, algorithms: [key.alg], typ: "at+jwt" });
    return claims;
  } catch (cause) {
    if (cause instanceof errors.JWTExpired) throw new VerifyError("token_expired", { cause });
    if (cause instanceof errors.JOSEError) throw new VerifyError("invalid_token", { cause });
    // The issuer published a key that cannot be imported.
    throw new VerifyError("keys_unavailable", { cause });
  }
}

async function checkMark(revocations: RevocationMarks, { sid }: AccessToken): Promise<void> {
  let mark: string | null;
  try {
    mark = await revocations.get(`revoked:${sid}`, { cacheTtl: MARK_CACHE_TTL });
  } catch (cause) {
    throw new VerifyError("revocations_unavailable", { cause });
  }
  if (mark !== null) throw new VerifyError("token_revoked");
}

async function currentRoles(
  token: string,
  claims: AccessToken,
  issuer: string,
  auth: Fetcher,
  { id, secret }: { id: string; secret: string },
): Promise<string[]> {
  let answer: { active?: unknown; token_use?: unknown; jti?: unknown; roles?: unknown };
  try {
    const response = await auth.fetch(`${issuer}/introspect`, {
      method: "POST",
      headers: {
        // Each part is form-urlencoded first (RFC 6749 §2.3.1).
        Authorization: `Basic ${btoa(`${formEncoded(id)}:${formEncoded(secret)}`)}`,
        "Content-Type": "application/x-www-form-urlencoded",
      },
      body: new URLSearchParams({ token }).toString(),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (response.status !== 200) throw new Error(`${issuer}/introspect answered ${response.status}`);
    answer = await response.json();
  } catch (cause) {
    throw new VerifyError("revocations_unavailable", { cause });
  }
  if (answer?.active !== true) throw new VerifyError("token_revoked");
  const { token_use, jti, roles } = answer;
  if (token_use !== "access_token" || jti !== claims.jti || !isStrings(roles)) {
    throw new VerifyError("revocations_unavailable", { cause: new Error("the answer is not about this token") });
  }
  return roles;
}

const formEncoded = (value: string) => new URLSearchParams([["", value]]).toString().slice(1);

/**
 * Requires that the user has one of these roles.
 *
 * @throws {VerifyError} `forbidden`
 */
export function requireRole(claims: AccessToken, ...roles: string[]): void {
  if (!roles.some((role) => claims.roles.includes(role))) throw new VerifyError("forbidden");
}

/**
 * The access token in the value of an `Authorization` header (RFC 6750 §2.1).
 *
 * @throws {VerifyError} `missing_token`; `invalid_request` if the value joins several headers
 */
export function bearerToken(authorization: string | null | undefined): string {
  const credentials = authorization?.trim() ?? "";
  if (hasSeveral(credentials)) throw new VerifyError("invalid_request");
  const [, token] = /^Bearer +([^ ].*)$/i.exec(credentials) ?? [];
  if (token === undefined) throw new VerifyError("missing_token");
  return token;
}

/** Whether the value joins several headers. A single header has commas only between parameters, `name=value` (RFC 9110 §11.4). */
function hasSeveral(credentials: string): boolean {
  const unquoted = credentials.replace(/"[^"]*("|$)/g, '""');
  const [, ...others] = unquoted.split(",").flatMap((part) => part.trim() || []);
  return others.some((part) => !/^[^ =]+ *= *[^ =]/.test(part));
}
