//! What a rule is about: series of collectors, and what the daemon itself knows of a server.

use std::sync::Arc;

use crate::{
    config::{COLLECTOR_STATE, RuleConfig, SERVER_STATE, STORE_STATE},
    series::{Labels, Series},
};

/// Whether `rule`, which holds for the server, is about this series.
pub(super) fn fits(rule: &RuleConfig, metric: &str, labels: &Labels) -> bool {
    *rule.metric == *metric
        && rule
            .labels
            .iter()
            .all(|(name, pattern)| pattern.allows(labels.get(name).unwrap_or_default()))
}

/// Whether it is one of the series that the daemon itself judges by.
pub(super) fn is_of_daemon(series: &Series) -> bool {
    [COLLECTOR_STATE, SERVER_STATE, STORE_STATE].contains(&&*series.metric)
}

/// The series that says whether a collector brings samples.
pub(super) fn collector_state(server: &Arc<str>, collector: &Arc<str>, interval_ms: i64) -> Series {
    Series {
        server: server.clone(),
        collector: collector.clone(),
        metric: COLLECTOR_STATE.into(),
        labels: Labels::new([("collector", &**collector)]),
        unit: "".into(),
        kind: crate::series::Kind::Gauge,
        interval_ms: u32::try_from(interval_ms).unwrap_or(u32::MAX),
    }
}

/// The series that says whether a server is there. It is never missing: whoever judges knows it.
pub(super) fn server_state(server: &Arc<str>) -> Series {
    state(server, SERVER_STATE)
}

/// The series that says whether the samples of a server are stored. It is never missing either.
pub(super) fn store_state(server: &Arc<str>) -> Series {
    state(server, STORE_STATE)
}

fn state(server: &Arc<str>, metric: &str) -> Series {
    Series {
        server: server.clone(),
        collector: "".into(),
        metric: metric.into(),
        labels: Labels::default(),
        unit: "".into(),
        kind: crate::series::Kind::Gauge,
        interval_ms: u32::MAX,
    }
}
