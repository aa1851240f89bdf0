// Sessions and the audit trail. Users see their own, and admins those of every account.

import { useId } from "preact/hooks";

import { fill, named, plural, s } from "../strings/index.ts";
import type { AuditEntry, Session } from "./auth.ts";
import { Badge, Button, Empty, Item, Pending, Time } from "./basics.tsx";
import { type Pages, useAction } from "./hooks.ts";
import type { IconName } from "./icons.tsx";
import { type Problem, sentence } from "./problem.ts";
import { clock, dayHeading, device, moment } from "./text.ts";

/** @param end ends the session; without it, there is no button */
export function SessionItem({ session, end }: { session: Session; end?: (session: Session) => Promise<unknown> }) {
  const id = useId();
  const { name, isPhone } = device(session.last_used_user_agent);
  const ending = useAction(async () => end?.(session));
  return (
    <Item
      icon={isPhone ? "phone" : "computer"}
      title={name}
      titleId={id}
      badge={session.current && <Badge kind="accent">{s.sessions.current}</Badge>}
      action={
        end &&
        !session.current && (
          <Button onClick={ending.run} isBusy={ending.isBusy} describedBy={id}>
            {s.sessions.end}
          </Button>
        )
      }
    >
      <p class="facts">
        <Time at={session.last_used_at} text={s.sessions.active} />
        {session.last_used_ip && <span>{session.last_used_ip}</span>}
        <Time at={session.created_at} text={s.sessions.since} format={moment} />
      </p>
      {ending.problem && <ProblemText problem={ending.problem} />}
    </Item>
  );
}

function ProblemText({ problem }: { problem: Problem }) {
  return (
    <p class="error" role="alert">
      {sentence(problem)}
    </p>
  );
}

const ICONS: Record<string, IconName> = {
  registered: "plus",
  logged_in: "login",
  login_failed: "warning",
  login_throttled: "warning",
  throttle_lifted: "check",
  registration_attempted: "warning",
  password_changed: "lock",
  email_change_requested: "mail",
  email_change_pending: "warning",
  email_changed: "mail",
  email_change_cancelled: "cross",
  password_reset: "lock",
  email_verified: "check",
  mail_sent: "mail",
  mail_failed: "warning",
  password_reset_started: "lock",
  invited: "plus",
  invitation_accepted: "check",
  profile_changed: "edit",
  reuse_detected: "warning",
  revoked: "logout",
  sessions_evicted: "logout",
  sessions_ended: "logout",
  disabled: "cross",
  enabled: "check",
  roles_changed: "shield",
  metadata_changed: "edit",
  factor_added: "shield",
  factor_removed: "shield",
  factors_reset: "warning",
  recovery_codes_created: "shield",
  recovery_code_used: "warning",
  deleted: "cross",
};
const WARNINGS = [
  "login_failed",
  "login_throttled",
  "registration_attempted",
  "reuse_detected",
  "factors_reset",
  "recovery_code_used",
];
/** The number of sessions evicted within an hour that is a warning, as in the log. */
const MANY_EVICTED = 10;

/** The text of an entry. */
function wording({ kind, count = 1, reason, roles, factor }: AuditEntry): string {
  if (kind === "revoked" && reason) return named(s.reasons, reason) ?? s.events.revoked;
  const text = kind === "unknown" ? undefined : named<(typeof s.events)[keyof typeof s.events]>(s.events, kind);
  if (text === undefined) return fill(s.events.unknown, { kind });
  if (typeof text !== "string") return plural(text, count);
  return fill(text, { roles: roles?.join(", ") ?? "", factor: factorOf(factor) });
}

/** The name of a passkey, or that of the authenticator app. */
const factorOf = (factor = "") =>
  /^passkey:\s*(.*)$/s.exec(factor)?.[1] ?? (factor === "totp" ? s.factors.app : factor);

const shownAt = ({ at, last_at }: AuditEntry) => last_at ?? at;

const from = (agent: string | null | undefined, ip: string | null | undefined) =>
  [agent && device(agent).name, ip].filter(Boolean).join(", ");

function Entry({ entry }: { entry: AuditEntry }) {
  const { kind, count, ip, user_agent, other_ip, other_user_agent, admin_id } = entry;
  const when = shownAt(entry);
  const other = from(other_user_agent, other_ip);
  const isOther = other !== "" && other !== from(user_agent, ip);
  const isWarning = WARNINGS.includes(kind) || (kind === "sessions_evicted" && (count ?? 1) >= MANY_EVICTED);
  return (
    <Item icon={ICONS[kind] ?? "pulse"} tone={isWarning ? "warn" : "plain"} title={wording(entry)}>
      <p class="facts">
        <Time at={when} text={(count ?? 1) > 1 ? fill(s.activity.lastAt, { time: clock(when) }) : clock(when)} />
        {user_agent && <span title={user_agent}>{device(user_agent).name}</span>}
        {ip && <span>{ip}</span>}
        {admin_id && <span class="id">{fill(s.activity.byAdmin, { admin: admin_id })}</span>}
      </p>
      {isOther && (
        <p class="facts">
          <span>{fill(kind === "reuse_detected" ? s.activity.lastUse : s.activity.firstFrom, { who: other })}</span>
        </p>
      )}
    </Item>
  );
}

/** A trail, with a heading for each day. */
export function Trail({ pages, level }: { pages: Pages<AuditEntry>; level: 2 | 3 }) {
  const { data } = pages;
  if (data === undefined) return <Pending {...pages} />;
  if (data.length === 0) return <Empty icon="pulse">{s.activity.empty}</Empty>;
  const days: [string, AuditEntry[]][] = [];
  // The server sorts counted entries by the start of their hour; the page sorts them by their last time.
  for (const entry of data.toSorted((a, b) => shownAt(b) - shownAt(a))) {
    const heading = dayHeading(shownAt(entry));
    const last = days.at(-1);
    if (last?.[0] === heading) last[1].push(entry);
    else days.push([heading, [entry]]);
  }
  const Heading = level === 2 ? "h2" : "h3";
  return (
    <>
      {days.map(([day, entries]) => (
        <section class="day" key={day}>
          <Heading>{day}</Heading>
          <ul class="list">
            {entries.map((entry, index) => (
              <Entry entry={entry} key={`${entry.at} ${entry.kind} ${index}`} />
            ))}
          </ul>
        </section>
      ))}
      <More pages={pages} />
    </>
  );
}

/** The button for the next page, or the reason why the page could not be loaded. */
export function More<T>({ pages }: { pages: Pages<T> }) {
  if (pages.problem) return <Pending {...pages} />;
  if (!pages.hasMore) return null;
  return (
    <div class="more">
      <Button onClick={pages.more} isBusy={pages.isBusy}>
        {s.more}
      </Button>
    </div>
  );
}
