//! Prints the OpenAPI document of the Worker, or with the argument `log` the schema of its log. `npm run generate` writes both to files.

use std::env;
use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    let wants_log = env::args().nth(1).as_deref() == Some("log");
    let document = if wants_log { portcullis::log_schema() } else { portcullis::openapi() };
    io::stdout().write_all(document.as_bytes())
}
