//! Every sample that is kept, series by series, oldest first and each once.
//!
//! # Invariants
//!
//! - Memory holds a day of one series and what of it is not sealed, however long the history is.
//! - A day is told only when all of it was read: a segment that is deleted meanwhile is looked for again among those
//!   that took its place.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    rc::Rc,
    sync::Arc,
};

use super::super::{
    StoreError,
    segment::{DAY_MS, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    sources::open,
    tier::Tier,
};
use crate::{
    logging::chain,
    series::{Series, SeriesId},
};

/// Segments that are kept open at once.
const OPEN_MOST: usize = 32;
/// How often a day is read again because segments of it went meanwhile.
const ATTEMPTS: usize = 5;

/// Which samples are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Of this server alone.
    pub server: Option<String>,
    /// Of this metric alone.
    pub metric: Option<String>,
    /// First instant wanted.
    pub from_ms: i64,
    /// First instant not wanted.
    pub to_ms: i64,
}

/// What was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dumped {
    /// Samples that were told.
    pub samples: u64,
    /// Columns that could not be read.
    pub damaged: u64,
}

/// Takes the samples of a series, some at a time; says whether more are wanted.
pub type TakeSamples<'a> = dyn FnMut(&Series, &[(i64, f64)]) -> ControlFlow<()> + 'a;

/// Reads samples out of a store.
pub(super) struct Dump<'a> {
    shared: &'a Shared,
    selection: &'a Selection,
    opened: VecDeque<(u64, Rc<Segment>)>,
    dumped: Dumped,
}

/// Samples of one day.
type Day = (Vec<Arc<SegmentFacts>>, Vec<(i64, f64)>);

impl<'a> Dump<'a> {
    /// Tells all that is selected, by metric, server and labels. Blocks on the disk.
    pub(super) fn run(
        shared: &'a Shared,
        selection: &'a Selection,
        each: &mut TakeSamples<'_>,
    ) -> Result<Dumped, StoreError> {
        let mut dump = Self::new(shared, selection);
        for id in selected(shared, selection) {
            let Some(series) = shared.catalog.get(id) else { continue };
            if dump.series(id, &series, each)?.is_break() {
                break;
            }
        }
        Ok(dump.dumped)
    }

    /// Nothing has been read yet.
    pub(super) fn new(shared: &'a Shared, selection: &'a Selection) -> Self {
        let (opened, dumped) = (VecDeque::new(), Dumped::default());
        Self { shared, selection, opened, dumped }
    }

    /// The times of a series' samples within the selection, ascending.
    pub(super) fn times(&mut self, id: SeriesId, series: &Series) -> Result<Vec<i64>, StoreError> {
        let mut times = Vec::new();
        let mut take = |_: &Series, samples: &[(i64, f64)]| {
            times.extend(samples.iter().map(|(at_ms, _)| *at_ms));
            ControlFlow::Continue(())
        };
        let _ = self.series(id, series, &mut take)?;
        Ok(times)
    }

    fn series(
        &mut self,
        id: SeriesId,
        series: &Series,
        each: &mut TakeSamples<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut next = i64::MIN;
        let mut attempts = 0;
        'look: loop {
            for (day, (segments, unsealed)) in self.days(id, series).range(next..) {
                let Some(samples) = self.day(id, segments, unsealed)? else {
                    attempts += 1;
                    if attempts > ATTEMPTS {
                        return Err(StoreError::Busy);
                    }
                    continue 'look;
                };
                if !samples.is_empty() {
                    self.dumped.samples += samples.len() as u64;
                    if each(series, &samples).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                (next, attempts) = (day + 1, 0);
            }
            return Ok(ControlFlow::Continue(()));
        }
    }

    /// Where samples of the series may stand, by day.
    fn days(&mut self, id: SeriesId, series: &Series) -> BTreeMap<i64, Day> {
        let Selection { from_ms, to_ms, .. } = *self.selection;
        let mut days: BTreeMap<i64, Day> = BTreeMap::new();
        let mut chunks = Vec::new();
        {
            // Sealing moves samples from one to the other.
            let view = self.shared.view();
            for stream in view.heads.of_server(&series.server) {
                chunks.extend(stream.chunks_within(from_ms, to_ms));
            }
            let raw = view.segments.values().filter(|facts| facts.tier == Tier::Raw);
            for facts in raw.filter(|facts| facts.first_ms < to_ms && facts.last_ms >= from_ms) {
                let last = facts.last_ms.min(to_ms.saturating_sub(1));
                for day in day_of(facts.first_ms.max(from_ms))..=day_of(last) {
                    days.entry(day).or_default().0.push(facts.clone());
                }
            }
        }
        for chunk in chunks {
            let Ok(wanted) = chunk.series.binary_search(&id) else { continue };
            let mut read = (&mut days, None);
            let whole = chunk.read(
                &mut read,
                |(_, found), column, value| {
                    if column == wanted {
                        *found = Some(value);
                    }
                },
                |(days, found), at_ms| {
                    let within = found.take().filter(|_| (from_ms..to_ms).contains(&at_ms));
                    if let Some(value) = within {
                        days.entry(day_of(at_ms)).or_default().1.push((at_ms, value));
                    }
                },
            );
            self.dumped.damaged += u64::from(!whole);
        }
        days
    }

    /// The samples of a day; `None` if a segment has gone.
    fn day(
        &mut self,
        id: SeriesId,
        segments: &[Arc<SegmentFacts>],
        unsealed: &[(i64, f64)],
    ) -> Result<Option<Vec<(i64, f64)>>, StoreError> {
        let mut samples = Vec::new();
        for facts in segments {
            match self.segment(facts) {
                Ok(Some(segment)) => self.read(&segment, id, &mut samples),
                Ok(None) => return Ok(None),
                Err(error) => self.left_out(&error),
            }
        }
        samples.extend_from_slice(unsealed);
        // Of what stands there twice, the first was taken in first.
        samples.sort_by_key(|(at_ms, _)| *at_ms);
        samples.dedup_by_key(|(at_ms, _)| *at_ms);
        Ok(Some(samples))
    }

    fn read(&mut self, segment: &Segment, id: SeriesId, samples: &mut Vec<(i64, f64)>) {
        let Selection { from_ms, to_ms, .. } = *self.selection;
        let entries = match segment.find(id) {
            Ok((entries, damaged)) => {
                self.dumped.damaged += u64::from(damaged);
                entries
            }
            Err(error) => return self.left_out(&error),
        };
        for entry in entries {
            let (first, last) = segment.span(&entry);
            if last < from_ms || first >= to_ms {
                continue;
            }
            let read = segment.rows(&entry).and_then(|rows| segment.values(&entry, &rows.times));
            match read {
                Ok(read) => {
                    let within = |(at_ms, _): &(i64, f64)| (from_ms..to_ms).contains(at_ms);
                    samples.extend(read.into_iter().filter(within));
                }
                Err(error) => self.left_out(&error),
            }
        }
    }

    fn left_out(&mut self, error: &StoreError) {
        tracing::error!(error = chain(error), "store left out a damaged column");
        self.dumped.damaged += 1;
    }

    /// An open segment; `None` if it has been deleted.
    fn segment(&mut self, facts: &SegmentFacts) -> Result<Option<Rc<Segment>>, StoreError> {
        if let Some((_, segment)) = self.opened.iter().find(|(id, _)| *id == facts.id) {
            return Ok(Some(segment.clone()));
        }
        let Some(segment) = open(self.shared, facts)?.map(Rc::new) else { return Ok(None) };
        if self.opened.len() == OPEN_MOST {
            self.opened.pop_front();
        }
        self.opened.push_back((facts.id, segment.clone()));
        Ok(Some(segment))
    }
}

/// The series that are selected: all of one metric stand together.
fn selected(shared: &Shared, selection: &Selection) -> Vec<SeriesId> {
    let wanted = |series: &Series| {
        // A number whose series is lost has no server.
        !series.server.is_empty()
            && selection.server.as_ref().is_none_or(|server| **server == *series.server)
            && selection.metric.as_ref().is_none_or(|metric| **metric == *series.metric)
    };
    let all = (0..shared.catalog.len()).filter_map(|index| u32::try_from(index).ok());
    let known = all.filter_map(|id| Some((shared.catalog.get(SeriesId(id))?, SeriesId(id))));
    let mut found: Vec<_> = known.filter(|(series, _)| wanted(series)).collect();
    found.sort_by(|(one, _), (other, _)| order(one).cmp(&order(other)));
    found.into_iter().map(|(_, id)| id).collect()
}

fn order(series: &Series) -> (&str, &str, &crate::series::Labels) {
    (&series.metric, &series.server, &series.labels)
}

fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}
