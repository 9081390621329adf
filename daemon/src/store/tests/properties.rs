//! Whatever is written comes back bit for bit: any number, at any time there can be, in any order that the store takes,
//! from the heads, after a kill, sealed, and opened again.

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    super::{
        messages::TIMES,
        points::{Points, Shape},
    },
    *,
};

const METRICS: [&str; 3] = ["one", "two", "three"];
const HOUR_MS: i64 = 3_600_000;

/// A frame to be written: its time, and the bits of each series that has a value.
type Row = (i64, [Option<u64>; 3]);

/// What each series must hold.
type Model = [BTreeMap<i64, u64>; 3];

fn any_bits() -> impl Strategy<Value = u64> {
    let special = [
        0,
        (-0.0f64).to_bits(),
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        f64::NAN.to_bits(),
        0x7ff0_0000_0000_0001,
        0x7ff0_0000_dead_beef,
        0xfff8_0000_0000_0002,
        u64::MAX,
        1,
        f64::MIN_POSITIVE.to_bits() - 1,
        f64::MAX.to_bits(),
    ];
    prop_oneof![
        2 => any::<u64>(),
        2 => proptest::sample::select(special.to_vec()),
        2 => (-100_000i32..100_000).prop_map(|number| (f64::from(number) / 100.0).to_bits()),
        1 => 0u64..1 << 52,
    ]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (0..600_000i64).prop_map(|ms| START_MS + ms),
        1 => (-3i64..3).prop_map(|ms| START_MS - HOUR_MS + ms),
        1 => TIMES,
        1 => proptest::sample::select(vec![*TIMES.start(), -1, 0, *TIMES.end()]),
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    let value = || proptest::option::weighted(0.8, any_bits());
    (any_time(), [value(), value(), value()])
}

/// Batches, and after which of them everything is sealed.
fn any_batches() -> impl Strategy<Value = Vec<(Vec<Row>, bool)>> {
    let batch = (proptest::collection::vec(any_row(), 1..25), proptest::bool::weighted(0.2));
    proptest::collection::vec(batch, 1..6)
}

impl Opened {
    /// All there is of the three series.
    fn model(&self) -> Model {
        METRICS.map(|metric| {
            let (from_ms, to_ms) = (*TIMES.start(), TIMES.end() + 1);
            let answer = self.ask(&Query { from_ms, to_ms, ..everything(metric) });
            assert!(!answer.partial, "{metric}");
            let found = bits(&answer);
            let model: BTreeMap<_, _> = found.iter().copied().collect();
            assert_eq!(model.len(), found.len(), "{metric}: one instant twice");
            model
        })
    }
}

/// Writes batches, checks after each, and then after a kill, sealing, and opening again.
fn comes_back(batches: Vec<(Vec<Row>, bool)>, origin: Origin) {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids = METRICS.map(|metric| store.series(metric, ""));
    let mut model = Model::default();
    for (mut rows, is_sealed) in batches {
        if origin == Origin::Here {
            // A collector goes forward; of what does not, nothing is kept.
            rows.sort_by_key(|(at_ms, _)| *at_ms);
        }
        write(&mut store, ids, &rows, origin, &mut model);
        assert_eq!(store.model(), model, "as it was written");
        if is_sealed {
            store.seal();
            assert_eq!(store.model(), model, "sealed");
        }
    }
    let reopened = |path: &Path| open(path).model();
    assert_eq!(reopened(copy(folder.path()).path()), model, "killed");
    store.seal();
    assert_eq!(store.model(), model, "sealed at last");
    drop(store);
    assert_eq!(reopened(folder.path()), model, "opened again");
}

fn write(store: &mut Opened, ids: [SeriesId; 3], rows: &[Row], origin: Origin, model: &mut Model) {
    let newest = model.iter().filter_map(|series| Some(*series.last_key_value()?.0)).max();
    let frames: Vec<Frame> = rows
        .iter()
        .map(|(at_ms, values)| {
            let given = ids.iter().zip(values).filter_map(|(id, bits)| Some((*id, (*bits)?)));
            let samples: Vec<_> = given.map(|(id, bits)| (id, f64::from_bits(bits))).collect();
            frame(*at_ms, &samples)
        })
        .collect();
    let batch = Batch { frames, gaps: Vec::new() };
    let judged = store.store.writer.write([(&batch, origin)]).unwrap().remove(0);
    let (mut newest, mut stored) = (newest, 0);
    for (number, frame) in batch.frames.iter().enumerate().filter(|(_, f)| !f.samples.is_empty()) {
        let is_late = origin == Origin::Here && newest.is_some_and(|newest| frame.at_ms <= newest);
        newest = newest.max(Some(frame.at_ms));
        for sample in frame.samples.iter().filter(|_| !is_late) {
            let column = ids.iter().position(|id| *id == sample.series).unwrap();
            if judged.left_out.0.contains(&(number, sample.series)) {
                let is_newest = model[column].keys().next_back() < Some(&frame.at_ms);
                let lanes_are_full = judged.kept.late > 0;
                assert!(!is_newest || lanes_are_full, "what is new must be kept");
                continue;
            }
            stored += 1;
            model[column].insert(frame.at_ms, sample.value.to_bits());
        }
    }
    if origin == Origin::Elsewhere {
        assert_eq!(judged.kept.stored, stored, "{judged:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_here_comes_back_bit_for_bit(batches in any_batches()) {
        comes_back(batches, Origin::Here);
    }

    #[test]
    fn what_comes_from_elsewhere_in_any_order_comes_back_bit_for_bit(batches in any_batches()) {
        comes_back(batches, Origin::Elsewhere);
    }
}

proptest! {
    #[test]
    fn a_run_of_samples_makes_the_points_that_they_make_one_by_one(
        steps in proptest::collection::vec((1i64..3_500, any_bits()), 1..200),
        regular in any::<bool>(),
        (from, to) in (0i64..60_000, 60_000i64..200_000),
        bucket_ms in proptest::option::of(1i64..20_000),
        (rate, p95) in (any::<bool>(), any::<bool>()),
        cuts in proptest::collection::vec(1usize..50, 1..5),
    ) {
        let shape = Shape {
            from_ms: START_MS + from,
            to_ms: START_MS + to,
            kind: if rate { Kind::Counter } else { Kind::Gauge },
            interval_ms: 1000,
            step_ms: None,
            bucket_ms,
            rate,
            p95,
        };
        let mut at_ms = START_MS;
        let step = |step: i64| if regular { 1000 } else { step };
        let times: Vec<i64> = steps.iter().map(|(ms, _)| { at_ms += step(*ms); at_ms }).collect();
        let values: Vec<f64> = steps.iter().map(|(_, bits)| f64::from_bits(*bits)).collect();
        let (mut one_by_one, mut in_runs) = (Points::new(shape), Points::new(shape));
        let mut begin = 0;
        for (number, length) in cuts.iter().cycle().enumerate() {
            let run = begin..(begin + length).min(times.len());
            // It may have been another interval once.
            let interval_ms = 1000 + 500 * (number as u32 % 2);
            for row in run.clone() {
                one_by_one.add(times[row], values[row], interval_ms);
            }
            in_runs.add_run(&times[run.clone()], &values[run.clone()], interval_ms);
            begin = run.end;
            if begin == times.len() {
                break;
            }
        }
        prop_assert_eq!(format!("{one_by_one:?}"), format!("{in_runs:?}"));
        let (one_by_one, in_runs) = (one_by_one.finish(), in_runs.finish());
        prop_assert_eq!(format!("{one_by_one:?}"), format!("{in_runs:?}"));
    }
}
