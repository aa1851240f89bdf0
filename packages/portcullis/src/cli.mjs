#!/usr/bin/env node
// The command `portcullis`, and the npm scripts of the same names in a checkout.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { usageOf } from "./command.mjs";
import { COMMANDS } from "./commands.mjs";
import { misused, report } from "./failure.mjs";
import { printJson, useJson } from "./output.mjs";
import { home } from "./place.mjs";

const isHelp = (arg) => arg === "--help" || arg === "-h";

async function overview() {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length)) + 2;
  const lines = [];
  for (const [name, load] of Object.entries(COMMANDS)) lines.push(`  ${name.padEnd(width)}${(await load()).about}`);
  return `usage: portcullis COMMAND [--help]\n\n${lines.join("\n")}`;
}

async function main(/** @type {any} */ [name, ...args]) {
  if (name === undefined || isHelp(name)) return console.log(await overview());
  if (name === "--version") return console.log(JSON.parse(readFileSync(join(home, "package.json"), "utf8")).version);
  if (!Object.hasOwn(COMMANDS, name)) misused(`unknown command ${name}`, "portcullis COMMAND [--help]");
  const command = await COMMANDS[name]();
  const usage = usageOf(name, command);
  if (args.some(isHelp)) return console.log(`usage: ${usage}`);
  const isJson = args.includes("--json");
  if (isJson) useJson();
  try {
    const result = await command.main(args);
    if (isJson && result !== undefined) printJson(result);
  } catch (error) {
    report(error, usage);
  }
}

main(process.argv.slice(2)).catch((error) => report(error));
