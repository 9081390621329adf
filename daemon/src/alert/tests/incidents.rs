//! From transitions to incidents: what opens, goes on, ends, flaps, and is remembered.

use super::*;
use crate::alert::{IncidentState, incident::Event};

#[test]
fn an_incident_begins_escalates_eases_and_ends() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    assert_eq!(desk.send(0), ["fired warning cpu"]);
    desk.take(told("cpu", CRITICAL, SECOND));
    assert_eq!(desk.send(SECOND), ["escalated critical cpu"]);
    desk.take(told("cpu", WARNING, 2 * SECOND));
    assert_eq!(desk.send(2 * SECOND), [""; 0], "that it eases is noted, and not told");
    desk.take(told("cpu", CRITICAL, 3 * SECOND));
    assert_eq!(desk.send(3 * SECOND), ["escalated critical cpu"], "always told");
    desk.take(told("cpu", Level::Ok, 4 * SECOND));
    assert_eq!(desk.send(4 * SECOND), ["resolved critical cpu"]);

    let incident = desk.ledger.book.incidents().next().unwrap();
    let events: Vec<_> = incident.timeline.iter().map(|happening| happening.event).collect();
    let expected =
        [Event::Opened, Event::Escalated, Event::Eased, Event::Escalated, Event::Resolved];
    assert_eq!(events, expected);
    assert_eq!(incident.state, IncidentState::Resolved);
}

#[test]
fn what_the_book_knows_already_changes_nothing() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    desk.take(told("cpu", WARNING, SECOND));
    assert_eq!(desk.send(SECOND), ["fired warning cpu"]);
    assert_eq!(desk.ledger.book.incidents().count(), 1);
    desk.take(told("disk", Level::Ok, SECOND));
    assert_eq!(desk.send(SECOND), [""; 0]);
}

#[test]
fn clearing_and_returning_are_noted_and_not_told() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    desk.send(0);
    let severity = Severity::Warning;
    let clearing = Level::Clearing { severity, since_ms: SECOND, due_ms: MINUTE };
    desk.take(told("cpu", clearing, SECOND));
    desk.take(told("cpu", WARNING, 2 * SECOND));
    let gone =
        Transition { unknown: Some("plugin crashed".into()), ..told("cpu", WARNING, 3 * SECOND) };
    desk.take(gone);
    desk.take(told("cpu", WARNING, 4 * SECOND));
    assert_eq!(desk.send(4 * SECOND), [""; 0]);
    let incident = desk.ledger.book.incidents().next().unwrap();
    let events: Vec<_> = incident.timeline.iter().map(|happening| happening.event).collect();
    let expected = [Event::Opened, Event::Clearing, Event::Returned, Event::Unknown, Event::Known];
    assert_eq!(events, expected);
}

#[test]
fn the_end_of_a_rule_or_a_server_is_no_resolution() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    desk.take(told("disk", CRITICAL, 0));
    desk.send(0);
    let gone =
        Transition { withdrawn: Some("its rule was removed".into()), ..told("cpu", Level::Ok, 1) };
    desk.take(gone);
    assert_eq!(desk.send(1), ["withdrawn warning cpu"]);
    desk.ledger.retain_servers(&["web-1".into()].into(), 2);
    assert_eq!(desk.send(2), [""; 0]);
    desk.ledger.retain_servers(&["web-2".into()].into(), 3);
    assert_eq!(desk.send(3), ["withdrawn critical disk"]);
    assert_eq!(desk.ledger.recall("web-1").memories.len(), 0, "forgotten");
}

#[test]
fn the_seventh_change_in_half_an_hour_is_the_last_that_is_told() {
    let mut desk = Desk::new(config());
    let mut all = Vec::new();
    for minute in 0..20 {
        let level = if minute % 2 == 0 { WARNING } else { Level::Ok };
        desk.take(told("cpu", level, minute * MINUTE));
        all.extend(desk.send(minute * MINUTE));
    }
    let pair = ["fired warning cpu", "resolved warning cpu"];
    assert_eq!(all, [&pair[..], &pair, &pair, &["flapping warning cpu"]].concat());
    assert_eq!(desk.ledger.book.open_incidents().count(), 1, "one incident while it flaps");

    // The last change, at 19 min, was to the good; a quarter of an hour later that counts.
    assert_eq!(desk.send(33 * MINUTE), [""; 0]);
    assert_eq!(desk.send(34 * MINUTE), ["resolved warning cpu"]);
}

#[test]
fn what_flapped_and_stays_bad_is_told_once_more() {
    let mut desk = Desk::new(config());
    for minute in 0..9 {
        let level = if minute % 2 == 0 { WARNING } else { Level::Ok };
        desk.take(told("cpu", level, minute * MINUTE));
        desk.send(minute * MINUTE);
    }
    assert_eq!(desk.send(23 * MINUTE), ["reminded warning cpu"]);
    desk.take(told("cpu", Level::Ok, 60 * MINUTE));
    assert_eq!(desk.send(60 * MINUTE), ["resolved warning cpu"]);
}

#[test]
fn reminders_come_until_somebody_takes_it_on() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", WARNING, 0));
    desk.send(0);
    assert_eq!(desk.send(4 * HOUR - 1), [""; 0]);
    assert_eq!(desk.send(4 * HOUR), ["reminded warning cpu"]);
    desk.restart(20 * HOUR);
    assert_eq!(desk.send(20 * HOUR), ["reminded warning cpu"], "once, however long it was");
    let id = desk.ledger.book.incidents().next().unwrap().id;
    desk.ledger.acknowledge(id, "ann".into(), 21 * HOUR).unwrap();
    assert_eq!(desk.send(100 * HOUR), [""; 0]);
    desk.take(told("cpu", CRITICAL, 101 * HOUR));
    assert_eq!(desk.send(101 * HOUR), ["escalated critical cpu"], "always told");
    assert_eq!(desk.send(200 * HOUR), [""; 0], "and still taken on");
    desk.take(told("cpu", Level::Ok, 201 * HOUR));
    assert_eq!(desk.send(201 * HOUR), ["resolved critical cpu"]);
    assert_eq!(desk.ledger.acknowledge(id, "ann".into(), 202 * HOUR), None, "it is over");
}

#[test]
fn a_restart_knows_incidents_and_levels() {
    let mut desk = Desk::new(config());
    desk.take(told("cpu", CRITICAL, 0));
    desk.send(0);
    desk.restart(HOUR);
    assert_eq!(desk.send(HOUR), [""; 0], "nothing is sent because of it");
    assert_eq!(desk.ledger.recall("web-1").memories.len(), 1);
    assert_eq!(desk.ledger.recall("web-2").memories.len(), 0);
    desk.take(Transition { in_absence: true, ..told("cpu", Level::Ok, HOUR) });
    let due = desk.due(HOUR);
    assert!(due[0].news[0].in_absence, "marked");
    let id = due[0].id;
    desk.take(told("cpu", WARNING, 2 * HOUR));
    let newest = desk.ledger.book.incidents().next_back().unwrap();
    assert!(newest.id.0 == 2 && id.0 == 2, "no number is given twice");
}

#[test]
fn only_so_many_incidents_that_are_over_are_kept() {
    let mut desk = Desk::new(config());
    for hour in 0..1200 {
        desk.take(told("cpu", WARNING, hour * HOUR));
        desk.send(hour * HOUR);
        desk.take(told("cpu", Level::Ok, hour * HOUR + MINUTE));
        desk.send(hour * HOUR + MINUTE);
    }
    assert_eq!(desk.ledger.book.incidents().count(), 1000);
    assert_eq!(desk.ledger.outbox.notices().count(), 2000);
    desk.keep();
    let keys = desk.kept.len();
    assert!(keys < 3010, "{keys} keys are kept");
    desk.restart(1200 * HOUR);
    assert_eq!(desk.ledger.book.incidents().count(), 1000);
    assert_eq!(desk.ledger.book.incidents().next().unwrap().id.0, 201);
}

#[test]
fn what_has_been_steady_is_not_reminded_of_twice() {
    let often = std::time::Duration::from_secs(600);
    let route = RouteConfig { remind_every: Some(often), ..route(0) };
    let mut desk = Desk::new(Config { routes: vec![route], ..config() });
    for minute in 0..9 {
        let level = if minute % 2 == 0 { WARNING } else { Level::Ok };
        desk.take(told("cpu", level, minute * MINUTE));
        desk.send(minute * MINUTE);
    }
    assert_eq!(desk.send(23 * MINUTE), ["reminded warning cpu"], "steady, and due");
    assert_eq!(desk.send(32 * MINUTE), [""; 0]);
    assert_eq!(desk.send(33 * MINUTE), ["reminded warning cpu"]);
}
