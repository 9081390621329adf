//! What has come from elsewhere, told apart: what is of the present is judged and shown, what is of the past is not.
//!
//! A decision without actors: it is told what has come and when.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Arrived, Heard, HeardOf, skew::Skew};
use crate::{
    config::{COLLECTOR_STATE, SERVER_STATE},
    series::{Catalog, Frame, Gap, PRESUMED_INTERVAL_MS, whole_ms},
    store::messages::Batch,
};

/// What one server's samples from elsewhere are told apart by.
#[derive(Debug)]
pub(super) struct Elsewhere {
    catalog: Arc<Catalog>,
    collectors: HashMap<Arc<str>, Known>,
    skew: Skew,
}

/// A collector that others run.
#[derive(Debug, Default)]
struct Known {
    interval_ms: i64,
    /// Time of its newest frame, late ones included.
    newest_ms: Option<i64>,
    /// The gap that lasts.
    gap: Option<Gap>,
    /// Whether that has been told.
    told: bool,
}

/// What is of the present, and what it says.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// Samples, in their order, with times by the other clock.
    pub(super) frames: Vec<Frame>,
    /// Gaps that began or ended.
    pub(super) gaps: Vec<Gap>,
    /// Gaps that last, of which those who judge have not heard.
    pub(super) missed: Vec<Gap>,
    /// What the server's actor has to know.
    pub(super) arrived: Arrived,
}

/// What comes is of the past when it is older than so many intervals…
const PRESENT_INTERVALS: i64 = 3;
/// … of at least this: it travels in batches, and a busy machine takes a while.
const INTERVAL_MIN_MS: i64 = 1_000;

impl Elsewhere {
    /// Nothing has come yet in this life; of these collectors something came before, each with its interval.
    pub(super) fn new(catalog: Arc<Catalog>, before: &[(Arc<str>, Duration)]) -> Self {
        let known = |interval| Known { interval_ms: whole_ms(interval), ..Known::default() };
        let collectors = before.iter().map(|(name, interval)| (name.clone(), known(*interval)));
        Self { catalog, collectors: collectors.collect(), skew: Skew::default() }
    }

    /// Takes in what has come at `now_ms`.
    pub(super) fn take(&mut self, batch: Batch, now_ms: i64) -> Present {
        let mut present = Present::default();
        let newest_ms = batch.frames.iter().map(|frame| frame.at_ms).max();
        if let Some(newest_ms) = newest_ms {
            self.skew.arrived(newest_ms, now_ms);
        }
        let there_ms = now_ms.saturating_add(self.skew.ms().unwrap_or(0));
        for frame in batch.frames {
            self.take_frame(frame, there_ms, &mut present);
        }
        for gap in batch.gaps {
            if self.take_gap(&gap) {
                present.gaps.push(gap);
            }
        }
        self.tell_gaps(there_ms, &mut present);
        let skew_ms = self.skew.ms();
        let by_our_clock = |at_ms: i64| at_ms.saturating_sub(skew_ms.unwrap_or(0)).min(now_ms);
        present.arrived.newest_ms = newest_ms.map(by_our_clock);
        present.arrived.skew_ms = skew_ms;
        present
    }

    fn take_frame(&mut self, frame: Frame, there_ms: i64, present: &mut Present) {
        let first = frame.samples.first().and_then(|sample| self.catalog.get(sample.series));
        let Some(first) = first else { return };
        // What another node says of its collectors is no sample of theirs.
        if [COLLECTOR_STATE, SERVER_STATE].contains(&&*first.metric) {
            return;
        }
        present.arrived.paced |= first.interval_ms != PRESUMED_INTERVAL_MS;
        let interval_ms = i64::from(first.interval_ms).max(INTERVAL_MIN_MS);
        let known = self.collectors.entry(frame.collector.clone()).or_default();
        // A clock that is ahead, and set right later, must not end the gaps that begin then.
        known.newest_ms = known.newest_ms.max(Some(frame.at_ms.min(there_ms)));
        if known.gap.as_ref().is_some_and(|gap| gap.from_ms < frame.at_ms) {
            known.gap = None;
        }
        if there_ms.saturating_sub(frame.at_ms) > PRESENT_INTERVALS * interval_ms {
            return;
        }
        let collector = frame.collector.clone();
        if std::mem::replace(&mut known.interval_ms, interval_ms) != interval_ms {
            let interval = Duration::from_millis(interval_ms.unsigned_abs());
            present.arrived.met.push((collector.clone(), interval));
        }
        let heard = &mut present.arrived.heard;
        if heard.last().is_none_or(|last| last.collector != collector) {
            heard.push(Heard { collector, of: HeardOf::Samples });
        }
        present.frames.push(frame);
    }

    /// Whether there is something to show: of a gap that has ended before it was told, there is not.
    fn take_gap(&mut self, gap: &Gap) -> bool {
        let known = self.collectors.entry(gap.collector.clone()).or_default();
        let is_over = gap.to_ms.is_some() || known.newest_ms > Some(gap.from_ms);
        known.gap = (!is_over).then(|| gap.clone());
        known.told = false;
        gap.to_ms.is_some() || !is_over
    }

    /// A gap that lasts is told once it is of the present: because it has just begun, or because what comes beside it
    /// is of the present by now.
    fn tell_gaps(&mut self, there_ms: i64, present: &mut Present) {
        let caught_up = !present.frames.is_empty();
        for (collector, known) in &mut self.collectors {
            let Some(gap) = known.gap.as_ref().filter(|_| !known.told) else { continue };
            let present_ms = PRESENT_INTERVALS * known.interval_ms.max(INTERVAL_MIN_MS);
            if caught_up || there_ms.saturating_sub(gap.from_ms) <= present_ms {
                known.told = true;
                if known.interval_ms == 0 {
                    // It has brought nothing yet but the reason why.
                    known.interval_ms = PRESUMED_INTERVAL_MS.into();
                    let interval = Duration::from_millis(PRESUMED_INTERVAL_MS.into());
                    present.arrived.met.push((collector.clone(), interval));
                }
                let of = HeardOf::Nothing;
                present.arrived.heard.push(Heard { collector: collector.clone(), of });
                present.missed.push(gap.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::series::{Kind, Labels, Sample, Series, SeriesId};

    struct Rig {
        elsewhere: Elsewhere,
        catalog: Arc<Catalog>,
    }

    const NOW_MS: i64 = 1_000_000_000;

    impl Rig {
        fn new() -> Self {
            let catalog = Arc::new(Catalog::default());
            Self { elsewhere: Elsewhere::new(catalog.clone(), &[]), catalog }
        }

        fn frame(&self, collector: &str, metric: &str, at: i64) -> Frame {
            let series = self.series(collector, metric);
            let samples = vec![Sample { series, value: 1.0 }];
            let (server, collector) = ("web-1".into(), collector.into());
            Frame { server, collector, at_ms: NOW_MS + at * 1000, samples }
        }

        fn series(&self, collector: &str, metric: &str) -> SeriesId {
            let series = Series {
                server: "web-1".into(),
                collector: collector.into(),
                metric: metric.into(),
                labels: Labels::default(),
                unit: "".into(),
                kind: Kind::Gauge,
                interval_ms: 10_000,
            };
            self.catalog.intern(series).unwrap()
        }

        /// What comes at `now` seconds.
        fn take(&mut self, frames: Vec<Frame>, gaps: Vec<Gap>, now: i64) -> Present {
            self.elsewhere.take(Batch { frames, gaps }, NOW_MS + now * 1000)
        }
    }

    fn gap(collector: &str, from: i64, to: Option<i64>) -> Gap {
        Gap {
            server: "web-1".into(),
            collector: collector.into(),
            from_ms: NOW_MS + from * 1000,
            to_ms: to.map(|to| NOW_MS + to * 1000),
            reason: "plugin crashed".into(),
        }
    }

    #[test]
    fn what_is_older_than_three_intervals_is_of_the_past_and_a_sign_of_life_all_the_same() {
        let mut rig = Rig::new();
        let frames = [-31, -30, 0].map(|at| rig.frame("cpu", "load", at));
        let present = rig.take(frames[..1].to_vec(), Vec::new(), 0);
        assert_eq!((present.frames.len(), present.arrived.heard.len()), (0, 0));
        assert_eq!(present.arrived.newest_ms, Some(NOW_MS - 31_000));

        let present = rig.take(frames[1..].to_vec(), Vec::new(), 0);
        assert_eq!(present.frames, frames[1..]);
        let heard = Heard { collector: "cpu".into(), of: HeardOf::Samples };
        assert_eq!(present.arrived.heard, [heard]);
        assert_eq!(present.arrived.met, [("cpu".into(), Duration::from_secs(10))]);
    }

    #[test]
    fn a_gap_of_long_ago_is_told_once_the_present_is_reached_if_it_still_lasts() {
        let mut rig = Rig::new();
        let told = |present: &Present| -> Vec<i64> {
            present.missed.iter().map(|gap| (gap.from_ms - NOW_MS) / 1000).collect()
        };
        let old = vec![gap("cpu", -3000, Some(-2000)), gap("disk", -1000, None)];
        let frame = rig.frame("cpu", "load", -900);
        assert_eq!(told(&rig.take(vec![frame], old, 0)), [0; 0], "all of it is past");
        let frame = rig.frame("cpu", "load", 0);
        assert_eq!(told(&rig.take(vec![frame.clone()], Vec::new(), 0)), [-1000]);
        assert_eq!(told(&rig.take(vec![frame], Vec::new(), 0)), [0; 0], "told once");

        let back = rig.frame("disk", "free", 10);
        rig.take(vec![back], Vec::new(), 10);
        assert_eq!(told(&rig.take(Vec::new(), vec![gap("disk", 20, None)], 21)), [20]);
        let late = vec![gap("disk", 5, None)];
        assert_eq!(told(&rig.take(Vec::new(), late, 22)), [0; 0], "samples have ended it");
    }

    #[test]
    fn a_time_at_the_end_of_all_times_is_told_apart_like_any_other() {
        let mut rig = Rig::new();
        for at_ms in [i64::MIN, i64::MAX].repeat(4) {
            let frames = vec![Frame { at_ms, ..rig.frame("cpu", "load", 0) }];
            let gaps = vec![Gap { from_ms: at_ms, ..gap("disk", 0, None) }];
            let present = rig.elsewhere.take(Batch { frames, gaps }, NOW_MS);
            assert_eq!(present.frames.is_empty(), at_ms == i64::MIN);
        }
    }

    #[test]
    fn what_a_node_says_of_a_collector_is_no_sample_of_that_collector() {
        let mut rig = Rig::new();
        let frame = rig.frame("cpu", COLLECTOR_STATE, 0);
        let present = rig.take(vec![frame], Vec::new(), 0);
        assert_eq!((present.frames.len(), present.arrived.heard.len()), (0, 0));
    }

    #[test]
    fn a_clock_that_is_an_hour_behind_is_learned_and_then_its_samples_are_of_the_present() {
        let mut rig = Rig::new();
        let taken: Vec<bool> = (0..20)
            .map(|round| {
                let frame = rig.frame("cpu", "load", round * 10 - 3600);
                let present = rig.take(vec![frame], Vec::new(), round * 10);
                assert!(present.arrived.skew_ms.is_none_or(|skew_ms| skew_ms == -3_600_000));
                !present.frames.is_empty()
            })
            .collect();
        let first = taken.iter().position(|taken| *taken).unwrap();
        assert_eq!(first, 5, "two stretches of three arrivals");
        assert!(taken[first..].iter().all(|taken| *taken));
    }
}
