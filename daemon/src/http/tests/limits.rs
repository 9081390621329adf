//! What is too much is refused, and disturbs nobody else.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::http::messages::Limits;

use super::rig::{DEADLINE, Rig};

#[tokio::test]
async fn what_is_too_large_is_refused_in_json() {
    let rig = Rig::new().await;
    let host = format!("host: {}\r\n", rig.address);
    let post = "POST /api/v1/servers HTTP/1.1\r\n";
    let long = "x".repeat(10_000);
    let wide = "x".repeat(12_000);
    for (head, status, code) in [
        (format!("{post}{host}content-length: 9000000\r\n"), 413, "body_too_large"),
        (format!("{post}{host}transfer-encoding: chunked\r\n"), 411, "length_required"),
        (format!("GET /{long} HTTP/1.1\r\n{host}"), 414, "address_too_long"),
        (
            format!("GET / HTTP/1.1\r\n{host}a: {wide}\r\nb: {wide}\r\nc: {wide}\r\n"),
            431,
            "headers_too_large",
        ),
    ] {
        let reply = rig.ask(&head).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (status, Some(code)));
    }
    assert_eq!(rig.get("/api/v1/health").await.status, 200);
}

#[tokio::test]
async fn what_is_not_http_is_cut_off() {
    let rig = Rig::new().await;
    for garbage in ["\x16\x03\x01\x02\x00\x01\x00", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(garbage.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(rig.get("/api/v1/health").await.status, 200);
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_off_in_time() {
    let head = Duration::from_millis(200);
    let rig = Rig::with(Limits { head, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    let mut answer = Vec::new();
    let ended = timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "still connected");
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once_and_counted() {
    let rig = Rig::with(Limits { connections: 3, ..Limits::default() }).await;
    let (viewer, _) = rig.viewer().await;
    let _idle = TcpStream::connect(rig.address).await.unwrap();
    rig.until_metric("bartizan_http_connections ", 3.0).await;

    let _third = TcpStream::connect(rig.address).await.unwrap();
    let mut fourth = TcpStream::connect(rig.address).await.unwrap();
    let mut answer = Vec::new();
    let ended = timeout(DEADLINE, fourth.read_to_end(&mut answer)).await.unwrap();
    assert!(ended.is_err() || answer.is_empty(), "{answer:?}");

    // The control socket has places of its own, and a viewer gives its place back.
    let metrics = rig.ask_control("GET /metrics HTTP/1.1\r\nhost: x\r\n").await.body;
    assert!(metrics.contains("bartizan_http_refused_connections_total 1"), "{metrics}");
    drop(viewer);
    timeout(DEADLINE, async {
        loop {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            let head = format!("GET /api/v1/health HTTP/1.1\r\nhost: {}\r\n\r\n", rig.address);
            let mut byte = [0];
            if stream.write_all(head.as_bytes()).await.is_ok()
                && matches!(stream.read(&mut byte).await, Ok(1))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn strangers_of_one_address_take_no_places_from_others() {
    let rig = Rig::with(Limits { strangers: 2, waiting: 0, ..Limits::default() }).await;
    let head = format!("GET /api/v1/health HTTP/1.1\r\nhost: {}\r\n\r\n", rig.address);
    // One that has been answered is no stranger any more.
    let mut known = TcpStream::connect(rig.address).await.unwrap();
    known.write_all(head.as_bytes()).await.unwrap();
    let mut byte = [0];
    timeout(DEADLINE, known.read_exact(&mut byte)).await.unwrap().unwrap();
    let _idle = [
        TcpStream::connect(rig.address).await.unwrap(),
        TcpStream::connect(rig.address).await.unwrap(),
    ];
    let mut third = TcpStream::connect(rig.address).await.unwrap();
    let ended = timeout(DEADLINE, third.read(&mut byte)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "one address has two places for strangers");

    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut elsewhere = elsewhere.connect(rig.address).await.unwrap();
    for stream in [&mut elsewhere, &mut known] {
        stream.write_all(head.as_bytes()).await.unwrap();
        timeout(DEADLINE, stream.read_exact(&mut byte)).await.unwrap().unwrap();
    }
    let metrics = rig.ask_control("GET /metrics HTTP/1.1\r\nhost: x\r\n").await.body;
    assert!(metrics.contains("bartizan_http_refused_strangers_total 1"), "{metrics}");
}

#[tokio::test]
async fn who_shows_no_right_makes_room_for_those_who_wait() {
    let crowded = Duration::from_millis(300);
    let rig = Rig::with(Limits { strangers: 1, crowded, ..Limits::default() }).await;
    let head = format!("GET /api/v1/health HTTP/1.1\r\nhost: {}\r\n\r\n", rig.address);
    let (mut rest, mut byte) = (Vec::new(), [0]);
    for said in ["", "GET / HTT", &head.replace("health", "nothing")] {
        let mut stranger = TcpStream::connect(rig.address).await.unwrap();
        stranger.write_all(said.as_bytes()).await.unwrap();
        let mut waiting = TcpStream::connect(rig.address).await.unwrap();
        // It was answered well, and stays.
        for _ in 0..2 {
            waiting.write_all(head.as_bytes()).await.unwrap();
            timeout(DEADLINE, waiting.read_exact(&mut byte)).await.unwrap().unwrap();
        }
        // How it ends is the system's affair.
        let ended = timeout(DEADLINE, stranger.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still there after {said:?}");
    }
}
