//! What the metadata before a sample says of it: counter or gauge, and the unit.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::line::Type;
use crate::series::{Kind, kind_by_name, unit_by_name};

/// The metrics that stand together on a page under one `# TYPE`. The last one that was named counts: a page names
/// each before its samples, and not again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Family<'p> {
    name: &'p str,
    kind: Option<Type>,
    unit: &'p str,
    stamp: u64,
}

impl<'p> Family<'p> {
    /// A `# TYPE` line was read.
    pub fn typed(&mut self, name: &'p str, kind: Type) {
        self.named(name);
        self.kind = Some(kind);
        self.sum_up();
    }

    /// A `# UNIT` line was read.
    pub fn measured(&mut self, name: &'p str, unit: &'p str) {
        self.named(name);
        self.unit = unit;
        self.sum_up();
    }

    /// Alike for as long as the same is said of the family.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp
    }

    fn sum_up(&mut self) {
        let mut hasher = DefaultHasher::new();
        (self.name, self.kind, self.unit).hash(&mut hasher);
        self.stamp = hasher.finish();
    }

    fn named(&mut self, name: &'p str) {
        if self.name != name {
            *self = Self { name, ..Self::default() };
        }
    }

    /// Kind and unit of `metric`, which may be a part of this family or have nothing to do with it.
    pub fn describes(&self, metric: &'p str) -> (Kind, &'p str) {
        let Some((kind, part)) = self.kind.zip(metric.strip_prefix(self.name)) else {
            return (kind_by_name(metric), unit_by_name(metric));
        };
        let unit = |unit: &'p str| if unit.is_empty() { unit_by_name(metric) } else { unit };
        match (kind, part) {
            (_, "_created") => (Kind::Gauge, "seconds"),
            (Type::Counter, "" | "_total") => (Kind::Counter, unit(self.unit)),
            (Type::Histogram | Type::Summary, "_sum") => (Kind::Counter, unit(self.unit)),
            (Type::Histogram | Type::Summary, "_count") | (Type::Histogram, "_bucket") => {
                (Kind::Counter, "")
            }
            (Type::GaugeHistogram, "_bucket" | "_gcount") => (Kind::Gauge, ""),
            (Type::Gauge | Type::Summary, "") | (Type::GaugeHistogram, "_gsum") => {
                (Kind::Gauge, unit(self.unit))
            }
            // Untyped, or only alike in how it begins.
            _ => (kind_by_name(metric), unit_by_name(metric)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_what_is_counted() {
        let of = |kind, metric| {
            let mut family = Family::default();
            family.typed("http_seconds", kind);
            family.describes(metric)
        };
        use Type::{Counter, Gauge, GaugeHistogram, Histogram, Other, Summary};
        assert_eq!(of(Counter, "http_seconds"), (Kind::Counter, "seconds"), "as 0.0.4 has it");
        assert_eq!(of(Counter, "http_seconds_total"), (Kind::Counter, "seconds"));
        assert_eq!(of(Counter, "http_seconds_created"), (Kind::Gauge, "seconds"));
        assert_eq!(of(Gauge, "http_seconds"), (Kind::Gauge, "seconds"));
        assert_eq!(of(Histogram, "http_seconds_bucket"), (Kind::Counter, ""));
        assert_eq!(of(Histogram, "http_seconds_sum"), (Kind::Counter, "seconds"));
        assert_eq!(of(Summary, "http_seconds"), (Kind::Gauge, "seconds"), "a quantile");
        assert_eq!(of(Summary, "http_seconds_count"), (Kind::Counter, ""));
        assert_eq!(of(GaugeHistogram, "http_seconds_bucket"), (Kind::Gauge, ""));
        assert_eq!(of(GaugeHistogram, "http_seconds_gsum").0, Kind::Gauge);
        assert_eq!(of(Other, "http_seconds"), (Kind::Gauge, "seconds"));
        assert_eq!(of(Gauge, "other_total"), (Kind::Counter, ""), "another metric");
        assert_eq!(of(Gauge, "http_seconds_more_total"), (Kind::Counter, ""), "alike, no part");
    }

    #[test]
    fn a_gauge_is_one_whatever_it_is_called_and_a_unit_counts_over_the_name() {
        let mut family = Family::default();
        family.typed("jobs_total", Type::Gauge);
        assert_eq!(family.describes("jobs_total"), (Kind::Gauge, ""));
        family.measured("jobs_total", "jobs");
        assert_eq!(family.describes("jobs_total"), (Kind::Gauge, "jobs"), "of the same family");
        family.typed("next", Type::Gauge);
        assert_eq!(family.describes("next"), (Kind::Gauge, ""), "of another one");
    }
}
