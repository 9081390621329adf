//! How often a stream brings samples: measured, for nobody says it.

use std::ops::RangeInclusive;

/// What is believed until something has been measured.
const UNTIL_KNOWN_MS: u32 = 10_000;

/// What a stream's interval may be.
const INTERVALS_MS: RangeInclusive<i64> = 100..=3_600_000;

/// Differences that a measurement is the median of.
const DIFFERENCES: usize = 7;

/// Differences that the first measurement is content with.
const FIRST: usize = 3;

/// The interval of one stream.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    interval_ms: u32,
    last_ms: Option<i64>,
    differences: [i64; DIFFERENCES],
    filled: usize,
    /// Whether anything has been measured.
    is_measured: bool,
    /// What the last measurement said, where it was another one than what is believed.
    doubt_ms: Option<u32>,
}

impl Pace {
    /// Nothing is known, but perhaps what was measured in a former life.
    pub(super) fn new(former_ms: Option<u32>) -> Self {
        Self {
            interval_ms: former_ms.unwrap_or(UNTIL_KNOWN_MS),
            last_ms: None,
            differences: [0; DIFFERENCES],
            filled: 0,
            is_measured: former_ms.is_some(),
            doubt_ms: None,
        }
    }

    /// Believes what was measured in a former life, if nothing was noted since.
    pub(super) fn believe(&mut self, former_ms: u32) {
        if !self.is_measured && self.last_ms.is_none() && former_ms != self.interval_ms {
            *self = Self::new(Some(former_ms));
        }
    }

    /// What is believed.
    pub(super) fn interval_ms(&self) -> u32 {
        self.interval_ms
    }

    /// Notes a frame; what is believed from now on, where that changes.
    ///
    /// A pause makes one long difference, which no median sees. An interval that was measured once is corrected
    /// only after two measurements that agree, and only where it is off by a fifth.
    pub(super) fn note(&mut self, at_ms: i64) -> Option<u32> {
        let difference = match self.last_ms {
            Some(last) if at_ms > last => at_ms.saturating_sub(last),
            Some(_) => return None,
            None => {
                self.last_ms = Some(at_ms);
                return None;
            }
        };
        self.last_ms = Some(at_ms);
        self.differences[self.filled] = difference;
        self.filled += 1;
        let wanted = if self.is_measured { DIFFERENCES } else { FIRST };
        if self.filled < wanted {
            return None;
        }
        let measured = &mut self.differences[..self.filled];
        measured.sort_unstable();
        let median = measured[measured.len() / 2];
        self.filled = 0;
        let median = median.clamp(*INTERVALS_MS.start(), *INTERVALS_MS.end()) as u32;
        let is_first = !std::mem::replace(&mut self.is_measured, true);
        if is_near(median, self.interval_ms) {
            self.doubt_ms = None;
            return None;
        }
        if is_first || self.doubt_ms.is_some_and(|doubt| is_near(median, doubt)) {
            self.doubt_ms = None;
            self.interval_ms = median;
            return Some(median);
        }
        self.doubt_ms = Some(median);
        None
    }
}

/// Whether two intervals are within a fifth of each other.
fn is_near(one: u32, other: u32) -> bool {
    one.abs_diff(other) <= other / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_measured_and_corrected_only_when_it_stays_another() {
        let mut pace = Pace::new(None);
        let mut at_ms = 0;
        let mut run = |pace: &mut Pace, step: i64, times: usize| {
            let mut said = Vec::new();
            for _ in 0..times {
                at_ms += step;
                said.extend(pace.note(at_ms));
            }
            said
        };
        assert_eq!(run(&mut pace, 1000, 4), [1000], "three differences");
        assert_eq!(run(&mut pace, 1001, 70), [] as [u32; 0], "as believed");
        run(&mut pace, 60_000, 1);
        assert_eq!(run(&mut pace, 1000, 13), [] as [u32; 0], "a pause");
        assert_eq!(run(&mut pace, 5000, 7), [] as [u32; 0], "one measurement");
        assert_eq!(run(&mut pace, 5000, 7), [5000], "two that agree");
        assert_eq!(pace.interval_ms(), 5000);
    }

    #[test]
    fn no_interval_is_shorter_or_longer_than_makes_sense() {
        for (step, expected) in [(1, 100), (86_400_000, 3_600_000)] {
            let mut pace = Pace::new(None);
            let said = (0..4).filter_map(|at| pace.note(at * step)).last();
            assert_eq!(said, Some(expected));
        }
        let mut pace = Pace::new(Some(2000));
        assert_eq!(pace.note(5), None);
        assert_eq!(pace.note(5), None, "once more");
        assert_eq!(pace.note(4), None, "older");
        assert_eq!(pace.interval_ms(), 2000);
    }
}
