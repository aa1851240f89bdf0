// Fills web/dist with the static assets of the Worker: the account pages, the documentation page and the OpenAPI document. The
// Worker serves them below /account and /docs, and at /openapi.json ([assets] in wrangler.toml).

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

import { filesUnder, path, read, run } from "./lib.mjs";

const DIST = "web/dist";

/** Fills web/dist, unless no input has changed. */
export async function buildWeb() {
  const inputs = webInputs();
  const stamp = path("build", ".web-inputs");
  if (existsSync(path(DIST)) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;

  rmSync(stamp, { force: true });
  rmSync(path(DIST), { recursive: true, force: true });
  for (const folder of [DIST, "build"]) mkdirSync(path(folder), { recursive: true });
  documentation();
  await accountPages();
  writeFileSync(stamp, inputs);
}

/** A hash of all inputs: the sources, and the versions of the packages. */
function webInputs() {
  const hash = createHash("sha256");
  const sources = filesUnder("web").filter((name) => !name.startsWith(`${DIST}/`));
  const client = filesUnder("packages/client/src");
  for (const name of ["scripts/web.mjs", "package-lock.json", ...sources, ...client]) {
    hash.update(`\0${name}\0`).update(readFileSync(path(name)));
  }
  return hash.digest("hex");
}

/** The files of Swagger UI that the page needs, and their licence, by their names in web/dist/docs. */
const SWAGGER_UI = {
  "swagger-ui.css": "swagger-ui.css",
  "swagger-ui-bundle.js": "swagger-ui-bundle.js",
  "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
  "swagger-ui.LICENSE.txt": "LICENSE",
  "swagger-ui.NOTICE.txt": "NOTICE",
};

/** The documentation page, /docs, and the document that it shows. */
function documentation() {
  cpSync(path("web", "docs"), path(DIST, "docs"), { recursive: true });
  const swaggerUi = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  for (const [name, original] of Object.entries(SWAGGER_UI)) {
    cpSync(join(swaggerUi, original), path(DIST, "docs", name));
  }
  cpSync(path("web", "openapi.json"), path(DIST, "openapi.json"));
}

/**
 * The account pages. The names of their files contain a hash: while a deployment replaces them, a page never loads a part of another
 * version. Links in the page are relative to /account/, so that they suit every path of the issuer.
 */
async function accountPages() {
  const entries = { script: "web/account/main.tsx", style: "web/account/app.css" };
  const meta = path("build", "web-outputs.json");
  await run("esbuild", [
    ...Object.values(entries),
    ...["--bundle", "--splitting", "--minify", "--format=esm", "--charset=utf8", "--log-level=warning"],
    ...["--jsx=automatic", "--jsx-import-source=preact", "--target=chrome110,firefox115,safari16.4"],
    ...[`--outdir=${DIST}/account`, "--entry-names=[name]-[hash]", "--chunk-names=[name]-[hash]", `--metafile=${meta}`],
  ]);
  const metafile = JSON.parse(readFileSync(meta, "utf8"));
  const outputs = Object.entries(metafile.outputs);
  const [script, { imports }] = outputs.find(([, { entryPoint }]) => entryPoint === entries.script);
  const [style] = outputs.find(([, { entryPoint }]) => entryPoint === entries.style);
  // Otherwise the browser would learn of them only when it has the script that imports them.
  const preloads = imports
    .filter(({ kind }) => kind === "import-statement")
    .map(({ path }) => `<link rel="modulepreload" href="${basename(path)}" />\n    `);
  const page = read("web/account/index.html")
    .replace(
      '<script type="module" src="main.js">',
      `${preloads.join("")}<script type="module" src="${basename(script)}">`,
    )
    .replace("app.css", basename(style));
  writeFileSync(path(DIST, "account", "index.html"), page);
  cpSync(path("web", "account", "icon.svg"), path(DIST, "account", "icon.svg"));
}
