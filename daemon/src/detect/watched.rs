//! One series and its detectors: values in, transitions out.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Key, Level, Subject, Transition,
    detector::{AWAIT_MIN_MS, Change, Detector, FRESH_INTERVALS},
    recall::{Recall, key_of},
    subject::fits,
    summary,
};
use crate::{
    config::{NoData, RuleConfig},
    series::{Kind, Rate, Series, silence},
};

/// What all series of a server have in common.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) server: Arc<str>,
    /// Why a collector is silent, by its name.
    pub(super) silent: BTreeMap<Arc<str>, Arc<str>>,
    /// What is remembered, and not taken yet.
    pub(super) recall: Recall,
    /// When the sentinel began.
    pub(super) began_ms: i64,
}

impl Scene {
    /// When the daemon stopped looking, for a series that shows up at `now_ms`: one that comes later than all
    /// others were awaited is new, and what it does has begun by now.
    fn absent_since_ms(&self, interval_ms: i64, now_ms: i64) -> Option<i64> {
        let patience_ms = (FRESH_INTERVALS * interval_ms).max(AWAIT_MIN_MS);
        self.recall.absent_since_ms.filter(|_| now_ms - self.began_ms <= patience_ms)
    }
}

/// One series.
#[derive(Debug)]
pub(super) struct Watched {
    series: Arc<Series>,
    rate: Option<Rate>,
    detectors: Vec<Detector>,
    /// The last sample, by the time it bears: what bears no later one is late.
    newest: Option<(i64, f64)>,
    /// When that was, or when it began to be watched, by a clock that may have been set since.
    alive_ms: i64,
}

/// A series of which nothing came for so long, while its collector went on, has ended.
const ENDED_MS: i64 = 24 * 60 * 60 * 1000;

impl Watched {
    /// A series that nobody judges yet, watched from `now_ms` on.
    pub(super) fn new(series: Arc<Series>, now_ms: i64) -> Self {
        Self { series, rate: None, detectors: Vec::new(), newest: None, alive_ms: now_ms }
    }

    /// Lets those of `rules` judge it that are about it: as before where they did, else from what is remembered.
    pub(super) fn judge_by(
        &mut self,
        rules: &[Arc<RuleConfig>],
        scene: &mut Scene,
        now_ms: i64,
        out: &mut Vec<Transition>,
    ) {
        for rule in rules.iter().filter(|rule| fits(rule, &self.series.metric, &self.series.labels))
        {
            let known = self.detectors.iter_mut().find(|known| known.rule.name == rule.name);
            if let Some(known) = known {
                for change in known.follow(rule.clone(), now_ms) {
                    out.push(tell(&self.series, known, change, scene));
                }
                continue;
            }
            let detector = self.detector(rule, scene, now_ms, out);
            // Few rules are about one series, and there are very many series.
            self.detectors.reserve_exact(1);
            self.detectors.push(detector);
        }
    }

    fn detector(
        &self,
        rule: &Arc<RuleConfig>,
        scene: &mut Scene,
        now_ms: i64,
        out: &mut Vec<Transition>,
    ) -> Detector {
        let interval_ms = self.series.interval_ms.into();
        let absent = scene.absent_since_ms(interval_ms, now_ms);
        let Some(memory) = scene.recall.take(rule, &self.series) else {
            let mut detector = Detector::new(rule.clone(), interval_ms, absent);
            // It has been there: a rule that asks for it may miss it.
            let lives = self.newest.is_some() && now_ms - self.alive_ms <= ENDED_MS;
            if rule.no_data == NoData::Alert && lives {
                detector.awaits(self.alive_ms);
            }
            return detector;
        };
        let mut detector = Detector::recalled(rule.clone(), interval_ms, memory, absent, now_ms);
        for change in detector.fit(now_ms) {
            out.push(tell(&self.series, &detector, change, scene));
        }
        detector
    }

    /// Withdraws what rules that are not among `rules`, or no longer about it, have said.
    pub(super) fn withdraw(
        &mut self,
        rules: &[Arc<RuleConfig>],
        now_ms: i64,
        scene: &Scene,
        out: &mut Vec<Transition>,
    ) {
        let stays = |detector: &Detector| {
            rules.iter().any(|rule| {
                rule.name == detector.rule.name
                    && fits(rule, &self.series.metric, &self.series.labels)
            })
        };
        let (stay, go) = std::mem::take(&mut self.detectors).into_iter().partition(stays);
        self.detectors = stay;
        let go: Vec<Detector> = go;
        go.iter().for_each(|gone| self.tell_end(gone, now_ms, "its rule was removed", scene, out));
    }

    /// What it is.
    pub(super) fn series(&self) -> &Series {
        &self.series
    }

    /// Whether any rule is about it.
    pub(super) fn is_judged(&self) -> bool {
        !self.detectors.is_empty()
    }

    /// Its collector may have been started anew, with another interval.
    pub(super) fn is_now(&mut self, series: Arc<Series>) {
        if !Arc::ptr_eq(&series, &self.series) {
            let interval_ms = i64::from(series.interval_ms).max(1);
            self.detectors.iter_mut().for_each(|detector| detector.interval_ms = interval_ms);
            self.series = series;
        }
    }

    /// Takes a sample; one that is late is not judged.
    pub(super) fn take(
        &mut self,
        at_ms: i64,
        value: f64,
        scene: &Scene,
        out: &mut Vec<Transition>,
    ) {
        if self.newest.is_some_and(|(newest_ms, _)| at_ms <= newest_ms) {
            return;
        }
        self.newest = Some((at_ms, value));
        self.alive_ms = at_ms;
        if !self.is_judged() {
            return;
        }
        let is_number = value.is_finite();
        let value = match (self.series.kind, &mut self.rate) {
            (Kind::Gauge, _) => Some(value).filter(|_| is_number),
            (Kind::Counter, Some(rate)) => {
                rate.next(at_ms, value, self.series.interval_ms).per_second()
            }
            (Kind::Counter, rate) => {
                *rate = Some(Rate::new(at_ms, value));
                None
            }
        };
        self.each(scene, out, |detector| match value {
            Some(value) => detector.value(at_ms, value),
            None if is_number => detector.no_value(at_ms),
            None => detector.advance(at_ms),
        });
    }

    /// Takes what the daemon itself has found out: a change of it is never late.
    pub(super) fn turn(
        &mut self,
        at_ms: i64,
        value: f64,
        scene: &Scene,
        out: &mut Vec<Transition>,
    ) {
        let before = self.newest.filter(|&(_, before)| before != value);
        let at_ms = before.map_or(at_ms, |(newest_ms, _)| at_ms.max(newest_ms + 1));
        self.take(at_ms, value, scene, out);
    }

    /// The clock was set by `by_ms`: what is remembered moves along, as if no time had passed.
    pub(super) fn shift(&mut self, by_ms: i64) {
        self.alive_ms += by_ms;
        // Forward, samples of the new time are later than all before as they are; back, they would seem late.
        if let Some((newest_ms, _)) = self.newest.as_mut().filter(|_| by_ms < 0) {
            *newest_ms = i64::MIN;
        }
        self.rate = None;
        self.detectors.iter_mut().for_each(|detector| detector.shift(by_ms));
    }

    /// There are no more samples, and somebody knows it before they are too old.
    pub(super) fn lose(&mut self, at_ms: i64, scene: &Scene, out: &mut Vec<Transition>) {
        self.each(scene, out, |detector| detector.lose(at_ms));
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now_ms: i64, scene: &Scene, out: &mut Vec<Transition>) {
        self.each(scene, out, |detector| detector.advance(now_ms));
        let too_old = now_ms - self.alive_ms > ENDED_MS;
        let ended = |detector: &Detector| too_old && detector.has_ceased();
        // A collector that is down says nothing of its series.
        if scene.silent.contains_key(&self.series.collector) || !self.detectors.iter().any(ended) {
            return;
        }
        let (gone, stay) = std::mem::take(&mut self.detectors).into_iter().partition(ended);
        self.detectors = stay;
        let gone: Vec<Detector> = gone;
        for gone in &gone {
            self.tell_end(gone, now_ms, "no sample for a day: the series has ended", scene, out);
            // It may come back one day; what it was is told, so it begins anew.
            self.detectors.push(Detector::new(gone.rule.clone(), gone.interval_ms, None));
        }
    }

    /// When [`advance`](Self::advance) has something to do at the latest.
    pub(super) fn due_ms(&self) -> Option<i64> {
        self.detectors.iter().filter_map(Detector::due_ms).min()
    }

    /// Whether its value is beyond a limit, of each detector; `None` where it is not known. A series without
    /// anything wrong that its collector no longer brings has ended, and is no part of the answer.
    pub(super) fn beyond(&self, scene: &Scene, now_ms: i64) -> impl Iterator<Item = Option<bool>> {
        let silent = scene.silent.contains_key(&self.series.collector);
        let counts = move |detector: &&Detector| {
            !detector.is_lost() || silent || detector.level() != Level::Ok
        };
        self.detectors.iter().filter(counts).map(move |detector| detector.is_beyond(now_ms))
    }

    fn each(
        &mut self,
        scene: &Scene,
        out: &mut Vec<Transition>,
        mut step: impl FnMut(&mut Detector) -> Vec<Change>,
    ) {
        for detector in &mut self.detectors {
            for change in step(detector) {
                out.push(tell(&self.series, detector, change, scene));
            }
        }
    }

    fn tell_end(
        &self,
        detector: &Detector,
        at_ms: i64,
        why: &str,
        scene: &Scene,
        out: &mut Vec<Transition>,
    ) {
        let mut end = |change, withdrawn: Option<&str>| {
            let told = tell(&self.series, detector, change, scene);
            let withdrawn = withdrawn.map(Into::into);
            out.push(Transition { withdrawn, memory: None, unknown: None, ..told });
        };
        if detector.is_missed() {
            end(Change::of_absence(at_ms, Level::Ok), Some(why));
        }
        if detector.level() != Level::Ok {
            end(Change::of_level(at_ms, Level::Ok), Some(why));
        } else if detector.memory().is_some() && !detector.is_missed() {
            // Nothing was wrong with it; that it was expected is forgotten.
            end(Change::of_level(at_ms, Level::Ok), None);
        }
    }
}

fn tell(series: &Series, detector: &Detector, change: Change, scene: &Scene) -> Transition {
    let Change { at_ms, level, absence, in_absence, withdrawn } = change;
    let rule = &*detector.rule;
    let value = detector.last().map(|(_, value)| value);
    let why = || {
        let silent = scene.silent.get(&series.collector).cloned();
        silent.unwrap_or_else(|| silence(series.interval_ms).into())
    };
    let unknown = (!absence && detector.is_lost() && level != Level::Ok).then(why);
    let severity = match level {
        Level::Pending { severity, .. } => Some(severity),
        other => other.severity(),
    };
    let limit = severity.and_then(|severity| rule.limit(severity));
    let limit = limit.or(rule.warning.as_ref()).or(rule.critical.as_ref());
    let summary = rule.summary.as_deref().filter(|_| !absence).and_then(|template| {
        summary::fill(template, rule, series, value, limit.map(|limit| limit.at), severity)
    });
    Transition {
        key: Key { absence, ..key_of(rule, series) },
        subject: Subject {
            metric: series.metric.clone(),
            collector: Some(series.collector.clone()).filter(|name| !name.is_empty()),
            unit: match series.kind {
                Kind::Gauge => series.unit.clone(),
                Kind::Counter => format!("{}/s", series.unit).into(),
            },
            limit: limit.map(|limit| (limit.side, limit.at)),
            summary,
            runbook: rule.runbook.as_deref().map(Into::into),
        },
        at_ms,
        level,
        unknown,
        withdrawn: withdrawn.map(Into::into),
        value,
        in_absence,
        memory: detector.memory(),
    }
}
