//! What the daemon stores arrives at real receivers, through their absence and the daemon's own end: both give back the
//! same samples through their own interfaces.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{collections::BTreeMap, time::Duration};

use bartizan_tests::{
    DEADLINE, Daemon, Point, Setup,
    http::escape,
    now_ms,
    receivers::{Kind, LabelSet, Receiver},
    wait_for,
};
use serde_json::Value;

#[tokio::test]
async fn prometheus_and_victoria_metrics_give_back_what_the_daemon_stored() {
    let setup = Setup::new("");
    let mut prometheus = Receiver::prepare(Kind::Prometheus, setup.folder());
    let mut victoria = Receiver::prepare(Kind::VictoriaMetrics, setup.folder());
    // Prometheus 2.42 says 204 to version 2.0 and stores nothing.
    setup.configure(&format!(
        "[collect]\ninterval = \"200ms\"\n\n[[server]]\nname = \"web-1\"\n\n\
         [[forward]]\nname = \"prometheus\"\nurl = \"{}\"\nprotocol = \"2.0\"\n\n\
         [[forward]]\nname = \"victoria\"\nurl = \"{}\"\nlabels = {{ site = \"berlin\" }}\n",
        prometheus.url(),
        victoria.url()
    ));
    let mut daemon = setup.start().await;
    let began = now_ms();
    daemon.samples("web-1", "load1", began, 10).await;
    let waiting = target(&daemon, "prometheus").await;
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    assert!(
        waiting["lag_bytes"].as_u64().unwrap() > 0 && waiting["lag_seconds"].as_f64() > Some(1.0)
    );

    prometheus.start().await;
    victoria.start().await;
    // Killed with a batch on its way and the cursor behind.
    for _ in 0..3 {
        sends(&daemon).await;
        daemon.kill();
        daemon = setup.start().await;
    }
    victoria.end();
    let down = now_ms();
    daemon.samples("web-1", "load1", down, 10).await;
    victoria.start().await;
    sends(&daemon).await;

    let until = now_ms();
    let taken = async |name: &str| {
        let look = async || {
            let target = target(&daemon, name).await;
            // What is behind by less than a second then has all that was read before.
            let acknowledged = target["acknowledged_ms"].as_i64()? > until + 3_000;
            (acknowledged && target["lag_seconds"].as_f64()? < 1.0).then_some(target)
        };
        wait_for(&format!("{name} to have all of it"), DEADLINE, look).await.0
    };
    let (to_prometheus, to_victoria) = (taken("prometheus").await, taken("victoria").await);
    assert_eq!(to_prometheus["protocol"], "1.0", "it gave no proof");
    assert_eq!((&to_victoria["refused"], &to_victoria["lost"]), (&0.into(), &0.into()));

    let stored = stored(&daemon, began, until).await;
    let samples: usize = stored.values().map(Vec::len).sum();
    assert!(stored.len() > 30 && samples > 1_000, "{} series, {samples} samples", stored.len());
    let selector = "{server=\"web-1\",__name__!~\"bartizan_.*\"}";
    let none = |_: &mut LabelSet| {};
    let at_prometheus = within(prometheus.samples(selector).await, began, until, none);
    compare(&stored, &at_prometheus, 0.0);
    let site = |labels: &mut LabelSet| assert_eq!(labels.remove("site").unwrap(), "berlin");
    let at_victoria = within(victoria.samples(selector).await, began, until, site);
    // It keeps a dozen decimal digits.
    compare(&stored, &at_victoria, 1e-11);

    let states = prometheus.samples("bartizan_collector_state{collector=\"load\"}").await;
    assert!(states.values().flatten().any(|(_, value)| *value == Some(1.0)), "{states:?}");
}

/// Waits until both targets take samples.
async fn sends(daemon: &Daemon) {
    for name in ["prometheus", "victoria"] {
        wait_for(&format!("samples taken by {name}"), DEADLINE, async || {
            let target = target(daemon, name).await;
            (target["state"] == "sending" && target["sent"].as_u64() > Some(50)).then_some(())
        })
        .await;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
}

/// What a target shows. A daemon that has just started answers before it has any.
async fn target(daemon: &Daemon, name: &str) -> Value {
    let look = async || {
        let targets = daemon.get("/forward").await["targets"].take();
        targets.as_array().unwrap().iter().find(|target| target["name"] == name).cloned()
    };
    wait_for(&format!("target {name}"), DEADLINE, look).await.0
}

/// Every sample of every series of `web-1`, by the labels that receivers see.
async fn stored(daemon: &Daemon, from_ms: i64, to_ms: i64) -> BTreeMap<LabelSet, Vec<Point>> {
    let mut stored = BTreeMap::new();
    let list = daemon.get("/servers/web-1/series").await;
    let series = list["series"].as_array().unwrap();
    let collector_of: BTreeMap<&str, &str> = series
        .iter()
        .map(|one| (one["metric"].as_str().unwrap(), one["collector"].as_str().unwrap()))
        .collect();
    for (metric, collector) in collector_of {
        for history in daemon.raw_between("web-1", &escape(metric), from_ms, to_ms).await {
            let mut labels = history.labels;
            let own = [("__name__", metric), ("server", "web-1"), ("collector", collector)];
            labels.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
            // An empty label is none.
            labels.retain(|_, value| !value.is_empty());
            stored.insert(labels, history.points);
        }
    }
    stored
}

fn within(
    samples: BTreeMap<LabelSet, Vec<Point>>,
    from_ms: i64,
    to_ms: i64,
    change: impl Fn(&mut LabelSet),
) -> BTreeMap<LabelSet, Vec<Point>> {
    let cut = |(mut labels, mut points): (LabelSet, Vec<Point>)| {
        change(&mut labels);
        points.retain(|(at_ms, _)| (from_ms..to_ms).contains(at_ms));
        (labels, points)
    };
    samples.into_iter().map(cut).filter(|(_, points)| !points.is_empty()).collect()
}

fn compare(
    stored: &BTreeMap<LabelSet, Vec<Point>>,
    got: &BTreeMap<LabelSet, Vec<Point>>,
    tolerance: f64,
) {
    for (labels, points) in stored.iter().filter(|(_, points)| !points.is_empty()) {
        let other = got.get(labels).unwrap_or_else(|| panic!("no series {labels:?}"));
        let times = |points: &[Point]| points.iter().map(|(at_ms, _)| *at_ms).collect::<Vec<_>>();
        assert_eq!(times(points), times(other), "{labels:?}");
        // VictoriaMetrics keeps a block of values by one power of ten: the largest says how exact the others are.
        let largest =
            points.iter().filter_map(|(_, value)| *value).map(f64::abs).fold(0.0, f64::max);
        for ((at_ms, here), (_, there)) in points.iter().zip(other) {
            let (here, there) = (here.unwrap(), there.unwrap());
            let same = (here - there).abs() <= tolerance * largest;
            assert!(same, "{labels:?} at {at_ms}: {here} and {there}");
        }
    }
    let more: Vec<_> = got.keys().filter(|labels| !stored.contains_key(*labels)).collect();
    assert!(more.is_empty(), "{more:?}");
}
