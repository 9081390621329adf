//! Coarse tiers say what the samples say that they were made of.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::series::Gap;
use crate::store::{
    messages::{Point, Tier},
    points::{Points, Shape},
    rollup::{Rollup, fold, fold_samples},
};

/// Whether two sums of the same values are the same but for the order of adding.
fn close(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits()
        || (one.is_nan() && other.is_nan())
        || (one - other).abs() <= 1e-9 * one.abs().max(other.abs())
}

/// A series with holes, values that are none, and restarts where it is a counter.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = prop_oneof![30 => Just(1i64), 3 => Just(2i64), 1 => 3i64..200];
    let value =
        prop_oneof![40 => (0u32..5000).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(-1.0)];
    proptest::collection::vec((step, value), 2..900).prop_map(|steps| {
        let (mut at_ms, mut value) = (START_MS, 0.0);
        steps
            .into_iter()
            .map(|(step, grown)| {
                at_ms += step * 1000;
                // A negative one is a restart.
                value = if grown < 0.0 { 0.0 } else { value };
                let now = value + grown.max(0.0);
                value = if now.is_nan() { value } else { now };
                (at_ms, now)
            })
            .collect()
    })
}

fn points_of(shape: Shape, feed: impl FnOnce(&mut Points)) -> (Vec<Point>, Vec<(i64, i64)>) {
    let mut points = Points::new(shape);
    feed(&mut points);
    points.finish()
}

#[track_caller]
fn same(one: &[Point], other: &[Point]) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        let exact = |point: &Point| {
            let Point { at_ms, min, max, last, count, .. } = *point;
            (at_ms, min.to_bits(), max.to_bits(), last.to_bits(), count)
        };
        prop_assert_eq!(exact(one), exact(other));
        prop_assert!(close(one.sum, other.sum) && close(one.mean, other.mean), "{one:?} {other:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn rollups_give_the_points_that_their_samples_give(
        samples in samples(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 3),
        is_counter in any::<bool>(),
        width in 1i64..6,
        hours in any::<bool>(),
    ) {
        let kind = if is_counter { Kind::Counter } else { Kind::Gauge };
        let step_ms = if hours { 3_600_000 } else { 60_000 };
        let shape = Shape {
            from_ms: START_MS,
            to_ms: START_MS + 24 * 3_600_000,
            kind,
            interval_ms: 1000,
            step_ms: Some(step_ms),
            bucket_ms: Some(width * step_ms),
            rate: is_counter,
            p95: false,
        };
        let (raw, raw_holes) = points_of(shape, |points| {
            samples.iter().for_each(|(at_ms, value)| points.add(*at_ms, *value, 1000));
        });
        // Two pieces sealed, of the first hours too, and the rest as samples.
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(samples.len())).collect();
        cuts.sort_unstable();
        let piece = |from: usize, to: usize| -> Vec<Rollup> {
            fold_samples(kind, 60_000, 1000, samples[from..to].iter().copied())
        };
        let first = fold(kind, step_ms, piece(0, cuts[0]));
        let second = piece(cuts[0], cuts[1]);
        let third = piece(cuts[1], cuts[2]);
        let (tiers, holes) = points_of(shape, |points| {
            for rollup in first.into_iter().chain(second).chain(third) {
                points.add_rollup(rollup);
            }
            samples[cuts[2]..].iter().for_each(|(at_ms, value)| points.add(*at_ms, *value, 1000));
        });
        same(&raw, &tiers)?;
        prop_assert_eq!(raw_holes, holes);
    }
}

/// The question for buckets of `width_ms` over `hours` from [`START_MS`] on.
fn buckets(metric: &str, hours: i64, width_ms: i64) -> Query {
    let (from_ms, to_ms) = (START_MS, START_MS + hours * 3_600_000);
    let points = usize::try_from((to_ms - from_ms) / width_ms).unwrap();
    Query { from_ms, to_ms, points: Some(points), raw: false, ..everything(metric) }
}

/// The shape of the answer to [`buckets`].
fn shape(query: &Query, kind: Kind, width_ms: i64, tier: Tier) -> Shape {
    Shape {
        from_ms: query.from_ms,
        to_ms: query.to_ms,
        kind,
        interval_ms: 1000,
        step_ms: tier.step_ms(),
        bucket_ms: Some(width_ms),
        rate: kind == Kind::Counter,
        p95: false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]
    #[test]
    fn the_answer_does_not_depend_on_the_tier_nor_on_where_samples_were_cut(
        samples in samples(),
        pieces in proptest::collection::vec((1usize..300, 0u8..3), 1..8),
        is_counter in any::<bool>(),
        early in any::<bool>(),
        settled in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let mut store = open(folder.path());
        let (name, kind) =
            if is_counter { ("sent_total", Kind::Counter) } else { ("load", Kind::Gauge) };
        let id = store.series(name, "");
        let mut rest = &samples[..];
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let (length, then) = pieces.next().unwrap();
            let (piece, left) = rest.split_at(rest.len().min(*length));
            let frames: Vec<_> =
                piece.iter().map(|(at_ms, value)| frame(*at_ms, &[(id, *value)])).collect();
            store.write(frames);
            if *then == 0 || (early && rest.len() == samples.len()) {
                store.seal();
            }
            rest = left;
        }
        if settled {
            store.settle();
        }
        for (width_ms, tier) in [(120_000, Tier::Minute), (3_600_000, Tier::Hour)] {
            let query = buckets(name, 48, width_ms);
            let shape = shape(&query, kind, width_ms, tier);
            let (model, _) = points_of(shape, |points| {
                samples.iter().for_each(|(at_ms, value)| points.add(*at_ms, *value, 1000));
            });
            let answer = store.ask(&query);
            prop_assert!(!answer.partial);
            let series = &answer.series[0];
            prop_assert_eq!((series.tier, series.resolution_ms), (tier, width_ms));
            same(&model, &series.points)?;
        }
    }
}

/// A store with two days at a sample every ten seconds, all settled.
fn two_days() -> (TempDir, Opened) {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let slowly = Series { interval_ms: 10_000, ..series("load", "") };
    let id = store.catalog.intern(slowly).unwrap();
    for day in 0..2 {
        let rows = (day * 8640)..(day + 1) * 8640;
        store.write(rows.map(|row| frame(START_MS + row * 10_000, &[(id, row as f64)])).collect());
        store.seal();
    }
    store.settle();
    (folder, store)
}

impl Opened {
    /// Deletes the segments of a tier that end before `before_ms`, as retention does.
    fn drop_before(&self, tier: Tier, before_ms: i64) {
        let shared = &self.store.shared;
        let segments = shared.view().segments.clone();
        let old = |facts: &&Arc<_>| is_old(facts, tier, before_ms);
        let dropped: Vec<_> = segments.values().filter(old).collect();
        assert!(!dropped.is_empty());
        dropped.into_iter().for_each(|facts| shared.drop_segment(facts).unwrap());
    }
}

fn is_old(facts: &crate::store::segment::SegmentFacts, tier: Tier, before_ms: i64) -> bool {
    facts.tier == tier && facts.last_ms < before_ms
}

#[test]
fn where_samples_are_gone_the_minutes_answer_and_where_these_are_the_hours() {
    let (_folder, store) = two_days();
    let query = Query { stats: vec![Stat::P95, Stat::Last], ..buckets("load", 40, 300_000) };
    let ask = || store.ask(&query).series.remove(0);
    let whole = ask();
    assert_eq!((whole.tier, whole.p95_from_ms, whole.resolution_ms), (Tier::Raw, None, 300_000));
    assert_eq!(whole.points[7].p95, Some(210.0 + 0.95 * 29.0));

    // The first day ends 23 hours after the start.
    let second_day_ms = START_MS + 23 * 3_600_000;
    store.drop_before(Tier::Raw, second_day_ms);
    let minutes = ask();
    assert_eq!((minutes.tier, minutes.p95_from_ms), (Tier::Minute, Some(second_day_ms)));
    let known = |point: &Point| Point { p95: None, ..*point };
    let all = |answer: &SeriesAnswer| answer.points.iter().map(known).collect::<Vec<_>>();
    assert_eq!(all(&minutes), all(&whole));
    for (point, before) in minutes.points.iter().zip(&whole.points) {
        assert_eq!(point.p95, before.p95.filter(|_| point.at_ms >= second_day_ms));
    }
    assert_eq!(minutes.gaps, []);
    let fresh = Query { from_ms: second_day_ms, ..query.clone() };
    assert_eq!(store.ask(&fresh).series[0].tier, Tier::Raw);

    store.drop_before(Tier::Minute, second_day_ms);
    let hours = ask();
    assert_eq!((hours.tier, hours.resolution_ms), (Tier::Hour, 3_600_000));
    assert_eq!((hours.points.len(), hours.points[39].max), (40, 40.0 * 360.0 - 1.0));
}

#[test]
fn every_sample_that_is_gone_is_a_minute_of_which_the_ends_are_known() {
    let (_folder, store) = two_days();
    store.drop_before(Tier::Raw, START_MS + 23 * 3_600_000);
    let early = Query { to_ms: START_MS + 3_600_000, from_ms: START_MS, ..everything("load") };
    let answer = &store.ask(&early).series[0];
    assert_eq!(
        (answer.tier, answer.resolution_ms, answer.points.len()),
        (Tier::Minute, 60_000, 60)
    );
    assert_eq!(
        (answer.points[1].min, answer.points[1].last, answer.points[1].count),
        (6.0, 11.0, Some(6))
    );
}

#[test]
fn a_minute_with_some_samples_is_no_gap_and_one_without_has_its_reason() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let told = |from: i64, to: i64, reason: &str| Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS + from * 1000,
        to_ms: Some(START_MS + to * 1000),
        reason: reason.into(),
    };
    store.write(rows(id, 0..70));
    let gaps = vec![told(70, 100, "short"), told(300, 600, "plugin timed out")];
    store.try_write(&Batch { frames: Vec::new(), gaps }).unwrap();
    store.write(rows(id, 100..300));
    store.write(rows(id, 600..610));
    store.write(rows(id, 900..7200));
    for _ in 0..2 {
        let answer = store.ask(&buckets("load", 2, 120_000)).series.remove(0);
        assert_eq!(answer.tier, Tier::Minute);
        let second = |ms: i64| (ms - START_MS) / 1000;
        let gaps: Vec<_> = answer
            .gaps
            .iter()
            .map(|gap| (second(gap.from_ms), gap.to_ms.map(second), &*gap.reason))
            .collect();
        let silent = "no sample was received";
        assert_eq!(gaps, [(300, Some(600), "plugin timed out"), (610, Some(900), silent)]);
        store.seal();
    }
}

#[test]
fn what_came_in_lanes_comes_to_the_same() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (early, late) = (store.series("load", ""), store.series("other", ""));
    let at = |second: i64| START_MS + second * 1000;
    let mut samples = Vec::new();
    for second in (0..5400).step_by(10) {
        // What another series is ahead of goes beside it, every other time.
        if second % 20 == 10 {
            assert_eq!(store.arrive(vec![frame(at(second + 5), &[(late, 0.5)])]).stored, 1);
        }
        let value = (second * 7 % 640) as f64;
        samples.push((at(second), value));
        assert_eq!(store.arrive(vec![frame(at(second), &[(early, value)])]).stored, 1);
        if second % 1700 == 0 {
            store.seal();
        }
    }
    let query = buckets("load", 2, 120_000);
    let shape = Shape { interval_ms: 10_000, ..shape(&query, Kind::Gauge, 120_000, Tier::Minute) };
    let (model, _) = points_of(shape, |points| {
        samples.iter().for_each(|(at_ms, value)| points.add(*at_ms, *value, 10_000));
    });
    for _ in 0..2 {
        let answer = store.ask(&query);
        assert_eq!((answer.partial, answer.series[0].tier), (false, Tier::Minute));
        same(&model, &answer.series[0].points).unwrap();
        store.seal();
        store.settle();
    }
}
