// The set of the commonest passwords: what is made of a list, and that the one in crates/core/src/ is the one it is said to be.

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

test("the set is the one that the script and the provenance name", () => {
  assert.equal(sha256(readFileSync(path(SET))), SHA256);
  const provenance = read("crates/core/src/password/common_passwords.LICENSE");
  assert.ok(provenance.includes(SHA256));
  for (const { name, version } of SOURCES) assert.ok(provenance.includes(`${name} ${version}`), name);
});

test("a list always makes the same set, whatever the order of its long passwords", async () => {
  const passwords = lines(500, long);
  assert.equal(await make(passwords.join("\n"), file()), 500);
  const first = sha256(readFileSync(file()));
  assert.equal(await make(passwords.reverse().join("\n"), file()), 500);
  assert.equal(sha256(readFileSync(file())), first);
  assert.equal(await make(lines(500, (number) => long(number + 1)).join("\n"), file()), 500);
  assert.notEqual(sha256(readFileSync(file())), first);
});

test("what is short is left out, and what differs in case or by canonical equivalence counts once", async () => {
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

test("of the shorter passwords the 100,000 most common ones are taken, of the longer ones all", async () => {
  const shorter = lines(100_010, (number) => `n${String(number).padStart(8, "0")}`);
  assert.equal(await make([...shorter, long(1), long(2)].join("\n"), file()), 100_002);
});

test("a package with other bytes is refused", () => {
  const [{ integrity }] = SOURCES;
  assert.throws(() => verified(Buffer.from("other bytes"), integrity), Failure);
  const own = "sha512-7iaw3Ur350mqGo7jwQrpkj9hiYB3Lkc/iBml1JQODbJ6wYX4oOHV+E+IvIh/1nsUNzLDBMxfqa2Ob1f1ACio/w==";
  assert.equal(verified("test", own), "test");
});
