// Drills: a test does what a page in docs/operations says, by running the page's own commands. Commands for Cloudflare act on the Worker
// of the test, as tests/support/stand-in-cloudflare.mjs does.

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";

import { parse } from "smol-toml";

import { devVars, makeSecrets } from "../../packages/portcullis/src/secrets.mjs";
import { buildRules } from "../../scripts/build.mjs";
import { capture, env, path } from "../../scripts/lib.mjs";
import { checkoutWithStandIn } from "./databases.mjs";
import { startWorker } from "./harness.mjs";

const CLOUDFLARE = fileURLToPath(new URL("./stand-in-cloudflare.mjs", import.meta.url));

/** `npm run NAME -- ARGS` runs the command in the checkout; a deployment is only recorded. */
const NPM = `#!/bin/sh
shift
[ "$1" = --silent ] && shift
name=$1
shift
[ "$1" = -- ] && shift
[ "$name" = deploy ] && exec wrangler deploy "$@"
exec node packages/portcullis/src/cli.mjs "$name" "$@"
`;

export class Drill {
  #done = 0;

  /** Reads a page, and starts a Worker with a copy of its secrets in secrets.env. `options`: those of `startWorker`. */
  static async start(name, { vars, ...options } = {}) {
    const text = readFileSync(path("docs", "operations", name), "utf8");
    await buildRules("rules");
    const secrets = makeSecrets();
    const worker = await startWorker({ vars, secrets, ...options });
    const checkout = checkoutWithStandIn(CLOUDFLARE);
    checkout.write("state/target.json", JSON.stringify({ url: worker.url }));
    checkout.write("secrets.env", devVars(secrets));
    checkout.write("programs/npm", NPM);
    checkout.write("programs/npx", '#!/bin/sh\nexec "$@"\n');
    for (const program of ["npm", "npx"]) chmodSync(checkout.path("programs", program), 0o755);
    symlinkSync(CLOUDFLARE, checkout.path("programs", "wrangler"));
    symlinkSync(process.execPath, checkout.path("programs", "node"));
    // Commands for the deployed database refuse an issuer that is not public.
    const settings = checkout.read("wrangler.toml").replace(/^ISSUER = .*$/m, 'ISSUER = "https://auth.example.org"');
    checkout.write("wrangler.toml", settings);
    mkdirSync(checkout.path("tmp"));
    return Object.assign(new Drill(), { worker, checkout, text, blocks: blocksOf(text, "sh"), vars: {}, secrets });
  }

  /** The first block of another language. */
  block(language) {
    return blocksOf(this.text, language)[0];
  }

  /**
   * Runs the page's next block of commands, and applies what it stored at Cloudflare. `values`: what stands in the page as an example, and
   * what the drill has instead. `input`: what is typed. Asserts the exit code.
   */
  async next({ values = {}, input = "", code = 0 } = {}) {
    const block = this.blocks[this.#done] ?? assert.fail("the page has no further commands");
    this.#done += 1;
    let script = block;
    for (const [shown, value] of Object.entries(values)) {
      assert.ok(script.includes(shown), `the commands do not contain ${shown}`);
      script = script.replaceAll(shown, () => value);
    }
    const { checkout } = this;
    const ended = await capture("sh", ["-ec", script], {
      input,
      cwd: checkout.folder,
      env: {
        ...env,
        ...checkout.env,
        INIT_CWD: checkout.folder,
        DRILL: checkout.path("state"),
        TMPDIR: checkout.path("tmp"),
      },
    });
    assert.equal(ended.code, code, `${script}\n${ended.stdout}${ended.stderr}`);
    await this.#apply();
    return ended;
  }

  /** Lets `next` run the last block again. */
  repeat() {
    this.#done -= 1;
  }

  /** Asserts that every block of the page was run. */
  assertDone() {
    assert.deepEqual(this.blocks.slice(this.#done), [], "the page has commands that the drill does not run");
  }

  /** Sets variables in wrangler.toml, as the page says in a block of TOML. The next deployment applies them. */
  set(toml) {
    const names = Object.keys(parse(toml));
    const lines = this.checkout
      .read("wrangler.toml")
      .split("\n")
      .filter((line) => !names.some((name) => line.startsWith(`${name} =`)));
    const at = lines.indexOf("[vars]") + 1;
    assert.ok(at > 0);
    this.checkout.write("wrangler.toml", [...lines.slice(0, at), toml, ...lines.slice(at)].join("\n"));
  }

  /** The commands that wrangler was given. */
  calls() {
    const file = this.checkout.path("state", "calls.ndjson");
    if (!existsSync(file)) return [];
    return readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  /** Applies the secrets that were stored and the variables that were deployed. */
  async #apply() {
    const stored = this.checkout.path("state", "secrets.json");
    const secrets = existsSync(stored) ? JSON.parse(readFileSync(stored, "utf8")) : {};
    const deployments = this.calls().filter(([command]) => command === "deploy").length;
    if (deployments > (this.deployments ?? 0)) {
      const { ISSUER, AUDIENCE, ...vars } = parse(this.checkout.read("wrangler.toml")).vars;
      this.vars = vars;
    }
    this.deployments = deployments;
    const configuration = JSON.stringify([this.vars, secrets]);
    if (configuration === (this.configuration ?? JSON.stringify([{}, {}]))) return;
    this.configuration = configuration;
    await this.worker.update({ vars: this.vars, secrets });
  }

  /** The copy of the secrets. */
  copy() {
    return parseEnv(this.checkout.read("secrets.env"));
  }

  /** The rows of all tables, and a function that restores them as D1 Time Travel does, leaving KV as it is. */
  async backup() {
    const { db } = this.worker;
    const kept = await this.worker.dump();
    // Sessions before factors, because a trigger ignores a session that begins without one. Marks last, because a trigger writes them.
    const last = ["owed_marks"];
    const first = ["users", "refresh_tokens"];
    const others = Object.keys(kept).filter((table) => ![...first, ...last].includes(table));
    const tables = [...first, ...others, ...last];
    return async () => {
      const columns = await Promise.all(
        tables.map(async (table) => {
          const { results } = await db.prepare(`SELECT name FROM pragma_table_info('${table}')`).all();
          return results.map(({ name }) => name);
        }),
      );
      const rows = tables.flatMap((table, index) =>
        kept[table].map((row) => {
          const names = columns[index];
          const insert = `INSERT INTO ${table} (${names}) VALUES (${names.map(() => "?")})`;
          return db.prepare(insert).bind(...names.map((name) => row[name]));
        }),
      );
      const remove = [...others, ...first.toReversed(), ...last].map((table) => db.prepare(`DELETE FROM ${table}`));
      await db.batch([...remove, ...rows]);
    };
  }

  async close() {
    await this.worker.close();
    this.checkout.remove();
  }
}

/** The blocks of code in a language. */
function blocksOf(text, language) {
  return [...text.matchAll(new RegExp(`^ *\`\`\`${language}\\n(.*?)^ *\`\`\``, "gms"))].map(([, code]) =>
    code.replaceAll(/^ {3}/gm, ""),
  );
}
