// The language of the page: the first of the browser's languages that has a file.

import { en } from "./en.ts";

export type Plural = { other: string } & Partial<Record<Intl.LDMLPluralRule, string>>;
/** The shape of every language: that of English, with any text and any forms of a plural. */
type Shape<T> = { [K in keyof T]: T[K] extends string ? string : T[K] extends Plural ? Plural : Shape<T[K]> };
export type Strings = Shape<typeof en>;

/** The languages besides English. Each is loaded only when it is chosen. */
const OTHERS: Record<string, () => Promise<Strings>> = {
  de: () => import("./de.ts").then(({ de }) => de),
};

/** The strings of the chosen language. */
export let s: Strings = en;
/** The language as a BCP 47 tag, with the user's region, which determines the format of dates. */
export let language = "en";

/** Chooses the language. If its file cannot be fetched, the page is in English. */
export async function chooseLanguage(wanted: readonly string[]): Promise<void> {
  const primary = (tag: string) => tag.toLowerCase().split("-")[0] ?? "";
  const chosen = wanted.filter(isValid).find((tag) => primary(tag) === "en" || primary(tag) in OTHERS) ?? "en";
  try {
    s = (await OTHERS[primary(chosen)]?.()) ?? en;
    language = chosen;
  } catch {
    // English stays.
  }
  document.documentElement.lang = language;
}

/** Whether dates can be formatted in a language. Browsers also report invalid ones, such as `en-US@posix` without a locale. */
function isValid(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

/** Fills in the `{…}` of a text. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The form of a plural for a number, filled in. */
export function plural(forms: Plural, n: number): string {
  const form = forms[new Intl.PluralRules(language).select(n)] ?? forms.other;
  return fill(form, { n: n.toLocaleString(language) });
}

/** The value for a name from the API or the address, if there is one. */
export function named<T>(texts: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(texts, name) ? texts[name] : undefined;
}
