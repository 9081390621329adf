//! What part of its time a processor spent in each mode, between two readings.

use crate::stat::Times;

/// The modes, in the order of [`Shares::modes`].
pub(crate) const MODES: [&str; 9] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest"];

/// Fewest ticks between two readings. The kernel counts hundredths of a second: of fewer, a ratio would be noise.
const MIN_TICKS: u64 = 10;

/// What part of its time a processor spent in each mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shares {
    /// 1 − (idle + iowait) / all.
    pub(crate) usage: f64,
    /// Of each of [`MODES`]; together they are 1.
    pub(crate) modes: [f64; MODES.len()],
}

impl Shares {
    /// The shares between two readings; none where too little time has passed.
    ///
    /// The kernel counts the time of virtual machines twice, as `guest` and in `user` (`guest_nice` and in `nice`). Here
    /// it is `guest` only. A counter that went backwards, as `iowait` may, has not moved.
    pub(crate) fn between(before: &Times, after: &Times) -> Option<Self> {
        let moved = |of: fn(&Times) -> u64| of(after).saturating_sub(of(before));
        let (user, nice) = (moved(|times| times.user), moved(|times| times.nice));
        let guest = moved(|times| times.guest).min(user);
        let guest_nice = moved(|times| times.guest_nice).min(nice);
        let ticks = [
            user - guest,
            nice - guest_nice,
            moved(|times| times.system),
            moved(|times| times.idle),
            moved(|times| times.iowait),
            moved(|times| times.irq),
            moved(|times| times.softirq),
            moved(|times| times.steal),
            guest.saturating_add(guest_nice),
        ];
        let all = ticks.iter().fold(0, |all: u64, ticks| all.saturating_add(*ticks));
        if all < MIN_TICKS {
            return None;
        }
        let modes = ticks.map(|ticks| ticks as f64 / all as f64);
        let [_, _, _, idle, iowait, ..] = modes;
        Some(Self { usage: (1.0 - idle - iowait).clamp(0.0, 1.0), modes })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn idle_and_iowait_are_not_usage() {
        let after = Times { user: 10, system: 5, irq: 5, idle: 60, iowait: 20, ..Times::default() };
        let shares = Shares::between(&Times::default(), &after).unwrap();
        assert!((shares.usage - 0.2).abs() < 1e-12, "{}", shares.usage);
        assert_eq!(shares.modes, [0.1, 0.0, 0.05, 0.6, 0.2, 0.05, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn virtual_machines_are_counted_once() {
        let after =
            Times { user: 40, nice: 20, idle: 40, guest: 30, guest_nice: 5, ..Times::default() };
        let shares = Shares::between(&Times::default(), &after).unwrap();
        assert!((shares.usage - 0.6).abs() < 1e-12, "{}", shares.usage);
        assert_eq!(shares.modes, [0.1, 0.15, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.35]);
    }

    #[test]
    fn iowait_that_goes_backwards_has_not_moved() {
        let before = Times { idle: 100, iowait: 50, ..Times::default() };
        let after = Times { user: 25, idle: 175, iowait: 48, ..Times::default() };
        let shares = Shares::between(&before, &after).unwrap();
        assert_eq!(shares.usage, 0.25);
    }

    #[test]
    fn too_few_ticks_give_no_ratio() {
        let after = Times { user: MIN_TICKS - 1, ..Times::default() };
        assert_eq!(Shares::between(&Times::default(), &after), None);
        assert_eq!(Shares::between(&after, &after), None);
    }

    proptest! {
        #[test]
        fn shares_are_parts_of_a_whole(before in any::<[u64; 10]>(), after in any::<[u64; 10]>()) {
            if let Some(shares) = Shares::between(&times(before), &times(after)) {
                assert!((0.0..=1.0).contains(&shares.usage), "{shares:?}");
                assert!(shares.modes.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
            }
        }

        #[test]
        fn they_add_up_to_one(moved in any::<[u32; 10]>()) {
            if let Some(shares) = Shares::between(&Times::default(), &times(moved.map(u64::from))) {
                assert!((shares.modes.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
            }
        }
    }

    fn times(
        [user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice]: [u64; 10],
    ) -> Times {
        Times { user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice }
    }
}
