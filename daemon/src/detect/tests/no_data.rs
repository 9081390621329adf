//! Series whose absence is to be told: those that ended while nobody looked, and rules that change their mind.

use super::*;

fn asks() -> RuleConfig {
    RuleConfig { no_data: NoData::Alert, ..rule() }
}

#[test]
fn a_series_that_ended_while_the_daemon_was_not_running_is_missed() {
    let mut rig = Rig::new(vec![asks()]);
    rig.keeps(FINE, 100);
    let recall = rig.memory(Some(100));
    assert_eq!(recall.memories.len(), 1, "that it was there is remembered");
    let mut rig = Rig::recalled(vec![asks()], recall, 105);
    assert_eq!(rig.passes(3600).told(), ["115: no data: critical"]);
}

#[test]
fn that_a_series_is_there_is_told_once() {
    let mut rig = Rig::new(vec![asks()]);
    rig.keeps(FINE, 100);
    assert_eq!(rig.sentinel.take().len(), 1);
    rig.sentinel.follow(vec![rule()], rig.now * 1000);
    rig.keeps(FINE, 100);
    let told = rig.sentinel.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].memory, None, "nobody asks any more");
}

#[test]
fn a_series_that_ended_long_ago_is_forgotten_for_good() {
    let mut rig = Rig::new(vec![asks()]);
    rig.shows(FINE).goes_on_without_it(25 * 3600);
    let mut recall = rig.memory(None);
    assert_eq!(recall.memories.len(), 0);
    recall.absent_since_ms = Some(rig.now * 1000);
    let mut rig = Rig::recalled(vec![asks()], recall, rig.now);
    assert_eq!(rig.goes_on_without_it(3600).told(), [""; 0]);
}

#[test]
fn a_rule_that_begins_to_ask_misses_what_is_lost_and_one_that_ceases_to_ask_withdraws_it() {
    let mut rig = Rig::new(vec![rule()]);
    rig.keeps(FINE, 10).passes(20).told();
    rig.sentinel.follow(vec![asks()], rig.now * 1000);
    assert_eq!(rig.passes(600).told(), ["30: no data: critical"]);
    rig.sentinel.follow(vec![rule()], rig.now * 1000);
    let withdrawn = "630: no data: withdrawn, its rule no longer asks for samples";
    assert_eq!(rig.passes(600).told(), [withdrawn]);
    assert_eq!(rig.shows(FINE).told(), [""; 0]);
}

#[test]
fn a_new_rule_misses_a_series_that_is_lost() {
    let mut rig = Rig::new(vec![]);
    rig.keeps(FINE, 10).passes(20).told();
    rig.sentinel.follow(vec![asks()], rig.now * 1000);
    assert_eq!(rig.passes(600).told(), ["20: no data: critical"]);
}

#[test]
fn a_rule_that_ceased_to_ask_while_the_daemon_was_not_running_withdraws_it() {
    let mut rig = Rig::new(vec![asks()]);
    rig.keeps(FINE, 10).passes(10);
    let recall = rig.memory(Some(20));
    let mut rig = Rig::recalled(vec![rule()], recall, 100);
    let withdrawn = "100: no data: withdrawn, its rule no longer asks for samples";
    assert_eq!(rig.passes(60).told(), [withdrawn]);
}

#[test]
fn a_rule_that_begins_to_take_absence_as_fine_lets_it_clear_from_then_on() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(CRITICAL, 6).passes(94).told();
    rig.sentinel.follow(vec![RuleConfig { no_data: NoData::Clear, ..patient() }], 100_000);
    let gone = "unknown: the collector reports nothing at all";
    let told = rig.passes(20).told();
    assert_eq!(told, [format!("100: clearing critical 100..104, {gone}"), "104: ok".to_owned()]);
}
