// The layers of the code: a module uses only lower layers, files have no circular dependencies, and JavaScript values
// occur only in platform/.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** The modules of src/ that each may use. All may use the core crate, which can use none of them. */
const MAY_USE = {
  lib: [
    "app",
    "routes",
    "sessions",
    "mail",
    "factors",
    "limits",
    "context",
    "store",
    "platform",
    "http",
    "config",
    "log",
  ],
  app: ["routes", "sessions", "factors", "limits", "metrics", "context", "store", "platform", "http", "config", "log"],
  routes: ["sessions", "mail", "factors", "limits", "metrics", "context", "store", "platform", "http", "config", "log"],
  // A session begins with the proof that a factor gives.
  sessions: ["mail", "factors", "limits", "metrics", "context", "store", "platform", "http", "config", "log"],
  // Factors tell users of failed attempts.
  mail: ["context", "store", "platform", "http", "config", "log"],
  factors: ["mail", "limits", "metrics", "context", "store", "platform", "http", "config", "log"],
  metrics: ["context", "store", "platform", "http", "config", "log"],
  limits: ["context", "platform", "http", "log"],
  context: ["store", "platform", "config", "log"],
  store: ["platform"],
  platform: [],
  http: [],
  config: [],
  log: [],
};

/** The files of a crate by module path, such as "http::json": their code, without comments and tests. */
function modules(folder) {
  const names = readdirSync(new URL(`../../${folder}`, import.meta.url), { recursive: true }).map((name) =>
    name.replaceAll("\\", "/"),
  );
  const files = names.filter((name) => name.endsWith(".rs") && !/(^|\/)tests\.rs$/.test(name));
  return new Map(
    files.map((name) => {
      const source = readFileSync(new URL(`../../${folder}/${name}`, import.meta.url), "utf8");
      const [code] = source.replace(/^\s*\/\/.*$/gm, "").split(/^#\[cfg\(test\)\]\n(?:pub\(crate\) )?mod /m);
      const path = name.replace(/(\/?mod|^lib|^main)?\.rs$/, "").replaceAll("/", "::");
      return [path, { name: `${folder}/${name}`, code }];
    }),
  );
}

/** The paths of a use tree, each with the imported name: `a::{b, c::d as e}` is a::b and a::c::d. */
function paths(tree, prefix = []) {
  const text = tree.trim();
  const brace = text.indexOf("{");
  if (brace === -1) {
    const [path, alias] = text.split(/\s+as\s+/);
    const segments = [...prefix, ...path.split("::")].filter((segment) => segment !== "");
    if (segments.at(-1) === "self") segments.pop();
    return [{ segments, name: alias ?? segments.at(-1) }];
  }
  const head = text.slice(0, brace).split("::").filter(Boolean);
  const inner = text.slice(brace + 1, text.lastIndexOf("}"));
  const parts = [""];
  let depth = 0;
  for (const character of inner) {
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
    depth += { "{": 1, "}": -1 }[character] ?? 0;
  }
  return parts.filter((part) => part.trim() !== "").flatMap((part) => paths(part, [...prefix, ...head]));
}

const USE = /^[ \t]*(pub(?:\([^)]*\))? )?use ([^;]+);/gm;

/** Every file, with the files of the crate that it uses. */
function graph(folder) {
  const all = modules(folder);
  /** Whether a path is a module: a file, or a folder whose files the parent module declares. */
  const isModule = (path) => all.has(path) || [...all.keys()].some((other) => other.startsWith(`${path}::`));
  const absolute = (from, segments) => {
    const own = from === "" ? [] : from.split("::");
    const [first, ...rest] = segments;
    if (first === "crate") return rest;
    if (first === "self") return [...own, ...rest];
    if (first === "super") return absolute(own.slice(0, -1).join("::"), ["self", ...rest]);
    return isModule([...own, first].join("::")) ? [...own, ...segments] : undefined;
  };
  const reexports = new Map();
  for (const [path, { code }] of all) {
    for (const [, visibility, tree] of code.matchAll(USE)) {
      if (visibility === undefined) continue;
      for (const { segments, name } of paths(tree)) reexports.set([path, name].join("::"), absolute(path, segments));
    }
  }
  /** The module that defines an item. */
  const home = (segments) => {
    if (segments === undefined) return undefined;
    const reexported = reexports.get(segments.length === 1 ? `::${segments[0]}` : segments.join("::"));
    if (reexported !== undefined) return home(reexported);
    for (let length = segments.length; length >= 0; length -= 1) {
      const path = segments.slice(0, length).join("::");
      if (!all.has(path)) continue;
      const next = reexports.get([path, segments[length]].join("::"));
      return next !== undefined && length < segments.length ? home(next) : path;
    }
    return undefined;
  };
  const edges = new Map();
  for (const [path, { code }] of all) {
    const used = [...code.matchAll(USE)].filter(([, visibility]) => visibility === undefined);
    const trees = used.flatMap(([, , tree]) => paths(tree).map(({ segments }) => segments));
    const inline = [...code.replace(USE, "").matchAll(/(?<![\w:])\w+(?:::\w+)+/g)].map(([text]) => text.split("::"));
    const homes = [...trees, ...inline].map((segments) => home(absolute(path, segments)));
    edges.set(path, new Set(homes.filter((other) => other !== undefined && other !== path)));
  }
  return { all, edges };
}

/** A cycle of modules, or `undefined`. */
function findCycle(edges) {
  const done = new Set();
  const walk = (path, trail) => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const other of edges.get(path)) {
      const found = walk(other, [...trail, path]);
      if (found) return found;
    }
    done.add(path);
    return undefined;
  };
  for (const path of edges.keys()) {
    const found = walk(path, []);
    if (found) return found;
  }
  return undefined;
}

test("a module uses only the layers below it", () => {
  const { all, edges } = graph("src");
  const layer = (path) => path.split("::")[0] || "lib";
  assert.deepEqual([...new Set([...all.keys()].map(layer))].toSorted(), Object.keys(MAY_USE).toSorted());
  const wrong = [];
  for (const [path, used] of edges) {
    for (const other of used) {
      const [from, to] = [layer(path), layer(other)];
      if (from !== to && !MAY_USE[from].includes(to)) wrong.push(`${all.get(path).name} uses ${other}`);
    }
  }
  assert.deepEqual(wrong, []);
});

for (const folder of ["src", "crates/core/src"]) {
  test(`the files of ${folder} have no circular dependencies`, () => {
    const { all, edges } = graph(folder);
    assert.ok(all.size > 1 && [...edges.values()].some((used) => used.size > 0));
    assert.equal(
      findCycle(edges)
        ?.map((path) => all.get(path).name)
        .join(" -> "),
      undefined,
    );
  });
}

test("JavaScript values occur only in platform/", () => {
  const { all } = graph("src");
  const outside = [...all].filter(
    ([path, { code }]) => !path.startsWith("platform") && /\b(JsValue|js_sys)\b/.test(code),
  );
  assert.deepEqual(
    outside.map(([, { name }]) => name),
    [],
  );
});

test("only sessions/begin.rs creates a session, and only factors/ creates a proof", () => {
  const { all } = graph("src");
  const making = (type) =>
    [...all]
      .filter(([, { code }]) => new RegExp(`(?<!struct |for |impl |-> )\\b${type} \\{`).test(code))
      .map(([path]) => path);
  assert.deepEqual(making("NewSession"), ["sessions::begin"]);
  assert.deepEqual(making("Proof"), [
    "factors::email_code",
    "factors",
    "factors::passkey",
    "factors::password",
    "factors::pending",
  ]);
});
