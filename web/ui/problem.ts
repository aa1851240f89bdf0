// Failed requests, and their texts.

import { fill, named, plural, s } from "../strings/index.ts";

/** A failed request, as the pages show it. */
export interface Problem {
  /** The `code` of the API, or one of `offline`, `network`, `server`, `unknown`, `outdated`. */
  code: string;
  /** The `detail` of the API, in English. It begins with the name of a member for some codes. */
  detail?: string;
  /** After too many requests of any kind: the seconds until a retry makes sense. */
  retryAfter?: number;
  requestId?: string;
}

/** The text of a problem, in the user's language. `left`: the seconds that are left of `retryAfter`. */
export function sentence({ code, retryAfter }: Problem, left = retryAfter): string {
  const { retryIn, retryInMinutes, too_many_requests, unknown } = s.errors;
  const text = named<unknown>(s.errors, code);
  const known = typeof text === "string" ? text : left ? too_many_requests : unknown;
  if (!left) return known;
  return `${known} ${left < 100 ? plural(retryIn, left) : plural(retryInMinutes, Math.ceil(left / 60))}`;
}

/** For problems that only the operator can solve: the request id, with which the log shows the cause. */
export function reference({ code, requestId }: Problem): string | undefined {
  const isOurs = ["internal_error", "misconfigured", "server", "storage_unavailable", "unknown"].includes(code);
  return isOurs && requestId ? fill(s.reference, { id: requestId }) : undefined;
}

/** Whether the same request may succeed later. */
export const isTemporary = ({ code }: Problem) =>
  [
    "offline",
    "network",
    "server",
    "overloaded",
    "storage_unavailable",
    "turnstile_unavailable",
    "unhealthy",
    "request_timeout",
  ].includes(code);

const FIELDS: Record<string, string[]> = {
  email_taken: ["email", "new_email"],
  invalid_email: ["email", "new_email"],
  other_email: ["email"],
  invalid_code: ["code"],
  code_exhausted: ["code"],
  wrong_app_code: ["code"],
  wrong_recovery_code: ["recovery_code"],
  username_taken: ["username"],
  invalid_username: ["username"],
  username_reserved: ["username"],
  wrong_password: ["current_password", "password"],
  password_too_short: ["new_password", "password"],
  password_too_long: ["new_password", "password"],
  password_too_common: ["new_password", "password"],
  password_breached: ["new_password", "password"],
  unknown_role: ["role", "roles"],
  passkey_exists: ["passkey_name"],
};

/** The field that caused a problem, if it is one of `fields`. */
export function fieldOf({ code, detail = "" }: Problem, fields: string[]): string | undefined {
  // The detail begins with the name of the member: "given_name: …".
  const candidates =
    code === "invalid_name" ? [detail.split(":")[0] ?? "", "passkey_name"] : (named(FIELDS, code) ?? []);
  return candidates.find((name) => fields.includes(name));
}
