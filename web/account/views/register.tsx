import { useRef } from "preact/hooks";

import { s } from "../../strings/index.ts";
import { client, config, problemOf } from "../../ui/auth.ts";
import { Link, Notice, noteBreach, Page } from "../../ui/basics.tsx";
import { Field, Form, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { challenge } from "../../ui/turnstile.ts";
import { queryOf } from "./login.tsx";
import { useRemember } from "./remember.tsx";

export function RegisterView({ back }: { back: URL | undefined }) {
  const [remember, box] = useRemember();
  const widget = useRef<HTMLDivElement>(null);
  const form = useForm(
    "register",
    { email: "", name: "", password: "" },
    async ({ email = "", name = "", password = "" }) => {
      const details = { email, password, ...(name.trim() !== "" && { name: name.trim() }), ...remember };
      const registered = await client.register(details).catch(async (error) => {
        const { code } = problemOf(error);
        const { turnstile_site_key } = config;
        if (code !== "turnstile_required" || !turnstile_site_key || !widget.current) throw error;
        const turnstile_token = await challenge(widget.current, turnstile_site_key);
        return client.register({ ...details, turnstile_token });
      });
      noteBreach(registered);
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
          {config.turnstile_site_key && <div ref={widget} />}
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
