// Passkeys in the browser.

import { useEffect, useState } from "preact/hooks";

import { PortcullisError } from "../../packages/client/src/index.ts";
import { client, problemOf } from "./auth.ts";
import { type Action, useAction } from "./hooks.ts";
import type { Problem } from "./problem.ts";
import { signIn } from "./sign-in.ts";

export const hasPasskeys = "PublicKeyCredential" in globalThis;

/** Runs what asks for a passkey. That the user changed their mind is no problem. Resolves to whether it was done. */
export async function unlessCancelled(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof PortcullisError && error.code === "passkey_cancelled") return false;
    throw error;
  }
}

/** A login with a passkey: by a button, and in the field of the login name, where the browser offers them. */
export function usePasskeyLogin(remember: { remember?: boolean }): Action<[]> {
  const [refused, setRefused] = useState<Problem>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!hasPasskeys) return;
    const end = new AbortController();
    const login = () => client.passkeys.login({ ...remember, mediation: "conditional", signal: end.signal });
    signIn(login).catch((error) => {
      const problem = problemOf(error);
      // Otherwise the browser cannot offer any, or the page asks in another way.
      if (problem.code !== "passkey_refused") return;
      setRefused(problem);
      setRound((before) => before + 1);
    });
    return () => end.abort();
  }, [round, remember.remember]);
  const action = useAction(async () => {
    setRefused(undefined);
    let isDone = false;
    try {
      isDone = await unlessCancelled(() => signIn(() => client.passkeys.login(remember)));
    } finally {
      // The browser offers them in the field again.
      if (!isDone) setRound((before) => before + 1);
    }
  });
  return { ...action, problem: action.problem ?? refused };
}
