// The set of the most common passwords: how it is made from a list, and that the committed set is the documented one.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { make, SET, SHA256, SOURCES, sha256, verified } from "../../scripts/common-passwords.mjs";
import { Failure, path, read } from "../../scripts/lib.mjs";

let folder;
before(() => (folder = mkdtempSync(join(tmpdir(), "portcullis-"))));
after(() => rmSync(folder, { recursive: true }));

const file = () => join(folder, "made.bin");
const long = (number) => `a long password, number ${number}`;
const lines = (count, line) => Array.from({ length: count }, (_, index) => line(index));

test("the set has the hash in the script and in the provenance", () => {
  assert.equal(sha256(readFileSync(path(SET))), SHA256);
  const provenance = read("crates/core/src/password/common_passwords.LICENSE");
  assert.ok(provenance.includes(SHA256));
  for (const { name, version } of SOURCES) assert.ok(provenance.includes(`${name} ${version}`), name);
});

test("the set does not depend on the order of the long passwords in the list", async () => {
  const passwords = lines(500, long);
  assert.equal(await make(passwords.join("\n"), file()), 500);
  const first = sha256(readFileSync(file()));
  assert.equal(await make(passwords.reverse().join("\n"), file()), 500);
  assert.equal(sha256(readFileSync(file())), first);
  assert.equal(await make(lines(500, (number) => long(number + 1)).join("\n"), file()), 500);
  assert.notEqual(sha256(readFileSync(file())), first);
});

test("short passwords are omitted, and passwords that differ only in case or normal form count once", async () => {
  const list = [
    "short",
    "sevens7",
    "",
    "eight888",
    "EIGHT888",
    "caf\u00e9caf\u00e9",
    "CAFE\u0301CAFE\u0301",
    "stra\u00dfe12",
    "strasse12",
  ];
  assert.equal(await make(list.join("\n"), file()), 3);
});

test("the set has the 100,000 most common shorter passwords, and all longer ones", async () => {
  const shorter = lines(100_010, (number) => `n${String(number).padStart(8, "0")}`);
  assert.equal(await make([...shorter, long(1), long(2)].join("\n"), file()), 100_002);
});

test("a package with a wrong hash is refused", () => {
  const [{ integrity }] = SOURCES;
  assert.throws(() => verified(Buffer.from("other bytes"), integrity), Failure);
  const own = "sha512-7iaw3Ur350mqGo7jwQrpkj9hiYB3Lkc/iBml1JQODbJ6wYX4oOHV+E+IvIh/1nsUNzLDBMxfqa2Ob1f1ACio/w==";
  assert.equal(verified("test", own), "test");
});
