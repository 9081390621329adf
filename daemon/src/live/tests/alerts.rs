//! Incidents among the rows: their value is the present one, and servers count them.

use std::sync::Arc;

use serde_json::Value;

use super::rig::Rig;
use crate::{
    config::{Severity, Side},
    live::messages::{AlertRow, LiveUpdate},
};

#[test]
fn an_incident_shows_the_present_value_while_it_lasts_and_its_server_counts_it() {
    let mut rig = Rig::new();
    rig.status("web-1");
    rig.sample("web-1", 0, 0.25);
    let mut viewer = rig.viewer(&["wall", "alerts"]);
    let show = |rig: &Rig, row: AlertRow| rig.port.publish(LiveUpdate::Alert(Arc::new(row)));
    show(&rig, row());
    rig.tick(1_000);
    viewer.look();
    assert_eq!(viewer.cell("alerts", "7", "value"), 0.25, "not the 0.99 that was told of it");
    assert_eq!(viewer.cell("alerts", "7", "side"), "above");
    assert_eq!(viewer.cell("alerts", "7", "email"), "retrying");
    assert_eq!(viewer.cell("wall", "web-1", "incidents"), 1);
    assert_eq!(viewer.cell("wall", "web-1", "level"), "critical");

    show(&rig, AlertRow { unknown: Some("plugin crashed".into()), ..row() });
    rig.tick(2_000);
    viewer.look();
    assert_eq!(viewer.cell("alerts", "7", "value"), 0.99, "the last known");
    assert_eq!(viewer.cell("alerts", "7", "unknown"), "plugin crashed");

    show(&rig, AlertRow { state: "resolved", closed_ms: Some(3), ..row() });
    rig.tick(3_000);
    viewer.look();
    assert_eq!(viewer.cell("alerts", "7", "value"), 0.99);
    assert_eq!(viewer.cell("wall", "web-1", "incidents"), 0);
    assert_eq!(viewer.cell("wall", "web-1", "level"), Value::Null);
}

fn row() -> AlertRow {
    AlertRow {
        id: "7".into(),
        server: "web-1".into(),
        rule: "cpu".into(),
        metric: "cpu_usage_ratio".into(),
        labels: Default::default(),
        unit: "ratio".into(),
        level: Severity::Critical,
        worst: Severity::Critical,
        state: "firing",
        unknown: None,
        flapping: false,
        opened_ms: 1,
        closed_ms: None,
        due_ms: None,
        value: Some(0.99),
        limit: Some((Side::Above, 0.95)),
        summary: None,
        acknowledged: None,
        in_absence: false,
        absence: false,
        progress: [Some("retrying"), None, None],
    }
}
