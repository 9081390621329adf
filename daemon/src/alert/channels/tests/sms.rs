//! SMS gateways that take, refuse, stall and break off.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use super::{
    LIMITS,
    server::{
        Act::{self, Hang, HearRequest, Say},
        Server,
    },
    tls::{file, path},
};
use crate::{
    alert::{
        channels::{Channel, Sms, Verdict},
        notice::{
            News, Notice,
            Outcome::{Accepted, Misconfigured, Permanent, Temporary, Unknown},
            Way,
        },
        text::samples::{cpu, notice, sender},
    },
    config::{BodyType, HttpGatewayConfig, KannelConfig, Language, SmsConfig},
    series::now_ms,
};

#[tokio::test]
async fn kannel_is_asked_in_chinese_and_its_words_are_kept() {
    let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 24\r\n\r\n0: Accepted for delivery";
    let server = Server::start(vec![HearRequest, Say(accepted)]).await;
    let password = file("pass word\n");
    let channel = kannel(&server, &password);
    let chinese = Notice { language: Language::Zh, ..sms() };
    let verdict = channel.deliver(&chinese).await;
    assert_eq!(verdict.outcome, Accepted, "{}", verdict.said);
    assert_eq!((verdict.said.as_str(), verdict.parts), ("0: Accepted for delivery", Some(1)));

    let heard = server.heard().await;
    let begin = "GET /cgi-bin/sendsms?username=bartizan&password=pass%20word&to=%2B8613711112222\
                 &charset=UTF-8&coding=2&text=%E4%B8%A5%E9%87%8D%20web-1";
    assert!(heard.starts_with(begin), "{heard}");
}

#[tokio::test]
async fn an_sms_whose_answer_is_lost_may_have_been_taken() {
    let password = file("secret\n");
    for script in [vec![HearRequest], vec![HearRequest, Hang], vec![HearRequest, Say("HTTP/1.1 2")]]
    {
        let server = Server::start(script).await;
        let verdict = kannel(&server, &password).deliver(&sms()).await;
        assert_eq!(verdict.outcome, Unknown, "{}", verdict.said);
    }
    let server = Server::start(vec![]).await;
    let channel = kannel(&server, &password);
    server.abort().await;
    let verdict = channel.deliver(&sms()).await;
    assert_eq!((verdict.outcome, verdict.parts), (Temporary, Some(1)), "{}", verdict.said);
    assert!(!verdict.said.contains("secret"), "{}", verdict.said);
}

#[tokio::test]
async fn neither_number_nor_secret_is_told_though_the_gateway_repeats_them() {
    let echo = "HTTP/1.1 400 Bad Request\r\ncontent-length: 57\r\n\r\n\
                no route to +8613711112222 or 8613711112222 for s3cret%26";
    let secret = file("s3cret&\n");
    let server = Server::start(vec![HearRequest, Say(echo)]).await;
    let verdict =
        gateway(&server, |config| config.secret_file = path(&secret)).deliver(&sms()).await;
    assert_eq!(verdict.outcome, Permanent);
    let said = "400 Bad Request: no route to +86137****2222 or +86137****2222 for ****";
    assert_eq!(verdict.said, said);
}

#[tokio::test]
async fn a_gateway_is_asked_as_described_and_believed_by_its_words() {
    let answer = "HTTP/1.1 500 Oops\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}";
    let server = Server::start(vec![HearRequest, Say(answer)]).await;
    let verdict = gateway(&server, |_| {}).deliver(&sms()).await;
    assert_eq!(verdict.outcome, Accepted, "{}", verdict.said);
    let heard = server.heard().await;
    assert!(heard.starts_with("POST /send HTTP/1.1\r\n"), "{heard}");
    let body =
        r#"{"to":"+8613711112222","text":"CRITICAL web-1: CPU 98.2 % above 95 %","ref":"hub1-5"}"#;
    assert!(heard.ends_with(body), "{heard}");

    let wait = "HTTP/1.1 503 Later\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(vec![HearRequest, Say(wait)]).await;
    let verdict = gateway(&server, |_| {}).deliver(&sms()).await;
    assert_eq!(verdict.outcome, Temporary);
    assert_eq!(verdict.retry_after.unwrap().as_secs(), 30);

    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://other.example.org/\r\n\r\n";
    let server = Server::start(vec![HearRequest, Say(redirect)]).await;
    let verdict = gateway(&server, |_| {}).deliver(&sms()).await;
    assert_eq!(verdict.outcome, Misconfigured);
    assert!(verdict.said.contains("name the final URL in channel.sms.url"), "{}", verdict.said);
}

#[tokio::test]
async fn a_missing_password_is_said_before_anybody_is_asked() {
    let gone = file("");
    let path = gone.path().to_owned();
    drop(gone);
    let verdict = answered(vec![], |config| config.secret_file = Some(path.clone())).await;
    assert_eq!(verdict.outcome, Misconfigured);
    let said = format!("failed to read channel.sms.secret_file `{}`: ", path.display());
    assert!(verdict.said.starts_with(&said), "{}", verdict.said);
}

async fn answered(script: Vec<Act>, change: impl Fn(&mut HttpGatewayConfig)) -> Verdict {
    let server = Server::start(script).await;
    gateway(&server, change).deliver(&sms()).await
}

fn sms() -> Notice {
    // What comes late says when it was, so it happens now.
    let news = News { at_ms: now_ms(), opened_ms: now_ms(), ..cpu() };
    notice(Way::Sms, "+8613711112222", vec![news])
}

fn kannel(server: &Server, password: &tempfile::NamedTempFile) -> Sms {
    let config = KannelConfig {
        base_url: format!("http://127.0.0.1:{}", server.port),
        username: "bartizan".into(),
        password_file: password.path().to_owned(),
        from: None,
    };
    Sms::with_limits(SmsConfig::Kannel(config), sender(), LIMITS)
}

fn gateway(server: &Server, change: impl Fn(&mut HttpGatewayConfig)) -> Sms {
    let mut config = HttpGatewayConfig {
        url: format!("http://127.0.0.1:{}/send", server.port),
        headers: Default::default(),
        body: Some(r#"{"to":"{to}","text":"{text}","ref":"{id}"}"#.into()),
        body_type: BodyType::Json,
        from: None,
        secret_file: None,
        ca_file: None,
        accepted: vec!["\"status\":\"ok\"".into()],
        refused: vec![],
    };
    change(&mut config);
    Sms::with_limits(SmsConfig::Http(Box::new(config)), sender(), LIMITS)
}
