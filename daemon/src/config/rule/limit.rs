//! A limit as it is written: `{ above = 0.8, clear = 0.75, for = "5m" }`, or a number.

use std::time::Duration;

use toml::de::DeValue;

use super::Limit;
use crate::config::{Side, metric::Range, section::Section, value};

/// Longest time that a value must be beyond a limit, or fine, until it counts.
const HOLD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A limit that may leave its `for` to a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnLimit {
    /// The bad side.
    pub side: Side,
    /// Beyond this it is breached.
    pub at: f64,
    /// At this or on its good side it is fine again.
    pub clear: f64,
    /// How long it must be breached before it counts; as the rule has it unless given.
    pub hold: Option<Duration>,
}

impl OwnLimit {
    /// The limit with its `for`, or else `hold`.
    pub(super) fn or_hold(self, hold: Duration) -> Limit {
        let Self { side, at, clear, .. } = self;
        Limit { side, at, clear, hold: self.hold.unwrap_or(hold) }
    }

    /// Reads the table of a limit; `None` where it is refused.
    pub(super) fn read(section: &mut Section<'_>, range: Range) -> Option<Self> {
        let above = section.value("above", |value| beyond(value, Side::Above, range));
        let below = section.value("below", |value| beyond(value, Side::Below, range));
        let clear = section.value("clear", value::number);
        let hold = section.value("for", hold);
        match (section.has("above"), section.has("below")) {
            (true, true) => {
                section.refuse("below", "must not stand beside `above`: a limit has one bad side");
                return None;
            }
            (false, false) => {
                section.refuse_whole("has no limit, needs `above` or `below`");
                return None;
            }
            _ => {}
        }
        let (side, at) = match (above, below) {
            (Some(at), _) => (Side::Above, at),
            (None, at) => (Side::Below, at?),
        };
        let limit = Self { side, at, clear: clear.unwrap_or(at), hold };
        if let Some(reason) = limit.wrong_clear(range) {
            section.refuse("clear", reason);
        }
        Some(limit)
    }

    /// Reads a limit that is only a number: above it is bad.
    pub(super) fn number(value: &DeValue<'_>, range: Range) -> Result<Self, String> {
        let at = beyond(value, Side::Above, range)?;
        Ok(Self { side: Side::Above, at, clear: at, hold: None })
    }

    /// Why a value that breaches this limit would clear too early, or never.
    fn wrong_clear(&self, range: Range) -> Option<String> {
        let Self { side, at, clear, .. } = *self;
        if side.is_beyond(clear, at) {
            let (side, good) = match side {
                Side::Above => ("above", "at or below"),
                Side::Below => ("below", "at or above"),
            };
            return Some(format!("is {clear}, must be {good} {at}, the limit `{side}`"));
        }
        range.never_clears(side, clear)
    }
}

impl Limit {
    /// Why `critical` cannot stand beside this warning, as what is said of `critical`.
    pub(super) fn contradiction(&self, critical: &Self) -> Option<String> {
        let (side, at) = (self.side.name(), self.at);
        let theirs = (critical.side.name(), critical.at);
        if critical.side != self.side {
            let (other, other_at) = theirs;
            return Some(format!(
                "is {other} {other_at}, must be on the same side as warning, {side} {at}"
            ));
        }
        self.side
            .is_beyond(self.at, critical.at)
            .then(|| format!("is {side} {}, less far than warning, {side} {at}", critical.at))
    }
}

fn beyond(value: &DeValue<'_>, side: Side, range: Range) -> Result<f64, String> {
    let at = value::number(value)?;
    range.refuses(side, at).map_or(Ok(at), Err)
}

/// A time that something must last until it counts.
pub(super) fn hold(value: &DeValue<'_>) -> Result<Duration, String> {
    value::duration(value, Duration::ZERO, HOLD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(side: Side, at: f64, clear: f64) -> OwnLimit {
        OwnLimit { side, at, clear, hold: None }
    }

    #[test]
    fn a_limit_clears_on_its_good_side() {
        let wrong = |side, at, clear| {
            limit(side, at, clear).wrong_clear(Range::of("x_ratio")).unwrap_or_default()
        };
        assert_eq!(wrong(Side::Above, 0.8, 0.8), "");
        assert_eq!(wrong(Side::Above, 0.8, 0.7), "");
        assert_eq!(wrong(Side::Below, 0.2, 0.3), "");
        assert_eq!(
            wrong(Side::Above, 0.8, 0.9),
            "is 0.9, must be at or below 0.8, the limit `above`"
        );
        assert_eq!(
            wrong(Side::Below, 0.2, 0.1),
            "is 0.1, must be at or above 0.2, the limit `below`"
        );
        assert!(wrong(Side::Above, 0.8, -0.1).contains("never clear"));
        assert!(wrong(Side::Below, 0.2, 1.5).contains("never clear"));
    }

    #[test]
    fn critical_is_no_less_far_than_warning_and_on_its_side() {
        let contradiction = |(side, at): (Side, f64), (other, other_at): (Side, f64)| {
            let whole = |side, at| limit(side, at, at).or_hold(Duration::ZERO);
            whole(side, at).contradiction(&whole(other, other_at)).unwrap_or_default()
        };
        assert_eq!(contradiction((Side::Above, 0.8), (Side::Above, 0.9)), "");
        assert_eq!(contradiction((Side::Above, 0.8), (Side::Above, 0.8)), "", "they may coincide");
        assert_eq!(contradiction((Side::Below, 0.2), (Side::Below, 0.1)), "");
        assert_eq!(
            contradiction((Side::Above, 0.8), (Side::Above, 0.7)),
            "is above 0.7, less far than warning, above 0.8"
        );
        assert_eq!(
            contradiction((Side::Below, 5.0), (Side::Below, 9.0)),
            "is below 9, less far than warning, below 5"
        );
        assert_eq!(
            contradiction((Side::Above, 0.8), (Side::Below, 0.9)),
            "is below 0.9, must be on the same side as warning, above 0.8"
        );
    }
}
