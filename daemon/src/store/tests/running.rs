//! The store at work: threads, port, actor.

use std::{future::Future, time::Duration};

use ractor::Actor;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::{
    super::{
        Appended, LogPlace, OpenedStore, StateChanges, StatePort, StoreActor, StoreArguments,
        StorePort, StoreReader, messages::Refused,
    },
    *,
};
use crate::{
    config::Retention,
    supervision::{ActorState, Tree},
};

pub(super) const LONG: Duration = Duration::from_secs(20);

/// The samples of these tests are old whenever they run.
const FOR_EVER: Retention = Retention { raw: CENTURY, minute: CENTURY, hour: CENTURY };
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(super) struct Life {
    pub(super) port: StorePort,
    pub(super) reader: StoreReader,
    pub(super) arguments: StoreArguments,
    tree: Tree,
}

pub(super) fn life(folder: &TempDir, limit_bytes: usize) -> Life {
    let catalog = Arc::new(Catalog::default());
    let (port, intake) = StorePort::new(limit_bytes);
    let reader = StoreReader::new(catalog.clone(), intake.clone());
    let tree = Tree::default();
    let arguments = StoreArguments {
        path: folder.path().to_owned(),
        config: StoreConfig { retention: FOR_EVER, ..StoreConfig::default() },
        catalog,
        intake,
        states: StatePort::default(),
        reader: reader.clone(),
        opened: OpenedStore::default(),
        node: tree.root().child("store", "store"),
    };
    Life { port, reader, arguments, tree }
}

pub(super) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_there_through_a_fall_and_a_stop() {
    let folder = TempDir::new().unwrap();
    let Life { port, reader, arguments, tree } = life(&folder, 1 << 20);
    let id = arguments.catalog.intern(series("load", "")).unwrap();
    let append = |range| port.append(Batch { frames: rows(id, range), gaps: Vec::new() });
    // Appended before the store is open: it waits.
    let early = append(0..10);
    let (first, fallen) = Actor::spawn(None, StoreActor, arguments.clone()).await.unwrap();
    timeout(LONG, early.wait()).await.unwrap().unwrap();
    assert_eq!(arguments.node.state(), ActorState::Up);
    let answer = reader.query(everything("load")).await.unwrap();
    assert_eq!(bits(&answer), expected(0..10));

    first.kill();
    fallen.await.unwrap();
    // Nobody may be there to write it; then it waits for the next life.
    let between = append(10..20);
    let (second, stopped) = Actor::spawn(None, StoreActor, arguments.clone()).await.unwrap();
    timeout(LONG, between.wait()).await.unwrap().unwrap();
    until(|| async { arguments.node.state() == ActorState::Up }).await;
    timeout(LONG, append(20..21).wait()).await.unwrap().unwrap();
    let answer = reader.query(everything("load")).await.unwrap();
    let stored = expected(0..21);
    assert_eq!(bits(&answer), stored);
    let within = Query { to_ms: START_MS + 20_500, ..everything("load") };
    assert_eq!(reader.query(within).await.unwrap().series[0].gaps, [], "nothing was lost");
    second.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
    assert_eq!(append(500..501).wait().await, Err(Refused::Stopping));
    assert_eq!(tree.overdue(std::time::Duration::from_hours(1)), [""; 0]);

    let again = open(folder.path());
    assert_eq!(again.bits("load"), stored);
    let gaps = &again.raw("load")[0].gaps;
    assert_eq!(&*gaps.last().unwrap().reason, "bartizan was stopped", "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_limit_the_oldest_go_and_leave_a_gap() {
    let folder = TempDir::new().unwrap();
    let Life { port, reader, arguments, .. } = life(&folder, 4096);
    let id = arguments.catalog.intern(series("load", "")).unwrap();
    let acks: Vec<_> = (0..100)
        .map(|row| port.append(Batch { frames: rows(id, row..row + 1), gaps: Vec::new() }))
        .collect();
    let dropped = port.dropped_samples();
    assert!(dropped > 50 && dropped < 100, "{dropped}");
    assert!(port.waiting_bytes() <= 4096);
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    for (row, ack) in (0..).zip(acks) {
        let answer = timeout(LONG, ack.wait()).await.unwrap();
        let expected = if row < dropped { Err(Refused::Behind) } else { Ok(()) };
        assert_eq!(answer, expected, "row {row}");
    }
    let answer = reader.query(everything("load")).await.unwrap();
    let dropped = dropped as i64;
    assert_eq!(bits(&answer), expected(dropped..100));
    let gap = &answer.series[0].gaps[0];
    assert_eq!((gap.from_ms, gap.to_ms), (START_MS, Some(START_MS + dropped * 1000)));
    assert_eq!(&*gap.reason, "failed to store samples: store has fallen behind");
    let stats = reader.stats();
    assert_eq!((stats.samples, stats.series), (100 - dropped as u64, 1));
    assert_eq!(stats.dropped_samples, dropped as u64);
    assert!(stats.bytes_total >= stats.bytes_log && stats.bytes_log > 0);
    assert_eq!(stats.degraded, None);
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_blocks_are_sealed_while_samples_come() {
    let folder = TempDir::new().unwrap();
    let Life { port, reader, arguments, .. } = life(&folder, 16 << 20);
    let id = arguments.catalog.intern(series("load", "")).unwrap();
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    for batch in 0..13 {
        let frames = rows(id, batch * 100..batch * 100 + 100);
        port.append(Batch { frames, gaps: Vec::new() }).wait().await.unwrap();
    }
    until(|| async { reader.stats().bytes_segments > 0 }).await;
    let answer = reader.query(everything("load")).await.unwrap();
    assert_eq!(bits(&answer), expected(0..1300));
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
    let store = open(folder.path());
    assert_eq!(store.bits("load"), expected(0..1300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_refuses_samples_wait_and_then_the_oldest_go() {
    let folder = TempDir::new().unwrap();
    let Life { port, reader, arguments, .. } = life(&folder, 4096);
    let id = arguments.catalog.intern(series("load", "")).unwrap();
    let append = |row| port.append(Batch { frames: rows(id, row..row + 1), gaps: Vec::new() });
    let node = arguments.node.clone();
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    until(|| async { node.state() == ActorState::Up }).await;
    // The folder of the log is gone before the first file is begun.
    let (logs, aside) = (folder.path().join("log"), folder.path().join("aside"));
    std::fs::rename(&logs, &aside).unwrap();
    let first = append(0);
    until(|| async { reader.stats().degraded.is_some() }).await;
    let later: Vec<_> = (1..100).map(append).collect();
    let Err(Refused::Disk(reason)) = timeout(LONG, first.wait()).await.unwrap() else {
        panic!("the oldest was not dropped");
    };
    assert!(reason.contains("log"), "{reason}");
    std::fs::rename(&aside, &logs).unwrap();
    let mut kept = 0;
    for ack in later {
        kept += u64::from(timeout(LONG, ack.wait()).await.unwrap().is_ok());
    }
    assert_eq!(kept + port.dropped_samples(), 100);
    assert!(kept > 0);
    until(|| async { reader.stats().degraded.is_none() }).await;
    let answer = reader.query(everything("load")).await.unwrap();
    assert_eq!(bits(&answer), expected(100 - kept as i64..100));
    assert!(answer.series[0].gaps[0].reason.contains(&*reason));
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_for_others_survives_a_kill_and_a_damaged_state() {
    let folder = TempDir::new().unwrap();
    let Life { arguments, reader, .. } = life(&folder, 1 << 20);
    let states = arguments.states.clone();
    let mut changes = StateChanges::default();
    changes.keep(b"one".to_vec(), b"1".to_vec());
    changes.keep(b"other".to_vec(), vec![7; StateChanges::VALUE_MAX]);
    assert!(states.keep(changes.clone()).await.is_err(), "no store is open yet");
    let (actor, ended) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    until(async || reader.stats().degraded.is_none()).await;
    states.keep(changes).await.unwrap();
    let mut changes = StateChanges::default();
    changes.forget(b"one".to_vec());
    changes.keep(b"third".to_vec(), b"3".to_vec());
    states.keep(changes).await.unwrap();

    let killed = copy(folder.path());
    let kept = open(killed.path()).store.take_kept();
    let names: Vec<_> = kept.keys().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
    assert_eq!(names, ["other", "third"]);
    assert_eq!(kept[&b"other"[..]].len(), StateChanges::VALUE_MAX);

    actor.stop(None);
    ended.await.unwrap();
    assert!(states.keep(StateChanges::default()).await.is_err(), "the store is closed");
    // A clean stop leaves a copy, which helps where sled's own files are lost.
    std::fs::remove_dir_all(folder.path().join("sled")).unwrap();
    assert_eq!(open(folder.path()).store.take_kept(), kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_send_at_once_are_all_answered_and_each_sample_is_there_once() {
    let folder = TempDir::new().unwrap();
    let Life { port, reader, arguments, .. } = life(&folder, 64 << 20);
    let ids: Vec<_> =
        (0..8).map(|n| arguments.catalog.intern(series("load", &n.to_string())).unwrap()).collect();
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    until(async || reader.log_end().is_some()).await;
    let mut tail = reader.tail(None);
    let send = |id: SeriesId| {
        let port = port.clone();
        async move {
            let mut kept = Kept::default();
            for row in 0..50 {
                // Each is sent twice, as if its answer had been lost.
                for _ in 0..2 {
                    let batch = Batch { frames: rows(id, row..row + 1), gaps: Vec::new() };
                    kept += port.arrive(batch).await.unwrap();
                }
            }
            kept
        }
    };
    let senders: Vec<_> = ids.iter().map(|id| tokio::spawn(send(*id))).collect();
    for sender in senders {
        let kept = timeout(LONG, sender).await.unwrap().unwrap();
        assert_eq!(kept, Kept { stored: 50, known: 50, late: 0 });
    }
    let answer = reader.query(everything("load")).await.unwrap();
    for series in &answer.series {
        let found: Vec<_> = series.points.iter().map(|p| (p.at_ms, p.mean.to_bits())).collect();
        assert_eq!(found, expected(0..50));
    }
    let mut read = 0;
    while read < 400 {
        timeout(LONG, reader.appended()).await.unwrap();
        let passage = tail.next(1000).unwrap();
        assert!(!passage.lost);
        read += passage.appended.len();
    }
    assert_eq!(reader.stored_since_start(), 400);
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
    let refused = port.arrive(Batch { frames: rows(ids[0], 90..91), gaps: Vec::new() }).await;
    assert_eq!(refused, Err(Refused::Stopping));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_along_learns_of_an_absence() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..5));
    drop(store);
    let Life { port, reader, arguments, .. } = life(&folder, 1 << 20);
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    until(async || reader.log_end().is_some()).await;
    drop(port.append(Batch { frames: rows(id, 9..10), gaps: Vec::new() }));
    let mut tail = reader.tail(Some(LogPlace { sequence: 1, offset: 0 }));
    let mut appended = Vec::new();
    while appended.len() < 7 {
        timeout(LONG, reader.appended()).await.unwrap();
        appended.extend(tail.next(100).unwrap().appended);
    }
    let Appended::Gap(gap) = &appended[5] else { panic!("{appended:?}") };
    assert_eq!((gap.from_ms, gap.to_ms), (START_MS + 5000, Some(START_MS + 9000)));
    assert_eq!(&*gap.reason, "bartizan was killed");
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
}
