//! The variables and secrets of the Worker.

use worker::Env;

/// The value of a variable is not text.
pub struct NotText;

/// Reads a variable or secret. `None` if it is not set or `null`.
#[expect(clippy::disallowed_methods, reason = "this is the only place that reads the environment")]
pub fn variable(env: &Env, name: &str) -> Result<Option<String>, NotText> {
    // `Env::var` throws an exception through WebAssembly if the variable is `null`, and the request hangs.
    let value = js_sys::Reflect::get(env, &name.into()).map_err(|_| NotText)?;
    if value.is_undefined() || value.is_null() { Ok(None) } else { value.as_string().ok_or(NotText).map(Some) }
}
