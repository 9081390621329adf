//! Runs the collector on captured machines and on this one.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, path::Path, process::Command};

use bartizan_plugin::testing::{Host, Round};

use super::Disk;

#[test]
fn a_captured_machine_has_the_devices_it_had() {
    let mut host = host(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/server"));
    let round = host.collect().unwrap();
    let of = |metric, device| round.value(metric, &[("device", device)]);

    assert_eq!(of("disk_reads_total", "nvme0n1"), Some(4_294_967_296.0));
    assert_eq!(of("disk_writes_total", "nvme0n1"), Some(2e6));
    assert_eq!(of("disk_read_bytes_total", "vg0-data"), Some(2400.0 * 512.0));
    assert_eq!(of("disk_written_bytes_total", "vg0-data"), Some(3200.0 * 512.0));
    assert_eq!(of("disk_read_seconds_total", "nvme0n1"), Some(4000.5));
    assert_eq!(of("disk_write_seconds_total", "nvme0n1"), Some(3000.25));
    assert_eq!(of("disk_io_seconds_total", "nvme0n1"), Some(5000.125));
    let mut devices: Vec<_> = round
        .samples
        .iter()
        .filter(|sample| sample.metric == "disk_reads_total")
        .map(|sample| &*sample.labels[0].1)
        .collect();
    devices.sort_unstable();
    assert_eq!(devices, ["cciss/c0d0", "nvme0n1", "sda", "vg0-data"]);
    let refused = host.destroy();
    assert_eq!(refused.len(), 6, "each mount but the root is missing here, once: {refused:?}");
}

#[test]
fn mounts_come_and_go_with_the_table() {
    let tree = Tree::new();
    let mut host = host(tree.0.path());
    let ext4 = "27 1 254:0 / / rw - ext4 /dev/vda rw\n";
    let data = "28 1 8:1 / /my\\040data rw - xfs /dev/sda1 rw\n";
    let labels = [("mount", "/my data"), ("device", "/dev/sda1"), ("filesystem", "xfs")];

    tree.write(&[ext4, data]);
    let round = host.collect().unwrap();
    assert!((0.0..=1.0).contains(&round.value("disk_usage_ratio", &labels).unwrap()));
    assert_eq!(mounts(&round), ["/", "/my data"]);

    tree.write(&[ext4]);
    assert_eq!(mounts(&host.collect().unwrap()), ["/"]);

    tree.write(&[data, ext4]);
    assert_eq!(mounts(&host.collect().unwrap()), ["/my data", "/"]);

    let again = "28 1 8:17 / /my\\040data rw - xfs /dev/sda1 rw\n";
    tree.write(&[ext4, again]);
    let round = host.collect().unwrap();
    assert!(round.value("disk_usage_ratio", &labels).is_some(), "same labels, mounted anew");
}

#[test]
fn a_broken_table_fails_the_round_and_the_next_one_is_fine() {
    let tree = Tree::new();
    tree.write(&["27 1 254:0 / /\n"]);
    let mut host = host(tree.0.path());
    let error = host.collect().unwrap_err();
    assert_eq!(
        error.text(),
        "failed to parse `self/mountinfo` line 1: ends before column 6 (options)"
    );
    tree.write(&["27 1 254:0 / / rw - ext4 /dev/vda rw\n"]);
    assert_eq!(mounts(&host.collect().unwrap()), ["/"]);
}

#[test]
fn this_machine_agrees_with_df() {
    let mut host = Host::new::<Disk>("{}").unwrap();
    let round = host.collect().unwrap();
    let root = round
        .samples
        .iter()
        .find(|sample| sample.metric == "disk_usage_ratio" && sample.labels[0].1 == "/");
    let labels = root.expect("the root is a disk").labels.clone();
    let labels: Vec<_> = labels.iter().map(|(key, value)| (&**key, &**value)).collect();
    let value = |metric| round.value(metric, &labels).unwrap();

    let df =
        Command::new("df").args(["-B1", "--output=source,size,used,avail", "/"]).output().unwrap();
    let df = String::from_utf8(df.stdout).unwrap();
    let df: Vec<_> = df.lines().nth(1).unwrap().split_whitespace().collect();
    let number = |at: usize| -> f64 { df[at].parse().unwrap() };
    assert_eq!(labels[1], ("device", df[0]));
    assert_eq!(value("disk_total_bytes"), number(1));
    // Between the two readings others may write: a hundredth of the disk is more than they should.
    let near = number(1) / 100.0;
    for (metric, at) in [("disk_used_bytes", 2), ("disk_available_bytes", 3)] {
        let (ours, theirs) = (value(metric), number(at));
        assert!((ours - theirs).abs() < near, "{metric}: {ours}, df says {theirs}");
    }
    let (ours, theirs) = (value("disk_usage_ratio"), number(2) / (number(2) + number(3)));
    assert!((ours - theirs).abs() < 0.01, "{ours}, df says {theirs}");
}

#[test]
fn counters_of_this_machine_only_grow() {
    let mut host = Host::new::<Disk>("{}").unwrap();
    let first = host.collect().unwrap();
    let second = host.collect().unwrap();
    assert_eq!(mounts(&first), mounts(&second));
    for sample in first.samples.iter().filter(|sample| sample.metric == "disk_writes_total") {
        let labels: Vec<_> = sample.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        let (before, after) =
            (first.value(&sample.metric, &labels), second.value(&sample.metric, &labels));
        assert!(before.is_some() && before <= after, "{before:?} <= {after:?}");
    }
}

/// A machine whose table of mounts changes, with a folder for each mount.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(tree.0.path().join("proc/self")).unwrap();
        fs::create_dir(tree.0.path().join("my data")).unwrap();
        fs::write(tree.0.path().join("proc/diskstats"), "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n")
            .unwrap();
        tree
    }

    fn write(&self, lines: &[&str]) {
        fs::write(self.0.path().join("proc/self/mountinfo"), lines.concat()).unwrap();
    }
}

/// The mounts that have a ratio, in the order of the round.
fn mounts(round: &Round) -> Vec<&str> {
    let ratios = round.samples.iter().filter(|sample| sample.metric == "disk_usage_ratio");
    ratios.map(|sample| &*sample.labels[0].1).collect()
}

fn host(root: &Path) -> Host {
    let root = root.display();
    let config = format!(r#"{{"procfs":"{root}/proc","sysfs":"{root}/sys","rootfs":"{root}"}}"#);
    Host::new::<Disk>(&config).unwrap()
}
