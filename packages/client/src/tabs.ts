// What the tabs of an origin share: one lock, and messages.

import type { Reason, User } from "./types.js";

/** A session, as the client keeps it. */
export interface Session {
  /** Another one after each refresh. */
  id: string;
  access_token: string;
  /** Not in cookie mode. */
  refresh_token?: string;
  session_id: string;
  user: User;
  /** When the response arrived, by the clock of this machine, in milliseconds. */
  at: number;
  /** Lifetimes from then on, in seconds. */
  expires_in: number;
  refresh_expires_in: number;
}

export type Message =
  /** A login or logout begins: abort refreshes. */
  | { kind: "stop" }
  /** A session began or was refreshed. It is in the message in cookie mode, where it contains no refresh token, else in the storage. */
  | { kind: "session"; id: string; began: boolean; session?: Session }
  | { kind: "ended"; session_id: string; reason: Reason };

export interface Tabs {
  /** Whether messages arrive. */
  readonly hears: boolean;
  /**
   * Runs `work` while no other work runs, in any tab. With a signal that is aborted while it waits, it rejects with `STOPPED`.
   * Without one it is a login or logout: the refreshes of the other tabs are stopped.
   */
  alone<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  post(message: Message): void;
  /** Resolves when the messages that are under way have arrived. */
  arrived(): Promise<void>;
  close(): void;
}

/** Why a refresh did not take place. */
export const STOPPED = "stopped";

/** How long to wait for the lock, in milliseconds. */
const PATIENCE = 5000;

/** `shared`: whether other tabs have the same session. */
export function openTabs(name: string, shared: boolean, hear: (message: Message) => void): Tabs {
  const locks = shared ? globalThis.navigator?.locks : undefined;
  let channel: BroadcastChannel | undefined;
  const pings = new Map<string, () => void>();
  try {
    if (shared) channel = new BroadcastChannel(name);
  } catch {
    // There is none, or none for this page.
  }
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.kind !== "ping") hear(data);
      else pings.get(data.id)?.();
    };
  }

  // The work of this tab is in a queue of its own, for where there are no locks or the wait for them ends.
  let last: Promise<unknown> = Promise.resolve();

  async function locked<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) throw STOPPED;
    let begun = false;
    const wait = new AbortController();
    const enough = () => wait.abort();
    signal?.addEventListener("abort", enough);
    try {
      if (locks) AbortSignal.timeout(PATIENCE).addEventListener("abort", enough);
      const done = locks?.request(name, { signal: wait.signal }, async () => {
        begun = true;
        try {
          return await work();
        } finally {
          // The other tabs have its messages before one of them has the lock.
          await arrived();
        }
      });
      // After the request for the lock, so that this tab gets it next.
      if (!signal) post({ kind: "stop" });
      return (await (done ?? work())) as T;
    } catch (error) {
      if (begun || !locks) throw error;
      if (signal?.aborted) throw STOPPED;
      // The tab that holds it may be suspended. The server tolerates two refreshes at once.
      return work();
    } finally {
      signal?.removeEventListener("abort", enough);
    }
  }

  function post(message: Message) {
    channel?.postMessage(message);
  }

  async function arrived() {
    if (!channel) return;
    // Messages arrive in the order in which they were sent, so what was sent before this one is there when it is. A timer would
    // be slowed down in a tab in the background.
    const id = randomId();
    await new Promise<void>((resolve) => {
      pings.set(id, resolve);
      setTimeout(resolve, 200);
      const sender = new BroadcastChannel(name);
      sender.postMessage({ kind: "ping", id });
      sender.close();
    });
    pings.delete(id);
  }

  return {
    get hears() {
      return channel !== undefined;
    },
    alone(work, signal) {
      const result = last.then(() => locked(work, signal));
      last = result.catch(() => {});
      return result;
    },
    post,
    arrived,
    close() {
      channel?.close();
      channel = undefined;
    },
  };
}

export function randomId(): string {
  return Math.random().toString(36).slice(2);
}
