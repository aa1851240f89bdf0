import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { s } from "../../strings/index.ts";
import { config } from "../../ui/auth.ts";

/** The member `remember`, and its checkbox. Without cookies there is none, because every session outlives the browser. */
export function useRemember(): [{ remember?: boolean }, ComponentChildren] {
  const [isRemembered, setRemembered] = useState(false);
  if (config.cookie_mode !== "refresh") return [{}, null];
  const box = (
    <label class="check">
      <input type="checkbox" checked={isRemembered} onChange={(event) => setRemembered(event.currentTarget.checked)} />
      {s.remember}
    </label>
  );
  return [{ remember: isRemembered }, box];
}
