//! Remote write, both versions.

use super::{
    super::{protobuf::Malformed, write_v1, write_v2},
    NOW_MS, Rig,
    encode::{Message, RequestV2, message, series},
    refused, samples,
};
use crate::{
    ingest::intake::Ready,
    series::{Kind, PRESUMED_INTERVAL_MS},
};

const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

const LOAD: [(&str, &str); 4] =
    [("__name__", "load1"), ("collector", "load"), ("core", "0"), ("server", "web-1")];
const UP: [(&str, &str); 3] = [("__name__", "up"), ("instance", "web-2:9100"), ("job", "node")];

#[test]
fn samples_of_one_collector_and_instant_are_one_frame() {
    let mut rig = Rig::of(&["*"]);
    let body = message()
        .message(1, series(&LOAD, &[(0.5, NOW_MS - 1000), (0.25, NOW_MS)]))
        .message(1, series(&UP, &[(1.0, NOW_MS - 500)]))
        .message(1, series(&[("__name__", "load5"), LOAD[1], LOAD[3]], &[(2.0, NOW_MS - 1000)]));
    let ready = v1(&mut rig, &body).unwrap();
    let expected = [
        r#"web-1 load -1000 load1{core="0"} 0.5"#,
        "web-1 load -1000 load5 2.0",
        r#"web-2 node -500 up{instance="web-2:9100",job="node"} 1.0"#,
        r#"web-1 load 0 load1{core="0"} 0.25"#,
    ];
    assert_eq!(rig.text(&ready), expected);
    assert_eq!(ready.batch.frames.len(), 3);
    assert_eq!((samples(&ready), refused(&ready)), (4, vec![]));
}

#[test]
fn both_versions_and_every_order_of_fields_mean_the_same_series() {
    let mut rig = Rig::of(&["web-1"]);
    let whole = series(&LOAD, &[(0.5, NOW_MS)]);
    let label = |at: usize| message().text(1, LOAD[at].0).text(2, LOAD[at].1);
    let scattered = message()
        .messages(1, [label(3), label(0)])
        .message(2, message().int(2, NOW_MS).double(1, 0.5))
        .messages(1, [label(2), label(1)]);
    let mut v2_request = RequestV2::new();
    v2_request.series(&LOAD, (0, ""), &[(0.5, NOW_MS)]);

    let texts = [
        v1(&mut rig, &message().message(1, whole)).map(|ready| rig.text(&ready)),
        v1(&mut rig, &message().message(1, scattered)).map(|ready| rig.text(&ready)),
        v2(&mut rig, &v2_request).map(|ready| rig.text(&ready)),
    ];
    let [first, ..] = &texts;
    assert_eq!(first.as_ref().unwrap(), &[r#"web-1 load 0 load1{core="0"} 0.5"#]);
    assert!(texts.iter().all(|text| text == first), "{texts:?}");
    assert_eq!(rig.ground.catalog.len(), 1);
}

#[test]
fn values_come_through_bit_for_bit_and_stale_markers_are_none() {
    let mut rig = Rig::of(&["*"]);
    let nan = f64::from_bits(0x7ff8_0000_0000_0001);
    let values = [nan, -0.0, f64::INFINITY, f64::MIN_POSITIVE, STALE, 0.0];
    let brought: Vec<_> = (NOW_MS..).zip(values).map(|(at_ms, value)| (value, at_ms)).collect();
    let ready = v1(&mut rig, &message().message(1, series(&LOAD, &brought))).unwrap();
    let bits = ready.batch.frames.iter().map(|frame| frame.samples[0].value.to_bits());
    let expected = [nan, -0.0, f64::INFINITY, f64::MIN_POSITIVE, 0.0].map(f64::to_bits);
    assert_eq!(bits.collect::<Vec<_>>(), expected);
    assert_eq!((ready.judged.stale, refused(&ready)), (1, vec![]));
}

#[test]
fn metadata_says_what_names_do_not() {
    let mut rig = Rig::of(&["*"]);
    let labels = [("__name__", "segments"), ("server", "web-1")];
    let body = message().message(1, series(&labels, &[(1.0, NOW_MS)]));
    v1(&mut rig, &body).unwrap();
    assert_eq!(rig.only("segments").kind, Kind::Gauge);

    let metadata = message().varint(1, 1).text(2, "segments").text(4, "What?").text(5, "packets");
    v1(&mut rig, &message().message(3, metadata)).unwrap();
    v1(&mut rig, &body).unwrap();
    let known = rig.only("segments");
    assert_eq!((known.kind, &*known.unit), (Kind::Counter, "packets"));

    let mut request = RequestV2::new();
    request.series(&labels, (2, "widgets"), &[(1.0, NOW_MS)]);
    v2(&mut rig, &request).unwrap();
    let known = rig.only("segments");
    assert_eq!((known.kind, &*known.unit), (Kind::Gauge, "widgets"));
}

#[test]
fn what_is_fine_is_taken_and_the_rest_is_named() {
    let mut rig = Rig::of(&["web-1"]);
    let many: Vec<_> = (0..70).map(|at| (format!("l{at:02}"), "x".to_owned())).collect();
    let mut many: Vec<(&str, &str)> = many.iter().map(|(a, b)| (&**a, &**b)).collect();
    many.extend(LOAD);
    let body = message()
        .message(1, series(&many, &[(1.0, NOW_MS)]))
        .message(1, series(&UP, &[(1.0, NOW_MS), (1.0, NOW_MS + 1)]))
        .message(1, series(&LOAD, &[(1.0, NOW_MS), (1.0, NOW_MS + 600_001)]))
        .message(1, message().message(4, message().double(3, 1.0)));
    let ready = v1(&mut rig, &body).unwrap();
    assert_eq!(rig.text(&ready), [r#"web-1 load 0 load1{core="0"} 1.0"#]);
    let expected =
        [("not_your_server", 2), ("too_many_labels", 1), ("future", 1), ("native_histogram", 1)];
    assert_eq!(refused(&ready), expected);
    let first = ready.judged.first.unwrap().detail;
    assert!(first.contains("token `t1` may not write `web-2`, only web-1"), "{first}");
}

#[test]
fn a_token_that_was_given_other_servers_may_write_no_more_than_those() {
    let mut rig = Rig::of(&["web-1"]);
    let body = message().message(1, series(&LOAD, &[(1.0, NOW_MS)]));
    assert_eq!(samples(&v1(&mut rig, &body).unwrap()), 1);
    rig.writer = Rig::of(&["web-9"]).writer;
    let ready = v1(&mut rig, &body).unwrap();
    assert_eq!((samples(&ready), refused(&ready)), (0, vec![("not_your_server", 1)]));
}

#[test]
fn the_interval_is_measured_and_everybody_hears_of_it() {
    let mut rig = Rig::of(&["*"]);
    for at in 0..8 {
        let body = message().message(1, series(&LOAD, &[(1.0, NOW_MS - 40_000 + at * 5000)]));
        v1(&mut rig, &body).unwrap();
        if at < 6 {
            assert_eq!(rig.only("load1").interval_ms, PRESUMED_INTERVAL_MS);
        }
    }
    assert_eq!(rig.only("load1").interval_ms, 5000);
    // Who comes later is of the same collector.
    let labels = [("__name__", "load5"), LOAD[1], LOAD[3]];
    v1(&mut rig, &message().message(1, series(&labels, &[(1.0, NOW_MS)]))).unwrap();
    assert_eq!(rig.only("load5").interval_ms, 5000);
    // An account that was lost finds what was measured before.
    let mut after = Rig::of(&["*"]);
    after.ground.catalog = rig.ground.catalog;
    v1(&mut after, &message().message(1, series(&LOAD, &[(1.0, NOW_MS)]))).unwrap();
    assert_eq!(after.only("load1").interval_ms, 5000);
}

#[test]
fn gaps_travel_as_series_and_become_gaps_again() {
    let mut rig = Rig::of(&["web-1"]);
    let gap = [LOAD[3], ("__name__", "bartizan_gap"), LOAD[1], ("reason", "plugin was killed")];
    let body = message()
        .message(1, series(&gap, &[(1.0, NOW_MS - 9000), (0.0, NOW_MS - 4000)]))
        .message(1, series(&LOAD, &[(1.0, NOW_MS - 10_000), (1.0, NOW_MS - 4000)]));
    let ready = v1(&mut rig, &body).unwrap();
    let [gap] = &ready.batch.gaps[..] else { panic!("{:?}", ready.batch.gaps) };
    assert_eq!((&*gap.server, &*gap.collector), ("web-1", "load"));
    assert_eq!((gap.from_ms - NOW_MS, gap.to_ms), (-9000, Some(NOW_MS - 4000)));
    assert_eq!(&*gap.reason, "plugin was killed");
    assert_eq!((samples(&ready), rig.ground.catalog.len()), (2, 1), "it is no series");
}

#[test]
fn symbols_that_are_not_there_are_refused() {
    let mut rig = Rig::of(&["*"]);
    for refs in [&[1, 2, 3][..], &[1, 99], &[u64::MAX, 1]] {
        let body = message().text(4, "").text(4, "__name__").text(4, "up");
        let body = body.message(5, message().packed(1, refs)).0;
        let error = rig.take("write", |intake| write_v2::decode(&body, intake)).unwrap_err();
        assert_eq!(error, Malformed::Symbol);
    }
}

fn v1(rig: &mut Rig, body: &Message) -> Result<Ready, Malformed> {
    rig.take("write", |intake| write_v1::decode(&body.0, intake))
}

fn v2(rig: &mut Rig, request: &RequestV2) -> Result<Ready, Malformed> {
    rig.take("write", |intake| write_v2::decode(&request.body(), intake))
}
