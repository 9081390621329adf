//! Malicious senders beside an honest one: they are refused or bounded, it is counted, the memory stays within a limit,
//! and the honest one is not slowed and loses nothing.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bartizan_tests::{
    Daemon, SEED, Setup, enrolment, http, now_ms,
    wire::{self, Version, Written, snappy},
    writer::{Template, Writer, of_a_server, value_of},
};
use fastrand::Rng;
use hyper::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    task::JoinHandle,
    time::{sleep, timeout},
};

const HUB: &str =
    "[[server]]\nname = \"hub\"\n\n[[server.collector]]\nplugin = \"load\"\ninterval = \"10s\"\n";

/// Longest that the honest sender may wait for an answer: far more than it ever does alone, and far less than any
/// deadline that a malicious sender could make others wait for.
const HONEST_MOST: Duration = Duration::from_secs(5);

/// Most memory of the hub's while it is attacked.
const MEMORY_MOST: u64 = 300_000_000;

/// Connections that one attacker opens.
const CONNECTIONS: usize = 10_000;

/// Where those come from who open connections and say nothing.
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);

/// A connection that says next to nothing is closed by then.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two writes of the honest sender.
const PAUSE: Duration = Duration::from_millis(200);

/// How many series the honest sender has.
const SERIES: usize = 50;

/// A hub, an honest sender that writes all the time, and the token of a malicious one.
struct Scene {
    hub: Daemon,
    honest: Honest,
    token: String,
    /// Was the malicious one's, before it got this one.
    revoked: String,
    _setup: Setup,
}

impl Scene {
    async fn start() -> Self {
        let setup = Setup::new(HUB);
        let hub = setup.start().await;
        let token = enrolment::add(&setup, "honest-1").await;
        let honest = Honest::start(hub.address, &token);
        let revoked = enrolment::add(&setup, "evil-1").await;
        let token = enrolment::add_again(&setup, "evil-1").await;
        Self { hub, honest, token, revoked, _setup: setup }
    }

    fn evil(&self) -> Writer {
        Writer::new(self.hub.address, Some(&self.token))
    }

    /// Nobody was slowed, nothing was lost, and the memory has stayed within its limit.
    async fn end(self) {
        let (written, worst) = self.honest.end().await;
        let rounds = written.len();
        assert!(rounds > 10, "the honest sender wrote {rounds} times");
        let from = *written.first().unwrap();
        for series in ["node_cpu_seconds_total", "node_hwmon_temp_celsius"] {
            for series in self.hub.raw("honest-1", series, from).await {
                let times: Vec<i64> = series.points.iter().map(|(at, _)| *at).collect();
                assert_eq!(times, written, "every time that was acknowledged, and no other");
            }
        }
        let peak = self.hub.process.peak_bytes();
        eprintln!(
            "{rounds} honest writes, the slowest {worst:.0?}; the hub had at most {} MB",
            peak / 1_000_000
        );
        assert!(worst < HONEST_MOST, "an honest write waited {worst:?}");
        assert!(peak < MEMORY_MOST, "the hub had {peak} bytes");
        assert!(self.hub.runs());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_write_is_told_so_and_counted() {
    let scene = Scene::start().await;
    let mine = [Written::new("x_ratio", &[("server", "evil-1")]).sample(now_ms(), 1.0)];
    let foreign = [Written::new("x_ratio", &[("server", "honest-1")]).sample(now_ms(), 1.0)];
    let unnamed = [Written::new("x_ratio", &[]).sample(now_ms(), 1.0)];

    let unknown = format!("bz_00000000_{}", "0".repeat(64));
    let (all_but_one, last) = scene.token.split_at(scene.token.len() - 1);
    let slip = format!("{all_but_one}{}", if last == "0" { "1" } else { "0" });

    for version in [Version::One, Version::Two] {
        for (token, code) in [
            (None, "token_required"),
            (Some(""), "token_required"),
            (Some("bz_0000"), "malformed_token"),
            (Some(&*unknown), "unknown_token"),
            (Some(&*slip), "wrong_token"),
            (Some(&*scene.revoked), "revoked_token"),
        ] {
            let mut writer = Writer::new(scene.hub.address, token).version(version);
            let answer = writer.write(&mine).await.unwrap();
            refused(&answer, &[401], "token");
            assert_eq!(answer.json()["error"], code, "{}", answer.text());
        }
        // What is not even a header is refused before it is sent.
        let mut writer = Writer::new(scene.hub.address, Some("é\u{1f980}")).version(version);
        if let Ok(answer) = writer.write(&mine).await {
            refused(&answer, &[401], "token");
        }
        let mut evil = scene.evil().version(version);
        refused(&evil.write(&foreign).await.unwrap(), &[403], "honest-1");
        let answer = evil.write(&unnamed).await.unwrap();
        assert!(answer.status < 500, "{answer:?}");
        let both = [mine[0].clone(), foreign[0].clone()];
        refused(&evil.write(&both).await.unwrap(), &[400, 403], "honest-1");
        let answer = evil.write(&mine).await.unwrap();
        assert!(answer.status < 300, "what it may write it writes: {}", answer.text());
    }
    assert!(scene.hub.raw("honest-1", "x_ratio", 0).await.is_empty(), "nothing of it was stored");
    refused_for(&scene, &["not_your_server"]).await;
    counted(&scene, "bartizan_enrol_wrong_tokens_total").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_and_rubbish_are_refused_at_little_cost() {
    let scene = Scene::start().await;
    let mut evil = scene.evil();
    let cpu = scene.hub.process.cpu_seconds();

    // Labels: too many, too long, too many different ones.
    let many: Vec<(String, String)> = (0..20_000).map(|n| (format!("l{n}"), "x".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let long = "x".repeat(1 << 20);
    for labels in [many.as_slice(), &[("l", long.as_str())], &[(long.as_str(), "x")]] {
        let one = Written::new("bomb", &[&[("server", "evil-1")], labels].concat());
        let answer = evil.write(&[one.sample(now_ms(), 1.0)]).await.unwrap();
        refused(&answer, &[400], "label");
    }
    for part in 0..6 {
        let names = (0..5_000).map(|number| format!("v{}", part * 5_000 + number));
        let series: Vec<_> = names
            .map(|value| {
                Written::new("bomb", &[("server", "evil-1"), ("l", &value)]).sample(now_ms(), 1.0)
            })
            .collect();
        let answer = evil.write(&series).await.unwrap();
        // The first of them fit into the limit of a server.
        if part >= 4 {
            refused(&answer, &[400], "series");
        }
    }

    // Snappy: says that it becomes 4 GiB; becomes 200 MB.
    let mut says = Vec::new();
    wire::varint(&mut says, u64::from(u32::MAX));
    says.extend([0; 64]);
    let becomes = snappy(&vec![0; 160_000_000]);
    assert!(becomes.len() < 8 << 20, "it fits into a request");
    for body in [says, becomes] {
        refused(&evil.send(body.into()).await.unwrap(), &[400, 413], "");
    }

    // Rubbish: the truncations of what would have been fine, and noise.
    let mut random = Rng::with_seed(SEED);
    for version in [Version::One, Version::Two] {
        let mut evil = scene.evil().version(version);
        let fine = version.encode(&sampled("evil-1", now_ms()));
        for _ in 0..300 {
            let cut = &fine[..random.usize(1..fine.len())];
            let answer = evil.send(snappy(cut).into()).await.unwrap();
            // Cut between two series it is a shorter request.
            assert!(answer.status < 500, "{} for {} bytes", answer.status, cut.len());
            let noise: Vec<u8> = (0..random.usize(1..4_000)).map(|_| random.u8(..)).collect();
            let answer = evil.send(snappy(&noise).into()).await.unwrap();
            assert!(answer.status < 500, "{answer:?}");
            let answer = evil.send(noise.into()).await.unwrap();
            assert!((400..500).contains(&answer.status), "{answer:?}");
            let mut turned = fine.clone();
            let place = random.usize(..turned.len());
            turned[place] ^= 1 << random.u8(..8);
            let answer = evil.send(snappy(&turned).into()).await.unwrap();
            assert!(answer.status < 500, "{answer:?}");
        }
    }
    let headers =
        [("authorization", &*format!("Bearer {}", scene.token)), ("content-type", "text/plain")];
    let answer =
        http::request(scene.hub.address, Method::POST, "/api/v1/write", &headers, "x").await;
    refused(&answer.unwrap(), &[415], "x-protobuf");

    let log = scene.hub.log();
    let complaints = log.lines().filter(|line| line.contains("WARN")).count();
    assert!(complaints < 50, "{complaints} complaints in the log");
    let spent = scene.hub.process.cpu_seconds() - cpu;
    eprintln!("bombs and rubbish cost the hub {spent:.1} s of CPU");
    refused_for(
        &scene,
        &["too_many_labels", "label_too_long", "too_many_series", "malformed", "unsupported_type"],
    )
    .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_and_slow_writers_are_bounded() {
    let scene = Scene::start().await;
    let address = scene.hub.address;

    // Those who say nothing, a byte of the head now and then, or a byte of the body.
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Encoding: snappy\r\n\
         Content-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n",
        scene.token
    );
    let began = Instant::now();
    let slow = (0..200).map(|number| {
        let (said, rest) = if number % 2 == 0 { (head.clone(), "x") } else { ("POST".into(), " ") };
        tokio::spawn(loris(address, said, rest))
    });
    let slow: Vec<_> = slow.collect();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        // What the hub does not take is refused here or closed later; both are bounded.
        let stranger = TcpSocket::new_v4().unwrap();
        stranger.bind(STRANGER).unwrap();
        let connecting = stranger.connect(address);
        if let Ok(Ok(stream)) = timeout(Duration::from_secs(2), connecting).await {
            open.push(stream);
        }
    }
    let files = std::fs::read_dir(format!("/proc/{}/fd", scene.hub.process.pid)).unwrap().count();
    eprintln!("{} connections were opened; the hub has {files} files open", open.len());
    assert!(open.len() > CONNECTIONS / 2, "{} connections", open.len());
    assert!(files < CONNECTIONS / 2, "the hub has {files} files open");

    // They sit there still; whoever comes from elsewhere finds a place all the same.
    let mut new = Writer::new(address, Some(&scene.token));
    let one = Written::new("late_ratio", &[("server", "evil-1")]).sample(now_ms(), 1.0);
    let answer = new.write(&[one]).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text());
    for slow in slow {
        slow.await.unwrap();
    }
    eprintln!("the last slow writer was cut after {:.1?}", began.elapsed());
    drop(open);
    counted(&scene, "bartizan_http_refused_strangers_total").await;
    scene.end().await;
}

/// Says something, then a byte every second, until it is cut.
async fn loris(address: SocketAddr, said: String, rest: &str) {
    let began = Instant::now();
    let stranger = TcpSocket::new_v4().unwrap();
    stranger.bind(STRANGER).unwrap();
    let Ok(mut stream) = stranger.connect(address).await else { return };
    let mut heard = [0; 512];
    let mut written = stream.write_all(said.as_bytes()).await;
    while written.is_ok() {
        if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_secs(1), stream.read(&mut heard)).await {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "a slow writer of {:?} is still heard", &said[..4]);
        written = stream.write_all(rest.as_bytes()).await;
    }
}

/// The series of a simulated server, each with one sample.
fn sampled(server: &str, at_ms: i64) -> Vec<Written> {
    let series = of_a_server(server, SERIES).into_iter().enumerate();
    series.map(|(number, one)| one.sample(at_ms, value_of(number, 1))).collect()
}

#[track_caller]
fn refused(answer: &http::Answer, statuses: &[u16], word: &str) {
    let text = answer.text();
    assert!(statuses.contains(&answer.status), "{} instead of {statuses:?}: {text}", answer.status);
    let json = answer.json();
    let (short, detail) = (json["error"].as_str(), json["detail"].as_str());
    assert!(short.is_some() && detail.is_some_and(|detail| detail.contains(word)), "{text}");
}

/// Something was refused for each of these reasons.
async fn refused_for(scene: &Scene, reasons: &[&str]) {
    for reason in reasons {
        counted(scene, &format!("bartizan_ingest_refused_total{{reason=\"{reason}\"}}")).await;
    }
}

/// The counter whose line begins like this is above zero.
async fn counted(scene: &Scene, counter: &str) {
    let text = http::get(scene.hub.address, "/metrics").await.unwrap().text();
    let value =
        text.lines().find_map(|line| line.strip_prefix(counter)?.trim().parse::<f64>().ok());
    assert!(value.is_some_and(|value| value > 0.0), "{counter} is {value:?} in:\n{text}");
}

/// Writes its series five times a second by one connection that is kept.
struct Honest {
    stop: Arc<AtomicBool>,
    writing: JoinHandle<(Vec<i64>, Duration)>,
}

impl Honest {
    fn start(hub: SocketAddr, token: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let mut writer = Writer::new(hub, Some(token));
        let writing = tokio::spawn(async move {
            let mut template = Template::new(&of_a_server("honest-1", SERIES));
            let (mut written, mut worst) = (Vec::new(), Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let at_ms = now_ms();
                let body = template.at(at_ms, |number| value_of(number, written.len() as u64));
                let began = Instant::now();
                let answer = writer.send(body).await.unwrap();
                assert!(answer.status < 300, "{} {}", answer.status, answer.text());
                worst = worst.max(began.elapsed());
                written.push(at_ms);
                sleep(PAUSE).await;
            }
            (written, worst)
        });
        Self { stop, writing }
    }

    /// Every time that was acknowledged, and the longest wait. It writes on for a moment, to feel what is left.
    async fn end(self) -> (Vec<i64>, Duration) {
        sleep(PAUSE * 15).await;
        self.stop.store(true, Ordering::Relaxed);
        self.writing.await.unwrap()
    }
}
