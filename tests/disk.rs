//! A disk that is full, slow, or fails, under a daemon at work: people go on seeing and being told, nothing that can
//! wait is lost, and all is well again by itself once the disk is.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    fs,
    time::{Duration, Instant},
};

use bartizan_tests::{
    DEADLINE, Daemon, Setup,
    dial::{self, Dials},
    disk::{FaultyDisk, SmallDisk},
    http, now_ms,
    process::Signal,
    stream::{Event, Viewer},
    wait_for,
};

/// The least that may be configured, of which a 16th is the reserve.
const STORE: &str = "[store]\nmax_bytes = \"64MiB\"\n\n";
const RESERVE: u64 = 4 << 20;

/// A server whose log grows by pages within seconds: what fits into the last one fits on a full disk.
const BUSY: &str = "[collect]\ninterval = \"100ms\"\n\n[[server]]\nname = \"here\"\n\n";

/// The built-in rule, without its patience.
const RULE: &str = "[[rule]]\nname = \"store\"\nmetric = \"bartizan_store_state\"\n\
    critical = { below = 1, for = \"0s\" }\nclear_for = \"0s\"\n\n";

/// Longest that the stream may be silent, and an answer may take, whatever the disk does.
const PATIENCE: Duration = Duration::from_millis(2500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_filled_to_its_last_byte_costs_no_incident_and_no_sample_that_can_wait() {
    let setup = Setup::new("").plugin(&dial::plugin());
    let disk = SmallDisk::mount(&setup.state(), 32);
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("main", 1.0);
    dials.turn("other", 1.0);
    setup.configure(&format!("{STORE}{BUSY}{}{}", dials.server("100ms"), dial::RULE));
    let mut daemon = setup.start().await;
    dials.read(&daemon, "other", 1.0, 0).await;
    let reserve = || fs::metadata(setup.state().join("reserve")).map_or(0, |facts| facts.len());
    wait_for("the reserve", DEADLINE, async || (reserve() == RESERVE).then_some(())).await;

    // To the last byte: the reserve is given up, and for a while everything fits into it.
    disk.fill(0);
    let at_ms = dials.turn("main", 42.0);
    daemon.incident_of("web-1", "dial", &["firing"]).await;
    wait_for("an end of the reserve", DEADLINE, async || (reserve() == 0).then_some(())).await;
    counts(&daemon, "bartizan_store_degraded", |degraded| degraded == 1).await;
    says(&daemon, "disk is full").await;
    dials.read(&daemon, "main", 42.0, at_ms).await;

    // Somebody takes of that too: samples wait, and incidents are still kept.
    disk.fill(RESERVE * 3 / 8);
    let waits_ms = now_ms();
    counts(&daemon, "bartizan_store_waiting_bytes", |bytes| bytes > 0).await;
    dials.turn("other", 43.0);
    let both = async |daemon: &Daemon| {
        wait_for("both incidents", DEADLINE, async || {
            let firing = daemon.incidents("firing").await;
            let of_dials = firing.iter().filter(|incident| incident["rule"] == "dial");
            (of_dials.count() == 2).then_some(())
        })
        .await;
    };
    both(&daemon).await;
    assert!(!daemon.log().contains("cannot keep"), "incidents are kept");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ended_ms = now_ms();
    disk.empty();
    counts(&daemon, "bartizan_store_degraded", |degraded| degraded == 0).await;
    wait_for("the reserve", DEADLINE, async || (reserve() == RESERVE).then_some(())).await;
    counts(&daemon, "bartizan_store_waiting_bytes", |bytes| bytes == 0).await;
    counts(&daemon, "bartizan_store_dropped_samples_total", |samples| samples == 0).await;
    let samples = dials.samples(&daemon, "other", waits_ms).await;
    let waited = samples.iter().filter(|(at, _)| (waits_ms..ended_ms).contains(at)).count();
    assert!(waited >= 10, "{waited} samples have waited: {samples:?}");
    daemon.kill();

    // Full to the last byte again before the next start, which gives the reserve up to take place.
    disk.fill(0);
    let mut daemon = setup.start().await;
    both(&daemon).await;
    assert!(dials.samples(&daemon, "other", waits_ms).await.len() >= samples.len());
    disk.empty();
    counts(&daemon, "bartizan_store_degraded", |degraded| degraded == 0).await;
    dials.turn("main", 44.0);
    dials.read(&daemon, "main", 44.0, 0).await;
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().await.0.success());
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_and_one_that_fails_hold_up_neither_collectors_nor_viewers() {
    let (disk, setup) = FaultyDisk::under(Setup::new("").plugin(&dial::plugin()));
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("main", 1.0);
    setup.configure(&format!("{STORE}{}{}{RULE}", dials.server("100ms"), dial::RULE));
    let daemon = setup.start().await;
    dials.read(&daemon, "main", 1.0, 0).await;
    let mut viewer = Viewer::open(setup.address).await.unwrap();
    viewer.subscribe(&["wall"]).await.unwrap();
    let began_ms = now_ms();

    disk.slow(500);
    goes_on(&daemon, &mut viewer, Duration::from_secs(4)).await;
    counts(&daemon, "bartizan_store_waiting_bytes", |bytes| bytes > 0).await;

    disk.fail();
    counts(&daemon, "bartizan_store_degraded", |degraded| degraded == 1).await;
    let failing_ms = dials.turn("main", 42.0);
    says(&daemon, "os error 5").await;
    goes_on(&daemon, &mut viewer, Duration::from_secs(3)).await;
    // People are told, though nothing can be kept.
    daemon.incident_of("web-1", "dial", &["firing"]).await;
    daemon.incident_of("web-1", "store", &["firing"]).await;
    assert!(daemon.log().contains("store is degraded"), "the log says it");

    let healed_ms = now_ms();
    disk.heal();
    counts(&daemon, "bartizan_store_degraded", |degraded| degraded == 0).await;
    counts(&daemon, "bartizan_store_waiting_bytes", |bytes| bytes == 0).await;
    counts(&daemon, "bartizan_store_dropped_samples_total", |samples| samples == 0).await;
    let samples = dials.samples(&daemon, "main", began_ms).await;
    let failing = samples.iter().filter(|(at, _)| (failing_ms..healed_ms).contains(at)).count();
    assert!(failing >= 20, "{failing} samples have waited while the disk failed");
    daemon.incident_of("web-1", "store", &["resolved"]).await;
    let widest = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
    assert!(widest.is_some_and(|widest| widest < 1500), "{widest:?} ms without a sample");
}

/// For so long the stream changes and questions are answered, both of the present.
async fn goes_on(daemon: &Daemon, viewer: &mut Viewer, time: Duration) {
    let began = Instant::now();
    let mut changes = 0;
    while began.elapsed() < time {
        let event = tokio::time::timeout(PATIENCE, viewer.next()).await.unwrap().unwrap();
        changes += usize::from(matches!(event, Event::Changed(..)));
        let asked = Instant::now();
        let servers = daemon.get("/servers").await;
        let seen_ms = servers["servers"][0]["last_seen_ms"].as_i64().unwrap();
        assert!(now_ms() - seen_ms < 2000, "{servers}");
        daemon.raw("web-1", dial::METRIC, now_ms() - 60_000).await;
        assert!(asked.elapsed() < PATIENCE, "an answer took {:?}", asked.elapsed());
    }
    assert!(changes >= 2, "{changes} changes in {time:?}");
}

/// Waits until what the daemon counts of itself fits.
async fn counts(daemon: &Daemon, name: &str, fits: impl Fn(u64) -> bool) {
    wait_for(&format!("{name} to fit"), DEADLINE, async || {
        let text = http::get(daemon.address, "/metrics").await.ok()?.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.trim().parse().ok().filter(|count| fits(*count))
    })
    .await;
}

/// Waits until the tree says so of the store.
async fn says(daemon: &Daemon, word: &str) {
    wait_for(&format!("the store to say {word}"), DEADLINE, async || {
        let actors = daemon.actors().await;
        let store = actors.into_iter().find(|(path, _)| path == "root/store")?.1;
        store["detail"].as_str()?.contains(word).then_some(())
    })
    .await;
}
