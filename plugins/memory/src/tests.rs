//! Runs the collector on captured machines and on this one.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, process::Command};

use bartizan_plugin::testing::Host;

use super::Memory;

/// Of the captured machine, in KiB.
const AVAILABLE: f64 = 24222884.0;

#[test]
fn a_captured_machine_is_read_as_it_was() {
    let mut host = host(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vm/proc"));
    let round = host.collect().unwrap();
    let value = |metric| round.value(metric, &[]);

    assert_eq!(value("memory_total_bytes"), Some(24_684_092.0 * 1024.0));
    assert_eq!(value("memory_available_bytes"), Some(AVAILABLE * 1024.0));
    let ratio = value("memory_usage_ratio").unwrap();
    assert!((ratio - (1.0 - AVAILABLE / 24_684_092.0)).abs() < 1e-12, "{ratio}");
    assert_eq!(value("swap_usage_ratio"), None, "it has no swap");
    assert_eq!(value("swap_total_bytes"), Some(0.0));
    assert_eq!(round.samples.len(), 9);
    assert_eq!(host.destroy(), [], "nothing to complain of");
}

#[test]
fn a_broken_file_fails_the_round_and_the_next_one_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meminfo");
    let mut host = host(folder.path().to_str().unwrap());
    let error = host.collect().unwrap_err();
    let absent = format!("failed to open `{}`: ", path.display());
    assert!(error.text().starts_with(&absent), "{error}");

    fs::write(&path, "MemTotal: x kB\n").unwrap();
    let error = host.collect().unwrap_err();
    assert!(error.text().starts_with("failed to parse `meminfo` line 1: "), "{error}");

    fs::write(&path, include_str!("../fixtures/desktop/proc/meminfo")).unwrap();
    assert_eq!(host.collect().unwrap().value("memory_usage_ratio", &[]), Some(0.5));
}

#[test]
fn this_machine_agrees_with_free() {
    let mut host = host("/proc");
    let round = host.collect().unwrap();
    let free = Command::new("free").args(["-b", "-w"]).output().unwrap();
    let free = String::from_utf8(free.stdout).unwrap();
    let column = |line: &str, at| -> f64 {
        let line = free.lines().find(|row| row.starts_with(line)).unwrap();
        line.split_whitespace().nth(at).unwrap().parse().unwrap()
    };
    let value = |metric| round.value(metric, &[]).unwrap();

    assert_eq!(value("memory_total_bytes"), column("Mem:", 1));
    assert_eq!(value("swap_total_bytes"), column("Swap:", 1));
    // Between the two readings others may use the machine: a tenth of its memory is more than they should take.
    let near = value("memory_total_bytes") / 10.0;
    for (metric, at) in [
        ("memory_free_bytes", 3),
        ("memory_buffers_bytes", 5),
        ("memory_cached_bytes", 6),
        ("memory_available_bytes", 7),
    ] {
        let (ours, theirs) = (value(metric), column("Mem:", at));
        assert!((ours - theirs).abs() < near, "{metric}: {ours}, free says {theirs}");
    }
    let ratio = value("memory_usage_ratio");
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
}

fn host(procfs: &str) -> Host {
    Host::new::<Memory>(&format!(r#"{{"procfs":"{procfs}"}}"#)).unwrap()
}
