import { useState } from "preact/hooks";

import { fill, s } from "../../strings/index.ts";
import { asked, changes } from "../../ui/asked.ts";
import { client, config, type User } from "../../ui/auth.ts";
import { announce, Button, Card, Link, Notice, Page, Verification } from "../../ui/basics.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { Field, Form, Submit, useForm } from "../../ui/form.tsx";
import type { ViewProps } from "../inside.tsx";

export function ProfileView({ user }: ViewProps) {
  changes.use();
  return (
    <Page title={s.profile.title} lead={s.profile.lead}>
      {!user.email_verified && asked("verify")?.email === user.email && (
        <Notice action={<Link to="email">{s.email.enterCode}</Link>}>
          {fill(s.code.sentTo, { email: user.email })}
        </Notice>
      )}
      <Names user={user} />
      <LoginNames user={user} />
      <Removal user={user} />
    </Page>
  );
}

function Names({ user }: { user: User }) {
  const shown = { name: user.name ?? "", given_name: user.given_name ?? "", family_name: user.family_name ?? "" };
  const form = useForm(`names ${user.id}`, shown, async (values) => {
    // Only what has changed; an empty field removes the value.
    const changes = Object.entries(values)
      .map(([name, value]) => [name, value.trim()] as const)
      .filter(([name, value]) => value !== shown[name as keyof typeof shown])
      .map(([name, value]) => [name, value || null]);
    if (changes.length > 0) await client.updateMe(Object.fromEntries(changes));
    form.reset(values);
    announce(s.saved);
  });
  return (
    <Card title={s.profile.names} lead={s.profile.namesLead}>
      <Form form={form}>
        <Field name="name" label={s.fields.name} autocomplete="name" />
        <div class="pair">
          <Field name="given_name" label={s.fields.givenName} autocomplete="given-name" />
          <Field name="family_name" label={s.fields.familyName} autocomplete="family-name" />
        </div>
        <Submit>{s.save}</Submit>
      </Form>
    </Card>
  );
}

/** The username. */
function LoginNames({ user }: { user: User }) {
  const shown = user.username ?? "";
  const form = useForm(`username ${user.id}`, { username: shown }, async ({ username = "" }) => {
    await client.updateMe({ username: username.trim() || null });
    form.reset({ username: username.trim() });
    announce(s.saved);
  });
  const isChanged = form.values.username?.trim() !== shown;
  return (
    <Card title={s.profile.login} lead={s.profile.loginLead}>
      <Form form={form}>
        <div class="field">
          <p class="caption">{s.fields.email}</p>
          <p class="address">
            {user.email}
            <Verification of={user} />
          </p>
          {config.mail && (
            <p class="hint">
              <Link to="email">{user.email_verified ? s.email.change : s.email.verifyOrChange}</Link>
            </p>
          )}
        </div>
        <Field name="username" label={s.fields.username} hint={s.profile.usernameHint} autocomplete="off" />
        {isChanged && <Submit>{s.profile.usernameSave}</Submit>}
      </Form>
    </Card>
  );
}

function Removal({ user }: { user: User }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <Card title={s.remove.title}>
      <div class="choice">
        <p>{s.remove.lead}</p>
        <Button kind="danger-plain" onClick={() => setOpen(true)}>
          {s.remove.open}
        </Button>
      </div>
      {isOpen && (
        <Confirm
          title={s.remove.confirmTitle}
          text={fill(s.remove.confirmText, { email: user.email })}
          action={s.remove.submit}
          work={async () => {
            await client.deleteMe();
            announce(s.remove.done);
          }}
          onClose={() => setOpen(false)}
        />
      )}
    </Card>
  );
}
