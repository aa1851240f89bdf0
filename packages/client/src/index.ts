export { type Client, type ClientOptions, createClient, type State } from "./client.js";
export { PortcullisError } from "./error.js";
export type {
  Challenge,
  Changes,
  Credentials,
  EmailChangeConfirmation,
  MailLink,
  MailProof,
  MailTarget,
  Me,
  Page,
  PasswordReset,
  PendingRegistration,
  Reason,
  RegisteredUser,
  Registration,
  SessionInfo,
  TokenStorage,
  User,
  UserWithNewPassword,
} from "./types.js";
