//! The fleet actor: see the [module documentation](super) for its promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::time::Instant;
use tracing::info;

use super::{
    FleetMessage, FleetPort,
    farewell::farewell,
    keeping::Keeping,
    membership::{Change, Member, change, configured},
    peers::Peers,
};
use crate::{
    alert::messages::AlertPort,
    config::{Config, RuleConfig, shared_rules},
    enrol::TokenPort,
    live::messages::{LivePort, LiveUpdate},
    plugin::PluginPort,
    series::{Catalog, now_ms},
    server::{ArrivalPort, ServerActor, ServerArguments, ServerMessage},
    store::{StatePort, StorePort, StoreReader, messages::Batch},
    supervision::{ChildSpec, Children, Node, Restart, start_with, until_pulse},
};

/// The behaviour; everything that changes lives in [`Fleet`].
#[derive(Default)]
pub struct FleetActor;

/// What the fleet is born with.
pub struct FleetArguments {
    /// The configuration in force; read once, later ones come as messages.
    pub config: Arc<ArcSwap<Config>>,
    /// What this machine is called.
    pub this_machine: Arc<str>,
    /// Handed to every server.
    pub ports: Ports,
    /// Its place in the tree.
    pub node: Node,
}

/// Where servers read from and write to.
#[derive(Clone)]
pub struct Ports {
    /// Opens plugin instances.
    pub plugins: PluginPort,
    /// Keeps samples.
    pub store: StorePort,
    /// Shows them.
    pub live: LivePort,
    /// The series, shared with everybody.
    pub catalog: Arc<Catalog>,
    /// Knows when a server was last seen.
    pub history: StoreReader,
    /// Keeps incidents.
    pub alerts: AlertPort,
    /// Where what arrives from elsewhere is taken in, and who says which servers there are.
    pub fleet: FleetPort,
    /// Keeps who is known.
    pub states: StatePort,
    /// Which tokens let whom in.
    pub tokens: TokenPort,
}

/// What the fleet remembers between messages.
pub struct Fleet {
    this_machine: Arc<str>,
    ports: Ports,
    node: Node,
    rules: Vec<Arc<RuleConfig>>,
    /// What the configuration says.
    configured: BTreeMap<Arc<str>, Member>,
    /// Who is watched.
    members: BTreeMap<Arc<str>, Member>,
    children: Children,
    keeping: Keeping,
    peers: Peers,
}

/// A fleet that is silent for longer is stuck; a reload may stop servers meanwhile.
const BEAT_LIMIT: Duration = Duration::from_secs(15);
/// How long a server may take to stop; its collectors and its last batch have a second in all.
const SERVER_SHUTDOWN: Duration = Duration::from_millis(1500);

impl Actor for FleetActor {
    type Msg = FleetMessage;
    type State = Fleet;
    type Arguments = FleetArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<FleetMessage>,
        arguments: FleetArguments,
    ) -> Result<Fleet, ActorProcessingErr> {
        let FleetArguments { config, this_machine, ports, node } = arguments;
        node.expect_beats(BEAT_LIMIT);
        let mailbox = myself.clone();
        let children = Children::new(myself.get_cell(), node.clone(), move |event| {
            // The cast fails only if the fleet has stopped, and its children with it.
            let _ = mailbox.cast(FleetMessage::Child(event));
        });
        let keeping = Keeping::new(ports.fleet.clone(), ports.states.clone());
        let peers = Peers::new(ports.fleet.clone(), ports.tokens.clone());
        let mut fleet = Fleet {
            this_machine,
            ports,
            node,
            rules: Vec::new(),
            configured: BTreeMap::new(),
            members: BTreeMap::new(),
            children,
            keeping,
            peers,
        };
        fleet.become_as(&config.load()).await;
        myself.send_after(until_pulse(), || FleetMessage::Tick);
        Ok(fleet)
    }

    async fn handle(
        &self,
        myself: ActorRef<FleetMessage>,
        message: FleetMessage,
        fleet: &mut Fleet,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            FleetMessage::Tick => {
                fleet.look().await;
                myself.send_after(until_pulse(), || FleetMessage::Tick);
            }
            FleetMessage::Reload(config) => fleet.become_as(&config).await,
            FleetMessage::Child(event) => fleet.children.handle(event)?,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<FleetMessage>,
        event: SupervisionEvent,
        fleet: &mut Fleet,
    ) -> Result<(), ActorProcessingErr> {
        Ok(fleet.children.supervise(event)?)
    }

    async fn post_stop(
        &self,
        _: ActorRef<FleetMessage>,
        fleet: &mut Fleet,
    ) -> Result<(), ActorProcessingErr> {
        fleet.children.stop_all().await;
        fleet.keeping.farewell().await;
        Ok(())
    }
}

impl Fleet {
    /// Takes in who has come, gone, or changed since the last look.
    async fn look(&mut self) {
        self.node.beat();
        let news = self.ports.fleet.take_news();
        if !news.is_empty() && self.update(news).await {
            self.tell_watched();
        }
        self.keeping.look().await;
        self.peers.look(Instant::now()).await;
    }

    /// Makes the fleet what `config` says.
    async fn become_as(&mut self, config: &Config) {
        self.peers.follow(&config.fleet);
        self.rules = config.rules.iter().cloned().map(Arc::new).collect();
        self.configured = configured(config, &self.this_machine);
        self.ports.fleet.configure(self.configured.keys().cloned().collect());
        let before = self.members.keys().cloned();
        let after = self.configured.keys().cloned().chain(self.ports.fleet.known_names());
        let all: BTreeSet<_> = before.chain(after).collect();
        self.update(all).await;
        for (name, member) in &self.members {
            if let Some(cell) = self.children.cell(&child_id(name)) {
                let rules = shared_rules(&self.rules, &member.server);
                // The cast fails only if it has stopped, and then it is started with these.
                let _ = ActorRef::from(cell.clone()).cast(ServerMessage::Rules(rules));
            }
        }
        self.tell_watched();
    }

    /// Makes those that are called `names` what they are to be. Whether any has come or gone.
    async fn update(&mut self, names: BTreeSet<Arc<str>>) -> bool {
        let mut changed = false;
        for name in names {
            // Stopping many takes a while.
            self.node.beat();
            let after = self.member(&name);
            let change = change(self.members.get(&name), after.as_ref());
            changed |= matches!(change, Change::Start | Change::Stop);
            if matches!(change, Change::Stop | Change::Replace) {
                self.children.stop(&child_id(&name)).await;
            }
            match after {
                Some(member) => {
                    if matches!(change, Change::Start | Change::Replace) {
                        self.start(&name, &member);
                    }
                    self.members.insert(name, member);
                }
                None => {
                    // There may be a way to one that was gone before anybody looked.
                    self.ports.fleet.close(&name);
                    let now = self.ports.fleet.take_renamed(&name);
                    if change == Change::Stop {
                        info!(server = &*name, "server no longer watched");
                        self.say_why(&name, now.as_deref());
                        self.members.remove(&name);
                        self.ports.live.publish(LiveUpdate::Gone(name));
                    }
                }
            }
        }
        changed
    }

    /// Says why nothing comes of a server any more.
    fn say_why(&self, name: &Arc<str>, now: Option<&str>) {
        let gaps = farewell(&self.ports.catalog, name, now, now_ms());
        if !gaps.is_empty() {
            // What the store refuses it counts and says; nobody waits for it.
            drop(self.ports.store.append(Batch { frames: Vec::new(), gaps }));
        }
    }

    /// What a server is to be; `None` where it is not to be watched.
    fn member(&self, name: &str) -> Option<Member> {
        let known = self.ports.fleet.known_as(name);
        match self.configured.get(name) {
            Some(member) => Some(member.clone().with(known)),
            None => known.map(|known| Member::of_known(name, known)),
        }
    }

    fn tell_watched(&self) {
        self.ports.alerts.watch(self.members.keys().cloned().collect());
    }

    fn start(&mut self, name: &Arc<str>, member: &Member) {
        let arguments = Template {
            name: name.clone(),
            tags: Arc::new(member.server.tags.clone()),
            member: member.clone(),
            rules: shared_rules(&self.rules, &member.server),
            arrivals: self.ports.fleet.route(name),
        };
        let ports = self.ports.clone();
        let start = start_with(ServerActor::default, move |node| arguments.fill(&ports, node));
        self.children.start(ChildSpec {
            id: child_id(name),
            kind: "server",
            start,
            restart: Restart::WithBackoff,
            shutdown: SERVER_SHUTDOWN,
        });
    }
}

/// What tells one server from the others, at every start of it.
struct Template {
    name: Arc<str>,
    tags: Arc<BTreeMap<String, String>>,
    member: Member,
    rules: Vec<Arc<RuleConfig>>,
    arrivals: ArrivalPort,
}

impl Template {
    fn fill(&self, ports: &Ports, node: Node) -> ServerArguments {
        let Ports { plugins, store, live, catalog, history, alerts, .. } = ports.clone();
        let Member { server, interval, scrapes, awaited } = &self.member;
        ServerArguments {
            name: self.name.clone(),
            tags: self.tags.clone(),
            origin: self.member.origin(),
            collectors: server.collectors.clone(),
            scrapes: scrapes.clone(),
            arrivals: self.arrivals.clone(),
            interval: *interval,
            awaited: *awaited,
            rules: self.rules.clone(),
            plugins,
            catalog,
            store,
            history,
            alerts,
            live,
            node,
        }
    }
}

/// Name of a server's actor, as the supervision tree shows it.
fn child_id(server: &str) -> String {
    format!("srv:{server}")
}
