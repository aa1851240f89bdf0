import { s } from "../../strings/index.ts";
import type { AuditEntry } from "../../ui/auth.ts";
import { Card, Page } from "../../ui/basics.tsx";
import { usePages } from "../../ui/hooks.ts";
import { Trail } from "../../ui/trail.tsx";

export function ActivityView() {
  const pages = usePages<AuditEntry>("/me/events", "events");
  return (
    <Page title={s.activity.title} lead={s.activity.lead}>
      <Card isList>
        <Trail pages={pages} level={2} />
      </Card>
    </Page>
  );
}
