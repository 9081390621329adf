//! Runs the collector on captured machines and on this one.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bartizan_plugin::testing::{Host, Round};

use super::{Cpu, MODES};

const BEFORE: &str = "cpu 100 0 0 100\ncpu0 50 0 0 50\ncpu1 50 0 0 50\nctxt 7\n";
/// One second later: processor 0 was busy throughout, processor 1 for a quarter.
const AFTER: &str = "cpu 225 0 0 175\ncpu0 150 0 0 50\ncpu1 75 0 0 125\nctxt 9\n";

#[test]
fn the_first_round_measures_from_the_birth_of_the_instance() {
    let tree = Tree::new(BEFORE);
    let mut host = tree.host();
    tree.write(AFTER);
    let round = host.collect().unwrap();

    assert_eq!(round.value("cpu_usage_ratio", &[]), Some(0.625));
    assert_eq!(round.value("cpu_core_usage_ratio", &[("core", "0")]), Some(1.0));
    assert_eq!(round.value("cpu_core_usage_ratio", &[("core", "1")]), Some(0.25));
    assert_eq!(round.value("cpu_mode_ratio", &[("mode", "user")]), Some(0.625));
    assert_eq!(round.value("cpu_mode_ratio", &[("mode", "idle")]), Some(0.375));
    assert_eq!(round.value("cpu_cores", &[]), Some(2.0));
    assert_eq!(round.value("cpu_context_switches_total", &[]), Some(9.0));
    assert_eq!(host.destroy(), [], "nothing to complain of");
}

#[test]
fn without_time_between_two_readings_there_is_no_ratio() {
    let tree = Tree::new(BEFORE);
    let mut host = tree.host();
    assert_eq!(metrics(&host.collect().unwrap()), ["cpu_cores", "cpu_context_switches_total"]);
    tree.write(AFTER);
    let round = host.collect().unwrap();
    assert_eq!(round.value("cpu_usage_ratio", &[]), Some(0.625), "measured from the last ratio");
}

#[test]
fn a_processor_that_goes_offline_takes_its_series_with_it() {
    let tree = Tree::new(BEFORE);
    let mut host = tree.host();
    tree.write("cpu 225 0 0 175\ncpu0 150 0 0 50\nctxt 9\n");
    let round = host.collect().unwrap();
    assert_eq!(round.value("cpu_cores", &[]), Some(1.0));
    assert_eq!(round.value("cpu_core_usage_ratio", &[("core", "1")]), None);

    tree.write(AFTER);
    let round = host.collect().unwrap();
    assert_eq!(
        round.value("cpu_core_usage_ratio", &[("core", "1")]),
        None,
        "measured from here on"
    );
    tree.write("cpu 325 0 0 275\ncpu0 250 0 0 50\ncpu1 75 0 0 225\nctxt 9\n");
    let round = host.collect().unwrap();
    assert_eq!(round.value("cpu_core_usage_ratio", &[("core", "1")]), Some(0.0));
}

#[test]
fn many_processors_fit_and_frequencies_are_known_where_the_kernel_says_them() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/many");
    let mut host = host(Path::new(root));
    let round = host.collect().unwrap();
    assert_eq!(round.value("cpu_cores", &[]), Some(127.0));
    assert_eq!(round.value("cpu_frequency_hertz", &[("core", "0")]), Some(2.4e9));
    assert_eq!(round.value("cpu_frequency_hertz", &[("core", "1")]), Some(3_600_123_000.0));
    assert_eq!(round.value("cpu_frequency_hertz", &[("core", "2")]), None);
    assert_eq!(host.destroy(), [], "no series was refused");
}

#[test]
fn a_broken_file_fails_the_round_and_the_next_one_is_fine() {
    let tree = Tree::new("cpu 100 0 0 x\n");
    let mut host = tree.host();
    let error = host.collect().unwrap_err();
    assert!(error.text().starts_with("failed to parse `stat` line 1: "), "{error}");
    tree.write(BEFORE);
    host.collect().unwrap();
    tree.write(AFTER);
    assert_eq!(host.collect().unwrap().value("cpu_usage_ratio", &[]), Some(0.625));
}

#[test]
fn this_machine_is_measured_within_bounds() {
    let mut host = Host::new::<Cpu>("{}").unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let round = loop {
        let round = host.collect().unwrap();
        if round.value("cpu_usage_ratio", &[]).is_some() {
            break round;
        }
        assert!(Instant::now() < deadline, "the processors spend no time");
    };
    let usage = round.value("cpu_usage_ratio", &[]).unwrap();
    assert!((0.0..=1.0).contains(&usage), "{usage}");
    // This test never sleeps: one processor at least was busy with it.
    assert!(usage > 0.0);
    let mode = |mode: &&str| round.value("cpu_mode_ratio", &[("mode", mode)]).unwrap();
    let idle = mode(&"idle") + mode(&"iowait");
    assert!((1.0 - idle - usage).abs() < 1e-9, "idle {idle}, usage {usage}");
    assert!((MODES.iter().map(mode).sum::<f64>() - 1.0).abs() < 1e-9);
    let online = std::thread::available_parallelism().unwrap().get();
    assert!(round.value("cpu_cores", &[]).unwrap() >= online as f64);
}

/// A machine of one file that changes.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(stat: &str) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir(tree.0.path().join("proc")).unwrap();
        tree.write(stat);
        tree
    }

    fn write(&self, stat: &str) {
        fs::write(self.0.path().join("proc/stat"), stat).unwrap();
    }

    fn host(&self) -> Host {
        host(self.0.path())
    }
}

fn host(root: &Path) -> Host {
    let root = root.display();
    let config = format!(r#"{{"procfs":"{root}/proc","sysfs":"{root}/sys","rootfs":"{root}"}}"#);
    Host::new::<Cpu>(&config).unwrap()
}

fn metrics(round: &Round) -> Vec<&str> {
    round.samples.iter().map(|sample| &*sample.metric).collect()
}
