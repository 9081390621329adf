//! The daemon's own absence: of which streams it explains the silence, and until when.
//!
//! ```text
//!  samples ──last│   the daemon is away    │until          next
//!                └──────── absence ────────┴───── … ────────┘
//! ```
//!
//! # Invariants
//!
//! - A stream that had fallen silent before has its silence from something else.
//! - What comes next decides. A collector here has missed what was missed. Whoever sends from elsewhere and goes on
//!   where its samples ended has kept it, and there is no hole; whoever does not leaves a hole.
//! - Whoever stays silent though the daemon has long been back is no longer silent because of it.
//! - What is filled in later takes from the absence what it covers.

use std::{collections::HashMap, sync::Arc};

use super::{heads::Heads, messages::Batch, writer::Origin};
use crate::series::Gap;

/// The reasons, after a kill and after a clean stop.
const REASONS: [&str; 2] = ["bartizan was killed", "bartizan was stopped"];

/// A stream is silent when nothing has come for so many intervals…
const INTERVALS: i64 = 3;
/// … and for so long: what comes from elsewhere comes in batches.
const SILENT_LEAST_MS: i64 = 10_000;

/// An absence whose streams have not all come back.
#[derive(Debug, Default)]
pub(super) struct Absences {
    /// By server and collector.
    known: HashMap<Arc<str>, HashMap<Arc<str>, Absence>>,
    /// What they were before the write that is under way.
    before: Vec<(Arc<str>, Arc<str>, Absence)>,
}

/// The absence as one collector's silence.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Absence {
    /// Time of its last sample.
    last_ms: i64,
    interval_ms: i64,
    /// Where the gap begins.
    from_ms: i64,
    /// When the daemon was back.
    until_ms: i64,
    /// Where the gap ends, once something has come.
    to_ms: Option<i64>,
    reason: Arc<str>,
}

/// What times of a collector a batch holds: the one it has first, and the earliest.
#[derive(Debug, Clone, Copy)]
struct Times {
    first_ms: i64,
    earliest_ms: i64,
}

/// The reason of a gap that the daemon's own end leaves.
pub(super) fn reason(clean: bool) -> Arc<str> {
    REASONS[usize::from(clean)].into()
}

/// Whether a stream was silent at `at_ms`: it had its last sample at `last_ms`, or something has explained its silence
/// until then.
pub(super) fn is_silent(last_ms: i64, interval_ms: u32, at_ms: i64) -> bool {
    let patience_ms = (INTERVALS * i64::from(interval_ms)).max(SILENT_LEAST_MS);
    at_ms.saturating_sub(last_ms) > patience_ms
}

/// Until when an absence that ended at `until_ms` explains a silence that lasts until `next_ms`.
pub(super) fn explained_until(until_ms: i64, interval_ms: u32, next_ms: i64) -> i64 {
    if is_silent(until_ms, interval_ms, next_ms) { until_ms } else { next_ms }
}

impl Absence {
    /// Something of `at_ms`, which is after the last sample, has come. Answers where the gap ends from now on, if that
    /// changes; where it begins, if there is none.
    fn heard(&mut self, at_ms: i64, origin: Origin) -> Option<i64> {
        let goes_on = at_ms.saturating_sub(self.last_ms) <= INTERVALS * self.interval_ms;
        let interval_ms = u32::try_from(self.interval_ms).unwrap_or(u32::MAX);
        let to_ms = match origin {
            Origin::Elsewhere if goes_on => self.from_ms,
            _ => explained_until(self.until_ms, interval_ms, at_ms).max(self.from_ms),
        };
        if self.to_ms.is_some_and(|before| before <= to_ms) {
            return None;
        }
        self.to_ms = Some(to_ms);
        Some(to_ms)
    }

    /// Whether nothing that comes can change it any more.
    fn is_settled(&self, origin: Origin) -> bool {
        match origin {
            Origin::Here => self.to_ms.is_some(),
            Origin::Elsewhere => self.to_ms == Some(self.from_ms),
        }
    }
}

impl Absences {
    /// Those that stand in the heads.
    pub(super) fn of(heads: &Heads) -> Self {
        let mut absences = Self::default();
        for (place, last_ms, interval_ms) in heads.ends() {
            let stream = &heads.streams[place];
            let Some((from_ms, until_ms, reason)) = stream.gaps.absence() else { continue };
            let interval_ms = interval_ms.max(1).into();
            let absence = Absence { last_ms, interval_ms, from_ms, until_ms, to_ms: None, reason };
            let of_server = absences.known.entry(stream.server.clone()).or_default();
            of_server.insert(stream.collector.clone(), absence);
        }
        absences
    }

    /// Takes in what has come; answers the gaps whose end it decides, or moves.
    pub(super) fn heard(&mut self, batch: &Batch, origin: Origin) -> Vec<Gap> {
        if self.known.is_empty() {
            return Vec::new();
        }
        // A batch tells its gaps first and has its frames in any order: the earliest of all counts.
        let mut times: HashMap<(&Arc<str>, &Arc<str>), Times> = HashMap::new();
        let gaps = batch.gaps.iter().map(|gap| (&gap.server, &gap.collector, gap.from_ms));
        let frames = batch.frames.iter().filter(|frame| !frame.samples.is_empty());
        let frames = frames.map(|frame| (&frame.server, &frame.collector, frame.at_ms));
        for (server, collector, at_ms) in gaps.chain(frames) {
            // What is sent again, or of a clock that was set back, says nothing of the time since.
            if self.last_ms(server, collector).is_some_and(|last_ms| at_ms > last_ms) {
                let times = times.entry((server, collector));
                let times = times.or_insert(Times { first_ms: at_ms, earliest_ms: at_ms });
                times.earliest_ms = times.earliest_ms.min(at_ms);
            }
        }
        let mut told = Vec::new();
        for ((server, collector), times) in times {
            told.extend(self.heard_of(server, collector, times, origin));
        }
        told
    }

    fn last_ms(&self, server: &str, collector: &str) -> Option<i64> {
        self.known.get(server)?.get(collector).map(|absence| absence.last_ms)
    }

    fn heard_of(
        &mut self,
        server: &Arc<str>,
        collector: &Arc<str>,
        Times { first_ms, earliest_ms }: Times,
        origin: Origin,
    ) -> Option<Gap> {
        let of_server = self.known.get_mut(server)?;
        let absence = of_server.get_mut(collector)?;
        let before = absence.clone();
        let is_open = absence.to_ms.is_none();
        let told = absence.heard(earliest_ms, origin);
        // What comes first, just where the gap begins, ends it by itself.
        let told =
            told.filter(|_| !is_open || first_ms != absence.from_ms || earliest_ms != first_ms);
        let told = told.map(|to_ms| Gap {
            server: server.clone(),
            collector: collector.clone(),
            from_ms: absence.from_ms,
            to_ms: Some(to_ms),
            reason: absence.reason.clone(),
        });
        let is_settled = absence.is_settled(origin);
        if is_settled {
            of_server.remove(collector);
            if of_server.is_empty() {
                self.known.remove(server);
            }
        }
        if told.is_some() || is_settled {
            self.before.push((server.clone(), collector.clone(), before));
        }
        told
    }

    /// What was heard is written.
    pub(super) fn keep(&mut self) {
        self.before.clear();
    }

    /// What was heard could not be written, and comes again.
    pub(super) fn take_back(&mut self) {
        while let Some((server, collector, before)) = self.before.pop() {
            self.known.entry(server).or_default().insert(collector, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds: the last sample was at 0, one comes each second, the daemon was back at 60.
    fn absence() -> Absence {
        let (from_ms, until_ms, reason) = (1000, 60_000, reason(true));
        Absence { last_ms: 0, interval_ms: 1000, from_ms, until_ms, to_ms: None, reason }
    }

    /// Where the gap ends in the end, when this comes.
    fn ends(origin: Origin, came: &[i64]) -> Option<i64> {
        let mut absence = absence();
        for at in came {
            absence.heard(at * 1000, origin);
        }
        absence.to_ms.map(|to_ms| to_ms / 1000)
    }

    #[test]
    fn a_collector_here_has_missed_what_was_missed() {
        assert_eq!(ends(Origin::Here, &[62]), Some(62));
        assert_eq!(ends(Origin::Here, &[3]), Some(3), "however short");
        assert_eq!(ends(Origin::Here, &[]), None);
    }

    #[test]
    fn whoever_goes_on_where_it_ended_has_kept_it() {
        let none = Some(1);
        for first in [1, 3] {
            assert_eq!(ends(Origin::Elsewhere, &[first, 61, 62]), none, "from {first} on");
        }
    }

    #[test]
    fn whoever_does_not_leaves_a_hole() {
        assert_eq!(ends(Origin::Elsewhere, &[61, 62]), Some(61));
        assert_eq!(ends(Origin::Elsewhere, &[30, 31]), Some(30), "it has kept some of it");
        assert_eq!(ends(Origin::Elsewhere, &[4]), Some(4), "more than three intervals");
    }

    #[test]
    fn what_is_filled_in_later_takes_from_it() {
        assert_eq!(ends(Origin::Elsewhere, &[61, 30]), Some(30));
        assert_eq!(ends(Origin::Elsewhere, &[61, 30, 1, 2, 40]), Some(1));
        let mut absence = absence();
        assert_eq!(absence.heard(61_000, Origin::Elsewhere), Some(61_000));
        assert!(!absence.is_settled(Origin::Elsewhere));
        assert_eq!(absence.heard(62_000, Origin::Elsewhere), None, "nothing changes");
        assert_eq!(absence.heard(1_000, Origin::Elsewhere), Some(1_000));
        assert!(absence.is_settled(Origin::Elsewhere));
    }

    #[test]
    fn it_explains_no_silence_of_long_after() {
        for origin in [Origin::Here, Origin::Elsewhere] {
            assert_eq!(ends(origin, &[70]), Some(70));
            assert_eq!(ends(origin, &[71]), Some(60), "the daemon was back by then");
        }
        assert!(!is_silent(0, 1000, 10_000));
        assert!(is_silent(0, 1000, 10_001));
        assert!(!is_silent(0, 60_000, 180_000), "three intervals");
        assert!(is_silent(0, 60_000, 180_001));
    }
}
