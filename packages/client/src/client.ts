import { networkError, PortcullisError, read } from "./error.js";
import { type Authenticator, browser, type Ceremony, ceremonyError, type Json } from "./passkeys.js";
import { type Message, openTabs, randomId, type Session, STOPPED } from "./tabs.js";
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
  Reason,
  RegisteredUser,
  Registration,
  SecondFactor,
  SessionInfo,
  StepUp,
  TokenResponse,
  TokenStorage,
  TotpEnrolment,
  User,
  UserWithNewPassword,
} from "./types.js";

export interface ClientOptions {
  /** The `ISSUER` of the server, http or https. A relative URL is resolved against the page. */
  url: string;
  /** Where the refresh token is: in a cookie, in a variable, or in `storage`. Default: `"memory"`. */
  mode?: "cookie" | "memory" | "storage";
  /** For the mode `"storage"`. Default: `localStorage`. */
  storage?: TokenStorage;
  /** The http and https origins to which `fetch` sends the access token, in addition to the server. Default: the origin of the page. */
  origins?: string[];
  /** The function that sends requests. Default: the global `fetch`. */
  fetch?: typeof fetch;
  /** What makes and uses passkeys. Default: the browser. */
  authenticator?: Authenticator;
}

export type State =
  | { status: "loading" | "signed_out"; user: null; reason: Reason }
  | { status: "signed_in"; user: User; reason: Reason };

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

/** Time limits of requests, in milliseconds. A refresh that hangs must not hold the lock past the grace window of the server. */
const REFRESH_LIMIT = 10_000;
const LIMIT = 30_000;
/** Maximum delay of a timer, because the time for which the machine sleeps does not count. */
const TICK = 5000;
/** Minimum time between two refreshes after a 401, so that an API that refuses every token causes no flood. */
const FORCED_EVERY = 10_000;

/** Maximum number of device tokens that are kept, as in the cookie of the server. */
const MAX_DEVICES = 5;

const SESSION_ID = /^[\w-]{22}$/;
const PASSKEY_ID = /^[\w-]+$/;

/** The errors of a 401 that a new access token may solve. */
const OUTDATED = ["invalid_token", "token_expired"];
/** Those of a server that wants another authentication (RFC 9470 §3). */
const INSUFFICIENT = ["insufficient_user_authentication", "step_up_required"];

export function createClient(options: ClientOptions): Client {
  const page: Location | undefined = globalThis.location;
  const url = new URL(options.url, page?.href).href.replace(/\/$/, "");
  const name = `portcullis:${url}`;
  const cookie = options.mode === "cookie";
  const authenticator = options.authenticator ?? browser;
  const send = options.fetch ?? ((input: RequestInfo | URL, init?: RequestInit) => fetch(input, init));
  const origins = [url, ...(options.origins ?? [page?.origin ?? "null"])]
    .map((origin) => (origin === "null" ? origin : new URL(origin).origin))
    // To `URL`, addresses of other schemes share the origin "null".
    .filter((origin) => /^https?:/.test(origin));

  let store = options.mode === "storage" ? usable(() => options.storage ?? localStorage, name) : undefined;
  const devicesName = `${name}:devices`;
  /** The device tokens, where there is no storage. */
  let unstoredDevices = "[]";
  // Records whether there is a session, which is no secret. A page without a session then sends no request.
  const hints = cookie ? usable(() => localStorage, name) : undefined;
  // `sessionStorage` belongs to one tab.
  const shared = cookie || (store !== undefined && store !== usable(() => sessionStorage, name));
  const tabs = openTabs(name, shared && page !== undefined, hear);

  const listeners = new Set<(state: State) => void>();
  let session: Session | null = stored();
  let state: State = session
    ? { status: "signed_in", user: session.user, reason: "restored" }
    : { status: "signed_out", user: null, reason: null };
  /** The id of the newest session in the storage that this tab knows of. */
  let announced = session?.id;

  let flight: Promise<void> | undefined;
  /** Aborts the refresh that waits or is under way. */
  let stop = new AbortController();
  /** The time until the next refresh. */
  let wait = waitOf(session);
  let failures = 0;
  /** The error with which the server asked to wait, and until when. */
  let refusal: { error: PortcullisError; wait: Span } | undefined;
  /** The time in which there is no other refresh after a 401. */
  let forced = PAST;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  // ---- State

  function become(next: Session | null, reason: Reason) {
    if (next?.id !== session?.id) {
      failures = 0;
      refusal = undefined;
      wait = waitOf(next);
    }
    session = next;
    arm();
    const user = next?.user ?? null;
    if (state.status === (user ? "signed_in" : "signed_out") && isSame(user, state.user)) return;
    publish(user ? { status: "signed_in", user, reason } : { status: "signed_out", user: null, reason });
  }

  function publish(next: State) {
    state = next;
    for (const listener of listeners) tell(listener);
  }

  function tell(listener: (state: State) => void) {
    // An error that a listener throws must not fail the client.
    queueMicrotask(() => listeners.has(listener) && listener(state));
  }

  /** Throws if the response is not a token response. */
  function check(answer: TokenResponse) {
    if (!isSession(answer) || !(cookie || isText(answer.refresh_token))) throw unexpected();
  }

  /** Stores a token response. `began`: whether it begins a session. */
  function keep(answer: TokenResponse, began: boolean) {
    const { access_token, refresh_token, session_id, user, expires_in, refresh_expires_in } = answer;
    const next: Session = {
      id: randomId(),
      access_token,
      session_id,
      user,
      at: Date.now(),
      expires_in,
      refresh_expires_in,
    };
    announced = next.id;
    if (!cookie) next.refresh_token = refresh_token as string;
    write(next);
    become(next, began ? "signed_in" : session ? "updated" : "restored");
    tabs.post({ kind: "session", id: next.id, began, ...(cookie && { session: next }) });
  }

  /** Ends the session in all tabs. */
  function end(reason: Reason) {
    const ended = session;
    announced = undefined;
    write(null);
    become(null, reason);
    if (ended) tabs.post({ kind: "ended", session_id: ended.session_id, reason });
  }

  // ---- Storage and the other tabs

  function stored(): Session | null {
    try {
      return parsed(store?.getItem(name));
    } catch {
      return null;
    }
  }

  /** The session in a text of the storage, or `null` if it is none. */
  function parsed(text: string | null | undefined): Session | null {
    try {
      const found = JSON.parse(text ?? "null");
      return isSession(found) && isText(found.refresh_token) && isText(found.id) && Number.isFinite(found.at)
        ? found
        : null;
    } catch {
      return null;
    }
  }

  function write(next: Session | null) {
    const target = store ?? hints;
    try {
      if (next) target?.setItem(name, store ? JSON.stringify(next) : "1");
      else target?.removeItem(name);
    } catch {
      if (!store) return;
      // The storage is full or now blocked. The session continues in this tab only, and its old token is removed.
      store = undefined;
      tabs.close();
      try {
        target?.removeItem(name);
      } catch {}
    }
  }

  /** The device tokens, the newest first. */
  function devices(): Device[] {
    try {
      const found: Device[] = JSON.parse(store?.getItem(devicesName) ?? unstoredDevices);
      return found.filter((it) => isText(it?.user_id) && isText(it.token) && Array.isArray(it.names));
    } catch {
      return [];
    }
  }

  function setDevices(next: Device[]) {
    unstoredDevices = JSON.stringify(next.slice(0, MAX_DEVICES));
    try {
      store?.setItem(devicesName, unstoredDevices);
    } catch {
      // The storage is full. The next login may have to wait, if others enter wrong passwords for its name.
    }
  }

  const devicesExcept = (id: string) => devices().filter(({ user_id }) => user_id !== id);

  /** Stores the device token of a sign-in. It outlives the session. */
  function keepDevice({ device_token: token, user }: TokenResponse, loginName?: string) {
    if (!isText(token)) return;
    const names = [loginName, user.email, user.username].filter(isText).map(normalized);
    // One that was kept after a new password has no user yet.
    const others = devicesExcept(user.id).filter((it) => it.user_id || !it.names.some((name) => names.includes(name)));
    setDevices([{ user_id: user.id, names, token }, ...others]);
  }

  /** The device of the user with this name. */
  const deviceOf = (loginName: string) => devices().find(({ names }) => names.includes(normalized(loginName)));

  /** The device token to send with a login: who logs in is only known afterwards. */
  const deviceFor = (loginName: string) => (deviceOf(loginName) ?? devices()[0])?.token;

  /** The addresses of mails, by challenge or link token, and the login names of sign-ins, by `mfa_token`. */
  const addresses = new Map<string, string>();

  /** Asks for a mail. */
  async function askForMail(path: string, target: LoginMailTarget): Promise<Challenge> {
    const [name] = Object.values(target) as [string];
    const email = "email" in target ? name : (addresses.get(name) ?? "");
    const answer: Challenge = await post(path, { ...target, device_token: deviceFor(email) });
    if (!isText(answer?.challenge)) throw unexpected();
    if (email) addresses.set(answer.challenge, email);
    return answer;
  }

  /** Stores the device token of a new password, whose answer does not name the user. */
  function keepDeviceOf(email: string | undefined, token: unknown) {
    if (!email || !isText(token)) return;
    const { user_id = "", names = [normalized(email)] } = deviceOf(email) ?? {};
    setDevices([{ user_id, names, token }, ...devices().filter((it) => !it.names.includes(normalized(email)))]);
  }

  /** Adopts the session in the storage. */
  async function look(reason: Reason = "signed_out", began = false) {
    if (!store) return;
    // What another process of the browser stores may arrive after its message.
    const patience = { from: Date.now(), length: 1000 };
    while (tabs.hears && stored()?.id !== announced && left(patience) > 0) await sleep(20);
    const found = stored();
    announced = found?.id;
    if (found) take(found, began);
    else if (session) become(null, reason);
  }

  /** Receives what other tabs have sent and stored. */
  async function catchUp() {
    await tabs.arrived();
    await look();
  }

  /** Takes over a session from another tab. */
  function take(next: Session, began: boolean) {
    if (session && session.user.id !== next.user.id) become(null, "account_changed");
    else if (session) become(next, "updated");
    else if (began || state.status === "loading") become(next, began ? "signed_in" : "restored");
  }

  async function hear(message: Message) {
    if (message.kind === "stop") stop.abort();
    else if (message.kind === "session") {
      if (message.began) stop.abort();
      announced = message.id;
      if (message.session) take(message.session, message.began);
      else await look("signed_out", message.began);
    } else if (cookie) {
      // A tab that has a newer session keeps it.
      if (session?.session_id === message.session_id) become(null, message.reason);
    } else {
      announced = undefined;
      await look(message.reason);
    }
  }

  // ---- Requests

  /**
   * Sends JSON, with an access token only if `bearer` is given. Rejects with a `PortcullisError`. Redirects are not followed,
   * because the server sends none, and the body may contain a password. Workers do not support `redirect: "error"`.
   */
  async function post(
    path: string,
    body: object | undefined,
    limit = LIMIT,
    signal?: AbortSignal,
    bearer?: string,
    method = "POST",
  ) {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const ends = setTimeout(abort, limit);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      return await read(
        await send(url + path, {
          method,
          headers: { "Content-Type": "application/json", ...(bearer && { Authorization: `Bearer ${bearer}` }) },
          ...(body && { body: JSON.stringify(body) }),
          redirect: "manual",
          signal: controller.signal,
          ...(cookie && { credentials: "include" }),
        }),
      );
    } catch (error) {
      throw error instanceof PortcullisError ? error : networkError(error);
    } finally {
      clearTimeout(ends);
      signal?.removeEventListener("abort", abort);
    }
  }

  async function authorized(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    // That of another frame is not an instance of this one's `Request`.
    const request = "url" in Object(input) ? (input as Request) : undefined;
    const headers = new Headers(init?.headers ?? request?.headers);
    // What is checked is what is sent, because a `<base>` in the page leads relative addresses elsewhere.
    const target = new URL(request?.url ?? String(input), globalThis.document?.baseURI ?? page?.href);
    if (!origins.includes(target.origin) || headers.has("Authorization")) return send(request ?? target.href, init);
    if (state.status === "loading") await refresh();
    const user = session?.user.id;
    const token = await getAccessToken();
    if (token === null) return send(request ?? target.href, init);
    const ask = (token: string) => {
      headers.set("Authorization", `Bearer ${token}`);
      return send(request ? request.clone() : target.href, { ...init, headers });
    };
    const response = await ask(token);
    if (response.status !== 401 || !(await isOutdated(response, target.href.startsWith(`${url}/`)))) return response;
    if (session?.access_token === token) {
      if (!flight && left(forced) > 0) return response;
      forced = { from: Date.now(), length: FORCED_EVERY };
      await refresh();
    }
    // Another user must not send it, and a stream cannot be sent twice.
    if (!session || session.user.id !== user || session.access_token === token || isStream(init?.body)) return response;
    const renewed = session.access_token;
    await response.body?.cancel();
    return ask(renewed);
  }

  async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
    // Otherwise it would change the host.
    if (!path.startsWith("/")) throw new TypeError("The path begins with a slash.");
    try {
      return await read(
        await authorized(url + path, {
          method,
          redirect: "manual",
          ...(body !== undefined && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
        }),
      );
    } catch (error) {
      throw error instanceof PortcullisError ? error : networkError(error);
    }
  }

  // ---- Refreshing

  /** Refreshes the session, or looks for the session of the browser while loading. */
  function refresh(): Promise<void> {
    if (refusal && left(refusal.wait) > 0) return Promise.reject(refusal.error);
    flight ??= refreshInTurn().finally(() => {
      flight = undefined;
    });
    return flight;
  }

  async function refreshInTurn() {
    const before = session;
    for (;;) {
      stop = new AbortController();
      const { signal } = stop;
      try {
        return await tabs.alone(() => refreshAlone(before, signal), signal);
      } catch (error) {
        // A login or logout stopped it. The loop checks whether a refresh is still needed.
        if (error !== STOPPED) throw error;
        if (closed) throw networkError(error);
      }
    }
  }

  async function refreshAlone(before: Session | null, signal: AbortSignal) {
    await catchUp();
    // Another tab has refreshed, or signed out.
    if (session?.id !== before?.id || (!before && state.status !== "loading")) return;
    const body = cookie ? before && { user_id: before.user.id } : { refresh_token: before?.refresh_token };
    const ask = () => post("/refresh", body ?? {}, REFRESH_LIMIT, signal);
    let answer: TokenResponse;
    try {
      // Tries once more if the connection broke, because the server may have rotated the token.
      answer = await ask().catch((error) => {
        if (error.code !== "network_error" || error.cause?.name === "AbortError" || signal.aborted) throw error;
        return ask();
      });
      check(answer);
    } catch (error) {
      if (signal.aborted) throw STOPPED;
      return await failed(before, error as PortcullisError);
    }
    if (signal.aborted) throw STOPPED;
    // Without the lock, another tab may have refreshed first.
    if (store && stored()?.id !== before?.id) await look();
    if (session?.id === before?.id) keep(answer, false);
  }

  async function failed(before: Session | null, error: PortcullisError) {
    if (error.code === "account_changed") return become(null, "account_changed");
    if (error.status === 401 && error.code === "invalid_refresh_token") {
      await catchUp();
      // The refused token is no longer the current one.
      if (session?.id !== before?.id) return;
      if (before) {
        const length = before.refresh_expires_in * 1000;
        return end(left({ from: before.at, length }) > 0 ? "revoked" : "expired");
      }
      const had = hints?.getItem(name);
      write(null);
      return become(null, had ? "expired" : null);
    }
    // There is no session to keep, and a retry would be refused again, as for a page of another site.
    const isFinal = error.status >= 400 && error.status < 500 && ![408, 429].includes(error.status);
    if (!before && isFinal && error.code !== "unexpected_response") {
      become(null, null);
      throw error;
    }
    const backOff = Math.min(2 ** failures, 60) * (0.75 + Math.random() / 2);
    failures += 1;
    wait = { from: Date.now(), length: Math.max(backOff, error.retryAfter ?? 0) * 1000 };
    if (error.code !== "network_error") refusal = { error, wait };
    arm();
    throw error;
  }

  function arm() {
    clearTimeout(timer);
    if (closed || isHidden() || (!session && state.status !== "loading")) return;
    timer = setTimeout(tick, Math.min(Math.max(left(wait), 0), TICK));
    // A timer would keep Node running.
    (timer as { unref?: () => void }).unref?.();
  }

  function tick() {
    if (left(wait) > 0 || isHidden()) arm();
    // If it fails, it sets the next attempt.
    else refresh().catch(() => {});
  }

  /** Refreshes if it is due, when the page is shown again or the network is back. */
  async function wake(event: Event) {
    if (isHidden()) return;
    await look();
    if (event.type === "online" && failures > 0) wait = refusal?.wait ?? PAST;
    arm();
  }

  const wakes: [EventTarget | undefined, string][] = [
    [globalThis.document, "visibilitychange"],
    [page && globalThis, "pageshow"],
    [page && globalThis, "online"],
  ];
  for (const [target, type] of wakes) target?.addEventListener?.(type, wake);

  function changed({ key, oldValue, newValue }: StorageEvent) {
    // Without messages, this event also reports logins, which change the id of the session. A refresh does not.
    const began = !tabs.hears && parsed(newValue)?.session_id !== parsed(oldValue)?.session_id;
    if (key === name || key === null) void look("signed_out", began);
  }
  if (page && store) globalThis.addEventListener?.("storage", changed);

  // ---- What the page calls

  /** Rejects what a user has begun if another one has signed in since. */
  function checkUser(user?: string) {
    const isOther = session ? session.user.id !== user : state.reason === "account_changed";
    if (user && isOther) throw new PortcullisError(409, "account_changed", "Another user has signed in.");
  }

  /** Begins a session. `loginName`: as the user typed it. */
  async function begin(path: string, body: object, loginName?: string): Promise<RegisteredUser> {
    const replaced = session;
    try {
      return began(await post(path, body), replaced, loginName);
    } catch (error) {
      const { mfaToken } = error as PortcullisError;
      if (mfaToken && loginName) addresses.set(mfaToken, loginName);
      throw error;
    }
  }

  /** Begins a session in place of that of the signed-in user. */
  const renew = (path: string, body: object) =>
    asUser(async (token) => began(await post(path, body, LIMIT, undefined, token)));

  /** Adds a factor, which begins a session: of the signed-in user, or of a sign-in. */
  function enrol(path: string, body: object, mfa_token?: string): Promise<TokenResponse> {
    const add = async (bearer?: string) => {
      const replaced = mfa_token ? session : null;
      const answer: TokenResponse = await post(path, body, LIMIT, undefined, bearer);
      began(answer, replaced, mfa_token && addresses.get(mfa_token));
      return answer;
    };
    return mfa_token ? inPlaceOfRefreshes(() => add(mfa_token)) : asUser(add);
  }

  /** Requests that only prepare what `enrol` does. */
  const prepare = <T>(path: string, body: object, mfa_token?: string): Promise<T> =>
    mfa_token ? post(path, body, LIMIT, undefined, mfa_token) : request("POST", path, body);

  /** `replaced`: the session of the browser until now, unless the server has ended it. */
  function began(answer: TokenResponse, replaced?: Session | null, loginName?: string): RegisteredUser {
    check(answer);
    keep(answer, true);
    keepDevice(answer, loginName);
    // With a cookie, the server ends the replaced session itself.
    if (replaced?.refresh_token) post("/revoke", { token: replaced.refresh_token }).catch(() => {});
    const { user, password_breached, challenge, recovery_codes } = answer;
    if (!password_breached && !challenge && !recovery_codes) return user;
    return {
      ...user,
      ...(password_breached && { password_breached }),
      ...(challenge && { challenge }),
      ...(recovery_codes && { recovery_codes }),
    };
  }

  /** The ceremony under way: a browser has one at a time. */
  let asking = new AbortController();

  /** Asks the user for a passkey, or for a new one. The user may take minutes, so it must not run in the turn of a login. */
  async function ask(
    kind: keyof Authenticator,
    load: () => Promise<{ publicKey?: Json }>,
    { signal, mediation }: { signal?: AbortSignal | undefined; mediation?: Ceremony["mediation"] } = {},
  ): Promise<Json> {
    asking.abort();
    asking = new AbortController();
    const own = asking;
    const abort = () => own.abort();
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      for (;;) {
        const publicKey = (await load())?.publicKey;
        if (!publicKey) throw unexpected();
        const { result, renewed } = await until(publicKey, own.signal, mediation, (ceremony) =>
          authenticator[kind](publicKey, ceremony),
        );
        if (!renewed) return result as Json;
      }
    } catch (error) {
      throw ceremonyError(error);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Runs a login or logout. */
  async function inPlaceOfRefreshes<T>(work: () => Promise<T>): Promise<T> {
    stop.abort();
    try {
      return await tabs.alone(work);
    } finally {
      arm();
    }
  }

  /** Runs what changes the session of the signed-in user and needs an access token. */
  async function asUser<T>(work: (token?: string, user?: string) => Promise<T>): Promise<T> {
    if (state.status === "loading") await refresh();
    const user = session?.user.id;
    // Refreshes if needed, which cannot be done in the turn of the work.
    await getAccessToken();
    return inPlaceOfRefreshes(async () => {
      await catchUp();
      checkUser(user);
      return work(session?.access_token, user);
    });
  }

  /** Logs out, unless the session is now another one than that which was to end. */
  function leave(isMeant: (session: Session | null) => boolean = () => true): Promise<void> {
    return inPlaceOfRefreshes(async () => {
      await catchUp();
      const ended = session;
      if (!isMeant(ended)) return;
      // The session of the browser now belongs to another user.
      if (!ended && state.reason === "account_changed") return;
      if (ended || cookie) end("signed_out");
      // The access token names the session, because the cookie may belong to a newer one.
      if (cookie) await post("/logout", {}, LIMIT, undefined, ended?.access_token);
      else if (ended) await post("/revoke", { token: ended.refresh_token });
    });
  }

  async function getAccessToken(): Promise<string | null> {
    if (state.status === "loading") await refresh();
    if (!session) return null;
    const { user, at, expires_in, access_token } = session;
    // The token must not expire on the way to the API.
    const margin = Math.min(10_000, expires_in * 100);
    if (left({ from: at, length: atLeast(expires_in * 1000 - margin) }) > 0) return access_token;
    await refresh();
    checkUser(user.id);
    return session?.access_token ?? null;
  }

  /** Stores the data of the user. */
  async function updated(user: User): Promise<User> {
    if (!isText(user?.id)) throw unexpected();
    // Under the lock, so that it does not overwrite the session of a refresh in another tab.
    if (!isSame(user, session?.user)) await tabs.alone(() => update(user), new AbortController().signal);
    return user;
  }

  async function update(user: User) {
    await catchUp();
    if (session?.user.id !== user.id) return;
    const next = { ...session, user };
    write(next);
    become(next, "updated");
    tabs.post({ kind: "session", id: next.id, began: false, ...(cookie && { session: next }) });
  }

  const client: Client = {
    get state() {
      return state;
    },
    onChange(listener) {
      const own = (state: State) => listener(state);
      listeners.add(own);
      tell(own);
      return () => void listeners.delete(own);
    },
    register: ({ remember, ...details }) => registered("/register", { ...details, ...transport(remember) }),
    login: ({ remember, ...credentials }) =>
      inPlaceOfRefreshes(() => {
        const loginName = String("email" in credentials ? credentials.email : credentials.username);
        const body = { ...credentials, ...transport(remember), device_token: deviceFor(loginName) };
        return begin("/login", body, loginName);
      }),
    async completeLogin({ mfa_token, ...factor }) {
      const proof =
        "passkey" in factor
          ? { credential: await ask("get", () => post("/login/mfa/options", { mfa_token }), factor) }
          : factor;
      return inPlaceOfRefreshes(() => {
        const loginName = addresses.get(mfa_token);
        return begin("/login/mfa", { mfa_token, ...proof, device_token: deviceFor(loginName ?? "") }, loginName);
      });
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
        const credential = await ask("get", () => post("/passkeys/options", {}), ceremony);
        return inPlaceOfRefreshes(() => {
          const body = { credential, ...transport(remember), device_token: deviceFor("") };
          return begin("/passkeys/login", body);
        });
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
        const load = () => post("/register/passkey/options", { email, username, name, turnstile_token });
        const credential = await ask("create", load, { signal });
        return registered("/register/passkey", { ...account, credential, ...transport(remember) });
      },
      list: async () => (await request<{ passkeys: Passkey[] }>("GET", "/me/passkeys")).passkeys,
      rename: async (id, name) => request("PATCH", passkeyPath(id), { name }),
      remove: async (id) => request("DELETE", passkeyPath(id)),
    },
    logout: () => leave(),
    async logoutEverywhere({ exceptCurrent = false } = {}) {
      if (state.status === "loading") await refresh();
      const user = session?.user.id;
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
        await post("/me", undefined, LIMIT, undefined, token, "DELETE");
        setDevices(devicesExcept(user as string));
        if (session?.user.id === user) end("signed_out");
      }),
    forgotPassword: (target) => askForMail("/password/forgot", target),
    async resetPassword(proof) {
      const { device_token, ...answer } = await post("/password/reset", proof);
      if (typeof answer.sessions_ended !== "number") throw unexpected();
      keepDeviceOf(addresses.get("token" in proof ? proof.token : proof.challenge), device_token);
      return answer as PasswordReset;
    },
    startEmailLogin: (target) => askForMail("/login/email", target),
    finishEmailLogin: ({ remember, ...proof }) =>
      inPlaceOfRefreshes(() => {
        const email = addresses.get(proof.challenge);
        const body = { ...proof, ...transport(remember), device_token: deviceFor(email ?? "") };
        return begin("/login/email/verify", body, email);
      }),
    sendVerification: (again) => request("POST", "/email/verify/send", again ?? {}),
    async verifyEmail(proof) {
      // Only a token without a password needs an access token.
      if ("token" in proof && proof.password === undefined) await request("POST", "/email/verify", proof);
      else await post("/email/verify", proof);
      if (session) await client.me().catch(() => {});
    },
    disownRegistration: (proof) => post("/email/disown", proof),
    async readMailLink(token) {
      const link: MailLink = await post("/email/link", { token });
      if (!isText(link?.purpose)) throw unexpected();
      addresses.set(token, link.email);
      return link;
    },
    changeEmail: (change) => request("POST", "/me/email", change),
    confirmEmailChange: (confirmation) =>
      asUser(async (token) => {
        const answer: TokenResponse | undefined = await post(
          "/me/email/confirm",
          confirmation,
          LIMIT,
          undefined,
          token,
        );
        if (!answer?.access_token) return false;
        began(answer);
        return true;
      }),
    cancelEmailChange: (link) => (link ? post("/me/email/cancel", link) : request("POST", "/me/email/cancel", {})),
    sessions(page = {}) {
      // Omits members that are undefined.
      return request("GET", `/sessions?${new URLSearchParams(JSON.parse(JSON.stringify(page)))}`);
    },
    async endSession(id) {
      // Otherwise "" would end all sessions, and "." and ".." would change the path.
      if (!SESSION_ID.test(id)) throw new TypeError("The id of a session has 22 characters of base64url.");
      await request("DELETE", `/sessions/${id}`);
      if (id === session?.session_id) await leave((session) => session?.session_id === id);
    },
    request,
    getAccessToken,
    fetch: authorized,
    async restore() {
      if (!session) {
        if (cookie) {
          if (state.status !== "loading") publish({ status: "loading", user: null, reason: null });
          // If the server asked to wait, the timer tries again.
          arm();
          await refresh();
        } else {
          const found = stored();
          if (found) take(found, true);
        }
      }
      return state.user;
    },
    close() {
      closed = true;
      clearTimeout(timer);
      stop.abort();
      tabs.close();
      listeners.clear();
      for (const [target, type] of wakes) target?.removeEventListener?.(type, wake);
      globalThis.removeEventListener?.("storage", changed as EventListener);
    },
  };

  /** Creates an account. */
  function registered(path: string, body: object): Promise<RegisteredUser | PendingRegistration> {
    return inPlaceOfRefreshes(async () => {
      const replaced = session;
      const answer = await post(path, body);
      // Nobody is signed in until the address is verified.
      if (isText(answer?.challenge) && !answer.access_token) return { challenge: answer.challenge };
      return began(answer, replaced);
    });
  }

  function transport(remember?: boolean) {
    return cookie ? { transport: "cookie", ...(remember !== undefined && { remember }) } : {};
  }

  if (cookie && (!hints || hints.getItem(name) !== null)) {
    state = { status: "loading", user: null, reason: null };
    refresh().catch(() => {});
  } else arm();
  return client;
}

/** The device token of a user who has signed in here, and the names with which that user logs in. */
interface Device {
  user_id: string;
  names: string[];
  token: string;
}

/** A span of time, in milliseconds: from a time of this machine's clock on. */
interface Span {
  from: number;
  length: number;
}

/** A span that is over. */
const PAST: Span = { from: 0, length: 0 };

/**
 * The milliseconds that are left. A span that begins in the future is over, because the clock was set back by an unknown time.
 * The clocks of two tabs may differ by a little.
 */
function left({ from, length }: Span): number {
  const passed = Date.now() - from;
  return passed < -1000 ? 0 : length - passed;
}

/** At 75 to 85 % of the lifetime, at random, so that one tab refreshes first, for all. */
const waitOf = (session: Session | null): Span =>
  session ? { from: session.at, length: atLeast(session.expires_in * 1000 * (0.75 + Math.random() / 10)) } : PAST;

/** A token is used for at least a second, so that a very short lifetime causes no flood of refreshes. */
const atLeast = (milliseconds: number) => Math.max(1000, milliseconds);

const isText = (value: unknown): value is string => typeof value === "string";
const normalized = (loginName: string) => loginName.trim().toLowerCase();
/** Whether it has what a session needs: a storage may be damaged, and a response may come from another server. */
const isSession = (it?: Partial<Session> | null) =>
  isText(it?.access_token) &&
  isText(it.session_id) &&
  isText(it.user?.id) &&
  Number.isFinite(it.expires_in) &&
  Number(it.expires_in) > 0;
const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const isHidden = () => globalThis.document?.visibilityState === "hidden";
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const isStream = (body: unknown) => "getReader" in Object(body) || Symbol.asyncIterator in Object(body);
const unexpected = () =>
  new PortcullisError(200, "unexpected_response", "The response is not one of a Portcullis server.");

const enrolled = ({ user, recovery_codes = [] }: TokenResponse): Enrolled => ({ user, recovery_codes });

function passkeyPath(id: string): string {
  // Otherwise "" would be another path.
  if (!PASSKEY_ID.test(id)) throw new TypeError("The id of a passkey is base64url.");
  return `/me/passkeys/${id}`;
}

/** Whether a new access token may help: a server may also want an authentication that only the page can ask for. */
async function isOutdated(response: Response, isOwn: boolean): Promise<boolean> {
  const { headers } = response;
  const challenge = /error="(\w+)"/.exec(headers.get("WWW-Authenticate") ?? "")?.[1];
  // A page of another origin may not see the header.
  const hasBody = !challenge && headers.get("Content-Type")?.includes("json");
  const code =
    challenge ??
    (hasBody &&
      (
        await response
          .clone()
          .json()
          .catch(() => null)
      )?.code);
  if (!isText(code)) return true;
  return isOwn ? OUTDATED.includes(code) : !INSUFFICIENT.includes(code);
}

/** How long options may be used, in milliseconds, if they do not say it. */
const OPTIONS_LIFE = 300_000;

/**
 * Runs a ceremony until the signal aborts it. In a form that waits for a passkey, it ends at 80 % of the life of its options, once the page
 * is visible: new ones are then needed.
 */
async function until<T>(
  { timeout = OPTIONS_LIFE }: Json,
  signal: AbortSignal,
  mediation: Ceremony["mediation"],
  run: (ceremony: Ceremony) => Promise<T>,
): Promise<{ result?: T; renewed: boolean }> {
  const inner = new AbortController();
  const stop = () => inner.abort();
  let renewed = false;
  const ends = { from: Date.now(), length: timeout * 0.8 };
  const tick = () => {
    if (left(ends) > 0 || isHidden()) return;
    renewed = true;
    stop();
  };
  // The time for which the machine sleeps does not count for one long timer.
  const timer = mediation && setInterval(tick, TICK);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    return { result: await run({ signal: inner.signal, mediation }), renewed: false };
  } catch (error) {
    if (!renewed || signal.aborted) throw error;
    return { renewed };
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** The storage, or `undefined` if the browser blocks it. */
function usable(get: () => TokenStorage, name: string): TokenStorage | undefined {
  try {
    const storage = get();
    storage.getItem(name);
    return storage;
  } catch {
    return undefined;
  }
}
