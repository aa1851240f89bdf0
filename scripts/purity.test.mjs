import assert from "node:assert/strict";
import { test } from "node:test";

import { impurities } from "./purity.mjs";

test("what a rule may not mention is found, with its line", () => {
  for (const line of [
    "use worker::Env;",
    "let n = js_sys::Date::now();",
    "std::time::SystemTime::now()",
    "chrono::Utc::now()",
    "getrandom::fill(&mut salt)",
    "use std::fs;",
    "use crate::store::users;",
    "use crate::{auth, store};",
    "use super::super::http;",
  ]) {
    const found = impurities("src/auth/email.rs", `\n\n${line}\n`);
    assert.ok(found.length > 0, line);
    assert.match(found[0], /^src\/auth\/email\.rs:3: /);
  }
});

test("what stays within auth is fine", () => {
  for (const line of [
    "use crate::auth::email;",
    "use super::email::Email;",
    "fn worker_of() {}",
    "// the worker's clock: SystemTime::now()",
    "/* js_sys /* nested */ worker */",
    'let text = "worker \\" worker";',
    'let raw = r#"worker " worker"#;',
    "let quote = '\"'; let lifetime: &'static str = \"worker\";",
  ]) {
    assert.deepEqual(impurities("src/auth/email.rs", line), [], line);
  }
});

test("super leads out of auth from mod.rs, and one level later from a tests module", () => {
  assert.equal(impurities("src/auth/mod.rs", "use super::http;").length, 1);
  assert.equal(impurities("src/auth/mod.rs", "mod tests {\n use super::*;\n}").length, 0);
  assert.equal(impurities("src/auth/email.rs", "mod tests {\n use super::super::token;\n}").length, 0);
  assert.equal(impurities("src/auth/email.rs", "mod tests {\n use super::super::super::http;\n}").length, 1);
});
