//! What leaves by HTTP: webhooks with their signature, and an SMS gateway that is only described.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::fs;

use bartizan_tests::{
    Daemon, Setup,
    alerts::{HTTP, PUBLIC_URL, attempts, number, outcomes},
    dial::{self, Dials},
    sink::{Reply, Sink},
};
use serde_json::Value;

#[tokio::test]
async fn a_webhook_is_signed_and_a_repetition_is_known_by_its_key() {
    let (setup, mut dials, sink) = setup().await;
    fs::write(setup.folder().join("key"), "the key\n").unwrap();
    let daemon = start(
        &setup,
        &dials,
        &format!(
            "[channel.webhook]\nsecret_file = \"{}\"\n\n[contact.ops]\nwebhook = [\"{}\"]\n\n",
            setup.folder().join("key").display(),
            sink.url("/hook?token=hidden"),
        ),
    )
    .await;
    sink.reply(Reply::Say(500, "out of order".into()));
    dials.turn("main", 42.0);
    sink.arrived(1).await;
    sink.reply(Reply::Say(204, String::new()));
    let received = sink.arrived(2).await;

    for request in &received {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/hook?token=hidden")
        );
        assert!(request.headers["content-type"].starts_with("application/json"));
        assert!(request.is_signed_with("the key"), "{:?}", request.headers);
        assert_eq!(request.headers["idempotency-key"], received[0].headers["idempotency-key"]);
    }
    let incident = daemon.incident_of("web-1", "dial", &["firing"]).await;
    let notice = sent(&daemon, &incident, "webhook").await;
    assert_eq!(outcomes(&notice), ["temporary", "accepted"], "{notice}");
    assert!(attempts(&notice)[0]["said"].as_str().unwrap().contains("500"), "{notice}");
    let address = notice["address"].as_str().unwrap();
    assert!(address.starts_with("http://127.0.0.1"), "{notice}");
    assert!(!notice.to_string().contains("hidden"), "a token in a URL is not shown: {notice}");

    let said = received[1].json();
    assert_eq!((&said["version"], &said["contact"]), (&1.into(), &"ops".into()), "{said}");
    assert_eq!(said["notice"], notice["id"], "{said}");
    let key = format!("-{}", notice["id"]);
    assert!(received[0].headers["idempotency-key"].ends_with(&key), "{:?}", received[0].headers);
    let told = &said["incidents"][0];
    for key in ["id", "server", "rule", "metric", "labels", "level", "opened_ms", "value", "limit"]
    {
        assert_eq!(told[key], incident[key], "{key}: {said}");
    }
    assert_eq!(told["what"], "fired", "{said}");
    assert_eq!(told["link"], format!("{PUBLIC_URL}/a/{}", incident["id"]), "{said}");
    assert_eq!(told["summary"], "dial=main value=42.0 on web-1", "{said}");
}

#[tokio::test]
async fn a_described_gateway_gets_what_is_described_and_is_believed_by_its_words_only() {
    let (setup, mut dials, sink) = setup().await;
    fs::write(setup.folder().join("secret"), "open sesame\n").unwrap();
    let daemon = start(
        &setup,
        &dials,
        &format!(
            "[channel.sms]\nprovider = \"http\"\nurl = \"{}\"\n\
             headers = {{ Authorization = \"Bearer {{secret}}\" }}\n\
             body = '{{\"to\":\"{{to}}\",\"text\":\"{{text}}\",\"ref\":\"{{id}}\",\"from\":\"{{from}}\"}}'\n\
             body_type = \"json\"\nfrom = \"Bartizan & Sons\"\nsecret_file = \"{}\"\n\
             accepted = ['\"status\":\"ok\"']\nrefused = [\"invalid number\"]\n\n\
             [contact.ops]\nsms = [\"+8613711112222\"]\n\n",
            sink.url("/send?from={from}"),
            setup.folder().join("secret").display(),
        ),
    )
    .await;
    // 200 alone means nothing, and neither does 500.
    sink.reply(Reply::Say(200, r#"{"status":"busy"}"#.into()));
    dials.turn("main", 42.0);
    sink.arrived(1).await;
    sink.reply(Reply::Say(500, r#"{"status":"ok"}"#.into()));
    let received = sink.arrived(2).await;
    let request = &received[1];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/send?from=Bartizan%20%26%20Sons")
    );
    assert_eq!(request.headers["authorization"], "Bearer open sesame");
    assert!(request.headers["content-type"].starts_with("application/json"));
    let body = request.json();
    assert_eq!((&body["to"], &body["from"]), (&"+8613711112222".into(), &"Bartizan & Sons".into()));
    assert!(body["text"].as_str().unwrap().contains("web-1"), "{body}");
    assert_eq!(body["ref"], received[0].json()["ref"], "the reference is stable");
    let incident = daemon.incident_of("web-1", "dial", &["firing"]).await;
    let notice = sent(&daemon, &incident, "sms").await;
    assert_eq!(outcomes(&notice).last(), Some(&"accepted"), "{notice}");
    assert_ne!(outcomes(&notice)[0], "accepted", "{notice}");
    assert!(!notice.to_string().contains("sesame"), "secrets are not shown: {notice}");

    sink.reply(Reply::Say(200, "sorry, invalid number".into()));
    dials.turn("main", 1.0);
    let dead = |notice: &Value| notice["what"] == "resolved" && notice["state"] == "dead";
    let notice = daemon.notice(number(&incident["id"]), "refused for good", dead).await;
    assert_eq!(outcomes(&notice), ["permanent"], "{notice}");
    assert!(attempts(&notice)[0]["said"].as_str().unwrap().contains("invalid number"), "{notice}");
}

async fn setup() -> (Setup, Dials, Sink) {
    let setup = Setup::new("").plugin(&dial::plugin());
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("main", 1.0);
    (setup, dials, Sink::start().await)
}

/// Starts with these channels and contacts, and waits until the dial is read.
async fn start(setup: &Setup, dials: &Dials, people: &str) -> Daemon {
    let (server, rule) = (dials.server("250ms"), dial::RULE);
    setup.configure(&format!("{HTTP}{server}{rule}{people}[[route]]\nnotify = [\"ops\"]\n"));
    let daemon = setup.start().await;
    dials.read(&daemon, "main", 1.0, 0).await;
    daemon
}

async fn sent(daemon: &Daemon, incident: &Value, way: &str) -> Value {
    let fits = |notice: &Value| notice["way"] == way && notice["state"] == "sent";
    daemon.notice(number(&incident["id"]), way, fits).await
}
