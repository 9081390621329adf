//! What others found and what the store has, as one answer. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    plan::{Form, POINTS_MAX, Plan},
    promql::inside,
    reply::{Found, Reply},
};
use crate::{
    series::{Labels, PRESUMED_INTERVAL_MS, Rate, SeriesId, kind_by_name, unit_by_name},
    store::messages::{Answer, Point, Query, SeriesAnswer, Tier},
};

/// Stands for the number of a series that this store does not know.
const UNKNOWN: SeriesId = SeriesId(u32::MAX);

/// What was found in answer to a plan: values that are mean, smallest and largest at once, or one reply for each.
pub(super) enum Replies {
    One(Reply),
    Three([Reply; 3]),
}

/// Points of one series, by time.
type Points = BTreeMap<i64, Point>;

impl Replies {
    /// Why something may be missing in them, where the other side says so.
    pub(super) fn incomplete(&self) -> Option<&str> {
        let all = match self {
            Self::One(reply) => std::slice::from_ref(reply),
            Self::Three(replies) => replies.as_slice(),
        };
        all.iter().find_map(|reply| reply.incomplete.as_deref())
    }

    /// Points by the labels that a series has outside.
    fn points(self, plan: &Plan) -> BTreeMap<BTreeMap<String, String>, Points> {
        let mut all = BTreeMap::<_, Points>::new();
        match self {
            Self::One(reply) => {
                for found in reply.series {
                    let points = match plan.form {
                        Form::Samples => samples(plan, &found),
                        Form::Buckets(step_ms) => found
                            .values
                            .iter()
                            .map(|(last_ms, value)| {
                                Point::outline(last_ms.saturating_sub(step_ms - 1), *value)
                            })
                            .collect(),
                    };
                    let by_time = points.into_iter().map(|point| (point.at_ms, point));
                    all.entry(found.labels).or_default().extend(by_time);
                }
            }
            Self::Three(replies) => {
                let Form::Buckets(step_ms) = plan.form else { return all };
                for (which, reply) in replies.into_iter().enumerate() {
                    for Found { labels, values } in reply.series {
                        let points = all.entry(labels).or_default();
                        for (last_ms, value) in values {
                            let at_ms = last_ms.saturating_sub(step_ms - 1);
                            let point =
                                points.entry(at_ms).or_insert_with(|| Point::unknown(at_ms));
                            *[&mut point.mean, &mut point.min, &mut point.max][which] = value;
                        }
                    }
                }
            }
        }
        all
    }
}

/// Adds what others found of the plan to what the store has answered. `added` are names of labels that forwarding adds.
pub(super) fn join(
    mut answer: Answer,
    replies: Replies,
    plan: &Plan,
    query: &Query,
    added: &BTreeSet<String>,
) -> Answer {
    for (outside, points) in replies.points(plan) {
        let labels = own(&outside, added);
        let fitting = |one: &&mut SeriesAnswer| match one.id {
            UNKNOWN => one.labels == labels,
            _ => fits(&one.labels, &labels),
        };
        let known = answer.series.iter_mut().filter(fitting);
        // Of several that fit, it is the one that says most.
        let series = match known.max_by_key(|one| one.labels.iter().len()) {
            Some(series) => series,
            None => {
                answer.series.push(unknown(labels, plan, query));
                let Some(series) = answer.series.last_mut() else { continue };
                series
            }
        };
        let begins_ms = if series.id == UNKNOWN { plan.to_ms } else { begin_of(series) };
        let here = std::mem::take(&mut series.points).into_iter();
        let mut joined: Points = here.map(|point| (point.at_ms, point)).collect();
        let older: Points = points.into_iter().filter(|(at_ms, _)| *at_ms < begins_ms).collect();
        let room = POINTS_MAX.saturating_sub(joined.len());
        // A stretch that began before the series' oldest sample is whole only there.
        joined.extend(thinned(older, room));
        series.points = joined.into_values().collect();
    }
    answer.series.sort_by(|one, other| one.labels.cmp(&other.labels));
    answer
}

/// Where a series that is known begins here; what is here is not read elsewhere.
fn begin_of(series: &SeriesAnswer) -> i64 {
    series.begins_ms.unwrap_or(i64::MIN)
}

/// Neighbours put together, if there are more than `most`: others may have more samples than the interval that is known
/// here lets expect.
fn thinned(points: Points, most: usize) -> Points {
    let ends = points.first_key_value().zip(points.last_key_value());
    let Some(((first_ms, _), (last_ms, _))) = ends.filter(|_| points.len() > most) else {
        return points;
    };
    // Stretches stand on the clock: one more than fits into the time.
    let parts = i64::try_from(most.saturating_sub(1)).unwrap_or(i64::MAX).max(1);
    let width_ms = (last_ms.saturating_sub(*first_ms) / parts).saturating_add(1);
    let mut thin = BTreeMap::<i64, (Point, u32)>::new();
    for (at_ms, point) in points {
        let at_ms = at_ms.saturating_sub(at_ms.rem_euclid(width_ms));
        let (all, of) = thin.entry(at_ms).or_insert((Point { at_ms, ..point }, 0));
        // A NaN is no value.
        (all.min, all.max) = (all.min.min(point.min), all.max.max(point.max));
        if !point.mean.is_nan() {
            let before = if *of == 0 { 0.0 } else { all.mean * f64::from(*of) };
            *of += 1;
            all.mean = (before + point.mean) / f64::from(*of);
        }
        *all = Point { mean: all.mean, min: all.min, max: all.max, ..Point::unknown(at_ms) };
    }
    thin.into_iter().map(|(at_ms, (point, _))| (at_ms, point)).collect()
}

/// Whether the series with the labels `known` here is the one with `labels` outside. An empty label is none.
fn fits(known: &Labels, labels: &Labels) -> bool {
    known.iter().all(|(name, value)| labels.get(name).unwrap_or_default() == value)
}

/// The labels of its own, without those that say whose it is.
fn own(outside: &BTreeMap<String, String>, added: &BTreeSet<String>) -> Labels {
    let not_own =
        |name: &str| matches!(name, "__name__" | "server" | "collector") || added.contains(name);
    let own = outside.iter().filter(|(name, _)| !not_own(name));
    Labels::new(own.map(|(name, value)| (inside(name), value.as_str())))
}

/// A series that this store does not have.
fn unknown(labels: Labels, plan: &Plan, query: &Query) -> SeriesAnswer {
    let unit = unit_by_name(&query.metric);
    SeriesAnswer {
        id: UNKNOWN,
        labels,
        unit: if plan.rate { format!("{unit}/s").into() } else { unit.into() },
        kind: kind_by_name(&query.metric),
        tier: Tier::Raw,
        p95_from_ms: None,
        begins_ms: None,
        resolution_ms: match plan.form {
            Form::Samples => plan.interval_ms.into(),
            Form::Buckets(step_ms) => step_ms,
        },
        points: Vec::new(),
        gaps: Vec::new(),
    }
}

/// Samples as points, a counter's as rates by the one function for that.
fn samples(plan: &Plan, found: &Found) -> Vec<Point> {
    let apart = found.values.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let interval_ms = match plan.interval_ms {
        PRESUMED_INTERVAL_MS => apart.min().and_then(|apart| u32::try_from(apart).ok()),
        known => Some(known),
    };
    let interval_ms = interval_ms.unwrap_or(PRESUMED_INTERVAL_MS);
    let mut rate: Option<Rate> = None;
    let point = |&(at_ms, value): &(i64, f64)| match (plan.rate, &mut rate) {
        (false, _) => Some(Point::single(at_ms, value)),
        (true, Some(rate)) => {
            let per_second = rate.next(at_ms, value, interval_ms).per_second()?;
            Some(Point::outline(at_ms, per_second))
        }
        (true, rate) => {
            *rate = Some(Rate::new(at_ms, value));
            None
        }
    };
    let mut points: Vec<Point> = found.values.iter().filter_map(point).collect();
    points.retain(|point| (plan.from_ms..plan.to_ms).contains(&point.at_ms));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Kind;

    fn query() -> Query {
        Query {
            server: "web-1".into(),
            metric: "disk_read_bytes_total".into(),
            labels: Vec::new(),
            from_ms: 0,
            to_ms: 100_000,
            points: None,
            raw: false,
            stats: Vec::new(),
        }
    }

    fn found(labels: &[(&str, &str)], values: &[(i64, f64)]) -> Reply {
        let fixed = [("__name__", "m"), ("server", "web-1"), ("collector", "disk")];
        let labels = fixed.iter().chain(labels);
        let labels = labels.map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Reply { series: vec![Found { labels, values: values.to_vec() }], incomplete: None }
    }

    fn here(labels: &[(&str, &str)], points: &[(i64, f64)]) -> SeriesAnswer {
        SeriesAnswer {
            id: SeriesId(3),
            labels: Labels::new(labels.iter().copied()),
            unit: "bytes/s".into(),
            kind: Kind::Counter,
            tier: Tier::Raw,
            p95_from_ms: None,
            begins_ms: None,
            resolution_ms: 10_000,
            points: points.iter().map(|(at_ms, value)| Point::single(*at_ms, *value)).collect(),
            gaps: Vec::new(),
        }
    }

    fn plan(form: Form, rate: bool) -> Plan {
        Plan { from_ms: 20_000, to_ms: 65_000, form, rate, interval_ms: 10_000 }
    }

    fn shown(answer: &Answer) -> Vec<(String, Vec<(i64, f64)>)> {
        let points = |one: &SeriesAnswer| one.points.iter().map(|p| (p.at_ms, p.mean)).collect();
        answer.series.iter().map(|one| (one.labels.to_string(), points(one))).collect()
    }

    #[test]
    fn samples_of_a_counter_become_rates_and_stand_before_what_is_here() {
        let series = [here(&[("device", "vda")], &[(70_000, 7.0)]), here(&[], &[])];
        let series = series.map(|one| SeriesAnswer { begins_ms: Some(70_000), ..one }).to_vec();
        let samples = [(10_000, 0.0), (20_000, 100.0), (30_000, 300.0), (40_000, 50.0)];
        let reply = found(&[("device", "vda"), ("site", "berlin")], &samples);
        let answer = join(
            Answer { series, partial: false },
            Replies::One(reply),
            &plan(Form::Samples, true),
            &query(),
            &BTreeSet::new(),
        );
        assert_eq!(
            shown(&answer),
            [
                (String::new(), vec![]),
                (
                    "{device=\"vda\"}".into(),
                    vec![(20_000, 10.0), (30_000, 20.0), (40_000, 5.0), (70_000, 7.0)]
                ),
            ]
        );
    }

    #[test]
    fn a_stretch_that_began_before_is_whole_only_there() {
        let here = here(&[], &[(60_000, 9.0), (80_000, 8.0)]);
        let series = vec![SeriesAnswer { begins_ms: Some(65_000), ..here }];
        let at = |value: f64| found(&[], &[(39_999, value), (59_999, value), (79_999, value)]);
        let replies = Replies::Three([at(2.0), at(1.0), at(3.0)]);
        let plan = plan(Form::Buckets(20_000), false);
        let answer = Answer { series, partial: false };
        let answer = join(answer, replies, &plan, &query(), &BTreeSet::new());
        let times = [20_000, 40_000, 60_000].map(|at| (at, 2.0));
        assert_eq!(shown(&answer)[0].1, [times.as_slice(), &[(80_000, 8.0)]].concat());
        let first = answer.series[0].points[0];
        assert_eq!((first.min, first.max), (1.0, 3.0));
    }

    #[test]
    fn each_series_takes_what_is_older_than_itself() {
        let mut young = here(&[("device", "vda")], &[(60_000, 7.0)]);
        young.begins_ms = Some(60_000);
        let old = here(&[("device", "vdb")], &[(20_000, 1.0), (60_000, 1.0)]);
        let samples = [(20_000, 3.0), (30_000, 4.0), (60_000, 5.0)];
        let mut reply = found(&[("device", "vda")], &samples);
        reply.series.extend(found(&[("device", "vdb")], &samples).series);
        let answer = Answer { series: vec![young, old], partial: false };
        let plan = plan(Form::Samples, false);
        let answer = join(answer, Replies::One(reply), &plan, &query(), &BTreeSet::new());
        let shown: Vec<_> = shown(&answer).into_iter().map(|(_, points)| points).collect();
        assert_eq!(shown[0], [(20_000, 3.0), (30_000, 4.0), (60_000, 7.0)]);
        assert_eq!(shown[1], [(20_000, 1.0), (60_000, 1.0)]);
    }

    #[test]
    fn more_than_is_told_of_one_series_is_put_together() {
        let many = POINTS_MAX as i64 - 1000;
        let newer: Vec<_> = (0..many).map(|n| (1_000_000 + n, 1.0)).collect();
        let mut series = here(&[], &newer);
        series.begins_ms = Some(1_000_000);
        let older: Vec<_> = (0..3000).map(|n| (100_000 + n, (n % 7) as f64)).collect();
        let plan = Plan { from_ms: 0, to_ms: 1_000_000, ..plan(Form::Samples, false) };
        let answer = Answer { series: vec![series], partial: false };
        let replies = Replies::One(found(&[], &older));
        let answer = join(answer, replies, &plan, &query(), &BTreeSet::new());
        let points = &answer.series[0].points;
        assert!((POINTS_MAX - 500..=POINTS_MAX).contains(&points.len()), "{}", points.len());
        let (older, newer) = points.split_at(points.len() - many as usize);
        assert!(newer.iter().all(|point| point.at_ms >= 1_000_000));
        assert!(older.iter().any(|point| (point.min, point.mean, point.max) == (0.0, 1.5, 3.0)));
        assert!(older.is_sorted_by_key(|point| point.at_ms) && older[0].at_ms <= 100_000);
    }

    #[test]
    fn series_that_are_not_known_here_stay_apart() {
        let mut reply = found(&[], &[(20_000, 1.0)]);
        reply.series.extend(found(&[("zone", "x")], &[(30_000, 2.0)]).series);
        let plan = plan(Form::Samples, false);
        let answer =
            join(Answer::default(), Replies::One(reply), &plan, &query(), &BTreeSet::new());
        assert_eq!(
            shown(&answer),
            [(String::new(), vec![(20_000, 1.0)]), ("{zone=\"x\"}".into(), vec![(30_000, 2.0)])]
        );
    }

    #[test]
    fn a_series_that_is_gone_here_is_shown_by_its_own_labels() {
        let labels = [("site", "berlin"), ("exported_server", "nas"), ("mount", "/old")];
        let reply = found(&labels, &[(20_000, 1.0)]);
        let added = BTreeSet::from(["site".to_owned()]);
        let plan = plan(Form::Samples, false);
        let answer = join(Answer::default(), Replies::One(reply), &plan, &query(), &added);
        let one = &answer.series[0];
        assert_eq!(one.labels.to_string(), "{mount=\"/old\",server=\"nas\"}");
        assert_eq!((&*one.unit, one.kind, one.resolution_ms), ("bytes", Kind::Counter, 10_000));
    }
}
