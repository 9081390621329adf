//! What is to be settled next. Pure.
//!
//! ```text
//!  raw     sealed as samples came ──merge, by day──► settled
//!  minute  sealed as samples came ──merge, by day──► settled ──fold, by week──► hour
//! ```
//!
//! # Invariants
//!
//! - What comes late makes segments of its own beside those that are settled; only when these have become many is
//!   anything written a third time.
//! - One job reads a bounded number of bytes, so that what it writes fits beside it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    segment::{DAY_MS, SegmentFacts},
    tier::Tier,
};

/// So many segments of one day are merged before it is over.
const DAY_MANY: usize = 64;
/// So many settled segments of one day are merged once more.
const SETTLED_MANY: usize = 8;

/// Something to do with segments of one tier, the oldest first.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Job {
    /// Write them as one.
    Merge(Vec<Arc<SegmentFacts>>),
    /// Write what they come to into the next coarser tier.
    Fold(Vec<Arc<SegmentFacts>>),
}

/// What is known beside the segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Days below this one are over, and sealed.
    pub(super) today: i64,
    /// At most so many bytes are merged at once.
    pub(super) most_bytes: u64,
    /// Minutes that end before this are to go: they are folded without waiting for their week.
    pub(super) minutes_from_ms: i64,
}

impl Job {
    /// The segments it is about.
    pub(super) fn sources(&self) -> &[Arc<SegmentFacts>] {
        match self {
            Self::Merge(sources) | Self::Fold(sources) => sources,
        }
    }
}

/// What is to be done first; nothing is done with days of which `is_quiet` is not said.
pub(super) fn next_job<'a>(
    segments: impl Iterator<Item = &'a Arc<SegmentFacts>>,
    terms: Terms,
    is_quiet: impl Fn(Tier, i64) -> bool,
) -> Option<Job> {
    let mut days: BTreeMap<(Tier, i64), Vec<Arc<SegmentFacts>>> = BTreeMap::new();
    let mut weeks: BTreeMap<i64, Vec<Arc<SegmentFacts>>> = BTreeMap::new();
    for facts in segments {
        // Of a store of version 1: each becomes as if it had been sealed with its minutes.
        if facts.tier == Tier::Raw && !facts.folded {
            return Some(Job::Fold(vec![facts.clone()]));
        }
        if facts.tier != Tier::Hour {
            let day = facts.first_ms.div_euclid(DAY_MS);
            days.entry((facts.tier, day)).or_default().push(facts.clone());
        }
        if facts.tier == Tier::Minute && !facts.folded {
            weeks.entry(facts.span).or_default().push(facts.clone());
        }
    }
    for ((tier, day), of_day) in days {
        let is_over = day < terms.today && is_quiet(tier, day);
        if let Some(merged) = to_merge(of_day, is_over, terms.most_bytes) {
            return Some(Job::Merge(merged));
        }
    }
    let expired = |facts: &Arc<SegmentFacts>| facts.last_ms < terms.minutes_from_ms;
    let expired: Vec<_> =
        weeks.values().flatten().filter(|facts| expired(facts)).cloned().collect();
    if let Some(first) = expired.first() {
        let span = first.span;
        return Some(Job::Fold(expired.into_iter().filter(|facts| facts.span == span).collect()));
    }
    let this_week = Tier::Minute.span_of(terms.today.saturating_mul(DAY_MS));
    let is_over = |week: &i64| {
        let first_day = week.saturating_mul(Tier::Minute.span_ms()) / DAY_MS;
        *week < this_week && (first_day..first_day + 7).all(|day| is_quiet(Tier::Minute, day))
    };
    let mut over = weeks.into_iter().filter(|(week, _)| is_over(week));
    over.next().map(|(_, minutes)| Job::Fold(minutes))
}

/// Which of the segments of one tier and day to merge, if any.
fn to_merge(
    of_day: Vec<Arc<SegmentFacts>>,
    is_over: bool,
    most_bytes: u64,
) -> Option<Vec<Arc<SegmentFacts>>> {
    let (settled, mut fresh): (Vec<_>, Vec<_>) =
        of_day.into_iter().partition(|facts| facts.settled);
    if !is_over && fresh.len() < DAY_MANY {
        return None;
    }
    if is_over && settled.len() >= SETTLED_MANY {
        // Those that were folded must not be mixed with those that were not.
        let (folded, unfolded): (Vec<_>, Vec<_>) =
            settled.into_iter().partition(|facts| facts.folded);
        let most = if folded.len() > unfolded.len() { folded } else { unfolded };
        let small = most.into_iter().filter(|facts| facts.bytes < most_bytes / 4);
        let merged = within(small.collect(), most_bytes);
        if merged.len() >= SETTLED_MANY / 2 {
            return Some(merged);
        }
    }
    fresh.sort_by_key(|facts| (facts.first_ms, facts.id));
    let is_folded = fresh.first()?.folded;
    fresh.retain(|facts| facts.folded == is_folded);
    let merged = within(fresh, most_bytes);
    (merged.len() > 1).then_some(merged)
}

/// As many of the first as have `most_bytes` together, but for those that are too large to go with others.
fn within(segments: Vec<Arc<SegmentFacts>>, most_bytes: u64) -> Vec<Arc<SegmentFacts>> {
    let mut bytes = 0;
    let fits = |facts: &Arc<SegmentFacts>| {
        bytes += facts.bytes;
        bytes <= most_bytes
    };
    let small = segments.into_iter().filter(|facts| facts.bytes <= most_bytes / 2);
    small.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { today: 100, most_bytes: 1000, minutes_from_ms: 10 * DAY_MS };

    fn segment(id: u64, tier: Tier, day: i64) -> SegmentFacts {
        let first_ms = day * DAY_MS + id as i64;
        let facts = SegmentFacts::empty(id, tier, tier.span_of(first_ms));
        let folded = tier == Tier::Raw;
        SegmentFacts { first_ms, last_ms: first_ms + 1, bytes: 10, folded, ..facts }
    }

    fn job(segments: &[SegmentFacts]) -> Option<(bool, Vec<u64>)> {
        let segments: Vec<_> = segments.iter().cloned().map(Arc::new).collect();
        let job = next_job(segments.iter(), TERMS, |_, _| true)?;
        let ids = job.sources().iter().map(|facts| facts.id).collect();
        Some((matches!(job, Job::Merge(_)), ids))
    }

    #[test]
    fn a_day_is_merged_when_it_is_over_and_a_week_folded_when_it_is() {
        let raw = |id, day| segment(id, Tier::Raw, day);
        let minute = |id, day| segment(id, Tier::Minute, day);
        assert_eq!(job(&[raw(1, 100), raw(2, 100)]), None, "today");
        assert_eq!(job(&[raw(2, 99)]), None, "one alone stays as it is");
        assert_eq!(job(&[raw(4, 99), raw(2, 99), raw(3, 100)]), Some((true, vec![2, 4])));
        let settled = SegmentFacts { settled: true, ..raw(9, 99) };
        assert_eq!(job(&[settled, raw(10, 99)]), None, "what came late stays beside it");
        assert_eq!(job(&[minute(1, 80), minute(2, 80)]), Some((true, vec![1, 2])));
        let of_day = |id| SegmentFacts { settled: true, ..minute(id, 80 + id as i64 % 3) };
        assert_eq!(job(&[of_day(1), of_day(2)]), Some((false, vec![1, 2])));
        let folded = |id| SegmentFacts { folded: true, ..of_day(id) };
        assert_eq!(job(&[folded(1), folded(2), of_day(3)]), Some((false, vec![3])));
        assert_eq!(job(&[folded(1), folded(2)]), None);
        assert_eq!(job(&[minute(1, 9), minute(2, 99)]), Some((false, vec![1])), "about to go");
        let first_version = SegmentFacts { folded: false, ..raw(5, 100) };
        assert_eq!(job(&[first_version, raw(1, 99), raw(2, 99)]), Some((false, vec![5])));
    }

    #[test]
    fn what_has_become_many_is_merged_and_never_too_much_at_once() {
        let today: Vec<_> = (0..70).map(|id| segment(id, Tier::Raw, 100)).collect();
        assert_eq!(job(&today), Some((true, (0..70).collect())));
        let large = |id| SegmentFacts { bytes: 400, ..segment(id, Tier::Raw, 99) };
        assert_eq!(job(&[large(1), large(2), large(3)]), Some((true, vec![1, 2])));
        let settled = |id| SegmentFacts { settled: true, ..segment(id, Tier::Raw, 99) };
        let many: Vec<_> = (0..8).map(settled).collect();
        assert_eq!(job(&many), Some((true, (0..8).collect())));
        assert_eq!(job(&many[1..]), None);
    }
}
