// Views are one level below /account/, so that relative addresses of files work with every path of the issuer.

import { useEffect, useState } from "preact/hooks";

/** The folder of the pages: the path of the issuer, and `/account/`. */
const folder = new URL(".", import.meta.url);
/** The address of the API, without a slash at its end. */
export const issuer = new URL("..", import.meta.url).href.replace(/\/$/, "");

export interface Route {
  /** The part of the path after `/account/`. */
  view: string;
  query: URLSearchParams;
}

const listeners = new Set<() => void>();
let hasNavigated = false;

/** Whether the user came from another view, so that the heading must get the focus. */
export const isFollowed = () => hasNavigated;

export function route(): Route {
  const view = location.pathname.slice(folder.pathname.length).replace(/\/$/, "");
  return { view, query: new URLSearchParams(location.search) };
}

/** The address of a view: `hrefOf("login")`, `hrefOf("admin?person=…")`. */
export function hrefOf(to: string): string {
  const { pathname, search } = new URL(to, folder);
  return pathname + search;
}

export function navigate(to: string, { replace = false } = {}): void {
  const href = hrefOf(to);
  if (href === location.pathname + location.search) return;
  hasNavigated = true;
  history[replace ? "replaceState" : "pushState"](null, "", href);
  if (!replace) scrollTo(0, 0);
  for (const listener of listeners) listener();
}

/** The current route. */
export function useRoute(): Route {
  const [now, setNow] = useState(route);
  useEffect(() => {
    const update = () => setNow(route());
    const back = () => {
      hasNavigated = true;
      update();
    };
    listeners.add(update);
    addEventListener("popstate", back);
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", back);
    };
  }, []);
  return now;
}
