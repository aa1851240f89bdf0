// What the pages suggest after a login: to look at the second factors after a new password by mail, and to add a passkey.

import { useEffect, useState } from "preact/hooks";

import { fill, plural, s } from "../../strings/index.ts";
import { client, type User } from "../../ui/auth.ts";
import { Button, Link, Notice } from "../../ui/basics.tsx";
import { hasPasskeys } from "../../ui/passkeys.ts";
import { store } from "../../ui/store.ts";

const RESET = "portcullis:reset";
const DECLINED = "portcullis:no-passkey";

/** Notes that a new password was set with a mail. After the next login in this tab, the user should look at the factors. */
export const noteReset = () => write(() => sessionStorage, RESET, "1");

/** After a new password by mail: what the account has, because somebody else may have added something. */
export function Review({ view }: { view: string }) {
  const [found, setFound] = useState<string[]>([]);
  const end = () => {
    write(() => sessionStorage, RESET, undefined);
    setFound([]);
  };
  useEffect(() => {
    if (read(() => sessionStorage, RESET) === null) return;
    const look = async () => {
      const { totp, passkeys, recovery_codes_left } = await client.mfa.status();
      const has = [
        totp && s.factors.app,
        passkeys > 0 && plural(s.passkeys.count, passkeys),
        recovery_codes_left > 0 && plural(s.factors.codesLeft, recovery_codes_left),
      ].filter((text) => typeof text === "string");
      if (has.length === 0) end();
      else setFound(has);
    };
    look().catch(() => {});
  }, []);
  if (found.length === 0) return null;
  return (
    <Notice
      action={
        <div class="row">
          {view !== "security" && (
            <Link to="security" class="button primary">
              {s.security.look}
            </Link>
          )}
          <Button onClick={end}>{s.security.reviewed}</Button>
        </div>
      }
    >
      {fill(s.security.review, { factors: found.join(", ") })}
    </Notice>
  );
}

/** Whether the user has just logged in in another way than with a passkey. */
export const hasTyped = store(false);

/** Offers a passkey after a login with a password, if this device can make one, the user has none and has not declined. */
export function PasskeyOffer({ user }: { user: User }) {
  const isDue = hasTyped.use();
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    if (!isDue || !hasPasskeys || read(() => localStorage, DECLINED) === user.id) return;
    const look = async () => {
      const isAble = await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable();
      if (isAble) setShown((await client.mfa.status()).passkeys === 0);
    };
    look().catch(() => {});
  }, [isDue]);
  if (!isDue || !isShown) return null;
  const decline = () => {
    write(() => localStorage, DECLINED, user.id);
    hasTyped.set(false);
  };
  return (
    <Notice
      action={
        <div class="row">
          <Link to="security?add" class="button primary">
            {s.passkeys.add}
          </Link>
          <Button onClick={decline}>{s.passkeys.notNow}</Button>
        </div>
      }
    >
      {s.passkeys.offer}
    </Notice>
  );
}

function read(storage: () => Storage, name: string): string | null {
  try {
    return storage().getItem(name);
  } catch {
    return null;
  }
}

function write(storage: () => Storage, name: string, value: string | undefined) {
  try {
    if (value === undefined) storage().removeItem(name);
    else storage().setItem(name, value);
  } catch {
    // The browser blocks the storage: it is asked again.
  }
}
