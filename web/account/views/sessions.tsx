import { useState } from "preact/hooks";

import { plural, s } from "../../strings/index.ts";
import { client, type Session } from "../../ui/auth.ts";
import { announce, Button, Card, focusHeading, Page, Pending } from "../../ui/basics.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { usePages } from "../../ui/hooks.ts";
import { More, SessionItem } from "../../ui/trail.tsx";

export function SessionsView() {
  const pages = usePages<Session>("/sessions", "sessions");
  const [isAsking, setAsking] = useState(false);
  const { data } = pages;
  const hasOthers = data?.some(({ current }) => !current) ?? false;

  const end = async (session: Session) => {
    await client.endSession(session.id);
    pages.change((sessions) => sessions.filter(({ id }) => id !== session.id));
    announce(s.sessions.ended);
    // The button with the focus is removed.
    focusHeading();
  };
  const endOthers = async () => {
    const ended = await client.logoutEverywhere({ exceptCurrent: true });
    pages.change((sessions) => sessions.filter(({ current }) => current));
    // Further pages may exist that were not loaded.
    pages.reload();
    announce(plural(s.sessions.endedOthers, ended));
  };
  return (
    <Page
      title={s.sessions.title}
      lead={s.sessions.lead}
      actions={hasOthers && <Button onClick={() => setAsking(true)}>{s.sessions.endOthers}</Button>}
    >
      <Card isList>
        {data === undefined ? (
          <Pending {...pages} />
        ) : (
          <>
            <ul class="list">
              {/* This device comes first. */}
              {data
                .toSorted((a, b) => Number(b.current) - Number(a.current))
                .map((session) => (
                  <SessionItem key={session.id} session={session} end={end} />
                ))}
            </ul>
            {!hasOthers && !pages.hasMore && <p class="list-note">{s.sessions.only}</p>}
            <More pages={pages} />
          </>
        )}
      </Card>
      {isAsking && (
        <Confirm
          title={s.sessions.endOthersTitle}
          text={s.sessions.endOthersText}
          action={s.sessions.endOthers}
          work={endOthers}
          onClose={() => setAsking(false)}
        />
      )}
    </Page>
  );
}
