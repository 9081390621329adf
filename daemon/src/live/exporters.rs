//! What others call what a server's row is made of: node_exporter, and OpenTelemetry's host metrics.
//!
//! Names and states are those of node_exporter 1.x and of the hostmetrics receiver. The figures mean what those of the
//! bundled plugins mean: CPU = 1 − (idle + iowait) / all, memory = 1 − available / total, disk = used / (used +
//! available to users), of the fullest mount.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::series::Labels;

/// What a series of theirs plays in its server's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Seconds of a core in one mode.
    Cpu,
    MemoryTotal,
    MemoryAvailable,
    /// Memory in one state.
    Memory,
    DiskSize,
    DiskFree,
    DiskAvailable,
    /// A file system in one state.
    Disk,
    Receive,
    Transmit,
    /// Bytes in one direction.
    Network,
    Load,
    /// When the machine was started, in seconds since 1970.
    Boot,
    Temperature,
}

const NAMES: [(&str, Foreign); 16] = [
    ("node_boot_time_seconds", Foreign::Boot),
    ("node_cpu_seconds_total", Foreign::Cpu),
    ("node_filesystem_avail_bytes", Foreign::DiskAvailable),
    ("node_filesystem_free_bytes", Foreign::DiskFree),
    ("node_filesystem_size_bytes", Foreign::DiskSize),
    ("node_hwmon_temp_celsius", Foreign::Temperature),
    ("node_load1", Foreign::Load),
    ("node_memory_MemAvailable_bytes", Foreign::MemoryAvailable),
    ("node_memory_MemTotal_bytes", Foreign::MemoryTotal),
    ("node_network_receive_bytes_total", Foreign::Receive),
    ("node_network_transmit_bytes_total", Foreign::Transmit),
    ("system_cpu_load_average_1m", Foreign::Load),
    ("system_cpu_time_seconds_total", Foreign::Cpu),
    ("system_filesystem_usage_bytes", Foreign::Disk),
    ("system_memory_usage_bytes", Foreign::Memory),
    ("system_network_io_bytes_total", Foreign::Network),
];

/// File systems that are no disk, and images that are full by nature.
const NO_DISKS: [&str; 10] = [
    "autofs", "devtmpfs", "efivarfs", "erofs", "iso9660", "overlay", "ramfs", "rootfs", "squashfs",
    "tmpfs",
];

/// What goes through an interface that begins so goes through another one too, or nowhere.
const NO_INTERFACES: [&str; 12] =
    ["bond", "br", "cali", "cni", "docker", "flannel", "lo", "lxc", "tap", "tun", "veth", "virbr"];

impl Foreign {
    /// The part of a metric.
    pub(super) fn of(metric: &str) -> Option<Self> {
        if !metric.starts_with("node_") && !metric.starts_with("system_") {
            return None;
        }
        NAMES.iter().find(|(name, _)| *name == metric).map(|(_, part)| *part)
    }
}

/// The figures of one server, as they come together. `None`: unknown.
#[derive(Debug, Default)]
pub(super) struct Figures {
    cpu: Share,
    cores: BTreeSet<String>,
    memory: Share,
    memory_total: Option<f64>,
    memory_available: Option<f64>,
    disks: BTreeMap<Arc<str>, Space>,
    pub(super) receive: Option<f64>,
    pub(super) transmit: Option<f64>,
    pub(super) load: Option<f64>,
    pub(super) boot_seconds: Option<f64>,
    pub(super) temperature: Option<f64>,
}

/// What is taken of a whole.
#[derive(Debug, Default)]
struct Share {
    taken: f64,
    all: f64,
}

/// A file system.
#[derive(Debug, Default)]
struct Space {
    size: Option<f64>,
    free: Option<f64>,
    available: Option<f64>,
    used: Option<f64>,
}

impl Figures {
    /// Takes in a present value: a gauge's, or a counter's rate per second.
    pub(super) fn add(&mut self, part: Foreign, labels: &Labels, value: f64) {
        let label = |name: &str| labels.get(name).unwrap_or_default();
        let state = || labels.get("state").or(labels.get("mode")).unwrap_or_default();
        match part {
            Foreign::Cpu => {
                if !self.cores.contains(label("cpu")) {
                    self.cores.insert(label("cpu").to_owned());
                }
                self.cpu.add(value, !["idle", "iowait", "wait"].contains(&state()));
            }
            Foreign::MemoryTotal => self.memory_total = Some(value),
            Foreign::MemoryAvailable => self.memory_available = Some(value),
            Foreign::Memory => self.memory.add(value, state() == "used"),
            Foreign::DiskSize | Foreign::DiskFree | Foreign::DiskAvailable | Foreign::Disk => {
                self.add_disk(part, labels, value);
            }
            Foreign::Receive => add_interface(&mut self.receive, label("device"), value),
            Foreign::Transmit => add_interface(&mut self.transmit, label("device"), value),
            Foreign::Network => match label("direction") {
                "receive" => add_interface(&mut self.receive, label("device"), value),
                "transmit" => add_interface(&mut self.transmit, label("device"), value),
                _ => {}
            },
            Foreign::Load => self.load = Some(value),
            Foreign::Boot => self.boot_seconds = Some(value),
            Foreign::Temperature => {
                self.temperature = Some(self.temperature.map_or(value, |hot| hot.max(value)));
            }
        }
    }

    fn add_disk(&mut self, part: Foreign, labels: &Labels, value: f64) {
        let kind = labels.get("fstype").or(labels.get("type")).unwrap_or_default();
        let Some(mount) = labels.get("mountpoint") else { return };
        if NO_DISKS.contains(&kind) {
            return;
        }
        let disk = self.disks.entry(mount.into()).or_default();
        let field = match (part, labels.get("state")) {
            (Foreign::DiskSize, _) => &mut disk.size,
            (Foreign::DiskFree, _) => &mut disk.free,
            (Foreign::DiskAvailable, _) | (Foreign::Disk, Some("free")) => &mut disk.available,
            (Foreign::Disk, Some("used")) => &mut disk.used,
            _ => return,
        };
        *field = Some(value);
    }

    pub(super) fn cpu(&self) -> Option<f64> {
        self.cpu.ratio()
    }

    pub(super) fn cores(&self) -> Option<f64> {
        // An OpenTelemetry collector may tell all cores as one without a name.
        let is_told = !self.cores.is_empty() && !self.cores.contains("");
        is_told.then_some(self.cores.len() as f64)
    }

    pub(super) fn memory(&self) -> Option<f64> {
        let available = self.memory_available.zip(self.memory_total);
        let of_total = available.filter(|(_, total)| *total > 0.0);
        of_total.map(|(available, total)| 1.0 - available / total).or(self.memory.ratio())
    }

    /// The fullest mount: how full, and which it is.
    pub(super) fn disk(&self) -> Option<(f64, &Arc<str>)> {
        let full = self.disks.iter().filter_map(|(mount, space)| Some((space.ratio()?, mount)));
        full.max_by(|(one, _), (other, _)| one.total_cmp(other))
    }
}

impl Share {
    fn add(&mut self, value: f64, is_taken: bool) {
        self.all += value;
        self.taken += if is_taken { value } else { 0.0 };
    }

    fn ratio(&self) -> Option<f64> {
        (self.all > 0.0).then(|| self.taken / self.all)
    }
}

impl Space {
    fn ratio(&self) -> Option<f64> {
        let used = self.used.or_else(|| Some(self.size? - self.free?))?;
        let all = used + self.available?;
        (all > 0.0).then(|| used / all)
    }
}

fn add_interface(sum: &mut Option<f64>, device: &str, value: f64) {
    if !NO_INTERFACES.iter().any(|name| device.starts_with(name)) {
        *sum = Some(sum.unwrap_or(0.0) + value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metric, labels, present value.
    type Present<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

    /// What is made of these.
    fn figures(of: &[Present<'_>]) -> Figures {
        let mut figures = Figures::default();
        for (metric, labels, value) in of {
            let part = Foreign::of(metric).unwrap_or_else(|| panic!("{metric}"));
            figures.add(part, &Labels::new(labels.iter().copied()), *value);
        }
        figures
    }

    #[test]
    fn names_are_in_order_and_each_is_found() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name));
        assert!(NAMES.iter().all(|(name, part)| Foreign::of(name) == Some(*part)));
        assert_eq!((Foreign::of("node_load15"), Foreign::of("load1")), (None, None));
    }

    #[test]
    fn a_node_exporter_says_what_the_plugins_say() {
        let disk = [("fstype", "ext4"), ("mountpoint", "/")];
        let home = [("fstype", "xfs"), ("mountpoint", "/home")];
        let run = [("fstype", "tmpfs"), ("mountpoint", "/run")];
        let figures = figures(&[
            ("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "idle")], 0.5),
            ("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "user")], 0.5),
            ("node_cpu_seconds_total", &[("cpu", "1"), ("mode", "iowait")], 0.25),
            ("node_cpu_seconds_total", &[("cpu", "1"), ("mode", "system")], 0.75),
            ("node_memory_MemTotal_bytes", &[], 8e9),
            ("node_memory_MemAvailable_bytes", &[], 6e9),
            ("node_filesystem_size_bytes", &disk, 100.0),
            ("node_filesystem_free_bytes", &disk, 40.0),
            ("node_filesystem_avail_bytes", &disk, 20.0),
            ("node_filesystem_size_bytes", &home, 100.0),
            ("node_filesystem_free_bytes", &home, 90.0),
            ("node_filesystem_avail_bytes", &home, 90.0),
            ("node_filesystem_size_bytes", &run, 10.0),
            ("node_filesystem_free_bytes", &run, 0.0),
            ("node_filesystem_avail_bytes", &run, 0.0),
            ("node_network_receive_bytes_total", &[("device", "eth0")], 1000.0),
            ("node_network_receive_bytes_total", &[("device", "lo")], 7.0),
            ("node_network_transmit_bytes_total", &[("device", "eth0")], 10.0),
            ("node_network_transmit_bytes_total", &[("device", "veth1")], 7.0),
            ("node_hwmon_temp_celsius", &[("sensor", "temp1")], 40.0),
            ("node_hwmon_temp_celsius", &[("sensor", "temp2")], 51.0),
        ]);
        assert_eq!((figures.cpu(), figures.cores()), (Some(0.625), Some(2.0)));
        assert_eq!((figures.memory(), figures.disk()), (Some(0.25), Some((0.75, &"/".into()))));
        assert_eq!((figures.receive, figures.transmit), (Some(1000.0), Some(10.0)));
        assert_eq!((figures.temperature, figures.load), (Some(51.0), None));
    }

    #[test]
    fn host_metrics_of_opentelemetry_say_the_same() {
        let root = |state| [("mountpoint", "/"), ("state", state), ("type", "ext4")];
        let figures = figures(&[
            ("system_cpu_time_seconds_total", &[("cpu", "cpu0"), ("state", "idle")], 0.75),
            ("system_cpu_time_seconds_total", &[("cpu", "cpu0"), ("state", "wait")], 0.125),
            ("system_cpu_time_seconds_total", &[("cpu", "cpu0"), ("state", "user")], 0.125),
            ("system_memory_usage_bytes", &[("state", "used")], 1e9),
            ("system_memory_usage_bytes", &[("state", "free")], 3e9),
            ("system_filesystem_usage_bytes", &root("used"), 60.0),
            ("system_filesystem_usage_bytes", &root("free"), 20.0),
            ("system_filesystem_usage_bytes", &root("reserved"), 5.0),
            ("system_network_io_bytes_total", &[("device", "eth0"), ("direction", "receive")], 9.0),
            ("system_cpu_load_average_1m", &[], 0.5),
        ]);
        assert_eq!((figures.cpu(), figures.cores()), (Some(0.125), Some(1.0)));
        assert_eq!((figures.memory(), figures.disk()), (Some(0.25), Some((0.75, &"/".into()))));
        assert_eq!((figures.receive, figures.transmit), (Some(9.0), None));
        assert_eq!(figures.load, Some(0.5));
    }

    #[test]
    fn of_half_of_it_nothing_is_said() {
        let figures = figures(&[
            ("node_memory_MemAvailable_bytes", &[], 6e9),
            ("node_filesystem_size_bytes", &[("mountpoint", "/")], 100.0),
            ("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "idle")], 0.0),
        ]);
        assert_eq!((figures.cpu(), figures.memory(), figures.disk()), (None, None, None));
    }
}
