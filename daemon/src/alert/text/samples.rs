//! Notices that tests of wording and of channels have in common.

use crate::{
    alert::{
        IncidentId,
        notice::{News, Notice, NoticeId, NoticeState, Way, What},
        text::Sender,
    },
    config::{Language, Severity, Side},
    series::Labels,
};

/// 2026-11-22 10:00:00 UTC.
pub(in crate::alert) const TEN_MS: i64 = 1_795_341_600_000;
/// Four minutes.
pub(in crate::alert) const FOUR_MINUTES_MS: i64 = 240_000;

/// A daemon with a dashboard that people reach.
pub(in crate::alert) fn sender() -> Sender {
    Sender { public_url: Some("https://watch.example.org/".into()), hub: "hub1".into() }
}

/// A notice to `ops`, made at ten.
pub(in crate::alert) fn notice(way: Way, address: &str, news: Vec<News>) -> Notice {
    Notice {
        id: NoticeId(5),
        way,
        contact: "ops".into(),
        address: address.into(),
        language: Language::En,
        group: "server=web-1".into(),
        made_ms: TEN_MS,
        news,
        thread: None,
        state: NoticeState::Waiting { due_ms: 0 },
        attempts: Vec::new(),
        tried: 0,
    }
}

/// A CPU that is critical since ten.
pub(in crate::alert) fn cpu() -> News {
    News {
        incident: IncidentId(17),
        what: What::Fired,
        at_ms: TEN_MS,
        opened_ms: TEN_MS,
        severity: Severity::Critical,
        server: "web-1".into(),
        rule: "cpu".into(),
        metric: "cpu_usage_ratio".into(),
        labels: Labels::default(),
        unit: "ratio".into(),
        value: Some(0.982),
        limit: Some((Side::Above, 0.95)),
        summary: None,
        runbook: None,
        in_absence: false,
        absence: false,
    }
}

/// Another incident: a disk that fills up.
pub(in crate::alert) fn disk() -> News {
    News {
        incident: IncidentId(18),
        severity: Severity::Warning,
        rule: "disk".into(),
        metric: "disk_usage_ratio".into(),
        labels: Labels::new([("mount", "/var"), ("device", "vda1")]),
        value: Some(0.84),
        limit: Some((Side::Above, 0.8)),
        runbook: Some("https://wiki.example.org/disk?a=1&b=2".into()),
        ..cpu()
    }
}

/// The CPU's end, four minutes later.
pub(in crate::alert) fn cpu_resolved() -> News {
    News { what: What::Resolved, at_ms: TEN_MS + FOUR_MINUTES_MS, value: Some(0.12), ..cpu() }
}
