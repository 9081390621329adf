//! A courier: the actor of one way, which hands notices over and says what came of each.
//!
//! # Invariants
//!
//! - A courier has at most [`AT_ONCE`] notices in its hands, and begins with each at once; the rest stays in the outbox.
//! - Every notice that was taken comes back: with a verdict, or as not begun. One in the hands of a courier that stops
//!   is handed over all the same.
//! - It knows no incident and decides nothing.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Notice, NoticeId, Outcome, Way,
    channels::{ATTEMPT_LIMIT, Channel, Verdict},
};
use crate::{
    series::now_ms,
    supervision::{Node, until_pulse},
};

/// Notices in the hands of a courier.
pub(super) const AT_ONCE: usize = 16;
/// Reports that may wait for the engine.
pub(super) const REPORTS: usize = 256;
/// Silent for longer than this, a courier counts as stuck.
const SILENCE: Duration = Duration::from_secs(10);
/// However a channel misbehaves, an attempt is over by then.
const OVER: Duration = ATTEMPT_LIMIT.saturating_add(Duration::from_secs(2));

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) notice: NoticeId,
    /// `None`: it was not begun.
    pub(super) verdict: Option<Verdict>,
    pub(super) began_ms: i64,
    pub(super) ended_ms: i64,
}

/// Where notices are given to a courier, whichever runs at the time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct CourierPort(Arc<ArcSwapOption<mpsc::Sender<Arc<Notice>>>>);

impl CourierPort {
    /// Gives a notice to the courier, if one runs and has room.
    pub(super) fn give(&self, notice: Arc<Notice>) -> bool {
        self.0.load().as_ref().is_some_and(|courier| courier.try_send(notice).is_ok())
    }
}

/// What a courier accepts.
#[derive(Debug)]
pub(super) enum CourierMessage {
    /// A second has passed: show that it is alive. Sent by the actor to itself.
    Tick,
}

/// The behaviour; everything that changes lives in [`CourierState`].
pub(super) struct CourierActor<C>(PhantomData<fn() -> C>);

/// What a courier is born with.
pub(super) struct CourierArguments<C> {
    pub(super) channel: Arc<C>,
    pub(super) port: CourierPort,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) node: Node,
}

/// What a courier remembers between messages.
pub(super) struct CourierState {
    node: Node,
    port: CourierPort,
    walk: JoinHandle<()>,
    stop: CancellationToken,
    // A killed actor runs no code of its own: what it started ends with its state.
    _stop: DropGuard,
}

impl<C> Default for CourierActor<C> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<C: Channel> Actor for CourierActor<C> {
    type Msg = CourierMessage;
    type State = CourierState;
    type Arguments = CourierArguments<C>;

    async fn pre_start(
        &self,
        myself: ActorRef<CourierMessage>,
        arguments: CourierArguments<C>,
    ) -> Result<CourierState, ActorProcessingErr> {
        let CourierArguments { channel, port, reports, node } = arguments;
        node.expect_beats(SILENCE);
        let (notices, received) = mpsc::channel(AT_ONCE);
        port.0.store(Some(Arc::new(notices)));
        let stop = CancellationToken::new();
        let walk = tokio::spawn(walk(channel, received, reports, stop.clone()));
        myself.send_after(until_pulse(), || CourierMessage::Tick);
        Ok(CourierState { node, port, walk, _stop: stop.clone().drop_guard(), stop })
    }

    async fn handle(
        &self,
        myself: ActorRef<CourierMessage>,
        CourierMessage::Tick: CourierMessage,
        state: &mut CourierState,
    ) -> Result<(), ActorProcessingErr> {
        if state.walk.is_finished() {
            return Err("failed to hand over notices: the delivering task has ended".into());
        }
        state.node.beat();
        let port = state.port.0.load();
        let waiting =
            port.as_ref().map_or(0, |courier| courier.max_capacity() - courier.capacity());
        state.node.set_queue(waiting);
        myself.send_after(until_pulse(), || CourierMessage::Tick);
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<CourierMessage>,
        state: &mut CourierState,
    ) -> Result<(), ActorProcessingErr> {
        // What it has in its hands is handed over, in the time that whoever stops it allows.
        state.stop.cancel();
        let _ = (&mut state.walk).await;
        Ok(())
    }
}

/// Hands notices over until it is asked to stop; what it has in its hands then comes to its end.
async fn walk<C: Channel>(
    channel: Arc<C>,
    mut notices: mpsc::Receiver<Arc<Notice>>,
    reports: mpsc::Sender<Report>,
    stop: CancellationToken,
) {
    let mut hands = JoinSet::new();
    loop {
        let notice = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = hands.join_next(), if !hands.is_empty() => continue,
            notice = notices.recv(), if hands.len() < AT_ONCE => notice,
        };
        let Some(notice) = notice else { break };
        hands.spawn(carry(channel.clone(), notice, reports.clone()));
    }
    notices.close();
    while let Some(notice) = notices.recv().await {
        let (id, now_ms) = (notice.id, now_ms());
        let report = Report { notice: id, verdict: None, began_ms: now_ms, ended_ms: now_ms };
        // Nobody listens any more only if the daemon is ending, here and below.
        let _ = reports.send(report).await;
    }
    while hands.join_next().await.is_some() {}
}

async fn carry<C: Channel>(channel: Arc<C>, notice: Arc<Notice>, reports: mpsc::Sender<Report>) {
    let (id, way, began_ms) = (notice.id, notice.way, now_ms());
    // A channel that panics takes its own attempt with it, and nothing else.
    let attempt = tokio::spawn(async move { timeout(OVER, channel.deliver(&notice)).await });
    let verdict = match attempt.await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => silent(way, "gave no answer in time"),
        Err(_) => silent(way, "bartizan itself failed in this attempt; its log says more"),
    };
    let (verdict, ended_ms) = (Some(verdict), now_ms());
    let _ = reports.send(Report { notice: id, verdict, began_ms, ended_ms }).await;
}

/// An attempt whose end nobody saw. An SMS may have left, and its gateway would not know a second one by its key.
pub(super) fn silent(way: Way, why: &str) -> Verdict {
    let outcome = if way == Way::Sms { Outcome::Unknown } else { Outcome::Temporary };
    Verdict { outcome, said: why.to_owned(), retry_after: None, parts: None }
}
