//! Which manifests are taken, and what is said of the others.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

use std::{error::Error, time::Duration};

use serde_json::{Value, json};

use super::{Kind, Manifest, ManifestError, Threads, parse_duration, trim};

fn nginx() -> Value {
    json!({"abi": {"major": 1, "min_minor": 0}, "id": "org.example.nginx", "name": "nginx", "version": "1.2.0",
        "authors": ["A <a@example.org>"], "license": "MIT", "description": "nginx stub_status", "interval": "10s",
        "timeout": "500ms", "threads": "single", "needs": {"read": ["/var/log/nginx"], "connect": ["tcp:80"]},
        "config_schema": {"type": "object"}, "metrics": [{"name": "nginx_connections_active", "kind": "gauge",
            "unit": "connections", "labels": ["port"], "help": "Open client connections", "max_series": 64,
            "alerts": [{"name": "too many"}]}], "a_key_of_tomorrow": 7})
}

fn parse(manifest: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(manifest.to_string().as_bytes())
}

fn with(pointer: &str, value: Value) -> Value {
    let mut manifest = nginx();
    *manifest.pointer_mut(pointer).unwrap() = value;
    manifest
}

#[test]
fn a_full_manifest_is_read_and_unknown_keys_are_ignored() {
    let manifest = parse(&nginx()).unwrap();
    assert_eq!(manifest.id, "org.example.nginx");
    assert_eq!(manifest.interval, Some(Duration::from_secs(10)));
    assert_eq!(manifest.timeout, Some(Duration::from_millis(500)));
    assert_eq!(manifest.threads, Threads::Single);
    assert_eq!(manifest.needs.connect, ["tcp:80"]);
    let [metric] = manifest.metrics.as_slice() else { panic!("one metric: {manifest:?}") };
    assert_eq!((metric.kind, metric.max_series), (Kind::Gauge, Some(64)));
}

#[test]
fn what_may_be_left_out_has_defaults() {
    let manifest =
        parse(&json!({"abi": {"major": 1, "min_minor": 0}, "id": "a", "name": "a", "version": "1",
        "metrics": []}))
        .unwrap();
    assert_eq!((manifest.interval, manifest.threads), (None, Threads::Multi));
    assert_eq!(manifest.config_schema, json!({"type": "object"}));
}

#[test]
fn another_abi_is_refused_before_the_rest_is_looked_at() {
    let newer = json!({"abi": {"major": 1, "min_minor": 4}, "metrics": "of another shape"});
    assert_eq!(parse(&newer).unwrap_err().to_string(), "needs ABI 1.4, this daemon has 1.0");
    let major = json!({"abi": {"major": 2, "min_minor": 0}});
    assert_eq!(parse(&major).unwrap_err().to_string(), "needs ABI 2.0, this daemon has 1.0");
}

#[test]
fn a_value_that_breaks_a_rule_is_named() {
    for (pointer, value, text) in [
        ("/id", json!("Org Example"), "manifest's id is \"Org Example\", must have 1 to 128"),
        ("/name", json!(""), "manifest's name is \"\", must have 1 to 64"),
        (
            "/config_schema",
            json!(true),
            "manifest's config_schema is \"true\", must be a JSON object",
        ),
        ("/metrics/0/name", json!("9lives"), "manifest's metrics[0].name is \"9lives\""),
        ("/metrics/0/labels", json!(["a-b"]), "manifest's metrics[0].labels is \"a-b\""),
        ("/metrics/0/labels", json!(["a", "a"]), "must stand only once"),
        ("/metrics/0/labels", json!(vec!["a"; 17]), "is \"17\", must be at most 16"),
    ] {
        let error = parse(&with(pointer, value)).unwrap_err().to_string();
        assert!(error.contains(text), "{pointer}: {error}");
    }
}

#[test]
fn what_is_no_manifest_says_why() {
    for (bytes, text) in [
        (&b"{"[..], "EOF while parsing"),
        (b"\xff\xfe", "expected value"),
        (b"{\"id\":\"a\"}", "missing field `abi`"),
    ] {
        let error = Manifest::parse(bytes).unwrap_err();
        assert_eq!(error.to_string(), "failed to parse manifest");
        let source = error.source().unwrap().to_string();
        assert!(source.contains(text), "{source}");
    }
    assert!(matches!(Manifest::parse(b"\0\0"), Err(ManifestError::Empty)));
    let long = vec![b' '; super::MAX_BYTES + 1];
    assert!(matches!(Manifest::parse(&long), Err(ManifestError::TooLong { .. })));
    let source =
        parse(&with("/interval", json!("soon"))).unwrap_err().source().unwrap().to_string();
    assert!(source.contains("\"soon\" is no duration like"), "{source}");
}

#[test]
fn the_zero_bytes_of_a_c_string_are_not_part_of_it() {
    assert_eq!(trim(b"{}\0\0"), b"{}");
    assert_eq!(trim(b"\0"), b"");
}

#[test]
fn durations_are_whole_numbers_with_a_unit() {
    assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
    assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7200)));
    for bad in [
        "",
        "5",
        "s",
        "0s",
        "-1s",
        "1.5s",
        "5 s",
        "1d",
        "99999999999999999999s",
        "9999999999999999999h",
    ] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
}
