// Fills web/dist with the static assets of the Worker: the documentation page and the OpenAPI document. The Worker serves
// them below /docs and at /openapi.json ([assets] in wrangler.toml).

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { filesUnder, path } from "./lib.mjs";

const DIST = "web/dist";

/** Fills web/dist, unless no input has changed. */
export async function buildWeb() {
  const inputs = webInputs();
  const stamp = path("build", ".web-inputs");
  if (existsSync(path(DIST)) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;

  rmSync(stamp, { force: true });
  rmSync(path(DIST), { recursive: true, force: true });
  mkdirSync(path(DIST), { recursive: true });
  documentation();
  mkdirSync(path("build"), { recursive: true });
  writeFileSync(stamp, inputs);
}

/** A hash of all inputs: the sources, and the versions of the packages. */
function webInputs() {
  const hash = createHash("sha256");
  const sources = filesUnder("web").filter((name) => !name.startsWith(`${DIST}/`));
  for (const name of ["scripts/web.mjs", "package-lock.json", ...sources]) {
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
