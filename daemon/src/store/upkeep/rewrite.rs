//! Writing a damaged segment anew: of its columns that are whole, and of a coarser tier also of what the finer one still has.
//!
//! # Invariants
//!
//! - Each sample counts as often as before in every tier: a series is taken from the damaged segment or from the finer ones
//!   that it was made of, if these are whole or nothing else is left of it, never from both.
//! - What is lost in the end is told as a gap with its reason.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use super::{
    super::{
        StoreError,
        codec::{Effort, ROWS_MAX},
        gaps::{DAMAGED, Stretch},
        rollup::Rollup,
        segment::{SegmentFacts, SegmentWriter},
        table::{StreamEnd, Table},
    },
    check::SegmentAt,
    finer::Finer,
    repair::Repair,
    segment_scan::{Lost, SegmentFile, SegmentScan, Whole},
};
use crate::series::{Kind, Series, SeriesId};

/// So much of a segment waits in memory before it is written.
const PENDING_MAX: u64 = 16 << 20;

/// Series by number, as far as they are known.
type Known = BTreeMap<u32, Arc<Series>>;

/// A server and a collector.
type Whose = (Arc<str>, Arc<str>);

/// A segment that is being written anew.
struct Anew {
    writer: SegmentWriter,
    known: Known,
    series: BTreeMap<SeriesId, Arc<Series>>,
    ends: BTreeMap<Whose, StreamEnd>,
}

impl Repair {
    /// Writes a segment anew, and puts it in the place of the damaged one.
    pub(super) fn segment(&mut self, at: &SegmentAt) -> Result<(), StoreError> {
        let SegmentAt { path, facts } = at;
        let segments = self.check.path.join("segments");
        let store = self.check.store;
        let known = self.check.series.clone();
        let names = |id: SeriesId| known.get(&id.0).cloned();
        let file = SegmentFile { at, store, names: &names };
        // What it says of itself decides how it is written.
        let mut saved: HashMap<SeriesId, u64> = HashMap::new();
        let scan = file.scan(&mut |whole| {
            if let Whole::Rollups(id, rollups) = whole {
                *saved.entry(id).or_default() += weight(&rollups);
            }
        })?;
        let said = scan.facts.clone().unwrap_or_else(|| facts.clone());
        let flags = if facts.samples > 0 { facts } else { &said };
        let said = SegmentFacts { folded: flags.folded, settled: flags.settled, ..said };
        let folds = match &scan.table {
            Some(table) => table.folds.clone(),
            None => Finer::unclaimed(&segments, &said)?,
        };
        let mut finer = Finer::of(&segments, &said, &folds)?;
        let mended = mended(&mut finer, &scan, &saved, &known);

        let empty = SegmentFacts::empty(facts.id, said.tier, said.span);
        let (folded, settled) = (said.folded, said.settled);
        let empty = SegmentFacts { folded, settled, ..empty };
        let writer = SegmentWriter::create(&segments, empty, store.unwrap_or_default())?;
        let (series, ends) = (BTreeMap::new(), BTreeMap::new());
        let mut anew = Anew { writer, known: known.clone(), series, ends };
        let mut written = Ok(());
        let scanned = file.scan(&mut |whole| {
            let is_left_out = matches!(&whole, Whole::Rollups(id, _) if mended.contains(id));
            if written.is_ok() && !is_left_out {
                written = anew.add(whole);
            }
        });
        let filled = scanned.and(written).and_then(|()| {
            for id in &mended {
                let Some(series) = known.get(&id.0) else { continue };
                let rollups = finer.rollups(*id, series);
                for part in rollups.chunks(ROWS_MAX) {
                    anew.add(Whole::Rollups(*id, part.to_vec()))?;
                }
            }
            Ok(())
        });
        if let Err(error) = filled {
            anew.writer.abandon();
            return Err(error);
        }
        let is_mended =
            |lost: &Lost| finer.is_whole && lost.series.is_none_or(|id| mended.contains(&id));
        let lost: Vec<Lost> = scan.lost.iter().filter(|lost| !is_mended(lost)).copied().collect();
        self.tell_lost(&lost, scan.table.as_ref());
        if anew.writer.facts().samples == 0 {
            anew.writer.abandon();
            let aside = self.quarantine.take(path)?;
            self.changes.no_segment(facts.id);
            let (path, aside) = (path.display(), aside.display());
            self.told.push(format!("{path}: no column is whole: moved to {aside}, all is lost"));
            return Ok(());
        }
        let (facts, aside) = self.put_in_place(at, anew, (scan.table, folds))?;
        let of_finer = match mended.len() {
            0 => String::new(),
            some => format!(", {some} series made again of what is finer"),
        };
        self.told.push(format!(
            "{}: rewritten, {} samples saved{of_finer}, {} damages left out; the original is {}",
            path.display(),
            facts.samples,
            scan.damages.len(),
            aside.display()
        ));
        self.changes.segment(&facts);
        Ok(())
    }

    /// Finishes a segment where the damaged one stands; answers where that is kept.
    fn put_in_place(
        &mut self,
        at: &SegmentAt,
        mut anew: Anew,
        (table, folds): (Option<Table>, Vec<u64>),
    ) -> Result<(SegmentFacts, PathBuf), StoreError> {
        let numbers = anew.known.last_key_value().map_or(0, |(id, _)| id.saturating_add(1));
        let rebuilt = Table {
            numbers,
            series: anew.series.into_iter().collect(),
            streams: anew.ends.into_values().collect(),
            folds,
            ..Table::default()
        };
        anew.writer.close(&table.unwrap_or(rebuilt));
        if let Err(error) = anew.writer.write_out() {
            anew.writer.abandon();
            return Err(error);
        }
        let aside = self.quarantine.keep(&at.path)?;
        Ok((anew.writer.finish()?, aside))
    }

    /// Tells the state what is lost: of a series that is known, of its collector; else of all that the segment had, or
    /// that there are. It is shown where something is missing.
    pub(super) fn tell_lost(&mut self, lost: &[Lost], table: Option<&Table>) {
        let mut stretches: BTreeMap<Whose, Vec<(i64, i64)>> = BTreeMap::new();
        let of_segment = |table: &Table| -> Vec<Arc<Series>> {
            table.series.iter().map(|(_, series)| series.clone()).collect()
        };
        let all = table.map_or_else(|| self.check.series.values().cloned().collect(), of_segment);
        for lost in lost {
            let named = lost.series.and_then(|id| self.check.series.get(&id.0).cloned());
            let concerned = named.map_or_else(|| all.clone(), |series| vec![series]);
            for series in concerned.iter().filter(|series| !series.server.is_empty()) {
                let whose = (series.server.clone(), series.collector.clone());
                let to_ms = lost.last_ms.saturating_add(series.interval_ms.max(1).into());
                stretches.entry(whose).or_default().push((lost.first_ms, to_ms));
            }
        }
        for ((server, collector), mut stretches) in stretches {
            stretches.sort_unstable();
            for together in joined(&stretches) {
                let ((from_ms, to_ms), reason) = (together, DAMAGED.into());
                let gap = Stretch { from_ms, to_ms: Some(to_ms), away_until_ms: None, reason };
                self.changes.gap(&server, &collector, &gap);
                self.gaps += 1;
            }
        }
    }
}

impl Anew {
    fn add(&mut self, whole: Whole) -> Result<(), StoreError> {
        let (_, last_ms) = whole.span();
        let ids: Vec<SeriesId> = match &whole {
            Whole::Rows(group) => group.columns.iter().map(|column| column.series).collect(),
            Whole::Rollups(id, _) => vec![*id],
        };
        for id in ids {
            let Some(known) = self.known.get(&id.0) else { continue };
            self.series.insert(id, known.clone());
            let end = self.ends.entry((known.server.clone(), known.collector.clone()));
            let end = end.or_insert_with(|| end_of(known, last_ms));
            end.last_ms = end.last_ms.max(last_ms);
        }
        match whole {
            Whole::Rows(group) => self.writer.add(&group),
            Whole::Rollups(id, rollups) => {
                let kind = self.known.get(&id.0).map_or(Kind::Gauge, |known| known.kind);
                self.writer.add_rollups(id, kind, &rollups, Effort::Settled);
            }
        }
        if self.writer.pending() > PENDING_MAX { self.writer.write_out() } else { Ok(()) }
    }
}

/// The series of which the finer segments have more than could be read.
fn mended(
    finer: &mut Finer,
    scan: &SegmentScan,
    saved: &HashMap<SeriesId, u64>,
    known: &Known,
) -> BTreeSet<SeriesId> {
    if scan.lost.is_empty() {
        return BTreeSet::new();
    }
    let is_any = scan.lost.iter().any(|lost| lost.series.is_none());
    let named: BTreeSet<SeriesId> = scan.lost.iter().filter_map(|lost| lost.series).collect();
    let mut candidates = finer.series();
    candidates.retain(|id| is_any || named.contains(id));
    let weights: Vec<(SeriesId, u64)> = candidates
        .into_iter()
        .filter_map(|id| Some((id, weight(&finer.rollups(id, known.get(&id.0)?)))))
        .collect();
    let is_better = |(id, of_finer): &(SeriesId, u64)| {
        is_better(*of_finer, saved.get(id).copied().unwrap_or(0), finer.is_whole)
    };
    weights.into_iter().filter(is_better).map(|(id, _)| id).collect()
}

/// Whether the finer segments give more of a series than was saved. Where some of these are gone, each has something
/// that the other has not: what was saved stays then.
fn is_better(of_finer: u64, saved: u64, is_whole: bool) -> bool {
    of_finer > saved && (is_whole || saved == 0)
}

/// How many samples rollups stand for, those that are no numbers counted by their minute.
fn weight(rollups: &[Rollup]) -> u64 {
    rollups.iter().map(|rollup| rollup.count.max(1)).sum()
}

/// Stretches, in the order of their beginnings, with those that touch made one.
fn joined(stretches: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from_ms, to_ms) in stretches {
        match joined.last_mut() {
            Some((_, end_ms)) if from_ms <= end_ms => *end_ms = (*end_ms).max(*to_ms),
            _ => joined.push((*from_ms, *to_ms)),
        }
    }
    joined
}

fn end_of(series: &Series, last_ms: i64) -> StreamEnd {
    StreamEnd {
        server: series.server.clone(),
        collector: series.collector.clone(),
        interval_ms: series.interval_ms,
        last_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_left_out_only_for_what_is_whole() {
        assert!(is_better(100, 60, true));
        assert!(!is_better(60, 60, true), "as it was");
        assert!(!is_better(100, 60, false), "the 60 may be others than the 100");
        assert!(is_better(100, 0, false), "it is all that is left");
        assert!(!is_better(0, 0, false));
    }
}
