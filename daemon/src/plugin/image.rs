//! A plugin file's bytes, judged, and kept so that what was judged is what runs.

use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use bartizan_plugin::manifest::Manifest;
use object::read::ReadCache;
use rustix::{
    fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, open},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::folders::{FolderKind, judge_owner};
use crate::manifest::{ElfError, read_section};

/// Longest file that is read, in bytes.
const SIZE_MAX: u64 = 256 * 1024 * 1024;

/// A file that is a plugin for us.
pub(super) struct Image {
    pub(super) manifest: Manifest,
    pub(super) section: Vec<u8>,
    pub(super) digest: [u8; 32],
    pub(super) bytes: OwnedFd,
}

/// Why a file is not used.
pub(super) enum Unfit {
    /// It has nothing to do with plugins.
    NoPlugin(String),
    /// It is one, or meant to be one, and is refused.
    Refused(String),
}

/// Opens and judges a file. Everything is judged on what was opened, nothing by name.
pub(super) fn judge(path: &Path, kind: FolderKind) -> Result<Image, Unfit> {
    let mut file = open_regular(path, kind)?;
    // Most files of a build folder are none of ours: look before reading it all.
    read_section(&ReadCache::new(&mut file)).map_err(unfit)?;
    let mut content = Vec::new();
    let read = |error| Unfit::Refused(format!("failed to read: {error}"));
    std::io::Seek::rewind(&mut file).map_err(read)?;
    let len = (&mut file).take(SIZE_MAX + 1).read_to_end(&mut content).map_err(read)?;
    if len as u64 > SIZE_MAX {
        return Err(Unfit::Refused(format!("is longer than {SIZE_MAX} bytes")));
    }
    // It may have changed since the first look: what counts is what was copied.
    let section = read_section(content.as_slice()).map_err(unfit)?;
    let manifest = Manifest::parse(&section).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Unfit::Refused(format!("{error}{}", cause.unwrap_or_default()))
    })?;
    let digest = Sha256::digest(&content).into();
    let bytes = seal(&content, file)
        .map_err(|error| Unfit::Refused(format!("failed to copy to memory: {error}")))?;
    Ok(Image { manifest, section, digest, bytes })
}

fn unfit(error: ElfError) -> Unfit {
    match error {
        ElfError::NoManifest => Unfit::NoPlugin(error.to_string()),
        _ => Unfit::Refused(error.to_string()),
    }
}

fn open_regular(path: &Path, kind: FolderKind) -> Result<File, Unfit> {
    // NONBLOCK: opening a FIFO must not wait for whoever writes to it.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if kind != FolderKind::Beside {
        flags |= OFlags::NOFOLLOW;
    }
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(Unfit::Refused("is a symbolic link".into())),
        Err(error) => return Err(Unfit::Refused(format!("failed to open: {error}"))),
    };
    let meta =
        file.metadata().map_err(|error| Unfit::Refused(format!("failed to open: {error}")))?;
    if !meta.is_file() {
        return Err(Unfit::Refused("is not a regular file".into()));
    }
    if kind != FolderKind::Beside {
        judge_owner(meta.uid(), meta.mode()).map_err(Unfit::Refused)?;
    }
    Ok(file)
}

/// The bytes in a memfd that nobody can change any more.
///
/// Where the system forbids memfds that may be executed (`vm.memfd_noexec=2`), one without the
/// mode bit does, because mapping asks for none. Where there are no memfds at all, it is the file
/// itself, as it was opened: it cannot be exchanged by name, and only root and we may write it.
fn seal(content: &[u8], file: File) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let create = |flags| memfd_create("bartizan-plugin", flags);
    let Ok(memory) = create(flags).or_else(|_| create(flags | MemfdFlags::NOEXEC_SEAL)) else {
        return Ok(file.into());
    };
    let mut memory = File::from(memory);
    memory.write_all(content)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&memory, seals)?;
    Ok(memory.into())
}
