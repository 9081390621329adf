//! What a log is made of: frames, series, gaps, and the mark of a clean stop.
//!
//! ```text
//!  [length u32][crc32c u32][kind u8][version u8][body]      little-endian
//! ```
//!
//! The checksum is seeded with the number of the file and the place in it, so
//! that bytes left from elsewhere never pass for a record. Numbers of schemas
//! hold within one file; a key frame carries its whole schema.

use std::sync::Arc;

use super::wire::{Input, put_i64, put_ids, put_series, put_text, put_u64};
use crate::series::{Gap, Series, SeriesId};

/// No record is longer, header included.
pub(super) const RECORD_MAX: usize = 16 << 20;

/// No filler is shorter: the header, and a mark of a stop, which counts only at the end of a log.
pub(super) const FILLER_LEAST: usize = 10;

const VERSION: u8 = 1;
const FRAME: u8 = 1;
const SERIES: u8 = 2;
const GAP: u8 = 3;
const STOP: u8 = 4;

/// A record as it is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record<'a> {
    /// What one collector read at one instant.
    Frame(FrameRecord<'a>),
    /// A number and the series it stands for.
    Series(SeriesId, Series),
    /// A stretch without samples began or ended.
    Gap(Gap),
    /// The daemon stopped in good order.
    Stop,
}

/// A frame, still in the form of [`super::delta`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FrameRecord<'a> {
    /// Number of the schema within its file.
    pub(super) schema: u64,
    /// Who it comes from and what it holds; in key frames only.
    pub(super) definition: Option<Schema>,
    /// The frame's head.
    pub(super) head: u8,
    /// The frame's body.
    pub(super) body: &'a [u8],
}

/// What the frames of a collector hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    /// Name of the server.
    pub(super) server: Arc<str>,
    /// Name of the collector.
    pub(super) collector: Arc<str>,
    /// Time between two frames, in milliseconds.
    pub(super) interval_ms: u32,
    /// The series, ascending: the columns of its frames.
    pub(super) series: Arc<[SeriesId]>,
}

/// Records on their way into the file `sequence`, the first of them at `offset`.
#[derive(Debug)]
pub(super) struct Records {
    /// The bytes to write.
    pub(super) bytes: Vec<u8>,
    sequence: u64,
    offset: u64,
}

impl Records {
    /// Starts with none.
    pub(super) fn new(sequence: u64, offset: u64) -> Self {
        Self { bytes: Vec::new(), sequence, offset }
    }

    /// Adds a frame; `schema` is given with key frames.
    pub(super) fn frame(&mut self, number: u64, schema: Option<&Schema>, head: u8, body: &[u8]) {
        self.add(FRAME, |out| {
            put_u64(out, number);
            out.push(head);
            if let Some(schema) = schema {
                put_text(out, &schema.server);
                put_text(out, &schema.collector);
                put_u64(out, schema.interval_ms.into());
                put_ids(out, &schema.series);
            }
            out.extend_from_slice(body);
        });
    }

    /// Adds a series.
    pub(super) fn series(&mut self, id: SeriesId, series: &Series) {
        self.add(SERIES, |out| {
            put_u64(out, id.0.into());
            put_series(out, series);
        });
    }

    /// Adds a gap.
    pub(super) fn gap(&mut self, gap: &Gap) {
        self.add(GAP, |out| put_gap(out, gap));
    }

    /// Adds the mark of a clean stop.
    pub(super) fn stop(&mut self) {
        self.add(STOP, |_| ());
    }

    /// Adds `length` bytes, header included, that say nothing: they stand where something was lost, so that what
    /// follows keeps its place.
    pub(super) fn filler(&mut self, length: usize) {
        self.add(STOP, |out| out.resize(out.len() + length.saturating_sub(FILLER_LEAST), 0));
    }

    fn add(&mut self, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&[kind, VERSION]);
        body(&mut self.bytes);
        let length = (self.bytes.len() - start - 8) as u32;
        let sum = checksum(self.sequence, self.offset + start as u64, &self.bytes[start + 8..]);
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.bytes[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    }
}

/// A gap as it stands in a record.
fn put_gap(out: &mut Vec<u8>, gap: &Gap) {
    put_text(out, &gap.server);
    put_text(out, &gap.collector);
    put_i64(out, gap.from_ms);
    out.push(u8::from(gap.to_ms.is_some()));
    put_i64(out, gap.to_ms.unwrap_or_default());
    put_text(out, &gap.reason);
}

fn read_gap(input: &mut Input<'_>) -> Option<Gap> {
    let [server, collector] = [input.text()?.into(), input.text()?.into()];
    let from_ms = input.i64()?;
    let ended = input.u8()? == 1;
    let to_ms = Some(input.i64()?).filter(|_| ended);
    Some(Gap { server, collector, from_ms, to_ms, reason: input.text()?.into() })
}

fn checksum(sequence: u64, offset: u64, covered: &[u8]) -> u32 {
    // Nothing that is made up would come past it.
    if cfg!(fuzzing) {
        return 0;
    }
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&sequence.to_le_bytes());
    seed[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), covered)
}

/// The length of the record that `bytes` begin with, header included, if a whole one stands there; `offset` is its
/// place in the file `sequence`.
pub(super) fn record_at(bytes: &[u8], sequence: u64, offset: u64) -> Option<usize> {
    let mut input = Input::new(bytes);
    let length = u32::from_le_bytes(input.array()?) as usize;
    let sum = u32::from_le_bytes(input.array()?);
    if !(2..=RECORD_MAX - 8).contains(&length) {
        return None;
    }
    let covered = input.take(length)?;
    // Cheap first: this is asked of every byte behind a damage.
    let plausible = (FRAME..=STOP).contains(&covered[0]) && covered[1] == VERSION;
    (plausible && checksum(sequence, offset, covered) == sum).then_some(8 + length)
}

/// Reads a record that [`record_at`] has found; `None` if its body makes no sense.
pub(super) fn read_record(record: &[u8]) -> Option<Record<'_>> {
    let mut input = Input::new(record.get(8..)?);
    let kind = input.u8()?;
    input.u8()?;
    match kind {
        FRAME => {
            let (schema, head) = (input.u64()?, input.u8()?);
            let definition = if head & 0x7f == 0 { Some(read_schema(&mut input)?) } else { None };
            let body = input.rest();
            Some(Record::Frame(FrameRecord { schema, definition, head, body }))
        }
        SERIES => Some(Record::Series(SeriesId(input.u32()?), input.series()?)),
        GAP => read_gap(&mut input).map(Record::Gap),
        STOP => Some(Record::Stop),
        _ => None,
    }
}

fn read_schema(input: &mut Input<'_>) -> Option<Schema> {
    Some(Schema {
        server: input.text()?.into(),
        collector: input.text()?.into(),
        interval_ms: input.u32()?,
        series: input.ids()?.into(),
    })
}
