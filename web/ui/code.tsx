// Entering a code from a mail.

import { useMemo, useState } from "preact/hooks";

import { PortcullisError } from "../../packages/client/src/index.ts";
import { plural, s } from "../strings/index.ts";
import { asked, askedFor, MAX_TRIES, noteAsked, type Purpose, setAsked } from "./asked.ts";
import { announce, Button } from "./basics.tsx";
import { Field } from "./form.tsx";
import { useAction, useCountdown } from "./hooks.ts";
import { sentence } from "./problem.ts";

/** The field for a code. Case, spaces and hyphens do not matter to the server. */
export function CodeField({
  name = "code",
  label = s.code.label,
  hint,
}: {
  name?: string;
  label?: string;
  hint?: string;
}) {
  return <Field name={name} label={label} {...(hint && { hint })} autocomplete="one-time-code" inputMode="text" />;
}

/** Runs what sends the code of a purpose, with its challenge. Counts the wrong codes, because the server has one error for all reasons. */
export async function withCode<T>(purpose: Purpose, send: (challenge: string) => Promise<T>): Promise<T> {
  const current = asked(purpose);
  const exhausted = new PortcullisError(400, "code_exhausted", "");
  if (!current || current.tries >= MAX_TRIES) throw exhausted;
  try {
    const result = await send(current.challenge);
    setAsked(purpose, undefined);
    return result;
  } catch (error) {
    if (!(error instanceof PortcullisError) || error.code !== "invalid_code") throw error;
    const tries = current.tries + 1;
    setAsked(purpose, { ...current, tries });
    throw tries < MAX_TRIES ? error : exhausted;
  }
}

/** The seconds between two mails. */
const PAUSE = 30;

/**
 * The button that sends the mail again.
 * @param send sends the mail of a live challenge again, or, without one, asks for a new code; it returns the challenge
 */
export function SendAgain({
  purpose,
  send,
}: {
  purpose: Purpose;
  send: (challenge?: string) => Promise<{ challenge: string }>;
}) {
  const [sent, setSent] = useState(0);
  const left = useCountdown(useMemo(() => ({ code: "", retryAfter: PAUSE }), [sent]));
  const action = useAction(async () => {
    const current = asked(purpose);
    const isLive = current && current.tries < MAX_TRIES;
    const { challenge } = await send(isLive ? current.challenge : undefined);
    // Another challenge has another code.
    if (current && challenge !== current.challenge)
      noteAsked(purpose, current.email, challenge, askedFor(current.challenge)?.back);
    setSent(sent + 1);
    announce(s.code.sentAgain);
  });
  return (
    <div class="again">
      <p class="hint">{s.code.nothing}</p>
      <Button isDisabled={left > 0} isBusy={action.isBusy} {...(left === 0 && { onClick: action.run })}>
        {left > 0 ? plural(s.code.againIn, left) : s.code.again}
      </Button>
      {action.problem && (
        <p class="error" role="alert">
          {sentence(action.problem)}
        </p>
      )}
    </div>
  );
}
