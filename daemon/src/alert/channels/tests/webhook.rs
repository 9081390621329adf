//! Webhooks that take, refuse, stall and break off.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::time::{Duration, Instant};

use super::{
    LIMITS,
    server::{
        Act::{Encrypt, Hang, HearRequest, Say, Trickle},
        Server,
    },
    tls::{authority, file, path},
};
use crate::{
    alert::{
        channels::{Channel, Verdict, Webhook},
        notice::{
            Notice,
            Outcome::{Accepted, Misconfigured, Permanent, Temporary},
            Way,
        },
        text::samples::{cpu, notice, sender},
    },
    config::WebhookConfig,
};

#[tokio::test]
async fn a_notice_is_posted_signed_and_with_its_key() {
    let server = Server::start(vec![HearRequest, Say("HTTP/1.1 204 No Content\r\n\r\n")]).await;
    let secret = file("Jefe\n");
    let config = WebhookConfig { secret_file: path(&secret), ca_file: None };
    let verdict = webhook(config).deliver(&to(&server, "http")).await;
    assert_eq!((verdict.outcome, verdict.said.as_str()), (Accepted, "204 No Content"));

    let heard = server.heard().await;
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let agent = concat!("user-agent: Bartizan/", env!("CARGO_PKG_VERSION"));
    for line in ["content-type: application/json", "idempotency-key: hub1-5", agent] {
        assert!(head.lines().any(|found| found == line), "{line} is missing in {head}");
    }
    assert!(head.starts_with("POST /hook?key=1 HTTP/1.1"), "{head}");
    let signature = head.split("x-bartizan-signature: sha256=").nth(1).unwrap();
    assert_eq!(signature.lines().next().unwrap().len(), 64);
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["incidents"][0]["what"], "fired");
}

#[tokio::test]
async fn an_answer_means_what_its_status_says() {
    let empty = "\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        ("200 OK", Accepted, None),
        ("408 Request Timeout", Temporary, None),
        ("425 Too Early", Temporary, None),
        ("429 Too Many Requests\r\nretry-after: 7", Temporary, Some(7)),
        ("503 Service Unavailable", Temporary, None),
        ("401 Unauthorized", Misconfigured, None),
        ("403 Forbidden", Misconfigured, None),
        ("404 Not Found", Permanent, None),
        ("302 Found\r\nlocation: https://other.example.org/key", Permanent, None),
    ];
    for (status, outcome, retry_after) in cases {
        let answer: &'static str = Box::leak(format!("HTTP/1.1 {status}{empty}").into_boxed_str());
        let server = Server::start(vec![HearRequest, Say(answer)]).await;
        let verdict = webhook(WebhookConfig::default()).deliver(&to(&server, "http")).await;
        assert_eq!(verdict.outcome, outcome, "{status}: {}", verdict.said);
        assert_eq!(verdict.retry_after, retry_after.map(Duration::from_secs), "{status}");
        assert!(!verdict.said.contains("key"), "a URL's path is not told: {}", verdict.said);
        if status.starts_with("302") {
            let said =
                "302 Found to https://other.example.org: name the final URL in contact.ops.webhook";
            assert_eq!(verdict.said, said);
        }
    }
}

#[tokio::test]
async fn what_is_lost_or_late_is_sent_again_under_the_same_key() {
    let cases = [
        (vec![], "is not reached: Connection refused"),
        (vec![HearRequest], "took the request, but"),
        (vec![HearRequest, Hang], "took the request, but no answer within 1s"),
        (vec![HearRequest, Trickle], "took the request, but"),
        (vec![HearRequest, Say("HTTP/1.1 200 OK\r\nx: "), Trickle], "no answer within 1s"),
    ];
    for (script, said) in cases {
        let gone = script.is_empty();
        let server = Server::start(script).await;
        let notice = to(&server, "http");
        if gone {
            server.abort().await;
        }
        let began = Instant::now();
        let verdict = webhook(WebhookConfig::default()).deliver(&notice).await;
        assert_eq!(verdict.outcome, Temporary, "{}", verdict.said);
        assert!(verdict.said.contains(said), "{} instead of {said}", verdict.said);
        assert!(began.elapsed() < LIMITS.attempt * 2);
    }
}

#[tokio::test]
async fn a_body_is_read_to_a_limit_and_no_longer_than_an_attempt() {
    let head = "HTTP/1.1 500 Oops\r\ncontent-length: 100000000\r\n\r\n";
    let long: &'static str = Box::leak(format!("{head}{}", "x".repeat(200_000)).into_boxed_str());
    let verdict = answered(vec![HearRequest, Say(long), Hang]).await;
    assert_eq!((verdict.outcome, verdict.said.chars().count()), (Temporary, 300));
    let began = Instant::now();
    let verdict = answered(vec![HearRequest, Say(head), Trickle]).await;
    assert_eq!(verdict.outcome, Temporary, "{}", verdict.said);
    assert!(began.elapsed() < LIMITS.attempt * 2);
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_as_soon_as_its_file_is_right() {
    let ca = authority();
    let named = file("nonsense");
    let channel = webhook(WebhookConfig { secret_file: None, ca_file: path(&named) });
    let script = vec![Encrypt, HearRequest, Say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")];

    let server = Server::start(script.clone()).await;
    let verdict = channel.deliver(&to(&server, "https")).await;
    assert_eq!(verdict.outcome, Misconfigured, "{}", verdict.said);
    assert!(verdict.said.contains("channel.webhook.ca_file"), "{}", verdict.said);

    std::fs::copy(ca.path(), named.path()).unwrap();
    let verdict = channel.deliver(&to(&server, "https")).await;
    assert_eq!(verdict.outcome, Accepted, "{}", verdict.said);

    let server = Server::start(script).await;
    let verdict = webhook(WebhookConfig::default()).deliver(&to(&server, "https")).await;
    assert_eq!(verdict.outcome, Misconfigured);
    let said = "is signed by no authority that is trusted here";
    assert!(verdict.said.contains(said), "{}", verdict.said);
}

#[tokio::test]
async fn what_is_wrong_here_is_said_so() {
    let missing = WebhookConfig { secret_file: Some("/nonexistent/key".into()), ca_file: None };
    let verdict =
        webhook(missing).deliver(&notice(Way::Webhook, "http://127.0.0.1:1", vec![cpu()])).await;
    assert_eq!(verdict.outcome, Misconfigured);
    assert!(
        verdict.said.contains("channel.webhook.secret_file `/nonexistent/key`"),
        "{}",
        verdict.said
    );

    let wrong = notice(Way::Webhook, "chat", vec![cpu()]);
    let verdict = webhook(WebhookConfig::default()).deliver(&wrong).await;
    assert_eq!(verdict.outcome, Permanent, "{}", verdict.said);
}

async fn answered(script: Vec<super::server::Act>) -> Verdict {
    let server = Server::start(script).await;
    webhook(WebhookConfig::default()).deliver(&to(&server, "http")).await
}

fn webhook(config: WebhookConfig) -> Webhook {
    Webhook::with_limits(config, sender(), LIMITS)
}

fn to(server: &Server, scheme: &str) -> Notice {
    let url = format!("{scheme}://localhost:{}/hook?key=1", server.port);
    notice(Way::Webhook, &url, vec![cpu()])
}
