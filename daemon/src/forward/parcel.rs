//! What one request carries: pieces that were read, in order, and how they are divided.

use std::sync::Arc;

use crate::series::{Frame, Sample};

/// Something that is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Samples of one instant.
    Frame {
        /// When they were read.
        at_ms: i64,
        /// What was read.
        samples: Vec<Sample>,
    },
    /// Something that is no number.
    Tiding(Tiding),
}

/// What is told of a collector besides its samples, as a sample of a series of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tiding {
    /// `bartizan_gap` or `bartizan_collector_state`.
    pub(super) metric: &'static str,
    /// Name of the server.
    pub(super) server: Arc<str>,
    /// Name of the collector.
    pub(super) collector: Arc<str>,
    /// Why, of a gap.
    pub(super) reason: Option<Arc<str>>,
    /// When.
    pub(super) at_ms: i64,
    /// What.
    pub(super) value: f64,
}

/// What one request carries, in the order in which it was stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Parcel(pub(super) Vec<Piece>);

impl Piece {
    fn samples(&self) -> usize {
        match self {
            Self::Frame { samples, .. } => samples.len(),
            Self::Tiding(_) => 1,
        }
    }
}

impl From<Frame> for Piece {
    fn from(frame: Frame) -> Self {
        Self::Frame { at_ms: frame.at_ms, samples: frame.samples }
    }
}

impl Parcel {
    /// How many samples there are.
    pub(super) fn samples(&self) -> usize {
        self.0.iter().map(Piece::samples).sum()
    }

    /// Time of the first piece.
    pub(super) fn first_ms(&self) -> Option<i64> {
        self.0.first().map(|piece| match piece {
            Piece::Frame { at_ms, .. } => *at_ms,
            Piece::Tiding(tiding) => tiding.at_ms,
        })
    }

    /// Two parcels of about the same size; itself where it holds one sample, or none. Frames stay whole as long as there
    /// are several.
    pub(super) fn halves(mut self) -> Result<(Self, Self), Self> {
        if let [Piece::Frame { at_ms, samples }] = self.0.as_mut_slice() {
            if samples.len() < 2 {
                return Err(self);
            }
            let rest = samples.split_off(samples.len() / 2);
            let rest = Piece::Frame { at_ms: *at_ms, samples: rest };
            return Ok((self, Self(vec![rest])));
        }
        if self.0.len() < 2 {
            return Err(self);
        }
        let half = self.samples() / 2;
        let mut counted = 0;
        let before_half = |piece: &Piece| {
            counted += piece.samples();
            counted <= half
        };
        let at = self.0.iter().map(before_half).take_while(|before| *before).count();
        let rest = self.0.split_off(at.clamp(1, self.0.len() - 1));
        Ok((self, Self(rest)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::series::SeriesId;

    fn frame(at_ms: i64, samples: u32) -> Piece {
        let samples = (0..samples).map(|id| Sample { series: SeriesId(id), value: 1.0 }).collect();
        Piece::Frame { at_ms, samples }
    }

    #[test]
    fn halving_ends_at_single_samples_and_loses_none() {
        let mut waiting = vec![Parcel(vec![frame(1, 5), frame(2, 1), frame(3, 0), frame(4, 90)])];
        let mut single = Vec::new();
        while let Some(parcel) = waiting.pop() {
            match parcel.halves() {
                Ok((first, second)) => waiting.extend([second, first]),
                Err(parcel) => single.push(parcel),
            }
        }
        assert!(single.iter().all(|parcel| parcel.samples() <= 1));
        assert_eq!(single.iter().map(Parcel::samples).sum::<usize>(), 96);
        let times: Vec<_> = single.iter().map(|parcel| parcel.first_ms().unwrap()).collect();
        assert!(times.is_sorted(), "in the order in which they were stored");
    }

    #[test]
    fn frames_stay_whole_as_long_as_there_are_several() {
        let (first, second) =
            Parcel(vec![frame(1, 10), frame(2, 10), frame(3, 10)]).halves().unwrap();
        assert_eq!((first.samples(), second.samples()), (10, 20));
        let (first, second) = Parcel(vec![frame(1, 100), frame(2, 1)]).halves().unwrap();
        assert_eq!((first.samples(), second.samples()), (100, 1));
    }
}
