//! Builds the Worker into `build/dev` or `build/release`. Usage, in the root of the repository: `portcullis-build dev|release`.
//!
//! 1. cargo compiles the Worker to WebAssembly, with the profile `worker-dev` or `release`.
//! 2. wasm-bindgen generates the JavaScript glue.
//! 3. wasm-opt optimizes the module of a release build.
//! 4. esbuild bundles the glue with the entry point, `scripts/entry.mjs`.
//!
//! A second process waits for the first, and then has nothing to build.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

/// Inputs of the build that cargo does not track.
const ENTRY: &str = "scripts/entry.mjs";
const PACKAGES: &str = "package-lock.json";

const MODULE: &str = "index_bg.wasm";
const SCRIPT: &str = "index.js";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// Compiles fast: for `npm run dev` and `npm test -- e2e`.
    Dev,
    /// Optimized, for deployment.
    Release,
}

impl Profile {
    /// The name of the cargo profile.
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "worker-dev",
            Self::Release => "release",
        }
    }

    fn folder(self) -> &'static Path {
        Path::new(match self {
            Self::Dev => "build/dev",
            Self::Release => "build/release",
        })
    }
}

fn main() -> Result<()> {
    let profile = match env::args().nth(1).as_deref() {
        Some("dev") => Profile::Dev,
        Some("release") => Profile::Release,
        _ => bail!("usage: portcullis-build dev|release"),
    };
    let folder = profile.folder();
    fs::create_dir_all(folder)?;
    // The system releases the lock when the process ends, even if it is killed.
    let lock = File::create(folder.join(".lock"))?;
    lock.lock()?;

    let compiled = compile(profile)?;
    let inputs = [compiled.as_path(), Path::new(ENTRY), Path::new(PACKAGES), &env::current_exe()?];
    if is_built(folder, &inputs) {
        return Ok(());
    }
    let staging = folder.join(".staging");
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    bind(&compiled, &staging)?;
    if profile == Profile::Release {
        optimize(&staging)?;
    }
    bundle(&staging, profile)?;
    // Write the script last: watchers watch it, and `is_built` reads its modification time.
    for name in [MODULE, SCRIPT] {
        fs::rename(staging.join("out").join(name), folder.join(name))?;
    }
    fs::remove_dir_all(&staging)?;
    Ok(())
}

/// Whether the output is newer than all inputs.
fn is_built(folder: &Path, inputs: &[&Path]) -> bool {
    let time = |path: &Path| -> Option<SystemTime> { fs::metadata(path).and_then(|metadata| metadata.modified()).ok() };
    let Some(built) = time(&folder.join(SCRIPT)) else {
        return false;
    };
    folder.join(MODULE).exists() && inputs.iter().all(|input| time(input).is_some_and(|time| time < built))
}

/// Compiles the Worker. Returns the path of the WebAssembly module.
fn compile(profile: Profile) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--locked", "--lib", "--package", "portcullis", "--target", "wasm32-unknown-unknown"])
        .args(["--profile", profile.name(), "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be run")?;
    ensure!(output.status.success(), "the Worker does not compile");
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| is(message, "/reason", "compiler-artifact") && is(message, "/target/name", "portcullis"))
        .filter_map(|message| message.pointer("/filenames")?.as_array().cloned())
        .flatten()
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| path.extension() == Some(OsStr::new("wasm")))
        .context("cargo reported no module")
}

fn is(message: &Value, pointer: &str, expected: &str) -> bool {
    message.pointer(pointer).is_some_and(|value| value == expected)
}

/// Generates the module and its JavaScript glue, which creates a new instance after a panic.
fn bind(compiled: &Path, staging: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(compiled)
        .out_name("index")
        .module(true)?
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .generate(staging)?;
    // Workers do not support the proposal for `import source`.
    let script = staging.join(SCRIPT);
    let text = fs::read_to_string(&script)?;
    fs::write(script, text.replace("import source ", "import "))?;
    Ok(())
}

fn optimize(staging: &Path) -> Result<()> {
    let module = staging.join(MODULE);
    run(Command::new("node_modules/.bin/wasm-opt")
        .arg(&module)
        .arg("-o")
        .arg(&module)
        // V8 replaces the baseline code of a running loop only when the loop calls a function, so the function G of Argon2 must not be
        // inlined. wasm-opt would inline a function with a single caller even if Rust does not.
        .args(["--no-inline=argon2_simd128::block::G::*", "-O"])
        // The features that rustc uses, and exceptions for wasm-bindgen. wasm-opt does not use features that are not listed.
        .args(["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue"].map(enable))
        .args(["reference-types", "exception-handling"].map(enable))
        // Keeps the function names, for stack traces in the log.
        .arg("--debuginfo"))
}

fn enable(feature: &str) -> String {
    format!("--enable-{feature}")
}

/// Bundles the JavaScript glue and the entry point into one file.
fn bundle(staging: &Path, profile: Profile) -> Result<()> {
    let out = staging.join("out");
    fs::create_dir(&out)?;
    let entry = staging.join("entry.mjs");
    fs::copy(ENTRY, &entry)?;
    let mut esbuild = Command::new("node_modules/.bin/esbuild");
    esbuild.arg(entry).args(["--bundle", "--format=esm", "--external:./index_bg.wasm", "--external:cloudflare:*"]);
    esbuild.arg(format!("--outfile={}", out.join(SCRIPT).display())).args(["--log-level=warning"]);
    if profile == Profile::Release {
        esbuild.arg("--minify");
    }
    run(&mut esbuild)?;
    fs::rename(staging.join(MODULE), out.join(MODULE))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let status = command.status().with_context(|| format!("{program} could not be run"))?;
    ensure!(status.success(), "{program} failed");
    Ok(())
}
