//! What comes from elsewhere: in any order between series, twice, late, in the middle of a kill.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{super::lanes::LANES_MAX, *};

/// Second `at` from [`START_MS`] on.
fn second(at: i64, samples: &[(SeriesId, f64)]) -> Frame {
    frame(START_MS + at * 1000, samples)
}

fn kept(stored: u64, known: u64, late: u64) -> Kept {
    Kept { stored, known, late }
}

/// Times in seconds and values of the series of a metric that has this label.
fn of_part(store: &Opened, label: &str) -> Vec<(i64, f64)> {
    let query = Query { labels: vec![("part".into(), label.into())], ..everything("load") };
    let answer = store.ask(&query);
    assert!(!answer.partial);
    let points = answer.series.into_iter().flat_map(|series| series.points);
    points.map(|point| ((point.at_ms - START_MS) / 1000, point.mean)).collect()
}

#[test]
fn an_instant_that_comes_in_pieces_is_kept_whole_and_only_once() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    assert_eq!(store.arrive(vec![second(1, &[(a, 1.0)]), second(1, &[(b, 1.5)])]), kept(2, 0, 0));
    assert_eq!(store.arrive(vec![second(2, &[(b, 2.5)]), second(2, &[(a, 2.0)])]), kept(2, 0, 0));
    assert_eq!(store.arrive(vec![second(2, &[(a, 2.0), (b, 2.5)])]), kept(0, 2, 0));
    let twice = vec![second(3, &[(a, 3.0), (a, 3.1), (b, 3.5)])];
    assert_eq!(store.arrive(twice), kept(2, 1, 0), "a series twice in its frame");
    for _ in 0..2 {
        assert_eq!(of_part(&store, "a"), [(1, 1.0), (2, 2.0), (3, 3.1)]);
        assert_eq!(of_part(&store, "b"), [(1, 1.5), (2, 2.5), (3, 3.5)]);
        store.seal();
    }
}

#[test]
fn what_is_sent_again_is_known_and_what_was_never_here_is_late() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    let batch: Vec<_> = (0..100).map(|at| second(at * 10, &[(a, at as f64), (b, 0.5)])).collect();
    assert_eq!(store.arrive(batch.clone()), kept(200, 0, 0));
    assert_eq!(store.arrive(batch.clone()), kept(0, 200, 0), "its answer was lost");
    let between = vec![second(5, &[(a, 9.0)]), second(15, &[(b, 9.0)])];
    assert_eq!(store.arrive(between), kept(0, 0, 2));

    drop(store);
    let mut store = open(folder.path());
    assert_eq!(store.arrive(batch), kept(0, 200, 0), "after a kill too");
    let both = vec![second(2000, &[(a, 1.0)]), second(2010, &[(a, 2.0)])];
    let both = [both.clone(), both].concat();
    assert_eq!(store.arrive(both), kept(2, 2, 0), "twice in one writing");
}

#[test]
fn what_is_sealed_is_known_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    store.arrive(vec![second(1, &[(a, 1.0), (b, 1.0)]), second(100, &[(b, 2.0)])]);
    store.seal();
    store.arrive(vec![second(200, &[(b, 3.0)])]);
    store.seal();
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(store.arrive(vec![second(1, &[(a, 1.0)])]), kept(0, 1, 0));
    assert_eq!(store.arrive(vec![second(100, &[(b, 2.0)])]), kept(0, 1, 0), "it is in a segment");
    assert_eq!(store.arrive(vec![second(150, &[(b, 1.0)])]), kept(0, 0, 1), "not newer than 200");
    assert_eq!(store.arrive(vec![second(100, &[(a, 1.0)])]), kept(1, 0, 0), "of another series");
    assert_eq!(
        store.arrive(vec![second(101, &[(a, 2.0)]), second(201, &[(b, 4.0)])]),
        kept(2, 0, 0)
    );
    assert_eq!(of_part(&store, "a"), [(1, 1.0), (100, 1.0), (101, 2.0)]);
    assert_eq!(of_part(&store, "b"), [(1, 1.0), (100, 2.0), (200, 3.0), (201, 4.0)]);
}

#[test]
fn a_request_that_was_stored_and_sealed_before_a_kill_is_known_when_it_comes_again() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    let samples = |at: i64| match at % 3 {
        0 => vec![(a, at as f64), (b, 0.5)],
        1 => vec![(a, at as f64)],
        _ => vec![(b, 0.5)],
    };
    let batch: Vec<_> = (0..1500).map(|at| second(at * 10, &samples(at))).collect();
    assert_eq!(store.arrive(batch.clone()), kept(2000, 0, 0));
    store.seal();
    assert_eq!(store.arrive(batch.clone()), kept(0, 2000, 0), "its answer was lost");
    let killed = copy(folder.path());
    let mut store = open(killed.path());
    assert_eq!(store.arrive(batch.clone()), kept(0, 2000, 0), "and then the daemon was killed");
    store.settle();
    assert_eq!(store.arrive(batch), kept(0, 2000, 0));
    let never = vec![second(5, &[(a, 1.0)]), second(10, &[(b, 1.0)]), second(20, &[(a, 1.0)])];
    assert_eq!(store.arrive(never), kept(0, 0, 3), "no sample of theirs was ever here");
}

#[test]
fn what_only_minutes_still_have_is_not_taken_from_elsewhere_again() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    let batch: Vec<_> = (0..600).map(|at| second(at, &[(a, at as f64)])).collect();
    assert_eq!(store.arrive(batch.clone()), kept(600, 0, 0));
    store.seal();
    let short = Duration::from_secs(1000);
    let retention = Retention { raw: short, ..Retention::default() };
    store.store.keeper.expire(&retention, START_MS + 2_000_000).unwrap();
    assert_eq!(store.segments(Tier::Raw), 0);
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(store.arrive(batch), kept(0, 1, 599), "of which the last is the newest there is");
    assert_eq!(store.arrive(vec![second(5, &[(b, 1.0)])]), kept(1, 0, 0), "of b nothing was here");
    assert_eq!(store.arrive(vec![second(600, &[(a, 1.0)])]), kept(1, 0, 0));
}

#[test]
fn more_lanes_than_there_are_is_late_and_may_come_again() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids: Vec<_> = (0..=LANES_MAX).map(|part| store.series("load", &part.to_string())).collect();
    let pieces = ids.iter().map(|id| second(1, &[(*id, 1.0)])).collect();
    assert_eq!(store.arrive(pieces), kept(LANES_MAX as u64, 0, 1));
    let last = ids[LANES_MAX];
    assert_eq!(store.arrive(vec![second(1, &[(last, 1.0)])]), kept(0, 0, 1), "it is not here");
    assert_eq!(store.arrive(vec![second(2, &[(last, 1.0)])]), kept(1, 0, 0));
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(
        store.arrive(vec![second(1, &[(last, 1.0)])]),
        kept(0, 0, 1),
        "lanes are found again"
    );
}

#[test]
fn what_a_disk_refuses_is_not_known_afterwards() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "a");
    store.arrive(vec![second(1, &[(id, 1.0)])]);
    store.store.writer.leave_file();
    let (logs, aside) = (folder.path().join("log"), folder.path().join("aside"));
    fs::rename(&logs, &aside).unwrap();
    let batch = Batch { frames: vec![second(2, &[(id, 2.0)])], gaps: Vec::new() };
    store.store.writer.write([(&batch, Origin::Elsewhere)]).unwrap_err();
    fs::rename(&aside, &logs).unwrap();
    assert_eq!(store.arrive(batch.frames), kept(1, 0, 0));
    assert_eq!(of_part(&store, "a"), [(1, 1.0), (2, 2.0)]);
}

#[test]
fn gaps_and_last_times_are_those_of_all_lanes() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    let told = crate::series::Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS + 3000,
        to_ms: None,
        reason: "its agent slept".into(),
    };
    store.arrive(vec![second(1, &[(a, 1.0)]), second(1, &[(b, 1.0)]), second(2, &[(a, 2.0)])]);
    store.try_write(&Batch { frames: Vec::new(), gaps: vec![told] }).unwrap();
    // The lane of b takes it, and that ends the gap.
    store.arrive(vec![second(9, &[(b, 9.0)])]);
    let gaps = |store: &Opened, label: &str| {
        let query = Query {
            labels: vec![("part".into(), label.into())],
            to_ms: START_MS + 10_000,
            ..everything("load")
        };
        let gaps = store.ask(&query).series.remove(0).gaps;
        gaps.iter()
            .map(|gap| (gap.from_ms - START_MS, gap.to_ms.map(|to| to - START_MS)))
            .collect::<Vec<_>>()
    };
    assert_eq!(gaps(&store, "a"), [(3000, Some(9000))]);
    assert_eq!(gaps(&store, "b"), [(3000, Some(9000))]);
    drop(store);
    let store = open(folder.path());
    assert_eq!(gaps(&store, "a"), [(3000, Some(9000))]);
    let view = store.store.shared.view();
    assert!(view.heads.streams.len() > 1, "there is a lane");
    let open: Vec<_> = view.heads.streams.iter().filter(|stream| stream.gaps.is_open()).collect();
    assert_eq!(open.len(), 1, "the absence is told once, not for each lane");
    let gaps = open[0].gaps.within(START_MS + 9500, i64::MAX);
    assert_eq!(gaps[0].from_ms, START_MS + 10_000, "from the last frame of any lane on");
}

#[test]
fn a_pace_that_was_measured_makes_holes_gaps_and_is_known_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let slow = Series { interval_ms: 10_000, ..series("load", "a") };
    let id = store.catalog.intern(slow).unwrap();
    let seconds = |at: std::ops::Range<i64>| at.map(|at| second(at, &[(id, 1.0)])).collect();
    let gaps = |store: &Opened| {
        let gaps = store.ask(&Query { to_ms: START_MS + 50_000, ..everything("load") });
        let gaps = gaps.series.into_iter().flat_map(|series| series.gaps);
        gaps.map(|gap| {
            ((gap.from_ms - START_MS) / 1000, gap.to_ms.map(|to| (to - START_MS) / 1000))
        })
        .collect::<Vec<_>>()
    };
    store.arrive(seconds(0..4));
    store.arrive(seconds(14..16));
    assert_eq!(gaps(&store), [(25, None)], "as far as is known: a sample every ten seconds");
    store.catalog.set_intervals("web-1", &[("test".into(), 1000)].into());
    store.arrive(seconds(16..20));
    store.arrive(seconds(30..46));
    let now_known = [(20, Some(30)), (46, None)];
    assert_eq!(gaps(&store), now_known);
    // A sealed block has its own pace: that of before is known too by then.
    let all = [&[(4, Some(14))], &now_known[..]].concat();
    for (is_sealed, expected) in [(false, &now_known[..]), (true, &all)] {
        if is_sealed {
            store.seal();
        }
        let copied = copy(folder.path());
        let after = open(copied.path());
        assert_eq!(after.catalog.get(id).unwrap().interval_ms, 1000, "sealed: {is_sealed}");
        assert_eq!(gaps(&after), expected, "sealed: {is_sealed}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Series, distance from its newest sample, how many follow, and into how many frames an instant is cut.
    Send {
        series: usize,
        ahead: i64,
        count: i64,
        with: usize,
    },
    Again,
    Seal,
    LeaveFile,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let send = (0usize..6, -3i64..8, 1i64..30, 0usize..6)
        .prop_map(|(series, ahead, count, with)| Step::Send { series, ahead, count, with });
    prop_oneof![12 => send, 2 => Just(Step::Again), 1 => Just(Step::Seal), 1 => Just(Step::LeaveFile), 1 => Just(Step::Kill)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_arrives_is_there_exactly_once(steps in proptest::collection::vec(step(), 1..60)) {
        let folder = TempDir::new().unwrap();
        let mut store = open(folder.path());
        let labels = ["0", "1", "2", "3", "4", "5"];
        let mut ids: Vec<_> = labels.iter().map(|label| store.series("load", label)).collect();
        let mut model: Vec<BTreeMap<i64, f64>> = vec![BTreeMap::new(); ids.len()];
        let mut sent = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Send { series, ahead, count, with } => {
                    let newest = model[*series].last_key_value().map_or(0, |(at, _)| *at);
                    let mut expected = Kept::default();
                    let mut frames = Vec::new();
                    for at in (newest + ahead)..(newest + ahead + count) {
                        let value = (number * 1000) as f64 + at as f64;
                        let both: Vec<usize> = if with == series { vec![*series] } else { vec![*series, *with] };
                        for series in &both {
                            let last = model[*series].last_key_value().map(|(at, _)| *at);
                            if last.is_none_or(|last| at > last) {
                                model[*series].insert(at, value);
                                expected.stored += 1;
                            } else if model[*series].contains_key(&at) {
                                expected.known += 1;
                            } else {
                                expected.late += 1;
                            }
                        }
                        frames.push(second(at, &both.iter().map(|n| (ids[*n], value)).collect::<Vec<_>>()));
                    }
                    sent = frames.clone();
                    let kept = store.arrive(frames);
                    prop_assert_eq!(kept.stored, expected.stored, "step {}", number);
                    // What stands beyond what is looked at counts as late.
                    prop_assert_eq!(kept.known + kept.late, expected.known + expected.late);
                    prop_assert!(kept.known <= expected.known);
                }
                Step::Again => prop_assert_eq!(store.arrive(sent.clone()).stored, 0),
                Step::Seal => store.seal(),
                Step::LeaveFile => store.store.writer.leave_file(),
                Step::Kill => {
                    drop(store);
                    store = open(folder.path());
                    // One that was never written has no number yet.
                    ids = labels.iter().map(|label| store.series("load", label)).collect();
                }
            }
        }
        for label in labels {
            let series: usize = label.parse().unwrap();
            let expected: Vec<_> = model[series].iter().map(|(at, value)| (*at, *value)).collect();
            prop_assert_eq!(of_part(&store, label), expected, "series {}", label);
        }
        let all: usize = model.iter().map(BTreeMap::len).sum();
        prop_assert_eq!(store.samples(), all as u64, "nothing is kept twice");
    }
}

#[test]
fn a_clock_that_was_ahead_and_is_set_right_costs_nothing() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "a");
    let now_ms = crate::series::now_ms();
    let at = |seconds: i64| frame(now_ms + seconds * 1000, &[(id, seconds as f64)]);
    let ahead = vec![at(-20), at(280), at(290)];
    assert_eq!(store.arrive(ahead.clone()), kept(3, 0, 0));
    assert_eq!(store.arrive(vec![at(0), at(10)]), kept(2, 0, 0), "set right");
    assert_eq!(store.arrive(vec![at(0), at(10)]), kept(0, 2, 0), "its answer was lost");
    assert_eq!(store.arrive(ahead), kept(0, 3, 0));
    assert_eq!(store.arrive(vec![at(-10), at(300)]), kept(2, 0, 0));
    assert_eq!(store.arrive(vec![at(-3600)]), kept(0, 0, 1), "long before");
    for _ in 0..2 {
        let query = Query { to_ms: now_ms + 1_000_000, from_ms: 0, ..everything("load") };
        let values: Vec<f64> =
            store.ask(&query).series[0].points.iter().map(|point| point.mean).collect();
        assert_eq!(values, [-20.0, -10.0, 0.0, 10.0, 280.0, 290.0, 300.0]);
        store.seal();
    }
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(store.arrive(vec![at(20)]), kept(1, 0, 0), "after a restart too");
}

#[test]
fn what_is_not_kept_is_named_and_can_be_taken_out() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    store.arrive(vec![second(10, &[(a, 1.0)])]);
    let frames = vec![
        second(5, &[(a, 2.0)]),
        second(10, &[(a, 3.0), (b, 3.0)]),
        second(11, &[(a, 4.0), (b, 4.0)]),
    ];
    let mut batch = Batch { frames, gaps: Vec::new() };
    let judged = store.store.writer.write([(&batch, Origin::Elsewhere)]).unwrap().remove(0);
    assert_eq!((judged.kept, &judged.left_out.0[..]), (kept(3, 1, 1), &[(0, a), (1, a)][..]));
    judged.left_out.take_from(&mut batch.frames);
    let stored = [second(10, &[(b, 3.0)]), second(11, &[(a, 4.0), (b, 4.0)])];
    assert_eq!(batch.frames, stored);
}
