//! How full a file system is, as `df` says it.

use std::{io, path::Path};

/// What a file system holds and could hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// All of it, in bytes.
    pub(crate) total: u64,
    /// What files take, in bytes.
    pub(crate) used: u64,
    /// What a user may still take, in bytes: what is kept back for root is neither used nor available.
    pub(crate) available: u64,
    /// How many files it can hold; zero where it sets no limit.
    pub(crate) inodes: u64,
    /// How many more.
    pub(crate) inodes_free: u64,
}

impl Space {
    /// Asks the file system at `path`. A dead network file system keeps the caller until it is back, which may be never.
    pub(crate) fn measure(path: &Path) -> io::Result<Self> {
        let found = rustix::io::retry_on_intr(|| rustix::fs::statvfs(path))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self {
            total: bytes(found.f_blocks),
            used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
            available: bytes(found.f_bavail),
            inodes: found.f_files,
            inodes_free: found.f_ffree,
        })
    }

    /// used / (used + available); none for a file system of no size.
    pub(crate) fn usage_ratio(&self) -> Option<f64> {
        ratio(self.used, self.used.saturating_add(self.available))
    }

    /// Part of the files it can hold that it holds; none where it sets no limit.
    pub(crate) fn inodes_usage_ratio(&self) -> Option<f64> {
        ratio(self.inodes.saturating_sub(self.inodes_free), self.inodes)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_root_is_neither_used_nor_available() {
        let space = Space { total: 100, used: 45, available: 45, inodes: 10, inodes_free: 9 };
        assert_eq!(space.usage_ratio(), Some(0.5));
        assert_eq!(space.inodes_usage_ratio(), Some(0.1));
    }

    #[test]
    fn a_file_system_without_size_or_limit_has_no_ratio() {
        let space = Space { total: 0, used: 0, available: 0, inodes: 0, inodes_free: 0 };
        assert_eq!((space.usage_ratio(), space.inodes_usage_ratio()), (None, None));
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        let error = Space::measure(Path::new("/nowhere/at all")).map_err(|error| error.kind());
        assert_eq!(error, Err(io::ErrorKind::NotFound));
    }
}
