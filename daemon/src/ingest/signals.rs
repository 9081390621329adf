//! What travels between nodes of ours as series and is no number: gaps, and whether a collector is up.
//!
//! `bartizan_gap{collector,reason}` is 1 where a gap begins and 0 where it ends; `bartizan_collector_state{collector}`
//! is 1 while a collector brings samples and 0 while it does not. Both become [`Gap`]s, and no series.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{config::COLLECTOR_STATE, series::Gap};

/// The metric that tells of gaps.
const GAP: &str = "bartizan_gap";

/// So many gaps that last are remembered of one token.
const OPEN_MAX: usize = 100_000;

/// More signals than this are not read from one request.
const SIGNALS_MAX: usize = 100_000;

/// Longest reason, in bytes; the rest is cut off.
const REASON_MAX: usize = 512;

/// Server and collector.
type Whose = (Arc<str>, Arc<str>);

/// What a series signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// A gap, for this reason.
    Gap(Arc<str>),
    /// Whether the collector is up.
    State,
}

impl Signal {
    /// What a series signals, if it is no ordinary one.
    pub(super) fn of(metric: &str, labels: &[(&str, &str)]) -> Option<Self> {
        match metric {
            GAP => {
                let reason = labels.iter().find(|(name, _)| *name == "reason");
                let reason = reason.map_or("no reason was given", |(_, value)| value);
                let reason = reason.get(..reason.floor_char_boundary(REASON_MAX));
                Some(Self::Gap(reason.unwrap_or_default().into()))
            }
            COLLECTOR_STATE => Some(Self::State),
            _ => None,
        }
    }
}

/// The signals of one request.
#[derive(Debug, Default)]
pub(super) struct Signals {
    series: Vec<(Whose, Signal)>,
    /// When, for which of the series, and whether it is 1.
    said: Vec<(i64, usize, bool)>,
}

/// Gaps that last, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct OpenGaps(HashMap<Whose, Open>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    from_ms: i64,
    reason: Arc<str>,
}

/// What changes about the gaps that last, once the store has the request.
#[derive(Debug, Default)]
pub(super) struct Changes(HashMap<Whose, Option<Open>>);

impl Signals {
    /// Takes in a series; the number is what [`note`](Self::note) knows it by.
    pub(super) fn series(&mut self, whose: Whose, signal: Signal) -> usize {
        self.series.push((whose, signal));
        self.series.len() - 1
    }

    /// Notes a value of a series; whether there is room for it.
    pub(super) fn note(&mut self, series: usize, at_ms: i64, value: f64) -> bool {
        if self.said.len() == SIGNALS_MAX {
            return false;
        }
        self.said.push((at_ms, series, value != 0.0));
        true
    }

    /// The gaps that these signals make, after those that last.
    pub(super) fn gaps(mut self, before: &OpenGaps) -> (Vec<Gap>, Changes) {
        let mut gaps: BTreeMap<(Whose, i64), Gap> = BTreeMap::new();
        let mut changes = Changes::default();
        self.said.sort_by_key(|(at_ms, ..)| *at_ms);
        for (at_ms, series, is_one) in self.said {
            let Some((whose, signal)) = self.series.get(series) else { continue };
            let open = changes.of(whose).unwrap_or_else(|| before.0.get(whose)).cloned();
            let (begins, reason) = match signal {
                Signal::Gap(reason) => (is_one, reason.clone()),
                Signal::State if is_one => (false, Arc::default()),
                // Whoever is down says why by a gap, and that one counts: this may come again, after it has ended.
                Signal::State => continue,
            };
            let mut tell = |open: &Open, to_ms| {
                let gap = gap_of(whose, open, to_ms);
                gaps.insert((whose.clone(), open.from_ms), gap);
            };
            let next = match (open, begins) {
                // Told once more.
                (Some(open), true) if open.reason == reason => {
                    tell(&open, None);
                    Some(open)
                }
                (open, true) => {
                    if let Some(open) = open {
                        tell(&open, Some(at_ms));
                    }
                    let open = Open { from_ms: at_ms, reason };
                    tell(&open, None);
                    Some(open)
                }
                (Some(open), false) => {
                    tell(&open, Some(at_ms.max(open.from_ms)));
                    None
                }
                // Its beginning is not known; the collector's next frame ends it.
                (None, false) => None,
            };
            changes.0.insert(whose.clone(), next);
        }
        (gaps.into_values().collect(), changes)
    }
}

impl Changes {
    fn of(&self, whose: &Whose) -> Option<Option<&Open>> {
        self.0.get(whose).map(Option::as_ref)
    }
}

impl OpenGaps {
    /// Makes the changes.
    pub(super) fn change(&mut self, changes: Changes) {
        for (whose, open) in changes.0 {
            match open {
                Some(open) if self.0.len() < OPEN_MAX => {
                    self.0.insert(whose, open);
                }
                _ => {
                    self.0.remove(&whose);
                }
            }
        }
    }

    /// Notes a frame, with which the store ends what is open by itself.
    pub(super) fn end(&mut self, server: &Arc<str>, collector: &Arc<str>, at_ms: i64) {
        if self.0.is_empty() {
            return;
        }
        let whose = (server.clone(), collector.clone());
        if self.0.get(&whose).is_some_and(|open| open.from_ms <= at_ms) {
            self.0.remove(&whose);
        }
    }
}

fn gap_of((server, collector): &Whose, open: &Open, to_ms: Option<i64>) -> Gap {
    let (server, collector) = (server.clone(), collector.clone());
    Gap { server, collector, from_ms: open.from_ms, to_ms, reason: open.reason.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_begins_and_ends_where_it_is_said() {
        let mut open = OpenGaps::default();
        let gaps = told(&mut open, &[(1, Signal::Gap("killed".into()), 5000)]);
        assert_eq!(gaps, [(5000, None, "killed".into())]);
        // Told again after an answer that was lost, with the state, which says no more.
        let again = [(1, Signal::Gap("killed".into()), 5000), (0, Signal::State, 5000)];
        assert_eq!(told(&mut open, &again), [(5000, None, "killed".into())]);
        let gaps = told(&mut open, &[(0, Signal::Gap("killed".into()), 9000)]);
        assert_eq!(gaps, [(5000, Some(9000), "killed".into())]);
        assert_eq!(told(&mut open, &[(1, Signal::State, 9000)]), []);
    }

    #[test]
    fn a_state_alone_is_no_gap_and_ends_one() {
        let mut open = OpenGaps::default();
        let said = [(1, Signal::State, 1000), (0, Signal::State, 2000)];
        assert_eq!(told(&mut open, &said), []);
        told(&mut open, &[(1, Signal::Gap("killed".into()), 3000)]);
        let gaps = told(&mut open, &[(1, Signal::State, 4000)]);
        assert_eq!(gaps, [(3000, Some(4000), "killed".into())]);
    }

    #[test]
    fn another_reason_is_another_gap() {
        let mut open = OpenGaps::default();
        let [one, other] = ["one", "other"].map(|reason| Signal::Gap(reason.into()));
        let gaps = told(&mut open, &[(1, one, 1000), (1, other, 2000)]);
        assert_eq!(gaps, [(1000, Some(2000), "one".into()), (2000, None, "other".into())]);
    }

    #[test]
    fn a_frame_ends_what_it_comes_after() {
        let mut open = OpenGaps::default();
        told(&mut open, &[(1, Signal::Gap("killed".into()), 2000)]);
        let whose: [Arc<str>; 2] = ["web-1".into(), "cpu".into()];
        open.end(&whose[0], &whose[1], 1000);
        assert_eq!(open.0.len(), 1);
        open.end(&whose[0], &whose[1], 2000);
        assert!(open.0.is_empty());
    }

    fn told(open: &mut OpenGaps, said: &[(u8, Signal, i64)]) -> Vec<(i64, Option<i64>, String)> {
        let mut signals = Signals::default();
        for (value, signal, at_ms) in said {
            let series = signals.series(("web-1".into(), "cpu".into()), signal.clone());
            assert!(signals.note(series, *at_ms, f64::from(*value)));
        }
        let (gaps, changes) = signals.gaps(open);
        open.change(changes);
        gaps.into_iter().map(|gap| (gap.from_ms, gap.to_ms, gap.reason.to_string())).collect()
    }
}
