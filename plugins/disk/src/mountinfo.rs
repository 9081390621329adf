//! `/proc/self/mountinfo`: what is mounted where, and which of it is a disk that can become full.
//!
//! Each line is `id parent major:minor root mount options [tags…] - type source options`; spaces and the like within
//! a word are written as `\040`. Format: proc_pid_mountinfo(5).

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use bartizan_procfs::{Line, Lines, ParseError};

/// Types that hold no files on a disk, and images that are full by nature. statvfs on an autofs would mount it.
const NO_DISKS: [&str; 38] = [
    "autofs",
    "bdev",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.snapfuse",
    "fuse.squashfuse",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "nullfs",
    "pipefs",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sockfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
];

/// How types begin whose files are elsewhere, or behind a program: they may be slow, or never answer.
const ELSEWHERE: [&str; 12] = [
    "nfs",
    "cifs",
    "smb",
    "fuse.",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "ncp",
    "virtiofs",
    "gfs",
];

/// One file system, where it can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The kernel's number of the file system: the same wherever else it is mounted.
    pub(crate) device: Vec<u8>,
    /// Where it is mounted.
    pub(crate) path: PathBuf,
    /// Its type: `ext4`.
    pub(crate) filesystem: String,
    /// What is mounted: `/dev/vda1`, `server:/export`.
    pub(crate) source: String,
}

/// Parses the whole file, in its order.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Mount>, ParseError> {
    Lines::new("self/mountinfo", text)?.map(|mut line| Mount::parse(&mut line)).collect()
}

/// The mounts that are measured: those of disks, each file system once, as `df` shows them, those that may never answer
/// last.
///
/// Of several mounts of a file system the one with the shortest path counts. A mount that a later one at the same path
/// hides cannot be reached. The overlay of a container's root is all that a container sees of its disk; others are
/// duplicates of the disk below.
pub(crate) fn disks(mounts: Vec<Mount>) -> Vec<Mount> {
    let mut disks: Vec<Mount> = Vec::new();
    for (at, mount) in mounts.iter().enumerate() {
        let later = mounts.get(at + 1..).unwrap_or_default();
        if !mount.is_disk() || later.iter().any(|later| later.path == mount.path) {
            continue;
        }
        match disks.iter_mut().find(|disk| disk.device == mount.device) {
            None => disks.push(mount.clone()),
            Some(disk) if mount.path.as_os_str().len() < disk.path.as_os_str().len() => {
                *disk = mount.clone();
            }
            Some(_) => {}
        }
    }
    disks.sort_by_key(Mount::is_elsewhere);
    disks
}

impl Mount {
    fn parse(line: &mut Line) -> Result<Self, ParseError> {
        line.count("id")?;
        line.count("parent")?;
        let device = line.need("major:minor")?.to_vec();
        line.need("root")?;
        let path = PathBuf::from(OsString::from_vec(unescape(line.need("mount")?)));
        line.need("options")?;
        while line.need("`-`")? != b"-" {}
        let filesystem = line.text("type")?.to_owned();
        let source = String::from_utf8_lossy(&unescape(line.need("source")?)).into_owned();
        Ok(Self { device, path, filesystem, source })
    }

    fn is_disk(&self) -> bool {
        match &*self.filesystem {
            "overlay" => self.path == Path::new("/"),
            other => !NO_DISKS.contains(&other),
        }
    }

    fn is_elsewhere(&self) -> bool {
        ELSEWHERE.iter().any(|kind| self.filesystem.starts_with(kind))
    }
}

/// Turns `\040` and its like into the bytes that they stand for; a `\` without three octal digits stays.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, after @ ..] = rest {
        let (byte, next) = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', next @ ..] => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), next)
            }
            _ => (*first, after),
        };
        plain.push(byte);
        rest = next;
    }
    plain
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn a_server_shows_each_disk_once_and_the_network_last() {
        let text = include_bytes!("../fixtures/server/proc/self/mountinfo");
        let disks = disks(parse(text).unwrap());
        let shown: Vec<_> = disks
            .iter()
            .map(|disk| (disk.path.to_str().unwrap(), &*disk.source, &*disk.filesystem))
            .collect();
        assert_eq!(
            shown,
            [
                ("/", "/dev/nvme0n1p2", "ext4"),
                ("/boot/efi", "/dev/nvme0n1p1", "vfat"),
                ("/srv/data", "/dev/mapper/vg0-data", "xfs"),
                ("/mnt/My Disk\t\\o/", "/dev/sda1", "fuseblk"),
                ("/home", "/dev/sdb1", "btrfs"),
                ("/mnt/hidden", "/dev/sdd1", "ext4"),
                ("/mnt/nas", "nas.example.org:/volume one", "nfs4"),
            ]
        );
    }

    #[test]
    fn a_virtual_machine_as_captured() {
        let mounts = parse(include_bytes!("../fixtures/vm/proc/self/mountinfo")).unwrap();
        let root = Mount {
            device: b"254:0".to_vec(),
            path: "/".into(),
            filesystem: "ext4".into(),
            source: "/dev/vda".into(),
        };
        assert_eq!(disks(mounts), [root]);
    }

    #[test]
    fn a_container_sees_its_overlay_and_the_disk_of_its_files() {
        let mounts = parse(include_bytes!("../fixtures/container/proc/self/mountinfo")).unwrap();
        let paths: Vec<_> = disks(mounts).into_iter().map(|disk| disk.path).collect();
        assert_eq!(paths, [Path::new("/"), Path::new("/etc/hosts")]);
    }

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        assert_eq!(unescape(br"/a\040b\134\011c"), b"/a b\\\tc");
        assert_eq!(unescape(br"\04"), br"\04");
        assert_eq!(unescape(br"\999\477\"), br"\999\477\");
        assert_eq!(unescape(br"\377"), [0xff]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "failed to parse `self/mountinfo` line 1: the file is empty");
        assert_eq!(
            error("27 1 254:0 / / rw - ext4 /dev/vda rw\n28 1 0:1 / /x rw shared:1 ext4\n"),
            "failed to parse `self/mountinfo` line 2: ends before column 9 (`-`)"
        );
        assert_eq!(
            error("x\n"),
            r#"failed to parse `self/mountinfo` line 1: column 1 (id) is "x", must be a count"#
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = parse(&text).map(disks);
            let _ = unescape(&text);
        }
    }
}
