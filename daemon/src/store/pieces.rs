//! What of several segments belongs together, so that it can be written as one.
//!
//! A piece is what one segment has of the series of a collector for one stretch: its columns share their times. Pieces
//! that have a series in common are a family, mostly a collector.
//! Reading is strict: what is damaged is an error that names its segment.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    sync::Arc,
};

use super::{
    StoreError,
    codec::{Effort, ROWS_MAX},
    index::of_series,
    kept_rows::KeptRows,
    rollup::{Rollup, fold, interval_of},
    rollup_codec::Fields,
    rows::Rows,
    segment::{Entry, GroupColumn, SegmentFacts, SegmentWriter},
    segment_read::Segment,
    shared::Shared,
    table::{StreamEnd, Table},
    tier::Tier,
};
use crate::series::{Catalog, Kind, Series, SeriesId};

/// So many segments that are long gone are still named, the newest of them.
const REPLACED_MOST: usize = 4096;
/// So many rows are kept once they were read, 20 MB of them at most: more than a series has in all segments of a day or a
/// week. Series with holes of their own share none.
const ROWS_KEPT: usize = 1 << 19;

/// Something that a segment should have and has not.
pub(super) type Broken = (u64, StoreError);

/// Segments of one tier that are read whole.
pub(super) struct Sources {
    segments: Vec<Segment>,
    tables: Vec<Table>,
    tier: Tier,
    catalog: Arc<Catalog>,
    kept: RefCell<KeptRows>,
}

/// The columns of one segment that share their times, by series.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) source: usize,
    pub(super) entries: Vec<Entry>,
    pub(super) first_ms: i64,
}

/// Pieces that have a series in common, in the order of time.
pub(super) type Family = Vec<Piece>;

impl Sources {
    /// Opens segments of one tier.
    pub(super) fn open(shared: &Shared, facts: &[Arc<SegmentFacts>]) -> Result<Self, Broken> {
        let (mut segments, mut tables) = (Vec::new(), Vec::new());
        for facts in facts {
            let opened = Segment::open(&facts.path(&shared.segment_folder()), facts.id);
            let read = opened.and_then(|segment| Ok((segment.table()?, segment)));
            let (table, segment) = read.map_err(|error| (facts.id, error))?;
            tables.push(table);
            segments.push(segment);
        }
        let tier = facts.first().map_or(Tier::Raw, |facts| facts.tier);
        let (catalog, kept) = (shared.catalog.clone(), RefCell::new(KeptRows::new(ROWS_KEPT)));
        Ok(Self { segments, tables, tier, catalog, kept })
    }

    /// What the new segment says of itself: the series and ends of all.
    pub(super) fn table(&self, shared: &Shared) -> Table {
        let numbers = u32::try_from(shared.catalog.len()).unwrap_or(u32::MAX);
        let mut series = BTreeMap::new();
        let mut ends: BTreeMap<_, StreamEnd> = BTreeMap::new();
        for table in &self.tables {
            let now =
                |id, stated: &Arc<Series>| shared.catalog.get(id).unwrap_or_else(|| stated.clone());
            // A number that was never given is not passed on.
            let given = table.series.iter().filter(|(id, _)| id.0 < numbers);
            series.extend(given.map(|(id, stated)| (*id, now(*id, stated))));
            for end in &table.streams {
                let known = ends.entry((end.server.clone(), end.collector.clone()));
                let known = known.or_insert_with(|| end.clone());
                if end.last_ms > known.last_ms {
                    *known = end.clone();
                }
            }
        }
        Table {
            numbers,
            series: series.into_iter().collect(),
            streams: ends.into_values().collect(),
            // Whatever they hold too, this will.
            folds: self.tables.iter().flat_map(|table| table.folds.clone()).collect(),
            ..Table::default()
        }
    }

    /// What a segment in their place replaces: themselves, and what they have replaced before, since coarser segments may
    /// still name that as what they were made of.
    pub(super) fn replaces(&self) -> Vec<u64> {
        let before = self.tables.iter().flat_map(|table| table.replaces.iter().copied());
        let before: BTreeSet<u64> = before.collect();
        let own = self.segments.iter().map(|segment| segment.facts().id);
        own.chain(before.into_iter().rev().take(REPLACED_MOST)).collect()
    }

    /// The rows of a piece.
    pub(super) fn rows(&self, piece: &Piece) -> Result<Rc<Rows>, Broken> {
        let segment = &self.segments[piece.source];
        let rows = self.kept.borrow_mut().of(segment, &piece.entries[0]);
        rows.map_err(|error| (segment.facts().id, error))
    }

    /// Adds the samples of one series to what is written, in these rows.
    pub(super) fn add_samples(
        &self,
        writer: &mut SegmentWriter,
        series: SeriesId,
        pieces: &[&Piece],
        rows: &[i64],
    ) -> Result<(), Broken> {
        let mut samples = Vec::new();
        for piece in pieces {
            samples.extend(self.samples(piece, series)?);
        }
        // Lanes may have taken turns, and what was read back from a damaged log may be there twice.
        samples.sort_by_key(|(at_ms, _)| *at_ms);
        samples.dedup_by_key(|(at_ms, _)| *at_ms);
        let mut rest = &samples[..];
        for rows in rows.chunks(ROWS_MAX) {
            let end = rows.last().map_or(0, |last| rest.partition_point(|(at, _)| at <= last));
            let (within, after) = rest.split_at(end);
            rest = after;
            let mut row = 0;
            let mut column = GroupColumn { series, rows: Vec::new(), values: Vec::new() };
            for (at_ms, value) in within {
                row += rows[row..].partition_point(|time| time < at_ms);
                column.rows.push(row as u16);
                column.values.push(*value);
            }
            writer.add_column(rows, &column, Effort::Settled);
        }
        Ok(())
    }

    /// Adds the rollups of one series to what is written, as `tier` has them.
    pub(super) fn add_rollups(
        &self,
        writer: &mut SegmentWriter,
        series: SeriesId,
        pieces: &[&Piece],
        tier: Tier,
    ) -> Result<(), Broken> {
        let kind = self.catalog.get(series).map_or(Kind::Gauge, |series| series.kind);
        let mut parts = Vec::new();
        for piece in pieces {
            parts.extend(self.rollups(piece, series, kind)?);
        }
        parts.sort_by_key(|part| part.first_ms);
        let effort = if self.tier == Tier::Raw { Effort::Fresh } else { Effort::Settled };
        let folded = fold(kind, tier.step_ms().unwrap_or(1), parts);
        for part in folded.chunks(ROWS_MAX) {
            writer.add_rollups(series, kind, part, effort);
        }
        Ok(())
    }

    fn samples(&self, piece: &Piece, series: SeriesId) -> Result<Vec<(i64, f64)>, Broken> {
        let (segment, rows) = (&self.segments[piece.source], self.rows(piece)?);
        let mut samples = Vec::new();
        for entry in piece.entries_of(series) {
            let read = segment.values(entry, &rows.times);
            samples.extend(read.map_err(|error| (segment.facts().id, error))?);
        }
        Ok(samples)
    }

    fn rollups(&self, piece: &Piece, series: SeriesId, kind: Kind) -> Result<Vec<Rollup>, Broken> {
        if self.tier != Tier::Raw {
            let (segment, rows) = (&self.segments[piece.source], self.rows(piece)?);
            let mut rollups = Vec::new();
            for entry in piece.entries_of(series) {
                let read = segment.rollups(entry, &rows, Fields::ALL);
                rollups.extend(read.map_err(|error| (segment.facts().id, error))?);
            }
            return Ok(rollups);
        }
        let samples = self.samples(piece, series)?;
        let known = self.catalog.get(series).map_or(1, |series| series.interval_ms);
        let interval_ms = interval_of(samples.iter().map(|(at_ms, _)| *at_ms), known);
        let rollup = |(at, value)| Rollup::of(kind, at, at, value, interval_ms);
        Ok(samples.into_iter().map(rollup).collect())
    }
}

/// The pieces of all sources, by family.
pub(super) fn families_of(sources: &Sources) -> Result<Vec<Family>, Broken> {
    let mut pieces = Vec::new();
    for (source, segment) in sources.segments.iter().enumerate() {
        let facts = segment.facts();
        let mut entries = segment.entries().map_err(|error| (facts.id, error))?;
        entries.sort_unstable_by_key(|entry| (entry.times.at, entry.series));
        for of_piece in entries.chunk_by(|one, other| one.times == other.times) {
            let first = of_piece.iter().map(|entry| segment.span(entry).0).min();
            let Some(first_ms) = first else { continue };
            pieces.push(Piece { source, entries: of_piece.to_vec(), first_ms });
        }
    }
    Ok(families(pieces))
}

/// Puts together the pieces that have a series in common, directly or by way of others.
fn families(pieces: Vec<Piece>) -> Vec<Family> {
    // Each piece points to one of its family, and that to another, up to one that points to itself.
    let mut leads: Vec<usize> = (0..pieces.len()).collect();
    let mut of_series: HashMap<SeriesId, usize> = HashMap::new();
    for (number, piece) in pieces.iter().enumerate() {
        for entry in &piece.entries {
            let other = *of_series.entry(entry.series).or_insert(number);
            let (one, other) = (lead(&mut leads, number), lead(&mut leads, other));
            leads[one.max(other)] = one.min(other);
        }
    }
    let mut families: BTreeMap<usize, Vec<Piece>> = BTreeMap::new();
    for (number, piece) in pieces.into_iter().enumerate() {
        families.entry(lead(&mut leads, number)).or_default().push(piece);
    }
    let mut families: Vec<_> = families.into_values().collect();
    for family in &mut families {
        family.sort_by_key(|piece| piece.first_ms);
    }
    families
}

/// The first piece of a family.
fn lead(leads: &mut [usize], piece: usize) -> usize {
    let mut at = piece;
    while leads[at] != at {
        leads[at] = leads[leads[at]];
        at = leads[at];
    }
    at
}

impl Piece {
    /// What it has of a series: more than one entry where lanes that stand at the same times share it.
    fn entries_of(&self, series: SeriesId) -> &[Entry] {
        of_series(&self.entries, series)
    }
}
