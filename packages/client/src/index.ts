export { type Client, type ClientOptions, createClient } from "./client.js";
export type { State } from "./core.js";
export { type Method, PortcullisError } from "./error.js";
export type { Authenticator, Ceremony } from "./passkeys.js";
export type {
  Challenge,
  Changes,
  Credentials,
  EmailChangeConfirmation,
  Enrolled,
  EnrolledPasskey,
  Enrolment,
  LoginMailTarget,
  MailLink,
  MailProof,
  MailTarget,
  Me,
  MfaStatus,
  Page,
  Passkey,
  PasswordReset,
  PendingRegistration,
  Reason,
  RegisteredUser,
  Registration,
  SecondFactor,
  SessionInfo,
  StepUp,
  TokenStorage,
  TotpEnrolment,
  User,
  UserWithNewPassword,
} from "./types.js";
