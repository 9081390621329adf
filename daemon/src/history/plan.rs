//! What has to be asked of others, seen from what the store has answered. Pure.

use crate::{
    series::{Kind, PRESUMED_INTERVAL_MS, kind_by_name},
    store::messages::{Answer, Query},
};

/// More points of one series are not asked for.
const POINTS_MAX: i64 = 11_000;

/// A stretch of time that others are asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// First instant wanted.
    pub(super) from_ms: i64,
    /// First instant not wanted: what the store has begins there.
    pub(super) to_ms: i64,
    /// In which form.
    pub(super) form: Form,
    /// Whether a counter's rate is wanted.
    pub(super) rate: bool,
    /// Time between two samples of the series.
    pub(super) interval_ms: u32,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Every sample.
    Samples,
    /// Mean, smallest and largest of each stretch of so many milliseconds.
    Buckets(i64),
}

impl Plan {
    /// What of `query` is older than the store's oldest sample, in the form in which the store has answered the rest;
    /// `None` where nothing is. `interval_ms` is the time between two samples of the series, where that is known.
    pub(super) fn of(
        query: &Query,
        answer: &Answer,
        (oldest_ms, now_ms): (Option<i64>, i64),
        interval_ms: Option<u32>,
    ) -> Option<Self> {
        let to_ms = oldest_ms.unwrap_or(now_ms).min(query.to_ms);
        if query.from_ms >= to_ms {
            return None;
        }
        let kind = answer.series.first().map_or(kind_by_name(&query.metric), |one| one.kind);
        let interval_ms = interval_ms.unwrap_or(PRESUMED_INTERVAL_MS).max(1);
        let resolution_ms = answer.series.iter().map(|one| one.resolution_ms).max();
        let span_ms = query.to_ms.saturating_sub(query.from_ms);
        let width_ms = query.points.map_or(0, |points| {
            let points = i64::try_from(points).unwrap_or(i64::MAX).max(1);
            span_ms / points + i64::from(span_ms % points > 0)
        });
        // What the store does not have is cut as it would have been.
        let intervals = (width_ms + i64::from(interval_ms) - 1) / i64::from(interval_ms);
        let step_ms = resolution_ms.unwrap_or(intervals * i64::from(interval_ms)).max(width_ms);
        let is_fine = step_ms <= i64::from(interval_ms);
        let fits = (to_ms - query.from_ms) / i64::from(interval_ms) <= POINTS_MAX;
        let form = if is_fine && fits {
            Form::Samples
        } else {
            Form::Buckets(step_ms.max(span_ms / POINTS_MAX).max(i64::from(interval_ms)))
        };
        let rate = kind == Kind::Counter && !query.raw;
        Some(Self { from_ms: query.from_ms, to_ms, form, rate, interval_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        series::{Labels, SeriesId},
        store::messages::{SeriesAnswer, Tier},
    };

    fn query(points: Option<usize>) -> Query {
        Query {
            server: "web-1".into(),
            metric: "load1".into(),
            labels: Vec::new(),
            from_ms: 1_000_000,
            to_ms: 4_600_000,
            points,
            raw: false,
            stats: Vec::new(),
        }
    }

    fn answered(kind: Kind, resolution_ms: i64) -> Answer {
        let series = SeriesAnswer {
            id: SeriesId(0),
            labels: Labels::default(),
            unit: "".into(),
            kind,
            tier: Tier::Raw,
            p95_from_ms: None,
            resolution_ms,
            points: Vec::new(),
            gaps: Vec::new(),
        };
        Answer { series: vec![series], partial: false }
    }

    #[test]
    fn what_is_here_is_not_asked_for() {
        let plan = |oldest| {
            let answer = answered(Kind::Gauge, 10_000);
            let plan = Plan::of(&query(None), &answer, (oldest, 9_000_000), Some(10_000))?;
            Some((plan.from_ms, plan.to_ms))
        };
        assert_eq!(plan(Some(500_000)), None);
        assert_eq!(plan(Some(1_000_000)), None);
        assert_eq!(plan(Some(2_000_000)), Some((1_000_000, 2_000_000)));
        assert_eq!(plan(Some(8_000_000)), Some((1_000_000, 4_600_000)));
        assert_eq!(plan(None), Some((1_000_000, 4_600_000)), "an empty store has nothing");
    }

    #[test]
    fn the_form_is_that_of_the_rest() {
        let form = |points, kind, resolution_ms| {
            let answer = answered(kind, resolution_ms);
            let plan = Plan::of(&query(points), &answer, (None, 9_000_000), Some(10_000));
            plan.map(|plan| (plan.form, plan.rate))
        };
        assert_eq!(form(None, Kind::Gauge, 10_000), Some((Form::Samples, false)));
        assert_eq!(form(Some(1000), Kind::Counter, 10_000), Some((Form::Samples, true)));
        assert_eq!(form(Some(60), Kind::Counter, 60_000), Some((Form::Buckets(60_000), true)));
        let of_nothing = |points, interval_ms| {
            let answer = Answer::default();
            Plan::of(&query(points), &answer, (None, 9_000_000), interval_ms).map(|plan| plan.form)
        };
        assert_eq!(of_nothing(Some(100), None), Some(Form::Buckets(40_004)));
        assert_eq!(of_nothing(None, None), Some(Form::Samples));
        assert_eq!(of_nothing(None, Some(100)), Some(Form::Buckets(327)), "too many to send");
    }
}
