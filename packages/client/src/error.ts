/** What a sign-in still needs. */
export interface Pending {
  /** Of `mfa_required`, `email_code_required` and `mfa_enrolment_required`: names the sign-in, for ten minutes. */
  mfaToken?: string | undefined;
  /** Of `mfa_required`: the second factors that the account has. */
  methods?: Method[] | undefined;
}

export type Method = "credential" | "code" | "recovery_code";

const UNEXPECTED = "The response is not one of a Portcullis server.";

export const isText = (value: unknown): value is string => typeof value === "string";

/** Why a request to the server failed. */
export class PortcullisError extends Error {
  override name = "PortcullisError";
  readonly mfaToken?: Pending["mfaToken"];
  readonly methods?: Pending["methods"];

  constructor(
    /** The status of the response, or 0 if there was none, or a redirect in a browser, which hides it. */
    readonly status: number,
    /** The `code` of the problem, for programs; `network_error` if there was no response. */
    readonly code: string,
    /** What went wrong, for the user. */
    readonly detail: string,
    /** The request id, under which the log of the server has the cause. */
    readonly requestId?: string,
    /** The seconds to wait before another attempt. */
    readonly retryAfter?: number,
    options?: ErrorOptions & Pending,
  ) {
    super(`${code}: ${detail}`, options);
    if (options?.mfaToken) this.mfaToken = options.mfaToken;
    if (options?.methods) this.methods = options.methods;
  }
}

/** No response arrived. The server may have acted all the same. */
export function networkError(cause: unknown): PortcullisError {
  return new PortcullisError(0, "network_error", "The server could not be reached.", undefined, undefined, { cause });
}

/** The response is that of another server, or of a proxy. */
export const unexpected = () => new PortcullisError(200, "unexpected_response", UNEXPECTED);

/** Returns the JSON of a response, or `undefined` if it has no content. Throws the error that the response describes. */
// biome-ignore lint/suspicious/noExplicitAny: the type depends on the endpoint
export async function read(response: Response): Promise<any> {
  const content = await response.text();
  if (response.ok && content === "") return undefined;
  let body: Record<string, unknown> | null | undefined;
  try {
    body = JSON.parse(content);
  } catch {
    // A proxy, or the login page of a public network, answers in HTML.
  }
  if (response.ok && body) return body;
  // The errors of other servers may have other types in these members.
  const text = (...values: unknown[]) => values.find(isText);
  throw new PortcullisError(
    response.status,
    text(body?.code, body?.error) ?? "unexpected_response",
    text(body?.detail, body?.error_description) ?? UNEXPECTED,
    text(body?.request_id),
    seconds(response.headers.get("Retry-After")),
    { mfaToken: text(body?.mfa_token), methods: Array.isArray(body?.methods) ? (body.methods as Method[]) : undefined },
  );
}

/** `Retry-After` is a number of seconds or a date (RFC 9110 §10.2.3). */
function seconds(value: string | null): number | undefined {
  if (value === null) return undefined;
  const number = Number(value);
  if (Number.isFinite(number)) return Math.max(0, number);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}
