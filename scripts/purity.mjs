// `src/auth/` holds the rules, and rules are functions of their arguments: no runtime, no clock, no randomness, no
// storage, nothing else of the crate. The compiler cannot say that of a module, so this does.

const forbidden = [
  [/\b(?:worker|worker_sys|js_sys|web_sys|wasm_bindgen|wasm_bindgen_futures)\b/g, "the Workers runtime"],
  [/\b(?:SystemTime|Instant|(?:Utc|Local|Date)\s*::\s*now)\b/g, "a clock: take `now` as an argument"],
  [/\b(?:getrandom|OsRng|SysRng|thread_rng|rand)\b/g, "randomness: take the bytes as an argument"],
  // An address is a value; asking for one is not.
  [/\bstd\s*::\s*(?:env|fs|io|net(?!\s*::\s*IpAddr\b)|process|thread)\b/g, "the outside world"],
  [/\bcrate\s*::(?!\s*auth\b)/g, "the rest of the crate"],
];

/**
 * What a Rust file of `src/auth/` may not mention but does: one sentence each, beginning with `file:line`.
 * @param {string} file its path from the project's root, `src/auth/email.rs`
 * @param {string} source its text
 */
export function impurities(file, source) {
  const code = withoutCommentsAndStrings(source);
  const found = forbidden.flatMap(([pattern, what]) => [...code.matchAll(pattern)].map((match) => ({ match, what })));

  // `super` leads out of `auth` too, when there are enough of it.
  const inTests = code.search(/\bmod\s+\w+\s*\{/);
  for (const match of code.matchAll(/\bsuper\b(?:\s*::\s*super\b)*/g)) {
    const ups = match[0].match(/super/g).length;
    const depth = depthInAuth(file) + (inTests >= 0 && match.index > inTests ? 1 : 0);
    if (ups > depth) found.push({ match, what: "the rest of the crate" });
  }
  return found
    .sort((a, b) => a.match.index - b.match.index)
    .map(({ match, what }) => `${file}:${lineAt(code, match.index)}: \`${match[0]}\` is ${what}`);
}

/** How many `super`s of a file still stay within `auth`: none in mod.rs, one in email.rs. */
function depthInAuth(file) {
  const parts = file.replace(/^src\/auth\//, "").split("/");
  return parts.at(-1) === "mod.rs" ? parts.length - 1 : parts.length;
}

const lineAt = (text, index) => text.slice(0, index).split("\n").length;

// Comments (which may nest), raw strings, strings, characters; each is blanked out, line breaks kept.
const literals = /\/\/[^\n]*|\/\*|\b(?:b|c)?r(#*)"[\s\S]*?"\1|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[^\n]+?|[^'\\\n])'/g;

function withoutCommentsAndStrings(source) {
  const blank = (text) => text.replace(/[^\n]/g, " ");
  let code = "";
  let at = 0;
  for (let match; (match = nextLiteral(source, at)); ) {
    const end = match[0] === "/*" ? endOfComment(source, match.index) : match.index + match[0].length;
    code += source.slice(at, match.index) + blank(source.slice(match.index, end));
    at = end;
  }
  return code + source.slice(at);
}

function nextLiteral(source, from) {
  literals.lastIndex = from;
  return literals.exec(source);
}

function endOfComment(source, start) {
  let depth = 0;
  for (const match of source.slice(start).matchAll(/\/\*|\*\//g)) {
    depth += match[0] === "/*" ? 1 : -1;
    if (depth === 0) return start + match.index + 2;
  }
  return source.length;
}
