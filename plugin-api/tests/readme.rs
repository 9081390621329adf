//! The README's plugins are built as it says, from its own text, out of this tree, and read once.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]
#![expect(unsafe_code, reason = "it loads the plugins that it has built")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use bartizan_plugin::{
    abi::{BzEntryFn, SYMBOL},
    manifest::{Manifest, SECTION, trim},
    testing::{Host, Round, Value},
};
use libloading::Library;
use object::{Object, ObjectSection};

/// The text of the block that contains `mark`.
fn block(language: &str, mark: &str) -> String {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let found = readme.split("```").find_map(|part| {
        let text = part.strip_prefix(language)?.strip_prefix('\n')?;
        text.contains(mark).then(|| text.to_owned())
    });
    found.unwrap_or_else(|| panic!("the README has no block of {language} with {mark:?}"))
}

/// An empty folder of this name, outside the source tree.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("src")).unwrap();
    folder
}

/// Runs a command of the README; panics with what it said.
fn run(line: &str, at: &Path, also: &[&str]) {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(also).current_dir(at);
    // Builds of all runs of this test share a folder of their own.
    command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme-target"));
    let done = command.output().unwrap_or_else(|error| panic!("failed to run {line}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{line}: {said}{}", String::from_utf8_lossy(&done.stdout));
}

/// Loads a plugin, compares its two manifests, and reads one round.
fn read(file: &Path, config: &str) -> (Manifest, Round) {
    let bytes = fs::read(file).unwrap();
    let elf = object::File::parse(bytes.as_slice()).unwrap();
    let section = elf.section_by_name(SECTION).unwrap().data().unwrap().to_owned();
    // SAFETY: the file was built from the README's text; it is never unloaded.
    let (entry, mut host) = unsafe {
        let library = Box::leak(Box::new(Library::new(file).unwrap()));
        let symbol = library.get::<BzEntryFn>(SYMBOL).unwrap();
        let entry = symbol();
        (&*entry, Host::load(entry, config).unwrap())
    };
    // SAFETY: the file stays loaded.
    assert_eq!(trim(&section), unsafe { entry.manifest.bytes() });
    (Manifest::parse(&section).unwrap(), host.collect().unwrap())
}

#[test]
fn the_rust_plugin_is_built_tested_loaded_and_read() {
    let crate_folder = folder("open-files");
    let clone = env!("CARGO_MANIFEST_DIR");
    let manifest = block("toml", "name = \"open-files\"");
    assert!(manifest.contains("\"../bartizan/plugin-api\""));
    // The author's folder is no part of our workspace, but here it lies inside.
    let manifest = manifest.replace("../bartizan/plugin-api", clone) + "\n[workspace]\n";
    fs::write(crate_folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(crate_folder.join("src/lib.rs"), block("rust", "impl Collector for OpenFiles"))
        .unwrap();
    // The same versions as ours: they are certainly on this machine.
    fs::copy(Path::new(clone).join("../Cargo.lock"), crate_folder.join("Cargo.lock")).unwrap();
    let commands = block("sh", "cargo test");
    for line in commands.lines() {
        run(line, &crate_folder, &["--offline"]);
    }
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme-target/release/libopen_files.so");

    let numbers = crate_folder.join("file-nr");
    fs::write(&numbers, "1952\t0\t9223372036854775807\n").unwrap();
    let config = format!(r#"{{"path":"{}"}}"#, numbers.display());
    let (manifest, round) = read(&file, &config);
    assert_eq!(manifest.id, "org.example.open-files");
    assert_eq!(manifest.description, "How many files are open on this machine");
    let path = manifest.config_schema.pointer("/properties/path").unwrap();
    assert_eq!(path.pointer("/default").unwrap(), "/proc/sys/fs/file-nr");
    assert_eq!(round.value("open_files", &[]), Some(1952.0));

    // A copy: the file itself is mapped by now, and strip writes in place.
    let stripped = crate_folder.join("stripped.so");
    fs::copy(&file, &stripped).unwrap();
    run("strip stripped.so", &crate_folder, &[]);
    assert_eq!(read(&stripped, &config).0, manifest);
}

#[test]
fn the_c_plugin_is_built_loaded_and_read() {
    let at = folder("switches");
    fs::write(at.join("switches.c"), block("c", "BZ_PLUGIN")).unwrap();
    let line = block("sh", "cc -std=c99");
    assert!(line.contains("-I bartizan/plugin-api/include"));
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    run(
        &line.replace("bartizan/plugin-api/include", &include.to_string_lossy()),
        &at,
        &["-Werror", "-pedantic"],
    );
    let (manifest, round) = read(&at.join("switches.so"), "{}");
    assert_eq!(manifest.id, "org.example.switches");
    let [sample] = round.samples.as_slice() else { panic!("{round:?}") };
    assert_eq!(sample.metric, "context_switches_total");
    assert!(matches!(sample.value, Value::Counter(count) if count > 0));
}

#[test]
fn the_configuration_names_the_plugins_as_they_are_called() {
    let config = block("toml", "[[server.collector]]");
    for id in ["org.example.open-files", "org.example.switches"] {
        assert!(config.contains(&format!("plugin = \"{id}\"")), "{id}");
    }
}
