//! A store that no daemon has, opened to be looked at or added to.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    super::{
        Store, StoreError,
        lanes::{LANES_MAX, lane_name},
        log::{log_files, log_path},
        messages::{Batch, TIMES},
        settler::Settler,
        sizes::pieces,
        writer::Origin,
    },
    covered::Counted,
    dump::{Dump, Dumped, Selection, TakeSamples},
    inventory::Inventory,
};
use crate::{
    config::StoreConfig,
    series::{Catalog, Frame, Sample, Series, SeriesId},
};

/// About so much is written in one piece.
const PIECE_BYTES: usize = 1 << 20;

/// A store to itself: nobody collects, nobody serves. Its folder is held until this is dropped.
#[derive(Debug)]
pub struct ClosedStore {
    store: Store,
    catalog: Arc<Catalog>,
    /// The stream that takes the samples of each server's collector.
    streams: HashMap<(Arc<str>, Arc<str>), Arc<str>>,
}

/// A sample on its way in: the number of its series, its time in milliseconds since 1970, its value.
pub type Incoming = (u32, i64, f64);

/// What became of samples that were put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Samples that are stored now.
    pub stored: u64,
    /// Samples of which there is one of the same time already.
    pub known: u64,
    /// Samples that were deleted or lost, but not the minutes or hours that have counted them, where they would count
    /// twice.
    pub counted: u64,
}

impl ClosedStore {
    /// Opens the store in `path`, and makes one where there is none.
    pub fn open(path: &Path, config: &StoreConfig) -> Result<Self, StoreError> {
        let catalog = Arc::new(Catalog::default());
        let store = Store::open(path, config, &catalog)?;
        Ok(Self { store, catalog, streams: HashMap::new() })
    }

    /// What it consists of.
    pub fn inventory(&self) -> Inventory {
        Inventory::of(&self.store.shared)
    }

    /// Tells every sample that is selected.
    pub fn dump(
        &self,
        selection: &Selection,
        each: &mut TakeSamples<'_>,
    ) -> Result<Dumped, StoreError> {
        Dump::run(&self.store.shared, selection, each)
    }

    /// Puts samples in that are newer than all that were put in before; `series` are those that they name. What is
    /// there already stays as it is, and what only minutes or hours still have is not stored again.
    pub fn import(
        &mut self,
        series: &[Series],
        samples: &mut Vec<Incoming>,
    ) -> Result<Imported, StoreError> {
        let ids = self.ids(series, samples)?;
        let all = samples.len() as u64;
        // One series may have been named in two ways.
        let whose = |number: &u32| ids.get(number).copied();
        samples.sort_by_key(|(number, at_ms, _)| (*at_ms, whose(number)));
        samples.dedup_by_key(|(number, at_ms, _)| (*at_ms, whose(number)));
        self.drop_known(series, &ids, samples)?;
        let known = all - samples.len() as u64;
        self.drop_counted(&ids, samples)?;
        let stored = samples.len() as u64;
        let frames = self.frames(series, &ids, samples)?;
        for batch in pieces(Batch { frames, gaps: Vec::new() }, PIECE_BYTES) {
            self.store.writer.write([(&batch, Origin::Here)])?;
        }
        // What waits in memory is what is not sealed.
        if self.store.shared.log_bytes() > self.store.shared.limits.logs {
            self.seal_only()?;
        }
        Ok(Imported { stored, known, counted: all - known - stored })
    }

    /// Seals everything and settles what can be, so that its size is what it will be.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        self.seal_only()?;
        let mut settler = Settler::new(
            self.store.shared.clone(),
            self.store.keeper.store(),
            self.store.config.retention.clone(),
        );
        while settler.step(true, &AtomicBool::new(false))? {}
        self.store.keeper.index()
    }

    fn seal_only(&mut self) -> Result<(), StoreError> {
        self.store.writer.leave_file();
        self.store.keeper.seal(true)
    }

    /// Makes everything survive a power cut, and copies the state.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.store.writer.leave_file();
        let logs = self.store.shared.log_folder();
        for (sequence, _) in log_files(&logs).map_err(StoreError::file("list", &logs))? {
            let path = log_path(&logs, sequence);
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(StoreError::file("sync log", path))?;
        }
        self.store.keeper.index()?;
        self.store.keeper.checkpoint()
    }

    /// The store's own numbers of the series that samples name.
    fn ids(
        &self,
        series: &[Series],
        samples: &[Incoming],
    ) -> Result<HashMap<u32, SeriesId>, StoreError> {
        let mut ids = HashMap::new();
        for (number, at_ms, _) in samples {
            let Some(named) = series.get(*number as usize).filter(|_| TIMES.contains(at_ms)) else {
                return Err(StoreError::Question(
                    "a sample is of no series, or of no possible time",
                ));
            };
            if !ids.contains_key(number) {
                let full = |_| StoreError::Question("the store has no numbers left for series");
                ids.insert(*number, self.catalog.intern(named.clone()).map_err(full)?);
            }
        }
        Ok(ids)
    }

    /// Takes out what is there already.
    fn drop_known(
        &self,
        series: &[Series],
        ids: &HashMap<u32, SeriesId>,
        samples: &mut Vec<Incoming>,
    ) -> Result<(), StoreError> {
        let (Some((_, from_ms, _)), Some((_, last_ms, _))) = (samples.first(), samples.last())
        else {
            return Ok(());
        };
        let (from_ms, to_ms) = (*from_ms, last_ms.saturating_add(1));
        let selection = Selection { server: None, metric: None, from_ms, to_ms };
        let mut known: HashMap<u32, Vec<i64>> = HashMap::new();
        let mut dump = Dump::new(&self.store.shared, &selection);
        for (number, id) in ids {
            let Some(series) = series.get(*number as usize) else { continue };
            let times = dump.times(*id, series)?;
            if !times.is_empty() {
                known.insert(*number, times);
            }
        }
        samples.retain(|(number, at_ms, _)| {
            known.get(number).is_none_or(|times| times.binary_search(at_ms).is_err())
        });
        Ok(())
    }

    /// Takes out what may have been counted by the minute or by the hour, and is gone.
    fn drop_counted(
        &self,
        ids: &HashMap<u32, SeriesId>,
        samples: &mut Vec<Incoming>,
    ) -> Result<(), StoreError> {
        let whose = |number: &u32| ids.get(number).copied();
        let asked: Vec<_> = samples
            .iter()
            .filter_map(|(number, at_ms, _)| Some((whose(number)?, *at_ms)))
            .collect();
        let counted = Counted::of(&self.store.shared, &asked)?;
        samples
            .retain(|(number, at_ms, _)| whose(number).is_none_or(|id| !counted.has(id, *at_ms)));
        Ok(())
    }

    /// The samples as frames, in the order of their times.
    fn frames(
        &mut self,
        series: &[Series],
        ids: &HashMap<u32, SeriesId>,
        samples: &[Incoming],
    ) -> Result<Vec<Frame>, StoreError> {
        let mut frames: Vec<Frame> = Vec::new();
        for of_time in samples.chunk_by(|one, other| one.1 == other.1) {
            let mut places: HashMap<(Arc<str>, Arc<str>), usize> = HashMap::new();
            for (number, at_ms, value) in of_time {
                let Some((named, id)) = series.get(*number as usize).zip(ids.get(number)) else {
                    continue;
                };
                let stream = self.stream(&named.server, &named.collector, *at_ms)?;
                let sample = Sample { series: *id, value: *value };
                let whose = (named.server.clone(), stream.clone());
                let place = *places.entry(whose).or_insert_with(|| {
                    let (server, collector) = (named.server.clone(), stream);
                    let (at_ms, samples) = (*at_ms, Vec::new());
                    frames.push(Frame { server, collector, at_ms, samples });
                    frames.len() - 1
                });
                frames[place].samples.push(sample);
            }
        }
        Ok(frames)
    }

    /// The stream that takes a collector's samples from `at_ms` on: its own, if that has nothing as new, else a lane.
    fn stream(
        &mut self,
        server: &Arc<str>,
        collector: &Arc<str>,
        at_ms: i64,
    ) -> Result<Arc<str>, StoreError> {
        let whose = (server.clone(), collector.clone());
        if let Some(stream) = self.streams.get(&whose) {
            return Ok(stream.clone());
        }
        let view = self.store.shared.view();
        let takes = |name: &Arc<str>| {
            let place = view.heads.find(server, name);
            let last_ms = place.and_then(|place| view.heads.streams[place].last_ms);
            last_ms.is_none_or(|last| last < at_ms)
        };
        let mut lanes = (0..LANES_MAX).map(|lane| lane_name(collector, lane));
        let full = "a collector has samples of this time in every lane; import into another server";
        let stream = lanes.find(takes).ok_or(StoreError::Question(full))?;
        drop(view);
        self.streams.insert(whose, stream.clone());
        Ok(stream)
    }
}
