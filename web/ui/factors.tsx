// Second factors: entering a code, adding an authenticator app, keeping recovery codes.

import { useEffect, useRef } from "preact/hooks";

import { PortcullisError } from "../../packages/client/src/index.ts";
import { s } from "../strings/index.ts";
import { client } from "./auth.ts";
import { announce, Button, Pending } from "./basics.tsx";
import { Field, Form, Submit, useForm } from "./form.tsx";
import { useLoad } from "./hooks.ts";
import { Icon } from "./icons.tsx";

/** The field for the code of an authenticator app. */
export function AppCodeField() {
  return <Field name="code" label={s.factors.appCode} autocomplete="one-time-code" inputMode="numeric" />;
}

export function RecoveryCodeField() {
  return <Field name="recovery_code" label={s.factors.recoveryCode} hint={s.factors.recoveryHint} autocomplete="off" />;
}

/** A wrong code of an app or a recovery code: unlike one from a mail, it cannot be sent again. */
export async function withFactor<T>(work: () => Promise<T>, isRecovery = false): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PortcullisError) || error.code !== "invalid_code") throw error;
    throw new PortcullisError(error.status, isRecovery ? "wrong_recovery_code" : "wrong_app_code", "");
  }
}

/** The digits of a code, which some apps show with a space. */
export const digits = (code: string) => code.replace(/\s/g, "");

/**
 * Adds an authenticator app.
 * @param token the sign-in that needs it, instead of the signed-in user
 * @param done gets the recovery codes, if there are new ones
 */
export function AppSetup({
  token,
  done,
  cancel,
}: {
  token?: string;
  done: (codes: string[]) => void;
  cancel?: () => void;
}) {
  const mfa_token = token;
  const enrolment = useLoad(() => client.mfa.enrolTotp({ mfa_token }));
  const form = useForm(
    "authenticator app",
    { code: "" },
    async ({ code = "" }) => {
      const { recovery_codes } = await withFactor(() => client.mfa.confirmTotp({ code: digits(code), mfa_token }));
      form.reset();
      done(recovery_codes);
    },
    ["code"],
  );
  if (!enrolment.data) return <Pending {...enrolment} />;
  const { secret, otpauth_uri, qr_svg } = enrolment.data;
  return (
    <div class="setup">
      <p>{s.factors.scan}</p>
      <img class="qr" src={`data:image/svg+xml,${encodeURIComponent(qr_svg)}`} alt={s.factors.qr} />
      <p class="hint">{s.factors.noCamera}</p>
      <div class="secret">
        <code>{secret.match(/.{1,4}/g)?.join(" ")}</code>
        <Copy text={secret} label={s.factors.copyKey} />
      </div>
      <p class="hint">
        <a href={otpauth_uri}>{s.factors.openApp}</a>
      </p>
      <Form form={form}>
        <AppCodeField />
        <div class="row">
          <Submit>{s.factors.confirm}</Submit>
          {cancel && <Button onClick={cancel}>{s.cancel}</Button>}
        </div>
      </Form>
    </div>
  );
}

function Copy({ text, label }: { text: string; label: string }) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    announce(s.factors.copied);
  };
  return (
    // The text can also be selected, where the browser allows no copying.
    <Button onClick={() => copy().catch(() => {})}>
      <Icon name="copy" />
      {label}
    </Button>
  );
}

/** The name of the file with the recovery codes. */
const FILE = "recovery-codes.txt";

/** New recovery codes, which are shown this once. */
export function RecoveryCodes({ codes, account, done }: { codes: string[]; account: string; done: () => void }) {
  const link = useRef<HTMLAnchorElement>(null);
  const lead = useRef<HTMLParagraphElement>(null);
  // Screen readers begin here, and a phone shows the beginning.
  // Not a layout effect, which would run before that of a dialog around it: what is in a closed dialog cannot have the focus.
  useEffect(() => lead.current?.focus(), []);
  const text = `${s.brand} · ${account}\n${s.factors.codesTitle}\n\n${codes.join("\n")}\n`;
  const download = () => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    if (link.current) {
      link.current.href = url;
      link.current.click();
    }
    // The browser has begun to read it by then.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return (
    <div class="codes">
      <p ref={lead} tabIndex={-1}>
        {s.factors.codesLead}
      </p>
      <ul>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div class="row">
        <Button onClick={download}>{s.factors.download}</Button>
        <Button onClick={() => print()}>{s.factors.print}</Button>
        <Copy text={text} label={s.factors.copy} />
      </div>
      {/* biome-ignore lint/a11y/useAnchorContent: it is clicked by the button */}
      {/* biome-ignore lint/a11y/useValidAnchor: it gets its address then */}
      <a ref={link} download={FILE} hidden />
      <Button kind="primary" isWide onClick={done}>
        {s.factors.codesSaved}
      </Button>
    </div>
  );
}
