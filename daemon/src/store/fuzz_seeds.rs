//! What fuzzing begins with: files as the store writes them. Chance alone does not find its way past a header.

#![expect(clippy::unwrap_used, reason = "what does not hold should stop")]

use std::{fs, path::Path};

use super::{
    StoreError, checkpoint,
    codec::{Effort, put_times, put_values},
    delta::Delta,
    fuzz::{DAY, ID, SERIES, fill, folder, kind_of, shared},
    gaps::Stretch,
    log::{LOG_HEADER, header},
    record::{Records, Schema},
    rollup::fold_samples,
    rollup_codec::put_rollups,
    rows::{Rows, put_rows},
    segment::{DAY_MS, SegmentFacts, SegmentWriter},
    shared::View,
    state::{Changes, StateStore},
    table::{StreamEnd, Table},
    tier::Tier,
};
use crate::series::{Catalog, Gap, SeriesId};

/// Puts what a target begins with into the folder of its corpus.
///
/// # Panics
///
/// When the folder cannot be written to.
pub fn seed(target: &str, corpus: &str) {
    let seeds = match target {
        "log" => [3, 200].map(log).to_vec(),
        "block" => columns(),
        "rollups" => rollups(),
        "segment" => {
            Tier::ALL.into_iter().flat_map(|tier| [2, 300].map(|n| segment(tier, n))).collect()
        }
        "settle" => Tier::ALL.map(|tier| settled(tier as u8)).to_vec(),
        "checkpoint" => vec![state()],
        _ => Vec::new(),
    };
    fs::create_dir_all(corpus).unwrap();
    for (number, bytes) in seeds.into_iter().enumerate() {
        fs::write(Path::new(corpus).join(format!("seed-{number}")), bytes).unwrap();
    }
}

/// Numbers as samples have them: now and then the same, mostly near the one before.
fn values(rows: usize) -> Vec<f64> {
    let mut value = 1000i64;
    let next = |row: usize| {
        value += [0, 1, -3, 0, 250, 7][row % 6];
        if row % 50 == 49 { f64::NAN } else { value as f64 / 100.0 }
    };
    (0..rows).map(next).collect()
}

fn bytes_of(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn catalog() -> std::sync::Arc<Catalog> {
    shared(&folder(), View::default()).catalog
}

/// Two collectors that take turns, one of them with a gap, and one series that is absent at times.
fn log(rows: usize) -> Vec<u8> {
    let (catalog, values) = (catalog(), values(rows));
    let mut records = Records::new(1, LOG_HEADER as u64);
    for number in 0..SERIES {
        records.series(SeriesId(number), &catalog.get(SeriesId(number)).unwrap());
    }
    let schemas = ["c", "d"].map(|collector| {
        let first = if collector == "c" { 0 } else { SERIES / 2 };
        let series = [SeriesId(first), SeriesId(first + 1)].into();
        Schema { server: "one".into(), collector: collector.into(), interval_ms: 1000, series }
    });
    let mut deltas = [Delta::new(2), Delta::new(2)];
    for (row, value) in values.into_iter().enumerate() {
        let at_ms = DAY * DAY_MS + row as i64 * 1000;
        for (number, (schema, delta)) in schemas.iter().zip(&mut deltas).enumerate() {
            let definition = delta.at_key().then_some(schema);
            let mut body = Vec::new();
            let other = (row % 5 > 0).then_some(row as f64);
            let head = delta.encode(at_ms, &[Some(value), other], &mut body);
            records.frame(number as u64, definition, head, &body);
        }
        if row == 100 {
            let (server, collector) = ("one".into(), "d".into());
            let to_ms = Some(at_ms + 500);
            records.gap(&Gap {
                server,
                collector,
                from_ms: at_ms + 1,
                to_ms,
                reason: "seed".into(),
            });
        }
    }
    records.stop();
    [&header(1, 1)[..], &records.bytes].concat()
}

fn columns() -> Vec<Vec<u8>> {
    let rows = 300;
    let head = |column: &[u8]| [&(rows as u16).to_le_bytes()[..], column].concat();
    let kinds = [values(rows), vec![7.0; rows], (0..rows).map(|row| (row as f64).sqrt()).collect()];
    let mut seeds: Vec<Vec<u8>> = kinds.iter().map(|values| head(&bytes_of(values))).collect();
    for values in kinds {
        for effort in [Effort::Fresh, Effort::Settled] {
            let mut column = Vec::new();
            put_values(&mut column, &values, effort);
            seeds.push(head(&column));
        }
    }
    for step in [1000, 1] {
        let times: Vec<i64> = (0..rows as i64).map(|row| row * 1000 + row % step % 7).collect();
        let mut column = Vec::new();
        put_times(&mut column, &times);
        seeds.push(head(&column));
    }
    seeds
}

fn rollups() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for number in 0..2 {
        let begin_ms = DAY * DAY_MS;
        let samples = values(900).into_iter().zip(0i64..);
        let samples = samples.map(|(value, row)| (begin_ms + row * 1000, value));
        let minutes = fold_samples(kind_of(number), 60_000, 1000, samples);
        let (mut rows, mut column) = (Vec::new(), Vec::new());
        put_rows(&mut rows, &Rows::of(&minutes), Effort::Settled);
        put_rollups(&mut column, kind_of(number), &minutes, Effort::Settled);
        let [low, high] = (rows.len() as u16).to_le_bytes();
        let head = [low, high, number as u8, 1];
        seeds.push([&head[..], &rows, &column].concat());
        seeds.push([&head[..], &bytes_of(&values(200))].concat());
    }
    seeds
}

/// A segment with its table, as it is written.
fn segment(tier: Tier, rows: usize) -> Vec<u8> {
    let segments = folder().join("segments");
    let facts = SegmentFacts::empty(ID, tier, tier.span_of(DAY * DAY_MS));
    let mut writer = SegmentWriter::create(&segments, facts, 1).unwrap();
    fill(&mut writer, rows, 200, &bytes_of(&values(rows)));
    let catalog = catalog();
    let series =
        (0..SERIES).map(|number| (SeriesId(number), catalog.get(SeriesId(number)).unwrap()));
    let end = StreamEnd {
        server: "one".into(),
        collector: "c".into(),
        interval_ms: 1000,
        last_ms: DAY * DAY_MS,
    };
    writer.close(&Table {
        numbers: SERIES,
        series: series.collect(),
        streams: vec![end],
        replaces: vec![ID + 1],
        folds: vec![ID + 2],
    });
    writer.write_out().unwrap();
    let facts = writer.finish().unwrap();
    fs::read(facts.path(&segments)).unwrap()
}

/// Tier, rows, a changed byte, and what is in the segment.
fn settled(tier: u8) -> Vec<u8> {
    [&[tier, 100, 1, 200, 9, 0, 77][..], &bytes_of(&values(100))].concat()
}

/// A state that holds one of each.
fn state() -> Vec<u8> {
    struct Told(Changes);
    impl StateStore for Told {
        fn scan(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
            for (key, value) in &self.0.0 {
                each(key, value.as_deref().unwrap_or_default());
            }
            Ok(())
        }

        fn apply(&mut self, changes: &Changes) -> Result<(), StoreError> {
            self.0.clone_from(changes);
            Ok(())
        }
    }
    let (catalog, mut changes) = (catalog(), Changes::default());
    changes.store(1);
    changes.log(7);
    let series =
        (0..SERIES).map(|number| (SeriesId(number), catalog.get(SeriesId(number)).unwrap()));
    changes.series_page(0, &series.collect::<Vec<_>>());
    changes.segment(&SegmentFacts::empty(ID, Tier::Minute, 0));
    let (server, collector): (std::sync::Arc<str>, _) = ("one".into(), "c".into());
    for to_ms in [None, Some(9)] {
        let reason = "seed".into();
        changes.gap(&server, "c", &Stretch { from_ms: 5, to_ms, away_until_ms: Some(8), reason });
    }
    changes.stream(&StreamEnd { server, collector, interval_ms: 1000, last_ms: 9 });
    changes.keep(b"k", b"v");
    let path = folder().join(checkpoint::FILE);
    checkpoint::write(&path, &mut Told(changes)).unwrap();
    fs::read(path).unwrap()
}
