// A sign-in that needs more than its first proof. It is in the memory of the tab only: a reload starts again.

import { type Method, PortcullisError } from "../../packages/client/src/index.ts";
import { store } from "./store.ts";

/** Another proof is needed, or the account needs a second factor first. */
export interface Waiting {
  needs: "factor" | "mail" | "enrolment";
  token: string;
  methods: Method[];
}

export type Suspended =
  | Waiting
  /** The user is signed in, and must see these recovery codes before anything else. */
  | { needs: "codes"; codes: string[] };

export const suspended = store<Suspended | undefined>(undefined);

const NEEDS: Record<string, Waiting["needs"]> = {
  mfa_required: "factor",
  email_code_required: "mail",
  mfa_enrolment_required: "enrolment",
};

/** Runs what signs in. If the sign-in needs more, the page asks for that next, and this resolves to undefined. */
export async function signIn<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    const result = await work();
    suspended.set(undefined);
    return result;
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    const { code, mfaToken: token, methods = [] } = error;
    const needs = NEEDS[code];
    if (!needs || !token) throw error;
    suspended.set({ needs, token, methods });
    return undefined;
  }
}
