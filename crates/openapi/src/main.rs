//! Prints the OpenAPI document of the Worker. `npm run generate` writes it to web/openapi.json.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(portcullis::openapi().as_bytes())
}
