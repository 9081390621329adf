//! The collector actor: see the [module documentation](super) for its promises.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{CollectorMessage, Due, Outcome, Report, ReportPort, Schedule, Source};
use crate::{
    plugin::{CollectError, InstanceState, Reading},
    supervision::{ActorState, Node},
};

/// The behaviour; everything that changes lives in [`CollectorState`].
pub struct CollectorActor<S>(PhantomData<fn() -> S>);

/// What a collector is born with.
pub struct CollectorArguments<S> {
    /// Its name, unique within its server.
    pub name: Arc<str>,
    /// Name of its server, for the log.
    pub server: Arc<str>,
    /// What it reads from.
    pub source: S,
    /// Time between two readings.
    pub interval: Duration,
    /// Where reports go.
    pub reports: ReportPort,
    /// Milliseconds since 1970, now.
    pub clock: fn() -> i64,
    /// Its place in the tree.
    pub node: Node,
}

/// What a collector remembers between messages.
pub struct CollectorState<S> {
    name: Arc<str>,
    server: Arc<str>,
    schedule: Schedule,
    reports: ReportPort,
    clock: fn() -> i64,
    node: Node,
    source: Place<S>,
    plugin: InstanceState,
    /// Why the last slot brought nothing; said in the log when it changes.
    trouble: Option<Arc<str>>,
}

/// Where the source is.
enum Place<S> {
    Home(S),
    Reading,
}

impl<S> Default for CollectorActor<S> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// A collector is stuck if it has not come to its next slot by this much.
const SLOT_SLACK: Duration = Duration::from_secs(10);

impl<S: Source> Actor for CollectorActor<S> {
    type Msg = CollectorMessage<S>;
    type State = CollectorState<S>;
    type Arguments = CollectorArguments<S>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: CollectorArguments<S>,
    ) -> Result<CollectorState<S>, ActorProcessingErr> {
        let CollectorArguments { name, server, source, interval, reports, clock, node } = arguments;
        node.expect_beats(interval + SLOT_SLACK);
        let mut states = source.states();
        let plugin = states.borrow_and_update().clone();
        watch_over(states, myself.clone());
        let state = CollectorState {
            name,
            server,
            schedule: Schedule::new(interval),
            reports,
            clock,
            node,
            source: Place::Home(source),
            plugin,
            trouble: None,
        };
        state.await_next_slot(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut CollectorState<S>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CollectorMessage::Tick => state.tick(&myself),
            CollectorMessage::Became(plugin) => state.became(plugin),
            CollectorMessage::Finished { source, at_ms, outcome } => {
                state.finished(source, at_ms, outcome);
            }
        }
        Ok(())
    }
}

impl<S: Source> CollectorState<S> {
    fn tick(&mut self, myself: &ActorRef<CollectorMessage<S>>) {
        self.node.beat();
        if let Some(due) = self.schedule.take((self.clock)()) {
            self.slot(due, myself);
        }
        self.await_next_slot(myself);
    }

    fn slot(&mut self, Due { at_ms, skipped }: Due, myself: &ActorRef<CollectorMessage<S>>) {
        if skipped > 0 {
            let first = at_ms - i64::from(skipped) * self.schedule.interval_ms();
            self.report(first, Outcome::Missed("this machine was asleep or too busy".into()));
        }
        if matches!(self.source, Place::Reading) {
            // Without how long: it would be another reason, and another line, at every slot.
            self.missed(at_ms, "plugin is still busy with an earlier slot".into());
            return;
        }
        match self.plugin.clone() {
            InstanceState::Ready => self.read(at_ms, myself.clone()),
            InstanceState::Starting => self.starting(at_ms),
            InstanceState::Down { reason } => self.missed(at_ms, reason),
            InstanceState::Parked { reason } => self.parked(at_ms, reason),
            InstanceState::Absent { reason } => self.absent(at_ms, reason),
        }
    }

    /// A plugin that goes down leaves a gap at once, even if it is back before
    /// the next slot: its counters and its series begin anew.
    fn became(&mut self, plugin: InstanceState) {
        let now_ms = (self.clock)();
        match &plugin {
            InstanceState::Starting | InstanceState::Ready => {}
            InstanceState::Down { reason } => self.missed(now_ms, reason.clone()),
            InstanceState::Parked { reason } => self.parked(now_ms, reason.clone()),
            InstanceState::Absent { reason } => self.absent(now_ms, reason.clone()),
        }
        self.plugin = plugin;
    }

    fn finished(&mut self, source: S, at_ms: i64, outcome: Result<(), CollectError>) {
        self.source = Place::Home(source);
        match outcome {
            Ok(()) => {
                if let Some(trouble) = self.trouble.take() {
                    let (server, collector) = (&*self.server, &*self.name);
                    info!(server, collector, after = %trouble, "collector brings samples again");
                }
                self.node.set_detail(None);
                self.node.set_state(ActorState::Up);
            }
            Err(error) => self.missed(at_ms, error.to_string().into()),
        }
    }

    /// A gap, but no trouble: every plugin starts, and one that does not is `Down`.
    fn starting(&mut self, at_ms: i64) {
        if self.trouble.is_none() {
            self.node.set_state(ActorState::Starting);
        }
        self.report(at_ms, Outcome::Missed("plugin is starting".into()));
    }

    fn missed(&mut self, at_ms: i64, reason: Arc<str>) {
        self.trouble(ActorState::Down, &reason);
        self.report(at_ms, Outcome::Missed(reason));
    }

    /// Nothing comes until something changes, though something should.
    fn parked(&mut self, at_ms: i64, reason: Arc<str>) {
        self.trouble(ActorState::Parked, &reason);
        self.report(at_ms, Outcome::Missed(reason));
    }

    /// Nothing comes, and nothing is missing.
    fn absent(&mut self, at_ms: i64, reason: Arc<str>) {
        self.trouble(ActorState::Parked, &reason);
        self.report(at_ms, Outcome::Absent);
    }

    fn trouble(&mut self, state: ActorState, reason: &Arc<str>) {
        if self.trouble.as_ref() == Some(reason) {
            return;
        }
        let (server, collector) = (&*self.server, &*self.name);
        match state {
            ActorState::Parked => info!(server, collector, %reason, "collector parked"),
            _ => warn!(server, collector, %reason, "collector brings no samples"),
        }
        self.node.set_state(state);
        self.node.set_detail(Some(reason));
        self.node.set_error(reason);
        self.trouble = Some(reason.clone());
    }

    fn report(&self, at_ms: i64, outcome: Outcome) {
        self.reports.send(Report { collector: self.name.clone(), at_ms, outcome });
    }

    fn await_next_slot(&self, myself: &ActorRef<CollectorMessage<S>>) {
        myself.send_after(self.schedule.until_next((self.clock)()), || CollectorMessage::Tick);
    }

    /// Sends the source off to be read, and home again as
    /// [`CollectorMessage::Finished`]; the samples go straight to the server.
    fn read(&mut self, at_ms: i64, home: ActorRef<CollectorMessage<S>>) {
        let Place::Home(mut source) = std::mem::replace(&mut self.source, Place::Reading) else {
            return;
        };
        let (reports, collector) = (self.reports.clone(), self.name.clone());
        tokio::spawn(async move {
            let outcome = source.collect(at_ms).await.map(|Reading { samples, dated, .. }| {
                if !dated.is_empty() {
                    let (collector, outcome) = (collector.clone(), Outcome::Dated(dated));
                    reports.send(Report { collector, at_ms, outcome });
                }
                reports.send(Report { collector, at_ms, outcome: Outcome::Samples(samples) });
            });
            // The cast fails only if the collector has stopped; nobody is waiting then.
            let _ = home.cast(CollectorMessage::Finished { source, at_ms, outcome });
        });
    }
}

/// Tells `home` whenever the plugin's state changes, until one of them is gone.
fn watch_over<S: Source>(
    mut states: watch::Receiver<InstanceState>,
    home: ActorRef<CollectorMessage<S>>,
) {
    tokio::spawn(async move {
        while states.changed().await.is_ok() {
            let state = states.borrow_and_update().clone();
            if home.cast(CollectorMessage::Became(state)).is_err() {
                return;
            }
        }
    });
}
