//! The three tiers of what is sealed: samples, and what they come to by the minute and by the hour.
//!
//! ```text
//!  raw     every sample                 a folder of files for each day
//!  minute  a rollup for each minute     … for each week
//!  hour    a rollup for each hour       … for each year of 52 weeks
//! ```
//!
//! Days, weeks and years are counted from 1970, in UTC; a coarser one is whole finer ones.

use super::segment::DAY_MS;

/// How finely something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Every sample.
    Raw,
    /// A rollup for each minute.
    Minute,
    /// A rollup for each hour.
    Hour,
}

impl Tier {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Minute, Self::Hour];

    /// Its name: of its folder, and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    /// The width of what a rollup stands for, in milliseconds; none for samples.
    pub(super) fn step_ms(self) -> Option<i64> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(60_000),
            Self::Hour => Some(3_600_000),
        }
    }

    /// The next coarser one.
    pub(super) fn coarser(self) -> Option<Self> {
        match self {
            Self::Raw => Some(Self::Minute),
            Self::Minute => Some(Self::Hour),
            Self::Hour => None,
        }
    }

    /// The width of what one of its files may hold, in milliseconds.
    pub(super) fn span_ms(self) -> i64 {
        match self {
            Self::Raw => DAY_MS,
            Self::Minute => 7 * DAY_MS,
            Self::Hour => 364 * DAY_MS,
        }
    }

    /// The number of the span that a time falls in.
    pub(super) fn span_of(self, at_ms: i64) -> i64 {
        at_ms.div_euclid(self.span_ms())
    }

    /// Milliseconds in the unit that an index counts by: of a year there are more than 32 bits hold.
    pub(super) fn unit_ms(self) -> i64 {
        match self {
            Self::Raw | Self::Minute => 1,
            Self::Hour => 1000,
        }
    }

    /// The tier with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_whole_finer_spans_and_its_times_fit_an_index() {
        for (finer, coarser) in Tier::ALL.iter().zip(&Tier::ALL[1..]) {
            assert_eq!(finer.coarser(), Some(*coarser));
            assert_eq!(coarser.span_ms() % finer.span_ms(), 0);
            assert_eq!(coarser.span_ms() % coarser.step_ms().unwrap_or(1), 0);
        }
        for tier in Tier::ALL {
            assert!(tier.span_ms() / tier.unit_ms() <= i64::from(u32::MAX));
            assert_eq!(Tier::from_number(tier as u8), Some(tier));
        }
        assert_eq!(Tier::Raw.span_of(-1), -1);
    }
}
