// Asking the user to authenticate again, when the server wants that for a change.

import { PortcullisError } from "../../packages/client/src/index.ts";
import { store } from "./store.ts";

/** An open dialog. */
interface Asked {
  /** Ends it: whether the user has authenticated. */
  end(isDone: boolean): void;
  /** Whether a code from a mail is needed beside the password. */
  needsMail: boolean;
}

/** Set while the dialog is open. */
export const stepUp = store<Asked | undefined>(undefined);

/** The dialog that is open. Several requests share it. */
let open: Promise<boolean> | undefined;

function ask(needsMail: boolean): Promise<boolean> {
  open ??= new Promise<boolean>((resolve) => {
    const end = (isDone: boolean) => {
      stepUp.set(undefined);
      open = undefined;
      resolve(isDone);
    };
    stepUp.set({ end, needsMail });
  });
  return open;
}

/** Runs `work`. If the server wants the user to authenticate again first, asks for that, and runs it once more. */
export async function withStepUp<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    // The first factor of an account needs a code from a mail, too.
    const needsMail = error.code === "email_code_required" && error.mfaToken === undefined;
    if (!(needsMail || error.code === "step_up_required") || !(await ask(needsMail))) throw error;
    return work();
  }
}
