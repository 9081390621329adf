//! What is older than the store is read from those to whom it was forwarded: Prometheus and VictoriaMetrics give back
//! what another hub had stored, equal and marked; who is gone or slow costs a deadline and leaves what is here.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use bartizan_tests::{
    DEADLINE, Daemon, Setup, now_ms,
    process::Signal,
    receivers::{Kind, Receiver},
    wait_for,
    wire::Written,
    writer::Writer,
};
use serde_json::Value;

/// Seconds of the past that the first hub has and the second has not.
const SECONDS: i64 = 300;

/// Both hubs watch next to nothing themselves.
const HUB: &str = "[[server]]\nname = \"hub\"\n\n[[server.collector]]\nplugin = \"load\"\ninterval = \"1s\"\n\n\
    [[server]]\nname = \"web-1\"\nremote = true\n\n";

#[tokio::test]
async fn a_new_store_shows_what_the_old_one_had_forwarded() {
    let first = Setup::in_company("");
    let mut prometheus = Receiver::prepare(Kind::Prometheus, first.folder());
    let mut victoria = Receiver::prepare(Kind::VictoriaMetrics, first.folder());
    prometheus.start().await;
    victoria.start().await;
    first.configure(&format!(
        "{HUB}[[forward]]\nname = \"prometheus\"\nurl = \"{}\"\n\n\
         [[forward]]\nname = \"victoria\"\nurl = \"{}\"\nlabels = {{ site = \"berlin\" }}\n",
        prometheus.url(),
        victoria.url()
    ));
    let before = first.start().await;
    // Stretches stand on the clock.
    let from = (now_ms() - 600_000) / 30_000 * 30_000;
    let to = from + 1000 * SECONDS;
    write(&before, &first, from, to).await;
    forwarded(&before, to).await;
    http_flush(&victoria).await;

    let second = first.beside(HUB);
    let mut now = second.start().await;
    wait_for("the server to be known", DEADLINE, async || {
        let answer = now.ask("/servers/web-1/series").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    for receiver in [&prometheus, &victoria] {
        let address = receiver.address;
        // Whatever forwarding adds is no label of a series' own.
        second.configure(&format!(
            "{HUB}[history]\nquery_url = \"http://{address}\"\n\n[[forward]]\nurl = \"{}\"\n\
             servers = [\"none\"]\nlabels = {{ site = \"berlin\" }}\n",
            victoria.url()
        ));
        reread(&now).await;
        let questions = [
            "metric=queue_length&label.shard=a",
            "metric=queue_length",
            "metric=jobs_total",
            "metric=jobs_total&raw=true",
            "metric=queue_length&points=10",
            "metric=jobs_total&points=10",
        ];
        for question in questions {
            let path = format!("/series?server=web-1&from={from}&to={to}&{question}");
            let (there, here) = (before.get(&path).await, now.get(&path).await);
            compare(&there, &here, question);
            assert_eq!(here["partial"], false, "{here}");
            let source = serde_json::json!([{"from": from, "to": to, "source": "history"}]);
            assert_eq!(here["sources"], source);
        }
    }

    // What comes here now is read here.
    let middle = now_ms() - 60_000;
    write(&now, &second, middle, middle + 50_000).await;
    let path = |from: i64| {
        format!("/series?server=web-1&metric=queue_length&from={from}&to={}", middle + 50_000)
    };
    let whole = now.get(&path(from)).await;
    let sources = whole["sources"].as_array().unwrap();
    assert_eq!(
        (&sources[0]["source"], &sources[1]["source"]),
        (&"history".into(), &"store".into())
    );
    assert!(sources[0]["to"].as_i64().unwrap() <= middle, "{sources:?}");
    assert_eq!(times(&whole, 0).len(), usize::try_from(SECONDS).unwrap() + 50);
    let young = now.get(&path(middle)).await;
    assert_eq!(young.get("sources"), None, "nobody else is asked: {young}");

    // What is asked of others goes by series: another one is older here.
    let mut older = Written::new("uptime", &[("server", "web-1"), ("collector", "app")]);
    older.samples = (0..30).map(|second| (from - 60_000 + 1000 * second, 1.0)).collect();
    send(&now, &second, &[older]).await;
    let whole = now.get(&path(from)).await;
    assert_eq!(times(&whole, 0).len(), usize::try_from(SECONDS).unwrap() + 50);
    let here_from = whole["series"][0]["here_from"].as_i64().unwrap();
    assert!((from + 1000 * SECONDS..=middle).contains(&here_from), "{here_from}");
    let other = now.get(&path(from - 60_000).replace("queue_length", "uptime")).await;
    assert_eq!((other.get("sources"), times(&other, 0).len()), (None, 30), "{other}");

    victoria.end();
    let gone = now.get(&path(from)).await;
    assert_eq!(gone["partial"], true);
    let reason = gone["reason"].as_str().unwrap();
    assert!(reason.contains("is not reached") && reason.contains("http://127.0.0.1"), "{reason}");
    assert_eq!(times(&gone, 0), times(&young, 0), "what is here is served");

    // Takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    second.configure(&format!(
        "{HUB}[history]\nquery_url = \"http://{address}\"\ntimeout = \"1s\"\n"
    ));
    reread(&now).await;
    let began = Instant::now();
    let slow = now.get(&path(from)).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let reason = slow["reason"].as_str().unwrap();
    assert!(reason.ends_with("it did not answer within 1s"), "{reason}");
    assert_eq!(times(&slow, 0), times(&young, 0));
    let counted = bartizan_tests::http::get(now.address, "/metrics").await.unwrap().text();
    let failed =
        counted.lines().find(|line| line.starts_with("bartizan_history_failed_questions_total"));
    assert!(failed.is_some_and(|line| !line.ends_with(" 0")), "{failed:?}");
    now.kill();
}

/// Writes a gauge of two series and a counter, a sample a second.
async fn write(hub: &Daemon, setup: &Setup, from: i64, to: i64) {
    let labels =
        |shard: &'static str| [("server", "web-1"), ("collector", "app"), ("shard", shard)];
    let mut series = [
        Written::new("queue_length", &labels("a")),
        Written::new("queue_length", &labels("b")),
        Written::new("jobs_total", &labels("a")),
    ];
    for at_ms in (from..to).step_by(1000) {
        let second = (at_ms / 1000 % 1_000_000) as f64;
        let values = [(second / 7.0).sin(), second % 17.0, 5.0 * second];
        for (one, value) in series.iter_mut().zip(values) {
            one.samples.push((at_ms, value));
        }
    }
    send(hub, setup, &series).await;
}

async fn send(hub: &Daemon, setup: &Setup, series: &[Written]) {
    let mut writer = Writer::new(hub.address, Some(&setup.admin_token()));
    let answer = writer.write(series).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

/// Waits until both targets have everything.
async fn forwarded(hub: &Daemon, until: i64) {
    let written = now_ms();
    wait_for("both targets to have all of it", DEADLINE, async || {
        let targets = hub.get("/forward").await["targets"].take();
        let has_all = |target: &Value| {
            let acknowledged = target["acknowledged_ms"].as_i64();
            acknowledged.is_some_and(|at| at > written.max(until) + 2_000)
                && target["lag_seconds"].as_f64().is_some_and(|lag| lag < 1.0)
        };
        let targets = targets.as_array()?;
        (targets.len() == 2 && targets.iter().all(has_all)).then_some(())
    })
    .await;
}

/// What has just arrived there is searched only after this.
async fn http_flush(victoria: &Receiver) {
    bartizan_tests::http::get(victoria.address, "/internal/force_flush").await.unwrap();
}

/// Lets the daemon read its configuration again.
async fn reread(daemon: &Daemon) {
    let said = |daemon: &Daemon| daemon.log().matches("configuration read again").count();
    let before = said(daemon);
    daemon.signal(Signal::HUP);
    wait_for("the configuration to be read", DEADLINE, async || {
        (said(daemon) > before).then_some(())
    })
    .await;
}

fn times(answer: &Value, series: usize) -> Vec<i64> {
    let points = answer["series"][series]["points"].as_array().unwrap();
    points.iter().map(|point| point[0].as_i64().unwrap()).collect()
}

/// The same series and points; VictoriaMetrics keeps a dozen decimal digits.
fn compare(there: &Value, here: &Value, question: &str) {
    let series = |answer: &Value| answer["series"].as_array().unwrap().clone();
    let (there, here) = (series(there), series(here));
    assert_eq!(there.len(), here.len(), "{question}");
    for (one, other) in there.iter().zip(&here) {
        assert_eq!(
            (&one["labels"], &one["kind"]),
            (&other["labels"], &other["kind"]),
            "{question}"
        );
        let points = |one: &Value| one["points"].as_array().unwrap().clone();
        let (one, other) = (points(one), points(other));
        assert!(one.len() >= 9, "{question}: {one:?}");
        // The first has no rate where nothing stands before it.
        assert!(one.len() - other.len() <= 1, "{question}: {} and {}", one.len(), other.len());
        for point in &other {
            let same = one.iter().find(|one| one[0] == point[0]);
            let same = same.unwrap_or_else(|| panic!("{question}: no {point}"));
            for at in 1..4 {
                let (one, other) = (same[at].as_f64().unwrap(), point[at].as_f64().unwrap());
                let near = (one - other).abs() <= 1e-9 * one.abs().max(1.0);
                assert!(near, "{question}: {same} and {point}");
            }
        }
    }
}
