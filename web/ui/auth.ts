// The signed-in user and the requests of the pages.

import {
  createClient,
  type MfaStatus,
  type Passkey,
  PortcullisError,
  type SessionInfo,
  type User,
  type UserWithNewPassword,
} from "../../packages/client/src/index.ts";
import type { Problem } from "./problem.ts";
import { issuer } from "./router.ts";

/** The configuration for the pages, as `/account/config.json` returns it. */
export interface Config {
  cookie_mode: "off" | "refresh";
  registration: "open" | "closed";
  /** Whether the server sends mails. */
  mail: boolean;
  /** Whether a code from a mail is sufficient to log in. */
  email_login: boolean;
  email_verification: "off" | "optional" | "required";
  password_min_length: number;
  /** The origins that `return_to` may have. */
  return_origins: string[];
  issuer: string;
  turnstile_site_key?: string;
}

export type { MfaStatus, Passkey, User, UserWithNewPassword };
export type Session = SessionInfo;

/** A user as administrators see them. */
export interface Person extends User {
  disabled_at: number | null;
}

/** Failures that delay further attempts. */
export interface Throttle {
  of: "email" | "username" | "confirmation";
  failures: number;
  last_failed_at: number;
  wait_until: number | null;
}

export interface AuditEntry {
  at: number;
  kind: string;
  count?: number;
  last_at?: number;
  ip?: string | null;
  user_agent?: string | null;
  other_ip?: string | null;
  other_user_agent?: string | null;
  reason?: string;
  /** `totp`, or `passkey:` and its name. */
  factor?: string;
  roles?: string[];
  admin_id?: string;
  session_id?: string;
}

export type Client = ReturnType<typeof createClient>;

export let config: Config;
export let client: Client;

/** Reads the configuration and looks for a session. Rejects if the server does not answer; call it again then. */
export async function start(): Promise<void> {
  const response = await fetch(`${issuer}/account/config.json`, { cache: "no-cache" }).catch((cause) => {
    throw new PortcullisError(0, "network_error", "", undefined, undefined, { cause });
  });
  if (!response.ok) throw new PortcullisError(response.status, "unexpected_response", "");
  config = await response.json();
  // Without cookies, the token is in localStorage. In sessionStorage, a duplicated tab would get a copy of the token, and
  // present it after the other tab has rotated it out.
  client ??= createClient({ url: issuer, mode: config.cookie_mode === "refresh" ? "cookie" : "storage" });
  await client.restore();
  // Updates the user in the storage, which may be outdated. The pages do not wait for it.
  if (config.cookie_mode === "off" && client.state.user) client.me().catch(() => {});
}

function codeOf(status: number): string {
  if (status === 429) return "too_many_requests";
  return status >= 500 ? "server" : "unknown";
}

/** The problem to show for a failed request. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof PortcullisError)) {
    console.warn(error);
    return { code: "unknown" };
  }
  const { status, code, detail, requestId, retryAfter } = error;
  if (status === 0 && !code.startsWith("passkey")) return { code: navigator.onLine ? "network" : "offline" };
  return {
    // An error of the platform has no `code` of the API.
    code: code === "unexpected_response" ? codeOf(status) : code,
    ...(detail && { detail }),
    ...(requestId && { requestId }),
    ...(status === 429 && retryAfter && { retryAfter }),
  };
}

/** The address in `return_to`, if its origin is listed and its scheme is safe; otherwise undefined. */
export function returnTo(wanted: string | null): URL | undefined {
  if (wanted === null || !URL.canParse(wanted)) return undefined;
  const url = new URL(wanted);
  // The server lists https origins and, if `ISSUER` is on loopback, http origins.
  const isListed = config.return_origins.includes(url.origin);
  if (isListed && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "") return url;
  console.warn(`return_to is not followed: ${url.origin} is not an https origin in ALLOWED_ORIGINS`);
  return undefined;
}
