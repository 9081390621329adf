//! Files as a whole: copied, hashed, made durable.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::super::{StoreError, disk::sync_folder};

/// Bytes that are copied in one piece.
const PIECE: usize = 1 << 20;

/// Copies a folder and everything below it into `to`, which is there.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(from).map_err(StoreError::file("list", from))? {
        let entry = entry.map_err(StoreError::file("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            fs::create_dir(&target).map_err(StoreError::file("make folder", &target))?;
            copy_tree(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(StoreError::file("copy", source))?;
        }
    }
    Ok(())
}

/// Copies the first `most` bytes of `from` to the new file `to`, which survives a power cut then, with its permissions;
/// answers the length and the SHA-256 of what was copied.
pub(super) fn copy_hashed(
    (mut from, source): (File, &Path),
    most: u64,
    to: &Path,
) -> Result<(u64, String), StoreError> {
    let permissions = from.metadata().map_err(StoreError::file("read", source))?.permissions();
    let mut out = File::create_new(to).map_err(StoreError::file("make", to))?;
    out.set_permissions(permissions).map_err(StoreError::file("make", to))?;
    let (mut bytes, mut hash) = (0, Sha256::new());
    let mut piece = vec![0; PIECE];
    while bytes < most {
        let wanted = piece.len().min(usize::try_from(most - bytes).unwrap_or(usize::MAX));
        let length = read_some(&mut from, &mut piece[..wanted]);
        let length = length.map_err(StoreError::file("read", source))?;
        if length == 0 {
            break;
        }
        hash.update(&piece[..length]);
        out.write_all(&piece[..length]).map_err(StoreError::file("write", to))?;
        bytes += length as u64;
    }
    out.sync_all().map_err(StoreError::file("sync", to))?;
    Ok((bytes, hex(&hash.finalize())))
}

/// The SHA-256 of a file.
pub(super) fn hash_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = read_some(&mut file, &mut piece)?;
        if length == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&piece[..length]);
    }
}

/// All files below `folder`, as paths from there, in their order.
pub(super) fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut folders, mut found) = (vec![PathBuf::new()], Vec::new());
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inside))? {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Makes the names in a folder and in all below it survive a power cut.
pub(super) fn sync_folders(folder: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { step: "sync folder", path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder).map_err(failed)
}

fn read_some(from: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
