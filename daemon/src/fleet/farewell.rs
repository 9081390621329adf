//! What is left to say of a server that is no longer watched: why nothing comes of it any more.

use std::{collections::BTreeSet, sync::Arc};

use crate::series::{Catalog, Gap};

/// The gaps that begin at `at_ms` with the collectors of `server`, which is called `now` since, or is watched no more.
pub(super) fn farewell(
    catalog: &Catalog,
    server: &Arc<str>,
    now: Option<&str>,
    at_ms: i64,
) -> Vec<Gap> {
    let series = catalog.of_server(server).into_iter().filter_map(|id| catalog.get(id));
    let collectors: BTreeSet<Arc<str>> = series.map(|series| series.collector.clone()).collect();
    let reason: Arc<str> = match now {
        Some(now) => format!("the server was renamed to {now}").into(),
        None => "the server is no longer watched".into(),
    };
    let gap = |collector| Gap {
        server: server.clone(),
        collector,
        from_ms: at_ms,
        // Whoever writes under this name again ends it.
        to_ms: None,
        reason: reason.clone(),
    };
    collectors.into_iter().map(gap).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::series::{Kind, Labels, Series};

    #[test]
    fn each_collector_has_one_gap_and_no_other_server_has() {
        let catalog = Catalog::default();
        for (server, collector, metric) in [
            ("web-1", "cpu", "a"),
            ("web-1", "cpu", "b"),
            ("web-1", "disk", "c"),
            ("db", "cpu", "a"),
        ] {
            let series = Series {
                server: server.into(),
                collector: collector.into(),
                metric: metric.into(),
                labels: Labels::default(),
                unit: "".into(),
                kind: Kind::Gauge,
                interval_ms: 1000,
            };
            catalog.intern(series).unwrap();
        }
        let told = |now| {
            let gaps = farewell(&catalog, &"web-1".into(), now, 5).into_iter();
            gaps.map(|gap| format!("{} {} {}", gap.collector, gap.from_ms, gap.reason))
                .collect::<Vec<_>>()
        };
        let renamed = "5 the server was renamed to www";
        assert_eq!(told(Some("www")), [format!("cpu {renamed}"), format!("disk {renamed}")]);
        assert_eq!(told(None)[0], "cpu 5 the server is no longer watched");
        assert_eq!(farewell(&catalog, &"web-2".into(), None, 5), []);
    }
}
