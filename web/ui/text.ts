// Times and devices as text.

import { fill, language, s } from "../strings/index.ts";

const date = (seconds: number) => new Date(seconds * 1000);
const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(language, options);

/** "26 Nov 2026, 04:41" */
export const moment = (seconds: number) => format({ dateStyle: "medium", timeStyle: "short" }).format(date(seconds));
/** "26 Nov 2026" */
export const day = (seconds: number) => format({ dateStyle: "medium" }).format(date(seconds));
/** "04:41" */
export const clock = (seconds: number) => format({ timeStyle: "short" }).format(date(seconds));
export const iso = (seconds: number) => date(seconds).toISOString();

/** A heading for all entries of one day: "Today", "Yesterday", "Thursday, 26 November 2026". */
export function dayHeading(seconds: number): string {
  const midnight = (at: Date) => new Date(at).setHours(0, 0, 0, 0);
  // Rounded, because a day has 23 or 25 hours when the clocks change.
  const days = Math.round((midnight(date(seconds)) - midnight(new Date())) / 86_400_000);
  if (days < -1 || days > 0) return format({ dateStyle: "full" }).format(date(seconds));
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(days, "day");
  return relative.charAt(0).toLocaleUpperCase(language) + relative.slice(1);
}

/** "now", "5 minutes ago", "yesterday"; a date if it is more than a week ago. */
export function ago(seconds: number): string {
  const passed = Math.max(0, Date.now() / 1000 - seconds);
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (passed < 60) return relative.format(0, "second");
  if (passed < 3_600) return relative.format(-Math.floor(passed / 60), "minute");
  if (passed < 86_400) return relative.format(-Math.floor(passed / 3_600), "hour");
  if (passed < 604_800) return relative.format(-Math.floor(passed / 86_400), "day");
  return day(seconds);
}

/** The first match counts, because most browsers also name other browsers. */
const BROWSERS: [RegExp, string][] = [
  [/Edg(e|A|iOS)?\//, "Edge"],
  [/OPR\//, "Opera"],
  [/SamsungBrowser\//, "Samsung Internet"],
  [/(Firefox|FxiOS)\//, "Firefox"],
  [/(HeadlessChrome|Chrome|CriOS)\//, "Chrome"],
  [/Version\/.*Safari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone/, "iPhone"],
  [/iPad/, "iPad"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

export interface Device {
  /** "Firefox on Windows" */
  name: string;
  isPhone: boolean;
}

/** The device that a `User-Agent` names. For a program that is not a browser, its name: "curl". */
export function device(agent: string | null | undefined): Device {
  const find = (known: [RegExp, string][]) => known.find(([pattern]) => pattern.test(agent ?? ""))?.[1];
  const browser = find(BROWSERS);
  const system = find(SYSTEMS);
  const isPhone = /iPhone|iPad|Android/.test(agent ?? "");
  if (browser && system) return { name: fill(s.device.on, { browser, system }), isPhone };
  const program = agent?.trim().split(/[/\s]/)[0]?.slice(0, 40);
  return { name: browser ?? system ?? (program || s.device.unknown), isPhone };
}
