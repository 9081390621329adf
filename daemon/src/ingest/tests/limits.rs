//! What a token may make of servers, collectors and series, however it spells them.

use super::{
    super::{account::COLLECTORS_MAX, intake::Ready, write_v1},
    NOW_MS, Rig,
    encode::{Message, message, series},
    refused, samples,
};

#[test]
fn servers_and_series_have_limits_that_are_named() {
    let mut rig = Rig::of(&["*"]);
    rig.limits.max_servers = 2;
    rig.limits.max_series_per_server = 3;
    rig.limits.max_series = 5;
    let mut write = |server: &str, metrics: std::ops::Range<u8>| {
        let metrics: Vec<_> = metrics.map(|at| format!("m{at}")).collect();
        let all = metrics
            .iter()
            .map(|metric| series(&[("__name__", metric), ("server", server)], &[(1.0, NOW_MS)]));
        let ready = written(&mut rig, message().messages(1, all));
        let first = ready.judged.first.as_ref().map(|first| first.detail.clone());
        (samples(&ready), refused(&ready), first.unwrap_or_default())
    };
    let (stored, refused, words) = write("a", 0..4);
    assert_eq!((stored, refused), (3, vec![("too_many_series", 1)]));
    assert!(words.contains("`a` has 3 series") && words.contains("max_series_per_server"));
    let (stored, refused, words) = write("b", 0..3);
    assert_eq!((stored, refused), (2, vec![("too_many_series_of_token", 1)]));
    assert!(words.contains("written 5 series") && words.contains("max_series"), "{words}");
    let (stored, refused, words) = write("c", 0..1);
    assert_eq!((stored, refused), (0, vec![("too_many_servers", 1)]));
    assert!(words.contains("may write 2 (ingest.max_servers)"), "{words}");
    assert_eq!(write("a", 0..3).0, 3, "what is known goes on");
}

#[test]
fn signals_count_against_the_limits_and_cost_as_samples_do() {
    let mut rig = Rig::of(&["*"]);
    rig.limits.max_servers = 2;
    for metric in ["bartizan_gap", "bartizan_collector_state"] {
        let all = ["a", "b", "c"].map(|server| {
            let labels = [("__name__", metric), ("collector", "x"), ("server", server)];
            series(&labels, &[(0.0, NOW_MS)])
        });
        let ready = written(&mut rig, message().messages(1, all));
        assert_eq!(refused(&ready), [("too_many_servers", 1)], "{metric}");
        assert_eq!(ready.judged.signals, 2);
    }
    let body = message().message(1, series(&signal("x"), &[(0.0, NOW_MS)])).0;
    let mut cost = 0;
    let taken = rig
        .take("write", |intake| write_v1::decode(&body, intake).inspect(|()| cost = intake.cost()));
    assert_eq!((taken.unwrap().judged.signals, cost), (1, 2));
}

#[test]
fn collectors_of_a_server_have_a_limit_by_signals_and_by_series_alike() {
    let mut rig = Rig::of(&["*"]);
    let names: Vec<String> = (0..=COLLECTORS_MAX).map(|at| format!("c{at}")).collect();
    let all = names.iter().map(|name| series(&signal(name), &[(0.0, NOW_MS)]));
    let ready = written(&mut rig, message().messages(1, all));
    assert_eq!(refused(&ready), [("too_many_collectors", 1)]);
    let words = ready.judged.first.unwrap().detail;
    assert!(words.contains("`c1000`") && words.contains("may have 1000"), "{words}");

    // One series, which says that it is of ever other collectors.
    let mut rig = Rig::of(&["*"]);
    let all = names.iter().map(|name| {
        let labels = [("__name__", "up"), ("collector", name), ("server", "a")];
        series(&labels, &[(1.0, NOW_MS)])
    });
    let ready = written(&mut rig, message().messages(1, all));
    assert_eq!((samples(&ready), refused(&ready)), (1000, vec![("too_many_collectors", 1)]));
    assert_eq!(rig.ground.catalog.len(), 1);
}

#[test]
fn other_spellings_of_a_series_are_not_kept_for_ever() {
    let mut rig = Rig::of(&["*"]);
    rig.limits.max_series = 3;
    for at in 0..20 {
        // A label without a value is no label, but other bytes.
        let empty = format!("x{at}");
        let labels = [("__name__", "up"), ("server", "a"), (&*empty, "")];
        let ready = written(&mut rig, message().message(1, series(&labels, &[(1.0, NOW_MS)])));
        assert_eq!(samples(&ready), 1);
        assert!(rig.tables.known.len() <= 3);
    }
    assert_eq!(rig.tables.written.len(), 1);
}

#[test]
fn metadata_makes_no_room_for_more_series() {
    let mut rig = Rig::of(&["*"]);
    rig.limits.max_series = 2;
    let mut stored = 0;
    for at in 0..4 {
        let metric = format!("m{at}");
        let labels = [("__name__", &*metric), ("server", "a")];
        let metadata = message().varint(1, 1).text(2, &metric).text(5, "packets");
        let body = message().message(1, series(&labels, &[(1.0, NOW_MS)])).message(3, metadata);
        stored += samples(&written(&mut rig, body));
    }
    assert_eq!((stored, rig.ground.catalog.len()), (2, 2));
}

#[test]
fn times_that_no_clock_shows_are_refused_of_samples_and_of_signals() {
    let mut rig = Rig::of(&["*"]);
    let up = [("__name__", "up"), ("server", "a")];
    let times = [(1.0, i64::MIN), (1.0, i64::MAX), (1.0, -8_640_000_000_000_001), (1.0, 0)];
    let all = [series(&up, &times), series(&signal("x"), &times)];
    let ready = written(&mut rig, message().messages(1, all));
    assert_eq!(refused(&ready), [("future", 2), ("bad_time", 4)]);
    assert_eq!((samples(&ready), ready.judged.signals), (1, 1));
}

fn signal(collector: &str) -> [(&str, &str); 3] {
    [("__name__", "bartizan_collector_state"), ("collector", collector), ("server", "a")]
}

fn written(rig: &mut Rig, body: Message) -> Ready {
    rig.take("write", |intake| write_v1::decode(&body.0, intake)).unwrap()
}
