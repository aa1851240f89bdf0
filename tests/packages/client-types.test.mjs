// The types of the client as packed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { path } from "../../scripts/lib.mjs";
import { installed } from "../support/installed.mjs";
import { problemsOf, typesOfDocument } from "../support/typescript.mjs";

const OPTIONS = {
  ...{ noEmit: true, strict: true, target: "es2022", lib: ["es2022", "dom"], types: [] },
  ...{ module: "nodenext", moduleResolution: "nodenext" },
};

let client;
before(async () => (client = await installed("client")));
after(() => client?.remove());

test("the types accept right calls and refuse wrong ones", () => {
  const source = `
    import { createClient, PortcullisError, type State, type User } from "@portcullis/client";
    const auth = createClient({ url: "https://auth.example.com", mode: "storage", storage: localStorage });
    const remove: () => void = auth.onChange((state: State) => {
      if (state.status === "signed_in") state.user.email.toUpperCase();
      // @ts-expect-error nobody is signed in
      else state.user.email;
    });
    export async function run(): Promise<User | null> {
      await auth.login({ username: "ada", password: "…", remember: false });
      // @ts-expect-error who?
      await auth.login({ password: "…" });
      // @ts-expect-error no such mode
      createClient({ url: "", mode: "session" });
      const registered = await auth.register({ email: "ada@example.org", password: "…" });
      if (registered.id === undefined) registered.challenge.toUpperCase();
      else registered.email.toUpperCase();
      await auth.resetPassword({ token: "…", new_password: "…" });
      // @ts-expect-error a code without its challenge
      await auth.resetPassword({ code: "…", new_password: "…" });
      await auth.deleteMe();
      // @ts-expect-error what proves it?
      await auth.completeLogin({ mfa_token: "…" });
      await auth.completeLogin({ mfa_token: "…", passkey: true });
      const { recovery_codes } = await auth.mfa.confirmTotp({ code: "123456" });
      recovery_codes[0]?.toUpperCase();
      // @ts-expect-error no such mediation
      await auth.passkeys.login({ mediation: "silent" });
      const { sessions, next_cursor } = await auth.sessions({ limit: 10 });
      sessions[0]?.current satisfies boolean | undefined;
      next_cursor satisfies string | null;
      await auth.updateMe({ name: null, metadata: { theme: "dark" } });
      const { status } = await auth.fetch(new URL("https://auth.example.com/me"), { method: "GET" });
      status satisfies number;
      await auth.request<{ events: unknown[] }>("GET", "/me/events").then(({ events }) => events.length);
      try {
        await auth.me();
      } catch (error) {
        if (error instanceof PortcullisError) error.retryAfter?.toFixed();
        if (error instanceof PortcullisError) error.methods?.includes("code");
      }
      remove();
      return auth.restore();
    }`;
  assert.equal(problemsOf(prepare(source), OPTIONS), "");
  compile(source, { module: "esnext", moduleResolution: "bundler" });
});

test("the types are those of the OpenAPI document", async () => {
  copyFileSync(join(await typesOfDocument(), "document.ts"), join(client.folder, "document.ts"));
  compile(`
    import type {
      Challenge, Changes, Client, Credentials, LoginMailTarget, MailLink, MailTarget, Me, MfaStatus, Passkey, PasswordReset,
      Registration, SessionInfo, TotpEnrolment, User,
    } from "@portcullis/client";
    import type { TokenResponse } from "./node_modules/@portcullis/client/dist/types.js";
    import type { components, paths } from "./document.js";

    type Document = components["schemas"];
    // An optional member that is missing on one side is only seen in the keys.
    type Same<A, B> = [A, keyof A] extends [B, keyof B] ? ([B, keyof B] extends [A, keyof A] ? true : false) : false;
    type Argument<Method extends keyof Client> = Client[Method] extends (argument: infer A) => unknown ? A : never;
    type Result<Method extends keyof Client> = Client[Method] extends (...all: never[]) => Promise<infer R> ? R : never;
    type Sent<Body> = Omit<Body, "transport" | "remember" | "device_token">;
    type KeyOfAny<Union> = Union extends unknown ? keyof Union : never;

    const same: true[] = [
      true satisfies Same<User, Document["User"]>,
      true satisfies Same<Me, Document["Me"]>,
      true satisfies Same<SessionInfo, Document["Session"]>,
      true satisfies Same<TokenResponse, Document["TokenResponse"]>,
      true satisfies Same<Registration, Sent<Document["RegisterRequest"]>>,
      true satisfies Same<Changes, Document["UpdateMeRequest"]>,
      true satisfies Same<Argument<"changePassword">, Document["ChangePasswordRequest"]>,
      true satisfies Same<Result<"sessions">, Document["SessionList"]>,
      true satisfies Same<KeyOfAny<Credentials>, keyof Sent<Document["LoginRequest"]>>,
      true satisfies Same<Challenge, Document["ChallengeResponse"]>,
      true satisfies Same<MailLink, Document["MailLinkResponse"]>,
      true satisfies Same<PasswordReset, Omit<Document["ResetPasswordResponse"], "device_token">>,
      true satisfies Same<KeyOfAny<MailTarget>, keyof Sent<Document["MailRequest"]>>,
      true satisfies Same<KeyOfAny<LoginMailTarget>, keyof Sent<Document["EmailLoginRequest"]>>,
      true satisfies Same<Passkey, Document["Passkey"]>,
      true satisfies Same<MfaStatus, Document["MfaResponse"]>,
      true satisfies Same<TotpEnrolment, Document["TotpResponse"]>,
      true satisfies Same<keyof Argument<"stepUp">, keyof Omit<Document["StepUpRequest"], "credential"> | "passkey" | "signal">,
      true satisfies Same<KeyOfAny<Argument<"completeLogin">>, keyof Omit<Document["LoginMfaRequest"], "credential" | "device_token"> | "passkey" | "signal">,
      true satisfies Same<KeyOfAny<Argument<"resetPassword">>, keyof Document["ResetPasswordRequest"]>,
      true satisfies Same<keyof Argument<"finishEmailLogin">, keyof Omit<Document["EmailLoginVerifyRequest"], "transport" | "device_token">>,
      true satisfies Same<KeyOfAny<Argument<"verifyEmail">>, keyof Document["VerifyEmailRequest"]>,
      true satisfies Same<KeyOfAny<Argument<"disownRegistration">>, keyof Document["DisownRequest"]>,
      true satisfies Same<Argument<"changeEmail">, Document["ChangeEmailRequest"]>,
      true satisfies Same<KeyOfAny<Argument<"confirmEmailChange">>, keyof Document["ConfirmEmailRequest"]>,
      true satisfies Credentials extends Document["LoginRequest"] ? true : false,
    ];
    export type Used = [
      paths["/register" | "/login" | "/refresh" | "/logout" | "/revoke" | "/me/password"]["post"],
      paths["/password/forgot" | "/password/reset" | "/login/email" | "/login/email/verify"]["post"],
      paths["/email/verify" | "/email/verify/send" | "/email/link" | "/email/disown"]["post"],
      paths["/me/email" | "/me/email/confirm" | "/me/email/cancel"]["post"],
      paths["/me"]["get" | "patch" | "delete"],
      paths["/sessions"]["get" | "delete"],
      paths["/sessions/{id}"]["delete"],
      paths["/login/mfa" | "/login/mfa/options" | "/me/step-up" | "/me/mfa/totp/confirm" | "/me/mfa/recovery-codes"]["post"],
      paths["/me/mfa"]["get"],
      paths["/me/mfa/totp"]["post" | "delete"],
      paths["/passkeys/options" | "/passkeys/login" | "/register/passkey/options" | "/register/passkey"]["post"],
      paths["/me/passkeys/options"]["post"],
      paths["/me/passkeys"]["get" | "post"],
      paths["/me/passkeys/{id}"]["patch" | "delete"],
    ];
    export default same;`);
});

/** Writes a program beside the installed package. Returns its path. */
function prepare(source) {
  writeFileSync(join(client.folder, "package.json"), '{"type": "module"}');
  const file = join(client.folder, "consumer.ts");
  writeFileSync(file, source);
  return file;
}

/** Compiles a program beside the installed package, with TypeScript 7. */
function compile(source, { module = "nodenext", moduleResolution = module } = {}) {
  prepare(source);
  const compilerOptions = { ...OPTIONS, skipDefaultLibCheck: true, module, moduleResolution };
  writeFileSync(join(client.folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  const { status, stdout } = spawnSync(path("node_modules", ".bin", "tsc"), [], {
    cwd: client.folder,
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout);
}
