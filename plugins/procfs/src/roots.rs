//! Where the kernel's files stand: the configuration that every bundled plugin takes.

use std::path::{Path, PathBuf};

use bartizan_plugin::Config;

/// Where the machine that is watched keeps its files. Others than the defaults make a plugin read a captured tree, or
/// the machine around a container.
#[derive(Debug, Clone, PartialEq, Eq, Config)]
pub struct Roots {
    /// The proc file system.
    #[config(default = "/proc")]
    pub procfs: PathBuf,
    /// The sys file system.
    #[config(default = "/sys")]
    pub sysfs: PathBuf,
    /// The folder that the machine calls `/`.
    #[config(default = "/")]
    pub rootfs: PathBuf,
}

impl Roots {
    /// A path below `procfs`.
    #[must_use]
    pub fn proc(&self, path: &str) -> PathBuf {
        self.procfs.join(path)
    }

    /// A path below `sysfs`.
    #[must_use]
    pub fn sys(&self, path: &str) -> PathBuf {
        self.sysfs.join(path)
    }

    /// Whether `/sys` and `/proc` are this machine's own: what has no root to be given, such as sysinfo, may be asked
    /// only then.
    #[must_use]
    pub fn are_own(&self) -> bool {
        self.procfs == Path::new("/proc")
            && self.sysfs == Path::new("/sys")
            && self.rootfs == Path::new("/")
    }
}
