//! Disks that misbehave under a daemon: a small one that is filled to its last byte, and one that is slow or fails.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Setup,
    peer::{need, run},
    repository,
};

/// A disk in memory, where a folder was. Dropping it takes it away, with all that is on it: drop the daemons first.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Puts a disk of `mebibytes` at `folder`.
    ///
    /// # Panics
    ///
    /// Where this is not allowed; only root may.
    pub fn mount(folder: &Path, mebibytes: u64) -> Self {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "disks are mounted by root only: run this scenario as root");
        fs::create_dir_all(folder).unwrap();
        let mut command = Command::new(need("mount", "mount"));
        command.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=700"), "tmpfs"]);
        command.arg(folder);
        run(command);
        Self { folder: folder.to_owned() }
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.folder).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Somebody else fills it until `left` bytes are left; none for all of it, to the last byte.
    pub fn fill(&self, left: u64) {
        let mut file = File::options().create(true).append(true).open(self.foreign()).unwrap();
        for piece in [64 << 10, 4096, 1] {
            while left == 0 || self.left() >= left + piece as u64 {
                match file.write_all(&vec![0x55; piece]) {
                    Ok(()) => (),
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Somebody else takes away what they have put there.
    pub fn empty(&self) {
        fs::remove_file(self.foreign()).unwrap();
    }

    fn foreign(&self) -> PathBuf {
        self.folder.join("of-somebody-else")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Somebody may still be there for a moment: it goes from its place at once, and altogether with them.
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}

/// A disk under the state folder that is slow or fails when it is told to: `hostile/disk.c`.
pub struct FaultyDisk {
    fault: PathBuf,
}

impl FaultyDisk {
    /// Puts it under the daemons of `setup`.
    pub fn under(setup: Setup) -> (Self, Setup) {
        let library = setup.folder().join("libdisk.so");
        let mut command = Command::new(need("cc", "gcc"));
        command.args(["-std=gnu99", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror"]);
        command.args(["-shared", "-fPIC"]).arg(repository().join("tests/hostile/disk.c"));
        command.arg("-o").arg(&library).arg("-ldl");
        run(command);
        let fault = setup.folder().join("disk-fault");
        let (state, text) = (setup.state(), |path: &Path| path.to_str().unwrap().to_owned());
        let setup = setup
            .environment("LD_PRELOAD", &text(&library))
            .environment("DISK_FOLDER", &text(&state))
            .environment("DISK_FAULT", &text(&fault));
        (Self { fault }, setup)
    }

    /// From now on every write and every sync takes so long.
    pub fn slow(&self, milliseconds: u64) {
        self.is(&format!("slow {milliseconds}"));
    }

    /// From now on every write and every sync fails.
    pub fn fail(&self) {
        self.is("fail");
    }

    /// From now on all is well.
    pub fn heal(&self) {
        self.is("");
    }

    fn is(&self, fault: &str) {
        let draft = self.fault.with_extension("new");
        fs::write(&draft, fault).unwrap();
        fs::rename(&draft, &self.fault).unwrap();
    }
}
