//! Builds WebAssembly into a folder of `build/`: the Worker (`dev`, `release`), the example of a Worker (`example`), or the rules for
//! the commands (`rules`, `rules-release`). Usage, in the root of the repository: `portcullis-build FOLDER`.
//!
//! 1. cargo compiles the package to WebAssembly, with the profile `worker-dev` or `release`.
//! 2. wasm-bindgen generates the JavaScript glue, for Workers or for Node.
//! 3. wasm-opt optimizes the module of a release build.
//! 4. esbuild bundles the glue of a Worker with its entry point, such as `scripts/entry.mjs`.
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

/// An input of the build that cargo does not track, like the entry point.
const PACKAGES: &str = "package-lock.json";

const MODULE: &str = "index_bg.wasm";
const SCRIPT: &str = "index.js";

/// What is built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The Worker, compiled fast: for `npm run dev` and `npm test -- e2e`.
    Dev,
    /// The Worker, optimized, for deployment.
    Release,
    /// The example of a resource server, compiled fast.
    Example,
    /// The rules for the commands in a checkout, compiled fast.
    Rules,
    /// The rules for the commands of the npm package, optimized.
    RulesRelease,
}

impl Target {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "dev" => Self::Dev,
            "release" => Self::Release,
            "example" => Self::Example,
            "rules" => Self::Rules,
            "rules-release" => Self::RulesRelease,
            _ => return None,
        })
    }

    fn is_optimized(self) -> bool {
        matches!(self, Self::Release | Self::RulesRelease)
    }

    /// The name of the cargo profile.
    fn profile(self) -> &'static str {
        if self.is_optimized() { "release" } else { "worker-dev" }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Dev | Self::Release => "portcullis",
            Self::Example => "orders-api-worker",
            Self::Rules | Self::RulesRelease => "portcullis-rules",
        }
    }

    /// The entry point of a Worker, in JavaScript.
    fn entry(self) -> Option<&'static Path> {
        match self {
            Self::Dev | Self::Release => Some(Path::new("scripts/entry.mjs")),
            Self::Example => Some(Path::new("examples/rust-worker/entry.mjs")),
            Self::Rules | Self::RulesRelease => None,
        }
    }
}

fn main() -> Result<()> {
    let name = env::args().nth(1).unwrap_or_default();
    let Some(target) = Target::parse(&name) else {
        bail!("usage: portcullis-build dev|release|example|rules|rules-release");
    };
    let folder = &Path::new("build").join(name);
    fs::create_dir_all(folder)?;
    // The system releases the lock when the process ends, even if it is killed.
    let lock = File::create(folder.join(".lock"))?;
    lock.lock()?;

    let compiled = compile(target)?;
    let tool = env::current_exe()?;
    let inputs: Vec<&Path> =
        [compiled.as_path(), Path::new(PACKAGES), &tool].into_iter().chain(target.entry()).collect();
    if is_built(folder, &inputs) {
        return Ok(());
    }
    let staging = folder.join(".staging");
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    bind(&compiled, target, &staging)?;
    if target.is_optimized() {
        optimize(&staging)?;
    }
    let out = target.entry().map_or(Ok(staging.clone()), |entry| bundle(&staging, target, entry))?;
    // Write the script last: watchers watch it, and `is_built` reads its modification time.
    for name in [MODULE, SCRIPT] {
        fs::rename(out.join(name), folder.join(name))?;
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

/// Compiles the package. Returns the path of the WebAssembly module.
fn compile(target: Target) -> Result<PathBuf> {
    let package = target.package();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["rustc", "--locked", "--lib", "--package", package, "--target", "wasm32-unknown-unknown"])
        .args(["--crate-type", "cdylib", "--profile", target.profile()])
        .args(["--message-format", "json-render-diagnostics"])
        // Handlers are long chains of small functions, and by default LLVM copies many of them into each. The module would be an eighth
        // larger, compressed, and no faster (docs/performance/build-profile.md).
        .args(["--", "-Cllvm-args=-inline-threshold=25"])
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags().join("\x1f"))
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be run")?;
    ensure!(output.status.success(), "{package} does not compile");
    let module = package.replace('-', "_");
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| is(message, "/reason", "compiler-artifact") && is(message, "/target/name", &module))
        .filter_map(|message| message.pointer("/filenames")?.as_array().cloned())
        .flatten()
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| path.extension() == Some(OsStr::new("wasm")))
        .context("cargo reported no module")
}

/// The flags of the environment, and one that replaces the folder of this machine's packages in the texts of panics.
fn rustflags() -> Vec<String> {
    let given = env::var("RUSTFLAGS").unwrap_or_default();
    let packages = env::var("CARGO_HOME").map(|home| format!("--remap-path-prefix={home}=cargo"));
    given.split_whitespace().map(str::to_owned).chain(packages).collect()
}

fn is(message: &Value, pointer: &str, expected: &str) -> bool {
    message.pointer(pointer).is_some_and(|value| value == expected)
}

/// Generates the module and its JavaScript glue. That of a Worker creates a new instance after a panic.
fn bind(compiled: &Path, target: Target, staging: &Path) -> Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(compiled).out_name("index");
    if target.entry().is_none() {
        return bindgen.nodejs_module(true)?.typescript(false).generate(staging);
    }
    bindgen.module(true)?.reset_state_function(true).force_enable_abort_handler(true);
    let mut output = bindgen.generate_output()?;
    for function in output.wasm_mut().funcs.iter_mut() {
        function.name = function.name.as_deref().map(|name| without_hash(name).to_owned());
    }
    output.emit(staging)?;
    // Workers do not support the proposal for `import source`.
    let script = staging.join(SCRIPT);
    let text = fs::read_to_string(&script)?;
    fs::write(script, text.replace("import source ", "import "))?;
    Ok(())
}

/// The name of a function without the hash at its end, which tells a reader nothing and does not compress.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => name,
    }
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

/// Bundles the JavaScript glue and the entry point into one file. Returns the folder with it and the module.
fn bundle(staging: &Path, target: Target, source: &Path) -> Result<PathBuf> {
    let out = staging.join("out");
    fs::create_dir(&out)?;
    let entry = staging.join("entry.mjs");
    fs::copy(source, &entry)?;
    let mut esbuild = Command::new("node_modules/.bin/esbuild");
    esbuild.arg(entry).args(["--bundle", "--format=esm", "--external:./index_bg.wasm", "--external:cloudflare:*"]);
    esbuild.arg(format!("--outfile={}", out.join(SCRIPT).display())).args(["--log-level=warning"]);
    if target.is_optimized() {
        esbuild.arg("--minify");
    }
    run(&mut esbuild)?;
    fs::rename(staging.join(MODULE), out.join(MODULE))?;
    Ok(out)
}

fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let status = command.status().with_context(|| format!("{program} could not be run"))?;
    ensure!(status.success(), "{program} failed");
    Ok(())
}
