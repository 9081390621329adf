//! The server actor: see the [module documentation](super) for its promises.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};

use super::{
    ArrivalPort, Arrived, ServerMessage,
    collector_health::is_measured,
    elsewhere::Elsewhere,
    health::Health,
    intake::{Finding, Intake},
    readers,
    watch::Watch,
};
use crate::{
    alert::messages::AlertPort,
    collector::ReportPort,
    config::{CollectorConfig, RuleConfig, ScrapeConfig},
    detect::{Recall, Sentinel},
    live::messages::{LivePort, LiveUpdate, Origin, ServerState, ServerStatus},
    plugin::PluginPort,
    series::{self, Catalog, PRESUMED_INTERVAL_MS, now_ms},
    store::{StorePort, StoreReader},
    supervision::{Children, Node, until_pulse},
};

/// The behaviour; everything that changes lives in [`Server`].
#[derive(Default)]
pub struct ServerActor;

/// What a server actor is born with.
#[derive(Clone)]
pub struct ServerArguments {
    /// Its name, unique.
    pub name: Arc<str>,
    /// Its tags.
    pub tags: Arc<BTreeMap<String, String>>,
    /// How its samples come here.
    pub origin: Origin,
    /// What plugins read there.
    pub collectors: Vec<CollectorConfig>,
    /// Exporters that are read there.
    pub scrapes: Vec<ScrapeConfig>,
    /// What comes of it from elsewhere.
    pub arrivals: ArrivalPort,
    /// Time between two readings, where a collector does not say otherwise.
    pub interval: Duration,
    /// Whether it is missed although nothing has ever come of it, as one that has just been enrolled is not.
    pub awaited: bool,
    /// What is judged of it.
    pub rules: Vec<Arc<RuleConfig>>,
    /// Opens plugin instances.
    pub plugins: PluginPort,
    /// The series, shared with everybody.
    pub catalog: Arc<Catalog>,
    /// Keeps samples.
    pub store: StorePort,
    /// Knows when it was last seen.
    pub history: StoreReader,
    /// Keeps incidents.
    pub alerts: AlertPort,
    /// Shows them.
    pub live: LivePort,
    /// Its place in the tree.
    pub node: Node,
}

/// What a server actor remembers between messages.
pub struct Server {
    name: Arc<str>,
    tags: Arc<BTreeMap<String, String>>,
    origin: Origin,
    awaited: bool,
    health: Health,
    normal: Option<bool>,
    skew_ms: Option<i64>,
    seen_ms: Option<i64>,
    rules: watch::Sender<Vec<Arc<RuleConfig>>>,
    findings: mpsc::Sender<Finding>,
    arrivals: ArrivalPort,
    told: Option<(ServerStatus, Instant)>,
    live: LivePort,
    node: Node,
    children: Children,
    // One that is killed runs no code of its own: its intake ends with its state.
    _stop: DropGuard,
    stop: CancellationToken,
    intake: JoinHandle<()>,
}

/// A server actor that is silent for longer is stuck.
const BEAT_LIMIT: Duration = Duration::from_secs(10);
/// A live view that was too busy to hear of a change hears of it again after this.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// Reports that may wait for the intake.
const REPORTS_MAX: usize = 1024;
/// What the intake has not heard yet waits; what finds no room is found again.
const FINDINGS_MAX: usize = 16;
/// A server that nobody reads here is judged so often, each at an instant of its own: thousands at one instant would
/// hold up everybody else.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What others ran, and brought nothing for this long before the server was last seen, has ended.
const ENDED_MS: i64 = 24 * 60 * 60 * 1000;
/// How long the last reports may take to the store when the server stops.
const INTAKE_SHUTDOWN: Duration = Duration::from_millis(500);

impl Actor for ServerActor {
    type Msg = ServerMessage;
    type State = Server;
    type Arguments = ServerArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ServerMessage>,
        arguments: ServerArguments,
    ) -> Result<Server, ActorProcessingErr> {
        // A clock that was ahead may have dated what is stored.
        let seen_ms = arguments.history.last_seen(&arguments.name).map(|at_ms| at_ms.min(now_ms()));
        let recall = arguments.alerts.recall(&arguments.name, seen_ms).await;
        let server = Server::new(&myself, arguments, recall, seen_ms);
        match server.children.ids().count() {
            0 => debug!(server = %server.name, "server watched from afar"),
            collectors => info!(server = %server.name, collectors, "server watched"),
        }
        myself.send_after(server.until_look(), || ServerMessage::Tick);
        Ok(server)
    }

    async fn handle(
        &self,
        myself: ActorRef<ServerMessage>,
        message: ServerMessage,
        server: &mut Server,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ServerMessage::Tick => {
                if server.intake.is_finished() {
                    return Err("failed to take in what is read: its task has ended".into());
                }
                server.look();
                myself.send_after(server.until_look(), || ServerMessage::Tick);
            }
            ServerMessage::Heard(heard) => {
                let now = Instant::now();
                heard.iter().for_each(|heard| server.health.hear(heard, now));
                server.judge();
            }
            ServerMessage::Arrived(arrived) => server.arrived(arrived),
            ServerMessage::Normal(normal) => {
                server.normal = normal;
                server.judge();
            }
            ServerMessage::Rules(rules) => drop(server.rules.send_replace(rules)),
            ServerMessage::Child(event) => server.children.handle(event)?,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ServerMessage>,
        event: SupervisionEvent,
        server: &mut Server,
    ) -> Result<(), ActorProcessingErr> {
        Ok(server.children.supervise(event)?)
    }

    async fn post_stop(
        &self,
        _: ActorRef<ServerMessage>,
        server: &mut Server,
    ) -> Result<(), ActorProcessingErr> {
        server.children.stop_all().await;
        server.stop.cancel();
        let _ = timeout(INTAKE_SHUTDOWN, &mut server.intake).await;
        Ok(())
    }
}

impl Server {
    fn new(
        myself: &ActorRef<ServerMessage>,
        arguments: ServerArguments,
        recall: Recall,
        seen_ms: Option<i64>,
    ) -> Self {
        let ServerArguments { name, tags, origin, collectors, scrapes, interval, .. } = arguments;
        let ServerArguments { arrivals, rules, plugins, catalog, store, .. } = arguments;
        let ServerArguments { awaited, history, alerts, live, node, .. } = arguments;
        node.expect_beats(BEAT_LIMIT);
        let mailbox = myself.clone();
        let mut children = Children::new(myself.get_cell(), node.clone(), move |event| {
            // The cast fails only if this server has stopped, and its children with it.
            let _ = mailbox.cast(ServerMessage::Child(event));
        });
        let (reports, received) = ReportPort::new(REPORTS_MAX);
        let mut read = readers::plugins(&name, &collectors, interval, &plugins, &reports);
        read.extend(readers::exporters(&name, &scrapes, interval, &catalog, &reports));
        let is_read_here = |other: &Arc<str>| read.iter().any(|reader| reader.name == *other);
        let mut elsewhere = read_elsewhere(&history, &name);
        elsewhere.retain(|(other, _)| origin != Origin::Local && !is_read_here(other));

        let now = Instant::now();
        let here = read.iter().map(|reader| (reader.name.clone(), reader.interval));
        let all: Vec<_> = here.chain(elsewhere.iter().cloned()).collect();
        let fastest = all.iter().map(|(_, interval)| *interval);
        // What was measured counts, if anything was.
        let fastest = fastest.min_by_key(|interval| (!is_measured(*interval), *interval));
        let fastest = fastest.unwrap_or(interval);
        let mut health = Health::new(fastest, read.iter().map(|reader| reader.name.clone()), now);
        if seen_ms.is_some() {
            health.has_come();
        }
        for (collector, interval) in &elsewhere {
            health.meet(collector.clone(), *interval, now);
        }
        let all = all.into_iter().map(|(name, interval)| (name, series::whole_ms(interval)));
        let sentinel = Sentinel::new(name.clone(), all, rules, catalog.clone(), recall, now_ms());
        let stop = CancellationToken::new();
        let (rules, other_rules) = watch::channel(Vec::new());
        let (findings, found) = mpsc::channel(FINDINGS_MAX);
        let intake = Intake {
            server: name.clone(),
            reports: received,
            arrivals: arrivals.clone(),
            elsewhere: Elsewhere::new(catalog, &elsewhere),
            store,
            live: live.clone(),
            actor: myself.clone(),
            watch: Watch::new(sentinel, alerts, tags.clone(), myself.clone()),
            rules: other_rules,
            findings: found,
            stop: stop.clone(),
        };
        for reader in read {
            children.start(reader.child());
        }
        let mut server = Self {
            name,
            tags,
            origin,
            awaited,
            health,
            normal: None,
            skew_ms: None,
            seen_ms,
            rules,
            findings,
            arrivals,
            told: None,
            live,
            node,
            children,
            _stop: stop.clone().drop_guard(),
            stop,
            intake: tokio::spawn(intake.run()),
        };
        server.judge();
        server
    }

    /// Time until the next look.
    fn until_look(&self) -> Duration {
        if self.children.ids().next().is_some() { until_pulse() } else { LOOK_EVERY }
    }

    fn look(&mut self) {
        self.node.beat();
        self.node.set_queue(self.arrivals.waiting());
        let now = Instant::now();
        if self.arrivals.was_turned_away() {
            self.health.is_alive(now);
        }
        if let Some(sighting) = self.arrivals.take_sighting() {
            self.health.is_elsewhere(sighting);
        }
        for ended in self.health.look(now) {
            info!(server = %self.name, collector = %ended, "no sample for a day: no longer expected");
            // One that is not taken is forgotten by whoever judges when its series are.
            let _ = self.findings.try_send(Finding::Ended(ended));
        }
        self.judge();
        self.arrivals.set_missed(self.origin == Origin::Remote && self.health.is_missed(now));
    }

    fn arrived(&mut self, arrived: Arrived) {
        let now = Instant::now();
        if arrived.paced {
            self.health.has_pace();
        }
        for (collector, interval) in arrived.met {
            self.health.meet(collector, interval, now);
        }
        arrived.heard.iter().for_each(|heard| self.health.hear(heard, now));
        if arrived.newest_ms.is_some() {
            self.health.is_alive(now);
        }
        let seen_ms = self.seen_ms.map(|seen_ms| seen_ms.min(now_ms()));
        self.seen_ms = seen_ms.max(arrived.newest_ms);
        self.skew_ms = arrived.skew_ms;
        self.judge();
    }

    /// Judges the server's health, and tells what has changed.
    fn judge(&mut self) {
        let now = Instant::now();
        let may_be_missed = self.awaited || self.seen_ms.is_some();
        let worst = if may_be_missed { ServerState::Offline } else { ServerState::Unknown };
        let status = ServerStatus {
            name: self.name.clone(),
            tags: self.tags.clone(),
            state: self.health.judge(now).min(worst),
            normal: self.normal,
            interval_ms: whole_ms(self.health.interval()),
            collectors_up: self.health.up(now),
            collectors_down: self.health.down(now),
            origin: self.origin,
            skew_ms: self.skew_ms,
            seen_ms: self.seen_ms,
            hub: self.health.hub(now).cloned(),
        };
        if status.state == ServerState::Offline {
            // One that is not taken is told again with the next tick.
            let _ = self.findings.try_send(Finding::Offline(self.seen_ms));
        }
        if status.hub.is_some() {
            // As above.
            let _ = self.findings.try_send(Finding::Elsewhere);
        }
        let detail = status.hub.as_ref().map(|hub| format!("writes to {hub}"));
        let detail = detail.as_deref().or(status.state.reason(status.interval_ms));
        self.node.set_detail(detail);
        let told = self.told.as_ref();
        if told.is_some_and(|(told, at)| is_same(told, &status) && now - *at < TELL_AGAIN) {
            return;
        }
        let before = told.map(|(told, _)| told.state);
        if before.is_some_and(|before| before != status.state) {
            info!(server = %self.name, state = status.state.name(), "server state changed");
        }
        self.live.publish(LiveUpdate::Server(status.clone()));
        self.told = Some((status, now));
    }
}

/// Whether nobody needs to hear of a change: samples that are shown say themselves when they were read, and a clock
/// is never measured twice alike.
fn is_same(told: &ServerStatus, status: &ServerStatus) -> bool {
    let is_shown = status.state <= ServerState::Degraded;
    let seen_ms = if is_shown { told.seen_ms } else { status.seen_ms };
    let skew_ms = status.skew_ms.and(told.skew_ms).or(status.skew_ms);
    *told == ServerStatus { seen_ms, skew_ms, ..status.clone() }
}

/// Collectors of `server` that others run, and how often, as far as anything came of them when it was last seen.
fn read_elsewhere(history: &StoreReader, server: &str) -> Vec<(Arc<str>, Duration)> {
    let catalog = history.catalog();
    let mut intervals = BTreeMap::new();
    for series in catalog.of_server(server).into_iter().filter_map(|id| catalog.get(id)) {
        let fastest_ms = intervals.entry(series.collector.clone()).or_insert(PRESUMED_INTERVAL_MS);
        // A series that ended before it was measured says nothing.
        *fastest_ms = match (series.interval_ms, *fastest_ms) {
            (PRESUMED_INTERVAL_MS, known) => known,
            (measured, PRESUMED_INTERVAL_MS) => measured,
            (measured, known) => measured.min(known),
        };
    }
    let seen = history.seen(server);
    let newest_ms = seen.values().copied().max().unwrap_or(i64::MIN);
    let lately = |name: &str| seen.get(name).is_some_and(|seen_ms| newest_ms - seen_ms <= ENDED_MS);
    let lately = intervals.into_iter().filter(|(name, _)| lately(name));
    lately.map(|(name, ms)| (name, Duration::from_millis(ms.into()))).collect()
}

fn whole_ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
