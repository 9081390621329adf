//! The root actor: starts the services in order, stops them in reverse.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use super::{messages::RootMessage, readiness::Readiness};
use crate::{
    alert::messages::AlertMessage,
    fleet::FleetMessage,
    forward::ForwardMessage,
    http::messages::HttpMessage,
    plugin::{PluginFolder, PluginMessage},
    supervision::{ActorState, ChildSpec, Children, Fallen, Tree},
};

/// The behaviour; everything that changes lives in [`Root`].
#[derive(Default)]
pub(super) struct RootActor;

/// What the root is born with.
pub(super) struct RootArguments {
    /// The services, in the order of their start.
    pub services: Vec<ChildSpec>,
    /// The tree that this is the root of.
    pub tree: Tree,
    /// Tells systemd how things stand.
    pub readiness: Readiness,
    /// Hears which service brought everything down, if one does.
    pub fallen: oneshot::Sender<Fallen>,
}

/// What the root remembers between messages.
pub(super) struct Root {
    tree: Tree,
    children: Children,
    readiness: Readiness,
    fallen: Option<oneshot::Sender<Fallen>>,
}

impl Actor for RootActor {
    type Msg = RootMessage;
    type State = Root;
    type Arguments = RootArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<RootMessage>,
        arguments: RootArguments,
    ) -> Result<Root, ActorProcessingErr> {
        let RootArguments { services, tree, readiness, fallen } = arguments;
        let mailbox = myself.clone();
        let node = tree.root().clone();
        let mut children = Children::new(myself.get_cell(), node, move |event| {
            // The cast fails only if the root has stopped, and its children with it.
            let _ = mailbox.cast(RootMessage::Child(event));
        });
        for service in services {
            children.start_and_wait(service).await?;
        }
        tree.root().set_state(ActorState::Up);
        myself.send_after(readiness.interval(), || RootMessage::Tick);
        Ok(Root { tree, children, readiness, fallen: Some(fallen) })
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMessage>,
        message: RootMessage,
        root: &mut Root,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RootMessage::Tick => {
                root.readiness.look(&root.tree);
                myself.send_after(root.readiness.interval(), || RootMessage::Tick);
                Ok(())
            }
            RootMessage::Reloaded(config) => {
                root.readiness.reloading();
                let tls = config.as_ref().and_then(|config| config.http.tls.clone());
                root.tell("http", HttpMessage::Reload(tls));
                if let Some(config) = config {
                    root.tell("plugin", PluginMessage::Rescan(PluginFolder::of(&config)));
                    root.tell("alert", AlertMessage::Reload(config.clone()));
                    root.tell("fleet", FleetMessage::Reload(config.clone()));
                    root.tell("forward", ForwardMessage::Reload(config));
                }
                root.readiness.reloaded();
                Ok(())
            }
            RootMessage::Child(event) => {
                let outcome = root.children.handle(event);
                root.bear(outcome)
            }
        }
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RootMessage>,
        event: SupervisionEvent,
        root: &mut Root,
    ) -> Result<(), ActorProcessingErr> {
        let outcome = root.children.supervise(event);
        root.bear(outcome)
    }

    async fn post_stop(
        &self,
        _: ActorRef<RootMessage>,
        root: &mut Root,
    ) -> Result<(), ActorProcessingErr> {
        // Before anybody stops: it may take seconds, in which systemd should know.
        root.readiness.stopping();
        root.children.stop_in_reverse().await;
        Ok(())
    }
}

impl Root {
    /// Gives `message` to a service. One that is just being started again reads
    /// the present configuration by itself.
    fn tell<M: ractor::Message>(&self, service: &str, message: M) {
        if let Some(cell) = self.children.cell(service) {
            let _ = ActorRef::<M>::from(cell.clone()).cast(message);
        }
    }

    /// Ends everything if a service fell too often.
    fn bear(&mut self, outcome: Result<(), Fallen>) -> Result<(), ActorProcessingErr> {
        if let Err(fallen) = &outcome
            && let Some(tell) = self.fallen.take()
        {
            // Nobody listens any more only if the daemon is ending anyway.
            let _ = tell.send(fallen.clone());
        }
        Ok(outcome?)
    }
}
