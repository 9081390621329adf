//! How much of what a link can carry is used: the busier direction's bytes per second over its speed.

use std::time::Instant;

use crate::net_dev::Traffic;

/// The counters of the reading before.
#[derive(Debug, Default)]
pub(crate) struct Saturation {
    before: Option<(Instant, u64, u64)>,
}

impl Saturation {
    /// The ratio between the reading before and this one of `now`; none for a first one, for counters that began
    /// anew, and where the speed in bytes per second is not known.
    pub(crate) fn next(
        &mut self,
        traffic: &Traffic,
        speed: Option<f64>,
        now: Instant,
    ) -> Option<f64> {
        let (receive, transmit) = (traffic.receive.bytes, traffic.transmit.bytes);
        let (at, received, transmitted) = self.before.replace((now, receive, transmit))?;
        let seconds = now.saturating_duration_since(at).as_secs_f64();
        let speed = speed.filter(|speed| *speed > 0.0 && seconds > 0.0)?;
        let grown = receive.checked_sub(received)?.max(transmit.checked_sub(transmitted)?);
        Some(grown as f64 / seconds / speed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net_dev::Direction;

    #[test]
    fn the_busier_direction_counts_and_a_restart_of_counters_does_not() {
        let traffic = |receive, transmit| Traffic {
            receive: Direction { bytes: receive, ..Direction::default() },
            transmit: Direction { bytes: transmit, ..Direction::default() },
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut saturation = Saturation::default();
        assert_eq!(saturation.next(&traffic(1_000, 0), Some(1_000.0), at(0)), None, "the first");
        assert_eq!(saturation.next(&traffic(1_200, 1_000), Some(1_000.0), at(2)), Some(0.5));
        assert_eq!(saturation.next(&traffic(1_300, 1_000), None, at(3)), None, "no speed");
        assert_eq!(saturation.next(&traffic(0, 0), Some(1_000.0), at(4)), None, "began anew");
        assert_eq!(saturation.next(&traffic(900, 100), Some(1_000.0), at(5)), Some(0.9));
    }
}
