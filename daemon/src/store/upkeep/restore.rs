//! Putting a backup where a daemon finds it. Nothing is written before every checksum was right.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Component, Path, PathBuf},
};

use super::{
    super::{
        StoreError,
        access::give_to,
        disk::sync_folder,
        folder::{check_version, take_lock},
    },
    backup::{BackupFacts, FACTS, SUMS, beside},
    files::{copy_hashed, files_below, hash_of, sync_folders},
};
use crate::series::now_ms;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup says of itself.
    pub facts: BackupFacts,
    /// Where what was there before is now.
    pub before: Option<PathBuf>,
}

/// Makes the backup `from` the store in `state`. A folder that is not empty is refused, or put aside with `force`; one
/// that a daemon has is always refused.
pub fn restore(from: &Path, state: &Path, force: bool) -> Result<Restored, StoreError> {
    let refused = |what: String| StoreError::Restore { path: from.to_owned(), what };
    let sums = verified(from)?;
    let facts = fs::read(from.join(FACTS)).map_err(StoreError::file("read", from.join(FACTS)))?;
    let facts: BackupFacts = serde_json::from_slice(&facts)
        .map_err(|error| refused(format!("`{FACTS}` is not understood: {error}")))?;
    if facts.layout != 1 {
        let what =
            format!("it is of layout {}, this program knows 1; use a newer one", facts.layout);
        return Err(refused(what));
    }
    let owner = fs::metadata(state).ok();
    let lock = if owner.is_some() { Some(take_lock(state)?) } else { None };
    let is_empty = owner.is_none() || is_empty(state)?;
    if !is_empty && !force {
        let place = state.display();
        let what = format!(
            "`{place}` is not empty; name another folder by --state, or put what is there aside by --force"
        );
        return Err(refused(what));
    }
    let draft = beside(state, "restoring").ok_or_else(|| refused("no folder is named".into()))?;
    DirBuilder::new().mode(0o700).create(&draft).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let left = draft.display();
            refused(format!("`{left}` is left of an attempt that was cut off; remove it"))
        }
        _ => StoreError::file("make folder", &draft)(error),
    })?;
    let filled = fill(&draft, from, &sums).and_then(|()| {
        check_version(&draft)?;
        give_to(&draft, owner.as_ref())?;
        sync_folders(&draft)
    });
    let before = filled.and_then(|()| swap(&draft, state, is_empty));
    if before.is_err() {
        // The next attempt would be refused.
        let _ = fs::remove_dir_all(&draft);
    }
    drop(lock);
    Ok(Restored { facts, before: before? })
}

/// The files of a backup and their checksums, which are right.
fn verified(from: &Path) -> Result<BTreeMap<PathBuf, String>, StoreError> {
    let refused = |what: String| StoreError::Restore { path: from.to_owned(), what };
    let text = fs::read_to_string(from.join(SUMS)).map_err(|error| {
        refused(format!("its `{SUMS}` cannot be read ({error}); is it a backup of bartizan?"))
    })?;
    let mut sums = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let entry = line.split_once("  ").filter(|(hash, path)| {
            let is_inside =
                Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            hash.len() == 64 && is_inside && !path.is_empty()
        });
        let (hash, path) =
            entry.ok_or_else(|| refused(format!("line {number} of `{SUMS}` is damaged")))?;
        sums.insert(PathBuf::from(path), hash.to_owned());
    }
    let there = files_below(from).map_err(StoreError::file("list", from))?;
    if let Some(foreign) =
        there.iter().find(|file| !sums.contains_key(*file) && **file != Path::new(SUMS))
    {
        let foreign = foreign.display();
        return Err(refused(format!("`{foreign}` is not in its `{SUMS}`; take it away")));
    }
    if !sums.contains_key(Path::new(FACTS)) {
        return Err(refused(format!("`{FACTS}` is not in its `{SUMS}`")));
    }
    for (inside, wanted) in &sums {
        let found = hash_of(&from.join(inside));
        let found = found.map_err(StoreError::file("read", from.join(inside)))?;
        if found != *wanted {
            let inside = inside.display();
            return Err(refused(format!(
                "`{inside}` is damaged: its checksum is another one; use another backup"
            )));
        }
    }
    Ok(sums)
}

fn is_empty(state: &Path) -> Result<bool, StoreError> {
    let entries = fs::read_dir(state).map_err(StoreError::file("look into", state))?;
    // Taking the folder has made this one.
    Ok(entries.flatten().all(|entry| entry.file_name() == "LOCK"))
}

fn fill(draft: &Path, from: &Path, sums: &BTreeMap<PathBuf, String>) -> Result<(), StoreError> {
    let refused = |what: String| StoreError::Restore { path: from.to_owned(), what };
    for (inside, wanted) in sums.iter().filter(|(inside, _)| **inside != Path::new(FACTS)) {
        let (source, to) = (from.join(inside), draft.join(inside));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(StoreError::file("make folder", folder))?;
        }
        let file = File::open(&source).map_err(StoreError::file("open", &source))?;
        let (_, hash) = copy_hashed((file, &source), u64::MAX, &to)?;
        if hash != *wanted {
            let inside = inside.display();
            return Err(refused(format!("`{inside}` has changed meanwhile; try again")));
        }
    }
    Ok(())
}

/// Puts the draft in the place of the folder; answers where that is now, unless it was empty.
fn swap(draft: &Path, state: &Path, is_empty: bool) -> Result<Option<PathBuf>, StoreError> {
    let mut aside = None;
    if state.exists() {
        let ending = format!("before-restore-{}", now_ms());
        let to = beside(state, &ending).unwrap_or_else(|| state.with_extension(ending));
        fs::rename(state, &to).map_err(StoreError::file("put aside", state))?;
        aside = Some(to);
    }
    if let Err(error) = fs::rename(draft, state) {
        if let Some(aside) = &aside {
            // What was there is there again.
            let _ = fs::rename(aside, state);
        }
        return Err(StoreError::file("rename", draft)(error));
    }
    let above = state.canonicalize().ok();
    if let Some(above) = above.as_deref().and_then(Path::parent) {
        sync_folder(above).map_err(StoreError::file("sync folder", above))?;
    }
    if let Some(empty) = aside.as_ref().filter(|_| is_empty) {
        fs::remove_dir_all(empty).map_err(StoreError::file("delete", empty))?;
        return Ok(None);
    }
    Ok(aside)
}
