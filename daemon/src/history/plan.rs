//! What has to be asked of others, seen from what the store has answered. Pure.

use crate::{
    series::{Kind, PRESUMED_INTERVAL_MS, kind_by_name},
    store::messages::{Answer, Query, SeriesAnswer},
};

/// More points of one series are not asked for, nor told.
pub(super) const POINTS_MAX: usize = 11_000;

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
    /// What of `query` is older than what the store has of the series, in the form in which the store has answered the
    /// rest; `None` where nothing is. `interval_ms` is the time between two samples of the series, where that is known.
    ///
    /// Of a series that is gone, with nothing here up to now, others have no more than what is older than the whole
    /// store: else every question about the present would be one to them, for as long as its name is remembered.
    pub(super) fn of(
        query: &Query,
        answer: &Answer,
        (oldest_ms, now_ms): (Option<i64>, i64),
        interval_ms: Option<u32>,
    ) -> Option<Self> {
        let end_ms = query.to_ms.min(now_ms);
        let oldest_ms = oldest_ms.unwrap_or(end_ms);
        let begin_of = |one: &SeriesAnswer| {
            let begins_ms = one.begins_ms?;
            let is_gone = one.points.is_empty() && query.to_ms >= now_ms;
            Some(if is_gone { begins_ms.min(oldest_ms) } else { begins_ms })
        };
        let to_ms = match answer.series.as_slice() {
            [] => end_ms,
            series => series.iter().filter_map(begin_of).max()?.min(end_ms),
        };
        if query.from_ms >= to_ms {
            return None;
        }
        let kind = answer.series.first().map_or(kind_by_name(&query.metric), |one| one.kind);
        let known_ms = interval_ms.filter(|ms| *ms != PRESUMED_INTERVAL_MS);
        let interval_ms = interval_ms.unwrap_or(PRESUMED_INTERVAL_MS).max(1);
        let resolution_ms = answer.series.iter().map(|one| one.resolution_ms).max();
        let span_ms = query.to_ms.saturating_sub(query.from_ms);
        let width_ms = query.points.map_or(0, |points| {
            let points = i64::try_from(points).unwrap_or(i64::MAX).max(1);
            span_ms / points + i64::from(span_ms % points > 0)
        });
        let most = POINTS_MAX as i64;
        // What the store does not have is cut as it would have been.
        let multiple_ms = i64::from(known_ms.unwrap_or(1).max(1));
        let rounded_ms = (width_ms + multiple_ms - 1) / multiple_ms * multiple_ms;
        let step_ms = resolution_ms.unwrap_or(rounded_ms).max(width_ms);
        // Nobody knows how many samples there are where it is not known how often they come.
        let may_be_many = query.points.is_some() && known_ms.is_none();
        let is_fine = step_ms <= i64::from(interval_ms) && !may_be_many;
        let fits = (to_ms - query.from_ms) / i64::from(interval_ms) <= most;
        let form = if is_fine && fits {
            Form::Samples
        } else {
            // Stretches stand on the clock: one more than fits into the time, and both ends count.
            let least_ms = span_ms / (most - 2) + 1;
            Form::Buckets(step_ms.max(least_ms).max(i64::from(interval_ms)))
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
        store::messages::{Point, Tier},
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
            begins_ms: None,
            resolution_ms,
            points: Vec::new(),
            gaps: Vec::new(),
        };
        Answer { series: vec![series], partial: false }
    }

    /// One series that begins here at each of these times.
    fn beginning(begins_ms: &[Option<i64>], points: Vec<Point>) -> Answer {
        let Answer { series, partial } = answered(Kind::Gauge, 10_000);
        let one = |begins_ms: &Option<i64>| SeriesAnswer {
            begins_ms: *begins_ms,
            points: points.clone(),
            ..series[0].clone()
        };
        Answer { series: begins_ms.iter().map(one).collect(), partial }
    }

    #[test]
    fn what_is_here_is_not_asked_for() {
        let plan = |begins_ms: &[Option<i64>]| {
            let answer = beginning(begins_ms, vec![Point::single(4_000_000, 1.0)]);
            let times = (Some(500_000), 9_000_000);
            let plan = Plan::of(&query(None), &answer, times, Some(10_000))?;
            Some((plan.from_ms, plan.to_ms))
        };
        assert_eq!(plan(&[None, None]), None);
        assert_eq!(plan(&[Some(2_000_000)]), Some((1_000_000, 2_000_000)), "the store is older");
        assert_eq!(
            plan(&[None, Some(3_000_000), Some(2_000_000)]),
            Some((1_000_000, 3_000_000)),
            "as far as any of them needs"
        );
        assert_eq!(plan(&[Some(4_600_000)]), Some((1_000_000, 4_600_000)));
        assert_eq!(plan(&[]), Some((1_000_000, 4_600_000)), "of what is not known all is asked");
    }

    #[test]
    fn a_series_that_is_gone_is_asked_for_before_the_whole_store_alone() {
        let plan = |oldest_ms, now_ms| {
            let answer = beginning(&[Some(4_600_000)], Vec::new());
            let plan = Plan::of(&query(None), &answer, (oldest_ms, now_ms), Some(10_000));
            plan.map(|plan| plan.to_ms)
        };
        assert_eq!(plan(Some(500_000), 4_600_000), None);
        assert_eq!(plan(Some(2_000_000), 4_600_000), Some(2_000_000));
        assert_eq!(plan(Some(500_000), 9_000_000), Some(4_600_000), "it may have begun since");
    }

    #[test]
    fn the_form_is_that_of_the_rest() {
        let form = |points, kind, resolution_ms| {
            let mut answer = answered(kind, resolution_ms);
            answer.series[0].begins_ms = Some(4_600_000);
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
        assert_eq!(of_nothing(Some(100), None), Some(Form::Buckets(36_000)));
        assert_eq!(of_nothing(None, None), Some(Form::Samples));
        assert_eq!(of_nothing(None, Some(100)), Some(Form::Buckets(328)), "too many to send");
    }
}
