import { s } from "../../strings/index.ts";
import { client } from "../../ui/auth.ts";
import { announce, Card, noteBreach, Page } from "../../ui/basics.tsx";
import { Form, LoginName, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { useLoad } from "../../ui/hooks.ts";
import type { ViewProps } from "../inside.tsx";

export function PasswordView({ user }: ViewProps) {
  // An account with a passkey may have no password yet.
  const hasPasskey = (useLoad(() => client.mfa.status()).data?.passkeys ?? 0) > 0;
  const form = useForm(
    "password",
    { current_password: "", new_password: "" },
    async ({ current_password = "", new_password = "" }) => {
      const current = current_password === "" ? {} : { current_password };
      noteBreach(await client.changePassword({ ...current, new_password }));
      form.reset();
      announce(s.password.done);
    },
    hasPasskey ? ["new_password"] : ["current_password", "new_password"],
  );
  return (
    <Page title={s.password.title} lead={s.password.lead}>
      <Card>
        <Form form={form}>
          <LoginName value={user.email} />
          <PasswordField
            name="current_password"
            label={s.fields.currentPassword}
            note={hasPasskey ? s.password.none : undefined}
          />
          <PasswordField name="new_password" label={s.fields.newPassword} isNew />
          <Submit>{s.password.submit}</Submit>
        </Form>
      </Card>
    </Page>
  );
}
