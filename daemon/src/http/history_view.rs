//! How the past looks in JSON.

use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::{
    history::{Stretch, Told},
    series::{Gap, Kind, Labels},
    store::messages::{Point, SeriesAnswer, Stat},
};

/// Bytes that a series takes without its points, a gap, and a number.
const SERIES_LENGTH: usize = 512;
const GAP_LENGTH: usize = 128;
const NUMBER_LENGTH: usize = 20;

#[derive(Serialize)]
pub(super) struct HistoryView<'a> {
    /// What stands in a point, where more was asked for than there always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<&'static str>>,
    series: Vec<SeriesHistoryView<'a>>,
    partial: bool,
    /// Which stretch comes from where, where not all of it is the store's.
    #[serde(skip_serializing_if = "<[Stretch]>::is_empty")]
    sources: &'a [Stretch],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct SeriesHistoryView<'a> {
    labels: &'a Labels,
    unit: &'a str,
    kind: Kind,
    tier: &'static str,
    resolution_ms: i64,
    /// Where percentiles were asked for that are not known of the first points.
    #[serde(rename = "p95_from", skip_serializing_if = "Option::is_none")]
    p95_from_ms: Option<i64>,
    /// From when on it is the store's, where what is older was asked of others.
    #[serde(rename = "here_from", skip_serializing_if = "Option::is_none")]
    here_from_ms: Option<i64>,
    points: Vec<PointView<'a>>,
    gaps: Vec<GapView<'a>>,
}

/// Time, mean, smallest, largest, and what else was asked for. What is not a number becomes null.
struct PointView<'a>(&'a Point, &'a [Stat]);

#[derive(Serialize)]
struct GapView<'a> {
    from: i64,
    to: Option<i64>,
    reason: &'a str,
}

impl<'a> HistoryView<'a> {
    /// The answer to a question that asked for `stats` as well.
    pub(super) fn new(told: &'a Told, stats: &'a [Stat]) -> Self {
        let Told { answer, sources, reason } = told;
        let names = || ["time", "mean", "min", "max"].into_iter();
        let columns = names().chain(stats.iter().map(|stat| stat.name()));
        let is_joined = !sources.is_empty();
        let view = |series| SeriesHistoryView::new(series, stats, is_joined);
        let series = answer.series.iter().map(view);
        Self {
            columns: (!stats.is_empty()).then(|| columns.collect()),
            series: series.collect(),
            partial: answer.partial,
            sources,
            reason: reason.as_deref(),
        }
    }
}

impl HistoryView<'_> {
    /// About as many bytes as it takes as JSON, seldom fewer.
    pub(super) fn length(&self) -> usize {
        let columns = self.columns.as_ref().map_or(4, Vec::len);
        let of_series = |one: &SeriesHistoryView<'_>| {
            SERIES_LENGTH + one.gaps.len() * GAP_LENGTH + one.points.len() * columns * NUMBER_LENGTH
        };
        self.series.iter().map(of_series).sum::<usize>() + SERIES_LENGTH
    }
}

impl<'a> SeriesHistoryView<'a> {
    fn new(series: &'a SeriesAnswer, stats: &'a [Stat], is_joined: bool) -> Self {
        Self {
            labels: &series.labels,
            unit: &series.unit,
            kind: series.kind,
            tier: series.tier.name(),
            p95_from_ms: series.p95_from_ms,
            here_from_ms: series.begins_ms.filter(|_| is_joined),
            resolution_ms: series.resolution_ms,
            points: series.points.iter().map(|point| PointView(point, stats)).collect(),
            gaps: series.gaps.iter().map(GapView::new).collect(),
        }
    }
}

impl Serialize for PointView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(point, stats) = self;
        let mut values = serializer.serialize_seq(Some(4 + stats.len()))?;
        values.serialize_element(&point.at_ms)?;
        for value in [point.mean, point.min, point.max] {
            values.serialize_element(&value)?;
        }
        for stat in *stats {
            match stat {
                Stat::Last => values.serialize_element(&point.last)?,
                Stat::Sum => values.serialize_element(&point.sum)?,
                Stat::Count => values.serialize_element(&point.count)?,
                Stat::P95 => values.serialize_element(&point.p95)?,
            }
        }
        values.end()
    }
}

impl<'a> GapView<'a> {
    fn new(gap: &'a Gap) -> Self {
        Self { from: gap.from_ms, to: gap.to_ms, reason: &gap.reason }
    }
}
