// How commands read their arguments and describe themselves.

import { parseArgs } from "node:util";

import { misused } from "./failure.mjs";
import { called } from "./place.mjs";

/**
 * An option without a value.
 * @returns {{ type: "boolean", default: boolean, help: string }}
 */
export const flag = (help) => ({ type: "boolean", default: false, help });

/**
 * An option with a value, by the name of which the usage calls it.
 * @returns {{ type: "string", value: string, help: string }}
 */
export const text = (value, help) => ({ type: "string", value, help });

/** The options of every command that uses the database. */
export const database = {
  remote: flag("uses the deployed database, not the local one"),
  "persist-to": text("FOLDER", "with the local database: its folder, instead of .wrangler/state"),
};

/** The option of every command. cli.mjs reads it before the others. */
export const json = { json: flag("prints the result as JSON to stdout, and messages to stderr") };

/** The usage of a command: its forms, an empty line, what it does, and its options. */
export function usageOf(name, { about, forms, options }) {
  const shown = Object.entries(options).filter(([, { help }]) => help !== undefined);
  const names = shown.map(([option, { value }]) => `--${option}${value ? ` ${value}` : ""}`);
  const width = Math.max(...names.map((option) => option.length)) + 4;
  const lines = shown.map(([, { help }], index) => `  ${names[index].padEnd(width)}${help}`);
  return `${forms.map((form) => called(name, form)).join("\n       ")}\n\n${[about, ...lines].join("\n")}`;
}

/** Parses the arguments of a command that has that number of positional ones, or from `least` to `most`. */
export function parse(args, options, least, most = least) {
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    misused(error.message);
  }
  const found = parsed.positionals.length;
  if (found < least || found > most) {
    const expected = least === most ? least : `${least} to ${most}`;
    misused(`expected ${expected} arguments, found ${found}`);
  }
  if (parsed.values.remote && parsed.values["persist-to"]) misused("--persist-to is for the local database");
  return parsed;
}
