//! The store's calls to the disk: what the standard library offers, and no more of it than the store needs.
//!
//! ```text
//!  log, segments, checkpoint, folder, held ─► here ─► std
//!                                               └ in tests: faults, and what a power cut would leave
//! ```
//!
//! # Invariants
//!
//! - Every file of the store passes here, but for sled's, which sled reads and writes by itself, and `LOCK`.
//! - In the daemon these are the plain calls: no state, no lock, nothing virtual. Only the store's own tests may put
//!   `disk_faults` under them.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

#[cfg(test)]
use super::disk_faults::{self as faults, Call};

/// An open file.
#[derive(Debug)]
pub(super) struct File {
    file: fs::File,
    #[cfg(test)]
    watched: Option<faults::Watched>,
}

impl File {
    /// Opens a file to be read.
    pub(super) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let file = fs::File::open(path)?;
        Ok(Self::at(path, file, false))
    }

    /// Makes an empty file to be written, in place of what was there.
    pub(super) fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        #[cfg(test)]
        faults::before(Call::Create, path)?;
        let file = fs::File::create(path)?;
        Ok(Self::at(path, file, true))
    }

    /// Makes a file that is written at its end only; an error if one is there.
    pub(super) fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        #[cfg(test)]
        faults::before(Call::Create, path)?;
        let file = fs::OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Self::at(path, file, true))
    }

    /// Opens a file that is there, to be cut.
    pub(super) fn edit(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let file = fs::OpenOptions::new().write(true).open(path)?;
        Ok(Self::at(path, file, false))
    }

    #[cfg(not(test))]
    fn at(_: &Path, file: fs::File, _: bool) -> Self {
        Self { file }
    }

    #[cfg(test)]
    fn at(path: &Path, file: fs::File, is_new: bool) -> Self {
        Self { watched: faults::Watched::of(path, is_new), file }
    }

    /// Writes all of it; after an error any part may stand in the file.
    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(watched) = &self.watched {
            let (bytes, answer) = watched.may_write(bytes);
            (&self.file).write_all(bytes)?;
            return answer;
        }
        (&self.file).write_all(bytes)
    }

    /// Makes what the file holds survive a power cut; its name does with that of its folder.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(watched) = &self.watched {
            let began = std::time::Instant::now();
            watched.may(Call::Sync)?;
            self.file.sync_data()?;
            return watched.synced(&self.file, began);
        }
        self.file.sync_data()
    }

    /// Cuts the file.
    pub(super) fn set_len(&self, length: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(watched) = &self.watched {
            watched.may(Call::Cut)?;
        }
        self.file.set_len(length)
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Fills `bytes` with what stands at `offset`.
    pub(super) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(watched) = &self.watched {
            watched.may(Call::Read)?;
        }
        self.file.read_exact_at(bytes, offset)
    }
}

#[cfg(test)]
impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        Self { file, watched: None }
    }
}

/// All of a file.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    #[cfg(test)]
    faults::before(Call::Read, path)?;
    fs::read(path)
}

/// Gives a file another name, in place of what had it.
pub(super) fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    #[cfg(test)]
    faults::before(Call::Rename, from)?;
    fs::rename(from, to)?;
    #[cfg(test)]
    faults::renamed(from, to);
    Ok(())
}

/// Deletes a file.
pub(super) fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    #[cfg(test)]
    faults::before(Call::Remove, path)?;
    fs::remove_file(path)?;
    #[cfg(test)]
    faults::removed(path);
    Ok(())
}

/// Deletes a folder that is empty.
pub(super) fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    fs::remove_dir(path)?;
    #[cfg(test)]
    faults::removed(path);
    Ok(())
}

/// Makes a folder, and those above it, where they are missing.
pub(super) fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    #[cfg(test)]
    faults::before(Call::Create, path)?;
    fs::create_dir_all(path)?;
    #[cfg(test)]
    faults::made_folders(path);
    Ok(())
}

/// Makes a file of so many bytes, whose blocks are its own from now on.
pub(super) fn allocate(path: impl AsRef<Path>, bytes: u64) -> io::Result<()> {
    let file = File::create_new(path)?;
    #[cfg(test)]
    if let Some(watched) = &file.watched {
        watched.may_take(bytes)?;
    }
    Ok(fallocate(&file.file, FallocateFlags::empty(), 0, bytes)?)
}

/// Bytes that the disk has left for us.
pub(super) fn available(path: &Path) -> io::Result<u64> {
    #[cfg(test)]
    if let Some(bytes) = faults::available(path) {
        return Ok(bytes);
    }
    let disk = statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_folder(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    #[cfg(test)]
    faults::before(Call::SyncFolder, path)?;
    fs::File::open(path)?.sync_all()?;
    #[cfg(test)]
    faults::synced_folder(path);
    Ok(())
}
