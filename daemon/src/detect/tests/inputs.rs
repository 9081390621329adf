//! Restarts, other rules, and series that end.

use super::*;

#[test]
fn a_restart_goes_on_and_its_absence_does_not_count() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 6);
    let recall = rig.memory(Some(6));
    let mut rig = Rig::recalled(vec![patient()], recall, 1006);
    assert_eq!(rig.shows(WARNING).told(), ["1007: pending warning 1002..1012"]);
    assert_eq!(
        rig.keeps(WARNING, 5).told(),
        ["1012: warning"],
        "it had waited before: no «meanwhile»"
    );
}

#[test]
fn what_was_over_or_began_meanwhile_is_marked() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL);
    let recall = rig.memory(Some(1));
    assert_eq!(Rig::recalled(vec![rule()], recall.clone(), 60).shows(CRITICAL).told(), [""; 0]);
    let mut over = Rig::recalled(vec![rule()], recall, 60);
    assert_eq!(over.shows(FINE).told(), ["61: ok, meanwhile"]);
    assert_eq!(over.shows(CRITICAL).told(), ["62: critical"]);

    let nothing = Recall { absent_since_ms: Some(1000), ..Recall::default() };
    let mut began = Rig::recalled(vec![patient()], nothing, 60);
    began.keeps(CRITICAL, 5);
    assert_eq!(began.told(), ["61: pending critical 61..66"]);
    assert_eq!(began.shows(CRITICAL).told(), ["66: critical, meanwhile"]);
    assert_eq!(Rig::new(vec![rule()]).shows(CRITICAL).told(), ["1: critical"], "a first start");
}

#[test]
fn a_restart_without_samples_keeps_the_level_and_says_so() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL);
    let recall = rig.memory(Some(1));
    let mut rig = Rig::recalled(vec![rule()], recall, 60);
    assert_eq!(rig.passes(5).told(), [""; 0], "the first sample is on its way");
    let told = rig.passes(100).told();
    assert_eq!(told, ["70: critical, unknown: the collector reports nothing at all"]);
}

#[test]
fn a_rule_that_is_removed_withdraws_what_it_said() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL).told();
    rig.sentinel.follow(Vec::<RuleConfig>::new(), 1000);
    assert_eq!(rig.told(), ["1: withdrawn, its rule was removed"]);
    assert_eq!(rig.shows(CRITICAL).told(), [""; 0]);

    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL);
    let recall = rig.memory(Some(1));
    let mut rig = Rig::recalled(Vec::new(), recall, 60);
    assert_eq!(rig.told(), ["60: withdrawn, its rule or its collector was removed"]);
}

#[test]
fn a_rule_that_changes_goes_on_by_its_new_limits() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL).told();
    let milder = RuleConfig { critical: None, ..rule() };
    rig.sentinel.follow(vec![milder], 1000);
    assert_eq!(rig.shows(CRITICAL).told(), ["2: warning"]);
    let higher = RuleConfig { warning: Some(limit(1.0, 1.0, 0)), critical: None, ..rule() };
    rig.sentinel.follow(vec![higher], 2000);
    assert_eq!(rig.shows(CRITICAL).told(), ["3: ok"]);
}

#[test]
fn a_series_that_has_ended_for_a_day_is_withdrawn() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL).told();
    rig.goes_on_without_it(25 * 3600);
    let told = rig.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1], "86402: withdrawn, no sample for a day: the series has ended");
    assert_eq!(rig.shows(CRITICAL).told(), ["90002: critical"], "it came back");
}

#[test]
fn a_remembered_series_that_never_comes_back_is_withdrawn_a_day_after_the_start() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL);
    let recall = rig.memory(Some(1));
    let mut rig = Rig::recalled(vec![rule()], recall, 60);
    rig.goes_on_without_it(25 * 3600);
    let told = rig.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1], "86461: withdrawn, no sample for a day: the series has ended");
}

#[test]
fn what_a_rule_remembers_of_another_metric_is_withdrawn() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL);
    let mut recall = rig.memory(Some(1));
    recall.memories.values_mut().for_each(|(_, subject)| subject.metric = "other".into());
    let mut rig = Rig::recalled(vec![rule()], recall, 20);
    let told = rig.keeps(FINE, 5).told();
    assert_eq!(told[0], "20: withdrawn, its rule or its collector was removed");
    assert!(!told[1..].iter().any(|line| line.contains("meanwhile")), "{told:?}");
    assert_eq!(rig.shows(CRITICAL).told(), ["26: critical"]);
}

#[test]
fn a_limit_that_is_removed_withdraws_what_it_said() {
    let slow = RuleConfig { critical: Some(limit(0.95, 0.9, 60)), ..rule() };
    let without = RuleConfig { warning: None, ..slow.clone() };
    let mut rig = Rig::new(vec![slow]);
    rig.keeps(CRITICAL, 5);
    let recall = rig.memory(Some(5));
    rig.sentinel.follow(vec![without.clone()], 5000);
    let told = rig.shows(CRITICAL).told();
    assert_eq!(told, ["5: withdrawn, its limit was removed", "6: pending critical 1..61"]);

    let mut rig = Rig::recalled(vec![without], recall, 60);
    assert_eq!(rig.told(), ["60: withdrawn, its limit was removed"], "while nobody looked");
}
