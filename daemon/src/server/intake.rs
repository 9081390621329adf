//! The way of a server's samples: gathered, stored, then shown.

use std::{sync::Arc, time::Duration};

use ractor::ActorRef;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Heard, HeardOf, ServerMessage, silence::Silences, watch::Watch};
use crate::{
    collector::{Outcome, Report},
    config::RuleConfig,
    live::messages::{LivePort, LiveUpdate},
    series::{Frame, now_ms},
    store::{StorePort, messages::Batch},
};

/// How long viewers wait for the disk. What is not acknowledged by then is
/// shown all the same.
pub const ACK_LIMIT: Duration = Duration::from_millis(250);

/// How long reports are gathered after the first: all collectors of one
/// interval report within this time, and then cost one batch together.
const GATHER: Duration = Duration::from_millis(5);

/// Reports taken at once.
const REPORTS_MAX: usize = 256;

/// The intake of one server. Runs until it is asked to stop.
pub(super) struct Intake {
    pub(super) server: Arc<str>,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) store: StorePort,
    pub(super) live: LivePort,
    pub(super) actor: ActorRef<ServerMessage>,
    /// Judges what comes in.
    pub(super) watch: Watch,
    /// Other rules, when they come.
    pub(super) rules: watch::Receiver<Vec<RuleConfig>>,
    /// Told while nothing has been heard for so long that the server is offline.
    pub(super) offline: mpsc::Receiver<()>,
    /// Asks it to take in what waits, and to stop.
    pub(super) stop: CancellationToken,
}

/// Reports, sorted by where they go.
#[derive(Debug, Default)]
struct Round {
    batch: Batch,
    heard: Vec<Heard>,
}

impl Intake {
    /// Takes in reports until it is asked to stop, and then those that still wait.
    pub(super) async fn run(mut self) {
        let mut silences = Silences::new(self.server.clone());
        let mut reports = Vec::new();
        while let Some(first) = self.next().await {
            sleep(GATHER).await;
            reports.push(first);
            while reports.len() < REPORTS_MAX
                && let Ok(report) = self.reports.try_recv()
            {
                reports.push(report);
            }
            // Judged before it is stored: a disk that is slow delays no alarm.
            self.watch.judge(&reports, &self.server);
            let mut round = Round::default();
            for report in reports.drain(..) {
                round.add(&self.server, report, &mut silences);
            }
            self.pass_on(round).await;
        }
        self.watch.farewell().await;
    }

    /// The next report; none once it was asked to stop and nothing waits. Meanwhile time passes for what is judged.
    async fn next(&mut self) -> Option<Report> {
        loop {
            tokio::select! {
                biased;
                report = self.reports.recv() => return report,
                () = self.stop.cancelled() => break,
                Ok(()) = self.rules.changed() => {
                    let rules = self.rules.borrow_and_update().clone();
                    self.watch.follow(rules);
                }
                Some(()) = self.offline.recv() => self.watch.offline(),
                () = sleep(self.watch.wait()) => self.watch.advance(),
            }
        }
        self.reports.close();
        self.reports.recv().await
    }

    async fn pass_on(&self, Round { batch, heard }: Round) {
        if !batch.frames.is_empty() || !batch.gaps.is_empty() {
            let ack = self.store.append(batch.clone());
            // The store counts and says what it refuses; viewers need not wait for more.
            match timeout(ACK_LIMIT, ack.0).await {
                Ok(Ok(Ok(()))) => {}
                refused => debug!(server = %self.server, ?refused, "shown before it was stored"),
            }
        }
        for frame in batch.frames {
            self.live.publish(LiveUpdate::Frame(Arc::new(frame)));
        }
        for gap in batch.gaps {
            self.live.publish(LiveUpdate::Gap(gap));
        }
        // The cast fails only if the server has stopped; nobody judges it then.
        let _ = self.actor.cast(ServerMessage::Heard(heard));
    }
}

impl Round {
    fn add(&mut self, server: &Arc<str>, report: Report, silences: &mut Silences) {
        let Report { collector, at_ms, outcome } = report;
        let of = match outcome {
            Outcome::Samples(samples) => {
                self.batch.gaps.extend(silences.spoke(&collector, at_ms, now_ms()));
                let (server, collector) = (server.clone(), collector.clone());
                self.batch.frames.push(Frame { server, collector, at_ms, samples });
                HeardOf::Samples
            }
            Outcome::Missed(why) => {
                self.batch.gaps.extend(silences.missed(&collector, at_ms, &why, now_ms()));
                HeardOf::Nothing
            }
            Outcome::Absent => HeardOf::Absent,
        };
        self.heard.push(Heard { collector, of });
    }
}
