//! The store as a whole, in a folder of its own: what is written comes back, whatever happens.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod absent;
mod access;
mod answers;
mod arriving;
mod copies;
mod damage;
mod failing;
mod full;
mod limits;
mod mending;
mod power;
mod properties;
mod recovery;
mod running;
mod sealed;
mod settling;
mod syncing;
mod tailing;
mod tiers;
mod upkeep;

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    Store, StoreError, Tier,
    messages::{Answer, Batch, Kept, Query, SeriesAnswer, Stat},
    query,
    settler::Settler,
    writer::Origin,
};
use crate::{
    config::{Retention, StoreConfig},
    series::{Catalog, Frame, Kind, Labels, Sample, Series, SeriesId},
};

/// How long a test may look for trouble: seconds; minutes in the long run.
fn patience() -> Duration {
    let is_long = std::env::var_os("BARTIZAN_LONG").is_some();
    Duration::from_secs(if is_long { 180 } else { 3 })
}

/// A moment in 2026, early on a day.
const START_MS: i64 = 20_500 * 24 * 60 * 60 * 1000 + 3_600_000;

/// An open store and the catalogue it fills.
struct Opened {
    store: Store,
    catalog: Arc<Catalog>,
}

fn open(path: &Path) -> Opened {
    open_with(path, &StoreConfig::default())
}

fn open_with(path: &Path, config: &StoreConfig) -> Opened {
    let catalog = Arc::new(Catalog::default());
    let store = Store::open(path, config, &catalog).unwrap();
    Opened { store, catalog }
}

impl Opened {
    fn series(&self, metric: &str, label: &str) -> SeriesId {
        self.catalog.intern(series(metric, label)).unwrap()
    }

    fn write(&mut self, frames: Vec<Frame>) {
        self.try_write(&Batch { frames, gaps: Vec::new() }).unwrap();
    }

    /// Writes a batch of this node's own.
    fn try_write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.store.writer.write([(batch, Origin::Here)]).map(drop)
    }

    /// Writes frames that come from elsewhere.
    fn arrive(&mut self, frames: Vec<Frame>) -> Kept {
        let batch = Batch { frames, gaps: Vec::new() };
        let judged = self.store.writer.write([(&batch, Origin::Elsewhere)]).unwrap().remove(0);
        let Kept { known, late, .. } = judged.kept;
        let mut of_series: Vec<_> = judged.left_out.0.clone();
        of_series.dedup();
        assert!(of_series.len() as u64 <= known + late, "{judged:?}");
        judged.kept
    }

    /// Seals everything there is.
    fn seal(&mut self) {
        self.store.writer.leave_file();
        self.store.keeper.seal(true).unwrap();
    }

    /// Settles all there is to settle.
    fn settle(&mut self) {
        let Store { shared, keeper, .. } = &mut self.store;
        let mut settler = Settler::new(shared.clone(), keeper.store(), Retention::default());
        while settler.step(true, &AtomicBool::new(false)).unwrap() {}
        keeper.index().unwrap();
    }

    /// Samples that are kept, sealed or not.
    fn samples(&self) -> u64 {
        let view = self.store.shared.view();
        let raw = view.segments.values().filter(|facts| facts.tier == Tier::Raw);
        raw.map(|facts| facts.samples).sum::<u64>() + view.heads.samples()
    }

    /// How many segments of a tier there are, in the folder and in the view.
    fn segments(&self, tier: Tier) -> usize {
        let shared = &self.store.shared;
        let known = shared.view().segments.values().filter(|facts| facts.tier == tier).count();
        let there = files(&shared.segment_folder().join(tier.name()), "seg").len();
        assert_eq!(known, there, "segments that are known, and that are there");
        known
    }

    fn ask(&self, query: &Query) -> Answer {
        query::answer(&self.store.shared, query, query.to_ms).unwrap()
    }

    /// All of one metric as it was stored.
    fn raw(&self, metric: &str) -> Vec<SeriesAnswer> {
        let answer = self.ask(&everything(metric));
        assert!(!answer.partial);
        answer.series
    }

    /// Times and bits of the only series of a metric.
    fn bits(&self, metric: &str) -> Vec<(i64, u64)> {
        bits(&self.ask(&everything(metric)))
    }
}

fn bits(answer: &Answer) -> Vec<(i64, u64)> {
    let points = answer.series.iter().flat_map(|series| &series.points);
    points.map(|point| (point.at_ms, point.mean.to_bits())).collect()
}

fn everything(metric: &str) -> Query {
    Query {
        server: "web-1".into(),
        metric: metric.into(),
        labels: Vec::new(),
        from_ms: START_MS - 10 * 24 * 3_600_000,
        to_ms: START_MS + 10 * 24 * 3_600_000,
        points: None,
        raw: true,
        stats: vec![Stat::Last],
    }
}

fn series(metric: &str, label: &str) -> Series {
    let counter = metric.ends_with("_total");
    Series {
        server: "web-1".into(),
        collector: "test".into(),
        metric: metric.into(),
        labels: if label.is_empty() { Labels::default() } else { Labels::new([("part", label)]) },
        unit: "bytes".into(),
        kind: if counter { Kind::Counter } else { Kind::Gauge },
        interval_ms: 1000,
    }
}

fn frame(at_ms: i64, samples: &[(SeriesId, f64)]) -> Frame {
    let samples = samples.iter().map(|&(series, value)| Sample { series, value }).collect();
    Frame { server: "web-1".into(), collector: "test".into(), at_ms, samples }
}

/// A frame a second from [`START_MS`] on, each with the number of its row.
fn rows(id: SeriesId, rows: std::ops::Range<i64>) -> Vec<Frame> {
    rows.map(|row| frame(START_MS + row * 1000, &[(id, row as f64)])).collect()
}

fn expected(rows: std::ops::Range<i64>) -> Vec<(i64, u64)> {
    rows.map(|row| (START_MS + row * 1000, (row as f64).to_bits())).collect()
}

/// The folder as a kill would leave it at this moment.
fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    copy_below(from, to.path());
    to
}

fn copy_below(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_below(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All files below a folder with this ending.
fn files(below: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
