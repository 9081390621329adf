//! A clock that is set: no hour is waited for, and none is invented.

use super::*;
use crate::config::{COLLECTOR_STATE, SERVER_STATE};

const HOUR: i64 = 3600;
const GONE: &str = "unknown: no sample for three intervals";

/// Nothing is told of a clock that jumps ahead, whatever is true then.
#[track_caller]
fn says_nothing_of_a_jump(rules: &[RuleConfig], value: f64, samples: i64, by: i64) {
    let mut rig = Rig::new(rules.to_vec());
    rig.keeps(value, samples).told();
    rig.now += by;
    rig.sentinel.advance(rig.now * 1000);
    assert_eq!(rig.keeps(value, 3).told(), [""; 0]);
}

#[test]
fn a_clock_that_is_set_back_blinds_nobody() {
    let mut rig = Rig::new(vec![rule()]);
    rig.now = 2 * HOUR;
    rig.keeps(FINE, 10);
    rig.now = HOUR;
    assert_eq!(rig.keeps(CRITICAL, 10).told(), ["3601: critical"]);
    assert_eq!(rig.normal(), Some(false));
    assert_eq!(rig.passes(60).told(), [format!("3613: critical, {GONE}")]);
}

#[test]
fn a_clock_that_is_set_back_leaves_timers_and_windows_as_they_are() {
    let mut rig = Rig::recalled(vec![patient()], Recall::default(), 2 * HOUR);
    rig.keeps(WARNING, 5).told();
    rig.now = HOUR;
    let told = rig.keeps(WARNING, 10).told();
    assert_eq!(told, ["3601: pending warning 3597..3607", "3607: warning"]);
    rig.now = 60;
    assert_eq!(rig.keeps(FINE, 3).told(), ["61: clearing warning 61..65"]);
    rig.now = 0;
    assert_eq!(rig.keeps(FINE, 5).told(), ["1: clearing warning -1..3", "3: ok"]);

    let mut rig = Rig::recalled(vec![windowed(NoData::Keep)], Recall::default(), 2 * HOUR);
    rig.keeps(FINE, 60);
    rig.now = HOUR;
    assert_eq!(rig.keeps(1000.0, 1).told(), ["3601: warning"], "the window is still full");
}

#[test]
fn a_clock_that_is_set_back_hides_no_silence() {
    let rules = vec![state("silent", COLLECTOR_STATE, 0), state("gone", SERVER_STATE, 0)];
    let mut rig = Rig::recalled(rules, Recall::default(), 2 * HOUR);
    rig.keeps(FINE, 3).told();
    rig.now = HOUR;
    assert_eq!(rig.passes(7).told(), ["3607silent: warning"]);
    assert_eq!(rig.passes(30).told(), [""; 0]);
    rig.now = 100;
    rig.sentinel.offline(rig.now * 1000, None);
    assert_eq!(rig.told()[0], "100gone: warning");
    rig.now = 50;
    assert_eq!(rig.shows(FINE).told(), ["51silent: ok", "51gone: ok"]);
}

#[test]
fn what_was_read_before_the_clock_was_set_back_is_of_the_present() {
    let mut rig = Rig::recalled(vec![rule()], Recall::default(), 2 * HOUR);
    rig.keeps(FINE, 3);
    rig.now = HOUR;
    assert_eq!(rig.frame(WARNING, 2 * HOUR + 4).told(), ["3600: warning"]);
    assert_eq!(rig.shows(CRITICAL).told(), ["3601: critical"]);
}

#[test]
fn a_clock_that_is_set_forward_neither_fires_nor_clears() {
    const YEARS: i64 = 5 * 366 * 24 * HOUR;
    for by in [10, HOUR, YEARS] {
        for no_data in [NoData::Keep, NoData::Alert, NoData::Clear] {
            let with = |rule| RuleConfig { no_data, ..rule };
            says_nothing_of_a_jump(&[with(rule())], CRITICAL, 10, by);
            says_nothing_of_a_jump(&[with(patient())], CRITICAL, 20, by);
            says_nothing_of_a_jump(&[windowed(no_data)], CRITICAL, 100, by);
        }
        let states = [state("silent", COLLECTOR_STATE, 0), state("gone", SERVER_STATE, 0)];
        says_nothing_of_a_jump(&states, FINE, 10, by);
    }
}

#[test]
fn a_clock_that_is_set_forward_does_not_make_a_breach_older() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 5).told();
    rig.now += HOUR;
    rig.passes(1);
    let told = rig.keeps(WARNING, 10).told();
    assert_eq!(told, ["3607: pending warning 3602..3612", "3612: warning"]);
}

#[test]
fn a_clock_that_is_set_forward_lets_nothing_that_is_taken_as_fine_clear() {
    let slow = RuleConfig { clear_for: Duration::from_secs(60), no_data: NoData::Clear, ..rule() };
    let mut rig = Rig::new(vec![slow]);
    rig.keeps(CRITICAL, 5).passes(10).told();
    rig.now += HOUR;
    assert_eq!(rig.passes(10).told(), [""; 0]);
    assert_eq!(rig.shows(CRITICAL).told(), ["3626: critical"]);
}

#[test]
fn a_clock_that_is_set_forward_ends_no_series() {
    let mut rig = Rig::new(vec![rule()]);
    rig.shows(CRITICAL).goes_on_without_it(10).told();
    rig.now += 48 * HOUR;
    rig.sentinel.advance(rig.now * 1000);
    assert_eq!(rig.goes_on_without_it(HOUR).told(), [""; 0]);
}

#[test]
fn a_restart_by_a_clock_that_is_behind_goes_on() {
    let mut rig = Rig::recalled(vec![patient()], Recall::default(), 2 * HOUR);
    rig.keeps(WARNING, 5);
    let recall = rig.memory(Some(rig.now));
    let mut behind = Rig::recalled(vec![patient()], recall.clone(), 100);
    let told = behind.keeps(WARNING, 10).told();
    assert_eq!(told, ["101: pending warning 97..107", "107: warning"]);

    // The actor alone was started anew: nobody says since when nothing was seen.
    let mut behind =
        Rig::recalled(vec![patient()], Recall { absent_since_ms: None, ..recall }, 100);
    assert_eq!(behind.keeps(WARNING, 11).told().last().map(String::as_str), Some("111: warning"));
}
