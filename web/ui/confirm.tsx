import type { ComponentChildren } from "preact";

import { s } from "../strings/index.ts";
import { Alert, Button, Dialog, focusHeading } from "./basics.tsx";
import { useAction } from "./hooks.ts";

/** Asks for confirmation of an action that cannot be undone. Closes after success; shows the error after a failure. */
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
    // The dialog returns the focus, unless the button that opened it no longer exists.
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
