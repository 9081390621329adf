//! Builds the dashboard with npm, into `OUT_DIR` and nowhere else.
//!
//! Only `node_modules` is in the source tree, because people work there too. A
//! lock on `package-lock.json` keeps two builds at once from installing over
//! each other; it is held until the bundle is written. `npm ci` runs only when
//! the lock file is not the one that was installed.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// Oldest Node that Vite runs on: major and minor.
const NODE_MIN: (u32, u32) = (20, 19);

/// Copy of the lock file that was installed last, inside `node_modules`.
const STAMP: &str = ".bartizan-installed";

/// What the bundle is made of; a change to any of it builds again.
const SOURCES: [&str; 7] = [
    "src",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "svelte.config.js",
    "tsconfig.json",
];

/// Why there is no dashboard to embed.
enum BuildError {
    /// A program is missing, too old, or has failed; a paragraph for the person who builds.
    Tool(String),
    /// A file could not be read or written: which, and why.
    File(PathBuf, io::Error),
}

fn main() -> ExitCode {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(BuildError::Tool(paragraph)) => {
            println!("cargo::error={paragraph}");
            ExitCode::FAILURE
        }
        Err(BuildError::File(path, error)) => {
            println!(
                "cargo::error=failed to prepare the dashboard at `{}`: {error}",
                path.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), BuildError> {
    let web = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let dist = out.join("dist");

    check_node()?;
    let lock_path = web.join("package-lock.json");
    let lock =
        File::open(&lock_path).map_err(|error| BuildError::File(lock_path.clone(), error))?;
    lock.lock().map_err(|error| BuildError::File(lock_path.clone(), error))?;

    install(&web, &lock_path)?;
    npm(&web, &["run", "build"], Some(&dist))?;
    embed(&out, &dist)
}

/// Fails unless a Node that is new enough answers.
fn check_node() -> Result<(), BuildError> {
    let output = Command::new("node")
        .arg("--version")
        .output()
        .map_err(|_| BuildError::Tool(needs("node was not found")))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut parts =
        version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < NODE_MIN {
        return Err(BuildError::Tool(needs(&format!("node is {version}"))));
    }
    Ok(())
}

/// Installs the packages of the lock file, unless they are the ones that are there.
fn install(web: &Path, lock_path: &Path) -> Result<(), BuildError> {
    let wanted =
        fs::read(lock_path).map_err(|error| BuildError::File(lock_path.to_owned(), error))?;
    let stamp = web.join("node_modules").join(STAMP);
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    npm(web, &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], None)?;
    fs::write(&stamp, wanted).map_err(|error| BuildError::File(stamp, error))
}

/// Runs npm in `web`; its output becomes part of the error.
fn npm(web: &Path, arguments: &[&str], dist: Option<&Path>) -> Result<(), BuildError> {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(web);
    if let Some(dist) = dist {
        command.env("BARTIZAN_WEB_OUT", dist);
    }
    let output = command.output().map_err(|_| BuildError::Tool(needs("npm was not found")))?;
    if output.status.success() {
        return Ok(());
    }
    // Cargo shows one line for each `cargo::error`; the whole output follows on stderr.
    eprintln!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said
        .lines()
        .find(|line| line.contains("rror"))
        .unwrap_or("its output is above")
        .trim()
        .to_owned();
    Err(BuildError::Tool(format!(
        "`npm {}` failed in `{}` ({}): {first}. The first build fetches the packages of package-lock.json from the npm registry, so it needs \
         the network or a filled npm cache.",
        arguments.join(" "),
        web.display(),
        output.status,
    )))
}

fn needs(problem: &str) -> String {
    let (major, minor) = NODE_MIN;
    format!(
        "the dashboard is built with Node.js {major}.{minor} or newer and its npm, but {problem}. Install it from https://nodejs.org, from \
         NodeSource, or with nvm (`nvm install {major}`), see that `node --version` and `npm --version` answer, and build again."
    )
}

/// Writes the Rust that embeds `dist`: rust-embed wants the folder as a literal.
fn embed(out: &Path, dist: &Path) -> Result<(), BuildError> {
    let source = format!(
        "#[derive(rust_embed::RustEmbed)]\n#[folder = {:?}]\nstruct Bundle;\n",
        dist.display().to_string()
    );
    let path = out.join("bundle.rs");
    fs::write(&path, source).map_err(|error| BuildError::File(path, error))
}
