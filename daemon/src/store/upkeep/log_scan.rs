//! Reading one log file to find out what of it is damaged, and what that costs.
//!
//! It judges as [`Replay`](super::super::replay) does: behind a damage, a frame counts from its next key frame on.

use std::{collections::HashMap, ops::Range, path::Path, sync::Arc};

use super::{
    super::{
        delta::Delta,
        lanes::collector_of,
        log::LOG_HEADER,
        record::{FrameRecord, Record, Schema, read_record, record_at},
        replay::DAMAGED,
        wire::Input,
    },
    damage::{Concerned, Damage},
};
use crate::series::{Gap, Series};

/// What a log file is made of.
#[derive(Debug, Default)]
pub(super) struct LogScan {
    /// What cannot be read, in the order of the file.
    pub(super) lost: Vec<Lost>,
    /// Records that are whole, and of no use since what they build on is lost.
    pub(super) orphans: Vec<Range<usize>>,
    /// Where the last whole record ends.
    pub(super) end: usize,
    /// Series that it declares.
    pub(super) series: Vec<(u32, Series)>,
    /// Samples in frames that can be read.
    pub(super) samples: u64,
    streams: HashMap<u64, Stream>,
}

/// Bytes in which no whole record stands, and whom they cost frames.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) range: Range<usize>,
    what: &'static str,
    pub(super) gaps: Vec<Gap>,
    /// Frames whose collector is not known.
    nameless: u64,
}

/// The frames of a schema, and how far they have been followed.
#[derive(Debug, Default)]
struct Stream {
    schema: Option<Arc<Schema>>,
    delta: Option<Delta>,
    trace: Trace,
}

/// What is known of the frames behind the last key frame.
#[derive(Debug, Clone, Copy, Default)]
struct Trace {
    last_ms: Option<i64>,
    /// The first damage since its last frame that could be read.
    behind: Option<usize>,
    /// Frames that could not be read since then.
    missed: u64,
}

impl LogScan {
    /// Reads the file `sequence`, whose bytes are `file`.
    pub(super) fn of(file: &[u8], sequence: u64) -> Self {
        let mut scan = Self { end: LOG_HEADER.min(file.len()), ..Self::default() };
        let mut at = scan.end;
        while at < file.len() {
            let Some(length) = record_at(&file[at..], sequence, at as u64) else {
                at += 1;
                continue;
            };
            if at > scan.end {
                scan.lose(scan.end..at, "no whole record stands here");
            }
            let range = at..at + length;
            match read_record(&file[range.clone()]) {
                Some(Record::Frame(frame)) => scan.frame(frame, range.clone()),
                Some(Record::Series(id, series)) => scan.series.push((id.0, series)),
                Some(Record::Gap(_) | Record::Stop) => (),
                None => scan.lose(range.clone(), "a record makes no sense"),
            }
            (scan.end, at) = (range.end, range.end);
        }
        for stream in std::mem::take(&mut scan.streams).into_values() {
            if stream.trace.missed > 0 {
                scan.ends(stream.schema.as_deref(), stream.trace, None);
            }
        }
        scan
    }

    /// The bytes from its last whole record to the end are lost too: it is not the newest file.
    pub(super) fn lose_tail(&mut self, length: usize) {
        if self.end < length {
            self.lose(self.end..length, "it ends in half a record");
        }
    }

    /// What was lost, in the words of a check.
    pub(super) fn damages(&self, file: &Path) -> Vec<Damage> {
        let damage = |lost: &Lost| {
            let Range { start, end } = lost.range;
            let mut damage = Damage::new(file, (start as u64, (end - start) as u64), lost.what);
            if lost.nameless > 0 {
                let what = format!("; behind it {} frames of nobody known", lost.nameless);
                damage.what.push_str(&what);
            }
            for gap in &lost.gaps {
                let series = format!("{}: all of {}", gap.server, gap.collector);
                let (from_ms, to_ms) = (Some(gap.from_ms), gap.to_ms);
                damage.concerns(Concerned { series, from_ms, to_ms });
            }
            damage
        };
        self.lost.iter().map(damage).collect()
    }

    fn lose(&mut self, range: Range<usize>, what: &'static str) {
        let number = self.lost.len();
        self.lost.push(Lost { range, what, gaps: Vec::new(), nameless: 0 });
        for stream in self.streams.values_mut() {
            stream.trace.behind.get_or_insert(number);
        }
    }

    fn frame(&mut self, frame: FrameRecord<'_>, range: Range<usize>) {
        let mut stream = self.streams.remove(&frame.schema).unwrap_or_default();
        let follows = frame.definition.is_some() || stream.trace.behind.is_none();
        if let Some(schema) = frame.definition {
            let known = stream.schema.as_deref().unwrap_or(&schema);
            self.ends(Some(known), stream.trace, time_of(frame.body));
            let (delta, trace) = (Some(Delta::new(schema.series.len())), Trace::default());
            stream = Stream { schema: Some(Arc::new(schema)), delta, trace };
        }
        let mut samples = 0;
        let read = stream.delta.as_mut().filter(|_| follows).and_then(|delta| {
            let mut input = Input::new(frame.body);
            let at_ms = delta.decode(frame.head, &mut input, |_, _| samples += 1);
            at_ms.filter(|_| input.is_empty())
        });
        match read {
            Some(at_ms) => {
                self.samples += samples;
                stream.trace.last_ms = Some(at_ms);
            }
            None => {
                let has_key = stream.delta.is_some();
                if stream.trace.behind.is_none() && (has_key || self.lost.is_empty()) {
                    self.lose(range.clone(), "a frame does not follow upon the one before");
                }
                stream.trace.behind.get_or_insert(self.lost.len().saturating_sub(1));
                stream.trace.missed += 1;
                self.orphans.push(range);
            }
        }
        self.streams.insert(frame.schema, stream);
    }

    /// What a damage has cost a stream, whose next frame is of `to_ms`.
    fn ends(&mut self, schema: Option<&Schema>, trace: Trace, to_ms: Option<i64>) {
        let lost = trace.behind.and_then(|number| self.lost.get_mut(number));
        let Some(lost) = lost else { return };
        let Some(schema) = schema else {
            lost.nameless += trace.missed;
            return;
        };
        let interval_ms = i64::from(schema.interval_ms).max(1);
        let next = trace.last_ms.map(|last| last.saturating_add(interval_ms));
        let from_ms = next.or(to_ms).unwrap_or_default();
        // Where the next frame came in time, nothing of this stream stood there.
        if trace.missed == 0 && to_ms.is_none_or(|to_ms| to_ms <= from_ms) {
            return;
        }
        lost.gaps.push(Gap {
            server: schema.server.clone(),
            collector: collector_of(&schema.collector).into(),
            from_ms,
            to_ms,
            reason: DAMAGED.into(),
        });
    }
}

/// The time that a key frame begins with.
fn time_of(body: &[u8]) -> Option<i64> {
    Input::new(body).i64()
}
