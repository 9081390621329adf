//! A real Prometheus reads itself and a node_exporter, and writes what it has read to us: every sample of every series
//! comes back as Prometheus' own query gives it.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{collections::BTreeMap, fs, net::SocketAddr, process::Command, time::Duration};

use bartizan_tests::{
    DEADLINE, Setup, http,
    peer::{Peer, free_port, need},
    wait_for,
};
use serde_json::Value;

/// Samples by time, of each series by its labels.
type Samples = BTreeMap<BTreeMap<String, String>, Vec<(i64, Option<f64>)>>;

#[tokio::test]
async fn everything_that_prometheus_has_read_is_here_and_equal() {
    let setup = Setup::in_company("");
    let daemon = setup.start().await;
    let token = fs::read_to_string(setup.state().join("admin-token")).unwrap();
    let folder = setup.folder();

    let node_port = free_port();
    let mut exporter = Command::new(need("prometheus-node-exporter", "prometheus-node-exporter"));
    exporter.arg(format!("--web.listen-address=127.0.0.1:{node_port}"));
    let mut exporter = Peer::start("node_exporter", exporter, folder);
    exporter.listens(node_port).await;

    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs:\n\
         - job_name: node\n  static_configs: [ {{ targets: ['127.0.0.1:{node_port}'] }} ]\n\
         - job_name: prometheus\n  static_configs: [ {{ targets: ['localhost:{port}'] }} ]\n\
         remote_write:\n\
         - url: http://{}/api/v1/write\n  authorization: {{ credentials: {} }}\n  \
           metadata_config: {{ send_interval: 5s }}\n  queue_config: {{ min_shards: 4 }}\n",
        daemon.address,
        token.trim()
    );
    fs::write(&config, text).unwrap();
    let mut prometheus = Command::new(need("prometheus", "prometheus"));
    prometheus.arg(format!("--config.file={}", config.display()));
    prometheus.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
    prometheus.arg(format!("--web.listen-address={address}"));
    let mut prometheus = Peer::start("prometheus", prometheus, folder);
    prometheus.listens(port).await;

    daemon.samples("127.0.0.1", "node_load1", 0, 20).await;
    for (job, server, least) in [("node", "127.0.0.1", 300), ("prometheus", "localhost", 200)] {
        let theirs = read(address, job).await;
        assert!(theirs.len() >= least, "{job} has {} series", theirs.len());
        // What was read last may be on its way.
        let until = theirs.values().filter_map(|samples| Some(samples.last()?.0)).max().unwrap();
        wait_for("the last sample's arrival", DEADLINE, async || {
            let ours = daemon.raw(server, "up", 0).await;
            ours.iter().any(|one| one.points.iter().any(|(at, _)| *at >= until)).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;

        let metrics: Vec<&String> = theirs.keys().map(|labels| &labels["__name__"]).collect();
        let mut ours = Samples::new();
        for metric in metrics.iter().collect::<std::collections::BTreeSet<_>>() {
            for series in daemon.raw(server, metric, 0).await {
                let mut labels = series.labels;
                labels.insert("__name__".into(), metric.to_string());
                ours.insert(labels, series.points);
            }
        }
        let (mut compared, mut unequal) = (0, Vec::new());
        for (labels, samples) in &theirs {
            let mut found = ours.remove(labels).unwrap_or_default();
            found.retain(|(at, _)| samples.iter().any(|(known, _)| known == at));
            compared += samples.len();
            if found != *samples {
                unequal.push(format!("{labels:?}: {samples:?} is here {found:?}"));
            }
        }
        let shown = unequal.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
        assert_eq!(unequal.len(), 0, "of {} series; the first are\n{shown}", theirs.len());
        eprintln!("{job}: {} series, {compared} samples, all equal", theirs.len());
    }
    // What metadata says, names do not.
    let listed = daemon.get("/servers/127.0.0.1/series").await;
    let kind = |metric: &str| {
        let all = listed["series"].as_array().unwrap();
        all.iter().find(|series| series["metric"] == metric).map(|series| series["kind"].clone())
    };
    wait_for("the metadata", DEADLINE, async || {
        let listed = daemon.get("/servers/127.0.0.1/series").await;
        let all = listed["series"].as_array().unwrap().clone();
        all.into_iter()
            .find(|series| series["metric"] == "node_vmstat_pgfault")
            .filter(|series| series["interval_ms"] == 1000)
    })
    .await;
    assert_eq!(kind("node_cpu_seconds_total"), Some("counter".into()));
    assert_eq!(kind("node_load1"), Some("gauge".into()));
    let ingest = daemon.get("/ingest").await;
    assert_eq!(ingest["refused"], serde_json::json!({}), "{ingest}");
}

/// All samples of a job that Prometheus has.
async fn read(prometheus: SocketAddr, job: &str) -> Samples {
    let query = http::escape(&format!("{{job=\"{job}\"}}[5m]"));
    let path = format!("/api/v1/query?query={query}");
    let answer = http::get(prometheus, &path).await.unwrap().json();
    let series = answer["data"]["result"].as_array().unwrap();
    let read = |series: &Value| {
        let labels = series["metric"].as_object().unwrap();
        // A label that says which collector of node_exporter it was would be in our way.
        let name =
            |name: &str| if name == "collector" { "exported_collector" } else { name }.to_owned();
        let labels = labels.iter().map(|(label, value)| (name(label), text(value))).collect();
        let samples = series["values"].as_array().unwrap().iter().map(|sample| {
            let at_ms = (sample[0].as_f64().unwrap() * 1000.0).round() as i64;
            let value: f64 = text(&sample[1]).replace("Inf", "inf").parse().unwrap();
            // JSON of ours has no others.
            (at_ms, Some(value).filter(|value| value.is_finite()))
        });
        (labels, samples.collect())
    };
    series.iter().map(read).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
