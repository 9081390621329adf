//! The commands about alerts, as a person types them, and the rights that their requests need.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use bartizan_tests::{
    DEADLINE, Daemon, Finished, Setup,
    alerts::{HTTP, list, number},
    dial::{self, Dials},
    http,
    mail::{Mail, OPS},
    wait_for,
};
use hyper::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn alert_list_shows_what_lasts_and_with_all_what_is_over() {
    let (setup, mut dials, _mail, daemon, id) = scene().await;
    daemon.notice(id, "sent", |notice| notice["state"] == "sent").await;
    let text = run(&setup, &["alert", "list"]).await;
    for word in [&*id.to_string(), "web-1", "dial", "main", "critical", "42"] {
        let found = text.stdout.to_lowercase().contains(word);
        assert!(found, "{word} is not in: {}", text.stdout);
    }
    let listed = run_json(&setup, &["alert", "list", "--json"]).await;
    assert_eq!(listed["incidents"], json!(daemon.incidents("firing").await));

    dials.turn("main", 1.0);
    daemon.incident_of("web-1", "dial", &["resolved"]).await;
    let listed = run_json(&setup, &["alert", "list", "--json"]).await;
    assert_eq!(list(&listed["incidents"]).len(), 0, "{listed}");
    let all = run_json(&setup, &["alert", "list", "--all", "--json"]).await;
    assert_eq!(number(&all["incidents"][0]["id"]), id, "{all}");
    let text = run(&setup, &["alert", "list", "--all"]).await;
    assert!(text.stdout.contains("web-1") && text.stdout.contains("resolved"), "{text:?}");
}

#[tokio::test]
async fn alert_ack_is_remembered_and_only_of_what_lasts() {
    let (setup, mut dials, _mail, mut daemon, id) = scene().await;
    let ack = |id: String| {
        let setup = &setup;
        async move { run_any(setup, &["alert", "ack", &id, "--by", "ann"]).await }
    };
    let done = ack(id.to_string()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    daemon.kill();
    daemon = setup.start().await;
    let incident = daemon.incident(id).await;
    assert_eq!(incident["ack"]["by"], "ann", "{incident}");
    assert!(incident["ack"]["at_ms"].is_i64(), "{incident}");
    let events = list(&incident["timeline"]).iter();
    assert!(events.clone().any(|event| event["event"] == "acknowledged"), "{incident}");

    let unknown = ack("4711".into()).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("4711"), "{unknown:?}");
    dials.turn("main", 1.0);
    daemon.incident_of("web-1", "dial", &["resolved"]).await;
    let over = ack(id.to_string()).await;
    assert_eq!(over.code, Some(1), "{over:?}");
    let mistyped = ack("main".into()).await;
    assert_eq!(mistyped.code, Some(2), "{mistyped:?}");
}

#[tokio::test]
async fn an_acknowledgement_that_was_confirmed_survives_a_kill_at_the_next_instant() {
    let (setup, mut dials, _mail, mut daemon, mut id) = scene().await;
    for round in 1..=8 {
        let answer = setup.post(&format!("/incidents/{id}/ack"), &json!({ "by": "ann" })).await;
        daemon.kill();
        assert_eq!(answer.status, 200, "{}", answer.text());
        daemon = setup.start().await;
        let incident = daemon.incident(id).await;
        assert_eq!(incident["ack"]["by"], "ann", "round {round}: {incident}");
        let last = id;
        dials.turn(&format!("d{round}"), 42.0);
        let look = async || {
            let firing = daemon.incidents("firing").await;
            firing.iter().map(|incident| number(&incident["id"])).max().filter(|id| *id > last)
        };
        id = wait_for("the next incident", DEADLINE, look).await.0;
    }
}

#[tokio::test]
async fn alert_why_tells_the_whole_story() {
    let (setup, _dials, mail, _daemon, id) = scene().await;
    mail.arrived(OPS, 1).await;
    let told = run(&setup, &["alert", "why", &id.to_string()]).await;
    for word in ["web-1", "dial", "main", "42", "10", "critical", OPS, "250", "wiki.example.test"] {
        let found = told.stdout.to_lowercase().contains(word);
        assert!(found, "{word} is not in: {}", told.stdout);
    }
    let json = run_json(&setup, &["alert", "why", &id.to_string(), "--json"]).await;
    assert_eq!(number(&json["id"]), id, "{json}");
    assert_eq!(json["notices"][0]["attempts"][0]["outcome"], "accepted", "{json}");
    let unknown = run_any(&setup, &["alert", "why", "4711"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("4711"), "{unknown:?}");
}

#[tokio::test]
async fn notify_test_runs_the_whole_path_and_prints_each_hop() {
    let (setup, _dials, mut mail, daemon, _) = scene().await;
    mail.arrived(OPS, 1).await;
    let well = run(&setup, &["notify", "test", "ops"]).await;
    for word in ["decided", "stored", &format!("email {OPS}"), "250", "ms"] {
        assert!(well.stdout.contains(word), "{word} is not in: {}", well.stdout);
    }
    let letter = mail.arrived(OPS, 2).await.remove(1);
    assert!(letter.subject.to_lowercase().contains("test"), "{}", letter.subject);
    let delivery = daemon.get("/delivery").await;
    let notices = list(&delivery["notices"]).iter();
    let tests: Vec<_> = notices.filter(|notice| notice["what"] == "test").collect();
    assert_eq!((tests.len(), &tests[0]["state"]), (1, &json!("sent")), "it is in the ledger");
    assert_eq!(daemon.incidents("all").await.len(), 1, "a test is no incident");

    mail.down();
    let failed = run_any(&setup, &["notify", "test", "ops"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let said = failed.stdout + &failed.stderr;
    assert!(said.contains("stored") && said.contains("email"), "every hop is printed: {said}");

    let unknown = run_any(&setup, &["notify", "test", "opps"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("opps") && unknown.stderr.contains("`ops`"), "{unknown:?}");
}

#[tokio::test]
async fn reading_is_free_and_changes_need_the_administrator() {
    let (setup, mut dials, _mail, daemon, id) = scene().await;
    let ack = format!("/incidents/{id}/ack");
    for path in [ack.as_str(), "/notify/test"] {
        let path = format!("/api/v1{path}");
        let headers = [("content-type", "application/json")];
        let refused =
            http::request(daemon.address, Method::POST, &path, &headers, "{}").await.unwrap();
        assert_eq!(refused.status, 401, "{path}: {}", refused.text());
    }
    assert_eq!(daemon.incident(id).await["ack"], Value::Null);

    let status = async |path: &str| setup.post(path, &json!({ "by": "ann" })).await.status;
    assert_eq!(status("/incidents/4711/ack").await, 404);
    assert_eq!(status("/incidents/main/ack").await, 404);
    let answer = setup.post(&ack, &json!({ "by": "ann" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["ack"]["by"], "ann", "{}", answer.text());
    assert_eq!(setup.post(&ack, &json!({ "from": "ann" })).await.status, 400);
    dials.turn("main", 1.0);
    daemon.incident_of("web-1", "dial", &["resolved"]).await;
    assert_eq!(status(&ack).await, 409);
    assert_eq!(http::get(daemon.address, "/api/v1/incidents/4711").await.unwrap().status, 404);
    let bad = http::get(daemon.address, "/api/v1/incidents?state=burning").await.unwrap();
    assert_eq!(bad.status, 400, "{}", bad.text());
}

/// A daemon with one incident and a mail server; the incident's number.
async fn scene() -> (Setup, Dials, Mail, Daemon, u64) {
    let setup = Setup::new("").plugin(&dial::plugin());
    let mail = Mail::start().await;
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("main", 42.0);
    setup.configure(&format!(
        "{HTTP}{}{}{}[contact.ops]\nemail = [\"{OPS}\"]\n\n[[route]]\nnotify = [\"ops\"]\n",
        dials.server("250ms"),
        dial::RULE,
        mail.channel(setup.folder()),
    ));
    let daemon = setup.start().await;
    let incident = daemon.incident_of("web-1", "dial", &["firing"]).await;
    let id = number(&incident["id"]);
    (setup, dials, mail, daemon, id)
}

async fn run(setup: &Setup, arguments: &[&str]) -> Finished {
    let finished = run_any(setup, arguments).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished
}

async fn run_json(setup: &Setup, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(setup, arguments).await.stdout).unwrap()
}

async fn run_any(setup: &Setup, arguments: &[&str]) -> Finished {
    let mut command = setup.command(arguments);
    command.arg("--state").arg(setup.state());
    Finished::of(command).await
}
