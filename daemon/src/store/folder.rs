//! The state folder: who has it, in which version, and how full it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{
    StoreError,
    access::{GivenBack, check_access},
    disk::{self, create_dir_all, rename, sync_folder},
    reserve::give_up,
};

/// The newest version of the folder that this daemon knows, and writes.
const VERSION: u32 = 2;
/// The oldest that is read: nothing but the number has to change, since every segment says its own version, and what
/// came with the second version is made as soon as there is time.
const VERSION_LEAST: u32 = 1;

/// The state folder, held against other daemons for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    // Before anybody else may have it.
    _given_back: GivenBack,
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, and takes it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Folder { path: path.to_owned(), source };
        let new = !path.exists();
        create_dir_all(path).map_err(unusable)?;
        if new {
            private(path).map_err(unusable)?;
        }
        check_access(path)?;
        let lock = take_lock(path)?;
        let folder =
            Self { path: path.to_owned(), _given_back: GivenBack(path.to_owned()), _lock: lock };
        if !check_version(path)? {
            let version = format!("{VERSION}\n");
            replace(&path.join("VERSION"), version.as_bytes()).map_err(unusable)?;
        }
        for folder in ["log", "segments", "checkpoint"] {
            create_dir_all(path.join(folder)).map_err(unusable)?;
        }
        sync_folder(path).map_err(unusable)?;
        Ok(folder)
    }

    /// Where it stands.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Takes the folder alone, whatever version it is in; the lock goes with the file.
pub(super) fn take_lock(path: &Path) -> Result<File, StoreError> {
    let unusable = |source| StoreError::Folder { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut lock = options.open(path.join("LOCK")).map_err(unusable)?;
    if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(unusable(error.into()));
        }
        let mut holder = String::new();
        // Who holds it is a courtesy; without it the error is still the right one.
        let _ = (&lock).take(64).read_to_string(&mut holder);
        let pid = holder.split_whitespace().next().and_then(|pid| pid.parse().ok());
        return Err(StoreError::InUse { path: path.to_owned(), pid });
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let holder = format!("{}\n{}\n", std::process::id(), boot.trim());
    let mut written = write_holder(&mut lock, &holder);
    if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::StorageFull) && give_up(path)
    {
        written = write_holder(&mut lock, &holder);
    }
    written.map_err(unusable)?;
    Ok(lock)
}

fn write_holder(lock: &mut File, holder: &str) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(holder.as_bytes())
}

/// Refuses a version that this program does not know; whether it is the one that it writes.
pub(super) fn check_version(path: &Path) -> Result<bool, StoreError> {
    let unusable = |source| StoreError::Folder { path: path.to_owned(), source };
    let file = path.join("VERSION");
    match fs::read_to_string(&file) {
        Ok(found) if found.trim() == VERSION.to_string() => Ok(true),
        Ok(found) if found.trim() == VERSION_LEAST.to_string() => Ok(false),
        Ok(found) => {
            let found = found.trim().chars().take(40).collect();
            Err(StoreError::Version { path: path.to_owned(), found, known: VERSION })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unusable(error)),
    }
}

/// Puts `content` in the place of `file` so that at any moment either the old
/// or the new stands there, also after a power cut.
pub(super) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let draft = file.with_extension("tmp");
    let out = disk::File::create(&draft)?;
    out.write_all(content)?;
    out.sync_data()?;
    rename(&draft, file)?;
    file.parent().map_or(Ok(()), sync_folder)
}

/// Bytes of all files at or below `path`; what vanishes meanwhile counts nothing.
pub(super) fn bytes_below(path: &Path) -> u64 {
    let Ok(facts) = fs::symlink_metadata(path) else { return 0 };
    if !facts.is_dir() {
        return facts.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_below(&entry.path())).sum()
}
