//! The labels of a series as others see them.

use std::collections::BTreeMap;

use super::parcel::Tiding;
use crate::series::Series;

/// Names that say which series it is.
const NAME: &str = "__name__";
const SERVER: &str = "server";
const COLLECTOR: &str = "collector";

/// Labels of one series, by name, as remote write demands them.
pub(super) type Sorted<'s> = BTreeMap<&'s str, &'s str>;

/// Name, server and collector of `series`, its own labels, and of `added` those it does not have. One of its own that
/// is called `server` or `collector` is sent as `exported_server` or `exported_collector`, as Prometheus does it. An
/// empty label is none.
pub(super) fn of_series<'s>(series: &'s Series, added: &'s BTreeMap<String, String>) -> Sorted<'s> {
    let mut labels = added_to(added);
    for (name, value) in series.labels.iter().filter(|(_, value)| !value.is_empty()) {
        let name = match name {
            SERVER => "exported_server",
            COLLECTOR => "exported_collector",
            NAME => continue,
            name => name,
        };
        labels.insert(name, value);
    }
    identify(&mut labels, &series.metric, &series.server, &series.collector);
    labels
}

/// The same for what is told of a collector.
pub(super) fn of_tiding<'s>(tiding: &'s Tiding, added: &'s BTreeMap<String, String>) -> Sorted<'s> {
    let mut labels = added_to(added);
    labels.extend(tiding.reason.as_deref().map(|reason| ("reason", reason)));
    identify(&mut labels, tiding.metric, &tiding.server, &tiding.collector);
    labels
}

fn added_to(added: &BTreeMap<String, String>) -> Sorted<'_> {
    added.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn identify<'s>(labels: &mut Sorted<'s>, metric: &'s str, server: &'s str, collector: &'s str) {
    labels.extend([(NAME, metric), (SERVER, server)]);
    if collector.is_empty() {
        labels.remove(COLLECTOR);
    } else {
        labels.insert(COLLECTOR, collector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Kind, Labels};

    #[test]
    fn labels_are_sorted_and_the_series_comes_before_what_is_added() {
        let series = Series {
            server: "web-1".into(),
            collector: "disk".into(),
            metric: "disk_usage_ratio".into(),
            labels: Labels::new([("mount", "/"), ("Zone", "a"), ("server", "nas"), ("empty", "")]),
            unit: "ratio".into(),
            kind: Kind::Gauge,
            interval_ms: 1000,
        };
        let added = [("site", "berlin"), ("mount", "added")];
        let added = added.map(|(name, value)| (name.into(), value.into())).into();
        let labels: Vec<_> = of_series(&series, &added).into_iter().collect();
        assert_eq!(
            labels,
            [
                ("Zone", "a"),
                ("__name__", "disk_usage_ratio"),
                ("collector", "disk"),
                ("exported_server", "nas"),
                ("mount", "/"),
                ("server", "web-1"),
                ("site", "berlin"),
            ]
        );
    }
}
