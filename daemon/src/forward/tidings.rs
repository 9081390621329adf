//! What is no number, told as series: gaps and the states of collectors.
//!
//! `bartizan_gap{server,collector,reason}` is 1 where a gap begins and 0 where it ends. `bartizan_collector_state` is 1
//! with a collector's samples and 0 from where a gap begins; it is told when it changes, and once a minute.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::parcel::{Parcel, Piece, Tiding};
use crate::{
    config::COLLECTOR_STATE,
    series::Gap,
    store::{Appended, Passage},
};

/// The series that tells of gaps.
pub(super) const GAP: &str = "bartizan_gap";
/// Why there is a gap where the store deleted what had not been sent.
pub(super) const DELETED: &str = "deleted to make room before it was sent on";
/// How often a state is told that stays as it is.
const STATE_EVERY_MS: i64 = 60_000;

/// What has been told of collectors.
#[derive(Debug, Default)]
pub(super) struct Tidings {
    servers: HashMap<Arc<str>, HashMap<Arc<str>, Collector>>,
}

#[derive(Debug, Default)]
struct Collector {
    /// Time of its newest frame.
    last_ms: Option<i64>,
    /// What was told of its state last, and when.
    told: Option<(bool, i64)>,
    open: Option<(i64, Arc<str>)>,
}

/// A gap that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenGap {
    server: Arc<str>,
    collector: Arc<str>,
    from_ms: i64,
    reason: Arc<str>,
}

impl Tidings {
    /// Goes on where `open` gaps last.
    pub(super) fn resumed(open: Vec<OpenGap>) -> Self {
        let mut tidings = Self::default();
        for OpenGap { server, collector, from_ms, reason } in open {
            let collector = tidings.collector(&server, &collector);
            collector.open = Some((from_ms, reason));
            collector.told = Some((false, from_ms));
        }
        tidings
    }

    /// The gaps that last, by server and collector.
    pub(super) fn open(&self) -> Vec<OpenGap> {
        let of = |server: &Arc<str>, name: &Arc<str>, collector: &Collector| {
            let (from_ms, reason) = collector.open.clone()?;
            Some(OpenGap { server: server.clone(), collector: name.clone(), from_ms, reason })
        };
        let all = self.servers.iter().flat_map(|(server, collectors)| {
            collectors.iter().filter_map(move |(name, collector)| of(server, name, collector))
        });
        let mut open: Vec<_> = all.collect();
        open.sort_by(|a, b| (&a.server, &a.collector).cmp(&(&b.server, &b.collector)));
        open
    }

    /// What there is to send of `passage`.
    pub(super) fn parcel(&mut self, passage: Passage) -> Parcel {
        let mut pieces = Vec::with_capacity(passage.appended.len());
        if passage.lost {
            self.tell_lost(&mut pieces);
        }
        for appended in passage.appended {
            match appended {
                Appended::Frame(frame) => {
                    let (server, name) = (&frame.server, &frame.collector);
                    self.collector(server, name).frame(server, name, frame.at_ms, &mut pieces);
                    pieces.push(frame.into());
                }
                Appended::Gap(gap) => {
                    self.collector(&gap.server, &gap.collector).gap(&gap, &mut pieces);
                }
            }
        }
        Parcel(pieces)
    }

    /// Every collector that is known has a gap from its last sample on, until its next.
    fn tell_lost(&mut self, pieces: &mut Vec<Piece>) {
        for (server, collectors) in &mut self.servers {
            for (name, collector) in collectors {
                let Some(last_ms) = collector.last_ms else { continue };
                let gap = Gap {
                    server: server.clone(),
                    collector: name.clone(),
                    from_ms: last_ms + 1,
                    to_ms: None,
                    reason: DELETED.into(),
                };
                collector.gap(&gap, pieces);
            }
        }
    }

    fn collector(&mut self, server: &Arc<str>, name: &Arc<str>) -> &mut Collector {
        // Looked up first: to find one that is known nothing is cloned.
        if !self.servers.contains_key(server) {
            self.servers.insert(server.clone(), HashMap::new());
        }
        let collectors = self.servers.entry(server.clone()).or_default();
        collectors.entry(name.clone()).or_default()
    }
}

impl Collector {
    /// There is a frame: it ends what lasts.
    fn frame(&mut self, server: &Arc<str>, name: &Arc<str>, at_ms: i64, pieces: &mut Vec<Piece>) {
        if self.last_ms.is_none_or(|last| at_ms > last) {
            self.last_ms = Some(at_ms);
        }
        // One that comes late, from before the gap, does not end it.
        if let Some((from_ms, reason)) = self.open.take_if(|(from_ms, _)| *from_ms <= at_ms) {
            // What ended in its first slot was none, and is told as none.
            pieces.push(gap_at(server, name, &reason, at_ms.max(from_ms), 0.0));
        }
        let due = match self.told {
            Some((true, told_ms)) => at_ms - told_ms >= STATE_EVERY_MS,
            Some((false, told_ms)) => at_ms > told_ms && self.open.is_none(),
            None => true,
        };
        if due {
            self.tell(server, name, true, at_ms, pieces);
        }
    }

    /// There is a gap, or its end.
    fn gap(&mut self, gap: &Gap, pieces: &mut Vec<Piece>) {
        let Gap { server, collector, from_ms, to_ms, reason } = gap;
        let was_none = *to_ms == Some(*from_ms);
        let known = self.open.as_ref().is_some_and(|(from, why)| from == from_ms && why == reason);
        if !known && was_none {
            return;
        }
        if !known {
            if let Some((from, why)) = self.open.take() {
                pieces.push(gap_at(server, collector, &why, from.max(*from_ms), 0.0));
            }
            pieces.push(gap_at(server, collector, reason, *from_ms, 1.0));
            if self.told.is_none_or(|(_, told_ms)| *from_ms > told_ms) {
                self.tell(server, collector, false, *from_ms, pieces);
            }
        }
        self.open = Some((*from_ms, reason.clone()));
        if let Some(to_ms) = to_ms {
            pieces.push(gap_at(server, collector, reason, *to_ms, 0.0));
            self.open = None;
        }
    }

    fn tell(
        &mut self,
        server: &Arc<str>,
        name: &Arc<str>,
        up: bool,
        at_ms: i64,
        pieces: &mut Vec<Piece>,
    ) {
        self.told = Some((up, at_ms));
        pieces.push(Piece::Tiding(Tiding {
            metric: COLLECTOR_STATE,
            server: server.clone(),
            collector: name.clone(),
            reason: None,
            at_ms,
            value: f64::from(u8::from(up)),
        }));
    }
}

fn gap_at(
    server: &Arc<str>,
    collector: &Arc<str>,
    reason: &Arc<str>,
    at_ms: i64,
    value: f64,
) -> Piece {
    Piece::Tiding(Tiding {
        metric: GAP,
        server: server.clone(),
        collector: collector.clone(),
        reason: Some(reason.clone()),
        at_ms,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{series::Frame, store::LogPlace};

    const END: LogPlace = LogPlace { sequence: 0, offset: 0 };

    fn frame(at_ms: i64) -> Appended {
        let (server, collector) = ("web-1".into(), "disk".into());
        Appended::Frame(Frame { server, collector, at_ms, samples: Vec::new() })
    }

    fn gap(from_ms: i64, to_ms: Option<i64>, reason: &str) -> Appended {
        let (server, collector) = ("web-1".into(), "disk".into());
        Appended::Gap(Gap { server, collector, from_ms, to_ms, reason: reason.into() })
    }

    /// What is told besides frames: `state 1 @10`, `gap slow 0 @20`.
    fn told(tidings: &mut Tidings, appended: Vec<Appended>, lost: bool) -> Vec<String> {
        let parcel = tidings.parcel(Passage { appended, end: END, lost });
        let shown = parcel.0.into_iter().filter_map(|piece| match piece {
            Piece::Frame { .. } => None,
            Piece::Tiding(Tiding { reason: Some(reason), value, at_ms, .. }) => {
                Some(format!("gap {reason} {value} @{at_ms}"))
            }
            Piece::Tiding(Tiding { value, at_ms, .. }) => Some(format!("state {value} @{at_ms}")),
        });
        shown.collect()
    }

    #[test]
    fn a_gap_is_told_at_both_ends_and_the_state_when_it_changes() {
        let mut tidings = Tidings::default();
        let mut told = |appended| told(&mut tidings, appended, false);
        assert_eq!(told(vec![frame(10), frame(20)]), ["state 1 @10"]);
        assert_eq!(told(vec![gap(30, None, "slow")]), ["gap slow 1 @30", "state 0 @30"]);
        assert_eq!(told(vec![gap(30, None, "slow")]), [""; 0], "told again");
        assert_eq!(told(vec![frame(25)]), [""; 0], "from before the gap");
        assert_eq!(told(vec![frame(50)]), ["gap slow 0 @50", "state 1 @50"]);
        assert_eq!(told(vec![gap(30, Some(50), "slow")]), ["gap slow 1 @30", "gap slow 0 @50"]);
        assert_eq!(told(vec![frame(60)]), [""; 0]);
        assert_eq!(told(vec![gap(70, Some(70), "slow")]), [""; 0], "it was none");
        assert_eq!(told(vec![frame(60_050)]), ["state 1 @60050"], "once a minute");
    }

    #[test]
    fn another_reason_ends_the_first() {
        let mut tidings = Tidings::default();
        let said = told(&mut tidings, vec![gap(10, None, "slow"), gap(20, None, "gone")], false);
        let expected =
            ["gap slow 1 @10", "state 0 @10", "gap slow 0 @20", "gap gone 1 @20", "state 0 @20"];
        assert_eq!(said, expected);
        assert_eq!(tidings.open().len(), 1);
    }

    #[test]
    fn a_gap_that_lasts_is_remembered_over_a_restart() {
        let mut before = Tidings::default();
        told(&mut before, vec![frame(10), gap(20, None, "slow")], false);
        let mut after = Tidings::resumed(before.open());
        assert_eq!(told(&mut after, vec![frame(30)], false), ["gap slow 0 @30", "state 1 @30"]);
        assert_eq!(after.open(), []);
    }

    #[test]
    fn what_was_deleted_before_it_was_sent_is_a_gap() {
        let mut tidings = Tidings::default();
        told(&mut tidings, vec![frame(10)], false);
        let begin = [format!("gap {DELETED} 1 @11"), "state 0 @11".into()];
        let end = [format!("gap {DELETED} 0 @90"), "state 1 @90".into()];
        assert_eq!(told(&mut tidings, vec![frame(90)], true), [begin, end].concat());
    }
}
