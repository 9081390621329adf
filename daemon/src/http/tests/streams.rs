//! The stream: what a page sees, and how it is told to leave.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::http::messages::Limits;

use super::rig::{DEADLINE, Rig, Socket, closed, next, say};

#[tokio::test]
async fn a_page_is_greeted_shown_everything_and_then_every_change() {
    let rig = Rig::new().await;
    let series = rig.monitor("web-1", 0.25);
    let (mut page, hello) = rig.viewer().await;
    assert_eq!((&hello["v"], &hello["interval"]), (&json!(1), &json!(1000)));
    assert_eq!(hello["version"], "0.1.0");
    say(&mut page, r#"{"t":"sub","topics":["wall","server:web-1","actors"],"hz":1}"#).await;
    let mut seq = Value::Null;
    for topic in ["wall", "server:web-1", "actors"] {
        let snapshot = next(&mut page).await;
        assert_eq!((&snapshot["t"], &snapshot["topic"]), (&json!("snap"), &json!(topic)));
        seq = snapshot["seq"].clone();
    }
    // Sampled anew at every frame: on a busy machine one sample may be too old when it is shown.
    let change = until(&mut page, |frame| {
        rig.sample("web-1", series, 0.5);
        let row = frame["rows"][0].as_array();
        frame["topic"] == "server:web-1" && row.is_some_and(|row| row.contains(&json!(0.5)))
    })
    .await;
    assert_eq!((&change["t"], &change["rows"][0][0]), (&json!("d"), &json!("0")));
    assert!(change["from"].as_u64() >= seq.as_u64());
}

#[tokio::test]
async fn a_frame_comes_every_second_though_nothing_changes() {
    let rig = Rig::new().await;
    let (mut page, _) = rig.viewer().await;
    say(&mut page, r#"{"t":"sub","topics":["wall"],"hz":1}"#).await;
    let mut seq = next(&mut page).await["seq"].clone();
    for _ in 0..2 {
        let delta = next(&mut page).await;
        assert_eq!((&delta["t"], &delta["from"], &delta["rows"]), (&json!("d"), &seq, &json!([])));
        seq = delta["to"].clone();
    }
}

#[tokio::test]
async fn a_page_that_comes_back_is_given_what_it_missed() {
    let rig = Rig::new().await;
    let series = rig.monitor("web-1", 0.25);
    let (mut page, hello) = rig.viewer().await;
    let epoch = hello["epoch"].as_str().unwrap();
    say(&mut page, r#"{"t":"sub","topics":["wall"],"hz":1}"#).await;
    let seq = until(&mut page, |frame| frame["t"] == "d").await["to"].as_u64().unwrap();
    drop(page);

    rig.sample("web-1", series, 0.5);
    let (mut page, _) = rig.viewer().await;
    let resume = |epoch: &str, seq| {
        json!({
            "t": "sub", "topics": ["wall"], "hz": 1, "resume": {"epoch": epoch, "seq": seq},
        })
        .to_string()
    };
    say(&mut page, &resume(epoch, seq)).await;
    let delta = next(&mut page).await;
    assert_eq!((&delta["t"], delta["from"].as_u64()), (&json!("d"), Some(seq)));

    say(&mut page, &resume("another boot", seq)).await;
    let resync = until(&mut page, |frame| frame["t"] == "resync").await;
    assert_eq!(resync["reason"], "epoch");
    assert_eq!(next(&mut page).await["t"], "snap");
}

#[tokio::test]
async fn a_hidden_page_is_left_alone_until_it_is_seen_again() {
    let rig = Rig::new().await;
    let (mut hidden, _) = rig.viewer().await;
    let (mut seen, _) = rig.viewer().await;
    say(&mut hidden, r#"{"t":"sub","topics":["wall"],"hz":0}"#).await;
    say(&mut seen, r#"{"t":"sub","topics":["wall"],"hz":1}"#).await;
    for _ in 0..3 {
        next(&mut seen).await;
    }
    say(&mut hidden, r#"{"t":"sub","topics":["actors"],"hz":1}"#).await;
    assert_eq!(next(&mut hidden).await["topic"], "actors", "nothing came while it was hidden");
}

#[tokio::test]
async fn who_breaks_the_protocol_is_closed_with_the_reason_and_nobody_else_is() {
    let rig = Rig::new().await;
    let (mut good, _) = rig.viewer().await;
    say(&mut good, r#"{"t":"sub","topics":["wall"],"hz":1}"#).await;
    let many: Vec<_> = (0..65).map(|n| format!("server:{n}")).collect();
    for (message, code, word) in [
        (Message::text("x".repeat(17 * 1024)), 1009, "16384"),
        (Message::text("{"), 1008, "not a message"),
        (Message::text(r#"{"t":"sub","topics":["alarms"]}"#), 1008, "unknown topic"),
        (Message::text(r#"{"t":"sub","topics":[],"hz":9}"#), 1008, "hz is 0 or 1"),
        (Message::text(json!({"t": "sub", "topics": many}).to_string()), 1008, "64 topics"),
        (Message::binary(vec![0]), 1003, "text"),
    ] {
        let (mut bad, _) = rig.viewer().await;
        bad.send(message).await.unwrap();
        let (actual, reason) = closed(&mut bad).await;
        assert_eq!(actual, code, "{reason}");
        assert!(reason.contains(word), "{reason}");
    }
    let (mut loud, _) = rig.viewer().await;
    for _ in 0..30 {
        loud.feed(Message::text(r#"{"t":"sub","topics":[]}"#)).await.unwrap();
    }
    loud.flush().await.unwrap();
    assert_eq!(closed(&mut loud).await.0, 1008);
    until(&mut good, |frame| frame["t"] == "d").await;
    rig.until_metric("bartizan_http_bad_viewers_total ", 7.0).await;
}

#[tokio::test]
async fn a_page_of_somebody_else_gets_no_stream() {
    let rig = Rig::new().await;
    let own = format!("http://{}", rig.address);
    assert!(rig.dial(&[("origin", &own)]).await.is_ok());
    for origin in ["http://evil.example.com", "null", "http://127.0.0.1:1"] {
        let error = rig.dial(&[("origin", origin)]).await.unwrap_err();
        let tungstenite::Error::Http(response) = error else { panic!("{error}") };
        assert_eq!(response.status(), 403, "{origin}");
    }
    let host = [("host", "evil.example.com")];
    let tungstenite::Error::Http(response) = rig.dial(&host).await.unwrap_err() else { panic!() };
    assert_eq!(response.status(), 421);
    let plain = rig.get("/api/v1/stream").await;
    assert_eq!((plain.status, plain.json()["error"].as_str()), (400, Some("websocket_required")));
}

#[tokio::test]
async fn without_a_right_the_stream_says_so_and_closes() {
    let rig = Rig::exposed().await;
    let (mut page, _) = rig.dial(&[]).await.unwrap();
    assert_eq!(closed(&mut page).await.0, 4001);
    let bearer = format!("Bearer {}", rig.token);
    let (mut page, response) = rig.dial(&[("authorization", &bearer)]).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "bartizan.v1");
    assert_eq!(next(&mut page).await["t"], "hello");
}

#[tokio::test]
async fn a_viewer_that_does_not_read_is_closed_and_another_goes_on() {
    let frame = Duration::from_millis(300);
    let rig = Rig::with(Limits { frame, ..Limits::default() }).await;
    // A wall of several megabytes: more than all the buffers on the way hold.
    let long = "x".repeat(200);
    let servers: Vec<_> = (0..20_000).map(|n| format!("{long}-{n}")).collect();
    for name in &servers {
        rig.monitor(name, 0.5);
    }
    let (mut slow, _) = rig.viewer().await;
    say(&mut slow, r#"{"t":"sub","topics":["wall"],"hz":1}"#).await;
    let (mut quick, _) = rig.viewer().await;
    say(&mut quick, r#"{"t":"sub","topics":["actors"],"hz":1}"#).await;
    rig.until_metric("bartizan_http_slow_viewers_total ", 1.0).await;
    until(&mut quick, |frame| frame["t"] == "d").await;
}

#[tokio::test]
async fn viewers_are_told_that_the_daemon_stops() {
    let rig = Rig::new().await;
    let (mut page, _) = rig.viewer().await;
    say(&mut page, r#"{"t":"sub","topics":["wall"],"hz":1}"#).await;
    next(&mut page).await;
    let http = rig.http.clone();
    let stop = tokio::spawn(async move {
        http.stop_and_wait(None, Some(DEADLINE)).await.unwrap();
    });
    assert_eq!(closed(&mut page).await.0, 1012);
    stop.await.unwrap();
    assert!(tokio::net::TcpStream::connect(rig.address).await.is_ok(), "the listener is root's");
}

/// The first frame that is `wanted`.
async fn until(page: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            let frame = next(page).await;
            if wanted(&frame) {
                return frame;
            }
        }
    };
    timeout(DEADLINE, found).await.expect("the frame comes in time")
}
