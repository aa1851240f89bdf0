// The device tokens of the users who have signed in here. They outlive the sessions.

import { isText } from "./error.js";
import type { TokenResponse, TokenStorage } from "./types.js";

export interface Devices {
  /** The token to send with a login: who logs in is only known afterwards. */
  tokenFor(loginName: string): string | undefined;
  /** Stores the token of a sign-in. `loginName`: as the user typed it. */
  keep(answer: TokenResponse, loginName?: string): void;
  /** Stores the token of a new password, whose answer does not name the user. */
  keepFor(email: string | undefined, token: unknown): void;
  /** Removes the token of a user. */
  remove(user: string): void;
}

/** The device token of a user, and the names with which that user logs in. */
interface Device {
  user_id: string;
  names: string[];
  token: string;
}

/** Maximum number of device tokens that are kept, as in the cookie of the server. */
const MAX_DEVICES = 5;

/** `store`: the storage, if there is one now. */
export function openDevices(name: string, store: () => TokenStorage | undefined): Devices {
  /** A copy, for where there is no storage. */
  let unstored = "[]";

  /** The newest first. */
  function all(): Device[] {
    try {
      const found: Device[] = JSON.parse(store()?.getItem(name) ?? unstored);
      return found.filter((it) => isText(it?.user_id) && isText(it.token) && Array.isArray(it.names));
    } catch {
      return [];
    }
  }

  function set(next: Device[]) {
    unstored = JSON.stringify(next.slice(0, MAX_DEVICES));
    try {
      store()?.setItem(name, unstored);
    } catch {
      // The storage is full. The next login may have to wait, if others enter wrong passwords for its name.
    }
  }

  const allExcept = (user: string) => all().filter(({ user_id }) => user_id !== user);
  const deviceOf = (loginName: string) => all().find(({ names }) => names.includes(normalized(loginName)));

  return {
    tokenFor: (loginName) => (deviceOf(loginName) ?? all()[0])?.token,
    keep({ device_token: token, user }, loginName) {
      if (!isText(token)) return;
      const names = [loginName, user.email, user.username].filter(isText).map(normalized);
      // One that was kept after a new password has no user yet.
      const others = allExcept(user.id).filter((it) => it.user_id || !it.names.some((name) => names.includes(name)));
      set([{ user_id: user.id, names, token }, ...others]);
    },
    keepFor(email, token) {
      if (!email || !isText(token)) return;
      const { user_id = "", names = [normalized(email)] } = deviceOf(email) ?? {};
      set([{ user_id, names, token }, ...all().filter((it) => !it.names.includes(normalized(email)))]);
    },
    remove: (user) => set(allExcept(user)),
  };
}

const normalized = (loginName: string) => loginName.trim().toLowerCase();
