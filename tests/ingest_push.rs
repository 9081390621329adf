//! One line of curl brings a sample; who may not write, or writes too much, hears which limit it was.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::fs;

use bartizan_tests::{Daemon, Setup, http, peer::need};
use hyper::Method;
use tokio::process::Command;

const LINE: &str = r#"{"server": "web-1", "metrics": {"temperature_celsius": 21.5}}"#;

#[tokio::test]
async fn one_line_of_curl_is_stored() {
    let setup = Setup::new("");
    let daemon = setup.start().await;
    let token = fs::read_to_string(setup.state().join("admin-token")).unwrap();
    let url = format!("http://{}/api/v1/push", daemon.address);
    let bearer = format!("authorization: Bearer {}", token.trim());
    let password = format!("anybody:{}", token.trim());
    let socket = setup.state().join("control.sock").display().to_string();

    let ways: [&[&str]; 3] =
        [&["--header", &bearer], &["--user", &password], &["--unix-socket", &socket]];
    for (before, way) in ways.into_iter().enumerate() {
        let said = curl(&[way, &["--data", LINE, &url]].concat()).await;
        assert_eq!(said, r#"{"stored":1,"known":0}"#);
        let stored = daemon.samples("web-1", "temperature_celsius", 0, before + 1).await;
        assert_eq!(stored.unit, "celsius");
        assert!(stored.points.iter().all(|(_, value)| *value == Some(21.5)));
    }
    let said = curl(&["--data", LINE, &url]).await;
    assert!(said.contains(r#""error":"token_required""#), "{said}");
    let said = curl(&["--header", "authorization: Bearer no", "--data", LINE, &url]).await;
    assert!(said.contains(r#""error":"malformed_token""#), "{said}");
}

#[tokio::test]
async fn a_token_writes_for_its_server_alone() {
    let setup = Setup::new("");
    let daemon = setup.start().await;
    let socket = setup.state().join("control.sock");
    let added =
        http::over_control(&socket, Method::POST, "/api/v1/servers", r#"{"name": "web-1"}"#);
    let added = added.await.unwrap().json();
    let token = added["token"].as_str().unwrap_or_else(|| panic!("{added}"));

    let answer = push(&daemon, token, r#"{"metrics": {"a": 1}}"#).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"stored":1,"known":0}"#));
    let foreign = r#"{"samples": [{"server": "web-2", "metric": "a", "value": 1}, {"metric": "b", "value": 2}]}"#;
    let answer = push(&daemon, token, foreign).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("not_your_server")));
    assert!(answer.text().contains("may not write `web-2`, only web-1"), "{}", answer.text());
    daemon.samples("web-1", "b", 0, 1).await;
    assert_eq!(daemon.raw("web-2", "a", 0).await.len(), 0);

    let ingest = daemon.get("/ingest").await;
    let [sender] = &ingest["tokens"].as_array().unwrap()[..] else { panic!("{ingest}") };
    assert_eq!((&sender["samples"], &sender["servers"]), (&2.into(), &1.into()), "{ingest}");
    assert_eq!(sender["refused"]["not_your_server"], 1, "{ingest}");
    assert_eq!(sender["error_code"], "not_your_server");
    let metrics = http::get(daemon.address, "/metrics").await.unwrap().text();
    let line = "bartizan_ingest_refused_total{reason=\"not_your_server\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn limits_are_named_by_their_key() {
    let setup = Setup::new(
        "[ingest]\nmax_servers = 1\nmax_series_per_server = 2\nmax_samples_per_second = 1\n",
    );
    let daemon = setup.start().await;
    let token = fs::read_to_string(setup.state().join("admin-token")).unwrap();
    let token = token.trim();

    let answer = push(&daemon, token, r#"{"server": "a", "metrics": {"x": 1, "y": 2, "z": 3}}"#);
    let answer = answer.await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("too_many_series")));
    assert!(answer.text().contains("ingest.max_series_per_server"), "{}", answer.text());
    let answer = push(&daemon, token, r#"{"server": "b", "metrics": {"x": 1}}"#).await;
    assert!(answer.text().contains("ingest.max_servers"), "{}", answer.text());
    for part in [r#"{"metric": "x", "value": 1, "time": 1764100000000}"#; 2] {
        let many = vec![part; 20].join(",");
        let body = format!(r#"{{"server": "a", "samples": [{many}]}}"#);
        push(&daemon, token, &body).await;
    }
    let answer = push(&daemon, token, r#"{"server": "a", "metrics": {"x": 1}}"#).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (429, Some("too_fast")));
    assert!(answer.text().contains("ingest.max_samples_per_second"), "{}", answer.text());
    let pause: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..60).contains(&pause), "{pause}");
}

async fn push(daemon: &Daemon, token: &str, body: &str) -> http::Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let body = body.to_owned();
    http::request(daemon.address, Method::POST, "/api/v1/push", &headers, body).await.unwrap()
}

async fn curl(arguments: &[&str]) -> String {
    let output = Command::new(need("curl", "curl")).arg("--silent").args(arguments).output().await;
    String::from_utf8(output.unwrap().stdout).unwrap()
}
