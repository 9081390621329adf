//! One rule over one series: from values and their absence to levels.
//!
//! Pure: every call names its time. Whoever feeds it takes care that samples come in their order.

use std::sync::Arc;

use super::{Level, Memory, memory::Turn, window::Window};
use crate::{
    config::{NoData, RuleConfig, Severity},
    series::PRESUMED_INTERVAL_MS,
};

/// A value is of the present until it is older than so many intervals.
pub(super) const FRESH_INTERVALS: i64 = 3;

/// After a start, the first samples are waited for at least so long before they are missed.
pub(super) const AWAIT_MIN_MS: i64 = 10_000;

/// One rule over one series.
#[derive(Debug)]
pub(super) struct Detector {
    pub(super) rule: Arc<RuleConfig>,
    pub(super) interval_ms: i64,
    memory: Memory,
    window: Window,
    /// The last value that was judged, and when.
    last: Option<(i64, f64)>,
    /// The last sample, of whatever window.
    sample: Option<(i64, f64)>,
    sight: Sight,
    back: Back,
    told: (Level, bool),
}

/// Whether values come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// None has ever come, and nobody waits for one.
    Unseen,
    /// They do.
    Fresh,
    /// None can be judged yet, after a start or while a window fills; timers stand still.
    Awaited {
        /// By then the next sample should have come.
        until_ms: i64,
    },
    /// They have ceased; timers stand still.
    Lost,
    /// They have ceased, which counts as fine.
    TakenAsFine,
}

/// The first sample after the daemon had not been running: what is true with it has begun meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Back {
    /// The daemon has been running, or the sample is long past.
    No,
    /// It has not come yet.
    Awaited,
    /// It was `value`, whatever the window makes of it.
    Came {
        value: f64,
        /// When a value was judged for the first time since.
        judged_ms: Option<i64>,
    },
}

/// What a detector has to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    pub(super) at_ms: i64,
    /// The level, or that of the absence of samples.
    pub(super) level: Level,
    /// Whether it is the absence of samples that is judged.
    pub(super) absence: bool,
    pub(super) in_absence: bool,
    /// Why it is no longer judged.
    pub(super) withdrawn: Option<&'static str>,
}

impl Change {
    /// That the series has this level since `at_ms`.
    pub(super) fn of_level(at_ms: i64, level: Level) -> Self {
        Self { at_ms, level, absence: false, in_absence: false, withdrawn: None }
    }

    /// That the absence of samples has this level since `at_ms`.
    pub(super) fn of_absence(at_ms: i64, level: Level) -> Self {
        Self { absence: true, ..Self::of_level(at_ms, level) }
    }
}

impl Detector {
    /// A detector that has judged nothing. `absent_since_ms` is when the daemon stopped looking, where it did: what
    /// is found then counts as happened meanwhile.
    pub(super) fn new(
        rule: Arc<RuleConfig>,
        interval_ms: i64,
        absent_since_ms: Option<i64>,
    ) -> Self {
        let window = Window::new(rule.take, rule.over);
        Self {
            rule,
            interval_ms: interval_ms.max(1),
            memory: Memory::default(),
            window,
            last: None,
            sample: None,
            sight: Sight::Unseen,
            back: if absent_since_ms.is_some() { Back::Awaited } else { Back::No },
            told: (Level::Ok, false),
        }
    }

    /// A detector that goes on from `memory` at `now_ms`, and otherwise a [new](Self::new) one.
    pub(super) fn recalled(
        rule: Arc<RuleConfig>,
        interval_ms: i64,
        mut memory: Memory,
        absent_since_ms: Option<i64>,
        now_ms: i64,
    ) -> Self {
        let mut detector = Self::new(rule, interval_ms, absent_since_ms);
        memory.go_on(absent_since_ms.unwrap_or(now_ms), now_ms);
        detector.told = (memory.level(&detector.rule), false);
        detector.memory = memory;
        detector.awaits(now_ms);
        detector
    }

    /// Waits for a sample from `now_ms` on, and misses it if none comes.
    pub(super) fn awaits(&mut self, now_ms: i64) {
        let patience_ms = FRESH_INTERVALS * self.interval_ms;
        self.sight = Sight::Awaited { until_ms: now_ms + patience_ms.max(AWAIT_MIN_MS) };
    }

    /// Goes on by another rule of the same name.
    pub(super) fn follow(&mut self, rule: Arc<RuleConfig>, now_ms: i64) -> Vec<Change> {
        if (rule.take, rule.over) != (self.rule.take, self.rule.over) {
            self.window = Window::new(rule.take, rule.over);
        }
        let before = std::mem::replace(&mut self.rule, rule).no_data;
        let mut changes = self.fit(now_ms);
        if self.has_ceased() && self.rule.no_data != before {
            // What the rule wishes now, it wishes as if samples had ceased now.
            self.sight = Sight::Awaited { until_ms: now_ms };
            changes.extend(self.lose(now_ms));
        }
        changes
    }

    /// Forgets what the rule no longer asks for, and withdraws what was said of it: no value has ended that.
    pub(super) fn fit(&mut self, now_ms: i64) -> Vec<Change> {
        let end = |change, why| Change { withdrawn: Some(why), ..change };
        let mut changes = Vec::new();
        let asks = self.rule.no_data == NoData::Alert;
        if !asks && std::mem::take(&mut self.memory.missed) {
            let absence = Change::of_absence(now_ms, Level::Ok);
            changes.push(end(absence, "its rule no longer asks for samples"));
        }
        let was_open = self.level().severity().is_some();
        self.memory.fit(&self.rule);
        if was_open && self.level().severity().is_none() {
            self.told = (Level::Ok, false);
            let level = Change::of_level(now_ms, Level::Ok);
            changes.push(end(level, "its limit was removed"));
        }
        changes
    }

    /// Takes a value of `at_ms`: a gauge's, or a counter's rate.
    pub(super) fn value(&mut self, at_ms: i64, value: f64) -> Vec<Change> {
        self.sample = Some((at_ms, value));
        let taken = self.window.add(at_ms, value, self.interval_ms);
        let mut changes = self.advance(at_ms);
        changes.extend(self.found(at_ms));
        if self.back == Back::Awaited {
            self.back = Back::Came { value, judged_ms: None };
        }
        match taken {
            Some(value) => changes.extend(self.judge(at_ms, value)),
            None => changes.extend(self.wait_on(at_ms)),
        }
        self.expect(at_ms, &mut changes);
        changes
    }

    /// Takes note of a sample of `at_ms` that has no value yet: the first of a counter.
    pub(super) fn no_value(&mut self, at_ms: i64) -> Vec<Change> {
        let mut changes = self.advance(at_ms);
        if self.sight != Sight::Unseen {
            changes.extend(self.found(at_ms));
            changes.extend(self.wait_on(at_ms));
        }
        changes
    }

    fn judge(&mut self, at_ms: i64, value: f64) -> Option<Change> {
        self.memory.resume(at_ms);
        if let Back::Came { judged_ms: judged @ None, .. } = &mut self.back {
            *judged = Some(at_ms);
        }
        self.last = Some((at_ms, value));
        self.sight = Sight::Fresh;
        let turns = self.memory.read(&self.rule, value, at_ms);
        self.change(at_ms, &turns)
    }

    /// The series is there, and what can be judged of it is yet to come.
    fn wait_on(&mut self, at_ms: i64) -> Option<Change> {
        self.sight = Sight::Awaited { until_ms: at_ms + FRESH_INTERVALS * self.interval_ms };
        self.memory.paused_ms.get_or_insert(at_ms);
        self.change(at_ms, &[])
    }

    /// A sample has come: the series is not missed.
    fn found(&mut self, at_ms: i64) -> Option<Change> {
        let in_absence = self.back == Back::Awaited;
        let missed = std::mem::take(&mut self.memory.missed);
        missed.then(|| Change { in_absence, ..Change::of_absence(at_ms, Level::Ok) })
    }

    /// Whether samples are expected has to be remembered; it leaves with `changes`, or for once without any.
    fn expect(&mut self, at_ms: i64, changes: &mut Vec<Change>) {
        let expected = self.rule.no_data == NoData::Alert;
        let before = std::mem::replace(&mut self.memory.expected, expected);
        if before != expected && changes.is_empty() {
            let level = self.level();
            changes.push(Change::of_level(at_ms, level));
        }
    }

    /// Lets time pass until `now_ms`.
    pub(super) fn advance(&mut self, now_ms: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        match (self.sight, self.last) {
            (Sight::Fresh, Some((last_ms, value))) => {
                let fresh_until_ms = last_ms + FRESH_INTERVALS * self.interval_ms;
                self.expire(Some(value), now_ms.min(fresh_until_ms), &mut changes);
                if now_ms > fresh_until_ms {
                    changes.extend(self.lose(fresh_until_ms));
                }
            }
            (Sight::Awaited { until_ms }, _) if now_ms > until_ms => {
                changes.extend(self.lose(until_ms));
            }
            (Sight::TakenAsFine, _) => self.expire(None, now_ms, &mut changes),
            _ => {}
        }
        changes
    }

    /// Values have ceased at `at_ms`, and somebody knows it before they are too old.
    pub(super) fn lose(&mut self, at_ms: i64) -> Vec<Change> {
        if self.is_lost() {
            return Vec::new();
        }
        if !matches!(self.back, Back::Came { judged_ms: Some(_), .. }) {
            self.back = Back::No;
        }
        let mut turns = Vec::new();
        let mut changes = Vec::new();
        if !self.is_paced() {
            // Its next sample may not be due: that there is none is neither fine nor an incident.
            self.sight = Sight::Lost;
            self.memory.paused_ms.get_or_insert(at_ms);
        } else if self.rule.no_data == NoData::Clear {
            self.sight = Sight::TakenAsFine;
            self.memory.resume(at_ms);
            turns = self.memory.read_as_fine(&self.rule, at_ms);
        } else {
            self.sight = Sight::Lost;
            self.memory.paused_ms.get_or_insert(at_ms);
            if self.rule.no_data == NoData::Alert && !self.memory.missed {
                self.memory.missed = true;
                changes.push(Change::of_absence(at_ms, Level::Firing(self.worst())));
            }
        }
        changes.extend(self.change(at_ms, &turns));
        changes
    }

    /// Whether it is known how often samples come.
    fn is_paced(&self) -> bool {
        self.interval_ms != i64::from(PRESUMED_INTERVAL_MS)
    }

    /// The clock was set by `by_ms`: what is remembered moves along, as if no time had passed.
    pub(super) fn shift(&mut self, by_ms: i64) {
        let Self { memory, window, last, sample, sight, back, .. } = self;
        memory.shift(by_ms);
        window.shift(by_ms);
        if let Some(paused_ms) = &mut memory.paused_ms {
            *paused_ms += by_ms;
        }
        for (at_ms, _) in [last, sample].into_iter().flatten() {
            *at_ms += by_ms;
        }
        if let Sight::Awaited { until_ms } = sight {
            *until_ms += by_ms;
        }
        if let Back::Came { judged_ms: Some(judged_ms), .. } = back {
            *judged_ms += by_ms;
        }
    }

    /// When [`advance`](Self::advance) has something to do at the latest.
    pub(super) fn due_ms(&self) -> Option<i64> {
        match (self.sight, self.last) {
            (Sight::Fresh, Some((last_ms, value))) => {
                let fresh_until_ms = last_ms + FRESH_INTERVALS * self.interval_ms;
                let due_ms = self.memory.due_ms(&self.rule, Some(value));
                Some(due_ms.unwrap_or(i64::MAX).min(fresh_until_ms + 1))
            }
            (Sight::Awaited { until_ms }, _) => Some(until_ms + 1),
            (Sight::TakenAsFine, _) => self.memory.due_ms(&self.rule, None),
            _ => None,
        }
    }

    /// Whether the last sample is beyond the mildest limit, neither `for` nor window counted; `None` where there is
    /// none that was fresh at `now_ms`.
    pub(super) fn is_beyond(&self, now_ms: i64) -> Option<bool> {
        let fresh_ms = FRESH_INTERVALS * self.interval_ms;
        let (_, value) = self.sample.filter(|(at_ms, _)| now_ms - at_ms <= fresh_ms)?;
        let limits = [&self.rule.warning, &self.rule.critical];
        Some(limits.into_iter().flatten().any(|limit| limit.side.is_beyond(value, limit.at)))
    }

    /// The level, and whether an incident is open or may open.
    pub(super) fn level(&self) -> Level {
        self.memory.level(&self.rule)
    }

    /// Whether the absence of samples is an incident at present.
    pub(super) fn is_missed(&self) -> bool {
        self.memory.missed
    }

    /// Whether there are no values of the present, and none is on its way.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.sight, Sight::Unseen | Sight::Lost | Sight::TakenAsFine)
    }

    /// Whether values should come, and do not.
    pub(super) fn has_ceased(&self) -> bool {
        matches!(self.sight, Sight::Lost | Sight::TakenAsFine)
    }

    /// The last value that was judged, and when.
    pub(super) fn last(&self) -> Option<(i64, f64)> {
        self.last
    }

    /// What has to be kept, if anything.
    pub(super) fn memory(&self) -> Option<Memory> {
        (!self.memory.is_empty()).then(|| self.memory.clone())
    }

    /// The worst severity that the rule has a limit for.
    pub(super) fn worst(&self) -> Severity {
        if self.rule.critical.is_some() { Severity::Critical } else { Severity::Warning }
    }

    fn expire(&mut self, value: Option<f64>, until_ms: i64, changes: &mut Vec<Change>) {
        while let Some(due_ms) =
            self.memory.due_ms(&self.rule, value).filter(|&due| due <= until_ms)
        {
            let turns = self.memory.expire(&self.rule, value, due_ms);
            changes.extend(self.change(due_ms, &turns));
        }
    }

    /// What there is to tell, if it was not told before.
    fn change(&mut self, at_ms: i64, turns: &[Turn]) -> Option<Change> {
        let level = self.level();
        let unknown = self.is_lost() && level != Level::Ok;
        if std::mem::replace(&mut self.told, (level, unknown)) == (level, unknown) {
            return None;
        }
        let in_absence = matches!(self.back, Back::Came { value, judged_ms: Some(judged_ms) }
            if turns.iter().any(|turn| turn.since_ms == judged_ms && turn.is_true_of(value, &self.rule)));
        Some(Change { in_absence, ..Change::of_level(at_ms, level) })
    }
}
