//! Whether the files of a state folder are this user's to use.
//!
//! What belongs to another user, most often because a command was run as root, is no damage: it is named, with the fix,
//! and nothing is moved, made or deleted. Root gives back what it has made once it is done.

use std::{
    fs,
    io::ErrorKind,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, Dir, Gid, Mode, OFlags, Uid, accessat, chownat, fchown, openat},
    io::Errno,
};

use super::StoreError;
use crate::logging::chain;

/// What in a state folder is the store's.
const OURS: [&str; 7] = ["LOCK", "VERSION", "reserve", "log", "segments", "checkpoint", "sled"];

/// Files that are written to where they stand; the others are only read, put in the place of one another, or deleted.
const WRITTEN: [&str; 2] = ["LOCK", "sled/db"];

/// Refuses a folder in which something of the store's cannot be used by this user.
pub(super) fn check_access(state: &Path) -> Result<(), StoreError> {
    let mut left: Vec<PathBuf> = OURS.map(|name| state.join(name)).into();
    left.push(state.to_owned());
    while let Some(path) = left.pop() {
        // Whoever has the folder open may delete files meanwhile.
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        let is_written = WRITTEN.iter().any(|name| path == state.join(name));
        let wanted = match facts.is_dir() {
            true => Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
            false if is_written => Access::READ_OK | Access::WRITE_OK,
            false => Access::READ_OK,
        };
        if accessat(CWD, &path, wanted, AtFlags::EACCESS) == Err(Errno::ACCESS) {
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

/// Gives a state folder's files to its owner when dropped: what root has made, the daemon could not use.
#[derive(Debug)]
pub(super) struct GivenBack(pub(super) PathBuf);

impl Drop for GivenBack {
    fn drop(&mut self) {
        let Ok(owner) = fs::metadata(&self.0) else { return };
        if owner.uid() == rustix::process::geteuid().as_raw() {
            return;
        }
        if let Err(error) = give_to(&self.0, Some(&owner)) {
            tracing::warn!(
                error = chain(&error),
                "store cannot give its files back to their owner"
            );
        }
    }
}

/// Gives a folder and all that is in it to the owner of another one, where we may.
pub(super) fn give_to(folder: &Path, owner: Option<&fs::Metadata>) -> Result<(), StoreError> {
    let Some(owner) = owner.filter(|_| rustix::process::geteuid().is_root()) else { return Ok(()) };
    let owner = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    let opened = openat(CWD, folder, folder_flags(), Mode::empty());
    let given = opened.and_then(|opened| {
        fchown(&opened, Some(owner.0), Some(owner.1))?;
        give_below(&opened, owner)
    });
    given.map_err(|error| StoreError::file("give away", folder)(error.into()))
}

/// Gives away what is in a folder. Its owner may put links there meanwhile: none is followed.
fn give_below(folder: &OwnedFd, owner: (Uid, Gid)) -> Result<(), Errno> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match chownat(folder, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            given => given?,
        }
        match openat(folder, name, folder_flags() | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(below) => give_below(&below, owner)?,
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}
