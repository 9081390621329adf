//! Drives the live view without its actor: updates in, ticks by hand, frames out.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod alerts;
mod rig;

use std::{sync::Arc, time::Duration};

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use ractor::Actor;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    series::{Kind, Labels},
    supervision::Tree,
};

use super::{LiveActor, LiveArguments, Resume, Topic, messages::LiveUpdate};
use rig::{Rig, START_MS};

#[test]
fn a_value_is_unknown_after_three_intervals_though_nothing_arrives() {
    let mut rig = Rig::new();
    rig.status("web-1");
    rig.sample("web-1", 0, 0.25);
    let mut viewer = rig.viewer(&["wall", "server:web-1"]);
    rig.tick(1_000);
    viewer.look();
    assert_eq!(viewer.cell("wall", "web-1", "cpu"), 0.25);
    assert_eq!(viewer.cell("wall", "web-1", "state"), "up");

    rig.tick(3_000);
    viewer.look();
    assert_eq!(viewer.cell("wall", "web-1", "cpu"), 0.25, "three intervals are not too old");

    rig.tick(4_000);
    viewer.look();
    assert_eq!(viewer.cell("wall", "web-1", "cpu"), Value::Null);
    assert_eq!(viewer.cell("wall", "web-1", "state"), "unknown");
    assert_eq!(viewer.cell("wall", "web-1", "normal"), Value::Null);
    let id = rig.series("web-1", "cpu_usage_ratio").0.to_string();
    assert_eq!(viewer.cell("server:web-1", &id, "value"), Value::Null);
    assert_eq!(viewer.cell("server:web-1", &id, "gap"), "no sample for three intervals");
    assert_eq!(viewer.cell("server:web-1", &id, "at"), START_MS);

    rig.tick(31_000);
    viewer.look();
    assert_eq!(viewer.cell("wall", "web-1", "state"), "offline");
}

#[test]
fn a_value_dies_by_the_interval_that_its_collector_has_now() {
    let mut rig = Rig::new();
    rig.status("web-1");
    let read_each = |rig: &Rig, interval_ms| rig.read_each("web-1", "cpu_usage_ratio", interval_ms);
    let id = read_each(&rig, 60_000);
    rig.frame("web-1", 0, &[(id, 0.25)]);
    rig.tick(0);
    // The collector is started anew, to read each second, and soon brings no more.
    read_each(&rig, 1_000);
    rig.frame("web-1", 1_000, &[(id, 0.5)]);
    rig.tick(1_000);
    let mut viewer = rig.viewer(&["wall"]);
    rig.tick(4_000);
    viewer.look();
    assert_eq!(viewer.cell("wall", "web-1", "cpu"), 0.5);
    rig.tick(5_000);
    viewer.look();
    assert_eq!(viewer.cell("wall", "web-1", "cpu"), Value::Null, "an old number shown as new");
}

#[test]
fn a_gap_is_shown_with_its_reason_until_samples_come_again() {
    let mut rig = Rig::new();
    rig.status("web-1");
    rig.sample("web-1", 0, 0.25);
    rig.gap("web-1", "plugin host was killed by SIGKILL");
    let mut viewer = rig.viewer(&["server:web-1"]);
    rig.tick(1_000);
    viewer.look();
    let id = rig.series("web-1", "cpu_usage_ratio").0.to_string();
    assert_eq!(viewer.cell("server:web-1", &id, "gap"), "plugin host was killed by SIGKILL");

    rig.sample("web-1", 1_500, 0.5);
    rig.tick(2_000);
    viewer.look();
    assert_eq!(viewer.cell("server:web-1", &id, "gap"), Value::Null);
    assert_eq!(viewer.cell("server:web-1", &id, "value"), 0.5);
}

#[test]
fn a_row_sums_physical_interfaces_and_names_the_fullest_mount() {
    let mut rig = Rig::new();
    rig.status("web-1");
    let wire = Labels::new([("interface", "eth0")]);
    let bridge = Labels::new([("interface", "docker0")]);
    let received = "network_receive_bytes_total";
    let eth0 = rig.labelled("web-1", received, wire, Kind::Counter);
    let docker0 = rig.labelled("web-1", received, bridge, Kind::Counter);
    let link = Labels::new([("interface", "eth0"), ("physical", "true")]);
    let link = rig.labelled("web-1", "network_link_up", link, Kind::Gauge);
    let mount = |mount| Labels::new([("mount", mount)]);
    let root = rig.labelled("web-1", "disk_usage_ratio", mount("/"), Kind::Gauge);
    let var = rig.labelled("web-1", "disk_usage_ratio", mount("/var"), Kind::Gauge);
    rig.frame("web-1", 0, &[(eth0, 1e6), (docker0, 1e6), (link, 1.0), (root, 0.2), (var, 0.9)]);
    rig.frame("web-1", 1_000, &[(eth0, 3e6), (docker0, 9e6), (root, f64::NAN), (var, 0.91)]);

    let servers = rig.reader.servers_at(START_MS + 1_100, |_, _| true);
    let latest = &servers.first().unwrap().latest;
    assert_eq!(latest["network_receive_bytes_per_second"], Some(2e6));
    assert_eq!(latest["network_transmit_bytes_per_second"], None);
    assert_eq!(latest["disk_usage_ratio"], Some(0.91));
    let mut viewer = rig.viewer(&["wall"]);
    rig.tick(1_100);
    viewer.look();
    assert_eq!(viewer.cell("wall", "web-1", "rx"), 2_000_000);
    assert_eq!(viewer.cell("wall", "web-1", "disk_mount"), "/var");
}

#[test]
fn a_row_of_an_exporter_is_made_of_its_own_series_and_stays_unknown_where_it_has_none() {
    let mut rig = Rig::new();
    rig.status("db-1");
    let of = |metric, labels: &[(&str, &str)], kind| {
        let whose = [("instance", "db-1:9100"), ("job", "node")];
        let labels = Labels::new(labels.iter().chain(&whose).copied());
        rig.labelled("db-1", metric, labels, kind)
    };
    let cpu = "node_cpu_seconds_total";
    let idle = of(cpu, &[("cpu", "0"), ("mode", "idle")], Kind::Counter);
    let user = of(cpu, &[("cpu", "0"), ("mode", "user")], Kind::Counter);
    let load = of("node_load1", &[], Kind::Gauge);
    rig.frame("db-1", 0, &[(idle, 100.0), (user, 50.0), (load, 1.5)]);
    rig.frame("db-1", 1_000, &[(idle, 100.25), (user, 50.75), (load, 1.5)]);

    let servers = rig.reader.servers_at(START_MS + 1_100, |_, _| true);
    let latest = &servers.first().unwrap().latest;
    assert_eq!((latest["cpu_usage_ratio"], latest["load1"]), (Some(0.75), Some(1.5)));
    assert!(!latest.contains_key("memory_usage_ratio"));
    let mut viewer = rig.viewer(&["wall"]);
    rig.tick(1_100);
    viewer.look();
    assert_eq!(viewer.cell("wall", "db-1", "cpu"), 0.75);
    assert_eq!(viewer.cell("wall", "db-1", "cores"), 1.0);
    assert_eq!(viewer.cell("wall", "db-1", "memory"), Value::Null);
    rig.tick(5_000);
    viewer.look();
    assert_eq!(viewer.cell("wall", "db-1", "cpu"), Value::Null, "too old");
}

#[test]
fn viewers_in_step_share_one_frame_and_nobody_is_shown_what_nobody_follows() {
    let mut rig = Rig::new();
    rig.status("web-1");
    let mut one = rig.reader.subscribe();
    let mut other = rig.reader.subscribe();
    rig.tick(1_000);
    assert_eq!(rig.reader.stats().topics, 0);
    one.follow_at(vec![Topic::Wall], None, false, START_MS);
    other.follow_at(vec![Topic::Wall], None, false, START_MS);
    assert!(Arc::ptr_eq(&one.present()[0], &other.present()[0]), "a snapshot");
    rig.sample("web-1", 1_500, 0.5);
    rig.tick(2_000);
    assert!(Arc::ptr_eq(&one.present()[0], &other.present()[0]), "a delta");

    drop((one, other));
    for second in 3..=63 {
        rig.tick(second * 1_000);
    }
    assert_eq!(rig.reader.stats().topics, 0);
    assert_eq!(rig.reader.stats().viewers, 0);
}

#[test]
fn who_was_away_for_too_long_or_in_another_boot_starts_afresh() {
    let mut rig = Rig::new();
    rig.status("web-1");
    let mut stays = rig.viewer(&["wall"]);
    stays.look();
    let seq = stays.tables["wall"].0;
    for second in 1..=61 {
        rig.tick(second * 1_000);
        stays.look();
    }
    check_resume(&rig, rig.reader.epoch(), seq + 1, "\"t\":\"d\"");
    check_resume(&rig, rig.reader.epoch(), seq, "too-old");
    check_resume(&rig, rig.reader.epoch(), seq + 1000, "too-old");
    check_resume(&rig, "another", seq + 61, "epoch");
}

#[test]
fn who_starts_afresh_is_given_a_picture_of_every_topic() {
    let mut rig = Rig::new();
    rig.status("web-1");
    let mut stays = rig.viewer(&["wall"]);
    stays.look();
    rig.tick(1_000);
    stays.look();
    let resume = Resume { epoch: rig.reader.epoch().to_owned(), seq: stays.tables["wall"].0 };
    let mut back = rig.reader.subscribe();
    // Of the wall everything is known since then; nobody has followed the alerts.
    back.follow_at(vec![Topic::Wall, Topic::Alerts], Some(&resume), false, START_MS);
    let frames = back.present();
    assert!(frames[0].contains("resync"), "{frames:?}");
    assert!(frames[1..].iter().all(|frame| frame.contains("\"t\":\"snap\"")), "{frames:?}");
    assert_eq!(frames.len(), 3, "{frames:?}");
}

#[track_caller]
fn check_resume(rig: &Rig, epoch: &str, seq: u64, expected: &str) {
    let mut back = rig.reader.subscribe();
    let resume = Resume { epoch: epoch.to_owned(), seq };
    back.follow_at(vec![Topic::Wall], Some(&resume), false, START_MS);
    let frames = back.present();
    assert!(frames[0].contains(expected), "{frames:?}");
}

#[tokio::test]
async fn what_is_known_outlives_the_actor() {
    let rig = Rig::new();
    rig.status("web-1");
    let tree = Tree::default();
    let start = async || {
        let node = tree.root().child("live", "live");
        let arguments = LiveArguments { live: rig.live.clone(), node };
        Actor::spawn(None, LiveActor, arguments).await.unwrap()
    };
    let mut viewer = rig.reader.subscribe();
    viewer.follow(vec![Topic::Wall], None, false);
    let (first, ended) = start().await;
    assert!(viewer.frames().await[0].contains("web-1"));
    let deadline = Duration::from_secs(20);
    timeout(deadline, viewer.frames()).await.expect("the first actor ticks");
    first.kill();
    ended.await.unwrap();

    let (_second, _) = start().await;
    let frames = timeout(deadline, viewer.frames()).await.expect("the second actor ticks");
    assert!(frames[0].contains("\"t\":\"d\""), "{frames:?}");
    let names: Vec<_> =
        rig.reader.servers(|_, _| true).into_iter().map(|server| server.name).collect();
    assert_eq!(names, ["web-1".into()]);
}

/// What may happen between updates, ticks and viewers.
#[derive(Debug, Clone)]
enum Step {
    Status(usize),
    Sample(usize, usize, f64),
    Gap(usize),
    Gone(usize),
    Tick(i64),
    Look(usize),
    Leave(usize),
    Pause(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (server, viewer) = (0..3_usize, 0..3_usize);
    let value = prop_oneof![any::<f64>(), (0..3).prop_map(f64::from)];
    prop_oneof![
        2 => server.clone().prop_map(Step::Status),
        6 => (server.clone(), 0..3_usize, value).prop_map(|(s, m, v)| Step::Sample(s, m, v)),
        1 => server.clone().prop_map(Step::Gap),
        1 => server.prop_map(Step::Gone),
        4 => (0..2_500_i64).prop_map(Step::Tick),
        1 => (60_000..70_000_i64).prop_map(Step::Tick),
        4 => viewer.clone().prop_map(Step::Look),
        1 => viewer.clone().prop_map(Step::Leave),
        1 => viewer.prop_map(Step::Pause),
    ]
}

proptest! {
    #[test]
    fn however_it_came_about_every_viewer_ends_with_the_present_picture(
        steps in proptest::collection::vec(step(), 1..150)
    ) {
        const SERVERS: [&str; 3] = ["web-1", "web-2", "db-1"];
        const METRICS: [&str; 3] = ["cpu_usage_ratio", "load1", "cpu_context_switches_total"];
        const TOPICS: [&[&str]; 3] =
            [&["wall", "actors"], &["wall", "server:web-1"], &["server:db-1", "wall:web-2"]];
        let mut rig = Rig::new();
        let mut viewers = TOPICS.map(|topics| rig.viewer(topics));
        let mut at = 0;
        for step in steps {
            match step {
                Step::Status(server) => rig.status(SERVERS[server]),
                Step::Sample(server, metric, value) => {
                    let kind = if metric == 2 { Kind::Counter } else { Kind::Gauge };
                    let name = SERVERS[server];
                    let series = rig.labelled(name, METRICS[metric], Labels::default(), kind);
                    rig.frame(name, at, &[(series, value)]);
                }
                Step::Gap(server) => rig.gap(SERVERS[server], "plugin timed out"),
                Step::Gone(server) => rig.port.publish(LiveUpdate::Gone(SERVERS[server].into())),
                // Many short ticks, or one long enough for every resumption to be too late.
                Step::Tick(elapsed) => {
                    for _ in 0..(elapsed / 1_000).max(1) {
                        at += elapsed.min(1_000);
                        rig.tick(at);
                    }
                }
                Step::Look(viewer) => viewers[viewer].look(),
                Step::Leave(viewer) => viewers[viewer].reconnect(&rig.reader),
                Step::Pause(viewer) => viewers[viewer].pause(),
            }
        }
        rig.tick(at + 1_000);
        for viewer in &mut viewers {
            viewer.wake();
            viewer.look();
            for topic in viewer.topics.clone() {
                let mut fresh = rig.viewer(&[&topic]);
                fresh.look();
                assert_eq!(viewer.tables[&topic], fresh.tables[&topic], "{topic}");
            }
        }
        let live = rig.reader.servers_at(START_MS + at + 1_000, |_, _| true);
        let names: Vec<_> = live.iter().map(|server| server.name.to_string()).collect();
        let shown: Vec<_> = viewers[0].tables["wall"].1.keys().cloned().collect();
        assert_eq!(shown, names);
        for server in &live {
            let known = server.latest.get("load1").copied().flatten();
            let value = known.map(|value| (value * 100.0).round() / 100.0).filter(|v| v.is_finite());
            let cell = viewers[0].cell("wall", &server.name, "load");
            assert_eq!(cell.as_f64(), value, "{}", server.name);
        }
    }
}
