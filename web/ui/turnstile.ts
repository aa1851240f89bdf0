// Turnstile: lets Cloudflare check the browser. Its script is loaded only when the server asks for a token.

import { PortcullisError } from "../../packages/client/src/index.ts";

interface Turnstile {
  render(element: HTMLElement, options: Record<string, unknown>): string;
  remove(widget: string): void;
}

const SCRIPT = "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit";

let loading: Promise<Turnstile> | undefined;

function load(): Promise<Turnstile> {
  loading ??= new Promise<Turnstile>((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SCRIPT;
    script.onload = () => resolve((window as unknown as { turnstile: Turnstile }).turnstile);
    script.onerror = () => {
      // The next try loads it again.
      loading = undefined;
      script.remove();
      reject(new PortcullisError(503, "turnstile_unavailable", ""));
    };
    document.head.append(script);
  });
  return loading;
}

/** Shows the widget in an element until it has a token for a registration. */
export async function challenge(element: HTMLElement, sitekey: string): Promise<string> {
  const turnstile = await load();
  let widget: string | undefined;
  try {
    return await new Promise((resolve, reject) => {
      widget = turnstile.render(element, {
        sitekey,
        action: "register",
        callback: resolve,
        "error-callback": () => reject(new PortcullisError(403, "turnstile_failed", "")),
      });
    });
  } finally {
    if (widget !== undefined) turnstile.remove(widget);
  }
}
