//! Runs the collector on captured machines and on this one.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, path::Path};

use bartizan_plugin::testing::{Host, Round};

use super::Load;

#[test]
fn a_captured_machine_is_read_as_it_was() {
    let mut host = host(&fixture("vm"));
    let round = host.collect().unwrap();
    let value = |metric| round.value(metric, &[]);

    assert_eq!(value("load1"), Some(4.52));
    assert_eq!(value("load5"), Some(2.63));
    assert_eq!(value("load15"), Some(1.74));
    assert_eq!(value("uptime_seconds"), Some(2682.68));
    assert_eq!(value("processes_running"), Some(5.0));
    assert_eq!(value("processes_blocked"), Some(0.0));
    assert_eq!(value("processes_total"), Some(45609.0));
    assert_eq!(value("pressure_cpu_ratio"), Some(0.9366));
    assert_eq!(value("pressure_memory_ratio"), Some(0.0));
    assert_eq!(value("pressure_io_ratio"), Some(0.0154));
    assert_eq!(value("pressure_cpu_waiting_seconds_total"), Some(268.797_894));
    assert_eq!(value("pressure_memory_waiting_seconds_total"), Some(0.0));
    assert_eq!(value("pressure_io_waiting_seconds_total"), Some(15.257_705));
    let labels = [
        ("hostname", "web-1"),
        ("os", "Debian GNU/Linux 12"),
        ("kernel", "6.18.44-1-cloud-amd64"),
        ("arch", "x86_64"),
    ];
    assert_eq!(round.value("host_info", &labels), Some(1.0));
    assert_eq!(round.samples.len(), 14);
    assert_eq!(host.destroy(), [], "nothing to complain of");
}

#[test]
fn a_kernel_without_pressure_is_no_error() {
    let mut host = host(&fixture("old"));
    for _ in 0..2 {
        let round = host.collect().unwrap();
        assert_eq!(
            metrics(&round),
            ["load1", "load5", "load15", "uptime_seconds", "processes_total", "host_info"]
        );
    }
    assert_eq!(host.destroy().len(), 3, "said once for each file");
}

#[test]
fn a_broken_pressure_fails_the_round_and_the_next_one_is_fine() {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("proc/pressure")).unwrap();
    for name in ["loadavg", "uptime", "stat", "pressure/cpu"] {
        fs::copy(fixture("vm").join("proc").join(name), tree.path().join("proc").join(name))
            .unwrap();
    }
    let mut host = host(tree.path());
    host.collect().unwrap();
    let path = tree.path().join("proc/pressure/cpu");
    fs::write(&path, "some avg10=?\n").unwrap();
    let error = host.collect().unwrap_err();
    assert!(error.text().starts_with("failed to parse `pressure/cpu` line 1: "), "{error}");
    fs::write(&path, "some avg10=50.00 avg60=0.00 avg300=0.00 total=1\n").unwrap();
    assert_eq!(host.collect().unwrap().value("pressure_cpu_ratio", &[]), Some(0.5));
}

#[test]
fn this_machine_agrees_with_its_clock_and_its_name() {
    let mut host = Host::new::<Load>("{}").unwrap();
    let round = host.collect().unwrap();
    let boot = Path::new("/proc/stat");
    let boot = fs::read_to_string(boot).unwrap();
    let boot: f64 =
        boot.lines().find_map(|line| line.strip_prefix("btime ")).unwrap().parse().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let uptime = round.value("uptime_seconds", &[]).unwrap();
    assert!((now - boot - uptime).abs() < 30.0, "{uptime}, the clocks say {}", now - boot);

    let info = round.samples.iter().find(|sample| sample.metric == "host_info").unwrap();
    let kernel = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
    assert_eq!(info.labels[0].1, kernel("hostname").trim());
    assert_eq!(info.labels[2].1, kernel("osrelease").trim());
    assert!(round.value("processes_running", &[]).unwrap() >= 1.0, "this test runs");
    for metric in metrics(&round).into_iter().filter(|metric| metric.ends_with("_ratio")) {
        let ratio = round.value(metric, &[]).unwrap();
        assert!((0.0..=1.0).contains(&ratio), "{metric}: {ratio}");
    }
}

fn metrics(round: &Round) -> Vec<&str> {
    round.samples.iter().map(|sample| &*sample.metric).collect()
}

fn fixture(machine: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(machine)
}

fn host(root: &Path) -> Host {
    let root = root.display();
    let config = format!(r#"{{"procfs":"{root}/proc","sysfs":"{root}/sys","rootfs":"{root}"}}"#);
    Host::new::<Load>(&config).unwrap()
}
