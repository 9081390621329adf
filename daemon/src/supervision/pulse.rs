//! The one instant of a second at which everybody shows that they are alive.
//!
//! A timer that fires alone wakes a sleeping processor, which costs more than
//! what it is woken for. So whoever looks around once a second does so at the
//! same instant, and that instant is shortly after the whole second: what
//! collectors read on the second has arrived by then.

use std::time::Duration;

use crate::series::now_ms;

/// When the pulse comes, in milliseconds after the whole second.
pub const PULSE_MS: i64 = 60;

/// Time until the next pulse: more than nothing, a second at most.
pub fn until_pulse() -> Duration {
    wait_at(now_ms())
}

fn wait_at(now_ms: i64) -> Duration {
    Duration::from_millis((1000 - (now_ms - PULSE_MS).rem_euclid(1000)).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pulse_comes_once_a_second_and_is_always_ahead() {
        assert_eq!(wait_at(5_000), Duration::from_millis(60));
        assert_eq!(wait_at(5_059), Duration::from_millis(1));
        assert_eq!(wait_at(5_060), Duration::from_millis(1000));
        assert_eq!(wait_at(5_061), Duration::from_millis(999));
    }
}
