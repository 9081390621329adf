//! A whole fleet behind one address comes back to its hub at once, as it does after a restart of the hub: nobody is
//! turned away, although most of them have to wait until they are heard.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::time::{Duration, Instant};

use bartizan_tests::{Setup, enrolment, http, now_ms, wire::Written, writer::Writer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

const HUB: &str =
    "[[server]]\nname = \"hub\"\n\n[[server.collector]]\nplugin = \"load\"\ninterval = \"10s\"\n";

/// Machines that come at once, each with a connection of its own.
const MACHINES: usize = 3_000;

/// All of them have been answered by then.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_behind_one_address_comes_back_at_once() {
    let setup = Setup::new(HUB);
    let hub = setup.start().await;
    let token = enrolment::add(&setup, "fleet-*").await;
    let began = Instant::now();
    let mut machines = JoinSet::new();
    for number in 0..MACHINES {
        let (mut writer, server) =
            (Writer::new(hub.address, Some(&token)), format!("fleet-{number}"));
        machines.spawn(async move {
            let one = Written::new("load1", &[("server", &server)]).sample(now_ms(), 1.0);
            let answer = writer.write(&[one]).await;
            answer.map(|answer| (answer.status, answer.text())).map_err(|error| error.to_string())
        });
    }
    let outcomes = machines.join_all().await;
    let took = began.elapsed();
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.as_ref().is_ok_and(|(status, _)| *status < 300))
        .collect();
    eprintln!("{MACHINES} machines were answered within {took:.1?}");
    assert!(failed.is_empty(), "{} failed, such as {:?}", failed.len(), failed[0]);
    assert!(took < PATIENCE, "they waited {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_say_nothing_keep_no_machine_of_their_address_out() {
    let setup = Setup::new(HUB);
    let hub = setup.start().await;
    let token = enrolment::add(&setup, "web-1").await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(hub.address).await.unwrap());
    }
    let began = Instant::now();
    let mut writer = Writer::new(hub.address, Some(&token));
    let one = Written::new("load1", &[("server", "web-1")]).sample(now_ms(), 1.0);
    let answer = writer.write(&[one]).await.unwrap();
    let took = began.elapsed();
    eprintln!("the one that has a right was answered within {took:.1?}");
    assert!(answer.status < 300 && took < PATIENCE, "{took:?} {}", answer.text());

    // Those that waited with it are heard as well.
    let head = format!("GET /api/v1/health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.address);
    let mut last = silent.pop().unwrap();
    last.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 15];
    timeout(PATIENCE, last.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let counted = http::get(hub.address, "/metrics").await.unwrap().text();
    assert!(counted.contains("bartizan_http_refused_strangers_total 0"), "{counted}");
}
