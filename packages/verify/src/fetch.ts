import { VerifyError } from "./error.js";
import type { AccessToken } from "./token.js";
import { bearerToken, type Verifier, type VerifyOptions } from "./verifier.js";

/**
 * Wraps a `fetch` handler, such as that of a Worker, and calls it with the claims of the request's access token. A request
 * without a valid token is answered with the challenge. So is a `VerifyError` that the handler throws.
 *
 * @param verifier the verifier, or a function that makes it from the arguments of the handler, such as `env`
 */
export function withAccessToken<Rest extends unknown[]>(
  verifier: Verifier | ((request: Request, ...rest: Rest) => Verifier),
  handler: (request: Request, claims: AccessToken, ...rest: Rest) => Response | Promise<Response>,
  options?: VerifyOptions,
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    try {
      const { verify } = typeof verifier === "function" ? verifier(request, ...rest) : verifier;
      const claims = await verify(bearerToken(request.headers.get("Authorization")), options);
      return await handler(request, claims, ...rest);
    } catch (error) {
      if (error instanceof VerifyError) return error.getResponse();
      throw error;
    }
  };
}
