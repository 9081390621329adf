//! What is kept for how long, and what goes first where there is no room. Pure.

use std::{sync::Arc, time::Duration};

use super::{segment::SegmentFacts, tier::Tier};
use crate::config::Retention;

/// Samples of a tier that are older than this are not kept.
pub(super) fn oldest_ms(retention: &Retention, tier: Tier, now_ms: i64) -> i64 {
    let age: Duration = match tier {
        Tier::Raw => retention.raw,
        Tier::Minute => retention.minute,
        Tier::Hour => retention.hour,
    };
    now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

/// The segment to delete first: the oldest raw one, as long as raw segments have more than half of `max_bytes`; else
/// the oldest minutes, as long as these have more than a quarter; else the oldest hours beyond an eighth; and where
/// no tier has more than its share, the oldest of the finest.
///
/// Without shares, years of hours would leave no room for the last minutes.
pub(super) fn first_to_go<'a>(
    segments: impl Iterator<Item = &'a Arc<SegmentFacts>>,
    max_bytes: u64,
) -> Option<&'a Arc<SegmentFacts>> {
    let mut bytes = [0; Tier::ALL.len()];
    let mut oldest: [Option<&Arc<SegmentFacts>>; Tier::ALL.len()] = [None; Tier::ALL.len()];
    for facts in segments {
        let tier = facts.tier as usize;
        bytes[tier] += facts.bytes;
        let is_older = |than: &Arc<SegmentFacts>| {
            let order = |facts: &SegmentFacts| {
                // What is in the next coarser tier too goes before what is nowhere else.
                (!facts.folded && tier != Tier::Hour as usize, facts.span, facts.last_ms, facts.id)
            };
            order(facts) < order(than)
        };
        if oldest[tier].is_none_or(is_older) {
            oldest[tier] = Some(facts);
        }
    }
    let beyond = |tier: Tier| bytes[tier as usize] > max_bytes >> (tier as u32 + 1);
    let by_tier = |tier: Tier| oldest[tier as usize];
    let over_share = Tier::ALL.into_iter().filter(|tier| beyond(*tier)).find_map(by_tier);
    over_share.or_else(|| Tier::ALL.into_iter().find_map(by_tier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_goes_first_then_minutes_then_hours_and_nothing_starves() {
        let segment = |id, tier, span, bytes| {
            Arc::new(SegmentFacts { bytes, ..SegmentFacts::empty(id, tier, span) })
        };
        let mut segments = vec![
            segment(1, Tier::Raw, 8, 300),
            segment(2, Tier::Raw, 7, 300),
            segment(3, Tier::Minute, 1, 300),
            segment(4, Tier::Hour, 0, 200),
        ];
        let mut gone = Vec::new();
        while let Some(facts) = first_to_go(segments.iter(), 1000).cloned() {
            gone.push(facts.id);
            segments.retain(|other| other.id != facts.id);
        }
        assert_eq!(gone, [2, 3, 4, 1]);
    }
}
