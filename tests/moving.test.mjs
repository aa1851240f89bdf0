// The pages on moving: what can be run of them is run, and gives lines that the import takes.

import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import { capture, path } from "../scripts/lib.mjs";
import { rules } from "../scripts/rules.mjs";

const page = (name) => readFileSync(path("docs", name), "utf8");
const block = (text, language) => text.match(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms"))[1];

async function check(lines) {
  const { code, stdout, stderr } = await rules(["check-users", "--roles", "user,admin", "--now", "1800000000", "--cpu-ms", "500", "--argon2", "19456,2,1"], { input: lines });
  assert.equal(code, 0, stderr);
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

test("better-auth: its SQL gives what the import takes, without those who have no password", async () => {
  const db = new DatabaseSync(":memory:");
  db.exec(`CREATE TABLE user (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, emailVerified INTEGER NOT NULL, image TEXT, createdAt DATE NOT NULL, updatedAt DATE NOT NULL);
    CREATE TABLE account (id TEXT PRIMARY KEY, accountId TEXT NOT NULL, providerId TEXT NOT NULL, userId TEXT NOT NULL REFERENCES user (id), password TEXT, createdAt DATE NOT NULL, updatedAt DATE NOT NULL);`);
  const salt = "00112233445566778899aabbccddeeff";
  const password = `${salt}:${scryptSync("a password", salt, 64, { N: 16384, r: 16, p: 1, maxmem: 2 ** 27 }).toString("hex")}`;
  const uuid = "00112233-4455-6677-8899-aabbccddeeff";
  const people = [[uuid, "Ada O'Hara", "2024-02-29T12:00:00.123Z"], ["x".repeat(32), "", 1709208000123], ["y".repeat(32), "Bob", 1709208000]];
  for (const [index, [id, name, createdAt]] of people.entries()) {
    db.prepare("INSERT INTO user VALUES (?, ?, ?, 1, NULL, ?, ?)").run(id, name, `p${index}@example.org`, createdAt, createdAt);
    db.prepare("INSERT INTO account VALUES (?, ?, 'credential', ?, ?, 0, 0)").run(`a${index}`, id, id, password);
    db.prepare("INSERT INTO account VALUES (?, ?, 'google', ?, NULL, 0, 0)").run(`g${index}`, `google-${index}`, id);
  }
  db.exec("INSERT INTO user VALUES ('z', 'Social', 'z@example.org', 1, NULL, 0, 0); INSERT INTO account VALUES ('z', 'z', 'google', 'z', NULL, 0, 0);");
  const rows = db.prepare(block(page("moving-from-better-auth.md"), "sql")).all();
  const checked = await check(rows.map((row) => Object.values(row)[0]).join("\n"));
  assert.equal(checked.at(-1).users, 3);
  assert.deepEqual(checked.slice(0, 3).map(({ email, name, created_at }) => [email, name, created_at]), [
    ["p0@example.org", "Ada O'Hara", 1709208000],
    ["p1@example.org", null, 1709208000],
    ["p2@example.org", "Bob", 1709208000],
  ]);
  assert.equal(checked[0].id, Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url"));
  assert.match(checked[0].password_hash, /^\$scrypt-nfkc\$ln=14,r=16,p=1\$/);
});

test("Firebase: its script gives what the import takes, and the id comes back as a UUID", async () => {
  const text = page("importing-users.md");
  const [spelling, script] = [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  const key = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
  writeFileSync(join(folder, "firebase.mjs"), script.replace("…", key));
  const hash = { salt: "42xEC+ixf3L2lw==", passwordHash: "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==" };
  const users = [{ localId: "1", email: "a@example.org", ...hash, displayName: "Ada", createdAt: "1486324000000", disabled: true }, { localId: "2", email: "b@example.org", createdAt: "1" }, { localId: "3", email: "c@example.org", ...hash, createdAt: "1486324000000" }];
  const { stdout, stderr } = await capture("node", [join(folder, "firebase.mjs")], { input: JSON.stringify({ users }) });
  rmSync(folder, { recursive: true });
  const [ada, other, end] = await check(stdout);
  assert.equal(end.users, 2, stderr);
  assert.deepEqual([ada.name, ada.created_at, ada.disabled_at, other.name, other.disabled_at], ["Ada", 1486324000, 1800000000, null, null]);
  assert.equal(ada.password_hash, `$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=${key}$${hash.salt}$${hash.passwordHash}`);
  const uuid = new Function("sub", `${spelling} return uuid;`)(Buffer.from("00112233445566778899aabbccddeeff", "hex").toString("base64url"));
  assert.equal(uuid, "00112233-4455-6677-8899-aabbccddeeff");
});

test("every page is linked from the README, and links to what is there", () => {
  const readme = readFileSync(path("README.md"), "utf8");
  const pages = readdirSync(path("docs"), { recursive: true }).filter((name) => name.endsWith(".md"));
  assert.ok(pages.length >= 4);
  for (const name of pages) {
    assert.ok(readme.includes(`](docs/${name})`), name);
    for (const [, target, anchor] of page(name).matchAll(/\]\(([^)#]+)(#[^)]+)?\)/g)) {
      const file = path("docs", dirname(name), target);
      assert.ok(existsSync(file), target);
      const headings = [...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, text]) => `#${text.toLowerCase().replaceAll(" ", "-").replace(/[^\w#-]/g, "")}`);
      if (anchor) assert.ok(headings.includes(anchor), `${name}: ${target}${anchor}`);
    }
  }
});

test("every command of the pages exists", () => {
  const { scripts } = JSON.parse(readFileSync(path("package.json"), "utf8"));
  for (const name of ["../README.md", ...readdirSync(path("docs"), { recursive: true })]) {
    if (!name.endsWith(".md")) continue;
    for (const [, command] of page(name).matchAll(/npm run (?:--silent )?([a-z]+)/g)) assert.ok(command in scripts, `${name}: ${command}`);
  }
});
