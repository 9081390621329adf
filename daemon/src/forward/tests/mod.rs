//! Lines between a log in memory and a receiver that behaves as told.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod receiver;
mod rig;
mod vectors;
mod wire;

use std::time::Duration;

use self::{
    receiver::{Receiver, Reply},
    rig::{Rig, labels_of},
};
use super::{lookout::Lookout, messages::TargetState};
use crate::config::{ForwardConfig, Protocol};

#[tokio::test]
async fn samples_arrive_with_sorted_labels_and_their_values_bit_for_bit() {
    let rig = Rig::start(Protocol::V1).await;
    rig.append(1_000, &[("load1", 0.25), ("cpu_seconds_total", -0.0)]);
    rig.append(2_000, &[("load1", f64::MAX), ("cpu_seconds_total", 7.0)]);
    rig.arrived(4).await;

    let load1 = labels_of("load1");
    let stored = rig.receiver.stored();
    assert_eq!(stored[&load1], [(1_000, 0.25), (2_000, f64::MAX)].into());
    let cpu = &stored[&labels_of("cpu_seconds_total")];
    assert!(cpu[&1_000].is_sign_negative(), "minus zero is no default");
    let state =
        r#"__name__="bartizan_collector_state" collector="load" server="web-1" site="berlin""#;
    assert_eq!(stored[state], [(1_000, 1.0)].into());
    let told = rig.receiver.metadata();
    assert_eq!(told["cpu_seconds_total"], (1, "seconds".to_owned()), "a counter");
    assert_eq!(told["load1"], (2, String::new()), "a gauge");
    let request = rig.receiver.requests().pop().unwrap();
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("content-encoding"), Some("snappy"));
    assert_eq!(request.header("x-prometheus-remote-write-version"), Some("0.1.0"));
    assert_eq!(request.header("authorization"), Some("Basic d2ViLTE6aHVzaA=="));
}

#[tokio::test]
async fn version_2_goes_on_as_long_as_it_is_proved() {
    let rig = Rig::start(Protocol::V2).await;
    rig.append(1_000, &[("load1", 0.25), ("cpu_seconds_total", 3.0)]);
    rig.append(2_000, &[("load1", 0.5)]);
    rig.arrived(3).await;
    assert_eq!(rig.receiver.stored()[&labels_of("load1")], [(1_000, 0.25), (2_000, 0.5)].into());
    assert_eq!(rig.receiver.metadata()["cpu_seconds_total"], (1, "seconds".to_owned()));
    let view = rig.view();
    assert_eq!((view.protocol, view.sent, view.refused), (Protocol::V2, 4, 0));
    let request = rig.receiver.requests().pop().unwrap();
    let kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    assert_eq!(request.header("content-type"), Some(kind));
    assert_eq!(request.header("x-prometheus-remote-write-version"), Some("2.0.0"));
}

#[tokio::test]
async fn success_without_a_proof_is_none_and_everything_is_sent_again_in_version_1() {
    let rig = Rig::start(Protocol::V2).await;
    // As Prometheus 2.42 and VictoriaMetrics 1.79 do: they store nothing and say 204.
    rig.receiver.script([Reply::Status(204, "")]);
    rig.append(1_000, &[("load1", 0.25)]);
    rig.append(2_000, &[("load1", 0.5)]);
    rig.arrived(2).await;
    let view = rig.view();
    assert_eq!((view.protocol, view.refused), (Protocol::V1, 0));
    assert!(view.error.unwrap().contains("no proof of remote write 2.0"));
    assert_eq!(rig.receiver.twice(), 0);
}

#[tokio::test]
async fn what_was_taken_before_the_version_changed_is_known_and_not_refused() {
    let rig = Rig::start(Protocol::V2).await;
    rig.receiver.takes_nothing_twice();
    // Taken without an answer; then somebody older answers, who does not know 2.0.
    rig.receiver.script([Reply::Lost, Reply::Status(415, "what is this")]);
    for at in 1..=40 {
        rig.append(at * 1_000, &[("load1", at as f64), ("load5", 0.5), ("load15", 0.5)]);
    }
    rig.view_when("all is done with", |view| view.known + view.sent + view.refused == 121).await;
    let view = rig.view();
    assert_eq!((view.protocol, view.refused, rig.receiver.twice()), (Protocol::V1, 0, 0));
    assert!(view.known > 0);
    rig.arrived(120).await;
}

#[tokio::test]
async fn what_was_taken_without_a_proof_is_known_too() {
    let rig = Rig::start(Protocol::V2).await;
    rig.receiver.takes_nothing_twice();
    rig.receiver.script([Reply::Unproven]);
    rig.append(1_000, &[("load1", 0.25), ("load5", 0.5)]);
    rig.view_when("it is done with", |view| view.known + view.sent + view.refused == 3).await;
    let view = rig.view();
    assert_eq!((view.known, view.refused, rig.receiver.twice()), (3, 0, 0));
}

#[tokio::test]
async fn a_lookout_hears_whoever_answers_and_leaves_nothing_there() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::Status(503, "still starting"), Reply::Cut]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = [nobody, receiver.address].map(|address| format!("http://{address}/api/v1/write"));
    let config = ForwardConfig { timeout: Duration::from_secs(5), ..ForwardConfig::default() };
    let pause = Duration::from_millis(5);
    let mut lookout = Lookout::begin(config.into(), Protocol::V1, &urls, pause);
    let heard = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match lookout.heard() {
                Some(hub) => break hub,
                None => tokio::time::sleep(pause).await,
            }
        }
    });
    assert_eq!(heard.await, Ok(1));
    assert_eq!((receiver.requests().len(), receiver.stored().len()), (3, 0));
}

#[tokio::test]
async fn what_time_mends_is_sent_again_until_it_is_taken() {
    let rig = Rig::start(Protocol::V1).await;
    let begin = "HTTP/1.1 503 Service Unavailable\r\n";
    rig.receiver.script([Reply::Cut, Reply::Status(503, "store is full"), Reply::Part(begin)]);
    rig.append(1_000, &[("load1", 0.25)]);
    rig.waits_in(TargetState::Waiting).await;
    rig.append(2_000, &[("load1", 0.5)]);
    rig.arrived(2).await;
    let view = rig.view();
    assert_eq!((view.sent, view.refused, view.lag_ms), (3, 0, 0));
    assert_eq!(view.state, TargetState::Sending);
    assert!(view.failures >= 2, "{view:?}");
}

#[tokio::test]
async fn the_other_side_is_left_alone_for_as_long_as_it_wants() {
    let rig = Rig::start(Protocol::V1).await;
    rig.receiver.after_metadata([Reply::Wait(429, "1")]);
    let began = std::time::Instant::now();
    rig.append(1_000, &[("load1", 0.25)]);
    rig.arrived(1).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_too_large_is_halved_until_it_fits() {
    let rig = Rig::start(Protocol::V1).await;
    rig.receiver.takes_at_most(60);
    let names: Vec<String> = (0..500).map(|number| format!("metric_{number}")).collect();
    let frame: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
    rig.append(1_000, &frame);
    rig.append(2_000, &frame);
    rig.arrived(1_000).await;
    assert_eq!((rig.view().refused, rig.receiver.twice()), (0, 0));
}

#[tokio::test]
async fn of_a_batch_that_is_refused_as_a_whole_only_what_is_bad_is_lost() {
    let rig = Rig::start(Protocol::V1).await;
    // As Prometheus does with a sample out of order: nothing of the request is stored.
    rig.receiver.rolls_back_with("bad");
    for at in 1..=50 {
        rig.append(at * 1_000, &[("load1", at as f64), ("load5", 0.5)]);
    }
    rig.append(51_000, &[("bad", 1.0), ("load1", 51.0)]);
    rig.append(52_000, &[("load1", 52.0)]);
    rig.arrived(102).await;
    let view = rig.view();
    assert_eq!((view.refused, rig.receiver.twice()), (1, 0));
    assert!(view.error.unwrap().contains("out of order"));
    assert_eq!(rig.receiver.stored()[&labels_of("load1")].len(), 52);
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_holds_up_nobody_for_ever() {
    let rig = Rig::start(Protocol::V1).await;
    rig.receiver.rolls_back_with("");
    for at in 1..=2_000 {
        rig.append(at, &[("load1", 1.0)]);
    }
    rig.view_when("all is refused", |view| view.refused == 2_001).await;
    assert!(rig.receiver.requests().len() < 250, "{}", rig.receiver.requests().len());
}

#[tokio::test]
async fn what_was_taken_without_an_answer_is_known_and_hides_nothing_new() {
    let mut rig = Rig::start(Protocol::V1).await;
    rig.receiver.takes_nothing_twice();
    rig.receiver.after_metadata([Reply::Lost]);
    for at in 1..=40 {
        rig.append(at * 1_000, &[("load1", at as f64), ("load5", 0.5), ("load15", 0.5)]);
    }
    rig.view_when("all is known", |view| view.known + view.sent == 121).await;
    assert!(rig.view().known > 0);
    rig.stop().await;
    // Killed before its cursor was kept.
    rig.append(41_000, &[("load1", 41.0)]);
    rig.restart_at(0).await;
    rig.arrived(121).await;
    assert_eq!((rig.view().refused, rig.receiver.twice()), (0, 0));
}

#[tokio::test]
async fn what_was_taken_without_an_answer_is_still_known_in_halves() {
    let rig = Rig::start(Protocol::V1).await;
    rig.receiver.takes_nothing_twice();
    rig.receiver.after_metadata([Reply::Lost, Reply::Status(413, "too much")]);
    for at in 1..=40 {
        rig.append(at * 1_000, &[("load1", at as f64)]);
    }
    rig.view_when("all is known", |view| view.known + view.sent + view.refused == 41).await;
    assert_eq!((rig.view().refused, rig.receiver.twice()), (0, 0));
}

#[tokio::test]
async fn what_is_refused_for_another_reason_is_not_known_though_in_doubt() {
    let mut rig = Rig::start(Protocol::V1).await;
    rig.stop().await;
    rig.append(1_000, &[("load1", 0.25), ("load5", 0.5)]);
    rig.receiver.after_metadata(vec![Reply::Status(400, "label name is not valid"); 8]);
    rig.restart_at(0).await;
    rig.view_when("all is refused", |view| view.refused == 3).await;
    assert_eq!(rig.view().known, 0);
}

#[tokio::test]
async fn a_partial_success_is_counted_and_not_sent_again() {
    let rig = Rig::start(Protocol::V1).await;
    rig.receiver.after_metadata([Reply::Wrote(400, 2, "sample too old")]);
    rig.append(1_000, &[("load1", 0.25), ("load5", 0.5)]);
    rig.view_when("it is counted", |view| (view.sent, view.refused) == (2, 1)).await;
    rig.append(2_000, &[("load1", 0.5)]);
    rig.arrived(1).await;
}

#[tokio::test]
async fn a_wrong_token_is_held_until_somebody_mends_it() {
    let rig = Rig::start(Protocol::V1).await;
    rig.receiver.refuses_everybody(true);
    rig.append(1_000, &[("load1", 0.25)]);
    rig.waits_in(TargetState::Held).await;
    let view = rig.view();
    assert!(view.error.unwrap().contains("status 401: who are you; check the token"));
    assert!(view.lag_ms > 0, "it waits");
    rig.receiver.refuses_everybody(false);
    rig.again();
    rig.arrived(1).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let rig = Rig::start(Protocol::V1).await;
    rig.receiver.after_metadata([Reply::Moved("https://elsewhere.example.org/write")]);
    rig.append(1_000, &[("load1", 0.25)]);
    rig.waits_in(TargetState::Held).await;
    assert!(rig.view().error.unwrap().contains("elsewhere.example.org/write; name the final URL"));
}

#[tokio::test]
async fn gaps_are_told_and_what_was_deleted_is_one() {
    let rig = Rig::start(Protocol::V1).await;
    rig.append(1_000, &[("load1", 0.25)]);
    rig.gap(2_000, "plugin timed out");
    rig.append(5_000, &[("load1", 0.5)]);
    rig.arrived(2).await;
    rig.lose();
    rig.append(9_000, &[("load1", 0.75)]);
    rig.arrived(3).await;
    let stored = rig.receiver.stored();
    let gap = |reason: &str| {
        let labels = r#"collector="load" reason=REASON server="web-1" site="berlin""#;
        let labels = labels.replace("REASON", &format!("{reason:?}"));
        stored[&format!(r#"__name__="bartizan_gap" {labels}"#)].clone()
    };
    assert_eq!(gap("plugin timed out"), [(2_000, 1.0), (5_000, 0.0)].into());
    assert_eq!(gap(super::tidings::DELETED), [(5_001, 1.0), (9_000, 0.0)].into());
    assert_eq!(rig.view().lost, 1);
}

#[tokio::test]
async fn a_line_that_starts_again_goes_on_at_its_cursor() {
    let mut rig = Rig::start(Protocol::V1).await;
    rig.append(1_000, &[("load1", 0.25)]);
    rig.arrived(1).await;
    let place = rig.view_of_cursor();
    rig.stop().await;
    rig.append(2_000, &[("load1", 0.5)]);
    rig.restart_at(place).await;
    rig.arrived(2).await;
    assert_eq!(rig.receiver.twice(), 0);
}
