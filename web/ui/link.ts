// The token in the link of a mail: `/account/confirm#token=…` or `#disown=…`. Importing this file takes it off the address, so
// `main.tsx` imports it first. Until it is used, it stays in the memory of the tab, so that a reload finds it.

import { useEffect, useState } from "preact/hooks";

const NAME = "portcullis:link";

/** A link that was opened. The same link that is opened again is another one. */
export interface OpenedLink {
  token: string;
  /** Whether it deletes a registration, instead of completing it. */
  disowns: boolean;
}

let opened: OpenedLink | undefined = take() ?? read();

/** Takes the token off the address, and off the history of the tab. */
function take(): OpenedLink | undefined {
  const fragment = location.hash.slice(1);
  const found = parse(fragment);
  if (!found) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  keep(fragment);
  return found;
}

function parse(fragment: string): OpenedLink | undefined {
  const parts = new URLSearchParams(fragment);
  const disown = parts.get("disown");
  const token = disown ?? parts.get("token");
  return token === null ? undefined : { token, disowns: disown !== null };
}

function read(): OpenedLink | undefined {
  try {
    return parse(sessionStorage.getItem(NAME) ?? "");
  } catch {
    return undefined;
  }
}

function keep(fragment: string | undefined) {
  try {
    if (fragment === undefined) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, fragment);
  } catch {
    // The browser blocks the storage. Then a reload asks for the link again.
  }
}

/** Forgets the token, because it was used. */
export function forgetLink() {
  opened = undefined;
  keep(undefined);
}

/** The last link that was opened in this tab. */
export function useLink(): OpenedLink | undefined {
  const [current, setCurrent] = useState(opened);
  useEffect(() => {
    // A second link that opens in the same tab changes only the fragment.
    const follow = () => {
      const next = take();
      if (!next) return;
      opened = next;
      setCurrent(next);
    };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return current;
}
