//! A disk that fails and recovers: what is acknowledged is there, what is not may come again, and nothing lies.

use std::time::Duration;

use ractor::Actor;
use rustix::io::Errno;
use tempfile::TempDir;
use tokio::time::timeout;

use super::{
    super::{
        StoreActor,
        disk_faults::{Call, Fault, How, Watch},
        folder::bytes_below,
    },
    running::{LONG, Life, life},
    *,
};

fn fails(call: Call, path: &'static str, after: usize, error: Errno) -> Fault {
    Fault { call, path, after, times: 1, how: How::Fails(0, error.raw_os_error()) }
}

/// Writes and seals while every call of one kind fails in turn, and checks after each failure and after each kill.
fn is_right_though_each_fails(call: Call, path: &'static str, error: Errno) {
    for after in 0..5 {
        let folder = TempDir::new().unwrap();
        let watch = Watch::new(folder.path());
        let mut store = open(folder.path());
        let id = store.series("load", "");
        watch.fault(fails(call, path, after, error));
        let mut stored = 0;
        for round in 0..8 {
            let batch = Batch { frames: rows(id, stored..stored + 100), gaps: Vec::new() };
            if store.try_write(&batch).is_ok() {
                stored += 100;
            }
            assert_eq!(store.bits("load"), expected(0..stored), "{call:?} {path} {after}");
            store.store.writer.leave_file();
            // What could not be sealed is sealed the next time.
            let _ = store.store.keeper.seal(true);
            assert_eq!(store.bits("load"), expected(0..stored), "{call:?} {path} {after}");
            if round == after {
                let killed = copy(folder.path());
                let killed = open(killed.path()).bits("load");
                assert_eq!(killed, expected(0..stored), "{call:?} {path} {after}");
            }
        }
        assert!(stored >= 700, "{call:?} {path} {after}: {stored} rows");
        store.seal();
        assert_eq!(files(folder.path(), "tmp"), [""; 0].map(std::path::PathBuf::from));
        drop(store);
        let store = open(folder.path());
        assert_eq!(store.bits("load"), expected(0..stored), "{call:?} {path} {after}");
    }
}

#[test]
fn a_call_for_the_log_that_fails_costs_nothing_that_was_acknowledged() {
    for error in [Errno::NOSPC, Errno::IO] {
        is_right_though_each_fails(Call::Write, ".log", error);
    }
    is_right_though_each_fails(Call::Create, ".log", Errno::MFILE);
    is_right_though_each_fails(Call::SyncFolder, "log", Errno::IO);
    is_right_though_each_fails(Call::Remove, ".log", Errno::IO);
}

#[test]
fn a_call_for_a_segment_that_fails_costs_nothing_that_was_acknowledged() {
    for call in [Call::Create, Call::Write, Call::Sync, Call::Rename] {
        is_right_though_each_fails(call, "segments", Errno::IO);
    }
    is_right_though_each_fails(Call::SyncFolder, "segments", Errno::NOSPC);
}

#[test]
fn a_record_that_was_written_in_part_is_not_there_after_a_kill() {
    for bytes in [1, 8, 33, 200, 1000] {
        let folder = TempDir::new().unwrap();
        let watch = Watch::new(folder.path());
        let mut store = open(folder.path());
        let id = store.series("load", "");
        store.write(rows(id, 0..50));
        let how = How::Fails(bytes, Errno::NOSPC.raw_os_error());
        watch.fault(Fault { call: Call::Write, path: ".log", after: 0, times: 1, how });
        // Nor can what was written be taken back.
        watch.fault(fails(Call::Cut, ".log", 0, Errno::IO));
        let batch = Batch { frames: rows(id, 50..90), gaps: Vec::new() };
        store.try_write(&batch).unwrap_err();
        assert_eq!(store.bits("load"), expected(0..50));
        let killed = open(copy(folder.path()).path()).bits("load");
        assert!(killed.len() >= 50 && killed == expected(0..killed.len() as i64));
        store.write(rows(id, 50..120));
        assert_eq!(store.bits("load"), expected(0..120));
        let killed = open(copy(folder.path()).path());
        assert_eq!(killed.bits("load"), expected(0..120), "{bytes} bytes");
    }
}

#[test]
fn a_segment_that_cannot_be_read_leaves_the_answer_partial_and_the_rest_served() {
    let folder = TempDir::new().unwrap();
    let watch = Watch::new(folder.path());
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..100));
    store.seal();
    store.write(rows(id, 100..200));
    watch.fault(Fault { times: usize::MAX, ..fails(Call::Read, "segments", 0, Errno::IO) });
    let answer = store.ask(&everything("load"));
    assert!(answer.partial);
    assert_eq!(bits(&answer), expected(100..200));
    watch.heal();
    assert_eq!(store.bits("load"), expected(0..200));
}

#[test]
fn a_slow_disk_holds_up_nobody_who_appends_or_asks() {
    let folder = TempDir::new().unwrap();
    let watch = Watch::new(folder.path());
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..100));
    store.store.writer.leave_file();
    let shared = store.store.shared.clone();
    let how = How::Takes(Duration::from_millis(1500));
    for path in ["segments", ".log"] {
        watch.fault(Fault { call: Call::Write, path, after: 0, times: 1, how });
    }
    let Opened { mut store, .. } = store;
    let slow = std::thread::spawn(move || {
        store.keeper.seal(true).unwrap();
        store
            .writer
            .write([(&Batch { frames: rows(id, 100..101), gaps: Vec::new() }, Origin::Here)])
    });
    let began = std::time::Instant::now();
    let mut asked = 0;
    while !slow.is_finished() {
        let before = std::time::Instant::now();
        let answer = query::answer(&shared, &everything("load"), START_MS).unwrap();
        assert!(answer.series[0].points.len() >= 100);
        assert!(before.elapsed() < Duration::from_millis(500), "after {asked} questions");
        asked += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    slow.join().unwrap().unwrap();
    assert!(began.elapsed() > Duration::from_secs(3), "both calls were slow");
    assert!(asked > 20, "{asked} questions");
}

#[test]
fn a_disk_that_fills_up_keeps_what_was_acknowledged_and_takes_more_when_there_is_room() {
    let folder = TempDir::new().unwrap();
    let watch = Watch::new(folder.path());
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..10));
    watch.capacity(bytes_below(folder.path()) + 5000);
    let mut stored = 10;
    let error = loop {
        let batch = Batch { frames: rows(id, stored..stored + 7), gaps: Vec::new() };
        match store.try_write(&batch) {
            Ok(()) => stored += 7,
            Err(error) => break error,
        }
    };
    assert!(stored > 60, "{stored} rows");
    assert!(crate::logging::chain(&error).contains("log"), "{error}");
    let batch = Batch { frames: rows(id, stored..stored + 1), gaps: Vec::new() };
    for _ in 0..3 {
        store.try_write(&batch).unwrap_err();
    }
    assert_eq!(open(copy(folder.path()).path()).bits("load"), expected(0..stored));
    watch.capacity(u64::MAX);
    store.write(rows(id, stored..stored + 20));
    assert_eq!(open(copy(folder.path()).path()).bits("load"), expected(0..stored + 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_that_come_faster_than_they_are_sealed_wait() {
    let folder = TempDir::new().unwrap();
    let watch = Watch::new(folder.path());
    let how = How::Takes(Duration::from_millis(300));
    watch.fault(Fault { call: Call::Sync, path: ".tmp", after: 0, times: usize::MAX, how });
    let Life { port, reader, mut arguments, .. } = life(&folder, 64 << 10);
    arguments.config.max_bytes = 16 << 20;
    let ids: Vec<_> = (0..50)
        .map(|n| arguments.catalog.intern(series("noise", &n.to_string())).unwrap())
        .collect();
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut most = 0;
    for batch in 0..1500i64 {
        let frames = (0..30).map(|row| {
            let samples: Vec<_> = ids.iter().map(|id| (*id, random.f64())).collect();
            frame(START_MS + (batch * 30 + row) * 1000, &samples)
        });
        let batch = Batch { frames: frames.collect(), gaps: Vec::new() };
        timeout(LONG, port.append(batch).wait()).await.unwrap().unwrap();
        most = most.max(reader.stats().bytes_log);
    }
    // A quarter of the limit is sealed at once, and twice that may wait.
    assert!(most > 4 << 20, "{most} bytes: it was never ahead");
    assert!(most <= (8 << 20) + (1 << 20), "{most} bytes of log");
    assert_eq!(port.dropped_samples(), 0);
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
}
