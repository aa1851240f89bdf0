// Asking the browser for passkeys, in the JSON of WebAuthn Level 3 (§5.1.8 to §5.1.10).

import { PortcullisError, unexpected } from "./error.js";
import { isHidden, left, TICK } from "./time.js";

/** Options and credentials in JSON: `challenge`, `timeout` and others. */
// biome-ignore lint/suspicious/noExplicitAny: passed on between server and authenticator
export type Json = Record<string, any>;

/** How a passkey is asked for. */
export interface Ceremony {
  signal: AbortSignal;
  /** Offers the passkeys in the input with `autocomplete="username webauthn"`, instead of opening a dialog. */
  mediation?: "conditional" | undefined;
}

/** What makes and uses passkeys. */
export interface Authenticator {
  create(options: Json, ceremony: Ceremony): Promise<Json>;
  get(options: Json, ceremony: Ceremony): Promise<Json>;
}

/** That of the browser. */
export const browser: Authenticator = {
  async create(options, { signal }) {
    const publicKey = webauthn()?.parseCreationOptionsFromJSON?.(options) ?? parse(options);
    return toJson(await credentials().create({ publicKey, signal }));
  },
  async get(options, { signal, mediation }) {
    if (mediation && !(await webauthn()?.isConditionalMediationAvailable?.())) throw unsupported();
    const publicKey = webauthn()?.parseRequestOptionsFromJSON?.(options) ?? parse(options);
    return toJson(await credentials().get({ publicKey, signal, ...(mediation && { mediation }) }));
  },
};

/**
 * Asks the user for a passkey (`get`), or for a new one (`create`), with the options that `load` loads. The user may take minutes, so it
 * must not run in the turn of a login.
 */
type Ask = (
  kind: keyof Authenticator,
  load: () => Promise<{ publicKey?: Json }>,
  options?: { signal?: AbortSignal | undefined; mediation?: Ceremony["mediation"] },
) => Promise<Json>;

/** A browser has one ceremony at a time, so each ends the one before. */
export function asker(authenticator: Authenticator): Ask {
  let asking = new AbortController();

  return async (kind, load, { signal, mediation } = {}) => {
    asking.abort();
    asking = new AbortController();
    const own = asking;
    const abort = () => own.abort();
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      for (;;) {
        const publicKey = (await load())?.publicKey;
        if (!publicKey) throw unexpected();
        const { result, renewed } = await until(publicKey, own.signal, mediation, (ceremony) =>
          authenticator[kind](publicKey, ceremony),
        );
        if (!renewed) return result as Json;
      }
    } catch (error) {
      throw ceremonyError(error);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  };
}

/** How long options may be used, in milliseconds, if they do not say it. */
const OPTIONS_LIFE = 300_000;

/**
 * Runs a ceremony until the signal aborts it. In a form that waits for a passkey, it ends at 80 % of the life of its options, once the page
 * is visible: new ones are then needed.
 */
async function until<T>(
  { timeout = OPTIONS_LIFE }: Json,
  signal: AbortSignal,
  mediation: Ceremony["mediation"],
  run: (ceremony: Ceremony) => Promise<T>,
): Promise<{ result?: T; renewed: boolean }> {
  const inner = new AbortController();
  const stop = () => inner.abort();
  let renewed = false;
  const ends = { from: Date.now(), length: timeout * 0.8 };
  const tick = () => {
    if (left(ends) > 0 || isHidden()) return;
    renewed = true;
    stop();
  };
  // The time for which the machine sleeps does not count for one long timer.
  const timer = mediation && setInterval(tick, TICK);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    return { result: await run({ signal: inner.signal, mediation }), renewed: false };
  } catch (error) {
    if (!renewed || signal.aborted) throw error;
    return { renewed };
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", stop);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: older browsers lack what the types promise
const webauthn = (): any => globalThis.PublicKeyCredential;

function credentials(): CredentialsContainer {
  if (!webauthn() || !navigator.credentials) throw unsupported();
  return navigator.credentials;
}

const unsupported = () => new PortcullisError(0, "passkeys_unsupported", "This browser has no passkeys.");

/** Why a ceremony failed, as a `PortcullisError`. */
function ceremonyError(cause: unknown): PortcullisError {
  if (cause instanceof PortcullisError) return cause;
  const { name } = Object(cause);
  const [code, detail] =
    name === "InvalidStateError"
      ? ["passkey_exists", "This device already has a passkey of the account."]
      : name === "NotAllowedError" || name === "AbortError"
        ? ["passkey_cancelled", "No passkey was chosen."]
        : ["passkey_failed", "The device could not use a passkey."];
  return new PortcullisError(0, code as string, detail as string, undefined, undefined, { cause });
}

// For browsers without the methods of Level 3: Safari before 18.4, Firefox before 119.

// biome-ignore lint/suspicious/noExplicitAny: options of both kinds
function parse({ challenge, user, ...options }: Json): any {
  const ids = (list?: Json[]) => list?.map((it) => ({ ...it, id: bytes(it.id) }));
  return {
    ...options,
    challenge: bytes(challenge),
    ...(user && { user: { ...user, id: bytes(user.id) } }),
    ...(options.excludeCredentials && { excludeCredentials: ids(options.excludeCredentials) }),
    ...(options.allowCredentials && { allowCredentials: ids(options.allowCredentials) }),
  };
}

function toJson(credential: unknown): Json {
  // biome-ignore lint/suspicious/noExplicitAny: of one of two classes
  const it = credential as any;
  try {
    return it.toJSON();
  } catch {
    // Older browsers, and extensions that make passkeys, lack it.
  }
  const { response } = it;
  const members = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  return {
    id: it.id,
    rawId: it.id,
    type: it.type,
    clientExtensionResults: it.getClientExtensionResults(),
    ...(it.authenticatorAttachment && { authenticatorAttachment: it.authenticatorAttachment }),
    response: {
      ...Object.fromEntries(members.filter((name) => response[name]).map((name) => [name, base64url(response[name])])),
      ...(response.getTransports && { transports: response.getTransports() }),
    },
  };
}

const bytes = (text: string) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));

const base64url = (buffer: ArrayBuffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
