//! The services, in the order of their start, and what each is started with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ractor::Actor;

use super::{adapters, opened::Opened};
use crate::{
    alert::{AlertActor, AlertArguments},
    config::Config,
    fleet::{FleetActor, FleetArguments, Ports},
    forward::{ForwardActor, ForwardArguments},
    http::{HttpActor, HttpArguments, messages::Limits},
    ingest::Ingest,
    live::{LiveActor, LiveArguments},
    plugin::{PluginActor, PluginArguments},
    store::{StoreActor, StoreArguments, upkeep::UpkeepPort},
    supervision::{ChildSpec, Node, Restart, start_with},
};

/// A service that falls more often than this takes the daemon down with it.
const RESTART: Restart = Restart::AtOnce { most: 3, window: Duration::from_secs(60) };

/// All services of a daemon, in the order of their start. Together they may take
/// a little less than the daemon's own limit to stop.
pub(super) fn services(opened: &Opened, config: &Arc<ArcSwap<Config>>) -> Vec<ChildSpec> {
    vec![
        service("store", 3_000, || StoreActor, store(opened, config)),
        service("plugin", 1_500, || PluginActor, plugin(opened)),
        service("alert", 1_800, AlertActor::default, alert(opened, config)),
        service("live", 500, || LiveActor, live(opened)),
        service("http", 2_000, || HttpActor, http(opened, config)),
        service("fleet", 2_000, FleetActor::default, fleet(opened, config)),
        service("forward", 1_400, ForwardActor::default, forward(opened, config)),
    ]
}

fn service<A: Actor>(
    name: &'static str,
    shutdown_ms: u64,
    actor: fn() -> A,
    arguments: impl Fn(Node) -> A::Arguments + Send + Sync + 'static,
) -> ChildSpec {
    ChildSpec {
        id: name.into(),
        kind: name,
        start: start_with(actor, arguments),
        restart: RESTART,
        shutdown: Duration::from_millis(shutdown_ms),
    }
}

fn store(
    opened: &Opened,
    config: &Arc<ArcSwap<Config>>,
) -> impl Fn(Node) -> StoreArguments + Send + Sync + use<> {
    let path = opened.state.clone();
    let config = config.load().store.clone();
    let (catalog, intake) = (opened.catalog.clone(), opened.intake.clone());
    let (reader, states) = (opened.reader.clone(), opened.states.clone());
    let opened = opened.opened_store.clone();
    move |node| StoreArguments {
        path: path.clone(),
        config: config.clone(),
        catalog: catalog.clone(),
        intake: intake.clone(),
        reader: reader.clone(),
        states: states.clone(),
        opened: opened.clone(),
        node,
    }
}

fn plugin(opened: &Opened) -> impl Fn(Node) -> PluginArguments + Send + Sync + use<> {
    let (catalog, port) = (opened.catalog.clone(), opened.plugins.clone());
    move |node| PluginArguments {
        catalog: catalog.clone(),
        node,
        port: port.clone(),
        executable: PathBuf::from("/proc/self/exe"),
        memory_max: PluginArguments::MEMORY_MAX,
    }
}

fn alert(
    opened: &Opened,
    config: &Arc<ArcSwap<Config>>,
) -> impl Fn(Node) -> AlertArguments + Send + Sync + use<> {
    let (alert, states) = (opened.alert.clone(), opened.states.clone());
    let (live, base_url) = (opened.live_port.clone(), opened.base_url.clone());
    let config = config.clone();
    move |node| AlertArguments {
        alert: alert.clone(),
        config: config.load_full(),
        states: states.clone(),
        live: live.clone(),
        base_url: base_url.clone(),
        node,
    }
}

fn live(opened: &Opened) -> impl Fn(Node) -> LiveArguments + Send + Sync + use<> {
    let live = opened.live.clone();
    move |node| LiveArguments { live: live.clone(), node }
}

fn http(
    opened: &Opened,
    config: &Arc<ArcSwap<Config>>,
) -> impl Fn(Node) -> HttpArguments + Send + Sync + use<> {
    let started = tokio::time::Instant::now();
    let (listener, control) = (opened.listener.clone(), opened.control.clone());
    let (names, token, tree) = (opened.names.clone(), opened.token.clone(), opened.tree.clone());
    let live = opened.live.reader();
    let history = adapters::history(opened.reader.clone(), config.clone());
    let upkeep = UpkeepPort::new(opened.reader.clone());
    let plugins = adapters::plugins(opened.plugins.clone());
    let alerts = opened.alert.desk();
    let targets = adapters::targets(opened.forward.clone());
    let (tokens, fleet) = (opened.tokens.clone(), opened.fleet.clone());
    let tls = opened.tls.clone();
    // What it knows of writers outlives the actor.
    let ingest = Ingest::new(
        config.clone(),
        opened.catalog.clone(),
        opened.store.clone(),
        fleet.clone(),
        tokens.clone(),
    );
    move |node| HttpArguments {
        listener: listener.clone(),
        control: control.clone(),
        names: names.clone(),
        token: token.clone(),
        live: live.clone(),
        history: history.clone(),
        upkeep: upkeep.clone(),
        plugins: plugins.clone(),
        alerts: alerts.clone(),
        targets: targets.clone(),
        tokens: tokens.clone(),
        fleet: fleet.clone(),
        tls: tls.clone(),
        ingest: ingest.clone(),
        tree: tree.clone(),
        assets: bartizan_web::asset,
        version: env!("CARGO_PKG_VERSION"),
        started,
        limits: Limits::default(),
        node,
    }
}

fn fleet(
    opened: &Opened,
    config: &Arc<ArcSwap<Config>>,
) -> impl Fn(Node) -> FleetArguments + Send + Sync + use<> {
    let ports = Ports {
        plugins: opened.plugins.clone(),
        store: opened.store.clone(),
        live: opened.live_port.clone(),
        catalog: opened.catalog.clone(),
        history: opened.reader.clone(),
        alerts: opened.alert.port(),
        fleet: opened.fleet.clone(),
        states: opened.states.clone(),
        tokens: opened.tokens.clone(),
    };
    let (config, this_machine) = (config.clone(), opened.this_machine.clone());
    move |node| FleetArguments {
        config: config.clone(),
        this_machine: this_machine.clone(),
        ports: ports.clone(),
        node,
    }
}

fn forward(
    opened: &Opened,
    config: &Arc<ArcSwap<Config>>,
) -> impl Fn(Node) -> ForwardArguments + Send + Sync + use<> {
    let (config, this_node) = (config.clone(), opened.this_machine.clone());
    let (store, states) = (opened.reader.clone(), opened.states.clone());
    let (cursors, port) = (opened.cursors.clone(), opened.forward.clone());
    move |node| ForwardArguments {
        config: config.clone(),
        this_node: this_node.clone(),
        store: store.clone(),
        states: states.clone(),
        cursors: cursors.clone(),
        port: port.clone(),
        node,
    }
}
