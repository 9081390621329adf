//! What to do with a child that fell: a decision without actors or clocks.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// When a fallen child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// At once, but at most `most` times within `window`; then its parent falls
    /// too. Erlang's restart intensity, for services nothing runs without.
    AtOnce {
        /// Restarts granted.
        most: usize,
        /// The time in which they count.
        window: Duration,
    },
    /// After a pause that doubles with every fall, for ever. One that falls five
    /// times in ten minutes is quarantined: started every quarter of an hour.
    WithBackoff,
}

/// How a child fell before.
#[derive(Debug, Default)]
pub struct History {
    falls: VecDeque<Instant>,
    in_a_row: u32,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fall {
    /// Start it again after this pause.
    After(Duration),
    /// It falls too often: start it again after this long pause.
    Quarantine(Duration),
    /// Leave it down; whoever asked for it cannot go on.
    GiveUp,
}

/// The first pause of a back-off.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Its longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// One that ran this long starts over with the first pause.
const HEALTHY: Duration = Duration::from_secs(600);
/// So many falls…
const QUARANTINE_FALLS: usize = 5;
/// … in this time are a quarantine…
const QUARANTINE_WINDOW: Duration = Duration::from_secs(600);
/// … of this length.
const QUARANTINE_PAUSE: Duration = Duration::from_secs(900);

impl Restart {
    /// Judges a fall at `now` of a child that had run for `ran`. `chance`, from 0
    /// to 1, spreads the pauses of many that fell together ("full jitter").
    pub fn judge(self, history: &mut History, now: Instant, ran: Duration, chance: f64) -> Fall {
        let window = match self {
            Self::AtOnce { window, .. } => window,
            Self::WithBackoff => QUARANTINE_WINDOW,
        };
        while history.falls.front().is_some_and(|&at| now - at > window) {
            history.falls.pop_front();
        }
        if ran >= HEALTHY {
            history.in_a_row = 0;
        }
        match self {
            Self::AtOnce { most, .. } => {
                if history.falls.len() >= most {
                    return Fall::GiveUp;
                }
                history.falls.push_back(now);
                Fall::After(Duration::ZERO)
            }
            Self::WithBackoff => {
                history.falls.push_back(now);
                if history.falls.len() >= QUARANTINE_FALLS {
                    return Fall::Quarantine(QUARANTINE_PAUSE);
                }
                let doubled = PAUSE_MIN.saturating_mul(1 << history.in_a_row.min(16));
                history.in_a_row = history.in_a_row.saturating_add(1);
                Fall::After(doubled.min(PAUSE_MAX).mul_f64(chance.clamp(0.0, 1.0)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_service_gives_up_on_a_storm_and_forgives_with_time() {
        let start = Instant::now();
        let mut history = History::default();
        let rule = Restart::AtOnce { most: 2, window: 60 * SECOND };
        let mut fall_at = |secs: u32| rule.judge(&mut history, start + secs * SECOND, SECOND, 1.0);

        assert_eq!(fall_at(0), Fall::After(Duration::ZERO));
        assert_eq!(fall_at(1), Fall::After(Duration::ZERO));
        assert_eq!(fall_at(2), Fall::GiveUp);
        assert_eq!(fall_at(61), Fall::After(Duration::ZERO), "the first fall is forgotten");
    }

    #[test]
    fn a_collector_is_paused_longer_each_time_then_quarantined_and_never_given_up() {
        let start = Instant::now();
        let mut history = History::default();
        let mut fall_at = |secs: u32, ran: Duration| {
            Restart::WithBackoff.judge(&mut history, start + secs * SECOND, ran, 1.0)
        };

        assert_eq!(fall_at(0, SECOND), Fall::After(SECOND));
        assert_eq!(fall_at(2, SECOND), Fall::After(2 * SECOND));
        assert_eq!(fall_at(5, SECOND), Fall::After(4 * SECOND));
        assert_eq!(fall_at(10, SECOND), Fall::After(8 * SECOND));
        assert_eq!(fall_at(20, SECOND), Fall::Quarantine(900 * SECOND));
        assert_eq!(fall_at(2000, 700 * SECOND), Fall::After(SECOND), "it ran well for long");
    }

    #[test]
    fn chance_spreads_the_pauses() {
        let mut history = History::default();
        let fall = Restart::WithBackoff.judge(&mut history, Instant::now(), SECOND, 0.25);
        assert_eq!(fall, Fall::After(SECOND / 4));
    }
}
