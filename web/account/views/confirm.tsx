// The page that the links of mails open. Opening it, and every button that needs no input, spends nothing: scanners of mail open links
// and press buttons. What spends the token needs a password, a session or a challenge of this browser.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import type { MailLink } from "../../../packages/client/src/index.ts";
import { PortcullisError } from "../../../packages/client/src/index.ts";
import { fill, s } from "../../strings/index.ts";
import { askedFor, setAsked } from "../../ui/asked.ts";
import { client, config, returnTo, type User } from "../../ui/auth.ts";
import { Alert, Button, Link, Page, Pending } from "../../ui/basics.tsx";
import { CodeField } from "../../ui/code.tsx";
import { Field, Form, LoginName, PasswordField, Submit, useForm } from "../../ui/form.tsx";
import { useAction, useLoad } from "../../ui/hooks.ts";
import { forgetLink, type OpenedLink, useLink } from "../../ui/link.ts";
import { navigate } from "../../ui/router.ts";
import { signIn } from "../../ui/sign-in.ts";
import { device, moment } from "../../ui/text.ts";
import { queryOf } from "./login.tsx";
import { passwordIsSet } from "./mail.tsx";
import { useRemember } from "./remember.tsx";

interface LinkProps {
  token: string;
  link: MailLink;
  user: User | null;
  /** Whether the link is that for a registration by somebody else. */
  disowns: boolean;
  /** Shows what was done, instead of the form. */
  finish: (done: Done) => void;
}

interface Done {
  title: string;
  text: string;
}

const isSame = (a: string, b: string) => a.trim().toLowerCase() === b.trim().toLowerCase();
/** The address to return to, if this browser asked for the mail. */
const backOf = (token: string) => returnTo(askedFor(token)?.back ?? null);

export function ConfirmView({ user }: { user: User | null }) {
  const opened = useLink();
  const [finished, setFinished] = useState<{ opened: OpenedLink; done: Done }>();
  if (finished && finished.opened === opened) return <Finished done={finished.done} user={user} />;
  if (opened === undefined) {
    return (
      <Page title={s.link.missingTitle} lead={s.link.missing}>
        <Ways />
      </Page>
    );
  }
  const end = (done: Done) => {
    forgetLink();
    setFinished({ opened, done });
  };
  const { token, disowns } = opened;
  return <Opened key={`${disowns} ${token}`} token={token} disowns={disowns} user={user} finish={end} />;
}

function Opened(props: Omit<LinkProps, "link">) {
  const loaded = useLoad(() => client.readMailLink(props.token), props.token);
  const link = loaded.data;
  if (loaded.problem?.code === "invalid_code") {
    return (
      <Page title={s.link.deadTitle} lead={s.link.dead}>
        <Ways />
      </Page>
    );
  }
  if (!link) return <Pending {...loaded} />;
  const View = VIEWS[link.purpose as keyof typeof VIEWS] ?? NewPassword;
  return <View {...props} link={link} />;
}

/** What to do without a link that works. */
function Ways() {
  return (
    <div class="ways">
      <Link to="login" class="button primary wide">
        {s.login.submit}
      </Link>
      {config.mail && (
        <Link to="forgot" class="button plain wide">
          {s.link.newMail}
        </Link>
      )}
    </div>
  );
}

function Finished({ done, user }: { done: Done; user: User | null }) {
  return (
    <Page title={done.title} lead={done.text}>
      <Link to={user ? "profile" : "login"} class="button primary wide">
        {user ? s.notFound.home : s.forgot.logIn}
      </Link>
    </Page>
  );
}

/** Which request caused the mail, so that its reader sees whether it was their own. An invitation is somebody else's. */
function Request({ link: { purpose, email, requested_at, ip, user_agent } }: { link: MailLink }) {
  if (purpose === "invite") return null;
  const rows: [string, ComponentChildren][] = [
    [s.link.time, moment(requested_at)],
    [s.link.browser, user_agent && device(user_agent).name],
    [s.link.place, ip],
  ];
  return (
    <div class="request">
      <p class="value">{email}</p>
      <dl>
        {rows
          .filter(([, value]) => value)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </div>
  );
}

function NewPassword({ token, link }: LinkProps) {
  const isInvitation = link.purpose === "invite";
  const form = useForm(
    "new password",
    { new_password: "" },
    async ({ new_password = "" }) => {
      const back = backOf(token);
      const reset = await client.resetPassword({ token, new_password });
      forgetLink();
      setAsked("reset", undefined);
      passwordIsSet(reset, back);
    },
    ["new_password"],
  );
  return (
    <Page
      title={isInvitation ? s.link.inviteTitle : s.forgot.title}
      lead={isInvitation ? fill(s.link.invite, { email: link.email }) : s.link.reset}
    >
      <Form form={form}>
        <LoginName value={link.email} />
        <PasswordField name="new_password" label={s.fields.newPassword} isNew />
        <Submit isWide>{s.forgot.submit}</Submit>
      </Form>
      <Request link={link} />
    </Page>
  );
}

/** A signed-in user confirms with a button, anybody else with the password: the mailbox alone proves too little. */
function Verify({ token, link, user, disowns, finish }: LinkProps) {
  const [isDisowning, setDisowning] = useState(disowns);
  const isRegistration = link.purpose === "register";
  const isOwn = user !== null && isSame(user.email, link.email);
  const needsPassword = isRegistration || !isOwn;
  const [remember, box] = useRemember();
  const form = useForm(
    "verify",
    { password: "" },
    async ({ password = "" }) => {
      await client.verifyEmail(needsPassword ? { token, password } : { token });
      setAsked("register", undefined);
      setAsked("verify", undefined);
      const back = backOf(token);
      finish({ title: s.link.verifiedTitle, text: fill(s.link.verified, { email: link.email }) });
      if (user || !needsPassword) return;
      await signIn(() => client.login({ email: link.email, password, ...remember }));
      navigate(`login${queryOf(back)}`, { replace: true });
    },
    needsPassword ? ["password"] : [],
  );
  if (isDisowning && !isRegistration) return <Foreign />;
  if (isDisowning) return <Disown token={token} link={link} finish={finish} cancel={() => setDisowning(false)} />;
  return (
    <Page
      title={isRegistration ? s.link.registerTitle : s.link.verifyTitle}
      lead={isRegistration ? s.link.register : needsPassword ? s.link.verifyByPassword : s.link.verify}
    >
      <Form form={form}>
        {needsPassword && (
          <>
            <LoginName value={link.email} />
            <PasswordField name="password" label={s.fields.password} />
            {!user && box}
          </>
        )}
        <Submit isWide>{s.link.verifySubmit}</Submit>
      </Form>
      <Request link={link} />
      {isRegistration && (
        <div class="again">
          <p class="hint">{s.link.notMineHint}</p>
          <Button onClick={() => setDisowning(true)}>{s.link.notMine}</Button>
        </div>
      )}
    </Page>
  );
}

/** An account with somebody else's address, whose registration was not delayed by the code. */
function Foreign() {
  return (
    <Page title={s.link.foreignTitle} lead={s.link.foreign}>
      <Link to="forgot" class="button plain wide">
        {s.link.newMail}
      </Link>
    </Page>
  );
}

/** Deletes a registration with somebody else's address. It asks for the code, so that no scanner does. */
function Disown({
  token,
  link,
  finish,
  cancel,
}: Pick<LinkProps, "token" | "link" | "finish"> & { cancel: () => void }) {
  const form = useForm(
    "disown",
    { code: "" },
    async ({ code = "" }) => {
      await client.disownRegistration({ token, code });
      finish({ title: s.link.disownedTitle, text: fill(s.link.disowned, { email: link.email }) });
    },
    ["code"],
  );
  return (
    <Page title={s.link.disownTitle} lead={fill(s.link.disown, { email: link.email })}>
      <Form form={form}>
        <CodeField />
        <Submit kind="danger" isWide>
          {s.link.disownSubmit}
        </Submit>
      </Form>
      <div class="again">
        <Button onClick={cancel}>{s.cancel}</Button>
      </div>
    </Page>
  );
}

/** Signs in only in the browser that asked for the mail. In any other, whoever reads the code is told who asked for it. */
function LogIn({ token, link: { code = "", ...link } }: LinkProps) {
  const challenge = askedFor(token)?.challenge;
  const [remember, box] = useRemember();
  const login = useAction(async () => {
    if (challenge === undefined) return;
    const back = backOf(token);
    await signIn(() => client.finishEmailLogin({ challenge, code, ...remember }));
    forgetLink();
    setAsked("login", undefined);
    navigate(`login${queryOf(back)}`, { replace: true });
  });
  // With EMAIL_LOGIN off, the code is needed beside the password, on the page of the login.
  if (challenge === undefined || !config.email_login) {
    return (
      <Page title={s.link.codeTitle} lead={s.link.code}>
        <p class="shown-code">{code}</p>
        <Request link={link} />
        <p class="hint">{s.link.codeWarning}</p>
      </Page>
    );
  }
  return (
    <Page title={s.login.title} lead={fill(s.link.login, { email: link.email })}>
      {login.problem && <Alert problem={login.problem} />}
      <div class="ways">
        {box}
        <Button kind="primary" isWide isBusy={login.isBusy} onClick={login.run}>
          {s.login.submit}
        </Button>
      </div>
      <Request link={link} />
    </Page>
  );
}

/** Cancels a change of address. It asks for the address, so that no scanner does. Only notices to the old address have this link. */
function Cancel({ token, link, finish }: LinkProps) {
  const form = useForm(
    "cancel change",
    { email: "" },
    async ({ email = "" }) => {
      if (!isSame(email, link.email)) throw new PortcullisError(422, "other_email", "");
      await client.cancelEmailChange({ token });
      finish({ title: s.link.cancelledTitle, text: fill(s.link.cancelled, { email: link.email }) });
    },
    ["email"],
  );
  return (
    <Page title={s.link.cancelTitle} lead={s.link.cancel}>
      <Form form={form}>
        <Field name="email" label={s.fields.email} type="email" autocomplete="username" inputMode="email" />
        <Submit isWide>{s.link.cancelSubmit}</Submit>
      </Form>
    </Page>
  );
}

const VIEWS = {
  reset: NewPassword,
  invite: NewPassword,
  verify: Verify,
  register: Verify,
  login: LogIn,
  change: Cancel,
};
