//! The forward actor: an actor for each target of the configuration.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::{
    Cursors, ForwardMessage, ForwardPort, line::LineArguments, messages::TargetMessage,
    target::TargetActor,
};
use crate::{
    config::{Config, ForwardConfig},
    store::{StatePort, StoreReader},
    supervision::{ChildSpec, Children, Node, Restart, start_with},
};

/// A target has to keep its cursor.
const STOP_LIMIT: Duration = Duration::from_millis(1_200);

/// The behaviour; everything that changes lives in [`Forward`].
#[derive(Default)]
pub struct ForwardActor;

/// What the forward actor is born with.
pub struct ForwardArguments {
    /// The configuration, as it is at each start.
    pub config: Arc<ArcSwap<Config>>,
    /// What this node is called.
    pub this_node: Arc<str>,
    /// What is sent.
    pub store: StoreReader,
    /// Where cursors are kept.
    pub states: StatePort,
    /// How far each target has come.
    pub cursors: Cursors,
    /// Where it is shown how forwarding goes.
    pub port: ForwardPort,
    /// Its place in the tree.
    pub node: Node,
}

/// What the forward actor remembers between messages.
pub struct Forward {
    this_node: Arc<str>,
    store: StoreReader,
    states: StatePort,
    cursors: Cursors,
    port: ForwardPort,
    children: Children,
    targets: BTreeMap<String, Arc<ForwardConfig>>,
}

impl Actor for ForwardActor {
    type Msg = ForwardMessage;
    type State = Forward;
    type Arguments = ForwardArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ForwardMessage>,
        arguments: ForwardArguments,
    ) -> Result<Forward, ActorProcessingErr> {
        let ForwardArguments { config, this_node, store, states, cursors, port, node } = arguments;
        let mailbox = myself.clone();
        let children = Children::new(myself.get_cell(), node, move |event| {
            // The cast fails only if this actor has stopped, and its children with it.
            let _ = mailbox.cast(ForwardMessage::Child(event));
        });
        let targets = BTreeMap::new();
        let mut forward = Forward { this_node, store, states, cursors, port, children, targets };
        forward.follow(&config.load_full()).await;
        Ok(forward)
    }

    async fn handle(
        &self,
        _: ActorRef<ForwardMessage>,
        message: ForwardMessage,
        forward: &mut Forward,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ForwardMessage::Reload(config) => {
                forward.follow(&config).await;
                Ok(())
            }
            ForwardMessage::Child(event) => Ok(forward.children.handle(event)?),
        }
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ForwardMessage>,
        event: SupervisionEvent,
        forward: &mut Forward,
    ) -> Result<(), ActorProcessingErr> {
        Ok(forward.children.supervise(event)?)
    }

    async fn post_stop(
        &self,
        _: ActorRef<ForwardMessage>,
        forward: &mut Forward,
    ) -> Result<(), ActorProcessingErr> {
        forward.children.stop_all().await;
        Ok(())
    }
}

impl Forward {
    /// Brings the targets in line with the configuration: those that are as before are only tried at once.
    async fn follow(&mut self, config: &Config) {
        let wanted: BTreeMap<String, Arc<ForwardConfig>> = config
            .forwards
            .iter()
            .map(|target| (target.name.clone(), Arc::new(target.clone())))
            .collect();
        let former = std::mem::take(&mut self.targets);
        for (name, target) in &former {
            if wanted.get(name) == Some(target) {
                if let Some(cell) = self.children.cell(&child_id(name)) {
                    // The cast fails only if it is just falling; then it is tried anew anyway.
                    let _ =
                        ActorRef::<TargetMessage>::from(cell.clone()).cast(TargetMessage::Again);
                }
            } else {
                self.children.stop(&child_id(name)).await;
            }
        }
        for name in self.cursors.names() {
            if !wanted.contains_key(&name) {
                self.forget(&name).await;
            }
        }
        let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
        self.port.retain(&names);
        // Those whose line does not start yet hold everything.
        self.store.log_holders_are(&names);
        for target in wanted.values() {
            self.children.start(self.spec(target.clone()));
        }
        self.targets = wanted;
    }

    /// A target is no longer configured.
    async fn forget(&self, name: &str) {
        match self.cursors.forget(&self.states, name).await {
            Ok(()) => info!(name, "target is no longer configured, its cursor is forgotten"),
            Err(error) => warn!(name, %error, "cursor cannot be forgotten yet"),
        }
    }

    fn spec(&self, config: Arc<ForwardConfig>) -> ChildSpec {
        let id = child_id(&config.name);
        let (this_node, store, states) =
            (self.this_node.clone(), self.store.clone(), self.states.clone());
        let (cursors, figures) = (self.cursors.clone(), self.port.figures(&config));
        let start = start_with(TargetActor::default, move |node| LineArguments {
            config: config.clone(),
            this_node: this_node.clone(),
            catalog: store.catalog().clone(),
            log: store.clone(),
            cursors: cursors.clone(),
            states: states.clone(),
            figures: figures.clone(),
            node,
            again: Arc::new(Notify::new()),
        });
        ChildSpec { id, kind: "target", start, restart: Restart::WithBackoff, shutdown: STOP_LIMIT }
    }
}

fn child_id(name: &str) -> String {
    format!("to:{name}")
}
