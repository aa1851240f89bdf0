// The second step of a sign-in: another proof, or adding a second factor that the account must have.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import type { Method } from "../../../packages/client/src/index.ts";
import { PortcullisError } from "../../../packages/client/src/index.ts";
import { s } from "../../strings/index.ts";
import { noteAsked } from "../../ui/asked.ts";
import { client } from "../../ui/auth.ts";
import { Alert, announce, Button, Other, Page } from "../../ui/basics.tsx";
import { CodeField, SendAgain, withCode } from "../../ui/code.tsx";
import { AppCodeField, AppSetup, digits, RecoveryCodeField, RecoveryCodes, withFactor } from "../../ui/factors.tsx";
import { Form, Submit, useForm } from "../../ui/form.tsx";
import { useAction } from "../../ui/hooks.ts";
import { hasPasskeys, unlessCancelled } from "../../ui/passkeys.ts";
import { type Suspended, signIn, suspended, type Waiting } from "../../ui/sign-in.ts";
import { device } from "../../ui/text.ts";

interface StepProps {
  step: Waiting;
}

export function FactorView({ step }: { step: Suspended }) {
  if (step.needs === "codes") return <CodesView codes={step.codes} />;
  // Each step of a sign-in starts with an empty form.
  const View = step.needs === "factor" ? SecondFactor : step.needs === "mail" ? MailCode : MustEnrol;
  return <View key={step.needs} step={step} />;
}

/** Runs a step, or begins the sign-in again if it is over. */
async function unlessOver(work: () => Promise<unknown>) {
  try {
    await work();
  } catch (error) {
    if (error instanceof PortcullisError && ["invalid_mfa_token", "token_expired"].includes(error.code)) {
      suspended.set(undefined);
      announce(s.factors.over);
      return;
    }
    throw error;
  }
}

const complete = (proof: () => Promise<unknown>) => unlessOver(() => signIn(proof));

function Again() {
  return (
    <p class="aside">
      <Other onClick={() => suspended.set(undefined)}>{s.code.toLogin}</Other>
    </p>
  );
}

function SecondFactor({ step: { token, methods } }: StepProps) {
  const usable = methods.filter((method) => method !== "credential" || hasPasskeys);
  // The first that there is: the strongest.
  const order: Method[] = ["credential", "code", "recovery_code"];
  const [method, setMethod] = useState(order.find((it) => usable.includes(it)) ?? "recovery_code");
  const View = method === "credential" ? ByPasskey : method === "code" ? ByCode : ByRecoveryCode;
  const texts: Record<Method, string> = {
    credential: s.factors.usePasskey,
    code: s.factors.useApp,
    recovery_code: s.factors.useRecovery,
  };
  const others = order.filter((it) => it !== method && usable.includes(it));
  return (
    <View token={token}>
      {others.length > 0 && (
        <p class="aside ways-in">
          {others.map((it) => (
            <Other key={it} onClick={() => setMethod(it)}>
              {texts[it]}
            </Other>
          ))}
        </p>
      )}
      <Again />
    </View>
  );
}

interface ProofProps {
  token: string;
  children: ComponentChildren;
}

function ByPasskey({ token, children }: ProofProps) {
  const proof = useAction(() =>
    unlessCancelled(() => complete(() => client.completeLogin({ mfa_token: token, passkey: true }))),
  );
  return (
    <Page title={s.factors.title} lead={s.factors.passkeyLead}>
      {proof.problem && <Alert problem={proof.problem} />}
      <Button kind="primary" isWide isBusy={proof.isBusy} onClick={proof.run}>
        {s.factors.usePasskey}
      </Button>
      {children}
    </Page>
  );
}

function ByCode({ token, children }: ProofProps) {
  const form = useForm(
    "second factor",
    { code: "" },
    async ({ code = "" }) => {
      await withFactor(() => complete(() => client.completeLogin({ mfa_token: token, code: digits(code) })));
      form.reset();
    },
    ["code"],
  );
  return (
    <Page title={s.factors.title} lead={s.factors.appLead}>
      <Form form={form}>
        <AppCodeField />
        <Submit isWide>{s.factors.proceed}</Submit>
      </Form>
      {children}
    </Page>
  );
}

function ByRecoveryCode({ token, children }: ProofProps) {
  const form = useForm(
    "recovery code",
    { recovery_code: "" },
    async ({ recovery_code = "" }) => {
      await withFactor(() => complete(() => client.completeLogin({ mfa_token: token, recovery_code })), true);
      form.reset();
    },
    ["recovery_code"],
  );
  return (
    <Page title={s.factors.title} lead={s.factors.recoveryLead}>
      <Form form={form}>
        <RecoveryCodeField />
        <Submit isWide>{s.factors.proceed}</Submit>
      </Form>
      {children}
    </Page>
  );
}

/** A code to the address of the account, after its factors were reset. */
function MailCode({ step: { token } }: StepProps) {
  const [isSent, setSent] = useState(false);
  const ask = () => client.startEmailLogin({ mfa_token: token });
  const send = useAction(() =>
    unlessOver(async () => {
      noteAsked("factor", "", (await ask()).challenge);
      setSent(true);
    }),
  );
  const form = useForm(
    "mail code",
    { code: "" },
    async ({ code = "" }) => {
      await withCode("factor", (challenge) =>
        complete(() => client.completeLogin({ mfa_token: token, challenge, mail_code: code })),
      );
      form.reset();
    },
    ["code"],
  );
  return (
    <Page title={s.factors.title} lead={isSent ? s.factors.mailSent : s.factors.mailLead}>
      {isSent ? (
        <>
          <Form form={form}>
            <CodeField />
            <Submit isWide>{s.factors.proceed}</Submit>
          </Form>
          <SendAgain
            purpose="factor"
            send={(challenge) => (challenge ? client.startEmailLogin({ challenge }) : ask())}
          />
        </>
      ) : (
        <>
          {send.problem && <Alert problem={send.problem} />}
          <Button kind="primary" isWide isBusy={send.isBusy} onClick={send.run}>
            {s.code.send}
          </Button>
        </>
      )}
      <Again />
    </Page>
  );
}

/** The policy of the service asks for a second factor that the account does not have. */
function MustEnrol({ step: { token } }: StepProps) {
  const [isApp, setApp] = useState(false);
  const done = (codes: string[]) => suspended.set(codes.length > 0 ? { needs: "codes", codes } : undefined);
  const passkey = useAction(() =>
    unlessCancelled(() =>
      unlessOver(async () => {
        const name = device(navigator.userAgent).name;
        done((await client.passkeys.register({ mfa_token: token, name })).recovery_codes);
      }),
    ),
  );
  if (isApp) {
    return (
      <Page title={s.factors.app} lead={s.factors.enrolLead}>
        <AppSetup token={token} done={done} cancel={() => setApp(false)} />
        <Again />
      </Page>
    );
  }
  return (
    <Page title={s.factors.enrolTitle} lead={s.factors.enrolLead}>
      {passkey.problem && <Alert problem={passkey.problem} />}
      <div class="ways">
        {hasPasskeys && (
          <Button kind="primary" isWide isBusy={passkey.isBusy} onClick={passkey.run}>
            {s.passkeys.add}
          </Button>
        )}
        <Button isWide kind={hasPasskeys ? "plain" : "primary"} onClick={() => setApp(true)}>
          {s.factors.appSetUp}
        </Button>
      </div>
      <Again />
    </Page>
  );
}

function CodesView({ codes }: { codes: string[] }) {
  return (
    <Page title={s.factors.codesTitle}>
      <RecoveryCodes codes={codes} account={client.state.user?.email ?? ""} done={() => suspended.set(undefined)} />
    </Page>
  );
}
