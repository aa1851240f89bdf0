// The README is true: its curl lines work pasted in order, and its tables are those of the code.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { startWorker } from "../support/harness.mjs";
import { ROUTES } from "../support/routes.mjs";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const readme = read("README.md");
const noCurl = spawnSync("curl", ["--version"]).error ? "there is no curl here" : false;

let worker, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  worker = await startWorker({ vars: { REFRESH_GRACE_SECONDS: "5" } });
});
after(async () => {
  await worker.close();
  rmSync(folder, { recursive: true });
});

test("the API by example works pasted in order", { skip: noCurl }, async () => {
  const section = readme.slice(readme.indexOf("## The API by example"), readme.indexOf("### Endpoints"));
  const pasted = [...section.matchAll(/^```sh\n(.*?)^```/gms)].map(([, lines]) => lines).join("\n");
  assert.match(pasted, /^sleep 31$/m);
  const script = pasted.replace(/^URL=.*$/m, `URL=${worker.url.origin}`).replace("sleep 31", "sleep 6");
  const lines = (await bash(script)).trim().split("\n");
  const seen = lines.map((line) => {
    const answer = JSON.parse(line);
    return answer.code ?? (typeof answer === "object" ? Object.keys(answer)[0] : answer);
  });
  assert.deepEqual(seen, [
    "access_token", // register
    "access_token", // login
    "id", // me
    "sessions",
    "events",
    "sub", // verify
    "keys",
    "id", // the new username
    "access_token", // refresh
    "access_token", // its retry
    "invalid_refresh_token", // the replay
    "invalid_refresh_token", // the successor
    "invalid_token", // me
    200, // revoke
    "invalid_token", // me
    "sessions_ended", // everywhere
    "access_token", // the session that the new password begins
    "invalid_refresh_token", // the other session
    "access_token", // its refresh
    204, // the account is gone
  ]);
  assert.deepEqual(readdirSync(folder), [], "nothing is left behind");
});

test("every variable is in the README and in wrangler.toml, with the default of the code", () => {
  const code = read("src/config/mod.rs");
  const optional = [...code.matchAll(/reader\.(?:text|number)\(\s*"(\w+)",\s*(?:"([^"]*)"|(\w+)),/g)];
  const required = [...code.matchAll(/reader\.required\(\s*"(\w+)"/g)].map(([, name]) => name);
  assert.ok(optional.length >= 14 && required.length === 4);
  const documented = new Map(
    [...readme.matchAll(/^\| `([A-Z0-9_]+)` \| ([^|]+) \|/gm)].map(([, name, value]) => [
      name,
      value.replaceAll("`", "").trim(),
    ]),
  );
  assert.deepEqual([...documented.keys()].sort(), [...optional.map(([, name]) => name), ...required].sort());
  for (const [, name, text, number] of optional) {
    const plain = text ?? number.replaceAll("_", "");
    assert.equal(documented.get(name).replace(/^(none|empty)$/, ""), plain, name);
    assert.match(read("wrangler.toml"), new RegExp(`^# ${name} = "${plain}"$`, "m"));
  }
});

test("every route and every file of the code tour is there", () => {
  for (const [path, method] of ROUTES) assert.ok(readme.includes(`| \`${method} ${path}\` |`), path);
  const tour = readme.slice(readme.indexOf("## Code tour"));
  const named = [
    ...tour.matchAll(/^(?:src|crates|tests|scripts|bench|docs|schema)[\w/.]*/gm),
    ...readme.matchAll(/`((?:src|tests)\/[\w/.-]+)`/g),
  ];
  assert.ok(named.length > 15);
  for (const [whole, inTicks] of named)
    assert.ok(existsSync(new URL(`../../${inTicks ?? whole}`, import.meta.url)), whole);
});

function bash(script) {
  return new Promise((resolve, reject) => {
    const child = spawn("bash", ["-eu"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    child
      .on("error", reject)
      .on("close", (code) => (code === 0 ? resolve(output) : reject(new Error(`bash: ${code}\n${output}`))));
    child.stdin.end(script);
  });
}
