// One account: its roles, sessions and audit trail, and actions to disable and delete it.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { PortcullisError } from "../../packages/client/src/index.ts";
import { fill, plural, s } from "../strings/index.ts";
import { type AuditEntry, client, config, type Person, type Session, type Throttle, type User } from "../ui/auth.ts";
import { announce, Badge, Button, Card, Empty, Item, Link, Page, Pending, Time, Verification } from "../ui/basics.tsx";
import { Confirm } from "../ui/confirm.tsx";
import { Field, Form, Submit, useForm } from "../ui/form.tsx";
import { type Pages, useAction, useLoad, usePages } from "../ui/hooks.ts";
import { Icon } from "../ui/icons.tsx";
import { sentence } from "../ui/problem.ts";
import { navigate } from "../ui/router.ts";
import { clock, moment } from "../ui/text.ts";
import { More, SessionItem, Trail } from "../ui/trail.tsx";
import { Forbidden } from "./admin.tsx";

export function PersonView({ id, user }: { id: string; user: User }) {
  const path = `/users/${id}`;
  const loaded = useLoad(() => client.request<Person>("GET", path), path);
  const sessions = usePages<Session>(`${path}/sessions`, "sessions");
  const trail = usePages<AuditEntry>(`${path}/events`, "events");
  const { data: person, problem } = loaded;

  if (problem?.code === "forbidden") return <Forbidden />;
  if (problem?.code === "not_found") return <NotFound />;
  if (person === undefined) {
    return (
      <Page title={s.admin.person} above={<Back />}>
        <Card isList>
          <Pending {...loaded} />
        </Card>
      </Page>
    );
  }

  /** Changes the roles that the page shows. If they have changed meanwhile, it shows the new ones and changes nothing. */
  const changeRoles = async (roles: string[]) => {
    const current = await client.request<Person>("GET", path);
    if (current.roles.join() !== person.roles.join()) {
      loaded.change(() => current);
      throw new PortcullisError(409, "roles_changed", "");
    }
    await change({ roles });
  };
  const change = async (changes: { roles?: string[]; disabled?: boolean }) => {
    const changed = await client.request<Person>("PATCH", path, changes);
    loaded.change(() => changed);
    trail.reload();
    if (changes.disabled) sessions.reload();
    // The roles of the signed-in administrator may have changed.
    if (id === user.id) await client.me();
  };
  return (
    <Page
      title={person.email}
      above={<Back />}
      lead={
        <>
          {person.name && <span>{person.name}</span>}
          {id === user.id && <Badge kind="accent">{s.admin.you}</Badge>}
          {person.disabled_at === null ? (
            <Badge>{s.admin.active}</Badge>
          ) : (
            <Badge kind="danger">
              <Time at={person.disabled_at} text={s.admin.disabledSince} />
            </Badge>
          )}
        </>
      }
    >
      <Details person={person} />
      <Roles person={person} change={changeRoles} />
      <Failures path={path} person={person} trail={trail} />
      <Sessions path={path} person={person} sessions={sessions} trail={trail} />
      <Card title={s.admin.trail} isList>
        <Trail pages={trail} level={3} />
      </Card>
      <Access path={path} person={person} isOwn={id === user.id} change={change} sessions={sessions} trail={trail} />
    </Page>
  );
}

export function NotFound() {
  return <Page title={s.admin.notFoundTitle} lead={s.admin.notFound} above={<Back />} />;
}

function Back() {
  return (
    <Link to="admin">
      <Icon name="back" />
      {s.admin.back}
    </Link>
  );
}

function Details({ person }: { person: Person }) {
  const rows: [string, ComponentChildren][] = [
    [s.fields.email, <Verification key="email" of={person} />],
    [s.fields.givenName, person.given_name],
    [s.fields.familyName, person.family_name],
    [s.fields.username, person.username],
    [s.admin.created, <Time key="time" at={person.created_at} format={moment} />],
    [s.admin.id, <code key="id">{person.id}</code>],
  ];
  return (
    <Card title={s.admin.details}>
      <dl>
        {rows
          .filter(([, value]) => value !== null)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </Card>
  );
}

/** The roles. The pages do not know `ROLES`; the server refuses an unknown role. */
function Roles({ person, change }: { person: Person; change: (roles: string[]) => Promise<void> }) {
  const save = async (roles: string[]) => {
    await change(roles);
    announce(s.saved);
  };
  const form = useForm(
    `role ${person.id}`,
    { role: "" },
    async ({ role = "" }) => {
      await save([...new Set([...person.roles, role.trim()])]);
      form.reset();
    },
    ["role"],
  );
  const removal = useAction((role: string) => save(person.roles.filter((name) => name !== role)));
  return (
    <Card title={s.admin.roles} lead={s.admin.rolesLead}>
      {person.roles.length === 0 ? (
        <p class="muted">{s.admin.noRoles}</p>
      ) : (
        <ul class="tags">
          {person.roles.map((role) => (
            <li key={role} class="tag">
              {role}
              <button
                type="button"
                aria-label={fill(s.admin.removeRole, { role })}
                aria-disabled={removal.isBusy}
                onClick={() => removal.run(role)}
              >
                <Icon name="cross" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {removal.problem && (
        <p class="error" role="alert">
          <Icon name="alert" />
          {sentence(removal.problem)}
        </p>
      )}
      <Form form={form}>
        <div class="inline">
          <Field name="role" label={s.admin.addRole} autocomplete="off" />
          <Submit kind="plain">{s.admin.add}</Submit>
        </div>
      </Form>
    </Card>
  );
}

function Sessions({
  path,
  person,
  sessions,
  trail,
}: {
  path: string;
  person: Person;
  sessions: Pages<Session>;
  trail: Pages<AuditEntry>;
}) {
  const [isAsking, setAsking] = useState(false);
  const { data } = sessions;
  const endAll = async () => {
    const { sessions_ended } = await client.request<{ sessions_ended: number }>("DELETE", `${path}/sessions`);
    sessions.reload();
    trail.reload();
    announce(plural(s.admin.endedAll, sessions_ended));
  };
  return (
    <Card
      title={s.admin.sessions}
      isList
      actions={data && data.length > 0 && <Button onClick={() => setAsking(true)}>{s.admin.endAll}</Button>}
    >
      {data === undefined ? (
        <Pending {...sessions} />
      ) : data.length === 0 ? (
        <Empty icon="computer">{s.admin.noSessions}</Empty>
      ) : (
        <ul class="list">
          {data.map((session) => (
            <SessionItem key={session.id} session={session} />
          ))}
        </ul>
      )}
      {data && <More pages={sessions} />}
      {isAsking && (
        <Confirm
          title={s.admin.endAllTitle}
          text={fill(s.admin.endAllText, { email: person.email })}
          action={s.admin.endAll}
          work={endAll}
          onClose={() => setAsking(false)}
        />
      )}
    </Card>
  );
}

/** The failed attempts that delay further ones. Most people have none, and then there is no section. */
function Failures({ path, person, trail }: { path: string; person: Person; trail: Pages<AuditEntry> }) {
  const [isAsking, setAsking] = useState(false);
  const loaded = useLoad(
    () => client.request<{ throttles: Throttle[] }>("GET", `${path}/throttle`).then(({ throttles }) => throttles),
    path,
  );
  const { data, problem } = loaded;
  if (!problem && !data?.length) return null;
  const titles = {
    email: s.admin.failuresOfEmail,
    username: s.admin.failuresOfUsername,
    confirmation: s.admin.failuresOfConfirmation,
  };
  const lift = async () => {
    await client.request("DELETE", `${path}/throttle`);
    loaded.change(() => []);
    trail.reload();
    announce(s.admin.lifted);
  };
  return (
    <Card
      title={s.admin.failures}
      isList
      actions={data && <Button onClick={() => setAsking(true)}>{s.admin.lift}</Button>}
    >
      {data === undefined ? (
        <Pending {...loaded} />
      ) : (
        <>
          <ul class="list">
            {data.map(({ of, failures, last_failed_at, wait_until }) => (
              <Item
                key={of}
                icon="warning"
                tone="warn"
                title={titles[of]}
                badge={
                  (wait_until ?? 0) > Date.now() / 1000 && (
                    <Badge kind="danger">{fill(s.admin.delayedUntil, { time: clock(wait_until ?? 0) })}</Badge>
                  )
                }
              >
                <p class="facts">
                  <span>{plural(s.admin.failed, failures)}</span>
                  <Time at={last_failed_at} text={s.admin.lastFailed} format={moment} />
                </p>
              </Item>
            ))}
          </ul>
          <p class="list-note">{s.admin.failuresNote}</p>
        </>
      )}
      {isAsking && (
        <Confirm
          title={s.admin.liftTitle}
          text={fill(s.admin.liftText, { email: person.email })}
          action={s.admin.lift}
          work={lift}
          onClose={() => setAsking(false)}
        />
      )}
    </Card>
  );
}

function Access({
  path,
  person,
  isOwn,
  change,
  sessions,
  trail,
}: {
  path: string;
  person: Person;
  isOwn: boolean;
  change: (changes: { disabled: boolean }) => Promise<void>;
  sessions: Pages<Session>;
  trail: Pages<AuditEntry>;
}) {
  const [asking, setAsking] = useState<"factors" | "disable" | "delete">();
  const close = () => setAsking(undefined);
  const isDisabled = person.disabled_at !== null;
  const enabling = useAction(() => change({ disabled: false }));
  const reset = useAction(async () => {
    await client.request("POST", `${path}/password-reset`, {});
    announce(s.admin.resetSent);
  });
  const resetFactors = async () => {
    await client.request("DELETE", `${path}/mfa`);
    sessions.reload();
    trail.reload();
    announce(s.admin.factorsReset);
  };
  const remove = async () => {
    await client.request("DELETE", path);
    announce(s.admin.deleted);
    navigate("admin", { replace: true });
  };
  return (
    <Card title={s.admin.access}>
      {config.mail && !isDisabled && (
        <div class="choice">
          <p>{s.admin.resetLead}</p>
          <Button onClick={reset.run} isBusy={reset.isBusy}>
            {s.admin.reset}
          </Button>
        </div>
      )}
      {reset.problem && (
        <p class="error" role="alert">
          {sentence(reset.problem)}
        </p>
      )}
      {!isOwn && (
        <div class="choice">
          <p>{s.admin.factorsLead}</p>
          <Button kind="danger-plain" onClick={() => setAsking("factors")}>
            {s.admin.factors}
          </Button>
        </div>
      )}
      <div class="choice">
        <p>{isDisabled ? s.admin.enableLead : s.admin.disableLead}</p>
        {isDisabled ? (
          <Button onClick={enabling.run} isBusy={enabling.isBusy}>
            {s.admin.enable}
          </Button>
        ) : (
          <Button kind="danger-plain" onClick={() => setAsking("disable")}>
            {s.admin.disable}
          </Button>
        )}
      </div>
      {enabling.problem && (
        <p class="error" role="alert">
          {sentence(enabling.problem)}
        </p>
      )}
      <div class="choice">
        <p>{isOwn ? s.admin.ownAccount : s.admin.deleteLead}</p>
        {!isOwn && (
          <Button kind="danger-plain" onClick={() => setAsking("delete")}>
            {s.admin.delete}
          </Button>
        )}
      </div>
      {asking === "factors" && (
        <Confirm
          title={s.admin.factorsTitle}
          text={fill(s.admin.factorsText, { email: person.email })}
          action={s.admin.factors}
          work={resetFactors}
          onClose={close}
        />
      )}
      {asking === "disable" && (
        <Confirm
          title={s.admin.disableTitle}
          text={fill(s.admin.disableText, { email: person.email })}
          action={s.admin.disable}
          work={() => change({ disabled: true })}
          onClose={close}
        />
      )}
      {asking === "delete" && (
        <Confirm
          title={s.admin.deleteTitle}
          text={fill(s.admin.deleteText, { email: person.email })}
          action={s.admin.delete}
          work={remove}
          onClose={close}
        />
      )}
    </Card>
  );
}
