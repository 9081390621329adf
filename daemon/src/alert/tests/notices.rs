//! From incidents to notices: who is told, in which order, how often it is tried, and when it is given up.

use super::*;
use crate::{
    alert::{NoticeState, Way, progress::Progress},
    config::{Glob, Selector},
};

#[test]
fn incidents_that_begin_together_share_a_notice() {
    let mut desk = Desk::new(Config { routes: vec![route(10)], ..config() });
    desk.take(told("cpu", WARNING, 0));
    assert_eq!(desk.send(5 * SECOND), [""; 0]);
    desk.take(told("disk", WARNING, 6 * SECOND));
    desk.take(told("cpu", Level::Ok, 7 * SECOND));
    assert_eq!(desk.send(9 * SECOND), [""; 0]);
    let together = "fired warning cpu + fired warning disk + resolved warning cpu";
    assert_eq!(desk.send(10 * SECOND), [together]);
    desk.take(told("disk", Level::Ok, 11 * SECOND));
    assert_eq!(desk.send(20 * SECOND), [""; 0], "the end waits for others as well");
    assert_eq!(desk.send(21 * SECOND), ["resolved warning disk"]);
}

#[test]
fn routes_choose_by_level_and_server_and_the_first_counts() {
    let contact = |name: &str, email: &str| ContactConfig {
        name: name.into(),
        email: vec![email.into()],
        ..ContactConfig::default()
    };
    let to = |who: &str| RouteConfig { notify: vec![who.into()], ..route(0) };
    let web = Selector { excludes: false, tag: None, glob: Glob::new("web-*") };
    let config = Config {
        contacts: vec![
            contact("night", "night@example.org"),
            contact("web", "web@example.org"),
            contact("all", "all@example.org"),
        ],
        routes: vec![
            RouteConfig { levels: vec![Severity::Critical], goes_on: true, ..to("night") },
            RouteConfig { servers: vec![web], ..to("web") },
            to("all"),
        ],
        ..Config::default()
    };
    let mut desk = Desk::new(config);
    let mut addresses = |transition: Transition| -> Vec<String> {
        desk.take(transition);
        let due = desk.due(HOUR);
        due.iter().for_each(|notice| desk.ends(notice, Outcome::Accepted, HOUR));
        due.iter().map(|notice| notice.address.to_string()).collect()
    };
    assert_eq!(addresses(told("cpu", WARNING, 0)), ["web@example.org"]);
    // Who was told of the warning hears of the rest as well.
    assert_eq!(addresses(told("cpu", CRITICAL, 1)), ["web@example.org", "night@example.org"]);
    assert_eq!(addresses(told("cpu", Level::Ok, 2)), ["web@example.org", "night@example.org"]);
    let mut elsewhere = told("cpu", WARNING, 3);
    elsewhere.key.server = "db-1".into();
    assert_eq!(addresses(elsewhere), ["all@example.org"]);
}

#[test]
fn a_notice_is_tried_until_it_is_taken() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    let mut now_ms = 0;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let due = desk.due(now_ms);
        desk.ends(&due[0], Outcome::Temporary, now_ms);
        let next = desk.ledger.due_ms(now_ms).unwrap();
        pauses.push((next - now_ms) / SECOND);
        now_ms = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    desk.restart(now_ms);
    assert_eq!(desk.send(now_ms), ["fired warning cpu"]);
    let notice = desk.ledger.outbox.notices().next().unwrap();
    assert_eq!((notice.state, notice.tried), (NoticeState::Sent, 11));
}

#[test]
fn a_notice_that_nobody_takes_for_a_day_is_dead_and_stays_to_be_seen() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    let mut now_ms = 0;
    while let [notice] = &desk.due(now_ms)[..] {
        desk.ends(notice, Outcome::Temporary, now_ms);
        now_ms = now_ms.max(desk.ledger.outbox.due_ms(now_ms).unwrap_or(i64::MAX / 2));
        if now_ms > 48 * HOUR {
            break;
        }
    }
    let notice = desk.ledger.outbox.notices().next().unwrap();
    assert_eq!(notice.state, NoticeState::Dead);
    assert!(notice.tried > 200 && notice.attempts.len() == 16, "the first and the last are kept");
}

#[test]
fn what_was_refused_for_good_is_not_tried_again() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    let due = desk.due(0);
    desk.ends(&due[0], Outcome::Permanent, 0);
    assert_eq!(desk.due(3 * HOUR).len(), 0);
    let id = desk.ledger.book.incidents().next().unwrap().id;
    assert_eq!(desk.ledger.outbox.progress(id)[&Way::Email], Progress::Dead);
}

#[test]
fn what_waits_for_the_configuration_is_tried_when_it_changes_at_a_start_and_each_hour() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    let fails = |desk: &mut Desk, now_ms: i64| {
        let due = desk.due(now_ms);
        desk.ends(&due[0], Outcome::Misconfigured, now_ms);
    };
    fails(&mut desk, 0);
    assert!(desk.due(MINUTE).is_empty(), "trying would not help");
    desk.ledger.follow(desk.config.clone(), MINUTE);
    fails(&mut desk, MINUTE);
    desk.restart(2 * MINUTE);
    (0..=24).for_each(|hour| fails(&mut desk, 2 * MINUTE + hour * HOUR));
    let notice = desk.ledger.outbox.notices().next().unwrap();
    assert_eq!((notice.state, notice.tried), (NoticeState::Dead, 27), "after a day");
}

#[test]
fn the_end_is_not_told_before_the_beginning() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    let fired = desk.due(0);
    desk.ends(&fired[0], Outcome::Temporary, 0);
    desk.take(told("cpu", Level::Ok, 10));
    desk.take(told("disk", WARNING, 10));
    let due = desk.due(10);
    let told: Vec<_> = due.iter().map(|notice| words(notice)).collect();
    assert_eq!(told, ["fired warning disk"], "another incident waits for nobody");
    assert_eq!(desk.send(MINUTE), ["fired warning cpu"]);
    assert_eq!(desk.send(MINUTE), ["resolved warning cpu"]);
    let end = desk.ledger.outbox.notices().find(|notice| words(notice).starts_with("resolved"));
    assert_eq!(end.unwrap().thread, Some(fired[0].id), "in the thread of the first");
}

#[test]
fn a_notice_is_never_in_two_hands() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    let due = desk.due(0);
    assert_eq!(desk.due(SECOND).len(), 0);
    let later = Instant::now() + Duration::from_secs(60);
    assert_eq!(desk.ledger.outbox.overdue(later), [due[0].id], "its channel never answered");
    desk.ledger.outbox.take_back(due[0].id);
    assert_eq!(desk.due(MINUTE).len(), 1);
}

#[test]
fn an_sms_that_may_have_arrived_is_repeated_only_where_somebody_must_act() {
    let contact = ContactConfig {
        name: "ops".into(),
        sms: vec!["+8613711112222".into()],
        ..ContactConfig::default()
    };
    for (level, tries) in [(WARNING, 1), (CRITICAL, 3)] {
        let mut desk = Desk::new(Config { contacts: vec![contact.clone()], ..config() });
        desk.take(told("cpu", level, 0));
        let mut count = 0;
        for minute in 0..60 {
            for notice in desk.due(minute * MINUTE) {
                count += 1;
                desk.ends(&notice, Outcome::Unknown, minute * MINUTE);
            }
        }
        assert_eq!(count, tries);
    }
}

#[test]
fn a_test_is_tried_once() {
    let mut desk = Desk::new(config());
    assert_eq!(desk.ledger.test("nobody", 0), None);
    assert_eq!(desk.ledger.test("ops", 0).unwrap().len(), 1);
    let due = desk.due(0);
    assert_eq!(words(&due[0]), "test warning test");
    desk.ends(&due[0], Outcome::Temporary, 0);
    assert!(desk.due(HOUR).is_empty());
}

#[test]
fn an_address_that_is_no_longer_the_contacts_is_told_nothing_more() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    desk.send(0);
    let nobody = Config { contacts: Vec::new(), routes: Vec::new(), ..Config::default() };
    desk.ledger.follow(Arc::new(nobody), SECOND);
    desk.take(told("cpu", Level::Ok, 2 * SECOND));
    assert_eq!(desk.send(2 * SECOND), [""; 0]);
}

#[test]
fn what_could_not_be_told_is_told_by_another_way_until_that_one_works_again() {
    let contact = ContactConfig {
        name: "ops".into(),
        email: vec!["ops@example.org".into()],
        sms: vec!["+8613711112222".into()],
        ..ContactConfig::default()
    };
    let mut desk = Desk::new(Config { contacts: vec![contact], ..config() });
    let mut turn = |transition: Option<Transition>, email: Outcome, now_ms: i64| {
        transition.into_iter().for_each(|transition| desk.take(transition));
        let due = desk.due(now_ms);
        for notice in &due {
            let outcome = if notice.way == Way::Email { email } else { Outcome::Accepted };
            desk.ends(notice, outcome, now_ms);
        }
        due.iter()
            .map(|notice| format!("{} {}", notice.way.name(), words(notice)))
            .collect::<Vec<_>>()
    };
    let both = ["email fired warning cpu", "sms fired warning cpu"];
    assert_eq!(turn(Some(told("cpu", WARNING, 0)), Outcome::Permanent, 0), both);
    assert_eq!(turn(None, Outcome::Permanent, 1), ["sms fired warning delivery-failed"]);
    assert_eq!(turn(None, Outcome::Permanent, 2), [""; 0], "and not again");
    let both = ["email resolved warning cpu", "sms resolved warning cpu"];
    assert_eq!(turn(Some(told("cpu", Level::Ok, 3)), Outcome::Accepted, 3), both);
    assert_eq!(turn(None, Outcome::Accepted, 4), ["sms resolved warning delivery-failed"]);
}
