//! How many lines a plugin may log.

use std::time::{Duration, Instant};

/// Lines per second and instance.
const LINES: u32 = 10;

/// Counts lines within a second; those beyond the budget are suppressed and counted.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    second: Option<Instant>,
    spent: u32,
    suppressed: u32,
}

impl LogBudget {
    /// Whether a line may pass at `now`: how many were suppressed since the last one, or none.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u32> {
        let fresh = self.second.is_none_or(|start| now - start >= Duration::from_secs(1));
        if fresh {
            self.second = Some(now);
            self.spent = 0;
        }
        if self.spent >= LINES {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.spent += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_the_next_line_says_by_how_much() {
        let start = Instant::now();
        let mut budget = LogBudget::default();
        let passed = (0..25).filter(|_| budget.admit(start).is_some()).count();
        assert_eq!(passed, 10);
        assert_eq!(budget.admit(start + Duration::from_secs(1)), Some(15));
        assert_eq!(budget.admit(start + Duration::from_secs(1)), Some(0));
    }
}
