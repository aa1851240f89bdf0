//! Builds the Worker into `build/dev` or `build/release`: `portcullis-build dev`, in the project's folder.
//!
//! 1. cargo compiles it to WebAssembly, in the profile `worker-dev` or `release`.
//! 2. wasm-bindgen writes the JavaScript around it.
//! 3. wasm-opt optimizes the module, for a release.
//! 4. esbuild bundles that JavaScript with the entry, `scripts/entry.mjs`.
//!
//! A second process waits for the first, and finds its work done.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

/// What goes into the build beside what cargo compiles.
const ENTRY: &str = "scripts/entry.mjs";
const PACKAGES: &str = "package-lock.json";

const MODULE: &str = "index_bg.wasm";
const SCRIPT: &str = "index.js";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// Compiles fast: for `npm run dev` and `npm test -- e2e`.
    Dev,
    /// What is deployed.
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
    // The system releases it when the process ends, even if it is killed.
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
    // The script last: watchers watch it, and `is_built` goes by its time.
    for name in [MODULE, SCRIPT] {
        fs::rename(staging.join("out").join(name), folder.join(name))?;
    }
    fs::remove_dir_all(&staging)?;
    Ok(())
}

/// Whether the output is newer than everything it is made of.
fn is_built(folder: &Path, inputs: &[&Path]) -> bool {
    let time = |path: &Path| -> Option<SystemTime> { fs::metadata(path).and_then(|metadata| metadata.modified()).ok() };
    let Some(built) = time(&folder.join(SCRIPT)) else {
        return false;
    };
    folder.join(MODULE).exists() && inputs.iter().all(|input| time(input).is_some_and(|time| time < built))
}

/// The WebAssembly module that cargo makes of the Worker.
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
        .context("cargo names no module")
}

fn is(message: &Value, pointer: &str, expected: &str) -> bool {
    message.pointer(pointer).is_some_and(|value| value == expected)
}

/// Writes the module and the JavaScript around it, which makes a new instance after a panic.
fn bind(compiled: &Path, staging: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(compiled)
        .out_name("index")
        .module(true)?
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .generate(staging)?;
    // Workers import a module without the proposal for `source`.
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
        // A loop that runs in baseline code is replaced only where it calls a function: G stays two of them. wasm-opt would
        // put the one that has a single caller into it, whatever Rust was told.
        .args(["--no-inline=argon2_simd128::block::G::*", "-O"])
        // What rustc uses, and exceptions for wasm-bindgen: a feature that is not named is not used.
        .args(["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue"].map(enable))
        .args(["reference-types", "exception-handling"].map(enable))
        // Keeps the names of the functions, for the log.
        .arg("--debuginfo"))
}

fn enable(feature: &str) -> String {
    format!("--enable-{feature}")
}

/// Makes one file of the JavaScript and the entry.
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
