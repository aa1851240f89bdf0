import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { s } from "../../strings/index.ts";
import { config } from "../../ui/auth.ts";

/**
 * Whether the session outlives the browser, and the box that asks. Without cookies it always does, and there is no box.
 */
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
