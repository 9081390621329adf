//! What counts as begun or ended while the daemon was not running: what the first sample after the start shows.

use super::*;

fn away() -> Recall {
    Recall { absent_since_ms: Some(0), ..Recall::default() }
}

#[test]
fn a_breach_after_the_first_sample_began_under_our_eyes() {
    let mut rig = Rig::recalled(vec![windowed(NoData::Keep)], away(), 100);
    assert_eq!(rig.keeps(FINE, 20).keeps(1000.0, 100).told(), ["160: warning"]);
}

#[test]
fn a_breach_that_the_first_sample_shows_began_meanwhile() {
    let mut rig = Rig::recalled(vec![windowed(NoData::Keep)], away(), 100);
    assert_eq!(rig.keeps(CRITICAL, 100).told(), ["160: warning, meanwhile"]);
}

#[test]
fn an_end_counts_as_meanwhile_only_if_the_first_sample_was_fine() {
    for (first, marked) in [(FINE, "160: ok, meanwhile"), (CRITICAL, "160: ok")] {
        let mut rig = Rig::new(vec![windowed(NoData::Keep)]);
        rig.keeps(CRITICAL, 60);
        let recall = rig.memory(Some(60));
        let mut rig = Rig::recalled(vec![windowed(NoData::Keep)], recall, 100);
        assert_eq!(rig.shows(first).keeps(FINE, 100).told(), [marked]);
    }
}

#[test]
fn an_absence_that_ended_meanwhile_is_marked() {
    let rule = RuleConfig { no_data: NoData::Alert, ..rule() };
    let mut rig = Rig::new(vec![rule.clone()]);
    rig.keeps(FINE, 10).passes(10);
    let recall = rig.memory(Some(20));
    let mut back = Rig::recalled(vec![rule.clone()], recall.clone(), 105);
    assert_eq!(back.keeps(FINE, 5).told(), ["106: no data: ok, meanwhile"]);
    let mut later = Rig::recalled(vec![rule], recall, 105);
    assert_eq!(later.passes(60).shows(FINE).told(), ["166: no data: ok"], "it came back since");
}
