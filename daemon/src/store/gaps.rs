//! The gaps of one collector: pure bookkeeping.

use std::{collections::BTreeMap, ops::RangeBounds, sync::Arc};

use super::absence::explained_until;
use crate::series::Gap;

/// So many gaps are remembered; the oldest go first.
const GAPS_MAX: usize = 4096;

/// What a query says where nothing else explains a hole.
pub(super) const UNEXPLAINED: &str = "no sample was received";
/// The reason of what a repair could not save. Other series of the collector may be whole: it is shown where one is not.
pub(super) const DAMAGED: &str = "what was stored was damaged";

/// The gaps of one collector, by their beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct GapBook {
    gaps: BTreeMap<i64, Told>,
    open: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    to_ms: Option<i64>,
    away_until_ms: Option<i64>,
    reason: Arc<str>,
    /// Not yet in the state.
    new: bool,
}

/// A gap without the collector's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from_ms: i64,
    pub(super) to_ms: Option<i64>,
    /// Until when the daemon itself was away, as long as nothing has come that ends the gap.
    pub(super) away_until_ms: Option<i64>,
    pub(super) reason: Arc<str>,
}

impl GapBook {
    /// Takes in a gap, or its end; `new` unless it comes from the state. A collector is silent for one reason at a time,
    /// so what lasts is ended by the next. A beginning that is told again after the end says nothing new: whoever sent
    /// both sends them again when the answer is lost.
    pub(super) fn tell(&mut self, stretch: Stretch, new: bool) {
        let Stretch { from_ms, to_ms, away_until_ms, reason } = stretch;
        let has_ended = |told: &Told| told.to_ms.is_some_and(|end| end > from_ms);
        if to_ms.is_none() && self.gaps.get(&from_ms).is_some_and(has_ended) {
            return;
        }
        self.end_at(..from_ms, from_ms);
        self.open += usize::from(to_ms.is_none());
        let before = self.gaps.insert(from_ms, Told { to_ms, away_until_ms, reason, new });
        self.open -= usize::from(before.is_some_and(|before| before.to_ms.is_none()));
        if self.gaps.len() > GAPS_MAX
            && let Some((_, gone)) = self.gaps.pop_first()
        {
            self.open -= usize::from(gone.to_ms.is_none());
        }
    }

    /// Ends what is open: there is a frame at `at_ms`.
    pub(super) fn end(&mut self, at_ms: i64) {
        self.end_at(..=at_ms, at_ms);
    }

    fn end_at(&mut self, begun: impl RangeBounds<i64>, at_ms: i64) {
        if self.open == 0 {
            return;
        }
        for told in self.gaps.range_mut(begun).map(|(_, told)| told) {
            if told.to_ms.is_none() {
                (told.to_ms, told.away_until_ms) = (Some(at_ms), None);
                told.new = true;
                self.open -= 1;
            }
        }
    }

    /// Whether one is open.
    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// The gap of the daemon's own absence, as long as nothing has come since: where it begins, when the daemon was
    /// back, and why it was away.
    pub(super) fn absence(&self) -> Option<(i64, i64, Arc<str>)> {
        let mut last = self.gaps.iter().rev().filter(|_| self.is_open());
        last.find_map(|(from, told)| Some((*from, told.away_until_ms?, told.reason.clone())))
    }

    /// Those that reach into `from_ms..to_ms`, oldest first.
    pub(super) fn within(&self, from_ms: i64, to_ms: i64) -> Vec<Stretch> {
        // A gap that was ended in its first slot was none.
        let ends_later =
            |from: i64, told: &Told| told.to_ms.is_none_or(|end| end > from_ms.max(from));
        self.gaps
            .range(..to_ms)
            .filter(|(from, told)| ends_later(**from, told))
            .map(|(from, told)| Stretch::new(*from, told))
            .collect()
    }

    /// Forgets those that ended before `before_ms`; answers where they began.
    pub(super) fn expire(&mut self, before_ms: i64) -> Vec<i64> {
        let old =
            |told: &Told| told.to_ms.or(told.away_until_ms).is_some_and(|end| end < before_ms);
        let gone: Vec<i64> =
            self.gaps.iter().filter(|(_, told)| old(told)).map(|(from, _)| *from).collect();
        for told in gone.iter().filter_map(|from| self.gaps.remove(from)) {
            self.open -= usize::from(told.to_ms.is_none());
        }
        gone
    }

    /// Those that the state does not know yet; from now on it does.
    pub(super) fn take_new(&mut self) -> Vec<Stretch> {
        let mut taken = Vec::new();
        for (from, told) in self.gaps.iter_mut().filter(|(_, told)| told.new) {
            told.new = false;
            taken.push(Stretch::new(*from, told));
        }
        taken
    }

    /// The state has not kept what [`take_new`](Self::take_new) gave.
    pub(super) fn renew(&mut self, from_ms: i64) {
        if let Some(told) = self.gaps.get_mut(&from_ms) {
            told.new = true;
        }
    }
}

impl From<Gap> for Stretch {
    fn from(Gap { from_ms, to_ms, reason, .. }: Gap) -> Self {
        Self { from_ms, to_ms, away_until_ms: None, reason }
    }
}

impl Stretch {
    fn new(from_ms: i64, told: &Told) -> Self {
        let Told { to_ms, away_until_ms, ref reason, .. } = *told;
        Self { from_ms, to_ms, away_until_ms, reason: reason.clone() }
    }

    /// As it is to be shown at `now_ms`: the daemon's absence does not explain what is missing long after.
    pub(super) fn at(mut self, now_ms: i64, interval_ms: u32) -> Self {
        if let Some(until_ms) = self.away_until_ms {
            let explained_ms = explained_until(until_ms, interval_ms, now_ms).max(self.from_ms);
            self.to_ms = Some(explained_ms).filter(|explained_ms| *explained_ms < now_ms);
        }
        self
    }
}

/// A recorded gap as one series shows it, which has these holes.
pub(super) fn shown_over(gap: &Stretch, holes: &[(i64, Option<i64>)]) -> Vec<Stretch> {
    if *gap.reason != *DAMAGED {
        return vec![gap.clone()];
    }
    let over = |(from_ms, to_ms): &(i64, Option<i64>)| {
        let from_ms = gap.from_ms.max(*from_ms);
        let to_ms = gap.to_ms.into_iter().chain(*to_ms).min();
        let part = Stretch { from_ms, to_ms, ..gap.clone() };
        to_ms.is_none_or(|to_ms| to_ms > from_ms).then_some(part)
    };
    holes.iter().filter_map(over).collect()
}

/// The parts of a hole that no recorded gap covers and that are longer than `least_ms`.
pub(super) fn uncovered(
    hole: (i64, Option<i64>),
    recorded: &[Stretch],
    least_ms: i64,
) -> Vec<(i64, Option<i64>)> {
    let (mut from, to) = hole;
    let end = to.unwrap_or(i64::MAX);
    let mut parts = Vec::new();
    for gap in recorded {
        if gap.from_ms >= end {
            break;
        }
        if gap.from_ms.saturating_sub(from) > least_ms {
            parts.push((from, Some(gap.from_ms)));
        }
        from = from.max(gap.to_ms.unwrap_or(i64::MAX));
        if from >= end {
            return parts;
        }
    }
    let whole_is_one = from == hole.0;
    if whole_is_one || end.saturating_sub(from) > least_ms {
        parts.push((from, to));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(from_ms: i64, to_ms: Option<i64>) -> Stretch {
        Stretch { from_ms, to_ms, away_until_ms: None, reason: "test".into() }
    }

    #[test]
    fn an_open_gap_is_ended_by_the_next_frame_only_once() {
        let mut book = GapBook::default();
        book.tell(stretch(10, None), true);
        book.end(9);
        assert!(book.is_open(), "a frame from before the gap");
        book.end(20);
        book.end(21);
        assert!(!book.is_open());
        assert_eq!(book.within(0, 100), [stretch(10, Some(20))]);
        assert_eq!(book.within(20, 100), []);
        book.tell(stretch(30, None), true);
        book.end(30);
        assert_eq!(book.within(20, 100), [], "nothing was missing");
        book.tell(stretch(10, Some(19)), true);
        assert_eq!(book.within(0, 11), [stretch(10, Some(19))], "told again");
        book.tell(stretch(10, None), true);
        assert!(!book.is_open(), "it has ended");
        book.tell(stretch(30, None), true);
        assert!(book.is_open(), "what ended in its first slot may still begin");
    }

    #[test]
    fn a_gap_that_lasts_is_ended_by_the_next() {
        let mut book = GapBook::default();
        book.tell(stretch(10, None), true);
        book.tell(stretch(10, None), true);
        book.tell(stretch(30, None), true);
        book.end(40);
        assert_eq!(book.within(0, 100), [stretch(10, Some(30)), stretch(30, Some(40))]);
        assert!(!book.is_open());
    }

    #[test]
    fn the_state_is_told_once_unless_it_failed() {
        let mut book = GapBook::default();
        book.tell(stretch(1, Some(2)), false);
        book.tell(stretch(5, None), true);
        assert_eq!(book.take_new(), [stretch(5, None)]);
        assert_eq!(book.take_new(), []);
        book.renew(5);
        assert_eq!(book.take_new().len(), 1);
        assert_eq!(book.expire(3), [1]);
    }

    #[test]
    fn an_absence_lasts_until_something_comes_and_is_forgotten_with_the_rest() {
        let absence = Stretch { away_until_ms: Some(60_000), ..stretch(10, None) };
        let mut book = GapBook::default();
        book.tell(absence.clone(), true);
        assert_eq!(book.absence(), Some((10, 60_000, "test".into())));
        assert_eq!(book.take_new(), std::slice::from_ref(&absence), "and the state is told");
        assert_eq!(absence.clone().at(70_000, 1000).to_ms, None);
        assert_eq!(absence.at(70_001, 1000).to_ms, Some(60_000), "shown as ended by then");
        let mut other = book.clone();
        book.end(80_000);
        assert_eq!(book.absence(), None);
        assert_eq!(book.within(0, 100), [stretch(10, Some(80_000))]);
        assert_eq!((other.expire(60_000), other.expire(60_001)), (vec![], vec![10]));
        assert!(!other.is_open());
    }

    #[test]
    fn what_was_damaged_is_shown_where_something_is_missing() {
        let gap = Stretch { reason: DAMAGED.into(), ..stretch(20, Some(40)) };
        let part = |from_ms, to_ms| Stretch { from_ms, to_ms: Some(to_ms), ..gap.clone() };
        let holes = [(10, Some(25)), (30, Some(32)), (39, None), (40, Some(50))];
        assert_eq!(shown_over(&gap, &holes), [part(20, 25), part(30, 32), part(39, 40)]);
        assert_eq!(shown_over(&gap, &[]), []);
        assert_eq!(shown_over(&stretch(20, None), &[]), [stretch(20, None)]);
    }

    #[test]
    fn only_what_nothing_covers_is_unexplained() {
        let recorded = [stretch(20, Some(40)), stretch(50, Some(60))];
        assert_eq!(uncovered((0, Some(70)), &recorded, 15), [(0, Some(20))]);
        assert_eq!(uncovered((25, Some(30)), &recorded, 0), []);
        assert_eq!(uncovered((60, None), &recorded, 15), [(60, None)]);
        assert_eq!(uncovered((0, None), &[stretch(-5, None)], 15), []);
    }
}
