//! Exporters are read: every sample of their page is stored and comes back equal, and where there is none the reason
//! is shown.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    time::Duration,
};

use bartizan_tests::{
    DEADLINE, Daemon, History, Setup,
    certificate::Certificate,
    http, now_ms,
    peer::{Peer, free_port, need},
    process::Signal,
    sink::{Reply, Sink},
    wait_for,
};

/// A name with its labels, as the API gives both.
type Name = (String, BTreeMap<String, String>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_of_a_page_is_stored_and_comes_back_equal() {
    let exporter = NodeExporter::start(&[]).await;
    let page = exporter.page().await;
    // The page stands still, so that every reading is of the very same values.
    let frozen = Sink::start().await;
    frozen.reply(Reply::Say(200, page.clone()));
    let began = now_ms();
    let setup = Setup::in_company(&config(&frozen.address.to_string(), ""));
    let daemon = setup.start().await;
    daemon.samples("db-1", "node_load1", 0, 3).await;

    let expected = samples(&page, &frozen.address.to_string());
    assert!(expected.len() > 300, "{}", expected.len());
    let stored = stored(&daemon, &expected, began, now_ms()).await;
    for (name, value) in &expected {
        let points = stored.get(name).unwrap_or_else(|| panic!("{name:?} is not stored"));
        assert!(points.len() >= 3, "{name:?}: {points:?}");
        assert!(
            points.iter().all(|point| point.to_bits() == value.to_bits()),
            "{name:?} {value}: {points:?}"
        );
    }
    assert_eq!(stored.len(), expected.len(), "and nothing else is stored under these metrics");
    let scraped = daemon.samples("db-1", "scrape_samples_scraped", 0, 1).await;
    assert_eq!(scraped.points[0].1, Some(expected.len() as f64));
    for dropped in daemon.raw("db-1", "scrape_samples_dropped", 0).await {
        assert!(dropped.points.iter().all(|point| point.1 == Some(0.0)), "{dropped:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_exporter_is_scraped_as_it_changes() {
    let exporter = NodeExporter::start(&[]).await;
    let setup = Setup::in_company(&config(&exporter.authority, ""));
    let daemon = setup.start().await;
    daemon.samples("db-1", "node_load1", 0, 1).await;
    let (before, began) = (samples(&exporter.page().await, &exporter.authority), now_ms());
    daemon.samples("db-1", "node_load1", began, 4).await;
    let ended = now_ms();
    let after = samples(&exporter.page().await, &exporter.authority);

    // A page is read within its interval, after the time that its samples get.
    let stored = stored(&daemon, &before, began, ended - 1_000).await;
    let mut compared = 0;
    for (name, value) in &before {
        let points = stored.get(name).unwrap_or_else(|| panic!("{name:?} is not stored"));
        let Some(later) = after.get(name) else { continue };
        // What is the same before and after was so in between, if it only grows or does not move at all.
        if later.to_bits() == value.to_bits() && is_steady(&name.0) {
            compared += 1;
            assert!(
                points.iter().all(|point| point.to_bits() == value.to_bits()),
                "{name:?} {value}: {points:?}"
            );
        } else if name.0.ends_with("_total") {
            assert!(
                points.iter().all(|point| (value..=later).contains(&point)),
                "{name:?}: {value} {points:?} {later}"
            );
        }
    }
    assert!(compared > 100, "{compared}");
    let servers = daemon.get("/servers").await;
    let server =
        servers["servers"].as_array().unwrap().iter().find(|server| server["name"] == "db-1");
    assert_eq!(server.unwrap()["state"], "up", "a server of its own: {servers}");
    let latest = &server.unwrap()["latest"];
    for ratio in ["cpu_usage_ratio", "memory_usage_ratio"] {
        let value = latest[ratio].as_f64().unwrap_or_else(|| panic!("{ratio}: {latest}"));
        assert!((0.0..=1.0).contains(&value), "{ratio}: {latest}");
    }
    assert!(latest["load1"].is_f64() && latest["uptime_seconds"].is_f64(), "{latest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_there_is_no_page_is_the_reason_of_the_gap() {
    let target = Sink::start().await;
    let page = || Reply::Say(200, "steady 1\n".into());
    target.reply(page());
    let setup = Setup::in_company(&config(
        &target.address.to_string(),
        "max_bytes = '1MiB'\ntimeout = '300ms'",
    ));
    let daemon = setup.start().await;
    daemon.samples("db-1", "steady", 0, 1).await;

    let large = "steady 1\n".repeat((1 << 20) / 9 + 1);
    let cases = [
        (Reply::Say(503, "busy".into()), "target answered 503 Service Unavailable"),
        (Reply::Hang, "deadline of 300ms exceeded"),
        (Reply::Trickle, "deadline of 300ms exceeded"),
        (Reply::Say(200, large), "page is over 1 MiB"),
        (Reply::Say(200, "steady {a=\"1} 2\n".into()), "line 1: label value is not closed"),
        (
            Reply::Say(200, "<html>\nlogin\n</html>\n".into()),
            "line 1: it does not begin with a metric name",
        ),
        (Reply::Say(200, String::new()), "page has no samples"),
    ];
    for (reply, reason) in cases {
        let began = now_ms();
        target.reply(reply);
        let (gap, _) = wait_for(reason, DEADLINE, async || {
            let gaps = daemon.raw("db-1", "steady", 0).await.remove(0).gaps;
            gaps.into_iter().find(|(from, _, why)| *from > began - 1_000 && why == reason)
        })
        .await;
        assert_eq!(gap.1, None, "it lasts");
        let actors = daemon.actors().await;
        let (_, actor) = actors.iter().find(|(path, _)| path.ends_with("srv:db-1/web")).unwrap();
        assert_eq!(actor["last_error"], reason);

        target.reply(page());
        wait_for("the gap's end", DEADLINE, async || {
            let gaps = daemon.raw("db-1", "steady", 0).await.remove(0).gaps;
            gaps.iter().any(|(from, to, _)| *from == gap.0 && to.is_some()).then_some(())
        })
        .await;
    }
    let nobody = free_port();
    setup.configure(&config(&format!("127.0.0.1:{nobody}"), ""));
    daemon.signal(Signal::HUP);
    wait_for("a refused connection", DEADLINE, async || {
        let actors = daemon.actors().await;
        let (_, actor) = actors.into_iter().find(|(path, _)| path.ends_with("srv:db-1/web"))?;
        (actor["last_error"] == "target is not reached: Connection refused").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_hangs_slows_no_other() {
    let (good, bad) = (Sink::start().await, Sink::start().await);
    good.reply(Reply::Say(200, "steady 1\n".into()));
    bad.reply(Reply::Hang);
    let mut all = config(&good.address.to_string(), "");
    for number in 0..50 {
        let (server, target) = (format!("dead-{number}"), bad.address);
        all.push_str(&format!(
            "[[scrape]]\nserver = '{server}'\nurl = 'http://{target}/metrics'\n"
        ));
    }
    let setup = Setup::in_company(&all);
    let daemon = setup.start().await;
    let steady = daemon.samples("db-1", "steady", 0, 7).await;
    assert_eq!(bartizan_tests::longest_step_ms(&steady.points), Some(1_000), "{steady:?}");
    assert_eq!(steady.gaps, []);
}

/// The exporter wants TLS, our certificate, and a password; each that is missing is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_behind_tls_a_client_certificate_and_a_password_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let Certificate { authority, certificate, key, .. } = Certificate::make(folder.path());
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let web = format!(
        "tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n  client_ca_file: {authority}\n  \
         client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users:\n  me: {HASH_OF_TEST}\n",
        certificate = certificate.display(),
        key = key.display(),
        authority = authority.display(),
    );
    let web = file("web.yml", web);
    let exporter = NodeExporter::start(&[format!("--web.config.file={}", web.display())]).await;
    let password = file("password", "wrong\n".into());
    let trust = format!("ca_file = '{}'\n", authority.display());
    let shown = format!("certificate = '{}'\nkey = '{}'\n", certificate.display(), key.display());
    let user = format!("username = 'me'\npassword_file = '{}'\n", password.display());
    let config = |keys: &str| {
        let keys = format!("interval = '2s'\n{keys}");
        config(&exporter.authority, &keys).replace("http://", "https://")
    };

    let setup = Setup::in_company(&config(""));
    let daemon = setup.start().await;
    let says = async |word: &str| {
        wait_for(word, DEADLINE, async || {
            let actors = daemon.actors().await;
            let (_, actor) = actors.into_iter().find(|(path, _)| path.ends_with("srv:db-1/web"))?;
            actor["last_error"].as_str()?.contains(word).then_some(())
        })
        .await;
    };
    says("put its authority's certificate into `ca_file`").await;
    let changed = |keys: &[&str]| {
        setup.configure(&config(&keys.concat()));
        daemon.signal(Signal::HUP);
    };
    changed(&[&trust]);
    says("target wants a certificate of ours: give `certificate` and `key`").await;
    changed(&[&trust, &shown]);
    says("target answered 401 Unauthorized: give `token_file`").await;
    changed(&[&trust, &shown, &user]);
    daemon.signal(Signal::HUP);
    says("target answered 401 Unauthorized").await;
    // A file that changes is read again, without a reload.
    fs::write(&password, "test\n").unwrap();
    daemon.samples("db-1", "node_load1", 0, 2).await;
}

/// What bcrypt makes of the password `test`.
const HASH_OF_TEST: &str = "$2y$04$GNm.VvWUZuAGqOmG.Pfr8eUuiL1.7Nrul.cgI0CbIy1otZHVdlkRC";

/// A configuration that reads a page at `authority` each second as `db-1`'s, and whatever `keys` say.
fn config(authority: &str, keys: &str) -> String {
    format!(
        "[[scrape]]\nserver = 'db-1'\nname = 'web'\nurl = 'http://{authority}/metrics'\n{keys}\n"
    )
}

/// Everything that stands on a page, as we are to name it; read by the rules of the format, without our parser.
fn samples(page: &str, authority: &str) -> BTreeMap<Name, f64> {
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let (metric, labels) = name.split_once('{').unwrap_or((name, ""));
        let mut pairs: BTreeMap<String, String> = [("instance", authority), ("job", "web")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        for pair in labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap_or(value);
            let name = if name == "collector" { "exported_collector" } else { name };
            pairs.insert(
                name.into(),
                value.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\"),
            );
        }
        // An empty label is none.
        pairs.retain(|_, value| !value.is_empty());
        ((metric.to_owned(), pairs), value.parse().unwrap())
    };
    page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(sample).collect()
}

/// What is stored of the metrics of `expected` between two instants: the values of every series, oldest first.
async fn stored(
    daemon: &Daemon,
    expected: &BTreeMap<Name, f64>,
    from_ms: i64,
    to_ms: i64,
) -> BTreeMap<Name, Vec<f64>> {
    let metrics: BTreeSet<&String> = expected.keys().map(|(metric, _)| metric).collect();
    let mut stored = BTreeMap::new();
    for metric in metrics {
        for History { labels, points, .. } in
            daemon.raw_between("db-1", metric, from_ms, to_ms).await
        {
            let values = points.into_iter().filter_map(|point| point.1).collect();
            stored.insert((metric.clone(), labels), values);
        }
    }
    stored
}

/// Whether a value that is the same at two moments was the same in between.
fn is_steady(metric: &str) -> bool {
    metric.ends_with("_total")
        || metric.ends_with("_info")
        || metric.contains("_size_")
        || metric.contains("_limit_")
        || metric.ends_with("_sum")
        || metric.ends_with("_count")
}

/// Debian's node_exporter on a port of its own.
struct NodeExporter {
    authority: String,
    // Ended before its folder goes.
    _peer: Peer,
    _folder: tempfile::TempDir,
}

impl NodeExporter {
    async fn start(arguments: &[String]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let program = need("prometheus-node-exporter", "prometheus-node-exporter");
        let mut command = Command::new(program);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(arguments);
        let mut peer = Peer::start("node_exporter", command, folder.path());
        peer.listens(port).await;
        Self { authority: format!("127.0.0.1:{port}"), _peer: peer, _folder: folder }
    }

    async fn page(&self) -> String {
        let answer = tokio::time::timeout(
            Duration::from_secs(10),
            http::get(self.authority.parse().unwrap(), "/metrics"),
        );
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status, 200);
        answer.text()
    }
}
