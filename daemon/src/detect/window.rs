//! The samples of the last while, as far as a rule takes more than the last of them.

use std::{collections::VecDeque, time::Duration};

use crate::{config::Take, series::whole_ms};

/// A window is kept in so many pieces at most: up to as many samples it is exact, beyond that its
/// far edge is off by one piece.
const PIECES_MAX: i64 = 360;

/// What a rule takes of a series.
#[derive(Debug, Clone)]
pub(super) struct Window {
    take: Take,
    over_ms: i64,
    piece_ms: i64,
    pieces: VecDeque<Piece>,
    /// Since when samples have come without a hole as long as the window.
    since_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    begin_ms: i64,
    count: u32,
    sum: f64,
    min: f64,
    max: f64,
}

impl Window {
    /// An empty window.
    pub(super) fn new(take: Take, over: Duration) -> Self {
        let over_ms = whole_ms(over);
        Self {
            take,
            over_ms,
            piece_ms: (over_ms / PIECES_MAX).max(1),
            pieces: VecDeque::new(),
            since_ms: None,
        }
    }

    /// Adds a sample. What is taken then; `None` until samples have come for as long as the window,
    /// for a part of it may say anything. Samples come `interval_ms` apart, the oldest first.
    pub(super) fn add(&mut self, at_ms: i64, value: f64, interval_ms: i64) -> Option<f64> {
        if self.take == Take::Last {
            return Some(value);
        }
        while self.pieces.front().is_some_and(|piece| piece.begin_ms <= at_ms - self.over_ms) {
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() {
            self.since_ms = Some(at_ms);
        }
        let begin_ms = at_ms - at_ms.rem_euclid(self.piece_ms);
        match self.pieces.back_mut() {
            Some(piece) if piece.begin_ms == begin_ms => piece.add(value),
            _ => {
                let piece = Piece { begin_ms, count: 1, sum: value, min: value, max: value };
                self.pieces.push_back(piece);
            }
        }
        // The first sample stands for the interval before it.
        let covered_ms = at_ms - self.since_ms? + interval_ms;
        (covered_ms >= self.over_ms).then(|| self.taken())
    }

    /// Makes it as if all samples had come `by_ms` later.
    pub(super) fn shift(&mut self, by_ms: i64) {
        self.pieces.iter_mut().for_each(|piece| piece.begin_ms += by_ms);
        self.since_ms = self.since_ms.map(|since_ms| since_ms + by_ms);
    }

    fn taken(&self) -> f64 {
        let pieces = self.pieces.iter();
        match self.take {
            Take::Min => pieces.map(|piece| piece.min).fold(f64::INFINITY, f64::min),
            Take::Max => pieces.map(|piece| piece.max).fold(f64::NEG_INFINITY, f64::max),
            Take::Last | Take::Mean => {
                let count: f64 = pieces.clone().map(|piece| f64::from(piece.count)).sum();
                pieces.map(|piece| piece.sum).sum::<f64>() / count
            }
        }
    }
}

impl Piece {
    fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1000;

    #[test]
    fn nothing_is_taken_of_a_window_that_is_not_full() {
        let mut window = Window::new(Take::Mean, Duration::from_secs(3));
        assert_eq!(window.add(SECOND, 9.0, SECOND), None);
        assert_eq!(window.add(2 * SECOND, 6.0, SECOND), None);
        assert_eq!(window.add(3 * SECOND, 3.0, SECOND), Some(6.0));
        assert_eq!(window.add(4 * SECOND, 0.0, SECOND), Some(3.0), "the first has left");
        assert_eq!(window.add(9 * SECOND, 5.0, SECOND), None, "a hole as long as the window");
    }

    #[test]
    fn smallest_and_largest_leave_with_their_sample() {
        let taken = |take| {
            let mut window = Window::new(take, Duration::from_secs(2));
            let values = [5.0, 1.0, 3.0, 4.0];
            let samples = (1..).zip(values);
            samples.map(|(at, value)| window.add(at * SECOND, value, SECOND)).collect::<Vec<_>>()
        };
        assert_eq!(taken(Take::Max), [None, Some(5.0), Some(3.0), Some(4.0)]);
        assert_eq!(taken(Take::Min), [None, Some(1.0), Some(1.0), Some(3.0)]);
        assert_eq!(taken(Take::Last), [Some(5.0), Some(1.0), Some(3.0), Some(4.0)]);
    }

    #[test]
    fn a_long_window_takes_no_more_room_than_a_short_one() {
        let mut window = Window::new(Take::Mean, Duration::from_secs(86_400));
        for at in 0..200_000 {
            window.add(at * SECOND, 1.0, SECOND);
        }
        assert!(window.pieces.len() <= 361, "{}", window.pieces.len());
        assert_eq!(window.add(200_000 * SECOND, 1.0, SECOND), Some(1.0));
    }
}
