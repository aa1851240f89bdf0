// The numbers of the last 24 hours.

import { fill, language, s } from "../strings/index.ts";
import { client } from "../ui/auth.ts";
import { Alert, Button, Card, Notice, Page, Pending } from "../ui/basics.tsx";
import { useLoad } from "../ui/hooks.ts";
import { clock } from "../ui/text.ts";
import { Forbidden } from "./admin.tsx";

type Counts = Record<"failed_logins" | "throttled" | "reuse_detected" | "mails_sent" | "mails_failed", number> &
  Record<"logins" | "registrations" | "refused", number | null>;
type Hour = Counts & { at: number };
interface Stats {
  total: Counts;
  hours: Hour[];
  mails_waiting: number;
  metrics: "read" | "off" | "unavailable";
}

export function StatsView() {
  const loaded = useLoad(async () => {
    const stats = await client.request<Stats>("GET", "/stats");
    return { ...stats, asOf: Date.now() / 1000 };
  });
  const { data, problem, isBusy, reload } = loaded;
  if (problem?.code === "forbidden") return <Forbidden />;
  return (
    <Page
      title={s.stats.title}
      lead={data && fill(s.stats.lead, { time: clock(data.asOf) })}
      actions={
        data && (
          <Button onClick={reload} isBusy={isBusy}>
            {s.stats.update}
          </Button>
        )
      }
    >
      {data === undefined ? (
        <Card isList>
          <Pending {...loaded} rows={5} />
        </Card>
      ) : (
        <>
          {problem && <Alert problem={problem} />}
          {data.metrics === "off" && <Notice>{s.stats.off}</Notice>}
          {data.metrics === "unavailable" && <Notice>{s.stats.unavailable}</Notice>}
          <Tiles stats={data} />
        </>
      )}
    </Page>
  );
}

function Tiles({ stats: { total, hours, mails_waiting } }: { stats: Stats }) {
  const tiles: [keyof Counts, string, boolean?][] = [
    ["logins", s.stats.logins],
    ["failed_logins", s.stats.failed, true],
    ["throttled", s.stats.throttled, true],
    ["registrations", s.stats.registrations],
    ["refused", s.stats.refused, true],
    ["reuse_detected", s.stats.reuse, true],
    ["mails_sent", s.stats.sent],
    ["mails_failed", s.stats.givenUp, true],
  ];
  return (
    <ul class="stats">
      {tiles.map(([name, label, isWarning = false]) => (
        <li key={name} class={isWarning ? "warns" : ""}>
          <p class="stat-name">{label}</p>
          <StatNumber of={total[name]} />
          <Bars hours={hours.map((hour) => [hour.at, hour[name]])} />
        </li>
      ))}
      <li>
        <p class="stat-name">{s.stats.waiting}</p>
        <StatNumber of={mails_waiting} />
      </li>
    </ul>
  );
}

function StatNumber({ of }: { of: number | null }) {
  return <p class={`stat-number${of ? "" : " zero"}`}>{of?.toLocaleString(language) ?? "–"}</p>;
}

/** A bar for each hour, and the hour with the most in words, also for screen readers. */
function Bars({ hours }: { hours: [at: number, count: number | null][] }) {
  const [at, most] = hours.reduce((best, hour) => ((hour[1] ?? 0) > (best[1] ?? 0) ? hour : best));
  if (most === null) return <p class="stat-note">{s.stats.unknown}</p>;
  return (
    <>
      <svg class="bars" viewBox="0 0 95 24" preserveAspectRatio="none" aria-hidden="true">
        {hours.map(([at, count], index) => {
          const height = count ? Math.max(2, (24 * count) / most) : 0.75;
          return (
            <rect key={at} class={count ? "some" : ""} x={4 * index} y={24 - height} width="3" height={height}>
              <title>{`${clock(at)}: ${count}`}</title>
            </rect>
          );
        })}
      </svg>
      {most > 0 && <p class="stat-note">{fill(s.stats.peak, { n: most.toLocaleString(language), time: clock(at) })}</p>}
    </>
  );
}
