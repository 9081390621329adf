//! `kill -9` at full rate: whatever was served before is there afterwards, value by value.
//!
//! An outside client records every sample that it is served, by `GET /series` and by the stream, until the connection
//! breaks. Afterwards the same samples are asked for again.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bartizan_tests::{
    DEADLINE, Daemon, History, SEED, Setup,
    http::{self, escape},
    now_ms, rounds,
    stream::{Event, Viewer},
    wait_for,
};
use fastrand::Rng;
use serde_json::{Value, json};

const CONFIG: &str = "[collect]\ninterval = \"100ms\"\n\n[[server]]\nname = \"here\"\n";

/// How many kills, and how many of them in the long run.
const ROUNDS: (usize, usize) = (20, 200);

/// How much of the past is compared at once: one answer may hold 18 minutes of samples at this interval.
const WINDOW_MS: usize = 10 * 60_000;

/// What was served: metric and labels, instant, bits of the value.
type Served = BTreeMap<(String, i64), u64>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_served_survives_kill_9_and_no_host_outlives_the_daemon() {
    let setup = Setup::in_company(CONFIG);
    let mut random = Rng::with_seed(SEED);
    let (answers, stream) = (Recorder::default(), Recorder::default());
    let (mut slowest_start, mut slowest_end) = (Duration::ZERO, Duration::ZERO);

    let mut daemon = setup.start().await;
    let rounds = rounds(ROUNDS.0, ROUNDS.1);
    let first = now_ms();
    let mut lives = [first; 2];
    for round in 1..=rounds {
        lives = [lives[1], now_ms()];
        daemon.samples("here", "cpu_usage_ratio", now_ms(), 2).await;
        let before = [&answers, &stream].map(Recorder::count);
        let asking = tokio::spawn(answers.clone().ask(daemon.address));
        let watching = tokio::spawn(stream.clone().watch(daemon.address));
        // Random on purpose: the kill must not fall into step with the daemon's own rhythm.
        tokio::time::sleep(Duration::from_millis(random.u64(1_200..2_800))).await;

        let hosts = daemon.hosts();
        assert!(!hosts.is_empty(), "plugins run in processes of their own");
        let killed = Instant::now();
        daemon.kill();
        wait_for("the end of every plugin host", DEADLINE, async || {
            hosts.iter().all(|host| !host.runs()).then_some(())
        })
        .await;
        let gone = killed.elapsed();
        asking.await.unwrap();
        watching.await.unwrap();
        let after = [&answers, &stream].map(Recorder::count);
        assert!(
            before[0] < after[0] && before[1] < after[1],
            "round {round}: {before:?} {after:?}"
        );

        daemon = setup.spawn();
        let answered = daemon.answers().await;
        (slowest_start, slowest_end) = (slowest_start.max(answered), slowest_end.max(gone));
        // The promise is 1 s; a shared machine is given ten.
        assert!(
            answered < Duration::from_secs(10),
            "round {round}: first answer after {answered:?}"
        );
        assert!(gone < Duration::from_secs(10), "round {round}: hosts gone after {gone:?}");
        // What the last two lives served; at the end, what all of them did.
        let stored = stored(&daemon, lives[0]).await;
        answers.compare(&stored, lives[0]);
        stream.compare(&stored, lives[0]);
    }
    let stored = stored(&daemon, first).await;
    answers.compare(&stored, first);
    stream.compare(&stored, first);
    eprintln!(
        "{rounds} kills; {} samples served in answers and {} in the stream, all of them found again among {}; slowest \
         restart to first answer {slowest_start:.1?}, slowest end of the hosts {slowest_end:.1?}",
        answers.count(),
        stream.count(),
        stored.len(),
    );
}

/// Remembers what was served. Clones share their memory.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Served>>);

impl Recorder {
    /// Reads the last seconds of one metric after the other until the daemon is gone.
    async fn ask(self, address: SocketAddr) {
        let Ok(answer) = http::get(address, "/api/v1/servers/here/series").await else { return };
        let metrics = metrics(&answer.json());
        loop {
            for metric in &metrics {
                let Ok(answer) = read(address, metric, now_ms() - 3_000).await else { return };
                for series in History::all(&answer) {
                    for (at, value) in series.points {
                        self.served(metric, &json!(series.labels), at, value.unwrap());
                    }
                }
            }
        }
    }

    /// Watches the server's topic until the daemon is gone. Gauges are shown as they were read.
    async fn watch(self, address: SocketAddr) {
        let Ok(mut viewer) = Viewer::open(address).await else { return };
        let topic = "server:here";
        if viewer.subscribe(&[topic]).await.is_err() {
            return;
        }
        while let Ok(event) = viewer.next().await {
            let picture = viewer.picture(topic);
            let ids = match (&event, picture) {
                (Event::Snapshot(_), Some(picture)) => picture.ids().map(str::to_owned).collect(),
                (Event::Changed(_, ids), _) => ids.clone(),
                _ => Vec::new(),
            };
            for id in ids {
                let column = |name: &str| picture.and_then(|picture| picture.value(&id, name));
                let (Some(value), Some(at)) =
                    (column("value").and_then(Value::as_f64), column("at").and_then(Value::as_i64))
                else {
                    continue;
                };
                if column("kind") == Some(&json!("gauge")) {
                    let metric = column("metric").and_then(Value::as_str).unwrap();
                    self.served(metric, column("labels").unwrap(), at, value);
                }
            }
        }
    }

    fn served(&self, metric: &str, labels: &Value, at: i64, value: f64) {
        let series = format!("{metric}{labels}");
        let before = self.0.lock().unwrap().insert((series.clone(), at), value.to_bits());
        let same = before.is_none_or(|before| before == value.to_bits());
        assert!(
            same,
            "{series} at {at} was served as {:?} and as {value}",
            before.map(f64::from_bits)
        );
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Everything that was served since `first` must be there, with the same bits.
    fn compare(&self, stored: &Served, first: i64) {
        let served = self.0.lock().unwrap();
        let lost: Vec<_> = served
            .iter()
            .filter(|((_, at), _)| *at >= first)
            .filter(|(sample, bits)| stored.get(sample) != Some(bits))
            .collect();
        let some = &lost[..lost.len().min(10)];
        assert!(
            lost.is_empty(),
            "{} of {} served samples lost: {some:?}",
            lost.len(),
            served.len()
        );
    }
}

/// All samples since `first`, as the daemon gives them now.
async fn stored(daemon: &Daemon, first: i64) -> Served {
    let mut stored = Served::new();
    for metric in metrics(&daemon.get("/servers/here/series").await) {
        for from in (first..=now_ms()).step_by(WINDOW_MS) {
            // The end of one window is the begin of the next: a sample there may come twice.
            let to = from + i64::try_from(WINDOW_MS).unwrap();
            for series in daemon.raw_between("here", &metric, from, to).await {
                let name = format!("{metric}{}", json!(series.labels));
                let points = series.points.iter().filter_map(|(at, value)| Some((*at, (*value)?)));
                stored.extend(points.map(|(at, value)| ((name.clone(), at), value.to_bits())));
            }
        }
    }
    stored
}

async fn read(address: SocketAddr, metric: &str, from: i64) -> Result<Value, http::Failure> {
    let path = format!("/api/v1/series?server=here&metric={}&from={from}&raw=true", escape(metric));
    let answer = http::get(address, &path).await?;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    Ok(answer.json())
}

/// The names of all metrics in an answer of `GET /servers/{name}/series`.
fn metrics(answer: &Value) -> Vec<String> {
    let series = answer["series"].as_array().unwrap().iter();
    let mut names: Vec<_> =
        series.map(|series| series["metric"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}
