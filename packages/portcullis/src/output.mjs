// What a command prints. With --json, stdout has only the result as JSON, and everything else goes to stderr.

let isJson = false;

export const printsJson = () => isJson;

/** Calls before a command prints anything. */
export function useJson() {
  isJson = true;
}

/** The descriptor of messages, for programs whose output is passed through. */
export const messages = () => (isJson ? 2 : 1);

/** Prints a message. */
export const say = (text) => (isJson ? console.error(text) : console.log(text));

/** Prints the result as text; with --json, the result is printed as JSON instead. */
export const show = (text) => isJson || console.log(text);

export const heading = (text) => say(`\n== ${text}`);

export const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/** Control characters and invisible ones. Some values come from clients, and must not act on a terminal. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

export const printable = (text) => text.replaceAll(INVISIBLE, "\u{fffd}");

export function printJson(value) {
  const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  console.log(JSON.stringify(value).replaceAll(INVISIBLE, (character) => character.split("").map(escaped).join("")));
}

/** Prints rows in aligned columns. */
export function showTable(rows) {
  const shown = rows.map((row) => row.map(printable));
  const widths = shown.reduce((widest, row) => row.map((cell, n) => Math.max(cell.length, widest[n] ?? 0)), []);
  for (const row of shown)
    show(
      row
        .map((cell, n) => cell.padEnd(widths[n]))
        .join("  ")
        .trimEnd(),
    );
}
