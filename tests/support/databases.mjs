// Local databases for the tests of the commands, each in its own folder, laid out as that of `npm run dev`.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";

import { buildRules } from "../../scripts/build.mjs";
import { capture, env, filesUnder, path, wrangler } from "../../scripts/lib.mjs";
import { cached } from "./cached.mjs";
import { Checkout } from "./checkout.mjs";
import { startWorker } from "./harness.mjs";
import { localD1 } from "./local-d1.mjs";

export const STAND_IN = fileURLToPath(new URL("./stand-in-wrangler.mjs", import.meta.url));

export class Databases {
  made = [];

  /** Prepares a database with the schema and no users, which `empty` copies. */
  static async make() {
    const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
    const template = await migrated();
    await buildRules("rules");
    return Object.assign(new Databases(), { folder, template, checkout: checkoutWithStandIn() });
  }

  /** A new database with the schema and no users. */
  empty(name) {
    cpSync(this.template, join(this.folder, name), { recursive: true });
    return this.absent(name);
  }

  /** Writes a file of lines, which are strings or values to serialize as JSON. Returns its path. */
  file(name, lines) {
    const text = lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`);
    writeFileSync(join(this.folder, name), text.join(""));
    return join(this.folder, name);
  }

  /** A database that does not exist yet, or one in this folder. */
  absent(name) {
    const database = new LocalDatabase(join(this.folder, name), this.checkout);
    this.made.push(database);
    return database;
  }

  async remove() {
    for (const { d1 } of this.made) await (await d1)?.close();
    rmSync(this.folder, { recursive: true, force: true });
    this.checkout.remove();
  }
}

/** A database to which wrangler has applied the migrations. */
export const migrated = () =>
  cached("database", ["wrangler.toml", ...filesUnder("migrations")], async (folder) => {
    const { code, stdout, stderr } = await wrangler(
      ["d1", "migrations", "apply", "DB", "--local", "--persist-to", folder],
      capture,
    );
    assert.equal(code, 0, stdout + stderr);
  });

/** A checkout in which everything is installed and compiled, and wrangler is a stand-in. */
export function checkoutWithStandIn(standIn = STAND_IN) {
  const checkout = new Checkout();
  for (const name of ["npm", "cargo"]) checkout.printing(`programs/${name}`, "");
  const installed = ["rustc", "cargo", "rustfmt", "clippy", "rust-std-wasm32-unknown-unknown"];
  checkout.printing("programs/rustup", installed.map((name) => `${name}-x`).join("\n"));
  mkdirSync(checkout.path("build"));
  checkout.link(".tools", "build/rules");
  checkout.write("node_modules/.installed", readFileSync(path("node_modules", ".installed")));
  checkout.write(".dev.vars", "");
  mkdirSync(checkout.path("node_modules", ".bin"));
  // The scripts read wrangler.toml and rust-toolchain.toml with it.
  symlinkSync(path("node_modules", "smol-toml"), checkout.path("node_modules", "smol-toml"));
  symlinkSync(path("node_modules", "age-encryption"), checkout.path("node_modules", "age-encryption"));
  symlinkSync(process.execPath, checkout.path("node_modules", ".bin", "node"));
  symlinkSync(standIn, checkout.path("node_modules", ".bin", "wrangler"));
  return checkout;
}

class LocalDatabase {
  constructor(folder, checkout) {
    this.checkout = checkout;
    this.folder = folder;
    this.options = ["--persist-to", folder];
    // Temporary files of a killed import are removed with the folder.
    this.temporary = join(folder, "tmp");
    mkdirSync(this.temporary, { recursive: true });
    this.env = { ...env, TMPDIR: this.temporary, INIT_CWD: dirname(folder), WRANGLER_LOG_PATH: join(folder, "logs") };
    this.files = join(folder, "v3", "d1", "miniflare-D1DatabaseObject");
  }

  /** Runs a command on this database, as if called from the folder of all databases. */
  script(name, ...args) {
    return capture("node", ["packages/portcullis/src/cli.mjs", name, ...args, ...this.options], { env: this.env });
  }

  /** The same with the stand-in for wrangler, which starts faster, and in Node's own SQLite. */
  quick(name, ...args) {
    return this.#withStandIn({}, name, args);
  }

  /** The same with the stand-in, and in D1. */
  inD1(name, ...args) {
    return this.byWrangler(undefined, name, ...args);
  }

  /** The same, but the real wrangler does what its arguments ask with this text in them: each start of it takes two seconds. */
  async byWrangler(text, name, ...args) {
    this.d1 ??= localD1(this.folder);
    return this.#withStandIn({ STAND_IN_D1: (await this.d1).url, STAND_IN_REAL: text }, name, args);
  }

  #withStandIn(more, name, args) {
    const { PATH, ...others } = this.env;
    return this.checkout.node(this.checkout.command(name, ...args, ...this.options), { ...others, ...more });
  }

  /** Starts a Worker on this database. It hashes passwords at the default cost. */
  serve() {
    return startWorker({ folder: this.folder, vars: { ARGON2_MEMORY_KIB: null, ARGON2_ITERATIONS: null } });
  }

  /** The number of users, and the staging tables that exist. */
  counts() {
    const [{ users }] = this.rows("SELECT COUNT(*) AS users FROM users");
    const staging = this.rows("SELECT name FROM sqlite_master WHERE name LIKE 'import%'").map(({ name }) => name);
    return { users, staging };
  }

  /** Queries the SQLite file directly, because wrangler takes a second to start. */
  rows(sql) {
    return this.open((sqlite) =>
      sqlite
        .prepare(sql)
        .all()
        .map((row) => ({ ...row })),
    );
  }

  run(sql) {
    this.open((sqlite) => sqlite.exec(sql));
  }

  /** Runs `act` while the database is locked for writing, until `free` is called. */
  async locked(act) {
    const sqlite = new DatabaseSync(this.file());
    sqlite.exec("BEGIN IMMEDIATE");
    const free = () => sqlite.isOpen && sqlite.close();
    try {
      await act(free);
    } finally {
      free();
    }
  }

  file() {
    const [name] = readdirSync(this.files).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
    return join(this.files, name);
  }

  open(act) {
    const sqlite = new DatabaseSync(this.file(), { timeout: 10_000 });
    try {
      return act(sqlite);
    } finally {
      sqlite.close();
    }
  }
}
