//! One line of curl brings a sample; who may not write, or writes too much, hears which limit it was.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, time::Duration};

use bartizan_tests::{
    DEADLINE, Daemon, Setup, alerts::number, http, now_ms, peer::need, sink::Sink, wait_for,
};
use hyper::Method;
use serde_json::Value;
use tokio::process::Command;

const LINE: &str = r#"{"server": "web-1", "metrics": {"temperature_celsius": 21.5}}"#;

#[tokio::test]
async fn one_line_of_curl_is_stored() {
    let setup = Setup::in_company("");
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
    let setup = Setup::in_company("");
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
    let setup = Setup::in_company(
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

#[tokio::test]
async fn a_rule_on_what_only_a_script_pushes_tells_people_and_silence_is_no_incident() {
    let sink = Sink::start().await;
    let setup = Setup::in_company(&format!(
        "[contact.ops]\nwebhook = [\"{}\"]\n\n[[route]]\nnotify = [\"ops\"]\n\n\
         [[rule]]\nname = \"queue\"\nmetric = \"queue_length\"\ncritical = {{ above = 100 }}\n",
        sink.url("/hook"),
    ));
    let daemon = setup.start().await;
    let token = setup.admin_token();
    let say = async |value: u32| {
        let body = format!(r#"{{"server": "web-1", "metrics": {{"queue_length": {value}}}}}"#);
        let answer = push(&daemon, &token, &body).await;
        assert_eq!(answer.text(), r#"{"stored":1,"known":0}"#);
    };
    say(7).await;
    say(900).await;
    let incident = daemon.incident_of("web-1", "queue", &["firing"]).await;
    assert_eq!((&incident["value"], &incident["limit"]["at"]), (&900.0.into(), &100.0.into()));
    let told = sink.arrived(1).await[0].json();
    assert_eq!(told["incidents"][0]["what"], "fired", "{told}");
    assert_eq!(told["incidents"][0]["id"], incident["id"], "{told}");
    say(7).await;
    daemon.incident_of("web-1", "queue", &["resolved"]).await;
    let told = sink.arrived(2).await[1].json();
    assert_eq!(told["incidents"][0]["what"], "resolved", "{told}");
    assert_eq!(number(&told["incidents"][0]["id"]), number(&incident["id"]));

    let said = now_ms();
    let look = async || {
        let server = server(&daemon, "web-1").await;
        assert_ne!(server["state"], "offline", "{server}");
        (now_ms() - said > 40_000).then_some(server)
    };
    let server = wait_for("forty silent seconds", Duration::from_secs(60), look).await.0;
    assert_eq!(server["state"], "unknown", "{server}");
    let reason = server["reason"].as_str().unwrap();
    assert!(reason.contains("not yet known how often"), "{server}");
    assert!(server["last_seen_ms"].as_i64().unwrap() <= said, "{server}");
    assert_eq!(daemon.incidents("firing").await, [Value::Null; 0]);
    assert_eq!(sink.received().len(), 2, "nobody was told of a silent script");
}

#[tokio::test]
async fn another_value_of_an_instant_that_is_stored_is_not_shown_beside_what_is_new() {
    let setup = Setup::in_company("");
    let mut daemon = setup.start().await;
    let token = setup.admin_token();
    let at = now_ms();
    let sample = |metric: &str, value: u32, at: i64| {
        format!(r#"{{"metric": "{metric}", "value": {value}, "time": {at}}}"#)
    };
    let body = |samples: &[String]| {
        format!(r#"{{"server": "web-1", "samples": [{}]}}"#, samples.join(","))
    };
    let answer = push(&daemon, &token, &body(&[sample("a", 1, at)])).await;
    assert_eq!(answer.text(), r#"{"stored":1,"known":0}"#);
    // Whoever shows it knows nothing of it then.
    daemon.kill();
    let daemon = setup.start().await;
    let both = body(&[sample("a", 99, at), sample("b", 2, at + 1)]);
    assert_eq!(push(&daemon, &token, &both).await.text(), r#"{"stored":1,"known":1}"#);
    let look = async || {
        let latest = server(&daemon, "web-1").await["latest"].take();
        (latest["b"] == 2.0).then_some(latest)
    };
    let latest = wait_for("the new one", Duration::from_secs(10), look).await.0;
    assert_eq!(latest["a"], Value::Null, "{latest}");
    let stored = daemon.samples("web-1", "a", 0, 1).await;
    assert_eq!(stored.points, [(at, Some(1.0))]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_and_is_set_right_holds_nothing_up() {
    let setup = Setup::in_company("");
    let daemon = setup.start().await;
    let token = setup.admin_token();
    let say = async |value: u32, at: i64| {
        let sample = format!(r#"{{"metric": "a", "value": {value}, "time": {at}}}"#);
        let body = format!(r#"{{"server": "web-1", "samples": [{sample}]}}"#);
        push(&daemon, &token, &body).await.text()
    };
    let began = now_ms();
    assert_eq!(say(1, began + 300_000).await, r#"{"stored":1,"known":0}"#);
    let look = async || server(&daemon, "web-1").await["last_seen_ms"].as_i64();
    let seen = wait_for("a server that was seen", Duration::from_secs(10), look).await.0;
    assert!(seen <= now_ms(), "seen {} ms ahead", seen - now_ms());
    let right = now_ms();
    assert_eq!(say(2, right).await, r#"{"stored":1,"known":0}"#);
    assert_eq!(say(2, right).await, r#"{"stored":0,"known":1}"#);
    let look = async || (server(&daemon, "web-1").await["latest"]["a"] == 2.0).then_some(());
    wait_for("the present value", Duration::from_secs(10), look).await;
    let stored = daemon.raw_between("web-1", "a", began, began + 400_000).await.remove(0);
    assert_eq!(stored.points, [(right, Some(2.0)), (began + 300_000, Some(1.0))]);
}

/// What is said of a server at present.
async fn server(daemon: &Daemon, name: &str) -> Value {
    let servers = daemon.get("/servers").await["servers"].take();
    let of_name = |server: &&Value| server["name"] == name;
    servers.as_array().unwrap().iter().find(of_name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_stream_whose_pace_is_known_has_holes_and_each_has_its_reason() {
    const UNEXPLAINED: &str = "no sample was received";
    let setup = Setup::in_company("[[server]]\nname = \"hub\"\n");
    let mut daemon = setup.start().await;
    let token = fs::read_to_string(setup.state().join("admin-token")).unwrap();
    let token = token.trim();
    let begin = now_ms() - 100_000;
    let at = |second: i64| begin + second * 1000;
    let send = async |daemon: &Daemon, times: Vec<i64>| {
        let sample = |at| format!(r#"{{"metric": "x", "value": 1, "time": {at}}}"#);
        let samples: Vec<_> = times.iter().map(sample).collect();
        let body = format!(r#"{{"server": "a", "samples": [{}]}}"#, samples.join(","));
        let answer = push(daemon, token, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let gaps = async |daemon: &Daemon, to: i64| {
        let found = daemon.raw_between("a", "x", begin, to).await;
        found.into_iter().flat_map(|series| series.gaps).collect::<Vec<_>>()
    };
    let hole = |from: i64, to: i64, reason: &str| (from, Some(to), reason.to_owned());

    for second in (0..40).chain(50..60) {
        send(&daemon, vec![at(second)]).await;
    }
    let pushed = [hole(at(40), at(50), UNEXPLAINED)];
    assert_eq!(gaps(&daemon, at(60)).await, pushed);
    // What is read here tells until when the daemon was there.
    daemon.samples("hub", "load1", now_ms(), 1).await;
    daemon.kill();
    daemon = setup.start().await;
    assert_eq!(gaps(&daemon, at(60)).await, pushed, "after a restart");

    // It had fallen silent long before the daemon did.
    let newest = now_ms() - 1000;
    send(&daemon, vec![newest]).await;
    let silent = [pushed[0].clone(), hole(at(60), newest, UNEXPLAINED)];
    assert_eq!(gaps(&daemon, newest + 1).await, silent);
    daemon.kill();
    tokio::time::sleep(Duration::from_secs(4)).await;
    daemon = setup.start().await;
    // Whoever pushes remembers nothing: what is missing is missing because nobody was here to take it.
    let next = now_ms();
    send(&daemon, vec![next]).await;
    let away = [&silent[..], &[hole(newest + 1000, next, "bartizan was killed")]].concat();
    assert_eq!(gaps(&daemon, next + 1).await, away);
}

#[tokio::test]
async fn a_server_that_was_renamed_or_removed_leaves_its_history_and_says_why_it_ends() {
    let setup = Setup::in_company("");
    let daemon = setup.start().await;
    let socket = setup.state().join("control.sock");
    let change = async |method, path: &str, body: &'static str| {
        let path = format!("/api/v1/servers{path}");
        let answer = http::over_control(&socket, method, &path, body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let added = change(Method::POST, "", r#"{"name": "web-1"}"#).await;
    let token = added["token"].as_str().unwrap();
    let send = async || {
        let answer = push(&daemon, token, r#"{"metrics": {"a": 1}}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let ends = async |server: &str, why: &str| {
        wait_for(&format!("the end of {server}"), DEADLINE, async || {
            let found = daemon.raw(server, "a", 0).await.remove(0);
            assert_eq!(found.points.len(), 1, "its history");
            (found.gaps.last()?.2 == why).then_some(())
        })
        .await;
    };
    send().await;
    wait_for("the server to be watched", DEADLINE, async || {
        let servers = daemon.get("/servers").await.to_string();
        servers.contains("web-1").then_some(())
    })
    .await;
    change(Method::POST, "/web-1/rename", r#"{"to": "www"}"#).await;
    ends("web-1", "the server was renamed to www").await;
    send().await;
    let renamed = daemon.raw("www", "a", 0).await.remove(0);
    assert_eq!((renamed.points.len(), renamed.gaps.len()), (1, 0), "{renamed:?}");
    change(Method::DELETE, "/www", "").await;
    ends("www", "the server is no longer watched").await;
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
