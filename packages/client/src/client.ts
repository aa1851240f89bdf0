// The methods of the client, by endpoint.

import { type CoreOptions, createCore, type State } from "./core.js";
import { isText, unexpected } from "./error.js";
import { type Authenticator, asker, browser, type Json } from "./passkeys.js";
import type {
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
  RegisteredUser,
  Registration,
  SecondFactor,
  SessionInfo,
  StepUp,
  TokenResponse,
  TotpEnrolment,
  User,
  UserWithNewPassword,
} from "./types.js";

export interface ClientOptions extends CoreOptions {
  /** What makes and uses passkeys. Default: the browser. */
  authenticator?: Authenticator;
}

export interface Client {
  /** The current state. It is the same object until the state changes. */
  readonly state: State;
  /** Calls the listener with the current state, and at each change. Returns a function that removes it. */
  onChange(listener: (state: State) => void): () => void;
  /** Creates an account, and signs in. Where the address must be verified first, it only resolves to a challenge. */
  register(details: Registration & { remember?: boolean }): Promise<RegisteredUser | PendingRegistration>;
  /** `remember: false`, in cookie mode: the session ends with the browser. */
  login(credentials: Credentials & { remember?: boolean }): Promise<User>;
  /** Completes a sign-in after `mfa_required` or `email_code_required`. */
  completeLogin(sign_in: { mfa_token: string } & SecondFactor): Promise<User>;
  /** Authenticates the user again, after `step_up_required`, and replaces the session. */
  stepUp(proofs: StepUp): Promise<User>;
  readonly mfa: {
    /** The second factors of the user. */
    status(): Promise<MfaStatus>;
    /** Begins to add an authenticator app. */
    enrolTotp(options?: Enrolment): Promise<TotpEnrolment>;
    /** Adds it, with a code that it shows. */
    confirmTotp(confirmation: { code: string } & Enrolment): Promise<Enrolled>;
    removeTotp(): Promise<void>;
    /** Makes new recovery codes. The old ones no longer work. */
    newRecoveryCodes(): Promise<string[]>;
  };
  readonly passkeys: {
    /** Signs in with a passkey. `mediation: "conditional"` offers them in an input, until one is chosen or the signal aborts it. */
    login(options?: { remember?: boolean; mediation?: "conditional"; signal?: AbortSignal }): Promise<User>;
    /** Makes a passkey for the user. */
    register(options?: { name?: string; signal?: AbortSignal } & Enrolment): Promise<EnrolledPasskey>;
    /** Creates an account without a password. */
    registerAccount(
      details: Omit<Registration, "password"> & { remember?: boolean; signal?: AbortSignal },
    ): Promise<RegisteredUser | PendingRegistration>;
    list(): Promise<Passkey[]>;
    rename(id: string, name: string): Promise<Passkey>;
    /** Removes a passkey. The sessions that it began end, which may include this one. */
    remove(id: string): Promise<void>;
  };
  /** Signs out all tabs, even if it rejects because the server cannot be reached. */
  logout(): Promise<void>;
  /** Ends all sessions of the user, or all but this one. Resolves to their number. */
  logoutEverywhere(options?: { exceptCurrent?: boolean }): Promise<number>;
  /** The user, as the server has it now. */
  me(): Promise<Me>;
  updateMe(changes: Changes): Promise<User>;
  /** Ends all other sessions of the user, and replaces this one. */
  changePassword(passwords: { current_password?: string | null; new_password: string }): Promise<UserWithNewPassword>;
  deleteMe(): Promise<void>;
  /** Sends a code for a new password, if an account has the address. */
  forgotPassword(target: MailTarget): Promise<Challenge>;
  /** Sets a new password. Ends all sessions of the user, and signs nobody in. */
  resetPassword(proof: MailProof & { new_password: string }): Promise<PasswordReset>;
  /** Sends a code to log in with, if an account has the address. */
  startEmailLogin(target: LoginMailTarget): Promise<Challenge>;
  /** Signs in with a code. */
  finishEmailLogin(proof: { challenge: string; code: string; remember?: boolean }): Promise<User>;
  /** Sends a code to the address of the signed-in user, or the mail of a challenge again. */
  sendVerification(again?: { challenge: string }): Promise<Challenge>;
  /** Verifies an address, and turns a registration into an account. A token needs the signed-in user, or the password. */
  verifyEmail(proof: MailProof & { password?: string }): Promise<void>;
  /** Deletes a registration that somebody else made with this address. */
  disownRegistration(proof: { code: string } & ({ challenge: string } | { token: string })): Promise<void>;
  /** What the link of a mail is for. Spends nothing. */
  readMailLink(token: string): Promise<MailLink>;
  /** Sends a code to the new address, and one to the current one. */
  changeEmail(change: { new_email: string }): Promise<Challenge>;
  /**
   * Changes the address: at once, which ends all other sessions and replaces this one, or, without the old mailbox, after seven days.
   * Resolves to whether it has changed.
   */
  confirmEmailChange(confirmation: EmailChangeConfirmation): Promise<boolean>;
  /** Cancels a change of the address, as the signed-in user or with the token of a link. */
  cancelEmailChange(link?: { token: string }): Promise<void>;
  sessions(page?: Page): Promise<{ sessions: SessionInfo[]; next_cursor: string | null }>;
  endSession(id: string): Promise<void>;
  /** Any other endpoint of the server. */
  request<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  /** An access token that is valid now, or `null` if nobody is signed in. */
  getAccessToken(): Promise<string | null>;
  /** Like the global `fetch`, but adds the access token for the allowed origins. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Looks for a session in the browser again. */
  restore(): Promise<User | null>;
  /** Stops timers and the exchange with other tabs. The session stays. */
  close(): void;
}

export function createClient(options: ClientOptions): Client {
  const core = createCore(options);
  const { addresses, asUser, began, devices, inPlaceOfRefreshes, leave, request, send, signIn, transport, updated } =
    core;
  const ask = asker(options.authenticator ?? browser);

  /** Asks for a mail. */
  async function askForMail(path: string, target: LoginMailTarget): Promise<Challenge> {
    const [name] = Object.values(target) as [string];
    const email = "email" in target ? name : (addresses.get(name) ?? "");
    const answer: Challenge = await send(path, { ...target, device_token: devices.tokenFor(email) });
    if (!isText(answer?.challenge)) throw unexpected();
    if (email) addresses.set(answer.challenge, email);
    return answer;
  }

  /** Begins a session in place of that of the signed-in user. */
  const renew = (path: string, body: object) =>
    asUser(async (token) => began(await send(path, body, { bearer: token })));

  /** Adds a factor, which begins a session: of the signed-in user, or of a sign-in. */
  function enrol(path: string, body: object, mfa_token?: string): Promise<TokenResponse> {
    const add = async (bearer?: string) => {
      const replaced = mfa_token ? core.session : null;
      const answer: TokenResponse = await send(path, body, { bearer });
      began(answer, replaced, mfa_token && addresses.get(mfa_token));
      return answer;
    };
    return mfa_token ? inPlaceOfRefreshes(() => add(mfa_token)) : asUser(add);
  }

  /** Requests that only prepare what `enrol` does. */
  const prepare = <T>(path: string, body: object, mfa_token?: string): Promise<T> =>
    mfa_token ? send(path, body, { bearer: mfa_token }) : request("POST", path, body);

  const client: Client = {
    get state() {
      return core.state;
    },
    onChange: core.onChange,
    register: ({ remember, ...details }) => registered("/register", { ...details, ...transport(remember) }),
    async login({ remember, ...credentials }) {
      const loginName = String("email" in credentials ? credentials.email : credentials.username);
      return signIn("/login", { ...credentials, ...transport(remember) }, loginName);
    },
    async completeLogin({ mfa_token, ...factor }) {
      const proof =
        "passkey" in factor
          ? { credential: await ask("get", () => send("/login/mfa/options", { mfa_token }), factor) }
          : factor;
      return signIn("/login/mfa", { mfa_token, ...proof }, addresses.get(mfa_token));
    },
    async stepUp({ passkey, signal, ...proofs }) {
      const load = () => prepare<{ publicKey: Json }>("/me/passkeys/options", { for: "step_up" });
      return renew("/me/step-up", { ...proofs, ...(passkey && { credential: await ask("get", load, { signal }) }) });
    },
    mfa: {
      status: () => request("GET", "/me/mfa"),
      enrolTotp: ({ mfa_token } = {}) => prepare("/me/mfa/totp", {}, mfa_token),
      async confirmTotp({ mfa_token, code }) {
        return enrolled(await enrol("/me/mfa/totp/confirm", { code }, mfa_token));
      },
      removeTotp: () => request("DELETE", "/me/mfa/totp"),
      newRecoveryCodes: async () =>
        (await request<{ recovery_codes: string[] }>("POST", "/me/mfa/recovery-codes", {})).recovery_codes,
    },
    passkeys: {
      async login({ remember, ...ceremony } = {}) {
        const credential = await ask("get", () => send("/passkeys/options", {}), ceremony);
        return signIn("/passkeys/login", { credential, ...transport(remember) });
      },
      async register({ mfa_token, name, signal } = {}) {
        const load = () => prepare<{ publicKey: Json }>("/me/passkeys/options", {}, mfa_token);
        const credential = await ask("create", load, { signal });
        const answer = await enrol("/me/passkeys", { credential, ...(name && { name }) }, mfa_token);
        return { ...enrolled(answer), passkey: answer.passkey as Passkey };
      },
      async registerAccount({ remember, signal, ...details }) {
        const { turnstile_token, ...account } = details;
        const { email, username, name } = account;
        const load = () => send("/register/passkey/options", { email, username, name, turnstile_token });
        const credential = await ask("create", load, { signal });
        return registered("/register/passkey", { ...account, credential, ...transport(remember) });
      },
      list: async () => (await request<{ passkeys: Passkey[] }>("GET", "/me/passkeys")).passkeys,
      rename: async (id, name) => request("PATCH", pathOf("/me/passkeys", id), { name }),
      remove: async (id) => request("DELETE", pathOf("/me/passkeys", id)),
    },
    logout: () => leave(),
    async logoutEverywhere({ exceptCurrent = false } = {}) {
      if (core.state.status === "loading") await core.refresh();
      const user = core.session?.user.id;
      const path = exceptCurrent ? "/sessions?except=current" : "/sessions";
      const answer = await request<{ sessions_ended?: unknown } | undefined>("DELETE", path);
      if (typeof answer?.sessions_ended !== "number") throw unexpected();
      if (!exceptCurrent) await leave((session) => session?.user.id === user);
      return answer.sessions_ended;
    },
    async me() {
      const me: Me = await request("GET", "/me");
      if (!isText(me?.id)) throw unexpected();
      // Refreshes do not tell of a pending change, so it is not kept with the session.
      const { pending_email: _, ...user } = me;
      await updated(user);
      return me;
    },
    updateMe: async (changes) => updated(await request("PATCH", "/me", changes)),
    changePassword: (passwords) => renew("/me/password", passwords),
    deleteMe: () =>
      asUser(async (token, user) => {
        await send("/me", undefined, { method: "DELETE", bearer: token });
        devices.remove(user as string);
        if (core.session?.user.id === user) core.end("signed_out");
      }),
    forgotPassword: (target) => askForMail("/password/forgot", target),
    async resetPassword(proof) {
      const { device_token, ...answer } = await send("/password/reset", proof);
      if (typeof answer.sessions_ended !== "number") throw unexpected();
      devices.keepFor(addresses.get("token" in proof ? proof.token : proof.challenge), device_token);
      return answer as PasswordReset;
    },
    startEmailLogin: (target) => askForMail("/login/email", target),
    finishEmailLogin: ({ remember, ...proof }) =>
      signIn("/login/email/verify", { ...proof, ...transport(remember) }, addresses.get(proof.challenge)),
    sendVerification: (again) => request("POST", "/email/verify/send", again ?? {}),
    async verifyEmail(proof) {
      // Only a token without a password needs an access token.
      if ("token" in proof && proof.password === undefined) await request("POST", "/email/verify", proof);
      else await send("/email/verify", proof);
      if (core.session) await client.me().catch(() => {});
    },
    disownRegistration: (proof) => send("/email/disown", proof),
    async readMailLink(token) {
      const link: MailLink = await send("/email/link", { token });
      if (!isText(link?.purpose)) throw unexpected();
      addresses.set(token, link.email);
      return link;
    },
    changeEmail: (change) => request("POST", "/me/email", change),
    confirmEmailChange: (confirmation) =>
      asUser(async (token) => {
        const answer: TokenResponse | undefined = await send("/me/email/confirm", confirmation, { bearer: token });
        if (!answer?.access_token) return false;
        began(answer);
        return true;
      }),
    cancelEmailChange: (link) => (link ? send("/me/email/cancel", link) : request("POST", "/me/email/cancel", {})),
    sessions(page = {}) {
      // Omits members that are undefined.
      return request("GET", `/sessions?${new URLSearchParams(JSON.parse(JSON.stringify(page)))}`);
    },
    async endSession(id) {
      await request("DELETE", pathOf("/sessions", id, /^[\w-]{22}$/));
      if (id === core.session?.session_id) await leave((session) => session?.session_id === id);
    },
    request,
    getAccessToken: core.getAccessToken,
    fetch: core.fetch,
    restore: core.restore,
    close: core.close,
  };

  /** Creates an account. */
  function registered(path: string, body: object): Promise<RegisteredUser | PendingRegistration> {
    return inPlaceOfRefreshes(async () => {
      const replaced = core.session;
      const answer = await send(path, body);
      // Nobody is signed in until the address is verified.
      if (isText(answer?.challenge) && !answer.access_token) return { challenge: answer.challenge };
      return began(answer, replaced);
    });
  }

  return client;
}

const enrolled = ({ user, recovery_codes = [] }: TokenResponse): Enrolled => ({ user, recovery_codes });

/** The path of one of these: that of "" would mean all of them, and that of ".." something else. */
function pathOf(all: string, id: string, form = /^[\w-]+$/): string {
  if (!form.test(id)) throw new TypeError("This is no such id.");
  return `${all}/${id}`;
}
