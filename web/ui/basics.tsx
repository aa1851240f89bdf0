// Components that all views use.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

import { fill, s } from "../strings/index.ts";
import type { User, UserWithNewPassword } from "./auth.ts";
import { useDelayed, useLoad } from "./hooks.ts";
import { Icon, type IconName } from "./icons.tsx";
import { type Problem, reference, sentence } from "./problem.ts";
import { hrefOf, isFollowed, navigate } from "./router.ts";
import { ago, iso, moment } from "./text.ts";

type Children = { children?: ComponentChildren };

/** A view. Its title is also that of the document, and gets the focus if the user came from another view. */
export function Page({
  title,
  lead,
  above,
  actions,
  children,
}: Children & { title: string; lead?: ComponentChildren; above?: ComponentChildren; actions?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    document.title = `${title} · ${s.brand}`;
  }, [title]);
  // Before the view is painted, so that no key is pressed without a focus. A new view is at its top already, and after "Back" the browser
  // restores where it was.
  useLayoutEffect(() => {
    if (isFollowed()) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="page">
      {above && <p class="above">{above}</p>}
      <header class="page-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Brand() {
  return (
    <span class="brand">
      <img src={hrefOf("icon.svg")} width="28" height="28" alt="" />
      {s.brand}
    </span>
  );
}

/** Gives the focus to the heading of the view. Call it when the control that had the focus is removed. */
export const focusHeading = () => document.querySelector<HTMLElement>("h1")?.focus();

/** A section in a frame. */
export function Card({
  title,
  lead,
  actions,
  isList = false,
  children,
}: Children & { title?: string; lead?: string | undefined; actions?: ComponentChildren; isList?: boolean }) {
  const id = useId();
  return (
    <section class={isList ? "card list-card" : "card"} aria-labelledby={title && id}>
      {title && (
        <div class="card-head">
          <div>
            <h2 id={id}>{title}</h2>
            {lead && <p class="lead">{lead}</p>}
          </div>
          {actions}
        </div>
      )}
      {children}
    </section>
  );
}

/** A link to another view. */
export function Link({
  to,
  current,
  label,
  class: className,
  children,
}: Children & { to: string; current?: boolean; label?: string; class?: string }) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a
      class={className}
      href={hrefOf(to)}
      aria-current={current ? "page" : undefined}
      aria-label={label}
      onClick={follow}
    >
      {children}
    </a>
  );
}

export function Button({
  kind = "plain",
  type = "button",
  isBusy = false,
  isDisabled = false,
  isWide = false,
  describedBy,
  onClick,
  children,
}: Children & {
  kind?: "plain" | "primary" | "danger" | "danger-plain";
  type?: "button" | "submit";
  isBusy?: boolean;
  isDisabled?: boolean;
  isWide?: boolean;
  describedBy?: string;
  onClick?: () => void;
}) {
  const isLate = useDelayed(isBusy);
  // The attribute `disabled` would lose the focus.
  return (
    <button
      type={type}
      class={`button ${kind}${isWide ? " wide" : ""}${isLate ? " busy" : ""}${isDisabled ? " off" : ""}`}
      aria-disabled={isBusy || isDisabled}
      aria-busy={isBusy}
      aria-describedby={describedBy}
      onClick={isBusy ? undefined : onClick}
    >
      <span class="label">{children}</span>
      {isLate && <span class="spinner" aria-hidden="true" />}
    </button>
  );
}

/** A button that looks like a link, for another way to do the same. */
export function Other({ onClick, children }: { onClick: () => void; children: ComponentChildren }) {
  return (
    <button type="button" class="link" onClick={onClick}>
      {children}
    </button>
  );
}

/** A problem, which screen readers announce at once, with a button to retry if a retry may help. */
export function Alert({
  problem,
  retry,
  isBusy,
  children,
}: Children & { problem: Problem; retry?: () => void; isBusy?: boolean }) {
  const number = reference(problem);
  return (
    <div class="alert" role="alert">
      <Icon name="alert" />
      <div>
        <p>{sentence(problem)}</p>
        {number && <p class="reference">{number}</p>}
        {retry && (
          <Button onClick={retry} isBusy={isBusy ?? false}>
            {s.retry}
          </Button>
        )}
        {children}
      </div>
    </div>
  );
}

/** What a part of the pages renders that is a file of its own, or `otherwise`, if that cannot be fetched. */
export function FromFile<T>({
  load,
  otherwise,
  children,
}: {
  load: () => Promise<T>;
  otherwise: ComponentChildren;
  children: (file: T) => ComponentChildren;
}) {
  const { data } = useLoad(() => load().catch(() => "missing" as const));
  if (data === "missing") return <>{otherwise}</>;
  return <>{data && children(data)}</>;
}

/** In place of a file that cannot be fetched, for example because a deployment has replaced it. */
export function Outdated({ title }: { title: string }) {
  return (
    <Page title={title}>
      <Alert problem={{ code: navigator.onLine ? "outdated" : "offline" }}>
        <Button onClick={() => location.reload()}>{s.errors.reload}</Button>
      </Alert>
    </Page>
  );
}

/** A notice. */
export function Notice({ action, children }: Children & { action?: ComponentChildren }) {
  return (
    <div class="notice">
      <p role="status">{children}</p>
      {action}
    </div>
  );
}

/** The id of a user who has set a password that is in a data breach. */
let breached: string | undefined;
let showBreach = (_user: string | undefined) => {};

/** Shows the notice if the password that a user has set is in a data breach; otherwise removes it. */
export function noteBreach({ id, password_breached }: UserWithNewPassword) {
  breached = password_breached ? id : undefined;
  showBreach(breached);
}

/** The notice that the password is in a data breach. It stays until the user sets another one. */
export function BreachNotice({ user }: { user: User }) {
  const [shown, show] = useState(breached);
  showBreach = show;
  if (shown !== user.id) return null;
  return <Notice action={<Link to="password">{s.password.submit}</Link>}>{s.password.breached}</Notice>;
}

/** The placeholder for content that is loading or could not be loaded. */
export function Pending({
  problem,
  reload,
  isBusy,
  rows = 3,
}: {
  problem: Problem | undefined;
  reload: () => void;
  isBusy: boolean;
  rows?: number;
}) {
  const isLate = useDelayed(!problem);
  if (problem) {
    return (
      <div class="pending">
        <Alert problem={problem} isBusy={isBusy} retry={reload} />
      </div>
    );
  }
  return (
    <div class="pending" role="status">
      <span class="hidden">{s.loading}</span>
      {isLate &&
        Array.from({ length: rows }, (_, row) => (
          <div class="skeleton" key={row} aria-hidden="true">
            <span />
            <span />
          </div>
        ))}
    </div>
  );
}

export function Badge({ kind = "plain", children }: Children & { kind?: "plain" | "accent" | "danger" }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

/** Whether the address of a user is verified. */
export function Verification({ of: { email_verified } }: { of: User }) {
  return email_verified ? <Badge kind="accent">{s.verified}</Badge> : <Badge>{s.notVerified}</Badge>;
}

/** An item of a list: an icon, a title, details and an action. */
export function Item({
  icon,
  tone = "plain",
  title,
  titleId,
  badge,
  action,
  children,
}: Children & {
  icon: IconName;
  tone?: "plain" | "warn";
  title: ComponentChildren;
  titleId?: string;
  badge?: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <li class="item">
      <span class={`item-icon ${tone}`}>
        <Icon name={icon} />
      </span>
      <div class="item-text">
        <p class="item-title">
          <span id={titleId}>{title}</span> {badge}
        </p>
        {children}
      </div>
      {action}
    </li>
  );
}

export function Empty({ icon, children }: Children & { icon: IconName }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <p>{children}</p>
    </div>
  );
}

/** A time: relative in the text, complete in the tooltip. It replaces `{when}` in `text`. */
export function Time({
  at,
  text = "{when}",
  format = ago,
}: {
  at: number;
  text?: string;
  format?: (at: number) => string;
}) {
  return (
    <time dateTime={iso(at)} title={moment(at)}>
      {fill(text, { when: format(at) })}
    </time>
  );
}

/**
 * A modal dialog. It keeps the focus inside, and returns it when it closes. Without `onClose`, only what is in the dialog ends it.
 */
export function Dialog({ title, onClose, children }: Children & { title: string; onClose?: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click outside closes it, and so does Escape
    <dialog
      ref={dialog}
      aria-labelledby={id}
      // Escape closes it in any case.
      onClose={onClose ?? (() => dialog.current?.showModal())}
      onClick={(event) => event.target === dialog.current && onClose?.()}
    >
      <div class="dialog">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

let show = (_text: string) => {};

/** Shows a short confirmation, which screen readers announce. */
export const announce = (text: string) => show(text);

export function Announcements() {
  const [text, setText] = useState("");
  show = setText;
  useEffect(() => {
    if (text === "") return;
    const timer = setTimeout(() => setText(""), 5_000);
    return () => clearTimeout(timer);
  }, [text]);
  // The region exists before its text. Otherwise, screen readers would not announce it.
  return (
    <div class="announcements" role="status">
      {text && (
        <p>
          <Icon name="check" />
          {text}
        </p>
      )}
    </div>
  );
}
