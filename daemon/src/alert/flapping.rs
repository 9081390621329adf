//! What comes and goes too often: told once, then only when it has been steady.

use std::collections::BTreeMap;

use crate::detect::Key;

/// More changes than this…
const CHANGES_MAX: usize = 6;
/// … within this time are flapping…
const WINDOW_MS: i64 = 30 * 60 * 1000;
/// … until nothing has changed for so long.
pub(super) const STEADY_MS: i64 = 15 * 60 * 1000;

/// Whether nothing has changed since `changed_ms` for long enough. A change that lies ahead was noted before the clock
/// was set back; how long ago it was, nobody knows, so it counts as long.
pub(super) fn is_steady(changed_ms: i64, now_ms: i64) -> bool {
    changed_ms + STEADY_MS <= now_ms || changed_ms > now_ms + STEADY_MS
}

/// When each rule and series last changed: began, ended, became worse or better.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<Key, Vec<i64>>);

impl Changes {
    /// Notes that something changed at `at_ms`; whether it has changed too often by then.
    pub(super) fn note(&mut self, key: &Key, at_ms: i64) -> bool {
        let recent = self.0.entry(key.clone()).or_default();
        // One that lies ahead was noted before the clock was set back.
        recent.retain(|&changed_ms| changed_ms > at_ms - WINDOW_MS && changed_ms <= at_ms);
        recent.push(at_ms);
        recent.len() > CHANGES_MAX
    }

    /// What `key` names has been over for long.
    pub(super) fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Labels;

    #[test]
    fn the_seventh_change_within_half_an_hour_is_one_too_many() {
        let (server, rule) = ("web-01".into(), "load".into());
        let key = Key { server, rule, labels: Labels::default(), absence: false };
        let minute = 60_000;
        let mut often = Changes::default();
        assert!((0..6).all(|at| !often.note(&key, at * minute)));
        assert!(often.note(&key, 6 * minute));
        let mut seldom = Changes::default();
        assert!((0..9).all(|at| !seldom.note(&key, at * 6 * minute)), "the first are long ago");
    }
}
