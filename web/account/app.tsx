// The current view and its frame.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { fill, s } from "../strings/index.ts";
import { client, returnTo } from "../ui/auth.ts";
import { Announcements, Brand, FromFile, Outdated } from "../ui/basics.tsx";
import { forgetDrafts } from "../ui/form.tsx";
import { type Action, useAction, useOnline } from "../ui/hooks.ts";
import { navigate, useRoute } from "../ui/router.ts";
import { suspended } from "../ui/sign-in.ts";
import type { ViewProps } from "./inside.tsx";
import { LoginView } from "./views/login.tsx";
import { CodeLoginView, ForgotView } from "./views/mail.tsx";
import { RegisterView } from "./views/register.tsx";

// Files of their own, which the login page does not wait for.
export const loadInside = () => import("./inside.tsx");
const loadFactor = () => import("./views/factor.tsx");
const loadConfirm = () => import("./views/confirm.tsx");

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
        <FromFile load={loadFactor} otherwise={<Outdated title={s.brand} />}>
          {({ FactorView }) => <FactorView step={step} />}
        </FromFile>
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
        {route.view === "forgot" ? (
          <ForgotView route={route} back={back} />
        ) : (
          <FromFile load={loadConfirm} otherwise={<Outdated title={s.brand} />}>
            {({ ConfirmView }) => <ConfirmView user={user} />}
          </FromFile>
        )}
      </Outside>
    );
  }
  if (status === "signed_in") {
    return isEntrance ? null : <SignedIn user={user} route={route} logout={logout} />;
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

function SignedIn(props: ViewProps & { logout: Action<[]> }) {
  const missing = (
    <Outside>
      <Outdated title={s.brand} />
    </Outside>
  );
  return (
    <FromFile load={loadInside} otherwise={missing}>
      {({ Inside }) => <Inside {...props} />}
    </FromFile>
  );
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
