//! What changes while something is told: addresses, contacts, the clock, and servers that refuse for a while.

use super::*;
use crate::{
    alert::{NoticeState, Way},
    config::{Glob, Selector},
};

/// The same notices, at another address and with another contact's name.
fn moved(name: &str, address: &str) -> Arc<Config> {
    let contact = ContactConfig {
        name: name.into(),
        email: vec![address.into()],
        ..ContactConfig::default()
    };
    let route = RouteConfig { notify: vec![name.into()], ..route(0) };
    Arc::new(Config { contacts: vec![contact], routes: vec![route], ..Config::default() })
}

#[test]
fn who_was_told_of_the_beginning_is_told_of_the_end_under_another_name() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", CRITICAL, 0));
    desk.send(0);
    desk.ledger.follow(moved("sre", "ops@example.org"), SECOND);
    desk.take(told("cpu", Level::Ok, 10 * MINUTE));
    assert_eq!(desk.send(10 * MINUTE), ["resolved critical cpu"]);
}

#[test]
fn a_corrected_address_is_told_of_what_lasts() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", CRITICAL, 0));
    let due = desk.due(0);
    desk.ends(&due[0], Outcome::Permanent, 0);
    desk.ledger.follow(moved("ops", "right@example.org"), MINUTE);
    let due = desk.due(HOUR);
    assert_eq!(&*due[0].address, "right@example.org");
    assert!(words(&due[0]).contains("critical cpu"));
}

#[test]
fn what_waits_for_an_address_that_was_removed_is_told_nobody() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    let due = desk.due(0);
    desk.ends(&due[0], Outcome::Temporary, 0);
    desk.ledger.follow(Arc::new(Config::default()), SECOND);
    assert!(desk.due(MINUTE).is_empty());
    let notice = desk.ledger.outbox.notices().next().unwrap();
    assert_eq!(notice.state, NoticeState::Dead);
    assert_eq!(
        notice.attempts.last().unwrap().said,
        "its address was removed from the configuration"
    );
}

#[test]
fn what_was_held_is_tried_when_its_way_works_again() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", CRITICAL, 0));
    let due = desk.due(0);
    desk.ends(&due[0], Outcome::Misconfigured, 0);
    desk.take(told("disk", CRITICAL, MINUTE));
    assert_eq!(desk.send(MINUTE), ["fired critical disk"]);
    assert_eq!(desk.send(MINUTE), ["fired critical cpu"]);
}

#[test]
fn after_an_outage_nobody_sits_out_the_pauses_reckoned_in_it() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", CRITICAL, 0));
    // Ten attempts: the pause has grown to its five minutes.
    for attempt in 0..10 {
        let due = desk.due(attempt * HOUR);
        desk.ends(&due[0], Outcome::Temporary, attempt * HOUR);
    }
    let after = 9 * HOUR + MINUTE;
    assert_eq!(desk.send(after), [""; 0], "its pause lasts");
    desk.take(told("disk", CRITICAL, after));
    assert_eq!(desk.send(after), ["fired critical disk"]);
    assert_eq!(desk.send(after), ["fired critical cpu"]);
}

#[test]
fn a_clock_that_is_set_back_stops_no_notice_and_one_set_forward_gives_none_up() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", CRITICAL, 10 * HOUR));
    let due = desk.due(10 * HOUR);
    desk.ends(&due[0], Outcome::Temporary, 10 * HOUR);
    let due = desk.due(HOUR);
    assert_eq!(due.len(), 1, "due in nine hours, by a clock that was wrong");
    desk.ends(&due[0], Outcome::Temporary, HOUR);
    let due = desk.due(50_000 * HOUR);
    desk.ends(&due[0], Outcome::Temporary, 50_000 * HOUR);
    assert_eq!(desk.send(50_000 * HOUR + HOUR), ["fired critical cpu"]);
}

#[test]
fn an_outage_piles_up_no_reminders() {
    let every_minute = Some(std::time::Duration::from_secs(60));
    let route = RouteConfig { remind_every: every_minute, ..route(0) };
    let mut desk = Desk::new(Config { routes: vec![route], ..config() });
    desk.take(told("cpu", WARNING, 0));
    for minute in 0..20 * 60 {
        let due = desk.due(minute * MINUTE);
        due.iter().for_each(|notice| desk.ends(notice, Outcome::Temporary, minute * MINUTE));
    }
    let late = 20 * HOUR + 5 * MINUTE;
    let told: usize = (0..30).map(|second| desk.send(late + second * SECOND).len()).sum();
    assert!((1..=2).contains(&told), "{told} notices of one incident");
}

#[test]
fn an_address_that_takes_nothing_keeps_no_other_one_waiting() {
    let hook = |name: &str| ContactConfig {
        name: name.into(),
        webhook: vec![format!("https://{name}.example.org")],
        ..ContactConfig::default()
    };
    let to = |who: &str, servers: Vec<Selector>| RouteConfig {
        servers,
        notify: vec![who.into()],
        ..route(0)
    };
    let doomed = Selector { excludes: false, tag: None, glob: Glob::new("d*") };
    let config = Config {
        contacts: vec![hook("dead"), hook("good")],
        routes: vec![to("dead", vec![doomed]), to("good", Vec::new())],
        ..Config::default()
    };
    let mut desk = Desk::new(config);
    for number in 0..600 {
        let mut transition = told("cpu", CRITICAL, number);
        transition.key.server = format!("d{number}").into();
        desk.take(transition);
    }
    let dead = desk.due(SECOND);
    assert!(!dead.is_empty() && dead.iter().all(|notice| notice.address.contains("dead")));
    desk.take(told("cpu", CRITICAL, 2 * SECOND));
    let due = desk.due(2 * SECOND);
    assert_eq!(&*due[0].address, "https://good.example.org");
}

#[test]
fn one_address_that_fails_is_told_of_apart_from_one_that_works() {
    let contact = ContactConfig {
        name: "ops".into(),
        email: vec!["dead@example.org".into(), "ok@example.org".into()],
        sms: vec!["+8613711112222".into()],
        ..ContactConfig::default()
    };
    let mut desk = Desk::new(Config { contacts: vec![contact], ..config() });
    let mut sms = Vec::new();
    for hour in 0..6 {
        desk.take(told("cpu", if hour % 2 == 0 { WARNING } else { Level::Ok }, hour * HOUR));
        for second in 0..4 {
            let now_ms = hour * HOUR + second * SECOND;
            for notice in desk.due(now_ms) {
                let dead = &*notice.address == "dead@example.org";
                let outcome = if dead { Outcome::Permanent } else { Outcome::Accepted };
                desk.ends(&notice, outcome, now_ms);
                if notice.way == Way::Sms {
                    sms.push(words(&notice));
                }
            }
        }
    }
    let about = |what: &str| sms.iter().filter(|told| told.contains(what)).count();
    assert_eq!(
        (about("fired warning delivery-failed"), about("resolved warning delivery")),
        (1, 0)
    );
}

#[test]
fn an_address_that_was_removed_fails_no_more() {
    let contact = |email: &[&str]| ContactConfig {
        name: "ops".into(),
        email: email.iter().map(|&address| address.into()).collect(),
        sms: vec!["+8613711112222".into()],
        ..ContactConfig::default()
    };
    let mut desk = Desk::new(Config { contacts: vec![contact(&["dead@example.org"])], ..config() });
    desk.take(told("cpu", WARNING, 0));
    for notice in desk.due(0) {
        let email = notice.way == Way::Email;
        desk.ends(&notice, if email { Outcome::Permanent } else { Outcome::Accepted }, 0);
    }
    assert_eq!(desk.send(1), ["fired warning delivery-failed"]);
    let config = Config { contacts: vec![contact(&[])], ..config() };
    desk.ledger.follow(Arc::new(config), 2);
    assert_eq!(desk.send(3), ["withdrawn warning delivery-failed"]);
}

#[test]
fn levels_that_change_all_the_time_are_flapping() {
    let mut desk = Desk::new(config());
    let mut all = Vec::new();
    for minute in 0..60 {
        let level = if minute % 2 == 0 { WARNING } else { CRITICAL };
        desk.take(told("cpu", level, minute * MINUTE));
        all.extend(desk.send(minute * MINUTE));
    }
    assert!(all.len() < 8, "{all:?}");
    assert!(all.iter().any(|told| told.contains("flapping")), "{all:?}");
}

#[test]
fn what_was_taken_on_is_not_reminded_of_when_it_is_steady() {
    let mut desk = Desk::new(config());
    for minute in 0..9 {
        let level = if minute % 2 == 0 { WARNING } else { Level::Ok };
        desk.take(told("cpu", level, minute * MINUTE));
        desk.send(minute * MINUTE);
    }
    let id = desk.ledger.book.open_incidents().next().unwrap().id;
    desk.ledger.acknowledge(id, "ann".into(), 10 * MINUTE).unwrap();
    assert_eq!(desk.send(24 * MINUTE), [""; 0]);
}

#[test]
fn a_limit_that_moved_beyond_the_value_ends_nothing() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    desk.send(0);
    let pending = Level::Pending { severity: Severity::Critical, since_ms: 1, due_ms: MINUTE };
    desk.take(told("cpu", pending, SECOND));
    assert_eq!(desk.send(SECOND), [""; 0]);
    assert_eq!(desk.ledger.book.open_incidents().count(), 1);
}

#[test]
fn one_series_that_changes_is_one_record_however_long_it_is_not_kept() {
    let mut desk = Desk::new(config());
    let mut unkept = crate::store::StateChanges::default();
    for at_ms in 0..1000 {
        let level =
            Level::Pending { severity: Severity::Warning, since_ms: at_ms, due_ms: at_ms + 1 };
        desk.take(told("cpu", level, at_ms));
        unkept.extend(desk.ledger.changes());
    }
    let mut kept = BTreeMap::new();
    unkept.apply_to(&mut kept);
    assert!(kept.len() < 5, "{} records", kept.len());
}
