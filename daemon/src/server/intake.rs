//! The way of a server's samples: gathered, stored, then shown. What comes from elsewhere is stored already.

use std::{sync::Arc, time::Duration};

use ractor::ActorRef;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    ArrivalPort, Heard, HeardOf, ServerMessage, arrivals::Arrivals, elsewhere::Elsewhere,
    silence::Silences, watch::Watch,
};
use crate::{
    collector::{Outcome, Report},
    config::RuleConfig,
    live::messages::{LivePort, LiveUpdate},
    series::{Frame, Gap, now_ms},
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
    /// What has come from elsewhere.
    pub(super) arrivals: ArrivalPort,
    pub(super) elsewhere: Elsewhere,
    pub(super) store: StorePort,
    pub(super) live: LivePort,
    pub(super) actor: ActorRef<ServerMessage>,
    /// Judges what comes in.
    pub(super) watch: Watch,
    /// Other rules, when they come.
    pub(super) rules: watch::Receiver<Vec<Arc<RuleConfig>>>,
    /// What its actor has found out by time alone.
    pub(super) findings: mpsc::Receiver<Finding>,
    /// Asks it to take in what waits, and to stop.
    pub(super) stop: CancellationToken,
}

/// What the server's actor finds out by time alone.
#[derive(Debug)]
pub(super) enum Finding {
    /// Nothing has been heard for so long that the server is offline; it was last seen then.
    Offline(Option<i64>),
    /// The server is silent here because it writes to another hub.
    Elsewhere,
    /// A collector that others run has ended.
    Ended(Arc<str>),
}

/// What comes in.
enum News {
    Report(Report),
    Arrival(Batch),
}

/// Reports, sorted by where they go.
#[derive(Debug, Default)]
struct Round {
    batch: Batch,
    /// What says of itself when it was measured: of any time, and perhaps known already.
    dated: Vec<Frame>,
    heard: Vec<Heard>,
}

impl Intake {
    /// Takes in reports until it is asked to stop, and then those that still wait.
    pub(super) async fn run(mut self) {
        let mut silences = Silences::new(self.server.clone());
        let stop = self.stop.clone();
        // A former intake of this server may not have ended yet.
        let mut arrivals = tokio::select! {
            arrivals = async { self.arrivals.open().await } => arrivals,
            () = stop.cancelled() => return,
        };
        while let Some(news) = self.next(&mut arrivals).await {
            match news {
                News::Report(first) => self.take_reports(first, &mut silences).await,
                News::Arrival(batch) => self.take_arrival(batch),
            }
        }
        self.watch.farewell().await;
    }

    async fn take_reports(&mut self, first: Report, silences: &mut Silences) {
        sleep(GATHER).await;
        let mut reports = vec![first];
        while reports.len() < REPORTS_MAX
            && let Ok(report) = self.reports.try_recv()
        {
            reports.push(report);
        }
        // Judged before it is stored: a disk that is slow delays no alarm.
        self.watch.judge(&reports, &self.server, !self.store.is_refused());
        let mut round = Round::default();
        for report in reports {
            round.add(&self.server, report, silences);
        }
        self.pass_on(round).await;
    }

    fn take_arrival(&mut self, batch: Batch) {
        let mut present = self.elsewhere.take(batch, now_ms());
        self.watch.judge_arrived(&mut present);
        self.show(present.frames, present.gaps);
        // The cast fails only if the server has stopped; nobody judges it then.
        let _ = self.actor.cast(ServerMessage::Arrived(present.arrived));
    }

    /// What comes next; nothing once it was asked to stop and no report waits. Meanwhile time passes for what is
    /// judged.
    async fn next(&mut self, arrivals: &mut Arrivals) -> Option<News> {
        loop {
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => return Some(News::Report(report)),
                () = self.stop.cancelled() => break,
                Some(batch) = arrivals.next() => return Some(News::Arrival(batch)),
                Ok(()) = self.rules.changed() => {
                    let rules = self.rules.borrow_and_update().clone();
                    self.watch.follow(rules);
                }
                Some(finding) = self.findings.recv() => match finding {
                    Finding::Offline(seen_ms) => self.watch.offline(seen_ms),
                    Finding::Elsewhere => self.watch.elsewhere(),
                    Finding::Ended(collector) => self.watch.forget(&collector),
                },
                () = sleep(self.watch.wait()) => self.watch.advance(),
            }
        }
        self.reports.close();
        self.reports.recv().await.map(News::Report)
    }

    /// Stores what says itself when it was measured; what there is to show of it.
    async fn store_dated(&self, mut dated: Vec<Frame>) -> Vec<Frame> {
        let (store, batch) = (self.store.clone(), Batch { frames: dated.clone(), gaps: vec![] });
        // A task of its own: it goes on though nobody waits for it any more.
        let arriving = tokio::spawn(async move { store.arrive_told(batch).await });
        match timeout(ACK_LIMIT, arriving).await {
            Ok(Ok(Ok((_, left_out)))) => left_out.take_from(&mut dated),
            Ok(Ok(Err(error))) => {
                warn!(server = %self.server, %error, "samples with times of their own are lost")
            }
            outcome => {
                debug!(server = %self.server, ?outcome, "samples with times of their own are shown before they are stored")
            }
        }
        dated
    }

    async fn pass_on(&self, Round { batch, dated, heard }: Round) {
        if !dated.is_empty() {
            let dated = self.store_dated(dated).await;
            self.show(dated, Vec::new());
        }
        if !batch.frames.is_empty() || !batch.gaps.is_empty() {
            let ack = self.store.append(batch.clone());
            // The store counts and says what it refuses; viewers need not wait for more.
            match timeout(ACK_LIMIT, ack.0).await {
                Ok(Ok(Ok(()))) => {}
                refused => debug!(server = %self.server, ?refused, "shown before it was stored"),
            }
        }
        self.show(batch.frames, batch.gaps);
        // The cast fails only if the server has stopped; nobody judges it then.
        let _ = self.actor.cast(ServerMessage::Heard(heard));
    }

    fn show(&self, frames: Vec<Frame>, gaps: Vec<Gap>) {
        for frame in frames {
            self.live.publish(LiveUpdate::Frame(Arc::new(frame)));
        }
        for gap in gaps {
            self.live.publish(LiveUpdate::Gap(gap));
        }
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
            Outcome::Dated(samples) => {
                self.batch.gaps.extend(silences.spoke(&collector, at_ms, now_ms()));
                self.dated.extend(Frame::dated(server, &collector, samples));
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
