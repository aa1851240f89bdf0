import { useState } from "preact/hooks";

import { fill, s } from "../../strings/index.ts";
import { asked } from "../../ui/asked.ts";
import { client, config, type User } from "../../ui/auth.ts";
import { announce, Button, Card, Dialog, Link, Notice, Page, Verification } from "../../ui/basics.tsx";
import { Field, Form, LoginName, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import type { ViewProps } from "../app.tsx";

export function ProfileView({ user }: ViewProps) {
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

/** The username. The form asks for the password once the username differs. */
function LoginNames({ user }: { user: User }) {
  const shown = user.username ?? "";
  const form = useForm(
    `username ${user.id}`,
    { username: shown, current_password: "" },
    async ({ username = "", current_password = "" }) => {
      await client.updateMe({ username: username.trim() || null, current_password });
      form.reset({ username: username.trim(), current_password: "" });
      announce(s.saved);
    },
    ["current_password"],
  );
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
        {isChanged && (
          <>
            <p class="note">{s.profile.usernamePassword}</p>
            <PasswordField name="current_password" label={s.fields.currentPassword} />
            <Submit>{s.profile.usernameSave}</Submit>
          </>
        )}
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
      {isOpen && <RemovalDialog user={user} onClose={() => setOpen(false)} />}
    </Card>
  );
}

function RemovalDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const form = useForm(
    "removal",
    { current_password: "" },
    async ({ current_password = "" }) => {
      await client.deleteMe({ current_password });
      announce(s.remove.done);
    },
    ["current_password"],
  );
  return (
    <Dialog title={s.remove.confirmTitle} onClose={onClose}>
      <p>{fill(s.remove.confirmText, { email: user.email })}</p>
      <Form form={form}>
        <LoginName value={user.email} />
        <PasswordField name="current_password" label={s.fields.currentPassword} />
        <div class="dialog-actions">
          <Button onClick={onClose}>{s.cancel}</Button>
          <Submit kind="danger">{s.remove.submit}</Submit>
        </div>
      </Form>
    </Dialog>
  );
}
