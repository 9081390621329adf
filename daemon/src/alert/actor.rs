//! The alert actor: see the [module documentation](super) for its promises.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Alert, Way,
    channels::{Channel, Email, Sms, Webhook},
    courier::{CourierActor, CourierArguments, CourierPort},
    engine::Engine,
    messages::AlertMessage,
    text::Sender,
};
use crate::{
    config::{ChannelsConfig, Config},
    live::messages::LivePort,
    store::StatePort,
    supervision::{ChildSpec, Children, Node, Restart, start_with, until_pulse},
};

/// Silent for longer than this, the actor counts as stuck; a reload may wait for attempts under way.
const SILENCE: Duration = Duration::from_secs(20);
/// How long attempts under way may take when a courier stops.
const COURIER_SHUTDOWN: Duration = Duration::from_millis(1000);
/// How long the engine may take to keep what is under way.
const ENGINE_SHUTDOWN: Duration = Duration::from_millis(1500);

/// The behaviour; everything that changes lives in [`AlertState`].
#[derive(Default)]
pub struct AlertActor;

/// What the actor is born with.
pub struct AlertArguments {
    /// Incidents and notices, which outlive it.
    pub alert: Alert,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Where things are kept.
    pub states: StatePort,
    /// Where things are shown.
    pub live: LivePort,
    /// What links in notices begin with.
    pub base_url: Arc<str>,
    /// Its place in the tree.
    pub node: Node,
}

/// What the actor remembers between messages.
pub struct AlertState {
    alert: Alert,
    base_url: Arc<str>,
    node: Node,
    children: Children,
    channels: ChannelsConfig,
    ports: BTreeMap<Way, CourierPort>,
    engine: JoinHandle<()>,
    stop: CancellationToken,
    // A killed actor runs no code of its own: what it started ends with its state.
    _stop: DropGuard,
}

impl Actor for AlertActor {
    type Msg = AlertMessage;
    type State = AlertState;
    type Arguments = AlertArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<AlertMessage>,
        arguments: AlertArguments,
    ) -> Result<AlertState, ActorProcessingErr> {
        let AlertArguments { alert, config, states, live, base_url, node } = arguments;
        node.expect_beats(SILENCE);
        let mailbox = myself.clone();
        let children = Children::new(myself.get_cell(), node.clone(), move |event| {
            // The cast fails only if the actor has stopped, and its children with it.
            let _ = mailbox.cast(AlertMessage::Child(event));
        });
        let ports: BTreeMap<_, _> = Way::ALL.map(|way| (way, CourierPort::default())).into();
        let stop = CancellationToken::new();
        let engine = Engine {
            ledger: alert.ledger.clone(),
            inbox: alert.inbox.clone(),
            states,
            live,
            couriers: ports.clone(),
            node: node.clone(),
            stop: stop.clone(),
        };
        let mut state = AlertState {
            alert,
            base_url,
            node,
            children,
            channels: ChannelsConfig::default(),
            ports,
            engine: tokio::spawn(engine.run()),
            _stop: stop.clone().drop_guard(),
            stop,
        };
        state.open_channels(&config.channels);
        // Of a configuration that came while nobody was there, the ledger has not heard.
        state.alert.follow(config);
        myself.send_after(until_pulse(), || AlertMessage::Tick);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<AlertMessage>,
        message: AlertMessage,
        state: &mut AlertState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AlertMessage::Tick => {
                if state.engine.is_finished() {
                    return Err("failed to keep incidents: the engine has ended".into());
                }
                state.node.beat();
                myself.send_after(until_pulse(), || AlertMessage::Tick);
            }
            AlertMessage::Reload(config) => state.reload(config).await,
            AlertMessage::Child(event) => state.children.handle(event)?,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<AlertMessage>,
        event: SupervisionEvent,
        state: &mut AlertState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(state.children.supervise(event)?)
    }

    async fn post_stop(
        &self,
        _: ActorRef<AlertMessage>,
        state: &mut AlertState,
    ) -> Result<(), ActorProcessingErr> {
        state.node.expect_no_beats();
        state.stop.cancel();
        // Couriers bring home what they have in their hands while the engine waits for it.
        let engine = timeout(ENGINE_SHUTDOWN, &mut state.engine);
        let (_, _) = tokio::join!(engine, state.children.stop_all());
        Ok(())
    }
}

impl AlertState {
    async fn reload(&mut self, config: Arc<Config>) {
        let (before, after) = (&self.channels, &config.channels);
        let changed = [
            (Way::Email, before.email != after.email),
            (Way::Sms, before.sms != after.sms),
            (Way::Webhook, before.webhook != after.webhook),
        ];
        for (way, _) in changed.into_iter().filter(|(_, changed)| *changed) {
            self.children.stop(way.name()).await;
        }
        self.open_channels(&config.channels);
        // What was held is tried again, so the new channels must be there before.
        self.alert.follow(config);
    }

    /// Opens those that are not open.
    fn open_channels(&mut self, channels: &ChannelsConfig) {
        let sender =
            Sender { public_url: Some(self.base_url.to_string()), hub: self.alert.hub().into() };
        if let Some(email) = &channels.email {
            self.open(Way::Email, Email::new(email.clone(), sender.clone()));
        }
        if let Some(sms) = &channels.sms {
            self.open(Way::Sms, Sms::new(sms.clone(), sender.clone()));
        }
        self.open(Way::Webhook, Webhook::new(channels.webhook.clone(), sender));
        self.channels = channels.clone();
    }

    fn open<C: Channel>(&mut self, way: Way, channel: C) {
        let Some(port) = self.ports.get(&way).cloned() else { return };
        let (channel, reports) = (Arc::new(channel), self.alert.reports.clone());
        let start = start_with(CourierActor::<C>::default, move |node| CourierArguments {
            channel: channel.clone(),
            port: port.clone(),
            reports: reports.clone(),
            node,
        });
        self.children.start(ChildSpec {
            id: way.name().into(),
            kind: "channel",
            start,
            restart: Restart::WithBackoff,
            shutdown: COURIER_SHUTDOWN,
        });
    }
}
