//! What each address answers, in its right shape.

use serde_json::{Value, json};

use crate::supervision::ActorState;

use super::rig::Rig;

#[tokio::test]
async fn servers_are_told_with_their_latest_values() {
    let rig = Rig::new().await;
    rig.monitor("web-1", 0.25);
    let reply = rig.get("/api/v1/servers").await;
    assert_eq!(reply.status, 200);
    let mut server = reply.json()["servers"][0].take();
    assert!(server["last_seen_ms"].take().is_i64());
    let expected = json!({
        "name": "web-1", "tags": {"env": "prod"}, "state": "up", "normal": true, "reason": null,
        "origin": "local", "last_seen_ms": null, "skew_ms": null, "interval_ms": 1000, "collectors": {"up": 5, "down": 0},
        "incidents": 0, "level": null, "series": 1,
        "latest": {
            "cpu_usage_ratio": 0.25, "disk_usage_ratio": null,
            "network_receive_bytes_per_second": null, "network_transmit_bytes_per_second": null,
        },
    });
    assert_eq!(server, expected);
}

#[tokio::test]
async fn servers_are_found_by_tag_state_and_name_and_counted_by_tag() {
    let rig = Rig::new().await;
    for name in ["web-1", "web-2", "db-1"] {
        rig.monitor(name, 0.25);
    }
    let names = async |query: &str| -> Vec<String> {
        let reply = rig.get(&format!("/api/v1/servers?{query}")).await.json();
        let names = reply["servers"].as_array().unwrap().iter();
        names.map(|server| server["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("q=WEB").await, ["web-1", "web-2"]);
    assert_eq!(names("tag=env%3Dprod&state=up&q=db").await, ["db-1"]);
    assert_eq!(names("state=offline&state=unknown").await, [""; 0]);
    assert_eq!(names("tag=env%3Dprod&tag=site%3Da").await, [""; 0]);

    let counts = json!({"servers": 3, "up": 3, "degraded": 0, "unknown": 0, "offline": 0});
    let tags = rig.get("/api/v1/tags").await.json();
    assert_eq!(tags, json!({"tags": {"env": {"prod": counts}}}));
    check_error(&rig, "/api/v1/servers?state=dead", 400, "bad_request", "must be one of up").await;
    check_error(&rig, "/api/v1/tags?a=b", 400, "bad_request", "unknown key `a`").await;
}

#[tokio::test]
async fn the_series_of_a_server_are_listed_and_an_unknown_server_is_named() {
    let rig = Rig::new().await;
    rig.monitor("web 1", 0.25);
    let expected = json!({"series": [{
        "id": "0", "metric": "cpu_usage_ratio", "labels": {}, "unit": "ratio", "kind": "gauge",
        "collector": "cpu", "interval_ms": 1000,
    }]});
    assert_eq!(rig.get("/api/v1/servers/web%201/series").await.json(), expected);
    check_error(&rig, "/api/v1/servers/web-2/series", 404, "not_found", "`web-2`").await;
}

#[tokio::test]
async fn history_is_asked_as_the_query_says_and_a_closed_time_is_sent_once() {
    let rig = Rig::new().await;
    rig.monitor("web-1", 0.25);
    let path = "/api/v1/series?server=web-1&metric=cpu_usage_ratio&label.core=0&from=1000&to=9000&points=10";
    let reply = rig.get(path).await;
    let expected = json!({"partial": false, "series": [{
        "labels": {"core": "0"}, "unit": "ratio", "kind": "gauge",
        "tier": "raw", "resolution_ms": 1000, "points": [[1000, 0.5, null, 1.0]],
        "gaps": [{"from": 1000, "to": null, "reason": "plugin timed out"}],
    }]});
    assert_eq!(reply.json(), expected);
    let query = rig.asked.lock().unwrap().pop().unwrap();
    assert_eq!((query.from_ms, query.to_ms, query.points), (1000, 9000, Some(10)));
    assert_eq!(query.labels, [("core".to_owned(), "0".to_owned())]);

    let more = rig.get(&format!("{path}&stats=count,p95,sum,last")).await.json();
    let columns = json!(["time", "mean", "min", "max", "count", "p95", "sum", "last"]);
    assert_eq!((&more["columns"], &more["series"][0]["p95_from"]), (&columns, &json!(2000)));
    assert_eq!(more["series"][0]["points"], json!([[1000, 0.5, null, 1.0, 3, null, 1.5, 0.5]]));

    let etag = reply.header("etag").unwrap();
    let again =
        format!("GET {path} HTTP/1.1\r\nhost: {}\r\nif-none-match: {etag}\r\n", rig.address);
    let again = rig.ask(&again).await;
    assert_eq!((again.status, &*again.body), (304, ""));
    let open = rig.get("/api/v1/series?server=web-1&metric=cpu_usage_ratio").await;
    assert_eq!((open.status, open.header("etag")), (200, None));
}

#[tokio::test]
async fn what_history_cannot_answer_is_said_in_words() {
    let rig = Rig::new().await;
    rig.monitor("web-1", 0.25);
    let series = "/api/v1/series?server=web-1&metric=cpu_usage_ratio";
    check_error(&rig, &format!("{series}&from=0&to=99000000"), 400, "too_many_points", "99000")
        .await;
    check_error(&rig, &format!("{series}&points=11001"), 400, "too_many_points", "11000").await;
    check_error(&rig, &format!("{series}&form=1"), 400, "bad_request", "`form`").await;
    check_error(&rig, "/api/v1/series?server=db&metric=x", 404, "not_found", "`db`").await;
    let unknown = "no stat `p99`; known are last, sum, count, p95";
    check_error(&rig, &format!("{series}&stats=p99"), 400, "bad_request", unknown).await;
    let too_much = "/api/v1/series?server=web-1&metric=too_much";
    check_error(&rig, too_much, 400, "bad_request", "ask for less").await;
    let broken = "/api/v1/series?server=web-1&metric=broken";
    check_error(&rig, broken, 503, "history_unavailable", "disk is on fire").await;
}

#[tokio::test]
async fn actors_and_plugins_are_shown() {
    let rig = Rig::new().await;
    rig.services[4].count_restart();
    let root = rig.get("/api/v1/actors").await.json();
    assert_eq!((&root["name"], &root["kind"]), (&json!("root"), &json!("root")));
    let fleet = root["children"].as_array().unwrap().iter().find(|child| child["name"] == "fleet");
    let fleet = fleet.unwrap();
    assert_eq!((&fleet["state"], &fleet["restarts"]), (&json!("up"), &json!(1)));
    assert_eq!((&fleet["queue"], &fleet["last_error"]), (&Value::Null, &Value::Null));

    let plugins = rig.get("/api/v1/plugins").await.json();
    assert_eq!(plugins["plugins"][0]["host_pid"], 42);
    assert_eq!(plugins["refused"], json!([{"path": "/tmp/x.so", "reason": "no manifest"}]));
    let targets = rig.get("/api/v1/forward").await.json();
    assert_eq!(targets["targets"][0]["state"], "held");
    assert_eq!(targets["targets"][0]["lag_seconds"], 1.5);
    let metrics = rig.get("/metrics").await.body;
    assert!(metrics.contains("bartizan_forward_samples_total{target=\"hub\"} 7\n"), "{metrics}");
}

#[tokio::test]
async fn health_and_readiness_differ() {
    let rig = Rig::new().await;
    assert_eq!(rig.get("/api/v1/ready").await.status, 200);
    rig.services[0].set_state(ActorState::Down);
    let degraded = rig.get("/api/v1/ready").await;
    assert_eq!(degraded.status, 200, "it is at work");
    assert_eq!(degraded.json()["services"]["store"], "down");
    rig.services[0].set_state(ActorState::Backoff);
    let ready = rig.get("/api/v1/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["ready"], false);
    assert_eq!(ready.json()["services"]["store"], "backoff");
    let health = rig.get("/api/v1/health").await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
}

#[tokio::test]
async fn metrics_are_openmetrics_text() {
    let rig = Rig::new().await;
    rig.services[4].count_restart();
    rig.get("/nothing").await;
    for path in ["/metrics", "/api/v1/metrics"] {
        let reply = rig.get(path).await;
        let content_type = reply.header("content-type").unwrap();
        assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
        for line in [
            "bartizan_build_info{version=\"0.1.0\"} 1",
            "bartizan_store_samples_total 7",
            "bartizan_http_requests_total{status=\"404\"} 1",
            "bartizan_supervision_restarts_total{kind=\"service\"} 1",
            "# TYPE process_cpu_seconds counter",
        ] {
            assert!(reply.body.lines().any(|known| known == line), "{line} in {}", reply.body);
        }
        assert!(reply.body.ends_with("# EOF\n"));
    }
}

#[tokio::test]
async fn the_page_answers_its_own_addresses_and_nothing_else() {
    let rig = Rig::new().await;
    for path in ["/", "/s/web-1", "/plugins", "/?lang=en"] {
        let reply = rig.get(path).await;
        assert_eq!((reply.status, &*reply.body), (200, "<!doctype html>"), "{path}");
        assert!(reply.header("content-security-policy").unwrap().contains("default-src 'self'"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    let script = rig.get("/assets/app-1.js").await;
    assert_eq!(script.header("content-type"), Some("text/javascript"));
    assert!(script.header("cache-control").unwrap().contains("immutable"));
    let ask = |taken: &str| {
        let host = rig.address;
        format!("GET /assets/app-1.js HTTP/1.1\r\nhost: {host}\r\naccept-encoding: {taken}\r\n")
    };
    let packed = rig.ask(&ask("br, gzip;q=0.8")).await;
    assert_eq!((packed.header("content-encoding"), &*packed.body), (Some("gzip"), "packed"));
    let plain = rig.ask(&ask("br, gzip;q=0")).await;
    assert_eq!((plain.header("content-encoding"), &*plain.body), (None, "let x"));
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
    let head = format!("GET / HTTP/1.1\r\nhost: {}\r\nif-none-match: \"one\"\r\n", rig.address);
    assert_eq!(rig.ask(&head).await.status, 304);
    check_error(&rig, "/wp-login.php", 404, "not_found", "nothing").await;
    check_error(&rig, "/api/v1/nothing", 404, "not_found", "nothing").await;
    check_error(&rig, "/api", 404, "not_found", "nothing").await;
    check_error(&rig, "/api/v1/servers?x=1", 400, "bad_request", "`x`").await;
}

pub(super) async fn check_error(rig: &Rig, path: &str, status: u16, code: &str, word: &str) {
    let reply = rig.get(path).await;
    assert_eq!(reply.status, status, "{path}: {reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json()["error"], code, "{path}");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(word), "{path}: {detail}");
}
