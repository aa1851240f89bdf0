export { type Client, type ClientOptions, createClient, type State } from "./client.js";
export { PortcullisError } from "./error.js";
export type {
  Changes,
  Credentials,
  Page,
  Reason,
  Registration,
  SessionInfo,
  TokenStorage,
  User,
  UserWithNewPassword,
} from "./types.js";
