//! Every row of the table "levels and inputs" whose input is the absence of values.

use super::*;
use crate::config::{COLLECTOR_STATE, SERVER_STATE};

const GONE: &str = "unknown: no sample for three intervals";

#[test]
fn without_samples_a_level_is_kept_and_its_timer_stands_still() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 5).told();
    let told = rig.passes(60).told();
    assert_eq!(told, [format!("8: pending warning 1..11, {GONE}")], "fresh until 5 + 3");
    // 57 s passed from 8 s on; they do not count.
    assert_eq!(rig.shows(WARNING).told(), ["66: pending warning 59..69"]);
    assert_eq!(rig.keeps(WARNING, 3).told(), ["69: warning"]);
}

#[test]
fn a_timer_fires_while_the_last_sample_is_fresh_and_not_later() {
    let quick = RuleConfig { warning: Some(limit(0.8, 0.7, 2)), critical: None, ..rule() };
    let mut rig = Rig::new(vec![quick.clone()]);
    assert_eq!(rig.shows(WARNING).passes(2).told(), ["1: pending warning 1..3", "3: warning"]);
    let slow = RuleConfig { warning: Some(limit(0.8, 0.7, 4)), ..quick };
    let mut rig = Rig::new(vec![slow]);
    rig.shows(WARNING).told();
    assert_eq!(rig.passes(9).told(), [format!("4: pending warning 1..5, {GONE}")]);
}

#[test]
fn what_fires_or_clears_is_kept_as_last_known() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(CRITICAL, 6).told();
    assert_eq!(rig.passes(600).told(), [format!("9: critical, {GONE}")]);
    assert_eq!(rig.shows(CRITICAL).told(), ["607: critical"], "known again");
    rig.shows(FINE).told();
    let told = rig.passes(600).told();
    assert_eq!(told, [format!("611: clearing critical 608..612, {GONE}")]);
    assert_eq!(rig.shows(FINE).told(), ["1209: clearing critical 1206..1210"]);
    assert_eq!(rig.shows(FINE).told(), ["1210: ok"]);
}

#[test]
fn a_collector_that_is_down_says_why() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(WARNING).told();
    assert_eq!(rig.misses(10).told(), ["4: warning, unknown: plugin crashed"]);
}

#[test]
fn no_data_may_be_an_incident_of_its_own() {
    let mut rig = Rig::new(vec![RuleConfig { no_data: NoData::Alert, ..rule() }]);
    assert_eq!(rig.shows(FINE).passes(9).told(), ["4: no data: critical"]);
    assert_eq!(rig.shows(FINE).told(), ["11: no data: ok"]);
    let told = rig.shows(WARNING).passes(9).told();
    assert_eq!(told[0], "12: warning");
    assert_eq!(told[1..], ["15: no data: critical".to_owned(), format!("15: warning, {GONE}")]);
}

#[test]
fn no_data_may_let_it_clear() {
    let mut rig = Rig::new(vec![RuleConfig { no_data: NoData::Clear, ..patient() }]);
    rig.keeps(CRITICAL, 6).told();
    let told = rig.passes(20).told();
    assert_eq!(told, [format!("9: clearing critical 9..13, {GONE}"), "13: ok".to_owned()]);
}

#[test]
fn a_collector_that_is_silent_and_a_server_that_is_gone_are_judged_by_rules_too() {
    let rules = vec![state("silent", COLLECTOR_STATE, 5), state("gone", SERVER_STATE, 0)];
    let mut rig = Rig::new(rules.clone());
    rig.shows(FINE).told();
    assert_eq!(rig.misses(6).told(), ["2silent: pending warning 2..7", "7silent: warning"]);
    assert_eq!(rig.shows(FINE).told(), ["8silent: ok"]);

    // One that does not even report is silent as well.
    let told = rig.passes(12).told();
    assert_eq!(told, ["14silent: pending warning 14..19", "19silent: warning"]);

    // Of a server that is gone nobody says more than that.
    rig.sentinel.offline(rig.now * 1000, None);
    let told = rig.told();
    assert!(told.contains(&"20gone: warning".to_owned()), "{told:?}");
    assert!(told[1].starts_with("20silent: warning, unknown: "), "{told:?}");
    assert_eq!(rig.passes(100).told(), [""; 0]);
    assert_eq!(rig.shows(FINE).told(), ["121silent: ok", "121gone: ok"]);
}

#[test]
fn a_server_that_is_heard_of_elsewhere_is_neither_gone_nor_silent_until_it_is_silent_there_too() {
    let rules = vec![state("silent", COLLECTOR_STATE, 15), state("gone", SERVER_STATE, 0)];
    let mut rig = Rig::new(rules);
    rig.keeps(FINE, 3).passes(10);
    assert_eq!(rig.told().len(), 1, "its collector is silent, but not for long");
    rig.sentinel.elsewhere(rig.now * 1000);
    rig.told();
    for _ in 0..20 {
        rig.sentinel.elsewhere(rig.now * 1000);
        assert_eq!(rig.passes(5).told(), [""; 0]);
    }
    rig.sentinel.offline(rig.now * 1000, None);
    assert!(rig.told().contains(&format!("{}gone: warning", rig.now)), "silent there too");
    rig.passes(5);
    rig.sentinel.elsewhere(rig.now * 1000);
    assert_eq!(rig.told(), [format!("{}gone: ok", rig.now)], "there after all");
    // What was pending when it went is over.
    assert_eq!(rig.shows(FINE).told(), [format!("{}silent: ok", rig.now)]);
    rig.passes(60);
    rig.sentinel.offline(rig.now * 1000, None);
    assert!(rig.told().iter().any(|said| said.ends_with("gone: warning")));
}

#[test]
fn who_says_offline_before_it_heard_of_a_sample_is_not_believed() {
    let mut rig = Rig::new(vec![state("gone", SERVER_STATE, 0)]);
    rig.keeps(FINE, 3).passes(40);
    rig.sentinel.offline(rig.now * 1000, None);
    assert_eq!(rig.shows(FINE).told(), ["43gone: warning", "44gone: ok"]);
    rig.sentinel.offline(rig.now * 1000 + 255, None);
    assert_eq!(rig.keeps(FINE, 3).told(), [""; 0]);
}

#[test]
fn who_was_not_heard_of_since_a_restart_is_gone_since_it_was_last_seen() {
    let rules = || vec![state("gone", SERVER_STATE, 0)];
    let mut rig = Rig::recalled(rules(), Recall::default(), 1000);
    rig.passes(30);
    rig.sentinel.offline(rig.now * 1000, Some(400_000));
    assert_eq!(rig.told(), ["400gone: warning"]);
    assert_eq!(rig.shows(FINE).told(), ["1031gone: ok"]);

    let mut rig = Rig::recalled(rules(), Recall::default(), 1000);
    rig.shows(FINE).passes(30);
    rig.sentinel.offline(rig.now * 1000, Some(1_001_000));
    assert_eq!(
        rig.told(),
        ["1031gone: warning"],
        "it was heard of, and its silence is told when it is noticed"
    );
}

#[test]
fn a_collector_that_others_run_is_judged_once_it_is_met_and_withdrawn_once_it_has_ended() {
    let mut rig = Rig::new(vec![rule(), state("silent", COLLECTOR_STATE, 5)]);
    let other: Arc<str> = "other".into();
    rig.sentinel.meet(&other, 10_000, 0);
    let mut goes_on = |seconds: i64| {
        for _ in 0..seconds {
            rig.shows(CRITICAL);
            rig.sentinel.advance(rig.now * 1000);
        }
        rig.told()
    };
    assert_eq!(goes_on(30)[1..], [""; 0], "three intervals of its own");
    assert_eq!(goes_on(6), ["31silent: pending warning 31..36", "36silent: warning"]);

    rig.sentinel.forget(&other, rig.now * 1000);
    assert_eq!(rig.told().len(), 1);
    rig.sentinel.forget(COLLECTOR, rig.now * 1000);
    assert_eq!(rig.told().len(), 1, "what was wrong with its series is withdrawn too");
    assert_eq!(rig.passes(60).told(), [""; 0]);
}

#[test]
fn a_disk_that_takes_nothing_is_told_once_it_lasts_and_when_it_takes_again() {
    let rules = crate::config::Config::default().rules;
    let mut rig = Rig::new(rules.into_iter().filter(|rule| rule.name == "store").collect());
    let stores = |rig: &mut Rig, is_stored: bool, seconds: i64| {
        for _ in 0..seconds {
            rig.now += 1;
            rig.sentinel.stored(is_stored, rig.now * 1000);
            rig.sentinel.advance(rig.now * 1000);
        }
        rig.told()
    };
    assert_eq!(stores(&mut rig, true, 10), [""; 0]);
    assert_eq!(stores(&mut rig, false, 29), ["11store: pending critical 11..41"]);
    assert_eq!(stores(&mut rig, false, 100), ["41store: critical"]);
    let cleared = stores(&mut rig, true, 90);
    assert_eq!(cleared, ["140store: clearing critical 140..200", "200store: ok"]);
}
