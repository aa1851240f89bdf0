import { s } from "../../strings/index.ts";
import { client, config } from "../../ui/auth.ts";
import { Link, Notice, noteBreach, Page } from "../../ui/basics.tsx";
import { Field, Form, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { queryOf } from "./login.tsx";
import { useRemember } from "./remember.tsx";

export function RegisterView({ back }: { back: URL | undefined }) {
  const [remember, box] = useRemember();
  const form = useForm(
    "register",
    { email: "", name: "", password: "" },
    async ({ email = "", name = "", password = "" }) => {
      const details = { email, password, ...(name.trim() !== "" && { name: name.trim() }), ...remember };
      noteBreach(await client.register(details));
      form.reset();
    },
    ["email", "password"],
  );
  const isOpen = config.registration === "open";
  return (
    <Page title={s.register.title} lead={isOpen && s.register.lead}>
      {isOpen ? (
        <Form form={form}>
          <Field name="email" label={s.fields.email} type="email" autocomplete="username" inputMode="email" />
          <Field name="name" label={s.fields.name} autocomplete="name" isOptional />
          <PasswordField name="password" label={s.fields.password} isNew />
          {box}
          <Submit isWide>{s.register.submit}</Submit>
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
