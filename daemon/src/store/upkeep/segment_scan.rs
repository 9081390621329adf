//! Reading one segment whole: which columns are damaged, and what stands in the others.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use super::{
    super::{
        StoreError,
        index_page::found_entries,
        rollup::Rollup,
        rollup_codec::Fields,
        segment::{Entry, Group, GroupColumn, HEADER, MAGIC, Place, SegmentFacts},
        segment_read::Segment,
        table::Table,
        tier::Tier,
    },
    check::SegmentAt,
    damage::{Concerned, Damage},
};
use crate::series::{Series, SeriesId};

/// Names series by their number, as far as they are known.
pub(super) type Names<'a> = dyn Fn(SeriesId) -> Option<Arc<Series>> + 'a;

/// What a segment says besides its columns.
#[derive(Debug, Default)]
pub(super) struct SegmentScan {
    /// Its table, if that is whole.
    pub(super) table: Option<Table>,
    /// What is wrong.
    pub(super) damages: Vec<Damage>,
    /// Samples, or rollups, that can be read.
    pub(super) samples: u64,
    /// What the segment says of itself, or what else is known of it.
    pub(super) facts: Option<SegmentFacts>,
    /// What cannot be read.
    pub(super) lost: Vec<Lost>,
}

/// Times from which something is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    /// Of this series; of whichever, if nobody knows.
    pub(super) series: Option<SeriesId>,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

impl Lost {
    /// Something of a segment, of which no more is known.
    pub(super) fn of(facts: &SegmentFacts) -> Self {
        let (mut first_ms, mut last_ms) = (facts.first_ms, facts.last_ms);
        if first_ms > last_ms {
            first_ms = facts.span.saturating_mul(facts.tier.span_ms());
            last_ms = first_ms.saturating_add(facts.tier.span_ms() - 1);
        }
        Self { series: None, first_ms, last_ms }
    }
}

/// Something that passes its checksums.
pub(super) enum Whole {
    /// Rows of samples.
    Rows(Group),
    /// Rollups of one series.
    Rollups(SeriesId, Vec<Rollup>),
}

impl Whole {
    /// Times of the first and last sample.
    pub(super) fn span(&self) -> (i64, i64) {
        let span = match self {
            Self::Rows(group) => group.times.first().copied().zip(group.times.last().copied()),
            Self::Rollups(_, rollups) => rollups
                .first()
                .zip(rollups.last())
                .map(|(one, other)| (one.first_ms, other.last_ms)),
        };
        span.unwrap_or((i64::MAX, i64::MIN))
    }
}

/// A segment, and who names its series where it does not.
pub(super) struct SegmentFile<'a> {
    pub(super) at: &'a SegmentAt,
    /// What the store is called, if that is known.
    pub(super) store: Option<u128>,
    pub(super) names: &'a Names<'a>,
}

impl SegmentFile<'_> {
    /// Reads all of it; `each` is told what can be read.
    pub(super) fn scan(&self, each: &mut dyn FnMut(Whole)) -> Result<SegmentScan, StoreError> {
        let mut scan = SegmentScan::default();
        let (segment, entries) = match Segment::open(self.path(), self.id()) {
            Ok(segment) => {
                let entries = self.entries(&segment, &mut scan)?;
                match segment.table() {
                    Ok(table) => scan.table = Some(table),
                    Err(error) => scan.damages.push(self.of_file(what(error)?)),
                }
                (segment, entries)
            }
            Err(error) => {
                scan.damages.push(self.of_file(what(error)?));
                let bytes = fs::read(self.path()).map_err(StoreError::file("read", self.path()))?;
                let segment =
                    Segment::without_footer(self.path(), self.facts_without_footer(&bytes))?;
                scan.lost.push(Lost::of(segment.facts()));
                (segment, found_entries(&bytes, self.id()))
            }
        };
        let mut header =
            fs::File::open(self.path()).map_err(StoreError::file("read", self.path()))?;
        let mut first = [0; HEADER];
        let whole = std::io::Read::read_exact(&mut header, &mut first).is_ok()
            && first[..4] == *MAGIC
            && first[8..16] == self.id().to_le_bytes()
            && self.store.is_none_or(|store| first[16..] == store.to_le_bytes());
        if !whole && scan.damages.is_empty() {
            let what = "its header is damaged";
            scan.damages.push(Damage::new(self.path(), (0, HEADER as u64), what));
        }
        self.columns(&segment, entries, &mut scan, each)?;
        let told = segment.facts().samples;
        scan.facts = Some(segment.facts().clone());
        if told > 0 && told == scan.samples {
            scan.lost.clear();
        }
        if scan.damages.is_empty() && told != scan.samples {
            let what = format!("it holds {} samples and says {told}", scan.samples);
            scan.damages.push(self.of_file(&what));
        }
        Ok(scan)
    }

    fn entries(&self, segment: &Segment, scan: &mut SegmentScan) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let mut damaged = Vec::new();
        let read = segment.each_page(|page| {
            entries.extend_from_slice(&page.entries);
            if !page.whole {
                damaged.push((page.at, page.length));
            }
        });
        if let Err(error) = read {
            scan.damages.push(self.of_file(what(error)?));
            scan.lost.push(Lost::of(segment.facts()));
        }
        for place in damaged {
            scan.lost.push(Lost::of(segment.facts()));
            let what = "a page of the index is damaged, and the columns with it";
            scan.damages.push(Damage::new(self.path(), place, what));
        }
        Ok(entries)
    }

    fn columns(
        &self,
        segment: &Segment,
        mut entries: Vec<Entry>,
        scan: &mut SegmentScan,
        each: &mut dyn FnMut(Whole),
    ) -> Result<(), StoreError> {
        entries.sort_unstable_by_key(|entry| (entry.times.at, entry.times.length, entry.values.at));
        for entries in entries.chunk_by(|one, other| one.times == other.times) {
            let Some(first) = entries.first() else { continue };
            let rows = match segment.rows(first) {
                Ok(rows) => rows,
                Err(error) => {
                    let mut damage = self.of_place(first.times, what(error)?);
                    for entry in entries {
                        damage.concerns(self.concerned(segment, entry, scan));
                        scan.lost.push(lost(segment, entry));
                    }
                    scan.damages.push(damage);
                    continue;
                }
            };
            let mut row_of = BTreeMap::new();
            if segment.facts().tier == Tier::Raw {
                row_of.extend(rows.times.iter().copied().zip(0u16..));
            }
            let mut columns = Vec::with_capacity(entries.len());
            for entry in entries {
                if segment.facts().tier != Tier::Raw {
                    match segment.rollups(entry, &rows, Fields::ALL) {
                        Ok(rollups) => {
                            scan.samples += rollups.len() as u64;
                            each(Whole::Rollups(entry.series, rollups));
                        }
                        Err(error) => self.lose(segment, entry, what(error)?, scan),
                    }
                    continue;
                }
                match segment.values(entry, &rows.times) {
                    Ok(samples) => {
                        scan.samples += samples.len() as u64;
                        let (rows, values) = samples
                            .into_iter()
                            .filter_map(|(at_ms, value)| Some((*row_of.get(&at_ms)?, value)))
                            .unzip();
                        columns.push(GroupColumn { series: entry.series, rows, values });
                    }
                    Err(error) => self.lose(segment, entry, what(error)?, scan),
                }
            }
            if !columns.is_empty() {
                each(Whole::Rows(Group { times: rows.times, columns }));
            }
        }
        Ok(())
    }

    /// A column is damaged.
    fn lose(&self, segment: &Segment, entry: &Entry, what: &str, scan: &mut SegmentScan) {
        let mut damage = self.of_place(entry.values, what);
        damage.concerns(self.concerned(segment, entry, scan));
        scan.damages.push(damage);
        scan.lost.push(lost(segment, entry));
    }

    fn path(&self) -> &Path {
        &self.at.path
    }

    fn id(&self) -> u64 {
        self.at.facts.id
    }

    /// What is known of a segment that has lost its footer: from the state, else from the flags of its header. Nothing
    /// vouches for those; without them, samples count as folded, since all that were ever sealed with minutes are.
    fn facts_without_footer(&self, bytes: &[u8]) -> SegmentFacts {
        let facts = self.at.facts.clone();
        if facts.samples > 0 {
            return facts;
        }
        match bytes.first_chunk::<HEADER>() {
            Some(header) if header[..4] == *MAGIC => {
                let flags = if header[4..6] == [1, 0] { 0 } else { header[6] };
                SegmentFacts { folded: flags & 4 != 0, settled: flags & 8 != 0, ..facts }
            }
            _ => SegmentFacts { folded: facts.tier == Tier::Raw, settled: true, ..facts },
        }
    }

    fn concerned(&self, segment: &Segment, entry: &Entry, scan: &SegmentScan) -> Concerned {
        let own = scan.table.as_ref().and_then(|table| {
            let at = table.series.binary_search_by_key(&entry.series, |(id, _)| *id).ok()?;
            table.series.get(at).map(|(_, series)| series.clone())
        });
        let series = match own.or_else(|| (self.names)(entry.series)) {
            Some(series) => format!("{}: {}{}", series.server, series.metric, series.labels),
            None => format!("series {}, whose name is lost", entry.series.0),
        };
        let (from_ms, to_ms) = segment.span(entry);
        Concerned { series, from_ms: Some(from_ms), to_ms: Some(to_ms) }
    }

    fn of_place(&self, place: Place, what: &str) -> Damage {
        Damage::new(self.path(), (place.at.into(), place.length.into()), what)
    }

    fn of_file(&self, what: &str) -> Damage {
        let bytes = fs::metadata(self.path()).map_or(0, |facts| facts.len());
        Damage::new(self.path(), (0, bytes), what)
    }
}

fn lost(segment: &Segment, entry: &Entry) -> Lost {
    let (first_ms, last_ms) = segment.span(entry);
    Lost { series: Some(entry.series), first_ms, last_ms }
}

/// What an error says of the bytes; that the file has gone is none of theirs.
fn what(error: StoreError) -> Result<&'static str, StoreError> {
    match error {
        StoreError::Damaged { what, .. } => Ok(what),
        StoreError::File { source, .. } if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            Ok("it points behind its end")
        }
        StoreError::File { source, .. } if source.kind() != std::io::ErrorKind::NotFound => {
            Ok("the disk fails to read it")
        }
        error => Err(error),
    }
}
