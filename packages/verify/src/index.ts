export { type Requirement, VerifyError, type VerifyErrorCode } from "./error.js";
export type { Fetcher } from "./keys.js";
export type { AccessToken } from "./token.js";
export {
  bearerToken,
  createVerifier,
  type RevocationMarks,
  requireRole,
  type Verifier,
  type VerifierOptions,
  type VerifyOptions,
} from "./verifier.js";
