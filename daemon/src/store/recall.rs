//! Whether a sample that is older than its series' newest is here already: what a sender repeats whose answer was
//! lost is told from what comes too late.
//!
//! What is not sealed is looked at, and only so much of it as the repetition of whole frames needs; then [`Sealed`] looks
//! into the segments around. Of what stands beyond that, or cannot be read, nobody knows whether it is here: such a
//! sample is never stored, and counts as late.

use std::{collections::HashMap, sync::Arc};

use super::{
    coder::{Coder, Encoded},
    delta::{CHUNK_FRAMES, present_bits},
    heads::{Chunk, Stream},
    sealed::{Sealed, Seen},
    shared::Shared,
};
use crate::series::{Sample, SeriesId};

/// So many values are decoded for each sample that is asked for: a chunk holds as many rows. Nobody can make us do
/// much by sending little.
const VALUES_PER_SAMPLE: usize = CHUNK_FRAMES as usize;
/// And for each writing: small frames stand in chunks of more columns.
const VALUES_LEAST: usize = 64 << 10;

/// What was decoded for one writing.
#[derive(Debug, Default)]
pub(super) struct Recall {
    chunks: HashMap<(usize, i64, usize), Rows>,
    /// Samples that were asked for, and values that were decoded.
    asked: usize,
    decoded: usize,
    /// Frames that are being written, by stream and time, as far as they have been looked at.
    written: HashMap<(usize, i64), Row>,
    looked_at: usize,
    sealed: Sealed,
}

/// The rows of a chunk by time: a bit for each column.
type Rows = HashMap<i64, Row>;

/// Which series have a sample at one instant.
#[derive(Debug, Clone)]
struct Row {
    series: Arc<[SeriesId]>,
    /// A bit for each of them; none where all have one.
    bits: Option<Vec<u8>>,
}

impl Recall {
    /// What there is at `at_ms` in the streams and in segments of the series that are `asked` for.
    pub(super) fn find(
        &mut self,
        shared: &Shared,
        (coders, at_ms): (&[Coder], i64),
        asked: &[Sample],
        (encoded, bytes): (&[Encoded], &[u8]),
    ) -> Found {
        for frame in &encoded[self.looked_at..] {
            let columns = frame.schema.series.len();
            let bits = present_bits(frame.head, &bytes[frame.body.clone()], columns);
            let row = Row { series: frame.schema.series.clone(), bits: bits.map(<[u8]>::to_vec) };
            self.written.insert((frame.place, frame.at_ms), row);
        }
        self.looked_at = encoded.len();
        self.asked += asked.len();
        let mut found = Found { rows: Vec::new(), sealed: Seen::default(), is_whole: true };
        for place in coders.iter().map(|coder| coder.place) {
            found.rows.extend(self.written.get(&(place, at_ms)).cloned());
            self.in_heads(shared, (place, at_ms), &mut found);
        }
        let ids = asked.iter().map(|sample| sample.series);
        let unseen = ids.filter(|id| !found.is_in_heads(*id));
        found.sealed = self.sealed.look(shared, at_ms, unseen);
        found
    }

    /// The row of a stream at an instant, if there is one.
    fn in_heads(&mut self, shared: &Shared, (place, at_ms): (usize, i64), found: &mut Found) {
        let view = shared.view();
        let chunks = view.heads.streams.get(place).into_iter().flat_map(Stream::chunks);
        let mut around = chunks.filter(|chunk| (chunk.first_ms..=chunk.last_ms).contains(&at_ms));
        let Some(chunk) = around.next() else { return };
        let key = (place, chunk.first_ms, chunk.rows);
        if !self.chunks.contains_key(&key) {
            let decoded = self.decoded + chunk.rows * chunk.series.len();
            if decoded > VALUES_LEAST + self.asked * VALUES_PER_SAMPLE {
                found.is_whole = false;
                return;
            }
            self.decoded = decoded;
            self.chunks.insert(key, rows_of(chunk));
        }
        let rows = self.chunks.get(&key);
        found.rows.extend(rows.and_then(|rows| rows.get(&at_ms)).cloned());
    }
}

/// What there is at one instant.
#[derive(Debug)]
pub(super) struct Found {
    rows: Vec<Row>,
    sealed: Seen,
    /// Whether all that is not sealed was looked at.
    is_whole: bool,
}

impl Found {
    /// Whether a series has a sample then; `None` if nobody knows.
    pub(super) fn has(&self, id: SeriesId) -> Option<bool> {
        if self.is_in_heads(id) || self.sealed.there.contains(&id) {
            return Some(true);
        }
        (self.is_whole && !self.sealed.unsure.contains(&id)).then_some(false)
    }

    fn is_in_heads(&self, id: SeriesId) -> bool {
        self.rows.iter().any(|row| row.has(id))
    }
}

impl Row {
    fn has(&self, id: SeriesId) -> bool {
        let Ok(column) = self.series.binary_search(&id) else { return false };
        let bit = |bits: &Vec<u8>| bits.get(column / 8).is_some_and(|b| b >> (column % 8) & 1 == 1);
        self.bits.as_ref().is_none_or(bit)
    }
}

fn rows_of(chunk: &Chunk) -> Rows {
    let empty = || vec![0u8; chunk.series.len().div_ceil(8)];
    let mut read = (Rows::new(), empty());
    chunk.read(
        &mut read,
        |(_, bits), column, _| bits[column / 8] |= 1 << (column % 8),
        |(rows, bits), at_ms| {
            let bits = Some(std::mem::replace(bits, empty()));
            rows.insert(at_ms, Row { series: chunk.series.clone(), bits });
        },
    );
    read.0
}
