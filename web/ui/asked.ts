// The codes that this browser has asked for. A challenge is no secret: without the code it proves nothing.

import { store } from "./store.ts";

const NAME = "portcullis:asked";
/** Maximum number of challenges that are kept for links. */
const MAX_KEPT = 5;
/** The number of codes that may be tried, as on the server. */
export const MAX_TRIES = 5;

export type Purpose = "reset" | "login" | "register" | "verify" | "change" | "factor" | "step-up";

export interface Asked {
  challenge: string;
  /** The address to which the code was sent. */
  email: string;
  /** The number of wrong codes. */
  tries: number;
}

/** What a link of a mail finds again. */
interface Kept {
  challenge: string;
  /** The address to return to. */
  back: string | undefined;
}

/** Each tab has a code of its own under way, which a reload finds again. Without storage, it lasts until the reload. */
const unstored = new Map<Purpose, Asked>();

export function asked(purpose: Purpose): Asked | undefined {
  return read(() => sessionStorage, `${NAME}:${purpose}`) ?? unstored.get(purpose);
}

/** Changes with each code. A view that shows one may be there before the code of a registration is noted. */
export const changes = store(0);

export function setAsked(purpose: Purpose, next: Asked | undefined) {
  if (next) unstored.set(purpose, next);
  else unstored.delete(purpose);
  write(() => sessionStorage, `${NAME}:${purpose}`, next);
  changes.set(changes.get() + 1);
}

/** Notes a code that was sent. A link may open in another tab, which finds the challenge in the storage that tabs share. */
export function noteAsked(purpose: Purpose, email: string, challenge: string, back?: string) {
  setAsked(purpose, { challenge, email, tries: 0 });
  const others = kept().filter((it) => it.challenge !== challenge);
  write(() => localStorage, NAME, [{ challenge, back }, ...others].slice(0, MAX_KEPT));
}

/** What this browser knows of the request for which a link was sent. Challenge and token both begin with the id of the request. */
export function askedFor(token: string): Kept | undefined {
  return kept().find(({ challenge }) => challenge.slice(5, 26) === token.slice(5, 26));
}

const kept = (): Kept[] => {
  const found = read<Kept[]>(() => localStorage, NAME);
  return Array.isArray(found) ? found.filter((it) => typeof it?.challenge === "string") : [];
};

function read<T>(storage: () => Storage, name: string): T | undefined {
  try {
    return JSON.parse(storage().getItem(name) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

function write(storage: () => Storage, name: string, value: unknown) {
  try {
    if (value === undefined) storage().removeItem(name);
    else storage().setItem(name, JSON.stringify(value));
  } catch {
    // The browser blocks the storage, or it is full.
  }
}
