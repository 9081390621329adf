//! The ledger without actors: transitions in, notices out, over restarts.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod changes;
mod incidents;
mod notices;
mod simulation;

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::{Duration, Instant};

use super::{Notice, Outcome, What, channels::Verdict, ledger::Ledger};
use crate::{
    config::{Config, ContactConfig, RouteConfig, Severity, Side},
    detect::{Key, Level, Memory, Subject, Transition},
    series::Labels,
};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A ledger with what a daemon would have kept of it.
struct Desk {
    ledger: Ledger,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    config: Arc<Config>,
}

impl Desk {
    fn new(config: Config) -> Self {
        let config = Arc::new(config);
        let kept = BTreeMap::new();
        let ledger = Ledger::restored(kept.clone(), config.clone(), "hub".into(), 0);
        Self { ledger, kept, config }
    }

    /// Everything that changed is kept.
    fn keep(&mut self) {
        self.ledger.changes().apply_to(&mut self.kept);
    }

    /// The daemon is killed and started again; what was not kept is lost.
    fn restart(&mut self, now_ms: i64) {
        self.ledger =
            Ledger::restored(self.kept.clone(), self.config.clone(), "hub".into(), now_ms);
    }

    fn take(&mut self, told: Transition) {
        let at_ms = told.at_ms;
        self.ledger.take(&[told], &BTreeMap::new(), at_ms);
    }

    /// What is due at `now_ms`, as its channel gets it.
    fn due(&mut self, now_ms: i64) -> Vec<Arc<Notice>> {
        self.ledger.advance(now_ms);
        self.ledger.outbox.give_out(now_ms, Instant::now() + Duration::from_secs(60), 256)
    }

    /// Everything that is due is taken by the other side; what was told.
    fn send(&mut self, now_ms: i64) -> Vec<String> {
        let due = self.due(now_ms);
        due.iter().for_each(|notice| self.ends(notice, Outcome::Accepted, now_ms));
        due.iter().map(|notice| words(notice)).collect()
    }

    /// An attempt ends like this.
    fn ends(&mut self, notice: &Notice, outcome: Outcome, now_ms: i64) {
        let verdict = Verdict { outcome, said: "250 ok".into(), retry_after: None, parts: None };
        self.ledger.outbox.attempted(notice.id, verdict, now_ms, now_ms, 1.0);
        self.keep();
    }
}

/// One person with a mail address, told of everything at once.
fn config() -> Config {
    let contact = ContactConfig {
        name: "ops".into(),
        email: vec!["ops@example.org".into()],
        ..ContactConfig::default()
    };
    Config { contacts: vec![contact], routes: vec![route(0)], ..Config::default() }
}

/// Everything to `ops`, after so many seconds.
fn route(wait: u64) -> RouteConfig {
    RouteConfig {
        levels: Vec::new(),
        servers: Vec::new(),
        notify: vec!["ops".into()],
        group_by: vec![crate::config::GroupBy::Server],
        group_wait: Some(std::time::Duration::from_secs(wait)),
        remind_every: Some(std::time::Duration::from_secs(4 * 3600)),
        goes_on: false,
    }
}

/// A rule over a series of `web-1` has reached a level.
fn told(rule: &str, level: Level, at_ms: i64) -> Transition {
    Transition {
        key: Key {
            server: "web-1".into(),
            rule: rule.into(),
            labels: Labels::default(),
            absence: false,
        },
        subject: Subject {
            metric: "dial".into(),
            collector: Some("dial".into()),
            unit: "ratio".into(),
            limit: Some((Side::Above, 0.8)),
            summary: None,
            runbook: None,
        },
        at_ms,
        level,
        unknown: None,
        withdrawn: None,
        value: Some(0.9),
        in_absence: false,
        memory: (level != Level::Ok).then(Memory::default),
    }
}

const WARNING: Level = Level::Firing(Severity::Warning);
const CRITICAL: Level = Level::Firing(Severity::Critical);

/// What a notice tells, such as `fired warning cpu + resolved warning disk`.
fn words(notice: &Notice) -> String {
    let news = notice.news.iter().map(|news| {
        let what = match news.what {
            What::Fired => "fired",
            What::Escalated => "escalated",
            What::Reminded => "reminded",
            What::Flapping => "flapping",
            What::Resolved => "resolved",
            What::Withdrawn => "withdrawn",
            What::Test => "test",
        };
        format!("{what} {} {}", news.severity.name(), news.rule)
    });
    news.collect::<Vec<_>>().join(" + ")
}
