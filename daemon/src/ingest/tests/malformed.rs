//! Whatever a body holds, it is read or refused: nothing panics, and nothing grows beyond what was sent.

use super::{
    super::{otlp, push, unpack, write_v1, write_v2},
    NOW_MS, Rig,
    encode::{Message, RequestV2, message, series},
    otlp::export,
};

const LABELS: [(&str, &str); 3] = [("__name__", "load1"), ("core", "0"), ("server", "web-1")];

/// Every decoder on `body`; how many of them understood it.
fn decoded(body: &[u8]) -> usize {
    let mut rig = Rig::of(&["web-1"]);
    [
        rig.take("write", |intake| write_v1::decode(body, intake)).is_ok(),
        rig.take("write", |intake| write_v2::decode(body, intake)).is_ok(),
        rig.take("push", |intake| push::decode(body, None, intake)).is_ok(),
        rig.take("otlp", |intake| otlp::decode(body, false, None, intake)).is_ok(),
        rig.take("otlp", |intake| otlp::decode_json(body, false, None, intake)).is_ok(),
        unpack::snappy(body).is_ok(),
        unpack::gzip(body, 1 << 20).is_ok(),
    ]
    .into_iter()
    .filter(|understood| *understood)
    .count()
}

fn whole() -> [Vec<u8>; 4] {
    let metadata = message().varint(1, 1).text(2, "load1").text(5, "tasks");
    let v1 = message()
        .messages(1, [series(&LABELS, &[(0.5, NOW_MS), (0.6, NOW_MS + 1)])])
        .message(3, metadata);
    let mut v2 = RequestV2::new();
    v2.series(&LABELS, (2, "tasks"), &[(0.5, NOW_MS)]);
    let push = br#"{"server": "web-1", "metrics": {"load1": 0.5}, "samples": []}"#;
    [v1.0, v2.body(), push.to_vec(), export().0]
}

#[test]
fn every_truncation_is_refused_or_is_a_message_of_its_own() {
    let [v1, v2, push, _] = whole();
    for at in 0..v1.len() {
        let mut rig = Rig::of(&["web-1"]);
        let taken = rig.take("write", |intake| write_v1::decode(&v1[..at], intake));
        // The first series is whole, and what follows it has not begun.
        let is_whole = taken.is_ok_and(|ready| at == 0 || super::samples(&ready) == 2);
        let begins = at == 0 || at == v1.len() - message_length(&v1);
        assert_eq!(is_whole, begins, "{at} of {}", v1.len());
    }
    for body in [&v2, &push] {
        (0..body.len()).for_each(|at| {
            decoded(&body[..at]);
        });
    }
    for at in 1..push.len() {
        let mut rig = Rig::of(&["web-1"]);
        let refused = rig.take("push", |intake| push::decode(&push[..at], None, intake));
        assert!(refused.is_err(), "{at}");
    }
}

/// Bytes of the last field of a request of 1.0, the metadata.
fn message_length(v1: &[u8]) -> usize {
    let metadata: Message = message().varint(1, 1).text(2, "load1").text(5, "tasks");
    let field = message().message(3, metadata).0;
    assert!(v1.ends_with(&field));
    field.len()
}

#[test]
fn a_bomb_of_labels_is_refused_series_by_series() {
    let mut rig = Rig::of(&["*"]);
    let names: Vec<String> = (0..100_000).map(|at| format!("l{at}")).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
    let body = message().message(1, series(&labels, &[(1.0, NOW_MS)])).0;
    let ready = rig.take("write", |intake| write_v1::decode(&body, intake)).unwrap();
    assert_eq!(super::refused(&ready), [("too_many_labels", 1)]);
    assert!(ready.judged.first.unwrap().detail.len() < 2000, "the answer stays short");

    let value = "x".repeat(1 << 20);
    let labels = [LABELS[0], ("long", &*value), LABELS[2]];
    let body = message().message(1, series(&labels, &[(1.0, NOW_MS)])).0;
    let ready = rig.take("write", |intake| write_v1::decode(&body, intake)).unwrap();
    assert_eq!(super::refused(&ready), [("label_too_long", 1)]);
    assert_eq!(rig.ground.catalog.len(), 0, "nothing was learnt");
}

proptest::proptest! {
    #[test]
    fn random_bytes_bring_nobody_down(body in proptest::collection::vec(0u8.., 0..400)) {
        decoded(&body);
    }

    #[test]
    fn damaged_messages_bring_nobody_down(
        which in 0usize..4,
        at in 0usize..10_000,
        bytes in proptest::collection::vec(0u8.., 1..9),
    ) {
        let mut body = whole()[which].clone();
        let at = at % body.len();
        let end = (at + bytes.len()).min(body.len());
        body.splice(at..end, bytes);
        decoded(&body);
    }
}
