//! OTLP, as protocol buffers and as JSON.

use super::{
    super::{intake::Ready, otlp},
    NOW_MS, Rig,
    encode::{Message, message},
    refused,
};
use crate::{ingest::messages::Outcome, series::Kind};

const AT_NS: u64 = NOW_MS as u64 * 1_000_000 + 999;

fn attribute(key: &str, value: &str) -> Message {
    message().text(1, key).message(2, message().text(1, value))
}

fn number(field: u64, value: f64, path: &str) -> Message {
    let point = message().message(7, attribute("http.path", path)).fixed(3, AT_NS);
    if field == 4 { point.double(4, value) } else { point.fixed(6, (value as i64) as u64) }
}

fn metric(name: &str, unit: &str, field: u64, data: Message) -> Message {
    message().text(1, name).text(2, "What?").text(3, unit).message(field, data)
}

/// A gauge, a cumulative sum, a sum of deltas, a histogram, an exponential one and a summary.
pub(super) fn export() -> Message {
    let resource = message().messages(
        1,
        [
            attribute("service.name", "shop"),
            attribute("service.instance.id", "i-1"),
            attribute("host.name", "web-1"),
        ],
    );
    let total = message().message(1, number(6, 7.0, "/")).varint(2, 2).varint(3, 1);
    let delta = message().messages(1, [number(6, 7.0, "/"), number(6, 8.0, "/x")]).varint(2, 1);
    let counts: Vec<u8> = [3u64, 4, 5].into_iter().flat_map(u64::to_le_bytes).collect();
    let bounds: Vec<u8> = [0.5f64, 10.0].into_iter().flat_map(f64::to_le_bytes).collect();
    let point = message().fixed(3, AT_NS).fixed(4, 12).double(5, 30.5);
    let histogram = message().message(1, point.bytes(6, &counts).bytes(7, &bounds)).varint(2, 2);
    let quantile = message().double(1, 0.99).double(2, 1.5);
    let summary = message()
        .message(1, message().fixed(3, AT_NS).fixed(4, 2).double(5, 2.5).message(6, quantile));
    let metrics = [
        metric("system.memory.usage", "By", 5, message().message(1, number(4, 1.5, "/"))),
        metric("http.requests", "{request}", 7, total),
        metric("http.changes", "1", 7, delta),
        metric("http.duration", "s", 9, histogram),
        metric("http.exponential", "s", 10, message().message(1, message().fixed(3, AT_NS))),
        metric("http.summary", "s", 11, summary),
    ];
    let of_resource = message().message(1, resource).message(2, message().messages(2, metrics));
    message().message(1, of_resource)
}

const JSON: &str = r#"{"resourceMetrics": [{
    "resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "shop"}},
        {"key": "service.instance.id", "value": {"stringValue": "i-1"}},
        {"key": "host.name", "value": {"stringValue": "web-1"}}]},
    "scopeMetrics": [{"scope": {}, "metrics": [
        {"name": "system.memory.usage", "unit": "By", "gauge": {"dataPoints": [
            {"timeUnixNano": "1764100000000000999", "asDouble": 1.5,
             "attributes": [{"key": "http.path", "value": {"stringValue": "/"}}]}]}},
        {"name": "http.requests", "unit": "{request}", "sum": {"isMonotonic": true, "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "dataPoints": [
            {"timeUnixNano": 1764100000000000999, "asInt": "7",
             "attributes": [{"key": "http.path", "value": {"stringValue": "/"}}]}]}},
        {"name": "http.changes", "unit": "1", "sum": {"aggregationTemporality": 1, "dataPoints": [{"asInt": 7}, {"asInt": 8}]}},
        {"name": "http.duration", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"timeUnixNano": "1764100000000000999", "count": "12", "sum": 30.5,
             "bucketCounts": ["3", "4", "5"], "explicitBounds": [0.5, 10]}]}},
        {"name": "http.exponential", "unit": "s", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{"scale": 3}]}},
        {"name": "http.summary", "unit": "s", "summary": {"dataPoints": [
            {"timeUnixNano": "1764100000000000999", "count": "2", "sum": 2.5,
             "quantileValues": [{"quantile": 0.99, "value": 1.5}]}]}}
    ]}]}]}"#;

#[test]
fn points_become_what_the_compatibility_specification_makes_of_them() {
    let mut rig = Rig::of(&["web-1"]);
    let ready = exported(&mut rig, &export().0);
    let own = r#"instance="i-1",job="shop""#;
    let line = |name: &str, first: &str, last: &str, value: &str| {
        format!("web-1 shop 0 {name}{{{first}{own}{last}}} {value}")
    };
    let bucket = |le: &str, value| {
        let labels = format!(r#"{own},le="{le}""#);
        format!("web-1 shop 0 http_duration_seconds_bucket{{{labels}}} {value}")
    };
    let path = r#"http_path="/","#;
    let mut expected = [
        line("system_memory_usage_bytes", path, "", "1.5"),
        line("http_requests_total", path, "", "7.0"),
        bucket("0.5", "3.0"),
        bucket("10", "7.0"),
        bucket("+Inf", "12.0"),
        line("http_duration_seconds_count", "", "", "12.0"),
        line("http_duration_seconds_sum", "", "", "30.5"),
        line("http_summary_seconds", "", r#",quantile="0.99""#, "1.5"),
        line("http_summary_seconds_count", "", "", "2.0"),
        line("http_summary_seconds_sum", "", "", "2.5"),
    ];
    let mut text = rig.text(&ready);
    expected.sort();
    text.sort();
    assert_eq!(text, expected);
    assert_eq!(refused(&ready), [("native_histogram", 1), ("delta_temporality", 2)]);
    let kinds = ["http_requests_total", "http_duration_seconds_count", "http_summary_seconds"]
        .map(|metric| rig.only(metric).kind);
    assert_eq!(kinds, [Kind::Counter, Kind::Counter, Kind::Gauge]);
    assert_eq!(&*rig.only("system_memory_usage_bytes").unit, "bytes");
}

#[test]
fn json_means_the_same() {
    let mut rig = Rig::of(&["web-1"]);
    let wire = exported(&mut rig, &export().0);
    let json =
        rig.take("otlp", |intake| otlp::decode_json(JSON.as_bytes(), false, None, intake)).unwrap();
    assert_eq!(rig.text(&json), rig.text(&wire));
    assert_eq!(refused(&json), refused(&wire));
    assert_eq!(rig.ground.catalog.len(), 10);
}

#[test]
fn an_answer_says_what_was_rejected() {
    let mut rig = Rig::of(&["web-1"]);
    let judged = exported(&mut rig, &export().0).judged;
    let outcome = Outcome { refused: judged.refused, first: judged.first, ..Outcome::default() };
    let complaint = outcome.complaint().unwrap();
    assert!(complaint.starts_with("`http.changes` has the changes"), "{complaint}");
    let expected = message().message(1, message().varint(1, 3).text(2, &complaint)).0;
    assert_eq!(otlp::response(&outcome), expected);
    let json: serde_json::Value = serde_json::from_slice(&otlp::response_json(&outcome)).unwrap();
    assert_eq!(json["partialSuccess"]["rejectedDataPoints"], "3");
    assert_eq!(otlp::response(&Outcome::default()), b"");
}

fn exported(rig: &mut Rig, body: &[u8]) -> Ready {
    rig.take("otlp", |intake| otlp::decode(body, false, None, intake)).unwrap()
}
