import { useRef, useState } from "preact/hooks";

import { PortcullisError } from "../../../packages/client/src/index.ts";
import { fill, s } from "../../strings/index.ts";
import { asked, noteAsked } from "../../ui/asked.ts";
import { client, config, problemOf } from "../../ui/auth.ts";
import { announce, Link, Notice, noteBreach, Other, Page } from "../../ui/basics.tsx";
import { CodeField, SendAgain, withCode } from "../../ui/code.tsx";
import { Field, Form, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { hasPasskeys } from "../../ui/passkeys.ts";
import { navigate, type Route } from "../../ui/router.ts";
import { signIn, suspended } from "../../ui/sign-in.ts";
import { challenge } from "../../ui/turnstile.ts";
import { queryOf } from "./login.tsx";
import { stepOf } from "./mail.tsx";
import { hasTyped } from "./offers.tsx";
import { useRemember } from "./remember.tsx";

/** What was typed, with which the user logs in once the address is verified. A reload forgets it. Without a password, a passkey. */
let typed: Parameters<typeof client.login>[0] | undefined;

interface RegisterProps {
  route: Route;
  back: URL | undefined;
}

export function RegisterView({ route, back }: RegisterProps) {
  const current = asked("register");
  const isAsked = route.query.get("step") === "code" && current !== undefined;
  return isAsked ? <CodeForm email={current.email} back={back} /> : <Details back={back} />;
}

function Details({ back }: { back: URL | undefined }) {
  const [remember, box] = useRemember();
  const widget = useRef<HTMLDivElement>(null);
  const [byPasskey, setByPasskey] = useState(false);
  const form = useForm(
    "register",
    { email: "", name: "", password: "" },
    async ({ email = "", name = "", password = "" }) => {
      const details = { email, ...(name.trim() !== "" && { name: name.trim() }), ...remember };
      const register = (token: { turnstile_token?: string } = {}) =>
        byPasskey
          ? client.passkeys.registerAccount({ ...details, ...token })
          : client.register({ ...details, password, ...token });
      const registered = await register().catch(async (error) => {
        const { code } = problemOf(error);
        const { turnstile_site_key } = config;
        if (code !== "turnstile_required" || !turnstile_site_key || !widget.current) throw error;
        const turnstile_token = await challenge(widget.current, turnstile_site_key);
        return register({ turnstile_token });
      });
      form.reset();
      if (registered.id === undefined) {
        typed = byPasskey ? undefined : { email, password, ...remember };
        noteAsked("register", email.trim(), registered.challenge, back?.href);
        navigate(stepOf("register", "code", back));
        return;
      }
      hasTyped.set(!byPasskey);
      noteBreach(registered);
      if (registered.recovery_codes) suspended.set({ needs: "codes", codes: registered.recovery_codes });
      if (registered.challenge) noteAsked("verify", registered.email, registered.challenge);
    },
    byPasskey ? ["email"] : ["email", "password"],
  );
  const isOpen = config.registration === "open";
  return (
    <Page title={s.register.title} lead={isOpen && (byPasskey ? s.register.passkeyLead : s.register.lead)}>
      {isOpen ? (
        <Form form={form}>
          <Field name="email" label={s.fields.email} type="email" autocomplete="username" inputMode="email" />
          <Field name="name" label={s.fields.name} autocomplete="name" isOptional />
          {!byPasskey && <PasswordField name="password" label={s.fields.password} isNew />}
          {box}
          {config.turnstile_site_key && <div ref={widget} />}
          <Submit isWide>{byPasskey ? s.register.passkeySubmit : s.register.submit}</Submit>
          {hasPasskeys && (
            <p class="others">
              <Other onClick={() => setByPasskey(!byPasskey)}>
                {byPasskey ? s.register.byPassword : s.register.byPasskey}
              </Other>
            </p>
          )}
        </Form>
      ) : (
        <Notice>{s.register.closed}</Notice>
      )}
      <p class="aside">
        {s.register.haveAccount} <Link to={`login${queryOf(back)}`}>{s.register.login}</Link>
      </p>
    </Page>
  );
}

/** The code that turns a registration into an account. */
function CodeForm({ email, back }: { email: string; back: URL | undefined }) {
  const form = useForm(
    "register code",
    { code: "" },
    async ({ code = "" }) => {
      await withCode("register", (challenge) => client.verifyEmail({ challenge, code }));
      announce(s.email.verified);
      const credentials = typed;
      typed = undefined;
      // The account exists, so an error is for the login form to show.
      if (credentials) await signIn(() => client.login(credentials)).catch(() => {});
      navigate(`login${queryOf(back)}`, { replace: true });
    },
    ["code"],
  );
  return (
    <Page title={s.register.codeTitle} lead={fill(s.register.code, { email })}>
      <Form form={form}>
        <CodeField />
        <Submit isWide>{s.link.verifySubmit}</Submit>
      </Form>
      <SendAgain
        purpose="register"
        send={async (challenge) => {
          // Only a registration makes a new code.
          if (!challenge) throw new PortcullisError(400, "register_again", "");
          return client.sendVerification({ challenge });
        }}
      />
      <p class="aside">
        <Link to={`register${queryOf(back)}`}>{s.code.otherAddress}</Link>
      </p>
    </Page>
  );
}
