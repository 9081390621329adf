//! What is not yet sealed: for each collector its newest frames, as they stand in the log.

use std::{collections::HashMap, sync::Arc};

use super::{delta::Delta, gaps::GapBook, lanes::collector_of, record::Schema, wire::Input};
use crate::series::{Gap, SeriesId};

/// A key frame and the frames up to the next, of one schema, from one log file.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// Number of the log file it stands in.
    pub(super) sequence: u64,
    /// The columns of its frames.
    pub(super) series: Arc<[SeriesId]>,
    /// Time between two of its frames, in milliseconds.
    pub(super) interval_ms: u32,
    /// Time of its first frame.
    pub(super) first_ms: i64,
    /// Time of its last frame.
    pub(super) last_ms: i64,
    /// Frames in it.
    pub(super) rows: usize,
    /// Samples in it.
    pub(super) samples: u64,
    /// Heads and bodies of its frames.
    bytes: Vec<u8>,
}

/// The frames of one collector of one server, or of one of its lanes.
#[derive(Debug)]
pub(super) struct Stream {
    /// Name of the server.
    pub(super) server: Arc<str>,
    /// Name of the collector, or of its lane.
    pub(super) collector: Arc<str>,
    /// The place of the collector: its own, unless this is a lane beside it.
    pub(super) base: usize,
    /// Time between two frames, in milliseconds.
    pub(super) interval_ms: u32,
    /// Time of the last frame there ever was.
    pub(super) last_ms: Option<i64>,
    /// Frames up to this time are in segments.
    pub(super) sealed_ms: Option<i64>,
    /// Chunks that take no more frames, oldest first.
    pub(super) closed: Vec<Arc<Chunk>>,
    /// The chunk that takes the next frame, unless that is a key frame.
    pub(super) open: Option<Chunk>,
    /// Where nothing came; those of a lane stand at its collector.
    pub(super) gaps: GapBook,
}

/// All collectors.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// In the order of their appearance; a place never changes.
    pub(super) streams: Vec<Stream>,
    places: HashMap<Arc<str>, HashMap<Arc<str>, usize>>,
}

/// A frame to be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadFrame<'a> {
    pub(super) at_ms: i64,
    pub(super) head: u8,
    pub(super) body: &'a [u8],
    pub(super) samples: u64,
}

impl Heads {
    /// The place of a collector, made if it is new.
    pub(super) fn place(&mut self, server: &Arc<str>, collector: &Arc<str>) -> usize {
        if let Some(place) = self.find(server, collector) {
            return place;
        }
        let own = collector_of(collector);
        let base = (*own != **collector).then(|| self.place(server, &own.into()));
        let place = self.streams.len();
        self.streams.push(Stream {
            server: server.clone(),
            collector: collector.clone(),
            base: base.unwrap_or(place),
            interval_ms: 0,
            last_ms: None,
            sealed_ms: None,
            closed: Vec::new(),
            open: None,
            gaps: GapBook::default(),
        });
        self.places.entry(server.clone()).or_default().insert(collector.clone(), place);
        place
    }

    /// The place of a collector.
    pub(super) fn find(&self, server: &str, collector: &str) -> Option<usize> {
        self.places.get(server)?.get(collector).copied()
    }

    /// Keeps a frame that was written to the log file `sequence`.
    pub(super) fn push(
        &mut self,
        place: usize,
        sequence: u64,
        schema: &Schema,
        frame: HeadFrame<'_>,
    ) {
        let Some(stream) = self.streams.get_mut(place) else { return };
        stream.push(sequence, schema, frame);
        let base = stream.base;
        self.end_gaps(base, frame.at_ms);
    }

    /// Ends the open gaps of the collector at `base`: there is a frame at `at_ms`.
    pub(super) fn end_gaps(&mut self, base: usize, at_ms: i64) {
        if let Some(stream) = self.streams.get_mut(base) {
            stream.gaps.end(at_ms);
        }
    }

    /// Takes a gap in, or its end; `new` unless it comes from the state.
    pub(super) fn tell(&mut self, gap: Gap, new: bool) {
        let place = self.place(&gap.server, &gap.collector);
        self.streams[place].gaps.tell(gap.into(), new);
    }

    /// Place, time of the last frame, and interval then, of each collector that has had one, lanes included.
    pub(super) fn ends(&self) -> Vec<(usize, i64, u32)> {
        let mut ends = vec![None; self.streams.len()];
        for stream in &self.streams {
            let of_stream = stream.last_ms.map(|last_ms| (last_ms, stream.interval_ms));
            ends[stream.base] = ends[stream.base].max(of_stream);
        }
        let known = ends.into_iter().enumerate();
        known.filter_map(|(place, end)| end.map(|(last_ms, of)| (place, last_ms, of))).collect()
    }

    /// All collectors of a server, and their lanes.
    pub(super) fn of_server(&self, server: &str) -> impl Iterator<Item = &Stream> {
        let places = self.places.get(server).into_iter().flat_map(HashMap::values);
        places.filter_map(|place| self.streams.get(*place))
    }

    /// Samples in all chunks.
    pub(super) fn samples(&self) -> u64 {
        self.streams.iter().flat_map(Stream::chunks).map(|chunk| chunk.samples).sum()
    }

    /// The oldest log file that still holds something unsealed.
    pub(super) fn oldest_sequence(&self) -> Option<u64> {
        self.streams.iter().filter_map(|stream| Some(stream.chunks().next()?.sequence)).min()
    }
}

impl Stream {
    fn push(&mut self, sequence: u64, schema: &Schema, frame: HeadFrame<'_>) {
        self.last_ms = Some(frame.at_ms);
        self.interval_ms = schema.interval_ms;
        let is_key = frame.head & 0x7f == 0;
        if is_key {
            self.close();
        }
        let chunk = self.open.get_or_insert_with(|| Chunk {
            sequence,
            series: schema.series.clone(),
            interval_ms: schema.interval_ms,
            first_ms: frame.at_ms,
            last_ms: frame.at_ms,
            rows: 0,
            samples: 0,
            bytes: Vec::new(),
        });
        chunk.last_ms = frame.at_ms;
        chunk.rows += 1;
        chunk.samples += frame.samples;
        chunk.bytes.push(frame.head);
        chunk.bytes.extend_from_slice(frame.body);
    }

    /// Closes the open chunk; the next frame must be a key frame.
    pub(super) fn close(&mut self) {
        if let Some(mut chunk) = self.open.take() {
            chunk.bytes.shrink_to_fit();
            self.closed.push(Arc::new(chunk));
        }
    }

    /// Frames in closed chunks.
    pub(super) fn closed_rows(&self) -> usize {
        self.closed.iter().map(|chunk| chunk.rows).sum()
    }

    /// All chunks, oldest first.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.closed.iter().map(|chunk| &**chunk).chain(&self.open)
    }

    /// Those that reach into `from_ms..to_ms`, oldest first.
    pub(super) fn chunks_within(&self, from_ms: i64, to_ms: i64) -> Vec<Arc<Chunk>> {
        let within = |chunk: &Chunk| chunk.first_ms < to_ms && chunk.last_ms >= from_ms;
        let closed = self.closed.iter().filter(|chunk| within(chunk)).cloned();
        let open = self.open.iter().filter(|chunk| within(chunk)).cloned().map(Arc::new);
        closed.chain(open).collect()
    }
}

impl Chunk {
    /// Reads the frames back: `row` is told each time, `value` each sample's column.
    ///
    /// Answers whether all frames could be read.
    pub(super) fn read<T>(
        &self,
        to: &mut T,
        mut value: impl FnMut(&mut T, usize, f64),
        mut row: impl FnMut(&mut T, i64),
    ) -> bool {
        let mut delta = Delta::new(self.series.len());
        let mut input = Input::new(&self.bytes);
        while !input.is_empty() {
            let Some(head) = input.u8() else { return false };
            let read = delta.decode(head, &mut input, |column, sample| value(to, column, sample));
            let Some(at_ms) = read else { return false };
            row(to, at_ms);
        }
        true
    }
}
