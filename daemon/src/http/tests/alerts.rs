//! Incidents over HTTP: seen by everybody, taken on by who may.

use std::sync::Arc;

use ractor::Actor;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Duration, sleep};

use super::rig::Rig;
use crate::{
    alert::{
        AlertActor, AlertArguments,
        messages::{Key, Level, Subject, Transition},
    },
    config::{Config, Severity, Side},
    series::Labels,
    store::{
        OpenedStore, StateChanges, StatePort, StoreActor, StoreArguments, StorePort, StoreReader,
    },
    supervision::Tree,
};

#[tokio::test]
async fn an_incident_is_listed_told_whole_and_taken_on() {
    let rig = Rig::new().await;
    let folder = TempDir::new().unwrap();
    begin_an_incident(&rig, store(&folder).await).await;

    let reply = rig.get("/api/v1/incidents?state=firing&server=web-1").await;
    let incident = &reply.json()["incidents"][0];
    assert_eq!((incident["id"].as_u64(), incident["level"].as_str()), (Some(1), Some("critical")));
    assert_eq!(incident["limit"], json!({"side": "above", "at": 0.95}));
    assert_eq!(incident["labels"], json!({"mount": "/var"}));
    for other in ["?state=closed", "?server=web-2"] {
        let reply = rig.get(&format!("/api/v1/incidents{other}")).await;
        assert_eq!(reply.json()["incidents"], json!([]), "{other}");
    }
    let whole = rig.get("/api/v1/incidents/1").await.json();
    assert_eq!(whole["timeline"][0]["event"], "opened");
    assert_eq!(whole["notices"], json!([]));

    let taken = post(&rig, "/api/v1/incidents/1/ack", r#"{"by": "ann"}"#).await;
    assert_eq!((taken.status, &taken.json()["ack"]["by"]), (200, &json!("ann")));
    assert_eq!(rig.get("/api/v1/incidents/1").await.json()["timeline"][1]["event"], "acknowledged");
    rig.until_metric("bartizan_alert_incidents ", 1.0).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_the_reason() {
    let rig = Rig::new().await;
    begin_an_incident(&rig, StatePort::default()).await;
    let ack = "/api/v1/incidents/1/ack";
    for (path, body, status, word) in [
        ("/api/v1/incidents/7/ack", r#"{"by": "ann"}"#, 404, "no incident 7"),
        ("/api/v1/incidents/x/ack", r#"{"by": "ann"}"#, 404, "`x`"),
        (ack, r#"{"by": "ann"}"#, 503, "failed to keep it on the disk"),
        (ack, r#"{"by": ""}"#, 400, "by must be a name"),
        (ack, r#"{"by": "a\nb"}"#, 400, "by must be a name"),
        (ack, r#"{"buy": "ann"}"#, 400, "unknown field `buy`"),
        (ack, "ann", 400, "must be JSON such as"),
        ("/api/v1/notify/test", r#"{"contact": "ops"}"#, 404, "has no [contact.NAME]"),
        ("/api/v1/incidents", "{}", 405, "GET or HEAD"),
    ] {
        let reply = post(&rig, path, body).await;
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(reply.status, status, "{path} {body}: {detail}");
        assert!(detail.contains(word), "{path} {body}: {detail}");
    }
    let host = rig.address;
    let length = "content-length: 13";
    let bare = format!("POST {ack} HTTP/1.1\r\nhost: {host}\r\n{length}\r\n");
    assert_eq!(rig.ask(&bare).await.status, 401, "without a right");
    let reply = rig.get(ack).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    let long = "x".repeat(17_000);
    assert_eq!(post(&rig, ack, &long).await.status, 413);
    for (path, word) in [
        ("/api/v1/incidents?state=burning", "firing, closed or all"),
        ("/api/v1/incidents?from=1", "unknown key `from`"),
        ("/api/v1/incidents/1?x=1", "unknown key `x`"),
    ] {
        let reply = rig.get(path).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.body.contains(word), "{path}: {}", reply.body);
    }
    assert_eq!(rig.get("/api/v1/incidents/99").await.status, 404);
    let delivery = rig.get("/api/v1/delivery").await.json();
    assert_eq!(delivery["ways"][0]["way"], "email");
    assert_eq!(delivery["ways"][0]["configured"], false);
}

async fn post(rig: &Rig, path: &str, body: &str) -> super::rig::Reply {
    let (host, token, length) = (rig.address, &rig.token, body.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n"
    );
    rig.ask_with(&head, body).await
}

/// A store in `folder`, and where it keeps things of others.
pub(super) async fn store(folder: &TempDir) -> StatePort {
    let catalog = Arc::default();
    let (_, intake) = StorePort::new(1 << 20);
    let states = StatePort::default();
    let arguments = StoreArguments {
        path: folder.path().to_owned(),
        config: Default::default(),
        reader: StoreReader::new(Arc::clone(&catalog), intake.clone()),
        catalog,
        intake,
        states: states.clone(),
        opened: OpenedStore::default(),
        node: Tree::default().root().child("store", "store"),
    };
    Actor::spawn(None, StoreActor, arguments).await.unwrap();
    while states.keep(StateChanges::default()).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    states
}

/// Runs the alert actor, which keeps its incidents there, and tells it of one disk that is nearly full.
async fn begin_an_incident(rig: &Rig, states: StatePort) {
    let arguments = AlertArguments {
        alert: rig.alert.clone(),
        config: Arc::new(Config::default()),
        states,
        live: rig.port.clone(),
        base_url: "http://localhost".into(),
        node: Tree::default().root().child("alert", "alert"),
    };
    Actor::spawn(None, AlertActor, arguments).await.unwrap();
    let transition = Transition {
        key: Key {
            server: "web-1".into(),
            rule: "disk".into(),
            labels: Labels::new([("mount", "/var")]),
            absence: false,
        },
        subject: Subject {
            metric: "disk_usage_ratio".into(),
            collector: Some("disk".into()),
            unit: "ratio".into(),
            limit: Some((Side::Above, 0.95)),
            summary: None,
            runbook: None,
        },
        at_ms: 1_000,
        level: Level::Firing(Severity::Critical),
        unknown: None,
        withdrawn: None,
        value: Some(0.97),
        in_absence: false,
        memory: None,
    };
    rig.alert.port().publish(vec![transition], &Arc::default()).unwrap();
    rig.until_metric("bartizan_alert_incidents ", 1.0).await;
}
