//! Questions: rates, buckets, labels, late samples, holes.

use proptest::prelude::*;
use tempfile::TempDir;

use super::{super::gaps::DAMAGED, *};
use crate::series::{Gap, PRESUMED_INTERVAL_MS, Rate};

#[test]
fn a_rate_is_what_the_function_says_of_the_stored_samples() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("sent_total", "");
    let mut value = 0.0;
    let frames = (0..1500i64).filter(|row| row % 50 > 5).map(|row| {
        value = if row % 400 == 0 { 10.0 } else { value + (row % 13) as f64 * 100.0 };
        frame(START_MS + row * 1000, &[(id, value)])
    });
    store.write(frames.collect());
    store.store.writer.leave_file();
    store.write(rows(id, 1500..1600));
    store.store.keeper.seal(false).unwrap();

    let question = Query { raw: false, from_ms: START_MS + 100_000, ..everything("sent_total") };
    let answer = &store.ask(&question).series[0];
    let mut rate: Option<Rate> = None;
    let mut model = Vec::new();
    for point in &store.raw("sent_total")[0].points {
        let next = match &mut rate {
            Some(rate) => rate.next(point.at_ms, point.mean, 1000).per_second(),
            first => {
                *first = Some(Rate::new(point.at_ms, point.mean));
                None
            }
        };
        model.extend(next.filter(|_| point.at_ms >= question.from_ms).map(|r| (point.at_ms, r)));
    }
    let rates: Vec<_> = answer.points.iter().map(|point| (point.at_ms, point.mean)).collect();
    assert_eq!(rates, model);
    assert_eq!((&*answer.unit, answer.kind), ("bytes/s", Kind::Counter));
}

#[test]
fn labels_choose_and_order_the_series() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (b, a) = (store.series("used", "b"), store.series("used", "a"));
    store.write(vec![frame(START_MS, &[(b, 2.0), (a, 1.0)])]);
    let all: Vec<_> = store.raw("used").iter().map(|series| series.id).collect();
    assert_eq!(all, [a, b]);
    let one = Query { labels: vec![("part".into(), "b".into())], ..everything("used") };
    let one = store.ask(&one).series;
    assert_eq!((one.len(), one[0].id, one[0].points[0].mean), (1, b, 2.0));
    assert_eq!(store.ask(&everything("unknown")).series, []);
}

#[test]
fn late_and_repeated_frames_are_refused_and_counted() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..10));
    store.write(rows(id, 5..12));
    store.write(vec![frame(START_MS + 20_000, &[(id, 1.0), (id, 20.0)])]);
    assert_eq!(store.bits("load")[..12], expected(0..12));
    assert_eq!(store.bits("load")[12], (START_MS + 20_000, 20f64.to_bits()), "the last counts");
    store.write(vec![frame(i64::MAX, &[(id, 1.0)])]);
    let late = store.store.shared.late_samples.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(late, 6, "a clock that says nonsense is refused too");
}

#[test]
fn a_hole_has_the_recorded_reason_or_says_that_nothing_came() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..10));
    let told = Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS + 10_000,
        to_ms: None,
        reason: "plugin host was killed".into(),
    };
    store.try_write(&Batch { frames: Vec::new(), gaps: vec![told.clone()] }).unwrap();
    store.write(rows(id, 20..30));
    store.write(rows(id, 40..50));
    store.seal();
    store.write(rows(id, 50..51));
    let gaps = |from: i64, to: i64| {
        let question = Query {
            from_ms: START_MS + from * 1000,
            to_ms: START_MS + to * 1000,
            ..everything("load")
        };
        let gaps = store.ask(&question).series.remove(0).gaps.into_iter();
        let second = |ms: i64| (ms - START_MS) / 1000;
        gaps.map(|gap| (second(gap.from_ms), gap.to_ms.map(second), gap.reason.to_string()))
            .collect::<Vec<_>>()
    };
    let (told, silent) = (told.reason.to_string(), "no sample was received".to_owned());
    assert_eq!(gaps(0, 53), [(10, Some(20), told.clone()), (30, Some(40), silent.clone())]);
    assert_eq!(gaps(12, 15), [(10, Some(20), told)]);
    assert_eq!(gaps(34, 36), [(30, Some(36), silent.clone())], "both neighbours are elsewhere");
    assert_eq!(gaps(45, 60), [(51, None, silent.clone())], "nothing came since");
    assert_eq!(gaps(35, 60), [(30, Some(40), silent.clone()), (51, None, silent)]);
    assert_eq!(gaps(0, 5), []);
}

#[test]
fn an_answer_says_where_each_series_begins_here() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    store.write(rows(a, 0..100));
    let both = |row: i64| frame(START_MS + row * 1000, &[(a, 1.0), (b, 2.0)]);
    store.write((100..200).map(both).collect());
    let begins = |store: &Opened, from: i64, to: i64| -> Vec<_> {
        let (from_ms, to_ms) = (START_MS + from * 1000, START_MS + to * 1000);
        let answer = store.ask(&Query { from_ms, to_ms, ..everything("load") });
        let begins = answer.series.iter().map(|one| one.begins_ms);
        begins.map(|begins_ms| begins_ms.map(|ms| (ms - START_MS) / 1000)).collect()
    };
    for _ in 0..2 {
        assert_eq!(begins(&store, -60, 300), [Some(0), Some(0)], "b is new, its collector is not");
        assert_eq!(begins(&store, 50, 300), [None, None]);
        assert_eq!(begins(&store, 0, 60), [None, None], "nothing yet");
        assert_eq!(begins(&store, -60, -10), [Some(-10), Some(-10)], "nobody knows");
        assert_eq!(begins(&store, 100, 300), [None, None]);
        assert_eq!(begins(&store, 210, 300), [None, None], "a hole has something before it");
        assert_eq!(begins(&store, 90, 99), [None, None]);
        store.seal();
    }
    let gap = Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS - 30_000,
        to_ms: Some(START_MS),
        reason: "plugin host was killed".into(),
    };
    store.try_write(&Batch { frames: Vec::new(), gaps: vec![gap] }).unwrap();
    assert_eq!(begins(&store, -60, 300), [Some(-30), Some(-30)], "a recorded hole is known too");
    // What comes after a silence that nobody has explained may have been kept elsewhere.
    let c = store.series("load", "c");
    store.write((260..300).map(|row| frame(START_MS + row * 1000, &[(c, 3.0)])).collect());
    for _ in 0..2 {
        assert_eq!(begins(&store, 150, 300), [None, None, Some(260)]);
        store.seal();
    }
}

#[test]
fn a_hole_at_the_beginning_is_one_in_a_week_that_is_over_too() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (load, users) = (store.series("load", ""), store.series("users", ""));
    store.write(rows(load, 0..600));
    store.seal();
    // Ten hours into the next day, which begins after 23 hours.
    let (day, back) = (23 * 3600, 33 * 3600);
    let both = |row: i64| frame(START_MS + row * 1000, &[(load, 1.0), (users, 2.0)]);
    store.write(rows(load, back..back + 300));
    store.write((back + 300..back + 900).map(both).collect());
    for _ in 0..2 {
        for points in [None, Some(24 * 60)] {
            let (from_ms, to_ms) = (START_MS + day * 1000, START_MS + (day + 86_400) * 1000);
            let ask = |metric| {
                store.ask(&Query { from_ms, to_ms, points, ..everything(metric) }).series.remove(0)
            };
            let answer = ask("load");
            let gaps: Vec<_> = answer.gaps.iter().map(|gap| (gap.from_ms, gap.to_ms)).collect();
            let missing = (START_MS + 600_000, Some(START_MS + back * 1000));
            assert_eq!((answer.begins_ms, gaps[0]), (None, missing));
            assert_eq!(ask("users").begins_ms, None, "it is new, and its collector older");
        }
        store.seal();
        store.settle();
    }
    assert!(store.segments(Tier::Hour) > 0);
}

#[test]
fn a_damage_of_its_collector_is_shown_by_a_series_that_it_touches() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    // From a hundred seconds to two hundred everything is lost.
    let lives = [
        ("begun", 200..300),
        ("ended", 0..100),
        ("holed", 0..300),
        ("new", 240..300),
        ("old", 0..50),
    ];
    let ids = lives.clone().map(|(label, _)| store.series("load", label));
    let row = |row: i64| {
        let alive = ids.iter().zip(&lives).filter(|(_, (_, life))| life.contains(&row));
        let samples: Vec<_> = alive.map(|(id, _)| (*id, 1.0)).collect();
        frame(START_MS + row * 1000, &samples)
    };
    store.write((0..100).chain(200..300).map(row).collect());
    let gap = Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS + 100_000,
        to_ms: Some(START_MS + 200_000),
        reason: DAMAGED.into(),
    };
    store.try_write(&Batch { frames: Vec::new(), gaps: vec![gap] }).unwrap();
    let (from_ms, to_ms) = (START_MS - 60_000, START_MS + 300_000);
    let second = |ms: i64| (ms - START_MS) / 1000;
    for _ in 0..2 {
        let answer = store.ask(&Query { from_ms, to_ms, ..everything("load") });
        let told: Vec<_> = answer
            .series
            .iter()
            .map(|one| {
                let gaps = one.gaps.iter().map(|gap| {
                    (second(gap.from_ms), gap.to_ms.map(second), *gap.reason == *DAMAGED)
                });
                (one.begins_ms.map(second), gaps.collect::<Vec<_>>())
            })
            .collect();
        let lost = (100, Some(200), true);
        assert_eq!(
            told,
            [
                (Some(200), vec![lost]),
                (Some(0), vec![lost, (200, Some(300), false)]),
                (Some(0), vec![lost]),
                (Some(0), vec![]),
                (Some(0), vec![(50, Some(300), false)]),
            ],
            "others are asked for what was lost, and for nothing that there never was"
        );
        store.seal();
    }
}

#[test]
fn points_are_as_many_as_asked_for_where_the_interval_is_presumed() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let presumed = Series { interval_ms: PRESUMED_INTERVAL_MS, ..series("load", "") };
    let id = store.catalog.intern(presumed).unwrap();
    store.write(rows(id, 0..3600));
    let to_ms = START_MS + 3_600_000;
    let points = Some(360);
    let question = Query { from_ms: START_MS, to_ms, points, ..everything("load") };
    let model: Vec<_> = (0..360).map(|n| (START_MS + n * 10_000, 10.0 * n as f64 + 4.5)).collect();
    for resolution_ms in [10_001, 10_000] {
        let answer = &store.ask(&question).series[0];
        let points: Vec<_> = answer.points.iter().map(|point| (point.at_ms, point.mean)).collect();
        assert_eq!(points, model);
        assert_eq!(answer.resolution_ms, resolution_ms);
        store.seal();
    }
}

#[test]
fn another_interval_does_not_change_what_was() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let slowly = Series { interval_ms: 10_000, ..series("sent_total", "") };
    let id = store.catalog.intern(slowly).unwrap();
    let every_10_s = |row: i64| frame(START_MS + row * 10_000, &[(id, row as f64 * 100.0)]);
    store.write((0..10).map(every_10_s).collect());
    store.seal();
    store.write((10..20).map(every_10_s).collect());
    // From the 200th second on, one a second.
    store.series("sent_total", "");
    let begin = START_MS + 200_000;
    store.write((0..10).map(|row| frame(begin + row * 1000, &[(id, 2000.0)])).collect());

    let to_ms = begin + 10_000;
    let answer = store.ask(&Query { raw: false, to_ms, ..everything("sent_total") });
    let answer = &answer.series[0];
    assert_eq!(answer.gaps, [], "ten seconds were no hole then");
    let rates: Vec<_> = answer.points.iter().map(|point| point.mean).collect();
    assert_eq!(rates, [[10.0; 20].as_slice(), &[0.0; 9]].concat(), "the former rates are there");
}

#[test]
fn a_collector_whose_series_come_and_go_keeps_them_apart() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids: Vec<_> = (0..9).map(|n| store.series(&format!("m{n}"), "")).collect();
    let mut model = vec![Vec::new(); 9];
    let mut frames = Vec::new();
    for row in 0..1300i64 {
        let at = START_MS + row * 1000;
        let here = (0..9).filter(|n| (row / (37 + *n as i64)) % 3 != *n as i64 % 3);
        let samples: Vec<_> = here.map(|n| (ids[n], (row * n as i64) as f64 / 8.0)).collect();
        for (n, id) in ids.iter().enumerate() {
            let value = samples.iter().find(|(series, _)| series == id);
            model[n].extend(value.map(|(_, value)| (at, value.to_bits())));
        }
        frames.push(frame(at, &samples));
    }
    store.write(frames);
    for _ in 0..2 {
        for (n, model) in model.iter().enumerate() {
            assert_eq!(store.bits(&format!("m{n}")), *model);
        }
        store.seal();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whatever_is_written_comes_back_from_log_and_segment(
        steps in proptest::collection::vec((1i64..5_000, any::<u64>(), 0usize..3), 1..300),
        buckets in 1usize..50,
    ) {
        let folder = TempDir::new().unwrap();
        let mut store = open(folder.path());
        let id = store.series("any", "");
        let mut at = START_MS;
        let mut model = Vec::new();
        for (step, bits, then) in &steps {
            at += step;
            model.push((at, *bits));
            store.write(vec![frame(at, &[(id, f64::from_bits(*bits))])]);
            // Files end anywhere.
            if *then == 0 && at % 5 == 0 {
                store.store.writer.leave_file();
            }
        }
        prop_assert_eq!(&store.bits("any"), &model);
        // Percentiles are of samples alone: sums of rollups are rounded otherwise.
        let stats = vec![Stat::P95];
        let question = Query { points: Some(buckets), stats, ..everything("any") };
        let before = format!("{:?}", store.ask(&question).series[0].points);
        store.seal();
        prop_assert_eq!(&store.bits("any"), &model);
        let after = format!("{:?}", store.ask(&question).series[0].points);
        prop_assert_eq!(before, after, "buckets do not depend on where samples are");
        drop(store);
        prop_assert_eq!(&open(folder.path()).bits("any"), &model);
    }
}

#[test]
fn samples_refused_after_the_clock_was_set_back_leave_a_gap_that_says_so() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let now = crate::series::now_ms();
    let later = now + 3_600_000;
    store.write(vec![frame(later, &[(id, 1.0)])]);
    store.write(vec![frame(later, &[(id, 2.0)])]);
    let query = Query { from_ms: now - 60_000, to_ms: later + 60_000, ..everything("load") };
    let gaps = |store: &Opened| {
        let gaps = store.ask(&query).series.remove(0).gaps;
        gaps.into_iter()
            .filter(|gap| gap.reason.contains("set back"))
            .map(|gap| (gap.from_ms, gap.to_ms))
            .collect::<Vec<_>>()
    };
    assert_eq!(gaps(&store), [], "a frame given twice says nothing of the clock");
    store.write(vec![frame(now, &[(id, 3.0)])]);
    store.write(vec![frame(now + 1000, &[(id, 4.0)])]);
    assert_eq!(gaps(&store), [(now, None)]);
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(gaps(&store), [(now, None)]);
    store.write(vec![frame(later + 1000, &[(id, 5.0)])]);
    assert_eq!(gaps(&store), [(now, Some(later + 1000))]);
}
