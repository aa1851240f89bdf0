// The admin pages: the numbers of the last 24 hours, the list of accounts, and one account. Only administrators load this file.

import { useEffect, useState } from "preact/hooks";

import type { ViewProps } from "../account/inside.tsx";
import { fill, s } from "../strings/index.ts";
import { client, config, type Person } from "../ui/auth.ts";
import { announce, Badge, Button, Card, Dialog, Empty, Link, Page, Pending, Time } from "../ui/basics.tsx";
import { Field, Form, Submit, useForm } from "../ui/form.tsx";
import { usePages } from "../ui/hooks.ts";
import { Icon } from "../ui/icons.tsx";
import { navigate } from "../ui/router.ts";
import { day } from "../ui/text.ts";
import { More } from "../ui/trail.tsx";
import { NotFound, PersonView } from "./person.tsx";
import { StatsView } from "./stats.tsx";

export function Admin({ user, route }: ViewProps) {
  // The server checks this too; this check only saves a request.
  if (!user.roles.includes("admin")) return <Forbidden />;
  if (route.view === "stats") return <StatsView />;
  const id = route.query.get("person");
  // Anything else would be another path of the API, such as "..".
  if (id !== null && !/^[\w-]{22}$/.test(id)) return <NotFound />;
  if (id !== null) return <PersonView key={id} id={id} user={user} />;
  return <People user={user} search={route.query.get("email") ?? ""} />;
}

export function Forbidden() {
  return (
    <Page title={s.admin.forbiddenTitle}>
      <Card>
        <Empty icon="shield">{s.admin.forbidden}</Empty>
      </Card>
    </Page>
  );
}

/** The search text is in the address, so that it remains when the user returns from an account. */
function People({ user, search }: { user: ViewProps["user"]; search: string }) {
  const pages = usePages<Person>(search === "" ? "/users" : `/users?email=${encodeURIComponent(search)}`, "users");
  const [isInviting, setInviting] = useState(false);
  const { data } = pages;
  if (pages.problem?.code === "forbidden") return <Forbidden />;
  return (
    <Page
      title={s.admin.title}
      lead={s.admin.lead}
      actions={config.mail && <Button onClick={() => setInviting(true)}>{s.admin.invite}</Button>}
    >
      <Search search={search} />
      <Card isList>
        {data === undefined ? (
          <Pending {...pages} rows={5} />
        ) : data.length === 0 ? (
          <Empty icon="users">{search === "" ? s.admin.none : fill(s.admin.noMatch, { text: search })}</Empty>
        ) : (
          <>
            <table class="people">
              <thead>
                <tr>
                  <th scope="col">{s.admin.person}</th>
                  <th scope="col">{s.admin.roles}</th>
                  <th scope="col">{s.admin.created}</th>
                </tr>
              </thead>
              <tbody>
                {data.map((person) => (
                  <Row key={person.id} person={person} isYou={person.id === user.id} />
                ))}
              </tbody>
            </table>
            <More pages={pages} />
          </>
        )}
      </Card>
      {isInviting && <Invitation onClose={() => setInviting(false)} />}
    </Page>
  );
}

function Invitation({ onClose }: { onClose: () => void }) {
  const form = useForm(
    "invitation",
    { email: "", name: "", roles: "" },
    async ({ email = "", name = "", roles = "" }) => {
      const chosen = roles.split(/[\s,]+/).filter((role) => role !== "");
      const invited = await client.request<Person>("POST", "/users", {
        email: email.trim(),
        ...(name.trim() !== "" && { name: name.trim() }),
        ...(chosen.length > 0 && { roles: chosen }),
      });
      form.reset();
      announce(s.admin.invited);
      navigate(`admin?person=${invited.id}`);
    },
    ["email"],
  );
  return (
    <Dialog title={s.admin.inviteTitle} onClose={onClose}>
      <p>{s.admin.inviteLead}</p>
      <Form form={form}>
        <Field name="email" label={s.fields.email} type="email" autocomplete="off" inputMode="email" />
        <Field name="name" label={s.fields.name} autocomplete="off" isOptional />
        <Field name="roles" label={s.admin.roles} hint={s.admin.inviteRoles} autocomplete="off" isOptional />
        <div class="dialog-actions">
          <Button onClick={onClose}>{s.cancel}</Button>
          <Submit>{s.admin.inviteSubmit}</Submit>
        </div>
      </Form>
    </Dialog>
  );
}

function Row({ person, isYou }: { person: Person; isYou: boolean }) {
  return (
    <tr>
      <th scope="row">
        <div class="address">
          <Link to={`admin?person=${person.id}`} class="row-link">
            {person.email}
          </Link>
          {isYou && <Badge kind="accent">{s.admin.you}</Badge>}
          {person.disabled_at !== null && <Badge kind="danger">{s.admin.disabled}</Badge>}
        </div>
        {person.name && <span class="sub">{person.name}</span>}
      </th>
      <td data-label={s.admin.roles}>
        <span class="badges">
          {person.roles.map((role) => (
            <Badge key={role}>{role}</Badge>
          ))}
        </span>
      </td>
      <td class="when" data-label={s.admin.created}>
        <Time at={person.created_at} format={day} />
      </td>
    </tr>
  );
}

/** Milliseconds between the last input and the search. */
const PAUSE = 300;

function Search({ search }: { search: string }) {
  const [text, setText] = useState(search);
  const wanted = text.trim();
  const follow = () => {
    const to = wanted === "" ? "admin" : `admin?email=${encodeURIComponent(wanted)}`;
    if (wanted !== search) navigate(to, { replace: true });
  };
  // Back and Forward change the address, and the field must follow.
  useEffect(() => {
    if (search !== wanted) setText(search);
  }, [search]);
  useEffect(() => {
    const timer = setTimeout(follow, PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <search>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          follow();
        }}
      >
        <Icon name="search" />
        <input
          type="search"
          aria-label={s.admin.search}
          placeholder={s.admin.search}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
        />
        {text !== "" && (
          <Button
            onClick={() => {
              setText("");
              navigate("admin", { replace: true });
            }}
          >
            {s.admin.clear}
          </Button>
        )}
      </form>
    </search>
  );
}
