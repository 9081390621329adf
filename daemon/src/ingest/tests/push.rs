//! JSON pushes.

use super::{
    super::{intake::Ready, push, refusal::Refusal},
    Rig, refused, samples,
};

#[test]
fn one_line_of_curl_is_a_sample_of_now() {
    let mut rig = Rig::of(&["*"]);
    let line = r#"{"server": "web-1", "metrics": {"temperature_celsius": 21.5}}"#;
    let ready = pushed(&mut rig, line).unwrap();
    assert_eq!(rig.text(&ready), ["web-1 push 0 temperature_celsius 21.5"]);
    assert_eq!(&*rig.only("temperature_celsius").unit, "celsius");
}

#[test]
fn a_token_for_one_server_needs_not_name_it() {
    let mut rig = Rig::of(&["web-1"]);
    let ready = pushed(&mut rig, r#"{"metrics": {"a": 1, "b": -2}}"#).unwrap();
    assert_eq!(rig.text(&ready), ["web-1 push 0 a 1.0", "web-1 push 0 b -2.0"]);
    let mut rig = Rig::of(&["web-1", "web-2"]);
    let refusal = pushed(&mut rig, r#"{"metrics": {"a": 1}}"#).unwrap_err();
    assert!(refusal.detail.starts_with("server is missing"), "{refusal}");
}

#[test]
fn what_stands_beside_the_samples_holds_where_they_do_not_say_otherwise() {
    let mut rig = Rig::of(&["*"]);
    let body = r#"{"server": "web-1", "collector": "mail", "labels": {"site": "a"}, "time": 1764099999000, "samples": [
        {"metric": "queue", "value": 3},
        {"metric": "queue", "value": 4, "labels": {"site": "b"}, "time": 1764099998000},
        {"metric": "queue", "value": 5, "server": "web-2", "collector": "x"}]}"#;
    let ready = pushed(&mut rig, body).unwrap();
    let expected = [
        r#"web-1 mail -2000 queue{site="b"} 4.0"#,
        r#"web-1 mail -1000 queue{site="a"} 3.0"#,
        r#"web-2 x -1000 queue{site="a"} 5.0"#,
    ];
    assert_eq!(rig.text(&ready), expected);
}

#[test]
fn every_fault_is_named_with_its_place() {
    check("{", "the body is no JSON: EOF");
    check("[]", "the body must be an object");
    check("{}", "the body has neither `metrics` nor `samples`");
    check(r#"{"metric": {}}"#, "metric is unknown; known are server,");
    check(r#"{"metrics": {"a": "1"}}"#, "metrics.a must be a number");
    check(r#"{"samples": {}}"#, "samples must be an array");
    check(
        r#"{"samples": [{"metric": "a", "value": 1}, {"value": 1}]}"#,
        "samples[1].metric is missing",
    );
    check(r#"{"samples": [{"metric": "a"}]}"#, "samples[0].value is missing");
    check(r#"{"samples": [{"metric": "a", "value": null}]}"#, "samples[0].value must be a number");
    check(
        r#"{"samples": [{"metric": "a", "value": 1, "labels": {"b": 2}}]}"#,
        "samples[0].labels.b must be a string",
    );
    check(
        r#"{"samples": [{"metric": "a", "value": 1, "labels": {"server": "x"}}]}"#,
        "samples[0].labels.server is no label",
    );
    check(
        r#"{"samples": [{"metric": "a", "value": 1, "time": 1764100000}]}"#,
        "samples[0].time is 1764100000, must be milliseconds",
    );
    check(
        r#"{"samples": [{"metric": "a", "value": 1, "time": 1.5}]}"#,
        "samples[0].time must be whole milliseconds",
    );
}

#[track_caller]
fn check(body: &str, words: &str) {
    let refusal = pushed(&mut Rig::of(&["web-1"]), body).unwrap_err();
    assert!(refusal.detail.starts_with(words), "{refusal}");
}

#[test]
fn what_may_not_be_written_is_refused_and_the_rest_is_not() {
    let mut rig = Rig::of(&["web-1", "web-2"]);
    let body = r#"{"samples": [{"server": "web-2", "metric": "a", "value": 1},
        {"server": "web-3", "metric": "a", "value": 1}]}"#;
    let ready = pushed(&mut rig, body).unwrap();
    assert_eq!((samples(&ready), refused(&ready)), (1, vec![("not_your_server", 1)]));
}

fn pushed(rig: &mut Rig, body: &str) -> Result<Ready, Refusal> {
    let writer = rig.writer.clone();
    rig.take("push", |intake| push::decode(body.as_bytes(), writer.only_server(), intake))
}
