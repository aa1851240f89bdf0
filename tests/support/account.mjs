// A stand-in for a Cloudflare account: a folder with the state and the calls of wrangler, and the D1 database. The stand-in for wrangler
// acts on it.

import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const EMPTY = {
  loggedIn: true,
  namespaces: [],
  databases: [],
  secrets: {},
  // Without one, the Worker does not exist; a secret creates it.
  deployments: [],
  // Commands that fail, by their beginning: what they print.
  failing: {},
  // The size that `d1 info` reports, if it is not that of the file.
  size: undefined,
};

export class Account {
  constructor(folder) {
    this.folder = folder;
    this.database = join(folder, "database.sqlite");
  }

  static make(folder, state = {}) {
    mkdirSync(folder, { recursive: true });
    const account = new Account(folder);
    account.state = { ...EMPTY, ...state };
    return account;
  }

  get state() {
    return JSON.parse(readFileSync(join(this.folder, "state.json"), "utf8"));
  }

  set state(state) {
    writeFileSync(join(this.folder, "state.json"), JSON.stringify(state));
  }

  change(changes) {
    this.state = { ...this.state, ...changes };
  }

  record(call) {
    appendFileSync(join(this.folder, "calls"), `${JSON.stringify(call)}\n`);
  }

  /** The calls since the last time that they were taken. */
  takeCalls() {
    const file = join(this.folder, "calls");
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
    writeFileSync(file, "");
    return lines.map((line) => JSON.parse(line));
  }

  /** Runs statements on the database; returns the rows of the last one, a query. */
  run(sql, query = "SELECT 1") {
    const sqlite = new DatabaseSync(this.database);
    try {
      sqlite.exec(sql);
      return sqlite.prepare(query).all();
    } finally {
      sqlite.close();
    }
  }

  /** Applies those migrations of a folder that are not applied, as wrangler does. */
  migrate(folder, names = readdirSync(folder).sort()) {
    const table = "d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TEXT)";
    const applied = this.run(`CREATE TABLE IF NOT EXISTS ${table}`, "SELECT name FROM d1_migrations");
    for (const name of names.filter((name) => !applied.some((row) => row.name === name)))
      this.run(`${readFileSync(join(folder, name), "utf8")}; INSERT INTO d1_migrations (name) VALUES ('${name}')`);
  }

  /** Whether a command fails; prints why. */
  refuses(command) {
    const [, problem] = Object.entries(this.state.failing).find(([start]) => command.startsWith(start)) ?? [];
    if (problem === undefined) return false;
    console.error(problem);
    process.exitCode = 1;
    return true;
  }

  /** Answers a command of wrangler. */
  answer(command, { "dry-run": dryRun }) {
    if (this.refuses(command)) return;
    const { loggedIn, namespaces, databases, secrets, deployments, size } = this.state;
    const print = (value) => console.log(JSON.stringify(value));
    const exists = deployments.length > 0 || Object.keys(secrets).length > 0;
    if (command === "whoami") {
      print({ loggedIn });
      process.exitCode = loggedIn ? 0 : 1;
      return;
    }
    if (command === "deploy" && dryRun) return;
    if (!loggedIn) throw new Error(`${command} without an account`);
    if (command === "kv namespace list") return print(namespaces);
    if (command === "d1 list") return print(databases);
    if (command === "deployments list") return print(deployments);
    if (command === "d1 info DB") return print({ database_size: size ?? statSync(this.database).size });
    if (command.startsWith("kv namespace create ")) {
      const title = command.split(" ").at(-1);
      return this.change({ namespaces: [...namespaces, { id: `id-of-${title}`, title }] });
    }
    if (command.startsWith("d1 create "))
      return this.change({ databases: [...databases, { name: command.split(" ").at(-1) }] });
    if (command === "d1 migrations apply DB") {
      const [, folder] = readFileSync("wrangler.toml", "utf8").match(/^migrations_dir = "(.*)"$/m);
      return this.migrate(folder);
    }
    if (command === "secret list") {
      if (exists) return print(Object.keys(secrets).map((name) => ({ name, type: "secret_text" })));
      console.error('Worker "portcullis" not found.');
      process.exitCode = 1;
      return;
    }
    if (command === "secret bulk")
      return this.change({ secrets: { ...secrets, ...JSON.parse(readFileSync(0, "utf8")) } });
    if (command === "deploy")
      return this.change({ deployments: [...deployments, { versions: [{ version_id: "v", percentage: 100 }] }] });
    throw new Error(`this stand-in does not support \`${command}\``);
  }
}
