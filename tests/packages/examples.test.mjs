// The examples of docs/guides/browser.md, built as their readers build them, in Chromium with the Worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";

import { build } from "esbuild";
import { compile } from "svelte/compiler";
import { compileScript, parse } from "vue/compiler-sfc";

import { path, read } from "../../scripts/lib.mjs";
import { launch, relayed, servePages, skip } from "../support/browser.mjs";
import { ISSUER, PASSWORD, startWorker } from "../support/harness.mjs";
import { installed } from "../support/installed.mjs";

let worker, server, pages, browser, packed, client;
before(async () => {
  if (skip) return;
  packed = await installed("client");
  client = join(packed.folder, "node_modules", "@portcullis", "client", "dist", "index.js");
  worker = await startWorker();
  pages = await servePages({});
  server = await relayed(worker, { ALLOWED_ORIGINS: pages.origin, COOKIE_MODE: "refresh" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all([server?.close(), pages?.close(), worker?.close()]);
  packed?.remove();
});

/** What compiles the components of a framework: an esbuild plugin. */
const components = (filter, compileComponent) => ({
  name: "components",
  setup: (building) =>
    building.onLoad({ filter }, (file) => ({
      contents: compileComponent(readFileSync(file.path, "utf8"), file.path),
      loader: "js",
    })),
});

const svelte = components(/\.svelte$/, (source, filename) => compile(source, { filename, dev: false }).js.code);

const vue = components(/\.vue$/, (source, filename) => {
  const { descriptor, errors } = parse(source, { filename });
  assert.deepEqual(errors, []);
  return compileScript(descriptor, { id: basename(filename), inlineTemplate: true }).content;
});

/** The page and the script of an example, which knows another address of the Worker. */
async function built(name, entry, plugins = []) {
  const { outputFiles } = await build({
    entryPoints: [path("examples", "browser", name, entry)],
    bundle: true,
    format: "esm",
    write: false,
    jsx: "automatic",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"', __VUE_OPTIONS_API__: "false", __VUE_PROD_DEVTOOLS__: "false" },
    nodePaths: [path("tests", "node_modules")],
    alias: { "@portcullis/client": client },
    conditions: ["browser"],
    plugins,
    logLevel: "silent",
  });
  return {
    [`/${name}/`]: '<!doctype html><div id="app"></div><script type="module" src="./main.js"></script>',
    [`/${name}/main.js`]: outputFiles[0].text.replaceAll(ISSUER, server.url),
  };
}

const EXAMPLES = {
  // Without a build: the browser resolves the import.
  plain: () => ({
    "/plain/": read("examples/browser/plain/index.html"),
    "/plain/main.js": read("examples/browser/plain/main.js").replaceAll(ISSUER, server.url),
    "/plain/client.js": readFileSync(client, "utf8"),
  }),
  react: () => built("react", "main.jsx"),
  vue: () => built("vue", "main.js", [vue]),
  svelte: () => built("svelte", "main.js", [svelte]),
};

test("the examples are on their page", () => {
  const page = read("docs/guides/browser.md");
  const shown = [
    "plain/index.html",
    "plain/main.js",
    "react/auth.js",
    "react/App.jsx",
    "vue/App.vue",
    "svelte/App.svelte",
  ];
  for (const file of shown)
    assert.ok(page.includes(`\`\`\`${file.split(".")[1]}\n${read(`examples/browser/${file}`)}\`\`\``), file);
  for (const name of ["vue", "svelte"])
    assert.equal(read(`examples/browser/${name}/auth.js`), read("examples/browser/react/auth.js"));
});

describe("the example", { skip }, () => {
  for (const [name, files] of Object.entries(EXAMPLES)) {
    test(`${name} registers, keeps the user signed in over a reload, logs out and logs in`, async () => {
      Object.assign(pages.files, await files());
      const context = await browser.newContext();
      context.setDefaultTimeout(10_000);
      const page = await context.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(error.message));
      const email = `${name}@example.org`;
      const submit = async (button, password) => {
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Password").fill(password);
        await page.getByRole("button", { name: button }).click();
      };
      const signedIn = () => page.getByText(`Signed in as ${email}`).waitFor();
      const logOut = async () => {
        await page.getByRole("button", { name: "Log out" }).click();
        await page.getByRole("button", { name: "Register" }).waitFor();
      };

      await page.goto(`${pages.origin}/${name}/`);
      await submit("Register", PASSWORD);
      await signedIn();
      await page.reload();
      await signedIn();
      await logOut();
      await page.reload();
      await submit("Log in", "not the password");
      await page.getByRole("alert").filter({ hasText: "." }).waitFor();
      await submit("Log in", PASSWORD);
      await signedIn();

      // A second tab is signed out with the first.
      const second = await context.newPage();
      await second.goto(`${pages.origin}/${name}/`);
      await second.getByText(`Signed in as ${email}`).waitFor();
      await logOut();
      await second.getByRole("button", { name: "Log in" }).waitFor();

      // A page that finds its session ended says so.
      await submit("Log in", PASSWORD);
      await signedIn();
      const { access_token } = (await worker.login({ email, password: PASSWORD })).body;
      await worker.delete("/sessions", { bearer: access_token });
      await page.reload();
      await page.getByText("Your session has expired.").waitFor();
      assert.deepEqual(errors, []);
      await context.close();
    });
  }
});
