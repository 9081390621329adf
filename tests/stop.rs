//! Signals: a clean stop within 5 s that keeps everything, and a configuration that is read again.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::time::Duration;

use bartizan_tests::{
    DEADLINE, Daemon, Setup,
    hostile::{self, IN_C, METRIC},
    now_ms,
    process::Signal,
    stream::{Ended, Viewer},
    wait_for,
};

const ONE: &str = "[[server]]\nname = \"here\"\n\n";

#[tokio::test]
async fn sigterm_stops_cleanly_and_nothing_is_lost() {
    check_stop(Signal::TERM).await;
}

#[tokio::test]
async fn sigint_stops_cleanly_and_nothing_is_lost() {
    check_stop(Signal::INT).await;
}

#[tokio::test]
async fn a_plugin_that_never_returns_does_not_keep_the_daemon_from_stopping() {
    let setup = Setup::new(&format!("{ONE}{}", hostile::server("culprit", IN_C, "spin")));
    let file = hostile::in_c(setup.folder());
    let setup = setup.plugin(&file);
    let mut daemon = setup.start().await;
    // It spins from its third round on, and again after each restart.
    daemon.samples("culprit", METRIC, 0, 2).await;
    stops_in_time(&mut daemon, Signal::TERM).await;
}

#[tokio::test]
async fn sighup_brings_the_new_configuration() {
    let setup = Setup::new(ONE);
    let daemon = setup.start().await;
    daemon.samples("here", "memory_usage_ratio", now_ms(), 2).await;

    setup.configure(&format!("{ONE}[[server]]\nname = \"there\"\ntags = {{ env = \"test\" }}\n"));
    daemon.signal(Signal::HUP);
    wait_for("the new server", DEADLINE, async || {
        (names(&daemon).await == ["here", "there"]).then_some(())
    })
    .await;
    daemon.samples("there", "memory_usage_ratio", now_ms(), 2).await;

    setup.configure("[[server]]\nname = \"there\"\n");
    daemon.signal(Signal::HUP);
    wait_for("the end of the old server", DEADLINE, async || {
        (names(&daemon).await == ["there"]).then_some(())
    })
    .await;
    assert!(daemon.runs(), "the daemon is the same process");
}

#[tokio::test]
async fn sighup_with_a_broken_configuration_is_refused_and_the_old_one_goes_on() {
    let setup = Setup::new(ONE);
    let daemon = setup.start().await;
    setup.configure("[[server]]\nname = \"there\"\n\n[colect]\n");
    daemon.signal(Signal::HUP);
    wait_for("the refusal in the log", DEADLINE, async || {
        let log = daemon.log();
        (log.contains("colect") && log.contains("bartizan.toml:4")).then_some(())
    })
    .await;
    let after = now_ms();
    daemon.samples("here", "memory_usage_ratio", after, 3).await;
    assert_eq!(names(&daemon).await, ["here"]);

    setup.configure("[[server]]\nname = \"there\"\n");
    daemon.signal(Signal::HUP);
    wait_for("the new server, once it is meant", DEADLINE, async || {
        (names(&daemon).await == ["there"]).then_some(())
    })
    .await;
}

async fn check_stop(signal: Signal) {
    let setup = Setup::new(ONE);
    let mut daemon = setup.start().await;
    let began = now_ms();
    daemon.samples("here", "memory_usage_ratio", began, 3).await;
    let hosts = daemon.hosts();
    let mut viewer = Viewer::open(daemon.address).await.unwrap();
    viewer.subscribe(&["wall"]).await.unwrap();
    let watching = tokio::spawn(async move {
        loop {
            if let Err(ended) = viewer.next().await {
                return ended;
            }
        }
    });
    let before = daemon.raw("here", "memory_usage_ratio", began).await[0].points.clone();

    stops_in_time(&mut daemon, signal).await;
    assert_eq!(watching.await.unwrap(), Ended::Closed(1012), "viewers are told of the restart");
    assert!(hosts.iter().all(|host| !host.runs()), "no plugin host outlives a clean stop");

    let daemon = setup.start().await;
    let after = daemon.raw("here", "memory_usage_ratio", began).await[0].points.clone();
    assert_eq!(after[..before.len()], before, "what was served is still there");
}

async fn stops_in_time(daemon: &mut Daemon, signal: Signal) {
    daemon.signal(signal);
    let (status, took) = daemon.ended().await;
    eprintln!("stopped after {took:.0?}");
    assert!(status.success(), "{status}");
    // The promise is 5 s; a shared machine is given as much again.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

async fn names(daemon: &Daemon) -> Vec<String> {
    let answer = daemon.get("/servers").await;
    let servers = answer["servers"].as_array().unwrap();
    servers.iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect()
}
