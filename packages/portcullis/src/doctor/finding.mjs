// What the checks of `doctor` return.

import { DEFAULTS } from "../config.mjs";

/**
 * What a check finds. An error stops users, endangers them or loses data. A warning does so under some conditions. Information is
 * not wrong.
 * @typedef {{ level: "error" | "warning" | "info", text: string, fix?: string }} Finding
 * @typedef {{ name: string, about: string, find: (facts: any) => Finding[] }} Check
 */

/** @returns {Finding} */
export const error = (text, fix) => ({ level: "error", text, fix });
/** @returns {Finding} */
export const warning = (text, fix) => ({ level: "warning", text, fix });
/** @returns {Finding} */
export const info = (text, fix) => ({ level: "info", text, fix });

/** The value of a variable of the Worker. */
export const variableOf = ({ toml }, name) => String(toml.vars?.[name] ?? "") || DEFAULTS[name];

/** The items of a list separated by commas. */
export const listOf = (text = "") =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);

/** A period in words. */
export function duration(seconds) {
  for (const [unit, length] of /** @type {const} */ ([
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
  ])) {
    const count = Math.floor(seconds / length);
    if (count > 0) return `${count} ${unit}${count === 1 ? "" : "s"}`;
  }
  return "less than a minute";
}
