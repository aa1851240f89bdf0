// The types of the API. A test compares them with the OpenAPI document.

/** A user, as `GET /me` returns it. */
export interface User {
  id: string;
  email: string;
  /** Whether the user has proved ownership of the address. */
  email_verified: boolean;
  username: string | null;
  name: string | null;
  given_name: string | null;
  family_name: string | null;
  roles: string[];
  /** Unix seconds. */
  created_at: number;
  metadata: { [name: string]: unknown } | null;
  app_metadata: { [name: string]: unknown } | null;
}

/** The signed-in user. */
export interface Me extends User {
  /** The address that the account gets later, because the old mailbox is lost. */
  pending_email?: {
    email: string;
    /** Unix seconds. */
    takes_effect_at: number;
  } | null;
}

/** A user who has just set a password. */
export interface UserWithNewPassword extends User {
  /** The password is in a list of passwords from data breaches, and the server warns of it. */
  password_breached?: true;
}

/** The body of `POST /register`. */
export interface Registration {
  email: string;
  password: string;
  username?: string | null;
  name?: string | null;
  given_name?: string | null;
  family_name?: string | null;
  metadata?: { [name: string]: unknown } | null;
  /** A token of Turnstile with the action `register`, if the server asks for one: 403 `turnstile_required`. */
  turnstile_token?: string | null;
}

/** What a registration gives where the address must be verified first: nobody is signed in yet. */
export interface PendingRegistration {
  /** Send it with the code from the mail. */
  challenge: string;
  id?: never;
}

/** A user who has just registered. */
export interface RegisteredUser extends UserWithNewPassword {
  /** A code was sent to the address. Verifying it is optional. */
  challenge?: string;
  /** Of an account with a passkey. They are not shown again. */
  recovery_codes?: string[];
}

/** To whom a mail is sent, or the challenge whose mail is sent again, with the same code. */
export type MailTarget = { email: string } | { challenge: string };

/** Who gets the code for a login: also the account of a sign-in that needs it (`email_code_required`). */
export type LoginMailTarget = MailTarget | { mfa_token: string };

/** What a mail proves: the challenge of the request and the code from the mail, or the token of its link. */
export type MailProof = { challenge: string; code: string } | { token: string };

/** The answer to a request for a mail. */
export interface Challenge {
  /** Send it with the code from the mail. */
  challenge: string;
}

/** What a link is for, and the request that caused the mail. Times are unix seconds. */
export interface MailLink {
  purpose: string;
  /** The address of the account. */
  email: string;
  /** The code of the mail, of a login. */
  code?: string;
  requested_at: number;
  expires_at: number;
  ip: string | null;
  user_agent: string | null;
}

/** What a new password by mail has changed. */
export interface PasswordReset {
  sessions_ended: number;
  /** The password that was just set is in a list of passwords from data breaches. */
  password_breached?: true;
}

/** The body of `POST /me/email/confirm`. */
export type EmailChangeConfirmation =
  | { challenge: string; code: string; old_code: string }
  | { challenge: string; code: string; old_mailbox: "lost" };

/** The body of `POST /login`. */
export type Credentials = ({ email: string } | { username: string }) & {
  password: string;
  /** Of `startEmailLogin`, with the code from its mail: after many failed logins, the server needs both (`mail_code_required`). */
  challenge?: string | null;
  code?: string | null;
};

/** What proves a second factor. With `passkey`, the user is asked for it. */
export type SecondFactor =
  | { code: string }
  | { recovery_code: string }
  | { passkey: true; signal?: AbortSignal }
  | { challenge: string; mail_code: string };

/** What `POST /me/step-up` takes: everything that a login of the account needs, at once. */
export interface StepUp {
  password?: string;
  /** The code of the authenticator app. */
  code?: string;
  recovery_code?: string;
  /** Asks the user for a passkey, which is sufficient. */
  passkey?: true;
  signal?: AbortSignal;
  /** Of `startEmailLogin`, with the code from its mail. */
  challenge?: string;
  mail_code?: string;
}

/** The second factors of the user, as `GET /me/mfa` returns them. */
export interface MfaStatus {
  /** The authenticator app. Times are unix seconds. */
  totp: { created_at: number } | null;
  /** The number of passkeys. */
  passkeys: number;
  recovery_codes_left: number;
  /** Who needs a second factor, by the policy of the server. */
  mfa: "optional" | "admins" | "required";
  /** Whether this user needs one. */
  required: boolean;
}

/** An authenticator app that is being added. */
export interface TotpEnrolment {
  /** Base32, to type in. */
  secret: string;
  otpauth_uri: string;
  /** The QR code of `otpauth_uri`, an SVG document. */
  qr_svg: string;
}

/** A factor was added, which began a new session. */
export interface Enrolled {
  user: User;
  /** The recovery codes, if the account had none. They are not shown again. */
  recovery_codes: string[];
}

export interface EnrolledPasskey extends Enrolled {
  passkey: Passkey;
}

/** A passkey, as `GET /me/passkeys` lists it. Times are unix seconds. */
export interface Passkey {
  id: string;
  name: string;
  created_at: number;
  last_used_at: number | null;
  /** Whether a service synchronises it between devices. */
  backed_up: boolean;
  transports: string[];
  /** The model of the authenticator. */
  aaguid: string;
}

/** `mfa_token`: the sign-in that needs the factor (`mfa_enrolment_required`), instead of the signed-in user. */
export interface Enrolment {
  mfa_token?: string | undefined;
}

/** The body of `PATCH /me`. `null` removes a value. */
export interface Changes {
  username?: string | null;
  name?: string | null;
  given_name?: string | null;
  family_name?: string | null;
  metadata?: { [name: string]: unknown } | null;
}

/** A session, as `GET /sessions` lists it. Times are unix seconds. */
export interface SessionInfo {
  id: string;
  /** Whether it is the session of this client. */
  current: boolean;
  created_at: number;
  created_ip: string | null;
  created_user_agent: string | null;
  last_used_at: number;
  last_used_ip: string | null;
  last_used_user_agent: string | null;
  expires_at: number;
  absolute_expires_at: number;
}

/** The page of a list to return. */
export interface Page {
  limit?: number;
  cursor?: string;
}

/** The token response. It has no `refresh_token` and no `device_token` if those are in cookies. */
export interface TokenResponse {
  access_token: string;
  token_type: "Bearer";
  expires_in: number;
  refresh_token?: string;
  refresh_expires_in: number;
  session_id: string;
  /** After a sign-in: with the next login of this user, it shows that the device is known. */
  device_token?: string;
  user: User;
  /** The password that was just set is in a list of passwords from data breaches. */
  password_breached?: true;
  /** After a registration, if the address should be verified: goes with the code from the mail to `POST /email/verify`. */
  challenge?: string;
  /** After the first factor of an account. */
  recovery_codes?: string[];
  /** After a passkey was added. */
  passkey?: Passkey | null;
}

/** The methods of `localStorage` that the client uses. */
export interface TokenStorage {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** Why the state is what it is; `null` if nothing has happened since the page was loaded. */
export type Reason =
  | null
  | "signed_in"
  | "restored"
  | "updated"
  | "signed_out"
  | "expired"
  | "revoked"
  | "account_changed";
