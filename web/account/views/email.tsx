// The address of the account: verifying it, and changing it.

import { useState } from "preact/hooks";

import type { Me } from "../../../packages/client/src/index.ts";
import { fill, s } from "../../strings/index.ts";
import { asked, noteAsked, setAsked } from "../../ui/asked.ts";
import { client, config } from "../../ui/auth.ts";
import { Alert, announce, Button, Card, Link, Notice, Page, Verification } from "../../ui/basics.tsx";
import { CodeField, SendAgain, withCode } from "../../ui/code.tsx";
import { Field, Form, Submit, useForm } from "../../ui/form.tsx";
import { useAction, useLoad } from "../../ui/hooks.ts";
import { Icon } from "../../ui/icons.tsx";
import { day } from "../../ui/text.ts";
import type { ViewProps } from "../inside.tsx";

type UserProps = Pick<ViewProps, "user">;

export function EmailView({ user }: ViewProps) {
  return (
    <Page
      title={s.email.title}
      lead={s.email.lead}
      above={
        <Link to="profile">
          <Icon name="back" />
          {s.nav.profile}
        </Link>
      }
    >
      <Card title={s.email.current}>
        <p class="address">
          {user.email}
          <Verification of={user} />
        </p>
        {config.mail && !user.email_verified && <VerifyAddress user={user} />}
      </Card>
      {config.mail && <ChangeAddress user={user} />}
    </Page>
  );
}

function VerifyAddress({ user }: UserProps) {
  const [isAsked, setIsAsked] = useState(asked("verify")?.email === user.email);
  const send = useAction(async () => {
    const { challenge } = await client.sendVerification();
    noteAsked("verify", user.email, challenge);
    setIsAsked(true);
  });
  const form = useForm(
    "verify address",
    { code: "" },
    async ({ code = "" }) => {
      await withCode("verify", (challenge) => client.verifyEmail({ challenge, code }));
      announce(s.email.verified);
    },
    ["code"],
  );
  if (!isAsked) {
    return (
      <div class="below">
        <p class="hint">{s.email.verifyLead}</p>
        {send.problem && <Alert problem={send.problem} />}
        <Button onClick={send.run} isBusy={send.isBusy}>
          {s.email.sendCode}
        </Button>
      </div>
    );
  }
  return (
    <div class="below narrow">
      <p class="hint">{fill(s.code.sentTo, { email: user.email })}</p>
      <Form form={form}>
        <CodeField />
        <Submit>{s.link.verifySubmit}</Submit>
      </Form>
      <SendAgain
        purpose="verify"
        send={(challenge) => client.sendVerification(challenge ? { challenge } : undefined)}
      />
    </div>
  );
}

function ChangeAddress({ user }: UserProps) {
  const [step, setStep] = useState<"address" | "codes">(asked("change") ? "codes" : "address");
  const me = useLoad(() => client.me(), user.email);
  const waiting = me.data?.pending_email;
  const restart = () => {
    setAsked("change", undefined);
    setStep("address");
    me.reload();
  };
  return (
    <Card title={s.email.change} lead={step === "address" ? s.email.changeLead : undefined}>
      {waiting && <Pending waiting={waiting} reload={me.reload} />}
      {step === "address" ? <AddressForm user={user} next={() => setStep("codes")} /> : <CodesForm restart={restart} />}
    </Card>
  );
}

function AddressForm({ user, next }: UserProps & { next: () => void }) {
  const form = useForm(
    `address ${user.id}`,
    { new_email: "" },
    async ({ new_email = "" }) => {
      const email = new_email.trim();
      const { challenge } = await client.changeEmail({ new_email: email });
      noteAsked("change", email, challenge);
      form.reset();
      next();
    },
    ["new_email"],
  );
  return (
    <Form form={form}>
      <Field name="new_email" label={s.email.newEmail} type="email" autocomplete="email" inputMode="email" />
      <Submit>{s.email.sendCodes}</Submit>
    </Form>
  );
}

function CodesForm({ restart }: { restart: () => void }) {
  const email = asked("change")?.email ?? "";
  const [isLost, setLost] = useState(false);
  const form = useForm(
    "codes",
    { code: "", old_code: "" },
    async ({ code = "", old_code = "" }) => {
      const proof = isLost ? { code, old_mailbox: "lost" as const } : { code, old_code };
      const isChanged = await withCode("change", (challenge) => client.confirmEmailChange({ challenge, ...proof }));
      announce(isChanged ? s.email.changed : s.email.begun);
      restart();
    },
    isLost ? ["code"] : ["code", "old_code"],
  );
  return (
    <Form form={form}>
      <p class="muted">{fill(s.email.codesSent, { email })}</p>
      <CodeField label={s.email.newCode} />
      {!isLost && <CodeField name="old_code" label={s.email.oldCode} />}
      <label class="check">
        <input type="checkbox" checked={isLost} onChange={(event) => setLost(event.currentTarget.checked)} />
        {s.email.lost}
      </label>
      {isLost && <p class="hint">{s.email.lostHint}</p>}
      <div class="row">
        <Submit>{s.email.change}</Submit>
        <Button onClick={restart}>{s.cancel}</Button>
      </div>
    </Form>
  );
}

function Pending({ waiting, reload }: { waiting: NonNullable<Me["pending_email"]>; reload: () => void }) {
  const cancel = useAction(async () => {
    await client.cancelEmailChange();
    announce(s.email.cancelled);
    reload();
  });
  const button = (
    <Button onClick={cancel.run} isBusy={cancel.isBusy}>
      {s.link.cancelSubmit}
    </Button>
  );
  return (
    <>
      {cancel.problem && <Alert problem={cancel.problem} />}
      <Notice action={button}>
        {fill(s.email.waiting, { email: waiting.email, day: day(waiting.takes_effect_at) })}
      </Notice>
    </>
  );
}
