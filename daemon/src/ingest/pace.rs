//! How often a stream brings samples: measured, for nobody says it.
//!
//! What is measured is when the next sample is to be missed, so that it has to hold for the sender, not for its
//! samples alone. A request that fills a gap moves time on by more than has passed, and tells nothing. One that brings
//! several instants counts for each of them only while they are so close together that waiting for them makes nobody
//! offline; else for one. Several requests in a row with a pause after them are as far apart as the pause is long: of
//! the differences, the one that fills most of the time counts. Who writes without any regularity has no pace.

use std::ops::RangeInclusive;

use crate::series::PRESUMED_INTERVAL_MS;

/// What a stream's interval may be.
const INTERVALS_MS: RangeInclusive<u32> = 100..=3_600_000;

/// Instants of one request are told apart if they were gathered within so long: three times that is what it takes to
/// be offline at least.
const GATHERED_MS: i64 = 10_000;

/// By so much a request may move time on further than has passed, and is still of the present.
const CATCHING_UP_MS: i64 = 10_000;

/// Differences that the first measurement is content with, and every other.
const FIRST: usize = 4;
const NEXT: usize = 7;

/// Time that a measurement covers at least.
const SPREAD_MS: u64 = 30_000;

/// So many of the differences have to be alike.
const ALIKE: usize = 3;

/// Differences that are kept. Where they are of too short a time, each stands for twice as much from then on.
const DIFFERENCES: usize = 32;

/// The interval of one stream.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    interval_ms: u32,
    /// Time of the newest instant, and when it came.
    last: Option<(i64, i64)>,
    /// What the request in hand brings: its newest instant, and how many are new.
    request: Option<(i64, u32)>,
    /// Each over so many steps.
    differences: [u32; DIFFERENCES],
    filled: usize,
    steps: u32,
    /// The difference that is not whole yet: its time, and its steps.
    part: (u32, u32),
    /// What the last measurement said, where it was another one than what is believed.
    doubt_ms: Option<u32>,
}

impl Pace {
    /// Nothing is known, but perhaps what was measured in a former life.
    pub(super) fn new(former_ms: Option<u32>) -> Self {
        Self {
            interval_ms: former_ms.unwrap_or(PRESUMED_INTERVAL_MS),
            last: None,
            request: None,
            differences: [0; DIFFERENCES],
            filled: 0,
            steps: 1,
            part: (0, 0),
            doubt_ms: None,
        }
    }

    /// Believes what was measured in a former life, if nothing was noted since.
    pub(super) fn believe(&mut self, former_ms: u32) {
        if !self.is_measured() && self.last.is_none() && former_ms != self.interval_ms {
            *self = Self { request: self.request, ..Self::new(Some(former_ms)) };
        }
    }

    /// What is believed; presumed until something has been measured.
    pub(super) fn interval_ms(&self) -> u32 {
        self.interval_ms
    }

    fn is_measured(&self) -> bool {
        self.interval_ms != PRESUMED_INTERVAL_MS
    }

    /// Notes an instant of the request in hand, whose instants come oldest first; whether it is the first of it.
    pub(super) fn note(&mut self, at_ms: i64) -> bool {
        let newest_ms = self.request.map(|(at_ms, _)| at_ms);
        let is_new =
            newest_ms.or(self.last.map(|(at_ms, _)| at_ms)).is_none_or(|last| at_ms > last);
        if is_new {
            let instants = self.request.map_or(0, |(_, instants)| instants);
            self.request = Some((at_ms, instants.saturating_add(1)));
        }
        is_new && newest_ms.is_none()
    }

    /// The request in hand came at `now_ms`, and is over; what is believed from now on, where that changes.
    pub(super) fn conclude(&mut self, now_ms: i64) -> Option<u32> {
        let (newest_ms, instants) = self.request.take()?;
        let (last_ms, came_ms) = self.last.replace((newest_ms, now_ms))?;
        let span_ms = newest_ms.saturating_sub(last_ms);
        let passed_ms = now_ms.saturating_sub(came_ms).max(0);
        if span_ms > passed_ms.saturating_mul(2).saturating_add(CATCHING_UP_MS) {
            return None;
        }
        let steps = if span_ms <= GATHERED_MS { instants } else { 1 };
        self.add(u32::try_from(span_ms).unwrap_or(u32::MAX), steps);
        let measured_ms = self.measure()?;
        self.weigh(measured_ms)
    }

    fn add(&mut self, span_ms: u32, steps: u32) {
        let each_ms = span_ms / steps.max(1);
        for _ in 0..steps.min(DIFFERENCES as u32) {
            self.part = (self.part.0.saturating_add(each_ms), self.part.1 + 1);
            if self.part.1 < self.steps {
                continue;
            }
            if self.filled == DIFFERENCES {
                self.thin_out();
            }
            if self.part.1 < self.steps {
                continue;
            }
            self.differences[self.filled] = std::mem::take(&mut self.part).0;
            self.filled += 1;
        }
    }

    /// Makes room: of what is not regular the older half goes.
    fn thin_out(&mut self) {
        let half = DIFFERENCES / 2;
        let is_spread = self.spread_ms() >= SPREAD_MS;
        self.filled = half;
        if is_spread {
            self.differences.copy_within(half.., 0);
            return;
        }
        for at in 0..half {
            let pair = (self.differences[2 * at], self.differences[2 * at + 1]);
            self.differences[at] = pair.0.saturating_add(pair.1);
        }
        self.steps = self.steps.saturating_mul(2);
    }

    fn spread_ms(&self) -> u64 {
        self.differences[..self.filled].iter().map(|ms| u64::from(*ms)).sum()
    }

    /// The difference that fills most of the time, once there are enough that are like it.
    fn measure(&mut self) -> Option<u32> {
        let wanted = if self.is_measured() { NEXT } else { FIRST };
        let spread_ms = self.spread_ms();
        if self.filled < wanted || spread_ms < SPREAD_MS {
            return None;
        }
        let mut sorted = self.differences;
        let sorted = &mut sorted[..self.filled];
        sorted.sort_unstable();
        let mut upto_ms = 0;
        let reaches_half = |ms: &&u32| {
            upto_ms += u64::from(**ms);
            upto_ms * 2 >= spread_ms
        };
        let middle = *sorted.iter().find(reaches_half)?;
        let alike = sorted.iter().filter(|ms| is_near(**ms, middle));
        let (times, of_them_ms) =
            alike.fold((0, 0), |(times, sum), ms| (times + 1, sum + u64::from(*ms)));
        if times < ALIKE || of_them_ms * 4 < spread_ms * 3 {
            return None;
        }
        let measured = (middle / self.steps).clamp(*INTERVALS_MS.start(), *INTERVALS_MS.end());
        (self.filled, self.steps, self.part) = (0, 1, (0, 0));
        // What is presumed is told from what is measured by its number alone.
        Some(if measured == PRESUMED_INTERVAL_MS { measured - 1 } else { measured })
    }

    /// An interval that was measured once is corrected only after two measurements that agree, and only where it is
    /// off by a fifth.
    fn weigh(&mut self, measured_ms: u32) -> Option<u32> {
        let agrees = self.doubt_ms.is_some_and(|doubt| is_near(measured_ms, doubt));
        if !self.is_measured() || (agrees && !is_near(measured_ms, self.interval_ms)) {
            self.doubt_ms = None;
            self.interval_ms = measured_ms;
            return Some(measured_ms);
        }
        self.doubt_ms = (!is_near(measured_ms, self.interval_ms)).then_some(measured_ms);
        None
    }
}

/// Whether two intervals are within a fifth of each other.
fn is_near(one: u32, other: u32) -> bool {
    one.abs_diff(other) <= other / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream and its clock.
    struct Rig {
        pace: Pace,
        now_ms: i64,
        said: Vec<u32>,
    }

    impl Rig {
        fn new() -> Self {
            Self { pace: Pace::new(None), now_ms: 1_000_000, said: Vec::new() }
        }

        /// A request after `pause_ms`, with instants of so long ago, oldest first.
        fn request(&mut self, pause_ms: i64, ago_ms: &[i64]) {
            self.now_ms += pause_ms;
            let new = ago_ms.iter().map(|ago_ms| self.pace.note(self.now_ms - ago_ms));
            assert!(new.filter(|is_first| *is_first).count() <= 1);
            self.said.extend(self.pace.conclude(self.now_ms));
        }

        fn steady(&mut self, step_ms: i64, times: usize) -> Vec<u32> {
            (0..times).for_each(|_| self.request(step_ms, &[0]));
            std::mem::take(&mut self.said)
        }
    }

    const NOTHING: [u32; 0] = [];

    #[test]
    fn an_interval_is_measured_and_corrected_only_when_it_stays_another() {
        let mut rig = Rig::new();
        assert_eq!(rig.steady(10_000, 4), NOTHING, "three differences");
        assert_eq!(rig.pace.interval_ms(), PRESUMED_INTERVAL_MS);
        assert_eq!(rig.steady(10_000, 1), [10_000]);
        assert_eq!(rig.steady(10_001, 70), NOTHING, "as believed");
        rig.steady(600_000, 1);
        assert_eq!(rig.steady(10_000, 64), NOTHING, "a pause");
        assert_eq!(rig.steady(5_000, 7), NOTHING, "one measurement");
        assert_eq!(rig.steady(5_000, 40), [5_000], "two that agree");
        assert_eq!(rig.pace.interval_ms(), 5_000);
    }

    #[test]
    fn who_comes_often_is_known_once_some_time_has_passed() {
        for (step_ms, expected) in [(1, 100), (100, 100), (250, 250), (1_000, 1_000)] {
            let mut rig = Rig::new();
            let times = usize::try_from(29_000 / step_ms).unwrap_or(usize::MAX);
            assert_eq!(rig.steady(step_ms, times), NOTHING, "{step_ms}");
            assert_eq!(rig.steady(step_ms, 2 * times), [expected], "{step_ms}");
        }
    }

    #[test]
    fn who_comes_rarely_is_known_after_a_few_times() {
        for (step_ms, expected) in [(60_000, 60_000), (10_001, 10_000), (86_400_000, 3_600_000)] {
            assert_eq!(Rig::new().steady(step_ms, 5), [expected]);
        }
    }

    #[test]
    fn requests_in_a_row_are_as_far_apart_as_the_pause_after_them() {
        for (in_a_row, apart_ms) in [(2, 50), (2, 3_000), (8, 20)] {
            let mut rig = Rig::new();
            for _ in 0..30 {
                rig.request(60_000 - (in_a_row - 1) * apart_ms, &[0]);
                (1..in_a_row).for_each(|_| rig.request(apart_ms, &[0]));
            }
            let [only] = rig.said[..] else { panic!("{in_a_row} x {apart_ms}: {:?}", rig.said) };
            assert!((57_000..=60_000).contains(&only), "{in_a_row} x {apart_ms}: {only}");
        }
    }

    #[test]
    fn instants_of_one_request_are_told_apart_only_if_they_were_gathered_for_seconds() {
        let mut rig = Rig::new();
        let gathered: Vec<i64> = (0..5).rev().map(|ago| ago * 1_000).collect();
        (0..10).for_each(|_| rig.request(5_000, &gathered));
        assert_eq!(rig.said, [1_000]);

        let mut rig = Rig::new();
        let hourly: Vec<i64> = (0..60).rev().map(|ago| ago * 60_000).collect();
        (0..6).for_each(|_| rig.request(3_600_000, &hourly));
        assert_eq!(rig.said, [3_600_000]);
    }

    #[test]
    fn what_is_sent_again_or_fills_a_gap_tells_nothing() {
        let mut rig = Rig::new();
        (0..100).rev().for_each(|ago| rig.request(20, &[ago * 60_000 + 30_000, ago * 60_000]));
        assert_eq!((&rig.said[..], rig.pace.interval_ms()), (&NOTHING[..], PRESUMED_INTERVAL_MS));
        for _ in 0..3 {
            rig.request(60_000, &[0]);
            (0..20).for_each(|_| rig.request(0, &[0]));
        }
        assert_eq!(rig.said, NOTHING, "three differences");
        rig.request(60_000, &[0]);
        assert_eq!(rig.said, [60_000]);
    }

    #[test]
    fn who_writes_now_and_then_has_no_pace() {
        let mut rig = Rig::new();
        let pauses = [4, 70, 11, 300, 25, 8, 1_800, 40, 130, 2, 600, 17];
        pauses.repeat(20).into_iter().for_each(|seconds| rig.request(seconds * 1_000, &[0]));
        assert_eq!((&rig.said[..], rig.pace.interval_ms()), (&NOTHING[..], PRESUMED_INTERVAL_MS));
    }

    #[test]
    fn what_was_measured_in_a_former_life_is_believed_and_what_was_presumed_is_not() {
        let mut rig = Rig { pace: Pace::new(Some(2_000)), ..Rig::new() };
        assert_eq!(rig.steady(10_000, 7), NOTHING, "one measurement does not correct it");
        let mut rig = Rig { pace: Pace::new(Some(PRESUMED_INTERVAL_MS)), ..Rig::new() };
        rig.pace.believe(60_000);
        assert_eq!(rig.pace.interval_ms(), 60_000);
        rig.pace.believe(2_000);
        assert_eq!(rig.pace.interval_ms(), 60_000);
    }

    #[test]
    fn times_at_the_ends_of_all_times_are_differences_like_any_other() {
        let mut pace = Pace::new(None);
        for (at_ms, now_ms) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, 0), (1, i64::MAX)] {
            pace.note(at_ms);
            assert_eq!(pace.conclude(now_ms), None);
        }
    }
}
