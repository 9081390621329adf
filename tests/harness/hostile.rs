//! The plugins that misbehave, as files: `hostile/hostile.c` and `hostile/hostile.rs`.
//!
//! Both know the faults by the same names. Which one an instance commits is in its configuration, so that one
//! file can hold a culprit and an innocent one at the same time.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{daemon::built, repository};

/// Id of the plugin in C.
pub const IN_C: &str = "test.hostile-c";

/// Id of the plugin in Rust.
pub const IN_RUST: &str = "test.hostile-rust";

/// The metric both give: it counts calls of `collect`, from one.
pub const METRIC: &str = "hostile_rounds";

/// Builds the plugin in C into `folder`, and returns the file.
pub fn in_c(folder: &Path) -> PathBuf {
    compile(folder, "hostile", &[])
}

/// Builds the plugin in C as if it had been written against another major version of the ABI.
pub fn of_another_abi(folder: &Path) -> PathBuf {
    compile(folder, "another_abi", &["-DANOTHER_ABI"])
}

/// The plugin in Rust, which cargo builds as an example of this crate.
pub fn in_rust() -> PathBuf {
    let path = built("examples/libhostile.so");
    let fix = "cargo build --release --package bartizan-tests --examples";
    assert!(path.exists(), "{} is not built: run `{fix}` first", path.display());
    path
}

/// A server named `name` whose one collector commits `fault` in its third round.
pub fn server(name: &str, plugin: &str, fault: &str) -> String {
    format!(
        "[[server]]\nname = \"{name}\"\n\n[[server.collector]]\nplugin = \"{plugin}\"\n\
         interval = \"250ms\"\nconfig = {{ fault = \"{fault}\", after = 3 }}\n\n"
    )
}

fn compile(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let file = folder.join(format!("lib{name}.so"));
    let output = Command::new("cc")
        .args(["-std=c99", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"])
        .args(options)
        .arg("-I")
        .arg(repository().join("plugin-api/include"))
        .arg(repository().join("tests/hostile/hostile.c"))
        .arg("-o")
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}
