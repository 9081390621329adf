//! Plugins that misbehave in every way we know hurt themselves only.
//!
//! Each fault: the daemon's pid never changes, the bundled collectors miss at most one tick, an innocent instance of
//! the same file comes back, the reason stands in the API, and no process is left over.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::path::PathBuf;

use bartizan_tests::{
    DEADLINE, Daemon, Setup,
    hostile::{self, IN_C, IN_RUST, METRIC},
    longest_step_ms, now_ms, wait_for,
};

#[tokio::test]
async fn a_panic_in_rust_is_caught_and_named() {
    check(IN_RUST, "panic", &["panic"]).await;
}

#[tokio::test]
async fn an_abort_in_rust_ends_only_its_host() {
    check(IN_RUST, "abort", &["SIGABRT"]).await;
}

#[tokio::test]
async fn an_exit_in_rust_is_treated_as_a_crash() {
    check(IN_RUST, "exit0", &["exit"]).await;
}

#[tokio::test]
async fn an_endless_loop_in_rust_meets_its_deadline() {
    check(IN_RUST, "spin", &["deadline", "1 s", "1s"]).await;
}

#[tokio::test]
async fn an_endless_recursion_in_rust_ends_only_its_host() {
    check(IN_RUST, "stack", &["SIGABRT", "SIGSEGV"]).await;
}

#[tokio::test]
async fn an_abort_in_c_ends_only_its_host() {
    check(IN_C, "abort", &["SIGABRT"]).await;
}

#[tokio::test]
async fn a_bad_pointer_in_c_ends_only_its_host() {
    check(IN_C, "segv", &["SIGSEGV"]).await;
}

#[tokio::test]
async fn an_exit_in_c_is_treated_as_a_crash() {
    check(IN_C, "exit0", &["exit"]).await;
}

#[tokio::test]
async fn an_endless_loop_in_c_meets_its_deadline() {
    check(IN_C, "spin", &["deadline", "1 s", "1s"]).await;
}

#[tokio::test]
async fn an_endless_recursion_in_c_ends_only_its_host() {
    check(IN_C, "stack", &["SIGABRT", "SIGSEGV"]).await;
}

#[tokio::test]
async fn more_samples_than_there_is_room_for_are_refused() {
    check(IN_C, "overrun", &["protocol", "room", "capacity", "cap", "more samples"]).await;
}

#[tokio::test]
async fn a_slow_plugin_works_and_slows_nobody_else() {
    let setup = setup(IN_C, "slow");
    let daemon = setup.start().await;
    let began = now_ms();
    let slow = daemon.samples("culprit", METRIC, began, 5).await;
    let values: Vec<f64> = slow.points.iter().filter_map(|point| point.1).collect();

    assert!(values.windows(2).all(|pair| pair[1] == pair[0] + 1.0), "no restart: {values:?}");
    let burst = slow.points.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap();
    assert!(burst >= 500, "readings of 600 ms cannot be {burst} ms apart");
    neighbours_went_on(&daemon, began).await;
}

async fn check(plugin: &str, fault: &str, reasons: &[&str]) {
    let setup = setup(plugin, fault);
    let mut daemon = setup.start().await;
    daemon.samples("here", "memory_usage_ratio", 0, 1).await;
    let began = now_ms();
    let mut hosts = daemon.hosts();

    let what = format!("a gap in {METRIC} with one of {reasons:?} as its reason");
    let ((), took) = wait_for(&what, DEADLINE, async || {
        let series = daemon.raw("culprit", METRIC, 0).await;
        let mut gaps = series.iter().flat_map(|series| &series.gaps);
        gaps.any(|(_, _, reason)| names(reason, reasons)).then_some(())
    })
    .await;
    eprintln!("{plugin} {fault}: reason seen after {took:.1?}");
    wait_for("the reason in the tree", DEADLINE, async || {
        let nodes = daemon.actors().await;
        let mut errors = nodes.iter().filter_map(|(_, node)| node["last_error"].as_str());
        errors.any(|error| names(error, reasons)).then_some(())
    })
    .await;
    hosts.extend(daemon.hosts());

    // The innocent instance of the same file has samples from after the fault, and so has everybody else.
    let after = now_ms();
    daemon.samples("innocent", METRIC, after, 3).await;
    neighbours_went_on(&daemon, began).await;
    hosts.extend(daemon.hosts());

    assert!(daemon.runs(), "the daemon is the same process");
    daemon.kill();
    wait_for("the end of every plugin host", DEADLINE, async || {
        hosts.iter().all(|host| !host.runs()).then_some(())
    })
    .await;
}

fn names(text: &str, reasons: &[&str]) -> bool {
    reasons.iter().any(|reason| text.to_lowercase().contains(&reason.to_lowercase()))
}

/// Misses at most one tick: two neighbouring samples are at most two intervals apart, and what jitter adds.
async fn neighbours_went_on(daemon: &Daemon, began: i64) {
    for metric in ["memory_usage_ratio", "load1", "cpu_usage_ratio"] {
        let history = daemon.samples("here", metric, began, 8).await;
        let longest = longest_step_ms(&history.points).unwrap();
        eprintln!(
            "  {metric}: at most {longest} ms between two of {} samples",
            history.points.len()
        );
        assert!(longest <= 2_500, "{metric}: {longest} ms between two samples");
        assert_eq!(history.gaps, [], "{metric}");
    }
}

fn setup(plugin: &str, fault: &str) -> Setup {
    let config = format!(
        "[[server]]\nname = \"here\"\n\n{}{}",
        hostile::server("culprit", plugin, fault),
        hostile::server("innocent", plugin, "none"),
    );
    let setup = Setup::in_company(&config);
    let file: PathBuf =
        if plugin == IN_C { hostile::in_c(setup.folder()) } else { hostile::in_rust() };
    setup.plugin(&file)
}
