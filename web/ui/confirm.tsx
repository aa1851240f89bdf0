import type { ComponentChildren } from "preact";

import { s } from "../strings/index.ts";
import { Alert, Button, Dialog, focusHeading } from "./basics.tsx";
import { useAction } from "./hooks.ts";

/** Asks before something that cannot be undone. Closes when it is done; stays open with the reason if it fails. */
export function Confirm({
  title,
  text,
  action,
  work,
  onClose,
}: {
  title: string;
  text: ComponentChildren;
  action: string;
  work: () => Promise<unknown>;
  onClose: () => void;
}) {
  const { run, isBusy, problem } = useAction(async () => {
    await work();
    onClose();
    // The dialog gives the focus back, unless the button that opened it is gone by then.
    requestAnimationFrame(() => document.activeElement === document.body && focusHeading());
  });
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      {problem && <Alert problem={problem} />}
      <div class="dialog-actions">
        <Button onClick={onClose}>{s.cancel}</Button>
        <Button kind="danger" isBusy={isBusy} onClick={run}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
