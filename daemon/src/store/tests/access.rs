//! A state folder in which something belongs to somebody else.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink},
    path::PathBuf,
};

use tempfile::TempDir;

use super::{super::upkeep::ClosedStore, *};

/// Nobody's number.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A store that another user has, if this is root, with something of every kind in it.
fn furnished() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let mut store = open(&state);
    let id = store.series("load", "");
    store.write(rows(id, 0..100));
    store.seal();
    store.write(rows(id, 100..200));
    store.store.keeper.index().unwrap();
    store.store.keeper.checkpoint().unwrap();
    drop(store);
    // Root may do everything: somebody else opens it then.
    if is_root() {
        all_below(folder.path()).iter().for_each(|path| give(path, NOBODY));
    }
    (folder, state)
}

fn all_below(path: &Path) -> Vec<PathBuf> {
    let (mut left, mut all) = (vec![path.to_owned()], Vec::new());
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.push(path);
    }
    all
}

fn give(path: &Path, user: u32) {
    lchown(path, Some(user), Some(user)).unwrap();
}

fn open_as_user(state: &Path) -> Result<(), StoreError> {
    let path = state.to_owned();
    let opened = std::thread::spawn(move || {
        if is_root() {
            let user = rustix::fs::Uid::from_raw(NOBODY);
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        }
        Store::open(&path, &StoreConfig::default(), &Arc::default()).map(drop)
    });
    opened.join().unwrap()
}

#[test]
fn what_belongs_to_another_user_is_named_with_the_fix_and_nothing_is_moved() {
    let (_folder, state) = furnished();
    let is_root = is_root();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    open_as_user(&state).unwrap();
    let before = names();
    for file in ["sled/db", "checkpoint/state.ckpt", "LOCK"] {
        let file = state.join(file);
        let whole = fs::read(&file).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions();
        if is_root {
            give(&file, 0);
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(if is_root { 0o600 } else { 0 }))
            .unwrap();
        let error = open_as_user(&state).unwrap_err().to_string();
        let fix = if is_root { "chown -R 65534" } else { "chmod -R" };
        assert!(error.contains(&*file.to_string_lossy()) && error.contains(fix), "{error}");
        assert!(!is_root || error.contains("belongs to user 0 (root)"), "{error}");
        assert_eq!(names(), before, "nothing is moved aside");
        fs::set_permissions(&file, mode).unwrap();
        assert_eq!(fs::read(&file).unwrap(), whole);
        if is_root {
            give(&file, NOBODY);
        }
    }
    open_as_user(&state).unwrap();
    assert_eq!(open(&state).bits("load"), expected(0..200));
}

#[test]
fn what_root_has_looked_at_or_added_to_opens_again() {
    let (folder, state) = furnished();
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "of somebody else").unwrap();
    let owner = fs::metadata(&elsewhere).unwrap().uid();
    symlink(&elsewhere, state.join("link")).unwrap();
    let closed = || ClosedStore::open(&state, &StoreConfig::default()).unwrap();
    let look: fn(ClosedStore) = |store| assert_eq!(store.inventory().samples, 200);
    // The folders of a day of its own are there when it fails.
    let fail: fn(ClosedStore) = |mut store| {
        let mut samples = vec![(0, START_MS - 48 * 3_600_000, 1.0)];
        store.import(&[series("load", "")], &mut samples).unwrap();
        store.seal().unwrap();
        store.import(&[], &mut vec![(7, START_MS, 1.0)]).unwrap_err();
    };
    for done in [look, fail] {
        done(closed());
        open_as_user(&state).unwrap();
        if is_root() {
            for path in all_below(&state) {
                let owner = fs::symlink_metadata(&path).unwrap().uid();
                assert_eq!(owner, NOBODY, "{}", path.display());
            }
        }
    }
    assert_eq!(fs::metadata(&elsewhere).unwrap().uid(), owner, "no link is followed");
    assert_eq!(open(&state).samples(), 201);
}

#[test]
fn what_is_only_read_may_belong_to_another_user() {
    let (_folder, state) = furnished();
    // Opened again, the state has a snapshot.
    open_as_user(&state).unwrap();
    let is_read = |path: &PathBuf| {
        let name = path.to_string_lossy();
        path.is_file() && !name.ends_with("/LOCK") && !name.ends_with("/db")
    };
    let read: Vec<_> = all_below(&state).into_iter().filter(is_read).collect();
    let mut names = read.iter().map(|path| path.file_name().unwrap().to_string_lossy());
    assert!(names.any(|name| name.starts_with("snap.")), "{read:?}");
    for path in read {
        if is_root() {
            give(&path, 0);
        }
        let mode = if is_root() { 0o644 } else { 0o444 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    open_as_user(&state).unwrap();
}
