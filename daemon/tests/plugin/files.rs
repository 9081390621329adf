//! Which files are plugins, and what is told of the others.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use bartizan::plugin::{FolderKind, PluginCatalog, PluginFolder};

use crate::world::{Folder, SHORT, World, is_parked, ready, reason, state};

fn scan(folder: &Folder, kind: FolderKind) -> PluginCatalog {
    PluginCatalog::scan(&[PluginFolder { path: folder.path().to_owned(), kind }])
}

/// Names of refused files with their reasons.
fn refused(catalog: &PluginCatalog) -> Vec<(String, &str)> {
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    catalog.refused.iter().map(|file| (name(&file.path), &*file.reason)).collect()
}

#[test]
fn every_file_that_is_no_plugin_is_refused_for_its_own_reason() {
    let folder = Folder::new();
    let good = fs::read(folder.compile("a_good", &[])).unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("b_text.so"), "#!/bin/sh\n").unwrap();
    fs::write(file("c_empty.so"), "").unwrap();
    fs::write(file("d_truncated.so"), &good[..good.len() / 2]).unwrap();
    let mut other = good.clone();
    other[4] = 1;
    fs::write(file("e_32bit.so"), &other).unwrap();
    folder.compile("f_no_plugin", &["NO_PLUGIN"]);
    folder.compile("g_json", &["BAD_JSON"]);
    folder.compile("h_major", &[r#"ABI="{\"major\":2,\"min_minor\":0}""#, r#"ID="org.example.h""#]);
    folder.compile("i_minor", &[r#"ABI="{\"major\":1,\"min_minor\":7}""#, r#"ID="org.example.i""#]);
    fs::create_dir(file("j_folder.so")).unwrap();
    symlink(file("a_good.so"), file("k_link.so")).unwrap();
    fs::write(file("l_writable.so"), &good).unwrap();
    fs::set_permissions(file("l_writable.so"), fs::Permissions::from_mode(0o666)).unwrap();
    folder.compile("m_twin", &["TWIN", r#"NAME="twin""#]);
    fs::write(file("n_same.so"), &good).unwrap();
    fs::write(file("not_a_library.txt"), &good).unwrap();

    let catalog = scan(&folder, FolderKind::Configured);
    assert_eq!(catalog.found.len(), 1);
    let twin = format!(
        "its id `org.example.hostile` is taken by `{}`, which was found first",
        file("a_good.so").display()
    );
    let expected = [
        ("b_text.so", "not an ELF file"),
        ("c_empty.so", "an empty file"),
        ("d_truncated.so", "truncated or damaged ELF file"),
        ("e_32bit.so", "a 32-bit file, this machine needs 64-bit"),
        ("f_no_plugin.so", "no section `.bartizan_manifest`: not a Bartizan plugin"),
        ("g_json.so", "failed to parse manifest: EOF while parsing a value at line 1 column 7"),
        ("h_major.so", "needs ABI 2.0, this daemon has 1.0"),
        ("i_minor.so", "needs ABI 1.7, this daemon has 1.0"),
        ("j_folder.so", "is not a regular file"),
        ("k_link.so", "is a symbolic link"),
        ("l_writable.so", "may be written by others (mode 0666), try `chmod go-w`"),
        ("m_twin.so", &twin),
    ];
    let expected = expected.map(|(name, reason)| (name.to_owned(), reason));
    assert_eq!(refused(&catalog), expected);
}

#[test]
fn a_build_folder_may_hold_other_libraries_and_a_missing_one_is_told_only_if_it_was_named() {
    let folder = Folder::new();
    folder.compile("other", &["NO_PLUGIN"]);
    folder.compile("cpu", &[r#"ID="org.bartizan.cpu""#]);
    let catalog = scan(&folder, FolderKind::Beside);
    assert_eq!(refused(&catalog), []);
    assert!(catalog.found[0].bundled);
    assert!(!scan(&folder, FolderKind::Configured).found[0].bundled);

    let absent = folder.path().join("absent");
    let folders = [FolderKind::Beside, FolderKind::System, FolderKind::Configured]
        .map(|kind| PluginFolder { path: absent.join(format!("{kind:?}")), kind });
    let catalog = PluginCatalog::scan(&folders);
    assert_eq!(catalog.refused.len(), 1);
    assert!(catalog.refused[0].reason.starts_with("failed to read folder"));
}

#[test]
fn a_folder_that_others_may_write_is_not_used() {
    let folder = Folder::new();
    folder.compile("good", &[]);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let catalog = scan(&folder, FolderKind::Configured);
    assert_eq!(catalog.found.len(), 0);
    assert!(catalog.refused[0].reason.contains("(mode 0777)"), "{:?}", catalog.refused);
}

#[tokio::test]
async fn what_only_the_host_can_find_out_parks_the_instance() {
    let folder = Folder::new();
    folder.compile("symbol", &["NO_SYMBOL", r#"ID="org.example.symbol""#]);
    folder.compile("manifest", &["OTHER_MANIFEST", r#"ID="org.example.manifest""#]);
    folder.compile("unresolved", &["UNRESOLVED", r#"ID="org.example.unresolved""#]);
    let world = World::start(&folder, FolderKind::Configured).await;
    for (id, expected) in [
        ("org.example.symbol", "plugin refused: it has no symbol `bartizan_plugin_v1`"),
        (
            "org.example.manifest",
            "plugin refused: the manifest in its entry is not the one in its section",
        ),
        (
            "org.example.unresolved",
            "plugin refused: failed to load: undefined symbol: nobody_has_this",
        ),
    ] {
        let mut instance = world.open(id, id, "");
        assert_eq!(reason(&state(&mut instance, is_parked).await), expected);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_constructor_that_crashes_or_hangs_hits_only_its_host() {
    let folder = Folder::new();
    folder.compile("hang", &["CONSTRUCTOR_SPIN", SHORT, r#"ID="org.example.hang""#]);
    folder.compile("crash", &["CONSTRUCTOR_SEGV", r#"ID="org.example.crash""#]);
    folder.compile("good", &[r#"ID="org.example.good""#]);
    let world = World::start(&folder, FolderKind::Configured).await;
    let mut good = world.open("good", "org.example.good", "");
    ready(&mut good).await;
    let mut crash = world.open("crash", "org.example.crash", "");
    let down = state(&mut crash, |state| reason(state).contains(" in ")).await;
    assert_eq!(reason(&down), "plugin host was killed by SIGSEGV in load");
    let mut hang = world.open("hang", "org.example.hang", "");
    let down = state(&mut hang, |state| reason(state).contains("deadline")).await;
    assert_eq!(reason(&down), "deadline of 5s exceeded in create");
    good.collect(0).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn what_runs_is_what_was_judged_and_a_rescan_finds_what_is_new() {
    let folder = Folder::new();
    let file = folder.compile("good", &[]);
    let world = World::start(&folder, FolderKind::Configured).await;
    let mut late = world.open("late", "org.example.late", "");
    state(&mut late, is_parked).await;
    // Exchanged after it was judged, before it is loaded.
    fs::write(&file, "not a plugin any more").unwrap();
    let mut good = world.open("good", "hostile", "");
    ready(&mut good).await;

    folder.compile("late", &[r#"ID="org.example.late""#]);
    world.port.rescan(folder.searched(FolderKind::Configured));
    ready(&mut late).await;
    good.collect(0).await.unwrap();
    let reasons = &world.port.catalog().refused;
    assert_eq!(reasons[0].reason, "not an ELF file", "{reasons:?}");
    world.stop().await;
}
