//! OpenTelemetry's own SDK pushes to us, and what it measured is here by the names that Prometheus would give it.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, path::PathBuf, process::Command};

use bartizan_tests::{
    Daemon, Finished, Setup,
    peer::{need, run},
    repository,
};

/// The SDK, as it is installed from PyPI.
const PACKAGES: [&str; 2] =
    ["opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2"];

#[tokio::test]
async fn what_the_sdk_measures_is_stored() {
    let setup = Setup::new("");
    let daemon = setup.start().await;
    let token = fs::read_to_string(setup.state().join("admin-token")).unwrap();
    let modules = tokio::task::spawn_blocking(modules).await.unwrap();

    let mut send = Command::new(need("python3", "python3"));
    send.env("PYTHONPATH", modules).arg(repository().join("tests/otlp/send.py"));
    send.arg(format!("http://{}", daemon.address)).arg(token.trim());
    let sent = Finished::of(send).await;
    assert_eq!((sent.code, sent.stdout.as_str()), (Some(0), "sent\n"), "{}", sent.stderr);

    for server in ["web-none", "web-gzip"] {
        let path = ("http_path", "/");
        check(&daemon, server, "http_requests_total", &[path], "", 7.0).await;
        check(&daemon, server, "queue_length", &[], "", -3.0).await;
        check(&daemon, server, "system_memory_usage_bytes", &[], "bytes", 1.5e9).await;
        check(&daemon, server, "http_duration_seconds_count", &[], "", 3.0).await;
        check(&daemon, server, "http_duration_seconds_sum", &[], "seconds", 30000.204).await;
        for (le, count) in [("0", 0.0), ("5", 2.0), ("10000", 2.0), ("+Inf", 3.0)] {
            check(&daemon, server, "http_duration_seconds_bucket", &[("le", le)], "", count).await;
        }
    }
    let ingest = daemon.get("/ingest").await;
    assert_eq!(ingest["refused"], serde_json::json!({}), "{ingest}");
}

async fn check(
    daemon: &Daemon,
    server: &str,
    metric: &str,
    labels: &[(&str, &str)],
    unit: &str,
    value: f64,
) {
    let all = daemon.raw(server, metric, 0).await;
    let found = all.iter().find(|series| {
        let has =
            |(name, value): &(&str, &str)| series.labels.get(*name).is_some_and(|v| v == value);
        labels.iter().all(has)
    });
    let found = found.unwrap_or_else(|| panic!("{server} {metric} {labels:?}: {all:?}"));
    assert_eq!(found.labels["job"], "shop");
    // It exports once when it is flushed and once when it ends.
    assert!(found.points.iter().all(|(_, known)| *known == Some(value)), "{metric}: {found:?}");
    assert_eq!(found.unit, unit, "{metric}");
}

/// The folder of the SDK's modules; filled once, below `target`.
fn modules() -> PathBuf {
    let folder = repository().join("target/tools/otel");
    let (done, wanted) = (folder.join("installed"), PACKAGES.join(" "));
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    need("pip3", "python3-pip");
    let mut install = Command::new(need("python3", "python3"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]);
    install.arg("--target").arg(&folder).args(PACKAGES);
    run(install);
    fs::write(&done, &wanted).unwrap();
    folder
}
