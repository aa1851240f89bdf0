import type { JWK } from "jose";

import { VerifyError } from "./error.js";

/** Fetches from the issuer: a service binding to Portcullis, or another object with a `fetch` method. */
export interface Fetcher {
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

/** A public key, and the only algorithm for which it is used (RFC 8725 §3.1). */
export interface Key {
  jwk: JWK;
  alg: string;
}

/** How long keys are used before they are fetched again, in milliseconds. Equal to their `max-age`. */
const FRESH = 300_000;
/** How long keys are used while the issuer does not answer. */
const STALE = 3_600_000;
/** How long to wait after a failed fetch, or after one for an unknown `kid`. */
const PAUSE = 30_000;
/**
 * How long to wait instead while tokens are refused with `keys_unavailable`: after a failed fetch if no key may be used, and
 * before another fetch for an unknown `kid` if the last one has not succeeded.
 */
const RETRY = 2_000;
/** How long the issuer may take to answer. */
export const TIMEOUT = 5_000;

/** The cached keys of an issuer. Times as from `Date.now()`. */
interface KnownKeys {
  keys: Map<string, Key>;
  fetchedAt: number;
  attemptedAt: number;
  failedAt: number;
  /** Whether no fetch has begun since the last success. Otherwise, an unknown `kid` may belong to a new key. */
  isCertain: boolean;
}

/**
 * The keys by issuer, shared by all requests. It holds no promises, because a Worker cancels the promises of a request that
 * ends. So concurrent requests may each fetch the keys.
 */
const known = new Map<string, KnownKeys>();

/**
 * Returns the key of an issuer with a `kid`, or `undefined` if the issuer has no such key.
 *
 * @throws {VerifyError} `keys_unavailable`
 */
export async function findKey(issuer: string, kid: string, fetcher: Fetcher): Promise<Key | undefined> {
  const state = known.get(issuer) ?? {
    keys: new Map(),
    fetchedAt: Number.NEGATIVE_INFINITY,
    attemptedAt: Number.NEGATIVE_INFINITY,
    failedAt: Number.NEGATIVE_INFINITY,
    isCertain: false,
  };
  known.set(issuer, state);
  let cause: unknown = new Error("the last fetch has not succeeded");
  const isStale = () => hasPassed(state.fetchedAt, STALE);
  if (hasPassed(state.fetchedAt, FRESH) && hasPassed(state.failedAt, isStale() ? RETRY : PAUSE)) {
    await refetch(issuer, state, fetcher).catch((error) => {
      cause = error;
    });
  }
  if (isStale()) throw unavailable(cause);
  const key = state.keys.get(kid);
  if (key !== undefined) return key;
  // The key may be new.
  if (hasPassed(state.attemptedAt, state.isCertain ? PAUSE : RETRY)) {
    await refetch(issuer, state, fetcher).catch((error) => {
      cause = error;
    });
  }
  // The fetch of another request may still be in progress, or have been cancelled.
  if (!state.keys.has(kid) && !state.isCertain) throw unavailable(cause);
  return state.keys.get(kid);
}

/** Whether that much time has passed. After the clock is set back, that is unknown, so the answer is yes. */
function hasPassed(since: number, time: number): boolean {
  const passed = Date.now() - since;
  return passed < 0 || passed >= time;
}

function unavailable(cause: unknown): VerifyError {
  return new VerifyError("keys_unavailable", { cause });
}

async function refetch(issuer: string, state: KnownKeys, fetcher: Fetcher): Promise<void> {
  state.attemptedAt = Date.now();
  state.isCertain = false;
  try {
    const url = `${issuer}/.well-known/jwks.json`;
    const response = await fetcher.fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT) });
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
    state.keys = readKeys(await response.json());
    state.fetchedAt = Date.now();
    state.isCertain = true;
  } catch (error) {
    state.failedAt = Date.now();
    throw error;
  }
}

/** The algorithm of each type of key that Portcullis publishes. */
const ALGORITHMS: Record<string, string> = { "EC P-256": "ES256", "OKP Ed25519": "EdDSA", RSA: "RS256" };

function readKeys(set: unknown): Map<string, Key> {
  const { keys } = (set ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error("not a JWK Set");
  const found = new Map<string, Key>();
  for (const jwk of keys as (JWK | null)[]) {
    const alg = ALGORITHMS[[jwk?.kty, jwk?.crv].filter((part) => part !== undefined).join(" ")];
    // A key of another kind is not for access tokens (RFC 7517 §5).
    if (!jwk || alg === undefined || (jwk.alg ?? alg) !== alg || (jwk.use ?? "sig") !== "sig") continue;
    if (typeof jwk.kid === "string" && !found.has(jwk.kid)) found.set(jwk.kid, { jwk, alg });
  }
  // An issuer that signs publishes a key. Without this check, a wrong answer would remove all of them.
  if (found.size === 0) throw new Error("the JWK Set has no key for access tokens");
  return found;
}
