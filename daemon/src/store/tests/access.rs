//! A state folder in which something belongs to somebody else.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
};

use tempfile::TempDir;

use super::*;

#[test]
fn what_belongs_to_another_user_is_named_with_the_fix_and_nothing_is_moved() {
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
    let is_root = rustix::process::geteuid().is_root();
    let nobody = 65_534;
    let mut all = vec![folder.path().to_owned()];
    while let Some(path) = all.pop() {
        if path.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if is_root {
            chown(&path, Some(nobody), Some(nobody)).unwrap();
        }
    }
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let open_as_user = || {
        let path = state.clone();
        let opened = std::thread::spawn(move || {
            if is_root {
                let user = rustix::fs::Uid::from_raw(nobody);
                rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            }
            Store::open(&path, &StoreConfig::default(), &Arc::default()).map(drop)
        });
        opened.join().unwrap()
    };
    open_as_user().unwrap();
    let before = names();
    for file in ["sled/db", "checkpoint/state.ckpt", "LOCK"] {
        let file = state.join(file);
        let whole = fs::read(&file).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions();
        if is_root {
            chown(&file, Some(0), Some(0)).unwrap();
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(if is_root { 0o600 } else { 0 }))
            .unwrap();
        let error = open_as_user().unwrap_err().to_string();
        let fix = if is_root { "chown -R 65534" } else { "chmod -R" };
        assert!(error.contains(&*file.to_string_lossy()) && error.contains(fix), "{error}");
        assert!(!is_root || error.contains("belongs to user 0 (root)"), "{error}");
        assert_eq!(names(), before, "nothing is moved aside");
        fs::set_permissions(&file, mode).unwrap();
        assert_eq!(fs::read(&file).unwrap(), whole);
        if is_root {
            chown(&file, Some(nobody), Some(nobody)).unwrap();
        }
    }
    open_as_user().unwrap();
    assert_eq!(open(&state).bits("load"), expected(0..200));
}
