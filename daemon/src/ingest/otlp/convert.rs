//! Points of OpenTelemetry as series and samples of ours.

use std::collections::BTreeMap;

use super::{
    super::{
        intake::Intake,
        naming::{Told, Type},
        refusal::Reason,
    },
    model::{
        Attribute, HistogramPoint, Metric, NumberPoint, Resource, SummaryPoint, Temporality, Whole,
    },
    names,
};

/// Set in the flags of a point that has no value, as a stale marker has none.
const NO_VALUE: u32 = 1;

/// Prometheus' mark of a series that has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Labels that are made of the resource; attributes of the same name are renamed.
const OWN_LABELS: [&str; 5] = ["__name__", "server", "collector", "job", "instance"];

/// One metric on its way.
struct Giver<'g, 'i> {
    own: BTreeMap<String, String>,
    kind: Type,
    unit: String,
    intake: &'g mut Intake<'i>,
}

/// Hands the points of `metric` to `intake`.
pub(super) fn give(
    resource: &Resource<'_>,
    metric: &Metric<'_>,
    own_server: Option<&str>,
    intake: &mut Intake<'_>,
) {
    let is_gauge = metric.gauge.is_some();
    let sum = metric.sum.as_ref();
    let is_total = sum.is_some_and(|sum| sum.is_monotonic);
    let (name, unit) = names::metric(&metric.name, &metric.unit, is_gauge, is_total);
    let own = own_labels(resource, own_server);
    let mut giver = Giver { own, kind: Type::Gauge, unit, intake };
    for point in metric.gauge.iter().flat_map(|gauge| &gauge.data_points) {
        giver.number(&name, point);
    }
    if let Some(sum) = sum {
        giver.kind = if is_total { Type::Counter } else { Type::Gauge };
        if giver.takes(sum.aggregation_temporality, &metric.name, sum.data_points.len()) {
            sum.data_points.iter().for_each(|point| giver.number(&name, point));
        }
    }
    if let Some(histogram) = &metric.histogram {
        giver.kind = Type::Histogram;
        let points = &histogram.data_points;
        if giver.takes(histogram.aggregation_temporality, &metric.name, points.len()) {
            points.iter().for_each(|point| giver.histogram(&name, point));
        }
    }
    if let Some(summary) = &metric.summary {
        giver.kind = Type::Summary;
        summary.data_points.iter().for_each(|point| giver.summary(&name, point));
    }
    if let Some(histogram) = &metric.exponential_histogram {
        let points = histogram.data_points.len() as u64;
        giver.intake.refuse(Reason::Histogram, points, || {
            format!(
                "`{}` is an exponential histogram; configure explicit buckets",
                shown(&metric.name)
            )
        });
    }
}

/// Labels that the resource gives every series.
fn own_labels(resource: &Resource<'_>, own_server: Option<&str>) -> BTreeMap<String, String> {
    let find = |key: &str| {
        let attribute = resource.attributes.iter().find(|attribute| attribute.key == key);
        attribute.and_then(|attribute| attribute.value.text()).filter(|text| !text.is_empty())
    };
    let service = find("service.name");
    let instance = find("service.instance.id");
    let server = find("host.name").or_else(|| instance.clone()).or_else(|| service.clone());
    let server = server.map(Into::into).or_else(|| own_server.map(str::to_owned));
    let job = service.as_ref().map(|service| match find("service.namespace") {
        Some(namespace) => format!("{namespace}/{service}"),
        None => service.to_string(),
    });
    let labels = [
        ("server", server),
        ("collector", service.map(Into::into)),
        ("job", job),
        ("instance", instance.map(Into::into)),
    ];
    labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

impl Giver<'_, '_> {
    /// Whether points of this temporality are taken.
    fn takes(&mut self, temporality: Temporality, metric: &str, points: usize) -> bool {
        let is_total = temporality == Temporality::Cumulative;
        if !is_total {
            self.intake.refuse(Reason::Delta, points as u64, || {
                format!(
                    "`{}` has the changes since the last time, or does not say; set the \
                     exporter's temporality preference to cumulative",
                    shown(metric)
                )
            });
        }
        is_total
    }

    fn number(&mut self, name: &str, point: &NumberPoint<'_>) {
        let int = point.as_int.map(|Whole(number)| number as f64);
        let value = if point.flags & NO_VALUE != 0 { Some(STALE) } else { point.as_double.or(int) };
        let Some(value) = value else {
            return self.intake.refuse(Reason::NoNumber, 1, || {
                format!("a point of `{}` has neither `asDouble` nor `asInt`", shown(name))
            });
        };
        self.sample(name, &point.attributes, None, point.time_unix_nano, value);
    }

    fn histogram(&mut self, name: &str, point: &HistogramPoint<'_>) {
        let HistogramPoint { attributes, time_unix_nano: at, explicit_bounds: bounds, .. } = point;
        if !point.bucket_counts.is_empty() && point.bucket_counts.len() != bounds.len() + 1 {
            return self.intake.refuse(Reason::NoNumber, 1, || {
                format!("a histogram of `{}` has bounds that do not fit its counts", shown(name))
            });
        }
        let value = |value| if point.flags & NO_VALUE != 0 { STALE } else { value };
        let (bucket, mut below) = (format!("{name}_bucket"), 0);
        for (bound, Whole(count)) in bounds.iter().zip(&point.bucket_counts) {
            below += count;
            let le = bound.to_string();
            self.sample(&bucket, attributes, Some(("le", &le)), *at, value(below as f64));
        }
        let count = value(point.count.0 as f64);
        self.sample(&bucket, attributes, Some(("le", "+Inf")), *at, count);
        self.sample(&format!("{name}_count"), attributes, None, *at, count);
        if let Some(sum) = point.sum {
            self.sample(&format!("{name}_sum"), attributes, None, *at, value(sum));
        }
    }

    fn summary(&mut self, name: &str, point: &SummaryPoint<'_>) {
        let (attributes, at) = (&point.attributes, point.time_unix_nano);
        let value = |value| if point.flags & NO_VALUE != 0 { STALE } else { value };
        for quantile in &point.quantile_values {
            let label = quantile.quantile.to_string();
            self.sample(name, attributes, Some(("quantile", &label)), at, value(quantile.value));
        }
        let count = value(point.count.0 as f64);
        self.sample(&format!("{name}_count"), attributes, None, at, count);
        self.sample(&format!("{name}_sum"), attributes, None, at, value(point.sum));
    }

    fn sample(
        &mut self,
        name: &str,
        attributes: &[Attribute<'_>],
        more: Option<(&str, &str)>,
        Whole(at_ns): Whole,
        value: f64,
    ) {
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        for attribute in attributes {
            let Some(text) = attribute.value.text() else { continue };
            let mut label = names::label(&attribute.key);
            if OWN_LABELS.contains(&label.as_str()) || more.is_some_and(|(name, _)| name == label) {
                label = format!("exported_{label}");
            }
            // Names that were different before may not be so now.
            let there = labels.entry(label).or_default();
            if !there.is_empty() {
                there.push(';');
            }
            there.push_str(&text);
        }
        let own = self.own.iter().chain(&labels).map(|(name, value)| (&**name, &**value));
        let labels: Vec<(&str, &str)> = own.chain([("__name__", name)]).chain(more).collect();
        let told = Told { kind: self.kind, unit: &self.unit };
        let target = self.intake.series_of(&labels, told);
        let at_ms = match i64::try_from(at_ns / 1_000_000) {
            Ok(0) | Err(_) => self.intake.now_ms(),
            Ok(at_ms) => at_ms,
        };
        self.intake.sample(target, at_ms, value);
    }
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}
