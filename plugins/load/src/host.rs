//! What machine this is: its name, operating system, kernel and architecture.
//!
//! Of this machine sysinfo says it; of a captured one, or the one around a container, its files do.

use std::{env::consts::ARCH, fs, path::Path};

use bartizan_procfs::{Roots, read_value};
use sysinfo::System;

/// What stands where something is not known.
const UNKNOWN: &str = "unknown";

/// What machine this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its name, as it calls itself.
    pub(crate) hostname: String,
    /// Its operating system: `Debian GNU/Linux 12`.
    pub(crate) os: String,
    /// Release of its kernel.
    pub(crate) kernel: String,
    /// Architecture, as the kernel calls it: `x86_64`.
    pub(crate) arch: String,
}

impl Host {
    /// Finds out. What is not known is `unknown`.
    pub(crate) fn find(roots: &Roots) -> Self {
        let (hostname, os, kernel, arch) = if roots.are_own() {
            let os = join(System::name().ok(), System::os_version().ok());
            let hostname = System::host_name().ok();
            (hostname, os, System::kernel_version().ok(), Some(System::cpu_arch()))
        } else {
            let kernel = |name: &str| read_value(&roots.proc("sys/kernel").join(name));
            let os = read_os(&roots.rootfs);
            (kernel("hostname"), os, kernel("osrelease"), kernel("arch"))
        };
        let or_unknown = |text: Option<String>| {
            text.filter(|text| !text.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned())
        };
        Self {
            hostname: or_unknown(hostname),
            os: or_unknown(os),
            kernel: or_unknown(kernel),
            // Kernels before 6.1 do not say it in a file; that of this program is the likely one.
            arch: arch.unwrap_or_else(|| ARCH.to_owned()),
        }
    }
}

fn read_os(rootfs: &Path) -> Option<String> {
    let found = ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|path| fs::read_to_string(rootfs.join(path)).ok())?;
    join(os_release(&found, "NAME"), os_release(&found, "VERSION_ID"))
}

/// The value of a key of os-release(5), without its quotes.
fn os_release(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?.trim();
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    Some(quoted('"').or_else(|| quoted('\'')).unwrap_or(value).to_owned())
}

/// Rolling distributions have a name and no version.
fn join(name: Option<String>, version: Option<String>) -> Option<String> {
    let name = name?;
    Some(version.map_or_else(|| name.clone(), |version| format!("{name} {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_machine_says_what_it_was() {
        let host = Host::find(&captured("vm"));
        let expected = Host {
            hostname: "web-1".to_owned(),
            os: "Debian GNU/Linux 12".to_owned(),
            kernel: "6.18.44-1-cloud-amd64".to_owned(),
            arch: "x86_64".to_owned(),
        };
        assert_eq!(host, expected);
    }

    #[test]
    fn what_is_not_known_is_said_so() {
        let host = Host::find(&captured("old"));
        assert_eq!((&*host.hostname, &*host.os), ("db-1", UNKNOWN));
        assert_eq!(host.arch, ARCH);
    }

    #[test]
    fn values_may_be_quoted_in_every_way() {
        let text = "# A comment\nNAME='A'\nVERSION_ID=\"1.5\"\nID=plain\nBROKEN=\"x\nEMPTY=\n";
        let value = |key| os_release(text, key);
        assert_eq!(value("NAME").as_deref(), Some("A"));
        assert_eq!(value("VERSION_ID").as_deref(), Some("1.5"));
        assert_eq!(value("ID").as_deref(), Some("plain"));
        assert_eq!(value("BROKEN").as_deref(), Some("\"x"));
        assert_eq!(value("EMPTY").as_deref(), Some(""));
        assert_eq!(value("VERSION"), None, "a part of a key is not the key");
    }

    fn captured(machine: &str) -> Roots {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(machine);
        Roots { procfs: root.join("proc"), sysfs: root.join("sys"), rootfs: root }
    }
}
