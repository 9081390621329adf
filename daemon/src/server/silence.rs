//! From missed slots to gaps: when a silence begins, and when it ends.

use std::{collections::HashMap, sync::Arc};

use crate::series::Gap;

/// The silences of one server's collectors, by collector.
#[derive(Debug)]
pub(super) struct Silences {
    server: Arc<str>,
    open: HashMap<Arc<str>, Gap>,
}

impl Silences {
    /// None yet.
    pub(super) fn new(server: Arc<str>) -> Self {
        Self { server, open: HashMap::new() }
    }

    /// A slot brought nothing. Returns what is new: a gap that begins, or one
    /// that ends because the reason or the clock is another and the one that begins then.
    pub(super) fn missed(
        &mut self,
        collector: &Arc<str>,
        at_ms: i64,
        why: &Arc<str>,
        now_ms: i64,
    ) -> Vec<Gap> {
        let goes_on = |gap: &Gap| gap.reason == *why && !is_ahead(gap, now_ms);
        if self.open.get(collector).is_some_and(goes_on) {
            return Vec::new();
        }
        let former = self.open.remove(collector);
        let former = former.map(|gap| Gap { to_ms: Some(at_ms.max(gap.from_ms)), ..gap });
        let mut news: Vec<_> = former.into_iter().collect();
        let gap = Gap {
            server: self.server.clone(),
            collector: collector.clone(),
            from_ms: at_ms,
            to_ms: None,
            reason: why.clone(),
        };
        self.open.insert(collector.clone(), gap.clone());
        news.push(gap);
        news
    }

    /// A slot brought samples. Returns the gap that ends with it. Samples of a
    /// slot before the gap, from a reading that took long, do not end it.
    pub(super) fn spoke(&mut self, collector: &Arc<str>, at_ms: i64, now_ms: i64) -> Option<Gap> {
        self.open.get(collector).filter(|gap| gap.from_ms < at_ms || is_ahead(gap, now_ms))?;
        let gap = self.open.remove(collector)?;
        Some(Gap { to_ms: Some(at_ms.max(gap.from_ms)), ..gap })
    }
}

/// Slots bear their own time, which may be a little ahead of the clock.
const AHEAD_MS: i64 = 1000;

/// Whether the clock was set back since it began.
fn is_ahead(gap: &Gap, now_ms: i64) -> bool {
    gap.from_ms - now_ms > AHEAD_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10;

    #[test]
    fn a_gap_begins_once_changes_its_reason_and_ends() {
        let cpu: Arc<str> = "cpu".into();
        let mut silences = Silences::new("web-1".into());
        let gap = |from_ms, to_ms, reason: &str| Gap {
            server: "web-1".into(),
            collector: cpu.clone(),
            from_ms,
            to_ms,
            reason: reason.into(),
        };

        assert_eq!(silences.spoke(&cpu, 0, NOW), None);
        assert_eq!(silences.missed(&cpu, 1, &"killed".into(), NOW), [gap(1, None, "killed")]);
        assert_eq!(silences.missed(&cpu, 2, &"killed".into(), NOW), []);
        let changed = [gap(1, Some(3), "killed"), gap(3, None, "starting")];
        assert_eq!(silences.missed(&cpu, 3, &"starting".into(), NOW), changed);
        assert_eq!(silences.spoke(&cpu, 2, NOW), None, "a slow reading of an earlier slot");
        assert_eq!(silences.spoke(&cpu, 4, NOW), Some(gap(3, Some(4), "starting")));
        assert_eq!(silences.spoke(&cpu, 5, NOW), None);
    }

    #[test]
    fn a_gap_that_lies_ahead_since_the_clock_was_set_back_ends_and_begins_anew() {
        let cpu: Arc<str> = "cpu".into();
        let mut silences = Silences::new("web-1".into());
        silences.missed(&cpu, 7_200_000, &"killed".into(), 7_200_000);
        let gaps = silences.missed(&cpu, 3_600_000, &"killed".into(), 3_600_000);
        let times: Vec<_> = gaps.iter().map(|gap| (gap.from_ms, gap.to_ms)).collect();
        assert_eq!(times, [(7_200_000, Some(7_200_000)), (3_600_000, None)]);

        let ended = silences.spoke(&cpu, 60_000, 60_000).map(|gap| (gap.from_ms, gap.to_ms));
        assert_eq!(ended, Some((3_600_000, Some(3_600_000))));
    }
}
