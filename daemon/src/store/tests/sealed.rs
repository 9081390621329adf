//! What is asked of segments when something arrives that is older than the newest of its series, whole and damaged.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{
    super::{
        index::Index,
        segment::{DAY_MS, FOOTER, HEADER, SegmentFacts},
        segment_read::Segment,
    },
    *,
};

/// Before their index ends, the last page has its checksum.
const IN_LAST_PAGE: usize = FOOTER + 2;

fn kept(stored: u64, known: u64, late: u64) -> Kept {
    Kept { stored, known, late }
}

/// The raw segment of the last day.
fn raw_file(folder: &Path) -> PathBuf {
    files(&folder.join("segments/raw"), "seg").pop().unwrap()
}

/// Changes one byte of a file.
fn hurt(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A frame so many seconds from `now_ms` on.
fn at(now_ms: i64, seconds: i64, ids: &[SeriesId]) -> Frame {
    let samples: Vec<_> = ids.iter().map(|id| (*id, seconds as f64)).collect();
    frame(now_ms + seconds * 1000, &samples)
}

#[test]
fn a_clock_of_many_series_that_is_set_right_costs_nothing_either() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids: Vec<_> = (0..5000).map(|n| store.series("load", &n.to_string())).collect();
    let now_ms = crate::series::now_ms();
    let ahead: Vec<_> =
        [-20, -10, 290].into_iter().map(|seconds| at(now_ms, seconds, &ids)).collect();
    assert_eq!(store.arrive(ahead.clone()), kept(15_000, 0, 0));
    store.seal();
    assert_eq!(store.arrive(ahead), kept(0, 15_000, 0), "what is sealed is known");
    assert_eq!(store.arrive(vec![at(now_ms, 0, &ids)]), kept(5000, 0, 0), "in one frame");
    let agents = ids.chunks(100).map(|ids| at(now_ms, 10, ids)).collect();
    assert_eq!(store.arrive(agents), kept(5000, 0, 0), "of many senders at once");
}

#[test]
fn what_cannot_be_looked_for_is_not_stored_again() {
    for (what, of_page) in [("a column of times", false), ("a page of the index", true)] {
        let folder = TempDir::new().unwrap();
        let mut store = open(folder.path());
        let ids = [store.series("load", "a"), store.series("load", "b")];
        let now_ms = crate::series::now_ms();
        let ahead = [-20, 0, 290].into_iter().map(|seconds| at(now_ms, seconds, &ids)).collect();
        assert_eq!(store.arrive(ahead), kept(6, 0, 0));
        store.seal();
        let before = store.samples();
        hurt(
            &raw_file(folder.path()),
            |length| {
                if of_page { length - IN_LAST_PAGE } else { HEADER }
            },
        );
        let again = vec![at(now_ms, 0, &ids), at(now_ms, 10, &ids)];
        assert_eq!(store.arrive(again), kept(0, 0, 4), "{what}");
        assert_eq!(store.samples(), before, "{what}");
        assert_eq!(store.arrive(vec![at(now_ms, 300, &ids)]), kept(2, 0, 0), "{what}");
    }
}

#[test]
fn what_a_damaged_segment_held_is_not_counted_again_by_its_minutes() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids: Vec<_> = (0..500).map(|n| store.series("load", &n.to_string())).collect();
    // Raw segments begin days before: by what is deleted, nothing speaks for asking minutes.
    assert_eq!(store.arrive(vec![at(START_MS - 2 * DAY_MS, 0, &ids)]), kept(500, 0, 0));
    let batch: Vec<_> = (0..3).map(|second| at(START_MS, second, &ids)).collect();
    assert_eq!(store.arrive(batch.clone()), kept(1500, 0, 0));
    store.seal();
    assert_eq!(store.segments(Tier::Raw), 2);
    drop(store);
    for (what, from_end) in [("a page of the index", IN_LAST_PAGE), ("the footer", FOOTER - 2)] {
        let damaged = copy(folder.path());
        hurt(&raw_file(damaged.path()), |length| length - from_end);
        let mut store = open(damaged.path());
        assert_eq!(store.arrive(batch.clone()).stored, 0, "{what}");
        assert_eq!(store.arrive(vec![at(START_MS, 3, &ids)]), kept(500, 0, 0), "{what}");
    }
}

#[test]
fn a_damaged_index_is_read_once_for_all_that_look_into_it() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids: Vec<_> = (0..5000).map(|n| store.series("load", &n.to_string())).collect();
    store.arrive(vec![at(START_MS, 0, &ids)]);
    store.seal();
    let path = raw_file(folder.path());
    let is_raw = |facts: &&Arc<SegmentFacts>| facts.tier == Tier::Raw;
    let id = store.store.shared.view().segments.values().find(is_raw).unwrap().id;
    let segment = Segment::open(&path, id).unwrap();
    // Every search begins there.
    let middle = segment.page(segment.pages() / 2).unwrap();
    hurt(&path, |_| middle.at as usize + 9);
    let mut index = Index::default();
    let mut find = |id: SeriesId| {
        let (entries, is_partial) = index.find(&segment, id).unwrap();
        assert!(is_partial && entries.iter().all(|entry| entry.series == id));
        entries.len()
    };
    assert_eq!(find(ids[0]), 1);
    // From here on there is nothing to be read.
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let found: usize = ids.iter().map(|id| find(*id)).sum();
    assert_eq!(found, ids.len() - middle.entries.len());
}
