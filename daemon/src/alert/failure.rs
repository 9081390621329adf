//! A notice that was given up is itself an incident, told by other ways, until that way to that contact works again.

use std::sync::Arc;

use super::{Notice, NoticeState, Way, channels::shown};
use crate::{
    config::Severity,
    detect::{Key, Level, Subject, Transition},
    series::Labels,
};

/// Name of the rule; no detector has it.
pub(super) const DELIVERY_FAILED: &str = "delivery-failed";
/// Labels that name the way which failed, and to whom.
const WAY: &str = "way";
const CONTACT: &str = "contact";
const ADDRESS: &str = "address";

/// What the end of `notice` at `at_ms` says of its way to its contact; nothing of a test, and nothing of a notice
/// that says itself that something could not be delivered: that would go on for ever. `open` says how bad it is
/// already.
pub(super) fn judge(
    notice: &Notice,
    this_machine: &Arc<str>,
    open: impl FnOnce(&Key) -> Option<Severity>,
    at_ms: i64,
) -> Option<Transition> {
    let told = notice.news.iter().filter(|news| news.what.is_tried_again());
    let severity = told.clone().map(|news| news.severity).max()?;
    let (way, contact): (_, &str) = (notice.way.name(), &notice.contact);
    let address = shown(notice.way, &notice.address);
    let key = Key {
        server: this_machine.clone(),
        rule: DELIVERY_FAILED.into(),
        labels: Labels::new([(WAY, way), (CONTACT, contact), (ADDRESS, &address)]),
        absence: false,
    };
    let level = match notice.state {
        NoticeState::Sent => Level::Ok,
        NoticeState::Dead if told.clone().all(|news| &*news.rule == DELIVERY_FAILED) => {
            return None;
        }
        // It is as bad as the worst that was given up, for as long as it lasts.
        NoticeState::Dead => Level::Firing(open(&key).map_or(severity, |open| open.max(severity))),
        NoticeState::Waiting { .. } | NoticeState::Held { .. } => return None,
    };
    let said = notice.attempts.last().map_or("never tried", |attempt| &attempt.said);
    Some(Transition {
        key,
        subject: Subject {
            metric: "bartizan_notices_dead".into(),
            collector: None,
            unit: "".into(),
            limit: None,
            summary: Some(format!("{contact} was not told by {way} ({address}): {said}").into()),
            runbook: None,
        },
        at_ms,
        level,
        unknown: None,
        withdrawn: None,
        value: None,
        in_absence: false,
        memory: None,
    })
}

/// The end of an incident about an address that nobody has any more.
pub(super) fn withdraw(key: &Key, subject: &Subject, at_ms: i64) -> Transition {
    let why = "its address was removed from the configuration";
    Transition::withdrawal(key.clone(), subject.clone(), at_ms, why)
}

/// Whether an address is the one that `key` is about.
pub(super) fn names(key: &Key, contact: &str, way: Way, address: &str) -> bool {
    let label = |name| key.labels.get(name).unwrap_or_default();
    label(WAY) == way.name() && label(CONTACT) == contact && label(ADDRESS) == shown(way, address)
}

/// Whether `key` is about deliveries by `way`: of such an incident nobody is told by that way.
pub(super) fn is_about(key: &Key, way: Way) -> bool {
    &*key.rule == DELIVERY_FAILED && key.labels.get(WAY) == Some(way.name())
}
