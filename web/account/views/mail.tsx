// A new password, and a login, with a code by mail: the address, then the code.

import { useEffect } from "preact/hooks";

import { fill, s } from "../../strings/index.ts";
import { asked, noteAsked } from "../../ui/asked.ts";
import { client, config } from "../../ui/auth.ts";
import { Link, Notice, Page } from "../../ui/basics.tsx";
import { CodeField, SendAgain, withCode } from "../../ui/code.tsx";
import { draftOf, Field, Form, LoginName, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { navigate, type Route } from "../../ui/router.ts";
import { signIn } from "../../ui/sign-in.ts";
import { queryOf } from "./login.tsx";
import { hasTyped, noteReset } from "./offers.tsx";
import { useRemember } from "./remember.tsx";

interface MailProps {
  route: Route;
  back: URL | undefined;
}

/** The address of a step, which keeps `return_to`. */
export const stepOf = (view: string, step: string, back: URL | undefined) =>
  `${view}${queryOf(back)}${back ? "&" : "?"}step=${step}`;

/** Forgotten password. */
export function ForgotView({ route, back }: MailProps) {
  const step = route.query.get("step");
  if (step === "done") return <NewPasswordSet back={back} isBreached={route.query.has("breached")} />;
  const current = asked("reset");
  if (step === "code" && current) return <ResetForm email={current.email} back={back} />;
  return (
    <AskForm
      view="forgot"
      title={s.forgot.title}
      lead={s.forgot.lead}
      back={back}
      isStale={step === "code"}
      ask={async (email) => noteAsked("reset", email, (await client.forgotPassword({ email })).challenge, back?.href)}
    />
  );
}

/** Login with a code. */
export function CodeLoginView({ route, back }: MailProps) {
  const step = route.query.get("step");
  const current = asked("login");
  if (!config.email_login) return <AskFormOff back={back} />;
  if (step === "code" && current) return <LoginCodeForm email={current.email} back={back} />;
  return (
    <AskForm
      view="code"
      title={s.codeLogin.title}
      lead={s.codeLogin.lead}
      back={back}
      isStale={step === "code"}
      ask={async (email) => noteAsked("login", email, (await client.startEmailLogin({ email })).challenge, back?.href)}
    />
  );
}

function AskFormOff({ back }: { back: URL | undefined }) {
  return (
    <Page title={s.codeLogin.title}>
      <Notice>{s.errors.email_login_off}</Notice>
      <ToLogin back={back} />
    </Page>
  );
}

/** The form for the address. `isStale`: the code that was under way is gone, or was used. */
function AskForm({
  view,
  title,
  lead,
  back,
  isStale,
  ask,
}: {
  view: string;
  title: string;
  lead: string;
  back: URL | undefined;
  isStale: boolean;
  ask: (email: string) => Promise<void>;
}) {
  // A username cannot get a mail.
  const login = draftOf("login")?.login ?? "";
  const form = useForm(
    "ask",
    { email: login.includes("@") ? login : "" },
    async ({ email = "" }) => {
      await ask(email.trim());
      navigate(stepOf(view, "code", back));
    },
    ["email"],
  );
  useEffect(() => {
    if (isStale) navigate(`${view}${queryOf(back)}`, { replace: true });
  }, [isStale]);
  return (
    <Page title={title} lead={lead}>
      <Form form={form}>
        <Field name="email" label={s.fields.email} type="email" autocomplete="username" inputMode="email" />
        <Submit isWide>{s.code.send}</Submit>
      </Form>
      <ToLogin back={back} />
    </Page>
  );
}

export function ToLogin({ back }: { back: URL | undefined }) {
  return (
    <p class="aside">
      <Link to={`login${queryOf(back)}`}>{s.code.toLogin}</Link>
    </p>
  );
}

/** Who gets the mail, and a way to correct it. */
function Sent({ email, view, back }: { email: string; view: string; back: URL | undefined }) {
  return (
    <>
      {fill(s.code.sent, { email })} <Link to={`${view}${queryOf(back)}`}>{s.code.otherAddress}</Link>
    </>
  );
}

function ResetForm({ email, back }: { email: string; back: URL | undefined }) {
  const form = useForm(
    "reset",
    { code: "", new_password: "" },
    async ({ code = "", new_password = "" }) => {
      const reset = await withCode("reset", (challenge) => client.resetPassword({ challenge, code, new_password }));
      passwordIsSet(reset, back);
    },
    ["code", "new_password"],
  );
  return (
    <Page title={s.forgot.title} lead={<Sent email={email} view="forgot" back={back} />}>
      <Form form={form}>
        <LoginName value={email} />
        <CodeField />
        <PasswordField name="new_password" label={s.fields.newPassword} isNew />
        <Submit isWide>{s.forgot.submit}</Submit>
      </Form>
      <SendAgain purpose="reset" send={(challenge) => client.forgotPassword(challenge ? { challenge } : { email })} />
    </Page>
  );
}

/** Goes on after a new password, which has ended every session of the account. */
export function passwordIsSet({ password_breached }: { password_breached?: true }, back: URL | undefined) {
  // The session of this browser may be one of them. A request finds out.
  if (client.state.user) client.me().catch(() => {});
  noteReset();
  navigate(`${stepOf("forgot", "done", back)}${password_breached ? "&breached" : ""}`, { replace: true });
}

function NewPasswordSet({ back, isBreached }: { back: URL | undefined; isBreached: boolean }) {
  return (
    <Page title={s.forgot.doneTitle} lead={s.forgot.doneText}>
      {isBreached && <Notice>{s.password.breached}</Notice>}
      <p class="muted">{s.forgot.factors}</p>
      <Link to={`login${queryOf(back)}`} class="button primary wide next">
        {s.forgot.logIn}
      </Link>
    </Page>
  );
}

function LoginCodeForm({ email, back }: { email: string; back: URL | undefined }) {
  const [remember, box] = useRemember();
  const form = useForm(
    "code",
    { code: "" },
    async ({ code = "" }) => {
      await withCode("login", (challenge) => signIn(() => client.finishEmailLogin({ challenge, code, ...remember })));
      hasTyped.set(true);
    },
    ["code"],
  );
  return (
    <Page title={s.codeLogin.title} lead={<Sent email={email} view="code" back={back} />}>
      <Form form={form}>
        <CodeField />
        {box}
        <Submit isWide>{s.login.submit}</Submit>
      </Form>
      <SendAgain purpose="login" send={(challenge) => client.startEmailLogin(challenge ? { challenge } : { email })} />
    </Page>
  );
}
