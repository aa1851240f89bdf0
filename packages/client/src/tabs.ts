// The lock and the messages that the tabs of an origin share.

import type { Reason, User } from "./types.js";

/** A session, as the client stores it. */
export interface Session {
  /** Changes with each refresh. */
  id: string;
  access_token: string;
  /** Not in cookie mode. */
  refresh_token?: string;
  session_id: string;
  user: User;
  /** When the response arrived, by the clock of this machine, in milliseconds. */
  at: number;
  /** Lifetimes from `at` on, in seconds. */
  expires_in: number;
  refresh_expires_in: number;
}

export type Message =
  /** A login or logout begins: abort refreshes. */
  | { kind: "stop" }
  /**
   * A session began, was found in the browser, or was refreshed. In cookie mode, the message has the session, which then has no refresh
   * token. Otherwise the session is in the storage.
   */
  | { kind: "session"; id: string; began: boolean; found?: boolean; session?: Session }
  | { kind: "ended"; session_id: string; reason: Reason };

export interface Tabs {
  /** Whether this tab receives messages. */
  readonly hears: boolean;
  /**
   * Runs `work` while no other work runs in any tab. Rejects with `STOPPED` if the signal is aborted while it waits. Work
   * without a signal is a login or logout, and stops the refreshes of the other tabs.
   */
  alone<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  post(message: Message): void;
  /** Resolves when all messages sent so far have arrived. */
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
    // The runtime has none, or blocks it for this page.
  }
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.kind !== "ping") hear(data);
      else pings.get(data.id)?.();
    };
  }

  // This tab also queues its own work, for runtimes without locks and for when the wait for the lock ends.
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
          // The other tabs get the messages before one of them gets the lock.
          await arrived();
        }
      });
      // Sent after the request for the lock, so that this tab gets the lock next.
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
    // Messages arrive in the order in which they were sent, so all earlier ones have arrived when this one has. A browser slows
    // down timers in background tabs.
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
