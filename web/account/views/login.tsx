import { fill, s } from "../../strings/index.ts";
import { type Client, client, config } from "../../ui/auth.ts";
import { Alert, Button, Link, Notice, Page } from "../../ui/basics.tsx";
import { Field, Form, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { type Action, useAction } from "../../ui/hooks.ts";
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
  const form = useForm(
    "login",
    { login: "", password: "" },
    async ({ login = "", password = "" }) => {
      // A username has no @.
      const name = login.includes("@") ? { email: login } : { username: login.trim() };
      await client.login({ ...name, password, ...remember });
      form.reset();
    },
    ["login", "password"],
  );
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
        <Field name="login" label={s.fields.login} autocomplete="username" inputMode="email" />
        <PasswordField name="password" label={s.fields.password} />
        {box}
        <Submit isWide>{s.login.submit}</Submit>
      </Form>
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
