//! One limit with its memory: beyond for long enough it is on, fine for long enough it is off.
//!
//! ```text
//!            beyond               for `hold`
//!   Off ────────────────► Rising ───────────► On ◄─── beyond, between ───┐
//!    ▲ ◄──────────────────┘ fine               └── fine ──► Falling ─────┘
//!    └──────────────────────────── for `clear` ─────────────┘
//! ```
//!
//! Warning and critical have one each, so each keeps its own time.

use serde::{Deserialize, Serialize};

/// Where a value lies, seen from one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reading {
    /// Beyond the limit.
    Beyond,
    /// Not beyond the limit, not yet fine.
    Between,
    /// At `clear` or on its good side.
    Fine,
}

/// What is remembered of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Latch {
    /// Not breached.
    #[default]
    Off,
    /// Breached, not yet for long enough. Values between do not end it, but nothing
    /// counts before a value is beyond again.
    Rising {
        /// Since when.
        since_ms: i64,
    },
    /// Breached for long enough.
    On,
    /// Fine again, not yet for long enough.
    Falling {
        /// Since when.
        since_ms: i64,
    },
}

/// How long a limit must be breached, and fine, before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) hold_ms: i64,
    pub(super) clear_ms: i64,
}

impl Latch {
    /// Whether it counts as breached.
    pub(super) fn is_on(self) -> bool {
        matches!(self, Self::On | Self::Falling { .. })
    }

    /// Takes a reading of `at_ms`. Answers since when what it turned to has been true,
    /// where it turned on or off.
    pub(super) fn read(&mut self, reading: Reading, at_ms: i64, patience: Patience) -> Option<i64> {
        *self = match (*self, reading) {
            (Self::Off, Reading::Beyond) => Self::Rising { since_ms: at_ms },
            (Self::Rising { .. }, Reading::Fine) => Self::Off,
            (Self::On, Reading::Fine) => Self::Falling { since_ms: at_ms },
            (Self::Falling { .. }, Reading::Beyond | Reading::Between) => Self::On,
            (same, _) => same,
        };
        self.expire(reading, at_ms, patience)
    }

    /// When its time is over, if nothing else is read after `reading`.
    pub(super) fn due_ms(self, reading: Reading, patience: Patience) -> Option<i64> {
        match (self, reading) {
            (Self::Rising { since_ms }, Reading::Beyond) => Some(since_ms + patience.hold_ms),
            (Self::Falling { since_ms }, Reading::Fine) => Some(since_ms + patience.clear_ms),
            _ => None,
        }
    }

    /// Turns if its time is over by `now_ms`; `reading` is the last one. Answers as [`read`](Self::read) does.
    pub(super) fn expire(
        &mut self,
        reading: Reading,
        now_ms: i64,
        patience: Patience,
    ) -> Option<i64> {
        self.due_ms(reading, patience).filter(|&due_ms| due_ms <= now_ms)?;
        let (turned, since_ms) = match *self {
            Self::Rising { since_ms } => (Self::On, since_ms),
            Self::Falling { since_ms } => (Self::Off, since_ms),
            Self::Off | Self::On => return None,
        };
        *self = turned;
        Some(since_ms)
    }

    /// Makes it as if the last `by_ms` had not been.
    pub(super) fn shift(&mut self, by_ms: i64) {
        if let Self::Rising { since_ms } | Self::Falling { since_ms } = self {
            *since_ms += by_ms;
        }
    }

    /// Nothing has been true since later than `now_ms`.
    pub(super) fn begin_by(&mut self, now_ms: i64) {
        if let Self::Rising { since_ms } | Self::Falling { since_ms } = self {
            *since_ms = now_ms.min(*since_ms);
        }
    }
}
