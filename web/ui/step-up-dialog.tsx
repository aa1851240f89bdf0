// The dialog in which the user authenticates again.

import { useState } from "preact/hooks";

import { s } from "../strings/index.ts";
import { noteAsked } from "./asked.ts";
import { client, config, type MfaStatus, type User } from "./auth.ts";
import { Alert, Button, Dialog, Other, Pending } from "./basics.tsx";
import { CodeField, SendAgain, withCode } from "./code.tsx";
import { AppCodeField, digits, RecoveryCodeField, withFactor } from "./factors.tsx";
import { Form, LoginName, PasswordField, Submit, useForm } from "./form.tsx";
import { useAction, useLoad } from "./hooks.ts";
import { hasPasskeys, unlessCancelled } from "./passkeys.ts";
import { stepUp } from "./step-up.ts";

export function StepUpDialog({ user }: { user: User }) {
  const asked = stepUp.use();
  return asked ? <Open user={user} {...asked} /> : null;
}

interface Props {
  user: User;
  end: (isDone: boolean) => void;
}

function Open({ user, end, needsMail }: Props & { needsMail: boolean }) {
  const status = useLoad(() => client.mfa.status());
  const [chosen, setChosen] = useState<"passkey" | "password" | "mail">();
  const { data } = status;
  const canUsePasskey = hasPasskeys && (data?.passkeys ?? 0) > 0;
  const way = needsMail ? "mail" : (chosen ?? (canUsePasskey ? "passkey" : "password"));
  return (
    <Dialog title={s.stepUp.title} onClose={() => end(false)}>
      <p>{needsMail ? s.stepUp.leadWithMail : s.stepUp.lead}</p>
      {!data ? (
        <Pending {...status} rows={1} />
      ) : way === "passkey" ? (
        <ByPasskey end={end} />
      ) : way === "password" ? (
        <ByPassword user={user} status={data} end={end} />
      ) : (
        <ByMail user={user} status={data} end={end} withPassword={needsMail} />
      )}
      {data && !needsMail && (
        <p class="others">
          {way !== "passkey" && canUsePasskey && (
            <Other onClick={() => setChosen("passkey")}>{s.factors.usePasskey}</Other>
          )}
          {way !== "password" && <Other onClick={() => setChosen("password")}>{s.stepUp.usePassword}</Other>}
          {way !== "mail" && config.email_login && <Other onClick={() => setChosen("mail")}>{s.stepUp.useMail}</Other>}
        </p>
      )}
    </Dialog>
  );
}

function ByPasskey({ end }: Pick<Props, "end">) {
  const proof = useAction(async () => {
    if (await unlessCancelled(() => client.stepUp({ passkey: true }))) end(true);
  });
  return (
    <>
      {proof.problem && <Alert problem={proof.problem} />}
      <div class="dialog-actions">
        <Button onClick={() => end(false)}>{s.cancel}</Button>
        <Button kind="primary" isBusy={proof.isBusy} onClick={proof.run}>
          {s.factors.usePasskey}
        </Button>
      </div>
    </>
  );
}

type FormProps = Props & { status: MfaStatus };

/** The second factor beside the password or the code from a mail: of accounts that have one. */
function useFactor({ totp, passkeys, recovery_codes_left }: MfaStatus) {
  const isNeeded = totp !== null || passkeys > 0;
  const [isRecovery, setRecovery] = useState(totp === null);
  const name = isRecovery ? "recovery_code" : "code";
  const field = isNeeded && (
    <>
      {isRecovery ? <RecoveryCodeField /> : <AppCodeField />}
      {totp !== null && recovery_codes_left > 0 && (
        <p class="others">
          <Other onClick={() => setRecovery(!isRecovery)}>
            {isRecovery ? s.factors.useApp : s.factors.useRecovery}
          </Other>
        </p>
      )}
    </>
  );
  return {
    field,
    required: isNeeded ? [name] : [],
    proofOf: ({ code = "", recovery_code = "" }: Record<string, string>) =>
      !isNeeded ? {} : isRecovery ? { recovery_code } : { code: digits(code) },
    isRecovery,
  };
}

function ByPassword({ user, status, end }: FormProps) {
  const { field, required, proofOf, isRecovery } = useFactor(status);
  const form = useForm(
    "step-up",
    { password: "", code: "", recovery_code: "" },
    async ({ password = "", ...factor }) => {
      await withFactor(() => client.stepUp({ password, ...proofOf(factor) }), isRecovery);
      form.reset();
      end(true);
    },
    ["password", ...required],
  );
  return (
    <Form form={form}>
      <LoginName value={user.email} />
      <PasswordField name="password" label={s.fields.password} />
      {field}
      <Actions end={end} />
    </Form>
  );
}

function ByMail({ user, status, end, withPassword }: FormProps & { withPassword: boolean }) {
  const [isSent, setSent] = useState(false);
  const { field, required, proofOf } = useFactor(status);
  const ask = () => client.startEmailLogin({ email: user.email });
  const form = useForm(
    "step-up by mail",
    { password: "", mail_code: "", code: "", recovery_code: "" },
    async ({ password = "", mail_code = "", ...factor }) => {
      if (!isSent) {
        noteAsked("step-up", user.email, (await ask()).challenge);
        setSent(true);
        return;
      }
      const secret = password === "" ? {} : { password };
      await withCode("step-up", (challenge) => client.stepUp({ ...secret, challenge, mail_code, ...proofOf(factor) }));
      form.reset();
      end(true);
    },
    isSent ? [...(withPassword ? ["password"] : []), "mail_code", ...required] : [],
  );
  return (
    <>
      <Form form={form}>
        {isSent && (
          <>
            {withPassword && (
              <>
                <LoginName value={user.email} />
                <PasswordField name="password" label={s.fields.password} />
              </>
            )}
            <CodeField name="mail_code" label={s.stepUp.mailCode} />
            {field}
          </>
        )}
        <Actions end={end} label={isSent ? s.stepUp.submit : s.code.send} />
      </Form>
      {isSent && (
        <SendAgain
          purpose="step-up"
          send={(challenge) => (challenge ? client.startEmailLogin({ challenge }) : ask())}
        />
      )}
    </>
  );
}

function Actions({ end, label = s.stepUp.submit }: Pick<Props, "end"> & { label?: string }) {
  return (
    <div class="dialog-actions">
      <Button onClick={() => end(false)}>{s.cancel}</Button>
      <Submit>{label}</Submit>
    </div>
  );
}
