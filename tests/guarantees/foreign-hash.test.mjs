// Imported hashes: at the first login, a hash of our own replaces the imported one. Node's OpenSSL computes the hashes
// here, except bcrypt, whose hashes libxcrypt computed.

import assert from "node:assert/strict";
import { argon2Sync, createCipheriv, pbkdf2Sync, randomBytes, scryptSync } from "node:crypto";
import { after, before, test } from "node:test";

import { assertProblem, phc, startWorker } from "../support/harness.mjs";

let worker;
before(async () => (worker = await startWorker()));
after(() => worker.close());

/** Neither in NFC nor in NFKC: other systems hash the bytes as typed. */
const TYPED = "cafe\u0301 \ufb01ne, au lait";
const OURS = /^\$argon2id\$v=19\$m=7168,t=5,p=1\$[\w+/]{22}\$[\w+/]{43}$/;

const b64 = (bytes) => Buffer.from(bytes).toString("base64");
const bare = (bytes) => b64(bytes).replace(/=+$/, "");
const scrypt = (password, salt, length, N, r, p) => scryptSync(password, salt, length, { N, r, p, maxmem: 2 ** 27 });

const formats = {
  "Argon2id with other parameters": `argon2${phc({ message: TYPED, memory: 19456, passes: 2 })}`,
  "Argon2id with our parameters": `argon2${phc({ message: TYPED })}`,
  Argon2i: `argon2${phc({ message: TYPED, algorithm: "argon2i", memory: 64, passes: 3, saltLength: 8 })}`,
  Argon2d: `argon2${phc({ message: TYPED, algorithm: "argon2d", memory: 64, parallelism: 4, tagLength: 64 })}`,
  "Django's Argon2": `argon2${phc({ message: TYPED, memory: 65536, passes: 1, parallelism: 8 })}`,
  "bcrypt 2a": "$2a$05$abcdefghijklmnopqrstuuO681/o5kJH6XSUUG..kBnzmcQ.DA7Hq",
  "bcrypt 2b": "$2b$05$abcdefghijklmnopqrstuuO681/o5kJH6XSUUG..kBnzmcQ.DA7Hq",
  "bcrypt 2y": "$2y$05$abcdefghijklmnopqrstuuO681/o5kJH6XSUUG..kBnzmcQ.DA7Hq",
  ...Object.fromEntries(
    ["sha1", "sha256", "sha512"].flatMap((digest) =>
      [1, 1000].map((iterations) => {
        const salt = randomBytes(16);
        return [
          `PBKDF2 ${digest}, ${iterations}`,
          `$pbkdf2-${digest}$i=${iterations}$${bare(salt)}$${bare(pbkdf2Sync(TYPED, salt, iterations, 33, digest))}`,
        ];
      }),
    ),
  ),
  scrypt: `$scrypt$ln=10,r=8,p=3$${bare("a salt")}$${bare(scrypt(TYPED, "a salt", 32, 1024, 8, 3))}`,
  Firebase: firebase(),
  Django: `pbkdf2_sha256$1500$XyZsalt$${b64(pbkdf2Sync(TYPED, "XyZsalt", 1500, 32, "sha256"))}`,
  "ASP.NET Core Identity 2": aspnet2(),
  "ASP.NET Core Identity 3, SHA-1": aspnet3(0, "sha1"),
  "ASP.NET Core Identity 3, SHA-256": aspnet3(1, "sha256"),
  "ASP.NET Core Identity 3, SHA-512": aspnet3(2, "sha512"),
  "better-auth": betterAuth(),
  "bcrypt, wrapped": wrapped("$2b$05$abcdefghijklmnopqrstuu", bcryptBytes("O681/o5kJH6XSUUG..kBnzmcQ.DA7Hq")),
  "PBKDF2, wrapped": wrapped("$pbkdf2-sha1$i=1000$c2FsdHNhbHQ", pbkdf2Sync(TYPED, "saltsalt", 1000, 20, "sha1")),
  "scrypt, wrapped": wrapped("$scrypt$ln=10,r=8,p=1$c2FsdHNhbHQ", scrypt(TYPED, "saltsalt", 40, 1024, 8, 1)),
  "Argon2, wrapped": wrapped(
    "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ",
    argon2Sync("argon2i", { message: TYPED, nonce: "saltsalt", memory: 64, passes: 1, parallelism: 1, tagLength: 24 }),
  ),
};

for (const [name, hash] of Object.entries(formats)) {
  test(`${name}: the user logs in, and our hash replaces it`, async () => {
    const typed = name === "better-auth" ? TYPED.normalize("NFKC") : TYPED;
    const [user] = await worker.insertUsers(1, hash);
    worker.events();
    assertProblem(await worker.login({ ...user, password: typed.toUpperCase() }), 401, "invalid_credentials");
    assert.equal(await worker.storedHash(user), hash);

    assert.equal((await worker.login({ ...user, password: typed })).status, 200);
    const [{ rehashed }] = worker.events("login_succeeded");
    assert.equal(rehashed, true);
    const ours = await worker.storedHash(user);
    assert.match(ours, OURS);
    assert.notEqual(ours, hash);

    assert.equal((await worker.login({ ...user, password: typed.normalize("NFC") })).status, 200);
    assert.equal(worker.events("login_succeeded")[0].rehashed, false);
    assertProblem(await worker.login({ ...user, password: `${typed}!` }), 401, "invalid_credentials");
    assert.equal(await worker.storedHash(user), ours);
  });
}

test("a password that differs after the 72 bytes that bcrypt reads logs in, but does not become the password", async () => {
  const [user] = await worker.insertUsers(1);
  // Openwall's test vector: bytes after the 72nd do not count.
  const hash = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
  const prefix = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  await worker.setColumn(user, "password_hash", hash);
  for (const password of [
    `${prefix}chars after 72 are ignored`,
    `${prefix}chars after 72 are ignorred`,
    `${prefix}chars after 72 are ignored`,
  ]) {
    assert.equal((await worker.login({ ...user, password })).status, 200);
    assert.equal(await worker.storedHash(user), hash);
  }
  assert.equal((await worker.login({ ...user, password: prefix })).status, 200);
  assert.equal(await worker.storedHash(user), hash);
});

/** A password that another system hashed in NFC, as most keyboards type it. */
const COMPOSED = TYPED.normalize("NFC");
const inNfc = {
  Argon2: `argon2${phc({ message: COMPOSED, memory: 64, passes: 1 })}`,
  bcrypt: "$2b$05$abcdefghijklmnopqrstuumXG4a0avGzdnK5RDGXZIfYowv/36Xyy",
  PBKDF2: `$pbkdf2-sha256$i=1000$${bare("a salt")}$${bare(pbkdf2Sync(COMPOSED, "a salt", 1000, 32, "sha256"))}`,
  scrypt: `$scrypt$ln=10,r=8,p=1$${bare("a salt")}$${bare(scrypt(COMPOSED, "a salt", 32, 1024, 8, 1))}`,
  Firebase: firebase(COMPOSED),
  "PBKDF2, wrapped": wrapped("$pbkdf2-sha1$i=1000$c2FsdHNhbHQ", pbkdf2Sync(COMPOSED, "saltsalt", 1000, 20, "sha1")),
};

for (const [name, hash] of Object.entries(inNfc)) {
  test(`${name} of a password in NFC matches other normal forms too`, async () => {
    const [user] = await worker.insertUsers(1);
    await worker.setColumn(user, "password_hash", hash);
    assertProblem(await worker.login({ ...user, password: `${TYPED}!` }), 401, "invalid_credentials");
    assert.equal((await worker.login({ ...user, password: TYPED })).status, 200);
    assert.match(await worker.storedHash(user), OURS);
    assert.equal((await worker.login({ ...user, password: COMPOSED })).status, 200);
  });
}

test("our own hash is always of the password in NFC", async () => {
  const [user] = await worker.insertUsers(1);
  await worker.setColumn(user, "password_hash", phc({ message: TYPED }));
  for (const password of [TYPED, COMPOSED])
    assertProblem(await worker.login({ ...user, password }), 401, "invalid_credentials");
  await worker.setColumn(user, "password_hash", phc({ message: COMPOSED }));
  for (const password of [TYPED, COMPOSED]) assert.equal((await worker.login({ ...user, password })).status, 200);
});

test("two concurrent logins with an imported hash both succeed", async () => {
  const [user] = await worker.insertUsers(1);
  await worker.setColumn(user, "password_hash", formats.Django);
  const answers = await Promise.all(Array.from({ length: 2 }, () => worker.login({ ...user, password: TYPED })));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  );
  assert.match(await worker.storedHash(user), OURS);
});

test("NFKC applies to better-auth's hashes only", async () => {
  const [user] = await worker.insertUsers(1);
  await worker.setColumn(user, "password_hash", formats["better-auth"]);
  // While two normal forms match, the first one typed must not become the only password.
  assert.equal((await worker.login({ ...user, password: TYPED })).status, 200);
  assert.equal(await worker.storedHash(user), formats["better-auth"]);
  assert.equal((await worker.login({ ...user, password: TYPED.normalize("NFKC") })).status, 200);
  assert.match(await worker.storedHash(user), OURS);
  assert.equal((await worker.login({ ...user, password: TYPED })).status, 401);
  await worker.setColumn(user, "password_hash", formats.Django);
  assert.equal((await worker.login({ ...user, password: TYPED.normalize("NFKC") })).status, 401);
  assert.equal((await worker.login({ ...user, password: TYPED.normalize("NFC") })).status, 401);
});

test("an invalid or too costly stored hash is a 500 for that account only", async () => {
  const [user] = await worker.insertUsers(1);
  const [other] = await worker.insertUsers(1);
  for (const [hash, why] of [
    ["$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /costly.*64 MiB/],
    ["$argon2id$v=19$m=64,t=4294967295,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /costly/],
    ["$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", /costly.*bcrypt/],
    ["$pbkdf2-sha256$i=4294967295$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /costly.*PBKDF2/],
    ["$scrypt$ln=30,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /costly.*scrypt/],
    ["5f4dcc3b5aa765d61d8327deb882cf99", /known format/],
    ["", /known format/],
  ]) {
    await worker.setColumn(user, "password_hash", hash);
    worker.events();
    // Verifying it would take hours, or more memory than there is.
    assertProblem(await worker.login(user), 500, "internal_error");
    const [{ cause }] = worker.events("internal_error");
    assert.match(cause, why);
    assert.ok(cause.includes(user.user.id), cause);
    assert.ok(hash === "" || !cause.includes(hash.slice(-20)), cause);
    assert.equal(await worker.storedHash(user), hash);
    assert.equal((await worker.login(other)).status, 200);
  }
});

function aspnet2() {
  const salt = randomBytes(16);
  return b64(Buffer.concat([Buffer.of(0), salt, pbkdf2Sync(TYPED, salt, 1000, 32, "sha1")]));
}

function aspnet3(prf, digest) {
  const salt = randomBytes(16);
  const header = Buffer.alloc(13);
  header.writeUInt8(1);
  for (const [index, value] of [prf, 10_000, salt.length].entries()) header.writeUInt32BE(value, 1 + 4 * index);
  return b64(Buffer.concat([header, salt, pbkdf2Sync(TYPED, salt, 10_000, 32, digest)]));
}

function betterAuth() {
  const salt = randomBytes(16).toString("hex");
  return `${salt}:${scrypt(TYPED.normalize("NFKC"), salt, 64, 16384, 16, 1).toString("hex")}`;
}

function firebase(typed = TYPED) {
  const [salt, separator, signerKey] = [randomBytes(8), Buffer.of(7), randomBytes(64)];
  const key = scrypt(typed, Buffer.concat([salt, separator]), 32, 2 ** 14, 8, 1);
  const hash = createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(signerKey);
  return `$fbscrypt$v=1,n=14,r=8,p=1,ss=${b64(separator)},sk=${b64(signerKey)}$${b64(salt)}$${b64(hash)}`;
}

/** A weak hash as the import wraps it: its Argon2id hash, with its length in its place. */
function wrapped(scheme, hash) {
  return `$wrapped${scheme}$${hash.length}${phc({ message: hash })}`;
}

/** Decodes a hash in bcrypt's own base64. */
function bcryptBytes(text) {
  const [own, standard] = [
    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
  ];
  return Buffer.from([...text].map((c) => standard[own.indexOf(c)]).join(""), "base64");
}
