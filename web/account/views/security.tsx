// Second factors, recovery codes and passkeys of the account.

import { useState } from "preact/hooks";

import { fill, plural, s } from "../../strings/index.ts";
import { client, type MfaStatus, type Passkey, type User } from "../../ui/auth.ts";
import { announce, Badge, Button, Card, Dialog, Empty, Item, Notice, Page, Pending, Time } from "../../ui/basics.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { AppSetup, RecoveryCodes } from "../../ui/factors.tsx";
import { Field, Form, Submit, useForm } from "../../ui/form.tsx";
import { useLoad } from "../../ui/hooks.ts";
import { hasPasskeys, unlessCancelled } from "../../ui/passkeys.ts";
import { day, device } from "../../ui/text.ts";
import type { ViewProps } from "../inside.tsx";

interface Shown {
  status: MfaStatus;
  passkeys: Passkey[];
}

/** The number of recovery codes at which new ones are due, as in the mails. */
const FEW = 2;

export function SecurityView({ user, route }: ViewProps) {
  const loaded = useLoad<Shown>(async () => {
    const [status, passkeys] = await Promise.all([client.mfa.status(), client.passkeys.list()]);
    return { status, passkeys };
  });
  const [codes, setCodes] = useState<string[]>();
  const { data } = loaded;
  /** Says what has changed, or shows new recovery codes. */
  const changed = (text: string, codes: string[] = []) => {
    loaded.reload();
    if (codes.length > 0) setCodes(codes);
    else announce(text);
  };
  return (
    <Page title={s.security.title} lead={s.security.lead}>
      {!data ? (
        <Card isList>
          <Pending {...loaded} />
        </Card>
      ) : (
        <>
          {data.status.required && !hasFactor(data.status) && <Notice>{s.security.required}</Notice>}
          <Passkeys passkeys={data.passkeys} changed={changed} isAdding={route.query.has("add")} />
          <App status={data.status} changed={changed} />
          {(hasFactor(data.status) || data.status.recovery_codes_left > 0) && (
            <Recovery left={data.status.recovery_codes_left} changed={changed} />
          )}
        </>
      )}
      {codes && <Codes codes={codes} user={user} done={() => setCodes(undefined)} />}
    </Page>
  );
}

const hasFactor = ({ totp, passkeys }: MfaStatus) => totp !== null || passkeys > 0;

type Changed = (text: string, codes?: string[]) => void;

function Codes({ codes, user, done }: { codes: string[]; user: User; done: () => void }) {
  return (
    // Escape must not lose codes that nobody has saved yet.
    <Dialog title={s.factors.codesTitle}>
      <RecoveryCodes codes={codes} account={user.email} done={done} />
    </Dialog>
  );
}

function Passkeys({ passkeys, changed, isAdding }: { passkeys: Passkey[]; changed: Changed; isAdding: boolean }) {
  const [dialog, setDialog] = useState<{ kind: "add" } | { kind: "rename" | "remove"; passkey: Passkey } | undefined>(
    isAdding && hasPasskeys ? { kind: "add" } : undefined,
  );
  const close = () => setDialog(undefined);
  return (
    <Card
      title={s.passkeys.title}
      lead={s.passkeys.lead}
      isList
      actions={hasPasskeys && <Button onClick={() => setDialog({ kind: "add" })}>{s.passkeys.add}</Button>}
    >
      {passkeys.length === 0 ? (
        <Empty icon="key">{hasPasskeys ? s.passkeys.none : s.errors.passkeys_unsupported}</Empty>
      ) : (
        <ul class="list">
          {passkeys.map((passkey) => (
            <PasskeyItem key={passkey.id} passkey={passkey} open={(kind) => setDialog({ kind, passkey })} />
          ))}
        </ul>
      )}
      {dialog?.kind === "add" && <Adding changed={changed} onClose={close} />}
      {dialog?.kind === "rename" && <Renaming passkey={dialog.passkey} changed={changed} onClose={close} />}
      {dialog?.kind === "remove" && (
        <Confirm
          title={s.passkeys.removeTitle}
          text={fill(s.passkeys.removeText, { name: dialog.passkey.name })}
          action={s.passkeys.remove}
          work={async () => {
            await client.passkeys.remove(dialog.passkey.id);
            changed(s.passkeys.removed);
          }}
          onClose={close}
        />
      )}
    </Card>
  );
}

function PasskeyItem({
  passkey: { id, name, created_at, last_used_at, backed_up },
  open,
}: {
  passkey: Passkey;
  open: (kind: "rename" | "remove") => void;
}) {
  const title = `passkey-${id}`;
  return (
    <Item
      icon="key"
      title={name}
      titleId={title}
      badge={backed_up && <Badge>{s.passkeys.synced}</Badge>}
      action={
        <div class="item-actions">
          <Button onClick={() => open("rename")} describedBy={title}>
            {s.passkeys.rename}
          </Button>
          <Button kind="danger-plain" onClick={() => open("remove")} describedBy={title}>
            {s.passkeys.remove}
          </Button>
        </div>
      }
    >
      <p class="facts">
        <Time at={created_at} text={s.passkeys.added} format={day} />
        {last_used_at === null ? <span>{s.passkeys.unused}</span> : <Time at={last_used_at} text={s.passkeys.used} />}
      </p>
    </Item>
  );
}

function Adding({ changed, onClose }: { changed: Changed; onClose: () => void }) {
  const form = useForm(
    "passkey",
    { passkey_name: device(navigator.userAgent).name },
    async ({ passkey_name = "" }) => {
      const name = passkey_name.trim();
      await unlessCancelled(async () => {
        const { recovery_codes } = await client.passkeys.register({ name });
        form.reset();
        onClose();
        changed(s.passkeys.done, recovery_codes);
      });
    },
    ["passkey_name"],
  );
  return (
    <Dialog title={s.passkeys.add} onClose={onClose}>
      <p>{s.passkeys.addLead}</p>
      <Form form={form}>
        <Field name="passkey_name" label={s.passkeys.name} hint={s.passkeys.nameHint} autocomplete="off" />
        <div class="dialog-actions">
          <Button onClick={onClose}>{s.cancel}</Button>
          <Submit>{s.factors.proceed}</Submit>
        </div>
      </Form>
    </Dialog>
  );
}

function Renaming({ passkey, changed, onClose }: { passkey: Passkey; changed: Changed; onClose: () => void }) {
  const form = useForm(
    `passkey ${passkey.id}`,
    { passkey_name: passkey.name },
    async ({ passkey_name = "" }) => {
      await client.passkeys.rename(passkey.id, passkey_name.trim());
      form.reset();
      onClose();
      changed(s.saved);
    },
    ["passkey_name"],
  );
  return (
    <Dialog title={s.passkeys.renameTitle} onClose={onClose}>
      <Form form={form}>
        <Field name="passkey_name" label={s.passkeys.name} autocomplete="off" />
        <div class="dialog-actions">
          <Button onClick={onClose}>{s.cancel}</Button>
          <Submit>{s.save}</Submit>
        </div>
      </Form>
    </Dialog>
  );
}

function App({ status: { totp, passkeys }, changed }: { status: MfaStatus; changed: Changed }) {
  const [isAdding, setAdding] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const remove = async () => {
    await client.mfa.removeTotp();
    changed(s.factors.appRemoved);
  };
  const done = (codes: string[]) => {
    setAdding(false);
    changed(s.factors.appAdded, codes);
  };
  return (
    <Card title={s.factors.app} lead={totp ? undefined : s.factors.appCardLead}>
      {isAdding ? (
        <AppSetup done={done} cancel={() => setAdding(false)} />
      ) : totp ? (
        <div class="choice">
          <p>
            <Badge kind="accent">{s.factors.on}</Badge>{" "}
            <Time at={totp.created_at} text={s.passkeys.added} format={day} />
          </p>
          <div class="row">
            <Button onClick={() => setAdding(true)}>{s.factors.replace}</Button>
            <Button kind="danger-plain" onClick={() => setAsking(true)}>
              {s.passkeys.remove}
            </Button>
          </div>
        </div>
      ) : (
        <Button onClick={() => setAdding(true)}>{s.factors.appSetUp}</Button>
      )}
      {isAsking && (
        <Confirm
          title={s.factors.removeTitle}
          text={passkeys > 0 ? s.factors.removeText : s.factors.removeLastText}
          action={s.passkeys.remove}
          work={remove}
          onClose={() => setAsking(false)}
        />
      )}
    </Card>
  );
}

function Recovery({ left, changed }: { left: number; changed: Changed }) {
  const [isAsking, setAsking] = useState(false);
  const isLow = left <= FEW;
  return (
    <Card title={s.factors.codesTitle} lead={s.factors.codesCardLead}>
      <div class="choice">
        <p class={isLow ? "few" : undefined}>
          {plural(s.factors.codesLeft, left)}
          {isLow && `. ${s.factors.codesFew}`}
        </p>
        <Button onClick={() => setAsking(true)}>{s.factors.newCodes}</Button>
      </div>
      {isAsking && (
        <Confirm
          title={s.factors.newCodesTitle}
          text={s.factors.newCodesText}
          action={s.factors.newCodes}
          work={async () => {
            changed("", await client.mfa.newRecoveryCodes());
          }}
          onClose={() => setAsking(false)}
        />
      )}
    </Card>
  );
}
