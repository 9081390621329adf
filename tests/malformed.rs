//! What is malformed, too large or from a stranger is refused, and nobody else notices.
//!
//! A viewer and a reader are connected all the while: the viewer's ticks stay whole, the reader is always answered.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, net::SocketAddr, time::Duration};

use bartizan_tests::{
    DEADLINE, Daemon, Setup,
    http::{self, request},
    stream::{self, Ended, Event, Viewer},
    wait_for,
};
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{self, Message};

const CONFIG: &str = "[[server]]\nname = \"here\"\n";

#[tokio::test]
async fn malformed_http_is_refused_and_nobody_else_notices() {
    let (_setup, daemon, mut viewer) = start().await;
    let address = daemon.address;
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET /api/v1/servers HTTP/9.9\r\n\r\n",
        b"GET /api/v1/servers HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /api/v1/servers HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/servers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ] {
        let answer = raw(address, nonsense).await;
        let status = answer.strip_prefix("HTTP/1.1 ").or(answer.strip_prefix("HTTP/1.0 "));
        let refused = answer.is_empty() || status.is_some_and(|status| status.starts_with('4'));
        assert!(refused, "{:?} was answered: {answer}", String::from_utf8_lossy(nonsense));
    }
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn headers_without_end_and_bodies_without_measure_are_refused() {
    let (_setup, daemon, mut viewer) = start().await;
    let address = daemon.address;
    let long = format!("GET / HTTP/1.1\r\nHost: {address}\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let answer = raw(address, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.contains(" 431 ") || answer.contains(" 400 "), "{answer}");

    let origin = format!("http://{address}");
    let headers = [("origin", origin.as_str())];
    let body = vec![b'x'; 9 << 20];
    let post = request(address, Method::POST, "/api/v1/servers", &headers, body);
    // The refusal may come before the body is read; then the connection breaks while we still write.
    if let Ok(answer) = post.await {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_its_connection() {
    let (_setup, daemon, mut viewer) = start().await;
    let mut slow = TcpStream::connect(daemon.address).await.unwrap();
    slow.write_all(b"GET /api/v1/servers HTTP/1.1\r\nHost: ").await.unwrap();
    let mut rest = Vec::new();
    let closed = timeout(DEADLINE, slow.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is closed within {DEADLINE:?}");
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn what_does_not_exist_or_makes_no_sense_is_refused_in_json() {
    let (setup, daemon, mut viewer) = start().await;
    for (path, status) in [
        ("/api/v1/nothing", 404),
        ("/api/v1/servers/nobody/series", 404),
        ("/api/v1/series?server=nobody&metric=load1", 404),
        ("/api/v1/series", 400),
        ("/api/v1/series?server=here&metric=load1&from=yesterday", 400),
        ("/api/v1/series?server=here&metric=load1&from=10&to=5", 400),
        ("/api/v1/series?server=here&metric=load1&points=11001", 400),
        ("/api/v1/series?server=here&metric=load1&points=-1", 400),
    ] {
        let answer = http::get(daemon.address, path).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let answer = answer.json();
        let (code, detail) =
            (answer["error"].as_str().unwrap(), answer["detail"].as_str().unwrap());
        assert!(
            !code.is_empty() && !code.contains(' ') && detail.contains(' '),
            "{path}: {answer}"
        );
    }
    // To change something needs a right; whoever has it is told that there is nothing to change.
    let token = fs::read_to_string(setup.state().join("admin-token")).unwrap();
    let right = format!("Bearer {}", token.trim());
    for (headers, status) in [(&[][..], 401), (&[("authorization", right.as_str())], 405)] {
        let answer = request(daemon.address, Method::DELETE, "/api/v1/servers", headers, "").await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_refused() {
    let (_setup, daemon, mut viewer) = start().await;
    let port = daemon.address.port();
    let (strange, ours) = (format!("evil.example:{port}"), format!("localhost:{port}"));
    for (host, welcome) in [
        ("evil.example", false),
        (&strange, false),
        ("127.0.0.1.evil.example", false),
        (&ours, true),
    ] {
        let headers = [("host", host)];
        let answer = request(daemon.address, Method::GET, "/api/v1/servers", &headers, "").await;
        let status = answer.unwrap().status;
        assert_eq!(status == 200, welcome, "{host}: {status}");
        assert!(status < 500, "{host}: {status}");
    }
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn a_page_from_elsewhere_gets_no_stream() {
    let (_setup, daemon, mut viewer) = start().await;
    for stranger in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        match stream::connect(daemon.address, stranger).await {
            Err(tungstenite::Error::Http(answer)) => {
                assert!(answer.status().is_client_error(), "{stranger}: {}", answer.status());
            }
            other => panic!("{stranger}: {:?}", other.map(|_| "a stream")),
        }
    }
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn frames_that_are_too_long_or_no_protocol_end_their_own_stream_only() {
    let (_setup, daemon, mut viewer) = start().await;
    let origin = format!("http://{}", daemon.address);
    for frame in [
        Message::text("x".repeat(16 * 1024 + 1)),
        Message::text("x".repeat(4 << 20)),
        Message::text("no json"),
        Message::text(r#"{"t":"unheard-of"}"#),
        Message::text(r#"{"t":"sub","topics":"wall"}"#),
        Message::text(r#"{"t":"sub","topics":["wall","unheard-of"]}"#),
        Message::binary(vec![0; 10]),
    ] {
        let mut socket = stream::connect(daemon.address, &origin).await.unwrap();
        let said = format!("{frame:.60?}");
        // The daemon may close before all is written.
        let _ = socket.send(frame).await;
        let closed = timeout(DEADLINE, async {
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Close(_) = message {
                    break;
                }
            }
        });
        assert!(closed.await.is_ok(), "the stream goes on after {said}");
    }
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn a_server_that_does_not_exist_disturbs_no_other_topic() {
    let (_setup, daemon, mut viewer) = start().await;
    viewer.subscribe(&["wall", "server:nobody"]).await.unwrap();
    goes_on(&daemon, &mut viewer).await;
}

#[tokio::test]
async fn many_connections_that_say_nothing_keep_nobody_out() {
    let (_setup, daemon, mut viewer) = start().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(daemon.address).await.unwrap());
    }
    goes_on(&daemon, &mut viewer).await;
}

async fn start() -> (Setup, Daemon, Viewer) {
    let setup = Setup::in_company(CONFIG);
    let daemon = setup.start().await;
    let mut viewer = Viewer::open(daemon.address).await.unwrap();
    viewer.subscribe(&["wall"]).await.unwrap();
    assert_eq!(viewer.next().await.unwrap(), Event::Snapshot("wall".into()));
    (setup, daemon, viewer)
}

/// The viewer gets its next ticks ([`Viewer::next`] checks that none is missing), and the API answers.
async fn goes_on(daemon: &Daemon, viewer: &mut Viewer) {
    let mut ticks = 0;
    while ticks < 3 {
        match viewer.next().await {
            Ok(Event::Changed(topic, _)) if topic == "wall" => ticks += 1,
            Ok(_) => {}
            Err(Ended::Closed(code)) => panic!("the viewer was closed with {code}"),
            Err(Ended::Broken(why)) => panic!("the viewer's connection broke: {why}"),
        }
    }
    wait_for("an answer", Duration::from_secs(10), async || {
        let answer = http::get(daemon.address, "/api/v1/health").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    assert!(daemon.runs(), "the daemon is the same process");
}

/// Writes bytes and reads until the daemon closes or has sent a first piece.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // A refusal before the last byte breaks the connection; what was answered can still be read.
    let _ = socket.write_all(bytes).await;
    let mut answer = vec![0; 4096];
    let read = timeout(DEADLINE, socket.read(&mut answer)).await;
    let length = read.unwrap_or_else(|_| panic!("neither answer nor end")).unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
