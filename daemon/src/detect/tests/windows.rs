//! While a window fills, its series is there: it is neither lost nor judged.

use super::*;

const ALL: [NoData; 3] = [NoData::Keep, NoData::Alert, NoData::Clear];

#[test]
fn a_restart_in_the_middle_of_a_breach_tells_nothing_while_the_window_fills() {
    for no_data in ALL {
        let mut rig = Rig::new(vec![windowed(no_data)]);
        rig.keeps(CRITICAL, 120);
        let recall = rig.memory(Some(120));
        let mut rig = Rig::recalled(vec![windowed(no_data)], recall, 125);
        assert_eq!(rig.keeps(CRITICAL, 120).told(), [""; 0], "{no_data:?}");
        assert_eq!(rig.normal(), Some(false));
    }
}

#[test]
fn another_window_tells_nothing_while_it_fills() {
    for no_data in ALL {
        let mut rig = Rig::new(vec![windowed(no_data)]);
        rig.keeps(CRITICAL, 120).told();
        let longer = RuleConfig { over: Duration::from_secs(90), ..windowed(no_data) };
        rig.sentinel.follow(vec![longer], rig.now * 1000);
        assert_eq!(rig.keeps(CRITICAL, 120).told(), [""; 0], "{no_data:?}");
    }
}

#[test]
fn after_a_hole_samples_of_a_window_that_fills_do_not_count_as_fine() {
    let rule = RuleConfig { clear_for: Duration::from_secs(90), ..windowed(NoData::Clear) };
    let mut rig = Rig::new(vec![rule]);
    rig.keeps(CRITICAL, 120).passes(61).told();
    assert_eq!(rig.keeps(CRITICAL, 120).told(), ["182: clearing warning 123..213", "241: warning"]);
}

#[test]
fn a_series_that_is_back_is_known_again_before_its_window_is_full() {
    let mut rig = Rig::new(vec![windowed(NoData::Alert)]);
    rig.keeps(CRITICAL, 60).passes(90).told();
    assert_eq!(rig.shows(CRITICAL).told(), ["151: no data: ok", "151: warning"]);
    let gone = "154: warning, unknown: no sample for three intervals";
    assert_eq!(rig.passes(9).told(), ["154: no data: warning", gone], "silence loses it");
}

#[test]
fn timers_stand_still_while_a_window_fills() {
    let slow = RuleConfig { warning: Some(limit(0.8, 0.7, 40)), ..windowed(NoData::Keep) };
    let mut rig = Rig::new(vec![slow.clone()]);
    rig.keeps(WARNING, 90);
    let recall = rig.memory(Some(90));
    let mut rig = Rig::recalled(vec![slow], recall, 100);
    let told = rig.keeps(WARNING, 80).told();
    assert_eq!(told, ["160: pending warning 130..170", "170: warning"], "30 s before, 10 s after");
}

#[test]
fn a_counter_that_is_back_is_known_again_before_it_has_a_rate() {
    let mut rig = Rig::new(vec![rule()]);
    let counter = Series { kind: Kind::Counter, ..(*rig.catalog.get(rig.series).unwrap()).clone() };
    rig.catalog.intern(counter).unwrap();
    rig.shows(100.0).shows(101.0).passes(9).told();
    assert_eq!(rig.shows(200.0).told(), ["12: critical"]);
    assert_eq!(rig.shows(200.0).told(), ["13: ok"]);
}
