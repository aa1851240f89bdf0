// A project of a user with the npm package `portcullis` in node_modules, without the built Worker and without what the package contains
// for it. Its wrangler is the stand-in, or that of the repository.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { capture, env, path, read } from "../../scripts/lib.mjs";
import { template } from "../../scripts/release.mjs";
import { Account } from "./account.mjs";

export const STAND_IN = new URL("./stand-in-wrangler.mjs", import.meta.url).href;

// What check-config.mjs imports from wrangler: a Worker that answers.
const HARNESS = `
import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
export const unstable_readConfig = ({ config }) => {
  const toml = parse(readFileSync(config, "utf8"));
  return { ...toml, ratelimits: toml.ratelimits ?? [] };
};
export const createTestHarness = () => ({
  listen: async () => {},
  close: async () => {},
  getLogs: () => [],
  getWorker: () => ({ fetch: async () => new Response("{}") }),
});
`;

export class Project {
  /** @param {{ real?: boolean }} options `real`: with the wrangler of the repository. */
  constructor({ real = false } = {}) {
    /** Variables for the commands. */
    this.env = {};
    this.folder = mkdtempSync(join(tmpdir(), "portcullis-project-"));
    this.account = Account.make(join(this.folder, "account"));
    const home = this.path("node_modules", "portcullis");
    for (const name of ["src", "package.json"])
      cpSync(path("packages", "portcullis", name), join(home, name), { recursive: true });
    cpSync(path("migrations"), join(home, "dist", "migrations"), { recursive: true });
    this.write("wrangler.toml", template(read("wrangler.toml")));
    symlinkSync(path("node_modules", "smol-toml"), this.path("node_modules", "smol-toml"));
    if (real) symlinkSync(path("node_modules", "wrangler"), this.path("node_modules", "wrangler"));
    else this.addStandIn();
  }

  addStandIn() {
    const exports = { ".": "./index.mjs", "./package.json": "./package.json" };
    this.write("node_modules/wrangler/package.json", JSON.stringify({ name: "wrangler", type: "module", exports }));
    this.write("node_modules/wrangler/index.mjs", HARNESS);
    this.write("node_modules/wrangler/bin/wrangler.js", `import ${JSON.stringify(STAND_IN)};\n`);
  }

  path(...parts) {
    return join(this.folder, ...parts);
  }

  read(name) {
    return readFileSync(this.path(name), "utf8");
  }

  write(name, text) {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  /** Sets variables in wrangler.toml. */
  set(variables) {
    let text = this.read("wrangler.toml");
    for (const [name, value] of Object.entries(variables)) {
      const line = `${name} = ${JSON.stringify(value)}`;
      text = text.replace(new RegExp(`^(# )?${name} = .*`, "m"), line);
    }
    this.write("wrangler.toml", text);
  }

  /** Runs a command of the package. */
  run(name, ...args) {
    const program = this.path("node_modules", "portcullis", "src", "cli.mjs");
    return capture(process.execPath, [program, name, ...args], {
      cwd: this.folder,
      env: { ...env, INIT_CWD: this.folder, STAND_IN_ACCOUNT: this.account.folder, ...this.env },
    });
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
