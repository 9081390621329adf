//! Points in time as people write them: `1h` ago, or a date.

use std::{
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::series::whole_ms;

/// A point in time, given by a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// So long before now.
    Ago(Duration),
    /// This instant.
    At(SystemTime),
}

impl Moment {
    /// Milliseconds since 1970.
    pub(super) fn at_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(ago) => now_ms.saturating_sub(whole_ms(ago)),
            Self::At(at) => at.duration_since(UNIX_EPOCH).map_or(0, whole_ms),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let instant = humantime::parse_rfc3339_weak(text)
            .or_else(|_| humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")));
        let instant = instant.map(Self::At);
        instant.or_else(|_| humantime::parse_duration(text).map(Self::Ago)).map_err(|_| {
            "must be a time ago such as `1h`, or a UTC date such as `2026-11-23` or \
             `2026-11-23T08:00:00Z`"
                .into()
        })
    }
}

/// An instant as it may be given again: UTC, to the second where that is exact.
pub(super) fn utc(at_ms: i64) -> String {
    /// The end of the year 9999, after which a date has another shape.
    const LAST_MS: u64 = 253_402_300_799_999;
    let at_ms = u64::try_from(at_ms).unwrap_or_default().min(LAST_MS);
    let at = UNIX_EPOCH + Duration::from_millis(at_ms);
    if at_ms.is_multiple_of(1000) {
        humantime::format_rfc3339_seconds(at).to_string()
    } else {
        humantime::format_rfc3339_millis(at).to_string()
    }
}

/// A length of time in whole seconds.
pub(super) fn span(ms: i64) -> String {
    let seconds = u64::try_from(ms / 1000).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn people_write_moments_as_an_age_or_a_date() {
        let at = |text: &str| text.parse::<Moment>().map(|moment| moment.at_ms(10_000_000));
        assert_eq!(at("1h").unwrap(), 6_400_000);
        assert_eq!(at("0s").unwrap(), 10_000_000);
        assert_eq!(at("1970-01-01 00:00:05").unwrap(), 5_000);
        assert_eq!(at("1970-01-02").unwrap(), 86_400_000, "midnight");
        assert_eq!(at("1970-01-01T00:00:05.250Z").unwrap(), 5_250);
        assert!(at("yesterday").is_err());
    }

    #[test]
    fn what_is_shown_can_be_given_again() {
        for at_ms in [5_000, 5_250] {
            let shown = utc(at_ms);
            assert_eq!(shown.parse::<Moment>().unwrap().at_ms(0), at_ms, "{shown}");
        }
    }
    #[test]
    fn no_instant_is_too_far_away_to_be_shown() {
        assert_eq!(utc(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(utc(i64::MIN), "1970-01-01T00:00:00Z");
    }
}
