//! Every row of the table "levels and inputs" whose input is a value.

use super::*;

#[test]
fn ok_and_a_breach_without_for_fires_at_once() {
    let mut rig = Rig::new(vec![rule()]);
    assert_eq!(rig.shows(FINE).shows(0.8).told(), [""; 0], "on the limit is not beyond it");
    assert_eq!(rig.shows(WARNING).told(), ["3: warning"]);
    let mut rig = Rig::new(vec![rule()]);
    assert_eq!(rig.shows(CRITICAL).told(), ["1: critical"]);
}

#[test]
fn ok_and_a_breach_is_pending_and_its_deadline_is_a_timer() {
    let mut rig = Rig::new(vec![patient()]);
    assert_eq!(rig.shows(WARNING).told(), ["1: pending warning 1..11"]);
    assert_eq!(rig.keeps(WARNING, 9).told(), [""; 0]);
    // The next sample would come at 11 s, the deadline is the same instant: no sample is needed.
    assert_eq!(rig.passes(1).told(), ["11: warning"]);
}

#[test]
fn pending_and_fine_is_ok_and_nothing_else() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 9).told();
    assert_eq!(rig.shows(FINE).told(), ["10: ok"]);
    assert_eq!(rig.keeps(FINE, 60).told(), [""; 0]);
}

#[test]
fn pending_and_between_waits_and_counts_with_the_next_breach() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 3).told();
    assert_eq!(rig.keeps(BETWEEN, 20).told(), [""; 0], "not beyond, so it does not fire");
    assert_eq!(rig.shows(WARNING).told(), ["24: warning"]);
}

#[test]
fn warning_and_critical_keep_their_own_time() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 8).told();
    assert_eq!(rig.keeps(CRITICAL, 3).told(), ["11: warning"], "critical is due at 14");
    assert_eq!(rig.keeps(CRITICAL, 3).told(), ["14: critical"]);
}

#[test]
fn warning_and_a_critical_breach_escalates_the_same() {
    let mut rig = Rig::new(vec![rule()]);
    assert_eq!(rig.shows(WARNING).shows(CRITICAL).told(), ["1: warning", "2: critical"]);
}

#[test]
fn clearing_and_a_critical_breach_escalates_too() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 11).shows(FINE).told();
    assert_eq!(rig.shows(CRITICAL).told(), ["13: warning"], "firing again");
    assert_eq!(rig.keeps(CRITICAL, 5).told(), ["18: critical"]);
}

#[test]
fn critical_below_its_clear_is_a_warning_again() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(CRITICAL, 6).told();
    assert_eq!(rig.keeps(EASED, 20).told(), [""; 0], "not below its clear");
    assert_eq!(rig.keeps(WARNING, 4).told(), [""; 0], "not for long enough");
    assert_eq!(rig.shows(WARNING).told(), ["31: warning"]);
}

#[test]
fn fine_is_clearing_and_then_ok() {
    let mut rig = Rig::new(vec![patient()]);
    rig.keeps(WARNING, 11).told();
    assert_eq!(rig.shows(FINE).told(), ["12: clearing warning 12..16"]);
    assert_eq!(rig.keeps(FINE, 3).passes(1).told(), ["16: ok"]);
    let mut rig = Rig::new(vec![rule()]);
    assert_eq!(rig.shows(CRITICAL).shows(FINE).told(), ["1: critical", "2: ok"], "at once");
}

#[test]
fn clearing_and_a_value_that_is_not_fine_is_firing_again() {
    for back in [BETWEEN, WARNING] {
        let mut rig = Rig::new(vec![patient()]);
        rig.keeps(WARNING, 11).keeps(FINE, 3).told();
        assert_eq!(rig.shows(back).told(), ["15: warning"]);
        assert_eq!(rig.shows(FINE).told(), ["16: clearing warning 16..20"], "it begins anew");
    }
}

#[test]
fn a_rule_may_look_below_its_limit() {
    let below = |at, clear| Some(Limit { side: Side::Below, ..limit(at, clear, 0) });
    let rule = RuleConfig { warning: below(0.3, 0.4), critical: below(0.1, 0.2), ..rule() };
    let mut rig = Rig::new(vec![rule]);
    let told = rig.shows(0.3).shows(0.2).shows(0.05).shows(0.15).shows(0.25).shows(0.4).told();
    assert_eq!(told, ["2: warning", "3: critical", "5: warning", "6: ok"]);
}

#[test]
fn a_window_is_judged_once_it_is_full() {
    let rule = RuleConfig { take: Take::Mean, over: Duration::from_secs(4), ..rule() };
    let mut rig = Rig::new(vec![rule]);
    assert_eq!(rig.keeps(CRITICAL, 3).told(), [""; 0]);
    assert_eq!(rig.shows(CRITICAL).told(), ["4: critical"]);
    assert_eq!(rig.keeps(FINE, 3).told(), ["5: warning", "7: ok"]);
}

#[test]
fn a_counter_is_judged_by_its_rate() {
    let mut rig = Rig::new(vec![rule()]);
    let counter = Series { kind: Kind::Counter, ..(*rig.catalog.get(rig.series).unwrap()).clone() };
    rig.catalog.intern(counter).unwrap();
    let told = rig.shows(100.0).shows(100.5).shows(101.5).shows(0.1).told();
    assert_eq!(told, ["3: critical", "4: ok"], "a rate needs two; a reset is no huge rate");
}

#[test]
fn normal_does_not_wait_and_does_not_forget() {
    let mut rig = Rig::new(vec![patient()]);
    assert_eq!(rig.normal(), None, "nothing is known");
    assert_eq!(rig.shows(FINE).normal(), Some(true));
    assert_eq!(rig.shows(WARNING).normal(), Some(false), "`for` does not count");
    assert_eq!(rig.shows(0.8).normal(), Some(true));
    assert_eq!(rig.misses(5).normal(), None, "unknown");
}

#[test]
fn what_is_late_is_not_judged() {
    let mut rig = Rig::new(vec![patient()]);
    rig.shows(WARNING).frame(CRITICAL, 0);
    assert_eq!(rig.told(), ["1: pending warning 1..11"], "late, so it is not judged");
}
