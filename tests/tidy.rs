//! Keeps the promises that the project makes about its own source.
//!
//! These rules are tests, not scripts, so that `cargo test` is the whole truth on a developer's machine too.

#![expect(clippy::unwrap_used, reason = "a check that cannot read the source should stop")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bartizan_tests::repository;

/// A file that does not fit here holds two ideas.
const LINES_MAX: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

/// What may lie at the top level besides dotfiles and what git ignores.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "daemon",
    "plugin-api",
    "plugins",
    "tests",
    "web",
];

/// Files by their ending, and how the comment begins that says what they are for.
const OPENINGS: [(&str, &[&str]); 8] = [
    ("rs", &["//!"]),
    ("ts", &["/**"]),
    ("mjs", &["/**"]),
    ("js", &["/**"]),
    ("svelte", &["<!--"]),
    ("css", &["/*"]),
    ("c", &["/*"]),
    ("h", &["/*"]),
];

/// Whom a module of the daemon may name; of those, an actor only where it is spawned.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("series", &[]),
    ("config", &[]),
    ("supervision", &[]),
    ("manifest", &["config"]),
    // What the two sides of a plugin host share: the frames between them, the page that outlives the child, and how
    // much a plugin may say, which neither side takes from the other on trust.
    ("plugin_host", &["plugin::frames", "plugin::black_box", "plugin::log_budget"]),
    ("plugin", &["manifest", "config", "supervision"]),
    ("collector", &["plugin", "config", "supervision"]),
    ("detect", &["config"]),
    ("store", &["config", "supervision", "logging"]),
    ("live", &["config", "supervision"]),
    ("alert", &["config", "detect", "supervision", "store", "live", "logging", "trust"]),
    // A server hands the way to plugins on to its collectors.
    (
        "server",
        &[
            "collector",
            "detect",
            "config",
            "supervision",
            "store",
            "alert",
            "live",
            "plugin::PluginPort",
            "plugin::InstanceSpec",
            "scrape",
        ],
    ),
    ("scrape", &["collector", "config", "plugin", "trust"]),
    ("enrol", &["config", "store"]),
    // Texts of samples: OpenMetrics is read as pages are, and there is one word on which times there are.
    ("exchange", &["scrape", "store::messages"]),
    ("ingest", &["config", "enrol", "fleet", "store"]),
    ("forward", &["config", "store", "supervision", "trust"]),
    (
        "fleet",
        &["server", "config", "supervision", "store", "alert", "live", "plugin", "trust", "enrol"],
    ),
    (
        "http",
        &[
            "config",
            "supervision",
            "store",
            "alert",
            "live",
            "logging",
            "plugin",
            "fleet",
            "enrol",
            "ingest",
            "exchange",
            // The shape of an answer; whoever asks is given by the root.
            "history::Told",
            "history::PastStats",
            "history::Stretch",
        ],
    ),
    ("history", &["config", "store", "trust"]),
    ("trust", &[]),
    ("systemd", &[]),
    ("logging", &["config"]),
    (
        "root",
        &[
            "store",
            "plugin",
            "alert",
            "live",
            "http",
            "fleet",
            "enrol",
            "ingest",
            "forward",
            "history",
            "config",
            "supervision",
            "systemd",
            "logging",
        ],
    ),
    (
        "cli",
        &["root", "store", "plugin", "plugin_host", "manifest", "config", "logging", "exchange"],
    ),
];

/// Crates that only one module of the daemon names.
const KEPT: [(&str, &str); 4] =
    [("sled", "store"), ("warp", "http"), ("libloading", "plugin_host"), ("lettre", "alert")];

/// How unsafe code begins; the word alone may stand in a sentence.
const UNSAFE: [&str; 6] =
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait", "unsafe("];

#[test]
fn the_top_level_holds_what_it_should() {
    let ignored = ["target", "node_modules"];
    let entries = fs::read_dir(repository()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> = entries
        .map(|name| name.into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !ignored.contains(&name.as_str()))
        .collect();
    assert_eq!(names, TOP_LEVEL.map(str::to_owned).into());
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    for (path, text) in sources() {
        let (shown, lines) = (path.display(), text.lines().count());
        assert!(lines <= LINES_MAX, "{shown}: {lines} lines, at most {LINES_MAX}");
        let ending = path.extension().unwrap().to_str().unwrap();
        let (_, openings) = OPENINGS.iter().find(|(known, _)| *known == ending).unwrap();
        let opened = openings.iter().any(|opening| text.starts_with(opening));
        assert!(opened, "{shown}: begin with {openings:?} and what the file is for");
        let empty = path.with_extension("");
        let mut names = empty.iter().map(|name| name.to_str().unwrap());
        assert!(
            !names.any(|name| EMPTY_NAMES.contains(&name)),
            "{shown}: name it by what it holds"
        );
    }
}

#[test]
fn modules_name_only_those_they_may() {
    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix("daemon/src") else { continue };
        let module = inside.components().next().unwrap().as_os_str();
        let module = Path::new(module).file_stem().unwrap().to_str().unwrap();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let line = MAY_NAME.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = line else { panic!("`{module}` has no line in this table") };
        for named in names_in(&text) {
            let first = named.first().unwrap().as_str();
            let part = named.iter().take(2).cloned().collect::<Vec<_>>().join("::");
            let fine = [module, "series"].contains(&first)
                || allowed.iter().any(|allowed| [first, &part].contains(allowed));
            assert!(fine, "{}: `{module}` must not name `{}`", path.display(), named.join("::"));
        }
        for (kept, keeper) in KEPT {
            let names_it = code(&text).any(|line| has_word(line, &format!("{kept}::")));
            assert!(
                !names_it || module == keeper,
                "{}: only `{keeper}` names {kept}",
                path.display()
            );
        }
    }
}

#[test]
fn a_foreign_actor_is_named_only_by_who_spawns_it() {
    let daemon = repository().join("daemon/src");
    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix("daemon/src") else { continue };
        let module = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        for named in names_in(&text).iter().filter(|named| named[0] != module) {
            let [of, second, ..] = named.as_slice() else { continue };
            if second == "actor" || taken_from_actor(&daemon, of, second) {
                let spawns =
                    code(&text).any(|line| line.contains("spawn") || line.contains("start_with("));
                assert!(spawns, "{}: names {} and spawns nobody", path.display(), named.join("::"));
            }
        }
    }
}

#[test]
fn unsafe_stands_only_where_plugins_are_touched() {
    for (path, text) in sources() {
        let allowed = path.starts_with("plugin-api") || path.starts_with("daemon/src/plugin_host");
        if allowed || path.extension().unwrap() != "rs" || path.ends_with("tidy.rs") {
            continue;
        }
        let found = code(&text).find(|line| {
            UNSAFE.iter().any(|begin| line.contains(begin)) || line.contains("unsafe_code")
        });
        assert!(found.is_none(), "{}: unsafe code: {found:?}", path.display());
    }
}

#[test]
fn nobody_links_a_plugin() {
    for (path, text) in sources() {
        let inside = path.components().next().unwrap().as_os_str();
        let rust = path.extension().unwrap() == "rs";
        if !rust || path.ends_with("tidy.rs") {
            continue;
        }
        for plugin in ["cpu", "disk", "load", "memory", "network"] {
            let named = code(&text).any(|line| has_word(line, &format!("bartizan_{plugin}")));
            let linked = named && (inside == "daemon" || inside == "tests");
            assert!(!linked, "{}: two plugins in one link are a duplicate symbol", path.display());
        }
        let foreign = inside == "plugin-api" || inside == "plugins";
        let names_daemon = code(&text).any(|line| has_word(line, "bartizan::"));
        assert!(!foreign || !names_daemon, "{}: a plugin names no daemon", path.display());
    }
}

#[test]
fn no_path_of_a_machine_and_no_private_registry_is_written_down() {
    let home = std::env::var("HOME").unwrap_or_default();
    let machine = [repository().display().to_string(), home].map(|folder| format!("{folder}/"));
    for (path, text) in files(|path| !path.components().any(|part| part.as_os_str() == "fixtures"))
    {
        for folder in machine.iter().filter(|folder| folder.len() > 1) {
            let mut lines = text.lines().enumerate();
            let found = lines.find(|(_, line)| line.contains(folder.as_str()));
            assert!(found.is_none(), "{}: {folder} in {found:?}", path.display());
        }
        if path.ends_with("package-lock.json") {
            let mut lines = text.lines().filter(|line| line.trim().starts_with("\"resolved\""));
            let public = lines.all(|line| line.contains("\"https://registry.npmjs.org/"));
            assert!(public, "{}: packages come from the public registry", path.display());
        }
    }
}

/// They are built by cargo-fuzz alone; what they call is checked by `tests/run`, which builds the daemon for fuzzing.
#[test]
fn every_fuzz_target_is_named_and_calls_what_is_there() {
    let fuzz = repository().join("tests/fuzz");
    let read = |path: PathBuf| fs::read_to_string(&path).unwrap();
    let (manifest, readme) = (read(fuzz.join("Cargo.toml")), read(fuzz.join("README.md")));
    let store = repository().join("daemon/src/store");
    let (targets, seeds) = (read(store.join("fuzz.rs")), read(store.join("fuzz_seeds.rs")));
    let mut found = 0;
    for entry in fs::read_dir(fuzz.join("targets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let source = read(path.clone());
        for (text, wanted) in [
            (&manifest, format!("path = \"targets/{name}.rs\"")),
            (&readme, format!("| `{name}` |")),
            (&source, format!("|bytes: &[u8]| fuzz::{name}(bytes)")),
            (&source, format!("fuzz_seeds::seed(\"{name}\", ")),
            (&targets, format!("pub fn {name}(bytes: &[u8])")),
            (&seeds, format!("\"{name}\" => ")),
        ] {
            assert!(text.contains(&wanted), "{}: nothing says `{wanted}`", path.display());
        }
        found += 1;
    }
    assert_eq!(found, manifest.matches("[[bin]]").count(), "targets");
}

/// Every path that begins with `crate::`, whole, groups taken apart.
fn names_in(text: &str) -> Vec<Vec<String>> {
    let code: String = code(text).collect::<Vec<_>>().join("\n");
    let mut named = Vec::new();
    for (at, begin) in code.match_indices("crate::") {
        // `$crate::` and the like are no paths of ours.
        let before = code[..at].chars().next_back();
        if before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '$')) {
            take_path(&code[at + begin.len()..], &[], &mut named);
        }
    }
    named
}

/// Reads one path, or a group of paths, that follow `above`; returns what comes after.
fn take_path<'a>(text: &'a str, above: &[String], named: &mut Vec<Vec<String>>) -> &'a str {
    let mut rest = text.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        rest = group;
        loop {
            rest = take_path(rest, above, named).trim_start();
            match rest.strip_prefix(',') {
                Some(next) if !next.trim_start().starts_with('}') => rest = next,
                Some(next) => return next.trim_start().strip_prefix('}').unwrap(),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'));
    let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
    let path = [above, &[name.to_owned()]].concat();
    if let Some(below) = after.strip_prefix("::")
        && below.trim_start().starts_with(|c: char| c.is_alphabetic() || "_{*".contains(c))
    {
        return take_path(below, &path, named);
    }
    named.push(path);
    after.trim_start().strip_prefix("as ").map_or(after, |alias| {
        alias.trim_start().trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// Whether the module `of` has `name` from its `actor`, by `pub use`.
fn taken_from_actor(daemon: &Path, of: &str, name: &str) -> bool {
    let text = fs::read_to_string(daemon.join(of).join("mod.rs")).unwrap_or_default();
    let mut taken = Vec::new();
    for (at, begin) in text.match_indices("pub use ") {
        take_path(&text[at + begin.len()..], &[], &mut taken);
    }
    taken.iter().any(|path| path[0] == "actor" && path.last().unwrap() == name)
}

/// Lines without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let letter = |c: char| c.is_alphanumeric() || c == '_';
        let before = line[..at].chars().next_back().is_some_and(letter);
        let after = line[at + word.len()..].chars().next().is_some_and(letter);
        !before && (!after || word.ends_with(':'))
    })
}

/// Source files, by their path from the top.
fn sources() -> Vec<(PathBuf, String)> {
    files(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| OPENINGS.iter().any(|(known, _)| *known == ending))
    })
}

fn files(wanted: impl Fn(&Path) -> bool) -> Vec<(PathBuf, String)> {
    let (top, mut folders, mut found) = (repository(), vec![repository()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let inside = path.strip_prefix(&top).unwrap();
            if path.is_dir() && ![".git", "target", "node_modules", "dist"].contains(&name) {
                folders.push(path);
            } else if path.is_file() && name != ".git" && wanted(inside) {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                found.push((inside.to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {}", top.display());
    found
}
