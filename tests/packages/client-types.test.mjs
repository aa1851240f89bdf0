// The types of the client as packed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { path } from "../../scripts/lib.mjs";
import { installed } from "../support/installed.mjs";

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
      // @ts-expect-error the password is missing
      await auth.deleteMe({});
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
      }
      remove();
      return auth.restore();
    }`;
  for (const [module, resolution] of [
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ]) {
    compile(source, module, resolution);
  }
});

/** Compiles TypeScript beside the installed package. */
function compile(source, module = "nodenext", moduleResolution = module) {
  const lib = ["es2022", "dom"];
  const compilerOptions = { noEmit: true, strict: true, target: "es2022", lib, types: [], module, moduleResolution };
  writeFileSync(join(client.folder, "package.json"), '{"type": "module"}');
  writeFileSync(join(client.folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  writeFileSync(join(client.folder, "consumer.ts"), source);
  const { status, stdout } = spawnSync(path("tests", "node_modules", ".bin", "tsc"), [], {
    cwd: client.folder,
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout);
}
