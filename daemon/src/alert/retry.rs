//! Whether and when a notice is tried again: a decision without actors or clocks.

use super::{Notice, Outcome, Way, channels::Verdict};
use crate::config::Severity;

/// What becomes of a notice after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It was taken.
    Sent,
    /// It is given up.
    Dead,
    /// It waits for a change of the configuration.
    Hold {
        /// When it is tried without one.
        due_ms: i64,
    },
    /// It is tried again.
    Retry {
        /// When.
        due_ms: i64,
    },
}

/// A notice that nobody has taken after this time…
const GIVE_UP_MS: i64 = 24 * 60 * 60 * 1000;
/// … and after so many attempts is given up: a clock that was set forward is no day of trying.
const GIVE_UP_TRIED: u32 = 20;
/// What was held is tried after this: the fault may have been mended elsewhere, and nobody is locked out by one
/// attempt an hour.
const HELD_MS: i64 = 60 * 60 * 1000;
const PAUSE_MIN_MS: i64 = 1_000;
const PAUSE_MAX_MS: i64 = 300_000;
/// However lucky the draw, nobody is asked again sooner.
const PAUSE_LEAST_MS: i64 = 100;
/// Whoever wants us to wait longer is asked again after this all the same.
const RETRY_AFTER_MAX_MS: i64 = 3_600_000;
/// An SMS that may have arrived so often is not sent once more.
const UNKNOWN_MAX: usize = 3;

/// Judges an attempt of `notice` that came to `verdict` at `now_ms`. The attempt is not yet among
/// its attempts, but counted in `tried`. `chance`, from 0 to 1, spreads the pauses ("full jitter").
pub(super) fn next(notice: &Notice, verdict: &Verdict, now_ms: i64, chance: f64) -> Next {
    let again = || {
        let once = notice.news.iter().any(|news| !news.what.is_tried_again());
        let old = now_ms - notice.made_ms > GIVE_UP_MS && notice.tried >= GIVE_UP_TRIED;
        if once || old {
            return Next::Dead;
        }
        let doubled = PAUSE_MIN_MS << notice.tried.saturating_sub(1).min(20);
        let pause_ms = (doubled.min(PAUSE_MAX_MS) as f64 * chance.clamp(0.0, 1.0)) as i64;
        let wished = verdict.retry_after.map_or(0, crate::series::whole_ms).min(RETRY_AFTER_MAX_MS);
        Next::Retry { due_ms: now_ms + pause_ms.max(PAUSE_LEAST_MS).max(wished) }
    };
    match verdict.outcome {
        Outcome::Accepted => Next::Sent,
        Outcome::Permanent => Next::Dead,
        Outcome::Temporary => again(),
        Outcome::Misconfigured => match again() {
            Next::Dead => Next::Dead,
            _ => Next::Hold { due_ms: now_ms + HELD_MS },
        },
        // A mail or a webhook carries what lets the receiver know a repetition. An SMS does not: a
        // second one is better than none only where somebody must act.
        Outcome::Unknown if notice.way == Way::Sms => {
            let critical = notice.news.iter().any(|news| news.severity == Severity::Critical);
            let unknown =
                notice.attempts.iter().filter(|at| at.outcome == Outcome::Unknown).count();
            if critical && unknown + 1 < UNKNOWN_MAX { again() } else { Next::Dead }
        }
        Outcome::Unknown => again(),
    }
}
