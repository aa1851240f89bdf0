// Our packages as their users get them: packed by npm, and installed in a folder of their own.

import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { filesUnder, path } from "../../scripts/lib.mjs";
import { install } from "../../scripts/packages.mjs";
import { cached } from "./cached.mjs";

/**
 * Installs the package `packages/<name>` as packed in a new folder, beside links to `others`, which are installed here.
 * `import` imports from there.
 */
export async function installed(name, others = []) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  const packed = await cached(`package-${name}`, ["LICENSE", ...filesUnder(`packages/${name}`)], (kept) =>
    install(name, kept),
  );
  cpSync(packed, folder, { recursive: true });
  for (const other of others) {
    const link = join(folder, "node_modules", other);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync([path("node_modules", other), path("tests/node_modules", other)].find(existsSync), link);
  }
  const { resolve } = createRequire(join(folder, "index.mjs"));
  return {
    folder,
    import: (specifier) => import(pathToFileURL(resolve(specifier))),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
