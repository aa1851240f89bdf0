// What takes long to make, and changes seldom, is made once for several test files and runs.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";

import { filesUnder, path } from "../../scripts/lib.mjs";

/**
 * A folder with what `make` writes to it. It is made again when one of the files `inputs`, a version of a package or a script
 * changes.
 */
export async function cached(name, inputs, make) {
  const hash = createHash("sha256");
  for (const file of [
    ...inputs,
    "package-lock.json",
    "tests/package-lock.json",
    ...filesUnder("scripts"),
    ...filesUnder("packages/portcullis"),
  ])
    hash.update(`\0${file}\0`).update(readFileSync(path(file)));
  mkdirSync(path("build", "tests"), { recursive: true });
  const kept = path("build", "tests", `${name}-${hash.digest("hex").slice(0, 32)}`);
  if (existsSync(kept)) return kept;
  const folder = mkdtempSync(`${kept}-`);
  try {
    await make(folder);
    renameSync(folder, kept);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    // Another process was faster.
    if (!existsSync(kept)) throw error;
  }
  return kept;
}
