//! Whether the files of a state folder are this user's to use.
//!
//! What belongs to another user, most often because a command was run as root, is no damage: it is named, with the fix,
//! and nothing is moved, made or deleted.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::StoreError;

/// What in a state folder is the store's.
const OURS: [&str; 7] = ["LOCK", "VERSION", "reserve", "log", "segments", "checkpoint", "sled"];

/// Refuses a folder in which something of the store's cannot be used by this user.
pub(super) fn check_access(state: &Path) -> Result<(), StoreError> {
    let mut left: Vec<PathBuf> = OURS.map(|name| state.join(name)).into();
    left.push(state.to_owned());
    while let Some(path) = left.pop() {
        // Whoever has the folder open may delete files meanwhile.
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        let is_segment = path.extension().is_some_and(|extension| extension == "seg");
        let wanted = match facts.is_dir() {
            true => Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
            // Segments are only read.
            false if is_segment => Access::READ_OK,
            false => Access::READ_OK | Access::WRITE_OK,
        };
        if accessat(CWD, &path, wanted, AtFlags::EACCESS) == Err(rustix::io::Errno::ACCESS) {
            let why = why(state, (facts.uid(), facts.mode() & 0o7777));
            return Err(StoreError::Access { state: state.to_owned(), path, why });
        }
        if facts.is_dir() && path != state {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
    }
    Ok(())
}

/// Whether something failed because it is not allowed to this user.
pub(super) fn is_denied(error: &StoreError) -> bool {
    match error {
        StoreError::Folder { source, .. }
        | StoreError::File { source, .. }
        | StoreError::State { source: sled::Error::Io(source), .. } => {
            source.kind() == ErrorKind::PermissionDenied
        }
        _ => false,
    }
}

/// Whose something is that this user may not use, and the fix.
fn why(state: &Path, (owner, mode): (u32, u32)) -> String {
    let (user, state) = (rustix::process::geteuid().as_raw(), state.display());
    if owner == user {
        return format!("has mode {mode:04o}; allow it with `chmod -R u+rwX '{state}'`");
    }
    let root = if owner == 0 { " (root)" } else { "" };
    format!(
        "belongs to user {owner}{root} and has mode {mode:04o}, and this is user {user}; as root, give it back with \
         `chown -R {user} '{state}'`"
    )
}
