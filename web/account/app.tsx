// The current view and its frame.

import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { fill, named, s } from "../strings/index.ts";
import { client, returnTo, type User } from "../ui/auth.ts";
import { Alert, Announcements, Brand, BreachNotice, Button, Link, Page } from "../ui/basics.tsx";
import { forgetDrafts } from "../ui/form.tsx";
import { type Action, useAction, useLoad, useOnline } from "../ui/hooks.ts";
import { Icon, type IconName } from "../ui/icons.tsx";
import { navigate, type Route, useRoute } from "../ui/router.ts";
import { suspended } from "../ui/sign-in.ts";
import { StepUpDialog } from "../ui/step-up-dialog.tsx";
import { ActivityView } from "./views/activity.tsx";
import { ConfirmView } from "./views/confirm.tsx";
import { EmailView } from "./views/email.tsx";
import { FactorView } from "./views/factor.tsx";
import { LoginView } from "./views/login.tsx";
import { CodeLoginView, ForgotView } from "./views/mail.tsx";
import { PasskeyOffer, Review } from "./views/offers.tsx";
import { PasswordView } from "./views/password.tsx";
import { ProfileView } from "./views/profile.tsx";
import { RegisterView } from "./views/register.tsx";
import { SecurityView } from "./views/security.tsx";
import { SessionsView } from "./views/sessions.tsx";

/** The properties of a view for a signed-in user. */
export interface ViewProps {
  user: User;
  route: Route;
}

/** The views for a signed-in user, and the names and icons of those in the navigation. */
const VIEWS: Record<string, [ComponentType<ViewProps>, keyof typeof s.nav, IconName]> = {
  profile: [ProfileView, "profile", "user"],
  email: [EmailView, "profile", "user"],
  password: [PasswordView, "password", "lock"],
  security: [SecurityView, "security", "shield"],
  sessions: [SessionsView, "sessions", "computer"],
  activity: [ActivityView, "activity", "pulse"],
  stats: [AdminView, "stats", "chart"],
  admin: [AdminView, "admin", "users"],
};

/** The views for administrators. */
const FOR_ADMINS = ["stats", "admin"];

/** The view that a view without an item in the navigation belongs to. */
const WITHIN: Record<string, string> = { email: "profile" };

function useClientState() {
  const [state, setState] = useState(client.state);
  useEffect(() => client.onChange(setState), []);
  return state;
}

export function App() {
  return (
    <>
      <Offline />
      <Current />
      <Announcements />
    </>
  );
}

function Current() {
  const route = useRoute();
  const { status, user, reason } = useClientState();
  const step = suspended.use();
  const logout = useAction(() => client.logout());
  const isEntrance = ["", "login", "register", "code"].includes(route.view);
  // These are the same whether somebody is signed in or not.
  const isForAll = ["confirm", "forgot"].includes(route.view);
  const wanted = route.query.get("return_to");
  const back = useMemo(() => returnTo(wanted), [wanted]);
  const isLeaving = status === "signed_in" && isEntrance && back !== undefined && !step;

  useEffect(() => {
    if (step) return;
    if (isLeaving) location.replace(back);
    else if (status === "signed_in" && isEntrance) navigate("profile", { replace: true });
    else if (status === "signed_out" && (route.view === "" || (reason === "signed_out" && !isEntrance && !isForAll)))
      navigate(`login${location.search}`, { replace: true });
    // The next login may be that of another user.
    if (status === "signed_out" && reason === "signed_out") forgetDrafts();
  }, [status, route.view, isLeaving, step]);

  if (step) {
    return (
      <Outside>
        <FactorView step={step} />
      </Outside>
    );
  }
  if (isLeaving) {
    return (
      <Outside>
        <p class="returning" role="status">
          <span class="spinner" aria-hidden="true" />
          {fill(s.returning, { host: back.host })}
        </p>
      </Outside>
    );
  }
  if (isForAll && status !== "loading") {
    return (
      <Outside>
        {route.view === "forgot" ? <ForgotView route={route} back={back} /> : <ConfirmView user={user} />}
      </Outside>
    );
  }
  if (status === "signed_in") {
    if (isEntrance) return null;
    return (
      <Inside user={user} view={route.view} logout={logout}>
        <View user={user} route={route} />
        <StepUpDialog user={user} />
      </Inside>
    );
  }
  if (status !== "signed_out") return null;
  // The login form is shown at the requested address, so that the user continues there.
  return (
    <Outside>
      {route.view === "register" ? (
        <RegisterView route={route} back={back} />
      ) : route.view === "code" ? (
        <CodeLoginView route={route} back={back} />
      ) : (
        <LoginView back={back} reason={reason} logout={logout} />
      )}
    </Outside>
  );
}

function View({ user, route }: ViewProps) {
  const [Content] = named(VIEWS, route.view) ?? [];
  if (Content === undefined) {
    return (
      <Page title={s.notFound.title} lead={s.notFound.text}>
        <p>
          <Link to="profile" class="button plain">
            {s.notFound.home}
          </Link>
        </p>
      </Page>
    );
  }
  // Another account starts with empty forms.
  return <Content key={`${user.id} ${route.view}`} user={user} route={route} />;
}

/** The admin pages are a file of their own, which only administrators fetch. */
function AdminView(props: ViewProps) {
  const loaded = useLoad(() => import("../admin/admin.tsx").catch(() => "outdated" as const));
  if (loaded.data === "outdated") {
    return (
      <Page title={props.route.view === "stats" ? s.stats.title : s.admin.title}>
        <Alert problem={{ code: navigator.onLine ? "outdated" : "offline" }}>
          <Button onClick={() => location.reload()}>{s.errors.reload}</Button>
        </Alert>
      </Page>
    );
  }
  return loaded.data ? <loaded.data.Admin {...props} /> : null;
}

function Offline() {
  const isOnline = useOnline();
  return (
    <div class="offline" role="status">
      {!isOnline && <p>{s.offline}</p>}
    </div>
  );
}

/** The frame of views without a signed-in user. */
function Outside({ children }: { children: ComponentChildren }) {
  return (
    <main class="outside">
      <div class="panel">
        <Brand />
        {children}
      </div>
    </main>
  );
}

/** The frame of views for a signed-in user. */
function Inside({
  user,
  view,
  logout,
  children,
}: {
  user: User;
  view: string;
  logout: Action<[]>;
  children: ComponentChildren;
}) {
  const items = Object.entries(VIEWS).filter(
    ([name]) => !(name in WITHIN) && (!FOR_ADMINS.includes(name) || user.roles.includes("admin")),
  );
  const current = named(WITHIN, view) ?? view;
  const nav = useRef<HTMLElement>(null);
  // Scrolls the item of this view into sight on narrow screens.
  useLayoutEffect(() => {
    const list = nav.current;
    const item = list?.querySelector<HTMLElement>("[aria-current]");
    // scrollIntoView would also change where Tab continues.
    if (list && item) list.scrollLeft = item.offsetLeft - (list.clientWidth - item.offsetWidth) / 2;
  }, [view]);
  return (
    <>
      <a class="skip" href="#main">
        {s.skip}
      </a>
      <div class="inside">
        <header class="top">
          <Brand />
          <p class="who" title={user.email}>
            {user.name ?? user.email}
          </p>
          <Button onClick={logout.run} isBusy={logout.isBusy}>
            {s.nav.logout}
          </Button>
        </header>
        <nav ref={nav} aria-label={s.nav.label}>
          <ul>
            {items.map(([name, [, label, icon]]) => (
              <li key={name}>
                <Link to={name} current={name === current}>
                  <Icon name={icon} />
                  {s.nav[label]}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <main id="main" tabIndex={-1}>
          <BreachNotice user={user} />
          <Review view={view} />
          {view !== "security" && <PasskeyOffer user={user} />}
          {children}
        </main>
      </div>
    </>
  );
}
