// Makes a project: a folder with wrangler.toml, package.json, this package, and what it depends on.

import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";

import { json, parse } from "../command.mjs";
import { COMMANDS } from "../commands.mjs";
import { fail } from "../failure.mjs";
import { say, seconds, show } from "../output.mjs";
import { home, isPackage, template } from "../place.mjs";
import { capture } from "../programs.mjs";

export const about = "Makes a project in DIR, or in this folder, which must be empty, and installs what it needs.";
export const result = '`{"folder", "files"}`';
export const forms = ["[DIR] [--json]"];
export const options = json;

/** The oldest Node on which wrangler runs. A project on an older one gets a Node of its own, in this version. */
const MIN_NODE = { major: 22, minor: 12 };
const OWN_NODE = "24.21.0";

export async function main(args) {
  const {
    positionals: [name = "."],
  } = parse(args, options, 0, 1);
  if (!isPackage) fail("a checkout needs no project. `npm run release` makes the package with this command");
  const folder = resolve(name);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found && (!found.isDirectory() || readdirSync(folder).some((file) => file !== ".git")))
    fail(`${folder} is not an empty folder, and nothing is overwritten`);
  mkdirSync(folder, { recursive: true });
  cpSync(template, join(folder, "wrangler.toml"));
  writeFileSync(
    join(folder, ".gitignore"),
    "node_modules/\n.wrangler/\n.dev.vars*\n*.env\n*.ndjson\n*.backup\nbackup-identity.txt\nportcullis.sql\n",
  );
  writeFileSync(join(folder, "README.md"), readme(basename(folder)));
  const archive = await npm(folder, "pack", home, "--json", "--pack-destination", folder);
  const [{ filename }] = JSON.parse(archive);
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest(folder, filename), null, 2)}\n`);

  say("installing wrangler and the runtime of the Worker (about 20 seconds)");
  const started = Date.now();
  await npm(folder, "install", "--no-audit", "--no-fund", "--prefer-offline");
  say(`installed (${seconds(started)})`);
  const shown = relative(".", folder);
  show(`
${shown === "" ? "This folder" : shown} is a project of Portcullis. Next:
${shown === "" ? "" : `  cd ${shown}\n`}  npx portcullis dev       serves it on http://localhost:8787
  npx portcullis --help    lists the other commands
To deploy it, follow node_modules/portcullis/docs/operations/deploying.md, which says how to keep a copy of the secrets.`);
  return { folder, files: readdirSync(folder).filter((file) => file !== ".git") };
}

/** The package.json of a project. The archive of the package is in the folder, so that a clone of it can be installed. */
function manifest(folder, archive) {
  const { name } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const commands = Object.keys(COMMANDS).filter((command) => command !== "init");
  const [major, minor] = process.versions.node.split(".").map(Number);
  const isOld = major < MIN_NODE.major || (major === MIN_NODE.major && minor < MIN_NODE.minor);
  return {
    name:
      basename(folder)
        .toLowerCase()
        .replaceAll(/[^a-z0-9-]+/g, "-")
        .replaceAll(/^-+|-+$/g, "") || "auth",
    private: true,
    scripts: Object.fromEntries(commands.map((command) => [command, `portcullis ${command}`])),
    dependencies: { [name]: `file:${archive}`, ...(isOld ? { node: OWN_NODE } : {}) },
    // The packages whose install scripts npm runs.
    allowScripts: { esbuild: true, workerd: true, ...(isOld ? { node: true } : {}) },
  };
}

const readme = (name) => `# ${name}

Sign-in by Portcullis, as a Cloudflare Worker.

| command | what |
|---|---|
| \`npx portcullis dev\` | serves it on http://localhost:8787, with a local database and local keys |
| \`npx portcullis deploy\` | deploys it, with the settings of \`wrangler.toml\` |
| \`npx portcullis --help\` | lists the other commands |

\`node_modules/portcullis/docs\` is the documentation. Commit every file but those in \`.gitignore\`: they have the data and the secrets of
this machine. To upgrade, install the archive of the new version: \`npm install ./portcullis-X.Y.Z.tgz\`.
`;

/** Runs npm in a folder. Shows its output only if it fails. */
async function npm(folder, ...args) {
  const { code, stdout, stderr } = await capture("npm", args, { cwd: folder });
  if (code === 0) return stdout;
  fail(`\`npm ${args[0]}\` failed:\n${stdout}${stderr}\nDelete ${folder}, and run this again.`);
}
