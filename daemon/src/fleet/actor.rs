//! The fleet actor: see the [module documentation](super) for its promises.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tracing::info;

use super::{
    FleetMessage,
    membership::{Change, Member, changes, members},
};
use crate::{
    alert::messages::AlertPort,
    config::{Config, RuleConfig, effective_rules},
    live::messages::{LivePort, LiveUpdate},
    plugin::PluginPort,
    series::Catalog,
    server::{ServerActor, ServerArguments, ServerMessage},
    store::{StorePort, StoreReader},
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
}

/// What the fleet remembers between messages.
pub struct Fleet {
    this_machine: Arc<str>,
    ports: Ports,
    node: Node,
    members: Vec<Member>,
    children: Children,
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
        let mut fleet = Fleet { this_machine, ports, node, members: Vec::new(), children };
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
                fleet.node.beat();
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
        Ok(())
    }
}

impl Fleet {
    /// Makes the fleet what `config` says.
    async fn become_as(&mut self, config: &Config) {
        let members = members(config, &self.this_machine);
        for change in changes(&self.members, &members) {
            match change {
                Change::Start(member) => self.start(member, &config.rules),
                Change::Stop(name) => {
                    info!(server = name, "server no longer watched");
                    self.children.stop(&child_id(&name)).await;
                    self.ports.live.publish(LiveUpdate::Gone(name.into()));
                }
                Change::Replace(member) => {
                    self.children.stop(&child_id(&member.0.name)).await;
                    self.start(member, &config.rules);
                }
            }
        }
        for (server, _) in &members {
            if let Some(cell) = self.children.cell(&child_id(&server.name)) {
                let rules = effective_rules(&config.rules, server);
                // The cast fails only if it has stopped, and then it is started with these.
                let _ = ActorRef::from(cell.clone()).cast(ServerMessage::Rules(rules));
            }
        }
        self.ports
            .alerts
            .watch(members.iter().map(|(server, _)| server.name.as_str().into()).collect());
        self.members = members;
    }

    fn start(&mut self, (server, interval): Member, rules: &[RuleConfig]) {
        let rules = effective_rules(rules, &server);
        let id = child_id(&server.name);
        let name: Arc<str> = server.name.into();
        let tags = Arc::new(server.tags);
        let Ports { plugins, store, live, catalog, history, alerts } = self.ports.clone();
        let start = start_with(ServerActor::default, move |node| ServerArguments {
            name: name.clone(),
            tags: tags.clone(),
            collectors: server.collectors.clone(),
            interval,
            rules: rules.clone(),
            plugins: plugins.clone(),
            catalog: catalog.clone(),
            store: store.clone(),
            history: history.clone(),
            alerts: alerts.clone(),
            live: live.clone(),
            node,
        });
        let restart = Restart::WithBackoff;
        self.children.start(ChildSpec {
            id,
            kind: "server",
            start,
            restart,
            shutdown: SERVER_SHUTDOWN,
        });
    }
}

/// Name of a server's actor, as the supervision tree shows it.
fn child_id(server: &str) -> String {
    format!("srv:{server}")
}
