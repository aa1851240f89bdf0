import { useEffect, useState } from "preact/hooks";

import { fill, s } from "../../strings/index.ts";
import { asked, noteAsked } from "../../ui/asked.ts";
import { type Client, client, config, problemOf } from "../../ui/auth.ts";
import { Alert, Button, Link, Notice, Page } from "../../ui/basics.tsx";
import { CodeField, withCode } from "../../ui/code.tsx";
import { Field, Form, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { type Action, useAction } from "../../ui/hooks.ts";
import { Icon } from "../../ui/icons.tsx";
import { hasPasskeys, usePasskeyLogin } from "../../ui/passkeys.ts";
import { signIn } from "../../ui/sign-in.ts";
import { hasTyped } from "./offers.tsx";
import { useRemember } from "./remember.tsx";

export function LoginView({
  back,
  reason,
  logout,
}: {
  back: URL | undefined;
  reason: Client["state"]["reason"];
  logout: Action<[]>;
}) {
  const [remember, box] = useRemember();
  const passkey = usePasskeyLogin(remember);
  // What the login needs in addition to the password, after many failed logins with this name.
  const [needed, setNeeded] = useState<{ by: string; field: "email" | "code" }>();
  const form = useForm(
    "login",
    { login: "", password: "", email: "", code: "" },
    async ({ login = "", password = "", email = "", code = "" }) => {
      // A username has no @.
      const name = login.includes("@") ? { email: login } : { username: login.trim() };
      const credentials = { ...name, password, ...remember };
      const ask = async (email: string) => {
        noteAsked("login", email, (await client.startEmailLogin({ email })).challenge, back?.href);
        setNeeded({ by: login, field: "code" });
      };
      if (needed?.field === "email") return ask(email.trim());
      if (needed?.field === "code")
        await withCode("login", (challenge) => signIn(() => client.login({ ...credentials, challenge, code })));
      else {
        try {
          await signIn(() => client.login(credentials));
        } catch (error) {
          if (problemOf(error).code !== "mail_code_required") throw error;
          return "email" in name ? ask(login.trim()) : setNeeded({ by: login, field: "email" });
        }
      }
      hasTyped.set(true);
      form.reset();
    },
    ["login", "password", ...(needed ? [needed.field] : [])],
  );
  // Another name needs another code.
  useEffect(() => setNeeded((needed) => (needed?.by === form.values.login ? needed : undefined)), [form.values.login]);
  return (
    <Page title={s.login.title} lead={back && fill(s.login.lead, { host: back.host })}>
      {logout.problem ? (
        <Alert
          problem={{ code: "logout" }}
          isBusy={logout.isBusy}
          {...(config.cookie_mode === "refresh" && { retry: logout.run })}
        />
      ) : (
        // Shown only after the server has ended the session.
        !logout.isBusy && <Reason reason={reason} />
      )}
      <Form form={form}>
        <Field name="login" label={s.fields.login} autocomplete="username webauthn" inputMode="email" />
        <PasswordField name="password" label={s.fields.password} />
        {needed && (
          <Notice>
            {s.login.codeNeeded} {needed?.field === "code" && fill(s.code.sent, { email: asked("login")?.email ?? "" })}
          </Notice>
        )}
        {needed?.field === "email" && (
          <Field name="email" label={s.login.addressOfAccount} type="email" autocomplete="email" inputMode="email" />
        )}
        {needed?.field === "code" && <CodeField />}
        {box}
        <Submit isWide>{needed?.field === "email" ? s.code.send : s.login.submit}</Submit>
      </Form>
      {hasPasskeys && (
        <div class="or">
          <p aria-hidden="true">{s.login.or}</p>
          {passkey.problem && <Alert problem={passkey.problem} />}
          <Button isWide isBusy={passkey.isBusy} onClick={passkey.run}>
            <Icon name="key" />
            {s.login.byPasskey}
          </Button>
        </div>
      )}
      {config.mail && (
        <p class="aside ways-in">
          <Link to={`forgot${queryOf(back)}`}>{s.login.forgot}</Link>
          {config.email_login && <Link to={`code${queryOf(back)}`}>{s.login.byCode}</Link>}
        </p>
      )}
      {config.registration === "open" && (
        <p class="aside">
          {s.login.noAccount} <Link to={`register${queryOf(back)}`}>{s.login.register}</Link>
        </p>
      )}
    </Page>
  );
}

/** Why the form is shown. */
function Reason({ reason }: { reason: Client["state"]["reason"] }) {
  const other = useAction(() => client.restore());
  if (reason === "expired" || reason === "revoked") return <Notice>{s.ended.expired}</Notice>;
  if (reason === "signed_out") return <Notice>{s.ended.loggedOut}</Notice>;
  if (reason !== "account_changed") return null;
  const proceed = (
    <Button onClick={other.run} isBusy={other.isBusy}>
      {s.ended.proceed}
    </Button>
  );
  return <Notice action={proceed}>{s.ended.changed}</Notice>;
}

/** The query that gives the other form the same `return_to`. */
export const queryOf = (back: URL | undefined) =>
  back === undefined ? "" : `?return_to=${encodeURIComponent(back.href)}`;
