//! What a metric's name says of its values.

use toml::de::DeValue;

use super::{Side, value};

/// Whether a collector gives samples: 1 if it does, else 0. Judged by the daemon itself, with the
/// label `collector`.
pub const COLLECTOR_STATE: &str = "bartizan_collector_state";
/// Whether the samples of a server that is read here are stored: 1 if they are, 0 while they wait for the disk. Judged
/// by the daemon itself.
pub const STORE_STATE: &str = "bartizan_store_state";
/// Whether a server can be watched at all: 1 if it can, else 0. Judged by the daemon itself.
pub const SERVER_STATE: &str = "bartizan_server_state";

/// The smallest and the largest value that a metric can have, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    least: Option<f64>,
    most: Option<f64>,
    is_ratio: bool,
}

impl Range {
    /// The range of `metric`, by the endings that plugins give to units.
    pub(super) fn of(metric: &str) -> Self {
        let is_ratio = metric.ends_with("_ratio");
        let is_state = [COLLECTOR_STATE, SERVER_STATE, STORE_STATE].contains(&metric);
        let counts =
            ["_bytes", "_seconds", "_total", "_hertz"].iter().any(|end| metric.ends_with(end));
        Self {
            least: (is_ratio || is_state || counts).then_some(0.0),
            most: (is_ratio || is_state).then_some(1.0),
            is_ratio,
        }
    }

    /// Why a limit must not be at `at`: nothing would ever be beyond it, or nothing ever within.
    pub(super) fn refuses(self, side: Side, at: f64) -> Option<String> {
        let Self { least, most, .. } = self;
        match side {
            Side::Above if most.is_some_and(|most| at >= most) => Some(self.unreachable(at, most?)),
            Side::Below if least.is_some_and(|least| at <= least) => Some(format!(
                "is {at}, and nothing is ever below it: such a metric is never below {}",
                least?
            )),
            _ => self.never_clears(side, at),
        }
    }

    /// Why a value beyond `clear` never comes back to it; `None` if it can.
    pub(super) fn never_clears(self, side: Side, clear: f64) -> Option<String> {
        let bound = match side {
            Side::Above => self.least.filter(|&least| clear < least),
            Side::Below => self.most.filter(|&most| clear > most),
        }?;
        let worse = match side {
            Side::Above => "below",
            Side::Below => "above",
        };
        let range = if self.is_ratio { "; ratios are from 0 to 1" } else { "" };
        Some(format!(
            "is {clear}, and would never clear: such a metric is never {worse} {bound}{range}"
        ))
    }

    fn unreachable(self, at: f64, most: f64) -> String {
        if self.is_ratio && at > 1.0 && at <= 100.0 {
            return format!("is {at}, and ratios are from 0 to 1; {at} % is {}", at / 100.0);
        }
        let range = if self.is_ratio { "; ratios are from 0 to 1" } else { "" };
        format!("is {at}, and nothing is ever above it: such a metric is never above {most}{range}")
    }
}

/// The name of a metric or of a label, as plugins may give it.
pub(super) fn metric_name(value: &DeValue<'_>) -> Result<String, String> {
    plain_metric_name(value::text(value)?).map(str::to_owned)
}

/// `name`, if a plugin may give it to a metric or a label.
pub(super) fn plain_metric_name(name: &str) -> Result<&str, String> {
    const LENGTH_MAX: usize = 128;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.len() <= LENGTH_MAX && name.chars().all(fits) {
        return Ok(name);
    }
    Err(format!(
        "is `{}`, must be letters, digits and `_`, not begin with a digit, and have at most \
         {LENGTH_MAX} characters",
        name.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_can_be_breached_and_can_be_over() {
        let fine = |metric, side, at| Range::of(metric).refuses(side, at).is_none();
        let (above, below) = (Side::Above, Side::Below);
        assert!(fine("x_ratio", above, 0.8) && fine("x_ratio", above, 0.0));
        assert!(!fine("x_ratio", above, 1.0) && !fine("x_ratio", above, 80.0), "never breached");
        assert!(!fine("x_ratio", above, -0.1), "always breached");
        assert!(fine("x_ratio", below, 0.2) && fine("x_ratio", below, 1.0));
        assert!(!fine("x_ratio", below, 0.0) && !fine("x_ratio", below, 1.1));
        for metric in ["x_bytes", "x_seconds", "x_total", "x_hertz"] {
            assert!(fine(metric, above, 0.0) && fine(metric, above, 1e12), "{metric}");
            assert!(!fine(metric, above, -1.0) && !fine(metric, below, 0.0), "{metric}");
        }
        assert!(fine(SERVER_STATE, below, 1.0) && fine(STORE_STATE, below, 1.0));
        assert!(!fine(COLLECTOR_STATE, above, 1.0));
        assert!(fine("temperature_celsius", below, -20.0), "of others nothing is known");
    }

    #[test]
    fn per_cents_are_told_as_ratios() {
        assert_eq!(
            Range::of("cpu_usage_ratio").refuses(Side::Above, 80.0).as_deref(),
            Some("is 80, and ratios are from 0 to 1; 80 % is 0.8")
        );
    }

    #[test]
    fn a_value_must_be_able_to_come_back() {
        let clears = |metric, side, at| Range::of(metric).never_clears(side, at).is_none();
        assert!(clears("x_ratio", Side::Above, 0.0) && !clears("x_ratio", Side::Above, -0.1));
        assert!(clears("x_ratio", Side::Below, 1.0) && !clears("x_ratio", Side::Below, 1.1));
        assert!(clears("x_bytes", Side::Below, 1e15) && !clears("x_bytes", Side::Above, -1.0));
    }
}
