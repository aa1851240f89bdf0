// The session of a client: its state, its refreshes, the tabs that share it, and requests with its access token.

import { type Devices, openDevices } from "./devices.js";
import { isText, networkError, PortcullisError, read, unexpected } from "./error.js";
import { type Message, openTabs, randomId, type Session, STOPPED } from "./tabs.js";
import { isHidden, left, PAST, type Span, TICK } from "./time.js";
import type { Reason, RegisteredUser, TokenResponse, TokenStorage, User } from "./types.js";

export interface CoreOptions {
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
}

export type State =
  | { status: "loading" | "signed_out"; user: null; reason: Reason }
  | { status: "signed_in"; user: User; reason: Reason };

interface RequestOptions {
  /** Default: POST. */
  method?: string;
  /** The access token, or the `mfa_token` of a sign-in. */
  bearer?: string | undefined;
  /** The time limit, in milliseconds. */
  limit?: number;
  signal?: AbortSignal;
}

/** What the methods of the client are made of. */
export interface Core {
  readonly state: State;
  readonly session: Session | null;
  readonly devices: Devices;
  /** The addresses of mails, by challenge or link token, and the login names of sign-ins, by `mfa_token`. */
  readonly addresses: Map<string, string>;
  onChange(listener: (state: State) => void): () => void;
  /** Refreshes the session, or looks for the session of the browser while loading. */
  refresh(): Promise<void>;
  restore(): Promise<User | null>;
  getAccessToken(): Promise<string | null>;
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Sends a request with the access token. */
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Sends JSON. Unlike `request`, it adds no access token, and it may run under the lock. */
  // biome-ignore lint/suspicious/noExplicitAny: the type depends on the endpoint
  send(path: string, body?: object, options?: RequestOptions): Promise<any>;
  /** Runs a login or logout. */
  inPlaceOfRefreshes<T>(work: () => Promise<T>): Promise<T>;
  /** Runs what changes the session of the signed-in user and needs an access token. */
  asUser<T>(work: (token?: string, user?: string) => Promise<T>): Promise<T>;
  /** Begins a session. `loginName`: as the user typed it. */
  signIn(path: string, body: object, loginName?: string): Promise<RegisteredUser>;
  /**
   * Takes over a token response, under the lock. `replaced`: the session of the browser before the request, which ends, unless the server
   * has ended it.
   */
  began(answer: TokenResponse, replaced?: Session | null, loginName?: string): RegisteredUser;
  /** Stores the data of the user. */
  updated(user: User): Promise<User>;
  /** Ends the session in all tabs. */
  end(reason: Reason): void;
  /** Logs out, unless the session is now another one than that which was to end. */
  leave(isMeant?: (session: Session | null) => boolean): Promise<void>;
  /** The members of a request that begins a session. */
  transport(remember?: boolean): object;
  close(): void;
}

/** Time limits of requests, in milliseconds. A refresh that hangs must not hold the lock past the grace window of the server. */
const REFRESH_LIMIT = 10_000;
const LIMIT = 30_000;
/** Minimum time between two refreshes after a 401, so that an API that refuses every token causes no flood. */
const FORCED_EVERY = 10_000;

/** The errors of a 401 that a new access token may solve. */
const OUTDATED = ["invalid_token", "token_expired"];
/** Those of a server that wants another authentication (RFC 9470 §3). */
const INSUFFICIENT = ["insufficient_user_authentication", "step_up_required"];

export function createCore(options: CoreOptions): Core {
  const page: Location | undefined = globalThis.location;
  const url = new URL(options.url, page?.href).href.replace(/\/$/, "");
  const name = `portcullis:${url}`;
  const cookie = options.mode === "cookie";
  const transmit = options.fetch ?? ((input: RequestInfo | URL, init?: RequestInit) => fetch(input, init));
  const origins = [url, ...(options.origins ?? [page?.origin ?? "null"])]
    .map((origin) => (origin === "null" ? origin : new URL(origin).origin))
    // To `URL`, addresses of other schemes share the origin "null".
    .filter((origin) => /^https?:/.test(origin));

  let store = options.mode === "storage" ? usable(() => options.storage ?? localStorage, name) : undefined;
  const devices = openDevices(`${name}:devices`, () => store);
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
  /** The last session that a tab has ended. */
  let over: string | undefined;
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
    // The server may not have heard of the logout.
    over = undefined;
    if (!cookie) next.refresh_token = refresh_token as string;
    write(next);
    // To the other tabs it is new: the page of its login may be gone.
    const found = !began && session === null;
    become(next, began ? "signed_in" : found ? "restored" : "updated");
    tabs.post({ kind: "session", id: next.id, began, found, ...(cookie && { session: next }) });
  }

  function end(reason: Reason) {
    const ended = session;
    over = ended?.session_id;
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
  function take(next: Session, began?: boolean) {
    // Without the lock, another tab may have found it before it ended.
    if (next.session_id === over) return;
    if (session && session.user.id !== next.user.id) become(null, "account_changed");
    else if (session) become(next, "updated");
    else if (began || state.status === "loading") become(next, began ? "signed_in" : "restored");
  }

  async function hear(message: Message) {
    if (message.kind === "stop") stop.abort();
    else if (message.kind === "session") {
      if (message.began) stop.abort();
      announced = message.id;
      // After a login as another user, the page asks whether to follow it.
      const follows = message.began || (message.found && state.reason !== "account_changed");
      if (message.session) take(message.session, follows);
      else await look("signed_out", message.began);
    } else if (cookie) {
      over = message.session_id;
      // A tab that has a newer session keeps it.
      if (session?.session_id === message.session_id) become(null, message.reason);
    } else {
      announced = undefined;
      await look(message.reason);
    }
  }

  // ---- Requests

  /**
   * Rejects with a `PortcullisError`. Redirects are not followed, because the server sends none, and the body may contain a password.
   * Workers do not support `redirect: "error"`.
   */
  async function send(
    path: string,
    body?: object,
    { method = "POST", bearer, limit = LIMIT, signal }: RequestOptions = {},
    // biome-ignore lint/suspicious/noExplicitAny: the type depends on the endpoint
  ): Promise<any> {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const ends = setTimeout(abort, limit);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      return await read(
        await transmit(url + path, {
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
    if (!origins.includes(target.origin) || headers.has("Authorization")) return transmit(request ?? target.href, init);
    if (state.status === "loading") await refresh();
    const user = session?.user.id;
    const token = await getAccessToken();
    if (token === null) return transmit(request ?? target.href, init);
    const ask = (token: string) => {
      headers.set("Authorization", `Bearer ${token}`);
      return transmit(request ? request.clone() : target.href, { ...init, headers });
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
    const ask = () => send("/refresh", body ?? {}, { limit: REFRESH_LIMIT, signal });
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

  // ---- What the methods are made of

  /** Rejects what a user has begun if another one has signed in since. */
  function checkUser(user?: string) {
    const isOther = session ? session.user.id !== user : state.reason === "account_changed";
    if (user && isOther) throw new PortcullisError(409, "account_changed", "Another user has signed in.");
  }

  const addresses = new Map<string, string>();

  function signIn(path: string, body: object, loginName?: string): Promise<RegisteredUser> {
    return inPlaceOfRefreshes(async () => {
      const replaced = session;
      try {
        const device_token = devices.tokenFor(loginName ?? "");
        return began(await send(path, { ...body, device_token }), replaced, loginName);
      } catch (error) {
        const { mfaToken } = error as PortcullisError;
        if (mfaToken && loginName) addresses.set(mfaToken, loginName);
        throw error;
      }
    });
  }

  function began(answer: TokenResponse, replaced?: Session | null, loginName?: string): RegisteredUser {
    check(answer);
    keep(answer, true);
    devices.keep(answer, loginName);
    // With a cookie, the server ends the replaced session itself.
    if (replaced?.refresh_token) send("/revoke", { token: replaced.refresh_token }).catch(() => {});
    const { user, password_breached, challenge, recovery_codes } = answer;
    if (!password_breached && !challenge && !recovery_codes) return user;
    return {
      ...user,
      ...(password_breached && { password_breached }),
      ...(challenge && { challenge }),
      ...(recovery_codes && { recovery_codes }),
    };
  }

  async function inPlaceOfRefreshes<T>(work: () => Promise<T>): Promise<T> {
    stop.abort();
    try {
      return await tabs.alone(work);
    } finally {
      arm();
    }
  }

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

  function leave(isMeant: (session: Session | null) => boolean = () => true): Promise<void> {
    return inPlaceOfRefreshes(async () => {
      await catchUp();
      const ended = session;
      if (!isMeant(ended)) return;
      // The session of the browser now belongs to another user.
      if (!ended && state.reason === "account_changed") return;
      if (ended || cookie) end("signed_out");
      // The access token names the session, because the cookie may belong to a newer one.
      if (cookie) await send("/logout", {}, { bearer: ended?.access_token });
      else if (ended) await send("/revoke", { token: ended.refresh_token });
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

  async function restore() {
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
  }

  function transport(remember?: boolean) {
    return cookie ? { transport: "cookie", ...(remember !== undefined && { remember }) } : {};
  }

  function onChange(listener: (state: State) => void) {
    const own = (state: State) => listener(state);
    listeners.add(own);
    tell(own);
    return () => void listeners.delete(own);
  }

  function close() {
    closed = true;
    clearTimeout(timer);
    stop.abort();
    tabs.close();
    listeners.clear();
    for (const [target, type] of wakes) target?.removeEventListener?.(type, wake);
    globalThis.removeEventListener?.("storage", changed as EventListener);
  }

  if (cookie && (!hints || hints.getItem(name) !== null)) {
    state = { status: "loading", user: null, reason: null };
    refresh().catch(() => {});
  } else arm();
  return {
    get state() {
      return state;
    },
    get session() {
      return session;
    },
    devices,
    addresses,
    onChange,
    refresh,
    restore,
    getAccessToken,
    fetch: authorized,
    request,
    send,
    inPlaceOfRefreshes,
    asUser,
    signIn,
    began,
    updated,
    end,
    leave,
    transport,
    close,
  };
}

/** At 75 to 85 % of the lifetime, at random, so that one tab refreshes first, for all. */
const waitOf = (session: Session | null): Span =>
  session ? { from: session.at, length: atLeast(session.expires_in * 1000 * (0.75 + Math.random() / 10)) } : PAST;

/** A token is used for at least a second, so that a very short lifetime causes no flood of refreshes. */
const atLeast = (milliseconds: number) => Math.max(1000, milliseconds);

/** Whether it has what a session needs: a storage may be damaged, and a response may come from another server. */
const isSession = (it?: Partial<Session> | null) =>
  isText(it?.access_token) &&
  isText(it.session_id) &&
  isText(it.user?.id) &&
  Number.isFinite(it.expires_in) &&
  Number(it.expires_in) > 0;
const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const isStream = (body: unknown) => "getReader" in Object(body) || Symbol.asyncIterator in Object(body);

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
