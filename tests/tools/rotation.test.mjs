import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";

import { LEAD, rotate, rotateDataSecrets, rotateFile } from "../../packages/portcullis/src/rotation.mjs";
import { ALGORITHMS, dataSecretId, devVars, makeKey, makeSecrets } from "../../packages/portcullis/src/secrets.mjs";

const NOW = 1_700_000_000;
const IDLE = 604_800;
const options = { now: NOW, idleTtl: IDLE };

let folder;
before(() => (folder = mkdtempSync(join(tmpdir(), "portcullis-"))));
after(() => rmSync(folder, { recursive: true }));

const at = (signs_from, alg) => ({ ...makeKey(alg), signs_from });
/** Runs the command in that folder. */
function keygen(...args) {
  const script = fileURLToPath(new URL("../../packages/portcullis/src/cli.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "keygen", ...args], {
    encoding: "utf8",
    env: { ...process.env, INIT_CWD: folder },
  });
  return { status, stdout, stderr };
}
const kids = ({ keys }) => keys.map(({ kid }) => kid);

test("a key set that is too large for Cloudflare is not written", () => {
  const file = join(folder, "large.env");
  const text = (...algorithms) =>
    `SIGNING_KEYS='${JSON.stringify({ keys: algorithms.map((alg, index) => at(NOW - 200 + index * 100, alg)) })}'\n`;
  writeFileSync(file, text("RS256"));
  assert.equal(rotateFile(file, options).added.alg, "RS256");
  const two = text("RS256", "RS256");
  writeFileSync(file, two);
  assert.throws(() => rotateFile(file, options), /Cloudflare accepts at most 5120/);
  assert.equal(readFileSync(file, "utf8"), two);
  // The older key is dropped once no refresh can send an access token that it signed.
  assert.equal(rotateFile(file, { ...options, now: NOW + IDLE }).keySet.keys.length, 2);
  rmSync(file);
});

test("a rotation adds a key of the same algorithm that begins to sign once every cache has it", () => {
  assert.equal(LEAD, 300 + 300 + 600);
  for (const alg of ALGORITHMS) {
    const old = makeKey(alg);
    const { keySet, added, report } = rotate({ keys: [old] }, options);
    assert.deepEqual(keySet, { keys: [old, added] });
    assert.deepEqual([added.alg, added.signs_from], [alg, NOW + LEAD]);
    assert.notEqual(added.kid, old.kid);
    assert.equal(report.length, 2);
    assert.match(report[1], new RegExp(`${added.kid} \\(${alg}\\).*2023-11-14T22:33:20Z`));
    for (const secret of [old, added].flatMap(({ d, k }) => [d, k]).filter(Boolean))
      assert.ok(!report.join().includes(secret));
  }
  assert.equal(rotate({ keys: [makeKey()] }, { ...options, alg: "EdDSA" }).added.alg, "EdDSA");
});

test("the newest key is the one with the latest signs_from, not the last one in the list", () => {
  const keySet = { keys: [at(NOW - 10, "EdDSA"), at(NOW - 20, "RS256"), makeKey("ES256")] };
  assert.equal(rotate(keySet, options).added.alg, "EdDSA");
  assert.equal(rotate({ keys: [makeKey("RS256"), makeKey("EdDSA")] }, options).added.alg, "RS256");
});

test("a retired key is kept, to the second, as long as a refresh may send an access token that it signed", () => {
  const began = NOW - IDLE;
  const superseded = { first: makeKey(), second: at(began - 1), third: at(began), active: at(NOW - 10) };
  const { keySet, added, report } = rotate({ keys: Object.values(superseded) }, options);
  // The first key was superseded one second too early to be kept, the second one just late enough.
  assert.deepEqual(kids(keySet), kids({ keys: [superseded.second, superseded.third, superseded.active, added] }));
  assert.match(report[0], new RegExp(`^dropped +${superseded.first.kid}`));
});

test("keys without signs_from are superseded by the first key that has one, not by each other", () => {
  const keys = [makeKey(), makeKey()];
  const first = rotate({ keys }, options).keySet;
  assert.equal(first.keys.length, 3);
  const began = NOW + LEAD;
  assert.equal(rotate(first, { ...options, now: began + IDLE }).keySet.keys.length, 4);
  assert.equal(rotate(first, { ...options, now: began + IDLE + 1 }).keySet.keys.length, 2);
});

test("while a rotation is in progress, another one is refused unless it is forced", () => {
  const { keySet, added } = rotate({ keys: [makeKey()] }, options);
  for (const now of [NOW, NOW + LEAD - 1]) {
    assert.throws(() => rotate(keySet, { ...options, now }), new RegExp(`in progress.*${added.kid}.*--force`));
  }
  const forced = rotate(keySet, { ...options, force: true });
  assert.equal(forced.keySet.keys.length, 3);
  assert.ok(forced.added.signs_from > added.signs_from);
  assert.equal(rotate(keySet, { ...options, now: NOW + LEAD }).keySet.keys.length, 3);
});

test("the rest of the file is unchanged, and only its owner can read it", () => {
  const secrets = makeSecrets();
  const around = (line) =>
    `# kept\nOTHER="a$&b"\n${line}\nTOKEN_SECRET='${secrets.TOKEN_SECRET}'\n\n# end, without a line break`;
  for (const line of [
    `SIGNING_KEYS='${secrets.SIGNING_KEYS}'`,
    `SIGNING_KEYS=${secrets.SIGNING_KEYS}`,
    `  export SIGNING_KEYS = '${secrets.SIGNING_KEYS}'  `,
  ]) {
    const file = join(folder, "kept.env");
    writeFileSync(file, around(line));
    chmodSync(file, 0o644);
    const { keySet } = rotateFile(file, options);
    assert.equal(readFileSync(file, "utf8"), around(`SIGNING_KEYS='${JSON.stringify(keySet)}'`));
    assert.deepEqual(
      { ...parseEnv(readFileSync(file, "utf8")) },
      { OTHER: "a$&b", SIGNING_KEYS: JSON.stringify(keySet), TOKEN_SECRET: secrets.TOKEN_SECRET },
    );
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(folder), ["kept.env"]);
    rmSync(file);
  }
});

test("a rotation of the data secret puts a new one first and keeps the others", () => {
  const file = join(folder, "data.env");
  const { DATA_SECRETS: old, ...others } = makeSecrets();
  const around = (line) => `${devVars(others)}${line}\n# end, without a line break`;
  for (const line of [`DATA_SECRETS='${old}'`, `  export DATA_SECRETS = ${old}  `, `DATA_SECRETS="${old}, ${old}="`]) {
    writeFileSync(file, around(line));
    const { report } = rotateDataSecrets(file);
    const text = readFileSync(file, "utf8");
    const [added, ...kept] = parseEnv(text).DATA_SECRETS.split(",");
    assert.equal(text, around(`DATA_SECRETS='${[added, ...kept].join(",")}'`));
    assert.deepEqual(kept, line.includes(",") ? [old, `${old}=`] : [old]);
    assert.ok(Buffer.from(added, "base64url").length === 32 && added !== old);
    assert.match(report.at(-1), new RegExp(`^added +${dataSecretId(added)}`));
    assert.match(report[0], new RegExp(`^kept +${dataSecretId(old)}`));
    for (const secret of [added, old]) assert.ok(!report.join().includes(secret));
  }
  rmSync(file);
});

test("a file without a data secret gets the first one", () => {
  const file = join(folder, "older.env");
  const { DATA_SECRETS: _, ...others } = makeSecrets();
  for (const text of [devVars(others), devVars(others).trimEnd()]) {
    writeFileSync(file, text);
    assert.equal(rotateDataSecrets(file).report.length, 1);
    const { DATA_SECRETS, ...rest } = parseEnv(readFileSync(file, "utf8"));
    assert.deepEqual([rest, DATA_SECRETS.length], [others, 43]);
  }
  rmSync(file);
});

test("a file whose data secrets cannot be rotated is not changed, and none of its values is shown", () => {
  const file = join(folder, "bad-data.env");
  const { DATA_SECRETS } = makeSecrets();
  const line = (value) => `DATA_SECRETS='${value}'\n`;
  const many = Array.from({ length: 116 }, () => DATA_SECRETS).join(",");
  for (const [text, problem] of [
    [line("canary"), /is not a list of secrets$/],
    [line(""), /is not a list of secrets$/],
    [line(`${DATA_SECRETS},canary`), /is not a list of secrets$/],
    [line(DATA_SECRETS) + line(DATA_SECRETS), /must have one line DATA_SECRETS='…', but has 2$/],
    [line(many), /would exceed the 5120 bytes/],
    ["", /is empty$/],
  ]) {
    writeFileSync(file, text);
    assert.throws(
      () => rotateDataSecrets(file),
      ({ message }) => problem.test(message) && !message.includes("canary") && !message.includes(DATA_SECRETS),
    );
    assert.equal(readFileSync(file, "utf8"), text);
  }
  rmSync(file);
});

test("a file behind a symbolic link is edited in place", () => {
  const file = join(folder, "real.env");
  const link = join(folder, "link.env");
  writeFileSync(file, devVars(makeSecrets()));
  symlinkSync(file, link);
  const { added } = rotateFile(link, options);
  assert.ok(readFileSync(file, "utf8").includes(added.kid));
  for (const name of [file, link]) rmSync(name);
});

test("a file that cannot be rotated is not changed, and none of its values is shown", () => {
  const file = join(folder, "bad.env");
  const good = devVars(makeSecrets());
  const pending = devVars({ ...makeSecrets(), SIGNING_KEYS: JSON.stringify({ keys: [at(0), at(NOW + 5)] }) });
  const bad = [
    "",
    "TOKEN_SECRET=canary",
    good + good,
    "SIGNING_KEYS='canary'",
    "SIGNING_KEYS='{\"canary\":1}'",
    "SIGNING_KEYS='{\"keys\":[]}'",
    'SIGNING_KEYS=\'{"keys":[{"kty":"canary"}]}\'',
    pending,
  ];
  bad.push(
    devVars({ ...makeSecrets(), SIGNING_KEYS: JSON.stringify({ keys: [{ ...makeKey(), signs_from: "canary" }] }) }),
  );
  for (const text of bad) {
    writeFileSync(file, text);
    assert.throws(
      () => rotateFile(file, options),
      (error) => error.constructor.name === "Failure" && !error.message.includes("canary"),
      text,
    );
    assert.equal(readFileSync(file, "utf8"), text);
  }
  rmSync(file);
  assert.throws(() => rotateFile(file, options), /does not exist/);
  assert.deepEqual(readdirSync(folder), []);
});

test("for a file that is not a secrets file, the error is one line", () => {
  const inUtf16 = (name, bytes) => () =>
    writeFileSync(
      join(folder, name),
      Buffer.concat([Buffer.from(bytes), Buffer.from(devVars(makeSecrets()), "utf16le")]),
    );
  const mark = /begins with a byte order mark.*: save it as UTF-8 without one$/;
  const cases = {
    "absent.env": [() => {}, /absent\.env does not exist$/],
    "folder.env": [(file) => mkdirSync(file), /folder\.env is a folder, not a file of secrets$/],
    "empty.env": [(file) => writeFileSync(file, ""), /empty\.env is empty$/],
    "blank.env": [(file) => writeFileSync(file, " \n\n"), /blank\.env is empty$/],
    "bom.env": [(file) => writeFileSync(file, `\ufeff${devVars(makeSecrets())}`), mark],
    "little.env": [inUtf16("little.env", [0xff, 0xfe]), mark],
    "big.env": [inUtf16("big.env", [0xfe, 0xff]), mark],
    "loop.env": [(file) => symlinkSync(file, file), /loop\.env cannot be read \(ELOOP\)$/],
    // The temporary file that replaces it has a longer name, which exceeds the limit.
    [`${"n".repeat(251)}.env`]: [
      (file) => writeFileSync(file, devVars(makeSecrets())),
      /n\.env cannot be written \(ENAMETOOLONG\)$/,
    ],
    "absent.env/x": [
      () => writeFileSync(join(folder, "absent.env"), "x"),
      /absent\.env\/x cannot be read \(ENOTDIR\)$/,
    ],
  };
  for (const [name, [make, problem]] of Object.entries(cases)) {
    const file = join(folder, name);
    make(file);
    const kept = name !== "absent.env/x" && lstatSync(file, { throwIfNoEntry: false })?.isFile() && readFileSync(file);
    const { status, stdout, stderr } = keygen("--rotate", "--file", file);
    assert.deepEqual([status, stdout, stderr.trim().split("\n").length], [1, "", 1], stderr);
    assert.match(stderr.trim(), problem);
    if (kept) assert.deepEqual(readFileSync(file), kept);
  }
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
});

test("the command creates a set for any algorithm and rotates the stored copy", () => {
  for (const alg of ALGORITHMS) {
    const { status, stdout, stderr } = keygen("--alg", alg);
    assert.equal(status, 0);
    assert.equal(JSON.parse(parseEnv(stdout).SIGNING_KEYS).keys[0].alg, alg);
    if (alg !== "HS256") assert.equal(stderr, "");
  }
  const file = join(folder, "secrets.env");
  writeFileSync(file, keygen().stdout);
  const before = Math.floor(Date.now() / 1000);
  const { status, stdout } = keygen("--rotate", "--file", "secrets.env", "--alg", "EdDSA");
  assert.equal(status, 0, stdout);
  assert.match(stdout, /npx wrangler secret bulk secrets\.env/);
  const { keys } = JSON.parse(parseEnv(readFileSync(file, "utf8")).SIGNING_KEYS);
  assert.deepEqual(
    keys.map(({ alg }) => alg),
    ["ES256", "EdDSA"],
  );
  assert.ok(keys[1].signs_from - before - LEAD <= 5);
  assert.match(stdout, /also accept EdDSA before then/);
  const again = keygen("--rotate", "--file", "secrets.env");
  assert.deepEqual([again.status, /in progress/.test(again.stderr)], [1, true]);
  assert.equal(keygen("--rotate", "--file", "secrets.env", "--force").status, 0);

  const data = keygen("--rotate", "--data", "--file", "secrets.env");
  assert.deepEqual([data.status, data.stderr], [0, ""]);
  assert.match(data.stdout, /^kept .*\nadded .*\n\nStore it now: npx wrangler secret bulk secrets\.env\n$/);
  const rotated = parseEnv(readFileSync(file, "utf8"));
  assert.equal(rotated.DATA_SECRETS.split(",").length, 2);
  assert.equal(JSON.parse(rotated.SIGNING_KEYS).keys.length, 3, "the signing keys do not change");

  for (const args of [
    ["--alg", "none"],
    ["--alg"],
    ["--rotate"],
    ["--rotate", "--dev", "--file", "x"],
    ["--rotate", "--remote"],
    ["--file", "x"],
    ["--data"],
    ["--data", "--dev"],
    ["--rotate", "--data"],
    ["--rotate", "--data", "--file", "x", "--alg", "ES256"],
    ["--unknown"],
    ["x"],
  ]) {
    const refused = keygen(...args);
    assert.deepEqual(
      [refused.status, /usage: npm run keygen/.test(refused.stderr), refused.stdout],
      [2, true, ""],
      args.join(" "),
    );
  }
  assert.ok(existsSync(file));
});
