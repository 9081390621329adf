//! Settling: many small segments into one of long blocks, and finer ones into the next coarser tier.
//!
//! ```text
//!  read the indices ─► pieces that belong together ─► write ─► show in the place of the old ─► delete those ─► tell the state
//! ```
//!
//! # Invariants
//!
//! - The new segment names those that it replaces, or whose content it holds too. Whatever happens in between, each
//!   sample counts once (see [`super::adopt`]).
//! - A replaced segment is deleted when no question reads it any more, and the state is told after that.
//! - A segment that cannot be read whole is left as it is, for whoever repairs it.
//! - At most one series of one run is in memory, and the times of one family.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    StoreError, disk,
    pieces::{Broken, Family, Sources, families_of},
    retention,
    runs::{one_run, runs_of},
    sealing::{discard, write_out},
    segment::{DAY_MS, SegmentFacts, SegmentWriter},
    settling::{Job, Terms, next_job},
    shared::{Shared, lock, remove_if_there},
    tier::Tier,
};
use crate::{config::Retention, logging::chain, series::now_ms};

/// Segments of a day that is over are left alone for so long after the last was sealed: more may come.
const QUIET: Duration = Duration::from_secs(5 * 60);
/// About so much waits in memory before it is written.
const WRITE_BYTES: u64 = 1 << 20;

/// Why nothing was written.
enum Failure {
    /// A source cannot be read whole.
    Broken(Broken),
    /// The disk did not take it.
    Disk(StoreError),
    /// It is time to stop.
    Stopped,
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Disk(error)
    }
}

/// Settles segments. One at a time; threads: any.
#[derive(Debug)]
pub(super) struct Settler {
    shared: Arc<Shared>,
    store: u128,
    retention: Retention,
    /// Segments that cannot be read whole.
    broken: BTreeSet<u64>,
    /// Of each day the newest segment, and since when it is.
    newest: HashMap<(Tier, i64), (u64, Option<Instant>)>,
    /// Replaced segments that are still read, and what replaces them.
    leaving: Option<(Vec<Arc<SegmentFacts>>, SegmentFacts)>,
}

impl Settler {
    /// A settler of an open store; what is there already is quiet.
    pub(super) fn new(shared: Arc<Shared>, store: u128, retention: Retention) -> Self {
        let (broken, leaving) = (BTreeSet::new(), None);
        let newest = HashMap::new();
        let mut settler = Self { shared, store, retention, broken, newest, leaving };
        settler.look(None);
        settler
    }

    /// Does one thing, if there is anything to do, unless it is told to `stop`; whether it did.
    ///
    /// With `at_once`, also what would wait for more to come.
    pub(super) fn step(&mut self, at_once: bool, stop: &AtomicBool) -> Result<bool, StoreError> {
        self.delete_replaced()?;
        if self.leaving.is_some() {
            // The state does not know the new one yet: nothing may be told that builds on it.
            return Ok(false);
        }
        self.look(Some(Instant::now()));
        let today = self.shared.sealed_below.load(Ordering::Relaxed);
        let minutes_from_ms = retention::oldest_ms(&self.retention, Tier::Minute, now_ms());
        let terms = Terms { today, most_bytes: self.shared.limits.settled, minutes_from_ms };
        let segments: Vec<_> = {
            let view = self.shared.view();
            view.segments
                .values()
                .filter(|facts| !self.broken.contains(&facts.id))
                .cloned()
                .collect()
        };
        let is_quiet = |tier: Tier, day: i64| {
            let since = self.newest.get(&(tier, day)).and_then(|(_, since)| *since);
            at_once || since.is_none_or(|since| since.elapsed() >= QUIET)
        };
        let Some(job) = next_job(segments.iter(), terms, is_quiet) else { return Ok(false) };
        drop(segments);
        if !self.has_room(&job)? {
            return Ok(false);
        }
        let began = Instant::now();
        let Some(facts) = self.write(&job, stop)? else {
            return Ok(!stop.load(Ordering::Relaxed));
        };
        let (of, id, bytes, tier) = (job.sources().len(), facts.id, facts.bytes, facts.tier.name());
        if self.publish(job, facts) {
            let seconds = began.elapsed().as_secs_f64();
            tracing::debug!(segment = id, tier, of, bytes, seconds, "store settled segments");
        }
        self.delete_replaced()?;
        Ok(true)
    }

    /// Whether replaced segments are still there, so that nothing else can be done.
    pub(super) fn is_waiting(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether the disk has room for a job that nobody waits for: what is left of a disk that fills up is for others.
    fn has_room(&self, job: &Job) -> Result<bool, StoreError> {
        let path = &self.shared.path;
        let left = disk::available(path).map_err(StoreError::file("measure", path))?;
        let bytes: u64 = job.sources().iter().map(|facts| facts.bytes).sum();
        let is_short = self.shared.is_short.load(Ordering::Relaxed);
        Ok(!is_short && left >= bytes + 2 * self.shared.limits.reserve)
    }

    /// Notes which days have a new segment.
    fn look(&mut self, since: Option<Instant>) {
        for facts in self.shared.view().segments.values().filter(|facts| !facts.settled) {
            let key = (facts.tier, facts.first_ms.div_euclid(DAY_MS));
            let newest = self.newest.entry(key).or_insert((0, None));
            if facts.id > newest.0 {
                *newest = (facts.id, since);
            }
        }
    }

    /// Writes what a job comes to, which counts from [`publish`](Self::publish) on; `None` if a source is broken, or it
    /// is time to stop.
    pub(super) fn write(
        &mut self,
        job: &Job,
        stop: &AtomicBool,
    ) -> Result<Option<SegmentFacts>, StoreError> {
        match self.try_write(job, stop) {
            Ok(facts) => Ok(Some(facts)),
            Err(Failure::Stopped) => Ok(None),
            Err(Failure::Disk(error)) => Err(error),
            Err(Failure::Broken((segment, error))) => {
                // Retention may have deleted it, which is nothing to be said.
                if self.shared.view().segments.contains_key(&segment) {
                    let error = chain(&error);
                    tracing::error!(segment, error, "store leaves a damaged segment as it is");
                    self.broken.insert(segment);
                }
                Ok(None)
            }
        }
    }

    fn try_write(&self, job: &Job, stop: &AtomicBool) -> Result<SegmentFacts, Failure> {
        let sources = Sources::open(&self.shared, job.sources())?;
        let families = families_of(&sources)?;
        let first = &job.sources()[0];
        let mut table = sources.table(&self.shared);
        let (tier, folded) = match job {
            Job::Merge(_) => (first.tier, first.folded),
            Job::Fold(_) => (first.tier.coarser().unwrap_or(first.tier), false),
        };
        match job {
            Job::Merge(_) => table.replaces = sources.replaces(),
            Job::Fold(of) => table.folds = of.iter().map(|facts| facts.id).collect(),
        }
        // What samples come to is as if it had been sealed beside them.
        let settled = first.tier != Tier::Raw || tier == Tier::Raw;
        let facts =
            SegmentFacts::empty(self.shared.next_segment(), tier, tier.span_of(first.first_ms));
        let facts = SegmentFacts { folded, settled, ..facts };
        let mut writer = SegmentWriter::create(&self.shared.segment_folder(), facts, self.store)?;
        let written = self.fill(&mut writer, &sources, &families, stop).and_then(|()| {
            writer.close(&table);
            Ok(write_out(&self.shared, &mut writer)?)
        });
        match written {
            Ok(()) => Ok(writer.finish()?),
            Err(failure) => {
                writer.abandon();
                Err(failure)
            }
        }
    }

    fn fill(
        &self,
        writer: &mut SegmentWriter,
        sources: &Sources,
        families: &[Family],
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let tier = writer.facts().tier;
        for family in families {
            let runs = match tier {
                Tier::Raw => {
                    let rows: Result<Vec<_>, _> =
                        family.iter().map(|piece| sources.rows(piece)).collect();
                    runs_of(family, &rows?)
                }
                _ => vec![one_run(family)],
            };
            for run in runs {
                for (series, pieces) in &run.columns {
                    let pieces: Vec<_> = pieces.iter().map(|number| &family[*number]).collect();
                    if tier == Tier::Raw {
                        sources.add_samples(writer, *series, &pieces, &run.times)?;
                    } else {
                        sources.add_rollups(writer, *series, &pieces, tier)?;
                    }
                    self.go_on(writer, stop)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what waits in memory once it is much, unless it is time to stop.
    fn go_on(&self, writer: &mut SegmentWriter, stop: &AtomicBool) -> Result<(), Failure> {
        if writer.pending() <= WRITE_BYTES {
            return Ok(());
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped);
        }
        Ok(write_out(&self.shared, writer)?)
    }

    /// Shows a new segment in the place of its sources, or beside them; whether these were still there.
    pub(super) fn publish(&mut self, job: Job, facts: SegmentFacts) -> bool {
        let mut view = self.shared.view_mut();
        if !job.sources().iter().all(|source| view.segments.contains_key(&source.id)) {
            // Retention was quicker: what it has deleted must not come back.
            drop(view);
            discard(&self.shared, &facts);
            return false;
        }
        self.shared.add_segment(&mut view, facts.clone());
        match job {
            Job::Merge(sources) => {
                let mut replaced = lock(&self.shared.replaced);
                for source in &sources {
                    view.segments.remove(&source.id);
                    replaced.insert(source.id, facts.id);
                }
                drop(replaced);
                drop(view);
                self.leaving = Some((sources, facts));
            }
            Job::Fold(sources) => {
                let mut news = vec![facts];
                for source in sources {
                    let folded = SegmentFacts { folded: true, ..(*source).clone() };
                    view.segments.insert(source.id, Arc::new(folded.clone()));
                    news.push(folded);
                }
                drop(view);
                self.shared.tell_segments(news);
            }
        }
        true
    }

    /// Deletes the replaced segments that nobody reads any more, and tells the state when none is left.
    fn delete_replaced(&mut self) -> Result<(), StoreError> {
        let Some((sources, facts)) = &mut self.leaving else { return Ok(()) };
        let mut failed = None;
        let folder = self.shared.segment_folder();
        sources.retain(|source| {
            if failed.is_some() || Arc::strong_count(source) > 1 {
                return true;
            }
            match remove_if_there(&source.path(&folder)) {
                Ok(()) => self.shared.forget_segment(source),
                Err(error) => failed = Some(error),
            }
            failed.is_some()
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if sources.is_empty() {
            // Retention may have deleted it meanwhile.
            if self.shared.view().segments.contains_key(&facts.id) {
                self.shared.tell_segments([facts.clone()]);
            }
            self.leaving = None;
        }
        Ok(())
    }
}
