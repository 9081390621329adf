//! The http actor: see the [module documentation](super) for its promises.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    alert::messages::AlertDesk,
    live::LiveReader,
    supervision::{Node, Tree, until_pulse},
};

use super::{
    Assets, Listener, Names, Token, accept,
    access::Access,
    context::Context,
    messages::{History, HttpMessage, Limits, PluginLister},
    metrics::Counters,
};

/// Silent for longer than this, the actor counts as stuck.
const SILENCE: Duration = Duration::from_secs(10);

/// Time for answers to leave and viewers to be told, once we stop.
const FAREWELL: Duration = Duration::from_millis(1500);

/// The behaviour; everything that changes lives in [`HttpState`].
pub struct HttpActor;

/// What the actor is born with.
#[derive(Clone)]
pub struct HttpArguments {
    /// Where the page and the API are served.
    pub listener: Listener<TcpListener>,
    /// Where they are served to the machine's own people.
    pub control: Listener<UnixListener>,
    /// What the daemon is called by.
    pub names: Names,
    /// What proves an administrator.
    pub token: Token,
    /// What happens now.
    pub live: LiveReader,
    /// What happened before.
    pub history: Arc<dyn History>,
    /// Which plugins there are.
    pub plugins: PluginLister,
    /// Incidents and notices.
    pub alerts: AlertDesk,
    /// Who runs.
    pub tree: Tree,
    /// Files of the page.
    pub assets: Assets,
    /// Version of the program.
    pub version: &'static str,
    /// When the daemon started.
    pub started: Instant,
    /// What is allowed.
    pub limits: Limits,
    /// Its place in the tree.
    pub node: Node,
}

/// What the actor remembers between messages.
pub struct HttpState {
    node: Node,
    doors: [JoinHandle<()>; 2],
    connections: TaskTracker,
    stop: CancellationToken,
    // A killed actor runs no code of its own: what it started ends with its state.
    _stop: DropGuard,
}

impl Actor for HttpActor {
    type Msg = HttpMessage;
    type State = HttpState;
    type Arguments = HttpArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<HttpMessage>,
        arguments: HttpArguments,
    ) -> Result<HttpState, ActorProcessingErr> {
        let HttpArguments { listener, control, limits, node, .. } = arguments;
        node.expect_beats(SILENCE);
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        let context = Arc::new(Context {
            access: Access { names: arguments.names, token: arguments.token },
            live: arguments.live,
            history: arguments.history,
            plugins: arguments.plugins,
            alerts: arguments.alerts,
            tree: arguments.tree,
            assets: arguments.assets,
            version: arguments.version,
            started: arguments.started,
            limits,
            counters: Counters::default(),
            connections: connections.clone(),
            stop: stop.clone(),
        });
        let doors = accept::open(&context, listener, control);
        myself.send_after(until_pulse(), || HttpMessage::Tick);
        Ok(HttpState { node, doors, connections, _stop: stop.clone().drop_guard(), stop })
    }

    async fn handle(
        &self,
        myself: ActorRef<HttpMessage>,
        message: HttpMessage,
        state: &mut HttpState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HttpMessage::Tick => state.tick()?,
        }
        myself.send_after(until_pulse(), || HttpMessage::Tick);
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<HttpMessage>,
        state: &mut HttpState,
    ) -> Result<(), ActorProcessingErr> {
        state.node.expect_no_beats();
        state.stop.cancel();
        state.connections.close();
        if timeout(FAREWELL, state.connections.wait()).await.is_err() {
            let left = state.connections.len();
            tracing::warn!(left, "connections did not end in time and were cut off");
        }
        Ok(())
    }
}

impl HttpState {
    fn tick(&self) -> Result<(), ActorProcessingErr> {
        if self.doors.iter().any(JoinHandle::is_finished) {
            return Err("failed to accept connections: the accepting task has ended".into());
        }
        self.node.beat();
        Ok(())
    }
}
