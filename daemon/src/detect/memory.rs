//! What a detector remembers from one sample to the next, and over a restart.

use serde::{Deserialize, Serialize};

use super::{
    Level,
    latch::{Latch, Patience, Reading},
};
use crate::{
    config::{Limit, RuleConfig, Severity},
    series::whole_ms,
};

/// What a detector remembers. Kept with each transition, so that a restart goes on from there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    warning: Latch,
    critical: Latch,
    /// Since when there have been no samples: timers stand still from then on.
    pub(super) paused_ms: Option<i64>,
    /// Whether the absence of samples is an incident at present.
    pub(super) missed: bool,
    /// Whether samples have come by a rule that wants their absence told: only then a restart can miss them.
    #[serde(default)]
    pub(super) expected: bool,
}

/// That a level was reached or left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    severity: Severity,
    /// What led to it.
    reading: Reading,
    /// Since when that has been true.
    pub(super) since_ms: i64,
}

impl Turn {
    /// Whether `value` says the same, by `rule`.
    pub(super) fn is_true_of(&self, value: f64, rule: &RuleConfig) -> bool {
        rule.limit(self.severity).is_some_and(|limit| reading(limit, value) == self.reading)
    }
}

const SEVERITIES: [Severity; 2] = [Severity::Warning, Severity::Critical];

impl Memory {
    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        let Self { warning, critical, paused_ms: _, missed, expected } = self;
        *warning == Latch::Off && *critical == Latch::Off && !missed && !expected
    }

    /// The level that this is, by `rule`.
    pub(super) fn level(&self, rule: &RuleConfig) -> Level {
        let on = SEVERITIES.into_iter().rev().find(|&severity| self.latch(severity).is_on());
        let Some(severity) = on else { return self.pending(rule) };
        let firing = SEVERITIES.into_iter().any(|severity| self.latch(severity) == Latch::On);
        match (self.latch(severity), of(rule, severity)) {
            (Latch::Falling { since_ms }, Some((_, patience))) if !firing => {
                Level::Clearing { severity, since_ms, due_ms: since_ms + patience.clear_ms }
            }
            _ => Level::Firing(severity),
        }
    }

    /// The level while nothing counts: of two that rise, the one that is due first, and of two that are due
    /// together the worse.
    fn pending(&self, rule: &RuleConfig) -> Level {
        let rising = SEVERITIES.into_iter().rev().filter_map(|severity| {
            let Latch::Rising { since_ms } = self.latch(severity) else { return None };
            let (_, patience) = of(rule, severity)?;
            Some((severity, since_ms, since_ms + patience.hold_ms))
        });
        let first = rising.min_by_key(|&(_, _, due_ms)| due_ms);
        first.map_or(Level::Ok, |(severity, since_ms, due_ms)| Level::Pending {
            severity,
            since_ms,
            due_ms,
        })
    }

    /// Takes a value of `at_ms`.
    pub(super) fn read(&mut self, rule: &RuleConfig, value: f64, at_ms: i64) -> Vec<Turn> {
        self.each(rule, |latch, limit, patience| latch.read(reading(limit, value), at_ms, patience))
    }

    /// Takes the absence of samples since `at_ms` as if it were a fine value.
    pub(super) fn read_as_fine(&mut self, rule: &RuleConfig, at_ms: i64) -> Vec<Turn> {
        self.each(rule, |latch, _, patience| latch.read(Reading::Fine, at_ms, patience))
    }

    /// When something is due if no other value comes than `value`; `None` as the value stands for a fine one.
    pub(super) fn due_ms(&self, rule: &RuleConfig, value: Option<f64>) -> Option<i64> {
        let due = SEVERITIES.into_iter().filter_map(|severity| {
            let (limit, patience) = of(rule, severity)?;
            let reading = value.map_or(Reading::Fine, |value| reading(limit, value));
            self.latch(severity).due_ms(reading, patience)
        });
        due.min()
    }

    /// Turns what is due at `at_ms`; the last value was `value`, as for [`due_ms`](Self::due_ms).
    pub(super) fn expire(
        &mut self,
        rule: &RuleConfig,
        value: Option<f64>,
        at_ms: i64,
    ) -> Vec<Turn> {
        self.each(rule, |latch, limit, patience| {
            let reading = value.map_or(Reading::Fine, |value| reading(limit, value));
            latch.expire(reading, at_ms, patience)
        })
    }

    /// Goes on at `at_ms`: what has passed since it paused does not count.
    pub(super) fn resume(&mut self, at_ms: i64) {
        if let Some(paused_ms) = self.paused_ms.take() {
            self.shift((at_ms - paused_ms).max(0));
            self.warning.begin_by(at_ms);
            self.critical.begin_by(at_ms);
        }
    }

    /// Pauses at `now_ms` what was kept, of which nobody knows more than that it was true until `until_ms`. A clock
    /// that has been set back since leaves nothing behind that lies in the future.
    pub(super) fn go_on(&mut self, until_ms: i64, now_ms: i64) {
        let paused_ms = self.paused_ms.unwrap_or(until_ms);
        self.shift((now_ms - paused_ms).min(0));
        self.paused_ms = Some(paused_ms.min(now_ms));
    }

    /// Makes it as if the last `by_ms` had not been.
    pub(super) fn shift(&mut self, by_ms: i64) {
        self.warning.shift(by_ms);
        self.critical.shift(by_ms);
    }

    /// What is remembered of limits that `rule` no longer has is forgotten; what was critical stays a warning.
    pub(super) fn fit(&mut self, rule: &RuleConfig) {
        if rule.critical.is_none() && self.critical != Latch::Off {
            if self.critical.is_on() && rule.warning.is_some() && !self.warning.is_on() {
                self.warning = Latch::On;
            }
            self.critical = Latch::Off;
        }
        if rule.warning.is_none() {
            self.warning = Latch::Off;
        }
    }

    fn latch(&self, severity: Severity) -> Latch {
        match severity {
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }

    fn each(
        &mut self,
        rule: &RuleConfig,
        mut step: impl FnMut(&mut Latch, &Limit, Patience) -> Option<i64>,
    ) -> Vec<Turn> {
        let Self { warning, critical, .. } = self;
        let latches = [(warning, Severity::Warning), (critical, Severity::Critical)];
        let mut turns = Vec::new();
        for (latch, severity) in latches {
            if let Some((limit, patience)) = of(rule, severity)
                && let Some(since_ms) = step(latch, limit, patience)
            {
                let reading = if latch.is_on() { Reading::Beyond } else { Reading::Fine };
                turns.push(Turn { severity, reading, since_ms });
            }
        }
        // Whatever is critical is a warning as well, and remains one when it eases.
        if self.critical == Latch::On && rule.warning.is_some() && !self.warning.is_on() {
            self.warning = Latch::On;
        }
        turns
    }
}

/// Where `value` lies, seen from `limit`.
pub(super) fn reading(limit: &Limit, value: f64) -> Reading {
    if limit.side.is_beyond(value, limit.at) {
        Reading::Beyond
    } else if limit.side.is_beyond(value, limit.clear) {
        Reading::Between
    } else {
        Reading::Fine
    }
}

fn of(rule: &RuleConfig, severity: Severity) -> Option<(&Limit, Patience)> {
    let limit = rule.limit(severity)?;
    Some((limit, Patience { hold_ms: whole_ms(limit.hold), clear_ms: whole_ms(rule.clear_for) }))
}
