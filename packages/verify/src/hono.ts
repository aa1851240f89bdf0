import type { Context, MiddlewareHandler } from "hono";

import type { AccessToken } from "./token.js";
import { bearerToken, requireRole as checkRole, type Verifier, type VerifyOptions } from "./verifier.js";

/** What the middleware adds to the context: `c.get("claims")`. */
export interface AccessTokenEnv {
  Variables: { claims: AccessToken };
}

/**
 * Middleware that requires a valid access token. It throws a `VerifyError`, which Hono answers with the challenge unless
 * `app.onError` handles it.
 *
 * @param verifier the verifier, or a function that makes it from the context, such as from `c.env`
 */
export function accessToken(
  // biome-ignore lint/suspicious/noExplicitAny: the bindings of the app are not known here
  verifier: Verifier | ((c: Context<any>) => Verifier),
  options?: VerifyOptions,
): MiddlewareHandler<AccessTokenEnv> {
  return async (c, next) => {
    const { verify } = typeof verifier === "function" ? verifier(c) : verifier;
    c.set("claims", await verify(bearerToken(c.req.header("Authorization")), options));
    await next();
  };
}

/** Middleware after `accessToken` that requires one of these roles. */
export function requireRole(...roles: string[]): MiddlewareHandler<AccessTokenEnv> {
  return async (c, next) => {
    checkRole(c.get("claims"), ...roles);
    await next();
  };
}
