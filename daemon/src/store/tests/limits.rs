//! Age and size: what is deleted, and when.

use std::{sync::atomic::Ordering, thread, time::Duration};

use tempfile::TempDir;

use super::{
    super::{
        disk_faults::{Call, Fault, How, Watch},
        folder::bytes_below,
    },
    *,
};
use crate::config::Retention;

#[test]
fn segments_go_when_their_last_sample_is_too_old() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..100));
    store.seal();
    store.write(rows(id, 100..200));
    store.seal();
    let retention = Retention { raw: Duration::from_secs(1000), ..Retention::default() };
    store.store.keeper.expire(&retention, START_MS + 1_100_000).unwrap();
    assert_eq!(store.bits("load"), expected(100..200));
    let tier = |name: &str| files(&folder.path().join("segments").join(name), "seg").len();
    assert_eq!((tier("raw"), tier("minute")), (1, 2), "each tier has an age of its own");
    let short = Duration::from_secs(1000);
    let retention = Retention { raw: short, minute: short, hour: short };
    store.store.keeper.expire(&retention, START_MS + 1_300_000).unwrap();
    assert_eq!(store.bits("load"), []);
    assert_eq!((tier("raw"), tier("minute")), (0, 0));
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.catalog.of_metric("web-1", "load"), [id], "its number is not given away");
}

#[test]
fn the_folder_never_grows_over_its_limit_and_the_oldest_goes_first() {
    let folder = TempDir::new().unwrap();
    let max_bytes = 4 << 20;
    let config = StoreConfig { max_bytes, ..StoreConfig::default() };
    let mut store = open_with(folder.path(), &config);
    let ids: Vec<_> = (0..40).map(|n| store.series("noise", &n.to_string())).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut written, mut largest) = (0, 0);
    for batch in 0..160i64 {
        let frames = (0..100).map(|row| {
            let at = START_MS + (batch * 100 + row) * 1000;
            frame(at, &ids.iter().map(|id| (*id, random.f64())).collect::<Vec<_>>())
        });
        store.write(frames.collect());
        written += 100 * 40;
        if store.store.shared.log_bytes() > store.store.shared.limits.logs {
            store.seal();
        }
        store.store.keeper.stay_under_limit().unwrap();
        largest = largest.max(bytes_below(folder.path()));
    }
    assert!(largest <= max_bytes, "{largest} bytes");
    assert!(largest > max_bytes / 2, "{largest} bytes: the room is used");
    let kept = store.bits("noise");
    assert!(kept.len() < written, "{} of {written} samples", kept.len());
    let newest = kept.iter().map(|(at, _)| *at).max();
    assert_eq!(newest, Some(START_MS + 15_999 * 1000));
}

#[test]
fn a_folder_with_no_room_at_all_refuses_deletes_nothing_and_recovers() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..5));
    store.seal();
    store.write(rows(id, 5..10));
    drop(store);
    std::fs::write(folder.path().join("foreign"), vec![0; 3 << 20]).unwrap();
    let config = StoreConfig { max_bytes: 2 << 20, ..StoreConfig::default() };
    let mut store = open_with(folder.path(), &config);
    let batch = Batch { frames: rows(id, 10..11), gaps: Vec::new() };
    store.try_write(&batch).unwrap_err();
    std::fs::remove_file(folder.path().join("foreign")).unwrap();
    store.store.keeper.measure();
    store.write(rows(id, 10..20));
    assert_eq!(store.bits("load"), expected(0..20));
}

#[test]
fn a_log_that_was_never_sealed_gives_way_when_nothing_else_is_left() {
    let folder = TempDir::new().unwrap();
    let config = StoreConfig { max_bytes: 4 << 20, ..StoreConfig::default() };
    let mut store = open_with(folder.path(), &config);
    let ids: Vec<_> = (0..40).map(|n| store.series("noise", &n.to_string())).collect();
    let mut random = fastrand::Rng::with_seed(7);
    // The keeper is held up all the while: twice as much as there is room for.
    for batch in 0..220i64 {
        let frames = (0..100).map(|row| {
            let at = START_MS + (batch * 100 + row) * 1000;
            frame(at, &ids.iter().map(|id| (*id, random.f64())).collect::<Vec<_>>())
        });
        store.write(frames.collect());
        assert!(bytes_below(folder.path()) <= config.max_bytes);
    }
    store.seal();
    assert!(bytes_below(folder.path()) <= config.max_bytes);
    let sealed = store.bits("noise");
    assert!(sealed.len() > 1000, "{} samples", sealed.len());
    assert_eq!(sealed.iter().map(|(at, _)| *at).max(), Some(START_MS + 21_999 * 1000));
    drop(store);
    assert_eq!(open_with(folder.path(), &config).bits("noise"), sealed);
}

#[test]
fn a_batch_that_never_fits_leaves_no_files_behind() {
    let folder = TempDir::new().unwrap();
    let config = StoreConfig { max_bytes: 1 << 20, ..StoreConfig::default() };
    let mut store = open_with(folder.path(), &config);
    let ids: Vec<_> = (0..5000).map(|n| store.series("noise", &n.to_string())).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let frames = (0..60i64).map(|row| {
        let at = START_MS + row * 1000;
        frame(at, &ids.iter().map(|id| (*id, random.f64())).collect::<Vec<_>>())
    });
    let batch = Batch { frames: frames.collect(), gaps: Vec::new() };
    for _ in 0..5 {
        store.try_write(&batch).unwrap_err();
    }
    assert_eq!(files(folder.path(), "log").len(), 0);
    store.write(rows(ids[0], 0..10));
    assert_eq!(files(folder.path(), "log").len(), 1);
}

/// What is counted within the limit when everything is at rest: the rest is for sled.
fn most(store: &Opened) -> u64 {
    let limits = store.store.shared.limits;
    limits.max_bytes - limits.headroom
}

#[test]
fn what_is_settled_and_what_is_sealed_at_the_same_time_see_each_other() {
    let folder = TempDir::new().unwrap();
    let watch = Watch::new(folder.path());
    let config = StoreConfig { max_bytes: 8 << 20, ..StoreConfig::default() };
    let mut store = open_with(folder.path(), &config);
    let ids: Vec<_> = (0..40).map(|n| store.series("noise", &n.to_string())).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let mut second = 0;
    let mut rows = |day: i64, count: i64| {
        let rows = (0..count).map(|_| {
            second += 1;
            let samples: Vec<_> = ids.iter().map(|id| (*id, random.f64())).collect();
            frame(START_MS + (day * 24 * 3600 + second) * 1000, &samples)
        });
        rows.collect::<Vec<_>>()
    };
    for _ in 0..4 {
        store.write(rows(0, 150));
        store.seal();
    }
    let shared = store.store.shared.clone();
    let mut add = |store: &mut Opened| {
        store.write(rows(1, 100));
        if shared.log_bytes() > shared.limits.logs {
            store.seal();
        }
        store.store.keeper.stay_under_limit().unwrap();
    };
    while shared.total_bytes() < most(&store) - (500 << 10) {
        add(&mut store);
    }
    // The first day is settled, which takes until the disk is healed; the one after goes on meanwhile.
    watch.fault(Fault {
        call: Call::Sync,
        path: Box::leak(format!("raw/{}/", START_MS.div_euclid(24 * 3_600_000)).into_boxed_str()),
        after: 0,
        times: 1,
        how: How::Takes(Duration::from_secs(300)),
    });
    let mut settler =
        Settler::new(shared.clone(), store.store.keeper.store(), Retention::default());
    let settling = thread::spawn(move || settler.step(true, &AtomicBool::new(false)).unwrap());
    let drafts = || files(folder.path(), "tmp").iter().map(|path| bytes_below(path)).sum::<u64>();
    while drafts() < 100 << 10 {
        thread::sleep(Duration::from_millis(1));
    }
    let mut largest = 0;
    for _ in 0..30 {
        add(&mut store);
        largest = largest.max(bytes_below(folder.path()));
    }
    assert!(drafts() > 100 << 10, "it is being settled all the while");
    let before = shared.other_bytes.load(Ordering::Relaxed);
    store.store.keeper.measure();
    let grown = shared.other_bytes.load(Ordering::Relaxed).saturating_sub(before);
    assert!(largest <= most(&store) + grown, "{largest} of {} bytes", most(&store));
    assert!(largest > most(&store) - (500 << 10), "{largest} bytes: the room is used");
    watch.heal();
    settling.join().unwrap();
    assert!(store.segments(Tier::Raw) > 0);
    store.settle();
    store.store.keeper.stay_under_limit().unwrap();
    let sealed: u64 = store.store.shared.view().segments.values().map(|facts| facts.bytes).sum();
    assert_eq!(shared.segment_bytes(), sealed);
    let all = shared.log_bytes() + sealed + shared.other_bytes.load(Ordering::Relaxed);
    assert_eq!(shared.total_bytes(), all, "nothing is planned any more");
}
