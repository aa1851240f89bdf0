// The views for a signed-in user and their frame.

import type { ComponentType } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { named, s } from "../strings/index.ts";
import type { User } from "../ui/auth.ts";
import { Brand, BreachNotice, Button, FromFile, Link, Outdated, Page } from "../ui/basics.tsx";
import type { Action } from "../ui/hooks.ts";
import { Icon, type IconName } from "../ui/icons.tsx";
import type { Route } from "../ui/router.ts";
import { StepUpDialog } from "../ui/step-up-dialog.tsx";
import { ActivityView } from "./views/activity.tsx";
import { EmailView } from "./views/email.tsx";
import { PasskeyOffer, Review } from "./views/offers.tsx";
import { PasswordView } from "./views/password.tsx";
import { ProfileView } from "./views/profile.tsx";
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

/** A view for a signed-in user in its frame. */
export function Inside({ user, route, logout }: ViewProps & { logout: Action<[]> }) {
  const { view } = route;
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
          <View user={user} route={route} />
          <StepUpDialog user={user} />
        </main>
      </div>
    </>
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
  const title = props.route.view === "stats" ? s.stats.title : s.admin.title;
  return (
    <FromFile load={() => import("../admin/admin.tsx")} otherwise={<Outdated title={title} />}>
      {({ Admin }) => <Admin {...props} />}
    </FromFile>
  );
}
