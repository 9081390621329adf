//! The server actor: see the [module documentation](super) for its promises.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{HeardOf, ServerMessage, health::Health, intake::Intake, watch::Watch};
use crate::{
    alert::messages::AlertPort,
    collector::{CollectorActor, CollectorArguments, ReportPort},
    config::{CollectorConfig, RuleConfig},
    detect::{Recall, Sentinel},
    live::messages::{LivePort, LiveUpdate, ServerState, ServerStatus},
    plugin::{InstanceSpec, PluginPort},
    series::{self, Catalog, now_ms},
    store::{StorePort, StoreReader},
    supervision::{ChildSpec, Children, Node, Restart, start_with, until_pulse},
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
    /// What is read there.
    pub collectors: Vec<CollectorConfig>,
    /// Time between two readings, where a collector does not say otherwise.
    pub interval: Duration,
    /// What is judged of it.
    pub rules: Vec<RuleConfig>,
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
    interval: Duration,
    health: Health,
    normal: Option<bool>,
    rules: watch::Sender<Vec<RuleConfig>>,
    offline: mpsc::Sender<()>,
    told: Option<(ServerStatus, Instant)>,
    live: LivePort,
    node: Node,
    children: Children,
    stop_intake: CancellationToken,
    intake: JoinHandle<()>,
}

/// A server actor that is silent for longer is stuck.
const BEAT_LIMIT: Duration = Duration::from_secs(10);
/// A live view that was too busy to hear of a change hears of it again after this.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// Reports that may wait for the intake.
const REPORTS_MAX: usize = 1024;
/// How long a collector may take to stop.
const COLLECTOR_SHUTDOWN: Duration = Duration::from_millis(500);
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
        let seen_ms = arguments.history.last_seen(&arguments.name);
        let recall = arguments.alerts.recall(&arguments.name, seen_ms).await;
        let server = Server::new(&myself, arguments, recall);
        info!(server = %server.name, collectors = server.children.ids().count(), "server watched");
        myself.send_after(until_pulse(), || ServerMessage::Tick);
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
                server.node.beat();
                server.judge();
                myself.send_after(until_pulse(), || ServerMessage::Tick);
            }
            ServerMessage::Heard(heard) => {
                let now = Instant::now();
                heard.iter().for_each(|heard| server.health.hear(heard, now));
                server.judge();
            }
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
        server.stop_intake.cancel();
        let _ = timeout(INTAKE_SHUTDOWN, &mut server.intake).await;
        Ok(())
    }
}

impl Server {
    fn new(myself: &ActorRef<ServerMessage>, arguments: ServerArguments, recall: Recall) -> Self {
        let ServerArguments { name, tags, collectors, interval, rules, .. } = arguments;
        let ServerArguments { plugins, catalog, store, alerts, live, node, .. } = arguments;
        node.expect_beats(BEAT_LIMIT);
        let mailbox = myself.clone();
        let mut children = Children::new(myself.get_cell(), node.clone(), move |event| {
            // The cast fails only if this server has stopped, and its children with it.
            let _ = mailbox.cast(ServerMessage::Child(event));
        });
        let known = plugins.catalog();
        let interval_of = |collector: &CollectorConfig| {
            let plugin = known.find(&collector.plugin);
            let own =
                plugin.filter(|plugin| !plugin.bundled).and_then(|plugin| plugin.manifest.interval);
            collector.interval.unwrap_or_else(|| own.map_or(interval, |own| own.max(interval)))
        };
        let fastest = collectors.iter().map(interval_of).min().unwrap_or(interval);
        let names: Vec<(Arc<str>, i64)> = collectors
            .iter()
            .map(|collector| {
                (collector.name.as_str().into(), series::whole_ms(interval_of(collector)))
            })
            .collect();
        let health =
            Health::new(fastest, names.iter().map(|(name, _)| name.clone()), Instant::now());
        let sentinel = Sentinel::new(name.clone(), names, rules, catalog.clone(), recall, now_ms());
        let (reports, received) = ReportPort::new(REPORTS_MAX);
        let stop = CancellationToken::new();
        let (rules, other_rules) = watch::channel(Vec::new());
        let (offline, is_offline) = mpsc::channel(1);
        let intake = Intake {
            server: name.clone(),
            reports: received,
            store,
            live: live.clone(),
            actor: myself.clone(),
            watch: Watch::new(sentinel, alerts, tags.clone(), myself.clone()),
            rules: other_rules,
            offline: is_offline,
            stop: stop.clone(),
        };
        let mut read = HashSet::new();
        for collector in collectors {
            let interval = interval_of(&collector);
            // A plugin may be named by its id and by its name.
            let found = known.find(&collector.plugin).map(|found| found.id.to_string());
            let again = !read.insert(found.unwrap_or_else(|| collector.plugin.clone()));
            let spec = InstanceSpec {
                server: name.clone(),
                collector: collector.name.as_str().into(),
                plugin: collector.plugin.as_str().into(),
                config: collector.config,
                interval,
                again,
            };
            children.start(child(spec, plugins.clone(), reports.clone()));
        }
        let mut server = Self {
            name,
            tags,
            interval: fastest,
            health,
            normal: None,
            rules,
            offline,
            told: None,
            live,
            node,
            children,
            stop_intake: stop,
            intake: tokio::spawn(intake.run()),
        };
        server.judge();
        server
    }

    /// Judges the server's health, and tells what has changed.
    fn judge(&mut self) {
        let now = Instant::now();
        let status = ServerStatus {
            name: self.name.clone(),
            tags: self.tags.clone(),
            state: self.health.judge(now),
            normal: self.normal,
            interval_ms: whole_ms(self.interval),
            collectors_up: self.health.count(HeardOf::Samples),
            collectors_down: self.health.count(HeardOf::Nothing),
        };
        if status.state == ServerState::Offline {
            // One that is not taken is told again with the next tick.
            let _ = self.offline.try_send(());
        }
        let told = self.told.as_ref();
        if told.is_some_and(|(told, at)| *told == status && now - *at < TELL_AGAIN) {
            return;
        }
        let before = told.map(|(told, _)| told.state);
        if before.is_some_and(|before| before != status.state) {
            info!(server = %self.name, state = status.state.name(), "server state changed");
        }
        self.node.set_detail(words(&status));
        self.live.publish(LiveUpdate::Server(status.clone()));
        self.told = Some((status, now));
    }
}

fn words(status: &ServerStatus) -> Option<&'static str> {
    match status.state {
        ServerState::Up => None,
        ServerState::Degraded => Some("a collector brings no samples"),
        ServerState::Unknown => Some("no sample for three intervals"),
        ServerState::Offline => Some("no sample for so long that it counts as offline"),
    }
}

fn whole_ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// What is said of a collector before there is one. Every start opens a fresh
/// plugin instance, since the former one went down with its collector.
fn child(spec: InstanceSpec, plugins: PluginPort, reports: ReportPort) -> ChildSpec {
    ChildSpec {
        id: spec.collector.to_string(),
        kind: "collector",
        start: start_with(CollectorActor::default, move |node| CollectorArguments {
            name: spec.collector.clone(),
            server: spec.server.clone(),
            source: plugins.open(spec.clone()),
            interval: spec.interval,
            reports: reports.clone(),
            clock: now_ms,
            node,
        }),
        restart: Restart::WithBackoff,
        shutdown: COLLECTOR_SHUTDOWN,
    }
}
