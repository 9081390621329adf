//! What a question asks for: which series, in which shape, and from which tier.

use std::sync::Arc;

use super::{
    StoreError,
    messages::{Query, Stat},
    points::{Points, Shape, up_to},
    rollup_codec::Fields,
    segment::SegmentFacts,
    shared::Shared,
    tier::Tier,
};
use crate::series::{Kind, PRESUMED_INTERVAL_MS, Series, SeriesId};

/// Samples that wait at once for their percentile, 64 MB of them.
const PERCENTILE_SAMPLES_MAX: i64 = 8_000_000;

/// A series that is asked for, and what has been found of it.
pub(super) struct Asked {
    pub(super) id: SeriesId,
    pub(super) series: Arc<Series>,
    /// The coarsest tier that is read.
    pub(super) tier: Tier,
    pub(super) shape: Shape,
    /// What is needed of rollups.
    pub(super) fields: Fields,
    pub(super) points: Points,
}

/// The series that a question means, by labels.
pub(super) fn asked(shared: &Shared, query: &Query) -> Result<Vec<Asked>, StoreError> {
    let ids = shared.catalog.of_metric(&query.server, &query.metric).into_iter();
    let found = ids.filter_map(|id| Some((id, shared.catalog.get(id)?)));
    let mut asked: Vec<Asked> = found
        .filter(|(_, series)| {
            query.labels.iter().all(|(name, value)| series.labels.get(name) == Some(value))
        })
        .map(|(id, series)| {
            let tier = tier_for(query, &series);
            Asked::new(id, series, query, tier)
        })
        .collect();
    asked.sort_by(|one, other| one.series.labels.cmp(&other.series.labels));
    check_percentiles(asked.iter().map(|asked| &asked.shape))?;
    Ok(asked)
}

/// The coarsest tier that gives about the points that are asked for. Percentiles and single samples are in the
/// finest alone; what a counter stood at is only at the ends of a rollup.
fn tier_for(query: &Query, series: &Series) -> Tier {
    let finest = query.stats.contains(&Stat::P95) || (query.raw && series.kind == Kind::Counter);
    let Some(points) = query.points.filter(|_| !finest) else { return Tier::Raw };
    let width_ms = Shape::width_ms(query.to_ms.saturating_sub(query.from_ms), points);
    let gives = |tier: &Tier| {
        tier.step_ms().is_some_and(|step_ms| {
            let rounded_ms = up_to(width_ms, step_ms);
            // More than a quarter fewer points than asked for are not about as many.
            let is_close = rounded_ms.saturating_sub(width_ms) <= width_ms / 4;
            step_ms <= width_ms && is_close && i64::from(series.interval_ms) < step_ms
        })
    };
    Tier::ALL.into_iter().rev().find(gives).unwrap_or(Tier::Raw)
}

/// Refuses a question whose percentiles need more samples at once than are held.
pub(super) fn check_percentiles<'a>(
    shapes: impl Iterator<Item = &'a Shape>,
) -> Result<(), StoreError> {
    let of_bucket = shapes.filter(|shape| shape.p95).map(|shape| {
        let range_ms = shape.to_ms.saturating_sub(shape.from_ms);
        let interval_ms = match shape.interval_ms {
            // Nobody knows how often one comes: perhaps every second.
            PRESUMED_INTERVAL_MS => 1000,
            known => i64::from(known).max(1),
        };
        shape.bucket_ms.unwrap_or(0).min(range_ms) / interval_ms
    });
    if of_bucket.fold(0, i64::saturating_add) <= PERCENTILE_SAMPLES_MAX {
        return Ok(());
    }
    let detail = "percentiles of so many samples at once do not fit into memory: ask for more \
                  points, or for fewer series by their labels";
    Err(StoreError::Question(detail))
}

impl Asked {
    /// A series of the answer to `query`, to be read from `tier` and finer ones.
    pub(super) fn new(id: SeriesId, series: Arc<Series>, query: &Query, tier: Tier) -> Self {
        let range_ms = query.to_ms.saturating_sub(query.from_ms);
        let of_points = |points| match tier.step_ms() {
            None => Shape::bucket_ms(range_ms, points, series.interval_ms),
            Some(step_ms) => {
                let width_ms = Shape::width_ms(range_ms, points).max(series.interval_ms.into());
                Some(up_to(width_ms.max(step_ms), step_ms))
            }
        };
        // A stretch is asked for as a whole, or not at all.
        let step_ms = tier.step_ms().unwrap_or(1);
        let shape = Shape {
            from_ms: query.from_ms.saturating_sub(query.from_ms.rem_euclid(step_ms)),
            to_ms: up_to(query.to_ms, step_ms),
            kind: series.kind,
            interval_ms: series.interval_ms,
            step_ms: tier.step_ms(),
            bucket_ms: query.points.map_or(tier.step_ms(), of_points),
            rate: series.kind == Kind::Counter && !query.raw,
            p95: tier == Tier::Raw && query.stats.contains(&Stat::P95),
        };
        // A gauge's last value shows nowhere else.
        let ends = series.kind == Kind::Counter || query.stats.contains(&Stat::Last);
        let fields = Fields { spread: series.kind == Kind::Gauge || shape.rate, ends };
        Self { id, series, tier, shape, fields, points: Points::new(shape) }
    }

    /// The same series, to be read from another tier.
    pub(super) fn moved_to(self, query: &Query, tier: Tier) -> Self {
        Self::new(self.id, self.series, query, tier)
    }

    /// The same series with the percentiles of its buckets, which raw samples alone know.
    pub(super) fn percentiles(&self) -> Self {
        let shape = Shape { p95: true, ..self.shape };
        let (id, series, tier, fields) = (self.id, self.series.clone(), Tier::Raw, self.fields);
        Self { id, series, tier, shape, fields, points: Points::new(shape) }
    }

    /// Whether a segment holds some of it that no coarser one does.
    pub(super) fn wants(&self, facts: &SegmentFacts) -> bool {
        facts.is_read_for(self.tier)
    }

    /// Whether what a segment has of it from before the question says that nothing came since. Who asks for every sample
    /// may lack those that only minutes are left of.
    pub(super) fn is_told_by(&self, facts: &SegmentFacts) -> bool {
        self.wants(facts) || (!facts.folded && self.shape.bucket_ms.is_some())
    }

    /// Whether it has nothing at the beginning of the question.
    pub(super) fn is_late(&self) -> bool {
        self.points.first_ms().is_none_or(|first_ms| first_ms > self.shape.from_ms)
    }

    /// Until when it has nothing, if that is longer than a hole and nothing is older: that may be in another tier.
    /// Who asks for every sample gets no less because some of them are gone, as long as there is one.
    pub(super) fn nothing_until_ms(&self) -> Option<i64> {
        let first_ms = self.points.first_ms();
        if self.points.before_ms().is_some()
            || (self.shape.bucket_ms.is_none() && first_ms.is_some())
        {
            return None;
        }
        let first_ms = first_ms.unwrap_or(self.shape.to_ms);
        let interval_ms = i64::from(self.shape.interval_ms);
        let is_hole = self.shape.is_hole(self.shape.from_ms, first_ms, interval_ms);
        is_hole.then_some(first_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Labels;

    const DAY_MS: i64 = 24 * 3_600_000;

    #[track_caller]
    fn check(
        range_ms: i64,
        points: Option<usize>,
        interval_ms: u32,
        tier: Tier,
        width: Option<i64>,
    ) {
        let series = Series {
            server: "web-1".into(),
            collector: "test".into(),
            metric: "load".into(),
            labels: Labels::default(),
            unit: "".into(),
            kind: Kind::Gauge,
            interval_ms,
        };
        let query = Query {
            server: "web-1".into(),
            metric: "load".into(),
            labels: Vec::new(),
            from_ms: 0,
            to_ms: range_ms,
            points,
            raw: false,
            stats: Vec::new(),
        };
        assert_eq!(tier_for(&query, &series), tier);
        let asked = Asked::new(SeriesId(0), series.into(), &query, tier);
        assert_eq!(asked.shape.bucket_ms, width);
    }

    #[test]
    fn samples_that_come_nobody_knows_how_often_may_be_many() {
        let shape = |interval_ms| Shape {
            from_ms: 0,
            to_ms: 30 * DAY_MS,
            kind: Kind::Gauge,
            interval_ms,
            step_ms: None,
            bucket_ms: Some(10 * DAY_MS),
            rate: false,
            p95: true,
        };
        let fits = |interval_ms| check_percentiles([shape(interval_ms); 50].iter()).is_ok();
        assert!(fits(10_000) && !fits(1000) && !fits(PRESUMED_INTERVAL_MS));
    }

    #[test]
    fn the_coarsest_tier_that_gives_the_points_is_taken() {
        check(3_600_000, Some(1000), 1000, Tier::Raw, Some(4000));
        check(DAY_MS, Some(1000), 1000, Tier::Raw, Some(87_000));
        check(DAY_MS, Some(720), 1000, Tier::Minute, Some(120_000));
        check(30 * DAY_MS, Some(1000), 1000, Tier::Minute, Some(44 * 60_000));
        check(30 * DAY_MS, Some(720), 1000, Tier::Hour, Some(3_600_000));
        check(90 * DAY_MS, Some(1000), 1000, Tier::Minute, Some(130 * 60_000));
        check(365 * DAY_MS, Some(1000), 1000, Tier::Hour, Some(9 * 3_600_000));
        check(30 * DAY_MS, Some(1000), 300_000, Tier::Raw, Some(45 * 60_000));
        check(30 * DAY_MS, None, 1000, Tier::Raw, None);
    }
}
