//! Settling: many segments become few, and what they hold stays the same, whenever a kill comes.

use tempfile::TempDir;

use super::{
    super::{
        rollup::{Rollup, fold, fold_samples},
        rollup_codec::Fields,
        segment_read::Segment,
        settling::Job,
    },
    *,
};
use crate::series::SeriesId;

const HOUR: i64 = 3_600;
/// Two days and a bit.
const END: i64 = 116 * 1_500;

impl Opened {
    /// What a tier has of a series, partial rollups of one stretch merged.
    fn rollups(&self, tier: Tier, id: SeriesId) -> Vec<Rollup> {
        let shared = &self.store.shared;
        let kind = self.catalog.get(id).unwrap().kind;
        let mut rollups = Vec::new();
        let segments = shared.view().segments.clone();
        for facts in segments.values().filter(|facts| facts.tier == tier) {
            let segment = Segment::open(&facts.path(&shared.segment_folder()), facts.id).unwrap();
            let (entries, damaged) = segment.find(id).unwrap();
            assert!(!damaged);
            for entry in entries {
                let rows = segment.rows(&entry).unwrap();
                rollups.extend(segment.rollups(&entry, &rows, Fields::ALL).unwrap());
            }
        }
        rollups.sort_by_key(|rollup| rollup.first_ms);
        fold(kind, tier.step_ms().unwrap(), rollups)
    }

    /// What a tier must have of a series of which every sample is at hand.
    fn expected_rollups(&self, tier: Tier, id: SeriesId) -> Vec<Rollup> {
        let series = self.catalog.get(id).unwrap();
        let answer = self.ask(&everything(&series.metric));
        let points = &answer.series.iter().find(|series| series.id == id).unwrap().points;
        let samples = points.iter().map(|point| (point.at_ms, point.mean));
        fold_samples(series.kind, tier.step_ms().unwrap(), 1000, samples)
    }
}

fn assert_same(found: &[Rollup], expected: &[Rollup]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let close = (found.sum - expected.sum).abs() <= expected.sum.abs() * 1e-9;
        assert!(close, "{found:?} instead of {expected:?}");
        assert_eq!(Rollup { sum: 0.0, ..*found }, Rollup { sum: 0.0, ..*expected });
    }
}

/// A second of a machine: a gauge with decimals, a counter that starts again now and then, and one that is at times
/// not there.
fn second(ids: [SeriesId; 3], row: i64) -> Frame {
    let gauge = (row % 997) as f64 / 10.0;
    let counter = (row % 5_000 * 13) as f64;
    let mut samples = vec![(ids[0], gauge), (ids[1], counter)];
    if row % 7_000 < 6_000 {
        samples.push((ids[2], (row / 60) as f64));
    }
    frame(START_MS + row * 1000, &samples)
}

fn ids(store: &Opened) -> [SeriesId; 3] {
    ["load", "bytes_total", "users"].map(|metric| store.series(metric, ""))
}

fn everything_of(store: &Opened) -> [Vec<(i64, u64)>; 3] {
    ["load", "bytes_total", "users"].map(|metric| store.bits(metric))
}

#[test]
fn tiers_hold_what_the_samples_come_to_before_and_after_settling() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids = ids(&store);
    for begin in (0..END).step_by(1_500) {
        store.write((begin..begin + 1_500).map(|row| second(ids, row)).collect());
        if begin % 4_500 == 0 {
            store.seal();
        }
    }
    store.seal();
    let all = everything_of(&store);
    let minutes = ids.map(|id| store.expected_rollups(Tier::Minute, id));
    let check = |store: &Opened, hours: bool| {
        assert_eq!(everything_of(store), all);
        for (id, minutes) in ids.iter().zip(&minutes) {
            assert_same(&store.rollups(Tier::Minute, *id), minutes);
            if hours {
                let hours = store.expected_rollups(Tier::Hour, *id);
                assert_same(&store.rollups(Tier::Hour, *id), &hours);
            }
        }
    };
    check(&store, false);
    let sealed = store.segments(Tier::Raw);
    assert!(sealed > 30, "{sealed} segments");

    store.settle();
    check(&store, true);
    let tiers = Tier::ALL.map(|tier| store.segments(tier));
    assert!(tiers[0] <= 4 && tiers[1] <= 4 && tiers[2] <= 2, "{tiers:?}");
    store.settle();
    assert_eq!(Tier::ALL.map(|tier| store.segments(tier)), tiers, "nothing is left to do");

    // What comes late makes segments of its own, and the same answers.
    store.arrive((0..600).map(|row| second(ids, END + 300 + row)).collect());
    store.seal();
    store.settle();
    assert_eq!(store.bits("load").len() as i64, END + 600);
    for id in ids {
        assert_same(&store.rollups(Tier::Minute, id), &store.expected_rollups(Tier::Minute, id));
        assert_same(&store.rollups(Tier::Hour, id), &store.expected_rollups(Tier::Hour, id));
    }
    let (all, end) = (everything_of(&store), Tier::ALL.map(|tier| store.segments(tier)));
    drop(store);
    let store = open(folder.path());
    assert_eq!(everything_of(&store), all);
    assert_eq!(Tier::ALL.map(|tier| store.segments(tier)), end);
}

#[test]
fn series_of_a_collector_share_the_rows_of_their_rollups_unless_they_differ() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids = ids(&store);
    // The last of them has no number now and then.
    let third = |row: i64| if row % 100 == 7 { f64::NAN } else { row as f64 };
    for begin in [0, HOUR] {
        let frames = (begin..begin + HOUR).map(|row| {
            let samples = [(ids[0], row as f64), (ids[1], row as f64), (ids[2], third(row))];
            frame(START_MS + row * 1000, &samples)
        });
        store.write(frames.collect());
        store.seal();
    }
    let minutes = ids.map(|id| store.expected_rollups(Tier::Minute, id));
    for is_settled in [false, true] {
        if is_settled {
            store.settle();
        }
        let shared = &store.store.shared;
        let segments = shared.view().segments.clone();
        for facts in segments.values().filter(|facts| facts.tier != Tier::Raw) {
            let segment = Segment::open(&facts.path(&shared.segment_folder()), facts.id).unwrap();
            let [one, other, third] = ids.map(|id| segment.find(id).unwrap().0[0].times);
            assert_eq!(one, other, "{facts:?}");
            assert_ne!(one, third, "{facts:?}");
        }
        for (id, minutes) in ids.iter().zip(&minutes) {
            assert_same(&store.rollups(Tier::Minute, *id), minutes);
        }
    }
}

#[test]
fn a_kill_at_any_moment_of_settling_counts_nothing_twice() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids = ids(&store);
    for begin in (0..9 * HOUR).step_by(HOUR as usize) {
        store.write((begin..begin + HOUR).map(|row| second(ids, row)).collect());
        store.seal();
    }
    let all = everything_of(&store);
    let minutes = ids.map(|id| store.expected_rollups(Tier::Minute, id));
    let hours = ids.map(|id| store.expected_rollups(Tier::Hour, id));

    let shared = store.store.shared.clone();
    let mut settler =
        Settler::new(shared.clone(), store.store.keeper.store(), Retention::default());
    let mut moments = vec![copy(folder.path())];
    let not_yet = AtomicBool::new(false);
    loop {
        // A question that is being answered keeps what is replaced from being deleted.
        let read: Vec<_> = shared.view().segments.values().cloned().collect();
        let went_on = settler.step(true, &not_yet).unwrap();
        moments.push(copy(folder.path()));
        store.store.keeper.index().unwrap();
        moments.push(copy(folder.path()));
        drop(read);
        if !went_on {
            break;
        }
    }
    assert_eq!(Tier::ALL.map(|tier| store.segments(tier)), [1, 1, 1]);
    for moment in &moments {
        // The state may be gone too.
        let without_state = copy(moment.path());
        fs::remove_dir_all(without_state.path().join("sled")).unwrap();
        for folder in [moment, &without_state] {
            let mut store = open(folder.path());
            for settled in [false, true] {
                assert_eq!(everything_of(&store), all);
                for (id, expected) in ids.iter().zip(&minutes) {
                    assert_same(&store.rollups(Tier::Minute, *id), expected);
                }
                if settled {
                    for (id, expected) in ids.iter().zip(&hours) {
                        assert_same(&store.rollups(Tier::Hour, *id), expected);
                    }
                }
                store.settle();
            }
        }
    }
}

#[test]
fn minutes_without_their_samples_do_not_count() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids = ids(&store);
    store.write((0..1500).map(|row| second(ids, row)).collect());
    let before = copy(folder.path());
    store.seal();
    // The kill came between the two names.
    for minutes in files(&folder.path().join("segments/minute"), "seg") {
        let below = minutes.strip_prefix(folder.path()).unwrap();
        fs::create_dir_all(before.path().join(below).parent().unwrap()).unwrap();
        fs::copy(&minutes, before.path().join(below)).unwrap();
    }
    let mut store = open(before.path());
    assert_eq!(store.segments(Tier::Minute), 0);
    store.seal();
    assert_eq!(store.segments(Tier::Minute), 1);
    assert_same(
        &store.rollups(Tier::Minute, ids[1]),
        &store.expected_rollups(Tier::Minute, ids[1]),
    );
}

/// A store of 3,000 rows, sealed a thousand at a time.
fn sealed_in_three(folder: &TempDir) -> (Opened, [SeriesId; 3]) {
    let mut store = open(folder.path());
    let ids = ids(&store);
    for begin in 0..3 {
        let rows = begin * 1_000..(begin + 1) * 1_000;
        store.write(rows.map(|row| second(ids, row)).collect());
        store.seal();
    }
    (store, ids)
}

#[test]
fn what_cannot_be_read_whole_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let (mut store, _) = sealed_in_three(&folder);
    let raw = files(&folder.path().join("segments/raw"), "seg");
    let mut bytes = fs::read(&raw[1]).unwrap();
    bytes[50] ^= 1;
    fs::write(&raw[1], bytes).unwrap();
    store.settle();
    assert!(raw[1].exists());
    assert_eq!(store.segments(Tier::Raw), 2, "the others are one");
    let answer = store.ask(&everything("users"));
    let whole = answer.series[0].points.len();
    assert!(answer.partial || whole == 3000, "{whole} points");
    assert!(whole >= 2000, "{whole} points");
}

#[test]
fn retention_is_quicker_than_settling() {
    let folder = TempDir::new().unwrap();
    let (store, ids) = sealed_in_three(&folder);
    let shared = store.store.shared.clone();
    let mut settler =
        Settler::new(shared.clone(), store.store.keeper.store(), Retention::default());
    let raw: Vec<_> = {
        let view = shared.view();
        view.segments.values().filter(|facts| facts.tier == Tier::Raw).cloned().collect()
    };
    let job = Job::Merge(raw.clone());
    let facts = settler.write(&job, &AtomicBool::new(false)).unwrap().unwrap();
    shared.drop_segment(&raw[0]).unwrap();
    assert!(!settler.publish(job, facts), "what was deleted does not come back");
    assert_eq!(store.segments(Tier::Raw), 2, "and nothing of it is left");
    assert_eq!(store.bits("load").len(), 2_000);
    let minutes = store.rollups(Tier::Minute, ids[0]);
    assert_eq!((minutes.len(), minutes[0].count), (50, 60), "by the minute it is all there");
}

#[test]
fn what_came_in_lanes_settles_into_blocks_as_long_as_what_came_in_order() {
    const SERIES: usize = 24;
    const ROWS: i64 = 8_192;
    const TOGETHER: i64 = 128;
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let mut stores = folders.each_ref().map(|folder| open(folder.path()));
    let ids: Vec<_> = (0..SERIES).map(|number| number.to_string()).collect();
    let ids = stores.each_ref().map(|store| {
        ids.iter().map(|label| store.series("load", label)).collect::<Vec<SeriesId>>()
    });
    let [in_order, in_lanes] = &mut stores;
    let row = |ids: &[SeriesId], first: usize, row: i64| {
        let value = |number: usize| (row * (number as i64 + 3) % 1009) as f64 / 10.0;
        let samples = ids.iter().enumerate().map(|(at, id)| (*id, value(first + at)));
        frame(START_MS + row * 1000, &samples.collect::<Vec<_>>())
    };
    for begin in (0..ROWS).step_by(TOGETHER as usize) {
        let rows = begin..begin + TOGETHER;
        in_order.write(rows.clone().map(|at| row(&ids[0], 0, at)).collect());
        // Requests are cut at other series each time.
        let (head, tail) = ids[1].split_at(1 + (begin / TOGETHER) as usize % 5);
        let mut first = 0;
        for some in std::iter::once(head).chain(tail.chunks(6)) {
            in_lanes.arrive(rows.clone().map(|at| row(some, first, at)).collect());
            first += some.len();
        }
        if begin % 1024 == 0 {
            in_order.seal();
            in_lanes.seal();
        }
    }
    let all = in_lanes.raw("load");
    let figures = stores.each_mut().map(|store| {
        store.seal();
        store.settle();
        let view = store.store.shared.view();
        let raw: Vec<_> =
            view.segments.values().filter(|facts| facts.tier == Tier::Raw).cloned().collect();
        let folder = store.store.shared.segment_folder();
        let entries = raw.iter().map(|facts| {
            let segment = Segment::open(&facts.path(&folder), facts.id).unwrap();
            segment.entries().unwrap().len()
        });
        (entries.sum::<usize>(), raw.iter().map(|facts| facts.bytes).sum::<u64>())
    });
    assert_eq!(figures[0].0, SERIES * 2, "blocks of 4,096 rows");
    assert_eq!(figures[1].0, SERIES * 2, "of lanes too");
    assert!(figures[1].1 <= figures[0].1 * 105 / 100, "{figures:?} bytes");
    assert_eq!(all.len(), SERIES);
    for (after, before) in stores[1].raw("load").iter().zip(&all) {
        assert_eq!(after.points, before.points);
        assert_eq!(after.points.len() as i64, ROWS);
    }
}
