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
/** How long to wait after a failed fetch, or between two fetches for an unknown `kid`. */
const PAUSE = 30_000;
/** How long to wait after a failed fetch while no key may be used, so that an outage costs few requests and ends soon. */
const RETRY = 2_000;
/** How long the issuer may take to answer. */
export const TIMEOUT = 5_000;

/** The cached keys of an issuer. Times as from `Date.now()`. */
interface KnownKeys {
  keys: Map<string, Key>;
  fetchedAt: number;
  attemptedAt: number;
  failedAt: number;
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
  };
  known.set(issuer, state);
  let cause: unknown = new Error("the last fetch failed");
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
  if (hasPassed(state.attemptedAt, PAUSE)) {
    await refetch(issuer, state, fetcher).catch((error) => {
      throw unavailable(error);
    });
  }
  if (!state.keys.has(kid) && state.failedAt > state.fetchedAt) throw unavailable(cause);
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
  try {
    const url = `${issuer}/.well-known/jwks.json`;
    const response = await fetcher.fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT) });
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
    state.keys = readKeys(await response.json());
    state.fetchedAt = Date.now();
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
