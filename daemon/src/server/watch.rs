//! What is judged of the server, and the way of what has changed to whoever keeps incidents.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use ractor::ActorRef;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{ServerMessage, elsewhere::Present};
use crate::{
    alert::messages::AlertPort,
    collector::{Outcome, Report},
    config::RuleConfig,
    detect::{Sentinel, Transition},
    series::{Frame, now_ms, whole_ms},
};

/// A sentinel with its way to the alert actor.
pub(super) struct Watch {
    pub(super) sentinel: Sentinel,
    pub(super) alerts: AlertPort,
    pub(super) tags: Arc<BTreeMap<String, String>>,
    pub(super) actor: ActorRef<ServerMessage>,
    unsent: Vec<Transition>,
    normal: Option<bool>,
}

/// More transitions than this do not wait for an alert actor that is busy: of each series only the last.
const UNSENT_MAX: usize = 10_000;
/// While reports come, they are what moves time on; without them it moves on so often.
const PULSE: Duration = Duration::from_millis(1500);
/// Longest that a server which stops waits for an alert actor that is busy…
const FAREWELL: Duration = Duration::from_millis(300);
/// … and how often it offers what waits.
const OFFER_AGAIN: Duration = Duration::from_millis(10);

impl Watch {
    /// A watch by `sentinel` that has nothing to say yet.
    pub(super) fn new(
        sentinel: Sentinel,
        alerts: AlertPort,
        tags: Arc<BTreeMap<String, String>>,
        actor: ActorRef<ServerMessage>,
    ) -> Self {
        Self { sentinel, alerts, tags, actor, unsent: Vec::new(), normal: None }
    }

    /// Judges what was reported, in its order, and whether the store takes it, and hands on what has changed.
    pub(super) fn judge(&mut self, reports: &[Report], server: &Arc<str>, is_stored: bool) {
        let now_ms = now_ms();
        self.sentinel.stored(is_stored, now_ms);
        for Report { collector, at_ms, outcome } in reports {
            match outcome {
                Outcome::Samples(samples) => {
                    let (server, collector) = (server.clone(), collector.clone());
                    let frame =
                        Frame { server, collector, at_ms: *at_ms, samples: samples.clone() };
                    self.sentinel.frame(&frame, now_ms);
                }
                Outcome::Dated(samples) => {
                    for frame in Frame::dated(server, collector, samples.iter().copied()) {
                        self.sentinel.frame(&frame, now_ms);
                    }
                }
                Outcome::Missed(why) => self.sentinel.missed(collector, *at_ms, why),
                Outcome::Absent => self.sentinel.absent(collector, *at_ms),
            }
        }
        self.advance();
    }

    /// Judges what has come from elsewhere, and hands on what has changed. Times by a clock that is not ours are judged
    /// by ours.
    pub(super) fn judge_arrived(&mut self, present: &mut Present) {
        let now_ms = now_ms();
        self.sentinel.look(now_ms);
        for (collector, interval) in &present.arrived.met {
            self.sentinel.meet(collector, whole_ms(*interval), now_ms);
        }
        let skew_ms = present.arrived.skew_ms.unwrap_or(0);
        for frame in &mut present.frames {
            frame.at_ms -= skew_ms;
            self.sentinel.frame(frame, now_ms);
            frame.at_ms += skew_ms;
        }
        for gap in &present.missed {
            self.sentinel.missed(&gap.collector, gap.from_ms - skew_ms, &gap.reason);
        }
        self.advance();
    }

    /// A collector that others run has ended.
    pub(super) fn forget(&mut self, collector: &str) {
        self.sentinel.forget(collector, now_ms());
        self.hand_on();
    }

    /// Lets time pass, and hands on what has changed.
    pub(super) fn advance(&mut self) {
        self.sentinel.advance(now_ms());
        self.hand_on();
    }

    /// The server is offline; it was last seen at `seen_ms`.
    pub(super) fn offline(&mut self, seen_ms: Option<i64>) {
        self.sentinel.offline(now_ms(), seen_ms);
        self.hand_on();
    }

    /// The server writes to another hub.
    pub(super) fn elsewhere(&mut self) {
        self.sentinel.elsewhere(now_ms());
        self.hand_on();
    }

    /// Other rules hold from now on.
    pub(super) fn follow(&mut self, rules: Vec<Arc<RuleConfig>>) {
        self.sentinel.follow(rules, now_ms());
        self.hand_on();
    }

    /// Hands on what still waits, as far as the alert actor takes it before the server has to be gone.
    pub(super) async fn farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        while !self.unsent.is_empty() && Instant::now() < until {
            sleep(OFFER_AGAIN).await;
            self.hand_on();
        }
        if !self.unsent.is_empty() {
            let lost = self.unsent.len();
            warn!(
                lost,
                "alerts are busy: transitions of a server that stops are judged again at its next start"
            );
        }
    }

    /// Time until something is due.
    pub(super) fn wait(&self) -> Duration {
        let due_ms = self.sentinel.due_ms().map(|due_ms| due_ms.saturating_sub(now_ms()).max(1));
        let due = due_ms.and_then(|due_ms| u64::try_from(due_ms).ok()).map(Duration::from_millis);
        due.map_or(PULSE, |due| due.min(PULSE))
    }

    fn hand_on(&mut self) {
        self.unsent.extend(self.sentinel.take());
        if !self.unsent.is_empty() {
            let transitions = std::mem::take(&mut self.unsent);
            if let Err(refused) = self.alerts.publish(transitions, &self.tags) {
                self.unsent = refused;
                self.shorten();
            }
        }
        let normal = self.sentinel.normal(now_ms());
        if std::mem::replace(&mut self.normal, normal) != normal {
            // The cast fails only if the server has stopped; nobody judges it then.
            let _ = self.actor.cast(ServerMessage::Normal(normal));
        }
    }

    /// Keeps the last word on each series, if too many wait.
    fn shorten(&mut self) {
        let before = self.unsent.len();
        if before <= UNSENT_MAX {
            return;
        }
        let mut known = HashSet::new();
        let mut last: Vec<_> =
            self.unsent.drain(..).rev().filter(|told| known.insert(told.key.clone())).collect();
        last.reverse();
        self.unsent = last;
        let dropped = before - self.unsent.len();
        warn!(
            dropped,
            "alerts are busy: transitions that were overtaken by later ones are not told"
        );
    }
}
