import { s } from "../../strings/index.ts";
import { client } from "../../ui/auth.ts";
import { announce, Card, noteBreach, Page } from "../../ui/basics.tsx";
import { Form, LoginName, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import type { ViewProps } from "../app.tsx";

export function PasswordView({ user }: ViewProps) {
  const form = useForm(
    "password",
    { current_password: "", new_password: "" },
    async ({ current_password = "", new_password = "" }) => {
      noteBreach(await client.changePassword({ current_password, new_password }));
      form.reset();
      announce(s.password.done);
    },
    ["current_password", "new_password"],
  );
  return (
    <Page title={s.password.title} lead={s.password.lead}>
      <Card>
        <Form form={form}>
          <LoginName value={user.email} />
          <PasswordField name="current_password" label={s.fields.currentPassword} />
          <PasswordField name="new_password" label={s.fields.newPassword} isNew />
          <Submit>{s.password.submit}</Submit>
        </Form>
      </Card>
    </Page>
  );
}
