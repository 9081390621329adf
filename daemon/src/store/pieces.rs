//! What of several segments belongs together, so that it can be written as one.
//!
//! A piece is what one segment has of the series of a collector for one stretch: its columns share their times. Pieces
//! that have a series in common are a family, mostly a collector; pieces of a family that are written as one are a run.
//! Reading is strict: what is damaged is an error that names its segment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    StoreError,
    codec::{Effort, ROWS_MAX},
    rollup::{Rollup, fold},
    sealing::shortest,
    segment::{Entry, GroupColumn, SegmentFacts, SegmentWriter},
    segment_read::Segment,
    shared::Shared,
    table::{StreamEnd, Table},
    tier::Tier,
};
use crate::series::{Catalog, Kind, Series, SeriesId};

/// Something that a segment should have and has not.
pub(super) type Broken = (u64, StoreError);

/// Segments of one tier that are read whole.
pub(super) struct Sources {
    segments: Vec<Segment>,
    tables: Vec<Table>,
    tier: Tier,
    catalog: Arc<Catalog>,
    /// The times of the pieces of the run that is being read.
    times: Vec<Vec<i64>>,
    run: Option<(usize, usize)>,
}

/// The columns of one segment that share their times, by series.
#[derive(Debug, Clone)]
struct Piece {
    source: usize,
    entries: Vec<Entry>,
    first_ms: i64,
    last_ms: i64,
    rows: usize,
}

/// All pieces by family, each in the order of time.
pub(super) struct Pieces(Vec<Vec<Piece>>);

/// Pieces of one family that are written as one.
pub(super) struct Run<'a> {
    number: (usize, usize),
    pieces: &'a [Piece],
    /// The series that any of them has, in order.
    pub(super) series: Vec<SeriesId>,
}

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
        let (catalog, times, run) = (shared.catalog.clone(), Vec::new(), None);
        Ok(Self { segments, tables, tier, catalog, times, run })
    }

    /// What the new segment says of itself: the series and ends of all.
    pub(super) fn table(&self, shared: &Shared) -> Table {
        let mut series = BTreeMap::new();
        let mut ends: BTreeMap<_, StreamEnd> = BTreeMap::new();
        for table in &self.tables {
            let now =
                |id, stated: &Arc<Series>| shared.catalog.get(id).unwrap_or_else(|| stated.clone());
            series.extend(table.series.iter().map(|(id, stated)| (*id, now(*id, stated))));
            for end in &table.streams {
                let known = ends.entry((end.server.clone(), end.collector.clone()));
                let known = known.or_insert_with(|| end.clone());
                if end.last_ms > known.last_ms {
                    *known = end.clone();
                }
            }
        }
        Table {
            numbers: u32::try_from(shared.catalog.len()).unwrap_or(u32::MAX),
            series: series.into_iter().collect(),
            streams: ends.into_values().collect(),
            ..Table::default()
        }
    }

    /// Adds what a run has of one series to what is written, as `tier` has it.
    pub(super) fn add_column(
        &mut self,
        writer: &mut SegmentWriter,
        run: &Run<'_>,
        series: SeriesId,
        tier: Tier,
    ) -> Result<(), Broken> {
        self.read_times(run)?;
        if tier == Tier::Raw {
            let mut joined = GroupColumn { series, rows: Vec::new(), values: Vec::new() };
            let mut first_row = 0;
            for (piece, times) in run.pieces.iter().zip(&self.times) {
                let mut row = 0;
                for (at_ms, value) in self.samples(piece, series, times)? {
                    row += times[row..].partition_point(|time| *time < at_ms);
                    joined.rows.push((first_row + row) as u16);
                    joined.values.push(value);
                }
                first_row += times.len();
            }
            writer.add_column(&self.times.concat(), &joined, Effort::Settled);
            return Ok(());
        }
        let kind = self.catalog.get(series).map_or(Kind::Gauge, |series| series.kind);
        let mut parts = Vec::new();
        for (piece, times) in run.pieces.iter().zip(&self.times) {
            parts.extend(self.rollups(piece, series, times, kind)?);
        }
        parts.sort_by_key(|part| part.first_ms);
        let effort = if self.tier == Tier::Raw { Effort::Fresh } else { Effort::Settled };
        let folded = fold(kind, tier.step_ms().unwrap_or(1), parts);
        for part in folded.chunks(ROWS_MAX) {
            writer.add_rollups(series, kind, part, effort);
        }
        Ok(())
    }

    fn read_times(&mut self, run: &Run<'_>) -> Result<(), Broken> {
        if self.run != Some(run.number) {
            let read = run.pieces.iter().map(|piece| {
                let segment = &self.segments[piece.source];
                segment.times(&piece.entries[0]).map_err(|error| (segment.facts().id, error))
            });
            self.times = read.collect::<Result<_, _>>()?;
            self.run = Some(run.number);
        }
        Ok(())
    }

    fn samples(
        &self,
        piece: &Piece,
        series: SeriesId,
        times: &[i64],
    ) -> Result<Vec<(i64, f64)>, Broken> {
        let Some(entry) = piece.entry(series) else { return Ok(Vec::new()) };
        let segment = &self.segments[piece.source];
        let samples = segment.values(entry, times);
        samples.map_err(|error| (segment.facts().id, error))
    }

    fn rollups(
        &self,
        piece: &Piece,
        series: SeriesId,
        times: &[i64],
        kind: Kind,
    ) -> Result<Vec<Rollup>, Broken> {
        if self.tier != Tier::Raw {
            let Some(entry) = piece.entry(series) else { return Ok(Vec::new()) };
            let segment = &self.segments[piece.source];
            let rollups = segment.rollups(entry, times);
            return rollups.map_err(|error| (segment.facts().id, error));
        }
        let interval_ms = shortest(times).unwrap_or(1);
        let samples = self.samples(piece, series, times)?.into_iter();
        Ok(samples.map(|(at, value)| Rollup::of(kind, at, at, value, interval_ms)).collect())
    }
}

/// The pieces of all sources.
pub(super) fn pieces_of(sources: &Sources) -> Result<Pieces, Broken> {
    let mut pieces = Vec::new();
    for (source, segment) in sources.segments.iter().enumerate() {
        let facts = segment.facts();
        let mut entries = segment.entries().map_err(|error| (facts.id, error))?;
        entries.sort_unstable_by_key(|entry| (entry.times.at, entry.series));
        for of_piece in entries.chunk_by(|one, other| one.times == other.times) {
            let times = segment.times(&of_piece[0]).map_err(|error| (facts.id, error))?;
            let (Some(&first_ms), Some(&last_ms)) = (times.first(), times.last()) else { continue };
            let rows = times.len();
            pieces.push(Piece { source, entries: of_piece.to_vec(), first_ms, last_ms, rows });
        }
    }
    Ok(Pieces(families(pieces)))
}

/// Puts together the pieces that have a series in common, directly or by way of others.
fn families(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
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
    fn entry(&self, series: SeriesId) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&series, |entry| entry.series).ok()?;
        self.entries.get(at)
    }
}

impl Pieces {
    /// What is written as one, in a segment of `tier`: of samples no more than a block holds, and none out of order;
    /// of rollups all of a family, since what stands in the same stretch becomes one.
    pub(super) fn runs(&self, tier: Tier) -> impl Iterator<Item = Run<'_>> {
        self.0.iter().enumerate().flat_map(move |(family, pieces)| {
            let mut rows = 0;
            let belong = move |one: &Piece, other: &Piece| {
                rows = if rows == 0 { one.rows } else { rows };
                let follows = one.last_ms < other.first_ms && rows + other.rows <= ROWS_MAX;
                let is_one = tier != Tier::Raw || follows;
                rows = if is_one { rows + other.rows } else { 0 };
                is_one
            };
            let runs = pieces.chunk_by(belong).enumerate();
            runs.map(move |(run, pieces)| {
                let all = pieces.iter().flat_map(|piece| &piece.entries);
                let mut series: Vec<SeriesId> = all.map(|entry| entry.series).collect();
                series.sort_unstable();
                series.dedup();
                Run { number: (family, run), pieces, series }
            })
        })
    }
}
