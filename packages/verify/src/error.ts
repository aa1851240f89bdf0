/**
 * Why a request is refused.
 *
 * - `invalid_request`: it has several `Authorization` headers.
 * - `missing_token`: it has no access token.
 * - `invalid_token`: its token is not an access token of this issuer for this audience.
 * - `token_expired`: its token was valid, and has expired.
 * - `token_revoked`: the session of its token has ended.
 * - `insufficient_user_authentication`: its user must authenticate again, or better (RFC 9470).
 * - `forbidden`: its user does not have the role.
 * - `keys_unavailable`: the issuer did not answer, so the key of its token is not known.
 * - `revocations_unavailable`: KV or `/introspect` did not answer, so the token may be revoked.
 */
export type VerifyErrorCode = keyof typeof ERRORS;

/** What the user must do to be accepted (RFC 9470 §3). */
export interface Requirement {
  acr?: string[];
  maxAge?: number;
}

const ERRORS = {
  invalid_request: { status: 400, error: "invalid_request", detail: "Send exactly one Authorization header." },
  missing_token: { status: 401, error: undefined, detail: "An access token is required." },
  invalid_token: { status: 401, error: "invalid_token", detail: "The access token is not valid." },
  token_expired: { status: 401, error: "invalid_token", detail: "The access token has expired." },
  token_revoked: { status: 401, error: "invalid_token", detail: "The access token has been revoked." },
  insufficient_user_authentication: {
    status: 401,
    error: "insufficient_user_authentication",
    detail: "This requires a more recent or a stronger authentication.",
  },
  forbidden: { status: 403, error: "insufficient_scope", detail: "The user does not have the required role." },
  keys_unavailable: { status: 503, error: undefined, detail: "The access token cannot be verified at the moment." },
  revocations_unavailable: {
    status: 503,
    error: undefined,
    detail: "The access token cannot be verified at the moment.",
  },
} as const;

const TITLES = { 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable" };

/** A request is refused. `message` is fixed text that may be sent to the client; `cause`, if there is one, is for the log. */
export class VerifyError extends Error {
  override readonly name = "VerifyError";
  readonly code: VerifyErrorCode;
  /** The HTTP status: 400, 401, 403 or 503. */
  readonly status: 400 | 401 | 403 | 503;
  /** The headers of the response, such as the challenge in `WWW-Authenticate` (RFC 6750 §3, RFC 9470 §3). */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: VerifyErrorCode, { cause, requirement }: { cause?: unknown; requirement?: Requirement } = {}) {
    const { status, error, detail } = ERRORS[code];
    super(detail, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.headers = {
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
      ...(status === 503 ? { "Retry-After": "5" } : { "WWW-Authenticate": challenge(error, detail, requirement) }),
    };
  }

  /** The body of the response: problem details (RFC 9457) in the form that Portcullis itself sends. */
  get body(): string {
    const { code, status, message } = this;
    return JSON.stringify({ type: "about:blank", title: TITLES[status], status, code, detail: message });
  }

  /** The response. Hono calls this method by itself. */
  getResponse(): Response {
    return new Response(this.body, { status: this.status, headers: this.headers });
  }
}

function challenge(error: string | undefined, detail: string, { acr, maxAge }: Requirement = {}): string {
  // Without a token, the challenge has no error code (RFC 6750 §3.1).
  if (error === undefined) return "Bearer";
  const parameters = { error, error_description: detail, acr_values: acr?.join(" "), max_age: maxAge?.toString() };
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return `Bearer ${given.map(([name, value]) => `${name}="${value}"`).join(", ")}`;
}
