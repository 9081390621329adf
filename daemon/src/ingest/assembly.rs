//! Samples in the order of their coming, put together as frames: one for each collector and instant.

use std::collections::HashMap;

use crate::series::{Sample, SeriesId};

/// More frames than this are not made of one request.
pub(super) const FRAMES_MAX: usize = 100_000;

/// Number of a stream, which is a collector of a server, within its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StreamId(pub(super) u32);

/// A frame whose collector is still a number.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub(super) stream: StreamId,
    pub(super) at_ms: i64,
    pub(super) samples: Vec<Sample>,
}

/// The frames of one request.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    parts: Vec<Part>,
    places: HashMap<(StreamId, i64), usize>,
    last: usize,
    samples: u64,
}

impl Assembly {
    /// Adds a sample; whether there is room for it.
    #[inline]
    pub(super) fn add(&mut self, stream: StreamId, at_ms: i64, sample: Sample) -> bool {
        // What comes together mostly belongs together.
        let fits = |part: &Part| part.stream == stream && part.at_ms == at_ms;
        if !self.parts.get(self.last).is_some_and(fits) {
            let Some(place) = self.place(stream, at_ms) else { return false };
            self.last = place;
        }
        if let Some(part) = self.parts.get_mut(self.last) {
            part.samples.push(sample);
            self.samples += 1;
        }
        true
    }

    fn place(&mut self, stream: StreamId, at_ms: i64) -> Option<usize> {
        if let Some(place) = self.places.get(&(stream, at_ms)) {
            return Some(*place);
        }
        if self.parts.len() == FRAMES_MAX {
            return None;
        }
        self.places.insert((stream, at_ms), self.parts.len());
        self.parts.push(Part { stream, at_ms, samples: Vec::new() });
        Some(self.parts.len() - 1)
    }

    /// Samples that were added.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// The frames, oldest first, each series at most once in each: where it was sent twice, its first value counts.
    pub(super) fn into_parts(mut self) -> Vec<Part> {
        self.parts.sort_by_key(|part| part.at_ms);
        for part in &mut self.parts {
            // The same series then stand in the same order every time, which is what the store is quickest with.
            let series = |sample: &Sample| -> SeriesId { sample.series };
            if !part.samples.is_sorted_by_key(series) {
                part.samples.sort_by_key(series);
            }
            part.samples.dedup_by_key(|sample| sample.series);
        }
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_put_together_by_collector_and_instant() {
        let mut assembly = Assembly::default();
        let sample = |series, value| Sample { series: SeriesId(series), value };
        for (stream, at_ms, sample) in [
            (0, 20, sample(2, 0.2)),
            (0, 10, sample(2, 0.1)),
            (1, 20, sample(9, 0.9)),
            (0, 20, sample(1, 0.3)),
            (0, 20, sample(2, 0.4)),
        ] {
            assert!(assembly.add(StreamId(stream), at_ms, sample));
        }
        assert_eq!(assembly.samples(), 5);
        let part = |stream, at_ms, samples| Part { stream: StreamId(stream), at_ms, samples };
        let expected = [
            part(0, 10, vec![sample(2, 0.1)]),
            part(0, 20, vec![sample(1, 0.3), sample(2, 0.2)]),
            part(1, 20, vec![sample(9, 0.9)]),
        ];
        assert_eq!(assembly.into_parts(), expected);
    }

    #[test]
    fn instants_have_a_limit() {
        let mut assembly = Assembly::default();
        let sample = Sample { series: SeriesId(0), value: 0.0 };
        for at_ms in 0..FRAMES_MAX as i64 {
            assert!(assembly.add(StreamId(0), at_ms, sample));
        }
        assert!(!assembly.add(StreamId(0), -1, sample));
        assert!(assembly.add(StreamId(0), 5, sample), "a frame that is there takes more");
    }
}
