//! The rules of the Worker for the commands of `packages/portcullis`, as WebAssembly that Node runs. The commands validate users with
//! the same code as `/register`. An error is thrown as a string.

mod line;
mod users;

use portcullis_core::identity::email::Email;
use wasm_bindgen::prelude::wasm_bindgen;

use line::RoleList;
use users::{Checker, Options};

/// The key by which an address is compared.
#[wasm_bindgen(js_name = emailKey)]
#[expect(clippy::missing_errors_doc, reason = "the error is in the text")]
pub fn email_key(address: &str) -> Result<String, String> {
    Email::parse(address).map(|email| email.key().to_owned()).map_err(|error| error.to_string())
}

/// Checks that the configured list of roles contains a role.
#[wasm_bindgen(js_name = checkRole)]
#[expect(clippy::missing_errors_doc, reason = "the error is in the text")]
pub fn check_role(roles: &str, role: &str) -> Result<(), String> {
    RoleList::parse(roles)?.check(role)
}

/// Checks the lines of a file of users.
#[wasm_bindgen]
pub struct UserChecker(Checker);

#[wasm_bindgen]
#[expect(clippy::missing_errors_doc, reason = "the errors are in the text")]
impl UserChecker {
    /// `options` is the JSON of [`Options`].
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str) -> Result<Self, String> {
        let options: Options = serde_json::from_str(options).map_err(|error| error.to_string())?;
        Checker::new(&options).map(Self)
    }

    /// Checks the lines that end in the next piece of the file. Returns a line of JSON for each that is not empty:
    /// `{"line": N, COLUMNS}` or `{"line": N, "error": TEXT}`.
    pub fn check(&mut self, piece: &[u8]) -> Result<String, String> {
        self.0.check(piece)
    }

    /// Checks the last line, if it does not end. Returns as `check`, and finally the counts:
    /// `{"users": COUNT, "admins": COUNT, "without_password": COUNT, "weak": {"bcrypt": COUNT, ...}}`.
    pub fn end(self) -> Result<String, String> {
        self.0.end()
    }
}
