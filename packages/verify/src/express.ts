import { VerifyError } from "./error.js";
import type { AccessToken } from "./token.js";
import { bearerToken, requireRole as checkRole, type Verifier, type VerifyOptions } from "./verifier.js";

/** The request of Express, or of `node:http`. */
export interface NodeRequest {
  headers: { authorization?: string | undefined };
  headersDistinct?: { authorization?: string[] | undefined } | undefined;
  claims?: AccessToken;
}

/** The response of Express, or of `node:http`. */
export interface NodeResponse {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

type Next = (error?: unknown) => void;
type Middleware = (request: NodeRequest, response: NodeResponse, next: Next) => Promise<void>;

declare global {
  namespace Express {
    interface Request {
      /** The claims of the access token, after `accessToken`. */
      claims?: AccessToken;
    }
  }
}

/** Middleware that requires a valid access token. It sets `request.claims`, or answers with the challenge. */
export function accessToken(verifier: Verifier, options?: VerifyOptions): Middleware {
  return guard(async (request) => {
    // Of several headers, Node has only the first in `headers`. A proxy may have checked another one.
    if ((request.headersDistinct?.authorization?.length ?? 0) > 1) throw new VerifyError("invalid_request");
    request.claims = await verifier.verify(bearerToken(request.headers.authorization), options);
  });
}

/** Middleware after `accessToken` that requires one of these roles. */
export function requireRole(...roles: string[]): Middleware {
  return guard(async ({ claims }) => {
    if (claims === undefined) throw new TypeError("requireRole needs accessToken before it");
    checkRole(claims, ...roles);
  });
}

function guard(check: (request: NodeRequest) => Promise<void>): Middleware {
  return async (request, response, next) => {
    try {
      await check(request);
    } catch (error) {
      return error instanceof VerifyError ? refuse(response, error, next) : next(error);
    }
    next();
  };
}

function refuse(response: NodeResponse, error: VerifyError, next: Next): void {
  // The app may have answered meanwhile, for example because its time limit has passed.
  if (response.headersSent) return;
  try {
    response.statusCode = error.status;
    for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
    response.end(error.body);
  } catch (cause) {
    next(cause);
  }
}
